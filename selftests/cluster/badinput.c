// SPDX-License-Identifier: GPL-2.0
/*
 * badinput - what the module says to requests and messages that are wrong
 *
 *	badinput netlink	requests: attributes, states, privilege
 *	badinput device		the RAM device: ioctls and mappings
 *	badinput fabric		a peer in user space that breaks the protocol
 *	badinput paths		the same on further connections of a link
 *	badinput fuzz SEED NR	bodies of random bytes
 *
 * Runs alone on a host whose module has no node yet, and leaves it so. A line
 * "ok - GROUP: N cases" or "not ok - GROUP" for each group, after the failing cases
 * in comments. 0 passed, 1 failed, 4 could not be tested.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/kvm.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../../dsm/msg.h"
#include "../../migrate/msg.h"
#include "../../uapi/hyperkernel.h"
#include "../../uapi/hyperkernel_netlink.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define WAIT_MS		5000
#define DEAD_MS		8000
#define PEER		2
#define VM		1
#define RAM_PAGES	512	/* this node is home of the first half */
#define VCPUS		2

static unsigned char cluster[HK_CLUSTER_ID_LEN] = "badinput-cluster";
static unsigned int group_cases, group_bad, all_bad;

/* Verdicts */

__attribute__((format(printf, 3, 4)))
static bool check(bool good, const char *name, const char *fmt, ...)
{
	va_list ap;

	group_cases++;
	if (good)
		return true;
	group_bad++;
	printf("# %s: ", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	return false;
}

static void group(const char *name)
{
	printf("%s - %s: %u cases\n", group_bad ? "not ok" : "ok", name, group_cases);
	fflush(stdout);
	all_bad += group_bad;
	group_bad = 0;
	group_cases = 0;
}

static void die(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	exit(4);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Generic netlink */

struct at {
	uint16_t type;
	int len;
	uint64_t v;
	const void *p;
};

#define U8(a, val)	{ HK_A_##a, 1, (val), NULL }
#define U16(a, val)	{ HK_A_##a, 2, (val), NULL }
#define U32(a, val)	{ HK_A_##a, 4, (val), NULL }
#define U64(a, val)	{ HK_A_##a, 8, (val), NULL }
#define STR(a, str)	{ HK_A_##a, sizeof(str), 0, (str) }
#define BIN(a, ptr, n)	{ HK_A_##a, (n), 0, (ptr) }
#define FLAG(a)		{ HK_A_##a, 0, 0, "" }

struct answer {
	int err;
	int miss;
	char text[256];
};

static int nl_family, nl_group, nl_seq;

static int nl_open(void)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int one = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("netlink socket");
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return fd;
}

static const struct nlattr *nla_find(const void *data, int len, int type)
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

static const void *nla_data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}

static void answer_read(const struct nlmsghdr *n, struct answer *an)
{
	const struct nlmsgerr *e = NLMSG_DATA(n);
	const char *tlv = (const char *)e + sizeof(*e);
	int left = n->nlmsg_len - NLMSG_HDRLEN - sizeof(*e);
	const struct nlattr *a;

	an->err = -e->error;
	if (!(n->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	a = nla_find(tlv, left, NLMSGERR_ATTR_MSG);
	if (a)
		snprintf(an->text, sizeof(an->text), "%s", (const char *)nla_data(a));
	a = nla_find(tlv, left, 5);	/* NLMSGERR_ATTR_MISS_TYPE */
	if (a)
		an->miss = *(const uint32_t *)nla_data(a);
}

/* One request; the answer's attributes, if wanted, into @out of 32 KiB */
static struct answer nl_do(int fd, int family, int cmd, int flags, const struct at *at,
			   int nr, int tail, void *out, int *out_len)
{
	static char buf[65536] __attribute__((aligned(8)));
	struct nlmsghdr *n = (void *)buf;
	struct genlmsghdr *g = NLMSG_DATA(n);
	struct answer an = { .err = -1 };
	int len = NLMSG_HDRLEN + GENL_HDRLEN, i;

	memset(buf, 0, 16384);
	for (i = 0; i < nr; i++) {
		struct nlattr *a = (void *)(buf + len);

		if (!at[i].type && !at[i].len && !at[i].p)
			continue;	/* left out */
		a->nla_type = at[i].type;
		a->nla_len = NLA_HDRLEN + at[i].len;
		memcpy(a + 1, at[i].p ? at[i].p : &at[i].v, at[i].len);
		len += NLA_ALIGN(a->nla_len);
	}
	len += tail;
	*n = (struct nlmsghdr){ .nlmsg_len = len, .nlmsg_type = family,
		.nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++nl_seq };
	*g = (struct genlmsghdr){ .cmd = cmd, .version = 1 };
	if (out_len)
		*out_len = 0;
	if (send(fd, buf, len, 0) != len)
		die("netlink send");
	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (poll(&pfd, 1, 20000) != 1) {
			snprintf(an.text, sizeof(an.text), "no answer");
			return an;
		}
		len = recv(fd, buf, sizeof(buf), 0);
		if (len < 0)
			die("netlink recv");
		for (n = (void *)buf; NLMSG_OK(n, (unsigned int)len);
		     n = NLMSG_NEXT(n, len)) {
			if ((int)n->nlmsg_seq != nl_seq)
				continue;
			if (n->nlmsg_type == NLMSG_DONE) {
				an.err = 0;
				return an;
			}
			if (n->nlmsg_type == NLMSG_ERROR) {
				answer_read(n, &an);
				return an;
			}
			if (out && out_len && n->nlmsg_len < 32768) {
				int body = n->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN;

				/* several messages of a dump behind each other */
				if (*out_len + body < 32768) {
					memcpy((char *)out + *out_len,
					       (char *)NLMSG_DATA(n) + GENL_HDRLEN,
					       body);
					*out_len += body;
				}
			}
		}
	}
}

static int ctl_fd;

static struct answer ask(int cmd, const struct at *at, int nr)
{
	return nl_do(ctl_fd, nl_family, cmd, NLM_F_ACK, at, nr, 0, NULL, NULL);
}

#define ASK(cmd, ...) ({						\
	const struct at _at[] = { __VA_ARGS__ };			\
	ask(HK_CMD_##cmd, _at, ARRAY_SIZE(_at)); })

static void nl_init(void)
{
	static const struct at name[] = {
		{ CTRL_ATTR_FAMILY_NAME, sizeof(HK_GENL_NAME), 0, HK_GENL_NAME } };
	static char out[32768];
	const struct nlattr *a;
	struct answer an;
	int len, left;

	ctl_fd = nl_open();
	an = nl_do(ctl_fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK, name, 1, 0,
		   out, &len);
	a = nla_find(out, len, CTRL_ATTR_FAMILY_ID);
	if (an.err || !a) {
		errno = an.err;
		die("no family " HK_GENL_NAME);
	}
	nl_family = *(const uint16_t *)nla_data(a);
	a = nla_find(out, len, CTRL_ATTR_MCAST_GROUPS);
	if (!a)
		die("no groups");
	left = a->nla_len - NLA_HDRLEN;
	/* the first and only one */
	a = nla_find(nla_data(a), left, 1);
	left = a->nla_len - NLA_HDRLEN;
	nl_group = *(const uint32_t *)nla_data(nla_find(nla_data(a), left,
							CTRL_ATTR_MCAST_GRP_ID));
}

/* Events: what the module said last of each link and VM, and of paths to PEER */

static int ev_fd;
static struct { int state; char reason[HK_REASON_LEN]; } ev_link[HK_MAX_NODES], ev_vm[16],
	ev_path[HK_PATH_MAX];

static void ev_open(void)
{
	int size = 1 << 20;

	ev_fd = nl_open();
	setsockopt(ev_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (setsockopt(ev_fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &nl_group,
		       sizeof(nl_group)))
		die("join events");
}

static unsigned int ev_u(const void *data, int len, int type, unsigned int none)
{
	const struct nlattr *a = nla_find(data, len, type);
	uint32_t v = 0;

	if (!a)
		return none;
	memcpy(&v, nla_data(a), a->nla_len - NLA_HDRLEN > 4 ? 4 : a->nla_len - NLA_HDRLEN);
	return v;
}

static void ev_take(const struct nlmsghdr *n)
{
	const struct genlmsghdr *g = NLMSG_DATA(n);
	const char *data = (const char *)g + GENL_HDRLEN;
	int len = n->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN;
	const struct nlattr *why = nla_find(data, len, HK_A_REASON);
	const char *text = why ? nla_data(why) : "";
	unsigned int id;

	if (g->cmd == HK_CMD_LINK_NTF) {
		id = ev_u(data, len, HK_A_PEER_ID, 0) % HK_MAX_NODES;
		ev_link[id].state = ev_u(data, len, HK_A_LINK_STATE, 0);
		snprintf(ev_link[id].reason, HK_REASON_LEN, "%s", text);
	} else if (g->cmd == HK_CMD_PATH_NTF) {
		id = ev_u(data, len, HK_A_PATH_ID, 0) % HK_PATH_MAX;
		ev_path[id].state = ev_u(data, len, HK_A_PATH_STATE, 0);
		snprintf(ev_path[id].reason, HK_REASON_LEN, "%s", text);
	} else if (g->cmd == HK_CMD_VM_NTF) {
		id = ev_u(data, len, HK_A_VM_ID, 0) % ARRAY_SIZE(ev_vm);
		ev_vm[id].state = ev_u(data, len, HK_A_VM_STATE, 0);
		snprintf(ev_vm[id].reason, HK_REASON_LEN, "%s", text);
	}
}

/* Take events until *@what is @want, or the time is over */
static bool ev_wait(const int *what, int want, int ms)
{
	static char buf[65536] __attribute__((aligned(8)));
	long end = now_ms() + ms;
	struct nlmsghdr *n;
	int len;

	for (;;) {
		struct pollfd pfd = { .fd = ev_fd, .events = POLLIN };
		long left = end - now_ms();

		while ((len = recv(ev_fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
			for (n = (void *)buf; NLMSG_OK(n, (unsigned int)len);
			     n = NLMSG_NEXT(n, len))
				ev_take(n);
		if (*what == want)
			return true;
		if (left <= 0)
			return false;
		poll(&pfd, 1, left);
	}
}

/* Node, link, VM */

static void node_set(unsigned int dead_ms)
{
	struct answer an = ASK(NODE_SET, U16(NODE_ID, 1), STR(NODE_NAME, "one"),
			       BIN(CLUSTER_ID, cluster, sizeof(cluster)), U32(EPOCH, 1),
			       U64(BUDGET_PAGES, 2048), U32(HEARTBEAT_MS, 100),
			       U32(DEAD_MS, dead_ms));

	if (an.err) {
		printf("# NODE_SET: %d %s\n", an.err, an.text);
		exit(4);
	}
}

static void node_reset(void)
{
	struct answer an = ask(HK_CMD_NODE_RESET, NULL, 0);

	check(!an.err, "node reset", "%d %s", an.err, an.text);
}

/* Two ends of a TCP connection */
static void tcp_pair(int fd[2])
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (bind(l, (struct sockaddr *)&sa, len) || listen(l, 1) ||
	    getsockname(l, (struct sockaddr *)&sa, &len))
		die("listen");
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd[0], (struct sockaddr *)&sa, len))
		die("connect");
	fd[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	if (fd[1] < 0)
		die("accept");
	close(l);
	setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

struct peer {
	int fd;
	uint16_t id;
	uint64_t seq;
	char bye[HK_REASON_MAX];
};

#define MSG_ROOM	(sizeof(struct hk_wire_hdr) + 2 * HK_WIRE_BODY_MAX)

struct msg {
	union {
		struct hk_wire_hdr h;
		uint8_t b[MSG_ROOM];
	};
};

#define BODY(m)		((void *)((m)->b + sizeof(struct hk_wire_hdr)))

static bool peer_send(struct peer *p, const void *data, size_t len)
{
	const char *c = data;

	while (len) {
		ssize_t n = send(p->fd, c, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		c += n;
		len -= n;
	}
	return true;
}

static bool peer_read(struct peer *p, void *buf, size_t len, long end)
{
	char *c = buf;

	while (len) {
		struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
		long left = end - now_ms();
		ssize_t n;

		if (left < 0 || poll(&pfd, 1, left) != 1)
			return false;
		n = recv(p->fd, c, len, 0);
		if (n <= 0)
			return false;
		c += n;
		len -= n;
	}
	return true;
}

/* Read messages until one of @type came, or the connection or the time ended */
/* The last page that came behind a message */
static uint8_t page_got[HK_WIRE_PAGE_SIZE];

static bool peer_expect(struct peer *p, int type, struct msg *m)
{
	long end = now_ms() + WAIT_MS;

	for (;;) {
		if (!peer_read(p, &m->h, sizeof(m->h), end) ||
		    m->h.len > HK_WIRE_BODY_MAX ||
		    !peer_read(p, BODY(m), m->h.len, end))
			return false;
		if (m->h.flags & HK_WIRE_F_PAGE &&
		    !peer_read(p, page_got, sizeof(page_got), end))
			return false;
		if (m->h.type == HK_MSG_BYE)
			snprintf(p->bye, sizeof(p->bye), "%s",
				 ((struct hk_wire_text *)BODY(m))->text);
		if (m->h.type == type)
			return true;
	}
}

static struct answer peer_add(struct peer *p, uint16_t id)
{
	struct answer an;
	int fd[2];

	memset(p, 0, sizeof(*p));
	p->id = id;
	tcp_pair(fd);
	p->fd = fd[0];
	ev_link[id].state = HK_LINK_NONE;
	an = ASK(LINK_ADD, U16(PEER_ID, id), STR(PEER_NAME, "peer"),
		 U32(FD, (uint32_t)fd[1]));
	close(fd[1]);
	return an;
}

static void msg_init(struct peer *p, struct msg *m, int type, int lane, uint32_t vm,
		     uint32_t len)
{
	memset(m->b, 0, sizeof(m->h) + len);
	m->h = (struct hk_wire_hdr){ .magic = HK_WIRE_MAGIC, .version = HK_WIRE_VERSION,
		.type = type, .len = len, .from = p->id, .lane = lane, .epoch = 1,
		.vm = vm, .seq = p->seq + 1 };
}

/* What the peer offers: see badinput/lend.h */
static uint32_t peer_features = HK_WIRE_FEATURES & ~HK_WIRE_FEATURE_LEND;

static void msg_hello(struct peer *p, struct msg *m)
{
	struct hk_wire_hello *h = BODY(m);

	msg_init(p, m, HK_MSG_HELLO, HK_LANE_CONTROL, 0, sizeof(*h));
	h->version_min = 1;
	h->version_max = 1;
	h->node = p->id;
	h->features = peer_features;
	memcpy(h->cluster, cluster, sizeof(cluster));
}

/* Send as many bytes as the header says, and a page where it says so */
static bool msg_send(struct peer *p, struct msg *m)
{
	static uint8_t page[HK_WIRE_PAGE_SIZE] = "not all alike";
	size_t len = m->h.len > 2 * HK_WIRE_BODY_MAX ? 0 : m->h.len;

	p->seq++;
	return peer_send(p, m->b, sizeof(m->h) + len) &&
	       (!(m->h.flags & HK_WIRE_F_PAGE) || peer_send(p, page, sizeof(page)));
}

static struct msg scratch;

static bool link_up(struct peer *p, uint16_t id)
{
	long end = now_ms() + WAIT_MS;
	struct answer an;

	/* a former one may be known to be down and not have gone yet */
	do {
		an = peer_add(p, id);
		if (an.err)
			close(p->fd);
	} while (an.err == EEXIST && now_ms() < end);
	if (an.err) {
		printf("# LINK_ADD: %d %s\n", an.err, an.text);
		return false;
	}
	msg_hello(p, &scratch);
	return msg_send(p, &scratch) &&
	       ev_wait(&ev_link[id].state, HK_LINK_UP, WAIT_MS);
}

/* All that was sent has been dealt with, and the link goes on */
static bool ping_answered(struct peer *p)
{
	msg_init(p, &scratch, HK_MSG_PING, HK_LANE_CONTROL, 0,
		 sizeof(struct hk_wire_ping));
	return msg_send(p, &scratch) && peer_expect(p, HK_MSG_PONG, &scratch);
}

static void link_end(struct peer *p)
{
	close(p->fd);
	if (ev_link[p->id].state != HK_LINK_DOWN)
		ev_wait(&ev_link[p->id].state, HK_LINK_DOWN, WAIT_MS);
}

static struct answer vm_add_of(uint32_t id, const char *name, uint16_t origin, bool both)
{
	const struct hk_member m[2] = { { 1, 0, 1 }, { PEER, 0, 1 } };
	const uint16_t place[VCPUS] = { 1, both ? PEER : 1 };

	ev_vm[id].state = HK_VM_CREATED;
	return ASK(VM_ADD, U32(VM_ID, id),
		   { HK_A_VM_NAME, strlen(name) + 1, 0, name },
		   U64(RAM_PAGES, RAM_PAGES), U16(ORIGIN, origin),
		   BIN(MEMBERS, m, both ? 16 : 8), BIN(VCPU_PLACE, place, sizeof(place)));
}

static bool vm_del(uint32_t id)
{
	struct answer an = ASK(VM_DEL, U32(VM_ID, id));

	if (an.err)
		printf("# VM_DEL %u: %d %s\n", id, an.err, an.text);
	return !an.err;
}

static uint64_t link_count(int attr)
{
	static char out[32768];
	const struct nlattr *a;
	uint64_t v = ~0ull;
	int len;

	nl_do(ctl_fd, nl_family, HK_CMD_LINK_GET, NLM_F_DUMP, NULL, 0, 0, out, &len);
	a = nla_find(out, len, attr);
	if (a)
		memcpy(&v, nla_data(a), 8);
	return v;
}

#include "badinput/netlink.h"
#include "badinput/device.h"
#include "badinput/fabric.h"
#include "badinput/paths.h"

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	nl_init();
	ev_open();
	if (argc == 2 && !strcmp(argv[1], "netlink"))
		netlink_tests();
	else if (argc == 2 && !strcmp(argv[1], "device"))
		device_tests();
	else if (argc == 2 && !strcmp(argv[1], "fabric"))
		fabric_tests();
	else if (argc == 2 && !strcmp(argv[1], "paths"))
		paths_tests();
	else if (argc == 4 && !strcmp(argv[1], "fuzz"))
		fuzz_tests(strtoull(argv[2], NULL, 0), atoi(argv[3]));
	else
		return 2;
	return all_bad ? 1 : 0;
}
