// SPDX-License-Identifier: GPL-2.0
/*
 * levers - work on guest RAM of which module parameters make more or less
 *
 *	levers scan ROUNDS PAGES same|random DEVICE DEVICE
 *		Both nodes in one kernel. The first one writes all pages, words that
 *		are all alike or not; the second one reads them, in order, and that is
 *		timed; a line "scan NS" a round.
 *
 *	levers again ROUNDS PAGES same|changed DEVICE DEVICE
 *		The first node writes all pages, the words they have or other ones; the second
 *		one reads them, in no order, and that is timed; a line "again NS" a round.
 *
 *	levers share ROUNDS MS DEVICE DEVICE
 *		Each node adds to a word of its own in the same page, without pause, for so
 *		long; a line "share ADDITIONS" a round, of both together.
 *
 *	levers pass ROUNDS PAGES DEVICE DEVICE
 *		One node after the other reads a word of each page and writes it then, in no
 *		order; a line "pass NS" a round, of both together.
 *
 *	levers produce ROUNDS FIRST PAGES DEVICE DEVICE...
 *		The first node writes a word of each of PAGES pages from FIRST on, then all
 *		others read it, in no order; a line "produce NS" a round.
 *
 *	levers skew ROUNDS COLD HOT OWN DEVICE DEVICE [DEVICE]
 *		The first node writes COLD pages, the last one HOT more, and the second one
 *		OWN more. Then the second one reads all that is cold, a few pages at a time,
 *		and after each few all that is hot, in no order; a line "skew NS" a round. With enough of
 *		its own it has room for less than all of that.
 */
#include <pthread.h>
#include <stdbool.h>
#include "ram.h"

#define WORDS	(PAGE / sizeof(uint64_t))

/* Pages between those of different nodes, more than are prefetched behind a run */
#define SKEW_GAP	64
/* Cold pages read between two looks at all hot ones */
#define SKEW_FEW	32

static volatile bool over;

static volatile uint64_t *map_at_least(const char *device, unsigned long want)
{
	volatile uint64_t *ram;
	unsigned long pages;

	ram = map(device, &pages);
	if (pages < want) {
		fprintf(stderr, "levers: %s has %lu pages only\n", device, pages);
		exit(1);
	}
	return ram;
}

/* Word of a page in a round: what it must be when it is read */
static uint64_t content(unsigned int round, unsigned long page, unsigned int i, bool same)
{
	uint64_t x = (round + 1) * 0x9e3779b97f4a7c15ull + page;

	return same ? x : x ^ i * 0xff51afd7ed558ccdull;
}

static int scan(unsigned int rounds, unsigned long pages, bool same,
		volatile uint64_t *from, volatile uint64_t *to)
{
	unsigned int round, i;
	uint64_t t, wrong;
	unsigned long p;

	for (round = 0; round < rounds; round++) {
		for (p = 0; p < pages; p++)
			for (i = 0; i < WORDS; i++)
				from[p * WORDS + i] = content(round, p, i, same);
		wrong = 0;
		t = now_ns();
		for (p = 0; p < pages; p++)
			wrong += to[p * WORDS + 7] != content(round, p, 7, same);
		t = now_ns() - t;
		if (wrong) {
			fprintf(stderr, "levers: %llu pages are wrong\n",
				(unsigned long long)wrong);
			return 1;
		}
		printf("scan %llu\n", (unsigned long long)t);
	}
	return 0;
}

/* The pages are far enough apart not to look like a run */
static unsigned long pass_page(unsigned long i, unsigned long pages)
{
	return i * 37 % pages;
}

static int again(unsigned int rounds, unsigned long pages, bool changed,
		 volatile uint64_t *from, volatile uint64_t *to)
{
	unsigned int round, i;
	uint64_t t, wrong;
	unsigned long k, p;

	/* the first round is to have something that is written again */
	for (round = 0; round <= rounds; round++) {
		unsigned int seed = changed ? round : 0;

		for (p = 0; p < pages; p++)
			for (i = 0; i < WORDS; i++)
				from[p * WORDS + i] = content(seed, p, i, false);
		wrong = 0;
		t = now_ns();
		for (k = 0; k < pages; k++) {
			p = pass_page(k, pages);
			wrong += to[p * WORDS + 7] != content(seed, p, 7, false);
		}
		t = now_ns() - t;
		for (p = 0; p < pages; p++)
			for (i = 0; i < WORDS; i++)
				wrong += to[p * WORDS + i] != content(seed, p, i, false);
		if (wrong) {
			fprintf(stderr, "levers: %llu words are wrong\n",
				(unsigned long long)wrong);
			return 1;
		}
		if (round)
			printf("again %llu\n", (unsigned long long)t);
	}
	return 0;
}

static void *add(void *arg)
{
	volatile uint64_t *word = arg;

	while (!over)
		++*word;
	return NULL;
}

static int share(unsigned int rounds, unsigned int ms, volatile uint64_t *a,
		 volatile uint64_t *b)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };
	volatile uint64_t *word[2] = { a, b + 64 };
	uint64_t before;
	pthread_t id[2];
	unsigned int i;

	while (rounds--) {
		before = *word[0] + *word[1];
		over = false;
		for (i = 0; i < 2; i++)
			if (pthread_create(&id[i], NULL, add, (void *)word[i]))
				die("thread");
		nanosleep(&ts, NULL);
		over = true;
		for (i = 0; i < 2; i++)
			pthread_join(id[i], NULL);
		printf("share %llu\n", (unsigned long long)(*word[0] + *word[1] - before));
	}
	return 0;
}

/* Read first, and written in another instruction, as under a lock */
static void visit(volatile uint64_t *word, uint64_t want)
{
	uint64_t x = *word;

	if (x != want) {
		fprintf(stderr, "levers: %llu is read, %llu was written\n",
			(unsigned long long)x, (unsigned long long)want);
		exit(1);
	}
	asm volatile("" : "+r" (x) : : "memory");
	*word = x + 1;
}

static int pass(unsigned int rounds, unsigned long pages, volatile uint64_t *a,
		volatile uint64_t *b)
{
	volatile uint64_t *ram[2] = { a, b };
	unsigned int round, node;
	unsigned long i;
	uint64_t t;

	for (i = 0; i < pages; i++)
		a[i * WORDS] = 0;
	for (round = 0; round < rounds; round++) {
		t = now_ns();
		for (node = 0; node < 2; node++)
			for (i = 0; i < pages; i++)
				visit(&ram[1 - node][pass_page(i, pages) * WORDS],
				      2 * round + node);
		printf("pass %llu\n", (unsigned long long)(now_ns() - t));
	}
	return 0;
}

static int produce(unsigned int rounds, unsigned long first, unsigned long pages,
		   char **device, int devices)
{
	volatile uint64_t *ram[8];
	const uint64_t begin = now_ns();
	unsigned long i, at;
	unsigned int round;
	uint64_t start;
	int n;

	for (n = 0; n < devices; n++)
		ram[n] = map_at_least(device[n], first + pages);
	for (round = 0; round < rounds; round++) {
		start = now_ns();
		for (i = 0; i < pages; i++)
			ram[0][(first + pass_page(i, pages)) * WORDS] = begin + round + i;
		for (n = 1; n < devices; n++)
			for (i = 0; i < pages; i++) {
				at = (first + pass_page(i, pages)) * WORDS;
				if (ram[n][at] != begin + round + i) {
					printf("produce: bad content of page %lu on node %d\n",
					       at / WORDS, n + 1);
					return 1;
				}
			}
		printf("produce %llu\n", (unsigned long long)(now_ns() - start));
	}
	return 0;
}

static void fill(volatile uint64_t *ram, unsigned long first, unsigned long pages)
{
	unsigned long p;

	for (p = first; p < first + pages; p++)
		ram[p * WORDS + 7] = content(0, p, 7, false);
}

static void look(volatile uint64_t *ram, unsigned long first, unsigned long pages)
{
	unsigned long p;

	for (p = first; p < first + pages; p++) {
		if (ram[p * WORDS + 7] == content(0, p, 7, false))
			continue;
		fprintf(stderr, "levers: page %lu is wrong\n", p);
		exit(1);
	}
}

static int skew(unsigned int rounds, unsigned long cold, unsigned long hot,
		unsigned long own, char **device, int devices)
{
	unsigned long first_hot = cold + SKEW_GAP;
	unsigned long first_own = first_hot + hot + SKEW_GAP;
	volatile uint64_t *ram[3];
	unsigned long p;
	uint64_t t;
	int i;

	for (i = 0; i < devices; i++)
		ram[i] = map_at_least(device[i], first_own + own);
	fill(ram[0], 0, cold);
	fill(ram[devices == 3 ? 2 : 0], first_hot, hot);
	fill(ram[1], first_own, own);
	while (rounds--) {
		t = now_ns();
		for (p = 0; p < cold; p += SKEW_FEW) {
			look(ram[1], p, cold - p < SKEW_FEW ? cold - p : SKEW_FEW);
			for (i = 0; i < (int)hot; i++)
				look(ram[1], first_hot + pass_page(i, hot), 1);
		}
		printf("skew %llu\n", (unsigned long long)(now_ns() - t));
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long n[2];

	if (argc == 7 && !strcmp(argv[1], "scan")) {
		n[0] = strtoul(argv[2], NULL, 0);
		n[1] = strtoul(argv[3], NULL, 0);
		return scan((unsigned int)n[0], n[1], !strcmp(argv[4], "same"),
			    map_at_least(argv[5], n[1]), map_at_least(argv[6], n[1]));
	}
	if (argc == 7 && !strcmp(argv[1], "again")) {
		n[0] = strtoul(argv[2], NULL, 0);
		n[1] = strtoul(argv[3], NULL, 0);
		return again((unsigned int)n[0], n[1], !strcmp(argv[4], "changed"),
			     map_at_least(argv[5], n[1]), map_at_least(argv[6], n[1]));
	}
	if (argc == 6 && !strcmp(argv[1], "share")) {
		n[0] = strtoul(argv[2], NULL, 0);
		n[1] = strtoul(argv[3], NULL, 0);
		return share((unsigned int)n[0], (unsigned int)n[1], map_at_least(argv[4], 1),
			     map_at_least(argv[5], 1));
	}
	if (argc == 6 && !strcmp(argv[1], "pass")) {
		n[0] = strtoul(argv[2], NULL, 0);
		n[1] = strtoul(argv[3], NULL, 0);
		return pass((unsigned int)n[0], n[1], map_at_least(argv[4], n[1]),
			    map_at_least(argv[5], n[1]));
	}
	if (argc >= 7 && argc <= 13 && !strcmp(argv[1], "produce"))
		return produce((unsigned int)strtoul(argv[2], NULL, 0),
			       strtoul(argv[3], NULL, 0), strtoul(argv[4], NULL, 0),
			       argv + 5, argc - 5);
	if ((argc == 8 || argc == 9) && !strcmp(argv[1], "skew"))
		return skew((unsigned int)strtoul(argv[2], NULL, 0),
			    strtoul(argv[3], NULL, 0), strtoul(argv[4], NULL, 0),
			    strtoul(argv[5], NULL, 0), argv + 6, argc - 6);
	fprintf(stderr, "usage: levers scan ROUNDS PAGES same|random DEVICE DEVICE\n"
		"       levers again ROUNDS PAGES same|changed DEVICE DEVICE\n"
		"       levers share ROUNDS MS DEVICE DEVICE\n"
		"       levers pass ROUNDS PAGES DEVICE DEVICE\n"
		"       levers produce ROUNDS FIRST PAGES DEVICE DEVICE...\n"
		"       levers skew ROUNDS COLD HOT OWN DEVICE DEVICE [DEVICE]\n");
	return 2;
}
