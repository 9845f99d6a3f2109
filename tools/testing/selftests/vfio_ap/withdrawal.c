// SPDX-License-Identifier: GPL-2.0
/*
 * A queue that was taken from a guest is not the guest's: not for AQIC, not after
 * the next scan of the AP bus, and not when whatever it hung on has gone.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "lib/test.h"

#define ISC	3

FIXTURE(withdrawal)
{
	struct guest guest;
	int added;
};

GROUP_AND_IOMMUFD(withdrawal);

FIXTURE_SETUP(withdrawal)
{
	test_begin();
	self->added = -1;
	GUEST_UP(&self->guest, .cdev = variant->cdev);
}

FIXTURE_TEARDOWN_PARENT(withdrawal)
{
	if (self->added >= 0) {
		hw_change("adapter remove %d >/dev/null", self->added);
		bus_rescan();
	}
	test_end();
}

static void end_removal(struct __test_metadata *_metadata, struct guest *guest,
			pid_t pid)
{
	int status = -1;

	guest_down(guest);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, pinned_kib());
}

/* AQIC for a queue that was withdrawn because the device is wanted back. */
TEST_F(withdrawal, no_aqic)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	pid_t pid;

	pid = guest_begin_removal(guest);
	ASSERT_LE(0, pid);
	ASSERT_TRUE(wait_until(guest_lost_queue, guest, hang_ms));
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	EXPECT_EQ(0, pinned_kib());
	if (!result.rc)
		ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result);
	end_removal(_metadata, guest, pid);
}

C_DEFECT(withdrawal, group, no_aqic,
	 "takes AQIC for a queue that is not the guest's");
C_DEFECT(withdrawal, iommufd, no_aqic,
	 "takes AQIC for a queue that is not the guest's");

struct watcher {
	struct guest *guest;
	bool stop;
	bool there;
	bool gone;
	unsigned int wrong;
};

static bool is_set(void *flag)
{
	return __atomic_load_n((bool *)flag, __ATOMIC_SEQ_CST);
}

/* TAPQ until the response code is @rc, or the watcher is stopped. */
static bool watch_for(struct watcher *watcher, uint8_t rc)
{
	struct guest *guest = watcher->guest;
	struct ap_result result;

	while (!is_set(&watcher->stop))
		if (ap_tapq(&guest->vmm, guest->apqn, &result))
			return false;
		else if (result.rc == rc)
			return true;
	return false;
}

/* A guest that sees its queue come and go, and enables interrupts when it is gone. */
static void *watch(void *data)
{
	struct watcher *watcher = data;
	struct guest *guest = watcher->guest;
	struct ap_result result;

	while (watch_for(watcher, AP_RC_NORMAL)) {
		__atomic_store_n(&watcher->there, true, __ATOMIC_SEQ_CST);
		if (!watch_for(watcher, AP_RC_NOT_AVAILABLE) ||
		    ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			    &result))
			break;
		watcher->wrong += result.rc != AP_RC_NOT_AVAILABLE;
		__atomic_store_n(&watcher->gone, true, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/*
 * When the guest has seen its queue gone, AQIC does not take it, however soon. It is
 * the last of many that go at the same time.
 */
TEST_F(withdrawal, seen_gone_is_gone)
{
	char before[256], none[256], zero[MASK_LENGTH];
	struct guest *guest = &self->guest;
	struct watcher watcher = { .guest = guest };
	const uint64_t mask[4] = {};
	pthread_t thread;
	unsigned int i;

	guest_down(guest);
	ASSERT_EQ(0, mdev_remove(guest->uuid));
	ASSERT_OK(guest_up(guest, &(struct guest_config){
		.cdev = variant->cdev, .adapters = host.nr_adapters,
		.domains = host.nr_domains }), guest->error);
	guest->apqn = APQN(host.adapter[host.nr_adapters - 1],
			   host.domain[host.nr_domains - 1]);
	mask_format(mask, zero);
	snprintf(none, sizeof(none), "%s,%s,%s", zero, zero, zero);
	ASSERT_LT(0, mdev_read(guest->uuid, "ap_config", before,
			       sizeof(before)));
	ASSERT_EQ(0, pthread_create(&thread, NULL, watch, &watcher));
	for (i = 0; i < 50; i++) {
		ASSERT_TRUE(wait_until(is_set, &watcher.there, hang_ms))
			TH_LOG("%s", guest->vmm.error);
		watcher.there = false;
		ASSERT_EQ(0, mdev_write(guest->uuid, "ap_config", none));
		ASSERT_TRUE(wait_until(is_set, &watcher.gone, hang_ms))
			TH_LOG("%s", guest->vmm.error);
		watcher.gone = false;
		ASSERT_EQ(0, mdev_write(guest->uuid, "ap_config", before));
	}
	__atomic_store_n(&watcher.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, watcher.wrong);
}

/* What was withdrawn stays so when the host's configuration changes. */
TEST_F(withdrawal, outlives_a_scan)
{
	struct guest *guest = &self->guest;
	int a = host_free_adapter();
	struct ap_result result;
	pid_t pid;

	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	if (a < 0)
		test_skip(_metadata, "no number is free for another adapter");
	if (!host_gives_all_adapters())
		test_skip(_metadata, "not all adapters are vfio_ap's");
	/* So that the guest would get something, too. */
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter", a));
	pid = guest_begin_removal(guest);
	ASSERT_LE(0, pid);
	ASSERT_TRUE(wait_until(guest_lost_queue, guest, hang_ms));
	self->added = a;
	ASSERT_EQ(0, hw_change("adapter add %u", a));
	/* The second begins when the first has ended. */
	EXPECT_EQ(0, bus_rescan());
	EXPECT_EQ(0, bus_rescan());
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	end_removal(_metadata, guest, pid);
}

C_DEFECT(withdrawal, group, outlives_a_scan,
	 "gives the queues back at the next scan of the bus");
C_DEFECT(withdrawal, iommufd, outlives_a_scan,
	 "gives the queues back at the next scan of the bus");

/*
 * A queue that is assigned, but filtered out, is unassigned; then its mediated
 * device goes, then its driver: it refers to none of them any more.
 */
TEST_F(withdrawal, filtered_queue_outlives_its_mdev)
{
	struct guest *guest = &self->guest;
	char text[64];
	uint16_t other;

	SKIP_ON_C("uses what was freed");
	if (host.nr_domains < 2)
		test_skip(_metadata, "needs two domains");
	other = APQN(APID(guest->apqn), host.domain[1]);
	ASSERT_EQ(0, queue_unbind(other));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain",
				 host.domain[1]));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_adapter",
				 APID(guest->apqn)));
	EXPECT_LT(0, queue_status(guest->apqn, text, sizeof(text)));
	EXPECT_STREQ("unassigned", text);
	guest_down(guest);
	ASSERT_EQ(0, mdev_remove(guest->uuid));
	EXPECT_LT(0, queue_status(guest->apqn, text, sizeof(text)));
	EXPECT_STREQ("unassigned", text);
	ASSERT_EQ(0, queue_unbind(guest->apqn));
	ASSERT_EQ(0, queue_bind(guest->apqn, "vfio_ap"));
	EXPECT_LT(0, queue_status(guest->apqn, text, sizeof(text)));
	EXPECT_STREQ("unassigned", text);
}
