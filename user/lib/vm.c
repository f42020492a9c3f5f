// SPDX-License-Identifier: GPL-2.0
/*
 * user/lib/vm.c - VMs, as this node's module knows them
 */
#include <errno.h>
#include <string.h>
#include "netlink.h"

struct each_vm {
	hk_vm_fn fn;
	void *arg;
	struct hk_vm_info *one;
	bool seen;
};

void hk_vm_parse(struct nlattr **tb, struct hk_vm_info *vm)
{
	size_t n;

	memset(vm, 0, sizeof(*vm));
	vm->id = hk_nla_u32(tb, HK_A_VM_ID);
	hk_nla_str(tb, HK_A_VM_NAME, vm->name, sizeof(vm->name));
	vm->state = hk_nla_u8(tb, HK_A_VM_STATE);
	hk_nla_str(tb, HK_A_REASON, vm->reason, sizeof(vm->reason));
	vm->ram_pages = hk_nla_u64(tb, HK_A_RAM_PAGES);
	vm->origin = hk_nla_u16(tb, HK_A_ORIGIN);
	if (tb[HK_A_MEMBERS]) {
		n = (size_t)nla_len(tb[HK_A_MEMBERS]) / sizeof(vm->member[0]);
		if (n > HK_NODES_MAX)
			n = HK_NODES_MAX;
		memcpy(vm->member, nla_data(tb[HK_A_MEMBERS]),
		       n * sizeof(vm->member[0]));
		vm->nr_members = (uint32_t)n;
	}
	if (tb[HK_A_VCPU_PLACE]) {
		n = (size_t)nla_len(tb[HK_A_VCPU_PLACE]) / sizeof(vm->place[0]);
		if (n > HK_VCPUS_MAX)
			n = HK_VCPUS_MAX;
		memcpy(vm->place, nla_data(tb[HK_A_VCPU_PLACE]),
		       n * sizeof(vm->place[0]));
		vm->nr_vcpus = (uint32_t)n;
	}
	hk_nla_str(tb, HK_A_DEVICE, vm->device, sizeof(vm->device));
}

static void on_vm(struct nlattr **tb, void *arg)
{
	struct each_vm *each = arg;
	struct hk_vm_info vm;

	hk_vm_parse(tb, &vm);
	each->seen = true;
	if (each->one)
		*each->one = vm;
	else
		each->fn(&vm, each->arg);
}

int hk_vm_dump(struct hk_nl *nl, hk_vm_fn fn, void *arg)
{
	struct each_vm each = { .fn = fn, .arg = arg };

	return hk_nl_do(nl, hk_nl_new(nl, HK_CMD_VM_GET, NLM_F_DUMP), on_vm,
			&each);
}

int hk_vm_get(struct hk_nl *nl, uint32_t id, struct hk_vm_info *vm)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_VM_GET, 0);
	struct each_vm each = { .one = vm };
	int r;

	if (!msg)
		return -ENOMEM;
	nla_put_u32(msg, HK_A_VM_ID, id);
	r = hk_nl_do(nl, msg, on_vm, &each);
	if (!r && !each.seen)
		return hk_nl_fail(nl, -EPROTO, "the module did not describe VM %u", id);
	return r;
}

int hk_vm_add(struct hk_nl *nl, const struct hk_vm_info *vm)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_VM_ADD, 0);

	if (!msg)
		return -ENOMEM;
	nla_put_u32(msg, HK_A_VM_ID, vm->id);
	nla_put_string(msg, HK_A_VM_NAME, vm->name);
	nla_put_u64(msg, HK_A_RAM_PAGES, vm->ram_pages);
	nla_put_u16(msg, HK_A_ORIGIN, vm->origin);
	nla_put(msg, HK_A_MEMBERS,
		(int)(vm->nr_members * sizeof(vm->member[0])), vm->member);
	nla_put(msg, HK_A_VCPU_PLACE,
		(int)(vm->nr_vcpus * sizeof(vm->place[0])), vm->place);
	return hk_nl_do(nl, msg, NULL, NULL);
}

int hk_vm_del(struct hk_nl *nl, uint32_t id)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_VM_DEL, 0);

	if (!msg)
		return -ENOMEM;
	nla_put_u32(msg, HK_A_VM_ID, id);
	return hk_nl_do(nl, msg, NULL, NULL);
}

int hk_vm_kill(struct hk_nl *nl, uint32_t id, const char *reason)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_VM_KILL, 0);
	char text[HK_REASON_LEN];

	if (!msg)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%s", reason);
	nla_put_u32(msg, HK_A_VM_ID, id);
	nla_put_string(msg, HK_A_REASON, text);
	return hk_nl_do(nl, msg, NULL, NULL);
}

struct find {
	const char *text;
	uint64_t id;
	struct hk_vm_info *vm;
	bool found;
};

static void find_one(const struct hk_vm_info *vm, void *arg)
{
	struct find *find = arg;

	if (vm->id == find->id || !strcmp(vm->name, find->text)) {
		*find->vm = *vm;
		find->found = true;
	}
}

int hk_vm_find(struct hk_nl *nl, const char *text, struct hk_vm_info *vm)
{
	struct find find = { .text = text, .vm = vm };
	int r;

	if (hk_parse_u64(text, 1, UINT32_MAX, &find.id))
		find.id = 0;
	r = hk_vm_dump(nl, find_one, &find);
	if (r)
		return r;
	if (!find.found)
		return hk_nl_fail(nl, -ENOENT, "there is no VM \"%s\" on this node", text);
	return 0;
}

const char *hk_vm_state_name(uint8_t state)
{
	switch ((enum hk_vm_state)state) {
	case HK_VM_CREATED:
		return "created";
	case HK_VM_RUNNING:
		return "running";
	case HK_VM_DEAD:
		return "dead";
	}
	return "unknown";
}
