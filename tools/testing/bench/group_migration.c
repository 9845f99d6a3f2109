// SPDX-License-Identifier: GPL-2.0
/*
 * Live migration, of guests with so many queues that all make interrupts: what the
 * driver takes of the time in which the guest stands still, at both ends, and how long
 * the stream is.
 *
 * A driver without migration measures nothing here.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/migration.h"
#include "operations.h"

#define ISC		3
#define STREAM_MAX	0x100000

static char stream[STREAM_MAX];

static void to_state(struct op *op, const char *name, int device, uint32_t state, int *fd)
{
	int ret;

	op->name = name;
	op_begin(op);
	ret = set_state(device, state, fd);
	op_end(op);
	if (ret)
		die("%s: %s", name, strerror(-ret));
}

/* Return: how many bytes there were. */
static size_t read_stream(struct op *op, const char *name, int fd, size_t at)
{
	ssize_t n;

	op->name = name;
	op_begin(op);
	n = read(fd, stream + at, STREAM_MAX - at);
	op_end(op);
	if (n <= 0)
		die("%s: %s", name, n ? strerror(errno) : "nothing");
	return n;
}

static void write_stream(struct op *op, const char *name, int fd, size_t length)
{
	ssize_t n;

	op->name = name;
	op_begin(op);
	n = write(fd, stream, length);
	op_end(op);
	if (n != (ssize_t)length)
		die("%s: %s", name, strerror(errno));
}

static void enable_all(struct guest *guest, struct size size)
{
	struct ap_result result;
	unsigned int a, d;

	for (a = 0; a < size.adapters; a++)
		for (d = 0; d < size.domains; d++)
			if (ap_aqic(&guest->vmm, apqn_of(a, d), AQIC_IR | AQIC_ISC(ISC),
				    GUEST_NIB, &result) || result.rc)
				die("AQIC: %s, response code %02x", guest->vmm.error, result.rc);
}

static void check_interrupts(struct guest *guest, uint16_t apqn)
{
	struct ap_result result;

	if (ap_await(&guest->vmm, apqn, AP_RC_NORMAL, AP_IRQ, AP_IRQ, &result))
		die("interrupts of queue %04x do not come back: %s", apqn, guest->vmm.error);
}

static void migrate(struct size size)
{
	uint16_t last = apqn_of(size.adapters - 1, size.domains - 1);
	struct op op = { .size = size };
	struct guest guest;
	size_t length;
	int fd, round;

	guest_start(&guest, 0, size);
	if (set_state(guest.vfio.device, VFIO_DEVICE_STATE_RUNNING, NULL)) {
		guest_stop(&guest);
		return;
	}
	enable_all(&guest, size);
	for_each_round_of(round, size) {
		op.warm_up = !round;
		to_state(&op, "RUNNING to PRE_COPY", guest.vfio.device,
			 VFIO_DEVICE_STATE_PRE_COPY, &fd);
		length = read_stream(&op, "reading before the stop", fd, 0);
		to_state(&op, "PRE_COPY to STOP_COPY", guest.vfio.device,
			 VFIO_DEVICE_STATE_STOP_COPY, NULL);
		length += read_stream(&op, "reading after the stop", fd, length);
		close(fd);
		to_state(&op, "STOP_COPY to RUNNING", guest.vfio.device,
			 VFIO_DEVICE_STATE_RUNNING, NULL);
		check_interrupts(&guest, last);

		/* The same guest arrives where it was: its queues are to be reset before. */
		if (ioctl(guest.vfio.device, VFIO_DEVICE_RESET))
			die("reset: %s", strerror(errno));
		to_state(&op, "RUNNING to RESUMING", guest.vfio.device,
			 VFIO_DEVICE_STATE_RESUMING, &fd);
		write_stream(&op, "writing all at the target", fd, length);
		to_state(&op, "RESUMING to RUNNING", guest.vfio.device,
			 VFIO_DEVICE_STATE_RUNNING, NULL);
		close(fd);
		check_interrupts(&guest, last);
	}
	value_report("the stream", size, 0, length, "bytes");
	guest_stop(&guest);
}

void group_migration(void)
{
	migrate((struct size){ 1, 1 });
	migrate((struct size){ 1, 64 });
	migrate((struct size){ 4, 256 });
}
