/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Adjunct processor (AP) instructions: PQAP, NQAP, DQAP
 *
 * The registers are described by those who use them: Linux, arch/s390/include/
 * asm/ap.h and arch/s390/kvm/s390/priv.c (specification exceptions). The queues
 * themselves are in hw/s390x/ap-queue.c.
 *
 * In a guest (SIE) the instructions act on the queues that the guest's AP
 * control block has and the host has, too; AQIC always ends interpretation,
 * and so do all of them unless the host has asked for their interpretation.
 *
 * Exceptions are recognized in this order: privileged operation, operation,
 * specification, access. An interception takes the operation exception's place.
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "cpu.h"
#include "s390x-internal.h"
#include "exec/cpu_ldst.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "hw/s390x/ap-hw.h"
#include "tcg_s390x.h"
#include "tcg/sie.h"

/* GR0 of all three */
#define AP_GR0_APQN 0xffffull
/* GR0 of PQAP: function code, and what modifies it */
#define PQAP_FC_SHIFT 24
#define PQAP_T 0x00800000ull        /* TAPQ: tell the facilities */
#define PQAP_F 0x00400000ull        /* RAPQ, ZAPQ, QACT: modifier */
#define PQAP_RESERVED 0x007f0000ull
/* GR2 of TAPQ, with the T bit: extended addressing */
#define TAPQ_APXA (1ull << 57)
/* GR0 of NQAP: last part, and special command */
#define NQAP_LAST 0x40000000ull
#define NQAP_SPECIAL 0x00400000ull
/*
 * GR0 of NQAP, on for a part that is not the first one, and of DQAP, off for
 * the rest of a reply. It is not published where real machines keep that. They
 * keep it in GR0, which programs hand back as they got it, and so do we; the
 * continuation of DQAP needs a bit of its own, as GR0 must not become zero.
 */
#define NQAP_CONTINUED 0x80000000ull
#define DQAP_FIRST 0x80000000ull
#define DQAP_CONTINUED 0x20000000ull

/* Storage operands are processed up to such a boundary at a time. */
#define AP_SEGMENT (1ull << 20)

enum {
    PQAP_TAPQ = 0x00,
    PQAP_RAPQ = 0x01,
    PQAP_ZAPQ = 0x02,
    PQAP_AQIC = 0x03,
    PQAP_QCI = 0x04,
    PQAP_QACT = 0x05,
};

/* State description: control block descriptor (struct kvm_s390_sie_block). */
#define SIE_CRYCBD 0xfc

/* What the program that executes the instruction has of the AP configuration */
typedef struct APView {
    uint64_t apm[AP_MASK_WORDS];
    uint64_t aqm[AP_MASK_WORDS];
    uint64_t adm[AP_MASK_WORDS];
    unsigned int max_apid;
    unsigned int max_domain;
    bool extended;              /* extended addressing (APXA) */
} APView;

/*
 * Has the guest the extended addressing (APXA)? Its control block descriptor
 * says so by its format, 2.
 */
static bool ap_guest_extended(CPUS390XState *env)
{
    return (ldl_be_p(env->sie.block + SIE_CRYCBD) & 3) == 3;
}

/*
 * Has the program that executes the instruction this facility? In a guest it
 * needs the machine's and the guest's facility list: the CPU model's features
 * apqci, apft and apqi are bits of that list and nothing else (Linux,
 * Documentation/arch/s390/vfio-ap.rst; kvm_s390_vcpu_setup()), and for the
 * function that KVM has to interpret, it is the guest's list that decides on
 * specification exceptions (handle_pqap() in arch/s390/kvm/s390/priv.c).
 */
static bool ap_has_facility(CPUS390XState *env, S390Feat feat)
{
    return s390_has_feat(feat) &&
           (!s390_sie_active(env) ||
            s390_sie_has_facility(env, s390_feat_def(feat)->bit));
}

static void ap_get_view(CPUS390XState *env, APView *view)
{
    uint64_t apm[AP_MASK_WORDS], aqm[AP_MASK_WORDS], adm[AP_MASK_WORDS];
    int i;

    ap_hw_masks(view->apm, view->aqm, view->adm);
    view->max_apid = ap_hw_max_apid();
    view->max_domain = ap_hw_max_domain();
    view->extended = ap_hw_extended();
    if (s390_sie_active(env)) {
        s390_sie_ap_masks(env, apm, aqm, adm);
        for (i = 0; i < AP_MASK_WORDS; i++) {
            view->apm[i] &= apm[i];
            view->aqm[i] &= aqm[i];
            view->adm[i] &= adm[i];
        }
        if (!ap_guest_extended(env)) {
            view->extended = false;
            view->max_domain = MIN(view->max_domain, AP_MAX_DOMAIN_BASE);
        }
    }
}

static inline unsigned int ap_apid(uint64_t gr0)
{
    return extract64(gr0, 8, 8);
}

static inline unsigned int ap_apqi(uint64_t gr0)
{
    return extract64(gr0, 0, 8);
}

/* The queue that GR0 names, NULL if the program does not have it. */
static APQueue *ap_find_queue(const APView *view, uint64_t gr0)
{
    if (!ap_mask_test(view->apm, ap_apid(gr0)) ||
        !ap_mask_test(view->aqm, ap_apqi(gr0))) {
        return NULL;
    }
    return ap_hw_queue(ap_apid(gr0), ap_apqi(gr0));
}

/* Privileged-operation exceptions came before that, see insn-data.h.inc. */
static void ap_check_intercept(CPUS390XState *env, uintptr_t ra)
{
    if (!s390_has_feat(S390_FEAT_AP)) {
        tcg_s390_program_interrupt(env, PGM_OPERATION, ra);
    }
    if (s390_sie_active(env) && !s390_sie_ap_interpreted(env)) {
        s390_sie_intercept_insn(env, ra);
    }
}

static void ap_check_apqn(CPUS390XState *env, const APView *view, uintptr_t ra)
{
    if (!view->extended && (ap_apid(env->regs[0]) > AP_MAX_APID_BASE ||
                            ap_apqi(env->regs[0]) > AP_MAX_DOMAIN_BASE)) {
        tcg_s390_program_interrupt(env, PGM_SPECIFICATION, ra);
    }
}

/* NQAP and DQAP work on pairs of registers, the even one named. */
static void ap_check_pairs(CPUS390XState *env, uint32_t r1, uint32_t r2,
                           uintptr_t ra)
{
    if ((r1 | r2) & 1) {
        tcg_s390_program_interrupt(env, PGM_SPECIFICATION, ra);
    }
}

/* Condition code 3 goes with every response code but 00. */
static uint32_t ap_finish(CPUS390XState *env, uint32_t status)
{
    env->regs[1] = deposit64(env->regs[1], 0, 32, status);
    return AP_STATUS_GET_RC(status) ? 3 : 0;
}

/* Storage operands */

/* The part of an operand that can be processed at once: in one page. */
static size_t ap_chunk(uint64_t addr, size_t len)
{
    return MIN(len, TARGET_PAGE_SIZE - (addr & ~TARGET_PAGE_MASK));
}

static void ap_read(CPUS390XState *env, uint64_t addr, uint8_t *data,
                    size_t len, uintptr_t ra)
{
    int mmu_idx = s390x_env_mmu_index(env, false);

    while (len) {
        uint64_t from = wrap_address(env, addr);
        size_t n = ap_chunk(from, len), i;
        void *host = probe_read(env, from, n, mmu_idx, ra);

        if (host) {
            memcpy(data, host, n);
        } else {
            for (i = 0; i < n; i++) {
                data[i] = cpu_ldub_mmuidx_ra(env, from + i, mmu_idx, ra);
            }
        }
        addr += n;
        data += n;
        len -= n;
    }
}

/* All of it is accessible, or none of it is written. */
static void ap_write(CPUS390XState *env, uint64_t addr, const uint8_t *data,
                     size_t len, uintptr_t ra)
{
    int mmu_idx = s390x_env_mmu_index(env, false);
    size_t done, n, i;

    for (done = 0; done < len; done += n) {
        uint64_t to = wrap_address(env, addr + done);

        n = ap_chunk(to, len - done);
        probe_write(env, to, n, mmu_idx, ra);
    }
    for (done = 0; done < len; done += n) {
        uint64_t to = wrap_address(env, addr + done);
        void *host;

        n = ap_chunk(to, len - done);
        host = probe_write(env, to, n, mmu_idx, ra);
        if (host) {
            memcpy(host, data + done, n);
        } else {
            for (i = 0; i < n; i++) {
                cpu_stb_mmuidx_ra(env, to + i, data[done + i], mmu_idx, ra);
            }
        }
    }
}

/* A register with an address or a length, as the addressing mode has it */
static void ap_set_reg(CPUS390XState *env, int reg, uint64_t value)
{
    if (env->psw.mask & PSW_MASK_64) {
        env->regs[reg] = value;
    } else {
        env->regs[reg] = deposit64(env->regs[reg], 0, 32, value);
    }
}

static uint64_t ap_get_len(CPUS390XState *env, int reg)
{
    return env->psw.mask & PSW_MASK_64 ? env->regs[reg]
                                       : (uint32_t)env->regs[reg];
}

/* PQAP */

static uint32_t pqap_qci(CPUS390XState *env, const APView *view, uintptr_t ra)
{
    uint64_t addr = wrap_address(env, env->regs[2]);
    uint8_t info[128] = {};
    int i;

    if (addr & 7) {
        tcg_s390_program_interrupt(env, PGM_SPECIFICATION, ra);
    }
    /* S: special commands, N: APXA, C: QACT, R: reply code 8A */
    info[0] = 0x80 | 0x20 | 0x10;
    if (view->extended) {
        info[0] |= 0x40;
        info[4] = view->max_apid;
        info[5] = view->max_domain;
    }
    for (i = 0; i < AP_MASK_WORDS; i++) {
        stq_be_p(info + 0x10 + i * 8, view->apm[i]);
        stq_be_p(info + 0x30 + i * 8, view->aqm[i]);
        stq_be_p(info + 0x50 + i * 8, view->adm[i]);
    }
    ap_write(env, addr, info, sizeof(info), ra);
    return 0;
}

/* GR1 is the interruption control (union ap_qirq_ctrl), GR2 the NIB. */
static uint32_t pqap_aqic(CPUS390XState *env, APQueue *queue)
{
    uint64_t control = env->regs[1];
    APInterrupt irq = {
        .nib = env->regs[2],
        .gisa = control & 0x7ffffff0,
        .gisa_format = extract64(control, 32, 2),
        .gisc = extract64(control, 40, 3),
        .isc = extract64(control, 0, 3),
    };

    return ap_queue_aqic(queue, extract64(control, 47, 1), &irq);
}

/* Specification exceptions that depend on GR0's left part only. */
static bool pqap_function_valid(CPUS390XState *env)
{
    uint64_t gr0 = env->regs[0];
    uint8_t function = extract64(gr0, PQAP_FC_SHIFT, 8);

    /* The T bit is TAPQ's, but others ignore it where it is installed. */
    if (gr0 & PQAP_T && !ap_has_facility(env, S390_FEAT_AP_FACILITIES_TEST)) {
        return false;
    }
    switch (function) {
    case PQAP_TAPQ:
        return !(gr0 & PQAP_RESERVED);
    case PQAP_RAPQ:
    case PQAP_ZAPQ:
        return !(gr0 & PQAP_RESERVED & ~PQAP_F);
    case PQAP_AQIC:
        return !(gr0 & PQAP_RESERVED) &&
               ap_has_facility(env, S390_FEAT_AP_QUEUE_INTERRUPT_CONTROL);
    case PQAP_QCI:
        return !(gr0 & PQAP_RESERVED) &&
               ap_has_facility(env, S390_FEAT_AP_QUERY_CONFIG_INFO);
    case PQAP_QACT:
        /* It is QCI that tells that there is QACT. */
        return !(gr0 & PQAP_RESERVED & ~PQAP_F) &&
               ap_has_facility(env, S390_FEAT_AP_QUERY_CONFIG_INFO);
    default:
        /* BAPQ and AAPQ (07, 08) belong to secure execution's binding. */
        return false;
    }
}

uint32_t HELPER(pqap)(CPUS390XState *env)
{
    uintptr_t ra = GETPC();
    uint64_t gr0 = env->regs[0];
    uint8_t function = extract64(gr0, PQAP_FC_SHIFT, 8);
    uint32_t status, cc;
    APQueue *queue;
    APView view;

    ap_check_intercept(env, ra);
    /* Whoever gets AQIC checks GR0 as well, see KVM's handle_pqap(). */
    if (function == PQAP_AQIC && s390_sie_active(env)) {
        s390_sie_intercept_insn(env, ra);
    }
    if (!pqap_function_valid(env)) {
        tcg_s390_program_interrupt(env, PGM_SPECIFICATION, ra);
    }

    /* Whoever leaves by an exception leaves the lock as well. */
    bql_lock();
    ap_get_view(env, &view);
    if (function == PQAP_QCI) {
        cc = pqap_qci(env, &view, ra);
        bql_unlock();
        return cc;
    }
    ap_check_apqn(env, &view, ra);
    queue = ap_find_queue(&view, gr0);
    if (!queue) {
        status = AP_STATUS_RC(AP_RC_NOT_AVAILABLE);
        if (function == PQAP_TAPQ || function == PQAP_QACT) {
            env->regs[2] = 0;
        }
    } else {
        switch (function) {
        case PQAP_TAPQ:
            status = ap_queue_tapq(queue, gr0 & PQAP_T, &env->regs[2]);
            if (!view.extended) {
                env->regs[2] &= ~TAPQ_APXA;
                env->regs[2] = deposit64(env->regs[2], 16, 8, view.max_domain);
            }
            break;
        case PQAP_RAPQ:
            status = ap_queue_reset(queue, AP_FUNCTION_RAPQ);
            break;
        case PQAP_ZAPQ:
            status = ap_queue_reset(queue, AP_FUNCTION_ZAPQ);
            break;
        case PQAP_AQIC:
            status = pqap_aqic(env, queue);
            break;
        case PQAP_QACT:
            status = ap_queue_qact(queue, env->regs[1], &env->regs[2]);
            break;
        default:
            g_assert_not_reached();
        }
    }
    cc = ap_finish(env, status);
    bql_unlock();
    return cc;
}

/* NQAP */

/*
 * Compute the reply to a complete request, which takes its time with RSA:
 * without the lock. The queue may be gone afterwards, or have been reset.
 */
static void nqap_process(APQueue *queue, const APView *view,
                         APMessage *message)
{
    unsigned int apid = queue->adapter->apid, apqi = queue->apqi;
    APMessageContext context = {
        .mode = queue->adapter->mode,
        .model = queue->adapter->model,
        .apid = apid,
        .apqi = apqi,
        .max_domain = view->max_domain,
    };
    GByteArray *request = g_byte_array_ref(message->data);
    GByteArray *reply;

    message->partial = false;
    memcpy(context.adm, view->adm, sizeof(context.adm));
    bql_unlock();
    reply = ap_message_process(&context, request->data, request->len);
    bql_lock();
    queue = ap_hw_queue(apid, apqi);
    if (queue) {
        ap_queue_submit(queue, request, reply);
    }
    g_byte_array_unref(request);
    g_byte_array_unref(reply);
}

/*
 * R1 pair: PSMID, 32 bits in each. R2 pair: address and length. Condition code
 * 1: a part was taken that is not the last one; 2: not all of this part was
 * taken, the same again.
 */
static uint32_t nqap(CPUS390XState *env, uint32_t r1, uint32_t r2,
                     uintptr_t ra)
{
    uint64_t gr0 = env->regs[0];
    uint64_t psmid = env->regs[r1] << 32 | (uint32_t)env->regs[r1 + 1];
    uint64_t addr = wrap_address(env, env->regs[r2]);
    uint64_t len = ap_get_len(env, r2 + 1);
    static __thread uint8_t data[AP_MAX_MESSAGE];
    APMessage *message = NULL;
    APQueue *queue;
    APView view;
    uint32_t status;
    uint64_t room, now;

    ap_get_view(env, &view);
    ap_check_apqn(env, &view, ra);
    queue = ap_find_queue(&view, gr0);
    if (!queue) {
        return ap_finish(env, AP_STATUS_RC(AP_RC_NOT_AVAILABLE));
    }
    if (ap_queue_refuses(queue, AP_FUNCTION_NQAP, &status)) {
        return ap_finish(env, status);
    }
    if (gr0 & NQAP_SPECIAL && queue->adapter->mode == AP_MODE_ACCELERATOR) {
        return ap_finish(env, ap_queue_status(queue, AP_RC_NOT_INSTALLED));
    }
    if (gr0 & NQAP_CONTINUED) {
        message = ap_queue_partial(queue, psmid);
        if (!message) {
            return ap_finish(env, ap_queue_status(queue, AP_RC_NO_FIRST_PART));
        }
    } else if (ap_queue_full(queue)) {
        return ap_finish(env, ap_queue_status(queue, AP_RC_QUEUE_FULL));
    }
    room = ap_queue_max_message(queue) - (message ? message->data->len : 0);
    if (len > room) {
        if (message) {
            ap_queue_drop(queue, message);
        }
        return ap_finish(env, ap_queue_status(queue, AP_RC_MESSAGE_TOO_BIG));
    }

    now = MIN(len, AP_SEGMENT - (addr & (AP_SEGMENT - 1)));
    if (!ap_queue_room(queue, message, now)) {
        return ap_finish(env, ap_queue_status(queue, AP_RC_QUEUE_FULL));
    }
    ap_read(env, addr, data, now, ra);
    message = ap_queue_add_part(queue, message, psmid, data, now);
    ap_set_reg(env, r2, wrap_address(env, addr + now));
    ap_set_reg(env, r2 + 1, len - now);
    if (now < len) {
        env->regs[0] = gr0 | NQAP_CONTINUED;
        return 2;
    }
    if (!(gr0 & NQAP_LAST)) {
        env->regs[0] = gr0 | NQAP_CONTINUED;
        return 1;
    }
    nqap_process(queue, &view, message);

    queue = ap_find_queue(&view, gr0);
    status = queue ? ap_queue_status(queue, AP_RC_NORMAL)
                   : AP_STATUS_RC(AP_RC_NORMAL);
    return ap_finish(env, status);
}

uint32_t HELPER(nqap)(CPUS390XState *env, uint32_t r1, uint32_t r2)
{
    uintptr_t ra = GETPC();
    uint32_t cc;

    ap_check_intercept(env, ra);
    ap_check_pairs(env, r1, r2, ra);
    bql_lock();
    cc = nqap(env, r1, r2, ra);
    bql_unlock();
    return cc;
}

/* DQAP */

/*
 * R1 pair: gets the PSMID. R2 pair: address and length. Condition code 1: the
 * buffer is full, GR2 has the length of what is left of the reply; 2: not all
 * of the buffer was used yet, the same again.
 */
static uint32_t dqap(CPUS390XState *env, uint32_t r1, uint32_t r2,
                     uintptr_t ra)
{
    uint64_t gr0 = env->regs[0];
    uint64_t addr = wrap_address(env, env->regs[r2]);
    uint64_t len = ap_get_len(env, r2 + 1);
    APMessage *message;
    APQueue *queue;
    APView view;
    uint32_t status;
    uint64_t now, left;

    ap_get_view(env, &view);
    ap_check_apqn(env, &view, ra);
    queue = ap_find_queue(&view, gr0);
    if (!queue) {
        return ap_finish(env, AP_STATUS_RC(AP_RC_NOT_AVAILABLE));
    }
    if (ap_queue_refuses(queue, AP_FUNCTION_DQAP, &status)) {
        return ap_finish(env, status);
    }
    message = ap_queue_first_reply(queue);
    if (!message) {
        return ap_finish(env, ap_queue_status(queue, AP_RC_NO_REPLY));
    }

    left = message->data->len;
    if (!(gr0 & DQAP_FIRST)) {
        left -= message->taken;
    }
    now = MIN(left, len);
    now = MIN(now, AP_SEGMENT - (addr & (AP_SEGMENT - 1)));
    ap_write(env, addr, message->data->data + message->data->len - left, now,
             ra);
    left -= now;
    message->taken = message->data->len - left;
    ap_set_reg(env, r1, message->psmid >> 32);
    ap_set_reg(env, r1 + 1, message->psmid & UINT32_MAX);
    ap_set_reg(env, r2, wrap_address(env, addr + now));
    ap_set_reg(env, r2 + 1, len - now);
    env->regs[2] = left;
    if (left) {
        env->regs[0] = (gr0 & ~DQAP_FIRST) | DQAP_CONTINUED;
        return now < len ? 2 : 1;
    }
    ap_queue_remove_reply(queue, message);
    return ap_finish(env, ap_queue_status(queue, AP_RC_NORMAL));
}

uint32_t HELPER(dqap)(CPUS390XState *env, uint32_t r1, uint32_t r2)
{
    uintptr_t ra = GETPC();
    uint32_t cc;

    ap_check_intercept(env, ra);
    ap_check_pairs(env, r1, r2, ra);
    bql_lock();
    cc = dqap(env, r1, r2, ra);
    bql_unlock();
    return cc;
}
