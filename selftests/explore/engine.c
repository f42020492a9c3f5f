// SPDX-License-Identifier: GPL-2.0
/*
 * Exhaustive exploration of a model
 *
 * Breadth first over all worlds that can be reached, so the first fault found
 * has a shortest trace. Then backwards, over the steps that nobody has to wish
 * for (deliveries, pages becoming free): each of them must lead towards a quiet
 * world, from everywhere, without a cycle. In a quiet world all requests have
 * been served; so no request can be stuck, whatever the order of things.
 *
 * Compiled once for each model, which MODEL_H describes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef MODEL_H
#define MODEL_H "model.h"
#endif
#include MODEL_H

#define NO_STATE	(~(u32)0)

/* States by number: packed form, whence, and the progress steps out of them */
static u8 *pool;
static size_t pool_len, pool_room;
static size_t *state_at;
static u32 *parent;
static u32 states, states_room;

static u64 *table;		/* hash << 32 | number + 1; 0 is free */
static u32 table_size;		/* a power of two */

static u32 *edge_to;
static size_t edges, edges_room;
static size_t *edge_first;	/* by state; one more at the end */
static u64 edges_all;

static void out_of_memory(void)
{
	fprintf(stderr, "out of memory\n");
	exit(2);
}

static void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		out_of_memory();
	return p;
}

static u64 hash_of(const u8 *b, unsigned int len)
{
	u64 h = 0xcbf29ce484222325ULL ^ len, word;

	while (len) {
		unsigned int n = len < 8 ? len : 8;

		word = 0;
		memcpy(&word, b, n);
		h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
		b += n;
		len -= n;
	}
	h *= 0xbf58476d1ce4e5b9ULL;
	return h ^ h >> 32;
}

static void table_grow(void)
{
	u32 old_size = table_size, i, slot;
	u64 *old = table;

	table_size = old_size ? old_size * 2 : 1 << 16;
	table = calloc(table_size, sizeof(*table));
	if (!table)
		out_of_memory();
	for (i = 0; i < old_size; i++) {
		if (!old[i])
			continue;
		slot = old[i] >> 32 & (table_size - 1);
		while (table[slot])
			slot = (slot + 1) & (table_size - 1);
		table[slot] = old[i];
	}
	free(old);
}

static u32 state_find(const u8 *b, unsigned int len, u32 from, bool *is_new)
{
	u64 h = hash_of(b, len) & 0xffffffff, entry;
	u32 slot, nr;

	if (states >= table_size / 2)
		table_grow();
	slot = h & (table_size - 1);
	for (; (entry = table[slot]); slot = (slot + 1) & (table_size - 1)) {
		if (entry >> 32 != h)
			continue;
		nr = (u32)entry - 1;
		if (pool[state_at[nr]] == len &&
		    !memcmp(&pool[state_at[nr] + 1], b, len)) {
			*is_new = false;
			return nr;
		}
	}

	if (states == states_room) {
		states_room = states_room ? states_room * 2 : 1 << 16;
		state_at = grow(state_at, states_room * sizeof(*state_at));
		parent = grow(parent, states_room * sizeof(*parent));
		edge_first = grow(edge_first,
				  (states_room + 1) * sizeof(*edge_first));
	}
	if (pool_len + len + 1 > pool_room) {
		pool_room = pool_room ? pool_room * 2 : 1 << 20;
		pool = grow(pool, pool_room);
	}
	nr = states++;
	state_at[nr] = pool_len;
	parent[nr] = from;
	pool[pool_len] = len;
	memcpy(&pool[pool_len + 1], b, len);
	pool_len += len + 1;
	table[slot] = h << 32 | (nr + 1);
	*is_new = true;
	return nr;
}

static void state_load(u32 nr, struct world *w)
{
	world_unpack(w, &pool[state_at[nr] + 1]);
}

static void edge_add(u32 to)
{
	if (edges == edges_room) {
		edges_room = edges_room ? edges_room * 2 : 1 << 18;
		edge_to = grow(edge_to, edges_room * sizeof(*edge_to));
	}
	edge_to[edges++] = to;
}

static void trace_step(unsigned int nr, const struct world *w,
		       const struct happening *h)
{
	printf("# %u. ", nr);
	happening_print(w, h);
}

/*
 * Print the way to @last and, when @final is there, that step on top. States
 * are stored with nodes renamed; the walk repeats it with one set of names.
 */
static void trace_print(u32 last, const char *bad)
{
	struct happening h[HAPPENINGS_MAX];
	struct world w, next;
	u32 *path = NULL, nr;
	unsigned int len = 0, i, k, n, room = 0;
	u8 buf[PACK_MAX];

	for (nr = last; nr != NO_STATE; nr = parent[nr]) {
		if (len == room) {
			room = room ? room * 2 : 64;
			path = grow(path, room * sizeof(*path));
		}
		path[len++] = nr;
	}
	state_load(path[len - 1], &w);
	for (i = len - 1; i-- > 0;) {
		const u8 *want = &pool[state_at[path[i]]];

		n = world_happenings(&w, h);
		for (k = 0; k < n; k++) {
			next = w;
			if (!world_apply(&next, &h[k]) && !world_check(&next) &&
			    world_pack(&next, buf) == want[0] &&
			    !memcmp(buf, want + 1, want[0]))
				break;
		}
		if (k == n) {
			printf("# trace lost: renaming is not sound\n");
			break;
		}
		trace_step(len - 1 - i, &w, &h[k]);
		w = next;
		world_print(&w);
	}
	n = world_happenings(&w, h);
	for (k = 0; bad && k < n; k++) {
		const char *what;

		next = w;
		what = world_apply(&next, &h[k]);
		if (!what)
			what = world_check(&next);
		if (!what)
			continue;
		trace_step(len, &w, &h[k]);
		world_print(&next);
		printf("# FAULT: %s\n", what);
		break;
	}
	free(path);
}

/*
 * Peel off the states whose progress steps all lead to peeled states, starting
 * with the quiet ones. All must go. Return the most steps it can take to quiet,
 * -1 on failure.
 */
static int drain_check(void)
{
	size_t *rev_first = calloc((size_t)states + 1, sizeof(*rev_first));
	u32 *rev = grow(NULL, (edges + 1) * sizeof(*rev));
	u32 *left = grow(NULL, (size_t)states * sizeof(*left));
	u32 *rank = calloc(states, sizeof(*rank));
	u32 *todo = grow(NULL, (size_t)states * sizeof(*todo));
	u8 *reach = calloc(states, 1);
	u32 s, head = 0, tail = 0;
	int longest = 0;
	size_t e;

	if (!rev_first || !rank || !reach)
		out_of_memory();
	for (e = 0; e < edges; e++)
		rev_first[edge_to[e]]++;
	for (s = 0, e = 0; s < states; s++) {
		e += rev_first[s];
		rev_first[s] = e;
	}
	rev_first[states] = e;
	for (s = states; s-- > 0;) {
		left[s] = edge_first[s + 1] - edge_first[s];
		for (e = edge_first[s]; e < edge_first[s + 1]; e++)
			rev[--rev_first[edge_to[e]]] = s;
	}

	for (s = 0; s < states; s++) {
		struct world w;

		if (left[s])
			continue;
		state_load(s, &w);
		if (!world_quiet(&w)) {
			printf("# FAULT: deadlock: nothing can happen, not all is served\n");
			trace_print(s, NULL);
			longest = -1;
			goto out;
		}
		todo[tail++] = s;
		reach[s] = 1;
	}
	while (head < tail) {
		s = todo[head++];
		if ((int)rank[s] > longest)
			longest = rank[s];
		for (e = rev_first[s]; e < rev_first[s + 1]; e++) {
			if (rank[rev[e]] < rank[s] + 1)
				rank[rev[e]] = rank[s] + 1;
			if (!--left[rev[e]])
				todo[tail++] = rev[e];
		}
	}
	if (tail < states) {
		/* a cycle of progress; is there a way out of it at least? */
		for (head = 0; head < tail; head++)
			reach[todo[head]] = 1;
		for (head = 0; head < tail; head++) {
			s = todo[head];
			for (e = rev_first[s]; e < rev_first[s + 1]; e++) {
				if (reach[rev[e]])
					continue;
				reach[rev[e]] = 1;
				todo[tail++] = rev[e];
			}
		}
		for (s = 0; s < states && reach[s]; s++)
			;
		if (s < states) {
			printf("# FAULT: livelock: a request cannot be served any more\n");
			trace_print(s, NULL);
		} else {
			printf("# FAULT: messages can go round without an end\n");
		}
		longest = -1;
	}
out:
	free(rev_first);
	free(rev);
	free(left);
	free(rank);
	free(todo);
	free(reach);
	return longest;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int explore(unsigned int depth_max, u32 states_max)
{
	struct happening h[HAPPENINGS_MAX];
	struct world w, next;
	u32 at = 0, level_end = 1, nr;
	unsigned int depth = 0, len, n, k;
	bool is_new, bounded = false;
	double start = seconds();
	u8 buf[PACK_MAX];
	const char *bad;
	int drain = 0;

	pack_init();
	world_first(&w);
	len = world_pack(&w, buf);
	state_find(buf, len, NO_STATE, &is_new);

	for (; at < states; at++) {
		if (at == level_end) {
			level_end = states;
			depth++;
		}
		if (depth >= depth_max || states > states_max) {
			bounded = true;
			break;
		}
		edge_first[at] = edges;
		state_load(at, &w);
		n = world_happenings(&w, h);
		for (k = 0; k < n; k++) {
			next = w;
			bad = world_apply(&next, &h[k]);
			if (!bad)
				bad = world_check(&next);
			if (bad) {
				trace_print(at, bad);
				printf("# states=%u depth=%u time=%.1fs\n",
				       states, depth, seconds() - start);
				return 1;
			}
			len = world_pack(&next, buf);
			nr = state_find(buf, len, at, &is_new);
			if (nr != at)
				edges_all++;
			if (happening_is_progress(&h[k]))
				edge_add(nr);
		}
	}
	if (!bounded) {
		edge_first[states] = edges;
		drain = drain_check();
	}
	config_print();
	printf("states=%u edges=%llu depth=%u ", states, edges_all, depth);
	if (bounded)
		printf("BOUNDED ");
	else
		printf("drain=%d ", drain);
	printf("queue=%u time=%.1fs\n", queue_seen, seconds() - start);
	return drain < 0;
}
