// SPDX-License-Identifier: GPL-2.0
/*
 * bench - the guest's half of `make bench`
 *
 *	bench fill FILE PAGES		write FILE, every page different
 *	bench touch FILE COUNT r|w	for each line of standard input read or write
 *					the next COUNT pages of FILE, each once, in an
 *					order that is no order; time of each
 *	bench work			a mix of work on local pages, time of each part
 *	bench spin MTICKS		do nothing but look at the TSC, for so many
 *					millions of ticks; tell when it jumped
 *	bench par THREADS ROUNDS	a thread on each CPU, no memory; time of all
 *	bench overlap FILE COUNT	for each line of standard input, by its first letter:
 *					a: a thread reads the next COUNT pages of FILE, b:
 *					a thread computes as many thousand rounds as the line
 *					says, c: both; time until the last one ends, and how
 *					often the reader was put to sleep
 *
 * Times are ticks of the TSC. It runs at the same rate on all hosts and for all
 * guests, whatever a guest is told about its frequency.
 *
 * FILE is to be on tmpfs: its pages are mapped before any time is taken, so that a
 * touch costs no fault of the guest's own, only those of the hosts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE		4096ul
#define TOUCH_MAX	1024
/* Of more than these the longest are kept */
#define GAPS_MAX	256
/* A gap worth to be told, ticks: longer than most ticks of the guest's clock */
#define GAP_MIN		250000
#define WORK_PAGES	4096ul
#define PAR_MAX		64

static uint64_t tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) :: "memory");
	return (uint64_t)hi << 32 | lo;
}

static int die(const char *what)
{
	printf("bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

static void print_ticks(const char *name, const uint64_t *ticks, unsigned int n)
{
	unsigned int i;

	printf("BENCH %s", name);
	for (i = 0; i < n; i++)
		printf(" %llu", (unsigned long long)ticks[i]);
	printf("\n");
}

static uint64_t *map_file(const char *name, unsigned long *pages, int write)
{
	int fd = open(name, write ? O_RDWR | O_CREAT : O_RDONLY, 0600);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		die(name);
	if (!*pages)
		*pages = st.st_size / PAGE;
	else if (ftruncate(fd, *pages * PAGE))
		die(name);
	p = mmap(NULL, *pages * PAGE, write ? PROT_READ | PROT_WRITE : PROT_READ,
		 MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static int fill(const char *name, unsigned long pages)
{
	uint64_t *p = map_file(name, &pages, 1);
	unsigned long i;

	for (i = 0; i < pages * PAGE / 8; i++)
		p[i] = mix(i + 1);
	print_ticks("filled", &pages, 1);
	return 0;
}

/* A step that has no factor in common with the number of pages visits them all */
static unsigned long step_for(unsigned long pages)
{
	unsigned long step = pages * 618 / 1000 | 1, a, b, t;

	for (;; step += 2) {
		for (a = step, b = pages; b; t = a % b, a = b, b = t)
			;
		if (a == 1)
			return step;
	}
}

static int touch(const char *name, unsigned int count, int write)
{
	static uint64_t ticks[TOUCH_MAX];
	unsigned long pages = 0, step, next = 0;
	uint64_t *p = map_file(name, &pages, write);
	volatile uint64_t *at;
	uint64_t t, sum = 0;
	unsigned int i;
	char line[80];

	if (!count || count > TOUCH_MAX) {
		printf("bench: COUNT is 1 to %u\n", TOUCH_MAX);
		return 2;
	}
	step = step_for(pages);
	printf("BENCH ready %lu\n", pages);
	fflush(stdout);
	while (next + count <= pages && fgets(line, sizeof(line), stdin) &&
	       line[0] != 'q') {
		/* what the loop itself needs is there before it begins */
		memset(ticks, 0, sizeof(ticks));
		for (i = 0; i < count; i++) {
			at = p + next++ * step % pages * (PAGE / 8);
			t = tsc();
			if (write)
				*at = t;
			else
				sum += *at;
			ticks[i] = tsc() - t;
		}
		print_ticks(write ? "wrote" : "read", ticks, count);
		fflush(stdout);
	}
	printf("BENCH touched %lu\n", next);
	return sum == 1;
}

/*
 * Work: what a kernel compile is made of, in small. Every part is repeatable, and
 * touches only pages that the guest has used before.
 */
static uint64_t work_compute(void)
{
	uint64_t x = 1;
	unsigned int i;

	for (i = 0; i < 1000000; i++)
		x = mix(x + i);
	return x;
}

static uint64_t work_stream(uint64_t *buf)
{
	unsigned int round, i;
	uint64_t sum = 0;

	for (round = 0; round < 4; round++) {
		memset(buf, round, WORK_PAGES * PAGE);
		for (i = 0; i < WORK_PAGES * PAGE / 8; i++)
			sum += buf[i];
	}
	return sum;
}

static uint64_t work_chase(uint64_t *buf)
{
	uint64_t x = 1;
	unsigned int i;

	for (i = 0; i < 400000; i++) {
		x = mix(x);
		buf[x % (WORK_PAGES * PAGE / 8)] += x;
	}
	return buf[0];
}

/* Page tables: what shadow paging makes dear */
static uint64_t work_faults(void)
{
	unsigned int round, i;
	uint64_t sum = 0;

	for (round = 0; round < 8; round++) {
		char *p = mmap(NULL, 256 * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			die("mmap");
		for (i = 0; i < 256; i++)
			p[i * PAGE] = i;
		sum += p[17 * PAGE];
		munmap(p, 256 * PAGE);
	}
	return sum;
}

static uint64_t work_syscalls(void)
{
	char buf[512];
	unsigned int i;
	int fd[2];

	if (pipe(fd))
		die("pipe");
	for (i = 0; i < 4000; i++)
		if (write(fd[1], buf, sizeof(buf)) != sizeof(buf) ||
		    read(fd[0], buf, sizeof(buf)) != sizeof(buf))
			die("pipe");
	close(fd[0]);
	close(fd[1]);
	return buf[0];
}

static uint64_t work_forks(void)
{
	unsigned int i;
	int status = 0;

	for (i = 0; i < 12; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/bin/busybox", "true", NULL);
			_exit(1);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			die("fork");
	}
	return status;
}

static int work(void)
{
	enum { COMPUTE, STREAM, CHASE, FAULTS, SYSCALLS, FORKS, ALL, NR };
	static const char *const name[NR] = {
		"compute", "stream", "chase", "faults", "syscalls", "forks", "all"
	};
	uint64_t t[NR + 1], took, sum;
	uint64_t *buf;
	unsigned int i;

	buf = mmap(NULL, WORK_PAGES * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buf == MAP_FAILED)
		die("mmap");
	t[COMPUTE] = tsc();
	sum = work_compute();
	t[STREAM] = tsc();
	sum += work_stream(buf);
	t[CHASE] = tsc();
	sum += work_chase(buf);
	t[FAULTS] = tsc();
	sum += work_faults();
	t[SYSCALLS] = tsc();
	sum += work_syscalls();
	t[FORKS] = tsc();
	sum += work_forks();
	t[ALL] = tsc();
	for (i = 0; i < NR; i++) {
		took = i == ALL ? t[ALL] - t[0] : t[i + 1] - t[i];
		print_ticks(name[i], &took, 1);
	}
	return sum == 1;
}

static unsigned int smallest(uint64_t gap[][2])
{
	unsigned int i, found = 0;

	for (i = 1; i < GAPS_MAX; i++)
		if (gap[i][1] < gap[found][1])
			found = i;
	return found;
}

/*
 * No memory is written before a gap has been seen and measured, so a vCPU that moves
 * needs nothing but its registers and the page of code to go on.
 */
static int spin(unsigned long mticks)
{
	static uint64_t gap[GAPS_MAX][2];
	uint64_t end, last, now;
	unsigned int n = 0, i;

	memset(gap, 0, sizeof(gap));
	printf("BENCH spinning\n");
	fflush(stdout);
	last = tsc();
	end = last + mticks * 1000000;
	while (last < end) {
		now = tsc();
		if (now - last >= GAP_MIN) {
			i = n < GAPS_MAX ? n++ : smallest(gap);
			if (now - last > gap[i][1]) {
				gap[i][0] = last;
				gap[i][1] = now - last;
			}
			now = tsc();
		}
		last = now;
	}
	for (i = 0; i < n; i++)
		print_ticks("gap", gap[i], 2);
	print_ticks("spun", &last, 1);
	return 0;
}

struct par_job {
	pthread_barrier_t *barrier;
	unsigned int cpu;
	unsigned long rounds;
	uint64_t out;
};

static void *par_thread(void *arg)
{
	struct par_job *job = arg;
	cpu_set_t set;
	uint64_t x = job->cpu;
	unsigned long i;

	CPU_ZERO(&set);
	CPU_SET(job->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
	pthread_barrier_wait(job->barrier);
	for (i = 0; i < job->rounds * 1000000; i++)
		x = mix(x + i);
	job->out = x;
	return NULL;
}

static int par(unsigned int threads, unsigned long rounds)
{
	struct par_job job[PAR_MAX];
	pthread_barrier_t barrier;
	pthread_t id[PAR_MAX];
	unsigned int i;
	uint64_t t;

	if (!threads || threads > PAR_MAX) {
		printf("bench: 1 to %u threads\n", PAR_MAX);
		return 2;
	}
	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (i = 0; i < threads; i++) {
		job[i] = (struct par_job){ .barrier = &barrier, .cpu = i,
					   .rounds = rounds };
		if (pthread_create(&id[i], NULL, par_thread, &job[i]))
			die("pthread_create");
	}
	pthread_barrier_wait(&barrier);
	t = tsc();
	for (i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
	t = tsc() - t;
	print_ticks("par", &t, 1);
	return 0;
}

static struct {
	pthread_barrier_t begin, end;
	uint64_t *file;
	unsigned long pages, step, next;
	unsigned int count;
	/* of the line; no more work, no rounds: that thread has nothing to do */
	bool over, reads;
	unsigned long rounds;
	/* by thread */
	uint64_t from[2], to[2], out[2];
	long slept;
} lap;

static long times_slept(void)
{
	struct rusage ru;

	if (getrusage(RUSAGE_THREAD, &ru))
		die("getrusage");
	return ru.ru_nvcsw;
}

static void *lap_reader(void *arg)
{
	volatile uint64_t *at;
	unsigned int i;
	long slept;

	for (;;) {
		pthread_barrier_wait(&lap.begin);
		if (lap.over)
			return arg;
		slept = times_slept();
		lap.from[0] = tsc();
		for (i = 0; lap.reads && i < lap.count; i++) {
			at = lap.file + lap.next++ * lap.step % lap.pages * (PAGE / 8);
			lap.out[0] += *at;
		}
		lap.to[0] = tsc();
		lap.slept = times_slept() - slept;
		pthread_barrier_wait(&lap.end);
	}
}

static void *lap_computer(void *arg)
{
	unsigned long i;
	uint64_t x = 1;

	for (;;) {
		pthread_barrier_wait(&lap.begin);
		if (lap.over)
			return arg;
		lap.from[1] = tsc();
		for (i = 0; i < lap.rounds * 1000; i++)
			x = mix(x + i);
		lap.out[1] = x;
		lap.to[1] = tsc();
		pthread_barrier_wait(&lap.end);
	}
}

static int overlap(const char *name, unsigned int count)
{
	uint64_t took[2];
	pthread_t id[2];
	char line[80];
	bool both;

	lap.file = map_file(name, &lap.pages, 0);
	lap.step = step_for(lap.pages);
	lap.count = count;
	pthread_barrier_init(&lap.begin, NULL, 3);
	pthread_barrier_init(&lap.end, NULL, 3);
	if (pthread_create(&id[0], NULL, lap_reader, NULL) ||
	    pthread_create(&id[1], NULL, lap_computer, NULL))
		die("pthread_create");
	printf("BENCH ready %lu\n", lap.pages);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && line[0] >= 'a' && line[0] <= 'c') {
		both = line[0] == 'c';
		lap.reads = both || line[0] == 'a';
		lap.rounds = both || line[0] == 'b' ? strtoul(line + 1, NULL, 0) : 0;
		if (lap.reads && lap.next + count > lap.pages)
			break;
		pthread_barrier_wait(&lap.begin);
		pthread_barrier_wait(&lap.end);
		took[0] = (lap.to[0] > lap.to[1] ? lap.to[0] : lap.to[1]) -
			  (lap.from[0] < lap.from[1] ? lap.from[0] : lap.from[1]);
		took[1] = (uint64_t)lap.slept;
		print_ticks("lap", took, 2);
		fflush(stdout);
	}
	lap.over = true;
	pthread_barrier_wait(&lap.begin);
	pthread_join(id[0], NULL);
	pthread_join(id[1], NULL);
	printf("BENCH lapped %lu\n", lap.next);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOFBF, 1 << 14);
	if (!strcmp(what, "fill") && argc == 4)
		return fill(argv[2], strtoul(argv[3], NULL, 0));
	if (!strcmp(what, "touch") && argc == 5)
		return touch(argv[2], strtoul(argv[3], NULL, 0),
			     argv[4][0] == 'w');
	if (!strcmp(what, "work") && argc == 2)
		return work();
	if (!strcmp(what, "spin") && argc == 3)
		return spin(strtoul(argv[2], NULL, 0));
	if (!strcmp(what, "par") && argc == 4)
		return par(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
	if (!strcmp(what, "overlap") && argc == 4)
		return overlap(argv[2], strtoul(argv[3], NULL, 0));
	printf("usage: bench fill FILE PAGES | touch FILE COUNT r|w | work |\n"
	       "             spin MTICKS | par THREADS ROUNDS | overlap FILE COUNT\n");
	return 2;
}
