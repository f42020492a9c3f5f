// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU lives here: running it, letting it go, taking it in
 *
 * The second half is the run loop of a replica's thread, which has no VMM behind
 * it: exits that need one go to the origin and come back as results.
 */
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/apicdef.h>
#include "../uapi/hyperkernel.h"
#include "compat/hk_kvm.h"
#include "vcpu.h"

/**
 * hk_vcpu_attention() - is there something to do before the guest may run on?
 * @hv: resident vCPU
 * Context: any; the answer may be old at once.
 * Return: true for a wish to move, a changed LAPIC, a dead guest.
 */
bool hk_vcpu_attention(struct hk_vcpu *hv)
{
	return READ_ONCE(hv->want) || READ_ONCE(hv->ident_check) ||
	       hk_vm_dead(hv->vm);
}

static bool hold_over(struct hk_vcpu *hv)
{
	u16 to = READ_ONCE(hv->want);

	return !atomic64_read(&hv->unaccepted) || READ_ONCE(hv->ident_check) ||
	       (to && (READ_ONCE(hv->ready) & hk_node_bit(to))) ||
	       hk_immediate_exit(hv->vcpu->run) || hk_vm_dead(hv->vm);
}

/**
 * hk_vcpu_hold() - wait until the INITs and SIPIs that a vCPU has raised were accepted
 * @hv: resident vCPU, its runner is current
 *
 * The wait ends early, and the next KVM_RUN does not enter the guest, when there is
 * something else to do: a wish to move is not held up (the vCPU waits on where it
 * goes), nor is a signal.
 * Context: process, sleeps, interruptible.
 */
void hk_vcpu_hold(struct hk_vcpu *hv)
{
	if (!atomic64_read(&hv->unaccepted))
		return;
	wait_event_interruptible(hv->wq, hold_over(hv));
	if (atomic64_read(&hv->unaccepted))
		hk_vcpu_self_kick();
}

/**
 * hk_vcpu_enter() - KVM_RUN, once
 * @hv: resident vCPU, its runner is current
 * @file: its KVM file
 *
 * With something to do the kick comes first: KVM then finishes the exit of last
 * time and the requests it has, but does not enter the guest. A wish that comes
 * later finds the runner set and kicks it.
 * Return: what KVM_RUN returned.
 */
long hk_vcpu_enter(struct hk_vcpu *hv, struct file *file)
{
	hk_vcpu_hold(hv);
	hk_clock_catch_up(hv, file);
	if (hk_vcpu_attention(hv))
		hk_vcpu_self_kick();
	return hk_kvm_vcpu_ioctl(file, KVM_RUN, 0);
}

/**
 * hk_vcpu_pending_eoi() - turn an EOI that KVM still keeps into an exit
 * @vcpu: KVM's object, about to leave; its runner is current
 *
 * The EOI of a level-triggered interrupt is a KVM request until the next entry. A
 * vCPU that is about to leave turns it into the exit that it would have become.
 * Return: true when kvm_run holds that exit now.
 */
bool hk_vcpu_pending_eoi(struct kvm_vcpu *vcpu)
{
	if (!kvm_test_request(KVM_REQ_IOAPIC_EOI_EXIT, vcpu))
		return false;
	kvm_clear_request(KVM_REQ_IOAPIC_EOI_EXIT, vcpu);
	vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
	vcpu->run->eoi.vector = vcpu->arch.pending_ioapic_eoi;
	return true;
}

/**
 * hk_vcpu_ident_sync() - tell the ghosts what the resident's LAPIC is called now
 * @hv: resident vCPU; its runner is current
 * @file: its KVM file
 *
 * Nothing happens unless KVM has made its map anew and the identity is another one.
 */
void hk_vcpu_ident_sync(struct hk_vcpu *hv, struct file *file)
{
	struct hk_wire_ident ident;

	if (!READ_ONCE(hv->ident_check))
		return;
	WRITE_ONCE(hv->ident_check, false);
	if (hk_ident_read(hv, file, &ident)) {
		hk_vm_kill(hv->vm, true, "vCPU %u: its LAPIC cannot be read",
			   hv->index);
		return;
	}
	if (!memcmp(&ident, &hv->ident, sizeof(ident)))
		return;
	hv->ident = ident;
	hk_vcpus_bcast(hv->vm, HK_MSG_VCPU_IDENT, &ident, sizeof(ident));
}

static void stat_handoff(struct hk_vm *vm, u64 ns, u32 bytes)
{
	atomic64_t *min = &vm->stat[HK_STAT_HANDOFF_NS_MIN];
	atomic64_t *max = &vm->stat[HK_STAT_HANDOFF_NS_MAX];
	s64 old = atomic64_read(min);

	hk_vm_count(vm, MOVES_OUT);
	hk_vm_count_add(vm, HANDOFF_NS, ns);
	hk_vm_count_add(vm, HANDOFF_BYTES, bytes);
	while ((!old || ns < old) && !atomic64_try_cmpxchg(min, &old, ns))
		;
	old = atomic64_read(max);
	while (ns > old && !atomic64_try_cmpxchg(max, &old, ns))
		;
}

static bool leaving(struct hk_vcpu *hv)
{
	return READ_ONCE(hv->res.state) == HK_RES_LEAVING;
}

/**
 * hk_vcpu_leave() - hand a resident vCPU to another node
 * @hv: vCPU, out of guest mode with no exit half done; its runner is current
 * @file: its KVM file
 * @to: target
 *
 * Waits for the target's answer: with it, or with the guest's death when a link
 * fails, the wait ends. Nothing of the vCPU is changed here before the target has
 * said that it runs there, so every failure just lets it run on.
 * Return: 0 when it is away now.
 */
int hk_vcpu_leave(struct hk_vcpu *hv, struct file *file, u16 to)
{
	struct hk_vm *vm = hv->vm;
	char why[HK_REASON_MAX] = "";
	struct hk_wire_state *s;
	struct hk_msg *msg;
	u64 begin, cookie;
	u32 bytes;
	u16 asker;

	hk_vcpu_want_take(hv, to, &asker, &cookie);
	if (!(READ_ONCE(hv->ready) & hk_node_bit(to))) {
		hk_vcpu_move_ended(hv, asker, cookie, EAGAIN,
				   "the target is not ready to run it");
		return -EAGAIN;
	}
	hk_vcpu_ident_sync(hv, file);
	begin = ktime_get_ns();
	if (hk_vcpu_step(hv, HK_RES_EV_LEAVE, to, 0, NULL) == HK_STEP_BAD)
		return -EINVAL;
	msg = hk_capture(hv, file, why);
	if (!msg)
		goto err_cancel;
	s = (struct hk_wire_state *)msg->body;
	s->seq = cpu_to_le32(hv->res.seq + 1);
	bytes = le32_to_cpu(msg->hdr.len);
	/* LEAVING: what would clear a bit is kept, and follows */
	s->unaccepted = cpu_to_le64(atomic64_read(&hv->unaccepted));
	if (hk_node_send(vm->node, to, msg)) {
		snprintf(why, sizeof(why), "no link to node %u", to);
		goto err_cancel;
	}
	wait_event_killable(hv->wq, !leaving(hv) || hk_vm_dead(vm));
	if (leaving(hv))
		return -ESHUTDOWN;
	if (READ_ONCE(hv->res.state) == HK_RES_HERE) {
		hk_vcpu_move_ended(hv, asker, cookie, EBUSY, hv->refusal);
		hk_vcpu_want_check(hv);
		return -EBUSY;
	}
	stat_handoff(vm, ktime_get_ns() - begin, bytes);
	hv->moves++;
	atomic64_set(&hv->unaccepted, 0);
	hk_silence(hv, file);
	hk_vcpu_move_ended(hv, asker, cookie, 0, "");
	hk_vcpu_want_check(hv);
	return 0;

err_cancel:
	hk_vcpu_step(hv, HK_RES_EV_CANCEL, 0, 0, NULL);
	hk_vcpu_move_ended(hv, asker, cookie, EIO, why);
	hk_vcpu_want_check(hv);
	return -EIO;
}

static struct hk_wire_ident ident_of_state(struct hk_vcpu *hv,
					   const struct hk_wire_state *s)
{
	const char *r = s->lapic.regs;

	return (struct hk_wire_ident){
		.vcpu = cpu_to_le32(hv->index),
		.apic_base = cpu_to_le64(s->sregs.apic_base),
		.id = cpu_to_le32(*(const u32 *)(r + APIC_ID)),
		.ldr = cpu_to_le32(*(const u32 *)(r + APIC_LDR)),
		.dfr = cpu_to_le32(*(const u32 *)(r + APIC_DFR)),
		.spiv = cpu_to_le32(*(const u32 *)(r + APIC_SPIV)),
	};
}

/**
 * hk_vcpu_arrive() - take in the vCPU whose state has arrived, or refuse it
 * @hv: vCPU in HK_RES_ARRIVING; its runner is current
 * @file: its KVM file
 */
void hk_vcpu_arrive(struct hk_vcpu *hv, struct file *file)
{
	char why[HK_REASON_MAX] = "";
	struct hk_wire_state *s;
	unsigned long flags;
	struct hk_msg *msg;
	int err;

	raw_spin_lock_irqsave(&hv->lock, flags);
	msg = hv->arriving;
	hv->arriving = NULL;
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (!msg) {
		hk_vm_kill(hv->vm, true, "vCPU %u arrives without its state",
			   hv->index);
		return;
	}
	err = hk_apply(hv, file, msg, why);
	if (err) {
		hk_silence(hv, file);
		hk_vcpu_step(hv, HK_RES_EV_APPLY_FAILED, 0, 0, why);
	} else {
		s = (struct hk_wire_state *)msg->body;
		hv->ident = ident_of_state(hv, s);
		atomic64_set(&hv->unaccepted, le64_to_cpu(s->unaccepted));
		hv->ident_stale = false;
		hk_vcpu_step(hv, HK_RES_EV_APPLIED, 0, 0, NULL);
		hv->moves++;
		hk_vm_count(hv->vm, MOVES_IN);
		hk_netlink_vcpu_event(hv->vm, hv->index, hv->vm->node->id);
	}
	hk_vcpu_want_check(hv);
	hk_msg_free(msg);
}

/* forget an exit that asked for data: the instruction runs again elsewhere */
static void abandon_exit(struct kvm_vcpu *vcpu)
{
	vcpu->arch.complete_userspace_io = NULL;
	vcpu->arch.pio.count = 0;
	vcpu->mmio_needed = 0;
}

/* send an exit to the origin's VMM and wait for the result */
static int forward_exit(struct hk_vcpu *hv, long result)
{
	struct kvm_run *run = hv->vcpu->run;
	struct hk_vm *vm = hv->vm;
	struct hk_wire_exit *w;
	struct hk_msg *msg;
	unsigned long flags;
	u32 pio = 0;

	if (run->exit_reason == KVM_EXIT_IO)
		pio = min_t(u32, run->io.size * run->io.count, 4096);
	msg = hk_msg_alloc(HK_MSG_VCPU_EXIT, vm->id, sizeof(*w) + pio, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	w = (struct hk_wire_exit *)msg->body;
	w->vcpu = cpu_to_le32(hv->index);
	w->result = cpu_to_le32(result);
	w->exit_reason = cpu_to_le32(run->exit_reason);
	w->flags = cpu_to_le16(run->flags);
	w->ready = run->ready_for_interrupt_injection;
	w->if_flag = run->if_flag;
	w->cr8 = cpu_to_le64(run->cr8);
	w->apic_base = cpu_to_le64(run->apic_base);
	w->pio_len = cpu_to_le32(pio);
	memcpy(w->u, run->padding, sizeof(w->u));
	memcpy(w + 1, hv->vcpu->arch.pio_data, pio);

	raw_spin_lock_irqsave(&hv->lock, flags);
	hv->exit_cookie++;
	w->cookie = cpu_to_le64(hv->exit_cookie);
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	hk_vm_count(vm, EXITS_SENT);
	if (hk_node_send(vm->node, vm->origin, msg))
		return -ENOTCONN;
	if (wait_event_killable(hv->wq, READ_ONCE(hv->exit) || hk_vm_dead(vm)))
		return -EINTR;
	raw_spin_lock_irqsave(&hv->lock, flags);
	msg = hv->exit;
	hv->exit = NULL;
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (!msg)
		return -ESHUTDOWN;
	w = (struct hk_wire_exit *)msg->body;
	if (le32_to_cpu(w->result) == ECANCELED) {
		abandon_exit(hv->vcpu);
	} else {
		memcpy(run->padding, w->u, sizeof(w->u));
		run->cr8 = le64_to_cpu(w->cr8);
		if (pio && le32_to_cpu(w->pio_len) == pio)
			memcpy(hv->vcpu->arch.pio_data, w + 1, pio);
	}
	hk_msg_free(msg);
	return 0;
}

/* the vCPU is resident on a replica: run it until it leaves or ends */
static int run_here(struct hk_vcpu *hv, struct file *file)
{
	struct hk_vm *vm = hv->vm;
	u16 to;
	long ret = hk_vcpu_enter(hv, file);

	if (ret == -EINTR || ret == -EAGAIN) {
		if (!hk_vcpu_eat_kick())
			return -EINTR;
		hk_vcpu_ident_sync(hv, file);
		to = READ_ONCE(hv->want);
		if (!to)
			return 0;
		if (hk_vcpu_pending_eoi(hv->vcpu))
			return forward_exit(hv, 0);
		hk_vcpu_leave(hv, file, to);
		return 0;
	}
	if (ret < 0) {
		hk_vm_kill(vm, true, "vCPU %u: KVM_RUN on node %u failed: %ld",
			   hv->index, vm->node->id, ret);
		return 0;
	}
	return forward_exit(hv, ret);
}

static bool ghost_work(struct hk_vcpu *hv)
{
	return READ_ONCE(hv->res.state) != HK_RES_AWAY ||
	       READ_ONCE(hv->ident_stale) || hk_vm_dead(hv->vm);
}

/**
 * hk_vcpu_ghost_ident() - give a ghost's LAPIC the identity that the resident's has
 * @hv: vCPU that lives elsewhere; its runner is current
 * @file: its KVM file
 */
void hk_vcpu_ghost_ident(struct hk_vcpu *hv, struct file *file)
{
	struct hk_wire_ident ident;
	unsigned long flags;

	raw_spin_lock_irqsave(&hv->lock, flags);
	ident = hv->ident;
	hv->ident_stale = false;
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (hk_ident_apply(hv, file, &ident))
		hk_vm_kill(hv->vm, true, "vCPU %u: its ghost refuses the LAPIC's identity",
			   hv->index);
}

static int replica_loop(struct hk_vcpu *hv, struct file *file)
{
	int err = 0;

	while (!hk_vm_dead(hv->vm)) {
		switch ((enum hk_res_state)READ_ONCE(hv->res.state)) {
		case HK_RES_HERE:
			err = run_here(hv, file);
			break;
		case HK_RES_ARRIVING:
			hk_vcpu_arrive(hv, file);
			break;
		case HK_RES_AWAY:
			if (READ_ONCE(hv->ident_stale))
				hk_vcpu_ghost_ident(hv, file);
			err = wait_event_interruptible(hv->wq, ghost_work(hv));
			if (err && hk_vcpu_eat_kick())
				err = 0;
			break;
		case HK_RES_LEAVING:
		case HK_RES_NR:
			/* hk_vcpu_leave() returns in this state at a death only */
			err = -ESHUTDOWN;
			break;
		}
		if (hk_vm_dead(hv->vm))
			break;
		if (err)
			return err == -EINTR || err == -ERESTARTSYS ? -EINTR : err;
	}
	return -ESHUTDOWN;
}

/**
 * hk_resident_run() - HK_IOC_REPLICA_RUN
 * @vm: VM
 * @arg: checked
 * @file: KVM file of the vCPU, belongs to current->mm
 *
 * May be called again after -EINTR: the vCPU stays where it is meanwhile.
 * Return: -EINTR; -EBUSY when another thread runs it; -ESHUTDOWN when the guest has
 * been stopped; other errno when an exit could not be sent.
 */
long hk_resident_run(struct hk_vm *vm, const struct hk_replica_vcpu *arg,
		     struct file *file)
{
	struct hk_vcpu *hv = &vm->vcpus->v[arg->index];
	struct hk_wire_vcpu ready = {
		.vcpu = cpu_to_le32(hv->index),
		.node = cpu_to_le16(vm->node->id),
	};
	unsigned long flags;
	bool first, busy;
	long ret;

	raw_spin_lock_irqsave(&hv->lock, flags);
	busy = hv->runner;
	first = !(hv->ready & hk_node_bit(vm->node->id));
	if (!busy) {
		hv->runner = current;
		hv->ready |= hk_node_bit(vm->node->id);
	}
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	if (busy)
		return -EBUSY;
	hv->scratch = arg->scratch;
	hk_kvm_no_async_halt(hv->vcpu->kvm);
	if (first)
		hk_vcpus_bcast(vm, HK_MSG_REPLICA_READY, &ready, sizeof(ready));
	ret = replica_loop(hv, file);
	hk_vcpu_set_runner(hv, NULL);
	hk_vcpu_eat_kick();
	if (ret != -ESHUTDOWN && fatal_signal_pending(current))
		hk_vm_kill(vm, true, "replica process on node %u was killed",
			   vm->node->id);
	return ret;
}
