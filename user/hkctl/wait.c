// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/wait.c - hkctl vm wait: until a guest has ended
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include "hkctl.h"

struct wait {
	uint32_t id;
	bool dead;
	char reason[HK_REASON_LEN];
};

static void look(const struct hk_event *event, void *arg)
{
	struct wait *w = arg;

	if (event->kind != HK_CMD_VM_NTF || event->vm.id != w->id ||
	    event->vm.state != HK_VM_DEAD)
		return;
	w->dead = true;
	memcpy(w->reason, event->vm.reason, sizeof(w->reason));
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int vm_wait(const char *name, const char *seconds)
{
	struct wait w = { 0 };
	struct hk_events *events;
	struct hk_vm_info vm;
	struct hk_nl *nl;
	uint64_t limit = 0;
	int64_t end;
	int r;

	if (seconds && hk_parse_u64(seconds, 1, 1000000, &limit))
		return misused("\"%s\" is not a number of seconds", seconds);
	/* events first: what happens after the look is not missed */
	if (hk_events_open(&events, look, &w))
		return refused("%s", hk_nl_error(NULL));
	hk_events_nonblock(events);
	nl = kernel();
	if (!nl)
		return REFUSED;
	if (hk_vm_find(nl, name, &vm))
		return refused("%s", hk_nl_error(nl));
	w.id = vm.id;
	w.dead = vm.state == HK_VM_DEAD;
	memcpy(w.reason, vm.reason, sizeof(w.reason));
	end = now_ms() + (int64_t)limit * 1000;
	while (!w.dead) {
		struct pollfd p = {
			.fd = hk_events_fd(events), .events = POLLIN,
		};
		int64_t left = end - now_ms();

		if (limit && left <= 0)
			return refused("VM \"%s\" still runs after %s s", name,
				       seconds);
		if (poll(&p, 1, limit ? (int)left : -1) < 0 && errno != EINTR)
			return refused("poll: %s", strerror(errno));
		r = hk_events_read(events);
		if (r == -ENOBUFS && !hk_vm_find(nl, name, &vm) &&
		    vm.state == HK_VM_DEAD)
			break;
		if (r && r != -ENOBUFS && r != -EAGAIN)
			return refused("cannot read events: %s", strerror(-r));
	}
	pr_object(NULL);
	pr_str("vm-name", name);
	pr_str("reason", w.reason);
	pr_object_end();
	return DONE;
}
