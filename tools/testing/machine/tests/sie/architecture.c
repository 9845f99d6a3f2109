// SPDX-License-Identifier: GPL-2.0
/*
 * What interpretive execution does by itself: the guest's timers, its
 * interruptions, and what it tells of them to a host that intercepts them.
 *
 * Sources: for timers, handle_external_interrupt(), for program interruptions,
 * handle_prog() and inject_prog_on_prog_intercept(), for MOVE PAGE,
 * handle_mvpg_pei() in arch/s390/kvm/s390/intercept.c; for the interlock of table
 * updates, ipte_lock() in gaccess.c and handle_ipte_interlock() in priv.c; for all
 * else the Principles of Operation, chapter "Interruptions".
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/timex.h>
#include <asm/ctlreg.h>
#include <asm/page.h>
#include <asm/pgtable.h>
#include <asm/sclp.h>

#include "sie.h"

#define CR0_CLOCK_COMPARATOR	BIT(63 - 52)
#define CR0_CPU_TIMER		BIT(63 - 53)
#define CR0_AFP			BIT(63 - 45)

#define EXT_CPU_ADDR		0x084
#define EXT_CODE		0x086
#define SVC_CODE		0x08a
#define DXC			0x090
#define MONITOR_CLASS		0x094
#define OPERAND_ID		0x0a2
#define TRANS_EXC_CODE		0x0a8
#define MONITOR_CODE		0x0b0
#define EXT_OLD_PSW		0x130
#define SVC_OLD_PSW		0x140
#define PGM_OLD_PSW		0x150
#define IO_OLD_PSW		0x170
#define EXT_NEW_PSW		0x1b0
#define SVC_NEW_PSW		0x1c0
#define IO_NEW_PSW		0x1f0

#define LOOP			"\xa7\xf4\x00\x00"	/* j . */
/* Extended addressing without basic addressing is no mode. */
#define INVALID_PSW		PSW_MASK_EA

#define INTERLOCKED		(1UL << 63)
#define INTERLOCKED_BY_HOST	(INTERLOCKED | 1UL << 32)

static void put_psw(unsigned int at, u64 mask, u64 addr)
{
	*(u64 *)(guest + at) = mask;
	*(u64 *)(guest + at + 8) = addr;
}

static u64 old_mask(unsigned int at)
{
	return *(u64 *)(guest + at);
}

static u64 old_addr(unsigned int at)
{
	return *(u64 *)(guest + at + 8);
}

/* A guest that can take external interruptions, whose handler ends it */
static void new_timer_guest(u64 cr0)
{
	new_guest();
	CODE_IS(LOOP);
	memcpy(guest + HANDLERS, DIAG, 4);
	put_psw(EXT_NEW_PSW, PSW_64, HANDLERS);
	block->gpsw.mask |= PSW_MASK_EXT;
	block->gcr[0] |= cr0;
}

static void timer_comes(u16 code)
{
	SAME(run_on(), ICPT_INST);
	SAME(*(u16 *)(guest + EXT_CODE), code);
	SAME(*(u16 *)(guest + EXT_CPU_ADDR), 0);
	SAME(old_mask(EXT_OLD_PSW), PSW_64 | PSW_MASK_EXT);
	SAME(old_addr(EXT_OLD_PSW), CODE);
	SAME(block->gpsw.addr, HANDLERS + 4);
}

void test_timers(void)
{
	/* What is due already */
	new_timer_guest(CR0_CLOCK_COMPARATOR);
	block->ckc = 0;
	timer_comes(0x1004);
	new_timer_guest(CR0_CPU_TIMER);
	block->cputm = -1UL;
	timer_comes(0x1005);
	/* What comes while the guest runs, 1 ms later */
	new_timer_guest(CR0_CLOCK_COMPARATOR);
	block->ckc = get_tod_clock() + (1000UL << 12);
	timer_comes(0x1004);
	new_timer_guest(CR0_CPU_TIMER);
	block->cputm = 1000UL << 12;
	timer_comes(0x1005);
	/* The guest's clock is not the host's. */
	new_timer_guest(CR0_CLOCK_COMPARATOR);
	block->epoch = 1UL << 60;
	block->ckc = get_tod_clock() + (1UL << 60) + (1000UL << 12);
	timer_comes(0x1004);
	SAME((s64)(get_tod_clock() + (1UL << 60) - block->ckc) > 0, true);

	/* The guest is not enabled for it; then it is, by LPSWE. */
	new_timer_guest(CR0_CLOCK_COMPARATOR);
	CODE_IS("\xb2\xb2\x20\x00");		/* lpswe 0(%r2) */
	gprs[2] = DATA;
	*(u64 *)(guest + DATA) = PSW_64 | PSW_MASK_EXT;
	*(u64 *)(guest + DATA + 8) = CODE + 4;
	memcpy(guest + CODE + 4, LOOP, 4);
	block->gpsw.mask &= ~PSW_MASK_EXT;
	block->ckc = 0;
	SAME(run_on(), ICPT_INST);
	SAME(*(u16 *)(guest + EXT_CODE), 0x1004);
	SAME(old_addr(EXT_OLD_PSW), CODE + 4);
	new_timer_guest(CR0_CPU_TIMER);
	CODE_IS(DIAG);
	block->ckc = 0;
	SAME(run_on(), ICPT_INST);
	SAME(*(u16 *)(guest + EXT_CODE), 0);
	SAME(block->gpsw.addr, CODE + 4);

	/* An enabled new PSW: there would be no end. */
	new_timer_guest(CR0_CLOCK_COMPARATOR);
	put_psw(EXT_NEW_PSW, PSW_64 | PSW_MASK_EXT, HANDLERS);
	block->ckc = 0;
	SAME(run_on(), ICPT_EXTINT);
	SAME(block->eic, 0x1004);
	SAME(block->gpsw.addr, CODE);
	SAME(*(u16 *)(guest + EXT_CODE), 0);
	/* The host has an interruption as well, and says which is first. */
	new_timer_guest(CR0_CPU_TIMER);
	block->cputm = -1UL;
	atomic_or(CPUSTAT_EXT_INT, &block->cpuflags);
	SAME(run_on(), ICPT_EXTINT);
	SAME(block->eic, 0x1005);
	SAME(*(u16 *)(guest + EXT_CODE), 0);
	new_timer_guest(CR0_CPU_TIMER);
	atomic_or(CPUSTAT_EXT_INT, &block->cpuflags);
	SAME(run_on(), ICPT_EXTREQ);
}

void test_specification_exceptions(void)
{
	/* dr %r1,%r0 */
	new_guest();
	CODE_IS("\x1d\x10");
	SAME(run_on(), ICPT_PROGI);
	SAME(block->iprcc, 6);
	SAME(block->pgmilc, 2);
	SAME(block->gpsw.addr, CODE + 2);
	SAME(*(u16 *)(guest + PGM_CODE), 0);
	new_guest();
	CODE_IS("\x1d\x10");
	block->ecb = ECB_SPECI;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 6);
	SAME(old_addr(PGM_OLD_PSW), CODE + 2);
	/* Others are not affected. */
	new_guest();
	CODE_IS("\x00\x00");
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 1);
}

/* A program interruption at the PSW that another one has loaded */
static void early_exception(void)
{
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 6);
	SAME(old_mask(PGM_OLD_PSW), INVALID_PSW);
	SAME(old_addr(PGM_OLD_PSW), 0x1230);
	SAME(block->gpsw.addr, 0xdead);
}

void test_invalid_new_psws(void)
{
	/* svc 5 */
	new_guest();
	CODE_IS("\x0a\x05");
	block->ecb = ECB_SPECI;
	put_psw(SVC_NEW_PSW, INVALID_PSW, 0x1230);
	early_exception();
	SAME(*(u16 *)(guest + SVC_CODE), 5);
	SAME(old_addr(SVC_OLD_PSW), CODE + 2);
	/* The host may have it. */
	block->gpsw.mask = PSW_64;
	block->gpsw.addr = CODE;
	block->ecb = 0;
	SAME(run_on(), ICPT_PROGI);
	SAME(block->iprcc, 6);
	SAME(block->gpsw.addr, 0x1230);

	new_timer_guest(CR0_CLOCK_COMPARATOR);
	block->ecb = ECB_SPECI;
	block->ckc = 0;
	put_psw(EXT_NEW_PSW, INVALID_PSW, 0x1230);
	early_exception();
	SAME(*(u16 *)(guest + EXT_CODE), 0x1004);
	SAME(old_addr(EXT_OLD_PSW), CODE);

	/* An adapter interruption, by the GISA: ISC 3 */
	new_guest();
	CODE_IS(LOOP);
	memset(areas, 0, PAGE_SIZE);
	areas[4] = 0x10;
	block->ecb = ECB_SPECI;
	block->eca = ECA_AIV;
	block->gd = virt_to_phys(areas);
	block->gcr[6] = 0x10000000;
	block->gpsw.mask |= PSW_MASK_IO;
	put_psw(IO_NEW_PSW, INVALID_PSW, 0x1230);
	early_exception();
	SAME(areas[4], 0);
	SAME(old_addr(IO_OLD_PSW), CODE);

	/* That of program interruptions: no end, and the host is told. */
	new_guest();
	block->ecb = ECB_SPECI;
	put_psw(PGM_NEW_PSW, INVALID_PSW, 0x1230);
	SAME(run_on(), ICPT_PROGI);
	SAME(block->iprcc, 6);
	SAME(block->gpsw.addr, 0x1230);
}

/* Everything but the new PSW in the guest's first page is as it was: zero. */
static bool lowcore_untouched(void)
{
	return !memchr_inv(guest, 0, PGM_NEW_PSW) &&
	       !memchr_inv(guest + PGM_NEW_PSW + 16, 0, PAGE_SIZE - PGM_NEW_PSW - 16);
}

void test_program_interruptions(void)
{
	u64 *segments = (u64 *)(guest + SEGMENT_TABLE);
	u64 *pages = (u64 *)(guest + PAGE_TABLE);
	unsigned int i;

	/* mc 0x123(%r2),5 */
	new_guest();
	CODE_IS("\xaf\x05\x21\x23");
	gprs[2] = 0x10000;
	block->gcr[8] = 0x8000 >> 5;
	block->ictl = ICTL_PINT;
	SAME(run_on(), ICPT_PROGI);
	SAME(block->iprcc, 0x40);
	SAME(block->mcn, 5);
	SAME(block->tecmc, 0x10123);
	SAME(lowcore_untouched(), true);
	block->gpsw.addr = CODE;
	block->ictl = 0;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 0x40);
	SAME(*(u16 *)(guest + MONITOR_CLASS), 5);
	SAME(*(u64 *)(guest + MONITOR_CODE), 0x10123);

	/* crte %r1,%r1: a data exception */
	new_guest();
	CODE_IS("\xb9\x72\x80\x11");
	block->gcr[0] |= CR0_AFP;
	block->ictl = ICTL_PINT;
	SAME(run_on(), ICPT_PROGI);
	SAME(block->iprcc, 7);
	SAME(block->dxc, 0xff);
	SAME(lowcore_untouched(), true);
	block->gpsw.addr = CODE;
	block->ictl = 0;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 7);
	SAME(*(u32 *)(guest + DXC), 0xff);

	/* mvpg %r3,%r4 from a page that is not there */
	new_guest();
	CODE_IS("\xb2\x54\x00\x34");
	for (i = 0; i < 2048; i++)
		segments[i] = _SEGMENT_ENTRY_INVALID;
	for (i = 0; i < 256; i++)
		pages[i] = i * PAGE_SIZE;
	pages[DATA / PAGE_SIZE] = _PAGE_INVALID;
	segments[0] = PAGE_TABLE;
	block->gcr[1] = SEGMENT_TABLE | _ASCE_TYPE_SEGMENT | _ASCE_TABLE_LENGTH;
	block->gpsw.mask |= PSW_MASK_DAT;
	block->ictl = ICTL_PINT;
	gprs[3] = OTHER_DATA;
	gprs[4] = DATA;
	SAME(run_on(), ICPT_PROGI);
	SAME(block->iprcc, 0x11);
	SAME(block->tecmc & PAGE_MASK, DATA);
	SAME(block->oai, 0x34);
	SAME(lowcore_untouched(), true);
	block->gpsw.addr = CODE;
	block->ictl = 0;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 0x11);
	SAME(guest[OPERAND_ID], 0x34);
	SAME(*(u64 *)(guest + TRANS_EXC_CODE) & PAGE_MASK, DATA);

	/* A prefix area is not needed for what the host gets. */
	if (new_tables_guest()) {
		CODE_IS("\x00\x00");
		block->ictl = ICTL_PINT;
		set_host_pte(0, _PAGE_INVALID);
		SAME(run_on(), ICPT_PROGI);
		SAME(block->iprcc, 1);
		end_tables_guest();
	}
}

/* MOVE PAGE between pages that the host does not have */
void test_partial_execution(void)
{
	static const struct {
		const char *name;
		unsigned long page;
	} missing[] = {
		{ "source", DATA }, { "destination", OTHER_DATA },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(missing); i++) {
		u64 pte;

		if (!new_tables_guest())
			return;
		/* mvpg %r3,%r4 */
		CODE_IS("\xb2\x54\x00\x34" DIAG);
		*(u64 *)(guest + DATA + 8) = 42;
		block->eca = ECA_MVPGI;
		gprs[3] = OTHER_DATA;
		gprs[4] = DATA;
		pte = host_ptes[missing[i].page / PAGE_SIZE];
		set_host_pte(missing[i].page, _PAGE_INVALID);
		SAME(run_on(), ICPT_PARTEXEC);
		SAME(block->ipa, 0xb254);
		SAME(block->ipb, 0x00340000);
		SAME(block->gpsw.addr, CODE + 4);
		SAME(*(u64 *)(guest + OTHER_DATA + 8), 0);
		/* Now the host has it. */
		set_host_pte(missing[i].page, pte);
		block->gpsw.addr = CODE;
		SAME(run_on(), ICPT_INST);
		SAME(block->ipa, 0x8300);
		SAME(*(u64 *)(guest + OTHER_DATA + 8), 42);
		/* Not asked for: the host gets the fault. */
		block->eca = 0;
		block->gpsw.addr = CODE;
		set_host_pte(missing[i].page, _PAGE_INVALID);
		SAME(run_until_fault(), 0);
		SAME(current->thread.gmap_int_code, 0x11);
		SAME(block->gpsw.addr, CODE);
		end_tables_guest();
	}
}

/* Interruptions whose place the host does not have: none is lost. */
void test_fault_of_interruption(void)
{
	u64 pte;

	/* A PER event: the instruction, lghi %r1,1, is done only once. */
	if (!new_tables_guest())
		return;
	CODE_IS("\xa7\x1b\x00\x01" DIAG);		/* aghi %r1,1 */
	block->gpsw.mask |= PSW_MASK_PER;
	block->gcr[9] = 0x40000000;			/* instruction fetching */
	block->gcr[10] = CODE;
	block->gcr[11] = CODE;
	pte = host_ptes[0];
	set_host_pte(0, _PAGE_INVALID);
	SAME(run_until_fault(), 0);
	SAME(current->thread.gmap_int_code, 0x11);
	set_host_pte(0, pte);
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 0x80);
	SAME(old_addr(PGM_OLD_PSW), CODE + 4);
	SAME(gprs[1], 1);
	end_tables_guest();

	/* A timer, and a supervisor call */
	if (!new_tables_guest())
		return;
	CODE_IS("\x0a\x05");
	memcpy(guest + HANDLERS, DIAG, 4);
	put_psw(SVC_NEW_PSW, PSW_64, HANDLERS);
	set_host_pte(0, _PAGE_INVALID);
	SAME(run_until_fault(), 0);
	SAME(current->thread.gmap_int_code, 0x11);
	set_host_pte(0, pte);
	SAME(run_on(), ICPT_INST);
	SAME(*(u16 *)(guest + SVC_CODE), 5);
	end_tables_guest();
}

/* What the guest does to its tables waits for the host to have read them. */
static void interlock(const char *code, u16 ipa, u32 eca, const u64 *registers)
{
	u64 *control = (u64 *)areas;
	u64 *entry = (u64 *)(guest + PAGE_TABLE) + 1;
	const u64 by_host = eca & ECA_SII ? INTERLOCKED_BY_HOST : INTERLOCKED;

	new_guest();
	put_code(code, 4);
	memcpy(guest + CODE + 4, DIAG, 4);
	memcpy(gprs, registers, 6 * sizeof(*registers));
	memset(areas, 0, PAGE_SIZE);
	block->scaol = virt_to_phys(areas);
	block->eca = eca;
	*entry = 0x5000;

	*control = by_host;
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, ipa);
	SAME(block->gpsw.addr, CODE + 4);
	SAME(*entry, 0x5000);
	SAME(*control, by_host);

	*control = 0;
	block->gpsw.addr = CODE;
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0x8300);
	SAME(*entry == 0x5000, false);
	SAME(*control, 0);
	/* Without a system control area, there is nothing to ask. */
	*control = by_host;
	*entry = 0x5000;
	block->scaol = 0;
	block->gpsw.addr = CODE;
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0x8300);
	SAME(*entry == 0x5000, false);
}

void test_interlock(void)
{
	static const u64 ipte[] = { 0, PAGE_TABLE, 0x1000, 0, 0, 0 };
	/* The second entry of a segment table at the same place */
	static const u64 idte[] = { 0, PAGE_TABLE, 1 << 20, 0, 0, 0 };
	static const u64 cspg[] = { 0, 0, 0x5000, 0x6000, PAGE_TABLE + 8, 0 };
	static const u64 crdte[] = { 0, 0, 0x5000, 0x6000, PAGE_TABLE, 0x1000 };
	unsigned int i;

	SAME(sclp.has_siif, true);
	for (i = 0; i < 2; i++) {
		const u32 eca = i ? ECA_SII : 0;

		/* ipte %r1,%r2; idte %r1,%r0,%r2; csp %r2,%r4; cspg %r2,%r4 */
		interlock("\xb2\x21\x00\x12", 0xb221, eca, ipte);
		interlock("\xb9\x8e\x00\x12", 0xb98e, eca, idte);
		interlock("\xb9\x8a\x00\x24", 0xb98a, eca, cspg);
		/* crdte %r2,%r0,%r4 */
		interlock("\xb9\x8f\x00\x24", 0xb98f, eca, crdte);
	}
}
