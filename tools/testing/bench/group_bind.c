// SPDX-License-Identifier: GPL-2.0
/*
 * Binding and unbinding queues one by one: when a mediated device has all of
 * them assigned, and when none has any. All other queues stay bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "operations.h"

#define OVERVIEW	"/sys/kernel/debug/vfio_ap/host"

static char names[16 * 256][12];

static void make_names(struct size size)
{
	unsigned int a, d, i = 0;

	for (a = 0; a < size.adapters; a++)
		for (d = 0; d < size.domains; d++)
			snprintf(names[i++], sizeof(names[0]), "%02x.%04x",
				 host.adapter[a], host.domain[d]);
}

/* The driver has nothing more to do. Only ours has this file. */
static void check_at_rest(void)
{
	char text[4096], *line;
	unsigned int number;

	if (sysfs_read(OVERVIEW, text, sizeof(text)) < 0)
		return;
	line = strstr(text, "queues:");
	if (!line || sscanf(line, "queues: %*u bound, %*u passable, %u outstanding",
			    &number) != 1)
		die(OVERVIEW " is not understood");
	if (number)
		die("%u queues are not at rest", number);
}

/*
 * Ours resets queues while others are bound: so the instructions are counted until
 * it is at rest, for both. The time is that of who binds them.
 */
static void write_all(struct op *op, int fd)
{
	uint64_t before;
	unsigned int i;

	op_begin(op);
	for (i = 0; i < op->units; i++)
		if (write(fd, names[i], 7) != 7)
			break;
	before = now_ns();
	sleep_ms(150);
	op->begin += now_ns() - before;
	op_end(op);
	if (i < op->units)
		die("%s %s: %s", op->name, names[i], strerror(errno));
	check_at_rest();
}

static void check_driver(struct size size, const char *wanted)
{
	char name[64];
	uint16_t apqn;

	apqn = apqn_of(size.adapters - 1, size.domains - 1);
	if (queue_driver(apqn, name, sizeof(name)) || strcmp(name, wanted))
		die("the driver of queue %04x is '%s', not '%s'", apqn, name,
		    wanted);
}

static void unbind_and_bind(struct size size, bool assigned)
{
	struct op op = { .size = size, .units = size.adapters * size.domains };
	int bind, unbind, rounds = rounds_of(size);

	make_names(size);
	bind = open_path(O_WRONLY, AP_BUS "/drivers/vfio_ap/bind");
	unbind = open_path(O_WRONLY, AP_BUS "/drivers/vfio_ap/unbind");
	while (rounds--) {
		op.name = assigned ? "unbind, assigned" : "unbind, unassigned";
		write_all(&op, unbind);
		check_driver(size, "");
		op.name = assigned ? "bind, assigned" : "bind, unassigned";
		write_all(&op, bind);
		check_driver(size, "vfio_ap");
		if (assigned)
			check_guest_matrix(0, size);
	}
	close(bind);
	close(unbind);
}

static const struct size bind_sizes[] = {
	{ 4, 16 }, { 4, 64 }, { 4, 256 }, { 16, 256 },
};

void group_bind(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bind_sizes); i++) {
		unbind_and_bind(bind_sizes[i], false);
		create(0);
		configure(0, bind_sizes[i]);
		unbind_and_bind(bind_sizes[i], true);
		destroy(0);
	}
}
