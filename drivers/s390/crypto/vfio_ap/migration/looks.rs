// SPDX-License-Identifier: GPL-2.0

//! Making a guest look at its queues, by interrupts, after it was stopped.
//!
//! It may have missed replies, or have lost requests whose replies it waits for.

use super::queues::GuestQueues;
use crate::kapi::work::{
    Task,
    WorkQueue,
    Worker, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        static_lock_class,
        Arc,
        Mutex, //
    },
    time::Delta,
};

/// The pause between two looks that a guest is made to take.
const PAUSE: Delta = Delta::from_millis(100);

/// How often a guest is made to look that may have lost requests.
///
/// The first look tells a Linux guest that its queue is empty, and it remembers what to send again.
/// If it had as many requests in flight as the queue is deep, it sends none until the next event.
const LOOKS: u32 = 2;

/// How often any other guest is made to look: hardware takes its time to make interrupts after
/// AQIC, and a reply may come before.
const LOOKS_AT_LEAST: u32 = 1;

/// For how many pauses a look waits until the guest can notice it.
const TRIES: u32 = 300;

struct State {
    left: u32,
    tries: u32,
}

impl State {
    const NONE: State = State { left: 0, tries: 0 };
}

/// The looks that a guest is still to be made to take.
#[pin_data]
pub(super) struct Looks {
    queues: Arc<GuestQueues>,
    /// A leaf.
    #[pin]
    state: Mutex<State>,
    /// There while the driver is bound to the mediated device. A leaf.
    #[pin]
    worker: Mutex<Option<Pin<KBox<Worker<Look>>>>>,
}

impl Looks {
    pub(super) fn new(queues: Arc<GuestQueues>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                queues,
                state <- new_mutex!(State::NONE, "vfio_ap::migration.looks"),
                worker <- new_mutex!(None, "vfio_ap::migration.worker"),
            }),
            GFP_KERNEL,
        )
    }

    /// Makes the guest look from now on, once more if requests may be lost.
    pub(super) fn begin(&self, has_lost: bool) {
        *self.state.lock() = State {
            left: if has_lost { LOOKS } else { LOOKS_AT_LEAST },
            tries: TRIES,
        };
        if let Some(worker) = &*self.worker.lock() {
            worker.kick(Delta::ZERO);
        }
    }

    /// Ends that. A look that is being taken may still be.
    pub(super) fn cancel(&self) {
        *self.state.lock() = State::NONE;
    }

    /// Makes the guest look, if it has taken the look before. Returns after how long that has to be
    /// done again.
    fn take(&self) -> Option<Delta> {
        let mut is_premature = false;

        if self.state.lock().left == 0 {
            return None;
        }
        self.queues
            .for_each(|queue| is_premature |= queue.awaits_interrupt());
        {
            let mut state = self.state.lock();

            if is_premature && state.tries != 0 {
                state.tries -= 1;
                return Some(PAUSE);
            }
            // The guest may have been stopped meanwhile.
            state.left = state.left.checked_sub(1)?;
        }
        self.queues.for_each(|queue| queue.interrupt());
        (self.state.lock().left != 0).then_some(PAUSE)
    }
}

struct Look(Arc<Looks>);

impl Task for Look {
    fn run(&self) -> Option<Delta> {
        self.0.take()
    }
}

/// The worker that makes a guest look; stopped and waited for when dropped.
pub(crate) struct Looking(Arc<Looks>);

impl Looking {
    /// Starts it. It sleeps until there is something to do.
    pub(super) fn start(looks: &Arc<Looks>, queue: Arc<WorkQueue>) -> Result<Self> {
        let worker = KBox::pin_init(
            Worker::new(
                queue,
                Look(looks.clone()),
                c"vfio_ap_look",
                static_lock_class!(),
                static_lock_class!(),
            ),
            GFP_KERNEL,
        )?;

        *looks.worker.lock() = Some(worker);
        Ok(Self(looks.clone()))
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        // Out of the lock, as its task may be waiting for others.
        let worker = self.0.worker.lock().take();

        drop(worker);
    }
}
