// SPDX-License-Identifier: GPL-2.0

//! The migration states of a VFIO device, as far as the driver decides.
//!
//! User space asks for a state; VFIO breaks the way there into arcs
//! (`vfio_mig_get_next_state()`), and the driver does what belongs to each arc. The states and arcs
//! are those of `enum vfio_device_mig_state` in `include/uapi/linux/vfio.h`, without peer-to-peer.

/// A migration state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MigrationState {
    /// An arc failed, and the state before could not be restored. Only a reset helps.
    Error = 0,
    /// No queue of the guest writes its memory.
    Stop = 1,
    /// The guest uses its queues.
    Running = 2,
    /// As in [`Stop`](Self::Stop), and the stream is read to its end.
    StopCopy = 3,
    /// As in [`Stop`](Self::Stop), and a stream is written.
    Resuming = 4,
    /// As in [`Running`](Self::Running), and the stream is read.
    PreCopy = 6,
}

/// A number of a state that the driver does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownState(pub u32);

impl TryFrom<u32> for MigrationState {
    type Error = UnknownState;

    fn try_from(number: u32) -> Result<MigrationState, UnknownState> {
        match number {
            0 => Ok(MigrationState::Error),
            1 => Ok(MigrationState::Stop),
            2 => Ok(MigrationState::Running),
            3 => Ok(MigrationState::StopCopy),
            4 => Ok(MigrationState::Resuming),
            6 => Ok(MigrationState::PreCopy),
            _ => Err(UnknownState(number)),
        }
    }
}

impl MigrationState {
    /// Tells whether the guest may use its queues' interrupts.
    pub const fn is_running(self) -> bool {
        matches!(self, MigrationState::Running | MigrationState::PreCopy)
    }
}

/// What the driver does on an arc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Running to Stop: disable the interrupts of the guest's queues.
    Quiesce,
    /// Stop to Running: enable them again, as the guest has asked for.
    Resume,
    /// Running to PreCopy: begin a stream that describes what the guest has.
    BeginPreCopy,
    /// PreCopy to Running: end the stream.
    EndPreCopy,
    /// PreCopy to StopCopy: quiesce, and complete the stream that was begun.
    QuiesceAndComplete,
    /// Stop to StopCopy: begin a stream, and complete it.
    BeginStopCopy,
    /// StopCopy to Stop: end the stream.
    EndStopCopy,
    /// Stop to Resuming: accept a stream.
    BeginResuming,
    /// Resuming to Stop: end the stream, which has to be complete.
    EndResuming,
}

impl Action {
    /// Returns what to do on the arc from one state to another; [`None`] if there is no such arc.
    pub const fn on_arc(from: MigrationState, to: MigrationState) -> Option<Action> {
        use self::MigrationState::{
            PreCopy,
            Resuming,
            Running,
            Stop,
            StopCopy, //
        };

        match (from, to) {
            (Running, Stop) => Some(Action::Quiesce),
            (Stop, Running) => Some(Action::Resume),
            (Running, PreCopy) => Some(Action::BeginPreCopy),
            (PreCopy, Running) => Some(Action::EndPreCopy),
            (PreCopy, StopCopy) => Some(Action::QuiesceAndComplete),
            (Stop, StopCopy) => Some(Action::BeginStopCopy),
            (StopCopy, Stop) => Some(Action::EndStopCopy),
            (Stop, Resuming) => Some(Action::BeginResuming),
            (Resuming, Stop) => Some(Action::EndResuming),
            _ => None,
        }
    }

    /// Tells whether the arc hands user space a new file for the stream.
    pub const fn makes_file(self) -> bool {
        matches!(
            self,
            Action::BeginPreCopy | Action::BeginStopCopy | Action::BeginResuming
        )
    }
}

/// How an arc failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device is as it was before the arc.
    Undone,
    /// It could not be brought back there.
    Stuck,
}

/// The state of one device.
#[derive(Clone, Copy, Debug)]
pub struct StateMachine {
    state: MigrationState,
}

impl Default for StateMachine {
    fn default() -> StateMachine {
        StateMachine::new()
    }
}

impl StateMachine {
    /// The state of a device that was just opened, or reset: running.
    pub const fn new() -> StateMachine {
        StateMachine {
            state: MigrationState::Running,
        }
    }

    /// Returns the state.
    pub const fn state(&self) -> MigrationState {
        self.state
    }

    /// Returns what to do to get to a state by one arc; [`None`] if that is not possible.
    pub const fn action(&self, to: MigrationState) -> Option<Action> {
        Action::on_arc(self.state, to)
    }

    /// Notes how an arc to a state ended. Without such an arc nothing changes.
    pub fn ended(&mut self, to: MigrationState, result: Result<(), Failure>) {
        if self.action(to).is_none() {
            return;
        }
        match result {
            Ok(()) => self.state = to,
            Err(Failure::Undone) => (),
            Err(Failure::Stuck) => self.state = MigrationState::Error,
        }
    }

    /// Notes that the device was reset, or closed: that is possible in every state.
    pub fn reset(&mut self) {
        self.state = MigrationState::Running;
    }
}
