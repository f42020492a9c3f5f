// SPDX-License-Identifier: GPL-2.0
/*
 * A long random walk with as many nodes as there can be
 *
 * The explorer sees everything that a few nodes can do. This sees a little of
 * what 63 can: full sets, counts up to 62, long rows of waiting nodes. The same
 * checks after each step; from time to time no more faults are let in, and the
 * world must come to rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define ROUNDS_DRAIN	(200 * NODES_MAX)

static struct world w;
static u64 seed;
static u32 steps, acks_most, waits_most;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static bool recalled(u8 state)
{
	return state >= HK_PG_SHARED_TAKE && state < HK_PG_NR;
}

static bool pick_recall(struct happening *h)
{
	u16 start = rnd() % (cfg.nodes * cfg.pages), i;

	for (i = 0; i < cfg.nodes * cfg.pages; i++) {
		u16 at = (start + i) % (cfg.nodes * cfg.pages);
		u8 page = at / cfg.nodes, node = 1 + at % cfg.nodes;
		u8 state = w.np[page][node].state;

		if (!recalled(state))
			continue;
		*h = (struct happening){
			.kind = state == HK_PG_EXCLUSIVE_DOWN ? DO_DOWNGRADED :
								DO_TAKEN,
			.page = page,
			.node = node,
			.last = LAST_KEEP,
		};
		return true;
	}
	return false;
}

static bool pick_message(struct happening *h)
{
	u16 start = rnd() % (cfg.nodes * cfg.nodes), i;

	for (i = 0; i < cfg.nodes * cfg.nodes; i++) {
		u16 at = (start + i) % (cfg.nodes * cfg.nodes);
		u8 from = 1 + at / cfg.nodes, to = 1 + at % cfg.nodes;

		if (!w.qlen[from][to])
			continue;
		*h = (struct happening){
			.kind = DO_DELIVER,
			.page = w.q[from][to][0].page,
			.from = from,
			.node = to,
			.last = LAST_KEEP,
		};
		return true;
	}
	return false;
}

/* Something that nobody has to wish for; false when there is nothing */
static bool pick_progress(struct happening *h)
{
	if (rnd() & 1)
		return pick_recall(h) || pick_message(h);
	return pick_message(h) || pick_recall(h);
}

/* @mood: how much is written rather than read, of 16 */
static void pick_wish(struct happening *h, unsigned int mood)
{
	struct node_page *np;

	*h = (struct happening){
		.kind = rnd() % 16 < mood ? DO_WRITE : DO_READ,
		.page = rnd() % cfg.pages,
		.node = 1 + rnd() % cfg.nodes,
		.last = LAST_KEEP,
	};
	np = &w.np[h->page][h->node];
	if (np->state == HK_PG_EXCLUSIVE ||
	    np->state == HK_PG_EXCLUSIVE_DOWN ||
	    np->state == HK_PG_EXCLUSIVE_TAKE)
		h->kind = DO_STORE;
	else if (np->state == HK_PG_SHARED && !(rnd() % 8))
		h->kind = DO_DROP;
	else if (np->state == HK_PG_INVALID && np->ruler &&
		 h->kind == DO_READ && !(rnd() % 8))
		h->kind = DO_FORGET;
}

static bool step(struct happening *h)
{
	const char *bad;
	u64 waits;
	u32 nr;
	u8 p;

	steps++;
	if (h->kind == DO_DELIVER) {
		nr = __builtin_popcountll(w.q[h->from][h->node][0].acks);
		if (nr > acks_most)
			acks_most = nr;
	}
	h->migrates = rnd() & 1;
	h->steady = cfg.lend && !(rnd() & 3);
	bad = world_apply(&w, h);
	if (!bad)
		bad = world_check(&w);
	if (bad) {
		printf("# FAULT after %u steps: %s\n", steps, bad);
		happening_print(&w, h);
		return false;
	}
	for (p = 0; p < cfg.pages; p++) {
		nr = 0;
		waits = w.wait[p].rd | w.wait[p].wr;
		for (; waits; waits &= waits - 1)
			nr++;
		if (nr > waits_most)
			waits_most = nr;
	}
	return true;
}

int main(int argc, char **argv)
{
	u32 steps_max = argc > 1 ? strtoul(argv[1], NULL, 0) : 300000;
	struct happening h;
	u32 left;

	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	seed = seed * 0x9e3779b97f4a7c15ULL | 1;
	cfg.nodes = NODES_MAX;
	cfg.pages = PAGES_MAX;
	cfg.sleepers = true;
	cfg.lend = argc > 3;
	cfg.queue_bound = (cfg.lend ? NODES_MAX + 1 : 2) * PAGES_MAX;

	while (steps < steps_max) {
		unsigned int mood = rnd() % 17, wishes = rnd() % 2000;

		for (; wishes; wishes--) {
			if (rnd() % 4 && pick_progress(&h)) {
				if (!step(&h))
					return 1;
				continue;
			}
			pick_wish(&h, mood);
			if (!step(&h))
				return 1;
		}
		for (left = ROUNDS_DRAIN; pick_progress(&h); left--) {
			if (!left) {
				printf("# FAULT: does not come to rest\n");
				return 1;
			}
			if (!step(&h))
				return 1;
		}
		if (!world_quiet(&w)) {
			printf("# FAULT: at rest and not quiet\n");
			world_print(&w);
			return 1;
		}
	}
	printf("# nodes=%u pages=%u steps=%u most ACKs=%u most waiting=%u queue=%u\n",
	       cfg.nodes, cfg.pages, steps, acks_most, waits_most, queue_seen);
	return 0;
}
