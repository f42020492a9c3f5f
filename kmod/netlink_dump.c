// SPDX-License-Identifier: GPL-2.0
/*
 * What the family shows: replies, dumps, events
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "netlink.h"
#include "vm.h"

#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/genetlink.h>
#include <net/ipv6.h>
#include <net/sock.h>

/* One past the last VM id, as a place in a dump */
#define DUMP_END	((unsigned long)U32_MAX + 1)

/* Attributes of one object each; -EMSGSIZE when there is no more room */

static int put_u64(struct sk_buff *msg, int attr, u64 value)
{
	return nla_put_u64_64bit(msg, attr, value, HK_A_PAD);
}

static int put_node(struct sk_buff *msg, struct hk_node *node)
{
	long used = atomic_long_read(&node->used);
	u8 cluster[HK_CLUSTER_ID_LEN];
	u32 epoch, heartbeat, dead;
	char name[HK_NAME_MAX];
	u64 budget;
	u16 id;

	spin_lock(&node->peers_lock);
	id = node->id;
	memcpy(name, node->name, sizeof(name));
	memcpy(cluster, node->cluster, sizeof(cluster));
	epoch = node->epoch;
	budget = node->budget;
	heartbeat = node->heartbeat_ms;
	dead = node->dead_ms;
	spin_unlock(&node->peers_lock);

	/* Before NODE_SET there is nothing to say but this */
	if (nla_put_u16(msg, HK_A_NODE_ID, id) ||
	    put_u64(msg, HK_A_BUDGET_PAGES, budget) ||
	    put_u64(msg, HK_A_USED_PAGES, max(used, 0L)) ||
	    nla_put_u32(msg, HK_A_HEARTBEAT_MS, heartbeat) ||
	    nla_put_u32(msg, HK_A_DEAD_MS, dead) ||
	    nla_put_string(msg, HK_A_MODULE_VERSION, THIS_MODULE->version) ||
	    nla_put_u32(msg, HK_A_WIRE_VERSION, HK_WIRE_VERSION) ||
	    nla_put_u32(msg, HK_A_FEATURES, HK_WIRE_FEATURES))
		return -EMSGSIZE;
	if (id != HK_NODE_NONE &&
	    (nla_put_string(msg, HK_A_NODE_NAME, name) ||
	     nla_put(msg, HK_A_CLUSTER_ID, sizeof(cluster), cluster) ||
	     nla_put_u32(msg, HK_A_EPOCH, epoch)))
		return -EMSGSIZE;
	return 0;
}

/* Whether there is anything to be said of a peer; copies it out */
static bool peer_read(struct hk_node *node, u16 id, struct hk_peer *copy)
{
	struct hk_peer *peer = &node->peers[id];

	spin_lock(&node->peers_lock);
	memcpy(copy->name, peer->name, sizeof(copy->name));
	memcpy(copy->transport, peer->transport, sizeof(copy->transport));
	memcpy(copy->reason, peer->reason, sizeof(copy->reason));
	memcpy(copy->encryption, peer->encryption, sizeof(copy->encryption));
	copy->state = peer->state;
	copy->claimed = peer->claimed;
	spin_unlock(&node->peers_lock);
	copy->used = READ_ONCE(peer->used);
	copy->budget = READ_ONCE(peer->budget);
	atomic64_set(&copy->unknown_vm, atomic64_read(&peer->unknown_vm));
	return copy->claimed || copy->state != HK_LINK_NONE || *copy->name;
}

static int put_peer(struct sk_buff *msg, u16 id, const struct hk_peer *peer)
{
	if (nla_put_u16(msg, HK_A_PEER_ID, id) ||
	    nla_put_string(msg, HK_A_PEER_NAME, peer->name) ||
	    nla_put_u8(msg, HK_A_LINK_STATE, peer->state))
		return -EMSGSIZE;
	if (peer->transport[0] &&
	    nla_put_string(msg, HK_A_TRANSPORT, peer->transport))
		return -EMSGSIZE;
	if (peer->state == HK_LINK_DOWN &&
	    nla_put_string(msg, HK_A_REASON, peer->reason))
		return -EMSGSIZE;
	return 0;
}

static int put_peer_node(struct sk_buff *msg, u16 id,
			 const struct hk_peer *peer)
{
	if (put_peer(msg, id, peer) ||
	    put_u64(msg, HK_A_BUDGET_PAGES, peer->budget) ||
	    put_u64(msg, HK_A_USED_PAGES, peer->used))
		return -EMSGSIZE;
	return 0;
}

static int put_link_stats(struct sk_buff *msg, struct hk_link *link)
{
	struct hk_link_stats s = {};

	hk_link_stats_get(link, &s);
	if (put_u64(msg, HK_A_TX_MSGS, s.tx_msgs) ||
	    put_u64(msg, HK_A_TX_BYTES, s.tx_bytes) ||
	    put_u64(msg, HK_A_RX_MSGS, s.rx_msgs) ||
	    put_u64(msg, HK_A_RX_BYTES, s.rx_bytes) ||
	    put_u64(msg, HK_A_RX_STALE, s.rx_stale) ||
	    nla_put_u32(msg, HK_A_RENEWALS, s.renewals))
		return -EMSGSIZE;
	if (s.rtt_ns_min && put_u64(msg, HK_A_RTT_NS, s.rtt_ns_min))
		return -EMSGSIZE;
	/* U64_MAX: no sample yet */
	if (s.tsc_error != U64_MAX &&
	    (nla_put_s64(msg, HK_A_TSC_OFFSET, s.tsc_offset, HK_A_PAD) ||
	     put_u64(msg, HK_A_TSC_ERROR, s.tsc_error)))
		return -EMSGSIZE;
	return 0;
}

/* Padded with an attribute of the nest's own space: 0 is no counter */
static int put_link_stat(struct sk_buff *msg, int stat, u64 value)
{
	return nla_put_u64_64bit(msg, stat, value, HK_LINK_STAT_NONE);
}

static int put_link_detail(struct sk_buff *msg, struct hk_link *link)
{
	struct hk_link_detail d;
	struct nlattr *nest;
	int i;

	hk_link_detail_get(link, &d);
	nest = nla_nest_start(msg, HK_A_LINK_STATS);
	if (!nest ||
	    put_link_stat(msg, HK_LINK_STAT_QUEUED, d.tx_queued) ||
	    put_link_stat(msg, HK_LINK_STAT_QUEUED_MAX, d.tx_queued_max) ||
	    (d.has_resent && put_link_stat(msg, HK_LINK_STAT_RESENT, d.resent)) ||
	    put_link_stat(msg, HK_LINK_STAT_RTT_NR, d.rtt_nr) ||
	    put_link_stat(msg, HK_LINK_STAT_RTT_NS_MAX, d.rtt_ns_max))
		return -EMSGSIZE;
	for (i = 0; i < HK_LINK_RTT_NR; i++)
		if (put_link_stat(msg, HK_LINK_STAT_RTT_NS_P50 + i, d.rtt_ns[i]))
			return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

static int put_link_types(struct sk_buff *msg, struct hk_link *link)
{
	struct nlattr *all, *nest;
	unsigned int type;
	u64 tx, rx;

	all = nla_nest_start(msg, HK_A_MSG_TYPES);
	if (!all)
		return -EMSGSIZE;
	for (type = 0; type < HK_MSG_NR; type++) {
		hk_link_type_get(link, type, &tx, &rx);
		if (!tx && !rx)
			continue;
		nest = nla_nest_start(msg, HK_A_MSG_TYPE);
		if (!nest ||
		    nla_put_string(msg, HK_A_MSG_NAME, hk_msg_name(type)) ||
		    put_u64(msg, HK_A_TX_MSGS, tx) ||
		    put_u64(msg, HK_A_RX_MSGS, rx))
			return -EMSGSIZE;
		nla_nest_end(msg, nest);
	}
	nla_nest_end(msg, all);
	return 0;
}

static int put_link(struct sk_buff *msg, struct hk_node *node, u16 id,
		    const struct hk_peer *peer)
{
	struct hk_link *link;
	int err;

	err = put_peer(msg, id, peer);
	if (!err)
		err = put_u64(msg, HK_A_RX_UNKNOWN,
			      atomic64_read(&peer->unknown_vm));
	if (err)
		return err;
	if (*peer->encryption &&
	    nla_put_string(msg, HK_A_ENCRYPTION, peer->encryption))
		return -EMSGSIZE;
	link = hk_node_link_get(node, id);
	if (link) {
		err = put_link_stats(msg, link);
		if (!err)
			err = put_link_detail(msg, link);
		if (!err)
			err = put_link_types(msg, link);
	}
	hk_link_put(link);
	return err;
}

/* What a path is and why, for dumps and events */
static int put_path_state(struct sk_buff *msg, u16 peer, u8 id,
			  const struct hk_link_path *path)
{
	static const u8 states[] = {
		[HK_LINK_PATH_NONE] = HK_PATH_NONE,
		[HK_LINK_PATH_JOINING] = HK_PATH_JOINING,
		[HK_LINK_PATH_STANDBY] = HK_PATH_STANDBY,
		[HK_LINK_PATH_ACTIVE] = HK_PATH_ACTIVE,
		[HK_LINK_PATH_DOWN] = HK_PATH_DOWN,
	};

	if (nla_put_u16(msg, HK_A_PEER_ID, peer) ||
	    nla_put_u8(msg, HK_A_PATH_ID, id) ||
	    nla_put_u8(msg, HK_A_PATH_STATE, states[path->state]))
		return -EMSGSIZE;
	if (path->state == HK_LINK_PATH_DOWN &&
	    nla_put_string(msg, HK_A_REASON, path->why))
		return -EMSGSIZE;
	return 0;
}

static int put_address(struct sk_buff *msg, int attr,
		       const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	char text[64];

	if (address->ss_family != AF_INET && address->ss_family != AF_INET6)
		return 0;
	/* A socket that takes both says so of IPv4 */
	if (address->ss_family == AF_INET6 && ipv6_addr_v4mapped(&in6->sin6_addr))
		snprintf(text, sizeof(text), "%pI4:%u", &in6->sin6_addr.s6_addr32[3],
			 ntohs(in6->sin6_port));
	else
		snprintf(text, sizeof(text), "%pISpc", address);
	return nla_put_string(msg, attr, text);
}

static int put_path(struct sk_buff *msg, u16 peer, const char *name, u8 id,
		    const struct hk_link_path *path)
{
	if (put_path_state(msg, peer, id, path) ||
	    nla_put_string(msg, HK_A_PEER_NAME, name) ||
	    nla_put_string(msg, HK_A_TRANSPORT, path->transport) ||
	    put_address(msg, HK_A_LOCAL_ADDRESS, &path->local) ||
	    put_address(msg, HK_A_PEER_ADDRESS, &path->peer) ||
	    put_u64(msg, HK_A_TX_BYTES, path->tx_bytes) ||
	    put_u64(msg, HK_A_RX_BYTES, path->rx_bytes) ||
	    put_u64(msg, HK_A_RETRANSMITS, path->resent) ||
	    put_u64(msg, HK_A_DUPLICATES, path->again) ||
	    nla_put_u32(msg, HK_A_FAILOVERS, path->failovers))
		return -EMSGSIZE;
	if (path->rtt_ns && put_u64(msg, HK_A_RTT_NS, path->rtt_ns))
		return -EMSGSIZE;
	return 0;
}

static int put_vm_state(struct sk_buff *msg, struct hk_vm *vm)
{
	char reason[HK_REASON_LEN];
	u8 state;

	raw_spin_lock_irq(&vm->state_lock);
	state = vm->state;
	memcpy(reason, vm->reason, sizeof(reason));
	raw_spin_unlock_irq(&vm->state_lock);

	if (nla_put_u32(msg, HK_A_VM_ID, vm->id) ||
	    nla_put_string(msg, HK_A_VM_NAME, vm->name) ||
	    nla_put_u8(msg, HK_A_VM_STATE, state))
		return -EMSGSIZE;
	if (state == HK_VM_DEAD && nla_put_string(msg, HK_A_REASON, reason))
		return -EMSGSIZE;
	return 0;
}

static int put_vm_members(struct sk_buff *msg, struct hk_vm *vm)
{
	struct hk_member *m;
	struct nlattr *attr;
	u16 id;

	attr = nla_reserve(msg, HK_A_MEMBERS,
			   hweight64(vm->members) * sizeof(*m));
	if (!attr)
		return -EMSGSIZE;
	m = nla_data(attr);
	for (id = 1; id < HK_MAX_NODES; id++) {
		if (!(vm->members & hk_node_bit(id)))
			continue;
		m->node = id;
		m->reserved = 0;
		m->weight = vm->weight[id];
		m++;
	}
	return 0;
}

static int put_vm(struct sk_buff *msg, struct hk_vm *vm)
{
	char path[2 * HK_NAME_MAX + 32];

	hk_dev_path(vm, path, sizeof(path));
	if (put_vm_state(msg, vm) ||
	    put_u64(msg, HK_A_RAM_PAGES, vm->ram_pages) ||
	    nla_put_u16(msg, HK_A_ORIGIN, vm->origin) ||
	    put_vm_members(msg, vm) ||
	    nla_put(msg, HK_A_VCPU_PLACE, vm->nr_vcpus * sizeof(u16),
		    vm->place) ||
	    nla_put_string(msg, HK_A_DEVICE, path))
		return -EMSGSIZE;
	return 0;
}

static int put_vcpu(struct sk_buff *msg, struct hk_vm *vm, u32 vcpu)
{
	struct hk_vcpu_info info = {};

	hk_vcpu_info_get(vm, vcpu, &info);
	if (nla_put_u32(msg, HK_A_VM_ID, vm->id) ||
	    nla_put_u32(msg, HK_A_VCPU, vcpu) ||
	    nla_put_u8(msg, HK_A_VCPU_STATE, info.state) ||
	    nla_put_u16(msg, HK_A_NODE_ID, info.node) ||
	    put_u64(msg, HK_A_MOVES, info.moves))
		return -EMSGSIZE;
	return 0;
}

static int put_stats(struct sk_buff *msg, struct hk_vm *vm)
{
	u64 stat[HK_STAT_MAX + 1];
	struct nlattr *nest;
	int i;

	for (i = 0; i <= HK_STAT_MAX; i++)
		stat[i] = atomic64_read(&vm->stat[i]);
	hk_mem_stats(vm, stat);

	if (nla_put_u32(msg, HK_A_VM_ID, vm->id) ||
	    nla_put_string(msg, HK_A_VM_NAME, vm->name))
		return -EMSGSIZE;
	nest = nla_nest_start(msg, HK_A_STATS);
	if (!nest)
		return -EMSGSIZE;
	/* Padded with an attribute of the nest's own space: 0 is no counter */
	for (i = HK_STAT_NONE + 1; i <= HK_STAT_MAX; i++)
		if (nla_put_u64_64bit(msg, i, stat[i], HK_STAT_NONE))
			return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

/* Replies */

static void *reply_begin(struct sk_buff *msg, struct genl_info *info)
{
	return genlmsg_put(msg, info->snd_portid, info->snd_seq,
			   &hk_netlink_family, 0, info->genlhdr->cmd);
}

int hk_netlink_put_node(struct sk_buff *msg, struct genl_info *info,
			struct hk_node *node)
{
	void *hdr = reply_begin(msg, info);

	if (!hdr || put_node(msg, node))
		return -EMSGSIZE;
	genlmsg_end(msg, hdr);
	return 0;
}

int hk_netlink_put_vm(struct sk_buff *msg, struct genl_info *info,
		      struct hk_vm *vm)
{
	void *hdr = reply_begin(msg, info);

	if (!hdr || put_vm(msg, vm))
		return -EMSGSIZE;
	genlmsg_end(msg, hdr);
	return 0;
}

int hk_netlink_put_echo(struct sk_buff *msg, struct genl_info *info, u16 peer,
			const u64 *times, u32 count)
{
	void *hdr = reply_begin(msg, info);

	if (!hdr || nla_put_u16(msg, HK_A_PEER_ID, peer) ||
	    nla_put(msg, HK_A_TIMES_NS, count * sizeof(*times), times))
		return -EMSGSIZE;
	genlmsg_end(msg, hdr);
	return 0;
}

/* Events */

static void *event_begin(struct sk_buff *msg, u8 cmd)
{
	return genlmsg_put(msg, 0, 0, &hk_netlink_family, 0, cmd);
}

int hk_netlink_put_link_ntf(struct sk_buff *msg, struct hk_node *node, u16 peer)
{
	void *hdr = event_begin(msg, HK_CMD_LINK_NTF);
	struct hk_peer copy;

	peer_read(node, peer, &copy);
	if (!hdr || put_peer(msg, peer, &copy))
		return -EMSGSIZE;
	genlmsg_end(msg, hdr);
	return 0;
}

int hk_netlink_put_path_ntf(struct sk_buff *msg, u16 peer, u8 path,
			    const struct hk_link_path *info)
{
	void *hdr = event_begin(msg, HK_CMD_PATH_NTF);

	if (!hdr || put_path_state(msg, peer, path, info))
		return -EMSGSIZE;
	genlmsg_end(msg, hdr);
	return 0;
}

int hk_netlink_put_vm_ntf(struct sk_buff *msg, struct hk_vm *vm)
{
	void *hdr = event_begin(msg, HK_CMD_VM_NTF);

	if (!hdr || put_vm_state(msg, vm))
		return -EMSGSIZE;
	genlmsg_end(msg, hdr);
	return 0;
}

int hk_netlink_put_vcpu_ntf(struct sk_buff *msg, struct hk_vm *vm, u32 vcpu,
			    u16 to)
{
	void *hdr = event_begin(msg, HK_CMD_VCPU_NTF);

	if (!hdr || nla_put_u32(msg, HK_A_VM_ID, vm->id) ||
	    nla_put_u32(msg, HK_A_VCPU, vcpu) ||
	    nla_put_u16(msg, HK_A_NODE_ID, to))
		return -EMSGSIZE;
	genlmsg_end(msg, hdr);
	return 0;
}

/* Dumps: cb->args[0], and [1] for vCPUs and paths, is what comes next */

static struct hk_node *dump_node(struct netlink_callback *cb)
{
	struct hk_node *node = hk_node_of(sock_net(cb->skb->sk));

	cb->seq = atomic_read(&node->gen);
	return node;
}

static void *dump_begin(struct sk_buff *skb, struct netlink_callback *cb,
			u8 cmd)
{
	void *hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				cb->nlh->nlmsg_seq, &hk_netlink_family,
				NLM_F_MULTI, cmd);

	if (hdr)
		genl_dump_check_consistent(cb, hdr);
	return hdr;
}

/* 0, or -EMSGSIZE and the message is taken back */
static int dump_end(struct sk_buff *skb, void *hdr, int err)
{
	if (err)
		genlmsg_cancel(skb, hdr);
	else
		genlmsg_end(skb, hdr);
	return err;
}

/*
 * Return of a dump: bytes, so that it is called again, or 0 at its end. An object
 * that does not fit even into an empty message would be an endless loop.
 */
static int dump_result(struct sk_buff *skb, int err)
{
	return err && !skb->len ? err : skb->len;
}

int hk_netlink_dump_nodes(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct hk_node *node = dump_node(cb);
	struct hk_peer peer;
	int err = 0;
	void *hdr;
	u16 id;

	/* 0 is the own node */
	for (id = cb->args[0]; id < HK_MAX_NODES; id++) {
		if (id && !peer_read(node, id, &peer))
			continue;
		hdr = dump_begin(skb, cb, HK_CMD_NODE_GET);
		err = hdr ? dump_end(skb, hdr,
				     id ? put_peer_node(skb, id, &peer) :
				     put_node(skb, node)) : -EMSGSIZE;
		if (err)
			break;
	}
	cb->args[0] = id;
	return dump_result(skb, err);
}

int hk_netlink_dump_links(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct hk_node *node = dump_node(cb);
	struct hk_peer peer;
	int err = 0;
	void *hdr;
	u16 id;

	for (id = cb->args[0]; id < HK_MAX_NODES; id++) {
		if (!id || !peer_read(node, id, &peer))
			continue;
		hdr = dump_begin(skb, cb, HK_CMD_LINK_GET);
		err = hdr ? dump_end(skb, hdr,
				     put_link(skb, node, id, &peer)) : -EMSGSIZE;
		if (err)
			break;
	}
	cb->args[0] = id;
	return dump_result(skb, err);
}

/* Paths of one link, from cb->args[1] on */
static int dump_link_paths(struct sk_buff *skb, struct netlink_callback *cb,
			   struct hk_node *node, struct hk_link *link, u16 peer)
{
	struct hk_link_path path;
	char name[HK_NAME_MAX];
	void *hdr;
	int err;

	hk_node_peer_name(node, peer, name);
	for (; cb->args[1] < HK_PATH_MAX; cb->args[1]++) {
		if (!hk_link_path_get(link, cb->args[1], &path))
			continue;
		hdr = dump_begin(skb, cb, HK_CMD_PATH_GET);
		err = hdr ? dump_end(skb, hdr, put_path(skb, peer, name, cb->args[1],
							&path)) : -EMSGSIZE;
		if (err)
			return err;
	}
	return 0;
}

int hk_netlink_dump_paths(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct hk_node *node = dump_node(cb);
	struct hk_link *link;
	int err = 0;
	u16 id;

	for (id = cb->args[0]; id < HK_MAX_NODES; id++) {
		link = hk_node_link_get(node, id);
		if (!link)
			continue;
		err = dump_link_paths(skb, cb, node, link, id);
		hk_link_put(link);
		if (err)
			break;
		cb->args[1] = 0;
	}
	cb->args[0] = id;
	return dump_result(skb, err);
}

/* The next VM of a dump, with a reference, or NULL */
static struct hk_vm *dump_vm(struct hk_node *node, struct netlink_callback *cb)
{
	struct nlattr **attrs = genl_info_dump(cb)->attrs;
	u32 id;

	if (cb->args[0] >= DUMP_END)
		return NULL;
	if (!attrs || !attrs[HK_A_VM_ID])
		return hk_vm_get_next(node, cb->args[0]);
	id = nla_get_u32(attrs[HK_A_VM_ID]);
	return id >= cb->args[0] ? hk_vm_get_by_id(node, id) : NULL;
}

/* @put: one message for a VM */
static int dump_vms(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd,
		    int (*put)(struct sk_buff *msg, struct hk_vm *vm))
{
	struct hk_node *node = dump_node(cb);
	struct hk_vm *vm;
	int err = 0;
	void *hdr;

	while (!err && (vm = dump_vm(node, cb))) {
		hdr = dump_begin(skb, cb, cmd);
		err = hdr ? dump_end(skb, hdr, put(skb, vm)) : -EMSGSIZE;
		if (!err)
			cb->args[0] = (unsigned long)vm->id + 1;
		hk_vm_put(vm);
	}
	return dump_result(skb, err);
}

int hk_netlink_dump_vms(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump_vms(skb, cb, HK_CMD_VM_GET, put_vm);
}

int hk_netlink_dump_stats(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump_vms(skb, cb, HK_CMD_STATS_GET, put_stats);
}

int hk_netlink_dump_vcpus(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct hk_node *node = dump_node(cb);
	struct hk_vm *vm;
	int err = 0;
	void *hdr;

	while (!err && (vm = dump_vm(node, cb))) {
		/* Another VM than where the last part ended */
		if (cb->args[0] != vm->id)
			cb->args[1] = 0;
		cb->args[0] = vm->id;
		while (cb->args[1] < vm->nr_vcpus) {
			hdr = dump_begin(skb, cb, HK_CMD_VCPU_GET);
			err = hdr ? dump_end(skb, hdr,
					     put_vcpu(skb, vm, cb->args[1])) :
			      -EMSGSIZE;
			if (err)
				break;
			cb->args[1]++;
		}
		if (!err) {
			cb->args[0]++;
			cb->args[1] = 0;
		}
		hk_vm_put(vm);
	}
	return dump_result(skb, err);
}
