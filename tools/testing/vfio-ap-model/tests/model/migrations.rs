// SPDX-License-Identifier: GPL-2.0

//! Live migration: the stream, what is compatible, and the states of a device.

use proptest::{
    collection::vec,
    prelude::*, //
};
use vfio_ap_model::model::{
    migration::{
        compatible::{
            check,
            Mismatch,
            Property,
            QueueInfo, //
        },
        state::{
            Action,
            Failure,
            MigrationState,
            StateMachine,
            UnknownState, //
        },
        stream::{
            Encoder,
            Item,
            Parser,
            QueueState,
            Record,
            Refusal,
            Version,
            MAGIC, //
        },
    },
    *,
};

use super::common::*;

/// What a stream says, as lists.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Content {
    /// The last description: queues with their properties, and control domains.
    queues: Vec<(u16, u64)>,
    adm: Mask256,
    states: Vec<(u16, QueueState)>,
}

/// Something to write into a stream.
#[derive(Clone, Debug)]
struct Source {
    apm: Bits,
    aqm: Bits,
    adm: Bits,
    seed: u64,
}

impl Source {
    fn info(&self, apqn: u16) -> u64 {
        (self.seed ^ u64::from(apqn)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn state(&self, apqn: u16) -> QueueState {
        let random = self.info(apqn);

        QueueState {
            interrupts: (random & 1 == 0).then(|| {
                (
                    Nib::new(random | 1).unwrap(),
                    Isc::new((random >> 8) as u8 & 7).unwrap(),
                )
            }),
            has_requests: random & 2 == 0,
        }
    }

    fn content(&self) -> Content {
        let apqns: Vec<u16> = product(&self.apm, &self.aqm)
            .into_iter()
            .map(|(apid, apqi)| u16::from(apid) << 8 | u16::from(apqi))
            .collect();

        Content {
            queues: apqns.iter().map(|&apqn| (apqn, self.info(apqn))).collect(),
            adm: mask(&self.adm),
            states: apqns.iter().map(|&apqn| (apqn, self.state(apqn))).collect(),
        }
    }

    fn describe(&self, encoder: &mut Encoder, bytes: &mut Vec<u8>) {
        encoder
            .description(
                [mask(&self.apm), mask(&self.aqm), mask(&self.adm)],
                &mut |apqn| QueueInfo::from_raw(self.info(apqn.to_raw())),
                &mut to(bytes),
            )
            .unwrap();
    }

    /// The stream, the slow way.
    fn encode(&self, before: &[Source]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::begin(&mut to(&mut bytes)).unwrap();

        for source in before {
            source.describe(&mut encoder, &mut bytes);
        }
        self.describe(&mut encoder, &mut bytes);
        encoder
            .interrupts(
                [mask(&self.apm), mask(&self.aqm)],
                &mut |apqn| self.state(apqn.to_raw()),
                &mut to(&mut bytes),
            )
            .unwrap();
        encoder.end(&mut to(&mut bytes)).unwrap();
        bytes
    }

    /// The stream in version 1, by the offsets of its description.
    fn encode_one(&self) -> Vec<u8> {
        let content = self.content();
        let mut bytes = vec![0; 48 + 16 * content.queues.len()];

        bytes[0..4].copy_from_slice(&0x7666_6170u32.to_be_bytes());
        bytes[4..8].copy_from_slice(&1u32.to_be_bytes());
        bytes[8..12].copy_from_slice(&(content.queues.len() as u32).to_be_bytes());
        for (i, word) in content.adm.words().iter().enumerate() {
            bytes[16 + 8 * i..24 + 8 * i].copy_from_slice(&word.to_be_bytes());
        }
        for (i, (apqn, info)) in content.queues.iter().enumerate() {
            bytes[48 + 16 * i..56 + 16 * i].copy_from_slice(&info.to_be_bytes());
            bytes[56 + 16 * i..58 + 16 * i].copy_from_slice(&apqn.to_be_bytes());
        }
        bytes
    }
}

fn to(bytes: &mut Vec<u8>) -> impl FnMut(&[u8]) -> Result<(), ()> + '_ {
    |more| {
        bytes.extend_from_slice(more);
        Ok(())
    }
}

fn sources() -> impl Strategy<Value = Source> {
    (near_bits(), near_bits(), near_bits(), any::<u64>()).prop_map(|(apm, aqm, adm, seed)| Source {
        apm,
        aqm,
        adm,
        seed,
    })
}

/// The same with a few queues, for tests that read it as often as it has bits.
fn small_sources() -> impl Strategy<Value = Source> {
    let bits = || proptest::collection::btree_set(any::<u8>(), 0..4);

    (bits(), bits(), bits(), any::<u64>()).prop_map(|(apm, aqm, adm, seed)| Source {
        apm,
        aqm,
        adm,
        seed,
    })
}

/// Reads what comes in pieces, and returns what it says, if it is complete.
fn read<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<(Version, Content)>, Refusal> {
    let mut parser = Parser::new();
    let mut content = Content::default();
    let mut announced = 0;
    let mut complete = None;
    let mut length = 0;

    for piece in pieces {
        let mut rest = piece;

        length += piece.len() as u64;
        while let Some(item) = parser.next(&mut rest)? {
            assert_eq!(complete, None);
            match item {
                Item::Description { queues } => {
                    content = Content::default();
                    announced = queues as usize;
                }
                Item::Queue(apqn, info) => content.queues.push((apqn.to_raw(), info.to_raw())),
                Item::Described { apm, aqm, adm } => {
                    let set: Vec<u16> = ApqnSet::product(apm, aqm)
                        .iter()
                        .map(|apqn| apqn.to_raw())
                        .collect();
                    let listed: Vec<u16> = content.queues.iter().map(|(apqn, _)| *apqn).collect();

                    assert_eq!(set, listed);
                    assert_eq!(listed.len(), announced);
                    content.adm = adm;
                }
                Item::State(apqn, state) => content.states.push((apqn.to_raw(), state)),
                Item::Complete(version) => complete = Some(version),
            }
        }
        assert!(rest.is_empty());
        assert_eq!(parser.position(), length);
    }
    assert_eq!(parser.is_complete(), complete.is_some());
    Ok(complete.map(|version| (version, content)))
}

fn whole(bytes: &[u8]) -> Result<Option<(Version, Content)>, Refusal> {
    read([bytes])
}

fn small() -> Source {
    Source {
        apm: [3, 0x80].into(),
        aqm: [0, 0x47, 0xff].into(),
        adm: [0x47].into(),
        seed: 11,
    }
}

/// Makes the checksum of the record right that begins at `at` and has a body of `length`.
fn seal(bytes: &mut [u8], at: usize, length: usize) {
    let mut crc = u32::MAX;

    for byte in &bytes[at..at + 8 + length] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
        }
    }
    bytes[at + 8 + length..at + 12 + length].copy_from_slice(&(!crc).to_be_bytes());
}

/// The refusal of the small stream of version 2, after `change` and with right checksums.
fn refusal_of(change: impl FnOnce(&mut Vec<u8>)) -> Refusal {
    let mut bytes = small().encode(&[]);

    // Head 8; description 8 + 40 + 6 * 16 + 8; interrupts 8 + 8 + 6 * 16 + 8; end 8 + 8 + 8.
    assert_eq!(bytes.len(), 8 + 152 + 120 + 24);
    change(&mut bytes);
    if bytes.len() >= 304 {
        seal(&mut bytes, 8, 136);
        seal(&mut bytes, 160, 104);
        seal(&mut bytes, 280, 8);
    }
    whole(&bytes).unwrap_err()
}

#[test]
fn the_stream_is_as_documented() {
    // Documentation/arch/s390/vfio-ap-migration.rst has this very stream.
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&mut to(&mut bytes)).unwrap();
    let one = |bit| mask(&[bit].into());

    encoder
        .description(
            [one(3), one(0x47), one(0x47)],
            &mut |_| QueueInfo::from_raw(0x7280_0000_0e00_0000),
            &mut to(&mut bytes),
        )
        .unwrap();
    encoder
        .interrupts(
            [one(3), one(0x47)],
            &mut |_| QueueState {
                interrupts: Some((Nib::new(0x1ff_f2c8).unwrap(), Isc::new(3).unwrap())),
                has_requests: true,
            },
            &mut to(&mut bytes),
        )
        .unwrap();
    encoder.end(&mut to(&mut bytes)).unwrap();

    let text: String = bytes
        .chunks(8)
        .map(|row| {
            row.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                + "\n"
        })
        .collect();
    let documented = include_str!("../../../../../Documentation/arch/s390/vfio-ap-migration.rst");
    let documented: String = documented
        .split("a stream with one queue::\n\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(|digits| digits.to_owned() + "\n")
        .collect();

    assert_eq!(text, documented);
    assert_eq!(bytes.len() as u64, Encoder::length(1));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        source in sources(),
        before in vec(sources(), 0..3),
        cuts in vec(1usize..64, 1..8),
    ) {
        let bytes = source.encode(&before);
        let expected = Ok(Some((Version::Two, source.content())));
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];

        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));

            pieces.push(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&whole(&bytes), &expected);
        prop_assert_eq!(&read(bytes.chunks(1)), &expected);
        prop_assert_eq!(&read(pieces), &expected);
        if before.is_empty() {
            let queues = source.content().queues.len() as u32;

            prop_assert_eq!(bytes.len() as u64, Encoder::length(queues));
        }
    }

    #[test]
    fn version_1_is_read(source in sources()) {
        let bytes = source.encode_one();
        let expected = Content { states: Vec::new(), ..source.content() };

        prop_assert_eq!(whole(&bytes), Ok(Some((Version::One, expected.clone()))));
        prop_assert_eq!(read(bytes.chunks(1)), Ok(Some((Version::One, expected))));
    }

    #[test]
    fn a_stream_that_is_cut_is_not_complete(source in small_sources()) {
        for bytes in [source.encode(&[]), source.encode_one()] {
            for length in 0..bytes.len() {
                prop_assert_eq!(whole(&bytes[..length]), Ok(None));
            }
        }
    }

    #[test]
    fn a_changed_bit_is_refused(source in small_sources(), before in vec(small_sources(), 0..2)) {
        let bytes = source.encode(&before);

        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();

            changed[bit / 8] ^= 0x80 >> (bit % 8);
            // A length that has become larger may need more than there is.
            prop_assert!(!matches!(whole(&changed), Ok(Some(_))), "bit {}", bit);
        }
    }

    #[test]
    fn what_follows_is_refused(source in sources(), byte: u8) {
        for mut bytes in [source.encode(&[]), source.encode_one()] {
            let at = bytes.len() as u64;

            bytes.push(byte);
            prop_assert_eq!(whole(&bytes), Err(Refusal::Trailing { at }));
            prop_assert_eq!(read(bytes.chunks(1)), Err(Refusal::Trailing { at }));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in vec(any::<u8>(), 0..400), version in 0u32..4) {
        let _ = whole(&bytes);
        // Deeper into it.
        if bytes.len() >= 12 {
            bytes[0..4].copy_from_slice(&MAGIC.to_be_bytes());
            bytes[4..8].copy_from_slice(&version.to_be_bytes());
            bytes[8..12].copy_from_slice(&1u32.to_be_bytes());
            let _ = whole(&bytes);
        }
    }

    #[test]
    fn pieces_of_a_stream_in_any_order_are_read_or_refused(
        source in sources(),
        from in 0usize..400,
        to in 0usize..400,
        length in 0usize..64,
    ) {
        let mut bytes = source.encode(&[]);
        let last = bytes.len();
        let (from, to) = (from % last, to % last);

        bytes.copy_within(from..(from + length).min(last), to.min(last - length.min(last - from)));
        if let Ok(Some((version, content))) = whole(&bytes) {
            prop_assert_eq!((version, content), (Version::Two, source.content()));
        }
    }

    #[test]
    fn a_refusal_is_final(source in sources(), bytes in vec(any::<u8>(), 0..64)) {
        let mut parser = Parser::new();
        let mut stream = &source.encode(&[])[..];
        let refusal = parser.next(&mut &b"foreign!"[..]).unwrap_err();

        prop_assert_eq!(parser.next(&mut stream), Err(refusal));
        prop_assert_eq!(parser.next(&mut &bytes[..]), Err(refusal));
        prop_assert!(!parser.is_complete());
    }

    #[test]
    fn an_entry_out_of_order_is_refused(source in sources(), from: usize, to: usize) {
        let mut bytes = source.encode_one();
        let queues = source.content().queues.len();

        if queues != 0 {
            let (from, to) = (48 + 16 * (from % queues), 48 + 16 * (to % queues));
            let entry = bytes[from..from + 16].to_owned();

            bytes[to..to + 16].copy_from_slice(&entry);
            prop_assert_eq!(whole(&bytes).is_ok(), from == to);
        }
    }

    #[test]
    fn only_rectangles_are_accepted(queues in proptest::collection::btree_set(0u16..16, 0..10)) {
        // Four adapters of four domains.
        let queues: Vec<u16> = queues.iter().map(|bits| (bits & 12) << 6 | (bits & 3)).collect();
        let mut bytes = Source { apm: [].into(), aqm: [].into(), adm: [].into(), seed: 0 }
            .encode_one();
        let apm: Bits = queues.iter().map(|apqn| (apqn >> 8) as u8).collect();
        let aqm: Bits = queues.iter().map(|apqn| *apqn as u8).collect();

        bytes[8..12].copy_from_slice(&(queues.len() as u32).to_be_bytes());
        for apqn in &queues {
            bytes.extend_from_slice(&[0; 8]);
            bytes.extend_from_slice(&apqn.to_be_bytes());
            bytes.extend_from_slice(&[0; 6]);
        }
        match whole(&bytes) {
            Ok(read) => {
                prop_assert!(read.is_some());
                prop_assert_eq!(queues.len(), apm.len() * aqm.len());
            }
            Err(refusal) => {
                prop_assert!(matches!(refusal, Refusal::NotRectangle { .. }), "{:?}", refusal);
                prop_assert_ne!(queues.len(), apm.len() * aqm.len());
            }
        }
    }

    #[test]
    fn properties_are_where_the_architecture_has_them(raw: u64) {
        // struct ap_tapq_hwinfo of arch/s390/include/asm/ap.h.
        let expected = [
            (Property::SpecialCommand, raw >> 63 & 1),
            (Property::Me4096, raw >> 62 & 1),
            (Property::Crt4096, raw >> 61 & 1),
            (Property::Mode, raw >> 58 & 7),
            (Property::ExtendedAddressing, raw >> 57 & 1),
            (Property::CommandFiltering, raw >> 56 & 1),
            (Property::Classification, raw >> 48 & 0xff),
            (Property::Binding, raw >> 46 & 3),
            (Property::Type, raw >> 24 & 0xff),
        ];

        prop_assert_eq!(expected.len(), Property::ALL.len());
        for (property, value) in expected {
            prop_assert_eq!(u64::from(QueueInfo::from_raw(raw).get(property)), value);
        }
    }

    #[test]
    fn what_a_guest_does_not_see_may_differ(raw: u64, other: u64) {
        // Bound to nobody; the bits that are nothing that a guest relies on.
        const REST: u64 = !0xffff_c000_ff00_0000;
        let raw = raw & !0xc000_0000_0000;
        let target = raw & !REST | other & REST;

        prop_assert_eq!(check(QueueInfo::from_raw(raw), QueueInfo::from_raw(target)), Ok(()));
    }
}

#[test]
fn every_refusal_names_what_was_found() {
    let refusals = [
        (
            refusal_of(|bytes| bytes[0] = 0),
            Refusal::Magic { found: 0x0066_6170 },
        ),
        (
            refusal_of(|bytes| bytes[7] = 3),
            Refusal::Version { found: 3 },
        ),
        (
            refusal_of(|bytes| bytes[7] = 0),
            Refusal::Version { found: 0 },
        ),
        (
            refusal_of(|bytes| bytes[11] = 9),
            Refusal::Record { found: 9, at: 8 },
        ),
        // The interrupts before the description, and the end before the interrupts.
        (
            refusal_of(|bytes| bytes[11] = 2),
            Refusal::Record { found: 2, at: 8 },
        ),
        (
            refusal_of(|bytes| bytes[163] = 3),
            Refusal::Record { found: 3, at: 160 },
        ),
        // Interrupts twice.
        (
            refusal_of(|bytes| bytes[283] = 2),
            Refusal::Record { found: 2, at: 280 },
        ),
        (
            refusal_of(|bytes| bytes[15] += 8),
            Refusal::Length {
                record: Record::Description,
                found: 144,
            },
        ),
        (
            refusal_of(|bytes| bytes[12] = 0x7f),
            Refusal::Length {
                record: Record::Description,
                found: 0x7f00_0088,
            },
        ),
        (
            refusal_of(|bytes| bytes[287] = 16),
            Refusal::Length {
                record: Record::End,
                found: 16,
            },
        ),
        (
            refusal_of(|bytes| bytes[19] = 7),
            Refusal::Queues {
                found: 7,
                expected: 6,
            },
        ),
        (
            refusal_of(|bytes| bytes[167] = 88),
            Refusal::Queues {
                found: 5,
                expected: 6,
            },
        ),
        (
            refusal_of(|bytes| bytes[171] = 5),
            Refusal::Queues {
                found: 5,
                expected: 6,
            },
        ),
        (
            refusal_of(|bytes| bytes[23] = 1),
            Refusal::Reserved { at: 16 },
        ),
        (
            refusal_of(|bytes| bytes[71] = 1),
            Refusal::Reserved { at: 56 },
        ),
        (
            refusal_of(|bytes| bytes[175] = 1),
            Refusal::Reserved { at: 168 },
        ),
        (
            refusal_of(|bytes| bytes[191] = 1),
            Refusal::Reserved { at: 176 },
        ),
        (
            refusal_of(|bytes| bytes[186] |= 1),
            Refusal::Reserved { at: 176 },
        ),
        (
            refusal_of(|bytes| bytes[159] = 1),
            Refusal::Reserved { at: 152 },
        ),
        (
            refusal_of(|bytes| bytes[81] = 0),
            Refusal::Duplicate { apqn: apqn(3, 0) },
        ),
        (
            refusal_of(|bytes| bytes[96] = 2),
            Refusal::Order {
                apqn: apqn(2, 0xff),
                after: apqn(3, 0x47),
            },
        ),
        // Another domain in the second adapter, and one that is missing at the end.
        (
            refusal_of(|bytes| bytes[129] = 0x46),
            Refusal::NotRectangle {
                apqn: apqn(0x80, 0x46),
            },
        ),
        (
            refusal_of(|bytes| bytes[144] = 0x81),
            Refusal::NotRectangle {
                apqn: apqn(0x80, 0xff),
            },
        ),
        (
            refusal_of(|bytes| bytes[184] = 4),
            Refusal::OtherQueue {
                found: apqn(4, 0),
                expected: apqn(3, 0),
            },
        ),
        (
            refusal_of(|bytes| bytes[281] = 1),
            Refusal::Record {
                found: 0x0001_0003,
                at: 280,
            },
        ),
        (
            refusal_of(|bytes| bytes[295] = 0),
            Refusal::Total {
                found: 256,
                expected: 280,
            },
        ),
        (
            whole(&{
                let mut bytes = small().encode(&[]);

                bytes[156] = 0;
                bytes[155] = 0;
                bytes[154] = 0;
                bytes[153] = 0;
                bytes[152] = 0;
                bytes
            })
            .map_err(|refusal| match refusal {
                Refusal::Checksum { record, found, .. } => Refusal::Checksum {
                    record,
                    found,
                    expected: 0,
                },
                other => other,
            })
            .unwrap_err(),
            Refusal::Checksum {
                record: Record::Description,
                found: 0,
                expected: 0,
            },
        ),
    ];

    for (found, expected) in refusals {
        assert_eq!(found, expected);
        assert!(found.to_string().len() > 10);
    }
}

#[test]
fn an_indicator_byte_and_a_subclass_fit_the_state() {
    let on = |bytes: &mut Vec<u8>, nib: u8, isc: u8, flags: u8| {
        bytes[176..184].fill(0);
        bytes[183] = nib;
        bytes[186] = flags;
        bytes[187] = isc;
    };
    let impossible = |nib, isc| Refusal::Interrupts {
        apqn: apqn(3, 0),
        nib,
        isc,
    };

    assert_eq!(refusal_of(|bytes| on(bytes, 0, 3, 0x80)), impossible(0, 3));
    assert_eq!(refusal_of(|bytes| on(bytes, 8, 8, 0x80)), impossible(8, 8));
    assert_eq!(refusal_of(|bytes| on(bytes, 8, 0, 0x40)), impossible(8, 0));
    assert_eq!(refusal_of(|bytes| on(bytes, 0, 3, 0)), impossible(0, 3));
}

#[test]
fn a_stream_of_version_1_has_reserved_bytes_and_a_limit() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = small().encode_one();

        change(&mut bytes);
        whole(&bytes).unwrap_err()
    };

    assert_eq!(refused(&|bytes| bytes[12] = 1), Refusal::Reserved { at: 8 });
    assert_eq!(
        refused(&|bytes| bytes[63] = 1),
        Refusal::Reserved { at: 48 }
    );
    assert_eq!(
        refused(&|bytes| bytes[8..12].copy_from_slice(&65537u32.to_be_bytes())),
        Refusal::Queues {
            found: 65537,
            expected: 65536,
        }
    );
}

#[test]
fn all_queues_there_can_be_are_written_and_read() {
    let source = Source {
        apm: (0..=255).collect(),
        aqm: (0..=255).collect(),
        adm: (0..=255).collect(),
        seed: 5,
    };

    assert_eq!(
        whole(&source.encode(&[])),
        Ok(Some((Version::Two, source.content())))
    );
}

#[test]
fn the_checksum_is_the_well_known_one() {
    // CRC-32C of "123456789" is e3069283: the record of a stream that has these bytes would be
    // refused, so that the one of the empty description is compared with a second implementation.
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&mut to(&mut bytes)).unwrap();
    let none = Source {
        apm: [].into(),
        aqm: [].into(),
        adm: [].into(),
        seed: 0,
    };

    none.describe(&mut encoder, &mut bytes);
    let mut sealed = bytes.clone();
    seal(&mut sealed, 8, 40);
    assert_eq!(bytes, sealed);

    let mut known = *b"12345678\x39____";
    seal(&mut known, 0, 1);
    assert_eq!(known[9..], 0xe306_9283u32.to_be_bytes());
}

#[test]
fn a_property_that_differs_is_named() {
    const CEX8: u64 = 0x7280_0000_0e00_0000;
    let info = QueueInfo::from_raw;
    let refused = |target, property, source, found| {
        assert_eq!(
            check(info(CEX8), info(target)),
            Err(Mismatch {
                property,
                source,
                target: found,
            })
        );
    };

    assert_eq!(check(info(CEX8), info(CEX8)), Ok(()));
    refused(CEX8 | 1 << 63, Property::SpecialCommand, 0, 1);
    refused(CEX8 & !(1 << 62), Property::Me4096, 1, 0);
    refused(CEX8 & !(1 << 61), Property::Crt4096, 1, 0);
    refused(CEX8 ^ 6 << 58, Property::Mode, 4, 2);
    refused(CEX8 ^ 5 << 58, Property::Mode, 4, 1);
    refused(CEX8 & !(1 << 57), Property::ExtendedAddressing, 1, 0);
    refused(CEX8 | 1 << 56, Property::CommandFiltering, 0, 1);
    refused(CEX8 ^ 0xc0 << 48, Property::Classification, 0x80, 0x40);
    refused(CEX8 | 1 << 46, Property::Binding, 0, 1);
    refused(CEX8 - (1 << 24), Property::Type, 14, 13);
    assert_eq!(check(info(CEX8), info(CEX8 + (1 << 24))), Ok(()));

    // A stateless queue's guest does not miss anything in a full one.
    assert_eq!(check(info(CEX8 ^ 0xc0 << 48), info(CEX8)), Ok(()));
    // Bound on both sides is not the same.
    let bound = CEX8 | 1 << 47;
    assert_eq!(
        check(info(bound), info(bound)).map_err(|mismatch| mismatch.property),
        Err(Property::Binding)
    );
    for mismatch in [
        check(info(CEX8), info(CEX8 - (1 << 24))),
        check(info(CEX8), info(CEX8 ^ 6 << 58)),
    ] {
        println!("{}", mismatch.unwrap_err());
    }
}

const STATES: [MigrationState; 6] = [
    MigrationState::Error,
    MigrationState::Stop,
    MigrationState::Running,
    MigrationState::StopCopy,
    MigrationState::Resuming,
    MigrationState::PreCopy,
];

#[test]
fn states_have_their_numbers() {
    for number in 0..9 {
        let expected = STATES.into_iter().find(|state| *state as u32 == number);

        assert_eq!(
            MigrationState::try_from(number),
            expected.ok_or(UnknownState(number))
        );
    }
}

#[test]
fn the_arcs_are_those_of_a_device_that_can_pre_copy() {
    // What the comment on vfio_mig_get_next_state() in drivers/vfio/vfio_main.c asks for, with
    // pre-copy and without peer-to-peer.
    use MigrationState::*;
    let arcs = [
        (Running, Stop),
        (Stop, Running),
        (Resuming, Stop),
        (Stop, Resuming),
        (Stop, StopCopy),
        (StopCopy, Stop),
        (Running, PreCopy),
        (PreCopy, Running),
        (PreCopy, StopCopy),
    ];
    let mut actions = std::collections::HashSet::new();

    for from in STATES {
        for to in STATES {
            let action = Action::on_arc(from, to);

            assert_eq!(
                action.is_some(),
                arcs.contains(&(from, to)),
                "{from:?} {to:?}"
            );
            if let Some(action) = action {
                assert!(actions.insert(action));
                // What a file is for can be read or written in the state that it is made for.
                assert_eq!(
                    action.makes_file(),
                    matches!(
                        (from, to),
                        (Running, PreCopy) | (Stop, StopCopy) | (Stop, Resuming)
                    )
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn a_device_is_where_the_last_arc_that_ended_well_leads(
        steps in vec((0usize..6, 0..4u8), 0..40),
    ) {
        let mut machine = StateMachine::new();
        let mut state = MigrationState::Running;

        for (to, how) in steps {
            let to = STATES[to];
            let arc = Action::on_arc(state, to).is_some();

            prop_assert_eq!(machine.action(to).is_some(), arc);
            match how {
                0 => {
                    machine.ended(to, Ok(()));
                    state = if arc { to } else { state };
                }
                1 => machine.ended(to, Err(Failure::Undone)),
                2 => {
                    machine.ended(to, Err(Failure::Stuck));
                    state = if arc { MigrationState::Error } else { state };
                }
                _ => {
                    machine.reset();
                    state = MigrationState::Running;
                }
            }
            prop_assert_eq!(machine.state(), state);
        }
    }
}
