/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the groups of operations have in common: where a measurement begins and
 * ends, how an operation is reported, and the matrices that they use.
 *
 * Nothing is written to standard output before all operations are through, for
 * that would be counted, too. A function that meets anything unexpected ends the
 * program.
 */
#ifndef VFIO_AP_BENCH_OPERATIONS_H
#define VFIO_AP_BENCH_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "lib/ap.h"
#include "lib/guest_ap.h"
#include "lib/host.h"
#include "lib/vmm.h"

/*
 * Each operation is done once without being measured, and then so many times; or
 * once more only, where so many queues are concerned that it takes long.
 */
#define ROUNDS		3
#define MANY_QUEUES	1024
#define for_each_round(round)	for (round = 0; round <= ROUNDS; round++)
#define for_each_round_of(round, size)					\
	for (round = 0; round <= rounds_of(size); round++)

struct size {
	unsigned int adapters;
	unsigned int domains;
};

extern const struct size sizes[];
extern const unsigned int nr_sizes;

static inline int rounds_of(struct size size)
{
	return size.adapters * size.domains < MANY_QUEUES ? ROUNDS : 1;
}

/* One operation. */
struct op {
	const char *name;
	struct size size;
	unsigned int others;	/* mediated devices beside the one concerned */
	unsigned int units;	/* how many times it is done; 0: once */
	bool warm_up;		/* not measured */
	uint64_t begin;		/* op_begin()'s own */
};

void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format, ...);

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000UL + now.tv_nsec;
}

#define MARK_TEXT_(mark)	".long " #mark
#define MARK_TEXT(mark)		MARK_TEXT_(mark)

/* Let the machine finish what it has to do on its own, before a measurement. */
void quiet(void);

/*
 * A driver may tell the log that it waits for a reset, at most ten times in five
 * seconds. An operation that is to find this limit as it would find it on its own
 * waits here before.
 */
void rested_log(const struct op *op);

static inline void op_begin(struct op *op)
{
	quiet();
	op->begin = now_ns();
	if (!op->warm_up)
		asm volatile(MARK_TEXT(MARK_BEGIN) ::: "memory");
}

/* Nothing for the machine; meter.c sends the QMP command that R2 points to. */
#define MARK_CHANGE	0x47000bb3

/* Where the emulator keeps its adapters, domains and queues. */
#define BRIDGE		"/machine/ap-bridge"

/*
 * Change the emulated hardware, at once, by a QMP command and its arguments. If
 * that fails, meter.c says so, and the whole measurement fails.
 */
void __printf(2, 3) hardware_change(const char *command,
				    const char *arguments, ...);
/* @object is "cardXX" or "XX.XXXX", @which "reset-time" or another of its times. */
void set_time(const char *object, const char *which, unsigned int ms);

void op_report(const struct op *op, uint64_t nanoseconds);

/* The end of the measurement, and the operation's line. */
static inline void op_end(const struct op *op)
{
	if (!op->warm_up) {
		asm volatile(MARK_TEXT(MARK_END) ::: "memory");
		op_report(op, now_ns() - op->begin);
	}
}

/* A figure that is no count of instructions. */
void value_report(const char *name, struct size size, unsigned int others,
		  double number, const char *unit);

/* Write to, or read from, an open attribute, and measure that. */
void op_write(struct op *op, int fd, const char *text);
size_t op_read(struct op *op, int fd, char *text, size_t size);
/* AQIC in the guest, which must answer @rc. */
void op_aqic(struct op *op, struct guest *guest, uint16_t apqn,
	     uint64_t control, uint64_t nib, uint8_t rc);

/* Open an attribute of a mediated device, or any other. */
int open_attribute(const char *uuid, const char *name, int flags);
int open_path(int flags, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The n-th mediated device: number 0 is the one that is measured. */
void create(unsigned int n);
void create_empty(unsigned int first, unsigned int last);
void destroy(unsigned int n);

#define CONFIG_LENGTH	(3 * MASK_LENGTH + 3)

/*
 * The matrix of the first adapters and domains of the host, as ap_config has it;
 * and that as the n-th mediated device's, without control domains.
 */
void config_text(char text[CONFIG_LENGTH], struct size size);
void configure(unsigned int n, struct size size);
void check_config(unsigned int n, struct size size);
/* Every queue of the matrix is passable to a guest. */
void check_guest_matrix(unsigned int n, struct size size);

static inline uint16_t apqn_of(unsigned int adapter, unsigned int domain)
{
	return APQN(host.adapter[adapter], host.domain[domain]);
}

/*
 * A guest with the n-th mediated device, which is made for it and has that
 * matrix; guest->apqn is its first queue.
 */
void guest_start(struct guest *guest, unsigned int n, struct size size);
void guest_stop(struct guest *guest);
/* A guest as the selftests have it. */
void guest_make(struct guest *guest, const struct guest_config *config);

void group_bind(void);
void group_matrix(void);
void group_mdev(void);
void group_vfio(void);
void group_aqic(void);
void group_reset(void);
void group_size(void);
void group_scan(void);
void group_isolation(void);
void group_migration(void);

#endif /* VFIO_AP_BENCH_OPERATIONS_H */
