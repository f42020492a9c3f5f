// SPDX-License-Identifier: GPL-2.0
/*
 * Page state machine: every cell of the table, each message that a faulty peer
 * could send, and ACKs
 *
 * The expectations are written down a second time here, from the protocol
 * description rather than from the table.
 */
#include <string.h>

#include "../../dsm/page.h"
#include "show.h"
#include "tap.h"

#define GFN	0x12345678aULL
#define HOME	1
#define SELF	2
#define REQ	3
#define PEER	4
#define N(_n)	hk_node_bit(_n)
/* Whom @_req may have to wait for at most */
#define ALL(_req)	(~(hk_node_bit(HK_NODE_NONE) | hk_node_bit(_req)))

/* Tokens: of this node's own request, and of the one that a recall is for */
#define OWN_DATA	0x11111111
#define OWN_ACK		0x22222222
#define REQ_DATA	0x33333333
#define REQ_ACK		0x44444444
#define OLD		0x55555555
/* of a request that the event makes anew */
#define NEW_DATA	0x66666666
#define NEW_ACK		0x77777777
#define NO_TOKEN	0xffffffff

struct page_case {
	const char *name;
	u16 self;			/* 0: SELF */
	bool read_x;			/* of the read: the page itself will do */
	u16 ruler;			/* that is known of, before and after */
	u16 ruler_next;
	bool rules;			/* this node is lent the page */
	bool gives;			/* and has been asked for it */
	u8 state;
	struct hk_page_ctx ctx;
	u8 ev;
	struct {
		u16 from;		/* 0: HOME */
		u16 req;
		u8 flags;
		u32 token;		/* 0: the right one */
		u64 acks;
	} msg;
	u8 next;
	struct hk_page_ctx ctx_next;
	const char *out;
};

#define ST(_s)		.state = HK_PG_##_s
#define EV(_e)		.ev = HK_EV_##_e
#define TO(_s)		.next = HK_PG_##_s
#define HAVE		HK_DMSG_F_HAVE
#define NO_DONE		HK_DMSG_F_NO_DONE
#define RULER		HK_DMSG_F_RULER
#define RECALL(_t, _acks) \
	{ .recall_req = REQ, .recall_acks = (_acks), \
	  .recall_type = HK_DMSG_##_t, \
	  .recall_token = HK_DMSG_##_t == HK_DMSG_INV ? REQ_ACK : REQ_DATA }

static const struct page_case cases[] = {
	/* faults that ask home */
	{ "read of nothing", ST(INVALID), EV(READ), TO(INVALID_RD),
	  .out = "GET_S>1" },
	{ "write of nothing", ST(INVALID), EV(WRITE), TO(INVALID_WR),
	  .out = "GET_X>1" },
	{ "write of a read copy", ST(SHARED), EV(WRITE), TO(SHARED_WR),
	  .out = "GET_X>1 HAVE" },
	{ "write by the owner", ST(OWNED), EV(WRITE), TO(OWNED_WR),
	  .out = "GET_X>1 HAVE" },
	{ "read of nothing, the page itself will do", .read_x = true, ST(INVALID),
	  EV(READ), TO(INVALID_RD), .out = "GET_S>1" },
	{ "home reads", .self = HOME, ST(INVALID), EV(READ), TO(INVALID_RD),
	  .out = "GET_S>1" },

	/* faults that need nothing, or wait for what is under way */
	{ "-", ST(SHARED), EV(READ), TO(SHARED), .out = "" },
	{ "-", ST(OWNED), EV(READ), TO(OWNED), .out = "" },
	{ "-", ST(EXCLUSIVE), EV(READ), TO(EXCLUSIVE), .out = "" },
	{ "-", ST(EXCLUSIVE), EV(WRITE), TO(EXCLUSIVE), .out = "" },
	{ "-", ST(INVALID_RD), EV(READ), TO(INVALID_RD), .out = "" },
	{ "-", ST(INVALID_RD), EV(WRITE), TO(INVALID_RD), .out = "" },
	{ "-", ST(INVALID_WR), EV(READ), TO(INVALID_WR), .out = "" },
	{ "-", ST(INVALID_WR), EV(WRITE), TO(INVALID_WR), .out = "" },
	{ "-", ST(SHARED_WR), EV(READ), TO(SHARED_WR), .out = "" },
	{ "-", ST(SHARED_WR), EV(WRITE), TO(SHARED_WR), .out = "" },
	{ "-", ST(OWNED_WR), EV(READ), TO(OWNED_WR), .out = "" },
	{ "-", ST(OWNED_WR), EV(WRITE), TO(OWNED_WR), .out = "" },
	{ "-", ST(SHARED_TAKE), EV(READ), TO(SHARED_TAKE), .out = "" },
	{ "-", ST(SHARED_TAKE), EV(WRITE), TO(SHARED_TAKE), .out = "" },
	{ "-", ST(OWNED_TAKE), EV(READ), TO(OWNED_TAKE), .out = "" },
	{ "-", ST(OWNED_TAKE), EV(WRITE), TO(OWNED_TAKE), .out = "" },
	{ "-", ST(EXCLUSIVE_DOWN), EV(READ), TO(EXCLUSIVE_DOWN), .out = "" },
	{ "-", ST(EXCLUSIVE_DOWN), EV(WRITE), TO(EXCLUSIVE_DOWN), .out = "" },
	{ "-", ST(EXCLUSIVE_TAKE), EV(READ), TO(EXCLUSIVE_TAKE), .out = "" },
	{ "-", ST(EXCLUSIVE_TAKE), EV(WRITE), TO(EXCLUSIVE_TAKE), .out = "" },
	{ "-", ST(SHARED_WR_TAKE), EV(READ), TO(SHARED_WR_TAKE), .out = "" },
	{ "-", ST(SHARED_WR_TAKE), EV(WRITE), TO(SHARED_WR_TAKE), .out = "" },
	{ "-", ST(OWNED_WR_TAKE), EV(READ), TO(OWNED_WR_TAKE), .out = "" },
	{ "-", ST(OWNED_WR_TAKE), EV(WRITE), TO(OWNED_WR_TAKE), .out = "" },

	{ "drop a read copy", ST(SHARED), EV(DROP), TO(INVALID), .out = "" },

	/* INV where there is nothing to take: the directory may be stale */
	{ "INV for nothing", ST(INVALID), EV(INV), .msg = { .req = REQ },
	  TO(INVALID), .out = "ACK>3" },
	{ "INV while reading", ST(INVALID_RD), EV(INV), .msg = { .req = REQ },
	  TO(INVALID_RD), .out = "ACK>3" },
	{ "INV while writing", ST(INVALID_WR), EV(INV), .msg = { .req = REQ },
	  TO(INVALID_WR), .out = "ACK>3" },

	/* reads forwarded to the owner */
	{ "owner reads out", ST(OWNED), EV(FWD_S), .msg = { .req = REQ },
	  TO(OWNED), .out = "DATA_S>3" },
	{ "owner that wants to write reads out", ST(OWNED_WR), EV(FWD_S),
	  .msg = { .req = REQ }, TO(OWNED_WR), .out = "DATA_S>3" },
	{ "home reads out", .self = HOME, ST(OWNED), EV(FWD_S),
	  .msg = { .req = REQ }, TO(OWNED),
	  .out = "DATA_S>3 NO_DONE, DONE>1 req 3" },
	{ "downgrade", ST(EXCLUSIVE), EV(FWD_S), .msg = { .req = REQ },
	  TO(EXCLUSIVE_DOWN), .ctx_next = RECALL(FWD_S, 0),
	  .out = "| DOWNGRADE" },
	{ "downgraded", ST(EXCLUSIVE_DOWN), .ctx = RECALL(FWD_S, 0),
	  EV(DOWNGRADED), TO(OWNED), .out = "DATA_S>3 | WAKE" },
	{ "home downgraded", .self = HOME, ST(EXCLUSIVE_DOWN),
	  .ctx = RECALL(FWD_S, 0), EV(DOWNGRADED), TO(OWNED),
	  .out = "DATA_S>3 NO_DONE, DONE>1 req 3 | WAKE" },

	/* recalls */
	{ "INV of a sharer", ST(SHARED), EV(INV), .msg = { .req = REQ },
	  TO(SHARED_TAKE), .ctx_next = RECALL(INV, 0), .out = "| TAKE" },
	{ "INV of the owner", ST(OWNED), EV(INV), .msg = { .req = REQ },
	  TO(OWNED_TAKE), .ctx_next = RECALL(INV, 0), .out = "| TAKE" },
	{ "FWD_X to an owner", ST(OWNED), EV(FWD_X),
	  .msg = { .req = REQ, .acks = N(4) | N(5) }, TO(OWNED_TAKE),
	  .ctx_next = RECALL(FWD_X, N(4) | N(5)), .out = "| TAKE" },
	{ "FWD_X to a writer", ST(EXCLUSIVE), EV(FWD_X),
	  .msg = { .req = REQ }, TO(EXCLUSIVE_TAKE),
	  .ctx_next = RECALL(FWD_X, 0), .out = "| TAKE" },
	{ "INV of a sharer that wants to write", ST(SHARED_WR), EV(INV),
	  .msg = { .req = REQ }, TO(SHARED_WR_TAKE),
	  .ctx_next = RECALL(INV, 0), .out = "| TAKE" },
	{ "INV of an owner that wants to write", ST(OWNED_WR), EV(INV),
	  .msg = { .req = REQ }, TO(OWNED_WR_TAKE),
	  .ctx_next = RECALL(INV, 0), .out = "| TAKE" },
	{ "FWD_X to an owner that wants to write", ST(OWNED_WR), EV(FWD_X),
	  .msg = { .req = REQ, .acks = ALL(REQ) }, TO(OWNED_WR_TAKE),
	  .ctx_next = RECALL(FWD_X, ALL(REQ)), .out = "| TAKE" },
	{ "sharer taken", ST(SHARED_TAKE), .ctx = RECALL(INV, 0), EV(TAKEN),
	  TO(INVALID), .out = "ACK>3 | WAKE | FREE" },
	{ "owner taken for a sharer", ST(OWNED_TAKE), .ctx = RECALL(INV, 0),
	  EV(TAKEN), TO(INVALID), .out = "ACK>3 | WAKE | FREE" },
	{ "owner taken", ST(OWNED_TAKE), .ctx = RECALL(FWD_X, N(4) | N(63)),
	  EV(TAKEN), TO(INVALID), .out = "DATA_X>3 acks 4+63 | WAKE | FREE" },
	{ "writer taken", ST(EXCLUSIVE_TAKE), .ctx = RECALL(FWD_X, 0),
	  EV(TAKEN), TO(INVALID), .out = "DATA_X>3 | WAKE | FREE" },
	{ "home taken, nobody else", .self = HOME, ST(EXCLUSIVE_TAKE),
	  .ctx = RECALL(FWD_X, 0), EV(TAKEN), TO(INVALID),
	  .out = "DATA_X>3 NO_DONE, DONE>1 req 3 | WAKE | FREE" },
	{ "home taken, sharers left: the requester says DONE", .self = HOME,
	  ST(OWNED_TAKE), .ctx = RECALL(FWD_X, N(4)), EV(TAKEN), TO(INVALID),
	  .out = "DATA_X>3 acks 4 | WAKE | FREE" },
	{ "home taken as a sharer", .self = HOME, ST(SHARED_TAKE),
	  .ctx = RECALL(INV, 0), EV(TAKEN), TO(INVALID),
	  .out = "ACK>3 | WAKE | FREE" },
	{ "taken, own request goes on", ST(SHARED_WR_TAKE),
	  .ctx = RECALL(INV, 0), EV(TAKEN), TO(INVALID_WR),
	  .out = "ACK>3 | WAKE | FREE" },
	{ "owner taken, own request goes on", ST(OWNED_WR_TAKE),
	  .ctx = RECALL(FWD_X, ALL(REQ)), EV(TAKEN), TO(INVALID_WR),
	  .out = "DATA_X>3 acks 1-2+4-63 | WAKE | FREE" },

	/* replies to a read */
	{ "read copy", ST(INVALID_RD), EV(DATA_S), .msg = { .from = PEER },
	  TO(SHARED), .out = "DONE>1 req 2 | INSTALL | WAKE" },
	{ "read copy from home", ST(INVALID_RD), EV(DATA_S),
	  .msg = { .flags = NO_DONE }, TO(SHARED), .out = "| INSTALL | WAKE" },
	{ "read copy for home", .self = HOME, ST(INVALID_RD), EV(DATA_S),
	  .msg = { .from = PEER }, TO(SHARED),
	  .out = "DONE>1 req 1 | INSTALL | WAKE" },
	{ "reader gets an untouched page", ST(INVALID_RD), EV(GRANT_X),
	  .msg = { .flags = NO_DONE }, TO(EXCLUSIVE),
	  .out = "| INSTALL_ZERO | WAKE" },

	{ "read copy, the page itself would have done", .read_x = true,
	  ST(INVALID_RD), EV(DATA_S), .msg = { .from = PEER }, TO(SHARED),
	  .out = "DONE>1 req 2 | INSTALL | WAKE" },
	{ "reader gets the page itself", .read_x = true, ST(INVALID_RD),
	  EV(DATA_X), .msg = { .from = PEER, .token = OWN_ACK }, TO(EXCLUSIVE),
	  .out = "DONE>1 req 2 | INSTALL | WAKE" },
	{ "reader gets the page itself from home", .read_x = true,
	  ST(INVALID_RD), EV(DATA_X),
	  .msg = { .flags = NO_DONE, .token = OWN_ACK }, TO(EXCLUSIVE),
	  .out = "| INSTALL | WAKE" },

	/* replies to a write */
	{ "writer gets an untouched page", ST(INVALID_WR), EV(GRANT_X),
	  .msg = { .flags = NO_DONE }, TO(EXCLUSIVE),
	  .out = "| INSTALL_ZERO | WAKE" },
	{ "page", ST(INVALID_WR), EV(DATA_X), .msg = { .from = PEER },
	  TO(EXCLUSIVE), .out = "DONE>1 req 2 | INSTALL | WAKE" },
	{ "page from home", ST(INVALID_WR), EV(DATA_X),
	  .msg = { .flags = NO_DONE }, TO(EXCLUSIVE),
	  .out = "| INSTALL | WAKE" },
	{ "page, ACKs missing: not to be used", ST(INVALID_WR), EV(DATA_X),
	  .msg = { .from = PEER, .acks = N(3) | N(63) }, TO(INVALID_WR),
	  .ctx_next = { .replied = 1, .acks = N(3) | N(63) },
	  .out = "| INSTALL" },
	{ "page, some ACKs came before", ST(INVALID_WR),
	  .ctx = { .acks = N(5) }, EV(DATA_X),
	  .msg = { .from = PEER, .acks = N(1) | N(5) }, TO(INVALID_WR),
	  .ctx_next = { .replied = 1, .acks = N(1) }, .out = "| INSTALL" },
	{ "page, all ACKs came before", ST(INVALID_WR),
	  .ctx = { .acks = N(3) | N(5) }, EV(DATA_X),
	  .msg = { .from = PEER, .acks = N(3) | N(5) }, TO(EXCLUSIVE),
	  .out = "DONE>1 req 2 | INSTALL | WAKE" },
	{ "page, all ACKs of all", ST(INVALID_WR),
	  .ctx = { .acks = ALL(SELF) }, EV(DATA_X),
	  .msg = { .from = PEER, .acks = ALL(SELF) }, TO(EXCLUSIVE),
	  .out = "DONE>1 req 2 | INSTALL | WAKE" },
	{ "ACK before the page", ST(INVALID_WR), EV(ACK),
	  .msg = { .from = PEER }, TO(INVALID_WR),
	  .ctx_next = { .acks = N(PEER) }, .out = "" },
	{ "second ACK before the page", ST(INVALID_WR),
	  .ctx = { .acks = N(63) }, EV(ACK), .msg = { .from = PEER },
	  TO(INVALID_WR), .ctx_next = { .acks = N(PEER) | N(63) }, .out = "" },
	{ "ACK, not the last", ST(INVALID_WR),
	  .ctx = { .replied = 1, .acks = N(PEER) | N(63) }, EV(ACK),
	  .msg = { .from = PEER }, TO(INVALID_WR),
	  .ctx_next = { .replied = 1, .acks = N(63) }, .out = "" },
	{ "last ACK", ST(INVALID_WR), .ctx = { .replied = 1, .acks = N(63) },
	  EV(ACK), .msg = { .from = 63 }, TO(EXCLUSIVE),
	  .out = "DONE>1 req 2 | WAKE" },
	{ "sharer upgraded", ST(SHARED_WR), .ctx = { .acks = N(PEER) },
	  EV(GRANT_X), .msg = { .acks = N(PEER), .flags = HAVE },
	  TO(EXCLUSIVE), .out = "DONE>1 req 2 | WAKE" },
	{ "sharer granted, ACKs missing", ST(SHARED_WR), EV(GRANT_X),
	  .msg = { .acks = N(3) | N(PEER), .flags = HAVE }, TO(SHARED_WR),
	  .ctx_next = { .replied = 1, .acks = N(3) | N(PEER) }, .out = "" },
	{ "sharer: last ACK", ST(SHARED_WR),
	  .ctx = { .replied = 1, .acks = N(PEER) }, EV(ACK),
	  .msg = { .from = PEER }, TO(EXCLUSIVE),
	  .out = "DONE>1 req 2 | WAKE" },
	{ "owner upgraded", ST(OWNED_WR), .ctx = { .acks = N(PEER) },
	  EV(GRANT_X), .msg = { .acks = N(PEER), .flags = HAVE },
	  TO(EXCLUSIVE), .out = "DONE>1 req 2 | WAKE" },
	{ "owner: last ACK", ST(OWNED_WR),
	  .ctx = { .replied = 1, .acks = N(PEER) }, EV(ACK),
	  .msg = { .from = PEER }, TO(EXCLUSIVE),
	  .out = "DONE>1 req 2 | WAKE" },
	{ "owner upgraded, no other copy", ST(OWNED_WR), EV(GRANT_X),
	  .msg = { .flags = HAVE | NO_DONE }, TO(EXCLUSIVE), .out = "| WAKE" },

	/* this node is lent the page */
	{ "lent", ST(EXCLUSIVE), EV(LEND), TO(EXCLUSIVE), .out = "| RULE" },
	{ "ruler writes", .rules = true, ST(OWNED), EV(WRITE), TO(OWNED_WR),
	  .ctx_next = { .asked = SELF }, .out = "GET_X>2 HAVE" },
	{ "ruler that gives the page back writes", .rules = true, .gives = true,
	  ST(OWNED), EV(WRITE), TO(OWNED_WR), .out = "GET_X>1 HAVE" },
	{ "ruler reads out", .rules = true, ST(OWNED), EV(FWD_S),
	  .msg = { .from = SELF, .req = REQ }, TO(OWNED),
	  .out = "DATA_S>3 RULER" },
	{ "ruler that wants to write reads out", .rules = true, .gives = true,
	  ST(OWNED_WR), .ctx = { .asked = SELF }, EV(FWD_S),
	  .msg = { .from = SELF, .req = REQ }, TO(OWNED_WR),
	  .ctx_next = { .asked = SELF }, .out = "DATA_S>3 RULER" },
	{ "ruler is asked for a copy", .rules = true, ST(EXCLUSIVE), EV(FWD_S),
	  .msg = { .from = SELF, .req = HOME }, TO(EXCLUSIVE_DOWN),
	  .ctx_next = { .recall_req = HOME, .recall_type = HK_DMSG_FWD_S,
			.recall_token = REQ_DATA }, .out = "| DOWNGRADE" },
	{ "ruler downgraded", .rules = true, .gives = true, ST(EXCLUSIVE_DOWN),
	  .ctx = RECALL(FWD_S, 0), EV(DOWNGRADED), TO(OWNED),
	  .out = "DATA_S>3 RULER | WAKE" },
	{ "ruler upgraded, ACKs missing", .rules = true, ST(OWNED_WR),
	  .ctx = { .asked = SELF }, EV(GRANT_X),
	  .msg = { .from = SELF, .acks = N(PEER), .flags = HAVE }, TO(OWNED_WR),
	  .ctx_next = { .asked = SELF, .replied = 1, .acks = N(PEER) },
	  .out = "" },
	{ "ruler upgraded", .rules = true, ST(OWNED_WR),
	  .ctx = { .asked = SELF, .replied = 1, .acks = N(PEER) }, EV(ACK),
	  .msg = { .from = PEER }, TO(EXCLUSIVE), .out = "DONE>2 req 2 | WAKE" },

	/* another node is lent the page */
	{ "read copy of a ruler", ST(INVALID_RD), EV(DATA_S),
	  .msg = { .from = PEER, .flags = RULER }, TO(SHARED), .ruler_next = PEER,
	  .out = "DONE>4 req 2 | INSTALL | WAKE" },
	{ "read copy of a ruler that was asked", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(DATA_S),
	  .msg = { .from = PEER, .flags = RULER }, TO(SHARED), .ruler_next = PEER,
	  .out = "DONE>4 req 2 | INSTALL | WAKE" },
	{ "read copy that is not of the ruler known of", .ruler = PEER,
	  ST(INVALID_RD), EV(DATA_S), .msg = { .from = 5 }, TO(SHARED),
	  .out = "DONE>1 req 2 | INSTALL | WAKE" },
	{ "read where a ruler is known", .ruler = PEER, ST(INVALID), EV(READ),
	  TO(INVALID_RD), .ctx_next = { .asked = PEER }, .ruler_next = PEER,
	  .out = "GET_S>4" },
	{ "read where a ruler is known, the page itself will do", .ruler = PEER,
	  .read_x = true, ST(INVALID), EV(READ), TO(INVALID_RD),
	  .ctx_next = { .asked = PEER }, .ruler_next = PEER, .out = "GET_S>4" },
	{ "write where a ruler is known", .ruler = PEER, ST(INVALID), EV(WRITE),
	  TO(INVALID_WR), .ruler_next = PEER, .out = "GET_X>1" },
	{ "write of a ruler's copy", .ruler = PEER, ST(SHARED), EV(WRITE),
	  TO(SHARED_WR), .ruler_next = PEER, .out = "GET_X>1 HAVE" },
	{ "drop a ruler's copy", .ruler = PEER, ST(SHARED), EV(DROP), TO(INVALID),
	  .ruler_next = PEER, .out = "" },
	{ "not lent any more", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(MOVED), .msg = { .from = PEER },
	  TO(INVALID_RD), .out = "GET_S>1" },
	{ "not lent any more, the page itself will do", .ruler = PEER,
	  .read_x = true, ST(INVALID_RD), .ctx = { .asked = PEER }, EV(MOVED),
	  .msg = { .from = PEER }, TO(INVALID_RD), .out = "GET_S>1" },
	{ "INV of a page that is back: the ruler is forgotten", .ruler = PEER,
	  ST(SHARED), EV(INV), .msg = { .req = REQ, .flags = RULER },
	  TO(SHARED_TAKE), .ctx_next = RECALL(INV, 0),
	  .out = "| TAKE" },
	{ "INV of a page that is back, no copy: the ruler is forgotten",
	  .ruler = PEER, ST(INVALID), EV(INV),
	  .msg = { .req = REQ, .flags = RULER }, TO(INVALID), .out = "ACK>3" },
	{ "INV of a page that is back while writing: the ruler is forgotten",
	  .ruler = PEER, ST(INVALID_WR), EV(INV),
	  .msg = { .req = REQ, .flags = RULER }, TO(INVALID_WR),
	  .out = "ACK>3" },
	{ "INV of a page that is back while the ruler is asked", .ruler = PEER,
	  ST(INVALID_RD), .ctx = { .asked = PEER }, EV(INV),
	  .msg = { .req = REQ, .flags = RULER },
	  TO(INVALID_RD), .ctx_next = { .asked = PEER, .moot = 1 },
	  .out = "ACK>3" },
	{ "INV of a page that is back while home is asked", ST(INVALID_RD), EV(INV),
	  .msg = { .req = REQ, .flags = RULER }, TO(INVALID_RD),
	  .ctx_next = { .moot = 1 }, .out = "ACK>3" },
	{ "moot: copy of an owner", ST(INVALID_RD), .ctx = { .moot = 1 }, EV(DATA_S),
	  .msg = { .from = PEER }, TO(INVALID_RD), .out = "DONE>1 req 2, GET_S>1" },
	{ "moot: copy of home", ST(INVALID_RD), .ctx = { .moot = 1 }, EV(DATA_S),
	  .msg = { .flags = NO_DONE }, TO(SHARED), .out = "| INSTALL | WAKE" },
	{ "moot: the page itself", .read_x = true, ST(INVALID_RD),
	  .ctx = { .moot = 1 }, EV(DATA_X),
	  .msg = { .from = PEER, .token = OWN_ACK }, TO(EXCLUSIVE),
	  .out = "DONE>1 req 2 | INSTALL | WAKE" },
	{ "INV by the ruler", .ruler = PEER, ST(SHARED), EV(INV),
	  .msg = { .from = PEER, .req = PEER }, TO(SHARED_TAKE),
	  .ruler_next = PEER,
	  .ctx_next = { .recall_req = PEER, .recall_type = HK_DMSG_INV,
			.recall_token = REQ_ACK }, .out = "| TAKE" },
	{ "INV by the ruler of one that wants to write", .ruler = PEER,
	  ST(SHARED_WR), EV(INV), .msg = { .from = PEER, .req = PEER },
	  TO(SHARED_WR_TAKE), .ruler_next = PEER,
	  .ctx_next = { .recall_req = PEER, .recall_type = HK_DMSG_INV,
			.recall_token = REQ_ACK }, .out = "| TAKE" },
	{ "INV by the ruler while it is asked", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(INV),
	  .msg = { .from = PEER, .req = PEER }, TO(INVALID_RD),
	  .ctx_next = { .asked = PEER }, .ruler_next = PEER, .out = "ACK>4" },
	{ "INV by a ruler that was forgotten", ST(INVALID), EV(INV),
	  .msg = { .from = PEER, .req = PEER }, TO(INVALID), .out = "ACK>4" },
	{ "INV by a ruler that was forgotten, while reading", ST(INVALID_RD),
	  EV(INV), .msg = { .from = PEER, .req = PEER }, TO(INVALID_RD),
	  .out = "ACK>4" },
	{ "INV by a ruler that was forgotten, while writing", ST(INVALID_WR),
	  EV(INV), .msg = { .from = PEER, .req = PEER }, TO(INVALID_WR),
	  .out = "ACK>4" },
	{ "moot: not lent any more", ST(INVALID_RD),
	  .ctx = { .asked = PEER, .moot = 1 }, EV(MOVED), .msg = { .from = PEER },
	  TO(INVALID_RD), .out = "GET_S>1" },
	{ "moot: lent once more", ST(INVALID_RD),
	  .ctx = { .asked = PEER, .moot = 1 }, EV(DATA_S),
	  .msg = { .from = PEER, .flags = RULER }, TO(INVALID_RD),
	  .out = "DONE>4 req 2, GET_S>1" },
	{ "the page itself where a ruler is known", .ruler = PEER, ST(INVALID_WR),
	  EV(DATA_X), .msg = { .from = PEER }, TO(EXCLUSIVE),
	  .out = "DONE>1 req 2 | INSTALL | WAKE" },
	{ "the right to write where a ruler is known", .ruler = PEER,
	  ST(SHARED_WR), EV(GRANT_X), .msg = { .flags = HAVE | NO_DONE },
	  TO(EXCLUSIVE), .out = "| WAKE" },

	/* the page went with a node */
	{ "reader is told", ST(INVALID_RD), EV(LOST), TO(INVALID),
	  .out = "| WAKE | LOST" },
	{ "writer is told", ST(INVALID_WR), EV(LOST), TO(INVALID),
	  .out = "| WAKE | LOST" },
};

/* What a faulty peer might say, or a defect of ours; nothing may change */
static const struct page_case refused[] = {
	{ "FWD_S not from home", ST(OWNED), EV(FWD_S),
	  .msg = { .from = PEER, .req = REQ } },
	{ "FWD_X not from home", ST(OWNED), EV(FWD_X),
	  .msg = { .from = PEER, .req = REQ } },
	{ "INV not from home", ST(SHARED), EV(INV),
	  .msg = { .from = PEER, .req = REQ } },
	{ "GRANT_X not from home", ST(INVALID_WR), EV(GRANT_X),
	  .msg = { .from = PEER } },
	{ "INV for nobody", ST(SHARED), EV(INV) },
	{ "INV for a node that cannot be", ST(SHARED), EV(INV),
	  .msg = { .req = HK_MAX_NODES } },
	{ "INV for this node itself", ST(SHARED), EV(INV),
	  .msg = { .req = SELF } },
	{ "FWD_S for this node itself", ST(OWNED), EV(FWD_S),
	  .msg = { .req = SELF } },
	{ "FWD_X with an ACK of the requester", ST(OWNED), EV(FWD_X),
	  .msg = { .req = REQ, .acks = N(REQ) | N(PEER) } },
	{ "FWD_X with an ACK of nobody", ST(OWNED), EV(FWD_X),
	  .msg = { .req = REQ, .acks = N(0) | N(PEER) } },
	{ "FWD_S with an ACK", ST(OWNED), EV(FWD_S),
	  .msg = { .req = REQ, .acks = N(PEER) } },
	{ "INV with an ACK", ST(SHARED), EV(INV),
	  .msg = { .req = REQ, .acks = N(PEER) } },
	{ "DATA_X with an ACK of this node itself", ST(INVALID_WR), EV(DATA_X),
	  .msg = { .from = PEER, .acks = N(SELF) } },
	{ "DATA_X with an ACK of nobody", ST(INVALID_WR), EV(DATA_X),
	  .msg = { .from = PEER, .acks = N(0) } },
	{ "GRANT_X with an ACK of this node itself", ST(SHARED_WR), EV(GRANT_X),
	  .msg = { .acks = N(SELF), .flags = HAVE } },
	{ "DATA_S without the token", ST(INVALID_RD), EV(DATA_S),
	  .msg = { .from = PEER, .token = OLD } },
	{ "DATA_X without the token", ST(INVALID_WR), EV(DATA_X),
	  .msg = { .from = PEER, .token = OLD } },
	{ "DATA_X with the token for ACKs", ST(INVALID_WR), EV(DATA_X),
	  .msg = { .from = PEER, .token = OWN_ACK } },
	{ "GRANT_X without the token", ST(INVALID_WR), EV(GRANT_X),
	  .msg = { .token = OLD } },
	{ "LOST without the token", ST(INVALID_WR), EV(LOST),
	  .msg = { .token = OLD } },
	{ "ACK without the token", ST(INVALID_WR), EV(ACK),
	  .msg = { .from = PEER, .token = OLD } },
	{ "ACK with the token for data", ST(SHARED_WR), EV(ACK),
	  .msg = { .from = PEER, .token = OWN_DATA } },
	{ "ACK behind the reply without the token", ST(OWNED_WR),
	  .ctx = { .replied = 1, .acks = N(PEER) }, EV(ACK),
	  .msg = { .from = PEER, .token = OLD } },
	{ "page for a reader that wants a copy", ST(INVALID_RD), EV(DATA_X),
	  .msg = { .from = PEER } },
	{ "page for a reader that wants a copy, without a token",
	  ST(INVALID_RD), EV(DATA_X),
	  .msg = { .from = PEER, .token = NO_TOKEN } },
	{ "page for a reader, of the owner's own accord", .read_x = true,
	  ST(INVALID_RD), EV(DATA_X), .msg = { .from = PEER } },
	{ "page for a reader, not asked for", .read_x = true, ST(INVALID_RD),
	  EV(DATA_X), .msg = { .from = PEER, .token = OLD } },
	{ "page for a reader with ACKs", .read_x = true, ST(INVALID_RD),
	  EV(DATA_X), .msg = { .from = PEER, .token = OWN_ACK, .acks = N(REQ) } },
	{ "read copy with the token for the page", .read_x = true,
	  ST(INVALID_RD), EV(DATA_S), .msg = { .from = PEER, .token = OWN_ACK } },
	{ "untouched page with the token for the page", .read_x = true,
	  ST(INVALID_RD), EV(GRANT_X),
	  .msg = { .flags = NO_DONE, .token = OWN_ACK } },
	{ "message from a node that cannot be", ST(INVALID_RD), EV(DATA_S),
	  .msg = { .from = HK_MAX_NODES } },
	{ "DATA_S from this node itself", ST(INVALID_RD), EV(DATA_S),
	  .msg = { .from = SELF } },
	{ "ACK from this node itself", ST(INVALID_WR), EV(ACK),
	  .msg = { .from = SELF } },
	{ "NO_DONE from others than home", ST(INVALID_RD), EV(DATA_S),
	  .msg = { .from = PEER, .flags = NO_DONE } },
	{ "NO_DONE with ACKs missing", ST(INVALID_WR), EV(DATA_X),
	  .msg = { .acks = N(PEER), .flags = NO_DONE } },
	{ "DATA_S with ACKs", ST(INVALID_RD), EV(DATA_S),
	  .msg = { .from = PEER, .acks = N(REQ) } },
	{ "reader granted with ACKs", ST(INVALID_RD), EV(GRANT_X),
	  .msg = { .acks = N(PEER) } },
	{ "reader granted a copy that it has not got", ST(INVALID_RD),
	  EV(GRANT_X), .msg = { .flags = HAVE | NO_DONE } },
	{ "writer granted a copy that it has not got", ST(INVALID_WR),
	  EV(GRANT_X), .msg = { .flags = HAVE | NO_DONE } },
	{ "sharer granted a zero page", ST(SHARED_WR), EV(GRANT_X),
	  .msg = { .flags = NO_DONE } },
	{ "owner granted a zero page", ST(OWNED_WR), EV(GRANT_X),
	  .msg = { .flags = NO_DONE } },
	{ "data for a sharer that has it", ST(SHARED_WR), EV(DATA_X),
	  .msg = { .from = PEER } },
	{ "second reply", ST(INVALID_WR),
	  .ctx = { .replied = 1, .acks = N(REQ) }, EV(DATA_X),
	  .msg = { .from = PEER, .acks = N(REQ) } },
	{ "second grant", ST(SHARED_WR), .ctx = { .replied = 1, .acks = N(REQ) },
	  EV(GRANT_X), .msg = { .acks = N(REQ), .flags = HAVE } },
	{ "reply that does not name one whose ACK came", ST(INVALID_WR),
	  .ctx = { .acks = N(REQ) | N(63) }, EV(DATA_X),
	  .msg = { .from = PEER, .acks = N(63) } },
	{ "grant that names others than those whose ACKs came", ST(SHARED_WR),
	  .ctx = { .acks = N(REQ) }, EV(GRANT_X),
	  .msg = { .acks = N(63), .flags = HAVE } },
	{ "two ACKs of one node before the reply", ST(INVALID_WR),
	  .ctx = { .acks = N(PEER) }, EV(ACK), .msg = { .from = PEER } },
	{ "two ACKs of one node behind the reply", ST(INVALID_WR),
	  .ctx = { .replied = 1, .acks = N(REQ) }, EV(ACK),
	  .msg = { .from = PEER } },
	{ "INV after the reply to our own request", ST(SHARED_WR),
	  .ctx = { .replied = 1, .acks = N(PEER) }, EV(INV),
	  .msg = { .req = REQ } },
	{ "INV after an ACK for our own request", ST(SHARED_WR),
	  .ctx = { .acks = N(PEER) }, EV(INV), .msg = { .req = REQ } },
	{ "INV after data", ST(INVALID_WR),
	  .ctx = { .replied = 1, .acks = N(PEER) }, EV(INV),
	  .msg = { .req = REQ } },
	{ "FWD_S after the reply to our own request", ST(OWNED_WR),
	  .ctx = { .replied = 1, .acks = N(PEER) }, EV(FWD_S),
	  .msg = { .req = REQ } },
	{ "FWD_X after the reply to our own request", ST(OWNED_WR),
	  .ctx = { .replied = 1, .acks = N(PEER) }, EV(FWD_X),
	  .msg = { .req = REQ } },
	{ "LOST not from home", ST(INVALID_RD), EV(LOST),
	  .msg = { .from = PEER } },
	{ "LOST with ACKs", ST(INVALID_RD), EV(LOST), .msg = { .acks = N(PEER) } },
	{ "LOST with a flag", ST(INVALID_WR), EV(LOST),
	  .msg = { .flags = NO_DONE } },
	{ "LOST after data", ST(INVALID_WR),
	  .ctx = { .replied = 1, .acks = N(PEER) }, EV(LOST) },
	{ "LOST after an ACK", ST(INVALID_WR), .ctx = { .acks = N(PEER) },
	  EV(LOST) },
	{ "lent by another node than home", ST(EXCLUSIVE), EV(LEND),
	  .msg = { .from = PEER } },
	{ "lent to home", .self = HOME, ST(EXCLUSIVE), EV(LEND) },
	{ "lent twice", .rules = true, ST(EXCLUSIVE), EV(LEND) },
	{ "INV by another node than home or ruler", .ruler = 5, ST(SHARED),
	  EV(INV), .msg = { .from = PEER, .req = PEER } },
	{ "INV of a node that wants to write, not by home or ruler", .ruler = 5,
	  ST(SHARED_WR), EV(INV), .msg = { .from = PEER, .req = PEER } },
	{ "INV by the ruler, that it has given the page back", .ruler = PEER,
	  ST(SHARED), EV(INV),
	  .msg = { .from = PEER, .req = PEER, .flags = RULER } },
	{ "INV by the ruler for another node", .ruler = PEER, ST(SHARED), EV(INV),
	  .msg = { .from = PEER, .req = REQ } },
	{ "INV of nothing, not by home, for another node", .ruler = PEER,
	  ST(INVALID), EV(INV), .msg = { .from = PEER, .req = REQ } },
	{ "INV while reading, not by home, for another node", ST(INVALID_RD),
	  EV(INV), .msg = { .from = PEER, .req = REQ } },
	{ "INV of an owner by its last ruler", .ruler = PEER, ST(OWNED), EV(INV),
	  .msg = { .from = PEER, .req = PEER } },
	{ "FWD_S from itself, not lent", ST(OWNED), EV(FWD_S),
	  .msg = { .from = SELF, .req = REQ } },
	{ "GRANT_X from itself, not lent", ST(OWNED_WR), EV(GRANT_X),
	  .msg = { .from = SELF, .flags = HAVE } },
	{ "ruler was asked, another one answers", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(DATA_S),
	  .msg = { .from = 5, .flags = RULER } },
	{ "ruler was asked, home answers", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(DATA_S) },
	{ "ruler was asked, who answers is none", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(DATA_S), .msg = { .from = PEER } },
	{ "ruler was asked, and gives the page away", .ruler = PEER,
	  ST(INVALID_RD), .ctx = { .asked = PEER }, EV(DATA_X),
	  .msg = { .from = PEER } },
	{ "ruler was asked, and gives the page away as ruler", .ruler = PEER,
	  ST(INVALID_RD), .ctx = { .asked = PEER }, EV(DATA_X),
	  .msg = { .from = PEER, .flags = RULER } },
	{ "ruler was asked, home grants", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(GRANT_X), .msg = { .flags = NO_DONE } },
	{ "ruler was asked, home says lost", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(LOST) },
	{ "ruler's copy without the token", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(DATA_S),
	  .msg = { .from = PEER, .flags = RULER, .token = OLD } },
	{ "ruler's copy with NO_DONE", ST(INVALID_RD), EV(DATA_S),
	  .msg = { .from = PEER, .flags = RULER | NO_DONE } },
	{ "home as a ruler", ST(INVALID_RD), EV(DATA_S), .msg = { .flags = RULER } },
	{ "moved, from a node that was not asked", .ruler = PEER, ST(INVALID_RD),
	  .ctx = { .asked = PEER }, EV(MOVED), .msg = { .from = 5 } },
	{ "moved, and home was asked", .ruler = PEER, ST(INVALID_RD), EV(MOVED),
	  .msg = { .from = PEER } },
	{ "state that cannot be", .state = HK_PG_NR, EV(READ) },
	{ "event that cannot be", ST(INVALID), .ev = HK_EV_NR },
};

static u8 type_of(u8 ev)
{
	u8 type;

	for (type = 0; type < HK_DMSG_NR; type++)
		if (hk_page_event_of(type) == ev)
			return type;
	return HK_DMSG_NONE;
}

static bool asks(u8 state)
{
	return state == HK_PG_INVALID_RD || state == HK_PG_INVALID_WR ||
	       state == HK_PG_SHARED_WR || state == HK_PG_OWNED_WR ||
	       state == HK_PG_SHARED_WR_TAKE || state == HK_PG_OWNED_WR_TAKE;
}

/* What is remembered of a request of this node's own */
static struct hk_page_ctx with_tokens(struct hk_page_ctx ctx, u8 state,
				      bool read_x)
{
	if (asks(state)) {
		ctx.tokens.data = OWN_DATA;
		/* only home may have a page given away to a reader */
		if (state != HK_PG_INVALID_RD || (read_x && !ctx.asked))
			ctx.tokens.ack = OWN_ACK;
	}
	return ctx;
}

/* Home is asked anew: whoever was asked before knows nothing of that request */
static bool asks_again(const struct page_case *c)
{
	return c->ev == HK_EV_MOVED ||
	       (c->ev == HK_EV_DATA_S && c->ctx.moot &&
		!hk_page_stable(c->next));
}

/* The tokens that go with a message: of the node's own request, or of another's */
static struct hk_tokens tokens_of(u8 type, bool own)
{
	u32 data = own ? OWN_DATA : REQ_DATA, ack = own ? OWN_ACK : REQ_ACK;
	struct hk_tokens none = { 0 };

	switch ((enum hk_dmsg_type)type) {
	case HK_DMSG_GET_X:
		return (struct hk_tokens){ data, ack };
	case HK_DMSG_INV:
	case HK_DMSG_ACK:
		return (struct hk_tokens){ 0, ack };
	case HK_DMSG_GET_S:
	case HK_DMSG_FWD_S:
	case HK_DMSG_FWD_X:
	case HK_DMSG_DATA_S:
	case HK_DMSG_DATA_X:
	case HK_DMSG_GRANT_X:
	case HK_DMSG_LOST:
		return (struct hk_tokens){ data, 0 };
	case HK_DMSG_DONE:
	case HK_DMSG_LEND:
	case HK_DMSG_PASS_S:
	case HK_DMSG_UNLEND:
	case HK_DMSG_BACK:
	case HK_DMSG_MOVED:
	case HK_DMSG_NONE:
	case HK_DMSG_NR:
		break;
	}
	return none;
}

static bool recalls(u8 ev)
{
	return ev == HK_EV_FWD_S || ev == HK_EV_FWD_X || ev == HK_EV_INV;
}

static struct hk_dmsg msg_of(const struct page_case *c, u16 self)
{
	struct hk_dmsg m = {
		.gfn = GFN,
		.to = hk_node_bit(self),
		.from = c->msg.from ? c->msg.from : HOME,
		.req = c->msg.req,
		.acks = c->msg.acks,
		.type = type_of(c->ev),
		.flags = c->msg.flags,
	};

	m.tokens = tokens_of(m.type, !recalls(c->ev));
	if (c->msg.token && c->ev == HK_EV_ACK)
		m.tokens.ack = c->msg.token;
	else if (c->msg.token)
		m.tokens.data = c->msg.token == NO_TOKEN ? 0 : c->msg.token;
	return m;
}

static bool tokens_equal(struct hk_tokens a, struct hk_tokens b)
{
	return a.data == b.data && a.ack == b.ack;
}

/* Run @c; @err: what to expect. True when all came as expected */
static bool run(const struct page_case *c, int err)
{
	u16 self = c->self ? c->self : SELF;
	struct hk_page_where w = { .gfn = GFN, .self = self, .home = HOME,
				   .read_x = c->read_x, .ruler = c->ruler,
				   .rules = c->rules, .gives = c->gives,
				   .tokens = { OWN_DATA, OWN_ACK } };
	const struct hk_dmsg msg = msg_of(c, self);
	u8 state = c->state, want = err ? c->state : c->next;
	const struct hk_page_ctx ctx_old = with_tokens(c->ctx, state,
							   c->read_x);
	struct hk_page_ctx ctx_want =
		err ? ctx_old : with_tokens(c->ctx_next, want, c->read_x);
	struct hk_page_ctx ctx = ctx_old;
	const char *out_want = err ? "" : c->out;
	struct hk_out out = { 0 };
	struct hk_tokens tokens;
	char buf[256];
	unsigned int i;
	bool own;
	int ret;

	/* later events have nothing to do with these */
	if (c->ev != HK_EV_READ && c->ev != HK_EV_WRITE)
		w.tokens = (struct hk_tokens){ OLD, OLD };
	if (asks_again(c)) {
		w.tokens = (struct hk_tokens){ NEW_DATA, NEW_ACK };
		if (!err)
			ctx_want.tokens = (struct hk_tokens){
				NEW_DATA, c->read_x ? NEW_ACK : 0
			};
	}
	ret = hk_page_step(&w, &state, &ctx, c->ev, msg.type ? &msg : NULL,
			   &out);
	show_out(&out, buf, sizeof(buf));
	if (ret == err && state == want && !strcmp(buf, out_want) &&
	    (err || out.ruler == c->ruler_next) && !memcmp(&ctx, &ctx_want, sizeof(ctx))) {
		for (i = 0; i < out.nr; i++)
			if (out.msg[i].gfn != GFN || out.msg[i].from != self)
				return false;
		for (i = 0; i < out.nr; i++) {
			own = out.msg[i].type == HK_DMSG_GET_S ||
			      out.msg[i].type == HK_DMSG_GET_X;
			tokens = tokens_of(out.msg[i].type, own);
			if (out.msg[i].type == HK_DMSG_GET_S)
				tokens = ctx_want.tokens;
			if (!tokens_equal(out.msg[i].tokens, tokens)) {
				tap_diag("%s with tokens %x %x",
					 hk_dmsg_name(out.msg[i].type),
					 out.msg[i].tokens.data,
					 out.msg[i].tokens.ack);
				return false;
			}
		}
		return true;
	}
	tap_diag("%s %s: returns %d, %s \"%s\", expected %d, %s \"%s\"%s",
		 hk_page_state_name(c->state), hk_page_event_name(c->ev), ret,
		 hk_page_state_name(state), buf, err, hk_page_state_name(want),
		 out_want,
		 memcmp(&ctx, &ctx_want, sizeof(ctx)) ? "; context differs" : "");
	return false;
}

/* A context as it may be in @state */
static struct hk_page_ctx ctx_for(u8 state)
{
	struct hk_page_ctx none = { 0 };
	struct hk_page_ctx inv = RECALL(INV, 0);
	struct hk_page_ctx fwd_s = RECALL(FWD_S, 0);
	struct hk_page_ctx fwd_x = RECALL(FWD_X, 0);

	switch ((enum hk_page_state)state) {
	case HK_PG_SHARED_TAKE:
	case HK_PG_SHARED_WR_TAKE:
		return inv;
	case HK_PG_EXCLUSIVE_DOWN:
		return fwd_s;
	case HK_PG_OWNED_TAKE:
	case HK_PG_EXCLUSIVE_TAKE:
	case HK_PG_OWNED_WR_TAKE:
		return fwd_x;
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
	return none;
}

static bool cell_defined(u8 state, u8 ev)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		if (cases[i].state == state && cases[i].ev == ev)
			return true;
	return false;
}

/* A cell without a case above must refuse whatever the message looks like */
static void test_empty_cells(void)
{
	static const u16 froms[] = { HOME, PEER };
	static const u16 reqs[] = { HK_NODE_NONE, REQ };
	unsigned int i, bad, empty = 0;
	u8 state, ev;

	for (state = 0; state < HK_PG_NR; state++) {
		bad = 0;
		for (ev = 0; ev < HK_EV_NR; ev++) {
			if (cell_defined(state, ev))
				continue;
			empty++;
			for (i = 0; i < 32; i++) {
				struct page_case c = {
					.state = state,
					.ev = ev,
					.ctx = ctx_for(state),
					.msg = {
						.from = froms[i & 1],
						.req = reqs[i >> 1 & 1],
						.acks = i & 4 ? N(REQ) : 0,
						.flags = i >> 3,
					},
				};

				bad += !run(&c, -EPROTO);
			}
		}
		tap_ok(!bad, "%s: all other events refused",
		       hk_page_state_name(state));
	}
	tap_diag("%u cells of %u are empty", empty, HK_PG_NR * HK_EV_NR);
}

/* Whoever waits for something sleeps; so the ways out of waiting must wake */
static void test_wake(void)
{
	size_t i;
	bool ok = true;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct page_case *c = &cases[i];

		if (!hk_page_stable(c->state) && hk_page_stable(c->next) &&
		    !strstr(c->out, "WAKE"))
			ok = false;
	}
	tap_ok(ok, "each way into a stable state wakes");
}

static void test_misc(void)
{
	struct hk_page_where w = { .gfn = GFN, .self = SELF, .home = HOME };
	struct hk_page_ctx ctx = { 0 };
	struct hk_dmsg msg = {
		.gfn = GFN + 1, .from = HOME, .req = REQ, .type = HK_DMSG_INV,
	};
	struct hk_out out = { 0 };
	u8 state = HK_PG_SHARED, i;
	bool ok = true;

	tap_ok(hk_page_step(&w, &state, &ctx, HK_EV_INV, &msg, &out) ==
	       -EPROTO && state == HK_PG_SHARED, "wrong gfn refused");
	msg.gfn = GFN;
	tap_ok(hk_page_step(&w, &state, &ctx, HK_EV_FWD_S, &msg, &out) ==
	       -EPROTO, "event and message of different types refused");
	tap_ok(hk_page_step(&w, &state, &ctx, HK_EV_INV, NULL, &out) ==
	       -EPROTO, "message event without a message refused");
	out.nr = HK_OUT_MAX - 1;
	state = HK_PG_INVALID;
	tap_ok(hk_page_step(&w, &state, &ctx, HK_EV_READ, NULL, &out) ==
	       -EPROTO && state == HK_PG_INVALID, "no room for messages");

	out = (struct hk_out){ .nr = 1, .act = HK_ACT_FREE };
	tap_ok(!hk_page_step(&w, &state, &ctx, HK_EV_READ, NULL, &out) &&
	       out.nr == 2 && out.act == HK_ACT_FREE &&
	       out.msg[1].type == HK_DMSG_GET_S, "messages are appended");

	for (i = 0; i < HK_PG_NR; i++)
		ok &= hk_page_state_name(i)[0] != '?';
	ok &= hk_page_state_name(HK_PG_NR)[0] == '?';
	for (i = 0; i < HK_EV_NR; i++)
		ok &= hk_page_event_name(i)[0] != '?';
	ok &= hk_page_event_name(HK_EV_NR)[0] == '?';
	for (i = 1; i < HK_DMSG_NR; i++)
		ok &= hk_dmsg_name(i)[0] != '?';
	ok &= hk_dmsg_name(HK_DMSG_NR)[0] == '?';
	tap_ok(ok, "everything has a name");
	tap_ok(hk_page_event_of(HK_DMSG_GET_S) == -EINVAL &&
	       hk_page_event_of(HK_DMSG_GET_X) == -EINVAL &&
	       hk_page_event_of(HK_DMSG_DONE) == -EINVAL &&
	       hk_page_event_of(HK_DMSG_PASS_S) == -EINVAL &&
	       hk_page_event_of(HK_DMSG_UNLEND) == -EINVAL &&
	       hk_page_event_of(HK_DMSG_BACK) == -EINVAL &&
	       hk_page_event_of(HK_DMSG_NONE) == -EINVAL &&
	       hk_page_event_of(255) == -EINVAL,
	       "messages for home are no page events");

	ok = true;
	for (i = 0; i < HK_PG_NR; i++) {
		bool r = i == HK_PG_SHARED || i == HK_PG_OWNED ||
			 i == HK_PG_EXCLUSIVE || i == HK_PG_SHARED_WR ||
			 i == HK_PG_OWNED_WR || i == HK_PG_EXCLUSIVE_DOWN;

		ok &= hk_page_may_read(i) == r;
		ok &= hk_page_may_write(i) == (i == HK_PG_EXCLUSIVE);
	}
	tap_ok(ok, "who may map what");
}

static u64 rnd(void)
{
	static u64 x = 362436069521288629ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Whatever a peer says: refused without a trace, or the state stays sound */
static void test_noise(void)
{
	static const struct hk_page_ctx zero;
	unsigned int round, i, taken = 0;
	bool ok = true;

	for (round = 0; round < 1000000 && ok; round++) {
		struct hk_page_where w = {
			.gfn = GFN,
			.self = rnd() & 1 ? HOME : SELF,
			.home = HOME,
			.ruler = rnd() & 1 ? 0 : PEER,
			.tokens = { 1, 2 },
		};
		u8 state = rnd() % HK_PG_NR, old = state;
		u8 ev = rnd() % HK_EV_NR;
		struct hk_page_ctx ctx = ctx_for(state), ctx_old;
		struct hk_dmsg msg = {
			.gfn = GFN,
			.from = rnd() & 1 ? HOME : rnd() % (HK_MAX_NODES + 2),
			.req = rnd() % (HK_MAX_NODES + 2),
			.acks = rnd() & 1 ? 0 : rnd() & rnd(),
			.type = rnd() & 7 ? type_of(ev) : rnd() % 256,
			.flags = rnd() & 1 ? 0 : rnd() % 256,
			.tokens = { rnd(), rnd() },
		};
		struct hk_out out = { 0 };
		bool token;
		int ret;

		if (state == HK_PG_INVALID_WR || state == HK_PG_SHARED_WR ||
		    state == HK_PG_OWNED_WR) {
			ctx.acks = rnd() & 1 ? 0 : rnd() & ALL(w.self);
			ctx.replied = rnd() & 1 && ctx.acks;
		}
		if (w.self == SELF && rnd() & 1) {
			w.rules = true;
			w.gives = rnd() & 1;
		}
		if (state == HK_PG_INVALID_RD && rnd() & 1) {
			ctx.asked = PEER;
			ctx.moot = rnd() & 1;
			if (rnd() & 3)
				msg.from = PEER;
			if (rnd() & 3)
				msg.flags = RULER;
		}
		ctx = with_tokens(ctx, state, rnd() & 1);
		if (rnd() & 3)
			msg.tokens = ctx.tokens;
		if (ev == HK_EV_DATA_X && rnd() & 1)
			msg.tokens.data = ctx.tokens.ack;
		token = ev == HK_EV_ACK ? msg.tokens.ack == ctx.tokens.ack :
		       recalls(ev) || msg.tokens.data == ctx.tokens.data;
		if (ev == HK_EV_DATA_X && state == HK_PG_INVALID_RD)
			token = ctx.tokens.ack &&
				msg.tokens.data == ctx.tokens.ack;
		ctx_old = ctx;
		ret = hk_page_step(&w, &state, &ctx, ev, &msg, &out);
		if (ret) {
			ok &= ret == -EPROTO && state == old && !out.nr &&
			      !out.act && !memcmp(&ctx, &ctx_old, sizeof(ctx));
			continue;
		}
		taken++;
		ok &= state < HK_PG_NR && out.nr <= 2 &&
		      (token || ev < HK_EV_FWD_S || ev > HK_EV_LOST) &&
		      !(ctx.acks & ~ALL(w.self)) &&
		      (!hk_page_stable(state) ||
		       !memcmp(&ctx, &zero, sizeof(ctx)));
		for (i = 0; i < out.nr; i++)
			ok &= out.msg[i].to && !(out.msg[i].to & 1) &&
			      !(out.msg[i].to & (out.msg[i].to - 1)) &&
			      !(out.msg[i].acks & (out.msg[i].to | 1));
	}
	tap_ok(ok && taken > 1000, "a million events at random");
}

void test_page(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		tap_ok(run(&cases[i], 0), "%s %s %s",
		       hk_page_state_name(cases[i].state),
		       hk_page_event_name(cases[i].ev), cases[i].name);
	for (i = 0; i < ARRAY_SIZE(refused); i++)
		tap_ok(run(&refused[i], -EPROTO), "refused: %s",
		       refused[i].name);
	test_empty_cells();
	test_wake();
	test_misc();
	test_noise();
}
