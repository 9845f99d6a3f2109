// SPDX-License-Identifier: GPL-2.0

//! Only a queue says what hardware does not use any more.

use crate::kapi::queue_hw::{
    Notification,
    Released, //
};

fn example(notification: Notification) {
    let released = Released::one(notification); //~ E0624
}
