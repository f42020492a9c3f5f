// SPDX-License-Identifier: GPL-2.0
/*
 * user/lib/node.c - nodes, as the module knows them
 */
#include <errno.h>
#include <string.h>
#include "netlink.h"

struct each_node {
	hk_node_fn fn;
	void *arg;
	struct hk_node_info *one;
	bool seen;
};

/*
 * The own node has its identity in NODE_*; peers may come with PEER_*.
 */
static void node_parse(struct nlattr **tb, struct hk_node_info *node)
{
	memset(node, 0, sizeof(*node));
	node->self = !tb[HK_A_PEER_ID] && !tb[HK_A_LINK_STATE];
	if (tb[HK_A_PEER_ID]) {
		node->id = hk_nla_u16(tb, HK_A_PEER_ID);
		hk_nla_str(tb, HK_A_PEER_NAME, node->name, sizeof(node->name));
	} else {
		node->id = hk_nla_u16(tb, HK_A_NODE_ID);
		hk_nla_str(tb, HK_A_NODE_NAME, node->name, sizeof(node->name));
	}
	if (tb[HK_A_CLUSTER_ID]) {
		node->has_cluster = true;
		memcpy(node->cluster, nla_data(tb[HK_A_CLUSTER_ID]),
		       HK_CLUSTER_ID_LEN);
	}
	node->epoch = hk_nla_u32(tb, HK_A_EPOCH);
	node->budget_pages = hk_nla_u64(tb, HK_A_BUDGET_PAGES);
	node->used_pages = hk_nla_u64(tb, HK_A_USED_PAGES);
	node->heartbeat_ms = hk_nla_u32(tb, HK_A_HEARTBEAT_MS);
	node->dead_ms = hk_nla_u32(tb, HK_A_DEAD_MS);
	hk_nla_str(tb, HK_A_MODULE_VERSION, node->module, sizeof(node->module));
	node->wire = hk_nla_u32(tb, HK_A_WIRE_VERSION);
	node->features = hk_nla_u32(tb, HK_A_FEATURES);
	node->link_state = hk_nla_u8(tb, HK_A_LINK_STATE);
	hk_nla_str(tb, HK_A_REASON, node->reason, sizeof(node->reason));
}

static void on_node(struct nlattr **tb, void *arg)
{
	struct each_node *each = arg;
	struct hk_node_info node;

	node_parse(tb, &node);
	each->seen = true;
	if (each->one)
		*each->one = node;
	else
		each->fn(&node, each->arg);
}

int hk_node_self(struct hk_nl *nl, struct hk_node_info *node)
{
	struct each_node each = { .one = node };
	int r;

	memset(node, 0, sizeof(*node));
	r = hk_nl_do(nl, hk_nl_new(nl, HK_CMD_NODE_GET, 0), on_node, &each);
	if (!r && !each.seen)
		return hk_nl_fail(nl, -EPROTO, "the module did not say which node this is");
	node->self = true;
	return r;
}

int hk_node_dump(struct hk_nl *nl, hk_node_fn fn, void *arg)
{
	struct each_node each = { .fn = fn, .arg = arg };

	return hk_nl_do(nl, hk_nl_new(nl, HK_CMD_NODE_GET, NLM_F_DUMP),
			on_node, &each);
}

int hk_node_set(struct hk_nl *nl, const struct hk_node_cfg *cfg)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_NODE_SET, 0);

	if (!msg)
		return -ENOMEM;
	nla_put_u16(msg, HK_A_NODE_ID, cfg->id);
	nla_put_string(msg, HK_A_NODE_NAME, cfg->name);
	nla_put(msg, HK_A_CLUSTER_ID, HK_CLUSTER_ID_LEN, cfg->cluster);
	nla_put_u32(msg, HK_A_EPOCH, cfg->epoch);
	nla_put_u64(msg, HK_A_BUDGET_PAGES, cfg->budget_pages);
	if (cfg->heartbeat_ms)
		nla_put_u32(msg, HK_A_HEARTBEAT_MS, cfg->heartbeat_ms);
	if (cfg->dead_ms)
		nla_put_u32(msg, HK_A_DEAD_MS, cfg->dead_ms);
	return hk_nl_do(nl, msg, NULL, NULL);
}

int hk_node_reset(struct hk_nl *nl)
{
	return hk_nl_do(nl, hk_nl_new(nl, HK_CMD_NODE_RESET, 0), NULL, NULL);
}

struct find {
	const char *text;
	uint64_t id;
	uint16_t found;
};

static void find_one(const struct hk_node_info *node, void *arg)
{
	struct find *find = arg;

	if (node->id && (node->id == find->id ||
			 !strcmp(node->name, find->text)))
		find->found = node->id;
}

int hk_node_find(struct hk_nl *nl, const char *text, uint16_t *id)
{
	struct find find = { .text = text };
	int r;

	if (hk_parse_u64(text, 1, HK_NODES_MAX - 1, &find.id))
		find.id = 0;
	r = hk_node_dump(nl, find_one, &find);
	if (r)
		return r;
	if (!find.found)
		return hk_nl_fail(nl, -ENOENT, "this node knows no node \"%s\"", text);
	*id = find.found;
	return 0;
}
