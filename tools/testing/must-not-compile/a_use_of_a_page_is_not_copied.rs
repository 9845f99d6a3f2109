// SPDX-License-Identifier: GPL-2.0

//! The users of a page are counted, and so are those of a guest's interruption subclass.

use crate::kapi::{
    kvm::GiscUse,
    page::PageUse, //
};

fn example(page: &PageUse, gisc: &GiscUse) {
    let again: PageUse = page.clone(); //~ E0308
    let again: GiscUse = gisc.clone(); //~ E0308
}
