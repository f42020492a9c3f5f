// SPDX-License-Identifier: GPL-2.0
/*
 * paths - see to it that a link between two network namespaces of this host has a path
 *
 *	paths NS1 NODE1 ADDRESS1 NS2 NODE2 ADDRESS2 PATH
 *
 * NS names a namespace of ip-netns(8), NODE the id of the node in it. Where the path is
 * down at both ends, or never was, a connection from ADDRESS2 to ADDRESS1 is made and
 * given to both. Returns when both ends have been able to use the path for a second:
 * 0, or 1 when that did not come about within half a minute.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "../../uapi/hyperkernel_netlink.h"

#define WAIT_MS		30000
#define STEADY_MS	1000
#define CONNECT_MS	1000
#define LOOK_MS		50

/* One end */
struct end {
	int ns;
	int nl;			/* netlink socket in it */
	uint16_t node;
	struct in_addr address;
};

static char buf[65536] __attribute__((aligned(8)));
static int family, seq;
static uint8_t path;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static const struct nlattr *find(const void *data, int len, int type)
{
	const struct nlattr *a = data;

	while (len >= (int)sizeof(*a) && a->nla_len >= sizeof(*a) && a->nla_len <= len) {
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		len -= NLA_ALIGN(a->nla_len);
		a = (const void *)((const char *)a + NLA_ALIGN(a->nla_len));
	}
	return NULL;
}

static int begin(int type, int cmd, int flags)
{
	struct nlmsghdr *n = (void *)buf;
	struct genlmsghdr *g = NLMSG_DATA(n);

	*n = (struct nlmsghdr){ .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags,
		.nlmsg_seq = ++seq };
	*g = (struct genlmsghdr){ .cmd = cmd, .version = 1 };
	return NLMSG_HDRLEN + GENL_HDRLEN;
}

static int put(int len, int type, const void *data, int size)
{
	struct nlattr *a = (void *)(buf + len);

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + size;
	memset(a + 1, 0, NLA_ALIGN(size));
	memcpy(a + 1, data, size);
	return len + NLA_ALIGN(a->nla_len);
}

/* Send what is in buf; @fn for each message that answers. Return: 0 or an errno */
static int talk(int fd, int len, void (*fn)(const void *attrs, int len, void *arg),
		void *arg)
{
	struct nlmsghdr *n = (void *)buf;

	n->nlmsg_len = len;
	if (send(fd, buf, len, 0) != len)
		die("netlink send");
	for (;;) {
		len = recv(fd, buf, sizeof(buf), 0);
		if (len < 0)
			die("netlink recv");
		for (n = (void *)buf; NLMSG_OK(n, (unsigned int)len);
		     n = NLMSG_NEXT(n, len)) {
			if (n->nlmsg_type == NLMSG_DONE)
				return 0;
			if (n->nlmsg_type == NLMSG_ERROR)
				return -((struct nlmsgerr *)NLMSG_DATA(n))->error;
			if (fn)
				fn((char *)NLMSG_DATA(n) + GENL_HDRLEN,
				   n->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN, arg);
		}
	}
}

static void on_family(const void *attrs, int len, void *arg)
{
	const struct nlattr *a = find(attrs, len, CTRL_ATTR_FAMILY_ID);

	(void)arg;
	if (a)
		memcpy(&family, a + 1, 2);
}

static void family_find(int fd)
{
	int len = begin(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);

	len = put(len, CTRL_ATTR_FAMILY_NAME, HK_GENL_NAME, sizeof(HK_GENL_NAME));
	if (talk(fd, len, on_family, NULL) || !family) {
		fputs("paths: no family " HK_GENL_NAME "\n", stderr);
		exit(2);
	}
}

static void enter(const struct end *e)
{
	if (setns(e->ns, CLONE_NEWNET))
		die("setns");
}

static void end_open(struct end *e, const char *ns, const char *node,
		     const char *address)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	char name[256];

	snprintf(name, sizeof(name), "/var/run/netns/%s", ns);
	e->ns = open(name, O_RDONLY | O_CLOEXEC);
	if (e->ns < 0)
		die(name);
	e->node = (uint16_t)atoi(node);
	if (!inet_aton(address, &e->address))
		die(address);
	enter(e);
	e->nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (e->nl < 0 || bind(e->nl, (struct sockaddr *)&sa, sizeof(sa)))
		die("netlink socket");
}

struct look {
	uint16_t peer;
	int state;
};

static void on_path(const void *attrs, int len, void *arg)
{
	const struct nlattr *peer = find(attrs, len, HK_A_PEER_ID);
	const struct nlattr *id = find(attrs, len, HK_A_PATH_ID);
	const struct nlattr *state = find(attrs, len, HK_A_PATH_STATE);
	struct look *look = arg;

	if (peer && id && state && *(const uint16_t *)(peer + 1) == look->peer &&
	    *(const uint8_t *)(id + 1) == path)
		look->state = *(const uint8_t *)(state + 1);
}

static int state(const struct end *e, const struct end *other)
{
	struct look look = { .peer = other->node, .state = HK_PATH_NONE };
	int err = talk(e->nl, begin(family, HK_CMD_PATH_GET, NLM_F_DUMP), on_path, &look);

	if (err) {
		errno = err;
		die("PATH_GET");
	}
	return look.state;
}

/* A connection between the namespaces. Return: 0, or -1 when the network has none */
static int connect_ends(const struct end *one, const struct end *two, int fd[2])
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = one->address };
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = two->address };
	socklen_t len = sizeof(sa);
	struct pollfd pfd;
	int listener;

	fd[0] = -1;
	enter(one);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&sa, len) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&sa, &len))
		die("listen");
	enter(two);
	fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd[1] < 0 || bind(fd[1], (struct sockaddr *)&from, len))
		die("bind");
	pfd = (struct pollfd){ .fd = listener, .events = POLLIN };
	if ((!connect(fd[1], (struct sockaddr *)&sa, len) || errno == EINPROGRESS) &&
	    poll(&pfd, 1, CONNECT_MS) == 1)
		fd[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	if (fd[0] >= 0) {
		fcntl(fd[1], F_SETFL, 0);
		return 0;
	}
	close(fd[1]);
	return -1;
}

static int give(const struct end *e, const struct end *other, int fd)
{
	int len = begin(family, HK_CMD_PATH_ADD, NLM_F_ACK);

	len = put(len, HK_A_PEER_ID, &other->node, sizeof(other->node));
	len = put(len, HK_A_PATH_ID, &path, sizeof(path));
	len = put(len, HK_A_FD, &fd, sizeof(fd));
	return talk(e->nl, len, NULL, NULL);
}

static bool usable(int s)
{
	return s == HK_PATH_STANDBY || s == HK_PATH_ACTIVE;
}

static bool absent(int s)
{
	return s == HK_PATH_NONE || s == HK_PATH_DOWN;
}

int main(int argc, char **argv)
{
	long end = now_ms() + WAIT_MS, since = 0;
	int fd[2], s[2] = { -1, -1 };
	struct end one, two;

	if (argc != 8) {
		fputs("usage: see paths.c\n", stderr);
		return 2;
	}
	path = (uint8_t)atoi(argv[7]);
	end_open(&one, argv[1], argv[2], argv[3]);
	end_open(&two, argv[4], argv[5], argv[6]);
	family_find(one.nl);
	for (; now_ms() < end; poll(NULL, 0, LOOK_MS)) {
		s[0] = state(&one, &two);
		s[1] = state(&two, &one);
		if (usable(s[0]) && usable(s[1])) {
			since = since ? since : now_ms();
			if (now_ms() - since >= STEADY_MS)
				return 0;
			continue;
		}
		since = 0;
		if (!absent(s[0]) || !absent(s[1]) || connect_ends(&one, &two, fd))
			continue;
		/* one that is just being given up is tried again */
		if (!give(&one, &two, fd[0]))
			give(&two, &one, fd[1]);
		close(fd[0]);
		close(fd[1]);
	}
	printf("path %d: states %d and %d\n", path, s[0], s[1]);
	return 1;
}
