// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's clock on this node: following the others, stepping all vCPUs at once
 *
 * fabric/gclock.h says when to step, and why that is enough. It is asked for every
 * message of a guest before the message is looked at, and for every heartbeat.
 *
 * A step must look as if all vCPUs here took it at one moment: else one with the
 * new offset could tell another one, by memory, of a time that is not yet there.
 *
 *	stepper, under clock_lock		runner of a vCPU
 *	---------------------------------	---------------------------------
 *	1. tsc_stale := true			a. look at tsc_stale, catch up
 *	   TIF_NOTIFY_SIGNAL on the runner	b. KVM_RUN: interrupts off,
 *	2. IPI to CPUs in guest mode, and	   mode := IN_GUEST_MODE,
 *	   wait for it				   look at TIF_NOTIFY_SIGNAL, enter
 *	3. offset += step			c. KVM_RUN returns: flag := 0, to a.
 *	4. tell the peers
 *
 * After 2 no vCPU is in guest mode: the flag was there before the IPI, so one that
 * was inside has come out, and none enters with it. KVM looks at the flag with
 * interrupts off and after it has set the mode, so either KVM sees the flag or 2 sees
 * the mode. A runner that takes the flag away (c) finds tsc_stale, which was set
 * before it; to catch up it needs clock_lock, so it does that after 4. Thus at 3
 * every vCPU is out, and each has the new offset when it next enters. A vCPU that is
 * halted, or waits for a page inside KVM_RUN, is left in peace: it is out, and sees
 * the flag on its way in.
 *
 * 4 comes before any guest code has run with the new offset, and the peers get it
 * before anything that such code could make this node send.
 *
 * A timer that was armed before a step ends as many ticks late as the step has.
 */
#include <linux/cpumask.h>
#include <linux/math64.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/workqueue.h>
#include <asm/tsc.h>
#include "vcpu.h"

/* Drift of tsc_drift_ppb is added this often */
#define DRIFT_MS	20

static_assert(HK_MAX_NODES <= HK_GCLOCK_NODES);

static unsigned int drift_ppb;
module_param_named(tsc_drift_ppb, drift_ppb, uint, 0600);
MODULE_PARM_DESC(tsc_drift_ppb,
		 "for tests only: let this host's TSC, as guests and peers see it, gain so many parts in 10^9");

/**
 * hk_node_tsc() - this node's TSC, as its peers and its guests are to see it
 * @node: node
 * Context: any.
 */
u64 hk_node_tsc(struct hk_node *node)
{
	u64 tsc = rdtsc_ordered();

	return tsc + READ_ONCE(node->tsc_drift);
}

static void ipi_done(void *unused)
{
}

/*
 * Steps 1 and 2. A vCPU may change its CPU meanwhile: then it has been out, and all
 * that is wanted is that it was, once, with the flag set.
 * Context: clock_lock held, sleeps for nothing but that.
 */
static void all_out(struct hk_vm *vm)
{
	struct hk_vcpus *vs = vm->vcpus;
	struct cpumask *mask = vm->node->clock_mask;
	unsigned long flags;
	u32 i;
	int cpu;

	lockdep_assert_held(&vm->node->clock_lock);
	cpumask_clear(mask);
	for (i = 0; i < vs->nr; i++) {
		struct hk_vcpu *hv = &vs->v[i];

		raw_spin_lock_irqsave(&hv->lock, flags);
		WRITE_ONCE(hv->tsc_stale, true);
		if (hv->runner && hv->vcpu && hv->res.state == HK_RES_HERE) {
			set_tsk_thread_flag(hv->runner, TIF_NOTIFY_SIGNAL);
			/* pairs with the barrier behind KVM's mode := IN_GUEST_MODE */
			smp_mb__after_atomic();
			cpu = READ_ONCE(hv->vcpu->cpu);
			if (READ_ONCE(hv->vcpu->mode) != OUTSIDE_GUEST_MODE &&
			    cpu >= 0)
				cpumask_set_cpu(cpu, mask);
		}
		raw_spin_unlock_irqrestore(&hv->lock, flags);
	}
	on_each_cpu_mask(mask, ipi_done, NULL, true);
}

static struct hk_wire_clock clock_body(struct hk_vm *vm, bool ask)
{
	struct hk_gclock *c = &vm->vcpus->clock;

	return (struct hk_wire_clock){
		.offset = cpu_to_le64(c->known ? c->offset : 0),
		.known = c->known,
		.ask = ask,
	};
}

static void step(struct hk_vm *vm, s64 by, bool late)
{
	struct hk_gclock *c = &vm->vcpus->clock;
	struct hk_wire_clock body;
	bool first = !c->known;

	all_out(vm);
	hk_gclock_step(c, by);
	body = clock_body(vm, false);
	hk_vcpus_bcast(vm, HK_MSG_VM_CLOCK, &body, sizeof(body));
	if (first)
		return;
	hk_vm_count(vm, CLOCK_STEPS);
	hk_vm_count_add(vm, CLOCK_STEPPED_TICKS, by);
	if (late)
		hk_vm_count(vm, CLOCK_LATE);
}

/**
 * hk_clock_heard() - a message has come: does the guest's clock have to be stepped?
 * @vm: VM; nothing happens when it is dead
 * @peer: sender, a member
 * @lead: see struct hk_msg
 * @rtt_min: likewise
 *
 * When this returns, the guest's clock here reads no less than it did at the sender
 * when the message left.
 * Context: process, sleeps; not for the network.
 */
void hk_clock_heard(struct hk_vm *vm, u16 peer, s64 lead, u64 rtt_min)
{
	struct hk_node *node = vm->node;
	struct hk_gclock *c = &vm->vcpus->clock;
	s64 by;

	if (!hk_gclock_behind(c, peer, lead, rtt_min, &by) || hk_vm_dead(vm))
		return;
	mutex_lock(&node->clock_lock);
	if (!hk_gclock_behind(c, peer, lead, rtt_min, &by))
		goto out;
	if (c->known && by > HK_GCLOCK_STEP_MAX)
		hk_vm_kill(vm, true,
			   "the TSC of node %u has jumped: the guest's clock there is %lld ticks ahead of node %u's",
			   peer, by, node->id);
	else
		step(vm, by, hk_gclock_gap(c, peer, lead) > 0);
out:
	mutex_unlock(&node->clock_lock);
}

/**
 * hk_clock_recv() - VM_CLOCK
 * @vm: VM
 * @peer: sender, a member
 * @msg: message, checked by hk_vcpu_msg_check()
 * Context: as hk_clock_heard().
 * Return: 0, or -EPROTO when the peer's clock was stepped back.
 */
int hk_clock_recv(struct hk_vm *vm, u16 peer, const struct hk_msg *msg)
{
	const struct hk_wire_clock *w = (const struct hk_wire_clock *)msg->body;
	struct hk_vcpus *vs = vm->vcpus;
	struct hk_gclock *c = &vs->clock;
	struct hk_msg *reply = NULL;
	int err = 0;

	if (w->ask) {
		reply = hk_msg_alloc(HK_MSG_VM_CLOCK, vm->id,
				     sizeof(struct hk_wire_clock), GFP_KERNEL);
		if (!reply) {
			hk_vm_kill(vm, true, "out of memory for the clock of node %u",
				   peer);
			return 0;
		}
	}
	mutex_lock(&vm->node->clock_lock);
	if (w->known)
		err = hk_gclock_told(c, peer, le64_to_cpu(w->offset));
	/* under the lock: an older offset must not go out behind a newer one */
	if (!err && reply && c->known && !(vs->clock_asked & hk_node_bit(peer))) {
		*(struct hk_wire_clock *)reply->body = clock_body(vm, false);
		hk_node_send(vm->node, peer, reply);
		reply = NULL;
	}
	if (w->ask)
		vs->clock_asked |= hk_node_bit(peer);
	mutex_unlock(&vm->node->clock_lock);
	hk_msg_free(reply);
	if (err)
		return -EPROTO;
	hk_clock_heard(vm, peer, msg->lead, msg->rtt_min);
	return 0;
}

/**
 * hk_clock_start() - a VM is known to this node now: exchange offsets
 * @vm: VM, to be found by its messages
 *
 * Of two members one is the later: the other one has the VM and answers, now or, when
 * its clock is not known yet, as soon as it is.
 * Context: process.
 */
void hk_clock_start(struct hk_vm *vm)
{
	struct hk_wire_clock body;

	mutex_lock(&vm->node->clock_lock);
	body = clock_body(vm, true);
	hk_vcpus_bcast(vm, HK_MSG_VM_CLOCK, &body, sizeof(body));
	mutex_unlock(&vm->node->clock_lock);
}

/**
 * hk_clock_take() - a vCPU's state is being applied: what its TSC is counted from
 * @hv: vCPU; its runner is current, which adds the result to the base
 * @delta: out: guest's clock minus this host's TSC
 * Return: 0, or -EAGAIN when the clock is not known yet.
 */
int hk_clock_take(struct hk_vcpu *hv, s64 *delta)
{
	struct hk_node *node = hv->vm->node;
	struct hk_gclock *c = &hv->vm->vcpus->clock;
	int err = -EAGAIN;

	mutex_lock(&node->clock_lock);
	if (c->known) {
		WRITE_ONCE(hv->tsc_stale, false);
		*delta = c->offset + node->tsc_drift;
		err = 0;
	}
	mutex_unlock(&node->clock_lock);
	return err;
}

/**
 * hk_clock_catch_up() - give a vCPU the steps that its KVM has not seen
 * @hv: resident vCPU, about to enter KVM_RUN; its runner is current
 * @file: its KVM file
 */
void hk_clock_catch_up(struct hk_vcpu *hv, struct file *file)
{
	s64 delta;

	if (!READ_ONCE(hv->tsc_stale) || hk_clock_take(hv, &delta))
		return;
	if (delta != hv->tsc_delta && hk_tsc_shift(hv, file, delta - hv->tsc_delta))
		hk_vm_kill(hv->vm, true, "vCPU %u: KVM refuses its TSC offset",
			   hv->index);
	hv->tsc_delta = delta;
}

/* A heartbeat: for all guests that the peer takes part in */
void hk_clock_heartbeat(struct hk_node *node, u16 peer, s64 lead, u64 rtt_min)
{
	struct hk_vm *vm;
	u32 next = 0;

	if (READ_ONCE(drift_ppb))
		queue_delayed_work(node->wq, &node->drift_work, 0);
	while ((vm = hk_vm_get_next(node, next))) {
		next = vm->id + 1;
		if (vm->members & hk_node_bit(peer))
			hk_clock_heard(vm, peer, lead, rtt_min);
		hk_vm_put(vm);
		if (!next)
			break;
	}
}

/*
 * tsc_drift_ppb: a crystal that is too fast. The guests' TSCs are moved for real, and
 * the stamps that peers get go with them, so that all the rest sees a fast TSC.
 */
static void drift_work(struct work_struct *work)
{
	struct hk_node *node = container_of(to_delayed_work(work), struct hk_node,
					    drift_work);
	u64 now = rdtsc_ordered(), since = node->drift_at;
	u32 ppb = READ_ONCE(drift_ppb), next = 0;
	struct hk_vm *vm;

	node->drift_at = ppb ? now : 0;
	if (!ppb)
		return;
	mutex_lock(&node->clock_lock);
	while ((vm = hk_vm_get_next(node, next))) {
		next = vm->id + 1;
		all_out(vm);
		hk_vm_put(vm);
		if (!next)
			break;
	}
	if (since)
		WRITE_ONCE(node->tsc_drift, node->tsc_drift +
			   mul_u64_u32_div(now - since, ppb, NSEC_PER_SEC));
	mutex_unlock(&node->clock_lock);
	queue_delayed_work(node->wq, &node->drift_work, msecs_to_jiffies(DRIFT_MS));
}

/**
 * hk_clock_init() - a node's part of this
 * @node: node
 * Return: 0 or -ENOMEM.
 */
int hk_clock_init(struct hk_node *node)
{
	if (!zalloc_cpumask_var(&node->clock_mask, GFP_KERNEL))
		return -ENOMEM;
	mutex_init(&node->clock_lock);
	INIT_DELAYED_WORK(&node->drift_work, drift_work);
	return 0;
}

/**
 * hk_clock_exit() - undo hk_clock_init()
 * @node: node without links
 */
void hk_clock_exit(struct hk_node *node)
{
	cancel_delayed_work_sync(&node->drift_work);
	mutex_destroy(&node->clock_lock);
	free_cpumask_var(node->clock_mask);
}
