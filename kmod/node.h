/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The node object: this host's part in a cluster
 *
 * One per network namespace. Everything hangs off it: identity, links to the
 * peers, VMs. Four nodes in four namespaces of one kernel do not know of each
 * other but by their links.
 */
#ifndef HK_KMOD_NODE_H
#define HK_KMOD_NODE_H

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include "../dsm/types.h"
#include "../fabric/link.h"
#include "../fabric/transport.h"
#include "../uapi/hyperkernel_netlink.h"

struct hk_vm;

#define HK_HEARTBEAT_MS_DEFAULT	200
#define HK_DEAD_MS_DEFAULT	2000
#define HK_ENCRYPTION_LEN	32

/**
 * struct hk_peer - what this node knows of another; see &hk_node.peers_lock
 */
struct hk_peer {
	/** @name: for humans */
	char name[HK_NAME_MAX];
	/** @link: RCU; NULL when there is none; not yet up until HELLO came in */
	struct hk_link __rcu *link;
	/** @claimed: a link exists or is being made; from LINK_ADD to its end */
	bool claimed;
	/** @state: enum hk_link_state */
	u8 state;
	/** @transport: of the link that is or was the last */
	char transport[HK_TRANSPORT_NAME_MAX];
	/** @reason: why the link went down */
	char reason[HK_REASON_LEN];
	/** @encryption: how the link's bytes travel, or travelled */
	char encryption[HK_ENCRYPTION_LEN];
	/** @used: pages in use there, by its last heartbeat */
	u64 used;
	/** @budget: pages it contributes, by its last heartbeat */
	u64 budget;
	/** @rtt_us: shortest round trip of the link, 0: not known; by its receiver */
	u32 rtt_us;
	/** @unknown_vm: messages dropped as their VM is not known here */
	atomic64_t unknown_vm;
};

/**
 * struct hk_node - this host's part in a cluster, one per network namespace
 */
struct hk_node {
	/** @net: namespace it belongs to */
	struct net *net;
	/** @lock: serialises configuration; outermost lock of the module */
	struct mutex lock;
	/** @id: own node id, HK_NODE_NONE before NODE_SET */
	u16 id;
	/** @name: for humans */
	char name[HK_NAME_MAX];
	/** @cluster: cluster identity */
	u8 cluster[HK_CLUSTER_ID_LEN];
	/** @epoch: membership generation */
	u32 epoch;
	/** @heartbeat_ms: PING this often */
	u32 heartbeat_ms;
	/** @dead_ms: silence that means death */
	u32 dead_ms;
	/** @budget: pages of RAM contributed */
	u64 budget;
	/** @used: pages of guest RAM present on this node, all VMs */
	atomic_long_t used;
	/** @stale: of those, old copies, which go first (stale.c) */
	atomic_long_t stale;
	/**
	 * @peers_lock: protects @peers and, together with @lock for writers, the
	 * identity (@id to @budget) for readers that do not hold @lock. The
	 * figures of heartbeats are written without it.
	 */
	spinlock_t peers_lock;
	/** @peers: by node id; @peers[id] is unused */
	struct hk_peer peers[HK_MAX_NODES];
	/** @vms_lock: protects @vms against writers; readers use RCU */
	spinlock_t vms_lock;
	/** @vms: RCU list of struct hk_vm.list */
	struct list_head vms;
	/** @nr_vms: VMs whose memory is not yet free */
	atomic_t nr_vms;
	/** @idle_wait: waits for @nr_vms to fall, for a slot of @peers to be free */
	wait_queue_head_t idle_wait;
	/** @rtt_us: the longest of @peers.rtt_us, 0: none known */
	u32 rtt_us;
	/** @gen: counts changes of what dumps show, never 0 */
	atomic_t gen;
	/** @wq: unbound workqueue for what may sleep */
	struct workqueue_struct *wq;
	/** @clock_lock: serialises steps of guests' clocks; see clock.c */
	struct mutex clock_lock;
	/** @clock_mask: scratch of a step, under @clock_lock */
	cpumask_var_t clock_mask;
	/** @tsc_drift: what tsc_drift_ppb has added; written under @clock_lock */
	s64 tsc_drift;
	/** @drift_at: TSC when it last added something, 0: it did not; @drift_work's */
	u64 drift_at;
	/** @drift_work: adds more */
	struct delayed_work drift_work;
};

int hk_node_init(void);
void hk_node_exit(void);
struct hk_node *hk_node_of(const struct net *net);

/**
 * hk_node_send() - queue a message to a peer
 * @node: node
 * @to: peer's id, not the own one
 * @msg: consumed
 * Context: any.
 * Return: 0 or -ENOTCONN.
 */
int hk_node_send(struct hk_node *node, u16 to, struct hk_msg *msg);

/* the guests' clock, kmod/clock.c */
int hk_clock_init(struct hk_node *node);
void hk_clock_exit(struct hk_node *node);
u64 hk_node_tsc(struct hk_node *node);
void hk_clock_heartbeat(struct hk_node *node, u16 peer, s64 lead, u64 rtt_min);

/* HELLO was exchanged and the link has not ended; any context */
bool hk_node_link_up(struct hk_node *node, u16 peer);

/* HK_WIRE_FEATURE_* that both ends have offered, 0: no link, or no HELLO yet; any context */
u32 hk_node_link_features(struct hk_node *node, u16 peer);

/**
 * hk_node_link_get() - the link to a peer
 * @node: node
 * @peer: peer's id
 * Return: with a reference, or NULL. Context: any.
 */
struct hk_link *hk_node_link_get(struct hk_node *node, u16 peer);

/* name of a peer or of the own node for a text; @buf has HK_NAME_MAX bytes */
const char *hk_node_peer_name(struct hk_node *node, u16 peer, char *buf);

/**
 * hk_node_link_add() - start a link on a connected socket
 * @node: node, its lock held
 * @peer: node id of the other end
 * @name: its name
 * @fd: connected TCP socket of the calling process, in the node's namespace
 * @transport: name of what is to carry the link
 * @why: out, HK_REASON_LEN bytes: text for the user when it fails
 *
 * Does not wait for the peer's HELLO: an event says when the link is up or why it
 * is not.
 * Return: 0 or errno.
 */
int hk_node_link_add(struct hk_node *node, u16 peer, const char *name, int fd,
		     const char *transport, char *why);

/**
 * hk_node_link_renew() - let the link to a peer go over to another connection
 * @node: node, its lock held
 * @peer: node id of the other end
 * @fd: connected TCP socket, as for hk_node_link_add()
 * @why: out, HK_REASON_LEN bytes
 *
 * Does not wait for the switch. The socket must protect what it carries as the
 * present one does.
 * Return: 0 or errno.
 */
int hk_node_link_renew(struct hk_node *node, u16 peer, int fd, char *why);

/**
 * hk_node_path_add() - give the link to a peer another connection
 * @node: node, its lock held
 * @peer: node id of the other end
 * @path: number of the connection, below HK_PATH_MAX
 * @fd: connected TCP socket, as for hk_node_link_renew()
 * @transport: name of what is to carry the path
 * @why: out, HK_REASON_LEN bytes
 *
 * Does not wait for the peer: an event says when the path is there, or why not.
 * Return: 0 or errno; -EPROTONOSUPPORT: there is no such transport.
 */
int hk_node_path_add(struct hk_node *node, u16 peer, u8 path, int fd,
		     const char *transport, char *why);

/* let the link to a peer do without a path; its lock held; 0 or errno with @why */
int hk_node_path_del(struct hk_node *node, u16 peer, u8 path, char *why);

/* close the link to a peer, wait for its end; -ENOENT when there is none */
int hk_node_link_del(struct hk_node *node, u16 peer, const char *why);

/**
 * hk_node_reset() - forget links, VMs and identity
 * @node: node, its lock held
 * @why: out, HK_REASON_LEN bytes
 * Return: 0, or -EBUSY when a VM is in use
 */
int hk_node_reset(struct hk_node *node, char *why);

/**
 * hk_sock_encryption() - what user space has arranged for a connected socket
 * @sk: TCP socket
 * @buf: out, HK_ENCRYPTION_LEN bytes: "tls 1.3 aes-256-gcm", "plain"
 * Context: process, may sleep.
 */
void hk_sock_encryption(struct sock *sk, char *buf);

/* letters, digits, '-', '_', '.', not empty, no '.' first: fit for a file's name */
bool hk_name_ok(const char *name);

/* what dumps show has changed */
static inline void hk_node_changed(struct hk_node *node)
{
	if (!atomic_inc_return(&node->gen))
		atomic_inc(&node->gen);
}

/* events to the multicast group, kmod/netlink.c; any context that may sleep */
void hk_netlink_link_event(struct hk_node *node, u16 peer);
void hk_netlink_path_event(struct hk_node *node, u16 peer, u8 path,
			   const struct hk_link_path *info);
void hk_netlink_vm_event(struct hk_vm *vm);
void hk_netlink_vcpu_event(struct hk_vm *vm, u32 vcpu, u16 to);
int hk_netlink_init(void);
void hk_netlink_exit(void);

#endif /* HK_KMOD_NODE_H */
