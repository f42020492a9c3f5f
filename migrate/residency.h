/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a vCPU lives: the handoff protocol of one node for
 * one vCPU
 *
 * Pure C, a table in residency.c. The generation @seq of a residency grows by one
 * with every handoff that succeeded, so of two statements about a vCPU the one
 * with the higher number is the later one, and forwarding along these statements
 * always ends.
 */
#ifndef HK_MIGRATE_RESIDENCY_H
#define HK_MIGRATE_RESIDENCY_H

#include "../dsm/types.h"

/**
 * enum hk_res_state - what this node is to the vCPU
 * @HK_RES_AWAY: a ghost; @node is where it was last known to live
 * @HK_RES_HERE: resident: the only node that may run it
 * @HK_RES_LEAVING: state captured and sent to @node, no answer yet; it runs
 *	nowhere, interrupts are kept
 * @HK_RES_ARRIVING: state came from @node and is being applied; it runs nowhere,
 *	interrupts that find their way here are kept
 * @HK_RES_NR: not one of them: their number
 */
enum hk_res_state {
	HK_RES_AWAY = 0,
	HK_RES_HERE,
	HK_RES_LEAVING,
	HK_RES_ARRIVING,
	HK_RES_NR
};

/**
 * enum hk_res_event - what can happen
 * @HK_RES_EV_LEAVE: the runner has stopped the vCPU and wants it on node @peer
 * @HK_RES_EV_CANCEL: capture or sending failed here
 * @HK_RES_EV_STATE: VCPU_STATE from @peer, generation @seq
 * @HK_RES_EV_APPLIED: the runner has restored the state
 * @HK_RES_EV_APPLY_FAILED: it could not
 * @HK_RES_EV_TAKEN: @peer says: resident here, generation @seq
 * @HK_RES_EV_REFUSED: @peer says: did not take generation @seq
 * @HK_RES_EV_NR: not one of them: their number
 */
enum hk_res_event {
	HK_RES_EV_LEAVE = 0,
	HK_RES_EV_CANCEL,
	HK_RES_EV_STATE,
	HK_RES_EV_APPLIED,
	HK_RES_EV_APPLY_FAILED,
	HK_RES_EV_TAKEN,
	HK_RES_EV_REFUSED,
	HK_RES_EV_NR
};

/* what the caller has to do, before it lets go of the vCPU's lock */
#define HK_RES_ACT_INJECT	0x01	/* give kept interrupts to the local LAPIC */
#define HK_RES_ACT_FORWARD	0x02	/* send kept interrupts to @node */
#define HK_RES_ACT_WAKE		0x04	/* the runner and whoever waits look again */
#define HK_RES_ACT_TELL_TAKEN	0x08	/* TAKEN(@seq) to all members */
#define HK_RES_ACT_TELL_REFUSED	0x10	/* REFUSED(event's seq) to the sender */

/**
 * struct hk_res - residency of one vCPU as this node knows it
 * @state: enum hk_res_state
 * @node: AWAY: where it lives; HERE: self; LEAVING: target; ARRIVING: source
 * @seq: generation of the last residency known; LEAVING and ARRIVING are about
 *	@seq + 1
 */
struct hk_res {
	u8 state;
	u16 node;
	u32 seq;
};

/**
 * hk_res_step() - advance
 * @self: own node id
 * @res: in and out
 * @ev: event
 * @peer: see enum hk_res_event, 0 where it says nothing
 * @seq: likewise
 * @act: out: HK_RES_ACT_*
 *
 * Old news (a generation that is not higher than the one known) is no error and
 * does nothing.
 * Return: 0, or -EPROTO when the event is impossible here: nothing is changed.
 */
int hk_res_step(u16 self, struct hk_res *res, enum hk_res_event ev, u16 peer,
		u32 seq, unsigned int *act);

/**
 * hk_res_keeps() - true while interrupts must be kept, neither taken nor sent on
 * @res: residency
 */
static inline bool hk_res_keeps(const struct hk_res *res)
{
	return res->state == HK_RES_LEAVING || res->state == HK_RES_ARRIVING;
}

const char *hk_res_state_name(u8 state);

#endif /* HK_MIGRATE_RESIDENCY_H */
