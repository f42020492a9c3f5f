// SPDX-License-Identifier: GPL-2.0
/*
 * Loss of a node: from the directory of one epoch to that of the next
 *
 * Reads top to bottom, for each member alike:
 *
 *	RUN -> FREEZE -> DIRECTORY -> OWNERS -> PAGES -> RUN
 *
 *	FREEZE		stop; MARK to all. Replies of the old epoch are taken in
 *			until the MARK of their sender, everything else is dropped
 *	DIRECTORY	settle the pages, REPORT each to its new home; MARK
 *	OWNERS		decide each entry, tell new OWNERs; MARK
 *	PAGES		forget what was known of old directories; MARK
 *
 * A node leaves a step when the MARKs of all members are there, its own included,
 * so whoever has left a step knows that all have done its work. A newer epoch
 * begins again with FREEZE, wherever a node is. That needs no undoing: what a
 * node holds is stable from the first time on, a directory being built is thrown
 * away, and an owner named in vain reports itself as one.
 *
 * Why each barrier is there is told in Documentation/protocol.rst; that none is
 * missing is what selftests/explore (loss) shows.
 */
#include "recover.h"

/* What an event does in a step */
enum recover_do {
	DO_PROTO = 0,	/* cannot happen. An empty cell says this */
	DO_BEGIN,	/* new epoch */
	DO_OWN,		/* this node has done its work: MARK to the others */
	DO_PEER,	/* another one has */
};

/**
 * struct recover_edge - one cell of the table
 * @next: step afterwards. DO_OWN and DO_PEER: once all members have done the work
 * @what: enum recover_do
 * @act: HK_REC_ACT_* that @next begins with
 */
struct recover_edge {
	u8 next;
	u8 what;
	u8 act;
};

#define EDGE(_next, _what, _act) \
	{ .next = HK_REC_##_next, .what = DO_##_what, .act = (_act) }
#define FREEZE		HK_REC_ACT_FREEZE
#define LEARN		HK_REC_ACT_LEARN
#define REPORT		HK_REC_ACT_REPORT
#define DECIDE		HK_REC_ACT_DECIDE
#define FORGET		HK_REC_ACT_FORGET
#define THAW		HK_REC_ACT_THAW

/*
 * In FREEZE and DIRECTORY, and in OWNERS until the work is done, the node's
 * directory is that of no epoch: nothing is to be learned from it, and what was
 * learned before still holds.
 */
static const struct recover_edge recover_table[HK_REC_NR][HK_REC_EV_NR] = {
	[HK_REC_RUN] = {
		[HK_REC_EV_EPOCH]	= EDGE(FREEZE, BEGIN, FREEZE | LEARN),
	},
	[HK_REC_FREEZE] = {
		[HK_REC_EV_EPOCH]	= EDGE(FREEZE, BEGIN, FREEZE),
		[HK_REC_EV_WORKED]	= EDGE(DIRECTORY, OWN, REPORT),
		[HK_REC_EV_MARK]	= EDGE(DIRECTORY, PEER, REPORT),
	},
	[HK_REC_DIRECTORY] = {
		[HK_REC_EV_EPOCH]	= EDGE(FREEZE, BEGIN, FREEZE),
		[HK_REC_EV_WORKED]	= EDGE(OWNERS, OWN, DECIDE),
		[HK_REC_EV_MARK]	= EDGE(OWNERS, PEER, DECIDE),
	},
	[HK_REC_OWNERS] = {
		[HK_REC_EV_EPOCH]	= EDGE(FREEZE, BEGIN, FREEZE | LEARN),
		[HK_REC_EV_WORKED]	= EDGE(PAGES, OWN, FORGET),
		[HK_REC_EV_MARK]	= EDGE(PAGES, PEER, FORGET),
	},
	[HK_REC_PAGES] = {
		[HK_REC_EV_EPOCH]	= EDGE(FREEZE, BEGIN, FREEZE | LEARN),
		[HK_REC_EV_WORKED]	= EDGE(RUN, OWN, THAW),
		[HK_REC_EV_MARK]	= EDGE(RUN, PEER, THAW),
	},
};

#undef EDGE
#undef FREEZE
#undef LEARN
#undef REPORT
#undef DECIDE
#undef FORGET
#undef THAW

void hk_recover_init(struct hk_recover *r, u16 self, u32 epoch, u64 members)
{
	*r = (struct hk_recover){
		.members = members,
		.epoch = epoch,
		.ran = epoch,
		.self = self,
		.step = HK_REC_RUN,
	};
}

/*
 * The step that @from has reached, as far as its MARKs tell. Nobody is further
 * ahead than one step: the barrier before needs this node's own MARK.
 */
static unsigned int peer_step(const struct hk_recover *r, u16 from)
{
	u64 bit = hk_node_bit(from);

	return r->step + !!(r->marks & bit) + !!(r->early & bit);
}

static bool is_member(const struct hk_recover *r, u16 node)
{
	return node != HK_NODE_NONE && node < HK_MAX_NODES &&
	       (r->members & hk_node_bit(node));
}

static int recover_begin(struct hk_recover *r, const struct hk_recover_in *in)
{
	if (in->epoch <= r->epoch || (in->members & ~r->members))
		return -EINVAL;
	if (!(in->members & hk_node_bit(r->self)))
		return -ESHUTDOWN;
	r->members = in->members;
	r->epoch = in->epoch;
	r->marks = 0;
	r->early = 0;
	return 0;
}

static int recover_own(struct hk_recover *r, const struct hk_recover_in *in,
		       struct hk_recover_out *out)
{
	u64 self = hk_node_bit(r->self);

	if (in->epoch != r->epoch || in->step != r->step || (r->marks & self))
		return -EINTR;
	r->marks |= self;
	out->mark_to = r->members & ~self;
	out->mark = r->step;
	return 0;
}

static int recover_peer(struct hk_recover *r, const struct hk_recover_in *in)
{
	u64 bit, self = hk_node_bit(r->self);

	if (!is_member(r, in->from) || in->from == r->self ||
	    in->members != r->members)
		return -EPROTO;
	bit = hk_node_bit(in->from);
	/* once, one step after the other, and not past a barrier of ours */
	if (in->step != peer_step(r, in->from))
		return -EPROTO;
	if (in->step == r->step) {
		r->marks |= bit;
	} else {
		if (!(r->marks & self))
			return -EPROTO;
		r->early |= bit;
	}
	return 0;
}

int hk_recover_step(struct hk_recover *r, enum hk_recover_event ev,
		    const struct hk_recover_in *in, struct hk_recover_out *out)
{
	/* in OWNERS: the directory is complete */
	bool decided = r->marks & hk_node_bit(r->self);
	const struct recover_edge *edge;
	int err = -EPROTO;

	*out = (struct hk_recover_out){ 0 };
	if (r->step >= HK_REC_NR || (unsigned int)ev >= HK_REC_EV_NR)
		return -EPROTO;

	edge = &recover_table[r->step][ev];
	switch ((enum recover_do)edge->what) {
	case DO_PROTO:
		/* a recovery that is over has no work left to be reported */
		return ev == HK_REC_EV_WORKED ? -EINTR : -EPROTO;
	case DO_BEGIN:
		err = recover_begin(r, in);
		if (err)
			return err;
		out->act = edge->act;
		if (r->step == HK_REC_OWNERS && !decided)
			out->act &= ~HK_REC_ACT_LEARN;
		r->step = edge->next;
		return 0;
	case DO_OWN:
		err = recover_own(r, in, out);
		break;
	case DO_PEER:
		err = recover_peer(r, in);
		break;
	}
	if (err || r->marks != r->members)
		return err;

	/* the barrier: all members have done the work */
	r->step = edge->next;
	r->marks = r->early;
	r->early = 0;
	out->act = edge->act;
	if (r->step == HK_REC_RUN)
		r->ran = r->epoch;
	return 0;
}

/* What its sender, having sent it, does not have any more */
static bool is_reply(u8 type)
{
	return type == HK_DMSG_DATA_S || type == HK_DMSG_DATA_X ||
	       type == HK_DMSG_GRANT_X;
}

/* Links keep the order, so a message tells how far its sender was */
static bool judge_step(const struct hk_recover *r, u16 from, u8 type)
{
	switch (type) {
	case HK_RMSG_MARK:
		return r->step != HK_REC_RUN;
	case HK_RMSG_REPORT:
		return peer_step(r, from) == HK_REC_DIRECTORY;
	case HK_RMSG_OWNER:
		return peer_step(r, from) == HK_REC_OWNERS;
	}
	/* somebody runs, so all have done all work */
	return r->step == HK_REC_RUN ||
	       (r->step == HK_REC_PAGES &&
		(r->marks & hk_node_bit(r->self)));
}

int hk_recover_judge(const struct hk_recover *r, u16 from, u32 epoch, u8 type)
{
	/* the dead say nothing; a node in doubt about that would wait for them */
	if (!is_member(r, from))
		return HK_REC_DROP;
	if (epoch > r->epoch)
		return HK_REC_LATER;
	if (epoch == r->epoch)
		return judge_step(r, from, type) ? HK_REC_TAKE : -EPROTO;
	/*
	 * A reply to what this node asked for when it last ran. Behind its
	 * sender's MARK there is none, and whoever holds the page says so in
	 * DIRECTORY, so FREEZE is the last moment to have it.
	 */
	if (r->step == HK_REC_FREEZE && epoch == r->ran && is_reply(type) &&
	    !(r->marks & hk_node_bit(from)))
		return HK_REC_ABSORB;
	return HK_REC_DROP;
}

/* State to settle in, and what is there then. Copies are current, all of them */
static const struct {
	u8 next;
	u8 report;
} settle_table[HK_PG_NR] = {
	[HK_PG_INVALID]		= { HK_PG_INVALID, HK_REPORT_NOTHING },
	[HK_PG_SHARED]		= { HK_PG_SHARED, HK_REPORT_SHARED },
	[HK_PG_OWNED]		= { HK_PG_OWNED, HK_REPORT_OWNED },
	[HK_PG_EXCLUSIVE]	= { HK_PG_EXCLUSIVE, HK_REPORT_EXCLUSIVE },
	[HK_PG_INVALID_RD]	= { HK_PG_INVALID, HK_REPORT_NOTHING },
	[HK_PG_INVALID_WR]	= { HK_PG_INVALID, HK_REPORT_NOTHING },
	[HK_PG_SHARED_WR]	= { HK_PG_SHARED, HK_REPORT_SHARED },
	[HK_PG_OWNED_WR]	= { HK_PG_OWNED, HK_REPORT_OWNED },
	[HK_PG_SHARED_TAKE]	= { HK_PG_SHARED, HK_REPORT_SHARED },
	[HK_PG_OWNED_TAKE]	= { HK_PG_OWNED, HK_REPORT_OWNED },
	[HK_PG_EXCLUSIVE_DOWN]	= { HK_PG_EXCLUSIVE, HK_REPORT_EXCLUSIVE },
	[HK_PG_EXCLUSIVE_TAKE]	= { HK_PG_EXCLUSIVE, HK_REPORT_EXCLUSIVE },
	[HK_PG_SHARED_WR_TAKE]	= { HK_PG_SHARED, HK_REPORT_SHARED },
	[HK_PG_OWNED_WR_TAKE]	= { HK_PG_OWNED, HK_REPORT_OWNED },
};

u8 hk_recover_page(u8 *state, struct hk_page_ctx *ctx)
{
	u8 next, report;

	if (*state >= HK_PG_NR)
		return HK_REPORT_NOTHING;
	next = settle_table[*state].next;
	report = settle_table[*state].report;
	/*
	 * The page is here and its old owner has nothing; ACKs are missing, so
	 * others may have read copies, and nothing was written
	 */
	if (*state == HK_PG_INVALID_WR && ctx->replied) {
		next = HK_PG_OWNED;
		report = HK_REPORT_OWNED;
	}
	*state = next;
	*ctx = (struct hk_page_ctx){ 0 };
	return report;
}

int hk_recover_owner(u8 *state)
{
	if (*state != HK_PG_SHARED)
		return -EPROTO;
	*state = HK_PG_OWNED;
	return 0;
}

int hk_recover_report(struct hk_recover_dir *rd, u16 from, u8 report)
{
	u8 copy = report & HK_REPORT_COPY;
	bool untouched = report & HK_REPORT_UNTOUCHED;
	u64 bit;

	if (from == HK_NODE_NONE || from >= HK_MAX_NODES ||
	    (report & ~(HK_REPORT_COPY | HK_REPORT_UNTOUCHED)))
		return -EPROTO;
	bit = hk_node_bit(from);
	if (rd->heard & bit)
		return -EPROTO;
	if (copy && (untouched || rd->untouched || rd->exclusive))
		return -EPROTO;
	if (untouched && (rd->owner || rd->sharers))
		return -EPROTO;
	if (copy >= HK_REPORT_OWNED && rd->owner)
		return -EPROTO;
	if (copy == HK_REPORT_EXCLUSIVE && rd->sharers)
		return -EPROTO;

	rd->heard |= bit;
	if (copy >= HK_REPORT_OWNED)
		rd->owner = from;
	else if (copy)
		rd->sharers |= bit;
	if (copy == HK_REPORT_EXCLUSIVE)
		rd->exclusive = 1;
	if (untouched)
		rd->untouched = 1;
	return 0;
}

u16 hk_recover_decide(const struct hk_recover_dir *rd, struct hk_dir *dir)
{
	*dir = (struct hk_dir){ 0 };
	if (rd->owner) {
		dir->owner = rd->owner;
		dir->sharers = rd->sharers;
		return HK_NODE_NONE;
	}
	if (rd->sharers) {
		/*
		 * The owner is gone. Whoever wrote after these copies were made
		 * would have had an ACK from each of their holders.
		 */
		dir->owner = __builtin_ctzll(rd->sharers);
		dir->sharers = rd->sharers & (rd->sharers - 1);
		return dir->owner;
	}
	if (!rd->untouched)
		dir->flags = HK_DIR_F_LOST;
	return HK_NODE_NONE;
}

const char *hk_recover_step_name(u8 step)
{
	switch ((enum hk_recover_step)step) {
	case HK_REC_RUN:
		return "RUN";
	case HK_REC_FREEZE:
		return "FREEZE";
	case HK_REC_DIRECTORY:
		return "DIRECTORY";
	case HK_REC_OWNERS:
		return "OWNERS";
	case HK_REC_PAGES:
		return "PAGES";
	case HK_REC_NR:
		break;
	}
	return "?";
}
