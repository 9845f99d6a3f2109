// SPDX-License-Identifier: GPL-2.0
/*
 * A queue that is passed to a guest is as a reset leaves it, and stays so until the guest
 * does something: nothing is in it, and interrupts are off. The AP bus resets each queue
 * device that is new, or that was configured again, and then enables the host's
 * interrupts for it, whoever it is bound to. None of that may reach the guest, and no
 * interrupt of the guest's queue may reach the host.
 *
 * All of it takes aphw, the emulated host's tool.
 */
#include "lib/test.h"

#define ISC	3
#define PSMID	0x5151UL
#define ROUNDS	20
/* Longer than the AP bus takes for all that it does to a queue. */
#define STAYS_MS	150

FIXTURE(handover)
{
	struct guest guest;
	int adapter;		/* that the host does not have */
	int domain;		/* likewise */
};

FIXTURE_VARIANT(handover)
{
	unsigned int reset_ms;	/* of each new queue */
};

FIXTURE_VARIANT_ADD(handover, fast)
{
	.reset_ms = 1,
};

FIXTURE_VARIANT_ADD(handover, slow)
{
	.reset_ms = 60,
};

FIXTURE_SETUP(handover)
{
	test_begin();
	self->adapter = -1;
	self->domain = -1;
	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	if (!host_gives_all_adapters())
		test_skip(_metadata, "not all adapters are vfio_ap's");
	self->adapter = host_free_adapter();
	self->domain = host_free_domain();
	if (self->adapter < 0 || self->domain < 0)
		test_skip(_metadata, "the host has every adapter or domain");
	GUEST_UP(&self->guest);
	ASSERT_EQ(0, hw_change("adapter %u reset-time %u >/dev/null",
			       APID(self->guest.apqn), variant->reset_ms));
}

FIXTURE_TEARDOWN_PARENT(handover)
{
	if (host.has_aphw && self->adapter >= 0) {
		unsigned int a = APID(self->guest.apqn);

		hw_change("adapter remove %d >/dev/null 2>&1", self->adapter);
		hw_change("domain remove %d >/dev/null 2>&1", self->domain);
		hw_change("adapter %u reset-time 1 >/dev/null", a);
		bus_rescan();
		queues_settle();
	}
	test_end();
}

/* Interrupts for which the AP bus's handler was called, on all CPUs. */
static long host_interrupts(void)
{
	char line[1024], *at, *end;
	long count = -1;
	FILE *file;

	file = fopen("/proc/interrupts", "r");
	while (file && fgets(line, sizeof(line), file)) {
		at = line + strspn(line, " ");
		if (strncmp(at, "APB:", 4))
			continue;
		count = 0;
		for (at += 4;; at = end) {
			long n = strtol(at, &end, 10);

			if (end == at)
				break;
			count += n;
		}
	}
	if (file)
		fclose(file);
	return count;
}

/*
 * The queue is the guest's at some time: what is the first status that the guest sees?
 * Until then it is @before.
 */
static void first_status(struct __test_metadata *_metadata, struct guest *guest,
			 uint16_t apqn, uint8_t before, struct ap_result *result)
{
	uint64_t end = now_ms() + hang_ms;

	do {
		ASSERT_OK(ap_tapq(&guest->vmm, apqn, result), guest->vmm.error);
		ASSERT_EQ(0, result->pgm);
	} while (result->rc == before && now_ms() < end);
}

/* Hardware's answer to a queue that was reset, for long enough. */
static void stays_reset(struct __test_metadata *_metadata, struct guest *guest,
			uint16_t apqn, unsigned int round)
{
	uint64_t end = now_ms() + STAYS_MS;
	struct ap_result result;

	do {
		ASSERT_OK(ap_tapq(&guest->vmm, apqn, &result), guest->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc)
			TH_LOG("round %u: status %#x", round, (uint32_t)result.gr1);
		ASSERT_EQ(AP_EMPTY, result.flags)
			TH_LOG("round %u: status %#x", round, (uint32_t)result.gr1);
	} while (now_ms() < end);
}

/* The guest's first AQIC is accepted, and the interruption is the guest's. */
static void use(struct __test_metadata *_metadata, struct guest *guest,
		uint16_t apqn, unsigned int round)
{
	uint16_t usual = guest->apqn;
	enum ap_mode mode = guest->mode;
	struct ap_result result;
	const char *wrong;
	long before;

	before = host_interrupts();
	ASSERT_OK(ap_enable_irq(&guest->vmm, apqn, ISC, GUEST_NIB, &result),
		  guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc)
		TH_LOG("round %u", round);
	/* What kind of adapter it is does not matter. */
	if (APID(apqn) != APID(usual))
		guest->mode = AP_MODE_UNKNOWN;
	guest->apqn = apqn;
	wrong = guest_request(guest, PSMID + round, ISC);
	guest->apqn = usual;
	guest->mode = mode;
	ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", round, wrong);
	EXPECT_EQ(before, host_interrupts())
		TH_LOG("round %u: the host was interrupted", round);
	EXPECT_EQ(4, pinned_kib());
}

static void check_handover(struct __test_metadata *_metadata,
			   struct guest *guest, uint16_t apqn, uint8_t before,
			   unsigned int round)
{
	struct ap_result result;

	first_status(_metadata, guest, apqn, before, &result);
	ASSERT_EQ(AP_RC_NORMAL, result.rc)
		TH_LOG("round %u: status %#x", round, (uint32_t)result.gr1);
	ASSERT_EQ(AP_EMPTY, result.flags)
		TH_LOG("round %u: status %#x", round, (uint32_t)result.gr1);
	stays_reset(_metadata, guest, apqn, round);
	use(_metadata, guest, apqn, round);
}

#define BUS_INTERFERES	"passes a queue that the AP bus is still resetting, with the host's interrupts"

/* The AP bus makes a device for each queue of a new adapter. */
TEST_F(handover, new_adapter)
{
	struct guest *guest = &self->guest;
	uint16_t apqn = APQN(self->adapter, APQI(guest->apqn));
	unsigned int i;

	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter", self->adapter));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, hw_change("adapter add %d", self->adapter));
		ASSERT_EQ(0, hw_change("adapter %d reset-time %u >/dev/null",
				       self->adapter, variant->reset_ms));
		ASSERT_EQ(0, sysfs_write(AP_BUS "/scans", "1"));
		check_handover(_metadata, guest, apqn, AP_RC_NOT_AVAILABLE, i);
		ASSERT_EQ(0, hw_change("adapter remove %d", self->adapter));
		ASSERT_EQ(0, bus_rescan());
		EXPECT_EQ(0, pinned_kib());
	}
}

C_DEFECT(handover, fast, new_adapter, BUS_INTERFERES);
C_DEFECT(handover, slow, new_adapter, BUS_INTERFERES);

/* The same for a domain that is new, in an adapter that the guest has. */
TEST_F(handover, new_domain)
{
	struct guest *guest = &self->guest;
	uint16_t apqn = APQN(APID(guest->apqn), self->domain);
	unsigned int i;

	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain", self->domain));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, hw_change("domain add %d control=off",
				       self->domain));
		ASSERT_EQ(0, sysfs_write(AP_BUS "/scans", "1"));
		check_handover(_metadata, guest, apqn, AP_RC_NOT_AVAILABLE, i);
		ASSERT_EQ(0, hw_change("domain remove %d", self->domain));
		ASSERT_EQ(0, bus_rescan());
		EXPECT_EQ(0, pinned_kib());
	}
}

C_DEFECT(handover, fast, new_domain, BUS_INTERFERES);
C_DEFECT(handover, slow, new_domain, BUS_INTERFERES);

/*
 * The guest keeps an adapter that is away for a time. Hardware resets the queue meanwhile;
 * and the bus, which finds the adapter back at its next scan, leaves the queue alone. It
 * is one for which the bus has made the device while vfio_ap was to have it.
 */
static void away_and_back(struct __test_metadata *_metadata,
			  struct guest *guest, unsigned int a,
			  unsigned int reset_ms, const char *off,
			  const char *on, uint8_t code)
{
	uint16_t apqn = APQN(a, APQI(guest->apqn));
	struct ap_result result;
	unsigned int i;

	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter", a));
	ASSERT_EQ(0, hw_change("adapter add %u", a));
	ASSERT_EQ(0, bus_rescan());
	first_status(_metadata, guest, apqn, AP_RC_NOT_AVAILABLE, &result);
	queue_settle(apqn);
	ASSERT_OK(ap_reset(&guest->vmm, apqn, &result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_EQ(0, hw_change("adapter %u reset-time %u >/dev/null", a,
			       reset_ms));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, hw_change("adapter %u %s", a, off));
		ASSERT_EQ(0, bus_rescan());
		ASSERT_OK(ap_tapq(&guest->vmm, apqn, &result),
			  guest->vmm.error);
		ASSERT_EQ(code, result.rc);
		ASSERT_EQ(0, hw_change("adapter %u %s", a, on));
		ASSERT_EQ(0, sysfs_write(AP_BUS "/scans", "1"));
		/* What the guest enables then ends with the next round. */
		check_handover(_metadata, guest, apqn, code, i);
	}
}

TEST_F(handover, configured_again)
{
	away_and_back(_metadata, &self->guest, self->adapter, variant->reset_ms,
		      "deconfigure", "configure", AP_RC_DECONFIGURED);
}

C_DEFECT(handover, fast, configured_again, BUS_INTERFERES);
C_DEFECT(handover, slow, configured_again, BUS_INTERFERES);

TEST_F(handover, recovered)
{
	away_and_back(_metadata, &self->guest, self->adapter, variant->reset_ms,
		      "checkstop", "recover", AP_RC_CHECKSTOPPED);
}

C_DEFECT(handover, fast, recovered, BUS_INTERFERES);
C_DEFECT(handover, slow, recovered, BUS_INTERFERES);

/* A queue that vfio_ap is bound to anew, in whatever time it takes to reset. */
TEST_F(handover, rebound)
{
	struct guest *guest = &self->guest;
	unsigned int i;

	if (variant->reset_ms == 1)
		test_skip(_metadata, "the other variant resets fast, too");
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, hw_change("adapter %u reset-time %u >/dev/null",
				       APID(guest->apqn),
				       i & 1 ? 1 : variant->reset_ms));
		ASSERT_EQ(0, queue_unbind(guest->apqn));
		ASSERT_TRUE(guest_lost_queue(guest));
		ASSERT_EQ(0, queue_bind(guest->apqn, "vfio_ap"));
		check_handover(_metadata, guest, guest->apqn,
			       AP_RC_NOT_AVAILABLE, i);
	}
}

C_DEFECT(handover, slow, rebound, BUS_INTERFERES);
