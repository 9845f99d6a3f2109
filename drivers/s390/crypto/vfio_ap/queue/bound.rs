// SPDX-License-Identifier: GPL-2.0

//! An AP queue that is bound to this driver.
//!
//! There is one [`Queue`] for each, from bind to unbind, and longer if hardware may still write for
//! it. It does not know who owns it: that is in [`topology`](crate::topology).

use crate::{
    kapi::queue_hw::{
        IrqState,
        QueueHw, //
    },
    model::{
        Apqn,
        ResetOutcome, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
};

/// The variable state of a queue: protected by lock 5.
pub(super) struct State {
    pub(super) hw: QueueHw,
    /// A reset has ended, and the topology was not told yet how.
    pub(super) is_due: bool,
    /// Requests may have been lost, because the guest used another host's queue until now.
    pub(super) has_lost: bool,
    /// How many resets were started.
    pub(super) resets: u64,
}

/// A bound queue.
#[pin_data]
pub(crate) struct Queue {
    pub(super) apqn: Apqn,
    /// How many AQICs of guests were performed.
    pub(super) aqics: Atomic<u64>,
    /// How many were refused, by hardware or on its behalf.
    pub(super) refused: Atomic<u64>,
    /// Lock 5.
    #[pin]
    pub(super) state: Mutex<State>,
}

/// The state of a queue, for the files in debugfs.
pub(crate) struct QueueOverview {
    pub(crate) reset: &'static str,
    pub(crate) interrupts: &'static str,
    pub(crate) resets: u64,
    pub(crate) aqics: u64,
    pub(crate) refused: u64,
}

impl Queue {
    /// Makes a queue of its hardware.
    pub(crate) fn new(hw: QueueHw) -> Result<Arc<Self>> {
        let apqn = hw.apqn();
        let state = State {
            hw,
            is_due: false,
            has_lost: false,
            resets: 0,
        };

        Arc::pin_init(
            pin_init!(Self {
                apqn,
                aqics: Atomic::new(0),
                refused: Atomic::new(0),
                state <- new_mutex!(state, "vfio_ap::queue.state"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns its number.
    pub(crate) fn apqn(&self) -> Apqn {
        self.apqn
    }

    /// Returns what is shown of it.
    pub(crate) fn overview(&self) -> QueueOverview {
        let state = self.state.lock();

        QueueOverview {
            reset: match state.hw.reset_outcome() {
                _ if state.hw.is_being_reset() => "under way",
                None => "none",
                Some(ResetOutcome::Completed) => "done",
                Some(ResetOutcome::Deconfigured) => "deconfigured",
                Some(ResetOutcome::Checkstopped) => "checkstopped",
                Some(ResetOutcome::Gone) => "gone",
                Some(ResetOutcome::Unexpected(_)) => "failed",
            },
            interrupts: match state.hw.irq_state() {
                IrqState::Off => "off",
                IrqState::On => "on",
                IrqState::Disabling => "disabling",
                IrqState::Held => "held",
                IrqState::Parked => "parked",
            },
            resets: state.resets,
            aqics: self.aqics.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}
