// SPDX-License-Identifier: GPL-2.0

//! A guest that has a mediated device open.
//!
//! There is one [`Guest`] from open to close. It has what the guest's AQICs need: the queues that
//! the guest may use, the pages of its notification indicator bytes (NIB), and its KVM.

use crate::{
    kapi::{
        kvm::Kvm,
        page::Pins, //
    },
    model::{
        Apqn,
        GuestMatrix,
        ResponseCode, //
    },
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    },
};

/// The rights of a guest.
struct Rights {
    /// The matrix that is in its AP control block, or is about to be.
    matrix: GuestMatrix,
    /// It is stopped, so that it can be migrated.
    is_stopped: bool,
}

/// A guest.
#[pin_data]
pub(crate) struct Guest {
    kvm: Kvm,
    pins: Arc<Pins>,
    /// A leaf.
    #[pin]
    rights: SpinLock<Rights>,
}

impl Guest {
    /// Makes a guest that has nothing yet.
    pub(crate) fn new(kvm: Kvm, pins: Arc<Pins>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                kvm,
                pins,
                rights <- new_spinlock!(
                    Rights {
                        matrix: GuestMatrix::EMPTY,
                        is_stopped: false,
                    },
                    "vfio_ap::guest.rights"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns its KVM.
    pub(crate) fn kvm(&self) -> &Kvm {
        &self.kvm
    }

    /// Returns what pages are pinned through for it.
    pub(crate) fn pins(&self) -> &Arc<Pins> {
        &self.pins
    }

    /// Returns what it has.
    pub(crate) fn matrix(&self) -> GuestMatrix {
        self.rights.lock().matrix
    }

    /// Tells whether it has a queue.
    pub(crate) fn has(&self, apqn: Apqn) -> bool {
        self.rights.lock().matrix.contains(apqn)
    }

    /// Returns the answer to an AQIC for a queue that it must not use now: 01 if it does not have
    /// the queue, 05 while it is stopped, when its processors should not run.
    ///
    /// Checked with the queue's lock held before its interrupts are enabled. A queue is reset after
    /// it was taken from the matrix, so that what was enabled just before does not stay.
    pub(crate) fn refusal(&self, apqn: Apqn) -> Option<ResponseCode> {
        let rights = self.rights.lock();

        if !rights.matrix.contains(apqn) {
            Some(ResponseCode::QNotAvail)
        } else if rights.is_stopped {
            Some(ResponseCode::Busy)
        } else {
            None
        }
    }

    /// Sets what it has, before its AP control block says so: AQIC never takes a queue that the
    /// guest has seen gone, nor refuses one that it has seen.
    pub(crate) fn set_matrix(&self, matrix: GuestMatrix) {
        self.rights.lock().matrix = matrix;
    }

    /// Stops it, or lets it go on. Nobody enables interrupts of a stopped guest's queue who takes
    /// the queue's lock afterwards.
    pub(crate) fn set_stopped(&self, is_stopped: bool) {
        self.rights.lock().is_stopped = is_stopped;
    }
}
