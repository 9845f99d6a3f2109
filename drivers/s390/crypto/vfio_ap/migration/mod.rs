// SPDX-License-Identifier: GPL-2.0

//! Live migration of the guest that has a mediated device open.
//!
//! There is one [`Migration`] for each mediated device, for as long as that exists. At the source
//! it stops the guest's queues and describes them; at the target it judges the description, takes
//! the same queues, and lets the guest go on. The machine monitor asks for each step.

mod looks;
mod obstacle;
mod queues;
mod session;
mod source;
mod target;

pub(crate) use self::{
    looks::Looking,
    session::Migration, //
};
