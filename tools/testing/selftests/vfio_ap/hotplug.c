// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator, or the hardware, changes reaches a running guest; and
 * the unit of it is the adapter.
 */
#include <sys/ioctl.h>
#include <time.h>

#include "lib/test.h"

#define ISC	3
#define PSMID	0x77UL

FIXTURE(hotplug)
{
	struct guest guest;
	unsigned int a;
	unsigned int d;
};

FIXTURE_VARIANT(hotplug)
{
	int unused;
};

FIXTURE_VARIANT_ADD(hotplug, guest)
{
};

FIXTURE_SETUP(hotplug)
{
	test_begin();
	GUEST_UP(&self->guest);
	self->a = APID(self->guest.apqn);
	self->d = APQI(self->guest.apqn);
}

FIXTURE_TEARDOWN_PARENT(hotplug)
{
	test_end();
}

/* What the guest's QCI says, and guest_matrix, in one go. */
static void check_guest(struct __test_metadata *_metadata, struct guest *guest,
			const uint64_t apm[4], const uint64_t aqm[4],
			const uint64_t adm[4])
{
	struct ap_result result;
	struct ap_qci qci;
	unsigned int i;

	ASSERT_OK(ap_qci(&guest->vmm, &qci, &result), guest->vmm.error);
	ASSERT_EQ(0, result.pgm);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(apm[i], qci.apm[i])
			TH_LOG("adapters, part %u", i);
		EXPECT_EQ(aqm[i], qci.aqm[i])
			TH_LOG("domains, part %u", i);
		EXPECT_EQ(adm[i], qci.adm[i])
			TH_LOG("control domains, part %u", i);
	}
}

#define EXPECT_CODE(code, apqn)						\
	do {								\
		struct ap_result _r;					\
									\
		ASSERT_OK(ap_tapq(&self->guest.vmm, apqn, &_r),		\
			  self->guest.vmm.error);			\
		EXPECT_EQ(code, _r.rc);					\
	} while (0)

struct expected_code {
	struct guest *guest;
	uint16_t apqn;
	uint8_t rc;
};

static bool has_code(void *data)
{
	struct expected_code *expected = data;
	struct ap_result result;

	return !ap_tapq(&expected->guest->vmm, expected->apqn, &result) &&
	       result.rc == expected->rc;
}

#define EXPECT_SOON(code, of)						\
	EXPECT_TRUE(wait_until(has_code, &(struct expected_code){	\
		.guest = &self->guest, .apqn = of, .rc = code }, hang_ms))

TEST_F(hotplug, adapters_and_domains)
{
	uint64_t apm[4] = {}, aqm[4] = {}, adm[4] = {};
	struct guest *guest = &self->guest;
	unsigned int i, j;

	mask_set(apm, self->a, true);
	mask_set(aqm, self->d, true);
	check_guest(_metadata, guest, apm, aqm, adm);
	for (i = 0; i < host.nr_adapters; i++) {
		ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter",
					 host.adapter[i]));
		mask_set(apm, host.adapter[i], true);
		check_guest(_metadata, guest, apm, aqm, adm);
	}
	for (i = 0; i < host.nr_domains; i++) {
		ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain",
					 host.domain[i]));
		mask_set(aqm, host.domain[i], true);
		check_guest(_metadata, guest, apm, aqm, adm);
	}
	for (i = 0; i < host.nr_adapters; i++)
		for (j = 0; j < host.nr_domains; j++)
			EXPECT_CODE(AP_RC_NORMAL, APQN(host.adapter[i],
						       host.domain[j]));
	for (i = 0; i < host.nr_domains; i++) {
		ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_domain",
					 host.domain[i]));
		mask_set(aqm, host.domain[i], false);
		check_guest(_metadata, guest, apm, aqm, adm);
		EXPECT_CODE(AP_RC_NOT_AVAILABLE, APQN(host.adapter[0],
						      host.domain[i]));
	}
	for (i = 0; i < host.nr_adapters; i++) {
		ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_adapter",
					 host.adapter[i]));
		mask_set(apm, host.adapter[i], false);
		check_guest(_metadata, guest, apm, aqm, adm);
	}
}

/* A control domain that the host has is the guest's at once. */
TEST_F(hotplug, control_domains)
{
	uint64_t apm[4] = {}, aqm[4] = {}, adm[4] = {}, hosts[4];
	struct guest *guest = &self->guest;
	char text[MASK_LENGTH];
	unsigned int i;

	ASSERT_LT(0, sysfs_read(AP_BUS "/ap_control_domain_mask", text,
				sizeof(text)));
	ASSERT_EQ(0, mask_parse(text, hosts));
	mask_set(apm, self->a, true);
	mask_set(aqm, self->d, true);
	for (i = 0; i <= host.max_domain; i++) {
		if (i > 3 && !mask_test(hosts, i))
			continue;
		ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_control_domain",
					 i));
		/* But not one that the host does not have. */
		mask_set(adm, i, mask_test(hosts, i));
	}
	check_guest(_metadata, guest, apm, aqm, adm);
	for (i = 0; i <= host.max_domain; i++) {
		if (i > 3 && !mask_test(hosts, i))
			continue;
		ASSERT_EQ(0, mdev_assign(guest->uuid,
					 "unassign_control_domain", i));
		mask_set(adm, i, false);
	}
	check_guest(_metadata, guest, apm, aqm, adm);
}

TEST_F(hotplug, by_ap_config)
{
	uint64_t apm[4] = {}, aqm[4] = {}, adm[4] = {}, none[4] = {};
	struct guest *guest = &self->guest;
	char masks[3][MASK_LENGTH], text[256];
	unsigned int i;

	for (i = 0; i < host.nr_adapters; i++)
		mask_set(apm, host.adapter[i], true);
	for (i = 0; i < host.nr_domains; i++)
		mask_set(aqm, host.domain[i], true);
	mask_set(adm, self->d, true);
	mask_format(apm, masks[0]);
	mask_format(aqm, masks[1]);
	mask_format(adm, masks[2]);
	snprintf(text, sizeof(text), "%s,%s,%s", masks[0], masks[1], masks[2]);
	ASSERT_EQ(0, mdev_write(guest->uuid, "ap_config", text));
	check_guest(_metadata, guest, apm, aqm, adm);
	mask_format(none, masks[0]);
	snprintf(text, sizeof(text), "%s,%s,%s\n", masks[0], masks[0],
		 masks[0]);
	ASSERT_EQ(0, mdev_write(guest->uuid, "ap_config", text));
	check_guest(_metadata, guest, none, none, none);
}

/* A queue that comes back comes back clean. */
TEST_F(hotplug, queue_comes_back_clean)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;
	size_t length;
	int i;

	for (i = 0; i < 2; i++) {
		const char *off = i ? "unassign_domain" : "unassign_adapter";
		const char *on = i ? "assign_domain" : "assign_adapter";
		unsigned int n = i ? self->d : self->a;

		ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC,
					GUEST_NIB, &result),
			  guest->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		length = ap_request(&guest->vmm, guest->mode, guest->apqn);
		ASSERT_OK(ap_nqap(&guest->vmm, guest->apqn, PSMID, length,
				  &result), guest->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_EQ(0, mdev_assign(guest->uuid, off, n));
		EXPECT_EQ(0, pinned_kib());
		EXPECT_CODE(AP_RC_NOT_AVAILABLE, guest->apqn);
		ASSERT_EQ(0, mdev_assign(guest->uuid, on, n));
		ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
			  guest->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		EXPECT_EQ(AP_EMPTY, result.flags);
		/* The interruption of before may still be pending. */
		vmm_wait_io(&guest->vmm, 0, 0x80 >> ISC, NULL, 50);
		ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC,
					GUEST_NIB, &result),
			  guest->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		wrong = guest_request(guest, PSMID + 1, ISC);
		EXPECT_EQ(NULL, wrong)
			TH_LOG("%s", wrong);
		ASSERT_OK(ap_disable_irq(&guest->vmm, guest->apqn, &result),
			  guest->vmm.error);
	}
}

/* The guest's CPU runs while its matrix changes under it. */
TEST_F(hotplug, running_guest_sees_it)
{
	struct guest *guest = &self->guest;
	struct guest_mailbox *mailbox = vmm_mailbox(&guest->vmm, 0);
	struct ap_qci *qci = (void *)(guest->vmm.mem + GUEST_QCI);
	unsigned int i;
	uint64_t end;
	bool there;

	vmm_set_slot(&guest->vmm, INSN_PQAP);
	mailbox->gr[0] = AP_FC_QCI;
	mailbox->gr[2] = GUEST_QCI;
	mailbox->op = GUEST_OP_LOOP;
	ASSERT_OK(vmm_start(&guest->vmm, 0, 6 * hang_ms), guest->vmm.error);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, mdev_assign(guest->uuid, i & 1 ?
					 "assign_adapter" : "unassign_adapter",
					 self->a));
		end = now_ms() + hang_ms;
		do {
			there = mask_test((void *)&qci->apm, self->a);
			__sync_synchronize();
			if (there == (i & 1))
				break;
			sleep_ms(5);
		} while (now_ms() < end);
		EXPECT_EQ(i & 1, there)
			TH_LOG("change %u", i);
	}
	mailbox->stop = 1;
	ASSERT_OK(vmm_join(&guest->vmm, 0), guest->vmm.error);
	mailbox->stop = 0;
	EXPECT_EQ(0, mailbox->pgm);
	EXPECT_LT(0, mailbox->loops);
}

/* A queue of the adapter is not vfio_ap's: no guest gets the adapter. */
TEST_F(hotplug, adapter_is_the_unit)
{
	uint64_t apm[4] = {}, aqm[4] = {}, adm[4] = {};
	struct guest *guest = &self->guest;
	struct ap_result result;
	uint16_t other;

	if (host.nr_domains < 2)
		test_skip(_metadata, "needs two domains");
	other = APQN(self->a, host.domain[1]);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain",
				 host.domain[1]));
	EXPECT_CODE(AP_RC_NORMAL, guest->apqn);
	EXPECT_CODE(AP_RC_NORMAL, other);
	EXPECT_EQ(4, pinned_kib());

	ASSERT_EQ(0, queue_unbind(other));
	mask_set(aqm, self->d, true);
	mask_set(aqm, host.domain[1], true);
	check_guest(_metadata, guest, apm, aqm, adm);
	EXPECT_CODE(AP_RC_NOT_AVAILABLE, guest->apqn);
	EXPECT_CODE(AP_RC_NOT_AVAILABLE, other);
	/* And with the adapter, its queues' interrupts. */
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(0, queue_interrupts(guest->apqn));

	ASSERT_EQ(0, queue_bind(other, "vfio_ap"));
	mask_set(apm, self->a, true);
	check_guest(_metadata, guest, apm, aqm, adm);
	/* The C driver may pass a queue whose reset is not done. */
	EXPECT_SOON(AP_RC_NORMAL, self->guest.apqn);
	EXPECT_SOON(AP_RC_NORMAL, other);
}

/* --- with the emulated host's hardware events ---------------------------- */

FIXTURE(hardware)
{
	struct guest guest;
	unsigned int a;
	unsigned int d;
};

FIXTURE_VARIANT(hardware)
{
	int unused;
};

FIXTURE_VARIANT_ADD(hardware, guest)
{
};

FIXTURE_SETUP(hardware)
{
	test_begin();
	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	GUEST_UP(&self->guest);
	self->a = APID(self->guest.apqn);
	self->d = APQI(self->guest.apqn);
}

FIXTURE_TEARDOWN_PARENT(hardware)
{
	hw_change("adapter %u configure >/dev/null", self->a);
	hw_change("adapter %u recover >/dev/null", self->a);
	hw_change("adapter %u reset-time 1 >/dev/null", self->a);
	bus_rescan();
	queues_settle();
	test_end();
}

/* The guest keeps a deconfigured adapter, and sees that it is one. */
TEST_F(hardware, deconfigured)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;

	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(0, hw_change("adapter %u deconfigure", self->a));
	EXPECT_EQ(0, bus_rescan());
	EXPECT_SOON(AP_RC_DECONFIGURED, self->guest.apqn);
	ASSERT_EQ(0, hw_change("adapter %u configure", self->a));
	EXPECT_EQ(0, bus_rescan());
	EXPECT_SOON(AP_RC_NORMAL, self->guest.apqn);
	queues_settle();
	ASSERT_OK(ap_reset(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_EQ(4, pinned_kib());
}

TEST_F(hardware, checkstopped)
{
	ASSERT_EQ(0, hw_change("adapter %u checkstop", self->a));
	EXPECT_EQ(0, bus_rescan());
	EXPECT_SOON(AP_RC_CHECKSTOPPED, self->guest.apqn);
	ASSERT_EQ(0, hw_change("adapter %u recover", self->a));
	EXPECT_EQ(0, bus_rescan());
	EXPECT_SOON(AP_RC_NORMAL, self->guest.apqn);
}

/*
 * Binds a queue, again and again, until that takes less time than its reset. A driver
 * that waits for the reset is never that fast; any other may be delayed by a busy
 * machine.
 *
 * Return: how many times it took, at most 100, or 101.
 */
static unsigned int bind_in_time(struct __test_metadata *_metadata,
				 uint16_t apqn, unsigned int reset_ms)
{
	unsigned int tries;
	uint64_t start;

	for (tries = 1; tries <= 100; tries++) {
		start = now_ms();
		ASSERT_EQ(0, queue_bind(apqn, "vfio_ap"));
		if (now_ms() - start < reset_ms - 1)
			break;
		ASSERT_EQ(0, queue_unbind(apqn));
	}
	return tries;
}

/*
 * Queues that nobody has are bound at once, however long their resets take; and
 * one that is assigned meanwhile does not take its adapter from the guest.
 */
TEST_F(hardware, resets_while_binding)
{
	static const unsigned int reset_ms = 100;
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int i;

	if (host.nr_domains < 3)
		test_skip(_metadata, "needs three domains");
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	for (i = 1; i < host.nr_domains; i++)
		ASSERT_EQ(0, queue_unbind(APQN(self->a, host.domain[i])));
	ASSERT_EQ(0, hw_change("adapter %u reset-time %u >/dev/null", self->a,
			       reset_ms));

	for (i = 1; i < host.nr_domains; i++)
		EXPECT_GE(100, bind_in_time(_metadata,
					    APQN(self->a, host.domain[i]),
					    reset_ms));

	for (i = 1; i < host.nr_domains; i++)
		ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain",
					 host.domain[i]));
	for (i = 1; i < host.nr_domains; i++)
		EXPECT_SOON(AP_RC_NORMAL, APQN(self->a, host.domain[i]));
	EXPECT_EQ(4, pinned_kib());
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_NE(0, result.flags & AP_IRQ);
}

/*
 * Who looks after binding a queue finds it passed, though its reset takes its time:
 * the bus's, when the queue was unbound, and then the driver's, which has patience
 * for 200 ms.
 */
TEST_F(hardware, reset_before_looking)
{
	struct guest *guest = &self->guest;
	char text[4096], queue[16];
	struct ap_result result;
	bool running;

	snprintf(queue, sizeof(queue), "%02x.%04x\n", self->a, self->d);
	ASSERT_EQ(0, hw_change("adapter %u reset-time 50 >/dev/null", self->a));
	for (running = true;; running = false) {
		ASSERT_EQ(0, queue_unbind(guest->apqn));
		ASSERT_LT(0, mdev_read(guest->uuid, "guest_matrix", text,
				       sizeof(text)));
		EXPECT_EQ(NULL, strstr(text, queue));
		ASSERT_EQ(0, queue_bind(guest->apqn, "vfio_ap"));
		if (running)
			EXPECT_CODE(AP_RC_NORMAL, guest->apqn);
		ASSERT_LT(0, mdev_read(guest->uuid, "guest_matrix", text,
				       sizeof(text)));
		EXPECT_STREQ(queue, text);
		if (!running)
			break;
		guest_down(guest);
	}
	/* And so does the next guest. */
	ASSERT_EQ(0, queue_unbind(guest->apqn));
	ASSERT_EQ(0, queue_bind(guest->apqn, "vfio_ap"));
	ASSERT_OK(guest_up(guest, &(struct guest_config){ .no_mdev = true }),
		  guest->error);
	ASSERT_OK(ap_tapq(&guest->vmm, APQN(self->a, self->d), &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
}

C_DEFECT(hardware, guest, reset_before_looking,
	 "passes a queue that is being reset");

/* A new adapter that is assigned already is the guest's when it comes. */
TEST_F(hardware, adapter_comes_and_goes)
{
	struct guest *guest = &self->guest;
	int a = host_free_adapter();
	uint16_t apqn;
	char text[64];

	if (a < 0)
		test_skip(_metadata, "no number is free for another adapter");
	if (!host_gives_all_adapters())
		test_skip(_metadata, "not all adapters are vfio_ap's");
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter", a));
	apqn = APQN(a, self->d);
	EXPECT_CODE(AP_RC_NOT_AVAILABLE, apqn);
	ASSERT_EQ(0, hw_change("adapter add %u", a));
	EXPECT_EQ(0, bus_rescan());
	EXPECT_SOON(AP_RC_NORMAL, apqn);
	EXPECT_LT(0, queue_status(apqn, text, sizeof(text)));
	EXPECT_STREQ("in use", text);
	ASSERT_EQ(0, hw_change("adapter remove %u", a));
	EXPECT_EQ(0, bus_rescan());
	EXPECT_SOON(AP_RC_NOT_AVAILABLE, apqn);
	EXPECT_CODE(AP_RC_NORMAL, guest->apqn);
}
