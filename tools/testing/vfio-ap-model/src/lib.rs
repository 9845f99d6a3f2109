// SPDX-License-Identifier: GPL-2.0

//! The model floor of the vfio_ap driver, compiled natively to be tested.
//!
//! This crate has no code of its own: it is `drivers/s390/crypto/vfio_ap/model`, as the kernel
//! module has it. The tests are in `tests/` and, as far as they are KUnit tests as well, beside the
//! model; but for what the compiler itself must refuse:
//!
//! A guest's matrix comes from the filter only.
//!
//! ```compile_fail,E0451
//! use vfio_ap_model::model::*;
//! let guest = GuestMatrix { apm: Mask256::EMPTY, ..GuestMatrix::EMPTY };
//! ```
//!
//! A usage domain is not a control domain, and neither is a bare number.
//!
//! ```compile_fail,E0308
//! use vfio_ap_model::model::*;
//! let usage = Limits::WITHOUT_APXA.apqi(1).unwrap();
//! let changed = { Matrix::EMPTY }.assign_control_domain(usage);
//! ```
//!
//! ```compile_fail,E0423
//! use vfio_ap_model::model::*;
//! let apid = Apid(255);
//! ```

#![no_std]
// The kernel must not panic because of what a guest or a user does.
#![deny(
    clippy::expect_used,
    clippy::panic,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

#[path = "../../../../drivers/s390/crypto/vfio_ap/model/mod.rs"]
pub mod model;

#[cfg(test)]
#[path = "../../../../drivers/s390/crypto/vfio_ap/model_kunit.rs"]
mod model_kunit;
