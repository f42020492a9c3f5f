// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of a vCPU: to its LAPIC, to the node where it lives, or kept
 *
 * INIT and SIPI must come to a LAPIC in the order in which they were raised. One
 * that does not get to it at once stops the vCPU that raised it:
 *
 *   raiser X, on A          source S of Y          target T of Y
 *     | IRQ INIT, waiters X   |                      |
 *     |---------------------->| kept                 |
 *     | stands still          |  IRQ INIT, waiters X |
 *     |                       |--------------------->| LAPIC has it
 *     |         IRQ ACCEPTED for X, vector Y         |
 *     |<---------------------------------------------|
 *     | runs on, SIPI                                |
 *     |--------------------------------------------->|
 *
 * X waits before its next instruction, so whatever it raises after the INIT, and
 * whatever others raise because it told them of the INIT, is raised when the LAPIC
 * has the INIT, and comes later on any way. Without the wait a SIPI that knows of
 * the handoff overtakes an INIT that is kept. X itself may be handed over while it
 * waits: hk_vcpu.unaccepted is part of its state, and ACCEPTED finds it as any
 * interrupt does. Nothing else of X waits, so two vCPUs may send each other INIT.
 *
 * The EOI of a level-triggered interrupt must get to the VMM, or its IOAPIC never
 * raises the pin again. KVM lets the EOI of a vector out when an IOAPIC route has it
 * for this vCPU *now*; a guest that gives the pin to another vCPU while the interrupt
 * is on its way to, or in service in, the former one would lose it. On one host that
 * takes bad luck, between hosts the way is long. So each vCPU remembers how the last
 * interrupt of each vector was triggered, as its LAPIC's TMR does, and
 * the level-triggered ones are added to what KVM collects from the routes:
 *
 *   note_trigger(), any CPU              the vCPU's thread, in KVM
 *     set bit in hk_vcpu.level             clear all bits of handled
 *     barrier                              add those of the routes
 *     bit clear in handled?                barrier
 *       yes: ask for a scan, kick          add hk_vcpu.level: hk_vcpu_on_scan()
 *     LAPIC accepts
 *
 * Either the left side sees the bit cleared and asks for another scan, or the
 * right side sees the bit in hk_vcpu.level. What is asked for is done before the guest
 * is entered with the interrupt. (Where hardware posts interrupts into a running
 * guest, the kick is under way before the posting.)
 */
#include "vcpu.h"

/**
 * hk_irq_send() - pass an interrupt on to another node
 * @hv: vCPU that it is for, its lock held
 * @to: node
 * @irq: interrupt
 * Context: any.
 */
void hk_irq_send(struct hk_vcpu *hv, u16 to, const struct hk_irq *irq)
{
	struct hk_vm *vm = hv->vm;
	struct hk_wire_irq *body;
	struct hk_msg *msg;

	msg = hk_msg_alloc(HK_MSG_VCPU_IRQ, vm->id, sizeof(*body),
			   GFP_ATOMIC | __GFP_NOWARN);
	if (!msg) {
		hk_vm_kill(vm, true, "out of memory for an interrupt of vCPU %u",
			   hv->index);
		return;
	}
	body = (struct hk_wire_irq *)msg->body;
	body->vcpu = cpu_to_le32(hv->index);
	body->mode = cpu_to_le16(irq->mode);
	body->vector = irq->vector;
	body->level = irq->level;
	body->trig = irq->trig;
	body->waiters = cpu_to_le64(irq->waiters);
	hk_node_send(vm->node, to, msg);
	hk_vm_count(vm, IRQ_SENT);
}

static int keep_irq(struct hk_vcpu *hv, const struct hk_irq *irq)
{
	hk_vm_count(hv->vm, IRQ_QUEUED);
	if (!hk_pending_add(&hv->pend, irq))
		hk_vm_kill(hv->vm, true,
			   "vCPU %u: interrupt of unknown mode 0x%x during a handoff",
			   hv->index, irq->mode);
	return 1;
}

/* the LAPIC of the resident is about to accept an interrupt; its lock is held */
static void note_trigger(struct hk_vcpu *hv, const struct hk_irq *irq)
{
	struct kvm_vcpu *vcpu = hv->vcpu;

	if (irq->mode != HK_DM_FIXED && irq->mode != HK_DM_LOWEST)
		return;
	if (!irq->trig) {
		/* the vector has gone to another use, whose EOI need not leave KVM */
		if (test_bit(irq->vector, hv->level)) {
			clear_bit(irq->vector, hv->level);
			kvm_make_request(KVM_REQ_SCAN_IOAPIC, vcpu);
		}
		return;
	}
	set_bit(irq->vector, hv->level);
	/* pairs with the barrier in hk_vcpu_on_scan() */
	smp_mb__after_atomic();
	if (!test_bit(irq->vector, vcpu->arch.ioapic_handled_vectors)) {
		kvm_make_request(KVM_REQ_SCAN_IOAPIC, vcpu);
		kvm_vcpu_kick(vcpu);
	}
}

/**
 * hk_vcpu_on_scan() - KVM has collected the vectors whose EOI is to leave it
 * @vm: VM
 * @vcpu: KVM's object; current runs it
 * @handled: 256 bits, to be added to
 * Context: the runner; does not sleep.
 */
void hk_vcpu_on_scan(struct hk_vm *vm, struct kvm_vcpu *vcpu, unsigned long *handled)
{
	struct hk_vcpu *hv = hk_vcpu_of(vm, vcpu);

	if (!hv)
		return;
	/* pairs with the barrier in note_trigger() */
	smp_mb();
	bitmap_or(handled, handled, hv->level, HK_VECTORS);
}

/**
 * hk_irq_level_set() - which interrupts an arriving vCPU has had level-triggered
 * @hv: vCPU; its runner is current, and it is not resident yet
 * @tmr: trigger mode register of its LAPIC, 8 times 32 bits
 */
void hk_irq_level_set(struct hk_vcpu *hv, const u32 *tmr)
{
	bitmap_from_arr32(hv->level, tmr, HK_VECTORS);
	kvm_make_request(KVM_REQ_SCAN_IOAPIC, hv->vcpu);
}

/**
 * hk_irq_accept() - give an interrupt to the vCPU, which is resident here
 * @hv: vCPU, its lock held
 * @irq: interrupt; hk_irq_accepted() is to be told its waiters after unlocking
 * Context: any.
 */
void hk_irq_accept(struct hk_vcpu *hv, const struct hk_irq *irq)
{
	lockdep_assert_held(&hv->lock);
	if (irq->mode == HK_DM_ACCEPTED) {
		atomic64_andnot(BIT_ULL(irq->vector % 64), &hv->unaccepted);
	} else if (hv->vcpu) {
		note_trigger(hv, irq);
		hk_kvm_accept_irq(hv->vcpu, irq);
	}
}

/* an interrupt that comes from another node, or from this module */
static void take_irq(struct hk_vcpu *hv, const struct hk_irq *irq)
{
	unsigned long flags;
	u64 waiters = 0;

	raw_spin_lock_irqsave(&hv->lock, flags);
	switch ((enum hk_res_state)hv->res.state) {
	case HK_RES_HERE:
		hk_vm_count(hv->vm, IRQ_RECV);
		hk_irq_accept(hv, irq);
		waiters = irq->waiters;
		break;
	case HK_RES_LEAVING:
	case HK_RES_ARRIVING:
		keep_irq(hv, irq);
		break;
	case HK_RES_AWAY:
	case HK_RES_NR:
		hk_irq_send(hv, hv->res.node, irq);
		break;
	}
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (irq->mode == HK_DM_ACCEPTED)
		wake_up_all(&hv->wq);
	hk_irq_accepted(hv, waiters);
}

/**
 * hk_irq_accepted() - the LAPIC of a vCPU has an INIT or SIPI: let the raisers run on
 * @hv: vCPU that it was for; no vCPU's lock is held
 * @waiters: vCPUs that wait for it, a bit each
 * Context: any.
 */
void hk_irq_accepted(struct hk_vcpu *hv, u64 waiters)
{
	const struct hk_irq irq = {
		.mode = HK_DM_ACCEPTED, .vector = hv->index, .level = 1,
	};
	struct hk_vcpus *vs = hv->vm->vcpus;

	for (; waiters; waiters &= waiters - 1)
		take_irq(&vs->v[__ffs64(waiters)], &irq);
}

/**
 * hk_irq_recv() - VCPU_IRQ: an interrupt from another node
 * @hv: vCPU that it is for
 * @w: body, checked by hk_vcpu_msg_check()
 * Context: any.
 */
void hk_irq_recv(struct hk_vcpu *hv, const struct hk_wire_irq *w)
{
	const struct hk_irq irq = {
		.mode = le16_to_cpu(w->mode), .vector = w->vector,
		.level = w->level, .trig = w->trig,
		.waiters = le64_to_cpu(w->waiters),
	};

	take_irq(hv, &irq);
}

/*
 * The vCPU that runs in this thread has raised an INIT or SIPI for one that is not
 * resident here. It leaves guest mode before its next instruction, and hk_vcpu_hold()
 * keeps it out.
 */
static void raiser_waits(struct hk_vcpu *hv, struct hk_irq *irq)
{
	struct hk_vcpu *raiser = hk_vcpu_running(hv->vm);

	/* a device's message has no next step that could overtake it */
	if (!raiser || raiser == hv)
		return;
	irq->waiters = BIT_ULL(raiser->index);
	atomic64_or(BIT_ULL(hv->index), &raiser->unaccepted);
	hk_vcpu_self_kick();
}

/**
 * hk_vcpu_on_irq() - KVM is about to accept an interrupt for a local LAPIC
 * @hv: vCPU whose LAPIC it is
 * @irq: interrupt, without waiters
 * @deliver: the original, to be called with @data when the vCPU lives here
 * @data: for @deliver
 *
 * The lock is held over "look where it lives" and "deliver": a handoff flips
 * residency under the same lock, so no interrupt is delivered to a LAPIC whose
 * content has already been captured.
 * Context: any, interrupts maybe off.
 * Return: what @deliver returned; 1 (accepted) when the interrupt was kept, sent on or
 * means nothing.
 */
int hk_vcpu_on_irq(struct hk_vcpu *hv, const struct hk_irq *irq,
		   int (*deliver)(void *data), void *data)
{
	struct hk_irq away = *irq;
	unsigned long flags;
	int ret = 1;

	raw_spin_lock_irqsave(&hv->lock, flags);
	if (hv->res.state != HK_RES_HERE) {
		/* a guest can write any mode to its ICR: what means nothing ends here */
		if (!hk_irq_carried(irq->mode))
			goto out;
		if (hk_irq_ordered(irq))
			raiser_waits(hv, &away);
	}
	switch ((enum hk_res_state)hv->res.state) {
	case HK_RES_HERE:
		note_trigger(hv, irq);
		ret = deliver(data);
		break;
	case HK_RES_LEAVING:
	case HK_RES_ARRIVING:
		ret = keep_irq(hv, &away);
		break;
	case HK_RES_AWAY:
	case HK_RES_NR:
		hk_irq_send(hv, hv->res.node, &away);
		break;
	}
out:
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	return ret;
}
