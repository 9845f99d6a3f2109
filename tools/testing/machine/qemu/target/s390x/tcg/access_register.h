/*
 * Access-register mode for TCG
 *
 * Copyright (c) 2026 the vfio-ap project
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_S390X_TCG_ACCESS_REGISTER_H
#define TARGET_S390X_TCG_ACCESS_REGISTER_H

struct CPUArchState;
struct S390Walk;

/* Access-register translation */
int s390_art(struct CPUArchState *env, struct S390Walk *walk, uint32_t alet,
             uint16_t eax, uint64_t *asce, bool *fetch_only);

#endif
