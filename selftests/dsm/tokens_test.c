// SPDX-License-Identifier: GPL-2.0
/*
 * Tokens as they are drawn
 */
#include "../../dsm/page.h"
#include "show.h"
#include "tap.h"

/* Halves that would be no good, and many that are */
void test_tokens(void)
{
	static const u32 halves[] = { 0, 1, 2, 0x7fffffff, 0x80000000, ~0u - 1, ~0u };
	u64 x = 88172645463325252ull;
	u32 data = 0, ack = 0, both = 0;
	struct hk_tokens t;
	bool ok = true;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(halves); i++) {
		for (k = 0; k < ARRAY_SIZE(halves); k++) {
			u32 lo = halves[i], hi = halves[k];

			t = hk_page_draw_tokens((u64)hi << 32 | lo);
			if (!t.data || !t.ack || t.data == t.ack) {
				tap_diag("%x %x: %x and %x", lo, hi, t.data, t.ack);
				ok = false;
			}
			/* what can stay as it was drawn does */
			if ((lo && t.data != lo) ||
			    (hi && hi != t.data && t.ack != hi)) {
				tap_diag("%x %x: changed for nothing", lo, hi);
				ok = false;
			}
		}
	}
	tap_ok(ok, "tokens: not zero, not the same, else as drawn");

	ok = true;
	for (i = 0; i < 100000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		t = hk_page_draw_tokens(x);
		ok &= t.data == (u32)x && t.ack == x >> 32;
		data |= t.data;
		ack |= t.ack;
		both |= t.data ^ t.ack;
	}
	tap_ok(ok && !~data && !~ack && !~both,
	       "tokens: each bit is drawn, one by one");
}
