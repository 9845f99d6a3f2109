// SPDX-License-Identifier: GPL-2.0

//! VFIO keeps the device registered only while it calls: the way to a state, which has a pointer
//! to the device, stays on the thread that was called.

use crate::kapi::migration::Route;

fn on_another_thread<T: Send>(_value: T) {}

fn example(route: Route<'_>) {
    on_another_thread(route); //~ E0277
}
