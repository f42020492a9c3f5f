// SPDX-License-Identifier: GPL-2.0
/*
 * The page protocol against a member that keeps no rule: three nodes run the engine
 * as it ships, the fourth says whatever the input says, whenever it says so
 *
 * What it says, message by message or in groups, goes through hk_page_msg_check() and
 * hk_page_group_check() of the module first. Requests of honest nodes may leave late, as
 * if others went with them in a group. Every step ends
 * with a look at what Documentation/protocol.rst, "A faulty peer", promises. The
 * caller's duties (C1 to C5) are done here; selftests/explore does the same for
 * nodes that keep the rules, but knows two values only and no page that is lost.
 *
 * A refused message must leave no trace. So a run in which the link ends there, as
 * the module ends it, is the same as one in which the peer falls silent, and links
 * stay open here.
 */
#include <endian.h>
#include "../../dsm/directory.h"
#include "../../dsm/group.h"
#include "../../dsm/page.h"
#include "input.h"

#define NODES		4
#define FAULTY		4
#define PAGES		6	/* see @homes */
#define QUEUE		16
#define QUEUE_FULL	8	/* the faulty node waits until there is room */
#define TOLD		64	/* tokens that the faulty node remembers */
#define VISIT_QUEUE	8	/* HK_VISIT_QUEUE of the module */

/* What the faulty node makes up; nobody else comes so far */
#define VALUE_FAULTY	0x80000000u
#define TOKEN_FAULTY	0x80000000u

/**
 * struct copy - a page on an honest node
 * @state: enum hk_page_state
 * @there: memory for it exists
 * @ruler: as the engine wants it back
 * @value: its content
 * @ctx: engine's
 */
struct copy {
	u8 state;
	u8 there;
	u16 ruler;
	u32 value;
	struct hk_page_ctx ctx;
};

struct letter {
	struct hk_dmsg m;
	u32 value;
};

/**
 * struct page - what is true of a page beyond what single nodes know
 * @dir: at its home
 * @wait: likewise
 * @rule: of each honest node that is lent the page; all zero for others. A home that is
 *	honest lends it to one
 * @rule_wait: likewise
 * @truth: last value stored by a node that may
 * @written: somebody stored something
 * @theirs: the faulty node rules it, owns it, or owned it a moment ago: nothing
 *	is promised until all is quiet and agrees
 * @hasty: the faulty node said DONE for its own read; home, or who is lent the page, may
 *	recall too early
 * @over: honest nodes met the impossible: the guest has been stopped
 * @copy: on each honest node
 * @qlen: messages under way, from and to
 * @q: these
 */
struct page {
	struct hk_dir dir;
	struct hk_dir_wait wait;
	struct hk_dir rule[NODES];
	struct hk_dir_wait rule_wait[NODES];
	u32 truth;
	bool written;
	bool theirs;
	bool hasty;
	bool over;
	/* indices are node ids, from 1 */
	struct copy copy[NODES];
	u8 qlen[NODES][NODES];
	struct letter q[NODES][NODES][QUEUE];
};

static struct page pages[PAGES];
/* stores so far: each has a value of its own */
static u32 values;
/* requests so far: each has tokens of its own, which nobody can guess */
static u32 tokens;
/* Every token that the faulty node has been told, newest last; a ring */
static struct {
	u8 gfn;
	u8 req;
	u8 ack;
	u32 token;
} told[TOLD];
static unsigned int told_nr;
/* Entries of a visit's queue that are used up; only an empty one starts anew */
static unsigned int visit_tail;

/* two pages where it takes two for a group: of an honest home, and of the faulty one */
static const struct hk_homes homes = {
	.nr = NODES,
	.range = { { 0, 1 }, { 2, 2 }, { 3, 3 }, { 4, FAULTY } },
};

static u16 home_of(u64 gfn)
{
	return hk_home_of(&homes, gfn);
}

static bool mapped_w(u8 state)
{
	return state == HK_PG_EXCLUSIVE || state == HK_PG_EXCLUSIVE_DOWN ||
	       state == HK_PG_EXCLUSIVE_TAKE;
}

static bool being_taken(u8 state)
{
	return state == HK_PG_SHARED_TAKE || state == HK_PG_OWNED_TAKE ||
	       state == HK_PG_EXCLUSIVE_TAKE ||
	       state == HK_PG_SHARED_WR_TAKE || state == HK_PG_OWNED_WR_TAKE;
}

static bool mapped_r(u8 state)
{
	return hk_page_may_read(state) || being_taken(state);
}

/* Honest nodes met the impossible among themselves */
static void stop_guest(u8 gfn)
{
	struct page *p = &pages[gfn];

	must(p->theirs || p->hasty,
	     "honest nodes accuse each other of a page that is theirs alone");
	p->over = true;
}

static void tell(u8 gfn, u16 req, bool ack, u32 token)
{
	unsigned int at = told_nr++ % TOLD;

	told[at].gfn = gfn;
	told[at].req = req;
	told[at].ack = ack;
	told[at].token = token;
}

/* The faulty node gets a message: now it knows what is in it */
static void tell_msg(u8 gfn, const struct hk_dmsg *m)
{
	/* also where it is not home, and may have been lent the page */
	bool get = m->type == HK_DMSG_GET_S || m->type == HK_DMSG_GET_X;
	u16 req = get ? m->from : m->req;

	/* what comes back with an answer is its own */
	if (!req)
		return;
	if (m->tokens.data)
		tell(gfn, req, false, m->tokens.data);
	if (m->tokens.ack)
		tell(gfn, req, true, m->tokens.ack);
}

/* A token that it was told, for @req's request of that page if @how is 0 */
static u32 token_of(u8 gfn, u16 req, bool ack, u8 how)
{
	unsigned int i, nr = told_nr < TOLD ? told_nr : TOLD;

	if (how & 1)
		return TOKEN_FAULTY | how;
	if (how && nr)
		return told[(how >> 1) % nr].token;
	for (i = 1; i <= nr; i++) {
		unsigned int at = (told_nr - i) % TOLD;

		if (told[at].gfn == gfn && told[at].req == req &&
		    told[at].ack == ack)
			return told[at].token;
	}
	return TOKEN_FAULTY;
}

static struct hk_page_facts facts_of(u16 self)
{
	return (struct hk_page_facts){
		.ram_pages = PAGES,
		.members = (hk_node_bit(NODES) << 1) - 2,
		.homes = &homes,
		.self = self,
		.lend = true,
	};
}

static void send_out(u8 gfn, u16 self, const struct hk_out *out)
{
	struct hk_page_facts facts;
	unsigned int i;
	u16 to;

	must(out->nr <= HK_OUT_MAX, "more messages than there is room for");
	for (i = 0; i < out->nr; i++) {
		const struct hk_dmsg *m = &out->msg[i];
		struct letter l = { .m = *m };

		must(m->gfn == gfn && m->from == self, "wrong gfn or sender");
		must(m->to && !(m->to & 1), "message to nobody");
		must(!(m->to & (m->to - 1)) || m->type == HK_DMSG_INV,
		     "message other than INV to several nodes");
		/* home itself may be among the sharers that it is told of */
		must(m->req < HK_MAX_NODES && !(m->acks & 1) &&
		     (m->type == HK_DMSG_BACK || !(m->acks & m->to)),
		     "field out of range");
		if (m->type == HK_DMSG_DATA_S || m->type == HK_DMSG_DATA_X) {
			must(pages[gfn].copy[self].there, "data without a copy");
			l.value = pages[gfn].copy[self].value;
		}
		if (m->to & hk_node_bit(FAULTY))
			tell_msg(gfn, m);
		for (to = 1; to < NODES; to++) {
			u8 *len = &pages[gfn].qlen[self][to];

			if (!(m->to & hk_node_bit(to)))
				continue;
			must(*len < QUEUE, "a queue grows without bound");
			facts = facts_of(to);
			must(to == self || !hk_dmsg_check(&facts, m),
			     "an honest node would be blamed for a message");
			must(to != self || visit_tail++ < VISIT_QUEUE,
			     "more to itself than a visit has room for");
			pages[gfn].q[self][to][(*len)++] = l;
		}
	}
}

static int page_event(u8 gfn, u16 self, enum hk_page_event ev,
		      const struct letter *l)
{
	struct hk_dir *rule = &pages[gfn].rule[self];
	const struct hk_page_where where = {
		.gfn = gfn, .self = self, .home = home_of(gfn),
		.ruler = pages[gfn].copy[self].ruler,
		.rules = rule->owner, .gives = rule->flags & HK_DIR_F_GIVES,
		/* whom the page itself will do, and who wants a copy */
		.read_x = tokens & 1,
		.tokens = { 2 * tokens + 2, 2 * tokens + 3 },
	};
	struct copy *c = &pages[gfn].copy[self];
	const struct copy old = *c;
	struct hk_out out = { 0 };
	int err;

	tokens++;
	err = hk_page_step(&where, &c->state, &c->ctx, ev, l ? &l->m : NULL,
			   &out);
	if (err) {
		must(err == -EPROTO && !out.nr && !out.act &&
		     !memcmp(c, &old, sizeof(old)), "a refusal changed something");
		return err;
	}
	must(c->state < HK_PG_NR, "no such state");
	c->ruler = out.ruler;
	must(!c->ruler || (c->state != HK_PG_OWNED && c->state != HK_PG_EXCLUSIVE),
	     "an owner knows of another ruler");
	if (out.act & HK_ACT_RULE) {
		must(!rule->owner && c->state == HK_PG_EXCLUSIVE,
		     "lent twice, or to no owner");
		*rule = hk_dir_lent(self);
	}
	must(!(c->ctx.acks & (hk_node_bit(self) | 1)),
	     "ACK of the node itself, or of nobody");
	send_out(gfn, self, &out);
	must(!!(out.act & HK_ACT_TAKE) ==
	     (being_taken(c->state) && !being_taken(old.state)),
	     "TAKE and a _TAKE state do not go together");
	if (out.act & (HK_ACT_INSTALL | HK_ACT_INSTALL_ZERO)) {
		must(!c->there, "a page installed over a page");
		must(!(out.act & HK_ACT_INSTALL) || l, "no data to install");
		c->there = 1;
		c->value = out.act & HK_ACT_INSTALL ? l->value : 0;
	}
	if (out.act & HK_ACT_FREE) {
		must(c->there, "nothing to free");
		c->there = 0;
		c->value = 0;
	}
	must(c->there || !mapped_r(c->state), "mapped and no memory");
	return 0;
}

static int home_event(u8 gfn, u16 self, const struct hk_dmsg *m)
{
	const struct hk_dir_where where = {
		.self = self, .home = home_of(gfn), .lend = true,
	};
	const bool home = self == where.home;
	struct page *p = &pages[gfn];
	struct hk_dir *dir = home ? &p->dir : &p->rule[self], old;
	struct hk_dir_wait *wait = home ? &p->wait : &p->rule_wait[self], old_wait;
	const u8 steady = dir->steady;
	struct hk_out out = { 0 };
	int err;

	/* four writes in a row are rare here, and not what makes it safe */
	if (home && tokens & 2)
		dir->steady = HK_DIR_STEADY_MAX;
	old = *dir;
	old_wait = *wait;
	err = hk_dir_step(&where, dir, wait, m, &out);
	if (err) {
		must(err == -EPROTO && !out.nr &&
		     !memcmp(dir, &old, sizeof(old)) &&
		     !memcmp(wait, &old_wait, sizeof(old_wait)),
		     "a refusal changed something");
		dir->steady = steady;
		return err;
	}
	must(dir->owner < HK_MAX_NODES && dir->busy < HK_MAX_NODES,
	     "directory names a node that cannot be");
	must(!(dir->sharers & hk_node_bit(dir->owner)),
	     "owner among the sharers");
	must(dir->busy || hk_dir_wait_empty(wait) ||
	     (dir->flags & HK_DIR_F_ASKED && wait->wr),
	     "idle while somebody waits");
	must(home || dir->owner == (dir->flags & HK_DIR_F_RULES ? self : 0),
	     "entry out of nothing");
	if (p->dir.owner == FAULTY)
		p->theirs = true;
	send_out(gfn, self, &out);
	return 0;
}

static int dispatch(u8 gfn, u16 to, const struct letter *l)
{
	int ev = hk_page_event_of(l->m.type);

	return ev < 0 ? home_event(gfn, to, &l->m) :
			page_event(gfn, to, ev, l);
}

/* The first one, or one behind requests that may wait in a group */
static struct letter take_letter(u8 gfn, u16 from, u16 to, u8 nth)
{
	u8 *len = &pages[gfn].qlen[from][to], i;
	struct letter *q = pages[gfn].q[from][to];
	struct letter l;

	for (i = 0; i < nth && i + 1 < *len && from != to; i++)
		if (!hk_page_group_may(&q[i].m))
			break;
	l = q[i];
	memmove(q + i, q + i + 1, (--*len - i) * sizeof(*q));
	memset(q + *len, 0, sizeof(*q));
	return l;
}

/* What a node says to itself is worked on in the same step, as by the module */
static void drain(u8 gfn, u16 self)
{
	while (pages[gfn].qlen[self][self] && !pages[gfn].over) {
		struct letter l = take_letter(gfn, self, self, 0);

		if (!pages[gfn].qlen[self][self])
			visit_tail = 0;
		if (dispatch(gfn, self, &l))
			stop_guest(gfn);
	}
	visit_tail = 0;
}

static void local_event(u8 gfn, u16 self, enum hk_page_event ev)
{
	if (page_event(gfn, self, ev, NULL))
		stop_guest(gfn);
	drain(gfn, self);
}

/* A guest stores something, on a node where it may without a fault */
static void store(u8 gfn, u16 self)
{
	struct copy *c = &pages[gfn].copy[self];

	c->value = ++values;
	pages[gfn].truth = c->value;
	pages[gfn].written = true;
}

static void honest(struct input *in, u8 op, u8 gfn, u16 self)
{
	struct copy *c = &pages[gfn].copy[self];
	u16 from;
	u8 nth;

	switch (op) {
	case 0:
		/* who ruled the last copy can be forgotten */
		if (tokens & 4 && c->state == HK_PG_INVALID)
			c->ruler = 0;
		local_event(gfn, self, HK_EV_READ);
		break;
	case 1:
		local_event(gfn, self, HK_EV_WRITE);
		break;
	case 2:
		if (mapped_w(c->state))
			store(gfn, self);
		break;
	case 3:
		if (c->state != HK_PG_SHARED)
			break;
		c->there = 0;
		c->value = 0;
		local_event(gfn, self, HK_EV_DROP);
		break;
	case 4:
		if (being_taken(c->state))
			local_event(gfn, self, HK_EV_TAKEN);
		else if (c->state == HK_PG_EXCLUSIVE_DOWN)
			local_event(gfn, self, HK_EV_DOWNGRADED);
		break;
	case 5:
		from = input_u8(in);
		nth = from >> 6;
		from = 1 + from % (NODES - 1);
		if (pages[gfn].qlen[from][self]) {
			struct letter l = take_letter(gfn, from, self, nth);

			if (dispatch(gfn, self, &l))
				stop_guest(gfn);
			drain(gfn, self);
		}
		break;
	}
}

/* Anything can be said; what fits somewhere is more likely than the rest */
static struct hk_wire_page_msg wire_of(struct input *in, u16 to)
{
	u8 how = input_u8(in);
	u8 gfn = input_u8(in), token;
	struct hk_wire_page_msg b = {
		.gfn = htole64(how & 1 ? gfn : gfn % PAGES),
		.dtype = input_u8(in) % (HK_DMSG_NR + 1),
	};

	b.req = htole16(input_u8(in) % (how & 2 ? 256 : NODES + 1));
	b.acks = htole64(how & 64 ? input_u16(in) * 0x1000000000001ull :
			 how & 4 ? input_u8(in) & 0x1e : 0);
	b.dflags = how & 8 ? input_u8(in) : 0;
	if (b.dtype == HK_DMSG_DATA_S || b.dtype == HK_DMSG_DATA_X)
		b.content = HK_CONTENT_FILL;
	if (how & 16)
		b.content = input_u8(in);
	if (how & 32)
		b.reserved[input_u8(in) % 3] = input_u8(in);
	/* mostly what it would say if it kept the rules */
	token = how & 128 ? input_u8(in) : 0;
	if (b.dtype == HK_DMSG_ACK || b.dtype == HK_DMSG_INV)
		b.ack_token = htole32(token_of(gfn % PAGES, to, true, token));
	else if (b.dtype == HK_DMSG_PASS_S || (b.dtype != HK_DMSG_DONE &&
					       b.dtype < HK_DMSG_LEND))
		b.data_token = htole32(token_of(gfn % PAGES, to, false, token));
	if (b.dtype == HK_DMSG_GET_X || (b.dtype == HK_DMSG_GET_S && !(how & 2)))
		b.ack_token = b.data_token;
	if (how & 16 && how & 128)
		b.ack_token = htole32(input_u8(in));
	return b;
}

static void check(u8 gfn);

/* Return: the page it was about, or PAGES when nobody takes notice */
static u8 faulty_letter(struct letter *l, u16 to)
{
	static struct page before;
	struct page *p;
	u16 n, k;
	u8 gfn;
	int ev;

	must(l->m.gfn < PAGES && l->m.from == FAULTY && l->m.req < HK_MAX_NODES,
	     "the check let nonsense pass");

	gfn = l->m.gfn;
	p = &pages[gfn];
	if (p->over)
		return PAGES;
	for (n = 1; n < NODES; n++)
		for (k = 1; k < NODES; k++)
			if (pages[gfn].qlen[n][k] >= QUEUE_FULL)
				return PAGES;
	l->value = VALUE_FAULTY | ++values;
	ev = hk_page_event_of(l->m.type);

	if (l->m.type == HK_DMSG_DONE &&
	    (p->dir.busy == FAULTY || p->rule[to].busy == FAULTY))
		p->hasty = true;

	before = *p;
	if (dispatch(gfn, to, l)) {
		must(!memcmp(&before, p, sizeof(before)), "a refusal left a trace");
		return gfn;
	}
	must(ev < 0 || home_of(gfn) == FAULTY || l->m.type == HK_DMSG_DATA_S ||
	     l->m.type == HK_DMSG_DATA_X || l->m.type == HK_DMSG_ACK ||
	     (l->m.type == HK_DMSG_MOVED &&
	      before.copy[to].ctx.asked == FAULTY) ||
	     (l->m.type == HK_DMSG_INV && l->m.req == FAULTY &&
	      (!mapped_r(before.copy[to].state) ||
	       before.copy[to].ruler == FAULTY)),
	     "a message of home was taken from another node");
	drain(gfn, to);
	return gfn;
}

static u8 faulty(struct input *in, u16 to)
{
	const struct hk_wire_page_msg body = wire_of(in, to);
	const struct hk_page_facts facts = facts_of(to);
	struct letter l = { 0 };

	if (hk_page_msg_check(&facts, FAULTY, &body, sizeof(body),
			      body.content == HK_CONTENT_PAGE, &l.m))
		return PAGES;
	return faulty_letter(&l, to);
}

/* Several pages at once; mostly of the right length */
static void faulty_group(struct input *in, u16 to)
{
	u8 how = input_u8(in), gfn = input_u8(in), map;
	const struct hk_page_facts facts = facts_of(to);
	struct hk_wire_page_group *body;
	struct letter l = { 0 };
	u32 tokens, i, at = 0;
	u8 dtype;

	dtype = how & 1 ? input_u8(in) : HK_DMSG_GET_S + (how >> 1) % 4;
	/* what passes the check: pages that have the same home */
	gfn = how & 8 ? gfn : gfn & 1 ? 0 : 4;
	map = how & 8 ? input_u8(in) : 3;
	tokens = __builtin_popcount(map) << (dtype == HK_DMSG_GET_X);
	if (how & 16)
		tokens = input_u8(in) % 4;
	/* just as long, so that who reads beyond it is found */
	body = malloc(sizeof(*body) + tokens * sizeof(body->token[0]));
	must(body, "no memory");
	*body = (struct hk_wire_page_group){
		.gfn = htole64(gfn),
		.map = htole32(map),
		.req = htole16(dtype == HK_DMSG_FWD_S || dtype == HK_DMSG_FWD_X ||
			       how & 32 ? 1 + input_u8(in) % NODES : 0),
		.dtype = dtype,
		.reserved = how & 64 ? input_u8(in) : 0,
	};
	for (i = 0; i < tokens; i++)
		body->token[i] = htole32(token_of(gfn % PAGES, to, false,
						  how & 128 ? input_u8(in) : 0));
	if (!hk_page_group_check(&facts, FAULTY, body,
				 sizeof(*body) + tokens * sizeof(body->token[0]),
				 &l.m)) {
		while (hk_page_group_next(&facts, FAULTY, body, &at, &l.m)) {
			u8 about = faulty_letter(&l, to);

			if (about == PAGES)
				break;
			check(about);
		}
	}
	free(body);
}

/* @reads: somebody may wait for a copy, asked of who does not answer */
static bool settled(u8 gfn, bool reads)
{
	u16 i, j;

	for (i = 1; i < NODES; i++) {
		u8 state = pages[gfn].copy[i].state;

		if (!hk_page_stable(state) &&
		    !(reads && state == HK_PG_INVALID_RD))
			return false;
		if (pages[gfn].rule[i].busy)
			return false;
		for (j = 1; j < NODES; j++)
			if (pages[gfn].qlen[i][j])
				return false;
	}
	return !pages[gfn].dir.busy &&
	       !(pages[gfn].dir.flags & HK_DIR_F_ASKED);
}

static bool quiet(u8 gfn)
{
	return settled(gfn, false);
}

/*
 * Return: false: nodes and directory do not agree (@theirs), or something is under way.
 * Who asked the faulty node for a copy may wait for ever, and must not believe it later.
 */
static bool agreed(u8 gfn)
{
	const struct page *p = &pages[gfn];
	const struct hk_dir *dir = &p->dir;
	u32 value;
	u16 i;

	if (!settled(gfn, true) || p->dir.owner == FAULTY || !p->dir.owner)
		return false;
	/* where the page is lent it is the owner who knows */
	if (dir->flags & HK_DIR_F_LENT)
		dir = &p->rule[dir->owner];
	if (dir->owner != p->dir.owner)
		return false;
	value = pages[gfn].copy[p->dir.owner].value;
	for (i = 1; i < NODES; i++) {
		const struct copy *c = &pages[gfn].copy[i];
		bool owner = p->dir.owner == i;

		if (owner != (c->state == HK_PG_OWNED ||
			      c->state == HK_PG_EXCLUSIVE))
			return false;
		if (c->state == HK_PG_EXCLUSIVE && dir->sharers)
			return false;
		if (c->state == HK_PG_SHARED &&
		    !(dir->sharers & hk_node_bit(i)))
			return false;
		/* home has told all who might ask the faulty node */
		must(c->ruler != FAULTY, "a reader may ask the faulty node");
		must(!c->ruler || p->dir.sharers & hk_node_bit(i),
		     "home does not know who may ask a ruler");
		if (c->there && c->value != value)
			return false;
	}
	return true;
}

/* What is promised of a page whose home and owner are honest */
static void check_page(u8 gfn)
{
	const struct page *p = &pages[gfn];
	unsigned int readers = 0, writers = 0, last = 0;
	u16 i, j;
	u8 k;

	for (i = 1; i < NODES; i++) {
		const struct copy *c = &pages[gfn].copy[i];

		must(c->ruler != FAULTY &&
		     (c->ctx.asked != FAULTY || c->ctx.moot),
		     "a reader asks the faulty node");
		readers += mapped_r(c->state);
		writers += mapped_w(c->state);
		last += c->there && c->value == p->truth;
		must(!mapped_r(c->state) || c->value == p->truth,
		     "a guest can read what nobody has stored there");
		must(!c->there || !(c->value & VALUE_FAULTY) ||
		     c->value == p->truth,
		     "content of a peer that was not the owner");
		for (j = 1; j < NODES; j++)
			for (k = 0; k < pages[gfn].qlen[i][j]; k++)
				last += pages[gfn].q[i][j][k].value == p->truth;
	}
	must(writers < 2, "two nodes can write");
	must(!writers || readers == 1, "one can write while another can read");
	must(!p->written || last, "the last value stored is lost");
	must(!quiet(gfn) || !p->dir.owner || agreed(gfn),
	     "all is quiet, and the directory is wrong");
}

static void check(u8 gfn)
{
	struct page *p = &pages[gfn];

	if (p->over || home_of(gfn) == FAULTY)
		return;
	if (quiet(gfn))
		p->hasty = false;
	if (!p->theirs) {
		check_page(gfn);
	} else if (agreed(gfn)) {
		p->theirs = false;
		p->written = true;
		p->truth = p->copy[p->dir.owner].value;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	u8 gfn;

	memset(pages, 0, sizeof(pages));
	for (gfn = 0; gfn < PAGES; gfn++)
		pages[gfn].theirs = home_of(gfn) == FAULTY;
	values = 0;
	tokens = 0;
	told_nr = 0;
	while (in.left) {
		u8 what = input_u8(&in), op = what & 7;
		u16 self = 1 + (what >> 6) % (NODES - 1);

		gfn = (what >> 3 & 7) % PAGES;
		if (op == 6)
			gfn = faulty(&in, self);
		else if (op == 7)
			faulty_group(&in, self);
		else if (!pages[gfn].over)
			honest(&in, op, gfn, self);
		if (gfn < PAGES)
			check(gfn);
	}
	return 0;
}
