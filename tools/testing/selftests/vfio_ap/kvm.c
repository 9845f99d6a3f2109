// SPDX-License-Identifier: GPL-2.0
/*
 * The host can run the guests that the other tests need: instructions,
 * condition codes, program and I/O interruptions; and a guest without vfio-ap
 * device has AP instructions, but no queue. When this fails, the others say
 * nothing about vfio_ap.
 */
#include <sys/ioctl.h>

#include "lib/test.h"

#define INSN_LGHI_3_1234	0xa739123400000000UL	/* LGHI 3,0x1234 */
#define INSN_STG_3		0xe330f80000240000UL	/* STG 3,0x800(15) */
#define INSN_LG_4		0xe340f80000040000UL	/* LG 4,0x800(15) */
#define INSN_LG_4_FROM_1	0xe340100000040000UL	/* LG 4,0(1) */
#define INSN_CGHI_3_1234	0xa73f123400000000UL
#define INSN_CGHI_3_1235	0xa73f123500000000UL
#define INSN_STPX		0xb211f80000000000UL	/* STPX 0x800(15) */

FIXTURE(kvm)
{
	struct guest guest;
};

FIXTURE_SETUP(kvm)
{
	test_begin();
	GUEST_UP(&self->guest, .no_device = true);
}

FIXTURE_TEARDOWN_PARENT(kvm)
{
	test_end();
}

TEST_F(kvm, executes_instructions)
{
	struct vmm *vmm = &self->guest.vmm;
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);
	uint8_t *memory = (uint8_t *)mailbox;

	ASSERT_OK(vmm_execute(vmm, 0, INSN_LGHI_3_1234), vmm->error);
	EXPECT_EQ(0x1234, mailbox->gr[3]);
	ASSERT_OK(vmm_execute(vmm, 0, INSN_STG_3), vmm->error);
	EXPECT_EQ(0x1234, *(uint64_t *)(memory + 0x800));
	*(uint64_t *)(memory + 0x800) = 0x5678;
	ASSERT_OK(vmm_execute(vmm, 0, INSN_LG_4), vmm->error);
	EXPECT_EQ(0x5678, mailbox->gr[4]);
	ASSERT_OK(vmm_execute(vmm, 0, INSN_CGHI_3_1234), vmm->error);
	EXPECT_EQ(0, mailbox->cc);
	ASSERT_OK(vmm_execute_ex(vmm, 0, INSN_CGHI_3_1235), vmm->error);
	EXPECT_EQ(1, mailbox->cc);
	/* An instruction that is always intercepted. */
	ASSERT_OK(vmm_execute_ex(vmm, 0, INSN_STPX), vmm->error);
	EXPECT_EQ(GUEST_CPU_BLOCK, *(uint32_t *)(memory + 0x800));
}

TEST_F(kvm, program_interruptions)
{
	struct vmm *vmm = &self->guest.vmm;
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);

	mailbox->gr[1] = VMM_MEM_SIZE;
	ASSERT_OK(vmm_execute(vmm, 0, INSN_LG_4_FROM_1), vmm->error);
	EXPECT_EQ(PGM_ADDRESSING, mailbox->pgm);
	ASSERT_OK(vmm_execute(vmm, 0, 0), vmm->error);
	EXPECT_EQ(PGM_OPERATION, mailbox->pgm);
}

TEST_F(kvm, io_interruptions)
{
	struct vmm *vmm = &self->guest.vmm;
	struct kvm_s390_interrupt irq = {
		.type = KVM_S390_INT_IO(1, 0, 0, 0),
		.parm64 = 0x80000000 | 3 << 27,
	};
	struct guest_io io;

	EXPECT_EQ(-ETIMEDOUT, vmm_wait_io(vmm, 0, 0xff, &io, 100));
	ASSERT_EQ(0, ioctl(vmm->vm, KVM_S390_INTERRUPT, &irq));
	/* Not on this ISC. */
	EXPECT_EQ(-ETIMEDOUT, vmm_wait_io(vmm, 0, 0x80 >> 4, &io, 100));
	ASSERT_OK(vmm_wait_io(vmm, 0, 0x80 >> 3, &io, hang_ms), vmm->error);
	EXPECT_EQ(0x98000000, io.word);
	EXPECT_EQ(-ETIMEDOUT, vmm_wait_io(vmm, 0, 0xff, &io, 100));
}

/* AP instructions of a guest that has them, but no queue. */
TEST_F(kvm, guest_without_queues)
{
	struct guest *guest = &self->guest;
	uint64_t none[4] = {};
	struct ap_result result;
	struct ap_qci qci;
	uint64_t psmid;
	size_t length;

	ASSERT_OK(ap_qci(&guest->vmm, &qci, &result), guest->vmm.error);
	EXPECT_EQ(0, result.pgm);
	EXPECT_EQ(0, memcmp(qci.apm, none, sizeof(none)));
	EXPECT_EQ(0, memcmp(qci.aqm, none, sizeof(none)));
	EXPECT_EQ(0, memcmp(qci.adm, none, sizeof(none)));

	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result), guest->vmm.error);
	EXPECT_EQ(0, result.pgm);
	EXPECT_EQ(3, result.cc);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	ASSERT_OK(ap_zapq(&guest->vmm, guest->apqn, &result), guest->vmm.error);
	EXPECT_EQ(3, result.cc);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	length = ap_request(&guest->vmm, AP_MODE_UNKNOWN, guest->apqn);
	ASSERT_OK(ap_nqap(&guest->vmm, guest->apqn, 1, length, &result),
		  guest->vmm.error);
	EXPECT_EQ(3, result.cc);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	ASSERT_OK(ap_dqap(&guest->vmm, guest->apqn, &psmid, &length, &result),
		  guest->vmm.error);
	EXPECT_EQ(3, result.cc);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	/* KVM itself answers this one, status in the other half of GR 1. */
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(0, result.pgm);
	EXPECT_EQ(3, result.cc);
}

/* The exceptions of AQIC that KVM recognizes before vfio_ap is asked. */
TEST_F(kvm, aqic_exceptions)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int bit;

	for (bit = 16; bit < 23; bit++) {
		ASSERT_OK(ap_pqap(&guest->vmm, AP_FC_AQIC | 1UL << bit, AQIC_IR,
				  GUEST_NIB, &result), guest->vmm.error);
		EXPECT_EQ(PGM_SPECIFICATION, result.pgm);
	}
}

FIXTURE(cpu_model)
{
	struct guest guest;
};

FIXTURE_SETUP(cpu_model)
{
	test_begin();
}

FIXTURE_TEARDOWN_PARENT(cpu_model)
{
	test_end();
}

TEST_F(cpu_model, aqic_needs_facility_65)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	GUEST_UP(guest, .no_device = true, .vmm.no_aqic = true);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(PGM_SPECIFICATION, result.pgm);
	/* Everything else is there. */
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result), guest->vmm.error);
	EXPECT_EQ(0, result.pgm);
}

/* Without ECA.28 the monitor gets the intercept. */
TEST_F(cpu_model, no_ap_instructions)
{
	struct guest *guest = &self->guest;
	struct kvm_run *run;
	struct ap_result result;

	GUEST_UP(guest, .no_device = true, .vmm.no_ap = true);
	EXPECT_EQ(-EPROTO, ap_tapq(&guest->vmm, guest->apqn, &result));
	run = guest->vmm.run[0];
	EXPECT_EQ(KVM_EXIT_S390_SIEIC, run->exit_reason);
	EXPECT_EQ(4, run->s390_sieic.icptcode);
	EXPECT_EQ(0xb2af, run->s390_sieic.ipa);
}
