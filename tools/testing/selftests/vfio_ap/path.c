// SPDX-License-Identifier: GPL-2.0
/*
 * The whole path: a guest finds its queue, enables the queue's interrupt,
 * sends a request, gets its interruption and the reply, disables; and when it
 * is gone, nothing of it is left on the host.
 */
#include "lib/test.h"

#define ISC	3
#define PSMID	0x1122334455667788UL

FIXTURE(path)
{
	struct guest guest;
	int references;
};

FIXTURE_VARIANT(path)
{
	bool cdev;
	enum ap_mode mode;
};

FIXTURE_VARIANT_ADD(path, accelerator)
{
	.mode = AP_MODE_ACCELERATOR,
};

FIXTURE_VARIANT_ADD(path, cca)
{
	.mode = AP_MODE_CCA,
};

FIXTURE_VARIANT_ADD(path, ep11)
{
	.mode = AP_MODE_EP11,
};

FIXTURE_VARIANT_ADD(path, iommufd)
{
	.cdev = true,
};

FIXTURE_SETUP(path)
{
	test_begin();
	self->references = module_references();
	GUEST_UP(&self->guest, .cdev = variant->cdev, .mode = variant->mode);
}

FIXTURE_TEARDOWN_PARENT(path)
{
	test_end();
}

/* QCI shows the assigned matrix, and TAPQ answers for that and nothing else. */
TEST_F(path, guest_sees_its_matrix)
{
	struct guest *guest = &self->guest;
	uint64_t apm[4] = {}, aqm[4] = {}, adm[4] = {};
	struct ap_result result;
	struct ap_qci qci;

	ASSERT_OK(ap_qci(&guest->vmm, &qci, &result), guest->vmm.error);
	ASSERT_EQ(0, result.pgm);
	mask_set(apm, APID(guest->apqn), true);
	mask_set(aqm, APQI(guest->apqn), true);
	EXPECT_EQ(0, memcmp(qci.apm, apm, sizeof(apm)));
	EXPECT_EQ(0, memcmp(qci.aqm, aqm, sizeof(aqm)));
	EXPECT_EQ(0, memcmp(qci.adm, adm, sizeof(adm)));

	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result), guest->vmm.error);
	EXPECT_EQ(0, result.pgm);
	EXPECT_EQ(0, result.cc);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	/* Bits 32 to 39 of GR 2, CEX4 being 10. */
	EXPECT_LE(10, result.gr2 >> 24 & 0xff);

	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn ^ 0x0001, &result),
		  guest->vmm.error);
	EXPECT_EQ(3, result.cc);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn ^ 0x0100, &result),
		  guest->vmm.error);
	EXPECT_EQ(3, result.cc);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
}

/* AQIC, NQAP, the interruption, DQAP, AQIC; and then no interruption any more. */
TEST_F(path, request_with_interrupt)
{
	struct guest *guest = &self->guest;
	uint8_t *nib = guest->vmm.mem + GUEST_NIB;
	struct ap_result result;
	const char *wrong;
	uint64_t psmid;
	size_t length;

	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(0, result.pgm);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(0, result.cc);
	EXPECT_EQ(0, result.gr1 >> 32);

	/* Nothing has happened yet, so there is no interruption. */
	EXPECT_EQ(-ETIMEDOUT, vmm_wait_io(&guest->vmm, 0, 0xff, NULL, 100));
	EXPECT_EQ(0, *nib);

	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_NE(0, *nib);

	/* It was one reply and one interruption. */
	ASSERT_OK(ap_dqap(&guest->vmm, guest->apqn, &psmid, &length, &result),
		  guest->vmm.error);
	EXPECT_EQ(3, result.cc);
	EXPECT_EQ(AP_RC_NO_REPLY, result.rc);
	EXPECT_EQ(AP_EMPTY, result.flags & (AP_EMPTY | AP_REPLIES));
	EXPECT_EQ(-ETIMEDOUT, vmm_wait_io(&guest->vmm, 0, 0xff, NULL, 100));
	EXPECT_EQ(1, vmm_mailbox(&guest->vmm, 0)->nr_io);

	ASSERT_OK(ap_disable_irq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	*nib = 0;
	wrong = guest_request(guest, PSMID + 1, -1);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_EQ(-ETIMEDOUT, vmm_wait_io(&guest->vmm, 0, 0xff, NULL, 100));
	EXPECT_EQ(0, *nib);
}

/* Many requests: no interruption is lost, none comes twice. */
TEST_F(path, twenty_requests)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;
	unsigned int i;

	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	for (i = 0; i < 20; i++) {
		guest->vmm.mem[GUEST_NIB] = 0;
		wrong = guest_request(guest, PSMID + i, ISC);
		ASSERT_EQ(NULL, wrong)
			TH_LOG("request %u: %s", i, wrong);
		EXPECT_NE(0, guest->vmm.mem[GUEST_NIB]);
	}
	EXPECT_EQ(20, vmm_mailbox(&guest->vmm, 0)->nr_io);
}

/* A request that is cut short gets an error reply, and the next one its own. */
TEST_F(path, malformed_requests)
{
	struct guest *guest = &self->guest;
	const uint8_t *reply = guest->vmm.mem + GUEST_REPLY;
	size_t whole = ap_request(&guest->vmm, guest->mode, guest->apqn);
	const size_t cut[] = { 0, 1, 8, 16, whole / 2, whole - 1 };
	struct ap_result result;
	const char *wrong;
	uint64_t psmid, end;
	unsigned int i;
	size_t length;

	for (i = 0; i < ARRAY_SIZE(cut); i++) {
		ap_request(&guest->vmm, guest->mode, guest->apqn);
		ASSERT_OK(ap_nqap(&guest->vmm, guest->apqn, PSMID + i, cut[i],
				  &result), guest->vmm.error);
		ASSERT_EQ(0, result.pgm);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		end = now_ms() + hang_ms;
		while (now_ms() < end) {
			ASSERT_OK(ap_dqap(&guest->vmm, guest->apqn, &psmid,
					  &length, &result), guest->vmm.error);
			if (result.rc != AP_RC_NO_REPLY)
				break;
			sleep_ms(5);
		}
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		EXPECT_EQ(PSMID + i, psmid);
		/* Type 82, and behind two reserved bytes the reply code */
		EXPECT_LE(8, length);
		EXPECT_EQ(0x82, reply[1])
			TH_LOG("%zu of %zu bytes", cut[i], whole);
		EXPECT_NE(0, reply[4]);
	}
	wrong = guest_request(guest, PSMID, -1);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}

/* While enabled, the NIB's page is pinned; when disabled, none is. */
TEST_F(path, disable_unpins)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	EXPECT_EQ(0, pinned_kib());
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(4, pinned_kib());
	EXPECT_EQ(1, queue_interrupts(guest->apqn));
	ASSERT_OK(ap_disable_irq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(0, queue_interrupts(guest->apqn));
	EXPECT_OK(vmm_vfio_unmap(&guest->vfio, 0, VMM_MEM_SIZE),
		  guest->vfio.error);
}

/* A guest that just goes away, its interrupt enabled, leaves nothing. */
TEST_F(path, close_leaves_nothing)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;
	char text[64];

	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_LT(self->references, module_references());
	EXPECT_NE(0, guest_vm_exists(guest));

	guest_down(guest);
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(self->references, module_references());
	EXPECT_NE(1, guest_vm_exists(guest));
	EXPECT_EQ(0, queue_interrupts(guest->apqn));
	EXPECT_LT(0, queue_status(guest->apqn, text, sizeof(text)));
	EXPECT_STREQ("assigned", text);
	EXPECT_EQ(0, mdev_remove(guest->uuid));
}

/* ... so that the module can go, and come back. */
TEST_F(path, module_unloads)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	char driver[32];

	if (!module_can_reload())
		test_skip(_metadata, "no module file to load vfio_ap from again");
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_NE(0, module_unload());
	guest_down(guest);
	EXPECT_EQ(0, mdev_remove(guest->uuid));
	EXPECT_EQ(0, module_unload());
	ASSERT_EQ(0, module_load());
	ASSERT_EQ(0, queue_driver(guest->apqn, driver, sizeof(driver)));
	EXPECT_STREQ("vfio_ap", driver);
	queues_settle();
}
