// SPDX-License-Identifier: GPL-2.0
#include "fdconn.h"

struct socket *sock_new(int fd)
{
	struct socket *sock = malloc(sizeof(*sock));

	sock->fd = fd;
	return sock;
}

struct hk_conn *fd_open(struct socket *sock, const struct hk_link_cfg *cfg, char *why)
{
	struct fd_conn *c = calloc(1, sizeof(*c));

	(void)cfg;
	(void)why;
	c->conn.transport = &hk_tcp;
	c->sock = sock;
	return &c->conn;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return -errno;
		p += n;
		len -= n;
	}
	return 0;
}

int fd_send(struct hk_conn *conn, struct hk_msg *const *msgs, unsigned int nr, bool more)
{
	struct fd_conn *c = container_of(conn, struct fd_conn, conn);
	unsigned int i;
	int err = 0;

	(void)more;
	for (i = 0; i < nr && !err; i++) {
		err = write_all(c->sock->fd, &msgs[i]->hdr, sizeof(msgs[i]->hdr));
		if (!err)
			err = write_all(c->sock->fd, msgs[i]->body,
					le32_to_cpu(msgs[i]->hdr.len));
		if (!err && msgs[i]->page)
			err = write_all(c->sock->fd, msgs[i]->page->data, 4096);
	}
	return err;
}

int fd_recv(struct hk_conn *conn, struct kvec *vec, unsigned int nr, size_t len)
{
	struct fd_conn *c = container_of(conn, struct fd_conn, conn);
	size_t got = 0;
	unsigned int i;

	(void)len;
	for (i = 0; i < nr; i++) {
		size_t done = 0;

		while (done < vec[i].iov_len) {
			ssize_t n = recv(c->sock->fd, (char *)vec[i].iov_base + done,
					 vec[i].iov_len - done, 0);

			if (n < 0)
				return -errno;
			if (!n)
				return got ? -ECONNABORTED : 0;
			done += n;
			got += n;
		}
	}
	return 1;
}

static u64 fd_resent(struct hk_conn *conn)
{
	(void)conn;
	return 0;
}

void fd_shutdown(struct hk_conn *conn)
{
	shutdown(container_of(conn, struct fd_conn, conn)->sock->fd, SHUT_RDWR);
}

void fd_release(struct hk_conn *conn)
{
	struct fd_conn *c = container_of(conn, struct fd_conn, conn);

	close(c->sock->fd);
	free(c->sock);
	free(c);
}

struct hk_transport hk_tcp = {
	.name = "tcp",
	.open = fd_open,
	.send = fd_send,
	.recv = fd_recv,
	.resent = fd_resent,
	.shutdown = fd_shutdown,
	.release = fd_release,
};
