/*
 * Access-register mode for TCG
 *
 * In access-register mode each storage operand of an instruction is in the
 * space that an access register names: that of the operand's base register. Its
 * contents (ALET) stand for the primary space, the secondary space, or an entry
 * of one of two access lists, which access-register translation (ART) turns
 * into an address-space-control element (ASCE).
 *
 * Rules that the rest of the target relies on:
 * - The translator stores the access registers of an instruction's operands
 *   (env->operand_ars) before its first access, and helpers name an operand by
 *   its MMU index (s390x_operand_mmu_index()).
 * - The TLB keeps nothing under these indexes: each access is translated by
 *   s390_cpu_tlb_fill(). That needs no rule for when ALETs, control registers,
 *   access lists, or the side that runs, host or guest, have changed.
 *
 * Copyright (c) 2026 the vfio-ap project
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "cpu.h"
#include "s390x-internal.h"
#include "tcg_s390x.h"
#include "exec/helper-proto.h"
#include "exec/exec-all.h"
#include "exec/address-spaces.h"

/* ALET: which access list, which entry, and its expected sequence number */
#define ALET_RESERVED           0xfe000000u
#define ALET_PRIMARY_LIST       0x01000000u
#define ALET_ALESN(alet)        (((alet) >> 16) & 0xff)
#define ALET_ALEN(alet)         ((alet) & 0xffff)

/* The DUCT's origin in CR2, and the primary ASTE's in CR5 */
#define LIST_OWNER_ORIGIN       0x7fffffc0u
/* Both have the access-list designation here. */
#define ALD_OFFSET              16
#define ALD_ORIGIN              0x7fffff80u
#define ALD_LENGTH              0x0000007fu     /* in eights, less one */

/* Access-list entry: two doublewords */
#define ALE_INVALID             0x8000000000000000ull
#define ALE_FETCH_ONLY          0x0200000000000000ull
#define ALE_PRIVATE             0x0100000000000000ull
#define ALE_ALESN(ale)          (((ale) >> 48) & 0xff)
#define ALE_ALEAX(ale)          (((ale) >> 32) & 0xffff)
#define ALE_ASTE_ORIGIN(ale2)   (((ale2) >> 32) & 0x7fffffc0u)
#define ALE_ASTESN(ale2)        ((uint32_t)(ale2))

/* ASN-second-table entry: three doublewords of it */
#define ASTE_INVALID            0x8000000000000000ull
#define ASTE_AUTHORITY(aste)    (((aste) >> 32) & 0x7ffffffcu)
/* in units of four bytes, which is 16 indexes, less one */
#define ASTE_AUTHORITY_LEN(aste) (((aste) >> 4) & 0xfff)
#define ASTE_ASTESN(aste3)      ((uint32_t)(aste3))

/* In an authority table, an index has two bits: primary and secondary. */
#define SECONDARY_AUTHORITY(byte, index) ((byte) & (0x40 >> (2 * ((index) & 3))))

/* Tables are aligned such that what is read does not cross a page. */
static int read_table(CPUS390XState *env, S390Walk *walk, uint64_t real,
                      void *buf, size_t len)
{
    hwaddr addr = s390_real2abs(walk->prefix, real);
    int flags = PAGE_READ;
    int exc;

    if (walk->guest) {
        exc = s390_sie_walk(env, walk, addr, MMU_DATA_LOAD, &addr, &flags);
        if (exc) {
            return exc;
        }
    }
    if (address_space_read(env_cpu(env)->as, addr, MEMTXATTRS_UNSPECIFIED, buf,
                           len) != MEMTX_OK) {
        return PGM_ADDRESSING;
    }
    return 0;
}

/**
 * s390_art: find the space that an access register names.
 * @alet: the access register's contents; of access register 0, 0
 * @eax: the extended authorization index
 * @asce: its address-space-control element
 * @fetch_only: whether nothing may be stored there
 *
 * Returns 0, the code of the program interruption, or PGM_SIE_HOST_FAULT with
 * the fault recorded in @walk.
 */
int s390_art(CPUS390XState *env, S390Walk *walk, uint32_t alet, uint16_t eax,
             uint64_t *asce, bool *fetch_only)
{
    uint64_t list, ale[2], aste[3];
    uint32_t ald;
    uint8_t authority;
    int exc;

    *fetch_only = false;
    if (alet <= 1) {
        *asce = env->cregs[alet ? 7 : 1];
        return 0;
    }
    if (alet & ALET_RESERVED) {
        return PGM_ALET_SPEC;
    }

    list = env->cregs[alet & ALET_PRIMARY_LIST ? 5 : 2] & LIST_OWNER_ORIGIN;
    exc = read_table(env, walk, list + ALD_OFFSET, &ald, sizeof(ald));
    if (exc) {
        return exc;
    }
    ald = be32_to_cpu(ald);
    if (ALET_ALEN(alet) / 8 > (ald & ALD_LENGTH)) {
        return PGM_ALEN_SPEC;
    }

    list = (uint64_t)(ald & ALD_ORIGIN) + ALET_ALEN(alet) * sizeof(ale);
    if (list > INT32_MAX) {
        return PGM_ADDRESSING;
    }
    exc = read_table(env, walk, list, ale, sizeof(ale));
    if (exc) {
        return exc;
    }
    ale[0] = be64_to_cpu(ale[0]);
    ale[1] = be64_to_cpu(ale[1]);
    if (ale[0] & ALE_INVALID) {
        return PGM_ALEN_SPEC;
    }
    if (ALE_ALESN(ale[0]) != ALET_ALESN(alet)) {
        return PGM_ALE_SEQ;
    }

    exc = read_table(env, walk, ALE_ASTE_ORIGIN(ale[1]), aste, sizeof(aste));
    if (exc) {
        return exc;
    }
    aste[0] = be64_to_cpu(aste[0]);
    if (aste[0] & ASTE_INVALID) {
        return PGM_ASTE_VALID;
    }
    if (ASTE_ASTESN(be64_to_cpu(aste[2])) != ALE_ASTESN(ale[1])) {
        return PGM_ASTE_SEQ;
    }

    if ((ale[0] & ALE_PRIVATE) && ALE_ALEAX(ale[0]) != eax) {
        if (eax / 16 > ASTE_AUTHORITY_LEN(aste[0])) {
            return PGM_EXT_AUTH;
        }
        exc = read_table(env, walk, ASTE_AUTHORITY(aste[0]) + eax / 4,
                         &authority, sizeof(authority));
        if (exc) {
            return exc;
        }
        if (!SECONDARY_AUTHORITY(authority, eax)) {
            return PGM_EXT_AUTH;
        }
    }

    *fetch_only = ale[0] & ALE_FETCH_ONLY;
    *asce = be64_to_cpu(aste[1]);
    return 0;
}

/*
 * TEST ACCESS: which space does the ALET in access register @r1 name, with the
 * extended authorization index in @r2? The condition code.
 */
uint32_t HELPER(tar)(CPUS390XState *env, uint32_t r1, uint64_t r2)
{
    const uint32_t alet = env->aregs[r1];
    bool fetch_only;
    uint64_t asce;
    S390Walk walk;
    int exc;

    if (alet <= 1) {
        return alet ? 3 : 0;
    }
    s390_walk_init(env, &walk);
    exc = s390_art(env, &walk, alet, r2 >> 16, &asce, &fetch_only);
    s390_walk_done(env, &walk, exc);
    if (exc == PGM_ADDRESSING || exc == PGM_SIE_HOST_FAULT) {
        tcg_s390_program_interrupt(env, exc, GETPC());
    }
    if (exc) {
        return 3;
    }
    return alet & ALET_PRIMARY_LIST ? 2 : 1;
}
