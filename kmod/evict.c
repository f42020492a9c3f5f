// SPDX-License-Identifier: GPL-2.0
/*
 * Which read copies a node gives up for room: those not used lately, nearly
 *
 * A module cannot ask the page tables whether a page was used: neither
 * mmu_notifier_test_young() nor folio_referenced() is exported. What it does see is
 * faults. So a copy that may have to go is made *idle* first: unmapped here, KVM
 * following by its notifier, while page and state stay. Whoever uses it again faults,
 * and mem_fault() maps it without asking anybody; a copy that is still idle when its
 * turn comes is dropped. That is the clock with two hands of 4.3BSD (McKusick and
 * Karels, "A new virtual memory implementation for Berkeley UNIX", 1986), with the
 * reference bit made of faults as on the VAX, which had none (Babaoglu and Joy,
 * "Converting a swap-based system to do paging in an architecture lacking
 * page-referenced bits", SOSP 1981)::
 *
 *	  dropping hand			    ageing hand
 *	        v      idle: 1/4 of the copies     v
 *	 .......x--xx---x--------x---xx--xx----x--o......... by number, round and round
 *
 * Both hands go in the order of page numbers. The ageing one is ahead by so many idle
 * copies; those that were used meanwhile are not idle any more and stay for another
 * round. It moves when room is made, and once more when half of that is used up, as many
 * idle ones may be in use by then. So a node that has room pays nothing. What a round
 * costs is a fault without network for each copy in use.
 *
 * A page that came because somebody guessed that it would be used (prefetch.c), and
 * that no fault has mapped in UNUSED_US, was guessed wrong: the ageing hand drops it
 * when room is wanted.
 */
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include "compat/mm.h"
#include "mem.h"

static bool evict_lru = true;
module_param(evict_lru, bool, 0644);
MODULE_PARM_DESC(evict_lru, "Give up read copies that were not used lately, not simply the next by number (default Y)");

/* One of so many copies is kept idle: simulator.rst */
#define IDLE_PART	4
/* After so many that were made idle it is looked whether one in so many was used again */
#define PAYS_LOOK	256
#define PAYS_PART	16
/* A page that was guessed to be used and is not within this was guessed wrong */
#define UNUSED_US	100000

/* From a cursor once round the pages with a mark, by number */
struct evict_round {
	unsigned long *cursor;
	unsigned long start;
	unsigned long at;
	bool wrapped;
};

static void round_begin(struct evict_round *r, unsigned long *cursor)
{
	r->cursor = cursor;
	r->start = READ_ONCE(*cursor);
	r->at = r->start;
	r->wrapped = false;
}

static bool round_next(struct evict_round *r, struct hk_mem *mem, xa_mark_t mark,
		       u64 *gfn)
{
	cond_resched();
	if (hk_vm_dead(mem->vm))
		return false;
	if (!xa_find(&mem->pages, &r->at, ULONG_MAX, mark)) {
		if (r->wrapped)
			return false;
		r->wrapped = true;
		r->at = 0;
		if (!xa_find(&mem->pages, &r->at, ULONG_MAX, mark))
			return false;
	}
	if (r->wrapped && r->at >= r->start)
		return false;
	*gfn = r->at++;
	return true;
}

static void round_end(const struct evict_round *r)
{
	WRITE_ONCE(*r->cursor, r->at);
}

/**
 * hk_evict_active() - the page is not idle, if it was
 * @v: visit, locked, with a page
 */
void hk_evict_active(struct hk_visit *v)
{
	unsigned long pp = page_private(v->page);

	lockdep_assert_held(&v->b->lock);
	if (!(pp & HK_PP_IDLE))
		return;
	set_page_private(v->page, pp & ~HK_PP_IDLE);
	xa_clear_mark(&v->mem->pages, v->w.gfn, HK_PAGES_IDLE);
	atomic64_dec(&v->mem->nr_idle);
}

/**
 * hk_evict_used() - a fault is about to map the page
 * @v: visit, locked; the page is locked
 */
void hk_evict_used(struct hk_visit *v)
{
	unsigned long pp = page_private(v->page);

	if (likely(!(pp & (HK_PP_IDLE | HK_PP_UNUSED))))
		return;
	if (hk_evict_refault(v->page))
		hk_vm_count(v->mem->vm, REFAULTED);
	hk_evict_active(v);
	set_page_private(v->page, page_private(v->page) & ~HK_PP_UNUSED);
}

/*
 * Give up a read copy, as recall.c takes a page. Whether it is still one is
 * looked at again under the bucket lock: an INV that has come meanwhile finds
 * the page locked, and tries later. A copy that somebody holds is in use.
 */
static bool drop_page(struct hk_mem *mem, u64 gfn)
{
	struct page *page = NULL;
	struct hk_visit v;
	bool done = false;

	hk_visit_init(&v, mem, gfn);
	hk_visit_lock(&v);
	if (v.page && v.state == HK_PG_SHARED) {
		if (!hk_hold_left_ns(v.mem, v.page) && trylock_page(v.page))
			page = v.page;
		else
			hk_evict_active(&v);
	}
	hk_visit_unlock(&v);
	if (!page)
		goto out;

	/* stays, being locked: hk_visit_detach() wants the lock, too */
	if (hk_page_mapcount(page))
		unmap_mapping_pages(page->mapping, gfn, 1, false);
	hk_vcpus_page_gone(mem->vm, gfn);
	hk_visit_lock(&v);
	if (v.page == page && v.state == HK_PG_SHARED &&
	    page_ref_freeze(page, 1)) {
		hk_visit_detach(&v);
		hk_visit_event(&v, HK_EV_DROP, NULL);
		/* not sent anywhere */
		v.free = v.taken;
		v.taken = NULL;
		done = true;
	} else if (v.page == page) {
		hk_evict_active(&v);
	}
	hk_visit_unlock(&v);
	if (done)
		hk_vm_count(mem->vm, DROPPED);
	else
		unlock_page(page);
out:
	hk_visit_end(&v, false);
	return done;
}

static u64 drop_copies(struct hk_mem *mem, u64 want, xa_mark_t mark)
{
	struct evict_round r;
	u64 done = 0, gfn;

	round_begin(&r, &mem->drop_cursor);
	while (done < want && round_next(&r, mem, mark, &gfn))
		if (drop_page(mem, gfn))
			done++;
	round_end(&r);
	return done;
}

static bool guessed_wrong(const struct page *page)
{
	unsigned long pp = page_private(page);

	return (pp & HK_PP_UNUSED) &&
	       hk_now_us() - (u32)(pp >> HK_PP_TIME_SHIFT) > UNUSED_US;
}

/*
 * Make a copy idle. The page stays locked until it is unmapped: a fault that uses it
 * waits for the lock, so what it maps and marks as used is not unmapped any more.
 *
 * Return: it is idle now; @drop: in: room is wanted, out: drop it instead
 */
static bool age_page(struct hk_mem *mem, u64 gfn, bool *drop)
{
	struct page *page = NULL;
	struct hk_visit v;
	unsigned long pp = 0;

	hk_visit_init(&v, mem, gfn);
	hk_visit_lock(&v);
	if (v.page && v.state == HK_PG_SHARED && !hk_hold_left_ns(mem, v.page))
		pp = page_private(v.page);
	*drop = *drop && pp && guessed_wrong(v.page);
	if (pp && !*drop && !(pp & HK_PP_IDLE) && trylock_page(v.page)) {
		page = v.page;
		set_page_private(page, pp | HK_PP_IDLE);
		xa_set_mark(&mem->pages, gfn, HK_PAGES_IDLE);
		atomic64_inc(&mem->nr_idle);
	}
	hk_visit_unlock(&v);
	if (page) {
		/* stays, being locked, as in drop_page() */
		if (hk_page_mapcount(page))
			unmap_mapping_pages(page->mapping, gfn, 1, false);
		unlock_page(page);
		if (!(pp & HK_PP_UNUSED))
			hk_vm_count(mem->vm, AGED);
	}
	hk_visit_end(&v, false);
	return page;
}

/*
 * See that enough copies are idle when room is wanted again; not all at once, as faults may
 * be waiting for room, but more than are dropped. Return: how many it dropped
 */
static u64 age_copies(struct hk_mem *mem, u64 want, u64 next)
{
	u64 copies = atomic64_read(&mem->nr_shared);
	u64 idle = atomic64_read(&mem->nr_idle);
	u64 aim = min(max(copies / IDLE_PART, 2 * next), copies / 2);
	u64 most = 4 * next;
	struct evict_round r;
	u64 done = 0, gfn;
	bool drop;

	round_begin(&r, &mem->age_cursor);
	while (idle < aim && most-- && round_next(&r, mem, HK_PAGES_SHARED, &gfn)) {
		drop = done < want;
		if (age_page(mem, gfn, &drop))
			idle++;
		else if (drop && drop_page(mem, gfn))
			done++;
	}
	round_end(&r);
	return done;
}

/**
 * hk_evict_prepare() - make copies idle, as some are going to be given up soon
 * @mem: guest RAM
 * @next: how many, perhaps
 * Context: process, may sleep.
 */
void hk_evict_prepare(struct hk_mem *mem, u64 next)
{
	if (READ_ONCE(evict_lru))
		age_copies(mem, 0, next);
}

/**
 * hk_evict_pays() - is it worth while to wait for idle copies to be used?
 * @mem: guest RAM
 *
 * Not where hardly any is: a node that uses more pages in turn than it has room for. It
 * would wait for room each time, and learn nothing.
 *
 * Context: spill_work only.
 */
bool hk_evict_pays(struct hk_mem *mem)
{
	u64 aged = atomic64_read(&mem->vm->stat[HK_STAT_AGED]);
	u64 used = atomic64_read(&mem->vm->stat[HK_STAT_REFAULTED]);

	if (aged - mem->evict_aged >= PAYS_LOOK) {
		mem->evict_vain = (used - mem->evict_used) * PAYS_PART <
				  aged - mem->evict_aged;
		mem->evict_aged = aged;
		mem->evict_used = used;
	}
	return !mem->evict_vain;
}

/**
 * hk_evict() - give up read copies
 * @mem: guest RAM
 * @want: how many
 * @now: even such as are in use, where not enough are idle
 * Context: process, may sleep.
 * Return: how many have gone
 */
u64 hk_evict(struct hk_mem *mem, u64 want, bool now)
{
	u64 done;

	if (!READ_ONCE(evict_lru))
		return drop_copies(mem, want, HK_PAGES_SHARED);
	done = drop_copies(mem, want, HK_PAGES_IDLE);
	done += age_copies(mem, want - done, want);
	if (now && done < want)
		done += drop_copies(mem, want - done, HK_PAGES_SHARED);
	return done;
}
