/*
 * Interpretive execution (SIE) for TCG
 *
 * START INTERPRETIVE EXECUTION makes a CPU run a guest: the CPU's registers
 * get the guest's values from the state description (struct kvm_s390_sie_block
 * in Linux' arch/s390/include/asm/kvm_host_types.h names its fields), and every
 * guest absolute address is translated once more, by the host's primary
 * address space. The guest runs until an interception, a host interruption or
 * a host translation exception puts the host's values back.
 *
 * Rules that the rest of the target relies on:
 * - While env->sie.active is set, CPUS390XState holds the guest's registers,
 *   but for the clock comparator and the CPU timer, which stay the host's.
 * - Host and guest have MMU indexes of their own, and translation blocks of the
 *   two sides differ by FLAG_MASK_SIE. The TLB keeps what it has of a guest
 *   until another one is run (S390SIETLBTag), or until the host invalidates
 *   anything.
 * - State is exchanged only where CPUS390XState is complete: in helpers after
 *   cpu_restore_state(), or in the main loop (do_interrupt, exec_interrupt).
 *   A fault inside a helper therefore only records PGM_SIE_HOST_FAULT.
 * - An interception leaves the host's PSW behind the SIE instruction, all else
 *   at the SIE instruction.
 *
 * Copyright (c) 2026 the vfio-ap project
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/log.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "qemu/atomic.h"
#include "cpu.h"
#include "s390x-internal.h"
#include "tcg_s390x.h"
#include "sie.h"
#include "exec/helper-proto.h"
#include "exec/exec-all.h"
#include "exec/cputlb.h"
#include "exec/address-spaces.h"
#include "hw/core/cpu.h"
#include "hw/s390x/tod.h"
#include "hw/s390x/s390_flic.h"
#include "migration/misc.h"
#include "system/runstate.h"
#include "s390-tod.h"
#include "tcg/tcg.h"

/* The state description: offsets of what is used here */
enum {
    SIE_CPUFLAGS    = 0x000,
    SIE_PREFIX      = 0x004,
    SIE_CPUTM       = 0x028,
    SIE_CKC         = 0x030,
    SIE_EPOCH       = 0x038,
    SIE_LCTL        = 0x044,
    SIE_ICTL        = 0x048,
    SIE_ECA         = 0x04c,
    SIE_ICPTCODE    = 0x050,
    SIE_ICPTSTATUS  = 0x051,
    SIE_IHCPU       = 0x052,
    SIE_IPA         = 0x056,
    SIE_IPB         = 0x058,
    SIE_SCAOH       = 0x05c,
    SIE_ECB         = 0x061,
    SIE_ECB2        = 0x062,
    SIE_SCAOL       = 0x064,
    SIE_TODPR       = 0x06c,
    SIE_GD          = 0x070,
    SIE_MSO         = 0x080,
    SIE_MSL         = 0x088,
    SIE_GPSW_MASK   = 0x090,
    SIE_GPSW_ADDR   = 0x098,
    SIE_GG14        = 0x0a0,
    SIE_GG15        = 0x0a8,
    SIE_EXTCPUADDR  = 0x0c4,
    SIE_EIC         = 0x0c6,
    SIE_PGMILC      = 0x0cc,
    SIE_IPRCC       = 0x0ce,
    SIE_DXC         = 0x0d0,
    SIE_MCN         = 0x0d4,
    SIE_PERC        = 0x0d6,
    SIE_PERADDR     = 0x0d8,
    SIE_EAI         = 0x0e0,
    SIE_PERAID      = 0x0e1,
    SIE_OAI         = 0x0e2,
    SIE_TECMC       = 0x0e8,
    SIE_CRYCBD      = 0x0fc,
    SIE_GCR         = 0x100,
    SIE_GBEA        = 0x180,
    SIE_FAC         = 0x1a0,
    SIE_CBRLO       = 0x1b8,
    SIE_PP          = 0x1de,
    SIE_BLOCK_SIZE  = 0x200,
};

/* Why a state description is not valid: the others are in sie_validity() */
#define VALIDITY_PREFIX         0x0037

#define CPUFLAGS_STOP_INT       0x04000000u
#define CPUFLAGS_IO_INT         0x02000000u
#define CPUFLAGS_EXT_INT        0x01000000u
#define CPUFLAGS_RRF            0x00008000u
#define CPUFLAGS_SLSV           0x00004000u
#define CPUFLAGS_SLSR           0x00002000u
#define CPUFLAGS_ZARCH          0x00000800u
#define CPUFLAGS_KSS            0x00000200u
#define CPUFLAGS_MCDS           0x00000100u
#define CPUFLAGS_SM             0x00000080u
#define CPUFLAGS_P              0x00000001u

#define ICTL_OPEREXC            0x80000000u
#define ICTL_PINT               0x20000000u
#define ICTL_LPSW               0x00400000u
#define ICTL_STCTL              0x00040000u
#define ICTL_ISKE               0x00004000u
#define ICTL_SSKE               0x00002000u
#define ICTL_RRBE               0x00001000u

#define ECA_MVPGI               0x01000000u
#define ECA_AIV                 0x00200000u
#define ECA_APIE                0x00000008u
#define ECA_SII                 0x00000001u

#define ECB_SPECI               0x08

#define ECB2_CMMA               0x80

/* List of pages that the guest gave up: where the next entry goes */
#define CBRL_OFFSET_MASK        0xff8ull
#define CBRL_FULL               0xff8

#define MS_OFFSET_MASK          0xfffffull

/*
 * System control area: up to the entries of the CPUs. It begins with the control
 * of updates of the guest's translation tables.
 */
#define SCA_HEADER_SIZE         64
#define SCA_IPTE_LOCKED         0x8000000000000000ull
#define SCA_IPTE_GUEST_CPU      1ull    /* in the number of them */

#define ICPTSTATUS_EXECUTE      0x01
#define ICPTSTATUS_PER_IFETCH   0x02
#define ICPTSTATUS_ILEN_SHIFT   4

#define GISA_SIZE               32
#define GISA_IPM                4       /* byte offset, both formats */
#define GD_ORIGIN_MASK          0xfffffff0u

#define CRYCB_FORMAT_MASK       3u
#define CRYCB_FORMAT_0          0u
#define CRYCB_FORMAT_1          1u
#define CRYCB_FORMAT_NONE       2u
#define CRYCB_FORMAT_2          3u
#define CRYCB_ORIGIN_MASK       0x7ffffff8u
/*
 * APCB origins in the CRYCB: three doublewords, of which 64, 16 and 16 bits
 * count; three times 256 bits
 */
#define CRYCB_APCB0             0x00
#define CRYCB_APCB1             0x80

static const uint32_t crycb_sizes[] = {
    [CRYCB_FORMAT_0] = 32,
    [CRYCB_FORMAT_1] = 128,
    [CRYCB_FORMAT_NONE] = 32,
    [CRYCB_FORMAT_2] = 256,
};

#define SIE_INSN_LEN            4

/**
 * s390_sie_host_ram: storage of the host by absolute address, or NULL. RAM of
 * the machine never goes away, so that the pointer stays good while the guest
 * runs.
 */
uint8_t *s390_sie_host_ram(uint64_t addr, uint64_t size)
{
    hwaddr xlat, len = size;
    MemoryRegion *mr;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, addr, &xlat, &len,
                                 true, MEMTXATTRS_UNSPECIFIED);
    if (len < size || !memory_region_is_ram(mr) ||
        memory_region_is_rom(mr)) {
        return NULL;
    }
    return (uint8_t *)memory_region_get_ram_ptr(mr) + xlat;
}

/*
 * Storage of the host that s390_sie_host_ram() has found was changed: tell
 * migration, if it is under way.
 */
void s390_sie_host_dirty(void *ram, uint64_t size)
{
    ram_addr_t offset;
    MemoryRegion *mr;

    if (likely(!global_dirty_tracking)) {
        return;
    }
    RCU_READ_LOCK_GUARD();
    mr = memory_region_from_host(ram, &offset);
    memory_region_set_dirty(mr, offset, size);
}

/* Another CPU changes these at any time. */
static uint32_t sie_cpuflags(CPUS390XState *env)
{
    return be32_to_cpu(qatomic_read((uint32_t *)(env->sie.block +
                                                 SIE_CPUFLAGS)));
}

static uint32_t sie_ictl(CPUS390XState *env)
{
    return ldl_be_p(env->sie.block + SIE_ICTL);
}

/*
 * Translation
 */

static bool sie_beyond_limit(S390SIEState *sie, uint64_t gaddr)
{
    const uint64_t addr = gaddr + sie->mso;

    return addr > sie->msl || addr < gaddr;
}

/*
 * A walk of the host's tables by the host's controls, which is part of @walk of
 * the guest. @host: what else comes out of it.
 */
static int sie_host_walk(CPUS390XState *env, S390Walk *walk, S390Walk *host,
                         uint64_t gaddr, int rw, uint64_t *addr, int *flags)
{
    const S390SIEState *sie = &env->sie;
    target_ulong raddr = 0;
    uint64_t tec = 0;
    int exc;

    *host = (S390Walk) {
        /* Low-address protection is about the host's logical addresses only. */
        .cr0 = sie->host_cregs[0] & ~CR0_LOWPROT,
        .prefix = sie->host_psa,
        .dat = true,
        .debug = walk->debug,
    };
    if (sie_beyond_limit(&env->sie, gaddr)) {
        return PGM_ADDRESSING;
    }
    exc = s390_walk(env, host, gaddr + sie->mso, rw, PSW_ASC_PRIMARY,
                    sie->host_cregs[1], &raddr, flags, &tec);
    if (exc) {
        walk->fault_code = exc;
        walk->fault_tec = tec;
        return PGM_SIE_HOST_FAULT;
    }
    *addr = raddr;
    return 0;
}

/**
 * s390_sie_walk: translate a guest absolute address to a host absolute one, by
 * the host's tables and controls, as a part of @walk.
 * @rw: an MMUAccessType
 * @flags: the host's protection is taken off these PAGE_* bits
 *
 * Returns 0, PGM_ADDRESSING (beyond the guest's storage limit), or
 * PGM_SIE_HOST_FAULT with the fault recorded in @walk.
 */
int s390_sie_walk(CPUS390XState *env, S390Walk *walk, uint64_t gaddr, int rw,
                  uint64_t *addr, int *flags)
{
    S390Walk host;
    int host_flags, exc;
    uint64_t page;

    exc = sie_host_walk(env, walk, &host, gaddr, rw, &page, &host_flags);
    if (exc) {
        return exc;
    }
    *addr = page | (gaddr & ~TARGET_PAGE_MASK);
    *flags &= host_flags | ~(PAGE_READ | PAGE_WRITE | PAGE_EXEC);
    return 0;
}

/* s390_sie_host_translate: the same alone, with the fault recorded in env */
int s390_sie_host_translate(CPUS390XState *env, uint64_t gaddr, int rw,
                            uint64_t *addr, int *flags)
{
    S390Walk walk;

    s390_walk_init(env, &walk);
    return s390_walk_done(env, &walk, s390_sie_walk(env, &walk, gaddr, rw, addr,
                                                    flags));
}

/**
 * s390_sie_host_walk: find a guest's page, without an access to it.
 * @addr: its host absolute address if there is one, otherwise 0
 * @pte: the host absolute address of its page-table entry, or 0 if the host has
 *       no page table there, or maps a large page
 *
 * Returns what s390_sie_host_translate() does.
 */
int s390_sie_host_walk(CPUS390XState *env, uint64_t gaddr, uint64_t *addr,
                       uint64_t *pte)
{
    S390Walk walk, host;
    int flags, exc;

    s390_walk_init(env, &walk);
    *addr = 0;
    exc = sie_host_walk(env, &walk, &host, gaddr, MMU_S390_LRA, addr, &flags);
    *pte = host.pte;
    if (exc) {
        return s390_walk_done(env, &walk, exc);
    }
    *addr = s390_real2abs(host.prefix, *addr);
    return 0;
}

/**
 * s390_sie_guest_abs: the host absolute address of a guest absolute one, for
 * helpers that work on absolute storage. Does not return on a fault.
 */
uint64_t s390_sie_guest_abs(CPUS390XState *env, uint64_t gaddr, int rw,
                            uintptr_t ra)
{
    int flags = PAGE_READ | PAGE_WRITE | PAGE_EXEC;
    uint64_t addr;
    int exc;

    exc = s390_sie_host_translate(env, gaddr, rw, &addr, &flags);
    if (exc) {
        tcg_s390_program_interrupt(env, exc, ra);
    }
    return addr;
}

/**
 * s390_sie_lowcore: the host absolute address of the guest's lowcore, of which
 * only the first page is contiguous. All that the CPU itself stores at an
 * interruption is there.
 */
uint64_t s390_sie_lowcore(CPUS390XState *env, uintptr_t ra)
{
    return s390_sie_guest_abs(env, env->psa, MMU_DATA_STORE, ra);
}

/* Has any CPU run a guest yet? Spares other machines the flushes for guests. */
static bool sie_used;

/**
 * s390_sie_host_idxmap: the MMU indexes that have translations by the host's
 * tables under addresses that are not the host's. To be flushed, too, when the
 * host invalidates anything, and after that is stored.
 */
uint16_t s390_sie_host_idxmap(CPUS390XState *env)
{
    /* What changed is stored first; pairs with the barrier at SIE's entry. */
    smp_mb();
    return !env->sie.active && qatomic_read(&sie_used) ? MMU_SIE_IDXMAP : 0;
}

static S390SIETLBTag sie_tlb_tag(CPUS390XState *env)
{
    const uint64_t cr0_mask = CR0_LOWPROT | CR0_EDAT | CR0_IEP;
    const S390SIEState *sie = &env->sie;

    return (S390SIETLBTag) {
        .block = sie->block,
        .cr0 = env->cregs[0] & cr0_mask,
        .cr1 = env->cregs[1],
        .cr7 = env->cregs[7],
        .cr13 = env->cregs[13],
        .prefix = env->psa,
        .mso = sie->mso,
        .msl = sie->msl,
        .host_cr0 = sie->host_cregs[0] & cr0_mask,
        .host_cr1 = sie->host_cregs[1],
        .host_prefix = sie->host_psa,
    };
}

/*
 * A guest is entered. Its state description says on which CPU it was last; the
 * host changes that if it wants all translations to be forgotten.
 */
static void sie_tlb_enter(CPUS390XState *env)
{
    const S390SIETLBTag tag = sie_tlb_tag(env);
    uint8_t *ihcpu = env->sie.block + SIE_IHCPU;

    if (lduw_be_p(ihcpu) != (uint16_t)env->core_id ||
        memcmp(&env->sie.tlb_tag, &tag, sizeof(tag))) {
        stw_be_p(ihcpu, env->core_id);
        s390_sie_host_dirty(ihcpu, sizeof(uint16_t));
        tlb_flush_by_mmuidx(env_cpu(env), MMU_SIE_IDXMAP);
    }
}

/*
 * The guest's clock and timers
 */

static uint64_t host_tod(void)
{
    S390TODState *td = s390_get_todstate();
    S390TOD tod;

    S390_TOD_GET_CLASS(td)->get(td, &tod, &error_abort);
    return tod.low;
}

uint64_t s390_sie_tod(CPUS390XState *env, uint64_t tod)
{
    return tod + env->sie.epoch;
}

uint64_t s390_sie_stpt(CPUS390XState *env)
{
    int64_t elapsed = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) -
                      env->sie.cputm_start;

    return env->sie.cputm - time2tod(elapsed);
}

static bool sie_ckc_pending(CPUS390XState *env)
{
    return s390_sie_tod(env, host_tod()) > env->sie.ckc;
}

static bool sie_cputm_pending(CPUS390XState *env)
{
    return (int64_t)s390_sie_stpt(env) < 0;
}

static void sie_timer_expired(void *opaque)
{
    cpu_interrupt(opaque, CPU_INTERRUPT_HARD);
}

/*
 * Wake up for whichever of clock comparator and CPU timer comes first; what
 * has come already is looked at at once.
 */
static void sie_set_timer(CPUS390XState *env)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    int64_t when = INT64_MAX;
    uint64_t tod = s390_sie_tod(env, host_tod());
    int64_t left = s390_sie_stpt(env);

    if (env->sie.ckc != UINT64_MAX) {
        uint64_t delta = env->sie.ckc > tod ? env->sie.ckc - tod : 0;

        /* beyond 100 years: never, and no overflow */
        if (delta < (1ull << 62)) {
            when = now + tod2time(delta) + 1;
        }
    }
    if (left < (1ll << 62)) {
        when = MIN(when, left < 0 ? now : now + (int64_t)tod2time(left) + 1);
    }

    if (!env->sie_timer) {
        env->sie_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, sie_timer_expired,
                                      env_cpu(env));
    }
    if (when == INT64_MAX) {
        timer_del(env->sie_timer);
    } else {
        timer_mod(env->sie_timer, when);
    }
}

void s390_sie_spt(CPUS390XState *env, uint64_t value)
{
    env->sie.cputm = value;
    env->sie.cputm_start = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    sie_set_timer(env);
}

void s390_sie_sckc(CPUS390XState *env, uint64_t value)
{
    env->sie.ckc = value;
    sie_set_timer(env);
}

/*
 * Entry and exit
 */

/* The ranges in CR10 and CR11 are one side's only. */
static void sie_per_changed(CPUS390XState *env, bool before)
{
    if (before || s390_cpu_per_enabled(env)) {
        s390_cpu_recompute_watchpoints(env_cpu(env));
    }
}

/*
 * Give the CPU back to the host, with the PSW at the SIE instruction or
 * @advance bytes behind.
 */
static void sie_leave(CPUS390XState *env, int advance)
{
    S390SIEState *sie = &env->sie;
    uint8_t *block = sie->block;
    const bool per = s390_cpu_per_enabled(env);
    int i;

    stq_be_p(block + SIE_GPSW_MASK, s390_cpu_get_psw_mask(env));
    stq_be_p(block + SIE_GPSW_ADDR, env->psw.addr);
    stq_be_p(block + SIE_GG14, env->regs[14]);
    stq_be_p(block + SIE_GG15, env->regs[15]);
    for (i = 0; i < 16; i++) {
        stq_be_p(block + SIE_GCR + i * 8, env->cregs[i]);
    }
    stq_be_p(block + SIE_CPUTM, s390_sie_stpt(env));
    stq_be_p(block + SIE_CKC, sie->ckc);
    stl_be_p(block + SIE_TODPR, env->todpr);
    stq_be_p(block + SIE_GBEA, env->gbea);
    stq_be_p(block + SIE_PP, env->pp);

    timer_del(env->sie_timer);
    sie->tlb_tag = sie_tlb_tag(env);
    qatomic_set(&sie->active, false);
    sie->pending_icpt = 0;
    env->ex_value = 0;
    /* An event of an instruction that was not done is none, least the host's. */
    env->per_perc_atmid = 0;

    env->regs[14] = sie->host_gr14;
    env->regs[15] = sie->host_gr15;
    memcpy(env->cregs, sie->host_cregs, sizeof(env->cregs));
    env->psa = sie->host_psa;
    env->gbea = sie->host_gbea;
    env->pp = sie->host_pp;
    env->todpr = sie->host_todpr;
    s390_cpu_set_psw(env, sie->host_psw.mask, sie->host_psw.addr + advance);
    sie_per_changed(env, per);
    s390_sie_host_dirty(block, SIE_BLOCK_SIZE);
}

/**
 * s390_sie_end: end interpretation if the CPU, which does not run now, is in the
 * middle of it. The PSW stays at the SIE instruction, which goes on with the
 * guest when it is done again.
 */
void s390_sie_end(CPUS390XState *env)
{
    if (s390_sie_active(env)) {
        sie_leave(env, 0);
    }
}

/*
 * PER events of instructions that are done, whose interruption could not be
 * stored because the host had to be asked for the page: by the state
 * description's address, until it is run again, on whichever CPU.
 */
typedef struct SIEPEREvent {
    uint64_t mask;
    uint64_t addr;
    uint64_t address;
    uint32_t ilen;
    uint16_t perc_atmid;
    uint8_t access_id;
} SIEPEREvent;

static QemuMutex sie_per_lock;
static GHashTable *sie_per_events;
static unsigned int sie_nr_per_events;

static SIEPEREvent sie_per_event(CPUS390XState *env)
{
    return (SIEPEREvent) {
        .mask = s390_cpu_get_psw_mask(env),
        .addr = env->psw.addr,
        .address = env->per_address,
        .ilen = env->int_pgm_ilen,
        .perc_atmid = env->per_perc_atmid,
        .access_id = env->per_access_id,
    };
}

static void sie_keep_per_event(uint8_t *block, const SIEPEREvent *event)
{
    QEMU_LOCK_GUARD(&sie_per_lock);
    g_hash_table_replace(sie_per_events, block,
                         g_memdup2(event, sizeof(*event)));
    qatomic_set(&sie_nr_per_events, g_hash_table_size(sie_per_events));
}

/* The guest is entered: make its event pending again, if it has one. */
static void sie_restore_per_event(CPUS390XState *env)
{
    g_autofree SIEPEREvent *event = NULL;

    if (likely(!qatomic_read(&sie_nr_per_events))) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&sie_per_lock) {
        g_hash_table_steal_extended(sie_per_events, env->sie.block, NULL,
                                    (gpointer *)&event);
        qatomic_set(&sie_nr_per_events, g_hash_table_size(sie_per_events));
    }
    /* Not if the host has changed the PSW, or has made another description. */
    if (event && event->mask == s390_cpu_get_psw_mask(env) &&
        event->addr == env->psw.addr && env_cpu(env)->exception_index == -1) {
        env->per_address = event->address;
        env->per_perc_atmid = event->perc_atmid;
        env->per_access_id = event->access_id;
        env->int_pgm_ilen = event->ilen;
        trigger_pgm_exception(env, PGM_PER);
    }
}

/*
 * What is saved of a CPU is the host's, and of its guest the state description,
 * which has to be up to date before the last of the storage is written.
 */
static int sie_precopy_notify(NotifierWithReturn *notifier, void *data,
                              Error **errp)
{
    const PrecopyNotifyData *precopy = data;
    CPUState *cs;

    if (runstate_is_running() ||
        (precopy->reason != PRECOPY_NOTIFY_SETUP &&
         precopy->reason != PRECOPY_NOTIFY_COMPLETE)) {
        return 0;
    }
    CPU_FOREACH(cs) {
        s390_sie_end(cpu_env(cs));
    }
    return 0;
}

/* Before any CPU runs a guest for the first time */
static void sie_first_use(void)
{
    static NotifierWithReturn notifier = { .notify = sie_precopy_notify };

    bql_lock();
    if (!sie_used) {
        qemu_mutex_init(&sie_per_lock);
        sie_per_events = g_hash_table_new_full(NULL, NULL, NULL, g_free);
        precopy_add_notifier(&notifier);
        qatomic_set(&sie_used, true);
    }
    bql_unlock();
}

static void sie_intercept(CPUS390XState *env, uint8_t code)
{
    stb_p(env->sie.block + SIE_ICPTCODE, code);
    stb_p(env->sie.block + SIE_ICPTSTATUS, 0);
    sie_leave(env, SIE_INSN_LEN);
}

/*
 * Intercept with the instruction's text: @insn is left aligned and zero
 * padded, @ilen the length of the EXECUTE if it is an EXECUTE's target.
 */
static void sie_intercept_text(CPUS390XState *env, uint8_t code, uint64_t insn,
                               bool execute, int ilen)
{
    uint8_t *block = env->sie.block;
    uint8_t status = 0;

    if (execute) {
        status |= ICPTSTATUS_EXECUTE | ilen << ICPTSTATUS_ILEN_SHIFT;
    }
    if (env->per_perc_atmid & PER_CODE_EVENT_IFETCH) {
        status |= ICPTSTATUS_PER_IFETCH;
    }
    env->per_perc_atmid = 0;
    stb_p(block + SIE_ICPTCODE, code);
    stb_p(block + SIE_ICPTSTATUS, status);
    stw_be_p(block + SIE_IPA, insn >> 48);
    stl_be_p(block + SIE_IPB, insn >> 16);
    env->psw.addr = wrap_address(env, env->psw.addr + ilen);
    sie_leave(env, SIE_INSN_LEN);
}

/* The bits of the IPM, leftmost is ISC 0, that the guest can take now. */
static uint8_t sie_gisa_deliverable(CPUS390XState *env)
{
    if (!env->sie.gisa || !(env->psw.mask & PSW_MASK_IO)) {
        return 0;
    }
    return qatomic_read(env->sie.gisa + GISA_IPM) & (env->cregs[6] >> 24);
}

/* Is anything pending that depends on what the guest is enabled for? */
static bool sie_pending(CPUS390XState *env)
{
    if (sie_cpuflags(env) & (CPUFLAGS_STOP_INT | CPUFLAGS_IO_INT |
                             CPUFLAGS_EXT_INT)) {
        return true;
    }
    if (env->sie.gisa && qatomic_read(env->sie.gisa + GISA_IPM)) {
        return true;
    }
    return sie_ckc_pending(env) || sie_cputm_pending(env);
}


/* The host's part of the translation failed: it gets the interruption. */
static void sie_host_fault(CPUS390XState *env)
{
    const int code = env->sie.fault_code;
    const uint64_t tec = env->sie.fault_tec;

    sie_leave(env, 0);
    env->tlb_fill_exc = code;
    env->tlb_fill_tec = tec;
    env->tlb_fill_ar = 0;
    env->int_pgm_ilen = SIE_INSN_LEN;
    env_cpu(env)->exception_index = -1;
    trigger_pgm_exception(env, code);
}

static void sie_intercept_validity(uint8_t *block, uint16_t reason)
{
    stb_p(block + SIE_ICPTCODE, SIE_ICPT_VALIDITY);
    stb_p(block + SIE_ICPTSTATUS, 0);
    stw_be_p(block + SIE_IPA, 0x1000);
    stl_be_p(block + SIE_IPB, (uint32_t)reason << 16);
    s390_sie_host_dirty(block, SIE_BLOCK_SIZE);
}

/* Can an interruption be stored? If not, the host has been told. */
static bool sie_prefix_accessible(CPUS390XState *env)
{
    int flags = PAGE_READ | PAGE_WRITE | PAGE_EXEC;
    uint64_t addr;
    int exc;

    exc = s390_sie_host_translate(env, env->psa, MMU_DATA_STORE, &addr,
                                  &flags);
    if (!exc) {
        return true;
    }
    if (exc == PGM_ADDRESSING) {
        uint8_t *block = env->sie.block;

        sie_leave(env, SIE_INSN_LEN);
        sie_intercept_validity(block, VALIDITY_PREFIX);
        return false;
    }
    sie_host_fault(env);
    return false;
}

/* The code of the external interruption that the guest can take now, or 0 */
static uint16_t sie_timer_due(CPUS390XState *env)
{
    if (!(env->psw.mask & PSW_MASK_EXT)) {
        return 0;
    }
    if ((env->cregs[0] & CR0_CKC_SC) && sie_ckc_pending(env)) {
        return EXT_CLOCK_COMP;
    }
    if ((env->cregs[0] & CR0_CPU_TIMER_SC) && sie_cputm_pending(env)) {
        return EXT_CPU_TIMER;
    }
    return 0;
}

/*
 * Deliver the interruption by the guest's clock comparator or CPU timer. It is
 * intercepted instead if the host has another one, which may come first, and if
 * there would be no end of it because the new PSW is enabled. Returns whether
 * anything happened.
 */
static bool sie_deliver_timer(CPUS390XState *env)
{
    const uint16_t code = sie_timer_due(env);
    uint64_t mask, addr;
    LowCore *lowcore;

    if (!code) {
        return false;
    }
    if (!sie_prefix_accessible(env)) {
        return true;
    }

    lowcore = cpu_map_lowcore(env);
    mask = be64_to_cpu(lowcore->external_new_psw.mask);
    addr = be64_to_cpu(lowcore->external_new_psw.addr);
    if ((mask & PSW_MASK_EXT) || (sie_cpuflags(env) & CPUFLAGS_EXT_INT)) {
        cpu_unmap_lowcore(env, lowcore);
        stw_be_p(env->sie.block + SIE_EIC, code);
        stw_be_p(env->sie.block + SIE_EXTCPUADDR, 0);
        sie_intercept(env, SIE_ICPT_EXTINT);
        return true;
    }
    lowcore->ext_int_code = cpu_to_be16(code);
    lowcore->cpu_addr = 0;
    lowcore->external_old_psw.mask = cpu_to_be64(s390_cpu_get_psw_mask(env));
    lowcore->external_old_psw.addr = cpu_to_be64(env->psw.addr);
    cpu_unmap_lowcore(env, lowcore);

    env->sie.pending_icpt = 0;
    s390_cpu_set_psw(env, mask, addr);
    s390_sie_interruption_done(env_cpu(env), EXCP_EXT);
    return true;
}

/*
 * Take what a request in the state description, or a timer, asks for. Returns
 * whether anything happened.
 */
static bool sie_take_request(CPUS390XState *env)
{
    uint32_t flags = sie_cpuflags(env);

    if (flags & CPUFLAGS_STOP_INT) {
        sie_intercept(env, SIE_ICPT_STOP);
        return true;
    }
    if (sie_deliver_timer(env)) {
        return true;
    }
    if ((flags & CPUFLAGS_EXT_INT) && (env->psw.mask & PSW_MASK_EXT)) {
        sie_intercept(env, SIE_ICPT_EXTREQ);
        return true;
    }
    if ((flags & CPUFLAGS_IO_INT) && (env->psw.mask & PSW_MASK_IO)) {
        sie_intercept(env, SIE_ICPT_IOREQ);
        return true;
    }
    return false;
}

/*
 * Deliver the most urgent adapter interruption of the GISA. Returns whether
 * anything happened.
 */
static bool sie_deliver_gisa(CPUS390XState *env)
{
    uint8_t deliverable = sie_gisa_deliverable(env);
    uint64_t mask, addr;
    LowCore *lowcore;
    uint8_t bit;
    int isc;

    if (!deliverable) {
        return false;
    }
    if (!sie_prefix_accessible(env)) {
        return true;
    }

    isc = clz32((uint32_t)deliverable << 24);
    bit = 0x80 >> isc;
    if (!(qatomic_fetch_and(env->sie.gisa + GISA_IPM, (uint8_t)~bit) & bit)) {
        /* another CPU of the guest was faster */
        return false;
    }
    s390_sie_host_dirty(env->sie.gisa, GISA_SIZE);

    lowcore = cpu_map_lowcore(env);
    lowcore->subchannel_id = 0;
    lowcore->subchannel_nr = 0;
    lowcore->io_int_parm = 0;
    lowcore->io_int_word = cpu_to_be32(0x80000000u | isc << 27);
    lowcore->io_old_psw.mask = cpu_to_be64(s390_cpu_get_psw_mask(env));
    lowcore->io_old_psw.addr = cpu_to_be64(env->psw.addr);
    mask = be64_to_cpu(lowcore->io_new_psw.mask);
    addr = be64_to_cpu(lowcore->io_new_psw.addr);
    cpu_unmap_lowcore(env, lowcore);

    env->sie.pending_icpt = 0;
    s390_cpu_set_psw(env, mask, addr);
    s390_sie_interruption_done(env_cpu(env), EXCP_IO);
    return true;
}

static uint64_t sie_sca_origin(const uint8_t *block)
{
    return (uint64_t)ldl_be_p(block + SIE_SCAOH) << 32 |
           (ldl_be_p(block + SIE_SCAOL) & ~0xfu);
}

static bool sie_crosses_page(uint64_t addr, uint64_t size)
{
    return (addr ^ (addr + size - 1)) & TARGET_PAGE_MASK;
}

/*
 * What is wrong with a state description that shall not be run: the reason that
 * the host gets, or 0. The reasons are those that Linux' arch/s390/kvm/s390/vsie.c
 * gives to guests of its own.
 */
static uint16_t sie_validity(CPUS390XState *env, const uint8_t *block)
{
    const uint32_t flags = ldl_be_p(block + SIE_CPUFLAGS);
    const uint64_t scao = sie_sca_origin(block);
    const uint32_t crycbd = ldl_be_p(block + SIE_CRYCBD);
    const uint32_t crycb = crycbd & CRYCB_ORIGIN_MASK;
    const uint32_t crycb_size = crycb_sizes[crycbd & CRYCB_FORMAT_MASK];

    /* ESA/390 and other modes are not there. */
    if (!(flags & CPUFLAGS_ZARCH) || (flags & (CPUFLAGS_RRF | CPUFLAGS_MCDS))) {
        return 0x0001;
    }
    if (flags & (CPUFLAGS_SLSV | CPUFLAGS_SLSR)) {
        return 0x0007;
    }
    if (scao) {
        if (scao < 2 * TARGET_PAGE_SIZE) {
            return 0x0038;
        }
        if ((scao & ~0x1fffull) == env->psa) {
            return 0x0011;
        }
        if (sie_crosses_page(scao, SCA_HEADER_SIZE)) {
            return 0x003b;
        }
        if (!s390_sie_host_ram(scao, SCA_HEADER_SIZE)) {
            return 0x0034;
        }
    }
    if (ldl_be_p(block + SIE_ECA) & ECA_APIE) {
        if (!crycb) {
            return 0x0039;
        }
        if ((crycbd & CRYCB_FORMAT_MASK) == CRYCB_FORMAT_NONE) {
            return 0x0022;
        }
        if (sie_crosses_page(crycb, crycb_size)) {
            return 0x003c;
        }
        if (!s390_sie_host_ram(crycb, crycb_size)) {
            return 0x0035;
        }
    }
    return 0;
}

void HELPER(sie)(CPUS390XState *env, uint64_t addr)
{
    S390SIEState *sie = &env->sie;
    CPUState *cs = env_cpu(env);
    const uintptr_t ra = GETPC();
    const bool per = s390_cpu_per_enabled(env);
    uint8_t *block;
    uint16_t reason;
    uint32_t gd, psa;
    int i;

    if (addr & (SIE_BLOCK_SIZE - 1)) {
        tcg_s390_program_interrupt(env, PGM_SPECIFICATION, ra);
    }
    block = s390_sie_host_ram(mmu_real2abs(env, addr), SIE_BLOCK_SIZE);
    if (!block) {
        tcg_s390_program_interrupt(env, PGM_ADDRESSING, ra);
    }

    cpu_restore_state(cs, ra);

    /*
     * Guest storage: with the limit suppressed, all of the primary space;
     * otherwise in units of 1 MiB, of which the last belongs to the guest.
     */
    sie->mso = 0;
    sie->msl = UINT64_MAX;
    if (!(ldl_be_p(block + SIE_CPUFLAGS) & CPUFLAGS_SM)) {
        sie->mso = ldq_be_p(block + SIE_MSO) & ~MS_OFFSET_MASK;
        sie->msl = ldq_be_p(block + SIE_MSL) | MS_OFFSET_MASK;
    }
    psa = ldl_be_p(block + SIE_PREFIX) & 0x7fffe000;

    reason = sie_validity(env, block);
    if (!reason && (sie_beyond_limit(sie, psa) ||
                    sie_beyond_limit(sie, psa + TARGET_PAGE_SIZE))) {
        reason = VALIDITY_PREFIX;
    }
    if (reason) {
        sie_intercept_validity(block, reason);
        env->psw.addr = wrap_address(env, env->psw.addr + SIE_INSN_LEN);
        cs->exception_index = -1;
        cpu_loop_exit(cs);
    }

    if (!qatomic_read(&sie_used)) {
        sie_first_use();
    }

    sie->block = block;
    sie->host_psw.mask = s390_cpu_get_psw_mask(env);
    sie->host_psw.addr = env->psw.addr;
    memcpy(sie->host_cregs, env->cregs, sizeof(env->cregs));
    sie->host_psa = env->psa;
    sie->host_gbea = env->gbea;
    sie->host_pp = env->pp;
    sie->host_todpr = env->todpr;
    sie->host_gr14 = env->regs[14];
    sie->host_gr15 = env->regs[15];

    sie->pending_icpt = 0;
    sie->per = ldl_be_p(block + SIE_CPUFLAGS) & CPUFLAGS_P;
    sie->epoch = ldq_be_p(block + SIE_EPOCH);
    sie->ckc = ldq_be_p(block + SIE_CKC);
    sie->cputm = ldq_be_p(block + SIE_CPUTM);
    sie->cputm_start = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    gd = ldl_be_p(block + SIE_GD);
    sie->gisa = NULL;
    sie->gisa_addr = 0;
    if ((gd & GD_ORIGIN_MASK) && (ldl_be_p(block + SIE_ECA) & ECA_AIV)) {
        sie->gisa_addr = gd & GD_ORIGIN_MASK;
        sie->gisa = s390_sie_host_ram(sie->gisa_addr, GISA_SIZE);
    }

    env->regs[14] = ldq_be_p(block + SIE_GG14);
    env->regs[15] = ldq_be_p(block + SIE_GG15);
    for (i = 0; i < 16; i++) {
        env->cregs[i] = ldq_be_p(block + SIE_GCR + i * 8);
    }
    env->psa = psa;
    env->gbea = ldq_be_p(block + SIE_GBEA);
    env->pp = ldq_be_p(block + SIE_PP);
    env->todpr = ldl_be_p(block + SIE_TODPR);

    qatomic_set(&sie->active, true);
    /* Used before it reads a table; pairs with s390_sie_host_idxmap(). */
    smp_mb();
    sie_tlb_enter(env);
    cs->exception_index = -1;
    s390_cpu_set_psw(env, ldq_be_p(block + SIE_GPSW_MASK),
                     ldq_be_p(block + SIE_GPSW_ADDR));
    sie_restore_per_event(env);
    sie_per_changed(env, per);
    sie_set_timer(env);

    if (sie_pending(env)) {
        /* the main loop looks at it before the first guest instruction */
        bql_lock();
        cpu_interrupt(cs, CPU_INTERRUPT_HARD);
        bql_unlock();
    }
    cpu_loop_exit(cs);
}

/*
 * Interruptions while a guest runs
 */

/* Look at the host's interruption conditions with the host's masks. */
static bool sie_host_has_int(CPUS390XState *env)
{
    S390SIEState *sie = &env->sie;
    const uint64_t guest_mask = env->psw.mask;
    const uint64_t guest_cr0 = env->cregs[0];
    const uint64_t guest_cr6 = env->cregs[6];
    const uint64_t guest_cr14 = env->cregs[14];
    bool pending;

    env->psw.mask = sie->host_psw.mask;
    env->cregs[0] = sie->host_cregs[0];
    env->cregs[6] = sie->host_cregs[6];
    env->cregs[14] = sie->host_cregs[14];
    pending = s390_cpu_has_int(env_archcpu(env));
    env->psw.mask = guest_mask;
    env->cregs[0] = guest_cr0;
    env->cregs[6] = guest_cr6;
    env->cregs[14] = guest_cr14;
    return pending;
}

/**
 * s390_sie_exec_interrupt: CPU_INTERRUPT_HARD is set while a guest runs.
 * Returns whether the CPU's state changed.
 */
bool s390_sie_exec_interrupt(CPUState *cs)
{
    CPUS390XState *env = cpu_env(cs);

    if (sie_host_has_int(env)) {
        sie_leave(env, 0);
        s390_cpu_do_interrupt(cs);
        return true;
    }
    if (sie_take_request(env) || sie_deliver_gisa(env)) {
        if (cs->exception_index != -1) {
            /* A host fault at the lowcore, or the new PSW is not valid */
            s390_cpu_do_interrupt(cs);
        }
        return true;
    }
    return false;
}

/*
 * Intercept the guest's wait state, unless there is an interruption to take.
 * A request in the state description comes first: an interception of the wait
 * state would hide it.
 */
static void sie_take_pending(CPUS390XState *env)
{
    if (!sie_take_request(env) && !sie_deliver_gisa(env)) {
        sie_intercept(env, env->sie.pending_icpt);
    }
}

/* A wait PSW was loaded. */
void s390_sie_wait(CPUS390XState *env)
{
    env->sie.pending_icpt = SIE_ICPT_WAIT;
    env_cpu(env)->exception_index = EXCP_SIE;
}

/* Text of the guest's current instruction, left aligned, zero padded */
static bool sie_fetch_insn(CPUS390XState *env, uint64_t *insn)
{
    CPUState *cs = env_cpu(env);
    uint64_t text = 0;
    int i, ilen = 2;

    for (i = 0; i < ilen; i += 2) {
        hwaddr page, pc = wrap_address(env, env->psw.addr + i);
        uint8_t *p;

        page = s390_cpu_get_phys_page_debug(cs, pc & TARGET_PAGE_MASK);
        p = page == -1 ? NULL :
            s390_sie_host_ram(page + (pc & ~TARGET_PAGE_MASK), 2);
        if (!p) {
            return false;
        }
        if (i == 0) {
            ilen = get_ilen(p[0]);
        }
        text |= (uint64_t)lduw_be_p(p) << (48 - 8 * i);
    }
    *insn = text;
    return true;
}

/* Tell the host of a program interruption that it wants to see. */
static void sie_intercept_program(CPUS390XState *env, uint16_t code)
{
    const bool monitor = (code & ~PGM_PER) == PGM_MONITOR;
    uint8_t *block = env->sie.block;

    stw_be_p(block + SIE_PGMILC, env->int_pgm_ilen);
    stw_be_p(block + SIE_IPRCC, code);
    stl_be_p(block + SIE_DXC, env->pgm_dxc);
    stw_be_p(block + SIE_MCN, env->pgm_monitor_class);
    stw_be_p(block + SIE_PERC, env->per_perc_atmid);
    stq_be_p(block + SIE_PERADDR, env->per_address);
    stq_be_p(block + SIE_TECMC, monitor ? env->pgm_monitor_code
                                        : env->tlb_fill_tec);
    stb_p(block + SIE_EAI, env->tlb_fill_ar);
    stb_p(block + SIE_PERAID, env->per_access_id);
    stb_p(block + SIE_OAI, env->pgm_operand_id);
    env->per_perc_atmid = 0;
    sie_intercept(env, SIE_ICPT_PROGI);
}

static uint16_t sie_program_code(CPUS390XState *env)
{
    return env->int_pgm_code | (env->per_perc_atmid ? PGM_PER : 0);
}

/*
 * Does the host want this program interruption? All of them by the interception
 * control, PER events that it has asked for, and specification exceptions unless
 * it has them interpreted.
 */
static bool sie_program_wanted(CPUS390XState *env)
{
    const uint16_t code = sie_program_code(env);

    return (sie_ictl(env) & ICTL_PINT) ||
           (env->sie.per && (code & PGM_PER)) ||
           ((code & ~PGM_PER) == PGM_SPECIFICATION &&
            !(ldub_p(env->sie.block + SIE_ECB) & ECB_SPECI));
}

/**
 * s390_sie_program_intercepted: the guest's PSW is what its program old PSW
 * would be. Returns true if the host gets the interruption instead, which ends
 * interpretation.
 */
bool s390_sie_program_intercepted(CPUS390XState *env)
{
    if (!sie_program_wanted(env)) {
        return false;
    }
    sie_intercept_program(env, sie_program_code(env));
    return true;
}

/**
 * s390_sie_interruption: an exception was raised while a guest ran.
 *
 * Returns the exception (EXCP_PGM or EXCP_SVC) if it is the guest's own, to be
 * stored in its lowcore, which is accessible unless the host gets the
 * interruption, and to be followed by s390_sie_interruption_done(). Otherwise
 * returns -1, and the CPU's exception_index has the next exception, of guest or
 * host, whichever runs now, if there is one.
 */
int s390_sie_interruption(CPUState *cs)
{
    CPUS390XState *env = cpu_env(cs);
    const int excp = cs->exception_index;
    SIEPEREvent event;
    uint8_t *block;
    uint64_t insn;
    bool done;

    cs->exception_index = -1;

    if (excp == EXCP_PGM && env->int_pgm_code == PGM_SIE_HOST_FAULT) {
        sie_host_fault(env);
        return -1;
    }
    if (excp == EXCP_SIE) {
        sie_take_pending(env);
        return -1;
    }
    if (excp != EXCP_PGM && excp != EXCP_SVC) {
        /* nothing that an instruction of the guest caused */
        sie_leave(env, 0);
        cs->exception_index = excp;
        return -1;
    }
    if (excp == EXCP_PGM && env->int_pgm_code == PGM_OPERATION &&
        (sie_ictl(env) & ICTL_OPEREXC) && sie_fetch_insn(env, &insn)) {
        sie_intercept_text(env, SIE_ICPT_OPEREXC, insn, false,
                           env->int_pgm_ilen);
        return -1;
    }
    if (excp == EXCP_PGM && sie_program_wanted(env)) {
        return excp;
    }

    /* The guest repeats the instruction, unless that has completed. */
    done = excp == EXCP_PGM && env->int_pgm_code == PGM_PER;
    event = sie_per_event(env);
    block = env->sie.block;
    if (!sie_prefix_accessible(env)) {
        if (done) {
            sie_keep_per_event(block, &event);
        }
        return -1;
    }
    return excp;
}

/**
 * s390_sie_interruption_done: an interruption was stored in the guest's
 * lowcore, and its new PSW loaded. If that is not valid, the program
 * interruption is the next one.
 */
void s390_sie_interruption_done(CPUState *cs, int excp)
{
    CPUS390XState *env = cpu_env(cs);

    if (!env->sie.active) {
        /* It was intercepted. */
        return;
    }
    if (cs->exception_index == EXCP_PGM) {
        if (excp != EXCP_PGM) {
            return;
        }
        /* It is the program new PSW: there would be no end. */
        cs->exception_index = -1;
        sie_intercept_program(env, PGM_SPECIFICATION);
        return;
    }
    if (env->sie.pending_icpt) {
        cs->exception_index = -1;
        sie_take_pending(env);
    }
}

/* At the start of a translation block: a request in the state description */
void HELPER(sie_poll)(CPUS390XState *env)
{
    CPUState *cs = env_cpu(env);
    const uint32_t flags = sie_cpuflags(env);

    if ((flags & CPUFLAGS_STOP_INT) ||
        ((flags & CPUFLAGS_EXT_INT) && (env->psw.mask & PSW_MASK_EXT)) ||
        ((flags & CPUFLAGS_IO_INT) && (env->psw.mask & PSW_MASK_IO))) {
        cpu_restore_state(cs, GETPC());
        cs->exception_index = -1;
        sie_take_request(env);
        cpu_loop_exit(cs);
    }
}

void s390_sie_gisa_kick(uint64_t gisa_addr)
{
    CPUState *cs;

    g_assert(bql_locked());
    CPU_FOREACH(cs) {
        S390SIEState *sie = &cpu_env(cs)->sie;

        if (qatomic_read(&sie->active) && sie->gisa_addr == gisa_addr) {
            cpu_interrupt(cs, CPU_INTERRUPT_HARD);
        }
    }
}

/*
 * Interception of instructions
 */

/**
 * s390_sie_insn_checked: may this instruction be intercepted?
 * @op: first opcode byte, then the second one where the format has it
 *
 * For the translator: instructions not listed never call sie_insn().
 */
bool s390_sie_insn_checked(uint16_t op)
{
    switch (op) {
    case 0x8200: /* LPSW */
    case 0x8300: /* DIAGNOSE */
    case 0xae00: /* SIGP */
    case 0xb202: /* STIDP */
    case 0xb204: /* SCK */
    case 0xb210: /* SPX */
    case 0xb211: /* STPX */
    case 0xb212: /* STAP */
    case 0xb214: /* SIE */
    case 0xb220: /* SERVC */
    case 0xb229: /* ISKE */
    case 0xb22a: /* RRBE */
    case 0xb22b: /* SSKE */
    case 0xb22c: /* TB */
    case 0xb230 ... 0xb23c: /* I/O */
    case 0xb25f: /* CHSC */
    case 0xb274: /* SIGA */
    case 0xb276: /* XSCH */
    case 0xb27d: /* STSI */
    case 0xb2b1: /* STFL */
    case 0xb2b2: /* LPSWE */
    case 0xb700: /* LCTL */
    case 0xb600: /* STCTL */
    case 0xb9a0: /* CLP */
    case 0xb9a2: /* PTF */
    case 0xb9ab: /* ESSA */
    case 0xb9ac: /* IRBM */
    case 0xb9af: /* PFMF */
    case 0xb9d0 ... 0xb9d4: /* PCI */
    case 0xe3d0: /* MPCIFC */
    case 0xe3d4: /* STPCIFC */
    case 0xe501: /* TPROT */
    case 0xeb25: /* STCTG */
    case 0xeb2f: /* LCTLG */
    case 0xebd0: /* PCISTB */
    case 0xebd1: /* SIC */
    case 0x0107: /* SCKPF */
        return true;
    default:
        return false;
    }
}

static bool sie_lctl_intercepted(CPUS390XState *env, uint64_t insn)
{
    const uint16_t lctl = lduw_be_p(env->sie.block + SIE_LCTL);
    const int last = (insn >> 48) & 0xf;
    int reg = (insn >> 52) & 0xf;

    for (;;) {
        if (lctl & (0x8000 >> reg)) {
            return true;
        }
        if (reg == last) {
            return false;
        }
        reg = (reg + 1) & 0xf;
    }
}

/*
 * Keyless subset: the host wants to know when the guest looks at a storage key
 * for the first time. The instruction is not done, and the PSW stays at it.
 */
static void sie_check_keyless(CPUS390XState *env, uintptr_t ra)
{
    CPUState *cs = env_cpu(env);

    if (sie_cpuflags(env) & CPUFLAGS_KSS) {
        cpu_restore_state(cs, ra);
        sie_intercept(env, SIE_ICPT_KSS);
        cpu_loop_exit_noexc(cs);
    }
}

/* @op as for s390_sie_insn_checked(), privileges and enablement are checked */
void HELPER(sie_insn)(CPUS390XState *env, uint64_t insn, uint32_t op,
                      uint32_t execute)
{
    CPUState *cs = env_cpu(env);
    const uint32_t ictl = sie_ictl(env);

    switch (op) {
    case 0xb700: /* LCTL */
    case 0xeb2f: /* LCTLG */
        if (!sie_lctl_intercepted(env, insn)) {
            return;
        }
        break;
    case 0x8200: /* LPSW */
    case 0xb2b2: /* LPSWE */
        if (!(ictl & ICTL_LPSW)) {
            return;
        }
        break;
    case 0xb600: /* STCTL */
    case 0xeb25: /* STCTG */
        if (!(ictl & ICTL_STCTL)) {
            return;
        }
        break;
    case 0xb9ab: /* ESSA */
        if (ldub_p(env->sie.block + SIE_ECB2) & ECB2_CMMA) {
            return;
        }
        break;
    case 0xb229: /* ISKE */
        sie_check_keyless(env, GETPC());
        if (!(ictl & ICTL_ISKE)) {
            return;
        }
        break;
    case 0xb22a: /* RRBE */
        sie_check_keyless(env, GETPC());
        if (!(ictl & ICTL_RRBE)) {
            return;
        }
        break;
    case 0xb22b: /* SSKE */
        sie_check_keyless(env, GETPC());
        if (!(ictl & ICTL_SSKE)) {
            return;
        }
        break;
    }

    cpu_restore_state(cs, GETPC());
    sie_intercept_text(env, SIE_ICPT_INST, insn, execute, env->int_pgm_ilen);
    cpu_loop_exit_noexc(cs);
}

/* An instruction that this machine does not know */
void HELPER(sie_illegal)(CPUS390XState *env, uint64_t insn, uint32_t execute)
{
    CPUState *cs = env_cpu(env);

    cpu_restore_state(cs, GETPC());
    if (sie_ictl(env) & ICTL_OPEREXC) {
        sie_intercept_text(env, SIE_ICPT_OPEREXC, insn, execute,
                           env->int_pgm_ilen);
        cpu_loop_exit_noexc(cs);
    }
    trigger_pgm_exception(env, PGM_OPERATION);
    cpu_loop_exit(cs);
}

/* Intercept the instruction whose helper is running. */
static G_NORETURN void sie_intercept_running(CPUS390XState *env, uint8_t code,
                                             uintptr_t ra)
{
    CPUState *cs = env_cpu(env);
    /* the text of an EXECUTE's target is the block's cs_base */
    TranslationBlock *tb = tcg_tb_lookup(ra);
    const uint64_t ex_value = tb ? tb->cs_base : 0;
    uint64_t insn;

    cpu_restore_state(cs, ra);
    if (ex_value) {
        sie_intercept_text(env, code, ex_value & ~0xffffull, true,
                           env->int_pgm_ilen);
    } else if (sie_fetch_insn(env, &insn)) {
        sie_intercept_text(env, code, insn, false, env->int_pgm_ilen);
    } else {
        /* Its page went away meanwhile: run it again. */
        sie_leave(env, SIE_INSN_LEN);
    }
    cpu_loop_exit_noexc(cs);
}

/* s390_sie_intercept_insn: for helpers that find out what is intercepted */
void s390_sie_intercept_insn(CPUS390XState *env, uintptr_t ra)
{
    sie_intercept_running(env, SIE_ICPT_INST, ra);
}

/**
 * s390_sie_check_mvpg: MOVE PAGE of a guest, interpreted by request of the host.
 * Without DAT, a page that the host does not have is intercepted as partial
 * execution, and does not become a fault of the host.
 */
void s390_sie_check_mvpg(CPUS390XState *env, uint64_t src, uint64_t dst,
                         uintptr_t ra)
{
    int flags = PAGE_READ | PAGE_WRITE | PAGE_EXEC;
    uint64_t addr;

    if ((env->psw.mask & PSW_MASK_DAT) ||
        !(ldl_be_p(env->sie.block + SIE_ECA) & ECA_MVPGI)) {
        return;
    }
    if (s390_sie_host_translate(env, mmu_real2abs(env, src), MMU_DATA_LOAD,
                                &addr, &flags) == PGM_SIE_HOST_FAULT ||
        s390_sie_host_translate(env, mmu_real2abs(env, dst), MMU_DATA_STORE,
                                &addr, &flags) == PGM_SIE_HOST_FAULT) {
        sie_intercept_running(env, SIE_ICPT_PARTEXEC, ra);
    }
}

/* The control of table updates, or NULL if the guest has no SCA */
static uint64_t *sie_ipte_control(CPUS390XState *env)
{
    const uint64_t scao = sie_sca_origin(env->sie.block);

    return scao ? (uint64_t *)s390_sie_host_ram(scao, SCA_HEADER_SIZE) : NULL;
}

/**
 * s390_sie_ipte_lock: a CPU of the guest is about to invalidate entries of its
 * translation tables, which the host must not walk meanwhile. The instruction is
 * intercepted if the host does. With the interlock facility, the control has
 * the number of such CPUs; otherwise there can be one, by the same bit as the
 * host. Until s390_sie_ipte_unlock(), there must be no exception.
 */
void s390_sie_ipte_lock(CPUS390XState *env, uintptr_t ra)
{
    uint64_t *control = sie_ipte_control(env);
    const bool sii = ldl_be_p(env->sie.block + SIE_ECA) & ECA_SII;
    uint64_t old, new, seen;

    if (!control) {
        return;
    }
    old = qatomic_read(control);
    for (;;) {
        new = be64_to_cpu(old);
        if (new & SCA_IPTE_LOCKED) {
            s390_sie_intercept_insn(env, ra);
        }
        new = sii ? new + SCA_IPTE_GUEST_CPU : new | SCA_IPTE_LOCKED;
        seen = qatomic_cmpxchg(control, old, cpu_to_be64(new));
        if (seen == old) {
            break;
        }
        old = seen;
    }
    s390_sie_host_dirty(control, sizeof(*control));
}

void s390_sie_ipte_unlock(CPUS390XState *env)
{
    uint64_t *control = sie_ipte_control(env);
    const bool sii = ldl_be_p(env->sie.block + SIE_ECA) & ECA_SII;
    uint64_t old, new, seen;

    if (!control) {
        return;
    }
    old = qatomic_read(control);
    for (;;) {
        new = be64_to_cpu(old);
        new = sii ? new - SCA_IPTE_GUEST_CPU : new & ~SCA_IPTE_LOCKED;
        seen = qatomic_cmpxchg(control, old, cpu_to_be64(new));
        if (seen == old) {
            break;
        }
        old = seen;
    }
    s390_sie_host_dirty(control, sizeof(*control));
}

static const uint8_t *sie_facility_list(CPUS390XState *env)
{
    uint32_t fac = ldl_be_p(env->sie.block + SIE_FAC) & 0x7ffffff8;

    return fac ? s390_sie_host_ram(fac, 256) : NULL;
}

/**
 * s390_sie_facilities: the guest's facility list (256 bytes, bit 0 leftmost).
 * Without one STFLE is intercepted, and this does not return.
 */
const uint8_t *s390_sie_facilities(CPUS390XState *env, uintptr_t ra)
{
    const uint8_t *list = sie_facility_list(env);

    if (!list) {
        s390_sie_intercept_insn(env, ra);
    }
    return list;
}

/**
 * s390_sie_has_facility: has the guest's facility list this bit? Without
 * a list, the host has not restricted the guest.
 */
bool s390_sie_has_facility(CPUS390XState *env, unsigned int nr)
{
    const uint8_t *list = sie_facility_list(env);

    return !list || list[nr / 8] & (0x80 >> (nr % 8));
}

/*
 * Collaborative memory management: the list of pages that the guest gave up
 */

bool s390_sie_cbrl_has_room(CPUS390XState *env)
{
    const uint64_t cbrlo = ldq_be_p(env->sie.block + SIE_CBRLO);

    return (cbrlo & CBRL_OFFSET_MASK) < CBRL_FULL &&
           s390_sie_host_ram(cbrlo & TARGET_PAGE_MASK, TARGET_PAGE_SIZE);
}

/* There must be room. */
void s390_sie_cbrl_add(CPUS390XState *env, uint64_t gaddr)
{
    const uint64_t cbrlo = ldq_be_p(env->sie.block + SIE_CBRLO);

    uint8_t *entry = s390_sie_host_ram(cbrlo & ~7ull, sizeof(gaddr));

    stq_be_p(entry, gaddr);
    s390_sie_host_dirty(entry, sizeof(gaddr));
    stq_be_p(env->sie.block + SIE_CBRLO, cbrlo + sizeof(gaddr));
}

/*
 * AP
 */

/* NULL if there is none: what SIE's entry has checked may have changed. */
static const uint8_t *sie_crycb(CPUS390XState *env)
{
    uint32_t crycbd = ldl_be_p(env->sie.block + SIE_CRYCBD);

    return s390_sie_host_ram(crycbd & CRYCB_ORIGIN_MASK,
                             crycb_sizes[crycbd & CRYCB_FORMAT_MASK]);
}

/**
 * s390_sie_ap_interpreted: are the guest's AP instructions interpreted (AP
 * interpretive execution control, ECA bit 28), or intercepted?
 */
bool s390_sie_ap_interpreted(CPUS390XState *env)
{
    return (ldl_be_p(env->sie.block + SIE_ECA) & ECA_APIE) && sie_crycb(env);
}

/**
 * s390_sie_ap_masks: the adapters, usage domains and control domains of the
 * guest's AP control block. Bit 0 is the leftmost bit of the first word.
 */
void s390_sie_ap_masks(CPUS390XState *env, uint64_t apm[4], uint64_t aqm[4],
                       uint64_t adm[4])
{
    const uint8_t *crycb = sie_crycb(env);
    uint32_t crycbd = ldl_be_p(env->sie.block + SIE_CRYCBD);
    int i;

    memset(apm, 0, 4 * sizeof(*apm));
    memset(aqm, 0, 4 * sizeof(*aqm));
    memset(adm, 0, 4 * sizeof(*adm));
    if (!crycb) {
        return;
    }
    if ((crycbd & CRYCB_FORMAT_MASK) == CRYCB_FORMAT_2) {
        for (i = 0; i < 4; i++) {
            apm[i] = ldq_be_p(crycb + CRYCB_APCB1 + i * 8);
            aqm[i] = ldq_be_p(crycb + CRYCB_APCB1 + 0x20 + i * 8);
            adm[i] = ldq_be_p(crycb + CRYCB_APCB1 + 0x40 + i * 8);
        }
    } else {
        apm[0] = ldq_be_p(crycb + CRYCB_APCB0);
        aqm[0] = (uint64_t)lduw_be_p(crycb + CRYCB_APCB0 + 8) << 48;
        adm[0] = (uint64_t)lduw_be_p(crycb + CRYCB_APCB0 + 16) << 48;
    }
}

/*
 * PERFORM LOCKED OPERATION: no function code is installed, as the query says.
 * Linux' kvm.ko asks for each of them.
 */
void HELPER(plo)(CPUS390XState *env)
{
    if (!(env->regs[0] & 0x100)) {
        tcg_s390_program_interrupt(env, PGM_SPECIFICATION, GETPC());
    }
    env->cc_op = 3;
}
