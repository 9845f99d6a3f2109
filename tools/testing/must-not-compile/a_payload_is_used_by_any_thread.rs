// SPDX-License-Identifier: GPL-2.0

//! What hangs on a device, and what attributes work on, is used and dropped by any thread.

use crate::kapi::{
    device::StandaloneDevice,
    sysfs::Attribute, //
};
use core::cell::Cell;

fn example() {
    let device: Option<StandaloneDevice<*mut u8, ()>> = None; //~ E0277
    let device: Option<StandaloneDevice<u8, Cell<u8>>> = None; //~ E0277
    let attribute: Option<Attribute<Cell<u8>>> = None; //~ E0277
}
