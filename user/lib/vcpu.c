// SPDX-License-Identifier: GPL-2.0
/*
 * user/lib/vcpu.c - vCPUs: where they live, moving them
 */
#include <errno.h>
#include <string.h>
#include "netlink.h"

struct each_vcpu {
	hk_vcpu_fn fn;
	void *arg;
};

void hk_vcpu_parse(struct nlattr **tb, struct hk_vcpu_info *vcpu)
{
	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->vm = hk_nla_u32(tb, HK_A_VM_ID);
	vcpu->vcpu = hk_nla_u32(tb, HK_A_VCPU);
	vcpu->state = hk_nla_u8(tb, HK_A_VCPU_STATE);
	vcpu->node = hk_nla_u16(tb, HK_A_NODE_ID);
	vcpu->moves = hk_nla_u64(tb, HK_A_MOVES);
}

static void on_vcpu(struct nlattr **tb, void *arg)
{
	struct each_vcpu *each = arg;
	struct hk_vcpu_info vcpu;

	hk_vcpu_parse(tb, &vcpu);
	each->fn(&vcpu, each->arg);
}

int hk_vcpu_dump(struct hk_nl *nl, uint32_t vm, hk_vcpu_fn fn, void *arg)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_VCPU_GET, NLM_F_DUMP);
	struct each_vcpu each = { .fn = fn, .arg = arg };

	if (!msg)
		return -ENOMEM;
	if (vm)
		nla_put_u32(msg, HK_A_VM_ID, vm);
	return hk_nl_do(nl, msg, on_vcpu, &each);
}

int hk_vcpu_move(struct hk_nl *nl, uint32_t vm, uint32_t vcpu, uint16_t node)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_VCPU_MOVE, 0);

	if (!msg)
		return -ENOMEM;
	nla_put_u32(msg, HK_A_VM_ID, vm);
	nla_put_u32(msg, HK_A_VCPU, vcpu);
	nla_put_u16(msg, HK_A_NODE_ID, node);
	return hk_nl_do(nl, msg, NULL, NULL);
}

const char *hk_vcpu_state_name(uint8_t state)
{
	switch ((enum hk_vcpu_state)state) {
	case HK_VCPU_ABSENT:
		return "absent";
	case HK_VCPU_HERE:
		return "here";
	case HK_VCPU_AWAY:
		return "away";
	case HK_VCPU_LEAVING:
		return "leaving";
	}
	return "unknown";
}
