/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One guest's clock on several nodes: when to step it, and how far
 *
 * On each node the guest's clock is the node's TSC plus an offset, the same for all
 * vCPUs there. Offsets grow and never shrink, so no CPU's clock goes back. What has
 * to hold besides: nobody hears of a clock value that is larger than what his own
 * clock reads then.
 *
 * Every message says what its sender's TSC was when it left (clock.h: the lead), and
 * each node tells its offset before the guest can see it. So the receiver knows a
 * value that the sender's guest clock had reached, and everything that the message
 * may tell of was read before that. If the own clock reads less when the message
 * comes it is stepped there before the message is looked at. That alone is enough,
 * whatever crystals and delays are.
 *
 * Such a step comes late: the message waits for it. So a node steps a little
 * earlier. A message takes a quarter of the shortest round trip, at least, unless
 * one direction takes three times as long as the other. So the sender's clock has
 * moved on by that much, and the receiver's should read no less; it is stepped there
 * when it is behind that by half of it. Two nodes can still not drive each
 * other up, as two quarters are less than a round trip: a node is stepped to where
 * another one's clock is already, never beyond. The fastest clock of all is never
 * stepped, and the others follow it.
 *
 * Pure; the caller locks. hk_gclock_behind() may be asked without by the one who
 * receives from @peer: what another one changes meanwhile is the own offset alone,
 * which grows, so "no" stays right; "yes" must be asked for again with the lock.
 */
#ifndef HK_FABRIC_GCLOCK_H
#define HK_FABRIC_GCLOCK_H

#include "clock.h"

#ifdef __KERNEL__
#include <linux/compiler.h>
#else
#define READ_ONCE(x) (x)
#define WRITE_ONCE(x, v) ((x) = (v))
#endif

#define HK_GCLOCK_NODES		64
/* A larger step, a minute or more, is no drift: some host's TSC has jumped */
#define HK_GCLOCK_STEP_MAX	0x4000000000ll

/**
 * struct hk_gclock - a guest's clock, as one node knows it
 * @offset: own: guest's clock minus own TSC
 * @known: @offset is set
 * @peers: set of nodes of which @peer is known
 * @peer: offsets of the others
 */
struct hk_gclock {
	__s64 offset;
	_Bool known;
	__u64 peers;
	__s64 peer[HK_GCLOCK_NODES];
};

/**
 * hk_gclock_init() - clock of a guest that has not run yet
 * @c: clock, zeroed
 * @self: own node
 * @origin: the origin's offset is 0 to begin with
 */
static inline void hk_gclock_init(struct hk_gclock *c, unsigned int self,
				  unsigned int origin)
{
	c->known = self == origin;
	c->peers = c->known ? 0 : 1ull << origin;
}

/**
 * hk_gclock_told() - a peer tells its offset
 * @c: clock
 * @peer: node
 * @offset: its offset
 * Return: 0, or -1 when it has shrunk, which it must not
 */
static inline int hk_gclock_told(struct hk_gclock *c, unsigned int peer,
				 __s64 offset)
{
	if (c->peers >> peer & 1 && offset < c->peer[peer])
		return -1;
	WRITE_ONCE(c->peer[peer], offset);
	WRITE_ONCE(c->peers, c->peers | 1ull << peer);
	return 0;
}

/**
 * hk_gclock_gap() - what the own clock lacks to what the sender's had reached
 * @c: clock
 * @peer: sender of a message
 * @lead: of that message
 * Return: ticks; 0 or less: causality holds, or nothing is known
 */
static inline __s64 hk_gclock_gap(const struct hk_gclock *c, unsigned int peer,
				  __s64 lead)
{
	if (lead == HK_LEAD_NONE || !(READ_ONCE(c->peers) >> peer & 1))
		return 0;
	return (__s64)((__u64)lead + (__u64)READ_ONCE(c->peer[peer]) -
		       (__u64)READ_ONCE(c->offset));
}

/**
 * hk_gclock_behind() - must the clock be stepped now that a message has come?
 * @c: clock
 * @peer: sender
 * @lead: of that message
 * @rtt_min: shortest round trip on its link, in ticks; 0: not known
 * @by: out: how far. The first offset of a node counts as a step, which may go
 *	either way as nobody has seen that node's clock
 * Return: true when it must
 */
static inline _Bool hk_gclock_behind(const struct hk_gclock *c,
				     unsigned int peer, __s64 lead,
				     __u64 rtt_min, __s64 *by)
{
	/*
	 * Before the offset is read, as it means nothing until then, and it is written
	 * before; x86 keeps the order of both.
	 */
	_Bool known = READ_ONCE(c->known);
	__s64 gap = hk_gclock_gap(c, peer, lead);
	__s64 ahead = (__s64)(rtt_min / 4);

	*by = (__s64)((__u64)gap + (__u64)ahead);
	if (!known)
		return lead != HK_LEAD_NONE &&
		       READ_ONCE(c->peers) >> peer & 1;
	/* the first says that nothing is known, too: @ahead is no reason by itself */
	return gap && gap > -(ahead - ahead / 2);
}

/**
 * hk_gclock_step() - step the own clock
 * @c: clock
 * @by: from hk_gclock_behind()
 */
static inline void hk_gclock_step(struct hk_gclock *c, __s64 by)
{
	WRITE_ONCE(c->offset, (__s64)((__u64)c->offset + (__u64)by));
	WRITE_ONCE(c->known, 1);
}

#endif /* HK_FABRIC_GCLOCK_H */
