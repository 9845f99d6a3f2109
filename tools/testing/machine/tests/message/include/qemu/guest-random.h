/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ap-message.c takes from the emulator's header of this name */
#ifndef QEMU_GUEST_RANDOM_H
#define QEMU_GUEST_RANDOM_H

void qemu_guest_getrandom_nofail(void *buf, size_t len);

#endif
