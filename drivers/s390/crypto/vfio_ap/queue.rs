// SPDX-License-Identifier: GPL-2.0

//! An AP queue that is bound to this driver.
//!
//! There is one [`Queue`] for each, from the driver's being bound to it until its being unbound. It
//! knows which mediated device it is assigned to, which guest has it, what its interrupts hold, and
//! the reset that is going on.

use crate::{
    irq::{
        IrqBinding,
        Pin,
        PinSlot, //
    },
    kapi::{
        ap::{
            self,
            HostSlot,
            QueueDevice, //
        },
        kvm::Kvm,
        sysfs::Attribute, //
    },
    matrix::Host,
    mdev::{
        Mediated,
        Session, //
    },
    model::{
        Apqn,
        HostConfig,
        IrqDisable,
        Mask256,
        Reset,
        ResetOutcome, //
    },
    overview::QueueOverview, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
};

/// What changes of a queue: protected by lock 4.
#[derive(Default)]
pub(crate) struct State {
    /// The mediated device it is assigned to. Changes only with lock 1 held as well.
    pub(crate) owner: Option<Arc<Mediated>>,
    /// The guest that has it, by the [`GuestMatrix`](crate::model::GuestMatrix) in its AP control
    /// block.
    pub(crate) guest: Option<Arc<Session>>,
    /// The reset that is going on.
    pub(crate) reset: Option<Reset>,
    /// How many have seen one end, and have not yet told the host that the queue is passable.
    pub(crate) ending: u32,
    /// The host knows that it is passable. Changes only with lock 1 held as well; stays when it is
    /// unbound.
    pub(crate) passable: bool,
    /// How the last one ended.
    pub(crate) outcome: Option<ResetOutcome>,
    /// It was unbound.
    pub(crate) gone: bool,
    /// What its interrupts hold.
    pub(crate) binding: Option<IrqBinding>,
    /// The disabling of interrupts that is going on.
    pub(crate) disabling: Option<IrqDisable>,
    /// The page that a guest's AQIC is about to pin.
    pub(crate) enabling: Option<u64>,
    /// How many are about to unpin a page.
    pub(crate) releasing: u32,
    /// The pages that are to be unpinned; counted in `releasing`.
    pub(crate) leaving: Option<KBox<Pin>>,
    /// Where the next pinned page is noted; there once one was unpinned.
    pub(crate) slot: Option<PinSlot>,
    /// How many resets were started.
    pub(crate) resets: u64,
}

/// A bound queue.
#[pin_data]
pub(crate) struct Queue {
    apqn: Apqn,
    /// How many AQICs of guests were performed.
    pub(crate) aqics: Atomic<u64>,
    /// How many were refused, by hardware or on its behalf.
    pub(crate) refused: Atomic<u64>,
    /// Lock 4.
    #[pin]
    pub(crate) state: Mutex<State>,
}

/// What an administrator is told about a queue.
#[derive(Clone, Copy)]
pub(crate) enum Status {
    /// Not assigned to a mediated device.
    Unassigned,
    /// Assigned to one.
    Assigned,
    /// And passed to a guest.
    InUse,
}

impl Queue {
    fn new(apqn: Apqn) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                apqn,
                aqics: Atomic::new(0),
                refused: Atomic::new(0),
                state <- new_mutex!(State::default(), "vfio_ap::queue.state"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns its number.
    pub(crate) fn apqn(&self) -> Apqn {
        self.apqn
    }

    /// Returns the mediated device it is assigned to.
    pub(crate) fn owner(&self) -> Option<Arc<Mediated>> {
        self.state.lock().owner.clone()
    }

    /// Returns the guest that has the mediated device it is assigned to. Takes locks 3 and 4.
    pub(crate) fn guest_kvm(&self) -> Option<Kvm> {
        self.owner()?.kvm()
    }

    /// Sets the mediated device it is assigned to. Lock 1 has to be held.
    pub(crate) fn set_owner(&self, owner: Option<&Arc<Mediated>>) {
        let old = core::mem::replace(&mut self.state.lock().owner, owner.cloned());

        drop(old);
    }

    /// Tells whether a guest has it.
    pub(crate) fn has_guest(&self) -> bool {
        self.state.lock().guest.is_some()
    }

    /// Gives it to a guest, or takes it from one. A guest that does not have it any more gets
    /// response code 01 for it.
    pub(crate) fn set_guest(&self, guest: Option<&Arc<Session>>) {
        let old = core::mem::replace(&mut self.state.lock().guest, guest.cloned());

        drop(old);
    }

    /// Returns what an administrator is told.
    pub(crate) fn status(&self) -> Status {
        self.state.lock().status()
    }

    /// Returns what is shown of it.
    pub(crate) fn overview(&self) -> QueueOverview {
        let state = self.state.lock();

        QueueOverview {
            status: state.status().as_str(),
            reset: match (&state.reset, state.outcome) {
                (Some(_), _) => "under way",
                (None, None) => "none",
                (None, Some(ResetOutcome::Completed)) => "done",
                (None, Some(ResetOutcome::Deconfigured)) => "deconfigured",
                (None, Some(ResetOutcome::Checkstopped)) => "checkstopped",
                (None, Some(ResetOutcome::Gone)) => "gone",
                (None, Some(ResetOutcome::Unexpected(_))) => "failed",
            },
            interrupts: state.interrupts(),
            resets: state.resets,
            aqics: self.aqics.load(Relaxed),
            refused: self.refused.load(Relaxed),
            owner: state.owner.clone(),
        }
    }
}

impl State {
    /// Tells whether a reset is going on, or its end has not been noted yet.
    pub(crate) fn is_being_reset(&self) -> bool {
        self.reset.is_some() || self.ending != 0
    }

    fn status(&self) -> Status {
        match (&self.owner, &self.guest) {
            (None, _) => Status::Unassigned,
            (Some(_), None) => Status::Assigned,
            (Some(_), Some(_)) => Status::InUse,
        }
    }
}

impl Status {
    /// Returns it as the attribute `status` has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Unassigned => "unassigned",
            Status::Assigned => "assigned",
            Status::InUse => "in use",
        }
    }
}

/// The driver on the AP bus.
pub(crate) struct Driver;

static SLOT: HostSlot<Host> = HostSlot::new();

impl ap::Driver for Driver {
    type Host = Host;
    type Queue = Queue;

    const NAME: &'static CStr = crate::NAME;

    fn slot() -> &'static HostSlot<Host> {
        &SLOT
    }

    fn attributes() -> &'static [Attribute<Queue>] {
        &crate::attributes::QUEUE
    }

    fn probe(host: &Host, device: &QueueDevice<'_>) -> Result<Arc<Queue>> {
        let apqn = host.limits().apqn(device.raw_apqn()).map_err(|_| ENODEV)?;
        let queue = Queue::new(apqn)?;

        host.add_queue(&queue)?;
        Ok(queue)
    }

    fn remove(host: &Host, queue: Arc<Queue>) {
        host.remove_queue(&queue);
    }

    fn in_use(host: &Host, apm: Mask256, aqm: Mask256) -> bool {
        host.in_use(apm, aqm)
    }

    fn on_config_changed(host: &Host, new: HostConfig) {
        host.config_changed(new);
    }

    fn on_scan_complete(host: &Host) {
        host.scan_complete();
    }
}
