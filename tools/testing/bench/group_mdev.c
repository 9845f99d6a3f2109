// SPDX-License-Identifier: GPL-2.0
/*
 * Making a mediated device and removing it, empty or with queues assigned; and
 * what one takes beside many others: first the others are empty, then each of
 * them has a queue of its own.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "operations.h"

/* Far from those of the others. */
#define NEW_ONE		5000

static const struct size few = { 4, 16 };

static void create_and_remove(unsigned int n, struct size size,
			      unsigned int others)
{
	struct op op = { .size = size, .others = others };
	char uuid[UUID_LENGTH];
	int make, fd, round;

	mdev_uuid(uuid, n);
	make = open_path(O_WRONLY, MDEV_TYPE "/create");
	for_each_round_of(round, size) {
		/* That it is empty when it is made, is measured once. */
		op.warm_up = !round || size.adapters;
		op.name = "mdev create";
		op_write(&op, make, uuid);
		if (size.adapters)
			configure(n, size);
		fd = open_attribute(uuid, "remove", O_WRONLY);
		op.warm_up = !round;
		op.name = "mdev remove";
		op_write(&op, fd, "1");
		close(fd);
		if (!mdev_remove(uuid))
			die("%s was still there", uuid);
	}
	close(make);
}

static void assign_beside(unsigned int others, const char *name)
{
	struct op op = { .name = name, .size = few, .others = others };
	int fd, round, ret;
	char uuid[UUID_LENGTH], text[16];

	create(0);
	configure(0, (struct size){ few.adapters, few.domains - 1 });
	mdev_uuid(uuid, 0);
	fd = open_attribute(uuid, "assign_domain", O_WRONLY);
	snprintf(text, sizeof(text), "%u", host.domain[few.domains - 1]);
	for_each_round(round) {
		op.warm_up = !round;
		op_write(&op, fd, text);
		check_config(0, few);
		ret = mdev_write(uuid, "unassign_domain", text);
		if (ret)
			die("unassign_domain: %s", strerror(-ret));
	}
	close(fd);
	destroy(0);
}

/* A queue of its own, none of which the first mediated device has. */
static void give_queue(unsigned int n)
{
	char uuid[UUID_LENGTH];
	int ret;

	mdev_uuid(uuid, n);
	ret = mdev_assign(uuid, "assign_adapter",
			  host.adapter[few.adapters + n / 256]);
	if (!ret)
		ret = mdev_assign(uuid, "assign_domain", host.domain[n % 256]);
	if (ret)
		die("a queue for %s: %s", uuid, strerror(-ret));
}

void group_mdev(void)
{
	static const unsigned int numbers[] = { 0, 10, 100, 1000 };
	const struct size none = { 0, 0 };
	unsigned int there = 0, i, n;

	for (i = 0; i < nr_sizes; i++)
		create_and_remove(0, sizes[i], 0);
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		create_empty(there + 1, numbers[i]);
		there = numbers[i];
		assign_beside(there, "assign_domain completing, others empty");
		create_and_remove(NEW_ONE, none, there);
	}
	for (n = 1; n <= there; n++)
		give_queue(n);
	for (i = ARRAY_SIZE(numbers); i-- > 1;) {
		for (; there > numbers[i]; there--)
			destroy(there);
		assign_beside(there,
			      "assign_domain completing, others with a queue");
	}
	mdev_remove_all();
}
