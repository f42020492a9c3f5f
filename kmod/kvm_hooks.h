/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one place where KVM's functions are intercepted
 */
#ifndef HK_KMOD_KVM_HOOKS_H
#define HK_KMOD_KVM_HOOKS_H

#include <linux/kvm_types.h>
#include <linux/types.h>
#include "../migrate/pending.h"

struct file;
struct hk_vcpu;
struct hk_vm;
struct kvm;
struct kvm_vcpu;
struct mm_struct;

int hk_hooks_init(void);
void hk_hooks_exit(void);

/**
 * enum hk_hook_kind - what a pointer of KVM's means to us
 * @HK_HOOK_MM: struct mm_struct that maps a VM's RAM -> struct hk_vm
 * @HK_HOOK_KVM: struct kvm attached to a VM -> struct hk_vm
 * @HK_HOOK_APIC: struct kvm_lapic of a vCPU -> struct hk_vcpu
 */
enum hk_hook_kind {
	HK_HOOK_MM = 1,
	HK_HOOK_KVM,
	HK_HOOK_APIC,
};

/**
 * hk_hooks_add() - make a pointer ours
 * @kind: kind
 * @key: pointer compared, never followed
 * @obj: struct hk_vm or struct hk_vcpu
 *
 * A key that is there already keeps its object.
 * Context: process, may sleep.
 * Return: 0, -EEXIST when the key belongs to another object, -ENOMEM.
 */
int hk_hooks_add(enum hk_hook_kind kind, const void *key, void *obj);

/**
 * hk_hooks_del_obj() - forget all keys of an object
 * @obj: object
 *
 * On return no hook is still about to use @obj through a key.
 * Context: process, sleeps for a grace period when there were keys.
 */
void hk_hooks_del_obj(const void *obj);

/* the original functions, past the hook; Context as for KVM's own */
long hk_kvm_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long hk_kvm_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
int hk_kvm_accept_irq(struct kvm_vcpu *vcpu, const struct hk_irq *irq);

/*
 * Forget what KVM has made of the guest page table at @gfn, where it shadows page
 * tables (nested paging off). Process context; takes KVM's mmu_lock.
 */
void hk_kvm_zap_table(struct kvm_vcpu *vcpu, gfn_t gfn);

/*
 * No asynchronous page faults for this VM where its guest does not take part in them;
 * see there. After its vCPUs were created.
 */
void hk_kvm_no_async_halt(struct kvm *kvm);

/* is this file a KVM VM's or a vCPU's? (by its ioctl function) */
bool hk_kvm_is_vm_file(struct file *file);
bool hk_kvm_is_vcpu_file(struct file *file);

/*
 * Calls up, kmod/vcpu.c and its neighbours
 */
long hk_vcpu_on_ioctl(struct hk_vm *vm, struct file *file, unsigned int cmd,
		      unsigned long arg);
long hk_vm_on_ioctl(struct hk_vm *vm, struct file *file, unsigned int cmd,
		    unsigned long arg);
/* any context, interrupts maybe off, RCU read side held */
int hk_vcpu_on_irq(struct hk_vcpu *hv, const struct hk_irq *irq,
		   int (*deliver)(void *data), void *data);
void hk_vcpu_on_fault(struct hk_vm *vm, struct kvm_vcpu *vcpu, bool walking);
void hk_vcpu_on_scan(struct hk_vm *vm, struct kvm_vcpu *vcpu, unsigned long *handled);
void hk_vm_on_apic_map(struct hk_vm *vm, struct kvm *kvm);

#endif /* HK_KMOD_KVM_HOOKS_H */
