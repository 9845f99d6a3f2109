// SPDX-License-Identifier: GPL-2.0
/* Making a mediated device, and removing it: empty, or with queues assigned. */
#include <fcntl.h>
#include <unistd.h>

#include "operations.h"

static void create_and_remove(struct size size)
{
	struct op op = { .size = size };
	char uuid[UUID_LENGTH];
	int make, fd, round;

	mdev_uuid(uuid, 0);
	make = open_path(O_WRONLY, MDEV_TYPE "/create");
	for_each_round(round) {
		/* That it is empty when it is made, is measured once. */
		op.warm_up = !round || size.adapters;
		op.name = "mdev create";
		op_write(&op, make, uuid);
		if (size.adapters)
			configure(0, size);
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

void group_mdev(void)
{
	unsigned int i;

	create_and_remove((struct size){ 0, 0 });
	for (i = 0; i < nr_sizes; i++)
		create_and_remove(sizes[i]);
}
