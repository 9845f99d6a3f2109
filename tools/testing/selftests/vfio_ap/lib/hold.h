/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A machine monitor that holds its guest's kvm->lock as long as a test likes, and
 * threads that may have to wait for it.
 *
 * KVM copies a guest's clock from the monitor's memory with kvm->lock held. If the page
 * is missing, and userfaultfd is asked before it is there, the copy takes until the test
 * provides the page. It is the upper part of the clock, which can only be 0. Setting the
 * rest is another matter: with preemption off, it waits for CPUs that run a guest's guest
 * to leave it (__kvm_s390_set_tod_clock(), exit_sie()), and those may be waiting for their
 * turn on the same CPU (do_vsie_run(), kvm_xfer_to_guest_mode_handle_work()).
 */
#ifndef VFIO_AP_SELFTEST_HOLD_H
#define VFIO_AP_SELFTEST_HOLD_H

#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "test.h"

/* A thread that does something to a guest, and its kernel thread. */
struct waiter {
	struct guest *guest;
	int (*wait)(struct guest *guest);
	int result;
	pid_t tid;
	bool done;
};

static inline void *waiter(void *data)
{
	struct waiter *waiter = data;

	__atomic_store_n(&waiter->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	waiter->result = waiter->wait(waiter->guest);
	__atomic_store_n(&waiter->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static inline bool is_done(void *data)
{
	struct waiter *waiting = data;

	return __atomic_load_n(&waiting->done, __ATOMIC_SEQ_CST);
}

/* The thread is asleep in the kernel. */
static inline bool sleeps(void *data)
{
	struct waiter *waiting = data;
	char path[64], text[512], *state;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat",
		 __atomic_load_n(&waiting->tid, __ATOMIC_SEQ_CST));
	if (sysfs_read(path, text, sizeof(text)) < 0)
		return false;
	state = strrchr(text, ')');
	return state && strchr("DS", state[2]);
}

static inline bool sleeps_or_is_done(void *data)
{
	return is_done(data) || sleeps(data);
}

static inline int set_clock_from(struct guest *guest, const void *page)
{
	struct kvm_device_attr attr = {
		.group = KVM_S390_VM_TOD,
		.attr = KVM_S390_VM_TOD_HIGH,
		.addr = (uintptr_t)page,
	};

	return ioctl(guest->vmm.vm, KVM_SET_DEVICE_ATTR, &attr);
}

static void *missing_page __maybe_unused;

static inline int set_clock(struct guest *guest)
{
	return set_clock_from(guest, missing_page);
}

/* A page that is missing; userfaultfd's file has an event when it is accessed. */
static inline int watch_page(struct __test_metadata *_metadata, void **page)
{
	struct uffdio_register watched = {
		.range.len = getpagesize(),
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int uffd;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		test_skip(_metadata, "userfaultfd: %s", strerror(errno));
	*page = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, *page);
	watched.range.start = (uintptr_t)*page;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &watched));
	return uffd;
}

/* The page is there, all zero, and the access goes on. */
static inline int provide_page(int uffd, void *page)
{
	struct uffdio_zeropage there = {
		.range.start = (uintptr_t)page,
		.range.len = getpagesize(),
	};

	return ioctl(uffd, UFFDIO_ZEROPAGE, &there);
}

/* The monitor holds kvm->lock, and perhaps a thread needs it. */
struct held {
	struct waiter clock;
	struct waiter change;
	pthread_t setting;
	pthread_t changing;
	int uffd;
};

/* Begins @change in a thread, which has to wait for the lock. */
static inline void begin_change(struct __test_metadata *_metadata,
				struct held *held, struct guest *slow,
				int (*change)(struct guest *slow))
{
	held->change = (struct waiter){ .guest = slow, .wait = change };
	ASSERT_EQ(0, pthread_create(&held->changing, NULL, waiter,
				    &held->change));
	ASSERT_TRUE(wait_until(sleeps, &held->change, hang_ms));
	/* That may have been for something else, which does not take so long. */
	sleep_ms(20);
}

static inline void hold_up(struct __test_metadata *_metadata, struct held *held,
			   struct guest *slow,
			   int (*change)(struct guest *slow))
{
	struct pollfd fault = { .events = POLLIN };

	*held = (struct held){
		.clock = { .guest = slow, .wait = set_clock },
		.uffd = watch_page(_metadata, &missing_page),
	};
	fault.fd = held->uffd;
	ASSERT_EQ(0, pthread_create(&held->setting, NULL, waiter, &held->clock));
	ASSERT_EQ(1, poll(&fault, 1, hang_ms));
	if (change)
		begin_change(_metadata, held, slow, change);
}

static inline void let_go(struct __test_metadata *_metadata, struct held *held)
{
	EXPECT_FALSE(is_done(&held->clock));
	EXPECT_FALSE(is_done(&held->change));
	ASSERT_EQ(0, provide_page(held->uffd, missing_page));
	pthread_join(held->setting, NULL);
	if (held->change.wait)
		pthread_join(held->changing, NULL);
	close(held->uffd);
}

/* It has to be done before whatever holds it up is over. */
static inline void goes_on(struct __test_metadata *_metadata,
			   struct guest *guest,
			   int (*wait)(struct guest *guest))
{
	struct waiter waiting = { .guest = guest, .wait = wait };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, waiter, &waiting));
	ASSERT_TRUE(wait_until(is_done, &waiting, hang_ms));
	pthread_join(thread, NULL);
}

#endif /* VFIO_AP_SELFTEST_HOLD_H */
