// SPDX-License-Identifier: GPL-2.0

//! The vfio-ap driver: passes AP queues of the host through to KVM guests.
//!
//! Adjunct processors (AP) are the cryptographic adapters of IBM Z. The driver binds AP queues, lets
//! an administrator put them together into matrix mediated devices, hands those to guests through
//! VFIO, and serves the guests' PQAP(AQIC) instructions, which enable the interrupts of a queue.
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
mod queue;
mod reset;

use kapi::{
    ap,
    device::{
        Bus,
        OwnDevice,
        OwnDriver,
        RootDevice, //
    },
    mdev::{
        ParentPayload,
        ParentRegistration,
        Registration, //
    },
};
use matrix::Host;

/// The names of the module, of its driver on the AP bus, of the matrix device's driver, and of the
/// root device.
const NAME: &CStr = c"vfio_ap";

/// The matrix device's name, and that of its bus.
const MATRIX: &CStr = c"matrix";

module! {
    type: VfioAp,
    name: "vfio_ap",
    authors: ["The vfio-ap in Rust authors"],
    description: "VFIO AP device driver",
    license: "GPL v2",
}

/// All that a loaded module has. Dropped from the first field to the last, which undoes the loading,
/// whether it succeeded or not, in the opposite order.
struct VfioAp {
    _parent: ParentRegistration<mdev::Driver>,
    _mdev_driver: Registration<mdev::Driver>,
    _queue_driver: ap::Registration<queue::Driver>,
    _background: reset::Background,
    _matrix_driver: OwnDriver<Host>,
    _matrix_device: OwnDevice<ParentPayload, Host>,
    _matrix_bus: Bus,
    _root_device: RootDevice,
}

impl kernel::Module for VfioAp {
    fn init(module: &'static ThisModule) -> Result<Self> {
        if !ap::instructions_available() {
            return Err(ENODEV);
        }

        let host = Host::new(NAME)?;
        let root = RootDevice::new(module, NAME)?;
        let bus = Bus::new(MATRIX)?;
        let device = OwnDevice::new(MATRIX, &root, &bus, host.clone())?;
        let driver = OwnDriver::new(NAME, &bus, &device, &attributes::MATRIX)?;
        let background = reset::Background::start(host.clone())?;
        let queue_driver = ap::Registration::new(module, host.clone())?;
        let mdev_driver = Registration::new(module, host)?;
        let parent = ParentRegistration::new(
            &device,
            &mdev_driver,
            c"passthrough",
            c"VFIO AP Passthrough Device",
        )?;

        Ok(Self {
            _parent: parent,
            _mdev_driver: mdev_driver,
            _queue_driver: queue_driver,
            _background: background,
            _matrix_driver: driver,
            _matrix_device: device,
            _matrix_bus: bus,
            _root_device: root,
        })
    }
}
