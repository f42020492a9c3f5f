// SPDX-License-Identifier: GPL-2.0
/*
 * What a peer may say about pages: each type as it should be, and each field of it
 * that is wrong
 *
 * The expectations are written down a second time here, from the table of messages in
 * Documentation/protocol.rst.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "../../dsm/wire.h"
#include "show.h"
#include "tap.h"

#define SELF		1
#define PEER		2
#define THIRD		5
#define LAST		63
#define STRANGER	9
#define N(_n)		hk_node_bit(_n)
#define RAM_PAGES	1000

/* a page whose home is this node, the sender, another one */
#define OURS		299
#define THEIRS		300
#define OTHERS		600

static const struct hk_homes homes = {
	.nr = 4,
	.range = {
		{ 0, SELF }, { THEIRS, PEER }, { OTHERS, THIRD },
		{ OTHERS + 1, LAST },
	},
};

static const struct hk_page_facts facts = {
	.ram_pages = RAM_PAGES,
	.members = N(SELF) | N(PEER) | N(THIRD) | N(LAST),
	.homes = &homes,
	.self = SELF,
};

struct wire_case {
	const char *name;
	u8 type;
	u64 gfn;
	u16 req;
	u64 acks;
	u32 data;
	u32 ack;
	u8 flags;
	u8 content;
	u64 fill;
	bool page;
	u8 reserved[3];
	u64 salt;		/* not 0: a check comes behind the message */
	u64 hash;
	bool check;		/* likewise, whatever @salt is */
	int len;		/* added to what it should be */
	u16 peer;		/* 0: PEER */
	bool lend;
	const char *why;	/* NULL: taken */
};

#define T(_t)		.type = HK_DMSG_##_t
#define HAVE		HK_DMSG_F_HAVE
#define NO_DONE		HK_DMSG_F_NO_DONE
#define RULER		HK_DMSG_F_RULER
#define LEND		.lend = true
#define FILL		.content = HK_CONTENT_FILL
#define PAGE		.content = HK_CONTENT_PAGE, .page = true
#define SAME		.content = HK_CONTENT_SAME
#define NOT_HOME	"this node is not home"
#define NOT_FROM_HOME	"sender is not home"
#define REQ_OR_ACKS	"requester or acks that it must not have"
#define TOKEN		"token that it must not have"
#define CONTENT		"content missing, or of the wrong kind"
#define CHECK		"check that it must not have"
#define FLAG		"flag that it must not have"

static const struct wire_case cases[] = {
	/* each type, with all that it may have */
	{ "GET_S", T(GET_S), OURS, .data = 1 },
	{ "GET_S with a token for the page", T(GET_S), OURS, .data = 1, .ack = 2 },
	{ "GET_X", T(GET_X), OURS, .data = 1, .ack = 2 },
	{ "GET_X HAVE", T(GET_X), 0, .data = ~0u, .ack = ~0u, .flags = HAVE },
	{ "FWD_S", T(FWD_S), THEIRS, .req = THIRD, .data = 1 },
	{ "FWD_S for home", T(FWD_S), OTHERS - 1, .req = PEER, .data = 1 },
	{ "FWD_X", T(FWD_X), THEIRS, .req = LAST, .data = 1,
	  .acks = N(THIRD) | N(PEER) },
	{ "INV", T(INV), THEIRS, .req = THIRD, .ack = 1 },
	{ "DATA_S, a page", T(DATA_S), OURS, .data = 1, PAGE },
	{ "DATA_S, a word", T(DATA_S), OTHERS, .data = 1, FILL, .fill = ~0ull },
	{ "DATA_S NO_DONE", T(DATA_S), THEIRS, .data = 1, PAGE,
	  .flags = NO_DONE },
	{ "DATA_X, a page", T(DATA_X), RAM_PAGES - 1, .data = 1, PAGE,
	  .acks = N(THIRD) | N(LAST) },
	{ "DATA_X, a word of zeros", T(DATA_X), OURS, .data = 1, FILL },
	{ "DATA_X NO_DONE", T(DATA_X), THEIRS, .data = 1, PAGE,
	  .flags = NO_DONE },
	{ "GRANT_X", T(GRANT_X), THEIRS, .data = 1, .acks = N(LAST) },
	{ "GRANT_X HAVE NO_DONE", T(GRANT_X), THEIRS, .data = 1,
	  .flags = HAVE | NO_DONE },
	{ "ACK", T(ACK), OTHERS, .ack = 1 },
	{ "DONE", T(DONE), OURS, .req = PEER },
	{ "LOST", T(LOST), THEIRS, .data = 1 },
	{ "GET_S with a check", T(GET_S), OURS, .data = 1, .salt = 1 },
	{ "GET_S with all that it may have", T(GET_S), OURS, .data = 1, .ack = 2,
	  .salt = ~0ull, .hash = ~0ull },
	{ "GET_X with a check", T(GET_X), OURS, .data = 1, .ack = 2, .salt = 7,
	  .hash = 1ull << 63 },
	{ "FWD_S with a check", T(FWD_S), THEIRS, .req = THIRD, .data = 1,
	  .salt = 1ull << 63, .hash = 5 },
	{ "FWD_X with a check", T(FWD_X), THEIRS, .req = LAST, .data = 1,
	  .acks = N(THIRD), .salt = 1, .hash = 2 },
	{ "DATA_S, nothing new", T(DATA_S), OURS, .data = 1, SAME },
	{ "DATA_X, nothing new", T(DATA_X), THEIRS, .data = 1, SAME,
	  .acks = N(LAST) },

	/* the message itself */
	{ "shorter", T(GET_S), OURS, .len = -1, .why = "wrong length" },
	{ "longer", T(GET_S), OURS, .len = 1, .why = "wrong length" },
	{ "empty", T(GET_S), OURS, .len = -40, .why = "wrong length" },
	{ "reserved 0", T(GET_S), OURS, .reserved = { 1 },
	  .why = "reserved field" },
	{ "reserved 1", T(GET_S), OURS, .reserved = { 0, 1 },
	  .why = "reserved field" },
	{ "reserved 2", T(GET_S), OURS, .reserved = { 0, 0, 0x80 },
	  .why = "reserved field" },
	{ "type 0", T(NONE), OURS, .why = "unknown type" },
	{ "type one too high", T(NR), OURS, .why = "unknown type" },
	{ "type 255", .type = 255, OURS, .why = "unknown type" },
	{ "flag 4", T(GET_X), OURS, .flags = 4, .why = "unknown flag" },
	{ "flag 128", T(GRANT_X), THEIRS, .flags = 0x80 | HAVE,
	  .why = "unknown flag" },

	/* page */
	{ "first page behind the end", T(GET_S), RAM_PAGES,
	  .why = "no such page" },
	{ "page of all ones", T(ACK), ~0ull, .why = "no such page" },
	{ "page beyond the end for an owner", T(FWD_X), 1ull << 32,
	  .req = THIRD, .why = "no such page" },

	/* nodes */
	{ "from a stranger", T(ACK), OURS, .peer = STRANGER,
	  .why = "not a member" },
	{ "from a node that cannot be", T(ACK), OURS, .peer = 64 + PEER,
	  .why = "not a member" },
	{ "requester is a stranger", T(FWD_S), THEIRS, .req = STRANGER,
	  .why = "requester is not a member" },
	{ "requester 64", T(FWD_S), THEIRS, .req = 64,
	  .why = "requester is not a member" },
	{ "requester a member but for 64", T(INV), THEIRS, .req = 64 + THIRD,
	  .why = "requester is not a member" },
	{ "requester 65535", T(DONE), OURS, .req = 0xffff,
	  .why = "requester is not a member" },
	{ "ACK of a stranger", T(FWD_X), THEIRS, .req = THIRD,
	  .acks = N(STRANGER), .why = "ACK of a node that is not a member" },
	{ "ACK of a stranger to a grant", T(GRANT_X), THEIRS,
	  .acks = N(THIRD) | N(STRANGER),
	  .why = "ACK of a node that is not a member" },
	{ "ACK of nobody", T(DATA_X), OURS, FILL, .acks = 1,
	  .why = "ACK of a node that is not a member" },

	/* content */
	{ "GET_S with a page", T(GET_S), OURS, PAGE, .why = CONTENT },
	{ "GET_S with a word", T(GET_S), OURS, FILL, .why = CONTENT },
	{ "a page that is not told of", T(GET_S), OURS, .page = true,
	  .why = CONTENT },
	{ "a word that is not told of", T(ACK), OURS, .fill = 1,
	  .why = CONTENT },
	{ "FWD_X with a word", T(FWD_X), THEIRS, .req = THIRD, FILL,
	  .why = CONTENT },
	{ "GRANT_X with a page", T(GRANT_X), THEIRS, PAGE, .why = CONTENT },
	{ "LOST with a word", T(LOST), THEIRS, FILL, .why = CONTENT },
	{ "DATA_S without", T(DATA_S), OURS, .why = CONTENT },
	{ "DATA_X without", T(DATA_X), OURS, .why = CONTENT },
	{ "DATA_X, the page is missing", T(DATA_X), OURS,
	  .content = HK_CONTENT_PAGE, .why = CONTENT },
	{ "DATA_S, word and page", T(DATA_S), OURS, FILL, .page = true,
	  .why = CONTENT },
	{ "DATA_S, page and word", T(DATA_S), OURS, PAGE, .fill = 9,
	  .why = CONTENT },
	{ "DATA_X, content of an unknown kind", T(DATA_X), OURS, .content = 4,
	  .page = true, .why = CONTENT },
	{ "DATA_S, nothing new, and a page", T(DATA_S), OURS, SAME, .page = true,
	  .why = CONTENT },
	{ "DATA_X, nothing new, and a word", T(DATA_X), OURS, SAME, .fill = 1,
	  .why = CONTENT },
	{ "GET_S, nothing new", T(GET_S), OURS, SAME, .why = CONTENT },
	{ "GRANT_X, nothing new", T(GRANT_X), THEIRS, SAME, .why = CONTENT },

	/* checks */
	{ "GET_S with a check without a salt", T(GET_S), OURS, .check = true,
	  .hash = 1, .why = "check without a salt" },
	{ "FWD_X with a check of zeros", T(FWD_X), THEIRS, .req = THIRD,
	  .check = true, .why = "check without a salt" },
	{ "GET_X HAVE with a check", T(GET_X), OURS, .flags = HAVE, .salt = 1,
	  .why = CHECK },
	{ "INV with a check", T(INV), THEIRS, .req = THIRD, .salt = 1,
	  .why = CHECK },
	{ "DATA_S with a check", T(DATA_S), OURS, PAGE, .salt = 1, .why = CHECK },
	{ "DATA_X with a check", T(DATA_X), OURS, SAME, .salt = 1, .why = CHECK },
	{ "GRANT_X with a check", T(GRANT_X), THEIRS, .salt = 1, .why = CHECK },
	{ "ACK with a check", T(ACK), OURS, .salt = 1, .why = CHECK },
	{ "DONE with a check", T(DONE), OURS, .req = PEER, .salt = 1,
	  .why = CHECK },
	{ "LOST with a check", T(LOST), THEIRS, .salt = 1, .why = CHECK },
	{ "a check that is cut off", T(GET_S), OURS, .salt = 1, .len = -1,
	  .why = "wrong length" },
	{ "a check and more", T(GET_S), OURS, .salt = 1, .len = 8,
	  .why = "wrong length" },

	/* home */
	{ "GET_S of the sender's page", T(GET_S), THEIRS, .why = NOT_HOME },
	{ "GET_X of another's page", T(GET_X), OTHERS, .why = NOT_HOME },
	{ "DONE for another home", T(DONE), OTHERS + 1, .req = PEER,
	  .why = NOT_HOME },
	{ "FWD_S of our page", T(FWD_S), OURS, .req = THIRD,
	  .why = NOT_FROM_HOME },
	{ "FWD_X of another's page", T(FWD_X), OTHERS, .req = THIRD,
	  .why = NOT_FROM_HOME },
	{ "INV of another's page", T(INV), OTHERS + 1, .req = THIRD,
	  .why = NOT_FROM_HOME },
	{ "INV of our page", T(INV), 0, .req = PEER, .why = NOT_FROM_HOME },
	{ "GRANT_X of another's page", T(GRANT_X), OTHERS,
	  .why = NOT_FROM_HOME },
	{ "LOST of our page", T(LOST), OURS, .why = NOT_FROM_HOME },
	{ "FWD_S from home, another link", T(FWD_S), OTHERS, .req = PEER,
	  .peer = THIRD },
	{ "FWD_S from the home of another page", T(FWD_S), THEIRS,
	  .req = PEER, .peer = THIRD, .why = NOT_FROM_HOME },

	/* requester */
	{ "GET_S for another", T(GET_S), OURS, .req = THIRD,
	  .why = REQ_OR_ACKS },
	{ "GET_X for itself", T(GET_X), OURS, .req = PEER, .why = REQ_OR_ACKS },
	{ "DATA_S with a requester", T(DATA_S), OURS, FILL, .req = SELF,
	  .why = REQ_OR_ACKS },
	{ "DATA_X with a requester", T(DATA_X), OURS, FILL, .req = SELF,
	  .why = REQ_OR_ACKS },
	{ "GRANT_X with a requester", T(GRANT_X), THEIRS, .req = SELF,
	  .why = REQ_OR_ACKS },
	{ "ACK with a requester", T(ACK), OURS, .req = SELF,
	  .why = REQ_OR_ACKS },
	{ "LOST with a requester", T(LOST), THEIRS, .req = SELF,
	  .why = REQ_OR_ACKS },
	{ "DONE for another", T(DONE), OURS, .req = THIRD,
	  .why = "requester or acks of another node" },
	{ "DONE for nobody", T(DONE), OURS,
	  .why = "requester or acks of another node" },
	{ "FWD_S for nobody", T(FWD_S), THEIRS, .why = "no requester" },
	{ "FWD_X for nobody", T(FWD_X), THEIRS, .why = "no requester" },
	{ "INV for nobody", T(INV), THEIRS, .why = "no requester" },

	/* acks */
	{ "GET_S with acks", T(GET_S), OURS, .acks = N(THIRD),
	  .why = REQ_OR_ACKS },
	{ "GET_X with acks", T(GET_X), OURS, .acks = N(PEER),
	  .why = REQ_OR_ACKS },
	{ "FWD_S with acks", T(FWD_S), THEIRS, .req = THIRD, .acks = N(SELF),
	  .why = REQ_OR_ACKS },
	{ "INV with acks", T(INV), THEIRS, .req = THIRD, .acks = N(LAST),
	  .why = REQ_OR_ACKS },
	{ "DATA_S with acks", T(DATA_S), OURS, FILL, .acks = N(THIRD),
	  .why = REQ_OR_ACKS },
	{ "ACK with acks", T(ACK), OURS, .acks = N(PEER), .why = REQ_OR_ACKS },
	{ "DONE with acks", T(DONE), OURS, .req = PEER, .acks = N(THIRD),
	  .why = REQ_OR_ACKS },
	{ "LOST with acks", T(LOST), THEIRS, .acks = N(THIRD),
	  .why = REQ_OR_ACKS },
	{ "FWD_X with an ACK of the requester", T(FWD_X), THEIRS, .req = THIRD,
	  .acks = N(LAST) | N(THIRD), .why = "acks of the requester itself" },

	/* tokens */
	{ "FWD_S with a token for ACKs", T(FWD_S), THEIRS, .req = THIRD,
	  .ack = 1, .why = TOKEN },
	{ "FWD_X with a token for ACKs", T(FWD_X), THEIRS, .req = THIRD,
	  .ack = 1, .why = TOKEN },
	{ "INV with a token for data", T(INV), THEIRS, .req = THIRD, .data = 1,
	  .why = TOKEN },
	{ "DATA_S with a token for ACKs", T(DATA_S), OURS, FILL, .ack = 1,
	  .why = TOKEN },
	{ "DATA_X with a token for ACKs", T(DATA_X), OURS, FILL, .ack = 1,
	  .why = TOKEN },
	{ "GRANT_X with a token for ACKs", T(GRANT_X), THEIRS, .ack = 1,
	  .why = TOKEN },
	{ "ACK with a token for data", T(ACK), OURS, .data = 1, .why = TOKEN },
	{ "DONE with a token for data", T(DONE), OURS, .req = PEER, .data = 1,
	  .why = TOKEN },
	{ "DONE with a token for ACKs", T(DONE), OURS, .req = PEER, .ack = 1,
	  .why = TOKEN },
	{ "LOST with a token for ACKs", T(LOST), THEIRS, .ack = 1,
	  .why = TOKEN },

	/* flags */
	{ "GET_S HAVE", T(GET_S), OURS, .flags = HAVE, .why = FLAG },
	{ "GET_X NO_DONE", T(GET_X), OURS, .flags = NO_DONE, .why = FLAG },
	{ "FWD_X NO_DONE", T(FWD_X), THEIRS, .req = THIRD, .flags = NO_DONE,
	  .why = FLAG },
	{ "INV HAVE", T(INV), THEIRS, .req = THIRD, .flags = HAVE,
	  .why = FLAG },
	{ "DATA_X HAVE", T(DATA_X), OURS, FILL, .flags = HAVE, .why = FLAG },
	{ "ACK HAVE", T(ACK), OURS, .flags = HAVE, .why = FLAG },
	{ "DONE NO_DONE", T(DONE), OURS, .req = PEER, .flags = NO_DONE,
	  .why = FLAG },
	{ "LOST NO_DONE", T(LOST), THEIRS, .flags = NO_DONE, .why = FLAG },
};

/* Where pages may be lent, and what comes with it where they may not */
static const struct wire_case lend_cases[] = {
	{ "GET_S of the sender's page", T(GET_S), THEIRS, .data = 1, LEND },
	{ "GET_S of another's page", T(GET_S), OTHERS, .data = 1, LEND },
	{ "GET_X of the sender's page", T(GET_X), THEIRS, LEND, .why = NOT_HOME },
	{ "DONE for another home", T(DONE), OTHERS + 1, .req = PEER, LEND },
	{ "DONE for another, another home", T(DONE), OTHERS, .req = THIRD, LEND,
	  .why = "requester or acks of another node" },
	{ "INV of another's page, its own request", T(INV), OTHERS, .req = PEER,
	  .ack = 1, LEND },
	{ "INV of our page, its own request", T(INV), OURS, .req = PEER, .ack = 1,
	  LEND },
	{ "INV of another's page, another's request", T(INV), OTHERS, .req = LAST,
	  .ack = 1, LEND, .why = NOT_FROM_HOME },
	{ "INV of home, another's request", T(INV), THEIRS, .req = LAST, .ack = 1,
	  LEND },
	{ "INV of home, the page is back", T(INV), THEIRS, .req = LAST, .ack = 1,
	  .flags = RULER, LEND },
	{ "INV of our page, nobody lends", T(INV), OURS, .req = PEER, .ack = 1,
	  .why = NOT_FROM_HOME },
	{ "DATA_S RULER", T(DATA_S), OTHERS, .data = 1, PAGE, .flags = RULER,
	  LEND },
	{ "DATA_S RULER, nobody lends", T(DATA_S), OTHERS, .data = 1, PAGE,
	  .flags = RULER, .why = "unknown flag" },
	{ "DATA_X RULER", T(DATA_X), OTHERS, .data = 1, PAGE, .flags = RULER,
	  LEND, .why = FLAG },
	{ "GRANT_X RULER", T(GRANT_X), THEIRS, .flags = RULER, LEND,
	  .why = FLAG },
	{ "type one too high", T(NR), OURS, LEND, .why = "unknown type" },
	{ "GET_X STEADY", T(GET_X), OURS, .flags = HK_DMSG_F_STEADY, LEND,
	  .why = FLAG },
	{ "BACK STEADY", T(BACK), OURS, .flags = HK_DMSG_F_STEADY, LEND },
	{ "BACK STEADY, nobody lends", T(BACK), OURS, .flags = HK_DMSG_F_STEADY,
	  .why = "unknown type" },
	{ "flag 16", T(GET_X), OURS, .flags = 16, LEND, .why = "unknown flag" },
	{ "LEND", T(LEND), THEIRS, LEND },
	{ "LEND, nobody lends", T(LEND), THEIRS, .why = "unknown type" },
	{ "LEND of our page", T(LEND), OURS, LEND, .why = NOT_FROM_HOME },
	{ "LEND with a requester", T(LEND), THEIRS, .req = SELF, LEND,
	  .why = REQ_OR_ACKS },
	{ "LEND with acks", T(LEND), THEIRS, .acks = N(THIRD), LEND,
	  .why = REQ_OR_ACKS },
	{ "LEND with a token", T(LEND), THEIRS, .data = 1, LEND, .why = TOKEN },
	{ "LEND with a page", T(LEND), THEIRS, PAGE, LEND, .why = CONTENT },
	{ "LEND HAVE", T(LEND), THEIRS, .flags = HAVE, LEND, .why = FLAG },
	{ "PASS_S", T(PASS_S), THEIRS, .req = THIRD, .data = 1, LEND },
	{ "PASS_S for home", T(PASS_S), THEIRS, .req = PEER, .data = 1, LEND },
	{ "PASS_S, nobody lends", T(PASS_S), THEIRS, .req = THIRD, .data = 1,
	  .why = "unknown type" },
	{ "PASS_S of another's page", T(PASS_S), OTHERS, .req = LAST, .data = 1,
	  LEND, .why = NOT_FROM_HOME },
	{ "PASS_S for nobody", T(PASS_S), THEIRS, .data = 1, LEND,
	  .why = "no requester" },
	{ "PASS_S for a stranger", T(PASS_S), THEIRS, .req = STRANGER, .data = 1,
	  LEND, .why = "requester is not a member" },
	{ "PASS_S with a token for ACKs", T(PASS_S), THEIRS, .req = THIRD,
	  .data = 1, .ack = 2, LEND, .why = TOKEN },
	{ "PASS_S with acks", T(PASS_S), THEIRS, .req = THIRD, .data = 1,
	  .acks = N(LAST), LEND, .why = REQ_OR_ACKS },
	{ "UNLEND", T(UNLEND), THEIRS, LEND },
	{ "UNLEND, nobody lends", T(UNLEND), THEIRS, .why = "unknown type" },
	{ "UNLEND of our page", T(UNLEND), OURS, LEND, .why = NOT_FROM_HOME },
	{ "UNLEND with a requester", T(UNLEND), THEIRS, .req = THIRD, LEND,
	  .why = REQ_OR_ACKS },
	{ "UNLEND with a token", T(UNLEND), THEIRS, .ack = 1, LEND, .why = TOKEN },
	{ "BACK", T(BACK), OURS, LEND },
	{ "BACK with sharers", T(BACK), OURS, .acks = N(SELF) | N(LAST), LEND },
	{ "BACK, nobody lends", T(BACK), OURS, .why = "unknown type" },
	{ "BACK of the sender's page", T(BACK), THEIRS, LEND, .why = NOT_HOME },
	{ "BACK of another's page", T(BACK), OTHERS, LEND, .why = NOT_HOME },
	{ "BACK with a stranger", T(BACK), OURS, .acks = N(STRANGER), LEND,
	  .why = "ACK of a node that is not a member" },
	{ "BACK with a requester", T(BACK), OURS, .req = PEER, LEND,
	  .why = REQ_OR_ACKS },
	{ "BACK with a token", T(BACK), OURS, .data = 1, LEND, .why = TOKEN },
	{ "BACK with a page", T(BACK), OURS, PAGE, LEND, .why = CONTENT },
	{ "MOVED", T(MOVED), OTHERS, LEND },
	{ "MOVED, nobody lends", T(MOVED), OTHERS, .why = "unknown type" },
	{ "MOVED with a requester", T(MOVED), OTHERS, .req = SELF, LEND,
	  .why = REQ_OR_ACKS },
	{ "MOVED with acks", T(MOVED), OTHERS, .acks = N(SELF), LEND,
	  .why = REQ_OR_ACKS },
	{ "MOVED with a token", T(MOVED), OTHERS, .data = 1, LEND, .why = TOKEN },
	{ "MOVED NO_DONE", T(MOVED), OTHERS, .flags = NO_DONE, LEND, .why = FLAG },
};

static bool same(const struct wire_case *c, const struct hk_dmsg *m)
{
	return m->gfn == c->gfn && m->to == N(SELF) && m->acks == c->acks &&
	       m->tokens.data == c->data && m->tokens.ack == c->ack &&
	       m->from == (c->peer ?: PEER) && m->req == c->req &&
	       m->type == c->type && m->flags == c->flags &&
	       m->check.salt == c->salt &&
	       m->check.hash == (c->salt || c->check ? c->hash : 0);
}

static void test_case(const struct wire_case *c)
{
	const bool check = c->salt || c->check;
	const struct {
		struct hk_wire_page_msg msg;
		struct hk_wire_page_check check;
		u64 behind;
	} body = {
		.msg.gfn = htole64(c->gfn),
		.msg.fill = htole64(c->fill),
		.msg.acks = htole64(c->acks),
		.msg.data_token = htole32(c->data),
		.msg.ack_token = htole32(c->ack),
		.msg.req = htole16(c->req),
		.msg.dtype = c->type,
		.msg.dflags = c->flags,
		.msg.content = c->content,
		.msg.reserved = { c->reserved[0], c->reserved[1], c->reserved[2] },
		.check.salt = htole64(c->salt),
		.check.hash = htole64(c->hash),
	};
	struct hk_page_facts all = facts;
	struct hk_dmsg m;
	const char *why;

	all.lend = c->lend;
	memset(&m, 0xff, sizeof(m));
	why = hk_page_msg_check(&all, c->peer ?: PEER, &body.msg,
				(check ? HK_PAGE_MSG_MAX : sizeof(body.msg)) + c->len,
				c->page, &m);
	/* of what is too long or too short, nobody looks at the check */
	if (check && c->len)
		m.check = (struct hk_check){ c->salt, c->hash };
	tap_ok(!strcmp(why ?: "", c->why ?: "") && same(c, &m), "%s: %s",
	       c->name, c->why ?: "taken");
	if (strcmp(why ?: "", c->why ?: ""))
		tap_diag("said \"%s\"", why ?: "taken");
	else if (!same(c, &m))
		tap_diag("the message is another one for the engine");
}

/* Every page has the home of the range it is in, by looking at each in turn */
static void test_homes(void)
{
	static const struct hk_homes one = { .nr = 1, .range = { { 0, LAST } } };
	struct hk_homes many = { .nr = HK_MAX_NODES - 1 };
	bool ok = true;
	u64 gfn;
	u32 i;

	for (gfn = 0; gfn < RAM_PAGES; gfn++) {
		for (i = 0; i + 1 < homes.nr && homes.range[i + 1].first <= gfn;)
			i++;
		ok &= hk_home_of(&homes, gfn) == homes.range[i].node;
	}
	tap_ok(ok, "homes: ranges of 300, 300, 1 and 399 pages");
	tap_ok(hk_home_of(&one, 0) == LAST && hk_home_of(&one, ~0ull) == LAST,
	       "homes: one node has all");
	for (i = 0; i < many.nr; i++)
		many.range[i] = (struct hk_home_range){ i * i, i + 1 };
	for (ok = true, i = 0; i < many.nr; i++)
		ok &= hk_home_of(&many, i * i) == i + 1 &&
		      hk_home_of(&many, (i + 1) * (i + 1) - 1) == i + 1;
	tap_ok(ok, "homes: 63 nodes, first and last page of each");
}

/* What is written is read again, and checks go where they may */
static void test_put(void)
{
	struct {
		struct hk_wire_page_msg msg;
		struct hk_wire_page_check check;
	} body;
	struct hk_dmsg m = {
		.gfn = OURS, .from = PEER, .tokens = { 1, 2 }, .check = { 3, 4 },
		.type = HK_DMSG_GET_X,
	}, got;
	u32 len = hk_page_msg_put(&m, &body.msg);

	tap_ok(len == HK_PAGE_MSG_MAX &&
	       !hk_page_msg_check(&facts, PEER, &body.msg, len, false, &got) &&
	       got.check.salt == 3 && got.check.hash == 4,
	       "put: GET_X with a check");
	m.check.salt = 0;
	tap_ok(hk_page_msg_put(&m, &body.msg) == sizeof(body.msg),
	       "put: GET_X without");
	m.type = HK_DMSG_DATA_X;
	m.check.salt = 3;
	tap_ok(hk_page_msg_put(&m, &body.msg) == sizeof(body.msg),
	       "put: DATA_X keeps its check to itself");
}

void test_wire(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		test_case(&cases[i]);
	for (i = 0; i < ARRAY_SIZE(lend_cases); i++)
		test_case(&lend_cases[i]);
	test_homes();
	test_put();
}
