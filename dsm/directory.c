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
 */
struct dir_ask {
	u64 gfn;
	struct hk_tokens tokens;
	struct hk_check check;
	u16 self;
	u16 req;
	bool write;
	bool have;
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
	hk_nodes others = (dir->sharers | hk_node_bit(dir->owner)) &
			  ~hk_node_bit(ask->req);
	struct hk_dmsg *m;

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
	hk_nodes others = dir->sharers & ~hk_node_bit(ask->req) & ~owner;

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

static void start_next(u16 self, struct hk_dir *dir, struct hk_dir_wait *wait,
		       u64 gfn, struct hk_out *out)
{
	u16 req = nodes_next(wait->rd | wait->wr, wait->last);
	hk_nodes bit = hk_node_bit(req);
	struct dir_ask ask = {
		.gfn = gfn,
		.tokens = wait->tokens[req],
		.self = self,
		.req = req,
		.write = hk_nodes_any(wait->wr & bit),
		.have = hk_nodes_any(wait->have & bit),
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

static int recv_get(u16 self, struct hk_dir *dir, struct hk_dir_wait *wait,
		    const struct hk_dmsg *msg, struct hk_out *out)
{
	const bool write = msg->type == HK_DMSG_GET_X;
	const struct dir_ask ask = {
		.gfn = msg->gfn,
		.tokens = msg->tokens,
		.check = msg->check,
		.self = self,
		.req = msg->from,
		.write = write,
		.have = write && (msg->flags & HK_DMSG_F_HAVE),
	};
	hk_nodes bit = hk_node_bit(msg->from);

	if (hk_nodes_any((wait->rd | wait->wr) & bit))
		return -EPROTO;
	if (msg->from == dir->owner && !ask.have)
		return -EPROTO;
	if ((dir->flags & HK_DIR_F_LOST) && ask.have)
		return -EPROTO;

	/*
	 * The busy node itself may ask again: home's own DONE for it may be
	 * still on its way from home to home.
	 */
	if (dir->busy == HK_NODE_NONE) {
		start(dir, wait, &ask, out);
		return 0;
	}
	if (write)
		wait->wr |= bit;
	else
		wait->rd |= bit;
	if (ask.have)
		wait->have |= bit;
	wait->tokens[msg->from] = msg->tokens;
	if (msg->check.salt && wait->check_of == HK_NODE_NONE) {
		wait->check_of = msg->from;
		wait->check = msg->check;
	}
	return 0;
}

static int recv_done(u16 self, struct hk_dir *dir, struct hk_dir_wait *wait,
		     const struct hk_dmsg *msg, struct hk_out *out)
{
	/* only home speaks for others, see page_send_data() */
	if (msg->from != msg->req && msg->from != self)
		return -EPROTO;
	if (dir->busy == HK_NODE_NONE || dir->busy != msg->req)
		return -EPROTO;
	dir->busy = HK_NODE_NONE;
	if (!hk_dir_wait_empty(wait))
		start_next(self, dir, wait, msg->gfn, out);
	return 0;
}

int hk_dir_step(u16 self, struct hk_dir *dir, struct hk_dir_wait *wait,
		const struct hk_dmsg *msg, struct hk_out *out)
{
	if (msg->from == HK_NODE_NONE || msg->from >= HK_MAX_NODES)
		return -EPROTO;
	/* no step sends more than two */
	if (out->nr > HK_OUT_MAX - 2)
		return -EPROTO;

	switch ((enum hk_dmsg_type)msg->type) {
	case HK_DMSG_GET_S:
	case HK_DMSG_GET_X:
		return recv_get(self, dir, wait, msg, out);
	case HK_DMSG_DONE:
		return recv_done(self, dir, wait, msg, out);
	case HK_DMSG_NONE:
	case HK_DMSG_FWD_S:
	case HK_DMSG_FWD_X:
	case HK_DMSG_INV:
	case HK_DMSG_DATA_S:
	case HK_DMSG_DATA_X:
	case HK_DMSG_GRANT_X:
	case HK_DMSG_ACK:
	case HK_DMSG_LOST:
	case HK_DMSG_NR:
		break;
	}
	return -EPROTO;
}
