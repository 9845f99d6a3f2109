// SPDX-License-Identifier: GPL-2.0

//! A mask of 256 bits, as AP uses it for adapters and domains.

use core::fmt;
use core::ops::{
    BitAnd,
    BitOr, //
};

/// The number of bits of a mask: one for each adapter or domain there can be.
pub const BITS: usize = 256;

const WORD_BITS: u32 = u64::BITS;

/// A mask of 256 bits; bit 0 is the leftmost.
///
/// Kept as four words, the leftmost first and bit 0 being a word's most significant bit. On s390
/// that is, byte for byte, the layout of the masks in a guest's AP control block, of the kernel's
/// inverted bitmaps (`set_bit_inv()`), and of the block that PQAP(QCI) stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mask256 {
    words: [u64; 4],
}

impl Mask256 {
    /// No bit set.
    pub const EMPTY: Mask256 = Mask256 { words: [0; 4] };

    /// Makes a mask of four words, bits 0-63 first.
    pub const fn from_words(words: [u64; 4]) -> Mask256 {
        Mask256 { words }
    }

    /// Returns the four words, bits 0-63 first.
    pub const fn words(&self) -> &[u64; 4] {
        &self.words
    }

    /// Makes a mask of eight 32-bit words, bits 0-31 first, as in `struct ap_config_info`.
    pub const fn from_halves(halves: [u32; 8]) -> Mask256 {
        const fn join(left: u32, right: u32) -> u64 {
            // `u64::from()` is not const.
            (left as u64) << 32 | right as u64
        }
        let [a, b, c, d, e, f, g, h] = halves;

        Mask256 {
            words: [join(a, b), join(c, d), join(e, f), join(g, h)],
        }
    }

    /// Returns eight 32-bit words, bits 0-31 first, as in `struct ap_config_info`.
    pub const fn to_halves(&self) -> [u32; 8] {
        let [a, b, c, d] = self.words;

        [
            (a >> 32) as u32,
            a as u32,
            (b >> 32) as u32,
            b as u32,
            (c >> 32) as u32,
            c as u32,
            (d >> 32) as u32,
            d as u32,
        ]
    }

    /// Returns a mask in which the bits 0 to `last` are set.
    pub const fn up_to(last: u8) -> Mask256 {
        const fn word(first: u32, last: u32) -> u64 {
            if last < first {
                0
            } else if last >= first + (WORD_BITS - 1) {
                u64::MAX
            } else {
                !(u64::MAX >> (last - first + 1))
            }
        }
        let last = last as u32;

        Mask256 {
            words: [
                word(0, last),
                word(WORD_BITS, last),
                word(2 * WORD_BITS, last),
                word(3 * WORD_BITS, last),
            ],
        }
    }

    /// Tells whether `bit` is set.
    pub const fn test(&self, bit: u8) -> bool {
        self.words[Self::word_of(bit)] & Self::bit_in_word(bit) != 0
    }

    /// Sets `bit`. Returns whether that changed the mask.
    pub fn set(&mut self, bit: u8) -> bool {
        let changed = !self.test(bit);

        *self.word_mut(bit) |= Self::bit_in_word(bit);
        changed
    }

    /// Clears `bit`. Returns whether that changed the mask.
    pub fn clear(&mut self, bit: u8) -> bool {
        let changed = self.test(bit);

        *self.word_mut(bit) &= !Self::bit_in_word(bit);
        changed
    }

    /// Tells whether no bit is set.
    pub const fn is_empty(&self) -> bool {
        let [a, b, c, d] = self.words;

        a | b | c | d == 0
    }

    /// Returns how many bits are set, 0 to 256.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Returns the leftmost bit that is set.
    pub fn first(&self) -> Option<u8> {
        self.iter().next()
    }

    /// Returns the bits of `self` that are not in `other`.
    #[must_use]
    pub fn and_not(self, other: Mask256) -> Mask256 {
        self.zip(other, |left, right| left & !right)
    }

    /// Tells whether every bit of `self` is in `other`, too.
    pub fn is_subset_of(self, other: Mask256) -> bool {
        self.and_not(other).is_empty()
    }

    /// Iterates over the bits that are set, from left to right.
    pub fn iter(&self) -> Bits {
        Bits { rest: *self }
    }

    fn zip(self, other: Mask256, combine: impl Fn(u64, u64) -> u64) -> Mask256 {
        let [a, b, c, d] = self.words;
        let [e, f, g, h] = other.words;

        Mask256 {
            words: [combine(a, e), combine(b, f), combine(c, g), combine(d, h)],
        }
    }

    const fn bit_in_word(bit: u8) -> u64 {
        (1 << (WORD_BITS - 1)) >> (bit as u32 % WORD_BITS)
    }

    /// Returns which word `bit` is in. In bounds for every `u8`: there are 256 bits.
    const fn word_of(bit: u8) -> usize {
        // `usize::from()` is not const.
        (bit >> 6) as usize
    }

    fn word_mut(&mut self, bit: u8) -> &mut u64 {
        &mut self.words[Self::word_of(bit)]
    }
}

impl BitAnd for Mask256 {
    type Output = Mask256;

    fn bitand(self, other: Mask256) -> Mask256 {
        self.zip(other, |left, right| left & right)
    }
}

impl BitOr for Mask256 {
    type Output = Mask256;

    fn bitor(self, other: Mask256) -> Mask256 {
        self.zip(other, |left, right| left | right)
    }
}

/// Formats as sysfs shows a mask: `0x` and 64 hexadecimal digits, bit 0 leftmost.
impl fmt::Display for Mask256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = *b"0x0000000000000000000000000000000000000000000000000000000000000000";
        let bytes = self.words.iter().flat_map(|word| word.to_be_bytes());

        for (digits, byte) in text.chunks_exact_mut(2).skip(1).zip(bytes) {
            digits.copy_from_slice(&hex(byte));
        }
        f.write_str(core::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Returns the two hexadecimal digits of a number. Where there are many of them, they would take
/// `core::fmt` ten times as long.
pub(super) const fn hex(number: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    // In bounds: four bits each.
    [
        DIGITS[(number >> 4) as usize],
        DIGITS[(number & 0xf) as usize],
    ]
}

/// Iterator over the bits of a [`Mask256`] that are set, from left to right.
#[derive(Clone, Debug)]
pub struct Bits {
    rest: Mask256,
}

impl Iterator for Bits {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (number, word) = (0u8..)
            .zip(self.rest.words.iter_mut())
            .find(|(_, word)| **word != 0)?;
        // A word that is not zero has less than 64 leading zeros.
        let bit = word.leading_zeros() as u8;

        *word &= !Mask256::bit_in_word(bit);
        Some(number * (WORD_BITS as u8) + bit)
    }
}
