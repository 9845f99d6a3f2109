// SPDX-License-Identifier: GPL-2.0

//! What was given to hardware comes back when hardware was seen not to use it, and is not given
//! back by whoever has armed it.

use crate::kapi::queue_hw::{
    Notification,
    QueueHw,
    Released, //
};

fn example(queue: &mut QueueHw, notification: Notification) {
    let answer = queue.enable(notification);

    notification.release_here(); //~ E0382
}
