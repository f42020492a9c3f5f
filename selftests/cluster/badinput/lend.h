/* SPDX-License-Identifier: GPL-2.0 */
/*
 * badinput: lent homes, from a peer that has offered to know of them. Everywhere else the
 * peer has not, so what there belongs to home alone is refused at once.
 *
 * Pages below 256 have this node as their home, those above have the peer.
 */

static const struct fcase lend_cases[] = {
	/* whoever was lent it may be asked still: MOVED */
	{ "GET_S to who rules no more", T_PAGE, LIVES, NULL, P(FIELD(gfn, 256)),
	  .reply = HK_MSG_PAGE },
	{ "GET_X to who rules no more", T_PAGE, ENDS, "not home",
	  P(DTYPE(GET_X), FIELD(gfn, 256)) },
	{ "group with a page of another home", T_GROUP, LIVES, NULL, P(GROUP(gfn, 254)),
	  .reply = HK_MSG_PAGE },
	{ "DONE to who rules nothing", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(DONE), FIELD(gfn, 256), FIELD(req, 2)) },
	/* in its own name, where no copy is: ACK to itself */
	{ "INV of what is not here", T_PAGE, LIVES, NULL, P(DTYPE(INV), FIELD(req, 2)),
	  .reply = HK_MSG_PAGE },
	{ "INV not from home, for another", T_PAGE, ENDS, "sender is not home",
	  P(DTYPE(INV), FIELD(req, 1)) },
	{ "LEND not from home", T_PAGE, ENDS, "sender is not home", P(DTYPE(LEND)) },
	{ "LEND of what is not here", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(LEND), FIELD(gfn, 256)) },
	{ "LEND with a token", T_PAGE, ENDS, "token that it must not have",
	  P(DTYPE(LEND), FIELD(gfn, 256), FIELD(data_token, 1)) },
	{ "PASS_S of what is not lent", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(PASS_S), FIELD(gfn, 256), FIELD(req, 2)) },
	{ "PASS_S for nobody", T_PAGE, ENDS, "no requester",
	  P(DTYPE(PASS_S), FIELD(gfn, 256)) },
	{ "UNLEND of what is not lent", T_PAGE, ENDS_KILLS, "impossible",
	  P(DTYPE(UNLEND), FIELD(gfn, 256)) },
	{ "BACK unasked", T_PAGE, ENDS_KILLS, "impossible", P(DTYPE(BACK)) },
	{ "BACK not to home", T_PAGE, ENDS, "not home", P(DTYPE(BACK), FIELD(gfn, 256)) },
	{ "MOVED unasked", T_PAGE, ENDS_KILLS, "impossible", P(DTYPE(MOVED)) },
	{ "RULER in GRANT_X", T_PAGE, ENDS, "flag that it must not have",
	  P(DTYPE(GRANT_X), FIELD(gfn, 256), FIELD(dflags, HK_DMSG_F_RULER)) },
};

static void lend_tests(void)
{
	peer_features = HK_WIRE_FEATURES;
	try_messages(lend_cases, ARRAY_SIZE(lend_cases));
	peer_features = HK_WIRE_FEATURES & ~HK_WIRE_FEATURE_LEND;
	group("lent homes");
}
