// SPDX-License-Identifier: GPL-2.0
/*
 * The budget of a node: no more pages of guest RAM than it contributes
 *
 * Room for a page is taken (hk_room_get()) before the page is asked for, so the
 * budget is never exceeded, whatever is on its way. When less than a reserve is
 * left, room is made: old copies (stale.c) go at once, before anything else. The
 * rest is done in the background: read copies are dropped first (evict.c), which
 * costs no message; then pages owned here are offered (HK_MSG_SPILL) to the
 * peer with the most room. An offer is a hint: the peer, if it still has room,
 * asks for the page as for any other, and the protocol moves it. It takes
 * nothing that would bring it below its own reserve, so two full nodes do not
 * push pages to and fro; but it drops read copies of its own for it, which the
 * figures in heartbeats do not tell from other pages. So where no peer seems to
 * have room, all of them are asked in turn.
 *
 * Offers go round the pages in the order of their numbers from where the last
 * round ended, and leave out pages that are held (recall.c).
 */
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include "compat/mm.h"
#include "mem.h"

/* Room is looked at again after so long, in case another VM made it */
#define ROOM_POLL	(HZ / 20)
/* Offers that nobody has followed are forgotten after so long */
#define SPILL_AGAIN	(HZ / 50 ?: 1)
/* What a node that takes pages keeps above its reserve */
#define SPILL_MARGIN	32
/* Old copies given up at a time */
#define STALE_DROP	32

/* Pages that are to stay free, so that faults need not wait */
static u64 room_reserve(u64 budget)
{
	return min_t(u64, max_t(u64, 256, budget / 64), budget / 4);
}

static u64 room_low(const struct hk_node *node)
{
	u64 budget = READ_ONCE(node->budget);

	return budget - room_reserve(budget);
}

/* From here on copies are made idle, so that they can be used again before any goes */
static u64 room_warn(const struct hk_node *node)
{
	return room_low(node) - room_reserve(READ_ONCE(node->budget)) / 8;
}

static u64 room_used(const struct hk_node *node)
{
	return max(atomic_long_read(&node->used), 0L);
}

/* What old copies have goes for the asking */
static u64 room_needed(const struct hk_node *node)
{
	return max(atomic_long_read(&node->used) -
		   atomic_long_read(&node->stale), 0L);
}

static void spill_kick(struct hk_mem *mem, unsigned long delay)
{
	if (!READ_ONCE(mem->dying) && !hk_vm_dead(mem->vm))
		mod_delayed_work(mem->vm->node->wq, &mem->spill_work, delay);
}

/**
 * hk_room_get() - set room for one page aside
 * @mem: guest RAM
 * Context: any that may take locks.
 * Return: true; false when there is none, more is being made then
 */
bool hk_room_get(struct hk_mem *mem)
{
	struct hk_node *node = mem->vm->node;
	long used = atomic_long_inc_return(&node->used);

	if (used > (long)room_low(node))
		used -= hk_stale_drop(mem, STALE_DROP);
	if (used > (long)READ_ONCE(node->budget)) {
		atomic_long_dec(&node->used);
		spill_kick(mem, 0);
		return false;
	}
	if ((used > (long)room_low(node) ||
	     (room_needed(node) > room_warn(node) && !READ_ONCE(mem->evict_ready))) &&
	    !delayed_work_pending(&mem->spill_work))
		spill_kick(mem, 0);
	return true;
}

/**
 * hk_room_spare() - is there room for what nobody has asked for yet?
 * @mem: guest RAM
 * Context: any.
 */
bool hk_room_spare(struct hk_mem *mem)
{
	struct hk_node *node = mem->vm->node;

	return room_needed(node) + SPILL_MARGIN <= room_low(node);
}

/**
 * hk_room_plenty() - is there room for what will perhaps never be asked for?
 * @mem: guest RAM
 * Context: any.
 */
bool hk_room_plenty(struct hk_mem *mem)
{
	struct hk_node *node = mem->vm->node;

	return room_used(node) + 2 * STALE_DROP <= room_low(node);
}

/**
 * hk_room_put() - give room for one page back
 * @mem: guest RAM
 * Context: any.
 */
void hk_room_put(struct hk_mem *mem)
{
	atomic_long_dec(&mem->vm->node->used);
	if (wq_has_sleeper(&mem->room))
		wake_up(&mem->room);
}

static bool room_there(struct hk_mem *mem)
{
	struct hk_node *node = mem->vm->node;

	return room_used(node) < READ_ONCE(node->budget) ||
	       hk_vm_dead(mem->vm);
}

/**
 * hk_room_wait() - wait until there is room
 * @mem: guest RAM
 * Context: process; killable; ends with the guest after HK_ROOM_MAX_MS.
 * Return: 0: try again; -ERESTARTSYS: fatal signal
 */
int hk_room_wait(struct hk_mem *mem)
{
	struct hk_vm *vm = mem->vm;
	struct hk_node *node = vm->node;
	unsigned long end = jiffies + msecs_to_jiffies(HK_ROOM_MAX_MS);
	long left;

	for (;;) {
		left = wait_event_killable_timeout(mem->room, room_there(mem),
						   ROOM_POLL);
		if (left)
			return left < 0 ? left : 0;
		if (time_after(jiffies, end)) {
			hk_vm_kill(vm, true,
				   "node %u: no room for %u s: %llu pages in use of %llu contributed, and no peer takes any",
				   node->id, HK_ROOM_MAX_MS / 1000,
				   room_used(node), node->budget);
			return 0;
		}
		spill_kick(mem, 0);
	}
}

/*
 * The peer with the most room, and how many pages it may be offered
 * @asked: in and out: a peer that seems to have no room was chosen
 */
static u16 offer_to(struct hk_mem *mem, u64 *room, bool *asked)
{
	struct hk_vm *vm = mem->vm;
	struct hk_node *node = vm->node;
	u64 members = vm->members & ~hk_node_bit(node->id);
	u16 best = HK_NODE_NONE, first = HK_NODE_NONE, next = HK_NODE_NONE;
	u64 left;

	*room = 0;
	for (; members; members &= members - 1) {
		u16 id = __ffs64(members);
		struct hk_peer *peer = &node->peers[id];
		u64 used = READ_ONCE(peer->used);
		u64 budget = READ_ONCE(peer->budget);

		if (used != mem->offered_seen[id]) {
			mem->offered_seen[id] = used;
			mem->offered_to[id] = 0;
		}
		left = used + mem->offered_to[id] + SPILL_MARGIN +
		       room_reserve(budget);
		if (!hk_node_link_up(node, id))
			continue;
		if (!first)
			first = id;
		if (!next && id > mem->offered_last)
			next = id;
		if (left >= budget)
			continue;
		left = budget - left;
		if (left > *room) {
			*room = left;
			best = id;
		}
	}
	/* in turn, one message each time that the work runs */
	if (!best && !*asked) {
		*asked = true;
		*room = HK_SPILL_MAX / 2;
		best = next ?: first;
		mem->offered_last = best;
	}
	return best;
}

static bool offer_fits(struct hk_mem *mem, u64 gfn)
{
	struct hk_visit v;
	bool fits;

	hk_visit_init(&v, mem, gfn);
	hk_visit_lock(&v);
	fits = v.page && !v.busy &&
	       (v.state == HK_PG_EXCLUSIVE || v.state == HK_PG_OWNED) &&
	       !hk_hold_left_ns(v.mem, v.page);
	hk_visit_unlock(&v);
	return fits;
}

/* One message of offers. Return: how many pages */
static u32 offer_some(struct hk_mem *mem, u64 want, bool *asked)
{
	struct hk_wire_spill *body;
	unsigned long gfn = mem->offer_cursor;
	bool wrapped = false;
	struct hk_msg *msg;
	u32 nr = 0, seen = 0;
	u64 room;
	u16 to;

	to = offer_to(mem, &room, asked);
	if (to == HK_NODE_NONE)
		return 0;
	want = min3(want, room, (u64)HK_SPILL_MAX);
	msg = hk_msg_alloc(HK_MSG_SPILL, mem->vm->id,
			   struct_size(body, gfn, HK_SPILL_MAX), GFP_KERNEL);
	if (!msg)
		return 0;
	body = (struct hk_wire_spill *)msg->body;

	/* a full round at most, and not too long a one */
	while (nr < want && seen++ < 4096) {
		if (!xa_find(&mem->pages, &gfn, ULONG_MAX, XA_PRESENT)) {
			if (wrapped)
				break;
			wrapped = true;
			gfn = 0;
			continue;
		}
		if (offer_fits(mem, gfn))
			body->gfn[nr++] = cpu_to_le64(gfn);
		gfn++;
	}
	mem->offer_cursor = gfn;
	if (!nr) {
		hk_msg_free(msg);
		return 0;
	}
	body->nr = cpu_to_le32(nr);
	msg->hdr.len = cpu_to_le32(struct_size(body, gfn, nr));
	mem->offered_to[to] += nr;
	atomic_add(nr, &mem->offered);
	hk_vm_count_add(mem->vm, SPILLED, nr);
	hk_node_send(mem->vm->node, to, msg);
	return nr;
}

static void spill_work(struct work_struct *work)
{
	struct hk_mem *mem = container_of(to_delayed_work(work), struct hk_mem,
					  spill_work);
	struct hk_node *node = mem->vm->node;
	bool asked = false, now;
	u64 low, used, want, reserve, done;
	u32 nr;

	if (READ_ONCE(mem->dying) || hk_vm_dead(mem->vm))
		return;
	reserve = room_reserve(READ_ONCE(node->budget));
	low = room_low(node);
	used = room_used(node);
	if (used > low)
		used -= hk_stale_drop(mem, used - low);
	if (used <= low) {
		/* once until room is made, however long it stays like this */
		if (room_needed(node) > room_warn(node) && !READ_ONCE(mem->evict_ready)) {
			WRITE_ONCE(mem->evict_ready, true);
			hk_evict_prepare(mem, reserve / 4);
		}
		return;
	}
	WRITE_ONCE(mem->evict_ready, false);
	/* somewhat more, or the next page is one too many again */
	want = used - low + reserve / 4;
	/* not now: copies have just been made idle, see once which of them are used */
	now = mem->evict_now || used - low > reserve / 2 || !hk_evict_pays(mem);
	mem->evict_now = false;
	done = hk_evict(mem, want, now);
	if (!now && done < want && atomic64_read(&mem->nr_idle)) {
		if (room_used(node) <= low)
			return;
		mem->evict_now = true;
		queue_delayed_work(node->wq, &mem->spill_work, SPILL_AGAIN);
		return;
	}
	want -= min(want, done);

	/* called early by hk_spill_gone(), else what was offered stayed */
	if (atomic_read(&mem->offered) < 0 || !mem->offered_early)
		atomic_set(&mem->offered, 0);
	mem->offered_early = false;
	want -= min_t(u64, want, atomic_read(&mem->offered));
	while (want && atomic_read(&mem->offered) < HK_SPILL_OFFERED_MAX) {
		nr = offer_some(mem, want, &asked);
		if (!nr)
			break;
		want -= min_t(u64, want, nr);
	}
	if (room_used(node) > low)
		queue_delayed_work(node->wq, &mem->spill_work, SPILL_AGAIN);
}

/**
 * hk_spill_gone() - a page was taken from here, perhaps one that was offered
 * @mem: guest RAM
 * Context: process.
 */
void hk_spill_gone(struct hk_mem *mem)
{
	if (atomic_read(&mem->offered) <= 0)
		return;
	if (atomic_dec_return(&mem->offered) == HK_SPILL_OFFERED_MAX / 4) {
		WRITE_ONCE(mem->offered_early, true);
		spill_kick(mem, 0);
	}
}

/* Ask for a page that a peer has offered, if there is still room */
static bool offer_take(struct hk_mem *mem, u64 gfn, struct hk_page_group *group)
{
	struct hk_node *node = mem->vm->node;
	bool more = false;
	struct hk_visit v;

	if (atomic_read(&mem->taking) >= HK_SPILL_TAKING_MAX ||
	    room_needed(node) + SPILL_MARGIN > room_low(node))
		return false;
	hk_visit_init(&v, mem, gfn);
	v.group = group;
	if (hk_visit_prepare(&v, false))
		goto out;
	v.charged = hk_room_get(mem);
	if (!v.charged)
		goto out;
	more = true;
	hk_stale_prepare(&v);
	hk_visit_lock(&v);
	if (v.state == HK_PG_INVALID && !hk_vm_dead(mem->vm)) {
		hk_visit_event(&v, HK_EV_WRITE, NULL);
		if (v.busy && v.state == HK_PG_INVALID_WR) {
			v.busy->taking = true;
			atomic_inc(&mem->taking);
		}
	}
	hk_visit_unlock(&v);
out:
	hk_visit_end(&v, false);
	return more;
}

static void offer_work(struct work_struct *work)
{
	struct hk_mem *mem = container_of(work, struct hk_mem, offer_work);
	struct hk_node *node = mem->vm->node;
	struct hk_page_group group = { 0 };
	const struct hk_wire_spill *body;
	struct hk_msg *msg;
	u64 used, low;
	u32 i, nr;

	for (;;) {
		spin_lock(&mem->offers_lock);
		msg = list_first_entry_or_null(&mem->offers, struct hk_msg,
					       list);
		if (msg) {
			list_del_init(&msg->list);
			mem->nr_offers--;
		}
		spin_unlock(&mem->offers_lock);
		if (!msg)
			return;
		body = (const struct hk_wire_spill *)msg->body;
		nr = le32_to_cpu(body->nr);
		used = room_needed(node) + SPILL_MARGIN + nr;
		low = room_low(node);
		if (used > low)
			hk_evict(mem, min_t(u64, nr, used - low), true);
		for (i = 0; i < nr && !READ_ONCE(mem->dying); i++)
			if (!offer_take(mem, le64_to_cpu(body->gfn[i]), &group))
				break;
		hk_group_flush(mem, &group);
		hk_msg_free(msg);
		cond_resched();
	}
}

/**
 * hk_spill_recv() - HK_MSG_SPILL
 * @mem: guest RAM
 * @msg: consumed
 * @why: out, see hk_mem_recv()
 */
int hk_spill_recv(struct hk_mem *mem, struct hk_msg *msg, char *why)
{
	const struct hk_wire_spill *body = (const void *)msg->body;
	u32 len = le32_to_cpu(msg->hdr.len);
	const char *wrong = NULL;
	u32 i, nr;

	if (len < sizeof(*body) || msg->page) {
		wrong = "wrong length";
		goto err;
	}
	nr = le32_to_cpu(body->nr);
	if (body->reserved || !nr || nr > HK_SPILL_MAX ||
	    len != struct_size(body, gfn, nr)) {
		wrong = "wrong count";
		goto err;
	}
	for (i = 0; i < nr; i++) {
		if (le64_to_cpu(body->gfn[i]) >= mem->vm->ram_pages) {
			wrong = "no such page";
			goto err;
		}
	}

	spin_lock(&mem->offers_lock);
	if (mem->nr_offers < HK_SPILL_QUEUE_MAX) {
		list_add_tail(&msg->list, &mem->offers);
		mem->nr_offers++;
		msg = NULL;
	}
	spin_unlock(&mem->offers_lock);
	if (msg)
		hk_msg_free(msg);
	else
		queue_work(mem->vm->node->wq, &mem->offer_work);
	return 0;

err:
	scnprintf(why, HK_REASON_MAX, "offer of pages: %s", wrong);
	hk_msg_free(msg);
	return -EPROTO;
}

void hk_spill_init(struct hk_mem *mem)
{
	init_waitqueue_head(&mem->room);
	INIT_DELAYED_WORK(&mem->spill_work, spill_work);
	spin_lock_init(&mem->offers_lock);
	INIT_LIST_HEAD(&mem->offers);
	INIT_WORK(&mem->offer_work, offer_work);
}

/**
 * hk_spill_stop() - end the works for good
 * @mem: hk_mem.dying is set, so they are not queued again by themselves
 */
void hk_spill_stop(struct hk_mem *mem)
{
	struct hk_msg *msg, *next;

	cancel_delayed_work_sync(&mem->spill_work);
	cancel_work_sync(&mem->offer_work);
	list_for_each_entry_safe(msg, next, &mem->offers, list) {
		list_del(&msg->list);
		hk_msg_free(msg);
	}
	mem->nr_offers = 0;
}
