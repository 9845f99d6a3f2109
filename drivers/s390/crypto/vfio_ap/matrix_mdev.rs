// SPDX-License-Identifier: GPL-2.0

//! A matrix mediated device: what is assigned to it, and the guest that it is passed to.
//!
//! There is one [`MatrixMdev`] for each device that an administrator has created. While it is open
//! it has a [`Guest`].

use crate::{
    guest::Guest,
    kapi::{
        ap::Reservations,
        eventfd::EventFd,
        kvm::{
            HookRegistration,
            Kvm,
            LockedKvm, //
        },
        notify::Notifier,
        page::Pins,
        trace,
        work::{
            Task,
            WorkQueue,
            Worker, //
        },
    },
    model::{
        Apid,
        Apqn,
        ApqnSet,
        GuestMatrix,
        Matrix,
        OwnerId,
        Page, //
    },
    queue::Patience,
    topology::{
        self,
        Owner, //
    },
};
use core::fmt::Write;
use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        static_lock_class,
        Arc,
        Mutex, //
    },
    time::Delta, //
};

/// The topology, whose owners are matrix mediated devices.
pub(crate) type Topology = topology::Topology<MatrixMdev>;

/// How long a change waits until user space is told. A queue that comes back within that time, as
/// it does after its reset, is no change.
const ANNOUNCE: Delta = Delta::from_millis(20);

/// The state of a queue, for an administrator.
#[derive(Clone, Copy)]
pub(crate) enum QueueStatus {
    /// Not assigned to a mediated device.
    Unassigned,
    /// Assigned to one.
    Assigned,
    /// And passed to a guest.
    InUse,
}

impl QueueStatus {
    /// Returns it as the attribute `status` has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            QueueStatus::Unassigned => "unassigned",
            QueueStatus::Assigned => "assigned",
            QueueStatus::InUse => "in use",
        }
    }
}

/// Returns the state of a queue, for an administrator, and the device that it is assigned to.
pub(crate) fn queue_status(
    topology: &Topology,
    apqn: Apqn,
) -> (QueueStatus, Option<Arc<MatrixMdev>>) {
    let owner = topology.lock().owner(apqn).cloned();
    let status = match &owner {
        None => QueueStatus::Unassigned,
        Some(mdev) if mdev.guest_has(apqn) => QueueStatus::InUse,
        Some(_) => QueueStatus::Assigned,
    };

    (status, owner)
}

/// The attribute that can be polled.
pub(crate) const GUEST_MATRIX: &CStr = c"guest_matrix";

/// The events that a VMM can ask to be told of; their indexes in `VFIO_DEVICE_SET_IRQS`.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Event {
    /// The driver would like the device back.
    Request = 0,
    /// The guest's matrix has changed.
    ConfigChange = 1,
}

impl Event {
    /// How many there are.
    pub(crate) const COUNT: usize = 2;
}

/// The user of the device.
enum Access {
    /// Nobody. This is what a guest would have.
    Closed(GuestMatrix),
    /// A guest, which knows what it has.
    Open {
        guest: Arc<Guest>,
        /// Everything was taken from it, because the driver would like the device back, or because
        /// it is being closed.
        is_withdrawn: bool,
    },
}

/// The variable state of a mediated device: protected by lock 4.
struct State {
    /// The assigned matrix. Changes only with locks 1 and 3 held as well.
    matrix: Matrix,
    /// Changes only with lock 3 held as well.
    access: Access,
    hook: Option<HookRegistration>,
    /// The guest's matrix that user space was told last.
    announced: GuestMatrix,
    /// How often the matrix that the guest has, or would have, has changed.
    changes: u64,
    /// A change was left to the worker.
    is_behind: bool,
    triggers: [Option<EventFd>; Event::COUNT],
}

impl State {
    fn guest_matrix(&self) -> GuestMatrix {
        match &self.access {
            Access::Closed(matrix) => *matrix,
            Access::Open { guest, .. } => guest.matrix(),
        }
    }
}

/// A matrix mediated device.
#[pin_data]
pub(crate) struct MatrixMdev {
    topology: Arc<Topology>,
    device: ARef<Device>,
    id: OwnerId,
    notifier: Notifier,
    /// Lock 1.
    #[pin]
    configuring: Mutex<()>,
    /// Lock 4.
    #[pin]
    state: Mutex<State>,
    /// Tells user space that the guest's matrix has changed, which takes memory and locks that are
    /// not ours, and gives the guest what could not be given at once. A leaf.
    #[pin]
    worker: Mutex<Option<Pin<KBox<Worker<Follow>>>>>,
}

/// The state of a mediated device, for its file in debugfs.
pub(crate) struct MatrixMdevOverview {
    pub(crate) matrix: Matrix,
    pub(crate) guest: GuestMatrix,
    pub(crate) is_open: bool,
    pub(crate) is_withdrawn: bool,
    pub(crate) changes: u64,
}

/// The kind of a change of a matrix.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Any: nothing of the new matrix may be reserved for the host.
    Any,
    /// There are no more APQNs than before.
    Fewer,
}

/// Which changes wait for the `kvm->lock` of the guest, which can be for ever.
#[derive(Clone, Copy)]
pub(crate) enum WaitForGuest {
    /// All of them.
    Always,
    /// Only those that take something from it. Others are left to the device's worker.
    ToTake,
    /// None: they are left to the device's worker.
    Never,
}

/// Filtering needs lock 2 of a guest.
struct NeedsGuest {
    kvm: Kvm,
    /// Something has to be taken from it.
    loses: bool,
}

/// The task of a mediated device's worker.
struct Follow(Arc<MatrixMdev>);

impl Task for Follow {
    fn run(&self) -> Option<Delta> {
        if core::mem::take(&mut self.0.state.lock().is_behind) {
            self.0.settle(WaitForGuest::Always);
        }
        self.0.announce();
        None
    }
}

/// The running worker of a mediated device; stopped and waited for when dropped.
pub(crate) struct Following(Arc<MatrixMdev>);

impl Following {
    /// Starts the worker, which sleeps until there is something to do.
    pub(crate) fn start(mdev: Arc<MatrixMdev>, queue: Arc<WorkQueue>) -> Result<Self> {
        let worker = KBox::pin_init(
            Worker::new(
                queue,
                Follow(mdev.clone()),
                c"vfio_ap_follow",
                static_lock_class!(),
                static_lock_class!(),
            ),
            GFP_KERNEL,
        )?;

        *mdev.worker.lock() = Some(worker);
        Ok(Self(mdev))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Out of the lock, which is taken under those that the task takes.
        let worker = self.0.worker.lock().take();

        drop(worker);
    }
}

impl Owner for MatrixMdev {
    fn device(&self) -> &Device {
        &self.device
    }

    fn passable_changed(self: &Arc<Self>, apid: Apid) {
        self.settle_one(apid, WaitForGuest::Never);
    }
}

impl MatrixMdev {
    /// Makes the device that the topology knows by a number.
    pub(crate) fn new(
        topology: Arc<Topology>,
        device: &Device,
        notifier: Notifier,
        id: OwnerId,
    ) -> Result<Arc<Self>> {
        let state = State {
            matrix: Matrix::EMPTY,
            access: Access::Closed(GuestMatrix::EMPTY),
            hook: None,
            announced: GuestMatrix::EMPTY,
            changes: 0,
            is_behind: false,
            triggers: [const { None }; Event::COUNT],
        };

        Arc::pin_init(
            pin_init!(Self {
                topology,
                device: device.into(),
                id,
                notifier,
                configuring <- new_mutex!((), "vfio_ap::mdev.configuring"),
                state <- new_mutex!(state, "vfio_ap::mdev.state"),
                worker <- new_mutex!(None, "vfio_ap::mdev.worker"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the topology.
    pub(crate) fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// Returns the device's name, which is its UUID.
    pub(crate) fn name(&self) -> &CStr {
        self.device.name()
    }

    /// Returns what is assigned.
    pub(crate) fn matrix(&self) -> Matrix {
        self.state.lock().matrix
    }

    /// Returns what the guest has, or would have if there were one. Waits a while for resets after
    /// which it will have more.
    pub(crate) fn settled_guest_matrix(&self) -> GuestMatrix {
        self.topology
            .wait(&self.matrix().apqns(), &mut Patience::for_probe());
        self.state.lock().guest_matrix()
    }

    /// Returns its guest.
    pub(crate) fn guest(&self) -> Option<Arc<Guest>> {
        match &self.state.lock().access {
            Access::Closed(_) => None,
            Access::Open { guest, .. } => Some(guest.clone()),
        }
    }

    /// Tells whether a guest has it open.
    pub(crate) fn has_guest(&self) -> bool {
        self.guest().is_some()
    }

    /// Tells whether a guest has one of its queues.
    pub(crate) fn guest_has(&self, apqn: Apqn) -> bool {
        self.guest().is_some_and(|guest| guest.has(apqn))
    }

    /// Returns what is shown of it.
    pub(crate) fn overview(&self) -> MatrixMdevOverview {
        let state = self.state.lock();
        let (is_open, is_withdrawn) = match &state.access {
            Access::Closed(_) => (false, false),
            Access::Open { is_withdrawn, .. } => (true, *is_withdrawn),
        };

        MatrixMdevOverview {
            matrix: state.matrix,
            guest: state.guest_matrix(),
            is_open,
            is_withdrawn,
            changes: state.changes,
        }
    }

    /// Sets or takes away the eventfd for an event.
    pub(crate) fn set_trigger(&self, event: Event, trigger: Option<EventFd>) {
        let old = core::mem::replace(&mut self.state.lock().triggers[event as usize], trigger);

        drop(old);
    }

    /// Signals an event, if the VMM asked for it. Returns whether it did.
    pub(crate) fn signal(&self, event: Event) -> bool {
        match &self.state.lock().triggers[event as usize] {
            Some(trigger) => {
                trigger.signal();
                true
            }
            None => false,
        }
    }

    /// Has the worker do what is to do, `after` a while.
    fn kick(&self, after: Delta) {
        if let Some(worker) = &*self.worker.lock() {
            worker.kick(after);
        }
    }

    /// Tells user space if the guest's matrix has changed since the last time: whoever polls
    /// `guest_matrix`, and whoever listens to events of the device.
    fn announce(&self) {
        let (before, after) = {
            let mut state = self.state.lock();
            let after = state.guest_matrix();

            (core::mem::replace(&mut state.announced, after), after)
        };

        if before == after {
            return;
        }
        if (before.apm(), before.aqm()) != (after.apm(), after.aqm()) {
            self.notifier.attribute_changed(GUEST_MATRIX);
        }
        // Room for the name, three masks of 66 characters, and what is between them and behind.
        let mut text = [0; 224];
        let written = write!(
            Page::new(&mut text),
            "GUEST_AP_CONFIG={},{},{}",
            after.apm(),
            after.aqm(),
            after.adm()
        );

        if let (Ok(()), Ok(config)) = (written, CStr::from_bytes_until_nul(&text)) {
            self.notifier
                .device_changed([c"GUEST_MATRIX_CHANGED=1", config]);
        }
    }

    /// Filters anew what the guest has, or would have, and gives and takes queues accordingly. If
    /// `adapter` is there, nothing has changed but whether queues of that one are passable: that
    /// costs as much, however many adapters there are. If something has changed, returns the queues
    /// that were taken, whose resets were started.
    ///
    /// # Errors
    ///
    /// If the guest's AP control block has to change, and `kvm` is not the guest's. Then nothing
    /// has changed.
    fn filter(
        &self,
        topology: &mut topology::State<Self>,
        kvm: Option<&mut LockedKvm>,
        adapter: Option<Apid>,
    ) -> Result<Option<ApqnSet>, NeedsGuest> {
        let mut state = self.state.lock();
        let before = state.guest_matrix();
        let after = match (&state.access, adapter) {
            (
                Access::Open {
                    is_withdrawn: true, ..
                },
                _,
            ) => GuestMatrix::EMPTY,
            (Access::Closed(_), None) => {
                topology.filtered_matrices += 1;
                GuestMatrix::filter(&state.matrix, &topology.settled, &topology.passable)
            }
            (Access::Open { .. }, None) => {
                topology.filtered_matrices += 1;
                before.filter_at_work(
                    &state.matrix,
                    &topology.settled,
                    &topology.passable,
                    &topology.bound,
                )
            }
            (_, Some(apid)) => {
                topology.filtered_adapters += 1;
                before.refilter(
                    &state.matrix,
                    &topology.settled,
                    &topology.passable,
                    &topology.bound,
                    apid,
                )
            }
        };
        let taken = before.apqns_not_in(&after);

        if before == after {
            return Ok(None);
        }
        let State {
            access, triggers, ..
        } = &mut *state;
        match access {
            Access::Closed(matrix) => *matrix = after,
            Access::Open { guest, .. } => {
                let Some(kvm) = kvm.filter(|kvm| kvm.is(guest.kvm())) else {
                    return Err(NeedsGuest {
                        kvm: guest.kvm().clone(),
                        loses: !taken.is_empty(),
                    });
                };

                guest.set_matrix(after);
                kvm.set_masks(&after);
                if let Some(trigger) = &triggers[Event::ConfigChange as usize] {
                    trigger.signal();
                }
            }
        }
        trace::filter(|| (self.name(), [after.apm(), after.aqm(), after.adm()]));
        state.changes += 1;
        drop(state);
        // The guest cannot use them any more: what a reset leaves is left for good.
        self.topology.withdraw(topology, &taken);
        Ok(Some(taken))
    }

    /// Gives the guest what it may have now, and takes what it may not, with no lock of ours held
    /// but 1. Returns the queues that were taken.
    pub(crate) fn settle(&self, wait: WaitForGuest) -> ApqnSet {
        self.settle_adapter(None, wait, &mut |_| ())
    }

    /// Does so when nothing has changed but whether queues of one adapter are passable.
    pub(crate) fn settle_one(&self, adapter: Apid, wait: WaitForGuest) -> ApqnSet {
        self.settle_adapter(Some(adapter), wait, &mut |_| ())
    }

    /// Does either, and calls `finally` with lock 3 still held, unless it was left to the worker.
    fn settle_adapter(
        &self,
        adapter: Option<Apid>,
        wait: WaitForGuest,
        finally: &mut dyn FnMut(&mut topology::State<Self>),
    ) -> ApqnSet {
        let mut kvm: Option<LockedKvm> = None;

        loop {
            // Unlocked before the guest, whose last reference may end with that.
            let mut topology = self.topology.lock();
            let needed = match self.filter(&mut topology, kvm.as_mut(), adapter) {
                Ok(taken) => {
                    finally(&mut topology);
                    if taken.is_some() {
                        self.kick(ANNOUNCE);
                    }
                    return taken.unwrap_or(ApqnSet::EMPTY);
                }
                Err(needed) => needed,
            };

            drop(topology);
            drop(kvm.take());
            kvm = match wait {
                WaitForGuest::Always => Some(needed.kvm.lock()),
                WaitForGuest::ToTake if needed.loses => Some(needed.kvm.lock()),
                WaitForGuest::ToTake | WaitForGuest::Never => needed.kvm.try_lock(),
            };
            if kvm.is_none() {
                self.state.lock().is_behind = true;
                self.kick(Delta::ZERO);
                return ApqnSet::EMPTY;
            }
        }
    }

    /// Changes what is assigned, and with it what the guest has.
    ///
    /// `change` changes a copy of the matrix. Waits a while, with lock 1 held, for the resets of
    /// queues that are to be added, so that the guest has them when this returns.
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if an APQN of the new matrix is reserved for the host's default drivers,
    /// `EADDRINUSE` if an added one is assigned to another device. Then nothing has changed.
    pub(crate) fn configure(&self, kind: Change, change: &dyn Fn(&mut Matrix)) -> Result {
        let taken = {
            let _configuring = self.configuring.lock();
            let old = self.matrix();
            let mut new = old;

            change(&mut new);
            if new == old {
                return Ok(());
            }
            if kind == Change::Any {
                self.topology
                    .wait(&new.apqns_not_in(&old), &mut Patience::for_probe());
            }
            self.reserve(kind, &old, &new)?;
            self.settle_adapter(None, WaitForGuest::Always, &mut |topology| {
                topology.release(&old.apqns_not_in(&new));
            })
        };

        self.wait_until_reset(&taken, &mut Patience::for_reset());
        Ok(())
    }

    /// Waits for the resets of queues that were taken from the guest, and for what it had pinned
    /// for them to be unpinned.
    pub(crate) fn wait_until_reset(&self, taken: &ApqnSet, patience: &mut Patience) {
        self.topology.wait(taken, patience);
        if let Some(guest) = self.guest() {
            // Longer only if user space holds it up.
            Patience::for_pin().poll(&mut || !guest.pins().has_leaving());
        }
    }

    /// Makes a matrix the assigned one, with what it has less still owned.
    fn reserve(&self, kind: Change, old: &Matrix, new: &Matrix) -> Result {
        let reservations = (kind == Change::Any).then(Reservations::lock);
        let mut topology = self.topology.lock();
        let claimed = self.topology.claim(
            &mut topology,
            (self.id, &self.device),
            reservations.as_ref(),
            old,
            new,
        );

        trace::assign(|| (self.name(), [new.apm(), new.aqm(), new.adm()], claimed));
        claimed?;
        self.state.lock().matrix = *new;
        Ok(())
    }

    /// Gives up all that is assigned to a device that is not open and is being removed, and waits
    /// for the resets.
    pub(crate) fn remove(&self) {
        let all = {
            let _topology = self.topology.lock();

            core::mem::replace(&mut self.state.lock().matrix, Matrix::EMPTY).apqns()
        };
        let taken = self.settle_adapter(None, WaitForGuest::Always, &mut |topology| {
            topology.release(&all);
            topology.remove_mdev(self.id);
        });
        self.topology.wait(&taken, &mut Patience::for_reset());
    }

    /// Waits a while for the queues that a guest will have, which is about to open the device.
    pub(crate) fn wait_for_queues(&self) {
        self.topology
            .wait(&self.matrix().apqns(), &mut Patience::for_probe());
    }

    /// Passes the device to a guest, whose hook was registered.
    pub(crate) fn attach(&self, guest: Arc<Guest>, hook: HookRegistration) {
        {
            // The queues that it would have had are not in its AP control block yet.
            let _topology = self.topology.lock();
            let mut state = self.state.lock();

            state.hook = Some(hook);
            state.access = Access::Open {
                guest,
                is_withdrawn: false,
            };
        }
        self.settle(WaitForGuest::Always);
        // It may have less than it would have had.
        self.kick(ANNOUNCE);
    }

    /// Takes everything from the guest, when it closes the device or goes away.
    pub(crate) fn detach(&self) {
        // No instruction of the guest is being handled from here on. The hooks that are running are
        // waited for without any lock of ours, because they may be pinning pages.
        let hook = self.state.lock().hook.take();
        drop(hook);

        let taken = self.take_all();
        let ended = {
            let topology = self.topology.lock();
            let mut state = self.state.lock();
            // The adapters come back as the resets end.
            let matrix = GuestMatrix::filter(&state.matrix, &topology.settled, &topology.passable);
            let triggers = core::mem::take(&mut state.triggers);

            (
                core::mem::replace(&mut state.access, Access::Closed(matrix)),
                // The next one to open it is not told by what this one has set.
                triggers,
            )
        };
        self.kick(ANNOUNCE);
        self.topology.wait(&taken, &mut Patience::for_reset());
        drop(ended);
    }

    /// Takes everything from the guest until the device was closed, because the driver would like
    /// it back.
    pub(crate) fn withdraw(&self) {
        let taken = self.take_all();

        self.wait_until_reset(&taken, &mut Patience::for_reset());
    }

    /// Asks the VMM to close the device, and tells the administrator what is waited for; `count` is
    /// how often that was done before, every ten seconds.
    pub(crate) fn ask_for_it(&self, count: u32) {
        if self.signal(Event::Request) {
            if count % 10 == 0 {
                dev_notice!(
                    self.device,
                    "to be removed: asked the user for the device, {} times\n",
                    count + 1
                );
            }
        } else if count == 0 {
            dev_notice!(
                self.device,
                "to be removed: waiting until the user closes the device\n"
            );
        }
    }

    fn take_all(&self) -> ApqnSet {
        if let Access::Open { is_withdrawn, .. } = &mut self.state.lock().access {
            *is_withdrawn = true;
        }
        self.settle(WaitForGuest::Always)
    }

    /// Resets all queues that are assigned and bound. They stay with the guest.
    ///
    /// # Errors
    ///
    /// `EIO` if hardware did not perform one of the resets, or not in time.
    pub(crate) fn reset(&self) -> Result {
        let set = {
            let topology = self.topology.lock();
            let set = self.matrix().apqns();

            self.topology.start_resets(&topology, &set);
            set
        };
        let is_over = self.topology.wait(&set, &mut Patience::for_reset());

        if let Some(guest) = self.guest() {
            guest.pins().unpin_leaving();
            // Somebody else may have been faster.
            Patience::for_pin().poll(&mut || !guest.pins().has_leaving());
        }
        if is_over && self.topology.were_reset(&set) {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    /// Has all pages unpinned with I/O virtual addresses from `first` to `last`, and the interrupts
    /// disabled that need them.
    ///
    /// VFIO holds some of its own locks, those that unpinning takes among them: so a worker does
    /// that, and it is waited for, though not for ever. Neither is hardware: of a queue that is not
    /// at rest by then the page is kept, without VFIO.
    pub(crate) fn unmap(&self, pins: &Pins, first: u64, last: u64) {
        if !pins.withdraw(first, last) {
            return;
        }
        if let Some(guest) = self.guest() {
            let set = guest.matrix().apqns();

            for apqn in set.iter() {
                let queue = self.topology.queue(apqn);

                if queue.is_some_and(|queue| queue.quiesce(first, last)) {
                    self.topology.look_after(apqn);
                }
            }
            self.topology.wait(&set, &mut Patience::for_unmap());
        }
        Patience::for_pin().poll(&mut || !pins.has_any(first, last));
    }
}
