// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/stats.c - hkctl stats
 */
#include <string.h>
#include "hkctl.h"

static int usage(FILE *f, int status)
{
	fputs("Usage: hkctl stats show [ VM ]\n"
	      "where  VM := name or id\n", f);
	return status;
}

static void print_stats(const struct hk_stats_info *stats, void *arg)
{
	unsigned int i;

	(void)arg;
	pr_object(NULL);
	pr_u64("vm-id", stats->vm);
	if (stats->name[0])
		pr_str("vm-name", stats->name);
	for (i = 1; i <= HK_STAT_MAX; i++)
		if (stats->has[i] && hk_stat_name(i))
			pr_u64(hk_stat_name(i), stats->value[i]);
	pr_object_end();
}

int do_stats(int argc, char **argv)
{
	struct hk_vm_info vm = { 0 };
	struct hk_nl *nl;
	int r;

	if (argc && !strcmp(argv[0], "help"))
		return usage(stdout, DONE);
	if (argc && strcmp(argv[0], "show"))
		return misused("stats: command \"%s\" is unknown, try \"hkctl stats help\"",
			       argv[0]);
	if (argc > 2)
		return usage(stderr, USAGE);
	nl = kernel();
	if (!nl)
		return REFUSED;
	if (argc == 2 && hk_vm_find(nl, argv[1], &vm))
		return refused("%s", hk_nl_error(nl));
	pr_array(NULL);
	r = hk_stats_dump(nl, vm.id, print_stats, NULL);
	pr_array_end();
	return r ? refused("%s", hk_nl_error(nl)) : DONE;
}
