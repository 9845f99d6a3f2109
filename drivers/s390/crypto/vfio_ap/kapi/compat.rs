// SPDX-License-Identifier: GPL-2.0

//! The differences between the kernel versions that the driver is built for.
//!
//! No other file depends on the version. Where possible, neither does this one: it uses only what
//! all of these kernels have.

use kernel::ThisModule;

/// This module, as the owner of what it registers.
///
/// `module!` declares a static of this name up to Linux 7.2, and a constant of `ModuleMetadata`
/// from 7.3 on. All of these name the same C variable.
#[cfg(MODULE)]
pub(crate) static THIS_MODULE: ThisModule =
    // SAFETY: This is the pointer that `THIS_MODULE` is in C.
    unsafe { ThisModule::from_ptr(&raw mut super::bindings::__this_module) };

/// The kernel itself, which cannot be unloaded.
#[cfg(not(MODULE))]
pub(crate) static THIS_MODULE: ThisModule =
    // SAFETY: This is the pointer that `THIS_MODULE` is in C.
    unsafe { ThisModule::from_ptr(core::ptr::null_mut()) };
