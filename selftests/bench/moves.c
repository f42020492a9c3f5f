// SPDX-License-Identifier: GPL-2.0
/*
 * moves - move a vCPU to and fro and note when: `make bench` runs it on the origin
 *
 *	moves VM VCPU NODE NODE COUNT PAUSE-MS
 *
 * Moves it COUNT times, to the first node, to the second and so on, with a pause
 * before each, and prints for each "move NODE FROM TO": this host's TSC before and
 * after the request. What the vCPU went through lies in between.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "hk.h"

static uint64_t tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) :: "memory");
	return (uint64_t)hi << 32 | lo;
}

int main(int argc, char **argv)
{
	struct hk_vm_info vm = { 0 };
	struct timespec pause;
	struct hk_nl *nl;
	uint64_t from, to;
	uint32_t vcpu, i, count;
	unsigned long ms;
	uint16_t node;

	if (argc != 7) {
		fprintf(stderr, "usage: moves VM VCPU NODE NODE COUNT PAUSE-MS\n");
		return 2;
	}
	if (hk_nl_open(&nl)) {
		fprintf(stderr, "moves: %s\n", hk_nl_error(NULL));
		return 1;
	}
	if (hk_vm_find(nl, argv[1], &vm))
		goto refused;
	vcpu = strtoul(argv[2], NULL, 0);
	count = strtoul(argv[5], NULL, 0);
	ms = strtoul(argv[6], NULL, 0);
	pause.tv_sec = ms / 1000;
	pause.tv_nsec = ms % 1000 * 1000000;
	for (i = 0; i < count; i++) {
		node = strtoul(argv[3 + i % 2], NULL, 0);
		nanosleep(&pause, NULL);
		from = tsc();
		if (hk_vcpu_move(nl, vm.id, vcpu, node))
			goto refused;
		to = tsc();
		printf("move %u %llu %llu\n", node, (unsigned long long)from,
		       (unsigned long long)to);
	}
	hk_nl_close(nl);
	return 0;

refused:
	fprintf(stderr, "moves: %s\n", hk_nl_error(nl));
	return 1;
}
