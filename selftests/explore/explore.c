// SPDX-License-Identifier: GPL-2.0
/*
 * Exhaustive exploration of the page protocol, over the objects that the
 * module is made of: options
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

void config_print(void)
{
	printf("# nodes=%u pages=%u%s%s%s%s%s%s%s: ",
	       cfg.nodes, cfg.pages, cfg.local_queue ? " late-local" : "",
	       cfg.unordered ? " unordered" : "",
	       cfg.groups ? " groups" : "",
	       cfg.migratory ? " migratory" : "",
	       cfg.lend ? " lend" : "",
	       cfg.names ? " names" : "",
	       cfg.sleepers ? "" : " no-sleepers");
}

static void usage(void)
{
	fprintf(stderr,
		"explore [-n NODES] [-p PAGES] [-d DEPTH] [-m STATES] [-q BOUND] [-e] [-g] [-l] [-N] [-u] [-w] [-x]\n"
		"  -e  home may lend any page to its owner at any time; not with -l\n"
		"  -g  requests that may go in a group leave late\n"
		"  -l  messages of a node to itself wait in a queue, too\n"
		"  -N  names of nodes matter: no symmetry reduction (more states)\n"
		"  -u  links do not keep the order: shows what breaks then\n"
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
	cfg.pages = 1;
	cfg.sleepers = true;
	while ((c = getopt(argc, argv, "n:p:d:m:q:eglNuwx")) != -1) {
		switch (c) {
		case 'n':
			cfg.nodes = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			cfg.pages = strtoul(optarg, NULL, 0);
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
		case 'l':
			cfg.local_queue = true;
			break;
		case 'e':
			cfg.lend = true;
			break;
		case 'g':
			cfg.groups = true;
			break;
		case 'N':
			cfg.names = true;
			break;
		case 'u':
			cfg.unordered = true;
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
	if (!cfg.queue_bound)
		cfg.queue_bound = (cfg.lend ? cfg.nodes + 1 : 2) * cfg.pages;
	if (optind != argc || cfg.nodes < 2 || cfg.nodes > NODES_MAX ||
	    (cfg.lend && cfg.local_queue) ||
	    !cfg.pages || cfg.pages > PAGES_MAX || cfg.queue_bound > QUEUE_MAX)
		usage();
	return explore(depth_max, states_max);
}
