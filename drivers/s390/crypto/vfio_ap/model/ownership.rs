// SPDX-License-Identifier: GPL-2.0

//! Which APQNs are assigned to which mediated device.
//!
//! An APQN belongs to one mediated device at most. There is one table for the host, so that to ask
//! is a look-up and not a walk over all devices.

use core::borrow::{
    Borrow,
    BorrowMut, //
};

use super::{
    id::Apqn,
    mask::BITS,
    matrix::ApqnSet,
    table::{
        AdapterRows,
        ApqnTable, //
    },
};

/// The number by which the caller knows a mediated device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct OwnerId(pub u16);

/// The storage for the owners of an [`OwnershipTable`]: 128 KiB, one number for each APQN.
///
/// As with [`AdapterRows`], no function here makes one.
pub type OwnerRows = [[OwnerId; BITS]; BITS];

/// A claim that was refused, because an APQN in it is assigned to a mediated device already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The first such APQN.
    pub apqn: Apqn,
    /// The device that has it.
    pub owner: OwnerId,
}

/// The APQNs that are assigned to mediated devices, and to which.
///
/// A mediated device claims only what is new to it ([`Matrix::apqns_not_in`]), so every APQN that
/// is found taken is another device's.
///
/// [`Matrix::apqns_not_in`]: super::matrix::Matrix::apqns_not_in
#[derive(Debug)]
pub struct OwnershipTable<R, O> {
    owned: ApqnTable<R>,
    // Says something for the APQNs in `owned` only.
    owners: O,
}

impl<R: BorrowMut<AdapterRows>, O: BorrowMut<OwnerRows>> OwnershipTable<R, O> {
    /// Makes a table in which nothing is owned, whatever was in its storage.
    pub fn new(rows: R, owners: O) -> Self {
        OwnershipTable {
            owned: ApqnTable::new(rows),
            owners,
        }
    }

    /// Claims all APQNs of `wanted` for a mediated device, or none of them.
    ///
    /// Costs word operations over adapters to decide, and one store for each APQN to claim it.
    ///
    /// # Errors
    ///
    /// [`Conflict`] if one of them is owned; then nothing has changed.
    pub fn try_claim(&mut self, wanted: &ApqnSet, owner: OwnerId) -> Result<(), Conflict> {
        if let Some((apqn, owner)) = self.first_owned(wanted) {
            return Err(Conflict { apqn, owner });
        }
        self.owned.insert_all(wanted);
        for apqn in wanted.iter() {
            // In bounds for every APQN: there are 256 rows of 256.
            self.owners.borrow_mut()[usize::from(apqn.apid.get())][usize::from(apqn.apqi.get())] =
                owner;
        }
        Ok(())
    }

    /// Releases APQNs of a mediated device that owns all of them.
    pub fn release(&mut self, owned: &ApqnSet) {
        self.owned.remove_all(owned);
    }
}

impl<R: Borrow<AdapterRows>, O: Borrow<OwnerRows>> OwnershipTable<R, O> {
    /// Returns the first APQN of `set` that is owned, and who owns it.
    pub fn first_owned(&self, set: &ApqnSet) -> Option<(Apqn, OwnerId)> {
        self.owned
            .iter_in(set)
            .next()
            .and_then(|apqn| Some((apqn, self.owner(apqn)?)))
    }

    /// Returns who owns an APQN.
    pub fn owner(&self, apqn: Apqn) -> Option<OwnerId> {
        self.owned.contains(apqn).then(|| {
            // In bounds, as above.
            self.owners.borrow()[usize::from(apqn.apid.get())][usize::from(apqn.apqi.get())]
        })
    }
}
