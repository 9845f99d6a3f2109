// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs that show how things are.
//!
//! The kernel crate's own abstraction has no owner in its file operations, so that a module can go
//! while a file of it is open; then the operations are used that have gone with it. Here an open
//! file keeps the module. What the file shows may go: then reading fails.
//!
//! C header: `include/linux/debugfs.h`

use core::{
    fmt,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc,
    ThisModule, //
};

/// What a file shows.
pub(crate) trait Show: Send + Sync + 'static {
    /// The module that has the code.
    const MODULE: &'static ThisModule;

    /// Writes the whole text. May sleep, and take locks under which no file is removed. Is called
    /// again, from the beginning, if there was not room enough.
    ///
    /// # Errors
    ///
    /// Those of `text`.
    fn show(&self, text: &mut Text) -> fmt::Result;
}

/// Where a file's text is written.
///
/// # Invariants
///
/// The pointer is to a `struct seq_file` whose show function is running, in this thread.
pub(crate) struct Text(NonNull<bindings::seq_file>);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: By the type invariant; the function copies what is in `text`.
        match unsafe { bindings::seq_write(self.0.as_ptr(), text.as_ptr().cast(), text.len()) } {
            0 => Ok(()),
            _ => Err(fmt::Error),
        }
    }
}

#[cfg(CONFIG_DEBUG_FS)]
mod entry {
    use super::*;

    /// A directory or file; removed when dropped, with all that is in it.
    ///
    /// # Invariants
    ///
    /// What `debugfs_create_dir()` or `debugfs_create_file_full()` returned: also an error, which
    /// all of debugfs takes for a file that is not there.
    pub(super) struct Entry(*mut bindings::dentry);

    // SAFETY: Everything in debugfs can be removed from any thread.
    unsafe impl Send for Entry {}

    // SAFETY: As above.
    unsafe impl Sync for Entry {}

    impl Entry {
        pub(super) fn directory(name: &CStr) -> Self {
            // SAFETY: The name is a C string, and is copied. Null is the root.
            let raw =
                unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), core::ptr::null_mut()) };

            // INVARIANT: Made above.
            Self(raw)
        }

        /// # Safety
        ///
        /// `data` has to stay until the entry was dropped.
        pub(super) unsafe fn file<T: Show>(&self, name: &CStr, data: *const T) -> Self {
            // SAFETY: The name is a C string, and is copied. By the type invariant the parent is
            // one of debugfs. The operations are a constant of the module that is their owner, take
            // the data for a `T`, and only while the file is there.
            let raw = unsafe {
                bindings::debugfs_create_file_full(
                    name.as_char_ptr(),
                    0o400,
                    self.0,
                    data.cast_mut().cast(),
                    core::ptr::null(),
                    Operations::<T>::TABLE,
                )
            };

            // INVARIANT: Made above.
            Self(raw)
        }
    }

    impl Drop for Entry {
        fn drop(&mut self) {
            // SAFETY: By the type invariant. Waits for functions of the file that are running.
            unsafe { bindings::debugfs_remove(self.0) };
        }
    }

    struct Operations<T>(core::marker::PhantomData<T>);

    impl<T: Show> Operations<T> {
        const TABLE: &'static bindings::file_operations = &bindings::file_operations {
            owner: T::MODULE.as_ptr(),
            open: Some(Self::open_callback),
            read: Some(bindings::seq_read),
            llseek: Some(bindings::seq_lseek),
            release: Some(bindings::single_release),
            ..pin_init::zeroed()
        };

        extern "C" fn open_callback(
            inode: *mut bindings::inode,
            file: *mut bindings::file,
        ) -> c_int {
            // SAFETY: Debugfs passes the inode of a file of ours, whose private data is what it was
            // made with, and a file that is being opened.
            unsafe {
                bindings::single_open(file, Some(Self::show_callback), (*inode).i_private.cast())
            }
        }

        extern "C" fn show_callback(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
            // SAFETY: The private data is what `open_callback()` passed: a `T` that stays until the
            // file was removed, and removing it waits for this function.
            let data = unsafe { (*seq).private.cast::<T>().as_ref() };

            if let (Some(data), Some(seq)) = (data, NonNull::new(seq)) {
                // A text that does not fit is tried again with more room.
                // INVARIANT: This is the show function of `seq`.
                let _ = data.show(&mut Text(seq));
            }
            0
        }
    }
}

#[cfg(not(CONFIG_DEBUG_FS))]
mod entry {
    use super::*;

    /// There is no debugfs.
    pub(super) struct Entry;

    impl Entry {
        pub(super) fn directory(_: &CStr) -> Self {
            Self
        }

        /// # Safety
        ///
        /// None; but there is with debugfs.
        pub(super) unsafe fn file<T: Show>(&self, _: &CStr, _: *const T) -> Self {
            Self
        }
    }
}

use entry::Entry;

/// A directory in debugfs; removed when it and all its files were dropped.
pub(crate) struct Directory(Arc<Entry>);

impl Directory {
    /// Makes a directory at the root. If that fails, or there is no debugfs, it is not there, and
    /// neither are its files: nobody should care.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(name: &CStr) -> Result<Self> {
        Ok(Self(Arc::new(Entry::directory(name), GFP_KERNEL)?))
    }
}

/// A file in debugfs that root may read; removed when dropped, which waits for who is reading it.
pub(crate) struct File<T: Show> {
    // In the order in which they have to be dropped.
    _entry: Entry,
    _data: Arc<T>,
    _directory: Arc<Entry>,
}

impl<T: Show> File<T> {
    /// Makes a file that shows `data`.
    pub(crate) fn new(directory: &Directory, name: &CStr, data: Arc<T>) -> Self {
        // SAFETY: The file has a reference to the data, and drops it after the entry.
        let entry = unsafe { directory.0.file(name, Arc::as_ptr(&data)) };

        Self {
            _entry: entry,
            _data: data,
            _directory: directory.0.clone(),
        }
    }
}
