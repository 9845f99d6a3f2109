// SPDX-License-Identifier: GPL-2.0
/*
 * Users that come and go as they like: killed at any moment, many at once, and
 * with everything taken away in every order. Nothing is left of them, and the
 * next one finds all as it was.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define ISC		3
#define PSMID		0x1234UL
#define KILLS		16
#define WRITERS		6
#define MILLISECONDS	1500

static void check_nothing_left(struct __test_metadata *_metadata,
			       uint16_t apqn, int references)
{
	char text[64] = "";

	EXPECT_TRUE(wait_until(module_has_references, &references, hang_ms))
		TH_LOG("%d references, not %d", module_references(),
		       references);
	EXPECT_LT(0, queue_status(apqn, text, sizeof(text)));
	EXPECT_STRNE("in use", text);
	queue_is_empty(_metadata, apqn);
}

FIXTURE(killed)
{
	char uuid[UUID_LENGTH];
	int references;
	uint16_t apqn;
};

FIXTURE_VARIANT(killed)
{
	bool cdev;
	bool slow;	/* in the middle of resets, and of what AQIC does */
};

FIXTURE_VARIANT_ADD(killed, group)
{
};

FIXTURE_VARIANT_ADD(killed, iommufd)
{
	.cdev = true,
};

FIXTURE_VARIANT_ADD(killed, slow)
{
	.slow = true,
};

FIXTURE_SETUP(killed)
{
	test_begin();
	if (variant->cdev && !path_exists("/dev/iommu"))
		test_skip(_metadata, "the kernel has no iommufd");
	mdev_uuid(self->uuid, 0);
	ASSERT_EQ(0, mdev_create(self->uuid));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", host.domain[0]));
	self->apqn = APQN(host.adapter[0], host.domain[0]);
	self->references = module_references();
	if (variant->slow && !host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	if (variant->slow) {
		ASSERT_EQ(0, hw_change("queue %02x.%04x reset-time 150 >/dev/null",
				       APID(self->apqn), APQI(self->apqn)));
		ASSERT_EQ(0, hw_change("queue %02x.%04x irq-time 30 >/dev/null",
				       APID(self->apqn), APQI(self->apqn)));
	}
}

FIXTURE_TEARDOWN_PARENT(killed)
{
	if (variant->slow && host.has_aphw) {
		hw_change("queue %02x.%04x reset-time 1 >/dev/null",
			  APID(self->apqn), APQI(self->apqn));
		hw_change("queue %02x.%04x irq-time 0 >/dev/null",
			  APID(self->apqn), APQI(self->apqn));
	}
	test_end();
}

/* A monitor's whole life, over and over; steps tells how far it has come. */
static void live(bool cdev, unsigned int *steps)
{
	struct guest_config config = { .cdev = cdev, .no_mdev = true };
	static struct guest guest;
	struct ap_result result;
	size_t length;

#define STEP()	__atomic_add_fetch(steps, 1, __ATOMIC_SEQ_CST)
	for (;;) {
		STEP();
		if (guest_up(&guest, &config))
			_exit(1);
		STEP();
		ap_enable_irq(&guest.vmm, guest.apqn, ISC, GUEST_NIB, &result);
		STEP();
		length = ap_request(&guest.vmm, guest.mode, guest.apqn);
		ap_nqap(&guest.vmm, guest.apqn, PSMID, length, &result);
		STEP();
		vmm_vfio_unmap(&guest.vfio, 0, VMM_MEM_SIZE);
		STEP();
		vmm_vfio_map(&guest.vfio, 0, VMM_MEM_SIZE, guest.vmm.mem);
		STEP();
		ap_enable_irq(&guest.vmm, guest.apqn, ISC, GUEST_NIB2, &result);
		STEP();
		ioctl(guest.vfio.device, VFIO_DEVICE_RESET);
		STEP();
		ap_enable_irq(&guest.vmm, guest.apqn, ISC, GUEST_NIB, &result);
		STEP();
		guest_down(&guest);
	}
#undef STEP
}

/* The monitor is killed somewhere in each of its steps. */
TEST_F(killed, at_any_moment)
{
	unsigned int *steps, seed = 4711, i;
	struct ap_result result;
	struct guest guest;
	uint64_t psmid;
	size_t length;
	int status;
	pid_t pid;

	steps = mmap(NULL, sizeof(*steps), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, steps);
	for (i = 1; i <= KILLS; i++) {
		uint64_t end;

		*steps = 0;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			live(variant->cdev, steps);
		end = now_ms() + hang_ms;
		while (now_ms() < end) {
			if (__atomic_load_n(steps, __ATOMIC_SEQ_CST) >= i ||
			    waitpid(pid, &status, WNOHANG))
				break;
			usleep(1000);
		}
		EXPECT_LE(i, *steps);
		usleep(rand_r(&seed) % (variant->slow ? 100000 : 5000));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		check_nothing_left(_metadata, self->apqn, self->references);
	}
	/* And the next one finds the queue as new. */
	ASSERT_OK(guest_up(&guest, &(struct guest_config){
		.cdev = variant->cdev, .no_mdev = true, .no_reset = true }),
		  guest.error);
	ASSERT_OK(ap_tapq(&guest.vmm, guest.apqn, &result), guest.vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(AP_EMPTY, result.flags);
	ASSERT_OK(ap_dqap(&guest.vmm, guest.apqn, &psmid, &length, &result),
		  guest.vmm.error);
	EXPECT_EQ(AP_RC_NO_REPLY, result.rc);
	guest_down(&guest);
	munmap(steps, sizeof(*steps));
}

/*
 * A guest is killed, its queue unbound, its mediated device removed, in every
 * order; then the module goes, and comes back.
 */
FIXTURE(order)
{
	int references;
};

FIXTURE_VARIANT(order)
{
	/* A letter for each: Kill, Unbind, Remove. */
	const char *steps;
};

#define ORDER(name)							\
	FIXTURE_VARIANT_ADD(order, name) { .steps = #name }

ORDER(KUR);
ORDER(KRU);
ORDER(UKR);
ORDER(URK);
ORDER(RKU);
ORDER(RUK);

FIXTURE_SETUP(order)
{
	test_begin();
	self->references = module_references();
}

FIXTURE_TEARDOWN_PARENT(order)
{
	if (!path_exists(MODULE))
		module_load();
	queues_settle();
	test_end();
}

static bool path_gone(void *data)
{
	return !path_exists(data);
}

static bool removal_has_begun(void *data)
{
	char path[160];

	/* The attributes go first, then the driver waits. */
	snprintf(path, sizeof(path), MDEV_DEVICES "/%s/matrix", (char *)data);
	return !path_exists(path);
}

TEST_F(order, all_goes)
{
	uint16_t apqn = APQN(host.adapter[0], host.domain[0]);
	char uuid[UUID_LENGTH], path[128], byte;
	pid_t monitor, remover = 0;
	int ready[2], status;
	const char *step;

	mdev_uuid(uuid, 0);
	snprintf(path, sizeof(path), MDEV_DEVICES "/%s", uuid);
	ASSERT_EQ(0, pipe(ready));
	monitor = fork();
	ASSERT_LE(0, monitor);
	if (!monitor) {
		static struct guest guest;
		struct ap_result result;

		if (guest_up(&guest, &(struct guest_config){}) ||
		    ap_enable_irq(&guest.vmm, guest.apqn, ISC, GUEST_NIB,
				  &result) || result.rc ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	for (step = variant->steps; *step; step++) {
		switch (*step) {
		case 'K':
			ASSERT_EQ(0, kill(monitor, SIGKILL));
			ASSERT_EQ(monitor, waitpid(monitor, &status, 0));
			break;
		case 'U':
			EXPECT_EQ(0, queue_unbind(apqn));
			break;
		case 'R':
			/* It waits until the guest has gone. */
			remover = fork();
			ASSERT_LE(0, remover);
			if (!remover)
				_exit(mdev_remove(uuid) ? 1 : 0);
			EXPECT_TRUE(wait_until(removal_has_begun, uuid, hang_ms));
			break;
		}
	}
	EXPECT_TRUE(wait_until(path_gone, path, hang_ms));
	ASSERT_EQ(remover, waitpid(remover, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(wait_until(module_has_references, &self->references, hang_ms));
	EXPECT_EQ(0, queue_interrupts(apqn));
	if (!module_can_reload())
		return;
	ASSERT_EQ(0, module_unload());
	ASSERT_EQ(0, module_load());
	queue_bind(apqn, "vfio_ap");
}

/* --- many at once --------------------------------------------------------- */

FIXTURE(writers)
{
	char uuid[WRITERS][UUID_LENGTH];
};

FIXTURE_VARIANT(writers)
{
	int unused;
};

FIXTURE_VARIANT_ADD(writers, processes)
{
};

FIXTURE_SETUP(writers)
{
	unsigned int i;

	test_begin();
	for (i = 0; i < WRITERS; i++) {
		mdev_uuid(self->uuid[i], i);
		ASSERT_EQ(0, mdev_create(self->uuid[i]));
	}
}

FIXTURE_TEARDOWN_PARENT(writers)
{
	test_end();
}

/* The masks of an mdev, in one consistent piece. */
static int read_config(const char *uuid, uint64_t masks[3][4])
{
	char text[4097];
	unsigned int i;
	char *at = text;

	if (mdev_read(uuid, "ap_config", text, sizeof(text)) < 0)
		return -1;
	for (i = 0; i < 3; i++) {
		char *end = at + strcspn(at, ",\n");

		*end = 0;
		if (mask_parse(at, masks[i]))
			return -1;
		at = end + 1;
	}
	return 0;
}

/* Assigns and unassigns what all others want, too. */
static int scramble(const char *uuid, unsigned int seed)
{
	static const char * const attributes[] = {
		"assign_adapter", "assign_domain", "unassign_adapter",
		"unassign_domain",
	};
	unsigned int done = 0;
	struct timespec now;
	long end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + MILLISECONDS;
	do {
		unsigned int a = rand_r(&seed) % ARRAY_SIZE(attributes);
		unsigned int number = a & 1 ?
			host.domain[rand_r(&seed) % host.nr_domains] :
			host.adapter[rand_r(&seed) % host.nr_adapters];
		bool assigns = a < 2;
		uint64_t masks[3][4];
		int ret;

		ret = mdev_assign(uuid, attributes[a], number);
		/* To assign may fail because somebody else has it. */
		if (ret && !(assigns && (ret == -EADDRINUSE || ret == -EAGAIN ||
					 ret == -EBUSY)))
			return 1;
		if (read_config(uuid, masks))
			return 2;
		/* This mdev is nobody else's to change. */
		if (!ret && mask_test(masks[a & 1], number) != assigns)
			return 3;
		done++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < end);
	return done ? 0 : 4;
}

/* Processes that write at once never end up with the same queue. */
TEST_F(writers, no_queue_has_two_owners)
{
	uint64_t masks[WRITERS][3][4];
	unsigned int i, j, a, d;
	pid_t pid[WRITERS];
	int status;

	for (i = 0; i < WRITERS; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			_exit(scramble(self->uuid[i], i + 1));
	}
	for (i = 0; i < WRITERS; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status)
			TH_LOG("writer %u", i);
		ASSERT_EQ(0, read_config(self->uuid[i], masks[i]));
	}
	for (a = 0; a < host.nr_adapters; a++) {
		for (d = 0; d < host.nr_domains; d++) {
			for (i = 0, j = 0; i < WRITERS; i++)
				j += mask_test(masks[i][0], host.adapter[a]) &&
				     mask_test(masks[i][1], host.domain[d]);
			EXPECT_GE(1, j)
				TH_LOG("%02x.%04x has %u owners",
				       host.adapter[a], host.domain[d], j);
		}
	}
}

/* Several processes write to one mdev: what is shown is what some have written. */
TEST_F(writers, one_device)
{
	uint64_t written[2][4] = {}, masks[3][4], none[4] = {};
	char config[2][256], text[MASK_LENGTH], empty[MASK_LENGTH];
	unsigned int i, n, torn = 0;
	pid_t pid[2];
	int status;

	/* Two matrices that have nothing in common but their form. */
	mask_set(written[0], host.adapter[0], true);
	mask_set(written[1], host.adapter[host.nr_adapters - 1], true);
	mask_format(none, empty);
	for (i = 0; i < 2; i++) {
		mask_format(written[i], text);
		snprintf(config[i], sizeof(config[i]), "%s,%s,%s", text, empty,
			 text);
	}
	ASSERT_EQ(0, mdev_write(self->uuid[0], "ap_config", config[0]));
	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		for (n = 0; !pid[i] && n < 300; n++) {
			int ret = mdev_write(self->uuid[0], "ap_config",
					     config[i]);

			if (ret && ret != -EAGAIN && ret != -EBUSY)
				_exit(1);
		}
		if (!pid[i])
			_exit(0);
	}
	for (n = 0; n < 300; n++) {
		ASSERT_EQ(0, read_config(self->uuid[0], masks));
		torn += memcmp(masks[0], masks[2], sizeof(masks[0])) != 0;
	}
	EXPECT_EQ(0, torn);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

C_DEFECT(writers, processes, one_device,
	 "at times shows ap_config in the middle of a change");

/* The guest's AP control block is what was assigned. */
static bool guest_has_matrix(void *data)
{
	struct guest *guest = data;
	struct ap_result result;
	uint64_t masks[3][4];
	struct ap_qci qci;

	return !read_config(guest->uuid, masks) &&
	       !ap_qci(&guest->vmm, &qci, &result) && !result.pgm &&
	       !memcmp(masks[0], qci.apm, sizeof(qci.apm)) &&
	       !memcmp(masks[1], qci.aqm, sizeof(qci.aqm));
}

/* The queues that are listed are those of the masks, and no more. */
static bool lists(const char *list, uint64_t masks[3][4], unsigned int a,
		  unsigned int d)
{
	char queue[16];

	snprintf(queue, sizeof(queue), "%02x.%04x\n", a, d);
	return !!strstr(list, queue) ==
	       (mask_test(masks[0], a) && mask_test(masks[1], d));
}

/*
 * Two processes write ap_config of a running guest's device, a third one unassigns. When
 * they have done so, all that there is of the matrix agrees: what the device shows, what
 * the guest has, and what another device cannot have.
 */
TEST_F(writers, device_of_a_guest)
{
	char config[2][256], text[3][MASK_LENGTH], shown[4097], has[4097];
	const char *uuid = self->uuid[0], *other = self->uuid[1];
	uint64_t written[2][3][4] = {}, masks[3][4];
	unsigned int i, a, d, n;
	struct guest guest;
	pid_t pid[3];
	int status;

	if (host.nr_adapters < 2 || host.nr_domains < 2)
		test_skip(_metadata, "needs two adapters and two domains");
	/* One half of the adapters with all domains, and the other way round. */
	for (a = 0; a < host.nr_adapters; a++) {
		mask_set(written[0][0], host.adapter[a], !(a & 1));
		mask_set(written[1][0], host.adapter[a], true);
	}
	for (d = 0; d < host.nr_domains; d++) {
		mask_set(written[0][1], host.domain[d], true);
		mask_set(written[1][1], host.domain[d], d & 1);
	}
	for (i = 0; i < 2; i++) {
		for (n = 0; n < 3; n++)
			mask_format(written[i][n], text[n]);
		snprintf(config[i], sizeof(config[i]), "%s,%s,%s", text[0],
			 text[1], text[2]);
	}
	ASSERT_EQ(0, mdev_write(uuid, "ap_config", config[0]));
	GUEST_UP(&guest, .no_mdev = true);
	ASSERT_STREQ(uuid, guest.uuid);

	for (i = 0; i < 3; i++) {
		unsigned int seed = i + 1;

		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		for (n = 0; !pid[i] && n < 60; n++) {
			int ret;

			if (i < 2)
				ret = mdev_write(uuid, "ap_config", config[i]);
			else if (n & 1)
				ret = mdev_assign(uuid, "unassign_adapter",
						  host.adapter[rand_r(&seed) %
							       host.nr_adapters]);
			else
				ret = mdev_assign(uuid, "unassign_domain",
						  host.domain[rand_r(&seed) %
							      host.nr_domains]);
			if (ret)
				_exit(1 + i);
		}
		if (!pid[i])
			_exit(0);
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status)
			TH_LOG("writer %u", i);
	}

	ASSERT_EQ(0, read_config(uuid, masks));
	EXPECT_TRUE(wait_until(guest_has_matrix, &guest, hang_ms));
	ASSERT_LE(0, mdev_read(uuid, "matrix", shown, sizeof(shown)));
	ASSERT_LE(0, mdev_read(uuid, "guest_matrix", has, sizeof(has)));
	EXPECT_STREQ(shown, has);
	for (a = 0; a < host.nr_adapters; a++) {
		for (d = 0; d < host.nr_domains; d++) {
			unsigned int apid = host.adapter[a];
			unsigned int apqi = host.domain[d];
			bool taken = mask_test(masks[0], apid) &&
				     mask_test(masks[1], apqi);

			EXPECT_TRUE(lists(shown, masks, apid, apqi))
				TH_LOG("%02x.%04x", apid, apqi);
			ASSERT_EQ(0, mdev_assign(other, "assign_adapter", apid));
			EXPECT_EQ(taken ? -EADDRINUSE : 0,
				  mdev_assign(other, "assign_domain", apqi))
				TH_LOG("%02x.%04x", apid, apqi);
			ASSERT_EQ(0, mdev_assign(other, "unassign_domain", apqi));
			ASSERT_EQ(0, mdev_assign(other, "unassign_adapter",
						 apid));
		}
	}
	guest_down(&guest);
}

/* --- a queue's status, while vfio_ap is bound to it ------------------------- */

static void *read_status(void *data)
{
	static const char * const texts[] = { "unassigned", "assigned", "in use" };
	unsigned int wrong = 0, i;
	uint16_t apqn = APQN(host.adapter[0], host.domain[0]);
	char text[64];

	while (!__atomic_load_n((bool *)data, __ATOMIC_SEQ_CST)) {
		int ret = queue_status(apqn, text, sizeof(text));

		for (i = 0; i < ARRAY_SIZE(texts); i++)
			if (ret > 0 && !strcmp(texts[i], text))
				break;
		/* The attribute may have gone, before it was opened or after. */
		wrong += i == ARRAY_SIZE(texts) && ret != -ENOENT &&
			 ret != -ENODEV;
	}
	return (void *)(uintptr_t)wrong;
}

TEST_F(writers, status_while_binding)
{
	uint16_t apqn = APQN(host.adapter[0], host.domain[0]);
	pthread_t thread[2];
	bool stop = false;
	unsigned int i;
	void *wrong;

	ASSERT_EQ(0, mdev_assign(self->uuid[0], "assign_adapter",
				 host.adapter[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid[0], "assign_domain",
				 host.domain[0]));
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, read_status,
					    &stop));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, queue_unbind(apqn));
		ASSERT_EQ(0, queue_bind(apqn, "vfio_ap"));
	}
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < ARRAY_SIZE(thread); i++) {
		ASSERT_EQ(0, pthread_join(thread[i], &wrong));
		EXPECT_EQ(NULL, wrong);
	}
}

/* Attributes are read and written while their device comes and goes. */
TEST_F(writers, device_comes_and_goes)
{
	static const char * const shown[] = {
		"matrix", "guest_matrix", "control_domains", "ap_config",
	};
	unsigned int i, n;
	pid_t pid[4];
	int status;

	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (pid[i])
			continue;
		for (;;) {
			char text[4097];

			mdev_read(self->uuid[0], shown[i], text, sizeof(text));
			mdev_assign(self->uuid[0], i & 1 ? "assign_adapter" :
				    "unassign_adapter", host.adapter[0]);
		}
	}
	for (n = 0; n < 15; n++) {
		EXPECT_EQ(0, mdev_remove(self->uuid[0]));
		EXPECT_EQ(0, mdev_create(self->uuid[0]));
	}
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		kill(pid[i], SIGKILL);
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
}

/* --- the module goes ------------------------------------------------------- */

FIXTURE(unload)
{
	int unused;
};

GROUP_AND_IOMMUFD(unload);

FIXTURE_SETUP(unload)
{
	test_begin();
	if (variant->cdev && !path_exists("/dev/iommu"))
		test_skip(_metadata, "the kernel has no iommufd");
	if (!module_can_reload())
		test_skip(_metadata, "no module file to load vfio_ap from again");
}

FIXTURE_TEARDOWN_PARENT(unload)
{
	if (!path_exists(MODULE))
		module_load();
	queues_settle();
	test_end();
}

/*
 * What others do meanwhile. Anything may fail, for the module may be away at any
 * moment.
 */
static void monitor_comes_and_goes(bool cdev, unsigned int *seed)
{
	struct guest_config config = { .cdev = cdev };
	static struct guest guest;
	struct ap_result result;

	if (!guest_up(&guest, &config)) {
		ap_enable_irq(&guest.vmm, guest.apqn, ISC, GUEST_NIB, &result);
		ioctl(guest.vfio.device, VFIO_DEVICE_RESET);
	}
	guest_down(&guest);
	mdev_remove(guest.uuid);
	sleep_ms(rand_r(seed) % 30);
}

static void administrator_writes(bool cdev, unsigned int *seed)
{
	char uuid[UUID_LENGTH];

	mdev_uuid(uuid, 1);
	mdev_create(uuid);
	mdev_assign(uuid, "assign_adapter", host.adapter[0]);
	mdev_assign(uuid, "assign_domain",
		    host.domain[rand_r(seed) % host.nr_domains]);
	if (rand_r(seed) % 2)
		mdev_remove(uuid);
}

static void attributes_are_held(bool cdev, unsigned int *seed)
{
	static const char * const paths[] = {
		MATRIX "/features", MDEV_TYPE "/available_instances",
		MDEV_TYPE "/device_api",
	};
	int fd = open(paths[rand_r(seed) % ARRAY_SIZE(paths)], O_RDONLY);
	char byte;

	if (fd < 0)
		return;
	sleep_ms(rand_r(seed) % 10);
	if (read(fd, &byte, 1) < 0)
		byte = 0;
	close(fd);
}

static void queues_are_rebound(bool cdev, unsigned int *seed)
{
	uint16_t apqn = APQN(host.adapter[0],
			     host.domain[rand_r(seed) % host.nr_domains]);

	queue_unbind(apqn);
	sleep_ms(rand_r(seed) % 10);
	queue_bind(apqn, "vfio_ap");
}

TEST_F(unload, at_any_time)
{
	void (*const roles[])(bool cdev, unsigned int *seed) = {
		monitor_comes_and_goes, administrator_writes,
		attributes_are_held, queues_are_rebound,
	};
	unsigned int i, seed = 42, unloaded = 0;
	pid_t pid[ARRAY_SIZE(roles)];
	int status, ret;
	uint64_t end;

	for (i = 0; i < ARRAY_SIZE(roles); i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		for (seed += i; !pid[i];)
			roles[i](variant->cdev, &seed);
	}
	/* Somebody uses it nearly all the time. */
	end = now_ms() + 3 * hang_ms;
	while (now_ms() < end && unloaded < 10) {
		ret = module_unload();
		EXPECT_TRUE(!ret || ret == -EAGAIN || ret == -EBUSY)
			TH_LOG("%s", strerror(-ret));
		if (!ret) {
			unloaded++;
			sleep_ms(rand_r(&seed) % 10);
			ASSERT_EQ(0, module_load());
		}
		sleep_ms(rand_r(&seed) % 10);
	}
	EXPECT_EQ(10, unloaded);
	for (i = 0; i < ARRAY_SIZE(roles); i++) {
		kill(pid[i], SIGKILL);
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
	mdev_remove_all();
	EXPECT_TRUE(wait_until(module_has_references, &(int){ 0 }, hang_ms));
	ASSERT_EQ(0, module_unload());
	ASSERT_EQ(0, module_load());
	EXPECT_EQ(0, pinned_kib());
}

/* --- somebody holds the VFIO device ----------------------------------------- */

#define HOLDER	"vfio_ap_test_hold"

FIXTURE(held)
{
	struct guest guest;
};

GROUP_AND_IOMMUFD(held);

FIXTURE_SETUP(held)
{
	test_begin();
	SKIP_ON_C("VFIO looks for the device's functions where the module was");
	if (!module_can_reload())
		test_skip(_metadata, "no module file to load vfio_ap from again");
	TEST_MODULE(HOLDER);
	GUEST_UP(&self->guest, .cdev = variant->cdev);
}

FIXTURE_TEARDOWN_PARENT(held)
{
	test_module_unload(HOLDER);
	if (!path_exists(MODULE))
		module_load();
	queues_settle();
	test_end();
}

/* Let the holder take a reference to the VFIO device of a mediated device. */
static int hold_vfio_device(const char *uuid)
{
	char path[128], device[256] = "";
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), MDEV_DEVICES "/%s/vfio-dev", uuid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(device, sizeof(device), "%.100s/%.100s", path,
				 entry->d_name);
	closedir(dir);
	return test_module_set(HOLDER, "device", device);
}

static int put_vfio_device(void)
{
	return test_module_set(HOLDER, "device", "\n");
}

struct process {
	pid_t pid;
	int status;
};

static bool has_ended(void *data)
{
	struct process *process = data;

	return waitpid(process->pid, &process->status, WNOHANG) == process->pid;
}

/* In a process of its own, because what waits in the kernel cannot be killed. */
static bool ends(struct __test_metadata *_metadata, int (*what)(const char *uuid),
		 const char *uuid)
{
	struct process process = { .pid = fork() };

	ASSERT_LE(0, process.pid);
	if (!process.pid)
		_exit(what(uuid) ? 1 : 0);
	if (!wait_until(has_ended, &process, hang_ms))
		return false;
	EXPECT_EQ(0, process.status);
	return true;
}

static int unload_module(const char *uuid)
{
	return module_unload();
}

/*
 * Whoever has a reference to a VFIO device can keep it as long as they like. Neither
 * the removal of the mediated device nor the unloading of the module waits for that,
 * and when the reference is put, nothing of the module is needed: neither when it is
 * gone, nor when it is there again, elsewhere.
 */
TEST_F(held, outlives_the_module)
{
	struct guest *guest = &self->guest;
	bool loaded;

	for (loaded = false;; loaded = true) {
		ASSERT_EQ(0, hold_vfio_device(guest->uuid));
		guest_down(guest);
		ASSERT_TRUE(ends(_metadata, mdev_remove, guest->uuid));
		ASSERT_TRUE(ends(_metadata, unload_module, NULL));
		if (loaded)
			ASSERT_EQ(0, module_load());
		EXPECT_EQ(0, put_vfio_device());
		if (loaded)
			break;
		ASSERT_EQ(0, module_load());
		queues_settle();
		GUEST_UP(guest, .cdev = variant->cdev);
	}
	queues_settle();
	GUEST_UP(guest, .cdev = variant->cdev);
	guest_down(guest);
}
