/*
 * A guest's storage keys and page states, for interpretive execution (SIE)
 *
 * They outlive the host's page that is behind a guest's one, so that they are
 * in the host's page table: each entry of a 4 KiB table has a page status table
 * entry (PGSTE), 2 KiB further on. union pgste in Linux' arch/s390/kvm/gmap/dat.h
 * names its fields, and dat.c there shows what the host expects them to be.
 *
 * - A PGSTE's bit PCL is a lock, which the host takes as well. Whoever finds it
 *   taken tries the instruction again, and lets the host go on meanwhile.
 * - Of a page that is there, the key that counts is the real one, and the PGSTE
 *   has what became of its reference and change bits: GR and GC those that the
 *   guest is still to see, HR and HC those that the host is.
 *
 * Copyright (c) 2026 the vfio-ap project
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "cpu.h"
#include "s390x-internal.h"
#include "tcg_s390x.h"
#include "sie.h"
#include "exec/helper-proto.h"
#include "exec/exec-all.h"
#include "exec/cputlb.h"
#include "hw/s390x/storage-keys.h"

#define PGSTE_OFFSET            0x800   /* behind its page-table entry */

#define PGSTE_KEY_SHIFT         56      /* access control, fetch protection */
#define PGSTE_PCL               0x0080000000000000ull
#define PGSTE_HOST_SHIFT        52      /* to HR and HC from key's R and C */
#define PGSTE_GUEST_SHIFT       48      /* the same for GR and GC */
#define PGSTE_GC                0x0002000000000000ull
#define PGSTE_ZERO              0x0000000080000000ull
#define PGSTE_NODAT             0x0000000040000000ull
#define PGSTE_USAGE             0x0000000003000000ull
#define PGSTE_USAGE_SHIFT       24

#define KEY_RC                  (SK_R | SK_C)
#define KEY_ACC_F               0xf8

/* EXTRACT AND SET STORAGE ATTRIBUTES: operation request codes */
enum {
    ESSA_GET_STATE              = 0,
    ESSA_SET_STABLE             = 1,
    ESSA_SET_UNUSED             = 2,
    ESSA_SET_VOLATILE           = 3,
    ESSA_SET_POT_VOLATILE       = 4,
    ESSA_SET_STABLE_RESIDENT    = 5,
    ESSA_SET_STABLE_IF_RESIDENT = 6,
};

/* Block-usage states, in PGSTE and in ESSA's result */
enum {
    USAGE_STABLE                = 0,
    USAGE_UNUSED                = 1,
    USAGE_POT_VOLATILE          = 2,
    USAGE_VOLATILE              = 3,
};

#define ESSA_CONTENT_RESIDENT   0
#define ESSA_CONTENT_PRESERVED  2
#define ESSA_CONTENT_ZERO       3
#define ESSA_USAGE_SHIFT        2
#define ESSA_NODAT              0x20

/* A guest's page: where the host keeps its attributes */
typedef struct SIEPage {
    uint64_t *pgste;            /* NULL: large page of the host's, has none */
    uint64_t status;            /* its value when it was locked */
    bool present;               /* there is a page of the host's: */
    uint64_t frame;             /* its number */
} SIEPage;

static S390SKeysState *storage_keys(CPUS390XState *env)
{
    S390SKeysState *ss = s390_get_skeys_device();
    S390SKeysClass *class = S390_SKEYS_GET_CLASS(ss);

    if (!class->skeys_are_enabled(ss) &&
        class->enable_skeys && !class->enable_skeys(ss)) {
        tlb_flush_all_cpus_synced(env_cpu(env));
    }
    return ss;
}

static uint8_t real_key(CPUS390XState *env, const SIEPage *page)
{
    uint8_t key;

    if (s390_skeys_get(storage_keys(env), page->frame, 1, &key)) {
        key = 0;
    }
    return key;
}

/* References and changes from now on are seen by whoever asks next. */
static void set_real_key(CPUS390XState *env, const SIEPage *page, uint8_t key)
{
    if (real_key(env, page) == key) {
        return;
    }
    s390_skeys_set(storage_keys(env), page->frame, 1, &key);
    tlb_flush_all_cpus_synced(env_cpu(env));
}

static void page_unlock(SIEPage *page)
{
    if (page->pgste) {
        qatomic_store_release(page->pgste, cpu_to_be64(page->status));
        s390_sie_host_dirty(page->pgste, sizeof(*page->pgste));
    }
}

/* Try the instruction again, and let the host go on meanwhile. */
static G_NORETURN void page_retry(CPUS390XState *env, uintptr_t ra)
{
    env_cpu(env)->exception_index = -1;
    cpu_loop_exit_restore(env_cpu(env), ra);
}

/*
 * Finds the page at the guest absolute address @gaddr, and locks its
 * attributes. Does not return if the host has no page table there, or if they
 * are locked.
 */
static void page_lock(CPUS390XState *env, uint64_t gaddr, SIEPage *page,
                      uintptr_t ra)
{
    uint64_t addr, pte, locked_pte;
    int exc;

    exc = s390_sie_host_walk(env, gaddr, &addr, &pte);
    page->present = !exc;
    page->frame = addr / TARGET_PAGE_SIZE;
    page->pgste = NULL;
    if (pte && !(pte & PGSTE_OFFSET)) {
        page->pgste = (uint64_t *)s390_sie_host_ram(pte | PGSTE_OFFSET,
                                                    sizeof(*page->pgste));
    }
    if (exc && (exc != PGM_SIE_HOST_FAULT || !page->pgste ||
                env->sie.fault_code != PGM_PAGE_TRANS)) {
        tcg_s390_program_interrupt(env, exc, ra);
    }
    if (page->present && !mmu_absolute_addr_valid(addr, false)) {
        tcg_s390_program_interrupt(env, PGM_ADDRESSING, ra);
    }
    if (!page->pgste) {
        page->status = 0;
        return;
    }
    page->status = be64_to_cpu(qatomic_fetch_or(page->pgste,
                                                cpu_to_be64(PGSTE_PCL)));
    if (page->status & PGSTE_PCL) {
        page_retry(env, ra);
    }
    /* Its holder may have changed the page in between, or given up the table. */
    exc = s390_sie_host_walk(env, gaddr, &addr, &locked_pte);
    if (locked_pte != pte ||
        (exc && (exc != PGM_SIE_HOST_FAULT ||
                 env->sie.fault_code != PGM_PAGE_TRANS)) ||
        (!exc && !mmu_absolute_addr_valid(addr, false))) {
        page_unlock(page);
        page_retry(env, ra);
    }
    page->present = !exc;
    page->frame = addr / TARGET_PAGE_SIZE;
}

static uint8_t guest_rc(const SIEPage *page)
{
    return page->status >> PGSTE_GUEST_SHIFT & KEY_RC;
}

static void set_bits(SIEPage *page, int shift, uint8_t mask, uint8_t bits)
{
    page->status &= ~((uint64_t)mask << shift);
    page->status |= (uint64_t)(bits & mask) << shift;
}

/* INSERT STORAGE KEY EXTENDED of a guest */
uint8_t s390_sie_iske(CPUS390XState *env, uint64_t gaddr, uintptr_t ra)
{
    SIEPage page;
    uint8_t key;

    page_lock(env, gaddr, &page, ra);
    if (page.present) {
        key = real_key(env, &page);
    } else {
        key = page.status >> PGSTE_KEY_SHIFT & KEY_ACC_F;
    }
    key |= guest_rc(&page);
    page_unlock(&page);
    return key;
}

/* SET STORAGE KEY EXTENDED of a guest, for one page */
void s390_sie_sske(CPUS390XState *env, uint64_t gaddr, uint8_t key,
                   uintptr_t ra)
{
    SIEPage page;

    page_lock(env, gaddr, &page, ra);
    if (!page.pgste) {
        set_real_key(env, &page, key);
        return;
    }
    set_bits(&page, PGSTE_KEY_SHIFT, KEY_ACC_F, key);
    set_bits(&page, PGSTE_GUEST_SHIFT, KEY_RC, key);
    if (page.present) {
        const uint8_t old = real_key(env, &page) & KEY_RC;

        set_bits(&page, PGSTE_HOST_SHIFT, old, old);
        set_real_key(env, &page, key & KEY_ACC_F);
    }
    page_unlock(&page);
}

/*
 * RESET REFERENCE BIT EXTENDED of a guest. Returns the reference and change
 * bits as they were.
 */
uint8_t s390_sie_rrbe(CPUS390XState *env, uint64_t gaddr, uintptr_t ra)
{
    SIEPage page;
    uint8_t bits;

    page_lock(env, gaddr, &page, ra);
    bits = guest_rc(&page);
    if (page.present) {
        const uint8_t key = real_key(env, &page);

        bits |= key & KEY_RC;
        set_bits(&page, PGSTE_HOST_SHIFT, key & SK_R, key);
        set_real_key(env, &page, key & ~SK_R);
    }
    set_bits(&page, PGSTE_GUEST_SHIFT, SK_R, 0);
    page_unlock(&page);
    return bits;
}

/*
 * EXTRACT AND SET STORAGE ATTRIBUTES, with the collaborative-memory-management
 * assist. Pages whose content the guest gives up, and which the host does not
 * have in storage, go to a list of the host's; when that is full, the
 * instruction is intercepted.
 */
uint64_t HELPER(essa)(CPUS390XState *env, uint64_t addr, uint32_t orc)
{
    const uintptr_t ra = GETPC();
    unsigned int usage;
    bool give_up = false;
    uint64_t gaddr;
    uint8_t state;
    SIEPage page;

    if (orc > ESSA_SET_STABLE_IF_RESIDENT) {
        tcg_s390_program_interrupt(env, PGM_SPECIFICATION, ra);
    }
    if (!s390_sie_cbrl_has_room(env)) {
        s390_sie_intercept_insn(env, ra);
    }
    if (!(env->psw.mask & PSW_MASK_64)) {
        addr &= env->psw.mask & PSW_MASK_32 ? 0x7fffffff : 0x00ffffff;
    }
    gaddr = mmu_real2abs(env, addr & TARGET_PAGE_MASK);
    page_lock(env, gaddr, &page, ra);
    if (!page.pgste) {
        /* always there, and always stable */
        return ESSA_CONTENT_RESIDENT;
    }

    usage = (page.status & PGSTE_USAGE) >> PGSTE_USAGE_SHIFT;
    state = usage << ESSA_USAGE_SHIFT;
    if (page.status & PGSTE_NODAT) {
        state |= ESSA_NODAT;
    }
    if (!page.present) {
        state |= page.status & PGSTE_ZERO ? ESSA_CONTENT_ZERO :
                                            ESSA_CONTENT_PRESERVED;
    }

    switch (orc) {
    case ESSA_GET_STATE:
        break;
    case ESSA_SET_STABLE:
        usage = USAGE_STABLE;
        page.status &= ~PGSTE_NODAT;
        break;
    case ESSA_SET_UNUSED:
        usage = USAGE_UNUSED;
        give_up = !page.present;
        break;
    case ESSA_SET_VOLATILE:
        usage = USAGE_VOLATILE;
        give_up = !page.present;
        break;
    case ESSA_SET_POT_VOLATILE:
        if (page.present) {
            usage = USAGE_POT_VOLATILE;
        } else if (page.status & PGSTE_ZERO) {
            usage = USAGE_VOLATILE;
        } else if (!(page.status & PGSTE_GC)) {
            usage = USAGE_VOLATILE;
            give_up = true;
        }
        break;
    case ESSA_SET_STABLE_RESIDENT:
        /* It is made resident by its next use. */
        usage = USAGE_STABLE;
        break;
    case ESSA_SET_STABLE_IF_RESIDENT:
        if (page.present) {
            usage = USAGE_STABLE;
        }
        break;
    }
    page.status &= ~PGSTE_USAGE;
    page.status |= (uint64_t)usage << PGSTE_USAGE_SHIFT;
    if (orc != ESSA_GET_STATE) {
        /* A page that is given up reads as zeros from now on. */
        page.status &= ~PGSTE_ZERO;
        if (give_up) {
            page.status |= PGSTE_ZERO;
            s390_sie_cbrl_add(env, gaddr);
        }
    }
    page_unlock(&page);
    return state;
}
