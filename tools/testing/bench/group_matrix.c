// SPDX-License-Identifier: GPL-2.0
/*
 * Reading the attributes matrix and guest_matrix, which end with the page if
 * they do not fit.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "operations.h"

#define TEXT_SIZE	65536

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

	for (i = 0; i < nr_sizes; i++)
		read_both(sizes[i]);
}
