// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints tell of every AQIC, reset, assignment and filtering, once, and
 * with what was asked and answered.
 */
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define TRACING	"/sys/kernel/tracing"
#define EVENTS	TRACING "/events/vfio_ap"
#define ISC	3

static void clear(void)
{
	int fd = open(TRACING "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
}

FIXTURE(trace)
{
	struct guest guest;
};

FIXTURE_VARIANT(trace)
{
	int unused;
};

FIXTURE_VARIANT_ADD(trace, events)
{
};

FIXTURE_SETUP(trace)
{
	test_begin();
	NOT_ON_C("tracepoints");
	if (!path_exists(TRACING "/events"))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (!path_exists(TRACING "/events"))
		test_skip(_metadata, "the kernel has no trace events");
	ASSERT_EQ(0, sysfs_write(EVENTS "/enable", "1"));
	clear();
}

FIXTURE_TEARDOWN_PARENT(trace)
{
	if (path_exists(EVENTS))
		sysfs_write(EVENTS "/enable", "0");
	test_end();
}

/* How many events of this name there are in which a text is; -1 if nobody can tell. */
static int events(const char *name, const char *format, ...)
{
	static char line[4096];
	char event[64], text[512];
	int count = 0;
	va_list ap;
	FILE *trace;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(event, sizeof(event), ": %s: ", name);
	trace = fopen(TRACING "/trace", "r");
	if (!trace)
		return -1;
	while (fgets(line, sizeof(line), trace))
		if (strstr(line, event) && strstr(line, text))
			count++;
	if (ferror(trace))
		count = -1;
	fclose(trace);
	return count;
}

TEST_F(trace, aqic)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	uint16_t apqn;

	GUEST_UP(guest);
	apqn = guest->apqn;
	clear();
	ASSERT_OK(ap_aqic(&guest->vmm, apqn, AQIC_IR | AQIC_ISC(ISC), GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(1, events("vfio_ap_aqic", "queue=%02x.%04x gr1=%016lx gr2=%016lx rc=00",
			    APID(apqn), APQI(apqn), AQIC_IR | AQIC_ISC(ISC),
			    GUEST_NIB));
	ASSERT_OK(ap_aqic(&guest->vmm, apqn, AQIC_IR, 0, &result),
		  guest->vmm.error);
	ASSERT_OK(ap_aqic(&guest->vmm, 0xfffe, AQIC_IR, GUEST_NIB, &result),
		  guest->vmm.error);
	EXPECT_EQ(3, events("vfio_ap_aqic", ""));
	EXPECT_EQ(1, events("vfio_ap_aqic", "rc=06"));
	EXPECT_EQ(1, events("vfio_ap_aqic", "queue=ff.00fe"));
	EXPECT_EQ(0, events("vfio_ap_reset_start", ""));
}

TEST_F(trace, reset)
{
	struct guest *guest = &self->guest;
	char queue[16];

	GUEST_UP(guest);
	snprintf(queue, sizeof(queue), "%02x.%04x rc=00", APID(guest->apqn),
		 APQI(guest->apqn));
	clear();
	ASSERT_EQ(0, ioctl(guest->vfio.device, VFIO_DEVICE_RESET));
	EXPECT_EQ(1, events("vfio_ap_reset_start", "queue=%s", queue));
	EXPECT_EQ(1, events("vfio_ap_reset_end", "queue=%s", queue));
	EXPECT_EQ(1, events("vfio_ap_reset_end", ""));
}

TEST_F(trace, assign_and_filter)
{
	uint64_t apm[4] = {}, none[4] = {};
	char uuid[UUID_LENGTH], masks[2][MASK_LENGTH];
	char second[UUID_LENGTH];

	mdev_uuid(uuid, 1);
	ASSERT_EQ(0, mdev_create(uuid));
	clear();
	mask_set(apm, host.adapter[0], true);
	mask_format(apm, masks[0]);
	mask_format(none, masks[1]);
	ASSERT_EQ(0, mdev_assign(uuid, "assign_adapter", host.adapter[0]));
	EXPECT_EQ(1, events("vfio_ap_assign",
			    "mdev=%s apm=%s aqm=%s adm=%s error=0", uuid,
			    masks[0], masks[1], masks[1]));
	EXPECT_EQ(1, events("vfio_ap_filter", "mdev=%s apm=%s aqm=%s adm=%s",
			    uuid, masks[0], masks[1], masks[1]));
	/* What changes nothing is no assignment. */
	ASSERT_EQ(0, mdev_assign(uuid, "assign_adapter", host.adapter[0]));
	EXPECT_EQ(1, events("vfio_ap_assign", ""));

	ASSERT_EQ(0, mdev_assign(uuid, "assign_domain", host.domain[0]));
	EXPECT_EQ(2, events("vfio_ap_assign", "error=0"));
	mdev_uuid(second, 2);
	ASSERT_EQ(0, mdev_create(second));
	ASSERT_EQ(0, mdev_assign(second, "assign_adapter", host.adapter[0]));
	clear();
	EXPECT_EQ(-EADDRINUSE, mdev_assign(second, "assign_domain",
					   host.domain[0]));
	EXPECT_EQ(1, events("vfio_ap_assign", "mdev=%s", second));
	EXPECT_EQ(1, events("vfio_ap_assign", "error=%d", -EADDRINUSE));
	EXPECT_EQ(0, events("vfio_ap_filter", ""));
}

/* Events are off: nothing is told, and all goes on as before. */
TEST_F(trace, off)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	GUEST_UP(guest);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result),
		  guest->vmm.error);
	EXPECT_EQ(1, events("vfio_ap_aqic", ""));
	EXPECT_LT(0, events("vfio_ap_filter", ""));
	ASSERT_EQ(0, sysfs_write(EVENTS "/enable", "0"));
	clear();
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_control_domain", 0));
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(0, events("vfio_ap_aqic", ""));
	EXPECT_EQ(0, events("vfio_ap_filter", ""));
}
