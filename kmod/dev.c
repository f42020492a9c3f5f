// SPDX-License-Identifier: GPL-2.0
/*
 * The RAM device of each VM: /dev/hyperkernel/<node>-<vm>
 *
 * An open file holds the module, the network namespace of the node and the VM, so
 * none of the three can go while a VMM has guest RAM mapped.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "kvm_hooks.h"
#include "vm.h"
#include "../uapi/hyperkernel.h"

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>

/* VMs of all nodes in this kernel together */
#define DEV_MINORS	1024

static dev_t dev_base;
static struct class *dev_class;
static struct cdev dev_cdev;
/* Minor -> struct hk_vm; one for all nodes, as minors and names are the host's */
static DEFINE_IDR(dev_idr);
/* Protects dev_idr; leaf but for locks of the IDR's memory */
static DEFINE_MUTEX(dev_lock);

/* A name instead of the number where there is one */
static void dev_name_of(const struct hk_vm *vm, char *buf, size_t len)
{
	if (*vm->node->name)
		snprintf(buf, len, "%s-%s", vm->node->name, vm->name);
	else
		snprintf(buf, len, "%u-%s", vm->node->id, vm->name);
}

void hk_dev_path(struct hk_vm *vm, char *buf, size_t len)
{
	char name[2 * HK_NAME_MAX];

	dev_name_of(vm, name, sizeof(name));
	snprintf(buf, len, "/dev/hyperkernel/%s", name);
}

static int dev_open(struct inode *inode, struct file *file)
{
	struct hk_vm *vm;
	int err = 0;

	mutex_lock(&dev_lock);
	vm = idr_find(&dev_idr, iminor(inode) - MINOR(dev_base));
	if (!vm)
		err = -ENXIO;
	else if (hk_vm_dead(vm))
		err = -ESHUTDOWN;
	else if (!maybe_get_net(vm->node->net))
		err = -ENXIO;
	else if (!atomic_inc_unless_negative(&vm->users))
		err = -EBUSY;	/* being made or deleted */
	else
		hk_vm_get(vm);
	if (err == -EBUSY)
		put_net(vm->node->net);
	mutex_unlock(&dev_lock);
	if (err)
		return err;

	file->private_data = vm;
	/* All mappings under one address_space: that is where pages are zapped */
	file->f_mapping = hk_mem_mapping(vm);
	return 0;
}

static int dev_release(struct inode *inode, struct file *file)
{
	struct hk_vm *vm = file->private_data;
	struct net *net = vm->node->net;

	/*
	 * Mappings hold the file: whoever ran the guest cannot run it any more, and
	 * KVM's objects of that process are going. The lock keeps the next one from
	 * opening the device before they are forgotten.
	 */
	mutex_lock(&dev_lock);
	if (atomic_dec_and_test(&vm->users))
		hk_vcpus_closed(vm);
	mutex_unlock(&dev_lock);
	hk_vm_put(vm);
	put_net(net);
	return 0;
}

static int dev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct hk_vm *vm = file->private_data;
	int err;

	/*
	 * A KVM VM of this process is the guest's from now on. A process that maps
	 * several VMs can have KVM run the first one only.
	 */
	err = hk_hooks_add(HK_HOOK_MM, vma->vm_mm, vm);
	if (err && err != -EEXIST)
		return err;
	return hk_mem_mmap(vm, file, vma);
}

static long dev_ioc_info(struct hk_vm *vm, struct hk_info __user *arg)
{
	struct hk_info info = {
		.size = sizeof(info),
		.abi = HK_ABI_VERSION,
		.vm = vm->id,
		.node = vm->node->id,
		.origin = vm->origin,
		.nr_vcpus = vm->nr_vcpus,
		.ram_bytes = vm->ram_pages << PAGE_SHIFT,
	};
	u32 size;

	if (get_user(size, &arg->size))
		return -EFAULT;
	if (size != sizeof(info))
		return -EINVAL;
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct hk_vm *vm = file->private_data;

	if (cmd == HK_IOC_INFO)
		return dev_ioc_info(vm, (struct hk_info __user *)arg);
	return hk_vcpus_ioctl(vm, cmd, arg);
}

/* Guest RAM has no other place to be written to */
static int dev_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return 0;
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.open = dev_open,
	.release = dev_release,
	.mmap = dev_mmap,
	.unlocked_ioctl = dev_ioctl,
	.llseek = noop_llseek,
	.fsync = dev_fsync,
};

/* sysfs would refuse, too, but with a stack trace */
static bool dev_name_taken(const char *name)
{
	char other[2 * HK_NAME_MAX];
	struct hk_vm *vm;
	int minor;

	lockdep_assert_held(&dev_lock);
	idr_for_each_entry(&dev_idr, vm, minor) {
		dev_name_of(vm, other, sizeof(other));
		if (!strcmp(name, other))
			return true;
	}
	return false;
}

/**
 * hk_dev_add() - create the RAM device of a VM
 * @vm: VM; its users count keeps others out until it is ready
 * Context: process; node lock held.
 * Return: 0, -EEXIST when the name is taken, -ENOSPC, -ENOMEM.
 */
int hk_dev_add(struct hk_vm *vm)
{
	char name[2 * HK_NAME_MAX];
	struct device *dev;
	int minor;

	dev_name_of(vm, name, sizeof(name));
	mutex_lock(&dev_lock);
	if (dev_name_taken(name))
		minor = -EEXIST;
	else
		minor = idr_alloc(&dev_idr, vm, 0, DEV_MINORS, GFP_KERNEL);
	mutex_unlock(&dev_lock);
	if (minor < 0)
		return minor;
	vm->minor = minor;

	/* devtmpfs turns '!' into '/'; its mode is 0600 unless told otherwise */
	dev = device_create(dev_class, NULL, dev_base + minor, NULL,
			    "hyperkernel!%s", name);
	if (IS_ERR(dev)) {
		mutex_lock(&dev_lock);
		idr_remove(&dev_idr, minor);
		mutex_unlock(&dev_lock);
		return PTR_ERR(dev);
	}
	return 0;
}

/**
 * hk_dev_del() - remove the RAM device of a VM
 * @vm: VM whose users count is negative
 * Context: process. On return no open() looks at the VM any more.
 */
void hk_dev_del(struct hk_vm *vm)
{
	device_destroy(dev_class, dev_base + vm->minor);
	/* After the device, whose name it keeps */
	mutex_lock(&dev_lock);
	idr_remove(&dev_idr, vm->minor);
	mutex_unlock(&dev_lock);
}

int __init hk_dev_init(void)
{
	int err;

	err = alloc_chrdev_region(&dev_base, 0, DEV_MINORS, "hyperkernel");
	if (err)
		return err;
	dev_class = class_create("hyperkernel");
	if (IS_ERR(dev_class)) {
		err = PTR_ERR(dev_class);
		goto err_region;
	}
	cdev_init(&dev_cdev, &dev_fops);
	dev_cdev.owner = THIS_MODULE;
	err = cdev_add(&dev_cdev, dev_base, DEV_MINORS);
	if (err)
		goto err_class;
	return 0;

err_class:
	class_destroy(dev_class);
err_region:
	unregister_chrdev_region(dev_base, DEV_MINORS);
	return err;
}

void hk_dev_exit(void)
{
	cdev_del(&dev_cdev);
	class_destroy(dev_class);
	unregister_chrdev_region(dev_base, DEV_MINORS);
	idr_destroy(&dev_idr);
}
