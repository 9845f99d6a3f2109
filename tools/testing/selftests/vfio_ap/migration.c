// SPDX-License-Identifier: GPL-2.0
/*
 * Live migration, by VFIO's protocol: states, data files and streams. A guest stops and
 * goes on as if nothing had been; another one takes its place, with its matrix and its
 * interrupts; and whatever is wrong with a stream or a target is refused, and changes
 * nothing.
 *
 * The stream is described in Documentation/arch/s390/vfio-ap-migration.rst.
 */
#include <endian.h>

#include "lib/test.h"
#include "lib/migration.h"

#define ISC		3
#define PSMID		0x0123456789abcdefUL
#define STREAM_MAX	0x4000

#define ERROR		VFIO_DEVICE_STATE_ERROR
#define STOP		VFIO_DEVICE_STATE_STOP
#define RUNNING		VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY	VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING	VFIO_DEVICE_STATE_RESUMING
#define PRE_COPY	VFIO_DEVICE_STATE_PRE_COPY

struct stream {
	uint8_t bytes[STREAM_MAX];
	size_t length;
};

static int get_state(int device)
{
	struct vfio_device_feature_mig_state mig = {};
	int ret = feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			  &mig, sizeof(mig));

	return ret ? ret : (int)mig.device_state;
}

static int reset(int device)
{
	return ioctl(device, VFIO_DEVICE_RESET) ? -errno : 0;
}

static int precopy_info(int fd, struct vfio_precopy_info *info)
{
	*info = (struct vfio_precopy_info){ .argsz = sizeof(*info) };
	return ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, info) ? -errno : 0;
}

/* Read to the end, in pieces of @piece bytes. Return: 0, or a negative errno. */
static int read_all(int fd, struct stream *stream, size_t piece)
{
	ssize_t n;

	do {
		size_t room = sizeof(stream->bytes) - stream->length;

		n = read(fd, stream->bytes + stream->length, room < piece ? room : piece);
		if (n < 0)
			return -errno;
		stream->length += n;
	} while (n);
	return 0;
}

static int write_all(int fd, const struct stream *stream, size_t piece)
{
	size_t at = 0;

	while (at < stream->length) {
		size_t size = stream->length - at < piece ? stream->length - at : piece;

		if (write(fd, stream->bytes + at, size) != (ssize_t)size)
			return -errno;
		at += size;
	}
	return 0;
}

static void put(struct stream *stream, uint64_t value, unsigned int size)
{
	value = htobe64(value << (64 - 8 * size));
	memcpy(stream->bytes + stream->length, &value, size);
	stream->length += size;
}

/* A stream of version 1 with the queues of one adapter. */
static void version_1(struct stream *stream, uint8_t adapter, const uint8_t *domain,
		      unsigned int domains, uint64_t info)
{
	unsigned int i;

	stream->length = 0;
	put(stream, 0x76666170, 4);
	put(stream, 1, 4);
	put(stream, domains, 4);
	put(stream, 0, 4);
	for (i = 0; i < 4; i++)
		put(stream, 0, 8);
	for (i = 0; i < domains; i++) {
		put(stream, info, 8);
		put(stream, APQN(adapter, domain[i]), 2);
		put(stream, 0, 6);
	}
}

/* A device with an empty matrix, open in a guest of its own. */
static void target_up_(struct __test_metadata *_metadata, struct guest *target, unsigned int nth,
		       bool cdev, bool assigned)
{
	if (!assigned) {
		char uuid[UUID_LENGTH];

		mdev_uuid(uuid, nth);
		ASSERT_EQ(0, mdev_create(uuid));
	}
	GUEST_UP(target, .cdev = cdev, .nth = nth, .no_device = true);
	ASSERT_OK(vmm_vfio_open(&target->vfio, &target->vmm, target->uuid, cdev),
		  target->vfio.error);
}

#define TARGET_UP(target, nth)	target_up_(_metadata, target, nth, variant->cdev, false)

static bool has_nothing(const struct guest *guest)
{
	char text[4096];

	return !mdev_read(guest->uuid, "matrix", text, sizeof(text));
}

/* The queue of the guests is to do something, for instance "irq-time 100". */
#define queue_is(what)							\
	hw_change("queue %02x.%04x " what " >/dev/null",		\
		  APID(self->guest.apqn), APQI(self->guest.apqn))

#define NEED_APHW()							\
	do {								\
		if (!host.has_aphw)					\
			test_skip(_metadata, "only the emulated host's adapters can do that"); \
	} while (0)

FIXTURE(migration)
{
	struct guest guest;
	int device;
	struct stream *stream;
	int free_domain;	/* that the host does not have; -1 */
};

GROUP_AND_IOMMUFD(migration);

FIXTURE_SETUP(migration)
{
	test_begin();
	NOT_ON_C("live migration");
	GUEST_UP(&self->guest, .cdev = variant->cdev, .nth = 1);
	self->device = self->guest.vfio.device;
	self->stream = calloc(1, sizeof(*self->stream));
	ASSERT_NE(NULL, self->stream);
	self->free_domain = host_free_domain();
}

FIXTURE_TEARDOWN_PARENT(migration)
{
	if (host.has_aphw && self->guest.apqn) {
		queue_is("irq-time 0");
		queue_is("response aqic none");
		hw_change("adapter %u configure >/dev/null", APID(self->guest.apqn));
		hw_change("adapter %u recover >/dev/null", APID(self->guest.apqn));
		hw_change("domain remove %d >/dev/null 2>&1", self->free_domain);
	}
	test_end();
}

static bool irq_is_on(struct guest *guest)
{
	struct ap_result result;

	return !ap_tapq(&guest->vmm, guest->apqn, &result) && (result.flags & AP_IRQ);
}

/* A guest that goes on is made to look at its queues so often: the first one is soon. */
static void takes_looks(struct __test_metadata *_metadata, struct guest *guest, unsigned int looks)
{
	while (looks--) {
		EXPECT_OK(vmm_wait_io(&guest->vmm, 0, 0x80 >> ISC, NULL, hang_ms),
			  guest->vmm.error);
		EXPECT_NE(0, guest->vmm.mem[GUEST_NIB]);
		guest->vmm.mem[GUEST_NIB] = 0;
	}
	EXPECT_EQ(-ETIMEDOUT, vmm_wait_io(&guest->vmm, 0, 0x80 >> ISC, NULL, 300));
}

#define TAKES_LOOKS(guest, looks)	takes_looks(_metadata, guest, looks)

/* The stream of a guest whose interrupts are on, or not; then nobody has its queues. */
static void save(struct __test_metadata *_metadata, struct guest *guest, struct stream *stream,
		 bool irq, bool request, bool pre_copy)
{
	int device = guest->vfio.device, fd;
	struct ap_result result;

	if (irq)
		ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	if (request) {
		size_t length = ap_request(&guest->vmm, guest->mode, guest->apqn);

		ASSERT_EQ(0, ap_nqap(&guest->vmm, guest->apqn, PSMID, length, &result));
		ASSERT_EQ(0, result.rc);
	}
	if (pre_copy) {
		ASSERT_EQ(0, set_state(device, PRE_COPY, &fd));
		ASSERT_EQ(-ENOMSG, read_all(fd, stream, STREAM_MAX));
		/* The guest still runs. */
		EXPECT_EQ(irq, irq_is_on(guest));
		ASSERT_EQ(0, set_state(device, STOP_COPY, NULL));
	} else {
		ASSERT_EQ(0, set_state(device, STOP_COPY, &fd));
	}
	ASSERT_LE(0, fd);
	EXPECT_FALSE(irq_is_on(guest));
	ASSERT_EQ(0, read_all(fd, stream, STREAM_MAX));
	close(fd);
	guest_down(guest);
	ASSERT_EQ(0, mdev_remove(guest->uuid));
}

#define SAVE(irq, request)						\
	save(_metadata, &self->guest, self->stream, irq, request, false)

TEST_F(migration, is_offered)
{
	struct vfio_device_feature_migration mig = {};
	struct vfio_device_feature_mig_data_size size = {};

	EXPECT_EQ(0, feature(self->device, VFIO_DEVICE_FEATURE_GET |
			     VFIO_DEVICE_FEATURE_MIGRATION, &mig, sizeof(mig)));
	EXPECT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY, mig.flags);
	EXPECT_EQ(0, feature(self->device, VFIO_DEVICE_FEATURE_GET |
			     VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size, sizeof(size)));
	EXPECT_EQ(144, size.stop_copy_length);
	EXPECT_EQ(RUNNING, get_state(self->device));
}

/* Bring a device that runs to @state. */
static int go(int device, uint32_t state, int *fd)
{
	*fd = -1;
	if (state == ERROR)
		return set_state(device, RESUMING, NULL) ||
		       set_state(device, STOP, NULL) != -EINVAL ? -EPROTO : 0;
	return set_state(device, state, fd);
}

/* From every state to every number: what it returns, and where it leads. */
TEST_F(migration, every_arc)
{
	static const uint32_t from[] = { STOP, RUNNING, STOP_COPY, RESUMING, PRE_COPY, ERROR };
	unsigned int i, to;
	int first, fd;

	for (i = 0; i < ARRAY_SIZE(from); i++)
		for (to = 0; to < 10; to++) {
			bool known = to == STOP || to == RUNNING || to == STOP_COPY ||
				     to == RESUMING || to == PRE_COPY;
			int expected = known ? 0 : -EINVAL;
			uint32_t state = known ? to : from[i];
			bool file;

			/* There is nothing in the stream. */
			if (from[i] == RESUMING && known && to != RESUMING) {
				expected = -EINVAL;
				state = ERROR;
			}
			if (from[i] == ERROR || (from[i] == STOP_COPY && to == PRE_COPY)) {
				expected = -EINVAL;
				state = from[i];
			}
			file = !expected && to != from[i] &&
			       (to == PRE_COPY || to == RESUMING ||
				(to == STOP_COPY && from[i] != PRE_COPY));

			ASSERT_EQ(0, go(self->device, from[i], &first));
			EXPECT_EQ(from[i], get_state(self->device));
			EXPECT_EQ(expected, set_state(self->device, to, &fd))
				TH_LOG("from %u to %u", from[i], to);
			EXPECT_EQ(state, get_state(self->device))
				TH_LOG("from %u to %u", from[i], to);
			EXPECT_EQ(file, fd >= 0)
				TH_LOG("from %u to %u", from[i], to);
			if (fd >= 0)
				close(fd);
			if (first >= 0)
				close(first);
			ASSERT_EQ(0, reset(self->device));
			EXPECT_EQ(RUNNING, get_state(self->device));
		}
	EXPECT_EQ(-EINVAL, set_state(self->device, ~0U, NULL));
	EXPECT_EQ(NULL, guest_request(&self->guest, PSMID, -1));
}

/* A stopped queue writes nothing; then it goes on, with what the guest has asked for. */
TEST_F(migration, stop_and_go_on)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	uint64_t psmid;
	size_t length;
	unsigned int i;

	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	for (i = 0; i < 3; i++) {
		guest->vmm.mem[GUEST_NIB] = 0;
		ASSERT_EQ(0, set_state(self->device, STOP, NULL));
		EXPECT_FALSE(irq_is_on(guest));
		EXPECT_EQ(4, pinned_kib());

		length = ap_request(&guest->vmm, guest->mode, guest->apqn);
		ASSERT_EQ(0, ap_nqap(&guest->vmm, guest->apqn, PSMID, length, &result));
		ASSERT_EQ(0, result.rc);
		EXPECT_EQ(-ETIMEDOUT, vmm_wait_io(&guest->vmm, 0, 0x80 >> ISC, NULL, 200));
		EXPECT_EQ(0, guest->vmm.mem[GUEST_NIB]);

		/* Its processors should not run: it may ask later. */
		ASSERT_EQ(0, ap_aqic(&guest->vmm, guest->apqn, AQIC_IR | AQIC_ISC(ISC), GUEST_NIB2,
				     &result));
		EXPECT_EQ(AP_RC_BUSY, result.rc);
		ASSERT_EQ(0, ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result));
		EXPECT_EQ(AP_RC_BUSY, result.rc);

		ASSERT_EQ(0, set_state(self->device, RUNNING, NULL));
		ASSERT_EQ(0, ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, AP_IRQ, AP_IRQ,
				      &result));
		EXPECT_EQ(0, result.rc);
		EXPECT_TRUE(result.flags & AP_IRQ);

		/* The reply came meanwhile. */
		TAKES_LOOKS(guest, 2);
		ASSERT_EQ(0, ap_dqap(&guest->vmm, guest->apqn, &psmid, &length, &result));
		EXPECT_EQ(0, result.rc);
		EXPECT_EQ(NULL, guest_request(guest, PSMID, ISC));
	}
	ASSERT_EQ(0, ap_disable_irq(&guest->vmm, guest->apqn, &result));
	EXPECT_EQ(0, pinned_kib());
}

/* Interrupts that are off stay off, and nobody is made to look. */
TEST_F(migration, stop_without_interrupts)
{
	ASSERT_EQ(0, set_state(self->device, STOP, NULL));
	ASSERT_EQ(0, set_state(self->device, RUNNING, NULL));
	EXPECT_FALSE(irq_is_on(&self->guest));
	EXPECT_EQ(NULL, guest_request(&self->guest, PSMID, -1));
	EXPECT_EQ(0, self->guest.vmm.mem[GUEST_NIB]);
}

TEST_F(migration, reset_while_stopped)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	ASSERT_EQ(0, set_state(self->device, STOP, NULL));
	ASSERT_EQ(0, reset(self->device));
	EXPECT_EQ(RUNNING, get_state(self->device));
	EXPECT_FALSE(irq_is_on(guest));
	EXPECT_EQ(0, pinned_kib());
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	EXPECT_EQ(NULL, guest_request(guest, PSMID, ISC));
}

/* A page that user space unmaps meanwhile takes the interrupts with it. */
TEST_F(migration, unmap_while_stopped)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	ASSERT_EQ(0, set_state(self->device, STOP, NULL));
	ASSERT_EQ(0, vmm_vfio_unmap(&guest->vfio, 0, VMM_MEM_SIZE));
	EXPECT_EQ(0, pinned_kib());
	ASSERT_EQ(0, set_state(self->device, RUNNING, NULL));
	EXPECT_FALSE(irq_is_on(guest));
}

TEST_F(migration, unplug_while_stopped)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	ASSERT_EQ(0, set_state(self->device, STOP, NULL));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_domain", APQI(guest->apqn)));
	EXPECT_EQ(0, pinned_kib());
	ASSERT_EQ(0, set_state(self->device, RUNNING, NULL));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain", APQI(guest->apqn)));
	ASSERT_EQ(0, ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, AP_IRQ, 0, &result));
	EXPECT_EQ(0, result.rc);
	EXPECT_EQ(NULL, guest_request(guest, PSMID, -1));
}

/* The files are read and written in their state only, and end with it. */
TEST_F(migration, files_end_with_their_state)
{
	struct vfio_precopy_info info;
	struct stream other = {};
	char byte;
	int fd;

	ASSERT_EQ(0, set_state(self->device, PRE_COPY, &fd));
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, pread(fd, &byte, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, read(fd, (void *)8, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, read(fd, &byte, 1));
	EXPECT_EQ(0x76, byte);
	ASSERT_EQ(0, set_state(self->device, RUNNING, NULL));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-ENODEV, precopy_info(fd, &info));
	close(fd);

	ASSERT_EQ(0, set_state(self->device, STOP_COPY, &fd));
	EXPECT_EQ(-EINVAL, precopy_info(fd, &info));
	EXPECT_EQ(-1, ioctl(fd, VFIO_DEVICE_RESET));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(0, read_all(fd, self->stream, 7));
	EXPECT_EQ(144, self->stream->length);
	EXPECT_EQ(0, read(fd, &byte, 1));
	ASSERT_EQ(0, set_state(self->device, STOP, NULL));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(ENODEV, errno);
	close(fd);

	/* The same again, in one piece. */
	ASSERT_EQ(0, set_state(self->device, STOP_COPY, &fd));
	EXPECT_EQ(0, read_all(fd, &other, STREAM_MAX));
	EXPECT_EQ(self->stream->length, other.length);
	EXPECT_EQ(0, memcmp(self->stream->bytes, other.bytes, other.length));
	ASSERT_EQ(0, reset(self->device));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(ENODEV, errno);
	close(fd);

	ASSERT_EQ(0, set_state(self->device, RESUMING, &fd));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-EINVAL, precopy_info(fd, &info));
	ASSERT_EQ(0, reset(self->device));
	EXPECT_EQ(-1, write(fd, other.bytes, 1));
	EXPECT_EQ(ENODEV, errno);
	close(fd);
}

/* A file that is kept keeps the module, and nothing else. */
TEST_F(migration, files_outlive_device_and_module)
{
	int fd, fd2, references = module_references();
	char byte;

	ASSERT_EQ(0, set_state(self->device, STOP_COPY, &fd));
	EXPECT_EQ(references + 1, module_references());
	fd2 = dup(fd);
	ASSERT_LE(0, fd2);
	close(fd);
	guest_down(&self->guest);
	EXPECT_EQ(-1, read(fd2, &byte, 1));
	EXPECT_EQ(ENODEV, errno);
	ASSERT_EQ(0, mdev_remove(self->guest.uuid));
	EXPECT_EQ(-1, read(fd2, &byte, 1));
	EXPECT_EQ(ENODEV, errno);
	if (module_can_reload()) {
		int ret = module_unload();

		EXPECT_TRUE(ret == -EAGAIN || ret == -EBUSY)
			TH_LOG("unloading returns %d", ret);
	}
	close(fd2);
	if (module_can_reload()) {
		ASSERT_EQ(0, module_unload());
		ASSERT_EQ(0, module_load());
	}
}

/* What changes while the guest runs is described anew; the same file goes on to the end. */
TEST_F(migration, pre_copy)
{
	struct vfio_precopy_info info;
	char bytes[STREAM_MAX], byte;
	int fd, fd2;

	if (host.nr_domains < 2)
		test_skip(_metadata, "it takes two domains");
	ASSERT_EQ(0, set_state(self->device, PRE_COPY, &fd));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(8 + 16 + 40 + 16, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);
	info.argsz = 16;
	EXPECT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(30, read(fd, bytes, 30));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(50, info.initial_bytes);
	EXPECT_EQ(50, read(fd, bytes, sizeof(bytes)));
	EXPECT_EQ(-1, read(fd, bytes, sizeof(bytes)));
	EXPECT_EQ(ENOMSG, errno);
	EXPECT_EQ(NULL, guest_request(&self->guest, PSMID, -1));

	ASSERT_EQ(0, mdev_assign(self->guest.uuid, "assign_domain", host.domain[1]));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(16 + 40 + 32, info.dirty_bytes);
	EXPECT_EQ(88, read(fd, bytes, sizeof(bytes)));
	EXPECT_EQ(-1, read(fd, bytes, sizeof(bytes)));
	EXPECT_EQ(ENOMSG, errno);

	/* A reader that does not ask how much there is gets it, too. */
	ASSERT_EQ(0, mdev_assign(self->guest.uuid, "unassign_domain", host.domain[1]));
	EXPECT_EQ(16 + 40 + 16, read(fd, bytes, sizeof(bytes)));
	ASSERT_EQ(0, mdev_assign(self->guest.uuid, "assign_domain", host.domain[1]));
	EXPECT_EQ(16 + 40 + 32, read(fd, bytes, sizeof(bytes)));
	EXPECT_EQ(-1, read(fd, bytes, sizeof(bytes)));
	EXPECT_EQ(ENOMSG, errno);

	/* And once more, not read before the guest stops. */
	ASSERT_EQ(0, mdev_assign(self->guest.uuid, "unassign_domain", host.domain[1]));
	ASSERT_EQ(0, set_state(self->device, STOP_COPY, &fd2));
	EXPECT_EQ(-1, fd2);
	EXPECT_EQ(0, read_all(fd, self->stream, 5));
	EXPECT_EQ(16 + 40 + 16 + 16 + 8 + 16 + 24, self->stream->length);
	EXPECT_EQ(0, read(fd, &byte, 1));
	close(fd);
}

/*
 * Return: how many pages from @iova to @end were written, or a negative errno. Adds them
 * to @bitmap, from whose beginning on there is one bit for each page of the guest.
 */
static int dirty_pages(int device, uint64_t iova, uint64_t end, uint64_t *bitmap)
{
	uint64_t part[(VMM_MEM_SIZE / PAGE_SIZE) / 64] = {};
	struct vfio_device_feature_dma_logging_report report = {
		.iova = iova,
		.length = end - iova,
		.page_size = PAGE_SIZE,
		.bitmap = (uintptr_t)part,
	};
	unsigned int i, n = 0;
	int ret = feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
			  &report, sizeof(report));

	if (ret)
		return ret;
	for (i = 0; i < (end - iova) / PAGE_SIZE; i++) {
		uint64_t page = iova / PAGE_SIZE + i;

		if (!(part[i / 64] >> (i % 64) & 1))
			continue;
		n++;
		bitmap[page / 64] |= 1UL << (page % 64);
	}
	return n;
}

static bool has_page(const uint64_t *bitmap, uint64_t address)
{
	uint64_t page = address / PAGE_SIZE;

	return bitmap[page / 64] >> (page % 64) & 1;
}

/* Who copies the guest's memory meanwhile is told what hardware may have written. */
TEST_F(migration, dma_logging)
{
	struct guest *guest = &self->guest;
	uint64_t nib = GUEST_NIB & ~(PAGE_SIZE - 1);
	uint64_t bitmap[(VMM_MEM_SIZE / PAGE_SIZE) / 64] = {};
	int device = self->device, fd;
	struct ap_result result;
	uint64_t page_size;

	if (stop_logging(device) == -ENOTTY)
		test_skip(_metadata, "this kernel has no CONFIG_IOMMUFD_DRIVER");
	EXPECT_EQ(-EINVAL, stop_logging(device));
	EXPECT_EQ(-EINVAL, dirty_pages(device, 0, VMM_MEM_SIZE, bitmap));
	ASSERT_EQ(0, start_logging(device, &page_size));
	EXPECT_EQ(PAGE_SIZE, page_size);
	EXPECT_EQ(-EINVAL, start_logging(device, &page_size));
	EXPECT_EQ(0, dirty_pages(device, 0, VMM_MEM_SIZE, bitmap));

	/* While interrupts are enabled, each time; and only where it is asked for. */
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	ASSERT_EQ(0, result.rc);
	EXPECT_EQ(1, dirty_pages(device, 0, VMM_MEM_SIZE, bitmap));
	EXPECT_TRUE(has_page(bitmap, nib));
	EXPECT_EQ(1, dirty_pages(device, nib, nib + PAGE_SIZE, bitmap));
	EXPECT_EQ(0, dirty_pages(device, 0, nib, bitmap));
	EXPECT_EQ(0, dirty_pages(device, nib + PAGE_SIZE, VMM_MEM_SIZE, bitmap));

	/* Once more after they were disabled. */
	ASSERT_EQ(0, ap_disable_irq(&guest->vmm, guest->apqn, &result));
	ASSERT_EQ(0, ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, AP_IRQ, 0, &result));
	while (pinned_kib())
		usleep(1000);
	EXPECT_EQ(0, dirty_pages(device, 0, nib, bitmap));
	EXPECT_EQ(1, dirty_pages(device, 0, VMM_MEM_SIZE, bitmap));
	EXPECT_EQ(0, dirty_pages(device, 0, VMM_MEM_SIZE, bitmap));

	/* What was last written before the guest stops is told when it has. */
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	ASSERT_EQ(0, result.rc);
	ASSERT_EQ(0, set_state(device, PRE_COPY, &fd));
	close(fd);
	ASSERT_EQ(0, set_state(device, STOP_COPY, NULL));
	memset(bitmap, 0, sizeof(bitmap));
	EXPECT_EQ(1, dirty_pages(device, 0, VMM_MEM_SIZE, bitmap));
	EXPECT_TRUE(has_page(bitmap, nib));
	ASSERT_EQ(0, set_state(device, RUNNING, NULL));
	EXPECT_EQ(0, stop_logging(device));
	EXPECT_EQ(-EINVAL, stop_logging(device));
	EXPECT_EQ(-EINVAL, dirty_pages(device, 0, VMM_MEM_SIZE, bitmap));
}

/* However many pages there were: none is missing, and the log comes to an end. */
TEST_F(migration, dma_logging_of_many_pages)
{
	const uint64_t first = GUEST_NIB & ~(PAGE_SIZE - 1);
	struct guest *guest = &self->guest;
	uint64_t bitmap[(VMM_MEM_SIZE / PAGE_SIZE) / 64] = {};
	int device = self->device, i;
	struct ap_result result;
	uint64_t page_size;

	if (stop_logging(device) == -ENOTTY)
		test_skip(_metadata, "this kernel has no CONFIG_IOMMUFD_DRIVER");
	ASSERT_EQ(0, start_logging(device, &page_size));
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, first + i * PAGE_SIZE,
					   &result));
		ASSERT_EQ(0, result.rc);
		ASSERT_EQ(0, ap_disable_irq(&guest->vmm, guest->apqn, &result));
		ASSERT_EQ(0, result.rc);
		ASSERT_EQ(0, ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, AP_IRQ, 0,
				      &result));
	}
	while (pinned_kib())
		usleep(1000);
	EXPECT_LE(40, dirty_pages(device, 0, VMM_MEM_SIZE, bitmap));
	for (i = 0; i < 40; i++)
		EXPECT_TRUE(has_page(bitmap, first + i * PAGE_SIZE)) TH_LOG("page %d", i);
	EXPECT_EQ(0, dirty_pages(device, 0, VMM_MEM_SIZE, bitmap));
	EXPECT_EQ(0, stop_logging(device));
}

/* Another guest takes the place of the first, with its matrix and interrupts. */
static void move(struct __test_metadata *_metadata, struct guest *guest, struct stream *stream,
		 bool cdev, size_t piece, bool request, bool pre_copy)
{
	uint16_t apqn = guest->apqn;
	enum ap_mode mode = guest->mode;
	struct guest target;
	struct ap_result result;
	char before[4096], after[4096];
	uint64_t psmid;
	size_t length;
	int fd;

	ASSERT_LT(0, mdev_read(guest->uuid, "guest_matrix", before, sizeof(before)));
	save(_metadata, guest, stream, true, request, pre_copy);
	target_up_(_metadata, &target, 2, cdev, false);
	target.apqn = apqn;
	target.mode = mode;
	ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
	ASSERT_EQ(0, write_all(fd, stream, piece));
	ASSERT_LT(0, mdev_read(target.uuid, "guest_matrix", after, sizeof(after)));
	EXPECT_STREQ(before, after);
	EXPECT_EQ(4, pinned_kib());
	/* As a target that is started stopped does. */
	close(fd);
	ASSERT_EQ(0, set_state(target.vfio.device, RUNNING, &fd));
	EXPECT_EQ(-1, fd);
	ASSERT_EQ(0, ap_await(&target.vmm, apqn, AP_RC_NORMAL, AP_IRQ, AP_IRQ, &result));
	EXPECT_TRUE(result.flags & AP_IRQ);
	TAKES_LOOKS(&target, request ? 2 : 1);
	ASSERT_EQ(0, ap_dqap(&target.vmm, apqn, &psmid, &length, &result));
	EXPECT_EQ(AP_RC_NO_REPLY, result.rc);
	EXPECT_EQ(NULL, guest_request(&target, PSMID, ISC));
	ASSERT_EQ(0, ap_disable_irq(&target.vmm, apqn, &result));
	guest_down(&target);
	EXPECT_EQ(0, pinned_kib());
	/* What a guest has that runs here is the device's. */
	EXPECT_FALSE(has_nothing(&target));
	ASSERT_EQ(0, mdev_remove(target.uuid));
}

TEST_F(migration, move_with_requests)
{
	move(_metadata, &self->guest, self->stream, variant->cdev, STREAM_MAX, true, false);
}

/* As QEMU does it: the file is read while the guest runs, and on when it has stopped. */
TEST_F(migration, move_after_pre_copy)
{
	move(_metadata, &self->guest, self->stream, variant->cdev, STREAM_MAX, true, true);
}

TEST_F(migration, move_byte_by_byte)
{
	move(_metadata, &self->guest, self->stream, variant->cdev, 1, false, false);
}

/* A processor that waits is woken, also by the second look. */
TEST_F(migration, an_idle_guest_is_woken)
{
	struct guest target;
	int fd;

	SAVE(true, true);
	TARGET_UP(&target, 2);
	ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
	ASSERT_EQ(0, write_all(fd, self->stream, STREAM_MAX));
	vmm_prepare_wait(&target.vmm, 0, 0x80 >> ISC);
	ASSERT_EQ(0, vmm_start(&target.vmm, 0, hang_ms));
	sleep_ms(200);
	ASSERT_EQ(0, set_state(target.vfio.device, RUNNING, NULL));
	EXPECT_OK(vmm_join(&target.vmm, 0), target.vmm.error);
	EXPECT_NE(0, target.vmm.mem[GUEST_NIB]);
	EXPECT_OK(vmm_wait_io(&target.vmm, 0, 0x80 >> ISC, NULL, hang_ms), target.vmm.error);
	close(fd);
	guest_down(&target);
}

/* The target's device may have the matrix already, but not another one. */
TEST_F(migration, the_same_matrix_or_none)
{
	struct guest target;
	char uuid[UUID_LENGTH];
	int fd;

	if (host.nr_domains < 2)
		test_skip(_metadata, "it takes two domains");
	SAVE(true, false);
	mdev_uuid(uuid, 2);
	ASSERT_EQ(0, mdev_create(uuid));
	ASSERT_EQ(0, mdev_assign(uuid, "assign_adapter", APID(self->guest.apqn)));
	ASSERT_EQ(0, mdev_assign(uuid, "assign_domain", APQI(self->guest.apqn)));
	target_up_(_metadata, &target, 2, variant->cdev, true);
	ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
	EXPECT_EQ(0, write_all(fd, self->stream, STREAM_MAX));
	close(fd);
	ASSERT_EQ(0, set_state(target.vfio.device, RUNNING, NULL));
	target.apqn = self->guest.apqn;
	target.mode = self->guest.mode;
	TAKES_LOOKS(&target, 1);
	EXPECT_EQ(NULL, guest_request(&target, PSMID, ISC));

	ASSERT_EQ(0, mdev_assign(uuid, "assign_domain", host.domain[1]));
	ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
	EXPECT_EQ(-EBUSY, write_all(fd, self->stream, STREAM_MAX));
	close(fd);
	guest_down(&target);
}

/* A target that is given up before its guest runs is as it was. */
TEST_F(migration, a_target_is_given_up)
{
	struct guest target;
	unsigned int how;
	int fd;

	SAVE(true, true);
	for (how = 0; how < 3; how++) {
		TARGET_UP(&target, 2);
		ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
		ASSERT_EQ(0, write_all(fd, self->stream, STREAM_MAX));
		EXPECT_FALSE(has_nothing(&target));
		EXPECT_EQ(4, pinned_kib());
		if (how == 1)
			ASSERT_EQ(0, set_state(target.vfio.device, STOP, NULL));
		if (how < 2) {
			ASSERT_EQ(0, reset(target.vfio.device));
			EXPECT_TRUE(has_nothing(&target));
			EXPECT_EQ(0, pinned_kib());
		}
		guest_down(&target);
		EXPECT_TRUE(has_nothing(&target));
		close(fd);
		ASSERT_EQ(0, mdev_remove(target.uuid));
	}
}

/* The write that refuses gives back what it has taken, before any reset of the device. */
TEST_F(migration, a_refusal_gives_back)
{
	struct guest target;
	int fd;

	SAVE(true, false);
	TARGET_UP(&target, 2);
	/* Nothing is where the NIB is to be. */
	ASSERT_OK(vmm_vfio_unmap(&target.vfio, 0, VMM_MEM_SIZE), target.vfio.error);
	ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
	EXPECT_EQ(variant->cdev ? -ENOENT : -EINVAL, write_all(fd, self->stream, STREAM_MAX));
	EXPECT_TRUE(has_nothing(&target));
	close(fd);
	ASSERT_EQ(0, reset(target.vfio.device));

	/* It was complete, and goes on. */
	ASSERT_OK(vmm_vfio_map(&target.vfio, 0, VMM_MEM_SIZE, target.vmm.mem), target.vfio.error);
	ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
	ASSERT_EQ(0, write_all(fd, self->stream, STREAM_MAX));
	EXPECT_FALSE(has_nothing(&target));
	EXPECT_EQ(4, pinned_kib());
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_TRUE(has_nothing(&target));
	EXPECT_EQ(0, pinned_kib());
	close(fd);
	guest_down(&target);
	ASSERT_EQ(0, mdev_remove(target.uuid));
}

/* A stream that ends too early is no stream. */
TEST_F(migration, a_stream_that_is_cut)
{
	struct guest target;
	size_t length;
	int fd;

	SAVE(true, true);
	TARGET_UP(&target, 2);
	for (length = 0; length < self->stream->length; length++) {
		struct stream cut = *self->stream;

		cut.length = length;
		ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
		ASSERT_EQ(0, write_all(fd, &cut, STREAM_MAX));
		EXPECT_EQ(-EINVAL, set_state(target.vfio.device, RUNNING, NULL));
		EXPECT_EQ(ERROR, get_state(target.vfio.device));
		EXPECT_EQ(-1, write(fd, self->stream->bytes, 1));
		EXPECT_EQ(ENODEV, errno);
		close(fd);
		EXPECT_TRUE(has_nothing(&target));
		ASSERT_EQ(0, reset(target.vfio.device));
		EXPECT_EQ(RUNNING, get_state(target.vfio.device));
	}
	guest_down(&target);
}

/* Every byte that is damaged is noticed, when it is written or soon after. */
TEST_F(migration, a_stream_that_is_damaged)
{
	struct guest target;
	size_t at;
	int fd, ret;

	SAVE(true, true);
	TARGET_UP(&target, 2);
	for (at = 0; at < self->stream->length; at++) {
		struct stream damaged = *self->stream;

		damaged.bytes[at] ^= 1 << at % 8;
		ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
		/* A record that has become longer does not end; all else is refused at once. */
		ret = write_all(fd, &damaged, STREAM_MAX);
		EXPECT_TRUE(ret < 0 || at >= 8);
		/* And so is whatever comes then. */
		EXPECT_TRUE(!ret || write_all(fd, self->stream, 1) < 0);
		EXPECT_EQ(-EINVAL, set_state(target.vfio.device, RUNNING, NULL))
			TH_LOG("byte %zu", at);
		EXPECT_TRUE(has_nothing(&target));
		EXPECT_EQ(0, pinned_kib());
		close(fd);
		ASSERT_EQ(0, reset(target.vfio.device));
	}
	guest_down(&target);
}

static int written(struct guest *target, const struct stream *stream)
{
	int fd, ret = set_state(target->vfio.device, RESUMING, &fd);

	if (ret)
		return ret;
	ret = write_all(fd, stream, STREAM_MAX);
	close(fd);
	reset(target->vfio.device);
	return ret;
}

TEST_F(migration, streams_that_are_not_for_it)
{
	struct stream stream;
	struct guest target;
	struct ap_result result;
	uint16_t apqn = self->guest.apqn;
	uint8_t domain = APQI(apqn), two[] = { APQI(apqn), APQI(apqn) };
	uint64_t info;

	/* With the T bit, for else the facilities are not stored. */
	ASSERT_EQ(0, ap_pqap(&self->guest.vmm, AP_FC_TAPQ | 1UL << 23 | apqn, 0, 0, &result));
	info = result.gr2;
	ASSERT_EQ(self->guest.mode, ap_mode_of(&result));
	SAVE(true, false);
	TARGET_UP(&target, 2);
	EXPECT_EQ(0, written(&target, self->stream));
	version_1(&stream, APID(apqn), &domain, 1, info);
	EXPECT_EQ(0, written(&target, &stream));

	/* Foreign, newer, too long, inconsistent. */
	stream.bytes[0] = 0;
	EXPECT_EQ(-EINVAL, written(&target, &stream));
	stream.bytes[0] = 0x76;
	stream.bytes[7] = 3;
	EXPECT_EQ(-EOPNOTSUPP, written(&target, &stream));
	stream.bytes[7] = 1;
	stream.length++;
	EXPECT_EQ(-EINVAL, written(&target, &stream));
	version_1(&stream, APID(apqn), two, 2, info);
	EXPECT_EQ(-EINVAL, written(&target, &stream));

	/* Another mode, a later type, an adapter that is not there. */
	version_1(&stream, APID(apqn), &domain, 1, info ^ 6UL << 58);
	EXPECT_EQ(-EOPNOTSUPP, written(&target, &stream));
	version_1(&stream, APID(apqn), &domain, 1, info + (1UL << 24));
	EXPECT_EQ(-EOPNOTSUPP, written(&target, &stream));
	version_1(&stream, APID(apqn), &domain, 1, info - (1UL << 24));
	EXPECT_EQ(0, written(&target, &stream));
	version_1(&stream, host_free_adapter(), &domain, 1, info);
	EXPECT_EQ(-ENODEV, written(&target, &stream));
	EXPECT_TRUE(has_nothing(&target));
	guest_down(&target);
}

/* The queue is taken by somebody else before the description, or just before the end. */
TEST_F(migration, the_queue_is_taken)
{
	struct guest target;
	char uuid[UUID_LENGTH];
	int fd;

	SAVE(true, false);
	TARGET_UP(&target, 2);
	mdev_uuid(uuid, 3);
	ASSERT_EQ(0, mdev_create(uuid));
	ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
	ASSERT_EQ(self->stream->length - 1,
		  write(fd, self->stream->bytes, self->stream->length - 1));
	ASSERT_EQ(0, mdev_assign(uuid, "assign_adapter", APID(self->guest.apqn)));
	ASSERT_EQ(0, mdev_assign(uuid, "assign_domain", APQI(self->guest.apqn)));
	EXPECT_EQ(-1, write(fd, self->stream->bytes + self->stream->length - 1, 1));
	EXPECT_EQ(EADDRINUSE, errno);
	EXPECT_TRUE(has_nothing(&target));
	EXPECT_EQ(-EINVAL, set_state(target.vfio.device, STOP, NULL));
	close(fd);
	ASSERT_EQ(0, reset(target.vfio.device));
	EXPECT_EQ(-EADDRINUSE, written(&target, self->stream));

	ASSERT_EQ(0, mdev_remove(uuid));
	ASSERT_EQ(0, queue_unbind(self->guest.apqn));
	EXPECT_EQ(-ENODEV, written(&target, self->stream));
	ASSERT_EQ(0, queue_bind(self->guest.apqn, "vfio_ap"));
	EXPECT_EQ(0, written(&target, self->stream));

	/* The page of the NIB is not there. */
	ASSERT_EQ(0, vmm_vfio_unmap(&target.vfio, 0, VMM_MEM_SIZE));
	EXPECT_GT(0, written(&target, self->stream));
	EXPECT_TRUE(has_nothing(&target));
	guest_down(&target);
}

struct writer {
	pthread_t thread;
	const struct stream *stream;
	int fd;
	int result;
};

static void *writer_main(void *data)
{
	struct writer *writer = data;

	writer->result = write_all(writer->fd, writer->stream, 3);
	return NULL;
}

/* Two who write at once damage the stream, and nothing else. */
TEST_F(migration, two_writers)
{
	struct writer writer[2];
	struct guest target;
	unsigned int i, round;
	int fd;

	SAVE(true, true);
	TARGET_UP(&target, 2);
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
		for (i = 0; i < 2; i++) {
			writer[i] = (struct writer){ .stream = self->stream, .fd = fd };
			ASSERT_EQ(0, pthread_create(&writer[i].thread, NULL, writer_main,
						    &writer[i]));
		}
		/* In the middle of it, every other time. */
		if (round % 2)
			ASSERT_EQ(0, reset(target.vfio.device));
		for (i = 0; i < 2; i++)
			pthread_join(writer[i].thread, NULL);
		EXPECT_TRUE(writer[0].result || writer[1].result);
		close(fd);
		ASSERT_EQ(0, reset(target.vfio.device));
		EXPECT_TRUE(has_nothing(&target));
		EXPECT_EQ(0, pinned_kib());
	}
	guest_down(&target);
}

/* The monitor ends in any state. */
TEST_F(migration, the_monitor_ends)
{
	static const uint32_t state[] = { STOP, STOP_COPY, RESUMING, PRE_COPY, ERROR };
	struct ap_result result;
	struct guest guest;
	unsigned int i;
	int fd;

	guest_down(&self->guest);
	for (i = 0; i < ARRAY_SIZE(state); i++) {
		GUEST_UP(&guest, .cdev = variant->cdev, .nth = 1, .no_mdev = true);
		ASSERT_EQ(0, ap_enable_irq(&guest.vmm, guest.apqn, ISC, GUEST_NIB, &result));
		ASSERT_EQ(0, go(guest.vfio.device, state[i], &fd));
		guest_down(&guest);
		if (fd >= 0)
			close(fd);
		EXPECT_EQ(0, pinned_kib());
	}
	GUEST_UP(&guest, .cdev = variant->cdev, .nth = 1, .no_mdev = true);
	EXPECT_EQ(RUNNING, get_state(guest.vfio.device));
	EXPECT_EQ(NULL, guest_request(&guest, PSMID, -1));
	guest_down(&guest);
}

/* A queue that takes its time is waited for. */
TEST_F(migration, a_slow_queue_stops)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	NEED_APHW();
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	ASSERT_EQ(0, queue_is("irq-time 300"));
	EXPECT_EQ(0, set_state(self->device, STOP, NULL));
	EXPECT_FALSE(irq_is_on(guest));
	EXPECT_EQ(0, set_state(self->device, RUNNING, NULL));
	/* Interrupts begin only now. What is replied before is not missed. */
	TAKES_LOOKS(guest, 1);
	EXPECT_TRUE(irq_is_on(guest));
	EXPECT_EQ(NULL, guest_request(guest, PSMID, ISC));
}

struct other_state {
	pthread_t thread;
	int device;
	uint32_t state;
	int result;
	bool done;
};

static void *other_state_main(void *data)
{
	struct other_state *other = data;

	other->result = set_state(other->device, other->state, NULL);
	__atomic_store_n(&other->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool other_state_done(struct other_state *other)
{
	return __atomic_load_n(&other->done, __ATOMIC_ACQUIRE);
}

/* A queue that is busy is asked again, when the guest stops and when it goes on. */
TEST_F(migration, a_busy_queue_is_asked_again)
{
	struct other_state other = { .device = self->device, .state = STOP };
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int i;

	NEED_APHW();
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, queue_is("response aqic 5"));
		ASSERT_EQ(0, pthread_create(&other.thread, NULL, other_state_main, &other));
		sleep_ms(300);
		EXPECT_FALSE(other_state_done(&other));
		ASSERT_EQ(0, queue_is("response aqic none"));
		pthread_join(other.thread, NULL);
		EXPECT_EQ(0, other.result);
		EXPECT_EQ(other.state, get_state(self->device));
		other = (struct other_state){ .device = self->device, .state = RUNNING };
	}
	TAKES_LOOKS(guest, 1);
	EXPECT_EQ(NULL, guest_request(guest, PSMID, ISC));
}

/*
 * A queue that never stops leaves the device in ERROR, until a reset. Meanwhile it is
 * waited for, but not by another guest or an administrator.
 */
TEST_F(migration, a_queue_that_does_not_stop)
{
	struct other_state stopping = { .device = self->device, .state = STOP };
	struct guest *guest = &self->guest, another;
	struct ap_result result;
	unsigned int n = 0;
	char text[4096];
	int fd;

	NEED_APHW();
	if (host.nr_domains < 2)
		test_skip(_metadata, "it takes two domains");
	GUEST_UP(&another, .cdev = variant->cdev, .nth = 2, .first_domain = 1);
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	ASSERT_EQ(0, queue_is("response aqic 5"));
	ASSERT_EQ(0, pthread_create(&stopping.thread, NULL, other_state_main, &stopping));
	sleep_ms(100);
	while (!other_state_done(&stopping) && n < 5) {
		ASSERT_EQ(0, ap_enable_irq(&another.vmm, another.apqn, ISC, GUEST_NIB, &result));
		EXPECT_EQ(NULL, guest_request(&another, PSMID, ISC));
		EXPECT_EQ(0, set_state(another.vfio.device, STOP_COPY, &fd));
		close(fd);
		EXPECT_EQ(0, set_state(another.vfio.device, RUNNING, NULL));
		EXPECT_OK(vmm_wait_io(&another.vmm, 0, 0x80 >> ISC, NULL, hang_ms),
			  another.vmm.error);
		ASSERT_EQ(0, ap_disable_irq(&another.vmm, another.apqn, &result));
		EXPECT_LE(0, mdev_read(guest->uuid, "matrix", text, sizeof(text)));
		n += !other_state_done(&stopping);
	}
	/* It is waited for five seconds, in which the slowest machine gets round once. */
	EXPECT_LT(0, n);
	pthread_join(stopping.thread, NULL);
	EXPECT_EQ(-EIO, stopping.result);
	EXPECT_EQ(ERROR, get_state(self->device));
	EXPECT_EQ(-EINVAL, set_state(self->device, RUNNING, NULL));
	ASSERT_EQ(0, ap_aqic(&guest->vmm, guest->apqn, AQIC_IR | AQIC_ISC(ISC), GUEST_NIB,
			     &result));
	EXPECT_EQ(AP_RC_BUSY, result.rc);

	ASSERT_EQ(0, queue_is("response aqic none"));
	ASSERT_EQ(0, reset(self->device));
	EXPECT_EQ(RUNNING, get_state(self->device));
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	EXPECT_EQ(NULL, guest_request(guest, PSMID, ISC));
	guest_down(&another);
}

/* What can come in between, and what undoes it. */
enum event {
	UNASSIGNED,	/* the guest's queue */
	ASSIGNED,	/* another one */
	UNBOUND,	/* the host has the guest's queue */
	DECONFIGURED,	/* the guest's adapter */
	CHECKSTOPPED,
	ADDED,		/* a domain to the host's configuration */
	NR_EVENTS,
};

static const char * const event_name[NR_EVENTS] = {
	"unassigned", "another one assigned", "unbound", "deconfigured", "checkstopped",
	"a domain for the host",
};

static int happens_(const struct guest *guest, int domain, enum event event, bool undo)
{
	int ret;

	switch (event) {
	case UNASSIGNED:
		return mdev_assign(guest->uuid, undo ? "assign_domain" : "unassign_domain",
				   APQI(guest->apqn));
	case ASSIGNED:
		return mdev_assign(guest->uuid, undo ? "unassign_domain" : "assign_domain",
				   host.domain[1]);
	case UNBOUND:
		return undo ? queue_bind(guest->apqn, "vfio_ap") : queue_unbind(guest->apqn);
	case DECONFIGURED:
		ret = hw_change("adapter %u %s", APID(guest->apqn),
				undo ? "configure" : "deconfigure");
		break;
	case CHECKSTOPPED:
		ret = hw_change("adapter %u %s", APID(guest->apqn),
				undo ? "recover" : "checkstop");
		break;
	default:
		ret = hw_change("domain %s %u", undo ? "remove" : "add", domain);
	}
	return ret ?: bus_rescan();
}

#define happens(guest, event, undo)					\
	happens_(guest, self->free_domain, event, undo)

/* Whatever was, after a reset a guest can use its queue and its interrupts. */
static void works_after_reset(struct __test_metadata *_metadata, struct guest *guest)
{
	struct ap_result result;
	const char *wrong;

	ASSERT_EQ(0, reset(guest->vfio.device));
	EXPECT_EQ(RUNNING, get_state(guest->vfio.device));
	EXPECT_EQ(0, pinned_kib());
	while (!vmm_wait_io(&guest->vmm, 0, 0x80 >> ISC, NULL, 100))
		;
	ASSERT_EQ(0, ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, AP_IRQ, 0, &result));
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}

/*
 * A source to which something happens, in each of its states, goes on; whether it is
 * undone before that or after.
 */
TEST_F(migration, whatever_happens_to_a_source)
{
	static const uint32_t state[] = { PRE_COPY, STOP, STOP_COPY };
	struct guest *guest = &self->guest;
	unsigned int i, event, undo;
	int fd, ret;

	NEED_APHW();
	if (host.nr_domains < 2)
		test_skip(_metadata, "it takes two domains");
	works_after_reset(_metadata, guest);
	for (i = 0; i < ARRAY_SIZE(state); i++)
		for (event = 0; event < NR_EVENTS; event++)
			for (undo = 0; undo < 2; undo++) {
				ASSERT_EQ(0, set_state(self->device, state[i], &fd));
				EXPECT_EQ(0, happens(guest, event, false));
				if (undo)
					EXPECT_EQ(0, happens(guest, event, true));
				if (fd >= 0) {
					self->stream->length = 0;
					ret = read_all(fd, self->stream, STREAM_MAX);
					EXPECT_EQ(state[i] == PRE_COPY ? -ENOMSG : 0, ret)
						TH_LOG("%s in state %u", event_name[event],
						       state[i]);
				}
				EXPECT_EQ(0, set_state(self->device, RUNNING, NULL))
					TH_LOG("%s in state %u", event_name[event], state[i]);
				if (fd >= 0)
					close(fd);
				if (!undo)
					EXPECT_EQ(0, happens(guest, event, true));
				works_after_reset(_metadata, guest);
			}
}

/*
 * What happens to a target is refused by the write that ends the stream, or it comes
 * after that; then it is as to any guest. A reset gives back what was taken.
 */
TEST_F(migration, whatever_happens_to_a_target)
{
	/* Before the stream, before its last byte */
	static const int refused[NR_EVENTS][2] = {
		[UNASSIGNED] = { 0, 0 },
		[ASSIGNED] = { -EBUSY, -EBUSY },
		[UNBOUND] = { -ENODEV, -ENODEV },
		[DECONFIGURED] = { -ENODEV, -ENODEV },
		[CHECKSTOPPED] = { -ENODEV, -ENODEV },
		[ADDED] = { 0, 0 },
	};
	struct guest target;
	unsigned int step, event;
	size_t length;
	int fd, ret;

	NEED_APHW();
	if (host.nr_domains < 2)
		test_skip(_metadata, "it takes two domains");
	SAVE(true, false);
	length = self->stream->length;
	TARGET_UP(&target, 2);
	target.apqn = self->guest.apqn;
	target.mode = self->guest.mode;
	for (step = 0; step < 4; step++)
		for (event = 0; event < NR_EVENTS; event++) {
			const uint8_t *bytes = self->stream->bytes;
			size_t first = step == 0 ? 0 : step == 1 ? length - 1 : length;

			ASSERT_EQ(0, set_state(target.vfio.device, RESUMING, &fd));
			ASSERT_EQ(first, write(fd, bytes, first));
			if (step == 3)
				ASSERT_EQ(0, set_state(target.vfio.device, STOP, NULL));
			EXPECT_EQ(0, happens(&target, event, false));
			ret = 0;
			if (step < 2) {
				ret = write(fd, bytes + first, length - first);
				ret = ret < 0 ? -errno : 0;
				EXPECT_EQ(refused[event][step], ret)
					TH_LOG("%s in step %u", event_name[event], step);
			}
			EXPECT_EQ(ret ? -EINVAL : 0, set_state(target.vfio.device, RUNNING, NULL))
				TH_LOG("%s in step %u", event_name[event], step);
			close(fd);
			EXPECT_EQ(0, happens(&target, event, true));
			if (!ret)
				works_after_reset(_metadata, &target);
			ASSERT_EQ(0, reset(target.vfio.device));
			EXPECT_EQ(0, pinned_kib());

			/* The next one finds a target as it was. */
			guest_down(&target);
			ASSERT_EQ(0, mdev_remove(target.uuid));
			TARGET_UP(&target, 2);
			target.apqn = self->guest.apqn;
			target.mode = self->guest.mode;
		}
	guest_down(&target);
}

struct churn {
	pthread_t thread;
	struct guest *guest;
	unsigned int seed;
	bool *end;
};

/* An administrator, and a monitor that has lost its mind. */
static void *administrator_main(void *data)
{
	struct churn *churn = data;

	while (!__atomic_load_n(churn->end, __ATOMIC_ACQUIRE)) {
		mdev_assign(churn->guest->uuid, "unassign_domain", APQI(churn->guest->apqn));
		sleep_ms(rand_r(&churn->seed) % 20);
		mdev_assign(churn->guest->uuid, "assign_domain", APQI(churn->guest->apqn));
		sleep_ms(rand_r(&churn->seed) % 20);
	}
	return NULL;
}

static void *monitor_main(void *data)
{
	static const uint32_t state[] = { STOP, RUNNING, STOP_COPY, RESUMING, PRE_COPY };
	struct churn *churn = data;
	int fd;

	while (!__atomic_load_n(churn->end, __ATOMIC_ACQUIRE)) {
		uint32_t to = state[rand_r(&churn->seed) % ARRAY_SIZE(state)];
		char bytes[100];

		set_state(churn->guest->vfio.device, to, &fd);
		if (fd >= 0) {
			if (to == RESUMING)
				(void)!write(fd, "vfap", 4);
			else
				(void)!read(fd, bytes, sizeof(bytes));
			close(fd);
		}
		if (rand_r(&churn->seed) % 8 == 0)
			reset(churn->guest->vfio.device);
	}
	return NULL;
}

/* Transitions, resets and changes of the matrix at the same time, and a guest that goes on. */
TEST_F(migration, everybody_at_once)
{
	struct guest *guest = &self->guest;
	struct churn churn[3];
	struct ap_result result;
	const char *wrong;
	bool end = false;
	uint64_t until;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(churn); i++) {
		churn[i] = (struct churn){ .guest = guest, .seed = i + 1, .end = &end };
		ASSERT_EQ(0, pthread_create(&churn[i].thread, NULL,
					    i ? monitor_main : administrator_main, &churn[i]));
	}
	for (until = now_ms() + 5000; now_ms() < until;) {
		ASSERT_EQ(0, ap_aqic(&guest->vmm, guest->apqn, AQIC_IR | AQIC_ISC(ISC), GUEST_NIB,
				     &result));
		ASSERT_EQ(0, ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result));
	}
	__atomic_store_n(&end, true, __ATOMIC_RELEASE);
	for (i = 0; i < ARRAY_SIZE(churn); i++)
		pthread_join(churn[i].thread, NULL);

	ASSERT_EQ(0, reset(self->device));
	EXPECT_EQ(RUNNING, get_state(self->device));
	EXPECT_EQ(0, pinned_kib());
	/* What the guest was made to look at in vain may still be pending. */
	while (!vmm_wait_io(&guest->vmm, 0, 0x80 >> ISC, NULL, 300))
		;
	ASSERT_EQ(0, ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, AP_IRQ, 0, &result));
	ASSERT_EQ(0, ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result));
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}
