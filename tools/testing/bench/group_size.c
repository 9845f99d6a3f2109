// SPDX-License-Identifier: GPL-2.0
/*
 * How large the module is, and how much memory a mediated device and a bound
 * queue take: all of it, with what VFIO, the mdev core, sysfs and the driver core
 * keep for them.
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
#define NR_QUEUES	(16 * 256)

static const struct size none = { 0, 0 };

/* --- the module ---------------------------------------------------------- */

static void loaded_size(void)
{
	char text[32];

	if (sysfs_read(MODULE "/coresize", text, sizeof(text)) < 0)
		die("the module has no coresize");
	value_report("module as loaded", none, 0, atol(text), "bytes");
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

static long meminfo(const char *name)
{
	static char text[8192];
	char *line;

	if (sysfs_read("/proc/meminfo", text, sizeof(text)) < 0)
		die("/proc/meminfo cannot be read");
	line = strstr(text, name);
	if (!line)
		die("/proc/meminfo has no %s", name);
	return strtol(line + strlen(name), NULL, 10);
}

/* Free memory in KiB, when what can be had without loss is free, too. */
static long free_kib(void)
{
	long last = 0, now;
	int i;

	for (i = 0; i < 20; i++) {
		if (sysfs_write("/proc/sys/vm/drop_caches", "3"))
			die("drop_caches: %s", strerror(errno));
		sleep_ms(200);
		now = meminfo("MemFree:");
		if (now == last)
			break;
		last = now;
	}
	return now;
}

static void per_mdev(struct size size, const char *name)
{
	long before, after;
	unsigned int n;

	create(1);
	destroy(1);
	before = free_kib();
	create_empty(1, NR_MDEVS);
	for (n = 1; size.adapters && n <= NR_MDEVS; n++) {
		char uuid[UUID_LENGTH];
		int ret;

		mdev_uuid(uuid, n);
		ret = mdev_assign(uuid, "assign_adapter", host.adapter[n / 256]);
		if (!ret)
			ret = mdev_assign(uuid, "assign_domain",
					  host.domain[n % 256]);
		if (ret)
			die("a queue for %s: %s", uuid, strerror(-ret));
	}
	after = free_kib();
	value_report(name, size, NR_MDEVS - 1,
		     (before - after) * 1024.0 / NR_MDEVS, "bytes");
	mdev_remove_all();
}

static void per_queue(void)
{
	unsigned int a, d;
	long free, bound;
	int ret;

	bound = free_kib();
	for (a = 0; a < 16; a++)
		for (d = 0; d < 256; d++) {
			ret = queue_unbind(apqn_of(a, d));
			if (ret)
				die("unbinding queue %02x.%04x: %s", a, d,
				    strerror(-ret));
		}
	free = free_kib();
	value_report("memory of a bound queue", none, 0,
		     (free - bound) * 1024.0 / NR_QUEUES, "bytes");
}

void group_size(void)
{
	loaded_size();
	section_sizes();
	per_mdev(none, "memory of a mediated device");
	per_mdev((struct size){ 1, 1 }, "memory of a mediated device");
	per_queue();
}
