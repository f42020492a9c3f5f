/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests for several pages that travel as one message
 *
 * Pure, like the rest. A group is nothing to the engine: whoever gets one gives it the
 * messages one by one, as if they had come so.
 */
#ifndef HK_DSM_GROUP_H
#define HK_DSM_GROUP_H

#include "wire.h"

/**
 * struct hk_page_group - requests to one node that wait to be sent together
 * @to: receiver, HK_NODE_NONE: the group is empty
 * @req: of each
 * @type: enum hk_dmsg_type of each
 * @nr: entries in @tokens
 * @map: bit i: page @gfn + i is in it
 * @gfn: first page
 * @tokens: by ascending page
 *
 * All zero when empty. Which messages may wait, and why it does no harm that others
 * overtake them, is in Documentation/protocol.rst, "Groups".
 */
struct hk_page_group {
	u16 to;
	u16 req;
	u8 type;
	u32 nr;
	u32 map;
	u64 gfn;
	struct hk_tokens tokens[HK_PAGE_GROUP_MAX];
};

/**
 * hk_page_group_add() - let a message wait
 * @g: group
 * @m: message of this node
 * @to: its receiver, one of @m->to
 * Context: any; the caller serialises all calls about @g.
 * Return: true: it is in the group; false: it is of another kind, or does not go with
 * those that are there
 */
bool hk_page_group_add(struct hk_page_group *g, const struct hk_dmsg *m, u16 to);

/**
 * hk_page_group_may() - may this message be in a group at all?
 * @m: message of this node
 * Context: any.
 * Return: true: GET or FWD, without flags, acks and check
 */
bool hk_page_group_may(const struct hk_dmsg *m);

/**
 * hk_page_group_size() - bytes of its body on the wire
 * @g: group that is not empty
 * Context: any.
 * Return: bytes
 */
u32 hk_page_group_size(const struct hk_page_group *g);

/**
 * hk_page_group_put() - write the body
 * @g: group that is not empty
 * @body: out, hk_page_group_size() bytes
 */
void hk_page_group_put(const struct hk_page_group *g,
		       struct hk_wire_page_group *body);

/**
 * hk_page_group_take() - take the first message out, to send it alone
 * @g: group
 * @self: this node
 * @m: out
 * Return: false when the group is empty
 */
bool hk_page_group_take(struct hk_page_group *g, u16 self, struct hk_dmsg *m);

/**
 * hk_page_group_check() - may this peer say this to this node
 * @facts: about the guest
 * @peer: node at the other end of the link
 * @body: as received
 * @len: bytes of @body, that many are there; at least sizeof(*body)
 * @m: out, always: the first message that is refused, to be shown to humans
 *
 * Each page's message is checked as it would be alone, all before the first is used.
 *
 * Context: any.
 * Return: NULL, or what is wrong with it: constant text
 */
const char *hk_page_group_check(const struct hk_page_facts *facts, u16 peer,
				const struct hk_wire_page_group *body, u32 len,
				struct hk_dmsg *m);

/**
 * hk_page_group_next() - messages of a group, one by one
 * @facts: about the guest
 * @peer: sender
 * @body: as received; hk_page_group_check() has found nothing wrong
 * @at: in and out: pages gone through, 0 at first
 * @m: out: the next message
 * Return: false when there is none
 */
bool hk_page_group_next(const struct hk_page_facts *facts, u16 peer,
			const struct hk_wire_page_group *body, u32 *at,
			struct hk_dmsg *m);

#endif /* HK_DSM_GROUP_H */
