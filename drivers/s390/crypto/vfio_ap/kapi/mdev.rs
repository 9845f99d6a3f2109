// SPDX-License-Identifier: GPL-2.0

//! Mediated devices: drivers for them, and the parents that they are created under.
//!
//! C header: `include/linux/mdev.h`

use super::{
    bindings as own,
    device::{
        set_data,
        take_data,
        StandaloneDevice, //
    },
    notify::Notifier,
    sysfs, //
};
use kernel::{
    bindings,
    container_of,
    device,
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::Arc,
    types::Opaque,
    ThisModule, //
};

/// A driver for mediated devices. A value of the type is the data of one device that it is bound
/// to.
///
/// The driver core holds the device's lock around [`probe`](Self::probe), and when the data is
/// dropped; both may sleep.
pub(crate) trait Driver: Sized + Send + Sync + 'static {
    /// What the driver as a whole works on.
    type Host: Send + Sync;

    /// The driver's name on the bus of mediated devices.
    const NAME: &'static CStr;
    /// The name of the driver's module.
    const MODULE: &'static CStr;
    /// The name of the user space interface, for the attribute `device_api` of its types.
    const DEVICE_API: &'static CStr;
    /// How many devices there can be at a time.
    const MAX_INSTANCES: u32;
    /// The attributes that devices have while the driver is bound to them.
    const ATTRIBUTES: &'static [sysfs::Attribute<Self>];

    /// A device was created. `notifier` tells user space of its changes, until it is removed.
    fn probe(host: &Arc<Self::Host>, device: &device::Device, notifier: Notifier) -> Result<Self>;
}

/// The private data of a device: the driver's, and this abstraction's.
// In this order, so that a pointer to it is one to the driver's.
#[repr(C)]
struct Bound<T: Driver> {
    data: T,
    notifier: Notifier,
}

#[repr(C)]
struct Cell<T: Driver> {
    raw: Opaque<own::mdev_driver>,
    host: Arc<T::Host>,
    _groups: sysfs::Groups<T>,
}

/// The registration of a driver for mediated devices; unregistered when dropped.
///
/// # Invariants
///
/// The driver is registered.
pub(crate) struct Registration<T: Driver>(Arc<Cell<T>>);

// SAFETY: Nothing can be done with a reference, and unregistering is allowed from any thread.
unsafe impl<T: Driver> Send for Registration<T> {}

// SAFETY: As above.
unsafe impl<T: Driver> Sync for Registration<T> {}

impl<T: Driver> Registration<T> {
    /// Registers the driver.
    pub(crate) fn new(module: &'static ThisModule, host: Arc<T::Host>) -> Result<Self> {
        let groups = sysfs::Groups::<T>::new(T::ATTRIBUTES)?;
        let raw = own::mdev_driver {
            device_api: T::DEVICE_API.as_char_ptr(),
            max_instances: T::MAX_INSTANCES,
            probe: Some(Self::probe_callback),
            remove: Some(Self::remove_callback),
            driver: bindings::device_driver {
                name: T::NAME.as_char_ptr(),
                owner: module.as_ptr(),
                mod_name: T::MODULE.as_char_ptr(),
                dev_groups: groups.as_ptr(),
                ..pin_init::zeroed()
            },
            ..pin_init::zeroed()
        };
        let cell = Arc::new(
            Cell {
                raw: Opaque::new(raw),
                host,
                _groups: groups,
            },
            GFP_KERNEL,
        )?;

        // SAFETY: The driver does not move, and stays with its names and attributes until it was
        // unregistered.
        to_result(unsafe { own::mdev_register_driver(cell.raw.get()) })?;
        // INVARIANT: Registered above.
        Ok(Self(cell))
    }

    /// # Safety
    ///
    /// `raw` has to be a device that this driver is bound to, or is being bound to.
    unsafe fn cell<'a>(raw: *mut own::mdev_device) -> &'a Cell<T> {
        // SAFETY: The device's driver is the one in the `mdev_driver` at the beginning of a
        // `Cell<T>`, which lives as long as the driver is registered.
        unsafe {
            let driver = (*raw).dev.driver;
            &*container_of!(driver, own::mdev_driver, driver).cast::<Cell<T>>()
        }
    }

    extern "C" fn probe_callback(raw: *mut own::mdev_device) -> c_int {
        from_result(|| {
            // SAFETY: The driver core is binding this driver to the device.
            let cell = unsafe { Self::cell(raw) };
            // SAFETY: The device is valid, and `dev` its first member.
            let device = unsafe { device::Device::from_raw(raw.cast()) };
            // All that may fail comes first: a bound device is only ever unbound.
            let room = KBox::<Bound<T>>::new_uninit(GFP_KERNEL)?;
            let notifier = Notifier::new(device)?;

            match T::probe(&cell.host, device, notifier.clone()) {
                Ok(data) => {
                    let bound = KBox::into_pin(KBox::write(room, Bound { data, notifier }));

                    // SAFETY: The device is valid, and its private data the bound driver's.
                    unsafe { set_data(raw.cast(), bound) };
                    Ok(0)
                }
                Err(error) => {
                    notifier.revoke();
                    Err(error)
                }
            }
        })
    }

    extern "C" fn remove_callback(raw: *mut own::mdev_device) {
        // SAFETY: The successful probe stored the data, and its only users, the attributes, are
        // gone.
        if let Some(bound) = unsafe { take_data::<Bound<T>>(raw.cast()) } {
            let notifier = bound.notifier.clone();

            drop(bound);
            notifier.revoke();
        }
    }
}

impl<T: Driver> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the driver is registered.
        unsafe { own::mdev_unregister_driver(self.0.raw.get()) };
    }
}

/// What hangs on a device that mediated devices are created under.
pub(crate) struct ParentPayload<T: Driver> {
    parent: own::mdev_parent,
    kind: own::mdev_type,
    kinds: *mut own::mdev_type,
    // The mdev core looks at the driver until the last device is released, and has a reference to
    // the parent as long.
    driver: Option<Arc<Cell<T>>>,
}

// SAFETY: All members are C structures, pointers and an `Option` of one that is not null, for which
// all zeroes is a value.
unsafe impl<T: Driver> pin_init::Zeroable for ParentPayload<T> {}

// SAFETY: The C structures are the mdev core's, which locks them; the driver is `Send` and `Sync`.
unsafe impl<T: Driver> Send for ParentPayload<T> {}

// SAFETY: As above.
unsafe impl<T: Driver> Sync for ParentPayload<T> {}

/// The registration of a device as a parent with one type of mediated devices, and of their driver;
/// unregistered when dropped, which removes all devices, and waits for those in use. Then the
/// device is unregistered as well.
///
/// # Invariants
///
/// The parent, which hangs on `device`, is registered.
pub(crate) struct ParentRegistration<T: Driver, D: Send + Sync + 'static> {
    // In the order in which they have to be dropped, after the parent was unregistered.
    _driver: Registration<T>,
    device: StandaloneDevice<ParentPayload<T>, D>,
}

impl<T: Driver, D: Send + Sync + 'static> ParentRegistration<T, D> {
    /// Registers `device` as a parent, with a type of the name `sysfs_name` below the driver's, and
    /// `pretty_name` for people.
    ///
    /// # Errors
    ///
    /// What `mdev_register_parent()` returns.
    pub(crate) fn new(
        device: StandaloneDevice<ParentPayload<T>, D>,
        driver: Registration<T>,
        sysfs_name: &'static CStr,
        pretty_name: &'static CStr,
    ) -> Result<Self> {
        let payload = device.payload();

        // SAFETY: The payload lives as long as the device, to which the mdev core takes references
        // for as long as it uses the payload. Nobody else uses it: `device` is ours, and goes into
        // one registration only. The driver is kept by the payload, and the names are statics.
        unsafe {
            (*payload).driver = Some(driver.0.clone());
            (*payload).kind.sysfs_name = sysfs_name.as_char_ptr();
            (*payload).kind.pretty_name = pretty_name.as_char_ptr();
            (*payload).kinds = &raw mut (*payload).kind;
            to_result(own::mdev_register_parent(
                &raw mut (*payload).parent,
                device.as_raw(),
                driver.0.raw.get(),
                &raw mut (*payload).kinds,
                1,
            ))?;
        }
        // INVARIANT: Registered above.
        Ok(Self {
            _driver: driver,
            device,
        })
    }
}

impl<T: Driver, D: Send + Sync + 'static> Drop for ParentRegistration<T, D> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the parent is registered, and hangs on the device.
        unsafe { own::mdev_unregister_parent(&raw mut (*self.device.payload()).parent) };
    }
}
