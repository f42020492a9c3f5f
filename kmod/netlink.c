// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink family "hyperkernel"
 *
 * Requests run in parallel. Those that configure hold node->lock, taken by
 * nl_pre_doit(); VCPU_MOVE and LINK_ECHO wait for the network and hold only a
 * reference. Dumps take no lock over a message: they go by ascending id, so that
 * what changes meanwhile neither repeats nor hides what does not, and say so when
 * it did (node->gen).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "netlink.h"
#include "vm.h"

#include <linux/capability.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/genetlink.h>

/* genl_ops.internal_flags */
#define NL_ADMIN	BIT(0)	/* CAP_SYS_ADMIN in the initial user namespace */
#define NL_LOCK		BIT(1)	/* holds node->lock */

#define ECHO_COUNT_MAX	4096
#define ECHO_REPLY_MAX	900	/* times in one message */
#define DEAD_MS_MAX	60000

/*
 * What an attribute may be; each command takes those that it needs. Bounds above
 * S16_MAX do not fit into a policy and are checked by the command.
 */
#define POL_NODE_ID	NLA_POLICY_RANGE(NLA_U16, 1, HK_MAX_NODES - 1)
#define POL_NAME	{ .type = NLA_NUL_STRING, .len = HK_NAME_MAX - 1 }
#define POL_VM_ID	NLA_POLICY_MIN(NLA_U32, 1)
#define POL_TRANSPORT	{ .type = NLA_NUL_STRING, .len = HK_TRANSPORT_NAME_MAX - 1 }

static const struct nla_policy node_set_policy[HK_A_DEAD_MS + 1] = {
	[HK_A_NODE_ID] = POL_NODE_ID,
	[HK_A_NODE_NAME] = POL_NAME,
	[HK_A_CLUSTER_ID] = NLA_POLICY_EXACT_LEN(HK_CLUSTER_ID_LEN),
	[HK_A_EPOCH] = NLA_POLICY_MIN(NLA_U32, 1),
	[HK_A_BUDGET_PAGES] = { .type = NLA_U64 },
	[HK_A_HEARTBEAT_MS] = NLA_POLICY_RANGE(NLA_U32, 10, 10000),
	[HK_A_DEAD_MS] = NLA_POLICY_MIN(NLA_U32, 100),
};

static const struct nla_policy link_add_policy[HK_A_TRANSPORT + 1] = {
	[HK_A_PEER_ID] = POL_NODE_ID,
	[HK_A_PEER_NAME] = POL_NAME,
	[HK_A_FD] = NLA_POLICY_MIN(NLA_S32, 0),
	[HK_A_TRANSPORT] = POL_TRANSPORT,
};

static const struct nla_policy link_renew_policy[HK_A_FD + 1] = {
	[HK_A_PEER_ID] = POL_NODE_ID,
	[HK_A_FD] = NLA_POLICY_MIN(NLA_S32, 0),
};

static const struct nla_policy path_add_policy[HK_A_PATH_ID + 1] = {
	[HK_A_PEER_ID] = POL_NODE_ID,
	[HK_A_FD] = NLA_POLICY_MIN(NLA_S32, 0),
	[HK_A_TRANSPORT] = POL_TRANSPORT,
	[HK_A_PATH_ID] = NLA_POLICY_MAX(NLA_U8, HK_PATH_MAX - 1),
};

static const struct nla_policy path_policy[HK_A_PATH_ID + 1] = {
	[HK_A_PEER_ID] = POL_NODE_ID,
	[HK_A_PATH_ID] = NLA_POLICY_MAX(NLA_U8, HK_PATH_MAX - 1),
};

static const struct nla_policy link_del_policy[HK_A_REASON + 1] = {
	[HK_A_PEER_ID] = POL_NODE_ID,
	[HK_A_REASON] = { .type = NLA_NUL_STRING, .len = HK_REASON_LEN - 1 },
};

static const struct nla_policy link_echo_policy[HK_A_REPLY_PAGE + 1] = {
	[HK_A_PEER_ID] = POL_NODE_ID,
	[HK_A_COUNT] = NLA_POLICY_RANGE(NLA_U32, 1, ECHO_COUNT_MAX),
	[HK_A_LEN] = NLA_POLICY_MIN(NLA_U32,
				     sizeof(struct hk_wire_echo)),
	[HK_A_REPLY_PAGE] = { .type = NLA_FLAG },
};

static const struct nla_policy vm_add_policy[HK_A_VCPU_PLACE + 1] = {
	[HK_A_VM_ID] = POL_VM_ID,
	[HK_A_VM_NAME] = POL_NAME,
	[HK_A_RAM_PAGES] = { .type = NLA_U64 },
	[HK_A_ORIGIN] = POL_NODE_ID,
	[HK_A_MEMBERS] = NLA_POLICY_RANGE(NLA_BINARY, sizeof(struct hk_member),
					   sizeof(struct hk_member) *
					   HK_MAX_NODES),
	[HK_A_VCPU_PLACE] = NLA_POLICY_RANGE(NLA_BINARY, sizeof(u16),
					     sizeof(u16) * HK_VCPUS_MAX),
};

static const struct nla_policy vm_policy[HK_A_VM_ID + 1] = {
	[HK_A_VM_ID] = POL_VM_ID,
};

static const struct nla_policy vm_kill_policy[HK_A_VM_ID + 1] = {
	[HK_A_REASON] = { .type = NLA_NUL_STRING, .len = HK_REASON_LEN - 1 },
	[HK_A_VM_ID] = POL_VM_ID,
};

static const struct nla_policy vcpu_move_policy[HK_A_VCPU + 1] = {
	[HK_A_NODE_ID] = POL_NODE_ID,
	[HK_A_VM_ID] = POL_VM_ID,
	[HK_A_VCPU] = NLA_POLICY_MAX(NLA_U32, HK_VCPUS_MAX - 1),
};

/**
 * refuse() - say why
 * @info: request, one that needs privilege
 * @attr: attribute that is to blame, or 0
 * @err: negative errno
 * @fmt: text; what does not fit into an extended ack is cut off
 * Return: @err
 */
static __printf(4, 5) int refuse(struct genl_info *info, int attr, int err,
				 const char *fmt, ...)
{
	char text[HK_REASON_LEN];
	va_list args;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	NL_SET_ERR_MSG_FMT(info->extack, "%.79s", text);
	if (attr && info->extack)
		NL_SET_BAD_ATTR(info->extack, info->attrs[attr]);
	return err;
}

/* One answer to everybody who lacks the attribute @attr, for a name in the text */
static int need(struct genl_info *info, int attr, const char *name)
{
	if (!GENL_REQ_ATTR_CHECK(info, attr))
		return 0;
	NL_SET_ERR_MSG_FMT(info->extack, "%s is missing", name);
	return -EINVAL;
}

static struct hk_node *nl_node(struct genl_info *info)
{
	return hk_node_of(genl_info_net(info));
}

/* Context of the requests below that have NL_LOCK: node->lock held */

static int nl_node_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg;
	int err;

	msg = nlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	err = hk_netlink_put_node(msg, info, nl_node(info));
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	return genlmsg_reply(msg, info);
}

static int node_grow_budget(struct genl_info *info, struct hk_node *node)
{
	u64 budget = nla_get_u64(info->attrs[HK_A_BUDGET_PAGES]);

	if (budget < node->budget)
		return refuse(info, HK_A_BUDGET_PAGES, -EBUSY,
			      "budget-pages: %llu is less than %llu now",
			      budget, node->budget);
	WRITE_ONCE(node->budget, budget);
	hk_node_changed(node);
	return 0;
}

static bool node_has_links(struct hk_node *node)
{
	u16 id;

	for (id = 1; id < HK_MAX_NODES; id++)
		if (READ_ONCE(node->peers[id].claimed))
			return true;
	return false;
}

static int node_set_check(struct genl_info *info, struct hk_node *node,
			  u32 heartbeat_ms, u32 dead_ms)
{
	int err;

	err = need(info, HK_A_NODE_ID, "node-id");
	if (!err)
		err = need(info, HK_A_NODE_NAME, "node-name");
	if (!err)
		err = need(info, HK_A_CLUSTER_ID, "cluster-id");
	if (!err)
		err = need(info, HK_A_EPOCH, "epoch");
	if (!err)
		err = need(info, HK_A_BUDGET_PAGES, "budget-pages");
	if (err)
		return err;
	if (!list_empty(&node->vms))
		return refuse(info, 0, -EBUSY,
			      "identity is fixed while there are VMs");
	if (node_has_links(node))
		return refuse(info, 0, -EBUSY,
			      "identity is fixed while there are links");
	if (!hk_name_ok(nla_data(info->attrs[HK_A_NODE_NAME])))
		return refuse(info, HK_A_NODE_NAME, -EINVAL,
			      "node-name: only letters, digits, '-', '_', '.'");
	if (dead_ms > DEAD_MS_MAX)
		return refuse(info, HK_A_DEAD_MS, -ERANGE,
			      "dead-ms: %u is above %u", dead_ms, DEAD_MS_MAX);
	if (dead_ms <= heartbeat_ms)
		return refuse(info, HK_A_DEAD_MS, -EINVAL,
			      "dead-ms: %u is not above heartbeat-ms %u",
			      dead_ms, heartbeat_ms);
	return 0;
}

static int nl_node_set(struct sk_buff *skb, struct genl_info *info)
{
	struct hk_node *node = nl_node(info);
	u32 heartbeat_ms = HK_HEARTBEAT_MS_DEFAULT;
	u32 dead_ms = HK_DEAD_MS_DEFAULT;
	struct nlattr **a = info->attrs;
	int err;

	if (node->id != HK_NODE_NONE && a[HK_A_BUDGET_PAGES] &&
	    !a[HK_A_NODE_ID] && !a[HK_A_NODE_NAME] && !a[HK_A_CLUSTER_ID] &&
	    !a[HK_A_EPOCH] && !a[HK_A_HEARTBEAT_MS] && !a[HK_A_DEAD_MS])
		return node_grow_budget(info, node);

	if (a[HK_A_HEARTBEAT_MS])
		heartbeat_ms = nla_get_u32(a[HK_A_HEARTBEAT_MS]);
	if (a[HK_A_DEAD_MS])
		dead_ms = nla_get_u32(a[HK_A_DEAD_MS]);
	err = node_set_check(info, node, heartbeat_ms, dead_ms);
	if (err)
		return err;

	spin_lock(&node->peers_lock);
	node->id = nla_get_u16(a[HK_A_NODE_ID]);
	nla_strscpy(node->name, a[HK_A_NODE_NAME], sizeof(node->name));
	nla_memcpy(node->cluster, a[HK_A_CLUSTER_ID], sizeof(node->cluster));
	node->epoch = nla_get_u32(a[HK_A_EPOCH]);
	WRITE_ONCE(node->budget, nla_get_u64(a[HK_A_BUDGET_PAGES]));
	node->heartbeat_ms = heartbeat_ms;
	node->dead_ms = dead_ms;
	spin_unlock(&node->peers_lock);
	hk_node_changed(node);
	return 0;
}

static int nl_node_reset(struct sk_buff *skb, struct genl_info *info)
{
	char why[HK_REASON_LEN] = "";
	int err;

	err = hk_node_reset(nl_node(info), why);
	return err ? refuse(info, 0, err, "%s", why) : 0;
}

static int nl_link_add(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *transport = info->attrs[HK_A_TRANSPORT];
	struct hk_node *node = nl_node(info);
	char why[HK_REASON_LEN] = "";
	int err, attr;

	err = need(info, HK_A_PEER_ID, "peer-id");
	if (!err)
		err = need(info, HK_A_PEER_NAME, "peer-name");
	if (!err)
		err = need(info, HK_A_FD, "fd");
	if (err)
		return err;

	err = hk_node_link_add(node, nla_get_u16(info->attrs[HK_A_PEER_ID]),
			       nla_data(info->attrs[HK_A_PEER_NAME]),
			       nla_get_s32(info->attrs[HK_A_FD]),
			       transport ? nla_data(transport) : hk_tcp.name,
			       why);
	if (!err)
		return 0;
	if (err == -EINVAL)
		attr = hk_name_ok(nla_data(info->attrs[HK_A_PEER_NAME])) ?
		       HK_A_PEER_ID : HK_A_PEER_NAME;
	else if (err == -EPROTONOSUPPORT)
		attr = HK_A_TRANSPORT;
	else
		attr = err == -EEXIST ? HK_A_PEER_ID : HK_A_FD;
	return refuse(info, attr, err, "%s", why);
}

static int nl_link_renew(struct sk_buff *skb, struct genl_info *info)
{
	char why[HK_REASON_LEN] = "";
	int err;

	err = need(info, HK_A_PEER_ID, "peer-id");
	if (!err)
		err = need(info, HK_A_FD, "fd");
	if (err)
		return err;
	err = hk_node_link_renew(nl_node(info),
				 nla_get_u16(info->attrs[HK_A_PEER_ID]),
				 nla_get_s32(info->attrs[HK_A_FD]), why);
	return err ? refuse(info, HK_A_FD, err, "%s", why) : 0;
}

static int nl_path_add(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *transport = info->attrs[HK_A_TRANSPORT];
	char why[HK_REASON_LEN] = "";
	int err, attr;

	err = need(info, HK_A_PEER_ID, "peer-id");
	if (!err)
		err = need(info, HK_A_PATH_ID, "path-id");
	if (!err)
		err = need(info, HK_A_FD, "fd");
	if (err)
		return err;
	err = hk_node_path_add(nl_node(info),
			       nla_get_u16(info->attrs[HK_A_PEER_ID]),
			       nla_get_u8(info->attrs[HK_A_PATH_ID]),
			       nla_get_s32(info->attrs[HK_A_FD]),
			       transport ? nla_data(transport) : hk_tcp.name, why);
	if (!err)
		return 0;
	if (err == -EPROTONOSUPPORT)
		attr = HK_A_TRANSPORT;
	else
		attr = err == -EBUSY ? HK_A_PATH_ID : HK_A_FD;
	return refuse(info, attr, err, "%s", why);
}

static int nl_path_del(struct sk_buff *skb, struct genl_info *info)
{
	char why[HK_REASON_LEN] = "";
	int err;

	err = need(info, HK_A_PEER_ID, "peer-id");
	if (!err)
		err = need(info, HK_A_PATH_ID, "path-id");
	if (err)
		return err;
	err = hk_node_path_del(nl_node(info),
			       nla_get_u16(info->attrs[HK_A_PEER_ID]),
			       nla_get_u8(info->attrs[HK_A_PATH_ID]), why);
	return err ? refuse(info, HK_A_PATH_ID, err, "%s", why) : 0;
}

static int nl_link_del(struct sk_buff *skb, struct genl_info *info)
{
	const char *why = "link deleted by the administrator";
	u16 peer;
	int err;

	err = need(info, HK_A_PEER_ID, "peer-id");
	if (err)
		return err;
	peer = nla_get_u16(info->attrs[HK_A_PEER_ID]);
	if (info->attrs[HK_A_REASON])
		why = nla_data(info->attrs[HK_A_REASON]);
	err = hk_node_link_del(nl_node(info), peer, why);
	if (err)
		return refuse(info, HK_A_PEER_ID, err, "no link to node %u",
			      peer);
	return 0;
}

/*
 * In parts that fill an allocation of 8 KiB. Nobody reads until the request has
 * ended, so all parts together must find room in the receive buffer of the socket,
 * which counts allocations.
 */
static int nl_echo_reply(struct genl_info *info, u16 peer, const u64 *times,
			 u32 count)
{
	struct sk_buff *msg;
	int err = 0;
	u32 n;

	for (; count && !err; count -= n, times += n) {
		n = min_t(u32, count, ECHO_REPLY_MAX);
		msg = genlmsg_new(nla_total_size(sizeof(peer)) +
				  nla_total_size(n * sizeof(*times)),
				  GFP_KERNEL);
		if (!msg)
			return -ENOMEM;
		err = hk_netlink_put_echo(msg, info, peer, times, n);
		if (err) {
			nlmsg_free(msg);
			return err;
		}
		err = genlmsg_reply(msg, info);
	}
	return err;
}

static int nl_link_echo(struct sk_buff *skb, struct genl_info *info)
{
	bool page = nla_get_flag(info->attrs[HK_A_REPLY_PAGE]);
	struct hk_link *link;
	u32 count, len;
	u64 *times;
	u16 peer;
	int err;

	err = need(info, HK_A_PEER_ID, "peer-id");
	if (!err)
		err = need(info, HK_A_COUNT, "count");
	if (!err)
		err = need(info, HK_A_LEN, "len");
	if (err)
		return err;
	peer = nla_get_u16(info->attrs[HK_A_PEER_ID]);
	count = nla_get_u32(info->attrs[HK_A_COUNT]);
	len = nla_get_u32(info->attrs[HK_A_LEN]);

	if (len > HK_WIRE_BODY_MAX)
		return refuse(info, HK_A_LEN, -ERANGE, "len: %u is above %u",
			      len, HK_WIRE_BODY_MAX);

	link = hk_node_link_get(nl_node(info), peer);
	if (!link)
		return refuse(info, HK_A_PEER_ID, -ENOTCONN,
			      "no link to node %u", peer);
	err = -ENOMEM;
	times = kvmalloc_array(count, sizeof(*times), GFP_KERNEL);
	if (!times)
		goto err_link;
	err = hk_link_echo(link, len, len, page, count, times);
	if (err) {
		refuse(info, HK_A_PEER_ID, err,
		       "round trips to node %u broken off: error %d", peer,
		       err);
		goto err_times;
	}
	err = nl_echo_reply(info, peer, times, count);

err_times:
	kvfree(times);
err_link:
	hk_link_put(link);
	return err;
}

static int vm_add_cfg(struct genl_info *info, struct hk_vm_cfg *cfg)
{
	struct nlattr *members, *place;
	int err;

	err = need(info, HK_A_VM_ID, "vm-id");
	if (!err)
		err = need(info, HK_A_VM_NAME, "vm-name");
	if (!err)
		err = need(info, HK_A_RAM_PAGES, "ram-pages");
	if (!err)
		err = need(info, HK_A_ORIGIN, "origin");
	if (!err)
		err = need(info, HK_A_MEMBERS, "members");
	if (!err)
		err = need(info, HK_A_VCPU_PLACE, "vcpu-place");
	if (err)
		return err;

	members = info->attrs[HK_A_MEMBERS];
	if (nla_len(members) % sizeof(struct hk_member))
		return refuse(info, HK_A_MEMBERS, -EINVAL,
			      "members: %d bytes are not whole entries",
			      nla_len(members));
	place = info->attrs[HK_A_VCPU_PLACE];
	if (nla_len(place) % sizeof(u16))
		return refuse(info, HK_A_VCPU_PLACE, -EINVAL,
			      "vcpu-place: %d bytes are not whole node ids",
			      nla_len(place));

	cfg->id = nla_get_u32(info->attrs[HK_A_VM_ID]);
	cfg->name = nla_data(info->attrs[HK_A_VM_NAME]);
	cfg->ram_pages = nla_get_u64(info->attrs[HK_A_RAM_PAGES]);
	cfg->origin = nla_get_u16(info->attrs[HK_A_ORIGIN]);
	cfg->nr_vcpus = nla_len(place) / sizeof(u16);
	memcpy(cfg->place, nla_data(place), nla_len(place));
	cfg->nr_members = nla_len(members) / sizeof(struct hk_member);
	memcpy(cfg->member, nla_data(members), nla_len(members));
	return 0;
}

static int nl_vm_add(struct sk_buff *skb, struct genl_info *info)
{
	char why[HK_REASON_LEN] = "";
	struct hk_vm_cfg *cfg;
	int err;

	cfg = kzalloc(sizeof(*cfg), GFP_KERNEL);
	if (!cfg)
		return -ENOMEM;
	err = vm_add_cfg(info, cfg);
	if (!err) {
		err = hk_vm_create(nl_node(info), cfg, why);
		if (err)
			refuse(info, 0, err, "%s", why);
	}
	kfree(cfg);
	return err;
}

/* The VM of a privileged request, with a reference, or ERR_PTR */
static struct hk_vm *nl_vm(struct genl_info *info)
{
	struct hk_vm *vm;
	u32 id;
	int err;

	err = need(info, HK_A_VM_ID, "vm-id");
	if (err)
		return ERR_PTR(err);
	id = nla_get_u32(info->attrs[HK_A_VM_ID]);
	vm = hk_vm_get_by_id(nl_node(info), id);
	if (!vm)
		return ERR_PTR(refuse(info, HK_A_VM_ID, -ENOENT,
				      "there is no VM %u", id));
	return vm;
}

static int nl_vm_del(struct sk_buff *skb, struct genl_info *info)
{
	struct hk_vm *vm = nl_vm(info);
	char why[HK_REASON_LEN] = "";
	int err;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	err = hk_vm_destroy(vm, why);
	if (err) {
		hk_vm_put(vm);
		return refuse(info, HK_A_VM_ID, err, "%s", why);
	}
	return 0;
}

static int nl_vm_kill(struct sk_buff *skb, struct genl_info *info)
{
	struct hk_vm *vm;
	int err;

	err = need(info, HK_A_REASON, "reason");
	if (err)
		return err;
	vm = nl_vm(info);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	hk_vm_kill(vm, true, "%s", (char *)nla_data(info->attrs[HK_A_REASON]));
	flush_work(&vm->dead_work);
	hk_vm_put(vm);
	return 0;
}

/* No privilege needed: only constant texts, see NL_SET_ERR_MSG_FMT in compat/ */
static int nl_vm_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg;
	struct hk_vm *vm;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, HK_A_VM_ID)) {
		NL_SET_ERR_MSG(info->extack, "vm-id is missing");
		return -EINVAL;
	}
	vm = hk_vm_get_by_id(nl_node(info),
			     nla_get_u32(info->attrs[HK_A_VM_ID]));
	if (!vm) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[HK_A_VM_ID],
				    "there is no VM with this vm-id");
		return -ENOENT;
	}
	err = -ENOMEM;
	msg = nlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!msg)
		goto err_vm;
	err = hk_netlink_put_vm(msg, info, vm);
	if (err) {
		nlmsg_free(msg);
		goto err_vm;
	}
	err = genlmsg_reply(msg, info);
err_vm:
	hk_vm_put(vm);
	return err;
}

static int nl_vcpu_move(struct sk_buff *skb, struct genl_info *info)
{
	char why[HK_REASON_LEN] = "";
	struct hk_vm *vm;
	u32 vcpu;
	u16 to;
	int err;

	err = need(info, HK_A_VCPU, "vcpu");
	if (!err)
		err = need(info, HK_A_NODE_ID, "node-id");
	if (err)
		return err;
	vcpu = nla_get_u32(info->attrs[HK_A_VCPU]);
	to = nla_get_u16(info->attrs[HK_A_NODE_ID]);
	vm = nl_vm(info);
	if (IS_ERR(vm))
		return PTR_ERR(vm);

	if (vcpu >= vm->nr_vcpus)
		err = refuse(info, HK_A_VCPU, -EINVAL,
			     "vcpu: VM %u has only %u vCPUs", vm->id,
			     vm->nr_vcpus);
	else if (!(vm->members & hk_node_bit(to)))
		err = refuse(info, HK_A_NODE_ID, -EINVAL,
			     "node %u is not a member of VM %u", to, vm->id);
	else
		err = hk_vcpu_move(vm, vcpu, to, why);
	if (err && *why)
		refuse(info, 0, err, "%s", why);
	hk_vm_put(vm);
	return err;
}

static int nl_pre_doit(const struct genl_split_ops *ops, struct sk_buff *skb,
		       struct genl_info *info)
{
	if (ops->internal_flags & NL_ADMIN &&
	    !netlink_capable(skb, CAP_SYS_ADMIN)) {
		NL_SET_ERR_MSG(info->extack,
			       "needs CAP_SYS_ADMIN in the initial user namespace");
		return -EPERM;
	}
	if (ops->internal_flags & NL_LOCK &&
	    mutex_lock_killable(&nl_node(info)->lock))
		return -EINTR;
	return 0;
}

static void nl_post_doit(const struct genl_split_ops *ops, struct sk_buff *skb,
			 struct genl_info *info)
{
	if (ops->internal_flags & NL_LOCK)
		mutex_unlock(&nl_node(info)->lock);
}

#define POLICY(_p, _max)	.policy = (_p), .maxattr = (_max)

/* Privilege in the namespace first, then that of nl_pre_doit() */
#define ADMIN		.flags = GENL_UNS_ADMIN_PERM,			\
			.internal_flags = NL_ADMIN
#define ADMIN_LOCKED	.flags = GENL_UNS_ADMIN_PERM,			\
			.internal_flags = NL_ADMIN | NL_LOCK

static const struct genl_ops nl_ops[] = {
	{ .cmd = HK_CMD_NODE_GET, .doit = nl_node_get,
	  .dumpit = hk_netlink_dump_nodes },
	{ .cmd = HK_CMD_NODE_SET, .doit = nl_node_set, ADMIN_LOCKED,
	  POLICY(node_set_policy, HK_A_DEAD_MS) },
	{ .cmd = HK_CMD_NODE_RESET, .doit = nl_node_reset, ADMIN_LOCKED },
	{ .cmd = HK_CMD_LINK_ADD, .doit = nl_link_add, ADMIN_LOCKED,
	  POLICY(link_add_policy, HK_A_TRANSPORT) },
	{ .cmd = HK_CMD_LINK_RENEW, .doit = nl_link_renew, ADMIN_LOCKED,
	  POLICY(link_renew_policy, HK_A_FD) },
	{ .cmd = HK_CMD_PATH_ADD, .doit = nl_path_add, ADMIN_LOCKED,
	  POLICY(path_add_policy, HK_A_PATH_ID) },
	{ .cmd = HK_CMD_PATH_DEL, .doit = nl_path_del, ADMIN_LOCKED,
	  POLICY(path_policy, HK_A_PATH_ID) },
	{ .cmd = HK_CMD_PATH_GET, .dumpit = hk_netlink_dump_paths },
	{ .cmd = HK_CMD_LINK_DEL, .doit = nl_link_del, ADMIN_LOCKED,
	  POLICY(link_del_policy, HK_A_REASON) },
	{ .cmd = HK_CMD_LINK_GET, .dumpit = hk_netlink_dump_links },
	{ .cmd = HK_CMD_VM_ADD, .doit = nl_vm_add, ADMIN_LOCKED,
	  POLICY(vm_add_policy, HK_A_VCPU_PLACE) },
	{ .cmd = HK_CMD_VM_DEL, .doit = nl_vm_del, ADMIN_LOCKED,
	  POLICY(vm_policy, HK_A_VM_ID) },
	{ .cmd = HK_CMD_VM_KILL, .doit = nl_vm_kill, ADMIN,
	  POLICY(vm_kill_policy, HK_A_VM_ID) },
	{ .cmd = HK_CMD_VM_GET, .doit = nl_vm_get,
	  .dumpit = hk_netlink_dump_vms, POLICY(vm_policy, HK_A_VM_ID) },
	{ .cmd = HK_CMD_VCPU_GET, .dumpit = hk_netlink_dump_vcpus,
	  POLICY(vm_policy, HK_A_VM_ID) },
	{ .cmd = HK_CMD_VCPU_MOVE, .doit = nl_vcpu_move, ADMIN,
	  POLICY(vcpu_move_policy, HK_A_VCPU) },
	{ .cmd = HK_CMD_STATS_GET, .dumpit = hk_netlink_dump_stats,
	  POLICY(vm_policy, HK_A_VM_ID) },
	{ .cmd = HK_CMD_LINK_ECHO, .doit = nl_link_echo, ADMIN,
	  POLICY(link_echo_policy, HK_A_REPLY_PAGE) },
};

static const struct genl_multicast_group nl_groups[] = {
	{ .name = HK_GENL_MCGRP_EVENTS },
};

struct genl_family hk_netlink_family = {
	.name = HK_GENL_NAME,
	.version = HK_GENL_VERSION,
	.maxattr = HK_A_MAX,
	.netnsok = true,
	.parallel_ops = true,
	.pre_doit = nl_pre_doit,
	.post_doit = nl_post_doit,
	.ops = nl_ops,
	.n_ops = ARRAY_SIZE(nl_ops),
	.mcgrps = nl_groups,
	.n_mcgrps = ARRAY_SIZE(nl_groups),
	.module = THIS_MODULE,
};

/* Events. Nodes outlive the family when the module goes: then nobody listens */

static bool nl_registered;

static void nl_event(struct hk_node *node, struct sk_buff *msg, int err)
{
	if (err)
		nlmsg_free(msg);
	else
		genlmsg_multicast_netns(&hk_netlink_family, node->net, msg, 0,
					0, GFP_KERNEL);
}

static struct sk_buff *nl_event_msg(void)
{
	if (!READ_ONCE(nl_registered))
		return NULL;
	return nlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
}

void hk_netlink_link_event(struct hk_node *node, u16 peer)
{
	struct sk_buff *msg = nl_event_msg();

	if (msg)
		nl_event(node, msg, hk_netlink_put_link_ntf(msg, node, peer));
}

void hk_netlink_path_event(struct hk_node *node, u16 peer, u8 path,
			   const struct hk_link_path *info)
{
	struct sk_buff *msg = nl_event_msg();

	if (msg)
		nl_event(node, msg,
			 hk_netlink_put_path_ntf(msg, peer, path, info));
}

void hk_netlink_vm_event(struct hk_vm *vm)
{
	struct sk_buff *msg = nl_event_msg();

	if (msg)
		nl_event(vm->node, msg, hk_netlink_put_vm_ntf(msg, vm));
}

void hk_netlink_vcpu_event(struct hk_vm *vm, u32 vcpu, u16 to)
{
	struct sk_buff *msg = nl_event_msg();

	if (msg)
		nl_event(vm->node, msg,
			 hk_netlink_put_vcpu_ntf(msg, vm, vcpu, to));
}

int __init hk_netlink_init(void)
{
	int err = genl_register_family(&hk_netlink_family);

	if (!err)
		WRITE_ONCE(nl_registered, true);
	return err;
}

void hk_netlink_exit(void)
{
	WRITE_ONCE(nl_registered, false);
	genl_unregister_family(&hk_netlink_family);
}
