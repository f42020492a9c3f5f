/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/task.h - the event loop: one thread, epoll, tasks that wait
 *
 * A task is a function with a stack of its own. It runs until it waits for a
 * file descriptor, a time or another task; then the loop runs others. So a
 * conversation with a peer reads from top to bottom, and nothing changes under
 * a task but across its waits: after one, look anything up again by its id.
 */
#ifndef HKD_TASK_H
#define HKD_TASK_H

#include <stdbool.h>
#include <stdint.h>

struct task;

int loop_init(void);
/* returns after loop_stop() */
void loop_run(void);
void loop_stop(void);

int task_spawn(void (*fn)(void *arg), void *arg);
struct task *task_self(void);

/* milliseconds of a clock that never steps back */
uint64_t now_ms(void);
#define FOREVER	UINT64_MAX

/*
 * Wait for EPOLLIN, EPOLLOUT on @fd. Only one task may wait for one fd.
 * Return: the events, or -ETIMEDOUT.
 */
int task_poll(int fd, uint32_t events, uint64_t deadline);
/* Wait for task_wake(). Return: 0 or -ETIMEDOUT */
int task_wait(uint64_t deadline);
void task_wake(struct task *task);
/*
 * For a condition that anybody may make true: look at it, and as long as it does not
 * hold call task_wait_change(), which returns when some task has called task_changed()
 * after making such a condition true, or at the deadline. Nothing can come between
 * the look and the wait.
 */
void task_wait_change(uint64_t deadline);
void task_changed(void);
void task_sleep(uint64_t ms);

#endif /* HKD_TASK_H */
