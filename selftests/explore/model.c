// SPDX-License-Identifier: GPL-2.0
/*
 * What may happen in the explorer's world, and what must hold in it
 *
 * The caller's side of dsm/page.h is played here: queueing, taking pages away,
 * installing data, putting faulting threads to sleep.
 */
#include <stdio.h>
#include <string.h>

#include "maps.h"
#include "model.h"

struct config cfg;
unsigned int queue_seen;

static bool mapped_r(const struct node_page *np)
{
	return state_mapped_r(np->state);
}

static bool mapped_w(const struct node_page *np)
{
	return state_mapped_w(np->state);
}

static bool being_taken(const struct node_page *np)
{
	return state_taken(np->state);
}

static bool being_downgraded(const struct node_page *np)
{
	return state_downgraded(np->state);
}

/* Without a shift by 64, for 63 nodes */
static u64 world_nodes(void)
{
	return (hk_node_bit(cfg.nodes) << 1) - 2;
}

static u8 mapping(const struct node_page *np)
{
	return mapped_w(np) ? 2 : mapped_r(np);
}

/*
 * The guest maps what it may at once, and nothing but the caller's own acts
 * unmaps a page. What comes out must be what the state says.
 */
static const char *check_mapping(const struct node_page *old,
				 const struct node_page *np,
				 enum hk_page_event ev)
{
	u8 map = mapping(old);

	if (ev == HK_EV_TAKEN || ev == HK_EV_DROP)
		map = 0;
	if (ev == HK_EV_DOWNGRADED && map > 1)
		map = 1;
	if (hk_page_may_write(np->state))
		map = 2;
	else if (hk_page_may_read(np->state) && !map)
		map = 1;
	if (map != mapping(np))
		return "the page is mapped otherwise than its state says";
	return NULL;
}

static const char *put(struct world *w, u16 from, u16 to, struct cell cell)
{
	u8 *len = &w->qlen[from][to];

	if (*len >= QUEUE_MAX)
		return "a queue grows without bound";
	w->q[from][to][(*len)++] = cell;
	return NULL;
}

static struct cell get(struct world *w, u16 from, u16 to, u8 nth)
{
	struct cell *q = w->q[from][to];
	struct cell cell = q[nth];
	u8 len = --w->qlen[from][to];

	memmove(q + nth, q + nth + 1, (len - nth) * sizeof(*q));
	memset(q + len, 0, sizeof(*q));
	return cell;
}

/* What the receiver looks at before its engine gets the message */
static bool taken(const struct hk_dmsg *m, u16 to)
{
	static struct hk_homes homes;
	const struct hk_page_facts facts = {
		.ram_pages = cfg.pages, .members = world_nodes(),
		.homes = &homes, .self = to, .lend = cfg.lend,
	};

	for (; homes.nr < cfg.pages; homes.nr++)
		homes.range[homes.nr] = (struct hk_home_range){
			homes.nr, home_of(homes.nr)
		};
	return to == m->from || !hk_dmsg_check(&facts, m);
}

static const char *queue_out(struct world *w, u8 page, u16 self,
			     const struct hk_out *out)
{
	unsigned int i;
	const char *bad = NULL;
	u16 to;

	for (i = 0; i < out->nr; i++) {
		const struct hk_dmsg *m = &out->msg[i];
		struct cell cell = {
			.page = page,
			.type = m->type,
			.req = m->req,
			.acks = m->acks,
			.flags = tokens_cell(m),
		};

		if (m->gfn != page || m->from != self)
			return "message with a wrong gfn or sender";
		if (!tokens_right(m))
			return "message with tokens that are not its request's";
		if (m->type == HK_DMSG_GET_S && !m->tokens.ack !=
		    !(m->to & hk_node_bit(home_of(page))))
			return "token for the page itself to another node than home";
		if (!m->to || m->to & ~world_nodes())
			return "message to nobody";
		if ((m->to & (m->to - 1)) && m->type != HK_DMSG_INV)
			return "message other than INV to a set of nodes";
		if (m->req > cfg.nodes || m->acks & ~world_nodes())
			return "message with an impossible field";
		if (m->type == HK_DMSG_DATA_S || m->type == HK_DMSG_DATA_X) {
			cell.val = w->np[page][self].copy;
			if (cell.val == VAL_NONE)
				return "data sent by a node without a copy";
		}
		for (to = 1; to <= cfg.nodes && !bad; to++)
			if (m->to & hk_node_bit(to))
				bad = taken(m, to) ? put(w, self, to, cell) :
				      "message that its receiver refuses";
		if (bad)
			return bad;
	}
	return NULL;
}

static const char *page_event(struct world *w, u8 page, u16 self,
			      enum hk_page_event ev, const struct hk_dmsg *msg,
			      u8 val)
{
	struct node_page *np = &w->np[page][self];
	const struct node_page old = *np;
	const struct hk_page_where where = {
		.gfn = page,
		.self = self,
		.home = home_of(page),
		.ruler = np->ruler,
		.rules = w->rule[page].owner == self,
		.gives = w->rule[page].owner == self &&
			 (w->rule[page].flags & HK_DIR_F_GIVES),
		.tokens = tokens_get(self),
		.read_x = true,
	};
	struct hk_out out = { 0 };
	const char *bad;

	if (hk_page_step(&where, &np->state, &np->ctx, ev, msg, &out))
		return "-EPROTO from hk_page_step()";
	np->ruler = out.ruler;

	bad = queue_out(w, page, self, &out);
	if (bad)
		return bad;

	/* the caller acts after the messages were queued */
	if (!!(out.act & HK_ACT_TAKE) != (being_taken(np) && !being_taken(&old)))
		return "HK_ACT_TAKE and a _TAKE state do not go together";
	if (!!(out.act & HK_ACT_DOWNGRADE) !=
	    (being_downgraded(np) && !being_downgraded(&old)))
		return "HK_ACT_DOWNGRADE and a _DOWN state do not go together";
	if (out.act & HK_ACT_INSTALL) {
		if (val == VAL_NONE)
			return "HK_ACT_INSTALL without data";
		if (np->copy != VAL_NONE)
			return "HK_ACT_INSTALL over a copy";
		np->copy = val;
	}
	if (out.act & HK_ACT_INSTALL_ZERO) {
		if (np->copy != VAL_NONE)
			return "HK_ACT_INSTALL_ZERO over a copy";
		np->copy = w->written[page] ? VAL_STALE : VAL_CURRENT;
	}
	if (out.act & HK_ACT_FREE) {
		if (np->copy == VAL_NONE)
			return "HK_ACT_FREE of nothing";
		np->copy = VAL_NONE;
	}
	if (out.act & HK_ACT_WAKE)
		np->asleep = 0;
	if (out.act & HK_ACT_RULE) {
		if (w->rule[page].owner)
			return "a page is lent twice";
		w->rule[page] = hk_dir_lent(self);
	}
	return check_mapping(&old, np, ev);
}

static const char *deliver(struct world *w, u16 from, u16 to, u8 nth,
			   const struct happening *h)
{
	struct cell cell = get(w, from, to, nth);
	struct hk_dmsg msg = {
		.gfn = cell.page,
		.to = hk_node_bit(to),
		.from = from,
		.req = cell.req,
		.acks = cell.acks,
		.tokens = tokens_msg(cell.type, from, to, cell.req, cell.flags),
		.type = cell.type,
		.flags = tokens_flags(cell.type, cell.flags),
	};
	const struct hk_dir_where where = {
		.self = to, .home = home_of(cell.page), .lend = cfg.lend,
	};
	struct hk_dir none = { 0 }, *dir = &w->dir[cell.page];
	struct hk_dir_wait none_wait = { 0 }, *wait = &w->wait[cell.page];
	struct hk_out out = { 0 };
	int ev = hk_page_event_of(cell.type);

	if (ev >= 0)
		return page_event(w, cell.page, to, ev, &msg, cell.val);
	if (to != where.home) {
		dir = &none;
		wait = &none_wait;
		if (w->rule[cell.page].owner == to) {
			dir = &w->rule[cell.page];
			wait = &w->rule_wait[cell.page];
		}
	}
	if (h->last != LAST_KEEP)
		wait->last = h->last;
	dir->grants = to == where.home && h->migrates;
	dir->steady = to == where.home && h->steady ? HK_DIR_STEADY_MIN : 0;
	if (hk_dir_step(&where, dir, wait, &msg, &out))
		return "-EPROTO from hk_dir_step()";
	dir->score = 0;
	dir->grants = 0;
	dir->steady = 0;
	/* nobody is at fault here, so no DONE is in vain */
	dir->flags &= ~(HK_DIR_F_WARY | HK_DIR_F_LOANED);
	if (dir == &none && (none.owner || !hk_dir_wait_empty(&none_wait)))
		return "an entry out of nothing";
	return queue_out(w, cell.page, to, &out);
}

static const char *deliver_local(struct world *w, const struct happening *h)
{
	const char *bad = NULL;
	u16 node;

	for (node = 1; node <= cfg.nodes && !cfg.local_queue; node++)
		while (!bad && w->qlen[node][node])
			bad = deliver(w, node, node, 0, h);
	return bad;
}

static void store(struct world *w, u8 page, u16 self)
{
	u16 i, j;
	u8 k;

	for (i = 1; i <= cfg.nodes; i++) {
		if (w->np[page][i].copy)
			w->np[page][i].copy = VAL_STALE;
		for (j = 1; j <= cfg.nodes; j++)
			for (k = 0; k < w->qlen[i][j]; k++)
				if (w->q[i][j][k].page == page &&
				    w->q[i][j][k].val)
					w->q[i][j][k].val = VAL_STALE;
	}
	w->np[page][self].copy = VAL_CURRENT;
	w->written[page] = 1;
}

const char *world_apply(struct world *w, const struct happening *h)
{
	struct node_page *np = &w->np[h->page][h->node];
	const char *bad = NULL;

	switch ((enum happening_kind)h->kind) {
	case DO_FORGET:
	case DO_READ:
		if (h->kind == DO_FORGET)
			np->ruler = 0;
		bad = page_event(w, h->page, h->node, HK_EV_READ, NULL, 0);
		if (cfg.sleepers && !hk_page_may_read(np->state))
			np->asleep |= SLEEP_READ;
		break;
	case DO_WRITE:
		bad = page_event(w, h->page, h->node, HK_EV_WRITE, NULL, 0);
		if (cfg.sleepers && !hk_page_may_write(np->state))
			np->asleep |= SLEEP_WRITE;
		break;
	case DO_STORE:
		store(w, h->page, h->node);
		break;
	case DO_DROP:
		np->copy = VAL_NONE;
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
	if (!bad)
		bad = deliver_local(w, h);
	return bad;
}

/*
 * What home thinks of a page is left open, too: each read may find the page to migrate or
 * not, whatever has been seen. So what is shown does not depend on how that is found, and
 * the score, which would make many worlds of one, is not kept. Likewise whether the owner
 * writes so steadily that it is lent the page.
 */
static void add_ways(const struct world *w, struct happening **h,
		     struct happening new)
{
	bool read = w->wait[new.page].rd || new.kind == DO_READ ||
		    (new.kind == DO_DELIVER &&
		     w->q[new.from][new.node][new.nth].type == HK_DMSG_GET_S);

	*(*h)++ = new;
	/* a DONE, or an ACK at home that makes it say one to itself */
	if (cfg.lend && happening_is_progress(&new) && w->dir[new.page].busy &&
	    hk_dir_wait_empty(&w->wait[new.page])) {
		new.steady = 1;
		*(*h)++ = new;
		new.steady = 0;
	}
	if (!cfg.migratory || !read || !w->dir[new.page].owner)
		return;
	new.migrates = 1;
	*(*h)++ = new;
}

static void add(const struct world *w, struct happening **h,
		struct happening new)
{
	const struct hk_dir_wait *wait = &w->wait[new.page];
	const struct hk_dir_wait *rule = &w->rule_wait[new.page];
	u64 set = wait->rd | wait->wr | rule->rd | rule->wr;
	u16 node;

	/*
	 * Whom home serves next is left open: more can happen than with round
	 * robin, and the names of nodes stay without meaning.
	 */
	if (!happening_is_progress(&new) || !(set & (set - 1))) {
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

/* Leaves behind what follows it, or ahead, as it does or does not wait for a group */
static bool may_wait(const struct cell *cell)
{
	const struct hk_dmsg m = {
		.type = cell->type, .flags = cell->flags, .acks = cell->acks,
	};

	return cfg.groups && hk_page_group_may(&m);
}

/* Does the link bring the @nth message first? */
static bool comes_first(const struct world *w, u16 from, u16 to, u8 nth)
{
	u8 i;

	if (cfg.unordered)
		return true;
	for (i = 0; i < nth; i++)
		if (from == to || !may_wait(&w->q[from][to][i]))
			return false;
	return true;
}

unsigned int world_happenings(const struct world *w, struct happening *h)
{
	struct happening *start = h;
	const struct node_page *np;
	u8 page, i, j;

	for (page = 0; page < cfg.pages; page++) {
		for (i = 1; i <= cfg.nodes; i++) {
			struct happening new = { .page = page, .node = i };

			np = &w->np[page][i];
			new.kind = DO_READ;
			add(w, &h, new);
			if (np->ruler && np->state == HK_PG_INVALID) {
				new.kind = DO_FORGET;
				add(w, &h, new);
			}
			new.kind = DO_WRITE;
			add(w, &h, new);
			if (mapped_w(np)) {
				new.kind = DO_STORE;
				add(w, &h, new);
			}
			if (np->state == HK_PG_SHARED) {
				new.kind = DO_DROP;
				add(w, &h, new);
			}
			if (being_taken(np)) {
				new.kind = DO_TAKEN;
				add(w, &h, new);
			}
			if (being_downgraded(np)) {
				new.kind = DO_DOWNGRADED;
				add(w, &h, new);
			}
		}
	}
	for (i = 1; i <= cfg.nodes; i++) {
		for (j = 1; j <= cfg.nodes; j++) {
			struct happening new = {
				.kind = DO_DELIVER, .from = i, .node = j,
			};

			for (; new.nth < w->qlen[i][j]; new.nth++) {
				if (!comes_first(w, i, j, new.nth))
					break;
				new.page = w->q[i][j][new.nth].page;
				add(w, &h, new);
			}
		}
	}
	return h - start;
}

/* nobody has ever touched a page */
void world_first(struct world *w)
{
	memset(w, 0, sizeof(*w));
}

bool world_quiet(const struct world *w)
{
	u8 page, i, j;

	for (i = 1; i <= cfg.nodes; i++) {
		for (page = 0; page < cfg.pages; page++)
			if (!hk_page_stable(w->np[page][i].state))
				return false;
		for (j = 1; j <= cfg.nodes; j++)
			if (w->qlen[i][j])
				return false;
	}
	return true;
}

static const char *check_node(const struct node_page *np, u16 self)
{
	static const struct hk_page_ctx zero;
	const struct hk_page_ctx *ctx = &np->ctx;
	bool recall = being_taken(np) || being_downgraded(np);
	bool replied = np->state == HK_PG_INVALID_WR && ctx->replied;

	if (hk_page_stable(np->state) && memcmp(ctx, &zero, sizeof(zero)))
		return "context left over in a stable state";
	if (((ctx->acks | ctx->recall_acks) & ~world_nodes()) ||
	    (ctx->acks & hk_node_bit(self)) || ctx->recall_req > cfg.nodes)
		return "impossible context";
	if (!tokens_ctx_right(ctx, np->state, self))
		return "a node remembers tokens that are not its request's";
	if (recall != !!ctx->recall_type)
		return "recall in the context and not in the state, or contrary";
	if (!!np->copy != (mapped_r(np) || replied))
		return "memory kept without a use, or missing";
	if (hk_page_may_read(np->state) && !mapped_r(np))
		return "hk_page_may_read() where nothing is mapped";
	if (hk_page_may_write(np->state) && !mapped_w(np))
		return "hk_page_may_write() where nothing is mapped";
	if (mapped_r(np) && np->copy != VAL_CURRENT)
		return "a reader can see an old value";
	if (np->asleep && hk_page_stable(np->state))
		return "lost wakeup: a thread sleeps, nothing is under way";
	if (((np->asleep & SLEEP_READ) && hk_page_may_read(np->state)) ||
	    ((np->asleep & SLEEP_WRITE) && hk_page_may_write(np->state)))
		return "lost wakeup: a thread sleeps, its access is allowed";
	return NULL;
}

static const char *check_quiet(const struct world *w, u8 page)
{
	const struct hk_dir *dir = &w->dir[page], *rule = &w->rule[page];
	const struct node_page *np;
	u16 i;

	if (dir->busy || !hk_dir_wait_empty(&w->wait[page]) || rule->busy ||
	    !hk_dir_wait_empty(&w->rule_wait[page]) ||
	    (rule->flags & HK_DIR_F_GIVES))
		return "all is quiet and the directory is busy";
	/* where the page is lent it is the owner who knows */
	if (rule->owner)
		dir = rule;
	for (i = 1; i <= cfg.nodes; i++) {
		np = &w->np[page][i];
		switch ((enum hk_page_state)np->state) {
		case HK_PG_INVALID:
			if (dir->owner == i)
				return "owner in the directory has nothing";
			break;
		case HK_PG_SHARED:
			if (dir->owner == i ||
			    !(dir->sharers & hk_node_bit(i)))
				return "sharer unknown to the directory";
			break;
		case HK_PG_OWNED:
			if (dir->owner != i || !dir->sharers)
				return "owner unknown to the directory";
			break;
		case HK_PG_EXCLUSIVE:
			if (dir->owner != i || dir->sharers)
				return "exclusive owner unknown to the directory";
			break;
		case HK_PG_INVALID_RD:
		case HK_PG_INVALID_WR:
		case HK_PG_SHARED_WR:
		case HK_PG_OWNED_WR:
		case HK_PG_SHARED_TAKE:
		case HK_PG_OWNED_TAKE:
		case HK_PG_EXCLUSIVE_DOWN:
		case HK_PG_EXCLUSIVE_TAKE:
		case HK_PG_SHARED_WR_TAKE:
		case HK_PG_OWNED_WR_TAKE:
		case HK_PG_NR:
			return "quiet, and a page is not stable";
		}
	}
	return NULL;
}

/* Has @from said to @to what is under way still? */
static bool under_way(const struct world *w, u8 page, u16 from, u16 to, u8 type)
{
	u8 k;

	for (k = 0; k < w->qlen[from][to]; k++)
		if (w->q[from][to][k].page == page &&
		    w->q[from][to][k].type == type)
			return true;
	return false;
}

/*
 * Who knows of somebody that is lent the page is known to home, or does not ask any more
 * before home's INV is there
 */
static const char *check_lent(const struct world *w, u8 page)
{
	const struct hk_dir *dir = &w->dir[page], *rule = &w->rule[page];
	const u16 home = home_of(page), owner = dir->owner;
	bool lent = dir->flags & HK_DIR_F_LENT;
	bool comes = owner && under_way(w, page, home, owner, HK_DMSG_LEND);
	bool goes = owner && under_way(w, page, owner, home, HK_DMSG_BACK);
	u16 i;

	if ((dir->flags & HK_DIR_F_ASKED) && !w->wait[page].wr)
		return "a page asked back for nobody";
	if (lent != (rule->owner || comes || goes) ||
	    (rule->owner && (rule->owner != owner || comes || goes)))
		return "the page is not lent to whom home thinks it is";
	if (!rule->owner && (rule->flags || rule->sharers || rule->busy))
		return "entry without a ruler";
	for (i = 1; i <= cfg.nodes; i++) {
		const struct node_page *np = &w->np[page][i];
		bool gone = !lent && under_way(w, page, home, i, HK_DMSG_INV);

		if (np->ruler && !(dir->sharers & hk_node_bit(i)) && !gone &&
		    !(dir->busy == i && owner == i))
			return "a reader may ask a node that rules no more";
		if (np->ruler && lent && np->ruler != owner)
			return "a reader may ask a node that never ruled";
		if (np->ruler && (np->state == HK_PG_OWNED ||
				  np->state == HK_PG_EXCLUSIVE))
			return "an owner knows of another ruler";
	}
	return NULL;
}

static const char *check_dir(const struct hk_dir *dir,
			     const struct hk_dir_wait *wait)
{
	if (dir->owner > cfg.nodes || dir->busy > cfg.nodes || dir->score ||
	    dir->grants || dir->steady ||
	    ((dir->sharers | wait->rd | wait->wr | wait->have) &
	     ~world_nodes()))
		return "directory names nodes that do not exist";
	if (dir->sharers & hk_node_bit(dir->owner))
		return "directory has the owner among the sharers";
	if ((wait->rd & wait->wr) || (wait->have & ~wait->wr))
		return "wait sets contradict each other";
	if (!dir->busy && !hk_dir_wait_empty(wait) &&
	    !(dir->flags & HK_DIR_F_ASKED))
		return "directory idle while somebody waits";
	if (!tokens_wait_right(wait, cfg.nodes, dir->flags & HK_DIR_F_RULES))
		return "home has other tokens than those of who waits";
	return NULL;
}

const char *world_check(const struct world *w)
{
	u8 page, i, j, k, readers, writers, current;
	const char *bad;

	for (i = 1; i <= cfg.nodes; i++) {
		for (j = 1; j <= cfg.nodes; j++) {
			if (w->qlen[i][j] > queue_seen)
				queue_seen = w->qlen[i][j];
			if (w->qlen[i][j] > cfg.queue_bound)
				return "a queue is longer than its bound";
		}
	}
	for (page = 0; page < cfg.pages; page++) {
		readers = 0;
		writers = 0;
		current = 0;
		for (i = 1; i <= cfg.nodes; i++) {
			const struct node_page *np = &w->np[page][i];

			bad = check_node(np, i);
			if (bad)
				return bad;
			readers += mapped_r(np);
			writers += mapped_w(np);
			current += np->copy == VAL_CURRENT;
			for (j = 1; j <= cfg.nodes; j++)
				for (k = 0; k < w->qlen[i][j]; k++)
					current += w->q[i][j][k].page == page &&
						w->q[i][j][k].val == VAL_CURRENT;
		}
		if (writers > 1)
			return "two nodes can write";
		if (writers && readers > 1)
			return "one node can write while another can read";
		if (w->written[page] && !current)
			return "the last value written is lost";
		bad = check_dir(&w->dir[page], &w->wait[page]);
		if (!bad)
			bad = check_dir(&w->rule[page], &w->rule_wait[page]);
		if (!bad)
			bad = check_lent(w, page);
		if (!bad && world_quiet(w))
			bad = check_quiet(w, page);
		if (bad)
			return bad;
	}
	return NULL;
}

static void set_print(const char *what, u64 set)
{
	u16 i;

	if (!set)
		return;
	printf(" %s", what);
	for (i = 1; i <= NODES_MAX; i++)
		if (set & hk_node_bit(i))
			printf(" %u", i);
}

static const char *val_name(u8 val)
{
	return val == VAL_CURRENT ? "current" : val == VAL_STALE ? "OLD" : "";
}

static void cell_print(const struct cell *c)
{
	printf("%s", hk_dmsg_name(c->type));
	if (cfg.pages > 1)
		printf(" page %u", c->page);
	if (c->req)
		printf(" req %u", c->req);
	set_print("acks", c->acks);
	if (gives_page(c->type) && (c->flags & HK_DMSG_F_HAVE))
		printf(" for a read");
	else if (c->flags & HK_DMSG_F_HAVE)
		printf(" HAVE");
	if (c->flags & HK_DMSG_F_NO_DONE)
		printf(" NO_DONE");
	if (c->flags & HK_DMSG_F_RULER)
		printf(" RULER");
	if (c->val)
		printf(" %s data", val_name(c->val));
}

void world_print(const struct world *w)
{
	u8 page, i, j, k;

	for (page = 0; page < cfg.pages; page++) {
		printf("#\tpage %u, home %u: owner %u", page, home_of(page),
		       w->dir[page].owner);
		set_print("sharers", w->dir[page].sharers);
		if (w->dir[page].busy)
			printf(" busy with %u", w->dir[page].busy);
		set_print("readers wait", w->wait[page].rd);
		set_print("writers wait", w->wait[page].wr);
		if (w->dir[page].flags & HK_DIR_F_LENT)
			printf(w->dir[page].flags & HK_DIR_F_ASKED ?
			       ", lent and asked back" : ", lent");
		if (w->rule[page].owner) {
			printf("; node %u rules%s: ", w->rule[page].owner,
			       w->rule[page].flags & HK_DIR_F_GIVES ?
			       " and gives" : "");
			set_print("sharers", w->rule[page].sharers);
			if (w->rule[page].busy)
				printf(" busy with %u", w->rule[page].busy);
			set_print("readers wait", w->rule_wait[page].rd);
			set_print("writers wait", w->rule_wait[page].wr);
		}
		printf(";");
		for (i = 1; i <= cfg.nodes; i++) {
			const struct node_page *np = &w->np[page][i];

			printf(" %u:%s", i, hk_page_state_name(np->state));
			if (np->ruler)
				printf("(ruler %u)", np->ruler);
			if (np->ctx.asked)
				printf("(asked %u%s)", np->ctx.asked,
				       np->ctx.moot ? ", moot" : "");
			if (np->ctx.replied)
				printf("(replied)");
			set_print(np->ctx.replied ? "(acks missing)" : "(acks)",
				  np->ctx.acks);
			if (np->copy == VAL_STALE)
				printf("(OLD value)");
			if (np->asleep)
				printf("(asleep:%s%s)",
				       np->asleep & SLEEP_READ ? " reader" : "",
				       np->asleep & SLEEP_WRITE ? " writer" : "");
		}
		printf("\n");
	}
	for (i = 1; i <= cfg.nodes; i++) {
		for (j = 1; j <= cfg.nodes; j++) {
			if (!w->qlen[i][j])
				continue;
			printf("#\tunder way %u -> %u:", i, j);
			for (k = 0; k < w->qlen[i][j]; k++) {
				printf(k ? ", " : " ");
				cell_print(&w->q[i][j][k]);
			}
			printf("\n");
		}
	}
}

void happening_print(const struct world *w, const struct happening *h)
{
	switch ((enum happening_kind)h->kind) {
	case DO_READ:
		printf("node %u: read fault on page %u\n", h->node, h->page);
		break;
	case DO_FORGET:
		printf("node %u: read fault on page %u, last ruler forgotten\n",
		       h->node, h->page);
		break;
	case DO_WRITE:
		printf("node %u: write fault on page %u\n", h->node, h->page);
		break;
	case DO_STORE:
		printf("node %u: guest writes to page %u\n", h->node, h->page);
		break;
	case DO_DROP:
		printf("node %u: drops its read copy of page %u\n", h->node,
		       h->page);
		break;
	case DO_DELIVER:
		printf("node %u: gets from node %u ", h->node, h->from);
		cell_print(&w->q[h->from][h->node][h->nth]);
		printf("\n");
		break;
	case DO_TAKEN:
		printf("node %u: page %u is unmapped\n", h->node, h->page);
		break;
	case DO_DOWNGRADED:
		printf("node %u: page %u is write-protected\n", h->node,
		       h->page);
		break;
	}
}
