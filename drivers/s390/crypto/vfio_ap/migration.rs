// SPDX-License-Identifier: GPL-2.0

//! Live migration of the guest that has a mediated device open.
//!
//! There is one [`Migration`] for each mediated device, for as long as that exists. At the source
//! it stops the guest's queues, and tells what the guest has; at the target it judges that, takes
//! what it needs, and lets the guest go on. The machine monitor asks for each step.
//!
//! Whatever can fail at the target fails in the write of the stream's last byte: a monitor reports
//! success for what is refused later. The driver gives back what that write takes, unless the
//! guest runs here afterwards.
//!
//! Everything is done with lock 1 held, so that the steps of one device come one after the other,
//! and no other device's.

use crate::{
    kapi::{
        errno::{
            enomsg,
            eopnotsupp, //
        },
        may_print,
        migration::{
            Data,
            DataFile,
            Direction,
            PrecopyInfo,
            Route, //
        },
        work::{
            Task,
            WorkQueue,
            Worker, //
        },
    },
    matrix_mdev::{
        Change,
        MatrixMdev, //
    },
    model::{
        migration::{
            compatible::{
                self,
                Mismatch,
                QueueInfo, //
            },
            state::{
                Action,
                Failure,
                MigrationState,
                StateMachine, //
            },
            stream::{
                Encoder,
                Item,
                Parser,
                QueueState,
                Refusal, //
            },
        },
        Apqn,
        ApqnSet,
        GuestMatrix,
        Mask256,
        Matrix, //
    },
    queue::{
        Patience,
        Queue, //
    },
    topology::Owner,
};
use core::{
    cell::Cell,
    fmt, //
};
use kernel::{
    alloc::AllocError,
    new_mutex,
    prelude::*,
    sync::{
        static_lock_class,
        Arc,
        Mutex, //
    },
    time::Delta,
};

/// The pause between two looks that a guest is made to take at its queues.
const LOOK: Delta = Delta::from_millis(100);

/// How often a guest is made to look that may have lost requests.
///
/// The first look tells a Linux guest that its queue is empty, and it remembers what to send again.
/// If it had as many requests in flight as the queue is deep, it sends none until the next event.
const LOOKS: u32 = 2;

/// How often any other guest is made to look: hardware takes its time to make interrupts after
/// AQIC, and a reply may come before.
const LOOKS_AT_LEAST: u32 = 1;

/// For how many pauses a look waits until the guest can notice it.
const TRIES: u32 = 300;

/// Why a stream cannot be taken.
enum Obstacle {
    Stream(Refusal),
    BeyondLimits,
    ControlDomains(Mask256),
    NotBound(Apqn),
    Mismatch(Apqn, Mismatch),
    OtherMatrix,
    NotClaimed(Error),
    NotPassed,
    Interrupts(Apqn, Error),
    NoGuest,
    Protected,
    NoMemory,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Stream(refusal) => write!(f, "the stream {refusal}"),
            Obstacle::BeyondLimits => {
                f.write_str("it has adapters or domains that this host cannot have")
            }
            Obstacle::ControlDomains(missing) => {
                write!(f, "this host does not have the control domains {missing}")
            }
            Obstacle::NotBound(apqn) => write!(f, "queue {apqn} is not bound to vfio_ap here"),
            Obstacle::Mismatch(apqn, mismatch) => write!(f, "queue {apqn} has {mismatch}"),
            Obstacle::OtherMatrix => {
                f.write_str("other queues or control domains are assigned to the device")
            }
            Obstacle::NotClaimed(error) => write!(
                f,
                "its queues are assigned to others, or the host's: error {}",
                error.to_errno()
            ),
            Obstacle::NotPassed => f.write_str("not all of its queues can be passed now"),
            Obstacle::Interrupts(apqn, error) => write!(
                f,
                "interrupts of queue {apqn} cannot be enabled: error {}",
                error.to_errno()
            ),
            Obstacle::NoGuest => f.write_str("there is no guest with AP here"),
            Obstacle::Protected => f.write_str("the guest is a protected one"),
            Obstacle::NoMemory => f.write_str("there is no memory"),
        }
    }
}

impl Obstacle {
    fn errno(&self) -> Error {
        match self {
            Obstacle::Stream(Refusal::Version { .. })
            | Obstacle::Mismatch(..)
            | Obstacle::Protected => eopnotsupp(),
            Obstacle::Stream(_) => EINVAL,
            Obstacle::BeyondLimits
            | Obstacle::ControlDomains(_)
            | Obstacle::NotBound(_)
            | Obstacle::NotPassed
            | Obstacle::NoGuest => ENODEV,
            Obstacle::OtherMatrix => EBUSY,
            Obstacle::NotClaimed(error) | Obstacle::Interrupts(_, error) => *error,
            Obstacle::NoMemory => ENOMEM,
        }
    }
}

impl From<AllocError> for Obstacle {
    fn from(_: AllocError) -> Self {
        Obstacle::NoMemory
    }
}

/// The end of a data file that is this side's. It may outlive the migration by any time.
#[pin_data]
struct Link {
    /// There until the data transfer is over. A leaf.
    #[pin]
    migration: Mutex<Option<Arc<Migration>>>,
}

impl Link {
    fn new(migration: &Arc<Migration>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                migration <- new_mutex!(Some(migration.clone()), "vfio_ap::migration.link"),
            }),
            GFP_KERNEL,
        )
    }

    fn cut(&self) {
        let migration = self.migration.lock().take();

        drop(migration);
    }

    /// Calls `f` with the session that the link is of.
    ///
    /// # Errors
    ///
    /// `ENODEV` if that is over.
    fn with<R>(&self, f: impl FnOnce(&Migration, &mut Session) -> Result<R>) -> Result<R> {
        let migration = self.migration.lock().clone().ok_or(ENODEV)?;
        let mut session = migration.session.lock();
        let link = session.link.as_ref().ok_or(ENODEV)?;

        if !core::ptr::eq(&**link, self) {
            return Err(ENODEV);
        }
        f(&migration, &mut session)
    }
}

impl Data for Link {
    fn read(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        self.with(|migration, session| migration.read(session, position, buffer))
    }

    fn write(&self, bytes: &[u8]) -> Result {
        self.with(|migration, session| migration.write(session, bytes))
    }

    fn precopy_info(&self, position: u64) -> Result<PrecopyInfo> {
        self.with(|migration, session| migration.precopy_info(session, position))
    }
}

/// The guest's resources at the time of a description.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Described {
    matrix: GuestMatrix,
    /// Differs if a queue was taken and came back as another one.
    changes: u64,
}

/// A stream that is read.
struct Saving {
    /// The bytes that are not read yet, and where they begin in the stream.
    bytes: KVVec<u8>,
    base: u64,
    /// There until the stream is complete.
    encoder: Option<Encoder>,
    /// The end of the first description.
    initial: u64,
    described: Option<Described>,
}

impl Saving {
    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// Forgets what was read.
    fn trim(&mut self, position: u64) -> Result {
        let read = position
            .saturating_sub(self.base)
            .min(self.bytes.len() as u64) as usize;
        let mut rest = KVVec::new();

        if read != 0 {
            rest.extend_from_slice(self.bytes.get(read..).unwrap_or_default(), GFP_KERNEL)?;
            self.bytes = rest;
            self.base += read as u64;
        }
        Ok(())
    }
}

/// A stream that is written.
struct Resuming {
    parser: Parser,
    /// Why it was refused, for all writes that follow.
    refused: Option<Error>,
    queues: KVVec<(Apqn, QueueInfo)>,
    states: KVVec<(Apqn, QueueState)>,
    masks: [Mask256; 3],
    /// The assigned matrix was empty before it was taken from the stream.
    replaced: Option<Matrix>,
}

/// The looks that a guest is still to be made to take.
struct Looks {
    left: u32,
    tries: u32,
}

impl Looks {
    const NONE: Looks = Looks { left: 0, tries: 0 };
}

struct Session {
    machine: StateMachine,
    link: Option<Arc<Link>>,
    saving: Option<Saving>,
    /// There until the guest goes on.
    resuming: Option<Resuming>,
}

/// The migration of one mediated device's guests.
#[pin_data]
pub(crate) struct Migration {
    mdev: Arc<MatrixMdev>,
    /// Lock 1, the outer one.
    #[pin]
    session: Mutex<Session>,
    /// A leaf.
    #[pin]
    looks: Mutex<Looks>,
    /// A leaf.
    #[pin]
    worker: Mutex<Option<Pin<KBox<Worker<Look>>>>>,
}

/// The task that makes a guest look at its queues.
struct Look(Arc<Migration>);

impl Task for Look {
    fn run(&self) -> Option<Delta> {
        self.0.look()
    }
}

/// The running worker; stopped and waited for when dropped.
pub(crate) struct Looking(Arc<Migration>);

impl Looking {
    /// Starts the worker, which sleeps until there is something to do.
    pub(crate) fn start(migration: Arc<Migration>, queue: Arc<WorkQueue>) -> Result<Self> {
        let worker = KBox::pin_init(
            Worker::new(
                queue,
                Look(migration.clone()),
                c"vfio_ap_look",
                static_lock_class!(),
                static_lock_class!(),
            ),
            GFP_KERNEL,
        )?;

        *migration.worker.lock() = Some(worker);
        Ok(Self(migration))
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        // Out of the lock, as its task may be waiting for others.
        let worker = self.0.worker.lock().take();

        drop(worker);
    }
}

/// How a step has failed.
struct Failed {
    error: Error,
    how: Failure,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            error,
            how: Failure::Undone,
        }
    }
}

impl Failed {
    fn stuck(error: Error) -> Self {
        Self {
            error,
            how: Failure::Stuck,
        }
    }
}

impl Migration {
    /// Makes it for a mediated device.
    pub(crate) fn new(mdev: Arc<MatrixMdev>) -> Result<Arc<Self>> {
        let session = Session {
            machine: StateMachine::new(),
            link: None,
            saving: None,
            resuming: None,
        };

        Arc::pin_init(
            pin_init!(Self {
                mdev,
                session <- new_mutex!(session, "vfio_ap::migration.session"),
                looks <- new_mutex!(Looks::NONE, "vfio_ap::migration.looks"),
                worker <- new_mutex!(None, "vfio_ap::migration.worker"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the mediated device.
    pub(crate) fn mdev(&self) -> &Arc<MatrixMdev> {
        &self.mdev
    }

    /// Returns the state.
    pub(crate) fn state(&self) -> MigrationState {
        self.session.lock().machine.state()
    }

    /// Estimates the length of the stream.
    pub(crate) fn data_size(&self) -> u64 {
        Encoder::length(self.described().matrix.apqns().count())
    }

    /// Brings the device to another state, step by step.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no way, or if the stream is not complete when it has to be;
    /// `EOPNOTSUPP` for a protected guest, `EIO` if a queue does not stop, `ENOMEM`.
    pub(crate) fn set_state(self: &Arc<Self>, route: &Route<'_>) -> Result<Option<DataFile>> {
        let mut session = self.session.lock();
        let mut file = None;

        while let Some(to) = route.next(session.machine.state())? {
            let action = session.machine.action(to).ok_or(EINVAL)?;
            let result = self.perform(&mut session, action);

            session
                .machine
                .ended(to, result.as_ref().map(|_| ()).map_err(|failed| failed.how));
            file = result.map_err(|failed| failed.error)?;
        }
        Ok(file)
    }

    fn perform(
        self: &Arc<Self>,
        session: &mut Session,
        action: Action,
    ) -> Result<Option<DataFile>, Failed> {
        match action {
            Action::Quiesce => self.quiesce()?,
            Action::Resume => {
                self.resume();
                session.resuming = None;
            }
            Action::BeginPreCopy => {
                let mut saving = self.begin_saving()?;

                self.describe(&mut saving)?;
                saving.initial = saving.end();
                return self.begin_reading(session, saving).map(Some);
            }
            Action::EndPreCopy | Action::EndStopCopy => Self::end_transfer(session),
            Action::QuiesceAndComplete => {
                self.quiesce()?;
                if let Some(saving) = &mut session.saving {
                    if let Err(error) = self.complete(saving) {
                        self.resume();
                        return Err(error.into());
                    }
                }
            }
            Action::BeginStopCopy => {
                let mut saving = self.begin_saving()?;

                self.complete(&mut saving)?;
                return self.begin_reading(session, saving).map(Some);
            }
            Action::BeginResuming => {
                let (link, file) = self.new_file(Direction::Write)?;

                self.abandon(session);
                self.forget_paused();
                session.link = Some(link);
                session.resuming = Some(Resuming {
                    parser: Parser::new(),
                    refused: None,
                    queues: KVVec::new(),
                    states: KVVec::new(),
                    masks: [Mask256::EMPTY; 3],
                    replaced: None,
                });
                return Ok(Some(file));
            }
            Action::EndResuming => {
                let is_complete = session.resuming.as_ref().is_some_and(|resuming| {
                    resuming.refused.is_none() && resuming.parser.is_complete()
                });

                Self::end_transfer(session);
                if !is_complete {
                    self.warn(format_args!(
                        "migration refused: the stream is not complete"
                    ));
                    return Err(Failed::stuck(EINVAL));
                }
            }
        }
        Ok(None)
    }

    /// Resets the device, which ends a migration in every state.
    ///
    /// # Errors
    ///
    /// `EIO` if hardware did not perform one of the resets, or not in time.
    pub(crate) fn reset(&self) -> Result {
        let mut session = self.session.lock();

        Self::end_transfer(&mut session);
        *self.looks.lock() = Looks::NONE;
        let result = self.mdev.reset();

        self.forget_paused();
        if let Some(guest) = self.mdev.guest() {
            guest.set_stopped(false);
        }
        self.abandon(&mut session);
        session.machine.reset();
        result
    }

    /// Closes the device.
    pub(crate) fn close(&self) {
        let mut session = self.session.lock();

        Self::end_transfer(&mut session);
        *self.looks.lock() = Looks::NONE;
        self.mdev.detach();
        self.abandon(&mut session);
        session.machine.reset();
    }

    fn new_file(self: &Arc<Self>, direction: Direction) -> Result<(Arc<Link>, DataFile)> {
        let link = Link::new(self)?;

        match DataFile::new(link.clone(), direction) {
            Ok(file) => Ok((link, file)),
            Err(error) => {
                link.cut();
                Err(error)
            }
        }
    }

    fn begin_reading(
        self: &Arc<Self>,
        session: &mut Session,
        saving: Saving,
    ) -> Result<DataFile, Failed> {
        let (link, file) = self.new_file(Direction::Read)?;

        session.link = Some(link);
        session.saving = Some(saving);
        Ok(file)
    }

    /// Ends the use of a file, which user space may keep.
    fn end_transfer(session: &mut Session) {
        if let Some(link) = session.link.take() {
            link.cut();
        }
        session.saving = None;
    }

    fn warn(&self, text: fmt::Arguments<'_>) {
        if may_print() {
            dev_warn!(self.mdev.device(), "{}\n", text);
        }
    }

    /// Returns the queues that the guest has.
    fn apqns(&self) -> ApqnSet {
        self.mdev
            .guest()
            .map_or(ApqnSet::EMPTY, |guest| guest.matrix().apqns())
    }

    fn queue(&self, apqn: Apqn) -> Option<Arc<Queue>> {
        self.mdev.topology().queue(apqn)
    }

    fn for_each_queue(&self, mut f: impl FnMut(&Arc<Queue>)) {
        for apqn in self.apqns().iter() {
            if let Some(queue) = self.queue(apqn) {
                f(&queue);
            }
        }
    }

    /// Disables the interrupts of all queues of the guest, and waits until they are.
    ///
    /// # Errors
    ///
    /// `EIO` if they are not, in time. Then nobody knows whether they are.
    fn quiesce(&self) -> Result<(), Failed> {
        let Some(guest) = self.mdev.guest() else {
            return Ok(());
        };
        let set = guest.matrix().apqns();

        guest.set_stopped(true);
        *self.looks.lock() = Looks::NONE;
        self.for_each_queue(|queue| {
            if queue.pause() {
                self.mdev.topology().look_after(queue.apqn());
            }
        });
        self.mdev.topology().wait(&set, &mut Patience::for_reset());

        let mut writing = None;
        self.for_each_queue(|queue| {
            if queue.holds_memory() {
                writing = Some(queue.apqn());
            }
        });
        match writing {
            None => Ok(()),
            Some(apqn) => {
                self.warn(format_args!("queue {apqn} does not stop making interrupts"));
                Err(Failed::stuck(EIO))
            }
        }
    }

    /// Lets the guest go on with the interrupts that it had.
    fn resume(&self) {
        let mut patience = Patience::for_reset();
        let mut has_lost = false;

        self.for_each_queue(|queue| {
            has_lost |= queue.paused_state().has_requests;
            if !patience.poll(&mut || !queue.resume()) {
                queue.forget_paused();
                self.warn(format_args!(
                    "queue {} is busy: its interrupts stay disabled",
                    queue.apqn()
                ));
            }
            if queue.is_busy() {
                self.mdev.topology().look_after(queue.apqn());
            }
        });
        if let Some(guest) = self.mdev.guest() {
            guest.set_stopped(false);
        }
        *self.looks.lock() = Looks {
            left: if has_lost { LOOKS } else { LOOKS_AT_LEAST },
            tries: TRIES,
        };
        self.kick(Delta::ZERO);
    }

    fn kick(&self, after: Delta) {
        if let Some(worker) = &*self.worker.lock() {
            worker.kick(after);
        }
    }

    /// Makes the guest look at its queues, if it has taken the look before. Returns after how long
    /// that has to be done again.
    fn look(&self) -> Option<Delta> {
        let mut is_premature = false;

        if self.looks.lock().left == 0 {
            return None;
        }
        self.for_each_queue(|queue| is_premature |= queue.awaits_interrupt());
        {
            let mut looks = self.looks.lock();

            if is_premature && looks.tries != 0 {
                looks.tries -= 1;
                return Some(LOOK);
            }
            // The guest may have been stopped meanwhile.
            looks.left = looks.left.checked_sub(1)?;
        }
        self.for_each_queue(|queue| queue.interrupt());
        (self.looks.lock().left != 0).then_some(LOOK)
    }

    /// Gives back what is kept of interrupts.
    fn forget_paused(&self) {
        self.for_each_queue(|queue| queue.forget_paused());
    }

    /// Gives back what was taken for a guest that has not arrived.
    fn abandon(&self, session: &mut Session) {
        let Some(replaced) = session
            .resuming
            .take()
            .and_then(|resuming| resuming.replaced)
        else {
            return;
        };

        self.forget_paused();
        self.give_back(&replaced);
    }

    /// Makes the assigned matrix empty again, unless it was changed meanwhile.
    fn give_back(&self, replaced: &Matrix) {
        // There is nothing to fail: it only becomes less.
        let _ = self.mdev.configure(Change::Fewer, &|matrix| {
            if matrix == replaced {
                *matrix = Matrix::EMPTY;
            }
        });
    }

    // The source.

    fn described(&self) -> Described {
        Described {
            matrix: self
                .mdev
                .guest()
                .map_or(GuestMatrix::EMPTY, |guest| guest.matrix()),
            changes: self.mdev.overview().changes,
        }
    }

    fn begin_saving(&self) -> Result<Saving> {
        if let Some(guest) = self.mdev.guest() {
            if guest.kvm().is_protected() {
                self.warn(format_args!("migration refused: {}", Obstacle::Protected));
                return Err(Obstacle::Protected.errno());
            }
        }
        let mut bytes = KVVec::new();
        let encoder = Encoder::begin(&mut |more| extend(&mut bytes, more))?;

        Ok(Saving {
            bytes,
            base: 0,
            encoder: Some(encoder),
            initial: 0,
            described: None,
        })
    }

    /// Adds a description of what the guest has.
    fn describe(&self, saving: &mut Saving) -> Result {
        let described = self.described();
        let matrix = described.matrix;
        let Some(encoder) = &mut saving.encoder else {
            return Ok(());
        };

        // A queue that is just going has no properties: the guest will have another matrix.
        encoder.description(
            [matrix.apm(), matrix.aqm(), matrix.adm()],
            &mut |apqn| {
                self.queue(apqn)
                    .and_then(|queue| queue.info())
                    .unwrap_or(QueueInfo::from_raw(0))
            },
            &mut |more| extend(&mut saving.bytes, more),
        )?;
        saving.described = Some(described);
        Ok(())
    }

    /// Adds a description if there is none of what the guest has now.
    fn update(&self, saving: &mut Saving) -> Result {
        if saving.described == Some(self.described()) {
            return Ok(());
        }
        self.describe(saving)
    }

    /// Adds all that is left of the stream of a guest that is stopped.
    fn complete(&self, saving: &mut Saving) -> Result {
        self.update(saving)?;
        let (Some(mut encoder), Some(described)) = (saving.encoder, saving.described) else {
            return Ok(());
        };

        encoder.interrupts(
            [described.matrix.apm(), described.matrix.aqm()],
            &mut |apqn| {
                self.queue(apqn).map_or(
                    QueueState {
                        interrupts: None,
                        has_requests: false,
                    },
                    |queue| queue.paused_state(),
                )
            },
            &mut |more| extend(&mut saving.bytes, more),
        )?;
        encoder.end(&mut |more| extend(&mut saving.bytes, more))?;
        saving.encoder = None;
        Ok(())
    }

    fn read(&self, session: &mut Session, position: u64, buffer: &mut [u8]) -> Result<usize> {
        let is_running = session.machine.state().is_running();
        let saving = session.saving.as_mut().ok_or(EINVAL)?;

        if is_running && position >= saving.end() {
            saving.trim(position)?;
            self.update(saving)?;
        }
        let at = position.saturating_sub(saving.base) as usize;
        let rest = saving.bytes.get(at..).unwrap_or_default();
        let read = rest.len().min(buffer.len());

        if let (Some(to), Some(from)) = (buffer.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        if read == 0 && is_running {
            Err(enomsg())
        } else {
            Ok(read)
        }
    }

    fn precopy_info(&self, session: &mut Session, position: u64) -> Result<PrecopyInfo> {
        if session.machine.state() != MigrationState::PreCopy {
            return Err(EINVAL);
        }
        let saving = session.saving.as_mut().ok_or(EINVAL)?;

        if position >= saving.end() {
            saving.trim(position)?;
            self.update(saving)?;
        }
        let initial = saving.initial.saturating_sub(position);

        Ok(PrecopyInfo {
            initial,
            dirty: saving.end().saturating_sub(position) - initial,
        })
    }

    // The target.

    fn write(&self, session: &mut Session, mut bytes: &[u8]) -> Result {
        let resuming = session.resuming.as_mut().ok_or(EINVAL)?;

        if let Some(error) = resuming.refused {
            return Err(error);
        }
        self.take_bytes(resuming, &mut bytes).map_err(|obstacle| {
            self.warn(format_args!("migration refused: {obstacle}"));
            resuming.refused = Some(obstacle.errno());
            // If it goes on behind its end, everything was taken.
            self.forget_paused();
            if let Some(replaced) = resuming.replaced.take() {
                self.give_back(&replaced);
            }
            obstacle.errno()
        })
    }

    fn take_bytes(&self, resuming: &mut Resuming, bytes: &mut &[u8]) -> Result<(), Obstacle> {
        while let Some(item) = resuming.parser.next(bytes).map_err(Obstacle::Stream)? {
            match item {
                Item::Description { queues } => {
                    resuming.queues.clear();
                    resuming.queues.reserve(queues as usize, GFP_KERNEL)?;
                }
                Item::Queue(apqn, info) => resuming
                    .queues
                    .push((apqn, info), GFP_KERNEL)
                    .map_err(|_| Obstacle::NoMemory)?,
                Item::Described { apm, aqm, adm } => {
                    resuming.masks = [apm, aqm, adm];
                    self.judge(resuming)?;
                }
                Item::State(apqn, state) => resuming
                    .states
                    .push((apqn, state), GFP_KERNEL)
                    .map_err(|_| Obstacle::NoMemory)?,
                Item::Complete(_) if bytes.is_empty() => self.claim(resuming)?,
                // It goes on behind its end: the next step refuses that.
                Item::Complete(_) => (),
            }
        }
        Ok(())
    }

    /// Tells whether the guest has exactly what the stream describes.
    fn has_all(&self, resuming: &Resuming) -> bool {
        let matrix = self.described().matrix;

        [matrix.apm(), matrix.aqm(), matrix.adm()] == resuming.masks
    }

    /// Judges whether this host could take what was described. Changes nothing.
    fn judge(&self, resuming: &Resuming) -> Result<Matrix, Obstacle> {
        let topology = self.mdev.topology();
        let [apm, aqm, adm] = resuming.masks;
        let matrix = Matrix::from_masks(apm, aqm, adm, topology.limits())
            .map_err(|_| Obstacle::BeyondLimits)?;
        let config = topology.lock().config;
        let guest = self.mdev.guest();

        if guest.is_none() && matrix != Matrix::EMPTY {
            return Err(Obstacle::NoGuest);
        }
        if guest.is_some_and(|guest| guest.kvm().is_protected()) {
            return Err(Obstacle::Protected);
        }
        if !adm.is_subset_of(config.adm()) {
            return Err(Obstacle::ControlDomains(adm.and_not(config.adm())));
        }
        for (apqn, source) in &resuming.queues {
            let target = self
                .queue(*apqn)
                .and_then(|queue| queue.info())
                .ok_or(Obstacle::NotBound(*apqn))?;

            compatible::check(*source, target)
                .map_err(|mismatch| Obstacle::Mismatch(*apqn, mismatch))?;
        }
        if self.has_all(resuming) {
            return Ok(matrix);
        }
        if self.mdev.matrix() != Matrix::EMPTY {
            return Err(Obstacle::OtherMatrix);
        }
        topology
            .could_claim(&matrix)
            .map_err(Obstacle::NotClaimed)?;
        Ok(matrix)
    }

    /// Takes what the guest will need, all of it or nothing.
    fn claim(&self, resuming: &mut Resuming) -> Result<(), Obstacle> {
        let matrix = self.judge(resuming)?;
        let replaced = Cell::new(None);

        if !self.has_all(resuming) {
            self.mdev
                .configure(Change::Any, &|now| {
                    if *now == Matrix::EMPTY {
                        *now = matrix;
                        replaced.set(Some(matrix));
                    }
                })
                .map_err(Obstacle::NotClaimed)?;
        }
        let result = if self.has_all(resuming) {
            self.prepare(resuming)
        } else {
            Err(Obstacle::NotPassed)
        };

        if result.is_err() {
            self.forget_paused();
            if let Some(replaced) = replaced.get() {
                self.give_back(&replaced);
            }
        } else {
            resuming.replaced = replaced.get();
        }
        result
    }

    /// Prepares the interrupts that the guest had at the source.
    fn prepare(&self, resuming: &Resuming) -> Result<(), Obstacle> {
        for (apqn, state) in &resuming.states {
            let guest = self.mdev.guest().ok_or(Obstacle::NoGuest)?;
            let queue = self.queue(*apqn).ok_or(Obstacle::NotBound(*apqn))?;

            if let Some((nib, gisc)) = state.interrupts {
                queue
                    .prepare_resumption(&guest, nib, gisc)
                    .map_err(|error| Obstacle::Interrupts(*apqn, error))?;
            }
            if state.has_requests {
                queue.set_lost();
            }
        }
        Ok(())
    }
}

fn extend(bytes: &mut KVVec<u8>, more: &[u8]) -> Result {
    bytes.extend_from_slice(more, GFP_KERNEL)?;
    Ok(())
}
