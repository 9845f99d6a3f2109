// SPDX-License-Identifier: GPL-2.0

//! Interrupts of AP queues that go to a guest, and the memory that hardware writes for them.
//!
//! From a successful AQIC on, the queue writes the notification indicator byte (NIB) and the guest
//! interruption state area, whatever the host does with the pages meanwhile. So what holds them is
//! a value that cannot be dropped for its memory, only exchanged for a [`Quiesced`].

use super::{
    ap,
    bindings as own,
    kvm::GiscRegistration, //
};
use crate::model::{
    Apqn,
    AqicControl,
    EnableOutcome,
    Isc,
    Nib,
    Quiesced,
    StatusWord, //
};
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*, //
};

/// A reference to a page of memory, of its own, which keeps the page from being used for anything
/// else; put when dropped.
///
/// # Invariants
///
/// The pointer is valid, and this value owns a reference to the page.
pub(crate) struct HeldPage(NonNull<bindings::page>);

// SAFETY: Pages are reference counted, and may be put from any thread.
unsafe impl Send for HeldPage {}

// SAFETY: Nothing but reading its address can be done with a reference.
unsafe impl Sync for HeldPage {}

impl HeldPage {
    /// Takes a reference to a page.
    ///
    /// # Safety
    ///
    /// The page has to be valid, and somebody has to hold a reference during the call.
    pub(super) unsafe fn get(page: NonNull<bindings::page>) -> Self {
        // SAFETY: By the safety requirements.
        unsafe { own::vfio_ap_shim_get_page(page.as_ptr()) };
        // INVARIANT: The reference was taken above.
        Self(page)
    }

    fn address(&self) -> u64 {
        // SAFETY: By the type invariant the page is valid.
        unsafe { own::vfio_ap_shim_page_to_phys(self.0.as_ptr()) }
    }

    /// Makes sure that the page is one that a protected guest shares with the host.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not: the page was exported, and the guest does not see it any more.
    pub(crate) fn ensure_shared(&self) -> Result {
        // SAFETY: The function takes the address of any page that somebody holds a reference to.
        to_result(unsafe { own::uv_pin_shared(self.address() as usize) })
    }
}

impl Drop for HeldPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns a reference, which ends here.
        unsafe { own::vfio_ap_shim_put_page(self.0.as_ptr()) };
    }
}

/// All that a queue's interrupts need, before hardware was told of it.
pub(crate) struct UnarmedIrq {
    apqn: Apqn,
    nib: Nib,
    page: HeldPage,
    gisc: GiscRegistration,
}

/// What came of telling hardware.
pub(crate) enum Armed {
    /// Hardware uses it, and what it used before it does not use any more.
    Yes(ArmedIrq, Quiesced),
    /// Hardware does not use it. If there is a token, it uses nothing.
    No(UnarmedIrq, Option<Quiesced>),
    /// Nobody knows: hardware gave an answer that it cannot give.
    Unknown(ArmedIrq),
}

impl UnarmedIrq {
    /// Puts together what a queue's interrupts need: the page that the guest's `nib` is in, and the
    /// registration of the guest's subclass.
    pub(crate) fn new(apqn: Apqn, nib: Nib, page: HeldPage, gisc: GiscRegistration) -> Self {
        Self {
            apqn,
            nib,
            page,
            gisc,
        }
    }

    /// Enables the queue's interrupts with PQAP(AQIC). Does not sleep.
    ///
    /// Returns the status that hardware left, and what it means for the memory.
    pub(crate) fn arm(self) -> (StatusWord, Armed) {
        let apqn = self.apqn;
        let armed = ArmedIrq::new(self);
        let status = armed.enable();
        let result = match EnableOutcome::of(apqn, status) {
            EnableOutcome::Enabled { previous } => Armed::Yes(armed, previous),
            EnableOutcome::AlreadyEnabled | EnableOutcome::Busy | EnableOutcome::Refused => {
                Armed::No(armed.into_unarmed().0, None)
            }
            EnableOutcome::Gone { previous } => Armed::No(armed.into_unarmed().0, Some(previous)),
            EnableOutcome::Unexpected => Armed::Unknown(armed),
        };

        (status, result)
    }
}

/// What came of telling hardware once more what it was told before.
pub(crate) enum Rearmed {
    /// Hardware uses the same as before, or does not use it just now.
    Kept,
    /// Hardware uses nothing.
    Gone(Quiesced),
    /// Nobody knows: hardware gave an answer that it cannot give.
    Unknown,
}

/// All that a queue's interrupts need, while hardware uses it.
///
/// Dropped without a proof that hardware does not, it leaks the page and the guest: that costs
/// memory, while giving them back would let hardware write into memory of somebody else.
#[must_use]
pub(crate) struct ArmedIrq {
    irq: ManuallyDrop<UnarmedIrq>,
    // What hardware may use besides, after an answer that it cannot give.
    also: ManuallyDrop<Option<UnarmedIrq>>,
}

impl ArmedIrq {
    fn new(irq: UnarmedIrq) -> Self {
        Self {
            irq: ManuallyDrop::new(irq),
            also: ManuallyDrop::new(None),
        }
    }

    #[inline]
    fn enable(&self) -> StatusWord {
        let UnarmedIrq {
            apqn,
            nib,
            page,
            gisc,
        } = &*self.irq;
        let control = AqicControl::enable_for_guest(gisc.gisa(), gisc.gisc(), gisc.isc());
        let nib = page.address() | nib.offset();

        // SAFETY: This value holds the page and the guest, and frees them only for a proof that
        // hardware does not use them any more.
        unsafe { ap::aqic_enable(*apqn, control, nib) }
    }

    // Only for what hardware is known not to use.
    fn into_unarmed(self) -> (UnarmedIrq, Option<UnarmedIrq>) {
        let mut this = ManuallyDrop::new(self);

        // SAFETY: `this` is never used again, and not dropped.
        unsafe {
            (
                ManuallyDrop::take(&mut this.irq),
                ManuallyDrop::take(&mut this.also),
            )
        }
    }

    /// Tells whether it is this byte and subclass, and no other, that hardware uses.
    pub(crate) fn is_for(&self, nib: Nib, gisc: Isc) -> bool {
        self.irq.nib == nib && self.irq.gisc.gisc() == gisc && self.also.is_none()
    }

    /// Enables the queue's interrupts once more, with what it has. Does not sleep.
    ///
    /// Returns the status that hardware left, and what it means for the memory.
    #[inline]
    pub(crate) fn rearm(&self) -> (StatusWord, Rearmed) {
        let status = self.enable();
        let rearmed = match EnableOutcome::of(self.irq.apqn, status) {
            // The proof is of the time before: it is the same memory that is used now.
            EnableOutcome::Enabled { previous: _ }
            | EnableOutcome::AlreadyEnabled
            | EnableOutcome::Busy
            | EnableOutcome::Refused => Rearmed::Kept,
            EnableOutcome::Gone { previous } => Rearmed::Gone(previous),
            EnableOutcome::Unexpected => Rearmed::Unknown,
        };

        (status, rearmed)
    }

    /// Makes one of two, of the same queue, of which nobody knows which one hardware uses.
    ///
    /// If `self` is already such a one, the oldest part is given up.
    pub(crate) fn merge(self, older: ArmedIrq) -> Self {
        let apqn = self.irq.apqn;
        // Held by the result, so that hardware may go on using both.
        let (irq, also) = self.into_unarmed();
        let (older, oldest) = older.into_unarmed();

        for given_up in [also, oldest].into_iter().flatten() {
            core::mem::forget(given_up);
            report(apqn);
        }
        Self {
            irq: ManuallyDrop::new(irq),
            also: ManuallyDrop::new(Some(older)),
        }
    }

    /// Gives back the page, the subclass and the guest. Takes no lock, but may sleep: the reference
    /// to the guest may be the last.
    ///
    /// The proof has to be made of answers of this queue's own, newer than the enabling.
    pub(crate) fn disarm(self, quiesced: Quiesced) {
        if quiesced.apqn() == self.irq.apqn {
            drop(self.into_unarmed());
        }
    }
}

impl Drop for ArmedIrq {
    fn drop(&mut self) {
        // Neither field is dropped.
        report(self.irq.apqn);
    }
}

fn report(apqn: Apqn) {
    if super::may_print() {
        pr_err!(
            "queue {:02x}.{:04x} may still write its notification indicator byte: page given up\n",
            apqn.apid.get(),
            apqn.apqi.get()
        );
    }
}
