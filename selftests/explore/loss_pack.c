// SPDX-License-Identifier: GPL-2.0
/*
 * A world with losses as a short string of bits, the same string for all worlds
 * that differ in the names of nodes only. No node is special: who is home is
 * part of the world.
 */
#include <string.h>

#include "loss.h"

static u8 perm[24][NODES_MAX + 1];	/* old name -> new name */
static u8 perm_inv[24][NODES_MAX + 1];
static unsigned int perm_nr;

/* One walk over all fields, to write or to read them */
struct coder {
	u8 *b;
	unsigned int at;	/* bit */
	bool reads;
	const u8 *p;
	const u8 *inv;
};

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
	perm_nr = 0;
	permute(p, cfg.names ? cfg.nodes + 1 : 1);
}

static unsigned int bits(struct coder *c, unsigned int val, unsigned int nr)
{
	unsigned int i, byte, out = 0;

	for (i = 0; i < nr; i++, c->at++) {
		byte = c->at / 8;
		if (c->reads) {
			out |= (c->b[byte] >> c->at % 8 & 1u) << i;
			continue;
		}
		if (!(c->at % 8))
			c->b[byte] = 0;
		c->b[byte] |= (val >> i & 1) << c->at % 8;
	}
	return c->reads ? out : val;
}

#define code(_c, _field, _nr) ((_field) = bits(_c, _field, _nr))

#define code_node(_c, _field) \
	((_field) = (_c)->reads ? bits(_c, 0, 3) : \
	 (bits(_c, (_c)->p[_field], 3), (_field)))

static void code_set(struct coder *c, u64 *set)
{
	unsigned int i, out = 0;

	if (c->reads) {
		*set = (u64)bits(c, 0, cfg.nodes) << 1;
		return;
	}
	for (i = 1; i <= cfg.nodes; i++)
		if (*set & hk_node_bit(i))
			out |= 1u << (c->p[i] - 1);
	bits(c, out, cfg.nodes);
}

static void code_page(struct coder *c, struct node *n, u8 self)
{
	struct hk_page_ctx *x = &n->ctx;
	unsigned int recall = 0;

	code(c, n->state, 4);
	code(c, n->copy, 2);
	code(c, n->asleep, 2);
	if (cfg.lend) {
		code_node(c, n->ruler);
		code_node(c, x->asked);
		code(c, x->moot, 1);
	}
	if (hk_page_stable(n->state))
		return;
	code_set(c, &x->acks);
	code(c, x->replied, 1);
	code(c, x->no_done, 1);
	code_node(c, x->recall_req);
	recall = recall_stored(x);
	code(c, recall, 5);
	if (c->reads)
		x->recall_type = recall;
	if (recall == HK_DMSG_FWD_X || recall == RECALL_READ_X)
		code_set(c, &x->recall_acks);
	if (c->reads)
		tokens_ctx(x, n->state, self);
}

static void code_home(struct coder *c, struct node *n)
{
	const struct hk_recover_dir none = { 0 };
	struct hk_dir *dir = &n->dir;
	struct hk_dir_wait *wait = &n->wait;
	struct hk_recover_dir *rd = &n->build;
	unsigned int there;

	there = dir->owner || dir->flags || dir->sharers || dir->busy ||
		!hk_dir_wait_empty(wait);
	if (code(c, there, 1)) {
		code_node(c, dir->owner);
		code_node(c, dir->busy);
		code_set(c, &dir->sharers);
		code(c, dir->flags, 5);
		code_set(c, &wait->rd);
		code_set(c, &wait->wr);
		code_set(c, &wait->have);
		if (c->reads)
			tokens_wait(wait, cfg.nodes,
				    dir->flags & HK_DIR_F_RULES);
	}
	there = memcmp(rd, &none, sizeof(none)) != 0;
	if (code(c, there, 1)) {
		code_set(c, &rd->sharers);
		code_set(c, &rd->heard);
		code_node(c, rd->owner);
		code(c, rd->exclusive, 1);
		code(c, rd->untouched, 1);
	}
}

static void code_recover(struct coder *c, const struct world *w, struct node *n,
			 u8 self)
{
	struct hk_recover *r = &n->rec;

	code(c, n->known, 1);
	code(c, r->epoch, 2);
	code(c, r->ran, 2);
	code(c, r->step, 3);
	if (r->step != HK_REC_RUN) {
		code_set(c, &r->marks);
		code_set(c, &r->early);
		code(c, n->work, 6);
	}
	r->self = self;
	r->members = epoch_members(w, r->epoch);
}

static void code_cell(struct coder *c, struct cell *cell)
{
	u64 acks = cell->acks;

	code(c, cell->type, 5);
	code(c, cell->epoch, 2);
	if (cell->type == HK_RMSG_MARK || cell->type == HK_RMSG_REPORT) {
		code(c, cell->req, 3);
	} else if (cell->type != HK_RMSG_OWNER) {
		code_node(c, cell->req);
		code_set(c, &acks);
		cell->acks = acks;
		code(c, cell->flags, 3);
		code(c, cell->val, 2);
	}
}

static void code_queue(struct coder *c, struct world *w, u8 from, u8 to)
{
	unsigned int more;
	u8 k;

	for (k = 0;; k++) {
		more = !c->reads && k < w->qlen[from][to];
		if (!code(c, more, 1))
			break;
		code_cell(c, &w->q[from][to][k]);
	}
	w->qlen[from][to] = k;
}

static unsigned int code_world(struct coder *c, struct world *w)
{
	u8 e, i, j;

	code(c, w->epochs, 2);
	code(c, w->written, 1);
	code(c, w->granted, 1);
	if (cfg.faults)
		code(c, w->faults, 3);
	for (e = 1; e <= w->epochs; e++) {
		if (e > 1)
			code_node(c, w->victim[e]);
		code_node(c, w->home[e]);
	}
	for (i = 1; i <= cfg.nodes; i++) {
		u8 node = c->inv[i];

		if (!acts(w, node))
			continue;
		code_recover(c, w, &w->n[node], node);
		code_page(c, &w->n[node], node);
		code_home(c, &w->n[node]);
	}
	for (i = 1; i <= cfg.nodes; i++)
		for (j = 1; j <= cfg.nodes; j++)
			if (i != j && acts(w, c->inv[j]))
				code_queue(c, w, c->inv[i], c->inv[j]);
	return (c->at + 7) / 8;
}

/* What can be said about a node without naming any */
static u64 signature(const struct world *w, u8 i)
{
	const struct node *n = &w->n[i];
	u64 sig = 0;
	u8 e, j;

	for (e = 1; e <= w->epochs; e++)
		sig = sig * 4 + (w->victim[e] == i) * 2 + (w->home[e] == i);
	sig = sig * 16 + n->state;
	sig = sig * 4 + n->rec.epoch;
	sig = sig * 8 + n->rec.step;
	sig = sig * 4 + n->copy;
	sig = sig * 4 + n->asleep;
	for (j = 1; j <= cfg.nodes; j++)
		sig += ((u64)w->qlen[i][j] << 48) + ((u64)w->qlen[j][i] << 40) +
		       ((u64)w->q[i][j][0].type << 52) +
		       ((u64)w->q[j][i][0].type << 56);
	return sig;
}

unsigned int world_pack(const struct world *w, u8 *buf)
{
	u64 sig[NODES_MAX + 1];
	u8 try[PACK_MAX];
	unsigned int len = 0, n, m;
	u8 i;

	for (i = 1; i <= cfg.nodes; i++)
		sig[i] = cfg.names ? i : signature(w, i);
	for (m = 0; m < perm_nr; m++) {
		struct coder c = {
			.b = try, .p = perm[m], .inv = perm_inv[m],
		};

		for (i = 1; i < cfg.nodes; i++)
			if (sig[c.inv[i]] > sig[c.inv[i + 1]])
				break;
		if (i < cfg.nodes)
			continue;
		/* nothing is changed when writing */
		n = code_world(&c, (struct world *)w);
		if (!len || n < len || (n == len && memcmp(try, buf, n) < 0)) {
			memcpy(buf, try, n);
			len = n;
		}
	}
	return len;
}

void world_unpack(struct world *w, const u8 *b)
{
	struct coder c = { .b = (u8 *)b, .reads = true };
	u8 same[NODES_MAX + 1], i;

	for (i = 0; i <= NODES_MAX; i++)
		same[i] = i;
	c.p = same;
	c.inv = same;
	memset(w, 0, sizeof(*w));
	code_world(&c, w);
}
