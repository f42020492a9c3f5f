// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/net.c - networks of this host that come back
 *
 * The kernel tells of each interface that has a carrier again, or an address more
 * (rtnetlink). Paths that went with it need not wait for their next attempt then, here or
 * where they are made: see path_network(). Whether such an interface has to do with a path
 * does not matter, as an attempt too many costs a connect().
 */
#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/epoll.h>
#include "hkd.h"
#include "task.h"

static struct nl_sock *routes;
static bool back;

static int on_message(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct ifinfomsg *info = nlmsg_data(nlh);

	(void)arg;
	if (nlh->nlmsg_type == RTM_NEWADDR ||
	    (nlh->nlmsg_type == RTM_NEWLINK && nlmsg_valid_hdr(nlh, sizeof(*info)) &&
	     info->ifi_flags & IFF_RUNNING))
		back = true;
	return NL_OK;
}

int net_open(char *err)
{
	int r = -NLE_NOMEM;

	routes = nl_socket_alloc();
	if (routes)
		r = nl_connect(routes, NETLINK_ROUTE);
	if (!r)
		r = nl_socket_add_memberships(routes, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
					      RTNLGRP_IPV6_IFADDR, 0);
	if (!r)
		r = nl_socket_set_nonblocking(routes);
	if (r)
		return fail(err, "rtnetlink: %s", nl_geterror(r));
	nl_socket_disable_seq_check(routes);
	nl_socket_modify_cb(routes, NL_CB_VALID, NL_CB_CUSTOM, on_message, NULL);
	return 0;
}

void net_watch(void *unused)
{
	int r;

	(void)unused;
	for (;;) {
		if (task_poll(nl_socket_get_fd(routes), EPOLLIN, FOREVER) < 0) {
			task_sleep(100);
			continue;
		}
		r = nl_recvmsgs_default(routes);
		/* Too many at once: one of those that were lost may have been it */
		if (r == -NLE_NOMEM)
			back = true;
		else if (r && r != -NLE_AGAIN && r != -NLE_INTR)
			task_sleep(100);
		if (back && hkd.self)
			path_network();
		back = false;
	}
}
