// SPDX-License-Identifier: GPL-2.0

//! What an administrator sees at a glance: a file in debugfs for the host, and one for each
//! mediated device.
//!
//! Each lock is taken for one look, and none is held while a text is written: what is shown was
//! true of each queue, but not of all at the same time.

use crate::{
    kapi::{
        compat::THIS_MODULE,
        debugfs::{
            Show,
            Text, //
        },
    },
    matrix::Host,
    mdev::Mediated,
    model::{
        text::Ranges,
        Apid,
        GuestMatrix,
        HostConfig,
        Mask256,
        Matrix, //
    },
    queue::Queue, //
};
use core::fmt::{
    self,
    Write, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    ThisModule, //
};

fn adapters(mask: Mask256) -> Ranges {
    Ranges { mask, digits: 2 }
}

fn domains(mask: Mask256) -> Ranges {
    Ranges { mask, digits: 4 }
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes {
        "yes"
    } else {
        "no"
    }
}

/// Writes a table of queues: a headline, and a line for each.
struct Table<'a> {
    text: &'a mut Text,
    begun: bool,
}

impl<'a> Table<'a> {
    fn new(text: &'a mut Text) -> Self {
        Self { text, begun: false }
    }

    fn line(&mut self, queue: &Queue, bound: bool) -> fmt::Result {
        let overview = queue.overview();

        if !self.begun {
            self.begun = true;
            self.text.write_str(
                "\nQUEUE    STATUS      RESET         INTERRUPTS  \
                 RESETS     AQIC     REFUSED    DEVICE\n",
            )?;
        }
        write!(
            self.text,
            "{}  {:<10}  {:<12}  {:<10}  {:<9}  {:<7}  {:<9}  ",
            queue.apqn(),
            if bound { overview.status } else { "unbound" },
            overview.reset,
            overview.interrupts,
            overview.resets,
            overview.aqics,
            overview.refused,
        )?;
        match overview.owner {
            // A name is ASCII: it is a UUID.
            Some(mdev) => self.text.write_str(mdev.name().to_str().unwrap_or("?"))?,
            None => self.text.write_str("-")?,
        }
        self.text.write_char('\n')
    }

    /// The bound queues of `domains` on an adapter.
    fn adapter(&mut self, host: &Host, apid: Apid, domains: Mask256) -> fmt::Result {
        for bit in host.bound_domains(apid).iter() {
            let raw = u16::from_be_bytes([apid.get(), bit]);
            let queue = host
                .limits()
                .apqn(raw)
                .ok()
                .filter(|apqn| domains.test(apqn.apqi.get()))
                .and_then(|apqn| host.queue(apqn));

            if let Some(queue) = queue {
                self.line(&queue, true)?;
            }
        }
        Ok(())
    }
}

/// `vfio_ap/host`.
impl Show for Host {
    const MODULE: &'static ThisModule = &THIS_MODULE;

    fn show(&self, text: &mut Text) -> fmt::Result {
        let host = self.overview();
        let config = &host.config;

        writeln!(text, "adapters: {}", adapters(config.apm()))?;
        writeln!(text, "domains: {}", domains(config.aqm()))?;
        writeln!(text, "control domains: {}", domains(config.adm()))?;
        writeln!(
            text,
            "largest numbers: adapter {:02x}, domain {:04x}",
            self.limits().max_apid(),
            self.limits().max_domain()
        )?;
        writeln!(text, "bus scan pending: {}", yes_or_no(host.scan_pending))?;
        writeln!(text, "mediated devices: {}", host.mdevs)?;
        writeln!(
            text,
            "queues: {} bound, {} passable, {} outstanding, {} unbound but held",
            host.bound,
            host.passable,
            host.unsettled,
            host.orphans.len()
        )?;
        writeln!(
            text,
            "filtered: {} matrices, {} single adapters",
            host.filtered_matrices, host.filtered_adapters
        )?;

        let mut table = Table::new(text);
        for apid in self.apids() {
            table.adapter(self, apid, Mask256::up_to(u8::MAX))?;
        }
        for queue in &host.orphans {
            table.line(queue, false)?;
        }
        Ok(())
    }
}

/// `vfio_ap/<UUID>`.
impl Show for Mediated {
    const MODULE: &'static ThisModule = &THIS_MODULE;

    fn show(&self, text: &mut Text) -> fmt::Result {
        let mdev = self.overview();
        let (matrix, guest) = (&mdev.matrix, &mdev.guest);

        writeln!(text, "open: {}", yes_or_no(mdev.open))?;
        writeln!(text, "withdrawn: {}", yes_or_no(mdev.withdrawn))?;
        writeln!(text, "assigned adapters: {}", adapters(matrix.apm()))?;
        writeln!(text, "assigned domains: {}", domains(matrix.aqm()))?;
        writeln!(text, "assigned control domains: {}", domains(matrix.adm()))?;
        writeln!(text, "guest's adapters: {}", adapters(guest.apm()))?;
        writeln!(text, "guest's domains: {}", domains(guest.aqm()))?;
        writeln!(text, "guest's control domains: {}", domains(guest.adm()))?;
        writeln!(text, "guest's matrix changed: {} times", mdev.changes)?;

        let host = self.host();
        for apid in host.apids() {
            if !matrix.apm().test(apid.get()) || guest.apm().test(apid.get()) || mdev.withdrawn {
                continue;
            }
            let (there, bound, passable) = host.adapter_overview(apid);

            write!(text, "withheld adapter {apid}:")?;
            if !there {
                writeln!(text, " the host does not have it")?;
                continue;
            }
            let missing = guest.aqm().and_not(bound);
            if !missing.is_empty() {
                write!(text, " not bound: {}", domains(missing))?;
            }
            let unready = (guest.aqm() & bound).and_not(passable);
            if !unready.is_empty() {
                write!(text, " not reset: {}", domains(unready))?;
            }
            text.write_char('\n')?;
        }

        let mut table = Table::new(text);
        for apid in host.apids() {
            if matrix.apm().test(apid.get()) {
                table.adapter(host, apid, matrix.aqm())?;
            }
        }
        Ok(())
    }
}

/// What is shown of a queue.
pub(crate) struct QueueOverview {
    pub(crate) status: &'static str,
    pub(crate) reset: &'static str,
    pub(crate) interrupts: &'static str,
    pub(crate) resets: u64,
    pub(crate) aqics: u64,
    pub(crate) refused: u64,
    pub(crate) owner: Option<Arc<Mediated>>,
}

/// What is shown of a mediated device.
pub(crate) struct MediatedOverview {
    pub(crate) matrix: Matrix,
    pub(crate) guest: GuestMatrix,
    pub(crate) open: bool,
    pub(crate) withdrawn: bool,
    pub(crate) changes: u64,
}

/// What is shown of the host.
pub(crate) struct HostOverview {
    pub(crate) config: HostConfig,
    pub(crate) scan_pending: bool,
    pub(crate) mdevs: usize,
    pub(crate) bound: u32,
    pub(crate) passable: u32,
    pub(crate) unsettled: u32,
    pub(crate) filtered_matrices: u64,
    pub(crate) filtered_adapters: u64,
    /// Queues that were unbound while hardware might still write for them.
    pub(crate) orphans: KVec<Arc<Queue>>,
}
