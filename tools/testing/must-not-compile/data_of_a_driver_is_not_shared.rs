// SPDX-License-Identifier: GPL-2.0

//! The data of a device's driver is no reference counted one, of which an attribute's function could
//! have a reference of its own.

use crate::kapi::sysfs::Attribute;
use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
};

struct Data;

fn show(data: Pin<&Data>, _page: &mut [u8]) -> Result<usize> {
    let kept: Arc<Data> = data.into(); //~ E0277
    Ok(0)
}

fn show_shared(data: ArcBorrow<'_, Data>, _page: &mut [u8]) -> Result<usize> {
    Ok(0)
}

static RIGHT: Attribute<Data> = Attribute::read_only(c"example", show);
static WRONG: Attribute<Data> = Attribute::read_only(c"example", show_shared); //~ E0308
