// SPDX-License-Identifier: GPL-2.0

//! A data file that was made goes to VFIO, or away: nobody else has a pointer to it.

use crate::kapi::migration::DataFile;

fn example(file: DataFile) {
    let _ = file.into_raw(); //~ E0624
}
