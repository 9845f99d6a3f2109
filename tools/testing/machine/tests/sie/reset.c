// SPDX-License-Identifier: GPL-2.0
/*
 * SIGP CPU RESET of a CPU that runs a guest. A reset is the host's: what it leaves
 * alone (Principles of Operation, chapter "Control", figure "Summary of reset
 * actions") are the registers of the host, whose PSW is at the SIE instruction.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/lowcore.h>
#include <asm/sigp.h>

#include "sie.h"

/* Where SIGP STORE STATUS AT ADDRESS stores, beginning at its operand */
#define STATUS_PSW_ADDR		0x108
#define STATUS_PREFIX		0x118
#define STATUS_CR1		0x188

static u16 other_address;
static unsigned int other_code;
static DECLARE_COMPLETION(other_done);

static int run_elsewhere(void *unused)
{
	asm volatile("	stap	%[address]\n" : [address] "=Q" (other_address));
	other_code = run_on();
	complete(&other_done);
	return 0;
}

static void sigp_other(u8 order, unsigned long parameter)
{
	u32 status = 0;
	int cc;

	do {
		cc = __pcpu_sigp(other_address, order, parameter, &status);
	} while (cc == SIGP_CC_BUSY);
	SAME(cc, 0);
}

/* The CPU is reset, and goes on with its guest when it is started. */
void test_reset(void)
{
	u64 *counter = (u64 *)(guest + DATA);
	const u64 asce = get_lowcore()->kernel_asce.val;
	struct task_struct *thread;
	unsigned long psw_addr;
	unsigned int cpu, i;
	bool in_sie = false;
	u64 before;

	preempt_disable();
	cpu = cpumask_any_but(cpu_online_mask, smp_processor_id());
	preempt_enable();
	SAME(cpu < nr_cpu_ids, true);
	if (cpu >= nr_cpu_ids)
		return;
	new_guest();
	CODE_IS("\xeb\x01\x20\x00\x00\x7a"	/* 0: agsi 0(%r2),1 */
		"\xa7\xf4\xff\xfd");		/* j 0b */
	gprs[2] = DATA;
	memset(areas, 0, PAGE_SIZE);
	thread = kthread_create(run_elsewhere, NULL, KBUILD_MODNAME);
	SAME(IS_ERR(thread), false);
	if (IS_ERR(thread))
		return;
	kthread_bind(thread, cpu);
	wake_up_process(thread);
	while (!READ_ONCE(*counter))
		cond_resched();

	/* Not on the CPU that is reset, whichever was the other one above */
	set_cpus_allowed_ptr(current, cpumask_of(cpumask_any_but(cpu_online_mask, cpu)));
	for (i = 0; i < 10000 && !in_sie; i++) {
		preempt_disable();
		before = READ_ONCE(*counter);
		while (READ_ONCE(*counter) == before)
			cpu_relax();
		sigp_other(SIGP_CPU_RESET, 0);
		sigp_other(SIGP_STORE_STATUS_AT_ADDRESS, virt_to_phys(areas));
		psw_addr = *(unsigned long *)(areas + STATUS_PSW_ADDR);
		SAME(psw_addr < GUEST_SIZE, false);
		SAME(*(u32 *)(areas + STATUS_PREFIX) == 0, false);
		/* It may have left the guest just before. */
		in_sie = psw_addr < GUEST_SIZE || *(u16 *)psw_addr == 0xb214;
		if (in_sie)
			SAME(*(u64 *)(areas + STATUS_CR1), asce);
		before = READ_ONCE(*counter);
		sigp_other(SIGP_START, 0);
		/* What the reset has taken away: all look at what they were told. */
		sigp_other(SIGP_EXTERNAL_CALL, 0);
		preempt_enable();
		cond_resched();
	}
	SAME(in_sie, true);

	while (READ_ONCE(*counter) == before)
		cond_resched();
	atomic_or(CPUSTAT_STOP_INT, &block->cpuflags);
	wait_for_completion(&other_done);
	SAME(other_code, ICPT_STOP);
}
