/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Simulator of many nodes over the page protocol that ships: what its files share
 *
 * One world a process. queue.c is time, net.c the links, node.c what the module is
 * around the protocol ("the caller" of Documentation/protocol.rst), workload.c and
 * trace.c what the guest does, check.c what must be true, report.c the figures.
 */
#ifndef HK_SIM_H
#define HK_SIM_H

#include "../../dsm/directory.h"
#include "../../dsm/page.h"
#include "../../dsm/stale.h"

/* More than any fault should take; a longer one ends the run as a failure */
#define SIM_FAULT_MAX_NS	60000000000ull

/* What a run is asked to be; see usage() in sim.c for each */
struct sim_cfg {
	const char *workload;
	const char *trace;
	unsigned int nodes;
	unsigned int threads;
	unsigned int pages;	/* per node */
	u64 faults;
	u64 accesses;
	u64 seed;
	u64 think_ns;
	unsigned int write_pct;
	unsigned int silent_pct;	/* writes that change nothing */
	/* links and hosts */
	u64 latency_ns;
	u64 jitter_ns;
	double gbit;
	u64 cpu_ns;
	u64 take_ns;
	u64 hash_ns;
	/* levers */
	u64 hold_ns;
	bool hold_bounced;
	unsigned int fill_pct;	/* pages all of whose words are alike */
	bool zero;
	bool same_filled;
	bool fresh;
	bool upgrade;
	bool parallel;
	bool migratory;
	unsigned int revalidate;	/* as the module's parameter */
	bool lend;
	bool hints;		/* who ruled a copy that is gone is asked first */
	bool home_hash;
	unsigned int prefetch;
	bool group;
	unsigned int budget;	/* pages per node, 0: no limit */
	bool lru;
	bool clock;
	unsigned int idle_pct;	/* copies that --clock keeps idle */
	u64 minor_ns;		/* fault of a page that is here */
};

/**
 * struct sim_copy - a page on a node; there are many, so no more than is needed
 * @version: content: stores to the page up to then
 * @busy: index into sim_node.busy, 0: none
 * @state: enum hk_page_state
 * @ruler: node that is lent this page, or was when it left, as kept in place of a hint
 * @wanted: sim_use.granted is valid
 * @bounced: the page had been taken from here not long before it was granted
 * @idle: read copy that has not been used since the hand passed
 * @unused: came for nobody who waits, and has not been used; sim_use.granted is valid
 */
struct sim_copy {
	u32 version;
	u16 busy;
	u16 ruler;
	u8 state;
	u8 wanted : 1;
	u8 bounced : 1;
	u8 idle : 1;
	u8 unused : 1;
};

/**
 * struct sim_use - the use of a page on a node, where hold time or budget ask for it
 * @stamp: last access, in units of 64 ns
 * @granted: when the page came for a fault, likewise
 * @lost: when the page was last taken from here, likewise; 0: never
 * @pos: place in sim_node.present, while there is a page
 */
struct sim_use {
	u32 stamp;
	u32 granted;
	u32 lost;
	u32 pos;
};

/**
 * struct sim_stale - an old copy of a page on a node, where they are kept
 * @content: as in sim.content, when it was taken away
 * @worth: dsm/stale.h
 * @kept: there is one
 */
struct sim_stale {
	u32 content;
	u16 worth;
	u16 kept;
};

/**
 * struct sim_busy - a page that is not stable on a node
 * @ctx: the engine's
 * @started: time of the request
 * @held_until: the recall under way leaves the page alone until then
 * @page: page
 * @waiter: first thread that waits, 0: none; thread numbers from 1
 * @serial: INVs not sent yet, where they go one by one
 * @msgs: messages on the wire on behalf of the request
 * @done: of those, DONE
 * @pairs: likewise, INV and ACK
 * @invs: copies recalled for it
 * @astray: likewise, for asking a node that is lent the page no more
 * @kind: enum fault_kind of the request
 * @request: a request is under way
 * @asked: the request has named an old copy
 * @recall: enum hk_page_event to report when the page is taken
 * @next: free list
 */
struct sim_busy {
	struct hk_page_ctx ctx;
	u64 started;
	u64 held_until;
	u32 page;
	u32 waiter;
	struct sim_serial *serial;
	u32 msgs;
	u32 done;
	u32 pairs;
	u32 invs;
	u32 astray;
	u8 kind;
	u8 request;
	u8 asked;
	u8 recall;
	u16 next;
};

enum fault_kind {
	FAULT_READ,
	FAULT_WRITE,
	FAULT_UPGRADE,
	FAULT_NR
};

/**
 * struct sim_msg - a message on its way
 * @next: message behind it in the receiver's queue, or free list
 * @more: next one of its group, 0: none
 * @content: enum hk_wire_content
 */
struct sim_msg {
	hk_nodes acks;
	struct hk_tokens tokens;
	struct hk_check check;
	u32 next;
	u32 more;
	u32 page;
	u32 version;
	u16 from;
	u16 to;
	u16 req;
	u8 type;
	u8 flags;
	/* SPILL is not the engine's: the module's hint, a page to take over */
	u8 spill;
	u8 content;
};

struct sim_run {
	u32 next, begin, mark;
	u32 window;
};

#define SIM_RUNS	8

struct sim_node {
	u64 tx_free;		/* the link out is in use until then */
	u64 busy_until;		/* so is the CPU that works on messages */
	u32 rx_head, rx_tail;	/* arrived, not worked on */
	bool rx_event;
	struct sim_busy *busy;
	u16 busy_nr, busy_max, busy_free;
	u32 *present;		/* pages here, in no order; with a budget only */
	u32 present_nr, present_max;
	u32 shared_nr, idle_nr;
	u32 cursor, age_cursor;
	u32 coming;		/* pages asked for and not yet here */
	u32 offer_turn;
	struct sim_run run[SIM_RUNS];
	u32 run_turn;
	struct hk_stale_guest stale_guest;
	/* figures */
	u64 tx_msgs, rx_msgs, tx_bytes, rx_bytes;
	u64 accesses, faults, fault_ns;
};

/**
 * struct sim_thread - a vCPU
 * @next: next waiter for the same page
 * @pos: the workload's
 * @left: likewise
 */
struct sim_thread {
	u64 started;
	u32 page;
	u32 next;
	u16 node;
	u8 write;
	u8 faulting;
	u32 pos;
	u32 left;
	u32 requests;
};

#define HIST_SUB_BITS	5
#define HIST_SUB	(1u << HIST_SUB_BITS)
#define HIST_NR		(60 * HIST_SUB)

/* Log-linear: 32 classes for each power of two, so within 3 % */
struct sim_hist {
	u64 nr, sum, max;
	u32 class[HIST_NR];
};

enum sim_count {
	CNT_DROP,
	CNT_SPILL,
	CNT_PREFETCH,
	CNT_GROUPED,
	CNT_HELD,
	CNT_FILL,
	CNT_ZERO,
	CNT_ROOM_WAIT,
	CNT_INV,
	CNT_INV_SETS,
	CNT_INV_COARSE,
	CNT_INV_POINTERS,
	CNT_BOUND,
	CNT_READ_X,
	CNT_AGED,
	CNT_REFAULT,
	CNT_ASKED,
	CNT_SAME,
	CNT_LENT,
	CNT_MOVED,
	CNT_UNLENT,
	CNT_NR
};

struct sim {
	u64 now;
	u64 depart;		/* messages sent now leave then */
	u32 pages;
	struct sim_node *node;	/* by id, from 1 */
	struct sim_copy *copy;	/* [node - 1][page] */
	struct sim_use *use;	/* likewise, or NULL */
	struct hk_dir *dir;
	u32 *dir_wait;		/* index into wait, 0: none */
	/* likewise of the owner that is lent the page: one at most */
	struct hk_dir *rule;
	u32 *rule_wait;
	struct hk_dir_wait *wait;
	u32 wait_nr, wait_max, wait_free;
	struct sim_stale *stale;	/* likewise */
	u32 *version;		/* stores to each page */
	u32 *content;		/* the last of them that changed it */
	struct sim_thread *thread;	/* from 1 */
	u32 threads;
	u64 faults, accesses;
	u64 sleeping;		/* threads in a fault */
	bool stop;
	bool failed;
	u64 digest;
	u64 events;
	/* figures */
	u64 msgs[HK_DMSG_NR + 1];	/* the last: SPILL */
	u64 bytes;
	u64 count[CNT_NR];
	u64 kinds[FAULT_NR];
	u64 transactions;
	u32 most_msgs;		/* without INV, ACK; with DONE */
	u32 most_waited;	/* likewise, without DONE */
	u32 most_requests;	/* of one fault */
	struct sim_hist latency, latency_kind[FAULT_NR];
};

extern struct sim_cfg cfg;
extern struct sim sim;

static inline struct sim_copy *copy_of(u16 node, u32 page)
{
	return &sim.copy[(u64)(node - 1) * sim.pages + page];
}

static inline struct sim_use *use_of(const struct sim_copy *c)
{
	return &sim.use[c - sim.copy];
}

static inline struct sim_stale *stale_of(u16 node, u32 page)
{
	return &sim.stale[(u64)(node - 1) * sim.pages + page];
}

static inline u16 home_of(u32 page)
{
	if (cfg.home_hash)
		return 1 + (u32)((page * 0x9e3779b97f4a7c15ull) >> 40) %
		       cfg.nodes;
	return 1 + (u64)page * cfg.nodes / sim.pages;
}

/* sim.c */
void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *sim_alloc(size_t nr, size_t size);
u64 sim_random(void);

static inline u32 sim_below(u32 n)
{
	return (u32)(((sim_random() >> 32) * n) >> 32);
}

/* queue.c */
enum sim_event {
	EVENT_THREAD,	/* arg: thread */
	EVENT_ARRIVE,	/* arg: message */
	EVENT_NODE,	/* node: works on the next message */
	EVENT_RECALL,	/* node, arg: page */
	EVENT_NR
};

void queue_add(u64 when, enum sim_event type, u16 node, u32 arg);
bool queue_next(enum sim_event *type, u16 *node, u32 *arg);

/* net.c */
void net_init(void);
bool net_is_filled(u32 page);
void net_send(const struct hk_dmsg *m, u16 to, u32 version);
void net_group(void);
void net_group_end(void);
void net_spill(u16 from, u16 to, u32 page);
void net_serial_next(struct sim_busy *busy);
void net_serial(struct sim_busy *busy, const struct hk_dmsg *m);
void net_arrive(u32 nr);
void net_node(u16 node);

/* node.c */
void node_init(void);
void node_msg(u16 node, const struct hk_dmsg *m, u32 version);
void node_spilled(u16 node, u32 page);
void node_recall(u16 node, u32 page);
void node_access(u32 thread);

/* workload.c */
int workload_init(void);
bool workload_next(struct sim_thread *t, u64 *think);
void workload_list(void);

/* trace.c */
int trace_init(void);
bool trace_next(struct sim_thread *t, u64 *think);

/* check.c */
bool check_quiet(void);

/* report.c */
void hist_add(struct sim_hist *h, u64 value);
u64 hist_at(const struct sim_hist *h, double part);
void report(double cpu);

#endif /* HK_SIM_H */
