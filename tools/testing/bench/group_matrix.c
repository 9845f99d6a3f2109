// SPDX-License-Identifier: GPL-2.0
/*
 * The matrix of a mediated device: assigning and unassigning an adapter or a
 * domain, the first one and the one that completes a matrix; ap_config, building
 * a whole matrix, writing it again and clearing it; and reading the attributes
 * matrix and guest_matrix, which end with the page if they do not fit.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "operations.h"

#define TEXT_SIZE	65536

/* --- assigning and unassigning ------------------------------------------- */

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
	for_each_round_of(round, size) {
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

static void assign_and_unassign_all(void)
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

/* --- ap_config ----------------------------------------------------------- */

static void configure_and_clear(struct size size)
{
	char uuid[UUID_LENGTH], text[CONFIG_LENGTH], none[CONFIG_LENGTH];
	struct op op = { .size = size };
	int fd, round;

	config_text(text, size);
	config_text(none, (struct size){ 0, 0 });
	create(0);
	mdev_uuid(uuid, 0);
	fd = open_attribute(uuid, "ap_config", O_WRONLY);
	for_each_round_of(round, size) {
		op.warm_up = !round;
		op.name = "ap_config building";
		op_write(&op, fd, text);
		check_config(0, size);
		if (!round)
			check_guest_matrix(0, size);
		op.name = "ap_config the same again";
		op_write(&op, fd, text);
		check_config(0, size);
		op.name = "ap_config clearing";
		op_write(&op, fd, none);
		check_config(0, (struct size){ 0, 0 });
	}
	close(fd);
	destroy(0);
}

/* --- matrix and guest_matrix --------------------------------------------- */

static void read_both(struct size size)
{
	static const char * const names[] = { "matrix", "guest_matrix" };
	static char text[TEXT_SIZE], wanted[TEXT_SIZE];
	size_t length = 0, got;
	struct op op = { .size = size };
	unsigned int a, d, i;
	char uuid[UUID_LENGTH];
	int fd, round;

	for (a = 0; a < size.adapters; a++)
		for (d = 0; d < size.domains; d++)
			length += snprintf(wanted + length, TEXT_SIZE - length,
					   "%02x.%04x\n", host.adapter[a],
					   host.domain[d]);
	create(0);
	configure(0, size);
	mdev_uuid(uuid, 0);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		op.name = names[i];
		fd = open_attribute(uuid, names[i], O_RDONLY);
		for_each_round(round) {
			op.warm_up = !round;
			got = op_read(&op, fd, text, TEXT_SIZE);
			if (strncmp(text, wanted, got) ||
			    (got != length && (got > length || got < 4080)))
				die("%s of %ux%u is wrong, %zu bytes", names[i],
				    size.adapters, size.domains, got);
		}
		close(fd);
	}
	destroy(0);
}

void group_matrix(void)
{
	unsigned int i;

	assign_and_unassign_all();
	for (i = 0; i < nr_sizes; i++)
		configure_and_clear(sizes[i]);
	for (i = 0; i < nr_sizes; i++)
		read_both(sizes[i]);
}
