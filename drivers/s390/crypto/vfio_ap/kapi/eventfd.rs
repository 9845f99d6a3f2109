// SPDX-License-Identifier: GPL-2.0

//! Event file descriptors.
//!
//! C header: `include/linux/eventfd.h`

use super::bindings as own;
use core::ptr::NonNull;
use kernel::{
    bindings,
    error::from_err_ptr,
    prelude::*, //
};

/// A reference to the context of an eventfd; put when dropped.
///
/// # Invariants
///
/// The pointer is valid, and this value owns a reference to what it points to.
pub(crate) struct EventFd(NonNull<bindings::eventfd_ctx>);

// SAFETY: An eventfd's context is reference counted and may be signalled and put from any thread.
unsafe impl Send for EventFd {}

// SAFETY: As above; it has a lock of its own.
unsafe impl Sync for EventFd {}

impl EventFd {
    /// Takes a reference to the eventfd that is open at `fd` in the current process.
    ///
    /// # Errors
    ///
    /// `EBADF` if `fd` is not open, `EINVAL` if it is not an eventfd.
    pub(crate) fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: Has no requirements: any number may be asked for.
        let context = from_err_ptr(unsafe { bindings::eventfd_ctx_fdget(fd) })?;

        // INVARIANT: On success the function returns a reference of its own.
        NonNull::new(context).map(Self).ok_or(EBADF)
    }

    /// Adds one to the eventfd's counter.
    pub(crate) fn signal(&self) {
        // SAFETY: By the type invariant the pointer is valid.
        unsafe { own::vfio_ap_shim_eventfd_signal(self.0.as_ptr()) };
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns a reference, which ends here.
        unsafe { bindings::eventfd_ctx_put(self.0.as_ptr()) };
    }
}
