// SPDX-License-Identifier: GPL-2.0
/*
 * user/lib/event.c - events the module multicasts
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netlink/errno.h>
#include <netlink/genl/genl.h>
#include "netlink.h"

struct hk_events {
	struct nl_sock *sk;
	int family;
	hk_event_fn fn;
	void *arg;
};

static int on_event(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct nlattr *tb[HK_A_MAX + 1];
	struct hk_events *ev = arg;
	struct hk_event event = { 0 };

	if (nlh->nlmsg_type != ev->family ||
	    genlmsg_parse(nlh, 0, tb, HK_A_MAX, hk_nl_policy))
		return NL_SKIP;
	switch (genlmsg_hdr(nlh)->cmd) {
	case HK_CMD_LINK_NTF:
		event.kind = HK_CMD_LINK_NTF;
		hk_link_parse(tb, &event.link);
		break;
	case HK_CMD_PATH_NTF:
		event.kind = HK_CMD_PATH_NTF;
		hk_path_parse(tb, &event.path);
		break;
	case HK_CMD_VM_NTF:
		event.kind = HK_CMD_VM_NTF;
		hk_vm_parse(tb, &event.vm);
		break;
	case HK_CMD_VCPU_NTF:
		event.kind = HK_CMD_VCPU_NTF;
		hk_vcpu_parse(tb, &event.vcpu);
		break;
	default:
		return NL_SKIP;
	}
	ev->fn(&event, ev->arg);
	return NL_OK;
}

int hk_events_open(struct hk_events **out, hk_event_fn fn, void *arg)
{
	struct hk_events *ev = calloc(1, sizeof(*ev));
	int version, group, r;

	*out = NULL;
	if (!ev)
		return hk_nl_fail(NULL, -ENOMEM, "out of memory");
	ev->fn = fn;
	ev->arg = arg;
	r = hk_nl_connect(&ev->sk, &ev->family, &version, &group);
	if (r) {
		free(ev);
		return r;
	}
	nl_socket_disable_seq_check(ev->sk);
	nl_socket_modify_cb(ev->sk, NL_CB_VALID, NL_CB_CUSTOM, on_event, ev);
	nl_socket_set_buffer_size(ev->sk, 1024 * 1024, 0);
	r = nl_socket_add_membership(ev->sk, group);
	if (r) {
		hk_nl_fail(NULL, -EPROTO, "cannot listen to events: %s",
			   nl_geterror(r));
		hk_events_close(ev);
		return -EPROTO;
	}
	*out = ev;
	return 0;
}

void hk_events_close(struct hk_events *ev)
{
	if (!ev)
		return;
	nl_socket_free(ev->sk);
	free(ev);
}

int hk_events_fd(const struct hk_events *ev)
{
	return nl_socket_get_fd(ev->sk);
}

int hk_events_nonblock(struct hk_events *ev)
{
	return nl_socket_set_nonblocking(ev->sk) ? -EIO : 0;
}

int hk_events_read(struct hk_events *ev)
{
	int r = nl_recvmsgs_default(ev->sk);

	if (r == -NLE_NOMEM)	/* ENOBUFS: the queue was full */
		return -ENOBUFS;
	if (r == -NLE_AGAIN || r == -NLE_INTR)
		return 0;
	return r < 0 ? -EIO : 0;
}
