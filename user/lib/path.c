// SPDX-License-Identifier: GPL-2.0
/*
 * user/lib/path.c - the connections of a link
 */
#include <errno.h>
#include <string.h>
#include "netlink.h"

struct each_path {
	hk_path_fn fn;
	void *arg;
};

void hk_path_parse(struct nlattr **tb, struct hk_path_info *path)
{
	memset(path, 0, sizeof(*path));
	path->peer = hk_nla_u16(tb, HK_A_PEER_ID);
	hk_nla_str(tb, HK_A_PEER_NAME, path->name, sizeof(path->name));
	path->path = hk_nla_u8(tb, HK_A_PATH_ID);
	path->state = hk_nla_u8(tb, HK_A_PATH_STATE);
	hk_nla_str(tb, HK_A_REASON, path->reason, sizeof(path->reason));
	hk_nla_str(tb, HK_A_TRANSPORT, path->transport, sizeof(path->transport));
	hk_nla_str(tb, HK_A_LOCAL_ADDRESS, path->local, sizeof(path->local));
	hk_nla_str(tb, HK_A_PEER_ADDRESS, path->remote, sizeof(path->remote));
	path->rtt_ns = hk_nla_u64(tb, HK_A_RTT_NS);
	path->tx_bytes = hk_nla_u64(tb, HK_A_TX_BYTES);
	path->rx_bytes = hk_nla_u64(tb, HK_A_RX_BYTES);
	path->retransmits = hk_nla_u64(tb, HK_A_RETRANSMITS);
	path->duplicates = hk_nla_u64(tb, HK_A_DUPLICATES);
	path->failovers = hk_nla_u32(tb, HK_A_FAILOVERS);
}

static void on_path(struct nlattr **tb, void *arg)
{
	struct each_path *each = arg;
	struct hk_path_info path;

	hk_path_parse(tb, &path);
	each->fn(&path, each->arg);
}

int hk_path_dump(struct hk_nl *nl, hk_path_fn fn, void *arg)
{
	struct each_path each = { .fn = fn, .arg = arg };

	return hk_nl_do(nl, hk_nl_new(nl, HK_CMD_PATH_GET, NLM_F_DUMP),
			on_path, &each);
}

int hk_path_add(struct hk_nl *nl, uint16_t peer, uint8_t path, int fd,
		const char *transport)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_PATH_ADD, 0);

	if (!msg)
		return -ENOMEM;
	nla_put_u16(msg, HK_A_PEER_ID, peer);
	nla_put_u8(msg, HK_A_PATH_ID, path);
	nla_put_u32(msg, HK_A_FD, (uint32_t)fd);
	nla_put_string(msg, HK_A_TRANSPORT, transport);
	return hk_nl_do(nl, msg, NULL, NULL);
}

int hk_path_del(struct hk_nl *nl, uint16_t peer, uint8_t path)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_PATH_DEL, 0);

	if (!msg)
		return -ENOMEM;
	nla_put_u16(msg, HK_A_PEER_ID, peer);
	nla_put_u8(msg, HK_A_PATH_ID, path);
	return hk_nl_do(nl, msg, NULL, NULL);
}

const char *hk_path_state_name(uint8_t state)
{
	switch ((enum hk_path_state)state) {
	case HK_PATH_NONE:
		return "none";
	case HK_PATH_JOINING:
		return "joining";
	case HK_PATH_STANDBY:
		return "standby";
	case HK_PATH_ACTIVE:
		return "active";
	case HK_PATH_DOWN:
		return "down";
	}
	return "unknown";
}
