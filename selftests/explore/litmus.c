// SPDX-License-Identifier: GPL-2.0
/*
 * Litmus tests of x86-TSO over two pages, on the objects that are shipped
 *
 * Each vCPU runs a few instructions on a node of its own. Stores go through its
 * store buffer; a store leaves it when the node may write the page, a load that
 * the buffer does not answer waits until the node may read. All orders of
 * everything are explored. The outcomes seen must be those of the same programs
 * with the same buffers on one flat memory: none else, and all of them.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "litmus.h"
#include "maps.h"

enum op { OP_END, OP_LD, OP_ST, OP_FENCE };

struct insn {
	u8 op;
	u8 page;
	u8 arg;		/* OP_ST: value, OP_LD: register */
};

#define LD(_page, _reg) { OP_LD, _page, _reg }
#define ST(_page, _val) { OP_ST, _page, _val }
#define FENCE { OP_FENCE, 0, 0 }
#define X 0
#define Y 1

static const struct test {
	const char *name;
	u8 cpus;
	bool memory;	/* the final content of the pages counts, too */
	struct insn code[NODES_MAX][CODE_MAX + 1];
} tests[] = {
	{ "SB", 2, false, { { ST(X, 1), LD(Y, 0) }, { ST(Y, 1), LD(X, 0) } } },
	{ "SB+fences", 2, false, { { ST(X, 1), FENCE, LD(Y, 0) },
				   { ST(Y, 1), FENCE, LD(X, 0) } } },
	{ "MP", 2, false, { { ST(X, 1), ST(Y, 1) }, { LD(Y, 0), LD(X, 1) } } },
	{ "LB", 2, false, { { LD(X, 0), ST(Y, 1) }, { LD(Y, 0), ST(X, 1) } } },
	{ "2+2W", 2, true, { { ST(X, 1), ST(Y, 2) }, { ST(Y, 1), ST(X, 2) } } },
	{ "S", 2, true, { { ST(X, 2), ST(Y, 1) }, { LD(Y, 0), ST(X, 1) } } },
	{ "R", 2, true, { { ST(X, 1), ST(Y, 1) }, { ST(Y, 2), LD(X, 0) } } },
	{ "CoRR", 2, false, { { ST(X, 1), ST(X, 2) }, { LD(X, 0), LD(X, 1) } } },
	{ "WRC", 3, false, { { ST(X, 1) }, { LD(X, 0), ST(Y, 1) },
			     { LD(Y, 0), LD(X, 1) } } },
	{ "IRIW", 4, false, { { ST(X, 1) }, { ST(Y, 1) },
			      { LD(X, 0), LD(Y, 1) }, { LD(Y, 0), LD(X, 1) } } },
};

static const struct test *test;
static unsigned int nodes;
static bool shared;		/* every node has a read copy at first */
static bool apart;		/* the last node is home of both pages */
static bool groups;		/* requests may be late, as those of a group are */
static bool plain;		/* pages move by faults of the vCPUs only */
static bool migratory;		/* reads may be granted exclusive */
static bool lent;		/* home may lend the page to its owner */
unsigned int queue_seen;

/* Two bits for each register and each page's content at the end */
#define OUTCOMES	(1u << 20)
static u8 seen[OUTCOMES], allowed[OUTCOMES];

static u16 home_of(u8 page)
{
	return apart ? nodes : 1u + page;
}

/* What has been read; and what is in memory, where it counts */
static unsigned int outcome(const struct vcpu *cpu, const u8 *memory)
{
	unsigned int out = 0;
	u8 i;

	for (i = 0; i < test->cpus; i++)
		out = out << 4 | cpu[i].reg[0] << 2 | cpu[i].reg[1];
	return out << 4 | (test->memory ? memory[X] << 2 | memory[Y] : 0);
}

static const struct insn *next_insn(const struct vcpu *cpu, u8 i)
{
	return &test->code[i][cpu[i].pc];
}

static bool all_done(const struct vcpu *cpu)
{
	u8 i;

	for (i = 0; i < test->cpus; i++)
		if (cpu[i].stores || next_insn(cpu, i)->op != OP_END)
			return false;
	return true;
}

/* The youngest store to @page in the buffer; -1: none */
static int buffered(const struct vcpu *c, u8 page)
{
	int k;

	for (k = c->stores - 1; k >= 0; k--)
		if (c->page[k] == page)
			return c->val[k];
	return -1;
}

/* @val: what memory has, for a load that the buffer does not answer */
static void execute(struct vcpu *cpu, u8 i, u8 val)
{
	const struct insn *in = next_insn(cpu, i);
	struct vcpu *c = &cpu[i];
	int own = buffered(c, in->page);

	c->pc++;
	if (in->op == OP_LD) {
		c->reg[in->arg] = own < 0 ? val : own;
	} else if (in->op == OP_ST) {
		c->page[c->stores] = in->page;
		c->val[c->stores++] = in->arg;
	}
}

static void drained(struct vcpu *c)
{
	c->stores--;
	memmove(c->page, c->page + 1, sizeof(c->page) - 1);
	memmove(c->val, c->val + 1, sizeof(c->val) - 1);
	c->page[c->stores] = 0;
	c->val[c->stores] = 0;
}

/* All that these vCPUs can do on one flat memory */
static void flat(const struct vcpu *cpu, const u8 *memory)
{
	struct vcpu next[NODES_MAX];
	u8 after[PAGES], i;

	if (all_done(cpu))
		allowed[outcome(cpu, memory)] = 1;
	for (i = 0; i < test->cpus; i++) {
		const struct insn *in = next_insn(cpu, i);

		if (in->op != OP_END && !(in->op == OP_FENCE && cpu[i].stores)) {
			memcpy(next, cpu, sizeof(next));
			execute(next, i, memory[in->page]);
			flat(next, memory);
		}
		if (cpu[i].stores) {
			memcpy(next, cpu, sizeof(next));
			memcpy(after, memory, sizeof(after));
			after[cpu[i].page[0]] = cpu[i].val[0];
			drained(&next[i]);
			flat(next, after);
		}
	}
}

static const char *page_event(struct world *w, u8 page, u16 self,
			      enum hk_page_event ev, const struct hk_dmsg *msg,
			      u8 copy);

static const char *deliver(struct world *w, u16 from, u16 to, u8 nth,
			   const struct happening *h)
{
	struct cell *q = w->q[from][to], cell = q[nth];
	u8 len = --w->qlen[from][to];
	const struct hk_dmsg msg = {
		.gfn = cell.page, .to = hk_node_bit(to), .from = from,
		.req = cell.req, .acks = cell.acks, .type = cell.type,
		.flags = tokens_flags(cell.type, cell.flags),
		.tokens = tokens_msg(cell.type, from, to, cell.req, cell.flags),
	};
	const struct hk_dir_where where = {
		.self = to, .home = home_of(cell.page), .lend = lent,
	};
	struct hk_dir none = { 0 }, *dir = &w->dir[cell.page];
	struct hk_dir_wait none_wait = { 0 }, *wait = &w->wait[cell.page];
	int ev = hk_page_event_of(cell.type);
	struct hk_out out = { 0 };
	unsigned int i;
	u16 node;

	memmove(q + nth, q + nth + 1, (len - nth) * sizeof(*q));
	memset(q + len, 0, sizeof(*q));
	if (ev >= 0)
		return page_event(w, cell.page, to, ev, &msg, cell.copy);
	if (to != where.home) {
		dir = &none;
		wait = &none_wait;
		if (w->rule[cell.page].owner == to) {
			dir = &w->rule[cell.page];
			wait = &w->rule_wait[cell.page];
		}
	}
	/* whatever home may have seen, as in model.c */
	dir->grants = to == where.home && h->migrates;
	dir->steady = to == where.home && h->steady ? HK_DIR_STEADY_MIN : 0;
	if (hk_dir_step(&where, dir, wait, &msg, &out))
		return "-EPROTO from hk_dir_step()";
	dir->score = 0;
	dir->grants = 0;
	dir->steady = 0;
	/* nobody is at fault here, so no DONE is in vain */
	dir->flags &= ~(HK_DIR_F_WARY | HK_DIR_F_LOANED);
	for (i = 0; i < out.nr; i++) {
		const struct hk_dmsg *m = &out.msg[i];

		if (!tokens_right(m))
			return "message with tokens that are not its request's";
		for (node = 1; node <= nodes; node++) {
			if (!(m->to & hk_node_bit(node)))
				continue;
			if (w->qlen[to][node] >= QUEUE_MAX)
				return "a queue grows without bound";
			w->q[to][node][w->qlen[to][node]++] = (struct cell){
				.page = cell.page, .type = m->type,
				.req = m->req, .acks = m->acks,
				.flags = tokens_cell(m),
			};
		}
	}
	return NULL;
}

static const char *deliver_local(struct world *w, const struct happening *h)
{
	const char *bad = NULL;
	u16 node;

	for (node = 1; node <= nodes; node++)
		while (!bad && w->qlen[node][node])
			bad = deliver(w, node, node, 0, h);
	return bad;
}

static const char *page_event(struct world *w, u8 page, u16 self,
			      enum hk_page_event ev, const struct hk_dmsg *msg,
			      u8 copy)
{
	struct node_page *np = &w->np[page][self];
	const struct hk_dir *rule = &w->rule[page];
	const struct hk_page_where where = {
		.gfn = page, .self = self, .home = home_of(page),
		.ruler = np->ruler, .rules = rule->owner == self,
		.gives = rule->owner == self && (rule->flags & HK_DIR_F_GIVES),
		.tokens = tokens_get(self), .read_x = true,
	};
	struct hk_out out = { 0 };
	unsigned int i;
	u16 to;

	if (hk_page_step(&where, &np->state, &np->ctx, ev, msg, &out))
		return "-EPROTO from hk_page_step()";
	np->ruler = out.ruler;
	for (i = 0; i < out.nr; i++) {
		const struct hk_dmsg *m = &out.msg[i];

		if (!tokens_right(m))
			return "message with tokens that are not its request's";
		/* all go to one node */
		to = __builtin_ctzll(m->to);
		if (w->qlen[self][to] >= QUEUE_MAX)
			return "a queue grows without bound";
		w->q[self][to][w->qlen[self][to]++] = (struct cell){
			.page = page, .type = m->type, .req = m->req,
			.acks = m->acks, .flags = tokens_cell(m),
			.copy = m->type == HK_DMSG_DATA_S ||
				m->type == HK_DMSG_DATA_X ? np->copy : 0,
		};
	}
	if (out.act & HK_ACT_INSTALL)
		np->copy = copy;
	if (out.act & HK_ACT_INSTALL_ZERO)
		np->copy = 1;
	if (out.act & HK_ACT_FREE)
		np->copy = 0;
	if (out.act & HK_ACT_RULE)
		w->rule[page] = hk_dir_lent(self);
	return NULL;
}

const char *world_apply(struct world *w, const struct happening *h)
{
	struct node_page *np = &w->np[h->page][h->node];
	struct vcpu *c = &w->cpu[h->node - 1];
	const char *bad = NULL;

	switch ((enum happening_kind)h->kind) {
	case DO_EXEC:
		execute(w->cpu, h->node - 1, np->copy - 1);
		break;
	case DO_DRAIN:
		np->copy = c->val[0] + 1;
		drained(c);
		break;
	case DO_READ:
		bad = page_event(w, h->page, h->node, HK_EV_READ, NULL, 0);
		break;
	case DO_WRITE:
		bad = page_event(w, h->page, h->node, HK_EV_WRITE, NULL, 0);
		break;
	case DO_DROP:
		np->copy = 0;
		bad = page_event(w, h->page, h->node, HK_EV_DROP, NULL, 0);
		break;
	case DO_DELIVER:
		bad = deliver(w, h->from, h->node, h->nth, h);
		break;
	case DO_TAKEN:
		bad = page_event(w, h->page, h->node, HK_EV_TAKEN, NULL, 0);
		break;
	case DO_DOWNGRADED:
		bad = page_event(w, h->page, h->node, HK_EV_DOWNGRADED, NULL, 0);
		break;
	}
	return bad ?: deliver_local(w, h);
}

static void add_vcpu(const struct world *w, struct happening **h, u8 i)
{
	const struct insn *in = next_insn(w->cpu, i);
	const struct vcpu *c = &w->cpu[i];
	struct happening new = { .node = i + 1, .page = in->page };
	bool waits = in->op == OP_LD && buffered(c, in->page) < 0;
	u8 state = w->np[in->page][i + 1].state;

	new.kind = DO_EXEC;
	if (waits && !state_mapped_r(state)) {
		new.kind = DO_READ;
		/* add_page() has it, too, unless plain */
		if (plain && hk_page_stable(state))
			*(*h)++ = new;
	} else if (in->op != OP_END && !(in->op == OP_FENCE && c->stores)) {
		*(*h)++ = new;
	}
	if (!c->stores)
		return;
	new.page = c->page[0];
	state = w->np[new.page][i + 1].state;
	new.kind = DO_DRAIN;
	if (!state_mapped_w(state)) {
		new.kind = DO_WRITE;
		if (!hk_page_stable(state))
			return;
	}
	*(*h)++ = new;
}

/* Read copies come and go as they like: prefetch and lack of room */
static void add_page(const struct world *w, struct happening **h, u8 page,
		     u8 node)
{
	u8 state = w->np[page][node].state;
	struct happening new = { .node = node, .page = page };

	if (state == HK_PG_INVALID && !plain)
		new.kind = DO_READ;
	else if (state == HK_PG_SHARED && !plain)
		new.kind = DO_DROP;
	else if (state_taken(state))
		new.kind = DO_TAKEN;
	else if (state_downgraded(state))
		new.kind = DO_DOWNGRADED;
	else
		return;
	*(*h)++ = new;
}

/* Is there an @nth message, and does the link bring it first? See model.c */
static bool comes_first(const struct world *w, u16 from, u16 to, u8 nth)
{
	u8 i;

	for (i = 0; i < nth; i++) {
		const struct cell *cell = &w->q[from][to][i];
		const struct hk_dmsg m = {
			.type = cell->type, .flags = cell->flags,
			.acks = cell->acks,
		};

		if (!groups || from == to || !hk_page_group_may(&m))
			return false;
	}
	return nth < w->qlen[from][to];
}

/*
 * Each that may begin a read, once more with the page found to migrate; and each that may
 * end a transaction, with the page found to be worth being lent
 */
static struct happening *add_ways(const struct world *w,
				  const struct happening *from,
				  struct happening *to)
{
	struct happening *end = to;

	for (; from < to; from++) {
		u8 page = from->page;
		bool read = w->wait[page].rd || from->kind == DO_READ ||
			    (from->kind == DO_DELIVER &&
			     w->q[from->from][from->node][from->nth].type ==
			     HK_DMSG_GET_S);

		if (lent && happening_is_progress(from) && w->dir[page].busy &&
		    hk_dir_wait_empty(&w->wait[page])) {
			*end = *from;
			end++->steady = 1;
		}
		if (!migratory || !read || !w->dir[page].owner)
			continue;
		*end = *from;
		end++->migrates = 1;
	}
	return end;
}

unsigned int world_happenings(const struct world *w, struct happening *h)
{
	struct happening *start = h;
	u8 page, i, j;

	for (i = 0; i < test->cpus; i++)
		add_vcpu(w, &h, i);
	for (i = 1; i <= nodes; i++) {
		struct happening new = { .node = i };

		for (page = 0; page < PAGES; page++)
			add_page(w, &h, page, i);
		new.kind = DO_DELIVER;
		for (j = 1; j <= nodes; j++) {
			new.from = j;
			for (new.nth = 0; comes_first(w, j, i, new.nth); new.nth++) {
				new.page = w->q[j][i][new.nth].page;
				*h++ = new;
			}
		}
	}
	return migratory || lent ? add_ways(w, start, h) - start : h - start;
}

void world_first(struct world *w)
{
	u8 page, i;

	memset(w, 0, sizeof(*w));
	for (page = 0; page < PAGES && shared; page++) {
		w->dir[page].owner = home_of(page);
		for (i = 1; i <= nodes; i++) {
			w->np[page][i].copy = 1;
			w->np[page][i].state = HK_PG_OWNED;
			if (i == home_of(page))
				continue;
			w->np[page][i].state = HK_PG_SHARED;
			w->dir[page].sharers |= hk_node_bit(i);
		}
	}
}

bool world_quiet(const struct world *w)
{
	u8 page, i, j;

	for (i = 1; i <= nodes; i++) {
		for (page = 0; page < PAGES; page++)
			if (!hk_page_stable(w->np[page][i].state))
				return false;
		for (j = 1; j <= nodes; j++)
			if (w->qlen[i][j])
				return false;
	}
	return true;
}

const char *world_check(const struct world *w)
{
	u8 memory[PAGES] = { 0 }, page, i, j;
	unsigned int out;

	for (i = 1; i <= nodes; i++)
		for (j = 1; j <= nodes; j++)
			if (w->qlen[i][j] > queue_seen)
				queue_seen = w->qlen[i][j];
	if (!all_done(w->cpu) || !world_quiet(w))
		return NULL;
	for (page = 0; page < PAGES; page++)
		if (w->dir[page].owner)
			memory[page] = w->np[page][w->dir[page].owner].copy - 1;
	out = outcome(w->cpu, memory);
	seen[out] = 1;
	return allowed[out] ? NULL : "an outcome that x86-TSO forbids";
}

/* A world as bytes: short ones, no node can be renamed here */
void pack_init(void)
{
}

static u8 *pack_rule(const struct world *w, u8 page, u8 *b)
{
	const struct hk_dir_wait *wait = &w->rule_wait[page];
	const struct hk_dir *rule = &w->rule[page];

	*b++ = w->dir[page].flags;
	*b++ = rule->flags;
	if (!rule->flags)
		return b;
	*b++ = rule->owner | rule->busy << 3;
	*b++ = rule->sharers >> 1 | wait->rd >> 1 << 4;
	*b++ = wait->wr >> 1 | wait->have >> 1 << 4;
	*b++ = wait->last;
	return b;
}

static u8 *pack_page(const struct world *w, u8 page, u8 *b)
{
	const struct hk_dir_wait *wait = &w->wait[page];
	const struct hk_dir *dir = &w->dir[page];
	u8 i;

	*b++ = dir->owner | dir->busy << 3;
	*b++ = dir->sharers >> 1 | wait->rd >> 1 << 4;
	*b++ = wait->wr >> 1 | wait->have >> 1 << 4;
	*b++ = wait->last;
	if (lent)
		b = pack_rule(w, page, b);
	for (i = 1; i <= nodes; i++) {
		const struct node_page *np = &w->np[page][i];

		*b++ = np->state | np->copy << 4;
		if (lent)
			*b++ = np->ruler | np->ctx.asked << 3 |
			       np->ctx.moot << 6;
		if (hk_page_stable(np->state))
			continue;
		*b++ = np->ctx.acks >> 1 | np->ctx.replied << 4 |
		       np->ctx.no_done << 5;
		*b++ = np->ctx.recall_req | recall_stored(&np->ctx) << 3;
		if (np->ctx.recall_type == HK_DMSG_FWD_X)
			*b++ = np->ctx.recall_acks;
	}
	return b;
}

unsigned int world_pack(const struct world *w, u8 *buf)
{
	u8 *b = buf, page, i, j, k;

	for (i = 0; i < test->cpus; i++) {
		const struct vcpu *c = &w->cpu[i];

		*b++ = c->pc | c->stores << 2 | c->reg[0] << 4 | c->reg[1] << 6;
		*b++ = c->page[0] | c->page[1] << 1 | c->val[0] << 2 |
		       c->val[1] << 4;
	}
	for (page = 0; page < PAGES; page++)
		b = pack_page(w, page, b);
	for (i = 1; i <= nodes; i++) {
		for (j = 1; j <= nodes; j++) {
			if (i == j)
				continue;
			for (k = 0; k < w->qlen[i][j]; k++) {
				const struct cell *q = &w->q[i][j][k];

				*b++ = q->type << 3 | q->req;
				*b++ = q->flags | q->copy << 3 | q->page << 5 |
				       !!q->acks << 6;
				if (q->acks)
					*b++ = q->acks;
			}
			*b++ = 0;
		}
	}
	return b - buf;
}

static const u8 *unpack_rule(struct world *w, u8 page, const u8 *b)
{
	struct hk_dir_wait *wait = &w->rule_wait[page];
	struct hk_dir *rule = &w->rule[page];

	w->dir[page].flags = b[0];
	rule->flags = b[1];
	if (!rule->flags)
		return b + 2;
	rule->owner = b[2] & 7;
	rule->busy = b[2] >> 3;
	rule->sharers = (b[3] & 15) << 1;
	wait->rd = b[3] >> 4 << 1;
	wait->wr = (b[4] & 15) << 1;
	wait->have = b[4] >> 4 << 1;
	wait->last = b[5];
	tokens_wait(wait, nodes, true);
	return b + 6;
}

static const u8 *unpack_page(struct world *w, u8 page, const u8 *b)
{
	struct hk_dir_wait *wait = &w->wait[page];
	struct hk_dir *dir = &w->dir[page];
	u8 i;

	dir->owner = b[0] & 7;
	dir->busy = b[0] >> 3;
	dir->sharers = (b[1] & 15) << 1;
	wait->rd = b[1] >> 4 << 1;
	wait->wr = (b[2] & 15) << 1;
	wait->have = b[2] >> 4 << 1;
	wait->last = b[3];
	b += 4;
	tokens_wait(wait, nodes, false);
	if (lent)
		b = unpack_rule(w, page, b);
	for (i = 1; i <= nodes; i++) {
		struct node_page *np = &w->np[page][i];

		np->state = *b & 15;
		np->copy = *b++ >> 4;
		if (lent) {
			np->ruler = *b & 7;
			np->ctx.asked = *b >> 3 & 7;
			np->ctx.moot = *b++ >> 6;
		}
		if (hk_page_stable(np->state))
			continue;
		np->ctx.acks = (b[0] & 15) << 1;
		np->ctx.replied = b[0] >> 4 & 1;
		np->ctx.no_done = b[0] >> 5;
		np->ctx.recall_req = b[1] & 7;
		np->ctx.recall_type = b[1] >> 3;
		b += 2;
		if (np->ctx.recall_type == HK_DMSG_FWD_X ||
		    np->ctx.recall_type == RECALL_READ_X)
			np->ctx.recall_acks = *b++;
		tokens_ctx(&np->ctx, np->state, i);
	}
	return b;
}

void world_unpack(struct world *w, const u8 *b)
{
	u8 page, i, j;

	memset(w, 0, sizeof(*w));
	for (i = 0; i < test->cpus; i++, b += 2) {
		struct vcpu *c = &w->cpu[i];

		c->pc = b[0] & 3;
		c->stores = b[0] >> 2 & 3;
		c->reg[0] = b[0] >> 4 & 3;
		c->reg[1] = b[0] >> 6;
		c->page[0] = b[1] & 1;
		c->page[1] = b[1] >> 1 & 1;
		c->val[0] = b[1] >> 2 & 3;
		c->val[1] = b[1] >> 4;
	}
	for (page = 0; page < PAGES; page++)
		b = unpack_page(w, page, b);
	for (i = 1; i <= nodes; i++) {
		for (j = 1; j <= nodes; j++) {
			if (i == j)
				continue;
			while (*b) {
				struct cell *q = &w->q[i][j][w->qlen[i][j]++];

				*q = (struct cell){
					.type = b[0] >> 3, .req = b[0] & 7,
					.flags = b[1] & 7, .copy = b[1] >> 3 & 3,
					.page = b[1] >> 5 & 1,
				};
				b += 2;
				if (b[-1] >> 6)
					q->acks = *b++;
			}
			b++;
		}
	}
}

void world_print(const struct world *w)
{
	u8 page, i, j;

	for (i = 0; i < test->cpus; i++)
		printf("#\tvCPU %u: instruction %u, %u stores buffered, read %u %u\n",
		       i + 1, w->cpu[i].pc, w->cpu[i].stores, w->cpu[i].reg[0],
		       w->cpu[i].reg[1]);
	for (page = 0; page < PAGES; page++) {
		printf("#\tpage %c, home %u:", "xy"[page], home_of(page));
		for (i = 1; i <= nodes; i++) {
			const struct node_page *np = &w->np[page][i];

			printf(" %u:%s", i, hk_page_state_name(np->state));
			if (np->copy)
				printf("=%u", np->copy - 1);
		}
		printf("\n");
	}
	for (i = 1; i <= nodes; i++)
		for (j = 1; j <= nodes; j++)
			if (w->qlen[i][j])
				printf("#\tunder way %u -> %u: %s, %u in all\n",
				       i, j, hk_dmsg_name(w->q[i][j][0].type),
				       w->qlen[i][j]);
}

void happening_print(const struct world *w, const struct happening *h)
{
	static const char * const what[] = {
		"executes an instruction on", "lets a store out of the buffer to",
		"read fault on", "write fault on", "drops its copy of", "gets",
		"unmaps", "write-protects",
	};

	printf("node %u: %s ", h->node, what[h->kind]);
	if (h->kind == DO_DELIVER)
		printf("from node %u %s of ", h->from,
		       hk_dmsg_name(w->q[h->from][h->node][h->nth].type));
	printf("page %c\n", "xy"[h->page]);
}

void config_print(void)
{
	printf("# %s nodes=%u%s%s%s%s%s%s: ", test->name, nodes,
	       shared ? " shared" : "", apart ? " homes-apart" : "",
	       groups ? " groups" : "", plain ? " plain" : "",
	       migratory ? " migratory" : "", lent ? " lend" : "");
}

static int run(u32 states_max)
{
	static const struct vcpu none[NODES_MAX];
	static const u8 zero[PAGES];
	unsigned int i, nr = 0, of = 0;

	flat(none, zero);
	if (explore(~0u, states_max))
		return 1;
	for (i = 0; i < OUTCOMES; i++) {
		nr += seen[i];
		of += allowed[i];
	}
	printf("# %s: %u outcomes of %u that x86-TSO allows\n", test->name, nr,
	       of);
	if (nr == of)
		return 0;
	printf("# FAULT: outcomes are missing\n");
	return 1;
}

int main(int argc, char **argv)
{
	u32 states_max = 1u << 31;
	bool wrong = false;
	unsigned int i;
	int c;

	while ((c = getopt(argc, argv, "t:m:egsapx")) != -1) {
		switch (c) {
		case 't':
			for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
				if (!strcmp(tests[i].name, optarg))
					test = &tests[i];
			break;
		case 'e':
			lent = true;
			break;
		case 'g':
			groups = true;
			break;
		case 's':
			shared = true;
			break;
		case 'a':
			apart = true;
			break;
		case 'p':
			plain = true;
			break;
		case 'x':
			migratory = true;
			break;
		case 'm':
			states_max = strtoul(optarg, NULL, 0);
			break;
		default:
			wrong = true;
		}
	}
	if (wrong || !test || optind != argc) {
		fprintf(stderr,
			"litmus -t SB|SB+fences|MP|LB|2+2W|S|R|CoRR|WRC|IRIW [-m STATES] [-e] [-g] [-s] [-a] [-p] [-x]\n"
			"  -e  home may lend any page to its owner at any time\n"
			"  -g  requests that may go in a group leave late\n"
			"  -s  every node has a read copy of both pages at first\n"
			"  -a  one more node is home of both\n"
			"  -p  neither prefetch nor drops of read copies\n"
			"  -x  home may find any page to migrate at any time\n");
		return 2;
	}
	nodes = test->cpus + apart;
	return nodes > NODES_MAX ? 2 : run(states_max);
}
