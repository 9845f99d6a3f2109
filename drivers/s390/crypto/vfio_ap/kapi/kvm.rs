// SPDX-License-Identifier: GPL-2.0

//! KVM guests on s390, as far as AP goes: the masks in the AP control block (APCB), the hook for
//! intercepted PQAP instructions, and the delivery of adapter interrupts.
//!
//! Lock order, fixed by KVM: `kvm->lock`, then `pqap_hook_rwsem`. The hook runs under the latter
//! (shared) and the mutex of a virtual processor, so that it must never take `kvm->lock`.
//!
//! C header: `arch/s390/include/asm/kvm_host.h`

use super::bindings as own;
use crate::model::{
    GisaOrigin,
    GuestMatrix,
    Isc,
    StatusWord, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::Arc,
    types::NotThreadSafe, //
};

/// A reference to a guest, which keeps it from being destroyed.
///
/// Dropping the last one destroys the guest, which sleeps, and takes `kvm->lock` among others.
///
/// # Invariants
///
/// The pointer is valid, and this value owns a reference to what it points to.
pub(crate) struct Kvm(NonNull<own::kvm>);

// SAFETY: `struct kvm` is reference counted, and can be put from any thread.
unsafe impl Send for Kvm {}

// SAFETY: All that can be done with a reference is locked.
unsafe impl Sync for Kvm {}

impl Clone for Kvm {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant the pointer is valid, and its count not zero.
        unsafe { own::vfio_ap_shim_kvm_get(self.0.as_ptr()) };
        // INVARIANT: The reference was taken above.
        Self(self.0)
    }
}

impl Drop for Kvm {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns a reference, which ends here.
        unsafe { own::vfio_ap_shim_kvm_put(self.0.as_ptr()) };
    }
}

impl Kvm {
    /// Takes a reference to a guest.
    ///
    /// # Safety
    ///
    /// `kvm` has to be valid, and somebody has to hold a reference during the call.
    pub(super) unsafe fn get(kvm: NonNull<own::kvm>) -> Self {
        // SAFETY: By the safety requirements.
        unsafe { own::vfio_ap_shim_kvm_get(kvm.as_ptr()) };
        // INVARIANT: The reference was taken above.
        Self(kvm)
    }

    /// Tells whether the guest has a crypto control block, without which it has no AP.
    pub(crate) fn has_crypto(&self) -> bool {
        // SAFETY: By the type invariant the pointer is valid. The member is set when the guest is
        // created, and never changes.
        unsafe { own::vfio_ap_shim_kvm_crycbd(self.0.as_ptr()) != 0 }
    }

    /// Tells whether the guest is a protected one (secure execution). It may become one, or cease
    /// to be, at any time.
    pub(crate) fn is_protected(&self) -> bool {
        // SAFETY: By the type invariant the pointer is valid.
        unsafe { own::vfio_ap_shim_kvm_is_protected(self.0.as_ptr()) }
    }

    /// Takes the guest's `kvm->lock`.
    ///
    /// That can take for ever: KVM copies from user space with it held. To be called without any
    /// lock that others need.
    pub(crate) fn lock(self) -> LockedKvm {
        // SAFETY: By the type invariant the pointer is valid, and so is the mutex in it.
        unsafe { bindings::mutex_lock(own::vfio_ap_shim_kvm_lock(self.0.as_ptr())) };
        // INVARIANT: The mutex was locked above.
        LockedKvm {
            kvm: self,
            _not_send: NotThreadSafe,
        }
    }

    /// Takes the guest's `kvm->lock`, unless somebody holds it.
    pub(crate) fn try_lock(self) -> Option<LockedKvm> {
        // SAFETY: By the type invariant the pointer is valid, and so is the mutex in it.
        let locked =
            unsafe { bindings::mutex_trylock(own::vfio_ap_shim_kvm_lock(self.0.as_ptr())) } != 0;

        // INVARIANT: If it is true, the mutex was locked above.
        locked.then(|| LockedKvm {
            kvm: self,
            _not_send: NotThreadSafe,
        })
    }
}

/// A guest whose `kvm->lock` is held.
///
/// # Invariants
///
/// The thread that this value is on has locked the guest's mutex.
pub(crate) struct LockedKvm {
    kvm: Kvm,
    _not_send: NotThreadSafe,
}

impl Drop for LockedKvm {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this thread has locked the mutex. The reference to the
        // guest ends afterwards.
        unsafe { bindings::mutex_unlock(own::vfio_ap_shim_kvm_lock(self.kvm.0.as_ptr())) };
    }
}

impl LockedKvm {
    /// Tells whether it is this guest.
    pub(crate) fn is(&self, kvm: &Kvm) -> bool {
        self.kvm.0 == kvm.0
    }

    /// Passes to the guest what a matrix has, and nothing else.
    ///
    /// When this returns, none of the guest's processors runs with the masks from before.
    pub(crate) fn set_masks(&mut self, matrix: &GuestMatrix) {
        let (mut apm, mut aqm, mut adm) = (
            *matrix.apm().words(),
            *matrix.aqm().words(),
            *matrix.adm().words(),
        );

        // SAFETY: `kvm->lock` is held, as the function demands. It reads up to 256 bits each.
        unsafe {
            own::vfio_ap_shim_kvm_set_masks(
                self.kvm.0.as_ptr(),
                apm.as_mut_ptr(),
                aqm.as_mut_ptr(),
                adm.as_mut_ptr(),
            )
        };
    }
}

impl Kvm {
    /// Registers a hook for the guest's intercepted PQAP instructions.
    ///
    /// Waits for running hooks of the guest, which user space may hold up: to be called without any
    /// lock that others need.
    ///
    /// # Errors
    ///
    /// `EPERM` if the guest has one: only one device can pass AP to a guest.
    pub(crate) fn register_hook<T: PqapHook>(&self, data: Arc<T>) -> Result<HookRegistration> {
        let cell: KBox<HookCell<T>> = KBox::new(
            HookCell {
                function: Self::hook_callback::<T>,
                data,
            },
            GFP_KERNEL,
        )?;
        let hook = HookSemaphore::write(self);

        if !hook.get().is_null() {
            return Err(EPERM);
        }
        let cell = KBox::into_raw(cell);
        hook.set(cell.cast());
        drop(hook);

        // INVARIANT: The cell was published above.
        Ok(HookRegistration {
            kvm: self.clone(),
            cell: cell.cast(),
            free: |cell| {
                // SAFETY: `cell` came from `into_raw()` of this type, and is not published any
                // more.
                drop(unsafe { KBox::from_raw(cell.cast::<HookCell<T>>()) });
            },
        })
    }

    extern "C" fn hook_callback<T: PqapHook>(vcpu: *mut own::kvm_vcpu) -> c_int {
        let mut pqap = own::vfio_ap_pqap::default();

        // SAFETY: KVM passes the processor whose instruction it handles, whose mutex it holds.
        unsafe { own::vfio_ap_shim_pqap(vcpu, &raw mut pqap) };
        // SAFETY: KVM calls through the cell's first member, under `pqap_hook_rwsem`, under which
        // the cell can be neither exchanged nor freed. Only this cell's type has this function in
        // it.
        let cell = unsafe { &*pqap.hook.cast::<HookCell<T>>() };
        let vcpu = Vcpu {
            pqap: &pqap,
            _not_send: NotThreadSafe,
        };

        match cell.data.pqap(&vcpu) {
            Pqap::Answer(status) => {
                // SAFETY: The registers are shared with user space; this thread is the one to write
                // them.
                unsafe { pqap.gpr1.write_volatile(u64::from(status.to_raw())) };
                0
            }
            Pqap::NotHandled => super::errno::eopnotsupp().to_errno(),
        }
    }
}

/// `pqap_hook_rwsem` of a guest, held exclusively.
struct HookSemaphore<'a>(&'a Kvm);

impl<'a> HookSemaphore<'a> {
    fn write(kvm: &'a Kvm) -> Self {
        // SAFETY: By the type invariant of `Kvm` the pointer is valid, and so is the semaphore.
        unsafe { bindings::down_write(own::vfio_ap_shim_kvm_hook_rwsem(kvm.0.as_ptr())) };
        Self(kvm)
    }

    fn get(&self) -> *mut c_void {
        // SAFETY: The pointer is valid, and the semaphore that protects the member is held.
        unsafe { *own::vfio_ap_shim_kvm_hook(self.0 .0.as_ptr()) }
    }

    fn set(&self, cell: *mut c_void) {
        // SAFETY: As above.
        unsafe { *own::vfio_ap_shim_kvm_hook(self.0 .0.as_ptr()) = cell };
    }
}

impl Drop for HookSemaphore<'_> {
    fn drop(&mut self) {
        // SAFETY: The semaphore was taken by this thread when the value was made.
        unsafe { bindings::up_write(own::vfio_ap_shim_kvm_hook_rwsem(self.0 .0.as_ptr())) };
    }
}

/// What KVM's pointer to a hook points to: a function pointer, and ours behind it.
#[repr(C)]
struct HookCell<T> {
    function: unsafe extern "C" fn(*mut own::kvm_vcpu) -> c_int,
    data: Arc<T>,
}

/// What handles a guest's intercepted PQAP instructions.
///
/// KVM has checked the function code (AQIC), the privilege, the reserved bits of general register 0
/// and the facilities before.
pub(crate) trait PqapHook: Send + Sync + 'static {
    /// Handles one instruction. May sleep, but not for long: the virtual processor waits. Must not
    /// take `kvm->lock`.
    fn pqap(&self, vcpu: &Vcpu<'_>) -> Pqap;
}

/// What came of an intercepted PQAP instruction.
pub(crate) enum Pqap {
    /// The status word for the guest. The condition code follows from its response code.
    Answer(StatusWord),
    /// It is left to user space.
    NotHandled,
}

/// The registration of a hook; unregistered when dropped, which waits for running ones.
///
/// # Invariants
///
/// `cell` is what KVM's pointer points to, and `free` frees it.
pub(crate) struct HookRegistration {
    kvm: Kvm,
    cell: *mut c_void,
    free: fn(*mut c_void),
}

// SAFETY: The hook's data is `Send` and `Sync`; the rest may be dropped on any thread.
unsafe impl Send for HookRegistration {}

// SAFETY: Nothing can be done with a reference.
unsafe impl Sync for HookRegistration {}

impl Drop for HookRegistration {
    fn drop(&mut self) {
        let hook = HookSemaphore::write(&self.kvm);

        hook.set(core::ptr::null_mut());
        drop(hook);
        // The semaphore was held exclusively, so that no hook runs, and none will.
        (self.free)(self.cell);
    }
}

/// A virtual processor whose PQAP instruction was intercepted.
pub(crate) struct Vcpu<'a> {
    pqap: &'a own::vfio_ap_pqap,
    _not_send: NotThreadSafe,
}

/// The proof that a guest is a protected one (secure execution), and so that there is an
/// Ultravisor.
#[derive(Clone, Copy)]
pub(crate) struct Protected<'a>(PhantomData<&'a Vcpu<'a>>);

impl Vcpu<'_> {
    /// Returns general registers 0, 1 and 2, as they were when the instruction was intercepted.
    pub(crate) fn gprs(&self) -> [u64; 3] {
        self.pqap.gprs
    }

    /// Tells whether the guest's adapter interrupts are delivered through its interruption state
    /// area (ECA.11, the adapter interruption virtualization facility).
    pub(crate) fn has_interrupt_virtualization(&self) -> bool {
        self.pqap.aiv
    }

    /// Returns whether the guest is a protected one.
    pub(crate) fn protected(&self) -> Option<Protected<'_>> {
        self.pqap.is_protected.then_some(Protected(PhantomData))
    }

    /// Tells whether an absolute address of the guest is in its memory.
    pub(crate) fn has_memory_at(&self, address: u64) -> bool {
        // SAFETY: The guest is valid while its instruction is handled, and KVM handles instructions
        // in an SRCU read section, as the function demands.
        unsafe { own::vfio_ap_shim_kvm_gpa_in_memslot(self.pqap.kvm, address) }
    }
}

/// The registration of a guest's interruption subclass (GISC) for alerts; unregistered when
/// dropped.
///
/// While it is there, the host gets an interrupt when an adapter made one of that subclass pending
/// for a guest that could not take it. It keeps the guest, and with it the guest interruption state
/// area, in existence. KVM counts the registrations of each subclass.
///
/// # Invariants
///
/// `gisc` is registered for `kvm`, once for this value.
pub(crate) struct GiscUse {
    kvm: Kvm,
    gisc: Isc,
    isc: Isc,
    gisa: GisaOrigin,
}

impl GiscUse {
    /// Registers a subclass.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the guest has no interruption state area.
    pub(crate) fn new(kvm: &Kvm, gisc: Isc) -> Result<Self> {
        let mut gisa = 0;

        // SAFETY: By the type invariant of `Kvm` the pointer is valid.
        let isc = unsafe {
            own::vfio_ap_shim_kvm_gisc_register(kvm.0.as_ptr(), gisc.get().into(), &raw mut gisa)
        };
        to_result(isc.min(0))?;

        let isc = u8::try_from(isc).ok().and_then(Isc::new);
        match (isc, GisaOrigin::new(gisa)) {
            // INVARIANT: Registered above.
            (Some(isc), Some(gisa)) => Ok(Self {
                kvm: kvm.clone(),
                gisc,
                isc,
                gisa,
            }),
            _ => {
                // SAFETY: The subclass was registered above.
                unsafe { own::vfio_ap_shim_kvm_gisc_unregister(kvm.0.as_ptr(), gisc.get().into()) };
                Err(ENODEV)
            }
        }
    }

    /// Makes an adapter interrupt of the subclass pending for the guest, and wakes a processor that
    /// waits for one. Does not sleep.
    pub(super) fn make_pending(&self) {
        // SAFETY: By the type invariants the guest exists and has an interruption state area, and
        // the subclass is registered.
        unsafe {
            own::vfio_ap_shim_kvm_gisc_make_pending(self.kvm.0.as_ptr(), self.gisc.get().into())
        };
    }

    /// Tells whether an adapter interrupt of the subclass is pending for the guest.
    pub(super) fn is_pending(&self) -> bool {
        // SAFETY: As above.
        unsafe {
            own::vfio_ap_shim_kvm_gisc_is_pending(self.kvm.0.as_ptr(), self.gisc.get().into())
        }
    }

    /// Returns the guest's subclass.
    pub(super) fn gisc(&self) -> Isc {
        self.gisc
    }

    /// Returns the host's subclass for alerts.
    pub(super) fn isc(&self) -> Isc {
        self.isc
    }

    /// Returns the address of the guest interruption state area.
    pub(super) fn gisa(&self) -> GisaOrigin {
        self.gisa
    }
}

impl Drop for GiscUse {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the guest exists and the subclass is registered. Failure
        // is for subclasses that are not.
        unsafe {
            own::vfio_ap_shim_kvm_gisc_unregister(self.kvm.0.as_ptr(), self.gisc.get().into())
        };
    }
}
