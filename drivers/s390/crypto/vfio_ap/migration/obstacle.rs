// SPDX-License-Identifier: GPL-2.0

//! Why a guest cannot be migrated.

use crate::{
    kapi::errno::eopnotsupp,
    model::{
        migration::{
            compatible::Mismatch,
            stream::Refusal, //
        },
        Apqn,
        Mask256, //
    },
};
use core::fmt;
use kernel::{
    alloc::AllocError,
    prelude::*, //
};

/// Why a stream cannot be taken.
pub(super) enum Obstacle {
    Stream(Refusal),
    BeyondLimits,
    ControlDomains(Mask256),
    NotBound(Apqn),
    Mismatch(Apqn, Mismatch),
    Gone(Apqn),
    OtherMatrix,
    NotClaimed(Error),
    NotPassed,
    Interrupts(Apqn, Error),
    NoGuest,
    Protected,
    NoMemory,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Stream(refusal) => write!(f, "the stream {refusal}"),
            Obstacle::BeyondLimits => {
                f.write_str("it has adapters or domains that this host cannot have")
            }
            Obstacle::ControlDomains(missing) => {
                write!(f, "this host does not have the control domains {missing}")
            }
            Obstacle::NotBound(apqn) => write!(f, "queue {apqn} is not bound to vfio_ap here"),
            Obstacle::Mismatch(apqn, mismatch) => write!(f, "queue {apqn} has {mismatch}"),
            Obstacle::Gone(apqn) => {
                write!(
                    f,
                    "the adapter of queue {apqn} is deconfigured or checkstopped"
                )
            }
            Obstacle::OtherMatrix => {
                f.write_str("other queues or control domains are assigned to the device")
            }
            Obstacle::NotClaimed(error) => write!(
                f,
                "its queues are assigned to others, or the host's: error {}",
                error.to_errno()
            ),
            Obstacle::NotPassed => f.write_str("not all of its queues can be passed now"),
            Obstacle::Interrupts(apqn, error) => write!(
                f,
                "interrupts of queue {apqn} cannot be enabled: error {}",
                error.to_errno()
            ),
            Obstacle::NoGuest => f.write_str("there is no guest with AP here"),
            Obstacle::Protected => f.write_str("the guest is a protected one"),
            Obstacle::NoMemory => f.write_str("there is no memory"),
        }
    }
}

impl Obstacle {
    /// Returns what the monitor is told.
    pub(super) fn errno(&self) -> Error {
        match self {
            Obstacle::Stream(Refusal::Version { .. })
            | Obstacle::Mismatch(..)
            | Obstacle::Protected => eopnotsupp(),
            Obstacle::Stream(_) => EINVAL,
            Obstacle::BeyondLimits
            | Obstacle::ControlDomains(_)
            | Obstacle::NotBound(_)
            | Obstacle::Gone(_)
            | Obstacle::NotPassed
            | Obstacle::NoGuest => ENODEV,
            Obstacle::OtherMatrix => EBUSY,
            Obstacle::NotClaimed(error) | Obstacle::Interrupts(_, error) => *error,
            Obstacle::NoMemory => ENOMEM,
        }
    }
}

impl From<AllocError> for Obstacle {
    fn from(_: AllocError) -> Self {
        Obstacle::NoMemory
    }
}
