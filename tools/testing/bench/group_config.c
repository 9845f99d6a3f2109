// SPDX-License-Identifier: GPL-2.0
/* ap_config: building a whole matrix, writing it again, and clearing it. */
#include <fcntl.h>
#include <unistd.h>

#include "operations.h"

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
	for_each_round(round) {
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

void group_config(void)
{
	unsigned int i;

	for (i = 0; i < nr_sizes; i++)
		configure_and_clear(sizes[i]);
}
