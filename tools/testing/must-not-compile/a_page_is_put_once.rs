// SPDX-License-Identifier: GPL-2.0

//! A reference to a page is put once, so that it is neither copied nor used afterwards.

use crate::kapi::airq::HeldPage;

fn example(page: HeldPage) {
    let put = page;
    let again = page; //~ E0382
}
