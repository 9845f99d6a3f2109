// SPDX-License-Identifier: GPL-2.0

//! What the attributes show and take.

use std::fmt::Write;

use proptest::prelude::*;
use vfio_ap_model::model::{
    text::*,
    *, //
};

use super::common::*;

const PAGE_SIZE: usize = 4096;

fn shown(write: impl FnOnce(&mut String) -> std::fmt::Result) -> String {
    let mut text = String::new();
    write(&mut text).unwrap();
    text
}

fn on_a_page(write: impl FnOnce(&mut Page<'_>) -> std::fmt::Result) -> String {
    let mut buffer = [b'#'; PAGE_SIZE];
    let mut page = Page::new(&mut buffer);
    write(&mut page).unwrap();
    let len = page.len();
    String::from_utf8(buffer[..len].to_vec()).unwrap()
}

#[test]
fn matrix_is_a_line_for_each_apqn() {
    let text = |apids: &[u8], apqis: &[u8]| {
        let (apm, aqm) = (
            mask(&apids.iter().copied().collect()),
            mask(&apqis.iter().copied().collect()),
        );
        on_a_page(|page| write_matrix(page, apm, aqm))
    };

    assert_eq!(
        text(&[5, 0xff], &[4, 0xab]),
        "05.0004\n05.00ab\nff.0004\nff.00ab\n"
    );
    assert_eq!(text(&[5, 0xff], &[]), "05.\nff.\n");
    assert_eq!(text(&[], &[4, 0xab]), ".0004\n.00ab\n");
    assert_eq!(text(&[], &[]), "");
}

#[test]
fn control_domains_is_a_line_for_each_domain() {
    let adm = mask(&[0, 0x47, 0xff].into());

    assert_eq!(
        on_a_page(|page| write_control_domains(page, adm)),
        "0000\n0047\n00ff\n"
    );
}

#[test]
fn ranges_are_as_short_as_they_can_be() {
    let text = |bits: &[u8], digits| {
        Ranges {
            mask: mask(&bits.iter().copied().collect()),
            digits,
        }
        .to_string()
    };

    assert_eq!(text(&[], 2), "none");
    assert_eq!(text(&[4], 2), "04");
    assert_eq!(text(&[4, 5], 2), "04-05");
    assert_eq!(
        text(&[0, 1, 2, 0x47, 0xfe, 0xff], 4),
        "0000-0002,0047,00fe-00ff"
    );
    assert_eq!(text(&Vec::from_iter(0..=255), 2), "00-ff");
}

#[test]
fn ap_config_is_three_masks_in_a_line() {
    let matrix = matrix(&[0].into(), &[7].into(), &[255].into());

    assert_eq!(
        shown(|out| write_ap_config(out, &matrix)),
        "0x8000000000000000000000000000000000000000000000000000000000000000,\
         0x0100000000000000000000000000000000000000000000000000000000000000,\
         0x0000000000000000000000000000000000000000000000000000000000000001\n"
    );
}

#[test]
fn a_page_of_matrix_is_cut_at_a_whole_line_and_leaves_a_byte() {
    // 512 lines of 8 bytes are a page, one line too many.
    let all = Mask256::up_to(255);
    let mut buffer = [b'#'; PAGE_SIZE];
    let mut page = Page::new(&mut buffer);

    assert!(write_matrix(&mut page, all, all).is_err());
    let len = page.len();
    assert_eq!(len, 511 * 8);
    assert!(buffer[..len].ends_with(b"\n01.00fe\n"));
}

#[test]
fn a_page_that_is_filled_to_the_last_byte_but_one_is_not_cut() {
    let mut buffer = [b'#'; 9];
    let mut page = Page::new(&mut buffer);

    assert!(page.write_str("04.0047\n").is_ok());
    assert_eq!(page.len(), 8);
    assert!(page.write_str("").is_ok());
    assert!(page.write_str("\n").is_err());
    assert_eq!(page.len(), 8);
    assert_eq!(&buffer, b"04.0047\n#");
}

#[test]
fn a_page_is_cut_behind_the_last_line_of_a_piece_with_several() {
    let mut buffer = [b'#'; 8];
    let mut page = Page::new(&mut buffer);

    assert!(page.write_str("a\nb\nc").is_ok());
    assert!(page.write_str("def").is_err());
    assert_eq!(page.len(), 4);
}

#[test]
fn numbers_are_those_of_kstrtoul() {
    use NumberError::{
        Malformed,
        Overflow, //
    };
    let cases: &[(&[u8], Result<u64, NumberError>)] = &[
        (b"0", Ok(0)),
        (b"5\n", Ok(5)),
        (b"+5", Ok(5)),
        (b"0x5", Ok(5)),
        (b"0Xff\n", Ok(255)),
        (b"0xFf", Ok(255)),
        (b"+0x10", Ok(16)),
        (b"010", Ok(8)),
        (b"00", Ok(0)),
        (b"255", Ok(255)),
        (b"18446744073709551615", Ok(u64::MAX)),
        (b"0xffffffffffffffff", Ok(u64::MAX)),
        (b"01777777777777777777777", Ok(u64::MAX)),
        (b"0x00000000000000000001", Ok(1)),
        (b"5\0junk", Ok(5)),
        (b"5\n\0", Ok(5)),
        (b"18446744073709551616", Err(Overflow)),
        (b"0x10000000000000000", Err(Overflow)),
        (b"02000000000000000000000", Err(Overflow)),
        (b"99999999999999999999junk", Err(Overflow)),
        (b"", Err(Malformed)),
        (b"\n", Err(Malformed)),
        (b"\0junk", Err(Malformed)),
        (b"+", Err(Malformed)),
        (b"++5", Err(Malformed)),
        (b"-1", Err(Malformed)),
        (b"+-1", Err(Malformed)),
        (b" 5", Err(Malformed)),
        (b"5 ", Err(Malformed)),
        (b"5\n\n", Err(Malformed)),
        (b"5\n6", Err(Malformed)),
        (b"5\r\n", Err(Malformed)),
        (b"0x", Err(Malformed)),
        (b"0xg", Err(Malformed)),
        (b"x5", Err(Malformed)),
        (b"08", Err(Malformed)),
        (b"5a", Err(Malformed)),
        (b"ff", Err(Malformed)),
        (b"0x+5", Err(Malformed)),
        (b"0x5,0x6", Err(Malformed)),
        (b"\xff", Err(Malformed)),
    ];

    for (text, expected) in cases {
        assert_eq!(
            parse_number(text),
            *expected,
            "{:?}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn a_short_mask_is_filled_up_on_the_right() {
    assert_eq!(parse_mask(b"0x41"), Some(mask(&[1, 7].into())));
    assert_eq!(parse_mask(b"0x8"), Some(mask(&[0].into())));
    assert_eq!(parse_mask(b"0x00000000000000008"), Some(mask(&[64].into())));
}

#[test]
fn garbage_is_no_mask() {
    let long = [b"0x".as_slice(), &[b'0'; 65]].concat();
    let cases: &[&[u8]] = &[
        b"", b"0x", b"x41", b"41", b"0X41", b"0x0x41", b"0x4 ", b" 0x4", b"0x4g", b"+0x41",
        b"-0x41", b"0x41\n", b"0x\xff", &long,
    ];

    for text in cases {
        assert_eq!(
            parse_mask(text),
            None,
            "{:?}",
            String::from_utf8_lossy(text)
        );
    }
    assert_eq!(parse_mask(&long[..66]), Some(Mask256::EMPTY));
}

#[test]
fn ap_config_takes_three_masks_and_nothing_else() {
    let cases: &[&[u8]] = &[
        b"0x8,0x01,0x4",
        b"0x8,0x01,0x4\n",
        b"0x8,0x01,0x4\0",
        b"0x8,0x01,0x4\n\0",
    ];
    for text in cases {
        assert_eq!(
            parse_ap_config(text, &ALL),
            Ok(matrix(&[0].into(), &[7].into(), &[1].into())),
            "{:?}",
            String::from_utf8_lossy(text)
        );
    }

    let cases: &[&[u8]] = &[
        b"",
        b"\n",
        b",,",
        b"0x8",
        b"0x8,0x8",
        b"0x8,0x8,",
        b"0x8,,0x8",
        b"0x8,0x8,0x8,",
        b"0x8,0x8,0x8,0x8",
        b"0x8,0x8,0x8\n\n",
        b"0x8,0x8,0x8\njunk",
        b"0x8,0x8,0x8\0junk",
        b"0x8,0x8,0x8junk",
        b"0x8, 0x8,0x8",
        b"0x8\n0x8\n0x8",
        b"0x8,0x8,+0x8",
        b"0x8,0x8,8",
    ];
    for text in cases {
        assert_eq!(
            parse_ap_config(text, &ALL),
            Err(ConfigError::Malformed),
            "{:?}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn ap_config_knows_the_hosts_maxima() {
    // Bit 4 is the last.
    let limits = Limits::with_apxa(4, 4);

    assert!(parse_ap_config(b"0xf8,0xf8,0xf8", &limits).is_ok());
    for text in [b"0x04,0xf8,0xf8", b"0xf8,0x04,0xf8", b"0xf8,0xf8,0x04"] {
        assert_eq!(parse_ap_config(text, &limits), Err(ConfigError::OutOfRange));
    }
}

/// What `_kstrtoull()` does, step by step over a NUL-terminated text.
fn kstrtoul(text: &[u8]) -> Result<u64, NumberError> {
    let at = |index: usize| text.get(index).copied().unwrap_or(0);
    let mut index = usize::from(at(0) == b'+');
    let mut base = 10;
    if at(index) == b'0' {
        base = 8;
        if at(index + 1).eq_ignore_ascii_case(&b'x') && at(index + 2).is_ascii_hexdigit() {
            base = 16;
            index += 2;
        }
    }
    let start = index;
    let mut value = 0u128;
    while let Some(digit) = (at(index) as char).to_digit(base) {
        value = (value * u128::from(base) + u128::from(digit)).min(u128::from(u64::MAX) + 1);
        index += 1;
    }
    if value > u128::from(u64::MAX) {
        return Err(NumberError::Overflow);
    }
    if at(index) == b'\n' && index > start {
        index += 1;
    }
    if index == start || at(index) != 0 {
        return Err(NumberError::Malformed);
    }
    Ok(value as u64)
}

proptest! {
    #[test]
    fn a_number_is_read_as_kstrtoul_reads_it(
        text in prop_oneof![
            "[+]{0,1}0{0,1}[xX]{0,1}[0-9a-fA-F]{0,24}\n{0,2}",
            "[-+0-9a-gxX\n\0 ]{0,8}",
        ],
    ) {
        prop_assert_eq!(parse_number(text.as_bytes()), kstrtoul(text.as_bytes()));
    }

    #[test]
    fn a_number_comes_back_from_each_of_its_spellings(number: u64) {
        for text in [format!("{number}"), format!("{number:#x}\n"), format!("+0{number:o}")] {
            prop_assert_eq!(parse_number(text.as_bytes()), Ok(number));
        }
    }

    #[test]
    fn no_bytes_upset_the_parsers(text: Vec<u8>) {
        let _ = parse_number(&text);
        let _ = parse_mask(&text);
        let _ = parse_ap_config(&text, &ALL);
    }

    #[test]
    fn ap_config_takes_what_it_shows(apids in bits(), apqis in bits(), domains in bits()) {
        let matrix = matrix(&apids, &apqis, &domains);

        prop_assert_eq!(
            parse_ap_config(shown(|out| write_ap_config(out, &matrix)).as_bytes(), &ALL),
            Ok(matrix)
        );
    }

    #[test]
    fn a_mask_is_its_digits(digits in "[0-9a-fA-F]{1,64}") {
        let bits: Bits = digits
            .chars()
            .enumerate()
            .flat_map(|(place, digit)| {
                (0..4)
                    .filter(move |bit| digit.to_digit(16).unwrap() & (8 >> bit) != 0)
                    .map(move |bit| (place * 4 + bit) as u8)
            })
            .collect();

        prop_assert_eq!(parse_mask(format!("0x{digits}").as_bytes()), Some(mask(&bits)));
    }

    #[test]
    fn ranges_have_every_bit_once(bits in bits()) {
        let text = Ranges { mask: mask(&bits), digits: 2 }.to_string();
        let numbers: Vec<u8> = text
            .split(',')
            .filter(|range| *range != "none")
            .flat_map(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                u8::from_str_radix(first, 16).unwrap()..=u8::from_str_radix(last, 16).unwrap()
            })
            .collect();

        prop_assert!(numbers.iter().eq(bits.iter()));
    }

    #[test]
    fn a_page_has_the_longest_run_of_whole_lines_that_fits(
        lines in prop::collection::vec("[a-z]{0,12}\n", 0..12),
        size in 0usize..100,
    ) {
        let mut buffer = vec![b'#'; size];
        let mut page = Page::new(&mut buffer);
        let mut cut = false;
        for line in &lines {
            // In pieces, as formatting does.
            let (left, right) = line.split_at(line.len() / 2);
            cut |= page.write_str(left).is_err() | page.write_str(right).is_err();
        }

        let mut expected = String::new();
        for line in &lines {
            if expected.len() + line.len() + 1 > size {
                break;
            }
            expected += line;
        }
        let len = page.len();
        prop_assert_eq!(page.is_empty(), expected.is_empty());
        prop_assert_eq!(cut, expected.len() < lines.concat().len());
        prop_assert_eq!(&buffer[..len], expected.as_bytes());
        // Nothing is written behind what sysfs may have.
        if let Some(last) = buffer.last() {
            prop_assert_eq!(*last, b'#');
        }
    }
}
