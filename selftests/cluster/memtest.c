// SPDX-License-Identifier: GPL-2.0
/*
 * memtest - is guest RAM coherent between nodes?
 *
 * No guest is needed: plain processes map the RAM devices. Each device is served
 * by a worker process with threads of its own; a coordinator tells all workers
 * what to do, waits for all of them, and judges.
 *
 *	memtest [OPTIONS] DEVICE DEVICE...	all nodes in one kernel
 *	memtest [OPTIONS] -l PORT -n WORKERS	coordinator for other hosts
 *	memtest [-f FILE] -c ADDRESS:PORT DEVICE	worker on a host
 *
 *	-p PAGES	use so many pages of guest RAM (default 4096)
 *	-s SECONDS	for each test that runs on time (default 3)
 *	-t TEST,...	only these
 *	-f FILE		for direct I/O, of 1 MiB or more, overwritten
 *
 * TAP on standard output; 0 passed, 1 failed, 4 nothing could be tested.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096ul
#define WORDS		(PAGE / 8)
#define WORKERS_MAX	16
#define THREADS		2
#define FILE_PAGES	256ul
#define CHUNK		16ul
#define MAGIC		0x5aa5c33c0ff01221ull
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct cmd {
	unsigned int fn;
	unsigned int phase;
	unsigned int self;
	unsigned int workers;
	unsigned long pages;
	unsigned long seconds;
	unsigned long arg;
};

struct result {
	unsigned int failed;
	unsigned int skipped;
	unsigned long count;
	char text[160];
};

static volatile unsigned long *ram;
static const char *file_name;

static unsigned long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static volatile unsigned long *word(unsigned long page, unsigned long index)
{
	return &ram[page * WORDS + index];
}

static unsigned long mix(unsigned long x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

static unsigned long rnd(unsigned long *seed)
{
	*seed += 0x9e3779b97f4a7c15ull;
	return mix(*seed);
}

__printf(2, 3)
static void fail(struct result *r, const char *fmt, ...)
{
	va_list ap;

	if (__atomic_exchange_n(&r->failed, 1, __ATOMIC_SEQ_CST))
		return;
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
}

/* What threads of one worker do */
struct job {
	const struct cmd *cmd;
	struct result *r;
	unsigned int thread;
	unsigned long end_ns;
	unsigned long count;
};

static void run_threads(const struct cmd *cmd, struct result *r,
			void *(*fn)(void *))
{
	struct job job[THREADS];
	pthread_t id[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		job[i] = (struct job){ .cmd = cmd, .r = r, .thread = i,
			.end_ns = now_ns() + cmd->seconds * 1000000000ull };
		if (pthread_create(&id[i], NULL, fn, &job[i]))
			abort();
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(id[i], NULL);
		r->count += job[i].count;
	}
}

/*
 * pattern: all of the memory, each page written by one node and read by all.
 * Every fourth page is filled with one word, as those travel in another way.
 */
static unsigned long pattern(unsigned long page, unsigned long index, unsigned long round)
{
	return mix(round << 56 | page << 16 | (page % 4 ? index : 0));
}

static void pattern_write(const struct cmd *cmd, struct result *r)
{
	unsigned long page, i;

	for (page = 0; page < cmd->pages; page++) {
		if ((page + cmd->arg) % cmd->workers != cmd->self)
			continue;
		for (i = 0; i < WORDS; i++)
			*word(page, i) = pattern(page, i, cmd->arg);
		r->count++;
	}
}

/* One node alone writes all of it, more than it may keep */
static void fill_write(const struct cmd *cmd, struct result *r)
{
	unsigned long page, i;

	for (page = 0; page < cmd->pages; page++) {
		for (i = 0; i < WORDS; i++)
			*word(page, i) = pattern(page, i, cmd->arg);
		r->count++;
	}
}

static void pattern_read(const struct cmd *cmd, struct result *r)
{
	unsigned long page, i, value;

	for (page = 0; page < cmd->pages; page++) {
		for (i = 0; i < WORDS; i++) {
			value = *word(page, i);
			if (value == pattern(page, i, cmd->arg))
				continue;
			fail(r, "page %#lx word %lu is %016lx instead of %016lx in round %lu",
			     page, i, value, pattern(page, i, cmd->arg),
			     cmd->arg);
			return;
		}
		r->count++;
	}
}

/*
 * version: each page has one writer, which writes the next version into all
 * words, upwards; readers go downwards, so what they see must not decrease,
 * and no word may ever go back.
 */
static void *version_thread(void *arg)
{
	struct job *job = arg;
	const struct cmd *cmd = job->cmd;
	unsigned long pages = cmd->pages < 512 ? cmd->pages : 512;
	unsigned long seed = cmd->self * 64 + job->thread + 1;
	unsigned long writers = cmd->workers * THREADS;
	unsigned long me = cmd->self * THREADS + job->thread;
	unsigned long *seen = calloc(pages, sizeof(*seen));
	unsigned long page, i, last, value;

	if (!seen)
		abort();
	while (now_ns() < job->end_ns && !job->r->failed) {
		page = rnd(&seed) % pages;
		if (page % writers == me && rnd(&seed) % 2) {
			value = *word(page, 0) + 1;
			for (i = 0; i < WORDS; i++) {
				if (*word(page, i) != value - 1)
					fail(job->r, "page %#lx word %lu is %lx instead of %lx: a write was lost",
					     page, i, *word(page, i),
					     value - 1);
				*word(page, i) = value;
			}
		} else {
			last = seen[page];
			for (i = WORDS; i-- > 0; ) {
				value = *word(page, i);
				if (value < last) {
					fail(job->r, "page %#lx word %lu went back from %lx to %lx",
					     page, i, last, value);
					break;
				}
				last = value;
			}
			/* the highest word is the oldest */
			seen[page] = *word(page, WORDS - 1);
		}
		job->count++;
	}
	free(seen);
	return NULL;
}

static void clear(const struct cmd *cmd, struct result *r)
{
	unsigned long page, i;

	(void)r;
	for (page = cmd->self; page < cmd->pages; page += cmd->workers)
		for (i = 0; i < WORDS; i++)
			*word(page, i) = 0;
}

static void version_run(const struct cmd *cmd, struct result *r)
{
	run_threads(cmd, r, version_thread);
}

/* Afterwards all nodes see the same, and whole, versions */
static void version_check(const struct cmd *cmd, struct result *r)
{
	unsigned long pages = cmd->pages < 512 ? cmd->pages : 512;
	unsigned long page, i;

	for (page = 0; page < pages; page++) {
		for (i = 1; i < WORDS; i++)
			if (*word(page, i) != *word(page, 0))
				fail(r, "page %#lx word %lu is %lx, not %lx as the first",
				     page, i, *word(page, i), *word(page, 0));
		r->count += mix(*word(page, 0) + page) >> 16;
	}
}

/* counter: all threads of all nodes count in the same words, atomically */
static void *counter_thread(void *arg)
{
	struct job *job = arg;

	while (now_ns() < job->end_ns) {
		__atomic_fetch_add(word(0, 8), 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(word(1, job->count % WORDS), 1,
				   __ATOMIC_SEQ_CST);
		job->count++;
	}
	return NULL;
}

static void counter_run(const struct cmd *cmd, struct result *r)
{
	run_threads(cmd, r, counter_thread);
}

static void counter_check(const struct cmd *cmd, struct result *r)
{
	unsigned long sum = 0, i;

	for (i = 0; i < WORDS; i++)
		sum += *word(1, i);
	r->count = sum;
	if (*word(0, 8) != cmd->arg || sum != cmd->arg)
		fail(r, "counted %lu times, but the words say %lu and %lu",
		     cmd->arg, *word(0, 8), sum);
}

/* words: each thread of each node has a word of its own, in the same pages */
static void *words_thread(void *arg)
{
	struct job *job = arg;
	unsigned long me = job->cmd->self * THREADS + job->thread;
	unsigned long count[4] = { 0 };
	unsigned int page;

	while (now_ns() < job->end_ns && !job->r->failed) {
		page = job->count++ % 4;
		if (*word(page, me) != count[page]) {
			fail(job->r, "page %#x: own word is %lu instead of %lu",
			     page, *word(page, me), count[page]);
			break;
		}
		*word(page, me) = ++count[page];
	}
	return NULL;
}

static void words_run(const struct cmd *cmd, struct result *r)
{
	run_threads(cmd, r, words_thread);
}

/* Wait, in guest RAM itself, until both sides of a litmus test are here */
static bool meet(unsigned long round, unsigned long end_ns)
{
	__atomic_fetch_add(word(2, 0), 1, __ATOMIC_SEQ_CST);
	while (*word(2, 0) < 2 * round) {
		if (now_ns() > end_ns)
			return false;
		usleep(50);
	}
	return true;
}

/*
 * sb: two nodes, each writes its word, a fence, reads the other's: not both
 * may read the old value
 */
static void sb_run(const struct cmd *cmd, struct result *r)
{
	unsigned long end = now_ns() + cmd->seconds * 1000000000ull;
	unsigned long me = cmd->self, i;

	if (me > 1)
		return;
	for (i = 0; i < WORDS; i++) {
		if (!meet(i + 1, end))
			break;
		*word(me, i) = 1;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		*word(4 + me, i) = 1 + *word(!me, i);
		r->count++;
	}
	/* the other one must not wait for ever */
	__atomic_fetch_add(word(2, 0), 4 * WORDS, __ATOMIC_SEQ_CST);
}

static void sb_check(const struct cmd *cmd, struct result *r)
{
	unsigned long i, both = 0;

	(void)cmd;
	for (i = 0; i < WORDS; i++) {
		if (*word(4, i) == 1 && *word(5, i) == 1)
			fail(r, "round %lu: both nodes read the old value", i);
		both += *word(4, i) && *word(5, i);
	}
	r->count = both;
	if (!both)
		fail(r, "no round was finished");
}

/* mp: data is written before the flag, so who sees the flag sees the data */
static void mp_run(const struct cmd *cmd, struct result *r)
{
	unsigned long end = now_ns() + cmd->seconds * 1000000000ull;
	unsigned long i = 0, flag, data, last = 0;

	while (now_ns() < end) {
		if (!cmd->self) {
			i++;
			*word(i % 2 ? 0 : 3, 0) = i;
			*word(1, 0) = i;
			r->count++;
			continue;
		}
		flag = *word(1, 0);
		data = *word(flag % 2 ? 0 : 3, 0);
		if (data < flag) {
			fail(r, "flag is %lu, but data %lu", flag, data);
			return;
		}
		if (flag < last) {
			fail(r, "flag went back from %lu to %lu", last, flag);
			return;
		}
		r->count += flag != last;
		last = flag;
	}
	if (cmd->self && !r->count)
		fail(r, "the flag never changed");
}

/*
 * direct: worker 0 reads and writes a file by direct I/O from and to guest RAM,
 * the others pull the pages away meanwhile. They write, but nothing new: the
 * first word of each page is always MAGIC.
 */
static unsigned long direct_word(unsigned long block, unsigned long index, unsigned long round)
{
	return index ? mix(round << 48 | block << 16 | index) : MAGIC;
}

static void direct_disturb(const struct cmd *cmd, struct result *r)
{
	unsigned long end = now_ns() + cmd->seconds * 1000000000ull;
	unsigned long seed = cmd->self, page;

	while (now_ns() < end) {
		page = rnd(&seed) % (2 * CHUNK);
		if (rnd(&seed) % 2)
			__atomic_fetch_or(word(page, 0), MAGIC,
					  __ATOMIC_SEQ_CST);
		else
			(void)*word(page, rnd(&seed) % WORDS);
		r->count++;
	}
}

static void direct_read(struct result *r, int fd, unsigned long *own,
			unsigned long round, unsigned long to)
{
	unsigned long block = round * CHUNK % FILE_PAGES, i, k;
	void *chunk = (void *)word(to, 0);

	for (i = 0; i < CHUNK; i++)
		for (k = 0; k < WORDS; k++)
			own[i * WORDS + k] = direct_word(block + i, k, round);
	if (pwrite(fd, own, CHUNK * PAGE, block * PAGE) != CHUNK * PAGE ||
	    pread(fd, chunk, CHUNK * PAGE, block * PAGE) != CHUNK * PAGE) {
		fail(r, "direct read: %s", strerror(errno));
		return;
	}
	for (i = 0; i < CHUNK; i++)
		for (k = 0; k < WORDS; k++)
			if (*word(to + i, k) != direct_word(block + i, k, round))
				fail(r, "page %#lx word %lu is not what was read from the file",
				     to + i, k);
}

static void direct_write(struct result *r, int fd, unsigned long *own,
			 unsigned long round, unsigned long from)
{
	unsigned long block = round * CHUNK % FILE_PAGES, i, k;
	void *chunk = (void *)word(from, 0);

	for (i = 0; i < CHUNK; i++)
		for (k = 1; k < WORDS; k++)
			*word(from + i, k) = direct_word(block + i, k, ~round);
	memset(own, 0, CHUNK * PAGE);
	if (pwrite(fd, chunk, CHUNK * PAGE, block * PAGE) != CHUNK * PAGE ||
	    pread(fd, own, CHUNK * PAGE, block * PAGE) != CHUNK * PAGE) {
		fail(r, "direct write: %s", strerror(errno));
		return;
	}
	for (i = 0; i < CHUNK; i++)
		for (k = 0; k < WORDS; k++)
			if (own[i * WORDS + k] !=
			    direct_word(block + i, k, ~round))
				fail(r, "file page %lu word %lu is not what was written",
				     block + i, k);
}

static void direct_run(const struct cmd *cmd, struct result *r)
{
	unsigned long end = now_ns() + cmd->seconds * 1000000000ull;
	unsigned long round = 1, *own;
	int fd;

	if (cmd->self) {
		direct_disturb(cmd, r);
		return;
	}
	if (!file_name) {
		r->skipped = 1;
		snprintf(r->text, sizeof(r->text), "no file given (-f)");
		return;
	}
	fd = open(file_name, O_RDWR | O_DIRECT);
	if (fd < 0) {
		r->skipped = 1;
		snprintf(r->text, sizeof(r->text), "%s: %s", file_name,
			 strerror(errno));
		return;
	}
	own = aligned_alloc(PAGE, CHUNK * PAGE);
	if (!own)
		abort();
	for (; now_ns() < end && !r->failed; round++) {
		direct_read(r, fd, own, round, 0);
		direct_write(r, fd, own, round, CHUNK);
		r->count++;
	}
	free(own);
	close(fd);
}

static void direct_prepare(const struct cmd *cmd, struct result *r)
{
	unsigned long page;

	(void)r;
	if (!cmd->self)
		for (page = 0; page < 2 * CHUNK; page++)
			*word(page, 0) = MAGIC;
}

enum {
	FN_FILL_WRITE, FN_PATTERN_WRITE, FN_PATTERN_READ, FN_CLEAR, FN_VERSION,
	FN_VERSION_CHECK, FN_COUNTER,
	FN_COUNTER_CHECK, FN_WORDS, FN_SB, FN_SB_CHECK, FN_MP,
	FN_DIRECT_PREPARE, FN_DIRECT, FN_BYE,
};

static void (*const fns[])(const struct cmd *cmd, struct result *r) = {
	[FN_FILL_WRITE] = fill_write,
	[FN_PATTERN_WRITE] = pattern_write,
	[FN_PATTERN_READ] = pattern_read,
	[FN_CLEAR] = clear,
	[FN_VERSION] = version_run,
	[FN_VERSION_CHECK] = version_check,
	[FN_COUNTER] = counter_run,
	[FN_COUNTER_CHECK] = counter_check,
	[FN_WORDS] = words_run,
	[FN_SB] = sb_run,
	[FN_SB_CHECK] = sb_check,
	[FN_MP] = mp_run,
	[FN_DIRECT_PREPARE] = direct_prepare,
	[FN_DIRECT] = direct_run,
};

/*
 * Workers
 */
static bool io_all(int fd, void *buf, size_t len, bool out)
{
	char *p = buf;
	ssize_t n;

	while (len) {
		n = out ? write(fd, p, len) : read(fd, p, len);
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static int worker(int ctl, const char *device)
{
	unsigned long mapped = 0;
	struct result r;
	struct cmd cmd;
	void *p;
	int fd;

	fd = open(device, O_RDWR);
	while (io_all(ctl, &cmd, sizeof(cmd), false)) {
		memset(&r, 0, sizeof(r));
		if (cmd.fn >= FN_BYE)
			return 0;
		if (!mapped) {
			p = mmap(NULL, cmd.pages * PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);
			if (p == MAP_FAILED)
				fail(&r, "%s: %s", device, strerror(errno));
			else
				mapped = cmd.pages;
			ram = p;
		}
		if (mapped)
			fns[cmd.fn](&cmd, &r);
		if (!io_all(ctl, &r, sizeof(r), true))
			return 1;
	}
	return 1;
}

/*
 * Coordinator
 */
static int ctl[WORKERS_MAX];
static unsigned int workers;
static unsigned long opt_pages = 4096, opt_seconds = 3;
static const char *opt_tests;
static unsigned int test_nr, tests_failed, tests_skipped;

static bool wanted(const char *name)
{
	size_t len = strlen(name);
	const char *p = opt_tests;

	for (; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, name, len) && (!p[len] || p[len] == ','))
			return true;
	return !opt_tests;
}

/* All workers, or one, do @fn; their counts are summed up */
static void order(struct result *sum, unsigned int fn, unsigned long arg, int only)
{
	struct cmd cmd = {
		.fn = fn, .workers = workers, .pages = opt_pages,
		.seconds = opt_seconds, .arg = arg,
	};
	struct result r;
	unsigned int i;

	for (i = 0; i < workers; i++) {
		if (only >= 0 && i != (unsigned int)only)
			continue;
		cmd.self = i;
		io_all(ctl[i], &cmd, sizeof(cmd), true);
	}
	sum->count = 0;
	for (i = 0; i < workers; i++) {
		if (only >= 0 && i != (unsigned int)only)
			continue;
		if (!io_all(ctl[i], &r, sizeof(r), false)) {
			fail(sum, "worker %u is gone", i);
			continue;
		}
		r.text[sizeof(r.text) - 1] = 0;
		sum->count += r.count;
		if (r.failed)
			fail(sum, "worker %u: %s", i, r.text);
		if (r.skipped) {
			sum->skipped = 1;
			memcpy(sum->text, r.text, sizeof(r.text));
		}
	}
}

static void verdict(const char *name, const struct result *r, unsigned long t0)
{
	test_nr++;
	if (r->failed) {
		tests_failed++;
		printf("not ok %u %s # %s\n", test_nr, name, r->text);
	} else if (r->skipped) {
		tests_skipped++;
		printf("ok %u %s # SKIP %s\n", test_nr, name, r->text);
	} else {
		printf("ok %u %s # %lu in %lu ms\n", test_nr, name, r->count,
		       (now_ns() - t0) / 1000000);
	}
	fflush(stdout);
}

static void test_fill(struct result *r)
{
	unsigned long count = 0;
	unsigned int i;

	for (i = 0; i < workers && !r->failed; i++) {
		order(r, FN_FILL_WRITE, 101 + i, i);
		count += r->count;
		order(r, FN_PATTERN_READ, 101 + i, -1);
		count += r->count;
	}
	r->count = count;
}

static void test_pattern(struct result *r)
{
	unsigned long round, count = 0;

	for (round = 1; round <= 3 && !r->failed; round++) {
		order(r, FN_PATTERN_WRITE, round, -1);
		count += r->count;
		order(r, FN_PATTERN_READ, round, -1);
		count += r->count;
	}
	r->count = count;
}

static void test_version(struct result *r)
{
	unsigned long count, sum = 0;
	unsigned int i;

	order(r, FN_CLEAR, 0, -1);
	order(r, FN_VERSION, 0, -1);
	count = r->count;
	for (i = 0; i < workers; i++) {
		order(r, FN_VERSION_CHECK, 0, i);
		if (i && r->count != sum)
			fail(r, "worker %u sees other versions than worker 0", i);
		sum = r->count;
	}
	r->count = count;
}

static void test_counter(struct result *r)
{
	unsigned int i;

	order(r, FN_CLEAR, 0, -1);
	order(r, FN_COUNTER, 0, -1);
	for (i = 0; i < workers; i++)
		order(r, FN_COUNTER_CHECK, r->count, i);
}

static void test_words(struct result *r)
{
	order(r, FN_CLEAR, 0, -1);
	order(r, FN_WORDS, 0, -1);
}

static void test_sb(struct result *r)
{
	order(r, FN_CLEAR, 0, -1);
	order(r, FN_SB, 0, -1);
	order(r, FN_SB_CHECK, 0, 0);
}

static void test_mp(struct result *r)
{
	order(r, FN_CLEAR, 0, -1);
	order(r, FN_MP, 0, -1);
}

static void test_direct(struct result *r)
{
	order(r, FN_DIRECT_PREPARE, 0, -1);
	order(r, FN_DIRECT, 0, -1);
}

static const struct {
	const char *name;
	void (*fn)(struct result *r);
} tests[] = {
	{ "fill", test_fill },
	{ "pattern", test_pattern },
	{ "version", test_version },
	{ "counter", test_counter },
	{ "words", test_words },
	{ "sb", test_sb },
	{ "mp", test_mp },
	{ "direct", test_direct },
};

static int coordinate(void)
{
	unsigned int i, nr = 0;
	struct result r;
	unsigned long t0;

	for (i = 0; i < ARRAY_SIZE(tests); i++)
		nr += wanted(tests[i].name);
	printf("TAP version 13\n1..%u\n", nr);
	fflush(stdout);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!wanted(tests[i].name))
			continue;
		memset(&r, 0, sizeof(r));
		t0 = now_ns();
		tests[i].fn(&r);
		verdict(tests[i].name, &r, t0);
	}
	for (i = 0; i < workers; i++) {
		struct cmd bye = { .fn = FN_BYE };

		io_all(ctl[i], &bye, sizeof(bye), true);
		close(ctl[i]);
	}
	while (wait(NULL) > 0)
		;
	if (tests_failed)
		return 1;
	return tests_skipped == test_nr ? 4 : 0;
}

static void die(const char *what)
{
	fprintf(stderr, "memtest: %s: %s\n", what, strerror(errno));
	exit(4);
}

static void listen_for(int port, unsigned int nr)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, nr))
		die("listen");
	while (workers < nr) {
		ctl[workers] = accept(fd, NULL, NULL);
		if (ctl[workers++] < 0)
			die("accept");
	}
	close(fd);
}

static int connect_to(char *address)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	char *colon = strchr(address, ':');
	int fd = -1, tries;

	if (!colon) {
		errno = EINVAL;
		die(address);
	}
	*colon = 0;
	sa.sin_port = htons(atoi(colon + 1));
	if (inet_pton(AF_INET, address, &sa.sin_addr) != 1)
		die(address);
	/* the coordinator may be started a little later */
	for (tries = 0; tries < 100; tries++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
			return fd;
		close(fd);
		usleep(100000);
	}
	die("connect");
	return -1;
}

static void fork_worker(const char *device)
{
	int pair[2];
	pid_t pid;
	unsigned int i;

	if (workers == WORKERS_MAX ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("socketpair");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		for (i = 0; i < workers; i++)
			close(ctl[i]);
		close(pair[0]);
		exit(worker(pair[1], device));
	}
	close(pair[1]);
	ctl[workers++] = pair[0];
}

int main(int argc, char **argv)
{
	char *address = NULL;
	int opt, port = 0;
	unsigned int nr = 2;

	while ((opt = getopt(argc, argv, "p:s:t:f:l:n:c:")) != -1) {
		switch (opt) {
		case 'p':
			opt_pages = strtoull(optarg, NULL, 0);
			break;
		case 's':
			opt_seconds = strtoull(optarg, NULL, 0);
			break;
		case 't':
			opt_tests = optarg;
			break;
		case 'f':
			file_name = optarg;
			break;
		case 'l':
			port = atoi(optarg);
			break;
		case 'n':
			nr = atoi(optarg);
			break;
		case 'c':
			address = optarg;
			break;
		default:
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	if (opt_pages < 2 * CHUNK || nr > WORKERS_MAX)
		return 2;
	if (address)
		return optind < argc ? worker(connect_to(address),
					      argv[optind]) : 2;
	if (port) {
		listen_for(port, nr);
	} else {
		for (; optind < argc; optind++)
			fork_worker(argv[optind]);
		if (workers < 2)
			return 2;
	}
	return coordinate();
}
