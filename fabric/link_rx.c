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
 * Note whether the link waits for the peer. Before HELLO the clock is not reset:
 * that has to come within dead_ms, whole.
 */
static void rx_quiet(struct hk_link *link, u64 since)
{
	if (link->hello)
		WRITE_ONCE(link->quiet_since, since);
}

static void rx_refuse(struct hk_link *link, const struct hk_wire_hdr *hdr,
		      const char *why)
{
	pr_warn_ratelimited("node %u: from node %u: %s (%s, type %u, len %u, seq %llu)\n",
			    link->cfg.self, link->cfg.peer, why,
			    hk_msg_name(hdr->type), hdr->type,
			    le32_to_cpu(hdr->len), le64_to_cpu(hdr->seq));
	hk_link_end(link, END_TELL, "node %u broke the protocol: %s",
		    link->cfg.peer, why);
}

/*
 * Judge what the transport returned for @len bytes; @start: a message begins here.
 * Return: true when they are there; otherwise the end has begun
 */
static bool rx_result(struct hk_link *link, int ret, size_t len, bool start)
{
	if (ret > 0) {
		WRITE_ONCE(link->rx_bytes, link->rx_bytes + len);
		return true;
	}
	/* Better than a weak reason of the sender; no news when the end shut us down */
	if (ret < 0 && link->conn->why[0])
		hk_link_end(link, 0, "%s", link->conn->why);
	else if (!ret && start)
		hk_link_end(link, 0, "node %u closed the connection",
			    link->cfg.peer);
	else if (!ret || ret == -ECONNABORTED)
		hk_link_end(link, 0, "node %u closed the connection amid a message",
			    link->cfg.peer);
	else
		hk_link_end(link, 0, "receive from node %u: error %d",
			    link->cfg.peer, ret);
	return false;
}

static bool rx_bytes(struct hk_link *link, struct kvec *vec, unsigned int nr,
		     size_t len, bool start)
{
	return rx_result(link, link->conn->transport->recv(link->conn, vec, nr,
							   len), len, start);
}

static bool rx_page(struct hk_link *link, struct hk_msg *msg)
{
	int ret = link->conn->transport->recv_page(link->conn, &msg->page);

	return rx_result(link, ret, HK_WIRE_PAGE_SIZE, false);
}

static struct hk_msg *rx_msg(struct hk_link *link, u64 *tsc)
{
	const char *why;
	struct hk_wire_hdr hdr;
	struct hk_msg *msg;
	struct kvec vec[2];
	unsigned int nr = 0;
	bool page;
	u32 len;

	vec[0].iov_base = &hdr;
	vec[0].iov_len = sizeof(hdr);
	if (!rx_bytes(link, vec, 1, sizeof(hdr), true))
		return NULL;
	*tsc = hk_link_tsc(link);
	rx_quiet(link, ktime_get_ns());

	if (hk_wire_hdr_check(&hdr, link->cfg.peer, &why)) {
		rx_refuse(link, &hdr, why);
		return NULL;
	}
	if (le64_to_cpu(hdr.seq) != link->rx_seq + 1) {
		rx_refuse(link, &hdr, "sequence number is not the next one");
		return NULL;
	}
	if (!link->hello && hdr.type != HK_MSG_HELLO) {
		rx_refuse(link, &hdr, "message before HELLO");
		return NULL;
	}
	if (link->hello && hdr.type == HK_MSG_HELLO) {
		rx_refuse(link, &hdr, "second HELLO");
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
	if (page && !link->conn->transport->recv_page) {
		page = false;
		msg->page = alloc_page(GFP_NOIO);
		if (!msg->page)
			goto nomem;
		vec[nr].iov_base = page_address(msg->page);
		vec[nr++].iov_len = HK_WIRE_PAGE_SIZE;
		len += HK_WIRE_PAGE_SIZE;
	}
	if ((nr && !rx_bytes(link, vec, nr, len, false)) ||
	    (page && !rx_page(link, msg))) {
		hk_msg_free(msg);
		return NULL;
	}
	WRITE_ONCE(link->rx_seq, link->rx_seq + 1);
	WRITE_ONCE(link->rx_types[hdr.type], link->rx_types[hdr.type] + 1);
	msg->queued_ns = ktime_get_ns();
	/* This thread alone changes the clock, so it reads it without the lock */
	msg->lead = hk_clock_lead(&link->clock, le32_to_cpu(hdr.stamp), *tsc);
	msg->rtt_min = link->clock.rtt_min;
	return msg;

nomem:
	hk_msg_free(msg);
	hk_link_end(link, END_TELL, "out of memory for a message of %u bytes", len);
	return NULL;
}

static bool rx_hello(struct hk_link *link, struct hk_msg *msg)
{
	const char *why;
	bool up;

	if (hk_wire_hello_check((struct hk_wire_hello *)msg->body,
				link->cfg.peer, link->cfg.cluster, &why)) {
		rx_refuse(link, &msg->hdr, why);
		return false;
	}
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

static void rx_ping(struct hk_link *link, const struct hk_msg *msg, u64 tsc)
{
	const struct hk_wire_ping *ping = (struct hk_wire_ping *)msg->body;
	struct hk_msg *pong;

	pong = hk_msg_alloc(HK_MSG_PONG, 0, sizeof(*ping), GFP_NOIO);
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

static void rx_pong(struct hk_link *link, const struct hk_msg *msg, u64 tsc)
{
	const struct hk_wire_ping *ping = (struct hk_wire_ping *)msg->body;
	u64 sent = le64_to_cpu(ping->t_sent);
	u64 ns;

	raw_spin_lock_irq(&link->lock);
	if (hk_clock_add(&link->clock, sent, le64_to_cpu(ping->t_peer), tsc)) {
		ns = tsc_to_ns(tsc - sent);
		link->rtt_last = ns;
		if (!link->rtt_min || ns < link->rtt_min)
			link->rtt_min = ns;
		hk_hist_add(&link->rtt, ns);
	}
	raw_spin_unlock_irq(&link->lock);
	rx_heard(link, le64_to_cpu(ping->t_peer), tsc);
	if (link->ops->seen_ping)
		link->ops->seen_ping(link, ping);
}

static bool rx_echo(struct hk_link *link, const struct hk_msg *msg)
{
	const struct hk_wire_echo *echo = (struct hk_wire_echo *)msg->body;
	u32 len = sizeof(*echo);
	struct hk_msg *reply;
	const char *why;

	if (hk_wire_echo_check(echo, &why)) {
		rx_refuse(link, &msg->hdr, why);
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

/* Return: true to go on; @msg is consumed in any case */
static bool rx_dispatch(struct hk_link *link, struct hk_msg *msg, u64 tsc)
{
	char why[HK_REASON_MAX] = "";
	bool go_on = true;
	int ret;

	if (msg->hdr.type == HK_MSG_HELLO) {
		go_on = rx_hello(link, msg);
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
		rx_ping(link, msg, tsc);
		break;
	case HK_MSG_PONG:
		rx_pong(link, msg, tsc);
		break;
	case HK_MSG_ECHO:
		go_on = rx_echo(link, msg);
		break;
	case HK_MSG_ECHO_REPLY:
		WRITE_ONCE(link->echo_seen, le64_to_cpu(((struct hk_wire_echo *)
							 msg->body)->cookie));
		wake_up(&link->echo_wait);
		break;
	case HK_MSG_SWITCH:
		go_on = hk_link_rx_switch(link);
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
free:
	hk_msg_free(msg);
	return go_on;
}

int hk_link_rx_thread(void *data)
{
	struct hk_link *link = data;
	unsigned int noio = memalloc_noio_save();
	struct hk_msg *msg;
	u64 tsc;
	int err;

	if (link->conn->transport->start) {
		err = link->conn->transport->start(link->conn);
		if (err) {
			rx_result(link, err, 0, true);
			goto out;
		}
	}
	do {
		WRITE_ONCE(link->busy_since, 0);
		rx_quiet(link, ktime_get_ns());
		msg = rx_msg(link, &tsc);
		/* What takes long from here on is not the peer's fault */
		rx_quiet(link, 0);
		if (msg) {
			WRITE_ONCE(link->busy_type, msg->hdr.type);
			WRITE_ONCE(link->busy_since, msg->queued_ns);
		}
	} while (msg && rx_dispatch(link, msg, tsc));
out:
	memalloc_noio_restore(noio);
	complete_all(&link->rx_done);
	return 0;
}
