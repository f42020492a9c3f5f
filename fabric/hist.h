/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A histogram of durations, of which percentiles can be told to within 1/8
 *
 * Buckets are as wide as an eighth of the power of two that they lie in; below 8 each
 * value has its own. What is too large counts as the largest.
 *
 * Source of the idea: G. Tene, HdrHistogram. Pure; the caller locks.
 */
#ifndef HK_FABRIC_HIST_H
#define HK_FABRIC_HIST_H

#include <linux/types.h>

#define HK_HIST_SUB_SHIFT	3
#define HK_HIST_SUB		8u
/* Values up to 2^37 ns, two minutes, have buckets of their own */
#define HK_HIST_EXP_MAX		36
#define HK_HIST_NR		((HK_HIST_EXP_MAX - HK_HIST_SUB_SHIFT + 2) * HK_HIST_SUB)

/**
 * struct hk_hist - starts as zeroes
 * @nr: values added
 * @max: largest one
 * @bucket: how many fell into each
 */
struct hk_hist {
	__u64 nr;
	__u64 max;
	__u32 bucket[HK_HIST_NR];
};

static inline unsigned int hk_hist_index(__u64 value)
{
	unsigned int exp;

	if (value < HK_HIST_SUB)
		return (unsigned int)value;
	exp = 63 - (unsigned int)__builtin_clzll(value);
	if (exp > HK_HIST_EXP_MAX)
		return HK_HIST_NR - 1;
	return (exp - HK_HIST_SUB_SHIFT + 1) * HK_HIST_SUB +
	       (unsigned int)((value >> (exp - HK_HIST_SUB_SHIFT)) % HK_HIST_SUB);
}

/* Largest value that falls into a bucket */
static inline __u64 hk_hist_bound(unsigned int index)
{
	unsigned int shift;

	if (index < HK_HIST_SUB)
		return index;
	shift = index / HK_HIST_SUB - 1;
	return ((__u64)(HK_HIST_SUB + index % HK_HIST_SUB + 1) << shift) - 1;
}

static inline void hk_hist_add(struct hk_hist *hist, __u64 value)
{
	hist->nr++;
	if (value > hist->max)
		hist->max = value;
	hist->bucket[hk_hist_index(value)]++;
}

/**
 * hk_hist_permille() - the value that so many of a thousand do not exceed
 * @hist: histogram
 * @permille: 1 to 1000
 * Return: upper bound of the bucket that it is in, never more than the largest value
 *	that was added; 0: no values
 */
static inline __u64 hk_hist_permille(const struct hk_hist *hist, unsigned int permille)
{
	__u64 want = (hist->nr * permille + 999) / 1000, seen = 0, bound;
	unsigned int i;

	for (i = 0; i < HK_HIST_NR - 1; i++) {
		seen += hist->bucket[i];
		if (seen >= want)
			break;
	}
	bound = hk_hist_bound(i);
	return bound < hist->max && i < HK_HIST_NR - 1 ? bound : hist->max;
}

#endif /* HK_FABRIC_HIST_H */
