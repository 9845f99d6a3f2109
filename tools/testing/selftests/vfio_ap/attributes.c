// SPDX-License-Identifier: GPL-2.0
/*
 * Every attribute of the matrix device and of a mediated device: what it shows,
 * what it takes, and what it refuses with which errno.
 */
#include "lib/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static const char * const assign_attributes[] = {
	"assign_adapter", "unassign_adapter",
	"assign_domain", "unassign_domain",
	"assign_control_domain", "unassign_control_domain",
};

static const char * const shown_attributes[] = {
	"matrix", "guest_matrix", "control_domains",
};

/* What an mdev shows, in one string. */
static void snapshot(struct __test_metadata *_metadata, const char *uuid,
		     char text[8192])
{
	unsigned int i;

	text[0] = 0;
	for (i = 0; i < ARRAY_SIZE(shown_attributes); i++)
		ASSERT_LE(0, mdev_read(uuid, shown_attributes[i],
				       text + strlen(text), 2048));
	/* Three masks at least. */
	ASSERT_LT(3 * 66, mdev_read(uuid, "ap_config", text + strlen(text),
				    2048));
	/* A line of its own is not for what is in a diagnostic line. */
	for (; *text; text++)
		if (*text == '\n')
			*text = ' ';
}

#define EXPECT_SHOWS(text, attribute)					\
	do {								\
		const char *_attribute = attribute;			\
		char _shown[4097] = "";					\
									\
		EXPECT_LE(0, mdev_read(self->uuid, _attribute, _shown,	\
				       sizeof(_shown)));		\
		EXPECT_STREQ(text, _shown)				\
			TH_LOG("%s", _attribute);			\
	} while (0)

FIXTURE(matrix_device)
{
};

FIXTURE_SETUP(matrix_device)
{
	test_begin();
}

FIXTURE_TEARDOWN_PARENT(matrix_device)
{
	test_end();
}

/* The names that mdevctl, libvirt and s390-tools look for. */
TEST_F(matrix_device, names)
{
	char text[256];

	EXPECT_TRUE(path_exists(MATRIX));
	EXPECT_TRUE(path_exists("/sys/bus/matrix/devices/matrix"));
	EXPECT_TRUE(path_exists("/sys/bus/matrix/drivers/vfio_ap"));
	EXPECT_TRUE(path_exists(AP_BUS "/drivers/vfio_ap"));
	EXPECT_TRUE(path_exists("/sys/class/mdev_bus/matrix"));
	EXPECT_LT(0, sysfs_read(MDEV_TYPE "/device_api", text, sizeof(text)));
	EXPECT_STREQ("vfio-ap\n", text);
	EXPECT_LT(0, sysfs_read(MDEV_TYPE "/name", text, sizeof(text)));
	EXPECT_STREQ("VFIO AP Passthrough Device\n", text);
	EXPECT_LT(0, sysfs_read(MATRIX "/features", text, sizeof(text)));
	EXPECT_STREQ(host.driver_is_c ? "guest_matrix hotplug ap_config\n" :
		     "guest_matrix hotplug ap_config migratable\n", text);
}

/* A device takes one of the instances, and gives it back. */
TEST_F(matrix_device, available_instances)
{
	char before[32], after[32], uuid[UUID_LENGTH];

	mdev_uuid(uuid, 1);
	ASSERT_LT(0, sysfs_read(MDEV_TYPE "/available_instances", before,
				sizeof(before)));
	ASSERT_EQ(0, mdev_create(uuid));
	ASSERT_LT(0, sysfs_read(MDEV_TYPE "/available_instances", after,
				sizeof(after)));
	EXPECT_EQ(strtol(before, NULL, 10) - 1, strtol(after, NULL, 10));
	EXPECT_EQ(0, mdev_remove(uuid));
	ASSERT_LT(0, sysfs_read(MDEV_TYPE "/available_instances", after,
				sizeof(after)));
	EXPECT_STREQ(before, after);
}

/* One for each queue that there can be. */
TEST_F(matrix_device, instances)
{
	char text[32], uuid[UUID_LENGTH];
	unsigned long count;
	struct dirent *entry;
	DIR *devices;

	mdev_uuid(uuid, 1);
	ASSERT_EQ(0, mdev_create(uuid));
	ASSERT_LT(0, sysfs_read(MDEV_TYPE "/available_instances", text,
				sizeof(text)));
	count = strtoul(text, NULL, 10);
	devices = opendir(MDEV_TYPE "/devices");
	ASSERT_NE(NULL, devices);
	while ((entry = readdir(devices)))
		count += entry->d_name[0] != '.';
	closedir(devices);
	EXPECT_EQ(65536, count);
}

/* The matrix device has one driver, for good. */
TEST_F(matrix_device, stays_bound)
{
	EXPECT_TRUE(path_exists("/sys/bus/matrix/drivers/vfio_ap/matrix"));
	EXPECT_FALSE(path_exists("/sys/bus/matrix/drivers/vfio_ap/bind"));
	EXPECT_FALSE(path_exists("/sys/bus/matrix/drivers/vfio_ap/unbind"));
}

TEST_F(matrix_device, create_refuses)
{
	char uuid[UUID_LENGTH];

	mdev_uuid(uuid, 1);
	EXPECT_EQ(-EINVAL, mdev_create("garbage"));
	EXPECT_EQ(-EINVAL, mdev_create("\n"));
	ASSERT_EQ(0, mdev_create(uuid));
	EXPECT_EQ(-EEXIST, mdev_create(uuid));
}

/* What the documentation says can be read only, or written only. */
TEST_F(matrix_device, modes)
{
	char uuid[UUID_LENGTH], path[256];
	struct stat st;
	unsigned int i;

	mdev_uuid(uuid, 1);
	ASSERT_EQ(0, mdev_create(uuid));
	for (i = 0; i < ARRAY_SIZE(assign_attributes); i++) {
		snprintf(path, sizeof(path), MDEV_DEVICES "/%s/%s", uuid,
			 assign_attributes[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(0200, st.st_mode & 0777)
			TH_LOG("%s", path);
	}
	for (i = 0; i < ARRAY_SIZE(shown_attributes); i++) {
		snprintf(path, sizeof(path), MDEV_DEVICES "/%s/%s", uuid,
			 shown_attributes[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(0444, st.st_mode & 0777)
			TH_LOG("%s", path);
	}
	snprintf(path, sizeof(path), MDEV_DEVICES "/%s/ap_config", uuid);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(0644, st.st_mode & 0777);
	ASSERT_EQ(0, stat(MATRIX "/features", &st));
	EXPECT_EQ(0444, st.st_mode & 0777);
}

FIXTURE(attributes)
{
	char uuid[UUID_LENGTH];
};

FIXTURE_VARIANT(attributes)
{
	int unused;
};

FIXTURE_VARIANT_ADD(attributes, mdev)
{
};

FIXTURE_SETUP(attributes)
{
	test_begin();
	mdev_uuid(self->uuid, 1);
	ASSERT_EQ(0, mdev_create(self->uuid));
}

FIXTURE_TEARDOWN_PARENT(attributes)
{
	test_end();
}

TEST_F(attributes, new_mdev_is_empty)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(shown_attributes); i++)
		EXPECT_SHOWS("", shown_attributes[i]);
}

/* The formats of matrix: adapters alone, domains alone, both. */
TEST_F(attributes, matrix_format)
{
	unsigned int a = host.adapter[0], d = host.domain[0];
	char text[64];

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", a));
	snprintf(text, sizeof(text), "%02x.\n", a);
	EXPECT_SHOWS(text, "matrix");
	/* There is no domain that could keep the adapter from a guest. */
	EXPECT_SHOWS(text, "guest_matrix");

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", d));
	snprintf(text, sizeof(text), "%02x.%04x\n", a, d);
	EXPECT_SHOWS(text, "matrix");
	EXPECT_SHOWS(text, "guest_matrix");

	ASSERT_EQ(0, mdev_assign(self->uuid, "unassign_adapter", a));
	snprintf(text, sizeof(text), ".%04x\n", d);
	EXPECT_SHOWS(text, "matrix");
	EXPECT_SHOWS(text, "guest_matrix");

	ASSERT_EQ(0, mdev_assign(self->uuid, "unassign_domain", d));
	EXPECT_SHOWS("", "matrix");
	EXPECT_SHOWS("", "guest_matrix");
}

/* All adapters and domains that vfio_ap has: the cross product, in order. */
TEST_F(attributes, matrix_is_the_cross_product)
{
	char expected[4096] = "";
	unsigned int i, j;

	if (host.nr_adapters * host.nr_domains > 500)
		test_skip(_metadata, "more queues than a page has room for");
	for (i = host.nr_adapters; i-- > 0;)
		ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
					 host.adapter[i]));
	for (i = host.nr_domains; i-- > 0;)
		ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain",
					 host.domain[i]));
	for (i = 0; i < host.nr_adapters; i++)
		for (j = 0; j < host.nr_domains; j++)
			sprintf(expected + strlen(expected), "%02x.%04x\n",
				host.adapter[i], host.domain[j]);
	EXPECT_SHOWS(expected, "matrix");
	EXPECT_SHOWS(expected, "guest_matrix");
}

/* Adapters and domains that the host does not have: assigned, but no guest's. */
TEST_F(attributes, absent_devices_are_for_later)
{
	char text[64], path[128];
	int a = host_free_adapter();
	unsigned int d;

	for (d = 0; d <= host.max_domain; d++) {
		snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x",
			 host.adapter[0], d);
		if (!path_exists(path))
			break;
	}
	if (a < 0 || d > host.max_domain)
		test_skip(_metadata, "the host has every adapter or domain");
	/* Reserved for the host's drivers, were they there? */
	if (!host_gives_all_adapters())
		test_skip(_metadata, "not all adapters are vfio_ap's");

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", a));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", d));
	snprintf(text, sizeof(text), "%02x.%04x\n", a, d);
	EXPECT_SHOWS(text, "matrix");
	EXPECT_SHOWS("", "guest_matrix");

	/* What is there is the guest's all the same. */
	ASSERT_EQ(0, mdev_assign(self->uuid, "unassign_adapter", a));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", host.domain[0]));
	snprintf(text, sizeof(text), "%02x.%04x\n", host.adapter[0],
		 host.domain[0]);
	EXPECT_SHOWS(text, "guest_matrix");
}

TEST_F(attributes, control_domains)
{
	unsigned int last = host.max_domain;
	char text[64];

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_control_domain", last));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_control_domain", 0));
	/* Twice is not an error. */
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_control_domain", 0));
	snprintf(text, sizeof(text), "0000\n%04x\n", last);
	EXPECT_SHOWS(text, "control_domains");
	EXPECT_SHOWS("", "matrix");
	ASSERT_EQ(0, mdev_assign(self->uuid, "unassign_control_domain", last));
	EXPECT_SHOWS("0000\n", "control_domains");
	ASSERT_EQ(0, mdev_assign(self->uuid, "unassign_control_domain", last));
	ASSERT_EQ(0, mdev_assign(self->uuid, "unassign_control_domain", 0));
	EXPECT_SHOWS("", "control_domains");
}

/* Decimal, hexadecimal and octal numbers, with or without newline. */
TEST_F(attributes, number_formats)
{
	static const char * const formats[] = {
		"%u", "%u\n", "0x%x", "0X%X\n", "0%o", "0%o\n", "+%u",
		"000000%o", "0x0000000000000000000000000000%x",
	};
	unsigned int i, n = host.max_domain >= 10 ? 10 : 1;
	char number[64], text[16];

	snprintf(text, sizeof(text), "%04x\n", n);
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		snprintf(number, sizeof(number), formats[i], n);
		EXPECT_EQ(0, mdev_write(self->uuid, "assign_control_domain",
					number))
			TH_LOG("'%s'", number);
		EXPECT_SHOWS(text, "control_domains");
		EXPECT_EQ(0, mdev_write(self->uuid, "unassign_control_domain",
					number))
			TH_LOG("'%s'", number);
		EXPECT_SHOWS("", "control_domains");
	}
}

static const struct bad_number {
	const char *text;
	int error;
} bad_numbers[] = {
	{ "\n", -EINVAL },
	{ " ", -EINVAL },
	{ "x", -EINVAL },
	{ "garbage", -EINVAL },
	{ "-1", -EINVAL },
	{ "-0", -EINVAL },
	{ "+", -EINVAL },
	{ "+-1", -EINVAL },
	{ "++1", -EINVAL },
	{ "0x", -EINVAL },
	{ "0x\n", -EINVAL },
	{ "0xg", -EINVAL },
	{ "08", -EINVAL },
	{ " 1", -EINVAL },
	{ "1 ", -EINVAL },
	{ "1 2", -EINVAL },
	{ "1,2", -EINVAL },
	{ "1\n\n", -EINVAL },
	{ "\n1", -EINVAL },
	{ "1.5", -EINVAL },
	{ "1e1", -EINVAL },
	{ "a", -EINVAL },
	{ "0b1", -EINVAL },
	{ "256", -ENODEV },
	{ "0x100", -ENODEV },
	{ "0400", -ENODEV },
	{ "65536", -ENODEV },
	{ "4294967296", -ENODEV },
	{ "4294967297", -ENODEV },
	{ "18446744073709551615", -ENODEV },
	{ "0xffffffffffffffff", -ENODEV },
	/* Beyond an unsigned long, as kstrtoul() has it. */
	{ "18446744073709551616", -ERANGE },
	{ "0x10000000000000000", -ERANGE },
	{ "99999999999999999999999999", -ERANGE },
};

/* Whatever is refused changes nothing. */
TEST_F(attributes, bad_numbers)
{
	char before[8192], after[8192], text[64];
	unsigned int i, j;

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", host.domain[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_control_domain", 1));
	snapshot(_metadata, self->uuid, before);
	snprintf(text, sizeof(text), "%02x.%04x %02x.%04x 0001 0x",
		 host.adapter[0], host.domain[0], host.adapter[0],
		 host.domain[0]);
	ASSERT_EQ(0, strncmp(before, text, strlen(text)))
		TH_LOG("%.100s", before);
	for (i = 0; i < ARRAY_SIZE(assign_attributes); i++) {
		for (j = 0; j < ARRAY_SIZE(bad_numbers); j++) {
			EXPECT_EQ(bad_numbers[j].error,
				  mdev_write(self->uuid, assign_attributes[i],
					     bad_numbers[j].text))
				TH_LOG("'%s' to %s", bad_numbers[j].text,
				       assign_attributes[i]);
		}
	}
	snapshot(_metadata, self->uuid, after);
	EXPECT_STREQ(before, after);
}

/* One more than the host's maximum. */
TEST_F(attributes, beyond_the_maximum)
{
	unsigned int adapter = host.max_adapter + 1;
	unsigned int domain = host.max_domain + 1;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(assign_attributes); i++) {
		EXPECT_EQ(-ENODEV,
			  mdev_assign(self->uuid, assign_attributes[i],
				      strstr(assign_attributes[i], "adapter") ?
				      adapter : domain))
			TH_LOG("%s", assign_attributes[i]);
	}
}

/* A page of text, and the empty text. */
TEST_F(attributes, long_and_empty_texts)
{
	static char text[5000];
	unsigned int i;
	char path[256];

	for (i = 0; i < ARRAY_SIZE(assign_attributes); i++) {
		snprintf(path, sizeof(path), MDEV_DEVICES "/%s/%s", self->uuid,
			 assign_attributes[i]);
		memset(text, '1', sizeof(text));
		EXPECT_EQ(-ERANGE, sysfs_write_bytes(path, text, 4095))
			TH_LOG("%s", assign_attributes[i]);
		memset(text, 'x', sizeof(text));
		EXPECT_EQ(-EINVAL, sysfs_write_bytes(path, text, sizeof(text)))
			TH_LOG("%s", assign_attributes[i]);
		EXPECT_EQ(0, sysfs_write_bytes(path, "", 0))
			TH_LOG("%s", assign_attributes[i]);
	}
	for (i = 0; i < ARRAY_SIZE(shown_attributes); i++)
		EXPECT_SHOWS("", shown_attributes[i]);
}

/* Assigning twice, or unassigning what is not assigned, is no error. */
TEST_F(attributes, idempotent)
{
	unsigned int a = host.adapter[0], d = host.domain[0];
	char text[64];
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, mdev_assign(self->uuid, "assign_adapter", a));
		EXPECT_EQ(0, mdev_assign(self->uuid, "assign_domain", d));
	}
	snprintf(text, sizeof(text), "%02x.%04x\n", a, d);
	EXPECT_SHOWS(text, "matrix");
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, mdev_assign(self->uuid, "unassign_adapter", a));
		EXPECT_EQ(0, mdev_assign(self->uuid, "unassign_domain", d));
	}
	EXPECT_SHOWS("", "matrix");
}

static void config_text(char text[256], const uint64_t apm[4],
			const uint64_t aqm[4], const uint64_t adm[4])
{
	char masks[3][MASK_LENGTH];

	mask_format(apm, masks[0]);
	mask_format(aqm, masks[1]);
	mask_format(adm, masks[2]);
	snprintf(text, 256, "%s,%s,%s\n", masks[0], masks[1], masks[2]);
}

/* ap_config shows what the other attributes assigned, and the other way round. */
TEST_F(attributes, ap_config_agrees)
{
	uint64_t apm[4] = {}, aqm[4] = {}, adm[4] = {}, none[4] = {};
	char config[256], text[64];

	config_text(config, none, none, none);
	EXPECT_SHOWS(config, "ap_config");
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", host.domain[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_control_domain", 1));
	mask_set(apm, host.adapter[0], true);
	mask_set(aqm, host.domain[0], true);
	mask_set(adm, 1, true);
	config_text(config, apm, aqm, adm);
	EXPECT_SHOWS(config, "ap_config");

	mask_set(adm, 0, true);
	mask_set(adm, 1, false);
	config_text(config, apm, none, adm);
	ASSERT_EQ(0, mdev_write(self->uuid, "ap_config", config));
	EXPECT_SHOWS(config, "ap_config");
	EXPECT_SHOWS("0000\n", "control_domains");
	snprintf(text, sizeof(text), "%02x.\n", host.adapter[0]);
	EXPECT_SHOWS(text, "matrix");

	config_text(config, none, none, none);
	ASSERT_EQ(0, mdev_write(self->uuid, "ap_config", config));
	EXPECT_SHOWS("", "matrix");
	EXPECT_SHOWS("", "control_domains");
}

#define ZERO64	"0x0000000000000000000000000000000000000000000000000000000000000000"

/* A refused ap_config changes nothing. */
TEST_F(attributes, ap_config_refuses)
{
	static const char * const bad[] = {
		"\n", "garbage", ZERO64, ZERO64 "," ZERO64,
		ZERO64 " " ZERO64 " " ZERO64,
		"-1,-1,-1", "+1,+1,+1",
		/* Without prefix, too long a mask. */
		"00,00,0g", ZERO64 "0," ZERO64 "," ZERO64,
	};
	char before[8192], after[8192];
	unsigned int i;

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_control_domain", 1));
	snapshot(_metadata, self->uuid, before);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, mdev_write(self->uuid, "ap_config", bad[i]))
			TH_LOG("'%s'", bad[i]);
	}
	snapshot(_metadata, self->uuid, after);
	EXPECT_STREQ(before, after);
}

/* Neither an empty mask nor text behind the third is one of its formats. */
TEST_F(attributes, ap_config_malformed)
{
	static const char * const bad[] = {
		ZERO64 "," ZERO64 "," ZERO64 "," ZERO64,
		ZERO64 "," ZERO64 "," ZERO64 ",",
		ZERO64 "," ZERO64 "," ZERO64 "\ngarbage",
		ZERO64 "\n" ZERO64 "\n" ZERO64,
		ZERO64 "," ZERO64 ",", "," ZERO64 "," ZERO64, ",,",
		ZERO64 "," ZERO64 ",x", ZERO64 "," ZERO64 ",0x",
	};
	char before[8192], after[8192];
	unsigned int i;

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_control_domain", 1));
	snapshot(_metadata, self->uuid, before);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, mdev_write(self->uuid, "ap_config", bad[i]))
			TH_LOG("'%s'", bad[i]);
	}
	snapshot(_metadata, self->uuid, after);
	EXPECT_STREQ(before, after);
}

C_DEFECT(attributes, mdev, ap_config_malformed, "takes malformed text");

/* More than a page has room for: cut at the end of a line. */
TEST_F(attributes, matrix_ends_with_a_whole_line)
{
	uint64_t apm[4] = {}, aqm[4] = {}, none[4] = {};
	static char expected[0x41 * 0x11 * 8 + 1], shown[8192];
	char masks[3][MASK_LENGTH], config[256];
	unsigned int a, d;
	int length;

	if (!host_gives_all_adapters())
		test_skip(_metadata, "not all adapters are vfio_ap's");
	if (host.max_adapter < 0x40 || host.max_domain < 0x10)
		test_skip(_metadata, "the host cannot have so many");
	for (a = 0; a <= 0x40; a++) {
		mask_set(apm, a, true);
		for (d = 0; d <= 0x10; d++) {
			mask_set(aqm, d, true);
			sprintf(expected + strlen(expected), "%02x.%04x\n", a,
				d);
		}
	}
	mask_format(apm, masks[0]);
	mask_format(aqm, masks[1]);
	mask_format(none, masks[2]);
	snprintf(config, sizeof(config), "%s,%s,%s", masks[0], masks[1],
		 masks[2]);
	ASSERT_EQ(0, mdev_write(self->uuid, "ap_config", config));
	length = mdev_read(self->uuid, "matrix", shown, sizeof(shown));
	/* All lines that there is room for, and nothing else. */
	ASSERT_LE(4096 - 2 * 8, length);
	ASSERT_GE(4096, length);
	EXPECT_EQ('\n', shown[length - 1]);
	EXPECT_EQ(0, strncmp(expected, shown, length));
}

C_DEFECT(attributes, mdev, matrix_ends_with_a_whole_line,
	 "cuts the last line of a page");

/* A bit beyond the maximum is refused, and with it the rest. */
TEST_F(attributes, ap_config_beyond_the_maximum)
{
	uint64_t good[4] = {}, bad[4] = {}, none[4] = {};
	char config[256], before[8192], after[8192];

	if (host.max_domain == 255)
		test_skip(_metadata, "no domain is beyond the maximum");
	mask_set(good, host.max_domain, true);
	mask_set(bad, host.max_domain + 1, true);
	snapshot(_metadata, self->uuid, before);
	config_text(config, none, none, bad);
	EXPECT_EQ(-ENODEV, mdev_write(self->uuid, "ap_config", config));
	config_text(config, none, bad, good);
	EXPECT_EQ(-ENODEV, mdev_write(self->uuid, "ap_config", config));
	snapshot(_metadata, self->uuid, after);
	EXPECT_STREQ(before, after);
	config_text(config, none, none, good);
	EXPECT_EQ(0, mdev_write(self->uuid, "ap_config", config));
}

/* A queue's status: unassigned, assigned. "in use" is with the guests. */
TEST_F(attributes, queue_status)
{
	uint16_t apqn = APQN(host.adapter[0], host.domain[0]);
	char text[64];

	EXPECT_LT(0, queue_status(apqn, text, sizeof(text)));
	EXPECT_STREQ("unassigned", text);
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]));
	EXPECT_LT(0, queue_status(apqn, text, sizeof(text)));
	EXPECT_STREQ("unassigned", text);
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", host.domain[0]));
	EXPECT_LT(0, queue_status(apqn, text, sizeof(text)));
	EXPECT_STREQ("assigned", text);
	ASSERT_EQ(0, mdev_remove(self->uuid));
	EXPECT_LT(0, queue_status(apqn, text, sizeof(text)));
	EXPECT_STREQ("unassigned", text);
}

/* An attribute held open while its device goes away. */
TEST_F(attributes, held_open_over_removal)
{
	char path[256], text[16];
	int in, out;

	snprintf(path, sizeof(path), MDEV_DEVICES "/%s/matrix", self->uuid);
	in = open(path, O_RDONLY);
	ASSERT_LE(0, in);
	snprintf(path, sizeof(path), MDEV_DEVICES "/%s/assign_adapter",
		 self->uuid);
	out = open(path, O_WRONLY);
	ASSERT_LE(0, out);
	ASSERT_EQ(0, mdev_remove(self->uuid));
	EXPECT_EQ(-1, read(in, text, sizeof(text)));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, write(out, "1", 1));
	EXPECT_EQ(ENODEV, errno);
	close(in);
	close(out);
}
