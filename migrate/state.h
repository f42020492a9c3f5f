/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks of messages about vCPUs, before anything is used
 */
#ifndef HK_MIGRATE_STATE_H
#define HK_MIGRATE_STATE_H

#include "msg.h"

/**
 * hk_vcpu_msg_check() - is the body of a vCPU message sound?
 * @type: HK_MSG_VM_CONFIG … HK_MSG_VCPU_MOVED
 * @body: body
 * @len: its bytes
 * @nr_vcpus: of the VM
 * @why: out: what is wrong
 *
 * Lengths, counts and ranges; not whether the message fits the state.
 * Return: 0 or -EPROTO.
 */
int hk_vcpu_msg_check(u8 type, const void *body, u32 len, u32 nr_vcpus,
		      const char **why);

/**
 * hk_state_size() - bytes of a struct hk_wire_state with its tails
 * @nr_msrs: entries of struct kvm_msr_entry
 * @xsave_len: bytes of XSAVE state
 */
u32 hk_state_size(u32 nr_msrs, u32 xsave_len);

#endif /* HK_MIGRATE_STATE_H */
