// SPDX-License-Identifier: GPL-2.0

//! Work that goes on by itself, and can be stopped for good.
//!
//! The kernel crate's work items keep what they work on alive, but cannot be waited for. A module
//! has to: its code must not go while it runs.
//!
//! C header: `include/linux/workqueue.h`

use super::bindings as own;
use core::ptr::NonNull;
use kernel::{
    bindings,
    container_of,
    prelude::*,
    sync::{
        Arc,
        LockClassKey, //
    },
    time::Delta,
    types::Opaque, //
};

/// An unbound work queue; destroyed when dropped.
///
/// # Invariants
///
/// The pointer is to a work queue that was allocated and not yet destroyed.
pub(crate) struct WorkQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: Work can be queued, and the queue destroyed, from any thread.
unsafe impl Send for WorkQueue {}

// SAFETY: As above.
unsafe impl Sync for WorkQueue {}

impl WorkQueue {
    /// Makes a work queue.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(name: &'static CStr) -> Result<Arc<Self>> {
        Self::with_rescuer(name, false)
    }

    /// Makes a work queue with a thread of its own for when no other can be had, so that its work
    /// is done even if memory is short. The work must not wait for that of other queues.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new_with_rescuer(name: &'static CStr) -> Result<Arc<Self>> {
        Self::with_rescuer(name, true)
    }

    fn with_rescuer(name: &'static CStr, rescuer: bool) -> Result<Arc<Self>> {
        // SAFETY: The name is a C string, and is copied.
        let raw = unsafe { own::vfio_ap_shim_alloc_workqueue(name.as_char_ptr(), rescuer) };
        // INVARIANT: Just allocated.
        let queue = NonNull::new(raw).map(Self).ok_or(ENOMEM)?;

        Ok(Arc::new(queue, GFP_KERNEL)?)
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. No work is left: each worker has a reference to its queue.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}

/// What is to be done from time to time.
pub(crate) trait Task: Send + Sync + 'static {
    /// Does it once. May sleep. Returns after how long it has to be done again, if at all.
    fn run(&self) -> Option<Delta>;
}

/// A task on a work queue; stopped and waited for when dropped.
#[pin_data(PinnedDrop)]
pub(crate) struct Worker<T: Task> {
    #[pin]
    work: Opaque<bindings::delayed_work>,
    task: T,
    // Dropped after the work was stopped.
    queue: Arc<WorkQueue>,
}

// SAFETY: Delayed work can be queued and cancelled from any thread.
unsafe impl<T: Task> Send for Worker<T> {}

// SAFETY: As above.
unsafe impl<T: Task> Sync for Worker<T> {}

impl<T: Task> Worker<T> {
    /// Makes a worker that does nothing yet.
    pub(crate) fn new(
        queue: Arc<WorkQueue>,
        task: T,
        name: &'static CStr,
        work_key: Pin<&'static LockClassKey>,
        timer_key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            work <- Opaque::ffi_init(|slot: *mut bindings::delayed_work| {
                // SAFETY: `slot` is valid memory that stays where it is, and the function takes
                // the work in a `Worker<T>`. `delayed_work_timer_fn` is the function for the timer
                // of delayed work, which has to be an IRQ-safe one.
                unsafe {
                    bindings::init_work_with_key(
                        &raw mut (*slot).work,
                        Some(Self::work_callback),
                        false,
                        name.as_char_ptr(),
                        work_key.as_ptr(),
                    );
                    bindings::timer_init_key(
                        &raw mut (*slot).timer,
                        Some(bindings::delayed_work_timer_fn),
                        bindings::TIMER_IRQSAFE,
                        name.as_char_ptr(),
                        timer_key.as_ptr(),
                    );
                }
            }),
            task,
            queue,
        })
    }

    /// Does the task after `delay` at the latest. Does not sleep.
    pub(crate) fn kick(&self, delay: Delta) {
        // SAFETY: The work was initialized, and is cancelled before its memory ends. The work
        // queue is there as long as this value.
        unsafe {
            own::vfio_ap_shim_queue_work_within(
                self.queue.0.as_ptr(),
                self.work.get(),
                bindings::__msecs_to_jiffies(delay.as_millis().max(0) as c_uint),
            )
        };
    }

    extern "C" fn work_callback(work: *mut bindings::work_struct) {
        // SAFETY: The work is in a delayed work, which is the first pinned field of a worker; it
        // stays until it was cancelled, which waits for this function.
        let this = unsafe {
            let delayed = container_of!(work, bindings::delayed_work, work);
            &*container_of!(Opaque::cast_from(delayed), Self, work)
        };

        if let Some(delay) = this.task.run() {
            this.kick(delay);
        }
    }
}

#[pinned_drop]
impl<T: Task> PinnedDrop for Worker<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The work was initialized. The function also keeps it from queueing itself again.
        unsafe { bindings::cancel_delayed_work_sync(self.work.get()) };
    }
}
