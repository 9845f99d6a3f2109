// SPDX-License-Identifier: GPL-2.0

//! A queue's interrupts: what they hold, and when that is given back.
//!
//! For a guest's notification indicator byte (NIB) its page is pinned through VFIO, for the byte is
//! in the guest's memory; and a reference of our own is held to the page, for hardware writes it
//! until the queue is at rest, whatever becomes of the mapping. The pin ends when VFIO asks for it,
//! the reference only for a [`Quiesced`].

use crate::{
    kapi::{
        airq::{
            Armed,
            ArmedIrq,
            Rearmed,
            UnarmedIrq, //
        },
        ap,
        kvm::{
            GiscRegistration,
            Vcpu, //
        },
        vfio::PinnedPage, //
    },
    matrix::Host,
    mdev::Session,
    model::{
        IrqDisable,
        IrqDisableStep,
        Isc,
        Nib,
        Quiesced,
        ResponseCode,
        StatusWord, //
    },
    queue::{
        Queue,
        State, //
    },
    reset::Wait, //
};
use core::mem::MaybeUninit;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The memory of a [`Pin`].
pub(crate) type PinSlot = KBox<MaybeUninit<Pin>>;

/// A pinned page, which can be put into a list without having to ask for memory.
pub(crate) struct Pin {
    // Knows whose it is. What is held for hardware does not hold this.
    page: PinnedPage<Session>,
    next: Option<KBox<Pin>>,
}

/// Who unpins a page that is not needed any more. User space can hold that up.
#[derive(Clone, Copy)]
pub(crate) enum Unpin {
    /// This thread, which is one of the guest's own.
    Here,
    /// The session's unpinner.
    Later,
}

/// What a queue's interrupts hold.
pub(crate) struct IrqBinding {
    armed: ArmedIrq,
    // Gone if VFIO asked for it before the queue was at rest.
    pin: Option<KBox<Pin>>,
}

impl IrqBinding {
    fn is_pinned_in(&self, first: u64, last: u64) -> bool {
        self.pin
            .as_ref()
            .is_some_and(|pin| (first..=last).contains(&pin.page.iova()))
    }

    /// Tells whether it is all that a session's request needs.
    fn serves(&self, session: &Arc<Session>, gisc: Isc, nib: Nib) -> bool {
        self.armed.is_for(nib, gisc)
            && self
                .pin
                .as_ref()
                .is_some_and(|pin| Arc::ptr_eq(pin.page.owner(), session))
    }
}

/// A page that is to be unpinned, counted in `State::releasing`.
enum Leaving {
    /// There is none.
    Nothing,
    /// By whoever has it.
    Here(KBox<Pin>),
    /// It is on the queue's list; by this session's unpinner.
    Later(Arc<Session>),
}

/// A binding that was taken out of its queue.
#[must_use]
pub(crate) struct Release {
    armed: Option<ArmedIrq>,
    leaving: Leaving,
}

impl Release {
    const NOTHING: Self = Self {
        armed: None,
        leaving: Leaving::Nothing,
    };

    /// Gives back what the binding held. To be called without any lock of ours, and at once if the
    /// page is to be unpinned here: `dma_unmap` may be waiting for it.
    pub(crate) fn finish(self, queue: &Queue, quiesced: Quiesced) {
        match self.leaving {
            Leaving::Nothing => (),
            Leaving::Here(pin) => queue.unpinned(1, KBox::drop_contents(pin)),
            Leaving::Later(session) => session.kick_unpinner(),
        }
        if let Some(armed) = self.armed {
            armed.disarm(quiesced);
        }
    }
}

/// How an enabling of interrupts begins.
enum Begun {
    /// It is done, or refused.
    Answered(StatusWord),
    /// Other processors and `dma_unmap` were told that the NIB's page is about to be pinned. There
    /// may be memory to note it in.
    Announced(Option<PinSlot>),
}

fn answer(code: ResponseCode) -> StatusWord {
    StatusWord::with_response(code)
}

impl State {
    /// Takes the page out of the binding, to be unpinned.
    fn take_pin(&mut self) -> Option<KBox<Pin>> {
        let pin = self
            .binding
            .as_mut()
            .and_then(|binding| binding.pin.take())?;

        self.releasing += 1;
        Some(pin)
    }

    /// Puts a page that was taken on the list of those that are to be unpinned. Returns whose it
    /// is.
    fn leave(&mut self, mut pin: KBox<Pin>) -> Arc<Session> {
        let session = pin.page.owner().clone();

        pin.next = self.leaving.take();
        self.leaving = Some(pin);
        session
    }

    /// Returns how its interrupts are, for people.
    pub(crate) fn interrupts(&self) -> &'static str {
        match &self.binding {
            _ if self.enabling.is_some() => "enabling",
            None => "off",
            Some(_) if self.disabling.is_some() => "disabling",
            Some(binding) if binding.pin.is_some() => "on",
            // The page is not the guest's any more, but hardware may write it.
            Some(_) => "held",
        }
    }

    /// Returns the answer for a guest that must not use the queue now.
    fn refusal(&self, session: &Arc<Session>) -> Option<StatusWord> {
        match &self.guest {
            Some(guest) if Arc::ptr_eq(guest, session) => self
                .reset
                .is_some()
                .then(|| answer(ResponseCode::ResetInProgress)),
            _ => Some(answer(ResponseCode::QNotAvail)),
        }
    }
}

impl Queue {
    /// Takes the binding out of the queue, to be given back when the lock was released.
    pub(crate) fn take_binding(&self, state: &mut State, unpin: Unpin) -> Release {
        let leaving = match (state.take_pin(), unpin) {
            (None, _) => Leaving::Nothing,
            (Some(pin), Unpin::Here) => Leaving::Here(pin),
            (Some(pin), Unpin::Later) => Leaving::Later(state.leave(pin)),
        };

        state.disabling = None;
        Release {
            armed: state.binding.take().map(|binding| binding.armed),
            leaving,
        }
    }

    /// Enables the queue's interrupts for a guest, and returns its answer.
    ///
    /// May sleep to pin the page of the NIB. Takes lock 4 and leaves, no other lock of ours.
    pub(crate) fn enable_irq(
        self: &Arc<Self>,
        host: &Host,
        session: &Arc<Session>,
        vcpu: &Vcpu<'_>,
        gisc: Isc,
        nib: Nib,
    ) -> StatusWord {
        // A protected guest may have taken the page back.
        let renew = !vcpu.is_protected();
        let begun = self
            .begin_enable(host, session, gisc, nib, renew)
            .or_else(|| self.wait_and_begin_enable(host, session, gisc, nib, renew));

        match begun {
            Some(Begun::Announced(slot)) => self.pin_and_arm(host, session, vcpu, gisc, nib, slot),
            Some(Begun::Answered(status)) => status,
            None => answer(ResponseCode::Busy),
        }
    }

    /// Enables interrupts with a page that is not pinned yet.
    // Not part of the hook, which answers most guests without it.
    #[inline(never)]
    fn pin_and_arm(
        self: &Arc<Self>,
        host: &Host,
        session: &Arc<Session>,
        vcpu: &Vcpu<'_>,
        gisc: Isc,
        nib: Nib,
        slot: Option<PinSlot>,
    ) -> StatusWord {
        let status = match session.add_queue(self) {
            Ok(()) => match self.prepare(session, vcpu, gisc, nib, slot) {
                Ok((pin, irq)) => return self.arm(host, session, pin, irq),
                Err(_) => answer(ResponseCode::InvalidAddress),
            },
            Err(_) => answer(ResponseCode::Busy),
        };
        self.end_enable();
        status
    }

    /// Begins to enable interrupts once another of the guest's processors has done so. Returns
    /// nothing if that takes it too long.
    #[cold]
    fn wait_and_begin_enable(
        &self,
        host: &Host,
        session: &Arc<Session>,
        gisc: Isc,
        nib: Nib,
        renew: bool,
    ) -> Option<Begun> {
        let mut begun = None;

        Wait::PIN.poll(|| {
            begun = self.begin_enable(host, session, gisc, nib, renew);
            begun.is_some()
        });
        begun
    }

    /// Begins to enable interrupts, and ends if they have all that they need already and `renew`
    /// allows it. Returns nothing if somebody else is about to pin a page.
    #[inline]
    fn begin_enable(
        &self,
        host: &Host,
        session: &Arc<Session>,
        gisc: Isc,
        nib: Nib,
        renew: bool,
    ) -> Option<Begun> {
        let mut state = self.state.lock();

        if let Some(refusal) = state.refusal(session) {
            return Some(Begun::Answered(refusal));
        }
        if state.enabling.is_some() {
            return None;
        }
        let rearmed = match &state.binding {
            Some(binding)
                if renew && state.disabling.is_none() && binding.serves(session, gisc, nib) =>
            {
                binding.armed.rearm()
            }
            _ => {
                state.enabling = Some(nib.page());
                return Some(Begun::Announced(state.slot.take()));
            }
        };

        let (status, rearmed) = rearmed;
        match rearmed {
            Rearmed::Kept => (),
            Rearmed::Gone(quiesced) => {
                let release = self.take_binding(&mut state, Unpin::Here);

                drop(state);
                release.finish(self, quiesced);
            }
            Rearmed::Unknown => {
                state.disabling = Some(IrqDisable::new(self.apqn()));
                drop(state);
                host.look_after(self.apqn());
            }
        }
        Some(Begun::Answered(status))
    }

    /// Ends what [`begin_enable`](Self::begin_enable) announced: no page is being pinned any more.
    fn end_enable(&self) {
        self.state.lock().enabling = None;
    }

    /// Returns the answer for a guest whose NIB cannot be used.
    pub(crate) fn refuse_nib(&self, session: &Arc<Session>) -> StatusWord {
        self.state
            .lock()
            .refusal(session)
            .unwrap_or(answer(ResponseCode::InvalidAddress))
    }

    /// Pins the page of a NIB and registers the guest's interruption subclass.
    fn prepare(
        &self,
        session: &Arc<Session>,
        vcpu: &Vcpu<'_>,
        gisc: Isc,
        nib: Nib,
        slot: Option<PinSlot>,
    ) -> Result<(KBox<Pin>, UnarmedIrq)> {
        let slot = match slot {
            Some(slot) => slot,
            None => KBox::new_uninit(GFP_KERNEL)?,
        };
        let (page, held) = PinnedPage::new(session.clone(), nib.page())?;
        let pin = KBox::write(slot, Pin { page, next: None });

        if vcpu.is_protected() {
            held.ensure_shared()?;
        }
        let gisc = GiscRegistration::new(session.kvm().clone(), gisc)?;

        Ok((pin, UnarmedIrq::new(self.apqn(), nib, held, gisc)))
    }

    /// Tells hardware, gives back what it does not use, and ends the announcement.
    fn arm(
        &self,
        host: &Host,
        session: &Arc<Session>,
        pin: KBox<Pin>,
        irq: UnarmedIrq,
    ) -> StatusWord {
        let mut state = self.state.lock();
        if let Some(refusal) = state.refusal(session) {
            // The queue was taken from the guest, or reset, while the page was being pinned. Pin
            // and registration end without the lock.
            drop(state);
            drop((pin, irq));
            self.end_enable();
            return refusal;
        }

        let (status, armed) = irq.arm();
        match armed {
            Armed::Yes(armed, previous) => {
                let release = self.take_binding(&mut state, Unpin::Here);

                state.binding = Some(IrqBinding {
                    armed,
                    pin: Some(pin),
                });
                // The page is where `dma_unmap` looks for it.
                state.enabling = None;
                drop(state);
                release.finish(self, previous);
                return status;
            }
            Armed::No(irq, previous) => {
                let release = match &previous {
                    Some(_) => self.take_binding(&mut state, Unpin::Here),
                    None => Release::NOTHING,
                };

                drop(state);
                if let Some(previous) = previous {
                    release.finish(self, previous);
                }
                drop((pin, irq));
            }
            Armed::Unknown(armed) => {
                // The page stays without the pin.
                let binding = match state.binding.take() {
                    Some(older) => IrqBinding {
                        armed: armed.merge(older.armed),
                        ..older
                    },
                    None => IrqBinding { armed, pin: None },
                };

                state.binding = Some(binding);
                state.disabling = Some(IrqDisable::new(self.apqn()));
                drop(state);
                drop(pin);
                host.look_after(self.apqn());
            }
        }
        self.end_enable();
        status
    }

    /// Disables the queue's interrupts for a guest, and returns hardware's answer.
    ///
    /// Does not wait until it takes effect: what the interrupts hold is given back then.
    pub(crate) fn disable_irq(&self, host: &Host, session: &Arc<Session>) -> StatusWord {
        let mut state = self.state.lock();
        if let Some(refusal) = state.refusal(session) {
            return refusal;
        }

        let status = ap::aqic_disable(self.apqn());
        if state.binding.is_none() {
            return status;
        }
        let mut disabling = IrqDisable::new(self.apqn());
        let mut step = disabling.requested(status);
        if step == IrqDisableStep::Poll {
            step = disabling.polled(ap::tapq(self.apqn()));
        }
        match step {
            IrqDisableStep::Quiesced(quiesced) => {
                let release = self.take_binding(&mut state, Unpin::Here);

                drop(state);
                release.finish(self, quiesced);
            }
            // Accepted, and not yet in effect.
            IrqDisableStep::Poll => {
                state.disabling = Some(disabling);
                drop(state);
                host.look_after(self.apqn());
            }
            // Not accepted: the guest was told, and may ask again.
            IrqDisableStep::Request | IrqDisableStep::Unexpected => (),
        }
        status
    }

    /// Sees how the disabling of interrupts is going, and gives back what they held once it is
    /// done.
    ///
    /// To be called without any lock of ours. Returns whether the queue is known to be at rest.
    pub(crate) fn poll_disabling(&self) -> bool {
        let mut state = self.state.lock();
        let Some(mut disabling) = state.disabling.take() else {
            return state.binding.is_none();
        };

        let mut step = disabling.polled(ap::tapq(self.apqn()));
        if matches!(step, IrqDisableStep::Poll | IrqDisableStep::Request) {
            // Perhaps it was never accepted. To ask again does no harm: 07 is no error here.
            step = disabling.requested(ap::aqic_disable(self.apqn()));
        }
        match step {
            IrqDisableStep::Quiesced(quiesced) => {
                let release = self.take_binding(&mut state, Unpin::Later);

                drop(state);
                release.finish(self, quiesced);
                true
            }
            IrqDisableStep::Request | IrqDisableStep::Poll | IrqDisableStep::Unexpected => {
                state.disabling = Some(disabling);
                false
            }
        }
    }

    /// Unpins the page of the NIB if its address is from `first` to `last`, and disables the
    /// queue's interrupts.
    ///
    /// To be called without any lock of ours. VFIO holds some of its own, those that unpinning
    /// takes among them: so the session's unpinner does that, and it is waited for, though not for
    /// ever. Neither is the queue: if it is not at rest by then, the page is not in use by VFIO any
    /// more, but held on.
    pub(crate) fn unmap(&self, host: &Host, session: &Session, first: u64, last: u64) {
        let range = first..=last;

        // A page that is being pinned or unpinned has to be one or the other. If user space holds
        // that up, the caller's own loop takes over.
        Wait::PIN.poll(|| {
            let state = self.state.lock();

            !state.enabling.is_some_and(|page| range.contains(&page)) && state.releasing == 0
        });
        {
            let mut state = self.state.lock();
            let pin = match &state.binding {
                Some(binding) if binding.is_pinned_in(first, last) => state.take_pin(),
                _ => None,
            };

            // Perhaps one is leaving already, and the unpinner late.
            if let Some(pin) = pin {
                if state.disabling.is_none() {
                    let mut disabling = IrqDisable::new(self.apqn());

                    // Whatever it answers, it is asked again.
                    let _ = disabling.requested(ap::aqic_disable(self.apqn()));
                    state.disabling = Some(disabling);
                }
                state.leave(pin);
            } else if state.leaving.is_none() {
                return;
            }
        }
        session.kick_unpinner();
        Wait::UNMAP.poll(|| self.poll_disabling());
        Wait::PIN.poll(|| !self.is_releasing());
        host.look_after(self.apqn());
    }

    /// Unpins the pages that are leaving.
    ///
    /// To be called without any lock of ours, nor of VFIO.
    pub(crate) fn unpin_leaving(&self) {
        let mut leaving = self.state.lock().leaving.take();
        let mut slot = None;
        let mut count = 0;

        while let Some(mut pin) = leaving {
            leaving = pin.next.take();
            slot = Some(KBox::drop_contents(pin));
            count += 1;
        }
        if let Some(slot) = slot {
            self.unpinned(count, slot);
        }
    }

    /// Notes that so many pages were unpinned, and keeps the memory of one of them, so that the
    /// next one to be pinned need not ask for it.
    fn unpinned(&self, count: u32, slot: PinSlot) {
        let mut state = self.state.lock();

        state.releasing -= count;
        let old = state.slot.replace(slot);
        drop(state);
        drop(old);
    }

    /// Tells whether a page is about to be unpinned.
    pub(crate) fn is_releasing(&self) -> bool {
        self.state.lock().releasing != 0
    }

    /// Has the page of the NIB unpinned, whether the queue is at rest or not. The queue is not the
    /// guest's any more.
    ///
    /// To be called without any lock of ours.
    pub(crate) fn give_up_pin(&self) {
        let session = {
            let mut state = self.state.lock();
            let pin = state.take_pin();

            pin.map(|pin| state.leave(pin))
        };

        if let Some(session) = session {
            session.kick_unpinner();
        }
        Wait::PIN.poll(|| !self.is_releasing());
    }

    /// Unpins the page of the NIB, whether the queue is at rest or not. The session is ending, so
    /// that nobody pins any more.
    ///
    /// To be called without any lock of ours.
    pub(crate) fn unpin_all(&self) {
        let pin = self.state.lock().take_pin();

        if let Some(pin) = pin {
            self.unpinned(1, KBox::drop_contents(pin));
        }
        self.unpin_leaving();
        // Somebody else may have taken one from the list.
        Wait::PIN.poll(|| !self.is_releasing());
    }
}
