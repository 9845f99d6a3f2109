// SPDX-License-Identifier: GPL-2.0

//! The C interfaces that the kernel crate has no bindings for.
//!
//! bindgen generates them from `bindings_helper.h`. Types that the kernel crate has are its own.

#![expect(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    non_camel_case_types,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    reason = "generated code"
)]

use kernel::{
    bindings::*,
    ffi, //
};
use pin_init::MaybeZeroable;

/// Declares C structures that are only ever met behind a pointer.
macro_rules! behind_pointers {
    ($($name:ident),* $(,)?) => {
        $(
            #[repr(C)]
            pub struct $name {
                _opaque: [u8; 0],
            }
        )*
    };
}

behind_pointers!(
    iova_bitmap,
    iommufd_access,
    iommufd_device,
    kvm,
    kvm_vcpu,
    vfio_device_set,
    vfio_group,
    vfio_info_cap,
    vfio_region_info,
);

include!(concat!(env!("VFIO_AP_OBJ"), "/bindings_generated.rs"));

// PQAP(QCI) stores 128 bytes. Some bindgens make empty structures with a libclang that is too new
// for them: then set LIBCLANG_PATH to the directory of an older one, and remove what was made.
const _: () = assert!(
    size_of::<ap_config_info>() == 128,
    "bindgen does not go with this libclang: set LIBCLANG_PATH to an older one's directory"
);
