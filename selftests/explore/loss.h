/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world of one page whose nodes may die: a few nodes, a FIFO for each
 * ordered pair of them, epochs, and who has heard of which
 */
#ifndef HK_EXPLORE_LOSS_H
#define HK_EXPLORE_LOSS_H

#include "../../dsm/recover.h"
#include "tokens.h"

#define NODES_MAX	4
#define EPOCHS_MAX	3	/* the first one, and one for each loss */
#define QUEUE_MAX	15	/* room; what is checked is queue_bound */
#define PACK_MAX	250

/* As in model.h */
enum { VAL_NONE = 0, VAL_STALE, VAL_CURRENT };

enum { SLEEP_READ = 1, SLEEP_WRITE = 2 };

struct node {
	struct hk_recover rec;
	u8 state;
	u8 copy;	/* VAL_* of the page's memory here */
	u8 asleep;
	u8 work;	/* HK_REC_ACT_* not done yet */
	u8 known;	/* this node knows that the page is untouched */
	u8 ruler;	/* as the engine wants it back */
	struct hk_page_ctx ctx;
	/* as home, or as the owner that is lent the page */
	struct hk_dir dir;
	struct hk_dir_wait wait;
	struct hk_recover_dir build;
};

struct cell {
	u8 type;
	u8 epoch;
	u8 req;		/* HK_RMSG_MARK: step; HK_RMSG_REPORT: report */
	u8 acks;
	u8 flags;
	u8 val;		/* VAL_* of the data carried */
};

/* Indices of nodes and epochs from 1 */
struct world {
	struct node n[NODES_MAX + 1];
	u8 epochs;
	u8 victim[EPOCHS_MAX + 1];	/* whose loss began it */
	u8 home[EPOCHS_MAX + 1];
	u8 written;
	u8 granted;			/* the page was ever granted */
	u8 faults;			/* so far, where they are bounded */
	u8 qlen[NODES_MAX + 1][NODES_MAX + 1];
	struct cell q[NODES_MAX + 1][NODES_MAX + 1][QUEUE_MAX];
};

enum happening_kind {
	DO_READ,
	DO_FORGET,	/* likewise, it was forgotten who ruled the last copy */
	DO_WRITE,
	DO_STORE,
	DO_DROP,
	DO_KILL,	/* @node dies; @from will be home */
	DO_DELIVER,	/* from here on: happens without anybody's wish */
	DO_TAKEN,
	DO_DOWNGRADED,
	DO_LEARN,	/* @node hears of epoch @from */
	DO_WORK,	/* @node does the work of its step */
};

#define LAST_KEEP	0xff

struct happening {
	u8 kind;
	u8 node;
	u8 from;
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
	unsigned int losses;
	unsigned int requests;	/* under way at once */
	unsigned int faults;	/* at all, 0: any number */
	bool moved;		/* home may move though it lives */
	bool calm;		/* no faults from a loss to the end of recovery */
	bool slow;		/* the work of a step takes its time */
	bool undead;		/* who is declared dead goes on all the same */
	bool migratory;		/* reads may be granted exclusive */
	bool lend;		/* home may lend the page to its owner */
	bool sleepers;
	bool names;
	unsigned int queue_bound;
};

extern struct config cfg;
extern unsigned int queue_seen;		/* longest queue met */

static inline bool lives(const struct world *w, u8 node)
{
	u8 e;

	for (e = 2; e <= w->epochs; e++)
		if (w->victim[e] == node)
			return false;
	return true;
}

/* Takes part: lives, or does not know that it is dead */
static inline bool acts(const struct world *w, u8 node)
{
	return cfg.undead || lives(w, node);
}

u64 epoch_members(const struct world *w, u8 epoch);

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
void config_print(void);

#endif /* HK_EXPLORE_LOSS_H */
