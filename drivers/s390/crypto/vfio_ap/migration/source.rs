// SPDX-License-Identifier: GPL-2.0

//! The source's side of a migration: it writes the stream that describes the guest's queues.

use super::{
    obstacle::Obstacle,
    queues::{
        Described,
        GuestQueues, //
    },
};
use crate::{
    kapi::{
        errno::enomsg,
        migration::PrecopyInfo, //
    },
    model::migration::{
        compatible::QueueInfo,
        stream::{
            Encoder,
            QueueState, //
        },
    },
};
use kernel::prelude::*;

/// A stream that is read.
pub(super) struct Saving {
    /// The bytes that are not read yet, and where they begin in the stream.
    bytes: KVVec<u8>,
    base: u64,
    /// There until the stream is complete.
    encoder: Option<Encoder>,
    /// The end of the first description.
    initial: u64,
    described: Option<Described>,
}

impl Saving {
    /// Begins a stream.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for a protected guest, `ENOMEM`.
    pub(super) fn begin(queues: &GuestQueues) -> Result<Self> {
        if queues
            .guest()
            .is_some_and(|guest| guest.kvm().is_protected())
        {
            queues.warn(format_args!("migration refused: {}", Obstacle::Protected));
            return Err(Obstacle::Protected.errno());
        }
        let mut bytes = KVVec::new();
        let encoder = Encoder::begin(&mut |more| extend(&mut bytes, more))?;

        Ok(Self {
            bytes,
            base: 0,
            encoder: Some(encoder),
            initial: 0,
            described: None,
        })
    }

    /// Begins one with a description of what the guest has, to be read while it runs.
    ///
    /// # Errors
    ///
    /// As for [`begin`](Self::begin).
    pub(super) fn begin_described(queues: &GuestQueues) -> Result<Self> {
        let mut saving = Self::begin(queues)?;

        saving.update(queues)?;
        saving.initial = saving.end();
        Ok(saving)
    }

    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// Forgets what was read.
    fn trim(&mut self, position: u64) -> Result {
        let read = position
            .saturating_sub(self.base)
            .min(self.bytes.len() as u64) as usize;
        let mut rest = KVVec::new();

        if read != 0 {
            rest.extend_from_slice(self.bytes.get(read..).unwrap_or_default(), GFP_KERNEL)?;
            self.bytes = rest;
            self.base += read as u64;
        }
        Ok(())
    }

    /// Adds to the stream, all that `f` emits or nothing. Adds nothing to a complete one.
    fn add(
        &mut self,
        f: impl FnOnce(&mut Encoder, &mut dyn FnMut(&[u8]) -> Result) -> Result,
    ) -> Result {
        let Some(mut encoder) = self.encoder else {
            return Ok(());
        };
        let length = self.bytes.len();
        let result = f(&mut encoder, &mut |more| extend(&mut self.bytes, more));

        match result {
            Ok(()) => self.encoder = Some(encoder),
            Err(_) => self.bytes.truncate(length),
        }
        result
    }

    /// Adds a description of what the guest has, unless the last one is of that.
    fn update(&mut self, queues: &GuestQueues) -> Result {
        let described = queues.described();
        let matrix = described.matrix;

        if self.described == Some(described) {
            return Ok(());
        }
        // A queue that is just going has no properties: the guest will have another matrix.
        self.add(|encoder, emit| {
            encoder.description(
                [matrix.apm(), matrix.aqm(), matrix.adm()],
                &mut |apqn| {
                    queues
                        .get(apqn)
                        .and_then(|queue| queue.test())
                        .map_or(QueueInfo::from_raw(0), |test| {
                            QueueInfo::from_raw(test.info)
                        })
                },
                emit,
            )
        })?;
        self.described = Some(described);
        Ok(())
    }

    /// Adds all that is left of the stream, of a guest that is stopped.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; the stream is as before, or has one more description.
    pub(super) fn complete(&mut self, queues: &GuestQueues) -> Result {
        self.update(queues)?;
        let Some(described) = self.described else {
            return Ok(());
        };
        let matrix = described.matrix;

        self.add(|encoder, emit| {
            encoder.interrupts(
                [matrix.apm(), matrix.aqm()],
                &mut |apqn| {
                    queues.get(apqn).map_or(
                        QueueState {
                            interrupts: None,
                            has_requests: false,
                        },
                        |queue| queue.paused_state(),
                    )
                },
                emit,
            )?;
            encoder.end(emit)
        })?;
        self.encoder = None;
        Ok(())
    }

    /// Copies what is at `position` to the beginning of `buffer`, and returns how much. What was
    /// read before may be forgotten.
    ///
    /// # Errors
    ///
    /// `ENOMSG` if there is nothing, and more may come; `ENOMEM`.
    pub(super) fn read(
        &mut self,
        queues: &GuestQueues,
        position: u64,
        buffer: &mut [u8],
    ) -> Result<usize> {
        if position >= self.end() {
            self.trim(position)?;
            self.update(queues)?;
        }
        let at = position.saturating_sub(self.base) as usize;
        let rest = self.bytes.get(at..).unwrap_or_default();
        let read = rest.len().min(buffer.len());

        if let (Some(to), Some(from)) = (buffer.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        if read == 0 && self.encoder.is_some() {
            Err(enomsg())
        } else {
            Ok(read)
        }
    }

    /// Tells how much there is to read from `position` on, while the guest runs.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn precopy_info(
        &mut self,
        queues: &GuestQueues,
        position: u64,
    ) -> Result<PrecopyInfo> {
        if position >= self.end() {
            self.trim(position)?;
            self.update(queues)?;
        }
        let initial = self.initial.saturating_sub(position);

        Ok(PrecopyInfo {
            initial,
            dirty: self.end().saturating_sub(position) - initial,
        })
    }
}

fn extend(bytes: &mut KVVec<u8>, more: &[u8]) -> Result {
    bytes.extend_from_slice(more, GFP_KERNEL)?;
    Ok(())
}
