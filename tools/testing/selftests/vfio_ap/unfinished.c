// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware accepts a change of a queue's interrupts, and it takes effect later. Whatever
 * hardware answers in between, the driver looks after the change until it has seen its
 * end: only then, but then by itself, it gives back the guest's page and its interruption
 * subclass. And whoever cannot wait until then waits once, not for each queue.
 *
 * All of it takes aphw, the emulated host's tool.
 */
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define ISC		3
#define PSMID		0x99UL
#define MANY		8
/*
 * Unmapping with many queues that never come to rest may take so many times what it takes
 * with one, which may be nothing, and so much more.
 */
#define TIMES		3
#define MORE_MS		30
#define TRIES		8
/* A page for each queue. */
#define NIBS		(GUEST_DATA + 0x20000UL)

#define NEED_APHW()							\
	do {								\
		if (!host.has_aphw)					\
			test_skip(_metadata, "needs aphw, the emulated host's tool"); \
	} while (0)

static int change_queue(uint16_t apqn, const char *what)
{
	return hw_change("queue %02x.%04x %s >/dev/null", APID(apqn), APQI(apqn),
			 what);
}

/* --- hardware's answer is unexpected for a moment --------------------------- */

/* Of the AP bus: how often it looks for changes, in seconds. */
#define CONFIG_TIME	AP_BUS "/config_time"

FIXTURE(unfinished)
{
	struct guest guest;
	char config_time[16];
};

GROUP_AND_IOMMUFD(unfinished);

FIXTURE_SETUP(unfinished)
{
	test_begin();
	NEED_APHW();
	/*
	 * The AP bus looks at its queues by itself, too, and removes one that answers with
	 * an unknown code. The next time is to be long after the test.
	 */
	ASSERT_LT(0, sysfs_read(CONFIG_TIME, self->config_time,
				sizeof(self->config_time)));
	ASSERT_EQ(0, sysfs_write(CONFIG_TIME, "120"));
	ASSERT_EQ(0, bus_rescan());
	GUEST_UP(&self->guest, .cdev = variant->cdev);
}

FIXTURE_TEARDOWN_PARENT(unfinished)
{
	if (host.has_aphw) {
		change_queue(self->guest.apqn, "response tapq none");
		change_queue(self->guest.apqn, "irq-time 0");
		sysfs_write(CONFIG_TIME, self->config_time);
		bus_rescan();
		/* A driver that has seen such an answer to a reset lets nobody have it. */
		queue_unbind(self->guest.apqn);
		queue_bind(self->guest.apqn, "vfio_ap");
	}
	test_end();
}

static bool nothing_pinned(void *data)
{
	return !pinned_kib();
}

/* Does the driver show that it has seen the end? The C driver shows nothing. */
static bool is_off(void *data)
{
	struct guest *guest = data;
	char path[128], queue[16], line[256];
	bool off = host.driver_is_c;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/vfio_ap/%s", guest->uuid);
	snprintf(queue, sizeof(queue), "%02x.%04x ", APID(guest->apqn),
		 APQI(guest->apqn));
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, queue, strlen(queue)))
			off = strstr(line, " off ");
	if (file)
		fclose(file);
	return off;
}

/*
 * The disabling is accepted, and then TAPQ answers with a code that says nothing. The
 * guest has been told 00 and does nothing more.
 */
TEST_F(unfinished, disable_is_looked_after)
{
	static const uint8_t codes[] = { 0x42, 0x06, 0x10, 0xff };
	static const unsigned int times[] = { 1, 3 };
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;
	unsigned int i;
	char what[64];

	SKIP_ON_C("warns");
	for (i = 0; i < ARRAY_SIZE(codes) * ARRAY_SIZE(times); i++) {
		uint8_t code = codes[i / ARRAY_SIZE(times)];

		ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC,
					GUEST_NIB, &result), guest->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_EQ(4, pinned_kib());
		snprintf(what, sizeof(what), "response tapq %02x count %u", code,
			 times[i % ARRAY_SIZE(times)]);
		ASSERT_EQ(0, change_queue(guest->apqn, what));
		ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result),
			  guest->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_TRUE(wait_until(nothing_pinned, NULL, hang_ms))
			TH_LOG("%s", what);
		ASSERT_TRUE(wait_until(is_off, guest, hang_ms))
			TH_LOG("%s", what);
	}
	/* And can be used as before. */
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}

/* As long as hardware may still write to the page, an odd answer gives nothing back. */
TEST_F(unfinished, page_is_kept_until_the_end)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	SKIP_ON_C("warns, and unpins what the queue still writes to");
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_EQ(0, change_queue(guest->apqn, "irq-time 3600000"));
	ASSERT_EQ(0, change_queue(guest->apqn, "response tapq 42 count 3"));
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	/* Several looks at it later. */
	sleep_ms(1000);
	ASSERT_EQ(0, change_queue(guest->apqn, "response tapq none"));
	EXPECT_EQ(4, pinned_kib());
	if (!host.driver_is_c)
		EXPECT_FALSE(is_off(guest));
	ASSERT_EQ(0, change_queue(guest->apqn, "irq-time 0"));
	EXPECT_TRUE(wait_until(nothing_pinned, NULL, hang_ms));
	EXPECT_TRUE(wait_until(is_off, guest, hang_ms));
}

/* --- many queues never come to rest ------------------------------------------ */

FIXTURE(unmap)
{
	struct guest guest;
	uint16_t apqn[MANY];
};

FIXTURE_VARIANT(unmap)
{
	bool cdev;
	const char *begin;	/* what a queue does with AQIC */
	const char *end;
};

FIXTURE_VARIANT_ADD(unmap, never_off)
{
	.begin = "irq-time 3600000",
	.end = "irq-time 0",
};

FIXTURE_VARIANT_ADD(unmap, never_off_iommufd)
{
	.cdev = true,
	.begin = "irq-time 3600000",
	.end = "irq-time 0",
};

FIXTURE_VARIANT_ADD(unmap, refused)
{
	.begin = "response aqic 5",
	.end = "response aqic none",
};

FIXTURE_VARIANT_ADD(unmap, refused_iommufd)
{
	.cdev = true,
	.begin = "response aqic 5",
	.end = "response aqic none",
};

FIXTURE_SETUP(unmap)
{
	unsigned int a, d, n = 0;

	test_begin();
	NEED_APHW();
	if (host.nr_adapters * host.nr_domains < MANY)
		test_skip(_metadata, "needs %u queues", MANY);
	SKIP_ON_C("warns, and unpins what the queue still writes to");
	GUEST_UP(&self->guest, .cdev = variant->cdev,
		 .adapters = host.nr_adapters, .domains = host.nr_domains);
	for (a = 0; a < host.nr_adapters; a++)
		for (d = 0; d < host.nr_domains && n < MANY; d++)
			self->apqn[n++] = APQN(host.adapter[a], host.domain[d]);
}

static int change_queues(const uint16_t *apqn, unsigned int count,
			 const char *what)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < count; i++)
		ret = change_queue(apqn[i], what) ?: ret;
	return ret;
}

FIXTURE_TEARDOWN_PARENT(unmap)
{
	if (host.has_aphw && self->apqn[0])
		change_queues(self->apqn, MANY, variant->end);
	test_end();
}

/* Unmaps the pages of so many queues, which do not come to rest: milliseconds. */
static uint64_t time_of_unmapping(struct __test_metadata *_metadata,
				  struct guest *guest, const uint16_t *apqn,
				  unsigned int count, const char *begin,
				  const char *end)
{
	struct ap_result result;
	uint64_t start, took;
	unsigned int i;

	for (i = 0; i < count; i++) {
		ASSERT_OK(ap_reset(&guest->vmm, apqn[i], &result),
			  guest->vmm.error);
		ASSERT_OK(ap_enable_irq(&guest->vmm, apqn[i], ISC,
					NIBS + i * 0x1000, &result),
			  guest->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
	}
	EXPECT_EQ(4 * count, pinned_kib());
	ASSERT_EQ(0, change_queues(apqn, count, begin));
	start = now_ms();
	ASSERT_OK(vmm_vfio_unmap(&guest->vfio, 0, VMM_MEM_SIZE),
		  guest->vfio.error);
	took = now_ms() - start;
	EXPECT_EQ(0, pinned_kib());
	/* The driver was told of all of them: each ends when hardware lets it. */
	ASSERT_EQ(0, change_queues(apqn, count, end));
	for (i = 0; i < count; i++) {
		ASSERT_OK(ap_await(&guest->vmm, apqn[i], AP_RC_NORMAL, AP_IRQ, 0,
				   &result), guest->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
	}
	ASSERT_OK(vmm_vfio_map(&guest->vfio, 0, VMM_MEM_SIZE, guest->vmm.mem),
		  guest->vfio.error);
	return took;
}

/* It waits once: for many queues about as long as for one. */
TEST_F(unmap, waits_once)
{
	uint64_t one = 0, many = 0;
	unsigned int tries;
	bool once = false;

	/* A busy machine may delay any single one. */
	for (tries = 0; !once && tries < TRIES; tries++) {
		one = time_of_unmapping(_metadata, &self->guest, self->apqn, 1,
					variant->begin, variant->end);
		many = time_of_unmapping(_metadata, &self->guest, self->apqn,
					 MANY, variant->begin,
					 variant->end);
		once = many < TIMES * one +
			      MORE_MS * test_timeout_factor();
	}
	EXPECT_TRUE(once);
	TH_LOG("unmapping takes %lu ms for a queue that never comes to rest, %lu ms for %u",
	       one, many, MANY);
}
