// SPDX-License-Identifier: GPL-2.0
/*
 * No guest waits for another: while one guest's queue is in a reset, or busy, and
 * whoever asked for that waits for it, everybody else goes on. So do their AQIC,
 * resets and unmapping while a change of one guest's matrix waits for its machine
 * monitor. And nobody waits for ever.
 *
 * That is an order of events: the others begin after the wait that must not hold them
 * up, and finish before it ends. Where the wait ends by itself, a busy machine may
 * delay the others until it has: then both are repeated until the others finish in
 * time. If something does hold them up, they never do.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <time.h>
#include <linux/vfio.h>

#include "lib/test.h"
#include "lib/hold.h"

#define ISC		3
#define ROUNDS		10
/* How long the driver waits for a reset that does not end. */
#define PATIENCE_MS	5000
/* Much longer than the others take, and shorter than that. */
#define RESET_MS	4000
#define TRIES		20
/* Longer than any test. */
#define FOR_EVER	"reset-time 3600000"

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
	int device = guest->vfio.device;

	/* KVM has the file open, too. */
	if (guest->vfio.cdev)
		vmm_vfio_detach_kvm(&guest->vfio, &guest->vmm);
	guest->vfio.device = -1;
	return close(device);
}

static bool nothing_pinned(void *data)
{
	return !pinned_kib();
}

FIXTURE(isolation)
{
	struct guest slow;
	struct guest other;
};

FIXTURE_VARIANT(isolation)
{
	int (*wait)(struct guest *slow);
	bool busy;	/* the reset is refused with 05, instead of being slow */
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

FIXTURE_VARIANT_ADD(isolation, busy)
{
	.wait = reset_device,
	.busy = true,
};

/* Two guests that have a queue each of the same adapter. */
static void two_guests(struct __test_metadata *_metadata, struct guest *slow,
		       struct guest *other)
{
	struct ap_result result;

	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	if (host.nr_domains < 2)
		test_skip(_metadata, "needs two domains");
	GUEST_UP(slow);
	GUEST_UP(other, .nth = 1, .first_domain = 1);
	ASSERT_OK(ap_enable_irq(&slow->vmm, slow->apqn, ISC, GUEST_NIB,
				&result), slow->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
}

FIXTURE_SETUP(isolation)
{
	test_begin();
	two_guests(_metadata, &self->slow, &self->other);
}

/* Whoever has reset it: hardware is done with it. */
static bool is_operating(void *data)
{
	uint16_t apqn = *(uint16_t *)data;

	return !hw_change("queue %02x.%04x | grep -q state=operating",
			  APID(apqn), APQI(apqn));
}

/* The slow queue is to do something, for instance "reset-time 1". */
static int slow_queue(const struct guest *guest, const char *what)
{
	return hw_change("queue %02x.%04x %s >/dev/null", APID(guest->apqn),
			 APQI(guest->apqn), what);
}

static void end_slowness(struct guest *guest)
{
	if (!host.has_aphw)
		return;
	slow_queue(guest, "reset-time 1");
	slow_queue(guest, "response zapq none");
	slow_queue(guest, "response tapq none");
	slow_queue(guest, "response aqic none");
	wait_until(is_operating, &guest->apqn, hang_ms);
}

FIXTURE_TEARDOWN_PARENT(isolation)
{
	end_slowness(&self->slow);
	test_end();
}

/* The slow guest's queue is in its reset, or not the guest's any more, or all is over. */
static bool has_begun(void *data)
{
	struct waiter *waiting = data;
	struct ap_result result;

	if (is_done(data))
		return true;
	return !ap_tapq(&waiting->guest->vmm, waiting->guest->apqn, &result) &&
	       result.rc;
}

/* It is not busy for ever. */
static void *end_busy(void *data)
{
	sleep_ms(RESET_MS);
	slow_queue(data, "response zapq none");
	return NULL;
}

/* What everybody else does meanwhile. */
static void others(struct __test_metadata *_metadata, struct guest *slow,
		   struct guest *other)
{
	uint16_t apqn = other->apqn;
	struct ap_result result;
	char text[4096];
	int i;

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
}

/* The slow guest as it was before somebody waited for it. */
static void make_anew(struct __test_metadata *_metadata, struct guest *slow)
{
	struct ap_result result;

	end_slowness(slow);
	guest_down(slow);
	ASSERT_EQ(0, mdev_remove(slow->uuid));
	queues_restore();
	queue_settle(slow->apqn);
	GUEST_UP(slow);
	ASSERT_OK(ap_enable_irq(&slow->vmm, slow->apqn, ISC, GUEST_NIB,
				&result), slow->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
}

/*
 * The wait begins after @start. So it cannot end within RESET_MS of @start, because
 * neither the reset nor the driver's patience is over by then.
 */
TEST_F(isolation, others_go_on)
{
	unsigned int tries = host.driver_is_c ? 1 : TRIES;
	struct guest *slow = &self->slow;
	bool in_time = false;
	char what[32];

	snprintf(what, sizeof(what), "reset-time %u", RESET_MS);
	while (!in_time && tries--) {
		struct waiter waiting = { .guest = slow, .wait = variant->wait };
		pthread_t thread, ender;
		uint64_t start;

		ASSERT_EQ(0, slow_queue(slow, variant->busy ?
					"response zapq 5" : what));
		start = now_ms();
		if (variant->busy)
			ASSERT_EQ(0, pthread_create(&ender, NULL, end_busy,
						    slow));
		ASSERT_EQ(0, pthread_create(&thread, NULL, waiter, &waiting));
		EXPECT_TRUE(wait_until(variant->busy ? sleeps_or_is_done :
						       has_begun, &waiting,
				       hang_ms));
		others(_metadata, slow, &self->other);
		in_time = !is_done(&waiting) && now_ms() - start < RESET_MS - 1;
		pthread_join(thread, NULL);
		if (variant->busy)
			pthread_join(ender, NULL);
		if (!in_time && tries)
			make_anew(_metadata, slow);
	}
	EXPECT_TRUE(in_time)
		TH_LOG("the others were through only after the reset");
}

#define GLOBAL_MUTEX	"one mutex for all, held while hardware resets"
C_DEFECT(isolation, reset, others_go_on, GLOBAL_MUTEX);
C_DEFECT(isolation, unassign, others_go_on, GLOBAL_MUTEX);
C_DEFECT(isolation, unbind, others_go_on, GLOBAL_MUTEX);
C_DEFECT(isolation, close, others_go_on, GLOBAL_MUTEX);
C_DEFECT(isolation, busy, others_go_on, GLOBAL_MUTEX);

/* --- a reset that never ends ---------------------------------------------- */

static int (*const waits[])(struct guest *slow) = {
	reset_device, unassign, unbind, close_device,
};

FIXTURE(for_ever)
{
	struct guest guest[ARRAY_SIZE(waits)];
};

FIXTURE_VARIANT(for_ever)
{
	const char *slowness;
};

FIXTURE_VARIANT_ADD(for_ever, going_on)
{
	.slowness = FOR_EVER,
};

FIXTURE_VARIANT_ADD(for_ever, refused)
{
	.slowness = "response zapq 5",
};

static void four_guests(struct __test_metadata *_metadata, struct guest *guests)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits); i++) {
		struct guest *guest = &guests[i];
		struct ap_result result;

		GUEST_UP(guest, .nth = i, .first_domain = i / 2,
			 .mode = i % 2 ? AP_MODE_CCA : AP_MODE_ACCELERATOR);
		ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC,
					GUEST_NIB, &result), guest->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
	}
}

FIXTURE_SETUP(for_ever)
{
	test_begin();
	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	four_guests(_metadata, self->guest);
}

FIXTURE_TEARDOWN_PARENT(for_ever)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits); i++)
		end_slowness(&self->guest[i]);
	test_end();
}

static bool all_are_done(void *data)
{
	struct waiter *waiting = data;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits); i++)
		if (!is_done(&waiting[i]))
			return false;
	return true;
}

/*
 * Nobody waits for ever, nor for somebody else's wait to end, and the resets are looked
 * after. All of the waits together take less time than two of them one after another:
 * they are repeated if a busy machine delays them by that much.
 */
TEST_F(for_ever, nobody_waits)
{
	bool done = true, at_once = false;
	unsigned int tries, i;

	for (tries = 0; done && !at_once && tries < TRIES; tries++) {
		struct waiter waiting[ARRAY_SIZE(waits)] = {};
		pthread_t thread[ARRAY_SIZE(waits)];
		uint64_t start;

		for (i = 0; tries && i < ARRAY_SIZE(waits); i++) {
			guest_down(&self->guest[i]);
			ASSERT_EQ(0, mdev_remove(self->guest[i].uuid));
		}
		if (tries) {
			queues_restore();
			queues_settle();
			four_guests(_metadata, self->guest);
		}
		for (i = 0; i < ARRAY_SIZE(waits); i++) {
			waiting[i].guest = &self->guest[i];
			waiting[i].wait = waits[i];
			ASSERT_EQ(0, slow_queue(&self->guest[i],
						variant->slowness));
		}
		start = now_ms();
		for (i = 0; i < ARRAY_SIZE(waits); i++)
			ASSERT_EQ(0, pthread_create(&thread[i], NULL, waiter,
						    &waiting[i]));
		done = wait_until(all_are_done, waiting, hang_ms);
		at_once = now_ms() - start < 2 * PATIENCE_MS;
		for (i = 0; i < ARRAY_SIZE(waits); i++)
			end_slowness(&self->guest[i]);
		for (i = 0; i < ARRAY_SIZE(waits); i++)
			pthread_join(thread[i], NULL);
		/* What was held is given back. */
		EXPECT_TRUE(wait_until(nothing_pinned, NULL, hang_ms));
	}
	EXPECT_TRUE(done);
	EXPECT_TRUE(at_once)
		TH_LOG("one waited for another");
}

C_DEFECT(for_ever, going_on, nobody_waits, "waits for a reset for ever");
C_DEFECT(for_ever, refused, nobody_waits, "waits for a reset for ever");

/* --- a queue that is busy --------------------------------------------------- */

FIXTURE(busy)
{
	struct guest slow;
	struct guest other;
};

FIXTURE_SETUP(busy)
{
	test_begin();
	SKIP_ON_C("warns, and unpins what the queue still writes to");
	two_guests(_metadata, &self->slow, &self->other);
}

FIXTURE_TEARDOWN_PARENT(busy)
{
	end_slowness(&self->slow);
	test_end();
}

/*
 * A queue that answers AQIC with 05 holds up nobody, not even its own guest, because
 * the driver does not ask it again: one AQIC of the guest is one for the hardware.
 */
TEST_F(busy, aqic_is_answered_at_once)
{
	static const char count[] = "response aqic 05,count=";
	struct guest *slow = &self->slow, *other = &self->other;
	struct ap_result result;
	long before, asked;
	int i;

	ASSERT_EQ(0, slow_queue(slow, "response aqic 5 count 1000"));
	for (i = 0; i < 10; i++) {
		before = hw_queue_number(slow->apqn, count);
		ASSERT_LT(0, before);
		ASSERT_OK(ap_aqic(&slow->vmm, slow->apqn, 0, 0, &result),
			  slow->vmm.error);
		asked = before - hw_queue_number(slow->apqn, count);
		EXPECT_EQ(1, asked);
		EXPECT_EQ(AP_RC_BUSY, result.rc);
		ASSERT_OK(ap_enable_irq(&other->vmm, other->apqn, ISC,
					GUEST_NIB, &result), other->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_OK(ap_disable_irq(&other->vmm, other->apqn, &result),
			  other->vmm.error);
	}
}

/* --- a machine monitor that holds its guest's kvm->lock ------------------------ */

FIXTURE(held_up)
{
	struct guest slow;
	struct guest other;
};

FIXTURE_VARIANT(held_up)
{
	bool cdev;
	unsigned int irq_ms;	/* what the other guest's queue takes to disable */
};

FIXTURE_VARIANT_ADD(held_up, enabled)
{
};

FIXTURE_VARIANT_ADD(held_up, enabled_iommufd)
{
	.cdev = true,
};

/* So that it is the driver's worker that sees it done. */
FIXTURE_VARIANT_ADD(held_up, disabling)
{
	.irq_ms = 50,
};

FIXTURE_VARIANT_ADD(held_up, disabling_iommufd)
{
	.cdev = true,
	.irq_ms = 50,
};

static void interrupts_take(const struct guest *guest, unsigned int ms)
{
	char what[32];

	snprintf(what, sizeof(what), "irq-time %u", ms);
	slow_queue(guest, what);
}

FIXTURE_SETUP(held_up)
{
	test_begin();
	if (variant->irq_ms && !host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	if (host.nr_domains < 2)
		test_skip(_metadata, "needs two domains");
	GUEST_UP(&self->slow);
	GUEST_UP(&self->other, .nth = 1, .first_domain = 1,
		 .cdev = variant->cdev);
	if (variant->irq_ms)
		interrupts_take(&self->other, variant->irq_ms);
}

FIXTURE_TEARDOWN_PARENT(held_up)
{
	if (variant->irq_ms && host.has_aphw)
		interrupts_take(&self->other, 0);
	test_end();
}

static int unmap(struct guest *guest)
{
	return vmm_vfio_unmap(&guest->vfio, 0, VMM_MEM_SIZE);
}

/*
 * Taking an adapter from the slow guest has to wait, for kvm->lock. Another one's
 * interrupts, resets and memory do not, whoever has been told to unpin the page.
 */
TEST_F(held_up, others_go_on)
{
	struct guest *slow = &self->slow, *other = &self->other;
	struct ap_result result;
	struct held held;
	char text[4096];
	int i;

	hold_up(_metadata, &held, slow, unassign);
	if (variant->irq_ms) {
		ASSERT_OK(ap_enable_irq(&other->vmm, other->apqn, ISC, GUEST_NIB,
					&result), other->vmm.error);
		ASSERT_OK(ap_aqic(&other->vmm, other->apqn, 0, 0, &result),
			  other->vmm.error);
		EXPECT_TRUE(wait_until(nothing_pinned, NULL, hang_ms));
	}
	for (i = 0; i < ROUNDS; i++) {
		goes_on(_metadata, other, reset_device);
		ASSERT_OK(ap_enable_irq(&other->vmm, other->apqn, ISC, GUEST_NIB,
					&result), other->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		EXPECT_EQ(4, pinned_kib());
		if (variant->irq_ms) {
			ASSERT_OK(ap_aqic(&other->vmm, other->apqn, 0, 0,
					  &result), other->vmm.error);
			EXPECT_EQ(AP_RC_NORMAL, result.rc);
			sleep_ms(i * 10);
		}
		goes_on(_metadata, other, unmap);
		EXPECT_EQ(0, pinned_kib());
		ASSERT_OK(ap_await(&other->vmm, other->apqn, AP_RC_NORMAL,
				   AP_IRQ, 0, &result), other->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_OK(vmm_vfio_map(&other->vfio, 0, VMM_MEM_SIZE,
				       other->vmm.mem), other->vfio.error);
	}
	EXPECT_LT(0, mdev_read(other->uuid, "matrix", text, sizeof(text)));
	EXPECT_LT(0, mdev_read(other->uuid, "guest_matrix", text, sizeof(text)));
	EXPECT_LT(0, mdev_read(slow->uuid, "matrix", text, sizeof(text)));
	EXPECT_FALSE(guest_lost_queue(slow));

	let_go(_metadata, &held);
	EXPECT_TRUE(guest_lost_queue(slow));
	EXPECT_FALSE(guest_lost_queue(other));
}

static int lose_queue(struct guest *guest)
{
	return mdev_assign(guest->uuid, "unassign_domain", APQI(guest->apqn));
}

static int get_queue(struct guest *guest)
{
	return mdev_assign(guest->uuid, "assign_domain", APQI(guest->apqn));
}

static int bind(struct guest *guest)
{
	return queue_bind(guest->apqn, "vfio_ap");
}

static int leave(struct guest *guest)
{
	guest_down(guest);
	return 0;
}

static int come(struct guest *guest)
{
	return guest_up(guest, &(struct guest_config){
		.nth = 1, .first_domain = 1, .no_mdev = true,
	});
}

static int assign_more(struct guest *guest)
{
	return mdev_assign(guest->uuid, "assign_adapter", host.adapter[1]);
}

FIXTURE(host_held_up)
{
	struct guest slow;
	struct guest other;
};

FIXTURE_VARIANT(host_held_up)
{
	int (*change)(struct guest *slow);
};

FIXTURE_VARIANT_ADD(host_held_up, unassign)
{
	.change = unassign,
};

FIXTURE_VARIANT_ADD(host_held_up, assign)
{
	.change = assign_more,
};

FIXTURE_VARIANT_ADD(host_held_up, unbind)
{
	.change = unbind,
};

FIXTURE_VARIANT_ADD(host_held_up, close)
{
	.change = close_device,
};

FIXTURE_SETUP(host_held_up)
{
	test_begin();
	if (host.nr_adapters < 2 || host.nr_domains < 2)
		test_skip(_metadata, "needs two adapters and two domains");
	GUEST_UP(&self->slow);
	GUEST_UP(&self->other, .nth = 1, .first_domain = 1);
}

FIXTURE_TEARDOWN_PARENT(host_held_up)
{
	test_end();
}

/* Who administrates other devices, opens or closes them, does not wait either. */
TEST_F(host_held_up, others_go_on)
{
	struct guest *other = &self->other;
	struct ap_result result;
	struct held held;

	hold_up(_metadata, &held, &self->slow, variant->change);
	goes_on(_metadata, other, lose_queue);
	EXPECT_TRUE(guest_lost_queue(other));
	goes_on(_metadata, other, get_queue);
	EXPECT_FALSE(guest_lost_queue(other));
	goes_on(_metadata, other, unbind);
	EXPECT_TRUE(guest_lost_queue(other));
	goes_on(_metadata, other, bind);
	EXPECT_FALSE(guest_lost_queue(other));
	goes_on(_metadata, other, leave);
	goes_on(_metadata, other, come);
	ASSERT_OK(ap_enable_irq(&other->vmm, other->apqn, ISC, GUEST_NIB,
				&result), other->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	let_go(_metadata, &held);
	EXPECT_FALSE(guest_lost_queue(other));
}

#define WAITS_FOR_VMM	"one mutex for all, held while it waits for kvm->lock"
C_DEFECT(host_held_up, unassign, others_go_on, WAITS_FOR_VMM);
C_DEFECT(host_held_up, assign, others_go_on, WAITS_FOR_VMM);
C_DEFECT(host_held_up, unbind, others_go_on, WAITS_FOR_VMM);
C_DEFECT(host_held_up, close, others_go_on, WAITS_FOR_VMM);

FIXTURE(worker_held_up)
{
	struct guest slow;
	struct guest other;
};

FIXTURE_SETUP(worker_held_up)
{
	test_begin();
	two_guests(_metadata, &self->slow, &self->other);
}

FIXTURE_TEARDOWN_PARENT(worker_held_up)
{
	end_slowness(&self->slow);
	if (host.has_aphw)
		interrupts_take(&self->other, 0);
	test_end();
}

static bool has_queue(void *guest)
{
	return !guest_lost_queue(guest);
}

/* A queue that would be the slow guest's again holds up nobody else's. */
TEST_F(worker_held_up, others_go_on)
{
	struct guest *slow = &self->slow, *other = &self->other;
	struct ap_result result;
	struct held held;

	interrupts_take(other, 50);
	ASSERT_EQ(0, queue_unbind(slow->apqn));
	ASSERT_EQ(0, slow_queue(slow, FOR_EVER));
	ASSERT_EQ(0, queue_bind(slow->apqn, "vfio_ap"));
	hold_up(_metadata, &held, slow, NULL);
	ASSERT_EQ(0, slow_queue(slow, "reset-time 1"));
	ASSERT_TRUE(wait_until(is_operating, &slow->apqn, hang_ms));
	/* Whoever looks after it has seen that. */
	sleep_ms(500);

	ASSERT_OK(ap_enable_irq(&other->vmm, other->apqn, ISC, GUEST_NIB,
				&result), other->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_OK(ap_aqic(&other->vmm, other->apqn, 0, 0, &result),
		  other->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_TRUE(wait_until(nothing_pinned, NULL, hang_ms));
	let_go(_metadata, &held);
	EXPECT_TRUE(wait_until(has_queue, slow, hang_ms));
}

/*
 * A queue that was unbound and does not come to rest is looked at less and less often,
 * next some six seconds after this. Another guest's queue does not wait until then.
 */
TEST_F(worker_held_up, orphan_holds_up_nobody)
{
	struct guest *slow = &self->slow, *other = &self->other;
	unsigned int tries = 3;
	struct ap_result result;
	bool in_time = false;
	uint64_t start;

	NOT_ON_C("unbinding that does not wait for the reset");
	interrupts_take(other, 100);
	while (!in_time && tries--) {
		ASSERT_EQ(0, slow_queue(slow, "response zapq 5"));
		ASSERT_EQ(0, queue_unbind(slow->apqn));
		sleep_ms(7000);
		ASSERT_OK(ap_enable_irq(&other->vmm, other->apqn, ISC, GUEST_NIB,
					&result), other->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_EQ(4, pinned_kib());
		start = now_ms();
		ASSERT_OK(ap_aqic(&other->vmm, other->apqn, 0, 0, &result),
			  other->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_TRUE(wait_until(nothing_pinned, NULL, hang_ms));
		in_time = now_ms() - start < 2500;
		end_slowness(slow);
		ASSERT_EQ(0, queue_bind(slow->apqn, "vfio_ap"));
		ASSERT_TRUE(wait_until(has_queue, slow, hang_ms));
		ASSERT_OK(ap_enable_irq(&slow->vmm, slow->apqn, ISC, GUEST_NIB,
					&result), slow->vmm.error);
		ASSERT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_OK(ap_aqic(&slow->vmm, slow->apqn, 0, 0, &result),
			  slow->vmm.error);
		ASSERT_TRUE(wait_until(nothing_pinned, NULL, hang_ms));
		ASSERT_OK(ap_enable_irq(&slow->vmm, slow->apqn, ISC, GUEST_NIB,
					&result), slow->vmm.error);
	}
	EXPECT_TRUE(in_time);
}

/* --- everybody else's work ---------------------------------------------------- */

#define FILLER	"vfio_ap_test_busy_wq"

FIXTURE(full_queue)
{
	struct guest guest;
};

FIXTURE_VARIANT(full_queue)
{
	int (*wait)(struct guest *guest);
	bool cdev;
};

#define FULL_QUEUE(name, function)					\
	FIXTURE_VARIANT_ADD(full_queue, name) { .wait = function };	\
	FIXTURE_VARIANT_ADD(full_queue, name##_iommufd) {		\
		.wait = function,					\
		.cdev = true,						\
	}

FULL_QUEUE(unmap, unmap);
FULL_QUEUE(reset, reset_device);
FULL_QUEUE(close, close_device);
FULL_QUEUE(unassign, unassign);
FULL_QUEUE(unbind, unbind);

FIXTURE_SETUP(full_queue)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	test_begin();
	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	TEST_MODULE(FILLER);
	GUEST_UP(guest, .cdev = variant->cdev);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	/* Neither is done at once, so somebody has to look again. */
	interrupts_take(guest, 50);
	slow_queue(guest, "reset-time 50");
}

FIXTURE_TEARDOWN_PARENT(full_queue)
{
	test_module_unload(FILLER);
	if (host.has_aphw)
		interrupts_take(&self->guest, 0);
	end_slowness(&self->guest);
	test_end();
}

/* Whatever others have queued in the kernel, a page is given back in time. */
TEST_F(full_queue, is_not_waited_for)
{
	struct guest *guest = &self->guest;
	struct waiter waiting = { .guest = guest, .wait = variant->wait };
	pthread_t thread;

	ASSERT_EQ(0, test_module_set(FILLER, "full", "Y"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, waiter, &waiting));
	EXPECT_TRUE(wait_until(is_done, &waiting, hang_ms));
	EXPECT_TRUE(wait_until(nothing_pinned, NULL, hang_ms));
	EXPECT_EQ(0, test_module_set(FILLER, "full", "N"));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, waiting.result);
}
