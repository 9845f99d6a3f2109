/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every test program of this directory includes: the kernel's kselftest
 * harness, set-up and clean-up of the host, and expected failures.
 */
#ifndef VFIO_AP_SELFTEST_TEST_H
#define VFIO_AP_SELFTEST_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "kselftest_harness.h"

/* In seconds. Only a hang takes that long, however busy the machine is. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	600

/* For a hang that is expected. */
#define EXPECTED_HANG_MS	10000

#include "ap.h"
#include "guest_ap.h"
#include "host.h"
#include "vmm.h"

/*
 * A test of something that the C driver is known to do wrong. With the C
 * driver its failure is expected, with any other driver it is a failure. If the
 * text begins with "at times", it is a race, and may pass. The fixture needs a
 * variant, and its set-up must call test_begin().
 */
struct c_defect {
	struct __test_xfail xfail;
	const char *reason;
	struct c_defect *next;
};

static struct c_defect *c_defects __maybe_unused;

#define C_DEFECT(fixture_name, variant_name, test_name, text)		\
	static struct c_defect						\
	_##fixture_name##_##variant_name##_##test_name##_defect = {	\
		.xfail = {						\
			.fixture = &_##fixture_name##_fixture_object,	\
			.variant =					\
			&_##fixture_name##_##variant_name##_object,	\
		},							\
		.reason = text,						\
	};								\
	static void __attribute__((constructor(KSELFTEST_PRIO_XFAIL)))	\
	_defect_##fixture_name##_##variant_name##_##test_name(void)	\
	{								\
		struct c_defect *defect =				\
		&_##fixture_name##_##variant_name##_##test_name##_defect; \
		defect->xfail.test =					\
			_##fixture_name##_##test_name##_object;		\
		defect->next = c_defects;				\
		c_defects = defect;					\
	}

/* Every test of the fixture with the VFIO device in a group, and by iommufd. */
#define GROUP_AND_IOMMUFD(fixture_name)					\
	FIXTURE_VARIANT(fixture_name) {					\
		bool cdev;						\
	};								\
	FIXTURE_VARIANT_ADD(fixture_name, group) {};			\
	FIXTURE_VARIANT_ADD(fixture_name, iommufd) { .cdev = true }

/*
 * End a test, or its set-up, as skipped. The harness's process that does the
 * tear-down goes on.
 */
static inline void __printf(2, 3)
test_skip(struct __test_metadata *_metadata, const char *format, ...)
{
	char reason[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	SKIP(_exit(0), "%s", reason);
}

/*
 * The same where the C driver would take the host down, or leave it damaged. It
 * is tried on it only with VFIO_AP_TRY_DEFECTS in the environment, in a host that
 * is there for nothing else.
 */
#define SKIP_ON_C(text)							\
	do {								\
		if (host.driver_is_c && !getenv("VFIO_AP_TRY_DEFECTS"))	\
			test_skip(_metadata, "C driver: %s", text);	\
	} while (0)

/* Not the C driver's at all. */
#define NOT_ON_C(text)							\
	do {								\
		if (host.driver_is_c)					\
			test_skip(_metadata, "C driver has no %s", text); \
	} while (0)

static inline void test_note_defect(struct __test_metadata *_metadata)
{
	struct c_defect *defect;

	if (!host.driver_is_c)
		return;
	for (defect = c_defects; defect; defect = defect->next)
		if (defect->xfail.test == _metadata) {
			snprintf(_metadata->results->reason,
				 sizeof(_metadata->results->reason),
				 "C driver: %s", defect->reason);
			hang_ms = EXPECTED_HANG_MS;
		}
}

/*
 * The kernel's log, read from where the last test ended. All processes of
 * a program share the file and its position.
 */
static int test_log_fd __maybe_unused = -1;

#define REPORT_SIZE	256

/* What has been logged since the last call: the number of records. */
static inline unsigned int test_read_log(char report[REPORT_SIZE])
{
	static const char * const bad[] = {
#include "alarms.h"
	};
	unsigned int records = 0, i;
	char record[1024], *text;
	ssize_t n;

	report[0] = 0;
	if (test_log_fd < 0)
		return 0;
	for (;;) {
		n = read(test_log_fd, record, sizeof(record) - 1);
		/* EPIPE: records were lost, the next ones follow. */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return records;
		record[n] = 0;
		records++;
		text = strchr(record, ';');
		text = text ? text + 1 : record;
		text[strcspn(text, "\n")] = 0;
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			if (strstr(text, bad[i]) && !report[0])
				snprintf(report, REPORT_SIZE, "%.200s", text);
	}
}

/* The process group of the running test, shared with the harness's process. */
static pid_t *test_group __maybe_unused;

/* In every FIXTURE_SETUP: what a killed test left behind goes first. */
static inline void test_begin_(struct __test_metadata *_metadata)
{
	char report[REPORT_SIZE];

	*test_group = getpgrp();
	mdev_remove_all();
	queues_restore();
	test_read_log(report);
	test_note_defect(_metadata);
}

#define test_begin()	test_begin_(_metadata)

/*
 * In every FIXTURE_TEARDOWN_PARENT, when no process of the test is left: a
 * warning of the kernel fails the test that made it.
 */
static inline void test_end_(struct __test_metadata *_metadata)
{
	char report[REPORT_SIZE];

	mdev_remove_all();
	queues_restore();
	*test_group = 0;
	test_read_log(report);
	/* A message of an assertion before may still be under way. */
	if (report[0]) {
		EXPECT_STREQ("", report)
			TH_LOG("the kernel reported something");
	}
}

#define test_end()	test_end_(_metadata)

#define ASSERT_OK(ret, error)						\
	do {								\
		int _result = ret;					\
									\
		ASSERT_EQ(0, _result)					\
			TH_LOG("%s", error);				\
	} while (0)

#define EXPECT_OK(ret, error)						\
	do {								\
		int _result = ret;					\
									\
		EXPECT_EQ(0, _result)					\
			TH_LOG("%s", error);				\
	} while (0)

/*
 * No request, and no reply that nobody has fetched, is in the queue: as far as the host
 * can see, by the emulated host's tool.
 */
static inline void queue_is_empty(struct __test_metadata *_metadata,
				  uint16_t apqn)
{
	if (!host.has_aphw)
		return;
	EXPECT_EQ(0, hw_change("queue %02x.%04x requests | grep -qx 0", APID(apqn), APQI(apqn)))
		TH_LOG("requests are left in %02x.%04x", APID(apqn), APQI(apqn));
	EXPECT_EQ(0, hw_change("queue %02x.%04x replies | grep -qx 0", APID(apqn), APQI(apqn)))
		TH_LOG("replies are left in %02x.%04x", APID(apqn), APQI(apqn));
}

/* A guest of this kind, or skip the test when the host cannot have it. */
static inline void test_guest_up(struct __test_metadata *_metadata,
				 struct guest *guest,
				 const struct guest_config *config)
{
	int ret = guest_up(guest, config);

	if (ret == -ENOTSUP)
		test_skip(_metadata, "%s", guest->error);
	ASSERT_OK(ret, guest->error);
}

#define GUEST_UP(where, ...)						\
	test_guest_up(_metadata, where,					\
		      &(struct guest_config){ __VA_ARGS__ })

/*
 * One of the tests' own kernel modules. They are for one kernel, so they need not be
 * there, unless VFIO_AP_TEST_MODULES says where they are.
 */
static inline void test_module_(struct __test_metadata *_metadata,
				const char *name)
{
	int ret = test_module_load(name);

	if (ret == -ENOENT && !getenv("VFIO_AP_TEST_MODULES"))
		test_skip(_metadata, "%s.ko was not built", name);
	ASSERT_EQ(0, ret)
		TH_LOG("%s: %s", name, strerror(-ret));
}

#define TEST_MODULE(name)	test_module_(_metadata, name)

static pid_t test_main_pid __maybe_unused;

static inline void test_cleanup(void)
{
	if (getpid() == test_main_pid)
		host_cleanup();
}

static inline void test_signal(int signal)
{
	if (getpid() == test_main_pid && *test_group && *test_group != getpgrp())
		kill(-*test_group, SIGKILL);
	test_cleanup();
	_exit(128 + signal);
}

/* The harness's 30 seconds are not only for a hang if the machine is busy. */
#define HANG_TIMES	10

/* A kernel that looks for mistakes takes longer: VFIO_AP_TIMEOUT_FACTOR=<n>. */
static inline int test_timeout_factor(void)
{
	const char *factor = getenv("VFIO_AP_TIMEOUT_FACTOR");
	int n = factor ? atoi(factor) : 1;

	return n < 1 || n > 100 ? 1 : n;
}

static inline void test_scale_timeouts(void)
{
	int n = test_timeout_factor();
	struct __fixture_metadata *fixture;
	struct __test_metadata *test;

	for (fixture = __fixture_list; fixture; fixture = fixture->next)
		for (test = fixture->tests; test; test = test->next)
			test->timeout *= HANG_TIMES * n;
	hang_ms *= n;
}

/* host_setup() around the harness; skips the program when it fails. */
static inline int test_main(int argc, char **argv)
{
	struct c_defect *defect;
	int ret;

	ret = test_harness_argv_check(argc, argv);
	if (ret != KSFT_PASS)
		return ret;
	if (!path_exists("/sys/kernel/debug/kvm"))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (host_setup()) {
		ksft_print_header();
		ksft_exit_skip("%s\n", host.reason);
	}
	test_log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (test_log_fd >= 0)
		lseek(test_log_fd, 0, SEEK_END);
	test_group = mmap(NULL, sizeof(*test_group), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (test_group == MAP_FAILED)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	test_main_pid = getpid();
	atexit(test_cleanup);
	signal(SIGINT, test_signal);
	signal(SIGTERM, test_signal);
	if (host.driver_is_c)
		for (defect = c_defects; defect; defect = defect->next)
			__register_xfail(&defect->xfail);
	test_scale_timeouts();
	optind = 1;
	return test_harness_run(argc, argv);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}

#endif /* VFIO_AP_SELFTEST_TEST_H */
