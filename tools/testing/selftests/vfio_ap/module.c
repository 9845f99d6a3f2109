// SPDX-License-Identifier: GPL-2.0
/*
 * The module comes and goes, as often as one likes, and takes with it what it
 * brought.
 */
#include "lib/test.h"

FIXTURE(module)
{
	char uuid[UUID_LENGTH];
};

FIXTURE_SETUP(module)
{
	test_begin();
	mdev_uuid(self->uuid, 1);
	if (!module_can_reload())
		test_skip(_metadata, "no module file to load vfio_ap from again");
	if (module_references())
		test_skip(_metadata, "vfio_ap is in use");
}

FIXTURE_TEARDOWN_PARENT(module)
{
	if (!path_exists(MODULE))
		module_load();
	queues_settle();
	test_end();
}

static const char * const paths[] = {
	MODULE,
	MATRIX,
	MDEV_TYPE,
	"/sys/devices/vfio_ap",
	"/sys/bus/matrix",
	"/sys/bus/matrix/drivers/vfio_ap",
	AP_BUS "/drivers/vfio_ap",
	"/sys/bus/mdev/drivers/vfio_ap_mdev",
	"/sys/kernel/debug/s390dbf/vfio_ap",
};

/* Loading makes everything, unloading removes everything. */
TEST_F(module, load_and_unload)
{
	unsigned int i, n;
	bool debugfs = path_exists("/sys/kernel/debug/s390dbf");

	for (n = 0; n < 5; n++) {
		for (i = 0; i < ARRAY_SIZE(paths); i++) {
			if (strstr(paths[i], "debug") && !debugfs)
				continue;
			EXPECT_TRUE(path_exists(paths[i]))
				TH_LOG("%s", paths[i]);
		}
		ASSERT_EQ(0, module_unload());
		for (i = 0; i < ARRAY_SIZE(paths); i++) {
			EXPECT_FALSE(path_exists(paths[i]))
				TH_LOG("%s", paths[i]);
		}
		ASSERT_EQ(0, module_load());
	}
}

/* Without vfio_ap the queues have no driver, and then they have it again. */
TEST_F(module, queues)
{
	char driver[64];
	unsigned int a, d;

	ASSERT_EQ(0, module_unload());
	for (a = 0; a < host.nr_adapters; a++) {
		for (d = 0; d < host.nr_domains; d++) {
			ASSERT_EQ(0, queue_driver(APQN(host.adapter[a],
						       host.domain[d]),
						  driver, sizeof(driver)));
			EXPECT_STREQ("", driver);
		}
	}
	ASSERT_EQ(0, module_load());
	for (a = 0; a < host.nr_adapters; a++) {
		for (d = 0; d < host.nr_domains; d++) {
			ASSERT_EQ(0, queue_driver(APQN(host.adapter[a],
						       host.domain[d]),
						  driver, sizeof(driver)));
			EXPECT_STREQ("vfio_ap", driver);
		}
	}
}

/* It is there once. */
TEST_F(module, load_twice)
{
	const char *file = getenv("VFIO_AP_MODULE");

	if (!file || !*file)
		test_skip(_metadata, "modprobe does not load twice");
	EXPECT_EQ(-EEXIST, module_load());
	EXPECT_TRUE(path_exists(MATRIX));
}

/* A mediated device that nobody uses goes with the module. */
TEST_F(module, takes_its_mdevs)
{
	char path[128];

	ASSERT_EQ(0, mdev_create(self->uuid));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", host.domain[0]));
	snprintf(path, sizeof(path), MDEV_DEVICES "/%s", self->uuid);
	EXPECT_TRUE(path_exists(path));
	ASSERT_EQ(0, module_unload());
	EXPECT_FALSE(path_exists(path));
	ASSERT_EQ(0, module_load());
	EXPECT_FALSE(path_exists(path));
	/* The queue is nobody's again. */
	ASSERT_EQ(0, mdev_create(self->uuid));
	EXPECT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]));
	EXPECT_EQ(0, mdev_assign(self->uuid, "assign_domain", host.domain[0]));
}

/* Many mediated devices, and none of them left. */
TEST_F(module, many_mdevs)
{
	char uuid[UUID_LENGTH], before[32], after[32];
	unsigned int i;

	ASSERT_LT(0, sysfs_read(MDEV_TYPE "/available_instances", before,
				sizeof(before)));
	for (i = 0; i < 20; i++) {
		mdev_uuid(uuid, 100 + i);
		ASSERT_EQ(0, mdev_create(uuid));
	}
	for (i = 0; i < 20; i++) {
		mdev_uuid(uuid, 100 + i);
		ASSERT_EQ(0, mdev_remove(uuid));
	}
	ASSERT_LT(0, sysfs_read(MDEV_TYPE "/available_instances", after,
				sizeof(after)));
	EXPECT_STREQ(before, after);
	EXPECT_EQ(0, module_references());
	ASSERT_EQ(0, module_unload());
}
