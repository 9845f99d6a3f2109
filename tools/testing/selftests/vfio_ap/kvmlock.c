// SPDX-License-Identifier: GPL-2.0
/*
 * A machine monitor can hold its guest's kvm->lock as long as it likes. Only changes of
 * what that guest has wait for it: the AP bus finds and loses hardware, other queues are
 * bound and other devices administered, as if that monitor were not there. What is taken
 * from its guest is gone before anybody else can have it. And a monitor that takes the
 * lock again and again delays nobody for long.
 */
#include "lib/test.h"
#include "lib/hold.h"
#include "lib/nested.h"

#define ISC		3
/* One change of a guest's matrix, while others take its kvm->lock for 1 ms each. */
#define LONGEST_MS	10000
#define PAIRS		50
#define HAMMERS		2

static int rescan(struct guest *guest)
{
	return bus_rescan();
}

static bool has_card(unsigned int a)
{
	char path[128];

	snprintf(path, sizeof(path), AP_DEVICES "/card%02x", a);
	return path_exists(path);
}

struct guest_queue {
	struct guest *guest;
	uint16_t apqn;
};

/* The queue is in the guest's AP control block, whether hardware has it or not. */
static bool guest_has(void *data)
{
	struct guest_queue *queue = data;
	struct ap_result result;
	struct ap_qci qci;

	return !ap_qci(&queue->guest->vmm, &qci, &result) && !result.pgm &&
	       mask_test(qci.apm, APID(queue->apqn)) &&
	       mask_test(qci.aqm, APQI(queue->apqn));
}

/* And the guest can use it. */
static bool guest_can_use(void *data)
{
	struct guest_queue *queue = data;
	struct ap_result result;

	return guest_has(data) &&
	       !ap_tapq(&queue->guest->vmm, queue->apqn, &result) &&
	       !result.pgm && result.rc == AP_RC_NORMAL;
}

#define HAS(of, number)							\
	guest_has(&(struct guest_queue){ .guest = of, .apqn = number })
#define WAIT_FOR(of, number)						\
	wait_until(guest_can_use, &(struct guest_queue){		\
		.guest = of, .apqn = number }, hang_ms)

/* --- the AP bus looks for changes ------------------------------------------ */

FIXTURE(scan)
{
	struct guest slow;
	struct guest other;
	int adapter;		/* that the host does not have */
	unsigned int domain;	/* likewise */
};

FIXTURE_VARIANT(scan)
{
	int unused;
};

FIXTURE_VARIANT_ADD(scan, guest)
{
};

FIXTURE_SETUP(scan)
{
	int d;

	test_begin();
	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	if (!host_gives_all_adapters())
		test_skip(_metadata, "not all adapters are vfio_ap's");
	if (host.nr_adapters < 2 || host.nr_domains < 2)
		test_skip(_metadata, "needs two adapters and two domains");
	self->adapter = host_free_adapter();
	d = host_free_domain();
	if (self->adapter < 0 || d < 0)
		test_skip(_metadata, "the host has every adapter or domain");
	self->domain = d;
	GUEST_UP(&self->slow);
	GUEST_UP(&self->other, .nth = 1, .first_domain = 1);
}

FIXTURE_TEARDOWN_PARENT(scan)
{
	if (host.has_aphw && self->adapter >= 0) {
		hw_change("adapter remove %d >/dev/null 2>&1", self->adapter);
		hw_change("domain remove %u >/dev/null 2>&1", self->domain);
		bus_rescan();
		queues_settle();
	}
	test_end();
}

/* An adapter that is assigned to this guest, or to none, is there. */
static void add_adapter(struct __test_metadata *_metadata, int a,
			struct guest *guest)
{
	uint16_t apqn = guest ? APQN(a, APQI(guest->apqn)) : 0;

	if (guest)
		ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter", a));
	ASSERT_EQ(0, hw_change("adapter add %d", a));
	ASSERT_EQ(0, bus_rescan());
	ASSERT_TRUE(has_card(a));
	if (guest)
		ASSERT_TRUE(WAIT_FOR(guest, apqn));
}

#define SCAN_WAITS	"each scan of the bus waits for every guest's kvm->lock"

TEST_F(scan, nobodys_adapter_vanishes)
{
	struct held held;

	add_adapter(_metadata, self->adapter, NULL);
	hold_up(_metadata, &held, &self->slow, NULL);
	ASSERT_EQ(0, hw_change("adapter remove %d", self->adapter));
	goes_on(_metadata, &self->slow, rescan);
	EXPECT_FALSE(has_card(self->adapter));
	let_go(_metadata, &held);
	EXPECT_TRUE(WAIT_FOR(&self->slow, self->slow.apqn));
}

C_DEFECT(scan, guest, nobodys_adapter_vanishes, SCAN_WAITS);

TEST_F(scan, nobodys_adapter_comes)
{
	struct held held;

	hold_up(_metadata, &held, &self->slow, NULL);
	ASSERT_EQ(0, hw_change("adapter add %d", self->adapter));
	goes_on(_metadata, &self->slow, rescan);
	EXPECT_TRUE(has_card(self->adapter));
	let_go(_metadata, &held);
	EXPECT_TRUE(WAIT_FOR(&self->slow, self->slow.apqn));
}

C_DEFECT(scan, guest, nobodys_adapter_comes, SCAN_WAITS);

/* The other guest loses it at once, and keeps the rest. */
TEST_F(scan, anothers_adapter_vanishes)
{
	struct guest *other = &self->other;
	uint16_t apqn = APQN(self->adapter, APQI(other->apqn));
	struct held held;

	add_adapter(_metadata, self->adapter, other);
	hold_up(_metadata, &held, &self->slow, NULL);
	ASSERT_EQ(0, hw_change("adapter remove %d", self->adapter));
	goes_on(_metadata, other, rescan);
	EXPECT_FALSE(has_card(self->adapter));
	EXPECT_FALSE(HAS(other, apqn));
	EXPECT_TRUE(HAS(other, other->apqn));
	let_go(_metadata, &held);
	EXPECT_TRUE(WAIT_FOR(&self->slow, self->slow.apqn));
}

C_DEFECT(scan, guest, anothers_adapter_vanishes, SCAN_WAITS);

/* And gets it at once. */
TEST_F(scan, anothers_adapter_comes)
{
	struct guest *other = &self->other;
	uint16_t apqn = APQN(self->adapter, APQI(other->apqn));
	struct held held;

	ASSERT_EQ(0, mdev_assign(other->uuid, "assign_adapter", self->adapter));
	hold_up(_metadata, &held, &self->slow, NULL);
	ASSERT_EQ(0, hw_change("adapter add %d", self->adapter));
	goes_on(_metadata, other, rescan);
	EXPECT_TRUE(WAIT_FOR(other, apqn));
	let_go(_metadata, &held);
	EXPECT_TRUE(WAIT_FOR(&self->slow, self->slow.apqn));
}

C_DEFECT(scan, guest, anothers_adapter_comes, SCAN_WAITS);

/* What the slow guest is to get does not delay the bus; the guest gets it later. */
TEST_F(scan, own_adapter_comes)
{
	struct guest *slow = &self->slow;
	uint16_t apqn = APQN(self->adapter, APQI(slow->apqn));
	struct held held;

	ASSERT_EQ(0, mdev_assign(slow->uuid, "assign_adapter", self->adapter));
	hold_up(_metadata, &held, slow, NULL);
	ASSERT_EQ(0, hw_change("adapter add %d", self->adapter));
	goes_on(_metadata, slow, rescan);
	EXPECT_TRUE(has_card(self->adapter));
	EXPECT_FALSE(HAS(slow, apqn));
	EXPECT_TRUE(HAS(slow, slow->apqn));
	let_go(_metadata, &held);
	EXPECT_TRUE(WAIT_FOR(slow, apqn));
	EXPECT_TRUE(WAIT_FOR(slow, slow->apqn));
}

C_DEFECT(scan, guest, own_adapter_comes, SCAN_WAITS);

/* A domain that nobody has, with its queues of all adapters. */
TEST_F(scan, domain_comes_and_vanishes)
{
	char path[128];
	struct held held;

	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x", host.adapter[0],
		 self->domain);
	hold_up(_metadata, &held, &self->slow, NULL);
	ASSERT_EQ(0, hw_change("domain add %u", self->domain));
	goes_on(_metadata, &self->slow, rescan);
	EXPECT_TRUE(path_exists(path));
	ASSERT_EQ(0, hw_change("domain remove %u", self->domain));
	goes_on(_metadata, &self->slow, rescan);
	EXPECT_FALSE(path_exists(path));
	let_go(_metadata, &held);
	EXPECT_TRUE(WAIT_FOR(&self->slow, self->slow.apqn));
}

C_DEFECT(scan, guest, domain_comes_and_vanishes, SCAN_WAITS);

static bool has_control_domain(void *data)
{
	struct guest_queue *queue = data;
	struct ap_result result;
	struct ap_qci qci;

	return !ap_qci(&queue->guest->vmm, &qci, &result) && !result.pgm &&
	       mask_test(qci.adm, APQI(queue->apqn));
}

TEST_F(scan, own_control_domain_comes)
{
	struct guest *slow = &self->slow;
	struct guest_queue queue = { .guest = slow, .apqn = self->domain };
	struct held held;

	ASSERT_EQ(0, mdev_assign(slow->uuid, "assign_control_domain",
				 self->domain));
	hold_up(_metadata, &held, slow, NULL);
	ASSERT_EQ(0, hw_change("domain add %u usage=off", self->domain));
	goes_on(_metadata, slow, rescan);
	let_go(_metadata, &held);
	EXPECT_TRUE(wait_until(has_control_domain, &queue, hang_ms));
	EXPECT_TRUE(WAIT_FOR(slow, slow->apqn));
}

C_DEFECT(scan, guest, own_control_domain_comes, SCAN_WAITS);

/* --- others are administered ------------------------------------------------ */

FIXTURE(others)
{
	struct guest slow;
	struct guest other;
	int adapter;
};

FIXTURE_VARIANT(others)
{
	int (*change)(struct guest *slow);
	/* The scan waits, with the bus's lock held, to take an adapter from the guest. */
	bool vanishes;
};

static int unassign(struct guest *guest)
{
	return mdev_assign(guest->uuid, "unassign_adapter", APID(guest->apqn));
}

static int clear_config(struct guest *guest)
{
	const uint64_t none[4] = {};
	char mask[MASK_LENGTH], config[256];

	mask_format(none, mask);
	snprintf(config, sizeof(config), "%s,%s,%s", mask, mask, mask);
	return mdev_write(guest->uuid, "ap_config", config);
}

static int assign_control_domain(struct guest *guest)
{
	return mdev_assign(guest->uuid, "assign_control_domain",
			   APQI(guest->apqn));
}

static int unbind(struct guest *guest)
{
	return queue_unbind(guest->apqn);
}

FIXTURE_VARIANT_ADD(others, unassign)
{
	.change = unassign,
};

FIXTURE_VARIANT_ADD(others, ap_config)
{
	.change = clear_config,
};

FIXTURE_VARIANT_ADD(others, control_domain)
{
	.change = assign_control_domain,
};

FIXTURE_VARIANT_ADD(others, unbind)
{
	.change = unbind,
};

FIXTURE_VARIANT_ADD(others, scan)
{
	.change = rescan,
	.vanishes = true,
};

FIXTURE_SETUP(others)
{
	test_begin();
	self->adapter = -1;
	if (host.nr_adapters < 2 || host.nr_domains < 2)
		test_skip(_metadata, "needs two adapters and two domains");
	if (variant->vanishes && !host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	if (variant->vanishes && !host_gives_all_adapters())
		test_skip(_metadata, "not all adapters are vfio_ap's");
	GUEST_UP(&self->slow);
	GUEST_UP(&self->other, .nth = 1, .first_domain = 1);
	if (variant->vanishes) {
		self->adapter = host_free_adapter();
		if (self->adapter < 0)
			test_skip(_metadata, "the host has every adapter");
		add_adapter(_metadata, self->adapter, &self->slow);
	}
}

FIXTURE_TEARDOWN_PARENT(others)
{
	if (variant->vanishes && self->adapter >= 0) {
		hw_change("adapter remove %d >/dev/null 2>&1", self->adapter);
		bus_rescan();
		queues_settle();
	}
	test_end();
}

/* Which step went wrong, and how. */
static const char *wrong_step;
static int wrong_result;

#define STEP(expected, call)						\
	do {								\
		int _ret = call;					\
									\
		if (_ret != (expected)) {				\
			wrong_step = #call;				\
			wrong_result = _ret;				\
			return _ret;					\
		}							\
	} while (0)

/* A third mediated device lives its life. */
static int third_device(struct guest *other)
{
	unsigned int a = host.adapter[host.nr_adapters - 1];
	unsigned int d = host.domain[host.nr_domains - 1];
	char uuid[UUID_LENGTH], config[256], text[4097];

	mdev_uuid(uuid, 9);
	STEP(0, mdev_create(uuid));
	STEP(0, mdev_assign(uuid, "assign_adapter", a));
	STEP(0, mdev_assign(uuid, "assign_domain", d));
	STEP(0, mdev_assign(uuid, "assign_control_domain", d));
	STEP(true, mdev_read(uuid, "ap_config", config, sizeof(config)) > 0);
	STEP(true, mdev_read(uuid, "guest_matrix", text, sizeof(text)) > 0);
	STEP(0, mdev_assign(uuid, "unassign_adapter", a));
	STEP(0, mdev_assign(uuid, "unassign_domain", d));
	STEP(0, mdev_write(uuid, "ap_config", config));
	STEP(0, mdev_assign(uuid, "unassign_control_domain", d));
	STEP(-EADDRINUSE, mdev_assign(uuid, "assign_adapter",
				      APID(other->apqn)) ?:
			  mdev_assign(uuid, "assign_domain",
				      APQI(other->apqn)));
	STEP(0, mdev_remove(uuid));
	return 0;
}

/* A queue that nobody has is bound and unbound. */
static int free_queue(struct guest *other)
{
	uint16_t apqn = APQN(host.adapter[host.nr_adapters - 1],
			     host.domain[host.nr_domains - 1]);
	char text[64];

	STEP(0, queue_unbind(apqn));
	STEP(0, queue_bind(apqn, "vfio_ap"));
	STEP(true, queue_status(apqn, text, sizeof(text)) > 0);
	return 0;
}

/* The bus asks whether it may have the other guest's queue. */
static int bus_asks(struct guest *other)
{
	uint64_t aqmask[4];
	char text[16];

	snprintf(text, sizeof(text), "+%u", APID(other->apqn));
	STEP(0, mask_parse(host.test_aqmask, aqmask));
	if (mask_test(aqmask, APQI(other->apqn)))
		STEP(-EBUSY, sysfs_write(AP_BUS "/apmask", text));
	return 0;
}

static int lose_queue(struct guest *guest)
{
	STEP(0, mdev_assign(guest->uuid, "unassign_domain",
			    APQI(guest->apqn)));
	STEP(0, mdev_assign(guest->uuid, "assign_domain", APQI(guest->apqn)));
	return 0;
}

static int rebind(struct guest *guest)
{
	STEP(0, queue_unbind(guest->apqn));
	STEP(0, queue_bind(guest->apqn, "vfio_ap"));
	return 0;
}

static int reopen(struct guest *guest)
{
	guest_down(guest);
	STEP(0, guest_up(guest, &(struct guest_config){
		.nth = 1, .first_domain = 1, .no_mdev = true }));
	return 0;
}

TEST_F(others, are_administered)
{
	static int (*const steps[])(struct guest *other) = {
		third_device, free_queue, bus_asks, lose_queue, rebind, reopen,
	};
	struct guest *slow = &self->slow, *other = &self->other;
	struct ap_result result;
	struct held held;
	unsigned int i;

	hold_up(_metadata, &held, slow, NULL);
	if (variant->vanishes)
		ASSERT_EQ(0, hw_change("adapter remove %d", self->adapter));
	begin_change(_metadata, &held, slow, variant->change);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		goes_on(_metadata, other, steps[i]);
		EXPECT_EQ(NULL, wrong_step)
			TH_LOG("%s: %d", wrong_step, wrong_result);
	}
	ASSERT_OK(ap_enable_irq(&other->vmm, other->apqn, ISC, GUEST_NIB,
				&result), other->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	let_go(_metadata, &held);
	if (variant->vanishes)
		EXPECT_FALSE(HAS(slow, APQN(self->adapter, APQI(slow->apqn))));
	EXPECT_TRUE(HAS(other, other->apqn));
}

#define WAITS_FOR_VMM	"one mutex for all, held while it waits for kvm->lock"
C_DEFECT(others, unassign, are_administered, WAITS_FOR_VMM);
C_DEFECT(others, ap_config, are_administered, WAITS_FOR_VMM);
C_DEFECT(others, control_domain, are_administered, WAITS_FOR_VMM);
C_DEFECT(others, unbind, are_administered, WAITS_FOR_VMM);
C_DEFECT(others, scan, are_administered, WAITS_FOR_VMM);

/* --- the host takes a queue back -------------------------------------------- */

/*
 * All queues are the host's, but one has been given to vfio_ap by a driver override. Its
 * device goes; the next one is the host's driver's, and the guest must not have it then.
 */
#define HOST_DRIVER	"cex4queue"

FIXTURE(reclaimed)
{
	struct guest guest;
	int adapter;
};

FIXTURE_VARIANT(reclaimed)
{
	bool vanishes;	/* with its adapter, instead of being unbound */
	bool nested;	/* who must not have it is a guest of the guest */
};

FIXTURE_VARIANT_ADD(reclaimed, unbound)
{
};

FIXTURE_VARIANT_ADD(reclaimed, adapter_vanishes)
{
	.vanishes = true,
};

FIXTURE_VARIANT_ADD(reclaimed, unbound_nested)
{
	.nested = true,
};

FIXTURE_VARIANT_ADD(reclaimed, adapter_vanishes_nested)
{
	.vanishes = true,
	.nested = true,
};

/* Can guests have guests? */
static bool kvm_is_nested(void)
{
	char text[8] = "";

	sysfs_read("/sys/module/kvm/parameters/nested", text, sizeof(text));
	return atoi(text);
}

static int write_override(uint16_t apqn, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/driver_override",
		 APID(apqn), APQI(apqn));
	return sysfs_write(path, driver);
}

FIXTURE_SETUP(reclaimed)
{
	const uint64_t mask[4] = { ~0UL, ~0UL, ~0UL, ~0UL };
	struct guest *guest = &self->guest;
	struct ap_result result;
	char all[MASK_LENGTH];
	uint16_t apqn;
	int ret;

	test_begin();
	self->adapter = -1;
	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	if (!path_exists(AP_BUS "/drivers/" HOST_DRIVER))
		test_skip(_metadata, "the host's own driver is not there");
	if (variant->nested && !kvm_is_nested())
		test_skip(_metadata, "kvm was loaded without nested=1");
	mask_format(mask, all);
	ASSERT_EQ(0, sysfs_write(AP_BUS "/aqmask", all));
	ASSERT_EQ(0, sysfs_write(AP_BUS "/apmask", all));
	self->adapter = host_free_adapter();
	if (self->adapter < 0)
		test_skip(_metadata, "the host has every adapter");
	apqn = APQN(self->adapter, host.domain[0]);
	ASSERT_EQ(0, hw_change("adapter add %d", self->adapter));
	ASSERT_EQ(0, bus_rescan());
	queue_settle(apqn);

	GUEST_UP(guest, .no_device = true, .vmm.nested = variant->nested);
	guest->apqn = apqn;
	ASSERT_EQ(0, mdev_create(guest->uuid));
	/*
	 * The override is taken back as soon as the queue is assigned. The AP bus counts
	 * overrides, and forgets none with its device: no mask could be written after that.
	 */
	ASSERT_EQ(0, write_override(apqn, "vfio_ap"));
	ret = queue_unbind(apqn);
	ret = ret ?: queue_bind(apqn, "vfio_ap");
	ret = ret ?: mdev_assign(guest->uuid, "assign_adapter", self->adapter);
	ret = ret ?: mdev_assign(guest->uuid, "assign_domain", APQI(apqn));
	EXPECT_EQ(0, write_override(apqn, "\n"));
	ASSERT_EQ(0, ret);
	ASSERT_OK(vmm_vfio_open(&guest->vfio, &guest->vmm, guest->uuid, false),
		  guest->vfio.error);
	queue_settle(apqn);
	ASSERT_OK(ap_reset(&guest->vmm, apqn, &result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
}

FIXTURE_TEARDOWN_PARENT(reclaimed)
{
	if (self->adapter >= 0) {
		hw_change("adapter remove %d >/dev/null 2>&1", self->adapter);
		bus_rescan();
	}
	test_end();
	masks_restore();
	queues_settle();
}

static bool host_has_it(void *data)
{
	struct guest *guest = data;
	char driver[64] = "";

	return !queue_driver(guest->apqn, driver, sizeof(driver)) &&
	       !strcmp(driver, HOST_DRIVER);
}

struct watcher {
	struct guest *guest;
	bool nested;
	bool stop;
	unsigned int seen;	/* how often it was the host's */
	unsigned int wrong;	/* and the guest had it all the same */
};

/* What whoever is watched gets for an answer, or a negative errno */
static int watched_response(struct watcher *watcher)
{
	struct guest *guest = watcher->guest;
	struct ap_result result;

	if (watcher->nested)
		return nested_look(&guest->vmm, hang_ms);
	return ap_tapq(&guest->vmm, guest->apqn, &result) ?: (int)result.rc;
}

static void *watch(void *data)
{
	struct watcher *watcher = data;
	struct guest *guest = watcher->guest;

	while (!__atomic_load_n(&watcher->stop, __ATOMIC_SEQ_CST)) {
		bool before = host_has_it(guest);
		int rc = watched_response(watcher);

		if (rc < 0)
			break;
		if (!before || !host_has_it(guest))
			continue;
		watcher->seen++;
		watcher->wrong += rc != AP_RC_NOT_AVAILABLE;
	}
	return NULL;
}

static int give_to_host(struct guest *guest)
{
	return queue_unbind(guest->apqn) ?: queue_bind(guest->apqn, HOST_DRIVER);
}

TEST_F(reclaimed, guest_does_not_have_it)
{
	struct guest *guest = &self->guest;
	struct watcher watcher = { .guest = guest, .nested = variant->nested };
	struct ap_result result;
	char text[4097] = "";
	struct held held;
	pthread_t thread;

	if (variant->nested) {
		ASSERT_OK(nested_start(&guest->vmm, 0, guest->apqn), guest->vmm.error);
		/* It does have the queue as yet. */
		ASSERT_EQ(AP_RC_NORMAL, nested_look(&guest->vmm, hang_ms));
	}
	hold_up(_metadata, &held, guest, NULL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, watch, &watcher));
	if (variant->vanishes)
		ASSERT_EQ(0, hw_change("adapter remove %d", self->adapter));
	begin_change(_metadata, &held, guest,
		     variant->vanishes ? rescan : give_to_host);
	if (variant->vanishes)
		ASSERT_EQ(0, hw_change("adapter add %d", self->adapter));
	/* As long as the guest may have it, it is nobody else's. */
	sleep_ms(300);
	EXPECT_FALSE(host_has_it(guest));
	let_go(_metadata, &held);
	if (variant->vanishes)
		EXPECT_EQ(0, bus_rescan());
	EXPECT_TRUE(wait_until(host_has_it, guest, hang_ms));
	/* Nor does another scan give it to the guest. */
	EXPECT_EQ(0, bus_rescan());
	sleep_ms(200);
	__atomic_store_n(&watcher.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	if (variant->nested)
		ASSERT_OK(nested_stop(&guest->vmm, 0), guest->vmm.error);
	EXPECT_LT(0, watcher.seen);
	EXPECT_EQ(0, watcher.wrong);
	EXPECT_TRUE(guest_lost_queue(guest));
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	EXPECT_LE(0, mdev_read(guest->uuid, "guest_matrix", text, sizeof(text)));
	EXPECT_FALSE(HAS(guest, guest->apqn))
		TH_LOG("guest_matrix: %s", text);
}

/* --- the lock is taken again and again -------------------------------------- */

/* A thread that has kvm->lock for a millisecond, again and again. */
struct hammer {
	struct guest *guest;
	void *page;
	int uffd;
	bool stop;
	/* The holder has stopped, and needs its page no more. */
	bool has_stopped;
	unsigned long holds;
	pthread_t holder;
	pthread_t provider;
};

static void *hold_again(void *data)
{
	struct hammer *hammer = data;

	while (!__atomic_load_n(&hammer->stop, __ATOMIC_SEQ_CST)) {
		madvise(hammer->page, getpagesize(), MADV_DONTNEED);
		if (set_clock_from(hammer->guest, hammer->page))
			break;
		__atomic_add_fetch(&hammer->holds, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void *provide_again(void *data)
{
	struct hammer *hammer = data;
	struct pollfd fault = { .fd = hammer->uffd, .events = POLLIN };
	struct uffd_msg message;

	while (!__atomic_load_n(&hammer->has_stopped, __ATOMIC_SEQ_CST)) {
		if (poll(&fault, 1, 20) != 1)
			continue;
		if (read(hammer->uffd, &message, sizeof(message)) < 0)
			continue;
		usleep(1000);
		provide_page(hammer->uffd, hammer->page);
	}
	return NULL;
}

FIXTURE(hammered)
{
	struct guest guest;
};

FIXTURE_SETUP(hammered)
{
	test_begin();
	GUEST_UP(&self->guest);
}

FIXTURE_TEARDOWN_PARENT(hammered)
{
	test_end();
}

TEST_F(hammered, changes_are_not_starved)
{
	struct hammer hammers[HAMMERS] = {};
	struct guest *guest = &self->guest;
	unsigned int a = APID(guest->apqn), i;
	uint64_t longest = 0;

	for (i = 0; i < HAMMERS; i++) {
		hammers[i].guest = guest;
		hammers[i].uffd = watch_page(_metadata, &hammers[i].page);
		ASSERT_EQ(0, pthread_create(&hammers[i].provider, NULL,
					    provide_again, &hammers[i]));
		ASSERT_EQ(0, pthread_create(&hammers[i].holder, NULL,
					    hold_again, &hammers[i]));
	}
	for (i = 0; i < 2 * PAIRS; i++) {
		uint64_t start = now_ms(), took;

		ASSERT_EQ(0, mdev_assign(guest->uuid, i & 1 ?
					 "assign_adapter" : "unassign_adapter",
					 a));
		took = now_ms() - start;
		longest = took > longest ? took : longest;
		EXPECT_EQ(i & 1, HAS(guest, guest->apqn))
			TH_LOG("change %u", i);
	}
	for (i = 0; i < HAMMERS; i++) {
		__atomic_store_n(&hammers[i].stop, true, __ATOMIC_SEQ_CST);
		pthread_join(hammers[i].holder, NULL);
		__atomic_store_n(&hammers[i].has_stopped, true, __ATOMIC_SEQ_CST);
		pthread_join(hammers[i].provider, NULL);
		EXPECT_LT(PAIRS, hammers[i].holds);
		close(hammers[i].uffd);
	}
	EXPECT_GE(LONGEST_MS * test_timeout_factor(), longest);
	TH_LOG("the longest of %u changes took %lu ms, the lock was taken %lu times",
	       2 * PAIRS, longest, hammers[0].holds + hammers[1].holds);
}
