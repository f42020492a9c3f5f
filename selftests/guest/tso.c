// SPDX-License-Identifier: GPL-2.0
/*
 * Memory-order litmus tests between CPUs
 *
 * usage: tso ROUNDS [LANES]
 * SB, MP, LB, IRIW, WRC, 2+2W and locked increments, with the variables on pages
 * of their own and on one page, between all CPUs by turns. Threads meet at the
 * start of a round only, and then go through LANES pairs of variables (32), each at
 * its own pace, so that pages move in the middle of it. What a thread has read goes to a
 * page of its own. x86-TSO forbids the outcomes counted, but for plain SB, which only
 * proves that the test can see reordering; SB with MFENCE is forbidden. Prints
 * "TSO ok …" or "TSO bad …" with the shapes that failed.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
/* pairs of variables in a round; both halves of a page have room for that many */
#define LANES 32
#define STRIDE (64 / sizeof(uint32_t))
#define THREADS 4

static volatile uint32_t *xs, *ys, *counter;
static int rounds;
static int lanes = LANES;
static int cpus;
/* a barrier of its own page that spins without system calls */
static volatile uint32_t *arrived, *generation;
/* what each thread has read; a page a thread */
static volatile uint32_t *seen_by[THREADS];
#define R(lane, thread, nr) (seen_by[thread][(lane) * 2 + (nr)])

enum shape { SB, SBF, MP, LB, IRIW, WRC, W22, INC, NR };

static const char * const names[NR] = {
	"SB", "SB+mfence", "MP", "LB", "IRIW", "WRC", "2+2W", "inc",
};
static const int threads_of[NR] = { 2, 2, 2, 2, 4, 3, 2, 4 };
static unsigned long seen[NR];
static volatile enum shape shape;

static void meet(int n)
{
	uint32_t gen = *generation;

	if (__atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST) == (uint32_t)n) {
		__atomic_store_n(arrived, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(generation, gen + 1, __ATOMIC_SEQ_CST);
	} else {
		int spin = 0;

		while (*generation == gen)
			if (++spin > 2000)
				sched_yield();
	}
}

#define FENCE() __asm__ __volatile__("mfence" ::: "memory")
#define ORDER() __asm__ __volatile__("" ::: "memory")

static void act(enum shape s, int me, int lane)
{
	volatile uint32_t *x = xs + lane * STRIDE, *y = ys + lane * STRIDE;

	switch (s) {
	case SB:
	case SBF:
		if (me == 0) {
			*x = 1;
			if (s == SBF)
				FENCE();
			R(lane, 0, 0) = *y;
		} else {
			*y = 1;
			if (s == SBF)
				FENCE();
			R(lane, 1, 0) = *x;
		}
		break;
	case MP:
		if (me == 0) {
			*x = 1;
			ORDER();
			*y = 1;
		} else {
			R(lane, 1, 0) = *y;
			ORDER();
			R(lane, 1, 1) = *x;
		}
		break;
	case LB:
		if (me == 0) {
			R(lane, 0, 0) = *x;
			ORDER();
			*y = 1;
		} else {
			R(lane, 1, 0) = *y;
			ORDER();
			*x = 1;
		}
		break;
	case IRIW:
		if (me == 0)
			*x = 1;
		else if (me == 1)
			*y = 1;
		else if (me == 2) {
			R(lane, 2, 0) = *x;
			ORDER();
			R(lane, 2, 1) = *y;
		} else {
			R(lane, 3, 0) = *y;
			ORDER();
			R(lane, 3, 1) = *x;
		}
		break;
	case WRC:
		if (me == 0) {
			*x = 1;
		} else if (me == 1) {
			R(lane, 1, 0) = *x;
			ORDER();
			*y = 1;
		} else {
			R(lane, 2, 0) = *y;
			ORDER();
			R(lane, 2, 1) = *x;
		}
		break;
	case W22:
		if (me == 0) {
			*x = 1;
			ORDER();
			*y = 2;
		} else {
			*y = 1;
			ORDER();
			*x = 2;
		}
		break;
	case INC:
		__atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
		break;
	case NR:
		break;
	}
}

static int forbidden(enum shape s, int n, int round, int lane)
{
	switch (s) {
	case SB:
	case SBF:
		return !R(lane, 0, 0) && !R(lane, 1, 0);
	case MP:
		return R(lane, 1, 0) && !R(lane, 1, 1);
	case LB:
		return R(lane, 0, 0) && R(lane, 1, 0);
	case IRIW:
		return R(lane, 2, 0) && !R(lane, 2, 1) && R(lane, 3, 0) && !R(lane, 3, 1);
	case WRC:
		return R(lane, 1, 0) && R(lane, 2, 0) && !R(lane, 2, 1);
	case W22:
		return xs[lane * STRIDE] == 1 && ys[lane * STRIDE] == 1;
	case INC:
		return *counter != (uint32_t)n * lanes * (round + 1);
	case NR:
		break;
	}
	return 0;
}

struct job {
	int me;
	int cpu;
	int n;
};

static void clear(void)
{
	int i;

	for (i = 0; i < LANES; i++) {
		xs[i * STRIDE] = 0;
		ys[i * STRIDE] = 0;
	}
	for (i = 0; i < THREADS; i++)
		memset((void *)seen_by[i], 0, LANES * 2 * sizeof(uint32_t));
}

static void *worker(void *arg)
{
	struct job *job = arg;
	cpu_set_t set;
	int i, lane;

	CPU_ZERO(&set);
	CPU_SET(job->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (i = 0; i < rounds; i++) {
		meet(job->n);
		for (lane = 0; lane < lanes; lane++)
			act(shape, job->me, lane);
		meet(job->n);
		if (job->me)
			continue;
		for (lane = 0; lane < lanes; lane++)
			seen[shape] += forbidden(shape, job->n, i, lane);
		clear();
	}
	return NULL;
}

static void run(enum shape s, int first_cpu)
{
	struct job job[THREADS];
	pthread_t t[THREADS];
	int i, n = threads_of[s];

	shape = s;
	clear();
	*counter = 0;
	*arrived = 0;
	for (i = 0; i < n; i++) {
		job[i] = (struct job){ i, (first_cpu + i * (cpus / 2 ? cpus / 2 : 1) +
					   i / 2) % cpus, n };
		if (pthread_create(&t[i], NULL, worker, &job[i]))
			exit(1);
	}
	for (i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	char *ram = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int s, one_page, first, bad = 0;

	rounds = argc > 1 ? atoi(argv[1]) : 200;
	if (argc > 2)
		lanes = atoi(argv[2]);
	if (lanes < 1 || lanes > LANES) {
		fprintf(stderr, "tso: 1 to %d lanes\n", LANES);
		return 2;
	}
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (ram == MAP_FAILED)
		return 1;
	arrived = (void *)(ram + 4 * PAGE);
	generation = (void *)(ram + 5 * PAGE);
	counter = (void *)(ram + 6 * PAGE);
	for (s = 0; s < THREADS; s++)
		seen_by[s] = (void *)(ram + (8 + s) * PAGE);
	for (one_page = 0; one_page < 2; one_page++) {
		xs = (void *)ram;
		ys = (void *)(one_page ? ram + PAGE / 2 : ram + PAGE);
		for (s = 0; s < NR; s++)
			for (first = 0; first < (cpus < 2 ? 1 : 2); first++)
				run(s, first);
	}
	for (s = 0; s < NR; s++)
		if (s != SB && seen[s]) {
			printf("TSO forbidden outcome of %s: %lu times\n", names[s],
			       seen[s]);
			bad = 1;
		}
	printf("TSO %s rounds=%d lanes=%d cpus=%d reordered_sb=%lu\n", bad ? "bad" : "ok",
	       rounds, lanes, cpus, seen[SB]);
	return bad;
}
