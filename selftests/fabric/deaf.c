// SPDX-License-Identifier: GPL-2.0
/*
 * A peer that says what it must to be taken for alive, and reads nothing; TAP
 *
 * fabric/link*.c as they are, over one end of a pair of sockets. At the other end is no
 * link but a thread that says HELLO and a PING now and then. What waits for such a peer
 * must not grow without bound: the link ends, with the reason, and frees it all.
 */
#include "fdconn.h"

#define HEARTBEAT_MS	20
#define DEAD_MS		400
#define WAIT_MS		20000
/* of fabric/link.c */
#define QUEUED_MAX	32768

static unsigned int nr_tests, nr_failed;
static bool failed;
static bool up, down, peer_stop;
static char why_down[HK_REASON_MAX];
static unsigned int nr_pings;

#define CHECK(cond, ...) do {						\
	if (!(cond)) {							\
		failed = true;						\
		printf("# %s:%d: %s: ", __func__, __LINE__, #cond);	\
		printf(__VA_ARGS__);					\
		printf("\n");						\
	}								\
} while (0)

void hk_transport_put(const struct hk_transport *transport)
{
}

static int deaf_recv(struct hk_link *link, struct hk_msg *msg, char *why)
{
	hk_msg_free(msg);
	return 0;
}

static void deaf_up(struct hk_link *link)
{
	WRITE_ONCE(up, true);
}

static void deaf_down(struct hk_link *link, const char *why)
{
	snprintf(why_down, sizeof(why_down), "%s", why);
	__atomic_store_n(&down, true, __ATOMIC_RELEASE);
}

static void deaf_path(struct hk_link *link, unsigned int id)
{
}

static void deaf_heard(struct hk_link *link, s64 lead, u64 rtt_min)
{
}

static bool deaf_timed(struct hk_link *link)
{
	return false;
}

static u64 deaf_tsc(struct hk_link *link)
{
	return ktime_get_ns();
}

static const struct hk_link_ops ops = {
	.recv = deaf_recv,
	.up = deaf_up,
	.down = deaf_down,
	.path = deaf_path,
	.heard = deaf_heard,
	.timed = deaf_timed,
	.tsc = deaf_tsc,
};

static void say(int fd, u64 seq, u8 type, const void *body, size_t len)
{
	struct hk_wire_hdr hdr = {
		.magic = cpu_to_le16(HK_WIRE_MAGIC),
		.version = HK_WIRE_VERSION,
		.type = type,
		.len = cpu_to_le32(len),
		.from = cpu_to_le16(2),
		.lane = hk_wire_type(type)->lane,
		.epoch = cpu_to_le32(1),
		.seq = cpu_to_le64(seq),
	};

	if (send(fd, &hdr, sizeof(hdr), MSG_NOSIGNAL | MSG_MORE) < 0 ||
	    send(fd, body, len, MSG_NOSIGNAL) < 0)
		WRITE_ONCE(peer_stop, true);
}

static void *peer(void *arg)
{
	struct hk_wire_hello hello = {
		.version_min = HK_WIRE_VERSION,
		.version_max = HK_WIRE_VERSION,
		.node = cpu_to_le16(2),
	};
	struct hk_wire_ping ping = { .t_sent = cpu_to_le64(1) };
	int fd = *(int *)arg;
	u64 seq = 1;

	say(fd, seq++, HK_MSG_HELLO, &hello, sizeof(hello));
	while (!READ_ONCE(peer_stop)) {
		say(fd, seq++, HK_MSG_PING, &ping, sizeof(ping));
		__atomic_fetch_add(&nr_pings, 1, __ATOMIC_RELAXED);
		usleep(HEARTBEAT_MS * 1000);
	}
	return NULL;
}

static bool until(const bool *what)
{
	u64 end = ktime_get_ns() + WAIT_MS * NSEC_PER_MSEC;

	while (!__atomic_load_n(what, __ATOMIC_ACQUIRE)) {
		if (ktime_get_ns() > end)
			return false;
		usleep(1000);
	}
	return true;
}

/* Return: the link took it */
static bool one_more(struct hk_link *link)
{
	const size_t len = sizeof(struct hk_wire_page_msg);

	return !hk_link_send(link, hk_msg_alloc(HK_MSG_PAGE, 1, len, 0));
}

static void test_deaf(void)
{
	struct hk_link_cfg cfg = { .epoch = 1, .self = 1, .peer = 2, .transport = &hk_tcp,
		.heartbeat_ms = HEARTBEAT_MS, .dead_ms = DEAD_MS };
	char why[HK_REASON_MAX];
	struct hk_link *link;
	unsigned int pings, i;
	pthread_t thread;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		abort();
	link = hk_link_create(&ops, &cfg, sock_new(fd[0]), why);
	if (IS_ERR(link))
		abort();
	pthread_create(&thread, NULL, peer, &fd[1]);
	CHECK(until(&up), "the link does not come up");

	/* as many as may wait: as long as the peer is heard, that is no reason to end */
	while (READ_ONCE(link->queued) < QUEUED_MAX && one_more(link))
		;
	pings = __atomic_load_n(&nr_pings, __ATOMIC_RELAXED);
	while (!READ_ONCE(down) && !READ_ONCE(peer_stop) &&
	       __atomic_load_n(&nr_pings, __ATOMIC_RELAXED) < pings + 3 * DEAD_MS / HEARTBEAT_MS)
		usleep(1000);
	CHECK(!READ_ONCE(down), "down while the peer was heard: %s", why_down);
	CHECK(READ_ONCE(link->queued) > QUEUED_MAX / 2, "the peer has taken them");

	/* what the sender holds in its hands is not counted as waiting */
	for (i = 0; i < 1024 && one_more(link); i++)
		;
	CHECK(until(&down), "the link does not end: %u wait", READ_ONCE(link->queued));
	CHECK(strstr(why_down, "node 2 takes no messages"), "%s", why_down);
	CHECK(!one_more(link), "a link that has ended takes messages");

	WRITE_ONCE(peer_stop, true);
	pthread_join(thread, NULL);
	hk_link_close(link, NULL);
	hk_link_put(link);
	close(fd[1]);
}

static void run(const char *name, void (*fn)(void))
{
	failed = false;
	fn();
	nr_tests++;
	nr_failed += failed;
	printf("%sok %u - %s\n", failed ? "not " : "", nr_tests, name);
}

static struct task_struct main_task;

int main(void)
{
	current = &main_task;
	run("what waits for a peer that reads nothing is bounded", test_deaf);
	printf("1..%u\n", nr_tests);
	return nr_failed ? 1 : 0;
}
