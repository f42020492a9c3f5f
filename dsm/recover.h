/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loss of a node: from the directory of one epoch to that of the next
 *
 * Two halves, both pure. The node's half (struct hk_recover) takes a node through
 * the steps of a recovery, with a barrier behind each, and judges every message
 * by its epoch. The page's half turns a page's state into a stable one and builds
 * a directory entry from what the members say they hold.
 */
#ifndef HK_DSM_RECOVER_H
#define HK_DSM_RECOVER_H

#include "directory.h"
#include "page.h"

/**
 * enum hk_recover_step - where a node is; a barrier ends each but the first
 * @HK_REC_RUN: no recovery; the page protocol runs
 * @HK_REC_FREEZE: nothing new is begun or answered; members agree on who they
 *	are, and the links between them are drained of the old epoch
 * @HK_REC_DIRECTORY: each member says to the new homes what it holds
 * @HK_REC_OWNERS: each home has its directory, and names new owners
 * @HK_REC_PAGES: all directories are complete, all owners know; what was known of
 *	the old ones is forgotten. This node answers others that run already
 * @HK_REC_NR: number of steps
 */
enum hk_recover_step {
	HK_REC_RUN = 0,
	HK_REC_FREEZE,
	HK_REC_DIRECTORY,
	HK_REC_OWNERS,
	HK_REC_PAGES,
	HK_REC_NR
};

/**
 * enum hk_recover_event - what moves a node from step to step
 * @HK_REC_EV_EPOCH: membership changed: @epoch and @members are the new ones
 * @HK_REC_EV_WORKED: this node has done what the step asks for: of @epoch and
 *	@step, as they were when the work began
 * @HK_REC_EV_MARK: node @from has done so: MARK of @step came, with its @members
 * @HK_REC_EV_NR: number of events
 */
enum hk_recover_event {
	HK_REC_EV_EPOCH = 0,
	HK_REC_EV_WORKED,
	HK_REC_EV_MARK,
	HK_REC_EV_NR
};

/*
 * Work of a step, to be done by the caller, who then reports HK_REC_EV_WORKED.
 * What each asks for is told in Documentation/protocol.rst, "Loss of a node".
 */
/* Stop: no READ, WRITE, DROP, TAKEN, DOWNGRADED; recalls are given up */
#define HK_REC_ACT_FREEZE	0x01
/* With FREEZE: the directory of the epoch that ends is complete, learn from it */
#define HK_REC_ACT_LEARN	0x02
/* Settle each page, hk_recover_page(), and report it to its new home */
#define HK_REC_ACT_REPORT	0x04
/* Each page this node is home of: hk_recover_decide(), and tell a new owner */
#define HK_REC_ACT_DECIDE	0x08
/* Forget what is known to be untouched, except as home */
#define HK_REC_ACT_FORGET	0x10
/* No work: go on, wake all who sleep */
#define HK_REC_ACT_THAW		0x20

/**
 * enum hk_rmsg_type - messages of a recovery; types go on where the page
 * protocol's end
 * @HK_RMSG_MARK: to all members: this node has done the work of a step
 * @HK_RMSG_REPORT: to the new home: what this node has of a page, HK_REPORT_*
 * @HK_RMSG_OWNER: home -> sharer: be the owner
 * @HK_RMSG_NR: one more than the last type
 */
enum hk_rmsg_type {
	HK_RMSG_MARK = HK_DMSG_NR,
	HK_RMSG_REPORT,
	HK_RMSG_OWNER,
	HK_RMSG_NR
};

/* What a node has of a page; the low two bits of a report */
#define HK_REPORT_NOTHING	0
#define HK_REPORT_SHARED	1
#define HK_REPORT_OWNED		2
#define HK_REPORT_EXCLUSIVE	3
#define HK_REPORT_COPY		3	/* mask */
/* The sender rules or ruled the page, and nobody was ever granted it */
#define HK_REPORT_UNTOUCHED	4

/**
 * struct hk_recover - a node's way through epochs
 * @members: nodes of @epoch
 * @marks: of them, those that have done the work of @step
 * @early: those that have done the work of the step behind it
 * @epoch: membership generation this node knows; higher is later
 * @ran: epoch in which this node last ran: what it asked for is of that epoch
 * @self: this node
 * @step: enum hk_recover_step
 * @reserved: zero
 */
struct hk_recover {
	u64 members;
	u64 marks;
	u64 early;
	u32 epoch;
	u32 ran;
	u16 self;
	u8 step;
	u8 reserved;
};

/**
 * struct hk_recover_in - what an event brings; see enum hk_recover_event
 * @members: set of nodes (EPOCH, MARK)
 * @epoch: generation (EPOCH, WORKED)
 * @from: sender (MARK)
 * @step: enum hk_recover_step (WORKED, MARK)
 */
struct hk_recover_in {
	u64 members;
	u32 epoch;
	u16 from;
	u8 step;
};

/**
 * struct hk_recover_out - what a step asks for
 * @mark_to: nodes to be sent a MARK of @mark, with this node's members
 * @mark: enum hk_recover_step
 * @act: HK_REC_ACT_*, after the MARK was queued
 */
struct hk_recover_out {
	u64 mark_to;
	u8 mark;
	u8 act;
};

/**
 * enum hk_recover_verdict - what to do with a message of the page protocol, or
 * of a recovery, that has come
 * @HK_REC_TAKE: it is of now: do what it says
 * @HK_REC_ABSORB: a reply of the epoch that ends, from a member: give it to
 *	hk_page_step() with the home of that epoch, send nothing of what comes out
 * @HK_REC_DROP: of a node that is gone, or of an epoch that is over
 * @HK_REC_LATER: of an epoch that this node will hear of; keep it, and all that
 *	comes behind it on that link, until then
 */
enum hk_recover_verdict {
	HK_REC_TAKE = 0,
	HK_REC_ABSORB,
	HK_REC_DROP,
	HK_REC_LATER
};

/**
 * hk_recover_init() - a node that runs
 * @r: out
 * @self: this node
 * @epoch: generation, not 0
 * @members: nodes in it
 */
void hk_recover_init(struct hk_recover *r, u16 self, u32 epoch, u64 members);

/**
 * hk_recover_step() - advance a node's recovery
 * @r: in and out
 * @ev: what happened
 * @in: what it brings
 * @out: what to do, filled in
 *
 * A newer epoch begins the recovery anew in whatever step it is: members only
 * become fewer.
 *
 * Context: any; caller serialises per guest.
 * Return: 0; -EINTR: WORKED of a step that a newer epoch has ended, nothing to
 * be done; -ESHUTDOWN: this node is not a member of the new epoch and must not
 * run the guest any more; -EINVAL: epoch not newer, or members that were none;
 * -EPROTO: impossible MARK (of a faulty peer, or members that disagree about one
 * epoch). Nothing is changed on error.
 */
int hk_recover_step(struct hk_recover *r, enum hk_recover_event ev,
		    const struct hk_recover_in *in, struct hk_recover_out *out);

/**
 * hk_recover_judge() - the rule that every message passes first
 * @r: this node
 * @from: sender
 * @epoch: epoch in the message
 * @type: enum hk_dmsg_type or enum hk_rmsg_type
 * Return: enum hk_recover_verdict, or -EPROTO when its sender cannot have sent
 * it in that step of this epoch.
 */
int hk_recover_judge(const struct hk_recover *r, u16 from, u32 epoch, u8 type);

/**
 * hk_recover_page() - make a page's state stable, at the end of FREEZE
 * @state: in and out: enum hk_page_state
 * @ctx: in and out: zero afterwards
 *
 * Requests under way are forgotten (who wants the page asks again after the
 * thaw), recalls under way as well: the page stays.
 *
 * Return: HK_REPORT_*, what this node has.
 */
u8 hk_recover_page(u8 *state, struct hk_page_ctx *ctx);

/**
 * hk_recover_owner() - OWNER came from home
 * @state: in and out: enum hk_page_state
 * Return: 0, -EPROTO when this node has no read copy.
 */
int hk_recover_owner(u8 *state);

/**
 * struct hk_recover_dir - directory entry that is being built, at the new home
 * @sharers: nodes that reported a read copy
 * @heard: nodes that reported
 * @owner: node that reported OWNED or EXCLUSIVE
 * @exclusive: it was EXCLUSIVE
 * @untouched: a node that knows said that nobody was ever granted the page
 *
 * All zero at the start of FREEZE.
 */
struct hk_recover_dir {
	u64 sharers;
	u64 heard;
	u16 owner;
	u8 exclusive;
	u8 untouched;
};

/**
 * hk_recover_report() - REPORT came from a member
 * @rd: entry being built
 * @from: member
 * @report: HK_REPORT_*
 * Return: 0, -EPROTO when the reports contradict each other.
 */
int hk_recover_report(struct hk_recover_dir *rd, u16 from, u8 report);

/**
 * hk_recover_decide() - all members have reported: the entry of the new epoch
 * @rd: what was reported
 * @dir: out: entry, idle; HK_DIR_F_LOST when nobody has the page and nobody knows
 *	it to be untouched
 * Return: node to be told that it is the owner now, HK_NODE_NONE when none.
 */
u16 hk_recover_decide(const struct hk_recover_dir *rd, struct hk_dir *dir);

/**
 * hk_recover_untouched() - what an entry says when its epoch ends
 * @dir: entry of a directory that is complete, at its home
 * Return: nobody was ever granted the page.
 */
static inline bool hk_recover_untouched(const struct hk_dir *dir)
{
	return dir->owner == HK_NODE_NONE && !(dir->flags & HK_DIR_F_LOST);
}

const char *hk_recover_step_name(u8 step);

#endif /* HK_DSM_RECOVER_H */
