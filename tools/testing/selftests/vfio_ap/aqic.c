// SPDX-License-Identifier: GPL-2.0
/*
 * PQAP(AQIC) of a guest: response codes, interruption subclasses, the
 * notification indicator byte and the page that it is in.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/vfio.h>

#include "lib/test.h"

#define PSMID	0x0123456789abcdefUL

/* Further guest memory, two pages, with a page that is not the guest's before. */
#define SLOT_GPA	VMM_MEM_SIZE
#define SLOT_SIZE	0x2000UL

FIXTURE(aqic)
{
	struct guest guest;
	bool used_aphw;
};

GROUP_AND_IOMMUFD(aqic);

FIXTURE_SETUP(aqic)
{
	test_begin();
	GUEST_UP(&self->guest, .cdev = variant->cdev);
}

FIXTURE_TEARDOWN_PARENT(aqic)
{
	if (self->used_aphw) {
		uint16_t apqn = self->guest.apqn;

		hw_change("queue %02x.%04x reset-time 1 >/dev/null",
			  APID(apqn), APQI(apqn));
		hw_change("queue %02x.%04x irq-time 0 >/dev/null",
			  APID(apqn), APQI(apqn));
		hw_change("queue %02x.%04x response aqic none >/dev/null",
			  APID(apqn), APQI(apqn));
	}
	test_end();
}

#define EXPECT_AQIC(code, apqn, control, nib)				\
	do {								\
		struct ap_result _r;					\
		unsigned int _code = code;				\
									\
		ASSERT_OK(ap_aqic(&self->guest.vmm, apqn, control, nib,	\
				  &_r), self->guest.vmm.error);		\
		EXPECT_EQ(0, _r.pgm);					\
		EXPECT_EQ(_code, _r.rc);				\
		EXPECT_EQ(_code ? 3 : 0, _r.cc);			\
		/* The status word is in the right half. */		\
		EXPECT_EQ(0, _r.gr1 >> 32);				\
	} while (0)

#define EXPECT_IRQ(on)							\
	do {								\
		struct ap_result _r;					\
									\
		ASSERT_OK(ap_await(&self->guest.vmm, self->guest.apqn,	\
				   AP_RC_NORMAL, AP_IRQ,		\
				   (on) ? AP_IRQ : 0, &_r),		\
			  self->guest.vmm.error);			\
		EXPECT_EQ(AP_RC_NORMAL, _r.rc);				\
	} while (0)

#define NEED_APHW()							\
	do {								\
		if (!host.has_aphw)					\
			test_skip(_metadata, "needs aphw, the emulated host's tool"); \
		self->used_aphw = true;					\
	} while (0)

#define QUEUE(fmt, ...)							\
	ASSERT_EQ(0, hw_change("queue %02x.%04x " fmt " >/dev/null",		\
			  APID(self->guest.apqn),			\
			  APQI(self->guest.apqn), ##__VA_ARGS__))

TEST_F(aqic, enable_and_disable)
{
	uint16_t apqn = self->guest.apqn;
	int i;

	for (i = 0; i < 5; i++) {
		EXPECT_AQIC(AP_RC_NORMAL, apqn, AQIC_IR, GUEST_NIB);
		EXPECT_IRQ(true);
		EXPECT_EQ(4, pinned_kib());
		EXPECT_AQIC(AP_RC_NORMAL, apqn, 0, 0);
		EXPECT_IRQ(false);
		EXPECT_EQ(0, pinned_kib());
	}
}

/* Twice the same: "otherwise changed", and the first one stands. */
TEST_F(aqic, enable_twice)
{
	struct guest *guest = &self->guest;
	const char *wrong;

	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(2),
		    GUEST_NIB);
	EXPECT_IRQ(true);
	EXPECT_AQIC(AP_RC_ALREADY, guest->apqn, AQIC_IR | AQIC_ISC(5),
		    GUEST_NIB2);
	EXPECT_EQ(4, pinned_kib());
	wrong = guest_request(guest, PSMID, 2);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_NE(0, guest->vmm.mem[GUEST_NIB]);
	EXPECT_EQ(0, guest->vmm.mem[GUEST_NIB2]);
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, 0, 0);
	EXPECT_IRQ(false);
	EXPECT_EQ(0, pinned_kib());
}

TEST_F(aqic, disable_twice)
{
	uint16_t apqn = self->guest.apqn;

	EXPECT_AQIC(AP_RC_ALREADY, apqn, 0, 0);
	EXPECT_AQIC(AP_RC_NORMAL, apqn, AQIC_IR, GUEST_NIB);
	EXPECT_IRQ(true);
	EXPECT_AQIC(AP_RC_NORMAL, apqn, 0, 0);
	EXPECT_IRQ(false);
	EXPECT_AQIC(AP_RC_ALREADY, apqn, 0, 0);
	EXPECT_EQ(0, pinned_kib());
}

/* Queues that the guest does not have. */
TEST_F(aqic, not_the_guests_queue)
{
	uint16_t apqn = self->guest.apqn;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		uint64_t control = i ? AQIC_IR : 0;

		EXPECT_AQIC(AP_RC_NOT_AVAILABLE, apqn ^ 0x0001, control,
			    GUEST_NIB);
		EXPECT_AQIC(AP_RC_NOT_AVAILABLE, apqn ^ 0x0100, control,
			    GUEST_NIB);
		EXPECT_AQIC(AP_RC_NOT_AVAILABLE,
			    APQN(host.max_adapter, host.max_domain), control,
			    GUEST_NIB);
	}
	/* vfio_ap's, but nobody's, or another guest's. */
	for (i = 1; i < host.nr_domains; i++)
		EXPECT_AQIC(AP_RC_NOT_AVAILABLE,
			    APQN(APID(apqn), host.domain[i]), AQIC_IR,
			    GUEST_NIB);
	EXPECT_EQ(0, pinned_kib());
}

/* Every ISC of the guest: the interruption comes on this one, and no other. */
TEST_F(aqic, every_isc)
{
	struct guest *guest = &self->guest;
	const char *wrong;
	int isc;

	for (isc = 0; isc < 8; isc++) {
		guest->vmm.mem[GUEST_NIB] = 0;
		EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(isc),
			    GUEST_NIB);
		EXPECT_IRQ(true);
		wrong = guest_request(guest, PSMID + isc, isc);
		EXPECT_EQ(NULL, wrong)
			TH_LOG("ISC %d: %s", isc, wrong);
		EXPECT_NE(0, guest->vmm.mem[GUEST_NIB]);
		EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, 0, 0);
		EXPECT_IRQ(false);
	}
}

static bool nib_is_set(void *data)
{
	struct guest *guest = data;

	return *(volatile uint8_t *)(guest->vmm.mem + GUEST_NIB);
}

/* An interruption on a disabled ISC waits until the guest enables it. */
TEST_F(aqic, interruption_stays_pending)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	struct guest_io io;
	size_t length;

	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(4),
		    GUEST_NIB);
	EXPECT_IRQ(true);
	length = ap_request(&guest->vmm, guest->mode, guest->apqn);
	ASSERT_OK(ap_nqap(&guest->vmm, guest->apqn, PSMID, length, &result),
		  guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_TRUE(wait_until(nib_is_set, guest, hang_ms));
	EXPECT_EQ(-ETIMEDOUT, vmm_wait_io(&guest->vmm, 0, 0xff & ~(0x80 >> 4),
					  &io, 200));
	ASSERT_OK(vmm_wait_io(&guest->vmm, 0, 0x80 >> 4, &io, hang_ms),
		  guest->vmm.error);
	EXPECT_EQ(0x80000000 | 4 << 27, io.word);
}

/* The guest does not wait, but is running, when its interruption comes. */
TEST_F(aqic, interrupts_a_running_guest)
{
	struct guest *guest = &self->guest;
	struct guest_mailbox *mailbox = vmm_mailbox(&guest->vmm, 0);
	struct ap_result result;
	size_t length;

	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(1),
		    GUEST_NIB);
	EXPECT_IRQ(true);
	length = ap_request(&guest->vmm, guest->mode, guest->apqn);
	ASSERT_OK(ap_nqap(&guest->vmm, guest->apqn, PSMID, length, &result),
		  guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);

	/* TAPQ of another queue, in a loop that only the interruption ends. */
	vmm_set_slot(&guest->vmm, INSN_PQAP);
	mailbox->gr[0] = AP_FC_TAPQ | APQN(host.max_adapter, host.max_domain);
	mailbox->cr6 = (uint64_t)(0x80 >> 1) << 24;
	mailbox->op = GUEST_OP_LOOP_IO;
	ASSERT_OK(vmm_run(&guest->vmm, 0, hang_ms), guest->vmm.error);
	EXPECT_EQ(0, mailbox->pgm);
	EXPECT_EQ(1, mailbox->nr_io);
	EXPECT_LE(1, mailbox->loops);
	EXPECT_EQ(0x80000000 | 1 << 27, mailbox->io[0].word);
}

/* Addresses that can be no NIB. */
TEST_F(aqic, bad_nib)
{
	static const uint64_t addresses[] = {
		0, SLOT_GPA, SLOT_GPA + 1, SLOT_GPA + SLOT_SIZE,
		0x7fffffff, 0x80000000, 0x100000000, 0x7fffffffffffffff,
		0x8000000000000000, 0xfffffffffffff000, 0xffffffffffffffff,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		EXPECT_AQIC(AP_RC_INVALID_ADDRESS, self->guest.apqn, AQIC_IR,
			    addresses[i]);
		EXPECT_IRQ(false);
		EXPECT_EQ(0, pinned_kib())
			TH_LOG("NIB %#lx", addresses[i]);
	}
	/* A good one after that. */
	EXPECT_AQIC(AP_RC_NORMAL, self->guest.apqn, AQIC_IR, GUEST_NIB);
	EXPECT_IRQ(true);
}

/* In the guest's memory, but not mapped for devices. */
TEST_F(aqic, nib_not_mapped)
{
	struct guest *guest = &self->guest;
	void *memory;

	memory = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_OK(vmm_memory(&guest->vmm, 1, SLOT_GPA, SLOT_SIZE, memory),
		  guest->vmm.error);
	EXPECT_AQIC(AP_RC_INVALID_ADDRESS, guest->apqn, AQIC_IR, SLOT_GPA);
	EXPECT_EQ(0, pinned_kib());
}

/* Mapped for devices, but not the guest's memory. */
TEST_F(aqic, nib_not_in_a_slot)
{
	struct guest *guest = &self->guest;
	void *memory;

	memory = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_OK(vmm_vfio_map(&guest->vfio, SLOT_GPA, SLOT_SIZE, memory),
		  guest->vfio.error);
	EXPECT_AQIC(AP_RC_INVALID_ADDRESS, guest->apqn, AQIC_IR, SLOT_GPA);
	EXPECT_EQ(0, pinned_kib());
}

/* Any byte of a page can be the NIB, and only that byte is written. */
TEST_F(aqic, nib_anywhere_in_a_page)
{
	static const unsigned int offsets[] = { 1, 0x123, 0x800, 0xfff };
	static const uint8_t zero[0x1000];
	struct guest *guest = &self->guest;
	uint8_t *page = guest->vmm.mem + GUEST_NIB;
	const char *wrong;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		memset(page, 0, 0x1000);
		EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(3),
			    GUEST_NIB + offsets[i]);
		EXPECT_IRQ(true);
		wrong = guest_request(guest, PSMID + i, 3);
		EXPECT_EQ(NULL, wrong)
			TH_LOG("offset %#x: %s", offsets[i], wrong);
		EXPECT_NE(0, page[offsets[i]]);
		page[offsets[i]] = 0;
		EXPECT_EQ(0, memcmp(page, zero, sizeof(zero)))
			TH_LOG("NIB at %#x", offsets[i]);
		EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, 0, 0);
		EXPECT_IRQ(false);
		EXPECT_EQ(0, pinned_kib());
	}
}

/*
 * The NIB in the last page of one mapping, another mapping right behind it,
 * whose memory in this process is elsewhere. Whatever lies there before the
 * second mapping's memory was never mapped for devices.
 */
TEST_F(aqic, nib_before_another_mapping)
{
	static const uint8_t zero[0x2000];
	struct guest *guest = &self->guest;
	uint64_t gpa = SLOT_GPA + 0x1000, nib = gpa - 0x10;
	uint8_t *first, *second, *third;
	const char *wrong;

	/* One page for the first slot; a canary and a page for the second. */
	first = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	second = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	third = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, first);
	ASSERT_NE(MAP_FAILED, second);
	ASSERT_NE(MAP_FAILED, third);
	memset(second, 0, 0x2000);
	ASSERT_OK(vmm_memory(&guest->vmm, 1, SLOT_GPA, 0x1000, first),
		  guest->vmm.error);
	ASSERT_OK(vmm_memory(&guest->vmm, 2, gpa, 0x1000, second + 0x1000),
		  guest->vmm.error);
	/*
	 * In this order, so that a look-up in a balanced tree comes across the
	 * second mapping before the first.
	 */
	ASSERT_OK(vmm_vfio_map(&guest->vfio, gpa, 0x1000, second + 0x1000),
		  guest->vfio.error);
	ASSERT_OK(vmm_vfio_map(&guest->vfio, gpa + 0x10000, 0x1000, third),
		  guest->vfio.error);
	ASSERT_OK(vmm_vfio_map(&guest->vfio, SLOT_GPA, 0x1000, first),
		  guest->vfio.error);

	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(3), nib);
	EXPECT_IRQ(true);
	wrong = guest_request(guest, PSMID, 3);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_NE(0, first[0x1000 - 0x10]);
	EXPECT_EQ(0, memcmp(second, zero, sizeof(zero)));
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, 0, 0);
	EXPECT_IRQ(false);
	EXPECT_EQ(0, pinned_kib());
}

C_DEFECT(aqic, group, nib_before_another_mapping,
	 "pins by the address of the NIB instead of its page's");

/* The mapping goes away while the queue can write to the NIB: it is disabled. */
TEST_F(aqic, unmap_disables)
{
	struct guest *guest = &self->guest;
	const char *wrong;

	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR, GUEST_NIB);
	EXPECT_IRQ(true);
	ASSERT_OK(vmm_vfio_unmap(&guest->vfio, 0, VMM_MEM_SIZE),
		  guest->vfio.error);
	EXPECT_EQ(0, pinned_kib());
	EXPECT_IRQ(false);
	EXPECT_AQIC(AP_RC_INVALID_ADDRESS, guest->apqn, AQIC_IR, GUEST_NIB);
	ASSERT_OK(vmm_vfio_map(&guest->vfio, 0, VMM_MEM_SIZE, guest->vmm.mem),
		  guest->vfio.error);
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(6),
		    GUEST_NIB);
	EXPECT_IRQ(true);
	wrong = guest_request(guest, PSMID, 6);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}

/* A mapping without the NIB's page goes away: nothing happens to it. */
TEST_F(aqic, unmap_of_something_else)
{
	struct guest *guest = &self->guest;
	const char *wrong;
	void *memory;

	memory = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_OK(vmm_vfio_map(&guest->vfio, SLOT_GPA, SLOT_SIZE, memory),
		  guest->vfio.error);
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(6),
		    GUEST_NIB);
	EXPECT_IRQ(true);
	ASSERT_OK(vmm_vfio_unmap(&guest->vfio, SLOT_GPA, SLOT_SIZE),
		  guest->vfio.error);
	EXPECT_EQ(4, pinned_kib());
	EXPECT_IRQ(true);
	wrong = guest_request(guest, PSMID, 6);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}

/* The guest resets its queue itself, and enables again, with another NIB. */
TEST_F(aqic, enable_after_guest_reset)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;
	int i;

	for (i = 0; i < 4; i++) {
		uint64_t nib = i & 1 ? GUEST_NIB2 : GUEST_NIB;

		EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(i),
			    nib);
		EXPECT_IRQ(true);
		guest->vmm.mem[nib] = 0;
		wrong = guest_request(guest, PSMID + i, i);
		EXPECT_EQ(NULL, wrong)
			TH_LOG("%s", wrong);
		EXPECT_NE(0, guest->vmm.mem[nib]);
		EXPECT_EQ(4, pinned_kib());
		ASSERT_OK(ap_reset(&guest->vmm, guest->apqn, &result),
			  guest->vmm.error);
		EXPECT_EQ(0, result.flags & AP_IRQ);
	}
	EXPECT_AQIC(AP_RC_ALREADY, guest->apqn, 0, 0);
	EXPECT_EQ(0, pinned_kib());
}

/* EXECUTE of AQIC: it is the same instruction. */
TEST_F(aqic, by_execute)
{
	struct guest *guest = &self->guest;
	struct guest_mailbox *mailbox = vmm_mailbox(&guest->vmm, 0);

	mailbox->gr[0] = AP_FC_AQIC | guest->apqn;
	mailbox->gr[1] = AQIC_IR;
	mailbox->gr[2] = GUEST_NIB;
	ASSERT_OK(vmm_execute_ex(&guest->vmm, 0, INSN_PQAP), guest->vmm.error);
	EXPECT_EQ(0, mailbox->pgm);
	EXPECT_EQ(0, mailbox->cc);
	EXPECT_EQ(0, mailbox->gr[1] >> 16 & 0xff);
	EXPECT_IRQ(true);
}

/* Bits that AQIC ignores, and the host's part of the control word. */
TEST_F(aqic, other_bits_are_ignored)
{
	struct guest *guest = &self->guest;
	const char *wrong;

	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn,
		    AQIC_IR | 0xff00000000000000UL | 0x0000070300000000UL |
		    0x0000000000ffff00UL | AQIC_ISC(3), GUEST_NIB);
	EXPECT_IRQ(true);
	wrong = guest_request(guest, PSMID, 3);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}

/*
 * A queue that is assigned, but not in the guest's configuration, because
 * another queue of its adapter is not vfio_ap's.
 */
TEST_F(aqic, filtered_queue)
{
	struct guest *guest = &self->guest;
	uint16_t other;
	struct ap_result result;
	char text[256];

	if (host.nr_domains < 2)
		test_skip(_metadata, "needs two domains");
	other = APQN(APID(guest->apqn), host.domain[1]);
	ASSERT_EQ(0, queue_unbind(other));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "assign_domain",
				 host.domain[1]));
	mdev_read(guest->uuid, "guest_matrix", text, sizeof(text));
	/* Domains, but no adapter. */
	EXPECT_EQ('.', text[0])
		TH_LOG("guest_matrix: %s", text);
	ASSERT_OK(ap_tapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);

	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NOT_AVAILABLE, result.rc);
	EXPECT_EQ(0, pinned_kib());
	/* Whatever has been enabled must be off before the mdev goes. */
	ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result);
	EXPECT_EQ(0, queue_bind(other, "vfio_ap"));
	ASSERT_EQ(0, mdev_assign(guest->uuid, "unassign_domain",
				 host.domain[1]));
}

C_DEFECT(aqic, group, filtered_queue,
	 "takes AQIC for a queue that is not the guest's");
C_DEFECT(aqic, iommufd, filtered_queue,
	 "takes AQIC for a queue that is not the guest's");

/* Registers that no sane guest has: an answer each, and nothing is left. */
TEST_F(aqic, random_registers)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int i;

	srandom(variant->cdev ? 65 : 15);
	for (i = 0; i < 300; i++) {
		uint64_t gr0 = AP_FC_AQIC | guest->apqn, gr1, gr2;

		/* Mostly the guest's queue, sometimes any, and other bits. */
		if (i % 3 == 0)
			gr0 ^= random() & 0xffff;
		if (i % 5 == 0)
			gr0 ^= (random() & 0xff) << 16;
		gr0 |= (uint64_t)random() << 32;
		gr1 = (uint64_t)random() << 33 | random();
		/* Mostly somewhere in the guest's memory. */
		gr2 = i % 4 ? random() % VMM_MEM_SIZE & ~0xfff :
			      (uint64_t)random() << 33 | random();
		/* Where the guest itself is, a NIB would do harm. */
		if (gr2 < GUEST_DATA)
			gr2 += GUEST_DATA;
		ASSERT_OK(ap_pqap(&guest->vmm, gr0, gr1, gr2, &result),
			  guest->vmm.error);
		if (result.pgm) {
			EXPECT_EQ(PGM_SPECIFICATION, result.pgm);
			EXPECT_TRUE(gr0 & 0x007f0000 ||
				    APID(gr0 & 0xffff) > host.max_adapter ||
				    APQI(gr0) > host.max_domain);
			continue;
		}
		EXPECT_TRUE(result.rc == AP_RC_NORMAL ||
			    result.rc == AP_RC_NOT_AVAILABLE ||
			    result.rc == AP_RC_INVALID_ADDRESS ||
			    result.rc == AP_RC_ALREADY)
			TH_LOG("GR 0 %#lx, 1 %#lx, 2 %#lx: code %02x", gr0,
			       gr1, gr2, result.rc);
		EXPECT_EQ(result.rc ? 3 : 0, result.cc);
		EXPECT_EQ(0, result.gr1 >> 32);
		EXPECT_GE(4, pinned_kib());
	}
	ASSERT_OK(ap_disable_irq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(0, pinned_kib());
}

/* A guest cannot fill the host's log. */
TEST_F(aqic, log_is_not_flooded)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int i, records, allowed;
	char report[REPORT_SIZE];
	uint64_t start;

	test_read_log(report);
	start = now_ms();
	for (i = 0; i < 100; i++) {
		ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, 0, &result);
		ap_aqic(&guest->vmm, guest->apqn, 0, 0, &result);
		ap_aqic(&guest->vmm, 0xffff, AQIC_IR, GUEST_NIB, &result);
	}
	if (host.has_aphw && !host.driver_is_c) {
		self->used_aphw = true;
		QUEUE("response aqic 5 count 100");
		for (i = 0; i < 100; i++)
			ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
				&result);
		QUEUE("response aqic none");
	}
	records = test_read_log(report);
	/* The kernel's own limit is ten of each kind in 5 s. */
	allowed = 20 + (now_ms() - start) / 5000 * 20;
	EXPECT_GE(allowed, records)
		TH_LOG("%u records", records);
	EXPECT_STREQ("", report);
}

/* Each bit of the registers by itself: what it means, and nothing else. */
TEST_F(aqic, each_bit)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int bit;

	for (bit = 0; bit < 3 * 64; bit++) {
		uint64_t gr0 = AP_FC_AQIC | guest->apqn, gr1 = AQIC_IR;
		uint64_t gr2 = GUEST_NIB, flip = 1UL << bit % 64;
		unsigned int code = AP_RC_NORMAL;

		if (bit < 64) {
			/* The APQN and the function are other tests'. */
			if (!(flip >> 32))
				continue;
			gr0 ^= flip;
		} else if (bit < 128) {
			gr1 ^= flip;
			/* To disable what is disabled. */
			if (flip == AQIC_IR)
				code = AP_RC_ALREADY;
		} else {
			gr2 ^= flip;
			if (gr2 >= VMM_MEM_SIZE)
				code = AP_RC_INVALID_ADDRESS;
		}
		ASSERT_OK(ap_pqap(&guest->vmm, gr0, gr1, gr2, &result),
			  guest->vmm.error);
		EXPECT_EQ(0, result.pgm);
		EXPECT_EQ(code, result.rc)
			TH_LOG("bit %u of GR %u", 63 - bit % 64, bit / 64);
		EXPECT_EQ(code ? 0 : 4, pinned_kib());
		if (!code)
			ASSERT_OK(ap_disable_irq(&guest->vmm, guest->apqn,
						 &result), guest->vmm.error);
		EXPECT_EQ(0, pinned_kib());
	}
}

FIXTURE(two_cpus)
{
	struct guest guest;
};

FIXTURE_SETUP(two_cpus)
{
	test_begin();
	GUEST_UP(&self->guest, .vmm.cpus = 2);
}

FIXTURE_TEARDOWN_PARENT(two_cpus)
{
	test_end();
}

/* The CPU that waits gets the interruption, not the one that asked. */
TEST_F(two_cpus, the_waiting_one_is_interrupted)
{
	struct guest *guest = &self->guest;
	struct guest_mailbox *waiting = vmm_mailbox(&guest->vmm, 1);
	struct ap_result result;
	size_t length;
	int i;

	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, 3, GUEST_NIB,
				&result), guest->vmm.error);
	ASSERT_EQ(AP_RC_NORMAL, result.rc);
	ASSERT_OK(vmm_run(&guest->vmm, 1, hang_ms), guest->vmm.error);
	for (i = 0; i < 3; i++) {
		uint64_t psmid;

		vmm_prepare_wait(&guest->vmm, 1, 0x80 >> 3);
		ASSERT_OK(vmm_start(&guest->vmm, 1, hang_ms), guest->vmm.error);
		sleep_ms(20);
		length = ap_request(&guest->vmm, guest->mode, guest->apqn);
		ASSERT_OK(ap_nqap(&guest->vmm, guest->apqn, PSMID, length,
				  &result), guest->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		ASSERT_OK(vmm_join(&guest->vmm, 1), guest->vmm.error);
		EXPECT_EQ(i + 1, waiting->nr_io);
		EXPECT_EQ(0x80000000 | 3 << 27, waiting->io[i].word);
		EXPECT_EQ(0, vmm_mailbox(&guest->vmm, 0)->nr_io);
		ASSERT_OK(ap_dqap(&guest->vmm, guest->apqn, &psmid, &length,
				  &result), guest->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc);
		EXPECT_EQ(PSMID, psmid);
	}
}

#define DEBUG_FEATURE	"/sys/kernel/debug/s390dbf/vfio_ap"

/* What the debug feature has recorded of an AQIC with a NIB in no memory slot. */
static void refused_nib(struct __test_metadata *_metadata, struct guest *guest,
			uint64_t nib, char *text, size_t size)
{
	struct ap_result result;

	if (!path_exists(DEBUG_FEATURE))
		test_skip(_metadata, "no debugfs");
	ASSERT_EQ(0, sysfs_write(DEBUG_FEATURE "/flush", "-"));
	EXPECT_LE(0, sysfs_read(DEBUG_FEATURE "/sprintf", text, size));
	EXPECT_STREQ("", text);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, nib, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_INVALID_ADDRESS, result.rc);
	EXPECT_LT(0, sysfs_read(DEBUG_FEATURE "/sprintf", text, size));
}

/* An administrator finds what was refused. */
TEST_F(aqic, refusal_is_recorded)
{
	char text[4096], number[8];

	snprintf(number, sizeof(number), "%x", self->guest.apqn);
	refused_nib(_metadata, &self->guest, 0x7eefc0d0, text, sizeof(text));
	EXPECT_NE(NULL, strstr(text, number))
		TH_LOG("no record of queue %s: %s", number, text);
}

/* And with it the address that was wrong, at any later time. */
TEST_F(aqic, record_names_the_nib)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	char text[4096];

	refused_nib(_metadata, guest, 0x7eefc0d0, text, sizeof(text));
	/* Other addresses meanwhile, so that none is there by accident. */
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, 0x7dd01230,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_INVALID_ADDRESS, result.rc);
	ASSERT_OK(ap_aqic(&guest->vmm, guest->apqn, AQIC_IR, GUEST_NIB,
			  &result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_LT(0, sysfs_read(DEBUG_FEATURE "/sprintf", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "7eefc0d0"))
		TH_LOG("no record of it: %s", text);
	EXPECT_NE(NULL, strstr(text, "7dd01230"))
		TH_LOG("no record of it: %s", text);
}

C_DEFECT(aqic, group, record_names_the_nib,
	 "keeps a pointer to its stack instead of the address");
C_DEFECT(aqic, iommufd, record_names_the_nib,
	 "keeps a pointer to its stack instead of the address");

/* --- with the emulated host's hardware events ---------------------------- */

/* AQIC while the guest's own reset is not done yet: 02, and nothing is kept. */
TEST_F(aqic, enable_during_reset)
{
	struct guest *guest = &self->guest;
	struct ap_result result;

	NEED_APHW();
	SKIP_ON_C("leaks the pin; the kernel crashes when it is unmapped");
	/* It lasts until the test ends it. */
	QUEUE("reset-time 3600000");
	self->used_aphw = true;
	ASSERT_OK(ap_zapq(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_AQIC(AP_RC_RESET, guest->apqn, AQIC_IR, GUEST_NIB);
	EXPECT_EQ(0, pinned_kib());
	QUEUE("reset-time 1");
	ASSERT_OK(vmm_vfio_unmap(&guest->vfio, 0, VMM_MEM_SIZE),
		  guest->vfio.error);
	EXPECT_EQ(0, pinned_kib());
}

/* Every other code that enabling can end with. */
TEST_F(aqic, enable_is_refused)
{
	static const uint8_t codes[] = {
		AP_RC_NOT_AVAILABLE, AP_RC_RESET, AP_RC_DECONFIGURED,
		AP_RC_CHECKSTOPPED, AP_RC_BUSY, AP_RC_INVALID_ADDRESS,
	};
	struct guest *guest = &self->guest;
	const char *wrong;
	unsigned int i;

	NEED_APHW();
	SKIP_ON_C("leaks the pin; the kernel crashes when it is unmapped");
	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		QUEUE("response aqic %u count 1", codes[i]);
		EXPECT_AQIC(codes[i], guest->apqn, AQIC_IR, GUEST_NIB);
		EXPECT_EQ(0, pinned_kib())
			TH_LOG("response code %02x", codes[i]);
	}
	/* Nobody of the guest has enabled them: they are disabled first. */
	QUEUE("response aqic %u count 1", AP_RC_ALREADY);
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(3),
		    GUEST_NIB);
	EXPECT_IRQ(true);
	wrong = guest_request(guest, PSMID, 3);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}

/*
 * Enabling what is enabled, with the same NIB and ISC: the page stays pinned, once,
 * or is unpinned when the answer is that there is no queue.
 */
TEST_F(aqic, enable_again)
{
	static const struct {
		uint8_t code;
		long pinned;
	} answers[] = {
		{ AP_RC_ALREADY, 4 }, { AP_RC_NOT_AVAILABLE, 0 },
		{ AP_RC_RESET, 4 }, { AP_RC_DECONFIGURED, 0 },
		{ AP_RC_CHECKSTOPPED, 0 }, { AP_RC_BUSY, 4 },
		{ AP_RC_INVALID_ADDRESS, 4 },
	};
	struct guest *guest = &self->guest;
	const uint64_t enable = AQIC_IR | AQIC_ISC(3);
	struct ap_result result;
	const char *wrong;
	unsigned int i;

	NEED_APHW();
	SKIP_ON_C("leaks the pin; the kernel crashes when it is unmapped");
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, enable, GUEST_NIB);
		EXPECT_IRQ(true);
		EXPECT_AQIC(AP_RC_ALREADY, guest->apqn, enable, GUEST_NIB);
		EXPECT_EQ(4, pinned_kib());
		QUEUE("response aqic %u count 1", answers[i].code);
		EXPECT_AQIC(answers[i].code, guest->apqn, enable, GUEST_NIB);
		EXPECT_EQ(answers[i].pinned, pinned_kib())
			TH_LOG("response code %02x", answers[i].code);
		ASSERT_OK(ap_reset(&guest->vmm, guest->apqn, &result),
			  guest->vmm.error);
	}
	QUEUE("response aqic none");
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, enable, GUEST_NIB);
	EXPECT_AQIC(AP_RC_ALREADY, guest->apqn, enable, GUEST_NIB);
	guest->vmm.mem[GUEST_NIB] = 0;
	wrong = guest_request(guest, PSMID, 3);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_NE(0, guest->vmm.mem[GUEST_NIB]);
	ASSERT_OK(vmm_vfio_unmap(&guest->vfio, 0, VMM_MEM_SIZE),
		  guest->vfio.error);
	EXPECT_EQ(0, pinned_kib());
}

/* While the queue can still write to the NIB, its page stays pinned. */
TEST_F(aqic, disable_is_refused)
{
	struct guest *guest = &self->guest;
	const char *wrong;

	NEED_APHW();
	SKIP_ON_C("warns, and unpins what the queue still writes to");
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(3), GUEST_NIB);
	EXPECT_IRQ(true);
	QUEUE("response aqic 5 count 200");
	EXPECT_AQIC(AP_RC_BUSY, guest->apqn, 0, 0);
	EXPECT_EQ(4, pinned_kib());
	QUEUE("response aqic none");
	/* The queue does write to it. */
	EXPECT_IRQ(true);
	wrong = guest_request(guest, PSMID, -1);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_NE(0, guest->vmm.mem[GUEST_NIB]);
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, 0, 0);
	EXPECT_IRQ(false);
	EXPECT_EQ(0, pinned_kib());
}

/* Every other code that disabling can end with: the guest gets it, no more. */
TEST_F(aqic, disable_ends_otherwise)
{
	static const uint8_t codes[] = {
		AP_RC_NOT_AVAILABLE, AP_RC_RESET, AP_RC_DECONFIGURED,
		AP_RC_CHECKSTOPPED, AP_RC_INVALID_ADDRESS, 0x42,
	};
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int i;

	NEED_APHW();
	SKIP_ON_C("warns, and unpins what the queue still writes to");
	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR, GUEST_NIB);
		EXPECT_IRQ(true);
		EXPECT_EQ(4, pinned_kib());
		QUEUE("response aqic %02x count 1", codes[i]);
		EXPECT_AQIC(codes[i], guest->apqn, 0, 0);
		ASSERT_OK(ap_disable_irq(&guest->vmm, guest->apqn, &result),
			  guest->vmm.error);
		EXPECT_EQ(AP_RC_NORMAL, result.rc)
			TH_LOG("after response code %02x", codes[i]);
		EXPECT_IRQ(false);
		EXPECT_EQ(0, pinned_kib())
			TH_LOG("after response code %02x", codes[i]);
	}
}

/* Whatever hardware answers to a disable is the guest's, and the host's log's not. */
TEST_F(aqic, every_answer_to_disable)
{
	static const uint8_t codes[] = {
		AP_RC_NOT_AVAILABLE, AP_RC_RESET, AP_RC_DECONFIGURED,
		AP_RC_CHECKSTOPPED, AP_RC_BUSY, AP_RC_ALREADY, AP_RC_NO_REPLY,
	};
	struct guest *guest = &self->guest;
	struct ap_result result;
	const char *wrong;
	unsigned int i, n;

	NEED_APHW();
	SKIP_ON_C("warns");
	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		/* With interrupts on, and with nothing to disable. */
		for (n = 0; n < 2; n++) {
			if (!n) {
				EXPECT_AQIC(AP_RC_NORMAL, guest->apqn,
					    AQIC_IR | AQIC_ISC(3), GUEST_NIB);
				EXPECT_IRQ(true);
			}
			QUEUE("response aqic %x count 1", codes[i]);
			EXPECT_AQIC(codes[i], guest->apqn, 0, 0);
			QUEUE("response aqic none");
			/* Hardware may have been lying, the guest is not. */
			ASSERT_OK(ap_reset(&guest->vmm, guest->apqn, &result),
				  guest->vmm.error);
		}
	}
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(3), GUEST_NIB);
	EXPECT_IRQ(true);
	wrong = guest_request(guest, PSMID, 3);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
	EXPECT_EQ(4, pinned_kib());
}

/*
 * The mapping goes away while the queue cannot be disabled: unmapping comes to
 * an end, nothing is pinned for the process, and the page is kept until
 * hardware is done with it.
 */
TEST_F(aqic, unmap_while_busy)
{
	struct guest *guest = &self->guest;
	char path[128], line[256];
	bool held = false, off = false;
	const char *wrong;
	uint64_t end;
	FILE *file;
	int i;

	NEED_APHW();
	SKIP_ON_C("warns, and unpins what the queue still writes to");
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(3), GUEST_NIB);
	EXPECT_IRQ(true);
	QUEUE("response aqic 5");
	ASSERT_OK(vmm_vfio_unmap(&guest->vfio, 0, VMM_MEM_SIZE),
		  guest->vfio.error);
	EXPECT_EQ(0, pinned_kib());
	snprintf(path, sizeof(path), "/sys/kernel/debug/vfio_ap/%s", guest->uuid);
	end = now_ms() + hang_ms;
	for (i = 0; now_ms() < end && !off; i++) {
		char queue[16];

		snprintf(queue, sizeof(queue), "%02x.%04x ", APID(guest->apqn),
			 APQI(guest->apqn));
		file = fopen(path, "r");
		ASSERT_NE(NULL, file);
		while (fgets(line, sizeof(line), file)) {
			if (strncmp(line, queue, strlen(queue)))
				continue;
			if (strstr(line, " disabling "))
				held = true;
			off = strstr(line, " off ");
		}
		fclose(file);
		if (i == 5) {
			EXPECT_TRUE(held);
			EXPECT_FALSE(off);
			QUEUE("response aqic none");
		}
		sleep_ms(10);
	}
	EXPECT_TRUE(off);
	EXPECT_IRQ(false);
	ASSERT_OK(vmm_vfio_map(&guest->vfio, 0, VMM_MEM_SIZE, guest->vmm.mem),
		  guest->vfio.error);
	EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(3), GUEST_NIB);
	EXPECT_IRQ(true);
	wrong = guest_request(guest, PSMID, 3);
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s", wrong);
}

static bool nothing_pinned(void *data)
{
	return !pinned_kib();
}

/* An interrupt that takes its time to go on and off. */
TEST_F(aqic, slow_interrupt_bit)
{
	struct guest *guest = &self->guest;
	const char *wrong;
	int i;

	NEED_APHW();
	SKIP_ON_C("warns, and unpins what the queue still writes to");
	QUEUE("irq-time 150");
	for (i = 0; i < 2; i++) {
		EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, AQIC_IR | AQIC_ISC(3),
			    GUEST_NIB);
		EXPECT_IRQ(true);
		wrong = guest_request(guest, PSMID, 3);
		EXPECT_EQ(NULL, wrong)
			TH_LOG("%s", wrong);
		EXPECT_AQIC(AP_RC_NORMAL, guest->apqn, 0, 0);
		EXPECT_IRQ(false);
	}
	QUEUE("irq-time 0");
	/* Now or soon, nothing is pinned. */
	EXPECT_TRUE(wait_until(nothing_pinned, NULL, hang_ms));
}
