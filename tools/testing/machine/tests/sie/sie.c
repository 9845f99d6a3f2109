// SPDX-License-Identifier: GPL-2.0
/*
 * START INTERPRETIVE EXECUTION on the emulated host, without KVM around it.
 *
 * KVM is careful about what it puts into a state description; this module is not.
 * Loading it runs guests of a few instructions, then random ones under random
 * controls, and writes TAP to the kernel's log; then it refuses to stay.
 *
 * A guest has 1 MiB, which is contiguous in the kernel's own address space. What
 * is right is what arch/s390/kvm expects: intercept.c, priv.c and, for reasons of
 * validity interceptions, vsie.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/hrtimer.h>
#include <linux/io.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <asm/access-regs.h>
#include <asm/asm-extable.h>
#include <asm/ctlreg.h>
#include <linux/fpu.h>
#include <asm/kvm_host_types.h>
#include <asm/lowcore.h>
#include <asm/pgtable.h>

#include "sie.h"

#define GUEST_ORDER	8

/* Where things are in the guest */
#define OLD_PSWS	0x120
#define NEW_PSWS	0x1a0

#define VALIDITY(block)	((block)->ipb >> 16)

static unsigned int rounds = 1000;
module_param(rounds, uint, 0);
MODULE_PARM_DESC(rounds, "Random guests");
static unsigned int seed = 1;
module_param(seed, uint, 0);
MODULE_PARM_DESC(seed, "What the random guests begin with");

static bool reset;
module_param(reset, bool, 0);
MODULE_PARM_DESC(reset, "Only SIGP CPU RESET, for which two CPUs are needed");
static bool busy;
module_param(busy, bool, 0600);
MODULE_PARM_DESC(busy, "Only one guest, which computes until this is set to 0");

u8 *guest;
struct kvm_s390_sie_block *block;		/* a page, of which half is used */
u8 *areas;					/* a page: GISA, CRYCB, facilities */
static u8 *given_up;				/* a page: CBRL */
u64 gprs[16];					/* GR14 and GR15 are in the block */
u32 guest_acrs[NUM_ACRS];
u64 *host_ptes;
static u64 *host_segments;			/* or NULL: the kernel's own tables */
static unsigned int nr_bad;

void same(const char *what, int line, unsigned long is, unsigned long wanted)
{
	if (is == wanted)
		return;
	nr_bad++;
	pr_info("# line %d: %s is %lx, must be %lx\n", line, what, is, wanted);
}

/* A guest that has done nothing yet: its PSW is at CODE, all its memory zero. */
void new_guest(void)
{
	memset(guest, 0, GUEST_SIZE);
	memset(block, 0, sizeof(*block));
	memset(gprs, 0, sizeof(gprs));
	memset(guest_acrs, 0, sizeof(guest_acrs));
	atomic_set(&block->cpuflags, CPUSTAT_ZARCH);
	block->mso = (unsigned long)guest;
	block->msl = (unsigned long)guest;
	block->ckc = U64_MAX;
	block->cputm = S64_MAX;
	block->ihcpu = 0xffff;
	block->gcr[0] = CR0_INITIAL_MASK;
	block->gcr[14] = CR14_INITIAL_MASK;
	block->gpsw.mask = PSW_64;
	block->gpsw.addr = CODE;
	/* A program interruption ends in a disabled wait. */
	*(u64 *)(guest + PGM_NEW_PSW) = PSW_64 | PSW_MASK_WAIT;
	*(u64 *)(guest + PGM_NEW_PSW + 8) = 0xdead;
}

#define HOST_SEGMENTS_ORDER	2

/*
 * The same, but its storage has tables of its own in the host, in which a page can
 * be missing; false if there is no memory for them.
 */
bool new_tables_guest(void)
{
	unsigned int i;

	new_guest();
	host_segments = (u64 *)__get_free_pages(GFP_KERNEL, HOST_SEGMENTS_ORDER);
	host_ptes = (u64 *)get_zeroed_page(GFP_KERNEL);
	SAME(host_segments && host_ptes, true);
	if (!host_segments || !host_ptes) {
		end_tables_guest();
		return false;
	}
	for (i = 0; i < 2048; i++)
		host_segments[i] = _SEGMENT_ENTRY_INVALID;
	host_segments[0] = virt_to_phys(host_ptes);
	for (i = 0; i < GUEST_SIZE / PAGE_SIZE; i++)
		host_ptes[i] = virt_to_phys(guest) + i * PAGE_SIZE;
	atomic_or(CPUSTAT_SM, &block->cpuflags);
	block->mso = 0;
	return true;
}

void end_tables_guest(void)
{
	free_pages((unsigned long)host_segments, HOST_SEGMENTS_ORDER);
	free_page((unsigned long)host_ptes);
	host_segments = NULL;
	host_ptes = NULL;
}

/* The host's entry for a page of the guest; nothing that was before is kept. */
void set_host_pte(unsigned long page, u64 pte)
{
	host_ptes[page / PAGE_SIZE] = pte;
	block->ihcpu = 0xffff;
}

/* The same for all of its storage, instead of the page table */
void set_host_segment(u64 entry)
{
	host_segments[0] = entry;
	block->ihcpu = 0xffff;
}

void put_code(const char *code, size_t length)
{
	memcpy(guest + CODE, code, length);
}

static enum hrtimer_restart no_news(struct hrtimer *timer)
{
	return HRTIMER_NORESTART;
}

/*
 * Runs the guest until an interception, or until an interruption of the host's,
 * which comes in @limit nanoseconds. Returns the interception's code, 0 without.
 */
unsigned int run(unsigned long limit)
{
	const u64 asce = host_segments ? virt_to_phys(host_segments) |
			 _ASCE_TYPE_SEGMENT | _ASCE_TABLE_LENGTH :
			 get_lowcore()->kernel_asce.val;
	DECLARE_KERNEL_FPU_ONSTACK32(fpu);
	u32 access[NUM_ACRS];
	struct hrtimer timer;

	block->icptcode = 0;
	hrtimer_setup_on_stack(&timer, no_news, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	kernel_fpu_begin(&fpu, KERNEL_FPC | KERNEL_VXR);
	save_access_regs(access);
	restore_access_regs(guest_acrs);
	hrtimer_start(&timer, ns_to_ktime(limit), HRTIMER_MODE_REL);
	local_irq_disable();
	/* The kernel's own memory is not for execution. */
	local_ctl_clear_bit(0, CR0_INSTRUCTION_EXEC_PROTECTION_BIT);
	sie64a(block, gprs, asce);
	local_ctl_set_bit(0, CR0_INSTRUCTION_EXEC_PROTECTION_BIT);
	local_irq_enable();
	save_access_regs(guest_acrs);
	restore_access_regs(access);
	kernel_fpu_end(&fpu, KERNEL_FPC | KERNEL_VXR);
	hrtimer_cancel(&timer);
	destroy_hrtimer_on_stack(&timer);
	return block->icptcode;
}

/* Until an interception */
unsigned int run_on(void)
{
	unsigned int code, i;

	/* On a busy machine, the host's interruption may come first many times. */
	for (i = 0; i < 10000; i++) {
		code = run(10 * NSEC_PER_MSEC);
		if (code)
			break;
	}
	return code;
}

/*
 * Runs the guest until the host has a fault of it, which ends SIE without an
 * interception. So do the host's own interruptions, before or instead of it.
 */
unsigned int run_until_fault(void)
{
	unsigned int code = 0, tries;

	current->thread.gmap_int_code = 0;
	for (tries = 0; !code && !current->thread.gmap_int_code && tries < 1000; tries++)
		code = run(10 * NSEC_PER_MSEC);
	return code;
}

/* SIE by itself: the code of its program interruption, 0 without */
static unsigned int sie(unsigned long real)
{
	unsigned int exception = 1;
	unsigned long flags;

	local_irq_save(flags);
	asm volatile("	lgr	14,%[real]\n"
		     "0:	.insn	s,0xb2140000,0(14)\n"
		     "1:	lhi	%[exception],0\n"
		     "2:\n"
		     EX_TABLE(0b, 2b) EX_TABLE(1b, 2b)
		     : [exception] "+d" (exception)
		     : [real] "d" (real)
		     : "cc", "memory", "14");
	if (exception)
		exception = get_lowcore()->pgm_code;
	local_irq_restore(flags);
	return exception;
}

static void test_operand(void)
{
	new_guest();
	SAME(sie(virt_to_phys(block) + 256), 6);
	SAME(sie(virt_to_phys(block) + 8), 6);
	SAME(sie(1UL << 50), 5);
}

static unsigned int validity(void)
{
	const unsigned int code = run_on();

	SAME(code, ICPT_VALIDITY);
	SAME(block->ipa, 0x1000);
	/* It has not begun. */
	SAME(block->gpsw.addr, CODE);
	return VALIDITY(block);
}

static void test_validity(void)
{
	static const struct {
		u32 flags;
		u16 reason;
	} modes[] = {
		{ 0, 0x0001 },
		{ CPUSTAT_ZARCH | CPUSTAT_RRF, 0x0001 },
		{ CPUSTAT_ZARCH | CPUSTAT_MCDS, 0x0001 },
		{ CPUSTAT_ZARCH | CPUSTAT_SLSV, 0x0007 },
		{ CPUSTAT_ZARCH | CPUSTAT_SLSR, 0x0007 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		new_guest();
		atomic_set(&block->cpuflags, modes[i].flags);
		SAME(validity(), modes[i].reason);
	}
	new_guest();
	block->scaol = 0x1000;
	SAME(validity(), 0x0038);
	new_guest();
	block->scaoh = U32_MAX;
	SAME(validity(), 0x0034);
	new_guest();
	block->eca = ECA_APIE;
	SAME(validity(), 0x0039);
	block->crycbd = 0x7ffff000;
	SAME(validity(), 0x0035);
	/* What may not cross a page, and what just does not */
	block->crycbd = ((u32)virt_to_phys(areas) + PAGE_SIZE - 24) | CRYCB_FORMAT0;
	SAME(validity(), 0x003c);
	block->crycbd = ((u32)virt_to_phys(areas) + PAGE_SIZE - 120) | CRYCB_FORMAT1;
	SAME(validity(), 0x003c);
	block->crycbd = ((u32)virt_to_phys(areas) + PAGE_SIZE - 248) | CRYCB_FORMAT2;
	SAME(validity(), 0x003c);
	CODE_IS(DIAG);
	block->crycbd = ((u32)virt_to_phys(areas) + PAGE_SIZE - 32) | CRYCB_FORMAT0;
	SAME(run_on(), ICPT_INST);
	new_guest();
	block->scaol = virt_to_phys(areas) + PAGE_SIZE - 48;
	SAME(validity(), 0x003b);
	CODE_IS(DIAG);
	block->scaol = virt_to_phys(areas) + PAGE_SIZE - 64;
	SAME(run_on(), ICPT_INST);
	/* A prefix beyond the guest's limit: before anything needs it */
	new_guest();
	CODE_IS(DIAG);
	block->prefix = GUEST_SIZE / SZ_4K;
	SAME(validity(), 0x0037);
	block->prefix = (GUEST_SIZE - SZ_8K) / SZ_4K;
	SAME(run_on(), ICPT_INST);
	new_guest();
	block->eca = ECA_APIE;
	block->crycbd = (u32)virt_to_phys(areas) | 2;
	SAME(validity(), 0x0022);
	/* And a good one, for comparison */
	block->crycbd = (u32)virt_to_phys(areas) | CRYCB_FORMAT2;
	CODE_IS(DIAG);
	SAME(run_on(), ICPT_INST);
}

static void test_instruction(void)
{
	new_guest();
	CODE_IS("\xa7\x19\x12\x34" DIAG);	/* lghi %r1,0x1234 */
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0x8300);
	SAME(block->ipb, 0x00440000);
	SAME(block->icptstatus, 0);
	SAME(block->gpsw.addr, CODE + 8);
	SAME(gprs[1], 0x1234);

	/* ex %r0,0(%r2) */
	new_guest();
	CODE_IS("\x44\x00\x20\x00");
	memcpy(guest + DATA, DIAG, 4);
	gprs[2] = DATA;
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0x8300);
	SAME(block->icptstatus, 0x41);
	SAME(block->gpsw.addr, CODE + 4);

	/* Illegal operations by request, otherwise the guest gets them. */
	new_guest();
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 1);
	new_guest();
	block->ictl = ICTL_OPEREXC;
	SAME(run_on(), ICPT_OPEREXC);
	SAME(*(u16 *)(guest + PGM_CODE), 0);

	/* Privilege comes first. */
	new_guest();
	CODE_IS(DIAG);
	block->gpsw.mask |= PSW_MASK_PSTATE;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 2);
}

static void test_limit(void)
{
	new_guest();
	CODE_IS("\xe3\x10\x20\x00\x00\x04" DIAG);	/* lg %r1,0(%r2) */
	gprs[2] = GUEST_SIZE - 8;
	SAME(run_on(), ICPT_INST);
	block->gpsw.addr = CODE;
	gprs[2] = GUEST_SIZE;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 5);
}

static void test_keys(void)
{
	new_guest();
	CODE_IS("\xb2\x29\x00\x12" DIAG);	/* iske %r1,%r2 */
	gprs[2] = DATA;
	atomic_or(CPUSTAT_KSS, &block->cpuflags);
	SAME(run_on(), ICPT_KSS);
	SAME(block->gpsw.addr, CODE);
	atomic_andnot(CPUSTAT_KSS, &block->cpuflags);
	block->ictl = ICTL_ISKE;
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0xb229);
	block->gpsw.addr = CODE;
	block->ictl = 0;
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0x8300);

	/* sske %r3,%r2; rrbe %r0,%r2; iske %r1,%r2 */
	new_guest();
	CODE_IS("\xb2\x2b\x00\x32\xb2\x2a\x00\x02\xb2\x29\x00\x12" DIAG);
	gprs[2] = DATA;
	gprs[3] = 0x36;
	SAME(run_on(), ICPT_INST);
	SAME(gprs[1], 0x32);
	SAME(block->gpsw.mask >> 44 & 3, 3);

	/* essa %r1,%r2,0 */
	new_guest();
	CODE_IS("\xb9\xab\x00\x12" DIAG);
	gprs[2] = DATA;
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0xb9ab);
	block->gpsw.addr = CODE;
	block->ecb2 = ECB2_CMMA;
	block->cbrlo = virt_to_phys(given_up);
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0x8300);
	/* The list is full. */
	block->gpsw.addr = CODE;
	block->cbrlo |= 0xff8;
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0xb9ab);
}

/* The guest's translations are kept, but not when the host says so. */
static void test_translation(void)
{
	u64 *segments = (u64 *)(guest + SEGMENT_TABLE);
	u64 *pages = (u64 *)(guest + PAGE_TABLE);
	unsigned int i;

	new_guest();
	CODE_IS("\xe3\x10\x20\x00\x00\x04" DIAG);	/* lg %r1,0(%r2) */
	for (i = 0; i < 2048; i++)
		segments[i] = _SEGMENT_ENTRY_INVALID;
	for (i = 0; i < 256; i++)
		pages[i] = i * PAGE_SIZE;
	segments[0] = PAGE_TABLE;
	*(u64 *)(guest + DATA) = 1;
	*(u64 *)(guest + OTHER_DATA) = 2;
	block->gcr[1] = SEGMENT_TABLE | _ASCE_TYPE_SEGMENT | _ASCE_TABLE_LENGTH;
	block->gpsw.mask |= PSW_MASK_DAT;
	gprs[2] = DATA;
	SAME(run_on(), ICPT_INST);
	SAME(gprs[1], 1);

	pages[DATA / PAGE_SIZE] = OTHER_DATA;
	block->gpsw.addr = CODE;
	block->ihcpu = 0xffff;
	SAME(run_on(), ICPT_INST);
	SAME(gprs[1], 2);

	pages[DATA / PAGE_SIZE] = _PAGE_INVALID;
	block->gpsw.addr = CODE;
	block->ihcpu = 0xffff;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 0x11);

	/* Another description, the same addresses */
	new_guest();
	CODE_IS("\xe3\x10\x20\x00\x00\x04" DIAG);
	*(u64 *)(guest + DATA) = 3;
	gprs[2] = DATA;
	SAME(run_on(), ICPT_INST);
	SAME(gprs[1], 3);
}

/*
 * A guest looks at a page before and after @instruction, which changes its entry. It
 * has the exception @code then, or finds what is in the other page without one.
 */
static void look_twice(const char *instruction, u64 r4, u64 r5, unsigned int code)
{
	const unsigned long second = SZ_1M + DATA;
	u64 *segments = (u64 *)(guest + SEGMENT_TABLE);
	u64 *pages = (u64 *)(guest + PAGE_TABLE);
	unsigned int i;

	new_guest();
	CODE_IS("\xe3\x10\x60\x00\x00\x04....\xe3\x70\x60\x00\x00\x04" DIAG);
	memcpy(guest + CODE + 6, instruction, 4);
	for (i = 0; i < 2048; i++)
		segments[i] = _SEGMENT_ENTRY_INVALID;
	for (i = 0; i < 256; i++)
		pages[i] = i * PAGE_SIZE;
	segments[0] = PAGE_TABLE;
	/* What is tried, beside what the guest itself is in */
	segments[1] = PAGE_TABLE + SZ_2K;
	memcpy(guest + PAGE_TABLE + SZ_2K, pages, SZ_2K);
	*(u64 *)(guest + DATA) = 1;
	*(u64 *)(guest + OTHER_DATA) = 2;
	block->gcr[1] = SEGMENT_TABLE | _ASCE_TYPE_SEGMENT | _ASCE_TABLE_LENGTH;
	block->gpsw.mask |= PSW_MASK_DAT;
	gprs[2] = DATA;
	gprs[3] = OTHER_DATA;
	gprs[4] = r4;
	gprs[5] = r5;
	gprs[6] = second;
	SAME(run_on(), code ? ICPT_WAIT : ICPT_INST);
	SAME(*(u16 *)(guest + PGM_CODE), code);
	SAME(gprs[1], 1);
	SAME(gprs[7], code ? 0 : 2);
}

/* What a guest's own instructions change is seen by the next one. */
static void test_invalidation(void)
{
	const u64 table = PAGE_TABLE + SZ_2K, entry = table + DATA / PAGE_SIZE * 8;

	/* ipte %r4,%r6; ipte %r4,%r6,0,1; idte %r4,%r0,%r5; idte %r4,%r0,%r5,1 */
	look_twice("\xb2\x21\x00\x46", table, 0, 0x11);
	look_twice("\xb2\x21\x01\x46", table, 0, 0x11);
	look_twice("\xb9\x8e\x00\x45", SEGMENT_TABLE, SZ_1M, 0x10);
	look_twice("\xb9\x8e\x01\x45", SEGMENT_TABLE, SZ_1M, 0x10);
	/* cspg %r2,%r4; crdte %r2,%r0,%r4; crdte %r2,%r0,%r4,1 */
	look_twice("\xb9\x8a\x00\x24", entry | 1, 0, 0);
	look_twice("\xb9\x8f\x00\x24", table | CRDTE_DTT_PAGE, SZ_1M + DATA, 0);
	look_twice("\xb9\x8f\x01\x24", table | CRDTE_DTT_PAGE, SZ_1M + DATA, 0);
}

/* Stores into a page of the lowcore with low-address protection in @cr0 */
static void store_low(unsigned long page, u64 cr0, unsigned int code, u32 value)
{
	/* st %r1,0x300(%r2); st %r1,0x200(%r2); st %r1,0x1fc(%r2) */
	CODE_IS("\x50\x10\x23\x00\x50\x10\x22\x00\x50\x10\x21\xfc" DIAG);
	block->gpsw.mask = PSW_64;
	block->gpsw.addr = CODE;
	block->gcr[0] = cr0;
	gprs[1] = value;
	gprs[2] = page;
	*(u16 *)(guest + PGM_CODE) = 0;
	SAME(run_on(), code ? ICPT_WAIT : ICPT_INST);
	SAME(*(u16 *)(guest + PGM_CODE), code);
	SAME(*(u32 *)(guest + page + 0x300), value);
	SAME(*(u32 *)(guest + page + 0x200), value);
}

/*
 * The first 512 bytes of the first two pages are protected, the rest of them is
 * not. And code may be there, too.
 */
static void test_lowcore(void)
{
	const u64 on = CR0_INITIAL_MASK | CR0_LOW_ADDRESS_PROTECTION;
	const u64 off = CR0_INITIAL_MASK & ~CR0_LOW_ADDRESS_PROTECTION;
	unsigned long page;
	u32 *last;

	new_guest();
	for (page = 0; page <= PAGE_SIZE; page += PAGE_SIZE) {
		last = (u32 *)(guest + page + 0x1fc);
		store_low(page, on, 4, 1);
		SAME(*last, 0);
		store_low(page, on, 4, 2);
		SAME(*last, 0);
		store_low(page, off, 0, 3);
		SAME(*last, 3);
		store_low(page, on, 4, 4);
		SAME(*last, 3);
	}
	/* The third page has none. */
	store_low(2 * PAGE_SIZE, on, 0, 5);
	SAME(*(u32 *)(guest + 2 * PAGE_SIZE + 0x1fc), 5);

	/* st %r1,0x1fc; lctlg %c0,%c0,0x300; st %r1,0x304; st %r1,0x1f8 */
	new_guest();
	CODE_IS("\x50\x10\x01\xfc\xeb\x00\x03\x00\x00\x2f"
		"\x50\x10\x03\x04\x50\x10\x01\xf8" DIAG);
	*(u64 *)(guest + 0x300) = on;
	block->gcr[0] = off;
	gprs[1] = 6;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 4);
	SAME(*(u32 *)(guest + 0x1fc), 6);
	SAME(*(u32 *)(guest + 0x304), 6);
	SAME(*(u32 *)(guest + 0x1f8), 0);

	/*
	 * basr %r14,%r3; lgr %r5,%r1; st %r1,0x440; basr %r14,%r3; lgr %r6,%r1;
	 * sth %r2,0x402; basr %r14,%r3; lgr %r7,%r1; stg %r4,0x3fc;
	 * basr %r14,%r3
	 */
	new_guest();
	CODE_IS("\x0d\xe3\xb9\x04\x00\x51\x50\x10\x04\x40\x0d\xe3"
		"\xb9\x04\x00\x61\x40\x20\x04\x02\x0d\xe3"
		"\xb9\x04\x00\x71\xe3\x40\x03\xfc\x00\x24\x0d\xe3" DIAG);
	/* lghi %r1,1; br %r14 */
	memcpy(guest + 0x400, "\xa7\x19\x00\x01\x07\xfe", 6);
	block->gcr[0] = on;
	gprs[2] = 2;
	gprs[3] = 0x400;
	gprs[4] = 0xa7190003;
	SAME(run_on(), ICPT_INST);
	SAME(gprs[5], 1);
	SAME(*(u32 *)(guest + 0x440), 1);
	SAME(gprs[6], 1);
	SAME(gprs[7], 2);
	SAME(gprs[1], 3);
}

static void random_code(struct rnd_state *rnd)
{
	/* First bytes of instructions whose second byte, or last, tells which. */
	static const u8 first[] = {
		0x01, 0xb2, 0xb2, 0xb2, 0xb3, 0xb9, 0xb9, 0xc0, 0xc2, 0xc4,
		0xc6, 0xc8, 0xe3, 0xe3, 0xe5, 0xe7, 0xeb, 0xec, 0xed,
	};
	u8 *code = guest + CODE;
	u8 *lowcore = guest + block->prefix * SZ_4K;
	unsigned int i;

	prandom_bytes_state(rnd, guest, GUEST_SIZE / 4);
	for (i = 0; i < SZ_4K; i += 2 + 2 * (prandom_u32_state(rnd) % 3)) {
		const u32 dice = prandom_u32_state(rnd);

		if (dice & 3)
			code[i] = first[(dice >> 8) % ARRAY_SIZE(first)];
	}
	/* Interruptions mostly go on behind their cause: LPSWE of the old PSW. */
	for (i = 0; i < 6; i++) {
		u64 *new_psw = (u64 *)(lowcore + NEW_PSWS + i * 16);

		if (lowcore >= guest + GUEST_SIZE || !(prandom_u32_state(rnd) & 15))
			continue;
		new_psw[0] = PSW_64;
		new_psw[1] = HANDLERS + i * 16;
		*(u32 *)(guest + new_psw[1]) = 0xb2b20000 | (OLD_PSWS + i * 16);
	}
}

static u64 random_u64(struct rnd_state *rnd)
{
	return (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);
}

/* Addresses of the host's that a state description has: all in areas of ours. */
static void random_block(struct rnd_state *rnd)
{
	const u32 dice = prandom_u32_state(rnd);
	unsigned int i;

	prandom_bytes_state(rnd, (u8 *)block, sizeof(*block));
	prandom_bytes_state(rnd, areas, PAGE_SIZE);
	atomic_set(&block->cpuflags, CPUSTAT_ZARCH |
		   (prandom_u32_state(rnd) & dice &
		    (CPUSTAT_KSS | CPUSTAT_P | CPUSTAT_EXT_INT | CPUSTAT_IO_INT)));
	/* The field counts in 4 KiB, and the last bit does not matter. */
	block->prefix = prandom_u32_state(rnd) % (GUEST_SIZE / SZ_8K + 1) *
			(SZ_8K / SZ_4K);
	block->prog0c = 0;
	atomic_set(&block->prog20, 0);
	block->mso = (unsigned long)guest;
	block->msl = (unsigned long)guest;
	block->scaol = virt_to_phys(areas);
	block->scaoh = 0;
	block->gd = dice & 1 ? (u32)virt_to_phys(areas) + SZ_1K : 0;
	block->crycbd = ((u32)virt_to_phys(areas) + SZ_2K) | (dice & 3);
	block->fac = dice & 8 ? (u32)virt_to_phys(areas) + 3 * SZ_1K : 0;
	block->cbrlo = virt_to_phys(given_up) | (block->cbrlo & 0xff8);
	block->ckc = dice & 16 ? block->ckc : U64_MAX;
	block->gpsw.mask &= PSW_MASK_DAT | PSW_MASK_IO | PSW_MASK_EXT |
			    PSW_MASK_MCHECK | PSW_MASK_PSTATE | PSW_MASK_ASC |
			    PSW_MASK_CC | PSW_MASK_PM | PSW_MASK_KEY | PSW_MASK_PER |
			    (dice & 0xc0 ? 0 : PSW_MASK_WAIT);
	block->gpsw.mask |= PSW_64;
	if (dice & 32)
		block->gpsw.mask &= ~(PSW_MASK_DAT | PSW_MASK_PSTATE);
	block->gpsw.addr = CODE + (prandom_u32_state(rnd) & 0xffe);
	/* Nothing can be stored with another key. */
	if (dice & 0x70000)
		block->gpsw.mask &= ~PSW_MASK_KEY;
	/* Seldom all program interruptions, or the first one is the end. */
	block->ictl &= prandom_u32_state(rnd);
	if (dice & 0x700)
		block->ictl &= ~ICTL_PINT;
	if (dice & 0x3800)
		atomic_andnot(CPUSTAT_P, &block->cpuflags);
	for (i = 0; i < 16; i++) {
		gprs[i] = random_u64(rnd);
		if (prandom_u32_state(rnd) & 3)
			gprs[i] &= GUEST_SIZE - 1;
		if (prandom_u32_state(rnd) & 1)
			block->gcr[i] &= GUEST_SIZE - 1;
		/* Mostly the first two spaces, or an early entry of a list */
		guest_acrs[i] = prandom_u32_state(rnd);
		if (dice & 0x4000)
			guest_acrs[i] &= 1;
		else if (dice & 0x8000)
			guest_acrs[i] &= 0x0101000f;
	}
}

static void test_random_guests(void)
{
	static const u8 known[] = {
		0, ICPT_INST, ICPT_PROGI, ICPT_EXTREQ, ICPT_IOREQ, ICPT_WAIT,
		ICPT_VALIDITY, ICPT_STOP, ICPT_OPEREXC, ICPT_KSS, ICPT_EXTINT,
		ICPT_PARTEXEC,
	};
	unsigned long seen[ARRAY_SIZE(known)] = {}, interrupted = 0;
	struct rnd_state rnd;
	unsigned int i, k, again;
	u16 *pgm_code;

	prandom_seed_state(&rnd, seed);
	for (i = 0; i < rounds; i++) {
		random_block(&rnd);
		random_code(&rnd);
		pgm_code = (u16 *)(guest + block->prefix * SZ_4K + PGM_CODE);
		if (block->prefix * SZ_4K == GUEST_SIZE)
			pgm_code = NULL;
		else
			*pgm_code = U16_MAX;
		/* On, behind what was intercepted */
		for (again = 0; again < 8; again++) {
			const u8 code = run(200 * NSEC_PER_USEC);

			for (k = 0; k < ARRAY_SIZE(known); k++)
				if (code == known[k])
					break;
			if (k == ARRAY_SIZE(known)) {
				SAME(code, 0);
				break;
			}
			seen[k]++;
			if (!code || code == ICPT_WAIT || code == ICPT_PROGI ||
			    code == ICPT_VALIDITY)
				break;
			if (code == ICPT_KSS)
				atomic_andnot(CPUSTAT_KSS, &block->cpuflags);
			atomic_andnot(CPUSTAT_EXT_INT | CPUSTAT_IO_INT,
				      &block->cpuflags);
		}
		interrupted += pgm_code && *pgm_code != U16_MAX;
		cond_resched();
	}
	pr_info("# random guests: program interruptions in %lu\n", interrupted);
	for (k = 0; k < ARRAY_SIZE(known); k++)
		pr_info("# random guests: interception %02x, %lu times\n", known[k],
			seen[k]);
	/* Random is not nothing. */
	if (rounds >= 100) {
		SAME(seen[1] > 0, true);
		SAME(seen[5] > 0, true);
		SAME(interrupted > rounds / 4, true);
	}
}

/*
 * A guest with tables of its own that counts, stores the count and looks whether
 * it is there, whatever others do to the machine meanwhile. Much of what it does
 * needs the CPU's control registers, prefix and PSW.
 */
static void test_busy_guest(void)
{
	u64 *segments = (u64 *)(guest + SEGMENT_TABLE);
	u64 *pages = (u64 *)(guest + PAGE_TABLE);
	unsigned int i, code = 0;

	new_guest();
	CODE_IS("\xa7\x1b\x00\x01"			/* 0: aghi %r1,1 */
		"\xb2\x0d\x00\x00"			/* ptlb */
		"\xe3\x10\x20\x00\x00\x24"		/* stg %r1,0(%r2) */
		"\x0d\xe3"				/* basr %r14,%r3 */
		"\xe3\x10\x20\x00\x00\x21"		/* clg %r1,0(%r2) */
		"\xa7\x84\xff\xf5");			/* je 0b */
	memcpy(guest + HANDLERS, "\x07\xfe", 2);	/* br %r14 */
	for (i = 0; i < 2048; i++)
		segments[i] = _SEGMENT_ENTRY_INVALID;
	for (i = 0; i < 256; i++)
		pages[i] = i * PAGE_SIZE;
	/* Its data are elsewhere for it. */
	pages[DATA / PAGE_SIZE] = OTHER_DATA;
	segments[0] = PAGE_TABLE;
	block->gcr[1] = SEGMENT_TABLE | _ASCE_TYPE_SEGMENT | _ASCE_TABLE_LENGTH;
	block->gpsw.mask |= PSW_MASK_DAT;
	block->prefix = 0x80000 / SZ_4K;
	gprs[2] = DATA;
	gprs[3] = HANDLERS;
	while (READ_ONCE(busy) && !code) {
		code = run(NSEC_PER_MSEC);
		cond_resched();
	}
	SAME(code, 0);
	SAME(gprs[1] > 0, true);
	SAME(*(u16 *)(guest + 0x80000 + PGM_CODE), 0);
	SAME(*(u64 *)(guest + DATA), 0);
}

static int __init sie_instruction_init(void)
{
	static const struct test {
		const char *name;
		void (*run)(void);
	} all_tests[] = {
		{ "the operand", test_operand },
		{ "validity interceptions", test_validity },
		{ "interception of instructions", test_instruction },
		{ "the guest's storage limit", test_limit },
		{ "storage keys and page states", test_keys },
		{ "translations that are kept", test_translation },
		{ "translations that the guest changes", test_invalidation },
		{ "the lowcore", test_lowcore },
		{ "timers", test_timers },
		{ "specification exceptions", test_specification_exceptions },
		{ "invalid new PSWs", test_invalid_new_psws },
		{ "interception of program interruptions", test_program_interruptions },
		{ "partial execution of MOVE PAGE", test_partial_execution },
		{ "host faults under interruptions", test_fault_of_interruption },
		{ "the interlock of table updates", test_interlock },
		{ "large pages of guests", test_large_pages },
		{ "large pages of the host", test_large_host_page },
		{ "storage keys of many blocks", test_multiple_block_sske },
		{ "frame management", test_pfmf },
		{ "replacing entries of tables", test_crdte },
		{ "access registers of guests", test_access_registers_of_guests },
		{ "access registers of the host", test_access_registers_of_host },
		{ "random guests", test_random_guests },
	};
	static const struct test busy_test[] = {
		{ "a guest that computes", test_busy_guest },
	};
	static const struct test reset_test[] = {
		{ "a reset of a CPU that runs a guest", test_reset },
	};
	const struct test *tests = all_tests;
	unsigned int i, number = ARRAY_SIZE(all_tests);

	if (busy) {
		tests = busy_test;
		number = ARRAY_SIZE(busy_test);
	} else if (reset) {
		tests = reset_test;
		number = ARRAY_SIZE(reset_test);
	}
	guest = (u8 *)__get_free_pages(GFP_KERNEL, GUEST_ORDER);
	block = (void *)get_zeroed_page(GFP_KERNEL | GFP_DMA);
	areas = (u8 *)get_zeroed_page(GFP_KERNEL | GFP_DMA);
	given_up = (u8 *)get_zeroed_page(GFP_KERNEL | GFP_DMA);
	if (guest && block && areas && given_up) {
		pr_info("1..%u\n", number);
		for (i = 0; i < number; i++) {
			nr_bad = 0;
			tests[i].run();
			pr_info("%sok %u %s\n", nr_bad ? "not " : "", i + 1,
				tests[i].name);
		}
	}
	free_pages((unsigned long)guest, GUEST_ORDER);
	free_page((unsigned long)block);
	free_page((unsigned long)areas);
	free_page((unsigned long)given_up);
	return -EAGAIN;
}
module_init(sie_instruction_init);

MODULE_DESCRIPTION("Tests of START INTERPRETIVE EXECUTION");
MODULE_LICENSE("GPL");
