// SPDX-License-Identifier: GPL-2.0
/*
 * ramdev - figures of guest RAM that need no guest: `make bench` runs it on a host
 *
 *	ramdev upgrade ROUNDS PAGES DEVICE DEVICE...
 *		All nodes in one kernel. Time of the write by an owner whose page is
 *		read by one other node, and by all others; lines of
 *		"upgrade GFN WRITER SHARERS NS"; see upgrade_batch() below.
 *
 *	ramdev metadata DEVICE FIRST PAGES
 *		Write PAGES pages from FIRST on, none of which was touched before, and
 *		print how much more memory the host uses than these pages themselves
 *		and what maps them into this process: "metadata PAGES BYTES".
 *
 *	ramdev used
 *		Pages of memory that the host uses, other than for page tables, page
 *		cache and processes: "used PAGES".
 */
#include <unistd.h>
#include "ram.h"

#define NODES_MAX	8
/* Longer than a page is held for whoever got it: see hold_us in kmod/recall.c */
#define HOLD_OVER_NS	40000000

static void hold_over(void)
{
	struct timespec ts = { 0, HOLD_OVER_NS };

	nanosleep(&ts, NULL);
}

static volatile uint64_t *page(volatile uint64_t *ram, unsigned long gfn)
{
	return ram + gfn * PAGE / sizeof(*ram);
}

/*
 * For every page and round: one node writes it and so owns it, SHARERS others read
 * it, then the owner writes again and is timed. The case with one sharer and the one
 * with all others as sharers take turns, page by page. The one sharer changes
 * from round to round; so does the writer. PAGES are spread evenly over guest RAM, so
 * homes are, too. It is printed which page it was; whoever reads that knows its home.
 */
static void upgrade_batch(volatile uint64_t **ram, unsigned int nodes,
			  const unsigned long *gfn, unsigned int n,
			  unsigned int round, unsigned int first)
{
	unsigned int i, k, writer, sharers;
	uint64_t t;

	for (i = 0; i < n; i++) {
		writer = (round + i / 2) % nodes;
		sharers = (i + first) % 2 ? nodes - 1 : 1;
		*page(ram[writer], gfn[i]) = round + 1;
		for (k = 0; k < sharers; k++)
			(void)*page(ram[(writer + 1 + (k + round / nodes) %
					 (nodes - 1)) % nodes], gfn[i]);
	}
	hold_over();
	for (i = 0; i < n; i++) {
		writer = (round + i / 2) % nodes;
		sharers = (i + first) % 2 ? nodes - 1 : 1;
		t = now_ns();
		*page(ram[writer], gfn[i]) = round + 2;
		t = now_ns() - t;
		printf("upgrade %lu %u %u %llu\n", gfn[i], writer, sharers,
		       (unsigned long long)t);
	}
	hold_over();
}

static int upgrade(unsigned int rounds, unsigned int n, char **device,
		   unsigned int nodes)
{
	volatile uint64_t *ram[NODES_MAX];
	unsigned long pages, *gfn;
	unsigned int i, round;

	gfn = calloc(n, sizeof(*gfn));
	if (nodes < 3 || nodes > NODES_MAX || !gfn)
		return 2;
	for (i = 0; i < nodes; i++)
		ram[i] = map(device[i], &pages);
	for (i = 0; i < n; i++)
		gfn[i] = pages / n * i + i % (pages / n);
	for (round = 0; round < rounds; round++) {
		upgrade_batch(ram, nodes, gfn, n, round, 0);
		upgrade_batch(ram, nodes, gfn, n, round, 1);
	}
	return 0;
}

/* Value of the line "NAME VALUE"; @name with the end of the line before, if any */
static long vmstat(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	if (!p)
		die(name);
	return strtol(p + strlen(name), NULL, 10);
}

static void slurp(const char *file, char *buf, size_t size)
{
	int fd = open(file, O_RDONLY);
	ssize_t got = 0, len = 0;

	if (fd < 0)
		die(file);
	while ((got = read(fd, buf + len, size - 1 - len)) > 0)
		len += got;
	close(fd);
	buf[len] = 0;
}

/*
 * Pages that are neither free, nor in lists of free pages of each CPU, nor page
 * tables, nor page cache or a process's own.
 */
static long used_pages(void)
{
	static char text[1 << 16];
	long used;
	char *p;

	/* counters of each CPU are folded once a second, or by this */
	slurp("/proc/sys/vm/stat_refresh", text, sizeof(text));
	slurp("/proc/vmstat", text, sizeof(text));
	used = -vmstat(text, "nr_free_pages ");
	used -= vmstat(text, "\nnr_page_table_pages ");
	used -= vmstat(text, "\nnr_file_pages ");
	used -= vmstat(text, "\nnr_anon_pages ");
	slurp("/proc/zoneinfo", text, sizeof(text));
	for (p = text; (p = strstr(p, " count: ")); p += 8)
		used -= strtol(p + 8, NULL, 10);
	return used;
}

static int metadata(const char *device, unsigned long first, unsigned long n)
{
	unsigned long pages, i;
	volatile uint64_t *ram;
	long before, after;

	ram = map(device, &pages);
	if (first + n > pages) {
		fprintf(stderr, "ramdev: %s has %lu pages only\n", device, pages);
		return 1;
	}
	/* what looking at it needs is there after the first time */
	used_pages();
	before = used_pages();
	for (i = first; i < first + n; i++)
		*page(ram, i) = i;
	after = used_pages();
	printf("metadata %lu %ld\n", n, (after - before - (long)n) * (long)PAGE);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && !strcmp(argv[1], "upgrade"))
		return upgrade(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0),
			       argv + 4, argc - 4);
	if (argc == 5 && !strcmp(argv[1], "metadata"))
		return metadata(argv[2], strtoul(argv[3], NULL, 0),
				strtoul(argv[4], NULL, 0));
	if (argc == 2 && !strcmp(argv[1], "used")) {
		used_pages();
		printf("used %ld\n", used_pages());
		return 0;
	}
	fprintf(stderr, "usage: ramdev upgrade ROUNDS PAGES DEVICE DEVICE DEVICE...\n"
		"       ramdev metadata DEVICE FIRST PAGES\n"
		"       ramdev used\n");
	return 2;
}
