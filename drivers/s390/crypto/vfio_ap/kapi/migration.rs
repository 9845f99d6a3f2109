// SPDX-License-Identifier: GPL-2.0

//! Migration of VFIO devices: their states, and the files that their data goes through.
//!
//! A data file is an anonymous inode that user space can keep for as long as it likes. It keeps
//! this module loaded, and what it reads from and writes to; that has to notice by itself that the
//! migration is over.
//!
//! C headers: `include/linux/vfio.h`, `include/linux/anon_inodes.h`

use super::{
    bindings as own,
    vfio, //
};
use crate::model::migration::state::MigrationState;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
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
    types::NotThreadSafe,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// A VFIO device that can be migrated. All functions may sleep.
///
/// VFIO calls them only while the device is registered, holding no lock but those that keep it so,
/// and several at a time.
pub(crate) trait Ops: Send + Sync + 'static {
    /// Brings the device to another state. `route` tells the way, from the state that it is in.
    ///
    /// Returns a file if the last step is one that makes one.
    fn set_state(this: &Arc<Self>, route: &Route<'_>) -> Result<Option<DataFile>>;

    /// Returns the state.
    fn state(this: &Arc<Self>) -> MigrationState;

    /// Estimates how many bytes there will be to read once the device was stopped.
    fn data_size(this: &Arc<Self>) -> u64;
}

/// The way to a state that user space has asked for.
pub(crate) struct Route<'a> {
    device: NonNull<own::vfio_device>,
    to: own::vfio_device_mig_state,
    _device: PhantomData<&'a own::vfio_device>,
    _not_send: NotThreadSafe,
}

impl Route<'_> {
    /// Returns the next state after `from`; [`None`] if that is where to go.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no way.
    pub(crate) fn next(&self, from: MigrationState) -> Result<Option<MigrationState>> {
        let mut next = 0;

        // VFIO takes a device in this state for a mistake of the driver, and warns.
        if from == MigrationState::Error {
            return Err(EINVAL);
        }
        // SAFETY: The device is registered while this value exists, with all flags that the state
        // needs, as `MigrationState` has no others.
        to_result(unsafe {
            own::vfio_mig_get_next_state(
                self.device.as_ptr(),
                from as own::vfio_device_mig_state,
                self.to,
                &raw mut next,
            )
        })?;

        let next = MigrationState::try_from(next).map_err(|_| EINVAL)?;
        Ok((next != from).then_some(next))
    }
}

/// The callbacks through which VFIO migrates a device whose operations are `T`.
pub(super) struct Callbacks<T>(PhantomData<T>);

impl<T: vfio::Ops + Ops> Callbacks<T> {
    /// `VFIO_DEVICE_FEATURE_MIGRATION`'s flags: the states of [`MigrationState`].
    pub(super) const FLAGS: c_uint = own::VFIO_MIGRATION_STOP_COPY | own::VFIO_MIGRATION_PRE_COPY;

    pub(super) const OPS: own::vfio_migration_ops = own::vfio_migration_ops {
        migration_set_state: Some(Self::set_state_callback),
        migration_get_state: Some(Self::get_state_callback),
        migration_get_data_size: Some(Self::get_data_size_callback),
    };

    extern "C" fn set_state_callback(
        raw: *mut own::vfio_device,
        to: own::vfio_device_mig_state,
    ) -> *mut bindings::file {
        // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
        let ops = unsafe { vfio::Registration::<T>::ops(raw) };
        let result = match (ops, NonNull::new(raw)) {
            (Some(ops), Some(device)) => T::set_state(
                ops,
                &Route {
                    device,
                    to,
                    _device: PhantomData,
                    _not_send: NotThreadSafe,
                },
            ),
            _ => Err(ENODEV),
        };

        match result {
            Ok(Some(file)) => file.into_raw(),
            Ok(None) => core::ptr::null_mut(),
            Err(error) => error.to_ptr(),
        }
    }

    extern "C" fn get_state_callback(
        raw: *mut own::vfio_device,
        state: *mut own::vfio_device_mig_state,
    ) -> c_int {
        from_result(|| {
            // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
            let ops = unsafe { vfio::Registration::<T>::ops(raw) }.ok_or(ENODEV)?;
            let now = T::state(ops);

            // SAFETY: VFIO passes a pointer to a variable of its own.
            unsafe { *state = now as own::vfio_device_mig_state };
            Ok(0)
        })
    }

    extern "C" fn get_data_size_callback(
        raw: *mut own::vfio_device,
        length: *mut c_ulong,
    ) -> c_int {
        from_result(|| {
            // SAFETY: VFIO calls only for a registered device, and unregistering waits for it.
            let ops = unsafe { vfio::Registration::<T>::ops(raw) }.ok_or(ENODEV)?;
            let size = T::data_size(ops);

            // SAFETY: VFIO passes a pointer to a variable of its own. `unsigned long` has 64 bits.
            unsafe { *length = size as c_ulong };
            Ok(0)
        })
    }
}

/// How much there is to read before the device stops.
pub(crate) struct PrecopyInfo {
    /// Of what was there at the beginning.
    pub(crate) initial: u64,
    /// Of what has changed since.
    pub(crate) dirty: u64,
}

/// The source or the sink of a data file. All functions may sleep. The file calls one at a
/// time.
pub(crate) trait Data: Send + Sync + 'static {
    /// Fills the beginning of `buffer` with what is at `position`, behind which nothing was read
    /// yet. Returns how much, 0 at the end.
    fn read(&self, position: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Takes bytes, all of them or none.
    fn write(&self, bytes: &[u8]) -> Result;

    /// Tells how much there is to read from `position` on.
    fn precopy_info(&self, position: u64) -> Result<PrecopyInfo>;
}

/// The direction of a data file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// User space reads it.
    Read,
    /// User space writes it.
    Write,
}

/// The private data of an open file.
#[pin_data]
struct Private {
    data: Arc<dyn Data>,
    #[pin]
    transfer: Mutex<Transfer>,
}

struct Transfer {
    position: u64,
    /// Between user space and the data.
    buffer: KVec<u8>,
}

/// A data file that nobody has yet; closed when dropped.
///
/// # Invariants
///
/// The pointer is to a file that this value has a reference to.
pub(crate) struct DataFile(NonNull<bindings::file>);

struct Operations(bindings::file_operations);

// SAFETY: The table is never written.
unsafe impl Sync for Operations {}

static OPERATIONS: Operations = Operations(bindings::file_operations {
    owner: &raw mut own::__this_module,
    read: Some(DataFile::read_callback),
    write: Some(DataFile::write_callback),
    unlocked_ioctl: Some(DataFile::ioctl_callback),
    release: Some(DataFile::release_callback),
    ..pin_init::zeroed()
});

impl DataFile {
    /// Makes a file.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENFILE`.
    pub(crate) fn new(data: Arc<dyn Data>, direction: Direction) -> Result<Self> {
        let private = KBox::pin_init(
            try_pin_init!(Private {
                data,
                transfer <- new_mutex!(
                    Transfer {
                        position: 0,
                        buffer: KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?,
                    },
                    "vfio_ap::migration.transfer"
                ),
            }? Error),
            GFP_KERNEL,
        )?;
        // SAFETY: The box does not move, as `release_callback()` is the one to take it back.
        let private = KBox::into_raw(unsafe { Pin::into_inner_unchecked(private) });
        let flags = match direction {
            Direction::Read => bindings::O_RDONLY,
            Direction::Write => bindings::O_WRONLY,
        };
        // SAFETY: The name and the operations are statics; these take a `Private`.
        let file = from_err_ptr(unsafe {
            own::anon_inode_getfile(
                c"[vfio_ap_migration]".as_char_ptr(),
                &raw const OPERATIONS.0,
                private.cast(),
                flags as c_int,
            )
        });
        let file = match file.map(NonNull::new) {
            Ok(Some(file)) => file,
            failed => {
                // SAFETY: It came from `into_raw()`, and there is no file that has it.
                drop(unsafe { Pin::new_unchecked(KBox::from_raw(private)) });
                return Err(failed.err().unwrap_or(ENOMEM));
            }
        };

        // SAFETY: Nobody else has the file yet.
        unsafe { bindings::stream_open((*file.as_ptr()).f_inode, file.as_ptr()) };
        // INVARIANT: The reference is the one of the new file.
        Ok(Self(file))
    }

    fn into_raw(self) -> *mut bindings::file {
        core::mem::ManuallyDrop::new(self).0.as_ptr()
    }

    /// # Safety
    ///
    /// The file has to be one that [`Self::new`] made, and to stay open while the reference is
    /// used.
    unsafe fn private<'a>(file: *mut bindings::file) -> Pin<&'a Private> {
        // SAFETY: By the safety requirements the pointer is the one from `new()`, which is taken
        // back when the file is released.
        unsafe { Pin::new_unchecked(&*(*file).private_data.cast::<Private>()) }
    }

    extern "C" fn read_callback(
        file: *mut bindings::file,
        to: *mut c_char,
        length: usize,
        _position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The file is open during the call.
        let private = unsafe { Self::private(file) };

        Self::result(Self::read(&private, to as usize, length))
    }

    fn read(private: &Private, to: usize, length: usize) -> Result<usize> {
        let mut writer = UserSlice::new(UserPtr::from_addr(to), length).writer();
        let mut transfer = private.transfer.lock();
        let Transfer { position, buffer } = &mut *transfer;
        let mut done = 0;

        while done < length {
            let size = buffer.len().min(length - done);
            let room = buffer.get_mut(..size).ok_or(EINVAL)?;
            let read = match private.data.read(*position, room) {
                Ok(0) => break,
                Ok(read) => read.min(size),
                Err(_) if done != 0 => break,
                Err(error) => return Err(error),
            };

            // The position stays when user space cannot be written.
            match writer.write_slice(room.get(..read).ok_or(EINVAL)?) {
                Ok(()) => (),
                Err(_) if done != 0 => break,
                Err(error) => return Err(error),
            }
            *position += read as u64;
            done += read;
        }
        Ok(done)
    }

    extern "C" fn write_callback(
        file: *mut bindings::file,
        from: *const c_char,
        length: usize,
        _position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The file is open during the call.
        let private = unsafe { Self::private(file) };

        Self::result(Self::write(&private, from as usize, length))
    }

    /// An error is returned even if a part was taken before: there is no way to go on.
    fn write(private: &Private, from: usize, length: usize) -> Result<usize> {
        let mut reader = UserSlice::new(UserPtr::from_addr(from), length).reader();
        let mut transfer = private.transfer.lock();
        let mut left = length;

        while left != 0 {
            let size = transfer.buffer.len().min(left);
            let bytes = transfer.buffer.get_mut(..size).ok_or(EINVAL)?;

            reader.read_slice(bytes)?;
            private.data.write(bytes)?;
            left -= size;
        }
        Ok(length)
    }

    fn result(result: Result<usize>) -> isize {
        match result {
            // At most `MAX_RW_COUNT`, which VFS sees to.
            Ok(done) => done as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    extern "C" fn ioctl_callback(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The file is open during the call.
        let private = unsafe { Self::private(file) };
        let result = match cmd {
            own::RUST_CONST_HELPER_VFIO_MIG_GET_PRECOPY_INFO => Self::precopy_info(&private, arg),
            _ => Err(ENOTTY),
        };

        match result {
            Ok(()) => 0,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// `struct vfio_precopy_info`: argsz, flags, initial_bytes, dirty_bytes.
    fn precopy_info(private: &Private, arg: usize) -> Result {
        const SIZE: u32 = 24;
        let size: u32 = UserSlice::new(UserPtr::from_addr(arg), size_of::<u32>())
            .reader()
            .read()?;

        if size < SIZE {
            return Err(EINVAL);
        }
        let transfer = private.transfer.lock();
        let info = private.data.precopy_info(transfer.position)?;

        drop(transfer);
        let mut writer = UserSlice::new(UserPtr::from_addr(arg), SIZE as usize).writer();
        writer.write(&[size, 0])?;
        writer.write(&[info.initial, info.dirty])
    }

    extern "C" fn release_callback(
        _inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        // SAFETY: The pointer is the one from `new()`, and this is called once.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw((*file).private_data.cast::<Private>())) });
        0
    }
}

impl Drop for DataFile {
    fn drop(&mut self) {
        // SAFETY: By the type invariant there is a reference, which ends here.
        unsafe { bindings::fput(self.0.as_ptr()) };
    }
}
