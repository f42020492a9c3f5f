// SPDX-License-Identifier: GPL-2.0
/*
 * Two links with several paths between them, which stall and break at random; TAP
 *
 *	paths [SECONDS [SEED]]
 *
 * fabric/link*.c as they are, with threads for threads (klink.h) and pairs of sockets for
 * connections. Between the ends of each connection sits a relay, which can hold back what
 * passes, or break it off and lose what it has. Whatever it does to one path at a time:
 * each message comes once, lanes keep their order, pages have the bytes they were sent
 * with, and the links stay up.
 */
#include <poll.h>
#include "klink.h"
#include "fdconn.h"

#define HEARTBEAT_MS	20
#define DEAD_MS		1600
#define PATHS		3
#define QUEUED_MAX	300
#define WAIT_MS		20000
#define FORMER_MAX	1024

static unsigned int nr_tests, nr_failed;
static volatile bool failed;

#define CHECK(cond, ...) do {						\
	if (!(cond)) {							\
		failed = true;						\
		printf("# %s:%d: %s: ", __func__, __LINE__, #cond);	\
		printf(__VA_ARGS__);					\
		printf("\n");						\
		fflush(stdout);						\
	}								\
} while (0)

/* A connection: what goes in at one end comes out at the other, as the relay likes */
struct relay {
	int out[2];		/* what the links have */
	int in[2];
	pthread_t thread;
	bool held, broken, over;
};

static void *relay_run(void *arg)
{
	struct relay *r = arg;
	char buf[8192];
	ssize_t n, i, done;

	while (!READ_ONCE(r->broken)) {
		struct pollfd pfd[2] = { { r->in[0], POLLIN, 0 }, { r->in[1], POLLIN, 0 } };

		if (READ_ONCE(r->held)) {
			usleep(500);
			continue;
		}
		if (poll(pfd, 2, 5) <= 0)
			continue;
		for (i = 0; i < 2; i++) {
			if (!pfd[i].revents)
				continue;
			n = recv(r->in[i], buf, sizeof(buf), MSG_DONTWAIT);
			if (n < 0)
				continue;
			if (!n) {
				/* both are shut down at once, as far as the links go */
				WRITE_ONCE(r->broken, true);
				break;
			}
			/* what does not fit while it is broken off is lost */
			for (done = 0; done < n && !READ_ONCE(r->broken);) {
				ssize_t m = send(r->in[!i], buf + done, n - done,
						 MSG_NOSIGNAL | MSG_DONTWAIT);

				if (m > 0)
					done += m;
				else if (m < 0 && errno != EAGAIN)
					WRITE_ONCE(r->broken, true);
				else
					usleep(200);
			}
		}
	}
	close(r->in[0]);
	close(r->in[1]);
	WRITE_ONCE(r->over, true);
	return NULL;
}

static struct relay *relay_new(void)
{
	struct relay *r = calloc(1, sizeof(*r));
	int a[2], b[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, a) || socketpair(AF_UNIX, SOCK_STREAM, 0, b))
		abort();
	r->out[0] = a[0];
	r->in[0] = a[1];
	r->out[1] = b[0];
	r->in[1] = b[1];
	pthread_create(&r->thread, NULL, relay_run, r);
	return r;
}

static void relay_free(struct relay *r)
{
	if (!r)
		return;
	WRITE_ONCE(r->broken, true);
	pthread_join(r->thread, NULL);
	free(r);
}

/*
 * Another one, which has things to do with the peer before the first message, and counts
 * nothing of what it sends again. As RDMA, whose sender waits likewise
 */
static bool slow_may_start;
static int slow_held;
static const struct hk_transport slow;

static struct hk_conn *slow_open(struct socket *sock, const struct hk_link_cfg *cfg, char *why)
{
	struct hk_conn *conn = fd_open(sock, cfg, why);

	conn->transport = cfg->transport;
	__atomic_fetch_add(&slow_held, 1, __ATOMIC_RELAXED);
	return conn;
}

static int slow_start(struct hk_conn *conn)
{
	struct fd_conn *c = container_of(conn, struct fd_conn, conn);

	while (!READ_ONCE(slow_may_start) && !READ_ONCE(c->ended))
		usleep(500);
	WRITE_ONCE(c->started, true);
	return READ_ONCE(c->ended) ? -EPIPE : 0;
}

static int slow_send(struct hk_conn *conn, struct hk_msg *const *msgs, unsigned int nr, bool more)
{
	struct fd_conn *c = container_of(conn, struct fd_conn, conn);
	int err;

	while (!READ_ONCE(c->started) && !READ_ONCE(c->ended))
		usleep(500);
	err = fd_send(conn, msgs, nr, more);
	/* takes its time to leave, and must be waited for: the sanitizer watches */
	if (err) {
		usleep(50000);
		WRITE_ONCE(c->started, true);
	}
	return err;
}

static void slow_shutdown(struct hk_conn *conn)
{
	WRITE_ONCE(container_of(conn, struct fd_conn, conn)->ended, true);
	fd_shutdown(conn);
}

static const struct hk_transport slow = {
	.name = "slow",
	.open = slow_open,
	.start = slow_start,
	.send = slow_send,
	.recv = fd_recv,
	.shutdown = slow_shutdown,
	.release = fd_release,
};

void hk_transport_put(const struct hk_transport *transport)
{
	if (transport == &slow)
		__atomic_fetch_sub(&slow_held, 1, __ATOMIC_RELAXED);
}

/* An end: what it has sent in each lane, and what it has got */
struct end {
	struct hk_link *link;
	pthread_t thread[HK_LANE_NR];
	u64 sent[HK_LANE_NR];
	u64 got[HK_LANE_NR];
	unsigned int joined;
	bool stop, up, down;
	char why[HK_REASON_MAX];
	/* of the producers */
	unsigned int lane[HK_LANE_NR];
};

static u64 word(u64 n, unsigned int i)
{
	return (n * 0x9e3779b97f4a7c15ull) ^ i;
}

static int end_recv(struct hk_link *link, struct hk_msg *msg, char *why)
{
	struct end *e = hk_link_priv(link);
	unsigned int lane = msg->hdr.lane, i;
	u64 n;

	(void)why;
	memcpy(&n, msg->body, 8);
	CHECK(n == e->got[lane] + 1, "lane %u: %llu after %llu", lane, (unsigned long long)n,
	      (unsigned long long)e->got[lane]);
	if (msg->page)
		for (i = 0; i < 512; i++)
			if (((u64 *)msg->page->data)[i] != word(n, i)) {
				CHECK(false, "page %llu", (unsigned long long)n);
				break;
			}
	WRITE_ONCE(e->got[lane], n);
	hk_msg_free(msg);
	return 0;
}

static void end_up(struct hk_link *link)
{
	WRITE_ONCE(((struct end *)hk_link_priv(link))->up, true);
}

static void end_down(struct hk_link *link, const char *why)
{
	struct end *e = hk_link_priv(link);

	snprintf(e->why, sizeof(e->why), "%s", why);
	__atomic_store_n(&e->down, true, __ATOMIC_RELEASE);
}

static void end_path(struct hk_link *link, unsigned int id)
{
	struct end *e = hk_link_priv(link);

	(void)id;
	__atomic_fetch_add(&e->joined, 1, __ATOMIC_RELAXED);
}

static void end_heard(struct hk_link *link, s64 lead, u64 rtt_min)
{
	(void)link;
	(void)lead;
	(void)rtt_min;
}

static bool end_timed(struct hk_link *link)
{
	(void)link;
	return false;
}

static u64 end_tsc(struct hk_link *link)
{
	(void)link;
	return ktime_get_ns();
}

static const struct hk_link_ops ops = {
	.recv = end_recv,
	.up = end_up,
	.down = end_down,
	.path = end_path,
	.heard = end_heard,
	.timed = end_timed,
	.tsc = end_tsc,
};

static struct hk_msg *produce(unsigned int lane, u64 n)
{
	struct hk_msg *msg = lane ?
		hk_msg_alloc(HK_MSG_PAGE, 1, sizeof(struct hk_wire_page_msg), 0) :
		hk_msg_alloc(HK_MSG_VM_CONFIG, 1, 8 + n % 300, 0);
	unsigned int i;

	memcpy(msg->body, &n, 8);
	if (lane && n % 3) {
		msg->page = alloc_page(0);
		for (i = 0; i < 512; i++)
			((u64 *)msg->page->data)[i] = word(n, i);
	}
	return msg;
}

static void *producer(void *arg)
{
	unsigned int *lane = arg;
	struct end *e = container_of(lane - *lane, struct end, lane[0]);

	while (!READ_ONCE(e->stop)) {
		if (READ_ONCE(e->link->queued) > QUEUED_MAX) {
			usleep(500);
			continue;
		}
		if (hk_link_send(e->link, produce(*lane, e->sent[*lane] + 1)))
			break;
		e->sent[*lane]++;
		if (!(e->sent[*lane] % 64))
			usleep(200);
	}
	return NULL;
}

static bool until(bool (*fn)(struct end *e, unsigned int arg), struct end *e, unsigned int arg)
{
	u64 end = ktime_get_ns() + WAIT_MS * NSEC_PER_MSEC;

	while (!fn(e, arg)) {
		if (ktime_get_ns() > end)
			return false;
		usleep(1000);
	}
	return true;
}

static unsigned int state_of(struct end *e, unsigned int id)
{
	struct hk_link_path p;

	hk_link_path_get(e->link, id, &p);
	return p.state;
}

static bool usable(unsigned int state)
{
	return state == HK_LINK_PATH_STANDBY || state == HK_LINK_PATH_ACTIVE;
}

static bool are_up(struct end *e, unsigned int arg)
{
	(void)arg;
	return READ_ONCE(e[0].up) && READ_ONCE(e[1].up);
}

static bool have_got(struct end *e, unsigned int arg)
{
	unsigned int i, lane;

	(void)arg;
	for (i = 0; i < 2; i++)
		for (lane = 0; lane < HK_LANE_NR; lane++)
			if (READ_ONCE(e[i].got[lane]) != e[!i].sent[lane])
				return false;
	return true;
}

static void link_pair(struct end *e, struct relay **relay)
{
	struct hk_link_cfg cfg = { .epoch = 1, .heartbeat_ms = HEARTBEAT_MS,
		.dead_ms = DEAD_MS, .transport = &hk_tcp };
	char why[HK_REASON_MAX];
	unsigned int i;

	memset(e, 0, 2 * sizeof(*e));
	*relay = relay_new();
	for (i = 0; i < 2; i++) {
		cfg.self = 1 + i;
		cfg.peer = 2 - i;
		cfg.priv = &e[i];
		e[i].link = hk_link_create(&ops, &cfg, sock_new((*relay)->out[i]), why);
		if (IS_ERR(e[i].link))
			abort();
	}
	CHECK(until(are_up, e, 0), "the links do not come up");
}

/* Both ends get a connection for a path. Return: what it goes through */
static struct relay *path_connect_by(struct end *e, unsigned int id,
				     const struct hk_transport *transport)
{
	u64 end = ktime_get_ns() + WAIT_MS * NSEC_PER_MSEC;
	struct relay *r = relay_new();
	char why[HK_REASON_MAX];
	unsigned int i;
	int err;

	for (i = 0; i < 2; i++) {
		struct socket *sock = sock_new(r->out[i]);

		do
			err = hk_link_path_add(e[i].link, id, sock, transport, why);
		while (err == -EBUSY && ktime_get_ns() < end && !usleep(500));
		if (err) {
			usleep(300000);
			CHECK(false, "path %u: %d %s; the links say \"%s\", \"%s\"", id, err,
			      why, e[0].why, e[1].why);
			close(sock->fd);
			free(sock);
		}
	}
	return r;
}

static struct relay *path_connect(struct end *e, unsigned int id)
{
	return path_connect_by(e, id, &hk_tcp);
}

/* Make a path where both ends have none. Return: both could use it */
static bool path_ensure(struct end *e, struct relay **relay, unsigned int id)
{
	unsigned int s[2] = { state_of(&e[0], id), state_of(&e[1], id) };
	struct relay *r;
	unsigned int i;

	if (usable(s[0]) && usable(s[1]))
		return true;
	for (i = 0; i < 2; i++)
		if (s[i] != HK_LINK_PATH_NONE && s[i] != HK_LINK_PATH_DOWN)
			return false;
	r = path_connect(e, id);
	relay_free(relay[id]);
	relay[id] = r;
	return false;
}

/* What paths went through before they went over to new connections */
static struct relay *former[FORMER_MAX];
static unsigned int nr_former;

static void former_free(void)
{
	while (nr_former)
		relay_free(former[--nr_former]);
}

static void links_end(struct end *e, struct relay **relay)
{
	unsigned int i;

	hk_link_close(e[0].link, "enough");
	hk_link_close(e[1].link, NULL);
	for (i = 0; i < 2; i++)
		hk_link_put(e[i].link);
	for (i = 0; i < PATHS; i++) {
		relay_free(relay[i]);
		relay[i] = NULL;
	}
	former_free();
}

static unsigned int rnd(unsigned int n)
{
	static u64 state;

	if (!state)
		state = n;
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(state >> 33) % n;
}

static unsigned int seconds = 4, seed = 1;

/* A path gets another connection. Return: what it went through before; the caller waits */
static struct relay *path_renew(struct end *e, struct relay **relay, unsigned int id)
{
	struct relay *old = relay[id];

	relay[id] = path_connect(e, id);
	former[nr_former++] = old;
	return old;
}

static struct relay *leaves;

/* Has the former connection gone, and the path has not? */
static bool went_over(struct end *e, unsigned int id)
{
	return READ_ONCE(leaves->over) && usable(state_of(&e[0], id)) &&
	       usable(state_of(&e[1], id));
}

static unsigned int renewals;

/* Stall or break one path, or make it anew, while another one is good at both ends */
static void disturb(struct end *e, struct relay **relay)
{
	unsigned int id = rnd(PATHS), other, good = 0;

	for (other = 0; other < PATHS; other++)
		/* one that was broken off may not be known to be */
		good += other != id && relay[other] && !READ_ONCE(relay[other]->broken) &&
			usable(state_of(&e[0], other)) && usable(state_of(&e[1], other));
	if (!good || !relay[id])
		return;
	switch (rnd(4)) {
	case 0:
		WRITE_ONCE(relay[id]->broken, true);
		break;
	case 1:
		WRITE_ONCE(relay[id]->held, true);
		usleep(rnd(DEAD_MS / 2) * 1000);
		WRITE_ONCE(relay[id]->held, false);
		/* whether that was too long is told before the next one is taken away */
		usleep(100000);
		break;
	case 2:	{
		char why[HK_REASON_MAX];

		hk_link_path_del(e[rnd(2)].link, id, why);
		break;
	}
	case 3:
		if (nr_former == FORMER_MAX || !usable(state_of(&e[0], id)) ||
		    !usable(state_of(&e[1], id)))
			break;
		leaves = path_renew(e, relay, id);
		CHECK(until(went_over, e, id), "path %u does not go over", id);
		renewals++;
		break;
	}
}

/* What the paths of both ends have seen */
struct seen {
	u64 failovers, resent, again;
};

static struct seen look(struct end *e)
{
	struct seen s = {};
	struct hk_link_path p;
	unsigned int i, id;

	for (i = 0; i < 2; i++)
		for (id = 0; id < PATHS; id++) {
			hk_link_path_get(e[i].link, id, &p);
			s.failovers += p.failovers;
			s.resent += p.resent;
			s.again += p.again;
		}
	return s;
}

static bool is_up(struct end *e)
{
	return !READ_ONCE(e[0].down) && !READ_ONCE(e[1].down);
}

static void test_disturbed(void)
{
	struct relay *relay[PATHS] = {};
	unsigned int i, lane;
	struct seen s = {};
	struct end e[2];
	u64 start;

	link_pair(e, relay);
	for (i = 0; i < 2; i++)
		for (lane = 0; lane < HK_LANE_NR; lane++) {
			e[i].lane[lane] = lane;
			pthread_create(&e[i].thread[lane], NULL, producer, &e[i].lane[lane]);
		}
	start = ktime_get_ns();
	/* as long as was asked for, and until there was something to see */
	while ((ktime_get_ns() - start < seconds * 1000 * NSEC_PER_MSEC ||
		((!s.failovers || !s.resent || !s.again || !renewals) &&
		 ktime_get_ns() - start < WAIT_MS * NSEC_PER_MSEC)) && !failed && is_up(e)) {
		for (i = 0; i < PATHS; i++)
			path_ensure(e, relay, i);
		usleep(rnd(20000));
		disturb(e, relay);
		s = look(e);
	}
	for (i = 0; i < 2; i++) {
		WRITE_ONCE(e[i].stop, true);
		for (lane = 0; lane < HK_LANE_NR; lane++)
			pthread_join(e[i].thread[lane], NULL);
	}
	CHECK(until(have_got, e, 0), "messages are missing");
	for (i = 0; i < 2; i++)
		CHECK(!READ_ONCE(e[i].down), "link ended: %s", e[i].why);
	s = look(e);
	printf("# %llu and %llu messages, %llu failovers, %u renewals\n",
	       (unsigned long long)(e[0].sent[0] + e[0].sent[1]),
	       (unsigned long long)(e[1].sent[0] + e[1].sent[1]),
	       (unsigned long long)s.failovers, renewals);
	printf("# %llu sent again, %llu came twice\n", (unsigned long long)s.resent,
	       (unsigned long long)s.again);
	CHECK(s.failovers && s.resent && s.again && renewals, "nothing happened");
	links_end(e, relay);
}

/* The end, while paths are made, fail and are dropped */
static void test_ends(void)
{
	struct relay *relay[PATHS];
	struct end e[2];
	unsigned int n, i;
	u64 end = ktime_get_ns() + seconds * 500 * NSEC_PER_MSEC;

	for (n = 0; ktime_get_ns() < end && !failed; n++) {
		memset(relay, 0, sizeof(relay));
		link_pair(e, relay);
		for (i = 0; i < 2; i++)
			hk_link_send(e[i].link, produce(0, 1));
		for (i = 0; i < rnd(6); i++) {
			unsigned int id = 1 + rnd(PATHS - 1);

			if (path_ensure(e, relay, id))
				path_renew(e, relay, id);
			usleep(rnd(3000));
		}
		if (rnd(2))
			for (i = 0; i < PATHS; i++)
				if (relay[i] && rnd(2))
					WRITE_ONCE(relay[i]->broken, true);
		if (rnd(2))
			usleep(rnd(3000));
		links_end(e, relay);
	}
	printf("# %u links\n", n);
}

static void produce_some(struct end *e)
{
	unsigned int i, n, lane;

	for (n = 0; n < 40; n++)
		for (i = 0; i < 2; i++) {
			lane = n % HK_LANE_NR;
			CHECK(!hk_link_send(e[i].link, produce(lane, e[i].sent[lane] + 1)),
			      "link ended: %s", e[i].why);
			e[i].sent[lane]++;
		}
}

static bool both_usable(struct end *e, unsigned int id)
{
	return usable(state_of(&e[0], id)) && usable(state_of(&e[1], id));
}

static bool both_down(struct end *e, unsigned int id)
{
	return state_of(&e[0], id) == HK_LINK_PATH_DOWN &&
	       state_of(&e[1], id) == HK_LINK_PATH_DOWN;
}

/* Is nothing joining, nor being given up? */
static bool may_add(struct end *e, unsigned int id)
{
	struct hk_link *link = e[0].link;
	bool may;

	raw_spin_lock_irq(&link->lock);
	may = link->paths[id].state != HK_LINK_PATH_JOINING &&
	      link->paths[id + HK_PATH_MAX].state != HK_LINK_PATH_JOINING &&
	      (!link->paths[id].conn || !link->paths[id + HK_PATH_MAX].conn);
	raw_spin_unlock_irq(&link->lock);
	return may;
}

static u32 renewals_of(struct end *e)
{
	struct hk_link_stats s;

	hk_link_stats_get(e->link, &s);
	return s.renewals;
}

static bool have_renewed(struct end *e, unsigned int count)
{
	return renewals_of(&e[0]) == count && renewals_of(&e[1]) == count;
}

/*
 * The one path that carries goes over to a new connection: while the other one is dead and
 * nobody knows, and when it is known
 */
static void test_renewed(void)
{
	struct relay *relay[PATHS] = {};
	struct end e[2];
	unsigned int n;

	link_pair(e, relay);
	path_ensure(e, relay, 1);
	CHECK(until(both_usable, e, 1), "no second path");
	for (n = 0; n < 4 && !failed; n++) {
		produce_some(e);
		if (!n)
			WRITE_ONCE(relay[1]->held, true);
		if (n == 2)
			CHECK(until(both_down, e, 1), "the dead path is not found out");
		leaves = path_renew(e, relay, 0);
		produce_some(e);
		CHECK(until(went_over, e, 0), "the path does not go over");
		/* the end that did not close the former one notices a little later */
		CHECK(until(have_renewed, e, n + 1), "%u and %u renewals after %u",
		      renewals_of(&e[0]), renewals_of(&e[1]), n + 1);
	}
	CHECK(until(have_got, e, 0), "messages are missing");
	CHECK(is_up(e), "link ended: %s%s", e[0].why, e[1].why);
	links_end(e, relay);
}

/* One end alone is given a connection */
static int add_alone(struct end *e, unsigned int id, struct relay *r, char *why)
{
	struct socket *sock = sock_new(r->out[0]);
	int err = hk_link_path_add(e->link, id, sock, &hk_tcp, why);

	if (err) {
		close(sock->fd);
		free(sock);
	}
	return err;
}

/* The new connection does not join: it goes, and the former one carries on */
static void test_renewed_in_vain(void)
{
	struct relay *relay[PATHS] = {}, *r[4];
	char why[HK_REASON_MAX];
	unsigned int i;
	struct end e[2];
	int err;

	for (i = 0; i < 4; i++)
		r[i] = relay_new();
	link_pair(e, relay);
	path_ensure(e, relay, 1);
	CHECK(until(both_usable, e, 1), "no second path");

	/* nobody speaks at the other end */
	err = add_alone(&e[0], 0, r[0], why);
	CHECK(!err, "%d %s", err, why);
	err = add_alone(&e[0], 0, r[1], why);
	CHECK(err == -EBUSY && strstr(why, "just being made"), "%d %s", err, why);
	CHECK(usable(state_of(&e[0], 0)), "the path that there is cannot be used");
	produce_some(e);
	leaves = r[0];
	CHECK(until(went_over, e, 0) && until(may_add, e, 0), "one that does not join stays");

	/* it breaks */
	err = add_alone(&e[0], 0, r[2], why);
	CHECK(!err, "%d %s", err, why);
	WRITE_ONCE(r[2]->broken, true);
	CHECK(until(may_add, e, 0), "one that breaks stays");
	CHECK(!renewals_of(&e[0]) && !renewals_of(&e[1]), "a renewal");

	/* a path is dropped with both of its connections */
	err = add_alone(&e[0], 1, r[3], why);
	CHECK(!err, "%d %s", err, why);
	err = hk_link_path_del(e[0].link, 1, why);
	CHECK(!err, "%d %s", err, why);
	CHECK(until(both_down, e, 1), "the path is there still");
	err = hk_link_path_del(e[0].link, 0, why);
	CHECK(err == -EBUSY, "the last one: %d %s", err, why);

	produce_some(e);
	CHECK(until(have_got, e, 0), "messages are missing");
	CHECK(is_up(e), "link ended: %s%s", e[0].why, e[1].why);
	links_end(e, relay);
	for (i = 0; i < 4; i++) {
		close(r[i]->out[1]);
		relay_free(r[i]);
	}
}

static bool is_active(struct end *e, unsigned int id)
{
	return state_of(&e[0], id) == HK_LINK_PATH_ACTIVE &&
	       state_of(&e[1], id) == HK_LINK_PATH_ACTIVE;
}

static bool is_by(struct end *e, unsigned int id, const char *name)
{
	struct hk_link_path p;

	hk_link_path_get(e->link, id, &p);
	return !strcmp(p.transport, name);
}

/* A path by another transport: while it starts the link goes on, then it is one of them */
static void test_transports(void)
{
	struct relay *relay[PATHS] = {};
	struct hk_link_detail detail;
	struct end e[2];
	unsigned int i;

	link_pair(e, relay);
	WRITE_ONCE(slow_may_start, false);
	relay[1] = path_connect_by(e, 1, &slow);
	produce_some(e);
	CHECK(until(have_got, e, 0), "a path that starts keeps the link from sending");
	CHECK(until(both_down, e, 1), "one that does not start stays");
	CHECK(is_up(e), "link ended: %s%s", e[0].why, e[1].why);

	WRITE_ONCE(slow_may_start, true);
	relay_free(relay[1]);
	relay[1] = path_connect_by(e, 1, &slow);
	CHECK(until(both_usable, e, 1), "no path by another transport");
	CHECK(is_by(&e[0], 0, "tcp") && is_by(&e[0], 1, "slow"), "names");
	WRITE_ONCE(relay[0]->broken, true);
	CHECK(until(is_active, e, 1), "the other one is not taken");
	produce_some(e);
	CHECK(until(have_got, e, 0), "messages are missing");
	CHECK(until(may_add, e, 0), "the broken one stays");
	hk_link_detail_get(e[0].link, &detail);
	CHECK(!detail.has_resent, "somebody counts what the transport sent again");

	path_ensure(e, relay, 0);
	CHECK(until(both_usable, e, 0), "the former one does not come back");
	hk_link_detail_get(e[0].link, &detail);
	CHECK(detail.has_resent, "nobody counts what the transport sent again");
	/* more than the sockets hold, so that the senders are in the transport when it fails */
	WRITE_ONCE(relay[1]->held, true);
	for (i = 0; i < 24; i++)
		produce_some(e);
	CHECK(until(is_active, e, 0), "it does not go back");
	CHECK(until(have_got, e, 0), "messages are missing");
	for (i = 0; i < 2; i++)
		CHECK(!READ_ONCE(e[i].down), "link ended: %s", e[i].why);
	path_ensure(e, relay, 1);
	links_end(e, relay);
	CHECK(!READ_ONCE(slow_held), "%d connections hold their transport", slow_held);
}

/* hk_link_close() compares itself with receivers */
static struct task_struct main_task;

static void run(const char *name, void (*fn)(void))
{
	failed = false;
	fn();
	nr_tests++;
	nr_failed += failed;
	printf("%sok %u - %s\n", failed ? "not " : "", nr_tests, name);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seconds = atoi(argv[1]);
	if (argc > 2)
		seed = atoi(argv[2]);
	current = &main_task;
	rnd(seed + 1);
	run("paths stall and break: each message once, in order", test_disturbed);
	run("links end while paths come and go", test_ends);
	run("the one path that carries goes over to a new connection", test_renewed);
	run("a new connection that does not join harms nothing", test_renewed_in_vain);
	run("a path is carried by another transport than the link", test_transports);
	printf("1..%u\n", nr_tests);
	return nr_failed ? 1 : 0;
}
