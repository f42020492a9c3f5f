// SPDX-License-Identifier: GPL-2.0
/*
 * Requests for several pages: collected where they are made, checked and taken apart
 * where they arrive
 */
#ifdef __KERNEL__
#include <asm/byteorder.h>
#else
#include <endian.h>
#define cpu_to_le16	htole16
#define cpu_to_le32	htole32
#define cpu_to_le64	htole64
#define le16_to_cpu	le16toh
#define le32_to_cpu	le32toh
#define le64_to_cpu	le64toh
#endif
#include "group.h"

static bool type_may(u8 type)
{
	switch ((enum hk_dmsg_type)type) {
	case HK_DMSG_GET_S:
	case HK_DMSG_GET_X:
	case HK_DMSG_FWD_S:
	case HK_DMSG_FWD_X:
		return true;
	case HK_DMSG_NONE:
	case HK_DMSG_INV:
	case HK_DMSG_DATA_S:
	case HK_DMSG_DATA_X:
	case HK_DMSG_GRANT_X:
	case HK_DMSG_ACK:
	case HK_DMSG_DONE:
	case HK_DMSG_LOST:
	case HK_DMSG_LEND:
	/* home's UNLEND tells that it is behind all of them */
	case HK_DMSG_PASS_S:
	case HK_DMSG_UNLEND:
	case HK_DMSG_BACK:
	case HK_DMSG_MOVED:
	case HK_DMSG_NR:
		break;
	}
	return false;
}

/* Only GET_X has a token for ACKs, too */
static u32 tokens_each(u8 type)
{
	return type == HK_DMSG_GET_X ? 2 : 1;
}

static u32 map_weight(u32 map)
{
	u32 nr = 0;

	for (; map; map &= map - 1)
		nr++;
	return nr;
}

bool hk_page_group_may(const struct hk_dmsg *m)
{
	/* there is no room for a reader's second token */
	if (m->type == HK_DMSG_GET_S && m->tokens.ack)
		return false;
	/* nor for a check */
	if (m->check.salt)
		return false;
	return type_may(m->type) && !m->flags && !hk_nodes_any(m->acks);
}

bool hk_page_group_add(struct hk_page_group *g, const struct hk_dmsg *m, u16 to)
{
	u64 at = m->gfn - g->gfn;	/* beyond all bounds for a page before */

	if (!hk_page_group_may(m))
		return false;
	if (g->to == HK_NODE_NONE) {
		g->to = to;
		g->req = m->req;
		g->type = m->type;
		g->gfn = m->gfn;
		at = 0;
	} else if (g->to != to || g->req != m->req || g->type != m->type ||
		   at >= HK_PAGE_GROUP_MAX || g->map >> at) {
		/* the last: not behind all that are there */
		return false;
	}
	g->map |= (u32)1 << at;
	g->tokens[g->nr++] = m->tokens;
	return true;
}

u32 hk_page_group_size(const struct hk_page_group *g)
{
	return sizeof(struct hk_wire_page_group) +
	       g->nr * tokens_each(g->type) * sizeof(__le32);
}

void hk_page_group_put(const struct hk_page_group *g,
		       struct hk_wire_page_group *body)
{
	__le32 *token = body->token;
	u32 i;

	*body = (struct hk_wire_page_group){
		.gfn = cpu_to_le64(g->gfn),
		.map = cpu_to_le32(g->map),
		.req = cpu_to_le16(g->req),
		.dtype = g->type,
	};
	for (i = 0; i < g->nr; i++) {
		*token++ = cpu_to_le32(g->tokens[i].data);
		if (tokens_each(g->type) == 2)
			*token++ = cpu_to_le32(g->tokens[i].ack);
	}
}

bool hk_page_group_take(struct hk_page_group *g, u16 self, struct hk_dmsg *m)
{
	u32 i;

	if (g->to == HK_NODE_NONE)
		return false;
	*m = (struct hk_dmsg){
		.gfn = g->gfn,
		.to = hk_node_bit(g->to),
		.tokens = g->tokens[0],
		.from = self,
		.req = g->req,
		.type = g->type,
	};
	/* bit 0 goes, the lowest that is left takes its place */
	g->map &= ~(u32)1;
	if (!g->map) {
		*g = (struct hk_page_group){ 0 };
		return true;
	}
	while (!(g->map & 1)) {
		g->map >>= 1;
		g->gfn++;
	}
	g->nr--;
	for (i = 0; i < g->nr; i++)
		g->tokens[i] = g->tokens[i + 1];
	return true;
}

/* The message about page @bit, which is the @nth one */
static void message_of(const struct hk_page_facts *facts, u16 peer,
		       const struct hk_wire_page_group *body, u32 bit, u32 nth,
		       struct hk_dmsg *m)
{
	u32 each = tokens_each(body->dtype);
	const __le32 *token = body->token + nth * each;

	*m = (struct hk_dmsg){
		.gfn = le64_to_cpu(body->gfn) + bit,
		.to = hk_node_bit(facts->self),
		.tokens.data = le32_to_cpu(token[0]),
		.tokens.ack = each == 2 ? le32_to_cpu(token[1]) : 0,
		.from = peer,
		.req = le16_to_cpu(body->req),
		.type = body->dtype,
	};
}

const char *hk_page_group_check(const struct hk_page_facts *facts, u16 peer,
				const struct hk_wire_page_group *body, u32 len,
				struct hk_dmsg *m)
{
	u32 map = le32_to_cpu(body->map), at = 0;
	const char *why;

	*m = (struct hk_dmsg){
		.gfn = le64_to_cpu(body->gfn),
		.type = body->dtype,
	};
	if (!type_may(body->dtype))
		return "type that is not for a group";
	if (body->reserved)
		return "reserved field";
	if (!(map & 1))
		return "group without its first page";
	if (len != sizeof(*body) +
		   map_weight(map) * tokens_each(body->dtype) * sizeof(__le32))
		return "wrong length";
	while (hk_page_group_next(facts, peer, body, &at, m)) {
		why = hk_dmsg_check(facts, m);
		if (why)
			return why;
	}
	return NULL;
}

bool hk_page_group_next(const struct hk_page_facts *facts, u16 peer,
			const struct hk_wire_page_group *body, u32 *at,
			struct hk_dmsg *m)
{
	u32 map = le32_to_cpu(body->map), bit = *at;

	while (bit < HK_PAGE_GROUP_MAX && !(map >> bit & 1))
		bit++;
	if (bit >= HK_PAGE_GROUP_MAX)
		return false;
	message_of(facts, peer, body, bit,
		   map_weight(map & (((u32)1 << bit) - 1)), m);
	*at = bit + 1;
	return true;
}
