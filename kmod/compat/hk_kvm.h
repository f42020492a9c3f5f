/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM's structures, over kernel versions.
 */
#ifndef HK_COMPAT_KVM_H
#define HK_COMPAT_KVM_H

#include <linux/kvm_host.h>
#include <linux/version.h>

/* 6.10 renamed the field for the kernel, as user space may change it any time */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define hk_immediate_exit(run)	READ_ONCE((run)->immediate_exit__unsafe)
#else
#define hk_immediate_exit(run)	READ_ONCE((run)->immediate_exit)
#endif

#endif /* HK_COMPAT_KVM_H */
