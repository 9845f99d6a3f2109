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

#endif /* VFIO_AP_SELFTEST_MIGRATION_H */
