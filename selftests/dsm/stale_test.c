// SPDX-License-Identifier: GPL-2.0
/*
 * When old copies are kept: what pays is, what does not is soon left alone; and a check
 * goes where it must
 */
#include <string.h>

#include "../../dsm/directory.h"
#include "../../dsm/group.h"
#include "../../dsm/page.h"
#include "../../dsm/stale.h"
#include "tap.h"

#define PAGES	4096

/* @rounds takes of each page; @same: asked about, all are good. Return: kept */
static u32 takes(struct hk_stale_guest *g, u16 *page, u32 pages, u32 rounds, bool same)
{
	u32 i, r, kept = 0;

	for (r = 0; r < rounds; r++) {
		for (i = 0; i < pages; i++) {
			if (!hk_stale_keep(g, &page[i]))
				continue;
			kept++;
			hk_stale_learn(g, &page[i], same);
		}
	}
	return kept;
}

static void test_worth(void)
{
	static u16 page[PAGES], other[PAGES];
	struct hk_stale_guest g = { 0 };
	bool fits = true;
	u32 i, kept;

	tap_ok(takes(&g, page, PAGES, 5, true) == 5 * PAGES,
	       "worth: pages that do not change are kept every time");
	for (i = 0; i < PAGES; i++)
		fits &= page[i] < 1 << HK_STALE_BITS;

	/* 1, 2, 4 .. 128: the n-th try of a page is its 2^n-th take */
	kept = takes(&g, page, 1, 255, false);
	tap_ok(kept == 8, "worth: a page that changes is asked about 8 times in 255, %u",
	       kept);
	kept = takes(&g, page, 1, 128 * 10, false);
	tap_ok(kept == 10, "worth: and from there on once in 128 takes, %u in 1280",
	       kept);
	fits &= page[0] < 1 << HK_STALE_BITS;
	hk_stale_learn(&g, &page[0], true);
	tap_ok(takes(&g, page, 1, 10, true) == 10,
	       "worth: found unchanged once, it is kept every time");

	memset(&g, 0, sizeof(g));
	kept = takes(&g, other, PAGES, 1, false);
	tap_ok(kept > 64 && kept < PAGES / 8,
	       "worth: a guest whose pages all change: %u of %u are tried", kept, PAGES);
	memset(other, 0, sizeof(other));
	kept = takes(&g, other, PAGES, 1, false);
	tap_ok(kept && kept <= 3 * PAGES / 64, "worth: and %u of the next ones", kept);
	/* a page that pays does so whatever the others do */
	other[0] = 0;
	hk_stale_learn(&g, &other[0], true);
	tap_ok(takes(&g, other, 1, 10, true) == 10,
	       "worth: a page that pays is kept in such a guest, too");
	memset(other, 0, sizeof(other));
	for (i = 0; i < 200; i++) {
		memset(other, 0, sizeof(other));
		takes(&g, other, PAGES, 1, true);
	}
	tap_ok(g.bad == 0 && takes(&g, other, 16, 1, true) == 16,
	       "worth: a guest whose pages do not change any more is found out");
	for (i = 0; i < PAGES; i++)
		fits &= other[i] < 1 << HK_STALE_BITS;
	/* as two threads at once may leave them */
	g = (struct hk_stale_guest){ .bad = ~0u, .skip = ~0u };
	memset(other, 0, sizeof(other));
	tap_ok(takes(&g, other, 300, 1, true) >= 3 && g.bad < HK_STALE_STEP * HK_STALE_LEVELS &&
	       g.skip < 128, "worth: numbers below zero are none for ever");
	tap_ok(fits, "worth: fits into %u bits", HK_STALE_BITS);
}

/* The check of one request from the fault to the owner's answer */
#define SALT	0x1234567890abcdefull
#define HASH	0xfedcba0987654321ull

static bool has_check(const struct hk_dmsg *m)
{
	return m->check.salt == SALT && m->check.hash == HASH;
}

static bool has_none(const struct hk_dmsg *m)
{
	return !m->check.salt && !m->check.hash;
}

static void asks(u8 from, enum hk_page_event ev, struct hk_out *out)
{
	struct hk_page_where w = {
		.gfn = 7, .self = 2, .home = 1, .tokens = { 5, 6 },
		.check = { SALT, HASH },
	};
	struct hk_page_ctx ctx = { 0 };
	u8 state = from;

	memset(out, 0, sizeof(*out));
	hk_page_step(&w, &state, &ctx, ev, NULL, out);
}

static void home_gets(struct hk_dir *dir, struct hk_dir_wait *wait, u8 type, u16 from,
		      bool check, struct hk_out *out)
{
	struct hk_dmsg m = {
		.gfn = 7, .from = from, .type = type, .tokens = { 5, 6 },
		.req = type == HK_DMSG_DONE ? from : HK_NODE_NONE,
	};

	if (check)
		m.check = (struct hk_check){ SALT, HASH };
	if (type == HK_DMSG_DONE)
		m.tokens = (struct hk_tokens){ 0 };
	memset(out, 0, sizeof(*out));
	hk_dir_step(&(struct hk_dir_where){ .self = 1, .home = 1 }, dir, wait, &m, out);
}

static void owner_gets(u8 state, u8 type, enum hk_page_event then, struct hk_out *out)
{
	struct hk_page_where w = { .gfn = 7, .self = 3, .home = 1 };
	struct hk_dmsg m = {
		.gfn = 7, .from = 1, .req = 2, .type = type, .tokens.data = 5,
		.check = { SALT, HASH },
	};
	struct hk_page_ctx ctx = { 0 };

	memset(out, 0, sizeof(*out));
	hk_page_step(&w, &state, &ctx, hk_page_event_of(type), &m, out);
	if (!out->nr) {
		hk_page_step(&w, &state, &ctx, then, NULL, out);
		tap_ok(!memcmp(&ctx, &(struct hk_page_ctx){ 0 }, sizeof(ctx)),
		       "check: nothing of it is left behind the answer");
	}
}

static void test_way(void)
{
	struct hk_dir_wait wait = { 0 };
	struct hk_dir dir = { .owner = 3 };
	struct hk_dmsg plain = { .gfn = 7, .type = HK_DMSG_GET_X, .tokens = { 5, 6 } };
	struct hk_page_group group = { 0 };
	struct hk_dmsg m = plain;
	struct hk_out out;

	asks(HK_PG_INVALID, HK_EV_READ, &out);
	tap_ok(out.nr == 1 && has_check(&out.msg[0]), "check: in GET_S");
	asks(HK_PG_INVALID, HK_EV_WRITE, &out);
	tap_ok(out.nr == 1 && has_check(&out.msg[0]), "check: in GET_X");
	asks(HK_PG_SHARED, HK_EV_WRITE, &out);
	tap_ok(out.nr == 1 && has_none(&out.msg[0]), "check: not in GET_X HAVE");

	home_gets(&dir, &wait, HK_DMSG_GET_S, 2, true, &out);
	tap_ok(out.nr == 1 && has_check(&out.msg[0]), "check: home hands it on in FWD_S");
	/* two wait; there is room for the check of the first */
	home_gets(&dir, &wait, HK_DMSG_GET_X, 4, true, &out);
	home_gets(&dir, &wait, HK_DMSG_GET_S, 5, true, &out);
	tap_ok(!out.nr && wait.check_of == 4, "check: home keeps that of the first who waits");
	home_gets(&dir, &wait, HK_DMSG_DONE, 2, false, &out);
	tap_ok(out.nr == 2 && has_none(&out.msg[0]) && has_check(&out.msg[1]) &&
	       out.msg[1].type == HK_DMSG_FWD_X && wait.check_of == HK_NODE_NONE,
	       "check: and hands it on in FWD_X, not in INV");
	home_gets(&dir, &wait, HK_DMSG_DONE, 4, false, &out);
	tap_ok(out.nr == 1 && has_none(&out.msg[0]) && out.msg[0].req == 5,
	       "check: not in the request of another one");

	home_gets(&dir, &wait, HK_DMSG_GET_X, 7, true, &out);
	home_gets(&dir, &wait, HK_DMSG_GET_X, 6, false, &out);
	home_gets(&dir, &wait, HK_DMSG_DONE, 5, false, &out);
	tap_ok(out.msg[out.nr - 1].type == HK_DMSG_FWD_X && out.msg[out.nr - 1].req == 6 &&
	       has_none(&out.msg[out.nr - 1]) && wait.check_of == 7,
	       "check: not in the request of one who came later and is served before");
	home_gets(&dir, &wait, HK_DMSG_DONE, 6, false, &out);
	tap_ok(out.nr == 1 && out.msg[0].req == 7 && has_check(&out.msg[0]),
	       "check: but in its own");

	m.check = (struct hk_check){ SALT, HASH };
	tap_ok(hk_page_group_may(&plain) && !hk_page_group_may(&m) &&
	       !hk_page_group_add(&group, &m, 1) && !group.nr,
	       "check: what has one goes alone");

	owner_gets(HK_PG_OWNED, HK_DMSG_FWD_S, HK_EV_NR, &out);
	tap_ok(out.nr == 1 && has_check(&out.msg[0]), "check: at hand with DATA_S");
	owner_gets(HK_PG_EXCLUSIVE, HK_DMSG_FWD_S, HK_EV_DOWNGRADED, &out);
	tap_ok(out.nr == 1 && has_check(&out.msg[0]),
	       "check: at hand with DATA_S after a downgrade");
	owner_gets(HK_PG_EXCLUSIVE, HK_DMSG_FWD_X, HK_EV_TAKEN, &out);
	tap_ok(out.nr == 1 && has_check(&out.msg[0]), "check: at hand with DATA_X");
}

void test_stale(void)
{
	test_worth();
	test_way();
}
