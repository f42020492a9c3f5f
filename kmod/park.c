// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM's vCPU threads at the origin
 *
 * Unmodified QEMU calls KVM_RUN and other ioctls on vCPUs that may live elsewhere.
 * KVM_RUN of such a vCPU parks here; an exit that comes from where it lives is
 * given to QEMU as if it had happened here, and the next KVM_RUN sends the result
 * back. Any other ioctl first calls the vCPU home, and so does a signal for the thread.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include "../uapi/hyperkernel.h"
#include "compat/hk_kvm.h"
#include "vcpu.h"

static bool exit_reads(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return run->io.direction == KVM_EXIT_IO_IN;
	case KVM_EXIT_MMIO:
		return !run->mmio.is_write;
	}
	return false;
}

static bool msg_reads(const struct hk_wire_exit *w)
{
	struct kvm_run *run = NULL;

	switch (le32_to_cpu(w->exit_reason)) {
	case KVM_EXIT_IO:
		return w->u[offsetof(typeof(run->io), direction)] ==
		       KVM_EXIT_IO_IN;
	case KVM_EXIT_MMIO:
		return !w->u[offsetof(typeof(run->mmio), is_write)];
	}
	return false;
}

/* the result of an exit, to be followed by @pio bytes; without memory the guest ends */
static struct hk_msg *exit_done_new(struct hk_vcpu *hv, u64 cookie, u32 result, u32 pio)
{
	struct hk_wire_exit *w;
	struct hk_msg *msg;

	msg = hk_msg_alloc(HK_MSG_VCPU_EXIT_DONE, hv->vm->id, sizeof(*w) + pio,
			   GFP_KERNEL);
	if (!msg) {
		hk_vm_kill(hv->vm, true, "out of memory for the result of an exit");
		return NULL;
	}
	w = (struct hk_wire_exit *)msg->body;
	w->vcpu = cpu_to_le32(hv->index);
	w->cookie = cpu_to_le64(cookie);
	w->result = cpu_to_le32(result);
	w->pio_len = cpu_to_le32(pio);
	return msg;
}

/**
 * send_exit_done() - let the resident run on after an exit
 * @hv: vCPU
 * @kept: the exit itself when the VMM has not seen it yet, NULL: the VMM has
 *	served it, its kvm_run holds the result
 * @abandon: there is no result, forget the exit
 */
static void send_exit_done(struct hk_vcpu *hv, const struct hk_wire_exit *kept,
			   bool abandon)
{
	struct kvm_run *run = hv->vcpu->run;
	struct hk_wire_exit *w;
	struct hk_msg *msg;
	u32 pio = 0;

	if (!kept && !abandon && run->exit_reason == KVM_EXIT_IO)
		pio = min_t(u32, run->io.size * run->io.count, 4096);
	msg = exit_done_new(hv, hv->exit_cookie, abandon ? ECANCELED : 0, pio);
	if (!msg)
		return;
	w = (struct hk_wire_exit *)msg->body;
	if (kept) {
		w->exit_reason = kept->exit_reason;
		w->cr8 = kept->cr8;
		memcpy(w->u, kept->u, sizeof(w->u));
	} else {
		w->exit_reason = cpu_to_le32(run->exit_reason);
		w->cr8 = cpu_to_le64(run->cr8);
		memcpy(w->u, run->padding, sizeof(w->u));
		memcpy(w + 1, hv->vcpu->arch.pio_data, pio);
	}
	hk_node_send(hv->vm->node, hv->exit_from, msg);
}

/* would KVM have taken this write itself? An ioeventfd: the doorbell of a device */
static bool kvm_takes(struct kvm_vcpu *vcpu, const struct hk_wire_exit *w)
{
	const struct kvm_run *run = NULL;
	const typeof(run->mmio) *mmio = (const void *)w->u;
	const typeof(run->io) *io = (const void *)w->u;
	enum kvm_bus bus = KVM_MMIO_BUS;
	const void *from = mmio->data;
	gpa_t addr = mmio->phys_addr;
	u32 len = mmio->len;
	u64 data = 0;
	int idx, err;

	switch (le32_to_cpu(w->exit_reason)) {
	case KVM_EXIT_MMIO:
		if (!mmio->is_write)
			return false;
		break;
	case KVM_EXIT_IO:
		if (io->direction != KVM_EXIT_IO_OUT || io->count != 1 ||
		    le32_to_cpu(w->pio_len) < io->size)
			return false;
		bus = KVM_PIO_BUS;
		from = w + 1;
		addr = io->port;
		len = io->size;
		break;
	default:
		return false;
	}
	/* from a peer: KVM itself relies on a power of two, and on the alignment of @data */
	if (le32_to_cpu(w->result) || len > sizeof(data) || !is_power_of_2(len))
		return false;
	memcpy(&data, from, len);
	idx = srcu_read_lock(&vcpu->kvm->srcu);
	err = kvm_io_bus_write(vcpu, bus, addr, len, &data);
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	return !err;
}

/**
 * hk_park_doorbell() - serve an exit without the VMM, as KVM would have where it has it
 * @hv: vCPU, resident elsewhere
 * @peer: node where it is
 * @w: VCPU_EXIT, checked by hk_vcpu_msg_check()
 *
 * KVM's objects stay while hk_vcpus.lock is held, see hk_vcpus_detach().
 * Context: the link's receiver; sleeps.
 * Return: true when the vCPU has been told to run on.
 */
bool hk_park_doorbell(struct hk_vcpu *hv, u16 peer, const struct hk_wire_exit *w)
{
	struct hk_vcpus *vs = hv->vm->vcpus;
	struct hk_wire_exit *done;
	struct hk_msg *msg;
	bool taken = false;

	mutex_lock(&vs->lock);
	if (vs->kvm && hv->vcpu)
		taken = kvm_takes(hv->vcpu, w);
	mutex_unlock(&vs->lock);
	if (!taken)
		return false;
	hk_vm_count(hv->vm, EXITS_SERVED);
	hk_vm_count(hv->vm, DOORBELLS);
	msg = exit_done_new(hv, le64_to_cpu(w->cookie), 0, 0);
	if (msg) {
		done = (struct hk_wire_exit *)msg->body;
		done->exit_reason = w->exit_reason;
		done->cr8 = w->cr8;
		memcpy(done->u, w->u, sizeof(done->u));
		hk_node_send(hv->vm->node, peer, msg);
	}
	return true;
}

/* give QEMU an exit that happened elsewhere; Return: KVM_RUN's result there */
static long take_exit(struct hk_vcpu *hv, struct hk_msg *msg)
{
	const struct hk_wire_exit *w = (const struct hk_wire_exit *)msg->body;
	struct kvm_run *run = hv->vcpu->run;
	u32 pio = le32_to_cpu(w->pio_len);

	run->exit_reason = le32_to_cpu(w->exit_reason);
	run->flags = le16_to_cpu(w->flags);
	run->ready_for_interrupt_injection = w->ready;
	run->if_flag = w->if_flag;
	run->cr8 = le64_to_cpu(w->cr8);
	run->apic_base = le64_to_cpu(w->apic_base);
	memcpy(run->padding, w->u, sizeof(w->u));
	if (run->exit_reason == KVM_EXIT_IO) {
		/* QEMU follows this offset: never one that a peer made up */
		run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
		if ((u64)run->io.size * run->io.count > pio)
			run->io.count = run->io.size ? pio / run->io.size : 0;
		memcpy(hv->vcpu->arch.pio_data, w + 1, pio);
	}
	hk_vm_count(hv->vm, EXITS_SERVED);
	return (s32)le32_to_cpu(w->result);
}

static struct hk_msg *pop_exit(struct hk_vcpu *hv)
{
	unsigned long flags;
	struct hk_msg *msg;

	raw_spin_lock_irqsave(&hv->lock, flags);
	msg = hv->exit;
	hv->exit = NULL;
	raw_spin_unlock_irqrestore(&hv->lock, flags);
	return msg;
}

static long interrupted(struct hk_vcpu *hv)
{
	hv->vcpu->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

/* where the vCPU should go, HK_NODE_NONE: stay */
static u16 wanted(struct hk_vcpu *hv)
{
	u16 self = hv->vm->node->id, to = READ_ONCE(hv->want);

	if (!to)
		to = READ_ONCE(hv->place);
	if (to == self || !(READ_ONCE(hv->ready) & hk_node_bit(to)))
		return HK_NODE_NONE;
	return to;
}

/* an interrupt of the PIC is on its way in: only the VMM can deliver it */
static bool needs_vmm(struct kvm_vcpu *vcpu)
{
	return vcpu->run->request_interrupt_window ||
	       vcpu->arch.pending_external_vector != -1;
}

static bool park_over(struct hk_vcpu *hv)
{
	return READ_ONCE(hv->exit) || READ_ONCE(hv->ident_stale) ||
	       READ_ONCE(hv->res.state) != HK_RES_AWAY || hk_vm_dead(hv->vm);
}

/* Return: true: *@ret is the result of KVM_RUN; false: look again */
static bool run_at_home(struct hk_vcpu *hv, struct file *file, long *ret)
{
	struct kvm_vcpu *vcpu = hv->vcpu;
	struct kvm_run *run = vcpu->run;
	struct hk_msg *msg;
	u16 to;

	/* an exit that arrived while the vCPU was on its way home */
	msg = pop_exit(hv);
	if (msg) {
		*ret = take_exit(hv, msg);
		hk_msg_free(msg);
		return true;
	}
	hk_vcpu_hold(hv);
	to = wanted(hv);
	hk_clock_catch_up(hv, file);
	if (!to || hk_immediate_exit(run) || needs_vmm(vcpu)) {
		*ret = hk_kvm_vcpu_ioctl(file, KVM_RUN, 0);
		if (*ret != -EINTR || !hk_vcpu_eat_kick() ||
		    hk_immediate_exit(run))
			return true;
		hk_vcpu_ident_sync(hv, file);
		return false;
	}
	hk_vcpu_self_kick();
	*ret = hk_kvm_vcpu_ioctl(file, KVM_RUN, 0);
	if (*ret != -EINTR && *ret != -EAGAIN) {
		hk_vcpu_eat_kick();
		return true;
	}
	if (!hk_vcpu_eat_kick() || hk_immediate_exit(run))
		return true;
	if (hk_vcpu_pending_eoi(vcpu)) {
		*ret = 0;
		return true;
	}
	hk_vcpu_leave(hv, file, to);
	return false;
}

/*
 * Something makes KVM_RUN of a vCPU return that lives elsewhere: a signal of the VMM's. It
 * takes a vCPU whose KVM_RUN has returned for one that stands still, and when it is about
 * to pause the guest it relies on that. So the vCPU comes home first; the next KVM_RUN
 * sends it back. Such signals are rare where devices interrupt without the VMM's threads.
 */
static long interrupted_away(struct hk_vcpu *hv, struct file *file)
{
	return hk_park_recall(hv, file) == -EIO ? -EIO : interrupted(hv);
}

static bool park_away(struct hk_vcpu *hv, struct file *file, long *ret)
{
	struct kvm_run *run = hv->vcpu->run;
	struct hk_msg *msg;

	if (hv->exit_out) {
		hv->exit_out = false;
		send_exit_done(hv, NULL, false);
	}
	if (READ_ONCE(hv->ident_stale))
		hk_vcpu_ghost_ident(hv, file);
	if (hk_immediate_exit(run)) {
		*ret = interrupted_away(hv, file);
		return true;
	}
	if (needs_vmm(hv->vcpu)) {
		*ret = hk_park_recall(hv, file);
		return *ret;
	}
	if (wait_event_interruptible(hv->wq, park_over(hv))) {
		if (hk_vcpu_eat_kick() && !hk_immediate_exit(run))
			return false;
		*ret = interrupted_away(hv, file);
		return true;
	}
	if (READ_ONCE(hv->res.state) != HK_RES_AWAY)
		return false;
	msg = pop_exit(hv);
	if (!msg)
		return false;
	*ret = take_exit(hv, msg);
	hk_msg_free(msg);
	hv->exit_out = true;
	return true;
}

static bool all_placed(struct hk_vm *vm)
{
	struct hk_vcpus *vs = vm->vcpus;
	u32 i;

	for (i = 1; i < vs->nr; i++)
		if (READ_ONCE(vs->v[i].place) != vm->node->id &&
		    READ_ONCE(vs->v[i].res.state) != HK_RES_AWAY)
			return false;
	return true;
}

/*
 * The boot vCPU's first KVM_RUN: the guest starts when the other vCPUs are where
 * they belong, so that they live there from their SIPI on.
 */
static long start_gate(struct hk_vcpu *hv)
{
	struct hk_vm *vm = hv->vm;
	struct hk_vcpus *vs = vm->vcpus;
	long left;

	left = wait_event_interruptible_timeout(vs->wq, all_placed(vm) ||
						hk_vm_dead(vm),
						msecs_to_jiffies(HK_START_TIMEOUT_MS));
	if (left < 0)
		return hk_vcpu_eat_kick() ? -ERESTART : interrupted(hv);
	if (!left) {
		hk_vm_kill(vm, true,
			   "the other nodes did not take their vCPUs within %u ms",
			   HK_START_TIMEOUT_MS);
		return -EIO;
	}
	vs->started = true;
	hk_vm_set_running(vm);
	return 0;
}

static long park_loop(struct hk_vcpu *hv, struct file *file)
{
	struct hk_vm *vm = hv->vm;
	struct hk_vcpus *vs = vm->vcpus;
	long ret = -EIO;

	while (!hk_vm_dead(vm)) {
		bool over = false;

		if (!hv->index && !vs->started) {
			ret = start_gate(hv);
			if (ret == -ERESTART)
				continue;
			if (ret)
				return ret;
		}
		switch ((enum hk_res_state)READ_ONCE(hv->res.state)) {
		case HK_RES_HERE:
			over = run_at_home(hv, file, &ret);
			wake_up_all(&vs->wq);
			break;
		case HK_RES_ARRIVING:
			hk_vcpu_arrive(hv, file);
			break;
		case HK_RES_AWAY:
			over = park_away(hv, file, &ret);
			break;
		case HK_RES_LEAVING:
		case HK_RES_NR:
			/* a signal that kills ended the wait of hk_vcpu_leave() */
			return interrupted(hv);
		}
		if (over)
			return ret;
	}
	return -EIO;
}

/**
 * hk_park_run() - KVM_RUN of the VMM
 * @hv: vCPU
 * @file: its KVM file
 * @arg: argument of the ioctl
 * Return: as KVM_RUN; -EIO when the guest has been stopped.
 */
long hk_park_run(struct hk_vcpu *hv, struct file *file, unsigned long arg)
{
	struct hk_vm *vm = hv->vm;
	long ret;

	if (!hv->harvested) {
		ret = hk_config_harvest_vm(vm, hv->vcpu) ?:
		      hk_config_harvest_vcpu(hv, file);
		if (ret) {
			hk_vm_kill(vm, true,
				   "vCPU %u: its configuration cannot be read (%ld)",
				   hv->index, ret);
			return -EIO;
		}
		hv->harvested = true;
	}
	hk_vcpu_set_runner(hv, current);
	ret = park_loop(hv, file);
	hk_vcpu_set_runner(hv, NULL);
	hk_vcpu_eat_kick();
	return ret;
}

/* an exit that the VMM has not seen must not keep the vCPU from coming home */
static void answer_exit(struct hk_vcpu *hv)
{
	const struct hk_wire_exit *w;

	if (hv->exit_kept || !READ_ONCE(hv->exit))
		return;
	w = (const struct hk_wire_exit *)hv->exit->body;
	if (msg_reads(w)) {
		send_exit_done(hv, NULL, true);
		hk_msg_free(pop_exit(hv));
	} else {
		send_exit_done(hv, w, false);
		hv->exit_kept = true;
	}
}

static bool recall_over(struct hk_vcpu *hv)
{
	u8 state = READ_ONCE(hv->res.state);

	return state == HK_RES_HERE || state == HK_RES_ARRIVING ||
	       (READ_ONCE(hv->exit) && !hv->exit_kept) || hk_vm_dead(hv->vm);
}

/**
 * hk_park_recall() - call a vCPU home, for an ioctl of the VMM
 * @hv: vCPU
 * @file: its KVM file
 *
 * An exit that the resident waits for stands in the way. One that only writes is
 * answered at once and kept for the VMM's next KVM_RUN, before which the vCPU does
 * not run; one that reads is abandoned and the instruction runs again at home.
 *
 * The wish itself can be refused or overtaken by somebody else's, so it is
 * repeated until the vCPU is here; where it is under way already that does nothing.
 * Return: 0; -EIO when the guest has been stopped; -EINTR when killed.
 */
int hk_park_recall(struct hk_vcpu *hv, struct file *file)
{
	struct hk_vm *vm = hv->vm;
	bool asked = false;
	long left = 1;

	hk_vm_count(vm, RECALLS);
	hk_vcpu_set_runner(hv, current);
	while (left >= 0 && !hk_vm_dead(vm)) {
		u8 state = READ_ONCE(hv->res.state);

		if (state == HK_RES_HERE)
			break;
		if (state == HK_RES_ARRIVING) {
			hk_vcpu_arrive(hv, file);
			continue;
		}
		if (hv->exit_out) {
			hv->exit_out = false;
			send_exit_done(hv, NULL, exit_reads(hv->vcpu->run));
		}
		answer_exit(hv);
		if (!asked || !left) {
			hk_vcpu_send_move(hv, vm->node->id, true, HK_NODE_NONE, 0);
			asked = true;
		}
		left = wait_event_killable_timeout(hv->wq, recall_over(hv),
						   msecs_to_jiffies(HK_RECALL_AGAIN_MS));
	}
	hv->exit_kept = false;
	hk_vcpu_set_runner(hv, NULL);
	hk_vcpu_eat_kick();
	if (hk_vm_dead(vm))
		return -EIO;
	return left < 0 ? -EINTR : 0;
}

/**
 * hk_vcpu_on_ioctl() - an ioctl on a vCPU of a guest of ours
 * @vm: VM
 * @file: its KVM file
 * @cmd: ioctl
 * @arg: argument of the ioctl
 * Context: process, sleeps.
 * Return: KVM's; KVM_RUN: see hk_park_run().
 */
long hk_vcpu_on_ioctl(struct hk_vm *vm, struct file *file, unsigned int cmd,
		      unsigned long arg)
{
	struct kvm_vcpu *vcpu = file->private_data;
	struct hk_vcpu *hv;
	int err;

	/* a replica's process calls KVM for itself while it sets things up */
	if (vm->origin != vm->node->id || vcpu->kvm->mm != current->mm ||
	    !hk_mem_maps(vm, current->mm))
		return hk_kvm_vcpu_ioctl(file, cmd, arg);
	err = hk_vcpu_attach(vm, vcpu);
	if (err) {
		hk_vm_kill(vm, true,
			   "vCPU with APIC id %u does not fit VM of %u vCPUs (%d): it needs the in-kernel LAPIC and ids from 0 on without gaps",
			   vcpu->vcpu_id, vm->nr_vcpus, err);
		return hk_kvm_vcpu_ioctl(file, cmd, arg);
	}
	hv = hk_vcpu_of(vm, vcpu);
	if (cmd == KVM_RUN)
		return hk_park_run(hv, file, arg);
	if (READ_ONCE(hv->res.state) != HK_RES_HERE && !hk_vm_dead(vm) &&
	    _IOC_NR(cmd) != _IOC_NR(KVM_SET_SIGNAL_MASK)) {
		err = hk_park_recall(hv, file);
		if (err == -EINTR)
			return err;
	}
	return hk_kvm_vcpu_ioctl(file, cmd, arg);
}
