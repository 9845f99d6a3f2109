// SPDX-License-Identifier: GPL-2.0
/*
 * Assigning and unassigning an adapter or a domain: the first one, and the one
 * that completes a matrix.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "operations.h"

struct kind {
	const char *assign, *unassign;
	const char *first, *completing, *from_complete, *last;
};

static const struct kind adapter = {
	"assign_adapter", "unassign_adapter",
	"assign_adapter first", "assign_adapter completing",
	"unassign_adapter", "unassign_adapter last",
};

static const struct kind domain = {
	"assign_domain", "unassign_domain",
	"assign_domain first", "assign_domain completing",
	"unassign_domain", "unassign_domain last",
};

/* @number makes @size of @before, again and again, which is so at the end. */
static void assign_and_unassign(const struct kind *kind, bool first,
				struct size before, struct size size,
				unsigned int number)
{
	int assign, unassign, round;
	struct op op = { .size = size };
	char uuid[UUID_LENGTH], text[16];

	create(0);
	configure(0, before);
	mdev_uuid(uuid, 0);
	assign = open_attribute(uuid, kind->assign, O_WRONLY);
	unassign = open_attribute(uuid, kind->unassign, O_WRONLY);
	snprintf(text, sizeof(text), "%u", number);
	for_each_round(round) {
		op.warm_up = !round;
		op.name = first ? kind->first : kind->completing;
		op_write(&op, assign, text);
		check_config(0, size);
		if (!round)
			check_guest_matrix(0, size);
		op.name = first ? kind->last : kind->from_complete;
		op_write(&op, unassign, text);
		check_config(0, before);
	}
	close(assign);
	close(unassign);
	destroy(0);
}

void group_assign(void)
{
	const struct size none = { 0, 0 };
	unsigned int i;

	assign_and_unassign(&adapter, true, none, (struct size){ 1, 0 },
			    host.adapter[0]);
	assign_and_unassign(&domain, true, none, (struct size){ 0, 1 },
			    host.domain[0]);
	for (i = 0; i < nr_sizes; i++) {
		struct size size = sizes[i];

		assign_and_unassign(&adapter, false,
				    (struct size){ size.adapters - 1, size.domains },
				    size, host.adapter[size.adapters - 1]);
		assign_and_unassign(&domain, false,
				    (struct size){ size.adapters, size.domains - 1 },
				    size, host.domain[size.domains - 1]);
	}
}
