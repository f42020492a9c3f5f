/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world of a litmus test: a few vCPUs with store buffers, each on a node of
 * its own, two pages, a FIFO for each ordered pair of nodes
 */
#ifndef HK_EXPLORE_LITMUS_H
#define HK_EXPLORE_LITMUS_H

#include "../../dsm/directory.h"
#include "../../dsm/page.h"
#include "../../dsm/group.h"
#include "tokens.h"

#define NODES_MAX	4
#define PAGES		2
#define QUEUE_MAX	12
#define PACK_MAX	200
#define CODE_MAX	3
#define BUFFER_MAX	2	/* no test has more stores in a row */

/* Content of a copy: the value and one, 0: no copy */
struct node_page {
	u8 state;
	u8 copy;
	u8 ruler;
	struct hk_page_ctx ctx;
};

struct cell {
	u8 page;
	u8 type;
	u8 req;
	u8 acks;
	u8 flags;
	u8 copy;
};

struct vcpu {
	u8 pc;
	u8 stores;		/* in the buffer, oldest first */
	u8 page[BUFFER_MAX];
	u8 val[BUFFER_MAX];
	u8 reg[2];
};

/* vCPU i, from 0, runs on node i + 1 */
struct world {
	struct vcpu cpu[NODES_MAX];
	struct hk_dir dir[PAGES];
	struct hk_dir_wait wait[PAGES];
	/* as in model.h */
	struct hk_dir rule[PAGES];
	struct hk_dir_wait rule_wait[PAGES];
	struct node_page np[PAGES][NODES_MAX + 1];
	u8 qlen[NODES_MAX + 1][NODES_MAX + 1];
	struct cell q[NODES_MAX + 1][NODES_MAX + 1][QUEUE_MAX];
};

enum happening_kind {
	DO_EXEC,	/* next instruction */
	DO_DRAIN,	/* oldest store leaves the buffer */
	DO_READ,	/* faults on the way there, and prefetch */
	DO_WRITE,
	DO_DROP,
	DO_DELIVER,	/* from here on: happens without anybody's wish */
	DO_TAKEN,
	DO_DOWNGRADED,
};

struct happening {
	u8 kind;
	u8 node;
	u8 from;
	u8 page;
	u8 nth;		/* DO_DELIVER: which in the queue */
	u8 migrates;	/* home thinks so of the page */
	u8 steady;	/* and of its owner */
};

static inline bool happening_is_progress(const struct happening *h)
{
	return h->kind >= DO_DELIVER;
}

#define HAPPENINGS_MAX	128

/* All return NULL, or what is wrong */
const char *world_apply(struct world *w, const struct happening *h);
const char *world_check(const struct world *w);

unsigned int world_happenings(const struct world *w, struct happening *h);
void world_first(struct world *w);
bool world_quiet(const struct world *w);
void world_print(const struct world *w);
void happening_print(const struct world *w, const struct happening *h);

void pack_init(void);
unsigned int world_pack(const struct world *w, u8 *buf);
void world_unpack(struct world *w, const u8 *buf);

/* engine.c: Return: 0, or 1 when a fault was found and its trace printed */
int explore(unsigned int depth_max, u32 states_max);
void config_print(void);

extern unsigned int queue_seen;

#endif /* HK_EXPLORE_LITMUS_H */
