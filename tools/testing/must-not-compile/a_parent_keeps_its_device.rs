// SPDX-License-Identifier: GPL-2.0

//! A device is unregistered after it was unregistered as a parent of mediated devices.

use crate::kapi::{
    device::StandaloneDevice,
    mdev::{
        Driver,
        ParentPayload,
        ParentRegistration,
        Registration, //
    },
};

fn example<T: Driver>(device: StandaloneDevice<ParentPayload<T>, ()>, driver: Registration<T>) {
    let parent = ParentRegistration::new(device, driver, c"example", c"Example");

    drop(device); //~ E0382
}
