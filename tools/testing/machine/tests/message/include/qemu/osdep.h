/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ap-message.c takes from the emulator's header of this name */
#ifndef QEMU_OSDEP_H
#define QEMU_OSDEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <glib.h>

#endif
