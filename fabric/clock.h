/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Estimate of a peer's TSC out of round trips
 *
 * A PING leaves at @sent of the own TSC, is answered at @peer of the other one and
 * the answer is back at @received: the answer was written somewhere between the
 * two, so the middle is wrong by half the round trip at most. The shortest round
 * trip is the best sample, but two crystals part from each other: each sample's
 * error grows with its age, and the one with the smallest error now is taken.
 * Pure; the caller locks.
 */
#ifndef HK_FABRIC_CLOCK_H
#define HK_FABRIC_CLOCK_H

#include <linux/types.h>

#define HK_CLOCK_SAMPLES	64
/* Two TSCs of one nominal rate part by less than 2^-14, 61 ppm */
#define HK_CLOCK_DRIFT_SHIFT	14

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
 */
struct hk_clock {
	struct hk_clock_sample sample[HK_CLOCK_SAMPLES];
	__u32 nr;
	__u32 next;
	__u32 best;
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

#endif /* HK_FABRIC_CLOCK_H */
