// SPDX-License-Identifier: GPL-2.0

//! The queues of a guest that is migrated.

use crate::{
    guest::Guest,
    kapi::may_print,
    matrix_mdev::MatrixMdev,
    model::{
        Apqn,
        ApqnSet,
        GuestMatrix, //
    },
    queue::{
        Patience,
        Queue, //
    },
    topology::Owner,
};
use core::fmt;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The guest's resources at the time of a description.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) matrix: GuestMatrix,
    /// Differs if a queue was taken and came back as another one.
    changes: u64,
}

/// The queues of the guest that has a mediated device open, whichever these are at the moment.
pub(super) struct GuestQueues(Arc<MatrixMdev>);

impl GuestQueues {
    pub(super) fn new(mdev: Arc<MatrixMdev>) -> Self {
        Self(mdev)
    }

    /// Returns the mediated device.
    pub(super) fn mdev(&self) -> &Arc<MatrixMdev> {
        &self.0
    }

    /// Returns the guest, if there is one with AP.
    pub(super) fn guest(&self) -> Option<Arc<Guest>> {
        self.0.guest()
    }

    /// Returns the queue, if it is bound to this driver.
    pub(super) fn get(&self, apqn: Apqn) -> Option<Arc<Queue>> {
        self.0.topology().queue(apqn)
    }

    /// Returns what the guest has.
    pub(super) fn described(&self) -> Described {
        Described {
            matrix: self
                .guest()
                .map_or(GuestMatrix::EMPTY, |guest| guest.matrix()),
            changes: self.0.overview().changes,
        }
    }

    /// Calls `f` with each queue that the guest has.
    pub(super) fn for_each(&self, mut f: impl FnMut(&Arc<Queue>)) {
        let apqns = self
            .guest()
            .map_or(ApqnSet::EMPTY, |guest| guest.matrix().apqns());

        for apqn in apqns.iter() {
            if let Some(queue) = self.get(apqn) {
                f(&queue);
            }
        }
    }

    /// Tells the administrator, unless too much was told in the last seconds.
    pub(super) fn warn(&self, text: fmt::Arguments<'_>) {
        if may_print() {
            dev_warn!(self.0.device(), "{}\n", text);
        }
    }

    /// Disables the interrupts of all queues, and waits until they are.
    ///
    /// # Errors
    ///
    /// `EIO` if they are not, in time. Then nobody knows whether they are.
    pub(super) fn stop(&self) -> Result {
        let topology = self.0.topology();
        let Some(guest) = self.guest() else {
            return Ok(());
        };
        let set = guest.matrix().apqns();

        guest.set_stopped(true);
        self.for_each(|queue| {
            if queue.pause() {
                topology.look_after(queue.apqn());
            }
        });
        topology.wait(&set, &mut Patience::for_reset());

        let mut writing = None;
        self.for_each(|queue| {
            if queue.holds_memory() {
                writing = Some(queue.apqn());
            }
        });
        match writing {
            None => Ok(()),
            Some(apqn) => {
                self.warn(format_args!("queue {apqn} does not stop making interrupts"));
                Err(EIO)
            }
        }
    }

    /// Enables the interrupts again that the guest had. Returns whether requests may be lost.
    pub(super) fn resume(&self) -> bool {
        let mut patience = Patience::for_reset();
        let mut has_lost = false;

        self.for_each(|queue| {
            has_lost |= queue.paused_state().has_requests;
            if !patience.poll(&mut || !queue.resume()) {
                queue.forget_paused();
                self.warn(format_args!(
                    "queue {} is busy: its interrupts stay disabled",
                    queue.apqn()
                ));
            }
            if queue.is_busy() {
                self.0.topology().look_after(queue.apqn());
            }
        });
        self.set_running();
        has_lost
    }

    /// Lets the guest use AQIC.
    pub(super) fn set_running(&self) {
        if let Some(guest) = self.guest() {
            guest.set_stopped(false);
        }
    }

    /// Gives back what is kept of interrupts.
    pub(super) fn forget_paused(&self) {
        self.for_each(|queue| queue.forget_paused());
    }
}
