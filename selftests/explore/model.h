/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world that the explorer walks through: a few nodes, one or two pages, a
 * FIFO for each ordered pair of nodes, and what guests have written
 */
#ifndef HK_EXPLORE_MODEL_H
#define HK_EXPLORE_MODEL_H

#include "../../dsm/directory.h"
#include "../../dsm/page.h"
#include "../../dsm/group.h"
#include "tokens.h"

#ifndef NODES_MAX
#define NODES_MAX	5
#endif
#define PAGES_MAX	2
/* room; the bound that is checked is lower */
#if NODES_MAX < 8
#define QUEUE_MAX	12
#else
#define QUEUE_MAX	(2 * NODES_MAX + 4)
#endif
#define PACK_MAX	160

/*
 * Content of a copy. A store makes the copy that it hits current and all others
 * stale. That is exact: which old value a stale copy has does not matter, it
 * must not be seen.
 */
enum { VAL_NONE = 0, VAL_STALE, VAL_CURRENT };

enum { SLEEP_READ = 1, SLEEP_WRITE = 2 };

struct node_page {
	u8 state;
	u8 copy;	/* VAL_* of the page's memory here */
	u8 asleep;	/* SLEEP_*: faulting threads waiting for HK_ACT_WAKE */
	u8 ruler;	/* as the engine wants it back */
	struct hk_page_ctx ctx;
};

/* As hk_nodes, as short as it may be: most of a world is cells */
#if NODES_MAX < 8
typedef u8 cell_nodes;
#else
typedef u64 cell_nodes;
#endif

struct cell {
	cell_nodes acks;
	u8 page;
	u8 type;
	u8 req;
	u8 flags;
	u8 val;		/* VAL_* of the data carried */
};

/* Indices are node ids, from 1 */
struct world {
	struct hk_dir dir[PAGES_MAX];
	struct hk_dir_wait wait[PAGES_MAX];
	/* of the owner that is lent the page, if one is; of others there is none */
	struct hk_dir rule[PAGES_MAX];
	struct hk_dir_wait rule_wait[PAGES_MAX];
	u8 written[PAGES_MAX];
	struct node_page np[PAGES_MAX][NODES_MAX + 1];
	u8 qlen[NODES_MAX + 1][NODES_MAX + 1];
	struct cell q[NODES_MAX + 1][NODES_MAX + 1][QUEUE_MAX];
};

enum happening_kind {
	DO_READ,	/* read fault */
	DO_FORGET,	/* likewise, it was forgotten who ruled the last copy */
	DO_WRITE,	/* write fault */
	DO_STORE,	/* a write through the mapping, without a fault */
	DO_DROP,
	DO_DELIVER,	/* from here on: happens without anybody's wish */
	DO_TAKEN,
	DO_DOWNGRADED,
};

#define LAST_KEEP	0xff	/* home knows whom it served last */

struct happening {
	u8 kind;
	u8 page;
	u8 node;	/* DO_DELIVER: receiver */
	u8 from;	/* DO_DELIVER: sender */
	u8 nth;		/* DO_DELIVER: which in the queue, 0 on ordered links */
	u8 last;	/* node served last, as far as home is told */
	u8 migrates;	/* likewise, what it thinks of the page */
	u8 steady;	/* and of its owner */
};

static inline bool happening_is_progress(const struct happening *h)
{
	return h->kind >= DO_DELIVER;
}

#define HAPPENINGS_MAX	256

struct config {
	unsigned int nodes;
	unsigned int pages;
	bool local_queue;	/* messages of a node to itself may be late */
	bool unordered;		/* links do not keep the order: must fail */
	bool migratory;		/* reads may be granted exclusive */
	bool lend;		/* home may lend the page to its owner */
	bool groups;		/* requests may be late, as those of a group are */
	bool sleepers;		/* keep track of who waits for a WAKE */
	bool names;		/* no symmetry reduction */
	unsigned int queue_bound;
};

extern struct config cfg;
extern unsigned int queue_seen;		/* longest queue met */

static inline u16 home_of(unsigned int page)
{
	return 1 + page % cfg.nodes;
}

/* All return NULL, or what is wrong */
const char *world_apply(struct world *w, const struct happening *h);
const char *world_check(const struct world *w);

unsigned int world_happenings(const struct world *w, struct happening *h);
void world_first(struct world *w);
bool world_quiet(const struct world *w);
void world_print(const struct world *w);
void happening_print(const struct world *w, const struct happening *h);

void pack_init(void);
/* The same for all worlds that differ in the names of nodes only */
unsigned int world_pack(const struct world *w, u8 *buf);
void world_unpack(struct world *w, const u8 *buf);

/* engine.c: Return: 0, or 1 when a fault was found and its trace printed */
int explore(unsigned int depth_max, u32 states_max);
/* opens the line of statistics */
void config_print(void);

#endif /* HK_EXPLORE_MODEL_H */
