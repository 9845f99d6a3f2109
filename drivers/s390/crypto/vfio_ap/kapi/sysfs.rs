// SPDX-License-Identifier: GPL-2.0

//! Device attributes, declared as data.
//!
//! A driver has one table of [`Attribute`]s, each with a function that writes the text of the
//! attribute into a page, a function that takes what a user wrote, or both. The driver core makes
//! the files once the driver is bound to a device, and removes them, waiting for the functions to
//! end, before the driver is unbound.
//!
//! C headers: `include/linux/sysfs.h`, `include/linux/device.h`

use core::marker::PhantomData;
use kernel::{
    bindings, page::PAGE_SIZE, prelude::*, str::as_char_ptr_in_const_context, types::Opaque,
};

/// Writes the text of an attribute into a page and returns its length in bytes.
pub(crate) type Show<T> = fn(Pin<&T>, &mut [u8]) -> Result<usize>;

/// Takes what a user wrote, as it was written, with its newline if there was one.
pub(crate) type Store<T> = fn(Pin<&T>, &[u8]) -> Result;

/// An attribute of a device whose driver's private data is a `T`, pinned in a box that the driver's
/// abstraction owns. The callbacks borrow it: nobody can keep it.
#[repr(C)]
pub(crate) struct Attribute<T: Send + Sync + 'static> {
    raw: Opaque<bindings::device_attribute>,
    show: Option<Show<T>>,
    store: Option<Store<T>>,
}

// SAFETY: The C side changes nothing in `raw` but what it locks itself, the rest is constant.
unsafe impl<T: Send + Sync> Sync for Attribute<T> {}

impl<T: Send + Sync + 'static> Attribute<T> {
    /// An attribute that everybody may read (mode 0444).
    pub(crate) const fn read_only(name: &'static CStr, show: Show<T>) -> Self {
        Self::new(name, 0o444, Some(show), None)
    }

    /// An attribute that only root may write and nobody read (mode 0200).
    pub(crate) const fn write_only(name: &'static CStr, store: Store<T>) -> Self {
        Self::new(name, 0o200, None, Some(store))
    }

    /// An attribute that everybody may read and only root may write (mode 0644).
    pub(crate) const fn read_write(name: &'static CStr, show: Show<T>, store: Store<T>) -> Self {
        Self::new(name, 0o644, Some(show), Some(store))
    }

    const fn new(
        name: &'static CStr,
        mode: u16,
        show: Option<Show<T>>,
        store: Option<Store<T>>,
    ) -> Self {
        let mut raw: bindings::device_attribute = pin_init::zeroed();

        raw.attr.name = as_char_ptr_in_const_context(name);
        raw.attr.mode = mode;
        if show.is_some() {
            raw.__bindgen_anon_1.show = Some(Self::show_callback);
        }
        if store.is_some() {
            raw.__bindgen_anon_2.store = Some(Self::store_callback);
        }

        Self {
            raw: Opaque::new(raw),
            show,
            store,
        }
    }

    /// # Safety
    ///
    /// The driver of `dev` has to be bound to it, and its private data, if there is any, to point
    /// to a pinned `T`.
    unsafe fn data<'a>(dev: *mut bindings::device) -> Option<Pin<&'a T>> {
        // SAFETY: By the safety requirements `dev` is valid.
        let data = unsafe { bindings::dev_get_drvdata(dev) };

        // SAFETY: By the safety requirements; it stays until the driver is unbound.
        unsafe {
            data.cast::<T>()
                .as_ref()
                .map(|data| Pin::new_unchecked(data))
        }
    }

    extern "C" fn show_callback(
        dev: *mut bindings::device,
        attr: *mut bindings::device_attribute,
        buf: *mut c_char,
    ) -> isize {
        // SAFETY: `attr` is the first member of an `Attribute<T>`: no other uses this function.
        let this = unsafe { &*attr.cast::<Self>() };
        // SAFETY: Sysfs passes a page that nobody else uses until this function returns.
        let page = unsafe { core::slice::from_raw_parts_mut(buf.cast::<u8>(), PAGE_SIZE) };
        // SAFETY: By the invariant of `Groups`, and because sysfs calls only while the file exists.
        let data = unsafe { Self::data(dev) };

        match (this.show, data) {
            (Some(show), Some(data)) => match show(data, page) {
                Ok(length) => length.min(PAGE_SIZE) as isize,
                Err(error) => error.to_errno() as isize,
            },
            _ => ENODEV.to_errno() as isize,
        }
    }

    extern "C" fn store_callback(
        dev: *mut bindings::device,
        attr: *mut bindings::device_attribute,
        buf: *const c_char,
        count: usize,
    ) -> isize {
        // SAFETY: `attr` is the first member of an `Attribute<T>`: no other uses this function.
        let this = unsafe { &*attr.cast::<Self>() };
        // SAFETY: Sysfs passes `count` bytes that nobody changes until this function returns.
        let text = unsafe { core::slice::from_raw_parts(buf.cast::<u8>(), count) };
        // SAFETY: By the invariant of `Groups`, and because sysfs calls only while the file exists.
        let data = unsafe { Self::data(dev) };

        match (this.store, data) {
            (Some(store), Some(data)) => match store(data, text) {
                Ok(()) => count as isize,
                Err(error) => error.to_errno() as isize,
            },
            _ => ENODEV.to_errno() as isize,
        }
    }
}

/// A table of attributes in the form that a `struct device_driver` takes.
///
/// # Invariants
///
/// `groups` points to `_group`, which points to `_attrs`, which points to a static table of
/// attributes; both arrays end with a null pointer.
pub(crate) struct Groups<T: Send + Sync + 'static> {
    groups: KBox<[*const bindings::attribute_group; 2]>,
    _group: KBox<bindings::attribute_group>,
    _attrs: KVec<*mut bindings::attribute>,
    _attributes: PhantomData<&'static Attribute<T>>,
}

// SAFETY: Nothing is changed after it was made; what the pointers point to is `Sync`.
unsafe impl<T: Send + Sync> Send for Groups<T> {}

// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Groups<T> {}

impl<T: Send + Sync + 'static> Groups<T> {
    /// Makes one unnamed group of a table.
    pub(crate) fn new(table: &'static [Attribute<T>]) -> Result<Self> {
        let mut attrs = KVec::with_capacity(table.len() + 1, GFP_KERNEL)?;
        for attribute in table {
            let raw = attribute.raw.get();
            // SAFETY: `raw` points into a static.
            attrs.push(unsafe { &raw mut (*raw).attr }, GFP_KERNEL)?;
        }
        attrs.push(core::ptr::null_mut(), GFP_KERNEL)?;

        let mut group: KBox<bindings::attribute_group> = KBox::new(pin_init::zeroed(), GFP_KERNEL)?;
        group.__bindgen_anon_2.attrs = attrs.as_mut_ptr();
        let groups = KBox::new([&raw const *group, core::ptr::null()], GFP_KERNEL)?;

        // INVARIANT: Just made so; what is in a box or a vector does not move with it.
        Ok(Self {
            groups,
            _group: group,
            _attrs: attrs,
            _attributes: PhantomData,
        })
    }

    /// Returns the pointer for `dev_groups` of a driver.
    ///
    /// The driver's private data has to point to a pinned `T`, and `self` has to live until the
    /// driver is unregistered.
    pub(super) fn as_ptr(&self) -> *const *const bindings::attribute_group {
        self.groups.as_ptr()
    }
}
