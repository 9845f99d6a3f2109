// SPDX-License-Identifier: GPL-2.0

//! The AP bus: drivers for AP queues, and the AP instructions.
//!
//! C headers: `drivers/s390/crypto/ap_bus.h`, `arch/s390/include/asm/ap.h`

use super::{
    bindings as own,
    device::{
        set_data,
        take_data, //
    },
    queue_hw::QueueHw,
    sysfs, //
};
use crate::model::{
    Apqn,
    AqicControl,
    HostConfig,
    Limits,
    Mask256,
    StatusWord, //
};
use core::{
    marker::PhantomData,
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    },
};
use kernel::{
    bindings,
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

/// The facility bit (STFLE) of PQAP(QCI).
const FACILITY_QCI: usize = 12;

/// Tells whether the AP instructions are installed.
pub(crate) fn instructions_available() -> bool {
    // SAFETY: Has no requirements; the instruction that may not exist has an exception table entry.
    unsafe { own::vfio_ap_shim_instructions_available() }
}

/// Asks for the host's AP configuration with PQAP(QCI).
///
/// # Errors
///
/// `EOPNOTSUPP` if the facility is installed but the function does not work.
pub(crate) fn query_config() -> Result<HostConfig> {
    // SAFETY: Has no requirements.
    if !unsafe { own::vfio_ap_shim_test_facility(FACILITY_QCI) } {
        return Ok(HostConfig::WITHOUT_QCI);
    }

    let mut info = own::ap_config_info::default();
    // SAFETY: `info` has the size and the alignment that the instruction needs.
    to_result(unsafe { own::vfio_ap_shim_qci(&raw mut info) })?;
    Ok(host_config(&info))
}

/// Tests a queue with PQAP(TAPQ). Does not sleep.
pub(super) fn tapq(apqn: Apqn) -> StatusWord {
    // SAFETY: The instruction takes any APQN, and changes nothing but the registers.
    StatusWord::from_raw(unsafe { own::vfio_ap_shim_tapq(apqn.to_raw().into()) })
}

/// Tests a queue with PQAP(TAPQ), and returns its properties from general register 2 as well. Does
/// not sleep.
pub(super) fn tapq_info(apqn: Apqn) -> (StatusWord, u64) {
    let mut gr2 = 0;
    // SAFETY: The instruction takes any APQN, and changes nothing but the registers.
    let status = unsafe { own::vfio_ap_shim_tapq_info(apqn.to_raw().into(), &raw mut gr2) };

    (StatusWord::from_raw(status), gr2)
}

/// Asks for a reset of a queue with PQAP(ZAPQ). Does not sleep, and does not wait for the reset.
pub(super) fn zapq(apqn: Apqn) -> StatusWord {
    // SAFETY: The instruction takes any APQN, and stores nothing.
    StatusWord::from_raw(unsafe { own::vfio_ap_shim_zapq(apqn.to_raw().into()) })
}

/// Asks that a queue make no interrupts any more with PQAP(AQIC). Does not sleep, and does not wait
/// for it to take effect.
pub(super) fn aqic_disable(apqn: Apqn) -> StatusWord {
    let control = AqicControl::DISABLE.to_raw();

    // SAFETY: The instruction takes any APQN, and with this control word uses no address.
    StatusWord::from_raw(unsafe { own::vfio_ap_shim_aqic(apqn.to_raw().into(), control, 0) })
}

/// Asks that a queue make interrupts with PQAP(AQIC). Does not sleep.
///
/// # Safety
///
/// Hardware may write the byte at `nib`, a physical address, and the guest interruption state area
/// that `control` names, until the queue is quiesced: both have to stay allocated as long.
pub(super) unsafe fn aqic_enable(apqn: Apqn, control: AqicControl, nib: u64) -> StatusWord {
    // SAFETY: By the safety requirements.
    StatusWord::from_raw(unsafe {
        own::vfio_ap_shim_aqic(apqn.to_raw().into(), control.to_raw(), nib)
    })
}

fn host_config(info: &own::ap_config_info) -> HostConfig {
    // SAFETY: Both members of the union are plain integers of the same size.
    let flags = unsafe { info.__bindgen_anon_1.flags };

    HostConfig::from_qci(flags, info.na, info.nd, info.apm, info.aqm, info.adm)
}

/// The AP bus's `ap_attr_mutex`, held.
///
/// While it is held, which APQNs are reserved for the host's default drivers does not change. It is
/// the outermost of all locks that a driver on the AP bus takes.
pub(crate) struct Reservations(PhantomData<*mut ()>);

impl Reservations {
    /// Takes the mutex. May sleep.
    pub(crate) fn lock() -> Self {
        // SAFETY: The mutex is a static of the kernel.
        unsafe { bindings::mutex_lock(&raw mut own::ap_attr_mutex) };
        Self(PhantomData)
    }

    /// Returns the masks of adapters and domains, `apmask` and `aqmask`, whose queues the host's
    /// default drivers have unless a driver override says otherwise.
    pub(crate) fn masks(&self) -> (Mask256, Mask256) {
        // SAFETY: The masks change with the mutex held, and `self` proves that it is ours.
        let (apm, aqm) = unsafe { (own::ap_perms.apm, own::ap_perms.aqm) };

        (
            Mask256::from_words(apm.map(|word| word as u64)),
            Mask256::from_words(aqm.map(|word| word as u64)),
        )
    }

    /// Tells whether an APQN is reserved for the host's default drivers.
    ///
    /// The bus looks for the queue's device, which takes it the longer the more queues the host
    /// has.
    pub(crate) fn has(&self, apqn: Apqn) -> bool {
        // SAFETY: The caller has to hold the mutex, and `self` proves it. A negative value is an
        // error for numbers out of range, which an APQN does not have.
        unsafe { own::ap_owned_by_def_drv(apqn.apid.get().into(), apqn.apqi.get().into()) != 0 }
    }
}

impl Drop for Reservations {
    fn drop(&mut self) {
        // SAFETY: `self` proves that the mutex is held by this thread.
        unsafe { bindings::mutex_unlock(&raw mut own::ap_attr_mutex) };
    }
}

/// A type of AP adapters, as PQAP(TAPQ) tells it: 10 for CEX4 up to 14 for CEX8.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct DeviceId(bindings::ap_device_id);

impl DeviceId {
    /// The entry that ends a table of types.
    const END: Self = Self(pin_init::zeroed());

    const fn queue_type(device_type: u32) -> Self {
        let mut id = Self::END;

        id.0.match_flags = own::AP_DEVICE_ID_MATCH_QUEUE_TYPE as u16;
        id.0.dev_type = device_type as u8;
        id
    }
}

/// Queues of CEX4 adapters and later ones.
static CEX4_AND_LATER: [DeviceId; 6] = [
    DeviceId::queue_type(own::AP_DEVICE_TYPE_CEX4),
    DeviceId::queue_type(own::AP_DEVICE_TYPE_CEX5),
    DeviceId::queue_type(own::AP_DEVICE_TYPE_CEX6),
    DeviceId::queue_type(own::AP_DEVICE_TYPE_CEX7),
    DeviceId::queue_type(own::AP_DEVICE_TYPE_CEX8),
    DeviceId::END,
];

/// Where the callbacks of a driver that the bus calls without a device find what they work on.
///
/// There is one for each driver, a static, empty while the driver is not registered.
pub(crate) struct HostSlot<H>(AtomicPtr<H>);

impl<H> HostSlot<H> {
    /// Makes an empty slot.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// # Safety
    ///
    /// The driver must be registered, and must not be unregistered while the reference lives.
    unsafe fn get<'a>(&self) -> Option<&'a H> {
        // SAFETY: The slot is filled before the driver is registered, with a pointer that is valid
        // until it was unregistered.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}

/// A driver for AP queues of CEX4 adapters and later ones. A value of the type is the data of one
/// queue that it is bound to.
///
/// The bus holds the device's lock around [`probe`](Self::probe) and [`unbind`](Self::unbind),
/// `ap_attr_mutex` around [`in_use`](Self::in_use), and the lock of its scan around the others. All
/// may sleep.
pub(crate) trait Driver: Sized + Send + Sync + 'static {
    /// What the driver as a whole works on.
    type Host: Send + Sync;

    /// The driver's name on the bus.
    const NAME: &'static CStr;
    /// The driver's slot.
    const SLOT: &'static HostSlot<Self::Host>;
    /// The attributes that queues have while the driver is bound to them.
    const ATTRIBUTES: &'static [sysfs::Attribute<Self>];

    /// Returns the largest numbers that the host can have.
    fn limits(host: &Self::Host) -> &Limits;

    /// Binds the driver to a queue.
    fn probe(host: &Self::Host, queue: QueueHw) -> Result<Self>;

    /// Unbinds the driver from a queue, whose data is dropped afterwards.
    fn unbind(host: &Self::Host, this: Pin<&Self>);

    /// Tells whether one of the APQNs of adapters and domains is in use.
    fn in_use(host: &Self::Host, apm: Mask256, aqm: Mask256) -> bool;

    /// The host's AP configuration has changed; the bus is about to add and remove devices.
    fn on_config_changed(host: &Self::Host, new: HostConfig);

    /// The bus has added and removed all devices.
    fn on_scan_complete(host: &Self::Host);
}

/// The registration of a driver on the AP bus; unregistered when dropped.
///
/// # Invariants
///
/// The driver is registered, and its slot holds `host`.
pub(crate) struct Registration<T: Driver> {
    driver: Pin<KBox<Opaque<own::ap_driver>>>,
    _groups: sysfs::Groups<T>,
    _host: Arc<T::Host>,
}

// SAFETY: Nothing can be done with a reference, and unregistering is allowed from any thread.
unsafe impl<T: Driver> Send for Registration<T> {}

// SAFETY: As above.
unsafe impl<T: Driver> Sync for Registration<T> {}

impl<T: Driver> Registration<T> {
    /// Registers the driver, which binds it to all queues that it may have. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is registered, and what `driver_register()` returns.
    pub(crate) fn new(module: &'static ThisModule, host: Arc<T::Host>) -> Result<Self> {
        let groups = sysfs::Groups::<T>::new(T::ATTRIBUTES)?;
        let raw = own::ap_driver {
            driver: bindings::device_driver {
                dev_groups: groups.as_ptr(),
                ..pin_init::zeroed()
            },
            probe: Some(Self::probe_callback),
            remove: Some(Self::remove_callback),
            in_use: Some(Self::in_use_callback),
            on_config_changed: Some(Self::on_config_changed_callback),
            on_scan_complete: Some(Self::on_scan_complete_callback),
            ids: CEX4_AND_LATER.as_ptr().cast_mut().cast(),
            flags: 0,
        };
        let driver = KBox::pin(Opaque::new(raw), GFP_KERNEL)?;

        let data = Arc::as_ptr(&host).cast_mut();
        T::SLOT
            .0
            .compare_exchange(
                core::ptr::null_mut(),
                data,
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .map_err(|_| EBUSY)?;

        // SAFETY: The driver is pinned in its box and stays until it was unregistered, and so do
        // its name, its table of types and its attributes. The bus writes nothing through `ids`.
        let result = to_result(unsafe {
            own::ap_driver_register(
                driver.get(),
                module.as_ptr(),
                T::NAME.as_char_ptr().cast_mut(),
            )
        });
        if result.is_err() {
            T::SLOT.0.store(core::ptr::null_mut(), Ordering::Release);
        }

        // INVARIANT: Registered and filled in above.
        result.map(|()| Self {
            driver,
            _groups: groups,
            _host: host,
        })
    }

    extern "C" fn probe_callback(raw: *mut own::ap_device) -> c_int {
        from_result(|| {
            // SAFETY: The bus calls only a registered driver, and unregistering waits for it.
            let host = unsafe { T::SLOT.get() }.ok_or(ENODEV)?;
            // SAFETY: The pointer is to a queue's device: drivers match no others. The bus holds a
            // reference while it calls the driver.
            let (id, device) = unsafe {
                (
                    own::vfio_ap_shim_queue_id(raw),
                    device::Device::from_raw(&raw mut (*raw).device),
                )
            };
            let apqn = u16::try_from(id)
                .ok()
                .and_then(|id| T::limits(host).apqn(id).ok())
                .ok_or(ENODEV)?;
            // SAFETY: It is this queue's device and number, and the driver is being bound to it.
            let queue = unsafe { QueueHw::new(device, apqn) };
            // All that may fail comes first: a bound queue is only ever unbound.
            let room = KBox::<T>::new_uninit(GFP_KERNEL)?;
            let data = KBox::into_pin(KBox::write(room, T::probe(host, queue)?));

            // SAFETY: The device is valid, and its private data is the bound driver's.
            unsafe { set_data(&raw mut (*raw).device, data) };
            Ok(0)
        })
    }

    extern "C" fn remove_callback(raw: *mut own::ap_device) {
        // SAFETY: The bus calls this once for each successful probe, which stored the data. Nobody
        // else uses it any more: the driver core has removed the attributes.
        let data = unsafe { take_data::<T>(&raw mut (*raw).device) };
        // SAFETY: The bus calls only a registered driver, and unregistering waits for it.
        let host = unsafe { T::SLOT.get() };

        if let (Some(host), Some(data)) = (host, data) {
            T::unbind(host, data.as_ref());
        }
    }

    extern "C" fn in_use_callback(apm: *mut usize, aqm: *mut usize) -> c_int {
        // SAFETY: The bus calls only a registered driver, and unregistering waits for it.
        let Some(host) = (unsafe { T::SLOT.get() }) else {
            return 0;
        };
        // SAFETY: The bus passes two bitmaps of 256 bits in inverted order, which is the order of
        // `Mask256`, and changes them not before this function returns.
        let (apm, aqm) = unsafe { (apm.cast::<[u64; 4]>().read(), aqm.cast::<[u64; 4]>().read()) };

        if T::in_use(host, Mask256::from_words(apm), Mask256::from_words(aqm)) {
            super::errno::eaddrinuse().to_errno()
        } else {
            0
        }
    }

    extern "C" fn on_config_changed_callback(
        new: *mut own::ap_config_info,
        _old: *mut own::ap_config_info,
    ) {
        // SAFETY: The bus calls only a registered driver, and unregistering waits for it. The
        // configuration is the bus's own, which changes only in a scan, and this is part of one.
        if let (Some(host), Some(new)) = unsafe { (T::SLOT.get(), new.as_ref()) } {
            T::on_config_changed(host, host_config(new));
        }
    }

    extern "C" fn on_scan_complete_callback(
        _new: *mut own::ap_config_info,
        _old: *mut own::ap_config_info,
    ) {
        // SAFETY: The bus calls only a registered driver, and unregistering waits for it.
        if let Some(host) = unsafe { T::SLOT.get() } {
            T::on_scan_complete(host);
        }
    }
}

impl<T: Driver> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the driver is registered.
        unsafe { own::ap_driver_unregister(self.driver.get()) };
        T::SLOT.0.store(core::ptr::null_mut(), Ordering::Release);
    }
}
