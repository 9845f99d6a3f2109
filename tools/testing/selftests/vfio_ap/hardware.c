// SPDX-License-Identifier: GPL-2.0
/*
 * What the driver makes of what hardware says: the response codes of a reset,
 * types of adapters, and changes of the host's AP configuration.
 *
 * All of it takes aphw, the emulated host's tool.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define ISC	3

/* VFIO_AP_CFG_CHG_IRQ_INDEX: newer than many headers. */
#define CFG_CHG_IRQ	1

/* Of ZAPQ and TAPQ, where guests can be protected. */
#define AP_RC_STATE_CHANGE	0x0a
#define AP_RC_ASSOC_NOT_UNIQUE	0x35
#define AP_RC_ASSOC_FAILED	0x36

#define NEED_APHW()							\
	do {								\
		if (!host.has_aphw)					\
			test_skip(_metadata, "needs aphw, the emulated host's tool"); \
	} while (0)

/* --- the response codes of a reset ---------------------------------------- */

FIXTURE(reset_code)
{
	struct guest guest;
};

FIXTURE_SETUP(reset_code)
{
	struct ap_result result;

	test_begin();
	NEED_APHW();
	GUEST_UP(&self->guest);
	/* Something to be given back. */
	ASSERT_OK(ap_enable_irq(&self->guest.vmm, self->guest.apqn, ISC,
				GUEST_NIB, &result), self->guest.vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_EQ(4, pinned_kib());
}

FIXTURE_TEARDOWN_PARENT(reset_code)
{
	unsigned int apqn = self->guest.apqn;

	hw_change("queue %02x.%04x response zapq none >/dev/null", APID(apqn),
		  APQI(apqn));
	hw_change("queue %02x.%04x response tapq none >/dev/null", APID(apqn),
		  APQI(apqn));
	hw_change("queue %02x.%04x reset-time 1 >/dev/null", APID(apqn),
		  APQI(apqn));
	hw_change("adapter %u configure >/dev/null", APID(apqn));
	hw_change("adapter %u recover >/dev/null", APID(apqn));
	bus_rescan();
	queues_settle();
	test_end();
}

#define QUEUE(fmt, ...)							\
	ASSERT_EQ(0, hw_change("queue %02x.%04x " fmt " >/dev/null",	\
			       APID(self->guest.apqn),			\
			       APQI(self->guest.apqn), ##__VA_ARGS__))

static int reset_device(struct guest *guest)
{
	return ioctl(guest->vfio.device, VFIO_DEVICE_RESET) ? -errno : 0;
}

/* The queue is the guest's, as new, and holds nothing. */
static void check_new(struct __test_metadata *_metadata, struct guest *guest)
{
	struct ap_result result;

	EXPECT_EQ(0, pinned_kib());
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(AP_EMPTY, result.flags);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
}

/* A reset that is not accepted at first is asked for again. */
TEST_F(reset_code, refused_at_first)
{
	static const uint8_t codes[] = {
		AP_RC_BUSY, AP_RC_RESET, AP_RC_STATE_CHANGE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		QUEUE("response zapq %02x count 3", codes[i]);
		EXPECT_EQ(0, reset_device(&self->guest))
			TH_LOG("response code %02x", codes[i]);
		check_new(_metadata, &self->guest);
	}
}

/* When the reset's ioctl returns, the queue is ready. */
TEST_F(reset_code, takes_its_time)
{
	QUEUE("reset-time 300");
	EXPECT_EQ(0, reset_device(&self->guest));
	check_new(_metadata, &self->guest);
}

/* A failed association of a secret goes away with another reset. */
TEST_F(reset_code, association_failed)
{
	static const uint8_t codes[] = {
		AP_RC_ASSOC_NOT_UNIQUE, AP_RC_ASSOC_FAILED,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		QUEUE("response tapq %02x count 1", codes[i]);
		EXPECT_EQ(0, reset_device(&self->guest))
			TH_LOG("response code %02x", codes[i]);
		check_new(_metadata, &self->guest);
	}
}

/*
 * An adapter that is not there to be reset: whoever asked is told. Its queue
 * holds nothing, and the guest keeps it.
 */
TEST_F(reset_code, adapter_is_away)
{
	static const char * const off[] = { "deconfigure", "checkstop" };
	static const char * const on[] = { "configure", "recover" };
	struct guest *guest = &self->guest;
	char before[4097], after[4097];
	unsigned int i;

	ASSERT_LT(0, mdev_read(guest->uuid, "guest_matrix", before,
			       sizeof(before)));
	for (i = 0; i < ARRAY_SIZE(off); i++) {
		ASSERT_EQ(0, hw_change("adapter %u %s", APID(guest->apqn),
				       off[i]));
		EXPECT_EQ(-EIO, reset_device(guest))
			TH_LOG("%s", off[i]);
		EXPECT_EQ(0, pinned_kib());
		ASSERT_EQ(0, bus_rescan());
		ASSERT_LT(0, mdev_read(guest->uuid, "guest_matrix", after,
				       sizeof(after)));
		EXPECT_STREQ(before, after);
		ASSERT_EQ(0, hw_change("adapter %u %s", APID(guest->apqn),
				       on[i]));
		ASSERT_EQ(0, bus_rescan());
		queues_settle();
		EXPECT_EQ(0, reset_device(guest));
		check_new(_metadata, guest);
	}
}

/* A queue that is gone by then: whoever asked is told, and nothing is kept. */
TEST_F(reset_code, queue_is_gone)
{
	struct guest *guest = &self->guest;

	QUEUE("response zapq 1");
	EXPECT_EQ(-EIO, reset_device(guest));
	EXPECT_EQ(0, pinned_kib());
	QUEUE("response zapq none");
	EXPECT_EQ(0, reset_device(guest));
	check_new(_metadata, guest);
}

/* A queue that was not reset is nobody's, and so is its adapter. */
TEST_F(reset_code, no_reset_no_guest)
{
	struct guest *guest = &self->guest;
	char before[4097], after[4097];
	struct ap_result result;

	SKIP_ON_C("warns, and leaves the queue to the guest");
	ASSERT_LT(0, mdev_read(guest->uuid, "guest_matrix", before,
			       sizeof(before)));
	QUEUE("response zapq 6");
	EXPECT_EQ(-EIO, reset_device(guest));
	ASSERT_LE(0, mdev_read(guest->uuid, "guest_matrix", after,
			       sizeof(after)));
	EXPECT_STRNE(before, after);
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);

	QUEUE("response zapq none");
	EXPECT_EQ(0, reset_device(guest));
	ASSERT_LT(0, mdev_read(guest->uuid, "guest_matrix", after,
			       sizeof(after)));
	EXPECT_STREQ(before, after);
	check_new(_metadata, guest);
}

/* --- the driver is taken away from it, and comes back ----------------------- */

FIXTURE(unbound)
{
	struct guest guest;
};

FIXTURE_VARIANT(unbound)
{
	const char *begin;	/* what is done to the queue or its adapter */
	const char *end;
	bool adapter;
	bool resets;		/* the guest has just begun a reset */
};

#define UNBOUND(name, ...)						\
	FIXTURE_VARIANT_ADD(unbound, name) { __VA_ARGS__ }

UNBOUND(in_reset, .begin = "reset-time 400", .end = "reset-time 1",
	.resets = true);
UNBOUND(reset_is_refused, .begin = "response zapq 5 count 5",
	.end = "response zapq none");
UNBOUND(irq_cannot_be_disabled, .begin = "response aqic 5",
	.end = "response aqic none");
UNBOUND(irq_is_slow, .begin = "irq-time 300", .end = "irq-time 0");
UNBOUND(deconfigured, .begin = "deconfigure", .end = "configure",
	.adapter = true);
UNBOUND(checkstopped, .begin = "checkstop", .end = "recover", .adapter = true);

static int change_queue(struct guest *guest, bool adapter, const char *what)
{
	if (adapter)
		return hw_change("adapter %u %s >/dev/null", APID(guest->apqn),
				 what);
	return hw_change("queue %02x.%04x %s >/dev/null", APID(guest->apqn),
			 APQI(guest->apqn), what);
}

FIXTURE_SETUP(unbound)
{
	struct ap_result result;

	test_begin();
	NEED_APHW();
	GUEST_UP(&self->guest);
	ASSERT_OK(ap_enable_irq(&self->guest.vmm, self->guest.apqn, ISC,
				GUEST_NIB, &result), self->guest.vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
}

FIXTURE_TEARDOWN_PARENT(unbound)
{
	change_queue(&self->guest, variant->adapter, variant->end);
	bus_rescan();
	queues_settle();
	test_end();
}

/* Does the guest have its queue, as new? */
static bool has_new_queue(void *data)
{
	struct guest *guest = data;
	struct ap_result result;

	return !ap_tapq(&guest->vmm, guest->apqn, &result) &&
	       result.rc == AP_RC_NORMAL && result.flags == AP_EMPTY;
}

/* In whatever state a queue is: it goes, holds nothing, and comes back as new. */
TEST_F(unbound, and_bound)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	ASSERT_EQ(0, change_queue(guest, variant->adapter, variant->begin));
	if (variant->adapter)
		ASSERT_EQ(0, bus_rescan());
	if (variant->resets)
		ASSERT_OK(ap_zapq(&guest->vmm, guest->apqn, &result),
			  guest->vmm.error);
	ASSERT_EQ(0, queue_unbind(guest->apqn));
	EXPECT_TRUE(guest_lost_queue(guest));
	EXPECT_EQ(0, pinned_kib());
	ASSERT_EQ(0, change_queue(guest, variant->adapter, variant->end));
	if (variant->adapter)
		ASSERT_EQ(0, bus_rescan());
	ASSERT_EQ(0, queue_bind(guest->apqn, "vfio_ap"));
	EXPECT_TRUE(wait_until(has_new_queue, guest, hang_ms));
	queue_settle(guest->apqn);
	ASSERT_OK(ap_reset(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	check_new(_metadata, guest);
}

/* --- the host's configuration --------------------------------------------- */

FIXTURE(configuration)
{
	struct guest guest;
	int adapter;		/* one that the host does not have */
	unsigned int domain;	/* likewise */
};

FIXTURE_SETUP(configuration)
{
	int domain;

	test_begin();
	NEED_APHW();
	/* Reserved for the host's drivers, were they there? */
	if (!host_gives_all_adapters())
		test_skip(_metadata, "not all adapters are vfio_ap's");
	self->adapter = host_free_adapter();
	domain = host_free_domain();
	if (self->adapter < 0 || domain < 0)
		test_skip(_metadata, "the host has every adapter or domain");
	self->domain = domain;
	GUEST_UP(&self->guest);
}

FIXTURE_TEARDOWN_PARENT(configuration)
{
	hw_change("adapter remove %u >/dev/null 2>&1", self->adapter);
	hw_change("domain remove %u >/dev/null 2>&1", self->domain);
	hw_change("adapter %u reset-time 1 >/dev/null",
		  APID(self->guest.apqn));
	bus_rescan();
	queues_settle();
	test_end();
}

struct expected_mask {
	struct guest *guest;
	unsigned int bit;
	enum { APM, AQM, ADM } mask;
	bool on;
};

static bool mask_is(void *data)
{
	struct expected_mask *expected = data;
	struct ap_result result;
	struct ap_qci qci;
	const uint64_t *mask;

	if (ap_qci(&expected->guest->vmm, &qci, &result) || result.pgm)
		return false;
	mask = expected->mask == APM ? qci.apm :
	       expected->mask == AQM ? qci.aqm : qci.adm;
	return mask_test(mask, expected->bit) == expected->on;
}

#define EXPECT_MASK(which, number, value)				\
	EXPECT_TRUE(wait_until(mask_is, &(struct expected_mask){	\
		.guest = &self->guest, .bit = number, .mask = which,	\
		.on = value }, hang_ms))					\
		TH_LOG("%s %u", #which, number)

/* A usage domain that is assigned before the host has it. */
TEST_F(configuration, usage_domain)
{
	struct guest *guest = &self->guest;
	uint16_t apqn = APQN(APID(guest->apqn), self->domain);
	struct ap_result result;
	char text[64] = "";

	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain", self->domain));
	EXPECT_MASK(AQM, self->domain, false);
	/* What is there is not disturbed. */
	EXPECT_MASK(APM, APID(guest->apqn), true);
	EXPECT_MASK(AQM, APQI(guest->apqn), true);

	/* Nor when the new queue's reset takes longer than anybody waits. */
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_EQ(0, hw_change("adapter %u reset-time 1000 >/dev/null",
			       APID(guest->apqn)));
	ASSERT_EQ(0, hw_change("domain add %u control=off", self->domain));
	ASSERT_EQ(0, bus_rescan());
	EXPECT_MASK(AQM, self->domain, true);
	EXPECT_MASK(APM, APID(guest->apqn), true);
	EXPECT_EQ(4, pinned_kib());
	ASSERT_EQ(0, hw_change("adapter %u reset-time 1 >/dev/null",
			       APID(guest->apqn)));
	ASSERT_OK(ap_disable_irq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_LT(0, queue_status(apqn, text, sizeof(text)));
	EXPECT_STREQ("in use", text);
	queue_settle(apqn);
	ASSERT_OK(ap_reset(&guest->vmm, apqn, &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_OK(ap_enable_irq(&guest->vmm, apqn, ISC, GUEST_NIB, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);

	ASSERT_EQ(0, hw_change("domain remove %u", self->domain));
	ASSERT_EQ(0, bus_rescan());
	EXPECT_MASK(AQM, self->domain, false);
	EXPECT_MASK(APM, APID(guest->apqn), true);
	EXPECT_MASK(AQM, APQI(guest->apqn), true);
	EXPECT_EQ(0, pinned_kib());
}

/*
 * A usage domain is assigned while its queue is being reset. What the guest has is
 * not disturbed, and the domain comes when the queue is clean.
 */
TEST_F(configuration, domain_in_reset)
{
	struct guest *guest = &self->guest;
	uint16_t apqn = APQN(APID(guest->apqn), self->domain);
	struct ap_result result;

	ASSERT_EQ(0, hw_change("domain add %u control=off", self->domain));
	ASSERT_EQ(0, bus_rescan());
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_EQ(0, queue_unbind(apqn));
	ASSERT_EQ(0, hw_change("adapter %u reset-time 1000 >/dev/null",
			       APID(guest->apqn)));
	ASSERT_EQ(0, queue_bind(apqn, "vfio_ap"));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain", self->domain));
	EXPECT_MASK(AQM, self->domain, true);
	EXPECT_MASK(APM, APID(guest->apqn), true);
	EXPECT_EQ(4, pinned_kib());
	ASSERT_EQ(0, hw_change("adapter %u reset-time 1 >/dev/null",
			       APID(guest->apqn)));
	ASSERT_OK(ap_disable_irq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);

	/* A queue that is not bound costs the adapter, as ever. */
	ASSERT_EQ(0, queue_unbind(apqn));
	EXPECT_MASK(APM, APID(guest->apqn), false);
	ASSERT_EQ(0, queue_bind(apqn, "vfio_ap"));
	EXPECT_MASK(APM, APID(guest->apqn), true);
	ASSERT_EQ(0, hw_change("domain remove %u", self->domain));
	ASSERT_EQ(0, bus_rescan());
}

/* A control domain, likewise. */
TEST_F(configuration, control_domain)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_control_domain",
				 self->domain));
	EXPECT_MASK(ADM, self->domain, false);
	ASSERT_EQ(0, hw_change("domain add %u usage=off", self->domain));
	ASSERT_EQ(0, bus_rescan());
	EXPECT_MASK(ADM, self->domain, true);
	EXPECT_MASK(AQM, self->domain, false);
	EXPECT_MASK(APM, APID(guest->apqn), true);
	ASSERT_EQ(0, hw_change("domain remove %u", self->domain));
	ASSERT_EQ(0, bus_rescan());
	EXPECT_MASK(ADM, self->domain, false);
	EXPECT_MASK(APM, APID(guest->apqn), true);
}

/*
 * The guest's last adapter is unplugged, while its queue has interrupts enabled: what
 * they hold is given back, and the guest has nothing, until the adapter is back.
 */
static void last_one_is_unplugged(struct __test_metadata *_metadata,
				  struct guest *guest, const char *what,
				  unsigned int number, uint16_t apqn)
{
	char text[4097], shown[64], attribute[32];
	struct ap_result result;
	struct ap_qci qci;
	unsigned int i;

	ASSERT_EQ(0, hw_change("%s add %u", what, number));
	ASSERT_EQ(0, bus_rescan());
	snprintf(attribute, sizeof(attribute), "assign_%s", what);
	ASSERT_EQ(0, mdev_assign(guest->uuid, attribute, number));
	snprintf(attribute, sizeof(attribute), "unassign_%s", what);
	ASSERT_EQ(0, mdev_assign(guest->uuid, attribute,
				 what[0] == 'a' ? APID(guest->apqn) :
						  APQI(guest->apqn)));
	snprintf(shown, sizeof(shown), "%02x.%04x\n", APID(apqn), APQI(apqn));
	for (i = 0; i < 2; i++) {
		if (i) {
			ASSERT_EQ(0, hw_change("%s add %u", what, number));
			ASSERT_EQ(0, bus_rescan());
		}
		ASSERT_OK(ap_await(&guest->vmm, apqn, AP_RC_NORMAL, 0, 0,
				   &result), guest->vmm.error);
		queue_settle(apqn);
		ASSERT_OK(ap_reset(&guest->vmm, apqn, &result), guest->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_OK(ap_enable_irq(&guest->vmm, apqn, ISC, GUEST_NIB,
					&result), guest->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		EXPECT_EQ(4, pinned_kib());
		ASSERT_LE(0, mdev_read(guest->uuid, "guest_matrix", text,
				       sizeof(text)));
		EXPECT_STREQ(shown, text);

		ASSERT_EQ(0, hw_change("%s remove %u", what, number));
		ASSERT_EQ(0, bus_rescan());
		EXPECT_EQ(0, pinned_kib());
		ASSERT_OK(ap_qci(&guest->vmm, &qci, &result), guest->vmm.error);
		EXPECT_FALSE(mask_test(qci.apm, APID(apqn)) &&
			     mask_test(qci.aqm, APQI(apqn)));
		ASSERT_LE(0, mdev_read(guest->uuid, "guest_matrix", text,
				       sizeof(text)));
		EXPECT_EQ(NULL, strstr(text, shown));
	}
}

TEST_F(configuration, last_adapter_is_unplugged)
{
	struct guest *guest = &self->guest;

	last_one_is_unplugged(_metadata, guest, "adapter", self->adapter,
			      APQN(self->adapter, APQI(guest->apqn)));
}

TEST_F(configuration, last_domain_is_unplugged)
{
	struct guest *guest = &self->guest;

	last_one_is_unplugged(_metadata, guest, "domain", self->domain,
			      APQN(APID(guest->apqn), self->domain));
}

/* The guest is told of each change of its configuration by an eventfd. */
static int config_event(struct guest *guest)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irqs = {
		.set = {
			.argsz = sizeof(irqs),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = CFG_CHG_IRQ,
			.count = 1,
		},
		.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};

	if (irqs.fd < 0 ||
	    ioctl(guest->vfio.device, VFIO_DEVICE_SET_IRQS, &irqs))
		return -1;
	return irqs.fd;
}

static uint64_t told(int event)
{
	uint64_t count = 0;

	return read(event, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

struct told {
	int event;
	uint64_t count;
};

static bool is_told(void *data)
{
	struct told *told_so_far = data;

	told_so_far->count += told(told_so_far->event);
	return told_so_far->count;
}

/*
 * What comes and goes is the matter of the guest that it is assigned to. Another one is
 * not told, whichever of them the driver looks at first.
 */
TEST_F(configuration, others_are_not_told)
{
	const struct {
		const char *attribute;
		const char *add;
		const char *remove;
		unsigned int number;
	} parts[] = {
		{ "assign_adapter", "adapter add %u", "adapter remove %u",
		  self->adapter },
		{ "assign_domain", "domain add %u control=off",
		  "domain remove %u", self->domain },
		{ "assign_control_domain", "domain add %u usage=off",
		  "domain remove %u", self->domain },
	};
	struct guest second, *guests[] = { &self->guest, &second };
	struct told events[2];
	unsigned int i, n;

	if (host.nr_domains < 2)
		test_skip(_metadata, "needs two domains");
	GUEST_UP(&second, .nth = 1, .first_domain = 1);
	for (n = 0; n < 2; n++) {
		events[n].event = config_event(guests[n]);
		ASSERT_LE(0, events[n].event);
	}
	for (i = 0; i < 2 * ARRAY_SIZE(parts); i++) {
		unsigned int which = i / 2, owner = i & 1;
		char unassign[64];

		ASSERT_EQ(0, mdev_assign(guests[owner]->uuid,
					 parts[which].attribute,
					 parts[which].number));
		for (n = 0; n < 2; n++) {
			told(events[n].event);
			events[n].count = 0;
		}
		ASSERT_EQ(0, hw_change(parts[which].add, parts[which].number));
		ASSERT_EQ(0, bus_rescan());
		EXPECT_TRUE(wait_until(is_told, &events[owner], hang_ms))
			TH_LOG("guest %u, %s %u", owner, parts[which].attribute,
			       parts[which].number);
		events[owner].count = 0;
		ASSERT_EQ(0, hw_change(parts[which].remove, parts[which].number));
		ASSERT_EQ(0, bus_rescan());
		EXPECT_TRUE(wait_until(is_told, &events[owner], hang_ms))
			TH_LOG("guest %u, %s %u", owner, parts[which].attribute,
			       parts[which].number);
		EXPECT_EQ(0, told(events[!owner].event))
			TH_LOG("guest %u, %s %u of the other", !owner,
			       parts[which].attribute, parts[which].number);
		snprintf(unassign, sizeof(unassign), "un%s",
			 parts[which].attribute);
		ASSERT_EQ(0, mdev_assign(guests[owner]->uuid, unassign,
					 parts[which].number));
		for (n = 0; n < 2; n++)
			told(events[n].event);
	}
}

/* Adapters of every type that the driver takes, in every mode. */
TEST_F(configuration, every_type)
{
	static const char * const modes[] = { "accelerator", "cca", "ep11" };
	struct guest *guest = &self->guest;
	char driver[64], path[128], text[64];
	unsigned int type, mode;
	uint16_t apqn;

	apqn = APQN(self->adapter, APQI(guest->apqn));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter",
				 self->adapter));
	for (type = 4; type <= 8; type++) {
		for (mode = 0; mode < ARRAY_SIZE(modes); mode++) {
			ASSERT_EQ(0, hw_change("adapter add %u type=cex%u mode=%s",
					       self->adapter, type,
					       modes[mode]));
			ASSERT_EQ(0, bus_rescan());
			EXPECT_MASK(APM, self->adapter, true);
			ASSERT_EQ(0, queue_driver(apqn, driver,
						  sizeof(driver)));
			EXPECT_STREQ("vfio_ap", driver);
			snprintf(path, sizeof(path),
				 AP_DEVICES "/card%02x/hwtype", self->adapter);
			ASSERT_LT(0, sysfs_read(path, text, sizeof(text)));
			/* AP_DEVICE_TYPE_CEX4 is 10. */
			EXPECT_EQ(type + 6, strtoul(text, NULL, 10));
			queues_settle();
			ASSERT_EQ(0, hw_change("adapter remove %u",
					       self->adapter));
			ASSERT_EQ(0, bus_rescan());
			EXPECT_MASK(APM, self->adapter, false);
		}
	}
}

/*
 * An adapter older than CEX4 is nobody's, though it be assigned: it has no queue
 * devices, and the guest keeps what it has.
 */
TEST_F(configuration, older_than_cex4)
{
	static const char * const modes[] = { "accelerator", "cca" };
	struct guest *guest = &self->guest;
	char before[4097], after[4097], path[128];
	uint16_t apqn = APQN(self->adapter, APQI(guest->apqn));
	struct ap_result result;
	unsigned int mode;

	ASSERT_LT(0, mdev_read(guest->uuid, "guest_matrix", before,
			       sizeof(before)));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter",
				 self->adapter));
	for (mode = 0; mode < ARRAY_SIZE(modes); mode++) {
		ASSERT_EQ(0, hw_change("adapter add %u type=cex3 mode=%s",
				       self->adapter, modes[mode]));
		ASSERT_EQ(0, bus_rescan());
		ASSERT_EQ(0, bus_rescan());
		snprintf(path, sizeof(path), AP_DEVICES "/card%02x",
			 self->adapter);
		EXPECT_FALSE(path_exists(path));
		ASSERT_LT(0, mdev_read(guest->uuid, "guest_matrix", after,
				       sizeof(after)));
		EXPECT_STREQ(before, after);
		EXPECT_MASK(APM, self->adapter, false);
		EXPECT_MASK(APM, APID(guest->apqn), true);
		ASSERT_OK(ap_tapq(&guest->vmm, apqn, &result),
			  guest->vmm.error);
		EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
		ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
			  guest->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_EQ(0, hw_change("adapter remove %u", self->adapter));
		ASSERT_EQ(0, bus_rescan());
	}
	/* The same number in a newer adapter. */
	ASSERT_EQ(0, hw_change("adapter add %u type=cex4", self->adapter));
	ASSERT_EQ(0, bus_rescan());
	EXPECT_MASK(APM, self->adapter, true);
}
