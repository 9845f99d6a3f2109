/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest code (guest.S) and the machine monitor (vmm.c) agree on.
 *
 * A guest CPU is an instruction server: it leaves SIE with a DIAGNOSE, the
 * monitor writes the next operation into the CPU's mailbox, and the CPU carries
 * it out and leaves again. All of it is in guest absolute storage, so that
 * a test can look at the mailbox while the guest is running, too.
 */
#ifndef VFIO_AP_SELFTEST_GUEST_H
#define VFIO_AP_SELFTEST_GUEST_H

/* Guest absolute addresses. CPU n has its prefix area and mailbox in a block. */
#define GUEST_CODE		0x10000
#define GUEST_CPU_BLOCK		0x20000
#define GUEST_CPU_BLOCK_SIZE	0x4000
#define GUEST_CPU_MAILBOX	0x2000	/* behind the CPU's prefix area */
#define GUEST_DATA		0x40000	/* from here on it is the test's own */

/* The DIAGNOSE code that ends an operation; KVM leaves it to userspace. */
#define GUEST_DIAG		0x501

/* Operations, in MB_OP. */
#define GUEST_OP_EXIT		0	/* nothing: leave again */
#define GUEST_OP_ONCE		1	/* the instruction in the slot, once */
#define GUEST_OP_EXECUTE	2	/* the instruction in MB_INSN, by EXECUTE */
#define GUEST_OP_WAIT		3	/* enabled wait for an I/O interruption */
#define GUEST_OP_LOOP		4	/* the slot again and again until MB_STOP */
#define GUEST_OP_LOOP_IO	5	/* the same, or until an I/O interruption */
#define GUEST_OP_PQAP_MARKED	6	/* PQAP, once, between the marks */

/*
 * Instructions that do nothing (BC with no condition), and by which a counter of
 * instructions, outside of the machine, knows where what it counts begins and
 * ends. In guests, in tools/testing/bench, and known to its meter.c.
 */
#define MARK_BEGIN		0x47000bb1
#define MARK_END		0x47000bb2

/* Offsets in the mailbox; struct guest_mailbox has the same. */
#define MB_OP			0x000
#define MB_INSN			0x008
#define MB_GR			0x010	/* GR 0 to 14; 14 is lost but by EXECUTE */
#define MB_CC			0x088
#define MB_PGM			0x08c	/* interruption code, 0: none */
#define MB_OLD_PSW		0x090	/* of that interruption */
#define MB_LOOPS		0x0a0
#define MB_STOP			0x0a8
#define MB_WAIT_PSW		0x0b0
#define MB_CR6			0x0c0
#define MB_NR_IO		0x0c8
#define MB_SAVE			0x0d0	/* the I/O handler's own */
#define MB_IO			0x100
#define MB_IO_SIZE		32
#define MB_IO_ENTRIES		16
#define MB_LOOP_GR		0x300	/* GR 0 to 13 after each round of a loop */
#define MB_TOD			0x370	/* clock before and after the marks */
#define MB_SIE			0x400	/* behind it, of who has a guest: nested.h */
#define MB_SIE_SIZE		0x200

/* MB_PGM for interruptions that nobody asked for. */
#define GUEST_PGM_EXTERNAL	0x10000
#define GUEST_PGM_SVC		0x20000
#define GUEST_PGM_MCHECK	0x30000
#define GUEST_PGM_RESTART	0x40000

#ifndef __ASSEMBLER__

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct guest_io {
	uint32_t subchannel_id;
	uint32_t parameter;
	uint32_t word;
	uint32_t pad;
	uint64_t old_psw[2];
};

struct guest_mailbox {
	uint32_t op;
	uint32_t pad0;
	uint8_t insn[8];
	uint64_t gr[15];
	uint32_t cc;
	uint32_t pgm;
	uint64_t old_psw[2];
	uint64_t loops;
	uint64_t stop;
	uint64_t wait_psw[2];
	uint64_t cr6;
	uint64_t nr_io;
	uint64_t save[6];
	struct guest_io io[MB_IO_ENTRIES];
	uint64_t loop_gr[14];
	uint64_t tod[2];
};

#define GUEST_CHECK(member, offset)					\
	static_assert(offsetof(struct guest_mailbox, member) == (offset), \
		      #member)
GUEST_CHECK(op, MB_OP);
GUEST_CHECK(insn, MB_INSN);
GUEST_CHECK(gr, MB_GR);
GUEST_CHECK(cc, MB_CC);
GUEST_CHECK(pgm, MB_PGM);
GUEST_CHECK(old_psw, MB_OLD_PSW);
GUEST_CHECK(loops, MB_LOOPS);
GUEST_CHECK(stop, MB_STOP);
GUEST_CHECK(wait_psw, MB_WAIT_PSW);
GUEST_CHECK(cr6, MB_CR6);
GUEST_CHECK(nr_io, MB_NR_IO);
GUEST_CHECK(save, MB_SAVE);
GUEST_CHECK(io, MB_IO);
GUEST_CHECK(loop_gr, MB_LOOP_GR);
GUEST_CHECK(tod, MB_TOD);
static_assert(sizeof(struct guest_io) == MB_IO_SIZE, "guest_io");

/* The image in guest.S, to be copied to GUEST_CODE, and places in it. */
extern const unsigned char guest_image[];
extern const unsigned char guest_slot[];	/* 6 bytes for an instruction */
extern const unsigned char guest_pgm[];		/* program new PSW */
extern const unsigned char guest_io_handler[];	/* I/O new PSW */
extern const unsigned char guest_ext[];
extern const unsigned char guest_svc[];
extern const unsigned char guest_mcheck[];
extern const unsigned char guest_restart[];
extern const unsigned char guest_image_end[];

#endif /* __ASSEMBLER__ */

#endif /* VFIO_AP_SELFTEST_GUEST_H */
