// SPDX-License-Identifier: GPL-2.0

//! Bringing a queue to rest: resets, and enabling and disabling its interrupts.
//!
//! Hardware accepts such a request and carries it out by itself. What to do next, and what is
//! certain at the end, follows from the response codes alone. The machines here decide that; they
//! issue no instruction, do not wait, and hold nothing: a [`Verdict`](Next::Done) is plain data,
//! and whoever relies on one has to know where the status words came from.

use super::status::{
    ResponseCode,
    StatusWord, //
};

/// What a machine needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next<V> {
    /// Issue the request again.
    Request,
    /// Issue TAPQ, after a pause if it is not the first.
    Poll,
    /// Nothing: this is the verdict.
    Done(V),
}

/// What an AQIC that enables interrupts came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum EnableVerdict {
    /// Interrupts are being enabled, and hardware uses the new notification indicator byte (NIB).
    /// It does not use the one before, if there was one: interrupts had been disabled, else the
    /// response would have been 07. A guest's own reset does that without the driver.
    Enabled,
    /// Interrupts were enabled before (07). Hardware does not use the new NIB, and may use the one
    /// before.
    AlreadyEnabled,
    /// The queue cannot do it now (02, 05, 0A). Hardware does not use the new NIB.
    Busy,
    /// The NIB or the guest interruption state area cannot be used (06, 08). Hardware does not use
    /// the new NIB.
    Refused,
    /// There is no working queue (01, 03, 04). Hardware uses no NIB.
    Gone,
    /// A response that AQIC does not have. Hardware may use the new NIB: interrupts have to be
    /// disabled.
    Unexpected,
}

impl EnableVerdict {
    /// Judges the status that AQIC left.
    #[inline]
    pub fn of(status: StatusWord) -> EnableVerdict {
        match status.response() {
            Ok(ResponseCode::Normal) => EnableVerdict::Enabled,
            Ok(ResponseCode::OtherwiseChanged) => EnableVerdict::AlreadyEnabled,
            Ok(ResponseCode::InvalidAddress | ResponseCode::InvalidGisa) => EnableVerdict::Refused,
            Ok(code) if code.is_gone() => EnableVerdict::Gone,
            Ok(code) if code.is_transient() => EnableVerdict::Busy,
            _ => EnableVerdict::Unexpected,
        }
    }
}

/// How the disabling of interrupts ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisableVerdict {
    /// Hardware does not use the queue's NIB.
    Quiesced,
    /// A response that the instruction does not have. Nothing is certain; ask again later.
    Unexpected,
}

/// The disabling of a queue's interrupts.
///
/// Begins with an AQIC of [`AqicControl::DISABLE`] and its status in [`IrqDisable::requested`],
/// then does what each step says. It ends when hardware lets it; to give up proves nothing. It is
/// void once interrupts are enabled again.
///
/// It is not enough that TAPQ reports them disabled: an enabling that was accepted may take its
/// time to show, too.
///
/// [`AqicControl::DISABLE`]: super::aqic::AqicControl::DISABLE
#[derive(Clone, Copy, Debug, Default)]
pub struct IrqDisable {
    accepted: bool,
}

impl IrqDisable {
    /// Begins.
    pub const fn new() -> IrqDisable {
        IrqDisable { accepted: false }
    }

    /// Tells whether hardware has accepted the request.
    pub const fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Judges the status that AQIC left.
    #[inline]
    pub fn requested(&mut self, status: StatusWord) -> Next<DisableVerdict> {
        match status.response() {
            // 07: they are disabled, or about to be. The I bit tells which.
            Ok(ResponseCode::Normal | ResponseCode::OtherwiseChanged) => {
                self.accepted = true;
                Next::Poll
            }
            Ok(code) if code.is_gone() => Next::Done(DisableVerdict::Quiesced),
            Ok(code) if code.is_transient() => Next::Request,
            _ => Next::Done(DisableVerdict::Unexpected),
        }
    }

    /// Judges the status that TAPQ left.
    #[inline]
    pub fn polled(&mut self, status: StatusWord) -> Next<DisableVerdict> {
        match status.response() {
            Ok(ResponseCode::Normal) if !self.accepted => Next::Request,
            Ok(ResponseCode::Normal) if !status.irq_enabled() => {
                Next::Done(DisableVerdict::Quiesced)
            }
            Ok(ResponseCode::Normal) => Next::Poll,
            Ok(code) if code.is_gone() => Next::Done(DisableVerdict::Quiesced),
            Ok(code) if code.is_transient() => Next::Poll,
            _ => Next::Done(DisableVerdict::Unexpected),
        }
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

    /// Tells whether the queue exists and holds nothing of its previous user, so that it may be
    /// passed to a guest. A deconfigured or checkstopped one may: the guest finds it so.
    pub const fn is_clean(self) -> bool {
        matches!(
            self,
            ResetOutcome::Completed | ResetOutcome::Deconfigured | ResetOutcome::Checkstopped
        )
    }

    /// Tells whether hardware does not use the queue's NIB any more.
    pub const fn is_quiesced(self) -> bool {
        !matches!(self, ResetOutcome::Unexpected(_))
    }
}

/// The reset of a queue.
///
/// Begins with a ZAPQ or RAPQ and its status in [`Reset::requested`], then does what each step
/// says. It ends when hardware lets it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reset {
    accepted: bool,
}

impl Reset {
    /// Begins.
    pub const fn new() -> Reset {
        Reset { accepted: false }
    }

    /// Judges the status that ZAPQ or RAPQ left. [`Next::Request`] means at once here.
    pub fn requested(&mut self, status: StatusWord) -> Next<ResetOutcome> {
        let response = status.response();

        self.accepted = response == Ok(ResponseCode::Normal);
        match response {
            Ok(ResponseCode::Normal) => Next::Poll,
            // What goes on there is not our reset, and need not clear the queue as ours does.
            Ok(code) if code.is_transient() => Next::Poll,
            _ => ended_by(status),
        }
    }

    /// Judges the status that TAPQ left.
    pub fn polled(&mut self, status: StatusWord) -> Next<ResetOutcome> {
        match status.response() {
            Ok(ResponseCode::Normal) if self.accepted => Next::Done(ResetOutcome::Completed),
            Ok(ResponseCode::Normal) => Next::Request,
            // An association failed, and only another reset takes that away.
            Ok(ResponseCode::AssocSecretNotUnique | ResponseCode::AssocFailed) => {
                self.accepted = false;
                Next::Request
            }
            Ok(code) if code.is_transient() => Next::Poll,
            _ => ended_by(status),
        }
    }
}

fn ended_by(status: StatusWord) -> Next<ResetOutcome> {
    Next::Done(match status.response() {
        Ok(ResponseCode::QNotAvail) => ResetOutcome::Gone,
        Ok(ResponseCode::Deconfigured) => ResetOutcome::Deconfigured,
        Ok(ResponseCode::Checkstopped) => ResetOutcome::Checkstopped,
        _ => ResetOutcome::Unexpected(status.raw_response()),
    })
}

/// Waiting for a queue that was left to its next user to come to rest, which only looks.
///
/// Nobody of ours enables its interrupts any more, and resets that others perform count: the bus
/// resets every queue that it hands to another driver.
#[derive(Clone, Copy, Debug)]
pub struct Orphan {
    /// A reset was accepted, or seen under way, after interrupts were enabled.
    reset: bool,
    /// A disabling was accepted.
    disabled: bool,
}

impl Orphan {
    /// Begins with what was accepted while the queue was ours.
    pub const fn new(reset: Option<&Reset>, disable: Option<&IrqDisable>) -> Orphan {
        Orphan {
            reset: match reset {
                Some(reset) => reset.accepted,
                None => false,
            },
            disabled: match disable {
                Some(disable) => disable.accepted,
                None => false,
            },
        }
    }

    /// Judges the status that TAPQ left. Returns whether the queue is at rest.
    pub fn polled(&mut self, status: StatusWord) -> bool {
        match status.response() {
            Ok(ResponseCode::ResetInProgress) => {
                self.reset = true;
                false
            }
            Ok(ResponseCode::Normal) => self.reset || (self.disabled && !status.irq_enabled()),
            Ok(code) => code.is_gone(),
            Err(_) => false,
        }
    }
}
