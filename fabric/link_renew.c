// SPDX-License-Identifier: GPL-2.0
/*
 * A link goes over to a new connection, without a pause and without a loss
 *
 * For new keys: the kernel's TLS cannot change those of a connection, so hkd makes a
 * new one from time to time and gives both of its ends to the modules. Each direction
 * goes over by itself:
 *
 *	sender		puts SWITCH on the old connection as the last message there; all
 *			that follows, numbered on, goes on the new one
 *	receiver	reads the old connection up to SWITCH; then the new one, for
 *			which it waits when the own hkd has not given it yet. That is
 *			silence of the peer, as any: after dead_ms the link ends
 *
 * Numbers of messages go on over the switch, so a message lost or doubled by it would
 * end the link.
 *
 * At any time there are @conn of the first path, from which its receiver reads, and @tx_conn. From
 * hk_link_renew() on @next is where both go and @prev where both were; who comes
 * second leaves the rest to a work item, which lets @prev go:
 *
 * 1. The sender and the receiver do not touch @prev any more: each has left it before
 *    it looked, under @lock, whether the other one had, too.
 * 2. The end work calls shutdown for what there is. It holds @conn_lock for that, as
 *    does the work item to take @prev away.
 * 3. hk_link_renew() is refused until @prev has gone, and from ENDING on. What it has
 *    put into @next before is released by the end work, after the threads have gone
 *    and the work item has been cancelled: nobody is left to use it.
 */
#include "link_internal.h"

#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/wait.h>

static void renew_work(struct work_struct *work)
{
	struct hk_link *link = container_of(work, struct hk_link, renew_work);
	struct hk_conn *old = NULL;

	mutex_lock(&link->conn_lock);
	raw_spin_lock_irq(&link->lock);
	if (link->next && link->paths[0].conn == link->next &&
	    link->tx_conn == link->next) {
		old = link->prev;
		link->prev = NULL;
		link->next = NULL;
		link->resent_past += old->transport->resent(old);
		WRITE_ONCE(link->renewals, link->renewals + 1);
	}
	raw_spin_unlock_irq(&link->lock);
	if (old) {
		/* All was read; what was sent still goes out */
		old->transport->shutdown(old);
		old->transport->release(old);
	}
	mutex_unlock(&link->conn_lock);
	/* The receiver may wait for this to take the next one */
	wake_up_all(&link->renew_wait);
	if (old && link->ops->path)
		link->ops->path(link, 0);
}

void hk_link_renew_init(struct hk_link *link)
{
	mutex_init(&link->conn_lock);
	init_waitqueue_head(&link->renew_wait);
	INIT_WORK(&link->renew_work, renew_work);
}

/* With several paths there is no one place in the stream where to go over */
static bool renew_several(struct hk_link *link)
{
	unsigned int i;

	lockdep_assert_held(&link->lock);
	for (i = 1; i < PATH_PLACES; i++)
		if (link->paths[i].conn)
			return true;
	return link->joined;
}

int hk_link_renew(struct hk_link *link, struct socket *sock, char *why)
{
	struct hk_msg *msg;
	struct hk_conn *conn;
	int err = 0;

	/* What others have to say to each other first, or hold, a renewal knows not */
	if (link->cfg.transport != &hk_tcp) {
		snprintf(why, HK_REASON_MAX, "a link by %s cannot be renewed",
			 link->transport);
		return -EOPNOTSUPP;
	}
	msg = hk_msg_alloc(HK_MSG_SWITCH, 0, 0, GFP_KERNEL);
	if (!msg) {
		snprintf(why, HK_REASON_MAX, "out of memory");
		return -ENOMEM;
	}
	/* Holds off the work items, which let connections go */
	mutex_lock(&link->conn_lock);
	raw_spin_lock_irq(&link->lock);
	if (link->state != LINK_UP)
		err = -ENOTCONN;
	else if (link->next)
		err = -EBUSY;
	else if (renew_several(link))
		err = -EOPNOTSUPP;
	raw_spin_unlock_irq(&link->lock);
	if (err) {
		snprintf(why, HK_REASON_MAX, err == -EBUSY ?
			 "the link to node %u is being renewed" :
			 err == -EOPNOTSUPP ?
			 "the link to node %u has several paths: each is to be made anew" :
			 "the link to node %u is not up", link->cfg.peer);
		goto err_unlock;
	}
	conn = hk_tcp.open(sock, &link->cfg, why);
	if (IS_ERR(conn)) {
		err = PTR_ERR(conn);
		goto err_unlock;
	}
	raw_spin_lock_irq(&link->lock);
	/* When the end has begun meanwhile, it waits for conn_lock to see this */
	link->prev = link->paths[0].conn;
	WRITE_ONCE(link->next, conn);
	link->switch_msg = msg;
	/* Pairs with tx_collect(), which then finds the message */
	smp_store_release(&link->switch_due, true);
	raw_spin_unlock_irq(&link->lock);
	hk_path_addresses(&link->paths[0], sock);
	mutex_unlock(&link->conn_lock);

	rcuwait_wake_up(&link->tx_wait);
	wake_up_all(&link->renew_wait);
	return 0;

err_unlock:
	mutex_unlock(&link->conn_lock);
	hk_msg_free(msg);
	return err;
}

/* Context: the sender, which has just sent SWITCH */
void hk_link_tx_switched(struct hk_link *link)
{
	bool both;

	raw_spin_lock_irq(&link->lock);
	link->tx_conn = link->next;
	both = link->paths[0].conn == link->next;
	raw_spin_unlock_irq(&link->lock);
	if (both)
		queue_work(system_unbound_wq, &link->renew_work);
}

/* Is there a connection to go over to, which the receiver does not use yet? */
static bool rx_next_there(struct hk_link *link)
{
	bool there;

	raw_spin_lock_irq(&link->lock);
	there = link->next && link->paths[0].conn != link->next;
	raw_spin_unlock_irq(&link->lock);
	return there;
}

/* Context: the receiver. Return: false when the end has begun */
bool hk_link_rx_switch(struct hk_link *link)
{
	bool both, there;

	/* Its connection may come late: silence of the peer, and no work of ours */
	WRITE_ONCE(link->busy_since, 0);
	WRITE_ONCE(link->quiet_since, ktime_get_ns());
	wait_event_idle(link->renew_wait, rx_next_there(link) ||
			hk_link_ending(link));
	WRITE_ONCE(link->quiet_since, 0);

	raw_spin_lock_irq(&link->lock);
	there = link->next && link->paths[0].conn != link->next;
	if (there)
		link->paths[0].conn = link->next;
	both = there && link->tx_conn == link->next;
	raw_spin_unlock_irq(&link->lock);
	if (both)
		queue_work(system_unbound_wq, &link->renew_work);
	return there;
}

/* Context: the end work. The threads are woken, and block no longer */
void hk_link_renew_shutdown(struct hk_link *link)
{
	struct hk_conn *conn;
	unsigned int i;

	wake_up_all(&link->renew_wait);
	mutex_lock(&link->conn_lock);
	if (link->next) {
		link->prev->transport->shutdown(link->prev);
		link->next->transport->shutdown(link->next);
	}
	for (i = link->next ? 1 : 0; i < PATH_PLACES; i++) {
		conn = link->paths[i].conn;
		if (conn)
			conn->transport->shutdown(conn);
	}
	mutex_unlock(&link->conn_lock);
}

/* Context: the end work, after the threads have gone */
void hk_link_renew_release(struct hk_link *link)
{
	struct hk_conn *conn[PATH_PLACES], *next;
	unsigned int i;

	cancel_work_sync(&link->renew_work);
	/* Nobody but those who want to count looks at them now */
	raw_spin_lock_irq(&link->lock);
	next = link->next;
	for (i = 0; i < PATH_PLACES; i++) {
		conn[i] = link->paths[i].conn;
		link->paths[i].conn = NULL;
	}
	if (next)
		conn[0] = link->prev;
	link->tx_conn = NULL;
	raw_spin_unlock_irq(&link->lock);
	for (i = 0; i < PATH_PLACES; i++)
		if (conn[i])
			hk_path_release(&link->paths[i], conn[i]);
	if (next)
		next->transport->release(next);
	hk_msg_free(link->switch_msg);
	link->switch_msg = NULL;
}
