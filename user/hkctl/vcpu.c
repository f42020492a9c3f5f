// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/vcpu.c - hkctl vcpu
 */
#include <string.h>
#include "hkctl.h"

static int usage(FILE *f, int status)
{
	fputs("Usage: hkctl vcpu show [ VM ]\n"
	      "       hkctl vcpu move VM VCPU NODE\n"
	      "where  VM, NODE := name or id\n"
	      "       VCPU := index\n", f);
	return status;
}

static void print_vcpu(const struct hk_vcpu_info *vcpu, void *arg)
{
	(void)arg;
	pr_object(NULL);
	pr_u64("vm-id", vcpu->vm);
	pr_u64("vcpu", vcpu->vcpu);
	pr_str("vcpu-state", hk_vcpu_state_name(vcpu->state));
	pr_u64("node-id", vcpu->node);
	pr_u64("moves", vcpu->moves);
	pr_object_end();
}

static int show(int argc, char **argv)
{
	struct hk_nl *nl = kernel();
	struct hk_vm_info vm = { 0 };
	int r;

	if (!nl)
		return REFUSED;
	if (argc && hk_vm_find(nl, argv[0], &vm))
		return refused("%s", hk_nl_error(nl));
	pr_array(NULL);
	r = hk_vcpu_dump(nl, vm.id, print_vcpu, NULL);
	pr_array_end();
	return r ? refused("%s", hk_nl_error(nl)) : DONE;
}

static int move(char **argv)
{
	struct hk_nl *nl;
	struct hk_vm_info vm;
	uint64_t vcpu;
	uint16_t node;

	if (hk_parse_u64(argv[1], 0, HK_VCPUS_MAX - 1, &vcpu))
		return misused("\"%s\" is not the index of a vCPU", argv[1]);
	nl = kernel();
	if (!nl)
		return REFUSED;
	if (hk_vm_find(nl, argv[0], &vm) || hk_node_find(nl, argv[2], &node) ||
	    hk_vcpu_move(nl, vm.id, (uint32_t)vcpu, node))
		return refused("%s", hk_nl_error(nl));
	return DONE;
}

int do_vcpu(int argc, char **argv)
{
	if (!argc)
		return show(0, NULL);
	if (!strcmp(argv[0], "show"))
		return argc > 2 ? usage(stderr, USAGE) :
				  show(argc - 1, argv + 1);
	if (!strcmp(argv[0], "move"))
		return argc == 4 ? move(argv + 1) : usage(stderr, USAGE);
	if (!strcmp(argv[0], "help"))
		return usage(stdout, DONE);
	return misused("vcpu: command \"%s\" is unknown, try \"hkctl vcpu help\"",
		       argv[0]);
}
