// SPDX-License-Identifier: GPL-2.0
/*
 * Old copies: pages that were taken away from here, kept in case they come back unchanged
 *
 * A page that leaves, by an invalidation or because another node wants to write it, is
 * kept, unmapped, while there is room. When this node asks for it again, the request says
 * what a keyed hash of the old copy is. An owner that finds the same hash answers SAME in
 * place of the page, and the old copy becomes the page.
 *
 * What holds, whoever the peers are:
 *
 *  - An old copy is in no page table, and in none of the places where a fault looks. It
 *    becomes readable in one place, visit_install(), for a reply that has the token of
 *    the very request which named it and says SAME.
 *  - From the request to the reply it belongs to the request's struct hk_busy, and nobody
 *    drops it. It goes with that: where the page itself comes, or the guest ends.
 *  - Before and after it is in hk_mem.stale, and whoever takes it out by xa_erase() is the
 *    one who has it. No lock of the gfn is needed for that: which of two old copies of a
 *    page is asked about, or whether one is, does not matter, as the hash is of its bytes.
 *
 * The bytes of an old copy do not change: who had it mapped has lost it by the take. The
 * message that carries the page away may still refer to it, for reading.
 *
 * Old copies count in the budget of the node. They are kept only while much of it is free,
 * are an eighth of it at most, and are the first to go (spill.c). Which ones go is by the
 * number of the page, in turn.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/xarray.h>
#include "mem.h"

enum {
	REVALIDATE_OFF,
	REVALIDATE_WORTH,	/* where it has paid, and now and then elsewhere */
	REVALIDATE_ALWAYS,
};

/* Off: two hashes take longer than a page does on a link of 10 Gbit/s or more */
static uint revalidate = REVALIDATE_OFF;
module_param(revalidate, uint, 0644);
MODULE_PARM_DESC(revalidate, "Keep old copies of pages and ask whether they are still good: 0: never, 1: of pages for which it pays, 2: always (default 0)");

/* A part of the budget */
#define STALE_MOST(budget)	((budget) / 8)

/* Entries of hk_mem.stale that are pages; a hint, as it is set and cleared by itself */
#define STALE_PAGES	XA_MARK_0

static void stale_free(struct hk_mem *mem, struct page *page)
{
	set_page_private(page, 0);
	put_page(page);
	atomic64_dec(&mem->nr_stale);
	atomic_long_dec(&mem->vm->node->stale);
	hk_room_put(mem);
}

static void entry_free(struct hk_mem *mem, void *entry)
{
	if (entry && !xa_is_value(entry))
		stale_free(mem, entry);
}

static void entry_mark(struct hk_mem *mem, u64 gfn, void *entry)
{
	if (xa_is_value(entry))
		xa_clear_mark(&mem->stale, gfn, STALE_PAGES);
	else
		xa_set_mark(&mem->stale, gfn, STALE_PAGES);
}

static void entry_store(struct hk_mem *mem, u64 gfn, void *entry)
{
	void *old = xa_store(&mem->stale, gfn, entry,
			     GFP_ATOMIC | __GFP_NOWARN);

	/* no memory for it: as if it had been dropped at once */
	entry_free(mem, xa_is_err(old) ? entry : old);
	entry_mark(mem, gfn, entry);
}

static u64 page_hash(const struct page *page, u64 salt, u64 gfn)
{
	const siphash_key_t key = { { salt, gfn } };

	return siphash(page_address(page), PAGE_SIZE, &key);
}

static bool page_filled(const struct page *page)
{
	const u64 *p = page_address(page);

	return !memchr_inv(p, *(const u8 *)p, PAGE_SIZE);
}

/**
 * hk_stale_same() - has the requester of a page got it already?
 * @page: the page
 * @gfn: its number
 * @check: what the requester says of its old copy, or all zero
 * Context: any.
 */
bool hk_stale_same(const struct page *page, u64 gfn, const struct hk_check *check)
{
	return check->salt && page_hash(page, check->salt, gfn) == check->hash;
}

/**
 * hk_stale_wanted() - is the page that has just been taken from here to be kept?
 * @v: visit, locked
 *
 * If so, the room of the page stays charged, and hk_stale_add() has to follow.
 */
bool hk_stale_wanted(struct hk_visit *v)
{
	struct hk_mem *mem = v->mem;
	struct hk_node *node = mem->vm->node;
	uint how = READ_ONCE(revalidate);
	bool wanted;

	lockdep_assert_held(&v->b->lock);
	if (how == REVALIDATE_OFF || READ_ONCE(mem->dying) || hk_vm_dead(mem->vm))
		return false;
	wanted = how >= REVALIDATE_ALWAYS ||
		 hk_stale_keep(&mem->stale_guest, &v->worth);
	/* when there are enough, another one makes room */
	if (wanted && hk_room_plenty(mem) &&
	    (atomic_long_read(&node->stale) < (long)STALE_MOST(READ_ONCE(node->budget)) ||
	     hk_stale_drop(mem, 1)))
		return true;
	if (v->worth)
		entry_store(mem, v->w.gfn, xa_mk_value(v->worth));
	return false;
}

/**
 * hk_stale_add() - keep a page that has been taken from here
 * @v: visit, locked
 * @page: with a reference, which is consumed; its room is charged
 */
void hk_stale_add(struct hk_visit *v, struct page *page)
{
	struct hk_mem *mem = v->mem;

	lockdep_assert_held(&v->b->lock);
	atomic64_inc(&mem->nr_stale);
	atomic_long_inc(&mem->vm->node->stale);
	set_page_private(page, v->worth);
	entry_store(mem, v->w.gfn, page);
}

/**
 * hk_stale_prepare() - a request for a page may follow: is there an old copy to name?
 * @v: visit, not locked
 *
 * Hashes it, which is better not done with the lock held.
 * Context: process.
 */
void hk_stale_prepare(struct hk_visit *v)
{
	struct hk_mem *mem = v->mem;
	u64 gfn = v->w.gfn;
	struct page *page;
	void *entry;

	/* a guess: who has the page asks for no other one */
	if (!xa_load(&mem->stale, gfn) || xa_load(&mem->pages, gfn))
		return;
	entry = xa_erase(&mem->stale, gfn);
	if (!entry)
		return;
	v->old = entry;
	if (xa_is_value(entry)) {
		v->worth = xa_to_value(entry);
		return;
	}
	page = entry;
	v->worth = page_private(page);
	if (READ_ONCE(revalidate) == REVALIDATE_OFF)
		return;
	if (v->w.home != v->w.self &&
	    !(hk_node_link_features(mem->vm->node, v->w.home) &
	      HK_WIRE_FEATURE_REVALIDATE))
		return;
	/* still on its way out, and it is to be written; or it costs a word anyway */
	if (page_count(page) != 1 || page_filled(page))
		return;
	do {
		v->w.check.salt = get_random_u64();
	} while (!v->w.check.salt);
	v->w.check.hash = page_hash(page, v->w.check.salt, gfn);
}

/**
 * hk_stale_asked() - a request begins: what hk_stale_prepare() has found is its own
 * @v: visit, locked; @v->busy has just been made
 */
void hk_stale_asked(struct hk_visit *v)
{
	void *entry = v->old;

	lockdep_assert_held(&v->b->lock);
	v->old = NULL;
	v->busy->worth = v->worth;
	if (!entry || xa_is_value(entry))
		return;
	if (!v->w.check.salt) {
		stale_free(v->mem, entry);
		return;
	}
	v->busy->stale = entry;
	hk_vm_count(v->mem->vm, REVALIDATE_ASKED);
}

/**
 * hk_stale_unasked() - no request has begun: others may have the old copy
 * @v: visit, not locked
 * Context: any.
 */
void hk_stale_unasked(struct hk_visit *v)
{
	struct hk_mem *mem = v->mem;
	void *entry = v->old;

	v->old = NULL;
	if (!entry)
		return;
	/* a later one may be there by now */
	if (READ_ONCE(mem->dying) ||
	    xa_insert(&mem->stale, v->w.gfn, entry, GFP_ATOMIC | __GFP_NOWARN))
		entry_free(mem, entry);
	else
		entry_mark(mem, v->w.gfn, entry);
}

/**
 * hk_stale_take() - the owner says that the old copy is still good
 * @v: visit, locked; @v->busy has an old copy
 * Return: the old copy, with the caller's reference; its room is given back
 */
struct page *hk_stale_take(struct hk_visit *v)
{
	struct page *page = v->busy->stale;

	lockdep_assert_held(&v->b->lock);
	v->busy->stale = NULL;
	get_page(page);
	stale_free(v->mem, page);
	return page;
}

/**
 * hk_stale_told() - the answer is there
 * @v: visit, locked
 * @page: the page as it is now; its worth goes where struct page->private has it
 */
void hk_stale_told(struct hk_visit *v, struct page *page)
{
	struct hk_busy *busy = v->busy;
	struct hk_mem *mem = v->mem;

	lockdep_assert_held(&v->b->lock);
	if (v->content == HK_CONTENT_SAME) {
		hk_vm_count(mem->vm, REVALIDATED);
		hk_stale_learn(&mem->stale_guest, &busy->worth, true);
	} else if (v->content == HK_CONTENT_PAGE && busy->stale) {
		hk_stale_learn(&mem->stale_guest, &busy->worth, false);
	}
	set_page_private(page, page_private(page) |
			 (unsigned long)busy->worth << HK_PP_WORTH_SHIFT);
}

/**
 * hk_stale_over() - a request is over: its old copy goes, if it still has one
 * @busy: not listed any more, or being taken off the list
 * Context: any.
 */
void hk_stale_over(struct hk_busy *busy)
{
	struct page *page = busy->stale;

	busy->stale = NULL;
	if (page)
		stale_free(busy->mem, page);
}

/**
 * hk_stale_drop() - make room
 * @mem: guest RAM
 * @want: pages
 * Context: any that may take locks.
 * Return: pages that were given back
 */
u64 hk_stale_drop(struct hk_mem *mem, u64 want)
{
	unsigned long gfn = READ_ONCE(mem->stale_cursor);
	bool wrapped = false;
	u64 done = 0;
	void *entry;

	while (done < want && atomic64_read(&mem->nr_stale)) {
		/* others may look as well: each takes what it erases, none twice */
		if (!xa_find(&mem->stale, &gfn, ULONG_MAX, STALE_PAGES)) {
			if (wrapped)
				break;
			wrapped = true;
			gfn = 0;
			continue;
		}
		entry = xa_erase(&mem->stale, gfn++);
		if (entry && !xa_is_value(entry)) {
			stale_free(mem, entry);
			done++;
		}
	}
	WRITE_ONCE(mem->stale_cursor, gfn);
	return done;
}

/**
 * hk_stale_destroy() - the guest is gone
 * @mem: no visits any more
 * Context: process.
 */
void hk_stale_destroy(struct hk_mem *mem)
{
	unsigned long gfn;
	void *entry;

	xa_for_each(&mem->stale, gfn, entry) {
		entry_free(mem, entry);
		cond_resched();
	}
	xa_destroy(&mem->stale);
}
