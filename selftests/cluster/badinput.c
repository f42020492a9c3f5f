// SPDX-License-Identifier: GPL-2.0
/*
 * badinput - what the module says to requests and messages that are wrong
 *
 *	badinput netlink	requests: attributes, states, privilege
 *	badinput device		the RAM device: ioctls and mappings
 *	badinput fabric		a peer in user space that breaks the protocol
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

/* Events: what the module said last of each link and VM */

static int ev_fd;
static struct { int state; char reason[HK_REASON_LEN]; } ev_link[HK_MAX_NODES], ev_vm[16];

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
static bool peer_expect(struct peer *p, int type, struct msg *m)
{
	long end = now_ms() + WAIT_MS;
	static uint8_t page[HK_WIRE_PAGE_SIZE];

	for (;;) {
		if (!peer_read(p, &m->h, sizeof(m->h), end) ||
		    m->h.len > HK_WIRE_BODY_MAX ||
		    !peer_read(p, BODY(m), m->h.len, end))
			return false;
		if (m->h.flags & HK_WIRE_F_PAGE &&
		    !peer_read(p, page, sizeof(page), end))
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

static void msg_hello(struct peer *p, struct msg *m)
{
	struct hk_wire_hello *h = BODY(m);

	msg_init(p, m, HK_MSG_HELLO, HK_LANE_CONTROL, 0, sizeof(*h));
	h->version_min = 1;
	h->version_max = 1;
	h->node = p->id;
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
	struct answer an = peer_add(p, id);

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

/* Requests */

/* What an attribute may be */
struct kind {
	uint16_t type;
	const char *name;	/* in "NAME is missing" */
	char what;		/* 'u' integer, 's' string, 'b' binary, 'f' flag */
	int64_t low;		/* smallest value or size, 0: no bound */
	int64_t high;		/* largest, 0: no bound */
};

static const struct kind kinds[] = {
	{ HK_A_NODE_ID, "node-id", 'u', 1, HK_MAX_NODES - 1 },
	{ HK_A_NODE_NAME, "node-name", 's', 0, HK_NAME_MAX },
	{ HK_A_CLUSTER_ID, "cluster-id", 'b', HK_CLUSTER_ID_LEN, HK_CLUSTER_ID_LEN },
	{ HK_A_EPOCH, "epoch", 'u', 1, 0 },
	{ HK_A_BUDGET_PAGES, "budget-pages", 'u', 0, 0 },
	{ HK_A_HEARTBEAT_MS, NULL, 'u', 10, 10000 },
	{ HK_A_DEAD_MS, NULL, 'u', 100, 0 },
	{ HK_A_PEER_ID, "peer-id", 'u', 1, HK_MAX_NODES - 1 },
	{ HK_A_PEER_NAME, "peer-name", 's', 0, HK_NAME_MAX },
	{ HK_A_FD, "fd", 'u', 0, 0x7fffffff },
	{ HK_A_REASON, "reason", 's', 0, HK_REASON_LEN },
	{ HK_A_VM_ID, "vm-id", 'u', 1, 0 },
	{ HK_A_VM_NAME, "vm-name", 's', 0, HK_NAME_MAX },
	{ HK_A_RAM_PAGES, "ram-pages", 'u', 0, 0 },
	{ HK_A_ORIGIN, "origin", 'u', 1, HK_MAX_NODES - 1 },
	{ HK_A_MEMBERS, "members", 'b', 8, 8 * HK_MAX_NODES },
	{ HK_A_VCPU_PLACE, "vcpu-place", 'b', 2, 2 * HK_VCPUS_MAX },
	{ HK_A_VCPU, "vcpu", 'u', 0, HK_VCPUS_MAX - 1 },
	{ HK_A_COUNT, "count", 'u', 1, 4096 },
	{ HK_A_LEN, "len", 'u', 16, 0 },
	{ HK_A_REPLY_PAGE, NULL, 'f', 0, 0 },
};

static const struct hk_member member_one = { 1, 0, 1 };
static const uint16_t place_one[2] = { 1, 1 };

/* Requests that are right as far as their attributes go */
#define AT_MAX	8
static const struct request {
	const char *name;
	int cmd;
	bool admin;
	bool dump;	/* dumps only */
	struct at at[AT_MAX];
} requests[] = {
	{ "NODE_GET", HK_CMD_NODE_GET, false, false, {} },
	{ "NODE_SET", HK_CMD_NODE_SET, true, false, {
		U16(NODE_ID, 1), STR(NODE_NAME, "one"), BIN(CLUSTER_ID, cluster, 16),
		U32(EPOCH, 1), U64(BUDGET_PAGES, 64), U32(HEARTBEAT_MS, 100),
		U32(DEAD_MS, DEAD_MS) } },
	{ "NODE_RESET", HK_CMD_NODE_RESET, true, false, {} },
	{ "LINK_ADD", HK_CMD_LINK_ADD, true, false, {
		U16(PEER_ID, 2), STR(PEER_NAME, "two"), U32(FD, 0) } },
	{ "LINK_DEL", HK_CMD_LINK_DEL, true, false, { U16(PEER_ID, 2) } },
	{ "LINK_GET", HK_CMD_LINK_GET, false, true, {} },
	{ "VM_ADD", HK_CMD_VM_ADD, true, false, {
		U32(VM_ID, 1), STR(VM_NAME, "v"), U64(RAM_PAGES, 64), U16(ORIGIN, 1),
		BIN(MEMBERS, &member_one, 8), BIN(VCPU_PLACE, place_one, 4) } },
	{ "VM_DEL", HK_CMD_VM_DEL, true, false, { U32(VM_ID, 1) } },
	{ "VM_KILL", HK_CMD_VM_KILL, true, false, { U32(VM_ID, 1), STR(REASON, "r") } },
	{ "VM_GET", HK_CMD_VM_GET, false, false, { U32(VM_ID, 1) } },
	{ "VCPU_GET", HK_CMD_VCPU_GET, false, true, { U32(VM_ID, 1) } },
	{ "VCPU_MOVE", HK_CMD_VCPU_MOVE, true, false, {
		U32(VM_ID, 1), U32(VCPU, 0), U16(NODE_ID, 1) } },
	{ "STATS_GET", HK_CMD_STATS_GET, false, true, { U32(VM_ID, 1) } },
	{ "LINK_ECHO", HK_CMD_LINK_ECHO, true, false, {
		U16(PEER_ID, 2), U32(COUNT, 1), U32(LEN, 64), FLAG(REPLY_PAGE) } },
};

static const struct kind *kind_of(int type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

static void expect(const struct answer *an, const char *name, int err, const char *text)
{
	check(an->err == err && (!text || strstr(an->text, text)), name,
	      "expected %s \"%s\", got %s \"%s\"", strerrorname_np(err) ?: "0",
	      text ?: "", an->err > 0 ? strerrorname_np(an->err) : an->err ? "?" : "0",
	      an->text);
}

/* A request with one attribute replaced by @a, left out with NULL, or one more */
static void try_attr(const struct request *r, int replace, const struct at *a, int tail,
		     const char *what, int err, const char *text)
{
	struct at at[AT_MAX + 1];
	struct answer an;
	char name[96];

	memcpy(at, r->at, sizeof(r->at));
	at[AT_MAX] = (struct at){};
	if (replace < 0)
		replace = AT_MAX;
	at[replace] = a ? *a : (struct at){};
	an = nl_do(ctl_fd, nl_family, r->cmd, r->dump ? NLM_F_DUMP : NLM_F_ACK, at,
		   AT_MAX + 1, tail, NULL, NULL);
	snprintf(name, sizeof(name), "%s %s", r->name, what);
	expect(&an, name, err, text);
}

static void try_kind(const struct request *r, int i, const struct kind *k)
{
	static const char policy[] = "ailed policy validation";
	static const char range[] = "integer out of range";
	static char big[1024];
	struct at a = r->at[i];
	int len = a.len;
	char what[64];

#define TRY(_what, _err, _text) do {					\
	snprintf(what, sizeof(what), "attribute %d %s", a.type, _what);	\
	try_attr(r, i, &a, 0, what, _err, _text); } while (0)

	switch (k->what) {
	case 'u':
		a.len = len - 1;
		TRY("too short", EINVAL, "invalid attribute length");
		a.len = len + 1;
		a.p = big;
		TRY("too long", EINVAL, "invalid attribute length");
		a.len = 0;
		TRY("empty", EINVAL, "invalid attribute length");
		a = r->at[i];
		if (k->low) {
			a.v = k->low - 1;
			TRY("too small", ERANGE, range);
		}
		if (k->high) {
			a.v = k->high + 1;
			TRY("too large", ERANGE, range);
			a.v = ~0ull;
			TRY("all ones", ERANGE, range);
		}
		break;
	case 's':
		memset(big, 'x', sizeof(big));
		a.p = big;
		a.len = k->high + 1;
		big[k->high] = 0;
		TRY("one too long", EINVAL, policy);
		memset(big, 'x', sizeof(big));
		a.len = 4;
		TRY("without end", EINVAL, policy);
		a.len = 0;
		TRY("empty", EINVAL, policy);
		memset(big, 0, sizeof(big));
		break;
	case 'b':
		a.p = big;
		a.len = k->low - 1;
		TRY("too short", ERANGE, "binary attribute size out of range");
		a.len = k->high + 1;
		TRY("too long", ERANGE, "binary attribute size out of range");
		break;
	case 'f':
		a.p = big;
		a.len = 1;
		TRY("with a value", ERANGE, policy);
		break;
	}
#undef TRY
}

static void netlink_attrs(void)
{
	static const struct at past = { HK_A_MAX + 1, 4, 1, NULL };
	static const struct at none = { 0, 4, 1, NULL };
	/* known, but not to any request */
	static const struct at other = { HK_A_RX_UNKNOWN, 8, 1, NULL };
	static const struct at inside = { HK_A_USED_PAGES, 8, 1, NULL };
	const struct request *r;
	const struct kind *k;
	char text[64];
	int i;

	for (r = requests; r < requests + ARRAY_SIZE(requests); r++) {
		/* missing */
		for (i = 0; i < AT_MAX && r->at[i].type; i++) {
			k = kind_of(r->at[i].type);
			if (!k->name || r->dump)
				continue;
			snprintf(text, sizeof(text), "%s is missing", k->name);
			try_attr(r, i, NULL, 0, text, EINVAL, text);
		}
		for (i = 0; i < AT_MAX && r->at[i].type; i++)
			try_kind(r, i, kind_of(r->at[i].type));
		snprintf(text, sizeof(text), "bad attributes of %s", r->name);
		try_attr(r, -1, &past, 0, "unknown attribute", EINVAL,
			 "Unknown attribute type");
		try_attr(r, -1, &none, 0, "attribute 0", EINVAL,
			 "Unknown attribute type");
		try_attr(r, -1, &other, 0, "attribute of others", EINVAL, "attribute");
		try_attr(r, -1, &inside, 0, "attribute out of place", EINVAL,
			 "attribute");
		try_attr(r, -1, NULL, 3, "left over bytes", EINVAL, "leftover");
		group(text);
	}
}

static void netlink_verbs(void)
{
	struct answer an;
	size_t i;
	int cmd;

	for (i = 0; i < 5; i++) {
		static const int none[] = { 0, HK_CMD_LINK_NTF, HK_CMD_VCPU_NTF,
					    HK_CMD_MAX + 1, 255 };

		cmd = none[i];
		an = ask(cmd, NULL, 0);
		expect(&an, "command that is none", EOPNOTSUPP, NULL);
	}
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct request *r = &requests[i];

		/* all GETs have a dump, and three of them nothing else */
		if (r->admin) {
			an = nl_do(ctl_fd, nl_family, r->cmd, NLM_F_DUMP, NULL, 0, 0, NULL,
				   NULL);
			expect(&an, r->name, EOPNOTSUPP, NULL);
		} else if (r->dump) {
			an = ask(r->cmd, NULL, 0);
			expect(&an, r->name, EOPNOTSUPP, NULL);
		}
	}
	group("commands that do not exist, dumps that do not");
}

/* Every request that changes something, as a process of less privilege */
static void try_denied(int fd, const char *who, const char *text)
{
	struct answer an;
	char name[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct request *r = &requests[i];

		if (!r->admin)
			continue;
		an = nl_do(fd, nl_family, r->cmd, NLM_F_ACK, r->at, AT_MAX, 0, NULL, NULL);
		snprintf(name, sizeof(name), "%s as %s", r->name, who);
		expect(&an, name, EPERM, text);
	}
}

static void drop_sys_admin(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct c[2];

	if (syscall(SYS_capget, &h, c))
		die("capget");
	c[0].effective &= ~(1u << CAP_SYS_ADMIN);
	c[0].permitted &= ~(1u << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &h, c))
		die("capset");
}

static void as_nobody(void)
{
	static const char denied[] = "";
	struct answer an;
	int fd = nl_open();

	if (setgid(65534) || setuid(65534))
		die("setuid");
	try_denied(fd, "nobody with root's socket", denied);
	close(fd);
	fd = nl_open();
	try_denied(fd, "nobody", denied);
	/* looking is for everybody */
	an = nl_do(fd, nl_family, HK_CMD_NODE_GET, NLM_F_ACK, NULL, 0, 0, NULL, NULL);
	expect(&an, "NODE_GET as nobody", 0, NULL);
	an = nl_do(fd, nl_family, HK_CMD_VM_GET, NLM_F_ACK, requests[9].at, 1, 0, NULL,
		   NULL);
	expect(&an, "VM_GET as nobody", ENOENT, "there is no VM with this vm-id");
}

static void as_less(void)
{
	int fd;

	drop_sys_admin();
	fd = nl_open();
	try_denied(fd, "root without CAP_SYS_ADMIN", "needs CAP_SYS_ADMIN");
}

static void as_container(void)
{
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		printf("# user namespaces: %s: not tested\n", strerror(errno));
		return;
	}
	fd = nl_open();
	try_denied(fd, "root of a user namespace", "needs CAP_SYS_ADMIN");
}

static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		fn();
		fflush(stdout);
		_exit(group_bad > 99 ? 99 : group_bad);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		check(false, "child", "ended by a signal");
	else
		check(!WEXITSTATUS(status), "child", "%d cases", WEXITSTATUS(status));
}

struct state_case {
	const char *name;
	int cmd;
	int err;
	const char *text;
	struct at at[AT_MAX];
};

static void try_states(const struct state_case *c, size_t nr)
{
	struct answer an;
	size_t i;

	for (i = 0; i < nr; i++) {
		an = ask(c[i].cmd, c[i].at, AT_MAX);
		expect(&an, c[i].name, c[i].err, c[i].text);
	}
}

#define VM_AT(id, name, pages, origin, members, mlen, place, plen)		\
	{ U32(VM_ID, id), STR(VM_NAME, name), U64(RAM_PAGES, pages),		\
	  U16(ORIGIN, origin), BIN(MEMBERS, members, mlen),			\
	  BIN(VCPU_PLACE, place, plen) }

static const struct hk_member members_bad[][2] = {
	{ { 0, 0, 1 }, { 1, 0, 1 } }, { { 64, 0, 1 }, { 1, 0, 1 } },
	{ { 1, 7, 1 } }, { { 1, 0, 0 } }, { { 1, 0, 1 }, { 1, 0, 1 } },
	{ { 5, 0, 1 } }, { { 1, 0, 1 }, { 5, 0, 1 } },
};
static const uint16_t place_bad[2] = { 1, 9 }, place_zero[2] = { 1, 0 },
	place_huge[2] = { 1, 0xffff };

/* Before the node has an identity */
static const struct state_case states_none[] = {
	{ "LINK_ADD without identity", HK_CMD_LINK_ADD, EINVAL, "no identity yet",
	  { U16(PEER_ID, 2), STR(PEER_NAME, "two"), U32(FD, 0) } },
	{ "VM_ADD without identity", HK_CMD_VM_ADD, EINVAL, "no identity yet",
	  VM_AT(1, "v", 64, 1, &member_one, 8, place_one, 4) },
	{ "NODE_SET budget alone", HK_CMD_NODE_SET, EINVAL, "node-id is missing",
	  { U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET name with a slash", HK_CMD_NODE_SET, EINVAL, "node-name: only letters",
	  { U16(NODE_ID, 1), STR(NODE_NAME, "a/b"), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET name of nothing", HK_CMD_NODE_SET, EINVAL, "node-name: only letters",
	  { U16(NODE_ID, 1), STR(NODE_NAME, ""), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET name ..", HK_CMD_NODE_SET, EINVAL, "node-name: only letters",
	  { U16(NODE_ID, 1), STR(NODE_NAME, ".."), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET dead-ms too large", HK_CMD_NODE_SET, ERANGE, "60001 is above 60000",
	  { U16(NODE_ID, 1), STR(NODE_NAME, "a"), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64), U32(DEAD_MS, 60001) } },
	{ "NODE_SET dead-ms not above heartbeat-ms", HK_CMD_NODE_SET, EINVAL,
	  "500 is not above heartbeat-ms 500",
	  { U16(NODE_ID, 1), STR(NODE_NAME, "a"), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64), U32(HEARTBEAT_MS, 500),
	    U32(DEAD_MS, 500) } },
};

/* Node 1 with a link to node 2 and VM 1 */
static const struct state_case states_full[] = {
	{ "NODE_SET with a VM", HK_CMD_NODE_SET, EBUSY, "identity is fixed",
	  { U16(NODE_ID, 1), STR(NODE_NAME, "a"), BIN(CLUSTER_ID, cluster, 16),
	    U32(EPOCH, 1), U64(BUDGET_PAGES, 64) } },
	{ "NODE_SET of a smaller budget", HK_CMD_NODE_SET, EBUSY, "less than 2048",
	  { U64(BUDGET_PAGES, 2047) } },
	{ "LINK_ADD to itself", HK_CMD_LINK_ADD, EINVAL, "node 1 cannot be a peer",
	  { U16(PEER_ID, 1), STR(PEER_NAME, "two"), U32(FD, 0) } },
	{ "LINK_ADD name with a space", HK_CMD_LINK_ADD, EINVAL, "a name has letters",
	  { U16(PEER_ID, 3), STR(PEER_NAME, "a b"), U32(FD, 0) } },
	{ "LINK_ADD of no descriptor", HK_CMD_LINK_ADD, EBADF, "is not a socket",
	  { U16(PEER_ID, 3), STR(PEER_NAME, "a"), U32(FD, 999) } },
	{ "LINK_ADD of standard output", HK_CMD_LINK_ADD, ENOTSOCK, "is not a socket",
	  { U16(PEER_ID, 3), STR(PEER_NAME, "a"), U32(FD, 1) } },
	{ "LINK_DEL of none", HK_CMD_LINK_DEL, ENOENT, "no link to node 3",
	  { U16(PEER_ID, 3) } },
	{ "LINK_ECHO to none", HK_CMD_LINK_ECHO, ENOTCONN, "no link to node 3",
	  { U16(PEER_ID, 3), U32(COUNT, 1), U32(LEN, 64) } },
	{ "LINK_ECHO too long", HK_CMD_LINK_ECHO, ERANGE, "32769 is above 32768",
	  { U16(PEER_ID, 2), U32(COUNT, 1), U32(LEN, 32769) } },
	{ "VM_ADD id taken", HK_CMD_VM_ADD, EEXIST, "VM 1 exists",
	  VM_AT(1, "w", 64, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD name taken", HK_CMD_VM_ADD, EEXIST, "VM 1 has the name v",
	  VM_AT(2, "v", 64, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD name with a slash", HK_CMD_VM_ADD, EINVAL, "a name has letters",
	  VM_AT(2, "../x", 64, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD without RAM", HK_CMD_VM_ADD, EINVAL, "0 pages of RAM",
	  VM_AT(2, "w", 0, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD with too much RAM", HK_CMD_VM_ADD, EINVAL, "must be 1 to 2^36",
	  VM_AT(2, "w", (1ull << 36) + 1, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD with all the RAM", HK_CMD_VM_ADD, EINVAL, "must be 1 to 2^36",
	  VM_AT(2, "w", ~0ull, 1, &member_one, 8, place_one, 4) },
	{ "VM_ADD with a member and a half", HK_CMD_VM_ADD, EINVAL,
	  "12 bytes are not whole", VM_AT(2, "w", 64, 1, members_bad, 12, place_one, 4) },
	{ "VM_ADD with a place and a half", HK_CMD_VM_ADD, EINVAL, "3 bytes are not whole",
	  VM_AT(2, "w", 64, 1, &member_one, 8, place_one, 3) },
	{ "VM_ADD with member 0", HK_CMD_VM_ADD, EINVAL, "0 is not a node id",
	  VM_AT(2, "w", 64, 1, members_bad[0], 16, place_one, 4) },
	{ "VM_ADD with member 64", HK_CMD_VM_ADD, EINVAL, "64 is not a node id",
	  VM_AT(2, "w", 64, 1, members_bad[1], 16, place_one, 4) },
	{ "VM_ADD with a reserved field", HK_CMD_VM_ADD, EINVAL, "reserved field of member 1",
	  VM_AT(2, "w", 64, 1, members_bad[2], 8, place_one, 4) },
	{ "VM_ADD with weight 0", HK_CMD_VM_ADD, EINVAL, "weight of node 1 is 0",
	  VM_AT(2, "w", 64, 1, members_bad[3], 8, place_one, 4) },
	{ "VM_ADD with a member twice", HK_CMD_VM_ADD, EINVAL, "node 1 is a member twice",
	  VM_AT(2, "w", 64, 1, members_bad[4], 16, place_one, 4) },
	{ "VM_ADD without this node", HK_CMD_VM_ADD, EINVAL, "this node (1) is not a member",
	  VM_AT(2, "w", 64, 5, members_bad[5], 8, place_one, 4) },
	{ "VM_ADD with a stranger", HK_CMD_VM_ADD, ENOTCONN, "no link to node 5",
	  VM_AT(2, "w", 64, 1, members_bad[6], 16, place_one, 4) },
	{ "VM_ADD of a foreign origin", HK_CMD_VM_ADD, EINVAL, "origin, node 2, is not a member",
	  VM_AT(2, "w", 64, 2, &member_one, 8, place_one, 4) },
	{ "VM_ADD with a place outside", HK_CMD_VM_ADD, EINVAL,
	  "vCPU 1: node 9 is not a member",
	  VM_AT(2, "w", 64, 1, &member_one, 8, place_bad, 4) },
	{ "VM_ADD with place 0", HK_CMD_VM_ADD, EINVAL, "vCPU 1: node 0 is not a member",
	  VM_AT(2, "w", 64, 1, &member_one, 8, place_zero, 4) },
	{ "VM_ADD with place 65535", HK_CMD_VM_ADD, EINVAL,
	  "vCPU 1: node 65535 is not a member",
	  VM_AT(2, "w", 64, 1, &member_one, 8, place_huge, 4) },
	{ "VM_DEL of none", HK_CMD_VM_DEL, ENOENT, "there is no VM 7", { U32(VM_ID, 7) } },
	{ "VM_KILL of none", HK_CMD_VM_KILL, ENOENT, "there is no VM 7",
	  { U32(VM_ID, 7), STR(REASON, "r") } },
	{ "VM_GET of none", HK_CMD_VM_GET, ENOENT, "there is no VM", { U32(VM_ID, 7) } },
	{ "VCPU_MOVE in none", HK_CMD_VCPU_MOVE, ENOENT, "there is no VM 7",
	  { U32(VM_ID, 7), U32(VCPU, 0), U16(NODE_ID, 1) } },
	{ "VCPU_MOVE of none", HK_CMD_VCPU_MOVE, EINVAL, "has only 2 vCPUs",
	  { U32(VM_ID, 1), U32(VCPU, 2), U16(NODE_ID, 1) } },
	{ "VCPU_MOVE to a stranger", HK_CMD_VCPU_MOVE, EINVAL, "node 3 is not a member",
	  { U32(VM_ID, 1), U32(VCPU, 0), U16(NODE_ID, 3) } },
};

/* The same VM, dead */
static const struct state_case states_dead[] = {
	{ "VCPU_MOVE in a dead VM", HK_CMD_VCPU_MOVE, ESHUTDOWN, "stopped",
	  { U32(VM_ID, 1), U32(VCPU, 0), U16(NODE_ID, 2) } },
	{ "VM_KILL of a dead VM", HK_CMD_VM_KILL, 0, NULL,
	  { U32(VM_ID, 1), STR(REASON, "second") } },
};

static struct answer link_add_fd(int fd)
{
	return ASK(LINK_ADD, U16(PEER_ID, 3), STR(PEER_NAME, "a"), U32(FD, (uint32_t)fd));
}

/* Sockets that cannot carry a link */
static void try_sockets(struct peer *p)
{
	int fd[2], old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct answer an;

	fd[0] = socket(AF_INET, SOCK_DGRAM, 0);
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of UDP", EPROTOTYPE, "not a TCP socket");
	close(fd[0]);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		die("socketpair");
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of a unix socket", EPROTOTYPE, "not a TCP socket");
	close(fd[0]);
	close(fd[1]);
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of an unconnected socket", ENOTCONN, "not connected");
	listen(fd[0], 1);
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of a listening socket", ENOTCONN, "not connected");
	close(fd[0]);
	tcp_pair(fd);
	shutdown(fd[0], SHUT_RDWR);
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of a socket shut down", ENOTCONN, "not connected");
	close(fd[0]);
	close(fd[1]);
	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (setns(old, CLONE_NEWNET))
		die("setns");
	an = link_add_fd(fd[0]);
	expect(&an, "LINK_ADD of another namespace's socket", EXDEV,
	       "another network namespace");
	close(fd[0]);
	close(old);
	tcp_pair(fd);
	an = ASK(LINK_ADD, U16(PEER_ID, PEER), STR(PEER_NAME, "a"),
		 U32(FD, (uint32_t)fd[0]));
	expect(&an, "LINK_ADD to a node with a link", EEXIST, "node 2 has a link");
	close(fd[0]);
	close(fd[1]);
	check(ping_answered(p), "first link", "does not answer any more");
}

static void netlink_tests(void)
{
	struct answer an;
	struct peer p;
	int fd;

	netlink_attrs();
	netlink_verbs();
	in_child(as_nobody);
	in_child(as_less);
	in_child(as_container);
	group("requests without privilege");

	try_states(states_none, ARRAY_SIZE(states_none));
	group("requests to a node without identity");

	node_set(DEAD_MS);
	check(link_up(&p, PEER), "link", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	try_states(states_full, ARRAY_SIZE(states_full));
	try_sockets(&p);
	group("requests that do not fit the state");

	fd = open("/dev/hyperkernel/one-v", O_RDWR | O_CLOEXEC);
	check(fd >= 0, "open", "%s", strerror(errno));
	an = ASK(VM_DEL, U32(VM_ID, VM));
	expect(&an, "VM_DEL of a VM in use", EBUSY, "VM 1 is in use");
	an = ask(HK_CMD_NODE_RESET, NULL, 0);
	expect(&an, "NODE_RESET with a VM in use", EBUSY, "VM 1 is in use");
	check(ping_answered(&p), "link", "gone after a refused NODE_RESET");
	an = ASK(VM_KILL, U32(VM_ID, VM), STR(REASON, "first\n\x1b[31m"));
	expect(&an, "VM_KILL", 0, NULL);
	check(ev_wait(&ev_vm[VM].state, HK_VM_DEAD, WAIT_MS) &&
	      !strcmp(ev_vm[VM].reason, "first??[31m"), "VM_KILL",
	      "reason is \"%s\"", ev_vm[VM].reason);
	try_states(states_dead, ARRAY_SIZE(states_dead));
	check(!strcmp(ev_vm[VM].reason, "first??[31m"), "first reason stays", "\"%s\"",
	      ev_vm[VM].reason);
	check(open("/dev/hyperkernel/one-v", O_RDWR) < 0 && errno == ESHUTDOWN,
	      "open of a dead VM's device", "%s", strerror(errno));
	close(fd);
	check(vm_del(VM), "VM_DEL", "refused");
	check(peer_expect(&p, HK_MSG_VM_DEAD, &scratch) &&
	      !strcmp(((struct hk_wire_text *)BODY(&scratch))->text, "first??[31m"),
	      "VM_DEAD to the peer", "not sent");
	an = ASK(LINK_DEL, U16(PEER_ID, PEER));
	expect(&an, "LINK_DEL", 0, NULL);
	check(ev_wait(&ev_link[PEER].state, HK_LINK_DOWN, WAIT_MS) &&
	      strstr(ev_link[PEER].reason, "deleted by the administrator"),
	      "LINK_DEL", "reason is \"%s\"", ev_link[PEER].reason);
	an = ASK(LINK_DEL, U16(PEER_ID, PEER));
	expect(&an, "LINK_DEL again", ENOENT, "no link to node 2");
	link_end(&p);
	node_reset();
	group("VM in use, VM dead, link deleted");
}

/* The RAM device */

#define DEVICE	"/dev/hyperkernel/one-v"

static void *const bad_pointer = (void *)0x10;

static void fails(const char *name, long ret, int err)
{
	int got = ret < 0 ? errno : 0;

	check(got == err, name, "expected %s, got %s", err ? strerrorname_np(err) : "0",
	      got ? strerrorname_np(got) : "0");
}

#define IOCTL(name, err, fd, cmd, arg)	fails(name, ioctl(fd, cmd, arg), err)

static void try_mmap(const char *name, int fd, size_t len, int prot, int flags, off_t off,
		     int err)
{
	void *p = mmap(NULL, len, prot, flags, fd, off);

	fails(name, p == MAP_FAILED ? -1 : 0, err);
	if (p != MAP_FAILED)
		munmap(p, len);
}

static void device_any(int fd)
{
	const size_t ram = RAM_PAGES * 4096ul;
	const int rw = PROT_READ | PROT_WRITE;
	struct hk_info info = { .size = sizeof(info) };
	unsigned int nr;
	char c = 0;

	IOCTL("INFO", 0, fd, HK_IOC_INFO, &info);
	check(info.ram_bytes == ram && info.nr_vcpus == VCPUS && info.node == 1 &&
	      info.abi == HK_ABI_VERSION && info.vm == VM && !info.reserved, "INFO",
	      "wrong figures");
	info.size = 0;
	IOCTL("INFO size 0", EINVAL, fd, HK_IOC_INFO, &info);
	info.size = sizeof(info) - 1;
	IOCTL("INFO short", EINVAL, fd, HK_IOC_INFO, &info);
	info.size = sizeof(info) + 8;
	IOCTL("INFO long", EINVAL, fd, HK_IOC_INFO, &info);
	IOCTL("INFO bad pointer", EFAULT, fd, HK_IOC_INFO, bad_pointer);
	IOCTL("INFO no pointer", EFAULT, fd, HK_IOC_INFO, NULL);
	for (nr = 4; nr < 256; nr += 63)
		IOCTL("unknown number", ENOTTY, fd, _IOWR(HK_IOC_MAGIC, nr, struct hk_info),
		      &info);
	IOCTL("INFO of another size", ENOTTY, fd, _IOWR(HK_IOC_MAGIC, 0, char), &info);
	IOCTL("INFO of another magic", ENOTTY, fd, _IOWR(0xb8, 0, struct hk_info), &info);

	try_mmap("MAP_PRIVATE", fd, ram, rw, MAP_PRIVATE, 0, EINVAL);
	try_mmap("a page too long", fd, ram + 4096, rw, MAP_SHARED, 0, EINVAL);
	try_mmap("beyond the end", fd, 4096, rw, MAP_SHARED, ram, EINVAL);
	try_mmap("across the end", fd, 8192, rw, MAP_SHARED, ram - 4096, EINVAL);
	try_mmap("far beyond the end", fd, 4096, rw, MAP_SHARED, 1l << 50, EINVAL);
	try_mmap("last page", fd, 4096, rw, MAP_SHARED, ram - 4096, 0);
	try_mmap("all of it", fd, ram, rw, MAP_SHARED, 0, 0);
	fails("read", read(fd, &c, 1), EINVAL);
	fails("write", write(fd, &c, 1), EINVAL);
}

static void device_origin(int fd)
{
	struct hk_config_next n = { .size = sizeof(n) };
	struct hk_replica_vm v = { .size = sizeof(v), .vm_fd = -1 };
	struct hk_replica_vcpu r = { .size = sizeof(r), .vcpu_fd = -1,
				     .scratch_len = HK_SCRATCH_MIN };

	IOCTL("CONFIG_NEXT on the origin", EINVAL, fd, HK_IOC_CONFIG_NEXT, &n);
	IOCTL("REPLICA_VM on the origin", EINVAL, fd, HK_IOC_REPLICA_VM, &v);
	IOCTL("REPLICA_RUN on the origin", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
}

/* A section of the configuration, as the origin would send it */
static void send_base(struct peer *p, uint64_t seq)
{
	struct hk_wire_config *c = BODY(&scratch);
	struct hk_config_base *b = (void *)(c + 1);

	msg_init(p, &scratch, HK_MSG_VM_CONFIG, HK_LANE_CONTROL, VM,
		 sizeof(*c) + sizeof(*b));
	c->kind = HK_CONFIG_BASE;
	c->seq = seq;
	b->nr_vcpus = VCPUS;
	msg_send(p, &scratch);
}

static void on_alarm(int sig)
{
	(void)sig;
}

struct waiter {
	int fd;
	unsigned int cmd;
	void *arg;
	long ret;
	int err;
};

static void *wait_thread(void *data)
{
	struct waiter *w = data;

	w->ret = ioctl(w->fd, w->cmd, w->arg);
	w->err = errno;
	return NULL;
}

static void device_replica_config(int fd, struct peer *p)
{
	struct hk_config_base base;
	struct hk_config_next n = { .size = 0, .buf = (uintptr_t)&base,
				    .len = sizeof(base) };
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval it = { .it_value.tv_usec = 50000 };

	IOCTL("CONFIG_NEXT size 0", EINVAL, fd, HK_IOC_CONFIG_NEXT, &n);
	n.size = sizeof(n) - 1;
	IOCTL("CONFIG_NEXT short", EINVAL, fd, HK_IOC_CONFIG_NEXT, &n);
	n.size = sizeof(n) + 1;
	IOCTL("CONFIG_NEXT long", EINVAL, fd, HK_IOC_CONFIG_NEXT, &n);
	IOCTL("CONFIG_NEXT bad pointer", EFAULT, fd, HK_IOC_CONFIG_NEXT, bad_pointer);
	n.size = sizeof(n);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	IOCTL("CONFIG_NEXT and a signal", EINTR, fd, HK_IOC_CONFIG_NEXT, &n);
	send_base(p, 5);
	check(ping_answered(p), "CONFIG", "no answer");
	n.len = sizeof(base) - 1;
	IOCTL("CONFIG_NEXT without room", ENOSPC, fd, HK_IOC_CONFIG_NEXT, &n);
	check(n.len == sizeof(base) && !n.seq, "CONFIG_NEXT without room",
	      "len %u seq %llu", n.len, (unsigned long long)n.seq);
	n.buf = (uintptr_t)bad_pointer;
	IOCTL("CONFIG_NEXT bad buffer", EFAULT, fd, HK_IOC_CONFIG_NEXT, &n);
	n.buf = (uintptr_t)&base;
	n.seq = 0;
	IOCTL("CONFIG_NEXT", 0, fd, HK_IOC_CONFIG_NEXT, &n);
	check(n.seq == 5 && n.kind == HK_CONFIG_BASE && base.nr_vcpus == VCPUS,
	      "CONFIG_NEXT", "seq %llu kind %u", (unsigned long long)n.seq, n.kind);
}

static int kvm_vm(bool irqchip)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = 24 };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (kvm < 0)
		return -1;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	close(kvm);
	if (vm >= 0 && irqchip && ioctl(vm, KVM_ENABLE_CAP, &cap))
		die("split irqchip");
	return vm;
}

static int kvm_of_parent, dev_of_parent;

static void as_other_process(void)
{
	struct hk_replica_vm v = { .size = sizeof(v), .vm_fd = kvm_of_parent };

	IOCTL("REPLICA_VM of another process", EBADF, dev_of_parent, HK_IOC_REPLICA_VM, &v);
}

static void device_replica_kvm(int fd, struct peer *p, bool irqchip)
{
	struct hk_replica_vm v = { .size = sizeof(v) };
	struct hk_replica_vcpu r = { .size = sizeof(r), .scratch_len = HK_SCRATCH_MIN };
	int vm = kvm_vm(irqchip), other, vcpu, stranger;
	struct answer an;
	struct waiter w;
	pthread_t t;
	long end;

	if (vm < 0) {
		printf("# no KVM here: not tested\n");
		return;
	}
	other = kvm_vm(true);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	stranger = ioctl(other, KVM_CREATE_VCPU, 0);
	r.scratch = (uintptr_t)mmap(NULL, HK_SCRATCH_MIN, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	r.vcpu_fd = vcpu;
	IOCTL("REPLICA_RUN before REPLICA_VM", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);

	v.size = 0;
	v.vm_fd = vm;
	IOCTL("REPLICA_VM size 0", EINVAL, fd, HK_IOC_REPLICA_VM, &v);
	v.size = sizeof(v) + 1;
	IOCTL("REPLICA_VM long", EINVAL, fd, HK_IOC_REPLICA_VM, &v);
	IOCTL("REPLICA_VM bad pointer", EFAULT, fd, HK_IOC_REPLICA_VM, bad_pointer);
	v.size = sizeof(v);
	v.vm_fd = -1;
	IOCTL("REPLICA_VM of no descriptor", EBADF, fd, HK_IOC_REPLICA_VM, &v);
	v.vm_fd = fd;
	IOCTL("REPLICA_VM of the RAM device", EBADF, fd, HK_IOC_REPLICA_VM, &v);
	v.vm_fd = vcpu;
	IOCTL("REPLICA_VM of a vCPU", EBADF, fd, HK_IOC_REPLICA_VM, &v);
	kvm_of_parent = vm;
	dev_of_parent = fd;
	in_child(as_other_process);
	v.vm_fd = vm;
	IOCTL("REPLICA_VM", 0, fd, HK_IOC_REPLICA_VM, &v);
	IOCTL("REPLICA_VM again", EEXIST, fd, HK_IOC_REPLICA_VM, &v);
	v.vm_fd = other;
	IOCTL("REPLICA_VM of a second one", EEXIST, fd, HK_IOC_REPLICA_VM, &v);

	IOCTL("REPLICA_RUN bad pointer", EFAULT, fd, HK_IOC_REPLICA_RUN, bad_pointer);
	r.size = 0;
	IOCTL("REPLICA_RUN size 0", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.size = sizeof(r) - 8;
	IOCTL("REPLICA_RUN short", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.size = sizeof(r);
	r.reserved = 1;
	IOCTL("REPLICA_RUN reserved", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.reserved = 0;
	r.scratch_len = HK_SCRATCH_MIN - 1;
	IOCTL("REPLICA_RUN little scratch", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.scratch_len = HK_SCRATCH_MIN;
	r.index = VCPUS;
	IOCTL("REPLICA_RUN no such vCPU", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.index = ~0u;
	IOCTL("REPLICA_RUN vCPU -1", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.index = 1;
	IOCTL("REPLICA_RUN another index than KVM's", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.index = 0;
	r.vcpu_fd = -1;
	IOCTL("REPLICA_RUN no descriptor", EBADF, fd, HK_IOC_REPLICA_RUN, &r);
	r.vcpu_fd = vm;
	IOCTL("REPLICA_RUN of a VM", EBADF, fd, HK_IOC_REPLICA_RUN, &r);
	r.vcpu_fd = stranger;
	IOCTL("REPLICA_RUN of another VM's vCPU", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.vcpu_fd = vcpu;
	if (!irqchip) {
		IOCTL("REPLICA_RUN without a LAPIC", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
		/* if it goes through now, the death of the VM ends it */
		w = (struct waiter){ fd, HK_IOC_REPLICA_RUN, &r, 0, 0 };
		pthread_create(&t, NULL, wait_thread, &w);
		end = now_ms() + 300;
		while (now_ms() < end && pthread_tryjoin_np(t, NULL))
			usleep(1000);
		ASK(VM_KILL, U32(VM_ID, VM), STR(REASON, "over"));
		pthread_join(t, NULL);
		check(w.ret < 0 && w.err == EINVAL, "REPLICA_RUN without a LAPIC, again",
		      "expected EINVAL, got %s", w.ret ? strerrorname_np(w.err) : "0");
	} else {
		w = (struct waiter){ fd, HK_IOC_REPLICA_RUN, &r, 0, 0 };
		pthread_create(&t, NULL, wait_thread, &w);
		/* READY goes out when the thread is lent */
		check(peer_expect(p, HK_MSG_REPLICA_READY, &scratch), "READY", "not sent");
		IOCTL("REPLICA_RUN twice", EBUSY, fd, HK_IOC_REPLICA_RUN, &r);
		an = ASK(VM_KILL, U32(VM_ID, VM), STR(REASON, "over"));
		expect(&an, "VM_KILL", 0, NULL);
		pthread_join(t, NULL);
		check(!w.ret || w.err == ESHUTDOWN, "REPLICA_RUN at the guest's end", "got %s",
		      strerrorname_np(w.err));
	}
	close(vcpu);
	close(stranger);
	close(vm);
	close(other);
}

static void device_tests(void)
{
	struct hk_config_next n = { .size = sizeof(n), .seq = 5 };
	struct waiter w;
	struct answer an;
	struct peer p;
	pthread_t t;
	int i, fd;

	node_set(DEAD_MS);
	check(link_up(&p, PEER), "link", "not up");
	for (i = 0; i < 4; i++) {
		an = vm_add_of(VM, "v", i ? PEER : 1, true);
		expect(&an, "VM_ADD", 0, NULL);
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		if (!check(fd >= 0, "open", "%s", strerror(errno)))
			break;
		if (!i) {
			device_any(fd);
			group("ioctls and mappings of the RAM device");
			device_origin(fd);
			group("what is for replicas, on the origin");
		} else if (i == 1) {
			device_replica_config(fd, &p);
			w = (struct waiter){ fd, HK_IOC_CONFIG_NEXT, &n, 0, 0 };
			pthread_create(&t, NULL, wait_thread, &w);
			/* it says so before it waits */
			check(peer_expect(&p, HK_MSG_VM_CONFIG_ACK, &scratch), "ACK",
			      "not sent");
			an = ASK(VM_KILL, U32(VM_ID, VM), STR(REASON, "over"));
			expect(&an, "VM_KILL", 0, NULL);
			pthread_join(t, NULL);
			check(w.ret < 0 && w.err == ESHUTDOWN,
			      "CONFIG_NEXT at the guest's end", "got %s",
			      w.ret ? strerrorname_np(w.err) : "0");
			group("configuration on a replica");
		} else {
			device_replica_kvm(fd, &p, i == 2);
			group(i == 2 ? "KVM objects on a replica" :
			      "KVM objects without a LAPIC");
		}
		close(fd);
		check(vm_del(VM), "VM_DEL", "refused");
	}
	link_end(&p);
	node_reset();
	group("node after all that");
}

/* A peer that breaks the protocol */

enum {
	T_PING, T_ECHO, T_BYE, T_PAGE, T_SPILL, T_VM_DEAD, T_CONFIG, T_CONFIG_ACK, T_READY,
	T_STATE, T_TAKEN, T_MOVE, T_MOVED, T_IRQ, T_EXIT, T_EXIT_DONE, T_IDENT, T_HELLO,
};

/* What becomes of it */
enum {
	ENDS,		/* the link ends, with it the VM */
	ENDS_KILLS,	/* the VM is stopped for a reason of its own, the link ends */
	KILLS,		/* the VM is stopped, the link goes on */
	STALE,		/* dropped and counted */
	UNKNOWN,	/* likewise */
	LIVES,		/* nothing, or an answer */
};

struct patch {
	uint16_t off;
	uint8_t size;
	uint64_t v;
};

struct fcase {
	const char *name;
	int tmpl;
	int what;
	const char *text;
	struct patch patch[4];
	int len;	/* of the body, 0: as it should be, -1: 0 */
	int replica;	/* the VM's origin is the peer */
	int times;	/* 0 or 1: once */
	int reply;	/* type of the answer */
};

#define H(field, v) { offsetof(struct hk_wire_hdr, field),			\
	sizeof(((struct hk_wire_hdr *)0)->field), (v) }
#define B(s, field, v) { sizeof(struct hk_wire_hdr) + offsetof(struct hk_wire_##s, field), \
	sizeof(((struct hk_wire_##s *)0)->field), (v) }
#define B1(s, field, i, v) { sizeof(struct hk_wire_hdr) +			\
	offsetof(struct hk_wire_##s, field) + (i), 1, (v) }
#define P(...)	.patch = { __VA_ARGS__ }

static void tmpl_make(struct peer *p, struct msg *m, int tmpl)
{
	static const struct {
		uint8_t type, lane, vm;
		uint32_t len;
	} t[] = {
		[T_PING] = { HK_MSG_PING, 0, 0, sizeof(struct hk_wire_ping) },
		[T_ECHO] = { HK_MSG_ECHO, 1, 0, sizeof(struct hk_wire_echo) },
		[T_BYE] = { HK_MSG_BYE, 0, 0, sizeof(struct hk_wire_text) },
		[T_PAGE] = { HK_MSG_PAGE, 1, 1, sizeof(struct hk_wire_page_msg) },
		[T_SPILL] = { HK_MSG_SPILL, 1, 1, sizeof(struct hk_wire_spill) + 8 },
		[T_VM_DEAD] = { HK_MSG_VM_DEAD, 0, 1, sizeof(struct hk_wire_text) },
		[T_CONFIG] = { HK_MSG_VM_CONFIG, 0, 1, sizeof(struct hk_wire_config) +
			       sizeof(struct hk_config_base) },
		[T_CONFIG_ACK] = { HK_MSG_VM_CONFIG_ACK, 0, 1, 8 },
		[T_READY] = { HK_MSG_REPLICA_READY, 0, 1, sizeof(struct hk_wire_vcpu) },
		[T_STATE] = { HK_MSG_VCPU_STATE, 0, 1, sizeof(struct hk_wire_state) + 4096 },
		[T_TAKEN] = { HK_MSG_VCPU_TAKEN, 0, 1, sizeof(struct hk_wire_vcpu) },
		[T_MOVE] = { HK_MSG_VCPU_MOVE, 0, 1, sizeof(struct hk_wire_vcpu) },
		[T_MOVED] = { HK_MSG_VCPU_MOVED, 0, 1, sizeof(struct hk_wire_vcpu) },
		[T_IRQ] = { HK_MSG_VCPU_IRQ, 0, 1, sizeof(struct hk_wire_irq) },
		[T_EXIT] = { HK_MSG_VCPU_EXIT, 0, 1, sizeof(struct hk_wire_exit) },
		[T_EXIT_DONE] = { HK_MSG_VCPU_EXIT_DONE, 0, 1, sizeof(struct hk_wire_exit) },
		[T_IDENT] = { HK_MSG_VCPU_IDENT, 0, 1, sizeof(struct hk_wire_ident) },
	};

	if (tmpl == T_HELLO) {
		msg_hello(p, m);
		return;
	}
	msg_init(p, m, t[tmpl].type, t[tmpl].lane, t[tmpl].vm * VM, t[tmpl].len);
	switch (tmpl) {
	case T_ECHO:
		((struct hk_wire_echo *)BODY(m))->reply_len = 16;
		break;
	case T_BYE:
	case T_VM_DEAD:
		strcpy(((struct hk_wire_text *)BODY(m))->text, "going\n now");
		break;
	case T_PAGE:
		((struct hk_wire_page_msg *)BODY(m))->dtype = HK_DMSG_GET_S;
		break;
	case T_SPILL:
		((struct hk_wire_spill *)BODY(m))->nr = 1;
		break;
	case T_CONFIG:
		((struct hk_wire_config *)BODY(m))->kind = HK_CONFIG_BASE;
		((struct hk_wire_config *)BODY(m))->seq = 1;
		break;
	case T_MOVE:
		((struct hk_wire_vcpu *)BODY(m))->node = PEER;
		break;
	case T_STATE:
		((struct hk_wire_state *)BODY(m))->seq = 1;
		((struct hk_wire_state *)BODY(m))->xsave_len = 4096;
		break;
	}
}

#define BROKE(t)	"node 2 broke the protocol: " t
#define PG(n)		sizeof(struct hk_wire_page_msg) + (n)
#define FIELD(f, v)	B(page_msg, f, v)
#define DTYPE(t)	FIELD(dtype, HK_DMSG_##t)

static const struct fcase header_cases[] = {
	{ "magic", T_PING, ENDS, BROKE("wrong magic"), P(H(magic, 0x4b49)) },
	{ "version 0", T_PING, ENDS, BROKE("wrong wire version"), P(H(version, 0)) },
	{ "version 2", T_PING, ENDS, BROKE("wrong wire version"), P(H(version, 2)) },
	{ "type 0", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 0)) },
	{ "type 7", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 7)) },
	{ "type 63", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 63)) },
	{ "type 64", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 64)) },
	{ "type 255", T_PING, ENDS, BROKE("unknown message type"), P(H(type, 255)) },
	{ "from nobody", T_PING, ENDS, BROKE("sender is not the peer"), P(H(from, 0)) },
	{ "from the receiver", T_PING, ENDS, BROKE("sender is not the peer"), P(H(from, 1)) },
	{ "from another", T_PAGE, ENDS, BROKE("sender is not the peer"), P(H(from, 3)) },
	{ "reserved", T_PING, ENDS, BROKE("reserved field"), P(H(reserved, 1)) },
	{ "control in the page lane", T_PING, ENDS, BROKE("wrong lane"), P(H(lane, 1)) },
	{ "page in the control lane", T_PAGE, ENDS, BROKE("wrong lane"), P(H(lane, 0)) },
	{ "lane 255", T_PING, ENDS, BROKE("wrong lane"), P(H(lane, 255)) },
	{ "unknown flag", T_PAGE, ENDS, BROKE("unknown flag"), P(H(flags, 2)) },
	{ "page behind a PING", T_PING, ENDS, BROKE("page where none"), P(H(flags, 1)) },
	{ "page behind a SPILL", T_SPILL, ENDS, BROKE("page where none"), P(H(flags, 1)) },
	{ "PING short", T_PING, ENDS, BROKE("body too short"), P(H(len, 31)) },
	{ "PING long", T_PING, ENDS, BROKE("body too long"), P(H(len, 33)) },
	{ "PING empty", T_PING, ENDS, BROKE("body too short"), P(H(len, 0)) },
	{ "length of all ones", T_PING, ENDS, BROKE("body too long"), P(H(len, ~0u)) },
	{ "PAGE short", T_PAGE, ENDS, BROKE("body too short"), P(H(len, 23)) },
	{ "PAGE long", T_PAGE, ENDS, BROKE("body too long"), P(H(len, 25)) },
	{ "ECHO too long", T_ECHO, ENDS, BROKE("body too long"), P(H(len, 32769)) },
	{ "SPILL of nothing", T_SPILL, ENDS, BROKE("body too short"), P(H(len, 8)) },
	{ "SPILL of 65", T_SPILL, ENDS, BROKE("body too long"), P(H(len, 8 + 65 * 8)) },
	{ "CONFIG too long", T_CONFIG, ENDS, BROKE("body too long"), P(H(len, 32769)) },
	{ "VM_DEAD short", T_VM_DEAD, ENDS, BROKE("body too short"), P(H(len, 199)) },
	{ "PAGE without VM", T_PAGE, ENDS, BROKE("no VM given"), P(H(vm, 0)) },
	{ "PING with VM", T_PING, ENDS, BROKE("VM given"), P(H(vm, 1)) },
	{ "seq 0", T_PING, ENDS, BROKE("sequence number"), P(H(seq, 0)) },
	{ "seq again", T_PING, ENDS, BROKE("sequence number"), P(H(seq, 1)) },
	{ "seq skipped", T_PING, ENDS, BROKE("sequence number"), P(H(seq, 3)) },
	{ "second HELLO", T_HELLO, ENDS, BROKE("second HELLO"), P() },
	{ "epoch before", T_PING, STALE, NULL, P(H(epoch, 0)) },
	{ "epoch after, bad gfn", T_PAGE, STALE, NULL, P(H(epoch, 2), FIELD(gfn, 512)) },
	{ "epoch of a BYE", T_BYE, STALE, NULL, P(H(epoch, 7)) },
	{ "unknown VM", T_PAGE, UNKNOWN, NULL, P(H(vm, 77)) },
	{ "unknown VM of all ones", T_VM_DEAD, UNKNOWN, NULL, P(H(vm, ~0u)) },
	{ "PING", T_PING, LIVES, NULL, P(), .reply = HK_MSG_PONG },
	{ "PONG not asked for", T_PING, LIVES, NULL, P(H(type, HK_MSG_PONG)) },
	{ "ECHO", T_ECHO, LIVES, NULL, P(), .reply = HK_MSG_ECHO_REPLY },
	{ "ECHO of an unknown kind", T_ECHO, ENDS, BROKE("ECHO asks for an unknown kind"),
	  P(B(echo, reply_page, 2)) },
	{ "ECHO with a short reply", T_ECHO, ENDS, BROKE("ECHO asks for a reply too"),
	  P(B(echo, reply_len, 15)) },
	{ "ECHO with a long reply", T_ECHO, ENDS, BROKE("ECHO asks for a reply too"),
	  P(B(echo, reply_len, 32769)) },
	{ "ECHO_REPLY not asked for", T_ECHO, LIVES, NULL, P(H(type, HK_MSG_ECHO_REPLY)) },
	{ "BYE", T_BYE, ENDS, "node 2 left: going? now", P() },
	{ "VM_DEAD", T_VM_DEAD, KILLS, "going? now", P() },
	{ "VM_DEAD without end", T_VM_DEAD, KILLS, "going", P(B1(text, text, 191, 'x')) },
};

static const struct fcase page_cases[] = {
	{ "gfn out of range", T_PAGE, ENDS, "page 0x200: no such page", P(FIELD(gfn, 512)) },
	{ "gfn of all ones", T_PAGE, ENDS, "no such page", P(FIELD(gfn, ~0ull)) },
	{ "dtype 0", T_PAGE, ENDS, "unknown type", P(FIELD(dtype, 0)) },
	{ "dtype of none", T_PAGE, ENDS, "unknown type", P(FIELD(dtype, HK_DMSG_NR)) },
	{ "dtype 255", T_PAGE, ENDS, "unknown type", P(FIELD(dtype, 255)) },
	{ "flag", T_PAGE, ENDS, "unknown flag", P(FIELD(dflags, 4)) },
	{ "reserved", T_PAGE, ENDS, "reserved field", P(FIELD(reserved, 1)) },
	{ "req no member", T_PAGE, ENDS, "requester is not a member", P(FIELD(req, 3)) },
	{ "req 64", T_PAGE, ENDS, "requester is not a member", P(FIELD(req, 64)) },
	{ "req 65535", T_PAGE, ENDS, "requester is not a member", P(FIELD(req, 0xffff)) },
	{ "content 3", T_PAGE, ENDS, "content", P(FIELD(content, 3)) },
	{ "GET_S with a word", T_PAGE, ENDS, "content", P(FIELD(content, 2)) },
	{ "GET_S with a page", T_PAGE, ENDS, "content", P(FIELD(content, 1), H(flags, 1)) },
	{ "page but no content", T_PAGE, ENDS, "content", P(H(flags, 1)) },
	{ "word but no content", T_PAGE, ENDS, "content", P(FIELD(fill, 1)) },
	{ "DATA_S without", T_PAGE, ENDS, "content", P(DTYPE(DATA_S)) },
	{ "DATA_X without", T_PAGE, ENDS, "content", P(DTYPE(DATA_X)) },
	{ "DATA_X page missing", T_PAGE, ENDS, "content",
	  P(DTYPE(DATA_X), FIELD(content, 1)) },
	{ "DATA_S word and page", T_PAGE, ENDS, "content",
	  P(DTYPE(DATA_S), FIELD(content, 2), H(flags, 1)) },
	{ "DATA_S page and word", T_PAGE, ENDS, "content",
	  P(DTYPE(DATA_S), FIELD(content, 1), H(flags, 1), FIELD(fill, 9)) },
	{ "ACK with a word", T_PAGE, ENDS, "content", P(DTYPE(ACK), FIELD(content, 2)) },
	{ "GET_S not to home", T_PAGE, ENDS, "not home", P(FIELD(gfn, 256)) },
	{ "GET_X not to home", T_PAGE, ENDS, "not home", P(DTYPE(GET_X), FIELD(gfn, 511)) },
	{ "DONE not to home", T_PAGE, ENDS, "not home",
	  P(DTYPE(DONE), FIELD(gfn, 256), FIELD(req, 2)) },
	{ "GET_S with req", T_PAGE, ENDS, "requester or acks", P(FIELD(req, 2)) },
	{ "GET_X with acks", T_PAGE, ENDS, "requester or acks",
	  P(DTYPE(GET_X), FIELD(acks, 1)) },
	{ "DONE for another", T_PAGE, ENDS, "requester or acks",
	  P(DTYPE(DONE), FIELD(req, 1)) },
	{ "DONE for nobody", T_PAGE, ENDS, "requester or acks", P(DTYPE(DONE)) },
	{ "FWD_S not from home", T_PAGE, ENDS, "sender is not home",
	  P(DTYPE(FWD_S), FIELD(req, 2)) },
	{ "FWD_X not from home", T_PAGE, ENDS, "sender is not home",
	  P(DTYPE(FWD_X), FIELD(req, 2)) },
	{ "INV not from home", T_PAGE, ENDS, "sender is not home",
	  P(DTYPE(INV), FIELD(req, 2)) },
	{ "GRANT_X not from home", T_PAGE, ENDS, "sender is not home", P(DTYPE(GRANT_X)) },
	{ "FWD_S for nobody", T_PAGE, ENDS, "no requester",
	  P(DTYPE(FWD_S), FIELD(gfn, 256)) },
	{ "INV for nobody", T_PAGE, ENDS, "no requester", P(DTYPE(INV), FIELD(gfn, 256)) },
	{ "FWD_S for the receiver", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(FWD_S), FIELD(gfn, 256), FIELD(req, 1)) },
	{ "FWD_S of what is not here", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(FWD_S), FIELD(gfn, 256), FIELD(req, 2)) },
	{ "FWD_X of what is not here", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(FWD_X), FIELD(gfn, 256), FIELD(req, 2)) },
	{ "INV with too many acks", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(INV), FIELD(gfn, 256), FIELD(req, 2), FIELD(acks, 63)) },
	{ "DONE of nothing", T_PAGE, ENDS_KILLS, "impossible", P(DTYPE(DONE), FIELD(req, 2)) },
	{ "DATA_S not asked for", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(DATA_S), FIELD(content, 1), H(flags, 1), FIELD(gfn, 256)) },
	{ "DATA_X not asked for", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(DATA_X), FIELD(content, 2), FIELD(gfn, 256)) },
	{ "GRANT_X not asked for", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(GRANT_X), FIELD(gfn, 256)) },
	{ "ACK not asked for", T_PAGE, ENDS_KILLS, "impossible", P(DTYPE(ACK)) },
	{ "GET_X by the owner", T_PAGE, ENDS_KILLS, "impossible", P(DTYPE(GET_X)),
	  .times = 2 },
	{ "GET_X", T_PAGE, LIVES, NULL, P(DTYPE(GET_X)), .reply = HK_MSG_PAGE },
	{ "INV of what is not here", T_PAGE, LIVES, NULL,
	  P(DTYPE(INV), FIELD(gfn, 256), FIELD(req, 2)), .reply = HK_MSG_PAGE },
	{ "SPILL of 0", T_SPILL, ENDS, "offer of pages: wrong count", P(B(spill, nr, 0)) },
	{ "SPILL of more than there are", T_SPILL, ENDS, "wrong count", P(B(spill, nr, 2)) },
	{ "SPILL of fewer than there are", T_SPILL, ENDS, "wrong count", P(), .len = 24 },
	{ "SPILL of 65", T_SPILL, ENDS, "wrong count", P(B(spill, nr, 65)) },
	{ "SPILL of all ones", T_SPILL, ENDS, "wrong count", P(B(spill, nr, ~0u)) },
	{ "SPILL with a broken page number", T_SPILL, ENDS, "wrong count", P(), .len = 20 },
	{ "SPILL reserved", T_SPILL, ENDS, "wrong count", P(B(spill, reserved, 1)) },
	{ "SPILL out of range", T_SPILL, ENDS, "offer of pages: no such page",
	  P({ sizeof(struct hk_wire_hdr) + 8, 8, 512 }) },
	{ "SPILL", T_SPILL, LIVES, NULL, P() },
};

#define VCPU_CASES(t, s, name, size)						\
	{ name " empty", t, ENDS, name ": too short", P(), .len = -1 },	\
	{ name " short", t, ENDS, name ": too short", P(), .len = (size) - 1 },	\
	{ name " of no such vCPU", t, ENDS, name ": no such vCPU",		\
	  P(B(s, vcpu, VCPUS)) },						\
	{ name " of vCPU -1", t, ENDS, name ": no such vCPU", P(B(s, vcpu, ~0u)) }
#define VCPU_LONG(t, name, size)						\
	{ name " long", t, ENDS, name ": too long", P(), .len = (size) + 1 }
#define VCPU_TEXT(t, name)							\
	{ name " reserved", t, ENDS, name ": reserved",				\
	  P(B1(vcpu, reserved, 1, 1)) },					\
	{ name " temporary", t, ENDS, name ": reserved", P(B(vcpu, temporary, 2)) }, \
	{ name " text without end", t, ENDS, name ": text without end",		\
	  P(B1(vcpu, text, HK_REASON_MAX - 1, 'x')) }
#define WORD(off, v)	{ sizeof(struct hk_wire_hdr) + (off), 4, (v) }

static const struct fcase vcpu_cases[] = {
	VCPU_CASES(T_READY, vcpu, "replica-ready", sizeof(struct hk_wire_vcpu)),
	VCPU_LONG(T_READY, "replica-ready", sizeof(struct hk_wire_vcpu)),
	VCPU_TEXT(T_READY, "replica-ready"),
	VCPU_CASES(T_TAKEN, vcpu, "vcpu-taken", sizeof(struct hk_wire_vcpu)),
	VCPU_LONG(T_TAKEN, "vcpu-taken", sizeof(struct hk_wire_vcpu)),
	VCPU_TEXT(T_TAKEN, "vcpu-taken"),
	VCPU_CASES(T_MOVE, vcpu, "vcpu-move", sizeof(struct hk_wire_vcpu)),
	VCPU_LONG(T_MOVE, "vcpu-move", sizeof(struct hk_wire_vcpu)),
	VCPU_TEXT(T_MOVE, "vcpu-move"),
	VCPU_CASES(T_MOVED, vcpu, "vcpu-moved", sizeof(struct hk_wire_vcpu)),
	VCPU_LONG(T_MOVED, "vcpu-moved", sizeof(struct hk_wire_vcpu)),
	VCPU_TEXT(T_MOVED, "vcpu-moved"),
	VCPU_CASES(T_IRQ, irq, "vcpu-irq", sizeof(struct hk_wire_irq)),
	VCPU_LONG(T_IRQ, "vcpu-irq", sizeof(struct hk_wire_irq)),
	VCPU_CASES(T_IDENT, ident, "vcpu-ident", sizeof(struct hk_wire_ident)),
	VCPU_LONG(T_IDENT, "vcpu-ident", sizeof(struct hk_wire_ident)),
	VCPU_CASES(T_STATE, state, "vcpu-state", sizeof(struct hk_wire_state)),
	VCPU_CASES(T_EXIT, exit, "vcpu-exit", sizeof(struct hk_wire_exit)),
	VCPU_CASES(T_EXIT_DONE, exit, "vcpu-exit-done", sizeof(struct hk_wire_exit)),
	{ "irq level", T_IRQ, ENDS, "irq flags", P(B(irq, level, 2)) },
	{ "irq trig", T_IRQ, ENDS, "irq flags", P(B(irq, trig, 2)) },
	{ "irq reserved", T_IRQ, ENDS, "irq flags", P(B1(irq, reserved, 6, 1)) },
	{ "irq mode", T_IRQ, ENDS, "irq mode", P(B(irq, mode, 0x300)) },
	{ "irq mode of all ones", T_IRQ, ENDS, "irq mode", P(B(irq, mode, 0xffff)) },
	{ "irq", T_IRQ, LIVES, NULL, P(B(irq, vector, 0x40)) },
	{ "irq for a vCPU at the sender", T_IRQ, LIVES, NULL, P(B(irq, vector, 0x40)),
	  .replica = 1, .reply = HK_MSG_VCPU_IRQ },
	{ "move to a stranger", T_MOVE, ENDS, "vcpu-move does not fit", P(B(vcpu, node, 3)) },
	{ "move to nobody", T_MOVE, ENDS, "vcpu-move does not fit", P(B(vcpu, node, 0)) },
	{ "move to 64", T_MOVE, ENDS, "vcpu-move does not fit", P(B(vcpu, node, 64)) },
	{ "move for a stranger", T_MOVE, ENDS, "vcpu-move does not fit",
	  P(B(vcpu, asker, 3)) },
	{ "move for 65535", T_MOVE, ENDS, "vcpu-move does not fit",
	  P(B(vcpu, asker, 0xffff)) },
	{ "moved, nobody asked", T_MOVED, LIVES, NULL, P(B(vcpu, cookie, 99)) },
	{ "taken what is here", T_TAKEN, LIVES, NULL, P(B(vcpu, seq, 1)) },
	{ "state with MSRs it has not", T_STATE, ENDS, "state size", P(B(state, nr_msrs, 1)) },
	{ "state with too many MSRs", T_STATE, ENDS, "state size", P(B(state, nr_msrs, 97)) },
	{ "state with -1 MSRs", T_STATE, ENDS, "state size", P(B(state, nr_msrs, ~0u)) },
	{ "state without XSAVE", T_STATE, ENDS, "state size", P(B(state, xsave_len, 0)) },
	{ "state with much XSAVE", T_STATE, ENDS, "state size",
	  P(B(state, xsave_len, 20000)) },
	{ "state that wraps", T_STATE, ENDS, "state size",
	  P(B(state, nr_msrs, 0x10000000)) },
	{ "state reserved", T_STATE, ENDS, "vcpu-state: reserved", P(B(state, reserved, 1)) },
	{ "state of what is here", T_STATE, LIVES, NULL, P(), .reply = HK_MSG_VCPU_TAKEN },
	{ "state where no KVM is", T_STATE, LIVES, NULL, P(), .replica = 1,
	  .reply = HK_MSG_VCPU_TAKEN },
	{ "exit with data it has not", T_EXIT, ENDS, "exit size", P(B(exit, pio_len, 1)) },
	{ "exit with much data", T_EXIT, ENDS, "exit size", P(B(exit, pio_len, 4097)) },
	{ "exit with -1 data", T_EXIT, ENDS, "exit size", P(B(exit, pio_len, ~0u)) },
	{ "exit reserved", T_EXIT, ENDS, "vcpu-exit: reserved", P(B(exit, reserved, 1)) },
	{ "exit to a replica", T_EXIT, ENDS, "vcpu-exit does not fit", P(), .replica = 1 },
	{ "exit twice", T_EXIT, ENDS, "vcpu-exit does not fit", P(), .times = 2 },
	{ "exit-done to the origin", T_EXIT_DONE, ENDS, "vcpu-exit-done does not fit", P() },
	{ "exit-done of no exit", T_EXIT_DONE, ENDS, "vcpu-exit-done does not fit",
	  P(B(exit, cookie, 12345)), .replica = 1 },
	{ "config short", T_CONFIG, ENDS, "vm-config: too short", P(), .replica = 1,
	  .len = 15 },
	{ "config kind 0", T_CONFIG, ENDS, "config kind", P(B(config, kind, 0)),
	  .replica = 1 },
	{ "config kind 5", T_CONFIG, ENDS, "config kind", P(B(config, kind, 5)),
	  .replica = 1 },
	{ "config index", T_CONFIG, ENDS, "vm-config: index", P(B(config, index, 1)),
	  .replica = 1 },
	{ "config base short", T_CONFIG, ENDS, "BASE size", P(), .len = 24, .replica = 1 },
	{ "config base long", T_CONFIG, ENDS, "BASE size", P(), .len = 64, .replica = 1 },
	{ "config slots", T_CONFIG, ENDS, "SLOTS size", P(B(config, kind, HK_CONFIG_SLOTS)),
	  .len = 16 + 33, .replica = 1 },
	{ "config routes short", T_CONFIG, ENDS, "ROUTES size",
	  P(B(config, kind, HK_CONFIG_ROUTES)), .len = 16 + 4, .replica = 1 },
	{ "config routes without their entries", T_CONFIG, ENDS, "ROUTES size",
	  P(B(config, kind, HK_CONFIG_ROUTES), WORD(16, 4096)), .len = 16 + 8,
	  .replica = 1 },
	{ "config CPUID without its entries", T_CONFIG, ENDS, "CPUID size",
	  P(B(config, kind, HK_CONFIG_CPUID), WORD(16, 0x80000000)), .len = 16 + 8,
	  .replica = 1 },
	{ "config CPUID of no such vCPU", T_CONFIG, ENDS, "CPUID of no such vCPU",
	  P(B(config, kind, HK_CONFIG_CPUID), B(config, index, VCPUS)), .len = 16 + 8,
	  .replica = 1 },
	{ "config seq 0", T_CONFIG, ENDS, "vm-config does not fit", P(B(config, seq, 0)),
	  .replica = 1 },
	{ "config seq again", T_CONFIG, ENDS, "vm-config does not fit", P(), .replica = 1,
	  .times = 2 },
	{ "config to the origin", T_CONFIG, ENDS, "vm-config does not fit", P() },
	{ "config", T_CONFIG, LIVES, NULL, P(), .replica = 1 },
	{ "config-ack short", T_CONFIG_ACK, ENDS, "vm-config-ack: too short", P(), .len = 4 },
	{ "config-ack long", T_CONFIG_ACK, ENDS, "vm-config-ack: too long", P(), .len = 9 },
	{ "config-ack of all ones", T_CONFIG_ACK, LIVES, NULL,
	  P(B(config_ack, seq, ~0ull)) },
};

static void msg_patch(struct msg *m, const struct fcase *c)
{
	size_t i;

	if (c->len) {
		size_t len = c->len < 0 ? 0 : c->len;

		if (len > m->h.len)
			memset(m->b + sizeof(m->h) + m->h.len, 0, len - m->h.len);
		m->h.len = len;
	}
	for (i = 0; i < ARRAY_SIZE(c->patch); i++)
		memcpy(m->b + c->patch[i].off, &c->patch[i].v, c->patch[i].size);
}

static bool link_ended(struct peer *p, const char *name, const char *text)
{
	if (!check(ev_wait(&ev_link[p->id].state, HK_LINK_DOWN, WAIT_MS), name,
		   "the link goes on, expected \"%s\"", text))
		return false;
	return check(strstr(ev_link[p->id].reason, text), name,
		     "expected link \"%s\", got \"%s\"", text, ev_link[p->id].reason);
}

static bool vm_ended(const char *name, const char *text)
{
	if (!check(ev_wait(&ev_vm[VM].state, HK_VM_DEAD, WAIT_MS), name, "the VM lives"))
		return false;
	return check(strstr(ev_vm[VM].reason, text), name,
		     "expected VM \"%s\", got \"%s\"", text, ev_vm[VM].reason);
}

static void try_message(struct peer *p, const struct fcase *c)
{
	uint64_t stale = link_count(HK_A_RX_STALE);
	uint64_t unknown = link_count(HK_A_RX_UNKNOWN);
	int i;

	for (i = 0; i < (c->times ?: 1); i++) {
		tmpl_make(p, &scratch, c->tmpl);
		msg_patch(&scratch, c);
		msg_send(p, &scratch);
	}
	if (c->what == ENDS || c->what == ENDS_KILLS) {
		/* the VM has a reason of its own, or that of the link */
		if (link_ended(p, c->name, c->text))
			vm_ended(c->name, c->what == ENDS ? ev_link[p->id].reason : c->text);
		/* whoever broke the protocol is told so */
		if (c->tmpl != T_BYE)
			check(peer_expect(p, HK_MSG_BYE, &scratch) && strstr(p->bye, c->text),
			      c->name, "BYE says \"%s\"", p->bye);
		return;
	}
	if (c->reply)
		check(peer_expect(p, c->reply, &scratch), c->name, "no answer of type %d",
		      c->reply);
	check(ping_answered(p), c->name, "the link ended: \"%s\"",
	      ev_wait(&ev_link[p->id].state, HK_LINK_DOWN, 100) ?
	      ev_link[p->id].reason : "");
	if (c->what == KILLS)
		vm_ended(c->name, c->text);
	else
		check(!ev_wait(&ev_vm[VM].state, HK_VM_DEAD, 0), c->name,
		      "the VM is dead: \"%s\"", ev_vm[VM].reason);
	stale += c->what == STALE;
	unknown += c->what == UNKNOWN;
	check(link_count(HK_A_RX_STALE) == stale, c->name, "rx-stale is wrong");
	check(link_count(HK_A_RX_UNKNOWN) == unknown, c->name, "rx-unknown is wrong");
}

static void try_messages(const struct fcase *c, size_t nr)
{
	struct answer an;
	struct peer p;
	bool up = false;

	for (; nr--; c++) {
		if (!up && !check(link_up(&p, PEER), c->name, "no new link"))
			return;
		an = vm_add_of(VM, "v", c->replica ? PEER : 1, true);
		expect(&an, c->name, 0, NULL);
		try_message(&p, c);
		up = !ev_wait(&ev_link[PEER].state, HK_LINK_DOWN, 0);
		if (!up)
			link_end(&p);
		check(vm_del(VM), c->name, "VM not deleted");
	}
	if (up)
		link_end(&p);
}

static const struct fcase hello_cases[] = {
	{ "PING first", T_PING, ENDS, BROKE("message before HELLO"), P() },
	{ "VM_DEAD first", T_VM_DEAD, ENDS, BROKE("message before HELLO"), P() },
	{ "BYE first", T_BYE, ENDS, "message before HELLO", P() },
	{ "versions above", T_HELLO, ENDS, BROKE("no common wire version"),
	  P(B(hello, version_min, 2), B(hello, version_max, 9)) },
	{ "versions below", T_HELLO, ENDS, BROKE("no common wire version"),
	  P(B(hello, version_min, 0), B(hello, version_max, 0)) },
	{ "HELLO of another node", T_HELLO, ENDS, BROKE("HELLO of another node"),
	  P(B(hello, node, 3)) },
	{ "HELLO from another node", T_HELLO, ENDS, BROKE("sender is not the peer"),
	  P(H(from, 3)) },
	{ "HELLO of another cluster", T_HELLO, ENDS, BROKE("HELLO of another cluster"),
	  P(B1(hello, cluster, 15, 'x')) },
	{ "HELLO short", T_HELLO, ENDS, BROKE("body too short"), P(H(len, 23)) },
	{ "HELLO long", T_HELLO, ENDS, BROKE("body too long"), P(H(len, 25)) },
	{ "HELLO seq 2", T_HELLO, ENDS, BROKE("sequence number"), P(H(seq, 2)) },
	{ "HELLO of another epoch", T_HELLO, LIVES, NULL, P(H(epoch, 9)) },
	{ "HELLO with features", T_HELLO, LIVES, NULL, P(B(hello, features, ~0u)) },
};

static void try_hellos(void)
{
	struct peer p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hello_cases); i++) {
		const struct fcase *c = &hello_cases[i];
		struct answer an = peer_add(&p, PEER);

		expect(&an, c->name, 0, NULL);
		tmpl_make(&p, &scratch, c->tmpl);
		msg_patch(&scratch, c);
		msg_send(&p, &scratch);
		if (c->what == LIVES) {
			check(ev_wait(&ev_link[PEER].state, HK_LINK_UP, WAIT_MS) &&
			      ping_answered(&p), c->name, "not up");
		} else if (link_ended(&p, c->name, c->text)) {
			check(peer_expect(&p, HK_MSG_HELLO, &scratch) &&
			      scratch.h.seq == 1 && scratch.h.from == 1, c->name,
			      "no HELLO first");
			check(peer_expect(&p, HK_MSG_BYE, &scratch) &&
			      strstr(p.bye, c->text), c->name, "BYE says \"%s\"", p.bye);
		}
		link_end(&p);
	}
}

/* Connections that end */
static void try_ends(void)
{
	static const struct {
		const char *name;
		size_t bytes;
		bool hello, reset;
		const char *text;
	} ends[] = {
		{ "closed at once", 0, false, false, "node 2 closed the connection" },
		{ "closed amid HELLO", 40, false, false, "closed the connection amid" },
		{ "closed between messages", 0, true, false, "node 2 closed the connection" },
		{ "closed amid a header", 17, true, false, "closed the connection amid" },
		{ "closed behind a header", 32, true, false, "closed the connection amid" },
		{ "closed amid a body", 63, true, false, "closed the connection amid" },
		{ "reset", 32, true, true, "receive from node 2: error -104" },
	};
	struct linger linger = { .l_onoff = 1 };
	struct answer an;
	struct peer p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		if (ends[i].hello) {
			check(link_up(&p, PEER), ends[i].name, "not up");
			an = vm_add_of(VM, "v", 1, true);
			tmpl_make(&p, &scratch, T_PING);
		} else {
			an = peer_add(&p, PEER);
			tmpl_make(&p, &scratch, T_HELLO);
		}
		expect(&an, ends[i].name, 0, NULL);
		peer_send(&p, scratch.b, ends[i].bytes);
		if (ends[i].reset)
			setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		else
			/* what lies unread would make a reset of the close */
			shutdown(p.fd, SHUT_WR);
		if (ends[i].reset)
			close(p.fd);
		if (link_ended(&p, ends[i].name, ends[i].text) && ends[i].hello)
			vm_ended(ends[i].name, ends[i].text);
		if (!ends[i].reset)
			close(p.fd);
		if (ends[i].hello)
			check(vm_del(VM), ends[i].name, "VM not deleted");
	}
}

/* A member of the cluster, but not of the VM */
static void try_stranger(void)
{
	struct peer p, other;
	struct answer an;

	check(link_up(&p, PEER) && link_up(&other, 3), "two links", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	tmpl_make(&other, &scratch, T_PAGE);
	msg_send(&other, &scratch);
	link_ended(&other, "stranger", "node 3 is not a member of VM 1, but sends page");
	check(ping_answered(&p) && !ev_wait(&ev_vm[VM].state, HK_VM_DEAD, 0), "stranger",
	      "the VM is dead: \"%s\"", ev_vm[VM].reason);
	link_end(&other);
	check(link_up(&other, 3), "stranger", "no new link");
	tmpl_make(&other, &scratch, T_VM_DEAD);
	msg_send(&other, &scratch);
	link_ended(&other, "stranger's VM_DEAD", "but sends vm-dead");
	check(ping_answered(&p) && !ev_wait(&ev_vm[VM].state, HK_VM_DEAD, 0),
	      "stranger's VM_DEAD", "the VM is dead: \"%s\"", ev_vm[VM].reason);
	link_end(&other);
	link_end(&p);
	vm_ended("peer gone", "node 2 closed the connection");
	check(vm_del(VM), "VM_DEL", "refused");
}

static void try_silence(unsigned int dead_ms)
{
	static const char text[] = "nothing heard from node 2 for 500 ms";
	struct answer an;
	struct peer p;
	long t0;

	an = peer_add(&p, PEER);
	expect(&an, "LINK_ADD", 0, NULL);
	t0 = now_ms();
	link_ended(&p, "silence before HELLO", text);
	check(now_ms() - t0 >= dead_ms - 100, "silence before HELLO", "after %ld ms",
	      now_ms() - t0);
	link_end(&p);
	check(link_up(&p, PEER), "link", "not up");
	an = vm_add_of(VM, "v", 1, true);
	expect(&an, "VM_ADD", 0, NULL);
	/* the head of a message and nothing more is silence, too */
	tmpl_make(&p, &scratch, T_PING);
	peer_send(&p, scratch.b, 40);
	t0 = now_ms();
	if (link_ended(&p, "silence amid a message", text))
		vm_ended("silence amid a message", text);
	check(now_ms() - t0 >= dead_ms - 100, "silence amid a message", "after %ld ms",
	      now_ms() - t0);
	link_end(&p);
	check(vm_del(VM), "VM_DEL", "refused");
}

static void fabric_tests(void)
{
	node_set(DEAD_MS);
	try_hellos();
	group("HELLO");
	try_messages(header_cases, ARRAY_SIZE(header_cases));
	group("headers and messages of the link");
	try_messages(page_cases, ARRAY_SIZE(page_cases));
	group("messages about pages");
	try_messages(vcpu_cases, ARRAY_SIZE(vcpu_cases));
	group("messages about vCPUs");
	try_ends();
	group("connections that end");
	try_stranger();
	group("node that is not a member");
	node_reset();
	node_set(500);
	try_silence(500);
	node_reset();
	group("silence");
}

/* Bodies of random bytes behind headers that are right */
static void fuzz_tests(uint64_t seed, int nr)
{
	struct answer an;
	struct peer p;
	bool up = false;
	uint32_t i, len;

	node_set(DEAD_MS);
	for (; nr--; seed++) {
		char name[48];
		uint64_t x = seed * 0x9e3779b97f4a7c15ull;
		int tmpl = T_PAGE + (x >> 40) % (T_IDENT - T_PAGE + 1);

		snprintf(name, sizeof(name), "seed %llu", (unsigned long long)seed);
		if (!up && !check(link_up(&p, PEER), name, "no new link"))
			break;
		an = vm_add_of(VM, "v", seed % 2 ? PEER : 1, true);
		expect(&an, name, 0, NULL);
		tmpl_make(&p, &scratch, tmpl);
		len = scratch.h.len;
		/* one to four bytes of what is right */
		for (i = 0; i < 1 + x % 4; i++) {
			x ^= x >> 29;
			x *= 0xbf58476d1ce4e5b9ull;
			scratch.b[sizeof(scratch.h) + (x >> 8) % (len < 64 ? len : 64)] =
				x >> 56;
		}
		msg_send(&p, &scratch);
		check(ping_answered(&p) ||
		      ev_wait(&ev_link[PEER].state, HK_LINK_DOWN, WAIT_MS), name,
		      "neither answer nor end");
		up = !ev_wait(&ev_link[PEER].state, HK_LINK_DOWN, 0);
		if (!up)
			link_end(&p);
		check(vm_del(VM), name, "VM not deleted");
	}
	if (up)
		link_end(&p);
	node_reset();
	group("random bytes");
}

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
	else if (argc == 4 && !strcmp(argv[1], "fuzz"))
		fuzz_tests(strtoull(argv[2], NULL, 0), atoi(argv[3]));
	else
		return 2;
	return all_bad ? 1 : 0;
}
