/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a link needs of the thing that moves bytes
 *
 * One connection carries one link. The link's sending thread alone calls send,
 * its receiving thread alone calls recv; shutdown may come while both are inside.
 */
#ifndef HK_FABRIC_TRANSPORT_H
#define HK_FABRIC_TRANSPORT_H

#include <linux/types.h>
#include <linux/uio.h>

struct hk_msg;
struct hk_transport;
struct socket;

/* Most messages that the link gives to send at once */
#define HK_TX_BATCH	32

/**
 * struct hk_conn - one connection; embedded in the transport's own structure
 * @transport: who made it
 */
struct hk_conn {
	const struct hk_transport *transport;
};

/**
 * struct hk_transport - operations of a transport
 * @name: for humans
 * @open: take over a connected socket. Returns ERR_PTR and leaves the socket
 *	alone when it cannot. Process context.
 * @send: send the messages whole and in order: header, body, page. Blocks until
 *	the transport has taken the bytes (the messages may be freed then) or the
 *	connection has ended. @more: further messages follow at once, so a part of
 *	a packet may be kept back. Returns 0 or negative errno.
 * @recv: fill @vec with the next @len bytes of the stream. Blocks. Returns 1, or
 *	0 when the peer closed before the first byte, or negative errno;
 *	-ECONNABORTED when it closed after that.
 * @shutdown: end both directions: what was sent still goes out, blocked send and
 *	recv return, and later ones do not block. May be called twice; may sleep.
 * @release: free the connection and drop the socket; send and recv have ended.
 */
struct hk_transport {
	const char *name;
	struct hk_conn *(*open)(struct socket *sock);
	int (*send)(struct hk_conn *conn, struct hk_msg *const *msgs,
		    unsigned int nr, bool more);
	int (*recv)(struct hk_conn *conn, struct kvec *vec, unsigned int nr,
		    size_t len);
	void (*shutdown)(struct hk_conn *conn);
	void (*release)(struct hk_conn *conn);
};

extern const struct hk_transport hk_tcp;

#endif /* HK_FABRIC_TRANSPORT_H */
