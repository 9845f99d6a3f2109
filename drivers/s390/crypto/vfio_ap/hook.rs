// SPDX-License-Identifier: GPL-2.0

//! A guest's PQAP(AQIC), which KVM intercepts always.
//!
//! The answers are the architecture's: 01 for a queue that is not in the guest's AP control block,
//! 02 while it is being reset, 06 for a NIB that cannot be used, and hardware's own for everything
//! else. Nothing here waits for a queue, nor for anything that another guest may hold up.

use crate::{
    guest::Guest,
    kapi::{
        dbf::{
            Format,
            Level, //
        },
        kvm::{
            Pqap,
            PqapHook,
            Vcpu, //
        },
        trace, //
    },
    matrix_mdev::Topology,
    model::{
        AqicRequest,
        PqapGr0,
        ResponseCode,
        StatusWord, //
    },
    queue::EnableRequest,
};
use kernel::sync::Arc;

/// The hook of one guest.
pub(crate) struct Hook {
    topology: Arc<Topology>,
    guest: Arc<Guest>,
}

static NO_AIV: Format =
    Format::new(c"aqic: queue %04lx: the guest has no interrupt virtualization\n");
static REFUSED: Format = Format::new(c"aqic: queue %04lx: gr1=%016lx gr2=%016lx: rc=%02lx\n");

impl Hook {
    /// Makes the hook for a guest.
    pub(crate) fn new(topology: Arc<Topology>, guest: Arc<Guest>) -> Self {
        Self { topology, guest }
    }

    fn aqic(&self, vcpu: &Vcpu<'_>, raw_apqn: u16, request: AqicRequest) -> StatusWord {
        let queue = self
            .topology
            .limits()
            .apqn(raw_apqn)
            .ok()
            // Nothing must be pinned for a queue that is not the guest's.
            .filter(|apqn| request == AqicRequest::Disable || self.guest.has(*apqn))
            .and_then(|apqn| self.topology.queue(apqn));
        let Some(queue) = queue else {
            return StatusWord::with_response(ResponseCode::QNotAvail);
        };

        let answer = match request {
            AqicRequest::Disable => queue.disable_irq(&self.guest),
            AqicRequest::Enable { gisc, nib } => {
                match nib.filter(|nib| vcpu.has_memory_at(nib.address())) {
                    Some(nib) => queue.enable_irq(
                        &self.guest,
                        &EnableRequest {
                            gisc,
                            nib,
                            protected: vcpu.protected(),
                        },
                    ),
                    None => queue.refuse_nib(&self.guest),
                }
            }
        };

        queue.count(answer.status);
        if answer.is_unsettled {
            self.topology.look_after(queue.apqn());
        }
        answer.status
    }
}

impl PqapHook for Hook {
    #[inline]
    fn pqap(&self, vcpu: &Vcpu<'_>) -> Pqap {
        let [gr0, gr1, gr2] = vcpu.gprs();
        let raw_apqn = PqapGr0::from_raw(gr0).raw_apqn();

        if !vcpu.has_interrupt_virtualization() {
            self.topology
                .record(Level::Warning, &NO_AIV, [raw_apqn.into(), 0, 0, 0]);
            return Pqap::NotHandled;
        }
        let status = self.aqic(vcpu, raw_apqn, AqicRequest::decode(gr1, gr2));

        trace::aqic(|| (raw_apqn, gr1, gr2, status));
        // That it was so already (07) is nothing that an administrator has to know.
        if !matches!(
            status.response(),
            Ok(ResponseCode::Normal | ResponseCode::OtherwiseChanged)
        ) {
            self.topology.record(
                Level::Warning,
                &REFUSED,
                [raw_apqn.into(), gr1, gr2, status.raw_response().into()],
            );
        }
        Pqap::Answer(status)
    }
}
