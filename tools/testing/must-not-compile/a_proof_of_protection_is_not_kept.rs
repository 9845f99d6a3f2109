// SPDX-License-Identifier: GPL-2.0

//! That a guest is a protected one is known while its processor's instruction is being handled.

use crate::kapi::kvm::{
    Protected,
    Vcpu, //
};

fn keep(_proof: Option<Protected<'static>>) {}

fn example(vcpu: &Vcpu<'_>) {
    keep(vcpu.protected()); //~ E0521
}
