// SPDX-License-Identifier: GPL-2.0
/*
 * Visits: the way a page's state advances
 *
 * A *visit* (struct hk_visit) is one pass through the lock of a gfn's bucket: an event
 * is given to the engine, what it wants sent is queued to the links, what it sends to
 * this node itself is worked on in the same visit (all of it is about the same gfn),
 * and recalls are started when the lock has been dropped. See mem.c for who makes one.
 *
 * Messages are queued while the bucket is locked, so their order on a link is the
 * order in which the page's state changed, but for requests that wait in a group:
 * group.c says why these may.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/random.h>
#include <linux/slab.h>
#include "compat/mm.h"
#include "mem.h"

#define GFP_SPARE	(GFP_ATOMIC | __GFP_NOWARN)

static u8 page_state(const struct page *page)
{
	return page_private(page) & HK_PP_STATE;
}

/*
 * Struct hk_busy
 */
void hk_busy_put(struct hk_busy *busy)
{
	if (busy && refcount_dec_and_test(&busy->ref))
		mempool_free(busy, busy->mem->busy_pool);
}

static struct hk_busy *busy_find(struct hk_bucket *b, u64 gfn)
{
	struct hk_busy *busy;

	hlist_for_each_entry(busy, &b->busy, node)
		if (busy->gfn == gfn)
			return busy;
	return NULL;
}

static int visit_busy_add(struct hk_visit *v, u8 state)
{
	struct hk_mem *mem = v->mem;
	struct hk_busy *busy = mempool_alloc(mem->busy_pool, GFP_SPARE);

	if (!busy)
		return -ENOMEM;
	memset(busy, 0, sizeof(*busy));
	refcount_set(&busy->ref, 1);
	busy->mem = mem;
	busy->gfn = v->w.gfn;
	busy->listed = true;
	busy->started_ns = ktime_get_ns();
	init_waitqueue_head(&busy->wq);
	hk_recall_init(busy);
	if (state == HK_PG_INVALID_RD || state == HK_PG_INVALID_WR) {
		busy->charged = v->charged;
		v->charged = false;
	}
	v->busy = busy;
	if (state == HK_PG_INVALID_RD || state == HK_PG_INVALID_WR)
		hk_stale_asked(v);
	hlist_add_head(&busy->node, &v->b->busy);
	atomic64_inc(&mem->nr_busy);
	return 0;
}

void hk_busy_wake(struct hk_busy *busy)
{
	WRITE_ONCE(busy->seq, busy->seq + 1);
	wake_up_all(&busy->wq);
}

static void visit_busy_del(struct hk_visit *v)
{
	struct hk_busy *busy = v->busy;

	v->busy = NULL;
	hlist_del_init(&busy->node);
	busy->listed = false;
	atomic64_dec(&v->mem->nr_busy);
	if (busy->charged) {
		busy->charged = false;
		hk_room_put(v->mem);
	}
	if (busy->taking) {
		busy->taking = false;
		atomic_dec(&v->mem->taking);
	}
	hk_stale_over(busy);
	hk_busy_wake(busy);
	hk_busy_put(busy);
}

/*
 * Visits
 */
void hk_visit_init(struct hk_visit *v, struct hk_mem *mem, u64 gfn)
{
	memset(v, 0, sizeof(*v));
	v->mem = mem;
	v->w.gfn = gfn;
	v->w.self = mem->vm->node->id;
	v->w.home = hk_vm_home(mem->vm, gfn);
	v->b = hk_mem_bucket(mem, gfn);
}

static struct hk_dir *dir_entry(struct hk_mem *mem, u64 gfn)
{
	struct hk_dir *chunk = xa_load(&mem->dirs, gfn >> HK_DIR_CHUNK_BITS);

	return chunk ? &chunk[gfn & (HK_DIR_CHUNK - 1)] : NULL;
}

static int dir_chunk_add(struct hk_mem *mem, u64 gfn)
{
	void *chunk, *old;

	BUILD_BUG_ON(HK_DIR_CHUNK * sizeof(struct hk_dir) != PAGE_SIZE);
	if (dir_entry(mem, gfn))
		return 0;
	chunk = (void *)get_zeroed_page(GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	old = xa_cmpxchg(&mem->dirs, gfn >> HK_DIR_CHUNK_BITS, NULL, chunk,
			 GFP_KERNEL);
	if (old) {
		free_page((unsigned long)chunk);
		return xa_err(old);
	}
	atomic64_inc(&mem->nr_chunks);
	return 0;
}

/**
 * hk_visit_prepare() - allocate, before the lock, what is likely to be needed
 * @v: visit, not locked
 * @first_touch: the event may be the first one ever about this page
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM
 */
int hk_visit_prepare(struct hk_visit *v, bool first_touch)
{
	struct hk_dir *dir;
	int err;

	if (v->w.home != v->w.self)
		return 0;
	err = dir_chunk_add(v->mem, v->w.gfn);
	if (err || !first_touch || v->spare)
		return err;
	/* a guess, hence lockless */
	dir = dir_entry(v->mem, v->w.gfn);
	if (READ_ONCE(dir->owner) != HK_NODE_NONE)
		return 0;
	v->spare = alloc_page(GFP_KERNEL | __GFP_ZERO);
	v->spare_zero = true;
	return v->spare ? 0 : -ENOMEM;
}

/**
 * hk_visit_prepare_copy() - allocate, before the lock, a copy that may have to be sent
 * @v: visit, not locked, of a request to read
 *
 * It is sent at once where the page is owned and read. One that is written has to be
 * write-protected first, and that (recall.c) allocates for itself.
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM
 */
int hk_visit_prepare_copy(struct hk_visit *v)
{
	struct page *page = xa_load(&v->mem->pages, v->w.gfn);

	/* a guess, hence lockless: who guessed wrong has GFP_ATOMIC, or a page too much */
	if (!page || (READ_ONCE(page->private) & HK_PP_STATE) != HK_PG_OWNED)
		return 0;
	v->spare = alloc_page(GFP_KERNEL);
	return v->spare ? 0 : -ENOMEM;
}

void hk_visit_lock(struct hk_visit *v)
	__acquires(v->b->lock)
{
	spin_lock(&v->b->lock);
	v->page = xa_load(&v->mem->pages, v->w.gfn);
	v->busy = busy_find(v->b, v->w.gfn);
	if (v->busy)
		v->state = v->busy->state;
	else if (v->page)
		v->state = page_state(v->page);
	else
		v->state = HK_PG_INVALID;
	hk_lend_look(v);
}

void hk_visit_unlock(struct hk_visit *v)
	__releases(v->b->lock)
{
	v->page = NULL;
	v->busy = NULL;
	v->rule = NULL;
	spin_unlock(&v->b->lock);
}

void hk_msgs_refill(struct hk_mem *mem)
{
	struct hk_msg *msg;

	while (READ_ONCE(mem->nr_msgs) < HK_MEM_SPARE_MSGS) {
		msg = hk_msg_alloc(HK_MSG_PAGE, mem->vm->id, HK_PAGE_MSG_MAX,
				   GFP_KERNEL);
		if (!msg)
			return;
		spin_lock(&mem->msgs_lock);
		list_add(&msg->list, &mem->msgs);
		mem->nr_msgs++;
		spin_unlock(&mem->msgs_lock);
	}
}

/* A message with the longest body of HK_MSG_PAGE, or NULL. Context: any */
struct hk_msg *hk_mem_msg_get(struct hk_mem *mem)
{
	struct hk_msg *msg;

	msg = hk_msg_alloc(HK_MSG_PAGE, mem->vm->id, HK_PAGE_MSG_MAX, GFP_SPARE);
	if (msg)
		return msg;
	spin_lock(&mem->msgs_lock);
	msg = list_first_entry_or_null(&mem->msgs, struct hk_msg, list);
	if (msg) {
		list_del_init(&msg->list);
		mem->nr_msgs--;
	}
	spin_unlock(&mem->msgs_lock);
	return msg;
}

/**
 * hk_visit_end() - give back what was not used and start the recall
 * @v: visit, unlocked
 * @here: a recall may be tried in this thread, which holds no page lock then
 * Context: process, may sleep.
 */
void hk_visit_end(struct hk_visit *v, bool here)
{
	struct hk_busy *recall = v->recall;

	if (v->spare)
		put_page(v->spare);
	if (v->data)
		put_page(v->data);
	if (v->taken)
		put_page(v->taken);
	if (v->free)
		put_page(v->free);
	if (v->charged)
		hk_room_put(v->mem);
	hk_stale_unasked(v);
	v->spare = NULL;
	v->data = NULL;
	v->taken = NULL;
	v->free = NULL;
	v->charged = false;
	v->recall = NULL;
	/* a recall takes its time, and others may wait for what is in the group */
	if (recall && v->group)
		hk_group_flush(v->mem, v->group);
	if (unlikely(READ_ONCE(v->mem->nr_msgs) < HK_MEM_SPARE_MSGS))
		hk_msgs_refill(v->mem);
	if (recall)
		hk_recall_start(recall, v->recall_in_ns, here);
}

void hk_visit_no_memory(struct hk_visit *v, const char *what)
{
	hk_vm_kill(v->mem->vm, true,
		   "node %u: out of memory for %s of page %#llx", v->w.self,
		   what, v->w.gfn);
}

static void visit_set_state(struct hk_visit *v, u8 state)
{
	struct hk_mem *mem = v->mem;
	bool is = state == HK_PG_SHARED;
	bool was;

	v->state = state;
	if (v->busy)
		v->busy->state = state;
	if (!v->page)
		return;
	was = page_state(v->page) == HK_PG_SHARED;
	if (was && !is)
		hk_evict_active(v);
	set_page_private(v->page,
			 (page_private(v->page) & ~HK_PP_STATE) | state);
	if (was == is)
		return;
	if (was) {
		xa_clear_mark(&mem->pages, v->w.gfn, HK_PAGES_SHARED);
		atomic64_dec(&mem->nr_shared);
	} else {
		xa_set_mark(&mem->pages, v->w.gfn, HK_PAGES_SHARED);
		atomic64_inc(&mem->nr_shared);
	}
}

/**
 * hk_visit_detach() - take the page out of guest RAM
 * @v: visit, locked; the page is locked, unmapped, and its references are frozen
 *
 * The page becomes an ordinary one with one reference, v->taken, that no
 * page table or pagevec knows of. Room stays charged until the next event.
 */
void hk_visit_detach(struct hk_visit *v)
{
	struct page *page = v->page;
	struct hk_mem *mem = v->mem;

	lockdep_assert_held(&v->b->lock);
	if (page_state(page) == HK_PG_SHARED) {
		hk_evict_active(v);
		atomic64_dec(&mem->nr_shared);
	}
	v->worth = (page_private(page) & HK_PP_WORTH) >> HK_PP_WORTH_SHIFT;
	xa_erase(&mem->pages, v->w.gfn);
	atomic64_dec(&mem->present);
	v->page = NULL;
	v->taken = page;

	ClearPageDirty(page);
	page->mapping = NULL;
	page->index = 0;
	set_page_private(page, 0);
	page_ref_unfreeze(page, 1);
	unlock_page(page);
}

/* What came with the message, or zeroes, becomes the page */
static int visit_install(struct hk_visit *v, bool zero)
{
	struct hk_mem *mem = v->mem;
	struct page *page;

	if (zero) {
		if (v->spare && v->spare_zero) {
			page = v->spare;
			v->spare = NULL;
		} else {
			page = alloc_page(GFP_SPARE | __GFP_ZERO);
		}
	} else if (v->content == HK_CONTENT_SAME) {
		page = hk_stale_take(v);
	} else {
		page = v->data;
		v->data = NULL;
	}
	if (!page) {
		hk_visit_no_memory(v, "the content");
		return -ENOMEM;
	}

	page->index = v->w.gfn;
	page->mapping = mem->inode->i_mapping;
	set_page_private(page, v->state);
	if (xa_is_err(xa_store(&mem->pages, v->w.gfn, page, GFP_SPARE))) {
		page->mapping = NULL;
		page->index = 0;
		set_page_private(page, 0);
		put_page(page);
		hk_visit_no_memory(v, "the entry");
		return -ENOMEM;
	}
	v->page = page;
	if (v->busy)
		hk_stale_told(v, page);
	atomic64_inc(&mem->present);
	if (v->busy && v->busy->charged)
		v->busy->charged = false;
	else
		atomic_long_inc(&mem->vm->node->used);
	return 0;
}

static bool same_filled = true;
module_param(same_filled, bool, 0644);
MODULE_PARM_DESC(same_filled, "Send a page whose words are all alike as one word (default Y)");

/* A page whose 512 words are all alike travels as one of them */
static bool page_same_filled(const struct page *page, u64 *fill)
{
	const u64 *p = page_address(page);
	unsigned int i;

	for (i = 1; i < PAGE_SIZE / sizeof(*p); i++)
		if (p[i] != p[0])
			return false;
	*fill = p[0];
	return true;
}

static bool visit_may_check(const struct hk_visit *v, u16 to)
{
	return hk_node_link_features(v->mem->vm->node, to) &
	       HK_WIRE_FEATURE_REVALIDATE;
}

static int visit_send_content(struct hk_visit *v, struct hk_msg *msg,
			      struct hk_wire_page_msg *body,
			      const struct hk_dmsg *m, u16 to)
{
	bool give = m->type == HK_DMSG_DATA_X;
	struct page *from = give ? v->taken : v->page;
	struct page *page;
	u64 fill;

	if (WARN_ON_ONCE(!from))
		return -EIO;
	hk_vm_count(v->mem->vm, SENT);
	if (READ_ONCE(same_filled) && page_same_filled(from, &fill)) {
		hk_vm_count(v->mem->vm, FILL_SENT);
		body->fill = cpu_to_le64(fill);
		body->content = HK_CONTENT_FILL;
		v->filled = true;
		return 0;
	}
	/* who asks knows of it, and so does home, but the link to the one who asked is new */
	if (m->check.salt && visit_may_check(v, to) &&
	    hk_stale_same(from, v->w.gfn, &m->check)) {
		hk_vm_count(v->mem->vm, SAME_SENT);
		body->content = HK_CONTENT_SAME;
		return 0;
	}
	if (give) {
		page = v->taken;
		v->taken = NULL;
	} else {
		/*
		 * A copy, though a reference would do for the content, which
		 * cannot change before the reader has it: a reference keeps the
		 * page from being taken until the transport lets go of it.
		 */
		page = v->spare;
		v->spare = NULL;
		if (!page)
			page = alloc_page(GFP_SPARE);
		if (!page)
			return -ENOMEM;
		copy_page(page_address(page), page_address(from));
	}
	msg->page = page;
	body->content = HK_CONTENT_PAGE;
	return 0;
}

static int visit_send_wire(struct hk_visit *v, const struct hk_dmsg *m, u16 to)
{
	struct hk_wire_page_msg *body;
	struct hk_msg *msg;
	u32 len;
	int err;

	if (hk_group_add(v, m, to, &err))
		goto out;
	if (err)
		return err;
	msg = hk_mem_msg_get(v->mem);
	if (!msg)
		goto err_memory;
	body = (struct hk_wire_page_msg *)msg->body;
	len = hk_page_msg_put(m, body);
	/* home may know of it where an owner does not */
	if (len > sizeof(*body) && !visit_may_check(v, to))
		len = sizeof(*body);
	msg->hdr.len = cpu_to_le32(len);
	if (m->type == HK_DMSG_DATA_S || m->type == HK_DMSG_DATA_X)
		err = visit_send_content(v, msg, body, m, to);
	if (err) {
		hk_msg_free(msg);
		goto err_memory;
	}
	/* a peer that is gone is the business of hk_vm_link_down() */
	hk_node_send(v->mem->vm->node, to, msg);
out:
	if (v->busy)
		v->busy->wire = true;
	return 0;

err_memory:
	hk_visit_no_memory(v, "a message");
	return -ENOMEM;
}

static int visit_send(struct hk_visit *v, const struct hk_dmsg *m)
{
	u64 to = m->to;
	u16 node;
	int err;

	for (; to; to &= to - 1) {
		node = __ffs64(to);
		if (node == v->w.self) {
			if (WARN_ON_ONCE(v->tail == HK_VISIT_QUEUE))
				return -EIO;
			v->queue[v->tail++] = *m;
			continue;
		}
		err = visit_send_wire(v, m, node);
		if (err)
			return err;
	}
	return 0;
}

static void stat_min_max(struct hk_vm *vm, u64 ns)
{
	atomic64_t *min = &vm->stat[HK_STAT_FETCH_NS_MIN];
	atomic64_t *max = &vm->stat[HK_STAT_FETCH_NS_MAX];
	s64 old = atomic64_read(min);

	while ((!old || (s64)ns < old) &&
	       !atomic64_try_cmpxchg(min, &old, ns))
		;
	old = atomic64_read(max);
	while ((s64)ns > old && !atomic64_try_cmpxchg(max, &old, ns))
		;
}

/* What was asked for is there: hold it for the fault that wants it, if one does */
static void visit_granted(struct hk_visit *v)
{
	struct hk_vm *vm = v->mem->vm;
	struct hk_busy *busy = v->busy;
	u64 ns;

	set_page_private(v->page,
			 (page_private(v->page) & HK_PP_KEEP) |
			 (busy->wanted ? HK_PP_HOLD : HK_PP_UNUSED) |
			 (unsigned long)hk_now_us() << HK_PP_TIME_SHIFT);
	if (!busy->wanted || !busy->wire)
		return;
	ns = ktime_get_ns() - busy->started_ns;
	hk_vm_count(vm, FETCH_NR);
	hk_vm_count_add(vm, FETCH_NS, ns);
	stat_min_max(vm, ns);
}

static void visit_recall(struct hk_visit *v, u8 what)
{
	struct hk_busy *busy = v->busy;

	if (WARN_ON_ONCE(!busy || !v->page || v->recall))
		return;
	busy->recall = what;
	busy->recall_ns = ktime_get_ns();
	busy->tries = 0;
	v->recall_in_ns = hk_hold_left_ns(v->mem, v->page);
	busy->held = v->recall_in_ns != 0;
	refcount_inc(&busy->ref);
	v->recall = busy;
}

static void visit_count(struct hk_visit *v, enum hk_page_event ev, u32 act)
{
	struct hk_vm *vm = v->mem->vm;

	if (act & HK_ACT_INSTALL)
		hk_vm_count(vm, FETCHED);
	else if (act & HK_ACT_INSTALL_ZERO)
		hk_vm_count(vm, ZERO);
	else if (ev == HK_EV_GRANT_X)
		hk_vm_count(vm, UPGRADED);
	else if (ev == HK_EV_TAKEN)
		hk_vm_count(vm, INVALIDATED);
	else if (ev == HK_EV_DOWNGRADED)
		hk_vm_count(vm, DOWNGRADED);
	else if (ev == HK_EV_LEND)
		hk_vm_count(vm, LENT_TO);
	else if (ev == HK_EV_MOVED)
		hk_vm_count(vm, ASTRAY);
}

static bool event_grants(enum hk_page_event ev)
{
	return ev == HK_EV_DATA_S || ev == HK_EV_DATA_X ||
	       ev == HK_EV_GRANT_X || ev == HK_EV_ACK;
}

/* May the step make a request? With tokens of its own then: see protocol.rst */
static bool event_asks(const struct hk_visit *v, enum hk_page_event ev)
{
	return ev == HK_EV_READ || ev == HK_EV_WRITE || ev == HK_EV_MOVED ||
	       (ev == HK_EV_DATA_S && v->busy && v->busy->ctx.moot);
}

/* One step of the page's own state machine */
static int visit_page(struct hk_visit *v, enum hk_page_event ev,
		      const struct hk_dmsg *msg)
{
	struct hk_page_ctx none = { 0 };
	struct hk_page_ctx *ctx = v->busy ? &v->busy->ctx : &none;
	struct page *old = NULL;
	struct hk_out out;
	u8 state = v->state;
	unsigned int i;
	int err;

	if (event_asks(v, ev))
		v->w.tokens = hk_page_draw_tokens(get_random_u64());
	if ((ev == HK_EV_DATA_S || ev == HK_EV_DATA_X) &&
	    v->content == HK_CONTENT_SAME && !(v->busy && v->busy->stale)) {
		hk_vm_kill(v->mem->vm, true,
			   "node %u: page %#llx: node %u says that an old copy is still good, and was not asked",
			   v->w.self, v->w.gfn, msg ? msg->from : v->w.self);
		return -EPROTO;
	}
	out.nr = 0;
	out.act = 0;
	err = hk_page_step(&v->w, &state, ctx, ev, msg, &out);
	if (err) {
		hk_vm_kill(v->mem->vm, true,
			   "node %u: page %#llx: impossible %s in state %s, from node %u",
			   v->w.self, v->w.gfn, hk_page_event_name(ev),
			   hk_page_state_name(v->state),
			   msg ? msg->from : v->w.self);
		return err;
	}

	if (!hk_page_stable(state) && !v->busy) {
		err = visit_busy_add(v, state);
		if (err) {
			hk_visit_no_memory(v, "the state");
			return err;
		}
		v->busy->ctx = none;
	}
	if ((out.act & HK_ACT_RULE) && hk_lend_rule(v)) {
		hk_visit_no_memory(v, "the entry of a lent page");
		return -ENOMEM;
	}
	if (out.act & (HK_ACT_INSTALL | HK_ACT_INSTALL_ZERO)) {
		err = visit_install(v, out.act & HK_ACT_INSTALL_ZERO);
		/* what this node tells itself has none */
		v->content = HK_CONTENT_NONE;
		if (err)
			return err;
	}
	/* the room of a page that went is that of the one to come, or free */
	if (ev == HK_EV_TAKEN || ev == HK_EV_DROP) {
		if (!hk_page_stable(state)) {
			v->busy->charged = true;
		} else if (ev == HK_EV_TAKEN && hk_stale_wanted(v)) {
			old = v->taken;
			get_page(old);
		} else {
			hk_room_put(v->mem);
		}
	}
	if (ev == HK_EV_DATA_X && v->state == HK_PG_INVALID_RD)
		hk_vm_count(v->mem->vm, READ_EXCLUSIVE);
	visit_set_state(v, state);
	hk_lend_note(v, out.ruler);
	for (i = 0; i < out.nr; i++) {
		err = visit_send(v, &out.msg[i]);
		if (err)
			return err;
	}
	if (old && v->filled) {
		/* to be had again for a word */
		hk_room_put(v->mem);
		put_page(old);
	} else if (old) {
		hk_stale_add(v, old);
	}
	if (out.act & HK_ACT_FREE) {
		v->free = v->taken;
		v->taken = NULL;
	}
	visit_count(v, ev, out.act);
	/* the guest cannot go on without it: those who fault get SIGBUS */
	if (out.act & HK_ACT_LOST)
		hk_vm_kill(v->mem->vm, true,
			   "node %u: page %#llx went with a node that was lost",
			   v->w.self, v->w.gfn);

	if (v->busy && hk_page_stable(state)) {
		if (event_grants(ev))
			visit_granted(v);
		visit_busy_del(v);
	} else if (v->busy && (out.act & HK_ACT_WAKE)) {
		hk_busy_wake(v->busy);
	}
	if (out.act & (HK_ACT_TAKE | HK_ACT_DOWNGRADE))
		visit_recall(v, out.act & (HK_ACT_TAKE | HK_ACT_DOWNGRADE));
	return 0;
}

static struct hk_dir_waiters *waiters_find(struct hk_bucket *b, u64 gfn)
{
	struct hk_dir_waiters *waiters;

	hlist_for_each_entry(waiters, &b->waits, node)
		if (waiters->gfn == gfn)
			return waiters;
	return NULL;
}

/*
 * One step of the page's directory entry: at home, or where it is lent to, or at a node that
 * was thought to be lent it
 */
static int visit_home(struct hk_visit *v, const struct hk_dmsg *msg)
{
	struct hk_mem *mem = v->mem;
	struct hk_dir_where where = { .self = v->w.self, .home = v->w.home };
	struct hk_dir nothing = { 0 };
	struct hk_dir_wait none = { 0 };
	struct hk_dir_waiters *waiters;
	struct hk_dir_wait *wait;
	struct hk_out out;
	struct hk_dir *dir;
	unsigned int i;
	bool unused;
	int err;

	if (where.self == where.home)
		dir = dir_entry(mem, v->w.gfn);
	else
		dir = v->rule ? &v->rule->dir : &nothing;
	if (!dir) {
		hk_visit_no_memory(v, "the directory");
		return -ENOMEM;
	}
	if (where.self == where.home)
		where.lend = hk_lend_may(v, dir, msg);
	waiters = waiters_find(v->b, v->w.gfn);
	wait = waiters ? &waiters->wait : &none;
	unused = dir->owner == HK_NODE_NONE;
	out.nr = 0;
	out.act = 0;
	err = hk_dir_step(&where, dir, wait, msg, &out);
	if (err) {
		hk_vm_kill(mem->vm, true,
			   "node %u: page %#llx: impossible %s from node %u, owner %u, busy %u",
			   v->w.self, v->w.gfn, hk_dmsg_name(msg->type),
			   msg->from, dir->owner, dir->busy);
		return err;
	}
	if (unused && dir->owner != HK_NODE_NONE && where.self == where.home)
		atomic64_inc(&mem->nr_dirs);

	if (waiters && hk_dir_wait_empty(wait)) {
		hlist_del(&waiters->node);
		mempool_free(waiters, mem->wait_pool);
	} else if (!waiters && !hk_dir_wait_empty(wait)) {
		waiters = mempool_alloc(mem->wait_pool, GFP_SPARE);
		if (!waiters) {
			hk_visit_no_memory(v, "the waiting requests");
			return -ENOMEM;
		}
		waiters->gfn = v->w.gfn;
		waiters->wait = none;
		hlist_add_head(&waiters->node, &v->b->waits);
	}
	if (v->rule)
		hk_lend_stepped(v);
	for (i = 0; i < out.nr; i++) {
		err = visit_send(v, &out.msg[i]);
		if (err)
			return err;
	}
	return 0;
}

int hk_visit_msg(struct hk_visit *v, const struct hk_dmsg *m)
{
	int ev = hk_page_event_of(m->type);

	return ev < 0 ? visit_home(v, m) : visit_page(v, ev, m);
}

/* What this node has sent to itself, in order; each may send more */
int hk_visit_drain(struct hk_visit *v)
{
	int err;

	while (v->head != v->tail) {
		struct hk_dmsg m = v->queue[v->head++];

		if (v->head == v->tail) {
			v->head = 0;
			v->tail = 0;
		}
		err = hk_visit_msg(v, &m);
		if (err)
			return err;
	}
	return 0;
}

/**
 * hk_visit_event() - give the engine an event and carry out what follows
 * @v: visit, locked
 * @ev: event
 * @msg: message, for events that are messages
 * Return: 0; negative: the guest has been stopped.
 */
int hk_visit_event(struct hk_visit *v, enum hk_page_event ev,
		   const struct hk_dmsg *msg)
{
	int err;

	lockdep_assert_held(&v->b->lock);
	err = visit_page(v, ev, msg);
	return err ?: hk_visit_drain(v);
}
