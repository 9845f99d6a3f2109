// SPDX-License-Identifier: GPL-2.0

//! AP queues that are bound to this driver: their interrupts, their resets, and waiting for them.

mod bound;
mod irq;
mod patience;
mod pause;
mod reset;

pub(crate) use self::{
    bound::Queue,
    irq::EnableRequest,
    patience::Patience, //
};
