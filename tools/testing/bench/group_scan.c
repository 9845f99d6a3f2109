// SPDX-License-Identifier: GPL-2.0
/*
 * A scan of the AP bus that finds nothing new, one that finds an adapter gone,
 * and one that finds it back; all of its 256 queues are a guest's.
 *
 * The bus looks up each of its queues by going through all of them. With 4096
 * queues that would be nearly all that is counted; so the host has 512.
 */
#include <fcntl.h>
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

/* The guest's last queue answers @rc. */
static void check_guest(struct guest *guest, uint8_t rc)
{
	uint16_t apqn = apqn_of(0, size.domains - 1);
	struct ap_result result;

	if (ap_tapq(&guest->vmm, apqn, &result) || result.rc != rc)
		die("the guest's queue %04x answers %02x instead of %02x", apqn,
		    result.rc, rc);
}

static void remove_adapter(void)
{
	hardware_change("device_del", "\"id\":\"" BRIDGE "/card%02x\"",
			host.adapter[0]);
}

static void add_adapter(void)
{
	hardware_change("device_add",
			"\"driver\":\"ap-adapter\",\"apid\":%u,\"mode\":\"accelerator\"",
			host.adapter[0]);
}

/*
 * The change makes a channel report, by which the bus scans, too. Whoever is the
 * second to ask for a scan waits for the first one.
 */
static void scan(struct op *op, int fd, void (*change)(void))
{
	ssize_t n;

	op_begin(op);
	if (change)
		change();
	n = pwrite(fd, "1", 1, 0);
	op_end(op);
	if (n != 1)
		die("%s: no scan", op->name);
	quiet();
}

void group_scan(void)
{
	struct op op = { .size = size };
	struct guest guest;
	int fd, round;

	fd = open_path(O_WRONLY, AP_BUS "/scans");
	guest_start(&guest, 0, size);
	for_each_round(round) {
		op.warm_up = !round;
		op.name = "scan, nothing new";
		scan(&op, fd, NULL);
		check_guest(&guest, AP_RC_NORMAL);
		op.name = "scan, adapter gone";
		scan(&op, fd, remove_adapter);
		if (bound())
			die("%u queues are left", bound());
		check_guest(&guest, AP_RC_NOT_AVAILABLE);
		op.name = "scan, adapter back";
		scan(&op, fd, add_adapter);
		if (bound() != size.domains)
			die("only %u queues are back", bound());
		check_guest(&guest, AP_RC_NORMAL);
	}
	close(fd);
	guest_stop(&guest);
}
