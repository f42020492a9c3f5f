// SPDX-License-Identifier: GPL-2.0
/*
 * A link with several connections: one carries what is sent, the others stand by
 *
 * hk_link_path_add() gives the link a connection more; the peer's link is given its
 * other end. Each end says a cookie of its own in PATH, on the link itself, where
 * nobody else can, and as the first message on the connection. A path whose two cookies
 * are the same has *joined*; nothing but PATH is taken from it before, it waits. When
 * something comes on it behind PATH it has joined at the peer, too, and stands by: now
 * each knows that the other would take from it what was sent on another path. One that
 * does not get there is dropped and does not harm the link. The first one also waits
 * for the peer to acknowledge what went before the sender began to keep anything: that
 * could not be sent again.
 *
 * From the first joined path on (before, all is as with one path)
 *
 *	sender		keeps what it sent until it is acknowledged (retain.c). When the
 *			active path fails, it takes another one, sends there all that it
 *			kept, in order, then goes on. It stays there also when the former
 *			path comes back: going over is what costs
 *	receivers	one thread a path. They take messages in the order of the numbers,
 *			one at a time, under @rx_lock; what has come before is dropped
 *	ACK		says up to where. It goes on the path that the messages come by,
 *			with each PING and after each ACK_MSGS messages
 *	PING		on each path, and its PONG on the same: so a standby that is
 *			dead is found out, too
 *
 * Paths may be carried by different transports. One may have things to do with the peer before
 * the first message, and block the sender until then: so nothing is said on a further path
 * before it has @started.
 *
 * Each direction chooses its path by itself. PATH, ACK, and PING and PONG from here on,
 * are about a connection: they have no number and are not sent again.
 *
 * A path is given up when its connection breaks, or when nothing has come on it for a
 * quarter of dead_ms while another one did bring something. If they all are silent the
 * peer may be standing still, and no path is better than another: then dead_ms decides
 * about the link, as ever. When the last one breaks, the link ends with its reason.
 * A path may fail in one direction only, from here to the peer: so the active one is
 * given up, too, when nothing has been acknowledged for half of dead_ms while another
 * one brought something. And any is on which the sender is stuck for three eighths of dead_ms,
 * as a connection takes only so much for a network that is away: the sender is that of all
 * paths, and while it is stuck the peer hears nothing on any of them. There need be no sign
 * of life on another one, as the peer's sender may be stuck as well. If it is the peer that
 * takes nothing, this costs one path, and dead_ms decides on the next.
 *
 * A path goes over to a new connection, for new keys, by having two for a while: there is
 * a second place for that, its *twin*. hk_link_path_add() for a path that can be used takes
 * that place. The new connection joins like any; the former one carries meanwhile, so it
 * does not matter what the other paths are worth. When a PONG has come on the new one, the
 * former is given up: PONG is sent only by an end that would send all on it, so neither
 * end is left without a path, whichever of them is first. A sender that was on the former
 * one goes to its twin.
 *
 * Who gets into whose way:
 *
 * 1. Failures, from any context at once. hk_path_fail() decides under @lock whether the
 *    link can go on: of several that fail at the same time the last one sees that no
 *    other is left. The first for a path queues its work item, the others find it DOWN.
 * 2. The sender, in the transport of a path that fails. It enters under @lock, with
 *    @tx_using, only what is not DOWN. The work item first shuts the connection down, so
 *    that the transport returns, then waits for @tx_using to be another one.
 * 3. The receiver of that path, likewise: the work item stops the thread, whose recv
 *    returns. It may be in ops->recv; that comes back without the network, or is helped
 *    by ops->ending, which takes no lock that the work item has then: @conn_lock is held
 *    for the shutdown and for the release only.
 * 4. The end of the link. It begins under @lock, so no path is added or dropped after
 *    it, but hk_path_fail() may just have set one DOWN and not yet queued the work. Who
 *    does that is the sender, a receiver, the timer, or has @conn_lock; the end work
 *    stops the first three, and takes @conn_lock for its shutdown, before it cancels
 *    the work. A thread is stopped by who takes it out of @rx_task, once.
 * 5. hk_link_path_add() in a place whose connection has failed: refused until the work item
 *    has taken that away, under @lock; nobody uses it any more then. The sender may have
 *    decided for the former connection and not have begun to send: it compares the number
 *    of the connection in this place, @gen, under @lock, and decides anew.
 * 6. A renewal. It needs the link to have one connection and not to have been joined by
 *    another, a path needs no renewal to be under way, both under @conn_lock. So at this
 *    end they exclude each other; a SWITCH from a peer for whom that was not so, since
 *    its path broke before it joined, finds a link with several paths and ends it.
 * 7. Retained messages are the sender's alone; receivers only tell it a number, @acked.
 * 8. The former connection fails while its twin is joining: it is judged by the other paths
 *    alone, as one that is joining may never be of use. Both are given up at once by
 *    hk_link_path_del(). A second connection is refused while one is joining, so a cookie
 *    said on the link is for one of the two.
 */
#include "link_internal.h"

#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/net.h>
#include <linux/random.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/wait.h>

/*
 * Parts of dead_ms: silence of a path, the time it has from then on to be heard, that
 * in which something is acknowledged
 */
#define PATH_QUIET_PART		4
#define PATH_GRACE_PART		8
#define PATH_ACK_PART		2
/* and that in which the sender gets through */
#define PATH_STUCK_PART		4

/* May the peer be told something there behind PATH? */
static bool path_may_say(const struct hk_path *path)
{
	return hk_path_usable(path) ||
	       (READ_ONCE(path->state) == HK_LINK_PATH_JOINING &&
		READ_ONCE(path->joined));
}

/**
 * hk_path_kick() - wake the sender for something about paths
 * @link: link
 * Context: any.
 */
void hk_path_kick(struct hk_link *link)
{
	/* Pairs with the barriers in hk_path_tx(): what it is about was written before */
	smp_store_release(&link->path_due, true);
	rcuwait_wake_up(&link->tx_wait);
}

/**
 * hk_path_say() - have the sender say something on a path
 * @path: path
 * @what: PATH_DUE_*
 * Context: any.
 */
void hk_path_say(struct hk_path *path, unsigned int what)
{
	set_bit(what, &path->due);
	hk_path_kick(path->link);
}

/* Failure */

/**
 * hk_path_acked() - has the peer what cannot be sent again
 * @link: link
 * Context: &hk_link.lock held.
 */
bool hk_path_acked(struct hk_link *link)
{
	/* Both under @lock, in the order of hk_path_tx() */
	lockdep_assert_held(&link->lock);
	return link->retaining && READ_ONCE(link->acked) + 1 >= link->retain_from;
}

/* Can the link do without @path? */
static bool path_spare(struct hk_path *path)
{
	struct hk_link *link = path->link;
	unsigned int i;

	lockdep_assert_held(&link->lock);
	if (path->state == HK_LINK_PATH_JOINING)
		return true;
	/* What went before the sender kept anything has come, or is lost with @path */
	if (path == link->active && !hk_path_acked(link))
		return false;
	for (i = 0; i < PATH_PLACES; i++)
		if (&link->paths[i] != path && hk_path_usable(&link->paths[i]))
			return true;
	return false;
}

/**
 * hk_path_down() - a path that the link can do without is given up
 * @path: path
 * @why: text
 * Context: &hk_link.lock held; hk_path_gone() is to follow without it.
 */
void hk_path_down(struct hk_path *path, const char *why)
{
	struct hk_path *twin = hk_path_twin(path);
	struct hk_link *link = path->link;

	lockdep_assert_held(&link->lock);
	/* By hk_path_proved() here, or there, which this end sees as an end of file */
	if (hk_path_usable(path) && hk_path_usable(twin) && twin->since > path->since)
		WRITE_ONCE(link->renewals, link->renewals + 1);
	WRITE_ONCE(path->state, HK_LINK_PATH_DOWN);
	strscpy(path->why, why, sizeof(path->why));
}

/**
 * hk_path_gone() - let the connection go of a path that was just set DOWN
 * @path: path
 * Context: any that holds no raw lock; what keeps the end of the link off, see 4 above.
 */
void hk_path_gone(struct hk_path *path)
{
	/* Its receiver may wait for it to join */
	wake_up_all(&path->link->path_wait);
	hk_path_kick(path->link);
	/* Last: what stops those that call this waits for the work behind that */
	queue_work(system_unbound_wq, &path->work);
}

void hk_path_fail(struct hk_path *path, unsigned int flags, const char *fmt, ...)
{
	struct hk_link *link = path->link;
	bool live, spare = false;
	char why[HK_REASON_MAX];
	unsigned long irq;
	va_list args;

	va_start(args, fmt);
	vscnprintf(why, sizeof(why), fmt, args);
	va_end(args);

	raw_spin_lock_irqsave(&link->lock, irq);
	live = hk_path_live(path);
	if (live && !hk_link_ending(link))
		spare = path_spare(path);
	if (spare)
		hk_path_down(path, why);
	raw_spin_unlock_irqrestore(&link->lock, irq);

	if (spare)
		hk_path_gone(path);
	else if (live)
		hk_link_end(link, flags, "%s", why);
}

static void path_stop_rx(struct hk_path *path)
{
	struct task_struct *task = xchg(&path->rx_task, NULL);

	if (!task)
		return;
	kthread_stop(task);
	put_task_struct(task);
}

/**
 * hk_path_work() - let the connection of a path go that is DOWN
 * @work: &hk_path.work
 */
void hk_path_work(struct work_struct *work)
{
	struct hk_path *path = container_of(work, struct hk_path, work);
	struct hk_link *link = path->link;
	struct hk_conn *conn;

	mutex_lock(&link->conn_lock);
	conn = path->conn;
	if (!conn || path->state != HK_LINK_PATH_DOWN) {
		mutex_unlock(&link->conn_lock);
		return;
	}
	conn->transport->shutdown(conn);
	mutex_unlock(&link->conn_lock);

	/* Ends soon, as the transport does not block any more */
	wait_event(link->path_wait, READ_ONCE(link->tx_using) != path);
	path_stop_rx(path);

	mutex_lock(&link->conn_lock);
	raw_spin_lock_irq(&link->lock);
	path->conn = NULL;
	if (conn->transport->resent)
		link->resent_past += conn->transport->resent(conn);
	raw_spin_unlock_irq(&link->lock);
	hk_path_release(path, conn);
	mutex_unlock(&link->conn_lock);
	if (link->ops->path)
		link->ops->path(link, path->id);
}

/**
 * hk_path_stop_rx() - end all receivers
 * @link: link whose connections were shut down
 * Context: the end work.
 */
void hk_path_stop_rx(struct hk_link *link)
{
	unsigned int i;

	for (i = 0; i < PATH_PLACES; i++)
		path_stop_rx(&link->paths[i]);
}

/**
 * hk_path_cancel() - wait for what lets connections go
 * @link: link without threads and timer
 * Context: the end work.
 */
void hk_path_cancel(struct hk_link *link)
{
	unsigned int i;

	for (i = 0; i < PATH_PLACES; i++)
		cancel_work_sync(&link->paths[i].work);
}

/* The sender */

/* The receiver may still find a BYE that says more */
static void path_broken(struct hk_path *path, const struct hk_conn *conn, int err)
{
	if (conn->why[0])
		hk_path_fail(path, END_WEAK, "%s", conn->why);
	else
		hk_path_fail(path, END_WEAK, "send to node %u: error %d",
			     path->link->cfg.peer, err);
}

/**
 * hk_path_send() - give messages to the transport of a path
 * @path: path
 * @gen: &hk_path.gen when it was decided to send there
 * @msgs: messages, whole and in order
 * @nr: how many
 * @bytes: their length
 * @more: as for the transport
 *
 * A path that cannot send is given up. Since the decision it may have been given up
 * already, and even have been made anew: what was meant for the former connection must
 * not go on that one.
 *
 * Context: the sender.
 * Return: 0; -ESTALE the path is not what it was; or negative errno
 */
int hk_path_send(struct hk_path *path, u32 gen, struct hk_msg *const *msgs,
		 unsigned int nr, u64 bytes, bool more)
{
	struct hk_link *link = path->link;
	struct hk_conn *conn = NULL;
	bool gone;
	int err;

	raw_spin_lock_irq(&link->lock);
	if (hk_path_live(path) && path->gen == gen) {
		WRITE_ONCE(link->tx_using, path);
		if (link->several)
			link->tx_since = ktime_get_ns();
		conn = link->next ? link->tx_conn : path->conn;
	}
	raw_spin_unlock_irq(&link->lock);
	if (!conn)
		return -ESTALE;

	err = conn->transport->send(conn, msgs, nr, more);
	/* While it is in use it is not made anew: this fails no other one */
	if (err)
		path_broken(path, conn, err);
	else
		WRITE_ONCE(path->tx_bytes, path->tx_bytes + bytes);

	raw_spin_lock_irq(&link->lock);
	WRITE_ONCE(link->tx_using, NULL);
	gone = !hk_path_live(path);
	raw_spin_unlock_irq(&link->lock);
	/* Not under the lock: that of the wait queue is not a raw one */
	if (gone)
		wake_up_all(&link->path_wait);
	return err;
}

/**
 * hk_path_tx_wanted() - is there something for hk_path_tx() to do
 * @link: link
 * Context: the sender.
 */
bool hk_path_tx_wanted(struct hk_link *link)
{
	return READ_ONCE(link->path_due) || hk_retain_pending(&link->retain);
}

/* Fill the message that has no number */
static u64 path_fill(struct hk_path *path, unsigned int what, struct hk_msg *msg)
{
	struct hk_link *link = path->link;
	struct hk_wire_ping *ping = (struct hk_wire_ping *)msg->body;
	struct hk_wire_path *body = (struct hk_wire_path *)msg->body;
	struct hk_wire_ack *ack = (struct hk_wire_ack *)msg->body;

	memset(msg->body, 0, sizeof(*body));
	switch (what) {
	case PATH_DUE_PATH:
		msg->hdr.type = HK_MSG_PATH;
		msg->hdr.len = cpu_to_le32(sizeof(*body));
		body->node = cpu_to_le16(link->cfg.self);
		body->path = path->id;
		body->cookie = cpu_to_le64(path->own);
		memcpy(body->cluster, link->cfg.cluster, sizeof(body->cluster));
		break;
	case PATH_DUE_PONG:
		msg->hdr.type = HK_MSG_PONG;
		msg->hdr.len = cpu_to_le32(sizeof(*ping));
		ping->t_sent = cpu_to_le64(READ_ONCE(path->pong));
		hk_link_fill_ping(link, msg);
		break;
	case PATH_DUE_PING:
		msg->hdr.type = HK_MSG_PING;
		msg->hdr.len = cpu_to_le32(sizeof(*ping));
		hk_link_fill_ping(link, msg);
		break;
	case PATH_DUE_ACK:
		msg->hdr.type = HK_MSG_ACK;
		msg->hdr.len = cpu_to_le32(sizeof(*ack));
		ack->seq = cpu_to_le64(READ_ONCE(link->rx_seq));
		break;
	}
	msg->hdr.stamp = cpu_to_le32(hk_clock_stamp(hk_link_tsc(link)));
	hk_link_timestamp(link, msg);
	return hk_msg_bytes(msg);
}

/*
 * Say what is due on one path. These are some hundred bytes in each heartbeat, so on a
 * path that takes nothing the socket has room until it is found out. What is due on one that
 * has not started stays due; its receiver asks again.
 * Return: false: the path has failed
 */
static bool path_say_all(struct hk_path *path)
{
	struct hk_link *link = path->link;
	struct hk_msg *msg = link->path_msg;
	/* Pairs with hk_link_path_add(): what is due is due on this one, or a later one */
	u32 gen = smp_load_acquire(&path->gen);
	unsigned int what, type;
	u64 bytes;
	int err;

	/* The transport would wait for that, and all of the link with it */
	if (!READ_ONCE(path->started))
		return true;
	for (what = PATH_DUE_PATH; what <= PATH_DUE_ACK; what++) {
		if (!test_and_clear_bit(what, &path->due))
			continue;
		if (what != PATH_DUE_PATH && !path_may_say(path))
			continue;
		/* A PONG says that this end would send on it, see hk_path_proved() */
		if (what == PATH_DUE_PONG && !hk_path_usable(path))
			continue;
		bytes = path_fill(path, what, msg);
		err = hk_path_send(path, gen, &msg, 1, bytes, false);
		/* What was taken may have been due on the later one */
		if (err == -ESTALE && gen != READ_ONCE(path->gen))
			hk_path_say(path, what);
		if (err)
			return false;
		type = msg->hdr.type;
		WRITE_ONCE(link->tx_types[type], link->tx_types[type] + 1);
		WRITE_ONCE(link->tx_bytes, link->tx_bytes + bytes);
	}
	return true;
}

/*
 * Take another path when the active one has failed, even if it has been made anew since:
 * what was sent on the former connection may be lost. Return: false: there is none
 */
static bool path_choose(struct hk_link *link)
{
	struct hk_path *path = link->active, *twin = hk_path_twin(path);
	unsigned int i;

	raw_spin_lock_irq(&link->lock);
	if (hk_path_usable(path) && path->gen == link->active_gen) {
		raw_spin_unlock_irq(&link->lock);
		return true;
	}
	/* From its own twin on: the same network, when that only went over to new keys */
	for (i = 0; i < PATH_PLACES; i++) {
		path = &link->paths[(twin - link->paths + i) % PATH_PLACES];
		if (!hk_path_usable(path))
			continue;
		WRITE_ONCE(link->active, path);
		link->active_gen = path->gen;
		if (path != twin)
			WRITE_ONCE(path->failovers, path->failovers + 1);
		break;
	}
	raw_spin_unlock_irq(&link->lock);
	if (i == PATH_PLACES)
		return false;
	hk_retain_rewind(&link->retain);
	return true;
}

/* What is left for the sender to do when it could not send on a path */
static enum hk_tx_paths path_tx_failed(struct hk_link *link)
{
	return hk_link_ending(link) ? HK_TX_STOP : HK_TX_AGAIN;
}

/* Send a batch again, when there is one */
static enum hk_tx_paths path_resend(struct hk_link *link)
{
	struct hk_path *path = link->active;
	unsigned int nr, i;
	u64 bytes = 0;
	int err;

	nr = hk_retain_take(&link->retain, link->batch, HK_TX_BATCH,
			    TX_BATCH_BYTES);
	if (!nr)
		return HK_TX_GO_ON;
	for (i = 0; i < nr; i++)
		bytes += hk_msg_bytes(link->batch[i]);
	err = hk_path_send(path, link->active_gen, link->batch, nr, bytes, false);
	if (err)
		return path_tx_failed(link);
	WRITE_ONCE(path->resent, path->resent + nr);
	WRITE_ONCE(link->tx_bytes, link->tx_bytes + bytes);
	return HK_TX_AGAIN;
}

static void path_say_heartbeat(struct hk_link *link)
{
	unsigned int i;

	WRITE_ONCE(link->ping_due, false);
	for (i = 0; i < PATH_PLACES; i++) {
		if (!path_may_say(&link->paths[i]))
			continue;
		set_bit(PATH_DUE_PING, &link->paths[i].due);
		set_bit(PATH_DUE_ACK, &link->paths[i].due);
	}
}

/**
 * hk_path_tx() - do what is to be done for the paths, before anything else is sent
 * @link: link that has been given several
 * Context: the sender.
 * Return: enum hk_tx_paths
 */
enum hk_tx_paths hk_path_tx(struct hk_link *link)
{
	unsigned int i;

	if (READ_ONCE(link->path_due)) {
		/* Cleared first: who comes later sets it again. Pairs with hk_path_kick() */
		smp_store_mb(link->path_due, false);
	}
	if (!link->retaining && READ_ONCE(link->joined)) {
		raw_spin_lock_irq(&link->lock);
		WRITE_ONCE(link->retain_from, link->tx_numbered + 1);
		WRITE_ONCE(link->retaining, true);
		raw_spin_unlock_irq(&link->lock);
		path_say_heartbeat(link);
	}
	hk_retain_drop(&link->retain, READ_ONCE(link->acked));
	if (!path_choose(link))
		return HK_TX_STOP;
	if (hk_link_ending(link) && !(READ_ONCE(link->end_flags) & END_TELL))
		return HK_TX_GO_ON;
	if (link->retaining && READ_ONCE(link->ping_due))
		path_say_heartbeat(link);
	for (i = 0; i < PATH_PLACES; i++)
		if (READ_ONCE(link->paths[i].due) && !path_say_all(&link->paths[i]))
			return path_tx_failed(link);
	return path_resend(link);
}

/* The receivers */

/* Is the path part of the link now? Context: both cookies may be there, or not yet */
static void path_try_join(struct hk_path *path)
{
	struct hk_link *link = path->link;
	bool joined;

	raw_spin_lock_irq(&link->lock);
	joined = path->state == HK_LINK_PATH_JOINING && path->heard &&
		 path->heard == link->announced[path->id] &&
		 !hk_link_ending(link);
	if (joined) {
		WRITE_ONCE(path->joined, true);
		WRITE_ONCE(link->joined, true);
	}
	raw_spin_unlock_irq(&link->lock);
	if (!joined)
		return;
	/* Tells the peer that it has joined here */
	hk_path_say(path, PATH_DUE_PING);
	wake_up_all(&link->path_wait);
}

/**
 * hk_path_rx_wait() - something other than PATH has come: wait until that may be
 * @path: path
 *
 * The peer's word on the link may be on its way still. Bounded by the timer, which gives
 * up a path that does not join.
 *
 * Context: the path's receiver, without @rx_lock.
 * Return: false: it has not joined, and will not
 */
bool hk_path_rx_wait(struct hk_path *path)
{
	struct hk_link *link = path->link;

	if (READ_ONCE(path->joined))
		return true;
	wait_event_idle(link->path_wait, READ_ONCE(path->joined) ||
			READ_ONCE(path->state) == HK_LINK_PATH_DOWN ||
			hk_link_ending(link));
	return READ_ONCE(path->joined);
}

/**
 * hk_path_confirm() - a path has joined at the peer, too, perhaps
 * @path: path on which something other than PATH has come
 * Context: the path's receiver, @rx_lock held.
 */
void hk_path_confirm(struct hk_path *path)
{
	struct hk_link *link = path->link;
	bool first, more;

	if (READ_ONCE(path->state) != HK_LINK_PATH_JOINING)
		return;
	raw_spin_lock_irq(&link->lock);
	first = path->state == HK_LINK_PATH_JOINING && path->joined &&
		hk_path_acked(link) && !hk_link_ending(link);
	if (first)
		WRITE_ONCE(path->state, HK_LINK_PATH_STANDBY);
	more = hk_path_live(hk_path_twin(path));
	raw_spin_unlock_irq(&link->lock);
	/* When it takes the place of another one, it is told of when that has gone */
	if (first && !more && link->ops->path)
		link->ops->path(link, path->id);
}

/**
 * hk_path_proved() - a PONG has come on a path
 * @path: path
 *
 * The peer would send on it, as this end would. So the connection whose place it takes
 * can go: whichever end lets that go first, the other one has what it needs to go on.
 *
 * Context: the path's receiver, @rx_lock held.
 */
void hk_path_proved(struct hk_path *path)
{
	struct hk_path *old = hk_path_twin(path);
	struct hk_link *link = path->link;
	bool over;

	if (READ_ONCE(old->state) != HK_LINK_PATH_STANDBY)
		return;
	raw_spin_lock_irq(&link->lock);
	over = hk_path_usable(path) && hk_path_usable(old) &&
	       old->since < path->since && hk_path_acked(link) &&
	       !hk_link_ending(link);
	if (over)
		hk_path_down(old, "another connection has taken its place");
	raw_spin_unlock_irq(&link->lock);
	if (over)
		hk_path_gone(old);
}

/**
 * hk_path_rx_path() - a PATH has come
 * @path: path it came on
 * @msg: it
 * @why: out, on refusal: constant text
 *
 * With a number it came on the link, and is the peer's word for what it will say on the
 * connection; without, it is that connection.
 *
 * Context: a receiver, @rx_lock held.
 * Return: false: refused
 */
bool hk_path_rx_path(struct hk_path *path, const struct hk_msg *msg,
		     const char **why)
{
	const struct hk_wire_path *body = (struct hk_wire_path *)msg->body;
	struct hk_link *link = path->link;

	if (hk_wire_path_check(body, link->cfg.peer, link->cfg.cluster, why))
		return false;
	if (!msg->hdr.seq) {
		*why = "PATH of another connection";
		if (body->path != path->id)
			return false;
		*why = "second PATH";
		if (path->heard || path->state != HK_LINK_PATH_JOINING)
			return false;
		raw_spin_lock_irq(&link->lock);
		path->heard = le64_to_cpu(body->cookie);
		raw_spin_unlock_irq(&link->lock);
	} else {
		path = &link->paths[body->path];
		raw_spin_lock_irq(&link->lock);
		link->announced[body->path] = le64_to_cpu(body->cookie);
		raw_spin_unlock_irq(&link->lock);
	}
	*why = NULL;
	/* At most one of the two is joining */
	path_try_join(path);
	path_try_join(hk_path_twin(path));
	return true;
}

/**
 * hk_path_rx_ack() - an ACK has come
 * @link: link
 * @msg: it
 * Context: a receiver, @rx_lock held.
 * Return: false: it is about what was not sent
 */
bool hk_path_rx_ack(struct hk_link *link, const struct hk_msg *msg)
{
	u64 seq = le64_to_cpu(((struct hk_wire_ack *)msg->body)->seq);

	if (seq > READ_ONCE(link->tx_numbered))
		return false;
	/* One that went by another path may be late */
	if (seq > link->acked) {
		WRITE_ONCE(link->acked, seq);
		hk_path_kick(link);
	}
	return true;
}

/**
 * hk_path_came() - a message with a number has come on a path
 * @path: path
 * @msg: it, or one that had come before
 * Context: a receiver, @rx_lock held.
 */
void hk_path_came(struct hk_path *path, const struct hk_msg *msg)
{
	struct hk_link *link = path->link;

	/* Before, the peer keeps nothing, or will hear of it with the next PING */
	if (!READ_ONCE(link->retaining))
		return;
	link->ack_msgs++;
	link->ack_bytes += hk_msg_bytes(msg);
	if (link->ack_msgs < ACK_MSGS && link->ack_bytes < ACK_BYTES)
		return;
	link->ack_msgs = 0;
	link->ack_bytes = 0;
	hk_path_say(path, PATH_DUE_ACK);
}

/* Silence */

/* Has another path brought something of late? */
static bool path_other_heard(struct hk_path *path, u64 now, u64 part)
{
	struct hk_link *link = path->link;
	unsigned int i;
	u64 quiet;

	for (i = 0; i < PATH_PLACES; i++) {
		if (&link->paths[i] == path || !hk_path_usable(&link->paths[i]))
			continue;
		quiet = READ_ONCE(link->paths[i].quiet_since);
		if (!quiet || (s64)(now - quiet) < (s64)part)
			return true;
	}
	return false;
}

/*
 * What has come while this host, or the peer, stood still is read by each receiver in its
 * own time. So a path that is silent for too long is given some more before it counts.
 */
static void path_check(struct hk_path *path, u64 now, u64 dead)
{
	u64 quiet = READ_ONCE(path->quiet_since);
	u64 part = dead / PATH_QUIET_PART;

	if (READ_ONCE(path->state) == HK_LINK_PATH_JOINING) {
		if ((s64)(now - READ_ONCE(path->since)) >= (s64)dead)
			hk_path_fail(path, 0, "node %u has not taken it up",
				     path->link->cfg.peer);
		return;
	}
	if (!quiet || (s64)(now - quiet) < (s64)part ||
	    !path_other_heard(path, now, part))
		return;
	if (path->suspect != quiet) {
		path->suspect = quiet;
		path->suspect_until = now + dead / PATH_GRACE_PART;
	}
	if (now >= path->suspect_until)
		hk_path_fail(path, 0, "nothing heard on it for %llu ms",
			     div_u64(now - quiet, NSEC_PER_MSEC));
}

/* Does the active path take to the peer what is sent on it? */
static void path_check_acks(struct hk_link *link, u64 now, u64 dead)
{
	struct hk_path *path = READ_ONCE(link->active);
	u64 acked = READ_ONCE(link->acked);

	/* Before the first ACK there is nothing to go by, and no other path to go to */
	if (!READ_ONCE(link->retaining) || acked != link->ack_seen ||
	    acked + 1 < READ_ONCE(link->retain_from) ||
	    acked == READ_ONCE(link->tx_numbered)) {
		link->ack_seen = acked;
		link->ack_since = now;
		return;
	}
	if (now - link->ack_since < dead / PATH_ACK_PART ||
	    !path_other_heard(path, now, dead / PATH_QUIET_PART))
		return;
	link->ack_since = now;
	hk_path_fail(path, 0, "nothing sent on it was acknowledged for %u ms",
		     link->cfg.dead_ms / PATH_ACK_PART);
}

/*
 * Does the sender get through? Where there is no other path that is dead_ms's to decide. When
 * this host stood still the sender is given its turn, as receivers are in path_check().
 */
static void path_check_stuck(struct hk_link *link, u64 now, u64 dead)
{
	char why[HK_REASON_MAX];
	struct hk_path *path;
	bool stuck;

	raw_spin_lock_irq(&link->lock);
	path = link->tx_using;
	stuck = path && (s64)(now - link->tx_since) >= (s64)(dead / PATH_STUCK_PART);
	if (stuck && link->stuck != link->tx_since) {
		link->stuck = link->tx_since;
		link->stuck_until = now + dead / PATH_GRACE_PART;
	}
	stuck = stuck && now >= link->stuck_until && hk_path_live(path) &&
		!hk_link_ending(link) && path_spare(path);
	if (stuck) {
		snprintf(why, sizeof(why), "it has taken nothing for %llu ms",
			 div_u64(now - link->tx_since, NSEC_PER_MSEC));
		hk_path_down(path, why);
	}
	raw_spin_unlock_irq(&link->lock);
	if (stuck)
		hk_path_gone(path);
}

/**
 * hk_path_timer() - give paths up on which nothing comes
 * @link: link that has been given several
 * @now: ktime
 * Context: the timer.
 * Return: ktime when to call it again
 */
u64 hk_path_timer(struct hk_link *link, u64 now)
{
	u64 dead = (u64)link->cfg.dead_ms * NSEC_PER_MSEC;
	unsigned int i;

	for (i = 0; i < PATH_PLACES; i++)
		if (hk_path_live(&link->paths[i]))
			path_check(&link->paths[i], now, dead);
	path_check_acks(link, now, dead);
	path_check_stuck(link, now, dead);
	return now + dead / PATH_GRACE_PART;
}
