// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the model.
//!
//! A crate of their own, so that they need neither AP nor KVM. Outside of a kernel, where they are
//! compiled with `cfg(test)`, they are ordinary tests of the crate that has the model.

#[cfg(not(test))]
pub mod model;

#[cfg(test)]
use crate::model;

use self::model::{
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
            StateMachine, //
        },
        stream::{
            Encoder,
            Item,
            Parser,
            QueueState,
            Refusal,
            Version, //
        },
    },
    text::{
        parse_ap_config,
        parse_mask,
        parse_number,
        write_ap_config,
        write_control_domains,
        write_matrix, //
    },
    *, //
};
#[cfg(not(test))]
use kernel::prelude::*;

#[cfg(not(test))]
type Rows = KBox<AdapterRows>;

#[cfg(not(test))]
fn rows() -> Result<Rows> {
    KBox::init(pin_init::init_array_from_fn(|_| Mask256::EMPTY), GFP_KERNEL)
}

#[cfg(not(test))]
fn owner_rows() -> Result<KVBox<OwnerRows>> {
    KVBox::init(
        pin_init::init_array_from_fn(|_| pin_init::init_array_from_fn(|_| OwnerId::default())),
        GFP_KERNEL,
    )
}

/// Returns the value, or ends the test with an error.
#[cfg(not(test))]
fn some<T>(value: Option<T>) -> Result<T> {
    value.ok_or(EINVAL)
}

#[cfg(test)]
use self::outside::*;

/// Stands in for the kernel crate outside of a kernel.
#[cfg(test)]
mod outside {
    extern crate std;

    use super::model::*;
    use std::boxed::Box;

    pub(super) type Result<T = ()> = core::result::Result<T, ()>;
    pub(super) type Rows = Box<AdapterRows>;

    pub(super) fn rows() -> Result<Rows> {
        Ok(Box::new([Mask256::EMPTY; 256]))
    }

    pub(super) fn owner_rows() -> Result<Box<OwnerRows>> {
        Ok(Box::new([[OwnerId::default(); 256]; 256]))
    }

    pub(super) fn some<T>(value: Option<T>) -> Result<T> {
        value.ok_or(())
    }
}

const ALL: Limits = Limits::with_apxa(255, 255);

fn mask(bits: &[u8]) -> Mask256 {
    let mut mask = Mask256::EMPTY;

    for bit in bits {
        mask.set(*bit);
    }
    mask
}

/// The queue of an adapter in a domain.
fn apqn(apid: u8, apqi: u8) -> Result<Apqn> {
    some(ALL.apqn(u16::from(apid) << 8 | u16::from(apqi)).ok())
}

fn matrix(apids: &[u8], apqis: &[u8], domains: &[u8]) -> Result<Matrix> {
    some(Matrix::from_masks(mask(apids), mask(apqis), mask(domains), &ALL).ok())
}

/// A host with APXA that has these adapters and domains, all of the latter for control, too.
fn host(apids: &[u8], apqis: &[u8]) -> HostConfig {
    HostConfig::from_qci(
        0x4000_0000,
        255,
        255,
        mask(apids).to_halves(),
        mask(apqis).to_halves(),
        mask(apqis).to_halves(),
    )
}

/// A table in which these queues, by adapter and domain, were reset.
fn passable(queues: &[(u8, u8)]) -> Result<PassableTable<Rows>> {
    let mut table = PassableTable::new(rows()?);

    for &(apid, apqi) in queues {
        table.record(apqn(apid, apqi)?, ResetOutcome::Completed);
    }
    Ok(table)
}

fn status(code: u8) -> StatusWord {
    StatusWord::from_raw(u32::from(code) << 16)
}

/// Tells whether what `write` writes on a page is `expected`.
fn writes(expected: &[u8], write: impl FnOnce(&mut Page<'_>) -> core::fmt::Result) -> bool {
    let mut buffer = [b'#'; 512];
    let mut page = Page::new(&mut buffer);
    let is_written = write(&mut page).is_ok();
    let len = page.len();

    is_written && buffer.get(..len) == Some(expected)
}

/// A stream in memory.
struct Stream {
    bytes: [u8; 256],
    len: usize,
}

impl Stream {
    /// Writes a stream about the queue 04.0047, whose interrupts are enabled.
    fn new() -> Option<Stream> {
        let mut this = Stream {
            bytes: [0; 256],
            len: 0,
        };
        let state = QueueState {
            interrupts: Some((Nib::new(0x1234)?, Isc::new(3)?)),
            has_requests: true,
        };
        let mut emit = |bytes: &[u8]| this.append(bytes);
        let (apm, aqm) = (mask(&[4]), mask(&[0x47]));
        let mut encoder = Encoder::begin(&mut emit).ok()?;

        encoder
            .description(
                [apm, aqm, mask(&[])],
                &mut |_| QueueInfo::from_raw(INFO),
                &mut emit,
            )
            .ok()?;
        encoder
            .interrupts([apm, aqm], &mut |_| state, &mut emit)
            .ok()?;
        encoder.end(&mut emit).ok()?;
        Some(this)
    }

    fn append(&mut self, bytes: &[u8]) -> core::result::Result<(), ()> {
        let end = self.len + bytes.len();

        self.bytes
            .get_mut(self.len..end)
            .ok_or(())?
            .copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The properties of a CEX8 in CCA mode.
const INFO: u64 = 0x3080_0000_0e00_0000;

/// Reads a stream in pieces of this length; none if it is refused or not complete.
fn read(bytes: &[u8], length: usize) -> Option<(u32, Option<Apqn>, Option<QueueState>)> {
    let mut parser = Parser::new();
    let (mut items, mut queue, mut state) = (0, None, None);

    for mut piece in bytes.chunks(length) {
        while let Some(item) = parser.next(&mut piece).ok()? {
            items += 1;
            match item {
                Item::Queue(apqn, info) if info.to_raw() == INFO => queue = Some(apqn),
                Item::State(apqn, found) if queue == Some(apqn) => state = Some(found),
                _ => (),
            }
        }
    }
    parser.is_complete().then_some((items, queue, state))
}

#[cfg_attr(not(test), kunit_tests(vfio_ap_model))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_the_hosts_range() {
        let without = Limits::WITHOUT_APXA;

        assert_eq!(without.apid(63).map(Apid::get), Ok(63));
        assert_eq!(without.apid(64), Err(OutOfRange));
        assert_eq!(without.apqi(15).map(Apqi::get), Ok(15));
        assert_eq!(without.apqi(16), Err(OutOfRange));
        assert_eq!(without.apqn(0x3f0f).map(Apqn::to_raw), Ok(0x3f0f));
        assert_eq!(without.apqn(0x3f10), Err(OutOfRange));
        assert_eq!(without.apqn(0x400f), Err(OutOfRange));
        assert_eq!(ALL.apid(256), Err(OutOfRange));
        assert_eq!(ALL.apid(1 << 32), Err(OutOfRange));
    }

    #[test]
    fn bit_0_is_the_leftmost() {
        assert_eq!(mask(&[0]).words(), &[1 << 63, 0, 0, 0]);
        assert_eq!(mask(&[63, 64]).words(), &[1, 1 << 63, 0, 0]);
        assert_eq!(mask(&[255]).words(), &[0, 0, 0, 1]);
        assert_eq!(mask(&[32]).to_halves(), [0, 1 << 31, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            Mask256::from_halves(mask(&[1, 130]).to_halves()),
            mask(&[1, 130])
        );
    }

    #[test]
    fn masks_are_sets() {
        let mut changing = mask(&[1, 2]);

        assert!(changing.set(64));
        assert!(!changing.set(64));
        assert!(changing.clear(1));
        assert!(!changing.clear(1));
        assert_eq!(changing, mask(&[2, 64]));
        assert!(changing.iter().eq([2, 64]));
        assert_eq!(changing.first(), Some(2));
        assert_eq!(changing & mask(&[1, 64]), mask(&[64]));
        assert_eq!(changing | mask(&[1]), mask(&[1, 2, 64]));
        assert_eq!(changing.and_not(mask(&[2])), mask(&[64]));
        assert!(mask(&[2]).is_subset_of(changing));
        assert!(!mask(&[1, 2]).is_subset_of(changing));
        assert_eq!(Mask256::up_to(255).count(), 256);
        assert_eq!(Mask256::up_to(64), Mask256::up_to(63) | mask(&[64]));
    }

    #[test]
    fn status_words_are_the_architectures() {
        let word = StatusWord::from_raw(0x8107_0000);

        assert!(word.queue_empty() && word.irq_enabled());
        assert!(!word.queue_full() && !word.replies_waiting());
        assert_eq!(word.response(), Ok(ResponseCode::OtherwiseChanged));
        assert_eq!(status(0x42).response(), Ok(ResponseCode::InvalidDomain));
        assert_eq!(status(0x77).response(), Err(UnknownResponseCode(0x77)));
        assert_eq!(StatusWord::with_response(ResponseCode::Busy), status(0x05));
    }

    #[test]
    fn a_notification_byte_is_never_at_0() {
        assert_eq!(
            AqicRequest::decode(1 << 47 | 3, 0x1fff),
            AqicRequest::Enable {
                gisc: AqicControl::from_raw(3).isc(),
                nib: Nib::new(0x1fff),
            }
        );
        assert_eq!(Nib::new(0x1fff).map(Nib::page), Some(0x1000));
        assert_eq!(Nib::new(0x1fff).map(Nib::offset), Some(0xfff));
        assert_eq!(Nib::new(0), None);
        assert_eq!(AqicRequest::decode(3, 0x1fff), AqicRequest::Disable);
    }

    #[test]
    fn a_disable_is_done_when_it_was_accepted_and_seen() {
        let mut disable = IrqDisable::new();

        assert_eq!(disable.polled(status(0x00)), Next::Request);
        assert_eq!(disable.requested(status(0x05)), Next::Request);
        assert_eq!(disable.requested(status(0x00)), Next::Poll);
        assert_eq!(
            disable.polled(StatusWord::from_raw(0x0100_0000)),
            Next::Poll
        );
        assert_eq!(
            disable.polled(status(0x00)),
            Next::Done(DisableVerdict::Quiesced)
        );
    }

    #[test]
    fn a_reset_is_done_when_it_was_accepted_and_seen() {
        let mut reset = Reset::new();

        assert_eq!(reset.polled(status(0x00)), Next::Request);
        assert_eq!(reset.requested(status(0x02)), Next::Poll);
        assert_eq!(reset.polled(status(0x00)), Next::Request);
        assert_eq!(reset.requested(status(0x00)), Next::Poll);
        assert_eq!(reset.polled(status(0x02)), Next::Poll);
        assert_eq!(
            reset.polled(status(0x00)),
            Next::Done(ResetOutcome::Completed)
        );
        assert!(ResetOutcome::Deconfigured.is_clean());
        assert!(!ResetOutcome::Gone.is_clean() && ResetOutcome::Gone.is_quiesced());
        assert!(!ResetOutcome::Unexpected(0x77).is_quiesced());
    }

    #[test]
    fn an_orphan_is_at_rest_when_a_reset_was_seen_to_end() {
        let mut orphan = Orphan::new(None, None);

        assert!(!orphan.polled(status(0x00)));
        assert!(!orphan.polled(status(0x02)));
        assert!(orphan.polled(status(0x00)));
        assert!(Orphan::new(None, None).polled(status(0x01)));
    }

    #[test]
    fn an_apqn_has_one_owner() -> Result {
        let mut table = OwnershipTable::new(rows()?, owner_rows()?);
        let both = ApqnSet::product(mask(&[4, 5]), mask(&[6]));
        let one = ApqnSet::product(mask(&[5]), mask(&[6, 7]));

        assert_eq!(table.try_claim(&both, OwnerId(1)), Ok(()));
        assert_eq!(
            table.try_claim(&one, OwnerId(2)),
            Err(Conflict {
                apqn: apqn(5, 6)?,
                owner: OwnerId(1),
            })
        );
        // Nothing of it was claimed.
        assert_eq!(table.owner(apqn(5, 7)?), None);
        table.release(&both);
        assert_eq!(table.try_claim(&one, OwnerId(2)), Ok(()));
        assert_eq!(table.first_owned(&one), Some((apqn(5, 6)?, OwnerId(2))));
        Ok(())
    }

    #[test]
    fn an_adapter_is_passed_with_all_its_queues_or_not_at_all() -> Result {
        // Queue 05.0002 was not reset.
        let table = passable(&[(4, 1), (4, 2), (5, 1)])?;
        let assigned = matrix(&[4, 5], &[1, 2], &[2, 3])?;
        let guest = GuestMatrix::filter(&assigned, &host(&[4, 5, 6], &[1, 2]), &table);

        assert_eq!(guest.apm(), mask(&[4]));
        assert_eq!(guest.aqm(), mask(&[1, 2]));
        assert_eq!(guest.adm(), mask(&[2]));
        assert!(guest.contains(apqn(4, 2)?));
        assert!(!guest.contains(apqn(5, 1)?));
        Ok(())
    }

    #[test]
    fn a_domain_that_the_host_lacks_costs_no_adapter() -> Result {
        let assigned = matrix(&[4], &[1, 2], &[])?;
        let guest = GuestMatrix::filter(&assigned, &host(&[4], &[1]), &passable(&[(4, 1)])?);

        assert!(guest.apqns().iter().eq([apqn(4, 1)?]));
        Ok(())
    }

    #[test]
    fn nothing_is_passed_without_qci() -> Result {
        let assigned = matrix(&[4], &[1], &[1])?;
        let table = passable(&[(4, 1)])?;

        assert_eq!(assigned.apqns().count(), 1);
        assert_eq!(
            GuestMatrix::filter(&assigned, &HostConfig::WITHOUT_QCI, &table),
            GuestMatrix::EMPTY
        );
        Ok(())
    }

    #[test]
    fn attributes_show_a_line_for_each_queue_or_domain() {
        let (apm, aqm) = (mask(&[5, 0xff]), mask(&[4, 0xab]));

        assert!(writes(b"05.0004\n05.00ab\nff.0004\nff.00ab\n", |page| {
            write_matrix(page, apm, aqm)
        }));
        assert!(writes(b"05.\nff.\n", |page| write_matrix(
            page,
            apm,
            Mask256::EMPTY
        )));
        assert!(writes(b"0004\n00ab\n", |page| write_control_domains(
            page, aqm
        )));
    }

    #[test]
    fn ap_config_takes_what_it_shows() -> Result {
        let text = b"0x8000000000000000000000000000000000000000000000000000000000000000,\
            0x0100000000000000000000000000000000000000000000000000000000000000,\
            0x0000000000000000000000000000000000000000000000000000000000000001\n";
        let shown = matrix(&[0], &[7], &[255])?;

        assert!(writes(text, |page| write_ap_config(page, &shown)));
        assert_eq!(parse_ap_config(text, &ALL), Ok(shown));
        assert_eq!(
            parse_ap_config(b"0x8,0x01,0x4\n", &ALL).ok(),
            matrix(&[0], &[7], &[1]).ok()
        );
        assert_eq!(
            parse_ap_config(b"0x8,0x8", &ALL),
            Err(ConfigError::Malformed)
        );
        assert_eq!(
            parse_ap_config(b"0x04,0x8,0x8", &Limits::with_apxa(4, 4)),
            Err(ConfigError::OutOfRange)
        );
        Ok(())
    }

    #[test]
    fn numbers_are_read_as_kstrtoul_reads_them() {
        assert_eq!(parse_number(b"0x1f\n"), Ok(31));
        assert_eq!(parse_number(b"+017"), Ok(15));
        assert_eq!(parse_number(b"255"), Ok(255));
        assert_eq!(parse_number(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(
            parse_number(b"18446744073709551616"),
            Err(NumberError::Overflow)
        );
        for text in [b"".as_slice(), b"-1", b" 1", b"1 ", b"08", b"0x", b"1\n\n"] {
            assert_eq!(parse_number(text), Err(NumberError::Malformed));
        }
        assert_eq!(parse_mask(b"0x41"), Some(mask(&[1, 7])));
        assert_eq!(parse_mask(b"41"), None);
    }

    #[test]
    fn a_stream_comes_back_in_pieces_of_any_length() -> Result {
        let stream = some(Stream::new())?;
        let state = QueueState {
            interrupts: Nib::new(0x1234).zip(Isc::new(3)),
            has_requests: true,
        };
        // A description, its queue, its end, the state of the queue, and the end.
        let expected = Some((5, Some(apqn(4, 0x47)?), Some(state)));

        assert_eq!(stream.len as u64, Encoder::length(1));
        for length in 1..=stream.len {
            assert_eq!(read(stream.bytes(), length), expected);
        }
        Ok(())
    }

    #[test]
    fn a_stream_that_is_cut_or_damaged_is_not_complete() -> Result {
        let mut stream = some(Stream::new())?;

        for len in 0..stream.len {
            assert_eq!(
                read(stream.bytes().get(..len).unwrap_or_default(), 64),
                None
            );
        }
        for at in 0..8 * stream.len {
            let flip = 1 << (at % 8);

            *some(stream.bytes.get_mut(at / 8))? ^= flip;
            assert_eq!(read(stream.bytes(), 64), None);
            *some(stream.bytes.get_mut(at / 8))? ^= flip;
        }
        assert!(read(stream.bytes(), 64).is_some());
        Ok(())
    }

    #[test]
    fn a_foreign_stream_is_refused_with_what_was_found() {
        let mut parser = Parser::new();

        assert_eq!(
            parser.next(&mut [0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 2].as_slice()),
            Err(Refusal::Magic { found: 0x5145_564d })
        );
        assert!(!parser.is_complete());
        assert_eq!(Version::Two as u32, 2);
    }

    #[test]
    fn an_older_adapter_cannot_take_the_place_of_a_newer_one() {
        let of = |type_: u64| QueueInfo::from_raw(INFO & !(0xff << 24) | type_ << 24);

        assert_eq!(check(of(13), of(13)), Ok(()));
        assert_eq!(check(of(13), of(14)), Ok(()));
        assert_eq!(
            check(of(14), of(13)),
            Err(Mismatch {
                property: Property::Type,
                source: 14,
                target: 13,
            })
        );
        // An accelerator is no coprocessor.
        assert_eq!(
            check(of(14), QueueInfo::from_raw(0x2880_0000_0e00_0000)).map_err(|at| at.property),
            Err(Property::Mode)
        );
    }

    #[test]
    fn a_device_migrates_by_the_arcs_of_vfio() {
        let mut machine = StateMachine::new();

        assert_eq!(machine.action(MigrationState::Resuming), None);
        assert_eq!(
            machine.action(MigrationState::PreCopy),
            Some(Action::BeginPreCopy)
        );
        machine.ended(MigrationState::PreCopy, Ok(()));
        machine.ended(MigrationState::StopCopy, Err(Failure::Undone));
        assert_eq!(machine.state(), MigrationState::PreCopy);
        machine.ended(MigrationState::StopCopy, Err(Failure::Stuck));
        assert_eq!(machine.state(), MigrationState::Error);
        assert_eq!(machine.action(MigrationState::Stop), None);
        machine.reset();
        assert_eq!(machine.state(), MigrationState::Running);
    }
}
