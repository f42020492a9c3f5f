/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When is it worth to keep an old copy, and to ask whether it is still good?
 *
 * Pure. To ask costs both ends a hash of the page. Whether it pays is a property of the
 * page, and of the guest for pages of which nothing is known yet; both are learned from
 * the answers.
 */
#ifndef HK_DSM_STALE_H
#define HK_DSM_STALE_H

#include "types.h"

/* struct hk_stale_page fits into so many bits */
#define HK_STALE_BITS		11

#define HK_STALE_LEVELS		8
/* So many changed pages, not outweighed, and the guest is asked half as often */
#define HK_STALE_STEP		64
/* One unchanged page outweighs so many changed ones */
#define HK_STALE_GAIN		8

/**
 * struct hk_stale_guest - what is known of a guest's pages in general
 * @bad: pages asked about for the first time that had changed, less those that had not,
 *	by weight
 * @skip: so many pages that nothing is known of are not kept
 *
 * All zero at first. Without a lock: two threads at once may lose one of their answers.
 */
struct hk_stale_guest {
	u32 bad;
	u32 skip;
};

/**
 * hk_stale_keep() - is the copy that is taken from here worth to be kept?
 * @guest: in and out
 * @page: in and out: what is known of the page, HK_STALE_BITS bits; zero: nothing
 *
 * A page that was unchanged last time: always. After *n* changes in a row it is left out
 * 2^n - 1 times, 127 times at most. A page that nothing is known of: likewise, by what
 * such pages of the guest were worth.
 *
 * Context: any.
 */
bool hk_stale_keep(struct hk_stale_guest *guest, u16 *page);

/**
 * hk_stale_learn() - an old copy was asked about
 * @guest: in and out
 * @page: in and out, see hk_stale_keep()
 * @same: it was still good
 * Context: any.
 */
void hk_stale_learn(struct hk_stale_guest *guest, u16 *page, bool same);

#endif /* HK_DSM_STALE_H */
