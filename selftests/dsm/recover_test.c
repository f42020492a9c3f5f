// SPDX-License-Identifier: GPL-2.0
/*
 * Loss of a node: steps and barriers, which messages count, what pages settle
 * to, how entries are built; and whatever a faulty peer could say
 */
#include <string.h>

#include "../../dsm/recover.h"
#include "show.h"
#include "tap.h"

#define SELF	2
#define N(_n)	hk_node_bit(_n)
/* 4 is gone in epoch 7 */
#define OLD	(N(1) | N(2) | N(3) | N(4))
#define NEW	(N(1) | N(2) | N(3))

static int step(struct hk_recover *r, enum hk_recover_event ev, u32 epoch,
		u64 members, u16 from, u8 at, struct hk_recover_out *out)
{
	const struct hk_recover_in in = {
		.members = members, .epoch = epoch, .from = from, .step = at,
	};

	return hk_recover_step(r, ev, &in, out);
}

static int epoch(struct hk_recover *r, u32 epoch, u64 members,
		 struct hk_recover_out *out)
{
	return step(r, HK_REC_EV_EPOCH, epoch, members, 0, 0, out);
}

static int worked(struct hk_recover *r, u32 epoch, u8 at,
		  struct hk_recover_out *out)
{
	return step(r, HK_REC_EV_WORKED, epoch, 0, 0, at, out);
}

static int mark(struct hk_recover *r, u16 from, u8 at,
		struct hk_recover_out *out)
{
	return step(r, HK_REC_EV_MARK, 0, r->members, from, at, out);
}

/* A node of epoch 7 in @at that waits for all marks, its own included */
static struct hk_recover at(u8 at)
{
	struct hk_recover_out out;
	struct hk_recover r;
	u8 s;

	hk_recover_init(&r, SELF, 6, OLD);
	if (at == HK_REC_RUN)
		return r;
	epoch(&r, 7, NEW, &out);
	for (s = HK_REC_FREEZE; s < at; s++) {
		worked(&r, 7, s, &out);
		mark(&r, 1, s, &out);
		mark(&r, 3, s, &out);
	}
	return r;
}

static const u8 acts[HK_REC_NR + 1] = {
	[HK_REC_FREEZE] = HK_REC_ACT_FREEZE | HK_REC_ACT_LEARN,
	[HK_REC_DIRECTORY] = HK_REC_ACT_REPORT,
	[HK_REC_OWNERS] = HK_REC_ACT_DECIDE,
	[HK_REC_PAGES] = HK_REC_ACT_FORGET,
	[HK_REC_NR] = HK_REC_ACT_THAW,
};

static void test_steps(void)
{
	struct hk_recover_out out;
	struct hk_recover r;
	bool ok;
	u8 s;

	hk_recover_init(&r, SELF, 6, OLD);
	ok = !epoch(&r, 7, NEW, &out) && out.act == acts[HK_REC_FREEZE] &&
	     !out.mark_to && r.step == HK_REC_FREEZE && r.epoch == 7 &&
	     r.ran == 6 && r.members == NEW;
	tap_ok(ok, "a newer epoch freezes");
	for (s = HK_REC_FREEZE; s <= HK_REC_PAGES; s++) {
		ok = !mark(&r, 3, s, &out) && !out.act && r.step == s;
		ok &= !worked(&r, 7, s, &out) && !out.act && r.step == s &&
		      out.mark_to == (N(1) | N(3)) && out.mark == s;
		/* 3 is a step ahead where there is one */
		if (s < HK_REC_PAGES)
			ok &= !mark(&r, 1, s, &out) && out.act == acts[s + 1] &&
			      r.step == s + 1 && !r.marks && !r.early;
		tap_ok(ok, "%s ends with the last mark", hk_recover_step_name(s));
	}
	ok = !mark(&r, 1, HK_REC_PAGES, &out) && out.act == HK_REC_ACT_THAW &&
	     r.step == HK_REC_RUN && r.ran == 7 && !r.marks;
	tap_ok(ok, "and then the node runs");

	r = at(HK_REC_FREEZE);
	ok = !mark(&r, 1, HK_REC_FREEZE, &out) &&
	     !mark(&r, 3, HK_REC_FREEZE, &out) && r.step == HK_REC_FREEZE &&
	     !worked(&r, 7, HK_REC_FREEZE, &out) && out.mark_to &&
	     out.act == HK_REC_ACT_REPORT;
	tap_ok(ok, "the node itself may be the last");

	r = at(HK_REC_FREEZE);
	ok = !worked(&r, 7, HK_REC_FREEZE, &out) &&
	     !mark(&r, 1, HK_REC_FREEZE, &out) &&
	     !mark(&r, 3, HK_REC_FREEZE, &out) &&
	     !worked(&r, 7, HK_REC_DIRECTORY, &out) &&
	     !mark(&r, 3, HK_REC_DIRECTORY, &out) &&
	     !mark(&r, 1, HK_REC_DIRECTORY, &out);
	r = at(HK_REC_DIRECTORY);
	ok &= !worked(&r, 7, HK_REC_DIRECTORY, &out) &&
	      !mark(&r, 3, HK_REC_DIRECTORY, &out) &&
	      !mark(&r, 3, HK_REC_OWNERS, &out) && r.early == N(3) &&
	      !mark(&r, 1, HK_REC_DIRECTORY, &out) &&
	      r.step == HK_REC_OWNERS && r.marks == N(3) && !r.early;
	tap_ok(ok, "a mark of the next step is kept for it");

	hk_recover_init(&r, SELF, 6, OLD);
	ok = !epoch(&r, 9, N(SELF), &out);
	for (s = HK_REC_FREEZE; s <= HK_REC_PAGES; s++)
		ok &= !worked(&r, 9, s, &out) && !out.mark_to &&
		      out.act == acts[s + 1];
	tap_ok(ok && r.step == HK_REC_RUN, "alone, nobody is waited for");
}

static void test_again(void)
{
	static const struct {
		u8 at;
		bool decided;
		u8 act;
	} cases[] = {
		{ HK_REC_RUN, false, HK_REC_ACT_FREEZE | HK_REC_ACT_LEARN },
		{ HK_REC_FREEZE, false, HK_REC_ACT_FREEZE },
		{ HK_REC_DIRECTORY, false, HK_REC_ACT_FREEZE },
		{ HK_REC_OWNERS, false, HK_REC_ACT_FREEZE },
		{ HK_REC_OWNERS, true, HK_REC_ACT_FREEZE | HK_REC_ACT_LEARN },
		{ HK_REC_PAGES, false, HK_REC_ACT_FREEZE | HK_REC_ACT_LEARN },
	};
	struct hk_recover_out out;
	struct hk_recover r;
	size_t i;
	bool ok;
	int ret;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		r = at(cases[i].at);
		if (cases[i].at != HK_REC_RUN)
			mark(&r, 1, cases[i].at, &out);
		if (cases[i].decided)
			worked(&r, 7, HK_REC_OWNERS, &out);
		ret = epoch(&r, 8, N(2) | N(3), &out);
		ok = !ret && r.step == HK_REC_FREEZE && r.epoch == 8 &&
		     r.members == (N(2) | N(3)) && !r.marks && !r.early &&
		     r.ran == 6 && out.act == cases[i].act && !out.mark_to;
		tap_ok(ok, "a newer epoch ends %s%s",
		       hk_recover_step_name(cases[i].at),
		       cases[i].decided ? " when its work is done" : "");
		if (cases[i].at == HK_REC_RUN)
			continue;
		ret = worked(&r, 7, cases[i].at, &out);
		tap_ok(ret == -EINTR && !r.marks && !out.mark_to,
		       "and the work of it with -EINTR");
	}
}

static void refuse(struct hk_recover r, int want, enum hk_recover_event ev,
		   struct hk_recover_in in, const char *name)
{
	struct hk_recover old = r;
	struct hk_recover_out out;
	int ret = hk_recover_step(&r, ev, &in, &out);

	if (ret != want)
		tap_diag("returns %d, expected %d", ret, want);
	tap_ok(ret == want && !memcmp(&r, &old, sizeof(r)) && !out.act &&
	       !out.mark_to, "refused: %s", name);
}

#define MARK(_from, _step, _members) HK_REC_EV_MARK, \
	(struct hk_recover_in){ .from = (_from), .step = HK_REC_##_step, \
				.members = (_members) }
#define WORKED(_epoch, _step) HK_REC_EV_WORKED, \
	(struct hk_recover_in){ .epoch = (_epoch), .step = HK_REC_##_step }
#define EPOCH(_epoch, _members) HK_REC_EV_EPOCH, \
	(struct hk_recover_in){ .epoch = (_epoch), .members = (_members) }

static void test_refused(void)
{
	struct hk_recover freeze = at(HK_REC_FREEZE), marked = freeze;
	struct hk_recover pages = at(HK_REC_PAGES), bad = freeze;
	struct hk_recover_out out;

	bad.step = HK_REC_NR;
	mark(&marked, 1, HK_REC_FREEZE, &out);
	worked(&marked, 7, HK_REC_FREEZE, &out);
	refuse(freeze, -EINVAL, EPOCH(7, N(2)), "the same epoch again");
	refuse(freeze, -EINVAL, EPOCH(6, N(2)), "an older epoch");
	refuse(freeze, -EINVAL, EPOCH(8, OLD), "a node that comes back");
	refuse(freeze, -ESHUTDOWN, EPOCH(8, N(1) | N(3)),
	       "an epoch without this node");
	refuse(at(HK_REC_RUN), -EPROTO, MARK(1, FREEZE, OLD), "mark while running");
	refuse(at(HK_REC_RUN), -EINTR, WORKED(6, PAGES), "work while running");
	refuse(freeze, -EPROTO, MARK(4, FREEZE, NEW), "mark of the dead");
	refuse(freeze, -EPROTO, MARK(0, FREEZE, NEW), "mark of nobody");
	refuse(freeze, -EPROTO, MARK(SELF, FREEZE, NEW), "mark of this node");
	refuse(freeze, -EPROTO, MARK(HK_MAX_NODES, FREEZE, NEW),
	       "mark of a node that cannot be");
	refuse(freeze, -EPROTO, MARK(1, FREEZE, OLD), "other members");
	refuse(freeze, -EPROTO, MARK(1, RUN, NEW), "mark of an earlier step");
	refuse(freeze, -EPROTO, MARK(1, DIRECTORY, NEW), "mark that skips a step");
	refuse(marked, -EPROTO, MARK(1, FREEZE, NEW), "mark twice");
	refuse(marked, -EPROTO, MARK(1, OWNERS, NEW), "mark two steps ahead");
	refuse(marked, -EINTR, WORKED(7, FREEZE), "work twice");
	refuse(freeze, -EINTR, WORKED(7, DIRECTORY), "work of another step");
	refuse(freeze, -EINTR, WORKED(6, FREEZE), "work of another epoch");
	mark(&freeze, 1, HK_REC_FREEZE, &out);
	refuse(freeze, -EPROTO, MARK(1, DIRECTORY, NEW),
	       "mark behind a barrier that this node has not reached");
	refuse(pages, -EPROTO, MARK(1, NR, NEW), "mark of no step");
	refuse(bad, -EPROTO, WORKED(7, FREEZE), "step that cannot be");
	refuse(freeze, -EPROTO, HK_REC_EV_NR, (struct hk_recover_in){ 0 },
	       "event that cannot be");
}

#define WHO_EARLY	1	/* has marked the step */
#define WHO_LATE	3

static void test_judge(void)
{
	/* by step of a node of epoch 7 that waits for 3; of 1 or 3 */
	static const struct {
		u8 step;
		u16 from;
		u32 epoch;
		u8 type;
		int want;
		const char *name;
	} cases[] = {
		{ HK_REC_RUN, 1, 6, HK_DMSG_INV, HK_REC_TAKE, "own epoch" },
		{ HK_REC_RUN, 4, 6, HK_DMSG_INV, HK_REC_TAKE, "of a node not known to be dead" },
		{ HK_REC_RUN, 1, 5, HK_DMSG_INV, HK_REC_DROP, "old request" },
		{ HK_REC_RUN, 1, 5, HK_DMSG_DATA_X, HK_REC_DROP, "old reply" },
		{ HK_REC_RUN, 1, 7, HK_DMSG_INV, HK_REC_LATER, "later epoch" },
		{ HK_REC_RUN, 1, 7, HK_RMSG_MARK, HK_REC_LATER, "mark of a later epoch" },
		{ HK_REC_RUN, 1, 6, HK_RMSG_MARK, -EPROTO, "mark of a recovery that is over" },
		{ HK_REC_RUN, 1, 6, HK_RMSG_REPORT, -EPROTO, "report of one" },
		{ HK_REC_RUN, 1, 6, HK_RMSG_OWNER, -EPROTO, "owner of one" },
		{ HK_REC_RUN, 9, 6, HK_DMSG_INV, HK_REC_DROP, "of a stranger" },
		{ HK_REC_RUN, 0, 6, HK_DMSG_INV, HK_REC_DROP, "of nobody" },
		{ HK_REC_RUN, 64, 6, HK_DMSG_INV, HK_REC_DROP, "of a node that cannot be" },

		{ HK_REC_FREEZE, 3, 6, HK_DMSG_DATA_S, HK_REC_ABSORB, "reply under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_DATA_X, HK_REC_ABSORB, "reply under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_GRANT_X, HK_REC_ABSORB, "reply under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_INV, HK_REC_DROP, "request under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_FWD_X, HK_REC_DROP, "request under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_GET_X, HK_REC_DROP, "request under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_ACK, HK_REC_DROP, "ACK under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_DONE, HK_REC_DROP, "DONE under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_LOST, HK_REC_DROP, "LOST under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_LEND, HK_REC_DROP, "LEND under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_PASS_S, HK_REC_DROP, "PASS_S under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_UNLEND, HK_REC_DROP, "UNLEND under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_BACK, HK_REC_DROP, "BACK under way" },
		{ HK_REC_FREEZE, 3, 6, HK_DMSG_MOVED, HK_REC_DROP, "MOVED under way" },
		{ HK_REC_FREEZE, 3, 5, HK_DMSG_DATA_X, HK_REC_DROP, "reply of an older epoch" },
		{ HK_REC_FREEZE, 1, 6, HK_DMSG_DATA_X, HK_REC_DROP, "reply behind a mark" },
		{ HK_REC_FREEZE, 4, 6, HK_DMSG_DATA_X, HK_REC_DROP, "reply of the dead" },
		{ HK_REC_FREEZE, 4, 8, HK_DMSG_DATA_X, HK_REC_DROP, "of the dead, later" },
		{ HK_REC_FREEZE, 3, 7, HK_RMSG_MARK, HK_REC_TAKE, "mark" },
		{ HK_REC_FREEZE, 3, 6, HK_RMSG_MARK, HK_REC_DROP, "old mark" },
		{ HK_REC_FREEZE, 1, 7, HK_RMSG_REPORT, HK_REC_TAKE, "report, a step ahead" },
		{ HK_REC_FREEZE, 3, 7, HK_RMSG_REPORT, -EPROTO, "report before a mark" },
		{ HK_REC_FREEZE, 1, 7, HK_RMSG_OWNER, -EPROTO, "owner too early" },
		{ HK_REC_FREEZE, 1, 7, HK_DMSG_GET_S, -EPROTO, "request too early" },
		{ HK_REC_FREEZE, 1, 8, HK_RMSG_MARK, HK_REC_LATER, "mark of a later epoch" },

		{ HK_REC_DIRECTORY, 3, 6, HK_DMSG_DATA_X, HK_REC_DROP, "old reply" },
		{ HK_REC_DIRECTORY, 3, 7, HK_RMSG_REPORT, HK_REC_TAKE, "report" },
		{ HK_REC_DIRECTORY, 3, 6, HK_RMSG_REPORT, HK_REC_DROP, "old report" },
		{ HK_REC_DIRECTORY, 1, 7, HK_RMSG_REPORT, -EPROTO, "report behind a mark" },
		{ HK_REC_DIRECTORY, 1, 7, HK_RMSG_OWNER, HK_REC_TAKE, "owner, a step ahead" },
		{ HK_REC_DIRECTORY, 3, 7, HK_RMSG_OWNER, -EPROTO, "owner before a mark" },
		{ HK_REC_DIRECTORY, 3, 7, HK_DMSG_GET_S, -EPROTO, "request too early" },

		{ HK_REC_OWNERS, 3, 7, HK_RMSG_OWNER, HK_REC_TAKE, "owner" },
		{ HK_REC_OWNERS, 3, 6, HK_RMSG_OWNER, HK_REC_DROP, "old owner" },
		{ HK_REC_OWNERS, 1, 7, HK_RMSG_OWNER, -EPROTO, "owner behind a mark" },
		{ HK_REC_OWNERS, 3, 7, HK_RMSG_REPORT, -EPROTO, "report too late" },
		{ HK_REC_OWNERS, 3, 7, HK_DMSG_GET_S, -EPROTO, "request too early" },

		{ HK_REC_PAGES, 3, 7, HK_DMSG_GET_S, HK_REC_TAKE, "request of who runs" },
		{ HK_REC_PAGES, 1, 7, HK_DMSG_INV, HK_REC_TAKE, "recall of who runs" },
		{ HK_REC_PAGES, 3, 7, HK_DMSG_LEND, HK_REC_TAKE, "LEND of who runs" },
		{ HK_REC_PAGES, 3, 6, HK_DMSG_LEND, HK_REC_DROP, "old LEND" },
		{ HK_REC_PAGES, 3, 6, HK_DMSG_GET_S, HK_REC_DROP, "old request" },
		{ HK_REC_PAGES, 3, 7, HK_RMSG_OWNER, -EPROTO, "owner too late" },
		{ HK_REC_PAGES, 3, 8, HK_RMSG_MARK, HK_REC_LATER, "mark of a later epoch" },
	};
	struct hk_recover_out out;
	struct hk_recover r;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		r = at(cases[i].step);
		if (cases[i].step != HK_REC_RUN) {
			worked(&r, 7, cases[i].step, &out);
			mark(&r, WHO_EARLY, cases[i].step, &out);
		}
		ret = hk_recover_judge(&r, cases[i].from, cases[i].epoch,
				       cases[i].type);
		if (ret != cases[i].want)
			tap_diag("returns %d, expected %d", ret, cases[i].want);
		tap_ok(ret == cases[i].want, "judged in %s: %s",
		       hk_recover_step_name(cases[i].step), cases[i].name);
	}
	r = at(HK_REC_PAGES);
	tap_ok(hk_recover_judge(&r, 1, 7, HK_DMSG_GET_S) == -EPROTO,
	       "nobody runs before this node has done its work");
	r.marks = r.members;
	r.epoch = 0x80000000;
	tap_ok(hk_recover_judge(&r, 1, 0x7fffffff, HK_DMSG_GET_S) ==
	       HK_REC_DROP &&
	       hk_recover_judge(&r, 1, 0x80000001, HK_DMSG_GET_S) ==
	       HK_REC_LATER, "epochs are numbers without a sign");
}

#define P(_from, _to, _report) \
	{ HK_PG_##_from, 0, HK_PG_##_to, HK_REPORT_##_report }

static void test_settle(void)
{
	static const struct {
		u8 from;
		u8 replied;
		u8 to;
		u8 report;
	} cases[] = {
		P(INVALID, INVALID, NOTHING),
		P(SHARED, SHARED, SHARED),
		P(OWNED, OWNED, OWNED),
		P(EXCLUSIVE, EXCLUSIVE, EXCLUSIVE),
		P(INVALID_RD, INVALID, NOTHING),
		P(INVALID_WR, INVALID, NOTHING),
		{ HK_PG_INVALID_WR, 1, HK_PG_OWNED, HK_REPORT_OWNED },
		P(SHARED_WR, SHARED, SHARED),
		{ HK_PG_SHARED_WR, 1, HK_PG_SHARED, HK_REPORT_SHARED },
		P(OWNED_WR, OWNED, OWNED),
		{ HK_PG_OWNED_WR, 1, HK_PG_OWNED, HK_REPORT_OWNED },
		P(SHARED_TAKE, SHARED, SHARED),
		P(OWNED_TAKE, OWNED, OWNED),
		P(EXCLUSIVE_DOWN, EXCLUSIVE, EXCLUSIVE),
		P(EXCLUSIVE_TAKE, EXCLUSIVE, EXCLUSIVE),
		P(SHARED_WR_TAKE, SHARED, SHARED),
		P(OWNED_WR_TAKE, OWNED, OWNED),
	};
	static const struct hk_page_ctx zero;
	u8 state, report;
	bool ok = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hk_page_ctx ctx = {
			.acks = hk_node_bit(3), .tokens = { 7, 8 },
			.replied = cases[i].replied,
			.recall_req = 3, .recall_type = HK_DMSG_INV,
			.recall_token = 9,
		};

		state = cases[i].from;
		report = hk_recover_page(&state, &ctx);
		tap_ok(state == cases[i].to && report == cases[i].report &&
		       !memcmp(&ctx, &zero, sizeof(ctx)), "%s%s settles to %s",
		       hk_page_state_name(cases[i].from),
		       cases[i].replied ? " with its reply" : "",
		       hk_page_state_name(cases[i].to));
	}
	for (i = 0; i < HK_PG_NR; i++) {
		struct hk_page_ctx ctx = zero;

		state = i;
		ok &= !hk_recover_owner(&state) ? i == HK_PG_SHARED &&
						  state == HK_PG_OWNED :
						  i != HK_PG_SHARED && state == i;
		state = i;
		hk_recover_page(&state, &ctx);
		report = state;
		hk_recover_page(&state, &ctx);
		ok &= hk_page_stable(state) && state == report;
	}
	tap_ok(ok, "only a sharer becomes owner; to settle twice changes nothing");
}

struct said {
	u16 from;
	u8 what;
};

#define SH	HK_REPORT_SHARED
#define OW	HK_REPORT_OWNED
#define EX	HK_REPORT_EXCLUSIVE
#define UN	HK_REPORT_UNTOUCHED

static void test_build(void)
{
	static const struct {
		const char *name;
		struct said said[4];
		int ret;	/* of the last one */
		struct hk_dir dir;
		u16 told;
	} cases[] = {
		{ "nobody has it", .said = { { 1, 0 }, { 2, 0 } },
		  .dir = { .flags = HK_DIR_F_LOST } },
		{ "nobody said anything", .said = { { 0, 0 } },
		  .dir = { .flags = HK_DIR_F_LOST } },
		{ "untouched", .said = { { 1, 0 }, { 2, UN } },
		  .dir = { 0 } },
		{ "two who know", .said = { { 1, UN }, { 2, UN } },
		  .dir = { 0 } },
		{ "exclusive", .said = { { 1, 0 }, { 2, EX }, { 3, 0 } },
		  .dir = { .owner = 2 } },
		{ "owner alone", .said = { { 63, OW } },
		  .dir = { .owner = 63 } },
		{ "owner and sharers", .said = { { 3, SH }, { 2, OW }, { 63, SH } },
		  .dir = { .owner = 2, .sharers = N(3) | N(63) } },
		{ "sharers, owner gone", .said = { { 63, SH }, { 3, SH }, { 1, 0 } },
		  .dir = { .owner = 3, .sharers = N(63) }, .told = 3 },
		{ "one sharer", .said = { { 63, SH } },
		  .dir = { .owner = 63 }, .told = 63 },
		{ "two owners", .said = { { 1, OW }, { 2, OW } }, .ret = -EPROTO },
		{ "two exclusive owners", .said = { { 1, EX }, { 2, EX } }, .ret = -EPROTO },
		{ "exclusive, then a sharer", .said = { { 1, EX }, { 2, SH } }, .ret = -EPROTO },
		{ "sharer, then exclusive", .said = { { 2, SH }, { 1, EX } }, .ret = -EPROTO },
		{ "untouched and shared", .said = { { 2, UN }, { 1, SH } }, .ret = -EPROTO },
		{ "owned and untouched", .said = { { 2, OW }, { 1, UN } }, .ret = -EPROTO },
		{ "shared and untouched", .said = { { 2, SH }, { 1, UN } }, .ret = -EPROTO },
		{ "both from one", .said = { { 2, OW | UN } }, .ret = -EPROTO },
		{ "the same node twice", .said = { { 2, 0 }, { 2, SH } }, .ret = -EPROTO },
		{ "nobody", .said = { { 1, 0 }, { 0, SH } }, .ret = -EPROTO },
		{ "node that cannot be", .said = { { HK_MAX_NODES, SH } }, .ret = -EPROTO },
		{ "report that cannot be", .said = { { 1, 8 } }, .ret = -EPROTO },
	};
	size_t i;
	int k;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hk_recover_dir rd = { 0 }, old = rd;
		struct hk_dir dir = { .owner = 9, .busy = 9, .flags = 9 };
		bool ok = true;
		u16 told;
		int ret = 0;

		for (k = 0; k < 4 && !ret; k++) {
			if (!cases[i].said[k].from && !cases[i].said[k].what)
				continue;
			old = rd;
			ret = hk_recover_report(&rd, cases[i].said[k].from,
						cases[i].said[k].what);
		}
		ok = ret == cases[i].ret;
		if (ret) {
			tap_ok(ok && !memcmp(&rd, &old, sizeof(rd)),
			       "reports refused: %s", cases[i].name);
			continue;
		}
		told = hk_recover_decide(&rd, &dir);
		tap_ok(ok && told == cases[i].told &&
		       !memcmp(&dir, &cases[i].dir, sizeof(dir)),
		       "entry built: %s", cases[i].name);
	}
}

static void test_entry(void)
{
	const struct hk_dir none = { 0 };
	const struct hk_dir owned = { .owner = 3 };
	const struct hk_dir lost = { .flags = HK_DIR_F_LOST };
	bool ok = true;
	u8 i;

	tap_ok(hk_recover_untouched(&none) && !hk_recover_untouched(&owned) &&
	       !hk_recover_untouched(&lost), "what an old entry says");
	for (i = 0; i < HK_REC_NR; i++)
		ok &= hk_recover_step_name(i)[0] != '?';
	tap_ok(ok && hk_recover_step_name(HK_REC_NR)[0] == '?',
	       "every step has a name");
}

void test_recover(void)
{
	test_steps();
	test_again();
	test_refused();
	test_judge();
	test_settle();
	test_build();
	test_entry();
}
