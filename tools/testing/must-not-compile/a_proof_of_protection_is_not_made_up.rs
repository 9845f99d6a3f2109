// SPDX-License-Identifier: GPL-2.0

//! That a guest is a protected one is known from its virtual processor.

use crate::kapi::kvm::Protected;
use core::marker::PhantomData;

fn example() {
    let proof = Protected(PhantomData); //~ E0423
}
