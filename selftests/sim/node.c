// SPDX-License-Identifier: GPL-2.0
/*
 * What the module is around the page protocol: faults, recalls, hold time, prefetch,
 * budget. Follows kmod/visit.c, fault.c, recall.c, prefetch.c, spill.c and evict.c.
 */
#include "sim.h"
#include "../../fabric/msg.h"

#include <stdlib.h>
#include <string.h>

#define STAMP_SHIFT	6
#define LOCAL_MAX	8
#define OFFERS_MAX	4	/* pages offered at a time, when over budget */

/* --hold-bounced: back within so many hold times is bounced; others get that */
#define BOUNCE_HOLDS	16
#define HOLD_FIRST_NS	1000
#define ROOM_POLL_NS	20000	/* no room: look again after so long */

#define UNUSED_NS	1000000	/* prefetched and not used within that: guessed wrong */

#define PREFETCH_MIN	4
#define PREFETCH_SLACK	2

/* Threads to look again once all that the node told itself is worked on */
static u32 *wake;
static u32 wake_nr;
static bool draining;
/* A prefetch asks */
static bool guessing;

static struct hk_dmsg local[LOCAL_MAX];
static u32 local_head, local_tail;

static void page_step(u16 node, u32 page, enum hk_page_event ev,
		      const struct hk_dmsg *m, u32 version);
static void drain(u16 node);

void node_init(void)
{
	wake = sim_alloc(sim.threads + 1, sizeof(*wake));
}

static u32 stamp_now(void)
{
	return sim.now >> STAMP_SHIFT;
}

static u16 busy_get(struct sim_node *n)
{
	u16 nr = n->busy_free;

	if (nr) {
		n->busy_free = n->busy[nr].next;
	} else {
		if (!n->busy_nr)
			n->busy_nr = 1;
		if (n->busy_nr >= n->busy_max) {
			n->busy_max = n->busy_max ? n->busy_max * 2 : 4;
			n->busy = realloc(n->busy,
					  n->busy_max * sizeof(*n->busy));
			if (!n->busy)
				abort();
		}
		nr = n->busy_nr++;
	}
	n->busy[nr] = (struct sim_busy){ .started = sim.now };
	return nr;
}

static struct sim_busy *busy_of(u16 node, u32 page)
{
	struct sim_copy *c = copy_of(node, page);

	return c->busy ? &sim.node[node].busy[c->busy] : NULL;
}

static void present_add(struct sim_node *n, struct sim_copy *c, u32 page)
{
	if (n->coming)
		n->coming--;
	if (!cfg.budget)
		return;
	if (n->present_nr == n->present_max) {
		n->present_max = n->present_max ? n->present_max * 2 : 64;
		n->present = realloc(n->present,
				     n->present_max * sizeof(*n->present));
		if (!n->present)
			abort();
	}
	use_of(c)->pos = n->present_nr;
	n->present[n->present_nr++] = page;
	if (n->present_nr > cfg.budget)
		sim_fail("a node has %u pages, its budget is %u",
			 n->present_nr, cfg.budget);
}

static void present_del(u16 node, struct sim_copy *c)
{
	struct sim_node *n = &sim.node[node];
	u32 last;

	c->wanted = 0;
	if (sim.use)
		use_of(c)->lost = stamp_now();
	if (!cfg.budget)
		return;
	last = n->present[--n->present_nr];
	n->present[use_of(c)->pos] = last;
	use_of(copy_of(node, last))->pos = use_of(c)->pos;
}

static void idle_end(struct sim_node *n, struct sim_copy *c)
{
	n->idle_nr -= c->idle;
	c->idle = 0;
}

static void state_set(struct sim_node *n, struct sim_copy *c, u8 state)
{
	if (c->state == HK_PG_SHARED)
		n->shared_nr--;
	if (state == HK_PG_SHARED)
		n->shared_nr++;
	else
		idle_end(n, c);
	c->state = state;
}

/*
 * Sending
 */
static u16 requester_of(const struct hk_dmsg *m, u16 to)
{
	switch ((enum hk_dmsg_type)m->type) {
	case HK_DMSG_GET_S:
	case HK_DMSG_GET_X:
		return m->from;
	case HK_DMSG_FWD_S:
	case HK_DMSG_FWD_X:
	case HK_DMSG_INV:
	case HK_DMSG_DONE:
	case HK_DMSG_PASS_S:
		return m->req;
	case HK_DMSG_DATA_S:
	case HK_DMSG_DATA_X:
	case HK_DMSG_GRANT_X:
	case HK_DMSG_ACK:
	case HK_DMSG_LOST:
	case HK_DMSG_MOVED:
		return to;
	/* of no request: before or between them */
	case HK_DMSG_LEND:
	case HK_DMSG_UNLEND:
	case HK_DMSG_BACK:
	case HK_DMSG_NONE:
	case HK_DMSG_NR:
		break;
	}
	return HK_NODE_NONE;
}

static void send_one(u16 node, const struct hk_dmsg *m, u16 to, u32 version)
{
	const u16 req = requester_of(m, to);
	struct sim_busy *busy;

	if (req == HK_NODE_NONE) {
		sim.count[CNT_LENT] += m->type == HK_DMSG_LEND;
		sim.count[CNT_UNLENT] += m->type == HK_DMSG_UNLEND;
		net_send(m, to, version);
		return;
	}
	busy = busy_of(req, m->gfn);
	if (m->type == HK_DMSG_INV && busy)
		busy->invs++;
	if (to == node) {
		if (local_tail == LOCAL_MAX) {
			sim_fail("node %u tells itself too much", node);
			return;
		}
		local[local_tail++] = *m;
		return;
	}
	if (!busy) {
		sim_fail("%s from %u to %u about page %llu: nobody asked",
			 hk_dmsg_name(m->type), node, to, m->gfn);
		return;
	}
	busy->msgs++;
	if (m->type == HK_DMSG_MOVED) {
		/* with the request that it answers */
		busy->astray += 2;
		sim.count[CNT_MOVED]++;
	}
	if (m->type == HK_DMSG_DONE)
		busy->done++;
	if (m->type == HK_DMSG_INV || m->type == HK_DMSG_ACK)
		busy->pairs++;
	net_send(m, to, version);
}

/*
 * What sets in one word would have cost, had this INV gone to them: a bit for a
 * group of nodes always, or four ids while these are enough
 */
static void count_inv(const struct hk_dmsg *m, u32 nr)
{
	u32 group = cfg.nodes / 64 + 1, i, last = ~0u, coarse = 0;
	u64 word;

	sim.count[CNT_INV] += nr;
	sim.count[CNT_INV_SETS]++;
	for (i = 0; i < HK_NODES_WORDS; i++) {
		for (word = hk_nodes_word(m->to, i); word; word &= word - 1) {
			u32 id = i * 64 + __builtin_ctzll(word);
			u32 end = id / group * group + group;

			if (id / group == last)
				continue;
			last = id / group;
			if (end > cfg.nodes + 1)
				end = cfg.nodes + 1;
			/* neither nobody's id nor the requester's */
			coarse += end - last * group - (last == 0) -
				  (m->req / group == last);
		}
	}
	sim.count[CNT_INV_COARSE] += coarse;
	sim.count[CNT_INV_POINTERS] += nr > 4 ? coarse : nr;
}

static void send_set(u16 node, const struct hk_dmsg *m)
{
	struct sim_busy *busy;
	struct hk_dmsg rest;
	u32 nr = 0, i;
	u64 word;

	if (!cfg.parallel) {
		busy = busy_of(m->req, m->gfn);
		rest = *m;
		if (hk_nodes_any(rest.to & hk_node_bit(node))) {
			send_one(node, m, node, 0);
			rest.to &= ~hk_node_bit(node);
		}
		for (i = 0; i < HK_NODES_WORDS; i++)
			nr += __builtin_popcountll(hk_nodes_word(rest.to, i));
		busy->invs += nr;
		busy->msgs += nr;
		busy->pairs += nr;
		count_inv(m, nr);
		if (nr)
			net_serial(busy, &rest);
		return;
	}
	for (i = 0; i < HK_NODES_WORDS; i++) {
		for (word = hk_nodes_word(m->to, i); word; word &= word - 1) {
			send_one(node, m, i * 64 + __builtin_ctzll(word), 0);
			nr++;
		}
	}
	count_inv(m, nr);
}

static void send_all(u16 node, const struct hk_out *out, u32 version)
{
	unsigned int i, w;
	u64 word;

	for (i = 0; i < out->nr; i++) {
		const struct hk_dmsg *m = &out->msg[i];

		if (m->type == HK_DMSG_INV) {
			send_set(node, m);
			continue;
		}
		for (w = 0, word = 0; !word && w < HK_NODES_WORDS; w++)
			word = hk_nodes_word(m->to, w);
		if (word)
			send_one(node, m, (w - 1) * 64 + __builtin_ctzll(word),
				 version);
	}
}

/*
 * Recalls
 */
static u64 hold_left(const struct sim_copy *c)
{
	u64 hold = cfg.hold_ns, end;

	if (!c->wanted)
		return 0;
	if (cfg.hold_bounced && !c->bounced)
		hold = HOLD_FIRST_NS;
	end = ((u64)use_of(c)->granted << STAMP_SHIFT) + hold;
	return end > sim.now ? end - sim.now : 0;
}

static void recall_start(u16 node, u32 page, struct sim_busy *busy, u8 event)
{
	u64 left = hold_left(copy_of(node, page));

	busy->recall = event;
	busy->held_until = sim.now + left;
	if (left)
		sim.count[CNT_HELD]++;
	queue_add(busy->held_until + cfg.take_ns, EVENT_RECALL, node, page);
}

void node_recall(u16 node, u32 page)
{
	struct sim_busy *busy = busy_of(node, page);
	u8 event = busy->recall;

	busy->recall = 0;
	page_step(node, page, event, NULL, 0);
	drain(node);
}

/*
 * Steps of the engine
 */
static void request_over(struct sim_copy *c, const struct sim_busy *busy)
{
	u32 own = busy->msgs - busy->pairs - busy->astray;

	sim.transactions++;
	sim.kinds[busy->kind]++;
	if (own > sim.most_msgs)
		sim.most_msgs = own;
	/* a sharer that is home costs half a pair */
	if (own - busy->done > 3 || busy->done > 1 || busy->pairs > 2 * busy->invs)
		sim.count[CNT_BOUND]++;
	own -= busy->done;
	if (own > sim.most_waited)
		sim.most_waited = own;
	c->unused = !busy->waiter;
	if (!sim.use)
		return;
	if (!busy->waiter)
		use_of(c)->granted = stamp_now();
	if (busy->waiter) {
		c->wanted = 1;
		use_of(c)->granted = stamp_now();
		c->bounced = use_of(c)->lost && stamp_now() - use_of(c)->lost <
			     (BOUNCE_HOLDS * cfg.hold_ns >> STAMP_SHIFT);
	}
}

static void wake_all(struct sim_busy *busy)
{
	while (busy->waiter) {
		wake[wake_nr++] = busy->waiter;
		busy->waiter = sim.thread[busy->waiter].next;
	}
}

static enum fault_kind kind_of(u8 state, enum hk_page_event ev)
{
	if (ev == HK_EV_READ)
		return FAULT_READ;
	return state == HK_PG_INVALID ? FAULT_WRITE : FAULT_UPGRADE;
}

/*
 * Old copies, as kmod/stale.c has them
 */
static void stale_keep(u16 node, u32 page)
{
	struct sim_stale *s;

	if (!cfg.revalidate)
		return;
	s = stale_of(node, page);
	s->content = sim.content[page];
	s->kept = cfg.revalidate > 1 ||
		  hk_stale_keep(&sim.node[node].stale_guest, &s->worth);
	if (cfg.same_filled && net_is_filled(page))
		s->kept = 0;
}

static void stale_told(u16 node, u32 page, const struct hk_dmsg *m)
{
	/* nobody writes before this reader or writer has it */
	if (m->check.hash == HK_CONTENT_SAME &&
	    stale_of(node, page)->content != sim.content[page])
		sim_fail("node %u, page %u: the old copy is not the same", node, page);
	if (m->check.hash == HK_CONTENT_FILL)
		return;
	hk_stale_learn(&sim.node[node].stale_guest, &stale_of(node, page)->worth,
		       m->check.hash == HK_CONTENT_SAME);
}

static void page_step(u16 node, u32 page, enum hk_page_event ev,
		      const struct hk_dmsg *m, u32 version)
{
	/* new ones for each request; no need to be hard to guess */
	static u32 token;
	struct hk_page_where w = { .gfn = page, .self = node,
				   .home = home_of(page) };
	const struct hk_dir *rule = &sim.rule[page];
	struct sim_copy *c = copy_of(node, page);
	struct sim_node *n = &sim.node[node];
	struct hk_page_ctx none = { 0 };
	struct sim_busy *busy = busy_of(node, page);
	u8 state = c->state;
	struct hk_out out;
	int err;

	w.tokens.data = ++token;
	w.tokens.ack = ~token;
	/* what is only guessed to be wanted is not to be taken from anybody */
	w.read_x = cfg.migratory && !guessing;
	w.ruler = c->ruler;
	w.rules = rule->owner == node;
	w.gives = w.rules && (rule->flags & HK_DIR_F_GIVES);
	if (cfg.revalidate && stale_of(node, page)->kept) {
		w.check.salt = token;
		w.check.hash = stale_of(node, page)->content;
	}
	out.nr = 0;
	out.act = 0;
	err = hk_page_step(&w, &state, busy ? &busy->ctx : &none, ev, m, &out);
	if (err) {
		sim_fail("node %u, page %u: impossible %s in %s from %u", node,
			 page, hk_page_event_name(ev),
			 hk_page_state_name(c->state), m ? m->from : node);
		return;
	}
	if (!hk_page_stable(state) && !busy) {
		c->busy = busy_get(n);
		busy = &n->busy[c->busy];
		busy->ctx = none;
		busy->page = page;
	}
	if (out.act & (HK_ACT_INSTALL | HK_ACT_INSTALL_ZERO)) {
		c->version = out.act & HK_ACT_INSTALL ? version : 0;
		present_add(n, c, page);
		if (busy->asked && out.act & HK_ACT_INSTALL)
			stale_told(node, page, m);
	}
	if ((ev == HK_EV_READ || ev == HK_EV_WRITE) && out.nr) {
		busy->request = 1;
		busy->kind = kind_of(c->state, ev);
		busy->started = sim.now;
		if (c->state == HK_PG_INVALID)
			n->coming++;
		if (out.msg[0].check.salt) {
			stale_of(node, page)->kept = 0;
			busy->asked = 1;
			sim.count[CNT_ASKED]++;
			sim.depart += cfg.hash_ns;
		}
	}
	c->ruler = out.ruler;
	if (!cfg.hints && state == HK_PG_INVALID)
		c->ruler = HK_NODE_NONE;
	if (out.act & HK_ACT_RULE)
		sim.rule[page] = hk_dir_lent(node);
	if (ev == HK_EV_DATA_X && c->state == HK_PG_INVALID_RD)
		sim.count[CNT_READ_X]++;
	state_set(n, c, state);
	send_all(node, &out, c->version);
	/* came too late: the answer is not used, and home is asked */
	if (ev == HK_EV_DATA_S && state == HK_PG_INVALID_RD) {
		busy->astray += 3;
		busy->done--;
		sim.count[CNT_MOVED]++;
	}
	if (ev == HK_EV_ACK && busy->serial && m->from != w.home)
		net_serial_next(busy);
	if (ev == HK_EV_TAKEN) {
		present_del(node, c);
		if (hk_page_stable(state))
			stale_keep(node, page);
		/* the room of what went is that of what will come */
		if (!hk_page_stable(state))
			n->coming++;
	}
	if (busy && hk_page_stable(state)) {
		if (busy->request)
			request_over(c, busy);
		wake_all(busy);
		busy->next = n->busy_free;
		n->busy_free = c->busy;
		c->busy = 0;
	} else if (busy && (out.act & HK_ACT_WAKE)) {
		wake_all(busy);
	}
	if (out.act & HK_ACT_TAKE)
		recall_start(node, page, busy, HK_EV_TAKEN);
	if (out.act & HK_ACT_DOWNGRADE)
		recall_start(node, page, busy, HK_EV_DOWNGRADED);
}

static u32 wait_get(void)
{
	u32 nr = sim.wait_free;

	if (nr) {
		/* free ones are empty, and say in @last which is next */
		memcpy(&sim.wait_free, &sim.wait[nr], sizeof(u32));
		sim.wait[nr] = (struct hk_dir_wait){ .last = 0 };
		return nr;
	}
	if (!sim.wait_nr)
		sim.wait_nr = 1;
	if (sim.wait_nr >= sim.wait_max) {
		sim.wait_max = sim.wait_max ? sim.wait_max * 2 : 64;
		sim.wait = realloc(sim.wait, sim.wait_max * sizeof(*sim.wait));
		if (!sim.wait)
			abort();
	}
	sim.wait[sim.wait_nr] = (struct hk_dir_wait){ .last = 0 };
	return sim.wait_nr++;
}

static void home_step(u16 node, const struct hk_dmsg *m)
{
	static const struct hk_dir_wait none;
	static struct hk_dir_wait spare;
	u32 page = m->gfn;
	const struct hk_dir_where w = {
		.self = node, .home = home_of(page), .lend = cfg.lend,
	};
	struct hk_dir stray = { .owner = HK_NODE_NONE };
	struct hk_dir *dir = &sim.dir[page];
	u32 *wait_nr = &sim.dir_wait[page], stray_nr = 0, nr;
	struct hk_dir_wait *wait;
	struct hk_out out;
	int err;

	if (node != w.home && sim.rule[page].owner == node) {
		dir = &sim.rule[page];
		wait_nr = &sim.rule_wait[page];
	} else if (node != w.home) {
		dir = &stray;
		wait_nr = &stray_nr;
	}
	nr = *wait_nr;
	wait = nr ? &sim.wait[nr] : &spare;
	out.nr = 0;
	out.act = 0;
	err = hk_dir_step(&w, dir, wait, m, &out);
	if (err) {
		sim_fail("home %u, page %u: impossible %s from %u", node, page,
			 hk_dmsg_name(m->type), m->from);
		return;
	}
	if (nr && hk_dir_wait_empty(wait)) {
		*wait_nr = 0;
		memcpy(wait, &sim.wait_free, sizeof(u32));
		sim.wait_free = nr;
	} else if (!nr && !hk_dir_wait_empty(wait)) {
		nr = wait_get();
		*wait_nr = nr;
		sim.wait[nr] = spare;
		spare = none;
	}
	send_all(node, &out, 0);
}

static void msg_step(u16 node, const struct hk_dmsg *m, u32 version)
{
	int ev = hk_page_event_of(m->type);

	if (ev < 0)
		home_step(node, m);
	else
		page_step(node, m->gfn, ev, m, version);
}

/* What the node told itself, then the threads that may look again */
static void drain(u16 node)
{
	while (local_head != local_tail && !sim.failed) {
		struct hk_dmsg m = local[local_head++];

		if (local_head == local_tail) {
			local_head = 0;
			local_tail = 0;
		}
		msg_step(node, &m, 0);
	}
	if (draining)
		return;
	draining = true;
	while (wake_nr && !sim.failed)
		node_access(wake[--wake_nr]);
	draining = false;
}

void node_msg(u16 node, const struct hk_dmsg *m, u32 version)
{
	msg_step(node, m, version);
	drain(node);
}

/*
 * Budget
 */
static u32 room_used(const struct sim_node *n)
{
	return n->present_nr + n->coming;
}

static u32 room_low(void)
{
	return cfg.budget - cfg.budget / 8;
}

static bool room_spare(const struct sim_node *n)
{
	return !cfg.budget || room_used(n) < room_low();
}

/* To be dropped, or else offered */
static bool may_go(u16 node, u32 page, bool drop)
{
	u8 state = copy_of(node, page)->state;

	return drop ? state == HK_PG_SHARED :
	       state == HK_PG_OWNED || state == HK_PG_EXCLUSIVE;
}

static u32 pick_lru(u16 node, bool drop)
{
	struct sim_node *n = &sim.node[node];
	u32 best = sim.pages, i, page, age, oldest = 0;

	/* as good as a list for the purpose: the oldest of sixteen */
	for (i = 0; i < 16; i++) {
		page = n->present[sim_below(n->present_nr)];
		age = stamp_now() - use_of(copy_of(node, page))->stamp;
		if (may_go(node, page, drop) && age >= oldest) {
			oldest = age;
			best = page;
		}
	}
	return best;
}

/* By number of page from where the last one was, as kmod/spill.c does what it offers */
static u32 pick_turn(u16 node, bool drop)
{
	struct sim_node *n = &sim.node[node];
	u32 i;

	for (i = 0; i < sim.pages; i++) {
		u32 page = n->cursor++ % sim.pages;

		if (may_go(node, page, drop))
			return page;
	}
	return sim.pages;
}

/* Unmap copies until enough are idle. Return: one to be dropped at once, or none */
static u32 age(u16 node)
{
	struct sim_node *n = &sim.node[node];
	u32 aim = n->shared_nr * cfg.idle_pct / 100 + 1, i;

	for (i = 0; i < sim.pages && n->idle_nr < aim; i++) {
		u32 page = n->age_cursor++ % sim.pages;
		struct sim_copy *c = copy_of(node, page);

		if (c->state != HK_PG_SHARED || c->idle)
			continue;
		if (c->unused && stamp_now() - use_of(c)->granted >
		    UNUSED_NS >> STAMP_SHIFT)
			return page;
		c->idle = 1;
		n->idle_nr++;
		sim.count[CNT_AGED] += !c->unused;
	}
	return sim.pages;
}

/* The next idle one, as kmod/evict.c, which makes others idle in time */
static u32 pick_clock(u16 node)
{
	struct sim_node *n = &sim.node[node];
	u32 page, i;

	page = age(node);
	for (i = 0; page == sim.pages && i < sim.pages; i++) {
		u32 next = n->cursor++ % sim.pages;

		if (copy_of(node, next)->idle)
			return next;
	}
	return page;
}

/* Read copies go first, which costs no message. Return: enough of them */
static bool room_drop(u16 node)
{
	struct sim_node *n = &sim.node[node];
	u32 page;

	while (!room_spare(n)) {
		page = sim.pages;
		if (cfg.lru)
			page = pick_lru(node, true);
		else if (cfg.clock)
			page = pick_clock(node);
		if (page == sim.pages)
			page = pick_turn(node, true);
		if (page == sim.pages)
			return false;
		sim.count[CNT_DROP]++;
		present_del(node, copy_of(node, page));
		page_step(node, page, HK_EV_DROP, NULL, 0);
	}
	return true;
}

/* To the node with the most room, or else to all in turn: they may have copies */
static void room_offer(u16 node)
{
	struct sim_node *n = &sim.node[node];
	u16 i, best = 0;
	u32 page, k;

	for (i = 1; i <= cfg.nodes; i++)
		if (i != node && room_spare(&sim.node[i]) &&
		    (!best || room_used(&sim.node[i]) < room_used(&sim.node[best])))
			best = i;
	if (!best)
		best = 1 + (node + n->offer_turn++ % (cfg.nodes - 1)) % cfg.nodes;
	for (k = 0; k < OFFERS_MAX; k++) {
		page = cfg.lru ? pick_lru(node, false) : sim.pages;
		if (page == sim.pages)
			page = pick_turn(node, false);
		if (page == sim.pages)
			return;
		sim.count[CNT_SPILL]++;
		net_spill(node, best, page);
	}
}

/* A peer over its budget offers a page: ask for it, if there is room */
void node_spilled(u16 node, u32 page)
{
	struct sim_copy *c = copy_of(node, page);

	if (c->state != HK_PG_INVALID || !room_drop(node))
		return;
	page_step(node, page, HK_EV_WRITE, NULL, 0);
	drain(node);
}

/*
 * Faults
 */
/* The window from @first on, as prefetch_window() in kmod/prefetch.c */
static void prefetch_window(u16 node, struct sim_run *run, u32 first, bool write)
{
	u32 page;

	run->window *= 2;
	if (run->window > cfg.prefetch)
		run->window = cfg.prefetch;
	run->begin = run->mark;
	run->mark = first + run->window / 2;
	run->next = first + run->window;
	if (run->next > sim.pages)
		run->next = sim.pages;
	net_group();
	for (page = first; page < run->next && room_spare(&sim.node[node]); page++) {
		if (copy_of(node, page)->state != HK_PG_INVALID)
			continue;
		sim.count[CNT_PREFETCH]++;
		guessing = true;
		page_step(node, page, write ? HK_EV_WRITE : HK_EV_READ, NULL, 0);
		guessing = false;
		drain(node);
	}
	net_group_end();
}

/* The module sees the first access of a page that has come, here all are looked at */
static void prefetch(u16 node, u32 page, bool write, bool miss)
{
	struct sim_node *n = &sim.node[node];
	struct sim_run *run;
	u32 i;

	for (i = 0; i < SIM_RUNS; i++) {
		u32 first = n->run[i].next;

		run = &n->run[i];
		if (!first || page < run->begin || page > first + PREFETCH_SLACK)
			continue;
		if (page >= first) {
			if (!miss)
				return;
			run->mark = page;
			first = page + 1;
		} else if (page < run->mark) {
			return;
		}
		prefetch_window(node, run, first, write);
		return;
	}
	if (!miss)
		return;
	run = &n->run[n->run_turn++ % SIM_RUNS];
	run->window = PREFETCH_MIN / 2;
	run->begin = page + 1;
	run->mark = page + 1;
	run->next = page + 1;
}

/* A recall that is put off has not begun: see kmod/fault.c */
static u8 state_effective(const struct sim_copy *c, const struct sim_busy *busy)
{
	if (!busy || !busy->recall || busy->held_until <= sim.now)
		return c->state;
	switch ((enum hk_page_state)c->state) {
	case HK_PG_SHARED_TAKE:
	case HK_PG_SHARED_WR_TAKE:
		return HK_PG_SHARED;
	case HK_PG_OWNED_TAKE:
	case HK_PG_OWNED_WR_TAKE:
		return HK_PG_OWNED;
	case HK_PG_EXCLUSIVE_TAKE:
	case HK_PG_EXCLUSIVE_DOWN:
		return HK_PG_EXCLUSIVE;
	case HK_PG_INVALID:
	case HK_PG_SHARED:
	case HK_PG_OWNED:
	case HK_PG_EXCLUSIVE:
	case HK_PG_INVALID_RD:
	case HK_PG_INVALID_WR:
	case HK_PG_SHARED_WR:
	case HK_PG_OWNED_WR:
	case HK_PG_NR:
		break;
	}
	return c->state;
}

static bool allowed(const struct sim_thread *t)
{
	const struct sim_copy *c = copy_of(t->node, t->page);
	u8 state = state_effective(c, busy_of(t->node, t->page));

	return t->write ? hk_page_may_write(state) : hk_page_may_read(state);
}

static void access_now(struct sim_thread *t)
{
	struct sim_copy *c = copy_of(t->node, t->page);
	struct sim_node *n = &sim.node[t->node];

	if (c->version != sim.version[t->page])
		sim_fail("node %u %s page %u, version %u, where %u is the last",
			 t->node, t->write ? "writes" : "reads", t->page,
			 c->version, sim.version[t->page]);
	if (t->write) {
		c->version = ++sim.version[t->page];
		if (!cfg.silent_pct || sim_below(100) >= cfg.silent_pct)
			sim.content[t->page] = c->version;
	}
	if (sim.use)
		use_of(c)->stamp = stamp_now();
	c->unused = 0;
	n->accesses++;
	sim.accesses++;
	if (!t->faulting)
		return;
	sim.sleeping--;
	sim.faults++;
	n->faults++;
	n->fault_ns += sim.depart - t->started;
	hist_add(&sim.latency, sim.depart - t->started);
	hist_add(&sim.latency_kind[t->faulting - 1], sim.depart - t->started);
	if (sim.depart - t->started > SIM_FAULT_MAX_NS)
		sim_fail("a fault of node %u took %llu s", t->node,
			 (sim.depart - t->started) / 1000000000);
	if (t->requests > sim.most_requests)
		sim.most_requests = t->requests;
	t->faulting = 0;
}

/* Return: something has been asked for, or is under way: the thread waits */
static bool fault(u32 nr)
{
	struct sim_thread *t = &sim.thread[nr];
	struct sim_copy *c = copy_of(t->node, t->page);
	struct sim_node *n = &sim.node[t->node];
	struct sim_busy *busy;

	if (cfg.budget && c->state == HK_PG_INVALID) {
		if (!room_drop(t->node) && cfg.nodes > 1)
			room_offer(t->node);
		if (room_used(n) >= cfg.budget) {
			sim.count[CNT_ROOM_WAIT]++;
			queue_add(sim.now + ROOM_POLL_NS, EVENT_THREAD, t->node, nr);
			return true;
		}
	}
	if (!cfg.upgrade && t->write && c->state == HK_PG_SHARED) {
		present_del(t->node, c);
		page_step(t->node, t->page, HK_EV_DROP, NULL, 0);
	}
	if (hk_page_stable(c->state))
		t->requests++;
	page_step(t->node, t->page, t->write ? HK_EV_WRITE : HK_EV_READ, NULL, 0);
	drain(t->node);
	if (sim.failed || allowed(t))
		return false;
	busy = busy_of(t->node, t->page);
	if (!busy) {
		sim_fail("node %u, page %u: nothing under way in %s", t->node,
			 t->page, hk_page_state_name(c->state));
		return false;
	}
	t->next = busy->waiter;
	busy->waiter = nr;
	return true;
}

/* A copy that had been unmapped. Return: it was: look again after the fault */
static bool refault(u32 nr)
{
	struct sim_thread *t = &sim.thread[nr];
	struct sim_copy *c = copy_of(t->node, t->page);

	if (!c->idle)
		return false;
	idle_end(&sim.node[t->node], c);
	sim.count[CNT_REFAULT] += !c->unused;
	queue_add(sim.now + cfg.minor_ns, EVENT_THREAD, t->node, nr);
	return true;
}

void node_access(u32 nr)
{
	struct sim_thread *t = &sim.thread[nr];
	bool asked = t->faulting;
	u64 think;

	while (!allowed(t)) {
		enum fault_kind kind = kind_of(copy_of(t->node, t->page)->state,
					       t->write ? HK_EV_WRITE :
					       HK_EV_READ);

		if (sim.failed)
			return;
		if (!t->faulting)
			t->requests = 0;
		if (!fault(nr))
			continue;
		if (!t->faulting) {
			t->faulting = 1 + kind;
			t->started = sim.now;
			sim.sleeping++;
		}
		if (cfg.prefetch && !asked)
			prefetch(t->node, t->page, t->write, true);
		return;
	}
	if (refault(nr))
		return;
	if (cfg.prefetch && !asked)
		prefetch(t->node, t->page, t->write, false);
	access_now(t);
	if (sim.faults >= cfg.faults || sim.accesses >= cfg.accesses)
		sim.stop = true;
	if (!sim.stop && workload_next(t, &think)) {
		__builtin_prefetch(copy_of(t->node, t->page));
		queue_add(sim.depart + think, EVENT_THREAD, t->node, nr);
	}
}
