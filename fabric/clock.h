/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Estimate of a peer's TSC out of round trips
 *
 * A PING leaves at @sent of the own TSC, is answered at @peer of the other one and
 * the answer is back at @received: the answer was written somewhere between the
 * two, so the middle is wrong by half the round trip at most. The shortest round
 * trip is the best sample, but two crystals part from each other: each sample's
 * error grows with its age, and the one with the smallest error now is taken.
 *
 * That is for people to look at. What a guest's clock follows (gclock.h) is the
 * *lead*: every message says when it left, so the peer's TSC is known to have been
 * that far ahead of ours, at least, when it came. No assumption about crystals or
 * delays is in it.
 * Pure; the caller locks.
 */
#ifndef HK_FABRIC_CLOCK_H
#define HK_FABRIC_CLOCK_H

#include <linux/types.h>

#define HK_CLOCK_SAMPLES	64
/* Two TSCs of one nominal rate part by less than 2^-13, 122 ppm */
#define HK_CLOCK_DRIFT_SHIFT	13
/* Ticks to the unit of a message's stamp, which has 32 bits: 3 minutes each way */
#define HK_STAMP_SHIFT		8
/* No lead is known */
#define HK_LEAD_NONE		((__s64)(1ull << 63))
#define HK_CLOCK_INTERVAL_MIN_NS	10000000ull

/**
 * struct hk_clock_sample - one round trip
 * @at: own TSC in its middle
 * @offset: peer's TSC minus ours
 * @half: bound of the error of @offset at @at
 */
struct hk_clock_sample {
	__u64 at;
	__s64 offset;
	__u64 half;
};

/**
 * struct hk_clock - sliding window of samples; starts as zeroes
 * @sample: ring
 * @nr: valid entries
 * @next: entry written next
 * @best: entry with the smallest error when the last one was added
 * @rtt_min: shortest round trip ever, in ticks; 0 without one
 * @ref: peer's TSC minus ours, roughly: what stamps are read by
 * @ref_known: @ref is set
 */
struct hk_clock {
	struct hk_clock_sample sample[HK_CLOCK_SAMPLES];
	__u32 nr;
	__u32 next;
	__u32 best;
	__u64 rtt_min;
	__s64 ref;
	_Bool ref_known;
};

static inline __u64 hk_clock_error(const struct hk_clock_sample *s, __u64 now)
{
	__s64 age = (__s64)(now - s->at);

	return s->half + (age > 0 ? (__u64)age >> HK_CLOCK_DRIFT_SHIFT : 0);
}

/**
 * hk_clock_add() - take in a round trip
 * @clock: window
 * @sent: own TSC when PING left
 * @peer: peer's TSC when PONG left
 * @received: own TSC when PONG came
 * Return: 1, or 0 when the numbers make no sense
 */
static inline int hk_clock_add(struct hk_clock *clock, __u64 sent, __u64 peer,
			       __u64 received)
{
	struct hk_clock_sample *s = &clock->sample[clock->next];
	__u64 rtt = received - sent;
	__u32 i;

	if ((__s64)rtt <= 0)
		return 0;
	s->at = sent + rtt / 2;
	s->offset = (__s64)(peer - s->at);
	s->half = rtt - rtt / 2;
	if (!clock->rtt_min || rtt < clock->rtt_min)
		clock->rtt_min = rtt;

	clock->best = clock->next;
	clock->next = (clock->next + 1) % HK_CLOCK_SAMPLES;
	if (clock->nr < HK_CLOCK_SAMPLES)
		clock->nr++;
	for (i = 0; i < clock->nr; i++) {
		if (hk_clock_error(&clock->sample[i], received) <
		    hk_clock_error(&clock->sample[clock->best], received))
			clock->best = i;
	}
	return 1;
}

/**
 * hk_clock_offset() - best estimate
 * @clock: window
 * @now: own TSC
 * @error: out: bound of the error in ticks, all ones without a sample
 * Return: peer's TSC minus ours
 */
static inline __s64 hk_clock_offset(const struct hk_clock *clock, __u64 now,
				    __u64 *error)
{
	const struct hk_clock_sample *s = &clock->sample[clock->best];

	if (!clock->nr) {
		*error = ~(__u64)0;
		return 0;
	}
	*error = hk_clock_error(s, now);
	return s->offset;
}

/**
 * hk_clock_hear() - take in a TSC that the peer has sent whole
 * @clock: link's
 * @peer: peer's TSC when the message left
 * @now: own TSC when it came
 * Return: lead: peer's TSC minus ours is this, or more
 */
static inline __s64 hk_clock_hear(struct hk_clock *clock, __u64 peer, __u64 now)
{
	clock->ref = (__s64)(peer - now);
	clock->ref_known = 1;
	return clock->ref;
}

/**
 * hk_clock_stamp() - what a message says about the time it leaves
 * @tsc: own TSC
 *
 * Rounded up: nothing that was read before is later than the stamp.
 * Return: not 0
 */
static inline __u32 hk_clock_stamp(__u64 tsc)
{
	return (__u32)((tsc >> HK_STAMP_SHIFT) + 1) ?: 1;
}

/**
 * hk_clock_lead() - read a stamp
 * @clock: link's
 * @stamp: of the message, 0: it has none
 * @now: own TSC when it came
 * Return: lead: peer's TSC minus ours is this, or more; HK_LEAD_NONE
 */
static inline __s64 hk_clock_lead(const struct hk_clock *clock, __u32 stamp,
				  __u64 now)
{
	__u64 expected = (now + (__u64)clock->ref) >> HK_STAMP_SHIFT;
	__s32 diff = (__s32)(stamp - (__u32)expected);

	if (!stamp || !clock->ref_known)
		return HK_LEAD_NONE;
	return (__s64)(((expected + (__u64)(__s64)diff) << HK_STAMP_SHIFT) - now);
}

/**
 * hk_clock_interval_ns() - how often two nodes with a guest exchange the time
 * @rtt_min_ns: shortest round trip, 0 without one
 *
 * Crystals part by a sixteenth of the round trip meanwhile, at most, which is half
 * of what gclock.h leaves for that.
 */
static inline __u64 hk_clock_interval_ns(__u64 rtt_min_ns)
{
	__u64 ns = (rtt_min_ns / 16) << HK_CLOCK_DRIFT_SHIFT;

	return ns < HK_CLOCK_INTERVAL_MIN_NS ? HK_CLOCK_INTERVAL_MIN_NS : ns;
}

#endif /* HK_FABRIC_CLOCK_H */
