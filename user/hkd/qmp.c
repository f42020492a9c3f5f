// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/qmp.c - what the VMM tells: why a guest stopped; and is told: to pause it
 */
#include <stdlib.h>
#include <string.h>
#include "vm.h"

struct qmp {
	uint32_t id;
	struct stream *s;
};

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

/* "return" or "error"; the first one is for qmp_capabilities, which has no number */
static void on_answer(struct vm *vm, struct json_object *obj)
{
	struct json_object *error = js_object(obj, "error");
	const char *desc = error ? js_str(error, "desc") : NULL;
	int64_t nr = js_int(obj, "id", 0);

	if (!error)
		vm->qmp_ready = true;
	if (nr != vm->qmp_asked)
		return;
	vm->qmp_answered = vm->qmp_asked;
	snprintf(vm->qmp_error, sizeof(vm->qmp_error), "%.150s",
		 !error ? "" : desc ? desc : "an error without a text");
}

static void follow(void *arg)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}\n";
	struct qmp *qmp = arg;
	char err[HK_ERR_LEN] = "";
	struct json_object *obj;
	struct stream *s = qmp->s;
	uint32_t id = qmp->id;
	struct vm *vm;

	free(qmp);
	while (!stream_read(s, &obj, FOREVER, err) && obj) {
		vm = vm_by_id(id);
		if (vm && vm->qmp == s) {
			if (js_object(obj, "QMP"))
				stream_write_line(s, hello, sizeof(hello) - 1,
						  now_ms() + 1000, err);
			else if (js_object(obj, "return") ||
				 js_object(obj, "error"))
				on_answer(vm, obj);
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

int qmp_follow(struct vm *vm, struct stream *s, char *err)
{
	struct qmp *qmp = malloc(sizeof(*qmp));

	if (qmp) {
		qmp->id = vm->info.id;
		qmp->s = s;
		vm->qmp = s;
		if (!task_spawn(follow, qmp))
			return 0;
		vm->qmp = NULL;
	}
	free(qmp);
	stream_free(s);
	return fail(err, "out of memory");
}

int qmp_quit(struct vm *vm, char *err)
{
	static const char quit[] = "{\"execute\":\"quit\"}\n";

	if (!vm->qmp || !vm->qmp_ready)
		return fail(err, "the VMM takes no commands");
	return stream_write_line(vm->qmp, quit, sizeof(quit) - 1,
				 now_ms() + 1000, err);
}

int qmp_command(uint32_t id, const char *command, uint64_t timeout_ms, char *err)
{
	uint64_t deadline = now_ms() + timeout_ms;
	struct vm *vm = vm_by_id(id);
	char line[128];
	uint32_t nr;
	int len;

	if (!vm || !vm->qmp || !vm->qmp_ready)
		return fail(err, "the VMM takes no commands");
	if (vm->qmp_answered != vm->qmp_asked)
		return fail(err, "the VMM has yet to answer the last command");
	nr = ++vm->qmp_asked;
	len = snprintf(line, sizeof(line), "{\"execute\":\"%s\",\"id\":%u}\n",
		       command, nr);
	if (stream_write_line(vm->qmp, line, (size_t)len, now_ms() + 1000, err))
		return -1;
	for (;;) {
		vm = vm_by_id(id);
		if (!vm || !vm->qmp)
			return fail(err, "the VMM has ended");
		if (vm->qmp_answered == nr)
			return vm->qmp_error[0] ? fail(err, "%s", vm->qmp_error) : 0;
		if (now_ms() >= deadline)
			return fail(err, "the VMM does not answer");
		task_wait_change(deadline);
	}
}
