// SPDX-License-Identifier: GPL-2.0
/*
 * Everybody at once: CPUs of a guest, the monitor, administrators and the AP
 * bus work on the same queues, against each other. Nothing hangs, the kernel
 * has nothing to complain of, and afterwards nothing is left.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define MILLISECONDS	1500
/* For a defect, which is a race that has to be won: the kernel crashes long before. */
#define DEFECT_MILLISECONDS	300000
#define CPUS		2

FIXTURE(stress)
{
	struct guest guest;
	int references;
};

GROUP_AND_IOMMUFD(stress);

FIXTURE_SETUP(stress)
{
	test_begin();
	SKIP_ON_C("leaks the page of an AQIC that ends with 02; the kernel crashes");
	self->references = module_references();
	GUEST_UP(&self->guest, .cdev = variant->cdev, .vmm.cpus = CPUS,
		 .adapters = host.nr_adapters > 1 ? 2 : 1,
		 .domains = host.nr_domains > 1 ? 2 : 1);
}

FIXTURE_TEARDOWN_PARENT(stress)
{
	test_end();
}

struct actor {
	struct guest *guest;
	unsigned int number;
	bool *stop;
	unsigned long done;
	int failed;
};

static bool stopped(struct actor *actor)
{
	return __atomic_load_n(actor->stop, __ATOMIC_RELAXED);
}

/* A queue that the guest may have at the moment. */
static uint16_t any_queue(unsigned int *seed)
{
	unsigned int a = host.nr_adapters > 1 ? rand_r(seed) % 2 : 0;
	unsigned int d = host.nr_domains > 1 ? rand_r(seed) % 2 : 0;

	return APQN(host.adapter[a], host.domain[d]);
}

/* A guest's CPU: every function on every queue, as it comes. */
static void *guest_cpu(void *data)
{
	static const uint64_t functions[] = {
		AP_FC_AQIC, AP_FC_AQIC, AP_FC_AQIC, AP_FC_TAPQ, AP_FC_ZAPQ,
		AP_FC_RAPQ,
	};
	struct actor *actor = data;
	struct vmm *vmm = &actor->guest->vmm;
	struct guest_mailbox *mailbox = vmm_mailbox(vmm, actor->number);
	unsigned int seed = actor->number + 1;

	if (actor->number)
		actor->failed = vmm_run(vmm, actor->number, hang_ms);
	while (!stopped(actor) && !actor->failed) {
		uint16_t apqn = any_queue(&seed);
		uint64_t insn = INSN_PQAP;

		mailbox->gr[1] = 0;
		mailbox->gr[2] = GUEST_NIB + (rand_r(&seed) % 2 << 12);
		if (rand_r(&seed) % 8 == 0) {
			mailbox->gr[0] = 0x40000000 | apqn;
			mailbox->gr[4] = 0;
			mailbox->gr[5] = seed;
			mailbox->gr[6] = GUEST_REQUEST;
			mailbox->gr[7] = 256;
			insn = INSN_NQAP;
		} else {
			mailbox->gr[0] = functions[rand_r(&seed) %
						   ARRAY_SIZE(functions)] |
					 apqn;
			if (rand_r(&seed) % 2)
				mailbox->gr[1] = AQIC_IR |
						 AQIC_ISC(rand_r(&seed) % 8);
		}
		actor->failed = vmm_execute_ex(vmm, actor->number, insn);
		if (!actor->failed && mailbox->pgm)
			actor->failed = mailbox->pgm;
		actor->done++;
	}
	return NULL;
}

/* An administrator, who takes away and gives back. */
static void *administrator(void *data)
{
	static const char * const what[] = { "adapter", "domain",
					     "control_domain" };
	struct actor *actor = data;
	unsigned int seed = 100 + actor->number;
	char attribute[64], text[4096];

	while (!stopped(actor) && !actor->failed) {
		uint16_t apqn = any_queue(&seed);
		unsigned int w = rand_r(&seed) % ARRAY_SIZE(what);
		unsigned int number = w ? APQI(apqn) : APID(apqn);
		int ret;

		snprintf(attribute, sizeof(attribute), "%sassign_%s",
			 rand_r(&seed) % 2 ? "" : "un", what[w]);
		ret = mdev_assign(actor->guest->uuid, attribute, number);
		/* Somebody else may hold the AP bus's lock. */
		if (ret && ret != -EAGAIN && ret != -EBUSY)
			actor->failed = ret;
		if (mdev_read(actor->guest->uuid, "guest_matrix", text,
			      sizeof(text)) < 0 ||
		    mdev_read(actor->guest->uuid, "matrix", text,
			      sizeof(text)) < 0)
			actor->failed = -EIO;
		queue_status(apqn, text, sizeof(text));
		actor->done++;
	}
	return NULL;
}

/* The monitor: resets, and memory that comes and goes. */
static void *monitor(void *data)
{
	struct actor *actor = data;
	struct guest *guest = actor->guest;
	unsigned int seed = 200 + actor->number;

	while (!stopped(actor) && !actor->failed) {
		struct vfio_device_info info = { .argsz = sizeof(info) };

		switch (rand_r(&seed) % 3) {
		case 0:
			/* A queue may be on its way out: EIO. */
			if (ioctl(guest->vfio.device, VFIO_DEVICE_RESET) &&
			    errno != EIO)
				actor->failed = -errno;
			break;
		case 1:
			actor->failed = vmm_vfio_unmap(&guest->vfio, 0,
						       VMM_MEM_SIZE);
			if (!actor->failed)
				actor->failed = vmm_vfio_map(&guest->vfio, 0,
							     VMM_MEM_SIZE,
							     guest->vmm.mem);
			break;
		default:
			if (ioctl(guest->vfio.device, VFIO_DEVICE_GET_INFO,
				  &info))
				actor->failed = -errno;
		}
		actor->done++;
	}
	return NULL;
}

/* A thread of the monitor's: all that a device can be asked, at the same time. */
static void *ioctls(void *data)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irqs = {
		.set = { .argsz = sizeof(irqs), .count = 1 },
	};
	struct actor *actor = data;
	int device = actor->guest->vfio.device;
	unsigned int seed = 400 + actor->number;
	int event = eventfd(0, EFD_CLOEXEC);

	while (!stopped(actor) && !actor->failed) {
		struct vfio_irq_info info = { .argsz = sizeof(info) };
		unsigned int index = rand_r(&seed) % VFIO_AP_NUM_IRQS;

		switch (rand_r(&seed) % 4) {
		case 0:
			if (ioctl(device, VFIO_DEVICE_RESET) && errno != EIO)
				actor->failed = -errno;
			break;
		case 1:
			info.index = index;
			if (ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info))
				actor->failed = -errno;
			break;
		case 2:
			irqs.set.flags = VFIO_IRQ_SET_DATA_EVENTFD |
					 VFIO_IRQ_SET_ACTION_TRIGGER;
			irqs.set.index = index;
			irqs.fd = rand_r(&seed) % 2 ? event : -1;
			if (ioctl(device, VFIO_DEVICE_SET_IRQS, &irqs))
				actor->failed = -errno;
			break;
		default:
			/* Signal it, if there is one. */
			irqs.set.flags = VFIO_IRQ_SET_DATA_NONE |
					 VFIO_IRQ_SET_ACTION_TRIGGER;
			irqs.set.index = index;
			if (ioctl(device, VFIO_DEVICE_SET_IRQS, &irqs))
				actor->failed = -errno;
		}
		actor->done++;
	}
	close(event);
	return NULL;
}

/* Another administrator: drivers bound and unbound, the bus scanned. */
static void *bus_administrator(void *data)
{
	struct actor *actor = data;
	unsigned int seed = 300 + actor->number;

	while (!stopped(actor) && !actor->failed) {
		uint16_t apqn = any_queue(&seed);

		if (queue_unbind(apqn))
			actor->failed = -EIO;
		sleep_ms(rand_r(&seed) % 20);
		if (queue_bind(apqn, "vfio_ap"))
			actor->failed = -EIO;
		sysfs_write(AP_BUS "/scans", "1");
		sleep_ms(rand_r(&seed) % 20);
		actor->done++;
	}
	return NULL;
}

TEST_F(stress, everybody_at_once)
{
	void *(*const roles[])(void *) = {
		guest_cpu, guest_cpu, administrator, administrator, monitor,
		bus_administrator, ioctls, ioctls,
	};
	struct actor actors[ARRAY_SIZE(roles)] = {};
	pthread_t threads[ARRAY_SIZE(roles)];
	struct guest *guest = &self->guest;
	bool stop = false;
	struct ap_result result;
	unsigned int i, a, d;

	for (i = 0; i < ARRAY_SIZE(roles); i++) {
		actors[i].guest = guest;
		actors[i].number = i;
		actors[i].stop = &stop;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, roles[i],
					    &actors[i]));
	}
	sleep_ms(getenv("VFIO_AP_TRY_DEFECTS") ? DEFECT_MILLISECONDS :
						MILLISECONDS);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(roles); i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, actors[i].failed)
			TH_LOG("actor %u: %s %s", i, guest->vmm.error,
			       guest->vfio.error);
		EXPECT_LT(0, actors[i].done)
			TH_LOG("actor %u has done nothing", i);
	}

	/* The guest's queues all work again when it has them again. */
	for (a = 0; a < 2 && a < host.nr_adapters; a++)
		EXPECT_EQ(0, mdev_assign(guest->uuid, "assign_adapter",
					 host.adapter[a]));
	for (d = 0; d < 2 && d < host.nr_domains; d++)
		EXPECT_EQ(0, mdev_assign(guest->uuid, "assign_domain",
					 host.domain[d]));
	queues_settle();
	for (a = 0; a < 2 && a < host.nr_adapters; a++) {
		for (d = 0; d < 2 && d < host.nr_domains; d++) {
			uint16_t apqn = APQN(host.adapter[a], host.domain[d]);

			ASSERT_OK(ap_reset(&guest->vmm, apqn, &result),
				  guest->vmm.error);
			ASSERT_OK(ap_enable_irq(&guest->vmm, apqn, 1,
						GUEST_NIB, &result),
				  guest->vmm.error);
			EXPECT_EQ(AP_RC_NORMAL, result.rc)
				TH_LOG("queue %04x", apqn);
		}
	}
	guest_down(guest);
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(self->references, module_references());
	EXPECT_NE(1, guest_vm_exists(guest));
	EXPECT_EQ(0, mdev_remove(guest->uuid));
}
