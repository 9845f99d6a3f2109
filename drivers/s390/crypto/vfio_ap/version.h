/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The version of the driver, as modinfo and /sys/module/vfio_ap/version show it.
 */
#ifndef VFIO_AP_VERSION_H
#define VFIO_AP_VERSION_H

#define VFIO_AP_VERSION	"1.1"

#endif /* VFIO_AP_VERSION_H */
