/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel and of the verbs as fabric/rdma_tx.c, rdma_rx.c and retain.c
 * need, for user space; included before everything else
 *
 * Threads hold one lock, the machine, but where they wait and now and then after a spin
 * lock: so that each interleaving at these places may happen.
 */
#ifndef KSTUB_H
#define KSTUB_H

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef unsigned int gfp_t;

#define __aligned(n)		__attribute__((aligned(n)))
#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define GFP_KERNEL		0
#define GFP_NOIO		0
#define PAGE_SIZE		4096
#define cpu_to_le16(x)		htole16(x)
#define le16_to_cpu(x)		le16toh(x)
#define cpu_to_le32(x)		htole32(x)
#define le32_to_cpu(x)		le32toh(x)
#define le64_to_cpu(x)		le64toh(x)
#define U64_MAX			UINT64_MAX
#define READ_ONCE(x)		(*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile typeof(x) *)&(x) = (v))
#define smp_load_acquire(p)	READ_ONCE(*(p))
#define smp_store_release(p, v)	WRITE_ONCE(*(p), v)
#define container_of(p, t, m)	((t *)((char *)(p) - offsetof(t, m)))
#define min_t(t, a, b)		((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define min3(a, b, c)		min_t(size_t, a, min_t(size_t, b, c))
#define lockdep_assert_held(l)	assert(*(l))
#define msecs_to_jiffies(ms)	(ms)

struct rcu_head { void *x[2]; };
struct kref { int n; };
struct kvec { void *iov_base; size_t iov_len; };

/* lists */
struct list_head { struct list_head *next, *prev; };

#define INIT_LIST_HEAD(l)	((l)->next = (l)->prev = (l))
#define list_empty_careful(l)	(READ_ONCE((l)->next) == (l))
#define list_first_entry_or_null(l, t, m) \
	((l)->next == (l) ? NULL : container_of((l)->next, t, m))

static inline void list_add_tail(struct list_head *n, struct list_head *l)
{
	n->next = l;
	n->prev = l->prev;
	l->prev->next = n;
	l->prev = n;
}

static inline void list_del(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = NULL;
}

/* the machine */
void machine_step(void);	/* let another thread run, perhaps */
void machine_wait(void);	/* until something has happened */
void machine_wake(void);

typedef int spinlock_t;
typedef int wait_queue_head_t;

static inline void spin_lock(spinlock_t *lock)
{
	assert(!*lock);
	*lock = 1;
}

static inline void spin_unlock(spinlock_t *lock)
{
	assert(*lock);
	*lock = 0;
	machine_step();
}

#define spin_lock_irq(l)		spin_lock(l)
#define spin_unlock_irq(l)		spin_unlock(l)
#define spin_lock_irqsave(l, f)		((void)(f), spin_lock(l))
#define spin_unlock_irqrestore(l, f)	((void)(f), spin_unlock(l))
#define wake_up(q)			((void)(q), machine_wake())
#define wake_up_all(q)			wake_up(q)
#define wait_event_idle(q, cond) do {		\
	(void)&(q);				\
	while (!(cond))				\
		machine_wait();			\
} while (0)
/* What it waits for has to come: a wait that would need its limit is a stuck test */
#define wait_event_idle_timeout(q, cond, t)	wait_event_idle(q, cond)

/* memory */
struct page {
	int refs;
	u8 *data;
};

struct page *alloc_page(gfp_t gfp);
void get_page(struct page *page);
void put_page(struct page *page);
#define __free_page(p)		put_page(p)
#define page_address(p)		((void *)(p)->data)
#define kzalloc(n, gfp)		calloc(1, n)
#define kfree(p)		free(p)

/* verbs */
enum { DMA_TO_DEVICE, DMA_FROM_DEVICE };
enum ib_wr_opcode { IB_WR_SEND };
enum { IB_SEND_SIGNALED = 1, IB_SEND_INLINE = 2 };
enum ib_wc_status { IB_WC_SUCCESS, IB_WC_WR_FLUSH_ERR };

struct ib_device { long mapped; };
struct ib_cq { void *cq_context; };
struct ib_pd { struct ib_device *device; u32 local_dma_lkey; };
struct ib_wc;
struct ib_cqe { void (*done)(struct ib_cq *cq, struct ib_wc *wc); };
struct ib_wc { struct ib_cqe *wr_cqe; enum ib_wc_status status; u32 byte_len; };
struct ib_sge { u64 addr; u32 length; u32 lkey; };

struct ib_send_wr {
	struct ib_send_wr *next;
	struct ib_cqe *wr_cqe;
	struct ib_sge *sg_list;
	int num_sge;
	enum ib_wr_opcode opcode;
	int send_flags;
};

struct ib_recv_wr {
	struct ib_recv_wr *next;
	struct ib_cqe *wr_cqe;
	struct ib_sge *sg_list;
	int num_sge;
};

struct ib_qp;
struct rdma_cm_id { struct ib_qp *qp; };
int ib_post_send(struct ib_qp *qp, struct ib_send_wr *wr, void *bad);
int ib_post_recv(struct ib_qp *qp, struct ib_recv_wr *wr, void *bad);
int rdma_disconnect(struct rdma_cm_id *id);
#define ib_wc_status_msg(s)	((s) ? "flushed" : "success")

static inline u64 ib_dma_map(struct ib_device *dev, void *p)
{
	dev->mapped++;
	return (uintptr_t)p;
}

#define ib_dma_map_page(dev, page, off, len, dir) \
	ib_dma_map(dev, page_address(page) + (off))
#define ib_dma_map_single(dev, p, len, dir)	ib_dma_map(dev, p)
#define ib_dma_unmap_page(dev, dma, len, dir)	((void)(dma), (dev)->mapped--)
#define ib_dma_unmap_single(dev, dma, len, dir)	((void)(dma), (dev)->mapped--)
#define ib_dma_mapping_error(dev, dma)		((void)(dev), !(dma))
#define ib_dma_sync_single_for_cpu(dev, dma, len, dir)		((void)(dev))
#define ib_dma_sync_single_for_device(dev, dma, len, dir)	((void)(dev))

#endif /* KSTUB_H */
