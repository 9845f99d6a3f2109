// SPDX-License-Identifier: GPL-2.0

//! The driver's tracepoints: one static branch each while nobody listens.
//!
//! That is an instruction that does nothing, until the tracepoint is switched on. Nothing is
//! computed for it before: the arguments are a closure's.
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

/// Calls a tracepoint, if it is on, with what the closure `$arguments` returns.
macro_rules! trace {
    (
        $tracepoint:ident;
        let $names:pat = $arguments:ident;
        $call:ident($($value:expr),* $(,)?)
    ) => {
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
                let $names = $arguments();

                // SAFETY: Pointers are to C strings or masks of four words, which are copied.
                unsafe { own::$call($($value),*) };
            }
        }
        #[cfg(not(CONFIG_TRACEPOINTS))]
        drop($arguments);
    };
}

/// A guest's PQAP(AQIC) was answered: its APQN, general registers 1 and 2 as the guest had them,
/// and the answer.
#[inline(always)]
pub(crate) fn aqic(arguments: impl FnOnce() -> (u16, u64, u64, StatusWord)) {
    trace!(
        __tracepoint_vfio_ap_aqic;
        let (raw_apqn, gr1, gr2, status) = arguments;
        rust_do_trace_vfio_ap_aqic(raw_apqn, gr1, gr2, status.to_raw())
    );
}

/// A reset was asked for, and the answer.
#[inline(always)]
pub(crate) fn reset_start(arguments: impl FnOnce() -> (Apqn, StatusWord)) {
    trace!(
        __tracepoint_vfio_ap_reset_start;
        let (apqn, status) = arguments;
        rust_do_trace_vfio_ap_reset_start(apqn.to_raw(), status.raw_response())
    );
}

/// A reset has ended, with a response code.
#[inline(always)]
pub(crate) fn reset_end(arguments: impl FnOnce() -> (Apqn, u8)) {
    trace!(
        __tracepoint_vfio_ap_reset_end;
        let (apqn, rc) = arguments;
        rust_do_trace_vfio_ap_reset_end(apqn.to_raw(), rc)
    );
}

/// Masks of adapters, domains and control domains were assigned to a mediated device, or refused.
#[inline(always)]
pub(crate) fn assign<'a>(arguments: impl FnOnce() -> (&'a CStr, [Mask256; 3], Result)) {
    trace!(
        __tracepoint_vfio_ap_assign;
        let (mdev, [apm, aqm, adm], result) = arguments;
        rust_do_trace_vfio_ap_assign(
            mdev.as_char_ptr(),
            apm.words().as_ptr(),
            aqm.words().as_ptr(),
            adm.words().as_ptr(),
            result.map_or_else(Error::to_errno, |()| 0),
        )
    );
}

/// A mediated device's guest has adapters, domains and control domains, from now on.
#[inline(always)]
pub(crate) fn filter<'a>(arguments: impl FnOnce() -> (&'a CStr, [Mask256; 3])) {
    trace!(
        __tracepoint_vfio_ap_filter;
        let (mdev, [apm, aqm, adm]) = arguments;
        rust_do_trace_vfio_ap_filter(
            mdev.as_char_ptr(),
            apm.words().as_ptr(),
            aqm.words().as_ptr(),
            adm.words().as_ptr(),
            0,
        )
    );
}
