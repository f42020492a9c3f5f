// SPDX-License-Identifier: GPL-2.0
/*
 * Directory: each transaction, what is refused, who is served next
 */
#include <assert.h>
#include <string.h>

#include "../../dsm/directory.h"
#include "show.h"
#include "tap.h"

#define GFN	0xfedcba987ULL
#define HOME	1
#define HAVE	HK_DMSG_F_HAVE
#define N(_n)	hk_node_bit(_n)

static_assert(sizeof(struct hk_dir) == 16, "a directory entry is 16 bytes");

struct dir_case {
	const char *name;
	struct hk_dir dir;
	struct hk_dir_wait wait;
	u16 from;
	u8 type;
	u8 flags;
	u16 req;
	u64 x;			/* nodes whose GET_S has a token for the page */
	u64 acks;
	u16 self;		/* 0: HOME */
	bool lend;
	int ret;
	struct hk_dir dir_next;
	struct hk_dir_wait wait_next;
	const char *out;
};

#define GET_S(_from) .from = (_from), .type = HK_DMSG_GET_S
#define GET_X(_from) .from = (_from), .type = HK_DMSG_GET_X
#define DONE(_from, _req) \
	.from = (_from), .type = HK_DMSG_DONE, .req = (_req)
#define PASS_S(_from, _req) \
	.from = (_from), .type = HK_DMSG_PASS_S, .req = (_req)
#define UNLEND(_from) .from = (_from), .type = HK_DMSG_UNLEND
#define BACK(_from, _acks) \
	.from = (_from), .type = HK_DMSG_BACK, .acks = (_acks)
#define LENT	HK_DIR_F_LENT
#define ASKED	HK_DIR_F_ASKED
#define RULES	HK_DIR_F_RULES
#define GIVES	HK_DIR_F_GIVES
#define WARY	HK_DIR_F_WARY
#define LOANED	HK_DIR_F_LOANED
#define STEADY	HK_DMSG_F_STEADY
#define DIR(...) .dir = { __VA_ARGS__ }
#define DIR_NEXT(...) .dir_next = { __VA_ARGS__ }
#define WAIT(...) .wait = { __VA_ARGS__ }
#define WAIT_NEXT(...) .wait_next = { __VA_ARGS__ }

static const struct dir_case cases[] = {
	{ "first touch, read", GET_S(3), DIR_NEXT(.owner = 3),
	  .out = "GRANT_X>3 NO_DONE" },
	{ "first touch, write", GET_X(3), DIR_NEXT(.owner = 3),
	  .out = "GRANT_X>3 NO_DONE" },
	{ "first touch by home", GET_X(HOME), DIR_NEXT(.owner = HOME),
	  .out = "GRANT_X>1 NO_DONE" },

	{ "read", DIR(.owner = 2), GET_S(3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3),
	  .out = "FWD_S>2 req 3" },
	{ "read, home owns", DIR(.owner = HOME), GET_S(3),
	  DIR_NEXT(.owner = HOME, .sharers = N(3), .busy = 3),
	  .out = "FWD_S>1 req 3" },
	{ "read by a second sharer", DIR(.owner = 2, .sharers = N(3)),
	  GET_S(4), DIR_NEXT(.owner = 2, .sharers = N(3) | N(4), .busy = 4),
	  .out = "FWD_S>2 req 4" },
	{ "read by a sharer that dropped its copy",
	  DIR(.owner = 2, .sharers = N(3)), GET_S(3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3),
	  .out = "FWD_S>2 req 3" },

	{ "write, one owner", DIR(.owner = 2), GET_X(3),
	  DIR_NEXT(.owner = 3, .busy = 3), .out = "FWD_X>2 req 3" },
	{ "write, owner and sharers", DIR(.owner = 2, .sharers = N(4) | N(63)),
	  GET_X(3), DIR_NEXT(.owner = 3, .busy = 3),
	  .out = "INV>4+63 req 3, FWD_X>2 req 3 acks 4+63" },
	{ "write by a sharer that dropped its copy",
	  DIR(.owner = 2, .sharers = N(3) | N(4)), GET_X(3),
	  DIR_NEXT(.owner = 3, .busy = 3),
	  .out = "INV>4 req 3, FWD_X>2 req 3 acks 4" },
	{ "write, owner among the sharers", DIR(.owner = 2, .sharers = N(2) | N(4)),
	  GET_X(3), DIR_NEXT(.owner = 3, .busy = 3),
	  .out = "INV>4 req 3, FWD_X>2 req 3 acks 4" },
	{ "write, copy lost to an earlier writer", DIR(.owner = 2), GET_X(3),
	  .flags = HAVE, DIR_NEXT(.owner = 3, .busy = 3),
	  .out = "FWD_X>2 req 3" },

	{ "upgrade of a sharer", DIR(.owner = 2, .sharers = N(3) | N(4)),
	  GET_X(3), .flags = HAVE, DIR_NEXT(.owner = 3, .busy = 3),
	  .out = "INV>2+4 req 3, GRANT_X>3 acks 2+4 HAVE" },
	{ "upgrade of the owner", DIR(.owner = 2, .sharers = N(3) | N(4)),
	  GET_X(2), .flags = HAVE, DIR_NEXT(.owner = 2, .busy = 2, .steady = 1),
	  .out = "INV>3-4 req 2, GRANT_X>2 acks 3-4 HAVE" },
	{ "upgrade of home", DIR(.owner = HOME, .sharers = N(3)), GET_X(HOME),
	  .flags = HAVE, DIR_NEXT(.owner = HOME, .busy = HOME, .steady = 1),
	  .out = "INV>3 req 1, GRANT_X>1 acks 3 HAVE" },
	{ "upgrade, no other copy", DIR(.owner = 2), GET_X(2), .flags = HAVE,
	  DIR_NEXT(.owner = 2), .out = "GRANT_X>2 HAVE NO_DONE" },
	{ "upgrade, all others",
	  DIR(.owner = HOME, .sharers = ~(u64)0 << 2), GET_X(63),
	  .flags = HAVE, DIR_NEXT(.owner = 63, .busy = 63),
	  .out = "INV>1-62 req 63, GRANT_X>63 acks 1-62 HAVE" },

	{ "read of a lost page", DIR(.flags = HK_DIR_F_LOST), GET_S(3),
	  DIR_NEXT(.flags = HK_DIR_F_LOST), .out = "LOST>3" },
	{ "write of a lost page", DIR(.flags = HK_DIR_F_LOST), GET_X(3),
	  DIR_NEXT(.flags = HK_DIR_F_LOST), .out = "LOST>3" },

	/* pages that migrate: what is done */
	{ "read of a page that migrates", DIR(.owner = 2, .score = 7, .grants = 2),
	  GET_S(3), .x = N(3),
	  DIR_NEXT(.owner = 3, .busy = 3, .score = 7, .grants = 1),
	  .out = "FWD_X>2 req 3" },
	{ "read of a page that migrates, home owns",
	  DIR(.owner = HOME, .score = 6, .grants = 1), GET_S(3), .x = N(3),
	  DIR_NEXT(.owner = 3, .busy = 3, .score = 6), .out = "FWD_X>1 req 3" },
	{ "read of a page that migrates by home",
	  DIR(.owner = 2, .score = 6, .grants = 1), GET_S(HOME), .x = N(HOME),
	  DIR_NEXT(.owner = HOME, .busy = HOME, .score = 6),
	  .out = "FWD_X>2 req 1" },
	{ "read of a page that migrates, a copy is wanted",
	  DIR(.owner = 2, .score = 7, .grants = 2), GET_S(3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .score = 7, .grants = 2),
	  .out = "FWD_S>2 req 3" },
	{ "read of a page that migrates, there are copies",
	  DIR(.owner = 2, .sharers = N(4) | N(5), .score = 7, .grants = 2),
	  GET_S(3), .x = N(3),
	  DIR_NEXT(.owner = 2, .sharers = N(3) | N(4) | N(5), .busy = 3,
		   .score = 7, .grants = 2), .out = "FWD_S>2 req 3" },
	{ "read of a page that migrates, once more by who has a copy",
	  DIR(.owner = 2, .sharers = N(3), .score = 7, .grants = 2),
	  GET_S(3), .x = N(3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .score = 7, .grants = 2),
	  .out = "FWD_S>2 req 3" },
	{ "read that is watched", DIR(.owner = 2, .score = 16), GET_S(3),
	  .x = N(3), DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .score = 16),
	  .out = "FWD_S>2 req 3" },
	{ "write of a page that migrates",
	  DIR(.owner = 2, .score = 7, .grants = 2), GET_X(3),
	  DIR_NEXT(.owner = 3, .busy = 3, .score = 7, .grants = 2),
	  .out = "FWD_X>2 req 3" },
	{ "done, a reader waits for a page that migrates",
	  DIR(.owner = 3, .busy = 3, .score = 8, .grants = 3),
	  WAIT(.rd = N(2) | N(4), .last = 3), DONE(3, 3), .x = N(2) | N(4),
	  DIR_NEXT(.owner = 4, .busy = 4, .score = 8, .grants = 2),
	  WAIT_NEXT(.rd = N(2), .last = 4), .out = "FWD_X>3 req 4" },

	/* what is learnt */
	{ "lone reader writes: it migrates", DIR(.owner = 2, .sharers = N(3)),
	  GET_X(3), .flags = HAVE, DIR_NEXT(.owner = 3, .busy = 3, .score = 1),
	  .out = "INV>2 req 3, GRANT_X>3 acks 2 HAVE" },
	{ "lone reader writes, its copy dropped",
	  DIR(.owner = 2, .sharers = N(3), .score = 4), GET_X(3),
	  DIR_NEXT(.owner = 3, .busy = 3, .score = 5), .out = "FWD_X>2 req 3" },
	{ "lone reader writes, often enough",
	  DIR(.owner = 2, .sharers = N(3), .score = 5), GET_X(3), .flags = HAVE,
	  DIR_NEXT(.owner = 3, .busy = 3, .score = 6, .grants = 1),
	  .out = "INV>2 req 3, GRANT_X>3 acks 2 HAVE" },
	{ "lone reader writes, more than often",
	  DIR(.owner = 2, .sharers = N(3), .score = 16), GET_X(3), .flags = HAVE,
	  DIR_NEXT(.owner = 3, .busy = 3, .score = 16, .grants = 11),
	  .out = "INV>2 req 3, GRANT_X>3 acks 2 HAVE" },
	{ "one of two readers writes: counted at the second",
	  DIR(.owner = 2, .sharers = N(3) | N(4), .score = 7), GET_X(3),
	  .flags = HAVE, DIR_NEXT(.owner = 3, .busy = 3, .score = 7),
	  .out = "INV>2+4 req 3, GRANT_X>3 acks 2+4 HAVE" },
	{ "lone reader, then another one: it does not migrate",
	  DIR(.owner = 2, .sharers = N(3), .score = 16, .grants = 4), GET_S(4),
	  .x = N(4),
	  DIR_NEXT(.owner = 2, .sharers = N(3) | N(4), .busy = 4, .score = 10),
	  .out = "FWD_S>2 req 4" },
	{ "lone reader, then another one writes",
	  DIR(.owner = 2, .sharers = N(3), .score = 7), GET_X(4),
	  DIR_NEXT(.owner = 4, .busy = 4, .score = 1),
	  .out = "INV>3 req 4, FWD_X>2 req 4 acks 3" },
	{ "lone reader, then the owner writes",
	  DIR(.owner = 2, .sharers = N(3), .score = 5), GET_X(2), .flags = HAVE,
	  DIR_NEXT(.owner = 2, .busy = 2, .steady = 1),
	  .out = "INV>3 req 2, GRANT_X>2 acks 3 HAVE" },
	{ "lone reader reads again: nothing",
	  DIR(.owner = 2, .sharers = N(3), .score = 5), GET_S(3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .score = 5),
	  .out = "FWD_S>2 req 3" },
	{ "lone reader, all ids", DIR(.owner = 2, .sharers = N(63)), GET_X(63),
	  .flags = HAVE, DIR_NEXT(.owner = 63, .busy = 63, .score = 1),
	  .out = "INV>2 req 63, GRANT_X>63 acks 2 HAVE" },

	{ "read waits", DIR(.owner = 2, .busy = 2), GET_S(3),
	  DIR_NEXT(.owner = 2, .busy = 2), WAIT_NEXT(.rd = N(3)), .out = "" },
	{ "write waits", DIR(.owner = 2, .busy = 2), GET_X(3),
	  DIR_NEXT(.owner = 2, .busy = 2), WAIT_NEXT(.wr = N(3)), .out = "" },
	{ "upgrade waits", DIR(.owner = 2, .sharers = N(3) | N(4), .busy = 4),
	  GET_X(3), .flags = HAVE,
	  DIR_NEXT(.owner = 2, .sharers = N(3) | N(4), .busy = 4),
	  WAIT_NEXT(.wr = N(3), .have = N(3)), .out = "" },
	{ "HAVE of a read means nothing", DIR(.owner = 2, .busy = 2),
	  GET_S(3), .flags = HAVE, DIR_NEXT(.owner = 2, .busy = 2),
	  WAIT_NEXT(.rd = N(3)), .out = "" },
	{ "requester asks again before home's own DONE for it",
	  DIR(.owner = HOME, .sharers = N(3), .busy = 3), GET_X(3),
	  .flags = HAVE, DIR_NEXT(.owner = HOME, .sharers = N(3), .busy = 3),
	  WAIT_NEXT(.wr = N(3), .have = N(3)), .out = "" },

	{ "done", DIR(.owner = 3, .busy = 3), DONE(3, 3),
	  DIR_NEXT(.owner = 3), .out = "" },
	{ "home is done for another",
	  DIR(.owner = HOME, .sharers = N(3), .busy = 3), DONE(HOME, 3),
	  DIR_NEXT(.owner = HOME, .sharers = N(3)), .out = "" },
	{ "done, a reader waits", DIR(.owner = 3, .busy = 3),
	  WAIT(.rd = N(2), .last = 5), DONE(3, 3),
	  DIR_NEXT(.owner = 3, .sharers = N(2), .busy = 2),
	  .out = "FWD_S>3 req 2" },
	{ "done, a writer waits", DIR(.owner = 3, .busy = 3),
	  WAIT(.wr = N(2)), DONE(3, 3), DIR_NEXT(.owner = 2, .busy = 2),
	  .out = "FWD_X>3 req 2" },
	{ "done, an upgrade waits and the copy is still there",
	  DIR(.owner = 2, .sharers = N(3) | N(4), .busy = 4),
	  WAIT(.wr = N(3), .have = N(3)), DONE(4, 4),
	  DIR_NEXT(.owner = 3, .busy = 3),
	  .out = "INV>2+4 req 3, GRANT_X>3 acks 2+4 HAVE" },
	{ "done, an upgrade waits and the copy is gone",
	  DIR(.owner = 4, .busy = 4), WAIT(.wr = N(3), .have = N(3)),
	  DONE(4, 4), DIR_NEXT(.owner = 3, .busy = 3),
	  .out = "FWD_X>4 req 3" },
	{ "an upgrade without a HAVE of its own takes nobody else's",
	  DIR(.owner = 2, .sharers = N(3) | N(4), .busy = 4),
	  WAIT(.wr = N(3) | N(5), .have = N(5), .last = 2), DONE(4, 4),
	  DIR_NEXT(.owner = 3, .busy = 3),
	  WAIT_NEXT(.wr = N(5), .have = N(5), .last = 3),
	  .out = "INV>4 req 3, FWD_X>2 req 3 acks 4" },
	{ "next higher id, reader or writer", DIR(.owner = 3, .busy = 3),
	  WAIT(.rd = N(2) | N(63), .wr = N(5), .last = 3), DONE(3, 3),
	  DIR_NEXT(.owner = 5, .busy = 5),
	  WAIT_NEXT(.rd = N(2) | N(63), .last = 5), .out = "FWD_X>3 req 5" },
	{ "wraps around", DIR(.owner = 3, .busy = 3),
	  WAIT(.rd = N(2), .wr = N(63), .last = 63), DONE(3, 3),
	  DIR_NEXT(.owner = 3, .sharers = N(2), .busy = 2),
	  WAIT_NEXT(.wr = N(63), .last = 2), .out = "FWD_S>3 req 2" },
	{ "no NO_DONE while somebody waits: nobody would start him",
	  DIR(.owner = 2, .busy = 3),
	  WAIT(.wr = N(2), .have = N(2), .rd = N(4)), DONE(3, 3),
	  DIR_NEXT(.owner = 2, .busy = 2), WAIT_NEXT(.rd = N(4), .last = 2),
	  .out = "GRANT_X>2 HAVE" },

	/* an owner is lent its page */
	{ "the owner takes the page back from readers",
	  DIR(.owner = 2, .sharers = N(3) | N(4), .steady = 2), GET_X(2),
	  .flags = HAVE, DIR_NEXT(.owner = 2, .busy = 2, .steady = 3),
	  .out = "INV>3-4 req 2, GRANT_X>2 acks 3-4 HAVE" },
	{ "the owner takes the page back from readers once more",
	  DIR(.owner = 2, .sharers = N(3) | N(4), .steady = 16), GET_X(2),
	  .flags = HAVE, DIR_NEXT(.owner = 2, .busy = 2, .steady = 16),
	  .out = "INV>3-4 req 2, GRANT_X>2 acks 3-4 HAVE" },
	{ "a sharer takes the page", DIR(.owner = 2, .sharers = N(3) | N(4), .steady = 4),
	  GET_X(3), .flags = HAVE, DIR_NEXT(.owner = 3, .busy = 3),
	  .out = "INV>2+4 req 3, GRANT_X>3 acks 2+4 HAVE" },
	{ "another one takes the page", DIR(.owner = 2, .sharers = N(4) | N(5), .steady = 4),
	  GET_X(3), DIR_NEXT(.owner = 3, .busy = 3),
	  .out = "INV>4-5 req 3, FWD_X>2 req 3 acks 4-5" },
	{ "reads between writes", DIR(.owner = 2, .steady = 3), GET_S(3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .steady = 3),
	  .out = "FWD_S>2 req 3" },
	{ "done, the owner writes steadily", .lend = true,
	  DIR(.owner = 2, .busy = 2, .steady = 4), DONE(2, 2),
	  DIR_NEXT(.owner = 2, .steady = 4, .flags = LENT | LOANED),
	  .out = "LEND>2" },
	{ "done, the owner does not write that steadily yet", .lend = true,
	  DIR(.owner = 2, .busy = 2, .steady = 3), DONE(2, 2),
	  DIR_NEXT(.owner = 2, .steady = 3), .out = "" },
	{ "done, the owner writes steadily, somebody does not know of LEND",
	  DIR(.owner = 2, .busy = 2, .steady = 4), DONE(2, 2),
	  DIR_NEXT(.owner = 2, .steady = 4), .out = "" },
	{ "done, home itself writes steadily", .lend = true,
	  DIR(.owner = HOME, .busy = HOME, .steady = 4), DONE(HOME, HOME),
	  DIR_NEXT(.owner = HOME, .steady = 4), .out = "" },
	{ "done, a reader, of an owner that writes steadily", .lend = true,
	  DIR(.owner = 2, .sharers = N(3), .busy = 3, .steady = 4), DONE(3, 3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .steady = 4), .out = "" },
	{ "done, the owner writes steadily and somebody waits", .lend = true,
	  DIR(.owner = 2, .busy = 2, .steady = 4), WAIT(.rd = N(3)), DONE(2, 2),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .steady = 4),
	  .out = "FWD_S>2 req 3" },

	/* home of a page that is lent */
	{ "lent: read", DIR(.owner = 2, .steady = 4, .flags = LENT), GET_S(3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .steady = 4, .flags = LENT),
	  .out = "PASS_S>2 req 3" },
	{ "lent: read by one whose read was passed on",
	  DIR(.owner = 2, .sharers = N(3) | N(4), .flags = LENT), GET_S(3),
	  .x = N(3), DIR_NEXT(.owner = 2, .sharers = N(3) | N(4), .flags = LENT),
	  .out = "PASS_S>2 req 3" },
	{ "lent: read by home", DIR(.owner = 2, .flags = LENT), GET_S(HOME),
	  DIR_NEXT(.owner = 2, .sharers = N(HOME), .flags = LENT),
	  .out = "PASS_S>2 req 1" },
	{ "lent: write", DIR(.owner = 2, .sharers = N(4), .flags = LENT), GET_X(3),
	  DIR_NEXT(.owner = 2, .sharers = N(4), .flags = LENT | ASKED),
	  WAIT_NEXT(.wr = N(3)), .out = "UNLEND>2" },
	{ "lent: upgrade", DIR(.owner = 2, .sharers = N(3), .flags = LENT),
	  GET_X(3), .flags = HAVE,
	  DIR_NEXT(.owner = 2, .sharers = N(3), .flags = LENT | ASKED),
	  WAIT_NEXT(.wr = N(3), .have = N(3)), .out = "UNLEND>2" },
	{ "asked back: another write",
	  DIR(.owner = 2, .sharers = N(4), .flags = LENT | ASKED),
	  WAIT(.wr = N(3)), GET_X(5),
	  DIR_NEXT(.owner = 2, .sharers = N(4), .flags = LENT | ASKED),
	  WAIT_NEXT(.wr = N(3) | N(5)), .out = "" },
	{ "asked back: read", DIR(.owner = 2, .flags = LENT | ASKED),
	  WAIT(.wr = N(3)), GET_S(4), .x = N(4),
	  DIR_NEXT(.owner = 2, .flags = LENT | ASKED),
	  WAIT_NEXT(.wr = N(3), .rd = N(4)), .out = "" },
	{ "asked back: the owner writes", DIR(.owner = 2, .flags = LENT | ASKED),
	  WAIT(.wr = N(3)), GET_X(2), .flags = HAVE,
	  DIR_NEXT(.owner = 2, .flags = LENT | ASKED),
	  WAIT_NEXT(.wr = N(2) | N(3), .have = N(2)), .out = "" },
	{ "back", DIR(.owner = 2, .sharers = N(4) | N(5), .steady = 4,
		      .flags = LENT | ASKED),
	  WAIT(.wr = N(3)), BACK(2, N(4)), DIR_NEXT(.owner = 3, .busy = 3, .flags = WARY),
	  .out = "INV>4-5 req 3 RULER, FWD_X>2 req 3 acks 4-5" },
	{ "back, a writer before a reader",
	  DIR(.owner = 2, .flags = LENT | ASKED),
	  WAIT(.rd = N(4) | N(63), .wr = N(3), .last = 3), BACK(2, 0),
	  DIR_NEXT(.owner = 3, .busy = 3, .flags = WARY),
	  WAIT_NEXT(.rd = N(4) | N(63), .last = 3), .out = "FWD_X>2 req 3" },
	{ "back, upgrade of one that has its copy still",
	  DIR(.owner = 2, .sharers = N(3) | N(4), .flags = LENT | ASKED),
	  WAIT(.wr = N(3), .have = N(3)), BACK(2, N(3)),
	  DIR_NEXT(.owner = 3, .busy = 3, .flags = WARY, .score = 1),
	  .out = "INV>2+4 req 3 RULER, GRANT_X>3 acks 2+4 HAVE" },
	{ "back, upgrade of one whose copy the ruler has taken",
	  DIR(.owner = 2, .sharers = N(3) | N(4), .flags = LENT | ASKED),
	  WAIT(.wr = N(3), .have = N(3)), BACK(2, 0),
	  DIR_NEXT(.owner = 3, .busy = 3, .flags = WARY),
	  .out = "INV>4 req 3 RULER, FWD_X>2 req 3 acks 4" },
	{ "back, upgrade of who ruled",
	  DIR(.owner = 2, .sharers = N(3) | N(4), .steady = 4,
	      .flags = LENT | ASKED),
	  WAIT(.wr = N(2) | N(5), .have = N(2)), BACK(2, N(3)),
	  DIR_NEXT(.owner = 2, .busy = 2, .steady = 1, .flags = WARY),
	  WAIT_NEXT(.wr = N(5), .last = 2),
	  .out = "INV>3-4 req 2 RULER, GRANT_X>2 acks 3-4 HAVE" },
	{ "back, it was worth it",
	  DIR(.owner = 2, .sharers = N(3), .flags = LENT | ASKED | WARY),
	  WAIT(.wr = N(3)), BACK(2, 0), .flags = STEADY,
	  DIR_NEXT(.owner = 3, .busy = 3), .out = "FWD_X>2 req 3" },
	{ "done, the owner writes steadily, the last loan was not worth it",
	  .lend = true, DIR(.owner = 2, .busy = 2, .steady = 15, .flags = WARY),
	  DONE(2, 2), DIR_NEXT(.owner = 2, .steady = 15, .flags = WARY), .out = "" },
	{ "done, the owner writes very steadily, the last loan was not worth it",
	  .lend = true, DIR(.owner = 2, .busy = 2, .steady = 16, .flags = WARY),
	  DONE(2, 2), DIR_NEXT(.owner = 2, .steady = 16, .flags = WARY | LENT | LOANED),
	  .out = "LEND>2" },
	{ "refused: lent, the owner asks home", DIR(.owner = 2, .flags = LENT),
	  GET_X(2), .flags = HAVE, .ret = -EPROTO },
	{ "refused: lent, the owner reads", DIR(.owner = 2, .flags = LENT),
	  GET_S(2), .ret = -EPROTO },
	{ "refused: asked back, second request",
	  DIR(.owner = 2, .flags = LENT | ASKED), WAIT(.wr = N(3)), GET_S(3),
	  .ret = -EPROTO },
	{ "lent: DONE of a reader that a ruler at fault has misled",
	  DIR(.owner = 2, .sharers = N(3), .flags = LENT | LOANED), DONE(3, 3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .flags = LENT | LOANED), .out = "" },
	{ "was lent: DONE of a reader that a former ruler has misled",
	  DIR(.owner = 2, .busy = 4, .flags = LOANED), WAIT(.rd = N(3)), DONE(3, 3),
	  DIR_NEXT(.owner = 2, .busy = 4, .flags = LOANED), WAIT_NEXT(.rd = N(3)),
	  .out = "" },
	{ "back, lent before",
	  DIR(.owner = 2, .flags = LENT | ASKED | LOANED), WAIT(.wr = N(3)),
	  BACK(2, 0), DIR_NEXT(.owner = 3, .busy = 3, .flags = WARY | LOANED),
	  .out = "FWD_X>2 req 3" },
	{ "refused: lent, DONE", DIR(.owner = 2, .sharers = N(3), .flags = LENT),
	  DONE(3, 3), .ret = -EPROTO },
	{ "refused: back, not asked for", DIR(.owner = 2, .flags = LENT),
	  BACK(2, 0), .ret = -EPROTO },
	{ "refused: back, not lent", DIR(.owner = 2), BACK(2, 0), .ret = -EPROTO },
	{ "refused: back of another node", DIR(.owner = 2, .flags = LENT | ASKED),
	  WAIT(.wr = N(3)), BACK(3, 0), .ret = -EPROTO },
	{ "refused: back, the owner among the sharers",
	  DIR(.owner = 2, .flags = LENT | ASKED), WAIT(.wr = N(3)),
	  BACK(2, N(2) | N(4)), .ret = -EPROTO },
	{ "refused: back, nobody among the sharers",
	  DIR(.owner = 2, .flags = LENT | ASKED), WAIT(.wr = N(3)), BACK(2, N(0)),
	  .ret = -EPROTO },
	{ "refused: PASS_S to home", DIR(.owner = HOME), PASS_S(HOME, 3),
	  .ret = -EPROTO },
	{ "refused: UNLEND to home", DIR(.owner = HOME), UNLEND(HOME),
	  .ret = -EPROTO },

	/* the owner that is lent the page; node 2 */
	{ "ruler: read that home passes on", .self = 2,
	  DIR(.owner = 2, .flags = RULES), PASS_S(HOME, 3),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .flags = RULES),
	  .out = "FWD_S>2 req 3" },
	{ "ruler: read by home", .self = 2, DIR(.owner = 2, .flags = RULES),
	  PASS_S(HOME, HOME),
	  DIR_NEXT(.owner = 2, .sharers = N(HOME), .busy = HOME, .flags = RULES),
	  .out = "FWD_S>2 req 1" },
	{ "ruler: read by one that knows", .self = 2,
	  DIR(.owner = 2, .sharers = N(4), .flags = RULES), GET_S(3),
	  DIR_NEXT(.owner = 2, .sharers = N(3) | N(4), .busy = 3, .flags = RULES),
	  .out = "FWD_S>2 req 3" },
	{ "ruler: read waits", .self = 2,
	  DIR(.owner = 2, .busy = 4, .sharers = N(4), .flags = RULES), GET_S(3),
	  DIR_NEXT(.owner = 2, .busy = 4, .sharers = N(4), .flags = RULES),
	  WAIT_NEXT(.rd = N(3)), .out = "" },
	{ "ruler: read passed on waits", .self = 2,
	  DIR(.owner = 2, .busy = 3, .sharers = N(3), .flags = RULES),
	  PASS_S(HOME, 3),
	  DIR_NEXT(.owner = 2, .busy = 3, .sharers = N(3), .flags = RULES),
	  WAIT_NEXT(.rd = N(3)), .out = "" },
	{ "ruler: second read of one, home is not to blame", .self = 2,
	  DIR(.owner = 2, .busy = 4, .sharers = N(4), .flags = RULES),
	  WAIT(.rd = N(3)), PASS_S(HOME, 3),
	  DIR_NEXT(.owner = 2, .busy = 4, .sharers = N(4), .flags = RULES),
	  WAIT_NEXT(.rd = N(3)), .out = "" },
	{ "ruler: writes", .self = 2,
	  DIR(.owner = 2, .sharers = N(HOME) | N(4), .flags = RULES), GET_X(2),
	  .flags = HAVE,
	  DIR_NEXT(.owner = 2, .busy = 2, .steady = 1, .flags = RULES),
	  .out = "INV>1+4 req 2, GRANT_X>2 acks 1+4 HAVE" },
	{ "ruler: done, a reader waits", .self = 2,
	  DIR(.owner = 2, .busy = 2, .flags = RULES), WAIT(.rd = N(3)), DONE(2, 2),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .flags = RULES),
	  .out = "FWD_S>2 req 3" },
	{ "ruler: done", .self = 2, .lend = true,
	  DIR(.owner = 2, .busy = 2, .steady = 4, .flags = RULES), DONE(2, 2),
	  DIR_NEXT(.owner = 2, .steady = 4, .flags = RULES), .out = "" },
	{ "ruler: asked for the page", .self = 2,
	  DIR(.owner = 2, .sharers = N(3) | N(4), .steady = 2, .flags = RULES),
	  UNLEND(HOME), DIR_NEXT(.owner = 0), .out = "BACK>1 acks 3-4" },
	{ "ruler: asked for the page while busy", .self = 2,
	  DIR(.owner = 2, .sharers = N(3), .busy = 3, .flags = RULES),
	  WAIT(.rd = N(4)), UNLEND(HOME),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .flags = RULES | GIVES),
	  WAIT_NEXT(.rd = N(4)), .out = "" },
	{ "gives: done, a reader waits", .self = 2,
	  DIR(.owner = 2, .sharers = N(3), .busy = 3, .flags = RULES | GIVES),
	  WAIT(.rd = N(4)), DONE(3, 3),
	  DIR_NEXT(.owner = 2, .sharers = N(3) | N(4), .busy = 4,
		   .flags = RULES | GIVES), .out = "FWD_S>2 req 4" },
	{ "gives: done", .self = 2,
	  DIR(.owner = 2, .sharers = N(3) | N(4), .busy = 4, .flags = RULES | GIVES),
	  DONE(4, 4), DIR_NEXT(.owner = 0), .out = "BACK>1 acks 3-4" },
	{ "gives: its own write is done, it has had some", .self = 2,
	  DIR(.owner = 2, .busy = 2, .steady = 3, .flags = RULES | GIVES),
	  DONE(2, 2), DIR_NEXT(.owner = 0), .out = "BACK>1" },
	{ "gives: its own write is done, it has had many", .self = 2,
	  DIR(.owner = 2, .busy = 2, .steady = 4, .flags = RULES | GIVES),
	  DONE(2, 2), DIR_NEXT(.owner = 0), .out = "BACK>1 STEADY" },
	{ "gives: read by one that knows", .self = 2,
	  DIR(.owner = 2, .sharers = N(3), .busy = 3, .flags = RULES | GIVES),
	  GET_S(4),
	  DIR_NEXT(.owner = 2, .sharers = N(3), .busy = 3, .flags = RULES | GIVES),
	  .out = "MOVED>4" },
	{ "no ruler: read", .self = 2, GET_S(4), .x = N(4), DIR_NEXT(.owner = 0),
	  .out = "MOVED>4" },
	{ "refused: no ruler: write", .self = 2, GET_X(4), .ret = -EPROTO },
	{ "refused: no ruler: PASS_S", .self = 2, PASS_S(HOME, 3),
	  .ret = -EPROTO },
	{ "refused: no ruler: UNLEND", .self = 2, UNLEND(HOME), .ret = -EPROTO },
	{ "refused: no ruler: DONE", .self = 2, DONE(3, 3), .ret = -EPROTO },
	{ "refused: no ruler: BACK", .self = 2, BACK(3, 0), .ret = -EPROTO },
	{ "refused: ruler: write of another", .self = 2,
	  DIR(.owner = 2, .sharers = N(3), .flags = RULES), GET_X(3),
	  .flags = HAVE, .ret = -EPROTO },
	{ "refused: ruler: write of home", .self = 2,
	  DIR(.owner = 2, .flags = RULES), GET_X(HOME), .ret = -EPROTO },
	{ "refused: ruler: second read of one", .self = 2,
	  DIR(.owner = 2, .busy = 4, .sharers = N(4), .flags = RULES),
	  WAIT(.rd = N(3)), GET_S(3), .ret = -EPROTO },
	{ "refused: ruler: read passed on by another than home", .self = 2,
	  DIR(.owner = 2, .flags = RULES), PASS_S(4, 3), .ret = -EPROTO },
	{ "refused: ruler: read of itself passed on", .self = 2,
	  DIR(.owner = 2, .flags = RULES), PASS_S(HOME, 2), .ret = -EPROTO },
	{ "refused: ruler: read of nobody passed on", .self = 2,
	  DIR(.owner = 2, .flags = RULES), PASS_S(HOME, 0), .ret = -EPROTO },
	{ "refused: ruler: asked for the page by another than home", .self = 2,
	  DIR(.owner = 2, .flags = RULES), UNLEND(3), .ret = -EPROTO },
	{ "refused: ruler: DONE of a node that did not ask", .self = 2,
	  DIR(.owner = 2, .sharers = N(3), .busy = 3, .flags = RULES), DONE(4, 4),
	  .ret = -EPROTO },
	{ "refused: ruler: BACK", .self = 2, DIR(.owner = 2, .flags = RULES),
	  BACK(2, 0), .ret = -EPROTO },
	{ "refused: gives: asked once more", .self = 2,
	  DIR(.owner = 2, .busy = 2, .flags = RULES | GIVES), UNLEND(HOME),
	  .ret = -EPROTO },
	{ "refused: gives: read passed on behind", .self = 2,
	  DIR(.owner = 2, .busy = 2, .flags = RULES | GIVES), PASS_S(HOME, 3),
	  .ret = -EPROTO },
	{ "refused: gives: it asks itself", .self = 2,
	  DIR(.owner = 2, .sharers = N(3), .busy = 3, .flags = RULES | GIVES),
	  GET_X(2), .flags = HAVE, .ret = -EPROTO },

	{ "refused: the owner has nothing to read", DIR(.owner = 2), GET_S(2),
	  .ret = -EPROTO },
	{ "refused: the owner has nothing to write", DIR(.owner = 2), GET_X(2),
	  .ret = -EPROTO },
	{ "refused: busy, the owner has nothing",
	  DIR(.owner = 2, .sharers = N(3), .busy = 3), GET_X(2),
	  .ret = -EPROTO },
	{ "refused: second request of a reader", DIR(.owner = 2, .busy = 2),
	  WAIT(.rd = N(3)), GET_X(3), .ret = -EPROTO },
	{ "refused: second request of a writer", DIR(.owner = 2, .busy = 2),
	  WAIT(.wr = N(3)), GET_S(3), .ret = -EPROTO },
	{ "refused: DONE and nothing is under way", DIR(.owner = 2),
	  DONE(3, 3), .ret = -EPROTO },
	{ "refused: DONE of nobody", DIR(.owner = 2), DONE(HOME, HK_NODE_NONE),
	  .ret = -EPROTO },
	{ "refused: DONE of a node that did not ask",
	  DIR(.owner = 3, .busy = 3), DONE(4, 4), .ret = -EPROTO },
	{ "refused: DONE in another's name", DIR(.owner = 3, .busy = 3),
	  DONE(4, 3), .ret = -EPROTO },
	{ "refused: copy of a lost page", DIR(.flags = HK_DIR_F_LOST),
	  GET_X(3), .flags = HAVE, .ret = -EPROTO },
	{ "refused: from nobody", GET_S(HK_NODE_NONE), .ret = -EPROTO },
	{ "refused: from a node that cannot be", GET_S(HK_MAX_NODES),
	  .ret = -EPROTO },
};

/* A node's tokens; those of its request before were others */
static struct hk_tokens tokens_of(u16 node, bool write)
{
	return (struct hk_tokens){ 0x100 + node, write ? 0x200 + node : 0 };
}

static const struct hk_tokens no_tokens;

static bool tokens_equal(struct hk_tokens a, struct hk_tokens b)
{
	return a.data == b.data && a.ack == b.ack;
}

/* Those who wait have theirs beside the entry, and nobody else has any */
static void wait_tokens(struct hk_dir_wait *wait, u64 x)
{
	u16 node;

	for (node = 0; node < HK_MAX_NODES; node++)
		wait->tokens[node] = (wait->rd | wait->wr) >> node & 1 ?
			tokens_of(node, (wait->wr | x) >> node & 1) : no_tokens;
}

static bool wait_equal(const struct hk_dir_wait *a, const struct hk_dir_wait *b)
{
	bool equal = a->rd == b->rd && a->wr == b->wr && a->have == b->have &&
		     a->last == b->last;
	u16 node;

	for (node = 0; node < HK_MAX_NODES; node++)
		equal &= tokens_equal(a->tokens[node], b->tokens[node]);
	return equal;
}

/*
 * Data for the owner and the requester, ACK for the others, and no more than that. @x:
 * readers with a token for the page, which is the one that the owner gets with FWD_X
 */
static bool tokens_right(const struct hk_dmsg *m, u64 x)
{
	u16 req = m->req ? m->req : __builtin_ctzll(m->to);
	struct hk_tokens want = tokens_of(req, true);

	if (m->type == HK_DMSG_FWD_X && x >> req & 1)
		want.data = want.ack;
	if (m->type == HK_DMSG_LEND || m->type == HK_DMSG_UNLEND ||
	    m->type == HK_DMSG_BACK || m->type == HK_DMSG_MOVED)
		return tokens_equal(m->tokens, no_tokens);
	if (m->type == HK_DMSG_INV)
		want.data = 0;
	else
		want.ack = 0;
	return tokens_equal(m->tokens, want);
}

static bool run(const struct dir_case *c)
{
	const struct hk_dmsg msg = {
		.gfn = GFN,
		.to = hk_node_bit(c->self ?: HOME),
		.from = c->from,
		.req = c->req,
		.acks = c->acks,
		.type = c->type,
		.flags = c->flags,
		.tokens = c->type == HK_DMSG_PASS_S ? tokens_of(c->req, false) :
			  c->type != HK_DMSG_GET_S && c->type != HK_DMSG_GET_X ?
			  no_tokens : tokens_of(c->from, c->type == HK_DMSG_GET_X ||
				    (c->x >> c->from % 64 & 1)),
	};
	const struct hk_dir_where w = {
		.self = c->self ?: HOME, .home = HOME, .lend = c->lend,
	};
	struct hk_dir dir = c->dir;
	struct hk_dir_wait wait = c->wait;
	const struct hk_dir *dir_want = c->ret ? &c->dir : &c->dir_next;
	struct hk_dir_wait wait_want = c->ret ? c->wait : c->wait_next;
	const char *out_want = c->ret ? "" : c->out;
	struct hk_out out = { 0 };
	char buf[512];
	unsigned int i;
	int ret;

	wait_tokens(&wait, c->x);
	wait_tokens(&wait_want, c->x);
	ret = hk_dir_step(&w, &dir, &wait, &msg, &out);
	show_out(&out, buf, sizeof(buf));
	for (i = 0; i < out.nr; i++)
		if (out.msg[i].gfn != GFN || out.msg[i].from != w.self ||
		    !tokens_right(&out.msg[i], c->x))
			return false;
	if (ret == c->ret && !strcmp(buf, out_want) && !out.act &&
	    !memcmp(&dir, dir_want, sizeof(dir)) &&
	    wait_equal(&wait, &wait_want))
		return true;
	tap_diag("returns %d \"%s\", owner %u sharers %llx busy %u",
		 ret, buf, dir.owner, dir.sharers, dir.busy);
	tap_diag("score %u grants %u steady %u flags %x",
		 dir.score, dir.grants, dir.steady, dir.flags);
	tap_diag("wait rd %llx wr %llx have %llx last %u", wait.rd, wait.wr,
		 wait.have, wait.last);
	tap_diag("expected %d \"%s\"", c->ret, out_want);
	return false;
}

static const struct hk_dir_where at_home = { .self = HOME, .home = HOME };

static void test_types(void)
{
	struct hk_dir dir = { .owner = 2, .busy = 3 }, dir_old = dir;
	struct hk_dir_wait wait = { 0 };
	struct hk_out out = { 0 };
	struct hk_dmsg msg = { .gfn = GFN, .from = 3, .req = 3 };
	unsigned int type;
	bool ok = true;

	for (type = 0; type < 256; type++) {
		if (type == HK_DMSG_GET_S || type == HK_DMSG_GET_X ||
		    type == HK_DMSG_DONE)
			continue;
		/* BACK, PASS_S and UNLEND: nothing is lent */
		msg.type = type;
		ok &= hk_dir_step(&at_home, &dir, &wait, &msg, &out) == -EPROTO;
	}
	tap_ok(ok && !memcmp(&dir, &dir_old, sizeof(dir)) && !out.nr &&
	       hk_dir_wait_empty(&wait), "all other messages refused");

	msg.type = HK_DMSG_DONE;
	out.nr = HK_OUT_MAX - 1;
	tap_ok(hk_dir_step(&at_home, &dir, &wait, &msg, &out) == -EPROTO &&
	       dir.busy == 3, "no room for messages");
}

static bool ask(struct hk_dir *dir, struct hk_dir_wait *wait, u16 node)
{
	struct hk_out out = { 0 };
	struct hk_dmsg msg = {
		.gfn = GFN,
		.from = node,
		.type = node & 1 ? HK_DMSG_GET_X : HK_DMSG_GET_S,
		.flags = dir->owner == node ? HAVE : 0,
	};

	return !hk_dir_step(&at_home, dir, wait, &msg, &out);
}

/*
 * All nodes ask, the odd ones to write, and each that was served asks again at
 * once. Nobody may be passed twice by another.
 */
static void test_fair(void)
{
	struct hk_dir dir = { .owner = HOME };
	struct hk_dir_wait wait = { 0 };
	unsigned int served[HK_MAX_NODES] = { 0 }, round, least, most;
	struct hk_out out;
	bool ok = true;
	u16 node;

	for (node = 2; node < HK_MAX_NODES; node++)
		ok &= ask(&dir, &wait, node);
	for (round = 0; round < 1000 && ok; round++) {
		struct hk_dmsg msg = {
			.gfn = GFN,
			.from = dir.busy,
			.req = dir.busy,
			.type = HK_DMSG_DONE,
		};

		node = dir.busy;
		served[node]++;
		out = (struct hk_out){ 0 };
		ok &= !hk_dir_step(&at_home, &dir, &wait, &msg, &out);
		ok &= ask(&dir, &wait, node);
		least = ~0u;
		most = 0;
		for (node = 2; node < HK_MAX_NODES; node++) {
			if (served[node] < least)
				least = served[node];
			if (served[node] > most)
				most = served[node];
		}
		ok &= most - least <= 1;
	}
	tap_ok(ok && round == 1000, "62 nodes at one page are served in turn");
}

static u64 rnd(void)
{
	static u64 x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Now and then an entry that is lent, or of who is lent it */
static void noise_lent(struct hk_dir_where *w, struct hk_dir *dir,
		       struct hk_dir_wait *wait, u64 *x)
{
	if (dir->owner == HK_NODE_NONE || rnd() & 1)
		return;
	if (dir->owner != HOME && rnd() & 1) {
		dir->flags = LENT;
		dir->busy = HK_NODE_NONE;
		if (!hk_nodes_any(wait->wr))
			*wait = (struct hk_dir_wait){ 0 };
		else
			dir->flags |= ASKED;
	} else if (dir->owner != HOME) {
		w->self = dir->owner;
		dir->flags = RULES | (dir->busy && rnd() & 1 ? GIVES : 0);
		dir->grants = 0;
		wait->rd &= ~hk_node_bit(dir->owner);
		wait->wr = wait->wr ? hk_node_bit(dir->owner) : 0;
		wait->have = wait->wr;
		*x = 0;
		wait_tokens(wait, *x);
	}
}

/* Whatever comes: refused without a trace, or messages that make sense */
static void test_noise(void)
{
	unsigned int round, i, taken = 0;
	bool ok = true;

	for (round = 0; round < 1000000 && ok; round++) {
		u64 nodes = (rnd() & rnd()) & ~(u64)1, x = rnd();
		struct hk_dir dir = {
			.owner = rnd() % HK_MAX_NODES,
			.busy = rnd() & 1 ? rnd() % HK_MAX_NODES : 0,
			.score = rnd() % (HK_DIR_SCORE_MAX + 1),
			.grants = rnd() % (HK_DIR_GRANTS_MAX + 1),
			.steady = rnd() % (HK_DIR_STEADY_MAX + 1),
		};
		struct hk_dir_wait wait = { 0 };
		struct hk_dmsg msg = {
			.gfn = GFN,
			.from = rnd() % (HK_MAX_NODES + 4),
			.req = rnd() & 1 ? dir.busy : rnd() % 256,
			.acks = rnd() & 1 ? 0 : rnd(),
			.type = rnd() % (HK_DMSG_NR + 2),
			.flags = rnd() & 1 ? 0 : rnd() % 256,
		};
		struct hk_dir_where w = {
			.self = HOME, .home = HOME, .lend = rnd() & 1,
		};
		struct hk_out out = { 0 };
		struct hk_dir dir_old;
		struct hk_dir_wait wait_old;
		int ret;

		if (rnd() & 1)
			msg.from = msg.req;
		if (dir.owner) {
			dir.sharers = nodes & ~hk_node_bit(dir.owner);
			if (rnd() & 1)
				dir.sharers &= rnd() & 1 ? N(msg.from % 64) : 0;
			/* whoever waits is not the owner, or was refused */
			nodes = dir.busy ? ~(hk_node_bit(dir.owner) | 1) : 0;
			wait.rd = nodes & rnd() & rnd();
			wait.wr = nodes & rnd() & ~wait.rd;
			wait.have = wait.wr & rnd();
			wait.last = rnd() % HK_MAX_NODES;
			x &= ~wait.wr;
			wait_tokens(&wait, x);
		} else {
			dir.busy = 0;
		}
		noise_lent(&w, &dir, &wait, &x);
		if (msg.type == HK_DMSG_PASS_S)
			msg.tokens = tokens_of(msg.req, false);
		if (dir.flags && rnd() & 1)
			msg.from = rnd() & 1 ? dir.owner : HOME;
		if (msg.type == HK_DMSG_GET_X)
			x &= ~N(msg.from % 64);
		if (msg.type == HK_DMSG_GET_S || msg.type == HK_DMSG_GET_X)
			msg.tokens = tokens_of(msg.from,
					       msg.type == HK_DMSG_GET_X ||
					       (x >> msg.from % 64 & 1));
		dir_old = dir;
		wait_old = wait;
		ret = hk_dir_step(&w, &dir, &wait, &msg, &out);
		if (ret) {
			ok &= ret == -EPROTO && !out.nr && !out.act &&
			      !memcmp(&dir, &dir_old, sizeof(dir)) &&
			      !memcmp(&wait, &wait_old, sizeof(wait));
			continue;
		}
		taken++;
		ok &= out.nr <= 2 && !out.act && dir.owner < HK_MAX_NODES &&
		      dir.busy < HK_MAX_NODES &&
		      dir.score <= HK_DIR_SCORE_MAX &&
		      dir.grants <= HK_DIR_GRANTS_MAX &&
		      !((wait.rd | wait.wr) & 1) && !(wait.rd & wait.wr) &&
		      !(wait.have & ~wait.wr) &&
		      dir.steady <= HK_DIR_STEADY_MAX &&
		      (dir.busy || hk_dir_wait_empty(&wait) ||
		       (dir.flags & ASKED && hk_nodes_any(wait.wr))) &&
		      !(dir.sharers & hk_node_bit(dir.owner));
		for (i = 0; i < out.nr; i++)
			ok &= out.msg[i].to && !(out.msg[i].to & 1) &&
			      !(out.msg[i].acks & 1) &&
			      tokens_right(&out.msg[i], x) &&
			      !(out.msg[i].to & hk_node_bit(out.msg[i].req));
	}
	tap_ok(ok && taken > 1000, "a million messages at random");
}

void test_directory(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		tap_ok(run(&cases[i]), "%s", cases[i].name);
	test_types();
	test_fair();
	test_noise();
}
