// SPDX-License-Identifier: GPL-2.0
/*
 * A world as a short string of bytes, the same string for all worlds that are
 * one another's image under a renaming of nodes that are nobody's home
 */
#include <string.h>

#include "model.h"

static u8 perm[120][NODES_MAX + 1];	/* old name -> new name */
static u8 perm_inv[120][NODES_MAX + 1];
static unsigned int perm_nr;
static u8 first_free;			/* homes are the nodes below */

static void permute(u8 *p, u8 at)
{
	u8 i, tmp;

	if (at > cfg.nodes) {
		memcpy(perm[perm_nr], p, NODES_MAX + 1);
		for (i = 0; i <= cfg.nodes; i++)
			perm_inv[perm_nr][p[i]] = i;
		perm_nr++;
		return;
	}
	for (i = at; i <= cfg.nodes; i++) {
		tmp = p[at], p[at] = p[i], p[i] = tmp;
		permute(p, at + 1);
		tmp = p[at], p[at] = p[i], p[i] = tmp;
	}
}

void pack_init(void)
{
	u8 p[NODES_MAX + 1], i;

	for (i = 0; i <= NODES_MAX; i++)
		p[i] = i;
	first_free = 1 + (cfg.pages < cfg.nodes ? cfg.pages : cfg.nodes);
	if (cfg.names)
		first_free = cfg.nodes + 1;
	perm_nr = 0;
	permute(p, first_free);
}

static u8 set_rename(u64 set, const u8 *p)
{
	u8 i, out = 0;

	for (i = 1; i <= cfg.nodes; i++)
		if (set & hk_node_bit(i))
			out |= 1 << (p[i] - 1);
	return out;
}

static u8 recall_code(u8 type)
{
	return type == HK_DMSG_FWD_S ? 1 : type == HK_DMSG_FWD_X ? 2 :
	       type == HK_DMSG_INV ? 3 : type == RECALL_READ_X ? 4 : 0;
}

static u8 *pack_rule(const struct world *w, u8 page, u8 *b, const u8 *p)
{
	const struct hk_dir_wait *wait = &w->rule_wait[page];
	const struct hk_dir *rule = &w->rule[page];

	*b++ = p[rule->owner] |
	       !!(w->dir[page].flags & HK_DIR_F_LENT) << 3 |
	       !!(w->dir[page].flags & HK_DIR_F_ASKED) << 4 |
	       !!(rule->flags & HK_DIR_F_GIVES) << 5;
	if (!rule->owner)
		return b;
	*b++ = p[rule->busy];
	*b++ = set_rename(rule->sharers, p);
	*b++ = set_rename(wait->rd, p);
	*b++ = set_rename(wait->wr, p);
	*b++ = set_rename(wait->have, p);
	return b;
}

static unsigned int pack_named(const struct world *w, u8 *buf, const u8 *p,
			       const u8 *inv)
{
	u8 *b = buf, page, i, j, k;
	unsigned int mask = 0, bit = 0;
	u8 *mask_at;

	for (page = 0; page < cfg.pages; page++) {
		const struct hk_dir *dir = &w->dir[page];
		const struct hk_dir_wait *wait = &w->wait[page];

		*b++ = p[dir->owner] | p[dir->busy] << 3 | w->written[page] << 6;
		*b++ = set_rename(dir->sharers, p);
		*b++ = set_rename(wait->rd, p);
		*b++ = set_rename(wait->wr, p);
		*b++ = set_rename(wait->have, p);
		if (cfg.lend)
			b = pack_rule(w, page, b, p);
		for (i = 1; i <= cfg.nodes; i++) {
			const struct node_page *np = &w->np[page][inv[i]];
			const struct hk_page_ctx *c = &np->ctx;

			*b++ = np->state | np->copy << 4 | np->asleep << 6;
			if (cfg.lend)
				*b++ = p[np->ruler] | p[c->asked] << 3 |
				       c->moot << 6;
			if (hk_page_stable(np->state))
				continue;
			*b++ = set_rename(c->acks, p) | c->replied << 5 |
			       c->no_done << 6;
			*b++ = p[c->recall_req] |
			       recall_code(recall_stored(c)) << 3;
			if (c->recall_type == HK_DMSG_FWD_X)
				*b++ = set_rename(c->recall_acks, p);
		}
	}
	mask_at = b;
	b += 4;
	for (i = 1; i <= cfg.nodes; i++) {
		for (j = 1; j <= cfg.nodes; j++, bit++) {
			u8 from = inv[i], to = inv[j], len = w->qlen[from][to];

			if (!len)
				continue;
			mask |= 1u << bit;
			for (k = 0; k < len; k++) {
				const struct cell *c = &w->q[from][to][k];

				/* none is of type 0 */
				*b++ = (c->type - 1) | p[c->req] << 4 |
				       (k + 1 < len) << 7;
				*b++ = c->flags | c->val << 3 | c->page << 5 |
				       !!c->acks << 6;
				if (c->acks)
					*b++ = set_rename(c->acks, p);
			}
		}
	}
	memcpy(mask_at, &mask, 4);
	return b - buf;
}

/* What can be said about a node without naming any but the homes */
static u64 signature(const struct world *w, u8 i)
{
	u64 sig = 0, bit = hk_node_bit(i);
	u8 page, home;

	for (page = 0; page < cfg.pages; page++) {
		const struct node_page *np = &w->np[page][i];
		const struct hk_dir *dir = &w->dir[page];
		const struct hk_dir_wait *wait = &w->wait[page];

		home = home_of(page);
		sig = sig * 16 + np->state;
		sig = sig * 4 + (dir->busy == i) * 2 + (dir->owner == i);
		sig = sig * 2 + (w->rule[page].busy == i);
		sig = sig * 16 + !!(dir->sharers & bit) * 8 +
		      !!(wait->rd & bit) * 4 + !!(wait->wr & bit) * 2 +
		      !!(wait->have & bit);
		sig = sig * 4 + np->asleep;
		sig = sig * 2 + !!np->ctx.acks;
		sig = sig * 2 + np->ctx.replied;
		sig = sig * 8 + w->qlen[i][home];
		sig = sig * 8 + w->qlen[home][i];
		sig = sig * 16 + w->q[home][i][0].type;
		sig = sig * 16 + w->q[i][home][0].type;
	}
	return sig;
}

unsigned int world_pack(const struct world *w, u8 *buf)
{
	u64 sig[NODES_MAX + 1];
	u8 try[PACK_MAX];
	unsigned int len = 0, n, m;
	u8 i;

	for (i = first_free; i <= cfg.nodes; i++)
		sig[i] = signature(w, i);
	for (m = 0; m < perm_nr; m++) {
		for (i = first_free; i < cfg.nodes; i++)
			if (sig[perm_inv[m][i]] > sig[perm_inv[m][i + 1]])
				break;
		if (i < cfg.nodes)
			continue;
		n = pack_named(w, try, perm[m], perm_inv[m]);
		if (!len || n < len || (n == len && memcmp(try, buf, n) < 0)) {
			memcpy(buf, try, n);
			len = n;
		}
	}
	return len;
}

static const u8 *unpack_rule(struct world *w, u8 page, const u8 *b)
{
	struct hk_dir_wait *wait = &w->rule_wait[page];
	struct hk_dir *rule = &w->rule[page];

	rule->owner = b[0] & 7;
	if (b[0] & 8)
		w->dir[page].flags |= HK_DIR_F_LENT;
	if (b[0] & 16)
		w->dir[page].flags |= HK_DIR_F_ASKED;
	if (!rule->owner)
		return b + 1;
	rule->flags = HK_DIR_F_RULES | (b[0] & 32 ? HK_DIR_F_GIVES : 0);
	rule->busy = b[1];
	rule->sharers = b[2] << 1;
	wait->rd = b[3] << 1;
	wait->wr = b[4] << 1;
	wait->have = b[5] << 1;
	tokens_wait(wait, cfg.nodes, true);
	return b + 6;
}

void world_unpack(struct world *w, const u8 *b)
{
	static const u8 recall[] = {
		0, HK_DMSG_FWD_S, HK_DMSG_FWD_X, HK_DMSG_INV, RECALL_READ_X,
	};
	unsigned int mask, bit = 0;
	u8 page, i, j;

	memset(w, 0, sizeof(*w));
	for (page = 0; page < cfg.pages; page++) {
		struct hk_dir *dir = &w->dir[page];
		struct hk_dir_wait *wait = &w->wait[page];

		dir->owner = b[0] & 7;
		dir->busy = b[0] >> 3 & 7;
		w->written[page] = b[0] >> 6;
		dir->sharers = b[1] << 1;
		wait->rd = b[2] << 1;
		wait->wr = b[3] << 1;
		wait->have = b[4] << 1;
		b += 5;
		tokens_wait(wait, cfg.nodes, false);
		if (cfg.lend)
			b = unpack_rule(w, page, b);
		for (i = 1; i <= cfg.nodes; i++) {
			struct node_page *np = &w->np[page][i];
			struct hk_page_ctx *c = &np->ctx;

			np->state = b[0] & 15;
			np->copy = b[0] >> 4 & 3;
			np->asleep = b[0] >> 6;
			b++;
			if (cfg.lend) {
				np->ruler = b[0] & 7;
				c->asked = b[0] >> 3 & 7;
				c->moot = b[0] >> 6;
				b++;
			}
			if (hk_page_stable(np->state))
				continue;
			c->acks = (b[0] & 31) << 1;
			c->replied = b[0] >> 5 & 1;
			c->no_done = b[0] >> 6;
			c->recall_req = b[1] & 7;
			c->recall_type = recall[b[1] >> 3];
			b += 2;
			if (c->recall_type == HK_DMSG_FWD_X ||
			    c->recall_type == RECALL_READ_X)
				c->recall_acks = *b++ << 1;
			tokens_ctx(c, np->state, i);
		}
	}
	memcpy(&mask, b, 4);
	b += 4;
	for (i = 1; i <= cfg.nodes; i++) {
		for (j = 1; j <= cfg.nodes; j++, bit++) {
			bool more = mask >> bit & 1;

			while (more) {
				struct cell *c = &w->q[i][j][w->qlen[i][j]++];

				c->type = (b[0] & 15) + 1;
				c->req = b[0] >> 4 & 7;
				more = b[0] >> 7;
				c->flags = b[1] & 7;
				c->val = b[1] >> 3 & 3;
				c->page = b[1] >> 5 & 1;
				b += 2;
				if (b[-1] >> 6)
					c->acks = *b++ << 1;
			}
		}
	}
}
