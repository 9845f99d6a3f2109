// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a guest with a mediated device that exists already, and tells step by
 * step how it uses its first queue: for people who want to see it happen.
 *
 *   guest UUID
 *
 * Ends with status 0 if the interrupt and the right reply came.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ap.h"
#include "lib/host.h"
#include "lib/vmm.h"

#define ISC	3
#define PSMID	0x1122334455667788UL

static struct vmm vmm;
static struct vmm_vfio vfio = { .container = -1, .group = -1, .device = -1 };

static void check(int ret, const char *what, const char *why)
{
	if (!ret)
		return;
	printf("%s failed (%s): %s\n", what, strerror(-ret), why);
	exit(1);
}

static void print_mask(const char *name, const uint64_t mask[4])
{
	printf("  %s", name);
	for (int bit = 0; bit < 256; bit++)
		if (mask_test(mask, bit))
			printf(" %d", bit);
	printf("\n");
}

/* What every guest asks first: which queues there are. */
static uint16_t find_queue(void)
{
	struct ap_result result;
	struct ap_qci qci;

	check(ap_qci(&vmm, &qci, &result), "PQAP(QCI)", vmm.error);
	printf("PQAP(QCI): this guest has\n");
	print_mask("adapters", qci.apm);
	print_mask("usage domains", qci.aqm);
	print_mask("control domains", qci.adm);
	for (int apid = 0; apid < 256; apid++)
		for (int apqi = 0; apqi < 256; apqi++)
			if (mask_test(qci.apm, apid) && mask_test(qci.aqm, apqi))
				return APQN(apid, apqi);
	printf("there is no queue among them\n");
	exit(1);
}

static const char *mode_name(enum ap_mode mode)
{
	switch (mode) {
	case AP_MODE_CCA:
		return "CCA coprocessor";
	case AP_MODE_ACCELERATOR:
		return "accelerator";
	case AP_MODE_EP11:
		return "EP11 coprocessor";
	default:
		return "adapter of no known mode";
	}
}

static void show(const char *what, const struct ap_result *result)
{
	printf("%s: condition code %u, response code %02x\n", what, result->cc,
	       result->rc);
	if (result->pgm || result->rc != AP_RC_NORMAL) {
		printf("that is not what it should be\n");
		exit(1);
	}
}

static void print_reply(size_t length)
{
	const uint8_t *reply = vmm.mem + GUEST_REPLY;

	for (size_t i = 0; i < length && i < 64; i++)
		printf("%s%02x", i % 16 ? " " : i ? "\n  " : "  ", reply[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const struct vmm_config config;
	struct ap_result result;
	enum ap_mode mode;
	const char *wrong;
	struct guest_io io;
	uint64_t psmid;
	size_t length;
	uint16_t apqn;

	if (argc != 2) {
		fprintf(stderr, "usage: %s UUID\n", argv[0]);
		return 2;
	}
	setlinebuf(stdout);
	check(vmm_create(&vmm, &config), "making the guest", vmm.error);
	check(vmm_run(&vmm, 0, 10000), "starting the guest", vmm.error);
	check(vmm_vfio_open(&vfio, &vmm, argv[1], false), "giving it the device",
	      vfio.error);

	apqn = find_queue();
	check(ap_reset(&vmm, apqn, &result), "PQAP(ZAPQ)", vmm.error);
	show("PQAP(ZAPQ), the queue is reset", &result);
	/* The T bit asks for the facilities, and so for the mode. */
	check(ap_pqap(&vmm, AP_FC_TAPQ | AP_TAPQ_T | apqn, 0, 0, &result),
	      "PQAP(TAPQ)", vmm.error);
	mode = ap_mode_of(&result);
	printf("PQAP(TAPQ): queue %02x.%04x, %s\n", APID(apqn), APQI(apqn),
	       mode_name(mode));

	check(ap_enable_irq(&vmm, apqn, ISC, GUEST_NIB, &result), "PQAP(AQIC)",
	      vmm.error);
	show("PQAP(AQIC), interrupts on", &result);
	length = ap_request(&vmm, mode, apqn);
	check(ap_nqap(&vmm, apqn, PSMID, length, &result), "NQAP", vmm.error);
	show("NQAP, a request is sent", &result);

	check(vmm_wait_io(&vmm, 0, 0x80 >> ISC, &io, 10000),
	      "waiting for the interrupt", vmm.error);
	printf("I/O interruption: ISC %u, adapter interruption, NIB %02x\n",
	       io.word >> 27 & 7, vmm.mem[GUEST_NIB]);
	check(ap_dqap(&vmm, apqn, &psmid, &length, &result), "DQAP", vmm.error);
	show("DQAP, the reply is here", &result);
	print_reply(length);
	wrong = ap_check_reply(&vmm, mode, length);
	if (!wrong && psmid != PSMID)
		wrong = "it is not the reply to this request";
	check(ap_disable_irq(&vmm, apqn, &result), "PQAP(AQIC)", vmm.error);
	show("PQAP(AQIC), interrupts off", &result);

	printf("interrupts: %llu\n",
	       (unsigned long long)vmm_mailbox(&vmm, 0)->nr_io);
	printf("reply: %zu bytes, %s\n", length, wrong ? wrong : "correct");
	vmm_vfio_close(&vfio);
	vmm_destroy(&vmm);
	return wrong ? 1 : 0;
}
