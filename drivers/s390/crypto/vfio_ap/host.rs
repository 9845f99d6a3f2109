// SPDX-License-Identifier: GPL-2.0

//! The host as the AP bus sees it: queues that come and go, changes of its configuration, and the
//! worker for what is outstanding.
//!
//! There is one [`Host`].

use crate::{
    kapi::{
        ap,
        debugfs::{
            Directory,
            File,
            Show, //
        },
        notify::Notifier,
        queue_hw::QueueHw,
        vfio,
        work::{
            Task,
            WorkQueue,
            Worker, //
        },
    },
    matrix_mdev::{
        Following,
        MatrixMdev,
        Topology,
        WaitForGuest, //
    },
    migration::{
        Looking,
        Migration, //
    },
    model::{
        ApqnSet,
        HostConfig,
        OwnerId, //
    },
    queue::{
        Patience,
        Queue, //
    },
    topology::{
        self,
        Kick, //
    },
};
use core::ops::Deref;
use kernel::{
    device::Device,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        static_lock_class,
        Arc, //
    },
    time::Delta,
};

/// The host.
pub(crate) struct Host {
    topology: Arc<Topology>,
    files: Directory,
    /// For work that may wait for a guest.
    work: Arc<WorkQueue>,
    /// For unpinning, which must not wait for memory nor for other work.
    unpinning: Arc<WorkQueue>,
}

/// The data of an AP queue that the driver is bound to.
pub(crate) struct BoundQueue {
    pub(crate) topology: Arc<Topology>,
    pub(crate) queue: Arc<Queue>,
}

/// The data of a mediated device that the driver is bound to. Dropped from the first field to the
/// last.
pub(crate) struct BoundMdev {
    /// Waits until the device is closed.
    pub(crate) _registration: vfio::Registration<Migration>,
    pub(crate) _looking: Looking,
    /// Shows what is waited for.
    pub(crate) _file: File<MatrixMdev>,
    pub(crate) _following: Following,
    pub(crate) mdev: KnownMdev,
}

/// A mediated device that is in the topology; removed from it when dropped, which waits for the
/// resets of its queues. It must not be open then.
pub(crate) struct KnownMdev(Arc<MatrixMdev>);

impl Deref for KnownMdev {
    type Target = Arc<MatrixMdev>;

    fn deref(&self) -> &Arc<MatrixMdev> {
        &self.0
    }
}

impl Drop for KnownMdev {
    fn drop(&mut self) {
        self.0.remove();
    }
}

impl Host {
    /// Asks what the host has.
    pub(crate) fn new(name: &'static CStr) -> Result<Arc<Self>> {
        let host = Self {
            topology: Topology::new(name, ap::query_config()?)?,
            files: Directory::new(name)?,
            work: WorkQueue::new(c"vfio_ap")?,
            unpinning: WorkQueue::new_with_rescuer(c"vfio_ap_unpin")?,
        };

        Ok(Arc::new(host, GFP_KERNEL)?)
    }

    /// Returns the topology.
    pub(crate) fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// Returns the work queue for what may wait for a guest.
    pub(crate) fn work(&self) -> &Arc<WorkQueue> {
        &self.work
    }

    /// Returns the work queue for unpinning.
    pub(crate) fn unpinning(&self) -> &Arc<WorkQueue> {
        &self.unpinning
    }

    /// Makes a file in debugfs.
    pub(crate) fn file<T: Show>(&self, name: &CStr, data: Arc<T>) -> File<T> {
        File::new(&self.files, name, data)
    }

    /// Makes a mediated device to which nothing is assigned.
    pub(crate) fn add_mdev(&self, device: &Device, notifier: Notifier) -> Result<KnownMdev> {
        self.topology
            .add_mdev(|id| MatrixMdev::new(self.topology.clone(), device, notifier, id))
            .map(KnownMdev)
    }

    /// Adds a queue that the driver is being bound to. It is passed to a guest, if it is assigned
    /// to one's device, as soon as it was reset.
    ///
    /// Waits for that only if a guest expects it. Whatever else could observe the difference waits
    /// when it does, and for all queues at once: opening the mediated device, reading its
    /// `guest_matrix`, assigning more to it, and [`scan_complete`](Self::scan_complete).
    pub(crate) fn add_queue(&self, hw: QueueHw) -> Result<Arc<Queue>> {
        let queue = Queue::new(hw)?;
        let owner = self.topology.bind(&queue)?;
        let is_expected = owner.is_some_and(|mdev| mdev.has_guest());

        if is_expected && !self.is_scan_pending() {
            Patience::for_probe().poll(&mut || self.topology.poll(&queue));
        }
        Ok(queue)
    }

    fn is_scan_pending(&self) -> bool {
        let topology = self.topology.lock();

        topology.config != topology.settled
    }

    /// Removes a queue that the driver is being unbound from. Its adapter is taken from the guest
    /// that has it, for which the guest may have to be waited for.
    pub(crate) fn remove_queue(&self, queue: &Arc<Queue>) {
        let (owner, was_passable) = self.topology.unbind(queue);
        let mut patience = Patience::for_reset();
        let mut was_used = false;
        let mut taken = ApqnSet::EMPTY;

        if let Some(mdev) = &owner {
            was_used = mdev.guest_has(queue.apqn());
            taken = mdev.settle_one(queue.apqn().apid, WaitForGuest::ToTake);
        }
        // Passable and no guest's: nobody has used it since its last reset.
        queue.start_reset_unless_clean(was_passable && !was_used);
        patience.poll(&mut || self.topology.poll(queue));
        self.topology.orphan(queue.clone());
        if let Some(mdev) = &owner {
            mdev.wait_until_reset(&taken, &mut patience);
        }
    }

    /// The host's configuration has changed. Queues that are gone are taken from the
    /// guests; new ones are passed to them when the bus has made its devices.
    pub(crate) fn config_changed(&self, new: HostConfig) {
        {
            let mut topology = self.topology.lock();

            topology.settled = common(&topology.settled, &new);
            topology.config = new;
        }
        self.settle_all();
    }

    /// The bus has made and removed its devices.
    pub(crate) fn scan_complete(&self) {
        // So that guests usually have what is new when the scan is over.
        self.topology
            .wait(&self.all_apqns(), &mut Patience::for_probe());
        {
            let mut topology = self.topology.lock();

            topology.settled = topology.config;
        }
        self.settle_all();
    }

    fn all_apqns(&self) -> ApqnSet {
        let config = self.topology.lock().config;

        ApqnSet::product(config.apm(), config.aqm())
    }

    /// Filters the matrices of all mediated devices' guests anew. Resets of queues that are taken
    /// are waited for when the bus removes their devices.
    fn settle_all(&self) {
        // First those that need not be waited for.
        self.settle_each(WaitForGuest::Never);
        self.settle_each(WaitForGuest::ToTake);
    }

    fn settle_each(&self, wait: WaitForGuest) {
        let mut next = Some(OwnerId(0));

        while let Some((id, mdev)) = next.and_then(|id| self.topology.mdev_from(id)) {
            mdev.settle(wait);
            next = id.0.checked_add(1).map(OwnerId);
        }
    }
}

/// Returns what two configurations of the host have in common.
fn common(a: &HostConfig, b: &HostConfig) -> HostConfig {
    const APXA: u32 = 0x4000_0000;

    HostConfig::from_qci(
        if b.apxa() { APXA } else { 0 },
        b.limits().max_apid(),
        b.limits().max_domain(),
        (a.apm() & b.apm()).to_halves(),
        (a.aqm() & b.aqm()).to_halves(),
        (a.adm() & b.adm()).to_halves(),
    )
}

/// The task that looks after unsettled queues and orphans.
struct Poll {
    topology: Arc<Topology>,
    /// How long it waits for orphans, in milliseconds.
    pause: Atomic<i64>,
}

impl Poll {
    const FIRST: i64 = 100;
    const LAST: i64 = 10_000;
}

impl Task for Poll {
    fn run(&self) -> Option<Delta> {
        if self.topology.poll_unsettled() {
            self.topology.poll_orphans();
            self.pause.store(Self::FIRST, Relaxed);
            return Some(Delta::from_millis(Self::FIRST));
        }
        if !self.topology.poll_orphans() {
            self.pause.store(Self::FIRST, Relaxed);
            return None;
        }
        // An orphan may never come to rest.
        let pause = self.pause.load(Relaxed);

        self.pause.store((2 * pause).min(Self::LAST), Relaxed);
        Some(Delta::from_millis(pause))
    }
}

impl Kick for Pin<KBox<Worker<Poll>>> {
    fn kick(&self) {
        const SOON: Delta = Delta::from_millis(20);

        Worker::kick(self, SOON);
    }
}

/// The running worker; stopped and waited for when dropped.
pub(crate) struct Polling(Arc<Topology>);

impl Polling {
    /// Starts the worker, which sleeps until there is something to do.
    pub(crate) fn start(host: &Host) -> Result<Self> {
        let worker = KBox::pin_init(
            Worker::new(
                host.work.clone(),
                Poll {
                    topology: host.topology.clone(),
                    pause: Atomic::new(Poll::FIRST),
                },
                c"vfio_ap_poll",
                static_lock_class!(),
                static_lock_class!(),
            ),
            GFP_KERNEL,
        )?;
        let worker: KBox<dyn topology::Kick> = KBox::new(worker, GFP_KERNEL)?;

        host.topology.set_worker(Some(worker));
        Ok(Self(host.topology.clone()))
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.set_worker(None);
    }
}
