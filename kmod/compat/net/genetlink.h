/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Since 6.2 the callbacks around an operation get it in split form; 6.7 made
 * struct genl_info part of what dumps find
 */
#ifndef HK_COMPAT_NET_GENETLINK_H
#define HK_COMPAT_NET_GENETLINK_H

#include_next <net/genetlink.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define genl_split_ops genl_ops
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
/* Only for ->attrs */
#define genl_info_dump(cb) genl_dumpit_info(cb)
#endif

#endif /* HK_COMPAT_NET_GENETLINK_H */
