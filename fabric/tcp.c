// SPDX-License-Identifier: GPL-2.0
/*
 * Transport over a connected stream socket
 *
 * TCP, with or without kernel TLS on it; other stream sockets work as well. The
 * socket was made and authenticated in user space.
 */
#include "transport.h"
#include "link.h"

#include <linux/err.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/tcp.h>
#include <net/sock.h>

/*
 * What is in the socket or on its way can no longer be overtaken by the control
 * lane, so let the queue stand in the link: bound the bytes that TCP holds unsent,
 * and those that a slow receiver leaves unread. The latter bounds the window, too:
 * the bandwidth-delay product of 40 Gbit/s over 100 us.
 */
#define TCP_UNSENT_MAX	(128 * 1024)
#define TCP_UNREAD_MAX	(512 * 1024)

struct tcp_conn {
	struct hk_conn conn;
	struct socket *sock;
	struct kvec vec[HK_TX_BATCH * 3];
};

static struct tcp_conn *to_tcp(struct hk_conn *conn)
{
	return container_of(conn, struct tcp_conn, conn);
}

/*
 * sk_allocation: what allocates for the socket must not wait for block I/O, as a
 * disk may be served by the guest, whose next page may be waiting for this very
 * socket. (The link's threads run in a noio scope for the same reason.) The
 * reserves of SOCK_MEMALLOC and PF_MEMALLOC stay untouched: the host does not
 * free memory by sending here, and a peer decides how much comes in, so that
 * reserves could be drained from outside.
 */
static struct hk_conn *tcp_open(struct socket *sock,
				const struct hk_link_cfg *cfg, char *why)
{
	struct sock *sk = sock->sk;
	struct tcp_conn *tcp;

	if (sock->type != SOCK_STREAM) {
		snprintf(why, HK_REASON_MAX, "the socket is not a stream");
		return ERR_PTR(-EPROTOTYPE);
	}
	/*
	 * A connect() that did not block leaves sock->state at SS_CONNECTING until
	 * user space asks again; the protocol knows better.
	 */
	if (sk_is_tcp(sk) ? sk->sk_state != TCP_ESTABLISHED :
			    sock->state != SS_CONNECTED) {
		snprintf(why, HK_REASON_MAX, "the socket is not connected");
		return ERR_PTR(-ENOTCONN);
	}

	tcp = kzalloc(sizeof(*tcp), GFP_KERNEL);
	if (!tcp) {
		snprintf(why, HK_REASON_MAX, "out of memory");
		return ERR_PTR(-ENOMEM);
	}
	tcp->conn.transport = &hk_tcp;
	tcp->sock = sock;

	lock_sock(sk);
	sk->sk_allocation = GFP_NOIO;
	sk->sk_rcvtimeo = MAX_SCHEDULE_TIMEOUT;
	sk->sk_sndtimeo = MAX_SCHEDULE_TIMEOUT;
	if (sk_is_tcp(sk))
		WRITE_ONCE(tcp_sk(sk)->notsent_lowat, TCP_UNSENT_MAX);
	release_sock(sk);
	if (sk_is_tcp(sk)) {
		tcp_sock_set_nodelay(sk);
		/* User space may have chosen for a long or a thick pipe */
		if (!(sk->sk_userlocks & SOCK_RCVBUF_LOCK))
			sock_set_rcvbuf(sk, TCP_UNREAD_MAX);
	}
	return &tcp->conn;
}

/*
 * All is copied into the socket with one call. Nobody writes a page of a message, so it could
 * go by reference, but that costs more than the copy does: Documentation/fabric.rst.
 */
static int tcp_send(struct hk_conn *conn, struct hk_msg *const *msgs,
		    unsigned int nr, bool more)
{
	struct tcp_conn *tcp = to_tcp(conn);
	struct msghdr mh = {
		.msg_flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0),
	};
	struct kvec *vec = tcp->vec;
	size_t total = 0;
	unsigned int i, n = 0;
	int ret;

	for (i = 0; i < nr; i++) {
		struct hk_msg *msg = msgs[i];
		u32 len = le32_to_cpu(msg->hdr.len);

		vec[n].iov_base = &msg->hdr;
		vec[n++].iov_len = sizeof(msg->hdr);
		total += sizeof(msg->hdr);
		if (len) {
			vec[n].iov_base = msg->body;
			vec[n++].iov_len = len;
			total += len;
		}
		if (msg->page) {
			/* 64-bit only: every page has an address */
			vec[n].iov_base = page_address(msg->page);
			vec[n++].iov_len = HK_WIRE_PAGE_SIZE;
			total += HK_WIRE_PAGE_SIZE;
		}
	}

	iov_iter_kvec(&mh.msg_iter, ITER_SOURCE, vec, n, total);
	while (msg_data_left(&mh)) {
		ret = sock_sendmsg(tcp->sock, &mh);
		if (ret < 0)
			return ret;
		if (!ret)
			return -EPIPE;
	}
	return 0;
}

static int tcp_recv(struct hk_conn *conn, struct kvec *vec, unsigned int nr,
		    size_t len)
{
	struct tcp_conn *tcp = to_tcp(conn);
	struct msghdr mh = {};
	int ret;

	iov_iter_kvec(&mh.msg_iter, ITER_DEST, vec, nr, len);
	while (msg_data_left(&mh)) {
		ret = sock_recvmsg(tcp->sock, &mh, MSG_WAITALL);
		if (ret < 0)
			return ret;
		if (!ret)
			return msg_data_left(&mh) == len ? 0 : -ECONNABORTED;
	}
	return 1;
}

static u64 tcp_resent(struct hk_conn *conn)
{
	struct sock *sk = to_tcp(conn)->sock->sk;

	/* The loop of tests is a pair of UNIX sockets */
	return sk_is_tcp(sk) ? READ_ONCE(tcp_sk(sk)->total_retrans) : 0;
}

static void tcp_shutdown(struct hk_conn *conn)
{
	kernel_sock_shutdown(to_tcp(conn)->sock, SHUT_RDWR);
}

static void tcp_release(struct hk_conn *conn)
{
	struct tcp_conn *tcp = to_tcp(conn);

	if (tcp->sock->file)
		sockfd_put(tcp->sock);
	else
		sock_release(tcp->sock);
	kfree(tcp);
}

struct hk_transport hk_tcp = {
	.name = "tcp",
	.api = HK_TRANSPORT_API,
	.owner = THIS_MODULE,
	.open = tcp_open,
	.send = tcp_send,
	.recv = tcp_recv,
	.resent = tcp_resent,
	.shutdown = tcp_shutdown,
	.release = tcp_release,
};
