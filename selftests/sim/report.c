// SPDX-License-Identifier: GPL-2.0
/*
 * The figures of a run, as one JSON object. Nothing in it but "cpu" depends on
 * anything but the command line.
 */
#include "sim.h"

#include <stdio.h>

static unsigned int class_of(u64 value)
{
	unsigned int log;

	if (value < HIST_SUB)
		return value;
	log = 63 - __builtin_clzll(value);
	return (log - HIST_SUB_BITS + 1) * HIST_SUB +
	       ((value >> (log - HIST_SUB_BITS)) & (HIST_SUB - 1));
}

static u64 class_start(unsigned int class)
{
	unsigned int log = class / HIST_SUB;

	if (!log)
		return class;
	return (u64)(HIST_SUB + class % HIST_SUB) << (log - 1);
}

void hist_add(struct sim_hist *h, u64 value)
{
	h->class[class_of(value)]++;
	h->sum += value;
	h->nr++;
	if (value > h->max)
		h->max = value;
}

/* The value below which a part of all are, low end of its class */
u64 hist_at(const struct sim_hist *h, double part)
{
	u64 want = h->nr * part, seen = 0;
	unsigned int i;

	for (i = 0; i < HIST_NR; i++) {
		seen += h->class[i];
		if (seen > want)
			return class_start(i);
	}
	return h->max;
}

static void print_hist(const char *name, const struct sim_hist *h, bool classes)
{
	unsigned int i;
	bool any = false;

	printf("  \"%s\": {\"nr\": %llu, \"mean\": %.1f, \"p50\": %llu, \"p90\": %llu, \"p99\": %llu, \"p999\": %llu, \"max\": %llu",
	       name, h->nr, h->nr ? (double)h->sum / h->nr : 0, hist_at(h, .5),
	       hist_at(h, .9), hist_at(h, .99), hist_at(h, .999), h->max);
	if (classes) {
		printf(", \"classes\": [");
		for (i = 0; i < HIST_NR; i++) {
			if (!h->class[i])
				continue;
			printf("%s[%llu, %u]", any ? ", " : "", class_start(i),
			       h->class[i]);
			any = true;
		}
		printf("]");
	}
	printf("},\n");
}

static double ratio(double a, double b)
{
	return b ? a / b : 0;
}

static void print_config(void)
{
	printf("  \"workload\": \"%s\", \"nodes\": %u, \"threads\": %u, \"pages\": %u, \"seed\": %llu,\n",
	       cfg.trace ? "trace" : cfg.workload, cfg.nodes, cfg.threads,
	       sim.pages, cfg.seed);
	printf("  \"link\": {\"latency_ns\": %llu, \"jitter_ns\": %llu, \"gbit\": %g, \"cpu_ns\": %llu, \"take_ns\": %llu},\n",
	       cfg.latency_ns, cfg.jitter_ns, cfg.gbit, cfg.cpu_ns, cfg.take_ns);
	printf("  \"levers\": {\"zero\": %d, \"same_filled\": %d, \"fresh\": %d, \"upgrade\": %d, \"parallel\": %d, \"migratory\": %d, \"lend\": %d, \"hints\": %d, \"hold_ns\": %llu, \"hold_bounced\": %d, \"prefetch\": %u, \"group\": %d, \"budget\": %u, \"lru\": %d, \"clock\": %d, \"idle_pct\": %u, \"home_hash\": %d, \"fill_pct\": %u, \"think_ns\": %llu, \"write_pct\": %u, \"silent_pct\": %u, \"revalidate\": %u, \"hash_ns\": %llu},\n",
	       cfg.zero, cfg.same_filled, cfg.fresh, cfg.upgrade, cfg.parallel,
	       cfg.migratory, cfg.lend, cfg.hints, cfg.hold_ns, cfg.hold_bounced, cfg.prefetch, cfg.group, cfg.budget, cfg.lru,
	       cfg.clock, cfg.idle_pct,
	       cfg.home_hash, cfg.fill_pct, cfg.think_ns, cfg.write_pct,
	       cfg.silent_pct, cfg.revalidate, cfg.hash_ns);
}

/* The busiest node against the mean, and how evenly what they want is served */
static void print_balance(void)
{
	double msgs = 0, bytes = 0, most_msgs = 0, most_bytes = 0;
	double sum = 0, squares = 0, least = 0, most = 0;
	u16 i;

	for (i = 1; i <= cfg.nodes; i++) {
		const struct sim_node *n = &sim.node[i];
		double m = n->tx_msgs + n->rx_msgs, a = n->accesses;
		double b = n->tx_bytes + n->rx_bytes;

		msgs += m;
		bytes += b;
		most_msgs = m > most_msgs ? m : most_msgs;
		most_bytes = b > most_bytes ? b : most_bytes;
		sum += a;
		squares += a * a;
		least = i == 1 || a < least ? a : least;
		most = a > most ? a : most;
	}
	printf("  \"busiest\": {\"messages\": %.3f, \"bytes\": %.3f},\n",
	       ratio(most_msgs * cfg.nodes, msgs),
	       ratio(most_bytes * cfg.nodes, bytes));
	/* Jain's index: 1 when all get the same, 1/n when one gets all */
	printf("  \"fairness\": {\"jain\": %.4f, \"least\": %.0f, \"most\": %.0f},\n",
	       ratio(sum * sum, squares * cfg.nodes), least, most);
}

static void print_messages(void)
{
	unsigned int i;
	u64 all = 0;

	printf("  \"types\": {");
	for (i = HK_DMSG_NONE + 1; i < HK_DMSG_NR; i++) {
		all += sim.msgs[i];
		printf("\"%s\": %llu, ", hk_dmsg_name(i), sim.msgs[i]);
	}
	all += sim.msgs[HK_DMSG_NR];
	printf("\"SPILL\": %llu},\n", sim.msgs[HK_DMSG_NR]);
	printf("  \"messages\": %llu, \"bytes\": %llu, \"messages_per_fault\": %.3f, \"bytes_per_fault\": %.1f, \"messages_per_request\": %.3f, \"bytes_per_request\": %.1f,\n",
	       all, sim.bytes, ratio(all, sim.faults), ratio(sim.bytes, sim.faults),
	       ratio(all, sim.transactions), ratio(sim.bytes, sim.transactions));
	printf("  \"most\": {\"waited\": %u, \"with_done\": %u, \"requests\": %u, \"over_bound\": %llu},\n",
	       sim.most_waited, sim.most_msgs, sim.most_requests,
	       sim.count[CNT_BOUND]);
	printf("  \"invalidations\": {\"sets\": %llu, \"sent\": %llu, \"if_coarse\": %llu, \"if_four_ids\": %llu},\n",
	       sim.count[CNT_INV_SETS], sim.count[CNT_INV],
	       sim.count[CNT_INV_COARSE], sim.count[CNT_INV_POINTERS]);
}

void report(double cpu)
{
	printf("{\n");
	print_config();
	printf("  \"ok\": %s, \"digest\": \"%016llx\", \"simulated_ns\": %llu, \"events\": %llu,\n",
	       sim.failed ? "false" : "true", sim.digest, sim.now, sim.events);
	printf("  \"accesses\": %llu, \"faults\": %llu, \"unserved\": %llu, \"transactions\": %llu,\n",
	       sim.accesses, sim.faults, sim.sleeping, sim.transactions);
	printf("  \"requests\": {\"read\": %llu, \"write\": %llu, \"upgrade\": %llu},\n",
	       sim.kinds[FAULT_READ], sim.kinds[FAULT_WRITE],
	       sim.kinds[FAULT_UPGRADE]);
	print_messages();
	print_balance();
	printf("  \"held\": %llu, \"filled\": %llu, \"zero_grants\": %llu, \"read_exclusive\": %llu, \"lent\": %llu, \"asked_back\": %llu, \"astray\": %llu, \"asked\": %llu, \"same\": %llu, \"prefetched\": %llu, \"grouped\": %llu, \"dropped\": %llu, \"aged\": %llu, \"refaulted\": %llu, \"offered\": %llu, \"room_waits\": %llu,\n",
	       sim.count[CNT_HELD], sim.count[CNT_FILL], sim.count[CNT_ZERO],
	       sim.count[CNT_READ_X], sim.count[CNT_LENT],
	       sim.count[CNT_UNLENT], sim.count[CNT_MOVED],
	       sim.count[CNT_ASKED], sim.count[CNT_SAME],
	       sim.count[CNT_PREFETCH], sim.count[CNT_GROUPED], sim.count[CNT_DROP],
	       sim.count[CNT_AGED], sim.count[CNT_REFAULT],
	       sim.count[CNT_SPILL], sim.count[CNT_ROOM_WAIT]);
	print_hist("latency_ns", &sim.latency, true);
	print_hist("latency_read_ns", &sim.latency_kind[FAULT_READ], false);
	print_hist("latency_write_ns", &sim.latency_kind[FAULT_WRITE], false);
	print_hist("latency_upgrade_ns", &sim.latency_kind[FAULT_UPGRADE], false);
	printf("  \"accesses_per_s\": %.0f,\n", ratio(sim.accesses * 1e9, sim.now));
	printf("  \"cpu\": {\"s\": %.3f, \"faults_per_s\": %.0f, \"events_per_s\": %.0f}\n}\n",
	       cpu, ratio(sim.faults, cpu), ratio(sim.events, cpu));
}
