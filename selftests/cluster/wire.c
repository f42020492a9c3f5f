// SPDX-License-Identifier: GPL-2.0
/*
 * wire - does what is in guest RAM appear on the network?
 *
 *	wire listen IFACE PORT MARK	count frames of TCP port PORT until SIGTERM,
 *					and how often MARK is in them; says "listening"
 *					first
 *	wire write DEVICE MARK PAGES	fill guest RAM with MARK
 *	wire read DEVICE MARK PAGES	and check it, on another node
 *
 * A page is MARK and a number, over and over, so that it does not travel as one word.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE	4096
#define STEP	64

static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

/* offset of the TCP payload in a frame of that port, -1: another frame */
static int payload(const unsigned char *f, ssize_t len, int port)
{
	int ip, tcp;

	if (len < 54 || f[12] != 8 || f[13] || f[23] != IPPROTO_TCP)
		return -1;
	ip = 14;
	tcp = ip + (f[ip] & 15) * 4;
	if (tcp + 20 > len)
		return -1;
	if ((f[tcp] << 8 | f[tcp + 1]) != port &&
	    (f[tcp + 2] << 8 | f[tcp + 3]) != port)
		return -1;
	return tcp + (f[tcp + 12] >> 4) * 4;
}

static int listen_on(const char *iface, int port, const char *mark)
{
	struct sockaddr_ll sa = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(iface),
	};
	struct sigaction act = { .sa_handler = on_term };
	unsigned long frames = 0, bytes = 0, hits = 0;
	static unsigned char f[70000];
	int fd, at, size = 64 << 20;
	unsigned char *p, *end;
	ssize_t n;

	fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	if (fd < 0 || !sa.sll_ifindex ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		perror(iface);
		return 2;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	/* not restarted: recv() ends */
	sigaction(SIGTERM, &act, NULL);
	puts("listening");
	fflush(stdout);
	/* what has come before the signal is looked at still */
	for (;;) {
		n = recv(fd, f, sizeof(f), ended ? MSG_DONTWAIT : 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		at = payload(f, n, port);
		if (at < 0 || at >= n)
			continue;
		frames++;
		bytes += (unsigned long)(n - at);
		end = f + n;
		for (p = f + at; (p = memmem(p, (size_t)(end - p), mark,
					     strlen(mark))); p++)
			hits++;
	}
	printf("frames %lu bytes %lu hits %lu\n", frames, bytes, hits);
	return 0;
}

static int ram(const char *device, const char *mark, unsigned long pages, int wr)
{
	char want[STEP], *mem;
	unsigned long i, wrong = 0;
	int fd;

	fd = open(device, O_RDWR | O_CLOEXEC);
	mem = fd < 0 ? MAP_FAILED : mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
					 MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED) {
		perror(device);
		return 2;
	}
	for (i = 0; i < pages * PAGE / STEP; i++) {
		memset(want, 0, sizeof(want));
		snprintf(want, sizeof(want), "%s %lu", mark, i);
		if (wr)
			memcpy(mem + i * STEP, want, STEP);
		else
			wrong += memcmp(mem + i * STEP, want, STEP) != 0;
	}
	printf("pages %lu wrong %lu\n", pages, wrong);
	return wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "listen"))
		return listen_on(argv[2], atoi(argv[3]), argv[4]);
	if (argc == 5 && (!strcmp(argv[1], "write") || !strcmp(argv[1], "read")))
		return ram(argv[2], argv[3], strtoul(argv[4], NULL, 10),
			   argv[1][0] == 'w');
	fputs("usage: see wire.c\n", stderr);
	return 2;
}
