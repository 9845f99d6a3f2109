// SPDX-License-Identifier: GPL-2.0

//! The promises of the model, one file for each part of it.

mod common;
mod dirty;
mod guests;
mod hardware;
mod ids;
mod masks;
mod matrices;
mod migrations;
mod texts;
