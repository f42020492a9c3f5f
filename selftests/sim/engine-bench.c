// SPDX-License-Identifier: GPL-2.0
/*
 * What a step of the page protocol costs, over the objects that ship; JSON
 *
 * Two nodes and their home in one address space hand pages to and fro: read, upgrade,
 * write, with all messages, as the protocol has it. Every hk_page_step() and
 * hk_dir_step() counts as one step; carrying the messages is in the time. Threads
 * take pages at random, a lock for each bucket of them as in kmod/mem.h: out of all
 * pages, or each out of its own, with all buckets shared still. What a step costs in
 * time of a CPU, and steps in a second of wall time by all threads, which says
 * something on a quiet machine only. Beside it, by turns in each repeat, two things
 * that everybody knows the size of: a locked increment and a copy of 4 KiB, both in
 * the cache.
 */
#include "../../dsm/directory.h"
#include "../../dsm/page.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NODES		3	/* home is node 1 */
#define PAGES		4096
#define BUCKETS		1024
#define QUEUE		32	/* messages of a transaction, more than enough */
#define REPEATS		21
#define ROUNDS		200000
#define THREADS_MAX	4
#define REF_ROUNDS	100000
#define COPY_BYTES	4096
#define COPY_PAGES	32	/* from and to, within any second-level cache */

struct page {
	struct hk_dir dir;
	struct hk_page_ctx ctx[NODES + 1];
	u8 state[NODES + 1];
	struct hk_dir_wait wait;
} __attribute__((aligned(64)));

struct worker {
	pthread_t thread;
	u64 seed, steps;
	double start, end;	/* wall, ns */
	double cpu;		/* ns that this thread ran */
	unsigned int first, pages;
	bool locked, failed;
};

struct run {
	unsigned int threads;
	bool locked, own;	/* own: threads share no page */
	double cpu[REPEATS], wall[REPEATS];	/* ns a step */
};

static struct page pages[PAGES];
static struct {
	pthread_spinlock_t lock;
} __attribute__((aligned(64))) bucket[BUCKETS];
static pthread_barrier_t barrier;
static unsigned char copies[COPY_PAGES][COPY_BYTES] __attribute__((aligned(4096)));
static struct run run[] = {
	{ .threads = 1 },
	{ .threads = 1, .locked = true },
	{ .threads = 2, .locked = true },
	{ .threads = 2, .locked = true, .own = true },
	{ .threads = 4, .locked = true },
};

#define RUNS (sizeof(run) / sizeof(run[0]))

/* One event and all that follows from it. Return: steps, 0: an error */
static unsigned int event(u64 gfn, u16 node, enum hk_page_event first)
{
	struct page *p = &pages[gfn];
	struct hk_dmsg queue[QUEUE];
	unsigned int head = 0, tail = 0, steps = 0, i;
	enum hk_page_event ev = first;
	const struct hk_dmsg *m = NULL;
	struct hk_out out;
	u64 to;
	int err, e;

	for (;;) {
		const struct hk_dir_where home = { .self = node, .home = 1 };
		struct hk_page_where w = { .gfn = gfn, .self = node, .home = 1,
					   .tokens = { ~gfn, gfn } };

		out.nr = 0;
		out.act = 0;
		if (ev == HK_EV_NR)
			err = hk_dir_step(&home, &p->dir, &p->wait, m, &out);
		else
			err = hk_page_step(&w, &p->state[node], &p->ctx[node],
					   ev, m, &out);
		if (err)
			return 0;
		steps++;
		for (i = 0; i < out.nr; i++) {
			for (to = out.msg[i].to; to; to &= to - 1) {
				if (tail == QUEUE)
					return 0;
				queue[tail] = out.msg[i];
				queue[tail++].to = to & -to;
			}
		}
		if (out.act & HK_ACT_TAKE) {
			ev = HK_EV_TAKEN;
			m = NULL;
			continue;
		}
		if (out.act & HK_ACT_DOWNGRADE) {
			ev = HK_EV_DOWNGRADED;
			m = NULL;
			continue;
		}
		if (head == tail)
			return steps;
		m = &queue[head++];
		node = __builtin_ctzll(m->to);
		e = hk_page_event_of(m->type);
		ev = e < 0 ? HK_EV_NR : (enum hk_page_event)e;
	}
}

static double clock_ns(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	u64 x = w->seed;
	unsigned int i, n;

	pthread_barrier_wait(&barrier);
	w->start = clock_ns(CLOCK_MONOTONIC);
	w->cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (i = 0; i < ROUNDS; i++) {
		u64 gfn;
		u16 node;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		gfn = w->first + x % w->pages;
		node = 1 + (x >> 32) % NODES;
		if (w->locked)
			pthread_spin_lock(&bucket[gfn % BUCKETS].lock);
		n = event(gfn, node, x >> 60 & 1 ? HK_EV_WRITE : HK_EV_READ);
		if (w->locked)
			pthread_spin_unlock(&bucket[gfn % BUCKETS].lock);
		w->steps += n;
		w->failed |= !n;
	}
	w->cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - w->cpu;
	w->end = clock_ns(CLOCK_MONOTONIC);
	return NULL;
}

/* Return: false: the engine refused a step */
static bool measure(struct run *m, unsigned int r)
{
	struct worker w[THREADS_MAX];
	double start = 0, end = 0, all = 0;
	unsigned int i, each = m->own ? PAGES / m->threads : PAGES;
	u64 steps = 0;

	memset(pages, 0, sizeof(pages));
	pthread_barrier_init(&barrier, NULL, m->threads);
	for (i = 0; i < m->threads; i++) {
		w[i] = (struct worker){
			.seed = 0x9e3779b97f4a7c15ull * (r * 16 + i + 1),
			.first = m->own ? i * each : 0,
			.pages = each,
			.locked = m->locked,
		};
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			abort();
	}
	for (i = 0; i < m->threads; i++) {
		pthread_join(w[i].thread, NULL);
		if (w[i].failed)
			return false;
		steps += w[i].steps;
		all += w[i].cpu;
		start = !i || w[i].start < start ? w[i].start : start;
		end = w[i].end > end ? w[i].end : end;
	}
	m->cpu[r] = all / steps;
	m->wall[r] = (end - start) / steps;
	pthread_barrier_destroy(&barrier);
	return true;
}

static double measure_increment(void)
{
	static unsigned long counter;
	double t = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	unsigned int i;

	for (i = 0; i < REF_ROUNDS; i++)
		__atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - t) / REF_ROUNDS;
}

static double measure_copy(void)
{
	double t = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	unsigned int i;

	for (i = 0; i < REF_ROUNDS; i++) {
		memcpy(copies[(i + 1) % COPY_PAGES], copies[i % COPY_PAGES], COPY_BYTES);
		/* somebody may look at it: it has to be done */
		__asm__ volatile("" ::: "memory");
	}
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - t) / REF_ROUNDS;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Values in the order of the repeats, then what is worth knowing of them */
static void print_values(const char *name, const double *value, const char *behind)
{
	double sorted[REPEATS];
	unsigned int r;

	printf("\"%s\": {\"values\": [", name);
	for (r = 0; r < REPEATS; r++)
		printf("%s%.2f", r ? ", " : "", value[r]);
	memcpy(sorted, value, sizeof(sorted));
	qsort(sorted, REPEATS, sizeof(sorted[0]), by_value);
	printf("],\n     \"median\": %.2f, \"quartiles\": [%.2f, %.2f], \"range\": [%.2f, %.2f]}%s",
	       sorted[REPEATS / 2], sorted[REPEATS / 4], sorted[REPEATS * 3 / 4],
	       sorted[0], sorted[REPEATS - 1], behind);
}

int main(void)
{
	double increment[REPEATS], copy[REPEATS];
	unsigned int i, r;

	for (i = 0; i < BUCKETS; i++)
		pthread_spin_init(&bucket[i].lock, PTHREAD_PROCESS_PRIVATE);
	memset(copies, 1, sizeof(copies));
	for (r = 0; r < REPEATS; r++) {
		increment[r] = measure_increment();
		copy[r] = measure_copy();
		for (i = 0; i < RUNS; i++) {
			if (!measure(&run[i], r)) {
				fprintf(stderr, "engine-bench: the engine refused a step\n");
				return 1;
			}
		}
	}
	printf("{\n  \"cpus\": %ld, \"repeats\": %u, \"dir_entry_bytes\": %zu,\n  ",
	       sysconf(_SC_NPROCESSORS_ONLN), REPEATS, sizeof(struct hk_dir));
	print_values("locked_increment_ns", increment, ",\n  ");
	print_values("copy_4k_ns", copy, ",\n  \"runs\": [\n");
	for (i = 0; i < RUNS; i++) {
		printf("    {\"threads\": %u, \"locks\": %s, \"own_pages\": %s,\n     ",
		       run[i].threads, run[i].locked ? "true" : "false",
		       run[i].own ? "true" : "false");
		print_values("cpu_ns_per_step", run[i].cpu, ",\n     ");
		print_values("wall_ns_per_step", run[i].wall, i + 1 < RUNS ? "},\n" : "}\n");
	}
	printf("  ]\n}\n");
	return 0;
}
