// SPDX-License-Identifier: GPL-2.0

//! A queue's interrupts, as guests ask for them.

use super::{
    bound::{
        Queue,
        State, //
    },
    patience::Patience, //
};
use crate::{
    guest::Guest,
    kapi::{
        kvm::{
            GiscUse,
            Protected, //
        },
        queue_hw::{
            EnableAnswer,
            Notification, //
        },
    },
    model::{
        Isc,
        Nib,
        ResponseCode,
        StatusWord, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

/// What a guest asks for when it enables interrupts.
pub(crate) struct EnableRequest<'a> {
    /// The guest's subclass.
    pub(crate) gisc: Isc,
    /// The byte that tells of them, in the guest's memory.
    pub(crate) nib: Nib,
    /// There if the guest is a protected one.
    pub(crate) protected: Option<Protected<'a>>,
}

/// The answer to a guest's AQIC.
pub(crate) struct IrqAnswer {
    /// What the guest is told.
    pub(crate) status: StatusWord,
    /// Something goes on that a worker has to look after.
    pub(crate) is_unsettled: bool,
}

impl From<ResponseCode> for IrqAnswer {
    fn from(code: ResponseCode) -> Self {
        Self {
            status: StatusWord::with_response(code),
            is_unsettled: false,
        }
    }
}

impl Queue {
    /// Counts an AQIC of a guest.
    pub(crate) fn count(&self, status: StatusWord) {
        if status.raw_response() == ResponseCode::Normal as u8 {
            self.aqics.add(1, Relaxed);
        } else {
            self.refused.add(1, Relaxed);
        }
    }

    /// Returns the answer for a guest that must not use the queue now.
    fn refusal(&self, state: &State, guest: &Guest) -> Option<ResponseCode> {
        guest.refusal(self.apqn).or_else(|| {
            state
                .hw
                .is_being_reset()
                .then_some(ResponseCode::ResetInProgress)
        })
    }

    /// Returns the answer for a guest whose NIB cannot be used.
    pub(crate) fn refuse_nib(&self, guest: &Guest) -> IrqAnswer {
        self.refusal(&self.state.lock(), guest)
            .unwrap_or(ResponseCode::InvalidAddress)
            .into()
    }

    /// Enables interrupts for a guest.
    ///
    /// May sleep to pin the page of the NIB. Takes lock 5 and leaves.
    pub(crate) fn enable_irq(&self, guest: &Guest, request: &EnableRequest<'_>) -> IrqAnswer {
        match self.try_enable_irq(guest, request) {
            (answer, false) => answer,
            (_, true) => self.enable_irq_again(guest, request),
        }
    }

    /// Does so when interrupts were found on that the guest has not enabled: waits a moment until
    /// they are off.
    #[cold]
    #[inline(never)]
    fn enable_irq_again(&self, guest: &Guest, request: &EnableRequest<'_>) -> IrqAnswer {
        let mut answer = ResponseCode::Busy.into();

        Patience::for_irq().poll(&mut || {
            self.poll();
            let (now, again) = self.try_enable_irq(guest, request);

            answer = now;
            !again
        });
        answer
    }

    /// Does so once. The second value tells whether it is worth another try.
    fn try_enable_irq(&self, guest: &Guest, request: &EnableRequest<'_>) -> (IrqAnswer, bool) {
        let notification = match self.prepare(guest, request) {
            Ok(notification) => notification,
            Err(code) => return (code.into(), false),
        };
        let mut state = self.state.lock();

        // It may have been taken from the guest while the page was being pinned.
        if let Some(refusal) = guest.refusal(self.apqn) {
            drop(state);
            notification.release_here();
            return (refusal.into(), false);
        }
        let EnableAnswer {
            status,
            released,
            again,
        } = state.hw.enable(notification);
        let is_unsettled = state.hw.is_unsettled();

        drop(state);
        released.release_here();
        (
            IrqAnswer {
                status,
                is_unsettled,
            },
            again,
        )
    }

    /// Gets what interrupts need.
    fn prepare(
        &self,
        guest: &Guest,
        request: &EnableRequest<'_>,
    ) -> Result<Notification, ResponseCode> {
        let page = guest
            .pins()
            .use_page(request.nib.page())
            .map_err(|error| self.refuse_page(guest, error))?;

        if let Some(protected) = request.protected {
            // The guest may have taken the page back.
            if page.ensure_shared(protected).is_err() {
                page.release_here();
                return Err(ResponseCode::InvalidAddress);
            }
        }
        GiscUse::new(guest.kvm(), request.gisc)
            .and_then(|gisc| Notification::new(page, request.nib, gisc))
            .map_err(|_| ResponseCode::InvalidAddress)
    }

    /// Returns the answer for a guest whose NIB's page cannot be used.
    #[cold]
    fn refuse_page(&self, guest: &Guest, error: Error) -> ResponseCode {
        match self.refusal(&self.state.lock(), guest) {
            Some(refusal) => refusal,
            // What would work a moment later is not the address's fault.
            None if error == ENOMEM => ResponseCode::Busy,
            None => ResponseCode::InvalidAddress,
        }
    }

    /// Disables interrupts for a guest.
    ///
    /// Does not wait until it takes effect: what the interrupts hold is given back then.
    pub(crate) fn disable_irq(&self, guest: &Guest) -> IrqAnswer {
        let mut state = self.state.lock();

        if let Some(refusal) = self.refusal(&state, guest) {
            return refusal.into();
        }
        let (status, released) = state.hw.disable();
        let is_unsettled = state.hw.is_unsettled();

        drop(state);
        released.release_here();
        IrqAnswer {
            status,
            is_unsettled,
        }
    }

    /// Has interrupts disabled if their NIB is in a page from `first` to `last`. Does not wait.
    /// Returns whether hardware may still write there.
    pub(crate) fn quiesce(&self, first: u64, last: u64) -> bool {
        let mut state = self.state.lock();

        if !state.hw.is_armed_in(first, last) {
            return false;
        }
        let released = state.hw.quiesce();
        let is_armed = state.hw.is_armed_in(first, last);

        drop(state);
        // Unpinned by a worker: here are locks of VFIO.
        drop(released);
        is_armed
    }
}
