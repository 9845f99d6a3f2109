// SPDX-License-Identifier: GPL-2.0

//! Masks of 256 bits, bit 0 leftmost.

use proptest::prelude::*;
use vfio_ap_model::model::*;

use super::common::*;

fn single(bit: u8) -> Mask256 {
    let mut mask = Mask256::EMPTY;
    assert!(mask.set(bit));
    mask
}

#[test]
fn bit_0_is_the_leftmost() {
    assert_eq!(single(0).words(), &[0x8000_0000_0000_0000, 0, 0, 0]);
    assert_eq!(single(63).words(), &[1, 0, 0, 0]);
    assert_eq!(single(64).words(), &[0, 0x8000_0000_0000_0000, 0, 0]);
    assert_eq!(single(130).words(), &[0, 0, 0x2000_0000_0000_0000, 0]);
    assert_eq!(single(255).words(), &[0, 0, 0, 1]);
    assert_eq!(single(0).to_halves(), [0x8000_0000, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(single(32).to_halves(), [0, 0x8000_0000, 0, 0, 0, 0, 0, 0]);
    assert_eq!(single(255).to_halves(), [0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn text_is_what_sysfs_shows() {
    assert_eq!(
        (single(1) | single(7)).to_string(),
        "0x4100000000000000000000000000000000000000000000000000000000000000"
    );
    assert_eq!(
        (single(64) | single(255)).to_string(),
        "0x0000000000000000800000000000000000000000000000000000000000000001"
    );
}

#[test]
fn a_full_mask_has_256_bits() {
    let full = Mask256::up_to(255);

    assert_eq!(full.words(), &[u64::MAX; 4]);
    assert_eq!(full.count(), 256);
    assert_eq!(full.iter().count(), 256);
}

#[test]
fn up_to_has_exactly_the_bits_up_to() {
    for last in 0..=255 {
        assert_eq!(Mask256::up_to(last), mask(&(0..=last).collect()), "{last}");
    }
}

proptest! {
    #[test]
    fn bits_come_back_in_order(bits in bits()) {
        let mask = mask(&bits);

        prop_assert!(mask.iter().eq(bits.iter().copied()));
        prop_assert_eq!(mask.first(), bits.first().copied());
        prop_assert_eq!(mask.count() as usize, bits.len());
        prop_assert_eq!(mask.is_empty(), bits.is_empty());
        for bit in 0..=255 {
            prop_assert_eq!(mask.test(bit), bits.contains(&bit));
        }
    }

    #[test]
    fn set_and_clear_do_that_and_tell_whether_they_did(bits in bits(), bit: u8) {
        let mut reference = bits.clone();
        let mut changing = mask(&bits);

        prop_assert_eq!(changing.set(bit), reference.insert(bit));
        prop_assert_eq!(changing, mask(&reference));
        prop_assert!(!changing.set(bit));
        prop_assert_eq!(changing.clear(bit), reference.remove(&bit));
        prop_assert_eq!(changing, mask(&reference));
        prop_assert!(!changing.clear(bit));
        prop_assert_eq!(changing, mask(&reference));
    }

    #[test]
    fn operations_are_those_of_sets(a in bits(), b in bits()) {
        prop_assert_eq!(mask(&a) & mask(&b), mask(&(&a & &b)));
        prop_assert_eq!(mask(&a) | mask(&b), mask(&(&a | &b)));
        prop_assert_eq!(mask(&a).and_not(mask(&b)), mask(&(&a - &b)));
        prop_assert_eq!(mask(&a).is_subset_of(mask(&b)), a.is_subset(&b));
        prop_assert_eq!(mask(&a).is_subset_of(mask(&(&a | &b))), true);
    }

    #[test]
    fn words_and_halves_are_the_same_bits(halves: [u32; 8], words: [u64; 4]) {
        let of_halves = Mask256::from_halves(halves);

        prop_assert_eq!(of_halves.to_halves(), halves);
        let of_words = Mask256::from_words(words);
        prop_assert_eq!(Mask256::from_halves(of_words.to_halves()), of_words);
        prop_assert_eq!(of_words.words(), &words);
        for (number, half) in halves.iter().enumerate() {
            for bit in 0..32 {
                prop_assert_eq!(
                    of_halves.test((number * 32 + bit) as u8),
                    half >> (31 - bit) & 1 == 1
                );
            }
        }
    }
}
