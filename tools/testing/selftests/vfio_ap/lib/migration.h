/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VFIO's protocol of migration, for an open device.
 */
#ifndef VFIO_AP_SELFTEST_MIGRATION_H
#define VFIO_AP_SELFTEST_MIGRATION_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "vmm.h"

#define PAGE_SIZE	4096UL

/* Return: 0 or a negative errno; @data is read and written. */
static inline int feature(int device, uint32_t flags, void *data, size_t size)
{
	union {
		struct vfio_device_feature header;
		uint8_t bytes[sizeof(struct vfio_device_feature) + 64];
	} request = { .header = { .argsz = sizeof(request.header) + size, .flags = flags } };

	if (data)
		memcpy(request.header.data, data, size);
	if (ioctl(device, VFIO_DEVICE_FEATURE, &request))
		return -errno;
	if (data)
		memcpy(data, request.header.data, size);
	return 0;
}

/* Return: 0 or a negative errno; the new data file is in @fd, or -1. */
static inline int set_state(int device, uint32_t state, int *fd)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state, .data_fd = -1 };
	int ret = feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			  &mig, sizeof(mig));
	int file = ret ? -1 : mig.data_fd;

	if (fd)
		*fd = file;
	else if (file >= 0)
		close(file);
	return ret;
}

/* Of all the guest's memory. Return: 0 or a negative errno; the size of a page is in @page_size. */
static inline int start_logging(int device, uint64_t *page_size)
{
	struct vfio_device_feature_dma_logging_range range = { .length = VMM_MEM_SIZE };
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PAGE_SIZE,
		.num_ranges = 1,
		.ranges = (uintptr_t)&range,
	};
	int ret = feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			  &control, sizeof(control));

	*page_size = control.page_size;
	return ret;
}

static inline int stop_logging(int device)
{
	return feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		       NULL, 0);
}

#endif /* VFIO_AP_SELFTEST_MIGRATION_H */
