// SPDX-License-Identifier: GPL-2.0

//! What may be passed to a guest, and what is.

use core::borrow::{
    Borrow,
    BorrowMut, //
};

use super::{
    host::HostConfig,
    id::{
        Apid,
        Apqn, //
    },
    mask::Mask256,
    matrix::{
        ApqnSet,
        Matrix, //
    },
    quiesce::ResetOutcome,
    table::{
        AdapterRows,
        ApqnTable, //
    },
};

/// The queues that may be passed to a guest: bound to this driver, and left clean by the reset that
/// came before.
///
/// A queue stays while a guest uses it, and leaves when the next reset of it begins or it is
/// unbound.
#[derive(Debug)]
pub struct PassableTable<R> {
    passable: ApqnTable<R>,
}

impl<R: BorrowMut<AdapterRows>> PassableTable<R> {
    /// Makes a table of `rows` in which no queue may be passed.
    pub fn new(rows: R) -> Self {
        PassableTable {
            passable: ApqnTable::new(rows),
        }
    }

    /// Notes how the reset of a bound queue ended. Returns whether the table changed.
    ///
    /// The queue may be passed if [`ResetOutcome::is_clean`], and may not otherwise.
    pub fn record(&mut self, apqn: Apqn, outcome: ResetOutcome) -> bool {
        if outcome.is_clean() {
            self.passable.insert(apqn)
        } else {
            self.passable.remove(apqn)
        }
    }

    /// Notes that a queue was unbound, or that a reset of it begins. Returns whether the table
    /// changed.
    pub fn forget(&mut self, apqn: Apqn) -> bool {
        self.passable.remove(apqn)
    }

    /// Notes that resets begin of every queue of `set`.
    pub fn forget_all(&mut self, set: &ApqnSet) {
        self.passable.remove_all(set);
    }
}

impl<R: Borrow<AdapterRows>> PassableTable<R> {
    /// Tells whether a queue may be passed to a guest.
    pub fn contains(&self, apqn: Apqn) -> bool {
        self.passable.contains(apqn)
    }

    /// Returns how many queues may be passed, 0 to 65536.
    pub fn count(&self) -> u32 {
        self.passable.count()
    }

    /// Returns the domains of one adapter whose queues may be passed, as a mask of APQIs.
    pub fn row(&self, apid: Apid) -> Mask256 {
        self.passable.row(apid)
    }

    /// Iterates over the APQNs of `set` that are `bound` and may not be passed, in ascending order.
    pub fn iter_bound_but_not_in<'a, B: Borrow<AdapterRows>>(
        &'a self,
        bound: &'a ApqnTable<B>,
        set: &'a ApqnSet,
    ) -> impl Iterator<Item = Apqn> + 'a {
        set.rows().flat_map(move |(apid, domains)| {
            (domains & bound.row(apid).and_not(self.row(apid)))
                .iter()
                .map(move |bit| Apqn::from_mask_bits(apid, bit))
        })
    }
}

/// The masks for a guest's AP control block (APCB).
///
/// There are two ways to get one: filtering, and [`GuestMatrix::EMPTY`], which passes nothing. So
/// every APQN in it was passable when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestMatrix {
    apm: Mask256,
    aqm: Mask256,
    adm: Mask256,
}

impl GuestMatrix {
    /// Nothing passed to the guest.
    pub const EMPTY: GuestMatrix = GuestMatrix {
        apm: Mask256::EMPTY,
        aqm: Mask256::EMPTY,
        adm: Mask256::EMPTY,
    };

    /// Filters what is assigned to a mediated device to what its guest may have.
    ///
    /// Adapters, usage domains and control domains that the host does not have are left out. Then
    /// so is every adapter of which some queue with one of the remaining usage domains is not
    /// passable: the control block holds adapters and domains, no single queues, and an adapter is
    /// what is plugged and unplugged. Costs word operations over the assigned adapters.
    pub fn filter<R: Borrow<AdapterRows>>(
        assigned: &Matrix,
        host: &HostConfig,
        passable: &PassableTable<R>,
    ) -> GuestMatrix {
        Self::filter_in(assigned, host, passable, assigned.aqm() & host.aqm())
    }

    /// Filters with these of the usage domains that are assigned and the host has.
    fn filter_in<R: Borrow<AdapterRows>>(
        assigned: &Matrix,
        host: &HostConfig,
        passable: &PassableTable<R>,
        aqm: Mask256,
    ) -> GuestMatrix {
        let mut apm = assigned.apm() & host.apm();

        for bit in apm.iter() {
            if !aqm.is_subset_of(passable.row(Apid::from_mask_bit(bit))) {
                apm.clear(bit);
            }
        }

        GuestMatrix {
            apm,
            aqm,
            adm: assigned.adm() & host.adm(),
        }
    }

    /// Filters what is assigned for a guest that has `self`, and is at work.
    ///
    /// The rule is that of [`GuestMatrix::filter`], with one exception: a usage domain that the
    /// guest does not have is withheld while one of its adapters has a queue there that is `bound`
    /// but not passable. Its reset is going on, or has failed. Without the exception, the guest
    /// would lose that adapter, and the queues that it uses would be reset, because something is
    /// added.
    #[must_use]
    pub fn filter_at_work<R, B>(
        &self,
        assigned: &Matrix,
        host: &HostConfig,
        passable: &PassableTable<R>,
        bound: &ApqnTable<B>,
    ) -> GuestMatrix
    where
        R: Borrow<AdapterRows>,
        B: Borrow<AdapterRows>,
    {
        let mut kept = self.apm & assigned.apm() & host.apm();

        loop {
            let mut withheld = Mask256::EMPTY;

            for bit in kept.iter() {
                let apid = Apid::from_mask_bit(bit);
                withheld = withheld | bound.row(apid).and_not(passable.row(apid));
            }
            let aqm = (assigned.aqm() & host.aqm()).and_not(withheld.and_not(self.aqm));
            let guest = Self::filter_in(assigned, host, passable, aqm);

            // An adapter that the guest loses anyway withholds nothing.
            if kept.is_subset_of(guest.apm) {
                return guest;
            }
            kept = kept & guest.apm;
        }
    }

    /// Filters anew one adapter only, of which some queue became passable or ceased to be.
    ///
    /// `self` has to be what [`GuestMatrix::filter`] or [`GuestMatrix::filter_at_work`] made of the
    /// same `assigned` and `host`. Then the result is what the same one would make now, at the cost
    /// of a few words, unless a domain is withheld.
    #[must_use]
    pub fn refilter<R, B>(
        &self,
        assigned: &Matrix,
        host: &HostConfig,
        passable: &PassableTable<R>,
        bound: &ApqnTable<B>,
        apid: Apid,
    ) -> GuestMatrix
    where
        R: Borrow<AdapterRows>,
        B: Borrow<AdapterRows>,
    {
        if self.aqm != assigned.aqm() & host.aqm() {
            return self.filter_at_work(assigned, host, passable, bound);
        }
        let mut guest = *self;
        let bit = apid.get();

        if (assigned.apm() & host.apm()).test(bit) && guest.aqm.is_subset_of(passable.row(apid)) {
            guest.apm.set(bit);
        } else {
            guest.apm.clear(bit);
        }
        guest
    }

    /// Returns the mask of adapters.
    pub const fn apm(&self) -> Mask256 {
        self.apm
    }

    /// Returns the mask of usage domains.
    pub const fn aqm(&self) -> Mask256 {
        self.aqm
    }

    /// Returns the mask of control domains.
    pub const fn adm(&self) -> Mask256 {
        self.adm
    }

    /// Tells whether the guest has a queue.
    pub const fn contains(&self, apqn: Apqn) -> bool {
        self.apm.test(apqn.apid.get()) && self.aqm.test(apqn.apqi.get())
    }

    /// Returns all APQNs of the guest.
    pub const fn apqns(&self) -> ApqnSet {
        ApqnSet::product(self.apm, self.aqm)
    }

    /// Returns the APQNs that `self` has and `other` has not.
    ///
    /// With the matrix before a change as `self` these are the queues withdrawn from the guest; the
    /// other way round, the queues it got.
    pub const fn apqns_not_in(&self, other: &GuestMatrix) -> ApqnSet {
        self.apqns().minus_product(other.apm, other.aqm)
    }
}
