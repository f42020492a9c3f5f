/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The home's side of the page protocol
 *
 * A directory that blocks per page: one transaction at a time, later requests
 * wait in two sets of nodes. No queue, no allocation: each node has at most one
 * request per page under way.
 */
#ifndef HK_DSM_DIRECTORY_H
#define HK_DSM_DIRECTORY_H

#include "msg.h"

/*
 * The page's content went with a node that was lost (recover.h): nobody owns it,
 * nobody has a copy, and every request is answered by LOST
 */
#define HK_DIR_F_LOST		0x01
/*
 * At home: the rule over the page is lent to its owner (lent homes, see directory.c).
 * @sharers: nodes whose reads were passed on to it since
 */
#define HK_DIR_F_LENT		0x02
/* At home, with F_LENT: and has been asked back */
#define HK_DIR_F_ASKED		0x04
/* At the owner: it rules the page, by this entry */
#define HK_DIR_F_RULES		0x08
/* At the owner, with F_RULES: what waits is served, then the rule goes back */
#define HK_DIR_F_GIVES		0x10
/* At home: the last loan was not worth it */
#define HK_DIR_F_WARY		0x20
/* At home: was lent once; whoever was, and is at fault, can make readers say DONE in vain */
#define HK_DIR_F_LOANED		0x40

/*
 * Pages that migrate, see directory.c: seen to so often more than not, a page has its
 * reads granted exclusive; each time that it was not outweighs so many that it was
 */
#define HK_DIR_SCORE_MIN	6
#define HK_DIR_SCORE_MAX	16
#define HK_DIR_SCORE_LOSS	6
#define HK_DIR_GRANTS_MAX	(HK_DIR_SCORE_MAX - HK_DIR_SCORE_MIN + 1)

/*
 * The owner has taken its page back from readers so often in a row: it is lent the rule.
 * If it does not do so that often again before another node writes, the next loan takes
 * HK_DIR_STEADY_MAX
 */
#define HK_DIR_STEADY_MIN	4
#define HK_DIR_STEADY_MAX	16

/**
 * struct hk_dir - directory entry of one page, at its home; 16 bytes
 * @sharers: nodes that may have a read copy, without the owner; a node that
 *	dropped its copy silently stays here until the next write
 * @owner: node that holds the page's current content; HK_NODE_NONE: nobody ever
 *	touched the page, it is all zero
 * @busy: requester of the transaction under way, HK_NODE_NONE when idle
 * @flags: HK_DIR_F_*
 * @steady: writes in a row by which the owner took the page back from readers; at most
 *	HK_DIR_STEADY_MAX
 * @score: how often the page was seen to migrate, less how often not; at most
 *	HK_DIR_SCORE_MAX
 * @grants: reads to be granted exclusive before the next one that is watched; at most
 *	HK_DIR_GRANTS_MAX
 */
struct hk_dir {
	hk_nodes sharers;
	u16 owner;
	u16 busy;
	u8 flags;
	u8 steady;
	u8 score;
	u8 grants;
};

/**
 * struct hk_dir_wait - requests waiting for a busy entry
 * @rd: nodes whose GET_S waits
 * @wr: nodes whose GET_X waits
 * @have: of @wr, those that said HK_DMSG_F_HAVE
 * @last: node served last; the next one is the next higher id, round robin
 * @check_of: node whose request waits with @check, HK_NODE_NONE: none
 * @check: of that request. There is room for one: others that wait get the page
 * @tokens: of the requests of those that wait, by node; zero for all others
 *
 * Exists only while requests wait; the caller keeps it beside the entry, and
 * may free it when hk_dir_wait_empty().
 */
struct hk_dir_wait {
	hk_nodes rd;
	hk_nodes wr;
	hk_nodes have;
	u16 last;
	u16 check_of;
	struct hk_check check;
	struct hk_tokens tokens[HK_MAX_NODES];
};

static inline bool hk_dir_wait_empty(const struct hk_dir_wait *wait)
{
	return !hk_nodes_any(wait->rd | wait->wr);
}

/**
 * struct hk_dir_where - the fixed facts of a step
 * @self: this node
 * @home: home of the page in this epoch
 * @lend: all members know of lent homes. Looked at by home only
 */
struct hk_dir_where {
	u16 self;
	u16 home;
	bool lend;
};

/**
 * hk_dir_lent() - entry of an owner that is lent the rule, on HK_ACT_RULE
 * @self: this node
 * Return: the entry
 */
static inline struct hk_dir hk_dir_lent(u16 self)
{
	return (struct hk_dir){ .owner = self, .flags = HK_DIR_F_RULES };
}

/**
 * hk_dir_step() - a message arrives at the home of a page, or at who is thought to rule it
 * @w: where
 * @dir: in and out: the entry (all zero for a page nobody touched). Elsewhere than at home:
 *	that of hk_dir_lent(), all zero when there is none; all zero afterwards: not
 *	needed any more
 * @wait: in and out: waiting requests (all zero when there are none)
 * @msg: GET_S, GET_X, DONE, PASS_S, UNLEND or BACK
 * @out: messages, appended (one transaction at most is started)
 *
 * Context: any; caller serialises per gfn. What a node tells itself about a page is
 * dispatched before anything else about that page, where homes are lent.
 *
 * Return: 0; -EPROTO when the message is impossible now (DONE from a node that
 * is not the requester, a second request of a waiting node, a GET from the
 * owner that claims to have nothing, or from a node that claims to have a lost
 * page; BACK unasked; PASS_S or UNLEND to a node that does not rule); nothing is changed
 * then.
 */
int hk_dir_step(const struct hk_dir_where *w, struct hk_dir *dir, struct hk_dir_wait *wait,
		const struct hk_dmsg *msg, struct hk_out *out);

#endif /* HK_DSM_DIRECTORY_H */
