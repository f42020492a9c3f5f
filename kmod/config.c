// SPDX-License-Identifier: GPL-2.0
/*
 * What the origin's KVM was told, for the replicas' KVM
 *
 * Not a log of calls but the state they led to: read from KVM at the first
 * KVM_RUN, when QEMU has set everything up, and again when memslots or routes
 * change. A section is sent whole and replaces the former one; the replica's host
 * process fetches sections in the order of their numbers and applies them with
 * plain KVM ioctls. Asking for the next one says that all before it are applied.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "../uapi/hyperkernel.h"
#include "vcpu.h"

/* Context: vs->lock held */
static void section_insert(struct hk_vcpus *vs, struct hk_section *s)
{
	struct hk_section *old, *tmp;

	lockdep_assert_held(&vs->lock);
	list_for_each_entry_safe(old, tmp, &vs->sections, list) {
		if (old->kind == s->kind && old->index == s->index) {
			list_del(&old->list);
			kvfree(old);
		}
	}
	list_add_tail(&s->list, &vs->sections);
}

static struct hk_section *section_alloc(u32 kind, u32 index, u32 len)
{
	struct hk_section *s = kvzalloc(struct_size(s, data, len), GFP_KERNEL);

	if (s) {
		s->kind = kind;
		s->index = index;
		s->len = len;
	}
	return s;
}

/* number a section, keep it and send it to all members; consumes it */
static int section_publish(struct hk_vm *vm, struct hk_section *s)
{
	struct hk_vcpus *vs = vm->vcpus;
	struct hk_wire_config *w;
	u32 len = sizeof(*w) + s->len;
	int err = -E2BIG;

	if (len > HK_WIRE_BODY_MAX) {
		kvfree(s);
		return err;
	}
	w = kvzalloc(len, GFP_KERNEL);
	if (!w) {
		kvfree(s);
		return -ENOMEM;
	}
	mutex_lock(&vs->lock);
	s->seq = ++vs->seq;
	w->kind = cpu_to_le32(s->kind);
	w->index = cpu_to_le32(s->index);
	w->seq = cpu_to_le64(s->seq);
	memcpy(w + 1, s->data, s->len);
	section_insert(vs, s);
	err = hk_vcpus_bcast(vm, HK_MSG_VM_CONFIG, w, len);
	mutex_unlock(&vs->lock);
	kvfree(w);
	return err;
}

static int publish_base(struct hk_vm *vm, struct kvm_vcpu *vcpu)
{
	struct kvm_arch *arch = &vcpu->kvm->arch;
	struct hk_config_base *base;
	struct hk_section *s;

	if (arch->irqchip_mode != KVM_IRQCHIP_SPLIT)
		return -EOPNOTSUPP;
	s = section_alloc(HK_CONFIG_BASE, 0, sizeof(*base));
	if (!s)
		return -ENOMEM;
	base = (struct hk_config_base *)s->data;
	base->irqchip_pins = arch->nr_reserved_ioapic_pins;
	base->x2apic_flags =
		(arch->x2apic_format ? KVM_X2APIC_API_USE_32BIT_IDS : 0) |
		(arch->x2apic_broadcast_quirk_disabled ?
		 KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK : 0);
	base->exception_payload = arch->exception_payload_enabled;
	base->triple_fault_event = arch->triple_fault_event;
	base->tsc_khz = vcpu->arch.virtual_tsc_khz;
	base->nr_vcpus = vm->nr_vcpus;
	base->mcg_cap = vcpu->arch.mcg_cap;
	return section_publish(vm, s);
}

/* Context: vs->lock held */
static void zap_tables(struct hk_vcpus *vs, struct kvm_vcpu *vcpu, u64 offset)
{
	const struct hk_config_slot *c;
	struct hk_section *s;
	u32 i;

	list_for_each_entry(s, &vs->sections, list) {
		if (s->kind != HK_CONFIG_SLOTS)
			continue;
		c = (const struct hk_config_slot *)s->data;
		for (i = 0; i < s->len / sizeof(*c); i++)
			if (offset >= c[i].offset &&
			    offset - c[i].offset < c[i].size)
				hk_kvm_zap_table(vcpu, (c[i].gpa + offset -
							c[i].offset) >> PAGE_SHIFT);
	}
}

/**
 * hk_vcpus_page_gone() - a page of guest RAM is leaving this node
 * @vm: VM
 * @gfn: page of guest RAM
 *
 * Where KVM shadows the guest's page tables it learns of changes by write-protecting
 * them; but the next change may be made on another node. So whatever it has made of
 * this page goes with the page. It reads the table anew, by way of a read copy, when
 * the guest needs it; a fault that has read the old entry meanwhile is caught by
 * KVM's own second look (gpte_changed()), which finds the page gone.
 *
 * Context: process; the page may be locked. Takes vs->lock, KVM's mmu_lock.
 */
void hk_vcpus_page_gone(struct hk_vm *vm, u64 gfn)
{
	struct hk_vcpus *vs = vm->vcpus;
	u32 i;

	if (!vs || !READ_ONCE(vs->kvm))
		return;
	mutex_lock(&vs->lock);
	for (i = 0; vs->kvm && i < vs->nr; i++) {
		if (!vs->v[i].vcpu)
			continue;
		zap_tables(vs, vs->v[i].vcpu, gfn << PAGE_SHIFT);
		break;
	}
	mutex_unlock(&vs->lock);
}

/**
 * hk_config_slots() - send the memslots that are guest RAM of ours
 * @vm: VM
 *
 * Others (ROM, VGA, PCI memory of the VMM) are left out: a gpa without a slot
 * exits as MMIO and is served by the origin's VMM.
 */
int hk_config_slots(struct hk_vm *vm)
{
	struct kvm *kvm = vm->vcpus->kvm;
	struct kvm_memory_slot *slot;
	struct hk_config_slot *c;
	struct hk_section *s;
	u32 nr = 0, max;
	int bkt, idx, i;

	/* collect under SRCU, translate addresses without it */
	max = (HK_WIRE_BODY_MAX - sizeof(struct hk_wire_config)) / sizeof(*c);
	s = section_alloc(HK_CONFIG_SLOTS, 0, max * sizeof(*c));
	if (!s)
		return -ENOMEM;
	c = (struct hk_config_slot *)s->data;
	idx = srcu_read_lock(&kvm->srcu);
	kvm_for_each_memslot(slot, bkt, kvm_memslots(kvm)) {
		if (nr == max)
			break;
		c[nr++] = (struct hk_config_slot){
			.gpa = slot->base_gfn << PAGE_SHIFT,
			.size = slot->npages << PAGE_SHIFT,
			.offset = slot->userspace_addr,
			.flags = slot->flags & KVM_MEM_READONLY,
			.slot = slot->id,
		};
	}
	srcu_read_unlock(&kvm->srcu, idx);
	for (i = 0; i < nr; ) {
		s64 offset = hk_mem_offset_of(vm, kvm->mm, c[i].offset);

		if (offset < 0 || offset + c[i].size > vm->ram_pages << PAGE_SHIFT)
			c[i] = c[--nr];
		else
			c[i++].offset = offset;
	}
	s->len = nr * sizeof(*c);
	return section_publish(vm, s);
}

/* a route of KVM's in the form that KVM_SET_GSI_ROUTING takes */
static bool route_of(const struct kvm_kernel_irq_routing_entry *e,
		     struct kvm_irq_routing_entry *r)
{
	*r = (struct kvm_irq_routing_entry){ .gsi = e->gsi, .type = e->type };
	switch (e->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		r->u.irqchip.irqchip = e->irqchip.irqchip;
		r->u.irqchip.pin = e->irqchip.pin;
		return true;
	case KVM_IRQ_ROUTING_MSI:
		r->flags = e->msi.flags;
		r->u.msi.address_lo = e->msi.address_lo;
		r->u.msi.address_hi = e->msi.address_hi;
		r->u.msi.data = e->msi.data;
		if (e->msi.flags & KVM_MSI_VALID_DEVID)
			r->u.msi.devid = e->msi.devid;
		return true;
	}
	return false;
}

/**
 * hk_config_routes() - send the interrupt routes that KVM has now
 * @vm: VM
 *
 * A replica injects nothing by them; from the IOAPIC's among them its KVM knows
 * of which vectors an EOI must leave the kernel.
 */
int hk_config_routes(struct hk_vm *vm)
{
	struct kvm *kvm = vm->vcpus->kvm;
	struct kvm_kernel_irq_routing_entry *e;
	struct kvm_irq_routing_table *table;
	struct kvm_irq_routing *r;
	struct hk_section *s;
	u32 max, i;
	int idx;

	max = (HK_WIRE_BODY_MAX - sizeof(struct hk_wire_config) - sizeof(*r)) /
	      sizeof(r->entries[0]);
	s = section_alloc(HK_CONFIG_ROUTES, 0, struct_size(r, entries, max));
	if (!s)
		return -ENOMEM;
	r = (struct kvm_irq_routing *)s->data;
	idx = srcu_read_lock(&kvm->irq_srcu);
	table = srcu_dereference(kvm->irq_routing, &kvm->irq_srcu);
	for (i = 0; table && i < table->nr_rt_entries; i++)
		hlist_for_each_entry(e, &table->map[i], link)
			if (r->nr < max && route_of(e, &r->entries[r->nr]))
				r->nr++;
	srcu_read_unlock(&kvm->irq_srcu, idx);
	s->len = struct_size(r, entries, r->nr);
	return section_publish(vm, s);
}

/**
 * hk_config_harvest_vm() - send the VM-wide sections, once, before a vCPU runs
 * @vm: VM
 * @vcpu: any vCPU of it
 * Context: process, sleeps.
 * Return: 0 or negative errno.
 */
int hk_config_harvest_vm(struct hk_vm *vm, struct kvm_vcpu *vcpu)
{
	struct hk_vcpus *vs = vm->vcpus;
	bool first;

	mutex_lock(&vs->lock);
	first = !vs->base_sent;
	vs->base_sent = true;
	mutex_unlock(&vs->lock);
	if (!first)
		return 0;
	hk_kvm_no_async_halt(vcpu->kvm);
	return publish_base(vm, vcpu) ?: hk_config_slots(vm) ?: hk_config_routes(vm);
}

/**
 * hk_config_harvest_vcpu() - send the CPUID of a vCPU
 * @hv: vCPU; its runner is current
 * @file: its KVM file
 * Context: process, sleeps.
 * Return: 0 or negative errno.
 */
int hk_config_harvest_vcpu(struct hk_vcpu *hv, struct file *file)
{
	struct kvm_cpuid2 head, *c;
	struct hk_section *s;
	long ret;
	u32 len;

	/* how many there are, then all of them, past the head in the scratch area */
	len = hv->vcpu->arch.cpuid_nent;
	if (struct_size(c, entries, len) > HK_SCRATCH_MIN)
		return -E2BIG;
	s = section_alloc(HK_CONFIG_CPUID, hv->index, struct_size(c, entries, len));
	if (!s)
		return -ENOMEM;
	head = (struct kvm_cpuid2){ .nent = len };
	ret = hk_scratch_put_head(hv, &head, sizeof(head));
	if (!ret)
		ret = hk_scratch_get(hv, file, KVM_GET_CPUID2, s->data, s->len);
	if (ret) {
		kvfree(s);
		return ret;
	}
	c = (struct kvm_cpuid2 *)s->data;
	c->nent = len;
	c->padding = 0;
	return section_publish(hv->vm, s);
}

static bool all_applied(struct hk_vm *vm, u64 seq)
{
	struct hk_vcpus *vs = vm->vcpus;
	u16 n;

	for (n = 1; n < HK_MAX_NODES; n++)
		if ((vm->members & hk_node_bit(n)) && n != vm->node->id &&
		    READ_ONCE(vs->acked[n]) < seq)
			return false;
	return true;
}

/**
 * hk_config_wait() - until every replica has applied what was sent
 * @vm: VM
 *
 * Without it a level-triggered interrupt could reach a vCPU whose KVM does not
 * know yet that its EOI matters. Before the start nobody waits. No lock of this
 * kernel is held, the wait is killable and ends with HK_CONFIG_TIMEOUT_MS.
 */
void hk_config_wait(struct hk_vm *vm)
{
	struct hk_vcpus *vs = vm->vcpus;
	u64 seq = READ_ONCE(vs->seq);
	long left;

	if (!READ_ONCE(vs->started))
		return;
	left = wait_event_killable_timeout(vs->wq, all_applied(vm, seq) ||
					   hk_vm_dead(vm),
					   msecs_to_jiffies(HK_CONFIG_TIMEOUT_MS));
	if (!left)
		hk_vm_kill(vm, true,
			   "a replica did not take new memslots or routes within %u ms",
			   HK_CONFIG_TIMEOUT_MS);
}

/**
 * hk_config_recv() - keep a section that the origin has sent
 * @vm: VM; killed when there is no memory
 * @msg: VM_CONFIG, checked by hk_vcpu_msg_check(); the caller frees it
 * Context: process, sleeps.
 * Return: 0; -EPROTO when its number does not grow.
 */
int hk_config_recv(struct hk_vm *vm, const struct hk_msg *msg)
{
	const struct hk_wire_config *w = (const struct hk_wire_config *)msg->body;
	struct hk_vcpus *vs = vm->vcpus;
	struct hk_section *s;
	int err = 0;

	s = section_alloc(le32_to_cpu(w->kind), le32_to_cpu(w->index),
			  le32_to_cpu(msg->hdr.len) - sizeof(*w));
	if (!s) {
		hk_vm_kill(vm, true, "out of memory for the guest's configuration");
		return 0;
	}
	memcpy(s->data, w + 1, s->len);
	s->seq = le64_to_cpu(w->seq);
	mutex_lock(&vs->lock);
	if (s->seq > vs->seq) {
		vs->seq = s->seq;
		section_insert(vs, s);
	} else {
		err = -EPROTO;
		kvfree(s);
	}
	mutex_unlock(&vs->lock);
	wake_up_all(&vs->wq);
	return err;
}

static void send_ack(struct hk_vm *vm, u64 seq)
{
	struct hk_wire_config_ack *a;
	struct hk_msg *msg;

	msg = hk_msg_alloc(HK_MSG_VM_CONFIG_ACK, vm->id, sizeof(*a), GFP_KERNEL);
	if (!msg)
		return;
	a = (struct hk_wire_config_ack *)msg->body;
	a->seq = cpu_to_le64(seq);
	hk_node_send(vm->node, vm->origin, msg);
}

/**
 * hk_config_next() - HK_IOC_CONFIG_NEXT
 * @vm: VM
 * @arg: struct hk_config_next, in and out
 * Context: process, sleeps until there is a section, interruptible.
 * Return: 0; -ENOSPC: the buffer is too small, len says how much it takes; -EAGAIN;
 * -EINTR; -ESHUTDOWN when the guest has been stopped; -EFAULT, -EINVAL.
 */
long hk_config_next(struct hk_vm *vm, void __user *arg)
{
	struct hk_vcpus *vs = vm->vcpus;
	struct hk_config_next a;
	struct hk_section *s;
	void *copy;
	u32 room;
	long ret;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.size != sizeof(a) || vm->origin == vm->node->id)
		return -EINVAL;
	if (a.seq)
		send_ack(vm, a.seq);
	ret = wait_event_interruptible(vs->wq, READ_ONCE(vs->seq) > a.seq ||
				       hk_vm_dead(vm));
	if (ret)
		return -EINTR;
	if (hk_vm_dead(vm))
		return -ESHUTDOWN;
	room = a.len;
	copy = kvmalloc(HK_WIRE_BODY_MAX, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	ret = -EAGAIN;
	mutex_lock(&vs->lock);
	list_for_each_entry(s, &vs->sections, list) {
		if (s->seq <= a.seq)
			continue;
		a.kind = s->kind;
		a.index = s->index;
		a.len = s->len;
		ret = -ENOSPC;
		if (s->len <= room) {
			memcpy(copy, s->data, s->len);
			a.seq = s->seq;
			ret = 0;
		}
		break;
	}
	mutex_unlock(&vs->lock);
	if ((!ret && copy_to_user(u64_to_user_ptr(a.buf), copy, a.len)) ||
	    (ret != -EAGAIN && copy_to_user(arg, &a, sizeof(a))))
		ret = -EFAULT;
	kvfree(copy);
	return ret;
}

/**
 * hk_config_free() - free the sections
 * @vm: VM, nobody else looks at it
 */
void hk_config_free(struct hk_vm *vm)
{
	struct hk_section *s, *tmp;

	list_for_each_entry_safe(s, tmp, &vm->vcpus->sections, list) {
		list_del(&s->list);
		kvfree(s);
	}
}
