// SPDX-License-Identifier: GPL-2.0

//! The ioctls of the VFIO device, as `include/uapi/linux/vfio.h` describes them.
//!
//! A VFIO-AP device has no regions, and two interrupts that are events for the VMM, not for the
//! guest: see [`Event`].

use crate::{
    kapi::{
        errno::eopnotsupp,
        eventfd::EventFd,
        vfio::uapi, //
    },
    matrix_mdev::{
        Event,
        MatrixMdev, //
    },
    migration::Migration,
};
use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader, //
    },
};

/// `VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_AP`: it can be reset, and it is an AP device.
const DEVICE_FLAGS: u32 = 1 << 0 | 1 << 5;

/// `VFIO_IRQ_INFO_EVENTFD`: signalled through an eventfd.
const IRQ_INFO_EVENTFD: u32 = 1 << 0;

/// `VFIO_IRQ_SET_DATA_NONE`, `_BOOL` and `_EVENTFD`.
const DATA_NONE: u32 = 1 << 0;
const DATA_BOOL: u32 = 1 << 1;
const DATA_EVENTFD: u32 = 1 << 2;
const DATA_MASK: u32 = DATA_NONE | DATA_BOOL | DATA_EVENTFD;

/// `VFIO_IRQ_SET_ACTION_TRIGGER`.
const ACTION_TRIGGER: u32 = 1 << 5;

/// Handles an ioctl; `arg` as user space passed it.
///
/// # Errors
///
/// `EOPNOTSUPP` for one that an AP device does not have, `EFAULT` if `arg` is no address, `EINVAL`
/// for what is in it.
pub(crate) fn handle(migration: &Migration, cmd: u32, arg: usize) -> Result<isize> {
    match cmd {
        uapi::DEVICE_GET_INFO => get_info(arg),
        uapi::DEVICE_GET_IRQ_INFO => get_irq_info(arg),
        uapi::DEVICE_SET_IRQS => set_irqs(migration.mdev(), arg),
        uapi::DEVICE_RESET => migration.reset(),
        _ => Err(eopnotsupp()),
    }?;
    Ok(0)
}

/// Reads the `N` words of 32 bits at the beginning of a structure, of which the first is the size
/// that user space has for it in bytes.
fn read<const N: usize>(arg: usize) -> Result<([u32; N], UserSliceReader)> {
    let mut reader = UserSlice::new(UserPtr::from_addr(arg), usize::MAX - arg).reader();
    let words: [u32; N] = reader.read()?;

    match words.first() {
        Some(&size) if size as usize >= size_of::<[u32; N]>() => Ok((words, reader)),
        _ => Err(EINVAL),
    }
}

fn write<const N: usize>(arg: usize, words: &[u32; N]) -> Result {
    UserSlice::new(UserPtr::from_addr(arg), size_of::<[u32; N]>())
        .writer()
        .write(words)
}

/// `struct vfio_device_info`: argsz, flags, num_regions, num_irqs.
fn get_info(arg: usize) -> Result {
    let ([size, ..], _) = read::<4>(arg)?;

    write(arg, &[size, DEVICE_FLAGS, 0, Event::COUNT as u32])
}

fn event(index: u32) -> Result<Event> {
    match index {
        0 => Ok(Event::Request),
        1 => Ok(Event::ConfigChange),
        _ => Err(EINVAL),
    }
}

/// `struct vfio_irq_info`: argsz, flags, index, count.
fn get_irq_info(arg: usize) -> Result {
    let ([size, _, index, _], _) = read::<4>(arg)?;

    event(index)?;
    write(arg, &[size, IRQ_INFO_EVENTFD, index, 1])
}

/// `struct vfio_irq_set`: argsz, flags, index, start, count, and the data.
///
/// Each event has one eventfd. Of type EVENTFD it is set, or taken away by -1; of type NONE it is
/// taken away if the count is 0, and else signalled, as for a test; of type BOOL it is signalled if
/// the byte is not zero.
fn set_irqs(mdev: &MatrixMdev, arg: usize) -> Result {
    let ([size, flags, index, start, count], mut data) = read::<5>(arg)?;
    let event = event(index)?;

    if start != 0 || count > 1 || flags & !DATA_MASK != ACTION_TRIGGER {
        return Err(EINVAL);
    }
    let data_size = size as usize - size_of::<[u32; 5]>();

    match (flags & DATA_MASK, count) {
        (DATA_NONE, 0) => mdev.set_trigger(event, None),
        (DATA_NONE, _) => {
            mdev.signal(event);
        }
        (DATA_BOOL, 1) if data_size >= size_of::<u8>() => {
            if data.read::<u8>()? != 0 {
                mdev.signal(event);
            }
        }
        (DATA_EVENTFD, 1) if data_size >= size_of::<i32>() => {
            let trigger = match data.read::<i32>()? {
                -1 => None,
                fd if fd >= 0 => Some(EventFd::from_fd(fd)?),
                _ => return Err(EINVAL),
            };

            mdev.set_trigger(event, trigger);
        }
        _ => return Err(EINVAL),
    }
    Ok(())
}
