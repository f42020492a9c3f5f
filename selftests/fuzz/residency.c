// SPDX-License-Identifier: GPL-2.0
/*
 * Where a vCPU lives, and its interrupts on the way, against a member that keeps no
 * rule: three nodes do what kmod/vcpu.c does, the fourth says anything
 *
 * A member can ask for any vCPU and does with it what it wants once it is resident.
 * So nothing is promised of a vCPU from the moment in which the faulty node claims it
 * (TAKEN or VCPU_STATE of a new generation), see Documentation/residency.rst. What is
 * promised before that moment, whatever else it says: at most one node runs the vCPU,
 * and honest nodes do not refuse each other. And always: no step ends outside of its
 * table, a refused one changes nothing, what is kept is bounded.
 */
#include "../../migrate/pending.h"
#include "../../migrate/residency.h"
#include "input.h"

#define NODES	4
#define FAULTY	4
#define QUEUE	64
/* each vector once, two NMIs, INIT, SIPI, SMI */
#define IRQS_MAX	(256 + 2 + 3)

enum letter_kind { L_STATE, L_TAKEN, L_REFUSED, L_IRQ };

struct letter {
	u8 kind;
	u32 seq;
	struct hk_irq irq;
};

struct node {
	struct hk_res res;
	struct hk_pending pend;
};

struct world {
	struct node node[NODES];		/* from 1 */
	u8 qlen[NODES][NODES];			/* [from][to] */
	struct letter q[NODES][NODES][QUEUE];
	bool claimed;				/* by the faulty node */
};

static struct world w;

/* The faulty node takes what it gets and forgets it */
static void put(u16 from, u16 to, struct letter l)
{
	u8 *len;

	must(to && to <= NODES, "message to nobody");
	if (to == FAULTY)
		return;
	len = &w.qlen[from][to];
	must(*len < QUEUE, "a queue grows without bound");
	w.q[from][to][(*len)++] = l;
}

static void forward_irqs(u16 self)
{
	struct node *n = &w.node[self];
	struct letter l = { .kind = L_IRQ };
	unsigned int nr = 0;

	while (hk_pending_next(&n->pend, &l.irq)) {
		must(hk_irq_carried(l.irq.mode), "an interrupt that is none");
		must(++nr <= IRQS_MAX, "more interrupts than can be kept");
		/* one stands for all, so that queues can stay short */
		if (nr == 1)
			put(self, n->res.node, l);
	}
}

static void take_irqs(u16 self)
{
	struct hk_irq irq;
	unsigned int nr = 0;

	while (hk_pending_next(&w.node[self].pend, &irq))
		must(++nr <= IRQS_MAX, "more interrupts than can be kept");
}

static int step(u16 self, enum hk_res_event ev, u16 peer, u32 seq)
{
	struct node *n = &w.node[self];
	const struct hk_res old = n->res;
	unsigned int act = ~0u;
	u16 to;

	if (hk_res_step(self, &n->res, ev, peer, seq, &act)) {
		must(!act && !memcmp(&old, &n->res, sizeof(old)),
		     "a refusal changed something");
		return -EPROTO;
	}
	must(n->res.state < HK_RES_NR, "no such state");
	must(n->res.node && n->res.node <= NODES, "resident on no node");
	must(n->res.state != HK_RES_HERE || n->res.node == self,
	     "here, and elsewhere");
	if (act & HK_RES_ACT_INJECT)
		take_irqs(self);
	if (act & HK_RES_ACT_TELL_TAKEN)
		for (to = 1; to < NODES; to++)
			if (to != self)
				put(self, to, (struct letter){
					L_TAKEN, n->res.seq, { 0 } });
	if (act & HK_RES_ACT_TELL_REFUSED) {
		if (ev == HK_RES_EV_APPLY_FAILED) {
			peer = old.node;
			seq = n->res.seq + 1;
		}
		put(self, peer, (struct letter){ L_REFUSED, seq, { 0 } });
	}
	if (act & HK_RES_ACT_FORWARD)
		forward_irqs(self);
	return 0;
}

static void recv_irq(u16 self, const struct hk_irq *irq)
{
	struct node *n = &w.node[self];

	if (!hk_irq_carried(irq->mode))
		return;		/* check_irq() */
	if (hk_res_keeps(&n->res)) {
		must(hk_pending_add(&n->pend, irq), "not kept");
		must(n->pend.nmi <= 2, "more NMIs than a CPU latches");
	} else if (n->res.state == HK_RES_AWAY) {
		put(self, n->res.node, (struct letter){ L_IRQ, 0, *irq });
	}
}

static void deliver(u16 from, u16 self)
{
	struct letter *q = w.q[from][self], l = q[0];
	int err = 0;

	memmove(q, q + 1, --w.qlen[from][self] * sizeof(*q));
	switch ((enum letter_kind)l.kind) {
	case L_STATE:
		err = step(self, HK_RES_EV_STATE, from, l.seq);
		break;
	case L_TAKEN:
		err = step(self, HK_RES_EV_TAKEN, from, l.seq);
		break;
	case L_REFUSED:
		err = step(self, HK_RES_EV_REFUSED, from, l.seq);
		break;
	case L_IRQ:
		recv_irq(self, &l.irq);
		break;
	}
	must(!err || w.claimed, "honest nodes refuse each other");
}

static struct hk_irq irq_of(struct input *in)
{
	u8 how = input_u8(in);

	return (struct hk_irq){
		.mode = how & 0x80 ? input_u16(in) : (how & 7) << 8,
		.vector = input_u8(in),
		.level = how >> 3 & 1,
		.trig = how >> 4 & 1,
	};
}

/* A node that runs it, or may begin to without hearing from anybody else */
static unsigned int runners(void)
{
	unsigned int nr = 0;
	u16 i;

	for (i = 1; i < NODES; i++)
		nr += w.node[i].res.state == HK_RES_HERE ||
		      w.node[i].res.state == HK_RES_ARRIVING;
	return nr;
}

static void faulty(struct input *in, u16 to)
{
	const struct hk_res *res = &w.node[to].res;
	u8 kind = input_u8(in);
	u32 seq = kind & 0x40 ? (u32)input_u16(in) << 16 | input_u16(in) :
		  res->seq + (int8_t)input_u8(in);
	bool newer = (s32)(seq - res->seq) > 0;
	struct hk_irq irq;

	switch (kind % 4) {
	case 0:
		if (newer)
			w.claimed = true;
		step(to, HK_RES_EV_STATE, FAULTY, seq);
		break;
	case 1:
		if (newer)
			w.claimed = true;
		step(to, HK_RES_EV_TAKEN, FAULTY, seq);
		break;
	case 2:
		/* of what was sent to it, or of anything else */
		step(to, HK_RES_EV_REFUSED, FAULTY, seq);
		break;
	case 3:
		irq = irq_of(in);
		recv_irq(to, &irq);
		break;
	}
}

static void honest(struct input *in, u8 op, u16 self)
{
	struct node *n = &w.node[self];
	u16 peer = 1 + input_u8(in) % NODES;
	struct hk_irq irq;

	switch (op) {
	case 0:		/* the runner leaves; the state goes on its way */
		if (n->res.state != HK_RES_HERE || peer == self)
			break;
		must(!step(self, HK_RES_EV_LEAVE, peer, 0), "cannot leave");
		if (peer == FAULTY)
			w.claimed = true;
		put(self, peer, (struct letter){ L_STATE, n->res.seq + 1, { 0 } });
		break;
	case 1:
		if (n->res.state == HK_RES_ARRIVING)
			must(!step(self, HK_RES_EV_APPLIED, 0, 0), "not applied");
		break;
	case 2:
		if (n->res.state == HK_RES_ARRIVING)
			must(!step(self, HK_RES_EV_APPLY_FAILED, 0, 0),
			     "not failed");
		break;
	case 3:
	case 4:
		if (peer < NODES && peer != self && w.qlen[peer][self])
			deliver(peer, self);
		break;
	case 5:
		irq = irq_of(in);
		recv_irq(self, &irq);
		break;
	}
}

static bool room(void)
{
	u16 i, j;

	for (i = 1; i < NODES; i++)
		for (j = 1; j < NODES; j++)
			if (w.qlen[i][j] > QUEUE - 8)
				return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	u16 i;

	memset(&w, 0, sizeof(w));
	for (i = 1; i < NODES; i++)
		w.node[i].res = (struct hk_res){
			.state = i == 1 ? HK_RES_HERE : HK_RES_AWAY, .node = 1,
		};
	while (in.left && room()) {
		u8 what = input_u8(&in), op = what & 7;
		u16 self = 1 + (what >> 3) % (NODES - 1);

		if (op >= 6)
			faulty(&in, self);
		else
			honest(&in, op, self);
		must(w.claimed || runners() <= 1, "a vCPU runs on two nodes");
	}
	return 0;
}
