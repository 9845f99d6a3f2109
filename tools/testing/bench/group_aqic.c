// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's PQAP(AQIC): from the instruction to the one behind it, with SIE's
 * exit and entry, KVM's share and the hook's.
 *
 * An interrupt that is enabled cannot be enabled again: hardware answers 07,
 * whatever the NIB, and the first one stands. A guest that resets its queue can
 * enable it again, and then the driver finds what it has from the time before.
 */
#include "operations.h"

#define ISC	3

static void reset(struct guest *guest)
{
	struct ap_result result;

	if (ap_reset(&guest->vmm, guest->apqn, &result) || result.rc)
		die("a guest's reset: %s, response code %02x",
		    guest->vmm.error, result.rc);
}

static void with_device(struct size size)
{
	/* The host has it, the guest does not. */
	uint16_t other = apqn_of(1, 255);
	const uint64_t enable = AQIC_IR | AQIC_ISC(ISC);
	struct op op = { .size = size };
	struct guest guest;
	int round;

	guest_start(&guest, 0, size);
	for_each_round(round) {
		op.warm_up = !round;
		op.name = "AQIC enable";
		op_aqic(&op, &guest, guest.apqn, enable, GUEST_NIB, AP_RC_NORMAL);
		op.name = "AQIC enable again, same NIB and ISC";
		op_aqic(&op, &guest, guest.apqn, enable, GUEST_NIB, AP_RC_ALREADY);
		op.name = "AQIC enable again, other NIB";
		op_aqic(&op, &guest, guest.apqn, enable, GUEST_NIB2, AP_RC_ALREADY);
		op.name = "AQIC disable";
		op_aqic(&op, &guest, guest.apqn, 0, 0, AP_RC_NORMAL);
		op.name = "AQIC disable again";
		op_aqic(&op, &guest, guest.apqn, 0, 0, AP_RC_ALREADY);
		op.name = "AQIC unassigned queue";
		op_aqic(&op, &guest, other, enable, GUEST_NIB, AP_RC_NOT_AVAILABLE);
		op_aqic(&(struct op){ .warm_up = true }, &guest, guest.apqn, enable,
			GUEST_NIB, AP_RC_NORMAL);
		reset(&guest);
		op.name = "AQIC enable after guest's reset, same NIB and ISC";
		op_aqic(&op, &guest, guest.apqn, enable, GUEST_NIB, AP_RC_NORMAL);
		reset(&guest);
		op.name = "AQIC enable after guest's reset, other NIB";
		op_aqic(&op, &guest, guest.apqn, enable, GUEST_NIB2, AP_RC_NORMAL);
		op_aqic(&(struct op){ .warm_up = true }, &guest, guest.apqn, 0, 0,
			AP_RC_NORMAL);
	}
	guest_stop(&guest);
}

/*
 * A Linux guest has one notification byte for all of its queues: what the second
 * and later ones take.
 */
static void page_of_another(struct size size)
{
	const uint64_t enable = AQIC_IR | AQIC_ISC(ISC);
	uint16_t second = apqn_of(0, 1);
	struct op op = { .size = size };
	struct guest guest;
	int round;

	guest_start(&guest, 0, size);
	op_aqic(&(struct op){ .warm_up = true }, &guest, guest.apqn, enable,
		GUEST_NIB, AP_RC_NORMAL);
	for_each_round(round) {
		op.warm_up = !round;
		op.name = "AQIC enable, page of another queue";
		op_aqic(&op, &guest, second, enable, GUEST_NIB, AP_RC_NORMAL);
		op.name = "AQIC disable, page of another queue";
		op_aqic(&op, &guest, second, 0, 0, AP_RC_NORMAL);
	}
	guest_stop(&guest);
}

static void without_device(void)
{
	struct op op = { .name = "AQIC without driver", .size = { 0, 0 } };
	const struct guest_config config = { .no_device = true };
	struct guest guest;
	int round;

	guest_make(&guest, &config);
	for_each_round(round) {
		op.warm_up = !round;
		op_aqic(&op, &guest, guest.apqn, AQIC_IR | AQIC_ISC(ISC),
			GUEST_NIB, AP_RC_NOT_AVAILABLE);
	}
	guest_down(&guest);
}

void group_aqic(void)
{
	without_device();
	with_device((struct size){ 1, 1 });
	with_device((struct size){ 16, 255 });
	page_of_another((struct size){ 1, 16 });
	page_of_another((struct size){ 16, 255 });
}
