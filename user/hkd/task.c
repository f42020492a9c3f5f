// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/task.c - the event loop: one thread, epoll, tasks that wait
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "log.h"
#include "task.h"

#define STACK_SIZE	(256 * 1024)
#define GUARD_SIZE	4096

/**
 * struct task - one function and its stack
 * @ctx: where it stopped
 * @next: in the list of all tasks
 * @fn: what it runs
 * @arg: with what
 * @stack: mapping, a guard page first
 * @runnable: to be run in the next round
 * @waking: task_wake() came; kept until the task waits for it
 * @waits: in task_wait()
 * @watches: in task_wait_change()
 * @ended: may be freed
 * @deadline: run it then at the latest
 * @revents: what task_poll() returns, 0 for a time-out
 */
struct task {
	ucontext_t ctx;
	struct task *next;
	void (*fn)(void *arg);
	void *arg;
	void *stack;
	bool runnable;
	bool waking;
	bool waits;
	bool watches;
	bool ended;
	uint64_t deadline;
	uint32_t revents;
};

static ucontext_t loop_ctx;
static struct task *tasks;
static struct task *current;
static int epfd = -1;
static bool stopping;

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct task *task_self(void)
{
	return current;
}

static void start(void)
{
	current->fn(current->arg);
	current->ended = true;
	swapcontext(&current->ctx, &loop_ctx);
}

int task_spawn(void (*fn)(void *arg), void *arg)
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task)
		return -ENOMEM;
	task->stack = mmap(NULL, STACK_SIZE + GUARD_SIZE,
			   PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (task->stack == MAP_FAILED) {
		free(task);
		return -ENOMEM;
	}
	mprotect(task->stack, GUARD_SIZE, PROT_NONE);
	getcontext(&task->ctx);
	task->ctx.uc_stack.ss_sp = (char *)task->stack + GUARD_SIZE;
	task->ctx.uc_stack.ss_size = STACK_SIZE;
	makecontext(&task->ctx, start, 0);
	task->fn = fn;
	task->arg = arg;
	task->runnable = true;
	task->deadline = FOREVER;
	task->next = tasks;
	tasks = task;
	return 0;
}

static void yield_to_loop(uint64_t deadline)
{
	struct task *task = current;

	task->deadline = deadline;
	task->revents = 0;
	swapcontext(&task->ctx, &loop_ctx);
	task->deadline = FOREVER;
}

int task_poll(int fd, uint32_t events, uint64_t deadline)
{
	struct epoll_event ev = { .events = events, .data.ptr = current };

	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev)) {
		/* A regular file is always ready. */
		if (errno == EPERM)
			return (int)events;
		return -errno;
	}
	yield_to_loop(deadline);
	epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
	return current->revents ? (int)current->revents : -ETIMEDOUT;
}

int task_wait(uint64_t deadline)
{
	bool woken;

	if (!current->waking) {
		current->waits = true;
		yield_to_loop(deadline);
		current->waits = false;
	}
	woken = current->waking;
	current->waking = false;
	return woken ? 0 : -ETIMEDOUT;
}

void task_wake(struct task *task)
{
	task->waking = true;
	if (task->waits)
		task->runnable = true;
}

void task_wait_change(uint64_t deadline)
{
	current->watches = true;
	yield_to_loop(deadline);
	current->watches = false;
}

void task_changed(void)
{
	struct task *task;

	for (task = tasks; task; task = task->next)
		if (task->watches)
			task->runnable = true;
}

void task_sleep(uint64_t ms)
{
	yield_to_loop(now_ms() + ms);
}

static void run_ready(void)
{
	struct task **p, *task;
	bool again;

	do {
		again = false;
		for (task = tasks; task; task = task->next) {
			if (!task->runnable || task->ended)
				continue;
			task->runnable = false;
			current = task;
			swapcontext(&loop_ctx, &task->ctx);
			current = NULL;
			again = true;
		}
	} while (again);

	for (p = &tasks; (task = *p);) {
		if (!task->ended) {
			p = &task->next;
			continue;
		}
		*p = task->next;
		munmap(task->stack, STACK_SIZE + GUARD_SIZE);
		free(task);
	}
}

static int next_timeout(void)
{
	uint64_t first = FOREVER, now = now_ms();
	struct task *task;

	for (task = tasks; task; task = task->next)
		if (task->deadline < first)
			first = task->deadline;
	if (first == FOREVER)
		return -1;
	if (first <= now)
		return 0;
	return first - now > 60000 ? 60000 : (int)(first - now);
}

int loop_init(void)
{
	epfd = epoll_create1(EPOLL_CLOEXEC);
	return epfd < 0 ? -errno : 0;
}

void loop_stop(void)
{
	stopping = true;
}

void loop_run(void)
{
	struct epoll_event ev[64];
	struct task *task;
	uint64_t now;
	int i, n;

	for (;;) {
		run_ready();
		if (stopping)
			return;
		n = epoll_wait(epfd, ev, 64, next_timeout());
		for (i = 0; i < n; i++) {
			task = ev[i].data.ptr;
			task->revents = ev[i].events;
			task->runnable = true;
		}
		now = now_ms();
		for (task = tasks; task; task = task->next)
			if (task->deadline <= now)
				task->runnable = true;
	}
}
