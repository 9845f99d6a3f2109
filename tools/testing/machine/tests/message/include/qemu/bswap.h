/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ap-message.c takes from the emulator's header of this name */
#ifndef QEMU_BSWAP_H
#define QEMU_BSWAP_H

#include <endian.h>

#define cpu_to_be16(value) htobe16(value)
#define cpu_to_be32(value) htobe32(value)

static inline int lduw_be_p(const void *from)
{
    uint16_t value;

    memcpy(&value, from, sizeof(value));
    return be16toh(value);
}

/* An int, as the emulator has it: what is wrong with that is to be found. */
static inline int ldl_be_p(const void *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return be32toh(value);
}

static inline void stw_be_p(void *to, uint16_t value)
{
    value = htobe16(value);
    memcpy(to, &value, sizeof(value));
}

static inline void stl_be_p(void *to, uint32_t value)
{
    value = htobe32(value);
    memcpy(to, &value, sizeof(value));
}

#endif
