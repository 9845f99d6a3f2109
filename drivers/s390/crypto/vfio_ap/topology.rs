// SPDX-License-Identifier: GPL-2.0

//! Which queues are bound, which APQN is whose, and what may be passed to a guest.
//!
//! There is one [`Topology`]. It knows mediated devices as [`Owner`]s only.
//!
//! # Locks
//!
//! From the outermost to the innermost; whoever holds one takes only those after it.
//!
//! 0. The callers': the AP bus's scan mutex, device locks, `ap_attr_mutex`, VFIO's group and device
//!    set locks.
//! 1. `session` of one mediated device: its migration. Then `configuring`: assignments, one after
//!    the other. Only its attributes and its migration take it, before `ap_attr_mutex`.
//! 2. `kvm->lock` of one guest: its AP control block. User space can have it held for as long as it
//!    likes, so it is never waited for with 3 held, or `ap_attr_mutex`.
//! 3. [`Topology::lock`]: ownership of APQNs, what is bound and passable, the configuration.
//! 4. `state` of one mediated device: its matrix, its guest, its eventfds.
//! 5. `state` of one queue: its hardware.
//! 6. Leaves, each for itself: the table of queues, the table of unsettled ones, the orphans, a
//!    guest's matrix, the pins of an open device, workers, the link of a migration's data file and
//!    the looks that a guest is to take.
//!
//! The hook for a guest's PQAP(AQIC) runs under the guest's `pqap_hook_rwsem`, and takes nothing
//! but 5 and 6; it is registered and unregistered with no lock of ours held. VFIO calls `dma_unmap`
//! under locks that pinning and unpinning take; it needs 4 to 6, so pages are pinned and unpinned
//! with none of ours held.
//!
//! An APQN is owned while it is assigned, and until it is in no AP control block any more.
//! Assigning reserves first, with 3, and then gives, with 2 and 3; unassigning takes, with 2 and 3,
//! starts resets, and only then releases ownership.
//!
//! Nobody waits for hardware with a lock of ours held, but for 1.

use crate::{
    kapi::{
        ap::Reservations,
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
        PassableTable,
        ResetOutcome, //
    },
    queue::{
        Patience,
        Queue, //
    },
};
use kernel::{
    device::Device,
    new_mutex, new_spinlock,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        MutexGuard,
        SpinLock, //
    },
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

/// A mediated device, as far as the topology knows it.
pub(crate) trait Owner: Send + Sync + 'static {
    /// Returns the device, for messages.
    fn device(&self) -> &Device;

    /// Whether queues of one of its adapters may be passed has changed. Called with no lock of ours
    /// held. Must not wait for a guest.
    fn passable_changed(self: &Arc<Self>, apid: Apid);
}

/// The worker that looks after unsettled queues.
pub(crate) trait Kick: Send + Sync {
    /// Has it look soon. Called under any lock.
    fn kick(&self);
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
struct Mdevs<O> {
    by_id: KVec<Option<Arc<O>>>,
    /// The numbers that are free. Has room for all there are.
    free: KVec<OwnerId>,
}

impl<O> Mdevs<O> {
    /// Adds the device that `make` makes with its number.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there are 65536 devices, and those of `make`. Then there is none more.
    fn add(&mut self, make: impl FnOnce(OwnerId) -> Result<Arc<O>>) -> Result<Arc<O>> {
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

    fn remove(&mut self, id: OwnerId) {
        let slot = self.by_id.get_mut(usize::from(id.0));

        if slot.and_then(Option::take).is_some() {
            // Does not ask for memory: there is room. If there were none, the number would be lost.
            let _ = self.free.push(id, GFP_KERNEL);
        }
    }

    fn get(&self, id: OwnerId) -> Option<&Arc<O>> {
        self.by_id.get(usize::from(id.0))?.as_ref()
    }
}

/// The topology's data: protected by lock 3.
pub(crate) struct State<O> {
    /// The host's configuration, as the AP bus last reported it.
    pub(crate) config: HostConfig,
    /// The part of it whose queue devices exist: between a change and the end of the bus's scan,
    /// what was added is not in it.
    pub(crate) settled: HostConfig,
    /// Which APQNs are whose.
    owners: OwnershipTable<Rows, KVBox<OwnerRows>>,
    /// Which queues are bound to this driver.
    pub(crate) bound: ApqnTable<Rows>,
    /// Which of them may be passed to a guest.
    pub(crate) passable: PassableTable<Rows>,
    mdevs: Mdevs<O>,
    /// How many guests' matrices were filtered as a whole.
    pub(crate) filtered_matrices: u64,
    /// How often one adapter of a guest's matrix was.
    pub(crate) filtered_adapters: u64,
}

impl<O: Owner> State<O> {
    /// Returns the mediated device that an APQN is owned by.
    pub(crate) fn owner(&self, apqn: Apqn) -> Option<&Arc<O>> {
        self.mdevs.get(self.owners.owner(apqn)?)
    }

    /// Tells whether an APQN of a set is reserved for the host's default drivers.
    ///
    /// One that is bound to this driver is not, unless the masks give it to the host, and no driver
    /// override is against that. The bus need not be asked for the others: that is slow.
    fn has_reserved(&self, reservations: &Reservations, set: &ApqnSet) -> bool {
        let (apm, aqm) = reservations.masks();

        self.bound
            .iter_missing_or_within(set, apm, aqm)
            .any(|apqn| reservations.has(apqn))
    }

    /// Gives up the ownership of APQNs that are in no AP control block any more.
    pub(crate) fn release(&mut self, set: &ApqnSet) {
        self.owners.release(set);
    }

    /// Removes a mediated device that owns nothing.
    pub(crate) fn remove_mdev(&mut self, id: OwnerId) {
        self.mdevs.remove(id);
    }
}

/// The topology of the host.
#[pin_data]
pub(crate) struct Topology<O> {
    /// Lock 3.
    #[pin]
    state: Mutex<State<O>>,
    /// The bound queues by APQN, for those who must not take lock 3. A leaf.
    #[pin]
    queues: SpinLock<Queues>,
    /// The queues of which something is outstanding. A leaf.
    #[pin]
    unsettled: Mutex<ApqnTable<Rows>>,
    /// Queues that were unbound while hardware might still write for them. Has room for all that
    /// are bound. A leaf.
    #[pin]
    orphans: Mutex<KVec<Arc<Queue>>>,
    /// Looks after the unsettled ones and the orphans. A leaf.
    #[pin]
    worker: Mutex<Option<KBox<dyn Kick>>>,
    limits: Limits,
    debug: DebugFeature,
}

/// The state of the host, for its file in debugfs.
pub(crate) struct TopologyOverview {
    pub(crate) config: HostConfig,
    pub(crate) is_scan_pending: bool,
    pub(crate) mdevs: usize,
    pub(crate) bound: u32,
    pub(crate) passable: u32,
    pub(crate) unsettled: u32,
    pub(crate) filtered_matrices: u64,
    pub(crate) filtered_adapters: u64,
}

static RESERVED: Format =
    Format::new(c"assign: one of %lu APQNs is reserved for the host's drivers\n");
static SHARED: Format = Format::new(c"assign: queue %02lx.%04lx is assigned to another mdev\n");
static IN_USE: Format = Format::new(c"in use: queue %02lx.%04lx is assigned to an mdev\n");
static RESET_FAILED: Format = Format::new(c"reset: queue %02lx.%04lx answered rc=%02lx\n");

impl<O: Owner> Topology<O> {
    /// Makes the topology of a host that has `config`.
    pub(crate) fn new(name: &'static CStr, config: HostConfig) -> Result<Arc<Self>> {
        let state = State {
            config,
            settled: config,
            owners: OwnershipTable::new(rows()?, owner_rows()?),
            bound: ApqnTable::new(rows()?),
            passable: PassableTable::new(rows()?),
            mdevs: Mdevs {
                by_id: KVec::new(),
                free: KVec::new(),
            },
            filtered_matrices: 0,
            filtered_adapters: 0,
        };
        let unsettled = ApqnTable::new(rows()?);
        let queues = Queues::new()?;
        let debug = DebugFeature::new(name)?;

        Arc::pin_init(
            pin_init!(Self {
                state <- new_mutex!(state, "vfio_ap::topology"),
                queues <- new_spinlock!(queues, "vfio_ap::queues"),
                unsettled <- new_mutex!(unsettled, "vfio_ap::unsettled"),
                orphans <- new_mutex!(KVec::new(), "vfio_ap::orphans"),
                worker <- new_mutex!(None, "vfio_ap::worker"),
                limits: *config.limits(),
                debug,
            }),
            GFP_KERNEL,
        )
    }

    /// Takes lock 3.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<O>> {
        self.state.lock()
    }

    /// Returns the largest numbers that the host can have. They never change.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Adds a record to the debug feature.
    pub(crate) fn record(&self, level: Level, format: &'static Format, values: [u64; 4]) {
        self.debug.event(level, format, values);
    }

    fn record_apqn(&self, level: Level, format: &'static Format, apqn: Apqn, value: u8) {
        let (apid, apqi) = (apqn.apid.get(), apqn.apqi.get());

        self.record(level, format, [apid.into(), apqi.into(), value.into(), 0]);
    }

    /// Returns a bound queue. Takes a leaf lock only.
    #[inline]
    pub(crate) fn queue(&self, apqn: Apqn) -> Option<Arc<Queue>> {
        self.queues.lock().get(apqn).cloned()
    }

    /// Returns the mediated device with a number, or the next one that there is.
    pub(crate) fn mdev_from(&self, id: OwnerId) -> Option<(OwnerId, Arc<O>)> {
        let state = self.lock();
        let mut rest = (id.0..).zip(state.mdevs.by_id.get(usize::from(id.0)..)?);

        rest.find_map(|(id, mdev)| Some((OwnerId(id), mdev.clone()?)))
    }

    /// Returns what is shown of it.
    pub(crate) fn overview(&self) -> TopologyOverview {
        let unsettled = self.unsettled.lock().count();
        let state = self.lock();

        TopologyOverview {
            config: state.config,
            is_scan_pending: state.config != state.settled,
            mdevs: state.mdevs.by_id.len() - state.mdevs.free.len(),
            bound: state.bound.count(),
            passable: state.passable.count(),
            unsettled,
            filtered_matrices: state.filtered_matrices,
            filtered_adapters: state.filtered_adapters,
        }
    }

    /// Adds a mediated device that owns nothing.
    pub(crate) fn add_mdev(&self, make: impl FnOnce(OwnerId) -> Result<Arc<O>>) -> Result<Arc<O>> {
        self.lock().mdevs.add(make)
    }

    /// Reserves the APQNs for a mediated device that a change of its matrix from `old` to `new`
    /// adds. `reservations` are what the change has to respect, if it can add any.
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if an APQN of the new matrix is reserved for the host's default drivers,
    /// `EADDRINUSE` if an added one is another device's. Then nothing has changed.
    pub(crate) fn claim(
        &self,
        state: &mut State<O>,
        mdev: (OwnerId, &Device),
        reservations: Option<&Reservations>,
        old: &Matrix,
        new: &Matrix,
    ) -> Result {
        let (id, device) = mdev;

        self.check_reserved(state, reservations, new)?;
        let Err(conflict) = state.owners.try_claim(&new.apqns_not_in(old), id) else {
            return Ok(());
        };

        self.record_apqn(Level::Warning, &SHARED, conflict.apqn, 0);
        if let Some(owner) = state.mdevs.get(conflict.owner).filter(|_| may_print()) {
            dev_warn!(
                device,
                "queue {:02x}.{:04x} cannot be assigned: mdev {} has it; unassign it there first\n",
                conflict.apqn.apid.get(),
                conflict.apqn.apqi.get(),
                owner.device().name()
            );
        }
        Err(eaddrinuse())
    }

    fn check_reserved(
        &self,
        state: &State<O>,
        reservations: Option<&Reservations>,
        new: &Matrix,
    ) -> Result {
        let all = new.apqns();

        if reservations.is_some_and(|reservations| state.has_reserved(reservations, &all)) {
            self.record(Level::Warning, &RESERVED, [all.count().into(), 0, 0, 0]);
            return Err(eaddrnotavail());
        }
        Ok(())
    }

    /// Tells whether a mediated device that owns nothing could have a matrix now.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim).
    pub(crate) fn could_claim(&self, new: &Matrix) -> Result {
        let reservations = Reservations::lock();
        let state = self.lock();

        self.check_reserved(&state, Some(&reservations), new)?;
        match state.owners.first_owned(&new.apqns()) {
            Some(_) => Err(eaddrinuse()),
            None => Ok(()),
        }
    }

    /// Tells whether an APQN of adapters and domains is a mediated device's.
    pub(crate) fn in_use(&self, apm: Mask256, aqm: Mask256) -> bool {
        let state = self.lock();
        let first = state.owners.first_owned(&ApqnSet::product(apm, aqm));
        let Some((apqn, owner)) = first else {
            return false;
        };

        self.record_apqn(Level::Warning, &IN_USE, apqn, 0);
        if let Some(owner) = state.mdevs.get(owner).filter(|_| may_print()) {
            dev_warn!(
                owner.device(),
                "queue {:02x}.{:04x} cannot be a host driver's: unassign it from this mdev first\n",
                apqn.apid.get(),
                apqn.apqi.get()
            );
        }
        true
    }

    /// Adds a queue that the driver is being bound to, and starts its first reset. Returns the
    /// device that owns it.
    pub(crate) fn bind(&self, queue: &Arc<Queue>) -> Result<Option<Arc<O>>> {
        let mut state = self.lock();
        let apqn = queue.apqn();

        // Rows come and queues change with lock 3 held only.
        if !self.queues.lock().has_row(apqn.apid) {
            let row = Queues::new_row()?;

            self.queues.lock().add_row(apqn.apid, row);
        }
        let bound = state.bound.count() as usize;
        self.orphans.lock().reserve(bound + 1, GFP_KERNEL)?;

        let old = self.queues.lock().replace(apqn, Some(queue.clone()));
        drop(old);
        state.bound.insert(apqn);
        queue.start_reset();
        self.look_after(apqn);
        Ok(state.owner(apqn).cloned())
    }

    /// Removes a queue that the driver is being unbound from. From now on it is not passable.
    /// Returns the device that owns it, and whether it is known to be clean unless a guest has it.
    pub(crate) fn unbind(&self, queue: &Queue) -> (Option<Arc<O>>, bool) {
        let mut state = self.lock();
        let apqn = queue.apqn();
        let was_passable = state.passable.forget(apqn);
        let old = self.queues.lock().replace(apqn, None);

        state.bound.remove(apqn);
        drop(old);
        (state.owner(apqn).cloned(), was_passable)
    }

    /// Leaves a queue that was unbound to its next user. If hardware may still write for it, it is
    /// looked after until it does not.
    pub(crate) fn orphan(&self, queue: Arc<Queue>) {
        if queue.orphan() {
            // Does not ask for memory: there is room for all that are bound. If there were none,
            // the memory would be given up, which is safe as well.
            let _ = self.orphans.lock().push(queue, GFP_KERNEL);
            self.kick();
        }
    }

    /// Returns the orphans, as many as there is memory for.
    pub(crate) fn orphans(&self) -> KVec<Arc<Queue>> {
        let mut orphans = KVec::new();

        for queue in &*self.orphans.lock() {
            if orphans.push(queue.clone(), GFP_KERNEL).is_err() {
                break;
            }
        }
        orphans
    }

    /// Starts the resets of queues that no AP control block has any more. They are not passable
    /// until those have ended.
    pub(crate) fn withdraw(&self, state: &mut State<O>, set: &ApqnSet) {
        state.passable.forget_all(set);
        self.start_resets(state, set);
    }

    /// Starts the resets of all bound queues of a set, which stay with whoever has them.
    pub(crate) fn start_resets(&self, state: &State<O>, set: &ApqnSet) {
        for apqn in state.bound.iter_in(set) {
            if let Some(queue) = self.queue(apqn) {
                queue.start_reset();
                self.look_after(apqn);
            }
        }
    }

    /// Sets the worker that looks after queues.
    pub(crate) fn set_worker(&self, worker: Option<KBox<dyn Kick>>) {
        // Dropped out of the lock, which its task takes.
        let old = core::mem::replace(&mut *self.worker.lock(), worker);

        drop(old);
    }

    /// Has the worker look after a queue, if nobody else does. Takes leaf locks only.
    pub(crate) fn look_after(&self, apqn: Apqn) {
        self.unsettled.lock().insert(apqn);
        self.kick();
    }

    fn kick(&self) {
        if let Some(worker) = &*self.worker.lock() {
            worker.kick();
        }
    }

    /// Looks how a queue's reset and the disabling of its interrupts are going, and what that means
    /// for its owner's guest. Returns whether its reset, if there was one, has ended.
    ///
    /// To be called without any lock of ours but 1.
    pub(crate) fn poll(&self, queue: &Arc<Queue>) -> bool {
        let apqn = queue.apqn();

        if let Some(ResetOutcome::Unexpected(code)) = queue.poll() {
            self.record_apqn(Level::Error, &RESET_FAILED, apqn, code);
        }
        if !queue.is_due() {
            return !queue.is_being_reset();
        }
        let changed = {
            let mut state = self.lock();
            // A queue that was unbound, and perhaps bound again as another one, is not ours to
            // judge.
            let is_bound = self
                .queue(apqn)
                .is_some_and(|bound| Arc::ptr_eq(&bound, queue));

            match queue.take_due() {
                Some(outcome) if is_bound && state.passable.record(apqn, outcome) => {
                    state.owner(apqn).cloned()
                }
                _ => None,
            }
        };
        if let Some(owner) = changed {
            owner.passable_changed(apqn.apid);
        }
        !queue.is_being_reset()
    }

    /// Waits for the resets that are going on of bound queues of a set, and for interrupts that are
    /// being disabled. Returns whether there are none any more.
    ///
    /// To be called without any lock of ours but 1.
    pub(crate) fn wait(&self, set: &ApqnSet, patience: &mut Patience) -> bool {
        patience.poll(&mut || {
            let mut is_over = true;

            for (apid, domains) in set.rows() {
                let unsettled = self.unsettled.lock().row(apid) & domains;

                for bit in unsettled.iter() {
                    is_over &= !self.poll_one(Apqn::from_mask_bits(apid, bit));
                }
            }
            is_over
        })
    }

    /// Tells whether the last reset of every bound queue of a set was performed.
    pub(crate) fn were_reset(&self, set: &ApqnSet) -> bool {
        let state = self.lock();
        let mut all = state.bound.iter_in(set);

        all.all(|apqn| self.queue(apqn).is_none_or(|queue| queue.was_reset()))
    }

    /// Polls all queues of which something is outstanding. Returns whether something still is. For
    /// the worker.
    pub(crate) fn poll_unsettled(&self) -> bool {
        let mut is_any_left = false;

        for apid in self.limits.apids() {
            let unsettled = self.unsettled.lock().row(apid);

            for bit in unsettled.iter() {
                is_any_left |= self.poll_one(Apqn::from_mask_bits(apid, bit));
            }
        }
        is_any_left
    }

    /// Polls one of them, and notes if nothing is outstanding any more. Returns whether something
    /// still is.
    fn poll_one(&self, apqn: Apqn) -> bool {
        if let Some(queue) = self.queue(apqn) {
            self.poll(&queue);
            if queue.is_unsettled() {
                return true;
            }
        }
        self.unsettled.lock().remove(apqn);
        // A change that began meanwhile is noted again.
        let is_left = self.queue(apqn).is_some_and(|queue| queue.is_unsettled());
        if is_left {
            self.unsettled.lock().insert(apqn);
        }
        is_left
    }

    /// Polls all orphans. Returns whether one is left. For the worker.
    pub(crate) fn poll_orphans(&self) -> bool {
        let mut at = 0;

        loop {
            let Some(queue) = self.orphans.lock().get(at).cloned() else {
                return at != 0;
            };

            queue.poll();
            if queue.holds_memory() {
                at += 1;
                continue;
            }
            // Only the worker removes any, and they are added at the end.
            let removed = self.orphans.lock().remove(at);
            drop(removed);
        }
    }
}
