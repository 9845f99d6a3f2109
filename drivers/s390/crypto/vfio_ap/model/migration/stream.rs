// SPDX-License-Identifier: GPL-2.0

//! The data stream of a migration.
//!
//! The driver writes version 2 with an [`Encoder`], and reads versions 1 and 2 with a [`Parser`],
//! in pieces of any size. All numbers are big-endian, all lengths in bytes.
//!
//! A stream of version 2 is delimited by itself: a head, records with their lengths and checksums,
//! and a record that ends it. It has one description of what the guest has or more, of which the
//! last one is valid, then what the guest's interrupts do, then the end. Version 1 is one
//! description, whose number of queues is all that delimits it.

use super::{
    super::{
        aqic::{
            Isc,
            Nib, //
        },
        id::{
            Apid,
            Apqn, //
        },
        mask::Mask256,
        matrix::ApqnSet, //
    },
    compatible::QueueInfo,
};
use core::fmt;

/// The first four bytes of a stream.
pub const MAGIC: u32 = 0x7666_6170;

/// How many queues there can be.
pub const MAX_QUEUES: u32 = 65536;

const HEAD: usize = 8;
const RECORD_HEAD: usize = 8;
const DESCRIPTION_HEAD: usize = 40;
const INTERRUPTS_HEAD: usize = 8;
const ENTRY: usize = 16;
const END: usize = 8;
const CHECKSUM: usize = 8;

/// The version of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// What the guest has, and no more.
    One = 1,
    /// And what its interrupts do.
    Two = 2,
}

/// The type of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// What the guest has.
    Description = 1,
    /// What its interrupts do.
    Interrupts = 2,
    /// The end of the stream.
    End = 3,
}

impl Record {
    const fn of(number: u32) -> Option<Record> {
        match number {
            1 => Some(Record::Description),
            2 => Some(Record::Interrupts),
            3 => Some(Record::End),
            _ => None,
        }
    }

    // The number of entries that a body of a length has; `None` if it cannot have that length.
    fn entries(self, length: u32) -> Option<u32> {
        let head = match self {
            Record::Description => DESCRIPTION_HEAD,
            Record::Interrupts => INTERRUPTS_HEAD,
            Record::End => return (length as usize == END).then_some(0),
        };
        let entries = length.checked_sub(head as u32)?;

        (entries % ENTRY as u32 == 0 && entries / ENTRY as u32 <= MAX_QUEUES)
            .then_some(entries / ENTRY as u32)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Record::Description => "description",
            Record::Interrupts => "interrupts",
            Record::End => "end",
        })
    }
}

/// What the interrupts of a queue do, and whether it has work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// If they are enabled: the byte that tells of them, and the guest's subclass.
    pub interrupts: Option<(Nib, Isc)>,
    /// Requests or replies were in the queue, which are not in the stream.
    pub has_requests: bool,
}

impl QueueState {
    const ENABLED: u8 = 0x80;
    const HAS_REQUESTS: u8 = 0x40;
}

/// What is found in a stream, in this order: one [`Description`](Item::Description), its
/// [`Queue`](Item::Queue)s, and [`Described`](Item::Described), once or more; a
/// [`State`](Item::State) for each queue, unless it is of version 1; [`Complete`](Item::Complete).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A description begins. It replaces the one before.
    Description {
        /// How many queues it has.
        queues: u32,
    },
    /// A queue that the guest has. APQNs ascend.
    Queue(Apqn, QueueInfo),
    /// The description is complete and undamaged.
    Described {
        /// The adapters.
        apm: Mask256,
        /// The usage domains. There is a queue for each adapter and each of them.
        aqm: Mask256,
        /// The control domains.
        adm: Mask256,
    },
    /// What the interrupts of a queue do. APQNs ascend.
    State(Apqn, QueueState),
    /// The stream is complete and undamaged.
    Complete(Version),
}

/// Why a stream is refused: what was found, and what would have been right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is none of this driver's.
    Magic {
        /// What it begins with.
        found: u32,
    },
    /// Its version is not known.
    Version {
        /// The version.
        found: u32,
    },
    /// It has a record that is not known, or not at this place.
    Record {
        /// The type.
        found: u32,
        /// Where in the stream.
        at: u64,
    },
    /// A record has a length that none of its type has, or not with its number of queues.
    Length {
        /// The type.
        record: Record,
        /// The length of its body.
        found: u32,
    },
    /// It has another number of queues than it has to have.
    Queues {
        /// The number.
        found: u32,
        /// The right one, or the largest one.
        expected: u32,
    },
    /// Bits are not zero that have to be.
    Reserved {
        /// Where in the stream the item with them begins.
        at: u64,
    },
    /// A queue is there twice.
    Duplicate {
        /// The queue.
        apqn: Apqn,
    },
    /// A queue does not come after a smaller one.
    Order {
        /// The queue.
        apqn: Apqn,
        /// The queue before.
        after: Apqn,
    },
    /// The adapters do not all have the same domains.
    NotRectangle {
        /// The first queue that is missing, or that is one too many.
        apqn: Apqn,
    },
    /// What interrupts do is said of a queue whose turn it is not.
    OtherQueue {
        /// The queue.
        found: Apqn,
        /// The one whose turn it is.
        expected: Apqn,
    },
    /// The address of a notification indicator byte, or a subclass, does not fit what it is for:
    /// not zero with interrupts disabled, or not one with interrupts enabled.
    Interrupts {
        /// The queue.
        apqn: Apqn,
        /// The address.
        nib: u64,
        /// The subclass.
        isc: u8,
    },
    /// A record is damaged.
    Checksum {
        /// Its type.
        record: Record,
        /// The checksum in the stream.
        found: u32,
        /// The one of what was read.
        expected: u32,
    },
    /// There are more or less bytes before the end than it says.
    Total {
        /// How many it says.
        found: u64,
        /// How many there are.
        expected: u64,
    },
    /// There is something behind the end.
    Trailing {
        /// Where the end is.
        at: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Refusal::Magic { found } => {
                write!(f, "begins with {found:#010x} instead of {MAGIC:#010x}")
            }
            Refusal::Version { found } => write!(f, "version {found} instead of 1 or 2"),
            Refusal::Record { found, at } => {
                write!(
                    f,
                    "record of type {found} at {at}, where there cannot be one"
                )
            }
            Refusal::Length { record, found } => {
                write!(f, "{record} record with a length of {found}")
            }
            Refusal::Queues { found, expected } => {
                write!(f, "{found} queues, and there have to be {expected}")
            }
            Refusal::Reserved { at } => write!(f, "reserved bits are not zero at {at}"),
            Refusal::Duplicate { apqn } => write!(f, "queue {apqn} twice"),
            Refusal::Order { apqn, after } => write!(f, "queue {apqn} after {after}"),
            Refusal::NotRectangle { apqn } => write!(
                f,
                "not the same domains for each adapter: queue {apqn} is missing or too many"
            ),
            Refusal::OtherQueue { found, expected } => {
                write!(f, "interrupts of queue {found} instead of {expected}")
            }
            Refusal::Interrupts { apqn, nib, isc } => write!(
                f,
                "queue {apqn} has an impossible indicator byte {nib:#x} or subclass {isc}"
            ),
            Refusal::Checksum {
                record,
                found,
                expected,
            } => write!(
                f,
                "{record} record damaged: checksum {found:#010x} instead of {expected:#010x}"
            ),
            Refusal::Total { found, expected } => {
                write!(f, "ends after {found} bytes, but has {expected}")
            }
            Refusal::Trailing { at } => write!(f, "goes on behind its end at {at}"),
        }
    }
}

/// CRC-32C (Castagnoli): reflected, the register all ones before, complemented afterwards.
#[derive(Clone, Copy, Debug)]
struct Crc(u32);

impl Crc {
    const TABLE: [u32; 256] = {
        const POLYNOMIAL: u32 = 0x82f6_3b78;
        let mut table = [0; 256];
        let mut at = 0;

        while at < table.len() {
            let mut value = at as u32;
            let mut bit = 0;

            while bit < 8 {
                value = if value & 1 == 0 {
                    value >> 1
                } else {
                    value >> 1 ^ POLYNOMIAL
                };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };

    const fn new() -> Crc {
        Crc(u32::MAX)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // In bounds: eight bits.
            self.0 = self.0 >> 8 ^ Self::TABLE[((self.0 ^ u32::from(*byte)) & 0xff) as usize];
        }
    }

    const fn value(self) -> u32 {
        !self.0
    }
}

fn bits_after(mask: Mask256, bit: u8) -> Mask256 {
    mask.and_not(Mask256::up_to(bit))
}

/// The adapters and domains of queues that come one by one, in ascending order.
#[derive(Clone, Copy, Debug)]
struct Rectangle {
    apm: Mask256,
    aqm: Mask256,
    last: Option<Apqn>,
}

impl Rectangle {
    const EMPTY: Rectangle = Rectangle {
        apm: Mask256::EMPTY,
        aqm: Mask256::EMPTY,
        last: None,
    };

    /// Returns the first queue of the adapter `apid`.
    fn first_of(&self, apid: u8) -> Option<Apqn> {
        Some(Apqn::from_mask_bits(
            Apid::from_mask_bit(apid),
            self.aqm.first()?,
        ))
    }

    /// Returns the next queue of the adapter of `apqn`.
    fn next_in_row(&self, apqn: Apqn) -> Option<Apqn> {
        let next = bits_after(self.aqm, apqn.apqi.get()).first()?;

        Some(Apqn::from_mask_bits(apqn.apid, next))
    }

    /// Returns the queue after one, or the first one, of all adapters.
    fn after(&self, apqn: Option<Apqn>) -> Option<Apqn> {
        match apqn {
            None => self.first_of(self.apm.first()?),
            Some(apqn) => self
                .next_in_row(apqn)
                .or_else(|| self.first_of(bits_after(self.apm, apqn.apid.get()).first()?)),
        }
    }

    fn add(&mut self, apqn: Apqn) -> Result<(), Refusal> {
        let (apid, apqi) = (apqn.apid, apqn.apqi);

        if let Some(last) = self.last {
            if apqn == last {
                return Err(Refusal::Duplicate { apqn });
            }
            if apqn < last {
                return Err(Refusal::Order { apqn, after: last });
            }
            // The first adapter tells the domains.
            if apid != last.apid || self.apm.count() > 1 {
                let mut expected = self.next_in_row(last);

                if apid != last.apid {
                    expected = expected.or_else(|| self.first_of(apid.get()));
                }
                match expected {
                    Some(expected) if expected == apqn => (),
                    Some(expected) => {
                        return Err(Refusal::NotRectangle {
                            apqn: expected.min(apqn),
                        });
                    }
                    None => return Err(Refusal::NotRectangle { apqn }),
                }
            }
        }
        if self.apm.is_empty() || (self.apm.count() == 1 && self.apm.test(apid.get())) {
            self.aqm.set(apqi.get());
        }
        self.apm.set(apid.get());
        self.last = Some(apqn);
        Ok(())
    }

    fn complete(&self) -> Result<(), Refusal> {
        match self.last.and_then(|last| self.next_in_row(last)) {
            Some(apqn) => Err(Refusal::NotRectangle { apqn }),
            None => Ok(()),
        }
    }
}

/// Writes a stream of version 2.
///
/// The bytes go to `emit`, in small pieces. After an error of it the stream is unusable.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    written: u64,
    crc: Crc,
}

impl Encoder {
    /// Begins a stream.
    ///
    /// # Errors
    ///
    /// Those of `emit`, as for all of these functions.
    pub fn begin<E>(emit: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<Encoder, E> {
        let mut this = Encoder {
            written: 0,
            crc: Crc::new(),
        };

        this.put(&MAGIC.to_be_bytes(), emit)?;
        this.put(&(Version::Two as u32).to_be_bytes(), emit)?;
        Ok(this)
    }

    /// Returns how long a stream is with one description of `queues` queues.
    pub const fn length(queues: u32) -> u64 {
        // `u64::from()` is not const.
        let entries = 2 * (queues as u64) * (ENTRY as u64);

        entries
            + (HEAD + DESCRIPTION_HEAD + INTERRUPTS_HEAD + END + 3 * (RECORD_HEAD + CHECKSUM))
                as u64
    }

    /// Writes what the guest has: the queues of the adapters `apm` and the domains `aqm`, each with
    /// its properties, and the control domains `adm`.
    pub fn description<E>(
        &mut self,
        [apm, aqm, adm]: [Mask256; 3],
        info: &mut dyn FnMut(Apqn) -> QueueInfo,
        emit: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let set = ApqnSet::product(apm, aqm);

        self.begin_record(Record::Description, DESCRIPTION_HEAD, set.count(), emit)?;
        for word in adm.words() {
            self.put(&word.to_be_bytes(), emit)?;
        }
        for apqn in set.iter() {
            let [a, b] = apqn.to_raw().to_be_bytes();

            self.put(&info(apqn).to_raw().to_be_bytes(), emit)?;
            self.put(&[a, b, 0, 0, 0, 0, 0, 0], emit)?;
        }
        self.end_record(emit)
    }

    /// Writes what the interrupts of all of these queues do.
    pub fn interrupts<E>(
        &mut self,
        [apm, aqm]: [Mask256; 2],
        state: &mut dyn FnMut(Apqn) -> QueueState,
        emit: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let set = ApqnSet::product(apm, aqm);

        self.begin_record(Record::Interrupts, INTERRUPTS_HEAD, set.count(), emit)?;
        for apqn in set.iter() {
            let [a, b] = apqn.to_raw().to_be_bytes();
            let state = state(apqn);
            let mut flags = 0;
            let (mut nib, mut isc) = (0, 0);

            if let Some(interrupts) = state.interrupts {
                flags |= QueueState::ENABLED;
                (nib, isc) = (interrupts.0.address(), interrupts.1.get());
            }
            if state.has_requests {
                flags |= QueueState::HAS_REQUESTS;
            }
            self.put(&nib.to_be_bytes(), emit)?;
            self.put(&[a, b, flags, isc, 0, 0, 0, 0], emit)?;
        }
        self.end_record(emit)
    }

    /// Ends the stream.
    pub fn end<E>(mut self, emit: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let before = self.written;

        self.crc = Crc::new();
        self.put(&(Record::End as u32).to_be_bytes(), emit)?;
        self.put(&(END as u32).to_be_bytes(), emit)?;
        self.put(&before.to_be_bytes(), emit)?;
        self.end_record(emit)
    }

    fn begin_record<E>(
        &mut self,
        record: Record,
        head: usize,
        queues: u32,
        emit: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // At most a megabyte.
        let length = head as u32 + queues * ENTRY as u32;

        self.crc = Crc::new();
        self.put(&(record as u32).to_be_bytes(), emit)?;
        self.put(&length.to_be_bytes(), emit)?;
        self.put(&queues.to_be_bytes(), emit)?;
        self.put(&[0; 4], emit)
    }

    fn end_record<E>(&mut self, emit: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let crc = self.crc.value();

        self.put(&crc.to_be_bytes(), emit)?;
        self.put(&[0; 4], emit)
    }

    fn put<E>(
        &mut self,
        bytes: &[u8],
        emit: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.written += bytes.len() as u64;
        self.crc.add(bytes);
        emit(bytes)
    }
}

/// What comes next in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Head,
    RecordHead,
    /// The head of a description; with `None` in version 1, else with the number of entries that
    /// follows from the record's length.
    DescriptionHead(Option<u32>),
    Queue(u32),
    /// A description of version 2 has no more queues.
    InterruptsHead(u32),
    State(u32),
    EndBody,
    Checksum(Record),
    /// The end of the description and of the stream, in version 1. They take no bytes.
    EndOfDescription,
    EndOfOne,
    Nothing,
}

impl Expect {
    const fn size(self) -> usize {
        match self {
            Expect::Head => HEAD,
            Expect::RecordHead => RECORD_HEAD,
            Expect::DescriptionHead(_) => DESCRIPTION_HEAD,
            Expect::Queue(_) | Expect::State(_) => ENTRY,
            Expect::InterruptsHead(_) => INTERRUPTS_HEAD,
            Expect::EndBody => END,
            Expect::Checksum(_) => CHECKSUM,
            Expect::EndOfDescription | Expect::EndOfOne | Expect::Nothing => 0,
        }
    }
}

/// An item of a stream, of which all bytes are there.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// Takes the next bytes. Beyond the end there are zeroes.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let (bytes, rest) = self.0.split_at(N.min(self.0.len()));

        for (to, from) in taken.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        let [byte] = self.take();

        byte
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    fn apqn(&mut self) -> Apqn {
        let apid = self.u8();

        Apqn::from_mask_bits(Apid::from_mask_bit(apid), self.u8())
    }

    fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

/// Reads a stream.
#[derive(Clone, Debug)]
pub struct Parser {
    expect: Expect,
    buffer: [u8; DESCRIPTION_HEAD],
    filled: usize,
    /// How many bytes were read before those in the buffer.
    position: u64,
    /// Where the record began.
    record_at: u64,
    crc: Crc,
    version: Version,
    described: bool,
    queues: Rectangle,
    adm: Mask256,
    /// The queue of which the interrupts were read last.
    at: Option<Apqn>,
    has_states: bool,
    refused: Option<Refusal>,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::new()
    }
}

impl Parser {
    /// Begins.
    pub const fn new() -> Parser {
        Parser {
            expect: Expect::Head,
            buffer: [0; DESCRIPTION_HEAD],
            filled: 0,
            position: 0,
            record_at: 0,
            crc: Crc::new(),
            version: Version::Two,
            described: false,
            queues: Rectangle::EMPTY,
            adm: Mask256::EMPTY,
            at: None,
            has_states: false,
            refused: None,
        }
    }

    /// Returns how many bytes were read.
    pub const fn position(&self) -> u64 {
        self.position + self.filled as u64
    }

    /// Tells whether the stream is complete.
    pub fn is_complete(&self) -> bool {
        self.expect == Expect::Nothing && self.refused.is_none()
    }

    /// Takes bytes from the beginning of `input`, until an item is complete, which is returned, or
    /// all are taken.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; from then on always the same one.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Item>, Refusal> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let result = self.advance(input);

        if let Err(refusal) = result {
            self.refused = Some(refusal);
        }
        result
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Item>, Refusal> {
        loop {
            if self.expect == Expect::Nothing {
                return if input.is_empty() {
                    Ok(None)
                } else {
                    Err(Refusal::Trailing { at: self.position })
                };
            }
            let size = self.expect.size();
            let missing = size.saturating_sub(self.filled).min(input.len());
            let (bytes, rest) = input.split_at(missing);
            let free = self.buffer.iter_mut().skip(self.filled);

            for (to, from) in free.zip(bytes) {
                *to = *from;
            }
            *input = rest;
            self.filled += missing;
            if self.filled < size {
                return Ok(None);
            }
            self.filled = 0;
            let found = self.found(size);
            self.position += size as u64;
            if let Some(item) = found? {
                return Ok(Some(item));
            }
        }
    }

    /// Judges an item that is complete in the buffer.
    fn found(&mut self, size: usize) -> Result<Option<Item>, Refusal> {
        let buffer = self.buffer;
        let all = buffer.get(..size).unwrap_or_default();
        let mut bytes = Bytes(all);
        let reserved = Refusal::Reserved { at: self.position };

        if !matches!(self.expect, Expect::Checksum(_)) {
            self.crc.add(all);
        }
        match self.expect {
            Expect::Head => self.head(bytes.u32(), bytes.u32()).map(|()| None),
            Expect::RecordHead => {
                self.crc = Crc::new();
                self.crc.add(all);
                self.record(bytes.u32(), bytes.u32()).map(|()| None)
            }
            Expect::DescriptionHead(entries) => {
                let queues = bytes.u32();
                let expected = entries.unwrap_or(queues.min(MAX_QUEUES));

                if queues != expected {
                    return Err(Refusal::Queues {
                        found: queues,
                        expected,
                    });
                }
                if bytes.u32() != 0 {
                    return Err(reserved);
                }
                self.queues = Rectangle::EMPTY;
                self.adm = Mask256::from_words([(); 4].map(|()| bytes.u64()));
                self.described = false;
                self.expect_queue(queues);
                Ok(Some(Item::Description { queues }))
            }
            Expect::Queue(left) => {
                let info = QueueInfo::from_raw(bytes.u64());
                let apqn = bytes.apqn();

                if !bytes.is_zero() {
                    return Err(reserved);
                }
                self.queues.add(apqn)?;
                self.expect_queue(left.saturating_sub(1));
                Ok(Some(Item::Queue(apqn, info)))
            }
            Expect::InterruptsHead(entries) => {
                let queues = bytes.u32();

                if queues != entries {
                    return Err(Refusal::Queues {
                        found: queues,
                        expected: entries,
                    });
                }
                if !bytes.is_zero() {
                    return Err(reserved);
                }
                self.expect_state(queues);
                Ok(None)
            }
            Expect::State(left) => {
                let item = self.state(&mut bytes)?;

                if !bytes.is_zero() {
                    return Err(reserved);
                }
                self.expect_state(left.saturating_sub(1));
                Ok(Some(item))
            }
            Expect::EndBody => {
                let found = bytes.u64();

                if found != self.record_at {
                    return Err(Refusal::Total {
                        found,
                        expected: self.record_at,
                    });
                }
                self.expect = Expect::Checksum(Record::End);
                Ok(None)
            }
            Expect::Checksum(record) => {
                let (found, expected) = (bytes.u32(), self.crc.value());

                if found != expected {
                    return Err(Refusal::Checksum {
                        record,
                        found,
                        expected,
                    });
                }
                if !bytes.is_zero() {
                    return Err(reserved);
                }
                self.end_record(record)
            }
            Expect::EndOfDescription => {
                self.expect = Expect::EndOfOne;
                self.end_description().map(Some)
            }
            Expect::EndOfOne => {
                self.expect = Expect::Nothing;
                Ok(Some(Item::Complete(Version::One)))
            }
            Expect::Nothing => Ok(None),
        }
    }

    fn head(&mut self, magic: u32, version: u32) -> Result<(), Refusal> {
        if magic != MAGIC {
            return Err(Refusal::Magic { found: magic });
        }
        (self.version, self.expect) = match version {
            1 => (Version::One, Expect::DescriptionHead(None)),
            2 => (Version::Two, Expect::RecordHead),
            found => return Err(Refusal::Version { found }),
        };
        Ok(())
    }

    fn record(&mut self, found: u32, length: u32) -> Result<(), Refusal> {
        self.record_at = self.position;
        let record = Record::of(found).filter(|record| match record {
            Record::Description => !self.has_states,
            Record::Interrupts => self.described && !self.has_states,
            Record::End => self.has_states,
        });
        let Some(record) = record else {
            return Err(Refusal::Record {
                found,
                at: self.position,
            });
        };
        let Some(entries) = record.entries(length) else {
            return Err(Refusal::Length {
                record,
                found: length,
            });
        };

        self.expect = match record {
            Record::Description => Expect::DescriptionHead(Some(entries)),
            Record::Interrupts => {
                let expected = self.queues.apm.count() * self.queues.aqm.count();

                if entries != expected {
                    return Err(Refusal::Queues {
                        found: entries,
                        expected,
                    });
                }
                self.at = None;
                Expect::InterruptsHead(entries)
            }
            Record::End => Expect::EndBody,
        };
        Ok(())
    }

    fn expect_queue(&mut self, left: u32) {
        self.expect = match (left, self.version) {
            (0, Version::One) => Expect::EndOfDescription,
            (0, Version::Two) => Expect::Checksum(Record::Description),
            _ => Expect::Queue(left),
        };
    }

    fn expect_state(&mut self, left: u32) {
        self.expect = match left {
            0 => Expect::Checksum(Record::Interrupts),
            _ => Expect::State(left),
        };
    }

    /// Reads an entry of the interrupts, but for the reserved bytes.
    fn state(&mut self, bytes: &mut Bytes<'_>) -> Result<Item, Refusal> {
        let nib = bytes.u64();
        let apqn = bytes.apqn();
        let (flags, isc) = (bytes.u8(), bytes.u8());
        let impossible = Refusal::Interrupts { apqn, nib, isc };

        // There are as many entries as queues, so that one is always left.
        let expected = self.queues.after(self.at).unwrap_or(apqn);
        if apqn != expected {
            return Err(Refusal::OtherQueue {
                found: apqn,
                expected,
            });
        }
        if flags & !(QueueState::ENABLED | QueueState::HAS_REQUESTS) != 0 {
            return Err(Refusal::Reserved { at: self.position });
        }
        let interrupts = if flags & QueueState::ENABLED != 0 {
            match (Nib::new(nib), Isc::new(isc)) {
                (Some(nib), Some(isc)) => Some((nib, isc)),
                _ => return Err(impossible),
            }
        } else if nib != 0 || isc != 0 {
            return Err(impossible);
        } else {
            None
        };

        self.at = Some(apqn);
        Ok(Item::State(
            apqn,
            QueueState {
                interrupts,
                has_requests: flags & QueueState::HAS_REQUESTS != 0,
            },
        ))
    }

    fn end_record(&mut self, record: Record) -> Result<Option<Item>, Refusal> {
        self.expect = match record {
            Record::End => Expect::Nothing,
            _ => Expect::RecordHead,
        };
        match record {
            Record::Description => self.end_description().map(Some),
            Record::Interrupts => {
                self.has_states = true;
                Ok(None)
            }
            Record::End => Ok(Some(Item::Complete(Version::Two))),
        }
    }

    fn end_description(&mut self) -> Result<Item, Refusal> {
        self.queues.complete()?;
        self.described = true;
        Ok(Item::Described {
            apm: self.queues.apm,
            aqm: self.queues.aqm,
            adm: self.adm,
        })
    }
}
