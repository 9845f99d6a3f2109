/*
 * Interpretive execution (SIE) for TCG
 *
 * Copyright (c) 2026 the vfio-ap project
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_S390X_TCG_SIE_H
#define TARGET_S390X_TCG_SIE_H

struct CPUArchState;
struct S390Walk;

/*
 * What mmu_translate() and friends return while a guest runs and the access
 * fails in the *host's* translation: the guest cannot be told, interpretation
 * ends and the host gets a program interruption. It is beyond all program
 * interruption codes and never stored.
 */
#define PGM_SIE_HOST_FAULT      0x10000

/* Interception codes: state description, offset 0x50 */
#define SIE_ICPT_INST           0x04
#define SIE_ICPT_PROGI          0x08
#define SIE_ICPT_EXTREQ         0x10
#define SIE_ICPT_EXTINT         0x14
#define SIE_ICPT_IOREQ          0x18
#define SIE_ICPT_WAIT           0x1c
#define SIE_ICPT_VALIDITY       0x20
#define SIE_ICPT_STOP           0x28
#define SIE_ICPT_OPEREXC        0x2c
#define SIE_ICPT_PARTEXEC       0x38
#define SIE_ICPT_KSS            0x5c

/* Stop, I/O and external requests in the first byte of the description */
#define SIE_REQUEST_MASK        0x07

/**
 * S390SIETLBTag: all that a guest's address translation depends on besides the
 * tables in storage. While it stays the same, and the state description is run
 * on no other CPU, translations are kept from one SIE to the next.
 */
typedef struct S390SIETLBTag {
    uint8_t *block;
    uint64_t cr0;
    uint64_t cr1;
    uint64_t cr7;
    uint64_t cr13;
    uint64_t prefix;
    uint64_t mso;
    uint64_t msl;
    uint64_t host_cr0;
    uint64_t host_cr1;
    uint64_t host_prefix;
} S390SIETLBTag;

/**
 * S390SIEState: what a CPU that interprets a guest keeps besides the guest's
 * registers, which are in CPUS390XState itself while @active is set.
 *
 * All of it belongs to the CPU's own thread, but for the state description and
 * the GISA, which other CPUs of the host change at any time.
 */
typedef struct S390SIEState {
    bool active;
    bool per;                   /* the host wants to see PER events */
    uint8_t pending_icpt;       /* to be taken when the interruption is done */
    uint8_t *block;             /* the state description, 512 bytes */
    uint8_t *gisa;              /* or NULL */
    uint64_t gisa_addr;

    /* the host's registers that have the guest's values meanwhile */
    struct {
        uint64_t mask;
        uint64_t addr;          /* of the SIE instruction */
    } host_psw;
    uint64_t host_cregs[16];
    uint64_t host_psa;
    uint64_t host_gbea;
    uint64_t host_pp;
    uint64_t host_gr14;
    uint64_t host_gr15;
    uint32_t host_todpr;

    /* the guest's clock and timers */
    uint64_t epoch;             /* guest TOD = host TOD + epoch */
    uint64_t ckc;               /* in guest TOD */
    uint64_t cputm;             /* CPU timer at cputm_start, TOD units */
    int64_t cputm_start;        /* QEMU_CLOCK_VIRTUAL, ns */

    /* guest storage: origin and limit in host primary space */
    uint64_t mso;
    uint64_t msl;

    /* whose translations the TLB has */
    S390SIETLBTag tlb_tag;

    /* the host fault behind PGM_SIE_HOST_FAULT */
    int fault_code;
    uint64_t fault_tec;
} S390SIEState;

#define s390_sie_active(env) unlikely((env)->sie.active)

/* Translation */
int s390_sie_walk(struct CPUArchState *env, struct S390Walk *walk,
                  uint64_t gaddr, int rw, uint64_t *addr, int *flags);
int s390_sie_host_translate(struct CPUArchState *env, uint64_t gaddr, int rw,
                            uint64_t *addr, int *flags);
int s390_sie_host_walk(struct CPUArchState *env, uint64_t gaddr,
                       uint64_t *addr, uint64_t *pte);
uint8_t *s390_sie_host_ram(uint64_t addr, uint64_t size);
void s390_sie_host_dirty(void *ram, uint64_t size);
uint64_t s390_sie_guest_abs(struct CPUArchState *env, uint64_t gaddr, int rw,
                            uintptr_t ra);
uint64_t s390_sie_lowcore(struct CPUArchState *env, uintptr_t ra);
uint16_t s390_sie_host_idxmap(struct CPUArchState *env);

/* End interpretation, as an interruption of the host does */
void s390_sie_end(struct CPUArchState *env);

/* Interruptions */
int s390_sie_interruption(CPUState *cs);
void s390_sie_interruption_done(CPUState *cs, int excp);
bool s390_sie_exec_interrupt(CPUState *cs);
bool s390_sie_program_intercepted(struct CPUArchState *env);
void s390_sie_wait(struct CPUArchState *env);

/* Interceptions */
bool s390_sie_insn_checked(uint16_t op);
G_NORETURN void s390_sie_intercept_insn(struct CPUArchState *env,
                                        uintptr_t ra);
void s390_sie_check_mvpg(struct CPUArchState *env, uint64_t src, uint64_t dst,
                         uintptr_t ra);

/* The interlock of the guest's table updates with the host */
void s390_sie_ipte_lock(struct CPUArchState *env, uintptr_t ra);
void s390_sie_ipte_unlock(struct CPUArchState *env);

/* The guest's clock */
uint64_t s390_sie_tod(struct CPUArchState *env, uint64_t host_tod);
uint64_t s390_sie_stpt(struct CPUArchState *env);
void s390_sie_spt(struct CPUArchState *env, uint64_t value);
void s390_sie_sckc(struct CPUArchState *env, uint64_t value);

/* STORE FACILITY LIST EXTENDED: the list that the host gave the guest */
const uint8_t *s390_sie_facilities(struct CPUArchState *env, uintptr_t ra);
/* The same list, for instructions that depend on a facility */
bool s390_sie_has_facility(struct CPUArchState *env, unsigned int nr);

/* Storage keys and page states of the guest */
uint8_t s390_sie_iske(struct CPUArchState *env, uint64_t gaddr, uintptr_t ra);
void s390_sie_sske(struct CPUArchState *env, uint64_t gaddr, uint8_t key,
                   uintptr_t ra);
uint8_t s390_sie_rrbe(struct CPUArchState *env, uint64_t gaddr, uintptr_t ra);
bool s390_sie_cbrl_has_room(struct CPUArchState *env);
void s390_sie_cbrl_add(struct CPUArchState *env, uint64_t gaddr);

/* AP: whether, and on which queues, the guest's instructions are interpreted */
bool s390_sie_ap_interpreted(struct CPUArchState *env);
void s390_sie_ap_masks(struct CPUArchState *env, uint64_t apm[4],
                       uint64_t aqm[4], uint64_t adm[4]);

/* A bit of the GISA's IPM was set: let the CPUs that run its guest look. */
void s390_sie_gisa_kick(uint64_t gisa_addr);

#endif
