// SPDX-License-Identifier: GPL-2.0
/*
 * Groups: what may wait in one, what goes over the wire, and what a peer may say
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "../../dsm/group.h"
#include "show.h"
#include "tap.h"

#define SELF		1
#define PEER		2
#define THIRD		5
#define N(_n)		hk_node_bit(_n)
#define RAM_PAGES	1000
#define THEIRS		300	/* home is PEER from here on */
#define OTHERS		600	/* ... and THIRD from here on */

static const struct hk_homes homes = {
	.nr = 3,
	.range = { { 0, SELF }, { THEIRS, PEER }, { OTHERS, THIRD } },
};

static const struct hk_page_facts facts = {
	.ram_pages = RAM_PAGES,
	.members = N(SELF) | N(PEER) | N(THIRD),
	.homes = &homes,
	.self = SELF,
};

/*
 * What may wait with what
 */
struct add {
	u8 type;
	u64 gfn;
	u16 to;
	u16 req;
	u8 flags;
	u64 acks;
	u32 ack;	/* token */
};

struct add_case {
	const char *name;
	struct add m[3];
	int nr;		/* of these */
	int waits;	/* so many of these are taken, the one behind them is not */
};

#define T(_t)	HK_DMSG_##_t
/* type, page, receiver, and what else there is */
#define M(_t, _gfn, _to, ...) \
	{ .type = HK_DMSG_##_t, .gfn = (_gfn), .to = (_to), ##__VA_ARGS__ }

static const struct add_case add_cases[] = {
	{ "neighbours", { M(GET_S, 7, 2), M(GET_S, 8, 2),
			  M(GET_S, 9, 2) }, 3, 3 },
	{ "pages with gaps", { M(GET_X, 7, 2), M(GET_X, 20, 2),
			       M(GET_X, 38, 2) }, 3, 3 },
	{ "32 pages apart", { M(GET_S, 7, 2), M(GET_S, 39, 2) }, 2, 1 },
	{ "2^32 pages apart", { M(GET_S, 7, 2),
				M(GET_S, 8 + (1ull << 32), 2) }, 2, 1 },
	{ "page before", { M(GET_S, 7, 2), M(GET_S, 6, 2) }, 2, 1 },
	{ "same page", { M(GET_S, 7, 2), M(GET_S, 7, 2) }, 2, 1 },
	{ "same page, not the first", { M(GET_S, 7, 2), M(GET_S, 9, 2),
					M(GET_S, 9, 2) }, 3, 2 },
	{ "page between", { M(GET_S, 7, 2), M(GET_S, 9, 2),
			    M(GET_S, 8, 2) }, 3, 2 },
	{ "another receiver", { M(GET_S, 7, 2), M(GET_S, 8, 3) }, 2, 1 },
	{ "another type", { M(GET_S, 7, 2), M(GET_X, 8, 2) }, 2, 1 },
	{ "FWD_S for one", { M(FWD_S, 7, 2, .req = 3), M(FWD_S, 8, 2, .req = 3) }, 2, 2 },
	{ "FWD_X for one", { M(FWD_X, 7, 2, .req = 3), M(FWD_X, 8, 2, .req = 3) }, 2, 2 },
	{ "FWD_S for two", { M(FWD_S, 7, 2, .req = 3), M(FWD_S, 8, 2, .req = 4) }, 2, 1 },
	{ "GET_X with both tokens", { M(GET_X, 7, 2, .ack = 1),
				      M(GET_X, 8, 2, .ack = 2) }, 2, 2 },
	{ "GET_S with both tokens", { M(GET_S, 7, 2, .ack = 1) }, 1, 0 },
	{ "GET_S with both tokens behind", { M(GET_S, 7, 2),
					     M(GET_S, 8, 2, .ack = 1) }, 2, 1 },
	{ "GET_X HAVE", { M(GET_X, 7, 2, .flags = HK_DMSG_F_HAVE) }, 1, 0 },
	{ "GET_X HAVE behind", { M(GET_X, 7, 2),
				 M(GET_X, 8, 2, .flags = HK_DMSG_F_HAVE) }, 2, 1 },
	{ "FWD_X with acks", { M(FWD_X, 7, 2, .req = 3, .acks = N(4)) }, 1, 0 },
	{ "FWD_X with acks behind", { M(FWD_X, 7, 2, .req = 3),
				      M(FWD_X, 8, 2, .req = 3, .acks = N(63)) }, 2, 1 },
	{ "INV", { M(INV, 7, 2, .req = 3) }, 1, 0 },
	{ "DATA_S", { M(DATA_S, 7, 2) }, 1, 0 },
	{ "DATA_X", { M(DATA_X, 7, 2) }, 1, 0 },
	{ "GRANT_X", { M(GRANT_X, 7, 2) }, 1, 0 },
	{ "ACK", { M(ACK, 7, 2) }, 1, 0 },
	{ "DONE", { M(DONE, 7, 2, .req = 2) }, 1, 0 },
	{ "LOST", { M(LOST, 7, 2) }, 1, 0 },
};

static void test_add(const struct add_case *c)
{
	struct hk_page_group g = { 0 }, before;
	bool ok = true;
	int i;

	for (i = 0; i < c->nr; i++) {
		const struct add *a = &c->m[i];
		const struct hk_dmsg m = {
			.gfn = a->gfn, .to = N(a->to), .from = SELF,
			.req = a->req, .type = a->type, .flags = a->flags,
			.acks = a->acks, .tokens.ack = a->ack,
		};
		bool may = !a->flags && !a->acks && a->type <= HK_DMSG_FWD_X &&
			   !(a->type == HK_DMSG_GET_S && a->ack);

		before = g;
		ok &= hk_page_group_may(&m) == may;
		if (!hk_page_group_add(&g, &m, a->to)) {
			ok &= !memcmp(&before, &g, sizeof(g));
			break;
		}
	}
	tap_ok(ok && i == c->waits && (int)g.nr == i, "group: %s", c->name);
	if (i != c->waits)
		tap_diag("%d of %d wait", i, c->nr);
}

/*
 * There and back: what was collected is what comes out, as one message or one by one
 */
static bool same(const struct hk_dmsg *a, const struct hk_dmsg *b)
{
	return a->gfn == b->gfn && a->to == b->to && a->acks == b->acks &&
	       a->tokens.data == b->tokens.data &&
	       a->tokens.ack == b->tokens.ack && a->from == b->from &&
	       a->req == b->req && a->type == b->type && a->flags == b->flags;
}

/* Pages 300 + i by the bits of @map; this node and PEER change places on the way */
static bool there_and_back(u8 type, u32 map)
{
	bool get = type == HK_DMSG_GET_S || type == HK_DMSG_GET_X;
	const struct hk_page_facts peers = {
		.ram_pages = RAM_PAGES, .members = facts.members,
		.homes = &homes, .self = PEER,
	};
	/* GET goes to PEER, home of these; FWD comes from there */
	u16 to = get ? PEER : SELF, from = get ? SELF : PEER;
	const struct hk_page_facts *f = get ? &peers : &facts;
	struct hk_dmsg sent[HK_PAGE_GROUP_MAX], m;
	struct hk_page_group g = { 0 };
	struct hk_wire_page_group *body;
	u32 nr = 0, at = 0, i, len;
	bool ok = true;

	for (i = 0; i < HK_PAGE_GROUP_MAX; i++) {
		if (!(map >> i & 1))
			continue;
		sent[nr] = (struct hk_dmsg){
			.gfn = THEIRS + i, .to = N(to), .from = from,
			.req = get ? HK_NODE_NONE : THIRD, .type = type,
			.tokens.data = 0xd0000000 + i,
			.tokens.ack = type == HK_DMSG_GET_X ? 0xa0000000 + i : 0,
		};
		ok &= hk_page_group_add(&g, &sent[nr++], to);
	}
	len = hk_page_group_size(&g);
	ok &= len == 16 + nr * (type == HK_DMSG_GET_X ? 8 : 4) && len <= 272;
	/* just as long, so that who reads beyond it is found */
	body = malloc(len);
	memset(body, 0xff, len);
	hk_page_group_put(&g, body);
	ok &= !hk_page_group_check(f, from, body, len, &m);
	for (i = 0; hk_page_group_next(f, from, body, &at, &m); i++)
		ok &= i < nr && same(&m, &sent[i]);
	ok &= i == nr;
	free(body);

	for (i = 0; hk_page_group_take(&g, from, &m); i++)
		ok &= i < nr && same(&m, &sent[i]) &&
		      hk_page_group_may(&m);
	at = 0;
	for (i = 0; i < sizeof(g); i++)
		at |= ((const u8 *)&g)[i];
	return ok && !at;
}

static void test_wire_form(void)
{
	static const u32 maps[] = {
		1, 3, 0x80000001, 0xffffffff, 0x55555555, 0x00010001, 0x8001,
	};
	u8 type;
	size_t i;
	bool ok;

	for (type = HK_DMSG_GET_S; type <= HK_DMSG_FWD_X; type++) {
		for (ok = true, i = 0; i < ARRAY_SIZE(maps); i++)
			if (!there_and_back(type, maps[i])) {
				tap_diag("map %x", maps[i]);
				ok = false;
			}
		for (i = 0; i < 1000; i++)
			ok &= there_and_back(type, (u32)random() << 1 | 1);
		tap_ok(ok, "group: %s there and back", hk_dmsg_name(type));
	}
}

/* Taken apart half way, more is added */
static void test_take(void)
{
	struct hk_page_group g = { 0 };
	struct hk_dmsg m = { .to = N(2), .from = SELF, .type = HK_DMSG_GET_S };
	bool ok = true;
	u64 gfn;

	for (gfn = 100; gfn < 132; gfn += 5) {
		m.gfn = gfn;
		ok &= hk_page_group_add(&g, &m, 2);
	}
	m.gfn = 135;
	ok &= !hk_page_group_add(&g, &m, 2);
	ok &= hk_page_group_take(&g, SELF, &m) && m.gfn == 100;
	m.gfn = 135;
	ok &= hk_page_group_add(&g, &m, 2);
	for (gfn = 105; hk_page_group_take(&g, SELF, &m); gfn += 5)
		ok &= m.gfn == gfn;
	tap_ok(ok && gfn == 140, "group: room again once the first page has left");
}

/*
 * What a peer says
 */
struct group_case {
	const char *name;
	u8 type;
	u64 gfn;
	u32 map;
	u16 req;
	u32 tokens;	/* so many */
	u8 reserved;
	int len;	/* added to that */
	u16 peer;	/* 0: PEER */
	const char *why;
	u64 culprit;
};

#define LENGTH	"wrong length"
#define TYPE	"type that is not for a group"

static const struct group_case cases[] = {
	{ "GET_S of three", T(GET_S), 0, 7, .tokens = 3 },
	{ "GET_S of one", T(GET_S), 299, 1, .tokens = 1 },
	{ "GET_X of two, a gap", T(GET_X), 10, 5, .tokens = 4 },
	{ "GET_S of 32", T(GET_S), 0, ~0u, .tokens = 32 },
	{ "GET_X of 32", T(GET_X), 268, ~0u, .tokens = 64 },
	{ "FWD_S of two", T(FWD_S), THEIRS, 3, THIRD, .tokens = 2 },
	{ "FWD_X of two", T(FWD_X), OTHERS - 2, 3, THIRD, .tokens = 2 },

	{ "nothing in it", T(GET_S), 0, 0, .why = "group without its first page" },
	{ "nothing in it, but tokens", T(GET_S), 0, 0, .tokens = 4,
	  .why = "group without its first page" },
	{ "first page left out", T(GET_S), 0, 6, .tokens = 2,
	  .why = "group without its first page" },
	{ "last page alone", T(GET_S), 0, 1u << 31, .tokens = 1,
	  .why = "group without its first page" },
	{ "a token too few", T(GET_S), 0, 7, .tokens = 2, .why = LENGTH },
	{ "a token too many", T(GET_S), 0, 7, .tokens = 4, .why = LENGTH },
	{ "no token", T(GET_S), 0, 7, .why = LENGTH },
	{ "GET_X with one token each", T(GET_X), 0, 7, .tokens = 3, .why = LENGTH },
	{ "GET_S with two tokens each", T(GET_S), 0, 7, .tokens = 6, .why = LENGTH },
	{ "FWD_X with two tokens each", T(FWD_X), THEIRS, 3, THIRD, 4,
	  .why = LENGTH },
	{ "a byte too few", T(GET_S), 0, 7, .tokens = 3, .len = -1, .why = LENGTH },
	{ "a byte too many", T(GET_S), 0, 7, .tokens = 3, .len = 1, .why = LENGTH },
	{ "reserved", T(GET_S), 0, 7, .tokens = 3, .reserved = 1,
	  .why = "reserved field" },

	{ "type 0", T(NONE), 0, 1, .tokens = 1, .why = TYPE },
	{ "INV", T(INV), THEIRS, 3, THIRD, 2, .why = TYPE },
	{ "DATA_S", T(DATA_S), 0, 3, .tokens = 2, .why = TYPE },
	{ "DATA_X", T(DATA_X), 0, 3, .tokens = 2, .why = TYPE },
	{ "GRANT_X", T(GRANT_X), THEIRS, 3, .tokens = 2, .why = TYPE },
	{ "ACK", T(ACK), 0, 3, .tokens = 2, .why = TYPE },
	{ "DONE", T(DONE), 0, 3, PEER, 2, .why = TYPE },
	{ "LOST", T(LOST), THEIRS, 3, .tokens = 2, .why = TYPE },
	{ "LEND", T(LEND), THEIRS, 3, .tokens = 2, .why = TYPE },
	{ "PASS_S", T(PASS_S), THEIRS, 3, THIRD, 2, .why = TYPE },
	{ "UNLEND", T(UNLEND), THEIRS, 3, .tokens = 2, .why = TYPE },
	{ "BACK", T(BACK), 0, 3, .tokens = 2, .why = TYPE },
	{ "MOVED", T(MOVED), 0, 3, .tokens = 2, .why = TYPE },
	{ "type behind the last", T(NR), 0, 3, .tokens = 2, .why = TYPE },
	{ "type 255", 255, 0, 3, .tokens = 2, .why = TYPE },

	{ "first page beyond the end", T(FWD_S), RAM_PAGES, 3, THIRD, 2,
	  .why = "no such page", .culprit = RAM_PAGES },
	{ "last page beyond the end", T(FWD_S), RAM_PAGES - 31, ~0u, SELF, 32,
	  .peer = THIRD, .why = "no such page", .culprit = RAM_PAGES },
	{ "last page at the end", T(FWD_S), RAM_PAGES - 32, ~0u, PEER, 32,
	  .peer = THIRD },
	{ "pages that wrap round", T(GET_S), ~0ull, 3, .tokens = 2,
	  .why = "no such page", .culprit = ~0ull },
	{ "last page with another home", T(GET_S), THEIRS - 31, ~0u, .tokens = 32,
	  .why = "this node is not home", .culprit = THEIRS },
	{ "second page not from home", T(FWD_X), OTHERS - 1, 3, THIRD, 2,
	  .why = "sender is not home", .culprit = OTHERS },
	{ "GET_S for another", T(GET_S), 0, 3, THIRD, 2,
	  .why = "requester or acks that it must not have" },
	{ "FWD_S for nobody", T(FWD_S), THEIRS, 3, .tokens = 2,
	  .why = "no requester", .culprit = THEIRS },
	{ "FWD_S for a stranger", T(FWD_S), THEIRS, 3, 9, 2,
	  .why = "requester is not a member", .culprit = THEIRS },
	{ "from a stranger", T(GET_S), 0, 3, .tokens = 2, .peer = 9,
	  .why = "not a member" },
};

static void test_case(const struct group_case *c)
{
	u32 len = sizeof(struct hk_wire_page_group) + c->tokens * 4 + c->len, i;
	struct hk_wire_page_group *body = calloc(1, len);
	struct hk_dmsg m;
	const char *why;

	body->gfn = htole64(c->gfn);
	body->map = htole32(c->map);
	body->req = htole16(c->req);
	body->dtype = c->type;
	body->reserved = c->reserved;
	for (i = 0; i < (len - sizeof(*body)) / 4; i++)
		body->token[i] = htole32(i + 1);
	why = hk_page_group_check(&facts, c->peer ?: PEER, body, len, &m);
	free(body);
	tap_ok(!strcmp(why ?: "", c->why ?: "") && m.type == c->type &&
	       (!c->culprit || m.gfn == c->culprit),
	       "group from a peer: %s: %s", c->name, c->why ?: "taken");
	if (strcmp(why ?: "", c->why ?: ""))
		tap_diag("said \"%s\"", why ?: "taken");
	else if (c->culprit && m.gfn != c->culprit)
		tap_diag("because of page %llx", (unsigned long long)m.gfn);
}

void test_group(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(add_cases); i++)
		test_add(&add_cases[i]);
	test_wire_form();
	test_take();
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		test_case(&cases[i]);
}
