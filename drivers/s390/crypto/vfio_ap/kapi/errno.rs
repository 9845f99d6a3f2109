// SPDX-License-Identifier: GPL-2.0

//! The error codes that the kernel crate has no names for.
//!
//! C header: `include/uapi/asm-generic/errno.h`

use kernel::{
    bindings,
    prelude::*, //
};

// Every one of the constants fits, so that the cast loses nothing.
fn error(code: u32) -> Error {
    Error::from_errno(-(code as i32))
}

/// The APQN is assigned to another mediated device, or in use.
pub(crate) fn eaddrinuse() -> Error {
    error(bindings::EADDRINUSE)
}

/// The APQN is reserved for the host's default drivers.
pub(crate) fn eaddrnotavail() -> Error {
    error(bindings::EADDRNOTAVAIL)
}

/// The operation is not one of this device's.
pub(crate) fn eopnotsupp() -> Error {
    error(bindings::EOPNOTSUPP)
}

/// There is nothing to read now, and may be later.
pub(crate) fn enomsg() -> Error {
    error(bindings::ENOMSG)
}
