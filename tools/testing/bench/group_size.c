// SPDX-License-Identifier: GPL-2.0
/*
 * How large the module is, and how much memory a mediated device and a bound
 * queue take: all of it, with what VFIO, the mdev core, sysfs and the driver core
 * keep for them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/elf.h>

#include "operations.h"

#define NR_MDEVS	500
#define SLABS		"/sys/kernel/slab"

static const struct size none = { 0, 0 };

/* --- the module ---------------------------------------------------------- */

static void loaded_size(void)
{
	char text[32];

	if (sysfs_read(MODULE "/coresize", text, sizeof(text)) < 0)
		die("the module has no coresize");
	value_report("module as loaded", none, 0, strtoul(text, NULL, 10),
		     "bytes");
}

/* The sections that are kept in memory, by what they may be used for. */
static void section_sizes(void)
{
	const char *path = getenv("VFIO_AP_MODULE");
	unsigned long text = 0, read_only = 0, data = 0;
	const struct elf64_shdr *section;
	const struct elf64_hdr *file;
	struct stat status;
	const char *names;
	int fd, i;

	if (!path)
		die("VFIO_AP_MODULE does not tell the module's file");
	fd = open_path(O_RDONLY, "%s", path);
	if (fstat(fd, &status))
		die("%s: %s", path, strerror(errno));
	file = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED || memcmp(file->e_ident, ELFMAG, SELFMAG))
		die("%s is no module", path);
	section = (void *)((char *)file + file->e_shoff);
	names = (char *)file + section[file->e_shstrndx].sh_offset;
	for (i = 0; i < file->e_shnum; i++, section++) {
		/* Freed, or never there, once the module is loaded. */
		if (!(section->sh_flags & SHF_ALLOC) ||
		    !strncmp(names + section->sh_name, ".init", 5) ||
		    !strcmp(names + section->sh_name, ".modinfo"))
			continue;
		if (section->sh_flags & SHF_EXECINSTR)
			text += section->sh_size;
		else if (section->sh_flags & SHF_WRITE)
			data += section->sh_size;
		else
			read_only += section->sh_size;
	}
	value_report("module's code", none, 0, text, "bytes");
	value_report("module's constants", none, 0, read_only, "bytes");
	value_report("module's data", none, 0, data, "bytes");
	close(fd);
}

/* --- memory -------------------------------------------------------------- */

/* The sum of all numbers that stand behind @name in a file of /proc. */
static long sum_of(const char *path, const char *name)
{
	static char text[65536];
	long sum = 0;
	char *line;

	if (sysfs_read(path, text, sizeof(text)) < 0)
		die("%s cannot be read", path);
	line = strstr(text, name);
	if (!line)
		die("%s has no %s", path, name);
	for (; line; line = strstr(line, name)) {
		line += strlen(name);
		sum += strtol(line, NULL, 10);
	}
	return sum;
}

/*
 * The bytes that the kernel's allocator has room for in the pages that it has
 * taken, after it has given back those that it needs no more.
 */
static long room_in_slabs(void)
{
	long active, size, pages, slabs, room = 0;
	static char text[65536];
	struct dirent *entry;
	char path[320], *line;
	DIR *dir;

	dir = opendir(SLABS);
	if (!dir)
		die(SLABS ": %s", strerror(errno));
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), SLABS "/%s/shrink", entry->d_name);
		sysfs_write(path, "1");
	}
	closedir(dir);
	if (sysfs_read("/proc/slabinfo", text, sizeof(text)) < 0)
		die("/proc/slabinfo cannot be read");
	for (line = text; line; line = strchr(line + 1, '\n'))
		if (sscanf(line,
			   "%*s %ld %*d %ld %*d %ld : tunables %*d %*d %*d : slabdata %*d %ld",
			   &active, &size, &pages, &slabs) == 4)
			room += slabs * pages * 4096 - active * size;
	if (!room)
		die("/proc/slabinfo is not understood");
	return room;
}

/*
 * Free memory, what can be had without loss included: caches are emptied, and
 * pages that wait on a CPU's list count, and so does room for objects. How full
 * the allocator's pages are is a matter of chance, and some KiB for each device.
 */
static long free_bytes_now(void)
{
	long room;
	int ret;

	ret = sysfs_write("/proc/sys/vm/drop_caches", "3");
	if (ret)
		die("drop_caches: %s", strerror(-ret));
	quiet();
	sleep_ms(200);
	room = room_in_slabs();
	return sum_of("/proc/meminfo", "MemFree:") * 1024 +
	       sum_of("/proc/zoneinfo", " count:") * 4096 + room;
}

/*
 * The same without what is on its way while it is read, such as some objects that
 * the allocator has in reserve again: the figure that comes up three times.
 */
static long free_bytes(void)
{
	long seen[64];
	unsigned int i, n, times;

	for (n = 0; n < ARRAY_SIZE(seen); n++) {
		seen[n] = free_bytes_now();
		for (i = 0, times = 0; i <= n; i++)
			times += seen[i] == seen[n];
		if (times == 3)
			return seen[n];
	}
	die("free memory does not settle");
}

/*
 * Devices that are made when some are there already, and none has been removed:
 * neither what is taken once for all, nor what is kept for the next one.
 */
static void per_mdev(void)
{
	const unsigned int first = 101, last = first + NR_MDEVS - 1;
	char uuid[UUID_LENGTH];
	long before;
	unsigned int n;
	int ret;

	create_empty(1, first - 1);
	before = free_bytes();
	create_empty(first, last);
	value_report("memory of a mediated device", none, last - 1,
		     (double)(before - free_bytes()) / NR_MDEVS, "bytes");
	for (n = first; n <= last; n++) {
		mdev_uuid(uuid, n);
		ret = mdev_assign(uuid, "assign_adapter",
				  host.adapter[(n - first) / 256]);
		if (!ret)
			ret = mdev_assign(uuid, "assign_domain",
					  host.domain[n % 256]);
		if (ret)
			die("a queue for %s: %s", uuid, strerror(-ret));
	}
	value_report("memory of a mediated device", (struct size){ 1, 1 },
		     last - 1, (double)(before - free_bytes()) / NR_MDEVS,
		     "bytes");
	mdev_remove_all();
}

static void each_queue(struct size size, bool bind)
{
	unsigned int a, d;
	uint16_t apqn;
	int ret;

	for (a = 0; a < size.adapters; a++) {
		for (d = 0; d < size.domains; d++) {
			apqn = apqn_of(a, d);
			ret = bind ? queue_bind(apqn, "vfio_ap") :
				     queue_unbind(apqn);
			if (ret)
				die("%sbinding %04x: %s", bind ? "" : "un",
				    apqn, strerror(-ret));
		}
	}
}

/*
 * What a bound queue takes and an unbound one does not: what the driver core
 * keeps for every device that has a driver, and what the driver keeps.
 */
static void per_queue(void)
{
	const struct size size = { 2, 256 };
	long unbound;

	/* Not for the first time. */
	each_queue(size, false);
	each_queue(size, true);
	each_queue(size, false);
	unbound = free_bytes();
	each_queue(size, true);
	value_report("memory of a bound queue", size, 0,
		     (double)(unbound - free_bytes()) /
		     (size.adapters * size.domains), "bytes");
}

void group_size(void)
{
	loaded_size();
	section_sizes();
	per_mdev();
	per_queue();
}
