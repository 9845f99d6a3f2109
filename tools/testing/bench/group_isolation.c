// SPDX-License-Identifier: GPL-2.0
/*
 * What guest B and an administrator of its device take while nothing else
 * happens, and while guest A's device is reset, which lasts 500 ms; and what B
 * takes while A is stopped, to be migrated, and its queue needs 500 ms for that.
 *
 * One CPU is enough: hardware resets, and who waits for it sleeps.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "lib/migration.h"
#include "operations.h"

#define ISC		3
#define RESET_MS	500
#define STOP_MS		500

static struct guest a, b;
static const struct size one = { 1, 1 };
/* The guest gets it, for the host has it. */
#define CONTROL_DOMAIN	"3"

/* Guest A's reset, in a thread of its own. */
static pthread_t thread;
static int reset_result;

static void *reset_a(void *data)
{
	reset_result = ioctl(a.vfio.device, VFIO_DEVICE_RESET);
	return NULL;
}

static bool is_in_reset(void *data)
{
	struct ap_result result;

	return !ap_tapq(&a.vmm, a.apqn, &result) &&
	       result.rc == AP_RC_RESET;
}

static void begin_reset(const struct op *op)
{
	rested_log(op);
	if (pthread_create(&thread, NULL, reset_a, NULL))
		die("no thread");
	if (!wait_until(is_in_reset, NULL, RESET_MS / 2))
		die("the reset has not begun");
}

static void end_reset(void)
{
	pthread_join(thread, NULL);
	if (reset_result)
		die("the reset has failed");
}

/* One operation of guest B's, idle or during guest A's reset. */
static void aqic(struct op *op, bool busy, uint64_t control, const char *name)
{
	op->name = name;
	if (busy)
		begin_reset(op);
	op_aqic(op, &b, b.apqn, control, control ? GUEST_NIB : 0, AP_RC_NORMAL);
	if (busy)
		end_reset();
}

static void attribute(struct op *op, bool busy, int fd, const char *text,
		      const char *name)
{
	char is[4096];

	op->name = name;
	if (busy)
		begin_reset(op);
	if (text)
		op_write(op, fd, text);
	else if (op_read(op, fd, is, sizeof(is)) != 8)
		die("%s: '%s'", name, is);
	if (busy)
		end_reset();
}

static void all(bool busy)
{
	int matrix, assign, unassign, round;
	struct op op = { .size = one, .others = 1 };

	matrix = open_attribute(b.uuid, "matrix", O_RDONLY);
	assign = open_attribute(b.uuid, "assign_control_domain", O_WRONLY);
	unassign = open_attribute(b.uuid, "unassign_control_domain", O_WRONLY);
	for_each_round(round) {
		op.warm_up = !round;
		aqic(&op, busy, AQIC_IR | AQIC_ISC(ISC),
		     busy ? "B's AQIC enable, during A's reset" :
			    "B's AQIC enable, idle");
		aqic(&op, busy, 0,
		     busy ? "B's AQIC disable, during A's reset" :
			    "B's AQIC disable, idle");
		attribute(&op, busy, matrix, NULL,
			  busy ? "B's matrix, during A's reset" :
				 "B's matrix, idle");
		attribute(&op, busy, assign, CONTROL_DOMAIN,
			  busy ? "B's assign_control_domain, during A's reset" :
				 "B's assign_control_domain, idle");
		attribute(&op, false, unassign, CONTROL_DOMAIN,
			  "B's unassign_control_domain, idle");
	}
	close(matrix);
	close(assign);
	close(unassign);
}

static bool irq_of_a_is_on(void *data)
{
	struct ap_result result;

	return !ap_tapq(&a.vmm, a.apqn, &result) && !result.rc && result.flags & AP_IRQ;
}

static int stop_result;

static void *stop_a(void *data)
{
	stop_result = set_state(a.vfio.device, VFIO_DEVICE_STATE_STOP, NULL);
	return NULL;
}

/* A guest that is stopped is answered with 05, and its interrupts are still on. */
static bool is_being_stopped(void *data)
{
	struct ap_result result;

	return !ap_aqic(&a.vmm, a.apqn, AQIC_IR | AQIC_ISC(ISC), GUEST_NIB, &result) &&
	       result.rc == AP_RC_BUSY && irq_of_a_is_on(NULL);
}

/* Guest B's AQIC while guest A is being stopped. */
static void aqic_during_stop(struct op *op, const char *name, uint64_t control,
			     const char *queue)
{
	set_time(queue, "irq-time", 0);
	if (set_state(a.vfio.device, VFIO_DEVICE_STATE_RUNNING, NULL) ||
	    !wait_until(irq_of_a_is_on, NULL, 10000))
		die("guest A does not go on");
	set_time(queue, "irq-time", STOP_MS);
	if (pthread_create(&thread, NULL, stop_a, NULL))
		die("no thread");
	if (!wait_until(is_being_stopped, NULL, STOP_MS / 2))
		die("guest A is not being stopped");
	op->name = name;
	op_aqic(op, &b, b.apqn, control, control ? GUEST_NIB : 0, AP_RC_NORMAL);
	if (!is_being_stopped(NULL))
		die("guest A was stopped too soon");
	pthread_join(thread, NULL);
	if (stop_result)
		die("guest A is not stopped: %s", strerror(-stop_result));
}

static void during_stop(const char *queue)
{
	struct op op = { .size = one, .others = 1 };
	struct ap_result result;
	int round;

	/* A driver without migration. */
	if (set_state(a.vfio.device, VFIO_DEVICE_STATE_RUNNING, NULL))
		return;
	if (ap_enable_irq(&a.vmm, a.apqn, ISC, GUEST_NIB, &result) || result.rc)
		die("guest A's AQIC: %s", a.vmm.error);
	for_each_round(round) {
		op.warm_up = !round;
		aqic_during_stop(&op, "B's AQIC enable, while A is stopped",
				 AQIC_IR | AQIC_ISC(ISC), queue);
		aqic_during_stop(&op, "B's AQIC disable, while A is stopped", 0, queue);
	}
	set_time(queue, "irq-time", 0);
	if (set_state(a.vfio.device, VFIO_DEVICE_STATE_RUNNING, NULL))
		die("guest A does not go on");
}

void group_isolation(void)
{
	const struct guest_config config = {
		.no_mdev = true, .nth = 1, .first_domain = 1,
	};
	char uuid[UUID_LENGTH], name[16];

	guest_start(&a, 0, one);
	create(1);
	mdev_uuid(uuid, 1);
	if (mdev_assign(uuid, "assign_adapter", host.adapter[0]) ||
	    mdev_assign(uuid, "assign_domain", host.domain[1]))
		die("guest B gets no queue");
	guest_make(&b, &config);
	snprintf(name, sizeof(name), "%02x.%04x", APID(a.apqn), APQI(a.apqn));
	set_time(name, "reset-time", RESET_MS);
	all(false);
	all(true);
	set_time(name, "reset-time", 1);
	during_stop(name);
	guest_stop(&a);
	guest_stop(&b);
}
