// SPDX-License-Identifier: GPL-2.0
/*
 * Checks of what peers say about pages, before anything is done
 *
 * All that comes in here is untrusted; nothing reads beyond what it is given.
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
#define fallthrough	__attribute__((__fallthrough__))
#endif
#include "wire.h"

/* A set of nodes travels as one word */
static_assert(sizeof(hk_nodes) == sizeof(((struct hk_wire_page_msg *)0)->acks));

/* Which end of the link has to be the page's home */
enum page_home {
	HOME_NONE = 0,	/* neither, or either */
	HOME_SELF,	/* the receiver */
	HOME_PEER,	/* the sender */
	HOME_SELF_LENT,	/* the receiver, unless the page may be lent to it */
	HOME_PEER_LENT,	/* the sender, unless it may be lent to it, as the requester */
};

/* What the field for a requester has to say */
enum page_req {
	REQ_NONE = 0,	/* nothing */
	REQ_PEER,	/* the sender */
	REQ_MEMBER,	/* a member */
};

/* Fields that may be something else than zero */
#define HAS_DATA_TOKEN	0x01
#define HAS_ACK_TOKEN	0x02
#define HAS_ACKS	0x04
#define HAS_CONTENT	0x08	/* and must have it */
#define HAS_CHECK	0x10

/**
 * struct page_rule - what a type of message may say
 * @home: enum page_home
 * @req: enum page_req
 * @has: HAS_*
 * @flags: HK_DMSG_F_* that it may have
 */
struct page_rule {
	u8 home;
	u8 req;
	u8 has;
	u8 flags;
};

#define RULE(_home, _req, _has, _flags) \
	{ .home = HOME_##_home, .req = REQ_##_req, .has = (_has), \
	  .flags = (_flags) }
#define DATA		HAS_DATA_TOKEN
#define ACK		HAS_ACK_TOKEN
#define ACKS		HAS_ACKS
#define CONTENT		HAS_CONTENT
#define CHECK		HAS_CHECK
#define HAVE		HK_DMSG_F_HAVE
#define NO_DONE		HK_DMSG_F_NO_DONE
#define RULER		HK_DMSG_F_RULER

/* The table of messages in Documentation/protocol.rst */
static const struct page_rule rules[HK_DMSG_NR] = {
	[HK_DMSG_GET_S]	  = RULE(SELF_LENT, NONE, DATA | ACK | CHECK, 0),
	[HK_DMSG_GET_X]	  = RULE(SELF, NONE, DATA | ACK | CHECK, HAVE),
	[HK_DMSG_FWD_S]	  = RULE(PEER, MEMBER, DATA | CHECK, 0),
	[HK_DMSG_FWD_X]	  = RULE(PEER, MEMBER, DATA | ACKS | CHECK, 0),
	[HK_DMSG_INV]	  = RULE(PEER_LENT, MEMBER, ACK, RULER),
	[HK_DMSG_DATA_S]  = RULE(NONE, NONE, DATA | CONTENT, NO_DONE | RULER),
	[HK_DMSG_DATA_X]  = RULE(NONE, NONE, DATA | ACKS | CONTENT, NO_DONE),
	[HK_DMSG_GRANT_X] = RULE(PEER, NONE, DATA | ACKS, HAVE | NO_DONE),
	[HK_DMSG_ACK]	  = RULE(NONE, NONE, ACK, 0),
	[HK_DMSG_DONE]	  = RULE(SELF_LENT, PEER, 0, 0),
	[HK_DMSG_LOST]	  = RULE(PEER, NONE, DATA, 0),
	[HK_DMSG_LEND]	  = RULE(PEER, NONE, 0, 0),
	[HK_DMSG_PASS_S]  = RULE(PEER, MEMBER, DATA | CHECK, 0),
	[HK_DMSG_UNLEND]  = RULE(PEER, NONE, 0, 0),
	[HK_DMSG_BACK]	  = RULE(SELF, NONE, ACKS, HK_DMSG_F_STEADY),
	[HK_DMSG_MOVED]	  = RULE(NONE, NONE, 0, 0),
};

#undef RULE
#undef DATA
#undef ACK
#undef ACKS
#undef CONTENT
#undef CHECK
#undef HAVE
#undef NO_DONE
#undef RULER

u16 hk_home_of(const struct hk_homes *homes, u64 gfn)
{
	u32 low = 0, high = homes->nr;

	/* range[low].first <= gfn < range[high].first */
	while (high - low > 1) {
		u32 mid = (low + high) / 2;

		if (homes->range[mid].first <= gfn)
			low = mid;
		else
			high = mid;
	}
	return homes->range[low].node;
}

static bool is_member(const struct hk_page_facts *facts, u16 node)
{
	return node != HK_NODE_NONE && node < HK_MAX_NODES &&
	       hk_nodes_any(facts->members & hk_node_bit(node));
}

/* Does the content come in the way that @body says, if there is to be any? */
static bool content_valid(const struct page_rule *rule,
			  const struct hk_wire_page_msg *body, bool page)
{
	bool wanted = rule->has & HAS_CONTENT;

	switch ((enum hk_wire_content)body->content) {
	case HK_CONTENT_NONE:
		return !wanted && !page && !body->fill;
	case HK_CONTENT_PAGE:
		return wanted && page && !body->fill;
	case HK_CONTENT_FILL:
		return wanted && !page;
	case HK_CONTENT_SAME:
		return wanted && !page && !body->fill;
	}
	return false;
}

/* Requester, home, acks and tokens: the roles that nodes have by this message */
static const char *roles_check(const struct hk_page_facts *facts,
			       const struct page_rule *rule,
			       const struct hk_dmsg *m)
{
	u16 home = hk_home_of(facts->homes, m->gfn);
	u16 peer = m->from;

	switch ((enum page_home)rule->home) {
	case HOME_NONE:
		break;
	case HOME_SELF_LENT:
		if (facts->lend)
			break;
		fallthrough;
	case HOME_SELF:
		if (home != facts->self)
			return "this node is not home";
		break;
	case HOME_PEER_LENT:
		if (facts->lend && m->req == peer)
			break;
		fallthrough;
	case HOME_PEER:
		if (home != peer)
			return "sender is not home";
		break;
	}

	switch ((enum page_req)rule->req) {
	case REQ_NONE:
		if (m->req != HK_NODE_NONE)
			return "requester or acks that it must not have";
		break;
	case REQ_PEER:
		if (m->req != peer)
			return "requester or acks of another node";
		break;
	case REQ_MEMBER:
		if (m->req == HK_NODE_NONE)
			return "no requester";
		break;
	}
	if (!(rule->has & HAS_ACKS) && hk_nodes_any(m->acks))
		return "requester or acks that it must not have";
	/* an honest owner hands these on, and must not be blamed for them */
	if (m->req != HK_NODE_NONE &&
	    hk_nodes_any(m->acks & hk_node_bit(m->req)))
		return "acks of the requester itself";
	if ((!(rule->has & HAS_DATA_TOKEN) && m->tokens.data) ||
	    (!(rule->has & HAS_ACK_TOKEN) && m->tokens.ack))
		return "token that it must not have";
	/* who has a current copy asks for no page */
	if (m->check.salt && (!(rule->has & HAS_CHECK) ||
			      (m->flags & HK_DMSG_F_HAVE)))
		return "check that it must not have";
	return NULL;
}

const char *hk_dmsg_check(const struct hk_page_facts *facts,
			  const struct hk_dmsg *m)
{
	const struct page_rule *rule;

	if (m->type == HK_DMSG_NONE || m->type >= HK_DMSG_NR ||
	    (m->type >= HK_DMSG_LEND && !facts->lend))
		return "unknown type";
	rule = &rules[m->type];
	if (m->gfn >= facts->ram_pages)
		return "no such page";
	if (!is_member(facts, m->from))
		return "not a member";
	if (m->flags & ~(HK_DMSG_F_HAVE | HK_DMSG_F_NO_DONE |
			 (facts->lend ? HK_DMSG_F_RULER |
					 HK_DMSG_F_STEADY : 0)))
		return "unknown flag";
	if (m->flags & ~rule->flags)
		return "flag that it must not have";
	if (m->req != HK_NODE_NONE && !is_member(facts, m->req))
		return "requester is not a member";
	if (hk_nodes_any(m->acks & ~facts->members))
		return "ACK of a node that is not a member";
	return roles_check(facts, rule, m);
}

u32 hk_page_msg_put(const struct hk_dmsg *m, struct hk_wire_page_msg *body)
{
	struct hk_wire_page_check *check = (void *)(body + 1);

	*body = (struct hk_wire_page_msg){
		.gfn = cpu_to_le64(m->gfn),
		.acks = cpu_to_le64(m->acks),
		.data_token = cpu_to_le32(m->tokens.data),
		.ack_token = cpu_to_le32(m->tokens.ack),
		.req = cpu_to_le16(m->req),
		.dtype = m->type,
		.dflags = m->flags,
		.content = HK_CONTENT_NONE,
	};
	/* of DATA the check is the sender's business, see struct hk_dmsg */
	if (!m->check.salt || !(rules[m->type].has & HAS_CHECK))
		return sizeof(*body);
	*check = (struct hk_wire_page_check){
		.salt = cpu_to_le64(m->check.salt),
		.hash = cpu_to_le64(m->check.hash),
	};
	return HK_PAGE_MSG_MAX;
}

const char *hk_page_msg_check(const struct hk_page_facts *facts, u16 peer,
			      const struct hk_wire_page_msg *body, u32 len,
			      bool page, struct hk_dmsg *m)
{
	const struct hk_wire_page_check *check = (const void *)(body + 1);
	const char *why;

	*m = (struct hk_dmsg){
		.gfn = le64_to_cpu(body->gfn),
		.to = hk_node_bit(facts->self),
		.acks = le64_to_cpu(body->acks),
		.tokens.data = le32_to_cpu(body->data_token),
		.tokens.ack = le32_to_cpu(body->ack_token),
		.from = peer,
		.req = le16_to_cpu(body->req),
		.type = body->dtype,
		.flags = body->dflags,
	};
	if (len == HK_PAGE_MSG_MAX) {
		m->check.salt = le64_to_cpu(check->salt);
		m->check.hash = le64_to_cpu(check->hash);
		if (!m->check.salt)
			return "check without a salt";
	} else if (len != sizeof(*body)) {
		return "wrong length";
	}
	if (body->reserved[0] || body->reserved[1] || body->reserved[2])
		return "reserved field";
	why = hk_dmsg_check(facts, m);
	if (!why && !content_valid(&rules[m->type], body, page))
		why = "content missing, or of the wrong kind";
	return why;
}
