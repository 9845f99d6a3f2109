// SPDX-License-Identifier: GPL-2.0
/*
 * How large the module is, and how much memory a mediated device takes: all of
 * it, with what VFIO, the mdev core, sysfs and the driver core keep for it.
 */
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

#define NR_MDEVS	1000

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
 * Free memory in KiB, what can be had without loss included: caches are emptied,
 * and pages that wait on a CPU's list count.
 */
static long free_kib(void)
{
	long last = 0, now = 0;
	int i, ret;

	for (i = 0; i < 50; i++) {
		ret = sysfs_write("/proc/sys/vm/drop_caches", "3");
		if (ret)
			die("drop_caches: %s", strerror(-ret));
		quiet();
		sleep_ms(200);
		now = sum_of("/proc/meminfo", "MemFree:") +
		      sum_of("/proc/zoneinfo", " count:") * 4;
		if (now == last)
			break;
		last = now;
	}
	return now;
}

/*
 * Devices that are made when some are there already, and none has been removed:
 * neither what is taken once for all, nor what is kept for the next one.
 */
static void per_mdev(void)
{
	const unsigned int first = 201, last = first + NR_MDEVS - 1;
	char uuid[UUID_LENGTH];
	long before, empty;
	unsigned int n;
	int ret;

	create_empty(1, first - 1);
	before = free_kib();
	create_empty(first, last);
	empty = free_kib();
	value_report("memory of a mediated device", none, last - 1,
		     (before - empty) * 1024.0 / NR_MDEVS, "bytes");
	for (n = first; n <= last; n++) {
		mdev_uuid(uuid, n);
		ret = mdev_assign(uuid, "assign_adapter",
				  host.adapter[n / 256]);
		if (!ret)
			ret = mdev_assign(uuid, "assign_domain",
					  host.domain[n % 256]);
		if (ret)
			die("a queue for %s: %s", uuid, strerror(-ret));
	}
	value_report("memory of a mediated device", (struct size){ 1, 1 },
		     last - 1, (before - free_kib()) * 1024.0 / NR_MDEVS,
		     "bytes");
	mdev_remove_all();
}

void group_size(void)
{
	loaded_size();
	section_sizes();
	per_mdev();
}
