// SPDX-License-Identifier: GPL-2.0

//! The registers of PQAP, and of its function AQIC that controls a queue's interrupts.
//!
//! Layouts are those of `asm/ap.h`; bits are numbered as the architecture does, 0 leftmost of 64.

use core::num::NonZeroU64;

/// A function code that is not in [`FunctionCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFunctionCode(pub u8);

macro_rules! function_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The function code of a PQAP instruction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum FunctionCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl TryFrom<u8> for FunctionCode {
            type Error = UnknownFunctionCode;

            fn try_from(code: u8) -> Result<FunctionCode, UnknownFunctionCode> {
                match code {
                    $($code => Ok(FunctionCode::$name),)*
                    _ => Err(UnknownFunctionCode(code)),
                }
            }
        }
    };
}

function_codes! {
    /// Test AP queue.
    Tapq = 0x00,
    /// Reset AP queue.
    Rapq = 0x01,
    /// Zeroize AP queue: reset it, and wipe what it holds for the domain.
    Zapq = 0x02,
    /// AP queue interruption control.
    Aqic = 0x03,
    /// Query AP configuration information.
    Qci = 0x04,
    /// Query AP compatibility type.
    Qact = 0x05,
    /// Bind AP queue to a secure guest.
    Bapq = 0x07,
    /// Associate AP queue with a secret.
    Aapq = 0x08,
}

/// General register 0 of a PQAP instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PqapGr0(u64);

impl PqapGr0 {
    // Bits 41-47. Bit 40 is TAPQ's T bit.
    const RESERVED: u64 = 0x007f_0000;

    /// Takes the register as the program left it.
    pub const fn from_raw(raw: u64) -> PqapGr0 {
        PqapGr0(raw)
    }

    /// Returns the function, bits 32-39.
    ///
    /// # Errors
    ///
    /// [`UnknownFunctionCode`] if it is none that is known.
    pub fn function(self) -> Result<FunctionCode, UnknownFunctionCode> {
        FunctionCode::try_from((self.0 >> 24) as u8)
    }

    /// Returns the APQN, bits 48-63, in its 16-bit form ([`Limits::apqn`] makes an APQN of it).
    ///
    /// [`Limits::apqn`]: super::id::Limits::apqn
    pub const fn raw_apqn(self) -> u16 {
        self.0 as u16
    }

    /// Tells whether bits 41-47 are zero, as AQIC demands on pain of a specification exception.
    pub const fn reserved_bits_are_zero(self) -> bool {
        self.0 & Self::RESERVED == 0
    }
}

/// An interruption subclass, 0 to 7: the host's (ISC) or a guest's (GISC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isc(u8);

impl Isc {
    /// Makes a subclass of its number, if it is one.
    pub const fn new(number: u8) -> Option<Isc> {
        if number < 8 {
            Some(Isc(number))
        } else {
            None
        }
    }

    /// Returns the number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The address of a guest interruption state area (GISA), in the host's real storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GisaOrigin(u64);

impl GisaOrigin {
    // Bits 33-59, the only ones that the control word has room for.
    const MASK: u64 = 0x7fff_fff0;

    /// Makes an origin of a physical address, if it can be one: not zero, a multiple of 16, below
    /// 2 GiB.
    pub const fn new(address: u64) -> Option<GisaOrigin> {
        if address != 0 && address & !Self::MASK == 0 {
            Some(GisaOrigin(address))
        } else {
            None
        }
    }
}

/// AQIC's control word in general register 1 (`union ap_qirq_ctrl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AqicControl(u64);

impl AqicControl {
    // Bit 16.
    const IR: u64 = 1 << 47;
    const GISC_SHIFT: u32 = 40;
    const ISC_MASK: u8 = 0x07;

    /// Disables the queue's interrupts.
    pub const DISABLE: AqicControl = AqicControl(0);

    /// Takes the word as a program left it.
    pub const fn from_raw(raw: u64) -> AqicControl {
        AqicControl(raw)
    }

    /// Enables interrupts that go to a guest.
    ///
    /// They are made pending as subclass `gisc` in the area at `gisa`; when the guest cannot take
    /// them, the host is alerted by an interrupt of subclass `isc`. The zone and the area's format
    /// are zero.
    pub const fn enable_for_guest(gisa: GisaOrigin, gisc: Isc, isc: Isc) -> AqicControl {
        // `u64::from()` is not const.
        AqicControl(Self::IR | (gisc.0 as u64) << Self::GISC_SHIFT | gisa.0 | isc.0 as u64)
    }

    /// Returns the word as AQIC takes it.
    pub const fn to_raw(self) -> u64 {
        self.0
    }

    /// Tells whether interrupts are to be enabled (IR, bit 16), and not disabled.
    pub const fn enables(self) -> bool {
        self.0 & Self::IR != 0
    }

    /// Returns the subclass, bits 61-63. In a guest's word it is the guest's.
    pub const fn isc(self) -> Isc {
        Isc(self.0 as u8 & Self::ISC_MASK)
    }
}

/// The address of a notification indicator byte (NIB), in a guest's absolute storage. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nib(NonZeroU64);

impl Nib {
    const OFFSET: u64 = 0xfff;

    /// Makes an address, if it is one: zero is not.
    pub const fn new(address: u64) -> Option<Nib> {
        match NonZeroU64::new(address) {
            Some(address) => Some(Nib(address)),
            None => None,
        }
    }

    /// Returns the address of the byte.
    pub const fn address(self) -> u64 {
        self.0.get()
    }

    /// Returns the address of the 4 KiB page that the byte is in.
    pub const fn page(self) -> u64 {
        self.0.get() & !Self::OFFSET
    }

    /// Returns where in its page the byte is, 0 to 4095.
    pub const fn offset(self) -> u64 {
        self.0.get() & Self::OFFSET
    }
}

/// What a guest asks for by AQIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AqicRequest {
    /// Enable the queue's interrupts.
    Enable {
        /// The guest's subclass for them.
        gisc: Isc,
        /// The byte that tells of them; [`None`] if the address cannot be one, to be answered with
        /// [`ResponseCode::InvalidAddress`].
        ///
        /// [`ResponseCode::InvalidAddress`]: super::status::ResponseCode::InvalidAddress
        nib: Option<Nib>,
    },
    /// Disable the queue's interrupts.
    Disable,
}

impl AqicRequest {
    /// Reads a request from the guest's general registers 1 and 2.
    pub const fn decode(gr1: u64, gr2: u64) -> AqicRequest {
        let control = AqicControl::from_raw(gr1);

        if control.enables() {
            AqicRequest::Enable {
                gisc: control.isc(),
                nib: Nib::new(gr2),
            }
        } else {
            AqicRequest::Disable
        }
    }
}
