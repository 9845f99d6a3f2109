// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_DEVICE_SET_IRQS, as include/uapi/linux/vfio.h describes it: every
 * combination of data type, action, event, range and size, what each returns
 * and what it does.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define NUM_IRQS	2

#define NONE		VFIO_IRQ_SET_DATA_NONE
#define BOOL		VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD		VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER		VFIO_IRQ_SET_ACTION_TRIGGER

struct request {
	struct vfio_irq_set set;
	int32_t data;	/* of type BOOL its first byte, the leftmost, counts */
};

#define BOOL_DATA(value)	((int32_t)((uint32_t)(value) << 24))

FIXTURE(irqs)
{
	struct guest guest;
	int fd;
	int event;
};

GROUP_AND_IOMMUFD(irqs);

FIXTURE_SETUP(irqs)
{
	test_begin();
	GUEST_UP(&self->guest, .cdev = variant->cdev);
	self->fd = self->guest.vfio.device;
	self->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_LE(0, self->event);
}

FIXTURE_TEARDOWN_PARENT(irqs)
{
	test_end();
}

static int set_irqs(int fd, unsigned int flags, unsigned int index,
		    unsigned int start, unsigned int count, size_t size,
		    int32_t data)
{
	struct request request = {
		.set = {
			.argsz = size,
			.flags = flags,
			.index = index,
			.start = start,
			.count = count,
		},
		.data = data,
	};

	return ioctl(fd, VFIO_DEVICE_SET_IRQS, &request) ? -errno : 0;
}

static uint64_t signals(int event)
{
	uint64_t count = 0;

	if (read(event, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

/* What the description says of a well-formed request; each index has one IRQ. */
static int expected(unsigned int flags, unsigned int index, unsigned int start,
		    unsigned int count, size_t size)
{
	size_t data = size - sizeof(struct vfio_irq_set);

	/* Not maskable, so that TRIGGER is the only action. */
	if (size < sizeof(struct vfio_irq_set) || index >= NUM_IRQS ||
	    start != 0 || count > 1 ||
	    (flags != (NONE | TRIGGER) && flags != (BOOL | TRIGGER) &&
	     flags != (EVENTFD | TRIGGER)))
		return -EINVAL;
	if (flags & NONE)
		return 0;
	/* To disable an index takes DATA_NONE. */
	if (!count || data < (flags & BOOL ? sizeof(uint8_t) : sizeof(int32_t)))
		return -EINVAL;
	return 0;
}

#define SIZE(data)	(sizeof(struct vfio_irq_set) + (data))

TEST_F(irqs, every_combination)
{
	static const unsigned int indexes[] = { 0, 1, 2, ~0U };
	static const unsigned int starts[] = { 0, 1, ~0U };
	static const unsigned int counts[] = { 0, 1, 2, ~0U };
	static const size_t sizes[] = { 0, SIZE(0) - 1, SIZE(0), SIZE(1),
					SIZE(3), SIZE(4) };
	const unsigned int n = ARRAY_SIZE(indexes) * ARRAY_SIZE(starts) *
			       ARRAY_SIZE(counts) * ARRAY_SIZE(sizes);
	unsigned int flags, i, wrong = 0;
	char first[200] = "";

	for (flags = 0; flags < 0x80; flags++) {
		/* @i stands for one of each list. */
		for (i = 0; i < n; i++) {
			unsigned int rest = i, index, start, count;
			int want, got;
			size_t size;

			index = indexes[rest % ARRAY_SIZE(indexes)];
			rest /= ARRAY_SIZE(indexes);
			start = starts[rest % ARRAY_SIZE(starts)];
			rest /= ARRAY_SIZE(starts);
			count = counts[rest % ARRAY_SIZE(counts)];
			size = sizes[rest / ARRAY_SIZE(counts)];
			want = expected(flags, index, start, count, size);
			got = set_irqs(self->fd, flags, index, start, count, size,
				       flags & EVENTFD ? self->event : BOOL_DATA(1));
			if (want != got && !wrong++)
				snprintf(first, sizeof(first),
					 "flags %#x index %u start %u count %u argsz %zu: %d instead of %d",
					 flags, index, start, count, size, got, want);
		}
	}
	EXPECT_EQ(0, wrong)
		TH_LOG("the first: %s", first);
}

C_DEFECT(irqs, group, every_combination, "knows DATA_EVENTFD only, takes any count");
C_DEFECT(irqs, iommufd, every_combination, "knows DATA_EVENTFD only, takes any count");

/* A refused request leaves the eventfd as it was, and signals nothing. */
TEST_F(irqs, refused_without_effect)
{
	unsigned int flags, index;

	for (index = 0; index < NUM_IRQS; index++) {
		ASSERT_EQ(0, set_irqs(self->fd, EVENTFD | TRIGGER, index, 0, 1,
				      SIZE(4), self->event));
		for (flags = 0; flags < 0x80; flags++) {
			if (!expected(flags, index, 0, 1, SIZE(4)))
				continue;
			EXPECT_EQ(-EINVAL, set_irqs(self->fd, flags, index, 0, 1,
						    SIZE(4), -1))
				TH_LOG("flags %#x", flags);
		}
		EXPECT_EQ(-EBADF, set_irqs(self->fd, EVENTFD | TRIGGER, index, 0,
					   1, SIZE(4), 9999));
		EXPECT_EQ(-EINVAL, set_irqs(self->fd, EVENTFD | TRIGGER, index,
					    0, 1, SIZE(4), self->fd));
		EXPECT_EQ(-EINVAL, set_irqs(self->fd, EVENTFD | TRIGGER, index,
					    0, 0, SIZE(4), -1));
		EXPECT_EQ(0, signals(self->event));
		ASSERT_EQ(0, set_irqs(self->fd, NONE | TRIGGER, index, 0, 1,
				      SIZE(0), 0));
		EXPECT_EQ(1, signals(self->event))
			TH_LOG("index %u", index);
	}
}

C_DEFECT(irqs, group, refused_without_effect, "takes what it must refuse");
C_DEFECT(irqs, iommufd, refused_without_effect, "takes what it must refuse");

/* Loopback by DATA_NONE and DATA_BOOL, of each event for itself. */
TEST_F(irqs, loopback)
{
	unsigned int index, other;
	int second;

	second = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_LE(0, second);
	for (index = 0; index < NUM_IRQS; index++) {
		other = !index;
		/* With no eventfd there is nothing to be signalled. */
		EXPECT_EQ(0, set_irqs(self->fd, NONE | TRIGGER, index, 0, 0,
				      SIZE(0), 0));
		EXPECT_EQ(0, set_irqs(self->fd, NONE | TRIGGER, index, 0, 1,
				      SIZE(0), 0));
		EXPECT_EQ(0, set_irqs(self->fd, BOOL | TRIGGER, index, 0, 1,
				      SIZE(1), BOOL_DATA(1)));
		ASSERT_EQ(0, set_irqs(self->fd, EVENTFD | TRIGGER, index, 0, 1,
				      SIZE(4), self->event));
		ASSERT_EQ(0, set_irqs(self->fd, EVENTFD | TRIGGER, other, 0, 1,
				      SIZE(4), second));
		EXPECT_EQ(0, set_irqs(self->fd, NONE | TRIGGER, index, 0, 1,
				      SIZE(0), 0));
		EXPECT_EQ(1, signals(self->event));
		EXPECT_EQ(0, set_irqs(self->fd, BOOL | TRIGGER, index, 0, 1,
				      SIZE(1), BOOL_DATA(1)));
		EXPECT_EQ(0, set_irqs(self->fd, BOOL | TRIGGER, index, 0, 1,
				      SIZE(1), BOOL_DATA(0xff)));
		EXPECT_EQ(2, signals(self->event));
		EXPECT_EQ(0, set_irqs(self->fd, BOOL | TRIGGER, index, 0, 1,
				      SIZE(1), BOOL_DATA(0)));
		EXPECT_EQ(0, signals(self->event));
		EXPECT_EQ(0, signals(second));
	}
	close(second);
}

C_DEFECT(irqs, group, loopback, "knows DATA_EVENTFD only");
C_DEFECT(irqs, iommufd, loopback, "knows DATA_EVENTFD only");

/* An index is disabled as a whole, its eventfd by -1, and only that one. */
TEST_F(irqs, disable)
{
	unsigned int way, index;

	for (way = 0; way < 2; way++) {
		for (index = 0; index < NUM_IRQS; index++) {
			unsigned int other = !index;

			ASSERT_EQ(0, set_irqs(self->fd, EVENTFD | TRIGGER, index,
					      0, 1, SIZE(4), self->event));
			ASSERT_EQ(0, set_irqs(self->fd, EVENTFD | TRIGGER, other,
					      0, 1, SIZE(4), self->event));
			if (way) {
				EXPECT_EQ(0, set_irqs(self->fd, NONE | TRIGGER,
						      index, 0, 0, SIZE(0), 0));
			} else {
				EXPECT_EQ(0, set_irqs(self->fd, EVENTFD | TRIGGER,
						      index, 0, 1, SIZE(4), -1));
			}
			EXPECT_EQ(0, set_irqs(self->fd, NONE | TRIGGER, index, 0,
					      1, SIZE(0), 0));
			EXPECT_EQ(0, signals(self->event));
			EXPECT_EQ(0, set_irqs(self->fd, NONE | TRIGGER, other, 0,
					      1, SIZE(0), 0));
			EXPECT_EQ(1, signals(self->event));
		}
	}
}

C_DEFECT(irqs, group, disable, "knows DATA_EVENTFD only");
C_DEFECT(irqs, iommufd, disable, "knows DATA_EVENTFD only");
