// SPDX-License-Identifier: GPL-2.0
/*
 * Time: events in the order of when they happen, those of one instant in the order
 * in which they were asked for
 *
 * A wheel of slots of 16 ns for what is near, each a sorted list of one or two, and a
 * heap for what is far. An event stays where it was put.
 */
#include "sim.h"

#include <stdlib.h>

#define SLOT_BITS	4
#define SLOTS		(1u << 14)

struct event {
	u64 when;
	u64 seq;
	u32 next;
	u32 arg;
	u16 node;
	u8 type;
};

static struct event *pool;
static u32 pool_nr = 1, pool_max, pool_free;
static u32 slot[SLOTS];
static u64 used[SLOTS / 64];
static u64 wheel_nr;
static u32 *heap;
static u32 heap_nr, heap_max;
static u64 seq;

static u32 event_get(void)
{
	u32 nr = pool_free;

	if (nr) {
		pool_free = pool[nr].next;
		return nr;
	}
	if (pool_nr >= pool_max) {
		pool_max = pool_max ? pool_max * 2 : 4096;
		pool = realloc(pool, pool_max * sizeof(*pool));
		if (!pool)
			abort();
	}
	return pool_nr++;
}

static bool before(u32 a, u32 b)
{
	const struct event *x = &pool[a], *y = &pool[b];

	return x->when < y->when || (x->when == y->when && x->seq < y->seq);
}

static void heap_add(u32 nr)
{
	u32 i = heap_nr++, up;

	if (heap_nr > heap_max) {
		heap_max = heap_max ? heap_max * 2 : 1024;
		heap = realloc(heap, heap_max * sizeof(*heap));
		if (!heap)
			abort();
	}
	for (; i && before(nr, heap[up = (i - 1) / 2]); i = up)
		heap[i] = heap[up];
	heap[i] = nr;
}

static u32 heap_take(void)
{
	u32 first = heap[0], last = heap[--heap_nr], i = 0, kid;

	while ((kid = 2 * i + 1) < heap_nr) {
		if (kid + 1 < heap_nr && before(heap[kid + 1], heap[kid]))
			kid++;
		if (!before(heap[kid], last))
			break;
		heap[i] = heap[kid];
		i = kid;
	}
	heap[i] = last;
	return first;
}

void queue_add(u64 when, enum sim_event type, u16 node, u32 arg)
{
	u32 nr = event_get(), *at;

	pool[nr] = (struct event){
		.when = when,
		.seq = seq++,
		.arg = arg,
		.node = node,
		.type = type,
	};
	if ((when >> SLOT_BITS) - (sim.now >> SLOT_BITS) >= SLOTS) {
		heap_add(nr);
		return;
	}
	at = &slot[(when >> SLOT_BITS) % SLOTS];
	while (*at && pool[*at].when <= when)
		at = &pool[*at].next;
	pool[nr].next = *at;
	*at = nr;
	used[(when >> SLOT_BITS) % SLOTS / 64] |=
		1ull << (when >> SLOT_BITS) % 64;
	wheel_nr++;
}

/* The slot of the next event in the wheel, which is not empty */
static u32 wheel_next(void)
{
	u32 i = (sim.now >> SLOT_BITS) % SLOTS, w = i / 64;
	u64 word = used[w] & (~0ull << i % 64);

	while (!word) {
		w = (w + 1) % (SLOTS / 64);
		word = used[w];
	}
	return w * 64 + __builtin_ctzll(word);
}

bool queue_next(enum sim_event *type, u16 *node, u32 *arg)
{
	u32 nr = 0, i = 0;

	if (wheel_nr) {
		i = wheel_next();
		nr = slot[i];
	}
	if (heap_nr && (!nr || before(heap[0], nr))) {
		nr = heap_take();
	} else if (nr) {
		slot[i] = pool[nr].next;
		if (!slot[i])
			used[i / 64] &= ~(1ull << i % 64);
		wheel_nr--;
	} else {
		return false;
	}
	sim.now = pool[nr].when;
	*type = pool[nr].type;
	*node = pool[nr].node;
	*arg = pool[nr].arg;
	pool[nr].next = pool_free;
	pool_free = nr;
	return true;
}
