// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever goes first - device, group, container, guest, the process, the
 * mediated device, the queue -, everything is released, once.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define ISC	3
#define PSMID	0x99UL

FIXTURE(order)
{
	struct guest guest;
	int references;
};

GROUP_AND_IOMMUFD(order);

FIXTURE_SETUP(order)
{
	test_begin();
	self->references = module_references();
}

FIXTURE_TEARDOWN_PARENT(order)
{
	test_end();
}

/* A guest in the middle of its work: interrupt enabled, a reply unfetched. */
static void busy_guest(struct __test_metadata *_metadata, struct guest *guest,
		       const struct guest_config *config)
{
	struct ap_result result;
	size_t length;

	ASSERT_OK(guest_up(guest, config), guest->error);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	length = ap_request(&guest->vmm, guest->mode, guest->apqn);
	ASSERT_OK(ap_nqap(&guest->vmm, guest->apqn, PSMID, length, &result),
		  guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
}

static bool vm_gone(void *data)
{
	return guest_vm_exists(data) != 1;
}

/* Nothing of the guest is left. */
static void check_gone(struct __test_metadata *_metadata, struct guest *guest,
		       int references)
{
	char text[64] = "";

	EXPECT_TRUE(wait_until(module_has_references, &references, hang_ms))
		TH_LOG("%d references, not %d", module_references(),
		       references);
	EXPECT_TRUE(wait_until(vm_gone, guest, hang_ms));
	EXPECT_EQ(0, queue_interrupts(guest->apqn));
	EXPECT_LT(0, queue_status(guest->apqn, text, sizeof(text)));
	EXPECT_STRNE("in use", text);
}

/* And the queue is as a new one. */
static void check_released(struct __test_metadata *_metadata,
			   struct guest *guest, int references)
{
	check_gone(_metadata, guest, references);
	queue_is_empty(_metadata, guest->apqn);
}

enum part { DEVICE, GROUP, CONTAINER, KVM_VFIO, VM, VCPU, PARTS };

static void close_part(struct guest *guest, enum part part)
{
	int *fds[PARTS] = {
		[DEVICE] = &guest->vfio.device,
		[GROUP] = &guest->vfio.group,
		[CONTAINER] = &guest->vfio.container,
		[KVM_VFIO] = &guest->vmm.kvm_vfio,
		[VM] = &guest->vmm.vm,
		[VCPU] = &guest->vmm.vcpu[0],
	};

	if (part == VCPU && guest->vmm.run[0]) {
		/* The mapping of kvm_run holds the file, too. */
		munmap(guest->vmm.run[0], guest->vmm.run_size);
		guest->vmm.run[0] = NULL;
	}
	if (*fds[part] >= 0)
		close(*fds[part]);
	*fds[part] = -1;
}

/*
 * All orders of all that a monitor has open; by iommufd it has no group. A VCPU is
 * closed with its VM: neither file does anything but to hold the guest. With the
 * VCPU by itself there would be 720, which takes more than a minute.
 */
TEST_F(order, every_order_of_closing)
{
	unsigned int orders = variant->cdev ? 24 : 120, i;
	struct guest *guest = &self->guest;

	for (i = 0; i < orders; i++) {
		enum part left[PARTS], part;
		unsigned int nr_left = 0, rest = i, n;

		for (part = 0; part < PARTS; part++)
			if (part != VCPU && (part != GROUP || !variant->cdev))
				left[nr_left++] = part;
		GUEST_UP(guest, .cdev = variant->cdev, .no_mdev = i > 0);
		ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC,
					   GUEST_NIB, &(struct ap_result){}));
		while (nr_left) {
			n = rest % nr_left;
			rest /= nr_left;
			if (left[n] == VM)
				close_part(guest, VCPU);
			close_part(guest, left[n]);
			left[n] = left[--nr_left];
		}
		check_gone(_metadata, guest, self->references);
		EXPECT_EQ(0, pinned_kib())
			TH_LOG("order %u", i);
		guest_down(guest);
	}
	EXPECT_EQ(0, mdev_remove(guest->uuid));
}

/* The guest's parts in both orders, while the device stays open longest. */
TEST_F(order, guest_first)
{
	struct guest *guest = &self->guest;
	struct vfio_device_info info = { .argsz = sizeof(info) };

	busy_guest(_metadata, guest, &(struct guest_config){
		.cdev = variant->cdev });
	close_part(guest, VCPU);
	close_part(guest, VM);
	close_part(guest, KVM_VFIO);
	/* The device keeps the guest, and goes on working. */
	EXPECT_NE(0, guest_vm_exists(guest));
	EXPECT_EQ(0, ioctl(guest->vfio.device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(4, pinned_kib());
	EXPECT_EQ(0, ioctl(guest->vfio.device, VFIO_DEVICE_RESET));
	EXPECT_EQ(0, pinned_kib());
	close_part(guest, DEVICE);
	close_part(guest, GROUP);
	close_part(guest, CONTAINER);
	check_released(_metadata, guest, self->references);
	guest_down(guest);
}

/* KVM forgets the file, the device stays open: the guest stays, too. */
TEST_F(order, detach_from_kvm)
{
	struct guest *guest = &self->guest;
	const char *wrong;

	GUEST_UP(guest, .cdev = variant->cdev);
	ASSERT_OK(vmm_vfio_detach_kvm(&guest->vfio, &guest->vmm),
		  guest->vfio.error);
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				   &(struct ap_result){}));
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	guest_down(guest);
	check_released(_metadata, guest, self->references);
}

/* The process is killed while its guest runs. */
TEST_F(order, killed)
{
	struct guest *guest = &self->guest;
	int ready[2], status;
	pid_t pid;
	char byte;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct guest_config config = { .cdev = variant->cdev };
		struct guest_mailbox *mailbox;
		struct ap_result result;

		close(ready[0]);
		if (guest_up(guest, &config) ||
		    ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				  &result) || result.rc)
			_exit(1);
		/* TAPQ in a loop without end. */
		vmm_set_slot(&guest->vmm, INSN_PQAP);
		mailbox = vmm_mailbox(&guest->vmm, 0);
		mailbox->gr[0] = AP_FC_TAPQ | guest->apqn;
		mailbox->op = GUEST_OP_LOOP;
		if (vmm_start(&guest->vmm, 0, hang_ms))
			_exit(1);
		while (!__atomic_load_n(&mailbox->loops, __ATOMIC_RELAXED))
			sleep_ms(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	EXPECT_EQ(1, read(ready[0], &byte, 1))
		TH_LOG("%s", guest->error);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	check_released(_metadata, guest, self->references);
	/* And the next one can have it. */
	ASSERT_OK(guest_up(guest, &(struct guest_config){
		.cdev = variant->cdev, .no_mdev = true, .no_reset = true }),
		  guest->error);
	guest_down(guest);
}

/* The mediated device is removed while it is open: that waits for the close. */
TEST_F(order, mdev_removed_while_open)
{
	struct guest *guest = &self->guest;
	char path[128], text[64];
	int status;
	pid_t pid;

	busy_guest(_metadata, guest, &(struct guest_config){
		.cdev = variant->cdev });
	snprintf(path, sizeof(path), MDEV_DEVICES "/%s", guest->uuid);
	pid = guest_begin_removal(guest);
	ASSERT_LE(0, pid);
	/* The guest is asked to let go: its queues vanish, the removal waits. */
	EXPECT_TRUE(wait_until(guest_lost_queue, guest, hang_ms));
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	guest_down(guest);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_FALSE(path_exists(path));
	EXPECT_EQ(0, pinned_kib());
	check_released(_metadata, guest, self->references);
	EXPECT_LT(0, queue_status(guest->apqn, text, sizeof(text)));
	EXPECT_STREQ("unassigned", text);
}

/* A VMM that wants to know is asked to let go, by an event. */
TEST_F(order, vmm_is_asked_for_the_device)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irqs = {
		.set = {
			.argsz = sizeof(irqs),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_AP_REQ_IRQ_INDEX,
			.count = 1,
		},
	};
	struct guest *guest = &self->guest;
	struct pollfd event = { .events = POLLIN };
	int status;
	pid_t pid;

	GUEST_UP(guest, .cdev = variant->cdev);
	event.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, event.fd);
	irqs.fd = event.fd;
	ASSERT_EQ(0, ioctl(guest->vfio.device, VFIO_DEVICE_SET_IRQS, &irqs));
	EXPECT_EQ(0, poll(&event, 1, 0));
	pid = guest_begin_removal(guest);
	ASSERT_LE(0, pid);
	EXPECT_EQ(1, poll(&event, 1, hang_ms));
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	guest_down(guest);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(event.fd);
	EXPECT_TRUE(wait_until(module_has_references, &self->references, hang_ms));
}

/* The queue is taken from vfio_ap while the guest uses it, and comes back. */
TEST_F(order, queue_unbound_while_in_use)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;

	busy_guest(_metadata, guest, &(struct guest_config){
		.cdev = variant->cdev });
	ASSERT_EQ(0, queue_unbind(guest->apqn));
	EXPECT_EQ(0, pinned_kib());
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);

	ASSERT_EQ(0, queue_bind(guest->apqn, "vfio_ap"));
	ASSERT_OK(ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, 0xff,
			   AP_EMPTY, &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(AP_EMPTY, result.flags);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	/* The interruption of before may still be pending. */
	vmm_wait_io(&guest->vmm, 0, 0x80 >> ISC, NULL, 50);
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	guest_down(guest);
	check_released(_metadata, guest, self->references);
}

/* The queue goes, and then the guest, and then the mediated device. */
TEST_F(order, queue_unbound_first)
{
	struct guest *guest = &self->guest;
	char path[128];

	busy_guest(_metadata, guest, &(struct guest_config){
		.cdev = variant->cdev });
	ASSERT_EQ(0, queue_unbind(guest->apqn));
	guest_down(guest);
	ASSERT_EQ(0, mdev_remove(guest->uuid));
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(self->references, module_references());
	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/status",
		 APID(guest->apqn), APQI(guest->apqn));
	EXPECT_FALSE(path_exists(path));
}

/* Everything is unassigned under the guest's feet. */
TEST_F(order, unassigned_while_in_use)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	busy_guest(_metadata, guest, &(struct guest_config){
		.cdev = variant->cdev });
	ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_domain",
				 APQI(guest->apqn)));
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(0, queue_interrupts(guest->apqn));
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	guest_down(guest);
	check_released(_metadata, guest, self->references);
}

/* The module cannot go while a guest uses it. */
TEST_F(order, module_is_held)
{
	struct guest *guest = &self->guest;

	busy_guest(_metadata, guest, &(struct guest_config){
		.cdev = variant->cdev });
	EXPECT_EQ(-EAGAIN, module_unload());
	EXPECT_TRUE(path_exists(MATRIX));
	guest_down(guest);
	check_released(_metadata, guest, self->references);
}

/* Two guests side by side: what one does is nothing to the other. */
TEST_F(order, two_guests)
{
	struct guest *guest = &self->guest;
	struct guest second;
	struct ap_result result;
	const char *wrong;

	if (host.nr_domains < 2)
		test_skip(_metadata, "needs two domains");
	busy_guest(_metadata, guest, &(struct guest_config){
		.cdev = variant->cdev });
	GUEST_UP(&second, .cdev = variant->cdev, .nth = 1, .first_domain = 1);
	EXPECT_EQ(host.domain[1], APQI(second.apqn));
	ASSERT_OK(ap_tapq(&second.vmm, guest->apqn, &result),
		  second.vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	ASSERT_OK(ap_aqic(&second.vmm, guest->apqn, 0, 0, &result),
		  second.vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	ASSERT_OK(ap_enable_irq(&second.vmm, second.apqn, 5, GUEST_NIB,
				&result), second.vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	guest_down(guest);
	EXPECT_EQ(4, pinned_kib());
	wrong = guest_request(&second, PSMID, 5);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	guest_down(&second);
	check_released(_metadata, guest, self->references);
	check_released(_metadata, &second, self->references);
}
