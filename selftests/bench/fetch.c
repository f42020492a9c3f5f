// SPDX-License-Identifier: GPL-2.0
/*
 * fetch - pages of guest RAM, written on one host and read on another
 *
 *	fetch write DEVICE PAGES SEED
 *		Writes the first PAGES pages: they are owned here then.
 *
 *	fetch read DEVICE PAGES SEED FROM COUNT
 *		Reads a word of COUNT pages, in an order without runs; FROM is where in that
 *		order. A line "fetch" with the time of each in ns.
 *
 *	fetch scan DEVICE PAGES SEED
 *		Reads a word of each page, in order; a line "scan NS".
 *
 * A word that is not what SEED says ends it with status 1.
 */
#include <stdbool.h>
#include "ram.h"

#define WORDS	(PAGE / sizeof(uint64_t))

/* The bits of @i in reverse: any stride would have runs in it for a prefetcher to find */
static unsigned long scatter(unsigned long i, unsigned long pages)
{
	unsigned long r = 0;

	for (; pages > 1; pages >>= 1, i >>= 1)
		r = r << 1 | (i & 1);
	return r;
}

static uint64_t content(uint64_t seed, unsigned long page, unsigned int i)
{
	return ((seed + 1) * 0x9e3779b97f4a7c15ull + page) ^ i * 0xff51afd7ed558ccdull;
}

static uint64_t read_page(volatile uint64_t *ram, unsigned long page, uint64_t seed)
{
	uint64_t t = now_ns(), have = ram[page * WORDS + 7];

	t = now_ns() - t;
	if (have != content(seed, page, 7)) {
		fprintf(stderr, "fetch: page %lu is wrong\n", page);
		exit(1);
	}
	return t;
}

int main(int argc, char **argv)
{
	unsigned long n[4] = { 0 }, have, p;
	volatile uint64_t *ram;
	uint64_t t;
	int i;

	for (i = 3; i < argc && i < 7; i++)
		n[i - 3] = strtoul(argv[i], NULL, 0);
	if (argc < 5 || argc != (strcmp(argv[1], "read") ? 5 : 7) || n[0] & (n[0] - 1)) {
		fprintf(stderr, "usage: fetch write|scan DEVICE PAGES SEED\n"
			"       fetch read DEVICE PAGES SEED FROM COUNT\n"
			"PAGES must be a power of two\n");
		return 2;
	}
	ram = map(argv[2], &have);
	if (have < n[0]) {
		fprintf(stderr, "fetch: %s has %lu pages only\n", argv[2], have);
		return 1;
	}
	if (!strcmp(argv[1], "write")) {
		for (p = 0; p < n[0]; p++)
			for (i = 0; i < (int)WORDS; i++)
				ram[p * WORDS + i] = content(n[1], p, i);
	} else if (!strcmp(argv[1], "read")) {
		printf("fetch");
		for (p = n[2]; p < n[2] + n[3]; p++)
			printf(" %llu", (unsigned long long)
			       read_page(ram, scatter(p, n[0]), n[1]));
		printf("\n");
	} else if (!strcmp(argv[1], "scan")) {
		t = now_ns();
		for (p = 0; p < n[0]; p++)
			read_page(ram, p, n[1]);
		printf("scan %llu\n", (unsigned long long)(now_ns() - t));
	} else {
		return 2;
	}
	return 0;
}
