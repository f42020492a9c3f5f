/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/vm.h - VMs that this node takes part in
 */
#ifndef HKD_VM_H
#define HKD_VM_H

#include <sys/types.h>
#include "hkd.h"

/**
 * struct vm - a VM, and the process this node runs for it
 * @next: in the list of all
 * @info: as given to the module; info.device as it answered
 * @config: at the origin: the request of vm create, for the VMM
 * @pid: VMM at the origin, replica host elsewhere; 0: none
 * @pidfd: of @pid
 * @dev_fd: at the origin: the RAM device, held so that the module hears of the
 *	end of the VMM from here, with the reason, and not by the last close
 * @started: the process was started once
 * @halting: this daemon ends the process: its end is no news
 * @ending: a task sees to it that the process ends
 * @starting: vm start is in work
 * @why: what the process had to say about its end
 * @qmp: connection to the VMM
 * @qmp_ready: the VMM takes commands
 * @qmp_asked: number of the last command, counts on
 * @qmp_answered: number of the last answer
 * @qmp_error: what that had to complain of, or ""
 * @stop_asked: vm stop
 */
struct vm {
	struct vm *next;
	struct hk_vm_info info;
	struct json_object *config;
	pid_t pid;
	int pidfd;
	int dev_fd;
	bool started;
	bool halting;
	bool ending;
	bool starting;
	bool stop_asked;
	char why[HK_REASON_LEN];
	struct stream *qmp;
	bool qmp_ready;
	uint32_t qmp_asked;
	uint32_t qmp_answered;
	char qmp_error[HK_REASON_LEN];
};

/*
 * vm.c: which VMs there are, on all members
 */
struct json_object *vm_create(struct json_object *req, struct stream *out,
			      char *err);
struct json_object *vm_delete(struct json_object *req, char *err);
struct json_object *vm_peer_request(uint16_t from, const char *cmd,
				    struct json_object *req, char *err);
/* -1 and the name of one in @err when a VM that is not dead is known here */
int vm_any_alive(char *err);
int vm_forget_all(char *err);
/* dead VMs of an origin that starts anew */
void vm_forget_of(uint16_t origin, char *err);
struct vm *vm_find(const char *text, char *err);
struct vm *vm_by_id(uint32_t id);
/* ask the same of every other member; @what ends up in front of refusals */
int vm_ask_members(const struct vm *vm, const char *cmd, bool only_up,
		   char *err);
/* events of the module */
void vm_event(const struct hk_vm_info *info);
/* look at all VMs anew, after events were lost */
void vm_resync(void);
/* end all processes, wait; at the end of the daemon */
void vm_shutdown(void);

/*
 * run.c: the process of a VM
 */
struct json_object *vm_start(struct json_object *req, struct stream *out,
			     char *err);
struct json_object *vm_stop(struct json_object *req, struct stream *out,
			    char *err);
/* @cmd: vm-pause or vm-resume */
struct json_object *vm_pause(const char *cmd, struct json_object *req, char *err);
int vm_start_replica(struct vm *vm, char *err);
/* SIGTERM after @grace_ms, SIGKILL 5 s later; returns when it has ended */
void vm_end_process(uint32_t id, uint64_t grace_ms);
/* the same in a task of its own */
void vm_end_process_later(struct vm *vm, uint64_t grace_ms);

/*
 * vmm.c: the VMM's command line; a NULL-terminated array for vmm_free_argv()
 */
char **vmm_argv(const struct vm *vm, int qmp_fd, char *err);
void vmm_free_argv(char **argv);
void vmm_path(const struct vm *vm, const char *suffix, char *buf, size_t len);

/* qmp.c: follow what comes on @s, as a task; takes @s over, also when it fails */
int qmp_follow(struct vm *vm, struct stream *s, char *err);
int qmp_quit(struct vm *vm, char *err);
/* a command without arguments, one at a time; returns when it has been answered */
int qmp_command(uint32_t id, const char *command, uint64_t timeout_ms, char *err);

/* child.c */
struct spawn {
	char *const *argv;
	int out_fd;	/* stdout and stderr, -1: inherited */
	int keep_fd;	/* one more, under the same number; 0: none */
};

pid_t child_spawn(const struct spawn *spawn, int *pidfd, char *err);
/* "exited with status 0", "was killed by signal 9 (Killed)" */
void child_describe(int status, char *buf, size_t len);

/* replica.c: the other program in this binary */
int replica_main(const char *device);

#endif /* HKD_VM_H */
