// SPDX-License-Identifier: GPL-2.0

//! How the attributes spell what they show and take.

use core::fmt::{
    self,
    Write, //
};

use super::{
    id::Limits,
    mask::{
        hex,
        Mask256, //
    },
    matrix::Matrix, //
};

/// The buffer of a sysfs attribute's show function, filled with whole lines.
///
/// The last byte is left alone, as sysfs wants it. A line that does not fit is left out as a whole,
/// and so is all that comes after it; writing then fails.
#[derive(Debug)]
pub struct Page<'a> {
    buffer: &'a mut [u8],
    len: usize,
    line: usize,
    full: bool,
}

impl<'a> Page<'a> {
    /// Takes the buffer, of which it uses all but one byte.
    pub fn new(buffer: &'a mut [u8]) -> Page<'a> {
        Page {
            buffer,
            len: 0,
            line: 0,
            full: false,
        }
    }

    /// Returns how many bytes were written.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Tells whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a whole line, its newline included.
    fn line(&mut self, line: &[u8]) -> fmt::Result {
        self.append(line)?;
        self.line = self.len;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> fmt::Result {
        let rest = self.buffer.get_mut(self.len..).unwrap_or_default();

        match rest.split_at_mut_checked(bytes.len()) {
            Some((room, [_, ..])) if !self.full => room.copy_from_slice(bytes),
            _ => {
                self.full = true;
                self.len = self.line;
                return Err(fmt::Error);
            }
        }
        self.len = self.len.saturating_add(bytes.len());
        Ok(())
    }
}

impl Write for Page<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let before = self.len;

        self.append(text.as_bytes())?;
        if let Some(newline) = text.rfind('\n') {
            self.line = before.saturating_add(newline).saturating_add(1);
        }
        Ok(())
    }
}

/// Writes what the attributes `matrix` and `guest_matrix` show: a line for each APQN, `04.0047`.
///
/// Without domains that is a line for each adapter, `04.`, and without adapters a line for each
/// domain, `.0047`.
///
/// # Errors
///
/// The page is full.
pub fn write_matrix(page: &mut Page<'_>, apm: Mask256, aqm: Mask256) -> fmt::Result {
    if aqm.is_empty() {
        return apm
            .iter()
            .map(hex)
            .try_for_each(|[a, b]| page.line(&[a, b, b'.', b'\n']));
    }
    if apm.is_empty() {
        return aqm
            .iter()
            .map(hex)
            .try_for_each(|[c, d]| page.line(&[b'.', b'0', b'0', c, d, b'\n']));
    }
    apm.iter().map(hex).try_for_each(|[a, b]| {
        aqm.iter()
            .map(hex)
            .try_for_each(|[c, d]| page.line(&[a, b, b'.', b'0', b'0', c, d, b'\n']))
    })
}

/// Writes what the attribute `control_domains` shows: a line for each domain, `0047`.
///
/// # Errors
///
/// The page is full.
pub fn write_control_domains(page: &mut Page<'_>, adm: Mask256) -> fmt::Result {
    adm.iter()
        .map(hex)
        .try_for_each(|[a, b]| page.line(&[b'0', b'0', a, b, b'\n']))
}

/// Writes what the attribute `ap_config` shows: the three masks in one line, with commas between.
///
/// # Errors
///
/// Those of `out`; a full [`Page`] is one.
pub fn write_ap_config(out: &mut impl Write, matrix: &Matrix) -> fmt::Result {
    writeln!(out, "{},{},{}", matrix.apm(), matrix.aqm(), matrix.adm())
}

/// A mask as ranges of numbers, however long a list of all would be: `04-06,0a`, or `none`.
#[derive(Clone, Copy, Debug)]
pub struct Ranges {
    /// The numbers.
    pub mask: Mask256,
    /// How many hexadecimal digits each has: 2 for adapters, 4 for domains.
    pub digits: usize,
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits;
        let mut bits = self.mask.iter().peekable();
        let mut separator = "";

        if self.mask.is_empty() {
            return f.write_str("none");
        }
        while let Some(first) = bits.next() {
            let mut last = first;

            while let Some(next) = bits.next_if(|&next| Some(next) == last.checked_add(1)) {
                last = next;
            }
            write!(f, "{separator}{first:0digits$x}")?;
            if last != first {
                write!(f, "-{last:0digits$x}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

/// Why a text is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It is not one (`EINVAL`).
    Malformed,
    /// It is one, but too large for 64 bits (`ERANGE`).
    Overflow,
}

/// Reads a number as `kstrtoul()` with base 0 does (`lib/kstrtox.c`).
///
/// That is: an optional `+`; `0x` and hexadecimal digits, or `0` and octal digits, or decimal
/// digits; one newline at most; nothing else. The text ends at the first NUL, if there is one.
///
/// # Errors
///
/// See [`NumberError`]. Too many digits are [`NumberError::Overflow`] whatever comes after them.
pub fn parse_number(text: &[u8]) -> Result<u64, NumberError> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let (base, digits) = match text {
        [b'0', b'x' | b'X', digits @ ..] if digits.first().is_some_and(u8::is_ascii_hexdigit) => {
            (16, digits)
        }
        [b'0', ..] => (8, text),
        _ => (10, text),
    };

    let count = digits
        .iter()
        .take_while(|&&byte| char::from(byte).is_digit(base))
        .count();
    let (digits, rest) = digits.split_at_checked(count).unwrap_or_default();
    let number = digits.iter().try_fold(0u64, |number, &byte| {
        let digit = char::from(byte).to_digit(base)?;

        number
            .checked_mul(u64::from(base))?
            .checked_add(u64::from(digit))
    });

    match (number, digits, rest) {
        (None, _, _) => Err(NumberError::Overflow),
        (Some(number), [_, ..], b"" | b"\n") => Ok(number),
        _ => Err(NumberError::Malformed),
    }
}

/// Reads a mask: `0x` and 1 to 64 hexadecimal digits, bit 0 leftmost. Digits that are missing on
/// the right are zeros, so that `0x41` has the bits 1 and 7.
pub fn parse_mask(text: &[u8]) -> Option<Mask256> {
    const DIGITS_OF_WORD: usize = 16;

    let digits = text.strip_prefix(b"0x")?;
    let mut words = [0; 4];

    if digits.is_empty() || digits.len() > words.len() * DIGITS_OF_WORD {
        return None;
    }
    for (word, digits) in words.iter_mut().zip(digits.chunks(DIGITS_OF_WORD)) {
        for (&byte, place) in digits.iter().zip((0..DIGITS_OF_WORD).rev()) {
            *word |= u64::from(char::from(byte).to_digit(16)?) << (4 * place);
        }
    }
    Some(Mask256::from_words(words))
}

/// Why a text is not a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// It is not three masks (`EINVAL`).
    Malformed,
    /// It is, but a mask has a bit that the host cannot have (`ENODEV`).
    OutOfRange,
}

/// Reads what the attribute `ap_config` takes: the masks of adapters, domains and control domains,
/// with commas between; one newline at most; nothing else. A NUL may end the text.
///
/// # Errors
///
/// See [`ConfigError`].
pub fn parse_ap_config(text: &[u8], limits: &Limits) -> Result<Matrix, ConfigError> {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut masks = text.split(|&byte| byte == b',').map(parse_mask);

    match (masks.next(), masks.next(), masks.next(), masks.next()) {
        (Some(Some(apm)), Some(Some(aqm)), Some(Some(adm)), None) => {
            Matrix::from_masks(apm, aqm, adm, limits).map_err(|_| ConfigError::OutOfRange)
        }
        _ => Err(ConfigError::Malformed),
    }
}
