// SPDX-License-Identifier: GPL-2.0

//! Waiting for hardware, and for those who pin and unpin pages.

use kernel::time::{
    delay::fsleep,
    Delta,
    Instant,
    Monotonic, //
};

/// How long a request waits, all of it together.
pub(crate) struct Patience {
    limit: Delta,
    // Mostly there is nothing to wait for, and no need to ask for the time.
    start: Option<Instant<Monotonic>>,
}

impl Patience {
    /// For a reset that somebody asked for. Ten times what an adapter takes at worst.
    pub(crate) fn for_reset() -> Self {
        Self::of(Delta::from_secs(5))
    }

    /// For the reset of a queue that the driver was bound to. Usually long enough, so that whoever
    /// assigns the queue, or looks for it, finds it passed to its guest.
    pub(crate) fn for_probe() -> Self {
        Self::of(Delta::from_millis(200))
    }

    /// For queues whose page is being unmapped, after which the page is kept without VFIO.
    pub(crate) fn for_unmap() -> Self {
        Self::of(Delta::from_millis(20))
    }

    /// For interrupts that were found on and have to be off.
    pub(crate) fn for_irq() -> Self {
        Self::of(Delta::from_millis(200))
    }

    /// For somebody else who is pinning or unpinning. Longer only if user space holds it up.
    pub(crate) fn for_pin() -> Self {
        Self::of(Delta::from_secs(2))
    }

    fn of(limit: Delta) -> Self {
        Self { limit, start: None }
    }

    /// Calls `poll` until it returns true, or time is up. Returns whether it did.
    ///
    /// The pauses begin with 200 microseconds and grow with the time that has passed, so that what
    /// is waited for is seen at most so much later than it happens, or a twelfth of the time that
    /// it took, or 10 milliseconds.
    pub(crate) fn poll(&mut self, poll: &mut dyn FnMut() -> bool) -> bool {
        const FIRST: i64 = 200;
        const LAST: i64 = 10_000;

        if poll() {
            return true;
        }
        let start = *self.start.get_or_insert_with(Instant::now);

        loop {
            let elapsed = start.elapsed();
            if elapsed >= self.limit {
                return false;
            }
            let pause = (elapsed.as_micros_ceil() / 12).clamp(FIRST, LAST);
            fsleep(Delta::from_micros(pause));
            if poll() {
                return true;
            }
        }
    }
}
