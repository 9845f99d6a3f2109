// SPDX-License-Identifier: GPL-2.0
/*
 * Whoever polls guest_matrix, or listens to the events of a mediated device, is
 * told when the guest's matrix has changed, and only then.
 */
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include "lib/test.h"

/* Long enough for what is on its way to arrive. */
#define NOTHING_MS	300

FIXTURE(notify)
{
	char uuid[UUID_LENGTH];
	int attribute;
	int events;
};

FIXTURE_VARIANT(notify)
{
	int unused;
};

FIXTURE_VARIANT_ADD(notify, mdev)
{
};

static int open_events(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd, size = 1 << 20;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	return fd;
}

FIXTURE_SETUP(notify)
{
	char path[256];

	test_begin();
	mdev_uuid(self->uuid, 1);
	ASSERT_EQ(0, mdev_create(self->uuid));
	snprintf(path, sizeof(path), MDEV_DEVICES "/%s/guest_matrix",
		 self->uuid);
	self->attribute = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->attribute);
	self->events = open_events();
	ASSERT_LE(0, self->events);
}

FIXTURE_TEARDOWN_PARENT(notify)
{
	test_end();
}

/* What it shows; reading it is also what a later poll compares with. */
static void read_attribute(int fd, char text[4097])
{
	ssize_t length = pread(fd, text, 4096, 0);

	text[length > 0 ? length : 0] = 0;
}

static bool wakes(int fd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLPRI };

	return poll(&pollfd, 1, timeout_ms) == 1 &&
	       pollfd.revents & POLLPRI;
}

/* The value of a variable of an event, or NULL. */
static const char *variable(const char *event, ssize_t length, const char *name)
{
	const char *text;

	for (text = event; text < event + length; text += strlen(text) + 1)
		if (!strncmp(text, name, strlen(name)) &&
		    text[strlen(name)] == '=')
			return text + strlen(name) + 1;
	return NULL;
}

/* The next event of the device's guest; config gets what it tells. */
static bool next_event(const char *uuid, int fd, char config[256],
		       int timeout_ms)
{
	static char event[8192];
	const char *value;
	ssize_t length;

	for (;;) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };

		if (poll(&pollfd, 1, timeout_ms) != 1)
			return false;
		length = recv(fd, event, sizeof(event) - 1, 0);
		if (length <= 0)
			return false;
		event[length] = 0;
		value = variable(event, length, "DEVPATH");
		if (!value || !strstr(value, uuid))
			continue;
		value = variable(event, length, "ACTION");
		if (!value || strcmp(value, "change"))
			continue;
		value = variable(event, length, "GUEST_MATRIX_CHANGED");
		if (!value || strcmp(value, "1"))
			continue;
		value = variable(event, length, "GUEST_AP_CONFIG");
		snprintf(config, 256, "%s", value ? value : "");
		return true;
	}
}

/*
 * A change may cause several events; the last one describes the result. So one of them
 * is as expected, however late it comes, and none that follows is different: config
 * gets what the last one says.
 */
static bool last_event(const char *uuid, int fd, const char *expected,
		       char config[256])
{
	do {
		if (!next_event(uuid, fd, config, hang_ms))
			return false;
	} while (strcmp(expected, config));
	while (next_event(uuid, fd, config, NOTHING_MS))
		;
	return true;
}

static void config_text(char text[256], int apid, int apqi, int domain)
{
	uint64_t mask[3][4] = {};
	char masks[3][MASK_LENGTH];
	unsigned int i;

	if (apid >= 0)
		mask_set(mask[0], apid, true);
	if (apqi >= 0)
		mask_set(mask[1], apqi, true);
	if (domain >= 0)
		mask_set(mask[2], domain, true);
	for (i = 0; i < 3; i++)
		mask_format(mask[i], masks[i]);
	snprintf(text, 256, "%s,%s,%s", masks[0], masks[1], masks[2]);
}

TEST_F(notify, poll_wakes)
{
	unsigned int a = host.adapter[0], d = host.domain[0];
	char text[4097], expected[64];

	read_attribute(self->attribute, text);
	EXPECT_FALSE(wakes(self->attribute, 0));

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", a));
	ASSERT_TRUE(wakes(self->attribute, hang_ms));
	read_attribute(self->attribute, text);
	snprintf(expected, sizeof(expected), "%02x.\n", a);
	EXPECT_STREQ(expected, text);
	EXPECT_FALSE(wakes(self->attribute, NOTHING_MS));

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", d));
	ASSERT_TRUE(wakes(self->attribute, hang_ms));
	read_attribute(self->attribute, text);
	snprintf(expected, sizeof(expected), "%02x.%04x\n", a, d);
	EXPECT_STREQ(expected, text);

	ASSERT_EQ(0, mdev_assign(self->uuid, "unassign_adapter", a));
	EXPECT_TRUE(wakes(self->attribute, hang_ms));
}

C_DEFECT(notify, mdev, poll_wakes, "guest_matrix cannot be polled");

TEST_F(notify, event)
{
	unsigned int a = host.adapter[0], d = host.domain[0];
	char config[256], expected[256];

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", a));
	config_text(expected, a, -1, -1);
	ASSERT_TRUE(last_event(self->uuid, self->events, expected, config));
	EXPECT_STREQ(expected, config);

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", d));
	config_text(expected, a, d, -1);
	ASSERT_TRUE(last_event(self->uuid, self->events, expected, config));
	EXPECT_STREQ(expected, config);

	ASSERT_EQ(0, mdev_assign(self->uuid, "unassign_domain", d));
	config_text(expected, a, -1, -1);
	ASSERT_TRUE(last_event(self->uuid, self->events, expected, config));
	EXPECT_STREQ(expected, config);
}

C_DEFECT(notify, mdev, event, "there is no event for it");

/* A control domain is the guest's, but not in guest_matrix. */
TEST_F(notify, control_domain)
{
	char config[256], expected[256], text[4097];
	unsigned int d = host.domain[0];

	read_attribute(self->attribute, text);
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_control_domain", d));
	config_text(expected, -1, -1, d);
	ASSERT_TRUE(last_event(self->uuid, self->events, expected, config));
	EXPECT_STREQ(expected, config);
	EXPECT_FALSE(wakes(self->attribute, 0));
}

C_DEFECT(notify, mdev, control_domain, "there is no event for it");

/* What changes nothing for the guest is not told. */
TEST_F(notify, only_real_changes)
{
	unsigned int a = host.adapter[0], d = host.domain[0];
	char text[4097], config[256], expected[256];

	NOT_ON_C("events, and guest_matrix cannot be polled");
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", a));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", d));
	config_text(expected, a, d, -1);
	ASSERT_TRUE(last_event(self->uuid, self->events, expected, config));
	read_attribute(self->attribute, text);

	/* What is there already, and what is refused. */
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", a));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", d));
	EXPECT_EQ(-EINVAL, mdev_write(self->uuid, "ap_config", "garbage"));
	EXPECT_EQ(-ENODEV, mdev_assign(self->uuid, "assign_domain",
				       host.max_domain + 1));
	EXPECT_EQ(0, bus_rescan());
	EXPECT_FALSE(wakes(self->attribute, NOTHING_MS));

	/* The next event is that of the next real change. */
	ASSERT_EQ(0, mdev_assign(self->uuid, "unassign_domain", d));
	config_text(expected, a, -1, -1);
	ASSERT_TRUE(next_event(self->uuid, self->events, config, hang_ms));
	EXPECT_STREQ(expected, config);
	EXPECT_TRUE(wakes(self->attribute, hang_ms));
}

/* What hardware, or somebody else, takes from the guest is told as well. */
TEST_F(notify, queue_unbound)
{
	unsigned int a = host.adapter[0], d = host.domain[0];
	char text[4097], config[256], expected[256];

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", a));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", d));
	config_text(expected, a, d, -1);
	ASSERT_TRUE(last_event(self->uuid, self->events, expected, config));
	read_attribute(self->attribute, text);

	ASSERT_EQ(0, queue_unbind(APQN(a, d)));
	ASSERT_TRUE(wakes(self->attribute, hang_ms));
	read_attribute(self->attribute, text);
	snprintf(expected, sizeof(expected), ".%04x\n", d);
	EXPECT_STREQ(expected, text);
	config_text(expected, -1, d, -1);
	ASSERT_TRUE(last_event(self->uuid, self->events, expected, config));
	EXPECT_STREQ(expected, config);

	ASSERT_EQ(0, queue_bind(APQN(a, d), "vfio_ap"));
	ASSERT_TRUE(wakes(self->attribute, hang_ms));
	config_text(expected, a, d, -1);
	ASSERT_TRUE(last_event(self->uuid, self->events, expected, config));
	EXPECT_STREQ(expected, config);
}

C_DEFECT(notify, mdev, queue_unbound, "guest_matrix cannot be polled");

/* An event of the device with this action. */
static bool has_event(const char *uuid, int fd, const char *action)
{
	static char event[8192];
	const char *value;
	ssize_t length;

	for (;;) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };

		if (poll(&pollfd, 1, hang_ms) != 1)
			return false;
		length = recv(fd, event, sizeof(event) - 1, 0);
		if (length <= 0)
			return false;
		event[length] = 0;
		value = variable(event, length, "DEVPATH");
		/* The device's own, not one below it. */
		if (!value || !strrchr(value, '/') ||
		    strcmp(strrchr(value, '/') + 1, uuid))
			continue;
		value = variable(event, length, "ACTION");
		if (value && !strcmp(value, action))
			return true;
	}
}

/*
 * A process that waits for changes learns that the device has gone: by the event of its
 * removal, which every device has, and if it polls the attribute afterwards. If it sleeps
 * in poll(2) at that time, nothing wakes it, as with any attribute in sysfs.
 */
TEST_F(notify, removal)
{
	char text[4097];

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", host.adapter[0]));
	read_attribute(self->attribute, text);
	EXPECT_FALSE(wakes(self->attribute, 0));
	ASSERT_EQ(0, mdev_remove(self->uuid));
	EXPECT_TRUE(has_event(self->uuid, self->events, "remove"));
	EXPECT_TRUE(wakes(self->attribute, 0));
	EXPECT_EQ(-1, pread(self->attribute, text, 1, 0));
	EXPECT_EQ(ENODEV, errno);
}
