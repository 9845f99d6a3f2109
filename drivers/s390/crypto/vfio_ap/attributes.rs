// SPDX-License-Identifier: GPL-2.0

//! The attributes in sysfs: of the matrix device, of its mediated devices, and of bound queues.
//!
//! Names, modes, texts and error codes are an interface that mdevctl, libvirt and s390-tools rely
//! on.

use crate::{
    host::{
        BoundMdev,
        BoundQueue, //
    },
    kapi::sysfs::Attribute,
    matrix_mdev::{
        queue_status,
        Change,
        GUEST_MATRIX, //
    },
    model::{
        text::{
            parse_ap_config,
            parse_number,
            write_ap_config,
            write_control_domains,
            write_matrix, //
        },
        ConfigError,
        Limits,
        Matrix,
        NumberError,
        OutOfRange,
        Page, //
    },
};
use core::fmt;
use kernel::prelude::*;

/// The data of the matrix device: there is nothing to know.
pub(crate) struct MatrixDevice;

/// Of the matrix device, `/sys/devices/vfio_ap/matrix`.
pub(crate) static MATRIX: [Attribute<MatrixDevice>; 1] =
    [Attribute::read_only(c"features", features)];

/// Of a queue, `/sys/bus/ap/devices/<APID>.<APQI>`, while it is bound to the driver.
pub(crate) static QUEUE: [Attribute<BoundQueue>; 1] = [Attribute::read_only(c"status", status)];

/// Of a mediated device, `/sys/devices/vfio_ap/matrix/<UUID>`.
pub(crate) static MEDIATED: [Attribute<BoundMdev>; 10] = [
    Attribute::write_only(c"assign_adapter", |mdev, text| {
        assign(mdev, text, Limits::apid, |matrix, apid| {
            matrix.assign_adapter(apid)
        })
    }),
    Attribute::write_only(c"unassign_adapter", |mdev, text| {
        unassign(mdev, text, Limits::apid, |matrix, apid| {
            matrix.unassign_adapter(apid)
        })
    }),
    Attribute::write_only(c"assign_domain", |mdev, text| {
        assign(mdev, text, Limits::apqi, |matrix, apqi| {
            matrix.assign_domain(apqi)
        })
    }),
    Attribute::write_only(c"unassign_domain", |mdev, text| {
        unassign(mdev, text, Limits::apqi, |matrix, apqi| {
            matrix.unassign_domain(apqi)
        })
    }),
    // A control domain is not exclusive, so that nothing is reserved.
    Attribute::write_only(c"assign_control_domain", |mdev, text| {
        unassign(mdev, text, Limits::control_domain, |matrix, domain| {
            matrix.assign_control_domain(domain)
        })
    }),
    Attribute::write_only(c"unassign_control_domain", |mdev, text| {
        unassign(mdev, text, Limits::control_domain, |matrix, domain| {
            matrix.unassign_control_domain(domain)
        })
    }),
    Attribute::read_write(c"ap_config", show_ap_config, store_ap_config),
    Attribute::read_only(c"control_domains", control_domains),
    Attribute::read_only(c"matrix", matrix),
    Attribute::read_only(GUEST_MATRIX, guest_matrix),
];

/// Writes into a page of sysfs. Text that does not fit is left out, in whole lines.
fn emit(page: &mut [u8], write: impl FnOnce(&mut Page<'_>) -> fmt::Result) -> Result<usize> {
    let mut page = Page::new(page);

    // The interface has no way to say that there is more.
    let _ = write(&mut page);
    Ok(page.len())
}

fn features(_: Pin<&MatrixDevice>, page: &mut [u8]) -> Result<usize> {
    emit(page, |page| {
        fmt::Write::write_str(page, "guest_matrix hotplug ap_config migratable\n")
    })
}

fn status(bound: Pin<&BoundQueue>, page: &mut [u8]) -> Result<usize> {
    let (status, _) = queue_status(&bound.topology, bound.queue.apqn());
    let status = status.as_str();

    emit(page, |page| {
        fmt::Write::write_fmt(page, format_args!("{status}\n"))
    })
}

/// Reads the number of an adapter or a domain.
///
/// # Errors
///
/// `EINVAL` if it is not a number, `ERANGE` if it has more than 64 bits, `ENODEV` if it is beyond
/// the host's maximum.
fn number<N>(
    bound: &BoundMdev,
    text: &[u8],
    in_range: fn(&Limits, u64) -> Result<N, OutOfRange>,
) -> Result<N> {
    let number = parse_number(text).map_err(|error| match error {
        NumberError::Malformed => EINVAL,
        NumberError::Overflow => ERANGE,
    })?;

    in_range(bound.mdev.topology().limits(), number).map_err(|_| ENODEV)
}

/// Changes a matrix so that it may have more APQNs than before.
fn assign<N: Copy>(
    bound: Pin<&BoundMdev>,
    text: &[u8],
    in_range: fn(&Limits, u64) -> Result<N, OutOfRange>,
    change: fn(&mut Matrix, N) -> bool,
) -> Result {
    let number = number(&bound, text, in_range)?;

    bound.mdev.configure(Change::Any, &|matrix| {
        change(matrix, number);
    })
}

/// Changes a matrix so that it has no more APQNs than before.
fn unassign<N: Copy>(
    bound: Pin<&BoundMdev>,
    text: &[u8],
    in_range: fn(&Limits, u64) -> Result<N, OutOfRange>,
    change: fn(&mut Matrix, N) -> bool,
) -> Result {
    let number = number(&bound, text, in_range)?;

    bound.mdev.configure(Change::Fewer, &|matrix| {
        change(matrix, number);
    })
}

fn show_ap_config(bound: Pin<&BoundMdev>, page: &mut [u8]) -> Result<usize> {
    let matrix = bound.mdev.matrix();

    emit(page, |page| write_ap_config(page, &matrix))
}

fn store_ap_config(bound: Pin<&BoundMdev>, text: &[u8]) -> Result {
    let new =
        parse_ap_config(text, bound.mdev.topology().limits()).map_err(|error| match error {
            ConfigError::Malformed => EINVAL,
            ConfigError::OutOfRange => ENODEV,
        })?;

    bound.mdev.configure(Change::Any, &|matrix| *matrix = new)
}

fn control_domains(bound: Pin<&BoundMdev>, page: &mut [u8]) -> Result<usize> {
    let matrix = bound.mdev.matrix();

    emit(page, |page| write_control_domains(page, matrix.adm()))
}

fn matrix(bound: Pin<&BoundMdev>, page: &mut [u8]) -> Result<usize> {
    let matrix = bound.mdev.matrix();

    emit(page, |page| write_matrix(page, matrix.apm(), matrix.aqm()))
}

fn guest_matrix(bound: Pin<&BoundMdev>, page: &mut [u8]) -> Result<usize> {
    let matrix = bound.mdev.settled_guest_matrix();

    emit(page, |page| write_matrix(page, matrix.apm(), matrix.aqm()))
}
