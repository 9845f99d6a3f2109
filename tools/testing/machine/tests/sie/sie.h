/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of sie_instruction.ko: sie.c has the guest and most of the tests.
 */
#ifndef SIE_H
#define SIE_H

#include <linux/sizes.h>
#include <linux/time64.h>
#include <linux/types.h>
#include <asm/access-regs.h>
#include <asm/kvm_host_types.h>
#include <asm/ptrace.h>

#define GUEST_SIZE	SZ_1M

/* Where things are in the guest */
#define HANDLERS	0x0f000UL
#define CODE		0x10000UL
#define SEGMENT_TABLE	0x20000UL
#define PAGE_TABLE	0x24000UL
#define DATA		0x30000UL
#define OTHER_DATA	0x40000UL

#define PGM_CODE	0x08e
#define PGM_NEW_PSW	0x1d0

#define PSW_64		(PSW_MASK_EA | PSW_MASK_BA)

/* An end that the host sees: DIAGNOSE, always intercepted */
#define DIAG		"\x83\x00\x00\x44"

extern u8 *guest;				/* GUEST_SIZE, at the guest's 0 */
extern struct kvm_s390_sie_block *block;
extern u8 *areas;				/* a page below 2 GiB: GISA, SCA and so on */
extern u64 *host_ptes;				/* of new_tables_guest() */
extern u64 gprs[16];
extern u32 guest_acrs[NUM_ACRS];

void same(const char *what, int line, unsigned long is, unsigned long wanted);

/* Complains if a value is not what it must be, and fails the test. */
#define SAME(is, wanted) same(#is, __LINE__, is, wanted)

void new_guest(void);
bool new_tables_guest(void);
void end_tables_guest(void);
void set_host_pte(unsigned long page, u64 pte);
void set_host_segment(u64 entry);
void put_code(const char *code, size_t length);

#define CODE_IS(string) put_code(string, sizeof(string) - 1)

unsigned int run(unsigned long limit);
unsigned int run_on(void);
unsigned int run_until_fault(void);

void test_timers(void);
void test_specification_exceptions(void);
void test_invalid_new_psws(void);
void test_program_interruptions(void);
void test_partial_execution(void);
void test_fault_of_interruption(void);
void test_interlock(void);
void test_large_pages(void);
void test_large_host_page(void);
void test_multiple_block_sske(void);
void test_pfmf(void);
void test_crdte(void);
void test_reset(void);

void test_access_registers_of_guests(void);
void test_access_registers_of_host(void);

#endif
