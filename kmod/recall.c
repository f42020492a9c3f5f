// SPDX-License-Identifier: GPL-2.0
/*
 * Recall: a page is taken away from this node, or write-protected on it
 *
 * A page is taken the way page migration does it: lock it, unmap it, freeze its
 * references. Whoever may still use it is in one of these places:
 *
 *  1. A page table. ->fault and ->page_mkwrite hand out a page that is locked,
 *     and the core maps it before it unlocks. So while the page is locked here
 *     no new mapping appears, and unmap_mapping_pages() ends those there are,
 *     with a TLB flush, and KVM's by its MMU notifier. fork() copies no entries
 *     of a shared file mapping, and mremap() moves them so that walks of the
 *     i_mmap tree meet them, as truncation needs it, too. An entry that were
 *     missed all the same has a reference, and the freeze fails.
 *  2. A fault that has looked the page up and waits for the page lock. It took
 *     its reference under the bucket lock, as the freeze is done under it: the
 *     freeze either sees the reference and fails, or comes first, and then the
 *     lookup sees no page. (Without that common lock it would take a
 *     reference on a page that has been freed.)
 *  3. get_user_pages(): O_DIRECT, vhost, KVM itself for the length of a fault.
 *     These hold references: the freeze fails. The lockless variant may take
 *     one at any time, but looks at the page table entry again and lets go of a
 *     page that is not mapped there any more.
 *
 * A failed freeze means that the page is busy; it is tried again, after 200 us
 * at first and 10 ms at last. Nothing is ever sent from under somebody's feet.
 * The same holds for write-protection: a device that writes by direct I/O does
 * not ask the page table, so a page with any reference but ours and those of
 * its mappings is busy there, too.
 *
 * A page that was granted to a fault is held: it is not recalled before a fault
 * has mapped it and hold_us have passed since, so that whoever asked for it gets
 * something done; at most 20 ms pass without anybody coming. While a recall is
 * put off (hk_busy.held) the page may still be mapped as before; once the
 * recall has begun it may not, or it might never end.
 *
 * Per recall there is one executor at any time: the thread that received the
 * message, or else the timer or the work, which pass one reference on.
 */
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include "compat/mm.h"
#include "mem.h"

static int hold_us = -1;
module_param(hold_us, int, 0644);
MODULE_PARM_DESC(hold_us, "Shortest time in microseconds that a page stays after a fault got it; -1: by the round trips to other nodes (default -1)");

/* Not less than a fault takes to end, not so long that a guest would feel it stand still */
#define HOLD_AUTO_MIN_US	20
#define HOLD_AUTO_MAX_US	10000
/* Before the first round trip */
#define HOLD_AUTO_FIRST_US	300

/*
 * A page that two nodes want all the time travels for half a round trip or more each
 * time, so it should stay for as long, or most of the time nobody has it. Simulated, two
 * round trips do most of the good (simulator.rst), and where nobody else wants the page
 * it costs nothing. Not the time that fetches take: the hold time of others is in that,
 * and the mean grows without end.
 */
static u32 hold_time_us(const struct hk_mem *mem)
{
	int fixed = READ_ONCE(hold_us);
	u32 rtt;

	if (fixed >= 0)
		return fixed;
	rtt = READ_ONCE(mem->vm->node->rtt_us);
	if (!rtt)
		return HOLD_AUTO_FIRST_US;
	return clamp(min_t(u32, rtt, HOLD_AUTO_MAX_US) * 2, HOLD_AUTO_MIN_US,
		     HOLD_AUTO_MAX_US);
}

static u32 page_time_us(const struct page *page)
{
	return page_private(page) >> HK_PP_TIME_SHIFT;
}

static u64 hold_left_ns(const struct hk_mem *mem, const struct page *page)
{
	unsigned long pp = page_private(page);
	u32 hold = hold_time_us(mem);
	u32 passed;

	if (!(pp & HK_PP_HOLD) || !hold)
		return 0;
	if (!(pp & HK_PP_MAPPED))
		hold = HK_HOLD_UNMAPPED_US;
	passed = hk_now_us() - page_time_us(page);
	return passed < hold ? (u64)(hold - passed) * NSEC_PER_USEC : 0;
}

/**
 * hk_hold_left_ns() - how long the page must not be recalled yet
 * @mem: guest RAM
 * @page: present page, its bucket locked
 */
u64 hk_hold_left_ns(struct hk_mem *mem, const struct page *page)
{
	return max(hold_left_ns(mem, page), hk_walk_left_ns(mem, page->index));
}

/**
 * hk_recall_mapped() - a fault is about to map the page
 * @v: visit, locked; the page is locked
 */
void hk_recall_mapped(struct hk_visit *v)
{
	unsigned long pp = page_private(v->page);
	struct hk_busy *busy = v->busy;

	if ((pp & (HK_PP_HOLD | HK_PP_MAPPED)) != HK_PP_HOLD)
		return;
	hk_walk_mapped(v->mem, v->w.gfn);
	pp &= HK_PP_KEEP | HK_PP_HOLD;
	set_page_private(v->page, pp | HK_PP_MAPPED |
			 (unsigned long)hk_now_us() << HK_PP_TIME_SHIFT);
	/* a recall waits for just this: from now on it is hold_us */
	if (busy && busy->held && hrtimer_try_to_cancel(&busy->timer) == 1)
		hrtimer_start(&busy->timer,
			      ns_to_ktime(hk_hold_left_ns(v->mem, v->page)),
			      HRTIMER_MODE_REL);
}

static enum hrtimer_restart recall_timer(struct hrtimer *timer)
{
	struct hk_busy *busy = container_of(timer, struct hk_busy, timer);

	queue_work(busy->mem->vm->node->wq, &busy->work);
	return HRTIMER_NORESTART;
}

/* Consumes the reference */
static void recall_later(struct hk_busy *busy, u64 in_ns)
{
	if (READ_ONCE(busy->mem->dying))
		hk_busy_put(busy);
	else if (in_ns)
		hrtimer_start(&busy->timer, ns_to_ktime(in_ns),
			      HRTIMER_MODE_REL);
	else
		queue_work(busy->mem->vm->node->wq, &busy->work);
}

static u64 recall_busy(struct hk_busy *busy)
{
	struct hk_vm *vm = busy->mem->vm;
	u64 us;

	hk_vm_count(vm, BUSY);
	if (ktime_get_ns() - busy->recall_ns >
	    (u64)HK_BUSY_MAX_MS * NSEC_PER_MSEC)
		hk_vm_kill(vm, true,
			   "node %u: page %#llx is wanted elsewhere, but somebody on this host has held it for %u s",
			   vm->node->id, busy->gfn, HK_BUSY_MAX_MS / 1000);
	us = (u64)HK_BUSY_FIRST_US << min(busy->tries, 16u);
	busy->tries++;
	return min_t(u64, us, HK_BUSY_LAST_US) * NSEC_PER_USEC;
}

/* Page locked. Return: done, page unlocked; or false */
static bool recall_take(struct hk_visit *v, struct hk_busy *busy,
			struct page *page)
{
	if (hk_page_mapcount(page))
		unmap_mapping_pages(page->mapping, busy->gfn, 1, false);
	hk_vcpus_page_gone(busy->mem->vm, busy->gfn);
	hk_visit_lock(v);
	if (!page_ref_freeze(page, 1)) {
		hk_visit_unlock(v);
		return false;
	}
	busy->recall = 0;
	hk_visit_detach(v);
	hk_visit_event(v, HK_EV_TAKEN, NULL);
	hk_visit_unlock(v);
	hk_spill_gone(busy->mem);
	return true;
}

/* Likewise */
static bool recall_downgrade(struct hk_visit *v, struct hk_busy *busy,
			     struct page *page)
{
	folio_mkclean(page_folio(page));
	/*
	 * Pairs with the lockless get_user_pages(): it takes its reference and
	 * then looks at the entry again, here the entry has been changed and
	 * now the references are looked at.
	 */
	smp_mb();
	hk_visit_lock(v);
	if (page_ref_count(page) != 1 + hk_page_mapcount(page)) {
		hk_visit_unlock(v);
		return false;
	}
	busy->recall = 0;
	hk_visit_event(v, HK_EV_DOWNGRADED, NULL);
	hk_visit_unlock(v);
	unlock_page(page);
	return true;
}

/*
 * Return: true: it is over, the reference is consumed; false: try again in
 * @again_ns
 */
static bool recall_try(struct hk_busy *busy, bool here, u64 *again_ns)
{
	struct hk_mem *mem = busy->mem;
	struct page *page;
	struct hk_visit v;
	bool done;
	u8 recall;

	hk_visit_init(&v, mem, busy->gfn);
	if (busy->recall == HK_ACT_DOWNGRADE)
		/* for the copy; without it there is GFP_ATOMIC */
		v.spare = alloc_page(GFP_KERNEL | __GFP_NOWARN);

	hk_visit_lock(&v);
	busy->held = false;
	recall = busy->recall;
	/*
	 * Stays, though no reference is taken: in this state nobody but the
	 * executor of the recall, which is this thread, removes it.
	 */
	page = v.page;
	hk_visit_unlock(&v);
	if (!page || !recall || hk_vm_dead(mem->vm) || READ_ONCE(mem->dying)) {
		hk_visit_end(&v, false);
		hk_busy_put(busy);
		return true;
	}

	if (!here)
		lock_page(page);
	else if (!trylock_page(page))
		goto busy;
	if (recall == HK_ACT_TAKE)
		done = recall_take(&v, busy, page);
	else
		done = recall_downgrade(&v, busy, page);
	if (done) {
		hk_visit_end(&v, true);
		hk_busy_put(busy);
		return true;
	}
	unlock_page(page);
busy:
	*again_ns = recall_busy(busy);
	hk_visit_end(&v, false);
	return false;
}

static void recall_work(struct work_struct *work)
{
	struct hk_busy *busy = container_of(work, struct hk_busy, work);
	u64 again_ns;

	if (!recall_try(busy, false, &again_ns))
		recall_later(busy, again_ns);
}

/**
 * hk_recall_start() - execute a recall, now or later
 * @busy: with a reference, which is consumed
 * @in_ns: not before so much time has passed
 * @here: the calling thread may do it: it holds no lock that matters
 * Context: process, may sleep.
 */
void hk_recall_start(struct hk_busy *busy, u64 in_ns, bool here)
{
	if (!in_ns && here && recall_try(busy, true, &in_ns))
		return;
	recall_later(busy, in_ns);
}

void hk_recall_init(struct hk_busy *busy)
{
	hrtimer_init(&busy->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	busy->timer.function = recall_timer;
	INIT_WORK(&busy->work, recall_work);
}

/**
 * hk_recall_stop() - end timer and work for good
 * @busy: not listed any more, hk_mem.dying set: the work arms no timer
 */
void hk_recall_stop(struct hk_busy *busy)
{
	if (hrtimer_cancel(&busy->timer))
		hk_busy_put(busy);
	if (cancel_work_sync(&busy->work))
		hk_busy_put(busy);
	/* the work may have seen hk_mem.dying too late */
	if (hrtimer_cancel(&busy->timer))
		hk_busy_put(busy);
}
