// SPDX-License-Identifier: GPL-2.0

//! A notifier is made for a device that a driver is being bound to, and revoked before the device
//! is unregistered, by the abstraction of the driver.

use crate::kapi::notify::Notifier;

fn example(notifier: &Notifier) {
    let make = Notifier::new; //~ E0624
    notifier.revoke(); //~ E0624
}
