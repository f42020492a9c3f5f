/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest RAM on one node: what mem.c, visit.c, group.c, fault.c, recall.c, spill.c, evict.c,
 * stale.c, lend.c, walk.c and prefetch.c share; nobody else includes it
 *
 * A gfn on this node has a state (dsm/page.h) and, where that allows access, a
 * page. Pages are in an xarray by gfn; a page's state and a few flags are in
 * page->private. A gfn that is not stable has a struct hk_busy besides. A gfn
 * with neither is HK_PG_INVALID. Everything about one gfn, its directory entry
 * included, is under the lock of the bucket that the gfn hashes to.
 */
#ifndef HK_KMOD_MEM_H
#define HK_KMOD_MEM_H

#include <linux/hash.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mm_types.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include "../dsm/directory.h"
#include "../dsm/group.h"
#include "../dsm/page.h"
#include "../dsm/stale.h"
#include "vm.h"

#define HK_MEM_BUCKET_BITS	10
#define HK_MEM_BUCKETS		BIT(HK_MEM_BUCKET_BITS)

/* Directory entries in one page of them */
#define HK_DIR_CHUNK_BITS	8
#define HK_DIR_CHUNK		BIT(HK_DIR_CHUNK_BITS)

/* Messages kept for when the allocator has none for atomic context */
#define HK_MEM_SPARE_MSGS	64
/* Objects kept likewise, of each kind */
#define HK_MEM_SPARE_OBJS	64

/* A granted page that nobody comes to map is not held longer than this */
#define HK_HOLD_UNMAPPED_US	20000
/* A recall of a page that somebody holds is tried again after so long */
#define HK_BUSY_FIRST_US	200
#define HK_BUSY_LAST_US		10000
/* A page that somebody holds for so long means the end of the guest */
#define HK_BUSY_MAX_MS		60000
/* So does a page that a fault waits for as long as this */
#define HK_FETCH_MAX_MS		120000
/* ... and a node without room for that long */
#define HK_ROOM_MAX_MS		10000

/* Pages of which the SPILL hint was followed and which are on their way */
#define HK_SPILL_TAKING_MAX	256
/* Pages offered and not yet gone */
#define HK_SPILL_OFFERED_MAX	256
/* SPILL messages waiting to be worked on; more are forgotten, they are hints */
#define HK_SPILL_QUEUE_MAX	16

/* page->private: state in the low byte, flags, time of last grant or mapping */
#define HK_PP_STATE		0xfful
#define HK_PP_HOLD		BIT(8)	/* granted for a fault: see recall.c */
#define HK_PP_MAPPED		BIT(9)	/* a fault has mapped it since */
#define HK_PP_WORTH_SHIFT	10	/* hk_stale_keep() */
#define HK_PP_WORTH	(GENMASK(HK_STALE_BITS - 1, 0) << HK_PP_WORTH_SHIFT)
#define HK_PP_IDLE		BIT(21)	/* read copy, not used since the hand passed: evict.c */
#define HK_PP_UNUSED		BIT(22)	/* nobody waited for it, and no fault has mapped it */
#define HK_PP_RULER_SHIFT 23	/* node that rules this copy, 0: home: lend.c */
#define HK_PP_RULER	(GENMASK(5, 0) << HK_PP_RULER_SHIFT)
/* What stays when the time is noted */
#define HK_PP_KEEP	(HK_PP_STATE | HK_PP_WORTH | HK_PP_RULER)
#define HK_PP_TIME_SHIFT	32	/* microseconds, wrapping */

/* Read copies, which may be dropped for room */
#define HK_PAGES_SHARED		XA_MARK_0
/* Those of them that are idle */
#define HK_PAGES_IDLE		XA_MARK_1

/**
 * struct hk_bucket - one lock for the gfns that hash here
 */
struct hk_bucket {
	/** @lock: see Documentation/locking-mem.rst */
	spinlock_t lock;
	/** @busy: struct hk_busy.node */
	struct hlist_head busy;
	/** @waits: struct hk_dir_waiters.node */
	struct hlist_head waits;
	/** @rules: struct hk_rule.node */
	struct hlist_head rules;
} ____cacheline_aligned_in_smp;

/**
 * struct hk_busy - a gfn that is not stable on this node
 *
 * References: one of the bucket list, one of an armed @timer or a queued or
 * running @work (these hand it on to each other), one of each waiting thread.
 */
struct hk_busy {
	/** @node: in hk_bucket.busy */
	struct hlist_node node;
	/** @ref: see above */
	refcount_t ref;
	/** @listed: still in the bucket's list */
	bool listed;
	/** @mem: owner */
	struct hk_mem *mem;
	/** @gfn: page */
	u64 gfn;
	/** @ctx: what the engine remembers */
	struct hk_page_ctx ctx;
	/** @state: enum hk_page_state, the same as the page's when there is one */
	u8 state;
	/** @ruler: as hk_page_where.ruler */
	u16 ruler;
	/** @recall: HK_ACT_TAKE or HK_ACT_DOWNGRADE while one is to be done */
	u8 recall;
	/** @held: the recall is put off; until then the page may be mapped */
	bool held;
	/** @charged: room is set aside for the page that will come */
	bool charged;
	/** @wanted: a fault asked for it */
	bool wanted;
	/** @upgrading: unmapped here by a writer; readers wait with it */
	bool upgrading;
	/** @taking: asked for by spill.c, counted in hk_mem.taking */
	bool taking;
	/** @wire: a message about it went over the network */
	bool wire;
	/** @worth: what is known of the page, hk_stale_keep() */
	u16 worth;
	/** @stale: old copy that the request has named, or NULL */
	struct page *stale;
	/** @tries: times that the recall found the page in use */
	u32 tries;
	/** @seq: counts HK_ACT_WAKE */
	u32 seq;
	/** @wq: threads that wait for @seq to change */
	wait_queue_head_t wq;
	/** @started_ns: when the request was made */
	u64 started_ns;
	/** @recall_ns: when the recall came */
	u64 recall_ns;
	/** @timer: queues @work later */
	struct hrtimer timer;
	/** @work: executes @recall */
	struct work_struct work;
};

/**
 * struct hk_rule - directory entry of a page that is lent to this node, lend.c
 */
struct hk_rule {
	/** @node: in hk_bucket.rules */
	struct hlist_node node;
	/** @gfn: page */
	u64 gfn;
	/** @dir: entry */
	struct hk_dir dir;
};

/* Of so many pages that are not here a node knows who may rule them */
#define HK_LEND_HINT_BITS	9

/**
 * struct hk_dir_waiters - requests waiting for a busy directory entry
 */
struct hk_dir_waiters {
	/** @node: in hk_bucket.waits */
	struct hlist_node node;
	/** @gfn: page */
	u64 gfn;
	/** @wait: the requests */
	struct hk_dir_wait wait;
};

/**
 * struct hk_mem_mm - an address space that maps guest RAM
 */
struct hk_mem_mm {
	/** @list: in hk_mem.mms, RCU */
	struct list_head list;
	/** @rcu: for freeing */
	struct rcu_head rcu;
	/** @mm: for comparison only, no reference */
	struct mm_struct *mm;
	/** @vmas: how many, under hk_mem.mms_lock */
	unsigned long vmas;
};

#define HK_WALK_PAGES	64
#define HK_WALK_BITS	6

/**
 * struct hk_walk_page - a page that walks on this node use, walk.c
 */
struct hk_walk_page {
	/** @gfn: plus 1, 0: none */
	u64 gfn;
	/** @last_ns: last fault of a walk here */
	u64 last_ns;
};

#define HK_RUNS		8

/**
 * struct hk_run - a run of sequential faults, prefetch.c
 */
struct hk_run {
	/** @next: gfn where it is expected to go on, 0: none */
	u64 next;
	/** @begin: first gfn that is taken for a part of it */
	u64 begin;
	/** @mark: from here on, up to @next, a fault asks for more */
	u64 mark;
	/** @window: pages asked for last time */
	u32 window;
};

/**
 * struct hk_mem - guest RAM on this node
 */
struct hk_mem {
	/** @vm: the guest */
	struct hk_vm *vm;
	/** @inode: whose mapping all mappings of the RAM device hang off */
	struct inode *inode;
	/** @pages: gfn -> struct page, present pages; written under bucket locks */
	struct xarray pages;
	/**
	 * @stale: gfn -> old copy, its worth in page->private, or that worth alone. Its
	 * own lock is enough: see stale.c
	 */
	struct xarray stale;
	/** @stale_guest: what old copies have been worth; no lock, a guess */
	struct hk_stale_guest stale_guest;
	/** @stale_cursor: where dropping old copies goes on; no lock, a hint */
	unsigned long stale_cursor;
	/** @nr_stale: old copies, those of requests under way included */
	atomic64_t nr_stale;
	/** @dirs: gfn >> HK_DIR_CHUNK_BITS -> page of struct hk_dir, only grows */
	struct xarray dirs;
	/** @bucket: HK_MEM_BUCKETS of them */
	struct hk_bucket *bucket;
	/** @busy_pool: struct hk_busy */
	mempool_t *busy_pool;
	/** @wait_pool: struct hk_dir_waiters */
	mempool_t *wait_pool;
	/** @rule_pool: struct hk_rule */
	mempool_t *rule_pool;
	/** @nr_rules: of those in use */
	atomic64_t nr_rules;
	/** @hint: who may rule pages that are not here; no lock, guesses */
	u64 hint[BIT(HK_LEND_HINT_BITS)];
	/** @msgs_lock: leaf, protects @msgs and @nr_msgs */
	spinlock_t msgs_lock;
	/** @msgs: spare messages with the body of HK_MSG_PAGE */
	struct list_head msgs;
	/** @nr_msgs: entries in @msgs */
	unsigned int nr_msgs;
	/** @dying: hk_mem_destroy() has begun */
	bool dying;
	/** @walk: walk pages by hash of gfn; no lock, hints */
	struct hk_walk_page walk[HK_WALK_PAGES];
	/** @walk_slice_end: until then walk pages stay here, ktime ns */
	u64 walk_slice_end;
	/** @run: runs of faults; no lock, guesses */
	struct hk_run run[HK_RUNS];
	/** @run_turn: entry that the next run takes */
	atomic_t run_turn;
	/** @present: pages here */
	atomic64_t present;
	/** @nr_shared: of those, in HK_PG_SHARED */
	atomic64_t nr_shared;
	/** @nr_idle: of those, with HK_PP_IDLE */
	atomic64_t nr_idle;
	/** @nr_busy: struct hk_busy in lists */
	atomic64_t nr_busy;
	/** @nr_dirs: directory entries in use */
	atomic64_t nr_dirs;
	/** @nr_chunks: pages of directory entries */
	atomic64_t nr_chunks;
	/** @room: threads that wait for room */
	wait_queue_head_t room;
	/** @spill_work: makes room */
	struct delayed_work spill_work;
	/** @drop_cursor: where dropping read copies goes on; no lock, a hint */
	unsigned long drop_cursor;
	/** @age_cursor: where making them idle goes on; likewise */
	unsigned long age_cursor;
	/** @evict_now: spill_work has waited for idle copies to be used; it alone uses this */
	bool evict_now;
	/** @evict_vain: waiting for that was of no use lately; as all of these, spill_work only */
	bool evict_vain;
	/** @evict_aged: copies made idle up to the last look */
	u64 evict_aged;
	/** @evict_used: of those, used again */
	u64 evict_used;
	/** @evict_ready: copies were made idle since room was last made; no lock, a hint */
	bool evict_ready;
	/** @offer_cursor: where offering owned pages goes on; spill_work only */
	unsigned long offer_cursor;
	/** @offered: pages offered and not yet gone, by guess */
	atomic_t offered;
	/** @offered_early: spill_work was called as most of these had gone */
	bool offered_early;
	/** @offered_to: offered to each peer since its figures last changed */
	u32 offered_to[HK_MAX_NODES];
	/** @offered_last: peer asked last where none seemed to have room */
	u16 offered_last;
	/** @offered_seen: those figures */
	u64 offered_seen[HK_MAX_NODES];
	/** @offers_lock: leaf, protects @offers and @nr_offers */
	spinlock_t offers_lock;
	/** @offers: HK_MSG_SPILL that came in */
	struct list_head offers;
	/** @nr_offers: entries in @offers */
	unsigned int nr_offers;
	/** @offer_work: works on @offers */
	struct work_struct offer_work;
	/** @taking: pages asked for because a peer offered them */
	atomic_t taking;
	/** @mms_lock: leaf, writers of @mms */
	spinlock_t mms_lock;
	/** @mms: RCU list of struct hk_mem_mm */
	struct list_head mms;
	/** @mms_unknown: mappings that there was no memory to note down */
	atomic_t mms_unknown;
};

#define HK_VISIT_QUEUE	8

/**
 * struct hk_visit - one pass through the lock of a gfn's bucket
 *
 * Between hk_visit_lock() and hk_visit_unlock() the fields describe the gfn and
 * are kept up to date by hk_visit_event(). Lives on the stack.
 */
struct hk_visit {
	/** @mem: guest RAM */
	struct hk_mem *mem;
	/** @w: the fixed facts of the page */
	struct hk_page_where w;
	/** @b: bucket, locked */
	struct hk_bucket *b;
	/** @page: present page, or NULL */
	struct page *page;
	/** @busy: or NULL */
	struct hk_busy *busy;
	/** @rule: or NULL: this node does not rule the page, unless it is home */
	struct hk_rule *rule;
	/** @state: enum hk_page_state */
	u8 state;
	/** @charged: room that the caller has set aside, for a new request */
	bool charged;
	/** @data: page that holds the content which came with the message */
	struct page *data;
	/** @content: enum hk_wire_content, how that came */
	u8 content;
	/** @filled: what was sent went as one word */
	bool filled;
	/** @worth: of the old copy at hand, or of the page just taken */
	u16 worth;
	/** @old: entry of hk_mem.stale, taken out for a new request */
	void *old;
	/** @spare: page for any use: all-zero if @spare_zero */
	struct page *spare;
	/** @spare_zero: @spare is all zero */
	bool spare_zero;
	/** @taken: page just taken away from here, to be sent or freed */
	struct page *taken;
	/** @free: page to be freed after unlocking */
	struct page *free;
	/** @recall: with a reference: recall to be started after unlocking */
	struct hk_busy *recall;
	/** @recall_in_ns: put off by so much */
	u64 recall_in_ns;
	/** @group: where requests may wait for those of other visits, or NULL */
	struct hk_page_group *group;
	/** @queue: messages of the node to itself, in order */
	struct hk_dmsg queue[HK_VISIT_QUEUE];
	/** @head: next of @queue to be worked on */
	unsigned int head;
	/** @tail: next free entry of @queue */
	unsigned int tail;
};

static inline struct hk_bucket *hk_mem_bucket(struct hk_mem *mem, u64 gfn)
{
	return &mem->bucket[hash_64(gfn, HK_MEM_BUCKET_BITS)];
}

static inline u32 hk_now_us(void)
{
	return (u32)div_u64(ktime_get_ns(), NSEC_PER_USEC);
}

/* fault.c */
extern const struct vm_operations_struct hk_mem_vm_ops;

/* visit.c */
void hk_visit_init(struct hk_visit *v, struct hk_mem *mem, u64 gfn);
void hk_visit_lock(struct hk_visit *v) __acquires(v->b->lock);
void hk_visit_unlock(struct hk_visit *v) __releases(v->b->lock);
int hk_visit_event(struct hk_visit *v, enum hk_page_event ev,
		   const struct hk_dmsg *msg);
void hk_visit_detach(struct hk_visit *v);
void hk_visit_end(struct hk_visit *v, bool may_recall);
int hk_visit_prepare(struct hk_visit *v, bool first_touch);
int hk_visit_prepare_copy(struct hk_visit *v);
void hk_busy_put(struct hk_busy *busy);

/* visit.c, for mem.c alone */
void hk_visit_no_memory(struct hk_visit *v, const char *what);
int hk_visit_msg(struct hk_visit *v, const struct hk_dmsg *m);
int hk_visit_drain(struct hk_visit *v);
void hk_busy_wake(struct hk_busy *busy);
void hk_msgs_refill(struct hk_mem *mem);

/* visit.c, for group.c alone */
struct hk_msg *hk_mem_msg_get(struct hk_mem *mem);

/* group.c */
bool hk_group_add(struct hk_visit *v, const struct hk_dmsg *m, u16 to, int *err);
int hk_group_flush(struct hk_mem *mem, struct hk_page_group *g);

/* mem.c */
void hk_mem_mm_add(struct hk_mem *mem, struct mm_struct *mm);
bool hk_mem_mm_del(struct hk_mem *mem, struct mm_struct *mm);

/* recall.c */
void hk_recall_init(struct hk_busy *busy);
void hk_recall_start(struct hk_busy *busy, u64 in_ns, bool here);
void hk_recall_mapped(struct hk_visit *v);
void hk_recall_stop(struct hk_busy *busy);
u64 hk_hold_left_ns(struct hk_mem *mem, const struct page *page);

/* stale.c */
bool hk_stale_same(const struct page *page, u64 gfn, const struct hk_check *check);
bool hk_stale_wanted(struct hk_visit *v);
void hk_stale_add(struct hk_visit *v, struct page *page);
void hk_stale_prepare(struct hk_visit *v);
void hk_stale_asked(struct hk_visit *v);
void hk_stale_unasked(struct hk_visit *v);
struct page *hk_stale_take(struct hk_visit *v);
void hk_stale_told(struct hk_visit *v, struct page *page);
void hk_stale_over(struct hk_busy *busy);
u64 hk_stale_drop(struct hk_mem *mem, u64 want);
void hk_stale_destroy(struct hk_mem *mem);

/* lend.c */
void hk_lend_look(struct hk_visit *v);
void hk_lend_note(struct hk_visit *v, u16 ruler);
int hk_lend_rule(struct hk_visit *v);
void hk_lend_stepped(struct hk_visit *v);
bool hk_lend_may(struct hk_visit *v, const struct hk_dir *dir, const struct hk_dmsg *msg);
void hk_lend_destroy(struct hk_mem *mem, struct hk_bucket *b);

/* Does this peer know of pages that are lent? */
static inline bool hk_lend_known(const struct hk_vm *vm, u16 peer)
{
	return hk_node_link_features(vm->node, peer) & HK_WIRE_FEATURE_LEND;
}

/* prefetch.c */
void hk_prefetch_fault(struct hk_mem *mem, u64 gfn, bool write, bool miss);

/* walk.c */
void hk_walk_note(struct hk_mem *mem, u64 gfn);
void hk_walk_mapped(struct hk_mem *mem, u64 gfn);
u64 hk_walk_left_ns(struct hk_mem *mem, u64 gfn);
void hk_walk_gather(struct hk_mem *mem, u64 gfn);

/* evict.c */
u64 hk_evict(struct hk_mem *mem, u64 want, bool now);
bool hk_evict_pays(struct hk_mem *mem);
void hk_evict_prepare(struct hk_mem *mem, u64 next);
void hk_evict_active(struct hk_visit *v);
void hk_evict_used(struct hk_visit *v);

/* Mapped again by a fault only as it had been made idle. A guess, without the bucket lock */
static inline bool hk_evict_refault(const struct page *page)
{
	return (READ_ONCE(page->private) & (HK_PP_IDLE | HK_PP_UNUSED)) == HK_PP_IDLE;
}

/* spill.c */
void hk_spill_init(struct hk_mem *mem);
void hk_spill_stop(struct hk_mem *mem);
bool hk_room_get(struct hk_mem *mem);
bool hk_room_spare(struct hk_mem *mem);
bool hk_room_plenty(struct hk_mem *mem);
void hk_room_put(struct hk_mem *mem);
int hk_room_wait(struct hk_mem *mem);
int hk_spill_recv(struct hk_mem *mem, struct hk_msg *msg, char *why);
void hk_spill_gone(struct hk_mem *mem);

#endif /* HK_KMOD_MEM_H */
