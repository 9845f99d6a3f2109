// SPDX-License-Identifier: GPL-2.0

//! What the host has, as PQAP(QCI) tells it.

use super::{
    id::Limits,
    mask::Mask256, //
};

/// The host's AP configuration: the adapters, usage domains and control domains it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostConfig {
    apm: Mask256,
    aqm: Mask256,
    adm: Mask256,
    apxa: bool,
    limits: Limits,
}

impl HostConfig {
    // Bit 1 of the first word, N in the architecture: `apxa` of `struct ap_config_info`.
    const APXA: u32 = 0x4000_0000;

    /// The configuration of a host without the QCI facility (STFLE bit 12).
    ///
    /// Such a host does not tell what it has: numbers can be assigned within the limits, but
    /// nothing is passed to a guest.
    pub const WITHOUT_QCI: HostConfig = HostConfig {
        apm: Mask256::EMPTY,
        aqm: Mask256::EMPTY,
        adm: Mask256::EMPTY,
        apxa: false,
        limits: Limits::WITHOUT_APXA,
    };

    /// Makes a configuration of the fields of the block that PQAP(QCI) stores (`struct
    /// ap_config_info` in `asm/ap.h`).
    ///
    /// All fields zero, as the AP bus hands them out without the QCI facility, make
    /// [`HostConfig::WITHOUT_QCI`].
    pub fn from_qci(
        flags: u32,
        na: u8,
        nd: u8,
        apm: [u32; 8],
        aqm: [u32; 8],
        adm: [u32; 8],
    ) -> HostConfig {
        let apxa = flags & Self::APXA != 0;

        HostConfig {
            apm: Mask256::from_halves(apm),
            aqm: Mask256::from_halves(aqm),
            adm: Mask256::from_halves(adm),
            apxa,
            limits: if apxa {
                Limits::with_apxa(na, nd)
            } else {
                Limits::WITHOUT_APXA
            },
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

    /// Tells whether the AP extended addressing facility is installed.
    pub const fn apxa(&self) -> bool {
        self.apxa
    }

    /// Returns the largest numbers that the host can have.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}
