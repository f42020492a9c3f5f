// SPDX-License-Identifier: GPL-2.0
/*
 * The home's side of the page protocol
 *
 * Home takes one request per page at a time. The entry is changed when a
 * transaction starts, and says then what will be true when it ends; until the
 * requester's DONE nobody else is let in, so no node ever meets two recalls of
 * one page, or a recall of something that it has not got yet.
 *
 *	idle --GET--> busy: FWD_S or FWD_X to the owner, INV to the sharers
 *	busy --GET--> busy: the node goes into the wait set
 *	busy --DONE-> idle, or busy with the next of those who wait
 *
 * Two transactions need no DONE, as all that home sends to the requester later
 * arrives later: a GRANT_X with no ACK to wait for, and data that home's own
 * page machine supplies (page_send_data(), which sends the DONE for it).
 *
 * Pages that migrate are read and then written by one node after the other: two requests
 * each, of which the first alone would do, were it granted like the second. That such
 * pages can be told by what the directory sees, and that reads of them are then to be
 * granted exclusive, is from
 *
 *	P. Stenstroem, M. Brorsson, L. Sandberg: An Adaptive Cache Coherence Protocol
 *	Optimized for Migratory Sharing. ISCA 1993
 *	A. Cox, R. Fowler: Adaptive Cache Coherency for Detecting Migratory Shared Data.
 *	ISCA 1993
 *
 * Both take the mark away when the next reader finds that the page was not written. A
 * host does not know that: it maps a page that it may write as writable at once, and
 * write-protecting it to see would cost each visit a fault. So home looks now and then.
 * A read of a page that the owner alone has is *lone*: it makes the first sharer. If it
 * gets a copy, home sees what comes next: a write by the same node, and the page has
 * migrated; a read or write by another one, and it has not (dir_learn()). Both are
 * counted, and on a good score some reads are granted exclusive without a look, the more
 * the better the score; then one lone read gets a copy again, to see.
 *
 * Lent homes: an owner that writes its page again and again, with readers between, asks
 * home each time, and so do they, who then wait for a third node. So home lends such an
 * owner the rule over the page (HK_DIR_F_LENT), which from then on has an entry of its own
 * (HK_DIR_F_RULES) and runs this very file as if it were home. A read that comes to home
 * is passed on. A write by any other node ends it:
 *
 *	home: LENT --GET_X--> LENT | ASKED: UNLEND; requests wait
 *	owner: RULES --UNLEND--> RULES | GIVES: no new requests
 *	owner: RULES | GIVES, idle: BACK, no entry
 *	home: LENT | ASKED --BACK--> busy with a writer that waits
 *
 * A reader remembers who ruled its copy and asks that node first the next time. Home
 * knows all who may, as it has passed on the first read of each, and that first writer
 * waits for their ACKs as for those of sharers. So when it writes nobody asks the former
 * ruler any more, see Documentation/protocol.rst, "Lent homes".
 */
#include "directory.h"

/**
 * struct dir_ask - a request
 * @gfn: page
 * @tokens: that those who answer have to know
 * @check: for the owner
 * @self: home
 * @req: who asks
 * @write: GET_X
 * @have: and has a copy
 * @told: nodes to get an INV beside the sharers; of a write only
 */
struct dir_ask {
	u64 gfn;
	struct hk_tokens tokens;
	struct hk_check check;
	u16 self;
	u16 req;
	bool write;
	bool have;
	hk_nodes told;
};

static struct hk_dmsg *dir_send(const struct dir_ask *ask, struct hk_out *out,
				u8 type, hk_nodes to, hk_nodes acks)
{
	struct hk_dmsg *m = &out->msg[out->nr++];

	*m = (struct hk_dmsg){
		.gfn = ask->gfn,
		.to = to,
		.acks = acks,
		.from = ask->self,
		.type = type,
	};
	return m;
}

/* FWD_S, FWD_X: whoever gets it is the one that may answer with data */
static void dir_forward(const struct dir_ask *ask, struct hk_out *out, u8 type,
			hk_nodes owner, hk_nodes acks)
{
	struct hk_dmsg *m = dir_send(ask, out, type, owner, acks);

	m->req = ask->req;
	m->tokens.data = ask->tokens.data;
	m->check = ask->check;
}

/* Those who get it may say that their copies are gone, and nothing else */
static void dir_invalidate(const struct dir_ask *ask, struct hk_out *out,
			   hk_nodes others)
{
	struct hk_dmsg *m;

	if (!hk_nodes_any(others))
		return;
	m = dir_send(ask, out, HK_DMSG_INV, others, HK_NODES_NONE);
	if (hk_nodes_any(ask->told))
		m->flags = HK_DMSG_F_RULER;
	m->req = ask->req;
	m->tokens.ack = ask->tokens.ack;
}

static struct hk_dmsg *dir_reply(const struct dir_ask *ask, struct hk_out *out,
				 u8 type, hk_nodes acks)
{
	struct hk_dmsg *m = dir_send(ask, out, type, hk_node_bit(ask->req), acks);

	m->tokens.data = ask->tokens.data;
	return m;
}

static bool nodes_one(hk_nodes set)
{
	unsigned int i, nr = 0;
	u64 word;

	for (i = 0; i < HK_NODES_WORDS; i++) {
		word = hk_nodes_word(set, i);
		nr += !!word + !!(word & (word - 1));
	}
	return nr == 1;
}

/* The lowest id above @last in @set, which is not empty; wraps around */
static u16 nodes_next(hk_nodes set, u16 last)
{
	unsigned int i = last / 64, left = HK_NODES_WORDS;
	u64 word = hk_nodes_word(set, i) & ~(((u64)2 << last % 64) - 1);

	for (; !word && left; left--) {
		i = (i + 1) % HK_NODES_WORDS;
		word = hk_nodes_word(set, i);
	}
	return i * 64 + __builtin_ctzll(word);
}

/* Of the last lone read: what comes next says what it was worth */
static void dir_learn(struct hk_dir *dir, const struct dir_ask *ask)
{
	hk_nodes bit = hk_node_bit(ask->req);
	bool same = hk_nodes_any(dir->sharers & bit);

	/* the owner alone has it; or what more than one reader means is counted */
	if (!nodes_one(dir->sharers))
		return;
	/* its copy was dropped, it reads again */
	if (same && !ask->write)
		return;
	if (!same) {
		dir->score -= dir->score < HK_DIR_SCORE_LOSS ?
			      dir->score : HK_DIR_SCORE_LOSS;
		dir->grants = 0;
		return;
	}
	if (dir->score < HK_DIR_SCORE_MAX)
		dir->score++;
	if (dir->score >= HK_DIR_SCORE_MIN)
		dir->grants = dir->score - HK_DIR_SCORE_MIN + 1;
}

/*
 * To be treated as a write? There must be no read copies: a reader's request has no
 * token for their ACKs. And the reader has to agree, which peers that do not know of it
 * do not, and nobody does for a page that is only guessed to be wanted.
 */
static bool read_exclusive(const struct hk_dir *dir, const struct dir_ask *ask)
{
	return dir->grants && ask->tokens.ack && !hk_nodes_any(dir->sharers);
}

static void start_get_s(struct hk_dir *dir, const struct dir_ask *ask,
			struct hk_out *out)
{
	dir->sharers |= hk_node_bit(ask->req);
	dir->busy = ask->req;
	dir_forward(ask, out, HK_DMSG_FWD_S, hk_node_bit(dir->owner),
		    HK_NODES_NONE);
}

/* The requester's copy is current: it lacks the right only, and the others' ACKs */
static void start_upgrade(struct hk_dir *dir, const struct hk_dir_wait *wait,
			  const struct dir_ask *ask, struct hk_out *out)
{
	hk_nodes others = (dir->sharers | hk_node_bit(dir->owner) | ask->told) &
			  ~hk_node_bit(ask->req);
	struct hk_dmsg *m;

	if (dir->owner != ask->req)
		dir->steady = 0;
	else if (hk_nodes_any(others) && dir->steady < HK_DIR_STEADY_MAX)
		dir->steady++;

	dir_invalidate(ask, out, others);
	m = dir_reply(ask, out, HK_DMSG_GRANT_X, others);
	m->flags = HK_DMSG_F_HAVE;
	dir->sharers = HK_NODES_NONE;
	dir->owner = ask->req;
	/* somebody waits: only a DONE gets the next one started */
	if (hk_nodes_any(others) || !hk_dir_wait_empty(wait))
		dir->busy = ask->req;
	else
		m->flags |= HK_DMSG_F_NO_DONE;
}

static void start_get_x(struct hk_dir *dir, const struct dir_ask *ask,
			struct hk_out *out)
{
	hk_nodes owner = hk_node_bit(dir->owner);
	hk_nodes others = (dir->sharers | ask->told) & ~hk_node_bit(ask->req) &
			  ~owner;

	dir->steady = 0;
	dir_invalidate(ask, out, others);
	dir_forward(ask, out, HK_DMSG_FWD_X, owner, others);
	dir->sharers = HK_NODES_NONE;
	dir->owner = ask->req;
	dir->busy = ask->req;
}

/*
 * By its token the reader knows that home wants it to have the page, and not the owner
 * who was asked for a copy
 */
static void start_read_exclusive(struct hk_dir *dir, const struct dir_ask *ask,
				 struct hk_out *out)
{
	struct dir_ask give = *ask;

	give.tokens.data = ask->tokens.ack;
	dir->grants--;
	start_get_x(dir, &give, out);
}

/* Nobody ever touched the page; reader or writer, it is the requester's own */
static void start_first(struct hk_dir *dir, const struct dir_ask *ask,
			struct hk_out *out)
{
	dir->owner = ask->req;
	dir_reply(ask, out, HK_DMSG_GRANT_X, HK_NODES_NONE)->flags =
		HK_DMSG_F_NO_DONE;
}

/* Nothing is under way afterwards, and no later message refers to this one */
static void start_lost(const struct dir_ask *ask, struct hk_out *out)
{
	dir_reply(ask, out, HK_DMSG_LOST, HK_NODES_NONE);
}

static void start(struct hk_dir *dir, const struct hk_dir_wait *wait,
		  const struct dir_ask *ask, struct hk_out *out)
{
	hk_nodes copies = dir->sharers | hk_node_bit(dir->owner);

	dir_learn(dir, ask);
	if (dir->flags & HK_DIR_F_LOST)
		start_lost(ask, out);
	else if (dir->owner == HK_NODE_NONE)
		start_first(dir, ask, out);
	else if (!ask->write && read_exclusive(dir, ask))
		start_read_exclusive(dir, ask, out);
	else if (!ask->write)
		start_get_s(dir, ask, out);
	else if (ask->have && hk_nodes_any(copies & hk_node_bit(ask->req)))
		/* not in @copies: an earlier writer has taken that copy */
		start_upgrade(dir, wait, ask, out);
	else
		start_get_x(dir, ask, out);
}

/* The next one of @set, which is not empty. @told: see struct dir_ask */
static void start_next(u16 self, struct hk_dir *dir, struct hk_dir_wait *wait,
		       u64 gfn, hk_nodes set, hk_nodes told, struct hk_out *out)
{
	u16 req = nodes_next(set, wait->last);
	hk_nodes bit = hk_node_bit(req);
	struct dir_ask ask = {
		.gfn = gfn,
		.tokens = wait->tokens[req],
		.self = self,
		.req = req,
		.write = hk_nodes_any(wait->wr & bit),
		.have = hk_nodes_any(wait->have & bit),
		.told = told,
	};

	wait->rd &= ~bit;
	wait->wr &= ~bit;
	wait->have &= ~bit;
	wait->tokens[req] = (struct hk_tokens){ 0 };
	if (wait->check_of == req) {
		ask.check = wait->check;
		wait->check = (struct hk_check){ 0 };
		wait->check_of = HK_NODE_NONE;
	}
	wait->last = hk_dir_wait_empty(wait) ? HK_NODE_NONE : req;
	start(dir, wait, &ask, out);
}

static void wait_add(struct hk_dir_wait *wait, const struct dir_ask *ask)
{
	hk_nodes bit = hk_node_bit(ask->req);

	if (ask->write)
		wait->wr |= bit;
	else
		wait->rd |= bit;
	if (ask->have)
		wait->have |= bit;
	wait->tokens[ask->req] = ask->tokens;
	if (ask->check.salt && wait->check_of == HK_NODE_NONE) {
		wait->check_of = ask->req;
		wait->check = ask->check;
	}
}

/*
 * A request for a page that is lent. Reads go to who rules it, as they come: nothing is
 * remembered but who may ask there directly from now on. With UNLEND no more of them do,
 * so whoever is asked to give the page back knows all that it has to serve.
 */
static int recv_get_lent(struct hk_dir *dir, struct hk_dir_wait *wait,
			 const struct dir_ask *ask, struct hk_out *out)
{
	bool asked = dir->flags & HK_DIR_F_ASKED;

	/* it asks itself as long as it rules */
	if (ask->req == dir->owner && !asked)
		return -EPROTO;
	if (!ask->write && !asked) {
		dir->sharers |= hk_node_bit(ask->req);
		dir_forward(ask, out, HK_DMSG_PASS_S, hk_node_bit(dir->owner),
			    HK_NODES_NONE);
		return 0;
	}
	wait_add(wait, ask);
	if (asked)
		return 0;
	dir->flags |= HK_DIR_F_ASKED;
	dir_send(ask, out, HK_DMSG_UNLEND, hk_node_bit(dir->owner),
		 HK_NODES_NONE);
	return 0;
}

static int recv_get(const struct hk_dir_where *w, struct hk_dir *dir,
		    struct hk_dir_wait *wait, const struct dir_ask *ask,
		    struct hk_out *out)
{
	if (hk_nodes_any((wait->rd | wait->wr) & hk_node_bit(ask->req)))
		return -EPROTO;
	if (ask->req == dir->owner && !ask->have)
		return -EPROTO;
	if ((dir->flags & HK_DIR_F_LOST) && ask->have)
		return -EPROTO;
	/* others' writes are for home to decide about */
	if (w->self != w->home && ask->write && ask->req != w->self)
		return -EPROTO;

	if (dir->flags & HK_DIR_F_LENT)
		return recv_get_lent(dir, wait, ask, out);
	/*
	 * The busy node itself may ask again: home's own DONE for it may be
	 * still on its way from home to home, or that of a reader who has asked
	 * home meanwhile on its way to who is lent the page.
	 */
	if (dir->busy == HK_NODE_NONE)
		start(dir, wait, ask, out);
	else
		wait_add(wait, ask);
	return 0;
}

/* Whoever does not rule the page, or is about to cease to, says so */
static int recv_stray(const struct hk_dir_where *w, const struct hk_dmsg *msg,
		      struct hk_out *out)
{
	const struct dir_ask ask = {
		.gfn = msg->gfn, .self = w->self, .req = msg->from,
	};

	if (msg->type != HK_DMSG_GET_S || msg->from == w->self)
		return -EPROTO;
	dir_reply(&ask, out, HK_DMSG_MOVED, HK_NODES_NONE);
	return 0;
}

/* By home, on behalf of a reader who may be at fault: home is not to be blamed for it */
static int recv_pass(const struct hk_dir_where *w, struct hk_dir *dir,
		     struct hk_dir_wait *wait, const struct hk_dmsg *msg,
		     struct hk_out *out)
{
	const struct dir_ask ask = {
		.gfn = msg->gfn,
		.tokens = msg->tokens,
		.check = msg->check,
		.self = w->self,
		.req = msg->req,
	};

	if (msg->from != w->home || msg->req == w->self ||
	    msg->req == HK_NODE_NONE || msg->req >= HK_MAX_NODES)
		return -EPROTO;
	if (hk_nodes_any((wait->rd | wait->wr) & hk_node_bit(msg->req)))
		return 0;
	return recv_get(w, dir, wait, &ask, out);
}

static void lend(const struct hk_dir_where *w, struct hk_dir *dir, u64 gfn,
		 struct hk_out *out)
{
	const struct dir_ask ask = { .gfn = gfn, .self = w->self };

	dir->flags |= HK_DIR_F_LENT | HK_DIR_F_LOANED;
	dir_send(&ask, out, HK_DMSG_LEND, hk_node_bit(dir->owner),
		 HK_NODES_NONE);
}

/*
 * Nobody has anything of the page but its owner, and nothing about it is under way: what
 * the last writer said DONE for is over, and nobody waits. Who is lent a page is its owner,
 * and lends it no further.
 */
static bool may_lend(const struct hk_dir_where *w, const struct hk_dir *dir)
{
	u8 want = dir->flags & HK_DIR_F_WARY ? HK_DIR_STEADY_MAX :
					       HK_DIR_STEADY_MIN;

	return w->lend && dir->owner != w->self &&
	       !hk_nodes_any(dir->sharers) && dir->steady >= want;
}

static int recv_done(const struct hk_dir_where *w, struct hk_dir *dir,
		     struct hk_dir_wait *wait, const struct hk_dmsg *msg,
		     struct hk_out *out)
{
	/* only home speaks for others, see page_send_data() */
	if (msg->from != msg->req && msg->from != w->self)
		return -EPROTO;
	if (dir->busy == HK_NODE_NONE || dir->busy != msg->req)
		return dir->flags & HK_DIR_F_LOANED ? 0 : -EPROTO;
	dir->busy = HK_NODE_NONE;
	if (!hk_dir_wait_empty(wait))
		start_next(w->self, dir, wait, msg->gfn, wait->rd | wait->wr,
			   HK_NODES_NONE, out);
	else if (may_lend(w, dir))
		lend(w, dir, msg->gfn, out);
	return 0;
}

/* Nobody waits when the entry is idle, so it can go as soon as it is */
static void give_back(const struct hk_dir_where *w, struct hk_dir *dir, u64 gfn,
		      struct hk_out *out)
{
	const struct dir_ask ask = { .gfn = gfn, .self = w->self };
	struct hk_dmsg *m;

	if (!(dir->flags & HK_DIR_F_GIVES) || dir->busy != HK_NODE_NONE)
		return;
	m = dir_send(&ask, out, HK_DMSG_BACK, hk_node_bit(w->home),
		     dir->sharers);
	if (dir->steady >= HK_DIR_STEADY_MIN)
		m->flags = HK_DMSG_F_STEADY;
	*dir = (struct hk_dir){ 0 };
}

/*
 * A writer goes first: there is one, or nobody would have asked for the page. HAVE counts
 * by who is a sharer still; an INV, and an ACK of it, is to be had from all that may ask
 * the former ruler, too.
 */
static int recv_back(const struct hk_dir_where *w, struct hk_dir *dir,
		     struct hk_dir_wait *wait, const struct hk_dmsg *msg,
		     struct hk_out *out)
{
	hk_nodes told = dir->sharers;

	if (!(dir->flags & HK_DIR_F_ASKED) || msg->from != dir->owner ||
	    hk_nodes_any(msg->acks & (hk_node_bit(HK_NODE_NONE) |
				      hk_node_bit(dir->owner))))
		return -EPROTO;
	dir->flags &= ~(HK_DIR_F_LENT | HK_DIR_F_ASKED | HK_DIR_F_WARY);
	if (!(msg->flags & HK_DMSG_F_STEADY))
		dir->flags |= HK_DIR_F_WARY;
	dir->sharers = msg->acks;
	dir->steady = 0;
	start_next(w->self, dir, wait, msg->gfn, wait->wr, told, out);
	return 0;
}

static int dir_step(const struct hk_dir_where *w, struct hk_dir *dir,
		    struct hk_dir_wait *wait, const struct hk_dmsg *msg,
		    struct hk_out *out)
{
	const bool write = msg->type == HK_DMSG_GET_X;
	const struct dir_ask ask = {
		.gfn = msg->gfn,
		.tokens = msg->tokens,
		.check = msg->check,
		.self = w->self,
		.req = msg->from,
		.write = write,
		.have = write && (msg->flags & HK_DMSG_F_HAVE),
	};
	const bool takes = w->self == w->home ||
			   ((dir->flags & HK_DIR_F_RULES) &&
			    !(dir->flags & HK_DIR_F_GIVES));

	switch ((enum hk_dmsg_type)msg->type) {
	case HK_DMSG_GET_S:
	case HK_DMSG_GET_X:
		if (!takes)
			return recv_stray(w, msg, out);
		return recv_get(w, dir, wait, &ask, out);
	case HK_DMSG_DONE:
		return recv_done(w, dir, wait, msg, out);
	case HK_DMSG_PASS_S:
		if (!takes || w->self == w->home)
			return -EPROTO;
		return recv_pass(w, dir, wait, msg, out);
	case HK_DMSG_UNLEND:
		if (!takes || w->self == w->home || msg->from != w->home)
			return -EPROTO;
		dir->flags |= HK_DIR_F_GIVES;
		return 0;
	case HK_DMSG_BACK:
		return recv_back(w, dir, wait, msg, out);
	case HK_DMSG_NONE:
	case HK_DMSG_FWD_S:
	case HK_DMSG_FWD_X:
	case HK_DMSG_INV:
	case HK_DMSG_DATA_S:
	case HK_DMSG_DATA_X:
	case HK_DMSG_GRANT_X:
	case HK_DMSG_ACK:
	case HK_DMSG_LOST:
	case HK_DMSG_LEND:
	case HK_DMSG_MOVED:
	case HK_DMSG_NR:
		break;
	}
	return -EPROTO;
}

int hk_dir_step(const struct hk_dir_where *w, struct hk_dir *dir,
		struct hk_dir_wait *wait, const struct hk_dmsg *msg,
		struct hk_out *out)
{
	int err;

	if (msg->from == HK_NODE_NONE || msg->from >= HK_MAX_NODES)
		return -EPROTO;
	/* no step sends more than two */
	if (out->nr > HK_OUT_MAX - 2)
		return -EPROTO;

	err = dir_step(w, dir, wait, msg, out);
	if (!err)
		give_back(w, dir, msg->gfn, out);
	return err;
}
