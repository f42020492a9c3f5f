/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a link is made of: for link*.c and message.c alone
 */
#ifndef HK_FABRIC_LINK_INTERNAL_H
#define HK_FABRIC_LINK_INTERNAL_H

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rcuwait.h>
#include <linux/socket.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "clock.h"
#include "hist.h"
#include "link.h"
#include "retain.h"
#include "transport.h"

/* Bytes after which the sender stops collecting */
#define TX_BATCH_BYTES		65536
/* PINGs in quick succession after HELLO, for the clock */
#define QUICK_PINGS		16
#define QUICK_PING_MS		20
/* How long the end waits for the sender to say BYE */
#define END_BYE_MS		500
/* How long it waits for the receiver to find a better reason */
#define END_REASON_MS		100

enum link_state {
	LINK_HELLO,
	LINK_UP,
	LINK_ENDING,
	LINK_ENDED,
};

/* Tell the peer the reason in a BYE */
#define END_TELL	0x01
/* Another reason that turns up during the end is better than this one */
#define END_WEAK	0x02

/* What the sender is to say on a path, bits of hk_path.due */
#define PATH_DUE_PATH		0
#define PATH_DUE_PING		1
#define PATH_DUE_PONG		2
#define PATH_DUE_ACK		3

/* An ACK after so many messages, or so many bytes */
#define ACK_MSGS		64
#define ACK_BYTES		(256 << 10)

/*
 * Places for connections of a link: path I has those at I and at I + HK_PATH_MAX, so that it
 * can go over to a new connection while the former one carries
 */
#define PATH_PLACES		(2 * HK_PATH_MAX)

/**
 * struct hk_path - one connection of a link; see the head of link_path.c
 * @link: it
 * @id: number of the path
 * @state: enum hk_link_path_state, ACTIVE and STANDBY being the same here; under
 *	&hk_link.lock, also read without
 * @conn: connection that is read from, NULL: none; written under &hk_link.lock and
 *	&hk_link.conn_lock. A path without one can be made anew
 * @transport: name of what carries @conn, or carried the last one; under &hk_link.lock
 * @held: reference to it that goes with @conn, NULL: the link's own does; under
 *	&hk_link.conn_lock
 * @started: the transport is done with what comes before the first message
 * @rx_task: its receiver, NULL after it has ended
 * @why: DOWN: the reason; under &hk_link.lock
 * @local: own address; likewise
 * @peer: the other one; likewise
 * @gen: counts its connections; under &hk_link.lock
 * @since: ktime when it was made
 * @own: cookie that is said on the link and on the connection
 * @heard: the peer's cookie on this connection, 0: none yet; under &hk_link.lock
 * @joined: both cookies are there and are the same; under &hk_link.lock, also read
 *	without
 * @due: PATH_DUE_*
 * @pong: t_sent that the PONG is for
 * @suspect: the @quiet_since that was found to last too long (timer)
 * @suspect_until: ktime to which it may (timer)
 * @tx_bytes: sent (sender; stats read it), as those below never set back
 * @resent: messages sent again here (sender; stats read it)
 * @failovers: times the sender has come here from a path that failed (likewise)
 * @quiet_since: as &hk_link.quiet_since, for this path
 * @rx_bytes: received (its receiver; stats read it)
 * @again: messages that had come on another path before (its receiver; stats read it)
 * @rtt: last round trip on it in ns, 0: none (its receiver; stats read it)
 * @work: lets the connection go
 */
struct hk_path {
	struct hk_link *link;
	u8 id;
	u8 state;
	struct hk_conn *conn;
	char transport[HK_TRANSPORT_NAME_MAX];
	const struct hk_transport *held;
	bool started;
	struct task_struct *rx_task;
	char why[HK_REASON_MAX];
	struct sockaddr_storage local;
	struct sockaddr_storage peer;
	u32 gen;
	u64 since;
	u64 own;
	u64 heard;
	bool joined;
	unsigned long due;
	u64 pong;
	u64 suspect;
	u64 suspect_until;

	u64 tx_bytes ____cacheline_aligned_in_smp;
	u64 resent;
	u32 failovers;

	u64 quiet_since ____cacheline_aligned_in_smp;
	u64 rx_bytes;
	u64 again;
	u64 rtt;

	struct work_struct work;
};

/**
 * struct hk_link - see the head of link.c
 * @kref: references; the last put may come from any context
 * @ops: calls to the owner
 * @cfg: parameters
 * @transport: its name, also when its module has gone
 * @paths: its connections, see PATH_PLACES; the first is there from the beginning
 * @active: path that the sender uses; written by it under @lock
 * @active_gen: its &hk_path.gen when it was chosen (sender only)
 * @tx_using: path that the sender is in the transport for, or NULL; under @lock
 * @tx_since: ktime since when, where there are several; likewise
 * @tx_conn: of the first path, while there was no other one: the connection that is
 *	written to; another one than is read from during a renewal
 * @prev: during a renewal: where both were; under @lock, and @conn_lock to let it go
 * @next: where both go; likewise
 * @renewals: connections that have taken the place of another one; under @lock
 * @lock: protects the fields down to @up_since
 * @state: enum link_state; also read without @lock
 * @end_flags: END_*, valid from ENDING on
 * @why: reason of the end, valid from ENDING on, final in ENDED
 * @lanes: messages to send
 * @queued: messages in @lanes; also read without @lock
 * @queued_max: most that there ever were
 * @hello: peer's HELLO was accepted
 * @several: a path was added; from then on the peer may send what is not numbered
 * @joined: a path has: the peer may be sent what is not numbered
 * @announced: cookie that the peer said of each path on the link itself, 0: none
 * @clock: samples of the peer's TSC
 * @rtt_min: shortest round trip in ns, 0: none
 * @rtt_last: last round trip in ns
 * @rtt: all round trips in ns
 * @resent_past: what connections that have gone had sent again
 * @up_since: ktime of the HELLO, 0: none
 * @tx_wait: the sender sleeps here
 * @tx_task: sender
 * @tx_done: it has ended
 * @tx_seq: messages sent so far (sender only; stats read it)
 * @tx_numbered: messages numbered so far (sender; receivers read it)
 * @tx_bytes: sent (sender only; stats read it)
 * @tx_types: sent, by type (sender only; stats read it)
 * @ping_due: set by the timer, cleared by the sender
 * @ping: the message that it then fills and sends (sender only)
 * @bye: likewise, for the end
 * @batch: scratch of the sender
 * @path_msg: likewise, for what is not numbered
 * @retaining: what is sent is kept until it is acknowledged (sender; receivers read it)
 * @retain_from: number of the first message that was kept (sender; also under @lock)
 * @retain: what is kept (sender only)
 * @path_due: something has happened to the paths that the sender is to look at
 * @acked: last message that the peer has acknowledged (receivers under @rx_lock)
 * @rx_lock: one message at a time, whichever path it comes on: what is the receiver's
 *	is under it
 * @rx_done: a receiver has ended
 * @features: HK_WIRE_FEATURE_* that both ends offer, 0 before HELLO (receiver only;
 *	read by any)
 * @rx_seq: number of the last message (receiver only; stats read it)
 * @ack_msgs: messages since the last ACK was asked for
 * @ack_bytes: their bytes
 * @rx_stale: dropped because of another epoch (receiver only; stats read it)
 * @rx_types: received, by type (receiver only; stats read it)
 * @quiet_since: ktime since when the receiver waits in vain; 0: it does not wait
 * @busy_since: ktime since when it works on a message; 0: it does not
 * @busy_type: type of that message, valid while @busy_since is not 0
 * @timer: heartbeat and the peer's death
 * @next_ping: ktime of the next PING (timer; the receiver when the link comes up)
 * @next_tick: ktime when the timer should have run (timer)
 * @spared: the @quiet_since that is allowed to last longer, as the timer was late (timer)
 * @spared_until: ktime to which it may (timer)
 * @quick: quick PINGs left (timer)
 * @ack_seen: @acked at the timer's last look (timer)
 * @ack_since: ktime since when that has been so, with more to be acknowledged (timer)
 * @stuck: the @tx_since that was found to last too long (timer)
 * @stuck_until: ktime to which it may (timer)
 * @echo_lock: one hk_link_echo() at a time
 * @echo_wait: it waits here
 * @echo_cookie: number of the last ECHO sent (under @echo_lock)
 * @echo_seen: number of the last ECHO_REPLY (receiver)
 * @switch_due: the sender is to send SWITCH
 * @switch_msg: it, until then (under @lock, then the sender)
 * @conn_lock: connections do not go while it is held; outside of @lock
 * @renew_wait: the receiver waits for @next here
 * @renew_work: lets @prev go
 * @path_wait: @tx_using has changed, or a path has joined or failed
 * @end_work: takes the link down
 * @ended: ops->down has been called
 */
struct hk_link {
	struct kref kref;
	const struct hk_link_ops *ops;
	struct hk_link_cfg cfg;
	char transport[HK_TRANSPORT_NAME_MAX];
	struct hk_path paths[PATH_PLACES];
	struct hk_path *active;
	u32 active_gen;
	struct hk_path *tx_using;
	u64 tx_since;
	struct hk_conn *tx_conn;
	struct hk_conn *prev;
	struct hk_conn *next;
	u32 renewals;

	raw_spinlock_t lock;	/* leaf, see Locks in link.c */
	enum link_state state;
	unsigned int end_flags;
	char why[HK_REASON_MAX];
	struct list_head lanes[HK_LANE_NR];
	u32 queued;
	u32 queued_max;
	bool hello;
	bool several;
	bool joined;
	u64 announced[HK_PATH_MAX];
	struct hk_clock clock;
	u64 rtt_min;
	u64 rtt_last;
	struct hk_hist rtt;
	u64 resent_past;
	u64 up_since;

	struct rcuwait tx_wait ____cacheline_aligned_in_smp;
	struct task_struct *tx_task;
	struct completion tx_done;
	u64 tx_seq;
	u64 tx_numbered;
	u64 tx_bytes;
	u64 tx_types[HK_MSG_NR];
	bool ping_due;
	struct hk_msg *ping;
	struct hk_msg *bye;
	struct hk_msg *batch[HK_TX_BATCH];
	struct hk_msg *path_msg;
	bool retaining;
	u64 retain_from;
	struct hk_retain retain;
	bool path_due;
	u64 acked;

	/* held over ops->recv; outside of @lock and of what the owner takes there */
	struct mutex rx_lock ____cacheline_aligned_in_smp;
	struct completion rx_done;
	u32 features;
	u64 rx_seq;
	u32 ack_msgs;
	u32 ack_bytes;
	u64 rx_stale;
	u64 rx_types[HK_MSG_NR];
	u64 quiet_since;
	u64 busy_since;
	u8 busy_type;

	struct timer_list timer;
	u64 next_ping;
	u64 next_tick;
	u64 spared;
	u64 spared_until;
	u32 quick;
	u64 ack_seen;
	u64 ack_since;
	u64 stuck;
	u64 stuck_until;

	struct mutex echo_lock;	/* outermost: held over the whole measurement */
	wait_queue_head_t echo_wait;
	u64 echo_cookie;
	u64 echo_seen;

	bool switch_due;
	struct hk_msg *switch_msg;
	struct mutex conn_lock;	/* taken in work items and by hk_link_renew() */
	wait_queue_head_t renew_wait;
	struct work_struct renew_work;
	wait_queue_head_t path_wait;

	struct work_struct end_work;
	struct completion ended;
};

static inline u64 hk_link_tsc(struct hk_link *link)
{
	return link->ops->tsc(link);
}

static inline bool hk_link_ending(struct hk_link *link)
{
	return READ_ONCE(link->state) >= LINK_ENDING;
}

static inline bool hk_path_live(const struct hk_path *path)
{
	return READ_ONCE(path->state) == HK_LINK_PATH_JOINING ||
	       READ_ONCE(path->state) == HK_LINK_PATH_STANDBY;
}

/* A connection that is part of the link; the sender's one is not told apart here */
static inline bool hk_path_usable(const struct hk_path *path)
{
	return READ_ONCE(path->state) == HK_LINK_PATH_STANDBY;
}

/* The other place of the same path */
static inline struct hk_path *hk_path_twin(struct hk_path *path)
{
	struct hk_path *paths = path->link->paths;

	return &paths[(path - paths + HK_PATH_MAX) % PATH_PLACES];
}

/* link.c */

/**
 * hk_link_end() - begin the end of a link, or give it a better reason
 * @link: link
 * @flags: END_*
 * @fmt: reason
 * Context: any.
 */
__printf(3, 4)
void hk_link_end(struct hk_link *link, unsigned int flags, const char *fmt, ...);

/* put the owner's figures into a PING or PONG */
void hk_link_fill_ping(struct hk_link *link, struct hk_msg *msg);

/* fill what hk_link_send() fills, for messages that never are in a lane */
void hk_link_own_hdr(struct hk_link *link, struct hk_msg *msg);

/* as late as possible, right before the bytes are given to the transport */
void hk_link_timestamp(struct hk_link *link, struct hk_msg *msg);

/* a thread that runs when woken and whose task_struct outlives it, and its undoing */
struct task_struct *hk_link_thread(struct hk_link *link, const char *name,
				   int (*fn)(void *data), void *data);
void hk_link_thread_undo(struct task_struct *task);

/* link_path.c: see there */
enum hk_tx_paths {
	HK_TX_GO_ON,		/* send what is in the lanes */
	HK_TX_AGAIN,		/* there may be more to do for the paths first */
	HK_TX_STOP,		/* no path is left: the link ends */
};

int hk_path_send(struct hk_path *path, u32 gen, struct hk_msg *const *msgs,
		 unsigned int nr, u64 bytes, bool more);
bool hk_path_tx_wanted(struct hk_link *link);
enum hk_tx_paths hk_path_tx(struct hk_link *link);
void hk_path_say(struct hk_path *path, unsigned int what);
bool hk_path_rx_path(struct hk_path *path, const struct hk_msg *msg,
		     const char **why);
bool hk_path_rx_wait(struct hk_path *path);
void hk_path_confirm(struct hk_path *path);
void hk_path_proved(struct hk_path *path);
bool hk_path_rx_ack(struct hk_link *link, const struct hk_msg *msg);
void hk_path_came(struct hk_path *path, const struct hk_msg *msg);
u64 hk_path_timer(struct hk_link *link, u64 now);
void hk_path_stop_rx(struct hk_link *link);
void hk_path_cancel(struct hk_link *link);
void hk_path_kick(struct hk_link *link);
bool hk_path_acked(struct hk_link *link);
void hk_path_down(struct hk_path *path, const char *why);
void hk_path_gone(struct hk_path *path);
void hk_path_work(struct work_struct *work);

/* link_path_add.c: see there */
void hk_path_init(struct hk_link *link);
void hk_path_addresses(struct hk_path *path, struct socket *sock);
void hk_path_release(struct hk_path *path, struct hk_conn *conn);

/**
 * hk_path_fail() - a path is of no use any more
 * @path: path
 * @flags: END_*, for when the link ends
 * @fmt: reason
 *
 * The link goes on by another path, or begins to end when there is none.
 * Context: any.
 */
__printf(3, 4)
void hk_path_fail(struct hk_path *path, unsigned int flags, const char *fmt, ...);

/* link_renew.c: see there */
void hk_link_renew_init(struct hk_link *link);
void hk_link_tx_switched(struct hk_link *link);
bool hk_link_rx_switch(struct hk_link *link);
void hk_link_renew_shutdown(struct hk_link *link);
void hk_link_renew_release(struct hk_link *link);

/* link_rx.c: a receiver, @data is its struct hk_path */
int hk_link_rx_thread(void *data);

/* message.c: a message with @len bytes of body that are not zeroed */
struct hk_msg *hk_msg_new(u32 len, gfp_t gfp);

#endif /* HK_FABRIC_LINK_INTERNAL_H */
