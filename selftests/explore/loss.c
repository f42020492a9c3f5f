// SPDX-License-Identifier: GPL-2.0
/*
 * What may happen while nodes die, and what must hold then
 *
 * The caller's side of dsm/recover.h is played here, and that of dsm/page.h as
 * far as losses are concerned; model.c looks closer at the latter. Messages of a
 * node to itself are dispatched at once.
 */
#include <string.h>

#include "loss.h"
#include "maps.h"

struct config cfg;
unsigned int queue_seen;

u64 epoch_members(const struct world *w, u8 epoch)
{
	u64 set = ((u64)2 << cfg.nodes) - 2;
	u8 e;

	for (e = 2; e <= epoch; e++)
		set &= ~hk_node_bit(w->victim[e]);
	return set;
}

/* Faults and drops are let in */
static bool running(const struct node *n)
{
	return n->rec.step == HK_REC_RUN;
}

/* Recalls go on, for others that run already */
static bool serving(const struct node *n)
{
	return running(n) || (n->rec.step == HK_REC_PAGES && !n->work);
}

static const char *put(struct world *w, u8 from, u8 to, struct cell cell)
{
	u8 *len = &w->qlen[from][to];

	if (!acts(w, to))
		return NULL;
	cell.epoch = w->n[from].rec.epoch;
	if (*len >= QUEUE_MAX)
		return "a queue grows without bound";
	w->q[from][to][(*len)++] = cell;
	return NULL;
}

static struct cell get(struct world *w, u8 from, u8 to)
{
	struct cell *q = w->q[from][to];
	struct cell cell = q[0];
	u8 len = --w->qlen[from][to];

	memmove(q, q + 1, len * sizeof(*q));
	memset(q + len, 0, sizeof(*q));
	return cell;
}

/* Of the step that is made: home finds the page to migrate */
static bool migrates;
/* and its owner to be lent it */
static bool steady;

static const char *page_msg(struct world *w, u8 from, u8 to,
			    const struct cell *cell, u8 last);

static const char *queue_out(struct world *w, u8 self, const struct hk_out *out)
{
	const char *bad = NULL;
	unsigned int i;
	u8 to;

	for (i = 0; i < out->nr && !bad; i++) {
		const struct hk_dmsg *m = &out->msg[i];
		struct cell cell = {
			.type = m->type,
			.req = m->req,
			.acks = m->acks,
			.flags = tokens_cell(m),
		};

		if (!m->to || m->from != self)
			return "message to nobody, or in another's name";
		if (m->to & ~w->n[self].rec.members)
			return "message to a node that is no member";
		if (!tokens_right(m))
			return "message with tokens that are not its request's";
		if (m->type == HK_DMSG_DATA_S || m->type == HK_DMSG_DATA_X) {
			cell.val = w->n[self].copy;
			if (cell.val == VAL_NONE)
				return "data sent by a node without a copy";
		}
		if (m->type == HK_DMSG_GRANT_X)
			w->granted = 1;
		for (to = 1; to <= cfg.nodes && !bad; to++)
			if ((m->to & hk_node_bit(to)) && to != self)
				bad = put(w, self, to, cell);
	}
	/* to itself: once all others have theirs */
	for (i = 0; i < out->nr && !bad; i++) {
		const struct hk_dmsg *m = &out->msg[i];
		struct cell cell = {
			.type = m->type,
			.epoch = w->n[self].rec.epoch,
			.req = m->req,
			.acks = m->acks,
			.flags = tokens_cell(m),
		};

		if (m->to & hk_node_bit(self))
			bad = page_msg(w, self, self, &cell, LAST_KEEP);
	}
	return bad;
}

/* @home: of the page, in the epoch the event belongs to. @mute: send nothing */
static const char *page_event(struct world *w, u8 self, u8 home,
			      enum hk_page_event ev, const struct hk_dmsg *msg,
			      u8 val, bool mute)
{
	struct node *n = &w->n[self];
	const struct hk_page_where where = {
		.self = self, .home = home, .tokens = tokens_get(self),
		.ruler = n->ruler, .rules = n->dir.flags & HK_DIR_F_RULES,
		.gives = n->dir.flags & HK_DIR_F_GIVES, .read_x = true,
	};
	struct hk_out out = { 0 };

	if (hk_page_step(&where, &n->state, &n->ctx, ev, msg, &out))
		return "-EPROTO from hk_page_step()";
	n->ruler = out.ruler;
	if (out.act & HK_ACT_RULE)
		n->dir = hk_dir_lent(self);
	if (out.act & HK_ACT_INSTALL) {
		if (val == VAL_NONE || n->copy != VAL_NONE)
			return "HK_ACT_INSTALL without data, or over a copy";
		n->copy = val;
	}
	if (out.act & HK_ACT_INSTALL_ZERO) {
		if (n->copy != VAL_NONE)
			return "HK_ACT_INSTALL_ZERO over a copy";
		n->copy = w->written ? VAL_STALE : VAL_CURRENT;
	}
	if (out.act & HK_ACT_WAKE)
		n->asleep = 0;
	if (!mute) {
		u8 copy = n->copy;
		const char *bad;

		/* a page that goes is sent first; its owner is the sender */
		bad = queue_out(w, self, &out);
		if (bad)
			return bad;
		if ((out.act & HK_ACT_FREE) && n->copy != copy)
			return "a page came while another one went";
	}
	if (out.act & HK_ACT_FREE)
		n->copy = VAL_NONE;
	return NULL;
}

/* At home, or at who is thought to be lent the page */
static const char *home_msg(struct world *w, u8 self, const struct hk_dmsg *msg,
			    u8 last)
{
	struct node *n = &w->n[self];
	const struct hk_dir_where where = {
		.self = self, .home = w->home[n->rec.epoch], .lend = cfg.lend,
	};
	struct hk_out out = { 0 };

	if (last != LAST_KEEP)
		n->wait.last = last;
	n->dir.grants = migrates && self == where.home;
	n->dir.steady = steady && self == where.home ? HK_DIR_STEADY_MIN : 0;
	if (hk_dir_step(&where, &n->dir, &n->wait, msg, &out))
		return "-EPROTO from hk_dir_step()";
	n->dir.score = 0;
	n->dir.grants = 0;
	n->dir.steady = 0;
	n->dir.flags &= ~(HK_DIR_F_WARY | HK_DIR_F_LOANED);
	if (hk_dir_wait_empty(&n->wait))
		n->wait.last = 0;
	return queue_out(w, self, &out);
}

/* A message of the page protocol, of this node's own epoch */
static const char *page_msg(struct world *w, u8 from, u8 to,
			    const struct cell *cell, u8 last)
{
	const struct hk_dmsg msg = {
		.to = hk_node_bit(to),
		.from = from,
		.req = cell->req,
		.acks = cell->acks,
		.tokens = tokens_msg(cell->type, from, to, cell->req, cell->flags),
		.type = cell->type,
		.flags = tokens_flags(cell->type, cell->flags),
	};
	int ev = hk_page_event_of(cell->type);

	if (ev < 0)
		return home_msg(w, to, &msg, last);
	return page_event(w, to, w->home[w->n[to].rec.epoch], ev, &msg,
			  cell->val, false);
}

/* A reply of the epoch in which this node last ran */
static const char *absorb(struct world *w, u8 from, u8 to,
			  const struct cell *cell)
{
	const struct hk_dmsg msg = {
		.to = hk_node_bit(to),
		.from = from,
		.req = cell->req,
		.acks = cell->acks,
		.tokens = tokens_msg(cell->type, from, to, cell->req, cell->flags),
		.type = cell->type,
		.flags = tokens_flags(cell->type, cell->flags),
	};
	int ev = hk_page_event_of(cell->type);

	if (ev < 0)
		return "absorbs what is no reply";
	return page_event(w, to, w->home[w->n[to].rec.ran], ev, &msg,
			  cell->val, true);
}

static void freeze(struct world *w, u8 self, u8 act, u8 epoch_before)
{
	struct node *n = &w->n[self];

	if ((act & HK_REC_ACT_LEARN) && w->home[epoch_before] == self)
		n->known = hk_recover_untouched(&n->dir);
	/* what is absorbed from now on is not asked home about */
	n->dir = (struct hk_dir){ 0 };
	n->wait = (struct hk_dir_wait){ 0 };
	n->build = (struct hk_recover_dir){ 0 };
}

static const char *report(struct world *w, u8 self)
{
	struct node *n = &w->n[self];
	u8 home = w->home[n->rec.epoch];
	struct cell cell = { .type = HK_RMSG_REPORT };

	cell.req = hk_recover_page(&n->state, &n->ctx);
	n->ruler = 0;
	if (n->known)
		cell.req |= HK_REPORT_UNTOUCHED;
	if (home != self)
		return put(w, self, home, cell);
	if (hk_recover_report(&n->build, self, cell.req))
		return "-EPROTO from hk_recover_report()";
	return NULL;
}

/* Has any node that was home until now died? */
static bool home_died(const struct world *w, u8 epoch)
{
	for (; epoch; epoch--)
		if (!lives(w, w->home[epoch]))
			return true;
	return false;
}

static const char *decide(struct world *w, u8 self)
{
	struct node *n = &w->n[self];
	u16 owner;
	u8 i;

	if (w->home[n->rec.epoch] != self)
		return NULL;
	owner = hk_recover_decide(&n->build, &n->dir);
	n->build = (struct hk_recover_dir){ 0 };
	if (n->dir.flags & HK_DIR_F_LOST) {
		for (i = 1; i <= cfg.nodes; i++)
			if (lives(w, i) && w->n[i].copy)
				return "page given up that a member has";
		if (!w->granted && !home_died(w, n->rec.epoch))
			return "page given up that nobody was ever granted";
	}
	if (owner == HK_NODE_NONE)
		return NULL;
	if (owner != self)
		return put(w, self, owner,
			   (struct cell){ .type = HK_RMSG_OWNER });
	if (hk_recover_owner(&n->state))
		return "-EPROTO from hk_recover_owner()";
	return NULL;
}

static const char *recover_event(struct world *w, u8 self,
				 enum hk_recover_event ev,
				 const struct hk_recover_in *in);

/* What the caller does in a step, and says when it has */
static const char *work(struct world *w, u8 self, u8 epoch_before)
{
	struct node *n = &w->n[self];
	const struct hk_recover_in in = {
		.epoch = n->rec.epoch,
		.step = n->rec.step,
	};
	const char *bad = NULL;
	u8 act = n->work;

	n->work = 0;
	if (act & HK_REC_ACT_FREEZE)
		freeze(w, self, act, epoch_before);
	if (act & HK_REC_ACT_REPORT)
		bad = report(w, self);
	if (act & HK_REC_ACT_DECIDE)
		bad = decide(w, self);
	if (act & HK_REC_ACT_FORGET)
		n->known = 0;
	if (bad)
		return bad;
	return recover_event(w, self, HK_REC_EV_WORKED, &in);
}

static const char *recover_event(struct world *w, u8 self,
				 enum hk_recover_event ev,
				 const struct hk_recover_in *in)
{
	struct node *n = &w->n[self];
	u8 before = n->rec.epoch, to;
	struct hk_recover_out out;
	const char *bad;

	if (hk_recover_step(&n->rec, ev, in, &out))
		return "error from hk_recover_step()";
	for (to = 1; to <= cfg.nodes; to++) {
		struct cell mark = { .type = HK_RMSG_MARK, .req = out.mark };

		if (!(out.mark_to & hk_node_bit(to)))
			continue;
		bad = put(w, self, to, mark);
		if (bad)
			return bad;
	}
	if (out.act & HK_REC_ACT_THAW) {
		n->asleep = 0;
		n->work = out.act & ~HK_REC_ACT_THAW;
		if (n->work)
			return work(w, self, before);
		return NULL;
	}
	if (!out.act)
		return NULL;
	n->work = out.act;
	/* to stop and to look at what it stops from is one thing */
	if (cfg.slow && !(out.act & HK_REC_ACT_FREEZE))
		return NULL;
	return work(w, self, before);
}

static const char *recover_msg(struct world *w, u8 from, u8 to,
			       const struct cell *cell)
{
	struct node *n = &w->n[to];
	const struct hk_recover_in in = {
		.members = epoch_members(w, cell->epoch),
		.from = from,
		.step = cell->req,
	};

	switch (cell->type) {
	case HK_RMSG_MARK:
		return recover_event(w, to, HK_REC_EV_MARK, &in);
	case HK_RMSG_REPORT:
		if (w->home[n->rec.epoch] != to)
			return "report to a node that is not home";
		if (hk_recover_report(&n->build, from, cell->req))
			return "-EPROTO from hk_recover_report()";
		return NULL;
	case HK_RMSG_OWNER:
		if (hk_recover_owner(&n->state))
			return "-EPROTO from hk_recover_owner()";
		return NULL;
	}
	return "message of no known type";
}

static int judge(const struct world *w, u8 from, u8 to)
{
	const struct cell *cell = &w->q[from][to][0];

	return hk_recover_judge(&w->n[to].rec, from, cell->epoch, cell->type);
}

/*
 * A message between two members is dropped: what its sender has not any more
 * must be somewhere else
 */
static const char *dropped(const struct world *w, const struct cell *cell)
{
	u8 i, j, k;

	if (cell->type == HK_DMSG_GRANT_X && !(cell->flags & HK_DMSG_F_HAVE))
		return "page of zeros thrown away on its way to a member";
	if (!cell->val)
		return NULL;
	for (i = 1; i <= cfg.nodes; i++) {
		if (!lives(w, i))
			continue;
		if (w->n[i].copy)
			return NULL;
		for (j = 1; j <= cfg.nodes; j++)
			for (k = 0; k < w->qlen[j][i]; k++)
				if (lives(w, j) && w->q[j][i][k].val)
					return NULL;
	}
	return "last copy thrown away on its way to a member";
}

static const char *deliver(struct world *w, u8 from, u8 to, u8 last)
{
	const int verdict = judge(w, from, to);
	struct cell cell = get(w, from, to);
	struct node *n = &w->n[to], old = *n;
	const char *bad = NULL;
	bool past = cell.epoch < n->rec.epoch;

	switch (verdict) {
	case HK_REC_TAKE:
		bad = cell.type < HK_DMSG_NR ?
		      page_msg(w, from, to, &cell, last) :
		      recover_msg(w, from, to, &cell);
		break;
	case HK_REC_ABSORB:
		bad = absorb(w, from, to, &cell);
		break;
	case HK_REC_DROP:
		if (lives(w, from) && lives(w, to))
			bad = dropped(w, &cell);
		break;
	case HK_REC_LATER:
		return "message of a later epoch taken";
	default:
		return "-EPROTO from hk_recover_judge()";
	}
	if (!bad && past && old.rec.step != HK_REC_FREEZE &&
	    memcmp(&old, n, sizeof(old)))
		bad = "a message of an old epoch changed something";
	return bad;
}

static void store(struct world *w, u8 self)
{
	u8 i, j, k;

	for (i = 1; i <= cfg.nodes; i++) {
		if (w->n[i].copy)
			w->n[i].copy = VAL_STALE;
		for (j = 1; j <= cfg.nodes; j++)
			for (k = 0; k < w->qlen[i][j]; k++)
				if (w->q[i][j][k].val)
					w->q[i][j][k].val = VAL_STALE;
	}
	w->n[self].copy = VAL_CURRENT;
	w->written = 1;
}

static void die(struct world *w, u8 node, u8 home)
{
	u8 i;

	w->epochs++;
	w->victim[w->epochs] = node;
	w->home[w->epochs] = home;
	if (cfg.undead)
		return;
	w->n[node] = (struct node){ 0 };
	for (i = 1; i <= cfg.nodes; i++) {
		memset(w->q[i][node], 0, sizeof(w->q[i][node]));
		w->qlen[i][node] = 0;
	}
}

static const char *fault(struct world *w, u8 node, enum hk_page_event ev)
{
	struct node *n = &w->n[node];
	bool may;

	if (cfg.faults)
		w->faults++;
	if (ev == HK_EV_READ)
		may = hk_page_may_read(n->state);
	else
		may = hk_page_may_write(n->state);
	/* before: the answer of a home that is here comes at once */
	if (cfg.sleepers && !may)
		n->asleep |= ev == HK_EV_READ ? SLEEP_READ : SLEEP_WRITE;
	if (!running(n))
		return NULL;
	return page_event(w, node, w->home[n->rec.epoch], ev, NULL, 0, false);
}

const char *world_apply(struct world *w, const struct happening *h)
{
	struct node *n = &w->n[h->node];
	u8 home = w->home[n->rec.epoch];
	struct hk_recover_in in = { 0 };

	migrates = h->migrates;
	steady = h->steady;
	switch ((enum happening_kind)h->kind) {
	case DO_FORGET:
		n->ruler = 0;
		return fault(w, h->node, HK_EV_READ);
	case DO_READ:
		return fault(w, h->node, HK_EV_READ);
	case DO_WRITE:
		return fault(w, h->node, HK_EV_WRITE);
	case DO_STORE:
		store(w, h->node);
		return NULL;
	case DO_DROP:
		n->copy = VAL_NONE;
		return page_event(w, h->node, home, HK_EV_DROP, NULL, 0, false);
	case DO_KILL:
		die(w, h->node, h->from);
		return NULL;
	case DO_DELIVER:
		return deliver(w, h->from, h->node, h->last);
	case DO_TAKEN:
		return page_event(w, h->node, home, HK_EV_TAKEN, NULL, 0, false);
	case DO_DOWNGRADED:
		return page_event(w, h->node, home, HK_EV_DOWNGRADED, NULL, 0,
				  false);
	case DO_LEARN:
		in.epoch = h->from;
		in.members = epoch_members(w, h->from);
		return recover_event(w, h->node, HK_REC_EV_EPOCH, &in);
	case DO_WORK:
		return work(w, h->node, 0);
	}
	return NULL;
}

/* What home thinks of the page is left open, and whom it serves next, as in model.c */
static void add_ways(const struct world *w, struct happening **h,
		     struct happening new)
{
	const struct node *home = &w->n[w->home[w->n[new.node].rec.epoch]];
	bool read = home->wait.rd || new.kind == DO_READ ||
		    (new.kind == DO_DELIVER &&
		     w->q[new.from][new.node][0].type == HK_DMSG_GET_S);

	*(*h)++ = new;
	if (cfg.lend && happening_is_progress(&new) && home->dir.busy &&
	    hk_dir_wait_empty(&home->wait)) {
		new.steady = 1;
		*(*h)++ = new;
		new.steady = 0;
	}
	if (!cfg.migratory || !read || !home->dir.owner)
		return;
	new.migrates = 1;
	*(*h)++ = new;
}

static void add(const struct world *w, struct happening **h,
		struct happening new)
{
	const struct hk_dir_wait *wait =
		&w->n[w->home[w->n[new.node].rec.epoch]].wait;
	const struct hk_dir_wait *rule = &w->n[new.node].wait;
	u64 set = wait->rd | wait->wr;
	u8 node;

	if (new.kind == DO_DELIVER)
		set |= rule->rd | rule->wr;

	new.last = LAST_KEEP;
	if ((new.kind != DO_DELIVER && new.kind != DO_TAKEN &&
	     new.kind != DO_DOWNGRADED) || !(set & (set - 1))) {
		add_ways(w, h, new);
		return;
	}
	for (node = 1; node <= cfg.nodes; node++) {
		if (!(set & hk_node_bit(node)))
			continue;
		new.last = node - 1;
		add_ways(w, h, new);
	}
}

static bool asks(u8 state)
{
	return state == HK_PG_INVALID_RD || state == HK_PG_INVALID_WR ||
	       state == HK_PG_SHARED_WR || state == HK_PG_OWNED_WR ||
	       state == HK_PG_SHARED_WR_TAKE || state == HK_PG_OWNED_WR_TAKE;
}

static void add_wishes(const struct world *w, struct happening **h, u8 i,
		       unsigned int requests)
{
	const struct node *n = &w->n[i];
	struct happening new = { .node = i };

	if (requests < cfg.requests && (running(n) || cfg.sleepers) &&
	    (!cfg.faults || w->faults < cfg.faults)) {
		new.kind = DO_READ;
		add(w, h, new);
		if (n->ruler && n->state == HK_PG_INVALID && running(n)) {
			new.kind = DO_FORGET;
			add(w, h, new);
		}
		new.kind = DO_WRITE;
		add(w, h, new);
	}
	if (n->state == HK_PG_SHARED && running(n)) {
		new.kind = DO_DROP;
		add(w, h, new);
	}
}

static void add_losses(const struct world *w, struct happening **h)
{
	struct happening new = { .kind = DO_KILL };
	u8 home = w->home[w->epochs], left = 0, i, j;

	for (i = 1; i <= cfg.nodes; i++)
		left += lives(w, i);
	if (w->epochs > cfg.losses || left < 2)
		return;
	for (i = 1; i <= cfg.nodes; i++) {
		if (!lives(w, i))
			continue;
		new.node = i;
		for (j = 1; j <= cfg.nodes; j++) {
			if (j == i || !lives(w, j))
				continue;
			if (i != home && j != home && !cfg.moved)
				continue;
			new.from = j;
			add(w, h, new);
		}
	}
}

unsigned int world_happenings(const struct world *w, struct happening *h)
{
	struct happening *start = h;
	unsigned int requests = 0;
	bool calm = false;
	u8 i, j;

	for (i = 1; i <= cfg.nodes; i++) {
		if (!acts(w, i))
			continue;
		requests += asks(w->n[i].state);
		if (cfg.calm && lives(w, i) &&
		    (w->n[i].rec.epoch != w->epochs || !running(&w->n[i])))
			calm = true;
	}
	for (i = 1; i <= cfg.nodes; i++) {
		const struct node *n = &w->n[i];
		struct happening new = { .node = i };

		if (!acts(w, i))
			continue;
		if (!calm)
			add_wishes(w, &h, i, requests);
		/* through the mapping, whatever the protocol does */
		if (state_mapped_w(n->state)) {
			new.kind = DO_STORE;
			add(w, &h, new);
		}
		if (state_taken(n->state) && serving(n)) {
			new.kind = DO_TAKEN;
			add(w, &h, new);
		}
		if (state_downgraded(n->state) && serving(n)) {
			new.kind = DO_DOWNGRADED;
			add(w, &h, new);
		}
		if (n->work) {
			new.kind = DO_WORK;
			add(w, &h, new);
		}
		new.kind = DO_LEARN;
		for (j = n->rec.epoch + 1; j <= w->epochs && lives(w, i); j++) {
			new.from = j;
			add(w, &h, new);
		}
		new.kind = DO_DELIVER;
		for (j = 1; j <= cfg.nodes; j++) {
			if (!w->qlen[j][i] || judge(w, j, i) == HK_REC_LATER)
				continue;
			new.from = j;
			add(w, &h, new);
		}
	}
	add_losses(w, &h);
	return h - start;
}

void world_first(struct world *w)
{
	u8 i;

	memset(w, 0, sizeof(*w));
	w->epochs = 1;
	w->home[1] = 1;
	for (i = 1; i <= cfg.nodes; i++)
		hk_recover_init(&w->n[i].rec, i, 1, epoch_members(w, 1));
}

bool world_quiet(const struct world *w)
{
	u8 i, j;

	for (i = 1; i <= cfg.nodes; i++) {
		const struct node *n = &w->n[i];

		if (!lives(w, i))
			continue;
		if (!hk_page_stable(n->state) || n->work || !running(n) ||
		    n->rec.epoch != w->epochs)
			return false;
		for (j = 1; j <= cfg.nodes; j++)
			if (w->qlen[j][i])
				return false;
	}
	return true;
}

static const char *check_node(const struct node *n, u16 self)
{
	static const struct hk_page_ctx zero;
	bool replied = n->state == HK_PG_INVALID_WR && n->ctx.replied;

	if (hk_page_stable(n->state) && memcmp(&n->ctx, &zero, sizeof(zero)))
		return "context left over in a stable state";
	if (!tokens_ctx_right(&n->ctx, n->state, self))
		return "a node remembers tokens that are not its request's";
	if (!tokens_wait_right(&n->wait, cfg.nodes,
			       n->dir.flags & HK_DIR_F_RULES))
		return "home has other tokens than those of who waits";
	if (!!n->copy != (state_mapped_r(n->state) || replied))
		return "memory kept without a use, or missing";
	if (state_mapped_r(n->state) && n->copy != VAL_CURRENT)
		return "a reader can see an old value";
	if (n->asleep && hk_page_stable(n->state) && running(n))
		return "lost wakeup: a thread sleeps, nothing is under way";
	if (running(n) &&
	    (((n->asleep & SLEEP_READ) && hk_page_may_read(n->state)) ||
	     ((n->asleep & SLEEP_WRITE) && hk_page_may_write(n->state))))
		return "lost wakeup: a thread sleeps, its access is allowed";
	return NULL;
}

/* All members run in the last epoch, and nothing is under way */
static const char *check_quiet(const struct world *w)
{
	const struct node *home = &w->n[w->home[w->epochs]];
	const struct hk_dir *dir = &home->dir;
	u16 owner = dir->owner;
	u8 i;

	if (dir->flags & HK_DIR_F_ASKED)
		return "all is quiet and the page is asked back";
	/* where the page is lent it is the owner who knows */
	if (dir->flags & HK_DIR_F_LENT) {
		dir = &w->n[owner].dir;
		if (!lives(w, owner) || dir->flags != HK_DIR_F_RULES ||
		    dir->owner != owner)
			return "the page is not lent to whom home thinks it is";
		if (dir->busy || !hk_dir_wait_empty(&w->n[owner].wait))
			return "all is quiet and who is lent the page is busy";
	}

	if (dir->busy || !hk_dir_wait_empty(&home->wait))
		return "all is quiet and the directory is busy";
	if (!dir->owner && (dir->sharers || (dir->flags & ~HK_DIR_F_LOST)))
		return "directory without an owner has sharers";
	if (dir->sharers & hk_node_bit(dir->owner))
		return "directory has the owner among the sharers";
	if (dir->owner && ((dir->flags & ~HK_DIR_F_RULES) || !lives(w, dir->owner)))
		return "owner in the directory is dead, or page lost and owned";
	if (!dir->owner && !dir->flags && w->granted)
		return "page taken for untouched that was granted once";
	for (i = 1; i <= cfg.nodes; i++) {
		const struct node *n = &w->n[i];
		bool sharer = dir->sharers & hk_node_bit(i);

		if (!lives(w, i)) {
			if (sharer)
				return "a dead sharer in the directory";
			continue;
		}
		if ((n->dir.flags & HK_DIR_F_RULES) && &n->dir != dir)
			return "a node rules a page that it is not lent";
		if (n->ruler && (!(home->dir.sharers & hk_node_bit(i)) ||
				 n->ruler != owner))
			return "a reader may ask a node that rules no more";
		if (n->known)
			return "knowledge of an old directory left over";
		if (n->state == HK_PG_SHARED && (dir->owner == i || !sharer))
			return "sharer unknown to the directory";
		if (n->state == HK_PG_OWNED && dir->owner != i)
			return "owner unknown to the directory";
		if (n->state == HK_PG_EXCLUSIVE &&
		    (dir->owner != i || dir->sharers))
			return "exclusive owner unknown to the directory";
		if (n->state == HK_PG_INVALID && dir->owner == i)
			return "owner in the directory has nothing";
	}
	return NULL;
}

const char *world_check(const struct world *w)
{
	unsigned int readers = 0, writers = 0;
	const char *bad;
	u8 i, j;

	for (i = 1; i <= cfg.nodes; i++) {
		if (!lives(w, i))
			continue;
		bad = check_node(&w->n[i], i);
		if (bad)
			return bad;
		readers += state_mapped_r(w->n[i].state);
		writers += state_mapped_w(w->n[i].state);
		for (j = 1; j <= cfg.nodes; j++) {
			if (w->qlen[j][i] > queue_seen)
				queue_seen = w->qlen[j][i];
			if (w->qlen[j][i] > cfg.queue_bound)
				return "a queue is longer than its bound";
		}
	}
	if (writers > 1)
		return "two nodes can write";
	if (writers && readers > 1)
		return "one node can write while another can read";
	return world_quiet(w) ? check_quiet(w) : NULL;
}
