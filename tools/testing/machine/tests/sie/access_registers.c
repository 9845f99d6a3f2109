// SPDX-License-Identifier: GPL-2.0
/*
 * Access-register mode, in guests and in the host itself.
 *
 * Four spaces have pages of their own at the same address: the primary and the
 * secondary space, and one from each access list. What is right for an
 * instruction is what it does to the same pages in primary-space mode, where
 * they have different addresses. For access-register translation and its
 * exceptions, it is ar_translation() and trans_exc_ending() in the kernel's
 * arch/s390/kvm/s390/gaccess.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fpu.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/string.h>
#include <asm/ctlreg.h>
#include <asm/lowcore.h>
#include <asm/page.h>
#include <asm/pgtable.h>

#include "sie.h"

enum { PRIMARY, SECONDARY, DU_LIST, PRIMARY_LIST, NR_SPACES };

/* ALESN 5 and ALEN 2; ALESN 7, ALEN 9 and the primary-list bit */
static const u32 alets[NR_SPACES] = { 0, 1, 0x00050002, 0x01070009 };

/* The tables of access-register translation, in one page */
#define DUCT			0x000
#define PRIMARY_ASTE		0x040
#define ALD			16		/* in both */
#define ASTES			0x080		/* of the lists' spaces */
#define ASTE_SIZE		0x040
#define AUTHORITY_TABLE		0x100
#define DU_ACCESS_LIST		0x200
#define PRIMARY_ACCESS_LIST	0x400
#define ALE_SIZE		16
#define DU_ALE			(DU_ACCESS_LIST + 2 * ALE_SIZE)
#define PRIMARY_ALE		(PRIMARY_ACCESS_LIST + 9 * ALE_SIZE)
#define ASTESN			0x1234
#define EAX			6

#define CR0_SECONDARY		BIT(63 - 37)
#define CR0_AFP			BIT(63 - 45)

#define SEGMENTS_ORDER		2
#define SAC_PRIMARY		0x000
#define SAC_AR			0x200

/* Before and after some instructions; ar_execute() knows where things are. */
struct state {
	u64 gprs[13];
	u32 acrs[NUM_ACRS];
	u32 kernel_acrs[NUM_ACRS];
	u64 cc;
	u64 mode;			/* SAC_* */
	u64 key;			/* of the PSW, in bits 56 to 59 */
	u64 cr0;			/* bits that are to be on */
	/* the program interruption, if there was one */
	unsigned int code;
	unsigned int access_id;
	unsigned long teid;
	unsigned long behind;		/* its old PSW is so far behind the code */
};

/* Where the spaces are: addresses of the kernel's, and of the one who runs */
struct world {
	const char *name;
	u8 *pages[NR_SPACES];		/* two each */
	unsigned long primary[NR_SPACES]; /* the same, in the primary space */
	u64 *ptes[NR_SPACES];		/* those of the two pages */
	u64 asces[NR_SPACES];
	u8 *tables;
	unsigned long tables_real;
	void (*run)(const struct world *world, struct state *state,
		    const u8 *code, size_t length);
	unsigned long code;		/* where it runs */
};

/* Where every space has its two pages */
static unsigned long address(const struct world *world)
{
	return world->primary[PRIMARY];
}

/*
 * The lists: an entry that is not private for one space, and one that only EAX
 * opens for the other.
 */
static void fill_tables(const struct world *world)
{
	u8 *t = world->tables;
	const u32 real = world->tables_real;
	unsigned int i;

	memset(t, 0, PAGE_SIZE);
	*(u32 *)(t + DUCT + ALD) = (real + DU_ACCESS_LIST) | 0;
	*(u32 *)(t + PRIMARY_ASTE + ALD) = (real + PRIMARY_ACCESS_LIST) | 1;
	for (i = 0; i < 8; i++)
		*(u64 *)(t + DU_ACCESS_LIST + i * ALE_SIZE) = 1UL << 63;
	for (i = 0; i < 16; i++)
		*(u64 *)(t + PRIMARY_ACCESS_LIST + i * ALE_SIZE) = 1UL << 63;
	*(u64 *)(t + DU_ALE) = 5UL << 48;
	*(u64 *)(t + DU_ALE + 8) = (u64)(real + ASTES) << 32 | ASTESN;
	*(u64 *)(t + PRIMARY_ALE) = 1UL << 56 | 7UL << 48 | (u64)EAX << 32;
	*(u64 *)(t + PRIMARY_ALE + 8) =
		(u64)(real + ASTES + ASTE_SIZE) << 32 | (ASTESN + 1);
	for (i = 0; i < 2; i++) {
		u64 *aste = (u64 *)(t + ASTES + i * ASTE_SIZE);

		aste[0] = (u64)(real + AUTHORITY_TABLE) << 32;
		aste[1] = world->asces[DU_LIST + i];
		aste[2] = ASTESN + i;
	}
}

/* A segment table and a page table that map two pages at @at */
static u64 map(u64 *segments, unsigned int nr_segments, u64 *ptes,
	       unsigned long segments_real, unsigned long ptes_real,
	       unsigned long at, unsigned long real)
{
	unsigned int i;

	for (i = 0; i < nr_segments; i++)
		segments[i] = _SEGMENT_ENTRY_INVALID;
	for (i = 0; i < 256; i++)
		ptes[i] = _PAGE_INVALID;
	segments[at >> 20] = ptes_real;
	ptes[(at >> 12) & 255] = real;
	ptes[((at >> 12) & 255) + 1] = real + PAGE_SIZE;
	return segments_real | _ASCE_TYPE_SEGMENT | (nr_segments / 512 - 1);
}

/*
 * Guests
 */

#define PER_CODE	0x096
#define EXC_ACCESS_ID	0x0a0
#define PER_ACCESS_ID	0x0a1
#define TRANS_EXC_CODE	0x0a8
#define PGM_OLD_PSW	0x150

#define GUEST_PAGES	0x40000UL	/* of spaces, 64 KiB each */
#define GUEST_TABLES	0x80000UL
#define GUEST_SEGMENTS	0x90000UL	/* and page tables, 8 KiB for each space */

static void run_guest(const struct world *world, struct state *state,
		      const u8 *code, size_t length)
{
	unsigned int icpt;

	memcpy(guest + CODE, code, length);
	memcpy(gprs, state->gprs, sizeof(state->gprs));
	memcpy(guest_acrs, state->acrs, sizeof(guest_acrs));
	block->gpsw.mask = PSW_64 | PSW_MASK_DAT | state->key << 48 |
			   (state->mode == SAC_AR ? PSW_ASC_ACCREG : PSW_ASC_PRIMARY);
	block->gcr[0] = CR0_INITIAL_MASK | CR0_SECONDARY | CR0_AFP | CR0_VECTOR |
			state->cr0;
	block->gpsw.addr = CODE;
	block->ihcpu = 0xffff;
	*(u16 *)(guest + PGM_CODE) = 0;
	icpt = run_on();
	if (icpt == ICPT_WAIT) {
		state->code = *(u16 *)(guest + PGM_CODE);
		state->access_id = guest[EXC_ACCESS_ID];
		state->teid = *(u64 *)(guest + TRANS_EXC_CODE);
		state->behind = *(u64 *)(guest + PGM_OLD_PSW + 8) - CODE;
	} else {
		SAME(icpt, ICPT_INST);
		state->code = 0;
	}
	memcpy(state->gprs, gprs, sizeof(state->gprs));
	memcpy(state->acrs, guest_acrs, sizeof(guest_acrs));
	state->cc = block->gpsw.mask >> 44 & 3;
}

static void set_up_guest(struct world *world)
{
	unsigned int i;
	u64 *ptes;

	new_guest();
	*world = (struct world) {
		.name = "guest",
		.tables = guest + GUEST_TABLES,
		.tables_real = GUEST_TABLES,
		.run = run_guest,
		.code = CODE,
	};
	for (i = 0; i < NR_SPACES; i++) {
		const unsigned long at = GUEST_SEGMENTS + i * SZ_8K;

		world->primary[i] = GUEST_PAGES + i * SZ_64K;
		world->pages[i] = guest + world->primary[i];
		ptes = (u64 *)(guest + at + SZ_4K);
		world->asces[i] = map((u64 *)(guest + at), 512, ptes, at,
				      at + SZ_4K, GUEST_PAGES, world->primary[i]);
		world->ptes[i] = ptes + GUEST_PAGES / PAGE_SIZE;
	}
	/* All of the primary space */
	ptes = (u64 *)(guest + GUEST_SEGMENTS + SZ_4K);
	for (i = 0; i < 256; i++)
		ptes[i] = i * PAGE_SIZE;
	fill_tables(world);
	block->gcr[1] = world->asces[PRIMARY];
	block->gcr[2] = world->tables_real + DUCT;
	block->gcr[5] = world->tables_real + PRIMARY_ASTE;
	block->gcr[7] = world->asces[SECONDARY];
	block->gcr[8] = EAX << 16;
}

/*
 * The host. Its instructions come from a page of data, and a program
 * interruption is the test's own.
 */

/*
 * Runs @code, which ends by a branch to GR14, with the registers in @state, and
 * puts them back there. A program interruption goes to ar_fault.
 */
void ar_execute(struct state *state, const void *code);
extern char ar_fault[];

asm("	.pushsection .text, \"ax\"\n"
	"	.balign	8\n"
	"ar_execute:\n"
	"	stmg	%r6,%r15,48(%r15)\n"
	"	stg	%r2,16(%r15)\n"
	"	stam	%a0,%a15,168(%r2)\n"
	"	lam	%a0,%a15,104(%r2)\n"
	"	lgr	%r13,%r3\n"
	"	lg	%r14,248(%r2)\n"
	"	spka	0(%r14)\n"
	"	lg	%r14,240(%r2)\n"
	"	lmg	%r0,%r12,0(%r2)\n"
	"	sac	0(%r14)\n"
	"	larl	%r14,0f\n"
	"	br	%r13\n"
	"0:	sac	768\n"
	"	spka	0\n"
	"ar_fault:\n"
	"	lg	%r14,16(%r15)\n"
	"	stmg	%r0,%r12,0(%r14)\n"
	"	ipm	%r0\n"
	"	stg	%r0,232(%r14)\n"
	"	stam	%a0,%a15,104(%r14)\n"
	"	lam	%a0,%a15,168(%r14)\n"
	"	lmg	%r6,%r15,48(%r15)\n"
	"	br	%r14\n"
	"	.popsection\n");
static_assert(offsetof(struct state, acrs) == 104);
static_assert(offsetof(struct state, kernel_acrs) == 168);
static_assert(offsetof(struct state, cc) == 232);
static_assert(offsetof(struct state, mode) == 240);
static_assert(offsetof(struct state, key) == 248);

static void run_host(const struct world *world, struct state *state,
		     const u8 *code, size_t length)
{
	struct lowcore *lowcore = get_lowcore();
	/* The kernel runs in the home space; here that is the primary one, too. */
	struct ctlreg wanted[] = {
		lowcore->kernel_asce,
		{ .val = world->tables_real + DUCT },
		{ .val = world->tables_real + PRIMARY_ASTE },
		{ .val = world->asces[SECONDARY] },
		{ .val = EAX << 16 },
	};
	struct ctlreg saved[ARRAY_SIZE(wanted)], cr0, test_cr0;
	DECLARE_KERNEL_FPU_ONSTACK32(fpu);
	unsigned long flags;
	psw_t psw;

	memcpy((void *)world->code, code, length);
	kernel_fpu_begin(&fpu, KERNEL_FPC | KERNEL_VXR);
	local_irq_save(flags);
	local_ctl_store(0, &cr0);
	local_ctl_store(1, &saved[0]);
	local_ctl_store(2, &saved[1]);
	local_ctl_store(5, &saved[2]);
	local_ctl_store(7, &saved[3]);
	local_ctl_store(8, &saved[4]);
	test_cr0 = cr0;
	test_cr0.val &= ~(CR0_LOW_ADDRESS_PROTECTION | CR0_INSTRUCTION_EXEC_PROTECTION);
	test_cr0.val |= CR0_SECONDARY | state->cr0;
	local_ctl_load(0, &test_cr0);
	local_ctl_load(1, &wanted[0]);
	local_ctl_load(2, &wanted[1]);
	local_ctl_load(5, &wanted[2]);
	local_ctl_load(7, &wanted[3]);
	local_ctl_load(8, &wanted[4]);
	psw = lowcore->program_new_psw;
	lowcore->program_new_psw.mask = PSW_KERNEL_BITS;
	lowcore->program_new_psw.addr = (unsigned long)ar_fault;
	lowcore->pgm_code = 0;
	barrier();
	ar_execute(state, (void *)world->code);
	barrier();
	state->code = lowcore->pgm_code;
	state->access_id = lowcore->exc_access_id;
	state->teid = lowcore->trans_exc_code;
	state->behind = lowcore->program_old_psw.addr - world->code;
	lowcore->program_new_psw = psw;
	local_ctl_load(1, &saved[0]);
	local_ctl_load(2, &saved[1]);
	local_ctl_load(5, &saved[2]);
	local_ctl_load(7, &saved[3]);
	local_ctl_load(8, &saved[4]);
	local_ctl_load(0, &cr0);
	local_irq_restore(flags);
	kernel_fpu_end(&fpu, KERNEL_FPC | KERNEL_VXR);
	state->cc = state->cc >> 28 & 3;
}

static bool set_up_host(struct world *world, u8 **segments, u64 **ptes)
{
	unsigned int i;

	*world = (struct world) { .name = "host", .run = run_host };
	for (i = 0; i < NR_SPACES; i++) {
		world->pages[i] = (u8 *)__get_free_pages(GFP_KERNEL | GFP_DMA, 1);
		world->primary[i] = (unsigned long)world->pages[i];
		segments[i] = (u8 *)__get_free_pages(GFP_KERNEL | GFP_DMA,
						     SEGMENTS_ORDER);
		ptes[i] = (u64 *)get_zeroed_page(GFP_KERNEL | GFP_DMA);
		if (!world->pages[i] || !segments[i] || !ptes[i])
			return false;
	}
	world->tables = (u8 *)get_zeroed_page(GFP_KERNEL | GFP_DMA);
	world->tables_real = virt_to_phys(world->tables);
	world->code = get_zeroed_page(GFP_KERNEL | GFP_DMA);
	if (!world->tables || !world->code)
		return false;
	/* A segment table is for 2 GiB, in which GFP_DMA is. */
	SAME(address(world) >> 31, 0);
	if (address(world) >> 31)
		return false;
	for (i = 0; i < NR_SPACES; i++) {
		world->asces[i] = map((u64 *)segments[i], 2048, ptes[i],
				      virt_to_phys(segments[i]),
				      virt_to_phys(ptes[i]), address(world),
				      virt_to_phys(world->pages[i]));
		world->ptes[i] = ptes[i] + (address(world) >> 12 & 255);
	}
	fill_tables(world);
	return true;
}

static void put_away_host(struct world *world, u8 **segments, u64 **ptes)
{
	unsigned int i;

	for (i = 0; i < NR_SPACES; i++) {
		free_pages((unsigned long)world->pages[i], 1);
		free_pages((unsigned long)segments[i], SEGMENTS_ORDER);
		free_page((unsigned long)ptes[i]);
	}
	free_page((unsigned long)world->tables);
	free_page(world->code);
}

/*
 * Instructions against themselves: GR2 has the address of the first storage
 * operand, GR4 that of the second, GR1 that of the third.
 */

#define FIRST	2
#define SECOND	4
#define THIRD	1

struct instruction {
	const char *name;
	u8 text[12];
	u8 length;
	bool aligned;
	u64 gr0, gr3, gr5;
};

#define I(name, text, ...) { name, text, sizeof(text) - 1, __VA_ARGS__ }

static const struct instruction instructions[] = {
	/* one storage operand */
	I("L", "\x58\x60\x20\x00"),
	I("LG", "\xe3\x60\x20\x00\x00\x04"),
	I("LLGC", "\xe3\x60\x20\x00\x00\x90"),
	I("LH", "\x48\x60\x20\x00"),
	I("LRV", "\xe3\x60\x20\x00\x00\x1e"),
	I("IC", "\x43\x60\x20\x00"),
	I("A", "\x5a\x60\x20\x00"),
	I("AG", "\xe3\x60\x20\x00\x00\x08"),
	I("C", "\x59\x60\x20\x00"),
	I("ST", "\x50\x60\x20\x00"),
	I("STG", "\xe3\x60\x20\x00\x00\x24"),
	I("STC", "\x42\x60\x20\x00"),
	I("STRVG", "\xe3\x60\x20\x00\x00\x2f"),
	I("ICM", "\xbf\x67\x20\x00"),
	I("STCM", "\xbe\x6d\x20\x00"),
	I("CLM", "\xbd\x6f\x20\x00"),
	I("CVD", "\x4e\x60\x20\x00"),
	I("LM", "\x98\x69\x20\x00"),
	I("STM", "\x90\x69\x20\x00"),
	I("LMG", "\xeb\x6b\x20\x00\x00\x04"),
	I("STMG", "\xeb\x6b\x20\x00\x00\x24"),
	I("LMH", "\xeb\x69\x20\x00\x00\x96"),
	I("LAM", "\x9a\x89\x20\x00", .aligned = true),
	I("STAM", "\x9b\x89\x20\x00", .aligned = true),
	I("CS", "\xba\x68\x20\x00", .aligned = true),
	I("CSG", "\xeb\x68\x20\x00\x00\x30", .aligned = true),
	I("CDS", "\xbb\x68\x20\x00", .aligned = true),
	I("CDSG", "\xeb\x68\x20\x00\x00\x3e", .aligned = true),
	I("LAA", "\xeb\x68\x20\x00\x00\xf8", .aligned = true),
	I("LAXG", "\xeb\x68\x20\x00\x00\xe7", .aligned = true),
	I("LPQ", "\xe3\x60\x20\x00\x00\x8f", .aligned = true),
	I("STPQ", "\xe3\x60\x20\x00\x00\x8e", .aligned = true),
	I("TS", "\x93\x00\x20\x00"),
	I("NI", "\x94\x0f\x20\x00"),
	I("OI", "\x96\x80\x20\x00"),
	I("XIY", "\xeb\x55\x20\x00\x00\x57"),
	I("TM", "\x91\x55\x20\x00"),
	I("CLI", "\x95\x55\x20\x00"),
	I("MVI", "\x92\x55\x20\x00"),
	I("ASI", "\xeb\x05\x20\x00\x00\x6a", .aligned = true),
	I("MVGHI", "\xe5\x48\x20\x00\x12\x34"),
	I("CHSI", "\xe5\x5c\x20\x00\x12\x34"),
	I("TP", "\xeb\x70\x20\x00\x00\xc0"),
	I("XC with itself", "\xd7\x0b\x20\x00\x20\x00"),
	I("LD, STD", "\x68\x20\x20\x00\x60\x20\x40\x00"),
	I("VL, VST", "\xe7\x10\x20\x00\x00\x06\xe7\x10\x40\x00\x00\x0e"),
	I("VLM, VSTM", "\xe7\x12\x20\x00\x00\x36\xe7\x12\x40\x00\x00\x3e"),
	I("VLL, VSTL", "\xe7\x13\x20\x00\x00\x37\xe7\x13\x40\x00\x00\x3f", .gr3 = 9),
	I("CKSM", "\xb2\x41\x00\x64", .gr5 = 23),
	I("SRST", "\xb2\x5e\x00\x64", .gr0 = 'k'),
	I("CSP", "\xb2\x50\x00\x82", .aligned = true),
	/* two */
	I("MVC", "\xd2\x14\x20\x00\x40\x00"),
	I("NC", "\xd4\x14\x20\x00\x40\x00"),
	I("OC", "\xd6\x14\x20\x00\x40\x00"),
	I("XC", "\xd7\x14\x20\x00\x40\x00"),
	I("CLC of 1", "\xd5\x00\x20\x00\x40\x00"),
	I("CLC of 4", "\xd5\x03\x20\x00\x40\x00"),
	I("CLC of 8", "\xd5\x07\x20\x00\x40\x00"),
	I("CLC of 21", "\xd5\x14\x20\x00\x40\x00"),
	I("MVN", "\xd1\x14\x20\x00\x40\x00"),
	I("MVZ", "\xd3\x14\x20\x00\x40\x00"),
	I("MVO", "\xf1\x85\x20\x00\x40\x00"),
	I("PACK", "\xf2\x58\x20\x00\x40\x00"),
	I("UNPK", "\xf3\x85\x20\x00\x40\x00"),
	I("PKA", "\xe9\x0f\x20\x00\x40\x00"),
	I("PKU", "\xe1\x0f\x20\x00\x40\x00"),
	I("UNPKA", "\xea\x0f\x20\x00\x40\x00"),
	I("UNPKU", "\xe2\x0f\x20\x00\x40\x00"),
	I("MVCIN", "\xe8\x0b\x20\x00\x40\x10"),
	I("TR", "\xdc\x14\x20\x00\x40\x00"),
	I("TRT", "\xdd\x14\x20\x00\x40\x00"),
	I("TRTR", "\xd0\x07\x20\x10\x40\x00"),
	I("MVCL", "\x0e\x24", .gr3 = 30, .gr5 = 0x55000014),
	I("CLCL", "\x0f\x24", .gr3 = 30, .gr5 = 0x55000014),
	I("MVCLE", "\xa8\x24\x00\x40", .gr3 = 30, .gr5 = 20),
	I("CLCLE", "\xa9\x24\x00\x40", .gr3 = 30, .gr5 = 20),
	I("MVCLU", "\xeb\x24\x00\x40\x00\x8e", .gr3 = 30, .gr5 = 20),
	I("CLCLU", "\xeb\x24\x00\x40\x00\x8f", .gr3 = 30, .gr5 = 20),
	I("MVST", "\xb2\x55\x00\x24", .gr0 = 'k'),
	I("CLST", "\xb2\x5d\x00\x24", .gr0 = 'k'),
	I("TRE", "\xb2\xa5\x00\x24", .gr0 = 'k', .gr3 = 20),
	I("CU12", "\xb2\xa7\x00\x24", .gr3 = 30, .gr5 = 20),
	I("CU21", "\xb2\xa6\x00\x24", .gr3 = 30, .gr5 = 20),
	I("CU14", "\xb9\xb0\x00\x24", .gr3 = 60, .gr5 = 12),
	I("CU41", "\xb9\xb2\x00\x24", .gr3 = 30, .gr5 = 20),
	I("MVPG", "\xb2\x54\x00\x24"),
	I("MVCOS", "\xc8\x60\x20\x00\x40\x00"),
	I("LPD", "\xc8\x64\x20\x00\x40\x00", .aligned = true),
	I("LPDG", "\xc8\x65\x20\x00\x40\x00", .aligned = true),
	/* three */
	I("TROO", "\xb9\x93\x00\x24", .gr0 = 'k', .gr3 = 20),
	I("TROT", "\xb9\x92\x00\x24", .gr0 = 'k', .gr3 = 20),
	I("CSST", "\xc8\x62\x20\x00\x40\x00", .aligned = true, .gr0 = 0x0201),
	I("KIMD", "\xb9\x3e\x00\x04", .gr0 = 3, .gr5 = 256),
	I("KLMD", "\xb9\x3f\x00\x04", .gr0 = 3, .gr5 = 200),
	I("KM", "\xb9\x2e\x00\x24"),
};

static unsigned int insn_length(const u8 *text)
{
	return text[0] < 0x40 ? 2 : text[0] < 0xc0 ? 4 : 6;
}

static void fill_pages(const struct world *world)
{
	struct rnd_state rnd;
	unsigned int i, k;

	prandom_seed_state(&rnd, 1);
	for (i = 0; i < NR_SPACES; i++)
		for (k = 0; k < 2 * PAGE_SIZE; k++)
			world->pages[i][k] = 'a' + prandom_u32_state(&rnd) % 26;
}

static u32 checksum(const struct world *world)
{
	u32 sum = 1;
	unsigned int i, k;

	for (i = 0; i < NR_SPACES; i++)
		for (k = 0; k < 2 * PAGE_SIZE; k++)
			sum = sum * 31 + world->pages[i][k];
	return sum;
}

#define TARGET		64		/* of EXECUTE RELATIVE LONG */
#define CODE_SIZE	96

/* Code that ends in either world: a branch to GR14, or DIAGNOSE */
static void end_code(const struct world *world, u8 *code)
{
	if (world->run == run_host)
		memcpy(code, "\x07\xfe", 2);
	else
		memcpy(code, DIAG, 4);
}

static void run_code(const struct world *world, struct state *state,
		     const char *text, unsigned int length, bool execute)
{
	static const u8 exrl[] = { 0xc6, 0x00, 0, 0, 0, TARGET / 2 };
	u8 code[CODE_SIZE] = {};

	if (execute) {
		memcpy(code, exrl, sizeof(exrl));
		end_code(world, code + sizeof(exrl));
		memcpy(code + TARGET, text, length);
	} else {
		memcpy(code, text, length);
		end_code(world, code + length);
	}
	world->run(world, state, code, sizeof(code));
}

static void one_way(const struct world *world, const struct instruction *i,
		    bool execute, unsigned long offset, const u64 bases[3],
		    struct state *state)
{
	static const u8 registers[] = { FIRST, SECOND, THIRD };
	unsigned int k, n;

	fill_pages(world);
	for (k = 0; k < 13; k++)
		state->gprs[k] = 0x0102030405060708 * k;
	state->gprs[0] = i->gr0;
	state->gprs[3] = i->gr3;
	state->gprs[5] = i->gr5;
	state->gprs[6] = 20;
	for (k = 0; k < 3; k++)
		state->gprs[registers[k]] = bases[k] + offset;
	run_code(world, state, i->text, i->length, execute);
	/* What is an address becomes an offset. */
	for (k = 0; k < 13; k++)
		for (n = 0; n < 3; n++)
			if (state->gprs[k] - bases[n] < 2 * PAGE_SIZE)
				state->gprs[k] -= bases[n];
}

static void compare(const struct world *world, const struct instruction *i,
		    bool execute, unsigned long offset, const u8 spaces[3],
		    u64 mode, u64 key)
{
	struct state wanted = { .mode = SAC_PRIMARY };
	struct state is = { .mode = mode, .key = key };
	u64 bases[3];
	u32 wanted_sum;
	unsigned int k;
	bool good;

	for (k = 0; k < NUM_ACRS; k++)
		wanted.acrs[k] = 0xfff00000 + k;
	memcpy(is.acrs, wanted.acrs, sizeof(is.acrs));
	for (k = 0; k < 3; k++)
		bases[k] = world->primary[spaces[k]];
	one_way(world, i, execute, offset, bases, &wanted);
	wanted_sum = checksum(world);

	for (k = 0; k < 3 && mode == SAC_AR; k++)
		bases[k] = address(world);
	is.acrs[FIRST] = alets[spaces[0]];
	is.acrs[SECOND] = alets[spaces[1]];
	is.acrs[THIRD] = alets[spaces[2]];
	one_way(world, i, execute, offset, bases, &is);

	good = !wanted.code && !is.code && is.cc == wanted.cc &&
	       !memcmp(is.gprs, wanted.gprs, sizeof(is.gprs)) &&
	       !memcmp(is.acrs + 5, wanted.acrs + 5, sizeof(u32) * 11) &&
	       checksum(world) == wanted_sum;
	if (good)
		return;
	pr_info("# %s: %s%s at %lx in spaces %u, %u, %u with key %llx: codes %x, %x\n",
		world->name, i->name, execute ? ", executed," : "", offset,
		spaces[0], spaces[1], spaces[2], key, wanted.code, is.code);
	for (k = 0; k < 13; k++)
		if (is.gprs[k] != wanted.gprs[k])
			pr_info("# GR%u is %llx, must be %llx\n", k, is.gprs[k],
				wanted.gprs[k]);
	SAME(is.cc, wanted.cc);
	SAME(checksum(world), wanted_sum);
	SAME(good, true);
}

static void test_instructions(const struct world *world)
{
	/* Of the three operands; the same code follows upon itself. */
	static const u8 spaces[][3] = {
		{ DU_LIST, PRIMARY_LIST, SECONDARY },
		{ SECONDARY, DU_LIST, PRIMARY_LIST },
		{ PRIMARY_LIST, PRIMARY, DU_LIST },
		{ PRIMARY, SECONDARY, PRIMARY },
		{ DU_LIST, DU_LIST, PRIMARY },
	};
	/* The second is across pages. */
	static const unsigned long offsets[] = { 0x120, PAGE_SIZE - 3 };
	unsigned int i, k, o, execute;

	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		const struct instruction *insn = &instructions[i];
		const bool single = insn->length == insn_length(insn->text);

		for (o = 0; o < (insn->aligned ? 1 : 2); o++)
			for (execute = 0; execute < (single ? 2 : 1); execute++)
				for (k = 0; k < ARRAY_SIZE(spaces); k++)
					compare(world, insn, execute,
						offsets[o], spaces[k], SAC_AR, 0);
		cond_resched();
	}
}

static bool letters(const u8 *text, size_t length)
{
	while (length--)
		if (text[length] < 'a' || text[length] > 'z')
			return false;
	return true;
}

/* Random numbers are never the same again: only where they go is looked at. */
static void test_random_numbers(const struct world *world)
{
	/* prno %r2,%r4, and again while it is not complete */
	static const char text[] = "\xb9\x3c\x00\x24\xa7\x14\xff\xfe";
	static const unsigned int lengths[NR_SPACES] = {
		[DU_LIST] = 20, [PRIMARY_LIST] = 30,
	};
	struct state state = { .mode = SAC_AR };
	unsigned int i;

	fill_pages(world);
	state.gprs[0] = 114;	/* true random numbers */
	state.gprs[FIRST] = address(world) + 16;
	state.gprs[FIRST + 1] = lengths[DU_LIST];
	state.gprs[SECOND] = address(world) + 16;
	state.gprs[SECOND + 1] = lengths[PRIMARY_LIST];
	state.acrs[FIRST] = alets[DU_LIST];
	state.acrs[SECOND] = alets[PRIMARY_LIST];
	run_code(world, &state, text, sizeof(text) - 1, false);
	SAME(state.code, 0);
	SAME(state.cc, 0);
	SAME(state.gprs[FIRST], address(world) + 16 + lengths[DU_LIST]);
	SAME(state.gprs[SECOND], address(world) + 16 + lengths[PRIMARY_LIST]);
	for (i = 0; i < NR_SPACES; i++) {
		const u8 *pages = world->pages[i];
		const unsigned int end = 16 + lengths[i];

		SAME(letters(pages, 16), true);
		SAME(letters(pages + 16, lengths[i]), !lengths[i]);
		SAME(letters(pages + end, 2 * PAGE_SIZE - end), true);
	}
}

/* All pages of the spaces get that storage key. */
static void set_keys(const struct world *world, u8 key)
{
	unsigned int i;

	for (i = 0; i < NR_SPACES; i++) {
		page_set_storage_key(virt_to_phys(world->pages[i]), key, 1);
		page_set_storage_key(virt_to_phys(world->pages[i]) + PAGE_SIZE,
				     key, 1);
	}
}

/* With the key that they have, the same instructions, with and without ARs */
static void test_instructions_with_key(const struct world *world)
{
	static const u8 spaces[] = { DU_LIST, PRIMARY_LIST, SECONDARY };
	unsigned int i, execute;

	set_keys(world, 0x28);
	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		const struct instruction *insn = &instructions[i];
		const bool single = insn->length == insn_length(insn->text);

		for (execute = 0; execute < (single ? 2 : 1); execute++) {
			compare(world, insn, execute, 0x120, spaces, SAC_AR, 0x20);
			compare(world, insn, execute, 0x120, spaces, SAC_PRIMARY,
				0x20);
		}
		if (!insn->aligned)
			compare(world, insn, false, PAGE_SIZE - 3, spaces,
				SAC_PRIMARY, 0x20);
		cond_resched();
	}
	set_keys(world, 0);
}

/*
 * Exceptions
 */

#define CODE_AND_LENGTH(string)	string, sizeof(string) - 1

/* lg %r6,0(%r2); mvc 0(5,%r2),0(%r4); stg %r6,0(%r2); lrag %r6,0(%r2) */
#define LG	CODE_AND_LENGTH("\xe3\x60\x20\x00\x00\x04")
#define MVC	CODE_AND_LENGTH("\xd2\x04\x20\x00\x40\x00")
#define MVCOS	CODE_AND_LENGTH("\xc8\x60\x20\x00\x40\x00")
#define STG	CODE_AND_LENGTH("\xe3\x60\x20\x00\x00\x24")
#define TPROT	CODE_AND_LENGTH("\xe5\x01\x20\x00\x40\x00")
#define LRAG	CODE_AND_LENGTH("\xe3\x60\x20\x00\x00\x03")

#define TEID_FETCH		0x800
#define TEID_STORE		0x400
#define TEID_ALC		0x00c
#define TEID_KEY		0x008
#define TEID_DAT		0x004
#define TEID_AR			0x001

static void with_alets(const struct world *world, struct state *state,
		       const char *text, unsigned int length, u32 first,
		       u32 second)
{
	*state = (struct state) { .mode = SAC_AR };
	state->gprs[FIRST] = address(world);
	state->gprs[SECOND] = address(world);
	state->acrs[FIRST] = first;
	state->acrs[SECOND] = second;
	run_code(world, state, text, length, false);
}

/*
 * The condition that has just been set up is an exception for each kind of
 * access, and none at all for LOAD REAL ADDRESS.
 */
static void expect(const struct world *world, int line, u32 alet,
		   unsigned int code)
{
	const bool suppressed = code == PGM_ALET_SPECIFICATION || code == PGM_ADDRESSING;
	const bool identified = !suppressed;
	struct state state;

#define SAME_AT(is, wanted) same(#is, line, is, wanted)
	with_alets(world, &state, LG, alet, 0);
	SAME_AT(state.code, code);
	SAME_AT(state.behind, suppressed ? 6 : 0);
	if (identified)
		SAME_AT(state.access_id, FIRST);
	with_alets(world, &state, STG, alet, 0);
	SAME_AT(state.code, code);
	/* The second operand's register is named as well. */
	with_alets(world, &state, MVC, 0, alet);
	SAME_AT(state.code, code);
	if (identified)
		SAME_AT(state.access_id, SECOND);
	with_alets(world, &state, MVC, alet, 0);
	SAME_AT(state.code, code);
	if (identified)
		SAME_AT(state.access_id, FIRST);
	if (code == PGM_ADDRESSING)
		return;
	with_alets(world, &state, LRAG, alet, 0);
	SAME_AT(state.code, 0);
	SAME_AT(state.cc, 3);
	SAME_AT((u32)state.gprs[6], 0x80000000 | code);
#undef SAME_AT
}

#define EXPECT(alet, code) expect(world, __LINE__, alet, code)

static void expect_good(const struct world *world, int line, u32 alet,
			unsigned int space)
{
	struct state state;

	fill_pages(world);
	with_alets(world, &state, LG, alet, 0);
	same("code of the program interruption", line, state.code, 0);
	same("what was loaded", line, state.gprs[6],
	     *(u64 *)world->pages[space]);
}

#define EXPECT_GOOD(alet, space) expect_good(world, __LINE__, alet, space)

static void test_translation_exceptions(const struct world *world)
{
	u8 *t = world->tables;

	fill_tables(world);
	EXPECT_GOOD(alets[DU_LIST], DU_LIST);
	EXPECT_GOOD(alets[PRIMARY_LIST], PRIMARY_LIST);
	EXPECT(0x02050002, PGM_ALET_SPECIFICATION);
	EXPECT(0x80000000, PGM_ALET_SPECIFICATION);
	/* Beyond the lists; an entry that is not valid */
	EXPECT(0x00050008, PGM_ALEN_TRANSLATION);
	EXPECT(0x01070010, PGM_ALEN_TRANSLATION);
	EXPECT(0x00050003, PGM_ALEN_TRANSLATION);
	EXPECT(0x00060002, PGM_ALE_SEQUENCE);
	EXPECT(0x01060009, PGM_ALE_SEQUENCE);

	*(u64 *)(t + ASTES) |= 1UL << 63;
	EXPECT(alets[DU_LIST], PGM_ASTE_VALIDITY);
	fill_tables(world);
	*(u32 *)(t + DU_ALE + 12) = 0;
	EXPECT(alets[DU_LIST], PGM_ASTE_SEQUENCE);
	EXPECT_GOOD(alets[PRIMARY_LIST], PRIMARY_LIST);

	/* Private entries: the index, or the authority table, opens them. */
	fill_tables(world);
	*(u64 *)(t + PRIMARY_ALE) ^= 1UL << 32;
	EXPECT(alets[PRIMARY_LIST], PGM_EXTENDED_AUTHORITY);
	t[AUTHORITY_TABLE + EAX / 4] = 0x40 >> (2 * (EAX & 3));
	EXPECT_GOOD(alets[PRIMARY_LIST], PRIMARY_LIST);
	t[AUTHORITY_TABLE + EAX / 4] = (u8)~t[AUTHORITY_TABLE + EAX / 4];
	EXPECT(alets[PRIMARY_LIST], PGM_EXTENDED_AUTHORITY);

	/* Tables that are nowhere */
	fill_tables(world);
	*(u32 *)(t + DU_ALE + 8) = 0x7fffffc0;
	EXPECT(alets[DU_LIST], PGM_ADDRESSING);
	*(u32 *)(t + DUCT + ALD) = 0x7fffff80;
	EXPECT(alets[DU_LIST], PGM_ADDRESSING);
	fill_tables(world);
}

static void test_access_exceptions(const struct world *world)
{
	struct state state;

	/* May be fetched only */
	fill_tables(world);
	*(u64 *)(world->tables + DU_ALE) |= 1UL << 57;
	EXPECT_GOOD(alets[DU_LIST], DU_LIST);
	with_alets(world, &state, STG, alets[DU_LIST], 0);
	SAME(state.code, PGM_PROTECTION);
	SAME(state.behind, 6);
	SAME(state.teid, address(world) | TEID_STORE | TEID_ALC | TEID_AR);
	SAME(state.access_id, FIRST);
	with_alets(world, &state, MVC, 0, alets[DU_LIST]);
	SAME(state.code, 0);
	with_alets(world, &state, MVC, alets[DU_LIST], 0);
	SAME(state.code, PGM_PROTECTION);

	/* tprot 0(%r2),0(%r4), which is for the host of guests */
	if (world->run == run_host) {
		with_alets(world, &state, TPROT, alets[DU_LIST], 0);
		SAME(state.cc, 1);
		with_alets(world, &state, TPROT, alets[PRIMARY_LIST], 0xffffffff);
		SAME(state.cc, 0);
		with_alets(world, &state, TPROT, 0x02000000, 0);
		SAME(state.code, 0);
		SAME(state.cc, 3);
	}

	/* Its second page is not there. */
	fill_tables(world);
	world->ptes[PRIMARY_LIST][1] |= _PAGE_INVALID;
	EXPECT_GOOD(alets[PRIMARY_LIST], PRIMARY_LIST);
	/* lg %r6,4092(%r2) */
	with_alets(world, &state, CODE_AND_LENGTH("\xe3\x60\x2f\xfc\x00\x04"),
		   alets[PRIMARY_LIST], 0);
	SAME(state.code, PGM_PAGE_TRANSLATION);
	SAME(state.behind, 0);
	SAME(state.teid, (address(world) + PAGE_SIZE) | TEID_FETCH | TEID_AR);
	SAME(state.access_id, FIRST);
	/* mvc 0(8,%r2),4092(%r4) */
	with_alets(world, &state, CODE_AND_LENGTH("\xd2\x07\x20\x00\x4f\xfc"),
		   0, alets[PRIMARY_LIST]);
	SAME(state.code, PGM_PAGE_TRANSLATION);
	SAME(state.teid, (address(world) + PAGE_SIZE) | TEID_FETCH | TEID_AR);
	SAME(state.access_id, SECOND);
	/* With the other space all is well. */
	with_alets(world, &state, CODE_AND_LENGTH("\xd2\x07\x20\x00\x4f\xfc"),
		   0, alets[DU_LIST]);
	SAME(state.code, 0);
	world->ptes[PRIMARY_LIST][1] &= ~_PAGE_INVALID;

	world->ptes[SECONDARY][0] |= _PAGE_PROTECT;
	with_alets(world, &state, STG, alets[SECONDARY], 0);
	SAME(state.code, PGM_PROTECTION);
	SAME(state.teid, address(world) | TEID_STORE | TEID_DAT | TEID_AR);
	SAME(state.access_id, FIRST);
	world->ptes[SECONDARY][0] &= ~_PAGE_PROTECT;
	with_alets(world, &state, STG, alets[SECONDARY], 0);
	SAME(state.code, 0);
}

static void test_bases(const struct world *world)
{
	struct state state = { .mode = SAC_AR };

	/* lg %r6,0(%r4,%r2): the index has no say. */
	fill_pages(world);
	state.gprs[FIRST] = address(world);
	state.acrs[FIRST] = alets[DU_LIST];
	state.gprs[SECOND] = 16;
	state.acrs[SECOND] = 0xffffffff;
	run_code(world, &state, CODE_AND_LENGTH("\xe3\x64\x20\x00\x00\x04"), false);
	SAME(state.code, 0);
	SAME(state.gprs[6], *(u64 *)(world->pages[DU_LIST] + 16));
	/* lg %r6,0(%r2,0): nor has access register 0. */
	state.acrs[0] = 0xffffffff;
	run_code(world, &state, CODE_AND_LENGTH("\xe3\x62\x00\x00\x00\x04"), false);
	SAME(state.code, 0);
	SAME(state.gprs[6], *(u64 *)world->pages[PRIMARY]);
	/* la %r6,0(%r2); lgrl %r6,.: no access, and the instruction's own space */
	state.acrs[FIRST] = 0xffffffff;
	run_code(world, &state, CODE_AND_LENGTH("\x41\x60\x20\x00"), false);
	SAME(state.code, 0);
	run_code(world, &state, CODE_AND_LENGTH("\xc4\x68\x00\x00\x00\x00"), false);
	SAME(state.code, 0);
	SAME(state.gprs[6] >> 16, 0xc46800000000);
	/* lrag %r6,0(%r2): where the page is */
	with_alets(world, &state, LRAG, alets[PRIMARY_LIST], 0);
	SAME(state.code, 0);
	SAME(state.cc, 0);
	SAME(state.gprs[6], world->ptes[PRIMARY_LIST][0] & PAGE_MASK);
	/* mvcos 0(%r2),0(%r4),%r6: in any mode, if GR0 says so for the operand */
	state = (struct state) { .mode = SAC_PRIMARY };
	state.gprs[0] = 0x00410001;
	state.gprs[FIRST] = address(world);
	state.gprs[SECOND] = address(world);
	state.gprs[6] = 8;
	state.acrs[FIRST] = alets[PRIMARY_LIST];
	state.acrs[SECOND] = 0xffffffff;
	run_code(world, &state, CODE_AND_LENGTH("\xc8\x60\x20\x00\x40\x00"), false);
	SAME(state.code, 0);
	SAME(*(u64 *)world->pages[PRIMARY_LIST], *(u64 *)world->pages[PRIMARY]);
}

static void test_access_register_instructions(const struct world *world)
{
	static const struct {
		u32 alet;
		unsigned int cc;
	} tests[] = {
		{ 0, 0 }, { 0x00050002, 1 }, { 0x01070009, 2 }, { 1, 3 },
		{ 0x00060002, 3 }, { 0x02000000, 3 }, { 0x0107000a, 3 },
	};
	struct state state;
	unsigned int i;

	/* tar %a2,%r4 */
	fill_tables(world);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		state = (struct state) { .mode = SAC_PRIMARY };
		state.acrs[FIRST] = tests[i].alet;
		state.gprs[SECOND] = EAX << 16;
		run_code(world, &state, CODE_AND_LENGTH("\xb2\x4c\x00\x24"), false);
		SAME(state.code, 0);
		SAME(state.cc, tests[i].cc);
	}
	/* It is the register's index that counts. */
	state = (struct state) { .acrs[FIRST] = alets[PRIMARY_LIST] };
	run_code(world, &state, CODE_AND_LENGTH("\xb2\x4c\x00\x24"), false);
	SAME(state.cc, 3);

	/* lae %r6,8(%r2) */
	with_alets(world, &state, CODE_AND_LENGTH("\x51\x60\x20\x08"), 0x1234, 0);
	SAME(state.gprs[6], address(world) + 8);
	SAME(state.acrs[6], 0x1234);
	state.mode = SAC_PRIMARY;
	run_code(world, &state, CODE_AND_LENGTH("\x51\x60\x20\x08"), false);
	SAME(state.acrs[6], 0);
	/* cpya %a6,%a2; ear %r7,%a6; sar %a8,%r7 */
	with_alets(world, &state,
		   CODE_AND_LENGTH("\xb2\x4d\x00\x62\xb2\x4f\x00\x76\xb2\x4e\x00\x87"),
		   0x1234, 0);
	SAME(state.acrs[8], 0x1234);
	/* sacf 256; sacf 512; lg %r6,0(%r2); sac 0 */
	fill_pages(world);
	with_alets(world, &state,
		   CODE_AND_LENGTH("\xb2\x79\x01\x00\xb2\x79\x02\x00"
				   "\xe3\x60\x20\x00\x00\x04\xb2\x19\x00\x00"),
		   alets[DU_LIST], 0);
	SAME(state.code, 0);
	SAME(state.gprs[6], *(u64 *)world->pages[DU_LIST]);
}

/* Loads and stores with that key of the PSW; one who is not allowed is told. */
static void expect_keys(const struct world *world, int line, u64 key, u64 cr0,
			unsigned int load_code, unsigned int store_code)
{
	struct state state, with = { .key = key, .cr0 = cr0 };

	with.gprs[FIRST] = address(world);
	with.gprs[SECOND] = world->primary[SECONDARY] + 16;
	fill_pages(world);
	state = with;
	run_code(world, &state, LG, false);
	same("code of the load", line, state.code, load_code);
	if (load_code)
		same("TEID of the load", line, state.teid,
		     address(world) | TEID_FETCH | TEID_KEY);
	else
		same("what was loaded", line, state.gprs[6],
		     *(u64 *)world->pages[PRIMARY]);
	state = with;
	run_code(world, &state, STG, false);
	same("code of the store", line, state.code, store_code);
	if (store_code)
		same("TEID of the store", line, state.teid,
		     address(world) | TEID_STORE | TEID_KEY);
	/* mvcos with key 0 for what is not looked at: first, then second operand */
	state = with;
	state.gprs[0] = 0x00020000;
	state.gprs[6] = 8;
	swap(state.gprs[FIRST], state.gprs[SECOND]);
	run_code(world, &state, MVCOS, false);
	same("code of MVCOS's load", line, state.code, load_code);
	state = with;
	state.gprs[0] = 0x00000002;
	state.gprs[6] = 8;
	run_code(world, &state, MVCOS, false);
	same("code of MVCOS's store", line, state.code, store_code);
	/* and with the key in GR0 for what is */
	state = with;
	state.key = 0;
	state.gprs[0] = key << 24 | 0x00020000;
	state.gprs[6] = 8;
	run_code(world, &state, MVCOS, false);
	same("code of MVCOS's store with its own key", line, state.code, store_code);
	/* mvc 0(5,%r2),0(%r4): either way */
	state = with;
	run_code(world, &state, MVC, false);
	same("code of MVC", line, state.code, load_code ?: store_code);
}

#define EXPECT_KEYS(key, cr0, load, store) \
	expect_keys(world, __LINE__, key, cr0, load, store)

static void test_storage_keys(const struct world *world)
{
	struct state state;

	test_instructions_with_key(world);

	set_keys(world, 0x20);
	EXPECT_KEYS(0x20, 0, 0, 0);
	EXPECT_KEYS(0x30, 0, 0, PGM_PROTECTION);
	EXPECT_KEYS(0x00, 0, 0, 0);
	set_keys(world, 0x28);
	EXPECT_KEYS(0x20, 0, 0, 0);
	EXPECT_KEYS(0x30, 0, PGM_PROTECTION, PGM_PROTECTION);
	EXPECT_KEYS(0x00, 0, 0, 0);
	/* Only addresses below 2048 are for this override. */
	EXPECT_KEYS(0x30, CR0_FETCH_PROTECTION_OVERRIDE, PGM_PROTECTION,
		    PGM_PROTECTION);
	set_keys(world, 0x98);
	EXPECT_KEYS(0x30, 0, PGM_PROTECTION, PGM_PROTECTION);
	EXPECT_KEYS(0x30, CR0_STORAGE_PROTECTION_OVERRIDE, 0, 0);

	/* By an access register, and across pages of different keys */
	set_keys(world, 0x28);
	state = (struct state) { .mode = SAC_AR, .key = 0x30 };
	state.gprs[FIRST] = address(world);
	state.acrs[FIRST] = alets[DU_LIST];
	run_code(world, &state, STG, false);
	SAME(state.code, PGM_PROTECTION);
	SAME(state.teid, address(world) | TEID_STORE | TEID_KEY | TEID_AR);
	SAME(state.access_id, FIRST);
	page_set_storage_key(virt_to_phys(world->pages[DU_LIST]), 0x30, 1);
	run_code(world, &state, STG, false);
	SAME(state.code, 0);
	run_code(world, &state, CODE_AND_LENGTH("\xe3\x60\x2f\xfc\x00\x04"), false);
	SAME(state.code, PGM_PROTECTION);
	SAME(state.teid,
	     (address(world) + PAGE_SIZE) | TEID_FETCH | TEID_KEY | TEID_AR);

	/* tprot: the key is in the second operand's address. */
	if (world->run == run_host) {
		static const struct {
			u8 storage;
			u8 access;
			unsigned int cc;
		} tests[] = {
			{ 0x28, 0x20, 0 }, { 0x28, 0x30, 2 }, { 0x20, 0x30, 1 },
			{ 0x28, 0x00, 0 },
		};
		unsigned int i;

		for (i = 0; i < ARRAY_SIZE(tests); i++) {
			set_keys(world, tests[i].storage);
			state = (struct state) {};
			state.gprs[FIRST] = address(world);
			state.gprs[SECOND] = tests[i].access;
			run_code(world, &state, TPROT, false);
			SAME(state.code, 0);
			SAME(state.cc, tests[i].cc);
		}
	}
	set_keys(world, 0);
}

static void test_world(const struct world *world)
{
	test_storage_keys(world);
	test_bases(world);
	test_access_register_instructions(world);
	test_translation_exceptions(world);
	test_access_exceptions(world);
	test_instructions(world);
	test_random_numbers(world);
}

void test_access_registers_of_guests(void)
{
	struct world world;
	struct state state;
	u64 *primary_ptes;

	set_up_guest(&world);
	test_world(&world);

	/* What the host gets to know, if it wants the guest's interruptions */
	world.ptes[DU_LIST][0] |= _PAGE_INVALID;
	block->ictl = ICTL_PINT;
	memcpy(guest + CODE, "\xd2\x04\x20\x00\x40\x00", 6);
	block->gpsw.mask = PSW_64 | PSW_MASK_DAT | PSW_ASC_ACCREG;
	block->gpsw.addr = CODE;
	gprs[FIRST] = address(&world);
	gprs[SECOND] = address(&world);
	guest_acrs[FIRST] = 0;
	guest_acrs[SECOND] = alets[DU_LIST];
	block->ihcpu = 0xffff;
	SAME(run_on(), ICPT_PROGI);
	SAME(block->iprcc, PGM_PAGE_TRANSLATION);
	SAME(block->eai, SECOND);
	SAME(block->tecmc, address(&world) | TEID_FETCH | TEID_AR);
	block->ictl = 0;
	world.ptes[DU_LIST][0] &= ~_PAGE_INVALID;

	/* A store that the guest's own PER sees: mode and register */
	memcpy(guest + CODE, "\xe3\x60\x20\x00\x00\x24", 6);
	block->gpsw.mask = PSW_64 | PSW_MASK_DAT | PSW_ASC_ACCREG | PSW_MASK_PER;
	block->gpsw.addr = CODE;
	block->gcr[9] = PER_EVENT_STORE;
	block->gcr[10] = address(&world);
	block->gcr[11] = address(&world) + 7;
	guest_acrs[FIRST] = alets[DU_LIST];
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), PGM_PER);
	SAME(*(u16 *)(guest + PER_CODE) & 0xff03, 0x2001);
	SAME(guest[PER_ACCESS_ID], FIRST);
	block->gcr[9] = 0;

	/* An instruction that is not there: the mode is told, and no register. */
	primary_ptes = (u64 *)(guest + GUEST_SEGMENTS + SZ_4K);
	primary_ptes[CODE / PAGE_SIZE] |= _PAGE_INVALID;
	guest_acrs[FIRST] = 0xffffffff;
	state = (struct state) { .mode = SAC_AR };
	run_code(&world, &state, LG, false);
	SAME(state.code, PGM_PAGE_TRANSLATION);
	SAME(state.teid, CODE | TEID_FETCH | TEID_AR);
	SAME(state.access_id, 0);
	primary_ptes[CODE / PAGE_SIZE] &= ~_PAGE_INVALID;

	/* Nor may it be fetched with a wrong key. */
	page_set_storage_key(virt_to_phys(guest + CODE), 0x28, 1);
	state = (struct state) { .key = 0x30 };
	run_code(&world, &state, LG, false);
	SAME(state.code, PGM_PROTECTION);
	SAME(state.teid, CODE | TEID_FETCH | TEID_KEY);
	page_set_storage_key(virt_to_phys(guest + CODE), 0, 1);

	/* The override of fetch protection: lg %r6,2040; lg %r6,2041 */
	page_set_storage_key(virt_to_phys(guest), 0x28, 1);
	state = (struct state) { .key = 0x30 };
	run_code(&world, &state, CODE_AND_LENGTH("\xe3\x60\x07\xf8\x00\x04"), false);
	SAME(state.code, PGM_PROTECTION);
	state = (struct state) { .key = 0x30, .cr0 = CR0_FETCH_PROTECTION_OVERRIDE };
	run_code(&world, &state, CODE_AND_LENGTH("\xe3\x60\x07\xf8\x00\x04"), false);
	SAME(state.code, 0);
	run_code(&world, &state, CODE_AND_LENGTH("\xe3\x60\x08\x00\x00\x04"), false);
	SAME(state.code, PGM_PROTECTION);
	page_set_storage_key(virt_to_phys(guest), 0, 1);
}

void test_access_registers_of_host(void)
{
	u64 *ptes[NR_SPACES] = {};
	u8 *segments[NR_SPACES] = {};
	struct world world;

	if (set_up_host(&world, segments, ptes))
		test_world(&world);
	put_away_host(&world, segments, ptes);
}
