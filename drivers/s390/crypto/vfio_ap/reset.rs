// SPDX-License-Identifier: GPL-2.0

//! Resets of queues, and everything else of a queue that takes hardware time.
//!
//! A reset is started with locks held, and waited for with none. All queues of one request are in
//! flight at once ([`Batch`]); what is not done when the patience of the request ends is looked
//! after by a worker ([`Background`]), until it is, however long that takes.

use crate::{
    irq::Unpin,
    kapi::{
        ap,
        dbf::{
            Format,
            Level, //
        },
        trace,
        work::{
            Task,
            Worker, //
        },
    },
    matrix::{
        Host,
        Locked, //
    },
    mdev::Mediated,
    model::{
        Apqn,
        Reset,
        ResetOutcome,
        ResetReport,
        ResetStep, //
    },
    queue::{
        Queue,
        State, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        static_lock_class,
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    },
};

/// How long to wait for hardware.
#[derive(Clone, Copy)]
pub(crate) struct Wait(Delta);

impl Wait {
    /// For a reset that somebody asked for. Ten times what an adapter takes at worst.
    pub(crate) const RESET: Wait = Wait(Delta::from_secs(5));

    /// For the reset of a queue that the driver was bound to. Usually long enough, so that who
    /// assigns the queue, or looks for it, finds it passed to its guest.
    pub(crate) const PROBE: Wait = Wait(Delta::from_millis(200));

    /// For a queue whose page is being unmapped, after which the page is kept without VFIO.
    pub(crate) const UNMAP: Wait = Wait(Delta::from_millis(20));

    /// For somebody else who is pinning or unpinning. Longer only if user space holds it up.
    pub(crate) const PIN: Wait = Wait(Delta::from_secs(1));

    /// Calls `poll` until it returns true, or time is up. Returns whether it did.
    ///
    /// The pauses begin with 200 microseconds and grow with the time that has passed, so that what
    /// is waited for is seen at most so much later than it happens, or a twelfth of the time that
    /// it took, or 10 milliseconds.
    pub(crate) fn poll(self, mut poll: impl FnMut() -> bool) -> bool {
        const FIRST: i64 = 200;
        const LAST: i64 = 10_000;
        // Mostly there is nothing to wait for, and no need to ask for the time.
        if poll() {
            return true;
        }
        let start = Instant::<Monotonic>::now();

        loop {
            let elapsed = start.elapsed();
            if elapsed >= self.0 {
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

/// The queues that a request resets.
pub(crate) struct Batch(KVec<Arc<Queue>>);

impl Batch {
    /// Makes a batch without queues.
    pub(crate) fn new() -> Self {
        Self(KVec::new())
    }

    /// Starts a reset of a queue. Does not wait; may be called with locks 1 to 3 held.
    ///
    /// A reset that is going on is not enough: the queue may have been used since it began.
    pub(crate) fn start(&mut self, host: &Host, queue: &Arc<Queue>) {
        queue.start_reset();
        self.add(host, queue);
    }

    /// Starts a reset of a queue that stays with its guest, if it is assigned to `owner` still. As
    /// with [`start`](Self::start), does not wait; lock 1 need not be held.
    pub(crate) fn start_in_use(&mut self, host: &Host, queue: &Arc<Queue>, owner: &Mediated) {
        if queue.start_reset_in_use(owner) {
            self.add(host, queue);
        }
    }

    fn add(&mut self, host: &Host, queue: &Arc<Queue>) {
        host.look_after(queue.apqn());
        // Without memory for the list the worker waits instead.
        let _ = self.0.push(queue.clone(), GFP_KERNEL);
    }

    /// Starts a reset of a queue that no guest has, unless one is going on: nobody has used the
    /// queue since that began. As with [`start`](Self::start), does not wait.
    pub(crate) fn start_or_join(&mut self, host: &Host, queue: &Arc<Queue>) {
        if !self.join(queue) {
            self.start(host, queue);
        }
    }

    /// Adds the reset of a queue, if one is going on. Returns whether one is.
    pub(crate) fn join(&mut self, queue: &Arc<Queue>) -> bool {
        let going_on = queue.is_being_reset();

        if going_on {
            let _ = self.0.push(queue.clone(), GFP_KERNEL);
        }
        going_on
    }

    /// Tells whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits for all resets, and for what they make dispensable to be given back. Returns whether
    /// hardware performed each of them in time.
    ///
    /// To be called without any lock of ours.
    pub(crate) fn wait(mut self, host: &Host, patience: Wait) -> bool {
        let mut good = true;

        patience.poll(|| {
            self.0.retain(|queue| match queue.poll(host) {
                None => true,
                Some(outcome) => {
                    good &= outcome == ResetOutcome::Completed;
                    queue.is_releasing()
                }
            });
            self.0.is_empty()
        });
        good && !self.0.iter().any(|queue| queue.is_unsettled())
    }
}

static RESET_FAILED: Format = Format::new(c"reset: queue %02lx.%04lx answered rc=%02lx\n");

impl Queue {
    /// Starts a reset, before which it is not passable.
    fn start_reset(&self) {
        let mut state = self.state.lock();

        state.passable = false;
        self.request_reset(&mut state);
    }

    /// Starts a reset of a queue that is passable as before, if it is assigned to `owner`. Returns
    /// whether it is.
    fn start_reset_in_use(&self, owner: &Mediated) -> bool {
        let mut state = self.state.lock();
        let owned = matches!(&state.owner, Some(mdev) if core::ptr::eq(&**mdev, owner));

        if owned {
            self.request_reset(&mut state);
        }
        owned
    }

    fn request_reset(&self, state: &mut State) {
        let mut reset = Reset::new(self.apqn());

        if state.gone {
            return;
        }
        let status = ap::zapq(self.apqn());

        trace::reset_start(|| (self.apqn(), status));
        // If it has ended already, the first poll will find out.
        let _ = reset.requested(status);
        state.reset = Some(reset);
        state.resets += 1;
        state.disabling = None;
    }

    /// Sees how its reset and the disabling of its interrupts are going. Returns how the last reset
    /// ended, or nothing if one is going on, or somebody else is about to note its end.
    ///
    /// To be called without any lock of ours.
    pub(crate) fn poll(self: &Arc<Self>, host: &Host) -> Option<ResetOutcome> {
        self.poll_disabling();
        self.poll_locked(host, None)
    }

    /// Does the same for the worker, which must not be held up: leaves the reset for later if
    /// somebody holds the `kvm->lock` of the guest that would have the queue.
    fn poll_for_all(self: &Arc<Self>, host: &Host) {
        self.poll_disabling();
        if let Ok(locked) = host.try_lock_with_guest(|| self.guest_kvm()) {
            self.poll_locked(host, Some(locked));
        }
    }

    /// Sees how the reset is going, with locks 1 and 2 held, which it releases, or with none.
    fn poll_locked(
        self: &Arc<Self>,
        host: &Host,
        locked: Option<Locked<'_>>,
    ) -> Option<ResetOutcome> {
        let mut state = self.state.lock();
        let Some(report) = self.poll_reset(&mut state) else {
            return match state.is_being_reset() {
                true => None,
                false => Some(state.outcome.unwrap_or(ResetOutcome::Completed)),
            };
        };
        let outcome = report.outcome();
        // Then there is nothing to tell the host, and locks 1 and 2 are not needed.
        let known = state.passable && report.is_clean();
        if !known {
            state.ending += 1;
        }

        trace::reset_end(|| (self.apqn(), outcome.raw_response()));
        state.outcome = Some(outcome);
        if let ResetOutcome::Unexpected(code) = outcome {
            let (apid, apqi) = (self.apqn().apid.get(), self.apqn().apqi.get());

            drop(state);
            host.record(
                Level::Error,
                &RESET_FAILED,
                [apid.into(), apqi.into(), code.into(), 0],
            );
            host.reset_finished(self, &report, locked);
        } else {
            // Taken with the lock still held: the proof is good for what the queue had when it was
            // seen at rest, and not for what a guest enables afterwards.
            let release = self.take_binding(&mut state, Unpin::Later);

            drop(state);
            match known {
                true => drop(locked),
                false => host.reset_finished(self, &report, locked),
            }
            if let Some(quiesced) = report.into_quiesced() {
                release.finish(self, quiesced);
            }
        }
        if !known {
            self.state.lock().ending -= 1;
        }
        Some(outcome)
    }

    fn poll_reset(&self, state: &mut State) -> Option<ResetReport> {
        let mut reset = state.reset.take()?;
        let mut step = reset.polled(ap::tapq(self.apqn()));

        loop {
            step = match step {
                // Nothing is asked of hardware on behalf of a queue that may be somebody else's.
                ResetStep::Request if state.gone => {
                    state.reset = Some(reset);
                    return None;
                }
                ResetStep::Request => reset.requested(ap::zapq(self.apqn())),
                ResetStep::Poll => {
                    state.reset = Some(reset);
                    return None;
                }
                ResetStep::Finished(report) => return Some(report),
            };
        }
    }

    /// Leaves it to whoever it is bound to next. From now on hardware is only looked at.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();

        state.gone = true;
        state.disabling = None;
    }

    /// Tells whether its interrupts hold something.
    pub(crate) fn is_held(&self) -> bool {
        self.state.lock().binding.is_some()
    }

    /// Tells whether a reset is going on.
    pub(crate) fn is_being_reset(&self) -> bool {
        self.state.lock().is_being_reset()
    }

    /// Tells whether something is outstanding that the worker has to look after.
    pub(crate) fn is_unsettled(&self) -> bool {
        let state = self.state.lock();

        state.is_being_reset() || state.disabling.is_some()
    }
}

impl Host {
    /// Notes how a reset ended, and gives the queue's adapter to the guest, or takes it away.
    ///
    /// Takes locks 1 and 2 if they are not `locked` already, and releases them.
    fn reset_finished(&self, queue: &Queue, report: &ResetReport, locked: Option<Locked<'_>>) {
        let mut batch = Batch::new();
        let mut locked = locked.unwrap_or_else(|| self.lock_with_guest(|| queue.guest_kvm()));

        // A queue that was unbound, and perhaps bound again as another one, is not ours to judge.
        let bound = self
            .queue(queue.apqn())
            .is_some_and(|other| core::ptr::eq(&*other, queue));
        let changed = {
            let mut state = queue.state.lock();

            // Nor is one that is being reset again.
            if !bound || state.reset.is_some() {
                return;
            }
            state.passable = report.is_clean();
            locked.topology.passable.record(report)
        };
        if changed {
            if let Some(mdev) = queue.owner() {
                mdev.refilter_adapter(self, &mut locked, queue.apqn().apid, &mut batch);
            }
        }
        // What is in the batch, the worker looks after.
    }

    /// Has the worker look after a queue, if nobody else does. Takes leaf locks only.
    pub(crate) fn look_after(&self, apqn: Apqn) {
        self.unsettled.lock().insert(apqn);
        self.kick();
    }

    /// Wakes the worker.
    pub(crate) fn kick(&self) {
        const SOON: Delta = Delta::from_millis(20);

        if let Some(worker) = &*self.worker.lock() {
            worker.kick(SOON);
        }
    }

    /// Polls one queue of which something is outstanding. Returns whether something still is.
    fn poll_unsettled(&self, apqn: Apqn) -> bool {
        let is_unsettled = || self.queue(apqn).is_some_and(|queue| queue.is_unsettled());

        if let Some(queue) = self.queue(apqn) {
            queue.poll_for_all(self);
        }
        if is_unsettled() {
            return true;
        }
        self.unsettled.lock().remove(apqn);
        // What began meanwhile is noted again.
        let unsettled = is_unsettled();
        if unsettled {
            self.unsettled.lock().insert(apqn);
        }
        unsettled
    }

    fn poll_all(&self) -> bool {
        let mut unsettled = false;

        for apid in 0..=u8::MAX {
            for apqi in 0..=u8::MAX {
                let Ok(apqn) = self.limits().apqn(u16::from_be_bytes([apid, apqi])) else {
                    break;
                };
                if apqi == 0 && self.unsettled.lock().row(apqn.apid).is_empty() {
                    break;
                }
                if self.unsettled.lock().contains(apqn) {
                    unsettled |= self.poll_unsettled(apqn);
                }
            }
        }
        unsettled | self.poll_orphans()
    }

    fn poll_orphans(&self) -> bool {
        let mut polled = core::mem::take(&mut *self.orphans.lock());

        polled.retain(|queue| {
            queue.poll(self);
            queue.is_held()
        });
        let unsettled = !polled.is_empty();
        let added = core::mem::replace(&mut *self.orphans.lock(), polled);
        for queue in added {
            // As in `remove_queue()`, which has kicked the worker.
            let _ = self.orphans.lock().push(queue, GFP_KERNEL);
        }
        unsettled
    }
}

/// The worker, as the host holds it.
pub(crate) type SharedWorker = Pin<KBox<Worker<Poll>>>;

/// The worker's task.
pub(crate) struct Poll(Arc<Host>);

impl Task for Poll {
    fn run(&self) -> Option<Delta> {
        const AGAIN: Delta = Delta::from_millis(100);

        self.0.poll_all().then_some(AGAIN)
    }
}

/// The running worker; stopped and waited for when dropped.
pub(crate) struct Background(Arc<Host>);

impl Background {
    /// Starts the worker, which sleeps until there is something to do.
    pub(crate) fn start(host: Arc<Host>) -> Result<Self> {
        let worker = KBox::pin_init(
            Worker::new(
                Poll(host.clone()),
                c"vfio_ap",
                static_lock_class!(),
                static_lock_class!(),
            ),
            GFP_KERNEL,
        )?;

        *host.worker.lock() = Some(worker);
        Ok(Self(host))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Out of the lock, which the task takes.
        let worker = self.0.worker.lock().take();

        drop(worker);
    }
}
