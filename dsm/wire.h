/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a peer may say about pages, whatever state they are in
 *
 * Pure: compiled into the module, into the tests and into the fuzz targets. What
 * depends on a page's state is the engine's to judge (page.h, directory.h).
 */
#ifndef HK_DSM_WIRE_H
#define HK_DSM_WIRE_H

#include "../fabric/msg.h"
#include "msg.h"

/**
 * struct hk_home_range - the directory entries of a run of gfns live on one node
 * @first: first gfn; the run ends where the next one begins
 * @node: node id
 */
struct hk_home_range {
	u64 first;
	u16 node;
};

/**
 * struct hk_homes - home of each page
 * @nr: entries in @range, at least 1
 * @range: by ascending @first; the first one begins at 0
 */
struct hk_homes {
	u32 nr;
	struct hk_home_range range[HK_MAX_NODES];
};

/**
 * hk_home_of() - node whose directory entry rules a page
 * @homes: of the guest
 * @gfn: below the guest's RAM
 * Context: any.
 * Return: node id
 */
u16 hk_home_of(const struct hk_homes *homes, u64 gfn);

/**
 * struct hk_page_facts - what messages about a guest's pages are measured by
 * @ram_pages: size of guest RAM
 * @members: nodes that take part, with @self
 * @homes: home of each page
 * @self: this node
 * @lend: homes may lend pages to their owners: all members know of it
 *
 * Fixed as long as the members are, and the same on all of them but for @self.
 */
struct hk_page_facts {
	u64 ram_pages;
	hk_nodes members;
	const struct hk_homes *homes;
	u16 self;
	bool lend;
};

/**
 * hk_dmsg_check() - may its sender say this to this node
 * @facts: about the guest
 * @m: message from a peer
 *
 * What hk_page_msg_check() looks at but for the form on the wire and the content.
 *
 * Context: any.
 * Return: NULL, or what is wrong with it: constant text
 */
const char *hk_dmsg_check(const struct hk_page_facts *facts,
			  const struct hk_dmsg *m);

/**
 * hk_page_msg_put() - write the body of a message that has no content
 * @m: message of this node
 * @body: out, with room for HK_PAGE_MSG_MAX bytes
 * Return: bytes of the body
 */
u32 hk_page_msg_put(const struct hk_dmsg *m, struct hk_wire_page_msg *body);

/**
 * hk_page_msg_check() - may this peer say this to this node
 * @facts: about the guest
 * @peer: node at the other end of the link
 * @body: as received
 * @len: bytes of @body, that many are there; at least sizeof(*body)
 * @page: a page came behind it
 * @m: out, always: the message as the engine takes it; only to be shown to humans if
 *	it is refused
 *
 * Looks at one message and at what the members have agreed on, never at the page's
 * state: so what passes may still be impossible now.
 *
 * Context: any.
 * Return: NULL, or what is wrong with it: constant text
 */
const char *hk_page_msg_check(const struct hk_page_facts *facts, u16 peer,
			      const struct hk_wire_page_msg *body, u32 len,
			      bool page, struct hk_dmsg *m);

#endif /* HK_DSM_WIRE_H */
