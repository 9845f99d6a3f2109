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
    matrix_mdev::{
        queue_status,
        MatrixMdev,
        Topology, //
    },
    model::{
        text::Ranges,
        Apid,
        Apqn,
        Mask256, //
    },
    queue::Queue,
};
use core::fmt::{
    self,
    Write, //
};
use kernel::ThisModule;

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

    fn line(&mut self, topology: &Topology, queue: &Queue, bound: bool) -> fmt::Result {
        let overview = queue.overview();
        let (status, owner) = if bound {
            let (status, owner) = queue_status(topology, queue.apqn());

            (status.as_str(), owner)
        } else {
            ("unbound", None)
        };

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
            status,
            overview.reset,
            overview.interrupts,
            overview.resets,
            overview.aqics,
            overview.refused,
        )?;
        match owner {
            // A name is ASCII: it is a UUID.
            Some(mdev) => self.text.write_str(mdev.name().to_str().unwrap_or("?"))?,
            None => self.text.write_str("-")?,
        }
        self.text.write_char('\n')
    }

    /// The bound queues of `domains` on an adapter.
    fn adapter(&mut self, topology: &Topology, apid: Apid, domains: Mask256) -> fmt::Result {
        let bound = topology.lock().bound.row(apid) & domains;

        for bit in bound.iter() {
            if let Some(queue) = topology.queue(Apqn::from_mask_bits(apid, bit)) {
                self.line(topology, &queue, true)?;
            }
        }
        Ok(())
    }
}

/// `vfio_ap/host`.
impl Show for Topology {
    const MODULE: &'static ThisModule = &THIS_MODULE;

    fn show(&self, text: &mut Text) -> fmt::Result {
        let host = self.overview();
        let orphans = self.orphans();
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
        writeln!(
            text,
            "bus scan pending: {}",
            yes_or_no(host.is_scan_pending)
        )?;
        writeln!(text, "mediated devices: {}", host.mdevs)?;
        writeln!(
            text,
            "queues: {} bound, {} passable, {} outstanding, {} unbound but held",
            host.bound,
            host.passable,
            host.unsettled,
            orphans.len()
        )?;
        writeln!(
            text,
            "filtered: {} matrices, {} single adapters",
            host.filtered_matrices, host.filtered_adapters
        )?;

        let mut table = Table::new(text);
        for apid in self.limits().apids() {
            table.adapter(self, apid, Mask256::up_to(u8::MAX))?;
        }
        for queue in &orphans {
            table.line(self, queue, false)?;
        }
        Ok(())
    }
}

/// `vfio_ap/<UUID>`.
impl Show for MatrixMdev {
    const MODULE: &'static ThisModule = &THIS_MODULE;

    fn show(&self, text: &mut Text) -> fmt::Result {
        let mdev = self.overview();
        let (matrix, guest) = (&mdev.matrix, &mdev.guest);

        writeln!(text, "open: {}", yes_or_no(mdev.is_open))?;
        writeln!(text, "withdrawn: {}", yes_or_no(mdev.is_withdrawn))?;
        writeln!(text, "assigned adapters: {}", adapters(matrix.apm()))?;
        writeln!(text, "assigned domains: {}", domains(matrix.aqm()))?;
        writeln!(text, "assigned control domains: {}", domains(matrix.adm()))?;
        writeln!(text, "guest's adapters: {}", adapters(guest.apm()))?;
        writeln!(text, "guest's domains: {}", domains(guest.aqm()))?;
        writeln!(text, "guest's control domains: {}", domains(guest.adm()))?;
        writeln!(text, "guest's matrix changed: {} times", mdev.changes)?;

        let topology = self.topology();
        for apid in topology.limits().apids() {
            if !matrix.apm().test(apid.get()) || mdev.is_withdrawn {
                continue;
            }
            let (there, domains_there, bound, passable) = {
                let state = topology.lock();

                (
                    state.settled.apm().test(apid.get()),
                    state.settled.aqm(),
                    state.bound.row(apid),
                    state.passable.row(apid),
                )
            };

            if guest.apm().test(apid.get()) {
                let new = (matrix.aqm() & domains_there).and_not(guest.aqm());
                let unready = (new & bound).and_not(passable);

                if !unready.is_empty() {
                    let unready = domains(unready);
                    writeln!(
                        text,
                        "withheld domains: adapter {apid}: not reset: {unready}"
                    )?;
                }
                continue;
            }
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
        for apid in topology.limits().apids() {
            if matrix.apm().test(apid.get()) {
                table.adapter(topology, apid, matrix.aqm())?;
            }
        }
        Ok(())
    }
}
