// SPDX-License-Identifier: GPL-2.0
/*
 * The node object: identity, links to the peers
 *
 * Life of a slot in hk_node.peers:
 *
 *	free --LINK_ADD--> claimed --HELLO--> up --> down() --> free
 *	                      '----------------------^
 *
 * hk_node_link_add() claims the slot and makes the link. Whoever comes first
 * publishes the pointer: link_up(), as messages may follow it at once, or
 * hk_node_link_add() itself. link_down() takes it back, frees the slot, ends the
 * VMs that need the peer, and leaves the rest to a work item, since it runs
 * inside the link:
 *
 * 1. Readers that found the pointer under RCU: the work waits for them.
 * 2. Readers that took a reference there: they keep the link, which refuses to
 *    send.
 * 3. hk_node_link_add(), when down comes before it has seen the link: it looks
 *    at the slot under peers_lock and leaves the link alone, which may be freed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "node.h"
#include "vm.h"

#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/in.h>
#include <linux/math64.h>
#include <linux/net.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <net/inet_sock.h>
#include <net/netns/generic.h>
#include <net/sock.h>
#include <net/tcp_states.h>

static unsigned int hk_net_id __read_mostly;

/**
 * struct node_link - what a link's calls find behind hk_link_priv()
 * @node: owner; outlives the link
 * @link: set by link_down() for @close_work
 * @peer: other end
 * @close_work: last step of the end
 */
struct node_link {
	struct hk_node *node;
	struct hk_link *link;
	u16 peer;
	struct work_struct close_work;
};

struct hk_node *hk_node_of(const struct net *net)
{
	return net_generic(net, hk_net_id);
}

bool hk_name_ok(const char *name)
{
	const char *c;

	if (!*name || *name == '.' || strlen(name) >= HK_NAME_MAX)
		return false;
	for (c = name; *c; c++)
		if (!isascii(*c) || !(isalnum(*c) || strchr("-_.", *c)))
			return false;
	return true;
}

/* Calls from a link */

static int link_recv(struct hk_link *link, struct hk_msg *msg, char *why)
{
	struct node_link *nl = hk_link_priv(link);

	if (!msg->hdr.vm) {
		snprintf(why, HK_REASON_MAX, "message %s without a VM",
			 hk_msg_name(msg->hdr.type));
		hk_msg_free(msg);
		return -EPROTO;
	}
	return hk_vm_recv(nl->node, nl->peer, msg, why);
}

/* Context: peers_lock held */
static void peer_publish(struct hk_node *node, u16 id, struct hk_link *link)
{
	struct hk_peer *peer = &node->peers[id];

	lockdep_assert_held(&node->peers_lock);
	if (peer->claimed && !rcu_access_pointer(peer->link))
		rcu_assign_pointer(peer->link, link);
}

static void link_up(struct hk_link *link)
{
	struct node_link *nl = hk_link_priv(link);
	struct hk_node *node = nl->node;
	char name[HK_NAME_MAX];

	spin_lock(&node->peers_lock);
	peer_publish(node, nl->peer, link);
	WRITE_ONCE(node->peers[nl->peer].state, HK_LINK_UP);
	spin_unlock(&node->peers_lock);
	hk_node_changed(node);

	pr_info("node %u (%s): link to node %u (%s) is up\n", node->id,
		node->name, nl->peer, hk_node_peer_name(node, nl->peer, name));
	hk_netlink_link_event(node, nl->peer);
}

static void link_close_work(struct work_struct *work)
{
	struct node_link *nl = container_of(work, struct node_link, close_work);

	/* Those who read the pointer before link_down() took it back */
	synchronize_rcu();
	hk_link_close(nl->link, NULL);
	hk_link_put(nl->link);
	kfree(nl);
}

/* What waits for the peer ends here; those who come in between end in link_down() */
static void link_ending(struct hk_link *link, const char *why)
{
	struct node_link *nl = hk_link_priv(link);

	hk_vm_link_down(nl->node, nl->peer, why);
}

/* The shortest round trip to a peer is known, or not any more */
static void rtt_update(struct hk_node *node, struct hk_peer *peer, u32 us)
{
	u32 max = 0;
	u16 n;

	WRITE_ONCE(peer->rtt_us, us);
	/* of two that do this at once one sees both */
	smp_mb();
	for (n = 1; n < HK_MAX_NODES; n++)
		max = max(max, READ_ONCE(node->peers[n].rtt_us));
	WRITE_ONCE(node->rtt_us, max);
}

static void link_down(struct hk_link *link, const char *why)
{
	struct node_link *nl = hk_link_priv(link);
	struct hk_node *node = nl->node;
	struct hk_peer *peer = &node->peers[nl->peer];
	char name[HK_NAME_MAX];

	spin_lock(&node->peers_lock);
	RCU_INIT_POINTER(peer->link, NULL);
	WRITE_ONCE(peer->state, HK_LINK_DOWN);
	strscpy(peer->reason, why, sizeof(peer->reason));
	spin_unlock(&node->peers_lock);
	rtt_update(node, peer, 0);
	hk_node_changed(node);

	pr_info("node %u (%s): link to node %u (%s) is down: %s\n", node->id,
		node->name, nl->peer, hk_node_peer_name(node, nl->peer, name),
		why);
	hk_vm_link_down(node, nl->peer, why);
	hk_netlink_link_event(node, nl->peer);

	nl->link = link;
	queue_work(node->wq, &nl->close_work);

	/* From here on a new link to the peer may be made */
	spin_lock(&node->peers_lock);
	WRITE_ONCE(peer->claimed, false);
	spin_unlock(&node->peers_lock);
	wake_up_all(&node->idle_wait);
}

static void link_path(struct hk_link *link, unsigned int id)
{
	struct node_link *nl = hk_link_priv(link);
	struct hk_node *node = nl->node;
	struct hk_link_path path;
	char name[HK_NAME_MAX];

	hk_link_path_get(link, id, &path);
	hk_node_changed(node);
	if (path.state == HK_LINK_PATH_DOWN)
		pr_info("node %u (%s): path %u to node %u (%s) is down: %s\n",
			node->id, node->name, id, nl->peer,
			hk_node_peer_name(node, nl->peer, name), path.why);
	else
		pr_info("node %u (%s): path %u to node %u (%s) is there\n",
			node->id, node->name, id, nl->peer,
			hk_node_peer_name(node, nl->peer, name));
	hk_netlink_path_event(node, nl->peer, id, &path);
}

static void link_fill_ping(struct hk_link *link, struct hk_wire_ping *ping)
{
	struct node_link *nl = hk_link_priv(link);
	struct hk_node *node = nl->node;
	/* who looks for room wants to know what cannot be had for the asking */
	long used = atomic_long_read(&node->used) -
		    atomic_long_read(&node->stale);

	ping->used = cpu_to_le64(max(used, 0L));
	ping->budget = cpu_to_le64(READ_ONCE(node->budget));
}

static void link_seen_ping(struct hk_link *link,
			   const struct hk_wire_ping *ping)
{
	struct node_link *nl = hk_link_priv(link);
	struct hk_peer *peer = &nl->node->peers[nl->peer];

	WRITE_ONCE(peer->used, le64_to_cpu(ping->used));
	WRITE_ONCE(peer->budget, le64_to_cpu(ping->budget));
}

static void link_heard(struct hk_link *link, s64 lead, u64 rtt_min)
{
	struct node_link *nl = hk_link_priv(link);
	u64 us = div_u64(rtt_min, max(tsc_khz / 1000, 1u));

	rtt_update(nl->node, &nl->node->peers[nl->peer], min_t(u64, us, U32_MAX));
	hk_clock_heartbeat(nl->node, nl->peer, lead, rtt_min);
}

static bool link_timed(struct hk_link *link)
{
	struct node_link *nl = hk_link_priv(link);

	return atomic_read(&nl->node->nr_vms);
}

static u64 link_tsc(struct hk_link *link)
{
	struct node_link *nl = hk_link_priv(link);

	return hk_node_tsc(nl->node);
}

static const struct hk_link_ops node_link_ops = {
	.recv = link_recv,
	.ending = link_ending,
	.down = link_down,
	.fill_ping = link_fill_ping,
	.seen_ping = link_seen_ping,
	.path = link_path,
	.up = link_up,
	.heard = link_heard,
	.timed = link_timed,
	.tsc = link_tsc,
};

/* Questions about peers */

int hk_node_send(struct hk_node *node, u16 to, struct hk_msg *msg)
{
	int err;

	if (WARN_ON_ONCE(!to || to >= HK_MAX_NODES)) {
		hk_msg_free(msg);
		return -ENOTCONN;
	}
	rcu_read_lock();
	err = hk_link_send(rcu_dereference(node->peers[to].link), msg);
	rcu_read_unlock();
	return err;
}

struct hk_link *hk_node_link_get(struct hk_node *node, u16 peer)
{
	struct hk_link *link;

	if (!peer || peer >= HK_MAX_NODES)
		return NULL;
	rcu_read_lock();
	link = rcu_dereference(node->peers[peer].link);
	/* The owner's reference is dropped a grace period after the pointer */
	if (link)
		hk_link_get(link);
	rcu_read_unlock();
	return link;
}

u32 hk_node_link_features(struct hk_node *node, u16 peer)
{
	struct hk_link *link;
	u32 features;

	if (!peer || peer >= HK_MAX_NODES)
		return 0;
	rcu_read_lock();
	link = rcu_dereference(node->peers[peer].link);
	features = link ? hk_link_features(link) : 0;
	rcu_read_unlock();
	return features;
}

bool hk_node_link_up(struct hk_node *node, u16 peer)
{
	struct hk_link *link;
	bool up;

	if (!peer || peer >= HK_MAX_NODES)
		return false;
	rcu_read_lock();
	link = rcu_dereference(node->peers[peer].link);
	up = link && hk_link_is_up(link);
	rcu_read_unlock();
	return up;
}

const char *hk_node_peer_name(struct hk_node *node, u16 peer, char *buf)
{
	const char *name = "";

	spin_lock(&node->peers_lock);
	if (peer == node->id)
		name = node->name;
	else if (peer < HK_MAX_NODES)
		name = node->peers[peer].name;
	strscpy(buf, *name ? name : "?", HK_NAME_MAX);
	spin_unlock(&node->peers_lock);
	return buf;
}

/* Configuration */

static int node_sock_check(struct hk_node *node, struct socket *sock, char *why)
{
	struct sock *sk = sock->sk;

	if (sock->type != SOCK_STREAM || sk->sk_protocol != IPPROTO_TCP ||
	    (sk->sk_family != AF_INET && sk->sk_family != AF_INET6)) {
		snprintf(why, HK_REASON_LEN, "fd is not a TCP socket");
		return -EPROTOTYPE;
	}
	if (!net_eq(sock_net(sk), node->net)) {
		snprintf(why, HK_REASON_LEN,
			 "fd is a socket of another network namespace");
		return -EXDEV;
	}
	if (inet_sk_state_load(sk) != TCP_ESTABLISHED) {
		snprintf(why, HK_REASON_LEN, "fd is not connected");
		return -ENOTCONN;
	}
	return 0;
}

static const struct hk_transport *node_transport(const char *name, char *why)
{
	const struct hk_transport *transport = hk_transport_get(name);

	if (!transport)
		snprintf(why, HK_REASON_LEN,
			 "no transport %s: is hyperkernel-%s.ko loaded?", name, name);
	return transport;
}

/* What is on the socket protects what goes through it, and nothing else */
static void node_encryption(struct socket *sock, const struct hk_transport *transport,
			    char *encryption)
{
	if (transport == &hk_tcp)
		hk_sock_encryption(sock->sk, encryption);
	else
		strscpy(encryption, "plain", HK_ENCRYPTION_LEN);
}

int hk_node_link_add(struct hk_node *node, u16 id, const char *name, int fd,
		     const char *transport, char *why)
{
	struct hk_link_cfg cfg = {
		.self = node->id,
		.peer = id,
		.epoch = node->epoch,
		.heartbeat_ms = node->heartbeat_ms,
		.dead_ms = node->dead_ms,
	};
	char encryption[HK_ENCRYPTION_LEN];
	struct node_link *nl;
	struct hk_peer *peer;
	struct hk_link *link;
	struct socket *sock;
	int err;

	lockdep_assert_held(&node->lock);
	if (node->id == HK_NODE_NONE) {
		snprintf(why, HK_REASON_LEN, "this node has no identity yet");
		return -EINVAL;
	}
	if (!id || id >= HK_MAX_NODES || id == node->id) {
		snprintf(why, HK_REASON_LEN, "node %u cannot be a peer", id);
		return -EINVAL;
	}
	if (!hk_name_ok(name)) {
		snprintf(why, HK_REASON_LEN,
			 "a name has letters, digits, '-', '_', '.'");
		return -EINVAL;
	}

	sock = sockfd_lookup(fd, &err);
	if (!sock) {
		snprintf(why, HK_REASON_LEN, "fd %d is not a socket", fd);
		return err;
	}
	err = node_sock_check(node, sock, why);
	if (err)
		goto err_sock;
	cfg.transport = node_transport(transport, why);
	if (!cfg.transport) {
		err = -EPROTONOSUPPORT;
		goto err_sock;
	}
	node_encryption(sock, cfg.transport, encryption);

	err = -ENOMEM;
	nl = kzalloc(sizeof(*nl), GFP_KERNEL);
	if (!nl) {
		snprintf(why, HK_REASON_LEN, "out of memory");
		goto err_transport;
	}
	nl->node = node;
	nl->peer = id;
	INIT_WORK(&nl->close_work, link_close_work);
	memcpy(cfg.cluster, node->cluster, sizeof(cfg.cluster));
	cfg.priv = nl;

	peer = &node->peers[id];
	/* DOWN can be seen a moment before the slot is free: that is no conflict */
	if (READ_ONCE(peer->state) == HK_LINK_DOWN &&
	    wait_event_killable(node->idle_wait, !READ_ONCE(peer->claimed))) {
		err = -EINTR;
		snprintf(why, HK_REASON_LEN, "interrupted");
		goto err_free;
	}
	spin_lock(&node->peers_lock);
	if (peer->claimed) {
		spin_unlock(&node->peers_lock);
		snprintf(why, HK_REASON_LEN, "node %u has a link", id);
		err = -EEXIST;
		goto err_free;
	}
	WRITE_ONCE(peer->claimed, true);
	peer->state = HK_LINK_NONE;
	peer->reason[0] = '\0';
	strscpy(peer->name, name, sizeof(peer->name));
	strscpy(peer->transport, cfg.transport->name, sizeof(peer->transport));
	strscpy(peer->encryption, encryption, sizeof(peer->encryption));
	spin_unlock(&node->peers_lock);

	link = hk_link_create(&node_link_ops, &cfg, sock, why);
	if (IS_ERR(link)) {
		err = PTR_ERR(link);
		spin_lock(&node->peers_lock);
		WRITE_ONCE(peer->claimed, false);
		spin_unlock(&node->peers_lock);
		goto err_free;
	}
	/* The socket, the transport and @nl are the link's now, which may be gone already */
	spin_lock(&node->peers_lock);
	if (peer->state == HK_LINK_NONE)
		peer_publish(node, id, link);
	spin_unlock(&node->peers_lock);
	hk_node_changed(node);
	return 0;

err_free:
	kfree(nl);
err_transport:
	hk_transport_put(cfg.transport);
err_sock:
	sockfd_put(sock);
	return err;
}

/*
 * Another connection for a link: a reference to both, or what is wrong with it. It must
 * protect what it carries as the one the link was made with does.
 */
static int node_link_sock(struct hk_node *node, u16 id, int fd,
			  const struct hk_transport *transport,
			  struct hk_link **out, struct socket **sock_out, char *why)
{
	char encryption[HK_ENCRYPTION_LEN];
	struct socket *sock;
	struct hk_link *link;
	int err;

	lockdep_assert_held(&node->lock);
	link = hk_node_link_get(node, id);
	if (!link) {
		snprintf(why, HK_REASON_LEN, "no link to node %u", id);
		return -ENOENT;
	}
	sock = sockfd_lookup(fd, &err);
	if (!sock) {
		snprintf(why, HK_REASON_LEN, "fd %d is not a socket", fd);
		goto err_link;
	}
	err = node_sock_check(node, sock, why);
	if (err)
		goto err_sock;
	node_encryption(sock, transport, encryption);
	/* Written with node->lock held alone */
	if (strcmp(encryption, node->peers[id].encryption)) {
		snprintf(why, HK_REASON_LEN, "the link is %s, %s is %s",
			 node->peers[id].encryption,
			 transport == &hk_tcp ? "fd" : transport->name, encryption);
		err = -EPROTO;
		goto err_sock;
	}
	*out = link;
	*sock_out = sock;
	return 0;

err_sock:
	sockfd_put(sock);
err_link:
	hk_link_put(link);
	return err;
}

int hk_node_link_renew(struct hk_node *node, u16 id, int fd, char *why)
{
	struct socket *sock;
	struct hk_link *link;
	int err;

	err = node_link_sock(node, id, fd, &hk_tcp, &link, &sock, why);
	if (err)
		return err;
	err = hk_link_renew(link, sock, why);
	if (err)
		sockfd_put(sock);
	hk_link_put(link);
	return err;
}

int hk_node_path_add(struct hk_node *node, u16 id, u8 path, int fd,
		     const char *name, char *why)
{
	const struct hk_transport *transport;
	struct socket *sock;
	struct hk_link *link;
	int err;

	transport = node_transport(name, why);
	if (!transport)
		return -EPROTONOSUPPORT;
	err = node_link_sock(node, id, fd, transport, &link, &sock, why);
	if (err)
		goto err_transport;
	err = hk_link_path_add(link, path, sock, transport, why);
	if (err)
		goto err_sock;
	/* The socket and the transport are the link's now */
	hk_link_put(link);
	hk_node_changed(node);
	return 0;

err_sock:
	sockfd_put(sock);
	hk_link_put(link);
err_transport:
	hk_transport_put(transport);
	return err;
}

int hk_node_path_del(struct hk_node *node, u16 id, u8 path, char *why)
{
	struct hk_link *link = hk_node_link_get(node, id);
	int err;

	lockdep_assert_held(&node->lock);
	if (!link) {
		snprintf(why, HK_REASON_LEN, "no link to node %u", id);
		return -ENOENT;
	}
	err = hk_link_path_del(link, path, why);
	hk_link_put(link);
	return err;
}

static int node_link_close(struct hk_node *node, u16 peer, const char *why)
{
	struct hk_link *link = hk_node_link_get(node, peer);

	if (!link)
		return -ENOENT;
	hk_link_close(link, why);
	hk_link_put(link);
	return 0;
}

int hk_node_link_del(struct hk_node *node, u16 peer, const char *why)
{
	lockdep_assert_held(&node->lock);
	return node_link_close(node, peer, why);
}

/* Links first, so that a peer hears from the link why this node left its VMs */
static void node_close_links(struct hk_node *node, const char *why)
{
	u16 id;

	lockdep_assert_held(&node->lock);
	for (id = 1; id < HK_MAX_NODES; id++) {
		node_link_close(node, id, why);
		/* One that is just ending by itself */
		wait_event(node->idle_wait,
			   !READ_ONCE(node->peers[id].claimed));
	}
	/* All close_work is queued by now; it waits for link_down() to return */
	flush_workqueue(node->wq);
}

static int node_destroy_vms(struct hk_node *node, char *why)
{
	struct hk_vm *vm;
	int err;

	lockdep_assert_held(&node->lock);
	while ((vm = hk_vm_get_next(node, 0))) {
		err = hk_vm_destroy(vm, why);
		if (err) {
			hk_vm_put(vm);
			return err;
		}
	}
	return 0;
}

/* Context: @lock held, no links, no VMs */
static void node_forget(struct hk_node *node)
{
	u16 id;

	spin_lock(&node->peers_lock);
	for (id = 0; id < HK_MAX_NODES; id++) {
		struct hk_peer *peer = &node->peers[id];

		peer->name[0] = '\0';
		peer->transport[0] = '\0';
		peer->reason[0] = '\0';
		peer->encryption[0] = '\0';
		peer->state = HK_LINK_NONE;
		peer->used = 0;
		peer->budget = 0;
		atomic64_set(&peer->unknown_vm, 0);
	}
	node->id = HK_NODE_NONE;
	node->name[0] = '\0';
	memset(node->cluster, 0, sizeof(node->cluster));
	node->epoch = 0;
	node->budget = 0;
	node->heartbeat_ms = HK_HEARTBEAT_MS_DEFAULT;
	node->dead_ms = HK_DEAD_MS_DEFAULT;
	spin_unlock(&node->peers_lock);
	hk_node_changed(node);
}

int hk_node_reset(struct hk_node *node, char *why)
{
	struct hk_vm *vm;
	u32 next = 0;
	int err;

	lockdep_assert_held(&node->lock);
	/* Refuse before anything is done; the true check is hk_vm_destroy()'s */
	while ((vm = hk_vm_get_next(node, next))) {
		next = vm->id + 1;
		if (atomic_read(&vm->users) > 0) {
			snprintf(why, HK_REASON_LEN, "VM %u is in use", vm->id);
			hk_vm_put(vm);
			return -EBUSY;
		}
		hk_vm_put(vm);
		if (!next)
			break;
	}
	node_close_links(node, "node reset by the administrator");
	err = node_destroy_vms(node, why);
	if (err)
		return err;
	node_forget(node);
	return 0;
}

/* Life */

static __net_init int hk_net_init(struct net *net)
{
	struct hk_node *node = hk_node_of(net);

	node->net = net;
	mutex_init(&node->lock);
	spin_lock_init(&node->peers_lock);
	spin_lock_init(&node->vms_lock);
	INIT_LIST_HEAD(&node->vms);
	init_waitqueue_head(&node->idle_wait);
	atomic_set(&node->gen, 1);
	node->heartbeat_ms = HK_HEARTBEAT_MS_DEFAULT;
	node->dead_ms = HK_DEAD_MS_DEFAULT;
	/* Not WQ_MEM_RECLAIM: its items wait for links, as these cannot */
	node->wq = alloc_workqueue("hk-node/%u", WQ_UNBOUND, 0, net->ns.inum);
	if (!node->wq)
		return -ENOMEM;
	if (!hk_clock_init(node))
		return 0;
	destroy_workqueue(node->wq);
	return -ENOMEM;
}

/*
 * The namespace or the module goes away. Open device files hold both, and netlink
 * requests have ended, so nobody else is at work here but the links and whoever
 * holds a VM for a moment.
 */
static __net_exit void hk_net_exit(struct net *net)
{
	struct hk_node *node = hk_node_of(net);
	char why[HK_REASON_LEN];

	mutex_lock(&node->lock);
	node_close_links(node, "node shut down");
	WARN_ON(node_destroy_vms(node, why));
	mutex_unlock(&node->lock);

	while (!wait_event_timeout(node->idle_wait, !atomic_read(&node->nr_vms),
				   10 * HZ))
		pr_warn("node in namespace %u: still waiting for %d VMs\n",
			net->ns.inum, atomic_read(&node->nr_vms));
	hk_clock_exit(node);
	destroy_workqueue(node->wq);
	mutex_destroy(&node->lock);
}

static struct pernet_operations hk_net_ops = {
	.init = hk_net_init,
	.exit = hk_net_exit,
	.id = &hk_net_id,
	.size = sizeof(struct hk_node),
};

int __init hk_node_init(void)
{
	return register_pernet_subsys(&hk_net_ops);
}

void hk_node_exit(void)
{
	unregister_pernet_subsys(&hk_net_ops);
}
