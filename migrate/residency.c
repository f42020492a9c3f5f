// SPDX-License-Identifier: GPL-2.0
/*
 * Where a vCPU lives
 *
 *                LEAVE                 STATE
 *       HERE ----------> LEAVING      AWAY ----------> ARRIVING
 *        ^ ^ CANCEL,      |  TAKEN      ^ APPLY_FAILED  |  |
 *        | +--REFUSED-----+---------> AWAY <------------+  |
 *        +----------------- APPLIED -----------------------+
 *
 * The state message and TAKEN travel on ordered links. The source commits when
 * it hears TAKEN; until then it keeps the state and every interrupt that comes,
 * so a target that refuses costs nothing but time. Of source and target one at
 * most is HERE at any time: the target becomes HERE before it says TAKEN, the
 * source left HERE before it sent the state.
 *
 * A target that took the vCPU may have passed it on before the source hears of
 * that: links between different nodes keep no order. So TAKEN of any later
 * generation, from anybody, tells the source that its target has taken it. If it
 * waited for the target's own word it would refuse a vCPU that comes back to it
 * first, and never learn what it has ignored.
 */
#include "residency.h"

enum { SAME = HK_RES_NR };

/**
 * struct hk_res_rule - one cell of the table
 * @legal: 0: protocol error
 * @next: next state, or SAME
 * @act: HK_RES_ACT_*
 * @match: the event counts only when its peer is @node and its seq is @seq + 1
 * @newer: the event counts only when its seq is higher than @seq
 * @heir: and generation @seq + 1 can only have begun on @node
 */
struct hk_res_rule {
	u8 legal;
	u8 next;
	u8 act;
	u8 match;
	u8 newer;
	u8 heir;
};

static const struct hk_res_rule rules[HK_RES_NR][HK_RES_EV_NR] = {
	[HK_RES_AWAY] = {
		[HK_RES_EV_STATE] = { 1, HK_RES_ARRIVING, HK_RES_ACT_WAKE,
				      .newer = 1 },
		[HK_RES_EV_TAKEN] = { 1, SAME, HK_RES_ACT_WAKE, .newer = 1 },
		[HK_RES_EV_REFUSED] = { 1, SAME, 0 },
	},
	[HK_RES_HERE] = {
		[HK_RES_EV_LEAVE] = { 1, HK_RES_LEAVING, 0 },
		[HK_RES_EV_STATE] = { 1, SAME, HK_RES_ACT_TELL_REFUSED },
		[HK_RES_EV_TAKEN] = { 1, SAME, 0 },
		[HK_RES_EV_REFUSED] = { 1, SAME, 0 },
	},
	[HK_RES_LEAVING] = {
		[HK_RES_EV_CANCEL] = { 1, HK_RES_HERE,
				       HK_RES_ACT_INJECT | HK_RES_ACT_WAKE },
		[HK_RES_EV_STATE] = { 1, SAME, HK_RES_ACT_TELL_REFUSED },
		[HK_RES_EV_TAKEN] = { 1, HK_RES_AWAY,
				      HK_RES_ACT_FORWARD | HK_RES_ACT_WAKE,
				      .newer = 1, .heir = 1 },
		[HK_RES_EV_REFUSED] = { 1, HK_RES_HERE,
					HK_RES_ACT_INJECT | HK_RES_ACT_WAKE,
					.match = 1 },
	},
	[HK_RES_ARRIVING] = {
		[HK_RES_EV_APPLIED] = { 1, HK_RES_HERE,
					HK_RES_ACT_INJECT | HK_RES_ACT_TELL_TAKEN |
					HK_RES_ACT_WAKE },
		[HK_RES_EV_APPLY_FAILED] = { 1, HK_RES_AWAY,
					     HK_RES_ACT_FORWARD |
					     HK_RES_ACT_TELL_REFUSED |
					     HK_RES_ACT_WAKE },
		[HK_RES_EV_STATE] = { 1, SAME, HK_RES_ACT_TELL_REFUSED },
		[HK_RES_EV_TAKEN] = { 1, SAME, 0 },
		[HK_RES_EV_REFUSED] = { 1, SAME, 0 },
	},
};

int hk_res_step(u16 self, struct hk_res *res, enum hk_res_event ev, u16 peer,
		u32 seq, unsigned int *act)
{
	const struct hk_res_rule *rule;
	u8 old = res->state;

	*act = 0;
	if (old >= HK_RES_NR || (unsigned int)ev >= HK_RES_EV_NR)
		return -EPROTO;
	rule = &rules[old][ev];
	if (!rule->legal)
		return -EPROTO;
	if (rule->match && (peer != res->node || seq != res->seq + 1))
		return 0;
	if (rule->newer && (s32)(seq - res->seq) <= 0)
		/* a refusal, or the source would wait for an answer for ever */
		return ev == HK_RES_EV_STATE ?
			(*act = HK_RES_ACT_TELL_REFUSED, 0) : 0;
	if (rule->heir && seq == res->seq + 1 && peer != res->node)
		return 0;
	*act = rule->act;
	if (rule->next != SAME)
		res->state = rule->next;

	switch (ev) {
	case HK_RES_EV_LEAVE:
		res->node = peer;
		break;
	case HK_RES_EV_STATE:
		if (old == HK_RES_AWAY) {
			res->node = peer;
			res->seq = seq - 1;
		}
		break;
	case HK_RES_EV_APPLIED:
		res->node = self;
		res->seq++;
		break;
	case HK_RES_EV_TAKEN:
		if (old == HK_RES_LEAVING || old == HK_RES_AWAY) {
			res->node = peer;
			res->seq = seq;
		}
		break;
	case HK_RES_EV_CANCEL:
	case HK_RES_EV_REFUSED:
		if (res->state == HK_RES_HERE)
			res->node = self;
		break;
	case HK_RES_EV_APPLY_FAILED:
	case HK_RES_EV_NR:
		break;
	}
	return 0;
}

const char *hk_res_state_name(u8 state)
{
	static const char * const names[] = {
		[HK_RES_AWAY] = "away", [HK_RES_HERE] = "here",
		[HK_RES_LEAVING] = "leaving", [HK_RES_ARRIVING] = "arriving",
	};

	return state < HK_RES_NR ? names[state] : "?";
}
