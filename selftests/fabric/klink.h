/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as fabric/link*.c needs, for user space: threads are threads
 *
 * One lock and one condition stand behind all that waits; what the module calls a lock is
 * a lock of its own, so that the sanitizers see what it protects.
 */
#ifndef KLINK_H
#define KLINK_H

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef unsigned int gfp_t;

#define __aligned(n)		__attribute__((aligned(n)))
#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define ____cacheline_aligned_in_smp __aligned(64)
#define __rcu
#define GFP_KERNEL		0
#define GFP_NOIO		0
#define __GFP_ZERO		0
#define BIT(n)			(1ul << (n))
#define U64_MAX			UINT64_MAX
#define NSEC_PER_MSEC		1000000ull
#define MIN_NICE		(-20)
#define IS_ERR(p)		((unsigned long)(p) >= (unsigned long)-4095)
#define ERR_PTR(e)		((void *)(long)(e))
#define PTR_ERR(p)		((long)(p))
#define IS_ERR_VALUE(x)		IS_ERR(x)
#define KBUILD_MODNAME		"link"
#define EXPORT_SYMBOL_GPL(x)
#define cpu_to_le16(x)		htole16(x)
#define cpu_to_le32(x)		htole32(x)
#define cpu_to_le64(x)		htole64(x)
#define le16_to_cpu(x)		le16toh(x)
#define le32_to_cpu(x)		le32toh(x)
#define le64_to_cpu(x)		le64toh(x)
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_store_mb(x, v)	((void)__atomic_exchange_n(&(x), v, __ATOMIC_SEQ_CST))
#define xchg(p, v)		__atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
#define container_of(p, t, m)	((t *)((char *)(p) - offsetof(t, m)))
#define struct_size(p, m, n)	(sizeof(*(p)) + sizeof(*(p)->m) * (n))
#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define min_t(t, a, b)		((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define WARN_ON_ONCE(c)		({ bool _c = !!(c); if (_c) klink_warn(#c); _c; })
#define lockdep_assert_held(l)	do { } while (0)
#define set_bit(n, p)		__atomic_fetch_or(p, BIT(n), __ATOMIC_SEQ_CST)
#define test_and_clear_bit(n, p) \
	(!!(__atomic_fetch_and(p, ~BIT(n), __ATOMIC_SEQ_CST) & BIT(n)))
#define div_u64(a, b)		((a) / (b))
#define mul_u64_u32_div(a, m, d) ((u64)((unsigned __int128)(a) * (m) / (d)))
#define msecs_to_jiffies(ms)	(ms)
#define nsecs_to_jiffies(ns)	((u64)(ns) / NSEC_PER_MSEC)
#define pr_warn_ratelimited(...) do { } while (0)
#define strscpy(d, s, n)	snprintf(d, n, "%s", s)
#define strscpy_pad(d, s, n)	strncpy(d, s, n)
#define vscnprintf		vsnprintf
#define memalloc_noio_save()	0
#define memalloc_noio_restore(x) ((void)(x))
#define get_random_u64()	klink_random()

void klink_warn(const char *what);
u64 klink_random(void);

static inline u64 ktime_get_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

#define jiffies			(ktime_get_ns() / NSEC_PER_MSEC)
#define tsc_khz			1000000u

/* memory */
struct page { int ref; char data[4096] __aligned(64); };
struct rcu_head { void *x[2]; };
struct kvec { void *iov_base; size_t iov_len; };

#define kzalloc(n, g)		({ size_t _n = ((n) + 63) & ~63ul;		\
	void *_p = aligned_alloc(64, _n); memset(_p, 0, _n); _p; })
#define kvmalloc(n, g)		malloc(n)
#define kfree(p)		free(p)
#define is_vmalloc_addr(p)	false
#define kvfree_rcu(p, m)	free(p)
#define page_address(p)		((void *)(p)->data)

struct page *alloc_page(gfp_t gfp);
void put_page(struct page *page);

/* lists */
struct list_head { struct list_head *next, *prev; };

#define INIT_LIST_HEAD(l)	((void)((l)->next = (l)->prev = (l)))
#define LIST_HEAD(l)		struct list_head l = { &l, &l }
#define list_empty(l)		((l)->next == (l))
#define list_first_entry(l, t, m) container_of((l)->next, t, m)
#define list_first_entry_or_null(l, t, m) \
	((l)->next == (l) ? NULL : container_of((l)->next, t, m))
#define list_for_each_entry_safe(p, n, l, m)					\
	for (p = container_of((l)->next, typeof(*p), m),			\
	     n = container_of(p->m.next, typeof(*p), m); &p->m != (l);		\
	     p = n, n = container_of(n->m.next, typeof(*p), m))

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
}

static inline void list_splice_tail_init(struct list_head *from, struct list_head *to)
{
	if (from->next == from)
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	INIT_LIST_HEAD(from);
}

/* locks */
typedef struct { pthread_mutex_t m; } raw_spinlock_t;
struct mutex { pthread_mutex_t m; };

#define raw_spin_lock_init(l)	pthread_mutex_init(&(l)->m, NULL)
#define raw_spin_lock_irq(l)	pthread_mutex_lock(&(l)->m)
#define raw_spin_unlock_irq(l)	pthread_mutex_unlock(&(l)->m)
#define raw_spin_lock_irqsave(l, f) ((f) = 0, pthread_mutex_lock(&(l)->m))
#define raw_spin_unlock_irqrestore(l, f) ((void)(f), pthread_mutex_unlock(&(l)->m))
#define mutex_init(l)		pthread_mutex_init(&(l)->m, NULL)
#define mutex_lock(l)		pthread_mutex_lock(&(l)->m)
#define mutex_lock_killable(l)	pthread_mutex_lock(&(l)->m)
#define mutex_unlock(l)		pthread_mutex_unlock(&(l)->m)

struct kref { int n; };

static inline void kref_init(struct kref *k)
{
	k->n = 1;
}

static inline void kref_get(struct kref *k)
{
	__atomic_fetch_add(&k->n, 1, __ATOMIC_SEQ_CST);
}

static inline void kref_put(struct kref *k, void (*fn)(struct kref *k))
{
	if (!__atomic_sub_fetch(&k->n, 1, __ATOMIC_SEQ_CST))
		fn(k);
}

/* waiting: for whatever, until something happens */
extern pthread_mutex_t klink_mutex;
extern pthread_cond_t klink_cond;

void klink_wake(void);
/* Context: klink_mutex held; until the next wake-up, 50 ms at most */
void klink_wait(void);

#define klink_wait_event(c) do {						\
	pthread_mutex_lock(&klink_mutex);					\
	while (!(c))								\
		klink_wait();							\
	pthread_mutex_unlock(&klink_mutex); } while (0)

/* what is left, at least 1, or 0 */
#define klink_wait_timeout(c, ms) ({						\
	u64 _end = ktime_get_ns() + (ms) * NSEC_PER_MSEC;			\
	bool _ok;								\
	pthread_mutex_lock(&klink_mutex);					\
	while (!(_ok = (c)) && ktime_get_ns() < _end)				\
		klink_wait();							\
	pthread_mutex_unlock(&klink_mutex);					\
	(long)_ok; })

struct rcuwait { int x; };
typedef struct { int x; } wait_queue_head_t;
struct completion { int done; };

#define TASK_IDLE		0
#define rcuwait_init(w)		((void)(w))
#define rcuwait_wake_up(w)	klink_wake()
#define rcuwait_wait_event(w, c, s) klink_wait_event(c)
#define init_waitqueue_head(w)	((void)(w))
#define wake_up_all(w)		klink_wake()
#define wake_up(w)		klink_wake()
#define wait_event(w, c)	klink_wait_event(c)
#define wait_event_idle(w, c)	klink_wait_event(c)
#define wait_event_killable_timeout(w, c, ms) klink_wait_timeout(c, ms)
#define init_completion(x)	((x)->done = 0)
#define complete_all(x)		(WRITE_ONCE((x)->done, 1), klink_wake())
#define wait_for_completion(x)	klink_wait_event(READ_ONCE((x)->done))
#define wait_for_completion_timeout(x, ms) klink_wait_timeout(READ_ONCE((x)->done), ms)

/* threads */
struct task_struct {
	pthread_t thread;
	int (*fn)(void *data);
	void *data;
	int ref;
	bool woken, stop, started;
};

extern __thread struct task_struct *current;

struct task_struct *kthread_create(int (*fn)(void *data), void *data, const char *fmt, ...);
void wake_up_process(struct task_struct *task);
int kthread_stop(struct task_struct *task);
void get_task_struct(struct task_struct *task);
void put_task_struct(struct task_struct *task);
#define kthread_should_stop()	READ_ONCE(current->stop)
#define set_user_nice(t, n)	((void)(t))

struct timer_list {
	void (*fn)(struct timer_list *timer);
	u64 expires;
	bool armed, shut, running;
	struct timer_list *next;
};

#define from_timer(v, t, f)	container_of(t, typeof(*v), f)
void timer_setup(struct timer_list *timer, void (*fn)(struct timer_list *timer), int flags);
void mod_timer(struct timer_list *timer, u64 expires);
void timer_shutdown_sync(struct timer_list *timer);

struct work_struct {
	void (*fn)(struct work_struct *work);
	bool pending, running;
	struct work_struct *next;
};

#define system_unbound_wq	NULL
#define INIT_WORK(w, f)		((w)->fn = (f))
#define queue_work(q, w)	klink_queue(w)
void klink_queue(struct work_struct *work);
void cancel_work_sync(struct work_struct *work);
void flush_work(struct work_struct *work);

/* sockets */
struct socket { int fd; };

int kernel_getsockname(struct socket *sock, struct sockaddr *sa);
int kernel_getpeername(struct socket *sock, struct sockaddr *sa);

#endif /* KLINK_H */
