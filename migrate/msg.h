/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bodies of the messages about vCPUs
 *
 * Little endian as all of the wire. The parts that are KVM's own ABI structures
 * travel as they are: x86-64 at both ends, and KVM keeps their layout for ever.
 */
#ifndef HK_MIGRATE_MSG_H
#define HK_MIGRATE_MSG_H

#include <linux/kvm.h>
#include <linux/types.h>
#include "../fabric/msg.h"

/**
 * struct hk_wire_config - HK_MSG_VM_CONFIG, followed by the section's bytes
 * @kind: enum hk_config_kind
 * @index: vCPU for HK_CONFIG_CPUID, else 0
 * @seq: number of this section, grows
 */
struct hk_wire_config {
	__le32 kind;
	__le32 index;
	__le64 seq;
};

/**
 * struct hk_wire_config_ack - HK_MSG_VM_CONFIG_ACK
 * @seq: the replica has applied all sections up to this one
 */
struct hk_wire_config_ack {
	__le64 seq;
};

/**
 * struct hk_wire_clock - HK_MSG_VM_CLOCK
 * @offset: guest's clock on the sender's node minus its TSC, see fabric/gclock.h
 * @known: 1: @offset means something
 * @ask: 1: the receiver is to tell its own, too
 * @reserved: zero
 */
struct hk_wire_clock {
	__le64 offset;
	__u8 known;
	__u8 ask;
	__u8 reserved[6];
};

/**
 * struct hk_wire_vcpu - HK_MSG_REPLICA_READY, HK_MSG_VCPU_TAKEN, HK_MSG_VCPU_MOVE,
 * HK_MSG_VCPU_MOVED
 * @vcpu: index
 * @seq: TAKEN: generation of the residency
 * @node: MOVE: where to; MOVED: where it was asked to
 * @asker: MOVE: whom to tell with MOVED
 * @result: TAKEN, MOVED: 0 or a positive errno: not taken
 * @temporary: MOVE: only for an ioctl of the VMM; its place stays what it is
 * @reserved: zero
 * @cookie: MOVE, MOVED: the asker's
 * @text: TAKEN, MOVED: reason when @result is set
 */
struct hk_wire_vcpu {
	__le32 vcpu;
	__le32 seq;
	__le16 node;
	__le16 asker;
	__u8 result;
	__u8 temporary;
	__u8 reserved[2];
	__le64 cookie;
	char text[HK_REASON_MAX];
};

/**
 * struct hk_wire_irq - HK_MSG_VCPU_IRQ
 * @vcpu: index
 * @mode: HK_DM_*
 * @vector: 0 to 255
 * @level: asserted
 * @trig: level-triggered
 * @reserved: zero
 * @waiters: INIT, SIPI: vCPUs to be sent HK_DM_ACCEPTED when a LAPIC has it
 */
struct hk_wire_irq {
	__le32 vcpu;
	__le16 mode;
	__u8 vector;
	__u8 level;
	__u8 trig;
	__u8 reserved[7];
	__le64 waiters;
};

/**
 * struct hk_wire_ident - HK_MSG_VCPU_IDENT: what a ghost's LAPIC must look like
 * @vcpu: index
 * @seq: not used, zero
 * @apic_base: MSR_IA32_APICBASE
 * @id: register APIC_ID
 * @ldr: register APIC_LDR
 * @dfr: register APIC_DFR
 * @spiv: register APIC_SPIV
 */
struct hk_wire_ident {
	__le32 vcpu;
	__le32 seq;
	__le64 apic_base;
	__le32 id;
	__le32 ldr;
	__le32 dfr;
	__le32 spiv;
};

#define HK_EXIT_UNION	256

/**
 * struct hk_wire_exit - HK_MSG_VCPU_EXIT and HK_MSG_VCPU_EXIT_DONE, followed by
 * @pio_len bytes of port I/O data
 * @vcpu: index
 * @result: EXIT: what KVM_RUN returned
 * @cookie: counts exits of this residency; DONE gives it back
 * @exit_reason: KVM_EXIT_*
 * @flags: kvm_run.flags
 * @ready: kvm_run.ready_for_interrupt_injection
 * @if_flag: kvm_run.if_flag
 * @pio_len: up to 4096
 * @reserved: zero
 * @cr8: kvm_run.cr8
 * @apic_base: kvm_run.apic_base
 * @u: kvm_run's union
 */
struct hk_wire_exit {
	__le32 vcpu;
	__le32 result;
	__le64 cookie;
	__le32 exit_reason;
	__le16 flags;
	__u8 ready;
	__u8 if_flag;
	__le32 pio_len;
	__le32 reserved;
	__le64 cr8;
	__le64 apic_base;
	__u8 u[HK_EXIT_UNION];
};

#define HK_STATE_MSRS_MAX	96
#define HK_STATE_XSAVE_MAX	16384

/**
 * struct hk_wire_state - HK_MSG_VCPU_STATE, followed by @nr_msrs struct
 * kvm_msr_entry and @xsave_len bytes for KVM_SET_XSAVE
 * @vcpu: index
 * @seq: generation that begins with this handoff
 * @tsc_base: TSC offset without that of the guest's clock on the node, as it would
 *	be on the origin if that had never been stepped
 * @tsc_deadline: MSR_IA32_TSC_DEADLINE
 * @nr_msrs: up to HK_STATE_MSRS_MAX
 * @xsave_len: up to HK_STATE_XSAVE_MAX
 * @mp_state: KVM_GET_MP_STATE
 * @reserved: zero
 * @unaccepted: vCPUs that have yet to accept an INIT or SIPI of this one
 * @events: KVM_GET_VCPU_EVENTS
 * @regs: KVM_GET_REGS
 * @sregs: KVM_GET_SREGS2
 * @xcrs: KVM_GET_XCRS
 * @dbg: KVM_GET_DEBUGREGS
 * @lapic: KVM_GET_LAPIC
 */
struct hk_wire_state {
	__le32 vcpu;
	__le32 seq;
	__le64 tsc_base;
	__le64 tsc_deadline;
	__le32 nr_msrs;
	__le32 xsave_len;
	struct kvm_mp_state mp_state;
	__le32 reserved;
	__le64 unaccepted;
	struct kvm_vcpu_events events;
	struct kvm_regs regs;
	struct kvm_sregs2 sregs;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs dbg;
	struct kvm_lapic_state lapic;
};

static_assert(sizeof(struct hk_wire_config) == 16);
static_assert(sizeof(struct hk_wire_clock) == 16);
static_assert(sizeof(struct hk_wire_vcpu) == 24 + HK_REASON_MAX);
static_assert(sizeof(struct hk_wire_irq) == 24);
static_assert(sizeof(struct hk_wire_ident) == 32);
static_assert(sizeof(struct hk_wire_exit) == 48 + HK_EXIT_UNION);
static_assert(sizeof(struct hk_wire_state) % 8 == 0);

#endif /* HK_MIGRATE_MSG_H */
