/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The messages of the page protocol, as the engine sees them
 *
 * The wire form (little endian, with header) is in fabric/msg.h. The fabric
 * keeps the order of these messages between each pair of nodes; nothing is
 * assumed about the order between different pairs.
 */
#ifndef HK_DSM_MSG_H
#define HK_DSM_MSG_H

#include "types.h"

/**
 * enum hk_dmsg_type - page protocol messages
 * @HK_DMSG_NONE: no message
 * @HK_DMSG_GET_S: requester -> home, or who may be lent the rule: wants a read copy; with
 *	a second token, which only home gets: or the page itself, as home thinks fit
 * @HK_DMSG_GET_X: requester -> home: wants to write; HK_DMSG_F_HAVE when it has
 *	a current copy
 * @HK_DMSG_FWD_S: home -> owner: send a read copy to @req
 * @HK_DMSG_FWD_X: home -> owner: give the page up, send it to @req together
 *	with the set of nodes to wait for
 * @HK_DMSG_INV: home, or who is lent the rule -> sharer: give the copy up, tell @req
 * @HK_DMSG_DATA_S: owner -> requester: read copy, carries the page
 * @HK_DMSG_DATA_X: owner -> requester: page and ownership; wait for @acks
 * @HK_DMSG_GRANT_X: home -> requester: ownership without data: the requester's
 *	copy is current (HK_DMSG_F_HAVE set) or nobody ever touched the page and
 *	it is all zero (flag clear); wait for @acks
 * @HK_DMSG_ACK: sharer -> requester: copy is gone
 * @HK_DMSG_DONE: requester -> home, or who is lent the rule: transaction of @req over,
 *	next one may start; home -> home on behalf of @req, together with F_NO_DONE
 * @HK_DMSG_LOST: home -> requester: the page's content went with a node that
 *	was lost, see recover.h
 * @HK_DMSG_LEND: home -> owner: rule the page until it is asked back
 * @HK_DMSG_PASS_S: home -> who is lent the rule: GET_S of @req
 * @HK_DMSG_UNLEND: home -> who is lent the rule: give it back
 * @HK_DMSG_BACK: who was lent the rule -> home: here it is; @acks: the sharers
 * @HK_DMSG_MOVED: not who rules the page -> requester: ask home
 * @HK_DMSG_NR: number of types
 */
enum hk_dmsg_type {
	HK_DMSG_NONE = 0,
	HK_DMSG_GET_S,
	HK_DMSG_GET_X,
	HK_DMSG_FWD_S,
	HK_DMSG_FWD_X,
	HK_DMSG_INV,
	HK_DMSG_DATA_S,
	HK_DMSG_DATA_X,
	HK_DMSG_GRANT_X,
	HK_DMSG_ACK,
	HK_DMSG_DONE,
	HK_DMSG_LOST,
	HK_DMSG_LEND,
	HK_DMSG_PASS_S,
	HK_DMSG_UNLEND,
	HK_DMSG_BACK,
	HK_DMSG_MOVED,
	HK_DMSG_NR
};

/* GET_X, GRANT_X: the requester holds a current copy, no data needed */
#define HK_DMSG_F_HAVE		0x01
/*
 * DATA_S, DATA_X, GRANT_X: the sender, being home, has closed the transaction
 * itself; the requester sends no DONE. Sound because everything that home
 * sends later about this page arrives later.
 */
#define HK_DMSG_F_NO_DONE	0x02
/*
 * DATA_S: the sender is lent the rule over the page; DONE goes to it
 * INV: who was lent it has given it back; what it may still say is not to be used
 */
#define HK_DMSG_F_RULER		0x04
/* BACK: the sender has taken the page back from readers HK_DIR_STEADY_MIN times or more */
#define HK_DMSG_F_STEADY	0x08

/**
 * struct hk_tokens - what those who answer a request prove that they were asked by
 * @data: told to home, and by it to the owner; comes back with the reply
 * @ack: told to home, and by it to the others that have a copy; comes back with ACK. In
 *	GET_S: told to the owner in place of @data, and comes back with DATA_X, where home
 *	has the page given away to the reader; zero: a read copy is all that will do
 *
 * The requester makes them up for each request anew, and nobody else can guess them.
 * In a message, what its type does not carry is zero.
 */
struct hk_tokens {
	u32 data;
	u32 ack;
};

/**
 * struct hk_check - what tells an owner whether a requester's old copy is still good
 * @salt: made up for each request anew, so that no guest can guess it; zero: no check
 * @hash: of the old copy, with @salt as the key
 *
 * Nothing to the engine but to be handed on with the request. Who makes and compares it
 * is the caller: Documentation/protocol.rst, "Revalidation".
 */
struct hk_check {
	u64 salt;
	u64 hash;
};

/**
 * struct hk_dmsg - one message of the page protocol
 * @gfn: guest frame number, page-sized units of guest RAM (offset in the RAM
 *	device, not guest physical: see Documentation/architecture.rst)
 * @to: set of receivers; more than one bit only for INV
 * @acks: nodes whose ACKs the requester has to wait for (DATA_X, FWD_X, GRANT_X); BACK:
 *	nodes that may have a read copy
 * @check: of the request: in GET_S, GET_X, FWD_S and FWD_X. In DATA_S and DATA_X it is
 *	there for the caller who is to send these, and does not travel
 * @tokens: of the request: both in GET_X, both or @data in GET_S, @ack in INV and ACK,
 *	none in DONE, LEND, UNLEND, BACK and MOVED, @data in all others. FWD_X and DATA_X
 *	for a reader: its @ack, as @data
 * @from: sender, filled in by the engine
 * @req: requester on whose behalf a FWD, INV or PASS_S is sent, or whose transaction a
 *	DONE ends (home sends that DONE to itself where it supplies the data);
 *	HK_NODE_NONE else
 * @type: enum hk_dmsg_type
 * @flags: HK_DMSG_F_*
 */
struct hk_dmsg {
	u64 gfn;
	hk_nodes to;
	hk_nodes acks;
	struct hk_tokens tokens;
	struct hk_check check;
	u16 from;
	u16 req;
	u8 type;
	u8 flags;
};

#define HK_OUT_MAX	3

/**
 * struct hk_out - what a step of the engine wants done, in this order
 * @nr: number of messages in @msg
 * @act: HK_ACT_* to be done by the caller, after the messages were queued
 * @ruler: of a step of the page side that succeeded: node that was lent the rule over this
 *	node's copy, or over its last one, as far as it knows; HK_NODE_NONE: home rules.
 *	To be kept as long as there is a copy or a request, and given to the next step;
 *	where there is neither it is a hint whom to ask
 * @msg: messages to be sent; a receiver may be the node itself
 *
 * The caller zeroes @nr and @act before the step.
 */
struct hk_out {
	unsigned int nr;
	unsigned int act;
	u16 ruler;
	struct hk_dmsg msg[HK_OUT_MAX];
};

#endif /* HK_DSM_MSG_H */
