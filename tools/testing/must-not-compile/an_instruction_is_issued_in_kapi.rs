// SPDX-License-Identifier: GPL-2.0

//! The AP instructions that change a queue, or tell its state, are for its `QueueHw` alone.

#[rustfmt::skip]
mod example {
    use crate::kapi::ap::aqic_disable; //~ E0603
    use crate::kapi::ap::aqic_enable; //~ E0603
    use crate::kapi::ap::tapq; //~ E0603
    use crate::kapi::ap::zapq; //~ E0603
    use crate::kapi::queue_hw::Armed; //~ E0603
}
