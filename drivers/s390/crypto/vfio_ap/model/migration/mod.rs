// SPDX-License-Identifier: GPL-2.0

//! Live migration of a guest with AP queues: the data stream, what the target has to have, and the
//! states that a device goes through.
//!
//! The stream is documented for the other end in `Documentation/arch/s390/vfio-ap-migration.rst`.

pub mod compatible;
pub mod state;
pub mod stream;
