// SPDX-License-Identifier: GPL-2.0

//! Resets of a queue.
//!
//! A reset is started with locks held, and waited for with none. What is not done when the patience
//! of a request ends is looked after by a worker until it is, however long that takes.

use super::bound::Queue;
use crate::{
    kapi::trace,
    model::ResetOutcome, //
};

impl Queue {
    /// Starts a reset. Does not wait.
    pub(crate) fn start_reset(&self) {
        let mut state = self.state.lock();
        let status = state.hw.start_reset();

        trace::reset_start(|| (self.apqn, status));
        state.is_due = false;
        state.has_lost = false;
        state.resets += 1;
    }

    /// Starts a reset of a queue that nobody has used since the last one began, if there was none
    /// or it has failed.
    pub(crate) fn start_reset_unless_clean(&self, is_clean: bool) {
        let is_going_on = self.state.lock().hw.is_being_reset();

        if !is_clean && !is_going_on {
            self.start_reset();
        }
    }

    /// Looks how its reset and the disabling of its interrupts are going. Returns how the reset has
    /// ended, if it just has.
    ///
    /// To be called with no lock held, not even a callers': the last reference to a guest may end.
    pub(crate) fn poll(&self) -> Option<ResetOutcome> {
        let mut state = self.state.lock();
        if !state.hw.is_unsettled() && !state.hw.holds_memory() {
            return None;
        }
        let polled = state.hw.poll();

        if let Some(outcome) = polled.reset_ended {
            trace::reset_end(|| (self.apqn, outcome.raw_response()));
            state.is_due = true;
        }
        drop(state);
        drop(polled.released);
        polled.reset_ended
    }

    /// Tells whether a reset has ended and the topology does not know yet how.
    pub(crate) fn is_due(&self) -> bool {
        self.state.lock().is_due
    }

    /// Takes how the last reset ended for the topology, if it has not been told. Lock 3 has to be
    /// held: then no other reset begins whose end could be taken for this one's.
    pub(crate) fn take_due(&self) -> Option<ResetOutcome> {
        let mut state = self.state.lock();

        if core::mem::take(&mut state.is_due) {
            state.hw.reset_outcome()
        } else {
            None
        }
    }

    /// Tells whether a reset is going on, or the topology does not know yet how it has ended.
    pub(crate) fn is_being_reset(&self) -> bool {
        let state = self.state.lock();

        state.hw.is_being_reset() || state.is_due
    }

    /// Tells whether the last reset that was started was performed by hardware.
    pub(crate) fn was_reset(&self) -> bool {
        let state = self.state.lock();

        state.hw.reset_outcome() == Some(ResetOutcome::Completed)
    }

    /// Tells whether something goes on that a worker has to look after.
    pub(crate) fn is_unsettled(&self) -> bool {
        let state = self.state.lock();

        state.hw.is_unsettled() || state.is_due
    }

    /// Leaves it to its next user. From now on hardware is only looked at. Returns whether hardware
    /// may still write for it.
    pub(crate) fn orphan(&self) -> bool {
        let mut state = self.state.lock();

        state.hw.orphan();
        state.is_due = false;
        state.hw.holds_memory()
    }

    /// Tells whether hardware may write for it.
    pub(crate) fn holds_memory(&self) -> bool {
        self.state.lock().hw.holds_memory()
    }
}
