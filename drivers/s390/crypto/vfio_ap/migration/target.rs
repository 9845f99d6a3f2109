// SPDX-License-Identifier: GPL-2.0

//! The target's side of a migration: it judges the stream, and takes the queues that the stream
//! describes.
//!
//! Every step that can fail is part of the write of the stream's last byte: if the driver refuses
//! later, a monitor reports success all the same. The driver gives the queues back unless the guest
//! runs here afterwards.

use super::{
    obstacle::Obstacle,
    queues::GuestQueues, //
};
use crate::{
    matrix_mdev::Change,
    model::{
        migration::{
            compatible::{
                self,
                QueueInfo, //
            },
            stream::{
                Item,
                Parser,
                QueueState, //
            },
        },
        Apqn,
        Mask256,
        Matrix, //
    },
};
use core::cell::Cell;
use kernel::prelude::*;

/// A stream that is written.
pub(super) struct Resuming {
    parser: Parser,
    /// Why it was refused, for all writes that follow.
    refused: Option<Error>,
    queues: KVVec<(Apqn, QueueInfo)>,
    states: KVVec<(Apqn, QueueState)>,
    masks: [Mask256; 3],
    /// The matrix that the stream has assigned to a device without one.
    assigned: Option<Matrix>,
}

impl Resuming {
    pub(super) fn new() -> Self {
        Self {
            parser: Parser::new(),
            refused: None,
            queues: KVVec::new(),
            states: KVVec::new(),
            masks: [Mask256::EMPTY; 3],
            assigned: None,
        }
    }

    /// Tells whether all was written, and taken.
    pub(super) fn is_complete(&self) -> bool {
        self.refused.is_none() && self.parser.is_complete()
    }

    /// Takes the next bytes, and all that the guest will need with the last one.
    ///
    /// # Errors
    ///
    /// The errno of an [`Obstacle`], from then on for every write. Then nothing is taken.
    pub(super) fn write(&mut self, queues: &GuestQueues, mut bytes: &[u8]) -> Result {
        if let Some(error) = self.refused {
            return Err(error);
        }
        self.take_bytes(queues, &mut bytes).map_err(|obstacle| {
            queues.warn(format_args!("migration refused: {obstacle}"));
            self.refused = Some(obstacle.errno());
            // A stream that goes on behind its end was taken before.
            self.give_back(queues);
            obstacle.errno()
        })
    }

    /// Gives back what was taken for a guest that does not arrive.
    pub(super) fn give_back(&mut self, queues: &GuestQueues) {
        queues.forget_paused();
        if let Some(assigned) = self.assigned.take() {
            // There is nothing to fail: it only becomes less.
            let _ = queues.mdev().configure(Change::Fewer, &|matrix| {
                // Not if somebody has changed it meanwhile.
                if *matrix == assigned {
                    *matrix = Matrix::EMPTY;
                }
            });
        }
    }

    fn take_bytes(&mut self, queues: &GuestQueues, bytes: &mut &[u8]) -> Result<(), Obstacle> {
        while let Some(item) = self.parser.next(bytes).map_err(Obstacle::Stream)? {
            match item {
                Item::Description { queues } => {
                    self.queues.clear();
                    self.queues.reserve(queues as usize, GFP_KERNEL)?;
                }
                Item::Queue(apqn, info) => self
                    .queues
                    .push((apqn, info), GFP_KERNEL)
                    .map_err(|_| Obstacle::NoMemory)?,
                Item::Described { apm, aqm, adm } => {
                    self.masks = [apm, aqm, adm];
                    self.judge(queues)?;
                }
                Item::State(apqn, state) => self
                    .states
                    .push((apqn, state), GFP_KERNEL)
                    .map_err(|_| Obstacle::NoMemory)?,
                Item::Complete(_) if bytes.is_empty() => self.claim(queues)?,
                // It goes on behind its end: the next step refuses that.
                Item::Complete(_) => (),
            }
        }
        Ok(())
    }

    /// Tells whether the guest has exactly what the stream describes.
    fn is_what_guest_has(&self, queues: &GuestQueues) -> bool {
        let matrix = queues.described().matrix;

        [matrix.apm(), matrix.aqm(), matrix.adm()] == self.masks
    }

    /// Judges whether this host could take what was described. Changes nothing.
    fn judge(&self, queues: &GuestQueues) -> Result<Matrix, Obstacle> {
        let topology = queues.mdev().topology();
        let [apm, aqm, adm] = self.masks;
        let matrix = Matrix::from_masks(apm, aqm, adm, topology.limits())
            .map_err(|_| Obstacle::BeyondLimits)?;
        let config = topology.lock().config;
        let guest = queues.guest();

        if guest.is_none() && matrix != Matrix::EMPTY {
            return Err(Obstacle::NoGuest);
        }
        if guest.is_some_and(|guest| guest.kvm().is_protected()) {
            return Err(Obstacle::Protected);
        }
        if !adm.is_subset_of(config.adm()) {
            return Err(Obstacle::ControlDomains(adm.and_not(config.adm())));
        }
        for (apqn, source) in &self.queues {
            let target = queues
                .get(*apqn)
                .and_then(|queue| queue.test())
                .ok_or(Obstacle::NotBound(*apqn))?;

            compatible::check(*source, QueueInfo::from_raw(target.info))
                .map_err(|mismatch| Obstacle::Mismatch(*apqn, mismatch))?;
            if target.is_gone {
                return Err(Obstacle::Gone(*apqn));
            }
        }
        if self.is_what_guest_has(queues) {
            return Ok(matrix);
        }
        if queues.mdev().matrix() != Matrix::EMPTY {
            return Err(Obstacle::OtherMatrix);
        }
        topology
            .could_claim(&matrix)
            .map_err(Obstacle::NotClaimed)?;
        Ok(matrix)
    }

    /// Takes the guest's queues, and the resources of their interrupts. After an error,
    /// [`write`](Self::write) gives them back.
    fn claim(&mut self, queues: &GuestQueues) -> Result<(), Obstacle> {
        let matrix = self.judge(queues)?;

        if !self.is_what_guest_has(queues) {
            let assigned = Cell::new(None);

            queues
                .mdev()
                .configure(Change::Any, &|now| {
                    if *now == Matrix::EMPTY {
                        *now = matrix;
                        assigned.set(Some(matrix));
                    }
                })
                .map_err(Obstacle::NotClaimed)?;
            self.assigned = assigned.get();
        }
        if !self.is_what_guest_has(queues) {
            return Err(Obstacle::NotPassed);
        }
        self.prepare(queues)
    }

    /// Prepares the interrupts that the guest had at the source.
    fn prepare(&self, queues: &GuestQueues) -> Result<(), Obstacle> {
        for (apqn, state) in &self.states {
            let guest = queues.guest().ok_or(Obstacle::NoGuest)?;
            let queue = queues.get(*apqn).ok_or(Obstacle::NotBound(*apqn))?;

            if let Some((nib, gisc)) = state.interrupts {
                queue
                    .prepare_resumption(&guest, nib, gisc)
                    .map_err(|error| Obstacle::Interrupts(*apqn, error))?;
            }
            if state.has_requests {
                queue.set_lost();
            }
        }
        Ok(())
    }
}
