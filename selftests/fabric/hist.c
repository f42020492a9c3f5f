// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of fabric/hist.h against sorting; TAP
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "hist.h"

#define VALUES	10000

static int test_nr, failed;
static __u64 values[VALUES];

static void check(bool ok, const char *name)
{
	test_nr++;
	failed += !ok;
	printf("%sok %d - %s\n", ok ? "" : "not ", test_nr, name);
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

/* xorshift64, Marsaglia 2003 */
static __u64 draw(void)
{
	static __u64 x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* The bounds cut the numbers into buckets without gap or overlap */
static bool buckets_join(void)
{
	unsigned int i;

	for (i = 0; i < HK_HIST_NR; i++)
		if (hk_hist_index(hk_hist_bound(i)) != i ||
		    (i + 1 < HK_HIST_NR && hk_hist_index(hk_hist_bound(i) + 1) != i + 1))
			return false;
	return hk_hist_bound(HK_HIST_NR - 1) == (1ull << (HK_HIST_EXP_MAX + 1)) - 1;
}

/* Of values spread over @bits powers of two, all percentiles are right to 1/8 */
static bool like_sorted(unsigned int bits)
{
	struct hk_hist hist = { 0 };
	unsigned int i, p;

	for (i = 0; i < VALUES; i++) {
		values[i] = draw() >> (64 - 1 - draw() % bits);
		hk_hist_add(&hist, values[i]);
	}
	qsort(values, VALUES, sizeof(*values), compare);
	for (p = 1; p <= 1000; p++) {
		__u64 exact = values[(VALUES * p + 999) / 1000 - 1];
		__u64 told = hk_hist_permille(&hist, p);

		if (told < exact || told - exact > exact / HK_HIST_SUB) {
			printf("# %u permille of %u bits: %llu, not %llu\n", p, bits,
			       (unsigned long long)told, (unsigned long long)exact);
			return false;
		}
	}
	return hist.nr == VALUES && hist.max == values[VALUES - 1];
}

int main(void)
{
	struct hk_hist hist = { 0 };

	check(!hk_hist_permille(&hist, 500), "no values, no percentile");
	check(buckets_join(), "buckets join");
	check(like_sorted(3) && like_sorted(16) && like_sorted(HK_HIST_EXP_MAX),
	      "percentiles are those of sorting, to an eighth");
	hk_hist_add(&hist, 1000);
	check(hk_hist_permille(&hist, 1) == 1000 && hk_hist_permille(&hist, 1000) == 1000,
	      "a single value is told exactly");
	hk_hist_add(&hist, ~0ull);
	check(hk_hist_permille(&hist, 1000) == ~0ull && hk_hist_permille(&hist, 500) < 1200,
	      "a value beyond all buckets is the largest");
	printf("1..%d\n", test_nr);
	return failed != 0;
}
