// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel of klink.h: threads, one timer thread, a thread for each work item
 */
#include <sched.h>
#include "klink.h"

pthread_mutex_t klink_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t klink_cond = PTHREAD_COND_INITIALIZER;
__thread struct task_struct *current;

void klink_warn(const char *what)
{
	fprintf(stderr, "warning: %s\n", what);
	abort();
}

u64 klink_random(void)
{
	static u64 state = 88172645463325252ull;

	return __atomic_add_fetch(&state, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);
}

void klink_wake(void)
{
	pthread_mutex_lock(&klink_mutex);
	pthread_cond_broadcast(&klink_cond);
	pthread_mutex_unlock(&klink_mutex);
}

/* Bounded, as a condition may come true by what wakes nobody here, such as a timer */
void klink_wait(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 50000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	pthread_cond_timedwait(&klink_cond, &klink_mutex, &ts);
}

struct page *alloc_page(gfp_t gfp)
{
	struct page *page = aligned_alloc(64, sizeof(*page));

	(void)gfp;
	memset(page, 0, sizeof(*page));
	page->ref = 1;
	return page;
}

void put_page(struct page *page)
{
	if (!__atomic_sub_fetch(&page->ref, 1, __ATOMIC_SEQ_CST))
		free(page);
}

/* Threads */

static void *thread(void *arg)
{
	struct task_struct *task = arg;
	bool run;

	current = task;
	klink_wait_event(task->woken || READ_ONCE(task->stop));
	run = task->woken;
	if (run)
		task->fn(task->data);
	put_task_struct(task);
	return NULL;
}

struct task_struct *kthread_create(int (*fn)(void *data), void *data, const char *fmt, ...)
{
	struct task_struct *task = calloc(1, sizeof(*task));

	(void)fmt;
	task->fn = fn;
	task->data = data;
	task->ref = 1;
	pthread_create(&task->thread, NULL, thread, task);
	return task;
}

void wake_up_process(struct task_struct *task)
{
	pthread_mutex_lock(&klink_mutex);
	task->woken = true;
	pthread_cond_broadcast(&klink_cond);
	pthread_mutex_unlock(&klink_mutex);
}

int kthread_stop(struct task_struct *task)
{
	WRITE_ONCE(task->stop, true);
	klink_wake();
	pthread_join(task->thread, NULL);
	return 0;
}

void get_task_struct(struct task_struct *task)
{
	__atomic_fetch_add(&task->ref, 1, __ATOMIC_SEQ_CST);
}

void put_task_struct(struct task_struct *task)
{
	if (!__atomic_sub_fetch(&task->ref, 1, __ATOMIC_SEQ_CST))
		free(task);
}

/* Timers: one thread runs all, each alone */

static pthread_mutex_t timers_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct timer_list *timers;

static void *timer_thread(void *arg)
{
	struct timer_list *t;

	(void)arg;
	for (;;) {
		pthread_mutex_lock(&timers_mutex);
		for (t = timers; t; t = t->next)
			if (t->armed && jiffies >= t->expires)
				break;
		if (t) {
			t->armed = false;
			t->running = true;
			pthread_mutex_unlock(&timers_mutex);
			t->fn(t);
			pthread_mutex_lock(&timers_mutex);
			t->running = false;
		}
		pthread_mutex_unlock(&timers_mutex);
		if (!t)
			usleep(1000);
	}
	return NULL;
}

void timer_setup(struct timer_list *timer, void (*fn)(struct timer_list *timer), int flags)
{
	static bool started;
	pthread_t t;

	(void)flags;
	pthread_mutex_lock(&timers_mutex);
	timer->fn = fn;
	timer->next = timers;
	timers = timer;
	if (!started) {
		started = true;
		pthread_create(&t, NULL, timer_thread, NULL);
		pthread_detach(t);
	}
	pthread_mutex_unlock(&timers_mutex);
}

void mod_timer(struct timer_list *timer, u64 expires)
{
	pthread_mutex_lock(&timers_mutex);
	if (!timer->shut) {
		timer->expires = expires;
		timer->armed = true;
	}
	pthread_mutex_unlock(&timers_mutex);
}

void timer_shutdown_sync(struct timer_list *timer)
{
	struct timer_list **p;

	pthread_mutex_lock(&timers_mutex);
	timer->shut = true;
	timer->armed = false;
	while (timer->running) {
		pthread_mutex_unlock(&timers_mutex);
		sched_yield();
		pthread_mutex_lock(&timers_mutex);
	}
	for (p = &timers; *p && *p != timer; p = &(*p)->next)
		;
	if (*p)
		*p = timer->next;
	pthread_mutex_unlock(&timers_mutex);
}

/* Work: queued once, run by one at a time */

static void *work_thread(void *arg)
{
	struct work_struct *work = arg;
	bool more;

	do {
		pthread_mutex_lock(&klink_mutex);
		work->pending = false;
		pthread_mutex_unlock(&klink_mutex);
		work->fn(work);
		pthread_mutex_lock(&klink_mutex);
		more = work->pending;
		if (!more)
			work->running = false;
		pthread_cond_broadcast(&klink_cond);
		pthread_mutex_unlock(&klink_mutex);
	} while (more);
	return NULL;
}

void klink_queue(struct work_struct *work)
{
	bool start;
	pthread_t t;

	pthread_mutex_lock(&klink_mutex);
	start = !work->running;
	work->pending = true;
	work->running = true;
	pthread_mutex_unlock(&klink_mutex);
	if (!start)
		return;
	pthread_create(&t, NULL, work_thread, work);
	pthread_detach(t);
}

void flush_work(struct work_struct *work)
{
	klink_wait_event(!work->running);
}

void cancel_work_sync(struct work_struct *work)
{
	flush_work(work);
}

/* Sockets */

int kernel_getsockname(struct socket *sock, struct sockaddr *sa)
{
	socklen_t len = sizeof(struct sockaddr_storage);

	return getsockname(sock->fd, sa, &len);
}

int kernel_getpeername(struct socket *sock, struct sockaddr *sa)
{
	socklen_t len = sizeof(struct sockaddr_storage);

	return getpeername(sock->fd, sa, &len);
}
