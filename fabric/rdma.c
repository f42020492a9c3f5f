// SPDX-License-Identifier: GPL-2.0
/*
 * Transport over RDMA: the module, birth and end of a connection
 *
 * Who runs:
 *
 *	receiver	the link's thread: start (rdma_cm.c), recv, recv_page (rdma_rx.c)
 *	sender		the link's thread: send (rdma_tx.c)
 *	completions	softirq, one at a time: frames came in, frames have left
 *	events		the connection manager's workqueue (rdma_cm.c); the device
 *	socket		softirq: the TCP socket was closed or reset
 *	end work	the link's: shutdown, then, without sender and receiver, release
 *
 * hk_rdma_end() marks the connection as of no use, whoever calls first, and wakes the
 * sender, who returns, and the receiver. That one makes the device flush the queue pair
 * (rdma_disconnect()), takes what had come in before and returns the reason: so a BYE
 * that came in last is still read.
 *
 * Everything is freed by release alone. Contexts that may still hold the connection
 * then, and why none does after:
 *
 * 1. The socket's callback: it finds the connection under sk_callback_lock, which
 *    anchor_release() holds to take it away.
 * 2. Events: rdma_destroy_id() waits for the handler, and none follows. The listener
 *    goes first, as its handler is what may set @id.
 * 3. Completions: ib_drain_qp() waits for all, ib_free_cq() for the softirq itself. What
 *    a completion posts after the drain (it saw @err too early) comes back flushed, to a
 *    completion that finds @err and touches nothing but the connection.
 * 4. The device writes into receive buffers until the queue pair is destroyed; they are
 *    freed after that.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "rdma.h"

#include <linux/file.h>
#include <linux/in6.h>
#include <linux/inet.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include <net/sock.h>
#include <net/tcp_states.h>

/* What was sent has so long to leave when the link ends: a BYE, a round trip */
#define DRAIN_MS	250

void hk_rdma_end(struct hk_rdma *rc, int err, bool closed, const char *fmt, ...)
{
	unsigned long irq;
	va_list args;

	spin_lock_irqsave(&rc->lock, irq);
	if (!rc->err) {
		va_start(args, fmt);
		vscnprintf(rc->conn.why, sizeof(rc->conn.why), fmt, args);
		va_end(args);
		rc->closed = closed;
		/* Pairs with hk_rdma_err(): the reason is there by then */
		smp_store_release(&rc->err, err);
	}
	spin_unlock_irqrestore(&rc->lock, irq);
	wake_up_all(&rc->rx_wait);
	wake_up_all(&rc->tx_wait);
}

/* The socket */

static void anchor_changed(struct sock *sk)
{
	void (*chain)(struct sock *sk) = NULL;
	struct hk_rdma *rc;

	read_lock_bh(&sk->sk_callback_lock);
	rc = sk->sk_user_data;
	if (rc) {
		chain = rc->sock_changed;
		if (sk->sk_state != TCP_ESTABLISHED)
			hk_rdma_end(rc, -EPIPE, true, "node %u closed the connection",
				    rc->peer);
	}
	read_unlock_bh(&sk->sk_callback_lock);
	if (chain)
		chain(sk);
}

static int anchor_take(struct hk_rdma *rc)
{
	struct sock *sk = rc->sock->sk;
	int err = 0;

	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_user_data) {
		err = -EBUSY;
	} else {
		rc->sock_changed = sk->sk_state_change;
		sk->sk_user_data = rc;
		sk->sk_state_change = anchor_changed;
	}
	write_unlock_bh(&sk->sk_callback_lock);
	return err;
}

static void anchor_release(struct hk_rdma *rc)
{
	struct sock *sk = rc->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = NULL;
	sk->sk_state_change = rc->sock_changed;
	write_unlock_bh(&sk->sk_callback_lock);
	if (rc->sock->file)
		sockfd_put(rc->sock);
	else
		sock_release(rc->sock);
}

/* The connection manager knows nothing of IPv4 in IPv6 */
static void unmap_v4(struct sockaddr_storage *sa)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (sa->ss_family != AF_INET6 || !ipv6_addr_v4mapped(&in6->sin6_addr))
		return;
	in.sin_port = in6->sin6_port;
	in.sin_addr.s_addr = in6->sin6_addr.s6_addr32[3];
	memcpy(sa, &in, sizeof(in));
}

static int addresses(struct hk_rdma *rc, struct socket *sock)
{
	int ret;

	ret = kernel_getsockname(sock, (struct sockaddr *)&rc->local);
	if (ret >= 0)
		ret = kernel_getpeername(sock, (struct sockaddr *)&rc->remote);
	if (ret < 0)
		return ret;
	unmap_v4(&rc->local);
	unmap_v4(&rc->remote);
	return 0;
}

static void free_conn(struct hk_rdma *rc)
{
	if (rc->listener)
		rdma_destroy_id(rc->listener);
	if (rc->qp) {
		rdma_disconnect(rc->id);
		ib_drain_qp(rc->qp);
		rdma_destroy_qp(rc->id);
	}
	if (rc->cq)
		ib_free_cq(rc->cq);
	/* They are mapped for the device, which @id keeps */
	if (rc->pd) {
		hk_rdma_tx_free(rc);
		hk_rdma_rx_free(rc);
		ib_dealloc_pd(rc->pd);
	}
	if (rc->id)
		rdma_destroy_id(rc->id);
	kvfree_sensitive(rc, sizeof(*rc));
}

static struct hk_conn *rdma_open(struct socket *sock,
				 const struct hk_link_cfg *cfg, char *why)
{
	struct hk_rdma *rc;
	int err;

	rc = kvzalloc(sizeof(*rc), GFP_KERNEL);
	if (!rc) {
		snprintf(why, HK_REASON_MAX, "out of memory");
		return ERR_PTR(-ENOMEM);
	}
	rc->conn.transport = cfg->transport;
	rc->self = cfg->self;
	rc->peer = cfg->peer;
	rc->dead_ms = cfg->dead_ms;
	rc->passive = cfg->self < cfg->peer;
	spin_lock_init(&rc->lock);
	INIT_LIST_HEAD(&rc->rx_queue);
	init_waitqueue_head(&rc->rx_wait);
	init_waitqueue_head(&rc->tx_wait);
	get_random_bytes(rc->cookie, sizeof(rc->cookie));

	err = addresses(rc, sock);
	if (err) {
		snprintf(why, HK_REASON_MAX, "the socket has no address: error %d",
			 err);
		goto err_free;
	}
	rc->sock = sock;
	err = hk_rdma_bind(rc, why);
	if (err)
		goto err_free;
	err = anchor_take(rc);
	if (err) {
		snprintf(why, HK_REASON_MAX, "the socket is in use by something else");
		goto err_free;
	}
	return &rc->conn;

err_free:
	free_conn(rc);
	return ERR_PTR(err);
}

static void rdma_shutdown(struct hk_conn *conn)
{
	struct hk_rdma *rc = hk_to_rdma(conn);
	bool up;

	spin_lock_irq(&rc->lock);
	rc->closing = true;
	up = rc->step == HK_RDMA_UP;
	spin_unlock_irq(&rc->lock);
	wake_up_all(&rc->tx_wait);
	if (up)
		wait_event_timeout(rc->tx_wait,
				   hk_rdma_err(rc) || hk_rdma_tx_idle(rc),
				   msecs_to_jiffies(DRAIN_MS));
	hk_rdma_end(rc, -EPIPE, false, "closed");
	/*
	 * When it is not up, the receiver is in start and returns by @err or by the
	 * socket's end; the identifier may be coming into being and is its alone.
	 */
	if (up)
		rdma_disconnect(rc->id);
	kernel_sock_shutdown(rc->sock, SHUT_RDWR);
}

static void rdma_release(struct hk_conn *conn)
{
	struct hk_rdma *rc = hk_to_rdma(conn);

	anchor_release(rc);
	hk_rdma_end(rc, -EPIPE, false, "closed");
	free_conn(rc);
}

static struct hk_transport hk_rdma_transport = {
	.name = "rdma",
	.api = HK_TRANSPORT_API,
	.owner = THIS_MODULE,
	.open = rdma_open,
	.start = hk_rdma_start,
	.send = hk_rdma_send,
	.recv = hk_rdma_recv,
	.recv_page = hk_rdma_recv_page,
	.shutdown = rdma_shutdown,
	.release = rdma_release,
};

static int __init hk_rdma_init(void)
{
	return hk_transport_register(&hk_rdma_transport);
}

static void __exit hk_rdma_exit(void)
{
	hk_transport_unregister(&hk_rdma_transport);
}

module_init(hk_rdma_init);
module_exit(hk_rdma_exit);

MODULE_DESCRIPTION("Links of hyperkernel over RDMA");
MODULE_AUTHOR("The hyperkernel authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
MODULE_ALIAS("hk-transport-rdma");
