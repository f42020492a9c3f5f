// SPDX-License-Identifier: GPL-2.0
/*
 * When an old copy is worth to be kept
 */
#ifndef __KERNEL__
#include <assert.h>
#endif
#include "stale.h"

/* What is known of a page: a level, "good" for level 0, and how often to leave it out */
#define PAGE_LEVEL	0x7
#define PAGE_GOOD	0x8
#define PAGE_SKIP_SHIFT	4

static_assert(HK_STALE_LEVELS == PAGE_LEVEL + 1);
static_assert(((1 << PAGE_LEVEL) - 1) >> (HK_STALE_BITS - PAGE_SKIP_SHIFT) == 0);

static u32 left_out(u32 level)
{
	return (1u << level) - 1;
}

static u32 guest_level(const struct hk_stale_guest *guest)
{
	u32 level = guest->bad / HK_STALE_STEP;

	return level < HK_STALE_LEVELS ? level : HK_STALE_LEVELS - 1;
}

bool hk_stale_keep(struct hk_stale_guest *guest, u16 *page)
{
	if (*page >> PAGE_SKIP_SHIFT) {
		*page -= 1 << PAGE_SKIP_SHIFT;
		return false;
	}
	if (*page)
		return true;
	if (guest->skip) {
		guest->skip--;
		return false;
	}
	guest->skip = left_out(guest_level(guest));
	return true;
}

void hk_stale_learn(struct hk_stale_guest *guest, u16 *page, bool same)
{
	u32 level = *page & PAGE_LEVEL;
	bool first = !*page;

	if (same) {
		*page = PAGE_GOOD;
		if (first)
			guest->bad -= guest->bad < HK_STALE_GAIN ? guest->bad :
								   HK_STALE_GAIN;
		return;
	}
	if (level < HK_STALE_LEVELS - 1)
		level++;
	*page = level | left_out(level) << PAGE_SKIP_SHIFT;
	if (first && guest->bad < HK_STALE_STEP * HK_STALE_LEVELS - 1)
		guest->bad++;
}
