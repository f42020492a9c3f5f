// SPDX-License-Identifier: GPL-2.0
/*
 * Requests for several pages as one message
 *
 * One thread that makes visits to several pages in a row (a run of faults, an offer of
 * pages, a group that came in) lets the requests among what they send wait in a struct
 * hk_page_group on its stack, and sends them when it goes on to something else, at the
 * end at the latest: there is no timer. Where the peer has not offered the feature, where
 * there is one page only or no memory, they leave one by one.
 *
 * A request that waits was made under its bucket's lock and leaves without it. So another
 * thread may step the page meanwhile, and what it sends goes first. All other messages
 * about the page are in order still: what this thread sends to the same node sends the
 * group first. What may overtake the request of a page g is, by its type:
 *
 *  GET_S, GET_X, from the requester R to home H. R is in INVALID_RD or INVALID_WR, was in
 *	INVALID before, and nobody else has heard of the request. Whoever keeps the
 *	protocol can send R an INV at most, on behalf of an earlier writer, and both
 *	states answer it as INVALID does: ACK, and stay. Where that writer is H, its ACK
 *	overtakes the GET. It is then as if the fault had come after the INV. Faults on R
 *	find a request under way and sleep.
 *
 *  FWD_S, FWD_X without acks, from H to the owner O. The directory entry is busy, so H
 *	begins nothing else about g until the DONE, which the requester sends when it has
 *	got what O sends for this very message. As a sharer or requester H has no business
 *	with O about g: this transaction is not O's, and earlier ones are over.
 *	A faulty requester may say DONE early. A recall of the next transaction, or its own
 *	FWD, may then come before the one that waits, which O finds impossible when it has
 *	nothing to give, or answers with the page to whom it was asked for: a member that
 *	might have asked for it. That is what it could do before (protocol.rst, "A faulty
 *	peer"), but for the order.
 *
 *  With HAVE, or acks: these do not wait. HAVE is about a copy that may be taken away
 *	meanwhile, and acks belong to INVs that have left.
 *
 * selftests/explore -g lets all that may wait be overtaken by everything, and finds the
 * states that it finds without.
 *
 * A thread that does not run between two visits delays what waits. It may sleep for
 * memory, in hk_visit_prepare() and page_msg_prepare(), never for the network or a page
 * lock; a recall that it is to carry out is begun behind the group (hk_visit_end()).
 */
#include <linux/gfp.h>
#include "mem.h"

static bool group_send(struct hk_mem *mem, const struct hk_page_group *g)
{
	struct hk_vm *vm = mem->vm;
	struct hk_msg *msg;

	/*
	 * The link may be another one when the message is sent, but this one's end has
	 * killed the guest first, and who has not offered groups has no such guest
	 */
	if (!(hk_node_link_features(vm->node, g->to) &
	      HK_WIRE_FEATURE_PAGE_GROUP))
		return false;
	msg = hk_msg_alloc(HK_MSG_PAGE_GROUP, vm->id, hk_page_group_size(g),
			   GFP_ATOMIC | __GFP_NOWARN);
	if (!msg)
		return false;
	hk_page_group_put(g, (struct hk_wire_page_group *)msg->body);
	/* a peer that is gone is the business of hk_vm_link_down() */
	hk_node_send(vm->node, g->to, msg);
	return true;
}

/**
 * hk_group_flush() - send what waits
 * @mem: guest RAM
 * @g: empty afterwards
 * Context: process; a bucket may be locked.
 * Return: 0; negative: the guest has been stopped.
 */
int hk_group_flush(struct hk_mem *mem, struct hk_page_group *g)
{
	struct hk_node *node = mem->vm->node;
	u16 to = g->to;
	struct hk_dmsg m;
	struct hk_msg *msg;
	int err = 0;

	if (g->nr > 1 && group_send(mem, g)) {
		*g = (struct hk_page_group){ 0 };
		return 0;
	}
	while (hk_page_group_take(g, node->id, &m)) {
		if (err)
			continue;
		msg = hk_mem_msg_get(mem);
		if (!msg) {
			hk_vm_kill(mem->vm, true,
				   "node %u: out of memory for a message of page %#llx",
				   node->id, m.gfn);
			err = -ENOMEM;
			continue;
		}
		msg->hdr.len = cpu_to_le32(hk_page_msg_put(&m, (void *)msg->body));
		hk_node_send(node, to, msg);
	}
	return err;
}

/**
 * hk_group_add() - let a message wait, if it may; send the group where that is due
 * @v: visit, locked
 * @m: message
 * @to: its receiver
 * @err: out: 0; negative: the guest has been stopped
 * Return: true: it waits; false: it is to be sent now
 */
bool hk_group_add(struct hk_visit *v, const struct hk_dmsg *m, u16 to, int *err)
{
	struct hk_page_group *g = v->group;

	lockdep_assert_held(&v->b->lock);
	*err = 0;
	if (!g)
		return false;
	if (hk_page_group_add(g, m, to))
		return true;
	/* what leaves now must not overtake this thread's own */
	if (g->to == to || hk_page_group_may(m))
		*err = hk_group_flush(v->mem, g);
	return !*err && hk_page_group_add(g, m, to);
}
