/* SPDX-License-Identifier: GPL-2.0 */
/*
 * AP instructions, executed by a guest's CPU 0.
 *
 * Layouts: arch/s390/include/asm/ap.h. Each function returns 0 when the guest
 * executed the instruction, whatever came of it, and a negative errno when it
 * did not; then vmm->error says why.
 */
#ifndef VFIO_AP_SELFTEST_AP_H
#define VFIO_AP_SELFTEST_AP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm.h"

/* Response codes. */
#define AP_RC_NORMAL		0x00
#define AP_RC_NOT_AVAILABLE	0x01
#define AP_RC_RESET		0x02
#define AP_RC_DECONFIGURED	0x03
#define AP_RC_CHECKSTOPPED	0x04
#define AP_RC_BUSY		0x05
#define AP_RC_INVALID_ADDRESS	0x06
#define AP_RC_ALREADY		0x07	/* otherwise changed */
#define AP_RC_QUEUE_FULL	0x10
#define AP_RC_NO_REPLY		0x10	/* of DQAP */

/* Flags in the first byte of the status word. */
#define AP_EMPTY		0x80
#define AP_REPLIES		0x40
#define AP_FULL			0x20
#define AP_IRQ			0x01

/* PQAP function codes, in GR 0. */
#define AP_FC_TAPQ		(0x00UL << 24)
#define AP_FC_RAPQ		(0x01UL << 24)
#define AP_FC_ZAPQ		(0x02UL << 24)
#define AP_FC_AQIC		(0x03UL << 24)
#define AP_FC_QCI		(0x04UL << 24)
#define AP_FC_QACT		(0x05UL << 24)
#define AP_TAPQ_T		0x00800000UL
#define AP_RESET_F		0x00400000UL	/* RAPQ's, ZAPQ's and QACT's */

/* AQIC's control word in GR 1. */
#define AQIC_IR			0x0000800000000000UL	/* bit 16 */
#define AQIC_ISC(isc)		((uint64_t)(isc))

/* Program interruption codes. */
#define PGM_OPERATION		0x01
#define PGM_PRIVILEGED		0x02
#define PGM_ADDRESSING		0x05
#define PGM_SPECIFICATION	0x06

/* In the first byte that QCI stores. */
#define AP_QCI_APXA		0x40000000U

/* Without extended addressing, these are the highest numbers. */
#define AP_BASE_MAX_ADAPTER	63
#define AP_BASE_MAX_DOMAIN	15

#define INSN_PQAP		0xb2af000000000000UL
#define INSN_NQAP		0xb2ad004600000000UL	/* GR 4, 6 */
#define INSN_DQAP		0xb2ae004600000000UL

struct ap_result {
	uint32_t pgm;		/* program interruption code, 0: none */
	uint32_t cc;
	uint8_t flags;
	uint8_t rc;
	uint64_t gr1;
	uint64_t gr2;
};

/* The block that PQAP(QCI) stores. */
struct ap_qci {
	uint32_t flags;
	uint8_t max_adapter;
	uint8_t max_domain;
	uint8_t reserved0[10];
	uint64_t apm[4];
	uint64_t aqm[4];
	uint64_t adm[4];
	uint8_t reserved1[16];
};

/* What kind of card, from GR 2 of TAPQ; arch/s390/include/asm/ap.h. */
enum ap_mode {
	AP_MODE_UNKNOWN,
	AP_MODE_CCA,
	AP_MODE_ACCELERATOR,
	AP_MODE_EP11,
};

/* Where the tests put things; a page each, or more. */
#define GUEST_QCI	(GUEST_DATA + 0x0000)
#define GUEST_NIB	(GUEST_DATA + 0x1000)
#define GUEST_NIB2	(GUEST_DATA + 0x2000)
#define GUEST_REQUEST	(GUEST_DATA + 0x4000)
#define GUEST_REPLY	(GUEST_DATA + 0x8000)
#define GUEST_MSG_SIZE	0x3000

int ap_pqap(struct vmm *vmm, uint64_t gr0, uint64_t gr1, uint64_t gr2,
	    struct ap_result *result);
int ap_tapq(struct vmm *vmm, uint16_t apqn, struct ap_result *result);
int ap_rapq(struct vmm *vmm, uint16_t apqn, struct ap_result *result);
int ap_zapq(struct vmm *vmm, uint16_t apqn, struct ap_result *result);
int ap_aqic(struct vmm *vmm, uint16_t apqn, uint64_t control, uint64_t nib,
	    struct ap_result *result);
/*
 * The same between the marks of guest.h, for who counts its instructions;
 * @nanoseconds is what it took by the guest's clock.
 */
int ap_aqic_marked(struct vmm *vmm, uint16_t apqn, uint64_t control,
		   uint64_t nib, uint64_t *nanoseconds,
		   struct ap_result *result);
int ap_qci(struct vmm *vmm, struct ap_qci *qci, struct ap_result *result);
/* @length bytes at GUEST_REQUEST. */
int ap_nqap(struct vmm *vmm, uint16_t apqn, uint64_t psmid, size_t length,
	    struct ap_result *result);
/* To GUEST_REPLY; @length is what arrived. */
int ap_dqap(struct vmm *vmm, uint16_t apqn, uint64_t *psmid, size_t *length,
	    struct ap_result *result);

/*
 * ZAPQ, then TAPQ until the queue is ready: without interrupts or replies, and
 * without what the host's AP bus left of its own.
 */
int ap_reset(struct vmm *vmm, uint16_t apqn, struct ap_result *result);
/*
 * TAPQ until the response code is @rc, and the flags under @mask are @value;
 * or until the code is one that does not go away by waiting.
 */
int ap_await(struct vmm *vmm, uint16_t apqn, uint8_t rc, uint8_t mask,
	     uint8_t value, struct ap_result *result);
/* AQIC, and wait until the queue's status agrees. */
int ap_enable_irq(struct vmm *vmm, uint16_t apqn, unsigned int isc,
		  uint64_t nib, struct ap_result *result);
int ap_disable_irq(struct vmm *vmm, uint16_t apqn, struct ap_result *result);

enum ap_mode ap_mode_of(const struct ap_result *tapq);

/*
 * A request for a card of this mode, written to GUEST_REQUEST.
 *
 * Return: its length.
 */
size_t ap_request(struct vmm *vmm, enum ap_mode mode, uint16_t apqn);
/*
 * Is what stands at GUEST_REPLY an answer to that request?
 *
 * Return: NULL when it is, else what is wrong with it.
 */
const char *ap_check_reply(struct vmm *vmm, enum ap_mode mode, size_t length);

#endif /* VFIO_AP_SELFTEST_AP_H */
