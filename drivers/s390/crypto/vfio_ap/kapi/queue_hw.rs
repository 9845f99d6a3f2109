// SPDX-License-Identifier: GPL-2.0

//! The hardware of one AP queue: its reset, its interrupts, and the memory that it may write.
//!
//! From a successful AQIC on, a queue writes the notification indicator byte (NIB) and the guest
//! interruption state area, whatever the host does with the pages meanwhile. So what keeps that
//! memory is in [`QueueHw`], which issues all instructions itself, feeds their answers to the
//! machines of [`crate::model`], and lets go of memory only when hardware was seen not to use it.
//! No status word comes from a caller.
//!
//! C headers: `arch/s390/include/asm/ap.h`, `drivers/s390/crypto/ap_bus.h`

use super::{
    ap,
    bindings as own,
    kvm::GiscUse,
    page::PageUse, //
};
use crate::model::{
    Apqn,
    AqicControl,
    DisableVerdict,
    EnableVerdict,
    IrqDisable,
    Isc,
    Next,
    Nib,
    Orphan,
    Reset,
    ResetOutcome,
    ResponseCode,
    StatusWord, //
};
use core::mem::ManuallyDrop;
use kernel::{
    device,
    prelude::*,
    sync::aref::ARef,
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};

/// The resources that a queue needs to interrupt a guest: the page that the guest's NIB is in, and
/// the guest's interruption subclass.
pub(crate) struct Notification {
    page: PageUse,
    nib: Nib,
    gisc: GiscUse,
}

impl Notification {
    /// Puts together what a queue needs.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `nib` is not in the page.
    pub(crate) fn new(page: PageUse, nib: Nib, gisc: GiscUse) -> Result<Self> {
        if nib.page() == page.iova() {
            Ok(Self { page, nib, gisc })
        } else {
            Err(EINVAL)
        }
    }

    /// Gives everything back, and unpins the page in this thread if nobody else uses it. May sleep.
    ///
    /// Dropping it leaves the unpinning to a worker.
    pub(crate) fn release_here(self) {
        self.page.release_here();
    }
}

/// Resources that hardware was seen not to use any more, or never used.
///
/// To be dropped, or given back with [`release_here`](Self::release_here), with no lock held:
/// either takes locks, and may put the last reference to a guest.
#[must_use]
#[derive(Default)]
pub(crate) struct Released {
    notification: Option<Notification>,
    /// Rarely there, and so in a box.
    other: Option<KBox<Notification>>,
}

impl Released {
    fn one(notification: Notification) -> Self {
        Self {
            notification: Some(notification),
            other: None,
        }
    }

    /// Gives everything back in this thread. May sleep.
    #[inline]
    pub(crate) fn release_here(self) {
        if let Some(notification) = self.notification {
            notification.release_here();
        }
        if let Some(other) = self.other {
            KBox::into_inner(other).release_here();
        }
    }
}

/// Resources that hardware may be using.
///
/// Dropped without having been disarmed, it leaks the page and the guest: that costs memory, while
/// giving them back would let hardware write into memory of somebody else.
struct Armed {
    notification: ManuallyDrop<Notification>,
    apqn: Apqn,
}

impl Armed {
    fn new(notification: Notification, apqn: Apqn) -> Self {
        Self {
            notification: ManuallyDrop::new(notification),
            apqn,
        }
    }

    /// Only for what hardware is known not to use.
    fn disarm(self) -> Notification {
        let mut this = ManuallyDrop::new(self);

        // SAFETY: `this` is not used again, and not dropped.
        unsafe { ManuallyDrop::take(&mut this.notification) }
    }

    fn is_on_page_from_to(&self, first: u64, last: u64) -> bool {
        (first..=last).contains(&self.notification.page.iova())
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        // The field is not dropped.
        if super::may_print() {
            pr_err!(
                "queue {:02x}.{:04x} may still write its notification indicator byte: page given up\n",
                self.apqn.apid.get(),
                self.apqn.apqi.get()
            );
        }
    }
}

/// The state of a queue's interrupts.
enum Irq {
    /// Hardware uses no NIB of ours.
    Off,
    /// Hardware has accepted to use this one.
    On(Armed),
    /// Hardware may use what is held, and is being told not to. There is none if it was not for us
    /// that interrupts were enabled, and an older one after an answer that AQIC does not have.
    Disabling {
        machine: IrqDisable,
        held: Option<Armed>,
        older: Option<KBox<Armed>>,
        then: Then,
    },
    /// Hardware uses no NIB of ours. This one is to be used again, or for the first time.
    Parked(Notification),
}

/// The fate of resources when hardware does not use them any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Release,
    Park,
}

/// The state of a queue's reset.
enum ResetState {
    None,
    Running(Reset),
    Ended(ResetOutcome),
}

/// The state of a queue's interrupts, for people.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum IrqState {
    /// They hold nothing.
    Off,
    /// They are enabled.
    On,
    /// They are being disabled.
    Disabling,
    /// Their page was unpinned, but hardware may still write it.
    Held,
    /// They are disabled as long as the guest is stopped.
    Parked,
}

/// The answer to an AQIC that enables interrupts.
pub(crate) struct EnableAnswer {
    /// What hardware left, for the guest.
    pub(crate) status: StatusWord,
    /// What is not used.
    pub(crate) released: Released,
    /// Interrupts were found on although nobody of ours had enabled them. They are being disabled;
    /// worth another try a moment later.
    pub(crate) again: bool,
}

/// What [`QueueHw::poll`] saw.
pub(crate) struct Polled {
    /// What is not used any more.
    pub(crate) released: Released,
    /// How a reset has ended.
    pub(crate) reset_ended: Option<ResetOutcome>,
}

/// What PQAP(TAPQ) says of a queue.
pub(crate) struct QueueTest {
    /// Its properties, as in general register 2.
    pub(crate) info: u64,
    /// The adapter is deconfigured or checkstopped.
    pub(crate) is_gone: bool,
    /// There are requests or replies in it.
    pub(crate) has_requests: bool,
}

/// The hardware of one queue, from bind to unbind, and beyond if it does not come to rest.
///
/// There is one for each binding: the bus's probe makes it, and it cannot be cloned.
pub(crate) struct QueueHw {
    apqn: Apqn,
    device: ARef<device::Device>,
    made: Instant<Monotonic>,
    irq: Irq,
    reset: ResetState,
    /// The queue was left to its next user: it is only looked at.
    orphan: Option<Orphan>,
}

impl QueueHw {
    /// # Safety
    ///
    /// `device` has to be that of an AP queue, `apqn` its number, and the driver to be in the
    /// course of being bound to it. There must be no other one for this binding.
    pub(super) unsafe fn new(device: &device::Device, apqn: Apqn) -> Self {
        Self {
            apqn,
            device: device.into(),
            made: Instant::now(),
            irq: Irq::Off,
            reset: ResetState::None,
            orphan: None,
        }
    }

    /// Returns the queue's number.
    pub(crate) fn apqn(&self) -> Apqn {
        self.apqn
    }

    /// Stops the AP bus's own state machine for the queue, which resets it and enables interrupts
    /// for the host when a device is new, and after configuring or a checkstop. Returns whether it
    /// was at rest, and is not about to begin.
    fn stop_bus(&self) -> bool {
        /// The bus starts its machine directly after it has made the device. If it does not in this
        /// time, it will not: the device was made while the adapter was deconfigured.
        const BEGINS: Delta = Delta::from_secs(10);

        // `Device` is a transparent wrapper of the mutable C structure.
        let device = core::ptr::from_ref(&*self.device).cast_mut().cast();

        // SAFETY: By the requirements of `new()` it is the device of a queue, and this value holds
        // a reference to it.
        match unsafe { own::vfio_ap_shim_queue_stop(device) } {
            own::vfio_ap_queue_bus_AT_REST => true,
            own::vfio_ap_queue_bus_TO_BEGIN => self.made.elapsed() > BEGINS,
            _ => false,
        }
    }

    /// Enables interrupts with PQAP(AQIC). Does not sleep.
    #[inline]
    pub(crate) fn enable(&mut self, notification: Notification) -> EnableAnswer {
        if self.orphan.is_some() {
            return Self::refused(ResponseCode::QNotAvail, notification);
        }
        if matches!(self.reset, ResetState::Running(_)) {
            return Self::refused(ResponseCode::ResetInProgress, notification);
        }
        if matches!(
            &self.irq,
            Irq::Disabling { older: Some(_), .. } | Irq::Parked(_)
        ) {
            return Self::refused(ResponseCode::Busy, notification);
        }

        let gisc = &notification.gisc;
        let control = AqicControl::enable_for_guest(gisc.gisa(), gisc.gisc(), gisc.isc());
        let address = notification.page.address() | notification.nib.offset();
        let armed = Armed::new(notification, self.apqn);
        // SAFETY: `armed` keeps the page, and the guest with its interruption state area. It is
        // stored below unless hardware was seen not to use it, and freed only when it was.
        let status = unsafe { ap::aqic_enable(self.apqn, control, address) };

        match EnableVerdict::of(status) {
            EnableVerdict::Enabled => EnableAnswer {
                status,
                released: self.replace_irq(Irq::On(armed)),
                again: false,
            },
            EnableVerdict::AlreadyEnabled if matches!(self.irq, Irq::Off) => {
                self.irq = Irq::Disabling {
                    machine: IrqDisable::new(),
                    held: None,
                    older: None,
                    then: Then::Release,
                };
                let _ = self.poll_disabling();
                EnableAnswer {
                    status: StatusWord::with_response(ResponseCode::Busy),
                    released: Released::one(armed.disarm()),
                    again: true,
                }
            }
            EnableVerdict::AlreadyEnabled | EnableVerdict::Busy | EnableVerdict::Refused => {
                EnableAnswer {
                    status,
                    released: Released::one(armed.disarm()),
                    again: false,
                }
            }
            EnableVerdict::Gone => {
                let mut released = self.replace_irq(Irq::Off);

                // If there is one before, it goes first, and this one may have to ask for memory.
                // Without, the page is unpinned by a worker.
                match released.notification {
                    None => released.notification = Some(armed.disarm()),
                    Some(_) => released.other = KBox::new(armed.disarm(), GFP_KERNEL).ok(),
                }
                EnableAnswer {
                    status,
                    released,
                    again: false,
                }
            }
            EnableVerdict::Unexpected => {
                let before = match core::mem::replace(&mut self.irq, Irq::Off) {
                    // Nothing is enabled while something is parked.
                    Irq::Off | Irq::Parked(_) => None,
                    Irq::On(before) => Some(before),
                    Irq::Disabling { held, .. } => held,
                };

                self.irq = Irq::Disabling {
                    machine: IrqDisable::new(),
                    held: Some(armed),
                    // Without memory it is given up.
                    older: before.and_then(|before| KBox::new(before, GFP_KERNEL).ok()),
                    then: Then::Release,
                };
                EnableAnswer {
                    status,
                    released: Released::default(),
                    again: false,
                }
            }
        }
    }

    fn refused(code: ResponseCode, notification: Notification) -> EnableAnswer {
        EnableAnswer {
            status: StatusWord::with_response(code),
            released: Released::one(notification),
            again: false,
        }
    }

    /// Exchanges what interrupts do, when hardware was seen not to use what they held.
    fn replace_irq(&mut self, irq: Irq) -> Released {
        match core::mem::replace(&mut self.irq, irq) {
            Irq::Off => Released::default(),
            Irq::On(armed) => Released::one(armed.disarm()),
            Irq::Parked(notification) => Released::one(notification),
            Irq::Disabling { held, older, .. } => Released {
                notification: held.map(Armed::disarm),
                // Without memory it is given back here, but for the pin.
                other: older
                    .and_then(|older| KBox::new(KBox::into_inner(older).disarm(), GFP_KERNEL).ok()),
            },
        }
    }

    /// Disables interrupts with PQAP(AQIC) for a guest, whose answer it returns, with what is not
    /// used any more. Does not sleep, and does not wait until it takes effect.
    pub(crate) fn disable(&mut self) -> (StatusWord, Released) {
        if self.orphan.is_some() {
            let status = StatusWord::with_response(ResponseCode::QNotAvail);

            return (status, Released::default());
        }
        let status = ap::aqic_disable(self.apqn);

        if matches!(self.reset, ResetState::Running(_)) || matches!(self.irq, Irq::Off) {
            return (status, Released::default());
        }
        if matches!(self.irq, Irq::Parked(_)) {
            return (status, self.replace_irq(Irq::Off));
        }
        let mut machine = match &self.irq {
            Irq::Disabling { machine, .. } => *machine,
            _ => IrqDisable::new(),
        };
        let released = match machine.requested(status) {
            Next::Done(DisableVerdict::Quiesced) => self.replace_irq(Irq::Off),
            // Not accepted: the guest was told, and may ask again.
            Next::Request => Released::default(),
            // Accepted; or an answer that leaves open whether it was. Looked after until it is
            // certain.
            Next::Poll | Next::Done(DisableVerdict::Unexpected) => {
                self.set_disabling(machine);
                self.look_disabled()
            }
        };
        (status, released)
    }

    /// Has interrupts disabled, whatever hardware answers at first: it is asked again by
    /// [`poll`](Self::poll). Does not sleep.
    pub(crate) fn quiesce(&mut self) -> Released {
        if self.orphan.is_none()
            && matches!(self.irq, Irq::On(_))
            && !matches!(self.reset, ResetState::Running(_))
        {
            self.set_disabling(IrqDisable::new());
            return self.poll_disabling();
        }
        Released::default()
    }

    /// Has interrupts disabled, until [`unpark`](Self::unpark): what they hold is kept for then.
    /// Those that are being disabled are not kept. Does not sleep, and does not wait.
    pub(crate) fn pause(&mut self) -> Released {
        if self.orphan.is_none()
            && matches!(self.irq, Irq::On(_))
            && !matches!(self.reset, ResetState::Running(_))
        {
            self.set_disabling(IrqDisable::new());
            if let Irq::Disabling { then, .. } = &mut self.irq {
                *then = Then::Park;
            }
            return self.poll_disabling();
        }
        Released::default()
    }

    /// Keeps what interrupts will hold, until [`unpark`](Self::unpark).
    ///
    /// # Errors
    ///
    /// Gives it back if interrupts are not off, or the queue is being reset or is an orphan.
    pub(crate) fn park(&mut self, notification: Notification) -> Result<(), Notification> {
        if self.orphan.is_some()
            || !matches!(self.irq, Irq::Off)
            || matches!(self.reset, ResetState::Running(_))
        {
            return Err(notification);
        }
        self.irq = Irq::Parked(notification);
        Ok(())
    }

    /// Gives back what is kept for later.
    pub(crate) fn forget_parked(&mut self) -> Released {
        match &mut self.irq {
            Irq::Parked(_) => self.replace_irq(Irq::Off),
            Irq::Disabling { then, .. } => {
                *then = Then::Release;
                Released::default()
            }
            _ => Released::default(),
        }
    }

    /// Enables interrupts with what was kept, unless user space has unmapped the page. Does not
    /// sleep. The second value tells whether to try again, since the queue is busy.
    pub(crate) fn unpark(&mut self) -> (Released, bool) {
        let notification = match core::mem::replace(&mut self.irq, Irq::Off) {
            Irq::Parked(notification) => notification,
            other => {
                let again = matches!(
                    other,
                    Irq::Disabling {
                        then: Then::Park,
                        ..
                    }
                );

                self.irq = other;
                return (Released::default(), again);
            }
        };
        if !notification.page.is_pinned() {
            return (Released::one(notification), false);
        }

        let EnableAnswer {
            status,
            mut released,
            ..
        } = self.enable(notification);
        let is_busy = matches!(status.response(), Ok(code) if code.is_transient());

        match released.notification.take() {
            Some(notification) if is_busy && matches!(self.irq, Irq::Off) => {
                self.irq = Irq::Parked(notification);
                (released, true)
            }
            // Interrupts were found on that are not ours: first they have to be off.
            Some(notification) if is_busy => {
                if let Irq::Disabling { held, then, .. } = &mut self.irq {
                    *held = Some(Armed::new(notification, self.apqn));
                    *then = Then::Park;
                }
                (released, true)
            }
            notification => {
                released.notification = notification;
                (released, false)
            }
        }
    }

    /// Returns what interrupts will be, if they are kept for later.
    pub(crate) fn parked(&self) -> Option<(Nib, Isc)> {
        match &self.irq {
            Irq::Parked(notification) => Some((notification.nib, notification.gisc.gisc())),
            _ => None,
        }
    }

    /// Makes an interrupt for the guest as hardware would, if interrupts are enabled.
    pub(crate) fn interrupt(&self) {
        if let Irq::On(Armed { notification, .. }) = &self.irq {
            if notification.page.is_pinned() {
                notification.page.set_byte(notification.nib);
                notification.gisc.make_pending();
            }
        }
    }

    /// Tells whether interrupts are enabled, and either hardware has not begun to make them, or the
    /// guest has not taken one of their subclass.
    pub(crate) fn awaits_interrupt(&self) -> bool {
        let Irq::On(armed) = &self.irq else {
            return false;
        };
        let status = ap::tapq(self.apqn);

        armed.notification.gisc.is_pending()
            || (status.response() == Ok(ResponseCode::Normal) && !status.irq_enabled())
    }

    /// Tests the queue with PQAP(TAPQ). [`None`] if there is no such queue. Does not sleep.
    pub(crate) fn test(&self) -> Option<QueueTest> {
        let (status, info) = ap::tapq_info(self.apqn);

        match status.response() {
            Ok(ResponseCode::QNotAvail) | Err(_) => None,
            Ok(code) => (info != 0).then(|| QueueTest {
                info,
                is_gone: code.is_gone(),
                has_requests: !code.is_gone() && !status.queue_empty(),
            }),
        }
    }

    fn set_disabling(&mut self, machine: IrqDisable) {
        let (held, older, then) = match core::mem::replace(&mut self.irq, Irq::Off) {
            Irq::Off => (None, None, Then::Release),
            Irq::On(armed) => (Some(armed), None, Then::Release),
            Irq::Disabling {
                held, older, then, ..
            } => (held, older, then),
            // Hardware does not use it.
            parked @ Irq::Parked(_) => {
                self.irq = parked;
                return;
            }
        };

        self.irq = Irq::Disabling {
            machine,
            held,
            older,
            then,
        };
    }

    /// Interrupts were seen to be disabled.
    fn set_disabled(&mut self) -> Released {
        match core::mem::replace(&mut self.irq, Irq::Off) {
            Irq::Disabling {
                held: Some(held),
                older,
                then: Then::Park,
                ..
            } => {
                self.irq = Irq::Parked(held.disarm());
                Released {
                    notification: older.map(|older| KBox::into_inner(older).disarm()),
                    other: None,
                }
            }
            other => {
                self.irq = other;
                self.replace_irq(Irq::Off)
            }
        }
    }

    /// Looks once whether a disabling that was accepted has taken effect.
    fn look_disabled(&mut self) -> Released {
        let Irq::Disabling { machine, .. } = &mut self.irq else {
            return Released::default();
        };

        match machine.polled(ap::tapq(self.apqn)) {
            Next::Done(DisableVerdict::Quiesced) => self.set_disabled(),
            _ => Released::default(),
        }
    }

    /// Looks how the disabling is going, and asks for it again if it has not taken effect: perhaps
    /// it was never accepted, and to ask twice does no harm.
    fn poll_disabling(&mut self) -> Released {
        let apqn = self.apqn;
        let Irq::Disabling { machine, .. } = &mut self.irq else {
            return Released::default();
        };
        let next = match machine.polled(ap::tapq(apqn)) {
            Next::Poll | Next::Request => machine.requested(ap::aqic_disable(apqn)),
            done @ Next::Done(_) => done,
        };

        match next {
            Next::Done(DisableVerdict::Quiesced) => self.set_disabled(),
            Next::Poll => self.look_disabled(),
            _ => Released::default(),
        }
    }

    /// Asks for a reset with PQAP(ZAPQ), and returns the answer. Does not sleep. One that is going
    /// on is not enough: the queue may have been used since it began.
    pub(crate) fn start_reset(&mut self) -> StatusWord {
        if self.orphan.is_some() {
            return StatusWord::with_response(ResponseCode::QNotAvail);
        }
        let mut machine = Reset::new();

        let _ = self.stop_bus();
        let status = ap::zapq(self.apqn);
        // If it has ended already, the first poll will find out.
        let _ = machine.requested(status);
        self.reset = ResetState::Running(machine);
        status
    }

    /// Looks how the reset and the disabling of interrupts are going. Does not sleep.
    pub(crate) fn poll(&mut self) -> Polled {
        let mut polled = Polled {
            released: Released::default(),
            reset_ended: None,
        };

        if let Some(orphan) = &mut self.orphan {
            if orphan.polled(ap::tapq(self.apqn)) {
                polled.released = self.replace_irq(Irq::Off);
            }
        } else if matches!(self.reset, ResetState::Running(_)) {
            if let Some(outcome) = self.poll_reset() {
                self.reset = ResetState::Ended(outcome);
                polled.reset_ended = Some(outcome);
                if outcome.is_quiesced() || matches!(self.irq, Irq::Parked(_)) {
                    polled.released = self.replace_irq(Irq::Off);
                } else if matches!(self.irq, Irq::On(_)) {
                    // Whether they are still on is not known.
                    self.set_disabling(IrqDisable::new());
                }
            }
        } else {
            polled.released = self.poll_disabling();
        }
        polled
    }

    fn poll_reset(&mut self) -> Option<ResetOutcome> {
        let ResetState::Running(mut machine) = self.reset else {
            return None;
        };
        let status = ap::tapq(self.apqn);
        let mut next = machine.polled(status);

        // A guest that gets the queue has to find it in reset state. If it was the bus's machine
        // that went on meanwhile, or the host's interrupts are on, it takes another one.
        if next == Next::Done(ResetOutcome::Completed) && (!self.stop_bus() || status.irq_enabled())
        {
            next = Next::Request;
        }
        if next == Next::Request {
            next = machine.requested(ap::zapq(self.apqn));
        }
        self.reset = ResetState::Running(machine);
        match next {
            Next::Done(outcome) => Some(outcome),
            Next::Poll | Next::Request => None,
        }
    }

    /// Leaves the queue to its next user. From now on hardware is only looked at, and memory that
    /// it may write is kept without a pin.
    pub(crate) fn orphan(&mut self) {
        let orphan = match (&self.reset, &self.irq) {
            (ResetState::Running(reset), _) => Orphan::new(Some(reset), None),
            (_, Irq::Disabling { machine, .. }) => Orphan::new(None, Some(machine)),
            _ => Orphan::new(None, None),
        };

        self.orphan.get_or_insert(orphan);
        match &mut self.irq {
            Irq::Off => (),
            Irq::On(armed) => armed.notification.page.give_up_pin(),
            Irq::Parked(notification) => notification.page.give_up_pin(),
            Irq::Disabling { held, older, .. } => {
                for armed in [held.as_mut(), older.as_deref_mut()].into_iter().flatten() {
                    armed.notification.page.give_up_pin();
                }
            }
        }
    }

    /// Tells whether a reset is going on.
    pub(crate) fn is_being_reset(&self) -> bool {
        matches!(self.reset, ResetState::Running(_))
    }

    /// Returns how the last reset ended, if one has and none is going on.
    pub(crate) fn reset_outcome(&self) -> Option<ResetOutcome> {
        match self.reset {
            ResetState::Ended(outcome) => Some(outcome),
            ResetState::None | ResetState::Running(_) => None,
        }
    }

    /// Tells whether something goes on whose end has to be looked for.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.is_being_reset() || matches!(self.irq, Irq::Disabling { .. })
    }

    /// Tells whether hardware may be writing memory that is held here.
    pub(crate) fn holds_memory(&self) -> bool {
        match &self.irq {
            Irq::Off | Irq::Parked(_) => false,
            Irq::On(_) => true,
            Irq::Disabling { held, .. } => held.is_some(),
        }
    }

    /// Tells whether hardware may be writing a page with an I/O virtual address from `first` to
    /// `last`.
    pub(crate) fn is_armed_in(&self, first: u64, last: u64) -> bool {
        match &self.irq {
            Irq::Off | Irq::Parked(_) => false,
            Irq::On(armed) => armed.is_on_page_from_to(first, last),
            Irq::Disabling { held, older, .. } => [held.as_ref(), older.as_deref()]
                .into_iter()
                .flatten()
                .any(|armed| armed.is_on_page_from_to(first, last)),
        }
    }

    /// Returns what interrupts are doing.
    pub(crate) fn irq_state(&self) -> IrqState {
        match &self.irq {
            Irq::Off => IrqState::Off,
            Irq::On(armed) if !armed.notification.page.is_pinned() => IrqState::Held,
            Irq::On(_) => IrqState::On,
            Irq::Disabling { .. } => IrqState::Disabling,
            Irq::Parked(_) => IrqState::Parked,
        }
    }
}
