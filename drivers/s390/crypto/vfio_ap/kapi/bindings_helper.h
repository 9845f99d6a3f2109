/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: the C interfaces of the kernel that vfio_ap uses and that
 * the kernel crate has no bindings for. bindgen_parameters, beside this file,
 * says which of their items are wanted.
 */

#include <linux/anon_inodes.h>
#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/mdev.h>
#include <linux/vfio.h>
#include <asm/debug.h>
#include <asm/uv.h>
#include <asm/zcrypt.h>
#include <ap_bus.h>
#include <trace/events/vfio_ap.h>
#include "shims.h"

/* bindgen does not see through macros that call functions or cast. */
const u32 RUST_CONST_HELPER_VFIO_AP_MAX_INSTANCES = MAX_ZDEV_ENTRIES_EXT;
const u32 RUST_CONST_HELPER_VFIO_DEVICE_GET_INFO = VFIO_DEVICE_GET_INFO;
const u32 RUST_CONST_HELPER_VFIO_DEVICE_RESET = VFIO_DEVICE_RESET;
const u32 RUST_CONST_HELPER_VFIO_DEVICE_GET_IRQ_INFO = VFIO_DEVICE_GET_IRQ_INFO;
const u32 RUST_CONST_HELPER_VFIO_DEVICE_SET_IRQS = VFIO_DEVICE_SET_IRQS;
const u32 RUST_CONST_HELPER_VFIO_MIG_GET_PRECOPY_INFO = VFIO_MIG_GET_PRECOPY_INFO;
