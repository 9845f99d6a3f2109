// SPDX-License-Identifier: GPL-2.0

//! The three registrations: for AP queues, for mediated devices, and for the VFIO device of each.

use crate::{
    attributes,
    guest::Guest,
    hook::Hook,
    host::{
        BoundMdev,
        BoundQueue,
        Host, //
    },
    ioctl,
    kapi::{
        ap::{
            self,
            HostSlot, //
        },
        kvm::Kvm,
        mdev,
        migration,
        notify::Notifier,
        page::Pins,
        queue_hw::QueueHw,
        sysfs::Attribute,
        vfio, //
    },
    matrix_mdev::Following,
    migration::Migration,
    model::{
        migration::state::MigrationState,
        HostConfig,
        Limits,
        Mask256, //
    },
};
use kernel::{
    device::Device,
    prelude::*,
    sync::Arc, //
};

static SLOT: HostSlot<Host> = HostSlot::new();

impl ap::Driver for BoundQueue {
    type Host = Host;

    const NAME: &'static CStr = crate::NAME;
    const SLOT: &'static HostSlot<Host> = &SLOT;
    const ATTRIBUTES: &'static [Attribute<Self>] = &attributes::QUEUE;

    fn limits(host: &Host) -> &Limits {
        host.topology().limits()
    }

    fn probe(host: &Host, hw: QueueHw) -> Result<Self> {
        Ok(Self {
            topology: host.topology().clone(),
            queue: host.add_queue(hw)?,
        })
    }

    fn unbind(host: &Host, this: Pin<&Self>) {
        host.remove_queue(&this.queue);
    }

    fn in_use(host: &Host, apm: Mask256, aqm: Mask256) -> bool {
        host.topology().in_use(apm, aqm)
    }

    fn on_config_changed(host: &Host, new: HostConfig) {
        host.config_changed(new);
    }

    fn on_scan_complete(host: &Host) {
        host.scan_complete();
    }
}

impl mdev::Driver for BoundMdev {
    type Host = Host;

    const NAME: &'static CStr = c"vfio_ap_mdev";
    const MODULE: &'static CStr = crate::NAME;
    const DEVICE_API: &'static CStr = c"vfio-ap";
    // As many as there are queues.
    const MAX_INSTANCES: u32 = 256 * 256;
    const ATTRIBUTES: &'static [Attribute<Self>] = &attributes::MEDIATED;

    fn probe(host: &Arc<Host>, device: &Device, notifier: Notifier) -> Result<Self> {
        let mdev = host.add_mdev(device, notifier)?;
        let following = Following::start(mdev.clone(), host.work().clone())?;
        let migration = Migration::new(mdev.clone())?;
        let looking = migration.start_looking(host.work().clone())?;
        let registration = vfio::Registration::new(device, host.unpinning().clone(), migration)?;

        Ok(Self {
            _file: host.file(mdev.name(), mdev.clone()),
            _registration: registration,
            _looking: looking,
            _following: following,
            mdev,
        })
    }
}

impl vfio::Ops for Migration {
    fn open(this: &Arc<Self>, pins: Arc<Pins>, kvm: Option<Kvm>) -> Result {
        let kvm = kvm.ok_or(EINVAL)?;
        if !kvm.has_crypto() {
            return Ok(());
        }
        let mdev = this.mdev();
        mdev.wait_for_queues();

        let guest = Guest::new(kvm, pins)?;
        let hook = Arc::new(
            Hook::new(mdev.topology().clone(), guest.clone()),
            GFP_KERNEL,
        )?;
        let hook = guest.kvm().register_hook(hook)?;

        mdev.attach(guest, hook);
        Ok(())
    }

    fn close(this: &Arc<Self>) {
        Migration::close(this);
    }

    fn ioctl(this: &Arc<Self>, cmd: u32, arg: usize) -> Result<isize> {
        ioctl::handle(this, cmd, arg)
    }

    fn dma_unmap(this: &Arc<Self>, pins: &Pins, first: u64, last: u64) {
        this.mdev().unmap(pins, first, last);
    }

    fn request(this: &Arc<Self>, count: u32) {
        this.mdev().withdraw();
        this.mdev().ask_for_it(count);
    }
}

impl migration::Ops for Migration {
    fn set_state(
        this: &Arc<Self>,
        route: &migration::Route<'_>,
    ) -> Result<Option<migration::DataFile>> {
        Migration::set_state(this, route)
    }

    fn state(this: &Arc<Self>) -> MigrationState {
        Migration::state(this)
    }

    fn data_size(this: &Arc<Self>) -> u64 {
        Migration::data_size(this)
    }
}
