// SPDX-License-Identifier: GPL-2.0

//! There is one `QueueHw` for each binding of a queue. Only the bus's probe makes it.

use crate::kapi::queue_hw::QueueHw;

fn example(queue: &QueueHw) {
    let another: QueueHw = queue.clone(); //~ E0308
    let make = QueueHw::new; //~ E0624
}
