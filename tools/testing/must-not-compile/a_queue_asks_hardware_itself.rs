// SPDX-License-Identifier: GPL-2.0

//! What hardware has answered is nothing that a caller can say.

use crate::{
    kapi::queue_hw::QueueHw,
    model::StatusWord, //
};

fn example(queue: &mut QueueHw, status: StatusWord) {
    let released = queue.disable(status); //~ E0061
    let released = queue.quiesce(status); //~ E0061
    let answer = queue.start_reset(status); //~ E0061
    let polled = queue.poll(status); //~ E0061
    let machine = &mut queue.reset; //~ E0616
    let replace = QueueHw::replace_irq; //~ E0624
}
