/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest: an instruction server, copied to GUEST_CODE by the monitor.
 *
 * Position independent. GR 15 holds the address of this CPU's mailbox and is
 * never changed; the monitor sets it. DAT is off, the addressing mode 64 bit.
 */
#include "guest.h"

/* Old PSWs and interruption parameters in the prefix area. */
#define LC_EXT_OLD	0x130
#define LC_SVC_OLD	0x140
#define LC_PGM_OLD	0x150
#define LC_MCK_OLD	0x160
#define LC_IO_OLD	0x170
#define LC_RESTART_OLD	0x120
#define LC_EXT_CODE	0x86
#define LC_SVC_CODE	0x8a
#define LC_PGM_CODE	0x8e
#define LC_IO_PARMS	0xb8	/* subchannel id, parameter, word */

	.section .rodata
	.balign	8
	.globl	guest_image, guest_slot, guest_pgm, guest_io_handler, guest_ext
	.globl	guest_svc, guest_mcheck, guest_restart, guest_image_end

guest_image:
next:
	diag	%r0,%r0,GUEST_DIAG
	lt	%r1,MB_OP(%r15)
	jz	next
	chi	%r1,GUEST_OP_ONCE
	je	once
	chi	%r1,GUEST_OP_EXECUTE
	je	execute
	chi	%r1,GUEST_OP_WAIT
	je	wait
	chi	%r1,GUEST_OP_LOOP
	je	loop
	chi	%r1,GUEST_OP_LOOP_IO
	je	loop_io
	chi	%r1,GUEST_OP_PQAP_MARKED
	je	pqap_marked
	j	next

pqap_marked:
	lmg	%r0,%r14,MB_GR(%r15)
	stck	MB_TOD(%r15)
	.long	MARK_BEGIN
	.long	0xb2af0000	/* PQAP */
	.long	MARK_END
	stg	%r1,MB_GR+8(%r15)
	ipm	%r1
	stck	MB_TOD+8(%r15)
	spm	%r1
	lg	%r1,MB_GR+8(%r15)
	j	done

once:
	lmg	%r0,%r14,MB_GR(%r15)
	brasl	%r14,slot
	j	done

execute:
	lmg	%r0,%r14,MB_GR(%r15)
	ex	%r0,MB_INSN(%r15)
done:
	stmg	%r0,%r14,MB_GR(%r15)
	ipm	%r1
	srl	%r1,28
	st	%r1,MB_CC(%r15)
	j	next

/* The monitor stores an instruction here; GR 14 is the return address. */
slot:
guest_slot:
	.fill	3,2,0x0700
	br	%r14

wait:
	lctlg	%c6,%c6,MB_CR6(%r15)
	larl	%r1,next
	stg	%r1,MB_WAIT_PSW+8(%r15)
	lpswe	MB_WAIT_PSW(%r15)

loop_io:
	lctlg	%c6,%c6,MB_CR6(%r15)
	stosm	MB_SAVE(%r15),0x02
loop:
	lmg	%r0,%r13,MB_GR(%r15)
	brasl	%r14,slot
	stmg	%r0,%r13,MB_LOOP_GR(%r15)
	ipm	%r1
	srl	%r1,28
	st	%r1,MB_CC(%r15)
	lg	%r1,MB_LOOPS(%r15)
	aghi	%r1,1
	stg	%r1,MB_LOOPS(%r15)
	ltg	%r1,MB_STOP(%r15)
	jnz	loop_end
	l	%r1,MB_OP(%r15)
	chi	%r1,GUEST_OP_LOOP_IO
	jne	loop
	ltg	%r1,MB_NR_IO(%r15)
	jz	loop
loop_end:
	stnsm	MB_SAVE(%r15),0xfd
	mvc	MB_GR(14*8,%r15),MB_LOOP_GR(%r15)
	j	next

/*
 * One interruption for one operation: whatever else is pending stays pending,
 * because the PSW that is resumed is disabled for I/O, and no wait any more.
 */
guest_io_handler:
	stmg	%r1,%r3,MB_SAVE+8(%r15)
	lg	%r1,MB_NR_IO(%r15)
	lghi	%r2,MB_IO_ENTRIES-1
	ngr	%r2,%r1
	sllg	%r2,%r2,5
	la	%r2,MB_IO(%r2,%r15)
	mvc	0(12,%r2),LC_IO_PARMS
	mvc	16(16,%r2),LC_IO_OLD
	aghi	%r1,1
	stg	%r1,MB_NR_IO(%r15)
	ni	LC_IO_OLD,0xfd
	ni	LC_IO_OLD+1,0xfd
	lmg	%r1,%r3,MB_SAVE+8(%r15)
	lpswe	LC_IO_OLD

guest_pgm:
	stmg	%r0,%r14,MB_GR(%r15)
	llgh	%r1,LC_PGM_CODE
	mvc	MB_OLD_PSW(16,%r15),LC_PGM_OLD
	st	%r1,MB_PGM(%r15)
	j	next

guest_ext:
	stmg	%r0,%r14,MB_GR(%r15)
	llgh	%r1,LC_EXT_CODE
	mvc	MB_OLD_PSW(16,%r15),LC_EXT_OLD
	llilh	%r2,GUEST_PGM_EXTERNAL >> 16
	j	unexpected
guest_svc:
	stmg	%r0,%r14,MB_GR(%r15)
	llgh	%r1,LC_SVC_CODE
	mvc	MB_OLD_PSW(16,%r15),LC_SVC_OLD
	llilh	%r2,GUEST_PGM_SVC >> 16
	j	unexpected
guest_mcheck:
	stmg	%r0,%r14,MB_GR(%r15)
	lghi	%r1,0
	mvc	MB_OLD_PSW(16,%r15),LC_MCK_OLD
	llilh	%r2,GUEST_PGM_MCHECK >> 16
	j	unexpected
guest_restart:
	stmg	%r0,%r14,MB_GR(%r15)
	lghi	%r1,0
	mvc	MB_OLD_PSW(16,%r15),LC_RESTART_OLD
	llilh	%r2,GUEST_PGM_RESTART >> 16
unexpected:
	ogr	%r1,%r2
	st	%r1,MB_PGM(%r15)
	j	next

	.balign	8
guest_image_end:
	.section .note.GNU-stack,"",@progbits
