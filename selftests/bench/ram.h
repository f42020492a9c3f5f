/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest RAM mapped by a plain program: what ramdev.c and levers.c have in common
 */
#ifndef HK_BENCH_RAM_H
#define HK_BENCH_RAM_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include "hyperkernel.h"

#define PAGE	4096ul

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* All of a RAM device; ends the program when it cannot. @pages: out: how many */
static inline volatile uint64_t *map(const char *device, unsigned long *pages)
{
	struct hk_info info = { .size = sizeof(info) };
	int fd = open(device, O_RDWR);
	void *p;

	if (fd < 0 || ioctl(fd, HK_IOC_INFO, &info))
		die(device);
	*pages = info.ram_bytes / PAGE;
	p = mmap(NULL, *pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die(device);
	return p;
}

#endif /* HK_BENCH_RAM_H */
