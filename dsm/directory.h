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
 * Pages that migrate, see directory.c: seen to so often more than not, a page has its
 * reads granted exclusive; each time that it was not outweighs so many that it was
 */
#define HK_DIR_SCORE_MIN	6
#define HK_DIR_SCORE_MAX	16
#define HK_DIR_SCORE_LOSS	6
#define HK_DIR_GRANTS_MAX	(HK_DIR_SCORE_MAX - HK_DIR_SCORE_MIN + 1)

/**
 * struct hk_dir - directory entry of one page, at its home; 16 bytes
 * @sharers: nodes that may have a read copy, without the owner; a node that
 *	dropped its copy silently stays here until the next write
 * @owner: node that holds the page's current content; HK_NODE_NONE: nobody ever
 *	touched the page, it is all zero
 * @busy: requester of the transaction under way, HK_NODE_NONE when idle
 * @flags: HK_DIR_F_*
 * @score: how often the page was seen to migrate, less how often not; at most
 *	HK_DIR_SCORE_MAX
 * @grants: reads to be granted exclusive before the next one that is watched; at most
 *	HK_DIR_GRANTS_MAX
 */
struct hk_dir {
	hk_nodes sharers;
	u16 owner;
	u16 busy;
	u16 flags;
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
 * hk_dir_step() - a request or DONE arrives at the home of a page
 * @self: this node, the home
 * @dir: in and out: the entry (all zero for a page nobody touched)
 * @wait: in and out: waiting requests (all zero when there are none)
 * @msg: GET_S, GET_X or DONE
 * @out: messages, appended (one transaction at most is started)
 *
 * Return: 0; -EPROTO when the message is impossible now (DONE from a node that
 * is not the requester, a second request of a waiting node, a GET from the
 * owner that claims to have nothing, or from a node that claims to have a lost
 * page); nothing is changed then.
 */
int hk_dir_step(u16 self, struct hk_dir *dir, struct hk_dir_wait *wait,
		const struct hk_dmsg *msg, struct hk_out *out);

#endif /* HK_DSM_DIRECTORY_H */
