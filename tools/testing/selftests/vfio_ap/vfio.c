// SPDX-License-Identifier: GPL-2.0
/*
 * The VFIO device: what each ioctl answers, what it refuses, and who may open.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/vfio.h>

#include "lib/test.h"
#include "lib/migration.h"

/* An address that nothing is mapped at. */
#define BAD_POINTER	((void *)0x10UL)

/* VFIO_AP_CFG_CHG_IRQ_INDEX, VFIO_AP_NUM_IRQS: newer than many headers. */
#define CFG_CHG_IRQ	1
#define NUM_IRQS	2

#define EXPECT_ERRNO(error, call)					\
	do {								\
		errno = 0;						\
		EXPECT_EQ(-1, call);					\
		EXPECT_EQ(error, errno);				\
	} while (0)

FIXTURE(vfio)
{
	struct guest guest;
	int fd;
};

GROUP_AND_IOMMUFD(vfio);

FIXTURE_SETUP(vfio)
{
	test_begin();
	GUEST_UP(&self->guest, .cdev = variant->cdev);
	self->fd = self->guest.vfio.device;
}

FIXTURE_TEARDOWN_PARENT(vfio)
{
	test_end();
}

TEST_F(vfio, get_info)
{
	struct vfio_device_info info = { .argsz = sizeof(info), .flags = ~0U };
	size_t minimum = offsetof(struct vfio_device_info, cap_offset);

	ASSERT_EQ(0, ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_AP | VFIO_DEVICE_FLAGS_RESET, info.flags);
	EXPECT_EQ(0, info.num_regions);
	EXPECT_EQ(NUM_IRQS, info.num_irqs);

	info.argsz = minimum;
	EXPECT_EQ(0, ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
	info.argsz = minimum - 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
	info.argsz = 0;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
	info.argsz = ~0U;
	EXPECT_EQ(0, ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_ERRNO(EFAULT,
		     ioctl(self->fd, VFIO_DEVICE_GET_INFO, BAD_POINTER));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, VFIO_DEVICE_GET_INFO, NULL));
}

TEST_F(vfio, get_info_read_only_memory)
{
	struct vfio_device_info *info;

	info = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, info);
	info->argsz = sizeof(*info);
	ASSERT_EQ(0, mprotect(info, 4096, PROT_READ));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, VFIO_DEVICE_GET_INFO, info));
	munmap(info, 4096);
}

TEST_F(vfio, get_irq_info)
{
	struct vfio_irq_info info;
	unsigned int i;

	for (i = 0; i < NUM_IRQS; i++) {
		info = (struct vfio_irq_info){
			.argsz = sizeof(info), .index = i,
		};
		ASSERT_EQ(0, ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
		EXPECT_EQ(1, info.count);
		EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD, info.flags);
		EXPECT_EQ(i, info.index);
	}
	info.index = NUM_IRQS;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	info.index = ~0U;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	info.index = 0;
	info.argsz = sizeof(info) - 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EXPECT_ERRNO(EFAULT,
		     ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, BAD_POINTER));
}

struct irq_set {
	struct vfio_irq_set set;
	int32_t fd;
};

static struct irq_set irq_set(unsigned int index, int fd)
{
	return (struct irq_set){
		.set = {
			.argsz = sizeof(struct irq_set),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = 1,
		},
		.fd = fd,
	};
}

TEST_F(vfio, set_irqs)
{
	struct irq_set set;
	unsigned int i;
	int event;

	event = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, event);
	for (i = 0; i < NUM_IRQS; i++) {
		set = irq_set(i, event);
		EXPECT_EQ(0, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
		/* Again, and off. */
		EXPECT_EQ(0, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
		set.fd = -1;
		EXPECT_EQ(0, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
		EXPECT_EQ(0, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	}
	close(event);
}

TEST_F(vfio, set_irqs_refuses)
{
	struct irq_set good, set;
	int event;

	event = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, event);
	good = irq_set(VFIO_AP_REQ_IRQ_INDEX, event);

	set = good;
	set.set.index = NUM_IRQS;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	set = good;
	set.set.argsz = sizeof(set.set) - 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	set = good;
	set.set.argsz = sizeof(set.set);
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	set = good;
	set.set.start = 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	set = good;
	set.set.count = 2;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	set = good;
	set.set.flags = ~0U;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	set = good;
	set.set.flags = 0;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	set = good;
	set.set.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_MASK;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	/* Not an eventfd, not a file, not a number for one. */
	set = good;
	set.fd = self->fd;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	set.fd = 9999;
	EXPECT_ERRNO(EBADF, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	set.fd = -2;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	EXPECT_ERRNO(EFAULT,
		     ioctl(self->fd, VFIO_DEVICE_SET_IRQS, BAD_POINTER));
	close(event);
}

/* The guest's configuration changes, and userspace hears of it. */
TEST_F(vfio, configuration_change_event)
{
	struct guest *guest = &self->guest;
	struct irq_set set;
	uint64_t count;
	int event;

	event = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, event);
	set = irq_set(CFG_CHG_IRQ, event);
	ASSERT_EQ(0, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	EXPECT_ERRNO(EAGAIN, read(event, &count, sizeof(count)));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_adapter",
				 APID(guest->apqn)));
	EXPECT_EQ(sizeof(count), read(event, &count, sizeof(count)));
	EXPECT_EQ(1, count);
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter",
				 APID(guest->apqn)));
	EXPECT_EQ(sizeof(count), read(event, &count, sizeof(count)));
	EXPECT_EQ(1, count);
	/* Nothing changed: nothing to hear. */
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_adapter",
				 APID(guest->apqn)));
	EXPECT_ERRNO(EAGAIN, read(event, &count, sizeof(count)));
	close(event);
}

/* An eventfd is the opener's; the next one has none. */
TEST_F(vfio, eventfd_ends_with_close)
{
	struct guest *guest = &self->guest;
	struct irq_set set;
	uint64_t count;
	int event;

	event = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, event);
	set = irq_set(CFG_CHG_IRQ, event);
	ASSERT_EQ(0, ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &set));
	guest_down(guest);
	ASSERT_OK(guest_up(guest, &(struct guest_config){
		.cdev = variant->cdev, .no_mdev = true }), guest->error);
	/* Opening may have counted as a change. */
	if (read(event, &count, sizeof(count)) < 0)
		EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_adapter",
				 APID(guest->apqn)));
	EXPECT_ERRNO(EAGAIN, read(event, &count, sizeof(count)));
	close(event);
}

C_DEFECT(vfio, group, eventfd_ends_with_close, "eventfds survive the close");
C_DEFECT(vfio, iommufd, eventfd_ends_with_close, "eventfds survive the close");

TEST_F(vfio, reset)
{
	int i;

	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, ioctl(self->fd, VFIO_DEVICE_RESET));
}

/* There is nothing to read, write or map, and no other ioctl. */
TEST_F(vfio, nothing_else)
{
	struct vfio_region_info region = { .argsz = sizeof(region) };
	char byte = 0;

	EXPECT_ERRNO(EINVAL, pread(self->fd, &byte, 1, 0));
	EXPECT_ERRNO(EINVAL, pwrite(self->fd, &byte, 1, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd,
				   0));
	EXPECT_EQ(-1, ioctl(self->fd, VFIO_DEVICE_GET_REGION_INFO, &region));
	EXPECT_EQ(-1, ioctl(self->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
			    &region));
	EXPECT_ERRNO(EOPNOTSUPP,
		     ioctl(self->fd, _IO(VFIO_TYPE, VFIO_BASE + 99), 0));
}

/* VFIO_DEVICE_FEATURE tells whether the guest can be migrated. */
TEST_F(vfio, live_migration)
{
	struct vfio_device_feature_migration migration = {};
	struct vfio_device_feature_mig_state state = {};
	struct vfio_device_feature_mig_data_size size = {};
	int expected = host.driver_is_c ? -ENOTTY : 0;

	EXPECT_EQ(expected, feature(self->fd, VFIO_DEVICE_FEATURE_GET |
				    VFIO_DEVICE_FEATURE_MIGRATION,
				    &migration, sizeof(migration)));
	EXPECT_EQ(expected, feature(self->fd, VFIO_DEVICE_FEATURE_GET |
				    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
				    &state, sizeof(state)));
	EXPECT_EQ(expected, feature(self->fd, VFIO_DEVICE_FEATURE_GET |
				    VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size, sizeof(size)));
	EXPECT_EQ(-ENOTTY, feature(self->fd, VFIO_DEVICE_FEATURE_GET | 0xffff,
				   &size, sizeof(size)));
}

/* A queue that a guest uses says so. */
TEST_F(vfio, queue_is_in_use)
{
	char text[64];

	EXPECT_LT(0, queue_status(self->guest.apqn, text, sizeof(text)));
	EXPECT_STREQ("in use", text);
}

/* One guest, one mediated device. */
TEST_F(vfio, second_device_of_a_guest)
{
	struct guest *guest = &self->guest;
	struct vmm_vfio second;
	char uuid[UUID_LENGTH];
	struct ap_result result;
	const char *wrong;
	int references;

	mdev_uuid(uuid, 7);
	ASSERT_EQ(0, mdev_create(uuid));
	references = module_references();
	EXPECT_EQ(-EPERM, vmm_vfio_open(&second, &guest->vmm, uuid,
					variant->cdev))
		TH_LOG("%s", second.error);
	EXPECT_EQ(references, module_references());
	/* The first is none the worse for it: its AQIC is still answered. */
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, 3, GUEST_NIB,
				&result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	wrong = guest_request(guest, 0x21, 3);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_EQ(0, mdev_remove(uuid));
	ASSERT_OK(ap_disable_irq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(0, pinned_kib());
}

/* One mediated device, one guest. */
TEST_F(vfio, second_guest_of_a_device)
{
	struct guest second;

	/* VFIO itself refuses: the group is open, the device bound. */
	EXPECT_EQ(variant->cdev ? -EINVAL : -EBUSY,
		  guest_up(&second, &(struct guest_config){
		.cdev = variant->cdev, .no_mdev = true }))
		TH_LOG("%s", second.error);
	guest_down(&second);
}

FIXTURE(open)
{
	char uuid[UUID_LENGTH];
	struct vmm vmm;
	int references;
};

GROUP_AND_IOMMUFD(open);

FIXTURE_SETUP(open)
{
	test_begin();
	if (variant->cdev && !path_exists("/dev/iommu"))
		test_skip(_metadata, "the kernel has no iommufd");
	mdev_uuid(self->uuid, 1);
	ASSERT_EQ(0, mdev_create(self->uuid));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]));
	ASSERT_EQ(0, mdev_assign(self->uuid, "assign_domain", host.domain[0]));
	self->references = module_references();
}

FIXTURE_TEARDOWN_PARENT(open)
{
	test_end();
}

static int open_vfio(struct vmm_vfio *vfio, const char *uuid, bool cdev)
{
	return cdev ? vmm_vfio_open_cdev(vfio, uuid) :
		      vmm_vfio_open_group(vfio, uuid);
}

TEST_F(open, without_kvm)
{
	struct vmm_vfio vfio;

	ASSERT_OK(open_vfio(&vfio, self->uuid, variant->cdev), vfio.error);
	EXPECT_EQ(-EINVAL, vmm_vfio_get_device(&vfio, self->uuid));
	vmm_vfio_close(&vfio);
	EXPECT_EQ(self->references, module_references());
}

/* The guest is gone before the device is opened. */
TEST_F(open, with_kvm_gone)
{
	struct vmm_vfio vfio;

	ASSERT_OK(open_vfio(&vfio, self->uuid, variant->cdev), vfio.error);
	ASSERT_OK(vmm_create(&self->vmm, NULL), self->vmm.error);
	ASSERT_OK(vmm_vfio_attach_kvm(&vfio, &self->vmm), vfio.error);
	vmm_destroy(&self->vmm);
	EXPECT_EQ(-EINVAL, vmm_vfio_get_device(&vfio, self->uuid));
	vmm_vfio_close(&vfio);
	EXPECT_EQ(self->references, module_references());
}

/* A guest without the AP facilities in its CPU model, but with a device. */
TEST_F(open, guest_without_ap)
{
	struct vmm_vfio vfio;

	ASSERT_OK(vmm_create(&self->vmm, &(struct vmm_config){
		.no_ap = true }), self->vmm.error);
	ASSERT_OK(vmm_vfio_open(&vfio, &self->vmm, self->uuid, variant->cdev),
		  vfio.error);
	vmm_vfio_close(&vfio);
	/* KVM may still have the file. */
	vmm_destroy(&self->vmm);
	EXPECT_EQ(self->references, module_references());
}

/*
 * Nothing to pin pages with: a container of the first type, which takes no mediated
 * device's pages, or an iommufd that the device is not attached to.
 */
TEST_F(open, wrong_container)
{
	uint16_t apqn = APQN(host.adapter[0], host.domain[0]);
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vmm *vmm = &self->vmm;
	struct ap_result result;
	struct vmm_vfio vfio;

	ASSERT_OK(vmm_create(vmm, NULL), vmm->error);
	ASSERT_OK(vmm_run(vmm, 0, hang_ms), vmm->error);
	ASSERT_OK(open_vfio(&vfio, self->uuid, variant->cdev), vfio.error);
	ASSERT_OK(vmm_vfio_attach_kvm(&vfio, vmm), vfio.error);
	if (variant->cdev) {
		bind.iommufd = vfio.container;
		ASSERT_EQ(0, ioctl(vfio.device, VFIO_DEVICE_BIND_IOMMUFD,
				   &bind));
	} else {
		ASSERT_EQ(0, ioctl(vfio.group, VFIO_GROUP_UNSET_CONTAINER));
		EXPECT_EQ(-EINVAL, vmm_vfio_get_device(&vfio, self->uuid));
		close(vfio.container);
		vfio.container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, vfio.container);
		ASSERT_EQ(0, ioctl(vfio.group, VFIO_GROUP_SET_CONTAINER,
				   &vfio.container));
		ASSERT_EQ(0, ioctl(vfio.container, VFIO_SET_IOMMU,
				   VFIO_TYPE1_IOMMU));
		ASSERT_OK(vmm_vfio_get_device(&vfio, self->uuid), vfio.error);
		ASSERT_OK(vmm_vfio_map(&vfio, 0, VMM_MEM_SIZE, vmm->mem),
			  vfio.error);
	}
	ASSERT_OK(ap_reset(vmm, apqn, &result), vmm->error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_OK(ap_aqic(vmm, apqn, AQIC_IR, GUEST_NIB, &result), vmm->error);
	EXPECT_EQ(AP_RC_INVALID_ADDRESS, result.rc);
	EXPECT_EQ(0, pinned_kib());
	vmm_vfio_close(&vfio);
	vmm_destroy(vmm);
	EXPECT_EQ(self->references, module_references());
}

/* Several file descriptors for one device: the last one counts. */
TEST_F(open, twice)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vmm_vfio vfio;
	int second;

	if (variant->cdev)
		test_skip(_metadata, "a character device is opened once");
	ASSERT_OK(vmm_create(&self->vmm, NULL), self->vmm.error);
	ASSERT_OK(vmm_vfio_open(&vfio, &self->vmm, self->uuid, false),
		  vfio.error);
	second = ioctl(vfio.group, VFIO_GROUP_GET_DEVICE_FD, self->uuid);
	ASSERT_LE(0, second);
	close(vfio.device);
	vfio.device = -1;
	EXPECT_EQ(0, ioctl(second, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_LT(self->references, module_references());
	close(second);
	vmm_vfio_close(&vfio);
	EXPECT_EQ(self->references, module_references());
	vmm_destroy(&self->vmm);
}
