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
//! 2. `kvm->lock` of one guest: its AP control block. User space can have it held as long as it
//!    likes, so it is not waited for with 1 held ([`Host::lock_with_guest`]).
//! 3. `state` of one mediated device: its matrix, its guest and the guest's matrix, its eventfds.
//! 4. `state` of one queue: its owner, its guest, its interrupt binding, its reset.
//! 5. Leaves, each for itself: the table of queues, the table of unsettled ones, the orphans, the
//!    worker, a session's queues and unpinner, a mediated device's pinning session and announcer.
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
        debugfs::{
            Directory,
            File,
            Show, //
        },
        errno::{
            eaddrinuse,
            eaddrnotavail, //
        },
        kvm::{
            Kvm,
            LockedKvm, //
        },
        may_print,
        trace, //
    },
    mdev::{
        Mediated,
        Session, //
    },
    model::{
        AdapterRows,
        Apid,
        Apqn,
        ApqnSet,
        ApqnTable,
        HostConfig,
        Limits,
        Mask256,
        Matrix,
        OwnerId,
        OwnerRows,
        OwnershipTable,
        PassableTable, //
    },
    overview::HostOverview,
    queue::Queue,
    reset::{
        Batch,
        Wait, //
    },
};
use kernel::{
    device::Device,
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        MutexGuard,
        SpinLock, //
    }, //
};

type Rows = KBox<AdapterRows>;

fn rows() -> Result<Rows> {
    KBox::init(pin_init::init_array_from_fn(|_| Mask256::EMPTY), GFP_KERNEL)
}

fn owner_rows() -> Result<KVBox<OwnerRows>> {
    KVBox::init(
        pin_init::init_array_from_fn(|_| pin_init::init_array_from_fn(|_| OwnerId::default())),
        GFP_KERNEL,
    )
}

/// The queues of one adapter that are bound, by APQI.
type QueueRow = [Option<Arc<Queue>>; 256];

/// The queues that are bound. Look-ups are a guest's, and many: so it is an array, of which only
/// the rows of adapters that have had such a queue are there.
struct Queues {
    by_apid: KVec<Option<KBox<QueueRow>>>,
}

impl Queues {
    fn new() -> Result<Self> {
        let mut by_apid = KVec::with_capacity(256, GFP_KERNEL)?;

        for _ in 0..=u8::MAX {
            by_apid.push(None, GFP_KERNEL)?;
        }
        Ok(Self { by_apid })
    }

    fn new_row() -> Result<KBox<QueueRow>> {
        KBox::init(pin_init::init_array_from_fn(|_| None), GFP_KERNEL)
    }

    fn get(&self, apqn: Apqn) -> Option<&Arc<Queue>> {
        let row = self.by_apid.get(usize::from(apqn.apid.get()))?.as_ref()?;

        // In bounds for every APQI: there are 256.
        row[usize::from(apqn.apqi.get())].as_ref()
    }

    fn has_row(&self, apid: Apid) -> bool {
        matches!(self.by_apid.get(usize::from(apid.get())), Some(Some(_)))
    }

    /// Takes a row for an adapter that has none.
    fn add_row(&mut self, apid: Apid, row: KBox<QueueRow>) {
        if let Some(slot) = self.by_apid.get_mut(usize::from(apid.get())) {
            *slot = Some(row);
        }
    }

    /// Exchanges what is at an APQN of an adapter that has a row.
    fn replace(&mut self, apqn: Apqn, queue: Option<Arc<Queue>>) -> Option<Arc<Queue>> {
        let row = self
            .by_apid
            .get_mut(usize::from(apqn.apid.get()))?
            .as_mut()?;

        // In bounds, as above.
        core::mem::replace(&mut row[usize::from(apqn.apqi.get())], queue)
    }
}

/// All mediated devices, each found by the number that the table of owners knows it by.
struct Mdevs {
    by_id: KVec<Option<Arc<Mediated>>>,
    /// The numbers that are free. Has room for all there are.
    free: KVec<OwnerId>,
}

impl Mdevs {
    const fn new() -> Self {
        Self {
            by_id: KVec::new(),
            free: KVec::new(),
        }
    }

    /// Adds the device that `make` makes with its number.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there are 65536 devices, and those of `make`. Then there is none more.
    fn add(
        &mut self,
        make: impl FnOnce(OwnerId) -> Result<Arc<Mediated>>,
    ) -> Result<Arc<Mediated>> {
        if self.free.is_empty() {
            let id = u16::try_from(self.by_id.len()).map_err(|_| ENOSPC)?;

            self.free
                .reserve(self.by_id.len() + 1, GFP_KERNEL)
                .and_then(|()| self.by_id.push(None, GFP_KERNEL))?;
            self.free.push(OwnerId(id), GFP_KERNEL)?;
        }
        let id = *self.free.last().ok_or(ENOSPC)?;
        let mdev = make(id)?;

        if let Some(slot) = self.by_id.get_mut(usize::from(id.0)) {
            *slot = Some(mdev.clone());
            self.free.pop();
        }
        Ok(mdev)
    }

    /// Removes a device.
    fn remove(&mut self, id: OwnerId) {
        let slot = self.by_id.get_mut(usize::from(id.0));

        if slot.and_then(Option::take).is_some() {
            // Does not ask for memory: there is room. If there were none, the number would be lost.
            let _ = self.free.push(id, GFP_KERNEL);
        }
    }

    fn count(&self) -> usize {
        self.by_id.len() - self.free.len()
    }

    fn get(&self, id: OwnerId) -> Option<&Arc<Mediated>> {
        self.by_id.get(usize::from(id.0))?.as_ref()
    }
}

/// What a change of a matrix can be.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// Any: what is added must not be reserved for the host.
    Any,
    /// There are no more APQNs than before.
    Fewer,
}

/// What is where: protected by one mutex.
pub(crate) struct Topology {
    /// The host's configuration, as the AP bus last reported it.
    config: HostConfig,
    /// The part of it whose queue devices exist: between a change and the end of the bus's scan,
    /// what was added is not in it.
    pub(crate) settled: HostConfig,
    /// Which APQNs are assigned to mediated devices.
    owners: OwnershipTable<Rows, KVBox<OwnerRows>>,
    /// Which queues are bound to this driver.
    pub(crate) bound: ApqnTable<Rows>,
    /// Which of them may be passed to a guest.
    pub(crate) passable: PassableTable<Rows>,
    mdevs: Mdevs,
    /// How many guests' matrices were filtered as a whole.
    pub(crate) filtered_matrices: u64,
    /// How often one adapter of a guest's matrix was.
    pub(crate) filtered_adapters: u64,
}

impl Topology {
    /// Gives queues to a guest, or takes them from one, as far as AQIC is concerned.
    pub(crate) fn hand_over(&self, host: &Host, set: &ApqnSet, guest: Option<&Arc<Session>>) {
        for apqn in self.bound.iter_in(set) {
            if let Some(queue) = host.queue(apqn) {
                queue.set_guest(guest);
            }
        }
    }

    /// Starts the resets of queues that were taken from a guest, and that its AP control block does
    /// not have any more. They cannot be passed to any guest until those have ended.
    pub(crate) fn withdraw(&mut self, host: &Host, set: &ApqnSet, batch: &mut Batch) {
        for apqn in self.bound.iter_in(set) {
            self.passable.forget(apqn);
            if let Some(queue) = host.queue(apqn) {
                batch.start(host, &queue);
            }
        }
    }

    /// Returns the mediated device that an APQN is assigned to.
    fn owner(&self, apqn: Apqn) -> Option<&Arc<Mediated>> {
        self.mdevs.get(self.owners.owner(apqn)?)
    }
}

/// Lock 1, held, and lock 2 of the guest whose matrix is to change, if there is one.
pub(crate) struct Locked<'a> {
    // Unlocked in this order: until the second is, the guest's session has another reference.
    pub(crate) kvm: Option<LockedKvm>,
    pub(crate) topology: MutexGuard<'a, Topology>,
}

/// The host.
#[pin_data]
pub(crate) struct Host {
    /// Lock 1.
    #[pin]
    pub(crate) topology: Mutex<Topology>,
    /// The bound queues by APQN, for those who must not take lock 1. A leaf.
    #[pin]
    queues: SpinLock<Queues>,
    /// The queues of which something is outstanding. A leaf.
    #[pin]
    pub(crate) unsettled: Mutex<ApqnTable<Rows>>,
    /// Queues that were unbound while hardware might still write for them. A leaf.
    #[pin]
    pub(crate) orphans: Mutex<KVec<Arc<Queue>>>,
    /// The worker for what is outstanding. A leaf.
    #[pin]
    pub(crate) worker: Mutex<Option<crate::reset::SharedWorker>>,
    limits: Limits,
    debug: DebugFeature,
    files: Directory,
}

static RESERVED: Format =
    Format::new(c"assign: one of %lu new APQNs is reserved for the host's drivers\n");
static SHARED: Format = Format::new(c"assign: queue %02lx.%04lx is assigned to another mdev\n");
static IN_USE: Format = Format::new(c"in use: queue %02lx.%04lx is assigned to an mdev\n");

impl Host {
    /// Asks what the host has.
    pub(crate) fn new(name: &'static CStr) -> Result<Arc<Self>> {
        let config = ap::query_config()?;
        let topology = Topology {
            config,
            settled: config,
            owners: OwnershipTable::new(rows()?, owner_rows()?),
            bound: ApqnTable::new(rows()?),
            passable: PassableTable::new(rows()?),
            mdevs: Mdevs::new(),
            filtered_matrices: 0,
            filtered_adapters: 0,
        };
        let unsettled = ApqnTable::new(rows()?);
        let queues = Queues::new()?;
        let debug = DebugFeature::new(name)?;

        Arc::pin_init(
            try_pin_init!(Self {
                topology <- new_mutex!(topology, "vfio_ap::topology"),
                queues <- new_spinlock!(queues, "vfio_ap::queues"),
                unsettled <- new_mutex!(unsettled, "vfio_ap::unsettled"),
                orphans <- new_mutex!(KVec::new(), "vfio_ap::orphans"),
                worker <- new_mutex!(None, "vfio_ap::worker"),
                limits: *config.limits(),
                debug,
                files: Directory::new(name)?,
            }? Error),
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

    /// Makes a file in debugfs.
    pub(crate) fn file<T: Show>(&self, name: &CStr, data: Arc<T>) -> File<T> {
        File::new(&self.files, name, data)
    }

    /// Iterates over the adapters that the host can have.
    pub(crate) fn apids(&self) -> impl Iterator<Item = Apid> {
        self.limits.apids()
    }

    /// Returns the domains of the queues of an adapter that are bound.
    pub(crate) fn bound_domains(&self, apid: Apid) -> Mask256 {
        self.topology.lock().bound.row(apid)
    }

    /// Returns whether the host has an adapter, the domains of its queues that are bound, and those
    /// of its queues that may be passed.
    pub(crate) fn adapter_overview(&self, apid: Apid) -> (bool, Mask256, Mask256) {
        let topology = self.topology.lock();

        (
            topology.settled.apm().test(apid.get()),
            topology.bound.row(apid),
            topology.passable.row(apid),
        )
    }

    /// Returns what is shown of it.
    pub(crate) fn overview(&self) -> HostOverview {
        let unsettled = self.unsettled.lock().count();
        let mut orphans = KVec::new();

        for queue in &*self.orphans.lock() {
            // Without memory the list is shorter.
            let _ = orphans.push(queue.clone(), GFP_KERNEL);
        }
        let topology = self.topology.lock();
        HostOverview {
            config: topology.config,
            scan_pending: topology.config != topology.settled,
            mdevs: topology.mdevs.count(),
            bound: topology.bound.count(),
            passable: topology.passable.count(),
            unsettled,
            filtered_matrices: topology.filtered_matrices,
            filtered_adapters: topology.filtered_adapters,
            orphans,
        }
    }

    /// Takes lock 1, and `kvm->lock` of the guest that `guest` returns with lock 1 held.
    ///
    /// Waits for the latter without the former. If something of ours has to be held before lock 1,
    /// it is [`try_lock_with_guest`](Self::try_lock_with_guest) that is to be called.
    pub(crate) fn lock_with_guest(&self, guest: impl Fn() -> Option<Kvm>) -> Locked<'_> {
        loop {
            match self.try_lock_with_guest(&guest) {
                Ok(locked) => return locked,
                Err(kvm) => kvm.wait_until_unlocked(),
            }
        }
    }

    /// Does the same, but returns the guest if somebody holds its `kvm->lock`.
    pub(crate) fn try_lock_with_guest(
        &self,
        guest: impl Fn() -> Option<Kvm>,
    ) -> Result<Locked<'_>, Kvm> {
        let topology = self.topology.lock();
        let kvm = guest().map(Kvm::try_lock).transpose()?;

        Ok(Locked { kvm, topology })
    }

    /// Filters the matrices of all mediated devices' guests anew, those last whose `kvm->lock` has
    /// to be waited for.
    fn refilter_all(&self, batch: &mut Batch) {
        let mut busy = KVec::new();
        let mut index = 0;

        loop {
            let mdev = match self.topology.lock().mdevs.by_id.get(index) {
                Some(mdev) => mdev.clone(),
                None => break,
            };
            index += 1;
            let Some(mdev) = mdev else {
                continue;
            };
            match self.try_lock_with_guest(|| mdev.kvm()) {
                Ok(mut locked) => mdev.refilter(self, &mut locked, batch),
                // Without memory for the list it is waited for at once.
                Err(_) if busy.push(mdev.clone(), GFP_KERNEL).is_ok() => (),
                Err(_) => self.refilter_one(&mdev, batch),
            }
        }
        for mdev in busy {
            self.refilter_one(&mdev, batch);
        }
    }

    fn refilter_one(&self, mdev: &Mediated, batch: &mut Batch) {
        let mut locked = self.lock_with_guest(|| mdev.kvm());

        mdev.refilter(self, &mut locked, batch);
    }

    /// Returns a bound queue. Takes a leaf lock only.
    #[inline]
    pub(crate) fn queue(&self, apqn: Apqn) -> Option<Arc<Queue>> {
        self.queues.lock().get(apqn).cloned()
    }

    /// Changes what is assigned to a mediated device, and with it what its guest has.
    ///
    /// `change` changes a copy of the matrix. Takes lock 1, and `ap_attr_mutex` before that if it
    /// may add APQNs. Waits, with none of them, for the resets of queues that are to be added: one
    /// that is not done keeps the whole adapter from the guest.
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if an added APQN is reserved for the host's default drivers, `EADDRINUSE` if
    /// one is assigned to another device. Then nothing has changed.
    pub(crate) fn change_matrix(
        &self,
        mdev: &Arc<Mediated>,
        kind: Change,
        change: &dyn Fn(&mut Matrix),
    ) -> Result {
        let mut batch = Batch::new();
        let mut patience = Some(Wait::PROBE);
        let (reservations, mut locked, old, new, added) = loop {
            let reservations = match kind {
                Change::Any => Some(Reservations::lock()),
                Change::Fewer => None,
            };
            let locked = match self.try_lock_with_guest(|| mdev.kvm()) {
                Ok(locked) => locked,
                Err(kvm) => {
                    drop(reservations);
                    kvm.wait_until_unlocked();
                    continue;
                }
            };
            let old = mdev.matrix();
            let mut new = old;

            change(&mut new);
            if new == old {
                return Ok(());
            }
            let added = new.apqns_not_in(&old);
            let resets = self.resets_in(&locked.topology, &added);
            match patience.take() {
                Some(patience) if !resets.is_empty() => {
                    drop(locked);
                    drop(reservations);
                    resets.wait(self, patience);
                }
                _ => break (reservations, locked, old, new, added),
            }
        };
        let topology = &mut *locked.topology;
        let removed = old.apqns_not_in(&new);
        let claimed = self.claim(topology, mdev, reservations.as_ref(), &added);

        trace::assign(|| (mdev.name(), [new.apm(), new.aqm(), new.adm()], claimed));
        claimed?;
        topology.owners.release(&removed);
        mdev.set_matrix(new);
        for apqn in topology.bound.iter_in(&removed) {
            self.set_owner(apqn, None);
        }
        for apqn in topology.bound.iter_in(&added) {
            self.set_owner(apqn, Some(mdev));
        }
        mdev.refilter(self, &mut locked, &mut batch);
        drop(locked);
        drop(reservations);

        batch.wait(self, Wait::RESET);
        Ok(())
    }

    /// Returns the resets that are going on of bound queues of a set.
    pub(crate) fn resets_in(&self, topology: &Topology, set: &ApqnSet) -> Batch {
        let mut batch = Batch::new();

        // Those that are passable are not being reset.
        for apqn in topology
            .passable
            .iter_bound_but_not_in(&topology.bound, set)
        {
            if let Some(queue) = self.queue(apqn) {
                batch.join(&queue);
            }
        }
        batch
    }

    /// Waits for the resets that are going on of bound queues of a set, though not for long. To be
    /// called without any lock of ours. Does not take lock 1 when there is none, so that looking
    /// needs not wait for whoever changes something.
    pub(crate) fn wait_for_resets_in(&self, set: &ApqnSet) {
        let mut batch = Batch::new();

        for (apid, domains) in set.rows() {
            let unsettled = self.unsettled.lock().row(apid) & domains;

            for bit in unsettled.iter() {
                if let Some(queue) = self.queue(Apqn::from_mask_bits(apid, bit)) {
                    batch.join(&queue);
                }
            }
        }
        batch.wait(self, Wait::PROBE);
    }

    fn claim(
        &self,
        topology: &mut Topology,
        mdev: &Mediated,
        reservations: Option<&Reservations>,
        added: &ApqnSet,
    ) -> Result {
        if reservations.is_some_and(|reservations| reservations.reserved(added, &topology.bound)) {
            self.record(Level::Warning, &RESERVED, [added.count().into(), 0, 0, 0]);
            return Err(eaddrnotavail());
        }
        if let Err(conflict) = topology.owners.try_claim(added, mdev.id()) {
            self.report_conflict(mdev, conflict.apqn, topology.mdevs.get(conflict.owner));
            return Err(eaddrinuse());
        }
        Ok(())
    }

    fn set_owner(&self, apqn: Apqn, owner: Option<&Arc<Mediated>>) {
        if let Some(queue) = self.queue(apqn) {
            queue.set_owner(owner);
        }
    }

    fn report_conflict(&self, mdev: &Mediated, apqn: Apqn, owner: Option<&Arc<Mediated>>) {
        let (apid, apqi) = (apqn.apid.get(), apqn.apqi.get());

        self.record(Level::Warning, &SHARED, [apid.into(), apqi.into(), 0, 0]);
        if let Some(owner) = owner.filter(|_| may_print()) {
            dev_warn!(
                mdev.device(),
                "queue {:02x}.{:04x} cannot be assigned: mdev {} has it; unassign it there first\n",
                apid,
                apqi,
                owner.name()
            );
        }
    }

    /// Makes a mediated device to which nothing is assigned.
    pub(crate) fn add_mdev(self: &Arc<Self>, device: &Device) -> Result<Arc<Mediated>> {
        self.topology
            .lock()
            .mdevs
            .add(|id| Mediated::new(self.clone(), device, id))
    }

    /// Removes a mediated device that is not open, and resets all its queues.
    pub(crate) fn remove_mdev(&self, mdev: &Arc<Mediated>) {
        let mut batch = Batch::new();
        // It has no guest.
        let mut locked = self.lock_with_guest(|| mdev.kvm());
        let topology = &mut *locked.topology;
        let all = mdev.matrix().apqns();

        mdev.set_matrix(Matrix::EMPTY);
        topology.owners.release(&all);
        for apqn in topology.bound.iter_in(&all) {
            self.set_owner(apqn, None);
        }
        mdev.refilter(self, &mut locked, &mut batch);
        locked.topology.mdevs.remove(mdev.id());
        drop(locked);

        batch.wait(self, Wait::RESET);
    }

    /// Adds a queue that the driver is being bound to. It is passed to a guest, if it is assigned
    /// to one's device, as soon as it was reset.
    ///
    /// Waits for that only if a guest expects it. What else would notice the difference waits when
    /// it does, and for all queues at once: opening the mediated device, reading its
    /// `guest_matrix`, assigning more to it, and [`scan_complete`](Self::scan_complete).
    pub(crate) fn add_queue(&self, queue: &Arc<Queue>) -> Result {
        let mut batch = Batch::new();
        let mut topology = self.topology.lock();
        let apqn = queue.apqn();

        // Rows come and queues change with lock 1 held only.
        if !self.queues.lock().has_row(apqn.apid) {
            let row = Queues::new_row()?;

            self.queues.lock().add_row(apqn.apid, row);
        }
        let old = self.queues.lock().replace(apqn, Some(queue.clone()));
        drop(old);
        topology.bound.insert(apqn);
        let owner = topology.owner(apqn);
        let expected = owner.is_some_and(|mdev| mdev.has_guest());
        let wait = expected && topology.config == topology.settled;
        queue.set_owner(owner);
        batch.start(self, queue);
        drop(topology);

        if wait {
            batch.wait(self, Wait::PROBE);
        }
        Ok(())
    }

    /// Removes a queue that the driver is being unbound from. Its adapter is taken from the guest
    /// that has it.
    pub(crate) fn remove_queue(&self, queue: &Arc<Queue>) {
        let mut batch = Batch::new();
        let mut locked = self.lock_with_guest(|| queue.guest_kvm());
        let apqn = queue.apqn();

        // Passable and no guest's: nobody has used it since its last reset.
        let clean = locked.topology.passable.forget(apqn) && !queue.has_guest();
        if let Some(mdev) = queue.owner() {
            mdev.refilter_adapter(self, &mut locked, apqn.apid, &mut batch);
        }
        locked.topology.bound.remove(apqn);
        let old = self.queues.lock().replace(apqn, None);
        drop(old);
        queue.set_owner(None);
        if !clean {
            batch.start_or_join(self, queue);
        }
        drop(locked);

        batch.wait(self, Wait::RESET);
        queue.abandon();
        queue.give_up_pin();
        if queue.is_held() {
            // What hardware may write stays where it is, until the worker has seen the queue at
            // rest. Without memory for the list it is given up, which is safe as well.
            let _ = self.orphans.lock().push(queue.clone(), GFP_KERNEL);
            self.kick();
        }
    }

    /// Tells whether an APQN of adapters and domains is assigned to a mediated device.
    pub(crate) fn in_use(&self, apm: Mask256, aqm: Mask256) -> bool {
        let topology = self.topology.lock();
        let first = topology.owners.first_owned(&ApqnSet::product(apm, aqm));
        let Some((apqn, owner)) = first else {
            return false;
        };
        let (apid, apqi) = (apqn.apid.get(), apqn.apqi.get());

        self.record(Level::Warning, &IN_USE, [apid.into(), apqi.into(), 0, 0]);
        if let Some(owner) = topology.mdevs.get(owner).filter(|_| may_print()) {
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
        drop(topology);

        self.refilter_all(&mut batch);
        batch.wait(self, Wait::RESET);
    }

    /// The bus has made and removed its devices.
    pub(crate) fn scan_complete(&self) {
        let mut batch = Batch::new();
        let resets = {
            let topology = self.topology.lock();
            let all = ApqnSet::product(topology.config.apm(), topology.config.aqm());

            self.resets_in(&topology, &all)
        };

        // Else the adapters of queues in new domains would be taken from their guests meanwhile.
        resets.wait(self, Wait::PROBE);

        let mut topology = self.topology.lock();
        topology.settled = topology.config;
        drop(topology);

        self.refilter_all(&mut batch);
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
