// SPDX-License-Identifier: GPL-2.0

//! `kvm->lock` is a mutex: the thread that has locked it is the one to unlock it.

use crate::kapi::kvm::LockedKvm;

fn on_another_thread<T: Send>(_value: T) {}

fn example(locked: LockedKvm) {
    on_another_thread(locked); //~ E0277
}
