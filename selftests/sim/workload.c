// SPDX-License-Identifier: GPL-2.0
/*
 * What the guest does: each thread says which page it wants next, for what, and how
 * long it computes before
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#define GROUP	8	/* nodes that share falsely */
#define RING	16	/* pages between a producer and its consumers */
#define TURN	6	/* rounds through the ring before another one produces */
#define BURST	4	/* accesses before a thread goes elsewhere */

static bool is_write(void)
{
	return sim_below(100) < cfg.write_pct;
}

/* Own pages only, spread over all homes */
static void private_next(struct sim_thread *t)
{
	t->page = sim_below(cfg.pages) * cfg.nodes + t->node - 1;
	t->write = is_write();
}

/* Any page */
static void uniform_next(struct sim_thread *t)
{
	t->page = sim_below(sim.pages);
	t->write = is_write();
}

/* All read the same few pages, and sometimes one writes one of them */
static void read_mostly_next(struct sim_thread *t)
{
	u32 hot = sim.pages < 256 ? sim.pages : 256;

	t->page = (u64)sim_below(hot) * sim.pages / hot;
	t->write = sim_below(1000) < 5;
}

/* As data under a lock: read, then written a few times, then somebody else's turn */
static void migratory_next(struct sim_thread *t)
{
	u32 hot = 2 * cfg.nodes < sim.pages ? 2 * cfg.nodes : sim.pages;

	if (!t->left) {
		t->left = BURST;
		t->page = (u64)sim_below(hot) * sim.pages / hot;
	}
	t->write = t->left != BURST;
	t->left--;
}

/* One of four writes a ring of pages, the others read it, each at its own pace */
static void producer_next(struct sim_thread *t)
{
	u32 first = (t->node - 1) / 4 * 4;

	t->page = ((u64)first * cfg.pages + t->pos++ % RING) % sim.pages;
	t->write = (t->node - 1) % 4 == 0;
}

/* Likewise, and each of the four is the one that writes for some rounds */
static void turns_next(struct sim_thread *t)
{
	u32 first = (t->node - 1) / 4 * 4, round = t->pos / RING;

	t->page = ((u64)first * cfg.pages + t->pos++ % RING) % sim.pages;
	t->write = (t->node - 1u) % 4 == round / TURN % 4;
}

/* Two nodes write the same page */
static void ping_pong_next(struct sim_thread *t)
{
	t->page = (u64)((t->node - 1) / 2 * 2) * cfg.pages;
	t->write = true;
}

/* Eight nodes write different words of the same page, some times each */
static void false_sharing_next(struct sim_thread *t)
{
	t->page = (u64)((t->node - 1) / GROUP * GROUP) * cfg.pages;
	t->write = t->pos++ % 4 != 0;
}

/* Page after page, through what other nodes have: --no-fresh makes them have it */
static void scan_next(struct sim_thread *t)
{
	u32 start = (u64)(t->node % cfg.nodes) * cfg.pages;

	t->page = (start + t->pos++) % sim.pages;
	t->write = false;
}

/* Own pages, and the neighbour's to read, a fifth of which is hot: for budgets */
static void skewed_next(struct sim_thread *t)
{
	u32 of = t->node - 1, in = cfg.pages;

	if (sim_below(3)) {
		of = t->node % cfg.nodes;
		if (sim_below(5))
			in = cfg.pages / 5 + 1;
	}
	t->page = of * cfg.pages + sim_below(in);
	t->write = of == t->node - 1u && is_write();
}

/* Own pages, and of the neighbour's a hot tenth between those of a scan: likewise */
static void hot_scan_next(struct sim_thread *t)
{
	u32 of = t->node - 1, page = sim_below(cfg.pages);

	if (sim_below(3)) {
		of = t->node % cfg.nodes;
		page = sim_below(2) ? sim_below(cfg.pages / 10 + 1) :
		       t->pos++ % cfg.pages;
	}
	t->page = of * cfg.pages + page;
	t->write = of == t->node - 1u && is_write();
}

/* One of two uses the pages of both, a fifth of them hot, the other next to none */
static void lopsided_next(struct sim_thread *t)
{
	u32 first = (t->node - 1) / 2 * 2 * cfg.pages, in = 2 * cfg.pages;

	t->page = first;
	t->write = 0;
	if (t->node % 2 == 0)
		return;
	/* the hot ones are not next to each other: 37 is prime */
	t->page += sim_below(sim_below(5) ? in / 5 + 1 : in) * 37 % in;
	t->page %= sim.pages;
	t->write = is_write();
}

static const struct {
	const char *name;
	void (*next)(struct sim_thread *t);
	const char *what;
} workloads[] = {
	{ "private", private_next, "each thread its node's own pages" },
	{ "uniform", uniform_next, "each thread any page" },
	{ "read-mostly", read_mostly_next, "256 pages, one of 200 accesses writes" },
	{ "migratory", migratory_next, "read, write three times, go elsewhere" },
	{ "producer-consumer", producer_next, "one writes 16 pages, three read them" },
	{ "turns", turns_next, "the same, after six rounds another one writes" },
	{ "ping-pong", ping_pong_next, "two nodes write one page" },
	{ "false-sharing", false_sharing_next, "eight nodes write one page" },
	{ "scan", scan_next, "page after page through what others have" },
	{ "skewed", skewed_next, "own pages, and the neighbour's with a hot fifth" },
	{ "hot-scan", hot_scan_next, "own pages, the neighbour's scanned, a hot tenth" },
	{ "lopsided", lopsided_next, "one of two uses the pages of both, a fifth hot" },
};

#define NR	(sizeof(workloads) / sizeof(workloads[0]))

static unsigned int which;

void workload_list(void)
{
	unsigned int i;

	for (i = 0; i < NR; i++)
		fprintf(stderr, "  %-18s %s\n", workloads[i].name,
			workloads[i].what);
}

int workload_init(void)
{
	if (cfg.trace)
		return trace_init();
	for (which = 0; which < NR; which++)
		if (!strcmp(workloads[which].name, cfg.workload))
			return 0;
	fprintf(stderr, "sim: no workload is called %s; see --help\n",
		cfg.workload);
	return -1;
}

bool workload_next(struct sim_thread *t, u64 *think)
{
	if (cfg.trace)
		return trace_next(t, think);
	workloads[which].next(t);
	*think = cfg.think_ns ? sim_random() % (2 * cfg.think_ns + 1) : 0;
	return true;
}
