// SPDX-License-Identifier: GPL-2.0

//! The host: what AP it has, which queues are bound to this driver, and what is assigned to whom.
//!
//! There is one [`Host`]. It knows all mediated devices and all bound queues.
//!
//! # Locks
//!
//! From the outermost to the innermost; whoever holds one takes only those after it.
//!
//! 0. The callers': `ap_attr_mutex`, device locks, VFIO's group and device set locks.
//! 1. [`Host::topology`]: the list of mediated devices, ownership of APQNs, the configuration.
//! 2. `kvm->lock` of one guest: its AP control block.
//! 3. `state` of one mediated device: its matrix, its guest and the guest's matrix, its eventfds.
//! 4. `state` of one queue: its owner, its guest, its interrupt binding, its reset.
//! 5. Leaves, each for itself: the table of queues, the table of unsettled ones, the worker, a
//!    session's queues and unpinner, a mediated device's pinning session.
//!
//! The hook for a guest's PQAP(AQIC) runs under the guest's `pqap_hook_rwsem`, takes nothing but 4
//! and 5, and is registered and unregistered with no lock of ours held. VFIO calls `dma_unmap`
//! under locks that pinning and unpinning take, and it needs 4 and 5: so pages are pinned and
//! unpinned with no lock of ours held, and a queue notes that it is about to
//! (`queue::State::enabling` and `releasing`).
//!
//! Nobody waits for hardware with a lock of ours held. Resets are started under 1 to 4, and waited
//! for with none ([`reset::Batch`]).

use crate::{
    kapi::{
        ap::{
            self,
            Reservations, //
        },
        dbf::{
            DebugFeature,
            Format,
            Level, //
        },
        errno::{
            eaddrinuse,
            eaddrnotavail, //
        },
        may_print, //
    },
    mdev::Mediated,
    model::{
        AdapterRows,
        Apqn,
        ApqnSet,
        ApqnTable,
        HostConfig,
        Limits,
        Mask256,
        Matrix,
        OwnershipTable,
        PassableTable, //
    },
    queue::Queue,
    reset::{
        Batch,
        Wait, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    xarray::{
        AllocKind,
        XArray, //
    },
};

type Rows = KBox<AdapterRows>;

fn rows() -> Result<Rows> {
    KBox::init(pin_init::init_array_from_fn(|_| Mask256::EMPTY), GFP_KERNEL)
}

/// What is where: protected by one mutex.
pub(crate) struct Topology {
    /// The host's configuration, as the AP bus last reported it.
    config: HostConfig,
    /// The part of it whose queue devices exist: between a change and the end of the bus's scan,
    /// what was added is not in it.
    pub(crate) settled: HostConfig,
    /// Which APQNs are assigned to mediated devices.
    owners: OwnershipTable<Rows>,
    /// Which queues are bound to this driver.
    pub(crate) bound: ApqnTable<Rows>,
    /// Which of them may be passed to a guest.
    pub(crate) passable: PassableTable<Rows>,
    /// All mediated devices.
    mdevs: KVec<Arc<Mediated>>,
    /// Queues that were unbound while hardware might still write for them.
    pub(crate) orphans: KVec<Arc<Queue>>,
}

impl Topology {
    /// Takes queues from a guest, whose AP control block does not have them any more, and starts
    /// their resets. They cannot be passed to any guest until those have ended.
    pub(crate) fn withdraw(&mut self, host: &Host, set: &ApqnSet, batch: &mut Batch) {
        for apqn in self.bound.iter_in(set) {
            self.passable.forget(apqn);
            if let Some(queue) = host.queue(apqn) {
                queue.set_guest(None);
                batch.start(host, &queue);
            }
        }
    }

    /// Returns the mediated device that an APQN is assigned to.
    fn owner(&self, apqn: Apqn) -> Option<Arc<Mediated>> {
        if !self.owners.is_owned(apqn) {
            return None;
        }
        self.mdevs
            .iter()
            .find(|mdev| mdev.matrix().apqns().contains(apqn))
            .cloned()
    }

    /// Filters the matrices of all mediated devices' guests anew.
    fn refilter_all(&mut self, host: &Host, batch: &mut Batch) {
        // The list does not change, but filtering takes the whole of `self`.
        let mdevs = core::mem::take(&mut self.mdevs);

        for mdev in &mdevs {
            mdev.refilter(host, self, batch);
        }
        self.mdevs = mdevs;
    }
}

/// The host.
#[pin_data]
pub(crate) struct Host {
    /// Lock 1.
    #[pin]
    pub(crate) topology: Mutex<Topology>,
    /// The bound queues by APQN, for those who must not take lock 1. A leaf.
    #[pin]
    queues: XArray<Arc<Queue>>,
    /// The queues of which something is outstanding. A leaf.
    #[pin]
    pub(crate) unsettled: Mutex<ApqnTable<Rows>>,
    /// The worker for what is outstanding. A leaf.
    #[pin]
    pub(crate) worker: Mutex<Option<crate::reset::SharedWorker>>,
    limits: Limits,
    debug: DebugFeature,
}

static RESERVED: Format =
    Format::new(c"assign: an APQN of %lu adapters x %lu domains is the host's\n");
static SHARED: Format = Format::new(c"assign: queue %02lx.%04lx is assigned to another mdev\n");
static IN_USE: Format = Format::new(c"in use: queue %02lx.%04lx is assigned to an mdev\n");

impl Host {
    /// Asks what the host has.
    pub(crate) fn new(name: &'static CStr) -> Result<Arc<Self>> {
        let config = ap::query_config()?;
        let topology = Topology {
            config,
            settled: config,
            owners: OwnershipTable::new(rows()?),
            bound: ApqnTable::new(rows()?),
            passable: PassableTable::new(rows()?),
            mdevs: KVec::new(),
            orphans: KVec::new(),
        };
        let unsettled = ApqnTable::new(rows()?);
        let debug = DebugFeature::new(name)?;

        Arc::pin_init(
            pin_init!(Self {
                topology <- new_mutex!(topology, "vfio_ap::topology"),
                queues <- XArray::new(AllocKind::Alloc),
                unsettled <- new_mutex!(unsettled, "vfio_ap::unsettled"),
                worker <- new_mutex!(None, "vfio_ap::worker"),
                limits: *config.limits(),
                debug,
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the largest numbers that the host can have. They never change.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Adds a record to the debug feature.
    pub(crate) fn record(&self, level: Level, format: &'static Format, values: [u64; 4]) {
        self.debug.event(level, format, values);
    }

    /// Returns a bound queue. Takes a leaf lock only.
    pub(crate) fn queue(&self, apqn: Apqn) -> Option<Arc<Queue>> {
        self.queues
            .lock()
            .get(usize::from(apqn.to_raw()))
            .map(Arc::from)
    }

    /// Changes what is assigned to a mediated device, and with it what its guest has.
    ///
    /// `change` changes a copy of the matrix. `reservations` has to be there if it may add APQNs.
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if an APQN of the new matrix is reserved for the host's default drivers,
    /// `EADDRINUSE` if an added one is assigned to another device. Then nothing has changed.
    pub(crate) fn change_matrix(
        &self,
        mdev: &Arc<Mediated>,
        reservations: Option<Reservations>,
        change: impl FnOnce(&mut Matrix),
    ) -> Result {
        let mut batch = Batch::new();
        let mut topology = self.topology.lock();
        let old = mdev.matrix();
        let mut new = old;

        change(&mut new);
        if new == old {
            return Ok(());
        }
        let added = new.apqns_not_in(&old);
        let removed = old.apqns_not_in(&new);

        if reservations
            .as_ref()
            .is_some_and(|reservations| reservations.reserved(&new))
        {
            let (adapters, domains) = (new.apm().count(), new.aqm().count());

            self.record(
                Level::Warning,
                &RESERVED,
                [adapters.into(), domains.into(), 0, 0],
            );
            return Err(eaddrnotavail());
        }
        if let Err(conflict) = topology.owners.try_claim(&added) {
            self.report_conflict(&topology, mdev, conflict.apqn);
            return Err(eaddrinuse());
        }
        topology.owners.release(&removed);
        mdev.set_matrix(new);
        for apqn in topology.bound.iter_in(&removed) {
            self.set_owner(apqn, None);
        }
        for apqn in topology.bound.iter_in(&added) {
            self.set_owner(apqn, Some(mdev));
        }
        mdev.refilter(self, &mut topology, &mut batch);
        drop(topology);
        drop(reservations);

        batch.wait(self, Wait::RESET);
        Ok(())
    }

    fn set_owner(&self, apqn: Apqn, owner: Option<&Arc<Mediated>>) {
        if let Some(queue) = self.queue(apqn) {
            queue.set_owner(owner);
        }
    }

    fn report_conflict(&self, topology: &Topology, mdev: &Mediated, apqn: Apqn) {
        let (apid, apqi) = (apqn.apid.get(), apqn.apqi.get());

        self.record(Level::Warning, &SHARED, [apid.into(), apqi.into(), 0, 0]);
        if let Some(owner) = topology.owner(apqn).filter(|_| may_print()) {
            dev_warn!(
                mdev.device(),
                "queue {:02x}.{:04x} cannot be assigned: mdev {} has it; unassign it there first\n",
                apid,
                apqi,
                owner.name()
            );
        }
    }

    /// Adds a mediated device to which nothing is assigned.
    pub(crate) fn add_mdev(&self, mdev: Arc<Mediated>) -> Result {
        self.topology.lock().mdevs.push(mdev, GFP_KERNEL)?;
        Ok(())
    }

    /// Removes a mediated device that is not open, and resets all its queues.
    pub(crate) fn remove_mdev(&self, mdev: &Arc<Mediated>) {
        let mut batch = Batch::new();
        let mut topology = self.topology.lock();
        let all = mdev.matrix().apqns();

        mdev.set_matrix(Matrix::EMPTY);
        topology.owners.release(&all);
        for apqn in topology.bound.iter_in(&all) {
            self.set_owner(apqn, None);
        }
        mdev.refilter(self, &mut topology, &mut batch);
        topology.mdevs.retain(|other| !Arc::ptr_eq(mdev, other));
        drop(topology);

        batch.wait(self, Wait::RESET);
    }

    /// Adds a queue that the driver is being bound to. It is passed to a guest, if it is assigned
    /// to one's device, as soon as it was reset.
    pub(crate) fn add_queue(&self, queue: &Arc<Queue>) -> Result {
        let mut batch = Batch::new();
        let mut topology = self.topology.lock();
        let apqn = queue.apqn();

        self.queues
            .lock()
            .store(usize::from(apqn.to_raw()), queue.clone(), GFP_KERNEL)
            .map_err(Error::from)?;
        topology.bound.insert(apqn);
        queue.set_owner(topology.owner(apqn).as_ref());
        batch.start(self, queue);
        drop(topology);

        batch.wait(self, Wait::PROBE);
        Ok(())
    }

    /// Removes a queue that the driver is being unbound from. Its adapter is taken from the guest
    /// that has it.
    pub(crate) fn remove_queue(&self, queue: &Arc<Queue>) {
        let mut batch = Batch::new();
        let mut topology = self.topology.lock();
        let apqn = queue.apqn();

        topology.passable.forget(apqn);
        if let Some(mdev) = queue.owner() {
            mdev.refilter(self, &mut topology, &mut batch);
        }
        topology.bound.remove(apqn);
        self.queues.lock().remove(usize::from(apqn.to_raw()));
        queue.set_owner(None);
        if !queue.is_unsettled() {
            batch.start(self, queue);
        }
        drop(topology);

        batch.wait(self, Wait::RESET);
        queue.abandon();
        queue.give_up_pin();
        if queue.is_held() {
            // What hardware may write stays where it is, until the worker has seen the queue at
            // rest. Without memory for the list it is given up, which is safe as well.
            let _ = self.topology.lock().orphans.push(queue.clone(), GFP_KERNEL);
            self.kick();
        }
    }

    /// Tells whether an APQN of adapters and domains is assigned to a mediated device.
    pub(crate) fn in_use(&self, apm: Mask256, aqm: Mask256) -> bool {
        let topology = self.topology.lock();
        let Some(apqn) = topology.owners.first_owned(&ApqnSet::product(apm, aqm)) else {
            return false;
        };
        let (apid, apqi) = (apqn.apid.get(), apqn.apqi.get());

        self.record(Level::Warning, &IN_USE, [apid.into(), apqi.into(), 0, 0]);
        if let Some(owner) = topology.owner(apqn).filter(|_| may_print()) {
            dev_warn!(
                owner.device(),
                "queue {:02x}.{:04x} cannot be a host driver's: unassign it from this mdev first\n",
                apid,
                apqi
            );
        }
        true
    }

    /// The host's configuration has changed. What is gone is taken from the guests; what has come
    /// is passed to them when the bus has made its devices.
    pub(crate) fn config_changed(&self, new: HostConfig) {
        let mut batch = Batch::new();
        let mut topology = self.topology.lock();

        topology.settled = common(&topology.settled, &new);
        topology.config = new;
        topology.refilter_all(self, &mut batch);
        drop(topology);

        batch.wait(self, Wait::RESET);
    }

    /// The bus has made and removed its devices.
    pub(crate) fn scan_complete(&self) {
        let mut batch = Batch::new();
        let mut topology = self.topology.lock();

        topology.settled = topology.config;
        topology.refilter_all(self, &mut batch);
        drop(topology);

        batch.wait(self, Wait::RESET);
    }
}

/// Returns what two configurations of the host have in common.
fn common(a: &HostConfig, b: &HostConfig) -> HostConfig {
    const APXA: u32 = 0x4000_0000;

    HostConfig::from_qci(
        if b.apxa() { APXA } else { 0 },
        b.limits().max_apid(),
        b.limits().max_domain(),
        (a.apm() & b.apm()).to_halves(),
        (a.aqm() & b.aqm()).to_halves(),
        (a.adm() & b.adm()).to_halves(),
    )
}
