// SPDX-License-Identifier: GPL-2.0
/*
 * The AP instructions of the emulated host, tried one by one.
 *
 * They are privileged, so this is a kernel module. Loading it runs the tests
 * and writes TAP to the kernel's log; then it refuses to stay. It wants the AP
 * hardware that 'inside', beside this file, describes, and no driver at work on
 * the queues.
 *
 * What is right is what arch/s390/include/asm/ap.h and the callers of its
 * functions expect, and arch/s390/kvm/s390/priv.c for specification exceptions.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/vmalloc.h>
#include <asm/ap.h>
#include <asm/asm-extable.h>
#include <asm/facility.h>
#include <asm/lowcore.h>

#define ACCELERATOR	0x0105UL
#define CCA		0x0205UL
#define EP11		0x0305UL
/* Reply 100 ms, reset 100 ms, interrupt control 50 ms, parts 100 ms */
#define SLOW		0x0106UL
/* What its replies and resets take, and a change of its interrupts: see 'inside'. */
#define SLOW_MS		100
#define SLOW_IRQ_MS	50
#define NOT_THERE	0x0905UL

/* What an instruction "returns" when it ends with a program interruption. */
#define EXCEPTION	-1

#define FUNCTION(code)	((unsigned long)(code) << 24)
#define TAPQ		FUNCTION(0)
#define RAPQ		FUNCTION(1)
#define ZAPQ		FUNCTION(2)
#define AQIC		FUNCTION(3)
#define QCI		FUNCTION(4)
#define QACT		FUNCTION(5)
#define T_BIT		0x00800000UL
#define F_BIT		0x00400000UL
#define NQAP_LAST	0x40000000UL
#define NQAP_SPECIAL	0x00400000UL
#define DQAP_FIRST	0x80000000UL
#define AQIC_ENABLE	BIT(47)

#define EMPTY		0x80
#define FULL		0x20
#define IRQ		0x01

#define SEGMENT		((unsigned long)SZ_1M)
#define BUFFER_SIZE	(4 * SEGMENT)
#define REPLY_SIZE	SEGMENT

static unsigned int rounds = 20000;
module_param(rounds, uint, 0);
MODULE_PARM_DESC(rounds, "Random instructions per thread");
static bool facilities_only;
module_param(facilities_only, bool, 0);
MODULE_PARM_DESC(facilities_only, "Only what depends on the CPU model's features");
static unsigned int message_memory;
module_param(message_memory, uint, 0);
MODULE_PARM_DESC(message_memory, "Only with so little memory for messages, in bytes");
static unsigned int seed = 1;
module_param(seed, uint, 0);
MODULE_PARM_DESC(seed, "What the random instructions begin with");

/* The registers that the instructions use; GR4 to GR7 are NQAP's and DQAP's. */
struct registers {
	unsigned long gr0, gr1, gr2;
	unsigned long r1[2];
	unsigned long r2[2];
};

#define AP_INSTRUCTION(opcode)						\
({									\
	union register_pair _r1 = { .even = g->r1[0], .odd = g->r1[1] }; \
	union register_pair _r2 = { .even = g->r2[0], .odd = g->r2[1] }; \
	int _cc = EXCEPTION;						\
									\
	/* Old PSWs point to the instruction, or behind it. */		\
	asm volatile("	lgr	0,%[gr0]\n"				\
		     "	lgr	1,%[gr1]\n"				\
		     "	lgr	2,%[gr2]\n"				\
		     "0:	.insn	rre," opcode ",%[r1],%[r2]\n"	\
		     "1:	ipm	%[cc]\n"			\
		     "	srl	%[cc],28\n"				\
		     "2:	lgr	%[gr0],0\n"			\
		     "	lgr	%[gr1],1\n"				\
		     "	lgr	%[gr2],2\n"				\
		     EX_TABLE(0b, 2b) EX_TABLE(1b, 2b)			\
		     : [gr0] "+&d" (g->gr0), [gr1] "+&d" (g->gr1),	\
		       [gr2] "+&d" (g->gr2), [r1] "+&d" (_r1.pair),	\
		       [r2] "+&d" (_r2.pair), [cc] "+&d" (_cc)		\
		     : : "cc", "memory", "0", "1", "2");		\
	g->r1[0] = _r1.even;						\
	g->r1[1] = _r1.odd;						\
	g->r2[0] = _r2.even;						\
	g->r2[1] = _r2.odd;						\
	_cc;								\
})

/* With the registers as they are */
static noinline int pqap_again(struct registers *g)
{
	return AP_INSTRUCTION("0xb2af0000");
}

static noinline int nqap_again(struct registers *g)
{
	return AP_INSTRUCTION("0xb2ad0000");
}

static noinline int dqap_again(struct registers *g)
{
	return AP_INSTRUCTION("0xb2ae0000");
}

static int pqap(struct registers *g, unsigned long gr0, unsigned long gr1,
		unsigned long gr2)
{
	*g = (struct registers){ .gr0 = gr0, .gr1 = gr1, .gr2 = gr2 };
	return pqap_again(g);
}

static int nqap(struct registers *g, unsigned long gr0, unsigned long psmid,
		const void *message, unsigned long length)
{
	*g = (struct registers){
		.gr0 = gr0,
		.r1 = { psmid >> 32, psmid & U32_MAX },
		.r2 = { (unsigned long)message, length },
	};
	return nqap_again(g);
}

static int dqap(struct registers *g, unsigned long gr0, void *buffer,
		unsigned long length)
{
	*g = (struct registers){
		.gr0 = gr0,
		.r2 = { (unsigned long)buffer, length },
	};
	return dqap_again(g);
}

static unsigned int rc(const struct registers *g)
{
	return g->gr1 >> 16 & 0xff;
}

static unsigned int flags(const struct registers *g)
{
	return g->gr1 >> 24 & 0xff;
}

static unsigned int queue_flags(unsigned long apqn)
{
	struct registers g;

	pqap(&g, TAPQ | apqn, 0, 0);
	return flags(&g);
}

static u8 *buffer;	/* BUFFER_SIZE */
static u8 *reply;	/* REPLY_SIZE; behind it, there is nothing */
static u8 *page;	/* below 2 GiB, for the NIB and the GISA */
static u8 *segment;	/* a segment boundary in @buffer, and 1 MiB around it */
static unsigned int nr_bad;

static void same(const char *what, int line, unsigned long is,
		 unsigned long wanted)
{
	if (is == wanted)
		return;
	nr_bad++;
	pr_info("# line %d: %s is %lx, must be %lx\n", line, what, is, wanted);
}

#define SAME(is, wanted) same(#is, __LINE__, is, wanted)

/* @is is what an instruction returned: 3, and then the response code */
#define REFUSED(g, is, code)						\
do {									\
	SAME(is, 3);							\
	SAME(rc(g), code);						\
} while (0)

/* A minute and more of waiting: only when something hangs. */
#define TRIES	600000

static void reset(unsigned long apqn)
{
	struct registers g;
	int i;

	pqap(&g, ZAPQ | apqn, 0, 0);
	for (i = 0; i < TRIES; i++) {
		pqap(&g, TAPQ | apqn, 0, 0);
		if (rc(&g) != 2)
			break;
		usleep_range(100, 200);
	}
	SAME(rc(&g), 0);
	SAME(flags(&g), EMPTY);
}

/* DQAP, when there is a reply. */
static int wait_and_dqap(struct registers *g, unsigned long apqn, void *to,
			 unsigned long length)
{
	int cc, i;

	for (i = 0; i < TRIES; i++) {
		cc = dqap(g, DQAP_FIRST | apqn, to, length);
		if (cc != 3 || rc(g) != 0x10)
			break;
		usleep_range(100, 200);
	}
	return cc;
}

/* The code of the instruction's program interruption, 0 without */
static unsigned int interruption(int (*instruction)(struct registers *g),
				 unsigned long gr0, unsigned long gr2)
{
	struct registers g = { .gr0 = gr0, .gr2 = gr2 };
	unsigned long flags;
	unsigned int code;

	local_irq_save(flags);
	code = instruction(&g) == EXCEPTION ? get_lowcore()->pgm_code : 0;
	local_irq_restore(flags);
	return code;
}

/* What the CPU model and its facility bits say is what the machine does. */
static void test_facilities(void)
{
	const unsigned int operation = 1, specification = 6;
	const bool qci = test_facility(12), apft = test_facility(15);
	const bool apqi = test_facility(65);
	unsigned int wanted = 0;
	unsigned long fc;

	if (!ap_instructions_available()) {
		SAME(qci || apft || apqi, false);
		for (fc = 0; fc < 256; fc++)
			SAME(interruption(pqap_again, FUNCTION(fc), 0),
			     operation);
		SAME(interruption(nqap_again, ACCELERATOR, 0), operation);
		SAME(interruption(dqap_again, ACCELERATOR, 0), operation);
		return;
	}
	SAME(interruption(pqap_again, TAPQ | ACCELERATOR, 0), 0);
	for (fc = 0; fc <= 5; fc++)
		if (!apft)
			SAME(interruption(pqap_again, FUNCTION(fc) | T_BIT |
					  ACCELERATOR, (unsigned long)buffer),
			     specification);
	SAME(interruption(pqap_again, TAPQ | T_BIT | ACCELERATOR, 0),
	     apft ? 0 : specification);
	memset(buffer, 0, 8);
	SAME(interruption(pqap_again, QCI, (unsigned long)buffer),
	     qci ? 0 : specification);
	SAME(interruption(pqap_again, QACT | ACCELERATOR, 0),
	     qci ? 0 : specification);
	/* Refused or not, nothing is enabled: there is no address. */
	SAME(interruption(pqap_again, AQIC | ACCELERATOR, 0),
	     apqi ? 0 : specification);
	if (!qci)
		return;
	/* Without APXA, the leftmost bits of APID and APQI must be zeros. */
	if (!(get_unaligned_be32(buffer) & 0x40000000))
		wanted = specification;
	SAME(interruption(pqap_again, TAPQ | 0x4005, 0), wanted);
	SAME(interruption(pqap_again, TAPQ | 0x8005, 0), wanted);
	SAME(interruption(pqap_again, TAPQ | 0x0110, 0), wanted);
	SAME(interruption(pqap_again, TAPQ | 0x0185, 0), wanted);
	SAME(interruption(nqap_again, NQAP_LAST | 0x4005, 0), wanted);
	SAME(interruption(dqap_again, DQAP_FIRST | 0x0110, 0), wanted);
	SAME(interruption(pqap_again, TAPQ | 0x3f0f, 0), 0);
}

static void test_specification_exceptions(void)
{
	struct registers g;
	unsigned int fc;

	for (fc = 6; fc < 256; fc++)
		SAME(pqap(&g, FUNCTION(fc) | ACCELERATOR, 0, 0), EXCEPTION);
	SAME(pqap(&g, TAPQ | 0x00010000 | ACCELERATOR, 0, 0), EXCEPTION);
	SAME(pqap(&g, TAPQ | F_BIT | ACCELERATOR, 0, 0), EXCEPTION);
	SAME(pqap(&g, AQIC | F_BIT | ACCELERATOR, 0, 0), EXCEPTION);
	SAME(pqap(&g, QCI | F_BIT, 0, (unsigned long)buffer), EXCEPTION);
	SAME(pqap(&g, RAPQ | F_BIT | ACCELERATOR, 0, 0), 0);
	reset(ACCELERATOR);
	SAME(pqap(&g, QCI, 0, (unsigned long)buffer + 4), EXCEPTION);
	SAME(pqap(&g, QCI, 0, 1UL << 62), EXCEPTION);
}

static void test_qci(void)
{
	struct registers g;

	memset(buffer, 0xff, 256);
	SAME(pqap(&g, QCI, 0, (unsigned long)buffer), 0);
	SAME(get_unaligned_be32(buffer), 0xf0000000);
	SAME(get_unaligned_be16(buffer + 4), 0xffff);
	SAME(get_unaligned_be64(buffer + 0x10), 0x7000000000000000);
	SAME(get_unaligned_be64(buffer + 0x18), 0);
	SAME(get_unaligned_be64(buffer + 0x30), 0x0600000000000000);
	SAME(get_unaligned_be64(buffer + 0x50), 0x0600000000000000);
	SAME(get_unaligned_be64(buffer + 0x78), 0);
	SAME(get_unaligned_be64(buffer + 0x80), U64_MAX);
}

static void test_tapq(void)
{
	struct registers g;

	SAME(pqap(&g, TAPQ | T_BIT | ACCELERATOR, 0xaaaa0000ffffffff, 1), 0);
	SAME(g.gr1, 0xaaaa000080000000);
	SAME(g.gr2, 0x6a0000000eff0007);
	SAME(pqap(&g, TAPQ | ACCELERATOR, 0, 1), 0);
	SAME(g.gr2, 0x000000000eff0007);
	SAME(pqap(&g, TAPQ | T_BIT | CCA, 0, 0), 0);
	SAME(g.gr2, 0x920000000eff0607);
	SAME(pqap(&g, TAPQ | T_BIT | EP11, 0, 0), 0);
	SAME(g.gr2, 0x860000000eff0607);
	REFUSED(&g, pqap(&g, TAPQ | T_BIT | NOT_THERE, 0, 1), 1);
	SAME(g.gr2, 0);
}

static void test_queue_not_there(void)
{
	struct registers g;

	REFUSED(&g, pqap(&g, RAPQ | NOT_THERE, 0, 0), 1);
	REFUSED(&g, pqap(&g, ZAPQ | NOT_THERE, 0, 0), 1);
	REFUSED(&g, pqap(&g, QACT | NOT_THERE, 0, 0), 1);
	REFUSED(&g, pqap(&g, AQIC | NOT_THERE, AQIC_ENABLE, 8), 1);
	REFUSED(&g, nqap(&g, NQAP_LAST | NOT_THERE, 1, buffer, 16), 1);
	REFUSED(&g, dqap(&g, DQAP_FIRST | NOT_THERE, reply, 16), 1);
}

static void test_qact(void)
{
	const unsigned long accelerator = 2UL << 58, cca = 4UL << 58;
	struct registers g;

	SAME(pqap(&g, QACT | ACCELERATOR, accelerator | 14UL << 24, 0), 0);
	SAME(g.gr2, accelerator | 14UL << 24);
	SAME(pqap(&g, QACT | ACCELERATOR, accelerator | 12UL << 24, 0), 0);
	SAME(g.gr2, accelerator | 12UL << 24);
	SAME(pqap(&g, QACT | ACCELERATOR, accelerator | 20UL << 24, 0), 0);
	SAME(g.gr2, accelerator | 14UL << 24);
	SAME(pqap(&g, QACT | ACCELERATOR, cca | 14UL << 24, 0), 0);
	SAME(g.gr2, 0);
}

static void test_request_and_reply(void)
{
	const unsigned long apqn = ACCELERATOR;
	struct registers g;

	reset(apqn);
	memset(buffer, 0, 16);
	REFUSED(&g, dqap(&g, DQAP_FIRST | apqn, reply, 100), 0x10);
	SAME(flags(&g), EMPTY);
	SAME(nqap(&g, NQAP_LAST | apqn, 0x1122334455667788, buffer, 16), 0);
	SAME(g.r2[0], (unsigned long)buffer + 16);
	SAME(g.r2[1], 0);
	SAME(wait_and_dqap(&g, apqn, reply, 100), 0);
	SAME(g.r1[0] << 32 | g.r1[1], 0x1122334455667788);
	SAME(g.r2[0], (unsigned long)reply + 8);
	SAME(g.r2[1], 92);
	SAME(g.gr2, 0);
	SAME(flags(&g), EMPTY);
	/* No message type of an accelerator's: reply code 20 */
	SAME(get_unaligned_be64(reply), 0x0082000020000000);
	SAME(nqap(&g, NQAP_LAST | apqn, 1, buffer, 0), 0);
	SAME(wait_and_dqap(&g, apqn, reply, 100), 0);
	SAME(get_unaligned_be64(reply), 0x0082000023000000);
}

static void test_nqap_refused(void)
{
	const unsigned long apqn = ACCELERATOR;
	struct registers g;

	reset(apqn);
	REFUSED(&g, nqap(&g, NQAP_LAST | apqn, 1, buffer, 12 * 1024 + 1), 0x15);
	REFUSED(&g, nqap(&g, NQAP_LAST | apqn, 1, buffer, -1UL), 0x15);
	REFUSED(&g, nqap(&g, NQAP_LAST | NQAP_SPECIAL | apqn, 1, buffer, 16),
		0x16);
	SAME(nqap(&g, NQAP_LAST | apqn, 1, (void *)(1UL << 62), 16), EXCEPTION);
	SAME(queue_flags(apqn), EMPTY);
	SAME(nqap(&g, NQAP_LAST | apqn, 1, buffer, 12 * 1024), 0);
	SAME(wait_and_dqap(&g, apqn, reply, 100), 0);
	/* The rest of a message, whose first part nobody has sent */
	SAME(nqap(&g, CCA, 1, buffer, 16), 1);
	g.gr0 = (g.gr0 & ~0xffffUL) | NQAP_LAST | apqn;
	REFUSED(&g, nqap_again(&g), 0x13);
	reset(CCA);
}

/* A request for 4096 random bytes, 332 bytes long; its reply has 4368. */
static void random_request(u8 *message)
{
	u8 *cprb = message + 88, *parameters = cprb + 220;

	memset(message, 0, 332);
	message[1] = 0x06;
	put_unaligned_be32(88, message + 16);
	memcpy(message + 32, "CA", 2);
	put_unaligned_be32(220 + 24, message + 56);
	put_unaligned_be32(1024, message + 72);
	put_unaligned_be32(4096, message + 76);
	put_unaligned_be16(220, cprb);
	cprb[2] = 0x02;
	memcpy(cprb + 6, "T2", 2);
	put_unaligned_be32(24, cprb + 12);
	put_unaligned_be32(4096, cprb + 28);
	put_unaligned_be16(5, cprb + 170);
	memcpy(parameters, "RL", 2);
}

#define RANDOM_REQUEST	332
#define RANDOM_REPLY	(48 + 220 + 4 + 4096)

static void test_request_in_parts(void)
{
	u8 *message = segment - 100;
	struct registers g;

	reset(CCA);
	random_request(message);
	/* Over a segment boundary: condition code 2, and the rest */
	SAME(nqap(&g, NQAP_LAST | CCA, 42, message, RANDOM_REQUEST), 2);
	SAME(g.r2[0], (unsigned long)segment);
	SAME(g.r2[1], RANDOM_REQUEST - 100);
	SAME(queue_flags(CCA), 0);
	SAME(nqap_again(&g), 0);
	SAME(g.r2[1], 0);
	SAME(wait_and_dqap(&g, CCA, reply, 65536), 0);
	SAME(65536 - g.r2[1], RANDOM_REPLY);
	SAME(get_unaligned_be16(reply + 48 + 144), 0);
	SAME(get_unaligned_be32(reply + 24), 4096);
	/* In parts of the program's own: condition code 1 until the last */
	SAME(nqap(&g, CCA, 43, message, 60), 1);
	SAME(nqap_again(&g), 1);
	g.r2[1] = 40;
	SAME(nqap_again(&g), 1);
	SAME(g.r2[0], (unsigned long)segment);
	g.gr0 |= NQAP_LAST;
	g.r2[1] = RANDOM_REQUEST - 100;
	SAME(nqap_again(&g), 0);
	SAME(wait_and_dqap(&g, CCA, reply, 65536), 0);
	SAME(65536 - g.r2[1], RANDOM_REPLY);
	SAME(g.r1[1], 43);
}

/* The next part comes too late: what came before is gone. */
static void test_part_too_late(void)
{
	struct registers g, other;
	int i;

	reset(SLOW);
	SAME(nqap(&g, SLOW, 44, buffer, 100), 1);
	for (i = 0; i < TRIES && !(queue_flags(SLOW) & EMPTY); i++)
		usleep_range(100, 200);
	SAME(queue_flags(SLOW), EMPTY);
	g.gr0 |= NQAP_LAST;
	g.r2[1] = 100;
	REFUSED(&g, nqap_again(&g), 0x13);

	/* A whole request is not affected, nor is another queue's half. */
	SAME(nqap(&other, CCA, 45, buffer, 100), 1);
	SAME(nqap(&g, NQAP_LAST | SLOW, 46, buffer, 100), 0);
	SAME(wait_and_dqap(&g, SLOW, reply, 100), 0);
	SAME(g.r1[1], 46);
	SAME(queue_flags(CCA), 0);
	reset(CCA);
}

/* As many halves of requests as fit, the last of which is refused. */
static unsigned int fill_memory(unsigned long apqn, unsigned int size)
{
	struct registers g;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		const int cc = nqap(&g, apqn, i, buffer, size);

		if (cc == 3) {
			SAME(rc(&g), 0x10);
			break;
		}
		SAME(cc, 1);
	}
	return i;
}

/* Queues that are empty are usable, however much is in others. */
static void test_message_memory(void)
{
	const unsigned int size = 12 * 1024;
	const unsigned int fit = message_memory / size;

	reset(ACCELERATOR);
	reset(CCA);
	reset(EP11);
	SAME(fit > 1 && fit < 8, true);
	SAME(fill_memory(CCA, size), fit);
	SAME(fill_memory(ACCELERATOR, size), 1);
	SAME(fill_memory(EP11, size), 1);
	/* What is dropped is to be had again. */
	reset(ACCELERATOR);
	reset(CCA);
	SAME(fill_memory(EP11, size), fit - 1);
	reset(EP11);
	SAME(fill_memory(CCA, size), fit);
	reset(CCA);
}

static void test_reply_in_parts(void)
{
	struct registers g;

	reset(CCA);
	random_request(segment);
	SAME(nqap(&g, NQAP_LAST | CCA, 42, segment, RANDOM_REQUEST), 0);
	/* Into a buffer that is too small: condition code 1, and the rest */
	SAME(wait_and_dqap(&g, CCA, reply, 100), 1);
	SAME(g.r2[1], 0);
	SAME(g.gr2, RANDOM_REPLY - 100);
	SAME(g.gr0 == 0, false);
	g.r2[0] = (unsigned long)reply + 100;
	g.r2[1] = 200;
	SAME(dqap_again(&g), 1);
	SAME(g.gr2, RANDOM_REPLY - 300);
	/* From the beginning again, and over a segment boundary */
	SAME(dqap(&g, DQAP_FIRST | CCA, segment - 64, 8192), 2);
	SAME(g.r2[0], (unsigned long)segment);
	SAME(g.r2[1], 8192 - 64);
	SAME(g.gr2, RANDOM_REPLY - 64);
	SAME(dqap_again(&g), 0);
	SAME(g.r2[1], 8192 - RANDOM_REPLY);
	SAME(g.gr2, 0);
	SAME(flags(&g), EMPTY);
	SAME(memcmp(reply, segment - 64, 300), 0);
	/* Exactly as long as the buffer: complete at once */
	random_request(segment);
	SAME(nqap(&g, NQAP_LAST | CCA, 42, segment, RANDOM_REQUEST), 0);
	SAME(wait_and_dqap(&g, CCA, reply, RANDOM_REPLY), 0);
	SAME(g.r2[1], 0);
	SAME(g.gr2, 0);
	/* A buffer that ends in the void: nothing is lost */
	SAME(nqap(&g, NQAP_LAST | CCA, 42, segment, RANDOM_REQUEST), 0);
	SAME(wait_and_dqap(&g, CCA, reply + REPLY_SIZE - 100, 8192), EXCEPTION);
	SAME(dqap(&g, DQAP_FIRST | CCA, reply, 8192), 0);
	SAME(g.r2[1], 8192 - RANDOM_REPLY);
}

static void reset_slow(void)
{
	reset(SLOW);
}

/*
 * Calls @function, which must be through before an operation of SLOW's, which takes
 * @ms. If it was not, because the machine is busy, its findings do not count, and both
 * functions are called again.
 */
static void in_time(unsigned int ms, void (*prepare)(void), void (*function)(void))
{
	const unsigned int bad = nr_bad;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		ktime_t start;

		nr_bad = bad;
		prepare();
		start = ktime_get();
		function();
		if (ktime_ms_delta(ktime_get(), start) < ms)
			return;
	}
	pr_info("# never done within %u ms\n", ms);
	nr_bad++;
}

/* Until the queue's interrupts are on, or off. */
static void wait_for_irq(unsigned long apqn, bool on)
{
	int i;

	for (i = 0; i < TRIES && !(queue_flags(apqn) & IRQ) == on; i++)
		usleep_range(100, 200);
}

static void fill_queue(void)
{
	struct registers g;
	unsigned int i;

	for (i = 0; i < 8; i++)
		SAME(nqap(&g, NQAP_LAST | SLOW, 100 + i, buffer, 16), 0);
	SAME(flags(&g), FULL);
	REFUSED(&g, nqap(&g, NQAP_LAST | SLOW, 1, buffer, 16), 0x10);
	REFUSED(&g, dqap(&g, DQAP_FIRST | SLOW, reply, 16), 0x10);
	SAME(flags(&g), FULL);
}

static void test_full_queue(void)
{
	struct registers g;
	unsigned int i;

	in_time(SLOW_MS, reset_slow, fill_queue);
	for (i = 0; i < 8; i++) {
		SAME(wait_and_dqap(&g, SLOW, reply, 16), 0);
		SAME(g.r1[1], 100 + i);
	}
	SAME(flags(&g), EMPTY);
}

static void use_during_reset(void)
{
	struct registers g;

	SAME(nqap(&g, NQAP_LAST | SLOW, 1, buffer, 16), 0);
	SAME(pqap(&g, RAPQ | SLOW, 0, 0), 0);
	REFUSED(&g, pqap(&g, TAPQ | SLOW, 0, 0), 2);
	SAME(g.gr2, 0x000000000eff0007);
	REFUSED(&g, pqap(&g, RAPQ | SLOW, 0, 0), 2);
	REFUSED(&g, pqap(&g, AQIC | SLOW, AQIC_ENABLE, virt_to_phys(page)), 2);
	REFUSED(&g, nqap(&g, NQAP_LAST | SLOW, 1, buffer, 16), 2);
	REFUSED(&g, dqap(&g, DQAP_FIRST | SLOW, reply, 16), 2);
}

static void test_reset_in_progress(void)
{
	struct registers g;
	int i;

	in_time(SLOW_MS, reset_slow, use_during_reset);
	for (i = 0; i < TRIES && pqap(&g, TAPQ | SLOW, 0, 0); i++)
		usleep_range(100, 200);
	/* The request is gone. */
	REFUSED(&g, dqap(&g, DQAP_FIRST | SLOW, reply, 16), 0x10);
	SAME(flags(&g), EMPTY);
}

static void enable_twice(void)
{
	const unsigned long nib = virt_to_phys(page);
	struct registers g;

	REFUSED(&g, pqap(&g, AQIC | SLOW, 0, 0), 7);
	SAME(pqap(&g, AQIC | SLOW, AQIC_ENABLE | 4, nib), 0);
	SAME(queue_flags(SLOW), EMPTY);
	REFUSED(&g, pqap(&g, AQIC | SLOW, AQIC_ENABLE | 4, nib), 5);
}

static void enable(void)
{
	struct registers g;

	reset(SLOW);
	SAME(pqap(&g, AQIC | SLOW, AQIC_ENABLE | 4, virt_to_phys(page)), 0);
	wait_for_irq(SLOW, true);
}

static void disable(void)
{
	struct registers g;

	SAME(pqap(&g, AQIC | SLOW, 0, 0), 0);
	SAME(queue_flags(SLOW), EMPTY | IRQ);
}

static void test_interrupt_control(void)
{
	const unsigned long nib = virt_to_phys(page);
	struct registers g;

	in_time(SLOW_IRQ_MS, reset_slow, enable_twice);
	wait_for_irq(SLOW, true);
	SAME(queue_flags(SLOW), EMPTY | IRQ);
	REFUSED(&g, pqap(&g, AQIC | SLOW, AQIC_ENABLE | 4, nib), 7);
	in_time(SLOW_IRQ_MS, enable, disable);
	wait_for_irq(SLOW, false);
	SAME(queue_flags(SLOW), EMPTY);
}

static void test_invalid_nib_and_gisa(void)
{
	const unsigned long nib = virt_to_phys(page);
	const unsigned long gisa = virt_to_phys(page + 0x800);
	const unsigned long format1 = AQIC_ENABLE | 1UL << 32;
	struct registers g;

	reset(ACCELERATOR);
	REFUSED(&g, pqap(&g, AQIC | ACCELERATOR, AQIC_ENABLE, 0), 6);
	REFUSED(&g, pqap(&g, AQIC | ACCELERATOR, AQIC_ENABLE, 1UL << 50), 6);
	REFUSED(&g, pqap(&g, AQIC | ACCELERATOR, format1 | 0x7fffffe0, nib), 8);
	REFUSED(&g, pqap(&g, AQIC | ACCELERATOR, format1 | (gisa + 16), nib), 8);
	REFUSED(&g, pqap(&g, AQIC | ACCELERATOR,
			 AQIC_ENABLE | 2UL << 32 | gisa, nib), 8);
	SAME(queue_flags(ACCELERATOR), EMPTY);
}

static void test_interrupt_by_gisa(void)
{
	const unsigned long gisa = virt_to_phys(page + 0x800);
	u64 *word = (u64 *)(page + 0x800);
	struct registers g;
	u8 *nib = page + 5;
	int i;

	reset(ACCELERATOR);
	memset(page, 0, PAGE_SIZE);
	/* In no list, and no alert is wanted */
	WRITE_ONCE(*word, gisa << 32);
	SAME(pqap(&g, AQIC | ACCELERATOR,
		  AQIC_ENABLE | 3UL << 40 | 1UL << 32 | gisa,
		  virt_to_phys(nib)), 0);
	SAME(flags(&g), EMPTY | IRQ);
	SAME(nqap(&g, NQAP_LAST | ACCELERATOR, 1, buffer, 16), 0);
	for (i = 0; i < 10000 && !(READ_ONCE(*word) & U32_MAX); i++)
		usleep_range(100, 200);
	SAME(READ_ONCE(*nib) != 0, true);
	/* The IPM's bit for guest ISC 3, and nothing else */
	SAME(READ_ONCE(*word), gisa << 32 | 0x10000000);
	SAME(wait_and_dqap(&g, ACCELERATOR, reply, 100), 0);
	SAME(flags(&g), EMPTY | IRQ);
	reset(ACCELERATOR);
}

/* Random instructions. The emulator must survive them, and that is all. */

static u32 random(struct rnd_state *state)
{
	return prandom_u32_state(state);
}

static unsigned long random_address(struct rnd_state *state)
{
	switch (random(state) % 8) {
	case 0:
		return (unsigned long)reply + REPLY_SIZE - random(state) % 64;
	case 1:
		return (unsigned long)segment - random(state) % 512;
	case 2:
		return (u64)random(state) << 32 | random(state) | 1UL << 63;
	default:
		return (unsigned long)buffer + random(state) % SEGMENT;
	}
}

static unsigned long random_gr0(struct rnd_state *state)
{
	unsigned long gr0 = (u64)random(state) << 32 | random(state);

	if (random(state) % 4)
		gr0 = (gr0 & ~0xffffUL) |
		      ((random(state) % 4 + 1) << 8 | (random(state) % 3 + 5));
	return gr0;
}

/* The emulator writes where AQIC says: our page, or nowhere. */
static void random_aqic(struct rnd_state *state, struct registers *g)
{
	g->gr2 = random(state) % 4 ?
		 virt_to_phys(page) + random(state) % PAGE_SIZE :
		 1UL << 60 | random(state);
	g->gr1 &= ~0x7ffffff0UL;
	switch (random(state) % 3) {
	case 0:
		g->gr1 |= virt_to_phys(page) + (random(state) & 0xfe0);
		break;
	case 1:
		g->gr1 |= 0x7ffff000;
		break;
	}
}

/* The beginning of a message, so that there is something to look into */
static void random_message(struct rnd_state *state, unsigned long address)
{
	u8 *message = (u8 *)address;

	if (address < (unsigned long)buffer ||
	    address > (unsigned long)buffer + SEGMENT - RANDOM_REQUEST)
		return;
	if (random(state) % 2) {
		random_request(message);
		message[random(state) % RANDOM_REQUEST] = random(state);
	} else {
		prandom_bytes_state(state, message, 16);
		message[1] = 0x50;
	}
}

static atomic_t begun = ATOMIC_INIT(0);

static int random_instructions(void *number)
{
	struct rnd_state state;
	unsigned int i, tries;
	struct registers g;
	int cc;

	atomic_inc(&begun);
	prandom_seed_state(&state, (u64)seed << 32 | (unsigned long)number);
	for (i = 0; i < rounds; i++) {
		int (*instruction)(struct registers *g);

		g.gr0 = random_gr0(&state);
		g.gr1 = (u64)random(&state) << 32 | random(&state);
		g.gr2 = random_address(&state);
		g.r1[0] = 0;
		g.r1[1] = random(&state) % 8;
		g.r2[0] = random_address(&state);
		g.r2[1] = random(&state) % 4 ? random(&state) % 4096 :
			  (u64)random(&state) << 32 | random(&state);
		switch (random(&state) % 3) {
		case 0:
			instruction = pqap_again;
			if (random(&state) % 2)
				g.gr0 = (g.gr0 & 0xc0ffff) |
					(random(&state) % 9) << 24;
			if ((g.gr0 & 0xff000000) == AQIC)
				random_aqic(&state, &g);
			break;
		case 1:
			instruction = nqap_again;
			if (random(&state) % 4)
				g.gr0 = (g.gr0 & 0xffff) | NQAP_LAST;
			random_message(&state, g.r2[0]);
			break;
		default:
			instruction = dqap_again;
			if (random(&state) % 4)
				g.gr0 = (g.gr0 & 0xffff) | DQAP_FIRST;
		}
		/* Partial completion: a few times more */
		for (tries = 0; tries < 8; tries++) {
			cc = instruction(&g);
			if (cc != 1 && cc != 2)
				break;
		}
		cond_resched();
	}
	return 0;
}

static void test_random_instructions(void)
{
	struct task_struct *threads[4];
	unsigned long i, apqn;
	struct registers g;
	int started = 0;

	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		threads[i] = kthread_create(random_instructions, (void *)i,
					    KBUILD_MODNAME "/%lu", i);
		SAME(IS_ERR(threads[i]), false);
		if (IS_ERR(threads[i]))
			continue;
		get_task_struct(threads[i]);
		wake_up_process(threads[i]);
		started++;
	}
	/* A thread that is stopped before it has begun never does. */
	for (i = 0; i < TRIES && atomic_read(&begun) < started; i++)
		usleep_range(100, 200);
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		if (IS_ERR(threads[i]))
			continue;
		SAME(kthread_stop(threads[i]), 0);
		put_task_struct(threads[i]);
	}
	/* No queue may know our page any more. */
	for (apqn = 0; apqn < 0x10000; apqn++)
		pqap(&g, RAPQ | apqn, 0, 0);
	reset(ACCELERATOR);
	reset(CCA);
	reset(EP11);
	reset(SLOW);
}

struct test {
	const char *name;
	void (*run)(void);
};

static int __init ap_instructions_init(void)
{
	static const struct test tests[] = {
		{ "facilities", test_facilities },
		{ "specification exceptions", test_specification_exceptions },
		{ "QCI", test_qci },
		{ "TAPQ", test_tapq },
		{ "a queue that is not there", test_queue_not_there },
		{ "QACT", test_qact },
		{ "request and reply", test_request_and_reply },
		{ "NQAP refused", test_nqap_refused },
		{ "a request in parts", test_request_in_parts },
		{ "a part that comes too late", test_part_too_late },
		{ "a reply in parts", test_reply_in_parts },
		{ "a full queue", test_full_queue },
		{ "a reset in progress", test_reset_in_progress },
		{ "interrupt control takes time", test_interrupt_control },
		{ "invalid NIB and GISA", test_invalid_nib_and_gisa },
		{ "an interrupt by GISA", test_interrupt_by_gisa },
		{ "random instructions", test_random_instructions },
	};
	static const struct test memory_tests[] = {
		{ "memory for messages", test_message_memory },
	};
	const struct test *run = message_memory ? memory_tests : tests;
	const unsigned int number =
		facilities_only || message_memory ? 1 : ARRAY_SIZE(tests);
	unsigned int i;

	buffer = vzalloc(BUFFER_SIZE);
	reply = vzalloc(REPLY_SIZE);
	page = (u8 *)get_zeroed_page(GFP_KERNEL | GFP_DMA);
	if (buffer && reply && page) {
		segment = (u8 *)round_down((unsigned long)buffer + 2 * SEGMENT,
					   SEGMENT);
		pr_info("1..%u\n", number);
		for (i = 0; i < number; i++) {
			nr_bad = 0;
			run[i].run();
			pr_info("%sok %u %s\n", nr_bad ? "not " : "", i + 1,
				run[i].name);
		}
	}
	vfree(buffer);
	vfree(reply);
	free_page((unsigned long)page);
	return -EAGAIN;
}
module_init(ap_instructions_init);

MODULE_DESCRIPTION("Tests of the emulated host's AP instructions");
MODULE_LICENSE("GPL");
