// SPDX-License-Identifier: GPL-2.0

//! A table of all APQNs there can be: for each adapter a mask of domains.

use core::borrow::{
    Borrow,
    BorrowMut, //
};

use super::{
    id::{
        Apid,
        Apqn, //
    },
    mask::{
        Mask256,
        BITS, //
    },
    matrix::ApqnSet,
};

/// The storage of an [`ApqnTable`]: 8 KiB, one mask of domains for each APID.
///
/// That is too much for a kernel stack, so no function here makes one. The kernel makes it in
/// place, `KBox::init(init_array_from_fn(|_| Mask256::EMPTY), GFP_KERNEL)`, and gives it to the
/// table that it is for.
pub type AdapterRows = [Mask256; BITS];

/// A set of APQNs with one bit for each APQN there can be.
///
/// `R` is what holds the storage: a box of it, or a reference.
#[derive(Debug)]
pub struct ApqnTable<R> {
    rows: R,
}

impl<R: BorrowMut<AdapterRows>> ApqnTable<R> {
    /// Makes an empty table of `rows`, whatever was in them.
    pub fn new(mut rows: R) -> Self {
        rows.borrow_mut().fill(Mask256::EMPTY);
        ApqnTable { rows }
    }

    /// Adds an APQN. Returns whether it was not there before.
    pub fn insert(&mut self, apqn: Apqn) -> bool {
        self.row_mut(apqn.apid).set(apqn.apqi.get())
    }

    /// Removes an APQN. Returns whether it was there.
    pub fn remove(&mut self, apqn: Apqn) -> bool {
        self.row_mut(apqn.apid).clear(apqn.apqi.get())
    }

    /// Adds every APQN of `set`. Costs word operations over the adapters of the set.
    pub fn insert_all(&mut self, set: &ApqnSet) {
        for (apid, domains) in set.rows() {
            let row = self.row_mut(apid);
            *row = *row | domains;
        }
    }

    /// Removes every APQN of `set`. Costs word operations over the adapters of the set.
    pub fn remove_all(&mut self, set: &ApqnSet) {
        for (apid, domains) in set.rows() {
            let row = self.row_mut(apid);
            *row = row.and_not(domains);
        }
    }

    fn row_mut(&mut self, apid: Apid) -> &mut Mask256 {
        // In bounds for every `u8`: there are 256 rows.
        &mut self.rows.borrow_mut()[usize::from(apid.get())]
    }
}

impl<R: Borrow<AdapterRows>> ApqnTable<R> {
    /// Tells whether the table has an APQN.
    pub fn contains(&self, apqn: Apqn) -> bool {
        self.row(apqn.apid).test(apqn.apqi.get())
    }

    /// Returns the domains of one adapter, as a mask of APQIs.
    pub fn row(&self, apid: Apid) -> Mask256 {
        // In bounds for every `u8`: there are 256 rows.
        self.rows.borrow()[usize::from(apid.get())]
    }

    /// Returns how many APQNs the table has, 0 to 65536.
    pub fn count(&self) -> u32 {
        self.rows
            .borrow()
            .iter()
            .fold(0, |count, row| row.count().saturating_add(count))
    }

    /// Iterates over the APQNs of `set` that the table has, in ascending order.
    pub fn iter_in<'a>(&'a self, set: &'a ApqnSet) -> impl Iterator<Item = Apqn> + 'a {
        set.rows().flat_map(move |(apid, domains)| {
            (domains & self.row(apid))
                .iter()
                .map(move |bit| Apqn::from_mask_bits(apid, bit))
        })
    }

    /// Iterates over the APQNs of `set` that the table does not have, or that are of one of the
    /// adapters `apm` and in one of the domains `aqm`, in ascending order.
    pub fn iter_missing_or_within<'a>(
        &'a self,
        set: &'a ApqnSet,
        apm: Mask256,
        aqm: Mask256,
    ) -> impl Iterator<Item = Apqn> + 'a {
        set.rows().flat_map(move |(apid, domains)| {
            let within = if apm.test(apid.get()) {
                domains & aqm
            } else {
                Mask256::EMPTY
            };

            (domains.and_not(self.row(apid)) | within)
                .iter()
                .map(move |bit| Apqn::from_mask_bits(apid, bit))
        })
    }
}
