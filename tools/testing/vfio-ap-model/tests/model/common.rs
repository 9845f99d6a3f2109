// SPDX-License-Identifier: GPL-2.0

//! What the tests share: naive counterparts of the model's types, and generators of input.

use std::collections::BTreeSet;

use proptest::{
    collection::btree_set,
    prelude::*, //
};
use vfio_ap_model::model::*;

pub(crate) const ALL: Limits = Limits::with_apxa(255, 255);

/// A mask's counterpart: the numbers of its bits.
pub(crate) type Bits = BTreeSet<u8>;

/// A set of APQNs' counterpart: (APID, APQI).
pub(crate) type Pairs = BTreeSet<(u8, u8)>;

/// Makes a mask the slow way, through its bytes in storage: bit 0 is the leftmost of byte 0.
pub(crate) fn mask(bits: &Bits) -> Mask256 {
    let mut bytes = [0u8; 32];
    for &bit in bits {
        bytes[usize::from(bit) / 8] |= 0x80 >> (bit % 8);
    }
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_be_bytes(bytes.try_into().unwrap());
    }
    Mask256::from_words(words)
}

pub(crate) fn apqn(apid: u8, apqi: u8) -> Apqn {
    ALL.apqn(u16::from(apid) << 8 | u16::from(apqi)).unwrap()
}

pub(crate) fn pair(apqn: Apqn) -> (u8, u8) {
    (apqn.apid.get(), apqn.apqi.get())
}

pub(crate) fn pairs(set: &ApqnSet) -> Pairs {
    set.iter().map(pair).collect()
}

pub(crate) fn product(apids: &Bits, apqis: &Bits) -> Pairs {
    apids
        .iter()
        .flat_map(|&apid| apqis.iter().map(move |&apqi| (apid, apqi)))
        .collect()
}

pub(crate) fn matrix(apids: &Bits, apqis: &Bits, domains: &Bits) -> Matrix {
    Matrix::from_masks(mask(apids), mask(apqis), mask(domains), &ALL).unwrap()
}

pub(crate) fn host(apids: &Bits, apqis: &Bits, domains: &Bits) -> HostConfig {
    HostConfig::from_qci(
        0x4000_0000,
        255,
        255,
        mask(apids).to_halves(),
        mask(apqis).to_halves(),
        mask(domains).to_halves(),
    )
}

/// A box of rows with garbage in it, as storage that was used before.
pub(crate) fn rows() -> Box<AdapterRows> {
    Box::new([Mask256::from_words([0x0123_4567_89ab_cdef; 4]); 256])
}

/// A box of owners with garbage in it.
pub(crate) fn owner_rows() -> Box<OwnerRows> {
    Box::new([[OwnerId(0x5a5a); 256]; 256])
}

pub(crate) fn status(code: u8) -> StatusWord {
    StatusWord::from_raw(u32::from(code) << 16)
}

/// How a reset ends when ZAPQ's response is `code`, 00 being confirmed by TAPQ.
pub(crate) fn reset_outcome(code: u8) -> ResetOutcome {
    let mut reset = Reset::new();
    let next = match reset.requested(status(code)) {
        Next::Poll => reset.polled(status(code)),
        next => next,
    };

    match next {
        Next::Done(outcome) => outcome,
        next => panic!("{next:?}"),
    }
}

/// Any bits, few or many.
pub(crate) fn bits() -> impl Strategy<Value = Bits> {
    prop_oneof![
        btree_set(any::<u8>(), 0..6),
        btree_set(any::<u8>(), 0..256),
        Just((0..=255).collect()),
    ]
}

/// Bits from a small range that crosses a word's border, so that sets often meet.
pub(crate) fn near_bits() -> impl Strategy<Value = Bits> {
    btree_set(60u8..68, 0..8)
}
