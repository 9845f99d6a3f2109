// SPDX-License-Identifier: GPL-2.0
/*
 * A reset leaves no interrupt enabled, no request or reply in the queue and no
 * page pinned: VFIO's reset, and the one of the close.
 */
#include <sys/ioctl.h>
#include <time.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define ISC	3
#define PSMID	0x42UL

FIXTURE(reset)
{
	struct guest guest;
};

GROUP_AND_IOMMUFD(reset);

FIXTURE_SETUP(reset)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	size_t length;

	test_begin();
	GUEST_UP(guest, .cdev = variant->cdev);
	/* An enabled interrupt, and a reply that nobody has fetched. */
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	length = ap_request(&guest->vmm, guest->mode, guest->apqn);
	ASSERT_OK(ap_nqap(&guest->vmm, guest->apqn, PSMID, length, &result),
		  guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_OK(ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, AP_REPLIES,
			   AP_REPLIES, &result), guest->vmm.error);
	ASSERT_EQ(0, result.flags & AP_EMPTY);
	ASSERT_EQ(4, pinned_kib());
}

FIXTURE_TEARDOWN_PARENT(reset)
{
	unsigned int a;

	for (a = 0; host.has_aphw && a < host.nr_adapters; a++)
		hw_change("adapter %u reset-time 1 >/dev/null", host.adapter[a]);
	test_end();
}

/* What a reset queue looks like to a guest. */
static void check_clean(struct __test_metadata *_metadata, struct guest *guest)
{
	struct ap_result result;
	uint64_t psmid;
	size_t length;

	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(AP_EMPTY, result.flags);
	ASSERT_OK(ap_dqap(&guest->vmm, guest->apqn, &psmid, &length, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NO_REPLY, result.rc);
	EXPECT_EQ(0, pinned_kib());
}

static void check_usable(struct __test_metadata *_metadata, struct guest *guest)
{
	struct ap_result result;
	const char *wrong;

	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC + 1, GUEST_NIB2,
				&result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	wrong = guest_request(guest, PSMID + 1, ISC + 1);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_EQ(4, pinned_kib());
}

TEST_F(reset, by_ioctl)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, ioctl(guest->vfio.device, VFIO_DEVICE_RESET));
	check_clean(_metadata, guest);
	check_usable(_metadata, guest);
}

TEST_F(reset, by_ioctl_many_times)
{
	struct guest *guest = &self->guest;
	int i;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, ioctl(guest->vfio.device, VFIO_DEVICE_RESET));
	check_clean(_metadata, guest);
	check_usable(_metadata, guest);
}

/* The next guest finds nothing of the last one's. */
TEST_F(reset, by_close)
{
	struct guest *guest = &self->guest;

	guest_down(guest);
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(0, queue_interrupts(guest->apqn));
	/* This guest does without a reset of its own. */
	ASSERT_OK(guest_up(guest, &(struct guest_config){
		.cdev = variant->cdev, .no_mdev = true, .no_reset = true }),
		  guest->error);
	check_clean(_metadata, guest);
	check_usable(_metadata, guest);
}

/* The guest's own reset, as at its boot: the page is not pinned twice. */
TEST_F(reset, by_guest)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	ASSERT_OK(ap_reset(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(AP_EMPTY, result.flags);
	check_usable(_metadata, guest);
}

/* Every queue of the device is reset. */
TEST_F(reset, all_queues)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	uint64_t nib, psmid;
	unsigned int a, d;
	size_t length;

	guest_down(guest);
	ASSERT_EQ(0, mdev_remove(guest->uuid));
	ASSERT_OK(guest_up(guest, &(struct guest_config){
		.cdev = variant->cdev, .adapters = host.nr_adapters,
		.domains = host.nr_domains }), guest->error);
	nib = GUEST_DATA + 0x20000;
	for (a = 0; a < host.nr_adapters; a++) {
		for (d = 0; d < host.nr_domains && nib < VMM_MEM_SIZE; d++) {
			uint16_t apqn = APQN(host.adapter[a], host.domain[d]);

			ASSERT_OK(ap_reset(&guest->vmm, apqn, &result),
				  guest->vmm.error);
			ASSERT_OK(ap_enable_irq(&guest->vmm, apqn, d % 8, nib,
						&result), guest->vmm.error);
			EXPECT_EQ(AP_RC_NORMAL, result.rc)
				TH_LOG("queue %04x", apqn);
			/* Any adapter answers a request that makes no sense. */
			length = ap_request(&guest->vmm, AP_MODE_UNKNOWN, apqn);
			ASSERT_OK(ap_nqap(&guest->vmm, apqn, PSMID, length,
					  &result), guest->vmm.error);
			ASSERT_EQ(AP_RC_NORMAL, result.rc);
			ASSERT_OK(ap_await(&guest->vmm, apqn, AP_RC_NORMAL,
					   AP_REPLIES, AP_REPLIES, &result),
				  guest->vmm.error);
			ASSERT_EQ(AP_REPLIES, result.flags & (AP_REPLIES | AP_EMPTY));
			nib += 0x1000;
		}
	}
	EXPECT_EQ((nib - GUEST_DATA - 0x20000) / 1024, pinned_kib());
	ASSERT_EQ(0, ioctl(guest->vfio.device, VFIO_DEVICE_RESET));
	EXPECT_EQ(0, pinned_kib());
	for (a = 0; a < host.nr_adapters; a++) {
		for (d = 0; d < host.nr_domains; d++) {
			uint16_t apqn = APQN(host.adapter[a], host.domain[d]);

			ASSERT_OK(ap_tapq(&guest->vmm, apqn, &result),
				  guest->vmm.error);
			EXPECT_EQ(AP_RC_NORMAL, result.rc);
			EXPECT_EQ(AP_EMPTY, result.flags);
			ASSERT_OK(ap_dqap(&guest->vmm, apqn, &psmid, &length,
					  &result), guest->vmm.error);
			EXPECT_EQ(AP_RC_NO_REPLY, result.rc);
		}
	}
}

/* How long a reset of the device takes, in microseconds. */
static long time_of_reset(struct guest *guest)
{
	struct timespec before, after;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &before);
	ret = ioctl(guest->vfio.device, VFIO_DEVICE_RESET);
	clock_gettime(CLOCK_MONOTONIC, &after);
	if (ret)
		return -errno;
	return (after.tv_sec - before.tv_sec) * 1000000 +
	       (after.tv_nsec - before.tv_nsec) / 1000;
}

/*
 * All queues are reset at the same time, and that takes as long as the slowest one,
 * and at most a tenth or 2 ms more. It has to happen once, because a busy machine may
 * delay any single reset. A driver that polls too seldom, or resets one queue after
 * another, is never that fast.
 */
TEST_F(reset, as_long_as_the_slowest_queue)
{
	static const unsigned int times[] = { 1, 13, 30, 150 };
	struct guest *guest = &self->guest;
	unsigned int a, i;
	uint64_t end;

	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	guest_down(guest);
	ASSERT_EQ(0, mdev_remove(guest->uuid));
	ASSERT_OK(guest_up(guest, &(struct guest_config){
		.cdev = variant->cdev, .adapters = host.nr_adapters,
		.domains = host.nr_domains }), guest->error);
	for (i = 0; i < ARRAY_SIZE(times); i++) {
		long slowest = 1000 * times[i], least = -1;
		long more = slowest > 20000 ? slowest / 10 : 2000;

		for (a = 0; a < host.nr_adapters; a++)
			ASSERT_EQ(0, hw_change("adapter %u reset-time %u >/dev/null",
					       host.adapter[a],
					       times[a ? 0 : i]));
		more *= test_timeout_factor();
		end = now_ms() + hang_ms;
		do {
			long us = time_of_reset(guest);

			ASSERT_LE(slowest, us);
			if (least < 0 || us < least)
				least = us;
		} while (least > slowest + more && now_ms() < end);
		ASSERT_GE(slowest + more, least)
			TH_LOG("%u queues, the slowest %u ms",
			       host.nr_adapters * host.nr_domains, times[i]);
	}
}

#define LONG_POLL	"looks at a reset every 20 ms only"
C_DEFECT(reset, group, as_long_as_the_slowest_queue, LONG_POLL);
C_DEFECT(reset, iommufd, as_long_as_the_slowest_queue, LONG_POLL);
