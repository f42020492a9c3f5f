// SPDX-License-Identifier: GPL-2.0
/*
 * apf - a thread runs while another one of its CPU waits for pages of another host
 *
 *	apf WRITER READER STOPFILE
 *
 * CPU WRITER fills pages. On CPU READER one thread then reads all of them, checks each
 * word and leaves a mark in each page, and a second thread counts meanwhile. So on, until
 * STOPFILE is there, once at least. Where the two CPUs live on different hosts each page
 * has to come, twice: to be read and to be written.
 *
 * The reader makes no system call while it reads and all pages are mapped, so when it is
 * put to sleep then, the guest's kernel was told that a page is on its way.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE	4096ul
#define WORDS	(PAGE / sizeof(uint64_t))
#define PAGES	64ul
/* no common factor with PAGES, and no run that would be prefetched */
#define STEP	37ul

static volatile uint64_t *ram;
static unsigned int reader_cpu;
static unsigned int round_nr;
static pthread_barrier_t begin, end;
static bool over;
static volatile bool reading;
static unsigned long wrong, slept, counted;

static void die(const char *what)
{
	printf("APF bad %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static uint64_t content(unsigned int round, unsigned long word)
{
	return (round * PAGES * WORDS + word + 1) * 0x9e3779b97f4a7c15ull;
}

static long times_slept(void)
{
	struct rusage ru;

	if (getrusage(RUSAGE_THREAD, &ru))
		die("getrusage");
	return ru.ru_nvcsw;
}

static void visit(unsigned long page)
{
	unsigned long i, at = page * WORDS;

	for (i = 0; i < WORDS; i++)
		wrong += ram[at + i] != content(round_nr, at + i);
	ram[at + page % WORDS] = ~content(round_nr, at);
}

static void *reader(void *arg)
{
	unsigned long i;
	long before;

	pin(reader_cpu);
	for (;;) {
		pthread_barrier_wait(&begin);
		if (over)
			return arg;
		before = times_slept();
		for (i = 0; i < PAGES; i++)
			visit(i * STEP % PAGES);
		slept += (unsigned long)(times_slept() - before);
		reading = false;
		pthread_barrier_wait(&end);
	}
}

static void *counter(void *arg)
{
	unsigned long n;

	pin(reader_cpu);
	for (;;) {
		pthread_barrier_wait(&begin);
		if (over)
			return arg;
		for (n = 0; reading; n++)
			;
		counted += n;
		pthread_barrier_wait(&end);
	}
}

static void write_all(void)
{
	unsigned long i;

	for (i = 0; i < PAGES * WORDS; i++)
		ram[i] = content(round_nr, i);
}

static void check_marks(void)
{
	unsigned long page, at;

	for (page = 0; page < PAGES; page++) {
		at = page * WORDS;
		wrong += ram[at + page % WORDS] != ~content(round_nr, at);
	}
}

int main(int argc, char **argv)
{
	pthread_t id[2];

	if (argc != 4) {
		printf("usage: apf WRITER READER STOPFILE\n");
		return 2;
	}
	reader_cpu = (unsigned int)strtoul(argv[2], NULL, 0);
	pin((unsigned int)strtoul(argv[1], NULL, 0));
	ram = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ram == MAP_FAILED)
		die("mmap");
	pthread_barrier_init(&begin, NULL, 3);
	pthread_barrier_init(&end, NULL, 3);
	if (pthread_create(&id[0], NULL, reader, NULL) ||
	    pthread_create(&id[1], NULL, counter, NULL))
		die("pthread_create");
	do {
		write_all();
		reading = true;
		pthread_barrier_wait(&begin);
		pthread_barrier_wait(&end);
		check_marks();
		round_nr++;
	} while (access(argv[3], F_OK));
	over = true;
	pthread_barrier_wait(&begin);
	pthread_join(id[0], NULL);
	pthread_join(id[1], NULL);
	printf("APF %s rounds=%u pages=%lu wrong=%lu slept=%lu counted=%lu\n",
	       wrong ? "bad" : "ok", round_nr, PAGES, wrong, slept, counted);
	return !!wrong;
}
