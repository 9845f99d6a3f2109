// SPDX-License-Identifier: GPL-2.0

//! A virtual processor is valid while its instruction is being handled, and no longer.

use crate::kapi::kvm::Vcpu;

fn keep(_vcpu: &'static Vcpu<'static>) {}

fn example(vcpu: &Vcpu<'_>) {
    keep(vcpu); //~ E0521
}
