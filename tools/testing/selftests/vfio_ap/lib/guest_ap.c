// SPDX-License-Identifier: GPL-2.0
/*
 * A guest with a mediated device of its own, ready to use its queues.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "guest_ap.h"

static int __printf(3, 4) fail(struct guest *guest, int ret,
			       const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(guest->error, sizeof(guest->error), format, ap);
	va_end(ap);
	return ret;
}

static enum ap_mode adapter_mode(unsigned int apid)
{
	struct ap_result tapq = {};
	char path[128], text[32];

	/* The upper half of TAPQ's GR 2. */
	snprintf(path, sizeof(path), AP_DEVICES "/card%02x/ap_functions", apid);
	if (sysfs_read(path, text, sizeof(text)) < 0)
		return AP_MODE_UNKNOWN;
	tapq.gr2 = strtoul(text, NULL, 16) << 32;
	return ap_mode_of(&tapq);
}

int host_adapter_of_mode(enum ap_mode mode)
{
	unsigned int i;

	for (i = 0; i < host.nr_adapters; i++)
		if (mode == AP_MODE_UNKNOWN ||
		    adapter_mode(host.adapter[i]) == mode)
			return i;
	return -1;
}

static int make_mdev(struct guest *guest, const struct guest_config *config,
		     unsigned int first)
{
	unsigned int adapters = config->adapters ? config->adapters : 1;
	unsigned int domains = config->domains ? config->domains : 1;
	unsigned int i;
	int ret;

	if (adapters > host.nr_adapters ||
	    config->first_domain + domains > host.nr_domains)
		return fail(guest, -ENOTSUP,
			    "the host has %u adapters and %u domains for vfio_ap",
			    host.nr_adapters, host.nr_domains);
	ret = mdev_create(guest->uuid);
	if (ret)
		return fail(guest, ret, "creating mdev %s: %s", guest->uuid,
			    strerror(-ret));
	for (i = 0; i < adapters; i++) {
		unsigned int n = (first + i) % host.nr_adapters;

		ret = mdev_assign(guest->uuid, "assign_adapter",
				  host.adapter[n]);
		if (ret)
			return fail(guest, ret, "assign_adapter %u: %s",
				    host.adapter[n], strerror(-ret));
	}
	for (i = 0; i < domains; i++) {
		ret = mdev_assign(guest->uuid, "assign_domain",
				  host.domain[config->first_domain + i]);
		if (ret)
			return fail(guest, ret, "assign_domain %u: %s",
				    host.domain[config->first_domain + i],
				    strerror(-ret));
	}
	return 0;
}

int guest_up(struct guest *guest, const struct guest_config *config)
{
	static const struct guest_config defaults;
	struct ap_result result;
	int ret, first;

	memset(guest, 0, sizeof(*guest));
	guest->vfio.container = -1;
	guest->vfio.group = -1;
	guest->vfio.device = -1;
	if (!config)
		config = &defaults;
	if (config->cdev && !path_exists("/dev/iommu"))
		return fail(guest, -ENOTSUP, "the kernel has no iommufd");
	first = host_adapter_of_mode(config->mode);
	if (first < 0)
		return fail(guest, -ENOTSUP,
			    "vfio_ap has no adapter of this mode");
	guest->apqn = APQN(host.adapter[first],
			   host.domain[config->first_domain]);
	mdev_uuid(guest->uuid, config->nth);

	if (!config->no_mdev && !config->no_device) {
		ret = make_mdev(guest, config, first);
		if (ret)
			return ret;
	}
	ret = vmm_create(&guest->vmm, &config->vmm);
	if (ret)
		return fail(guest, ret, "%s", guest->vmm.error);
	guest->pid = getpid();
	guest->vm_fd = guest->vmm.vm;
	ret = vmm_run(&guest->vmm, 0, hang_ms);
	if (ret)
		return fail(guest, ret, "%s", guest->vmm.error);
	if (config->no_device)
		return 0;

	ret = vmm_vfio_open(&guest->vfio, &guest->vmm, guest->uuid,
			    config->cdev);
	if (ret == -ENOENT && config->cdev)
		return fail(guest, -ENOTSUP, "%s", guest->vfio.error);
	if (ret)
		return fail(guest, ret, "%s", guest->vfio.error);
	guest->mode = adapter_mode(APID(guest->apqn));
	/* Where KVM passes on what it intercepts, there is no queue to reset. */
	if (config->vmm.no_ap)
		return 0;
	if (config->no_reset)
		ret = ap_tapq(&guest->vmm, guest->apqn, &result);
	else
		ret = ap_reset(&guest->vmm, guest->apqn, &result);
	if (ret)
		return fail(guest, ret, "%s", guest->vmm.error);
	if (result.pgm || result.rc)
		return fail(guest, -EIO, "reset of queue %02x.%04x: pgm %u rc %02x",
			    APID(guest->apqn), APQI(guest->apqn), result.pgm,
			    result.rc);

	if (config->vmm.no_apft)
		return 0;
	ret = ap_pqap(&guest->vmm, AP_FC_TAPQ | AP_TAPQ_T | guest->apqn, 0, 0,
		      &result);
	if (ret)
		return fail(guest, ret, "%s", guest->vmm.error);
	guest->mode = ap_mode_of(&result);
	if (guest->mode == AP_MODE_UNKNOWN)
		return fail(guest, -EIO, "TAPQ tells no mode of queue %02x.%04x: GR2 %#lx",
			    APID(guest->apqn), APQI(guest->apqn), result.gr2);
	return 0;
}

void guest_down(struct guest *guest)
{
	vmm_vfio_close(&guest->vfio);
	vmm_destroy(&guest->vmm);
}

bool guest_lost_queue(void *data)
{
	struct guest *guest = data;
	struct ap_result result;

	return !ap_tapq(&guest->vmm, guest->apqn, &result) &&
	       result.rc == AP_RC_NOT_AVAILABLE;
}

pid_t guest_begin_removal(const struct guest *guest)
{
	pid_t pid = fork();

	if (!pid) {
		struct guest copy = *guest;

		/* The copies of the parent's files must not keep them open. */
		guest_down(&copy);
		_exit(mdev_remove(copy.uuid) ? 1 : 0);
	}
	return pid;
}

const char *guest_request(struct guest *guest, uint64_t psmid, int isc)
{
	static char text[300];
	struct ap_result result;
	struct guest_io io;
	uint64_t got, end;
	size_t length;

	length = ap_request(&guest->vmm, guest->mode, guest->apqn);
	if (ap_nqap(&guest->vmm, guest->apqn, psmid, length, &result))
		return guest->vmm.error;
	if (result.pgm || result.cc || result.rc) {
		snprintf(text, sizeof(text), "NQAP: pgm %u cc %u status %#x",
			 result.pgm, result.cc, (uint32_t)result.gr1);
		return text;
	}
	if (isc >= 0) {
		if (vmm_wait_io(&guest->vmm, 0, 0x80 >> isc, &io, hang_ms))
			return guest->vmm.error;
		if (io.word != (0x80000000U | (uint32_t)isc << 27)) {
			snprintf(text, sizeof(text),
				 "I/O interruption word %#x on ISC %d", io.word,
				 isc);
			return text;
		}
	}
	end = now_ms() + hang_ms;
	for (;;) {
		if (ap_dqap(&guest->vmm, guest->apqn, &got, &length, &result))
			return guest->vmm.error;
		if (isc >= 0 || result.pgm || result.rc != AP_RC_NO_REPLY ||
		    now_ms() > end)
			break;
		sleep_ms(5);
	}
	if (result.pgm || result.cc || result.rc) {
		snprintf(text, sizeof(text), "DQAP: pgm %u cc %u status %#x",
			 result.pgm, result.cc, (uint32_t)result.gr1);
		return text;
	}
	if (got != psmid) {
		snprintf(text, sizeof(text), "PSMID %#lx came back as %#lx",
			 psmid, got);
		return text;
	}
	return ap_check_reply(&guest->vmm, guest->mode, length);
}

long pinned_kib(void)
{
	char text[4096];
	long sum = 0;
	char *line;

	if (sysfs_read("/proc/self/status", text, sizeof(text)) < 0)
		return -1;
	line = strstr(text, "VmLck:");
	if (line)
		sum += strtol(line + 6, NULL, 10);
	line = strstr(text, "VmPin:");
	if (line)
		sum += strtol(line + 6, NULL, 10);
	return sum;
}

int guest_vm_exists(const struct guest *guest)
{
	char path[128];

	if (!path_exists("/sys/kernel/debug/kvm"))
		return -1;
	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d", guest->pid,
		 guest->vm_fd);
	return path_exists(path);
}

int queue_interrupts(uint16_t apqn)
{
	char path[128], text[64];
	int ret;

	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/interrupt",
		 APID(apqn), APQI(apqn));
	ret = sysfs_read(path, text, sizeof(text));
	if (ret < 0)
		return ret;
	return !!strstr(text, "enabled");
}
