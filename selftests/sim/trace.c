// SPDX-License-Identifier: GPL-2.0
/*
 * What a real guest did
 *
 * A line for each fault: time in microseconds, node, R or W, page number in hex;
 * lines with # are comments. Each node's faults are replayed in their order and with
 * the pauses between them; a pause above SIM_PAUSE_US is cut, and time that a node
 * spends waiting here shifts what it does afterwards. Order between nodes is what
 * comes of that. Page numbers are packed to those that occur, order kept.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_PAUSE_US	1000

struct record {
	u64 us;
	u64 gfn;
	u32 next;	/* of the same node */
	u16 node;
	bool write;
};

static struct record *records;
static u32 nr_records, max_records;
static u32 first[HK_MAX_NODES];

static int by_gfn(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int bad(unsigned int line, const char *why)
{
	fprintf(stderr, "sim: %s:%u: %s\n", cfg.trace, line, why);
	return -1;
}

static int add(const char *text, unsigned int line)
{
	struct record r = { 0 };
	unsigned int node;
	char access;

	if (text[0] == '#' || text[0] == '\n')
		return 0;
	if (sscanf(text, "%llu %u %c %llx", &r.us, &node, &access, &r.gfn) != 4)
		return bad(line, "not: time node R|W page");
	if (!node || node >= HK_MAX_NODES)
		return bad(line, "no such node id");
	if (access != 'R' && access != 'W')
		return bad(line, "access is R or W");
	r.node = node;
	r.write = access == 'W';
	if (nr_records == max_records) {
		max_records = max_records ? 2 * max_records : 4096;
		records = realloc(records, max_records * sizeof(*records));
		if (!records)
			abort();
	}
	records[nr_records++] = r;
	if (node > cfg.nodes)
		cfg.nodes = node;
	return 0;
}

/* Page numbers to 0, 1, ...; Return: how many */
static u32 pack(void)
{
	u64 *gfn = sim_alloc(nr_records, sizeof(*gfn));
	u32 i, nr = 0;

	for (i = 0; i < nr_records; i++)
		gfn[i] = records[i].gfn;
	qsort(gfn, nr_records, sizeof(*gfn), by_gfn);
	for (i = 0; i < nr_records; i++)
		if (!i || gfn[i] != gfn[i - 1])
			gfn[nr++] = gfn[i];
	for (i = 0; i < nr_records; i++) {
		u64 *at = bsearch(&records[i].gfn, gfn, nr, sizeof(*gfn), by_gfn);

		records[i].gfn = at - gfn;
	}
	free(gfn);
	return nr;
}

int trace_init(void)
{
	FILE *f = strcmp(cfg.trace, "-") ? fopen(cfg.trace, "r") : stdin;
	unsigned int line = 0;
	char text[128];
	u32 i, last[HK_MAX_NODES] = { 0 };

	if (!f) {
		perror(cfg.trace);
		return -1;
	}
	cfg.nodes = 2;
	cfg.threads = 1;
	while (fgets(text, sizeof(text), f))
		if (add(text, ++line))
			return -1;
	if (ferror(f) || !nr_records)
		return bad(line, "no records");
	if (f != stdin)
		fclose(f);
	cfg.pages = (pack() + cfg.nodes - 1) / cfg.nodes;
	cfg.accesses = nr_records + 1;
	cfg.faults = nr_records + 1;
	for (i = 0; i < nr_records; i++) {
		u16 node = records[i].node;

		if (last[node])
			records[last[node] - 1].next = i + 1;
		else
			first[node] = i + 1;
		last[node] = i + 1;
	}
	return 0;
}

bool trace_next(struct sim_thread *t, u64 *think)
{
	const struct record *r, *before = NULL;
	u64 us;

	if (t->left) {
		before = &records[t->left - 1];
		t->left = before->next;
	} else {
		t->left = first[t->node];
	}
	if (!t->left)
		return false;
	r = &records[t->left - 1];
	t->page = r->gfn;
	t->write = r->write;
	us = before && r->us > before->us ? r->us - before->us : 0;
	*think = (us < SIM_PAUSE_US ? us : SIM_PAUSE_US) * 1000;
	return true;
}
