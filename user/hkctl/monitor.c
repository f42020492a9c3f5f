// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/monitor.c - hkctl monitor: events, one a line, as they come
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "hkctl.h"

static void print_event(const struct hk_event *event, void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	pr_object(NULL);
	pr_u64("time-ms", (uint64_t)ts.tv_sec * 1000 +
			  (uint64_t)ts.tv_nsec / 1000000);
	if (event->kind == HK_CMD_LINK_NTF) {
		pr_str("event", "link");
		pr_u64("peer-id", event->link.peer);
		pr_str("link-state", hk_link_state_name(event->link.state));
		if (event->link.reason[0])
			pr_str("reason", event->link.reason);
	} else if (event->kind == HK_CMD_PATH_NTF) {
		pr_str("event", "path");
		pr_u64("peer-id", event->path.peer);
		pr_u64("path-id", event->path.path);
		pr_str("path-state", hk_path_state_name(event->path.state));
		if (event->path.reason[0])
			pr_str("reason", event->path.reason);
	} else if (event->kind == HK_CMD_VM_NTF) {
		pr_str("event", "vm");
		pr_u64("vm-id", event->vm.id);
		if (event->vm.name[0])
			pr_str("vm-name", event->vm.name);
		pr_str("vm-state", hk_vm_state_name(event->vm.state));
		if (event->vm.reason[0])
			pr_str("reason", event->vm.reason);
	} else {
		pr_str("event", "vcpu");
		pr_u64("vm-id", event->vcpu.vm);
		pr_u64("vcpu", event->vcpu.vcpu);
		pr_u64("node-id", event->vcpu.node);
	}
	pr_object_end();
	pr_flush();
}

int do_monitor(int argc, char **argv)
{
	struct hk_events *events;
	int r;

	if (argc) {
		fputs("Usage: hkctl monitor\n", strcmp(argv[0], "help") ?
		      stderr : stdout);
		return strcmp(argv[0], "help") ? USAGE : DONE;
	}
	if (hk_events_open(&events, print_event, NULL))
		return refused("%s", hk_nl_error(NULL));
	for (;;) {
		r = hk_events_read(events);
		if (r == -ENOBUFS)
			refused("events came too fast, some were lost");
		else if (r)
			return refused("cannot read events: %s", strerror(-r));
	}
}
