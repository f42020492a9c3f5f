/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Formatted texts in extended acks came with 6.2, which also gave struct
 * netlink_ext_ack the room for them
 */
#ifndef HK_COMPAT_LINUX_NETLINK_H
#define HK_COMPAT_LINUX_NETLINK_H

#include_next <linux/netlink.h>

#ifndef NL_SET_ERR_MSG_FMT
#include <linux/atomic.h>
#include <linux/kernel.h>

#define NETLINK_MAX_FMTMSG_LEN	80
#define HK_COMPAT_EXTACK_NR	64

/*
 * The text must live until the ack is written, by the same task right after the
 * request was refused. For the text to be another's then, so many others must be
 * refused in between; it would still end with a NUL. Only for requests that need
 * privilege.
 */
static inline char *hk_compat_extack_buf(void)
{
	static char ring[HK_COMPAT_EXTACK_NR][NETLINK_MAX_FMTMSG_LEN];
	static atomic_t next;

	return ring[atomic_inc_return(&next) & (HK_COMPAT_EXTACK_NR - 1)];
}

#define NL_SET_ERR_MSG_FMT(extack, fmt, args...) do {			\
	struct netlink_ext_ack *__extack = (extack);			\
	char *__buf;							\
									\
	if (!__extack)							\
		break;							\
	__buf = hk_compat_extack_buf();					\
	snprintf(__buf, NETLINK_MAX_FMTMSG_LEN, fmt, ##args);		\
	__extack->_msg = __buf;						\
} while (0)
#endif

#endif /* HK_COMPAT_LINUX_NETLINK_H */
