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
        GuestMatrix, //
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

/// A guest.
#[pin_data]
pub(crate) struct Guest {
    kvm: Kvm,
    pins: Arc<Pins>,
    /// The matrix that is in its AP control block, or is about to be. A leaf.
    #[pin]
    matrix: SpinLock<GuestMatrix>,
}

impl Guest {
    /// Makes a guest that has nothing yet.
    pub(crate) fn new(kvm: Kvm, pins: Arc<Pins>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                kvm,
                pins,
                matrix <- new_spinlock!(GuestMatrix::EMPTY, "vfio_ap::guest.matrix"),
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
        *self.matrix.lock()
    }

    /// Tells whether it has a queue.
    ///
    /// Checked with the queue's lock held before its interrupts are enabled. A queue is reset after
    /// it was taken from the matrix, so that what was enabled just before does not stay.
    pub(crate) fn has(&self, apqn: Apqn) -> bool {
        self.matrix.lock().contains(apqn)
    }

    /// Sets what it has, before its AP control block says so: AQIC never takes a queue that the
    /// guest has seen gone, nor refuses one that it has seen.
    pub(crate) fn set_matrix(&self, matrix: GuestMatrix) {
        *self.matrix.lock() = matrix;
    }
}
