/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ap-message.c takes from the emulator's header of this name */
#ifndef QEMU_UNITS_H
#define QEMU_UNITS_H

#define KiB 1024

#endif
