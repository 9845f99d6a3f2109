// SPDX-License-Identifier: GPL-2.0

//! A matrix mediated device: what is assigned to it, and the guest that it is passed to.
//!
//! There is one [`Mediated`] for each device that an administrator has created. While a guest has
//! it open there is a [`Session`] as well.

use crate::{
    attributes,
    hook::Hook,
    ioctl,
    kapi::{
        debugfs,
        eventfd::EventFd,
        kvm::{
            HookRegistration,
            Kvm, //
        },
        mdev,
        notify,
        sysfs::Attribute,
        trace,
        vfio,
        work::{
            Task,
            Worker, //
        }, //
    },
    matrix::{
        Host,
        Locked,
        Topology, //
    },
    model::{
        Apid,
        Apqn,
        GuestMatrix,
        Matrix,
        OwnerId, //
    },
    overview::MediatedOverview,
    queue::Queue,
    reset::{
        Batch,
        Wait, //
    },
};
use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::{
        aref::ARef,
        static_lock_class,
        Arc,
        Mutex, //
    },
    time::Delta, //
};

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

/// What changes of a mediated device: protected by lock 3.
pub(crate) struct State {
    matrix: Matrix,
    /// What the guest has, or would have. Changes only with lock 1 held as well; without it, it is
    /// what the filter makes of `matrix`, or nothing if `withdrawn`.
    guest: GuestMatrix,
    /// What user space was told last that the guest has.
    announced: GuestMatrix,
    /// How often it has changed.
    changes: u64,
    /// Everything was taken from the guest, because the driver would like the device back.
    withdrawn: bool,
    /// The session of the guest that queues are passed to. Changes only with lock 1 held as well.
    session: Option<Arc<Session>>,
    hook: Option<HookRegistration>,
    pub(crate) triggers: [Option<EventFd>; Event::COUNT],
}

/// A matrix mediated device.
#[pin_data]
pub(crate) struct Mediated {
    host: Arc<Host>,
    device: ARef<Device>,
    id: OwnerId,
    /// Lock 3.
    #[pin]
    state: Mutex<State>,
    /// The session whose pages may be pinned: the same, and while it is being closed still. A leaf.
    #[pin]
    pinning: Mutex<Option<Arc<Session>>>,
    /// Tells user space that the guest's matrix has changed, which takes memory and locks that are
    /// not ours. A leaf.
    #[pin]
    announcer: Mutex<Option<Pin<KBox<Worker<Announcer>>>>>,
}

/// The task of a mediated device's announcer.
struct Announcer(Arc<Mediated>);

impl Task for Announcer {
    fn run(&self) -> Option<Delta> {
        self.0.announce();
        None
    }
}

/// The running announcer of a mediated device; stopped and waited for when dropped.
struct Announcing(Arc<Mediated>);

impl Announcing {
    fn start(mdev: Arc<Mediated>) -> Result<Self> {
        let announcer = KBox::pin_init(
            Worker::new(
                Announcer(mdev.clone()),
                c"vfio_ap_announce",
                static_lock_class!(),
                static_lock_class!(),
            ),
            GFP_KERNEL,
        )?;

        *mdev.announcer.lock() = Some(announcer);
        Ok(Self(mdev))
    }
}

impl Drop for Announcing {
    fn drop(&mut self) {
        // Out of the lock, which is taken under those that the task takes.
        let announcer = self.0.announcer.lock().take();

        drop(announcer);
    }
}

/// A guest that has a mediated device open.
#[pin_data]
pub(crate) struct Session {
    device: ARef<vfio::Device>,
    kvm: Kvm,
    queues: Arc<SessionQueues>,
    /// Unpins pages for `dma_unmap`, which is called under locks that unpinning takes. There is one
    /// for each session, because user space can hold up its own. A leaf.
    #[pin]
    unpinner: Mutex<Option<Pin<KBox<Worker<Unpinner>>>>>,
}

/// The queues whose interrupts a guest has asked for.
#[pin_data]
struct SessionQueues {
    /// By APQN. A leaf.
    #[pin]
    by_apqn: Mutex<RBTree<u16, Arc<Queue>>>,
}

impl SessionQueues {
    /// Calls `f` for each queue, without the lock.
    fn for_each(&self, mut f: impl FnMut(&Arc<Queue>)) {
        let mut next = Some(0);

        while let Some(key) = next {
            let queue = self
                .by_apqn
                .lock()
                .cursor_lower_bound(&key)
                .map(|cursor| cursor.current().1.clone());
            let Some(queue) = queue else {
                return;
            };
            f(&queue);
            next = queue.apqn().to_raw().checked_add(1);
        }
    }
}

/// The task of a session's unpinner.
struct Unpinner(Arc<SessionQueues>);

impl Task for Unpinner {
    fn run(&self) -> Option<Delta> {
        self.0.for_each(|queue| queue.unpin_leaving());
        None
    }
}

impl vfio::HasDevice for Session {
    fn device(&self) -> &vfio::Device {
        &self.device
    }
}

impl Session {
    fn new(device: ARef<vfio::Device>, kvm: Kvm) -> Result<Arc<Self>> {
        let queues = Arc::pin_init(
            pin_init!(SessionQueues {
                by_apqn <- new_mutex!(RBTree::new(), "vfio_ap::session.queues"),
            }),
            GFP_KERNEL,
        )?;
        let unpinner = KBox::pin_init(
            Worker::new(
                Unpinner(queues.clone()),
                c"vfio_ap_unpin",
                static_lock_class!(),
                static_lock_class!(),
            ),
            GFP_KERNEL,
        )?;

        Arc::pin_init(
            pin_init!(Self {
                device,
                kvm,
                queues,
                unpinner <- new_mutex!(Some(unpinner), "vfio_ap::session.unpinner"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the guest.
    pub(crate) fn kvm(&self) -> &Kvm {
        &self.kvm
    }

    /// Adds a queue, if it is not there, so that its page will be found when it has to be unpinned.
    pub(crate) fn add_queue(&self, queue: &Arc<Queue>) -> Result {
        let key = queue.apqn().to_raw();

        if let Some(known) = self.queues.by_apqn.lock().get(&key) {
            if Arc::ptr_eq(known, queue) {
                return Ok(());
            }
        }
        let node = RBTreeNode::new(key, queue.clone(), GFP_KERNEL)?;
        let old = self.queues.by_apqn.lock().insert(node);

        // One of the same number that was unbound, which the unpinner does not find any more.
        if let Some(old) = old {
            old.to_key_value().1.unpin_leaving();
        }
        Ok(())
    }

    /// Has the pages unpinned that are to leave.
    pub(crate) fn kick_unpinner(&self) {
        if let Some(unpinner) = &*self.unpinner.lock() {
            unpinner.kick(Delta::ZERO);
        }
    }

    /// Unpins all pages, whatever hardware does. No hook of the guest must be running.
    fn unpin_all(&self) {
        let unpinner = self.unpinner.lock().take();

        // Waits for what it is unpinning.
        drop(unpinner);
        self.queues.for_each(|queue| queue.unpin_all());
    }
}

impl Mediated {
    /// Makes the device that the host knows by a number.
    pub(crate) fn new(host: Arc<Host>, device: &Device, id: OwnerId) -> Result<Arc<Self>> {
        let state = State {
            matrix: Matrix::EMPTY,
            guest: GuestMatrix::EMPTY,
            announced: GuestMatrix::EMPTY,
            changes: 0,
            withdrawn: false,
            session: None,
            hook: None,
            triggers: [const { None }; Event::COUNT],
        };

        Arc::pin_init(
            pin_init!(Self {
                host,
                device: device.into(),
                id,
                state <- new_mutex!(state, "vfio_ap::mdev.state"),
                pinning <- new_mutex!(None, "vfio_ap::mdev.pinning"),
                announcer <- new_mutex!(None, "vfio_ap::mdev.announcer"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the host.
    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Returns the number by which the host knows it.
    pub(crate) fn id(&self) -> OwnerId {
        self.id
    }

    /// Returns the device, for messages.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the device's name, which is its UUID.
    pub(crate) fn name(&self) -> &CStr {
        self.device.name()
    }

    /// Returns what is assigned.
    pub(crate) fn matrix(&self) -> Matrix {
        self.state.lock().matrix
    }

    /// Does the same as [`guest_matrix`](Self::guest_matrix), but waits a while for resets after
    /// which the guest will have more.
    pub(crate) fn settled_guest_matrix(&self) -> GuestMatrix {
        self.host.wait_for_resets_in(&self.matrix().apqns());
        self.guest_matrix()
    }

    /// Returns the guest that has it open. Changes only with lock 1 held.
    pub(crate) fn kvm(&self) -> Option<Kvm> {
        self.state
            .lock()
            .session
            .as_ref()
            .map(|session| session.kvm.clone())
    }

    /// Tells whether a guest has it open.
    pub(crate) fn has_guest(&self) -> bool {
        self.state.lock().session.is_some()
    }

    /// Returns what the guest has, or would have if there were one.
    pub(crate) fn guest_matrix(&self) -> GuestMatrix {
        self.state.lock().guest
    }

    /// Returns what is shown of it.
    pub(crate) fn overview(&self) -> MediatedOverview {
        let state = self.state.lock();

        MediatedOverview {
            matrix: state.matrix,
            guest: state.guest,
            open: state.session.is_some(),
            withdrawn: state.withdrawn,
            changes: state.changes,
        }
    }

    /// Sets what is assigned. Lock 1 has to be held, and the guest's matrix to be filtered anew.
    pub(crate) fn set_matrix(&self, matrix: Matrix) {
        self.state.lock().matrix = matrix;
    }

    /// Returns the session whose pages may be pinned.
    fn pinning(&self) -> Option<Arc<Session>> {
        self.pinning.lock().clone()
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

    /// Has user space told, soon, if the guest's matrix has changed since the last time.
    fn announce_soon(&self) {
        if let Some(announcer) = &*self.announcer.lock() {
            announcer.kick(Delta::ZERO);
        }
    }

    /// Tells user space if the guest's matrix has changed since the last time: who polls
    /// `guest_matrix`, and who listens to events of the device.
    fn announce(&self) {
        let (before, after) = {
            let mut state = self.state.lock();
            let after = state.guest;

            (core::mem::replace(&mut state.announced, after), after)
        };

        if before == after {
            return;
        }
        if (before.apm(), before.aqm()) != (after.apm(), after.aqm()) {
            notify::attribute_changed(&self.device, attributes::GUEST_MATRIX);
        }
        notify::device_changed(
            &self.device,
            c"GUEST_MATRIX_CHANGED=1",
            format_args!(
                "GUEST_AP_CONFIG={},{},{}",
                after.apm(),
                after.aqm(),
                after.adm()
            ),
        );
    }

    /// Filters anew what the guest has, and gives and takes queues accordingly. The ones that are
    /// taken are reset, and join the batch.
    ///
    /// `locked` is lock 1, and 2 of the guest; takes 3 and 4.
    pub(crate) fn refilter(&self, host: &Host, locked: &mut Locked<'_>, batch: &mut Batch) {
        locked.topology.filtered_matrices += 1;
        self.change_guest(host, locked, batch, |state, topology| {
            GuestMatrix::filter(&state.matrix, &topology.settled, &topology.passable)
        });
    }

    /// Does the same when nothing has changed but whether queues of one adapter are passable. That
    /// costs as much, however many adapters there are.
    pub(crate) fn refilter_adapter(
        &self,
        host: &Host,
        locked: &mut Locked<'_>,
        apid: Apid,
        batch: &mut Batch,
    ) {
        locked.topology.filtered_adapters += 1;
        self.change_guest(host, locked, batch, |state, topology| {
            state
                .guest
                .refilter(&state.matrix, &topology.settled, &topology.passable, apid)
        });
    }

    fn change_guest(
        &self,
        host: &Host,
        locked: &mut Locked<'_>,
        batch: &mut Batch,
        filter: impl FnOnce(&State, &Topology) -> GuestMatrix,
    ) {
        let topology = &mut *locked.topology;
        // None of this changes but with lock 1 held.
        let (before, after, session) = {
            let state = self.state.lock();
            let after = if state.withdrawn {
                GuestMatrix::EMPTY
            } else {
                filter(&state, topology)
            };

            (state.guest, after, state.session.clone())
        };
        if before == after {
            return;
        }
        let mut state = self.state.lock();

        trace::filter(|| (self.name(), [after.apm(), after.aqm(), after.adm()]));
        state.guest = after;
        state.changes += 1;
        // Without a guest, no queue has one that is assigned here. With one, before it sees them
        // come or go: AQIC never takes a queue that the guest has seen gone, nor refuses one that
        // it has seen.
        if session.is_some() {
            topology.hand_over(host, &before.apqns_not_in(&after), None);
            topology.hand_over(host, &after.apqns_not_in(&before), session.as_ref());
        }
        if let Some(kvm) = &mut locked.kvm {
            kvm.set_masks(&after);
            if let Some(trigger) = &state.triggers[Event::ConfigChange as usize] {
                trigger.signal();
            }
        }
        // The guest cannot use them any more: what a reset leaves is left for good.
        topology.withdraw(host, &before.apqns_not_in(&after), batch);
        drop(state);
        self.announce_soon();
    }

    /// Opens the device for a guest.
    ///
    /// # Errors
    ///
    /// `EINVAL` without a guest, `EPERM` if the guest has another such device.
    fn open(self: &Arc<Self>, device: ARef<vfio::Device>, kvm: Option<Kvm>) -> Result {
        let kvm = kvm.ok_or(EINVAL)?;
        if !kvm.has_crypto() {
            return Ok(());
        }
        let resets = {
            let topology = self.host.topology.lock();

            self.host.resets_in(&topology, &self.matrix().apqns())
        };
        resets.wait(&self.host, Wait::PROBE);

        let session = Session::new(device, kvm)?;
        let hook = Arc::new(Hook::new(self.host.clone(), session.clone()), GFP_KERNEL)?;
        let hook = session.kvm.register_hook(hook)?;
        let mut batch = Batch::new();
        {
            let mut locked = self.host.lock_with_guest(|| Some(session.kvm.clone()));
            {
                // Nothing is passed yet, so that all that is will be a change.
                let mut state = self.state.lock();

                state.hook = Some(hook);
                state.withdrawn = false;
                state.guest = GuestMatrix::EMPTY;
                state.session = Some(session.clone());
            }
            *self.pinning.lock() = Some(session.clone());
            self.refilter(&self.host, &mut locked, &mut batch);
        }
        batch.wait(&self.host, Wait::RESET);
        Ok(())
    }

    /// Takes everything from the guest, when it closes the device or goes away.
    fn close(self: &Arc<Self>) {
        if let Some(session) = self.pinning() {
            self.end(&session);
        }
        // The next one to open it is not told by what this one has set.
        let triggers = core::mem::take(&mut self.state.lock().triggers);
        drop(triggers);
    }

    fn end(&self, session: &Session) {
        // No instruction of the guest is being handled from here on. The hooks that are running are
        // waited for without any lock of ours, because they may be pinning pages.
        let hook = self.state.lock().hook.take();
        drop(hook);

        let mut batch = Batch::new();
        let ended;
        {
            let mut locked = self.host.lock_with_guest(|| Some(session.kvm.clone()));
            let topology = &mut *locked.topology;
            let mut state = self.state.lock();

            if let Some(kvm) = &mut locked.kvm {
                kvm.clear_masks();
            }
            state.withdrawn = false;
            ended = state.session.take();
            // The adapters come back as the resets end.
            topology.hand_over(&self.host, &state.guest.apqns(), None);
            topology.withdraw(&self.host, &state.guest.apqns(), &mut batch);
            let after = GuestMatrix::filter(&state.matrix, &topology.settled, &topology.passable);

            trace::filter(|| (self.name(), [after.apm(), after.aqm(), after.adm()]));
            state.guest = after;
        }
        self.announce_soon();
        batch.wait(&self.host, Wait::RESET);

        session.unpin_all();
        let pinning = self.pinning.lock().take();
        drop((ended, pinning));
    }

    /// Takes everything from the guest until the device was closed, because the driver would like
    /// it back.
    fn withdraw(&self) {
        let mut batch = Batch::new();
        let mut locked = self.host.lock_with_guest(|| self.kvm());

        self.state.lock().withdrawn = true;
        self.refilter(&self.host, &mut locked, &mut batch);
        drop(locked);

        batch.wait(&self.host, Wait::RESET);
    }

    /// Resets all queues that are assigned and bound. They stay with the guest. Takes locks 1 and 2
    /// only for a queue that is passable before and not afterwards, or the reverse.
    ///
    /// # Errors
    ///
    /// `EIO` if hardware did not perform one of the resets, or not in time.
    pub(crate) fn reset(&self) -> Result {
        let mut batch = Batch::new();

        for (apid, domains) in self.matrix().apqns().rows() {
            for bit in domains.iter() {
                if let Some(queue) = self.host.queue(Apqn::from_mask_bits(apid, bit)) {
                    batch.start_in_use(&self.host, &queue, self);
                }
            }
        }
        if batch.wait(&self.host, Wait::RESET) {
            Ok(())
        } else {
            Err(EIO)
        }
    }
}

impl vfio::Ops for Mediated {
    fn open(this: &Arc<Self>, device: ARef<vfio::Device>, kvm: Option<Kvm>) -> Result {
        this.open(device, kvm)
    }

    fn close(this: &Arc<Self>) {
        this.close();
    }

    fn ioctl(this: &Arc<Self>, cmd: u32, arg: usize) -> Result<isize> {
        ioctl::handle(this, cmd, arg)
    }

    fn dma_unmap(this: &Arc<Self>, first: u64, last: u64) {
        if let Some(session) = this.pinning() {
            session
                .queues
                .for_each(|queue| queue.unmap(&this.host, &session, first, last));
        }
    }

    fn request(this: &Arc<Self>, count: u32) {
        this.withdraw();
        if this.signal(Event::Request) {
            if count % 10 == 0 {
                dev_notice!(
                    this.device(),
                    "to be removed: asked the user for the device, {} times\n",
                    count + 1
                );
            }
        } else if count == 0 {
            dev_notice!(
                this.device(),
                "to be removed: waiting until the user closes the device\n"
            );
        }
    }
}

/// A mediated device that the driver is bound to.
pub(crate) struct Bound {
    mdev: Arc<Mediated>,
    _file: debugfs::File<Mediated>,
    _registration: vfio::Registration<Mediated>,
    _announcing: Announcing,
}

impl Bound {
    /// Returns the device.
    pub(crate) fn mdev(&self) -> &Arc<Mediated> {
        &self.mdev
    }
}

/// The driver for mediated devices.
pub(crate) struct Driver;

impl mdev::Driver for Driver {
    type Host = Host;
    type Device = Bound;

    const NAME: &'static CStr = c"vfio_ap_mdev";
    const MODULE: &'static CStr = crate::NAME;
    const DEVICE_API: &'static CStr = c"vfio-ap";
    // As many as there are queues.
    const MAX_INSTANCES: u32 = 256 * 256;

    fn attributes() -> &'static [Attribute<Bound>] {
        &attributes::MEDIATED
    }

    fn probe(host: &Arc<Host>, device: &Device) -> Result<Arc<Bound>> {
        let mdev = host.add_mdev(device)?;
        let bound = Announcing::start(mdev.clone()).and_then(|announcing| {
            let bound = Bound {
                mdev: mdev.clone(),
                _file: host.file(mdev.name(), mdev.clone()),
                _registration: vfio::Registration::new(device, mdev.clone())?,
                _announcing: announcing,
            };

            Ok(Arc::new(bound, GFP_KERNEL)?)
        });
        if bound.is_err() {
            host.remove_mdev(&mdev);
        }
        bound
    }

    fn remove(host: &Arc<Host>, bound: Arc<Bound>) {
        let mdev = bound.mdev.clone();

        // Waits until the device is closed.
        drop(bound);
        host.remove_mdev(&mdev);
    }
}
