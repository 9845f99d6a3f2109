// SPDX-License-Identifier: GPL-2.0

//! Only `kapi` makes a reference to a guest, from a pointer that it knows to be valid.

use crate::kapi::kvm::Kvm;
use core::ptr::NonNull;

fn example() {
    let function = Kvm::get; //~ E0624
}
