/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small machine monitor on /dev/kvm for s390 guests with AP queues.
 *
 * It makes a guest with the AP facilities, hands it a vfio-ap device, and lets
 * a test execute single instructions in it. Nothing here ends the program:
 * functions return 0 or a negative errno, and vmm->error says what failed.
 */
#ifndef VFIO_AP_SELFTEST_VMM_H
#define VFIO_AP_SELFTEST_VMM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

#include "guest.h"

/*
 * Milliseconds to wait for something that is bound to happen. Only a hang takes that
 * long, however busy the machine is.
 */
extern unsigned int hang_ms;

/* Milliseconds of a clock that is never set. */
uint64_t now_ms(void);

#define VMM_MAX_CPUS	4
#define VMM_ERROR_SIZE	256
#define VMM_MEM_SIZE	0x200000UL	/* of the guest's first memory slot */

/* Facility bits that make up the AP of a CPU model. */
#define VMM_FAC_APQCI	12
#define VMM_FAC_APFT	15
#define VMM_FAC_AQIC	65

struct vmm_config {
	unsigned int cpus;
	bool no_ap;		/* no AP instructions, nor any of the three */
	bool no_apqci;		/* CPU model without facility 12 */
	bool no_apft;		/* CPU model without facility 15 */
	bool no_aqic;		/* CPU model without facility 65 */
	bool nested;		/* with SIE; takes a kvm that was loaded with nested=1 */
};

struct vmm {
	int kvm;
	int vm;
	unsigned int cpus;
	int vcpu[VMM_MAX_CPUS];
	struct kvm_run *run[VMM_MAX_CPUS];
	size_t run_size;
	uint8_t *mem;		/* guest absolute 0 .. VMM_MEM_SIZE */
	int kvm_vfio;		/* the KVM device that takes VFIO files */
	pthread_t thread[VMM_MAX_CPUS];
	int thread_result[VMM_MAX_CPUS];
	bool in_thread[VMM_MAX_CPUS];
	char error[VMM_ERROR_SIZE];
};

/* A vfio-ap device, opened for a guest by group and container, or by iommufd. */
struct vmm_vfio {
	bool cdev;
	int container;		/* or the iommufd */
	int group;
	int device;
	uint32_t ioas;
	char path[64];		/* /dev/vfio/<n> or /dev/vfio/devices/vfio<n> */
	char error[VMM_ERROR_SIZE];
};

int vmm_create(struct vmm *vmm, const struct vmm_config *config);
void vmm_destroy(struct vmm *vmm);

/* Another slot of guest memory; @hva must stay mapped. Size 0 removes it. */
int vmm_memory(struct vmm *vmm, unsigned int slot, uint64_t gpa, uint64_t size,
	       void *hva);

static inline struct guest_mailbox *vmm_mailbox(struct vmm *vmm,
						unsigned int cpu)
{
	return (void *)(vmm->mem + GUEST_CPU_BLOCK +
			cpu * GUEST_CPU_BLOCK_SIZE + GUEST_CPU_MAILBOX);
}

/*
 * Run a CPU until it asks for its next operation.
 *
 * Return: 0, -ETIMEDOUT after @timeout_ms, or -EPROTO when the CPU left SIE
 * for any other reason: vmm->error has it in words, vmm->run[cpu] in detail.
 */
int vmm_run(struct vmm *vmm, unsigned int cpu, unsigned int timeout_ms);

/* Take a CPU out of whatever it does, and make it ready for an operation. */
int vmm_cancel(struct vmm *vmm, unsigned int cpu);

/* vmm_run() in a thread of its own; vmm_join() waits for it, and has its result. */
int vmm_start(struct vmm *vmm, unsigned int cpu, unsigned int timeout_ms);
int vmm_join(struct vmm *vmm, unsigned int cpu);

/* Put an instruction of 2, 4 or 6 bytes, left-aligned in @insn, into the slot. */
void vmm_set_slot(struct vmm *vmm, uint64_t insn);

/*
 * Execute one instruction in the guest, registers from and to the mailbox.
 * The condition code is in the mailbox, and a program interruption code, too.
 */
int vmm_execute(struct vmm *vmm, unsigned int cpu, uint64_t insn);
int vmm_execute_ex(struct vmm *vmm, unsigned int cpu, uint64_t insn);
/* The same with PQAP, between the marks of guest.h. */
int vmm_execute_pqap_marked(struct vmm *vmm, unsigned int cpu);
/*
 * The same in the problem state. It ends with a privileged-operation exception
 * in any case: the instruction's, or that of the DIAGNOSE behind it. Whether
 * it was the instruction's is in @faulted.
 */
int vmm_execute_problem(struct vmm *vmm, unsigned int cpu, uint64_t insn,
			bool *faulted);

/* Let the guest's AP instructions be interpreted, or intercepted. */
int vmm_set_apie(struct vmm *vmm, bool on);

/*
 * When vmm_run() or vmm_execute() fails: did the CPU leave SIE for this
 * instruction, of which @opcode is the first half, for the VMM to care about?
 */
bool vmm_intercepted(struct vmm *vmm, unsigned int cpu, uint16_t opcode);
/* Give the guest a program interruption, and run it until the next operation. */
int vmm_program_interruption(struct vmm *vmm, unsigned int cpu, uint16_t code);

/*
 * Load an enabled wait PSW for the I/O interruption subclasses @iscs (0x80 is
 * ISC 0) and wait for one interruption. -ETIMEDOUT when there is none; the CPU
 * is then taken out of its wait, ready for its next operation.
 * vmm_prepare_wait() is the first half, for a CPU in a thread of its own.
 */
void vmm_prepare_wait(struct vmm *vmm, unsigned int cpu, uint8_t iscs);
int vmm_wait_io(struct vmm *vmm, unsigned int cpu, uint8_t iscs,
		struct guest_io *io, unsigned int timeout_ms);

/* Open, use and close the VFIO device of the mediated device @uuid. */
int vmm_vfio_open_group(struct vmm_vfio *vfio, const char *uuid);
int vmm_vfio_open_cdev(struct vmm_vfio *vfio, const char *uuid);
int vmm_vfio_attach_kvm(struct vmm_vfio *vfio, struct vmm *vmm);
int vmm_vfio_detach_kvm(struct vmm_vfio *vfio, struct vmm *vmm);
int vmm_vfio_get_device(struct vmm_vfio *vfio, const char *uuid);
int vmm_vfio_map(struct vmm_vfio *vfio, uint64_t iova, uint64_t size,
		 void *hva);
int vmm_vfio_unmap(struct vmm_vfio *vfio, uint64_t iova, uint64_t size);
void vmm_vfio_close(struct vmm_vfio *vfio);

/* All of the above in the usual order, guest memory mapped one to one. */
int vmm_vfio_open(struct vmm_vfio *vfio, struct vmm *vmm, const char *uuid,
		  bool cdev);

#endif /* VFIO_AP_SELFTEST_VMM_H */
