// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/run.c - the process of a VM: the VMM at the origin, the replica host
 * on the other members
 *
 * One task a process waits for its end, tells the module and cleans up. Others
 * look at vm.pid, which is 0 from then on. After a wait a VM is looked up again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vm.h"

#define VMM_START_MS	60000
#define KILL_AFTER_MS	5000
/* all vCPUs come home first, one after the other */
#define PAUSE_MS	30000

static void keep_last_line(uint32_t id, const char *line)
{
	struct vm *vm = vm_by_id(id);

	if (!vm)
		return;
	log_info("VM %s: %s", vm->info.name, line);
	snprintf(vm->why, sizeof(vm->why), "%.180s", line);
}

struct mind {
	uint32_t id;
	pid_t pid;
	int pidfd;
	struct stream *words;	/* of a replica host, or NULL */
	bool words_done;
};

static void read_words(void *arg)
{
	struct mind *mind = arg;
	char err[HK_ERR_LEN];
	const char *line;

	while (!stream_read_line(mind->words, &line, FOREVER, err) && line)
		keep_last_line(mind->id, line);
	mind->words_done = true;
	task_changed();
}

/* the last lines of the VMM's log, on one */
static void log_tail(const struct vm *vm, char *buf, size_t len)
{
	char path[512], text[161];
	ssize_t n = 0;
	off_t size;
	int fd, i;

	buf[0] = 0;
	vmm_path(vm, "log", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	size = lseek(fd, 0, SEEK_END);
	if (size > 0)
		n = pread(fd, text, sizeof(text) - 1,
			  size > 160 ? size - 160 : 0);
	close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	for (i = 0; i < n; i++)
		if (text[i] == '\n')
			text[i] = ' ';
	snprintf(buf, len, "%s", text);
}

static void report_end(struct vm *vm, int status)
{
	bool vmm = vm->info.origin == hkd.self;
	char how[96], reason[HK_REASON_LEN + 128], tail[161];

	child_describe(status, how, sizeof(how));
	if (vmm && !vm->why[0] && status) {
		log_tail(vm, tail, sizeof(tail));
		snprintf(vm->why, sizeof(vm->why), "%s", tail);
	}
	if (vmm)
		snprintf(reason, sizeof(reason), "VMM %s%s%.*s", how,
			 vm->why[0] ? ": " : "", 100,
			 vm->stop_asked ? "stopped by request" : vm->why);
	else
		snprintf(reason, sizeof(reason),
			 "replica host on node %u %s%s%.*s", hkd.self, how,
			 vm->why[0] ? ": " : "", 100, vm->why);
	log_info("VM %s: %s", vm->info.name, reason);
	if (vm->halting || vm->info.state == HK_VM_DEAD)
		return;
	if (hk_vm_kill(hkd.nl, vm->info.id, reason))
		log_error("VM %s: cannot end it: %s", vm->info.name,
			  hk_nl_error(hkd.nl));
}

static void mind_process(void *arg)
{
	struct mind *mind = arg;
	uint64_t deadline;
	int status = 0;
	struct vm *vm;

	while (task_poll(mind->pidfd, EPOLLIN, FOREVER) < 0)
		task_sleep(100);
	while (waitpid(mind->pid, &status, 0) < 0 && errno == EINTR)
		;
	/* Its last words are still on their way. */
	deadline = now_ms() + 1000;
	for (;;) {
		vm = vm_by_id(mind->id);
		if (now_ms() >= deadline || !vm ||
		    (mind->words ? mind->words_done : !vm->qmp))
			break;
		task_wait_change(deadline);
	}
	if (mind->words) {
		shutdown(mind->words->fd, SHUT_RDWR);
		while (!mind->words_done)
			task_wait_change(FOREVER);
		stream_free(mind->words);
	}
	vm = vm_by_id(mind->id);
	if (vm && vm->pid == mind->pid) {
		report_end(vm, status);
		if (vm->dev_fd >= 0)
			close(vm->dev_fd);
		vm->dev_fd = -1;
		vm->pid = 0;
		vm->pidfd = -1;
		if (vm->qmp)
			shutdown(vm->qmp->fd, SHUT_RDWR);
		vm->qmp = NULL;
		vm->qmp_ready = false;
		task_changed();
	}
	close(mind->pidfd);
	free(mind);
}

/* takes @words over */
static int mind_child(struct vm *vm, pid_t pid, int pidfd,
		      struct stream *words, char *err)
{
	struct mind *mind = calloc(1, sizeof(*mind));

	vm->pid = pid;
	vm->pidfd = pidfd;
	vm->started = true;
	vm->halting = false;
	vm->why[0] = 0;
	if (mind) {
		mind->id = vm->info.id;
		mind->pid = pid;
		mind->pidfd = pidfd;
		mind->words = words;
		if (words && task_spawn(read_words, mind))
			mind->words_done = true;
		if (!task_spawn(mind_process, mind))
			return 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pidfd);
	vm->pid = 0;
	return fail(err, "out of memory");
}

int vm_start_replica(struct vm *vm, char *err)
{
	char *argv[] = { "/proc/self/exe", "--replica", vm->info.device, NULL };
	struct spawn spawn = { .argv = argv };
	struct stream *words;
	int fd[2], pidfd;
	pid_t pid;

	if (vm->pid)
		return fail(err, "VM %s has a replica host already",
			    vm->info.name);
	if (vm->info.state == HK_VM_DEAD)
		return fail(err, "VM %s is dead: %s", vm->info.name,
			    vm->info.reason);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return fail(err, "socketpair: %s", strerror(errno));
	spawn.out_fd = fd[1];
	pid = child_spawn(&spawn, &pidfd, err);
	close(fd[1]);
	if (pid < 0) {
		close(fd[0]);
		return -1;
	}
	words = stream_new(fd[0], "replica host");
	if (!words) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(pidfd);
		return fail(err, "out of memory");
	}
	log_info("VM %s: replica host is process %d", vm->info.name, (int)pid);
	return mind_child(vm, pid, pidfd, words, err);
}

static int start_vmm(struct vm *vm, char *err)
{
	struct spawn spawn = { 0 };
	char path[512], **argv;
	int fd[2], pidfd, r = -1;
	struct stream *qmp;
	pid_t pid;

	/* Its end is there before the VMM is: nobody has to wait to connect. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return fail(err, "socketpair: %s", strerror(errno));
	qmp = stream_new(fd[0], "VMM");
	argv = vmm_argv(vm, fd[1], err);
	if (!qmp || !argv) {
		if (argv)
			fail(err, "out of memory");
		goto out;
	}
	vmm_path(vm, "log", path, sizeof(path));
	spawn.argv = argv;
	spawn.keep_fd = fd[1];
	spawn.out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND |
			    O_CLOEXEC, 0640);
	if (spawn.out_fd < 0) {
		fail(err, "%s: %s", path, strerror(errno));
		goto out;
	}
	pid = child_spawn(&spawn, &pidfd, err);
	close(spawn.out_fd);
	if (pid < 0)
		goto out;
	log_info("VM %s: VMM is process %d, its log is %s", vm->info.name,
		 (int)pid, path);
	vm->dev_fd = open(vm->info.device, O_RDWR | O_CLOEXEC);
	if (vm->dev_fd < 0)
		log_error("VM %s: %s: %s", vm->info.name, vm->info.device,
			  strerror(errno));
	r = mind_child(vm, pid, pidfd, NULL, err);
	if (!r) {
		/* Without it wait_vmm() gives up in the end. */
		qmp_follow(vm, qmp, err);
		qmp = NULL;
	}
out:
	close(fd[1]);
	stream_free(qmp);
	vmm_free_argv(argv);
	return r;
}

/* until it takes commands, or has ended */
static int wait_vmm(uint32_t id, char *err)
{
	uint64_t deadline = now_ms() + VMM_START_MS;
	struct hk_vm_info info;
	struct vm *vm;

	for (;;) {
		vm = vm_by_id(id);
		if (!vm)
			return fail(err, "the VM was deleted meanwhile");
		if (!vm->pid) {
			if (hk_vm_get(hkd.nl, id, &info) || !info.reason[0])
				return fail(err, "VM %s: the VMM ended at once",
					    vm->info.name);
			return fail(err, "VM %s: %s", vm->info.name,
				    info.reason);
		}
		if (vm->qmp_ready)
			return 0;
		if (now_ms() >= deadline) {
			vm_end_process_later(vm, 0);
			return fail(err, "VM %s: the VMM takes no commands",
				    vm->info.name);
		}
		task_wait_change(deadline);
	}
}

/* a command for the node where the VMM is */
static struct json_object *forward(struct vm *vm, const char *cmd,
				   uint64_t timeout_ms, char *err)
{
	struct json_object *req = json_object_new_object();

	js_add_str(req, "cmd", cmd);
	js_add_int(req, "id", vm->info.id);
	js_add_str(req, "name", vm->info.name);
	return peer_call(vm->info.origin, req, NULL, timeout_ms, err) ?
		NULL : json_object_new_object();
}

struct json_object *vm_start(struct json_object *req, struct stream *out,
			     char *err)
{
	struct vm *vm = vm_find(js_str(req, "name"), err);
	struct json_object *reply;
	struct hk_vm_info now;
	char text[HK_ERR_LEN];
	uint32_t id;
	int r;

	if (!vm)
		return NULL;
	/* An event may still be on its way. */
	if (!hk_vm_get(hkd.nl, vm->info.id, &now))
		vm_event(&now);
	if (vm->info.origin != hkd.self)
		return forward(vm, "vm-start", VMM_START_MS + 2 * RPC_MS, err);
	id = vm->info.id;
	if (vm->info.state == HK_VM_DEAD) {
		fail(err, "VM %s is dead (%.300s): hkctl vm delete it, and create it again",
		     vm->info.name, vm->info.reason);
		return NULL;
	}
	if (vm->pid || vm->starting) {
		fail(err, "VM %s has been started already", vm->info.name);
		return NULL;
	}
	vm->starting = true;
	vm->stop_asked = false;
	progress(out, "VM %s: starting the replica hosts", vm->info.name);
	r = vm_ask_members(vm, "vm-replica", false, err);
	vm = vm_by_id(id);
	if (!r && vm) {
		progress(out, "VM %s: starting the VMM", vm->info.name);
		r = start_vmm(vm, err);
	}
	if (r && vm && vm_ask_members(vm, "vm-halt", true, text))
		log_error("VM %s: %s", vm->info.name, text);
	if (!r)
		r = wait_vmm(id, err);
	vm = vm_by_id(id);
	if (vm)
		vm->starting = false;
	if (r || !vm)
		return NULL;
	reply = json_object_new_object();
	js_add_int(reply, "vm-id", id);
	js_add_int(reply, "pid", vm->pid);
	return reply;
}

/* true when it has ended */
static bool wait_end(uint32_t id, uint64_t ms)
{
	uint64_t deadline = now_ms() + ms;
	struct vm *vm;

	for (;;) {
		vm = vm_by_id(id);
		if (!vm || !vm->pid)
			return true;
		if (now_ms() >= deadline)
			return false;
		task_wait_change(deadline);
	}
}

/* By pidfd: the number cannot have become somebody else's. */
static void signal_process(uint32_t id, int sig)
{
	struct vm *vm = vm_by_id(id);

	if (!vm || !vm->pid)
		return;
	log_info("VM %s: signal %d (%s) to process %d", vm->info.name, sig,
		 strsignal(sig), (int)vm->pid);
	syscall(SYS_pidfd_send_signal, vm->pidfd, sig, NULL, 0);
}

void vm_end_process(uint32_t id, uint64_t grace_ms)
{
	if (wait_end(id, grace_ms))
		return;
	signal_process(id, SIGTERM);
	if (wait_end(id, KILL_AFTER_MS))
		return;
	signal_process(id, SIGKILL);
	wait_end(id, KILL_AFTER_MS);
}

struct later {
	uint32_t id;
	uint64_t grace_ms;
};

static void end_later(void *arg)
{
	struct later *later = arg;
	struct vm *vm;

	vm_end_process(later->id, later->grace_ms);
	vm = vm_by_id(later->id);
	if (vm)
		vm->ending = false;
	free(later);
}

void vm_end_process_later(struct vm *vm, uint64_t grace_ms)
{
	struct later *later;

	if (vm->ending)
		return;
	later = malloc(sizeof(*later));
	if (!later)
		return;
	later->id = vm->info.id;
	later->grace_ms = grace_ms;
	vm->ending = true;
	if (task_spawn(end_later, later)) {
		vm->ending = false;
		free(later);
	}
}

struct json_object *vm_stop(struct json_object *req, struct stream *out,
			    char *err)
{
	struct vm *vm = vm_find(js_str(req, "name"), err);
	char text[HK_ERR_LEN];
	uint64_t grace = 0;
	uint32_t id;

	if (!vm)
		return NULL;
	if (vm->info.origin != hkd.self)
		return forward(vm, "vm-stop", 4 * RPC_MS, err);
	id = vm->info.id;
	if (!vm->pid) {
		fail(err, "VM %s does not run (%s)", vm->info.name,
		     hk_vm_state_name(vm->info.state));
		return NULL;
	}
	vm->stop_asked = true;
	progress(out, "VM %s: stopping", vm->info.name);
	if (!qmp_quit(vm, text))
		grace = KILL_AFTER_MS;
	else
		log_info("VM %s: %s", vm->info.name, text);
	vm_end_process(id, grace);
	vm = vm_by_id(id);
	if (vm && vm->pid) {
		fail(err, "VM %s: process %d does not end, not even by SIGKILL",
		     vm->info.name, (int)vm->pid);
		return NULL;
	}
	return json_object_new_object();
}

struct json_object *vm_pause(const char *cmd, struct json_object *req, char *err)
{
	struct vm *vm = vm_find(js_str(req, "name"), err);

	if (!vm)
		return NULL;
	if (vm->info.origin != hkd.self)
		return forward(vm, cmd, PAUSE_MS + RPC_MS, err);
	if (!vm->pid) {
		fail(err, "VM %s does not run (%s)", vm->info.name,
		     hk_vm_state_name(vm->info.state));
		return NULL;
	}
	/* the VMM answers when its vCPUs stand still, wherever they were */
	if (qmp_command(vm->info.id, strcmp(cmd, "vm-pause") ? "cont" : "stop",
			PAUSE_MS, err))
		return NULL;
	return json_object_new_object();
}
