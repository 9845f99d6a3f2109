// SPDX-License-Identifier: GPL-2.0

//! The users of a page are counted: a use is neither copied, nor ended twice.

use crate::kapi::page::PageUse;

fn example(page: PageUse) {
    page.release_here();
    drop(page); //~ E0382
}
