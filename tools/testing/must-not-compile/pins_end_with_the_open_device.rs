// SPDX-License-Identifier: GPL-2.0

//! Pages are pinned while the device is open, and unpinned once: its callbacks make what they are
//! pinned through, and end it.

use crate::kapi::page::Pins;

fn example(pins: &Pins) {
    let make = Pins::new; //~ E0624
    pins.close(); //~ E0624
    pins.unpin(0, 0); //~ E0624
    let device = pins.device; //~ E0616
}
