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
 */
#include "directory.h"

static struct hk_dmsg *dir_send(u16 self, struct hk_out *out, u64 gfn, u8 type,
				hk_nodes to, u16 req, u16 acks)
{
	struct hk_dmsg *m = &out->msg[out->nr++];

	*m = (struct hk_dmsg){
		.gfn = gfn,
		.to = to,
		.from = self,
		.req = req,
		.acks = acks,
		.type = type,
	};
	return m;
}

static u16 nodes_count(hk_nodes set)
{
	unsigned int i;
	u16 nr = 0;
	u64 word;

	for (i = 0; i < HK_NODES_WORDS; i++)
		for (word = hk_nodes_word(set, i); word; word &= word - 1)
			nr++;
	return nr;
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

static void start_get_s(u16 self, struct hk_dir *dir, u64 gfn, u16 req,
			struct hk_out *out)
{
	dir->sharers |= hk_node_bit(req);
	dir->busy = req;
	dir_send(self, out, gfn, HK_DMSG_FWD_S, hk_node_bit(dir->owner), req, 0);
}

/* @req's copy is current: it lacks the right only, and the others' ACKs */
static void start_upgrade(u16 self, struct hk_dir *dir,
			  const struct hk_dir_wait *wait, u64 gfn, u16 req,
			  struct hk_out *out)
{
	hk_nodes others = (dir->sharers | hk_node_bit(dir->owner)) &
			  ~hk_node_bit(req);
	u16 acks = nodes_count(others);
	struct hk_dmsg *m;

	if (hk_nodes_any(others))
		dir_send(self, out, gfn, HK_DMSG_INV, others, req, 0);
	m = dir_send(self, out, gfn, HK_DMSG_GRANT_X, hk_node_bit(req),
		     HK_NODE_NONE, acks);
	m->flags = HK_DMSG_F_HAVE;
	dir->sharers = HK_NODES_NONE;
	dir->owner = req;
	/* somebody waits: only a DONE gets the next one started */
	if (acks || !hk_dir_wait_empty(wait))
		dir->busy = req;
	else
		m->flags |= HK_DMSG_F_NO_DONE;
}

static void start_get_x(u16 self, struct hk_dir *dir, u64 gfn, u16 req,
			struct hk_out *out)
{
	hk_nodes owner = hk_node_bit(dir->owner);
	hk_nodes others = dir->sharers & ~hk_node_bit(req) & ~owner;

	if (hk_nodes_any(others))
		dir_send(self, out, gfn, HK_DMSG_INV, others, req, 0);
	dir_send(self, out, gfn, HK_DMSG_FWD_X, owner, req,
		 nodes_count(others));
	dir->sharers = HK_NODES_NONE;
	dir->owner = req;
	dir->busy = req;
}

/* Nobody ever touched the page; reader or writer, it is the requester's own */
static void start_first(u16 self, struct hk_dir *dir, u64 gfn, u16 req,
			struct hk_out *out)
{
	dir->owner = req;
	dir_send(self, out, gfn, HK_DMSG_GRANT_X, hk_node_bit(req),
		 HK_NODE_NONE, 0)->flags = HK_DMSG_F_NO_DONE;
}

/* Nothing is under way afterwards, and no later message refers to this one */
static void start_lost(u16 self, u64 gfn, u16 req, struct hk_out *out)
{
	dir_send(self, out, gfn, HK_DMSG_LOST, hk_node_bit(req), HK_NODE_NONE, 0);
}

static void start(u16 self, struct hk_dir *dir, const struct hk_dir_wait *wait,
		  u64 gfn, u16 req, bool write, bool have, struct hk_out *out)
{
	hk_nodes copies = dir->sharers | hk_node_bit(dir->owner);

	if (dir->flags & HK_DIR_F_LOST)
		start_lost(self, gfn, req, out);
	else if (dir->owner == HK_NODE_NONE)
		start_first(self, dir, gfn, req, out);
	else if (!write)
		start_get_s(self, dir, gfn, req, out);
	else if (have && hk_nodes_any(copies & hk_node_bit(req)))
		/* not in @copies: an earlier writer has taken that copy */
		start_upgrade(self, dir, wait, gfn, req, out);
	else
		start_get_x(self, dir, gfn, req, out);
}

static void start_next(u16 self, struct hk_dir *dir, struct hk_dir_wait *wait,
		       u64 gfn, struct hk_out *out)
{
	u16 req = nodes_next(wait->rd | wait->wr, wait->last);
	hk_nodes bit = hk_node_bit(req);
	bool write = hk_nodes_any(wait->wr & bit);
	bool have = hk_nodes_any(wait->have & bit);

	wait->rd &= ~bit;
	wait->wr &= ~bit;
	wait->have &= ~bit;
	wait->last = hk_dir_wait_empty(wait) ? HK_NODE_NONE : req;
	start(self, dir, wait, gfn, req, write, have, out);
}

static int recv_get(u16 self, struct hk_dir *dir, struct hk_dir_wait *wait,
		    const struct hk_dmsg *msg, struct hk_out *out)
{
	bool write = msg->type == HK_DMSG_GET_X;
	bool have = write && (msg->flags & HK_DMSG_F_HAVE);
	hk_nodes bit = hk_node_bit(msg->from);

	if (hk_nodes_any((wait->rd | wait->wr) & bit))
		return -EPROTO;
	if (msg->from == dir->owner && !have)
		return -EPROTO;
	if ((dir->flags & HK_DIR_F_LOST) && have)
		return -EPROTO;

	/*
	 * The busy node itself may ask again: home's own DONE for it may be
	 * still on its way from home to home.
	 */
	if (dir->busy == HK_NODE_NONE) {
		start(self, dir, wait, msg->gfn, msg->from, write, have, out);
		return 0;
	}
	if (write)
		wait->wr |= bit;
	else
		wait->rd |= bit;
	if (have)
		wait->have |= bit;
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
