// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/stream.c - a socket that carries JSON objects, one a line
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "log.h"
#include "stream.h"
#include "task.h"

static int set_nonblock(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0)
		return -errno;
	fl = on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, fl) ? -errno : 0;
}

struct stream *stream_new(int fd, const char *what)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		goto err_close;
	s->buf = malloc(HK_LINE_MAX + 1);
	if (!s->buf)
		goto err_free;
	s->fd = fd;
	s->wfd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->wfd < 0)
		goto err_buf;
	snprintf(s->what, sizeof(s->what), "%s", what);
	set_nonblock(fd, true);
	return s;

err_buf:
	free(s->buf);
err_free:
	free(s);
err_close:
	close(fd);
	return NULL;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	close(s->fd);
	close(s->wfd);
	free(s->buf);
	free(s);
}

int stream_release(struct stream *s)
{
	int fd = s->fd;

	set_nonblock(fd, false);
	close(s->wfd);
	free(s->buf);
	free(s);
	return fd;
}

/* Split "host:port", "[host]:port" or "host". */
static int split(const char *text, char *host, size_t len, uint64_t *port,
		 char *err)
{
	const char *colon = strrchr(text, ':'), *end = text + strlen(text);
	const char *first = text;

	*port = HK_DEFAULT_PORT;
	if (text[0] == '[') {
		first = text + 1;
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return fail(err, "\"%s\" is not an address", text);
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && strchr(text, ':') != colon) {
		colon = NULL;	/* a bare IPv6 address */
	} else if (colon) {
		end = colon;
	}
	if (colon && hk_parse_u64(colon + 1, 1, 65535, port))
		return fail(err, "\"%s\": the port must be 1 to 65535", text);
	if (end == first || (size_t)(end - first) >= len)
		return fail(err, "\"%s\" is not an address", text);
	memcpy(host, first, (size_t)(end - first));
	host[end - first] = 0;
	return 0;
}

int address_parse(const char *text, struct sockaddr_storage *sa, char *err)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	char host[64], service[8];
	struct addrinfo *ai;
	uint64_t port;

	if (split(text, host, sizeof(host), &port, err))
		return -1;
	snprintf(service, sizeof(service), "%u", (unsigned int)port);
	if (getaddrinfo(host, service, &hints, &ai))
		return fail(err, "\"%s\" is not a numeric address", text);
	memset(sa, 0, sizeof(*sa));
	memcpy(sa, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
	return 0;
}

void address_print(const struct sockaddr_storage *sa, char *buf, size_t len)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(buf, len, "%s:%u", host, ntohs(in->sin_port));
	} else if (sa->ss_family == AF_INET6 &&
		   IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host,
			  sizeof(host));
		snprintf(buf, len, "%s:%u", host, ntohs(in6->sin6_port));
	} else if (sa->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(buf, len, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		snprintf(buf, len, "unix");
	}
}

/* 0 or errno; @fd is closed then */
static int finish_connect(int fd, const void *sa, socklen_t salen, uint64_t deadline)
{
	socklen_t len = sizeof(int);
	int e = 0, r;

	if (connect(fd, sa, salen)) {
		e = errno;
		if (e == EINPROGRESS) {
			r = task_poll(fd, EPOLLOUT, deadline);
			if (r == -ETIMEDOUT)
				e = ETIMEDOUT;
			else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len))
				e = errno;
		}
	}
	if (e)
		close(fd);
	return e;
}

static struct stream *cannot_connect(const char *what, int e, char *err)
{
	fail(err, "cannot connect to %s: %s", what, strerror(e));
	return NULL;
}

struct stream *stream_connect(const char *address, uint64_t deadline, char *err)
{
	struct sockaddr_storage sa;
	int fd, e, one = 1, tries = 2;
	char what[96];

	if (address_parse(address, &sa, err))
		return NULL;
	address_print(&sa, what, sizeof(what));
	/*
	 * The kernel may be looking for this neighbour since before it was there, on
	 * behalf of a connection that was cut: who comes in between shares that one's
	 * failure. A second attempt makes it look again, from the start.
	 */
	do {
		fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			    0);
		if (fd < 0)
			return cannot_connect(what, errno, err);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		e = finish_connect(fd, &sa, sa.ss_family == AF_INET ?
				   sizeof(struct sockaddr_in) :
				   sizeof(struct sockaddr_in6), deadline);
	} while (e == EHOSTUNREACH && --tries);
	return e ? cannot_connect(what, e, err) : stream_new(fd, what);
}

int stream_read_line(struct stream *s, const char **line, uint64_t deadline,
		     char *err)
{
	ssize_t n, take;
	char *nl;
	int r;

	*line = NULL;
	for (;;) {
		n = recv(s->fd, s->buf + s->len, HK_LINE_MAX - s->len,
			 MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		/* As the kernel's TLS calls them. */
		if (n < 0 && errno == EBADMSG)
			return fail(err, "%s: a record that is not authentic",
				    s->what);
		if (n < 0 && errno == EIO)
			return fail(err, "%s: a TLS alert or another record that is no data",
				    s->what);
		if (n < 0 && errno != EAGAIN)
			return fail(err, "%s: %s", s->what, strerror(errno));
		if (n < 0) {
			r = task_poll(s->fd, EPOLLIN | EPOLLRDHUP, deadline);
			if (r < 0)
				return fail(err, "%s: no answer in time",
					    s->what);
			continue;
		}
		if (!n && s->len)
			return fail(err, "%s: closed in the middle of a message",
				    s->what);
		if (!n)
			return 0;
		nl = memchr(s->buf + s->len, '\n', (size_t)n);
		take = nl ? nl - (s->buf + s->len) + 1 : n;
		/* Peeked: cannot come short. */
		n = recv(s->fd, s->buf + s->len, (size_t)take, MSG_DONTWAIT);
		if (n != take)
			return fail(err, "%s: lost data", s->what);
		s->len += (size_t)take;
		if (nl) {
			*nl = 0;
			*line = s->buf;
			s->len = 0;
			return 0;
		}
		if (s->len >= HK_LINE_MAX)
			return fail(err, "%s: a message of more than %u bytes",
				    s->what, HK_LINE_MAX);
	}
}

int stream_read(struct stream *s, struct json_object **obj, uint64_t deadline,
		char *err)
{
	const char *line;

	*obj = NULL;
	if (stream_read_line(s, &line, deadline, err))
		return -1;
	if (!line)
		return 0;
	*obj = js_parse(line, strlen(line), err);
	if (!*obj)
		return fail(err, "%s: %s", s->what, err);
	return 0;
}

static int write_line(struct stream *s, const char *line, size_t len,
		      uint64_t deadline, char *err)
{
	size_t done = 0;
	int r = 0;

	if (len > HK_LINE_MAX)
		return fail(err, "%s: message of %zu bytes is too long to send",
			    s->what, len);
	/* One line at a time: another task may be waiting inside of one. */
	while (s->writing) {
		if (now_ms() >= deadline)
			return fail(err, "%s: does not take data", s->what);
		task_wait_change(deadline);
	}
	s->writing = true;
	while (done < len) {
		ssize_t n = send(s->wfd, line + done, len - done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN) {
			r = fail(err, "%s: %s", s->what, strerror(errno));
			break;
		}
		r = task_poll(s->wfd, EPOLLOUT, deadline);
		if (r < 0) {
			r = fail(err, "%s: does not take data", s->what);
			break;
		}
		r = 0;
	}
	/* Half a line must not be followed by another. */
	if (r && done)
		shutdown(s->fd, SHUT_RDWR);
	s->writing = false;
	return r;
}

int stream_write_line(struct stream *s, const char *line, size_t len,
		      uint64_t deadline, char *err)
{
	int r;

	s->users++;
	r = write_line(s, line, len, deadline, err);
	s->users--;
	task_changed();
	return r;
}

int stream_write(struct stream *s, struct json_object *obj, uint64_t deadline,
		 char *err)
{
	const char *text = json_object_to_json_string_ext(obj,
						JSON_C_TO_STRING_PLAIN);
	size_t len = strlen(text);
	char *line = malloc(len + 2);
	int r;

	if (!line) {
		json_object_put(obj);
		return fail(err, "out of memory");
	}
	memcpy(line, text, len);
	line[len] = '\n';
	json_object_put(obj);
	r = stream_write_line(s, line, len + 1, deadline, err);
	free(line);
	return r;
}
