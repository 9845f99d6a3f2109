// SPDX-License-Identifier: GPL-2.0

//! A queue whose guest is stopped, and perhaps moved to another host.
//!
//! While a guest is stopped, its queues make no interrupts. What they had enabled is kept by the
//! queue, with its pin, so that nothing can fail when the guest goes on. At the target of a
//! migration the same is prepared from what the source has sent.

use super::bound::Queue;
use crate::{
    guest::Guest,
    kapi::{
        kvm::GiscUse,
        queue_hw::{
            Notification,
            QueueTest, //
        },
    },
    model::{
        migration::stream::QueueState,
        Isc,
        Nib, //
    },
};
use kernel::prelude::*;

impl Queue {
    /// Has interrupts disabled until [`resume`](Self::resume). Does not wait. Returns whether
    /// something goes on that a worker has to look after.
    pub(crate) fn pause(&self) -> bool {
        let mut state = self.state.lock();
        let released = state.hw.pause();
        let is_unsettled = state.hw.is_unsettled();

        drop(state);
        released.release_here();
        is_unsettled
    }

    /// Tests the queue with PQAP(TAPQ); [`None`] if there is no such queue.
    pub(crate) fn test(&self) -> Option<QueueTest> {
        self.state.lock().hw.test()
    }

    /// Returns the state that a migration carries over.
    pub(crate) fn paused_state(&self) -> QueueState {
        let state = self.state.lock();

        QueueState {
            interrupts: state.hw.parked(),
            has_requests: state.has_lost || state.hw.test().is_some_and(|test| test.has_requests),
        }
    }

    /// Gets what interrupts will need of a guest that arrives, for [`resume`](Self::resume). May
    /// sleep to pin the page of the NIB.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the queue is being reset, or its interrupts are not off; those of pinning, and
    /// `ENODEV` if the guest does not have the queue, or no interruption state area.
    pub(crate) fn prepare_resumption(&self, guest: &Guest, nib: Nib, gisc: Isc) -> Result {
        let page = guest.pins().use_page(nib.page())?;
        let notification =
            GiscUse::new(guest.kvm(), gisc).and_then(|gisc| Notification::new(page, nib, gisc))?;
        let mut state = self.state.lock();
        let refused = if guest.has(self.apqn) {
            state
                .hw
                .park(notification)
                .map_err(|given_back| (given_back, EBUSY))
        } else {
            Err((notification, ENODEV))
        };

        drop(state);
        refused.map_err(|(given_back, error)| {
            given_back.release_here();
            error
        })
    }

    /// Notes that requests may have been lost.
    pub(crate) fn set_lost(&self) {
        self.state.lock().has_lost = true;
    }

    /// Gives back what is kept.
    pub(crate) fn forget_paused(&self) {
        let mut state = self.state.lock();
        let released = state.hw.forget_parked();

        state.has_lost = false;
        drop(state);
        released.release_here();
    }

    /// Enables the interrupts again that were disabled. Returns whether to call it again, since the
    /// queue is busy.
    pub(crate) fn resume(&self) -> bool {
        let mut state = self.state.lock();
        let (released, again) = state.hw.unpark();

        if !again {
            state.has_lost = false;
        }
        drop(state);
        released.release_here();
        again
    }

    /// Makes an interrupt for the guest, if interrupts are enabled.
    pub(crate) fn interrupt(&self) {
        self.state.lock().hw.interrupt();
    }

    /// Tells whether an interrupt for the guest would be premature: those that it has asked for do
    /// not come yet, or it has not taken one of the subclass.
    pub(crate) fn awaits_interrupt(&self) -> bool {
        self.state.lock().hw.awaits_interrupt()
    }

    /// Tells whether something goes on that a worker has to look after.
    pub(crate) fn is_busy(&self) -> bool {
        self.state.lock().hw.is_unsettled()
    }
}
