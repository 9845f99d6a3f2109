/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every test program of this directory includes: the kernel's kselftest
 * harness, set-up and clean-up of the host, and expected failures.
 */
#ifndef VFIO_AP_SELFTEST_TEST_H
#define VFIO_AP_SELFTEST_TEST_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "ap.h"
#include "guest_ap.h"
#include "host.h"
#include "vmm.h"

/*
 * A test of something that the C driver is known to do wrong. With the C
 * driver its failure is expected, with any other driver it is a failure. The
 * fixture needs a variant, and its set-up must call test_begin().
 */
struct c_defect {
	struct __test_xfail xfail;
	const char *reason;
	struct c_defect *next;
};

static struct c_defect *c_defects __attribute__((unused));

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

/* The same where the C driver would take the host down: not tried on it. */
#define SKIP_ON_C(text)							\
	do {								\
		if (host.driver_is_c)					\
			SKIP(return, "C driver: " text);		\
	} while (0)

static inline void test_note_defect(struct __test_metadata *_metadata)
{
	struct c_defect *defect;

	if (!host.driver_is_c)
		return;
	for (defect = c_defects; defect; defect = defect->next)
		if (defect->xfail.test == _metadata)
			snprintf(_metadata->results->reason,
				 sizeof(_metadata->results->reason),
				 "C driver: %s", defect->reason);
}

/* In every FIXTURE_SETUP: what a killed test left behind goes first. */
#define test_begin()							\
	do {								\
		mdev_remove_all();					\
		queues_restore();					\
		test_note_defect(_metadata);				\
	} while (0)

/* In every FIXTURE_TEARDOWN_PARENT: no process of the test is left. */
static inline void test_end(void)
{
	mdev_remove_all();
	queues_restore();
}

#define ASSERT_OK(ret, error)						\
	ASSERT_EQ(0, ret) TH_LOG("%s", error)

#define EXPECT_OK(ret, error)						\
	EXPECT_EQ(0, ret) TH_LOG("%s", error)

/* A guest of this kind, or skip the test when the host cannot have it. */
#define GUEST_UP(guest, ...)						\
	do {								\
		int _ret = guest_up(guest,				\
			&(struct guest_config){ __VA_ARGS__ });		\
		if (_ret == -ENOTSUP)					\
			SKIP(return, "%s", (guest)->error);		\
		ASSERT_OK(_ret, (guest)->error);			\
	} while (0)

static pid_t test_main_pid __attribute__((unused));

static inline void test_cleanup(void)
{
	if (getpid() == test_main_pid)
		host_cleanup();
}

static inline void test_signal(int signal)
{
	test_cleanup();
	_exit(128 + signal);
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
	test_main_pid = getpid();
	atexit(test_cleanup);
	signal(SIGINT, test_signal);
	signal(SIGTERM, test_signal);
	if (host.driver_is_c)
		for (defect = c_defects; defect; defect = defect->next)
			__register_xfail(&defect->xfail);
	optind = 1;
	return test_harness_run(argc, argv);
}

#define VFIO_AP_TEST_MAIN						\
	int main(int argc, char **argv)					\
	{								\
		return test_main(argc, argv);				\
	}

#endif /* VFIO_AP_SELFTEST_TEST_H */
