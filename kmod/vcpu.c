// SPDX-License-Identifier: GPL-2.0
/*
 * VCPUs of a guest on this node: what they are, messages about them,
 * moving them
 *
 * Every vCPU exists in KVM on every member; one is resident, the others are
 * ghosts. migrate/residency.c says who may run it; park.c is the VMM's thread at
 * the origin, resident.c the run loop, capture.c the state, config.c what the
 * replicas' KVM must be told.
 *
 *   mover          origin             resident S            target T
 *     | VCPU_MOVE    |                    |                     |
 *     |------------->|  VCPU_MOVE         |                     |
 *     |              |------------------->| kick, capture       |
 *     |              |                    |  VCPU_STATE         |
 *     |              |                    |-------------------->| apply
 *     |              |       VCPU_TAKEN (to all members)        |
 *     |<-------------+--------------------+---------------------| run
 *     | VCPU_MOVED                        | kept interrupts     |
 *     |<----------------------------------| VCPU_IRQ ---------->|
 */
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>
#include "../migrate/state.h"
#include "../uapi/hyperkernel.h"
#include "compat/hk_file.h"
#include "vcpu.h"

/**
 * hk_vcpu_of() - our object of a KVM vCPU
 * @vm: VM that KVM runs in the vCPU's process
 * @vcpu: KVM's object
 * Context: any.
 * Return: vCPU, or NULL when the VM has none of that vcpu_id.
 */
struct hk_vcpu *hk_vcpu_of(struct hk_vm *vm, struct kvm_vcpu *vcpu)
{
	u32 i = vcpu->vcpu_id;

	return i < vm->vcpus->nr ? &vm->vcpus->v[i] : NULL;
}

/**
 * hk_vcpus_create() - the vCPUs of a new VM, all resident at the origin
 * @vm: VM; its place, origin and nr_vcpus are set
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM.
 */
int hk_vcpus_create(struct hk_vm *vm)
{
	struct hk_vcpus *vs;
	u32 i;

	vs = kvzalloc(struct_size(vs, v, vm->nr_vcpus), GFP_KERNEL_ACCOUNT);
	if (!vs)
		return -ENOMEM;
	vs->nr = vm->nr_vcpus;
	hk_gclock_init(&vs->clock, vm->node->id, vm->origin);
	mutex_init(&vs->lock);
	INIT_LIST_HEAD(&vs->sections);
	INIT_LIST_HEAD(&vs->movers);
	spin_lock_init(&vs->movers_lock);
	init_waitqueue_head(&vs->wq);
	for (i = 0; i < vs->nr; i++) {
		struct hk_vcpu *hv = &vs->v[i];

		hv->vm = vm;
		hv->index = i;
		raw_spin_lock_init(&hv->lock);
		init_waitqueue_head(&hv->wq);
		/* what tsc_drift_ppb has added before the guest begins is no drift to it */
		hv->tsc_delta = READ_ONCE(vm->node->tsc_drift);
		hv->tsc_stale = true;
		hv->place = vm->place[i];
		hv->ready = hk_node_bit(vm->origin);
		hv->res.node = vm->origin;
		hv->res.state = vm->origin == vm->node->id ? HK_RES_HERE :
							     HK_RES_AWAY;
	}
	vm->vcpus = vs;
	return 0;
}

/**
 * hk_vcpus_destroy() - free the vCPUs
 * @vm: VM; nothing happens when it has none
 *
 * The RAM device is closed and the VM out of all lists: no runner, no message.
 * Context: process, sleeps for a grace period.
 */
void hk_vcpus_destroy(struct hk_vm *vm)
{
	struct hk_vcpus *vs = vm->vcpus;
	u32 i;

	if (!vs)
		return;
	hk_vcpus_detach(vm, NULL);
	hk_hooks_del_obj(vm);
	for (i = 0; i < vs->nr; i++) {
		hk_msg_free(vs->v[i].arriving);
		hk_msg_free(vs->v[i].exit);
	}
	hk_config_free(vm);
	vm->vcpus = NULL;
	kvfree(vs);
}

/**
 * hk_vcpus_detach() - the process that has the KVM VM unmaps guest RAM: it ends
 * @vm: VM
 * @mm: its memory; NULL: whichever process it was
 *
 * KVM's objects may go any time; no hook uses them after this.
 * Context: sleeps; the process's mmap_lock may be held.
 */
void hk_vcpus_detach(struct hk_vm *vm, const struct mm_struct *mm)
{
	struct hk_vcpus *vs = vm->vcpus;
	unsigned long flags;
	u32 i;

	mutex_lock(&vs->lock);
	if (!vs->kvm || (mm && vs->mm != mm))
		goto out;
	hk_hooks_del_obj(vm);
	for (i = 0; i < vs->nr; i++) {
		struct hk_vcpu *hv = &vs->v[i];

		if (!hv->vcpu)
			continue;
		hk_hooks_del_obj(hv);
		raw_spin_lock_irqsave(&hv->lock, flags);
		hv->vcpu = NULL;
		raw_spin_unlock_irqrestore(&hv->lock, flags);
	}
	vs->kvm = NULL;
	vs->mm = NULL;
	vs->ended = true;
out:
	mutex_unlock(&vs->lock);
}

/**
 * hk_vcpus_closed() - nobody has the RAM device open any more
 * @vm: VM
 *
 * When KVM ran the guest in a process that has ended, and nobody (hkd holds the
 * device open to do so) has told why, the guest ends here.
 * Context: process, sleeps.
 */
void hk_vcpus_closed(struct hk_vm *vm)
{
	hk_vcpus_detach(vm, NULL);
	if (vm->vcpus->ended && !hk_vm_dead(vm))
		hk_vm_kill(vm, true, "%s on node %u has ended",
			   vm->origin == vm->node->id ? "the VMM" :
			   "the replica's process", vm->node->id);
	hk_hooks_del_obj(vm);
}

/**
 * hk_vcpu_attach() - make a KVM vCPU the local object of ours
 * @vm: VM
 * @vcpu: KVM's object
 * Context: process; called at the first ioctl (origin) or by the replica.
 * Return: 0; -EINVAL when it has no place in the VM; -EEXIST when another KVM VM
 * is attached.
 */
int hk_vcpu_attach(struct hk_vm *vm, struct kvm_vcpu *vcpu)
{
	struct hk_vcpu *hv = hk_vcpu_of(vm, vcpu);
	struct hk_vcpus *vs = vm->vcpus;
	unsigned long flags;
	int err = 0;

	if (!hv)
		return -EINVAL;
	if (READ_ONCE(hv->vcpu) == vcpu)
		return 0;
	mutex_lock(&vs->lock);
	if (!vs->kvm) {
		err = hk_hooks_add(HK_HOOK_KVM, vcpu->kvm, vm);
		if (!err) {
			vs->kvm = vcpu->kvm;
			vs->mm = vcpu->kvm->mm;
		}
	}
	if (!err && vs->kvm != vcpu->kvm)
		err = -EEXIST;
	if (!err && !hv->vcpu) {
		err = vcpu->arch.apic ?
		      hk_hooks_add(HK_HOOK_APIC, vcpu->arch.apic, hv) : -EINVAL;
		if (!err) {
			raw_spin_lock_irqsave(&hv->lock, flags);
			hv->vcpu = vcpu;
			raw_spin_unlock_irqrestore(&hv->lock, flags);
		}
	}
	mutex_unlock(&vs->lock);
	return err;
}

/**
 * hk_vcpu_running() - the vCPU that this thread runs
 * @vm: VM
 * Context: any.
 * Return: vCPU of @vm whose runner is current, or NULL.
 */
struct hk_vcpu *hk_vcpu_running(struct hk_vm *vm)
{
	struct hk_vcpus *vs = vm->vcpus;
	u32 i;

	for (i = 0; i < vs->nr; i++)
		if (READ_ONCE(vs->v[i].runner) == current)
			return &vs->v[i];
	return NULL;
}

/**
 * hk_vcpus_walking() - does KVM fault in a page for a walk of the guest's tables?
 * @vm: VM
 * Context: the thread that faults.
 * Return: true when it is a runner of this VM in such a fault.
 */
bool hk_vcpus_walking(struct hk_vm *vm)
{
	struct hk_vcpu *hv = hk_vcpu_running(vm);

	return hv && hv->walking;
}

/**
 * hk_vcpu_on_fault() - KVM begins or ends the handling of a nested page fault
 * @vm: VM
 * @vcpu: KVM's object
 * @walking: it begins, and the fault is one of a walk of the guest's page tables
 * Context: the runner; does not sleep.
 */
void hk_vcpu_on_fault(struct hk_vm *vm, struct kvm_vcpu *vcpu, bool walking)
{
	struct hk_vcpu *hv = hk_vcpu_of(vm, vcpu);

	if (hv)
		WRITE_ONCE(hv->walking, walking);
}

/*
 * Kicks. TIF_NOTIFY_SIGNAL makes KVM_RUN return -EINTR without a signal that user
 * space could see; immediate_exit is sampled on entry only, and a KVM request does
 * not leave KVM_RUN. The runner takes the flag away again, unless there is other
 * work behind it.
 */

/**
 * hk_vcpu_kick_locked() - make the runner leave KVM_RUN
 * @hv: vCPU, its lock held
 *
 * Whoever waits at @hv->wq is not woken: the caller does that after unlocking.
 * Context: any.
 */
void hk_vcpu_kick_locked(struct hk_vcpu *hv)
{
	if (hv->runner && hv->runner != current) {
		set_tsk_thread_flag(hv->runner, TIF_NOTIFY_SIGNAL);
		kick_process(hv->runner);
		if (hv->vcpu)
			kvm_vcpu_kick(hv->vcpu);
	}
}

/**
 * hk_vcpu_kick() - make the runner leave KVM_RUN, or wake it
 * @hv: vCPU, its lock not held
 * Context: any.
 */
void hk_vcpu_kick(struct hk_vcpu *hv)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&hv->lock, flags);
	hk_vcpu_kick_locked(hv);
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	wake_up_all(&hv->wq);
}

/**
 * hk_vcpu_self_kick() - make the next KVM_RUN of this thread return at once
 *
 * KVM still finishes the exit of last time.
 */
void hk_vcpu_self_kick(void)
{
	set_thread_flag(TIF_NOTIFY_SIGNAL);
}

/**
 * hk_vcpu_eat_kick() - take the flag of a kick away from this thread
 * Return: true when nothing but a kick of ours interrupted the thread; false: there
 * is a signal or other work, the flag stays.
 */
bool hk_vcpu_eat_kick(void)
{
	if (task_sigpending(current) || task_work_pending(current))
		return false;
	clear_notify_signal();
	return true;
}

/**
 * hk_vcpu_set_runner() - say which thread is to be kicked
 * @hv: vCPU
 * @task: current, or NULL when it is done
 * Context: process.
 */
void hk_vcpu_set_runner(struct hk_vcpu *hv, struct task_struct *task)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&hv->lock, flags);
	hv->runner = task;
	raw_spin_unlock_irqrestore(&hv->lock, flags);
}

/**
 * hk_vcpus_kill() - the guest is dead: wake parked threads, kick running ones
 * @vm: VM
 *
 * Waits for moves end, too.
 * Context: process.
 */
void hk_vcpus_kill(struct hk_vm *vm)
{
	struct hk_vcpus *vs = vm->vcpus;
	struct hk_mover *m;
	u32 i;

	if (!vs)
		return;
	spin_lock(&vs->movers_lock);
	list_for_each_entry(m, &vs->movers, list) {
		m->result = ESHUTDOWN;
		strscpy(m->text, "the guest has been stopped", sizeof(m->text));
		WRITE_ONCE(m->done, true);
	}
	spin_unlock(&vs->movers_lock);
	for (i = 0; i < vs->nr; i++)
		hk_vcpu_kick(&vs->v[i]);
	wake_up_all(&vs->wq);
}

/**
 * hk_vcpus_bcast() - send the same message to all other members
 * @vm: VM; killed when there is no memory
 * @type: enum hk_msg_type
 * @body: body, copied
 * @len: its bytes
 * Context: any; a vCPU's lock may be held.
 * Return: 0, -ENOMEM, or -ENOTCONN when a link is down (the others got theirs).
 */
int hk_vcpus_bcast(struct hk_vm *vm, u8 type, const void *body, u32 len)
{
	u16 self = vm->node->id, n;
	int err = 0;

	for (n = 1; n < HK_MAX_NODES; n++) {
		struct hk_msg *msg;

		if (n == self || !(vm->members & hk_node_bit(n)))
			continue;
		msg = hk_msg_alloc(type, vm->id, len, GFP_ATOMIC | __GFP_NOWARN);
		if (!msg) {
			hk_vm_kill(vm, true, "out of memory for a message to node %u", n);
			return -ENOMEM;
		}
		memcpy(msg->body, body, len);
		err = hk_node_send(vm->node, n, msg) ?: err;
	}
	return err;
}

/**
 * hk_vcpu_msg() - a message with a struct hk_wire_vcpu
 * @hv: vCPU
 * @type: enum hk_msg_type
 * @node: the body's node
 * @gfp: GFP_ATOMIC where needed
 * Return: message, the rest of its body zeroed, or NULL.
 */
struct hk_msg *hk_vcpu_msg(struct hk_vcpu *hv, u8 type, u16 node, gfp_t gfp)
{
	struct hk_msg *msg = hk_msg_alloc(type, hv->vm->id,
					  sizeof(struct hk_wire_vcpu), gfp);
	struct hk_wire_vcpu *body;

	if (!msg)
		return NULL;
	body = (struct hk_wire_vcpu *)msg->body;
	body->vcpu = cpu_to_le32(hv->index);
	body->node = cpu_to_le16(node);
	return msg;
}

static void tell_taken(struct hk_vcpu *hv)
{
	struct hk_wire_vcpu body = {
		.vcpu = cpu_to_le32(hv->index), .seq = cpu_to_le32(hv->res.seq),
		.node = cpu_to_le16(hv->vm->node->id),
	};

	hk_vcpus_bcast(hv->vm, HK_MSG_VCPU_TAKEN, &body, sizeof(body));
}

static void tell_refused(struct hk_vcpu *hv, u16 to, u32 seq, const char *text)
{
	struct hk_msg *msg = hk_vcpu_msg(hv, HK_MSG_VCPU_TAKEN, hv->vm->node->id,
					 GFP_ATOMIC | __GFP_NOWARN);
	struct hk_wire_vcpu *body;

	if (!msg) {
		hk_vm_kill(hv->vm, true, "out of memory for a refusal");
		return;
	}
	body = (struct hk_wire_vcpu *)msg->body;
	body->seq = cpu_to_le32(seq);
	body->result = EBUSY;
	strscpy(body->text, text ?: "", sizeof(body->text));
	hk_node_send(hv->vm->node, to, msg);
}

/**
 * hk_vcpu_step() - one step of the residency protocol, with its actions
 * @hv: vCPU
 * @ev: event
 * @peer: see enum hk_res_event
 * @seq: likewise
 * @text: reason of a refusal that this step may send
 *
 * Residency, kept interrupts and what is sent about them change under one lock.
 * Context: any.
 * Return: actions done, or HK_STEP_BAD when the event was impossible.
 */
unsigned int hk_vcpu_step(struct hk_vcpu *hv, enum hk_res_event ev, u16 peer,
			  u32 seq, const char *text)
{
	unsigned int act = 0;
	struct hk_irq irq;
	unsigned long flags;
	u64 waiters = 0;
	u16 source;
	int err;

	raw_spin_lock_irqsave(&hv->lock, flags);
	source = hv->res.node;
	err = hk_res_step(hv->vm->node->id, &hv->res, ev, peer, seq, &act);
	if (err) {
		raw_spin_unlock_irqrestore(&hv->lock, flags);
		return HK_STEP_BAD;
	}
	if (act & HK_RES_ACT_INJECT)
		while (hk_pending_next(&hv->pend, &irq)) {
			hk_irq_accept(hv, &irq);
			waiters |= irq.waiters;
		}
	if (act & HK_RES_ACT_TELL_TAKEN)
		tell_taken(hv);
	if (act & HK_RES_ACT_TELL_REFUSED) {
		if (ev == HK_RES_EV_APPLY_FAILED)
			tell_refused(hv, source, hv->res.seq + 1, text);
		else
			tell_refused(hv, peer, seq, text);
	}
	if (act & HK_RES_ACT_FORWARD)
		while (hk_pending_next(&hv->pend, &irq))
			hk_irq_send(hv, hv->res.node, &irq);
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (act & HK_RES_ACT_WAKE)
		wake_up_all(&hv->wq);
	hk_irq_accepted(hv, waiters);
	return act;
}

/**
 * hk_vcpu_info_get() - what dumps show of a vCPU
 * @vm: VM
 * @vcpu: index, below @vm->nr_vcpus
 * @info: out
 * Context: any.
 */
void hk_vcpu_info_get(struct hk_vm *vm, u32 vcpu, struct hk_vcpu_info *info)
{
	struct hk_vcpu *hv = &vm->vcpus->v[vcpu];
	unsigned long flags;

	raw_spin_lock_irqsave(&hv->lock, flags);
	info->moves = hv->moves;
	info->node = hv->res.node;
	switch ((enum hk_res_state)hv->res.state) {
	case HK_RES_HERE:
		info->state = hv->vcpu ? HK_VCPU_HERE : HK_VCPU_ABSENT;
		break;
	case HK_RES_LEAVING:
		info->state = HK_VCPU_LEAVING;
		info->node = vm->node->id;
		break;
	case HK_RES_ARRIVING:
	case HK_RES_AWAY:
	case HK_RES_NR:
		info->state = HK_VCPU_AWAY;
		break;
	}
	raw_spin_unlock_irqrestore(&hv->lock, flags);
}

/* VCPU_STATE: hand it to the runner, or say no at once */
static void recv_state(struct hk_vcpu *hv, u16 peer, struct hk_msg *msg)
{
	u32 seq = le32_to_cpu(((struct hk_wire_state *)msg->body)->seq);
	const char *no = "vCPU is resident there or in between";
	unsigned int act;
	unsigned long flags;
	bool can;

	raw_spin_lock_irqsave(&hv->lock, flags);
	can = hv->vcpu && !hv->arriving && hv->res.state == HK_RES_AWAY &&
	      (hv->ready & hk_node_bit(hv->vm->node->id));
	if (can)
		hv->arriving = msg;
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (!can) {
		raw_spin_lock_irqsave(&hv->lock, flags);
		tell_refused(hv, peer, seq, hv->vcpu ? no :
			     "no KVM vCPU there: is the replica running?");
		raw_spin_unlock_irqrestore(&hv->lock, flags);
		hk_msg_free(msg);
		return;
	}
	/* nobody looks at @arriving before the state says ARRIVING */
	act = hk_vcpu_step(hv, HK_RES_EV_STATE, peer, seq, "stale generation");
	if (act == HK_STEP_BAD || (act & HK_RES_ACT_TELL_REFUSED)) {
		raw_spin_lock_irqsave(&hv->lock, flags);
		hv->arriving = NULL;
		raw_spin_unlock_irqrestore(&hv->lock, flags);
		hk_msg_free(msg);
	}
}

static int recv_taken(struct hk_vcpu *hv, u16 peer, struct hk_wire_vcpu *w)
{
	u32 seq = le32_to_cpu(w->seq);
	unsigned long flags;
	unsigned int act;

	if (w->result) {
		raw_spin_lock_irqsave(&hv->lock, flags);
		strscpy(hv->refusal, w->text, sizeof(hv->refusal));
		raw_spin_unlock_irqrestore(&hv->lock, flags);
	}
	act = hk_vcpu_step(hv, w->result ? HK_RES_EV_REFUSED : HK_RES_EV_TAKEN,
			   peer, seq, NULL);
	if (act == HK_STEP_BAD)
		return -EPROTO;
	if (!w->result && act)
		hk_netlink_vcpu_event(hv->vm, hv->index, peer);
	wake_up_all(&hv->vm->vcpus->wq);
	return 0;
}

static int recv_exit(struct hk_vcpu *hv, u16 peer, struct hk_msg *msg)
{
	const struct hk_wire_exit *w = (const struct hk_wire_exit *)msg->body;
	bool done = msg->hdr.type == HK_MSG_VCPU_EXIT_DONE;
	bool origin = hv->vm->origin == hv->vm->node->id;
	unsigned long flags;
	int err = -EPROTO;

	if (done == origin || (done && peer != hv->vm->origin))
		return err;
	if (origin && READ_ONCE(hv->res.state) == HK_RES_AWAY && !READ_ONCE(hv->exit) &&
	    hk_park_doorbell(hv, peer, w)) {
		hk_msg_free(msg);
		return 0;
	}
	raw_spin_lock_irqsave(&hv->lock, flags);
	if (!hv->exit && (!done || le64_to_cpu(w->cookie) == hv->exit_cookie)) {
		hv->exit = msg;
		if (origin) {
			hv->exit_from = peer;
			hv->exit_cookie = le64_to_cpu(w->cookie);
		}
		err = 0;
	}
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (!err)
		wake_up_all(&hv->wq);
	return err;
}

static void recv_ident(struct hk_vcpu *hv, const struct hk_wire_ident *w)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&hv->lock, flags);
	if (hv->res.state == HK_RES_AWAY) {
		hv->ident = *w;
		hv->ident_stale = true;
	}
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	wake_up_all(&hv->wq);
}

/**
 * hk_vcpus_recv() - message about a vCPU or the configuration, from a member
 * @vm: VM
 * @peer: sender
 * @msg: consumed
 * @why: out, HK_REASON_MAX bytes, empty on entry: what is wrong with it
 * Context: the link's receiver; may sleep, does not wait for the network.
 * Return: 0; negative: the link must end.
 */
int hk_vcpus_recv(struct hk_vm *vm, u16 peer, struct hk_msg *msg, char *why)
{
	struct hk_vcpus *vs = vm->vcpus;
	u8 type = msg->hdr.type;
	unsigned long flags;
	struct hk_vcpu *hv;
	const char *what;
	int err;

	err = hk_vcpu_msg_check(type, msg->body, le32_to_cpu(msg->hdr.len),
				vm->nr_vcpus, &what);
	if (err) {
		snprintf(why, HK_REASON_MAX, "%s: %s", hk_msg_name(type), what);
		goto out;
	}
	if (hk_vm_dead(vm))
		goto out;
	if (type == HK_MSG_VM_CONFIG) {
		err = peer == vm->origin ? hk_config_recv(vm, msg) : -EPROTO;
		goto out_why;
	}
	if (type == HK_MSG_VM_CONFIG_ACK) {
		struct hk_wire_config_ack *a = (void *)msg->body;

		WRITE_ONCE(vs->acked[peer], le64_to_cpu(a->seq));
		wake_up_all(&vs->wq);
		goto out;
	}
	if (type == HK_MSG_VM_CLOCK) {
		err = hk_clock_recv(vm, peer, msg);
		goto out_why;
	}
	hv = &vs->v[le32_to_cpu(*(__le32 *)msg->body)];
	switch (type) {
	case HK_MSG_REPLICA_READY:
		raw_spin_lock_irqsave(&hv->lock, flags);
		hv->ready |= hk_node_bit(peer);
		hk_vcpu_kick_locked(hv);
		raw_spin_unlock_irqrestore(&hv->lock, flags);
		wake_up_all(&hv->wq);
		break;
	case HK_MSG_VCPU_STATE:
		recv_state(hv, peer, msg);
		return 0;
	case HK_MSG_VCPU_TAKEN:
		err = recv_taken(hv, peer, (void *)msg->body);
		break;
	case HK_MSG_VCPU_MOVE:
		err = hk_vcpu_recv_move(hv, (void *)msg->body);
		break;
	case HK_MSG_VCPU_MOVED:
		hk_vcpu_recv_moved(hv, (void *)msg->body);
		break;
	case HK_MSG_VCPU_IRQ:
		hk_irq_recv(hv, (void *)msg->body);
		break;
	case HK_MSG_VCPU_EXIT:
	case HK_MSG_VCPU_EXIT_DONE:
		err = recv_exit(hv, peer, msg);
		if (!err)
			return 0;
		break;
	case HK_MSG_VCPU_IDENT:
		recv_ident(hv, (void *)msg->body);
		break;
	}
out_why:
	if (err && !why[0])
		snprintf(why, HK_REASON_MAX, "%s does not fit the state",
			 hk_msg_name(type));
out:
	hk_msg_free(msg);
	return err;
}

/**
 * hk_vm_on_apic_map() - KVM has made its map of LAPIC identities anew
 * @vm: VM
 * @kvm: KVM's object
 *
 * Identities of LAPICs change in the vCPU's own thread only, so only the runner
 * of a resident vCPU has something to tell; it leaves guest mode at once and does.
 * Context: any that KVM calls from; does not sleep.
 */
void hk_vm_on_apic_map(struct hk_vm *vm, struct kvm *kvm)
{
	struct hk_vcpu *hv = hk_vcpu_running(vm);
	unsigned long flags;

	if (!hv)
		return;
	raw_spin_lock_irqsave(&hv->lock, flags);
	if (hv->res.state == HK_RES_HERE && hv->vcpu && hv->vcpu->kvm == kvm) {
		hv->ident_check = true;
		hk_vcpu_self_kick();
	}
	raw_spin_unlock_irqrestore(&hv->lock, flags);
}

/**
 * hk_vm_on_ioctl() - an ioctl on a KVM VM that runs a guest of ours
 * @vm: VM
 * @file: KVM's file
 * @cmd: ioctl
 * @arg: argument of the ioctl
 *
 * New memslots and routes go to the replicas before the VMM runs on.
 * Context: process, sleeps.
 * Return: KVM's.
 */
long hk_vm_on_ioctl(struct hk_vm *vm, struct file *file, unsigned int cmd,
		    unsigned long arg)
{
	long ret = hk_kvm_vm_ioctl(file, cmd, arg);

	if (ret || vm->origin != vm->node->id ||
	    READ_ONCE(vm->vcpus->kvm) != file->private_data ||
	    !READ_ONCE(vm->vcpus->base_sent) || hk_vm_dead(vm))
		return ret;
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(KVM_SET_USER_MEMORY_REGION):
	case 0x49:	/* KVM_SET_USER_MEMORY_REGION2 */
		hk_config_slots(vm);
		hk_config_wait(vm);
		break;
	case _IOC_NR(KVM_SET_GSI_ROUTING):
		hk_config_routes(vm);
		hk_config_wait(vm);
		break;
	}
	return ret;
}

static long replica_vm(struct hk_vm *vm, unsigned long arg)
{
	struct hk_replica_vm a;
	struct fd f;
	long ret = -EBADF;

	if (copy_from_user(&a, (void __user *)arg, sizeof(a)))
		return -EFAULT;
	if (a.size != sizeof(a) || vm->origin == vm->node->id)
		return -EINVAL;
	f = fdget(a.vm_fd);
	if (hk_fd_file(f) && hk_kvm_is_vm_file(hk_fd_file(f))) {
		struct kvm *kvm = hk_fd_file(f)->private_data;

		mutex_lock(&vm->vcpus->lock);
		if (kvm->mm != current->mm)
			ret = -EBADF;
		else if (vm->vcpus->kvm)
			ret = -EEXIST;
		else
			ret = hk_hooks_add(HK_HOOK_KVM, kvm, vm);
		if (!ret) {
			vm->vcpus->kvm = kvm;
			vm->vcpus->mm = kvm->mm;
		}
		mutex_unlock(&vm->vcpus->lock);
	}
	fdput(f);
	return ret;
}

static long replica_run(struct hk_vm *vm, unsigned long arg)
{
	struct hk_replica_vcpu a;
	struct kvm_vcpu *vcpu;
	struct fd f;
	long ret = -EBADF;

	if (copy_from_user(&a, (void __user *)arg, sizeof(a)))
		return -EFAULT;
	if (a.size != sizeof(a) || a.reserved || a.scratch_len < HK_SCRATCH_MIN ||
	    a.index >= vm->nr_vcpus || vm->origin == vm->node->id)
		return -EINVAL;
	f = fdget(a.vcpu_fd);
	if (!hk_fd_file(f) || !hk_kvm_is_vcpu_file(hk_fd_file(f)))
		goto out;
	vcpu = hk_fd_file(f)->private_data;
	ret = -EINVAL;
	if (vcpu->kvm->mm != current->mm || vcpu->kvm != vm->vcpus->kvm ||
	    vcpu->vcpu_id != a.index)
		goto out;
	ret = hk_vcpu_attach(vm, vcpu);
	if (!ret)
		ret = hk_resident_run(vm, &a, hk_fd_file(f));
out:
	fdput(f);
	return ret;
}

/**
 * hk_vcpus_ioctl() - what the RAM device leaves to the vCPUs
 * @vm: VM
 * @cmd: HK_IOC_CONFIG_NEXT, HK_IOC_REPLICA_VM, HK_IOC_REPLICA_RUN
 * @arg: user pointer
 * Context: process, sleeps, interruptible.
 * Return: 0 or negative errno; -ENOTTY for any other @cmd.
 */
long hk_vcpus_ioctl(struct hk_vm *vm, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case HK_IOC_CONFIG_NEXT:
		return hk_config_next(vm, (void __user *)arg);
	case HK_IOC_REPLICA_VM:
		return replica_vm(vm, arg);
	case HK_IOC_REPLICA_RUN:
		return replica_run(vm, arg);
	}
	return -ENOTTY;
}
