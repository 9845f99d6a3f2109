// SPDX-License-Identifier: GPL-2.0
/*
 * operations - does what the benchmark of the vfio_ap driver measures
 *
 * Runs as root in the emulated host, all of whose AP hardware is for vfio_ap.
 * Prints one line for each measurement, in the order in which they were done:
 *
 *	op	OPERATION	ADAPTERSxDOMAINS	OTHERS	UNITS	NANOSECONDS
 *	value	NAME		ADAPTERSxDOMAINS	OTHERS	NUMBER	UNIT
 *
 * Which instructions are to be counted, the marks tell (see lib/guest.h): there
 * are as many pairs of them as lines with op.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "operations.h"

static const struct group {
	const char *name;
	struct size host;	/* what the host must have */
	void (*run)(void);
	const char *about;
} groups[] = {
	{ "bind", { 16, 256 }, group_bind,
	  "binding and unbinding queues" },
	{ "matrix", { 16, 256 }, group_matrix,
	  "assigning, unassigning, ap_config, and reading the matrix" },
	{ "mdev", { 16, 256 }, group_mdev,
	  "making and removing a mediated device, and many others beside it" },
	{ "vfio", { 16, 256 }, group_vfio,
	  "opening, resetting and closing a device" },
	{ "aqic", { 16, 256 }, group_aqic,
	  "a guest's AQIC, and KVM's own share of it" },
	{ "reset", { 16, 64 }, group_reset,
	  "opening, resetting and closing with slower hardware" },
	{ "size", { 2, 256 }, group_size,
	  "memory: of the module and of devices" },
	{ "scan", { 2, 256 }, group_scan,
	  "a scan of the AP bus, which finds an adapter gone, or back" },
	{ "isolation", { 1, 4 }, group_isolation,
	  "one guest while another one is reset" },
	{ "migration", { 4, 256 }, group_migration,
	  "both ends of a live migration" },
};

const struct size sizes[] = { { 1, 1 }, { 4, 16 }, { 8, 64 }, { 16, 256 } };
const unsigned int nr_sizes = ARRAY_SIZE(sizes);

void die(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("operations: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* The next tick of the kernel's clock is as far away as can be: 4 ms. */
static void after_tick(void)
{
	struct timespec before, now;

	/* This clock goes on with each tick. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &before);
	do {
		clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	} while (now.tv_nsec == before.tv_nsec);
}

/*
 * The next scan of the bus is put off, for there is nothing to be found; and
 * whatever else was begun, such as freeing memory, gets time to end.
 */
void quiet(void)
{
	/* The most that it takes; begins again to count now. */
	int ret = sysfs_write(AP_BUS "/config_time", "120");

	if (ret)
		die("config_time: %s", strerror(-ret));
	sleep_ms(50);
	after_tick();
}

void rested_log(const struct op *op)
{
	if (!op->warm_up)
		sleep_ms(6000);
}

void op_report(const struct op *op, uint64_t nanoseconds)
{
	printf("op\t%s\t%ux%u\t%u\t%u\t%lu\n", op->name, op->size.adapters,
	       op->size.domains, op->others, op->units ? op->units : 1,
	       nanoseconds);
}

void value_report(const char *name, struct size size, unsigned int others,
		  double number, const char *unit)
{
	printf("value\t%s\t%ux%u\t%u\t%.0f\t%s\n", name, size.adapters,
	       size.domains, others, number, unit);
}

void op_write(struct op *op, int fd, const char *text)
{
	size_t length = strlen(text);
	ssize_t n;

	op_begin(op);
	n = pwrite(fd, text, length, 0);
	op_end(op);
	if (n != length)
		die("%s, %ux%u, writing '%s': %s", op->name, op->size.adapters,
		    op->size.domains, text,
		    n < 0 ? strerror(errno) : "not all of it");
}

size_t op_read(struct op *op, int fd, char *text, size_t size)
{
	ssize_t n;

	op_begin(op);
	n = pread(fd, text, size - 1, 0);
	op_end(op);
	if (n < 0)
		die("%s, %ux%u: %s", op->name, op->size.adapters,
		    op->size.domains, strerror(errno));
	text[n] = 0;
	return n;
}

void op_aqic(struct op *op, struct guest *guest, uint16_t apqn,
	     uint64_t control, uint64_t nib, uint8_t rc)
{
	struct ap_result result;
	uint64_t nanoseconds;
	int ret;

	if (op->warm_up) {
		ret = ap_aqic(&guest->vmm, apqn, control, nib, &result);
	} else {
		quiet();
		ret = ap_aqic_marked(&guest->vmm, apqn, control, nib,
				     &nanoseconds, &result);
		op_report(op, nanoseconds);
	}
	if (ret)
		die("%s: %s", op->name, guest->vmm.error);
	/* KVM's own answer is in the upper half of GR 1. */
	if (result.pgm || (result.rc | (uint8_t)(result.gr1 >> 48)) != rc)
		die("%s: interruption %#x, response code %02x instead of %02x",
		    op->name, result.pgm, result.rc, rc);
}

int open_path(int flags, const char *format, ...)
{
	char path[256];
	va_list ap;
	int fd;

	va_start(ap, format);
	vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

int open_attribute(const char *uuid, const char *name, int flags)
{
	return open_path(flags, MDEV_DEVICES "/%s/%s", uuid, name);
}

/* --- hardware ------------------------------------------------------------ */

/* What meter.c takes. */
#define COMMAND_SIZE	256

static void mark_change(const char *command)
{
	register const char *r2 asm("r2") = command;

	asm volatile(MARK_TEXT(MARK_CHANGE) :: "d" (r2) : "memory");
}

void hardware_change(const char *name, const char *format, ...)
{
	static char command[COMMAND_SIZE];
	char arguments[COMMAND_SIZE / 2];
	va_list ap;

	va_start(ap, format);
	vsnprintf(arguments, sizeof(arguments), format, ap);
	va_end(ap);
	snprintf(command, sizeof(command),
		 "{\"execute\":\"%s\",\"arguments\":{%s}}", name, arguments);
	mark_change(command);
}

void set_time(const char *object, const char *which, unsigned int ms)
{
	hardware_change("qom-set",
			"\"path\":\"" BRIDGE "/%s\",\"property\":\"%s\",\"value\":%u",
			object, which, ms);
}

/* --- mediated devices ---------------------------------------------------- */

void create(unsigned int n)
{
	char uuid[UUID_LENGTH];
	int ret;

	mdev_uuid(uuid, n);
	ret = mdev_create(uuid);
	if (ret)
		die("creating %s: %s", uuid, strerror(-ret));
}

void create_empty(unsigned int first, unsigned int last)
{
	unsigned int n;

	for (n = first; n <= last; n++)
		create(n);
}

void destroy(unsigned int n)
{
	char uuid[UUID_LENGTH];
	int ret;

	mdev_uuid(uuid, n);
	ret = mdev_remove(uuid);
	if (ret)
		die("removing %s: %s", uuid, strerror(-ret));
}

void config_text(char text[CONFIG_LENGTH], struct size size)
{
	uint64_t apm[4] = {}, aqm[4] = {}, adm[4] = {};
	char masks[3][MASK_LENGTH];
	unsigned int i;

	for (i = 0; i < size.adapters; i++)
		mask_set(apm, host.adapter[i], true);
	for (i = 0; i < size.domains; i++)
		mask_set(aqm, host.domain[i], true);
	mask_format(apm, masks[0]);
	mask_format(aqm, masks[1]);
	mask_format(adm, masks[2]);
	snprintf(text, CONFIG_LENGTH, "%s,%s,%s\n", masks[0], masks[1],
		 masks[2]);
}

void configure(unsigned int n, struct size size)
{
	char uuid[UUID_LENGTH], text[CONFIG_LENGTH];
	int ret;

	mdev_uuid(uuid, n);
	config_text(text, size);
	ret = mdev_write(uuid, "ap_config", text);
	if (ret)
		die("ap_config of %ux%u: %s", size.adapters, size.domains,
		    strerror(-ret));
}

void check_config(unsigned int n, struct size size)
{
	char uuid[UUID_LENGTH], text[CONFIG_LENGTH], is[1024];
	int ret;

	mdev_uuid(uuid, n);
	config_text(text, size);
	ret = mdev_read(uuid, "ap_config", is, sizeof(is));
	if (ret < 0 || strcmp(text, is))
		die("ap_config of %ux%u is '%s'", size.adapters, size.domains,
		    ret < 0 ? strerror(-ret) : is);
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

void check_guest_matrix(unsigned int n, struct size size)
{
	size_t wanted = size.adapters * size.domains, lines;
	char uuid[UUID_LENGTH], *text = malloc(65536);
	int ret;

	/* Without any queue, it tells the adapters or the domains. */
	if (!wanted && (size.adapters || size.domains))
		return;
	mdev_uuid(uuid, n);
	ret = mdev_read(uuid, "guest_matrix", text, 65536);
	if (ret < 0)
		die("guest_matrix: %s", strerror(-ret));
	/* More than a page does not fit; its last line may be cut off. */
	lines = count_lines(text);
	if (lines != wanted && (lines > wanted || ret < 4000))
		die("guest_matrix of %ux%u has %zu queues", size.adapters,
		    size.domains, lines);
	free(text);
}

/* --- guests -------------------------------------------------------------- */

void guest_make(struct guest *guest, const struct guest_config *config)
{
	int ret = guest_up(guest, config);

	if (ret)
		die("guest: %s", guest->error);
}

void guest_start(struct guest *guest, unsigned int n, struct size size)
{
	const struct guest_config config = { .no_mdev = true, .nth = n };

	create(n);
	configure(n, size);
	guest_make(guest, &config);
}

void guest_stop(struct guest *guest)
{
	int ret;

	guest_down(guest);
	ret = mdev_remove(guest->uuid);
	if (ret)
		die("removing %s: %s", guest->uuid, strerror(-ret));
}

/* --- preparation --------------------------------------------------------- */

static bool is_scanned(void *data)
{
	char text[32];

	return sysfs_read(AP_BUS "/scans", text, sizeof(text)) > 0 &&
	       strtoul(text, NULL, 10);
}

/* More than host_setup() does is not needed; it asks queue by queue. */
static void prepare_host(const struct group *group)
{
	if (!wait_until(is_scanned, NULL, 600000))
		die("the AP bus has not found its queues");
	host_find_queues();
	if (host.nr_adapters < group->host.adapters ||
	    host.nr_domains < group->host.domains)
		die("%u adapters and %u domains for vfio_ap: %s needs %u and %u",
		    host.nr_adapters, host.nr_domains, group->name,
		    group->host.adapters, group->host.domains);
	/* The one that the bus has found last. */
	if (queue_settle(apqn_of(host.nr_adapters - 1, host.nr_domains - 1)))
		die("the AP bus does not come to an end with its queues");
}

/* What the kernel gives away lies elsewhere then. */
static void allocate(unsigned long number)
{
	struct rlimit limit = { number + 4096, number + 4096 };
	unsigned long i;
	void *pages;

	if (!number)
		return;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("limit of %lu files: %s", number, strerror(errno));
	for (i = 0; i < number; i++)
		if (eventfd(0, EFD_CLOEXEC) < 0)
			die("eventfd %lu: %s", i, strerror(errno));
	pages = mmap(NULL, number * 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (pages == MAP_FAILED)
		die("%lu pages: %s", number, strerror(errno));
}

/* So many instructions. */
static void spin(unsigned long number)
{
	if (number)
		asm volatile("0:	brctg	%0,0b" : "+d" (number));
}

static void usage(int status)
{
	unsigned int i;

	puts("Usage: operations GROUP [phase=INSTRUCTIONS] [allocate=NUMBER]\n"
	     "\n"
	     "Does the operations of a group. Before, so many instructions are executed\n"
	     "without purpose, and so many files and pages are taken, by which boots differ.\n"
	     "\n"
	     "The groups:");
	for (i = 0; i < ARRAY_SIZE(groups); i++)
		printf("  %-10s  %s\n", groups[i].name, groups[i].about);
	exit(status);
}

static unsigned long number_of(const char *argument, const char *name)
{
	size_t length = strlen(name);
	unsigned long number;
	char *end;

	if (strncmp(argument, name, length) || argument[length] != '=')
		return 0;
	errno = 0;
	number = strtoul(argument + length + 1, &end, 10);
	if (errno || *end || end == argument + length + 1)
		die("'%s': expected a number", argument);
	return number;
}

/*
 * Whatever an operation wakes, such as a worker that sends an event, runs at once
 * then: before the operation is over, and so it is counted. Otherwise it would be the
 * scheduler's choice, another one each time.
 */
static void give_way(void)
{
	const struct sched_param param = {};

	if (sched_setscheduler(0, SCHED_IDLE, &param))
		die("SCHED_IDLE: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	const struct group *group = NULL;
	unsigned long phase = 0, number = 0;
	unsigned int i;

	if (argc == 2 && !strcmp(argv[1], "--help"))
		usage(0);
	for (i = 0; argc > 1 && i < ARRAY_SIZE(groups); i++)
		if (!strcmp(argv[1], groups[i].name))
			group = &groups[i];
	if (!group)
		usage(2);
	for (i = 2; i < argc; i++) {
		if (strncmp(argv[i], "phase=", 6) &&
		    strncmp(argv[i], "allocate=", 9))
			usage(2);
		phase += number_of(argv[i], "phase");
		number += number_of(argv[i], "allocate");
	}
	setvbuf(stdout, NULL, _IOFBF, 1 << 17);
	prepare_host(group);
	allocate(number);
	spin(phase);
	give_way();
	group->run();
	puts("done");
	return 0;
}
