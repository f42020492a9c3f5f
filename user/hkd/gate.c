// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/gate.c - connections of those who have not proved anything yet
 *
 * Each costs file descriptors, a task and some memory, so there is a limit. Beyond it
 * one goes that comes from the address that has most: the oldest one that has not sent
 * a whole ClientHello, or else the oldest one. So a flood from a few addresses pushes out
 * itself, and connections that are merely opened push out each other. A flood of real
 * handshakes from many addresses leaves a node the time that it takes to begin
 * GATE_MAX of them.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include "gate.h"

#define GATE_MAX	64

static struct stranger *oldest;

static unsigned int count(const unsigned char *host)
{
	const struct stranger *g;
	unsigned int n = 0;

	for (g = oldest; g; g = g->next)
		if (!host || !memcmp(g->host, host, sizeof(g->host)))
			n++;
	return n;
}

/* Its task notices, fails and closes the socket. */
static void push_out(const unsigned char *host)
{
	struct stranger *g, *first = NULL;

	for (g = oldest; g; g = g->next) {
		if (memcmp(g->host, host, sizeof(g->host)))
			continue;
		if (!first)
			first = g;
		if (!g->spoke)
			break;
	}
	if (!g)
		g = first;
	if (!g)
		return;
	shutdown(g->fd, SHUT_RDWR);
	gate_leave(g);
}

static const unsigned char *most(void)
{
	const unsigned char *host = NULL;
	const struct stranger *g;
	unsigned int n, max = 0;

	for (g = oldest; g; g = g->next) {
		n = count(g->host);
		if (n > max) {
			max = n;
			host = g->host;
		}
	}
	return host;
}

void gate_enter(struct stranger *g, int fd, const struct sockaddr_storage *sa)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;
	unsigned char host[16];
	struct stranger **p;

	memset(g, 0, sizeof(*g));
	g->fd = fd;
	if (sa->ss_family == AF_INET6) {
		memcpy(g->host, &in6->sin6_addr, 16);
	} else if (sa->ss_family == AF_INET) {
		g->host[10] = 0xff;
		g->host[11] = 0xff;
		memcpy(g->host + 12, &in->sin_addr, 4);
	}
	if (count(NULL) >= GATE_MAX) {
		memcpy(host, most(), sizeof(host));
		push_out(host);
	}
	for (p = &oldest; *p; p = &(*p)->next)
		;
	*p = g;
}

void gate_leave(struct stranger *g)
{
	struct stranger **p;

	for (p = &oldest; *p; p = &(*p)->next) {
		if (*p == g) {
			*p = g->next;
			return;
		}
	}
}

void gate_spoke(int fd)
{
	struct stranger *g;

	for (g = oldest; g; g = g->next)
		if (g->fd == fd)
			g->spoke = true;
}
