// SPDX-License-Identifier: GPL-2.0
/*
 * The residency table, told a second time: every state, event, sender and age
 */
#include "../../migrate/residency.h"
#include "test.h"

enum { SELF = 1, NODE = 2, OTHER = 3, PEER = 9 /* the event's */ };

#define S(x)	HK_RES_##x
#define E(x)	HK_RES_EV_##x
#define A(x)	HK_RES_ACT_##x

/* Generations are counted from the one that the node knows */
struct line {
	u8 state;
	u8 ev;
	u8 peer;	/* 0: any */
	s16 from;	/* generation of the event */
	s16 to;
	u8 next;
	u8 node;	/* 0: as it was */
	s16 seq;	/* 99: the event's, 98: the one before */
	unsigned int act;
};

static const struct line lines[] = {
	{ S(AWAY), E(STATE), 0, 1, 2, S(ARRIVING), PEER, 98, A(WAKE) },
	{ S(AWAY), E(STATE), 0, -2, 0, S(AWAY), 0, 0, A(TELL_REFUSED) },
	{ S(AWAY), E(TAKEN), 0, 1, 2, S(AWAY), PEER, 99, A(WAKE) },
	{ S(AWAY), E(TAKEN), 0, -2, 0, S(AWAY), 0, 0, 0 },
	{ S(AWAY), E(REFUSED), 0, -2, 2, S(AWAY), 0, 0, 0 },
	{ S(HERE), E(LEAVE), 0, -2, 2, S(LEAVING), PEER, 0, 0 },
	{ S(HERE), E(STATE), 0, -2, 2, S(HERE), 0, 0, A(TELL_REFUSED) },
	{ S(HERE), E(TAKEN), 0, -2, 2, S(HERE), 0, 0, 0 },
	{ S(HERE), E(REFUSED), 0, -2, 2, S(HERE), 0, 0, 0 },
	{ S(LEAVING), E(CANCEL), 0, -2, 2, S(HERE), SELF, 0, A(INJECT) | A(WAKE) },
	{ S(LEAVING), E(STATE), 0, -2, 2, S(LEAVING), 0, 0, A(TELL_REFUSED) },
	{ S(LEAVING), E(TAKEN), 0, -2, 0, S(LEAVING), 0, 0, 0 },
	{ S(LEAVING), E(TAKEN), NODE, 1, 1, S(AWAY), PEER, 99, A(FORWARD) | A(WAKE) },
	{ S(LEAVING), E(TAKEN), OTHER, 1, 1, S(LEAVING), 0, 0, 0 },
	{ S(LEAVING), E(TAKEN), 0, 2, 2, S(AWAY), PEER, 99, A(FORWARD) | A(WAKE) },
	{ S(LEAVING), E(REFUSED), NODE, 1, 1, S(HERE), SELF, 0, A(INJECT) | A(WAKE) },
	{ S(LEAVING), E(REFUSED), OTHER, 1, 1, S(LEAVING), 0, 0, 0 },
	{ S(LEAVING), E(REFUSED), 0, -2, 0, S(LEAVING), 0, 0, 0 },
	{ S(LEAVING), E(REFUSED), 0, 2, 2, S(LEAVING), 0, 0, 0 },
	{ S(ARRIVING), E(APPLIED), 0, -2, 2, S(HERE), SELF, 1,
	  A(INJECT) | A(TELL_TAKEN) | A(WAKE) },
	{ S(ARRIVING), E(APPLY_FAILED), 0, -2, 2, S(AWAY), 0, 0,
	  A(FORWARD) | A(TELL_REFUSED) | A(WAKE) },
	{ S(ARRIVING), E(STATE), 0, -2, 2, S(ARRIVING), 0, 0, A(TELL_REFUSED) },
	{ S(ARRIVING), E(TAKEN), 0, -2, 2, S(ARRIVING), 0, 0, 0 },
	{ S(ARRIVING), E(REFUSED), 0, -2, 2, S(ARRIVING), 0, 0, 0 },
};

static const struct line *line_of(u8 state, u8 ev, u8 peer, int age)
{
	const struct line *found = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		const struct line *l = &lines[i];

		if (l->state != state || l->ev != ev ||
		    (l->peer && l->peer != peer) || age < l->from || age > l->to)
			continue;
		if (found)
			tap_ok(0, "residency: two lines for one case");
		found = l;
	}
	return found;
}

static bool one(u8 state, u8 ev, u8 peer, int age, u32 base)
{
	const struct line *l = line_of(state, ev, peer, age);
	struct hk_res was = { state, state == S(HERE) ? SELF : NODE, base };
	struct hk_res res = was, want = was;
	unsigned int act = 0x5555, want_act = 0;
	int ret, want_ret = -EPROTO;

	if (l) {
		want_ret = 0;
		want_act = l->act;
		want.state = l->next;
		if (l->node)
			want.node = l->node == PEER ? peer : l->node;
		want.seq = base + (l->seq == 99 ? age :
				   l->seq == 98 ? age - 1 : l->seq);
	}
	ret = hk_res_step(SELF, &res, ev, peer, base + age, &act);
	if (ret == want_ret && act == want_act && res.state == want.state &&
	    res.node == want.node && res.seq == want.seq)
		return true;
	tap_diag("%s event %u from %u generation %u%+d: %d, %s(%u, %u), actions 0x%x",
		 hk_res_state_name(state), ev, peer, base, age, ret,
		 hk_res_state_name(res.state), res.node, res.seq, act);
	return false;
}

static bool cell(u8 state, u8 ev)
{
	/* generations wrap */
	static const u32 bases[] = { 0, 1, 10, 0x7ffffffe, 0x7fffffff, 0x80000000,
				     0xfffffffe, 0xffffffff };
	unsigned int i;
	bool ok = true;
	u8 peer;
	int age;

	for (i = 0; i < ARRAY_SIZE(bases); i++)
		for (peer = NODE; peer <= OTHER; peer++)
			for (age = -2; age <= 2; age++)
				ok &= one(state, ev, peer, age, bases[i]);
	return ok;
}

static bool impossible(u8 state, int ev)
{
	struct hk_res res = { state, NODE, 7 };
	unsigned int act = 1;

	return hk_res_step(SELF, &res, ev, OTHER, 8, &act) == -EPROTO && !act &&
	       res.state == state && res.node == NODE && res.seq == 7;
}

void test_residency(void)
{
	static const char * const events[] = {
		"LEAVE", "CANCEL", "STATE", "APPLIED", "APPLY_FAILED", "TAKEN",
		"REFUSED",
	};
	unsigned int s, e;

	for (s = 0; s < HK_RES_NR; s++) {
		struct hk_res res = { .state = s };

		for (e = 0; e < HK_RES_EV_NR; e++)
			tap_ok(cell(s, e), "residency: %s, %s%s",
			       hk_res_state_name(s), events[e],
			       line_of(s, e, NODE, 1) ? "" : ": -EPROTO");
		tap_ok(hk_res_keeps(&res) == (s == S(LEAVING) || s == S(ARRIVING)),
		       "residency: %s keeps interrupts or not",
		       hk_res_state_name(s));
	}
	tap_ok(impossible(HK_RES_NR, E(TAKEN)) && impossible(255, E(TAKEN)),
	       "residency: no such state");
	tap_ok(impossible(S(AWAY), HK_RES_EV_NR) && impossible(S(AWAY), 1000) &&
	       impossible(S(AWAY), -1), "residency: no such event");
	tap_ok(!strcmp(hk_res_state_name(HK_RES_NR), "?") &&
	       !strcmp(hk_res_state_name(S(LEAVING)), "leaving"),
	       "residency: names");
}
