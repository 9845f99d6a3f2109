// SPDX-License-Identifier: GPL-2.0

//! The data of a device's driver ends when it is unbound: an attribute's function borrows it, and
//! cannot keep it.

use crate::kapi::sysfs::Attribute;
use kernel::prelude::*;

fn keep(_data: Pin<&'static u8>) {}

fn show(data: Pin<&u8>, _page: &mut [u8]) -> Result<usize> {
    keep(data); //~ E0521
    Ok(0)
}

static EXAMPLE: Attribute<u8> = Attribute::read_only(c"example", show);
