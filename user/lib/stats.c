// SPDX-License-Identifier: GPL-2.0
/*
 * user/lib/stats.c - counters of a VM on this node
 */
#include <errno.h>
#include <string.h>
#include "netlink.h"

static const char *const names[HK_STAT_MAX + 1] = {
	[HK_STAT_FAULT_RD]		= "fault-rd",
	[HK_STAT_FAULT_WR]		= "fault-wr",
	[HK_STAT_FETCHED]		= "fetched",
	[HK_STAT_ZERO]			= "zero",
	[HK_STAT_UPGRADED]		= "upgraded",
	[HK_STAT_SENT]			= "sent",
	[HK_STAT_FILL_SENT]		= "fill-sent",
	[HK_STAT_INVALIDATED]		= "invalidated",
	[HK_STAT_DOWNGRADED]		= "downgraded",
	[HK_STAT_BUSY]			= "busy",
	[HK_STAT_DROPPED]		= "dropped",
	[HK_STAT_SPILLED]		= "spilled",
	[HK_STAT_PRESENT]		= "present",
	[HK_STAT_DIRECTORY]		= "directory",
	[HK_STAT_METADATA]		= "metadata-bytes",
	[HK_STAT_FETCH_NS]		= "fetch-ns",
	[HK_STAT_FETCH_NR]		= "fetch-nr",
	[HK_STAT_FETCH_NS_MIN]		= "fetch-ns-min",
	[HK_STAT_FETCH_NS_MAX]		= "fetch-ns-max",
	[HK_STAT_MOVES_OUT]		= "moves-out",
	[HK_STAT_MOVES_IN]		= "moves-in",
	[HK_STAT_MOVES_REFUSED]		= "moves-refused",
	[HK_STAT_IRQ_SENT]		= "irq-sent",
	[HK_STAT_IRQ_RECV]		= "irq-recv",
	[HK_STAT_IRQ_QUEUED]		= "irq-queued",
	[HK_STAT_EXITS_SENT]		= "exits-sent",
	[HK_STAT_EXITS_SERVED]		= "exits-served",
	[HK_STAT_RECALLS]		= "recalls",
	[HK_STAT_HANDOFF_NS]		= "handoff-ns",
	[HK_STAT_HANDOFF_NS_MIN]	= "handoff-ns-min",
	[HK_STAT_HANDOFF_NS_MAX]	= "handoff-ns-max",
	[HK_STAT_HANDOFF_BYTES]		= "handoff-bytes",
	[HK_STAT_CLOCK_STEPS]		= "clock-steps",
	[HK_STAT_CLOCK_STEPPED_TICKS]	= "clock-stepped-ticks",
	[HK_STAT_CLOCK_LATE]		= "clock-late",
	[HK_STAT_DOORBELLS]		= "doorbells",
	[HK_STAT_READ_EXCLUSIVE]	= "read-exclusive",
	[HK_STAT_AGED]			= "aged",
	[HK_STAT_REFAULTED]		= "refaulted",
	[HK_STAT_REVALIDATE_ASKED]	= "revalidate-asked",
	[HK_STAT_REVALIDATED]		= "revalidated",
	[HK_STAT_SAME_SENT]		= "same-sent",
	[HK_STAT_STALE]			= "stale",
	[HK_STAT_LENT_TO]		= "lent-to",
	[HK_STAT_LENT_BACK]		= "lent-back",
	[HK_STAT_ASTRAY]		= "astray",
	[HK_STAT_ASYNC_FAULTS]		= "async-faults",
};

const char *hk_stat_name(unsigned int stat)
{
	return stat <= HK_STAT_MAX ? names[stat] : NULL;
}

struct each_stats {
	hk_stats_fn fn;
	void *arg;
};

static void on_stats(struct nlattr **tb, void *arg)
{
	struct each_stats *each = arg;
	struct hk_stats_info stats = { 0 };
	struct nlattr *a;
	int left;

	stats.vm = hk_nla_u32(tb, HK_A_VM_ID);
	hk_nla_str(tb, HK_A_VM_NAME, stats.name, sizeof(stats.name));
	if (tb[HK_A_STATS]) {
		nla_for_each_nested(a, tb[HK_A_STATS], left) {
			int t = nla_type(a);

			if (t < 1 || t > HK_STAT_MAX || nla_len(a) < 8)
				continue;
			stats.has[t] = true;
			stats.value[t] = nla_get_u64(a);
		}
	}
	each->fn(&stats, each->arg);
}

int hk_stats_dump(struct hk_nl *nl, uint32_t vm, hk_stats_fn fn, void *arg)
{
	struct nl_msg *msg = hk_nl_new(nl, HK_CMD_STATS_GET, NLM_F_DUMP);
	struct each_stats each = { .fn = fn, .arg = arg };

	if (!msg)
		return -ENOMEM;
	if (vm)
		nla_put_u32(msg, HK_A_VM_ID, vm);
	return hk_nl_do(nl, msg, on_stats, &each);
}
