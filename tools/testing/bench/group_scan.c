// SPDX-License-Identifier: GPL-2.0
/*
 * A scan of the AP bus that finds nothing new, one that finds an adapter gone,
 * and one that finds it back; all of its 256 queues are a guest's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "operations.h"

static const struct size size = { 1, 256 };

/* How many queues of the first adapter are vfio_ap's. */
static unsigned int bound(void)
{
	unsigned int d, number = 0;
	char name[64];

	for (d = 0; d < size.domains; d++)
		number += !queue_driver(apqn_of(0, d), name, sizeof(name)) &&
			  !strcmp(name, "vfio_ap");
	return number;
}

static void scan(struct op *op, int fd)
{
	/* No pause, in which somebody else might scan. */
	op->begin = now_ns();
	if (!op->warm_up)
		asm volatile(MARK_TEXT(MARK_BEGIN) ::: "memory");
	if (pwrite(fd, "1", 1, 0) != 1)
		die("%s: scans", op->name);
	op_end(op);
	normal_priority();
}

void group_scan(void)
{
	struct op op = { .size = size };
	int fd, round;
	struct guest guest;

	fd = open_path(O_WRONLY, AP_BUS "/scans");
	guest_start(&guest, 0, size);
	check_guest_matrix(0, size);
	for_each_round(round) {
		op.warm_up = !round;
		op.name = "scan, nothing new";
		quiet();
		scan(&op, fd);
		change_hardware("adapter remove %u", host.adapter[0]);
		if (bound() != size.domains)
			die("somebody else has looked for the adapter");
		op.name = "scan, adapter gone";
		scan(&op, fd);
		if (bound())
			die("%u queues are left", bound());
		check_guest_matrix(0, (struct size){ 0, 0 });
		change_hardware("adapter add %u mode=accelerator",
				host.adapter[0]);
		if (bound())
			die("somebody else has found the adapter");
		op.name = "scan, adapter back";
		scan(&op, fd);
		if (bound() != size.domains)
			die("only %u queues are back", bound());
		check_guest_matrix(0, size);
	}
	guest_stop(&guest);
}
