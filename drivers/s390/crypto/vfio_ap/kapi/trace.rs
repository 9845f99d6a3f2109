// SPDX-License-Identifier: GPL-2.0

//! The driver's tracepoints: one static branch each while nobody listens.
//!
//! The kernel crate's `declare_trace!` looks for tracepoints in the kernel crate's own bindings,
//! where those of a module are not.
//!
//! C header: `include/trace/events/vfio_ap.h`

use super::bindings as own;
use crate::model::{
    Apqn,
    Mask256,
    StatusWord, //
};
use kernel::prelude::*;

/// Calls a tracepoint, if it is on. The arguments are evaluated only then.
macro_rules! trace {
    ($tracepoint:ident, $call:ident($($argument:expr),* $(,)?)) => {
        #[cfg(CONFIG_TRACEPOINTS)]
        {
            // SAFETY: The tracepoint is a static of this module.
            let on = unsafe {
                kernel::jump_label::static_branch_unlikely!(
                    own::$tracepoint,
                    kernel::bindings::tracepoint,
                    key
                )
            };

            if on {
                // SAFETY: Pointers are to C strings or masks of four words, which are copied.
                unsafe { own::$call($($argument),*) };
            }
        }
        #[cfg(not(CONFIG_TRACEPOINTS))]
        {
            $( let _ = &$argument; )*
        }
    };
}

/// A guest's PQAP(AQIC) was answered. `gr1` and `gr2` are as the guest had them.
#[inline(always)]
pub(crate) fn aqic(raw_apqn: u16, gr1: u64, gr2: u64, status: StatusWord) {
    trace!(
        __tracepoint_vfio_ap_aqic,
        rust_do_trace_vfio_ap_aqic(raw_apqn, gr1, gr2, status.to_raw())
    );
}

/// A reset was asked for.
#[inline(always)]
pub(crate) fn reset_start(apqn: Apqn, status: StatusWord) {
    trace!(
        __tracepoint_vfio_ap_reset_start,
        rust_do_trace_vfio_ap_reset_start(apqn.to_raw(), status.raw_response())
    );
}

/// A reset has ended with response code `rc`.
#[inline(always)]
pub(crate) fn reset_end(apqn: Apqn, rc: u8) {
    trace!(
        __tracepoint_vfio_ap_reset_end,
        rust_do_trace_vfio_ap_reset_end(apqn.to_raw(), rc)
    );
}

/// Masks of adapters, domains and control domains were assigned to a mediated device, or refused.
#[inline(always)]
pub(crate) fn assign(mdev: &CStr, [apm, aqm, adm]: [Mask256; 3], result: Result) {
    trace!(
        __tracepoint_vfio_ap_assign,
        rust_do_trace_vfio_ap_assign(
            mdev.as_char_ptr(),
            apm.words().as_ptr(),
            aqm.words().as_ptr(),
            adm.words().as_ptr(),
            result.map_or_else(Error::to_errno, |()| 0),
        )
    );
}

/// A guest has adapters, domains and control domains, from now on.
#[inline(always)]
pub(crate) fn filter(mdev: &CStr, [apm, aqm, adm]: [Mask256; 3]) {
    trace!(
        __tracepoint_vfio_ap_filter,
        rust_do_trace_vfio_ap_filter(
            mdev.as_char_ptr(),
            apm.words().as_ptr(),
            aqm.words().as_ptr(),
            adm.words().as_ptr(),
            0,
        )
    );
}
