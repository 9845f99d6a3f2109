/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host's side of a test: AP bus, vfio_ap module and mediated devices, all
 * of it through sysfs, as an administrator has it.
 *
 * host_setup() finds adapters and domains whose queues are with vfio_ap. When
 * there are none, it takes all queues from the host's own drivers by apmask;
 * host_cleanup() gives them back.
 *
 * Functions that return an int return 0 or a negative errno.
 */
#ifndef VFIO_AP_SELFTEST_HOST_H
#define VFIO_AP_SELFTEST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kselftest.h"

#define AP_BUS		"/sys/bus/ap"
#define AP_DEVICES	"/sys/bus/ap/devices"
#define MATRIX		"/sys/devices/vfio_ap/matrix"
#define MDEV_DEVICES	"/sys/bus/mdev/devices"
#define MDEV_TYPE	MATRIX "/mdev_supported_types/vfio_ap-passthrough"
#define MODULE		"/sys/module/vfio_ap"

#define UUID_LENGTH	37	/* with the terminating zero */
#define MASK_LENGTH	80	/* a 256-bit mask as text */

#define APQN(apid, apqi)	((uint16_t)((apid) << 8 | (apqi)))
#define APID(apqn)		((apqn) >> 8)
#define APQI(apqn)		((apqn) & 0xff)

struct host {
	unsigned int nr_adapters;
	unsigned int nr_domains;
	/* Every one of these adapters has a queue of vfio_ap in every domain. */
	uint8_t adapter[256];
	uint8_t domain[256];
	unsigned int max_adapter;
	unsigned int max_domain;
	bool driver_is_c;	/* the C driver, not the one in Rust */
	bool has_aphw;		/* the emulated host, with its tool */
	char apmask[MASK_LENGTH];	/* as found */
	char aqmask[MASK_LENGTH];
	char test_apmask[MASK_LENGTH];	/* as the tests have them */
	char test_aqmask[MASK_LENGTH];
	char reason[160];	/* why there can be no test */
};

extern struct host host;

int host_setup(void);
void host_cleanup(void);
/* Fill in @host's adapters and domains by what is with vfio_ap now. */
void host_find_queues(void);

/* Write @length bytes at once; -EIO when the kernel took less. */
int sysfs_write_bytes(const char *path, const void *bytes, size_t length);
int sysfs_write(const char *path, const char *text);
/* Reads at most @size - 1 bytes; the length, or a negative errno. */
int sysfs_read(const char *path, char *text, size_t size);
bool path_exists(const char *path);

/* A mask as sysfs has it, and a bit of it; bit 0 is the leftmost. */
void mask_format(const uint64_t mask[4], char text[MASK_LENGTH]);
int mask_parse(const char *text, uint64_t mask[4]);

static inline void mask_set(uint64_t mask[4], unsigned int bit, bool on)
{
	if (on)
		mask[bit / 64] |= 1UL << (63 - bit % 64);
	else
		mask[bit / 64] &= ~(1UL << (63 - bit % 64));
}

static inline bool mask_test(const uint64_t mask[4], unsigned int bit)
{
	return mask[bit / 64] >> (63 - bit % 64) & 1;
}

/* The lowest number that is free for another adapter, or -1. */
int host_free_adapter(void);
/* The lowest number that is free for another domain, usage and control, or -1. */
int host_free_domain(void);
/* Is every adapter vfio_ap's, also one that is still to come? */
bool host_gives_all_adapters(void);

/* The UUID of the @n-th mediated device of the tests. */
void mdev_uuid(char uuid[UUID_LENGTH], unsigned int n);
int mdev_create(const char *uuid);
int mdev_remove(const char *uuid);
int mdev_write(const char *uuid, const char *attribute, const char *text);
int mdev_read(const char *uuid, const char *attribute, char *text, size_t size);
/* assign_adapter and so on, with a number. */
int mdev_assign(const char *uuid, const char *attribute, unsigned int number);
/* Removes every mediated device that mdev_uuid() can name. */
void mdev_remove_all(void);

/* The name of the driver that @apqn is bound to; "" for none. */
int queue_driver(uint16_t apqn, char *name, size_t size);
int queue_bind(uint16_t apqn, const char *driver);
int queue_unbind(uint16_t apqn);
int queue_status(uint16_t apqn, char *text, size_t size);
/* Wait until the AP bus has done with the reset of new queue devices. */
int queue_settle(uint16_t apqn);
void queues_settle(void);
/*
 * Give vfio_ap back whatever queue a test has unbound, or given to the host's
 * drivers by the masks.
 */
void queues_restore(void);
int masks_restore(void);

int module_load(void);
int module_unload(void);
/* Could module_load() load it again? */
bool module_can_reload(void);
/* The module's reference count, or a negative errno when it is not loaded. */
int module_references(void);
/* Is it the int that @references points to? For wait_until(). */
bool module_has_references(void *references);

/*
 * One of the tests' own modules, modules/@name.c: load it, unload it, and set one of
 * its parameters. Loading returns -ENOENT when it was not built.
 */
int test_module_load(const char *name);
int test_module_unload(const char *name);
int test_module_set(const char *name, const char *parameter, const char *text);

/* Let aphw, the emulated host's tool, change its AP hardware. */
int hw_change(const char *format, ...) __printf(1, 2);
/* A number that aphw shows of a queue, behind @what ("replies="); -1 without. */
long hw_queue_number(uint16_t apqn, const char *what);
/* Let the AP bus look for changes, and wait until it has. */
int bus_rescan(void);

/* Poll @condition, at most @timeout_ms; whether it became true. */
bool wait_until(bool (*condition)(void *data), void *data,
		unsigned int timeout_ms);
void sleep_ms(unsigned int ms);

#endif /* VFIO_AP_SELFTEST_HOST_H */
