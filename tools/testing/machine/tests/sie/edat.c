// SPDX-License-Identifier: GPL-2.0
/*
 * Enhanced DAT 1 and 2: large pages of guest and host, and the instructions that
 * came with them.
 *
 * Sources: Principles of Operation, chapters "Storage" and "Control Instructions";
 * handle_pfmf() and handle_sske() in arch/s390/kvm/s390/priv.c, sske_frame() and
 * crdte() in arch/s390/include/asm.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/asm-extable.h>
#include <asm/cpufeature.h>
#include <asm/ctlreg.h>
#include <asm/lowcore.h>
#include <asm/page.h>
#include <asm/pgtable.h>

#include "sie.h"

/* The guest's storage once more, behind itself */
#define LARGE			SZ_1M
#define CR0_EDAT		BIT(63 - 40)
/* Access-control bits and fetch protection of the entry are valid. */
#define ENTRY_AV		BIT(63 - 47)
#define ENTRY_ACC(key)		((u64)(key) << 12)
#define ENTRY_F			BIT(63 - 52)

#define PFMF_SET_KEY		0x20000UL
#define PFMF_CLEAR		0x10000UL
#define PFMF_1M			0x01000UL
#define PFMF_2G			0x02000UL

/* A guest with DAT and a table of its own: @entry is that of LARGE. */
static void new_large_guest(u64 entry)
{
	u64 *segments = (u64 *)(guest + SEGMENT_TABLE);
	u64 *pages = (u64 *)(guest + PAGE_TABLE);
	unsigned int i;

	for (i = 0; i < 2048; i++)
		segments[i] = _SEGMENT_ENTRY_INVALID;
	for (i = 0; i < 256; i++)
		pages[i] = i * PAGE_SIZE;
	segments[0] = PAGE_TABLE;
	segments[1] = entry;
	block->gcr[0] |= CR0_EDAT;
	block->gcr[1] = SEGMENT_TABLE | _ASCE_TYPE_SEGMENT | _ASCE_TABLE_LENGTH;
	block->gpsw.mask |= PSW_MASK_DAT;
	gprs[1] = 42;
	gprs[2] = LARGE + DATA;
}

/* Runs the guest in which @entry is that of LARGE, and returns its exception. */
static unsigned int store_large(u64 entry, u64 cr0)
{
	new_guest();
	CODE_IS("\xe3\x10\x20\x00\x00\x24" DIAG);	/* stg %r1,0(%r2) */
	new_large_guest(entry);
	block->gcr[0] &= ~CR0_EDAT;
	block->gcr[0] |= cr0;
	run_on();
	return *(u16 *)(guest + PGM_CODE);
}

void test_large_pages(void)
{
	const u64 large = _SEGMENT_ENTRY_LARGE;

	SAME(store_large(large, CR0_EDAT), 0);
	SAME(*(u64 *)(guest + DATA), 42);
	SAME(store_large(large | _SEGMENT_ENTRY_PROTECT, CR0_EDAT), 4);
	SAME(*(u64 *)(guest + DATA), 0);
	/* Without it in CR0, it is an entry with a page table, at the guest's 0. */
	SAME(store_large(large | PAGE_TABLE, 0), 0);
	SAME(*(u64 *)(guest + DATA), 42);

	/* The entry's key: to be ignored, to be had, and not the PSW's */
	SAME(store_large(large | ENTRY_ACC(5), CR0_EDAT), 0);
	SAME(store_large(large | ENTRY_AV | ENTRY_ACC(5), CR0_EDAT), 0);
	new_guest();
	/* spka 0x50; stg %r1,0(%r2); spka 0x60; lg %r3,0(%r2); stg %r1,0(%r2) */
	CODE_IS("\xb2\x0a\x00\x50\xe3\x10\x20\x00\x00\x24"
		"\xb2\x0a\x00\x60\xe3\x30\x20\x00\x00\x04\xe3\x10\x20\x00\x00\x24" DIAG);
	new_large_guest(large | ENTRY_AV | ENTRY_ACC(5));
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 4);
	SAME(*(u64 *)(guest + DATA), 42);
	SAME(gprs[3], 42);
	block->gpsw.mask = PSW_64 | PSW_MASK_DAT;
	block->gpsw.addr = CODE;
	((u64 *)(guest + SEGMENT_TABLE))[1] |= ENTRY_F;
	block->ihcpu = 0xffff;
	*(u64 *)(guest + DATA) = 0;
	gprs[3] = 0;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 4);
	SAME(*(u64 *)(guest + DATA), 42);
	SAME(gprs[3], 0);
}

static u64 large_host_entry(void)
{
	return virt_to_phys(guest) | _SEGMENT_ENTRY_LARGE;
}

/* The host maps the guest's storage by one entry: there are no PGSTEs. */
void test_large_host_page(void)
{
	const unsigned long data = virt_to_phys(guest) + DATA;

	if (!new_tables_guest())
		return;
	/* stg %r1,0(%r2); sske %r3,%r2; rrbe %r0,%r2; iske %r4,%r2 */
	CODE_IS("\xe3\x10\x20\x00\x00\x24\xb2\x2b\x00\x32\xb2\x2a\x00\x02\xb2\x29\x00\x42" DIAG);
	set_host_segment(large_host_entry());
	gprs[1] = 42;
	gprs[2] = DATA;
	gprs[3] = 0x36;
	SAME(run_on(), ICPT_INST);
	SAME(*(u64 *)(guest + DATA), 42);
	SAME(gprs[4], 0x32);
	SAME(page_get_storage_key(data) & ~_PAGE_REFERENCED, 0x32);
	SAME(block->gpsw.mask >> 44 & 3, 3);
	page_set_storage_key(data, PAGE_DEFAULT_KEY, 0);

	/* Protected by the host */
	block->gpsw.addr = CODE;
	set_host_segment(large_host_entry() | _SEGMENT_ENTRY_PROTECT);
	SAME(run_until_fault(), 0);
	SAME(current->thread.gmap_int_code, 4);
	SAME(block->gpsw.addr, CODE);
	end_tables_guest();
}

/* Keys of pages with PGSTEs up to the end of the mebibyte, one of them missing */
void test_multiple_block_sske(void)
{
	const unsigned long missing = GUEST_SIZE - 2 * PAGE_SIZE;
	unsigned long page;
	u64 pte;

	if (!new_tables_guest())
		return;
	/* sske %r3,%r2,1; iske %r4,%r5 */
	CODE_IS("\xb2\x2b\x10\x32\xb2\x29\x00\x45" DIAG);
	gprs[2] = DATA | 0x123;
	gprs[3] = 0x56;
	gprs[5] = missing;
	pte = host_ptes[missing / PAGE_SIZE];
	set_host_pte(missing, _PAGE_INVALID);
	SAME(run_on(), ICPT_INST);
	SAME(gprs[2], GUEST_SIZE | 0x123);
	SAME(gprs[4], 0x56);
	set_host_pte(missing, pte);
	for (page = DATA - PAGE_SIZE; page < GUEST_SIZE; page += PAGE_SIZE) {
		const unsigned long frame = virt_to_phys(guest) + page;
		const bool set = page >= DATA && page != missing;

		SAME(page_get_storage_key(frame) & 0xf8, set ? 0x50 : PAGE_DEFAULT_KEY);
		page_set_storage_key(frame, PAGE_DEFAULT_KEY, 0);
	}

	/* The same without PGSTEs, in 31-bit mode: half of the register stays. */
	memset(host_ptes, 0, PAGE_SIZE);
	set_host_segment(large_host_entry());
	block->gpsw.mask = PSW_MASK_BA;
	block->gpsw.addr = CODE;
	gprs[2] = 0x1234567880000000UL | DATA;
	SAME(run_on(), ICPT_INST);
	SAME(gprs[2], 0x1234567800000000UL | GUEST_SIZE);
	for (page = 0; page < GUEST_SIZE; page += PAGE_SIZE) {
		const unsigned long frame = virt_to_phys(guest) + page;

		SAME(page_get_storage_key(frame) & 0xf8, page >= DATA ? 0x50 : PAGE_DEFAULT_KEY);
	}
	/* The host does it, too. */
	page = virt_to_phys(guest);
	SAME(sske_frame(page, PAGE_DEFAULT_KEY), page + GUEST_SIZE);
	for (page = 0; page < GUEST_SIZE; page += PAGE_SIZE)
		SAME(page_get_storage_key(virt_to_phys(guest) + page) & 0xf8, PAGE_DEFAULT_KEY);
	end_tables_guest();
}

/* PERFORM FRAME MANAGEMENT FUNCTION: the code of its program interruption, 0 without */
static unsigned int pfmf(u64 control, u64 *address)
{
	unsigned int exception = 1;
	unsigned long flags;

	local_irq_save(flags);
	asm volatile("0:	.insn	rre,0xb9af0000,%[control],%[address]\n"
		     "1:	lhi	%[exception],0\n"
		     "2:\n"
		     EX_TABLE(0b, 2b) EX_TABLE(1b, 2b)
		     : [exception] "+d" (exception), [address] "+a" (*address)
		     : [control] "d" (control)
		     : "cc", "memory");
	if (exception)
		exception = get_lowcore()->pgm_code;
	local_irq_restore(flags);
	return exception;
}

/* How many of the bytes of the guest's storage are zero? */
static unsigned long zeros(void)
{
	unsigned long i, n = 0;

	for (i = 0; i < GUEST_SIZE; i++)
		n += !guest[i];
	return n;
}

void test_pfmf(void)
{
	const unsigned long start = virt_to_phys(guest), end_of_storage = virt_to_phys(high_memory);
	unsigned long page;
	u64 address;

	/* One page, and the register stays; its key */
	memset(guest, 0xff, GUEST_SIZE);
	address = start + DATA + 0x123;
	SAME(pfmf(PFMF_CLEAR | PFMF_SET_KEY | 0x50, &address), 0);
	SAME(address, start + DATA + 0x123);
	SAME(!memchr_inv(guest + DATA, 0, PAGE_SIZE), true);
	SAME(zeros(), PAGE_SIZE);
	SAME(page_get_storage_key(start + DATA) & 0xf8, 0x50);
	SAME(page_get_storage_key(start + DATA - PAGE_SIZE) & 0xf8, PAGE_DEFAULT_KEY);
	SAME(page_get_storage_key(start + DATA + PAGE_SIZE) & 0xf8, PAGE_DEFAULT_KEY);
	/* The rest of a mebibyte */
	address = start + DATA + 0x123;
	SAME(pfmf(PFMF_1M | PFMF_SET_KEY | 0x60, &address), 0);
	SAME(address, start + GUEST_SIZE + 0x123);
	SAME(zeros(), PAGE_SIZE);
	for (page = 0; page < GUEST_SIZE; page += PAGE_SIZE)
		SAME(page_get_storage_key(start + page) & 0xf8,
		     page < DATA ? PAGE_DEFAULT_KEY : 0x60);
	address = start;
	SAME(pfmf(PFMF_1M | PFMF_CLEAR | PFMF_SET_KEY, &address), 0);
	SAME(zeros(), GUEST_SIZE);
	SAME(page_get_storage_key(start + DATA) & 0xf8, 0);

	/* 2 GiB: as far as there is storage, by the mebibyte */
	address = end_of_storage - 3 * SZ_1M;
	if (IS_ALIGNED(end_of_storage, SZ_2G)) {
		SAME(pfmf(PFMF_2G | PFMF_SET_KEY, &address), 0);
		SAME(address, end_of_storage);
	} else {
		SAME(pfmf(PFMF_2G | PFMF_SET_KEY, &address), 5);
		SAME(address, ALIGN(end_of_storage, SZ_1M));
	}

	/* What must not be */
	address = start;
	SAME(pfmf(0x100, &address), 6);
	SAME(pfmf(0x40000, &address), 6);
	SAME(pfmf(0x3000, &address), 6);
	address = 1UL << 50;
	SAME(pfmf(PFMF_CLEAR, &address), 5);
	SAME(pfmf(PFMF_CLEAR | PFMF_1M, &address), 5);
	/* The kernel's lowcore is protected from it. */
	address = 0;
	SAME(pfmf(PFMF_CLEAR, &address), 4);

	/* A guest's is for the host. */
	new_guest();
	CODE_IS("\xb9\xaf\x00\x12");
	SAME(run_on(), ICPT_INST);
	SAME(block->ipa, 0xb9af);
}

void test_crdte(void)
{
	static const struct {
		unsigned long type;
		unsigned int shift;
	} tables[] = {
		{ CRDTE_DTT_PAGE, 12 }, { CRDTE_DTT_SEGMENT, 20 }, { CRDTE_DTT_REGION3, 31 },
		{ CRDTE_DTT_REGION2, 42 }, { CRDTE_DTT_REGION1, 53 },
	};
	const unsigned long asce = get_lowcore()->kernel_asce.val;
	u64 *table = (u64 *)(guest + PAGE_TABLE), *pages;
	unsigned int i;

	/* Tables that are in no use: all invalid, before and afterwards */
	new_guest();
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		const unsigned long at = 0x7bUL << tables[i].shift;

		table[0x7b] = 0x1020;
		SAME(crdte(0x2020, 0x3020, (unsigned long *)table, tables[i].type, at, asce), false);
		SAME(table[0x7b], 0x1020);
		SAME(crdte(0x1020, 0x3020, (unsigned long *)table, tables[i].type, at, asce), true);
		SAME(table[0x7b], 0x3020);
		table[0x7b] = 0;
	}
	SAME(zeros() > GUEST_SIZE - 16, true);

	/* A guest replaces the entry of a page: crdte %r2,%r0,%r4 */
	new_guest();
	CODE_IS("\xb9\x8f\x00\x24" DIAG);
	new_large_guest(_SEGMENT_ENTRY_INVALID);
	pages = (u64 *)(guest + PAGE_TABLE);
	gprs[2] = DATA;
	gprs[3] = OTHER_DATA;
	gprs[4] = PAGE_TABLE | CRDTE_DTT_PAGE;
	gprs[5] = DATA;
	SAME(run_on(), ICPT_INST);
	SAME(gprs[2], DATA);
	SAME(block->gpsw.mask >> 44 & 3, 0);
	SAME(pages[DATA / PAGE_SIZE], OTHER_DATA);
	/* Now it is another one, and the guest is told. */
	block->gpsw.addr = CODE;
	SAME(run_on(), ICPT_INST);
	SAME(gprs[2], OTHER_DATA);
	SAME(block->gpsw.mask >> 44 & 3, 1);
	SAME(pages[DATA / PAGE_SIZE], OTHER_DATA);

	/* No such table */
	gprs[4] = PAGE_TABLE | 4;
	block->gpsw.addr = CODE;
	block->ecb = ECB_SPECI;
	SAME(run_on(), ICPT_WAIT);
	SAME(*(u16 *)(guest + PGM_CODE), 6);
}
