// SPDX-License-Identifier: GPL-2.0
/*
 * The CPU model's features for AP: what a guest's PQAP, NQAP and DQAP do with
 * each of the facilities switched on or off, and without AP instructions.
 *
 * The features are: ap, the instructions themselves (ECA.28); apqci, facility
 * bit 12, QCI; apft, facility bit 15, the T bit; apqi, facility bit 65, AQIC.
 * Extended addressing (APXA) is no feature: a guest has it when the host has.
 *
 * Exceptions, the first that applies: privileged operation, operation,
 * specification, access; then response codes.
 */
#include "lib/test.h"

#define INSN_STFLE	0xb2b0100000000000UL	/* STFLE 0(1) */
#define INSN_LGHI	0xa739000100000000UL	/* LGHI 3,1 */
#define INSN_NQAP_ODD_1	0xb2ad005600000000UL	/* GR 5, 6 */
#define INSN_NQAP_ODD_2	0xb2ad004700000000UL	/* GR 4, 7 */
#define INSN_DQAP_ODD_1	0xb2ae005600000000UL
#define INSN_DQAP_ODD_2	0xb2ae004700000000UL

/* QACT asks for the compatibility type of this, a CEX4 in CCA mode. */
#define QACT_REQUEST	(4UL << 58 | 10UL << 24)

static const uint64_t instructions[] = { INSN_PQAP, INSN_NQAP, INSN_DQAP };

static const uint64_t functions[] = {
	AP_FC_TAPQ, AP_FC_RAPQ, AP_FC_ZAPQ, AP_FC_AQIC, AP_FC_QCI, AP_FC_QACT,
};

FIXTURE(cpumodel)
{
	struct guest guest;
	bool apxa;
};

FIXTURE_VARIANT(cpumodel)
{
	struct vmm_config vmm;
};

FIXTURE_VARIANT_ADD(cpumodel, all)
{
};

FIXTURE_VARIANT_ADD(cpumodel, no_apqci)
{
	.vmm = { .no_apqci = true },
};

FIXTURE_VARIANT_ADD(cpumodel, no_apft)
{
	.vmm = { .no_apft = true },
};

FIXTURE_VARIANT_ADD(cpumodel, no_apqi)
{
	.vmm = { .no_aqic = true },
};

FIXTURE_VARIANT_ADD(cpumodel, ap_only)
{
	.vmm = { .no_apqci = true, .no_apft = true, .no_aqic = true },
};

static bool host_has_apxa(void)
{
	char text[128];

	return sysfs_read(AP_BUS "/features", text, sizeof(text)) > 0 &&
	       strstr(text, "APXA");
}

FIXTURE_SETUP(cpumodel)
{
	test_begin();
	GUEST_UP(&self->guest, .adapters = 1, .domains = 1,
		 .vmm = variant->vmm);
	self->apxa = host_has_apxa();
}

FIXTURE_TEARDOWN_PARENT(cpumodel)
{
	test_end();
}

/* The same without the instructions, and so without the facilities. */
FIXTURE(no_ap)
{
	struct guest guest;
};

FIXTURE_SETUP(no_ap)
{
	test_begin();
	GUEST_UP(&self->guest, .vmm.no_ap = true);
}

FIXTURE_TEARDOWN_PARENT(no_ap)
{
	test_end();
}

#define PQAP(gr0, gr1, gr2)						\
	ASSERT_OK(ap_pqap(&self->guest.vmm, gr0, gr1, gr2, &result),	\
		  self->guest.vmm.error)

/* PQAP ends with a specification exception. */
#define EXPECT_SPECIFICATION(gr0, gr1, gr2)				\
	do {								\
		PQAP(gr0, gr1, gr2);					\
		EXPECT_EQ(PGM_SPECIFICATION, result.pgm)		\
			TH_LOG("GR0 %#lx", (unsigned long)(gr0));	\
	} while (0)

/* PQAP ends with a response code, 00 included. */
#define EXPECT_RESPONSE(code, gr0, gr1, gr2)				\
	do {								\
		PQAP(gr0, gr1, gr2);					\
		EXPECT_EQ(0, result.pgm)				\
			TH_LOG("GR0 %#lx", (unsigned long)(gr0));	\
		EXPECT_EQ(code, result.rc)				\
			TH_LOG("GR0 %#lx", (unsigned long)(gr0));	\
		EXPECT_EQ((code) ? 3 : 0, result.cc);			\
	} while (0)

static bool has_function(const struct vmm_config *model, uint64_t function)
{
	switch (function) {
	case AP_FC_AQIC:
		return !model->no_aqic;
	case AP_FC_QCI:
	case AP_FC_QACT:
		return !model->no_apqci;
	}
	return true;
}

static void expect_facilities(struct __test_metadata *_metadata,
			      struct guest *guest, bool apqci, bool apft,
			      bool apqi)
{
	struct guest_mailbox *mailbox = vmm_mailbox(&guest->vmm, 0);
	uint64_t *list = (uint64_t *)(guest->vmm.mem + GUEST_DATA);

	mailbox->gr[0] = 1;
	mailbox->gr[1] = GUEST_DATA;
	ASSERT_OK(vmm_execute(&guest->vmm, 0, INSN_STFLE), guest->vmm.error);
	ASSERT_EQ(0, mailbox->pgm);
	EXPECT_EQ(apqci, list[0] >> (63 - 12) & 1);
	EXPECT_EQ(apft, list[0] >> (63 - 15) & 1);
	EXPECT_EQ(apqi, list[1] >> (127 - 65) & 1);
}

TEST_F(cpumodel, facility_list)
{
	expect_facilities(_metadata, &self->guest, !variant->vmm.no_apqci,
			  !variant->vmm.no_apft, !variant->vmm.no_aqic);
}

TEST_F(no_ap, facility_list)
{
	expect_facilities(_metadata, &self->guest, false, false, false);
}

/* An interception, which the VMM makes an operation exception. */
static void expect_operation(struct __test_metadata *_metadata,
			     struct vmm *vmm, uint64_t insn)
{
	EXPECT_EQ(-EPROTO, vmm_execute(vmm, 0, insn));
	ASSERT_TRUE(vmm_intercepted(vmm, 0, insn >> 48))
		TH_LOG("%s", vmm->error);
	ASSERT_OK(vmm_program_interruption(vmm, 0, PGM_OPERATION), vmm->error);
	EXPECT_EQ(PGM_OPERATION, vmm_mailbox(vmm, 0)->pgm);
}

/*
 * KVM leaves each instruction to the VMM, whatever the registers hold, so also
 * where there would be a specification exception.
 */
TEST_F(no_ap, operation_exception)
{
	struct vmm *vmm = &self->guest.vmm;
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);
	static const uint64_t gr0[] = {
		0, AP_FC_AQIC, AP_FC_QCI, AP_FC_TAPQ | AP_TAPQ_T, UINT64_MAX,
	};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		for (k = 0; k < ARRAY_SIZE(gr0); k++) {
			mailbox->gr[0] = gr0[k];
			mailbox->gr[2] = UINT64_MAX;
			expect_operation(_metadata, vmm, instructions[i]);
		}
	}
	expect_operation(_metadata, vmm, INSN_NQAP_ODD_1);
	expect_operation(_metadata, vmm, INSN_DQAP_ODD_2);
}

/* Before any other exception, that of AQIC, too, which KVM interprets. */
static void expect_privileged(struct __test_metadata *_metadata,
			      struct guest *guest)
{
	struct guest_mailbox *mailbox = vmm_mailbox(&guest->vmm, 0);
	uint64_t gr0[ARRAY_SIZE(functions) + 2];
	unsigned int i, k;
	bool faulted;

	/* The measure: this one is not privileged. */
	ASSERT_OK(vmm_execute_problem(&guest->vmm, 0, INSN_LGHI, &faulted),
		  guest->vmm.error);
	EXPECT_FALSE(faulted);

	for (k = 0; k < ARRAY_SIZE(functions); k++)
		gr0[k] = functions[k] | guest->apqn;
	gr0[k++] = AP_FC_TAPQ | AP_TAPQ_T | 0x007f0000;
	gr0[k++] = 0xff000000;
	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		for (k = 0; k < ARRAY_SIZE(gr0); k++) {
			mailbox->gr[0] = gr0[k];
			mailbox->gr[1] = AQIC_IR;
			mailbox->gr[2] = UINT64_MAX;
			ASSERT_OK(vmm_execute_problem(&guest->vmm, 0,
						      instructions[i],
						      &faulted),
				  guest->vmm.error);
			EXPECT_TRUE(faulted);
			EXPECT_EQ(PGM_PRIVILEGED, mailbox->pgm)
				TH_LOG("instruction %#lx GR0 %#lx",
				       instructions[i] >> 48, gr0[k]);
		}
	}
}

TEST_F(cpumodel, privileged_operation)
{
	expect_privileged(_metadata, &self->guest);
}

TEST_F(no_ap, privileged_operation)
{
	expect_privileged(_metadata, &self->guest);
}

/* QCI is for a model with facility 12, and QACT, which QCI announces. */
TEST_F(cpumodel, qci_and_qact)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	struct ap_qci qci;
	unsigned int i;

	ASSERT_OK(ap_qci(&guest->vmm, &qci, &result), guest->vmm.error);
	if (!variant->vmm.no_apqci) {
		EXPECT_EQ(0, result.pgm);
		EXPECT_EQ(0, result.cc);
		EXPECT_RESPONSE(0, AP_FC_QACT | guest->apqn, QACT_REQUEST, 0);
		return;
	}
	EXPECT_EQ(PGM_SPECIFICATION, result.pgm);
	for (i = 0; i < sizeof(qci); i++)
		EXPECT_EQ(0xff, ((uint8_t *)&qci)[i]);
	EXPECT_SPECIFICATION(AP_FC_QACT | guest->apqn, QACT_REQUEST, 0);
}

/*
 * TAPQ with the T bit tells a queue's facilities to a model with facility 15.
 * To one without, the bit is a reserved one, with every function.
 */
TEST_F(cpumodel, t_bit)
{
	const struct vmm_config *model = &variant->vmm;
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int i;

	EXPECT_RESPONSE(0, AP_FC_TAPQ | guest->apqn, 0, 0);
	EXPECT_EQ(0, result.gr2 >> 32);
	if (!model->no_apft) {
		EXPECT_RESPONSE(0, AP_FC_TAPQ | AP_TAPQ_T | guest->apqn, 0, 0);
		EXPECT_EQ(guest->mode, ap_mode_of(&result));
		EXPECT_EQ(self->apxa, result.gr2 >> (63 - 6) & 1);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(functions); i++)
		EXPECT_SPECIFICATION(functions[i] | AP_TAPQ_T | guest->apqn,
				     AQIC_IR, GUEST_QCI);
}

/* AQIC is for a model with facility 65; without, nothing gets pinned. */
TEST_F(cpumodel, aqic)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	if (!variant->vmm.no_aqic) {
		ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, 3, GUEST_NIB,
					&result), guest->vmm.error);
		EXPECT_EQ(0, result.pgm);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		EXPECT_EQ(4, pinned_kib());
		return;
	}
	EXPECT_SPECIFICATION(AP_FC_AQIC | guest->apqn, AQIC_IR, GUEST_NIB);
	EXPECT_SPECIFICATION(AP_FC_AQIC | guest->apqn, 0, 0);
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(0, queue_interrupts(guest->apqn));
	EXPECT_RESPONSE(0, AP_FC_TAPQ | guest->apqn, 0, 0);
	EXPECT_EQ(0, result.flags & AP_IRQ);
}

/* Bits 41 to 47 of GR0 must be zeros, but for the F bit of three functions. */
TEST_F(cpumodel, reserved_bits)
{
	const struct vmm_config *model = &variant->vmm;
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int i, k;
	uint64_t bit;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		if (!has_function(model, functions[i]))
			continue;
		for (k = 41; k <= 47; k++) {
			bit = 1UL << (63 - k);
			if (bit == AP_RESET_F && (functions[i] == AP_FC_RAPQ ||
						  functions[i] == AP_FC_ZAPQ ||
						  functions[i] == AP_FC_QACT))
				continue;
			EXPECT_SPECIFICATION(functions[i] | bit | guest->apqn,
					     AQIC_IR, GUEST_NIB);
		}
	}
	EXPECT_EQ(0, pinned_kib());
	EXPECT_RESPONSE(0, AP_FC_TAPQ | guest->apqn, 0, 0);
}

TEST_F(cpumodel, unknown_function)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	uint64_t fc;

	/* 07 and 08, BAPQ and AAPQ, are for guests of secure execution. */
	for (fc = 6; fc <= 255; fc++)
		EXPECT_SPECIFICATION(fc << 24 | guest->apqn, 0, 0);
}

TEST_F(cpumodel, odd_registers)
{
	static const uint64_t odd[] = {
		INSN_NQAP_ODD_1, INSN_NQAP_ODD_2,
		INSN_DQAP_ODD_1, INSN_DQAP_ODD_2,
	};
	struct vmm *vmm = &self->guest.vmm;
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		/* Before an APQN that is not there, and inaccessible storage. */
		mailbox->gr[0] = 0xc0000000UL | (self->guest.apqn ^ 0x100);
		mailbox->gr[6] = VMM_MEM_SIZE;
		mailbox->gr[7] = 16;
		ASSERT_OK(vmm_execute(vmm, 0, odd[i]), vmm->error);
		EXPECT_EQ(PGM_SPECIFICATION, mailbox->pgm);
	}
}

/*
 * Without extended addressing an APQN beyond 63 and 15 is a specification
 * exception; with it, it is just a queue that the guest has not.
 */
TEST_F(cpumodel, apqn_out_of_range)
{
	static const uint16_t beyond[] = {
		APQN(AP_BASE_MAX_ADAPTER + 1, 0), APQN(0, AP_BASE_MAX_DOMAIN + 1),
		APQN(255, 0), APQN(0, 255), APQN(128, 128), 0xffff,
	};
	const struct vmm_config *model = &variant->vmm;
	struct guest *guest = &self->guest;
	struct vmm *vmm = &guest->vmm;
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, 0);
	struct ap_result result;
	unsigned int i, k;
	uint64_t gr0;

	EXPECT_RESPONSE(AP_RC_NOT_AVAILABLE,
			AP_FC_TAPQ | ((guest->apqn ^ 0x3f00) & 0x3f0f), 0, 0);
	for (i = 0; i < ARRAY_SIZE(beyond); i++) {
		for (k = 0; k < ARRAY_SIZE(functions); k++) {
			/* QCI is not about a queue. */
			if (functions[k] == AP_FC_QCI ||
			    !has_function(model, functions[k]))
				continue;
			gr0 = functions[k] | beyond[i];
			if (self->apxa)
				EXPECT_RESPONSE(AP_RC_NOT_AVAILABLE, gr0,
						AQIC_IR, GUEST_NIB);
			else
				EXPECT_SPECIFICATION(gr0, AQIC_IR, GUEST_NIB);
		}
		for (k = 1; k < ARRAY_SIZE(instructions); k++) {
			mailbox->gr[0] = 0xc0000000UL | beyond[i];
			mailbox->gr[6] = VMM_MEM_SIZE;
			mailbox->gr[7] = 16;
			ASSERT_OK(vmm_execute(vmm, 0, instructions[k]),
				  vmm->error);
			EXPECT_EQ(self->apxa ? 0 : PGM_SPECIFICATION,
				  mailbox->pgm)
				TH_LOG("instruction %#lx APQN %#x",
				       instructions[k] >> 48, beyond[i]);
		}
	}
}

/* A specification exception comes before access exceptions and responses. */
TEST_F(cpumodel, order_of_exceptions)
{
	const struct vmm_config *model = &variant->vmm;
	struct guest *guest = &self->guest;
	uint16_t absent = guest->apqn ^ 0x100;
	struct ap_result result;

	EXPECT_RESPONSE(AP_RC_NOT_AVAILABLE, AP_FC_TAPQ | absent, 0, 0);
	EXPECT_SPECIFICATION(AP_FC_TAPQ | 0x00010000 | absent, 0, 0);
	EXPECT_SPECIFICATION(AP_FC_AQIC | 0x00010000 | absent, AQIC_IR, 0);
	if (model->no_apft)
		EXPECT_SPECIFICATION(AP_FC_TAPQ | AP_TAPQ_T | absent, 0, 0);
	if (model->no_aqic)
		EXPECT_SPECIFICATION(AP_FC_AQIC | absent, AQIC_IR,
				     VMM_MEM_SIZE);
	/* Storage that is not there, and an address that is no multiple of 8. */
	EXPECT_SPECIFICATION(AP_FC_QCI, 0, VMM_MEM_SIZE + 4);
	PQAP(AP_FC_QCI, 0, VMM_MEM_SIZE);
	EXPECT_EQ(model->no_apqci ? PGM_SPECIFICATION : PGM_ADDRESSING,
		  result.pgm);
	/* The first of the 128 bytes can be stored, the last ones cannot. */
	guest->vmm.mem[VMM_MEM_SIZE - 64] = 0x5a;
	PQAP(AP_FC_QCI, 0, VMM_MEM_SIZE - 64);
	EXPECT_EQ(model->no_apqci ? PGM_SPECIFICATION : PGM_ADDRESSING,
		  result.pgm);
	EXPECT_EQ(0x5a, guest->vmm.mem[VMM_MEM_SIZE - 64]);
}

/* The VMM may switch interpretation on and off; the next instruction knows. */
TEST_F(cpumodel, interpretation_off_and_on)
{
	struct guest *guest = &self->guest;
	struct vmm *vmm = &guest->vmm;
	struct ap_result result;
	unsigned int i;

	EXPECT_RESPONSE(0, AP_FC_TAPQ | guest->apqn, 0, 0);
	ASSERT_OK(vmm_set_apie(vmm, false), vmm->error);
	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		vmm_mailbox(vmm, 0)->gr[0] = guest->apqn;
		expect_operation(_metadata, vmm, instructions[i]);
	}
	ASSERT_OK(vmm_set_apie(vmm, true), vmm->error);
	EXPECT_RESPONSE(0, AP_FC_TAPQ | guest->apqn, 0, 0);
}

FIXTURE(masks)
{
	struct guest guest;
};

FIXTURE_SETUP(masks)
{
	test_begin();
	GUEST_UP(&self->guest, .adapters = 2, .domains = 2);
}

FIXTURE_TEARDOWN_PARENT(masks)
{
	test_end();
}

static void expect_masks(struct __test_metadata *_metadata,
			 struct guest *guest, unsigned int adapters,
			 unsigned int domains, int control)
{
	unsigned int first = host_adapter_of_mode(AP_MODE_UNKNOWN), i;
	uint64_t apm[4] = {}, aqm[4] = {}, adm[4] = {};
	struct ap_result result;
	struct ap_qci qci;

	for (i = 0; i < adapters; i++)
		mask_set(apm, host.adapter[(first + i) % host.nr_adapters],
			 true);
	for (i = 0; i < domains; i++)
		mask_set(aqm, host.domain[i], true);
	if (control >= 0)
		mask_set(adm, control, true);
	ASSERT_OK(ap_qci(&guest->vmm, &qci, &result), guest->vmm.error);
	ASSERT_EQ(0, result.pgm);
	EXPECT_EQ(0, memcmp(qci.apm, apm, sizeof(apm)));
	EXPECT_EQ(0, memcmp(qci.aqm, aqm, sizeof(aqm)));
	EXPECT_EQ(0, memcmp(qci.adm, adm, sizeof(adm)));
	EXPECT_EQ(host_has_apxa(), !!(qci.flags & AP_QCI_APXA));
	if (qci.flags & AP_QCI_APXA) {
		EXPECT_EQ(host.max_adapter, qci.max_adapter);
		EXPECT_EQ(host.max_domain, qci.max_domain);
	}
}

#define EXPECT_MASKS(adapters, domains, control)			\
	expect_masks(_metadata, guest, adapters, domains, control)

/*
 * QCI has APXA as the host has it, and the masks of the guest's AP control
 * block, which follow what is assigned.
 */
TEST_F(masks, qci_follows_the_matrix)
{
	struct guest *guest = &self->guest;

	EXPECT_MASKS(2, 2, -1);
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_control_domain",
				 host.domain[1]));
	EXPECT_MASKS(2, 2, host.domain[1]);
	ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_domain",
				 host.domain[1]));
	EXPECT_MASKS(2, 1, host.domain[1]);
	ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_control_domain",
				 host.domain[1]));
	EXPECT_MASKS(2, 1, -1);
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain",
				 host.domain[1]));
	EXPECT_MASKS(2, 2, -1);
}
