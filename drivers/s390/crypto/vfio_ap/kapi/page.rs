// SPDX-License-Identifier: GPL-2.0

//! Pages of user space that a VFIO device has pinned, and pages that hardware may write.
//!
//! A pin is VFIO's: it lasts from [`Pins::pin`] until nobody uses the page any more, user space
//! unmaps it, or the device is closed, whichever comes first, and it never outlives the open
//! device. The memory itself is kept by a reference to the page, which each [`PageUse`] has,
//! whatever becomes of the pin.
//!
//! Locks: the type1 container calls `dma_unmap` with its device list locked,
//! takes that lock under `iommu->lock`, and pinning and unpinning take `iommu->lock`. So no lock
//! that `dma_unmap` needs may be held while a page is pinned or unpinned. The table's own is held
//! for neither.
//!
//! C headers: `include/linux/vfio.h`, `include/linux/mm.h`

use super::{
    bindings as own,
    kvm::Protected,
    work::{
        Task,
        WorkQueue,
        Worker, //
    },
};
use crate::model::{
    DirtyPages,
    Nib, //
};
use core::{
    num::NonZeroU32,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        static_lock_class,
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

/// A reference to a page of memory, which keeps the page from being used for anything else; put
/// when dropped.
///
/// # Invariants
///
/// The pointer is valid, and this value owns a reference to the page.
struct HeldPage(NonNull<bindings::page>);

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
    unsafe fn get(page: *mut bindings::page) -> Self {
        // SAFETY: By the safety requirements; a valid page's pointer is not null.
        let page = unsafe {
            own::vfio_ap_shim_get_page(page);
            NonNull::new_unchecked(page)
        };

        // INVARIANT: The reference was taken above.
        Self(page)
    }

    fn address(&self) -> u64 {
        // SAFETY: By the type invariant the page is valid.
        unsafe { own::vfio_ap_shim_page_to_phys(self.0.as_ptr()) }
    }
}

impl Drop for HeldPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns a reference, which ends here.
        unsafe { own::vfio_ap_shim_put_page(self.0.as_ptr()) };
    }
}

/// The state of a pin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is none: the slot can be used.
    Free,
    /// It is being made, with no lock held.
    Pinning,
    /// The same, but the address was unmapped meanwhile.
    PinningInVain,
    /// It is there, and found by its address.
    Pinned,
    /// It has to end. Not found by its address.
    Leaving,
    /// It is being ended, with no lock held.
    Unpinning,
}

/// The place of a pin.
///
/// # Invariants
///
/// While the state is `Pinned`, the pin holds a reference to `page`.
struct Slot {
    state: State,
    /// Distinguishes the pins that the slot has had. Never zero.
    generation: NonZeroU32,
    users: u32,
    iova: u64,
    page: *mut bindings::page,
}

/// Which pin it is.
#[derive(Clone, Copy)]
struct PinId {
    slot: u32,
    generation: NonZeroU32,
}

struct Table {
    // A Linux guest has one page for all of its queues. If there are many, that is for the guest
    // alone to wait for.
    slots: KVec<Slot>,
    closed: bool,
    worker: Option<Pin<KBox<Worker<Unpinner>>>>,
    /// The pages whose pins have ended since a monitor asked for them; there while it logs.
    dirty: Option<DirtyPages>,
}

impl Table {
    fn get(&mut self, id: PinId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.slot as usize);

        slot.filter(|slot| slot.generation == id.generation)
    }

    fn find(&self, is_it: impl Fn(&Slot) -> bool) -> Option<PinId> {
        let mut slots = (0..).zip(&self.slots);

        slots.find_map(|(slot, pin)| {
            is_it(pin).then_some(PinId {
                slot,
                generation: pin.generation,
            })
        })
    }

    /// Finds a slot for a new pin.
    fn begin(&mut self, iova: u64) -> Result<PinId> {
        let pin = Slot {
            state: State::Pinning,
            generation: NonZeroU32::MIN,
            users: 1,
            iova,
            page: core::ptr::null_mut(),
        };

        if let Some(id) = self.find(|slot| slot.state == State::Free) {
            if let Some(slot) = self.get(id) {
                *slot = Slot {
                    generation: id.generation,
                    ..pin
                };
                return Ok(id);
            }
        }
        let slot = u32::try_from(self.slots.len()).map_err(|_| ENOMEM)?;

        self.slots.push(pin, GFP_KERNEL)?;
        Ok(PinId {
            slot,
            generation: NonZeroU32::MIN,
        })
    }

    /// Notes that a pin has ended.
    fn end(&mut self, id: PinId) {
        if let Some(slot) = self.get(id) {
            let iova = slot.iova;

            slot.state = State::Free;
            slot.generation = slot.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
            if let Some(dirty) = &mut self.dirty {
                dirty.add(iova);
            }
        }
    }

    fn kick(&self) {
        if let Some(worker) = &self.worker {
            worker.kick(Delta::ZERO);
        }
    }
}

/// The pages that a VFIO device has pinned, each once for all who use it.
///
/// There is one each time the device is opened. When the device has been closed, all are unpinned,
/// and no more can be pinned.
///
/// # Invariants
///
/// The device is valid and open until [`Pins::close`] returns. Each slot of the table that is
/// `Pinned`, `Leaving` or `Unpinning` stands for one pin of its address.
#[pin_data]
pub(crate) struct Pins {
    device: NonNull<own::vfio_device>,
    #[pin]
    table: Mutex<Table>,
}

// SAFETY: The device's functions for pinning may be called from any thread.
unsafe impl Send for Pins {}

// SAFETY: As above; they lock what they need.
unsafe impl Sync for Pins {}

/// Unpins pages for those who cannot do it in their own thread.
struct Unpinner(Arc<Pins>);

impl Task for Unpinner {
    fn run(&self) -> Option<Delta> {
        self.0.unpin_leaving();
        None
    }
}

impl Pins {
    /// Makes an empty one for a device that is being opened; `queue` is for unpinning.
    ///
    /// # Safety
    ///
    /// The device has to be open, and [`close`](Self::close) to be called before it is not.
    pub(super) unsafe fn new(
        device: NonNull<own::vfio_device>,
        queue: &Arc<WorkQueue>,
    ) -> Result<Arc<Self>> {
        let table = Table {
            slots: KVec::new(),
            closed: false,
            worker: None,
            dirty: None,
        };
        // INVARIANT: By the safety requirements; there are no pins.
        let this = Arc::pin_init(
            pin_init!(Self {
                device,
                table <- new_mutex!(table, "vfio_ap::pins"),
            }),
            GFP_KERNEL,
        )?;
        let worker = KBox::pin_init(
            Worker::new(
                queue.clone(),
                Unpinner(this.clone()),
                c"vfio_ap_unpin",
                static_lock_class!(),
                static_lock_class!(),
            ),
            GFP_KERNEL,
        )?;

        this.table.lock().worker = Some(worker);
        Ok(this)
    }

    /// Uses the page at an I/O virtual address, for reading and writing. Pins it, unless it is
    /// pinned already; then that may sleep, for as long as user space likes.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device was closed, `ENOMEM`, `EINVAL` if nothing is mapped there, or not any
    /// more, `EPERM` if the mapping may not be written, `EACCES` if the container cannot pin, and
    /// others of VFIO's.
    #[inline]
    pub(crate) fn use_page(self: &Arc<Self>, iova: u64) -> Result<PageUse> {
        let iova = iova & !(PAGE_SIZE as u64 - 1);
        let mut table = self.table.lock();

        match table.find(|slot| slot.state == State::Pinned && slot.iova == iova) {
            Some(id) => {
                let slot = table.get(id).ok_or(EINVAL)?;

                slot.users += 1;
                Ok(PageUse {
                    // SAFETY: By the type invariant the pin holds a reference.
                    page: unsafe { HeldPage::get(slot.page) },
                    pins: self.clone(),
                    iova,
                    slot: id.slot,
                    generation: Some(id.generation),
                })
            }
            None if table.closed => Err(ENODEV),
            None => {
                let id = table.begin(iova)?;

                drop(table);
                self.pin(id, iova)
            }
        }
    }

    /// Pins a page for a slot that was made for it.
    #[inline(never)]
    fn pin(self: &Arc<Self>, id: PinId, iova: u64) -> Result<PageUse> {
        let page = self.pin_at(iova);
        let mut table = self.table.lock();
        let slot = table.get(id).ok_or(EINVAL)?;

        match page {
            Ok(page) if slot.state == State::Pinning => {
                // INVARIANT: Just pinned.
                slot.state = State::Pinned;
                slot.page = page.0.as_ptr();
                Ok(PageUse {
                    page,
                    pins: self.clone(),
                    iova,
                    slot: id.slot,
                    generation: Some(id.generation),
                })
            }
            Ok(page) => {
                // The thread that has unmapped the address waits for this.
                slot.state = State::Unpinning;
                drop(table);
                self.unpin(id, iova);
                drop(page);
                Err(EINVAL)
            }
            Err(error) => {
                table.end(id);
                Err(error)
            }
        }
    }

    fn pin_at(&self, iova: u64) -> Result<HeldPage> {
        let mut page = core::ptr::null_mut();
        let prot = (bindings::IOMMU_READ | bindings::IOMMU_WRITE) as c_int;

        // SAFETY: The device is open: `close()` waits for the slot that was taken before. There is
        // room for one page's pointer.
        let pinned =
            unsafe { own::vfio_pin_pages(self.device.as_ptr(), iova, 1, prot, &raw mut page) };
        if pinned < 0 {
            return Err(Error::from_errno(pinned));
        }
        if pinned != 1 {
            return Err(EINVAL);
        }

        // SAFETY: The pin holds a reference to the page.
        Ok(unsafe { HeldPage::get(page) })
    }

    /// Ends a pin whose slot is `Unpinning`. To be called with no lock held.
    fn unpin(&self, id: PinId, iova: u64) {
        // SAFETY: The device is open: `close()` waits for the slot to be free. It was pinned once
        // for the slot, which nobody else unpins.
        unsafe { own::vfio_unpin_pages(self.device.as_ptr(), iova, 1) };
        self.table.lock().end(id);
    }

    /// Ends the pins that have to end.
    ///
    /// May sleep. To be called with no lock that `dma_unmap` needs, nor in it.
    pub(crate) fn unpin_leaving(&self) {
        loop {
            let mut table = self.table.lock();
            let Some(id) = table.find(|slot| slot.state == State::Leaving) else {
                return;
            };
            let Some(slot) = table.get(id) else {
                return;
            };
            let iova = slot.iova;

            slot.state = State::Unpinning;
            drop(table);
            self.unpin(id, iova);
        }
    }

    /// Has the pins end of all pages from `first` to `last`, whoever uses them. From now on they
    /// are not found any more. Returns whether there is one. Does not wait.
    pub(crate) fn withdraw(&self, first: u64, last: u64) -> bool {
        let mut table = self.table.lock();
        let mut found = false;

        for slot in &mut table.slots {
            if slot.state == State::Free || !(first..=last).contains(&slot.iova) {
                continue;
            }
            found = true;
            slot.state = match slot.state {
                State::Pinned => State::Leaving,
                State::Pinning => State::PinningInVain,
                other => other,
            };
        }
        if found {
            table.kick();
        }
        found
    }

    /// Tells whether a page from `first` to `last` is pinned, or is just being pinned or unpinned.
    pub(crate) fn has_any(&self, first: u64, last: u64) -> bool {
        let table = self.table.lock();
        let pin =
            table.find(|slot| slot.state != State::Free && (first..=last).contains(&slot.iova));

        pin.is_some()
    }

    /// Tells whether a pin has to end, and has not.
    pub(crate) fn has_leaving(&self) -> bool {
        let table = self.table.lock();
        let pin = table.find(|slot| matches!(slot.state, State::Leaving | State::Unpinning));

        pin.is_some()
    }

    /// Starts to log which pages hardware may write.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they are logged already.
    pub(super) fn start_log(&self) -> Result {
        let mut table = self.table.lock();

        if table.dirty.is_some() {
            return Err(EINVAL);
        }
        table.dirty = Some(DirtyPages::new());
        Ok(())
    }

    /// Stops to log them.
    ///
    /// # Errors
    ///
    /// `EINVAL` if pages are not logged.
    pub(super) fn stop_log(&self) -> Result {
        let dirty = self.table.lock().dirty.take();

        dirty.map(|_| ()).ok_or(EINVAL)
    }

    /// Returns the first and the last page of each range of pages from `first` to `last` that
    /// hardware may have written since the last call. A page that hardware may still write is
    /// among them each time.
    ///
    /// # Errors
    ///
    /// `EINVAL` if pages are not logged; `ENOMEM`, after which the next call returns them.
    pub(super) fn take_log(&self, first: u64, last: u64) -> Result<KVec<(u64, u64)>> {
        let mut table = self.table.lock();
        let table = &mut *table;
        let dirty = table.dirty.as_mut().ok_or(EINVAL)?;
        let mut ranges =
            KVec::with_capacity(table.slots.len() + DirtyPages::EXACT + 1, GFP_KERNEL)?;
        let in_use = table
            .slots
            .iter()
            .filter(|slot| slot.state != State::Free && (first..=last).contains(&slot.iova));

        for slot in in_use {
            ranges.push((slot.iova, slot.iova), GFP_KERNEL)?;
        }
        // There is room.
        dirty.take(first..=last, &mut |first, last| {
            let _ = ranges.push_within_capacity((first, last));
        });
        Ok(ranges)
    }

    /// Ends all pins, and waits until they have ended. No more will be made.
    pub(super) fn close(&self) {
        let worker = {
            let mut table = self.table.lock();

            table.closed = true;
            table.worker.take()
        };

        // Waits for what it is unpinning.
        drop(worker);
        self.withdraw(0, u64::MAX);
        self.unpin_leaving();
        while self.has_any(0, u64::MAX) {
            fsleep(Delta::from_millis(1));
            self.unpin_leaving();
        }
    }
}

/// The use of a page that was pinned. It keeps the memory; the pin lasts as long as somebody uses
/// the page, unless user space unmaps it or the device is closed.
///
/// Dropped, it takes a lock, and leaves the unpinning to a worker; the memory is given back here.
pub(crate) struct PageUse {
    pins: Arc<Pins>,
    page: HeldPage,
    iova: u64,
    slot: u32,
    /// There while this is counted in the users of the pin.
    generation: Option<NonZeroU32>,
}

impl PageUse {
    /// Returns the I/O virtual address of the page.
    pub(crate) fn iova(&self) -> u64 {
        self.iova
    }

    /// Returns the physical address of the page.
    pub(super) fn address(&self) -> u64 {
        self.page.address()
    }

    /// Stores a notification indicator byte as hardware does, if it is in the page.
    pub(super) fn set_byte(&self, nib: Nib) {
        if nib.page() == self.iova {
            // SAFETY: By the type invariant the page is valid, and the offset is one in a page. It
            // was pinned to be written. The guest writes it as well, which the function allows.
            unsafe { own::vfio_ap_shim_page_set_byte(self.page.0.as_ptr(), nib.offset()) };
        }
    }

    /// Tells whether the pin is still there.
    pub(crate) fn is_pinned(&self) -> bool {
        let slot = self.slot;
        let Some(generation) = self.generation else {
            return false;
        };
        let mut table = self.pins.table.lock();
        let pin = table.get(PinId { slot, generation });

        pin.is_some_and(|pin| pin.state == State::Pinned)
    }

    /// Makes sure that the page is one that a protected guest shares with the host.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not: the page was exported, and the guest does not see it any more.
    pub(crate) fn ensure_shared(&self, _: Protected<'_>) -> Result {
        // SAFETY: There is a protected guest, and so an Ultravisor to ask. The function takes the
        // address of any page that somebody holds a reference to.
        to_result(unsafe { own::uv_pin_shared(self.address() as usize) })
    }

    /// Stops to use the pin. Returns the pin if it has to be ended by the caller.
    fn end(&mut self, here: bool) -> Option<PinId> {
        let generation = self.generation.take()?;
        let id = PinId {
            slot: self.slot,
            generation,
        };
        let mut table = self.pins.table.lock();
        let slot = table.get(id)?;

        slot.users = slot.users.saturating_sub(1);
        if slot.users != 0 || slot.state != State::Pinned {
            return None;
        }
        if here {
            slot.state = State::Unpinning;
            return Some(id);
        }
        slot.state = State::Leaving;
        table.kick();
        None
    }

    /// Stops to use the pin, but keeps the memory. The unpinning is left to a worker.
    pub(super) fn give_up_pin(&mut self) {
        self.end(false);
    }

    /// Stops to use the page, and unpins it in this thread if nobody else uses it. May sleep.
    ///
    /// To be called with no lock that `dma_unmap` needs, nor in it.
    #[inline]
    pub(crate) fn release_here(mut self) {
        if let Some(id) = self.end(true) {
            self.pins.unpin(id, self.iova);
        }
    }
}

impl Drop for PageUse {
    fn drop(&mut self) {
        if self.generation.is_some() {
            self.end(false);
        }
    }
}
