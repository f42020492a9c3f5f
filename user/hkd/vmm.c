// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/vmm.c - the VMM's command line
 *
 * An unmodified QEMU. Guest RAM is the module's device. The interrupt controller
 * is split, so that all but the local APICs stays with the VMM. Paravirtual
 * features are off where KVM of one host would write what a vCPU on another
 * relies on. Asynchronous page faults may be on: their state moves with a vCPU.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "vm.h"

#define ARGS_MAX	256

static const char cpu_model[] =
	"host,-kvmclock,-kvmclock-stable-bit,-kvm-steal-time,-kvm-pv-eoi,"
	"-kvm-pv-unhalt,-kvm-pv-ipi,-kvm-pv-tlb-flush,-kvm-poll-control,"
	"-kvm-pv-sched-yield,+x2apic,+tsc-deadline";

struct args {
	char *v[ARGS_MAX + 1];
	unsigned int n;
	bool bad;
};

static void __attribute__((format(printf, 2, 3)))
add(struct args *args, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text || args->n == ARGS_MAX) {
		free(text);
		args->bad = true;
		return;
	}
	args->v[args->n++] = text;
}

/* QEMU's option lists take a comma doubled. */
static char *escape(const char *text)
{
	char *out = malloc(2 * strlen(text) + 1), *p = out;

	if (!out)
		return NULL;
	for (; *text; text++) {
		*p++ = *text;
		if (*text == ',')
			*p++ = ',';
	}
	*p = 0;
	return out;
}

void vmm_path(const struct vm *vm, const char *suffix, char *buf, size_t len)
{
	snprintf(buf, len, "%s/vm-%s.%s", hkd.run_dir, vm->info.name, suffix);
}

void vmm_free_argv(char **argv)
{
	unsigned int i;

	for (i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
}

/* The guest may trust the TSC only as far as this host does. */
static bool host_tsc_invariant(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool found = false;
	char line[4096];

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, "flags", 5) &&
			strstr(line, " nonstop_tsc");
	if (f)
		fclose(f);
	return found;
}

/* Does the guest take part in asynchronous page faults? */
static bool async_pf(const struct vm *vm)
{
	const char *choice = js_str(vm->config, "async-pf");

	return choice && !strcmp(choice, "on");
}

static void add_serial(struct args *args, const struct vm *vm)
{
	const char *file = js_str(vm->config, "serial");
	const char *sock = js_str(vm->config, "serial-socket");
	char path[512], *esc;

	vmm_path(vm, "console", path, sizeof(path));
	esc = escape(sock ? sock : file ? file : path);
	add(args, "-chardev");
	if (sock)
		add(args, "socket,id=serial0,path=%s,server=on,wait=off",
		    esc ? esc : "");
	else
		add(args, "file,id=serial0,path=%s", esc ? esc : "");
	add(args, "-serial");
	add(args, "chardev:serial0");
	args->bad |= !esc;
	free(esc);
}

static void add_disk(struct args *args, const struct vm *vm)
{
	const char *disk = js_str(vm->config, "disk");
	char *esc;

	if (!disk)
		return;
	esc = escape(disk);
	add(args, "-drive");
	/* O_DIRECT: the host's page cache would cost RAM a second time */
	add(args, "file=%s,if=none,id=d0,format=raw,cache=none,aio=threads",
	    esc ? esc : "");
	add(args, "-device");
	add(args, "virtio-blk-pci,drive=d0");
	args->bad |= !esc;
	free(esc);
}

static void add_boot(struct args *args, const struct vm *vm)
{
	static const char *const opts[] = { "kernel", "initrd", "append" };
	const char *val;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		val = js_str(vm->config, opts[i]);
		if (!val)
			continue;
		add(args, "-%s", opts[i]);
		add(args, "%s", val);
	}
}

static void add_machine(struct args *args, const struct vm *vm, int qmp_fd)
{
	unsigned long long kib = vm->info.ram_pages * (HK_PAGE_SIZE / 1024);
	char *esc;

	add(args, "-name");
	add(args, "%s", vm->info.name);
	add(args, "-M");
	add(args, "q35,smm=off,memory-backend=m0");
	esc = escape(vm->info.device);
	add(args, "-object");
	add(args, "memory-backend-file,id=m0,size=%lluK,mem-path=%s,share=on,prealloc=off",
	    kib, esc ? esc : "");
	args->bad |= !esc;
	free(esc);
	add(args, "-accel");
	add(args, "kvm,kernel-irqchip=split");
	add(args, "-cpu");
	add(args, "%s%s%s", cpu_model, async_pf(vm) ?
	    ",+kvm-asyncpf,+kvm-asyncpf-int" : ",-kvm-asyncpf,-kvm-asyncpf-int",
	    host_tsc_invariant() ? ",+invtsc" : "");
	add(args, "-smp");
	add(args, "%u", vm->info.nr_vcpus);
	add(args, "-m");
	add(args, "%lluK", kib);
	add(args, "-nodefaults");
	add(args, "-nographic");
	add(args, "-no-reboot");
	add(args, "-chardev");
	add(args, "socket,id=qmp0,fd=%d", qmp_fd);
	add(args, "-mon");
	add(args, "chardev=qmp0,mode=control");
}

char **vmm_argv(const struct vm *vm, int qmp_fd, char *err)
{
	struct json_object *extra = js_array(vm->config, "args");
	size_t i, n = extra ? json_object_array_length(extra) : 0;
	struct args *args = calloc(1, sizeof(*args));
	char **argv = NULL;

	if (!args) {
		fail(err, "out of memory");
		return NULL;
	}
	add(args, "%s", hkd.qemu);
	add_machine(args, vm, qmp_fd);
	add_serial(args, vm);
	add_boot(args, vm);
	add_disk(args, vm);
	for (i = 0; i < n; i++)
		add(args, "%s", json_object_get_string(
				json_object_array_get_idx(extra, i)));
	argv = calloc(args->n + 1, sizeof(*argv));
	if (argv)
		memcpy(argv, args->v, args->n * sizeof(*argv));
	if (!argv || args->bad) {
		fail(err, "too many arguments for the VMM");
		for (i = 0; i < args->n; i++)
			free(args->v[i]);
		free(argv);
		argv = NULL;
	}
	free(args);
	return argv;
}
