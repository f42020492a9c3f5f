// SPDX-License-Identifier: GPL-2.0
/*
 * Fill most of guest RAM from all CPUs and verify it from others
 *
 * usage: fill MIB [ROUNDS]
 * Each CPU fills its slice; then each verifies the slice that another CPU filled,
 * so every page is read on a CPU other than its writer's. Prints one line, "FILL
 * ok …" or "FILL bad …", and exits with 0 or 1.
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
static int rounds = 1;

/* every word differs from its neighbours, from page to page, round to round */
static uint64_t pattern(size_t i, int round)
{
	uint64_t x = (i + 1) * 0x9e3779b97f4a7c15ull + round;

	return x ^ (x >> 29);
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
	int me = (long)arg, round;
	size_t slice = words / cpus;

	pin(me);
	for (round = 0; round < rounds; round++) {
		size_t from = slice * me, other, i;
		unsigned long wrong = 0;

		for (i = from; i < from + slice; i++)
			ram[i] = pattern(i, round);
		pthread_barrier_wait(&barrier);
		other = slice * ((me + 1 + round % (cpus > 1 ? cpus - 1 : 1)) % cpus);
		for (i = other; i < other + slice; i++)
			if (ram[i] != pattern(i, round)) {
				wrong++;
				__atomic_store_n(&first_bad, i, __ATOMIC_RELAXED);
			}
		__atomic_fetch_add(&bad, wrong, __ATOMIC_RELAXED);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 0) : 64;
	pthread_t t[256];
	long i;

	if (argc > 2)
		rounds = atoi(argv[2]);
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
		printf("FILL ok mib=%zu cpus=%d rounds=%d\n", mib, cpus, rounds);
	return !!bad;
}
