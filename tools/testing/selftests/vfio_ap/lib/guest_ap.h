/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest with a mediated device of its own, ready to use its queues.
 */
#ifndef VFIO_AP_SELFTEST_GUEST_AP_H
#define VFIO_AP_SELFTEST_GUEST_AP_H

#include <sys/types.h>

#include "ap.h"
#include "host.h"
#include "vmm.h"

/* How a test's guest looks; zero is one queue by group and container. */
struct guest_config {
	bool cdev;		/* iommufd instead of group and container */
	enum ap_mode mode;	/* of the first adapter; AP_MODE_UNKNOWN: any */
	unsigned int nth;	/* which mediated device */
	unsigned int first_domain;	/* the first of its domains, guest->apqn's */
	unsigned int adapters;	/* how many of each; 0: one */
	unsigned int domains;
	bool no_mdev;		/* the mediated device is there already */
	bool no_device;		/* a guest without VFIO device */
	bool no_reset;		/* the queue as it is found */
	struct vmm_config vmm;
};

struct guest {
	struct vmm vmm;
	struct vmm_vfio vfio;
	char uuid[UUID_LENGTH];
	uint16_t apqn;		/* of the first adapter and domain */
	enum ap_mode mode;	/* of the first adapter */
	pid_t pid;
	int vm_fd;		/* as it was; for guest_vm_exists() */
	char error[300];
};

/*
 * Make the mediated device, assign adapters and domains, start the guest and
 * reset the first queue. Return: 0, -ENOTSUP when the host lacks what @config
 * asks for, or another negative errno; guest->error has it in words.
 */
int guest_up(struct guest *guest, const struct guest_config *config);
/* Close everything; the mediated device stays. */
void guest_down(struct guest *guest);

/* Does TAPQ answer 01 to @guest, for its queue? For wait_until(). */
bool guest_lost_queue(void *guest);
/*
 * Somebody removes the mediated device, which waits until the guest has closed it:
 * a process that exits with 0 when that has gone well, or a negative number.
 */
pid_t guest_begin_removal(const struct guest *guest);

/* An index into host.adapter, or -1. */
int host_adapter_of_mode(enum ap_mode mode);

/*
 * One request and its reply: NQAP, with @isc >= 0 the interruption on that
 * ISC, DQAP. Return: NULL, or what went wrong.
 */
const char *guest_request(struct guest *guest, uint64_t psmid, int isc);

/* Pages that this process has pinned for devices or locked, in KiB. */
long pinned_kib(void);
/* Does the kernel still have the VM? -1 when debugfs does not tell. */
int guest_vm_exists(const struct guest *guest);
/* Interrupts of the queue, as the host's AP bus sees them; negative errno. */
int queue_interrupts(uint16_t apqn);

#endif /* VFIO_AP_SELFTEST_GUEST_AP_H */
