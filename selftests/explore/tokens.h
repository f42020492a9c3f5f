/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tokens in the explorers' worlds
 *
 * Where all keep the rules it does not matter that a token is new, only whose it is
 * and what for. So each node has one for data and one for ACKs, every message and
 * every context is checked for carrying those that it must, and no world needs to
 * keep them: a request that is stored as bytes has its tokens by the node that made it.
 */
#ifndef HK_EXPLORE_TOKENS_H
#define HK_EXPLORE_TOKENS_H

#include "../../dsm/directory.h"
#include "../../dsm/page.h"

static inline struct hk_tokens tokens_get(u16 node, bool write)
{
	return (struct hk_tokens){ 0x100 + node, write ? 0x200 + node : 0 };
}

static inline bool tokens_equal(struct hk_tokens a, struct hk_tokens b)
{
	return a.data == b.data && a.ack == b.ack;
}

/* What a message of @type carries: tokens of @from's, @req's or @to's request */
static inline struct hk_tokens tokens_msg(u8 type, u16 from, u16 to, u16 req)
{
	struct hk_tokens none = { 0 };

	switch ((enum hk_dmsg_type)type) {
	case HK_DMSG_GET_S:
	case HK_DMSG_GET_X:
		return tokens_get(from, type == HK_DMSG_GET_X);
	case HK_DMSG_FWD_S:
	case HK_DMSG_FWD_X:
		return tokens_get(req, false);
	case HK_DMSG_DATA_S:
	case HK_DMSG_DATA_X:
	case HK_DMSG_GRANT_X:
	case HK_DMSG_LOST:
		return tokens_get(to, false);
	case HK_DMSG_INV:
		none.ack = tokens_get(req, true).ack;
		return none;
	case HK_DMSG_ACK:
		none.ack = tokens_get(to, true).ack;
		return none;
	case HK_DMSG_DONE:
	case HK_DMSG_NONE:
	case HK_DMSG_NR:
		break;
	}
	return none;
}

/* The one receiver, or any of several: INV goes by @req */
static inline bool tokens_right(const struct hk_dmsg *m)
{
	return m->to && tokens_equal(m->tokens,
				     tokens_msg(m->type, m->from,
						__builtin_ctzll(m->to), m->req));
}

/* Fill in or check what a node remembers of its own request and of a recall */
static inline void tokens_ctx(struct hk_page_ctx *ctx, u8 state, u16 self)
{
	ctx->tokens = (struct hk_tokens){ 0 };
	switch ((enum hk_page_state)state) {
	case HK_PG_INVALID_RD:
	case HK_PG_INVALID_WR:
	case HK_PG_SHARED_WR:
	case HK_PG_OWNED_WR:
	case HK_PG_SHARED_WR_TAKE:
	case HK_PG_OWNED_WR_TAKE:
		ctx->tokens = tokens_get(self, state != HK_PG_INVALID_RD);
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
	if (ctx->recall_type == HK_DMSG_INV)
		ctx->recall_token = tokens_get(ctx->recall_req, true).ack;
	else if (ctx->recall_type)
		ctx->recall_token = tokens_get(ctx->recall_req, false).data;
}

static inline bool tokens_ctx_right(const struct hk_page_ctx *ctx, u8 state,
				    u16 self)
{
	struct hk_page_ctx want = *ctx;

	tokens_ctx(&want, state, self);
	return tokens_equal(want.tokens, ctx->tokens) &&
	       want.recall_token == ctx->recall_token;
}

/* Likewise, what home has of those who wait */
static inline void tokens_wait(struct hk_dir_wait *wait, u16 nodes)
{
	u16 node;

	for (node = 1; node <= nodes; node++)
		wait->tokens[node] =
			(wait->rd | wait->wr) & hk_node_bit(node) ?
			tokens_get(node, wait->wr & hk_node_bit(node)) :
			(struct hk_tokens){ 0 };
}

static inline bool tokens_wait_right(const struct hk_dir_wait *wait, u16 nodes)
{
	bool right = true;
	u16 node;

	for (node = 1; node <= nodes; node++) {
		struct hk_tokens want = { 0 };

		if ((wait->rd | wait->wr) & hk_node_bit(node))
			want = tokens_get(node, wait->wr & hk_node_bit(node));
		right &= tokens_equal(wait->tokens[node], want);
	}
	return right;
}

#endif /* HK_EXPLORE_TOKENS_H */
