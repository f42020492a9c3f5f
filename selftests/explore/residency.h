/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world of one vCPU: a few nodes, a FIFO for each ordered pair of them,
 * wishes to move the vCPU, interrupts for it
 */
#ifndef HK_EXPLORE_RESIDENCY_H
#define HK_EXPLORE_RESIDENCY_H

#include "../../migrate/pending.h"
#include "../../migrate/residency.h"

#define NODES_MAX	4
#define QUEUE_MAX	12	/* room; what is checked is queue_bound */
#define PACK_MAX	250

#define RAISERS_MAX	2
#define RAISER_TOKENS	4

/*
 * Every interrupt raised is a token. Tokens are on the way in a message, kept in
 * a node's struct hk_pending, or delivered; several of one class may merge. INIT
 * and SIPI have names, for their order: of each raiser's RAISER_TOKENS bits bit k is
 * the (k + 1)th raised, INIT first and in turns.
 */
enum irq_class {
	CL_EDGE,
	CL_LEVEL,
	CL_NMI,
	CL_INIT,
	CL_SIPI,
	CL_ACCEPTED,	/* of the vCPU's own INIT, for another one */
	CL_NR
};

enum cell_type {
	C_STATE,
	C_TAKEN,
	C_REFUSED,
	C_MOVE,
	C_IRQ
};

struct cell {
	u8 type;
	u8 node;	/* C_MOVE: to */
	u8 class;	/* C_IRQ */
	u8 tokens;	/* C_IRQ: count, or names of INIT and SIPI */
	u32 seq;	/* C_STATE, C_TAKEN, C_REFUSED */
};

/* What the thread behind the vCPU is doing on a node */
enum runner {
	RUN_IDLE,
	RUN_CAPTURE,	/* LEAVING, state not sent yet */
	RUN_WAIT,	/* in hk_vcpu_leave(), waits for the target's answer */
};

struct node {
	struct hk_res res;
	struct hk_pending pend;
	u8 kept[CL_NR];	/* tokens in @pend */
	u8 want;
	u8 runner;
};

/*
 * A vCPU that raises INIT and SIPI. It runs on whichever node, another one each time,
 * and stands still while it @waits
 */
struct raiser {
	u8 raised;	/* how many of them */
	u8 taken;	/* how many of them were delivered or made void */
	u8 waits;	/* the last one has yet to be accepted */
};

/* Indices are node ids, from 1. Node 1 is the origin */
struct world {
	struct node n[NODES_MAX + 1];
	u8 qlen[NODES_MAX + 1][NODES_MAX + 1];
	struct cell q[NODES_MAX + 1][NODES_MAX + 1][QUEUE_MAX];
	u8 recall;	/* the VMM waits for the vCPU at the origin */
	struct raiser r[RAISERS_MAX];
};

enum happening_kind {
	DO_WISH,	/* somebody on @node wants the vCPU on @to */
	DO_RECALL,	/* the VMM wants it home */
	DO_RAISE,	/* interrupt of @class on @node */
	DO_CANCEL,	/* capture or sending fails */
	DO_NOT_READY,	/* the runner learns that the target cannot take it */
	DO_REFUSE,	/* STATE arrives and is refused at once */
	DO_APPLY_FAIL,
	DO_DELIVER,	/* from here on: happens without anybody's wish */
	DO_LEAVE,
	DO_SEND,
	DO_LEFT,	/* the runner notices how the handoff ended */
	DO_APPLY,
	DO_RECALL_AGAIN,
	DO_RECALL_END,
};

struct happening {
	u8 kind;
	u8 node;
	u8 from;	/* DO_DELIVER, DO_REFUSE */
	u8 to;		/* DO_WISH */
	u8 class;	/* DO_RAISE */
	u8 raiser;	/* DO_RAISE of INIT and SIPI */
};

static inline bool happening_is_progress(const struct happening *h)
{
	return h->kind >= DO_DELIVER;
}

#define HAPPENINGS_MAX	256

struct config {
	unsigned int nodes;
	unsigned int wishes;	/* at once */
	unsigned int irqs;	/* under way at once */
	unsigned int classes;	/* mask of enum irq_class */
	unsigned int flight;	/* nothing new with more messages under way */
	unsigned int raisers;	/* of INIT and SIPI */
	unsigned int queue_bound;
};

extern struct config cfg;
extern unsigned int queue_seen;		/* longest queue met */

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

#endif /* HK_EXPLORE_RESIDENCY_H */
