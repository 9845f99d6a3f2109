// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over the C interfaces that the kernel crate lacks.
//!
//! All `unsafe` of the driver is here. Each file abstracts one C interface and names no type of the
//! driver, only numbers and the values of [`crate::model`], so that it could be moved to
//! `rust/kernel/` as it stands.

mod bindings;

pub(crate) mod ap;
pub(crate) mod compat;
pub(crate) mod dbf;
pub(crate) mod debugfs;
pub(crate) mod device;
pub(crate) mod errno;
pub(crate) mod eventfd;
pub(crate) mod kvm;
pub(crate) mod mdev;
pub(crate) mod migration;
pub(crate) mod notify;
pub(crate) mod page;
pub(crate) mod queue_hw;
pub(crate) mod sysfs;
pub(crate) mod trace;
pub(crate) mod vfio;
pub(crate) mod work;

/// Returns whether a message that a guest or a user can provoke may be printed now.
///
/// One limit for all such messages of the module: ten in five seconds.
pub(crate) fn may_print() -> bool {
    // SAFETY: Has no requirements; the rate limit's state has a lock of its own.
    unsafe { bindings::vfio_ap_shim_ratelimit() }
}
