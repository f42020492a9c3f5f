/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A transport for links in user space: one end of a pair of sockets is the connection
 */
#ifndef FDCONN_H
#define FDCONN_H

#include "klink.h"
#include "link_internal.h"

/* @started, @ended: for transports made of this one */
struct fd_conn {
	struct hk_conn conn;
	struct socket *sock;
	bool started, ended;
};

struct hk_conn *fd_open(struct socket *sock, const struct hk_link_cfg *cfg, char *why);
int fd_send(struct hk_conn *conn, struct hk_msg *const *msgs, unsigned int nr, bool more);
int fd_recv(struct hk_conn *conn, struct kvec *vec, unsigned int nr, size_t len);
void fd_shutdown(struct hk_conn *conn);
void fd_release(struct hk_conn *conn);

/* of a descriptor, which the connection closes */
struct socket *sock_new(int fd);

#endif /* FDCONN_H */
