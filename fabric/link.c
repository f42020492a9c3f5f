// SPDX-License-Identifier: GPL-2.0
/*
 * The ordered channel to one peer: life, sending, heartbeat
 *
 * Who runs:
 *
 *	sender	(thread) sleeps on tx_wait, takes what is queued, control lane first,
 *		numbers it, gives it to the transport in one go
 *	receiver (thread, link_rx.c) blocks in the transport; checks, answers what
 *		belongs to the link itself, gives the rest to ops->recv
 *	timer	(softirq) asks the sender for a PING, declares a silent peer dead; it
 *		needs no memory and no thread, so that a host short of either does
 *		not look dead to itself
 *	end work (workqueue) takes the link down, once
 *
 * A link goes through the states below, always forward; hk_link_end() makes the step
 * to ENDING, whoever calls first, and queues the end work:
 *
 *	HELLO ---HELLO accepted---> UP
 *	  |                          |
 *	  +----- hk_link_end() ------+--> ENDING ---end work---> ENDED
 *
 * hk_link_close() is hk_link_end() and a wait for ENDED. Contexts that may still hold
 * the link while the end work runs, and why none is in its way:
 *
 * 1. hk_link_send() in any context. It looks at the state and queues under @lock: what
 *    it queued before ENDING is freed by the end work after the sender has gone, what
 *    comes later is refused. Its wake-up after the unlock touches @link, which its
 *    caller's reference keeps; tx_wait is empty once the sender has gone.
 * 2. The sender, asleep or blocked in the transport. hk_link_end() wakes it; ENDING is
 *    part of its wait condition. Blocked on a peer that takes nothing, it is freed by
 *    shutdown, which does not wait for it.
 * 3. The receiver, blocked in the transport: shutdown lets it read what has already
 *    arrived, then end. Inside ops->recv: that must not wait for the network, thus
 *    comes back; if it does so all the same, by way of a lock, ops->ending has ended
 *    that wait. If it is there for the lock of somebody in hk_link_close(), nothing
 *    helps: so that is forbidden.
 * 4. The timer: shut down after the receiver has gone, who is the only other one
 *    to arm it. An hk_link_end() of its own after ENDING changes nothing.
 * 5. hk_link_echo(): ENDING is part of its wait condition.
 * 6. Another hk_link_end(): the state is changed under @lock, the work queued once.
 * 7. hk_link_renew() and what it sets going: see link_renew.c.
 * 8. Several connections, each with a receiver of its own: see link_path.c.
 *
 * The end work holds a reference of its own ("running"), given at creation.
 *
 * Locks: @lock is a leaf, raw and taken with interrupts off, as KVM queues interrupts
 * from hrtimer callbacks and under raw locks. The wake-up is rcuwait, the same that
 * KVM uses for vCPUs in these places: no lock but the scheduler's. So hk_link_send()
 * and hk_link_fail() may be called with any lock held but the scheduler's own. (A
 * refused message is freed on the spot; under a raw lock that is right as long as
 * the kernel is not PREEMPT_RT, as is allocating it there.)
 */
#include "link_internal.h"

#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/rcuwait.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

/*
 * A peer that takes nothing is given up before what waits for it fills the memory,
 * be its own heartbeats as they may. More than this does not wait for one that does:
 * a node has a request for each thread that faults under way, and some hundred offers.
 */
#define TX_QUEUED_MAX	32768

/* A receiver that works on one message for so many times dead_ms is stuck */
#define RX_BUSY_DEADS	2

/* The end */

void hk_link_end(struct hk_link *link, unsigned int flags, const char *fmt, ...)
{
	unsigned long irq;
	bool first;
	va_list args;

	raw_spin_lock_irqsave(&link->lock, irq);
	first = !hk_link_ending(link);
	if (first || (link->end_flags & END_WEAK && !(flags & END_WEAK))) {
		va_start(args, fmt);
		vscnprintf(link->why, sizeof(link->why), fmt, args);
		va_end(args);
	}
	if (first) {
		link->end_flags = flags;
		WRITE_ONCE(link->state, LINK_ENDING);
	} else if (!(flags & END_WEAK)) {
		link->end_flags &= ~END_WEAK;
	}
	raw_spin_unlock_irqrestore(&link->lock, irq);

	if (!first)
		return;
	/*
	 * Still safe to touch: owners have a reference by contract, and for the
	 * threads and the timer the work waits, which is not even queued yet.
	 */
	rcuwait_wake_up(&link->tx_wait);
	queue_work(system_unbound_wq, &link->end_work);
}

static void link_purge(struct hk_link *link)
{
	struct hk_msg *msg, *tmp;
	unsigned long irq;
	LIST_HEAD(list);
	int i;

	raw_spin_lock_irqsave(&link->lock, irq);
	for (i = 0; i < HK_LANE_NR; i++)
		list_splice_tail_init(&link->lanes[i], &list);
	WRITE_ONCE(link->queued, 0);
	raw_spin_unlock_irqrestore(&link->lock, irq);

	list_for_each_entry_safe(msg, tmp, &list, list)
		hk_msg_free(msg);
}

static void link_end_work(struct work_struct *work)
{
	struct hk_link *link = container_of(work, struct hk_link, end_work);
	unsigned int flags = READ_ONCE(link->end_flags);

	/* Not in hk_link_end(): the lock of the wait queue is not a raw one */
	wake_up_all(&link->echo_wait);
	wake_up_all(&link->path_wait);
	if (flags & END_TELL)
		wait_for_completion_timeout(&link->tx_done,
					    msecs_to_jiffies(END_BYE_MS));
	if (flags & END_WEAK)
		wait_for_completion_timeout(&link->rx_done,
					    msecs_to_jiffies(END_REASON_MS));
	/* What comes to light from here on is our own doing: @why is final */
	raw_spin_lock_irq(&link->lock);
	link->end_flags &= ~END_WEAK;
	raw_spin_unlock_irq(&link->lock);

	if (link->ops->ending)
		link->ops->ending(link, link->why);
	hk_link_renew_shutdown(link);
	kthread_stop(link->tx_task);
	hk_path_stop_rx(link);
	timer_shutdown_sync(&link->timer);
	put_task_struct(link->tx_task);
	hk_path_cancel(link);

	hk_link_renew_release(link);
	hk_transport_put(link->cfg.transport);
	link_purge(link);
	hk_retain_purge(&link->retain);
	link->ops->down(link, link->why);

	WRITE_ONCE(link->state, LINK_ENDED);
	complete_all(&link->ended);
	hk_link_put(link);
}

void hk_link_fail(struct hk_link *link, const char *why)
{
	hk_link_end(link, END_TELL, "%s", why);
}

void hk_link_close(struct hk_link *link, const char *why)
{
	unsigned int i;

	for (i = 0; i < PATH_PLACES; i++)
		if (WARN_ON_ONCE(current == READ_ONCE(link->paths[i].rx_task)))
			return;
	hk_link_end(link, why ? END_TELL : 0, "%s", why ?: "closed");
	wait_for_completion(&link->ended);
	/* The module may be unloaded next: let the function return, too */
	flush_work(&link->end_work);
}

/* Sending */

int hk_link_send(struct hk_link *link, struct hk_msg *msg)
{
	const struct hk_wire_type *t = hk_wire_type(msg->hdr.type);
	struct hk_wire_hdr *hdr = &msg->hdr;
	unsigned long irq;

	if (!link || WARN_ON_ONCE(!t) ||
	    WARN_ON_ONCE(msg->page && !(t->flags & HK_TYPE_F_PAGE)))
		goto refuse;

	hdr->magic = cpu_to_le16(HK_WIRE_MAGIC);
	hdr->version = HK_WIRE_VERSION;
	hdr->from = cpu_to_le16(link->cfg.self);
	hdr->lane = t->lane;
	hdr->flags = msg->page ? HK_WIRE_F_PAGE : 0;
	hdr->epoch = cpu_to_le32(link->cfg.epoch);
	msg->queued_ns = ktime_get_ns();

	raw_spin_lock_irqsave(&link->lock, irq);
	if (hk_link_ending(link)) {
		raw_spin_unlock_irqrestore(&link->lock, irq);
		goto refuse;
	}
	list_add_tail(&msg->list, &link->lanes[hdr->lane]);
	WRITE_ONCE(link->queued, link->queued + 1);
	if (link->queued > link->queued_max)
		link->queued_max = link->queued;
	raw_spin_unlock_irqrestore(&link->lock, irq);

	/* Pairs with the barrier of set_current_state() in the sender's wait */
	rcuwait_wake_up(&link->tx_wait);
	return 0;

refuse:
	hk_msg_free(msg);
	return -ENOTCONN;
}

void hk_link_own_hdr(struct hk_link *link, struct hk_msg *msg)
{
	struct hk_wire_hdr *hdr = &msg->hdr;

	hdr->magic = cpu_to_le16(HK_WIRE_MAGIC);
	hdr->version = HK_WIRE_VERSION;
	hdr->from = cpu_to_le16(link->cfg.self);
	hdr->epoch = cpu_to_le32(link->cfg.epoch);
}

void hk_link_fill_ping(struct hk_link *link, struct hk_msg *msg)
{
	struct hk_wire_ping *ping = (struct hk_wire_ping *)msg->body;

	if (link->ops->fill_ping)
		link->ops->fill_ping(link, ping);
}

static void tx_fill_bye(struct hk_link *link)
{
	struct hk_wire_text *text = (struct hk_wire_text *)link->bye->body;

	lockdep_assert_held(&link->lock);
	text->node = cpu_to_le16(link->cfg.self);
	strscpy_pad(text->text, link->why, sizeof(text->text));
}

void hk_link_timestamp(struct hk_link *link, struct hk_msg *msg)
{
	struct hk_wire_ping *ping = (struct hk_wire_ping *)msg->body;

	if (msg->hdr.type == HK_MSG_PING)
		ping->t_sent = cpu_to_le64(hk_link_tsc(link));
	else if (msg->hdr.type == HK_MSG_PONG)
		ping->t_peer = cpu_to_le64(hk_link_tsc(link));
}

/* Whether the peer has acknowledged enough for more to be sent */
static bool tx_room(struct hk_link *link)
{
	return !link->retaining || hk_retain_room(&link->retain);
}

static bool tx_wanted(struct hk_link *link)
{
	return (READ_ONCE(link->queued) && tx_room(link)) ||
	       READ_ONCE(link->ping_due) || READ_ONCE(link->switch_due) ||
	       hk_path_tx_wanted(link) ||
	       hk_link_ending(link) || kthread_should_stop();
}

/*
 * Take messages for one send. PING and PONG go alone, as copying others with them
 * would age their time stamp. At the end: the control lane and, if there is
 * something to say, BYE; the page lane is not worth the wait any more.
 */
static unsigned int tx_collect(struct hk_link *link, bool *more, bool *last)
{
	struct hk_msg *msg;
	unsigned int nr = 0, bytes = 0, lane, i;
	bool ending;
	u32 stamp;

	*more = false;
	*last = false;
	/* Alone: what is behind it belongs on the next connection */
	if (link->tx_seq && smp_load_acquire(&link->switch_due) &&
	    !hk_link_ending(link)) {
		WRITE_ONCE(link->switch_due, false);
		link->batch[nr++] = link->switch_msg;
		link->switch_msg = NULL;
		hk_link_own_hdr(link, link->batch[0]);
		goto number;
	}
	/* Not before HELLO went out */
	if (link->tx_seq && READ_ONCE(link->ping_due) && !link->retaining) {
		WRITE_ONCE(link->ping_due, false);
		hk_link_fill_ping(link, link->ping);
		link->batch[nr++] = link->ping;
		goto number;
	}

	raw_spin_lock_irq(&link->lock);
	ending = hk_link_ending(link);
	if (ending && !(link->end_flags & END_TELL)) {
		raw_spin_unlock_irq(&link->lock);
		*last = true;
		return 0;
	}
	/* One batch too much, or a few, do not matter; the end does not wait */
	if (!ending && !tx_room(link))
		goto unlock;
	for (lane = 0; lane < (ending ? HK_LANE_PAGE : HK_LANE_NR); lane++) {
		while (!list_empty(&link->lanes[lane])) {
			if (nr == HK_TX_BATCH || bytes >= TX_BATCH_BYTES) {
				*more = true;
				goto unlock;
			}
			msg = list_first_entry(&link->lanes[lane],
					       struct hk_msg, list);
			if (msg->hdr.type == HK_MSG_PONG && nr)
				goto unlock;
			list_del(&msg->list);
			WRITE_ONCE(link->queued, link->queued - 1);
			link->batch[nr++] = msg;
			bytes += hk_msg_bytes(msg);
			if (msg->hdr.type == HK_MSG_PONG)
				goto unlock;
		}
	}
	/* With a full batch the end comes in the next one */
	if (ending && nr < HK_TX_BATCH) {
		tx_fill_bye(link);
		link->batch[nr++] = link->bye;
		link->bye = NULL;
		*last = true;
	}
unlock:
	raw_spin_unlock_irq(&link->lock);
number:
	/* What the messages tell of happened before they were taken out of the lanes */
	stamp = hk_clock_stamp(hk_link_tsc(link));
	for (i = 0; i < nr; i++) {
		link->batch[i]->hdr.seq = cpu_to_le64(link->tx_numbered + 1 + i);
		link->batch[i]->hdr.stamp = cpu_to_le32(stamp);
		if (link->retaining)
			hk_retain_add(&link->retain, link->batch[i]);
	}
	/* An ACK may come before the transport has returned */
	WRITE_ONCE(link->tx_numbered, link->tx_numbered + nr);
	return nr;
}

/*
 * One step of the sender. While messages are retained they are the list's, and what a
 * path failed with is sent again on another one: an error is none then.
 */
static bool tx_once(struct hk_link *link)
{
	unsigned int nr, i, type;
	u64 bytes = 0;
	bool more, last, over = false;
	int err = 0;

	rcuwait_wait_event(&link->tx_wait, tx_wanted(link), TASK_IDLE);
	if (READ_ONCE(link->several)) {
		switch (hk_path_tx(link)) {
		case HK_TX_AGAIN:
			return true;
		case HK_TX_STOP:
			return false;
		case HK_TX_GO_ON:
			break;
		}
	}
	nr = tx_collect(link, &more, &last);
	if (nr) {
		for (i = 0; i < nr; i++)
			bytes += hk_msg_bytes(link->batch[i]);
		hk_link_timestamp(link, link->batch[0]);
		over = link->batch[0]->hdr.type == HK_MSG_SWITCH;
		err = hk_path_send(link->active, link->active_gen, link->batch, nr,
				   bytes, more);
	}
	for (i = 0; i < nr; i++) {
		type = link->batch[i]->hdr.type;
		WRITE_ONCE(link->tx_types[type], link->tx_types[type] +
			   (!err || link->retaining));
		if (link->batch[i] != link->ping && !link->retaining)
			hk_msg_free(link->batch[i]);
	}
	if (err && hk_link_ending(link))
		return false;
	WRITE_ONCE(link->tx_seq, link->tx_seq + nr);
	WRITE_ONCE(link->tx_bytes, link->tx_bytes + bytes);
	if (over)
		hk_link_tx_switched(link);
	return !last;
}

static int tx_thread(void *data)
{
	struct hk_link *link = data;
	unsigned int noio = memalloc_noio_save();

	while (tx_once(link))
		;
	memalloc_noio_restore(noio);
	complete_all(&link->tx_done);
	return 0;
}

/* Heartbeat */

/*
 * Has the peer been silent for too long? When this host stood still (it may be a VM
 * itself) and the timer comes late, the answer may be in the socket already: the receiver
 * is given its turn, once for each silence, or a host that is always late would never
 * notice.
 */
static bool timer_silent(struct hk_link *link, u64 quiet, u64 now, u64 dead, bool late)
{
	if (!quiet || now - quiet < dead)
		return false;
	if (late && link->spared != quiet) {
		link->spared = quiet;
		link->spared_until = now + dead / 4;
	}
	return link->spared != quiet || now >= link->spared_until;
}

/*
 * Is the receiver stuck? While it works on a message it hears nothing, which is no silence
 * of the peer's. It must not take long; if it does, this link is of no use to anybody,
 * and its end makes those give up whom the receiver may be waiting for.
 */
static bool timer_stuck(struct hk_link *link, u64 busy, u64 now, u64 dead, bool late)
{
	return busy && now - busy >= RX_BUSY_DEADS * dead && !late;
}

static void link_timer(struct timer_list *timer)
{
	struct hk_link *link = from_timer(link, timer, timer);
	u64 beat = (u64)link->cfg.heartbeat_ms * NSEC_PER_MSEC;
	u64 dead = (u64)link->cfg.dead_ms * NSEC_PER_MSEC;
	u64 quiet = READ_ONCE(link->quiet_since);
	u64 busy = READ_ONCE(link->busy_since);
	u64 now = ktime_get_ns();
	u64 next = now + beat;
	bool late = (s64)(now - link->next_tick) >= (s64)dead / 2;

	if (hk_link_ending(link))
		return;
	if (READ_ONCE(link->queued) > TX_QUEUED_MAX) {
		hk_link_end(link, 0, "node %u takes no messages: %u wait for it",
			    link->cfg.peer, READ_ONCE(link->queued));
		return;
	}
	if (timer_silent(link, quiet, now, dead, late)) {
		hk_link_end(link, 0, "nothing heard from node %u for %llu ms",
			    link->cfg.peer, div_u64(now - quiet, NSEC_PER_MSEC));
		return;
	}
	if (timer_stuck(link, busy, now, dead, late)) {
		hk_link_end(link, 0, "a %s of node %u has kept the receiver for %llu ms",
			    hk_msg_name(READ_ONCE(link->busy_type)), link->cfg.peer,
			    div_u64(now - busy, NSEC_PER_MSEC));
		return;
	}
	if (READ_ONCE(link->state) == LINK_UP) {
		next = READ_ONCE(link->next_ping);
		if (now >= next) {
			WRITE_ONCE(link->ping_due, true);
			rcuwait_wake_up(&link->tx_wait);
			/* A path is given up earlier than the link */
			if (READ_ONCE(link->joined))
				beat = min(beat, dead / 8);
			if (link->ops->timed(link))
				beat = min(beat, hk_clock_interval_ns(READ_ONCE(link->rtt_min)));
			next = now + beat;
			if (link->quick) {
				link->quick--;
				next = now + min_t(u64, beat, QUICK_PING_MS *
						   NSEC_PER_MSEC);
			}
			WRITE_ONCE(link->next_ping, next);
		}
	}
	if (quiet)
		next = min(next, max(quiet + dead, link->spared_until));
	if (READ_ONCE(link->several))
		next = min(next, hk_path_timer(link, now));
	link->next_tick = next;
	mod_timer(&link->timer, jiffies + nsecs_to_jiffies(next - now) + 1);
}

/* Life */

static void link_free(struct kref *kref)
{
	struct hk_link *link = container_of(kref, struct hk_link, kref);

	/* All that could sleep was done by the end work */
	hk_msg_free(link->ping);
	hk_msg_free(link->bye);
	hk_msg_free(link->path_msg);
	kfree(link);
}

void hk_link_get(struct hk_link *link)
{
	kref_get(&link->kref);
}

void hk_link_put(struct hk_link *link)
{
	if (link)
		kref_put(&link->kref, link_free);
}

static struct hk_msg *hello_msg(const struct hk_link_cfg *cfg)
{
	struct hk_wire_hello *hello;
	struct hk_msg *msg;

	msg = hk_msg_alloc(HK_MSG_HELLO, 0, sizeof(*hello), GFP_KERNEL);
	if (!msg)
		return NULL;
	hello = (struct hk_wire_hello *)msg->body;
	hello->version_min = HK_WIRE_VERSION;
	hello->version_max = HK_WIRE_VERSION;
	hello->features = cpu_to_le32(HK_WIRE_FEATURES);
	hello->node = cpu_to_le16(cfg->self);
	memcpy(hello->cluster, cfg->cluster, sizeof(hello->cluster));
	return msg;
}

struct task_struct *hk_link_thread(struct hk_link *link, const char *name,
				   int (*fn)(void *data), void *data)
{
	struct task_struct *task;

	task = kthread_create(fn, data, "hk-%s/%u-%u", name, link->cfg.self,
			      link->cfg.peer);
	if (IS_ERR(task))
		return task;
	get_task_struct(task);
	/* A vCPU that waits for a page waits for these, too */
	set_user_nice(task, MIN_NICE);
	return task;
}

void hk_link_thread_undo(struct task_struct *task)
{
	/* Never woken: the function is not entered */
	kthread_stop(task);
	put_task_struct(task);
}

struct hk_link *hk_link_create(const struct hk_link_ops *ops,
			       const struct hk_link_cfg *cfg,
			       struct socket *sock, char *why)
{
	struct hk_link *link;
	struct hk_path *path;
	struct hk_msg *hello;
	int i, err = -ENOMEM;

	if (!cfg->self || !cfg->peer || cfg->self == cfg->peer ||
	    cfg->heartbeat_ms < 10 || cfg->heartbeat_ms > 10000 ||
	    cfg->dead_ms < 100 || cfg->dead_ms > 60000) {
		snprintf(why, HK_REASON_MAX, "unsound parameters");
		return ERR_PTR(-EINVAL);
	}

	snprintf(why, HK_REASON_MAX, "out of memory");
	link = kzalloc(sizeof(*link), GFP_KERNEL);
	if (!link)
		return ERR_PTR(-ENOMEM);
	/* The caller's and the running one, which the end work drops */
	kref_init(&link->kref);
	kref_get(&link->kref);
	link->ops = ops;
	link->cfg = *cfg;
	strscpy(link->transport, cfg->transport->name, sizeof(link->transport));
	raw_spin_lock_init(&link->lock);
	for (i = 0; i < HK_LANE_NR; i++)
		INIT_LIST_HEAD(&link->lanes[i]);
	rcuwait_init(&link->tx_wait);
	init_completion(&link->tx_done);
	init_completion(&link->rx_done);
	init_completion(&link->ended);
	mutex_init(&link->echo_lock);
	init_waitqueue_head(&link->echo_wait);
	hk_link_renew_init(link);
	hk_path_init(link);
	INIT_WORK(&link->end_work, link_end_work);
	timer_setup(&link->timer, link_timer, 0);
	link->quick = QUICK_PINGS;
	/* Right behind HELLO: stamps cannot be read without a whole TSC */
	link->ping_due = true;

	hello = hello_msg(cfg);
	link->ping = hk_msg_alloc(HK_MSG_PING, 0, sizeof(struct hk_wire_ping),
				  GFP_KERNEL);
	link->bye = hk_msg_alloc(HK_MSG_BYE, 0, sizeof(struct hk_wire_text),
				 GFP_KERNEL);
	link->path_msg = hk_msg_alloc(HK_MSG_PATH, 0, sizeof(struct hk_wire_path),
				      GFP_KERNEL);
	if (!hello || !link->ping || !link->bye || !link->path_msg)
		goto err_msgs;
	hk_link_own_hdr(link, link->ping);
	hk_link_own_hdr(link, link->bye);
	hk_link_own_hdr(link, link->path_msg);

	path = &link->paths[0];
	link->tx_task = hk_link_thread(link, "tx", tx_thread, link);
	if (IS_ERR(link->tx_task)) {
		err = PTR_ERR(link->tx_task);
		goto err_msgs;
	}
	path->rx_task = hk_link_thread(link, "rx", hk_link_rx_thread, path);
	if (IS_ERR(path->rx_task)) {
		err = PTR_ERR(path->rx_task);
		goto err_tx;
	}
	path->conn = cfg->transport->open(sock, cfg, why);
	if (IS_ERR(path->conn)) {
		err = PTR_ERR(path->conn);
		goto err_rx;
	}
	hk_path_addresses(path, sock);
	strscpy(path->transport, cfg->transport->name, sizeof(path->transport));
	path->state = HK_LINK_PATH_STANDBY;
	path->joined = true;
	link->active = path;
	link->tx_conn = path->conn;

	/* Nothing fails from here on; the control lane starts with HELLO */
	hk_link_send(link, hello);
	link->quiet_since = ktime_get_ns();
	link->next_tick = link->quiet_since;
	mod_timer(&link->timer, jiffies + 1);
	wake_up_process(link->tx_task);
	wake_up_process(path->rx_task);
	return link;

err_rx:
	hk_link_thread_undo(path->rx_task);
err_tx:
	hk_link_thread_undo(link->tx_task);
err_msgs:
	hk_msg_free(link->path_msg);
	hk_msg_free(link->bye);
	hk_msg_free(link->ping);
	hk_msg_free(hello);
	kfree(link);
	return ERR_PTR(err);
}

/* Questions about a link */

void *hk_link_priv(struct hk_link *link)
{
	return link->cfg.priv;
}

u16 hk_link_peer(struct hk_link *link)
{
	return link->cfg.peer;
}

const char *hk_link_transport(struct hk_link *link)
{
	return link->transport;
}

bool hk_link_is_up(struct hk_link *link)
{
	return READ_ONCE(link->state) == LINK_UP;
}

u32 hk_link_features(struct hk_link *link)
{
	return READ_ONCE(link->features);
}

s64 hk_link_tsc_offset(struct hk_link *link, u64 *error)
{
	unsigned long irq;
	u64 err;
	s64 ret;

	raw_spin_lock_irqsave(&link->lock, irq);
	ret = hk_clock_offset(&link->clock, hk_link_tsc(link), &err);
	raw_spin_unlock_irqrestore(&link->lock, irq);
	if (error)
		*error = err;
	return ret;
}

void hk_link_stats_get(struct hk_link *link, struct hk_link_stats *stats)
{
	unsigned long irq;
	unsigned int i;

	stats->tx_msgs = READ_ONCE(link->tx_seq);
	stats->tx_bytes = READ_ONCE(link->tx_bytes);
	stats->rx_msgs = READ_ONCE(link->rx_seq);
	stats->rx_bytes = 0;
	for (i = 0; i < PATH_PLACES; i++)
		stats->rx_bytes += READ_ONCE(link->paths[i].rx_bytes);
	stats->rx_stale = READ_ONCE(link->rx_stale);
	stats->renewals = READ_ONCE(link->renewals);
	stats->tsc_offset = hk_link_tsc_offset(link, &stats->tsc_error);

	raw_spin_lock_irqsave(&link->lock, irq);
	stats->tx_queued = link->queued;
	stats->rtt_ns_min = link->rtt_min;
	stats->rtt_ns_last = link->rtt_last;
	stats->up_ms = link->up_since ? div_u64(ktime_get_ns() - link->up_since,
						NSEC_PER_MSEC) : 0;
	raw_spin_unlock_irqrestore(&link->lock, irq);
}

static int echo_once(struct hk_link *link, u32 req_len, u32 reply_len,
		     bool reply_page, u64 *ns)
{
	u64 cookie = ++link->echo_cookie;
	struct hk_wire_echo *echo;
	struct hk_msg *msg;
	u64 start;
	long left;
	int err;

	msg = hk_msg_alloc(HK_MSG_ECHO, 0, req_len, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	echo = (struct hk_wire_echo *)msg->body;
	echo->cookie = cpu_to_le64(cookie);
	echo->reply_len = cpu_to_le32(reply_page ? 0 : reply_len);
	echo->reply_page = cpu_to_le32(reply_page);

	start = ktime_get_ns();
	err = hk_link_send(link, msg);
	if (err)
		return err;
	left = wait_event_killable_timeout(link->echo_wait,
					   READ_ONCE(link->echo_seen) == cookie ||
					   hk_link_ending(link),
					   msecs_to_jiffies(link->cfg.dead_ms));
	if (left < 0)
		return -EINTR;
	if (READ_ONCE(link->echo_seen) != cookie)
		return left ? -ENOTCONN : -ETIMEDOUT;
	*ns = ktime_get_ns() - start;
	return 0;
}

int hk_link_echo(struct hk_link *link, u32 req_len, u32 reply_len,
		 bool reply_page, u32 nr, u64 *ns)
{
	int err = 0;
	u32 i;

	if (req_len < sizeof(struct hk_wire_echo) || req_len > HK_WIRE_BODY_MAX)
		return -EINVAL;
	if (!reply_page && (reply_len < sizeof(struct hk_wire_echo) ||
			    reply_len > HK_WIRE_BODY_MAX))
		return -EINVAL;
	if (mutex_lock_killable(&link->echo_lock))
		return -EINTR;
	for (i = 0; i < nr && !err; i++) {
		err = hk_link_is_up(link) ?
		      echo_once(link, req_len, reply_len, reply_page, &ns[i]) :
		      -ENOTCONN;
	}
	mutex_unlock(&link->echo_lock);
	return err;
}
