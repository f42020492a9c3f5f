/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM's structures, over kernel versions.
 */
#ifndef HK_COMPAT_KVM_H
#define HK_COMPAT_KVM_H

#include <linux/kvm_host.h>
#include <linux/version.h>

/* 6.10 renamed the field for the kernel, as user space may change it any time */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define hk_immediate_exit(run)	READ_ONCE((run)->immediate_exit__unsafe)
#else
#define hk_immediate_exit(run)	READ_ONCE((run)->immediate_exit)
#endif

/*
 * The function of KVM's that forgets the shadow of a guest page table. Before 6.8
 * it does just that; later ones are told of a write that is no whole entry, which
 * makes them give up every shadow of the page.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define HK_KVM_ZAP_TABLE	"kvm_mmu_track_write"
static inline void hk_kvm_call_zap_table(unsigned long fn, struct kvm_vcpu *vcpu,
					 gfn_t gfn)
{
	static const u8 none;

	((void (*)(struct kvm_vcpu *, gpa_t, const u8 *, int))fn)
		(vcpu, (gfn << PAGE_SHIFT) + 1, &none, sizeof(none));
}
#else
#define HK_KVM_ZAP_TABLE	"kvm_mmu_unprotect_page"
static inline void hk_kvm_call_zap_table(unsigned long fn, struct kvm_vcpu *vcpu,
					 gfn_t gfn)
{
	((int (*)(struct kvm *, gfn_t))fn)(vcpu->kvm, gfn);
}
#endif

#endif /* HK_COMPAT_KVM_H */
