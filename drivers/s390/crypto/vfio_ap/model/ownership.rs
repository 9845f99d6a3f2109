// SPDX-License-Identifier: GPL-2.0

//! Which APQNs are assigned to some mediated device.
//!
//! An APQN belongs to one mediated device at most. There is one table for the host, so that to ask
//! is a look-up and not a walk over all devices.

use core::borrow::{
    Borrow,
    BorrowMut, //
};

use super::{
    id::Apqn,
    matrix::ApqnSet,
    table::{
        AdapterRows,
        ApqnTable, //
    },
};

/// A claim that was refused, because an APQN in it is assigned to a mediated device already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The first such APQN.
    pub apqn: Apqn,
}

/// The APQNs that are assigned to mediated devices.
///
/// It does not say to which. That is never needed to decide: a mediated device claims only what is
/// new to it ([`Matrix::apqns_not_in`]), so every APQN that is found taken is another device's.
///
/// [`Matrix::apqns_not_in`]: super::matrix::Matrix::apqns_not_in
#[derive(Debug)]
pub struct OwnershipTable<R> {
    owned: ApqnTable<R>,
}

impl<R: BorrowMut<AdapterRows>> OwnershipTable<R> {
    /// Makes a table of `rows` in which nothing is owned.
    pub fn new(rows: R) -> Self {
        OwnershipTable {
            owned: ApqnTable::new(rows),
        }
    }

    /// Claims all APQNs of `wanted`, or none of them.
    ///
    /// # Errors
    ///
    /// [`Conflict`] if one of them is owned; then nothing has changed.
    pub fn try_claim(&mut self, wanted: &ApqnSet) -> Result<(), Conflict> {
        if let Some(apqn) = self.first_owned(wanted) {
            return Err(Conflict { apqn });
        }
        self.owned.insert_all(wanted);
        Ok(())
    }

    /// Releases APQNs of a mediated device that owns all of them.
    pub fn release(&mut self, owned: &ApqnSet) {
        self.owned.remove_all(owned);
    }
}

impl<R: Borrow<AdapterRows>> OwnershipTable<R> {
    /// Returns the first APQN of `set` that is owned.
    pub fn first_owned(&self, set: &ApqnSet) -> Option<Apqn> {
        self.owned.iter_in(set).next()
    }

    /// Tells whether an APQN is owned.
    pub fn is_owned(&self, apqn: Apqn) -> bool {
        self.owned.contains(apqn)
    }
}
