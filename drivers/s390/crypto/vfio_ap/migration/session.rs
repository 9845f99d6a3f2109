// SPDX-License-Identifier: GPL-2.0

//! The migration of one mediated device's guests: its states, and the files that belong to them.
//!
//! Everything is done with lock 1 held, so that the steps of one device come one after the other,
//! and no other device's.

use super::{
    looks::{
        Looking,
        Looks, //
    },
    queues::GuestQueues,
    source::Saving,
    target::Resuming, //
};
use crate::{
    kapi::{
        migration::{
            Data,
            DataFile,
            Direction,
            PrecopyInfo,
            Route, //
        },
        work::WorkQueue, //
    },
    matrix_mdev::MatrixMdev,
    model::migration::{
        state::{
            Action,
            Failure,
            MigrationState,
            StateMachine, //
        },
        stream::Encoder, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

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
    fn with<R>(&self, f: impl FnOnce(&GuestQueues, &mut Session) -> Result<R>) -> Result<R> {
        let migration = self.migration.lock().clone().ok_or(ENODEV)?;
        let mut session = migration.session.lock();
        let link = session.link.as_ref().ok_or(ENODEV)?;

        if !core::ptr::eq(&**link, self) {
            return Err(ENODEV);
        }
        f(&migration.queues, &mut session)
    }
}

impl Data for Link {
    fn read(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        self.with(|queues, session| {
            let saving = session.saving.as_mut().ok_or(EINVAL)?;

            saving.read(queues, position, buffer)
        })
    }

    fn write(&self, bytes: &[u8]) -> Result {
        self.with(|queues, session| {
            let resuming = session.resuming.as_mut().ok_or(EINVAL)?;

            resuming.write(queues, bytes)
        })
    }

    fn precopy_info(&self, position: u64) -> Result<PrecopyInfo> {
        self.with(|queues, session| {
            if session.machine.state() != MigrationState::PreCopy {
                return Err(EINVAL);
            }
            let saving = session.saving.as_mut().ok_or(EINVAL)?;

            saving.precopy_info(queues, position)
        })
    }
}

struct Session {
    machine: StateMachine,
    link: Option<Arc<Link>>,
    saving: Option<Saving>,
    /// There until the guest goes on.
    resuming: Option<Resuming>,
}

impl Session {
    /// Ends the use of a file, which user space may keep.
    fn end_transfer(&mut self) {
        if let Some(link) = self.link.take() {
            link.cut();
        }
        self.saving = None;
    }

    /// Gives back what was taken for a guest that has not arrived.
    fn abandon(&mut self, queues: &GuestQueues) {
        if let Some(mut resuming) = self.resuming.take() {
            resuming.give_back(queues);
        }
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

/// The migration of one mediated device's guests.
#[pin_data]
pub(crate) struct Migration {
    queues: Arc<GuestQueues>,
    looks: Arc<Looks>,
    /// Lock 1, the outer one.
    #[pin]
    session: Mutex<Session>,
}

impl Migration {
    /// Makes it for a mediated device.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(mdev: Arc<MatrixMdev>) -> Result<Arc<Self>> {
        let queues = Arc::new(GuestQueues::new(mdev), GFP_KERNEL)?;
        let looks = Looks::new(queues.clone())?;
        let session = Session {
            machine: StateMachine::new(),
            link: None,
            saving: None,
            resuming: None,
        };

        Arc::pin_init(
            pin_init!(Self {
                queues,
                looks,
                session <- new_mutex!(session, "vfio_ap::migration.session"),
            }),
            GFP_KERNEL,
        )
    }

    /// Starts the worker that makes guests look at their queues, on `queue`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn start_looking(&self, queue: Arc<WorkQueue>) -> Result<Looking> {
        Looking::start(&self.looks, queue)
    }

    /// Returns the mediated device.
    pub(crate) fn mdev(&self) -> &Arc<MatrixMdev> {
        self.queues.mdev()
    }

    /// Returns the state.
    pub(crate) fn state(&self) -> MigrationState {
        self.session.lock().machine.state()
    }

    /// Estimates the length of the stream.
    pub(crate) fn data_size(&self) -> u64 {
        Encoder::length(self.queues.described().matrix.apqns().count())
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
            Action::Quiesce => self.stop()?,
            Action::Resume => {
                self.resume();
                session.resuming = None;
            }
            Action::BeginPreCopy => {
                let saving = Saving::begin_described(&self.queues)?;

                return self.begin_reading(session, saving).map(Some);
            }
            Action::EndPreCopy | Action::EndStopCopy => session.end_transfer(),
            Action::QuiesceAndComplete => {
                self.stop()?;
                if let Some(saving) = &mut session.saving {
                    if let Err(error) = saving.complete(&self.queues) {
                        self.resume();
                        return Err(error.into());
                    }
                }
            }
            Action::BeginStopCopy => {
                let mut saving = Saving::begin(&self.queues)?;

                saving.complete(&self.queues)?;
                return self.begin_reading(session, saving).map(Some);
            }
            Action::BeginResuming => {
                let (link, file) = self.new_file(Direction::Write)?;

                session.abandon(&self.queues);
                self.queues.forget_paused();
                session.link = Some(link);
                session.resuming = Some(Resuming::new());
                return Ok(Some(file));
            }
            Action::EndResuming => {
                let is_complete = session
                    .resuming
                    .as_ref()
                    .is_some_and(|resuming| resuming.is_complete());

                session.end_transfer();
                if !is_complete {
                    self.queues.warn(format_args!(
                        "migration refused: the stream is not complete"
                    ));
                    return Err(Failed::stuck(EINVAL));
                }
            }
        }
        Ok(None)
    }

    /// Disables the interrupts of all queues of the guest, and waits until they are.
    fn stop(&self) -> Result<(), Failed> {
        self.looks.cancel();
        self.queues.stop().map_err(Failed::stuck)
    }

    /// Lets the guest go on with the interrupts that it had.
    fn resume(&self) {
        let has_lost = self.queues.resume();

        self.looks.begin(has_lost);
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

    /// Resets the device, which ends a migration in every state.
    ///
    /// # Errors
    ///
    /// `EIO` if hardware did not perform one of the resets, or not in time.
    pub(crate) fn reset(&self) -> Result {
        let mut session = self.session.lock();

        session.end_transfer();
        self.looks.cancel();
        let result = self.mdev().reset();

        self.queues.forget_paused();
        self.queues.set_running();
        session.abandon(&self.queues);
        session.machine.reset();
        result
    }

    /// Closes the device.
    pub(crate) fn close(&self) {
        let mut session = self.session.lock();

        session.end_transfer();
        self.looks.cancel();
        self.mdev().detach();
        session.abandon(&self.queues);
        session.machine.reset();
    }
}
