/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest's guest, that asks for the state of a queue again and again. Its hypervisor
 * is the guest that vmm.c makes: it does nothing but to interpret it, by its own SIE.
 *
 * The guest's guest has the guest's memory, and an AP matrix of one queue. Whether it
 * has the queue is for KVM to say, each time anew: by what the guest has.
 *
 * Sources: struct kvm_s390_sie_block in arch/s390/include/asm, and for the rest
 * arch/s390/kvm/s390/vsie.c.
 */
#ifndef VFIO_AP_SELFTEST_NESTED_H
#define VFIO_AP_SELFTEST_NESTED_H

#include "test.h"

/* Where its things are in the guest's memory */
#define NESTED_CRYCB		0x81000
#define NESTED_CODE		0x82000
#define NESTED_ANSWER		0x83000
#define NESTED_PREFIX		0x84000
/* Stored when it was interrupted between asking and storing */
#define NESTED_NO_STATUS	UINT64_MAX

#define SIE_CPUFLAGS		0x000
#define SIE_PREFIX		0x004
#define SIE_CPU_TIMER		0x028
#define SIE_CLOCK_COMPARATOR	0x030
#define SIE_ECA			0x04c
#define SIE_IHCPU		0x052
#define SIE_MSL			0x088
#define SIE_PSW			0x090
#define SIE_CRYCBD		0x0fc
#define SIE_CR			0x100

#define CPUFLAGS_ZARCH		0x00000800U
#define ECA_APIE		0x00000008U
#define CRYCB_FORMAT2		3
/* Of a CRYCB of format 2 */
#define CRYCB_APM		0x080
#define CRYCB_AQM		0x0a0

#define PSW_MASK_64BIT		0x0000000180000000UL
#define PSW_MASK_WAIT		0x0002000000000000UL
#define ASCE_REAL_SPACE		0x20UL
/*
 * GR 15, as the other guest has all that is below 14: whenever KVM interrupts SIE, the
 * instruction is done again, with what the guest has in its registers then.
 */
#define INSN_SIE_R15		(0xb214f00000000000UL | (uint64_t)MB_SIE << 32)

/* What the guest's guest stores: the status of the queue, and how often it has asked */
struct nested_answer {
	uint64_t status;
	uint64_t count;
};

static inline volatile struct nested_answer *nested_answer(struct vmm *vmm)
{
	return (void *)(vmm->mem + NESTED_ANSWER);
}

/* Its first look at @apqn may be later than this. The guest needs &vmm_config.nested. */
static inline int nested_start(struct vmm *vmm, unsigned int cpu, uint16_t apqn)
{
	/*
	 * Wherever it is interrupted, the other guest gives it new registers: those that
	 * it has at first. So no value that counts is in one.
	 */
	static const uint8_t code[] = {
		0xb2, 0xaf, 0x00, 0x00,			/* 0: pqap */
		0xe3, 0x10, 0x30, 0x00, 0x00, 0x24,	/* stg %r1,0(%r3) */
		0xeb, 0x01, 0x30, 0x08, 0x00, 0x7a,	/* agsi 8(%r3),1 */
		0x91, 0x7f, 0x30, 0x0f,			/* tm 15(%r3),127 */
		0xa7, 0x74, 0xff, 0xf6,			/* jnz 0b */
		0x83, 0x00, 0x05, 0x01,			/* diag: for its hypervisor */
		0xa7, 0xf4, 0xff, 0xf2,			/* j 0b */
	};
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, cpu);
	struct kvm_run *run = vmm->run[cpu];
	uint8_t *crycb = vmm->mem + NESTED_CRYCB, *block = (uint8_t *)mailbox + MB_SIE;

	memset(block, 0, MB_SIE_SIZE);
	memset(crycb, 0, NESTED_PREFIX + 0x2000 - NESTED_CRYCB);
	memcpy(vmm->mem + NESTED_CODE, code, sizeof(code));
	crycb[CRYCB_APM + APID(apqn) / 8] = 0x80 >> APID(apqn) % 8;
	crycb[CRYCB_AQM + APQI(apqn) / 8] = 0x80 >> APQI(apqn) % 8;
	*(uint32_t *)(block + SIE_CPUFLAGS) = CPUFLAGS_ZARCH;
	*(uint32_t *)(block + SIE_PREFIX) = NESTED_PREFIX;
	*(uint64_t *)(block + SIE_CPU_TIMER) = INT64_MAX;
	*(uint64_t *)(block + SIE_CLOCK_COMPARATOR) = UINT64_MAX;
	*(uint32_t *)(block + SIE_ECA) = ECA_APIE;
	*(uint16_t *)(block + SIE_IHCPU) = 0xffff;
	*(uint64_t *)(block + SIE_MSL) = VMM_MEM_SIZE - 1;
	*(uint64_t *)(block + SIE_PSW) = PSW_MASK_64BIT;
	*(uint64_t *)(block + SIE_PSW + 8) = NESTED_CODE;
	*(uint32_t *)(block + SIE_CRYCBD) = NESTED_CRYCB | CRYCB_FORMAT2;
	*(uint64_t *)(block + SIE_CR) = 0xe0;
	*(uint64_t *)(block + SIE_CR + 14 * 8) = 0xc2000000;
	/* What goes wrong ends in a disabled wait. */
	*(uint64_t *)(vmm->mem + NESTED_PREFIX + 0x1d0) = PSW_MASK_64BIT | PSW_MASK_WAIT;

	/* Its absolute addresses are the guest's real ones. */
	run->s.regs.crs[1] = ASCE_REAL_SPACE;
	run->kvm_dirty_regs |= KVM_SYNC_CRS;
	vmm_set_slot(vmm, INSN_SIE_R15);
	mailbox->op = GUEST_OP_LOOP;
	mailbox->pgm = 0;
	mailbox->stop = 0;
	mailbox->gr[0] = AP_FC_TAPQ | apqn;
	mailbox->gr[1] = NESTED_NO_STATUS;
	mailbox->gr[3] = NESTED_ANSWER;
	return vmm_start(vmm, cpu, hang_ms);
}

static inline int nested_stop(struct vmm *vmm, unsigned int cpu)
{
	vmm_mailbox(vmm, cpu)->stop = 1;
	return vmm_join(vmm, cpu);
}

/*
 * The response code of a look that began after the call did. Return: it, or -ETIMEDOUT
 * when there was none in @ms milliseconds.
 */
static inline int nested_look(struct vmm *vmm, unsigned int ms)
{
	volatile struct nested_answer *answer = nested_answer(vmm);
	const uint64_t count = answer->count, end = now_ms() + ms;
	uint64_t status;

	while (now_ms() < end) {
		if (answer->count < count + 2)
			continue;
		status = answer->status;
		if (status != NESTED_NO_STATUS)
			return status >> 16 & 0xff;
	}
	return -ETIMEDOUT;
}

#endif /* VFIO_AP_SELFTEST_NESTED_H */
