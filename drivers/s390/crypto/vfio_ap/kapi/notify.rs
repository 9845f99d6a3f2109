// SPDX-License-Identifier: GPL-2.0

//! Telling user space that a device has changed.
//!
//! C headers: `include/linux/sysfs.h`, `include/linux/kobject.h`

use kernel::{
    bindings,
    device::Device,
    fmt::Arguments,
    prelude::*,
    str::CString, //
};

fn raw(device: &Device) -> *mut bindings::device {
    // `Device` is a transparent wrapper of the mutable C structure.
    core::ptr::from_ref(device).cast_mut().cast()
}

/// Wakes who polls an attribute of a device. May sleep.
///
/// The device has to be registered, and not to be unregistered meanwhile; its driver ensures that
/// if it stops to call this before it is unbound. There need not be such an attribute.
pub(crate) fn attribute_changed(device: &Device, name: &CStr) {
    // SAFETY: The device is registered, so that its object has a directory; the name is a C string.
    unsafe {
        bindings::sysfs_notify(
            &raw mut (*raw(device)).kobj,
            core::ptr::null(),
            name.as_char_ptr(),
        )
    };
}

/// Sends the event that a device has changed, with two variables, `NAME=value`: `what`, and, if
/// there is memory for it, `value`. May sleep.
///
/// As with [`attribute_changed`], the device has to be registered.
pub(crate) fn device_changed(device: &Device, what: &'static CStr, value: Arguments<'_>) {
    let value = CString::try_from_fmt(value);
    let mut variables = [
        what.as_char_ptr().cast_mut(),
        match &value {
            Ok(value) => value.as_char_ptr().cast_mut(),
            Err(_) => core::ptr::null_mut(),
        },
        core::ptr::null_mut(),
    ];

    // SAFETY: The device is registered. The array ends with a null pointer; what it points to are C
    // strings, which the function copies and does not change. Nobody has to hear the event, so that
    // an error is none.
    unsafe {
        bindings::kobject_uevent_env(
            &raw mut (*raw(device)).kobj,
            bindings::kobject_action_KOBJ_CHANGE,
            variables.as_mut_ptr(),
        )
    };
}
