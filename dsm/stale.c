// SPDX-License-Identifier: GPL-2.0
/*
 * When an old copy is worth to be kept
 */
#ifndef __KERNEL__
#include <assert.h>
#endif
#include "stale.h"

/* What is known of a page: a level, "good" for level 0, and how often to leave it out */
#define PAGE_LEVEL	(HK_STALE_LEVELS - 1)
#define PAGE_GOOD	0x8
#define PAGE_SKIP_SHIFT	4

static_assert(((1 << PAGE_LEVEL) - 1) >> (HK_STALE_BITS - PAGE_SKIP_SHIFT) == 0);

static u32 left_out(u32 level)
{
	return (1u << level) - 1;
}

/*
 * The guest's numbers are changed without a lock: a thread may find one that another has
 * just taken below zero. It is taken for the most there can be, or for none, not for ever.
 */
static u32 guest_bad(const struct hk_stale_guest *guest)
{
	u32 bad = guest->bad;

	return bad < HK_STALE_STEP * HK_STALE_LEVELS ?
	       bad : HK_STALE_STEP * HK_STALE_LEVELS - 1;
}

static u32 guest_skip(const struct hk_stale_guest *guest)
{
	u32 skip = guest->skip;

	return skip <= left_out(HK_STALE_LEVELS - 1) ? skip : 0;
}

bool hk_stale_keep(struct hk_stale_guest *guest, u16 *page)
{
	u32 skip;

	if (*page >> PAGE_SKIP_SHIFT) {
		*page -= 1 << PAGE_SKIP_SHIFT;
		return false;
	}
	if (*page)
		return true;
	skip = guest_skip(guest);
	if (skip) {
		guest->skip = skip - 1;
		return false;
	}
	guest->skip = left_out(guest_bad(guest) / HK_STALE_STEP);
	return true;
}

void hk_stale_learn(struct hk_stale_guest *guest, u16 *page, bool same)
{
	u32 level = *page & PAGE_LEVEL, bad = guest_bad(guest);
	bool first = !*page;

	if (same) {
		*page = PAGE_GOOD;
		if (first)
			guest->bad = bad < HK_STALE_GAIN ? 0 : bad - HK_STALE_GAIN;
		return;
	}
	if (level < HK_STALE_LEVELS - 1)
		level++;
	*page = level | left_out(level) << PAGE_SKIP_SHIFT;
	if (first)
		guest->bad = bad + 1;
}
