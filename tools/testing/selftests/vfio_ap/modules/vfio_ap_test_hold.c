// SPDX-License-Identifier: GPL-2.0
/*
 * Holds a reference to a device, whatever becomes of the device and its driver.
 *
 * The parameter 'device', in /sys/module/vfio_ap_test_hold/parameters, takes the path
 * of a device's directory in sysfs, and an empty line to put the reference. It shows
 * the name of the device that is held.
 */
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/kernfs.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/string.h>

/* Protected by the lock that the kernel holds while a parameter is read or written. */
static struct device *held;

/* The device must not be removed meanwhile. */
static struct device *get_device_at(const char *directory)
{
	struct device *dev = ERR_PTR(-ENODEV);
	struct kernfs_node *node;
	struct path path;
	int ret;

	ret = kern_path(directory, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
	if (ret)
		return ERR_PTR(ret);
	if (path.dentry->d_sb->s_magic == SYSFS_MAGIC) {
		/* For a directory, sysfs has the kobject there. */
		node = d_inode(path.dentry)->i_private;
		dev = get_device(kobj_to_dev(node->priv));
	}
	path_put(&path);
	return dev;
}

static void put_held(void)
{
	struct device *dev = held;

	held = NULL;
	put_device(dev);
}

static int device_set(const char *value, const struct kernel_param *param)
{
	struct device *dev;
	char *directory;

	directory = kstrdup(value, GFP_KERNEL);
	if (!directory)
		return -ENOMEM;
	if (!*strim(directory)) {
		kfree(directory);
		put_held();
		return 0;
	}
	dev = held ? ERR_PTR(-EBUSY) : get_device_at(strim(directory));
	kfree(directory);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	held = dev;
	return 0;
}

static int device_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", held ? dev_name(held) : "");
}

static const struct kernel_param_ops device_ops = {
	.set = device_set,
	.get = device_get,
};
module_param_cb(device, &device_ops, NULL, 0600);
MODULE_PARM_DESC(device, "The sysfs directory of the device to hold");

static int __init hold_init(void)
{
	return 0;
}

static void __exit hold_exit(void)
{
	put_held();
}

module_init(hold_init);
module_exit(hold_exit);

MODULE_DESCRIPTION("Holds a reference to a device, for tests of vfio_ap");
MODULE_LICENSE("GPL");
