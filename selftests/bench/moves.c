// SPDX-License-Identifier: GPL-2.0
/*
 * moves - move a vCPU to and fro and note when: `make bench` runs it on the origin
 *
 *	moves VM VCPU NODE NODE COUNT PAUSE-MS
 *
 * Runs "hkctl vcpu move" COUNT times, to the first node, to the second and so on,
 * with a pause after each, and prints for each "move NODE FROM TO": this host's TSC
 * before and after the command. What a vCPU went through lies in between.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) :: "memory");
	return (uint64_t)hi << 32 | lo;
}

static int move(const char *vm, const char *vcpu, const char *node)
{
	pid_t pid = fork();
	int status = -1;

	if (!pid) {
		execlp("hkctl", "hkctl", "vcpu", "move", vm, vcpu, node, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fprintf(stderr, "moves: %s\n", strerror(errno));
	return status;
}

int main(int argc, char **argv)
{
	struct timespec pause;
	unsigned int i, count;
	unsigned long ms;
	uint64_t from, to;

	if (argc != 7) {
		fprintf(stderr, "usage: moves VM VCPU NODE NODE COUNT PAUSE-MS\n");
		return 2;
	}
	count = strtoul(argv[5], NULL, 0);
	ms = strtoul(argv[6], NULL, 0);
	pause.tv_sec = ms / 1000;
	pause.tv_nsec = ms % 1000 * 1000000;
	for (i = 0; i < count; i++) {
		nanosleep(&pause, NULL);
		from = tsc();
		if (move(argv[1], argv[2], argv[3 + i % 2]))
			return 1;
		to = tsc();
		printf("move %s %llu %llu\n", argv[3 + i % 2],
		       (unsigned long long)from, (unsigned long long)to);
	}
	return 0;
}
