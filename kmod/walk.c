// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of the guest's page tables, which a nested walk wants to write
 *
 * With AMD's nested paging a walk of the guest's page tables counts as a write of
 * every table on the way, whether or not it sets an accessed bit (APM volume 2,
 * 15.25.6; TCG does as the manual says). So the few tables that all CPUs walk, the
 * top of the kernel's, are wanted for writing by every node at every TLB miss, and
 * a miss needs several of them at once: two nodes that take them from each other
 * one by one can go on for ever without either having all. Therefore:
 *
 *  - A fault of a walk is told from others by the error code (kvm_hooks.c). Its
 *    page is remembered as a walk page.
 *  - When a walk has to ask for one such page, the others that are not exclusive
 *    here are asked for in the same go.
 *  - A walk page that came from another node and is mapped begins a slice of
 *    walk_slice_us, in which no walk page is given up; what was recalled meanwhile
 *    goes when it ends. So nodes take turns with the whole set.
 *
 * On a CPU whose walks read (Intel's EPT without accessed bits) nothing here ever
 * happens. Documentation/architecture.rst says what would be better.
 */
#include <linux/hash.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include "mem.h"

static uint walk_slice_us = 20000;
module_param(walk_slice_us, uint, 0644);
MODULE_PARM_DESC(walk_slice_us, "Time in microseconds that a node keeps page tables which others want to walk (default 20000)");

/* walk pages not walked here for so long are not asked for with others */
#define WALK_RECENT_NS	(500 * NSEC_PER_MSEC)

static struct hk_walk_page *walk_slot(struct hk_mem *mem, u64 gfn)
{
	return &mem->walk[hash_64(gfn, HK_WALK_BITS)];
}

static bool walk_is(struct hk_mem *mem, u64 gfn)
{
	return READ_ONCE(walk_slot(mem, gfn)->gfn) == gfn + 1;
}

/**
 * hk_walk_note() - a walk on this node uses a page
 * @mem: guest RAM
 * @gfn: page
 *
 * Two threads may write a slot at the same time: it is a hint either way, and a
 * pair of values that do not belong together costs a message at most.
 * Context: any.
 */
void hk_walk_note(struct hk_mem *mem, u64 gfn)
{
	struct hk_walk_page *slot = walk_slot(mem, gfn);

	WRITE_ONCE(slot->gfn, gfn + 1);
	WRITE_ONCE(slot->last_ns, ktime_get_ns());
}

/* a walk page that came over the network is being mapped: the turn is ours */
void hk_walk_mapped(struct hk_mem *mem, u64 gfn)
{
	u64 now = ktime_get_ns();

	if (walk_is(mem, gfn) && now >= READ_ONCE(mem->walk_slice_end))
		WRITE_ONCE(mem->walk_slice_end, now + (u64)NSEC_PER_USEC *
			   READ_ONCE(walk_slice_us));
}

/**
 * hk_walk_left_ns() - how long a page must not be recalled because of our turn
 * @mem: guest RAM
 * @gfn: page
 * Context: any.
 * Return: nanoseconds
 */
u64 hk_walk_left_ns(struct hk_mem *mem, u64 gfn)
{
	u64 end = READ_ONCE(mem->walk_slice_end), now;

	if (!end || !walk_is(mem, gfn))
		return 0;
	now = ktime_get_ns();
	return now < end ? end - now : 0;
}

static void walk_ask(struct hk_mem *mem, u64 gfn)
{
	struct hk_visit v;

	hk_visit_init(&v, mem, gfn);
	if (hk_visit_prepare(&v, false))
		goto out;
	v.charged = hk_room_get(mem);
	if (!v.charged)
		goto out;
	hk_stale_prepare(&v);
	hk_visit_lock(&v);
	switch ((enum hk_page_state)v.state) {
	case HK_PG_INVALID:
	case HK_PG_SHARED:
	case HK_PG_OWNED:
		if (!hk_vm_dead(mem->vm))
			hk_visit_event(&v, HK_EV_WRITE, NULL);
		break;
	case HK_PG_EXCLUSIVE:
	case HK_PG_INVALID_RD:
	case HK_PG_INVALID_WR:
	case HK_PG_SHARED_WR:
	case HK_PG_OWNED_WR:
	case HK_PG_SHARED_TAKE:
	case HK_PG_OWNED_TAKE:
	case HK_PG_EXCLUSIVE_DOWN:
	case HK_PG_EXCLUSIVE_TAKE:
	case HK_PG_SHARED_WR_TAKE:
	case HK_PG_OWNED_WR_TAKE:
	case HK_PG_NR:
		break;
	}
	hk_visit_unlock(&v);
out:
	hk_visit_end(&v, false);
}

/**
 * hk_walk_gather() - a walk had to ask for @gfn: ask for the rest of the set, too
 * @mem: guest RAM
 * @gfn: page asked for already
 * Context: process, no locks but mmap_lock.
 */
void hk_walk_gather(struct hk_mem *mem, u64 gfn)
{
	u64 now = ktime_get_ns();
	int i;

	for (i = 0; i < HK_WALK_PAGES; i++) {
		u64 other = READ_ONCE(mem->walk[i].gfn);

		if (other && other - 1 != gfn &&
		    now - READ_ONCE(mem->walk[i].last_ns) < WALK_RECENT_NS)
			walk_ask(mem, other - 1);
	}
}
