// SPDX-License-Identifier: GPL-2.0
/*
 * Is time monotonic across CPUs?
 *
 * usage: clock SECONDS
 * One thread per CPU; each takes a lock, reads TSC and CLOCK_MONOTONIC, compares
 * them with what the last holder read, on whatever CPU, and passes the lock on.
 * Prints "CLOCK ok reads=… handovers=…" or "CLOCK bad …".
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

static pthread_spinlock_t lock;
static uint64_t last_tsc, last_ns;
static int last_cpu = -1;
static unsigned long reads, handovers, back_tsc, back_ns;
static uint64_t worst;
static volatile int stop;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void *worker(void *arg)
{
	int me = (long)arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(me, &set);
	sched_setaffinity(0, sizeof(set), &set);
	while (!stop) {
		uint64_t tsc, ns;
		unsigned int aux;

		pthread_spin_lock(&lock);
		tsc = __rdtscp(&aux);
		_mm_lfence();
		ns = now_ns();
		if (tsc < last_tsc) {
			back_tsc++;
			if (last_tsc - tsc > worst)
				worst = last_tsc - tsc;
		}
		if (ns < last_ns)
			back_ns++;
		if (last_cpu != me)
			handovers++;
		last_cpu = me;
		last_tsc = tsc;
		last_ns = ns;
		reads++;
		pthread_spin_unlock(&lock);
		/* let another CPU have it */
		for (int i = 0; i < 200; i++)
			_mm_pause();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t end;
	pthread_t t[256];
	long i;

	end = now_ns() + (argc > 1 ? atoi(argv[1]) : 5) * 1000000000ull;
	if (cpus > 256)
		cpus = 256;
	pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
	for (i = 0; i < cpus; i++)
		if (pthread_create(&t[i], NULL, worker, (void *)i))
			return 1;
	while (now_ns() < end)
		usleep(50000);
	stop = 1;
	for (i = 0; i < cpus; i++)
		pthread_join(t[i], NULL);
	printf("CLOCK %s reads=%lu handovers=%lu back_tsc=%lu back_ns=%lu worst_ticks=%lu cpus=%d\n",
	       back_tsc || back_ns || (cpus > 1 && !handovers) ? "bad" : "ok",
	       reads, handovers, back_tsc, back_ns, (unsigned long)worst, cpus);
	return back_tsc || back_ns;
}
