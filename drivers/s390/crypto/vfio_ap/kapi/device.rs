// SPDX-License-Identifier: GPL-2.0

//! A device that stands for nothing but itself, and what it hangs on: a root device, a bus, and a
//! driver without functions that gives it attributes.
//!
//! C header: `include/linux/device.h`

use super::sysfs;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::{
        Arc,
        Completion, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
    ThisModule, //
};

/// A device directly in `/sys/devices/`; unregistered when dropped.
///
/// # Invariants
///
/// The pointer is to a registered root device.
struct RootDevice(NonNull<bindings::device>);

// SAFETY: Devices are reference counted, and can be unregistered from any thread.
unsafe impl Send for RootDevice {}

// SAFETY: Nothing can be done with a reference.
unsafe impl Sync for RootDevice {}

impl RootDevice {
    /// Registers a root device with a link to the module that it is of.
    fn new(module: &'static ThisModule, name: &'static CStr) -> Result<Self> {
        // SAFETY: The name is a C string, the module is this one.
        let raw = from_err_ptr(unsafe {
            bindings::__root_device_register(name.as_char_ptr(), module.as_ptr())
        })?;

        // INVARIANT: Registered above.
        NonNull::new(raw).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for RootDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device is registered.
        unsafe { bindings::root_device_unregister(self.0.as_ptr()) };
    }
}

/// A bus; unregistered when dropped.
///
/// # Invariants
///
/// The bus is registered.
struct Bus(Pin<KBox<Opaque<bindings::bus_type>>>);

// SAFETY: The bus is not changed while it is registered, and can be unregistered from any thread.
unsafe impl Send for Bus {}

// SAFETY: As above.
unsafe impl Sync for Bus {}

impl Bus {
    /// Registers a bus on which every driver matches every device.
    fn new(name: &'static CStr) -> Result<Self> {
        let raw = bindings::bus_type {
            name: name.as_char_ptr(),
            ..pin_init::zeroed()
        };
        let bus = KBox::pin(Opaque::new(raw), GFP_KERNEL)?;

        // SAFETY: The bus is pinned in its box, and stays until it was unregistered.
        to_result(unsafe { bindings::bus_register(bus.get()) })?;
        // INVARIANT: Registered above.
        Ok(Self(bus))
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the bus is registered.
        unsafe { bindings::bus_unregister(self.0.get()) };
    }
}

/// A `struct device` with what has to live as long as it.
#[repr(C)]
struct Inner<P> {
    raw: Opaque<bindings::device>,
    payload: Opaque<P>,
    released: Arc<Completion>,
}

/// A device on a bus that is ours; unregistered when dropped, which waits until nobody has a
/// reference to it any more, so that the module can go.
///
/// In it, pinned, is a `P` that hangs on the device, zeroed at first, and dropped when nobody has a
/// reference to the device any more.
///
/// # Invariants
///
/// `inner` is to a registered device whose memory ends when the last reference does, `data` comes
/// from a `Pin<KBox<T>>`.
struct OwnDevice<P: Send + Sync, T: Send + Sync + 'static> {
    inner: NonNull<Inner<P>>,
    released: Arc<Completion>,
    data: *mut c_void,
    _data: PhantomData<Pin<KBox<T>>>,
}

// SAFETY: Devices are reference counted, and can be unregistered from any thread. The payload is
// dropped by whoever puts the last reference.
unsafe impl<P: Send + Sync, T: Send + Sync> Send for OwnDevice<P, T> {}

// SAFETY: As above.
unsafe impl<P: Send + Sync, T: Send + Sync> Sync for OwnDevice<P, T> {}

impl<P: pin_init::Zeroable + Send + Sync, T: Send + Sync + 'static> OwnDevice<P, T> {
    /// Registers a device, which has to be dropped before its parent and its bus, and after a
    /// driver that is bound to it. The driver finds `data` as private data.
    fn new(
        name: &'static CStr,
        parent: &RootDevice,
        bus: &Bus,
        data: Pin<KBox<T>>,
    ) -> Result<Self> {
        let released = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let inner = KBox::new(
            Inner::<P> {
                raw: Opaque::zeroed(),
                payload: Opaque::zeroed(),
                released: released.clone(),
            },
            GFP_KERNEL,
        )?;
        let inner = KBox::into_raw(inner);
        let raw = inner.cast::<bindings::device>();
        let data = data.into_foreign();

        // SAFETY: The device is zeroed memory of our own, which from `device_initialize()` on
        // belongs to who has a reference, and is given back by the release function. Parent and
        // bus are registered, and dropped after the device, as `StandaloneDevice` does.
        let result = unsafe {
            bindings::device_initialize(raw);
            (*raw).parent = parent.0.as_ptr();
            (*raw).bus = bus.0.get();
            (*raw).release = Some(Self::release_callback);
            bindings::dev_set_drvdata(raw, data);
            to_result(bindings::dev_set_name(
                raw,
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            ))
            .and_then(|()| to_result(bindings::device_add(raw)))
        };
        if let Err(error) = result {
            // SAFETY: The reference from `device_initialize()` ends here, and nobody has found the
            // data.
            unsafe {
                bindings::put_device(raw);
                drop(Pin::<KBox<T>>::from_foreign(data));
            }
            return Err(error);
        }

        Ok(Self {
            // SAFETY: Comes from a box.
            // INVARIANT: Registered above.
            inner: unsafe { NonNull::new_unchecked(inner) },
            released,
            data,
            _data: PhantomData,
        })
    }

    extern "C" fn release_callback(raw: *mut bindings::device) {
        // SAFETY: The device is the first member of an `Inner<P>` that came from a box, and nobody
        // has a reference any more.
        let inner = unsafe { KBox::from_raw(raw.cast::<Inner<P>>()) };
        let released = inner.released.clone();

        // SAFETY: All zeroes is a value of `P`, and what the users of `payload()` made of it is.
        unsafe { core::ptr::drop_in_place(inner.payload.get()) };

        drop(inner);
        released.complete_all();
    }
}

impl<P: Send + Sync, T: Send + Sync + 'static> OwnDevice<P, T> {
    fn payload(&self) -> *mut P {
        // SAFETY: By the type invariant the pointer is valid.
        unsafe { (*self.inner.as_ptr()).payload.get() }
    }

    fn as_raw(&self) -> *mut bindings::device {
        self.inner.as_ptr().cast()
    }
}

impl<P: Send + Sync, T: Send + Sync + 'static> Drop for OwnDevice<P, T> {
    fn drop(&mut self) {
        let raw = self.as_raw();

        // SAFETY: By the type invariant the device is registered, and the reference from
        // `device_initialize()` is ours.
        unsafe { bindings::device_del(raw) };
        // The thread that puts the last reference executes the release function, which is code of
        // this module, and the module is about to go. So it has to be this thread. Nobody can get a
        // reference any more who does not have one.
        // SAFETY: As above. The counter is read, whoever changes it.
        while unsafe { (&raw const (*raw).kobj.kref.refcount.refs.counter).read_volatile() } > 1 {
            fsleep(Delta::from_millis(10));
        }
        // SAFETY: The reference ends here.
        unsafe { bindings::put_device(raw) };
        // With CONFIG_DEBUG_KOBJECT_RELEASE it is later, and in another thread after all.
        self.released.wait_for_completion();
        // SAFETY: By the type invariant it comes from a `Pin<KBox<T>>`. The driver, which looks at
        // it, was unregistered before.
        drop(unsafe { Pin::<KBox<T>>::from_foreign(self.data) });
    }
}

/// A driver without functions on a bus that is ours, which gives the bus's devices attributes;
/// unregistered when dropped.
///
/// # Invariants
///
/// The driver is registered.
struct OwnDriver<T: Send + Sync + 'static> {
    driver: Pin<KBox<Opaque<bindings::device_driver>>>,
    _groups: sysfs::Groups<T>,
}

// SAFETY: The driver is not changed while it is registered, and can be unregistered from any
// thread.
unsafe impl<T: Send + Sync> Send for OwnDriver<T> {}

// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for OwnDriver<T> {}

impl<T: Send + Sync + 'static> OwnDriver<T> {
    /// Registers a driver, which binds it to the bus's only device, and which has to be dropped
    /// before both. Users can neither bind nor unbind it.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if it could not be bound: the driver core does not tell why, and makes nothing but
    /// the attributes.
    fn new<P: Send + Sync>(
        name: &'static CStr,
        bus: &Bus,
        device: &OwnDevice<P, T>,
        attributes: &'static [sysfs::Attribute<T>],
    ) -> Result<Self> {
        let groups = sysfs::Groups::new(attributes)?;
        let raw = bindings::device_driver {
            name: name.as_char_ptr(),
            bus: bus.0.get(),
            suppress_bind_attrs: true,
            // So that it is bound when it is registered.
            probe_type: bindings::probe_type_PROBE_FORCE_SYNCHRONOUS,
            dev_groups: groups.as_ptr(),
            ..pin_init::zeroed()
        };
        let driver = KBox::pin(Opaque::new(raw), GFP_KERNEL)?;

        // SAFETY: The driver is pinned in its box, and it, its name and its attributes stay until
        // it was unregistered. The bus is registered, and dropped after the driver, as
        // `StandaloneDevice` does.
        to_result(unsafe { bindings::driver_register(driver.get()) })?;
        // INVARIANT: Registered above.
        let this = Self {
            driver,
            _groups: groups,
        };

        // SAFETY: The device is registered. Nobody else binds or unbinds its driver.
        if unsafe { bindings::device_is_bound(device.as_raw()) } {
            Ok(this)
        } else {
            Err(ENOMEM)
        }
    }
}

impl<T: Send + Sync + 'static> Drop for OwnDriver<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the driver is registered.
        unsafe { bindings::driver_unregister(self.driver.get()) };
    }
}

/// What a [`StandaloneDevice`] and its surroundings are called.
pub(crate) struct Names {
    /// The root device, in `/sys/devices/`.
    pub(crate) root: &'static CStr,
    /// The bus, in `/sys/bus/`.
    pub(crate) bus: &'static CStr,
    /// The device, below the root device and on the bus.
    pub(crate) device: &'static CStr,
    /// The driver that is bound to it.
    pub(crate) driver: &'static CStr,
}

/// A device below a root device of its own, on a bus of its own, bound to a driver of its own; all
/// of it unregistered when dropped.
pub(crate) struct StandaloneDevice<P: Send + Sync, T: Send + Sync + 'static> {
    // In the order in which they have to be dropped.
    _driver: OwnDriver<T>,
    device: OwnDevice<P, T>,
    _bus: Bus,
    _root: RootDevice,
}

impl<P: pin_init::Zeroable + Send + Sync, T: Send + Sync + 'static> StandaloneDevice<P, T> {
    /// Registers all of it. The attributes' functions find `data`.
    pub(crate) fn new(
        module: &'static ThisModule,
        names: &Names,
        data: Pin<KBox<T>>,
        attributes: &'static [sysfs::Attribute<T>],
    ) -> Result<Self> {
        let root = RootDevice::new(module, names.root)?;
        let bus = Bus::new(names.bus)?;
        let device = OwnDevice::new(names.device, &root, &bus, data)?;
        let driver = OwnDriver::new(names.driver, &bus, &device, attributes)?;

        Ok(Self {
            _driver: driver,
            device,
            _bus: bus,
            _root: root,
        })
    }
}

impl<P: Send + Sync, T: Send + Sync + 'static> StandaloneDevice<P, T> {
    /// Returns the pointer to what hangs on the device. Valid as long as somebody has a reference
    /// to the device.
    pub(super) fn payload(&self) -> *mut P {
        self.device.payload()
    }

    pub(super) fn as_raw(&self) -> *mut bindings::device {
        self.device.as_raw()
    }
}

/// Stores a driver's data as private data of a device.
///
/// # Safety
///
/// The device has to be valid, and its private data unused or the bound driver's to set.
pub(super) unsafe fn set_data<T: Send + Sync + 'static>(
    raw: *mut bindings::device,
    data: Pin<KBox<T>>,
) {
    // SAFETY: By the safety requirements.
    unsafe { bindings::dev_set_drvdata(raw, data.into_foreign()) };
}

/// Takes what [`set_data`] stored out of a device.
///
/// # Safety
///
/// The device has to be valid, its private data null or stored by [`set_data`] with the same type,
/// and nobody else to use it any more.
pub(super) unsafe fn take_data<T: Send + Sync + 'static>(
    raw: *mut bindings::device,
) -> Option<Pin<KBox<T>>> {
    // SAFETY: By the safety requirements.
    unsafe {
        let data = bindings::dev_get_drvdata(raw);
        bindings::dev_set_drvdata(raw, core::ptr::null_mut());
        Pin::<KBox<T>>::try_from_foreign(data)
    }
}
