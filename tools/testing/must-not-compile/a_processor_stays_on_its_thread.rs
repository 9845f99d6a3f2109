// SPDX-License-Identifier: GPL-2.0

//! A virtual processor is used by the thread that handles its instruction, and so is the proof that
//! its guest is protected.

use crate::kapi::kvm::{
    Protected,
    Vcpu, //
};

fn on_another_thread<T: Send>(_value: T) {}

fn example(vcpu: Vcpu<'_>, proof: Protected<'_>) {
    on_another_thread(proof); //~ E0277
    on_another_thread(vcpu); //~ E0277
}
