// SPDX-License-Identifier: GPL-2.0
/*
 * An APQN belongs to one mediated device or to the host, never to two.
 */
#include <time.h>

#include "lib/test.h"

FIXTURE(exclusivity)
{
	char first[UUID_LENGTH];
	char second[UUID_LENGTH];
	unsigned int a;
	unsigned int d;
	unsigned int nr_overrides;	/* of queues of the first adapters */
};

FIXTURE_VARIANT(exclusivity)
{
	int unused;
};

FIXTURE_VARIANT_ADD(exclusivity, mdevs)
{
};

FIXTURE_SETUP(exclusivity)
{
	test_begin();
	mdev_uuid(self->first, 1);
	mdev_uuid(self->second, 2);
	self->a = host.adapter[0];
	self->d = host.domain[0];
	ASSERT_EQ(0, mdev_create(self->first));
	ASSERT_EQ(0, mdev_create(self->second));
	ASSERT_EQ(0, mdev_assign(self->first, "assign_adapter", self->a));
	ASSERT_EQ(0, mdev_assign(self->first, "assign_domain", self->d));
}

static int override_driver(unsigned int a, unsigned int d, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/driver_override", a,
		 d);
	return sysfs_write(path, driver);
}

FIXTURE_TEARDOWN_PARENT(exclusivity)
{
	unsigned int i;

	test_end();
	/* Masks cannot be written while there is an override. */
	override_driver(self->a, self->d, "\n");
	for (i = 0; i < self->nr_overrides; i++)
		override_driver(host.adapter[i / 2], host.domain[i % 2], "\n");
	masks_restore();
	queues_settle();
}

#define EXPECT_MATRIX(uuid, ...)					\
	do {								\
		char _shown[4097] = "", _expected[64];			\
									\
		snprintf(_expected, sizeof(_expected), __VA_ARGS__);	\
		EXPECT_LE(0, mdev_read(uuid, "matrix", _shown,		\
				       sizeof(_shown)));		\
		EXPECT_STREQ(_expected, _shown);			\
	} while (0)

TEST_F(exclusivity, domain_last)
{
	ASSERT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
	EXPECT_EQ(-EADDRINUSE,
		  mdev_assign(self->second, "assign_domain", self->d));
	EXPECT_MATRIX(self->second, "%02x.\n", self->a);
	EXPECT_MATRIX(self->first, "%02x.%04x\n", self->a, self->d);
}

/* How many records of vfio_ap the kernel's log has had since it was opened. */
static unsigned int log_records(int log, const char *name)
{
	unsigned int n = 0;
	char record[8192];
	ssize_t size;

	/* EPIPE: some were overwritten. */
	while ((size = read(log, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (size <= 0)
			continue;
		record[size] = '\0';
		n += !!strstr(record, name);
	}
	return n;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* Who refuses a thousand times tells the log ten times in five seconds, with both names. */
TEST_F(exclusivity, refusals_do_not_fill_the_log)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unsigned int i, records;
	double start;

	ASSERT_LE(0, log);
	ASSERT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
	/* What others have said counts as well. */
	sleep(5);
	lseek(log, 0, SEEK_END);
	start = now();
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(-EADDRINUSE, mdev_assign(self->second, "assign_domain", self->d));
	records = log_records(log, self->first);
	close(log);
	EXPECT_LE(1, records);
	/* At most two intervals are cut by the beginning and the end. */
	EXPECT_GE(10 * (unsigned int)((now() - start) / 5 + 2), records);
}

C_DEFECT(exclusivity, mdevs, refusals_do_not_fill_the_log, "tells it each time");

TEST_F(exclusivity, adapter_last)
{
	ASSERT_EQ(0, mdev_assign(self->second, "assign_domain", self->d));
	EXPECT_EQ(-EADDRINUSE,
		  mdev_assign(self->second, "assign_adapter", self->a));
	EXPECT_MATRIX(self->second, ".%04x\n", self->d);
	EXPECT_MATRIX(self->first, "%02x.%04x\n", self->a, self->d);
}

TEST_F(exclusivity, ap_config)
{
	uint64_t apm[4] = {}, aqm[4] = {}, adm[4] = {};
	char masks[3][MASK_LENGTH], config[256];

	mask_set(apm, self->a, true);
	mask_set(aqm, self->d, true);
	mask_set(adm, self->d, true);
	mask_format(apm, masks[0]);
	mask_format(aqm, masks[1]);
	mask_format(adm, masks[2]);
	snprintf(config, sizeof(config), "%s,%s,%s\n", masks[0], masks[1],
		 masks[2]);
	EXPECT_EQ(-EADDRINUSE, mdev_write(self->second, "ap_config", config));
	EXPECT_MATRIX(self->second, "%s", "");
	EXPECT_MATRIX(self->first, "%02x.%04x\n", self->a, self->d);
	ASSERT_EQ(0, mdev_assign(self->first, "unassign_domain", self->d));
	EXPECT_EQ(0, mdev_write(self->second, "ap_config", config));
	EXPECT_MATRIX(self->second, "%02x.%04x\n", self->a, self->d);
}

/* The same adapter with another domain, and the other way round. */
TEST_F(exclusivity, neighbours)
{
	unsigned int i;

	if (host.nr_domains > 1) {
		EXPECT_EQ(0, mdev_assign(self->second, "assign_domain",
					 host.domain[1]));
		EXPECT_EQ(0, mdev_assign(self->second, "assign_adapter",
					 self->a));
		EXPECT_MATRIX(self->second, "%02x.%04x\n", self->a,
			      host.domain[1]);
		EXPECT_EQ(0, mdev_assign(self->second, "unassign_adapter",
					 self->a));
		EXPECT_EQ(0, mdev_assign(self->second, "unassign_domain",
					 host.domain[1]));
	}
	for (i = 1; i < host.nr_adapters; i++)
		EXPECT_EQ(0, mdev_assign(self->second, "assign_adapter",
					 host.adapter[i]));
	EXPECT_EQ(0, mdev_assign(self->second, "assign_domain", self->d));
}

/* What one gives back, the other can have. */
TEST_F(exclusivity, release_by_unassign)
{
	ASSERT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
	EXPECT_EQ(-EADDRINUSE,
		  mdev_assign(self->second, "assign_domain", self->d));
	ASSERT_EQ(0, mdev_assign(self->first, "unassign_adapter", self->a));
	EXPECT_EQ(0, mdev_assign(self->second, "assign_domain", self->d));
	EXPECT_EQ(-EADDRINUSE,
		  mdev_assign(self->first, "assign_adapter", self->a));
	EXPECT_MATRIX(self->second, "%02x.%04x\n", self->a, self->d);
}

TEST_F(exclusivity, release_by_removal)
{
	ASSERT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
	ASSERT_EQ(0, mdev_remove(self->first));
	EXPECT_EQ(0, mdev_assign(self->second, "assign_domain", self->d));
	EXPECT_MATRIX(self->second, "%02x.%04x\n", self->a, self->d);
}

/* Control domains may be everybody's. */
TEST_F(exclusivity, control_domains_are_shared)
{
	EXPECT_EQ(0, mdev_assign(self->first, "assign_control_domain",
				 self->d));
	EXPECT_EQ(0, mdev_assign(self->second, "assign_control_domain",
				 self->d));
}

static void give_to_host(struct __test_metadata *_metadata, unsigned int a,
			 unsigned int d)
{
	char text[16];

	snprintf(text, sizeof(text), "+%u", a);
	ASSERT_EQ(0, sysfs_write(AP_BUS "/apmask", text));
	snprintf(text, sizeof(text), "+%u", d);
	ASSERT_EQ(0, sysfs_write(AP_BUS "/aqmask", text));
}

/* One adapter, one usage domain, and the same control domain. */
static void config_of(char config[256], unsigned int a, unsigned int d)
{
	uint64_t apm[4] = {}, aqm[4] = {};
	char masks[2][MASK_LENGTH];

	mask_set(apm, a, true);
	mask_set(aqm, d, true);
	mask_format(apm, masks[0]);
	mask_format(aqm, masks[1]);
	snprintf(config, 256, "%s,%s,%s\n", masks[0], masks[1], masks[1]);
}

/* A queue that is reserved for the host's drivers. */
TEST_F(exclusivity, reserved_for_the_host)
{
	char driver[64] = "", config[256];

	ASSERT_EQ(0, mdev_remove(self->first));
	give_to_host(_metadata, self->a, self->d);
	ASSERT_EQ(0, queue_driver(APQN(self->a, self->d), driver,
				  sizeof(driver)));
	EXPECT_STRNE("vfio_ap", driver);

	ASSERT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
	EXPECT_EQ(-EADDRNOTAVAIL,
		  mdev_assign(self->second, "assign_domain", self->d));
	EXPECT_MATRIX(self->second, "%02x.\n", self->a);
	ASSERT_EQ(0, mdev_assign(self->second, "unassign_adapter", self->a));
	ASSERT_EQ(0, mdev_assign(self->second, "assign_domain", self->d));
	EXPECT_EQ(-EADDRNOTAVAIL,
		  mdev_assign(self->second, "assign_adapter", self->a));
	EXPECT_MATRIX(self->second, ".%04x\n", self->d);

	/* Nor by ap_config, which changes nothing then. */
	config_of(config, self->a, self->d);
	EXPECT_EQ(-EADDRNOTAVAIL,
		  mdev_write(self->second, "ap_config", config));
	EXPECT_MATRIX(self->second, ".%04x\n", self->d);

	/* And when the host gives it back, it can be had. */
	ASSERT_EQ(0, masks_restore());
	EXPECT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
	EXPECT_MATRIX(self->second, "%02x.%04x\n", self->a, self->d);
	ASSERT_EQ(0, queue_driver(APQN(self->a, self->d), driver,
				  sizeof(driver)));
	EXPECT_STREQ("vfio_ap", driver);
}

/* All queues are the host's but one, by a driver override. */
TEST_F(exclusivity, driver_override)
{
	uint16_t apqn = APQN(self->a, self->d);
	char driver[64] = "", all[MASK_LENGTH];
	uint64_t mask[4] = { ~0UL, ~0UL, ~0UL, ~0UL };

	/* An override and masks exclude each other. */
	EXPECT_EQ(-EINVAL, override_driver(self->a, self->d, "vfio_ap"));
	ASSERT_EQ(0, mdev_remove(self->first));
	mask_format(mask, all);
	ASSERT_EQ(0, sysfs_write(AP_BUS "/aqmask", all));
	ASSERT_EQ(0, sysfs_write(AP_BUS "/apmask", all));
	queues_settle();
	ASSERT_EQ(0, queue_driver(apqn, driver, sizeof(driver)));
	EXPECT_STRNE("vfio_ap", driver);

	ASSERT_EQ(0, override_driver(self->a, self->d, "vfio_ap"));
	EXPECT_EQ(-EINVAL, sysfs_write(AP_BUS "/apmask", host.test_apmask));
	/* It is the host's until it is bound anew. */
	ASSERT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
	EXPECT_EQ(-EADDRNOTAVAIL,
		  mdev_assign(self->second, "assign_domain", self->d));
	EXPECT_EQ(0, queue_unbind(apqn));
	EXPECT_EQ(0, queue_bind(apqn, "vfio_ap"));
	EXPECT_EQ(0, mdev_assign(self->second, "assign_domain", self->d));
	EXPECT_MATRIX(self->second, "%02x.%04x\n", self->a, self->d);
	/* The neighbours are the host's still. */
	if (host.nr_domains > 1)
		EXPECT_EQ(-EADDRNOTAVAIL,
			  mdev_assign(self->second, "assign_domain",
				      host.domain[1]));

	EXPECT_EQ(0, mdev_remove(self->second));
	EXPECT_EQ(0, queue_unbind(apqn));
	EXPECT_EQ(0, override_driver(self->a, self->d, "\n"));
	EXPECT_EQ(0, sysfs_write(AP_BUS "/apmask", host.test_apmask));
	EXPECT_EQ(0, sysfs_write(AP_BUS "/aqmask", host.test_aqmask));
}

/*
 * A driver override is taken back while its queue is assigned: the queue is reserved for
 * the host from then on, though vfio_ap still has it. Nothing more is assigned to that
 * device until the queue has been unassigned, because the whole matrix is checked.
 */
TEST_F(exclusivity, override_is_taken_back)
{
	static const uint64_t all[4] = { ~0UL, ~0UL, ~0UL, ~0UL };
	unsigned int a, d, i;
	char mask[MASK_LENGTH], config[256], before[256], text[4097];
	uint64_t apm[4] = {}, aqm[4] = {}, none[4] = {};
	char masks[3][MASK_LENGTH];

	if (host.nr_adapters < 2 || host.nr_domains < 2)
		test_skip(_metadata, "needs two adapters and two domains");
	a = host.adapter[1];
	d = host.domain[1];
	ASSERT_EQ(0, mdev_remove(self->first));
	mask_format(all, mask);
	ASSERT_EQ(0, sysfs_write(AP_BUS "/aqmask", mask));
	ASSERT_EQ(0, sysfs_write(AP_BUS "/apmask", mask));
	queues_settle();
	/* Two adapters and two domains are vfio_ap's. */
	self->nr_overrides = 4;
	for (i = 0; i < 4; i++) {
		uint16_t apqn = APQN(host.adapter[i / 2], host.domain[i % 2]);

		ASSERT_EQ(0, override_driver(APID(apqn), APQI(apqn), "vfio_ap"));
		ASSERT_EQ(0, queue_unbind(apqn));
		ASSERT_EQ(0, queue_bind(apqn, "vfio_ap"));
	}
	ASSERT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
	ASSERT_EQ(0, mdev_assign(self->second, "assign_domain", self->d));
	ASSERT_EQ(0, override_driver(self->a, self->d, "\n"));
	ASSERT_LT(0, mdev_read(self->second, "ap_config", before,
			       sizeof(before)));

	EXPECT_EQ(-EADDRNOTAVAIL,
		  mdev_assign(self->second, "assign_adapter", a));
	EXPECT_EQ(-EADDRNOTAVAIL, mdev_assign(self->second, "assign_domain", d));
	mask_set(apm, self->a, true);
	mask_set(apm, a, true);
	mask_set(aqm, self->d, true);
	mask_format(apm, masks[0]);
	mask_format(aqm, masks[1]);
	mask_format(none, masks[2]);
	snprintf(config, sizeof(config), "%s,%s,%s", masks[0], masks[1],
		 masks[2]);
	EXPECT_EQ(-EADDRNOTAVAIL, mdev_write(self->second, "ap_config", config));
	ASSERT_LT(0, mdev_read(self->second, "ap_config", text, sizeof(text)));
	EXPECT_STREQ(before, text);
	EXPECT_MATRIX(self->second, "%02x.%04x\n", self->a, self->d);
	/* What adds nothing is no assignment. */
	EXPECT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
	EXPECT_EQ(0, mdev_assign(self->second, "assign_control_domain", d));

	/* Another adapter instead of this one. */
	mask_set(apm, self->a, false);
	mask_format(apm, masks[0]);
	snprintf(config, sizeof(config), "%s,%s,%s", masks[0], masks[1],
		 masks[2]);
	EXPECT_EQ(0, mdev_write(self->second, "ap_config", config));
	EXPECT_MATRIX(self->second, "%02x.%04x\n", a, self->d);
	EXPECT_EQ(0, mdev_assign(self->second, "assign_domain", d));
	/* The queue is the host's, and so it stays. */
	EXPECT_EQ(-EADDRNOTAVAIL,
		  mdev_assign(self->second, "assign_adapter", self->a));
	EXPECT_EQ(0, mdev_assign(self->second, "unassign_domain", self->d));
	EXPECT_EQ(0, mdev_assign(self->second, "assign_adapter", self->a));
}

/* The host cannot take what is assigned; and can, when it is not any more. */
TEST_F(exclusivity, host_is_refused)
{
	const char *mask = AP_BUS "/apmask";
	char text[16], before[MASK_LENGTH], after[MASK_LENGTH];
	uint64_t aqmask[4];

	ASSERT_EQ(0, mask_parse(host.test_aqmask, aqmask));
	snprintf(text, sizeof(text), "+%u", self->a);
	if (!mask_test(aqmask, self->d)) {
		/* It is the other mask that keeps the queue from the host. */
		ASSERT_EQ(0, sysfs_write(mask, text));
		mask = AP_BUS "/aqmask";
		snprintf(text, sizeof(text), "+%u", self->d);
	}
	sysfs_read(mask, before, sizeof(before));
	EXPECT_EQ(-EBUSY, sysfs_write(mask, text));
	sysfs_read(mask, after, sizeof(after));
	EXPECT_STREQ(before, after);
	EXPECT_MATRIX(self->first, "%02x.%04x\n", self->a, self->d);

	ASSERT_EQ(0, mdev_assign(self->first, "unassign_domain", self->d));
	EXPECT_EQ(0, sysfs_write(mask, text));
}
