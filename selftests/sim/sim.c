// SPDX-License-Identifier: GPL-2.0
/*
 * Simulator of many nodes: command line, world, and the loop over events.
 * Documentation/simulator.rst says what is modelled and how.
 */
#include "sim.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct sim sim;

struct sim_cfg cfg = {
	.workload = "uniform",
	.nodes = 4,
	.threads = 1,
	.pages = 64,
	.faults = 100000,
	.accesses = ~0ull,
	.seed = 1,
	.think_ns = 1000,
	.write_pct = 30,
	.latency_ns = 5000,
	.jitter_ns = 0,
	.gbit = 25,
	.cpu_ns = 500,
	.take_ns = 1000,
	.hash_ns = 2000,
	.hold_ns = 20000,
	.zero = true,
	.same_filled = true,
	.fresh = true,
	.upgrade = true,
	.parallel = true,
	.migratory = true,
	.hints = true,
	.prefetch = 0,
	.group = true,
	.idle_pct = 25,
	.minor_ns = 1000,
};

static u64 random_state[2];

/* xorshift128+ */
u64 sim_random(void)
{
	u64 a = random_state[0], b = random_state[1];

	random_state[0] = b;
	a ^= a << 23;
	random_state[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
	return random_state[1] + b;
}

void sim_fail(const char *fmt, ...)
{
	va_list ap;

	if (sim.failed)
		return;
	sim.failed = true;
	va_start(ap, fmt);
	fprintf(stderr, "sim: at %llu ns: ", sim.now);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
}

/* Zeroed; in huge pages where the kernel has some, as access is all over it */
void *sim_alloc(size_t nr, size_t size)
{
	size_t all = nr * size;
	void *p;

	if (all < 1 << 21) {
		p = calloc(nr, size);
		if (!p)
			abort();
		return p;
	}
	p = mmap(NULL, all, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		fprintf(stderr, "sim: no memory for %zu MiB\n", all >> 20);
		exit(1);
	}
	madvise(p, all, MADV_HUGEPAGE);
	return p;
}

/* No page has been left to its first touch: its home has it */
static void world_not_fresh(void)
{
	u32 page;

	for (page = 0; page < sim.pages; page++) {
		u16 home = home_of(page);
		struct sim_copy *c = copy_of(home, page);

		sim.dir[page].owner = home;
		c->state = HK_PG_EXCLUSIVE;
	}
}

static void world_init(void)
{
	u32 i;

	sim.pages = cfg.pages * cfg.nodes;
	sim.threads = cfg.threads * cfg.nodes;
	sim.digest = 0xcbf29ce484222325ull;
	sim.node = sim_alloc(cfg.nodes + 1, sizeof(*sim.node));
	sim.copy = sim_alloc((size_t)cfg.nodes * sim.pages, sizeof(*sim.copy));
	if (cfg.budget || cfg.hold_ns)
		sim.use = sim_alloc((size_t)cfg.nodes * sim.pages,
				    sizeof(*sim.use));
	sim.dir = sim_alloc(sim.pages, sizeof(*sim.dir));
	sim.dir_wait = sim_alloc(sim.pages, sizeof(*sim.dir_wait));
	sim.rule = sim_alloc(sim.pages, sizeof(*sim.rule));
	sim.rule_wait = sim_alloc(sim.pages, sizeof(*sim.rule_wait));
	sim.version = sim_alloc(sim.pages, sizeof(*sim.version));
	sim.content = sim_alloc(sim.pages, sizeof(*sim.content));
	if (cfg.revalidate)
		sim.stale = sim_alloc((size_t)cfg.nodes * sim.pages,
				      sizeof(*sim.stale));
	sim.thread = sim_alloc(sim.threads + 1, sizeof(*sim.thread));
	net_init();
	node_init();
	if (!cfg.fresh)
		world_not_fresh();
	for (i = 1; i <= sim.threads; i++) {
		struct sim_thread *t = &sim.thread[i];
		u64 think;

		t->node = 1 + (i - 1) % cfg.nodes;
		if (workload_next(t, &think))
			queue_add(think, EVENT_THREAD, t->node, i);
	}
}

static void run(void)
{
	enum sim_event type;
	u16 node;
	u32 arg;

	while (!sim.failed && queue_next(&type, &node, &arg)) {
		sim.events++;
		sim.digest = (sim.digest ^ sim.now ^ (u64)node << 40 ^
			      (u64)type << 60) * 0x100000001b3ull;
		sim.depart = sim.now;
		switch (type) {
		case EVENT_THREAD:
			if (!sim.stop || sim.thread[arg].faulting)
				node_access(arg);
			break;
		case EVENT_ARRIVE:
			net_arrive(arg);
			break;
		case EVENT_NODE:
			net_node(node);
			break;
		case EVENT_RECALL:
			node_recall(node, arg);
			break;
		case EVENT_NR:
			break;
		}
	}
}

static void usage(FILE *f)
{
	fprintf(f,
"usage: sim [OPTIONS]\n"
"  --workload NAME, or --trace FILE (- is standard input)\n"
"  --nodes N (1 to %d)  --threads N (each node's)  --pages N (times nodes)\n"
"  --faults N           stop after so many faults that had to wait\n"
"  --accesses N         stop after so many accesses\n"
"  --seed N  --think NS (mean)  --write PERCENT\n"
"  --silent PERCENT     how many writes change nothing\n"
"links: --latency NS (one way)  --jitter NS (0 to that)  --gbit N (0: no limit)\n"
"       --cpu NS (work on a message)  --take NS (unmap a page)\n"
"       --minor NS (fault of a page that is here)\n"
"       --hash NS (of a page)\n"
"levers:\n"
"  --no-zero            first touch carries a page of zeros\n"
"  --no-same-filled     pages whose words are alike travel in full\n"
"  --fill PERCENT       how many pages are such\n"
"  --no-fresh           homes have all pages at first: no first touch\n"
"  --no-upgrade         a writer drops its read copy and asks for the page\n"
"  --serial             one INV after the other\n"
"  --no-migratory       a read gets a copy, also of a page that migrates\n"
"  --lend               homes lend pages to owners that write them steadily\n"
"  --no-hints           ... and readers without a copy do not know who that is\n"
"  --hold NS            a page stays with the fault that got it\n"
"  --hold-bounced       ... but 1 us only, unless it was here just before\n"
"  --prefetch N         longest window, 0: none (module: 32)\n"
"  --no-group           each request of a prefetch is a message of its own\n"
"  --budget N           pages per node; what goes for room is the next by number\n"
"  --lru                ... or the oldest  --clock  ... or, of copies, as the module\n"
"  --idle PERCENT       copies that --clock keeps unmapped\n"
"  --revalidate N       old copies are asked about: 0 never, 1 where it pays, 2 always\n"
"  --home-hash          homes dealt out one by one, not in ranges\n"
"workloads:\n", HK_MAX_NODES - 1);
	workload_list();
}

enum {
	OPT_HELP = 256, OPT_WORKLOAD, OPT_TRACE, OPT_NODES, OPT_THREADS,
	OPT_PAGES, OPT_FAULTS, OPT_ACCESSES, OPT_SEED, OPT_THINK, OPT_WRITE,
	OPT_LATENCY, OPT_JITTER, OPT_GBIT, OPT_CPU, OPT_TAKE, OPT_NO_ZERO,
	OPT_NO_SAME_FILLED, OPT_FILL, OPT_NO_FRESH, OPT_NO_UPGRADE, OPT_SERIAL, OPT_NO_MIGRATORY,
	OPT_LEND, OPT_NO_HINTS,
	OPT_HOLD, OPT_HOLD_BOUNCED, OPT_PREFETCH, OPT_NO_GROUP, OPT_BUDGET, OPT_LRU,
	OPT_CLOCK, OPT_IDLE, OPT_MINOR,
	OPT_HOME_HASH, OPT_SILENT, OPT_HASH, OPT_REVALIDATE,
};

static const struct option options[] = {
	{ "help", no_argument, NULL, OPT_HELP },
	{ "workload", required_argument, NULL, OPT_WORKLOAD },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "nodes", required_argument, NULL, OPT_NODES },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "pages", required_argument, NULL, OPT_PAGES },
	{ "faults", required_argument, NULL, OPT_FAULTS },
	{ "accesses", required_argument, NULL, OPT_ACCESSES },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "think", required_argument, NULL, OPT_THINK },
	{ "write", required_argument, NULL, OPT_WRITE },
	{ "latency", required_argument, NULL, OPT_LATENCY },
	{ "jitter", required_argument, NULL, OPT_JITTER },
	{ "gbit", required_argument, NULL, OPT_GBIT },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "take", required_argument, NULL, OPT_TAKE },
	{ "no-zero", no_argument, NULL, OPT_NO_ZERO },
	{ "no-same-filled", no_argument, NULL, OPT_NO_SAME_FILLED },
	{ "fill", required_argument, NULL, OPT_FILL },
	{ "no-fresh", no_argument, NULL, OPT_NO_FRESH },
	{ "no-upgrade", no_argument, NULL, OPT_NO_UPGRADE },
	{ "serial", no_argument, NULL, OPT_SERIAL },
	{ "no-migratory", no_argument, NULL, OPT_NO_MIGRATORY },
	{ "lend", no_argument, NULL, OPT_LEND },
	{ "no-hints", no_argument, NULL, OPT_NO_HINTS },
	{ "hold", required_argument, NULL, OPT_HOLD },
	{ "hold-bounced", no_argument, NULL, OPT_HOLD_BOUNCED },
	{ "prefetch", required_argument, NULL, OPT_PREFETCH },
	{ "no-group", no_argument, NULL, OPT_NO_GROUP },
	{ "budget", required_argument, NULL, OPT_BUDGET },
	{ "lru", no_argument, NULL, OPT_LRU },
	{ "clock", no_argument, NULL, OPT_CLOCK },
	{ "idle", required_argument, NULL, OPT_IDLE },
	{ "minor", required_argument, NULL, OPT_MINOR },
	{ "home-hash", no_argument, NULL, OPT_HOME_HASH },
	{ "silent", required_argument, NULL, OPT_SILENT },
	{ "hash", required_argument, NULL, OPT_HASH },
	{ "revalidate", required_argument, NULL, OPT_REVALIDATE },
	{ }
};

static u64 number(u64 max)
{
	char *end;
	u64 n = strtoull(optarg, &end, 0);

	if (*end || end == optarg || n > max) {
		fprintf(stderr, "sim: %s: a number up to %llu is wanted\n",
			optarg, max);
		exit(2);
	}
	return n;
}

static void set(int opt)
{
	switch (opt) {
	case OPT_WORKLOAD:	cfg.workload = optarg; break;
	case OPT_TRACE:		cfg.trace = optarg; break;
	case OPT_NODES:		cfg.nodes = number(HK_MAX_NODES - 1); break;
	case OPT_THREADS:	cfg.threads = number(1024); break;
	case OPT_PAGES:		cfg.pages = number(1 << 20); break;
	case OPT_FAULTS:	cfg.faults = number(~0ull); break;
	case OPT_ACCESSES:	cfg.accesses = number(~0ull); break;
	case OPT_SEED:		cfg.seed = number(~0ull); break;
	case OPT_THINK:		cfg.think_ns = number(1000000000); break;
	case OPT_WRITE:		cfg.write_pct = number(100); break;
	case OPT_LATENCY:	cfg.latency_ns = number(1000000000); break;
	case OPT_JITTER:	cfg.jitter_ns = number(1000000000); break;
	case OPT_GBIT:		cfg.gbit = number(100000); break;
	case OPT_CPU:		cfg.cpu_ns = number(1000000000); break;
	case OPT_TAKE:		cfg.take_ns = number(1000000000); break;
	case OPT_NO_ZERO:	cfg.zero = false; break;
	case OPT_NO_SAME_FILLED: cfg.same_filled = false; break;
	case OPT_FILL:		cfg.fill_pct = number(100); break;
	case OPT_NO_FRESH:	cfg.fresh = false; break;
	case OPT_NO_UPGRADE:	cfg.upgrade = false; break;
	case OPT_SERIAL:	cfg.parallel = false; break;
	case OPT_NO_MIGRATORY:	cfg.migratory = false; break;
	case OPT_LEND:		cfg.lend = true; break;
	case OPT_NO_HINTS:	cfg.hints = false; break;
	case OPT_HOLD:		cfg.hold_ns = number(1000000000); break;
	case OPT_HOLD_BOUNCED:	cfg.hold_bounced = true; break;
	case OPT_PREFETCH:	cfg.prefetch = number(1024); break;
	case OPT_NO_GROUP:	cfg.group = false; break;
	case OPT_BUDGET:	cfg.budget = number(1 << 20); break;
	case OPT_LRU:		cfg.lru = true; break;
	case OPT_CLOCK:		cfg.clock = true; break;
	case OPT_IDLE:		cfg.idle_pct = number(100); break;
	case OPT_MINOR:		cfg.minor_ns = number(1000000000); break;
	case OPT_HOME_HASH:	cfg.home_hash = true; break;
	case OPT_SILENT:	cfg.silent_pct = number(100); break;
	case OPT_HASH:		cfg.hash_ns = number(1000000000); break;
	case OPT_REVALIDATE:	cfg.revalidate = number(2); break;
	}
}

static void too_little(const char *what)
{
	fprintf(stderr, "sim: %s\n", what);
	exit(2);
}

/* Of this process: others may want the core, too */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double start;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == OPT_HELP) {
			usage(stdout);
			return 0;
		}
		if (opt == '?') {
			usage(stderr);
			return 2;
		}
		set(opt);
	}
	if (optind != argc || !cfg.nodes || !cfg.threads || !cfg.pages)
		too_little("nodes, threads and pages are at least 1; no other arguments");
	if (cfg.budget && cfg.budget < 16)
		too_little("a budget below 16 pages is none");
	if (cfg.budget && !cfg.fresh)
		too_little("--no-fresh gives homes their pages whatever the budget");
	if (cfg.budget && (u64)cfg.budget * 7 / 8 < cfg.pages + 4)
		too_little("budgets must hold all pages, and an eighth more");
	if (cfg.budget && cfg.revalidate)
		too_little("room for old copies is not modelled: no --budget with --revalidate");
	random_state[0] = cfg.seed * 0x9e3779b97f4a7c15ull + 1;
	random_state[1] = ~cfg.seed;
	for (opt = 0; opt < 16; opt++)
		sim_random();
	if (workload_init())
		return 2;
	world_init();
	start = seconds();
	run();
	start = seconds() - start;
	if (!sim.failed)
		check_quiet();
	report(start);
	return sim.failed;
}
