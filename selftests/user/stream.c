// SPDX-License-Identifier: GPL-2.0
/*
 * selftests/user/stream.c - lines over a socket, tasks and their waits
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../user/hkd/log.h"
#include "../../user/hkd/stream.h"
#include "../../user/hkd/task.h"
#include "tap.h"

static struct stream *a, *b;
static char err[HK_ERR_LEN], werr[HK_ERR_LEN];
static int write_result = 1;

static void pair(void)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		abort();
	a = stream_new(fd[0], "a");
	b = stream_new(fd[1], "b");
}

static void drop(void)
{
	stream_free(a);
	stream_free(b);
}

static void send_raw(const void *data, size_t len)
{
	if (send(a->fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		abort();
}

static void write_big(void *arg)
{
	size_t len = (size_t)(uintptr_t)arg;
	char *line = malloc(len);

	memset(line, 'x', len);
	line[len - 1] = '\n';
	write_result = stream_write_line(a, line, len, now_ms() + 2000, werr);
	free(line);
}

static void slow(void *arg)
{
	(void)arg;
	send_raw("{\"sl", 4);
	task_sleep(20);
	send_raw("ow\":1}", 6);
	task_sleep(20);
	send_raw("\n", 1);
}

static struct task *waiter;

static void waker(void *arg)
{
	(void)arg;
	task_sleep(10);
	task_wake(waiter);
}

static bool flag;

static void changer(void *arg)
{
	(void)arg;
	task_sleep(10);
	task_changed();		/* of something else */
	task_sleep(10);
	flag = true;
	task_changed();
}

static void watcher(void *arg)
{
	bool *seen = arg;

	while (!flag)
		task_wait_change(FOREVER);
	*seen = true;
	task_changed();
}

static void test_changes(void)
{
	uint64_t t = now_ms();
	bool seen[2] = { false, false };

	task_wait_change(now_ms() + 30);
	ok(now_ms() - t >= 29, "nothing changes, time-out");
	task_spawn(watcher, &seen[0]);
	task_spawn(watcher, &seen[1]);
	task_spawn(changer, NULL);
	while ((!seen[0] || !seen[1]) && now_ms() < t + 5000)
		task_wait_change(t + 5000);
	ok(seen[0] && seen[1] && flag, "all that watch see the change");
}

static void test_lines(void)
{
	struct json_object *obj;
	const char *line;
	char rest[8] = "";

	pair();
	send_raw("one\ntwo\nbinary", 14);
	ok(!stream_read_line(b, &line, now_ms() + 1000, err) &&
	   !strcmp(line, "one"), "first line");
	ok(!stream_read_line(b, &line, now_ms() + 1000, err) &&
	   !strcmp(line, "two"), "second line");
	ok(recv(b->fd, rest, sizeof(rest), MSG_DONTWAIT) == 6 &&
	   !memcmp(rest, "binary", 6), "what follows stays in the socket");

	task_spawn(slow, NULL);
	ok(!stream_read(b, &obj, now_ms() + 1000, err) &&
	   js_int(obj, "slow", 0) == 1, "a line that comes in pieces");
	json_object_put(obj);

	send_raw("not json\n", 9);
	ok(stream_read(b, &obj, now_ms() + 1000, err) && !obj &&
	   strstr(err, "malformed"), "malformed: %s", err);
	ok(stream_read_line(b, &line, now_ms() + 30, err) &&
	   strstr(err, "in time"), "time-out: %s", err);
	send_raw("half", 4);
	shutdown(a->fd, SHUT_WR);
	ok(stream_read_line(b, &line, now_ms() + 1000, err) &&
	   strstr(err, "middle"), "cut in the middle: %s", err);
	drop();

	pair();
	shutdown(a->fd, SHUT_WR);
	ok(!stream_read_line(b, &line, now_ms() + 1000, err) && !line,
	   "closed between lines");
	drop();
}

static void test_limits(void)
{
	const char *line;
	char junk[4096];
	unsigned int i;

	pair();
	task_spawn(write_big, (void *)(uintptr_t)HK_LINE_MAX);
	ok(!stream_read_line(b, &line, now_ms() + 2000, err) && line &&
	   strlen(line) == HK_LINE_MAX - 1, "the longest line");
	ok(write_result == 0, "was written");
	ok(stream_write_line(a, junk, HK_LINE_MAX + 1, now_ms() + 100, err),
	   "a longer one is not sent: %s", err);
	drop();

	pair();
	memset(junk, 'j', sizeof(junk));
	for (i = 0; i < HK_LINE_MAX / sizeof(junk) + 1; i++)
		send_raw(junk, sizeof(junk));
	ok(stream_read_line(b, &line, now_ms() + 2000, err) &&
	   strstr(err, "more than"), "nor taken: %s", err);
	drop();

	/* nobody reads: the writer must come back */
	pair();
	for (i = 0; i < 64; i++)
		if (stream_write_line(a, junk, sizeof(junk), now_ms() + 50,
				      err))
			break;
	ok(i < 64 && strstr(err, "does not take"), "a reader that sleeps: %s",
	   err);
	drop();
}

static void test_tasks(void)
{
	uint64_t t = now_ms();

	waiter = task_self();
	ok(task_wait(now_ms() + 30) == -ETIMEDOUT && now_ms() - t >= 29,
	   "wait for nothing");
	task_spawn(waker, NULL);
	ok(!task_wait(now_ms() + 2000), "woken");
	task_wake(waiter);
	ok(!task_wait(now_ms() + 2000), "woken before the wait");
}

static const char *const bad_addresses[] = {
	"", ":", ":1", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "host",
	"[::1", "[::1]x", "[]:1", "1.2.3.4.5", "1.2.3.4:7:8x",
};

static void test_addresses(void)
{
	struct sockaddr_storage sa;
	char text[96];
	unsigned int i;

	for (i = 0; i < sizeof(bad_addresses) / sizeof(bad_addresses[0]); i++)
		ok(address_parse(bad_addresses[i], &sa, err),
		   "no address: \"%s\"", bad_addresses[i]);
	ok(!address_parse("10.0.0.2", &sa, err) &&
	   (address_print(&sa, text, sizeof(text)),
	    !strcmp(text, "10.0.0.2:7117")), "default port");
	ok(!address_parse("10.0.0.2:99", &sa, err) &&
	   (address_print(&sa, text, sizeof(text)),
	    !strcmp(text, "10.0.0.2:99")), "port");
	ok(!address_parse("[fd00::1]:99", &sa, err) &&
	   (address_print(&sa, text, sizeof(text)),
	    !strcmp(text, "[fd00::1]:99")), "IPv6 and port");
	ok(!address_parse("fd00::1", &sa, err) &&
	   (address_print(&sa, text, sizeof(text)),
	    !strcmp(text, "[fd00::1]:7117")), "bare IPv6");
	ok(!address_parse("[::ffff:10.0.0.3]:5", &sa, err) &&
	   (address_print(&sa, text, sizeof(text)),
	    !strcmp(text, "10.0.0.3:5")), "mapped IPv4");
}

static void all(void *arg)
{
	(void)arg;
	test_tasks();
	test_changes();
	test_lines();
	test_limits();
	test_addresses();
	loop_stop();
}

int main(void)
{
	loop_init();
	task_spawn(all, NULL);
	loop_run();
	return tap_end();
}
