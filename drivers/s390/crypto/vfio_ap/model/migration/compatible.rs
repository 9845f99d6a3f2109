// SPDX-License-Identifier: GPL-2.0

//! Whether a queue of one host can take the place of another host's.
//!
//! A guest's driver looks at a queue's properties once, and then relies on them. So those that it
//! can see have to be the same, or such that it does not notice the difference. The master keys
//! cannot be seen from outside; that they are the same is the administrator's duty.

use core::fmt;

/// What PQAP(TAPQ) tells of a queue in general register 2 (`struct ap_tapq_hwinfo` in `asm/ap.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueInfo(u64);

impl QueueInfo {
    /// Takes the register as the instruction left it.
    pub const fn from_raw(raw: u64) -> QueueInfo {
        QueueInfo(raw)
    }

    /// Returns the register as the instruction would leave it.
    pub const fn to_raw(self) -> u64 {
        self.0
    }

    /// Returns the value of a property.
    pub const fn get(self, property: Property) -> u8 {
        let (first, bits) = property.place();

        // At most eight bits, so that the cast loses nothing.
        (self.0 << first >> (64 - bits)) as u8
    }
}

/// A property of a queue that a guest can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Property {
    /// The AP special-command facility (APSC).
    SpecialCommand,
    /// 4096-bit keys in modulus-exponent format.
    Me4096,
    /// 4096-bit keys in Chinese-remainder format.
    Crt4096,
    /// CCA coprocessor (4), accelerator (2), EP11 coprocessor (1).
    Mode,
    /// The AP extended addressing facility (APXA).
    ExtendedAddressing,
    /// Filtering of commands.
    CommandFiltering,
    /// How much of the adapter can be used: all of it (80), or stateless functions only (40).
    Classification,
    /// Whether it is bound to a secure guest, and associated.
    Binding,
    /// The type: 10 for CEX4 up to 14 for CEX8.
    Type,
}

impl Property {
    /// All there are.
    pub const ALL: [Property; 9] = [
        // That of which most of the others follow.
        Property::Mode,
        Property::SpecialCommand,
        Property::Me4096,
        Property::Crt4096,
        Property::ExtendedAddressing,
        Property::CommandFiltering,
        Property::Classification,
        Property::Binding,
        Property::Type,
    ];

    // The first bit, 0 being the leftmost of 64, and the number of bits.
    const fn place(self) -> (u32, u32) {
        match self {
            Property::SpecialCommand => (0, 1),
            Property::Me4096 => (1, 1),
            Property::Crt4096 => (2, 1),
            Property::Mode => (3, 3),
            Property::ExtendedAddressing => (6, 1),
            Property::CommandFiltering => (7, 1),
            Property::Classification => (8, 8),
            Property::Binding => (16, 2),
            Property::Type => (32, 8),
        }
    }

    const fn allows(self, source: u8, target: u8) -> bool {
        const FULL: u8 = 0x80;
        const STATELESS: u8 = 0x40;

        match self {
            Property::Type => target >= source,
            Property::Binding => source == 0 && target == 0,
            // All that is used of the source is the stateless functions.
            Property::Classification => {
                source == target || (source & (FULL | STATELESS) == STATELESS && target & FULL != 0)
            }
            _ => source == target,
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Property::SpecialCommand => "special-command facility",
            Property::Me4096 => "4096-bit ME keys",
            Property::Crt4096 => "4096-bit CRT keys",
            Property::Mode => "mode",
            Property::ExtendedAddressing => "extended addressing facility",
            Property::CommandFiltering => "command filtering",
            Property::Classification => "classification",
            Property::Binding => "binding state",
            Property::Type => "type",
        })
    }
}

/// A property because of which a queue cannot take the place of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The property.
    pub property: Property,
    /// The value that the guest has now.
    pub source: u8,
    /// The value that it would have.
    pub target: u8,
}

/// Formats both values: as a decimal number for types, and as a hexadecimal one for all others.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (property, source, target) = (self.property, self.source, self.target);

        match property {
            Property::Type => write!(f, "{property} {target}, and at the source it is {source}"),
            _ => write!(
                f,
                "{property} {target:#x}, and at the source it is {source:#x}"
            ),
        }
    }
}

/// Judges whether a queue with the properties `target` can take the place of one that has those of
/// `source`.
///
/// # Errors
///
/// The first [`Mismatch`].
pub fn check(source: QueueInfo, target: QueueInfo) -> Result<(), Mismatch> {
    for property in Property::ALL {
        let (source, target) = (source.get(property), target.get(property));

        if !property.allows(source, target) {
            return Err(Mismatch {
                property,
                source,
                target,
            });
        }
    }
    Ok(())
}
