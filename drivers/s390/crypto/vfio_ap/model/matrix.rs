// SPDX-License-Identifier: GPL-2.0

//! The matrix assigned to a mediated device, and sets of the APQNs in it.

use super::{
    id::{
        Apid,
        Apqi,
        Apqn,
        DomainId,
        Limits,
        OutOfRange, //
    },
    mask::Mask256,
};

/// The adapters (APM), usage domains (AQM) and control domains (ADM) assigned to a mediated device.
///
/// Its queues are the cross product of its adapters and its usage domains. Every bit is within the
/// host's [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Matrix {
    apm: Mask256,
    aqm: Mask256,
    adm: Mask256,
}

impl Matrix {
    /// Nothing assigned.
    pub const EMPTY: Matrix = Matrix {
        apm: Mask256::EMPTY,
        aqm: Mask256::EMPTY,
        adm: Mask256::EMPTY,
    };

    /// Makes a matrix of its three masks.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if a mask has a bit beyond `limits`.
    pub fn from_masks(
        apm: Mask256,
        aqm: Mask256,
        adm: Mask256,
        limits: &Limits,
    ) -> Result<Matrix, OutOfRange> {
        let adapters = Mask256::up_to(limits.max_apid());
        let domains = Mask256::up_to(limits.max_domain());

        if apm.is_subset_of(adapters) && (aqm | adm).is_subset_of(domains) {
            Ok(Matrix { apm, aqm, adm })
        } else {
            Err(OutOfRange)
        }
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

    /// Assigns an adapter. Returns whether that changed the matrix.
    pub fn assign_adapter(&mut self, apid: Apid) -> bool {
        self.apm.set(apid.get())
    }

    /// Takes an adapter away. Returns whether that changed the matrix.
    pub fn unassign_adapter(&mut self, apid: Apid) -> bool {
        self.apm.clear(apid.get())
    }

    /// Assigns a usage domain. Returns whether that changed the matrix.
    pub fn assign_domain(&mut self, apqi: Apqi) -> bool {
        self.aqm.set(apqi.get())
    }

    /// Takes a usage domain away. Returns whether that changed the matrix.
    pub fn unassign_domain(&mut self, apqi: Apqi) -> bool {
        self.aqm.clear(apqi.get())
    }

    /// Assigns a control domain. Returns whether that changed the matrix.
    pub fn assign_control_domain(&mut self, domain: DomainId) -> bool {
        self.adm.set(domain.get())
    }

    /// Takes a control domain away. Returns whether that changed the matrix.
    pub fn unassign_control_domain(&mut self, domain: DomainId) -> bool {
        self.adm.clear(domain.get())
    }

    /// Returns all its APQNs.
    pub const fn apqns(&self) -> ApqnSet {
        ApqnSet::product(self.apm, self.aqm)
    }

    /// Returns the APQNs that `self` has and `before` has not.
    ///
    /// With the matrix after a change as `self` these are the added ones; the other way round, the
    /// removed ones.
    pub const fn apqns_not_in(&self, before: &Matrix) -> ApqnSet {
        self.apqns().minus_product(before.apm, before.aqm)
    }
}

/// A set of APQNs: one cross product of adapters and domains, less another one.
///
/// Every set that the driver deals with has this form: a matrix, what a change adds to a matrix,
/// and what it removes. So a set is four masks, and all questions cost word operations over
/// adapters.
#[derive(Clone, Copy, Debug)]
pub struct ApqnSet {
    apm: Mask256,
    aqm: Mask256,
    less_apm: Mask256,
    less_aqm: Mask256,
}

impl ApqnSet {
    /// No APQN.
    pub const EMPTY: ApqnSet = ApqnSet::product(Mask256::EMPTY, Mask256::EMPTY);

    /// Returns the cross product of adapters and domains.
    pub const fn product(apm: Mask256, aqm: Mask256) -> ApqnSet {
        ApqnSet {
            apm,
            aqm,
            less_apm: Mask256::EMPTY,
            less_aqm: Mask256::EMPTY,
        }
    }

    // Only for a set that is a product itself.
    pub(super) const fn minus_product(self, less_apm: Mask256, less_aqm: Mask256) -> ApqnSet {
        ApqnSet {
            apm: self.apm,
            aqm: self.aqm,
            less_apm,
            less_aqm,
        }
    }

    /// Returns the set as two cross products of adapters and domains, which have no APQN in
    /// common; one or both may be empty.
    pub fn products(&self) -> [(Mask256, Mask256); 2] {
        [
            (self.apm.and_not(self.less_apm), self.aqm),
            (self.apm & self.less_apm, self.aqm.and_not(self.less_aqm)),
        ]
    }

    /// Iterates over the adapters that have APQNs in the set, each with its mask of APQIs.
    pub fn rows(&self) -> impl Iterator<Item = (Apid, Mask256)> + '_ {
        self.apm
            .iter()
            .map(Apid::from_mask_bit)
            .map(|apid| (apid, self.row(apid)))
            .filter(|(_, domains)| !domains.is_empty())
    }

    /// Iterates over the APQNs, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Apqn> + '_ {
        self.rows().flat_map(|(apid, domains)| {
            domains
                .iter()
                .map(move |bit| Apqn::from_mask_bits(apid, bit))
        })
    }

    /// Tells whether the set has an APQN.
    pub fn contains(&self, apqn: Apqn) -> bool {
        self.row(apqn.apid).test(apqn.apqi.get())
    }

    /// Tells whether the set has no APQN.
    pub fn is_empty(&self) -> bool {
        self.rows().next().is_none()
    }

    /// Returns how many APQNs there are, 0 to 65536.
    pub fn count(&self) -> u32 {
        self.rows().fold(0, |count, (_, domains)| {
            count.saturating_add(domains.count())
        })
    }

    fn row(&self, apid: Apid) -> Mask256 {
        if !self.apm.test(apid.get()) {
            Mask256::EMPTY
        } else if self.less_apm.test(apid.get()) {
            self.aqm.and_not(self.less_aqm)
        } else {
            self.aqm
        }
    }
}
