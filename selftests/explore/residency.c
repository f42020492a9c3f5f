// SPDX-License-Identifier: GPL-2.0
/*
 * Exhaustive exploration of where a vCPU lives, over the objects that the module
 * is made of
 *
 * What kmod/vcpu.c, resident.c and park.c do around the table is played here: who
 * keeps, injects and forwards, what is told to whom, what becomes of wishes.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "residency.h"

#define ORIGIN		1
#define BEHIND_MAX	8	/* generations */

struct config cfg;
unsigned int queue_seen;

static const char * const class_names[CL_NR] = {
	"edge interrupt", "level interrupt", "NMI", "INIT", "SIPI", "ACCEPTED",
};

static const struct hk_irq class_irq[CL_NR] = {
	[CL_EDGE] = { .mode = HK_DM_FIXED, .vector = 0x31, .level = 1 },
	[CL_LEVEL] = { .mode = HK_DM_LOWEST, .vector = 0xe7, .level = 1, .trig = 1 },
	[CL_NMI] = { .mode = HK_DM_NMI, .level = 1 },
	[CL_INIT] = { .mode = HK_DM_INIT, .level = 1 },
	[CL_SIPI] = { .mode = HK_DM_STARTUP, .vector = 0x9a, .level = 1 },
	[CL_ACCEPTED] = { .mode = HK_DM_ACCEPTED, .vector = 0x3f, .level = 1 },
};

static int class_of(const struct hk_irq *irq)
{
	int c;

	for (c = 0; c < CL_NR; c++) {
		const struct hk_irq *i = &class_irq[c];
		u16 mode = i->mode == HK_DM_LOWEST ? HK_DM_FIXED : i->mode;

		if (irq->mode == mode && irq->vector == i->vector &&
		    irq->level && irq->trig == i->trig)
			return c;
	}
	return -1;
}

static unsigned int bits(unsigned int set)
{
	return __builtin_popcount(set);
}

static bool named(unsigned int class)
{
	return class == CL_INIT || class == CL_SIPI;
}

static unsigned int tokens_of(unsigned int class, u8 tokens)
{
	return named(class) ? bits(tokens) : tokens;
}

/* What has been raised and has not come to a LAPIC has somebody who waits for it */
static u64 waiters_of(unsigned int class, u8 tokens)
{
	u64 set = 0;
	unsigned int r;

	for (r = 0; named(class) && r < RAISERS_MAX; r++)
		if (tokens >> r * RAISER_TOKENS & ((1 << RAISER_TOKENS) - 1))
			set |= 1 << r;
	return set;
}

static struct hk_irq irq_of(unsigned int class, u8 tokens)
{
	struct hk_irq irq = class_irq[class];

	irq.waiters = waiters_of(class, tokens);
	return irq;
}

static const char *put(struct world *w, u16 from, u16 to, struct cell cell)
{
	u8 *len = &w->qlen[from][to];

	if (!to || to > cfg.nodes || to == from)
		return "message to nobody";
	if (*len >= QUEUE_MAX ||
	    (cfg.queue_bound && *len >= cfg.queue_bound))
		return "a queue grows without bound";
	w->q[from][to][(*len)++] = cell;
	if (*len > queue_seen)
		queue_seen = *len;
	return NULL;
}

static struct cell get(struct world *w, u16 from, u16 to)
{
	struct cell *q = w->q[from][to];
	struct cell cell = q[0];
	u8 len = --w->qlen[from][to];

	memmove(q, q + 1, len * sizeof(*q));
	memset(q + len, 0, sizeof(*q));
	return cell;
}

/* A LAPIC gets an interrupt; the guest may take it at once */
static const char *accept_irq(struct world *w, u16 self, int class, u8 tokens)
{
	unsigned int i;

	if (w->n[self].res.state != HK_RES_HERE)
		return "interrupt for a LAPIC that is not the vCPU's";
	if (!named(class))
		return NULL;
	for (i = 0; i < cfg.raisers; i++) {
		struct raiser *r = &w->r[i];
		u8 own = tokens >> i * RAISER_TOKENS & ((1 << RAISER_TOKENS) - 1);

		while (own) {
			if (!(own >> r->taken & 1))
				return "INIT and SIPI come out of order";
			own &= ~(1 << r->taken++);
		}
		/* hk_irq_accepted() */
		if (waiters_of(class, tokens) >> i & 1)
			r->waits = 0;
		/* the next one begins again */
		if (r->taken == r->raised && !(r->raised & 1))
			*r = (struct raiser){ .waits = r->waits };
	}
	return NULL;
}

/* keep_irq() */
static const char *keep(struct world *w, u16 self, int class, u8 tokens)
{
	u8 most = class == CL_NMI ? 2 : 1;
	struct hk_irq irq = irq_of(class, tokens);
	struct node *n = &w->n[self];

	if (!hk_pending_add(&n->pend, &irq))
		return "interrupt that cannot be kept";
	if (!named(class)) {
		n->kept[class] += tokens;
		/* the same vector merges, of NMIs two count */
		if (n->kept[class] > most)
			n->kept[class] = most;
		return NULL;
	}
	n->kept[class] |= tokens;
	if (class == CL_INIT) {
		n->kept[CL_INIT] |= n->kept[CL_SIPI];
		n->kept[CL_SIPI] = 0;
	}
	return NULL;
}

static const char *send_irq(struct world *w, u16 self, int class, u8 tokens)
{
	struct cell cell = { .type = C_IRQ, .class = class, .tokens = tokens };

	return put(w, self, w->n[self].res.node, cell);
}

/* hk_vcpu_on_irq(), recv_irq() */
static const char *on_irq(struct world *w, u16 self, int class, u8 tokens)
{
	struct hk_res *res = &w->n[self].res;

	if (hk_res_keeps(res))
		return keep(w, self, class, tokens);
	if (res->state == HK_RES_HERE)
		return accept_irq(w, self, class, tokens);
	return send_irq(w, self, class, tokens);
}

/* everything kept comes out, once */
static const char *empty(struct world *w, u16 self, bool forward)
{
	struct node *n = &w->n[self];
	const char *bad = NULL;
	struct hk_irq irq;

	while (!bad && hk_pending_next(&n->pend, &irq)) {
		int class = class_of(&irq);
		u8 tokens;

		if (class < 0 || !n->kept[class])
			return "interrupt that nobody raised";
		tokens = n->kept[class];
		if (class == CL_NMI && n->pend.nmi)
			tokens = 1;
		if (irq.waiters != waiters_of(class, tokens))
			return "somebody waits for ever, or too short";
		n->kept[class] -= tokens;
		bad = forward ? send_irq(w, self, class, tokens) :
				accept_irq(w, self, class, tokens);
	}
	return bad;
}

/* hk_vcpu_step() */
static const char *step(struct world *w, u16 self, enum hk_res_event ev,
			u16 peer, u32 seq)
{
	struct node *n = &w->n[self];
	struct cell cell = { 0 };
	const char *bad = NULL;
	u16 source = n->res.node, to;
	unsigned int act;

	if (hk_res_step(self, &n->res, ev, peer, seq, &act))
		return "-EPROTO from hk_res_step()";
	if (act & HK_RES_ACT_INJECT)
		bad = empty(w, self, false);
	if (act & HK_RES_ACT_TELL_TAKEN) {
		cell.type = C_TAKEN;
		cell.seq = n->res.seq;
		for (to = 1; to <= cfg.nodes && !bad; to++)
			if (to != self)
				bad = put(w, self, to, cell);
	}
	if (!bad && (act & HK_RES_ACT_TELL_REFUSED)) {
		bool late = ev == HK_RES_EV_APPLY_FAILED;

		cell.type = C_REFUSED;
		cell.seq = late ? n->res.seq + 1 : seq;
		bad = put(w, self, late ? source : peer, cell);
	}
	if (!bad && (act & HK_RES_ACT_FORWARD))
		bad = empty(w, self, true);
	return bad;
}

/* hk_vcpu_send_move() */
static const char *move(struct world *w, u16 self, u8 to)
{
	struct cell cell = { .type = C_MOVE, .node = to };
	struct node *n = &w->n[self];

	if (n->res.state == HK_RES_AWAY)
		return put(w, self, n->res.node, cell);
	n->want = n->res.state == HK_RES_HERE && to == self ? 0 : to;
	return NULL;
}

/* hk_vcpu_want_check(): a wish that came while the vCPU was in between */
static const char *want_check(struct world *w, u16 self)
{
	struct node *n = &w->n[self];
	u8 to = n->want;

	if (!to || hk_res_keeps(&n->res) ||
	    (n->res.state == HK_RES_HERE && to != self))
		return NULL;
	n->want = 0;
	if (n->res.node == to)
		return NULL;
	return move(w, self, to);
}

static const char *deliver(struct world *w, u16 self, u16 from, bool refuse)
{
	struct cell cell = get(w, from, self);
	struct hk_res *res = &w->n[self].res, old = *res;
	const char *bad = NULL;

	switch ((enum cell_type)cell.type) {
	case C_STATE:
		/* recv_state() */
		if (res->state != HK_RES_AWAY)
			return "STATE for a node that is not away";
		if (refuse) {
			struct cell no = { .type = C_REFUSED, .seq = cell.seq };

			return put(w, self, from, no);
		}
		bad = step(w, self, HK_RES_EV_STATE, from, cell.seq);
		if (!bad && res->state != HK_RES_ARRIVING)
			bad = "STATE taken for old news";
		break;
	case C_TAKEN:
		bad = step(w, self, HK_RES_EV_TAKEN, from, cell.seq);
		if (!bad && (s32)(cell.seq - old.seq) <= 0 &&
		    memcmp(&old, res, sizeof(old)))
			bad = "old news was taken for new";
		break;
	case C_REFUSED:
		bad = step(w, self, HK_RES_EV_REFUSED, from, cell.seq);
		if (!bad && res->state == HK_RES_LEAVING)
			bad = "refusal taken for old news";
		break;
	case C_MOVE:
		bad = move(w, self, cell.node);
		break;
	case C_IRQ:
		bad = on_irq(w, self, cell.class, cell.tokens);
		break;
	}
	return bad;
}

/* A thread of the origin is in hk_park_recall(): no KVM_RUN */
static bool in_recall(const struct world *w, u16 self)
{
	return self == ORIGIN && w->recall;
}

/* hk_vcpu_on_irq() */
static const char *raise_irq(struct world *w, u16 self, int class, u8 raiser)
{
	struct raiser *r = &w->r[raiser];
	u8 tokens = 1;

	if (named(class)) {
		tokens = 1 << (raiser * RAISER_TOKENS + r->raised++);
		if (w->n[self].res.state != HK_RES_HERE)
			r->waits = 1;
	}
	return on_irq(w, self, class, tokens);
}

const char *world_apply(struct world *w, const struct happening *h)
{
	struct node *n = &w->n[h->node];
	struct cell cell = { 0 };
	const char *bad;

	switch ((enum happening_kind)h->kind) {
	case DO_WISH:
		return move(w, h->node, h->to);
	case DO_RECALL:
		w->recall = 1;
		return n->res.state == HK_RES_AWAY ? move(w, ORIGIN, ORIGIN) : NULL;
	case DO_RECALL_AGAIN:
		return move(w, ORIGIN, ORIGIN);
	case DO_RECALL_END:
		w->recall = 0;
		return NULL;
	case DO_RAISE:
		return raise_irq(w, h->node, h->class, h->raiser);
	case DO_DELIVER:
	case DO_REFUSE:
		return deliver(w, h->node, h->from, h->kind == DO_REFUSE);
	case DO_LEAVE:
		n->runner = RUN_CAPTURE;
		bad = step(w, h->node, HK_RES_EV_LEAVE, n->want, 0);
		n->want = 0;
		return bad;
	case DO_NOT_READY:
		n->want = 0;
		return NULL;
	case DO_CANCEL:
		n->runner = RUN_IDLE;
		bad = step(w, h->node, HK_RES_EV_CANCEL, 0, 0);
		return bad ? bad : want_check(w, h->node);
	case DO_SEND:
		n->runner = RUN_WAIT;
		cell.type = C_STATE;
		cell.seq = n->res.seq + 1;
		return put(w, h->node, n->res.node, cell);
	case DO_LEFT:
		n->runner = RUN_IDLE;
		return want_check(w, h->node);
	case DO_APPLY:
		bad = step(w, h->node, HK_RES_EV_APPLIED, 0, 0);
		return bad ? bad : want_check(w, h->node);
	case DO_APPLY_FAIL:
		bad = step(w, h->node, HK_RES_EV_APPLY_FAILED, 0, 0);
		return bad ? bad : want_check(w, h->node);
	}
	return "?";
}

static void pend_of(const u8 *kept, struct hk_pending *p)
{
	memset(p, 0, sizeof(*p));
	if (kept[CL_EDGE])
		p->edge[0x31 / 64] = 1ULL << 0x31 % 64;
	if (kept[CL_LEVEL])
		p->lvl[0xe7 / 64] = 1ULL << 0xe7 % 64;
	p->nmi = kept[CL_NMI] < 2 ? kept[CL_NMI] : 2;
	p->init = !!kept[CL_INIT];
	p->init_waiters = waiters_of(CL_INIT, kept[CL_INIT]);
	p->sipi = !!kept[CL_SIPI];
	p->sipi_waiters = waiters_of(CL_SIPI, kept[CL_SIPI]);
	if (kept[CL_ACCEPTED])
		p->accepted = 1ULL << 0x3f;
	if (p->sipi)
		p->sipi_vector = 0x9a;
}

const char *world_check(const struct world *w)
{
	unsigned int here = 0, states = 0, i, j, k;

	for (i = 1; i <= cfg.nodes; i++) {
		const struct node *n = &w->n[i];
		struct hk_pending want, has = n->pend;

		here += n->res.state == HK_RES_HERE;
		for (j = 1; j <= cfg.nodes; j++)
			if ((s32)(w->n[j].res.seq - n->res.seq) > BEHIND_MAX)
				return "a node falls behind without bound";
		pend_of(n->kept, &want);
		if (!has.sipi)
			has.sipi_vector = 0;
		if (memcmp(&want, &has, sizeof(want)))
			return "what is kept is not what came";
		pend_of(w->n[0].kept, &want);
		if (!hk_res_keeps(&n->res) && memcmp(&want, &has, sizeof(want)))
			return "interrupts left behind";
		if (n->res.state == HK_RES_HERE && n->res.node != i)
			return "HERE, and names another node";
		if (n->res.state != HK_RES_HERE && n->res.node == i)
			return "not HERE, and names itself";
		if (n->want && n->res.state == HK_RES_AWAY &&
		    n->runner == RUN_IDLE)
			return "a wish is stuck where the vCPU is not";
		for (j = 1; j <= cfg.nodes; j++)
			for (k = 0; k < w->qlen[i][j]; k++)
				states += w->q[i][j][k].type == C_STATE;
	}
	if (here > 1)
		return "the vCPU runs on two nodes";
	/* one copy of its state is the one that counts */
	if (here && states)
		return "the vCPU runs, and its state is on the way";
	if (states > 1)
		return "its state is on the way twice";
	return NULL;
}

bool world_quiet(const struct world *w)
{
	unsigned int i, j, here = 0;

	for (i = 1; i <= cfg.nodes; i++) {
		if (w->n[i].res.state == HK_RES_HERE)
			here = i;
		for (j = 1; j <= cfg.nodes; j++)
			if (w->qlen[i][j])
				return false;
	}
	if (!here || w->recall)
		return false;
	for (i = 0; i < cfg.raisers; i++)
		if (w->r[i].waits || w->r[i].raised != w->r[i].taken)
			return false;
	for (i = 1; i <= cfg.nodes; i++) {
		const struct node *n = &w->n[i];

		if (n->want || n->runner != RUN_IDLE || hk_res_keeps(&n->res))
			return false;
		/* everybody knows */
		if (n->res.node != here || n->res.seq != w->n[here].res.seq)
			return false;
	}
	return true;
}

void world_first(struct world *w)
{
	unsigned int i;

	memset(w, 0, sizeof(*w));
	for (i = 1; i <= cfg.nodes; i++) {
		w->n[i].res.node = ORIGIN;
		/* generations wrap here, all the time */
		w->n[i].res.seq = (u32)-2;
	}
	w->n[ORIGIN].res.state = HK_RES_HERE;
}

struct census {
	unsigned int wishes;	/* not yet acted upon */
	unsigned int recalls;	/* of these, towards the origin */
	unsigned int tokens;
	unsigned int accepted;	/* of these, CL_ACCEPTED */
	unsigned int messages;
};

static struct census count(const struct world *w)
{
	struct census c = { 0 };
	unsigned int i, j, k;

	for (i = 1; i <= cfg.nodes; i++) {
		const struct node *n = &w->n[i];

		c.wishes += !!n->want;
		c.recalls += n->want == ORIGIN;
		for (k = 0; k < CL_NR; k++)
			c.tokens += tokens_of(k, n->kept[k]);
		c.accepted += n->kept[CL_ACCEPTED];
		for (j = 1; j <= cfg.nodes; j++) {
			c.messages += w->qlen[i][j];
			for (k = 0; k < w->qlen[i][j]; k++) {
				const struct cell *cell = &w->q[i][j][k];

				c.wishes += cell->type == C_MOVE;
				c.recalls += cell->type == C_MOVE &&
					     cell->node == ORIGIN;
				c.recalls += cell->type == C_STATE && j == ORIGIN;
				c.accepted += cell->type == C_IRQ &&
					      cell->class == CL_ACCEPTED;
				if (cell->type == C_IRQ)
					c.tokens += tokens_of(cell->class,
							      cell->tokens);
			}
		}
	}
	return c;
}

static bool may_raise(const struct world *w, const struct census *c,
		      unsigned int node, int class, unsigned int raiser)
{
	const struct raiser *r = &w->r[raiser];

	/* delivered at once, nothing to see */
	if (!named(class) && w->n[node].res.state == HK_RES_HERE)
		return false;
	/* of each other vCPU one at a time */
	if (class == CL_ACCEPTED)
		return !c->accepted;
	if (!named(class))
		return true;
	/* hk_vcpu_hold() */
	if (r->waits)
		return false;
	return r->raised < RAISER_TOKENS && (class == CL_SIPI) == (r->raised & 1);
}

unsigned int world_happenings(const struct world *w, struct happening *h)
{
	struct census c = count(w);
	unsigned int i, j, k, nr = 0;

#define happens(...) (h[nr++] = (struct happening){ __VA_ARGS__ })
	for (i = 1; i <= cfg.nodes; i++) {
		const struct node *n = &w->n[i];
		u8 state = n->res.state;

		for (j = 1; j <= cfg.nodes; j++) {
			if (c.wishes < cfg.wishes && c.messages <= cfg.flight)
				happens(.kind = DO_WISH, .node = i, .to = j);
			if (!w->qlen[i][j])
				continue;
			happens(.kind = DO_DELIVER, .node = j, .from = i);
			if (w->q[i][j][0].type == C_STATE)
				happens(.kind = DO_REFUSE, .node = j, .from = i);
		}
		for (j = 0; j < CL_NR; j++)
			for (k = 0; k < (named(j) ? cfg.raisers : 1); k++)
				if ((cfg.classes >> j & 1) && c.tokens < cfg.irqs &&
				    c.messages <= cfg.flight &&
				    may_raise(w, &c, i, j, k))
					happens(.kind = DO_RAISE, .node = i,
						.class = j, .raiser = k);
		if (state == HK_RES_HERE && n->runner == RUN_IDLE && n->want &&
		    !in_recall(w, i)) {
			happens(.kind = DO_LEAVE, .node = i);
			happens(.kind = DO_NOT_READY, .node = i);
		}
		if (n->runner == RUN_CAPTURE) {
			happens(.kind = DO_SEND, .node = i);
			happens(.kind = DO_CANCEL, .node = i);
		}
		if (n->runner == RUN_WAIT && state != HK_RES_LEAVING)
			happens(.kind = DO_LEFT, .node = i);
		if (n->runner == RUN_IDLE && state == HK_RES_ARRIVING) {
			happens(.kind = DO_APPLY, .node = i);
			happens(.kind = DO_APPLY_FAIL, .node = i);
		}
	}
	i = w->n[ORIGIN].res.state;
	if (!w->recall && i != HK_RES_HERE && w->n[ORIGIN].runner == RUN_IDLE &&
	    c.messages <= cfg.flight && c.wishes < cfg.wishes)
		happens(.kind = DO_RECALL, .node = ORIGIN);
	if (w->recall && i == HK_RES_HERE)
		happens(.kind = DO_RECALL_END, .node = ORIGIN);
	if (w->recall && i == HK_RES_AWAY && !c.recalls && !c.wishes)
		happens(.kind = DO_RECALL_AGAIN, .node = ORIGIN);
#undef happens
	return nr;
}

static void cell_print(const struct cell *c)
{
	static const char * const names[] = {
		[C_STATE] = "STATE", [C_TAKEN] = "TAKEN",
		[C_REFUSED] = "TAKEN(refused)", [C_MOVE] = "MOVE",
		[C_IRQ] = "IRQ",
	};

	printf("%s", names[c->type]);
	if (c->type == C_MOVE)
		printf(" to %u", c->node);
	else if (c->type == C_IRQ)
		printf(" %s", class_names[c->class]);
	else
		printf(" %d", (s32)c->seq);
}

void world_print(const struct world *w)
{
	unsigned int i, j, k;

	printf("#\t");
	for (i = 1; i <= cfg.nodes; i++) {
		const struct node *n = &w->n[i];

		printf(" %u:%s(%d, node %u", i, hk_res_state_name(n->res.state),
		       (s32)n->res.seq, n->res.node);
		if (n->want)
			printf(", wants %u", n->want);
		for (k = 0; k < CL_NR; k++)
			if (n->kept[k])
				printf(", keeps %s", class_names[k]);
		printf(")");
	}
	printf("%s", w->recall ? " VMM waits" : "");
	for (i = 0; i < cfg.raisers; i++)
		printf("%s", w->r[i].waits ? " raiser waits" : "");
	printf("\n");
	for (i = 1; i <= cfg.nodes; i++) {
		for (j = 1; j <= cfg.nodes; j++) {
			if (!w->qlen[i][j])
				continue;
			printf("#\tunder way %u -> %u: ", i, j);
			for (k = 0; k < w->qlen[i][j]; k++) {
				printf("%s", k ? ", " : "");
				cell_print(&w->q[i][j][k]);
			}
			printf("\n");
		}
	}
}

void happening_print(const struct world *w, const struct happening *h)
{
	printf("node %u: ", h->node);
	switch ((enum happening_kind)h->kind) {
	case DO_WISH:
		printf("asks for a move to node %u\n", h->to);
		break;
	case DO_RECALL:
		printf("the VMM calls the vCPU home\n");
		break;
	case DO_RECALL_AGAIN:
		printf("the VMM, still waiting, calls again\n");
		break;
	case DO_RECALL_END:
		printf("the VMM has it at home\n");
		break;
	case DO_RAISE:
		printf("%s raised\n", class_names[h->class]);
		break;
	case DO_REFUSE:
	case DO_DELIVER:
		printf("gets from node %u ", h->from);
		cell_print(&w->q[h->from][h->node][0]);
		printf("%s\n", h->kind == DO_REFUSE ? " and refuses at once" : "");
		break;
	case DO_LEAVE:
		printf("vCPU stopped, to go to node %u\n", w->n[h->node].want);
		break;
	case DO_NOT_READY:
		printf("the target is not ready\n");
		break;
	case DO_CANCEL:
		printf("capture fails\n");
		break;
	case DO_SEND:
		printf("state captured and sent\n");
		break;
	case DO_LEFT:
		printf("the runner sees that the handoff is over\n");
		break;
	case DO_APPLY:
		printf("state applied\n");
		break;
	case DO_APPLY_FAIL:
		printf("state cannot be applied\n");
		break;
	}
}

static u8 perm[24][NODES_MAX + 1];	/* old name -> new name */
static u8 perm_inv[24][NODES_MAX + 1];
static unsigned int perm_nr;

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
	permute(p, ORIGIN + 1);
}

/* Generations count from the lowest that anybody knows */
static u32 lowest(const struct world *w)
{
	u32 low = w->n[1].res.seq;
	unsigned int i;

	for (i = 2; i <= cfg.nodes; i++)
		if ((s32)(w->n[i].res.seq - low) < 0)
			low = w->n[i].res.seq;
	return low;
}

/* Of old news the age makes no difference: what the receiver knows only grows */
static u32 news(u32 seq, u32 known)
{
	return (s32)(seq - known) < 0 ? known : seq;
}

static unsigned int pack_named(const struct world *w, u8 *buf, u32 low,
			       const u8 *p, const u8 *inv)
{
	unsigned int i, j, k;
	u8 *b = buf;

	*b++ = w->recall;
	for (i = 0; i < cfg.raisers; i++)
		*b++ = w->r[i].waits | w->r[i].raised << 1 | w->r[i].taken << 4;
	for (i = 1; i <= cfg.nodes; i++) {
		const struct node *n = &w->n[inv[i]];

		*b++ = n->res.state | n->runner << 2 | p[n->want] << 4;
		*b++ = p[n->res.node] | (n->res.seq - low) << 3;
		*b++ = n->kept[CL_EDGE] | n->kept[CL_LEVEL] << 2 |
		       n->kept[CL_NMI] << 4 | n->kept[CL_ACCEPTED] << 6;
		*b++ = n->kept[CL_INIT];
		*b++ = n->kept[CL_SIPI];
	}
	for (i = 1; i <= cfg.nodes; i++) {
		for (j = 1; j <= cfg.nodes; j++) {
			u8 from = inv[i], to = inv[j], len = w->qlen[from][to];

			if (i == j)
				continue;
			*b++ = len;
			for (k = 0; k < len; k++) {
				const struct cell *c = &w->q[from][to][k];

				*b++ = c->type | c->class << 3;
				*b++ = c->type == C_MOVE ? p[c->node] :
				       c->type == C_IRQ ? c->tokens :
				       news(c->seq, w->n[to].res.seq) - low;
			}
		}
	}
	return b - buf;
}

unsigned int world_pack(const struct world *w, u8 *buf)
{
	u32 low = lowest(w);
	u8 other[PACK_MAX];
	unsigned int len, i;

	len = pack_named(w, buf, low, perm[0], perm_inv[0]);
	for (i = 1; i < perm_nr; i++) {
		pack_named(w, other, low, perm[i], perm_inv[i]);
		if (memcmp(other, buf, len) < 0)
			memcpy(buf, other, len);
	}
	return len;
}

void world_unpack(struct world *w, const u8 *b)
{
	u32 low = (u32)-2;
	unsigned int i, j, k;

	memset(w, 0, sizeof(*w));
	w->recall = *b++;
	for (i = 0; i < cfg.raisers; i++) {
		w->r[i].waits = *b & 1;
		w->r[i].raised = *b >> 1 & 7;
		w->r[i].taken = *b++ >> 4;
	}
	for (i = 1; i <= cfg.nodes; i++) {
		struct node *n = &w->n[i];

		n->res.state = *b & 3;
		n->runner = *b >> 2 & 3;
		n->want = *b++ >> 4;
		n->res.node = *b & 7;
		n->res.seq = low + (*b++ >> 3);
		n->kept[CL_EDGE] = *b & 3;
		n->kept[CL_LEVEL] = *b >> 2 & 3;
		n->kept[CL_NMI] = *b >> 4 & 3;
		n->kept[CL_ACCEPTED] = *b++ >> 6;
		n->kept[CL_INIT] = *b++;
		n->kept[CL_SIPI] = *b++;
		pend_of(n->kept, &n->pend);
	}
	for (i = 1; i <= cfg.nodes; i++) {
		for (j = 1; j <= cfg.nodes; j++) {
			if (i == j)
				continue;
			w->qlen[i][j] = *b++;
			for (k = 0; k < w->qlen[i][j]; k++) {
				struct cell *c = &w->q[i][j][k];

				c->type = *b & 7;
				c->class = *b++ >> 3;
				if (c->type == C_MOVE)
					c->node = *b++;
				else if (c->type == C_IRQ)
					c->tokens = *b++;
				else
					c->seq = low + *b++;
			}
		}
	}
}

void config_print(void)
{
	printf("# nodes=%u wishes=%u irqs=%u classes=0x%x raisers=%u flight=%u: ",
	       cfg.nodes, cfg.wishes, cfg.irqs, cfg.classes, cfg.raisers,
	       cfg.flight);
}

static void usage(void)
{
	fprintf(stderr,
		"residency [-n NODES] [-w WISHES] [-i IRQS] [-c CLASSES] [-f FLIGHT] [-d DEPTH] [-m STATES] [-q BOUND] [-r RAISERS]\n"
		"  -c  mask of interrupts: 1 edge, 2 level, 4 NMI, 8 INIT, 16 SIPI,\n"
		"      32 news that another vCPU has accepted an INIT\n"
		"  -f  nothing new is wished for with more messages than this under way\n"
		"  -r  vCPUs that raise INIT and SIPI, one after the other\n");
	exit(2);
}

int main(int argc, char **argv)
{
	unsigned int depth_max = ~0u;
	u32 states_max = 1u << 31;
	int c;

	cfg.nodes = 3;
	cfg.wishes = 1;
	cfg.irqs = 1;
	cfg.classes = 1;
	cfg.flight = 2;
	cfg.raisers = 1;
	while ((c = getopt(argc, argv, "n:w:i:c:f:d:m:q:r:")) != -1) {
		unsigned int v = optarg ? strtoul(optarg, NULL, 0) : 0;

		switch (c) {
		case 'n':
			cfg.nodes = v;
			break;
		case 'w':
			cfg.wishes = v;
			break;
		case 'i':
			cfg.irqs = v;
			break;
		case 'c':
			cfg.classes = v;
			break;
		case 'f':
			cfg.flight = v;
			break;
		case 'd':
			depth_max = v;
			break;
		case 'm':
			states_max = v;
			break;
		case 'q':
			cfg.queue_bound = v;
			break;
		case 'r':
			cfg.raisers = v;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || cfg.nodes < 2 || cfg.nodes > NODES_MAX ||
	    cfg.irqs > 3 || !cfg.raisers || cfg.raisers > RAISERS_MAX)
		usage();
	return explore(depth_max, states_max);
}
