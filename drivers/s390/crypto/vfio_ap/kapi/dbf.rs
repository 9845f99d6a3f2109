// SPDX-License-Identifier: GPL-2.0

//! The s390 debug feature.
//!
//! An administrator reads it at `/sys/kernel/debug/s390dbf/<name>/sprintf`, and chooses the level
//! of detail by writing to `level` there.
//!
//! C header: `arch/s390/include/asm/debug.h`

use super::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// How much a record matters; as the numbers that an administrator writes to `level`.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(crate) enum Level {
    /// Something failed that should not have.
    Error = 3,
    /// Something was refused, or did not work out.
    Warning = 4,
}

/// A registered debug feature; unregistered when dropped.
///
/// # Invariants
///
/// The pointer is to a debug feature that `debug_register()` returned and that is still registered.
pub(crate) struct DebugFeature(NonNull<kernel::bindings::debug_info>);

// SAFETY: The C functions that take the pointer are callable from any context and lock inside.
unsafe impl Send for DebugFeature {}

// SAFETY: As above.
unsafe impl Sync for DebugFeature {}

/// The number of values that a record has beside its format.
const VALUES: usize = 4;

impl DebugFeature {
    /// Registers a debug feature with one area of one page and the `sprintf` view, which records
    /// what is at least a warning.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it could not be registered, as C drivers report it.
    pub(crate) fn new(name: &'static CStr) -> Result<Self> {
        // A record of the `sprintf` view is its format and its values, one word each.
        let size = (1 + VALUES) * size_of::<usize>();

        // SAFETY: The name is a C string that outlives the feature; the function copies it.
        let info = unsafe { bindings::debug_register(name.as_char_ptr(), 1, 1, size as i32) };
        let info = NonNull::new(info).ok_or(ENOENT)?;

        // SAFETY: `info` has just been registered. The view is a static of the kernel.
        unsafe {
            bindings::debug_register_view(info.as_ptr(), &raw mut bindings::debug_sprintf_view);
            bindings::debug_set_level(info.as_ptr(), Level::Warning as i32);
        }

        // INVARIANT: Registered above, and unregistered by `drop()` only.
        Ok(Self(info))
    }

    /// Adds a record. `format` takes up to four values of 64 bits, and must not take strings.
    pub(crate) fn event(&self, level: Level, format: &'static Format, values: [u64; VALUES]) {
        let [a, b, c, d] = values;

        // SAFETY: By the type invariant the feature is registered. The format is a static of the
        // module that owns the feature, and so outlives it; it takes no more than four values and
        // no pointers, by the invariant of `Format`.
        unsafe {
            bindings::vfio_ap_shim_debug_event(
                self.0.as_ptr(),
                level as i32,
                format.0.as_char_ptr(),
                a,
                b,
                c,
                d,
            )
        };
    }
}

impl Drop for DebugFeature {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the feature is registered, and nobody uses it any more.
        unsafe { bindings::debug_unregister(self.0.as_ptr()) };
    }
}

/// A format for records, checked when compiled.
///
/// # Invariants
///
/// Only has conversions `%...lx`, `%...lu` and `%...ld`, four of them at most.
pub(crate) struct Format(&'static CStr);

impl Format {
    /// Makes a format. To be used in a `const` or `static`, where a bad format does not compile.
    pub(crate) const fn new(format: &'static CStr) -> Self {
        let bytes = format.to_bytes();
        let mut conversions = 0;
        let mut at = 0;

        while at < bytes.len() {
            if bytes[at] == b'%' {
                at += 1;
                while at < bytes.len() && (bytes[at].is_ascii_digit() || bytes[at] == b'#') {
                    at += 1;
                }
                assert!(at + 1 < bytes.len() && bytes[at] == b'l');
                at += 1;
                assert!(matches!(bytes[at], b'x' | b'u' | b'd'));
                conversions += 1;
            }
            at += 1;
        }
        assert!(conversions <= VALUES);

        // INVARIANT: Checked above.
        Self(format)
    }
}
