// SPDX-License-Identifier: GPL-2.0
/*
 * user/lib/link.c - links to the peers
 */
#include <errno.h>
#include <string.h>
#include "netlink.h"

struct each_link {
	hk_link_fn fn;
	void *arg;
};

static const char *const names[HK_LINK_STAT_MAX + 1] = {
	[HK_LINK_STAT_QUEUED]		= "queued",
	[HK_LINK_STAT_QUEUED_MAX]	= "queued-max",
	[HK_LINK_STAT_RESENT]		= "resent",
	[HK_LINK_STAT_RTT_NR]		= "rtt-nr",
	[HK_LINK_STAT_RTT_NS_P50]	= "rtt-ns-p50",
	[HK_LINK_STAT_RTT_NS_P90]	= "rtt-ns-p90",
	[HK_LINK_STAT_RTT_NS_P99]	= "rtt-ns-p99",
	[HK_LINK_STAT_RTT_NS_P999]	= "rtt-ns-p999",
	[HK_LINK_STAT_RTT_NS_MAX]	= "rtt-ns-max",
};

const char *hk_link_stat_name(unsigned int stat)
{
	return stat <= HK_LINK_STAT_MAX ? names[stat] : NULL;
}

static void parse_stats(struct nlattr *nest, struct hk_link_info *link)
{
	struct nlattr *a;
	int left;

	nla_for_each_nested(a, nest, left) {
		int t = nla_type(a);

		if (t < 1 || t > HK_LINK_STAT_MAX || nla_len(a) < 8)
			continue;
		link->has[t] = true;
		link->value[t] = nla_get_u64(a);
	}
}

static void parse_types(struct nlattr *nest, struct hk_link_info *link)
{
	struct nlattr *tb[HK_A_MAX + 1], *a;
	int left;

	nla_for_each_nested(a, nest, left) {
		struct hk_link_type *type = &link->type[link->types];

		if (link->types == HK_MSG_TYPES_MAX ||
		    nla_parse_nested(tb, HK_A_MAX, a, hk_nl_policy))
			return;
		hk_nla_str(tb, HK_A_MSG_NAME, type->name, sizeof(type->name));
		type->tx = hk_nla_u64(tb, HK_A_TX_MSGS);
		type->rx = hk_nla_u64(tb, HK_A_RX_MSGS);
		link->types++;
	}
}

void hk_link_parse(struct nlattr **tb, struct hk_link_info *link)
{
	memset(link, 0, sizeof(*link));
	link->peer = hk_nla_u16(tb, HK_A_PEER_ID);
	hk_nla_str(tb, HK_A_PEER_NAME, link->name, sizeof(link->name));
	link->state = hk_nla_u8(tb, HK_A_LINK_STATE);
	hk_nla_str(tb, HK_A_TRANSPORT, link->transport,
		   sizeof(link->transport));
	hk_nla_str(tb, HK_A_REASON, link->reason, sizeof(link->reason));
	hk_nla_str(tb, HK_A_ENCRYPTION, link->encryption,
		   sizeof(link->encryption));
	link->rtt_ns = hk_nla_u64(tb, HK_A_RTT_NS);
	link->tx_msgs = hk_nla_u64(tb, HK_A_TX_MSGS);
	link->tx_bytes = hk_nla_u64(tb, HK_A_TX_BYTES);
	link->rx_msgs = hk_nla_u64(tb, HK_A_RX_MSGS);
	link->rx_bytes = hk_nla_u64(tb, HK_A_RX_BYTES);
	link->rx_stale = hk_nla_u64(tb, HK_A_RX_STALE);
	link->renewals = hk_nla_u32(tb, HK_A_RENEWALS);
	link->has_tsc = tb[HK_A_TSC_OFFSET] != NULL;
	link->tsc_offset = (int64_t)hk_nla_u64(tb, HK_A_TSC_OFFSET);
	link->tsc_error = hk_nla_u64(tb, HK_A_TSC_ERROR);
	if (tb[HK_A_LINK_STATS])
		parse_stats(tb[HK_A_LINK_STATS], link);
	if (tb[HK_A_MSG_TYPES])
		parse_types(tb[HK_A_MSG_TYPES], link);
}

static void on_link(struct nlattr **tb, void *arg)
{
	struct each_link *each = arg;
	struct hk_link_info link;

	hk_link_parse(tb, &link);
	each->fn(&link, each->arg);
}

int hk_link_dump(struct hk_nl *nl, hk_link_fn fn, void *arg)
{
	struct each_link each = { .fn = fn, .arg = arg };

	return hk_nl_do(nl, hk_nl_new(nl, HK_CMD_LINK_GET, NLM_F_DUMP),
			on_link, &each);
}

int hk_link_add(struct hk_nl *nl, uint16_t peer, const char *name, int fd,
		const char *transport)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_LINK_ADD, 0);

	if (!msg)
		return -ENOMEM;
	nla_put_u16(msg, HK_A_PEER_ID, peer);
	nla_put_string(msg, HK_A_PEER_NAME, name);
	nla_put_u32(msg, HK_A_FD, (uint32_t)fd);
	nla_put_string(msg, HK_A_TRANSPORT, transport);
	return hk_nl_do(nl, msg, NULL, NULL);
}

int hk_link_del(struct hk_nl *nl, uint16_t peer, const char *reason)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_LINK_DEL, 0);
	char text[HK_REASON_LEN];

	if (!msg)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%s", reason);
	nla_put_u16(msg, HK_A_PEER_ID, peer);
	nla_put_string(msg, HK_A_REASON, text);
	return hk_nl_do(nl, msg, NULL, NULL);
}

int hk_link_renew(struct hk_nl *nl, uint16_t peer, int fd)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_LINK_RENEW, 0);

	if (!msg)
		return -ENOMEM;
	nla_put_u16(msg, HK_A_PEER_ID, peer);
	nla_put_u32(msg, HK_A_FD, (uint32_t)fd);
	return hk_nl_do(nl, msg, NULL, NULL);
}

struct echo {
	uint64_t *times;
	uint32_t room;
	uint32_t got;
};

static void on_echo(struct nlattr **tb, void *arg)
{
	struct echo *echo = arg;
	uint32_t n;

	if (!tb[HK_A_TIMES_NS])
		return;
	n = (uint32_t)nla_len(tb[HK_A_TIMES_NS]) / sizeof(uint64_t);
	if (n > echo->room - echo->got)
		n = echo->room - echo->got;
	memcpy(echo->times + echo->got, nla_data(tb[HK_A_TIMES_NS]),
	       n * sizeof(uint64_t));
	echo->got += n;
}

int hk_link_echo(struct hk_nl *nl, uint16_t peer, uint32_t *count,
		 uint32_t len, bool page, uint64_t *times)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_LINK_ECHO, 0);
	struct echo echo = { .times = times, .room = *count };
	int r;

	if (!msg)
		return -ENOMEM;
	nla_put_u16(msg, HK_A_PEER_ID, peer);
	nla_put_u32(msg, HK_A_COUNT, *count);
	nla_put_u32(msg, HK_A_LEN, len);
	if (page)
		nla_put_flag(msg, HK_A_REPLY_PAGE);
	r = hk_nl_do(nl, msg, on_echo, &echo);
	*count = echo.got;
	if (!r && !echo.got)
		return hk_nl_fail(nl, -EPROTO, "the module measured nothing");
	return r;
}

const char *hk_link_state_name(uint8_t state)
{
	switch ((enum hk_link_state)state) {
	case HK_LINK_NONE:
		return "none";
	case HK_LINK_UP:
		return "up";
	case HK_LINK_DOWN:
		return "down";
	}
	return "unknown";
}
