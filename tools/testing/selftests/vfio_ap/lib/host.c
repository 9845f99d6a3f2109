// SPDX-License-Identifier: GPL-2.0
/*
 * The host's side of a test: AP bus, vfio_ap module and mediated devices.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "vmm.h"

/* "vfio-ap" in hex; nobody else's mediated devices are touched. */
#define UUID_PREFIX	"7666696f-2d61-4700-8000-"

struct host host;

void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

bool wait_until(bool (*condition)(void *data), void *data,
		unsigned int timeout_ms)
{
	uint64_t end = now_ms() + timeout_ms;

	while (!condition(data)) {
		if (now_ms() >= end)
			return condition(data);
		sleep_ms(5);
	}
	return true;
}

/* --- files --------------------------------------------------------------- */

bool path_exists(const char *path)
{
	return !access(path, F_OK);
}

int sysfs_write_bytes(const char *path, const void *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, bytes, length);
	if (n < 0)
		ret = -errno;
	else if ((size_t)n != length)
		ret = -EIO;
	close(fd);
	return ret;
}

int sysfs_write(const char *path, const char *text)
{
	return sysfs_write_bytes(path, text, strlen(text));
}

int sysfs_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (done < size - 1) {
		n = read(fd, text + done, size - 1 - done);
		if (n < 0) {
			n = -errno;
			close(fd);
			return n;
		}
		if (!n)
			break;
		done += n;
	}
	text[done] = 0;
	close(fd);
	return done;
}

static int read_number(const char *path, unsigned int *number)
{
	char text[32];
	int ret = sysfs_read(path, text, sizeof(text));

	if (ret < 0)
		return ret;
	*number = strtoul(text, NULL, 10);
	return 0;
}

/* --- masks --------------------------------------------------------------- */

void mask_format(const uint64_t mask[4], char text[MASK_LENGTH])
{
	snprintf(text, MASK_LENGTH, "0x%016lx%016lx%016lx%016lx", mask[0],
		 mask[1], mask[2], mask[3]);
}

int mask_parse(const char *text, uint64_t mask[4])
{
	char part[17];
	int i;

	if (strncmp(text, "0x", 2) || strlen(text) < 66)
		return -EINVAL;
	for (i = 0; i < 4; i++) {
		memcpy(part, text + 2 + 16 * i, 16);
		part[16] = 0;
		mask[i] = strtoul(part, NULL, 16);
	}
	return 0;
}

static int read_line(const char *path, char *text, size_t size)
{
	int ret = sysfs_read(path, text, size);

	if (ret > 0 && text[ret - 1] == '\n')
		text[ret - 1] = 0;
	return ret;
}

/* --- queues -------------------------------------------------------------- */

int queue_driver(uint16_t apqn, char *name, size_t size)
{
	char path[128], target[256];
	ssize_t n;

	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x", APID(apqn),
		 APQI(apqn));
	if (!path_exists(path))
		return -ENODEV;
	strcat(path, "/driver");
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0) {
		name[0] = 0;
		return 0;
	}
	target[n] = 0;
	snprintf(name, size, "%s", strrchr(target, '/') + 1);
	return 0;
}

static int queue_write(const char *path, uint16_t apqn)
{
	char name[16];

	snprintf(name, sizeof(name), "%02x.%04x", APID(apqn), APQI(apqn));
	return sysfs_write(path, name);
}

int queue_bind(uint16_t apqn, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), AP_BUS "/drivers/%s/bind", driver);
	return queue_write(path, apqn);
}

int queue_unbind(uint16_t apqn)
{
	char path[128];

	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/driver/unbind",
		 APID(apqn), APQI(apqn));
	return queue_write(path, apqn);
}

int queue_status(uint16_t apqn, char *text, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/status",
		 APID(apqn), APQI(apqn));
	return read_line(path, text, size);
}

/*
 * The AP bus resets a queue that is new, or back, and enables the host's
 * interrupt for it, whoever its driver is. A guest that comes too early gets
 * response codes that are none of vfio_ap's doing. A queue that the bus does
 * not operate has no request count.
 */
static bool is_settled(void *data)
{
	uint16_t apqn = *(uint16_t *)data;
	char path[128], text[64];

	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/request_count",
		 APID(apqn), APQI(apqn));
	if (sysfs_read(path, text, sizeof(text)) < 0 || text[0] == '-')
		return true;
	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/reset", APID(apqn),
		 APQI(apqn));
	if (sysfs_read(path, text, sizeof(text)) < 0)
		return true;
	if (strstr(text, "in progress"))
		return false;
	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/interrupt",
		 APID(apqn), APQI(apqn));
	if (sysfs_read(path, text, sizeof(text)) < 0)
		return true;
	return !strstr(text, "pending");
}

int queue_settle(uint16_t apqn)
{
	char path[128];

	if (is_settled(&apqn))
		return 0;
	/* The bus goes on only when something wakes it. */
	snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x/reset", APID(apqn),
		 APQI(apqn));
	sysfs_write(path, "1");
	return wait_until(is_settled, &apqn, hang_ms) ? 0 : -ETIMEDOUT;
}

void queues_settle(void)
{
	unsigned int a, d;

	for (a = 0; a < host.nr_adapters; a++)
		for (d = 0; d < host.nr_domains; d++)
			queue_settle(APQN(host.adapter[a], host.domain[d]));
}

int host_free_adapter(void)
{
	char path[128];
	unsigned int a;

	for (a = 0; a <= host.max_adapter; a++) {
		snprintf(path, sizeof(path), AP_DEVICES "/card%02x", a);
		if (!path_exists(path))
			return a;
	}
	return -1;
}

int host_free_domain(void)
{
	char path[128], text[MASK_LENGTH];
	uint64_t adm[4];
	unsigned int d;

	if (sysfs_read(AP_BUS "/ap_control_domain_mask", text, sizeof(text)) < 0 ||
	    mask_parse(text, adm))
		return -1;
	for (d = 0; d <= host.max_domain; d++) {
		snprintf(path, sizeof(path), AP_DEVICES "/%02x.%04x",
			 host.adapter[0], d);
		if (!path_exists(path) && !mask_test(adm, d))
			return d;
	}
	return -1;
}

bool host_gives_all_adapters(void)
{
	return !host.test_apmask[2 + strspn(host.test_apmask + 2, "0")];
}

/*
 * A queue without any driver, as there may be when the host's own are not
 * loaded: the AP bus looks for a driver only when a queue changes hands.
 */
static void bind_if_free(unsigned int apid, unsigned int apqi)
{
	uint16_t apqn = APQN(apid, apqi);
	char name[64];

	if (!queue_driver(apqn, name, sizeof(name)) && !name[0])
		queue_bind(apqn, "vfio_ap");
}

void queues_restore(void)
{
	unsigned int a, d;

	for (a = 0; a < host.nr_adapters; a++)
		for (d = 0; d < host.nr_domains; d++)
			bind_if_free(host.adapter[a], host.domain[d]);
}

int masks_restore(void)
{
	int ret;

	ret = sysfs_write(AP_BUS "/apmask", host.test_apmask);
	if (!ret)
		ret = sysfs_write(AP_BUS "/aqmask", host.test_aqmask);
	queues_restore();
	return ret;
}

typedef void (*queue_visitor)(unsigned int apid, unsigned int apqi);

/* Calls @visit for every queue device in a directory of the AP bus. */
static void visit_queues(const char *path, queue_visitor visit)
{
	struct dirent *entry;
	unsigned int apid, apqi;
	DIR *dir = opendir(path);

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "%2x.%4x", &apid, &apqi) == 2 &&
		    apid < 256 && apqi < 256)
			visit(apid, apqi);
	closedir(dir);
}

static bool is_ours[256][256];

static void note(unsigned int apid, unsigned int apqi)
{
	is_ours[apid][apqi] = true;
}

void host_find_queues(void)
{
	unsigned int apid, apqi, d;
	bool all;

	memset(is_ours, 0, sizeof(is_ours));
	visit_queues(AP_BUS "/drivers/vfio_ap", note);
	host.nr_adapters = 0;
	host.nr_domains = 0;
	for (apid = 0; apid < 256; apid++) {
		if (!host.nr_domains)
			for (apqi = 0; apqi < 256; apqi++)
				if (is_ours[apid][apqi])
					host.domain[host.nr_domains++] = apqi;
		all = host.nr_domains;
		for (d = 0; d < host.nr_domains && all; d++)
			all = is_ours[apid][host.domain[d]];
		if (all)
			host.adapter[host.nr_adapters++] = apid;
	}
}

/* --- setup --------------------------------------------------------------- */

/* The C driver's symbols have C's names. */
static bool is_c_driver(void)
{
	const char *name = getenv("VFIO_AP_DRIVER");
	bool found = false;
	char line[256];
	FILE *file;

	if (name && *name)
		return !strcmp(name, "c");
	file = fopen("/proc/kallsyms", "r");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, " vfio_ap_mdev_probe_queue\t[vfio_ap]");
	fclose(file);
	return found;
}

static int __printf(1, 2) no_test(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(host.reason, sizeof(host.reason), format, ap);
	va_end(ap);
	return -ENODEV;
}

int host_setup(void)
{
	int ret;

	if (geteuid())
		return no_test("must be root");
	if (!path_exists(AP_BUS))
		return no_test("no AP bus: the machine has no AP instructions");
	if (read_line(AP_BUS "/apmask", host.apmask, MASK_LENGTH) < 0 ||
	    read_line(AP_BUS "/aqmask", host.aqmask, MASK_LENGTH) < 0 ||
	    read_number(AP_BUS "/ap_max_domain_id", &host.max_domain) < 0)
		return no_test("cannot read the AP bus's attributes");
	if (read_number(AP_BUS "/ap_max_adapter_id", &host.max_adapter) < 0)
		host.max_adapter = 255;
	if (!path_exists(MODULE)) {
		ret = module_load();
		if (ret)
			return no_test("vfio_ap cannot be loaded: %s",
				       strerror(-ret));
	}
	host.driver_is_c = is_c_driver();
	memcpy(host.test_apmask, host.apmask, MASK_LENGTH);
	memcpy(host.test_aqmask, host.aqmask, MASK_LENGTH);

	mdev_remove_all();
	host_find_queues();
	if (!host.nr_adapters) {
		static const uint64_t none[4];

		mask_format(none, host.test_apmask);
		ret = sysfs_write(AP_BUS "/apmask", host.test_apmask);
		if (ret)
			return no_test("apmask: %s", strerror(-ret));
		visit_queues(AP_DEVICES, bind_if_free);
		host_find_queues();
	}
	if (!host.nr_adapters) {
		host_cleanup();
		return no_test("no AP queue can be given to vfio_ap");
	}
	queues_settle();
	host.has_aphw = !hw_change("adapter %u >/dev/null 2>&1", host.adapter[0]);
	return 0;
}

void host_cleanup(void)
{
	mdev_remove_all();
	if (strcmp(host.apmask, host.test_apmask))
		sysfs_write(AP_BUS "/apmask", host.apmask);
	if (strcmp(host.aqmask, host.test_aqmask))
		sysfs_write(AP_BUS "/aqmask", host.aqmask);
}

/* --- mediated devices ---------------------------------------------------- */

void mdev_uuid(char uuid[UUID_LENGTH], unsigned int n)
{
	snprintf(uuid, UUID_LENGTH, UUID_PREFIX "%012x", n);
}

int mdev_create(const char *uuid)
{
	return sysfs_write(MDEV_TYPE "/create", uuid);
}

int mdev_remove(const char *uuid)
{
	char path[320];

	snprintf(path, sizeof(path), MDEV_DEVICES "/%s/remove", uuid);
	return sysfs_write(path, "1");
}

static void mdev_path(char *path, size_t size, const char *uuid,
		      const char *attribute)
{
	snprintf(path, size, MDEV_DEVICES "/%s/%s", uuid, attribute);
}

int mdev_write(const char *uuid, const char *attribute, const char *text)
{
	char path[320];

	mdev_path(path, sizeof(path), uuid, attribute);
	return sysfs_write(path, text);
}

int mdev_read(const char *uuid, const char *attribute, char *text, size_t size)
{
	char path[320];

	mdev_path(path, sizeof(path), uuid, attribute);
	return sysfs_read(path, text, size);
}

int mdev_assign(const char *uuid, const char *attribute, unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return mdev_write(uuid, attribute, text);
}

void mdev_remove_all(void)
{
	struct dirent *entry;
	DIR *dir = opendir(MDEV_DEVICES);

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, UUID_PREFIX, strlen(UUID_PREFIX)))
			mdev_remove(entry->d_name);
	closedir(dir);
}

/* --- module -------------------------------------------------------------- */

static int run(char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		execvp(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

/*
 * VFIO_AP_MODULE names the module file under test; without it, it is the one
 * that modprobe(8) finds.
 */
static int load(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0))
		ret = -errno;
	close(fd);
	return ret;
}

static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

int module_load(void)
{
	const char *file = getenv("VFIO_AP_MODULE");

	if (!file || !*file)
		return run((char *[]){ "modprobe", "vfio_ap", NULL });
	return load(file);
}

bool module_can_reload(void)
{
	const char *file = getenv("VFIO_AP_MODULE");

	if (file && *file)
		return !access(file, R_OK);
	return !run((char *[]){ "modprobe", "-n", "-q", "vfio_ap", NULL });
}

int module_unload(void)
{
	return unload("vfio_ap");
}

int module_references(void)
{
	unsigned int count;
	int ret = read_number(MODULE "/refcnt", &count);

	return ret < 0 ? ret : (int)count;
}

bool module_has_references(void *references)
{
	return module_references() == *(int *)references;
}

/* --- the tests' own modules ----------------------------------------------- */

int test_module_load(const char *name)
{
	const char *directory = getenv("VFIO_AP_TEST_MODULES");
	char path[256], program[180];
	ssize_t length;

	if (directory) {
		snprintf(path, sizeof(path), "%s/%s.ko", directory, name);
		return load(path);
	}
	/* They lie beside the programs, or where kselftest installs them. */
	length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (length < 0)
		return -errno;
	program[length] = 0;
	*strrchr(program, '/') = 0;
	snprintf(path, sizeof(path), "%s/%s.ko", program, name);
	if (access(path, F_OK))
		snprintf(path, sizeof(path), "%s/modules/%s.ko", program, name);
	return load(path);
}

int test_module_unload(const char *name)
{
	return unload(name);
}

int test_module_set(const char *name, const char *parameter, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", name,
		 parameter);
	return sysfs_write(path, text);
}

/* --- hardware events ----------------------------------------------------- */

int hw_change(const char *format, ...)
{
	char command[256] = "aphw ";
	size_t length = strlen(command);
	va_list ap;
	int status;

	va_start(ap, format);
	vsnprintf(command + length, sizeof(command) - length, format, ap);
	va_end(ap);
	status = system(command);
	return status == -1 ? -errno : status ? -EIO : 0;
}

long hw_queue_number(uint16_t apqn, const char *what)
{
	char command[64], line[512], *at;
	long number = -1;
	FILE *pipe;

	snprintf(command, sizeof(command), "aphw queue %02x.%04x", APID(apqn),
		 APQI(apqn));
	pipe = popen(command, "r");
	while (pipe && fgets(line, sizeof(line), pipe)) {
		at = strstr(line, what);
		if (at)
			number = strtol(at + strlen(what), NULL, 10);
	}
	if (pipe)
		pclose(pipe);
	return number;
}

/*
 * Who asks for a scan while there is one only waits for its end, and that one may
 * have begun before what it should find. The next one has not.
 */
int bus_rescan(void)
{
	int ret = sysfs_write(AP_BUS "/scans", "1");

	return ret ?: sysfs_write(AP_BUS "/scans", "1");
}
