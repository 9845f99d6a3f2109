// SPDX-License-Identifier: GPL-2.0
/*
 * A VFIO device of a guest: open, VFIO_DEVICE_RESET and close, for so many
 * queues; with hardware that needs 1 ms for a reset, and with slower one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "operations.h"

static void open_device(struct op *op, struct vmm *vmm, struct vmm_vfio *vfio,
			const char *uuid)
{
	if (vmm_vfio_open_group(vfio, uuid) || vmm_vfio_attach_kvm(vfio, vmm))
		die("%s", vfio->error);
	op_begin(op);
	vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, uuid);
	op_end(op);
	if (vfio->device < 0)
		die("%s: %s", op->name, strerror(errno));
	if (vmm_vfio_map(vfio, 0, VMM_MEM_SIZE, vmm->mem))
		die("%s", vfio->error);
}

static void reset_device(struct op *op, struct vmm_vfio *vfio,
			 unsigned int reset_ms)
{
	int ret;

	rested_log(op);
	op_begin(op);
	ret = ioctl(vfio->device, VFIO_DEVICE_RESET);
	op_end(op);
	if (ret)
		die("%s: %s", op->name, strerror(errno));
	if (now_ns() - op->begin < reset_ms * 1000000UL)
		die("%s: done before hardware was", op->name);
}

static void close_device(struct op *op, struct vmm *vmm, struct vmm_vfio *vfio)
{
	int ret;

	rested_log(op);
	op_begin(op);
	ret = close(vfio->device);
	op_end(op);
	vfio->device = -1;
	if (ret)
		die("%s: %s", op->name, strerror(errno));
	if (vmm_vfio_detach_kvm(vfio, vmm))
		die("%s", vfio->error);
	vmm_vfio_close(vfio);
}

static void check_usable(struct vmm *vmm, uint16_t apqn)
{
	struct ap_result result;

	if (ap_tapq(vmm, apqn, &result) || result.pgm || result.rc)
		die("the guest's queue %04x answers %02x", apqn, result.rc);
}

static void use_device(struct size size, unsigned int reset_ms)
{
	const struct guest_config config = { .no_device = true };
	struct op op = { .size = size };
	char uuid[UUID_LENGTH], name[3][32];
	struct vmm_vfio vfio;
	struct guest guest;
	uint16_t last;
	int round;

	snprintf(name[0], sizeof(name[0]), "open, %u ms", reset_ms);
	snprintf(name[1], sizeof(name[1]), "RESET, %u ms", reset_ms);
	snprintf(name[2], sizeof(name[2]), "close, %u ms", reset_ms);
	create(0);
	configure(0, size);
	mdev_uuid(uuid, 0);
	guest_make(&guest, &config);
	last = apqn_of(size.adapters - 1, size.domains - 1);
	for_each_round(round) {
		op.warm_up = !round;
		op.name = name[0];
		open_device(&op, &guest.vmm, &vfio, uuid);
		check_usable(&guest.vmm, last);
		op.name = name[1];
		reset_device(&op, &vfio, reset_ms);
		check_usable(&guest.vmm, last);
		op.name = name[2];
		close_device(&op, &guest.vmm, &vfio);
	}
	guest_down(&guest);
	destroy(0);
}

static const struct size reset_sizes[] = {
	{ 1, 1 }, { 1, 16 }, { 4, 16 }, { 16, 64 },
};

void group_vfio(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reset_sizes); i++)
		use_device(reset_sizes[i], 1);
}

void group_reset(void)
{
	unsigned int a, i;
	char name[16];

	for (a = 0; a < 16; a++) {
		snprintf(name, sizeof(name), "card%02x", host.adapter[a]);
		set_time(name, "reset-time", 50);
	}
	for (i = 0; i < ARRAY_SIZE(reset_sizes); i++)
		use_device(reset_sizes[i], 50);
}
