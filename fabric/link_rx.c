// SPDX-License-Identifier: GPL-2.0
/*
 * The receiving half of a link: one thread that reads, checks, answers what belongs
 * to the link itself and gives the rest to ops->recv
 *
 * Nothing that comes in is trusted: what breaks the protocol ends the link. See link.c
 * for the other contexts and the locks.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "link_internal.h"

#include <asm/tsc.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/sched/mm.h>

/* PONG and ECHO_REPLY are dropped while so many messages wait to be sent */
#define TX_REPLY_MAX		1024

/*
 * Note whether a path, and with it the link, waits for the peer. Before HELLO the clock
 * is not reset: that has to come within dead_ms, whole. Nor is the link's by a path that
 * is not part of it yet.
 */
static void rx_quiet(struct hk_path *path, u64 since)
{
	struct hk_link *link = path->link;

	if (!link->hello)
		return;
	WRITE_ONCE(path->quiet_since, since);
	if (READ_ONCE(path->state) != HK_LINK_PATH_JOINING)
		WRITE_ONCE(link->quiet_since, since);
}

/*
 * A connection that has not proved that it belongs to the link, or that was given up, is
 * no reason to end the link
 */
static void rx_refuse(struct hk_path *path, const struct hk_wire_hdr *hdr,
		      const char *why)
{
	struct hk_link *link = path->link;

	pr_warn_ratelimited("node %u: from node %u: %s (%s, type %u, len %u, seq %llu)\n",
			    link->cfg.self, link->cfg.peer, why,
			    hk_msg_name(hdr->type), hdr->type,
			    le32_to_cpu(hdr->len), le64_to_cpu(hdr->seq));
	if (READ_ONCE(path->state) != HK_LINK_PATH_STANDBY)
		hk_path_fail(path, END_TELL, "node %u broke the protocol: %s",
			     link->cfg.peer, why);
	else
		hk_link_end(link, END_TELL, "node %u broke the protocol: %s",
			    link->cfg.peer, why);
}

/*
 * Judge what the transport returned for @len bytes; @start: a message begins here.
 * Return: true when they are there; otherwise the path is given up, or the end has begun
 */
static bool rx_result(struct hk_path *path, int ret, size_t len, bool start)
{
	struct hk_link *link = path->link;

	if (ret > 0) {
		WRITE_ONCE(path->rx_bytes, path->rx_bytes + len);
		return true;
	}
	/* Better than a weak reason of the sender; no news when the end shut us down */
	if (ret < 0 && path->conn->why[0])
		hk_path_fail(path, 0, "%s", path->conn->why);
	else if (!ret && start)
		hk_path_fail(path, 0, "node %u closed the connection",
			     link->cfg.peer);
	else if (!ret || ret == -ECONNABORTED)
		hk_path_fail(path, 0, "node %u closed the connection amid a message",
			     link->cfg.peer);
	else
		hk_path_fail(path, 0, "receive from node %u: error %d",
			     link->cfg.peer, ret);
	return false;
}

static bool rx_bytes(struct hk_path *path, struct kvec *vec, unsigned int nr,
		     size_t len, bool start)
{
	return rx_result(path, path->conn->transport->recv(path->conn, vec, nr,
							   len), len, start);
}

static bool rx_page(struct hk_path *path, struct hk_msg *msg)
{
	int ret = path->conn->transport->recv_page(path->conn, &msg->page);

	return rx_result(path, ret, HK_WIRE_PAGE_SIZE, false);
}

/* What may come without a number, and only where there are several paths */
static bool rx_type_unnumbered(u8 type)
{
	return type == HK_MSG_PATH || type == HK_MSG_ACK ||
	       type == HK_MSG_PING || type == HK_MSG_PONG;
}

/*
 * Judge a header before memory is spent on the rest. rx_seq only grows, and this thread
 * has seen it at least at the number before this one, when the peer numbers as it must;
 * so a gap that is seen here without the lock is one.
 */
static const char *rx_hdr_why(struct hk_path *path, const struct hk_wire_hdr *hdr)
{
	struct hk_link *link = path->link;
	u64 last = READ_ONCE(link->rx_seq);
	u64 seq = le64_to_cpu(hdr->seq);
	bool several = READ_ONCE(link->several);
	const char *why;

	if (hk_wire_hdr_check(hdr, link->cfg.peer, READ_ONCE(link->features), &why))
		return why;
	if (READ_ONCE(path->state) == HK_LINK_PATH_JOINING && !path->heard &&
	    (seq || hdr->type != HK_MSG_PATH))
		return "message before PATH";
	if (!seq && (!several || !rx_type_unnumbered(hdr->type)))
		return "sequence number is not the next one";
	if (seq && several && hk_retain_judge(seq, last) == HK_RETAIN_GAP)
		return "sequence number is not the next one";
	if (seq && !several && seq != last + 1)
		return "sequence number is not the next one";
	if (seq && hdr->type == HK_MSG_ACK)
		return "ACK with a number";
	if (!link->hello && hdr->type != HK_MSG_HELLO)
		return "message before HELLO";
	if (link->hello && hdr->type == HK_MSG_HELLO)
		return "second HELLO";
	return NULL;
}

static struct hk_msg *rx_msg(struct hk_path *path, u64 *tsc)
{
	struct hk_link *link = path->link;
	const char *why;
	struct hk_wire_hdr hdr;
	struct hk_msg *msg;
	struct kvec vec[2];
	unsigned int nr = 0;
	bool page;
	u32 len;

	vec[0].iov_base = &hdr;
	vec[0].iov_len = sizeof(hdr);
	if (!rx_bytes(path, vec, 1, sizeof(hdr), true))
		return NULL;
	*tsc = hk_link_tsc(link);
	rx_quiet(path, ktime_get_ns());

	why = rx_hdr_why(path, &hdr);
	if (why) {
		rx_refuse(path, &hdr, why);
		return NULL;
	}

	/* Both bounded: the length by the table of types */
	len = le32_to_cpu(hdr.len);
	msg = hk_msg_new(len, GFP_NOIO);
	if (!msg)
		goto nomem;
	msg->hdr = hdr;
	if (len) {
		vec[nr].iov_base = msg->body;
		vec[nr++].iov_len = len;
	}
	page = hdr.flags & HK_WIRE_F_PAGE;
	if (page && !path->conn->transport->recv_page) {
		page = false;
		msg->page = alloc_page(GFP_NOIO);
		if (!msg->page)
			goto nomem;
		vec[nr].iov_base = page_address(msg->page);
		vec[nr++].iov_len = HK_WIRE_PAGE_SIZE;
		len += HK_WIRE_PAGE_SIZE;
	}
	if ((nr && !rx_bytes(path, vec, nr, len, false)) ||
	    (page && !rx_page(path, msg))) {
		hk_msg_free(msg);
		return NULL;
	}
	return msg;

nomem:
	hk_msg_free(msg);
	hk_link_end(link, END_TELL, "out of memory for a message of %u bytes", len);
	return NULL;
}

static bool rx_hello(struct hk_path *path, struct hk_msg *msg)
{
	struct hk_link *link = path->link;
	const char *why;
	bool up;

	if (hk_wire_hello_check((struct hk_wire_hello *)msg->body,
				link->cfg.peer, link->cfg.cluster, &why)) {
		rx_refuse(path, &msg->hdr, why);
		return false;
	}
	/* For good: a renewal has no HELLO of its own */
	WRITE_ONCE(link->features,
		   hk_wire_hello_features((struct hk_wire_hello *)msg->body));
	raw_spin_lock_irq(&link->lock);
	link->hello = true;
	link->up_since = ktime_get_ns();
	up = link->state == LINK_HELLO;
	if (up)
		WRITE_ONCE(link->state, LINK_UP);
	raw_spin_unlock_irq(&link->lock);
	if (!up)
		return true;
	if (link->ops->up)
		link->ops->up(link);
	WRITE_ONCE(link->next_ping, 0);
	mod_timer(&link->timer, jiffies);
	return true;
}

/* Do not let a peer that asks but does not listen fill the memory with answers */
static void rx_answer(struct hk_link *link, struct hk_msg *msg)
{
	if (READ_ONCE(link->queued) >= TX_REPLY_MAX) {
		hk_msg_free(msg);
		return;
	}
	hk_link_send(link, msg);
}

/* The peer's TSC was @peer when a message left that came at @tsc of ours */
static void rx_heard(struct hk_link *link, u64 peer, u64 tsc)
{
	s64 lead;

	raw_spin_lock_irq(&link->lock);
	lead = hk_clock_hear(&link->clock, peer, tsc);
	raw_spin_unlock_irq(&link->lock);
	link->ops->heard(link, lead, link->clock.rtt_min);
}

static void rx_ping(struct hk_path *path, const struct hk_msg *msg, u64 tsc)
{
	const struct hk_wire_ping *ping = (struct hk_wire_ping *)msg->body;
	struct hk_link *link = path->link;
	struct hk_msg *pong = NULL;

	/* One that is not numbered asks for this path: so does the answer go */
	if (!msg->hdr.seq) {
		WRITE_ONCE(path->pong, le64_to_cpu(ping->t_sent));
		hk_path_say(path, PATH_DUE_PONG);
	} else {
		pong = hk_msg_alloc(HK_MSG_PONG, 0, sizeof(*ping), GFP_NOIO);
	}
	if (pong) {
		((struct hk_wire_ping *)pong->body)->t_sent = ping->t_sent;
		hk_link_fill_ping(link, pong);
		rx_answer(link, pong);
	}
	rx_heard(link, le64_to_cpu(ping->t_sent), tsc);
	if (link->ops->seen_ping)
		link->ops->seen_ping(link, ping);
}

static u64 tsc_to_ns(u64 ticks)
{
	return mul_u64_u32_div(ticks, 1000000, tsc_khz ?: 1000000);
}

static void rx_pong(struct hk_path *path, const struct hk_msg *msg, u64 tsc)
{
	const struct hk_wire_ping *ping = (struct hk_wire_ping *)msg->body;
	struct hk_link *link = path->link;
	u64 sent = le64_to_cpu(ping->t_sent);
	u64 ns;

	raw_spin_lock_irq(&link->lock);
	if (hk_clock_add(&link->clock, sent, le64_to_cpu(ping->t_peer), tsc)) {
		ns = tsc_to_ns(tsc - sent);
		link->rtt_last = ns;
		if (!link->rtt_min || ns < link->rtt_min)
			link->rtt_min = ns;
		hk_hist_add(&link->rtt, ns);
		WRITE_ONCE(path->rtt, ns);
	}
	raw_spin_unlock_irq(&link->lock);
	rx_heard(link, le64_to_cpu(ping->t_peer), tsc);
	if (link->ops->seen_ping)
		link->ops->seen_ping(link, ping);
}

static bool rx_echo(struct hk_path *path, const struct hk_msg *msg)
{
	struct hk_link *link = path->link;
	const struct hk_wire_echo *echo = (struct hk_wire_echo *)msg->body;
	u32 len = sizeof(*echo);
	struct hk_msg *reply;
	const char *why;

	if (hk_wire_echo_check(echo, &why)) {
		rx_refuse(path, &msg->hdr, why);
		return false;
	}
	if (!echo->reply_page)
		len = le32_to_cpu(echo->reply_len);
	reply = hk_msg_alloc(HK_MSG_ECHO_REPLY, 0, len, GFP_NOIO);
	if (!reply)
		return true;
	((struct hk_wire_echo *)reply->body)->cookie = echo->cookie;
	if (echo->reply_page) {
		reply->page = alloc_page(GFP_NOIO | __GFP_ZERO);
		if (!reply->page) {
			hk_msg_free(reply);
			return true;
		}
	}
	rx_answer(link, reply);
	return true;
}

static void rx_bye(struct hk_link *link, const struct hk_msg *msg)
{
	char text[HK_REASON_MAX];

	hk_wire_text_get((struct hk_wire_text *)msg->body, text);
	hk_link_end(link, 0, "node %u left: %s", link->cfg.peer, text);
}

/* Return: true to go on; @msg is consumed in any case. Context: @rx_lock held */
static bool rx_dispatch(struct hk_path *path, struct hk_msg *msg, u64 tsc)
{
	struct hk_link *link = path->link;
	char why[HK_REASON_MAX] = "";
	const char *text = NULL;
	bool go_on = true;
	int ret;

	if (msg->hdr.type == HK_MSG_HELLO) {
		go_on = rx_hello(path, msg);
		goto free;
	}
	if (le32_to_cpu(msg->hdr.epoch) != link->cfg.epoch) {
		WRITE_ONCE(link->rx_stale, link->rx_stale + 1);
		goto free;
	}
	/* The end has begun: only a reason is of interest still */
	if (hk_link_ending(link) && msg->hdr.type != HK_MSG_BYE)
		goto free;

	switch (msg->hdr.type) {
	case HK_MSG_PING:
		rx_ping(path, msg, tsc);
		break;
	case HK_MSG_PONG:
		rx_pong(path, msg, tsc);
		if (!msg->hdr.seq)
			hk_path_proved(path);
		break;
	case HK_MSG_ECHO:
		go_on = rx_echo(path, msg);
		break;
	case HK_MSG_ECHO_REPLY:
		WRITE_ONCE(link->echo_seen, le64_to_cpu(((struct hk_wire_echo *)
							 msg->body)->cookie));
		wake_up(&link->echo_wait);
		break;
	case HK_MSG_SWITCH:
		if (READ_ONCE(link->joined))
			text = "SWITCH on a link with several paths";
		else
			go_on = hk_link_rx_switch(link);
		break;
	case HK_MSG_PATH:
		hk_path_rx_path(path, msg, &text);
		break;
	case HK_MSG_ACK:
		if (!hk_path_rx_ack(link, msg))
			text = "ACK of what was not sent";
		break;
	case HK_MSG_BYE:
		rx_bye(link, msg);
		go_on = false;
		break;
	default:
		ret = link->ops->recv(link, msg, why);
		if (ret >= 0)
			return true;
		if (why[0])
			hk_link_end(link, END_TELL, "%s", why);
		else
			hk_link_end(link, END_TELL, "message refused: error %d",
				    ret);
		return false;
	}
	if (text) {
		rx_refuse(path, &msg->hdr, text);
		go_on = false;
	}
free:
	hk_msg_free(msg);
	return go_on;
}

/*
 * The order of messages is that of their numbers, whichever path they come on: those
 * that a path brings again, as the peer did not know that they had come, are dropped.
 * Context: @rx_lock held
 */
static bool rx_take(struct hk_path *path, struct hk_msg *msg, u64 tsc)
{
	struct hk_link *link = path->link;
	u64 seq = le64_to_cpu(msg->hdr.seq);
	u8 type = msg->hdr.type;
	bool go_on;

	if (seq) {
		hk_path_came(path, msg);
		if (hk_retain_judge(seq, link->rx_seq) != HK_RETAIN_TAKE) {
			WRITE_ONCE(path->again, path->again + 1);
			hk_msg_free(msg);
			return true;
		}
		WRITE_ONCE(link->rx_seq, seq);
	}
	WRITE_ONCE(link->rx_types[type], link->rx_types[type] + 1);
	msg->queued_ns = ktime_get_ns();
	/* The clock changes under this lock alone, so it is read without its own */
	msg->lead = hk_clock_lead(&link->clock, le32_to_cpu(msg->hdr.stamp), tsc);
	msg->rtt_min = link->clock.rtt_min;

	WRITE_ONCE(link->busy_type, type);
	WRITE_ONCE(link->busy_since, msg->queued_ns);
	/* Before: the answer to a PING depends on it. After: an ACK may have been what lacked */
	if (type != HK_MSG_PATH)
		hk_path_confirm(path);
	go_on = rx_dispatch(path, msg, tsc);
	WRITE_ONCE(link->busy_since, 0);
	if (type != HK_MSG_PATH)
		hk_path_confirm(path);
	return go_on;
}

int hk_link_rx_thread(void *data)
{
	struct hk_path *path = data;
	struct hk_link *link = path->link;
	unsigned int noio = memalloc_noio_save();
	struct hk_msg *msg;
	bool go_on;
	u64 tsc;
	int err;

	if (path->conn->transport->start) {
		err = path->conn->transport->start(path->conn);
		if (err) {
			rx_result(path, err, 0, true);
			goto out;
		}
	}
	WRITE_ONCE(path->started, true);
	/* What was due meanwhile; nothing was on the only path */
	if (READ_ONCE(link->several))
		hk_path_kick(link);
	do {
		rx_quiet(path, ktime_get_ns());
		msg = rx_msg(path, &tsc);
		/* What takes long from here on is not the peer's fault */
		rx_quiet(path, 0);
		if (!msg)
			break;
		if (msg->hdr.type != HK_MSG_PATH && !hk_path_rx_wait(path)) {
			hk_msg_free(msg);
			break;
		}
		mutex_lock(&link->rx_lock);
		/* Who had the lock before may have said otherwise of the link */
		rx_quiet(path, 0);
		go_on = rx_take(path, msg, tsc);
		mutex_unlock(&link->rx_lock);
	} while (go_on);
	/* The link may go on, and nothing is worked on here any more */
	rx_quiet(path, ktime_get_ns());
out:
	memalloc_noio_restore(noio);
	if (hk_link_ending(link))
		complete_all(&link->rx_done);
	return 0;
}
