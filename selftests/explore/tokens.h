/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tokens in the explorers' worlds
 *
 * Where all keep the rules it does not matter that a token is new, only whose it is
 * and what for. So each node has one for data and one for ACKs, every message and
 * every context is checked for carrying those that it must, and no world needs to
 * keep them: a request that is stored as bytes has its tokens by the node that made it.
 *
 * A reader's second token, that for the page itself, is its token for ACKs. Whether a
 * FWD_X or DATA_X has that one does not follow from who asked. So in a cell its F_HAVE,
 * which these types have not, says so, and of a recall a type of its own. Likewise the
 * F_HAVE of a GET_S says that it has none, as it is not for home.
 */
#ifndef HK_EXPLORE_TOKENS_H
#define HK_EXPLORE_TOKENS_H

#include "../../dsm/directory.h"
#include "../../dsm/page.h"

static inline struct hk_tokens tokens_get(u16 node)
{
	return (struct hk_tokens){ 0x100 + node, 0x200 + node };
}

static inline bool tokens_equal(struct hk_tokens a, struct hk_tokens b)
{
	return a.data == b.data && a.ack == b.ack;
}

static inline bool gives_page(u8 type)
{
	return type == HK_DMSG_FWD_X || type == HK_DMSG_DATA_X;
}

/* Flags of a message, of those of its cell */
static inline u8 tokens_flags(u8 type, u8 flags)
{
	return gives_page(type) || type == HK_DMSG_GET_S ? flags & ~HK_DMSG_F_HAVE : flags;
}

/*
 * What a message of @type carries: tokens of @from's, @req's or @to's request. @flags:
 * of its cell
 */
static inline struct hk_tokens tokens_msg(u8 type, u16 from, u16 to, u16 req,
					  u8 flags)
{
	bool read = gives_page(type) && (flags & HK_DMSG_F_HAVE);
	struct hk_tokens none = { 0 }, of;

	switch ((enum hk_dmsg_type)type) {
	case HK_DMSG_GET_S:
	case HK_DMSG_GET_X:
		of = tokens_get(from);
		if (type == HK_DMSG_GET_S && (flags & HK_DMSG_F_HAVE))
			of.ack = 0;
		return of;
	case HK_DMSG_FWD_S:
	case HK_DMSG_FWD_X:
	case HK_DMSG_PASS_S:
		of = tokens_get(req);
		none.data = read ? of.ack : of.data;
		return none;
	case HK_DMSG_DATA_S:
	case HK_DMSG_DATA_X:
	case HK_DMSG_GRANT_X:
	case HK_DMSG_LOST:
		of = tokens_get(to);
		none.data = read ? of.ack : of.data;
		return none;
	case HK_DMSG_INV:
		none.ack = tokens_get(req).ack;
		return none;
	case HK_DMSG_ACK:
		none.ack = tokens_get(to).ack;
		return none;
	case HK_DMSG_DONE:
	case HK_DMSG_LEND:
	case HK_DMSG_UNLEND:
	case HK_DMSG_BACK:
	case HK_DMSG_MOVED:
	case HK_DMSG_NONE:
	case HK_DMSG_NR:
		break;
	}
	return none;
}

/* Flags of its cell, of those of a message */
static inline u8 tokens_cell(const struct hk_dmsg *m)
{
	u16 req = m->type == HK_DMSG_FWD_X ? m->req : __builtin_ctzll(m->to);

	if (gives_page(m->type) && m->tokens.data == tokens_get(req).ack)
		return m->flags | HK_DMSG_F_HAVE;
	if (m->type == HK_DMSG_GET_S && !m->tokens.ack)
		return m->flags | HK_DMSG_F_HAVE;
	return m->flags;
}

/* The one receiver, or any of several: INV goes by @req */
static inline bool tokens_right(const struct hk_dmsg *m)
{
	return m->to && tokens_equal(m->tokens,
				     tokens_msg(m->type, m->from,
						__builtin_ctzll(m->to), m->req,
						tokens_cell(m)));
}

/* Type of the recall for a reader that gets the page itself, where it is stored */
#define RECALL_READ_X	HK_DMSG_NR

static inline bool recall_read_x(const struct hk_page_ctx *ctx)
{
	return ctx->recall_type == RECALL_READ_X ||
	       (ctx->recall_type == HK_DMSG_FWD_X &&
		ctx->recall_token == tokens_get(ctx->recall_req).ack);
}

static inline u8 recall_stored(const struct hk_page_ctx *ctx)
{
	return recall_read_x(ctx) ? RECALL_READ_X : ctx->recall_type;
}

/*
 * Fill in or check what a node remembers of its own request and of a recall, whose type
 * may be as recall_stored() has it
 */
static inline void tokens_ctx(struct hk_page_ctx *ctx, u8 state, u16 self)
{
	bool read = recall_read_x(ctx);

	ctx->tokens = (struct hk_tokens){ 0 };
	switch ((enum hk_page_state)state) {
	case HK_PG_INVALID_RD:
	case HK_PG_INVALID_WR:
	case HK_PG_SHARED_WR:
	case HK_PG_OWNED_WR:
	case HK_PG_SHARED_WR_TAKE:
	case HK_PG_OWNED_WR_TAKE:
		ctx->tokens = tokens_get(self);
		if (state == HK_PG_INVALID_RD && ctx->asked)
			ctx->tokens.ack = 0;
		break;
	case HK_PG_INVALID:
	case HK_PG_SHARED:
	case HK_PG_OWNED:
	case HK_PG_EXCLUSIVE:
	case HK_PG_SHARED_TAKE:
	case HK_PG_OWNED_TAKE:
	case HK_PG_EXCLUSIVE_DOWN:
	case HK_PG_EXCLUSIVE_TAKE:
	case HK_PG_NR:
		break;
	}
	ctx->recall_token = 0;
	if (read)
		ctx->recall_type = HK_DMSG_FWD_X;
	if (read || ctx->recall_type == HK_DMSG_INV)
		ctx->recall_token = tokens_get(ctx->recall_req).ack;
	else if (ctx->recall_type)
		ctx->recall_token = tokens_get(ctx->recall_req).data;
}

static inline bool tokens_ctx_right(const struct hk_page_ctx *ctx, u8 state,
				    u16 self)
{
	struct hk_page_ctx want = *ctx;

	tokens_ctx(&want, state, self);
	return tokens_equal(want.tokens, ctx->tokens) &&
	       want.recall_token == ctx->recall_token;
}

/*
 * Likewise, what home has of those who wait. @lent: not home, but who is lent its rule: it
 * has no token for the page itself
 */
static inline struct hk_tokens tokens_waits(const struct hk_dir_wait *wait,
					    u16 node, bool lent)
{
	struct hk_tokens tokens = { 0 };

	if ((wait->rd | wait->wr) & hk_node_bit(node))
		tokens = tokens_get(node);
	if (lent && (wait->rd & hk_node_bit(node)))
		tokens.ack = 0;
	return tokens;
}

static inline void tokens_wait(struct hk_dir_wait *wait, u16 nodes, bool lent)
{
	u16 node;

	for (node = 1; node <= nodes; node++)
		wait->tokens[node] = tokens_waits(wait, node, lent);
}

static inline bool tokens_wait_right(const struct hk_dir_wait *wait, u16 nodes,
				     bool lent)
{
	bool right = true;
	u16 node;

	for (node = 1; node <= nodes; node++)
		right &= tokens_equal(wait->tokens[node],
				      tokens_waits(wait, node, lent));
	return right;
}

#endif /* HK_EXPLORE_TOKENS_H */
