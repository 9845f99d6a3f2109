// SPDX-License-Identifier: GPL-2.0
/*
 * No guest waits for another: while one guest's queue is in a reset, and whoever
 * asked for that waits for it, everybody else goes on.
 *
 * No time is measured, but an order of events: the others begin when the reset has,
 * and have to be through when who waits for it is not. The reset takes a hundred
 * times as long as they do.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define ISC		3
#define ROUNDS		10
/* Much longer than the others take, less than the driver's patience. */
#define RESET_MS	4000

static int reset_device(struct guest *guest)
{
	return ioctl(guest->vfio.device, VFIO_DEVICE_RESET);
}

static int unassign(struct guest *guest)
{
	return mdev_assign(guest->uuid, "unassign_adapter", APID(guest->apqn));
}

static int unbind(struct guest *guest)
{
	return queue_unbind(guest->apqn);
}

static int close_device(struct guest *guest)
{
	return close(guest->vfio.device);
}

FIXTURE(isolation)
{
	struct guest slow;
	struct guest other;
};

FIXTURE_VARIANT(isolation)
{
	int (*wait)(struct guest *slow);
};

FIXTURE_VARIANT_ADD(isolation, reset)
{
	.wait = reset_device,
};

FIXTURE_VARIANT_ADD(isolation, unassign)
{
	.wait = unassign,
};

FIXTURE_VARIANT_ADD(isolation, unbind)
{
	.wait = unbind,
};

FIXTURE_VARIANT_ADD(isolation, close)
{
	.wait = close_device,
};

FIXTURE_SETUP(isolation)
{
	test_begin();
	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	if (host.nr_domains < 2)
		test_skip(_metadata, "needs two domains");
	GUEST_UP(&self->slow);
	GUEST_UP(&self->other, .nth = 1, .first_domain = 1);
}

/* Whoever has reset it: hardware is done with it. */
static bool is_operating(void *data)
{
	uint16_t apqn = *(uint16_t *)data;

	return !hw_change("queue %02x.%04x | grep -q state=operating",
			  APID(apqn), APQI(apqn));
}

FIXTURE_TEARDOWN_PARENT(isolation)
{
	uint16_t apqn = self->slow.apqn;

	if (host.has_aphw) {
		hw_change("queue %02x.%04x reset-time 1 >/dev/null", APID(apqn),
			  APQI(apqn));
		wait_until(is_operating, &apqn, 10000);
	}
	test_end();
}

struct waiter {
	struct guest *guest;
	int (*wait)(struct guest *slow);
	bool done;
};

static void *waiter(void *data)
{
	struct waiter *waiter = data;

	waiter->wait(waiter->guest);
	__atomic_store_n(&waiter->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* The slow guest's queue is in its reset, or not the guest's any more. */
static bool has_begun(void *data)
{
	struct guest *slow = data;
	struct ap_result result;

	return !ap_tapq(&slow->vmm, slow->apqn, &result) && result.rc;
}

TEST_F_TIMEOUT(isolation, others_go_on, 120)
{
	struct guest *slow = &self->slow, *other = &self->other;
	struct waiter waiting = { .guest = slow, .wait = variant->wait };
	uint16_t apqn = other->apqn;
	struct ap_result result;
	char text[4096];
	pthread_t thread;
	int i;

	ASSERT_OK(ap_enable_irq(&slow->vmm, slow->apqn, ISC, GUEST_NIB,
				&result), slow->vmm.error);
	ASSERT_EQ(0, hw_change("queue %02x.%04x reset-time %u >/dev/null",
			       APID(slow->apqn), APQI(slow->apqn), RESET_MS));
	ASSERT_EQ(0, pthread_create(&thread, NULL, waiter, &waiting));
	ASSERT_TRUE(wait_until(has_begun, slow, 2000));

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_OK(ap_enable_irq(&other->vmm, apqn, ISC, GUEST_NIB,
					&result), other->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_OK(ap_disable_irq(&other->vmm, apqn, &result),
			  other->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
	}
	EXPECT_EQ(0, ioctl(other->vfio.device, VFIO_DEVICE_RESET));
	EXPECT_EQ(0, mdev_assign(other->uuid, "assign_control_domain", 0));
	EXPECT_LT(0, mdev_read(other->uuid, "matrix", text, sizeof(text)));
	EXPECT_LT(0, mdev_read(other->uuid, "guest_matrix", text, sizeof(text)));
	/* Also about the slow one. */
	EXPECT_LE(0, mdev_read(slow->uuid, "matrix", text, sizeof(text)));
	EXPECT_LT(0, queue_status(apqn, text, sizeof(text)));
	EXPECT_FALSE(__atomic_load_n(&waiting.done, __ATOMIC_SEQ_CST))
		TH_LOG("the others were through only after the reset");

	pthread_join(thread, NULL);
}

#define GLOBAL_MUTEX	"one mutex for all, held while hardware resets"
C_DEFECT(isolation, reset, others_go_on, GLOBAL_MUTEX);
C_DEFECT(isolation, unassign, others_go_on, GLOBAL_MUTEX);
C_DEFECT(isolation, unbind, others_go_on, GLOBAL_MUTEX);
C_DEFECT(isolation, close, others_go_on, GLOBAL_MUTEX);
