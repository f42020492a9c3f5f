// SPDX-License-Identifier: GPL-2.0
/*
 * Sequential faults: ask for the next pages before they are missed
 *
 * A fault that has to ask the network for a page looks whether it goes on where an
 * earlier one ended. If so, the pages behind it are asked for in the same go, more
 * each time, up to prefetch_max. The window that was asked for last is watched: the
 * first fault in its second half, whether or not its page has come by then, asks for
 * the next one, so that pages are on their way while those before them are used. A run
 * waits for a round trip at its begin, and later only where the link is slower than
 * its reader. (Linux reads files ahead like this; see mm/readahead.c there.)
 *
 * The requests are those of the page protocol; they leave together, as one
 * message to each home (group.c), behind the one that the fault waits for. Only pages
 * that are not here at all are asked for, and only while there is room beyond the
 * reserve; nobody waits for them and they are not held, so a wrong guess costs a part
 * of a message and a page that somebody else takes back.
 */
#include <linux/hash.h>
#include <linux/module.h>
#include "mem.h"

#define PREFETCH_MIN	4
#define PREFETCH_MAX	32
/* a miss so far behind the end of a window still belongs to the run */
#define PREFETCH_SLACK	2

static uint prefetch_max = PREFETCH_MAX;
module_param(prefetch_max, uint, 0644);
MODULE_PARM_DESC(prefetch_max, "Most pages asked for ahead of a run of faults, 0 to 32 (default 32; 0: none)");

static bool prefetch_one(struct hk_mem *mem, u64 gfn, bool write,
			 struct hk_page_group *group)
{
	bool asked = false;
	struct hk_visit v;

	hk_visit_init(&v, mem, gfn);
	v.group = group;
	if (hk_visit_prepare(&v, true))
		goto out;
	v.charged = hk_room_spare(mem) && hk_room_get(mem);
	if (!v.charged)
		goto out;
	hk_stale_prepare(&v);
	hk_visit_lock(&v);
	if (v.state == HK_PG_INVALID && !hk_vm_dead(mem->vm))
		asked = !hk_visit_event(&v, write ? HK_EV_WRITE : HK_EV_READ,
					NULL);
	else
		asked = true;
	hk_visit_unlock(&v);
out:
	hk_visit_end(&v, false);
	return asked;
}

/* The window behind @run, @first being where it is expected to go on */
static void prefetch_window(struct hk_mem *mem, struct hk_run *run, u64 first,
			    u32 most, bool write, struct hk_page_group *group)
{
	u32 window = min(READ_ONCE(run->window) * 2, most);
	u64 end = min(first + window, mem->vm->ram_pages);

	/* Faults in what was asked for before still belong to the run. */
	WRITE_ONCE(run->begin, READ_ONCE(run->mark));
	WRITE_ONCE(run->window, window);
	WRITE_ONCE(run->mark, first + window / 2);
	WRITE_ONCE(run->next, end);
	for (; first < end; first++)
		if (!prefetch_one(mem, first, write, group))
			break;
}

/**
 * hk_prefetch_fault() - a fault of a page that may be part of a run
 * @mem: guest RAM
 * @gfn: page
 * @write: to be written
 * @miss: it is not here, and has been asked for
 *
 * Runs are found in a small table by where they are expected to go on. Two threads
 * may use an entry at once: it is a guess either way.
 * Context: process; mmap_lock may be held.
 */
void hk_prefetch_fault(struct hk_mem *mem, u64 gfn, bool write, bool miss)
{
	u32 i, most = min_t(u32, READ_ONCE(prefetch_max), PREFETCH_MAX);
	struct hk_page_group group = { 0 };

	if (!most)
		return;
	for (i = 0; i < HK_RUNS; i++) {
		struct hk_run *run = &mem->run[i];
		u64 next = READ_ONCE(run->next);

		if (!next || gfn < READ_ONCE(run->begin) ||
		    gfn > next + PREFETCH_SLACK)
			continue;
		if (gfn >= next) {
			/* What is here already, and was not asked for, is no run */
			if (!miss)
				return;
			WRITE_ONCE(run->mark, gfn);
			next = gfn + 1;
		} else if (gfn < READ_ONCE(run->mark)) {
			return;
		}
		prefetch_window(mem, run, next, most, write, &group);
		hk_group_flush(mem, &group);
		return;
	}
	if (miss) {
		i = atomic_inc_return(&mem->run_turn) % HK_RUNS;
		WRITE_ONCE(mem->run[i].window, PREFETCH_MIN / 2);
		WRITE_ONCE(mem->run[i].begin, gfn + 1);
		WRITE_ONCE(mem->run[i].mark, gfn + 1);
		WRITE_ONCE(mem->run[i].next, gfn + 1);
	}
}
