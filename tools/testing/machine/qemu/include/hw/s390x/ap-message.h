/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emulated adjunct processor hardware: what the adapters compute
 *
 * Nothing here depends on the emulator's state, so that it can be tested alone
 * (tests/message).
 */
#ifndef HW_S390X_AP_MESSAGE_H
#define HW_S390X_AP_MESSAGE_H

#define AP_MASK_WORDS 4
/* Four bits of TAPQ's answer, in units of 4 KiB. */
#define AP_MAX_MESSAGE (15 * 4096)

typedef enum APMode {
    AP_MODE_ACCELERATOR,
    AP_MODE_CCA,
    AP_MODE_EP11,
    AP_MODE__MAX,
} APMode;

typedef enum APModel {
    AP_MODEL_CEX3,
    AP_MODEL_CEX4,
    AP_MODEL_CEX5,
    AP_MODEL_CEX6,
    AP_MODEL_CEX7,
    AP_MODEL_CEX8,
    AP_MODEL__MAX,
} APModel;

typedef struct APMessageContext {
    APMode mode;
    APModel model;
    uint8_t apid;
    uint8_t apqi;
    /* The highest domain of the machine. */
    uint8_t max_domain;
    /* Domains that a control request may name, bit 0 is the leftmost. */
    uint64_t adm[AP_MASK_WORDS];
} APMessageContext;

/*
 * Compute the reply to a request. Needs no lock; @request is whatever a guest
 * made it. The reply is never longer than AP_MAX_MESSAGE.
 */
GByteArray *ap_message_process(const APMessageContext *context,
                               const uint8_t *request, size_t len);

static inline bool ap_mask_test(const uint64_t mask[AP_MASK_WORDS],
                                unsigned int nr)
{
    return mask[nr / 64] & (1ull << (63 - nr % 64));
}

static inline void ap_mask_set(uint64_t mask[AP_MASK_WORDS], unsigned int nr)
{
    mask[nr / 64] |= 1ull << (63 - nr % 64);
}

#endif
