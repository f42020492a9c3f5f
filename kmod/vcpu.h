/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VCPUs of a guest on this node: inside of vcpu.c, irq.c, park.c,
 * resident.c, capture.c and config.c
 */
#ifndef HK_KMOD_VCPU_H
#define HK_KMOD_VCPU_H

#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include "../fabric/gclock.h"
#include "../migrate/msg.h"
#include "../migrate/pending.h"
#include "../migrate/residency.h"
#include "kvm_hooks.h"
#include "vm.h"

struct hk_replica_vcpu;

#define HK_VECTORS	256

/* the guest's start waits this long for vCPUs that start elsewhere */
#define HK_START_TIMEOUT_MS	20000
/* a move asked for by the user ends after this time, done or not */
#define HK_MOVE_TIMEOUT_MS	10000
/*
 * the VMM calls a vCPU home again after this time: its wish may have been refused,
 * or overtaken by somebody else's
 */
#define HK_RECALL_AGAIN_MS	500
/* a config section is applied by every replica within this time */
#define HK_CONFIG_TIMEOUT_MS	5000

/**
 * struct hk_vcpu - one vCPU of a guest, as this node sees it
 *
 * The runner is the thread inside KVM_RUN of this vCPU: the VMM's at the origin,
 * one of the replica's host process elsewhere. Only the runner touches KVM's
 * state of the vCPU.
 */
struct hk_vcpu {
	/** @vm: guest */
	struct hk_vm *vm;
	/** @index: KVM's vcpu_id */
	u32 index;
	/**
	 * @lock: raw, irq-safe: protects what follows down to @wq; inside it KVM
	 * may be asked to accept an interrupt and messages may be queued
	 */
	raw_spinlock_t lock;
	/** @res: residency */
	struct hk_res res;
	/** @pend: interrupts kept while in between */
	struct hk_pending pend;
	/** @vcpu: KVM's object here, NULL before it exists */
	struct kvm_vcpu *vcpu;
	/** @runner: thread that may be kicked, NULL while there is none */
	struct task_struct *runner;
	/**
	 * @unaccepted: vCPUs that have yet to accept an INIT or SIPI which this one
	 * raised, a bit each: it does not run on before. Set by the runner, cleared
	 * where it is resident; travels with its state
	 */
	atomic64_t unaccepted;
	/**
	 * @level: vectors whose last interrupt was level-triggered, see irq.c. Set
	 * under @lock where it is resident; by the runner when it arrives
	 */
	DECLARE_BITMAP(level, HK_VECTORS);
	/** @ready: nodes that can take this vCPU */
	u64 ready;
	/** @walking: KVM serves a fault of a page-table walk; the runner's own */
	bool walking;
	/** @want: where the resident is to send it, HK_NODE_NONE: nowhere */
	u16 want;
	/** @place: origin: where it should live when the VMM does not need it */
	u16 place;
	/** @asker: node to be told how the move to @want ended */
	u16 asker;
	/** @cookie: the asker's */
	u64 cookie;
	/** @arriving: VCPU_STATE to be applied */
	struct hk_msg *arriving;
	/** @refusal: why the target did not take it */
	char refusal[HK_REASON_MAX];
	/** @exit: origin: VCPU_EXIT that waits for the VMM; elsewhere: the DONE */
	struct hk_msg *exit;
	/** @exit_out: origin: the VMM is serving this exit, its header */
	bool exit_out;
	/** @exit_kept: origin: @exit has been answered, the VMM has yet to see it */
	bool exit_kept;
	/** @exit_from: origin: node that waits for the result */
	u16 exit_from;
	/** @exit_cookie: of the exit under way */
	u64 exit_cookie;
	/** @ident: identity of the LAPIC as last told or heard */
	struct hk_wire_ident ident;
	/** @ident_stale: the ghost's LAPIC must be set to @ident by the runner */
	bool ident_stale;
	/** @ident_check: resident: compare the LAPIC with @ident, tell the others */
	bool ident_check;
	/** @moves: handoffs that ended or began here */
	u64 moves;
	/** @wq: the runner and movers wait here */
	wait_queue_head_t wq;
	/** @scratch: runner: user memory for KVM's ioctls */
	unsigned long scratch;
	/** @harvested: origin: CPUID was sent to the replicas */
	bool harvested;
	/** @tsc_stale: @tsc_delta is old; the runner is to catch up before it enters */
	bool tsc_stale;
	/** @tsc_delta: what KVM's offset has of the guest's clock here; the runner's */
	s64 tsc_delta;
};

/**
 * struct hk_section - one section of the configuration, see enum hk_config_kind
 */
struct hk_section {
	/** @list: in hk_vcpus.sections */
	struct list_head list;
	/** @kind: enum hk_config_kind */
	u32 kind;
	/** @index: vCPU for HK_CONFIG_CPUID, else 0 */
	u32 index;
	/** @seq: number, grows */
	u64 seq;
	/** @len: bytes of @data */
	u32 len;
	/** @data: what the kind says */
	u8 data[];
};

/**
 * struct hk_mover - somebody waits for a move
 */
struct hk_mover {
	/** @list: in hk_vcpus.movers */
	struct list_head list;
	/** @cookie: names the move in messages */
	u64 cookie;
	/** @done: the answer has come */
	bool done;
	/** @result: 0 or a positive errno */
	int result;
	/** @text: why not */
	char text[HK_REASON_MAX];
};

/**
 * struct hk_vcpus - all vCPUs of a guest on this node
 */
struct hk_vcpus {
	/** @nr: entries in @v */
	u32 nr;
	/** @kvm: KVM VM here, once attached; compared and, by runners, used */
	struct kvm *kvm;
	/** @mm: memory of the process that has it, compared only */
	const struct mm_struct *mm;
	/** @ended: that process has come and gone */
	bool ended;
	/** @lock: attach, sections; no user memory is touched under it */
	struct mutex lock;
	/** @sections: struct hk_section, by seq */
	struct list_head sections;
	/** @seq: last section's number */
	u64 seq;
	/** @acked: origin: by node, sections applied there */
	u64 acked[HK_MAX_NODES];
	/** @wq: waiters for sections, acks, the start */
	wait_queue_head_t wq;
	/** @base_sent: origin: VM-wide sections were sent */
	bool base_sent;
	/** @started: origin: the start gate is open */
	bool started;
	/** @movers: struct hk_mover; under @movers_lock */
	struct list_head movers;
	/** @movers_lock: leaf; protects @movers */
	spinlock_t movers_lock;
	/** @cookies: for moves and exits */
	atomic64_t cookies;
	/** @clock: guest's clock here; changed under hk_node.clock_lock */
	struct hk_gclock clock;
	/** @clock_asked: nodes that asked for it; once each. hk_node.clock_lock */
	u64 clock_asked;
	/** @nr_msrs: entries of @msrs, 0 before the first capture */
	u32 nr_msrs;
	/** @msrs: MSRs that this host's KVM can both read and write */
	u32 msrs[HK_STATE_MSRS_MAX];
	/** @v: by index */
	struct hk_vcpu v[];
};

/* hk_vcpu_step(): the event was impossible in this state */
#define HK_STEP_BAD	(~0u)

/* vcpu.c */
struct hk_vcpu *hk_vcpu_of(struct hk_vm *vm, struct kvm_vcpu *vcpu);
struct hk_vcpu *hk_vcpu_running(struct hk_vm *vm);
int hk_vcpu_attach(struct hk_vm *vm, struct kvm_vcpu *vcpu);
void hk_vcpu_kick(struct hk_vcpu *hv);
bool hk_vcpu_eat_kick(void);
void hk_vcpu_self_kick(void);
void hk_vcpu_set_runner(struct hk_vcpu *hv, struct task_struct *task);
int hk_vcpus_bcast(struct hk_vm *vm, u8 type, const void *body, u32 len);
struct hk_msg *hk_vcpu_msg(struct hk_vcpu *hv, u8 type, u16 node, gfp_t gfp);
void hk_vcpu_kick_locked(struct hk_vcpu *hv);
unsigned int hk_vcpu_step(struct hk_vcpu *hv, enum hk_res_event ev, u16 peer,
			  u32 seq, const char *text);

/* irq.c */
void hk_irq_send(struct hk_vcpu *hv, u16 to, const struct hk_irq *irq);
void hk_irq_accept(struct hk_vcpu *hv, const struct hk_irq *irq);
void hk_irq_accepted(struct hk_vcpu *hv, u64 waiters);
void hk_irq_recv(struct hk_vcpu *hv, const struct hk_wire_irq *w);
void hk_irq_level_set(struct hk_vcpu *hv, const u32 *tmr);

/* move.c */
void hk_vcpu_want_take(struct hk_vcpu *hv, u16 to, u16 *asker, u64 *cookie);
void hk_vcpu_want_check(struct hk_vcpu *hv);
void hk_vcpu_move_ended(struct hk_vcpu *hv, u16 asker, u64 cookie, int result,
			const char *text);
void hk_vcpu_send_move(struct hk_vcpu *hv, u16 to, bool temporary, u16 asker,
		       u64 cookie);
int hk_vcpu_recv_move(struct hk_vcpu *hv, const struct hk_wire_vcpu *w);
void hk_vcpu_recv_moved(struct hk_vcpu *hv, const struct hk_wire_vcpu *w);

/* resident.c */
bool hk_vcpu_attention(struct hk_vcpu *hv);
void hk_vcpu_hold(struct hk_vcpu *hv);
int hk_vcpu_leave(struct hk_vcpu *hv, struct file *file, u16 to);
void hk_vcpu_arrive(struct hk_vcpu *hv, struct file *file);
void hk_vcpu_ident_sync(struct hk_vcpu *hv, struct file *file);
void hk_vcpu_ghost_ident(struct hk_vcpu *hv, struct file *file);
long hk_vcpu_enter(struct hk_vcpu *hv, struct file *file);
bool hk_vcpu_pending_eoi(struct kvm_vcpu *vcpu);
long hk_resident_run(struct hk_vm *vm, const struct hk_replica_vcpu *arg,
		     struct file *file);

/* clock.c */
int hk_clock_recv(struct hk_vm *vm, u16 peer, const struct hk_msg *msg);
int hk_clock_take(struct hk_vcpu *hv, s64 *delta);
void hk_clock_catch_up(struct hk_vcpu *hv, struct file *file);

/* park.c */
long hk_park_run(struct hk_vcpu *hv, struct file *file, unsigned long arg);
int hk_park_recall(struct hk_vcpu *hv, struct file *file);
bool hk_park_doorbell(struct hk_vcpu *hv, u16 peer, const struct hk_wire_exit *w);

/* capture.c */
struct hk_msg *hk_capture(struct hk_vcpu *hv, struct file *file, char *why);
int hk_apply(struct hk_vcpu *hv, struct file *file, const struct hk_msg *msg,
	     char *why);
void hk_silence(struct hk_vcpu *hv, struct file *file);
int hk_tsc_shift(struct hk_vcpu *hv, struct file *file, s64 by);
int hk_ident_read(struct hk_vcpu *hv, struct file *file,
		  struct hk_wire_ident *ident);
int hk_ident_apply(struct hk_vcpu *hv, struct file *file,
		   const struct hk_wire_ident *ident);
int hk_scratch_put_head(struct hk_vcpu *hv, const void *buf, size_t len);
long hk_scratch_get(struct hk_vcpu *hv, struct file *file, unsigned int cmd,
		    void *buf, size_t len);

/* config.c */
int hk_config_harvest_vm(struct hk_vm *vm, struct kvm_vcpu *vcpu);
int hk_config_harvest_vcpu(struct hk_vcpu *hv, struct file *file);
int hk_config_slots(struct hk_vm *vm);
int hk_config_routes(struct hk_vm *vm);
void hk_config_wait(struct hk_vm *vm);
int hk_config_recv(struct hk_vm *vm, const struct hk_msg *msg);
long hk_config_next(struct hk_vm *vm, void __user *arg);
void hk_config_free(struct hk_vm *vm);

#endif /* HK_KMOD_VCPU_H */
