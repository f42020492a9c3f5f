// SPDX-License-Identifier: GPL-2.0
/*
 * Fill most of guest RAM from all CPUs and verify it, also from others
 *
 * usage: fill MIB [EVERY]
 * Each CPU fills its slice; then every page is verified: each EVERYth (default: each)
 * by a CPU other than the one that wrote it, the rest by the writer. Prints one line,
 * "FILL ok ..." or "FILL bad ...", and exits with 0 or 1.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t *ram;
static size_t words;
static int cpus;
static pthread_barrier_t barrier;
static unsigned long bad;
static uint64_t first_bad;
static size_t every = 1;

#define PAGE_WORDS (4096 / sizeof(uint64_t))

/* every word differs from its neighbours, also from page to page */
static uint64_t pattern(size_t i)
{
	uint64_t x = (i + 1) * 0x9e3779b97f4a7c15ull;

	return x ^ (x >> 29);
}

/* pages of the slice of @cpu that others verify, or those that they do not */
static unsigned long verify(int cpu, int by_others)
{
	size_t slice = words / cpus, from = slice * cpu, i;
	unsigned long wrong = 0;

	for (i = from; i < from + slice; i++) {
		if ((i / PAGE_WORDS % every == 0) != by_others)
			continue;
		if (ram[i] != pattern(i)) {
			wrong++;
			__atomic_store_n(&first_bad, i, __ATOMIC_RELAXED);
		}
	}
	return wrong;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		perror("fill: sched_setaffinity");
		exit(1);
	}
}

static void *worker(void *arg)
{
	int me = (long)arg;
	size_t slice = words / cpus, i;
	unsigned long wrong;

	pin(me);
	for (i = slice * me; i < slice * (me + 1); i++)
		ram[i] = pattern(i);
	pthread_barrier_wait(&barrier);
	wrong = verify((me + 1) % cpus, 1);
	wrong += verify(me, 0);
	__atomic_fetch_add(&bad, wrong, __ATOMIC_RELAXED);
	return NULL;
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 0) : 64;
	pthread_t t[256];
	long i;

	if (argc > 2)
		every = strtoul(argv[2], NULL, 0);
	if (!every)
		every = 1;
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (cpus > 256)
		cpus = 256;
	words = (mib << 20) / sizeof(*ram);
	ram = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED) {
		perror("fill: mmap");
		return 1;
	}
	pthread_barrier_init(&barrier, NULL, cpus);
	for (i = 0; i < cpus; i++)
		if (pthread_create(&t[i], NULL, worker, (void *)i)) {
			perror("fill: pthread_create");
			return 1;
		}
	for (i = 0; i < cpus; i++)
		pthread_join(t[i], NULL);
	if (bad)
		printf("FILL bad words=%lu first=0x%lx mib=%zu cpus=%d\n", bad,
		       (unsigned long)first_bad * sizeof(*ram), mib, cpus);
	else
		printf("FILL ok mib=%zu cpus=%d every=%zu\n", mib, cpus, every);
	return !!bad;
}
