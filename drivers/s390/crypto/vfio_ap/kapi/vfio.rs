// SPDX-License-Identifier: GPL-2.0

//! VFIO devices without an IOMMU of their own, whose memory accesses the driver mediates.
//!
//! C header: `include/linux/vfio.h`

use super::{
    bindings as own,
    kvm::Kvm,
    migration,
    page::Pins,
    work::WorkQueue, //
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    device,
    error::{
        from_err_ptr,
        from_result,
        to_result, //
    },
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    types::Opaque, //
};

/// What a VFIO device does. All functions may sleep.
///
/// VFIO holds the device set's lock around [`open`](Self::open) and [`close`](Self::close), and
/// locks of the container around [`dma_unmap`](Self::dma_unmap), as [`super::page`] describes.
pub(crate) trait Ops: Send + Sync + 'static {
    /// The device is opened for the first time since it was closed. `kvm` is the guest that its
    /// group or file was associated with; `pins` is what pages are pinned through until it is
    /// closed.
    fn open(this: &Arc<Self>, pins: Arc<Pins>, kvm: Option<Kvm>) -> Result;

    /// The device's last file was closed. What is pinned when this returns is unpinned then.
    fn close(this: &Arc<Self>);

    /// An ioctl; `arg` as user space passed it.
    fn ioctl(this: &Arc<Self>, cmd: u32, arg: usize) -> Result<isize>;

    /// User space unmaps the I/O virtual addresses from `first` to `last`. All pages in it have to
    /// be unpinned when this returns, by another thread.
    fn dma_unmap(this: &Arc<Self>, pins: &Pins, first: u64, last: u64);

    /// The driver is waiting for the device to be closed. Called every ten seconds, counting from
    /// 0.
    fn request(this: &Arc<Self>, count: u32);
}

/// What is ours of a VFIO device.
#[pin_data]
struct Data<T> {
    ops: Arc<T>,
    /// For unpinning.
    queue: Arc<WorkQueue>,
    /// There while the device is open.
    #[pin]
    pins: Mutex<Option<Arc<Pins>>>,
}

/// A `struct vfio_device` with what is ours behind it.
///
/// Anybody can hold a reference to the device for as long as they like, also when it was
/// unregistered and the module is gone. VFIO looks at `ops` once more when the last reference is
/// put. So they are here, and those for migration and logging with them, where they live as long as
/// the device does, and have no function for the release: from unregistering on, neither code nor
/// data of the module is used. A function that tells the module of the release would have to return
/// to VFIO afterwards, and could not know whether it still exists then.
#[repr(C)]
struct Inner<T> {
    raw: Opaque<own::vfio_device>,
    ops: own::vfio_device_ops,
    mig_ops: own::vfio_migration_ops,
    log_ops: own::vfio_log_ops,
    // All zeroes, which is `None`, unless the device is registered.
    data: Option<Pin<KBox<Data<T>>>>,
}

/// The registration of a VFIO device; unregistered when dropped, which waits until it is closed.
///
/// # Invariants
///
/// The pointer is to a registered device with data, and this value owns a reference to it.
pub(crate) struct Registration<T: Ops + migration::Ops>(NonNull<Inner<T>>);

// SAFETY: The data is `Send` and `Sync`, and unregistering is allowed from any thread.
unsafe impl<T: Ops + migration::Ops> Send for Registration<T> {}

// SAFETY: Nothing can be done with a reference but what `Device` allows.
unsafe impl<T: Ops + migration::Ops> Sync for Registration<T> {}

impl<T: Ops + migration::Ops> Registration<T> {
    const OPS: own::vfio_device_ops = own::vfio_device_ops {
        open_device: Some(Self::open_callback),
        close_device: Some(Self::close_callback),
        ioctl: Some(Self::ioctl_callback),
        dma_unmap: Some(Self::dma_unmap_callback),
        request: Some(Self::request_callback),
        bind_iommufd: Some(own::vfio_iommufd_emulated_bind),
        unbind_iommufd: Some(own::vfio_iommufd_emulated_unbind),
        attach_ioas: Some(own::vfio_iommufd_emulated_attach_ioas),
        detach_ioas: Some(own::vfio_iommufd_emulated_detach_ioas),
        ..pin_init::zeroed()
    };

    const LOG_OPS: own::vfio_log_ops = own::vfio_log_ops {
        log_start: Some(Self::log_start_callback),
        log_stop: Some(Self::log_stop_callback),
        log_read_and_clear: Some(Self::log_read_and_clear_callback),
    };

    /// Registers a device that is a child of `parent`, whose driver has to be bound to it and to
    /// unregister the device before it is unbound. Pages are unpinned on `queue`.
    pub(crate) fn new(parent: &device::Device, queue: Arc<WorkQueue>, ops: Arc<T>) -> Result<Self> {
        let data = KBox::pin_init(
            pin_init!(Data {
                ops,
                queue,
                pins <- new_mutex!(None, "vfio_ap::vfio.pins"),
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: The parent is valid, and VFIO takes a reference to it before it needs one. The
        // size is that of a structure that begins with a `struct vfio_device`.
        let raw = from_err_ptr(unsafe {
            own::_vfio_alloc_device(
                size_of::<Inner<T>>(),
                core::ptr::from_ref(parent).cast_mut().cast(),
                &Self::OPS,
            )
        })?;
        let inner = NonNull::new(raw.cast::<Inner<T>>()).ok_or(ENOMEM)?;

        // SAFETY: VFIO has allocated the whole structure, zeroed, and nobody else knows it yet. The
        // functions in the structure are those that VFIO was given, and stay until it is freed,
        // which VFIO does after it has looked at them for the last time.
        unsafe {
            (*inner.as_ptr()).ops = Self::OPS;
            (*raw).ops = &raw const (*inner.as_ptr()).ops;
            (*inner.as_ptr()).mig_ops = migration::Callbacks::<T>::OPS;
            (*raw).mig_ops = &raw const (*inner.as_ptr()).mig_ops;
            (*raw).migration_flags = migration::Callbacks::<T>::FLAGS;
            (*inner.as_ptr()).log_ops = Self::LOG_OPS;
            if own::vfio_ap_shim_has_dma_logging() {
                (*raw).log_ops = &raw const (*inner.as_ptr()).log_ops;
            }
            (*inner.as_ptr()).data = Some(data);
        }

        // SAFETY: The device was allocated above.
        let result = to_result(unsafe { own::vfio_register_emulated_iommu_dev(raw) });
        if let Err(error) = result {
            // SAFETY: The device is not registered.
            unsafe { Self::release(inner) };
            return Err(error);
        }

        // INVARIANT: Registered above; the reference is the one from the allocation.
        Ok(Self(inner))
    }

    /// Drops the data, and puts the reference from the allocation.
    ///
    /// # Safety
    ///
    /// The device has to be one that [`Self::new`] made, and not to be registered, or no longer.
    /// The reference must not be used any more.
    unsafe fn release(inner: NonNull<Inner<T>>) {
        // SAFETY: By the safety requirements there is a reference. VFIO calls functions that look
        // at the data only for a registered device; unregistering it has waited for the last one.
        let data = unsafe { (*inner.as_ptr()).data.take() };

        // SAFETY: By the safety requirements the reference ends here. If it is not the last one,
        // whoever puts that uses nothing of this module: see `Inner`.
        unsafe { own::vfio_ap_shim_vfio_put_device(inner.as_ptr().cast()) };
        drop(data);
    }

    /// # Safety
    ///
    /// `raw` has to be a device that [`Self::new`] made, with data, and has to be registered as
    /// long as the reference is used.
    unsafe fn data<'a>(raw: *mut own::vfio_device) -> Option<&'a Data<T>> {
        // SAFETY: By the safety requirements. The data is written before the device is registered,
        // and taken out when that is over.
        unsafe { (*raw.cast::<Inner<T>>()).data.as_deref() }
    }

    /// Returns what the device does.
    ///
    /// # Safety
    ///
    /// As for [`Self::data`].
    pub(super) unsafe fn ops<'a>(raw: *mut own::vfio_device) -> Option<&'a Arc<T>> {
        // SAFETY: By the safety requirements.
        unsafe { Self::data(raw) }.map(|data| &data.ops)
    }

    extern "C" fn open_callback(raw: *mut own::vfio_device) -> c_int {
        from_result(|| {
            // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
            let data = unsafe { Self::data(raw) }.ok_or(ENODEV)?;
            // SAFETY: The device set's lock is held, under which the member changes; VFIO holds a
            // reference as long as it is not null.
            let kvm =
                NonNull::new(unsafe { (*raw).kvm }).map(|kvm| unsafe { Kvm::get(kvm.cast()) });
            let device = NonNull::new(raw).ok_or(ENODEV)?;
            // SAFETY: The device is being opened, and closed below or in `close_callback()`.
            let pins = unsafe { Pins::new(device, &data.queue) }?;

            *data.pins.lock() = Some(pins.clone());
            let result = T::open(&data.ops, pins, kvm);
            if result.is_err() {
                Self::end_pins(data);
            }
            result.map(|()| 0)
        })
    }

    extern "C" fn close_callback(raw: *mut own::vfio_device) {
        // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
        if let Some(data) = unsafe { Self::data(raw) } {
            T::close(&data.ops);
            Self::end_pins(data);
        }
    }

    fn end_pins(data: &Data<T>) {
        // Out of the lock, which `dma_unmap` takes, and it may be what unpinning waits for.
        let pins = data.pins.lock().clone();

        if let Some(pins) = pins {
            pins.close();
        }
        let pins = data.pins.lock().take();
        drop(pins);
    }

    extern "C" fn ioctl_callback(raw: *mut own::vfio_device, cmd: c_uint, arg: usize) -> isize {
        // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
        let result = match unsafe { Self::data(raw) } {
            Some(data) => T::ioctl(&data.ops, cmd, arg),
            None => Err(ENODEV),
        };

        result.unwrap_or_else(|error| error.to_errno() as isize)
    }

    extern "C" fn dma_unmap_callback(raw: *mut own::vfio_device, iova: u64, length: u64) {
        // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
        let Some(data) = (unsafe { Self::data(raw) }) else {
            return;
        };
        let pins = data.pins.lock().clone();

        if let (Some(pins), Some(length)) = (pins, length.checked_sub(1)) {
            T::dma_unmap(&data.ops, &pins, iova, iova.saturating_add(length));
        }
    }

    extern "C" fn request_callback(raw: *mut own::vfio_device, count: c_uint) {
        // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
        if let Some(data) = unsafe { Self::data(raw) } {
            T::request(&data.ops, count);
        }
    }
}

// Logging of the pages that the device writes, which user space asks for.
impl<T: Ops + migration::Ops> Registration<T> {
    /// # Safety
    ///
    /// As for [`Self::data`].
    unsafe fn pins(raw: *mut own::vfio_device) -> Result<Arc<Pins>> {
        // SAFETY: By the safety requirements.
        let data = unsafe { Self::data(raw) }.ok_or(ENODEV)?;
        let pins = data.pins.lock().clone();

        pins.ok_or(ENODEV)
    }

    extern "C" fn log_start_callback(
        raw: *mut own::vfio_device,
        _ranges: *mut bindings::rb_root_cached,
        _nnodes: u32,
        page_size: *mut u64,
    ) -> c_int {
        from_result(|| {
            // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
            let pins = unsafe { Self::pins(raw) }?;

            // There are few pages to log, so all are logged, and reports select.
            pins.start_log()?;
            // SAFETY: VFIO passes a pointer to a variable of its own.
            unsafe { *page_size = PAGE_SIZE as u64 };
            Ok(0)
        })
    }

    extern "C" fn log_stop_callback(raw: *mut own::vfio_device) -> c_int {
        from_result(|| {
            // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
            let pins = unsafe { Self::pins(raw) }?;

            pins.stop_log().map(|()| 0)
        })
    }

    extern "C" fn log_read_and_clear_callback(
        raw: *mut own::vfio_device,
        iova: usize,
        length: usize,
        bitmap: *mut own::iova_bitmap,
    ) -> c_int {
        from_result(|| {
            let begin = iova as u64;
            let Some(length) = (length as u64).checked_sub(1) else {
                return Ok(0);
            };
            let end = begin.saturating_add(length);
            // A page that is there in part is one that was written.
            let first = begin & !(PAGE_SIZE as u64 - 1);
            // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
            let pins = unsafe { Self::pins(raw) }?;

            // Setting bits may wait for user space, so no lock is held.
            for (from, to) in pins.take_log(first, end)? {
                let from = from.max(begin);
                let to = (to | (PAGE_SIZE as u64 - 1)).min(end);

                // SAFETY: VFIO passes a bitmap for this range, in which the addresses are.
                unsafe {
                    own::vfio_ap_shim_iova_bitmap_set(
                        bitmap,
                        from as usize,
                        (to - from + 1) as usize,
                    )
                };
            }
            Ok(0)
        })
    }
}

impl<T: Ops + migration::Ops> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device is registered, and this value owns a reference,
        // which ends here.
        unsafe {
            own::vfio_unregister_group_dev(self.0.as_ptr().cast());
            Self::release(self.0);
        }
    }
}

/// The ioctls of a VFIO device, and what they pass.
///
/// C header: `include/uapi/linux/vfio.h`
pub(crate) mod uapi {
    use super::own;

    pub(crate) use own::{
        RUST_CONST_HELPER_VFIO_DEVICE_GET_INFO as DEVICE_GET_INFO,
        RUST_CONST_HELPER_VFIO_DEVICE_GET_IRQ_INFO as DEVICE_GET_IRQ_INFO,
        RUST_CONST_HELPER_VFIO_DEVICE_RESET as DEVICE_RESET,
        RUST_CONST_HELPER_VFIO_DEVICE_SET_IRQS as DEVICE_SET_IRQS, //
    };
}
