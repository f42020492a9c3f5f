// SPDX-License-Identifier: GPL-2.0
/*
 * Sequential faults: ask for the next pages before they are missed
 *
 * A fault that has to ask the network for a page looks whether it goes on where an
 * earlier one ended. If so, the pages behind it are asked for in the same go, more
 * each time, up to prefetch_max: a run costs one round trip per window and not per
 * page. The requests are those of the page protocol; they leave together, in one
 * segment. Only pages that are not here at all are asked for, and only while there
 * is room beyond the reserve; nobody waits for them and they are not held, so a
 * wrong guess costs a message and a page that somebody else takes back.
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

static bool prefetch_one(struct hk_mem *mem, u64 gfn, bool write)
{
	bool asked = false;
	struct hk_visit v;

	hk_visit_init(&v, mem, gfn);
	if (hk_visit_prepare(&v, true))
		goto out;
	v.charged = hk_room_spare(mem) && hk_room_get(mem);
	if (!v.charged)
		goto out;
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

/**
 * hk_prefetch_miss() - a fault has asked for a page over the network
 * @mem: guest RAM
 * @gfn: page, asked for already
 * @write: to be written
 *
 * Runs are found in a small table by where they are expected to go on. Two threads
 * may use an entry at once: it is a guess either way.
 * Context: process; mmap_lock may be held.
 */
void hk_prefetch_miss(struct hk_mem *mem, u64 gfn, bool write)
{
	u32 i, most = min_t(u32, READ_ONCE(prefetch_max), PREFETCH_MAX);
	struct hk_run *run = NULL;
	u64 last;

	if (!most)
		return;
	for (i = 0; i < HK_RUNS; i++) {
		u64 next = READ_ONCE(mem->run[i].next);

		if (next && gfn >= next && gfn <= next + PREFETCH_SLACK) {
			run = &mem->run[i];
			break;
		}
	}
	if (!run) {
		i = atomic_inc_return(&mem->run_turn) % HK_RUNS;
		WRITE_ONCE(mem->run[i].next, gfn + 1);
		WRITE_ONCE(mem->run[i].window, PREFETCH_MIN / 2);
		return;
	}
	i = min(READ_ONCE(run->window) * 2, most);
	WRITE_ONCE(run->window, i);
	last = min(gfn + i, mem->vm->ram_pages - 1);
	WRITE_ONCE(run->next, last + 1);
	while (gfn < last)
		if (!prefetch_one(mem, ++gfn, write))
			break;
}
