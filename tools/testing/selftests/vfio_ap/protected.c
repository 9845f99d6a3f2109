// SPDX-License-Identifier: GPL-2.0
/*
 * A protected guest's notification indicator byte must lie in a page that the guest
 * shares with the host: else AQIC answers 06, and nothing is kept. The Ultravisor
 * knows which pages those are.
 *
 * In the emulated host a module stands in for the Ultravisor, and this program runs
 * with a vfio_ap that asks that (tools/testing/machine/tests/ultravisor).
 */
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define STANDIN	"/sys/module/ultravisor_standin/parameters/"
#define ISC	3
#define PSMID	0x77UL

FIXTURE(protected)
{
	struct guest guest;
};

GROUP_AND_IOMMUFD(protected);

FIXTURE_SETUP(protected)
{
	test_begin();
	if (!path_exists(STANDIN))
		test_skip(_metadata, "no stand-in for the Ultravisor");
	GUEST_UP(&self->guest, .cdev = variant->cdev);
	ASSERT_EQ(0, sysfs_write(STANDIN "asked", "0"));
}

FIXTURE_TEARDOWN_PARENT(protected)
{
	if (path_exists(STANDIN))
		sysfs_write(STANDIN "protected", "0");
	test_end();
}

static void answers(struct __test_metadata *_metadata, bool protected,
		    bool shared)
{
	ASSERT_EQ(0, sysfs_write(STANDIN "protected", protected ? "1" : "0"));
	ASSERT_EQ(0, sysfs_write(STANDIN "shared", shared ? "1" : "0"));
}

static unsigned long parameter(const char *path)
{
	char text[32] = "";

	sysfs_read(path, text, sizeof(text));
	return strtoul(text, NULL, 10);
}

/* The host's address of a page of this process, as /proc/self/pagemap has it. */
static unsigned long physical_page(struct __test_metadata *_metadata, void *address)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	ASSERT_LE(0, fd);
	ASSERT_EQ(sizeof(entry), pread(fd, &entry, sizeof(entry),
				       (uintptr_t)address / 4096 * sizeof(entry)));
	close(fd);
	return (entry & ((1UL << 55) - 1)) * 4096;
}

TEST_F(protected, nib_is_shared)
{
	struct guest *guest = &self->guest;
	uint64_t nib = GUEST_NIB + 0x123;
	struct ap_result result;
	const char *wrong;

	answers(_metadata, true, true);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR | AQIC_ISC(ISC), nib,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(4, pinned_kib());
	EXPECT_EQ(1, parameter(STANDIN "asked"));
	EXPECT_EQ(physical_page(_metadata, guest->vmm.mem + GUEST_NIB),
		  parameter(STANDIN "page"));
	ASSERT_OK(ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, AP_IRQ,
			   AP_IRQ, &result), guest->vmm.error);
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_NE(0, guest->vmm.mem[nib]);
}

TEST_F(protected, nib_is_not_shared)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	answers(_metadata, true, false);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_INVALID_ADDRESS, result.rc);
	EXPECT_EQ(3, result.cc);
	EXPECT_EQ(1, parameter(STANDIN "asked"));
	EXPECT_EQ(physical_page(_metadata, guest->vmm.mem + GUEST_NIB),
		  parameter(STANDIN "page"));
	/* The queue was not told, and nothing is kept. */
	EXPECT_EQ(0, pinned_kib());
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(0, result.flags & AP_IRQ);
	/* The guest shares it, and tries again. */
	answers(_metadata, true, true);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(4, pinned_kib());
}

/* What is enabled already stays so, with the page that it had. */
TEST_F(protected, other_nib_is_not_shared)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;

	answers(_metadata, true, true);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	answers(_metadata, true, false);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB2,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_INVALID_ADDRESS, result.rc);
	EXPECT_EQ(4, pinned_kib());
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_NE(0, guest->vmm.mem[GUEST_NIB]);
}

/* To disable takes no page, and other guests share all they have. */
TEST_F(protected, is_not_asked_otherwise)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	answers(_metadata, true, false);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, 0, GUEST_NIB, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_ALREADY, result.rc);
	answers(_metadata, false, false);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(0, parameter(STANDIN "asked"));
}

/*
 * KVM takes its GISA from a guest that becomes a protected one, and warns if a subclass is
 * registered then. A monitor resets the device before: none is, and interrupts work
 * afterwards.
 */
TEST_F(protected, reset_gives_up_subclass)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;

	answers(_metadata, false, true);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB, &result),
		  guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	/* Asked again, with the subclass registered. */
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR | AQIC_ISC(ISC), GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_ALREADY, result.rc);
	EXPECT_EQ(0x80 >> ISC, parameter(STANDIN "alert_mask"));

	ASSERT_EQ(0, ioctl(guest->vfio.device, VFIO_DEVICE_RESET));
	answers(_metadata, true, true);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR | AQIC_ISC(ISC), GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(0, parameter(STANDIN "alert_mask"));
	ASSERT_OK(ap_await(&guest->vmm, guest->apqn, AP_RC_NORMAL, AP_IRQ, AP_IRQ,
			   &result), guest->vmm.error);
	wrong = guest_request(guest, PSMID, ISC);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}
