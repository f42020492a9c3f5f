// SPDX-License-Identifier: GPL-2.0
/*
 * user/lib/netlink.c - one request to the kernel, and what the kernel says when
 * it refuses
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/family.h>
#include <netlink/genl/genl.h>
#include "netlink.h"

#ifndef NLM_F_CAPPED
#define NLM_F_CAPPED	0x100
#endif
#ifndef NLM_F_ACK_TLVS
#define NLM_F_ACK_TLVS	0x200
#endif

struct nla_policy hk_nl_policy[HK_A_MAX + 1] = {
	[HK_A_NODE_ID]		= { .type = NLA_U16 },
	[HK_A_NODE_NAME]	= { .type = NLA_STRING },
	[HK_A_CLUSTER_ID]	= { .minlen = HK_CLUSTER_ID_LEN },
	[HK_A_EPOCH]		= { .type = NLA_U32 },
	[HK_A_BUDGET_PAGES]	= { .type = NLA_U64 },
	[HK_A_USED_PAGES]	= { .type = NLA_U64 },
	[HK_A_HEARTBEAT_MS]	= { .type = NLA_U32 },
	[HK_A_DEAD_MS]		= { .type = NLA_U32 },
	[HK_A_PEER_ID]		= { .type = NLA_U16 },
	[HK_A_PEER_NAME]	= { .type = NLA_STRING },
	[HK_A_FD]		= { .type = NLA_U32 },
	[HK_A_LINK_STATE]	= { .type = NLA_U8 },
	[HK_A_REASON]		= { .type = NLA_STRING },
	[HK_A_RTT_NS]		= { .type = NLA_U64 },
	[HK_A_TX_MSGS]		= { .type = NLA_U64 },
	[HK_A_TX_BYTES]		= { .type = NLA_U64 },
	[HK_A_RX_MSGS]		= { .type = NLA_U64 },
	[HK_A_RX_BYTES]		= { .type = NLA_U64 },
	[HK_A_RX_STALE]		= { .type = NLA_U64 },
	[HK_A_TSC_OFFSET]	= { .type = NLA_U64 },
	[HK_A_TSC_ERROR]	= { .type = NLA_U64 },
	[HK_A_VM_ID]		= { .type = NLA_U32 },
	[HK_A_VM_NAME]		= { .type = NLA_STRING },
	[HK_A_VM_STATE]		= { .type = NLA_U8 },
	[HK_A_RAM_PAGES]	= { .type = NLA_U64 },
	[HK_A_ORIGIN]		= { .type = NLA_U16 },
	[HK_A_VCPU]		= { .type = NLA_U32 },
	[HK_A_VCPU_STATE]	= { .type = NLA_U8 },
	[HK_A_MOVES]		= { .type = NLA_U64 },
	[HK_A_DEVICE]		= { .type = NLA_STRING },
	[HK_A_STATS]		= { .type = NLA_NESTED },
	[HK_A_LINK_STATS]	= { .type = NLA_NESTED },
	[HK_A_MSG_TYPES]	= { .type = NLA_NESTED },
	[HK_A_MSG_TYPE]		= { .type = NLA_NESTED },
	[HK_A_MSG_NAME]		= { .type = NLA_STRING },
	[HK_A_PATH_ID]		= { .type = NLA_U8 },
	[HK_A_PATH_STATE]	= { .type = NLA_U8 },
	[HK_A_LOCAL_ADDRESS]	= { .type = NLA_STRING },
	[HK_A_PEER_ADDRESS]	= { .type = NLA_STRING },
	[HK_A_RETRANSMITS]	= { .type = NLA_U64 },
	[HK_A_DUPLICATES]	= { .type = NLA_U64 },
	[HK_A_FAILOVERS]	= { .type = NLA_U32 },
	[HK_A_COUNT]		= { .type = NLA_U32 },
	[HK_A_LEN]		= { .type = NLA_U32 },
};

static char open_err[HK_ERR_LEN];

int hk_nl_fail(struct hk_nl *nl, int err, const char *fmt, ...)
{
	char *buf = nl ? nl->err : open_err;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, HK_ERR_LEN, fmt, ap);
	va_end(ap);
	return err;
}

const char *hk_nl_error(const struct hk_nl *nl)
{
	return nl ? nl->err : open_err;
}

int hk_nl_version(const struct hk_nl *nl)
{
	return nl->version;
}

/*
 * Connect and look the family up; errors are told in open_err.
 */
int hk_nl_connect(struct nl_sock **out, int *family, int *version, int *group)
{
	struct nl_cache *cache = NULL;
	struct genl_family *fam;
	struct nl_sock *sk;
	int one = 1, r;

	sk = nl_socket_alloc();
	if (!sk)
		return hk_nl_fail(NULL, -ENOMEM, "out of memory");
	r = genl_connect(sk);
	if (r) {
		nl_socket_free(sk);
		return hk_nl_fail(NULL, -EPROTO, "generic netlink: %s",
				  nl_geterror(r));
	}
	/* Old kernels lack these: refusals then come without the reason. */
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_EXT_ACK,
		   &one, sizeof(one));
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_CAP_ACK,
		   &one, sizeof(one));
	*family = genl_ctrl_resolve(sk, HK_GENL_NAME);
	if (*family < 0) {
		nl_socket_free(sk);
		return hk_nl_fail(NULL, -ENOENT,
				  "the hyperkernel module is not loaded (no generic netlink family \"%s\"): modprobe hyperkernel",
				  HK_GENL_NAME);
	}
	*version = 0;
	if (!genl_ctrl_alloc_cache(sk, &cache)) {
		fam = genl_ctrl_search_by_name(cache, HK_GENL_NAME);
		if (fam) {
			*version = genl_family_get_version(fam);
			nl_object_put((struct nl_object *)fam);
		}
		nl_cache_free(cache);
	}
	if (group) {
		*group = genl_ctrl_resolve_grp(sk, HK_GENL_NAME,
					       HK_GENL_MCGRP_EVENTS);
		if (*group < 0) {
			nl_socket_free(sk);
			return hk_nl_fail(NULL, -ENOENT,
					  "the hyperkernel module has no event group \"%s\"",
					  HK_GENL_MCGRP_EVENTS);
		}
	}
	/* Dumps of many vCPUs come in large messages. */
	nl_socket_set_msg_buf_size(sk, 256 * 1024);
	*out = sk;
	return 0;
}

int hk_nl_open(struct hk_nl **out)
{
	struct hk_nl *nl = calloc(1, sizeof(*nl));
	int r;

	*out = NULL;
	if (!nl)
		return hk_nl_fail(NULL, -ENOMEM, "out of memory");
	r = hk_nl_connect(&nl->sk, &nl->family, &nl->version, NULL);
	if (r) {
		free(nl);
		return r;
	}
	*out = nl;
	return 0;
}

void hk_nl_close(struct hk_nl *nl)
{
	if (!nl)
		return;
	nl_socket_free(nl->sk);
	free(nl);
}

struct nl_msg *hk_nl_new(struct hk_nl *nl, uint8_t cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(16384);

	if (msg && genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0,
			       flags, cmd, HK_GENL_VERSION))
		return msg;
	if (msg)
		nlmsg_free(msg);
	hk_nl_fail(nl, -ENOMEM, "out of memory");
	return NULL;
}

struct request {
	struct hk_nl *nl;
	hk_nl_fn fn;
	void *arg;
	bool done;
	int err;
};

/* The kernel's own words, from the attributes behind an error. */
static void refusal(struct request *rq, int err, struct nlattr *head, int len)
{
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1] = { NULL };
	const char *text = NULL;

	rq->err = err;
	rq->done = true;
	if (len > 0 && !nla_parse(tb, NLMSGERR_ATTR_MAX, head, len, NULL) &&
	    tb[NLMSGERR_ATTR_MSG] &&
	    memchr(nla_data(tb[NLMSGERR_ATTR_MSG]), 0,
		   nla_len(tb[NLMSGERR_ATTR_MSG])))
		text = nla_get_string(tb[NLMSGERR_ATTR_MSG]);
	if (text)
		hk_nl_fail(rq->nl, err, "%s", text);
	else if (err == -EPERM)
		hk_nl_fail(rq->nl, err,
			   "not permitted: needs CAP_NET_ADMIN and CAP_SYS_ADMIN");
	else if (err == -EOPNOTSUPP)
		hk_nl_fail(rq->nl, err,
			   "the loaded hyperkernel module does not know this command");
	else
		hk_nl_fail(rq->nl, err, "%s", strerror(-err));
}

static int on_error(struct sockaddr_nl *who, struct nlmsgerr *e, void *arg)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)((char *)e - NLMSG_HDRLEN);
	struct request *rq = arg;
	size_t skip = sizeof(*e);
	int len = 0;

	(void)who;
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS) {
		if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
			skip += NLMSG_ALIGN(e->msg.nlmsg_len) -
				sizeof(e->msg);
		len = (int)nlh->nlmsg_len - NLMSG_HDRLEN - (int)skip;
	}
	refusal(rq, e->error ? e->error : -EPROTO,
		(struct nlattr *)((char *)e + skip), len);
	return NL_STOP;
}

static int on_finish(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct request *rq = arg;
	int err;

	rq->done = true;
	/* A dump that failed says so in its last message. */
	if (nlmsg_datalen(nlh) >= (int)sizeof(err)) {
		memcpy(&err, nlmsg_data(nlh), sizeof(err));
		if (err < 0)
			refusal(rq, err, (struct nlattr *)
				((char *)nlmsg_data(nlh) +
				 NLMSG_ALIGN(sizeof(err))),
				nlmsg_datalen(nlh) -
				(int)NLMSG_ALIGN(sizeof(err)));
	}
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct request *rq = arg;

	(void)msg;
	rq->done = true;
	return NL_STOP;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[HK_A_MAX + 1];
	struct request *rq = arg;
	int r;

	r = genlmsg_parse(nlmsg_hdr(msg), 0, tb, HK_A_MAX, hk_nl_policy);
	if (r) {
		rq->err = hk_nl_fail(rq->nl, -EPROTO,
				     "the module's answer is malformed: %s",
				     nl_geterror(r));
		return NL_OK;
	}
	if (rq->fn)
		rq->fn(tb, rq->arg);
	return NL_OK;
}

int hk_nl_do(struct hk_nl *nl, struct nl_msg *msg, hk_nl_fn fn, void *arg)
{
	struct request rq = { .nl = nl, .fn = fn, .arg = arg };
	struct nl_cb *cb;
	int r;

	if (!msg)
		return -ENOMEM;
	cb = nl_cb_alloc(NL_CB_CUSTOM);
	if (!cb) {
		nlmsg_free(msg);
		return hk_nl_fail(nl, -ENOMEM, "out of memory");
	}
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, &rq);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, &rq);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, &rq);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, &rq);
	nl->err[0] = 0;

	r = nl_send_auto(nl->sk, msg);
	nlmsg_free(msg);
	while (r >= 0 && !rq.done)
		r = nl_recvmsgs(nl->sk, cb);
	nl_cb_put(cb);
	if (rq.err)
		return rq.err;
	if (r < 0 && !rq.done)
		return hk_nl_fail(nl, -EPROTO, "netlink: %s", nl_geterror(r));
	return 0;
}

uint8_t hk_nla_u8(struct nlattr **tb, int attr)
{
	return tb[attr] ? nla_get_u8(tb[attr]) : 0;
}

uint16_t hk_nla_u16(struct nlattr **tb, int attr)
{
	return tb[attr] ? nla_get_u16(tb[attr]) : 0;
}

uint32_t hk_nla_u32(struct nlattr **tb, int attr)
{
	return tb[attr] ? nla_get_u32(tb[attr]) : 0;
}

uint64_t hk_nla_u64(struct nlattr **tb, int attr)
{
	return tb[attr] ? nla_get_u64(tb[attr]) : 0;
}

void hk_nla_str(struct nlattr **tb, int attr, char *buf, size_t len)
{
	buf[0] = 0;
	if (tb[attr])
		nla_strlcpy(buf, tb[attr], len);
}
