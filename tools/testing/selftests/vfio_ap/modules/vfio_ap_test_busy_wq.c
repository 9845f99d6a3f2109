// SPDX-License-Identifier: GPL-2.0
/*
 * Fills the kernel's unbound work queue, system_dfl_wq, with work that sleeps: while
 * the parameter 'full', in /sys/module/vfio_ap_test_busy_wq/parameters, is Y, nothing
 * else that is queued there begins.
 *
 * The queue takes 2048 items at a time, each of which needs a thread. So the limit is
 * lowered meanwhile.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

/* Above WQ_DFL_MIN_ACTIVE, below which the limit would lower the minimum for good. */
#define ITEMS	16
/* Until everybody else's work has made room. */
#define PATIENCE	(60 * HZ)

static struct work_struct items[ITEMS];
static DECLARE_COMPLETION(end);
static DECLARE_WAIT_QUEUE_HEAD(beginning);
static atomic_t begun;

/* Protected by the lock that the kernel holds while a parameter is read or written. */
static bool full;

static void sleep_until_end(struct work_struct *work)
{
	atomic_inc(&begun);
	wake_up(&beginning);
	wait_for_completion_state(&end, TASK_IDLE);
}

static void drain(void)
{
	unsigned int i;

	complete_all(&end);
	for (i = 0; i < ITEMS; i++)
		flush_work(&items[i]);
	workqueue_set_max_active(system_dfl_wq, WQ_MAX_ACTIVE);
	full = false;
}

static int fill(void)
{
	unsigned int i;

	reinit_completion(&end);
	atomic_set(&begun, 0);
	full = true;
	workqueue_set_max_active(system_dfl_wq, ITEMS);
	for (i = 0; i < ITEMS; i++) {
		INIT_WORK(&items[i], sleep_until_end);
		queue_work(system_dfl_wq, &items[i]);
	}
	if (wait_event_timeout(beginning, atomic_read(&begun) == ITEMS, PATIENCE))
		return 0;
	drain();
	return -ETIMEDOUT;
}

static int full_set(const char *value, const struct kernel_param *param)
{
	bool wanted;
	int ret;

	ret = kstrtobool(value, &wanted);
	if (ret || wanted == full)
		return ret;
	if (wanted)
		return fill();
	drain();
	return 0;
}

static const struct kernel_param_ops full_ops = {
	.set = full_set,
	.get = param_get_bool,
};
module_param_cb(full, &full_ops, &full, 0600);
MODULE_PARM_DESC(full, "Whether the work queue is full");

static int __init busy_wq_init(void)
{
	return 0;
}

static void __exit busy_wq_exit(void)
{
	if (full)
		drain();
}

module_init(busy_wq_init);
module_exit(busy_wq_exit);

MODULE_DESCRIPTION("Fills a work queue, for tests of vfio_ap");
MODULE_LICENSE("GPL");
