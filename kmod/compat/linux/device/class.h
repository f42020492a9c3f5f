/* SPDX-License-Identifier: GPL-2.0 */
/*
 * class_create() lost its owner argument in 6.4
 */
#ifndef HK_COMPAT_LINUX_DEVICE_CLASS_H
#define HK_COMPAT_LINUX_DEVICE_CLASS_H

#include_next <linux/device/class.h>
#include <linux/export.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
static inline struct class *hk_compat_class_create(const char *name)
{
	return class_create(THIS_MODULE, name);
}

#undef class_create
#define class_create(name) hk_compat_class_create(name)
#endif

#endif /* HK_COMPAT_LINUX_DEVICE_CLASS_H */
