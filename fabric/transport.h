/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a link needs of the thing that moves bytes
 *
 * One connection carries one path of a link. The link's sending thread alone calls send; the
 * path's receiving thread alone calls start, recv and recv_page; shutdown may come while both
 * are inside. TCP is part of hyperkernel.ko. Others are modules of their own, named
 * hyperkernel-NAME.ko, with the alias hk-transport-NAME; they register here and are
 * loaded when a link asks for them.
 */
#ifndef HK_FABRIC_TRANSPORT_H
#define HK_FABRIC_TRANSPORT_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/uio.h>
#include "link.h"

struct module;
struct page;
struct socket;

/* Most messages that the link gives to send at once */
#define HK_TX_BATCH	32

/* Goes up with each change of what is below, hk_msg and hk_link_cfg included */
#define HK_TRANSPORT_API	2

/**
 * struct hk_conn - one connection; embedded in the transport's own structure
 * @transport: who made it
 * @why: for humans: why start, send, recv and recv_page return an error. Written once,
 *	before they do. Empty: the link finds words for the error itself.
 */
struct hk_conn {
	const struct hk_transport *transport;
	char why[HK_REASON_MAX];
};

/**
 * struct hk_transport - operations of a transport
 * @name: what users call it; letters and digits, at most HK_TRANSPORT_NAME_MAX - 1
 * @api: HK_TRANSPORT_API it was compiled with
 * @owner: module, held by each link
 * @list: of all transports, for transport.c
 * @open: take over a connected and authenticated stream socket, @cfg says which
 *	nodes it connects. Does not wait for the peer. Returns ERR_PTR with @why
 *	(HK_REASON_MAX bytes) filled in and leaves the socket alone when it cannot.
 *	Process context.
 * @start: optional: do with the peer what has to come before the first message.
 *	Blocks; the link's dead_ms bounds it, by shutdown. send waits for its end, but
 *	is called that early for a link's first path alone.
 *	Returns 0 or negative errno.
 * @send: send the messages whole and in order: header, body, page. Blocks until
 *	the transport has taken the bytes (the messages may be freed then; it may
 *	keep references to their pages, which nobody writes any more) or the
 *	connection has ended. @more: further messages follow at once, so a part of
 *	a packet may be kept back. Returns 0 or negative errno.
 * @recv: fill @vec with the next @len bytes of the stream. Blocks. Returns 1, or
 *	0 when the peer closed before the first byte, or negative errno;
 *	-ECONNABORTED when it closed after that.
 * @recv_page: optional: instead of recv for the page of a message: give the caller
 *	a page that holds the next HK_WIRE_PAGE_SIZE bytes, and the only reference to
 *	it. Returns as recv does. A transport that has it is called so for all pages.
 * @resent: optional: how often something had to be sent again, packets or whatever the
 *	transport counts. Any context, until release.
 * @shutdown: end both directions: what was sent still goes out, blocked start, send
 *	and recv return, and later ones do not block. May be called twice; may sleep.
 * @release: free the connection and drop the socket; start, send and recv have
 *	ended.
 */
struct hk_transport {
	const char *name;
	unsigned int api;
	struct module *owner;
	struct list_head list;
	struct hk_conn *(*open)(struct socket *sock,
				const struct hk_link_cfg *cfg, char *why);
	int (*start)(struct hk_conn *conn);
	int (*send)(struct hk_conn *conn, struct hk_msg *const *msgs,
		    unsigned int nr, bool more);
	int (*recv)(struct hk_conn *conn, struct kvec *vec, unsigned int nr,
		    size_t len);
	int (*recv_page)(struct hk_conn *conn, struct page **page);
	u64 (*resent)(struct hk_conn *conn);
	void (*shutdown)(struct hk_conn *conn);
	void (*release)(struct hk_conn *conn);
};

extern struct hk_transport hk_tcp;

/**
 * hk_transport_register() - let links be made over a transport
 * @transport: all but @list filled in; stays where it is until unregistered
 * Context: process, may sleep; from the module's init.
 * Return: 0; -EINVAL: made for another version; -EEXIST: the name is taken
 */
int hk_transport_register(struct hk_transport *transport);

/**
 * hk_transport_unregister() - no more links over a transport
 * @transport: registered, with no link; as its module is unloaded, none holds it
 * Context: process, may sleep.
 */
void hk_transport_unregister(struct hk_transport *transport);

/**
 * hk_transport_get() - look a transport up, load its module where need be
 * @name: of it
 * Context: process, may sleep, waits for modprobe.
 * Return: transport with a reference to its module; NULL: there is none
 */
const struct hk_transport *hk_transport_get(const char *name);

/* drop the reference to the module; all that was open has been released */
void hk_transport_put(const struct hk_transport *transport);

#endif /* HK_FABRIC_TRANSPORT_H */
