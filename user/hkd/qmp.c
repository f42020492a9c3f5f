// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/qmp.c - what the VMM tells: why a guest stopped
 */
#include <string.h>
#include <sys/socket.h>
#include "vm.h"

static const char *words_for(const char *reason)
{
	static const struct {
		const char *qemu;
		const char *words;
	} tab[] = {
		{ "guest-shutdown", "guest powered off" },
		{ "guest-reset", "guest asked for a reset" },
		{ "guest-panic", "guest panicked" },
		{ "host-qmp-quit", "stopped by request" },
		{ "host-qmp-system-reset", "reset by request" },
		{ "host-signal", "stopped by a signal" },
		{ "host-error", "the VMM met an error" },
		{ "subsystem-reset", "guest asked for a reset" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++)
		if (!strcmp(tab[i].qemu, reason))
			return tab[i].words;
	return reason;
}

static void on_event(struct vm *vm, struct json_object *obj)
{
	struct json_object *data = js_object(obj, "data");
	const char *event = js_str(obj, "event");
	const char *reason = data ? js_str(data, "reason") : NULL;

	if (!event)
		return;
	if (!strcmp(event, "SHUTDOWN")) {
		if (!vm->why[0])
			snprintf(vm->why, sizeof(vm->why), "%.100s",
				 reason ? words_for(reason) : "shut down");
	} else if (!strcmp(event, "GUEST_PANICKED")) {
		snprintf(vm->why, sizeof(vm->why), "guest panicked");
	} else if (strcmp(event, "STOP") && strcmp(event, "RESUME") &&
		   strcmp(event, "RESET") && strcmp(event, "WATCHDOG")) {
		return;
	}
	log_info("VM %s: QMP event %.32s%s%.64s", vm->info.name, event,
		 reason ? ", " : "", reason ? reason : "");
}

static struct stream *connect_qmp(uint32_t id, char *err)
{
	uint64_t deadline = now_ms() + 60000;
	struct stream *s;
	struct vm *vm;
	char path[512];

	/* The VMM may take its time to get there. */
	for (;;) {
		vm = vm_by_id(id);
		if (!vm || !vm->pid || now_ms() >= deadline)
			return NULL;
		vmm_path(vm, "qmp", path, sizeof(path));
		s = stream_connect_unix(path, deadline, err);
		if (s)
			return s;
		task_sleep(100);
	}
}

void qmp_task(void *arg)
{
	uint32_t id = (uint32_t)(uintptr_t)arg;
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}\n";
	char err[HK_ERR_LEN] = "";
	struct json_object *obj;
	struct stream *s = connect_qmp(id, err);
	struct vm *vm = vm_by_id(id);

	if (!s || !vm) {
		stream_free(s);
		return;
	}
	vm->qmp = s;
	while (!stream_read(s, &obj, FOREVER, err) && obj) {
		vm = vm_by_id(id);
		if (vm && vm->qmp == s) {
			if (js_object(obj, "QMP"))
				stream_write_line(s, hello, sizeof(hello) - 1,
						  now_ms() + 1000, err);
			else if (js_object(obj, "return"))
				vm->qmp_ready = true;
			else
				on_event(vm, obj);
			task_changed();
		}
		json_object_put(obj);
	}
	vm = vm_by_id(id);
	if (vm && vm->qmp == s)
		vm->qmp = NULL;
	task_changed();
	while (s->users)
		task_wait_change(FOREVER);
	stream_free(s);
}

int qmp_quit(struct vm *vm, char *err)
{
	static const char quit[] = "{\"execute\":\"quit\"}\n";

	if (!vm->qmp || !vm->qmp_ready)
		return fail(err, "the VMM takes no commands");
	return stream_write_line(vm->qmp, quit, sizeof(quit) - 1,
				 now_ms() + 1000, err);
}
