// SPDX-License-Identifier: GPL-2.0

//! The vfio-ap driver: passes AP queues of the host through to KVM guests.
//!
//! Adjunct processors (AP) are the cryptographic adapters of IBM Z. The driver binds AP queues,
//! lets an administrator put them together into matrix mediated devices, hands those to guests
//! through VFIO, and serves the guests' PQAP(AQIC) instructions, which enable the interrupts of a
//! queue.
//!
//! There are three floors, and imports go down only:
//!
//! - the files beside this one: what the driver does, without `unsafe`;
//! - [`kapi`]: safe abstractions over the kernel's C interfaces, with all `unsafe` there is;
//! - [`model`]: what AP is, without a kernel.
//!
//! The order of locks is documented in [`matrix`].

use kernel::prelude::*;

mod attributes;
mod hook;
mod ioctl;
mod irq;
mod kapi;
mod matrix;
mod mdev;
pub mod model;
mod overview;
mod queue;
mod reset;

use kapi::{
    ap, debugfs,
    device::{
        Names,
        StandaloneDevice, //
    },
    mdev::{
        ParentPayload,
        ParentRegistration,
        Registration, //
    },
};
use matrix::Host;

/// The names of the module, its driver on the AP bus, and its debug feature.
const NAME: &CStr = c"vfio_ap";

/// `/sys/devices/vfio_ap/matrix`, the parent of all mediated devices.
const MATRIX: Names = Names {
    root: c"vfio_ap",
    bus: c"matrix",
    device: c"matrix",
    driver: c"vfio_ap",
};

module! {
    type: VfioAp,
    name: "vfio_ap",
    authors: ["The vfio-ap in Rust authors"],
    description: "VFIO AP device driver in Rust",
    license: "GPL v2",
}

/// All that a loaded module has. Dropped from the first field to the last, which undoes the
/// loading, whether it succeeded or not, in the opposite order.
struct VfioAp {
    _overview: debugfs::File<Host>,
    _parent: ParentRegistration<mdev::Driver>,
    _queues: ap::Registration<queue::Driver>,
    _background: reset::Background,
    _matrix: StandaloneDevice<ParentPayload<mdev::Driver>, Host>,
}

impl kernel::Module for VfioAp {
    fn init(module: &'static ThisModule) -> Result<Self> {
        if !ap::instructions_available() {
            return Err(ENODEV);
        }

        let host = Host::new(NAME)?;
        let mut matrix = StandaloneDevice::new(module, &MATRIX, host.clone(), &attributes::MATRIX)?;
        let background = reset::Background::start(host.clone())?;
        let queues = ap::Registration::new(module, host.clone())?;
        let parent = ParentRegistration::new(
            &mut matrix,
            Registration::new(module, host.clone())?,
            c"passthrough",
            c"VFIO AP Passthrough Device",
        )?;

        Ok(Self {
            _overview: host.file(c"host", host.clone()),
            _parent: parent,
            _queues: queues,
            _background: background,
            _matrix: matrix,
        })
    }
}
