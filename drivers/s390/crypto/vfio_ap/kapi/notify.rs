// SPDX-License-Identifier: GPL-2.0

//! Telling user space that a device has changed.
//!
//! C headers: `include/linux/sysfs.h`, `include/linux/kobject.h`

use kernel::{
    bindings,
    device::Device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    },
};

/// Tells user space of changes of a device that a driver is bound to.
///
/// The abstraction of the driver makes it, and revokes it before the device is unregistered. After
/// that it does nothing, whoever still has one.
#[derive(Clone)]
pub(crate) struct Notifier(Arc<Inner>);

#[pin_data]
struct Inner {
    /// There until it is revoked, which waits for whoever is telling something.
    #[pin]
    device: Mutex<Option<ARef<Device>>>,
}

fn raw(device: &Device) -> *mut bindings::device {
    // `Device` is a transparent wrapper of the mutable C structure.
    core::ptr::from_ref(device).cast_mut().cast()
}

impl Notifier {
    /// Makes one for a registered device.
    pub(super) fn new(device: &Device) -> Result<Self> {
        let device = ARef::from(device);
        let inner = Arc::pin_init(
            pin_init!(Inner {
                device <- new_mutex!(Some(device), "vfio_ap::notifier"),
            }),
            GFP_KERNEL,
        )?;

        Ok(Self(inner))
    }

    /// Ends it, before the device is unregistered. Waits for whoever is telling something.
    pub(super) fn revoke(&self) {
        let device = self.0.device.lock().take();

        drop(device);
    }

    /// Wakes those who poll an attribute of the device. May sleep. There need not be such an
    /// attribute.
    pub(crate) fn attribute_changed(&self, name: &CStr) {
        if let Some(device) = &*self.0.device.lock() {
            // SAFETY: The device is registered until `revoke()` has returned, which takes the lock,
            // so that its object has a directory; the name is a C string.
            unsafe {
                bindings::sysfs_notify(
                    &raw mut (*raw(device)).kobj,
                    core::ptr::null(),
                    name.as_char_ptr(),
                )
            };
        }
    }

    /// Sends the event that the device has changed, with two variables, `NAME=value`. May sleep.
    pub(crate) fn device_changed(&self, variables: [&CStr; 2]) {
        let [first, second] = variables.map(|variable| variable.as_char_ptr().cast_mut());
        let mut variables = [first, second, core::ptr::null_mut()];

        if let Some(device) = &*self.0.device.lock() {
            // SAFETY: As above. The array ends with a null pointer; what it points to are C
            // strings, which the function copies and does not change. Nobody has to hear the event,
            // so that an error is none.
            unsafe {
                bindings::kobject_uevent_env(
                    &raw mut (*raw(device)).kobj,
                    bindings::kobject_action_KOBJ_CHANGE,
                    variables.as_mut_ptr(),
                )
            };
        }
    }
}
