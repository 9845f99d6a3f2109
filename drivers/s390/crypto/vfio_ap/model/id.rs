// SPDX-License-Identifier: GPL-2.0

//! The numbers of the field: adapters, domains and queues.
//!
//! An adapter is named by its APID, a usage domain by its APQI, a control domain by its domain
//! number, and a queue by its APQN: the APID in the upper byte and the APQI in the lower one. All
//! of them come into being through [`Limits`], which knows the host's maxima, so that a value of
//! these types is always one that the host can have.

use core::fmt;

/// A number beyond the host's maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

/// The largest numbers that the host can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    max_apid: u8,
    max_domain: u8,
}

impl Limits {
    /// The limits without the AP extended addressing (APXA) facility: APIDs of 6 bits and domain
    /// numbers of 4 bits (`ap_qid_t` in `asm/ap.h`).
    pub const WITHOUT_APXA: Limits = Limits {
        max_apid: 63,
        max_domain: 15,
    };

    /// The limits with APXA: `na` and `nd` of the block that PQAP(QCI) stores, which are the
    /// largest APID and the largest domain number (`struct ap_config_info` in `asm/ap.h`).
    pub const fn with_apxa(na: u8, nd: u8) -> Limits {
        Limits {
            max_apid: na,
            max_domain: nd,
        }
    }

    /// Returns the largest APID.
    pub const fn max_apid(&self) -> u8 {
        self.max_apid
    }

    /// Returns the largest domain number, for usage and control domains alike.
    pub const fn max_domain(&self) -> u8 {
        self.max_domain
    }

    /// Makes an APID of a number.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if the host cannot have an adapter of that number.
    pub fn apid(&self, number: u64) -> Result<Apid, OutOfRange> {
        in_range(number, self.max_apid).map(Apid)
    }

    /// Iterates over the APIDs of all adapters that the host can have, in ascending order.
    pub fn apids(&self) -> impl Iterator<Item = Apid> {
        (0..=self.max_apid).map(Apid)
    }

    /// Makes an APQI of a number.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if the host cannot have a usage domain of that number.
    pub fn apqi(&self, number: u64) -> Result<Apqi, OutOfRange> {
        in_range(number, self.max_domain).map(Apqi)
    }

    /// Makes a control domain's number.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if the host cannot have a control domain of that number.
    pub fn control_domain(&self, number: u64) -> Result<DomainId, OutOfRange> {
        in_range(number, self.max_domain).map(DomainId)
    }

    /// Makes an APQN of its 16-bit form, as in bits 48-63 of the general register 0 of an AP
    /// instruction and in the kernel's `ap_qid_t`.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if the host cannot have an adapter or a domain of these numbers.
    pub fn apqn(&self, raw: u16) -> Result<Apqn, OutOfRange> {
        let [apid, apqi] = raw.to_be_bytes();

        Ok(Apqn {
            apid: self.apid(u64::from(apid))?,
            apqi: self.apqi(u64::from(apqi))?,
        })
    }
}

fn in_range(number: u64, max: u8) -> Result<u8, OutOfRange> {
    match u8::try_from(number) {
        Ok(number) if number <= max => Ok(number),
        _ => Err(OutOfRange),
    }
}

/// An adapter's number (AP identifier), 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Apid(u8);

/// A usage domain's number (AP queue index), 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Apqi(u8);

/// A control domain's number, 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainId(u8);

impl Apid {
    // For a bit of a mask that was made of APIDs, or was checked against the limits as a whole.
    pub(super) const fn from_mask_bit(bit: u8) -> Apid {
        Apid(bit)
    }

    /// Returns the number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Apqi {
    // For a bit of a mask that was made of APQIs, or was checked against the limits as a whole.
    pub(super) const fn from_mask_bit(bit: u8) -> Apqi {
        Apqi(bit)
    }

    /// Returns the number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl DomainId {
    /// Returns the number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Formats as two hexadecimal digits.
impl fmt::Display for Apid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

/// Formats as four hexadecimal digits.
impl fmt::Display for Apqi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

/// Formats as four hexadecimal digits.
impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

/// The number of an AP queue: an adapter and a usage domain.
///
/// Ordered by adapter, then by domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Apqn {
    /// The adapter.
    pub apid: Apid,
    /// The usage domain.
    pub apqi: Apqi,
}

impl Apqn {
    // For a bit in an adapter's mask of domains, under the condition of `Apqi::from_mask_bit`.
    pub(crate) const fn from_mask_bits(apid: Apid, bit: u8) -> Apqn {
        Apqn {
            apid,
            apqi: Apqi::from_mask_bit(bit),
        }
    }

    /// Returns the 16-bit form: the APID in the upper byte, the APQI in the lower one.
    pub const fn to_raw(self) -> u16 {
        u16::from_be_bytes([self.apid.0, self.apqi.0])
    }
}

/// Formats as the queue device's name, `04.0047`.
impl fmt::Display for Apqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.apid, self.apqi)
    }
}
