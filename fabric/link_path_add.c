// SPDX-License-Identifier: GPL-2.0
/*
 * Connections of a link: how one more is given to it, dropped, and what there is to say
 *
 * See the head of link_path.c for what they do, and who gets into whose way.
 */
#include "link_internal.h"

#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/net.h>
#include <linux/random.h>
#include <linux/string.h>
#include <linux/wait.h>

/**
 * hk_path_init() - a link without a path
 * @link: link
 */
void hk_path_init(struct hk_link *link)
{
	unsigned int i;

	mutex_init(&link->rx_lock);
	init_waitqueue_head(&link->path_wait);
	hk_retain_init(&link->retain);
	for (i = 0; i < PATH_PLACES; i++) {
		link->paths[i].link = link;
		link->paths[i].id = i % HK_PATH_MAX;
		INIT_WORK(&link->paths[i].work, hk_path_work);
	}
}

/**
 * hk_path_addresses() - note where a connection goes
 * @path: path
 * @sock: its socket
 * Context: process.
 */
void hk_path_addresses(struct hk_path *path, struct socket *sock)
{
	struct sockaddr_storage local = {}, peer = {};

	if (kernel_getsockname(sock, (struct sockaddr *)&local) < 0)
		local.ss_family = AF_UNSPEC;
	if (kernel_getpeername(sock, (struct sockaddr *)&peer) < 0)
		peer.ss_family = AF_UNSPEC;
	raw_spin_lock_irq(&path->link->lock);
	path->local = local;
	path->peer = peer;
	raw_spin_unlock_irq(&path->link->lock);
}

/**
 * hk_path_release() - free a connection, and let go of its transport
 * @path: path that it was of
 * @conn: connection that nobody uses any more
 * Context: process; &hk_link.conn_lock held, or the end work.
 */
void hk_path_release(struct hk_path *path, struct hk_conn *conn)
{
	conn->transport->release(conn);
	/* Last: its module may be unloaded then */
	hk_transport_put(path->held);
	path->held = NULL;
}

/* Where there is room for a connection of path @id. Context: @lock held */
static struct hk_path *path_place(struct hk_link *link, unsigned int id)
{
	struct hk_path *path = &link->paths[id], *twin = hk_path_twin(path);

	lockdep_assert_held(&link->lock);
	if (path->state == HK_LINK_PATH_JOINING ||
	    twin->state == HK_LINK_PATH_JOINING)
		return NULL;
	if (!path->conn)
		return path;
	return twin->conn ? NULL : twin;
}

/* Context: @conn_lock held, so nothing but the end comes in between */
static struct hk_path *path_may_add(struct hk_link *link, unsigned int id, char *why)
{
	struct hk_path *path = NULL;
	int err = 0;

	raw_spin_lock_irq(&link->lock);
	if (link->state != LINK_UP) {
		err = -ENOTCONN;
		snprintf(why, HK_REASON_MAX, "the link to node %u is not up",
			 link->cfg.peer);
	} else if (link->next) {
		err = -EBUSY;
		snprintf(why, HK_REASON_MAX, "the link to node %u is being renewed",
			 link->cfg.peer);
	} else {
		path = path_place(link, id);
		if (!path) {
			err = -EBUSY;
			snprintf(why, HK_REASON_MAX,
				 "path %u is just being made, or given up", id);
		}
	}
	raw_spin_unlock_irq(&link->lock);
	return err ? ERR_PTR(err) : path;
}

/* The word on the link that goes with what is said on the connection */
static struct hk_msg *path_announce(struct hk_link *link, u8 id, u64 cookie)
{
	struct hk_wire_path *body;
	struct hk_msg *msg;

	msg = hk_msg_alloc(HK_MSG_PATH, 0, sizeof(*body), GFP_KERNEL);
	if (!msg)
		return NULL;
	body = (struct hk_wire_path *)msg->body;
	body->node = cpu_to_le16(link->cfg.self);
	body->path = id;
	body->cookie = cpu_to_le64(cookie);
	memcpy(body->cluster, link->cfg.cluster, sizeof(body->cluster));
	return msg;
}

int hk_link_path_add(struct hk_link *link, unsigned int id, struct socket *sock,
		     const struct hk_transport *transport, char *why)
{
	struct hk_link_cfg cfg = link->cfg;
	struct task_struct *task;
	struct hk_path *path;
	struct hk_conn *conn;
	struct hk_msg *msg;
	u64 cookie;
	int err;

	cfg.transport = transport;
	cookie = get_random_u64() | 1;
	msg = path_announce(link, id, cookie);
	if (!msg) {
		snprintf(why, HK_REASON_MAX, "out of memory");
		return -ENOMEM;
	}
	mutex_lock(&link->conn_lock);
	path = path_may_add(link, id, why);
	if (IS_ERR(path)) {
		err = PTR_ERR(path);
		goto err_unlock;
	}
	task = hk_link_thread(link, "rx", hk_link_rx_thread, path);
	if (IS_ERR(task)) {
		snprintf(why, HK_REASON_MAX, "no thread: error %ld", PTR_ERR(task));
		err = PTR_ERR(task);
		goto err_unlock;
	}
	conn = transport->open(sock, &cfg, why);
	if (IS_ERR(conn)) {
		err = PTR_ERR(conn);
		goto err_task;
	}
	hk_path_addresses(path, sock);
	raw_spin_lock_irq(&link->lock);
	/* When the end has begun meanwhile, it waits for conn_lock to see this */
	path->conn = conn;
	path->held = transport;
	strscpy(path->transport, transport->name, sizeof(path->transport));
	WRITE_ONCE(path->started, false);
	WRITE_ONCE(path->since, ktime_get_ns());
	WRITE_ONCE(path->quiet_since, path->since);
	path->own = cookie;
	path->heard = 0;
	WRITE_ONCE(path->joined, false);
	WRITE_ONCE(path->rtt, 0);
	path->why[0] = '\0';
	/* What the former one was to say is void */
	WRITE_ONCE(path->due, BIT(PATH_DUE_PATH));
	/* Pairs with path_say_all() */
	smp_store_release(&path->gen, path->gen + 1);
	WRITE_ONCE(path->state, HK_LINK_PATH_JOINING);
	WRITE_ONCE(link->several, true);
	path->rx_task = task;
	raw_spin_unlock_irq(&link->lock);
	wake_up_process(task);
	mutex_unlock(&link->conn_lock);

	/* Refused when the end has begun: then there is nobody to hear it */
	hk_link_send(link, msg);
	hk_path_kick(link);
	return 0;

err_task:
	/* Never entered, so it takes no lock */
	hk_link_thread_undo(task);
err_unlock:
	mutex_unlock(&link->conn_lock);
	hk_msg_free(msg);
	return err;
}

/*
 * Give up what there is of a path, both connections when it is just going over to a new
 * one. Context: @lock held. Return: bits of those that were; 0 with @err and @why
 */
static unsigned int path_drop(struct hk_link *link, unsigned int id, int *err, char *why)
{
	struct hk_path *path[2] = { &link->paths[id], hk_path_twin(&link->paths[id]) };
	unsigned int i, live = 0, others = 0;
	bool part = false;

	lockdep_assert_held(&link->lock);
	for (i = 0; i < PATH_PLACES; i++)
		others += link->paths[i].id != id && hk_path_usable(&link->paths[i]);
	for (i = 0; i < 2; i++) {
		live |= hk_path_live(path[i]) << i;
		/* What went before the sender kept anything is lost with it */
		if (path[i] == link->active && !hk_path_acked(link))
			others = 0;
		part |= hk_path_usable(path[i]);
	}
	if (hk_link_ending(link) || !live) {
		*err = -ENOENT;
		snprintf(why, HK_REASON_MAX, "the link to node %u has no path %u",
			 link->cfg.peer, id);
		return 0;
	}
	if (part && !others) {
		*err = -EBUSY;
		snprintf(why, HK_REASON_MAX,
			 "the link to node %u has no other path that it could use now",
			 link->cfg.peer);
		return 0;
	}
	for (i = 0; i < 2; i++)
		if (live & BIT(i))
			hk_path_down(path[i], "dropped by the administrator");
	return live;
}

int hk_link_path_del(struct hk_link *link, unsigned int id, char *why)
{
	struct hk_path *path = &link->paths[id];
	unsigned int live;
	int err = 0;

	/* Held until the work is queued, see 4 in link_path.c */
	mutex_lock(&link->conn_lock);
	raw_spin_lock_irq(&link->lock);
	live = path_drop(link, id, &err, why);
	raw_spin_unlock_irq(&link->lock);
	if (live & BIT(0))
		hk_path_gone(path);
	if (live & BIT(1))
		hk_path_gone(hk_path_twin(path));
	mutex_unlock(&link->conn_lock);
	return err;
}

/* How much a place has to say of its path; of two that are alike the one in charge */
static unsigned int path_rank(const struct hk_path *path)
{
	switch (path->state) {
	case HK_LINK_PATH_STANDBY:
		return 3;
	case HK_LINK_PATH_JOINING:
		return 2;
	case HK_LINK_PATH_DOWN:
		return 1;
	default:
		return 0;
	}
}

/* Context: @lock held */
static struct hk_path *path_shown(struct hk_path *path)
{
	struct hk_path *twin = hk_path_twin(path);

	if (path_rank(path) != path_rank(twin))
		return path_rank(path) > path_rank(twin) ? path : twin;
	/* The former one carries until it is given up; the reason that counts is the last */
	if (hk_path_usable(path))
		return path->since < twin->since ? path : twin;
	return path->since > twin->since ? path : twin;
}

bool hk_link_path_get(struct hk_link *link, unsigned int id,
		      struct hk_link_path *p)
{
	struct hk_path *path = &link->paths[id], *twin = hk_path_twin(path), *shown;

	raw_spin_lock_irq(&link->lock);
	shown = path_shown(path);
	p->state = shown->state;
	if (p->state == HK_LINK_PATH_STANDBY &&
	    (path == link->active || twin == link->active))
		p->state = HK_LINK_PATH_ACTIVE;
	memcpy(p->why, shown->why, sizeof(p->why));
	memcpy(p->transport, shown->transport, sizeof(p->transport));
	p->local = shown->local;
	p->peer = shown->peer;
	raw_spin_unlock_irq(&link->lock);
	p->tx_bytes = READ_ONCE(path->tx_bytes) + READ_ONCE(twin->tx_bytes);
	p->rx_bytes = READ_ONCE(path->rx_bytes) + READ_ONCE(twin->rx_bytes);
	p->resent = READ_ONCE(path->resent) + READ_ONCE(twin->resent);
	p->again = READ_ONCE(path->again) + READ_ONCE(twin->again);
	p->failovers = READ_ONCE(path->failovers) + READ_ONCE(twin->failovers);
	p->rtt_ns = READ_ONCE(shown->rtt);
	return p->state != HK_LINK_PATH_NONE;
}
