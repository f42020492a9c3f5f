// SPDX-License-Identifier: GPL-2.0
/*
 * A storm of inter-processor interrupts
 *
 * usage: ipi SECONDS
 * One thread per CPU, each calling membarrier(PRIVATE_EXPEDITED): every call
 * interrupts all other CPUs that run a thread of this process and waits for them,
 * so a lost interrupt is a hang, which the caller has to notice. Between the calls each thread changes the
 * protection of a page of its own, which shoots down TLBs everywhere. Prints "IPI
 * ok calls=…".
 */
#define _GNU_SOURCE
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int stop;
static unsigned long calls[256];

static void *worker(void *arg)
{
	long me = (long)arg;
	cpu_set_t set;
	char *page;

	CPU_ZERO(&set);
	CPU_SET(me, &set);
	sched_setaffinity(0, sizeof(set), &set);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* once at least: under load a thread may not get to run before the time is over */
	do {
		if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0)) {
			perror("ipi: membarrier");
			exit(1);
		}
		page[0]++;
		mprotect(page, 4096, PROT_READ);
		mprotect(page, 4096, PROT_READ | PROT_WRITE);
		calls[me]++;
	} while (!stop);
	return NULL;
}

int main(int argc, char **argv)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned long sum = 0;
	pthread_t t[256];
	long i;

	if (cpus > 256)
		cpus = 256;
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	for (i = 0; i < cpus; i++)
		if (pthread_create(&t[i], NULL, worker, (void *)i))
			return 1;
	sleep(argc > 1 ? atoi(argv[1]) : 5);
	stop = 1;
	for (i = 0; i < cpus; i++) {
		pthread_join(t[i], NULL);
		sum += calls[i];
	}
	printf("IPI ok calls=%lu cpus=%d\n", sum, cpus);
	return 0;
}
