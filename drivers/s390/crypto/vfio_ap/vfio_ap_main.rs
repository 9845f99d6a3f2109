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
//! The order of locks is documented in [`topology`].

use kernel::prelude::*;

mod attributes;
mod drivers;
mod guest;
mod hook;
mod host;
mod ioctl;
mod kapi;
mod matrix_mdev;
mod migration;
pub mod model;
mod overview;
mod queue;
mod topology;

use attributes::MatrixDevice;
use host::{
    BoundMdev,
    BoundQueue,
    Host,
    Polling, //
};
use kapi::{
    ap, debugfs,
    device::{
        Names,
        StandaloneDevice, //
    },
    mdev::{
        ParentRegistration,
        Registration, //
    },
};
use matrix_mdev::Topology;

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
    _overview: debugfs::File<Topology>,
    _parent: ParentRegistration<BoundMdev, MatrixDevice>,
    _queues: ap::Registration<BoundQueue>,
    _polling: Polling,
}

impl kernel::Module for VfioAp {
    fn init(module: &'static ThisModule) -> Result<Self> {
        if !ap::instructions_available() {
            return Err(ENODEV);
        }

        let host = Host::new(NAME)?;
        let matrix = StandaloneDevice::new(
            module,
            &MATRIX,
            KBox::pin(MatrixDevice, GFP_KERNEL)?,
            &attributes::MATRIX,
        )?;
        let polling = Polling::start(&host)?;
        let queues = ap::Registration::new(module, host.clone())?;
        let parent = ParentRegistration::new(
            matrix,
            Registration::new(module, host.clone())?,
            c"passthrough",
            c"VFIO AP Passthrough Device",
        )?;

        Ok(Self {
            _overview: host.file(c"host", host.topology().clone()),
            _parent: parent,
            _queues: queues,
            _polling: polling,
        })
    }
}
