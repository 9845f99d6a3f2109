// SPDX-License-Identifier: GPL-2.0
/*
 * There is no memory: whatever vfio_ap asks for, at any of the times it asks,
 * what it was doing is done or refused, never done by half, and works the next
 * time. What releases something never fails.
 *
 * Needs a kernel with fault injection (CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC,
 * CONFIG_FAULT_INJECTION_DEBUG_FS, CONFIG_FAULT_INJECTION_STACKTRACE_FILTER).
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/vfio.h>

#include "lib/test.h"
#include "lib/migration.h"

#define ISC	3
/* More allocations than this in one operation is a loop without end. */
#define MOST	2000
/* And more bytes than these for one are, too. */
#define MOST_BYTES	(4 << 20)

#define FAILSLAB	"/sys/kernel/debug/failslab"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc"
/* Of a kernel that has CONFIG_FAULT_INJECTION_USERCOPY, too. */
#define FAIL_COPY	"/sys/kernel/debug/fail_usercopy"

FIXTURE(faults)
{
	struct guest guest;
	int references;
	int fail_nth;
	/* Where the code is on whose behalf allocations fail. */
	unsigned long start;
	unsigned long end;
	/* What there is in one of the operations below. */
	char before[3][4096];
	char uuid[UUID_LENGTH];
	uint16_t apqn;
	struct ap_result result;
	/* Of a guest that arrives */
	uint8_t stream[1024];
	size_t stream_length;
};

GROUP_AND_IOMMUFD(faults);

/* Addresses of what /proc/kallsyms has under @module, or of one function. */
static int find_code(const char *module, const char *function,
		     unsigned long *start, unsigned long *end)
{
	unsigned long address;
	char line[512], name[256], type;
	bool found = false;
	FILE *file = fopen("/proc/kallsyms", "r");

	if (!file)
		return -errno;
	*start = -1UL;
	*end = 0;
	while (fgets(line, sizeof(line), file)) {
		char *tab = strchr(line, '\t');

		if (sscanf(line, "%lx %c %255s", &address, &type, name) != 3 ||
		    (type != 't' && type != 'T'))
			continue;
		if (function) {
			/* The list is in the order of the addresses. */
			if (found && address > *start) {
				*end = address;
				break;
			}
			if (!strcmp(name, function)) {
				*start = address;
				found = true;
			}
		} else if (tab && !strncmp(tab + 2, module, strlen(module)) &&
			   tab[2 + strlen(module)] == ']') {
			*start = address < *start ? address : *start;
			*end = address + 4096 > *end ? address + 4096 : *end;
			found = true;
		}
	}
	fclose(file);
	return found && *end > *start ? 0 : -ENOENT;
}

static int debugfs_write(const char *dir, const char *name, const char *format,
			 unsigned long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(text, sizeof(text), format, value);
	return sysfs_write(path, text);
}

/* Fail only what is asked for on behalf of this code, and say nothing. */
static int restrict_faults(unsigned long start, unsigned long end)
{
	static const char * const dirs[] = { FAILSLAB, FAIL_PAGE, FAIL_COPY };
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(dirs) && !ret; i++) {
		if (!path_exists(dirs[i]))
			continue;
		ret = debugfs_write(dirs[i], "probability", "%lu", 0);
		ret = ret ?: debugfs_write(dirs[i], "task-filter", "N", 0);
		ret = ret ?: debugfs_write(dirs[i], "times", "-1", 0);
		ret = ret ?: debugfs_write(dirs[i], "interval", "%lu", 1);
		ret = ret ?: debugfs_write(dirs[i], "verbose", "%lu", 0);
		ret = ret ?: debugfs_write(dirs[i], "require-start", "%#lx", start);
		ret = ret ?: debugfs_write(dirs[i], "require-end", "%#lx", end);
		ret = ret ?: debugfs_write(dirs[i], "reject-start", "%lu", 0);
		ret = ret ?: debugfs_write(dirs[i], "reject-end", "%lu", 0);
		ret = ret ?: debugfs_write(dirs[i], "stacktrace-depth", "%lu", 32);
	}
	ret = ret ?: debugfs_write(FAILSLAB, "ignore-gfp-wait", "N", 0);
	ret = ret ?: debugfs_write(FAIL_PAGE, "ignore-gfp-wait", "N", 0);
	ret = ret ?: debugfs_write(FAIL_PAGE, "min-order", "%lu", 0);
	return ret ?: debugfs_write(FAIL_PAGE, "ignore-gfp-highmem", "N", 0);
}

/*
 * But not on behalf of this function of the kernel, of which it is known that
 * it does not survive that.
 */
static int spare(const char *function)
{
	static const char * const dirs[] = { FAILSLAB, FAIL_PAGE };
	unsigned long start, end;
	unsigned int i;
	int ret;

	ret = find_code(NULL, function, &start, &end);
	for (i = 0; i < ARRAY_SIZE(dirs) && !ret; i++) {
		ret = debugfs_write(dirs[i], "reject-start", "%#lx", start);
		ret = ret ?: debugfs_write(dirs[i], "reject-end", "%#lx", end);
	}
	return ret;
}

static void no_random_faults(void)
{
	debugfs_write(FAILSLAB, "probability", "%lu", 0);
	debugfs_write(FAIL_PAGE, "probability", "%lu", 0);
}

static void slow_resets(unsigned int ms)
{
	unsigned int a;

	for (a = 0; a < host.nr_adapters; a++)
		hw_change("adapter %u reset-time %u >/dev/null", host.adapter[a],
			  ms);
}

FIXTURE_SETUP(faults)
{
	test_begin();
	self->guest.vfio.container = -1;
	self->guest.vfio.group = -1;
	self->guest.vfio.device = -1;
	self->references = module_references();
	self->fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (self->fail_nth < 0 || !path_exists(FAILSLAB "/require-start") ||
	    !path_exists(FAIL_PAGE "/require-start"))
		test_skip(_metadata, "the kernel has no fault injection");
	ASSERT_EQ(0, find_code("vfio_ap", NULL, &self->start, &self->end));
	ASSERT_EQ(0, restrict_faults(self->start, self->end));
	mdev_uuid(self->uuid, 0);
	self->apqn = APQN(host.adapter[0], host.domain[0]);
}

FIXTURE_TEARDOWN_PARENT(faults)
{
	no_random_faults();
	if (host.has_aphw)
		slow_resets(1);
	if (!path_exists(MODULE))
		module_load();
	queues_settle();
	test_end();
}

#define self_t FIXTURE_DATA(faults)

/* From now on, the @nth allocation of this thread fails. */
static void arm(self_t *self, unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(self->fail_nth, text, n, 0) != n)
		abort();
}

/* Was there such an allocation? In any case, no more fails. */
static bool disarm(self_t *self)
{
	char text[16] = "";

	if (pread(self->fail_nth, text, sizeof(text) - 1, 0) <= 0)
		abort();
	arm(self, 0);
	return !atoi(text);
}

struct operation {
	const char *name;
	/* Does it: 0 or a negative errno. Nothing else may be done in it. */
	int (*act)(self_t *self);
	/* What has to be as before when it was refused: NULL or what is wrong. */
	const char *(*check_refused)(self_t *self);
	/* What has to be when it was done. */
	const char *(*check_done)(self_t *self);
	/* Makes what is needed, and undoes it. */
	int (*prepare)(self_t *self);
	int (*undo)(self_t *self);
	/* It is to be done without memory as well. */
	bool never_fails;
	/* What it may be refused with, besides ENOMEM. */
	int also[2];
	/* Only every so manyth allocation, where there are hundreds; 0: each. */
	unsigned int stride;
};

/* Looks at what an attempt has left, and undoes what it has done. */
static void check_attempt(struct __test_metadata *_metadata, self_t *self,
			  const struct operation *operation, int ret, const char *when)
{
	const char *wrong = NULL;

	if (ret) {
		EXPECT_FALSE(operation->never_fails);
		EXPECT_TRUE(ret == -ENOMEM || ret == operation->also[0] ||
			    ret == operation->also[1])
			TH_LOG("%s, %s: %s", operation->name, when, strerror(-ret));
		if (operation->check_refused)
			wrong = operation->check_refused(self);
	} else if (operation->check_done) {
		wrong = operation->check_done(self);
	}
	EXPECT_EQ(NULL, wrong)
		TH_LOG("%s, %s, %s: %s", operation->name, when, ret ? "refused" : "done", wrong);
	if (!ret && operation->undo)
		ASSERT_EQ(0, operation->undo(self))
			TH_LOG("%s, %s: undo", operation->name, when);
}

static void prepare_attempt(struct __test_metadata *_metadata, self_t *self,
			    const struct operation *operation, const char *when)
{
	if (operation->prepare)
		ASSERT_EQ(0, operation->prepare(self))
			TH_LOG("%s, %s: prepare", operation->name, when);
}

/* Does it again and again, and each time a later allocation fails. */
static void without_one(struct __test_metadata *_metadata, self_t *self,
			const struct operation *operation)
{
	unsigned int nth, refused = 0, tried = 0;
	bool fired = true;

	for (nth = 1; fired; nth += operation->stride ?: 1) {
		char when[32];
		int ret;

		ASSERT_GT(MOST, nth);
		snprintf(when, sizeof(when), "allocation %u", nth);
		prepare_attempt(_metadata, self, operation, when);
		arm(self, nth);
		ret = operation->act(self);
		fired = disarm(self);
		tried += fired;
		refused += !!ret;
		if (ret)
			EXPECT_TRUE(fired);
		check_attempt(_metadata, self, operation, ret, when);
	}
	TH_LOG("%s: %u allocations, %u refused", operation->name, tried,
	       refused);
}

/*
 * Memory that is short once is got in another way, by kvmalloc() for example. Here
 * nothing is left from some byte on, each time a little later, until it can be done.
 */
static void without_any(struct __test_metadata *_metadata, self_t *self,
			const struct operation *operation)
{
	unsigned int bytes = 0, refused = 0;
	int ret;

	for (;;) {
		char when[32];

		ASSERT_GT(MOST_BYTES, bytes);
		snprintf(when, sizeof(when), "after %u bytes", bytes);
		prepare_attempt(_metadata, self, operation, when);
		debugfs_write(FAILSLAB, "space", "%lu", bytes);
		debugfs_write(FAIL_PAGE, "space", "%lu", bytes / 128);
		debugfs_write(FAIL_PAGE, "probability", "%lu", 100);
		debugfs_write(FAILSLAB, "probability", "%lu", 100);
		ret = operation->act(self);
		no_random_faults();
		check_attempt(_metadata, self, operation, ret, when);
		if (!ret)
			break;
		refused++;
		bytes += bytes < 512 ? 32 : bytes / 16;
	}
	TH_LOG("%s: with %u bytes, %u times refused before", operation->name, bytes, refused);
}

static void without_memory(struct __test_metadata *_metadata, self_t *self,
			   const struct operation *operation)
{
	without_one(_metadata, self, operation);
	without_any(_metadata, self, operation);
}

/* --- mediated devices ---------------------------------------------------- */

static int do_create(self_t *self)
{
	return mdev_create(self->uuid);
}

static int undo_create(self_t *self)
{
	return mdev_remove(self->uuid);
}

static bool has_mdev(self_t *self)
{
	char path[128];

	snprintf(path, sizeof(path), MDEV_DEVICES "/%s", self->uuid);
	return path_exists(path);
}

static const char *no_mdev(self_t *self)
{
	return has_mdev(self) ? "the device is there" : NULL;
}

/*
 * The driver core creates the device even when the driver's probe fails, and
 * says so only to those who look at its driver.
 */
static const char *mdev_works(self_t *self)
{
	char text[64];

	if (!has_mdev(self))
		return "the device is not there";
	if (mdev_read(self->uuid, "matrix", text, sizeof(text)) < 0)
		return "the device has no driver";
	return NULL;
}

static int do_create_bound(self_t *self)
{
	int ret = mdev_create(self->uuid);
	char path[128];

	if (ret)
		return ret;
	snprintf(path, sizeof(path), MDEV_DEVICES "/%s/driver", self->uuid);
	if (path_exists(path))
		return 0;
	/* Not bound: this is as good as refused. */
	mdev_remove(self->uuid);
	return -ENOMEM;
}

static int prepare_mdev(self_t *self)
{
	int ret = mdev_create(self->uuid);

	ret = ret ?: mdev_assign(self->uuid, "assign_adapter",
				 host.adapter[0]);
	return ret ?: mdev_assign(self->uuid, "assign_domain", host.domain[0]);
}

TEST_F(faults, create_and_remove)
{
	if (variant->cdev)
		test_skip(_metadata, "the same for both");
	/*
	 * When it fails after it has taken a reference to the IOMMU group, it
	 * keeps it, and vfio_group_release() warns.
	 */
	ASSERT_EQ(0, spare("vfio_create_group"));
	without_memory(_metadata, self, &(struct operation){
		.name = "create", .act = do_create_bound, .undo = undo_create,
		.check_refused = no_mdev, .check_done = mdev_works,
	});
	without_memory(_metadata, self, &(struct operation){
		.name = "remove", .prepare = do_create, .act = undo_create,
		.check_done = no_mdev, .never_fails = true,
	});
	without_memory(_metadata, self, &(struct operation){
		.name = "remove, assigned", .prepare = prepare_mdev,
		.act = undo_create, .check_done = no_mdev, .never_fails = true,
	});
	EXPECT_EQ(self->references, module_references());
}

/* --- attributes of a guest's device -------------------------------------- */

static const char * const texts[] = { "matrix", "guest_matrix",
				      "control_domains" };

static int note_texts(self_t *self)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		if (mdev_read(self->guest.uuid, texts[i], self->before[i],
			      sizeof(self->before[i])) < 0)
			return -EIO;
	return 0;
}

static const char *texts_unchanged(self_t *self)
{
	char text[4096];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		if (mdev_read(self->guest.uuid, texts[i], text,
			      sizeof(text)) < 0)
			return "cannot be read";
		if (strcmp(text, self->before[i]))
			return texts[i];
	}
	return NULL;
}

/* The attribute that an operation writes, its opposite, and what it writes. */
static const char *written, *opposite, *wrote, *wrote_back;

static int do_write(self_t *self)
{
	return mdev_write(self->guest.uuid, written, wrote);
}

static int undo_write(self_t *self)
{
	int ret = mdev_write(self->guest.uuid, opposite, wrote_back);

	queues_settle();
	return ret;
}

static int do_read(self_t *self)
{
	char text[4096];
	int ret = mdev_read(self->guest.uuid, written, text, sizeof(text));

	return ret < 0 ? ret : 0;
}

TEST_F(faults, attributes)
{
	static const char * const what[] = { "adapter", "domain",
					     "control_domain" };
	char assign[32], unassign[32], number[8];
	unsigned int i;

	GUEST_UP(&self->guest, .cdev = variant->cdev);
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		written = texts[i];
		without_memory(_metadata, self, &(struct operation){
			.name = texts[i], .act = do_read,
		});
	}
	for (i = 0; i < ARRAY_SIZE(what); i++) {
		snprintf(assign, sizeof(assign), "assign_%s", what[i]);
		snprintf(unassign, sizeof(unassign), "unassign_%s", what[i]);
		if (i == 0 && host.nr_adapters > 1)
			snprintf(number, sizeof(number), "%u", host.adapter[1]);
		else if (i && host.nr_domains > 1)
			snprintf(number, sizeof(number), "%u", host.domain[1]);
		else
			continue;
		written = assign;
		opposite = unassign;
		wrote = number;
		wrote_back = number;
		without_memory(_metadata, self, &(struct operation){
			.name = assign, .act = do_write, .undo = undo_write,
			.prepare = note_texts,
			.check_refused = texts_unchanged,
		});
		ASSERT_EQ(0, mdev_write(self->guest.uuid, assign, number));
		written = unassign;
		opposite = assign;
		without_memory(_metadata, self, &(struct operation){
			.name = unassign, .act = do_write, .undo = undo_write,
			.prepare = note_texts,
			.check_refused = texts_unchanged,
		});
		ASSERT_EQ(0, mdev_write(self->guest.uuid, unassign, number));
	}
	guest_down(&self->guest);
	EXPECT_EQ(self->references, module_references());
}

TEST_F(faults, ap_config)
{
	static const uint64_t none[4];
	char config[4 * MASK_LENGTH], nothing[4 * MASK_LENGTH];
	char mask[MASK_LENGTH];

	GUEST_UP(&self->guest, .cdev = variant->cdev);
	ASSERT_LT(0, mdev_read(self->guest.uuid, "ap_config", config,
			       sizeof(config)));
	mask_format(none, mask);
	snprintf(nothing, sizeof(nothing), "%s,%s,%s", mask, mask, mask);
	written = "ap_config";
	opposite = "ap_config";
	wrote = nothing;
	wrote_back = config;
	without_memory(_metadata, self, &(struct operation){
		.name = "ap_config, to nothing", .act = do_write,
		.undo = undo_write, .prepare = note_texts,
		.check_refused = texts_unchanged,
	});
	ASSERT_EQ(0, mdev_write(self->guest.uuid, "ap_config", nothing));
	wrote = config;
	wrote_back = nothing;
	without_memory(_metadata, self, &(struct operation){
		.name = "ap_config, from nothing", .act = do_write,
		.undo = undo_write, .prepare = note_texts,
		.check_refused = texts_unchanged,
	});
	guest_down(&self->guest);
}

/* --- queues -------------------------------------------------------------- */

static int do_bind(self_t *self)
{
	return queue_bind(self->apqn, "vfio_ap");
}

static int do_unbind(self_t *self)
{
	return queue_unbind(self->apqn);
}

static const char *queue_unbound(self_t *self)
{
	char driver[64], text[64];

	if (queue_driver(self->apqn, driver, sizeof(driver)) || driver[0])
		return "the queue has a driver";
	if (queue_status(self->apqn, text, sizeof(text)) >= 0)
		return "the queue has a status";
	return NULL;
}

static const char *queue_bound(self_t *self)
{
	char text[64];

	if (queue_status(self->apqn, text, sizeof(text)) < 0)
		return "the queue has no status";
	return NULL;
}

static bool is_in_use(void *data)
{
	char text[64] = "";

	queue_status(*(uint16_t *)data, text, sizeof(text));
	return !strcmp(text, "in use");
}

static const char *queue_of_guest(self_t *self)
{
	/* Without memory for waiting, the queue is passed to the guest later. */
	if (!wait_until(is_in_use, &self->apqn, hang_ms))
		return "the guest does not get the queue";
	queue_settle(self->apqn);
	if (ap_reset(&self->guest.vmm, self->apqn, &self->result))
		return self->guest.vmm.error;
	if (self->result.pgm || self->result.rc)
		return "the guest cannot use the queue";
	return queue_bound(self);
}

TEST_F(faults, bind_and_unbind)
{
	if (!variant->cdev) {
		ASSERT_EQ(0, do_unbind(self));
		without_memory(_metadata, self, &(struct operation){
			.name = "bind", .act = do_bind, .undo = do_unbind,
			.check_refused = queue_unbound,
			.check_done = queue_bound,
		});
		without_memory(_metadata, self, &(struct operation){
			.name = "unbind", .prepare = do_bind, .act = do_unbind,
			.check_done = queue_unbound, .never_fails = true,
		});
		ASSERT_EQ(0, do_bind(self));
	}
	GUEST_UP(&self->guest, .cdev = variant->cdev);
	self->apqn = self->guest.apqn;
	ASSERT_EQ(0, do_unbind(self));
	without_memory(_metadata, self, &(struct operation){
		.name = "bind, a guest's", .act = do_bind, .undo = do_unbind,
		.check_refused = queue_unbound, .check_done = queue_of_guest,
	});
	without_memory(_metadata, self, &(struct operation){
		.name = "unbind, a guest's", .prepare = do_bind,
		.act = do_unbind, .check_done = queue_unbound,
		.never_fails = true,
	});
	ASSERT_EQ(0, do_bind(self));
	guest_down(&self->guest);
}

/* --- opening and closing ------------------------------------------------- */

static bool use_cdev;

static int do_open(self_t *self)
{
	return vmm_vfio_open(&self->guest.vfio, &self->guest.vmm, self->uuid,
			     use_cdev);
}

static int do_close(self_t *self)
{
	if (self->guest.vmm.kvm_vfio >= 0)
		close(self->guest.vmm.kvm_vfio);
	self->guest.vmm.kvm_vfio = -1;
	vmm_vfio_close(&self->guest.vfio);
	return 0;
}

static const char *not_open(self_t *self)
{
	struct ap_result result;

	do_close(self);
	if (ap_aqic(&self->guest.vmm, self->apqn, AQIC_IR | AQIC_ISC(ISC),
		    GUEST_NIB, &result))
		return self->guest.vmm.error;
	/* KVM's own answer: the queue is not there. */
	if (!result.pgm && !result.cc)
		return "the guest has the queue";
	if (pinned_kib())
		return "pages are pinned";
	return NULL;
}

static const char *is_open(self_t *self)
{
	if (ap_reset(&self->guest.vmm, self->apqn, &self->result))
		return self->guest.vmm.error;
	if (self->result.pgm || self->result.rc)
		return "the guest cannot use the queue";
	return NULL;
}

static int open_and_enable(self_t *self)
{
	struct ap_result result;
	int ret = do_open(self);

	ret = ret ?: ap_reset(&self->guest.vmm, self->apqn, &result);
	ret = ret ?: ap_enable_irq(&self->guest.vmm, self->apqn, ISC,
				   GUEST_NIB, &result);
	return ret ?: -(int)result.rc;
}

TEST_F(faults, open_and_close)
{
	use_cdev = variant->cdev;
	if (use_cdev && !path_exists("/dev/iommu"))
		test_skip(_metadata, "the kernel has no iommufd");
	GUEST_UP(&self->guest, .no_device = true);
	ASSERT_EQ(0, prepare_mdev(self));
	without_memory(_metadata, self, &(struct operation){
		.name = "open", .act = do_open, .undo = do_close,
		.check_refused = not_open, .check_done = is_open,
	});
	without_memory(_metadata, self, &(struct operation){
		.name = "close", .prepare = open_and_enable, .act = do_close,
		.check_done = not_open, .never_fails = true,
	});
	guest_down(&self->guest);
	EXPECT_EQ(self->references, module_references());
	EXPECT_EQ(0, mdev_remove(self->uuid));
}

/* --- interrupts ---------------------------------------------------------- */

/*
 * When allocating fails twice, with the way to the first page made by half, that
 * half stays, and iopt_release_pages() warns.
 */
static void spare_iommufd(struct __test_metadata *_metadata, bool cdev)
{
	if (cdev)
		ASSERT_EQ(0, spare("pages_to_xarray"));
}

static int do_aqic(self_t *self)
{
	int ret = ap_aqic(&self->guest.vmm, self->apqn,
			  AQIC_IR | AQIC_ISC(ISC), GUEST_NIB, &self->result);

	if (ret)
		return ret;
	if (self->result.pgm)
		return -EPROTO;
	switch (self->result.rc) {
	case AP_RC_NORMAL:
		return 0;
	case AP_RC_BUSY:
		return -ENOMEM;
	case AP_RC_INVALID_ADDRESS:
		/* The C driver's: see without_memory_is_busy. */
		return host.driver_is_c ? -ENOMEM : -EFAULT;
	default:
		return -EIO;
	}
}

/* The same, when nothing but 05 will do. */
static int do_aqic_or_busy(self_t *self)
{
	int ret = do_aqic(self);

	return ret == -ENOMEM && self->result.rc != AP_RC_BUSY ? -EFAULT : ret;
}

static int do_aqic_off(self_t *self)
{
	int ret = ap_aqic(&self->guest.vmm, self->apqn, 0, 0, &self->result);

	return ret ?: -(int)(self->result.pgm | self->result.rc);
}

static int undo_aqic(self_t *self)
{
	struct ap_result result;
	int ret = ap_disable_irq(&self->guest.vmm, self->apqn, &result);

	return ret ?: -(int)(result.pgm | result.rc);
}

static int do_enable(self_t *self)
{
	struct ap_result result;
	int ret = ap_enable_irq(&self->guest.vmm, self->apqn, ISC, GUEST_NIB,
				&result);

	return ret ?: -(int)(result.pgm | result.rc);
}

static const char *nothing_pinned(self_t *self)
{
	return pinned_kib() ? "a page is pinned" : NULL;
}

static bool is_unpinned(void *data)
{
	return !pinned_kib();
}

static const char *unpinned_soon(self_t *self)
{
	return wait_until(is_unpinned, NULL, hang_ms) ? NULL : "a page is pinned";
}

static const char *interrupt_arrives(self_t *self)
{
	if (ap_await(&self->guest.vmm, self->apqn, AP_RC_NORMAL, AP_IRQ, AP_IRQ,
		     &self->result))
		return self->guest.vmm.error;
	return guest_request(&self->guest, 0x11, ISC);
}

static int do_unmap(self_t *self)
{
	return vmm_vfio_unmap(&self->guest.vfio, 0, VMM_MEM_SIZE);
}

static int undo_unmap(self_t *self)
{
	int ret = vmm_vfio_map(&self->guest.vfio, 0, VMM_MEM_SIZE,
			       self->guest.vmm.mem);

	return ret ?: ap_reset(&self->guest.vmm, self->apqn, &self->result);
}

TEST_F(faults, interrupts)
{
	GUEST_UP(&self->guest, .cdev = variant->cdev);
	spare_iommufd(_metadata, variant->cdev);
	self->apqn = self->guest.apqn;
	without_memory(_metadata, self, &(struct operation){
		.name = "AQIC, enable", .act = do_aqic, .undo = undo_aqic,
		.check_refused = nothing_pinned,
		.check_done = interrupt_arrives,
	});
	without_memory(_metadata, self, &(struct operation){
		.name = "AQIC, disable", .prepare = do_enable,
		.act = do_aqic_off, .check_done = unpinned_soon,
		.never_fails = true,
	});
	ASSERT_OK(ap_reset(&self->guest.vmm, self->apqn, &self->result),
		  self->guest.vmm.error);
	without_memory(_metadata, self, &(struct operation){
		.name = "unmapping", .prepare = do_enable, .act = do_unmap,
		.undo = undo_unmap, .check_done = nothing_pinned,
		.never_fails = true,
	});
	guest_down(&self->guest);
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(self->references, module_references());
}

/* What would work a moment later is no wrong address. */
TEST_F(faults, without_memory_is_busy)
{
	GUEST_UP(&self->guest, .cdev = variant->cdev);
	spare_iommufd(_metadata, variant->cdev);
	self->apqn = self->guest.apqn;
	without_memory(_metadata, self, &(struct operation){
		.name = "AQIC, enable", .act = do_aqic_or_busy,
		.undo = undo_aqic, .check_refused = nothing_pinned,
	});
	guest_down(&self->guest);
}

C_DEFECT(faults, group, without_memory_is_busy, "answers 06");
C_DEFECT(faults, iommufd, without_memory_is_busy, "answers 06");

/* --- ioctls -------------------------------------------------------------- */

static int do_reset(self_t *self)
{
	return ioctl(self->guest.vfio.device, VFIO_DEVICE_RESET) ? -errno : 0;
}

static int event_fd = -1;

static int set_trigger(self_t *self, int fd)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} arg = {
		.set = {
			.argsz = sizeof(arg),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_AP_REQ_IRQ_INDEX,
			.count = 1,
		},
		.fd = fd,
	};

	return ioctl(self->guest.vfio.device, VFIO_DEVICE_SET_IRQS, &arg) ?
		-errno : 0;
}

static int do_set_irqs(self_t *self)
{
	return set_trigger(self, event_fd);
}

static int undo_set_irqs(self_t *self)
{
	return set_trigger(self, -1);
}

TEST_F(faults, ioctls)
{
	GUEST_UP(&self->guest, .cdev = variant->cdev);
	event_fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, event_fd);
	without_memory(_metadata, self, &(struct operation){
		.name = "SET_IRQS", .act = do_set_irqs, .undo = undo_set_irqs,
		.also = { -EFAULT },
	});
	without_memory(_metadata, self, &(struct operation){
		.name = "RESET", .act = do_reset,
	});
	close(event_fd);
	guest_down(&self->guest);
}

/* The ioctl has said so: then no queue is still being reset. */
static const char *all_are_reset(self_t *self)
{
	static char wrong[64];
	unsigned int a, d;

	for (a = 0; a < host.nr_adapters; a++)
		for (d = 0; d < host.nr_domains; d++) {
			uint16_t apqn = APQN(host.adapter[a], host.domain[d]);

			if (ap_tapq(&self->guest.vmm, apqn, &self->result))
				return self->guest.vmm.error;
			if (!self->result.pgm && !self->result.rc)
				continue;
			snprintf(wrong, sizeof(wrong), "TAPQ of %02x.%04x: rc %02x",
				 APID(apqn), APQI(apqn), self->result.rc);
			return wrong;
		}
	return NULL;
}

/* A reset that was refused may be going on all the same. */
static int resets_end(self_t *self)
{
	unsigned int a, d;

	for (a = 0; a < host.nr_adapters; a++)
		for (d = 0; d < host.nr_domains; d++)
			if (ap_await(&self->guest.vmm,
				     APQN(host.adapter[a], host.domain[d]),
				     AP_RC_NORMAL, 0, 0, &self->result))
				return -ETIMEDOUT;
	return 0;
}

/* Without memory, too, VFIO_DEVICE_RESET waits for every queue, or says that it failed. */
TEST_F(faults, reset_of_many_queues)
{
	if (!host.has_aphw)
		test_skip(_metadata, "needs aphw, the emulated host's tool");
	GUEST_UP(&self->guest, .cdev = variant->cdev,
		 .adapters = host.nr_adapters, .domains = host.nr_domains);
	slow_resets(300);
	without_memory(_metadata, self, &(struct operation){
		.name = "RESET of many queues", .prepare = resets_end,
		.act = do_reset, .check_done = all_are_reset,
	});
	slow_resets(1);
	guest_down(&self->guest);
}

/* --- live migration ------------------------------------------------------ */

/* A data file, and what was read of it. */
static struct {
	int fd;
	size_t length;
	uint8_t bytes[1024];
} transfer = { .fd = -1 };

static int migrate(self_t *self, uint32_t state)
{
	int fd, ret = set_state(self->guest.vfio.device, state, &fd);

	if (fd >= 0) {
		transfer.fd = fd;
		transfer.length = 0;
	}
	return ret;
}

static int migrate_running(self_t *self)
{
	if (transfer.fd >= 0)
		close(transfer.fd);
	transfer.fd = -1;
	return migrate(self, VFIO_DEVICE_STATE_RUNNING);
}

/* Return: 0 at the end, -ENOMSG when there is nothing yet, or another negative errno. */
static int read_all(self_t *self)
{
	ssize_t n;

	do {
		n = read(transfer.fd, transfer.bytes + transfer.length,
			 sizeof(transfer.bytes) - transfer.length);
		if (n < 0)
			return -errno;
		transfer.length += n;
	} while (n);
	return 0;
}

static int read_on(self_t *self)
{
	int ret = read_all(self);

	return ret == -ENOMSG ? 0 : ret;
}

/* Something that was described has changed. */
static int prepare_pre_copy(self_t *self)
{
	int ret = migrate_running(self);

	ret = ret ?: migrate(self, VFIO_DEVICE_STATE_PRE_COPY);
	ret = ret ?: read_on(self);
	return ret ?: mdev_assign(self->guest.uuid, "assign_domain", host.domain[1]);
}

/* The next attempt reads all of it, and nothing twice. */
static const char *all_is_read(self_t *self)
{
	int ret = read_on(self);

	ret = ret ?: migrate(self, VFIO_DEVICE_STATE_STOP_COPY);
	ret = ret ?: read_all(self);
	if (ret)
		return strerror(-ret);
	ret = mdev_assign(self->guest.uuid, "unassign_domain", host.domain[1]);
	if (ret)
		return strerror(-ret);
	/* Two descriptions, of one queue and of two, and the end of it */
	if (transfer.length != 8 + 16 + 40 + 16 + 16 + 40 + 32 + 16 + 8 + 32 + 24)
		return "the stream has another length";
	return NULL;
}

static int do_pre_copy(self_t *self)
{
	return migrate(self, VFIO_DEVICE_STATE_PRE_COPY);
}

static int do_stop_copy(self_t *self)
{
	return migrate(self, VFIO_DEVICE_STATE_STOP_COPY);
}

static int prepare_stop_copy(self_t *self)
{
	return migrate_running(self) ?: do_pre_copy(self);
}

/* A guest that goes on is told to look at its queue, which is no reply. */
static const char *goes_on(self_t *self)
{
	int ret = migrate_running(self);

	if (ret)
		return strerror(-ret);
	while (!vmm_wait_io(&self->guest.vmm, 0, 0x80 >> ISC, NULL, 300))
		;
	return interrupt_arrives(self);
}

static int do_resume(self_t *self)
{
	int ret = migrate(self, VFIO_DEVICE_STATE_RESUMING);

	if (ret)
		return ret;
	return write(transfer.fd, self->stream, self->stream_length) < 0 ? -errno : 0;
}

static int prepare_resume(self_t *self)
{
	int ret = do_reset(self);

	if (transfer.fd >= 0)
		close(transfer.fd);
	transfer.fd = -1;
	ret = ret ?: mdev_assign(self->guest.uuid, "unassign_domain", host.domain[0]);
	return ret ?: mdev_assign(self->guest.uuid, "unassign_adapter", host.adapter[0]);
}

static const char *nothing_taken(self_t *self)
{
	char text[64];

	if (mdev_read(self->guest.uuid, "matrix", text, sizeof(text)))
		return "the target keeps something";
	return nothing_pinned(self);
}

static uint64_t page_size;

static int do_log(self_t *self)
{
	return start_logging(self->guest.vfio.device, &page_size);
}

static int undo_log(self_t *self)
{
	return stop_logging(self->guest.vfio.device);
}

TEST_F(faults, migration)
{
	struct ap_result result;

	NOT_ON_C("live migration");
	if (host.nr_domains < 2)
		test_skip(_metadata, "it takes two domains");
	GUEST_UP(&self->guest, .cdev = variant->cdev);
	self->apqn = self->guest.apqn;
	without_memory(_metadata, self, &(struct operation){
		.name = "PRE_COPY", .act = do_pre_copy, .undo = migrate_running,
	});
	without_memory(_metadata, self, &(struct operation){
		.name = "reading in PRE_COPY", .prepare = prepare_pre_copy,
		.act = read_on, .check_refused = all_is_read,
		.check_done = all_is_read, .also = { -EFAULT },
	});
	ASSERT_EQ(0, migrate_running(self));
	ASSERT_EQ(0, ap_enable_irq(&self->guest.vmm, self->apqn, ISC, GUEST_NIB, &result));
	without_memory(_metadata, self, &(struct operation){
		.name = "STOP_COPY", .act = do_stop_copy, .undo = migrate_running,
		.check_refused = goes_on,
	});
	without_memory(_metadata, self, &(struct operation){
		.name = "PRE_COPY to STOP_COPY", .prepare = prepare_stop_copy,
		.act = do_stop_copy, .check_refused = goes_on,
	});
	without_memory(_metadata, self, &(struct operation){
		.name = "DMA logging", .act = do_log, .undo = undo_log,
	});

	ASSERT_EQ(0, migrate_running(self));
	ASSERT_EQ(0, do_stop_copy(self));
	ASSERT_EQ(0, read_all(self));
	memcpy(self->stream, transfer.bytes, transfer.length);
	self->stream_length = transfer.length;
	without_memory(_metadata, self, &(struct operation){
		.name = "RESUMING", .prepare = prepare_resume, .act = do_resume,
		.check_refused = nothing_taken, .check_done = goes_on, .also = { -EFAULT },
	});
	close(transfer.fd);
	guest_down(&self->guest);
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(self->references, module_references());
}

/* --- the AP bus ---------------------------------------------------------- */

static int do_take(self_t *self)
{
	static const uint64_t all[4] = { -1UL, -1UL, -1UL, -1UL };
	char mask[MASK_LENGTH];

	mask_format(all, mask);
	return sysfs_write(AP_BUS "/apmask", mask);
}

TEST_F(faults, veto)
{
	char before[MASK_LENGTH], after[MASK_LENGTH];

	GUEST_UP(&self->guest, .cdev = variant->cdev);
	ASSERT_LT(0, sysfs_read(AP_BUS "/apmask", before, sizeof(before)));
	/* Refused with or without memory: as it is in use. */
	do {
		static unsigned int nth;
		int ret;

		arm(self, ++nth);
		ret = do_take(self);
		EXPECT_TRUE(ret == -EBUSY || ret == -ENOMEM)
			TH_LOG("allocation %u: %d", nth, ret);
		ASSERT_GT(MOST, nth);
	} while (disarm(self));
	ASSERT_LT(0, sysfs_read(AP_BUS "/apmask", after, sizeof(after)));
	EXPECT_STREQ(before, after);
	guest_down(&self->guest);
}

/* --- the module ---------------------------------------------------------- */

static int module_fd = -1;

static int do_load(self_t *self)
{
	return syscall(SYS_finit_module, module_fd, "", 0) ? -errno : 0;
}

static int do_unload(self_t *self)
{
	return module_unload();
}

static const char *not_loaded(self_t *self)
{
	static const char * const paths[] = {
		MODULE, MATRIX, "/sys/devices/vfio_ap", "/sys/bus/matrix",
		AP_BUS "/drivers/vfio_ap", "/sys/bus/mdev/drivers/vfio_ap_mdev",
		"/sys/kernel/debug/s390dbf/vfio_ap",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(paths); i++)
		if (path_exists(paths[i]))
			return paths[i];
	return NULL;
}

static const char *loaded(self_t *self)
{
	char text[64];

	if (!path_exists(MDEV_TYPE))
		return "no type of mediated devices";
	if (sysfs_read(MATRIX "/features", text, sizeof(text)) < 0)
		return "no features";
	return NULL;
}

TEST_F(faults, load)
{
	const char *file = getenv("VFIO_AP_MODULE");

	if (variant->cdev)
		test_skip(_metadata, "the same for both");
	if (!file || module_references())
		test_skip(_metadata, "vfio_ap is in use, or VFIO_AP_MODULE not set");
	ASSERT_EQ(0, module_unload());
	module_fd = open(file, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, module_fd);
	/* The module has no addresses yet: what its init function asks for. */
	ASSERT_EQ(0, find_code(NULL, "do_init_module", &self->start, &self->end));
	ASSERT_EQ(0, restrict_faults(self->start, self->end));
	/*
	 * When it fails before it has registered its lock's key, bus_release()
	 * unregisters that all the same, and lockdep warns.
	 */
	ASSERT_EQ(0, spare("bus_register"));
	without_memory(_metadata, self, &(struct operation){
		.name = "load", .act = do_load, .undo = do_unload,
		.check_refused = not_loaded, .check_done = loaded,
		/*
		 * The driver core's, for a directory that it could not make:
		 * that of the module's drivers, for the latter.
		 */
		.also = { -ENOENT, -EINVAL },
		.stride = 5,
	});
	close(module_fd);
}

/* --- everything ---------------------------------------------------------- */

/* One in ten allocations fails, of whatever thread: nothing is left of it. */
TEST_F(faults, now_and_then)
{
	struct guest *guest = &self->guest;
	struct ap_result result;
	unsigned int i, n = 0;
	char text[4096], number[8];

	GUEST_UP(guest, .cdev = variant->cdev);
	spare_iommufd(_metadata, variant->cdev);
	snprintf(number, sizeof(number), "%u", APQI(guest->apqn));
	debugfs_write(FAILSLAB, "probability", "%lu", 10);
	debugfs_write(FAIL_PAGE, "probability", "%lu", 10);
	for (i = 0; i < 30; i++) {
		mdev_write(guest->uuid, "unassign_domain", number);
		mdev_write(guest->uuid, "assign_domain", number);
		mdev_read(guest->uuid, "guest_matrix", text, sizeof(text));
		queue_unbind(guest->apqn);
		queue_bind(guest->apqn, "vfio_ap");
		sysfs_write(AP_BUS "/scans", "1");
		ap_aqic(&guest->vmm, guest->apqn, AQIC_IR | AQIC_ISC(ISC),
			GUEST_NIB, &result);
		n += !result.pgm && !result.rc;
		vmm_vfio_unmap(&guest->vfio, 0, VMM_MEM_SIZE);
		vmm_vfio_map(&guest->vfio, 0, VMM_MEM_SIZE, guest->vmm.mem);
		ioctl(guest->vfio.device, VFIO_DEVICE_RESET);
	}
	no_random_faults();
	TH_LOG("%u of %u AQIC accepted", n, i);

	queues_restore();
	queues_settle();
	ASSERT_EQ(0, mdev_write(guest->uuid, "unassign_domain", number));
	ASSERT_EQ(0, mdev_write(guest->uuid, "assign_domain", number));
	ASSERT_OK(ap_reset(&guest->vmm, guest->apqn, &result),
		  guest->vmm.error);
	ASSERT_OK(ap_enable_irq(&guest->vmm, guest->apqn, ISC, GUEST_NIB,
				&result), guest->vmm.error);
	EXPECT_EQ(AP_RC_NORMAL, result.rc);
	EXPECT_EQ(NULL, guest_request(guest, 0x12, ISC));
	guest_down(guest);
	EXPECT_EQ(0, pinned_kib());
	EXPECT_EQ(self->references, module_references());
	EXPECT_EQ(0, mdev_remove(guest->uuid));
}
