/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a link is made of: for link.c, link_rx.c and message.c alone
 */
#ifndef HK_FABRIC_LINK_INTERNAL_H
#define HK_FABRIC_LINK_INTERNAL_H

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rcuwait.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "clock.h"
#include "hist.h"
#include "link.h"
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

/**
 * struct hk_link - see the head of link.c
 * @kref: references; the last put may come from any context
 * @ops: calls to the owner
 * @cfg: parameters
 * @transport: its name, also when its module has gone
 * @conn: the connection that is read from, NULL after the end
 * @tx_conn: the one that is written to; another one during a renewal
 * @prev: during a renewal: where both were; under @lock, and @conn_lock to let it go
 * @next: where both go; likewise
 * @renewals: renewals that have ended
 * @lock: protects the fields down to @up_since
 * @state: enum link_state; also read without @lock
 * @end_flags: END_*, valid from ENDING on
 * @why: reason of the end, valid from ENDING on, final in ENDED
 * @lanes: messages to send
 * @queued: messages in @lanes; also read without @lock
 * @queued_max: most that there ever were
 * @hello: peer's HELLO was accepted
 * @clock: samples of the peer's TSC
 * @rtt_min: shortest round trip in ns, 0: none
 * @rtt_last: last round trip in ns
 * @rtt: all round trips in ns
 * @resent_past: what connections that have gone had sent again
 * @up_since: ktime of the HELLO, 0: none
 * @tx_wait: the sender sleeps here
 * @tx_task: sender
 * @tx_done: it has ended
 * @tx_seq: messages numbered so far (sender only; stats read it)
 * @tx_bytes: sent (sender only; stats read it)
 * @tx_types: sent, by type (sender only; stats read it)
 * @ping_due: set by the timer, cleared by the sender
 * @ping: the message that it then fills and sends (sender only)
 * @bye: likewise, for the end
 * @batch: scratch of the sender
 * @rx_task: receiver, NULL after it has ended
 * @rx_done: it has ended
 * @rx_seq: number of the last message (receiver only; stats read it)
 * @rx_bytes: received (receiver only; stats read it)
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
 * @echo_lock: one hk_link_echo() at a time
 * @echo_wait: it waits here
 * @echo_cookie: number of the last ECHO sent (under @echo_lock)
 * @echo_seen: number of the last ECHO_REPLY (receiver)
 * @switch_due: the sender is to send SWITCH
 * @switch_msg: it, until then (under @lock, then the sender)
 * @conn_lock: connections do not go while it is held; outside of @lock
 * @renew_wait: the receiver waits for @next here
 * @renew_work: lets @prev go
 * @end_work: takes the link down
 * @ended: ops->down has been called
 */
struct hk_link {
	struct kref kref;
	const struct hk_link_ops *ops;
	struct hk_link_cfg cfg;
	char transport[HK_TRANSPORT_NAME_MAX];
	struct hk_conn *conn;
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
	u64 tx_bytes;
	u64 tx_types[HK_MSG_NR];
	bool ping_due;
	struct hk_msg *ping;
	struct hk_msg *bye;
	struct hk_msg *batch[HK_TX_BATCH];

	struct task_struct *rx_task ____cacheline_aligned_in_smp;
	struct completion rx_done;
	u64 rx_seq;
	u64 rx_bytes;
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

	struct mutex echo_lock;	/* outermost: held over the whole measurement */
	wait_queue_head_t echo_wait;
	u64 echo_cookie;
	u64 echo_seen;

	bool switch_due;
	struct hk_msg *switch_msg;
	struct mutex conn_lock;	/* taken in work items and by hk_link_renew() */
	wait_queue_head_t renew_wait;
	struct work_struct renew_work;

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

/* link_renew.c: see there */
void hk_link_renew_init(struct hk_link *link);
void hk_link_tx_switched(struct hk_link *link);
bool hk_link_rx_switch(struct hk_link *link);
void hk_link_renew_shutdown(struct hk_link *link);
void hk_link_renew_release(struct hk_link *link);

/* link_rx.c: the receiver, @data is the struct hk_link */
int hk_link_rx_thread(void *data);

/* message.c: a message with @len bytes of body that are not zeroed */
struct hk_msg *hk_msg_new(u32 len, gfp_t gfp);

#endif /* HK_FABRIC_LINK_INTERNAL_H */
