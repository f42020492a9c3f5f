// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts by name, as /proc/interrupts counts them
 *
 * usage: irq NAME...
 *	mode	 how this kernel addresses LAPICs, for the log
 *	nmi	 from the first and the last CPU an NMI to all others: each gets one
 *		 and answers
 *	resched	 a signal for a thread that runs on another CPU (RES)
 *	call	 the first and the last CPU call a function on all others (CAL)
 *	timer	 a sleep on each CPU (LOC)
 *	msi	 reads of /dev/vda from each CPU end on that CPU, by MSI
 *	intx	 the same by a level-triggered pin of the IOAPIC, sent to each CPU in
 *		 turn; without an EOI there would be one
 *
 * Prints "IRQ NAME ok ..." or "IRQ NAME bad ..." for each. One process and few
 * threads: what runs on CPUs far away is what is asked for, and nothing else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CPUS_MAX	64
#define CALLS		5
#define CALLS_MAX	40
#define RESCHEDS	8
#define READS		8

static int cpus;
static char why[512];
static volatile int stop, up, hit;

/* The test has failed; the first reasons are kept */
static void bad(const char *fmt, ...)
{
	size_t used = strlen(why);
	va_list args;

	va_start(args, fmt);
	vsnprintf(why + used, sizeof(why) - used, fmt, args);
	va_end(args);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bad(" no CPU %d", cpu);
}

/* Sums of all lines of /proc/interrupts that match, by CPU; Return: lines */
static int count(const char *pattern, long *sum)
{
	char line[4096], *at, *end;
	int lines = 0, i;
	regex_t re;
	FILE *f = fopen("/proc/interrupts", "r");

	memset(sum, 0, CPUS_MAX * sizeof(*sum));
	if (!f || regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB))
		exit(2);
	while (fgets(line, sizeof(line), f)) {
		if (regexec(&re, line, 0, NULL, 0))
			continue;
		lines++;
		at = strchr(line, ':') + 1;
		for (i = 0; i < cpus; i++, at = end)
			sum[i] += strtol(at, &end, 10);
	}
	regfree(&re);
	fclose(f);
	return lines;
}

/* The kernel's log, all of it */
static const char *klog(void)
{
	static char buf[1 << 20];
	int len = klogctl(3, buf, sizeof(buf) - 1);

	buf[len < 0 ? 0 : len] = 0;
	return buf;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	/* of a queue that belongs to one CPU the affinity is not ours to set */
	if (fd >= 0 && write(fd, text, strlen(text)) < 0 && errno != EIO)
		bad(" %s: %s", path, strerror(errno));
	close(fd);
}

static const char *mode(void)
{
	static char text[160];
	const char *m = strstr(klog(), "APIC routing to"), *b;
	char name[64] = "";

	/* where the kernel stays with what it begins with it says nothing */
	if (m)
		sscanf(m, "APIC routing to%*[: ]%63[^.\n]", name);
	else if (!system("grep -qw x2apic /proc/cpuinfo"))
		strcpy(name, "unknown");
	else
		strcpy(name, "xAPIC flat");
	b = strstr(klog(), "IPI shorthand broadcast: ");
	snprintf(text, sizeof(text), "%s, broadcast %s", name,
		 b && !strncmp(b + 25, "enabled", 7) ? "by shorthand" : "one by one");
	return text;
}

static void nmi(void)
{
	long before[CPUS_MAX], after[CPUS_MAX];
	char line[64];
	int from, i;

	for (from = 0; from < cpus; from += cpus - 1) {
		pin(from);
		klogctl(5, NULL, 0);
		count("^ *NMI:", before);
		/* backtraces of all CPUs; the kernel waits for them */
		put("/proc/sysrq-trigger", "l");
		count("^ *NMI:", after);
		for (i = 0; i < cpus; i++) {
			if (after[i] - before[i] != (i != from))
				bad(" %d->%d: %ld", from, i, after[i] - before[i]);
			snprintf(line, sizeof(line), "NMI backtrace for cpu %d", i);
			if (!strstr(klog(), line))
				bad(" %d->%d: no answer", from, i);
		}
	}
}

static void *spin(void *arg)
{
	pin((long)arg);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	while (!stop)
		;
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
	hit = 1;
	stop = 1;
}

/* A signal for a thread that spins on CPU @c, sent from the CPU beside it */
static bool resched_once(long c)
{
	long before[CPUS_MAX], after[CPUS_MAX];
	pthread_t t;

	stop = up = hit = 0;
	pin((c + 1) % cpus);
	if (pthread_create(&t, NULL, spin, (void *)c))
		exit(2);
	while (!up)
		usleep(1000);
	count("^ *RES:", before);
	/* it runs in user mode: only an interrupt makes it look */
	pthread_kill(t, SIGUSR1);
	pthread_join(t, NULL);
	count("^ *RES:", after);
	return hit && after[c] > before[c];
}

/*
 * The kernel sends no interrupt when it finds another thread on that CPU, one of its own
 * say: the one that spins looks when its turn comes. So there is more than one try.
 */
static void resched(void)
{
	long c;
	int i;

	signal(SIGUSR1, on_signal);
	for (c = 0; c < cpus; c++) {
		for (i = 0; i < RESCHEDS && !resched_once(c); i++)
			;
		if (i == RESCHEDS)
			bad(" CPU %ld: none in %d tries", c, RESCHEDS);
	}
}

/* Has each other CPU been called so often since @before? */
static bool called(int from, const long *before, long *after)
{
	long i;

	count("^ *CAL:", after);
	for (i = 0; i < cpus; i++)
		if (i != from && after[i] - before[i] < CALLS)
			return false;
	return true;
}

/*
 * Only a CPU that runs a thread of this process at that moment is called. One where a thread
 * of the kernel's has its turn is not: so there are more calls than must arrive.
 */
static void call(void)
{
	long before[CPUS_MAX], after[CPUS_MAX];
	pthread_t t[CPUS_MAX];
	long i;
	int from, k;

	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	for (from = 0; from < cpus; from += cpus - 1) {
		stop = up = 0;
		pin(from);
		for (i = 0; i < cpus; i++)
			if (i != from && pthread_create(&t[i], NULL, spin, (void *)i))
				exit(2);
		while (up < cpus - 1)
			usleep(1000);
		count("^ *CAL:", before);
		for (k = 0; k < CALLS_MAX; k++) {
			if (syscall(SYS_membarrier,
				    MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
				bad(" membarrier: %s", strerror(errno));
			if (k >= CALLS - 1 && called(from, before, after))
				break;
		}
		stop = 1;
		for (i = 0; i < cpus; i++) {
			if (i == from)
				continue;
			pthread_join(t[i], NULL);
			if (after[i] - before[i] < CALLS)
				bad(" %d->%ld: %ld in %d calls", from, i, after[i] - before[i],
				    k);
		}
	}
}

static void timer(void)
{
	long before[CPUS_MAX], after[CPUS_MAX];
	int c;

	for (c = 0; c < cpus; c++) {
		pin(c);
		count("^ *LOC:", before);
		usleep(20000);
		count("^ *LOC:", after);
		if (after[c] == before[c])
			bad(" CPU %d", c);
	}
}

static void read_disk(int c, int fd, int n)
{
	static char buf[4096] __attribute__((aligned(4096)));
	int i;

	for (i = 0; i < n; i++)
		if (pread(fd, buf, sizeof(buf), (c * 64 + i) * 4096L) != sizeof(buf))
			bad(" CPU %d: /dev/vda: %s", c, strerror(errno));
}

static void reads(const char *pattern)
{
	long before[CPUS_MAX], after[CPUS_MAX];
	int fd = open("/dev/vda", O_RDONLY | O_DIRECT), c, irq;
	char path[64], cpu[16], line[4096];
	regex_t re;
	FILE *f;

	if (fd < 0 || !count(pattern, before)) {
		bad(" no such interrupt, or no /dev/vda");
		return;
	}
	for (c = 0; c < cpus; c++) {
		pin(c);
		snprintf(cpu, sizeof(cpu), "%d", c);
		f = fopen("/proc/interrupts", "r");
		if (!f || regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB))
			exit(2);
		while (fgets(line, sizeof(line), f)) {
			if (regexec(&re, line, 0, NULL, 0) ||
			    sscanf(line, " %d:", &irq) != 1)
				continue;
			snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity_list",
				 irq);
			put(path, cpu);
		}
		regfree(&re);
		fclose(f);
		/* a pin of the IOAPIC moves when its next interrupt comes */
		read_disk(c, fd, 2);
		count(pattern, before);
		read_disk(c, fd, READS);
		count(pattern, after);
		if (after[c] - before[c] < READS / 2)
			bad(" CPU %d: %ld of %d", c, after[c] - before[c], READS);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	const char *text;
	int i, rc = 0;

	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (cpus < 2 || cpus > CPUS_MAX)
		return 2;
	for (i = 1; i < argc; i++) {
		why[0] = 0;
		text = "";
		if (!strcmp(argv[i], "mode"))
			text = mode();
		else if (!strcmp(argv[i], "nmi"))
			nmi();
		else if (!strcmp(argv[i], "resched"))
			resched();
		else if (!strcmp(argv[i], "call"))
			call();
		else if (!strcmp(argv[i], "timer"))
			timer();
		else if (!strcmp(argv[i], "msi"))
			reads("PCI-MSI.*virtio0-req");
		else if (!strcmp(argv[i], "intx"))
			reads("IO-APIC.*fasteoi.*virtio0");
		else
			bad(" no such test");
		printf("IRQ %s %s%s%s\n", argv[i], why[0] ? "bad" : "ok",
		       text[0] ? " " : "", why[0] ? why : text);
		fflush(stdout);
		rc |= !!why[0];
	}
	return rc;
}
