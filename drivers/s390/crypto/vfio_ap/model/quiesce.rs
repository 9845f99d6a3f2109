// SPDX-License-Identifier: GPL-2.0

//! Bringing a queue to rest: resets, and switching its interrupts on and off.
//!
//! Neither is done when the instruction is: hardware accepts it, and goes on by itself. What to do
//! next, and what is certain at the end, follows from the response codes alone; the types here say
//! so, and leave the instructions and the waiting to the caller.

use super::{
    id::Apqn,
    status::{
        ResponseCode,
        StatusWord, //
    },
};

/// The proof that hardware does not write a queue's notification indicator byte (NIB) any more.
///
/// There is one for a disable that was seen to take effect, for a finished reset, and for a queue
/// that is gone; and none for anything else, however long one waits. It is good once.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Quiesced {
    apqn: Apqn,
}

impl Quiesced {
    /// Returns the queue that it is about.
    pub const fn apqn(&self) -> Apqn {
        self.apqn
    }
}

/// What an AQIC that enables interrupts came to.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum EnableOutcome {
    /// Interrupts are being enabled: hardware uses the new NIB.
    Enabled {
        /// For the NIB before, if there was one: interrupts had been disabled, else the answer
        /// would have been another one. A guest's own reset does that without our doing.
        previous: Quiesced,
    },
    /// Interrupts were enabled before (07). Hardware does not use the new NIB, and may use the one
    /// before.
    AlreadyEnabled,
    /// The queue cannot do it just now (02, 05, 0A). Hardware does not use the new NIB.
    Busy,
    /// The NIB or the guest interruption state area cannot be used (06, 08). Hardware does not use
    /// the new NIB.
    Refused,
    /// There is no working queue (01, 03, 04). Hardware uses no NIB.
    Gone {
        /// For the NIB before, if there was one.
        previous: Quiesced,
    },
    /// A response that AQIC does not have. Hardware may use the new NIB: treat it as enabled, and
    /// disable it.
    Unexpected,
}

impl EnableOutcome {
    /// Judges the status that AQIC left for the queue.
    #[inline]
    pub fn of(apqn: Apqn, status: StatusWord) -> EnableOutcome {
        match status.response() {
            Ok(ResponseCode::Normal) => EnableOutcome::Enabled {
                previous: Quiesced { apqn },
            },
            Ok(ResponseCode::OtherwiseChanged) => EnableOutcome::AlreadyEnabled,
            Ok(ResponseCode::InvalidAddress | ResponseCode::InvalidGisa) => EnableOutcome::Refused,
            Ok(code) if code.is_gone() => EnableOutcome::Gone {
                previous: Quiesced { apqn },
            },
            Ok(code) if code.is_transient() => EnableOutcome::Busy,
            _ => EnableOutcome::Unexpected,
        }
    }
}

/// What to do next to disable a queue's interrupts.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum IrqDisableStep {
    /// Wait, issue AQIC with [`AqicControl::DISABLE`] again, and call [`IrqDisable::requested`].
    ///
    /// [`AqicControl::DISABLE`]: super::aqic::AqicControl::DISABLE
    Request,
    /// Issue TAPQ, after a wait if it is not the first, and call [`IrqDisable::polled`].
    Poll,
    /// Done.
    Quiesced(Quiesced),
    /// A response that the instruction does not have. Nothing is certain; reset the queue.
    Unexpected,
}

/// The disabling of a queue's interrupts.
///
/// Begins with an AQIC of [`AqicControl::DISABLE`], then does what each step says. It ends when
/// hardware lets it; how long to wait is the caller's decision, and to give up proves nothing. It
/// is void once interrupts are enabled again.
///
/// That TAPQ reports them disabled is not enough: an enabling that was accepted, too, may take its
/// time to show.
///
/// [`AqicControl::DISABLE`]: super::aqic::AqicControl::DISABLE
#[derive(Debug)]
pub struct IrqDisable {
    apqn: Apqn,
    accepted: bool,
}

impl IrqDisable {
    /// Begins with a queue.
    pub const fn new(apqn: Apqn) -> IrqDisable {
        IrqDisable {
            apqn,
            accepted: false,
        }
    }

    /// Begins with a queue on which no enabling is under way, because the last one was seen to take
    /// effect or is long past. Then TAPQ's report is enough, and AQIC need not be issued at all.
    pub const fn with_settled(apqn: Apqn) -> IrqDisable {
        IrqDisable {
            apqn,
            accepted: true,
        }
    }

    /// Judges the status that AQIC left.
    #[inline]
    pub fn requested(&mut self, status: StatusWord) -> IrqDisableStep {
        match status.response() {
            // 07: they are disabled, or about to be. The I bit tells which.
            Ok(ResponseCode::Normal | ResponseCode::OtherwiseChanged) => {
                self.accepted = true;
                IrqDisableStep::Poll
            }
            Ok(code) if code.is_gone() => self.quiesced(),
            Ok(code) if code.is_transient() => IrqDisableStep::Request,
            _ => IrqDisableStep::Unexpected,
        }
    }

    /// Judges the status that TAPQ left.
    #[inline]
    pub fn polled(&mut self, status: StatusWord) -> IrqDisableStep {
        match status.response() {
            Ok(ResponseCode::Normal) if !self.accepted => IrqDisableStep::Request,
            Ok(ResponseCode::Normal) if !status.irq_enabled() => self.quiesced(),
            Ok(ResponseCode::Normal) => IrqDisableStep::Poll,
            Ok(code) if code.is_gone() => self.quiesced(),
            Ok(code) if code.is_transient() => IrqDisableStep::Poll,
            _ => IrqDisableStep::Unexpected,
        }
    }

    fn quiesced(&self) -> IrqDisableStep {
        IrqDisableStep::Quiesced(Quiesced { apqn: self.apqn })
    }
}

/// How a reset ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetOutcome {
    /// Hardware performed it.
    Completed,
    /// The adapter is deconfigured (03), which clears its queues as well.
    Deconfigured,
    /// The adapter is checkstopped (04); nothing can be got from its queues.
    Checkstopped,
    /// There is no such queue (01).
    Gone,
    /// A response that the instruction does not have; its code.
    Unexpected(u8),
}

impl ResetOutcome {
    /// Returns the response code that it stands for, for messages.
    pub const fn raw_response(self) -> u8 {
        match self {
            ResetOutcome::Completed => ResponseCode::Normal as u8,
            ResetOutcome::Deconfigured => ResponseCode::Deconfigured as u8,
            ResetOutcome::Checkstopped => ResponseCode::Checkstopped as u8,
            ResetOutcome::Gone => ResponseCode::QNotAvail as u8,
            ResetOutcome::Unexpected(code) => code,
        }
    }
}

/// The report of a reset that has ended. Only a [`Reset`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct ResetReport {
    apqn: Apqn,
    outcome: ResetOutcome,
}

impl ResetReport {
    /// Returns the queue.
    pub const fn apqn(&self) -> Apqn {
        self.apqn
    }

    /// Returns how it ended.
    pub const fn outcome(&self) -> ResetOutcome {
        self.outcome
    }

    /// Tells whether the queue exists and holds nothing of who used it before, so that it may be
    /// passed to a guest. A deconfigured or checkstopped one may: the guest finds it so.
    pub const fn is_clean(&self) -> bool {
        matches!(
            self.outcome,
            ResetOutcome::Completed | ResetOutcome::Deconfigured | ResetOutcome::Checkstopped
        )
    }

    /// Returns the proof that the queue's NIB is not used any more, if the reset is one.
    pub fn into_quiesced(self) -> Option<Quiesced> {
        match self.outcome {
            ResetOutcome::Unexpected(_) => None,
            ResetOutcome::Completed
            | ResetOutcome::Deconfigured
            | ResetOutcome::Checkstopped
            | ResetOutcome::Gone => Some(Quiesced { apqn: self.apqn }),
        }
    }
}

/// What to do next to reset a queue.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum ResetStep {
    /// Issue ZAPQ or RAPQ again, at once, and call [`Reset::requested`].
    Request,
    /// Wait, issue TAPQ, and call [`Reset::polled`].
    Poll,
    /// Done.
    Finished(ResetReport),
}

/// The reset of a queue.
///
/// Begins with a ZAPQ or RAPQ, then does what each step says. It ends when hardware lets it.
#[derive(Debug)]
pub struct Reset {
    apqn: Apqn,
    accepted: bool,
}

impl Reset {
    /// Begins with a queue.
    pub const fn new(apqn: Apqn) -> Reset {
        Reset {
            apqn,
            accepted: false,
        }
    }

    /// Judges the status that ZAPQ or RAPQ left.
    pub fn requested(&mut self, status: StatusWord) -> ResetStep {
        let response = status.response();

        self.accepted = response == Ok(ResponseCode::Normal);
        match response {
            Ok(ResponseCode::Normal) => ResetStep::Poll,
            // What goes on there is not our reset, and need not clear the queue as ours does.
            Ok(code) if code.is_transient() => ResetStep::Poll,
            _ => self.ended_by(status),
        }
    }

    /// Judges the status that TAPQ left.
    pub fn polled(&mut self, status: StatusWord) -> ResetStep {
        match status.response() {
            Ok(ResponseCode::Normal) if self.accepted => self.finished(ResetOutcome::Completed),
            Ok(ResponseCode::Normal) => ResetStep::Request,
            // An association failed, and only another reset takes that away.
            Ok(ResponseCode::AssocSecretNotUnique | ResponseCode::AssocFailed) => {
                self.accepted = false;
                ResetStep::Request
            }
            Ok(code) if code.is_transient() => ResetStep::Poll,
            _ => self.ended_by(status),
        }
    }

    fn ended_by(&self, status: StatusWord) -> ResetStep {
        self.finished(match status.response() {
            Ok(ResponseCode::QNotAvail) => ResetOutcome::Gone,
            Ok(ResponseCode::Deconfigured) => ResetOutcome::Deconfigured,
            Ok(ResponseCode::Checkstopped) => ResetOutcome::Checkstopped,
            _ => ResetOutcome::Unexpected(status.raw_response()),
        })
    }

    fn finished(&self, outcome: ResetOutcome) -> ResetStep {
        ResetStep::Finished(ResetReport {
            apqn: self.apqn,
            outcome,
        })
    }
}
