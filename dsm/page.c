// SPDX-License-Identifier: GPL-2.0
/*
 * The page state machine of one node, as a table
 *
 * Roles: the *home* of a page runs directory.c and starts one transaction at a
 * time; this file is the *requester*, the *owner* and the *sharer*, on every
 * node, the home included. Who calls whom (R requester, H home, O owner, S
 * sharer):
 *
 *	R: local fault			-> H: hk_dir_step(GET_S or GET_X)
 *	H: FWD_S, FWD_X			-> O: recall, then DATA_S, DATA_X to R
 *	H: INV				-> S: recall, then ACK to R
 *	H: GRANT_X			-> R
 *	R: reply and all ACKs are there	-> H: hk_dir_step(DONE)
 *
 * Where H has lent the rule over the page to O (directory.c, "Lent homes"), O is home as
 * well: it asks itself, and R may ask it.
 *
 *	              READ                    FWD_S
 *	INVALID ----> INVALID_RD --> SHARED         OWNED <--- EXCLUSIVE_DOWN
 *	   |                           |              |               ^
 *	   | WRITE              WRITE  v       WRITE  v               | FWD_S
 *	   +--------> INVALID_WR  SHARED_WR      OWNED_WR             |
 *	                  |            |              |               |
 *	                  +------------+--------------+--------> EXCLUSIVE
 *
 *	FWD_X, INV:  X -> X_TAKE -> INVALID, or INVALID_WR where a request of
 *	this node's own is under way
 *
 * What each race is closed by is told in Documentation/protocol.rst; that the
 * table closes all of them is what selftests/explore shows.
 */
#include "page.h"

/* What a step does besides changing the state and asking for actions */
enum page_do {
	DO_PROTO = 0,	/* cannot happen: -EPROTO. An empty cell says this */
	DO_NOTHING,	/* allowed already, or a WAKE will come */
	DO_GET_S,	/* ask home for a read copy */
	DO_GET_X,	/* ask home for the page */
	DO_GET_X_HAVE,	/* ask home for the right to write the copy held here */
	DO_DATA_S,	/* answer FWD_S at once */
	DO_ACK,		/* answer INV at once */
	DO_RECALL,	/* remember FWD or INV until the page is taken */
	DO_ANSWER,	/* page taken or write-protected: answer the recall */
	DO_READ_REPLY,	/* reply to GET_S: always complete */
	DO_WRITE_REPLY,	/* reply to GET_X: complete once all ACKs came */
	DO_NOTE_ACK,	/* one ACK more: complete when the reply came, too */
	DO_LOST,	/* nobody has the page any more */
	DO_RULE,	/* rule the page until it is asked back */
	DO_ASK_HOME,	/* who was asked does not rule the page: ask home */
	DO_NR
};

/**
 * struct page_edge - one cell of the table
 * @next: state after the step. DO_WRITE_REPLY and DO_NOTE_ACK: state once the
 *	request is complete, until then the state stays
 * @what: enum page_do
 * @act: HK_ACT_* of the step. A completed request adds HK_ACT_WAKE
 */
struct page_edge {
	u8 next;
	u8 what;
	u8 act;
};

#define EDGE(_next, _what, _act) \
	{ .next = HK_PG_##_next, .what = DO_##_what, .act = (_act) }
#define TAKE		HK_ACT_TAKE
#define DOWN		HK_ACT_DOWNGRADE
#define INSTALL		HK_ACT_INSTALL
#define ZERO		HK_ACT_INSTALL_ZERO
#define WAKE		HK_ACT_WAKE
#define FREE		HK_ACT_FREE
#define LOST		HK_ACT_LOST
#define RULE		HK_ACT_RULE

/*
 * A state that waits for something (a reply, or the caller's TAKEN) answers no
 * local fault: each of its ways out wakes the faulting threads, which then ask
 * again. Read copies are dropped without telling home, so INV is answered where
 * nothing is left, too.
 */
static const struct page_edge page_table[HK_PG_NR][HK_EV_NR] = {
	[HK_PG_INVALID] = {
		[HK_EV_READ]	= EDGE(INVALID_RD, GET_S, 0),
		[HK_EV_WRITE]	= EDGE(INVALID_WR, GET_X, 0),
		[HK_EV_INV]	= EDGE(INVALID, ACK, 0),
	},
	[HK_PG_SHARED] = {
		[HK_EV_READ]	= EDGE(SHARED, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(SHARED_WR, GET_X_HAVE, 0),
		[HK_EV_DROP]	= EDGE(INVALID, NOTHING, 0),
		[HK_EV_INV]	= EDGE(SHARED_TAKE, RECALL, TAKE),
	},
	[HK_PG_OWNED] = {
		[HK_EV_READ]	= EDGE(OWNED, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(OWNED_WR, GET_X_HAVE, 0),
		[HK_EV_FWD_S]	= EDGE(OWNED, DATA_S, 0),
		[HK_EV_FWD_X]	= EDGE(OWNED_TAKE, RECALL, TAKE),
		[HK_EV_INV]	= EDGE(OWNED_TAKE, RECALL, TAKE),
	},
	[HK_PG_EXCLUSIVE] = {
		[HK_EV_READ]	= EDGE(EXCLUSIVE, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(EXCLUSIVE, NOTHING, 0),
		[HK_EV_FWD_S]	= EDGE(EXCLUSIVE_DOWN, RECALL, DOWN),
		[HK_EV_FWD_X]	= EDGE(EXCLUSIVE_TAKE, RECALL, TAKE),
		[HK_EV_LEND]	= EDGE(EXCLUSIVE, RULE, RULE),
	},
	[HK_PG_INVALID_RD] = {
		[HK_EV_READ]	= EDGE(INVALID_RD, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(INVALID_RD, NOTHING, 0),
		[HK_EV_INV]	= EDGE(INVALID_RD, ACK, 0),
		[HK_EV_DATA_S]	= EDGE(SHARED, READ_REPLY, INSTALL | WAKE),
		[HK_EV_DATA_X]	= EDGE(EXCLUSIVE, READ_REPLY, INSTALL | WAKE),
		[HK_EV_GRANT_X]	= EDGE(EXCLUSIVE, READ_REPLY, ZERO | WAKE),
		[HK_EV_LOST]	= EDGE(INVALID, LOST, LOST | WAKE),
		[HK_EV_MOVED]	= EDGE(INVALID_RD, ASK_HOME, 0),
	},
	[HK_PG_INVALID_WR] = {
		[HK_EV_READ]	= EDGE(INVALID_WR, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(INVALID_WR, NOTHING, 0),
		[HK_EV_INV]	= EDGE(INVALID_WR, ACK, 0),
		[HK_EV_DATA_X]	= EDGE(EXCLUSIVE, WRITE_REPLY, INSTALL),
		[HK_EV_GRANT_X]	= EDGE(EXCLUSIVE, WRITE_REPLY, ZERO),
		[HK_EV_ACK]	= EDGE(EXCLUSIVE, NOTE_ACK, 0),
		[HK_EV_LOST]	= EDGE(INVALID, LOST, LOST | WAKE),
	},
	[HK_PG_SHARED_WR] = {
		[HK_EV_READ]	= EDGE(SHARED_WR, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(SHARED_WR, NOTHING, 0),
		[HK_EV_INV]	= EDGE(SHARED_WR_TAKE, RECALL, TAKE),
		[HK_EV_GRANT_X]	= EDGE(EXCLUSIVE, WRITE_REPLY, 0),
		[HK_EV_ACK]	= EDGE(EXCLUSIVE, NOTE_ACK, 0),
	},
	[HK_PG_OWNED_WR] = {
		[HK_EV_READ]	= EDGE(OWNED_WR, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(OWNED_WR, NOTHING, 0),
		[HK_EV_FWD_S]	= EDGE(OWNED_WR, DATA_S, 0),
		[HK_EV_FWD_X]	= EDGE(OWNED_WR_TAKE, RECALL, TAKE),
		[HK_EV_INV]	= EDGE(OWNED_WR_TAKE, RECALL, TAKE),
		[HK_EV_GRANT_X]	= EDGE(EXCLUSIVE, WRITE_REPLY, 0),
		[HK_EV_ACK]	= EDGE(EXCLUSIVE, NOTE_ACK, 0),
	},
	[HK_PG_SHARED_TAKE] = {
		[HK_EV_READ]	= EDGE(SHARED_TAKE, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(SHARED_TAKE, NOTHING, 0),
		[HK_EV_TAKEN]	= EDGE(INVALID, ANSWER, FREE | WAKE),
	},
	[HK_PG_OWNED_TAKE] = {
		[HK_EV_READ]	= EDGE(OWNED_TAKE, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(OWNED_TAKE, NOTHING, 0),
		[HK_EV_TAKEN]	= EDGE(INVALID, ANSWER, FREE | WAKE),
	},
	[HK_PG_EXCLUSIVE_DOWN] = {
		[HK_EV_READ]	= EDGE(EXCLUSIVE_DOWN, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(EXCLUSIVE_DOWN, NOTHING, 0),
		[HK_EV_DOWNGRADED] = EDGE(OWNED, ANSWER, WAKE),
	},
	[HK_PG_EXCLUSIVE_TAKE] = {
		[HK_EV_READ]	= EDGE(EXCLUSIVE_TAKE, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(EXCLUSIVE_TAKE, NOTHING, 0),
		[HK_EV_TAKEN]	= EDGE(INVALID, ANSWER, FREE | WAKE),
	},
	[HK_PG_SHARED_WR_TAKE] = {
		[HK_EV_READ]	= EDGE(SHARED_WR_TAKE, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(SHARED_WR_TAKE, NOTHING, 0),
		[HK_EV_TAKEN]	= EDGE(INVALID_WR, ANSWER, FREE | WAKE),
	},
	[HK_PG_OWNED_WR_TAKE] = {
		[HK_EV_READ]	= EDGE(OWNED_WR_TAKE, NOTHING, 0),
		[HK_EV_WRITE]	= EDGE(OWNED_WR_TAKE, NOTHING, 0),
		[HK_EV_TAKEN]	= EDGE(INVALID_WR, ANSWER, FREE | WAKE),
	},
};

#undef EDGE
#undef TAKE
#undef DOWN
#undef INSTALL
#undef ZERO
#undef WAKE
#undef FREE
#undef LOST
#undef RULE

static bool node_valid(u16 node)
{
	return node != HK_NODE_NONE && node < HK_MAX_NODES;
}

/* Nodes that @req has to wait for: others, if any */
static bool acks_valid(hk_nodes acks, u16 req)
{
	return !hk_nodes_any(acks &
			     (hk_node_bit(HK_NODE_NONE) | hk_node_bit(req)));
}

/*
 * May this node take the copy away? Home may, or who is lent its rule: here, or where the
 * copy came from. Where there is no copy any other node may say so in its own name: all it
 * gets is an ACK to itself, which no other node's request takes.
 */
static bool inv_valid(const struct hk_page_where *w, u8 state,
		      const struct hk_dmsg *msg)
{
	if (msg->from == w->home)
		return true;
	if (msg->req != msg->from || msg->flags)
		return false;
	if (state == HK_PG_SHARED || state == HK_PG_SHARED_WR)
		return msg->from == w->ruler;
	return state == HK_PG_INVALID || state == HK_PG_INVALID_RD ||
	       state == HK_PG_INVALID_WR;
}

/* A reader that has asked who rules the page, and not home, knows who has to answer */
static bool reply_valid(const struct hk_page_where *w,
			const struct hk_page_ctx *ctx, const struct hk_dmsg *msg)
{
	bool ruler = msg->flags & HK_DMSG_F_RULER;

	if (ctx->asked != HK_NODE_NONE && ctx->asked != w->self)
		return ruler && msg->from == ctx->asked;
	return !ruler || msg->from != w->home;
}

/* What is wrong with a message but for the tokens; checked here and only here */
static bool msg_valid(const struct hk_page_where *w, u8 state,
		      const struct hk_page_ctx *ctx, enum hk_page_event ev,
		      const struct hk_dmsg *msg)
{
	bool from_home;

	if (!msg || msg->gfn != w->gfn || !node_valid(msg->from) ||
	    hk_page_event_of(msg->type) != (int)ev)
		return false;
	from_home = msg->from == w->home ||
		    (w->rules && msg->from == w->self);

	switch (ev) {
	case HK_EV_FWD_S:
	case HK_EV_FWD_X:
		return from_home && node_valid(msg->req) &&
		       msg->req != w->self &&
		       acks_valid(msg->acks, msg->req) &&
		       (ev == HK_EV_FWD_X || !hk_nodes_any(msg->acks));
	case HK_EV_INV:
		return inv_valid(w, state, msg) && node_valid(msg->req) &&
		       msg->req != w->self && !hk_nodes_any(msg->acks);
	case HK_EV_GRANT_X:
		return from_home && acks_valid(msg->acks, w->self) &&
		       reply_valid(w, ctx, msg);
	case HK_EV_DATA_S:
	case HK_EV_DATA_X:
		return msg->from != w->self && acks_valid(msg->acks, w->self) &&
		       (from_home || !(msg->flags & HK_DMSG_F_NO_DONE)) &&
		       reply_valid(w, ctx, msg);
	case HK_EV_ACK:
		return msg->from != w->self;
	case HK_EV_LOST:
		return from_home && !hk_nodes_any(msg->acks) && !msg->flags &&
		       reply_valid(w, ctx, msg);
	case HK_EV_LEND:
		return msg->from == w->home && w->home != w->self && !w->rules;
	case HK_EV_MOVED:
		return msg->from == ctx->asked;
	case HK_EV_READ:
	case HK_EV_WRITE:
	case HK_EV_DROP:
	case HK_EV_TAKEN:
	case HK_EV_DOWNGRADED:
	case HK_EV_NR:
		break;
	}
	return false;
}

/* Whoever does not know the token was not asked, or for an earlier request */
static bool token_valid(const struct hk_page_ctx *ctx, u8 state,
			enum hk_page_event ev, const struct hk_dmsg *msg)
{
	u32 data = ctx->tokens.data;

	/*
	 * Home may have the page given away to a reader that agreed to it. An owner that
	 * was asked for a copy does not know that token.
	 */
	if (ev == HK_EV_DATA_X && state == HK_PG_INVALID_RD)
		data = ctx->tokens.ack;

	switch (ev) {
	case HK_EV_DATA_S:
	case HK_EV_DATA_X:
	case HK_EV_GRANT_X:
	case HK_EV_LOST:
		return data && msg->tokens.data == data;
	case HK_EV_ACK:
		return msg->tokens.ack == ctx->tokens.ack;
	case HK_EV_READ:
	case HK_EV_WRITE:
	case HK_EV_DROP:
	case HK_EV_FWD_S:
	case HK_EV_FWD_X:
	case HK_EV_INV:
	case HK_EV_LEND:
	case HK_EV_MOVED:
	case HK_EV_TAKEN:
	case HK_EV_DOWNGRADED:
	case HK_EV_NR:
		break;
	}
	return true;
}

static bool event_is_msg(enum hk_page_event ev)
{
	return ev >= HK_EV_FWD_S && ev <= HK_EV_MOVED;
}

static struct hk_dmsg *page_send(const struct hk_page_where *w,
				 struct hk_out *out, u8 type, u16 to)
{
	struct hk_dmsg *m = &out->msg[out->nr++];

	*m = (struct hk_dmsg){
		.gfn = w->gfn,
		.to = hk_node_bit(to),
		.from = w->self,
		.req = HK_NODE_NONE,
		.type = type,
	};
	return m;
}

/* Whom to ask: this node itself where it rules, or who ruled the last copy, or home */
static u16 page_ask(const struct hk_page_where *w, u8 type)
{
	if (w->rules)
		return w->gives ? w->home : w->self;
	if (type == HK_DMSG_GET_S && w->ruler != HK_NODE_NONE)
		return w->ruler;
	return w->home;
}

static void page_send_get(const struct hk_page_where *w,
			  struct hk_page_ctx *ctx, struct hk_out *out, u16 to,
			  u8 type, u8 flags)
{
	struct hk_dmsg *m = page_send(w, out, type, to);

	ctx->asked = to == w->home ? HK_NODE_NONE : to;
	ctx->moot = 0;
	m->flags = flags;
	m->tokens.data = w->tokens.data;
	/*
	 * Nobody has to give a read copy up for a reader, but the owner may the page. Only
	 * home has it do so, and whoever else is asked needs no token for it.
	 */
	if (type == HK_DMSG_GET_X || (w->read_x && to == w->home))
		m->tokens.ack = w->tokens.ack;
	if (!(flags & HK_DMSG_F_HAVE))
		m->check = w->check;
	ctx->tokens = m->tokens;
}

/*
 * @to: home, or who is lent its rule
 * @req: whose transaction ends; home itself says it for those it supplies
 */
static void page_send_done(const struct hk_page_where *w, struct hk_out *out,
			   u16 to, u16 req)
{
	page_send(w, out, HK_DMSG_DONE, to)->req = req;
}

/*
 * The owner hands out data. A home that does so knows that its DATA travels
 * ahead of whatever it sends to @req afterwards, so it closes the transaction
 * in the same breath. Not so while @req has ACKs to collect: those come from
 * others, and until then @req must not be sent the next recall.
 *
 * Nor where the rule is lent to this node: the recall after it gave the rule back comes
 * from home, by another link than the data.
 */
static void page_send_data(const struct hk_page_where *w, struct hk_out *out,
			   u8 type, u16 req, hk_nodes acks, u32 token,
			   const struct hk_check *check)
{
	struct hk_dmsg *m = page_send(w, out, type, req);

	m->acks = acks;
	m->tokens.data = token;
	m->check = *check;
	if (w->rules) {
		m->flags = HK_DMSG_F_RULER;
	} else if (w->self == w->home && !hk_nodes_any(acks)) {
		m->flags = HK_DMSG_F_NO_DONE;
		page_send_done(w, out, w->home, req);
	}
}

static void page_send_ack(const struct hk_page_where *w, struct hk_out *out,
			  u16 req, u32 token)
{
	page_send(w, out, HK_DMSG_ACK, req)->tokens.ack = token;
}

static void page_answer(const struct hk_page_where *w, struct hk_out *out,
			const struct hk_page_ctx *ctx)
{
	switch (ctx->recall_type) {
	case HK_DMSG_FWD_S:
		page_send_data(w, out, HK_DMSG_DATA_S, ctx->recall_req,
			       HK_NODES_NONE, ctx->recall_token, &ctx->recall_check);
		break;
	case HK_DMSG_FWD_X:
		page_send_data(w, out, HK_DMSG_DATA_X, ctx->recall_req,
			       ctx->recall_acks, ctx->recall_token,
			       &ctx->recall_check);
		break;
	case HK_DMSG_INV:
		page_send_ack(w, out, ctx->recall_req, ctx->recall_token);
		break;
	}
}

/* A request of this node's own, if there is one, goes on */
static void page_recall_over(struct hk_page_ctx *ctx)
{
	ctx->recall_token = 0;
	ctx->recall_check = (struct hk_check){ 0 };
	ctx->recall_req = HK_NODE_NONE;
	ctx->recall_type = HK_DMSG_NONE;
	ctx->recall_acks = HK_NODES_NONE;
}

/*
 * Home has started this node's own transaction, so all recalls for earlier ones
 * are answered and none for later ones is sent yet
 */
static bool page_served_now(const struct hk_page_ctx *ctx)
{
	return ctx->replied || hk_nodes_any(ctx->acks);
}

/* Reply and all ACKs are there: the page is this node's own */
static bool page_complete(const struct hk_page_where *w,
			  struct hk_page_ctx *ctx, struct hk_out *out)
{
	if (!ctx->replied || hk_nodes_any(ctx->acks))
		return false;
	if (!ctx->no_done)
		page_send_done(w, out, ctx->asked ?: w->home, w->self);
	*ctx = (struct hk_page_ctx){ 0 };
	return true;
}

int hk_page_step(const struct hk_page_where *w, u8 *state,
		 struct hk_page_ctx *ctx, enum hk_page_event ev,
		 const struct hk_dmsg *msg, struct hk_out *out)
{
	const struct page_edge *edge;
	u16 ruler = w->ruler;
	unsigned int act;
	hk_nodes from;
	u8 next;

	if (*state >= HK_PG_NR || (unsigned int)ev >= HK_EV_NR)
		return -EPROTO;
	/* no step sends more than two */
	if (out->nr > HK_OUT_MAX - 2)
		return -EPROTO;
	if (event_is_msg(ev) &&
	    (!msg_valid(w, *state, ctx, ev, msg) ||
	     !token_valid(ctx, *state, ev, msg)))
		return -EPROTO;

	edge = &page_table[*state][ev];
	next = edge->next;
	act = edge->act;

	switch ((enum page_do)edge->what) {
	case DO_PROTO:
	case DO_NR:
		return -EPROTO;
	case DO_NOTHING:
		break;
	case DO_GET_S:
		page_send_get(w, ctx, out, page_ask(w, HK_DMSG_GET_S),
			      HK_DMSG_GET_S, 0);
		break;
	case DO_GET_X:
		page_send_get(w, ctx, out, page_ask(w, HK_DMSG_GET_X),
			      HK_DMSG_GET_X, 0);
		break;
	case DO_GET_X_HAVE:
		page_send_get(w, ctx, out, page_ask(w, HK_DMSG_GET_X),
			      HK_DMSG_GET_X, HK_DMSG_F_HAVE);
		break;
	case DO_DATA_S:
		if (page_served_now(ctx))
			return -EPROTO;
		page_send_data(w, out, HK_DMSG_DATA_S, msg->req, HK_NODES_NONE,
			       msg->tokens.data, &msg->check);
		break;
	case DO_ACK:
		if (page_served_now(ctx))
			return -EPROTO;
		page_send_ack(w, out, msg->req, msg->tokens.ack);
		break;
	case DO_RECALL:
		if (page_served_now(ctx))
			return -EPROTO;
		ctx->recall_req = msg->req;
		ctx->recall_acks = msg->acks;
		ctx->recall_type = msg->type;
		ctx->recall_token = ev == HK_EV_INV ? msg->tokens.ack :
						      msg->tokens.data;
		ctx->recall_check = msg->check;
		break;
	case DO_ANSWER:
		page_answer(w, out, ctx);
		page_recall_over(ctx);
		break;
	case DO_READ_REPLY:
		/* a zero page is granted without F_HAVE, and nobody else has it */
		if (hk_nodes_any(msg->acks) || (msg->flags & HK_DMSG_F_HAVE))
			return -EPROTO;
		ruler = msg->flags & HK_DMSG_F_RULER ? msg->from : HK_NODE_NONE;
		if (!(msg->flags & HK_DMSG_F_NO_DONE))
			page_send_done(w, out, ruler ?: w->home, w->self);
		if (ctx->moot && ev == HK_EV_DATA_S && msg->from != w->home) {
			/*
			 * Of who was asked, and may be lent the page once more by now,
			 * which home does not know; or of whom home had asked
			 */
			ruler = HK_NODE_NONE;
			page_send_get(w, ctx, out, w->home, HK_DMSG_GET_S, 0);
			next = *state;
			act = 0;
			break;
		}
		*ctx = (struct hk_page_ctx){ 0 };
		break;
	case DO_WRITE_REPLY:
		/* an ACK of a node that home has not asked is worth nothing */
		if (ctx->replied || hk_nodes_any(ctx->acks & ~msg->acks))
			return -EPROTO;
		/* F_HAVE: exactly when nothing is to be installed */
		if (!(msg->flags & HK_DMSG_F_HAVE) == !act)
			return -EPROTO;
		/* home closes no transaction that waits for ACKs */
		if (hk_nodes_any(msg->acks) && (msg->flags & HK_DMSG_F_NO_DONE))
			return -EPROTO;
		ctx->replied = 1;
		ctx->acks = msg->acks & ~ctx->acks;
		ctx->no_done = !!(msg->flags & HK_DMSG_F_NO_DONE);
		ruler = HK_NODE_NONE;
		if (page_complete(w, ctx, out))
			act |= HK_ACT_WAKE;
		else
			next = *state;
		break;
	case DO_NOTE_ACK:
		/* once from each, and behind the reply from those alone it named */
		from = hk_node_bit(msg->from);
		if (hk_nodes_any(ctx->acks & from) != !!ctx->replied)
			return -EPROTO;
		ctx->acks ^= from;
		if (page_complete(w, ctx, out))
			act |= HK_ACT_WAKE;
		else
			next = *state;
		break;
	case DO_LOST:
		if (page_served_now(ctx))
			return -EPROTO;
		ruler = HK_NODE_NONE;
		*ctx = (struct hk_page_ctx){ 0 };
		break;
	case DO_RULE:
		break;
	case DO_ASK_HOME:
		ruler = HK_NODE_NONE;
		page_send_get(w, ctx, out, w->home, HK_DMSG_GET_S, 0);
		break;
	}
	/* whoever had the rule is not to be asked any more, and not to be believed */
	if (ev == HK_EV_INV && (msg->flags & HK_DMSG_F_RULER)) {
		ruler = HK_NODE_NONE;
		ctx->moot = *state == HK_PG_INVALID_RD;
	}

	*state = next;
	out->act |= act;
	out->ruler = ruler;
	return 0;
}

struct hk_tokens hk_page_draw_tokens(u64 random)
{
	struct hk_tokens tokens = {
		.data = (u32)random,
		.ack = random >> 32,
	};

	if (!tokens.data)
		tokens.data = 1;
	if (!tokens.ack || tokens.ack == tokens.data)
		tokens.ack = tokens.data + 1 ?: 1;
	return tokens;
}

int hk_page_event_of(u8 type)
{
	switch ((enum hk_dmsg_type)type) {
	case HK_DMSG_FWD_S:
		return HK_EV_FWD_S;
	case HK_DMSG_FWD_X:
		return HK_EV_FWD_X;
	case HK_DMSG_INV:
		return HK_EV_INV;
	case HK_DMSG_DATA_S:
		return HK_EV_DATA_S;
	case HK_DMSG_DATA_X:
		return HK_EV_DATA_X;
	case HK_DMSG_GRANT_X:
		return HK_EV_GRANT_X;
	case HK_DMSG_ACK:
		return HK_EV_ACK;
	case HK_DMSG_LOST:
		return HK_EV_LOST;
	case HK_DMSG_LEND:
		return HK_EV_LEND;
	case HK_DMSG_MOVED:
		return HK_EV_MOVED;
	case HK_DMSG_NONE:
	case HK_DMSG_GET_S:
	case HK_DMSG_GET_X:
	case HK_DMSG_DONE:
	case HK_DMSG_PASS_S:
	case HK_DMSG_UNLEND:
	case HK_DMSG_BACK:
	case HK_DMSG_NR:
		break;
	}
	return -EINVAL;
}

const char *hk_page_state_name(u8 state)
{
	switch ((enum hk_page_state)state) {
	case HK_PG_INVALID:
		return "INVALID";
	case HK_PG_SHARED:
		return "SHARED";
	case HK_PG_OWNED:
		return "OWNED";
	case HK_PG_EXCLUSIVE:
		return "EXCLUSIVE";
	case HK_PG_INVALID_RD:
		return "INVALID_RD";
	case HK_PG_INVALID_WR:
		return "INVALID_WR";
	case HK_PG_SHARED_WR:
		return "SHARED_WR";
	case HK_PG_OWNED_WR:
		return "OWNED_WR";
	case HK_PG_SHARED_TAKE:
		return "SHARED_TAKE";
	case HK_PG_OWNED_TAKE:
		return "OWNED_TAKE";
	case HK_PG_EXCLUSIVE_DOWN:
		return "EXCLUSIVE_DOWN";
	case HK_PG_EXCLUSIVE_TAKE:
		return "EXCLUSIVE_TAKE";
	case HK_PG_SHARED_WR_TAKE:
		return "SHARED_WR_TAKE";
	case HK_PG_OWNED_WR_TAKE:
		return "OWNED_WR_TAKE";
	case HK_PG_NR:
		break;
	}
	return "?";
}

const char *hk_page_event_name(u8 ev)
{
	switch ((enum hk_page_event)ev) {
	case HK_EV_READ:
		return "READ";
	case HK_EV_WRITE:
		return "WRITE";
	case HK_EV_DROP:
		return "DROP";
	case HK_EV_FWD_S:
		return "FWD_S";
	case HK_EV_FWD_X:
		return "FWD_X";
	case HK_EV_INV:
		return "INV";
	case HK_EV_DATA_S:
		return "DATA_S";
	case HK_EV_DATA_X:
		return "DATA_X";
	case HK_EV_GRANT_X:
		return "GRANT_X";
	case HK_EV_ACK:
		return "ACK";
	case HK_EV_LOST:
		return "LOST";
	case HK_EV_LEND:
		return "LEND";
	case HK_EV_MOVED:
		return "MOVED";
	case HK_EV_TAKEN:
		return "TAKEN";
	case HK_EV_DOWNGRADED:
		return "DOWNGRADED";
	case HK_EV_NR:
		break;
	}
	return "?";
}

const char *hk_dmsg_name(u8 type)
{
	switch ((enum hk_dmsg_type)type) {
	case HK_DMSG_GET_S:
		return "GET_S";
	case HK_DMSG_GET_X:
		return "GET_X";
	case HK_DMSG_FWD_S:
		return "FWD_S";
	case HK_DMSG_FWD_X:
		return "FWD_X";
	case HK_DMSG_INV:
		return "INV";
	case HK_DMSG_DATA_S:
		return "DATA_S";
	case HK_DMSG_DATA_X:
		return "DATA_X";
	case HK_DMSG_GRANT_X:
		return "GRANT_X";
	case HK_DMSG_ACK:
		return "ACK";
	case HK_DMSG_DONE:
		return "DONE";
	case HK_DMSG_LOST:
		return "LOST";
	case HK_DMSG_LEND:
		return "LEND";
	case HK_DMSG_PASS_S:
		return "PASS_S";
	case HK_DMSG_UNLEND:
		return "UNLEND";
	case HK_DMSG_BACK:
		return "BACK";
	case HK_DMSG_MOVED:
		return "MOVED";
	case HK_DMSG_NONE:
	case HK_DMSG_NR:
		break;
	}
	return "?";
}
