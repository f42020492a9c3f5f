// SPDX-License-Identifier: GPL-2.0
/*
 * Exhaustive exploration of the loss of nodes, over the objects that the module
 * is made of: options, and worlds in words
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "loss.h"

static void set_print(const char *what, u64 set)
{
	u8 i;

	if (!set)
		return;
	printf(" %s", what);
	for (i = 1; i <= NODES_MAX; i++)
		if (set & hk_node_bit(i))
			printf(" %u", i);
}

static const char *report_name(u8 report)
{
	static const char * const name[] = {
		"nothing", "SHARED", "OWNED", "EXCLUSIVE",
	};

	return name[report & HK_REPORT_COPY];
}

static void cell_print(const struct cell *c)
{
	switch (c->type) {
	case HK_RMSG_MARK:
		printf("MARK %s", hk_recover_step_name(c->req));
		break;
	case HK_RMSG_REPORT:
		printf("REPORT %s%s", report_name(c->req),
		       c->req & HK_REPORT_UNTOUCHED ? " UNTOUCHED" : "");
		break;
	case HK_RMSG_OWNER:
		printf("OWNER");
		break;
	default:
		printf("%s", hk_dmsg_name(c->type));
		if (c->req)
			printf(" req %u", c->req);
		set_print("acks", c->acks);
		if (c->flags & HK_DMSG_F_HAVE)
			printf(" HAVE");
		if (c->flags & HK_DMSG_F_NO_DONE)
			printf(" NO_DONE");
		if (c->flags & HK_DMSG_F_RULER)
			printf(" RULER");
		if (c->val)
			printf(" %s data",
			       c->val == VAL_CURRENT ? "current" : "OLD");
	}
	printf(" (epoch %u)", c->epoch);
}

static void node_print(const struct world *w, u8 i)
{
	const struct node *n = &w->n[i];

	printf("#\tnode %u%s: epoch %u %s", i,
	       lives(w, i) ? "" : " (declared dead)", n->rec.epoch,
	       hk_recover_step_name(n->rec.step));
	set_print("marks of", n->rec.marks);
	printf("; %s", hk_page_state_name(n->state));
	if (n->ruler)
		printf("(ruler %u)", n->ruler);
	if (n->ctx.asked)
		printf("(asked %u%s)", n->ctx.asked,
		       n->ctx.moot ? ", moot" : "");
	if (n->ctx.replied)
		printf("(replied)");
	set_print(n->ctx.replied ? "(acks missing)" : "(acks)", n->ctx.acks);
	if (n->copy == VAL_STALE)
		printf("(OLD value)");
	if (n->asleep)
		printf("(asleep:%s%s)", n->asleep & SLEEP_READ ? " reader" : "",
		       n->asleep & SLEEP_WRITE ? " writer" : "");
	if (n->known)
		printf(" knows it untouched");
	if (n->dir.owner || n->dir.flags) {
		printf("; directory: owner %u", n->dir.owner);
		set_print("sharers", n->dir.sharers);
		if (n->dir.busy)
			printf(" busy with %u", n->dir.busy);
		if (n->dir.flags & HK_DIR_F_LOST)
			printf(" LOST");
		if (n->dir.flags & HK_DIR_F_LENT)
			printf(n->dir.flags & HK_DIR_F_ASKED ?
			       " lent and asked back" : " lent");
		if (n->dir.flags & HK_DIR_F_RULES)
			printf(n->dir.flags & HK_DIR_F_GIVES ?
			       " rules and gives" : " rules");
		set_print("readers wait", n->wait.rd);
		set_print("writers wait", n->wait.wr);
	}
	if (n->build.heard) {
		printf("; builds: owner %u", n->build.owner);
		set_print("sharers", n->build.sharers);
		set_print("heard", n->build.heard);
	}
	printf("\n");
}

void world_print(const struct world *w)
{
	u8 i, j, k;

	printf("#\thome by epoch:");
	for (i = 1; i <= w->epochs; i++)
		printf(" %u", w->home[i]);
	printf("\n");
	for (i = 1; i <= cfg.nodes; i++)
		if (acts(w, i))
			node_print(w, i);
	for (i = 1; i <= cfg.nodes; i++) {
		for (j = 1; j <= cfg.nodes; j++) {
			if (!w->qlen[i][j])
				continue;
			printf("#\tunder way %u -> %u:", i, j);
			for (k = 0; k < w->qlen[i][j]; k++) {
				printf(k ? ", " : " ");
				cell_print(&w->q[i][j][k]);
			}
			printf("\n");
		}
	}
}

void happening_print(const struct world *w, const struct happening *h)
{
	switch ((enum happening_kind)h->kind) {
	case DO_READ:
		printf("node %u: read fault\n", h->node);
		break;
	case DO_FORGET:
		printf("node %u: read fault, last ruler forgotten\n", h->node);
		break;
	case DO_WRITE:
		printf("node %u: write fault\n", h->node);
		break;
	case DO_STORE:
		printf("node %u: guest writes\n", h->node);
		break;
	case DO_DROP:
		printf("node %u: drops its read copy\n", h->node);
		break;
	case DO_KILL:
		printf("node %u: is lost: epoch %u, home %u\n", h->node,
		       w->epochs + 1, h->from);
		break;
	case DO_DELIVER:
		printf("node %u: gets from node %u ", h->node, h->from);
		cell_print(&w->q[h->from][h->node][0]);
		printf("\n");
		break;
	case DO_TAKEN:
		printf("node %u: page is unmapped\n", h->node);
		break;
	case DO_DOWNGRADED:
		printf("node %u: page is write-protected\n", h->node);
		break;
	case DO_LEARN:
		printf("node %u: hears of epoch %u\n", h->node, h->from);
		break;
	case DO_WORK:
		printf("node %u: has done its work\n", h->node);
		break;
	}
}

void config_print(void)
{
	printf("# nodes=%u losses=%u", cfg.nodes, cfg.losses);
	if (cfg.requests < NODES_MAX)
		printf(" requests=%u", cfg.requests);
	if (cfg.faults)
		printf(" faults=%u", cfg.faults);
	printf("%s%s%s%s%s%s%s%s: ", cfg.moved ? " homes-move" : "",
	       cfg.calm ? " calm" : "", cfg.slow ? " slow-work" : "",
	       cfg.undead ? " undead" : "", cfg.names ? " names" : "",
	       cfg.migratory ? " migratory" : "",
	       cfg.lend ? " lend" : "",
	       cfg.sleepers ? "" : " no-sleepers");
}

static void usage(void)
{
	fprintf(stderr,
		"loss [-n NODES] [-L LOSSES] [-r REQUESTS] [-f FAULTS] [-d DEPTH] [-m STATES] [-q BOUND] [-M] [-c] [-e] [-k] [-z] [-N] [-w] [-x]\n"
		"  -r  requests under way at once\n"
		"  -f  faults at all, 7 at most\n"
		"  -M  home may move though it lives\n"
		"  -c  no faults from a loss to the end of the recovery\n"
		"  -e  home may lend any page to its owner at any time\n"
		"  -k  the work of a step takes its time\n"
		"  -z  who is declared dead is cut off only, and goes on\n"
		"  -N  names of nodes matter: no symmetry reduction (more states)\n"
		"  -w  keep no book about sleeping threads (fewer states)\n"
		"  -x  home may find any page to migrate at any time\n");
	exit(2);
}

int main(int argc, char **argv)
{
	unsigned int depth_max = ~0u;
	u32 states_max = 1u << 31;
	int c;

	cfg.nodes = 3;
	cfg.losses = 1;
	cfg.requests = NODES_MAX;
	cfg.sleepers = true;
	cfg.queue_bound = 8;
	while ((c = getopt(argc, argv, "n:L:r:f:d:m:q:McekzNwx")) != -1) {
		switch (c) {
		case 'n':
			cfg.nodes = strtoul(optarg, NULL, 0);
			break;
		case 'L':
			cfg.losses = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			cfg.requests = strtoul(optarg, NULL, 0);
			break;
		case 'f':
			cfg.faults = strtoul(optarg, NULL, 0);
			break;
		case 'd':
			depth_max = strtoul(optarg, NULL, 0);
			break;
		case 'm':
			states_max = strtoul(optarg, NULL, 0);
			break;
		case 'q':
			cfg.queue_bound = strtoul(optarg, NULL, 0);
			break;
		case 'M':
			cfg.moved = true;
			break;
		case 'c':
			cfg.calm = true;
			break;
		case 'e':
			cfg.lend = true;
			break;
		case 'k':
			cfg.slow = true;
			break;
		case 'z':
			cfg.undead = true;
			break;
		case 'N':
			cfg.names = true;
			break;
		case 'w':
			cfg.sleepers = false;
			break;
		case 'x':
			cfg.migratory = true;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || cfg.nodes < 2 || cfg.nodes > NODES_MAX ||
	    cfg.losses >= cfg.nodes || cfg.losses >= EPOCHS_MAX ||
	    !cfg.requests || cfg.faults > 7 || cfg.queue_bound > QUEUE_MAX)
		usage();
	return explore(depth_max, states_max);
}
