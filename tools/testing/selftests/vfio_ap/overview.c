// SPDX-License-Identifier: GPL-2.0
/*
 * The files in debugfs show the host and each mediated device as they are, what
 * does not fit into an attribute included; and nobody who has one open does
 * harm when what it shows goes away.
 */
#include <sys/wait.h>

#include "lib/test.h"

#define FILES	"/sys/kernel/debug/vfio_ap"
#define ISC	3

FIXTURE(overview)
{
	char uuid[UUID_LENGTH];
	unsigned int a;
	unsigned int d;
};

FIXTURE_VARIANT(overview)
{
	int unused;
};

FIXTURE_VARIANT_ADD(overview, mdev)
{
};

FIXTURE_SETUP(overview)
{
	test_begin();
	NOT_ON_C("files in debugfs");
	mdev_uuid(self->uuid, 0);
	ASSERT_EQ(0, mdev_create(self->uuid));
	self->a = host.adapter[0];
	self->d = host.domain[0];
}

FIXTURE_TEARDOWN_PARENT(overview)
{
	if (!path_exists(MODULE))
		module_load();
	queues_settle();
	test_end();
}

static char text[1 << 20];

static const char *read_fd(int fd)
{
	size_t length = 0;
	ssize_t n;

	while ((n = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += n;
	text[length] = 0;
	return text;
}

static int open_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), FILES "/%s", name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static const char *read_file(const char *name)
{
	int fd = open_file(name);

	text[0] = 0;
	if (fd >= 0) {
		read_fd(fd);
		close(fd);
	}
	return text;
}

/* The rest of the line that begins with these words, or NULL. */
static const char *line(const char *name, const char *words)
{
	static char found[512];
	const char *at = read_file(name);

	for (; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		if (!strncmp(at, words, strlen(words))) {
			at += strlen(words);
			at += strspn(at, " ");
			snprintf(found, sizeof(found), "%.*s",
				 (int)strcspn(at, "\n"), at);
			return found;
		}
	}
	return NULL;
}

static const char *queue_line(const char *name, uint16_t apqn)
{
	char words[16];

	snprintf(words, sizeof(words), "%02x.%04x ", APID(apqn), APQI(apqn));
	return line(name, words);
}

/* Every queue of vfio_ap is in the host's file, with whose it is. */
TEST_F(overview, host)
{
	unsigned int i, j, queues = host.nr_adapters * host.nr_domains, bound;
	const char *found;

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", self->a));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", self->d));
	for (i = 0; i < host.nr_adapters; i++) {
		for (j = 0; j < host.nr_domains; j++) {
			found = queue_line("host", APQN(host.adapter[i],
							host.domain[j]));
			ASSERT_NE(NULL, found)
				TH_LOG("%02x.%04x", host.adapter[i],
				       host.domain[j]);
			if (i || j) {
				EXPECT_NE(NULL, strstr(found, "unassigned "));
				EXPECT_EQ(NULL, strstr(found, self->uuid));
			} else {
				EXPECT_EQ(found, strstr(found, "assigned "));
				EXPECT_NE(NULL, strstr(found, self->uuid));
			}
		}
	}
	found = line("host", "queues:");
	ASSERT_NE(NULL, found);
	bound = strtoul(found, NULL, 10);
	EXPECT_LE(queues, bound);
	EXPECT_EQ(0, queue_unbind(APQN(self->a, self->d)));
	EXPECT_EQ(NULL, queue_line("host", APQN(self->a, self->d)));
}

/* What keeps an adapter from the guest is said. */
TEST_F(overview, withheld_adapter)
{
	char words[64], expected[64];
	const char *found;

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", self->a));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", self->d));
	snprintf(words, sizeof(words), "withheld adapter %02x:", self->a);
	EXPECT_EQ(NULL, line(self->uuid, words));
	ASSERT_EQ(0, queue_unbind(APQN(self->a, self->d)));
	found = line(self->uuid, words);
	ASSERT_NE(NULL, found);
	snprintf(expected, sizeof(expected), "not bound: %04x", self->d);
	EXPECT_STREQ(expected, found);
}

/* What a guest does to its queue is counted. */
#define EXPECT_QUEUE(state)						\
	do {								\
		const char *_line = queue_line(self->uuid, guest.apqn);	\
		int _n;							\
									\
		ASSERT_NE(NULL, _line);					\
		_n = sscanf(_line, state " %lu %lu %lu", &resets,	\
			    &aqics, &refused);				\
		EXPECT_EQ(3, _n)					\
			TH_LOG("%s", _line);				\
	} while (0)

TEST_F(overview, guest)
{
	static struct guest guest;
	unsigned long resets, aqics, refused;
	struct ap_result result;

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", self->a));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", self->d));
	EXPECT_STREQ("no", line(self->uuid, "open:"));
	GUEST_UP(&guest, .no_mdev = true);
	EXPECT_STREQ("yes", line(self->uuid, "open:"));
	ASSERT_EQ(APQN(self->a, self->d), guest.apqn);

	EXPECT_QUEUE("in use done off");
	EXPECT_EQ(0, aqics);
	EXPECT_EQ(0, refused);

	ASSERT_OK(ap_enable_irq(&guest.vmm, guest.apqn, ISC, GUEST_NIB,
				&result), guest.vmm.error);
	ASSERT_OK(ap_aqic(&guest.vmm, guest.apqn, AQIC_IR, 0, &result),
		  guest.vmm.error);
	EXPECT_EQ(AP_RC_INVALID_ADDRESS, result.rc);
	EXPECT_QUEUE("in use done on");
	EXPECT_EQ(1, aqics);
	EXPECT_EQ(1, refused);
	guest_down(&guest);
	EXPECT_QUEUE("assigned done off");
}

/* While the device is to be removed, its file says why the guest has nothing. */
TEST_F(overview, withdrawn)
{
	static struct guest guest;
	int status = -1;
	pid_t pid;

	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter", self->a));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", self->d));
	GUEST_UP(&guest, .no_mdev = true);
	EXPECT_STREQ("no", line(self->uuid, "withdrawn:"));
	pid = guest_begin_removal(&guest);
	ASSERT_LE(0, pid);
	ASSERT_TRUE(wait_until(guest_lost_queue, &guest, hang_ms));
	EXPECT_STREQ("yes", line(self->uuid, "withdrawn:") ?: "no such line");
	guest_down(&guest);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* A matrix of which the attribute has room for a part only. */
TEST_F(overview, large_matrix)
{
	uint64_t apm[4] = {}, aqm[4] = {}, none[4] = {};
	char masks[3][MASK_LENGTH], config[256];
	unsigned int i;

	if (!host_gives_all_adapters())
		test_skip(_metadata, "not all adapters are vfio_ap's");
	if (host.max_adapter < 0x80 || host.max_domain < 0x10)
		test_skip(_metadata, "the host cannot have so many");
	for (i = 0; i <= 0x80; i++)
		mask_set(apm, i, i != 0x40);
	for (i = 0; i <= 0x10; i++)
		mask_set(aqm, i, true);
	mask_format(apm, masks[0]);
	mask_format(aqm, masks[1]);
	mask_format(none, masks[2]);
	snprintf(config, sizeof(config), "%s,%s,%s", masks[0], masks[1],
		 masks[2]);
	ASSERT_EQ(0, mdev_write(self->uuid, "ap_config", config));
	EXPECT_STREQ("00-3f,41-80", line(self->uuid, "assigned adapters:"));
	EXPECT_STREQ("0000-0010", line(self->uuid, "assigned domains:"));
	EXPECT_STREQ("none", line(self->uuid, "assigned control domains:"));
}

static unsigned long filtered(void)
{
	const char *found = line("host", "filtered:");

	return found ? strtoul(found, NULL, 10) : 0;
}

/*
 * Binding and unbinding queues of an mdev that has them assigned looks at the
 * adapter of each, and never at the whole matrix.
 */
TEST_F(overview, binding_filters_no_matrix)
{
	unsigned long before;
	char expected[4097], shown[4097];
	unsigned int i, j;

	for (i = 0; i < host.nr_adapters; i++)
		ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
					 host.adapter[i]));
	for (i = 0; i < host.nr_domains; i++)
		ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain",
					 host.domain[i]));
	mdev_read(self->uuid, "guest_matrix", expected, sizeof(expected));
	before = filtered();
	EXPECT_NE(0, before);
	for (i = 0; i < host.nr_adapters; i++)
		for (j = 0; j < host.nr_domains; j++)
			ASSERT_EQ(0, queue_unbind(APQN(host.adapter[i],
						       host.domain[j])));
	for (i = 0; i < host.nr_adapters; i++)
		for (j = 0; j < host.nr_domains; j++)
			ASSERT_EQ(0, queue_bind(APQN(host.adapter[i],
						     host.domain[j]),
						"vfio_ap"));
	EXPECT_EQ(before, filtered());
	mdev_read(self->uuid, "guest_matrix", shown, sizeof(shown));
	EXPECT_STREQ(expected, shown);
}

/* The file is held open while the device goes away. */
TEST_F(overview, held_open_over_removal)
{
	char byte;
	int fd;

	fd = open_file(self->uuid);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, read(fd, &byte, 1));
	ASSERT_EQ(0, mdev_remove(self->uuid));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, open_file(self->uuid));
	close(fd);
}

/* And while the module is to go: it does not, until the file is closed. */
TEST_F(overview, held_open_over_unload)
{
	int fd, removed;

	if (!module_can_reload())
		test_skip(_metadata, "no module file to load vfio_ap from again");
	removed = open_file(self->uuid);
	ASSERT_LE(0, removed);
	ASSERT_EQ(0, mdev_remove(self->uuid));
	EXPECT_EQ(-EAGAIN, module_unload());
	fd = open_file("host");
	ASSERT_LE(0, fd);
	close(removed);
	EXPECT_EQ(-EAGAIN, module_unload());
	EXPECT_LT(0, strlen(read_fd(fd)));
	close(fd);
	EXPECT_EQ(0, module_unload());
	EXPECT_FALSE(path_exists(FILES));
	EXPECT_EQ(0, module_load());
	EXPECT_TRUE(path_exists(FILES "/host"));
}
