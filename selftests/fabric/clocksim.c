// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's clock on nodes whose crystals part, in virtual time
 *
 * Nodes send heartbeats and, at random, messages of the guest to each other; each
 * message carries the largest clock value that the sender can know of, one that a
 * CPU of it read when the message left. Whenever a CPU reads the clock it must read
 * no less than the node knows of. That is both: nothing goes back, and nobody hears
 * of a value that is larger than what he reads. The code that decides is the
 * module's (clock.h, gclock.h), the rest of the module is played here: messages of
 * one link stay in order, a step is told to the others before anything else.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gclock.h"

#define NODES_MAX	8
#define US		1000000ull	/* time is in picoseconds */
#define MS		(1000 * US)
#define SEC		(1000 * MS)
#define TICKS_PER_US	2500
#define HEARTBEAT	(200 * MS)
/* TSCs of hosts start when the hosts do */
#define TSC_APART	(1ull << 45)

/* what is wrong on purpose */
enum broken {
	NOTHING,
	TAKEN_ONCE,	/* the first offset stays */
	NO_STAMPS,	/* heartbeats alone: messages of the guest are not looked at */
	TOO_EAGER,	/* nodes step beyond what the others have */
	TOLD_LATE,	/* a step is told with the next heartbeat */
};

struct world {
	const char *name;
	unsigned int nodes;
	uint64_t length;	/* of the run */
	uint64_t delay;		/* of a message, the shortest */
	unsigned int skewed;	/* messages to a higher node take so many times that */
	uint64_t jitter;	/* mean of what comes on top */
	unsigned int lost;	/* heartbeats that are left out, percent */
	uint64_t stall;		/* a node takes in nothing for so long, now and then */
	unsigned int rate;	/* messages of a node to another one, a second */
	int ppm[NODES_MAX];
	int wander;		/* ppm a crystal changes by, each way, each minute */
};

enum kind { PING, PONG, CLOCK, WORK, BEAT, TALK, WANDER, STALL };

struct event {
	uint64_t at;
	uint64_t knows;		/* WORK */
	uint64_t sent, peer;	/* PING, PONG */
	int64_t offset;		/* CLOCK */
	uint64_t nr;		/* of the event: those of one time stay in order */
	uint32_t stamp;
	uint8_t kind, from, to;
};

struct node {
	uint64_t tsc, since;	/* TSC at a time */
	int ppm;
	struct hk_gclock clock;
	struct hk_clock link[NODES_MAX];
	uint64_t knows;		/* largest value of the guest's clock */
	uint64_t last_arrival[NODES_MAX];	/* of messages to a node */
	uint64_t stalled;	/* until then */
	uint64_t next_stall;
	unsigned long steps, late;
};

static const struct world *w;
static enum broken broken;
static struct node node[NODES_MAX];
static struct event *heap;
static size_t nr_heap, room_heap;
static uint64_t now, seed, start, nr_events;
static unsigned long reads, violations;
static uint64_t worst, spread_worst;
static bool shrunk;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t rnd_below(uint64_t n)
{
	return n ? rnd() % n : 0;
}

/* mostly short, sometimes long, once in a while very long */
static uint64_t rnd_jitter(void)
{
	uint64_t r = rnd_below(1000);

	if (r < 2)
		return rnd_below(200 * w->jitter);
	return rnd_below(r < 100 ? 12 * w->jitter : 2 * w->jitter);
}

static bool before(const struct event *a, const struct event *b)
{
	return a->at < b->at || (a->at == b->at && a->nr < b->nr);
}

static void push(struct event e)
{
	size_t i = nr_heap++;

	if (!e.nr)
		e.nr = ++nr_events;
	if (nr_heap > room_heap) {
		room_heap = room_heap ? 2 * room_heap : 1024;
		heap = realloc(heap, room_heap * sizeof(*heap));
		if (!heap)
			abort();
	}
	while (i && before(&e, &heap[(i - 1) / 2])) {
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = e;
}

static struct event pop(void)
{
	struct event top = heap[0], e = heap[--nr_heap];
	size_t i = 0, c;

	while ((c = 2 * i + 1) < nr_heap) {
		if (c + 1 < nr_heap && before(&heap[c + 1], &heap[c]))
			c++;
		if (!before(&heap[c], &e))
			break;
		heap[i] = heap[c];
		i = c;
	}
	heap[i] = e;
	return top;
}

static uint64_t tsc(const struct node *n)
{
	uint64_t us_ppm = 1000000 + n->ppm;

	return n->tsc + (uint64_t)((unsigned __int128)(now - n->since) *
				   TICKS_PER_US * us_ppm / 1000000 / US);
}

static uint64_t guest(const struct node *n)
{
	return tsc(n) + (uint64_t)n->clock.offset;
}

/* a CPU of the guest reads its clock */
static void look(struct node *n)
{
	uint64_t g = guest(n);

	reads++;
	if (g < n->knows) {
		violations++;
		if (n->knows - g > worst)
			worst = n->knows - g;
	} else {
		n->knows = g;
	}
}

static void post(struct event e)
{
	struct node *n = &node[e.from];
	uint64_t d = w->delay * (e.to > e.from && w->skewed ? w->skewed : 1);
	uint64_t at = now + d + rnd_jitter();

	/* one stream */
	if (at <= n->last_arrival[e.to])
		at = n->last_arrival[e.to] + 1000;
	n->last_arrival[e.to] = at;
	e.at = at;
	e.stamp = hk_clock_stamp(tsc(n));
	push(e);
}

static void tell(unsigned int me)
{
	unsigned int i;

	for (i = 0; i < w->nodes; i++)
		if (i != me)
			post((struct event){ .kind = CLOCK, .from = me, .to = i,
					     .offset = node[me].clock.offset });
}

static void heard(unsigned int me, unsigned int peer, int64_t lead)
{
	struct node *n = &node[me];
	uint64_t rtt = n->link[peer].rtt_min;
	bool late;
	__s64 by;

	if (broken == TOO_EAGER)
		rtt *= 4;
	if (broken == TAKEN_ONCE && n->clock.known)
		return;
	if (!hk_gclock_behind(&n->clock, peer, lead, rtt, &by))
		return;
	late = n->clock.known && hk_gclock_gap(&n->clock, peer, lead) > 0;
	if (n->clock.known) {
		n->steps++;
		n->late += late;
		shrunk |= by <= 0;
	}
	hk_gclock_step(&n->clock, by);
	if (broken != TOLD_LATE)
		tell(me);
}

static void beat(unsigned int me, unsigned int peer)
{
	struct node *n = &node[me];
	uint64_t rtt_ns = n->link[peer].rtt_min * 1000 / TICKS_PER_US;
	uint64_t next = hk_clock_interval_ns(rtt_ns) * 1000;

	if (next > HEARTBEAT)
		next = HEARTBEAT;
	if (broken == TOLD_LATE && n->clock.known)
		post((struct event){ .kind = CLOCK, .from = me, .to = peer,
				     .offset = n->clock.offset });
	if (rnd_below(100) >= w->lost)
		post((struct event){ .kind = PING, .from = me, .to = peer,
				     .sent = tsc(n) });
	/* timers of the kernel are coarse, and this one may be late */
	push((struct event){ .at = now + next + rnd_below(4 * MS), .kind = BEAT,
			     .from = me, .to = peer });
}

static void arrive(const struct event *e)
{
	struct node *n = &node[e->to];
	struct hk_clock *link = &n->link[e->from];
	int64_t lead = hk_clock_lead(link, e->stamp, tsc(n));

	if (e->kind == CLOCK || (e->kind == WORK && broken != NO_STAMPS))
		heard(e->to, e->from, lead);
	switch ((enum kind)e->kind) {
	case PING:
		heard(e->to, e->from, hk_clock_hear(link, e->sent, tsc(n)));
		post((struct event){ .kind = PONG, .from = e->to, .to = e->from,
				     .sent = e->sent, .peer = tsc(n) });
		break;
	case PONG:
		hk_clock_add(link, e->sent, e->peer, tsc(n));
		heard(e->to, e->from, hk_clock_hear(link, e->peer, tsc(n)));
		break;
	case CLOCK:
		if (hk_gclock_told(&n->clock, e->from, e->offset))
			shrunk = true;
		heard(e->to, e->from, lead);
		break;
	case WORK:
		if (!n->clock.known)
			break;
		if (e->knows > n->knows)
			n->knows = e->knows;
		look(n);
		break;
	default:
		abort();
	}
}

/* a message of the guest to another node, right after a look at the clock */
static void talk(unsigned int me)
{
	struct node *n = &node[me];
	unsigned int to = (me + 1 + rnd_below(w->nodes - 1)) % w->nodes;

	push((struct event){ .at = now + rnd_below(2 * SEC / w->rate), .kind = TALK,
			     .from = me });
	if (!n->clock.known)
		return;
	look(n);
	post((struct event){ .kind = WORK, .from = me, .to = to, .knows = n->knows });
}

static void wander(unsigned int me)
{
	struct node *n = &node[me];

	n->tsc = tsc(n);
	n->since = now;
	n->ppm = w->ppm[me] + (int)rnd_below(2 * w->wander + 1) - w->wander;
	push((struct event){ .at = now + 60 * SEC, .kind = WANDER, .from = me });
}

static uint64_t spread(void)
{
	uint64_t lo = UINT64_MAX, hi = 0, g;
	unsigned int i;

	for (i = 0; i < w->nodes; i++) {
		if (!node[i].clock.known)
			return 0;
		g = guest(&node[i]);
		lo = g < lo ? g : lo;
		hi = g > hi ? g : hi;
	}
	return hi - lo;
}

static uint64_t fastest(void)
{
	uint64_t hi = 0;
	unsigned int i;

	for (i = 0; i < w->nodes; i++)
		if (node[i].clock.known && guest(&node[i]) > hi)
			hi = guest(&node[i]);
	return hi;
}

static void setup(void)
{
	unsigned int i, j;

	memset(node, 0, sizeof(node));
	nr_heap = 0;
	now = 0;
	seed = 88172645463325252ull;
	reads = violations = 0;
	worst = spread_worst = 0;
	shrunk = false;
	for (i = 0; i < w->nodes; i++) {
		node[i].tsc = TSC_APART + rnd_below(TSC_APART);
		node[i].ppm = w->ppm[i];
		hk_gclock_init(&node[i].clock, i, 0);
		for (j = 0; j < w->nodes; j++)
			if (i != j)
				push((struct event){ .at = rnd_below(MS), .kind = BEAT,
						     .from = i, .to = j });
		push((struct event){ .at = SEC, .kind = TALK, .from = i });
		if (w->wander)
			push((struct event){ .at = rnd_below(60 * SEC),
					     .kind = WANDER, .from = i });
		if (w->stall)
			push((struct event){ .at = (5 + rnd_below(60)) * SEC,
					     .kind = STALL, .from = i });
	}
	start = node[0].tsc;
	tell(0);
}

static void simulate(const struct world *world, enum broken how)
{
	w = world;
	broken = how;
	setup();
	while (nr_heap) {
		struct event e = pop();
		uint64_t s;

		now = e.at;
		if (now > w->length)
			break;
		switch ((enum kind)e.kind) {
		case BEAT:
			beat(e.from, e.to);
			break;
		case TALK:
			talk(e.from);
			/* when the clocks have found each other */
			s = now > 2 * SEC ? spread() : 0;
			if (s > spread_worst)
				spread_worst = s;
			break;
		case WANDER:
			wander(e.from);
			break;
		case STALL:
			node[e.from].stalled = now + w->stall;
			push((struct event){ .at = now + (30 + rnd_below(60)) * SEC,
					     .kind = STALL, .from = e.from });
			break;
		case PING:
		case PONG:
		case CLOCK:
		case WORK:
			if (node[e.to].stalled > now) {
				/* still in order: the backlog is read at once */
				e.at = node[e.to].stalled;
				push(e);
				break;
			}
			arrive(&e);
			break;
		}
	}
	now = w->length;
}

static unsigned int nr_tests, nr_failed;

static void result(bool ok, const char *what)
{
	unsigned long steps = 0, late = 0;
	unsigned int i;

	for (i = 0; i < w->nodes; i++) {
		steps += node[i].steps;
		late += node[i].late;
	}
	nr_tests++;
	nr_failed += !ok;
	printf("%sok %u - %s: %s\n", ok ? "" : "not ", nr_tests, w->name, what);
	printf("# %lu reads, %lu wrong, by %.3f us at most; clocks apart by %.3f us at most; %lu steps, %lu late\n",
	       reads, violations, (double)worst / TICKS_PER_US,
	       (double)spread_worst / TICKS_PER_US, steps, late);
}

/*
 * Has the fastest clock gone ahead of the fastest crystal? The guest's clock began at
 * node 0's TSC.
 */
static bool driven_up(void)
{
	uint64_t most;
	unsigned int i;
	int ppm = -1000;

	for (i = 0; i < w->nodes; i++)
		if (w->ppm[i] + w->wander > ppm)
			ppm = w->ppm[i] + w->wander;
	most = (uint64_t)((unsigned __int128)w->length * TICKS_PER_US *
			  (uint64_t)(1000000 + ppm) / 1000000 / US);
	return fastest() - start > most + w->delay * TICKS_PER_US / US;
}

static uint64_t round_trip(void)
{
	return (w->delay + w->delay * (w->skewed ? w->skewed : 1)) * TICKS_PER_US / US;
}

static const struct world worlds[] = {
	{ .name = "3 nodes, 10 us, 20 minutes", .nodes = 3, .length = 1200 * SEC,
	  .delay = 10 * US, .jitter = 2 * US, .rate = 200, .ppm = { 0, 60, -60 } },
	{ .name = "8 nodes, 100 us, 2 hours", .nodes = 8, .length = 7200 * SEC,
	  .delay = 100 * US, .jitter = 30 * US, .rate = 20,
	  .ppm = { -60, 60, 13, -8, 55, -47, 0, 29 }, .wander = 1 },
	{ .name = "4 nodes, one way takes 2.5 times the other, lost heartbeats",
	  .nodes = 4, .length = 1800 * SEC, .delay = 40 * US, .skewed = 5,
	  .jitter = 20 * US, .lost = 40, .rate = 50, .ppm = { 20, -60, 60, 7 },
	  .wander = 5 },
	{ .name = "5 nodes that stand still now and then, 1 hour", .nodes = 5,
	  .length = 3600 * SEC, .delay = 30 * US, .jitter = 30 * US, .lost = 10,
	  .stall = 1500 * MS, .rate = 40, .ppm = { 60, -60, 50, -50, 0 },
	  .wander = 2 },
	{ .name = "2 nodes far from any standard, 500 ppm", .nodes = 2,
	  .length = 1200 * SEC, .delay = 20 * US, .jitter = 5 * US, .rate = 100,
	  .ppm = { 0, 500 } },
	{ .name = "1 ms, the origin is the slowest", .nodes = 3, .length = 3600 * SEC,
	  .delay = 1000 * US, .jitter = 500 * US, .rate = 50, .ppm = { -60, 60, 0 } },
};

static const struct world one_way = {
	.name = "stamps save what heartbeats cannot", .nodes = 3,
	.length = 600 * SEC, .delay = 10 * US, .jitter = 10 * US, .lost = 95,
	.stall = 1500 * MS, .rate = 200, .ppm = { 0, 60, -60 },
};

static const struct world short_run = {
	.name = "2 nodes, 10 us, 20 seconds", .nodes = 2, .length = 20 * SEC,
	.delay = 10 * US, .jitter = 2 * US, .rate = 200, .ppm = { 0, 60 },
};

int main(void)
{
	size_t i, n = sizeof(worlds) / sizeof(worlds[0]);

	printf("TAP version 13\n1..%zu\n", n + 5);
	for (i = 0; i < n; i++) {
		simulate(&worlds[i], NOTHING);
		result(reads > 10000 && !violations && !shrunk && !driven_up() &&
		       spread_worst <= round_trip() + 100 * w->jitter * TICKS_PER_US / US,
		       "nothing goes back, no news of the future, clocks stay together");
	}
	simulate(&one_way, NOTHING);
	result(reads > 10000 && !violations, "with stamps");
	simulate(&one_way, NO_STAMPS);
	result(violations, "broken: without stamps it is noticed");
	simulate(&worlds[0], TAKEN_ONCE);
	result(violations, "broken: an offset taken once is noticed");
	simulate(&one_way, TOLD_LATE);
	result(violations, "broken: a step that is told late is noticed");
	simulate(&short_run, TOO_EAGER);
	result(driven_up(), "broken: nodes that drive each other up are noticed");
	free(heap);
	return nr_failed ? 1 : 0;
}
