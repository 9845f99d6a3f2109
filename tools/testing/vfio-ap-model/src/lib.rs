// SPDX-License-Identifier: GPL-2.0

//! The model floor of the vfio_ap driver, compiled natively to be tested.
//!
//! This crate has no code of its own: it is `drivers/s390/crypto/vfio_ap/model`, as the kernel
//! module has it.

#![no_std]

#[path = "../../../../drivers/s390/crypto/vfio_ap/model/mod.rs"]
pub mod model;
