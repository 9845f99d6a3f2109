// SPDX-License-Identifier: GPL-2.0

//! Without an Ultravisor, asking it is an operation exception in the host. That there is one
//! follows from there being a protected guest.

use crate::kapi::page::PageUse;

fn example(page: &PageUse) {
    let shared = page.ensure_shared(); //~ E0061
}
