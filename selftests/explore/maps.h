/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a page's state lets the guest do at most, until the caller has acted
 */
#ifndef HK_EXPLORE_MAPS_H
#define HK_EXPLORE_MAPS_H

#include "../../dsm/page.h"

/* The guest can read the page without a fault */
static inline bool state_mapped_r(u8 state)
{
	switch ((enum hk_page_state)state) {
	case HK_PG_SHARED:
	case HK_PG_OWNED:
	case HK_PG_EXCLUSIVE:
	case HK_PG_SHARED_WR:
	case HK_PG_OWNED_WR:
	case HK_PG_SHARED_TAKE:
	case HK_PG_OWNED_TAKE:
	case HK_PG_EXCLUSIVE_DOWN:
	case HK_PG_EXCLUSIVE_TAKE:
	case HK_PG_SHARED_WR_TAKE:
	case HK_PG_OWNED_WR_TAKE:
		return true;
	case HK_PG_INVALID:
	case HK_PG_INVALID_RD:
	case HK_PG_INVALID_WR:
	case HK_PG_NR:
		break;
	}
	return false;
}

static inline bool state_mapped_w(u8 state)
{
	return state == HK_PG_EXCLUSIVE || state == HK_PG_EXCLUSIVE_DOWN ||
	       state == HK_PG_EXCLUSIVE_TAKE;
}

static inline bool state_taken(u8 state)
{
	return state == HK_PG_SHARED_TAKE || state == HK_PG_OWNED_TAKE ||
	       state == HK_PG_EXCLUSIVE_TAKE ||
	       state == HK_PG_SHARED_WR_TAKE || state == HK_PG_OWNED_WR_TAKE;
}

static inline bool state_downgraded(u8 state)
{
	return state == HK_PG_EXCLUSIVE_DOWN;
}

#endif /* HK_EXPLORE_MAPS_H */
