/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Ioctls of the guest RAM device, /dev/hyperkernel/<node>-<vm>
 *
 * Opening the device needs CAP_SYS_ADMIN or the file's permissions. mmap() maps
 * guest RAM (MAP_SHARED only); the offset is the offset in guest RAM. A replica's
 * host process uses the ioctls to be told what KVM must be told there and to lend
 * its threads to the vCPUs.
 */
#ifndef _UAPI_HYPERKERNEL_H
#define _UAPI_HYPERKERNEL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HK_ABI_VERSION	1

/**
 * struct hk_info - HK_IOC_INFO
 * @size: in: sizeof(struct hk_info)
 * @abi: out: HK_ABI_VERSION
 * @vm: out: VM id
 * @node: out: own node id
 * @origin: out: node whose VMM created the guest
 * @nr_vcpus: out: vCPUs of the guest
 * @reserved: out: zero
 * @ram_bytes: out: size of guest RAM
 */
struct hk_info {
	__u32 size;
	__u32 abi;
	__u32 vm;
	__u16 node;
	__u16 origin;
	__u32 nr_vcpus;
	__u32 reserved;
	__u64 ram_bytes;
};

/**
 * enum hk_config_kind - sections of a guest's configuration, origin -> replica
 * @HK_CONFIG_NONE: no section
 * @HK_CONFIG_BASE: struct hk_config_base; comes first, once
 * @HK_CONFIG_SLOTS: array of struct hk_config_slot: all memslots backed by guest
 *	RAM; replaces the former list
 * @HK_CONFIG_ROUTES: struct kvm_irq_routing with its entries
 * @HK_CONFIG_CPUID: struct kvm_cpuid2 with its entries, of vCPU @index
 */
enum hk_config_kind {
	HK_CONFIG_NONE = 0,
	HK_CONFIG_BASE = 1,
	HK_CONFIG_SLOTS = 2,
	HK_CONFIG_ROUTES = 3,
	HK_CONFIG_CPUID = 4,
};

/**
 * struct hk_config_base - VM-wide facts of KVM at the origin
 * @irqchip_pins: argument of KVM_CAP_SPLIT_IRQCHIP
 * @x2apic_flags: argument of KVM_CAP_X2APIC_API
 * @exception_payload: KVM_CAP_EXCEPTION_PAYLOAD is on
 * @triple_fault_event: KVM_CAP_X86_TRIPLE_FAULT_EVENT is on
 * @tsc_khz: guest TSC frequency
 * @nr_vcpus: vCPUs
 * @mcg_cap: MCE banks and flags for KVM_X86_SETUP_MCE
 */
struct hk_config_base {
	__u32 irqchip_pins;
	__u32 x2apic_flags;
	__u32 exception_payload;
	__u32 triple_fault_event;
	__u32 tsc_khz;
	__u32 nr_vcpus;
	__u64 mcg_cap;
};

/**
 * struct hk_config_slot - one memslot
 * @gpa: guest physical address, bytes
 * @size: bytes
 * @offset: in the RAM device, bytes
 * @flags: KVM_MEM_*
 * @slot: number
 */
struct hk_config_slot {
	__u64 gpa;
	__u64 size;
	__u64 offset;
	__u32 flags;
	__u32 slot;
};

/**
 * struct hk_config_next - HK_IOC_CONFIG_NEXT: wait for the next section
 * @size: in: sizeof(struct hk_config_next)
 * @kind: out: enum hk_config_kind
 * @index: out: vCPU for HK_CONFIG_CPUID
 * @len: in: room at @buf; out: bytes written
 * @buf: in: user address
 * @seq: in: 0 at first, then what came out: the section wanted is the oldest
 *	with a higher number; out: number of this section
 *
 * Errors: EINTR by a signal; ENOSPC when @len is too small (@len out says how
 * much); ESHUTDOWN when the guest has ended.
 */
struct hk_config_next {
	__u32 size;
	__u32 kind;
	__u32 index;
	__u32 len;
	__u64 buf;
	__u64 seq;
};

/**
 * struct hk_replica_vm - HK_IOC_REPLICA_VM: tell the module the replica's KVM VM
 * @size: in: sizeof(struct hk_replica_vm)
 * @vm_fd: in: KVM VM of the calling process
 *
 * Errors: EBADF not a KVM VM of this process; EEXIST already told; EINVAL on the
 * origin.
 */
struct hk_replica_vm {
	__u32 size;
	__s32 vm_fd;
};

/**
 * struct hk_replica_vcpu - HK_IOC_REPLICA_RUN: lend this thread to a vCPU
 * @size: in: sizeof(struct hk_replica_vcpu)
 * @index: in: vCPU
 * @vcpu_fd: in: its KVM fd in this process
 * @reserved: zero
 * @scratch: in: user address of @scratch_len bytes that the module may write
 * @scratch_len: in: at least HK_SCRATCH_MIN
 *
 * Returns only when the guest has ended (0, or -1 with ESHUTDOWN) or on a
 * signal that kills (EINTR).
 */
struct hk_replica_vcpu {
	__u32 size;
	__u32 index;
	__s32 vcpu_fd;
	__u32 reserved;
	__u64 scratch;
	__u64 scratch_len;
};

#define HK_SCRATCH_MIN	(8 * 4096)

#define HK_IOC_MAGIC		0xb7
#define HK_IOC_INFO		_IOWR(HK_IOC_MAGIC, 0, struct hk_info)
#define HK_IOC_CONFIG_NEXT	_IOWR(HK_IOC_MAGIC, 1, struct hk_config_next)
#define HK_IOC_REPLICA_VM	_IOW(HK_IOC_MAGIC, 2, struct hk_replica_vm)
#define HK_IOC_REPLICA_RUN	_IOW(HK_IOC_MAGIC, 3, struct hk_replica_vcpu)

#endif /* _UAPI_HYPERKERNEL_H */
