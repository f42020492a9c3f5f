/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ordered channel to one peer
 *
 * A link owns one connected socket (made and vouched for by hkd), a sending and
 * a receiving thread, one queue per lane, the heartbeat and the estimate of the
 * peer's TSC. It knows nothing of pages or vCPUs: messages go up through the ops
 * given at creation.
 */
#ifndef HK_FABRIC_LINK_H
#define HK_FABRIC_LINK_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/rcupdate.h>
#include <linux/socket.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include "msg.h"

#define HK_TRANSPORT_NAME_MAX	16	/* with the closing NUL */

struct hk_link;
struct hk_transport;
struct socket;

/**
 * struct hk_msg - one message, on its way out or just come in
 * @list: in a lane's queue
 * @rcu: used by hk_msg_free()
 * @hdr: wire header; alloc fills type, len, lane; send fills the rest
 * @page: page that follows the body (HK_WIRE_F_PAGE) or NULL; the message owns
 *	one reference and hk_msg_free() drops it
 * @queued_ns: ktime when queued
 * @lead: received: the sender's TSC minus ours is this or more, or HK_LEAD_NONE
 * @rtt_min: received: shortest round trip on the link, in ticks
 * @body: hdr.len bytes
 */
struct hk_msg {
	union {
		struct list_head list;
		struct rcu_head rcu;
	};
	struct hk_wire_hdr hdr;
	struct page *page;
	u64 queued_ns;
	s64 lead;
	u64 rtt_min;
	u8 body[] __aligned(8);
};

/**
 * struct hk_link_ops - calls from a link to its owner
 * @recv: a message whose header, length and flags are sound. Called in the
 *	receiving thread, one at a time, in order within a lane; may sleep for
 *	memory or locks, must not wait for the network. The callee owns @msg
 *	(frees it with hk_msg_free()). A negative return closes the link, with
 *	@why (HK_REASON_MAX bytes) filled in.
 * @ending: optional: the link is about to end; @why as for @down. In process context;
 *	recv may run still. What waits for the peer must be made to give up here, as the
 *	link waits for recv next, and recv may be waiting for such a one.
 * @down: the link ended; exactly once, in process context; @why is text for
 *	humans. No recv runs or will run. Must not call hk_link_close().
 * @path: optional: a path can be used now, or no longer, or has another connection. In
 *	process context; not after @down
 * @fill_ping: optional: put node figures (used, budget) into a PING or PONG. Called
 *	in the sending and in the receiving thread, perhaps at the same time.
 * @seen_ping: optional: the peer's figures, in the receiving thread
 * @up: optional: the peer's HELLO was accepted. In the receiving thread, before
 *	any recv; may be called before hk_link_create() has returned, so this is
 *	the place to publish @link where recv looks for it.
 * @heard: a PING or PONG came, with this @lead and @rtt_min of struct hk_msg. In
 *	the receiving thread, as recv
 * @timed: somebody depends on the peer's time: PING as often as that needs. In
 *	softirq
 * @tsc: this node's TSC. Any context
 */
struct hk_link_ops {
	int (*recv)(struct hk_link *link, struct hk_msg *msg, char *why);
	void (*ending)(struct hk_link *link, const char *why);
	void (*down)(struct hk_link *link, const char *why);
	void (*path)(struct hk_link *link, unsigned int id);
	void (*fill_ping)(struct hk_link *link, struct hk_wire_ping *ping);
	void (*seen_ping)(struct hk_link *link, const struct hk_wire_ping *ping);
	void (*up)(struct hk_link *link);
	void (*heard)(struct hk_link *link, s64 lead, u64 rtt_min);
	bool (*timed)(struct hk_link *link);
	u64 (*tsc)(struct hk_link *link);
};

/**
 * struct hk_link_cfg - fixed at creation
 * @self: own node id
 * @peer: node id of the other end
 * @epoch: membership generation sent in headers; other values in received
 *	headers are counted and the message is dropped, except HELLO
 * @cluster: cluster identity
 * @heartbeat_ms: a PING this often, 10 to 10000
 * @dead_ms: nothing heard for so long: the link is down, 100 to 60000
 * @transport: what carries the link; its module is held by the caller, and on
 *	success by the link until its end
 * @priv: for the owner
 */
struct hk_link_cfg {
	u16 self;
	u16 peer;
	u32 epoch;
	u8 cluster[16];
	u32 heartbeat_ms;
	u32 dead_ms;
	const struct hk_transport *transport;
	void *priv;
};

/**
 * struct hk_link_stats - counters of a link since its creation
 * @tx_msgs: messages given to the transport
 * @tx_bytes: their bytes
 * @rx_msgs: messages received whole
 * @rx_bytes: bytes received
 * @rx_stale: messages dropped because of another epoch
 * @tx_queued: messages in the queues now
 * @rtt_ns_min: shortest round trip of a PING, 0 before the first
 * @rtt_ns_last: last one
 * @tsc_offset: peer's TSC minus ours, best estimate
 * @tsc_error: bound of its error in TSC ticks, grows with age; U64_MAX: unknown
 * @renewals: times the link has gone over to another connection
 * @up_ms: time since the peer's HELLO, 0 before
 */
struct hk_link_stats {
	u64 tx_msgs;
	u64 tx_bytes;
	u64 rx_msgs;
	u64 rx_bytes;
	u64 rx_stale;
	u64 tx_queued;
	u32 renewals;
	u64 rtt_ns_min;
	u64 rtt_ns_last;
	s64 tsc_offset;
	u64 tsc_error;
	u64 up_ms;
};

enum hk_link_path_state {
	HK_LINK_PATH_NONE,	/* never was */
	HK_LINK_PATH_JOINING,	/* the peer has not taken it up yet */
	HK_LINK_PATH_STANDBY,	/* would be used if the active one failed */
	HK_LINK_PATH_ACTIVE,	/* what is sent goes here */
	HK_LINK_PATH_DOWN,	/* has failed, or was dropped */
};

/**
 * struct hk_link_path - one connection of a link
 * @state: enum hk_link_path_state
 * @why: DOWN: the reason
 * @transport: name of what carries it
 * @local: own address; AF_UNSPEC: not known
 * @peer: the other one
 * @tx_bytes: sent on it; this and what follows counts over all connections that this
 *	path has had
 * @rx_bytes: received
 * @resent: messages sent again here, as another path failed with them
 * @again: messages received that had come on another path already, dropped
 * @failovers: times sending has come here from a path that failed
 * @rtt_ns: last round trip, 0: not measured
 */
struct hk_link_path {
	u8 state;
	char why[HK_REASON_MAX];
	char transport[HK_TRANSPORT_NAME_MAX];
	struct sockaddr_storage local;
	struct sockaddr_storage peer;
	u64 tx_bytes;
	u64 rx_bytes;
	u64 resent;
	u64 again;
	u32 failovers;
	u64 rtt_ns;
};

#define HK_LINK_RTT_NR	4	/* percentiles: 50, 90, 99, 99.9 */

/**
 * struct hk_link_detail - more of the same
 * @tx_queued: messages in the queues now
 * @tx_queued_max: most that there ever were
 * @has_resent: the transport counts @resent
 * @resent: TCP: segments sent again
 * @rtt_nr: round trips measured
 * @rtt_ns: percentiles of these, each right to an eighth
 * @rtt_ns_max: longest one
 */
struct hk_link_detail {
	u32 tx_queued;
	u32 tx_queued_max;
	bool has_resent;
	u64 resent;
	u64 rtt_nr;
	u64 rtt_ns[HK_LINK_RTT_NR];
	u64 rtt_ns_max;
};

/**
 * hk_link_create() - take over a connected socket and start the link
 * @ops: calls upwards
 * @cfg: parameters, copied
 * @sock: connected stream socket; on success the link owns it (the reference to
 *	its file is dropped when the link is freed)
 * @why: out, HK_REASON_MAX bytes: text for humans when it fails
 *
 * Sends HELLO and expects the peer's as the first message. Messages may be queued at
 * once. All of @ops may be called before this function has returned.
 * Context: process, may sleep.
 * Return: the link with one reference for the caller, or ERR_PTR.
 */
struct hk_link *hk_link_create(const struct hk_link_ops *ops,
			       const struct hk_link_cfg *cfg,
			       struct socket *sock, char *why);

/**
 * hk_link_close() - end a link
 * @link: link
 * @why: told to ops->down and to the peer in a BYE; NULL: silently
 *
 * Returns when both threads have ended and ops->down has been called. Not to be
 * called from the ops (return an error in ops->recv instead). Control messages
 * queued before still go out when that works at once, pages do not. May be called
 * by several at a time, and again.
 * Context: process, sleeps; no lock of the caller's that the ops take; not from a
 * WQ_MEM_RECLAIM workqueue.
 */
void hk_link_close(struct hk_link *link, const char *why);

/**
 * hk_link_renew() - go over to another connection
 * @link: link that is up
 * @sock: connected stream socket, its other end given to the peer's link likewise;
 *	on success the link owns it
 * @why: out, HK_REASON_MAX bytes: text for humans when it fails
 *
 * Returns at once. When both directions have gone over, the former connection is
 * closed and the renewals of the statistics count one more. When the other end of
 * @sock is not given to the peer within dead_ms, the link ends.
 * Context: process, may sleep.
 * Return: 0; -ENOTCONN the link is not up; -EOPNOTSUPP it is not over TCP, or has
 * several paths; -EBUSY another renewal has not ended yet; -ENOMEM; or what is wrong
 * with the socket
 */
int hk_link_renew(struct hk_link *link, struct socket *sock, char *why);

/**
 * hk_link_path_add() - give a link another connection
 * @link: link that is up
 * @id: number of the path, below HK_PATH_MAX; the same at both ends
 * @sock: connected stream socket, its other end given to the peer's link likewise;
 *	on success the link owns it
 * @transport: what is to carry it, the same at both ends; its module is held by the caller,
 *	and on success by the link while the connection is there
 * @why: out, HK_REASON_MAX bytes: text for humans when it fails
 *
 * Returns at once. The path is joining until the peer has taken it up as well; when
 * that takes longer than dead_ms it is dropped, and the link goes on. Where there is such a
 * path it stays in use meanwhile; then the new connection takes its place, and the renewals
 * of the statistics count one more.
 * Context: process, may sleep.
 * Return: 0; -ENOTCONN the link is not up; -EBUSY one is joining, or has not
 * gone yet, or a renewal has not ended; -ENOMEM; or what is wrong with the socket
 */
int hk_link_path_add(struct hk_link *link, unsigned int id, struct socket *sock,
		     const struct hk_transport *transport, char *why);

/**
 * hk_link_path_del() - do without a path
 * @link: link
 * @id: number of the path
 * @why: out, HK_REASON_MAX bytes: text for humans when it fails
 *
 * Context: process, may sleep.
 * Return: 0; -ENOENT there is no such path; -EBUSY the link has no other one to use
 */
int hk_link_path_del(struct hk_link *link, unsigned int id, char *why);

/* what there is to say of a path; false when it never was. Context: process */
bool hk_link_path_get(struct hk_link *link, unsigned int id,
		      struct hk_link_path *path);

/**
 * hk_link_fail() - ask for the end of a link from any context
 * @link: link
 * @why: text, copied
 *
 * The threads end soon and ops->down is called; the owner then still calls
 * hk_link_close() (from a work of its own) to wait for the threads. The peer is
 * told @why in a BYE.
 * Context: any, also with interrupts off.
 */
void hk_link_fail(struct hk_link *link, const char *why);

void hk_link_get(struct hk_link *link);
void hk_link_put(struct hk_link *link);	/* any context; NULL is allowed */
void *hk_link_priv(struct hk_link *link);
u16 hk_link_peer(struct hk_link *link);
/* what carries it, until the caller's reference is gone */
const char *hk_link_transport(struct hk_link *link);
/* HELLO was exchanged and the end has not begun */
bool hk_link_is_up(struct hk_link *link);
/* HK_WIRE_FEATURE_* that both ends have offered, 0 before HELLO. Any context */
u32 hk_link_features(struct hk_link *link);
void hk_link_stats_get(struct hk_link *link, struct hk_link_stats *stats);
void hk_link_detail_get(struct hk_link *link, struct hk_link_detail *d);
void hk_link_type_get(struct hk_link *link, unsigned int type, u64 *tx, u64 *rx);

/**
 * hk_link_tsc_offset() - best estimate of the peer's TSC minus ours
 * @link: link
 * @error: out, may be NULL: bound of the error in ticks, or U64_MAX before the
 *	first sample
 * Context: any.
 * Return: the estimate, 0 before the first sample
 */
s64 hk_link_tsc_offset(struct hk_link *link, u64 *error);

/**
 * hk_link_send() - queue a message
 * @link: link, NULL is allowed and counts as down
 * @msg: consumed in any case
 *
 * Context: any, also with interrupts off.
 * Return: 0, or -ENOTCONN when the link is down.
 */
int hk_link_send(struct hk_link *link, struct hk_msg *msg);

/**
 * hk_link_echo() - measure round trips in the kernel, one at a time
 * @link: link
 * @req_len: body of the request, at least sizeof(struct hk_wire_echo)
 * @reply_len: body of the reply, likewise; ignored with @reply_page
 * @reply_page: the reply carries a 4 KiB page
 * @nr: how many
 * @ns: out: @nr times in nanoseconds, until the caller runs again
 * Context: process; killable; ends when the link does.
 * Return: 0 or negative errno: -EINVAL sizes, -ENOTCONN link not up, -ETIMEDOUT no
 * answer within dead_ms, -EINTR killed
 */
int hk_link_echo(struct hk_link *link, u32 req_len, u32 reply_len,
		 bool reply_page, u32 nr, u64 *ns);

/**
 * hk_msg_alloc() - a message with room for its body, zeroed
 * @type: enum hk_msg_type; the lane follows from it
 * @vm: VM id or 0
 * @len: bytes of body, within the bounds of the type
 * @gfp: GFP_ATOMIC where needed
 * Return: message or NULL
 */
struct hk_msg *hk_msg_alloc(u8 type, u32 vm, u32 len, gfp_t gfp);

/**
 * hk_msg_free() - free a message and drop its page
 * @msg: message or NULL
 * Context: any, also with interrupts off.
 */
void hk_msg_free(struct hk_msg *msg);

/* Name of a message type for logs, never NULL */
const char *hk_msg_name(u8 type);

#endif /* HK_FABRIC_LINK_H */
