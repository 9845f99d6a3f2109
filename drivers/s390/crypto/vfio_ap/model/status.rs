// SPDX-License-Identifier: GPL-2.0

//! The AP queue status word and its response codes.

/// A response code that is not in [`ResponseCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownResponseCode(pub u8);

macro_rules! response_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The response code of an AP instruction (`AP_RESPONSE_*` in
        /// `drivers/s390/crypto/ap_bus.h`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ResponseCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl TryFrom<u8> for ResponseCode {
            type Error = UnknownResponseCode;

            #[inline(always)]
            fn try_from(code: u8) -> Result<ResponseCode, UnknownResponseCode> {
                match code {
                    $($code => Ok(ResponseCode::$name),)*
                    _ => Err(UnknownResponseCode(code)),
                }
            }
        }
    };
}

response_codes! {
    /// The function was performed, or was accepted and goes on by itself.
    Normal = 0x00,
    /// There is no such queue, or none that the program may use.
    QNotAvail = 0x01,
    /// The queue is being reset.
    ResetInProgress = 0x02,
    /// The adapter is deconfigured.
    Deconfigured = 0x03,
    /// The adapter is checkstopped.
    Checkstopped = 0x04,
    /// The queue is busy with another function.
    Busy = 0x05,
    /// AQIC: the notification indicator byte's address cannot be used.
    InvalidAddress = 0x06,
    /// AQIC: interrupts are as asked for already, or are about to be.
    OtherwiseChanged = 0x07,
    /// AQIC: the guest interruption state area cannot be used.
    InvalidGisa = 0x08,
    /// The queue is bound to another secure guest.
    QBoundToAnother = 0x09,
    /// The queue's binding or association changes just now.
    StateChangeInProgress = 0x0a,
    /// The queue is not bound to the secure guest.
    QNotBound = 0x0b,
    /// NQAP: the queue is full. DQAP: there is no reply.
    QFullOrNoReply = 0x10,
    /// The index is too large.
    IndexTooBig = 0x11,
    /// NQAP: the first part of the message is missing.
    NoFirstPart = 0x13,
    /// NQAP: the message is too long for the adapter.
    MessageTooBig = 0x15,
    /// A facility that the request needs is not installed.
    ReqFacNotInst = 0x16,
    /// The queue cannot be bound.
    QBindError = 0x30,
    /// The queue cannot be associated now.
    QNotAvailForAssoc = 0x31,
    /// The queue is not empty.
    QNotEmpty = 0x32,
    /// Too many queues are bound.
    BindLimitExceeded = 0x33,
    /// The association's secret is not valid.
    InvalidAssocSecret = 0x34,
    /// The association failed, because its secret is not unique; until the next reset.
    AssocSecretNotUnique = 0x35,
    /// The association failed; until the next reset.
    AssocFailed = 0x36,
    /// NQAP: the message is for a domain that the program may not use.
    InvalidDomain = 0x42,
}

impl ResponseCode {
    /// Tells whether there is no working queue behind the APQN (01, 03 and 04): it does nothing any
    /// more, and in particular writes no notification indicator byte.
    pub const fn is_gone(self) -> bool {
        matches!(
            self,
            ResponseCode::QNotAvail | ResponseCode::Deconfigured | ResponseCode::Checkstopped
        )
    }

    /// Tells whether the queue cannot perform the function now, but will be able to after a while
    /// (02, 05 and 0A).
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            ResponseCode::ResetInProgress
                | ResponseCode::Busy
                | ResponseCode::StateChangeInProgress
        )
    }
}

/// The AP queue status word, which every AP instruction leaves in bits 32-63 of general register 1
/// (`struct ap_queue_status` in `asm/ap.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusWord(u32);

impl StatusWord {
    const QUEUE_EMPTY: u32 = 1 << 31;
    const REPLIES_WAITING: u32 = 1 << 30;
    const QUEUE_FULL: u32 = 1 << 29;
    const IRQ_ENABLED: u32 = 1 << 24;
    const RESPONSE_CODE_SHIFT: u32 = 16;

    /// Takes the word as the instruction left it.
    pub const fn from_raw(raw: u32) -> StatusWord {
        StatusWord(raw)
    }

    /// Makes a word with no status bit and `code`, to answer a guest.
    pub const fn with_response(code: ResponseCode) -> StatusWord {
        StatusWord((code as u32) << Self::RESPONSE_CODE_SHIFT)
    }

    /// Returns the word as an instruction would leave it.
    pub const fn to_raw(self) -> u32 {
        self.0
    }

    /// Returns the response code.
    ///
    /// # Errors
    ///
    /// [`UnknownResponseCode`] if it is none that is known.
    // What its callers look for is mostly one code or two.
    #[inline(always)]
    pub fn response(self) -> Result<ResponseCode, UnknownResponseCode> {
        ResponseCode::try_from(self.raw_response())
    }

    /// Returns the response code as a number, for messages.
    pub const fn raw_response(self) -> u8 {
        (self.0 >> Self::RESPONSE_CODE_SHIFT) as u8
    }

    /// Tells whether the queue is empty (E).
    pub const fn queue_empty(self) -> bool {
        self.0 & Self::QUEUE_EMPTY != 0
    }

    /// Tells whether replies wait in the queue (R).
    pub const fn replies_waiting(self) -> bool {
        self.0 & Self::REPLIES_WAITING != 0
    }

    /// Tells whether the queue is full (F).
    pub const fn queue_full(self) -> bool {
        self.0 & Self::QUEUE_FULL != 0
    }

    /// Tells whether the queue's interrupts are enabled (I).
    pub const fn irq_enabled(self) -> bool {
        self.0 & Self::IRQ_ENABLED != 0
    }
}
