// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/doctor.c - hkctl doctor: what this host lacks, in plain words
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "hkctl.h"
#include "../lib/ktls.h"

enum verdict { GOOD, NOTE, BAD };

static unsigned int bad;

static void say(const char *what, enum verdict v, const char *found,
		const char *todo)
{
	static const char *const words[] = { "ok", "note", "missing" };

	if (v == BAD)
		bad++;
	pr_object(NULL);
	pr_str("check", what);
	pr_str("verdict", words[v]);
	pr_str("found", found);
	if (v != GOOD && todo)
		pr_str("todo", todo);
	pr_object_end();
}

/* first line; false when it cannot be read */
static bool read_line(const char *path, char *buf, size_t len)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(buf, (int)len, f);

	if (f)
		fclose(f);
	if (!ok)
		buf[0] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return ok;
}

static bool has_line(const char *path, const char *word)
{
	size_t n = strlen(word);
	FILE *f = fopen(path, "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, word, n) &&
			(line[n] == '\n' || line[n] == ' ' || line[n] == '\t');
	if (f)
		fclose(f);
	return found;
}

/* a flag of the first CPU, as the kernel uses it */
static bool cpu_flag(const char *want)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool found = false;
	char *line = NULL, *word;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0 && strncmp(line, "flags", 5))
		;
	for (word = line ? strtok(line, " \t\n") : NULL; word && !found;
	     word = strtok(NULL, " \t\n"))
		found = !strcmp(word, want);
	free(line);
	if (f)
		fclose(f);
	return found;
}

static bool yes(const char *val)
{
	return val[0] == 'Y' || val[0] == 'y' || val[0] == '1';
}

static void check_kvm(void)
{
	char val[32] = "", text[128];
	bool amd = !access("/sys/module/kvm_amd", F_OK);
	bool intel = !access("/sys/module/kvm_intel", F_OK);

	if (!access("/dev/kvm", R_OK | W_OK))
		say("kvm", GOOD, "/dev/kvm is there", NULL);
	else
		say("kvm", BAD, errno == ENOENT ? "there is no /dev/kvm" :
		    "/dev/kvm may not be opened",
		    "switch virtualisation on in the firmware, load kvm_amd or kvm_intel, and run as root");
	if (!amd && !intel) {
		say("kvm-module", BAD, "neither kvm_amd nor kvm_intel is loaded",
		    "modprobe kvm_amd or kvm_intel");
		return;
	}
	say("kvm-module", GOOD, amd ? "kvm_amd" : "kvm_intel", NULL);

	/*
	 * A nested walk that writes every table on its way makes the nodes fight
	 * for the guest's page tables: Documentation/architecture.rst.
	 */
	read_line(amd ? "/sys/module/kvm_amd/parameters/npt" :
		  "/sys/module/kvm_intel/parameters/eptad", val, sizeof(val));
	snprintf(text, sizeof(text), "%s=%s", amd ? "npt" : "eptad",
		 val[0] ? val : "?");
	say("page-table-walks", yes(val) ? BAD : GOOD, text,
	    amd ? "walks of guest page tables would count as writes on every host: modprobe -r kvm_amd; modprobe kvm_amd npt=0 avic=0" :
		  "walks of guest page tables would count as writes on every host: modprobe -r kvm_intel; modprobe kvm_intel eptad=0 enable_apicv=0");

	read_line(amd ? "/sys/module/kvm_amd/parameters/avic" :
		  "/sys/module/kvm_intel/parameters/enable_apicv", val,
		  sizeof(val));
	snprintf(text, sizeof(text), "%s=%s", amd ? "avic" : "enable_apicv",
		 val[0] ? val : "?");
	say("interrupts-in-hardware", yes(val) ? BAD : GOOD, text,
	    amd ? "hardware would deliver interrupts past the module: modprobe -r kvm_amd; modprobe kvm_amd npt=0 avic=0" :
		  "hardware would deliver interrupts past the module: modprobe -r kvm_intel; modprobe kvm_intel eptad=0 enable_apicv=0");
}

/* is there a symbol of this name in the kernel or a module? */
static bool has_symbol(const char *want)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], name[128];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %127s", name) == 1 &&
			!strcmp(name, want);
	if (f)
		fclose(f);
	return found;
}

static void add(char *text, size_t len, const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, len - used, "%s%s", used ? " " : "", word);
}

static const char other_kernel[] =
	"load kvm first; if it is loaded, this kernel is not fit: use Debian's 6.1 or 6.12";

static void check_functions(void)
{
	static const char *const hooks[] = {
		"kvm_vcpu_ioctl", "kvm_vm_ioctl", "__apic_accept_irq",
		"kvm_recalculate_apic_map", "kvm_mmu_page_fault",
	};
	static const char *const lists[] = {
		"/sys/kernel/tracing/available_filter_functions",
		"/sys/kernel/debug/tracing/available_filter_functions",
	};
	char absent[256] = "", blind[256] = "";
	const char *list = NULL;
	unsigned int i;

	for (i = 0; i < 2 && !list; i++)
		if (!access(lists[i], R_OK))
			list = lists[i];
	for (i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		if (!has_symbol(hooks[i]))
			add(absent, sizeof(absent), hooks[i]);
		else if (list && !has_line(list, hooks[i]))
			add(blind, sizeof(blind), hooks[i]);
	}
	/* called only: the one of 6.8 and later, or the one before */
	if (!has_symbol("kvm_mmu_track_write") &&
	    !has_symbol("kvm_mmu_unprotect_page"))
		add(absent, sizeof(absent), "kvm_mmu_track_write");
	if (absent[0])
		say("kvm-functions", BAD, absent, other_kernel);
	else if (blind[0])
		say("kvm-functions", BAD, blind,
		    "ftrace cannot follow these: use Debian's kernel 6.1 or 6.12");
	else if (list)
		say("kvm-functions", GOOD, "all can be traced", NULL);
	else
		say("kvm-functions", NOTE,
		    "all exist; whether they can be traced is not known",
		    "run as root, and mount -t tracefs none /sys/kernel/tracing");
}

static void check_kernel(void)
{
	struct utsname un;
	char val[32] = "";
	bool tried;

	uname(&un);
	tried = !strncmp(un.release, "6.1.", 4) || !strncmp(un.release, "6.12.", 5);
	say("kernel", tried ? GOOD : NOTE, un.release,
	    "only 6.1 and 6.12 have been tried");

	if (read_line("/proc/sys/kernel/ftrace_enabled", val, sizeof(val)))
		say("ftrace", yes(val) ? GOOD : BAD, yes(val) ? "enabled" :
		    "switched off", "sysctl kernel.ftrace_enabled=1");
	else
		say("ftrace", BAD, "this kernel has no ftrace",
		    "use a kernel with CONFIG_FUNCTION_TRACER and CONFIG_DYNAMIC_FTRACE_WITH_REGS (or _ARGS)");
	/* a kprobe tells the module where a function is that is not exported */
	if (has_symbol("register_kprobe"))
		say("kprobes", GOOD, "there", NULL);
	else
		say("kprobes", BAD, "this kernel has no kprobes",
		    "use a kernel with CONFIG_KPROBES");
	if (cpu_flag("ibt"))
		say("ibt", BAD, "the kernel tracks indirect branches",
		    "the module jumps behind the start of functions: boot with ibt=off");
	else
		say("ibt", GOOD, "off", NULL);
}

static void check_module(void)
{
	struct hk_nl *nl;
	char text[128];

	if (hk_nl_open(&nl)) {
		read_line("/sys/module/module/parameters/sig_enforce", text,
			  sizeof(text));
		say("module", BAD, hk_nl_error(NULL), yes(text) ?
		    "this kernel takes signed modules only: build by DKMS, mokutil --import /var/lib/dkms/mok.pub, reboot, modprobe hyperkernel" :
		    "build it (make modules, or DKMS), then modprobe hyperkernel or insmod; dmesg says why it would not load");
		return;
	}
	snprintf(text, sizeof(text), "loaded, netlink version %d",
		 hk_nl_version(nl));
	say("module", hk_nl_version(nl) == HK_GENL_VERSION ? GOOD : BAD, text,
	    "install a module and programs of the same release");
	hk_nl_close(nl);
}

static void check_clock(void)
{
	char val[64] = "", text[128];

	read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		  val, sizeof(val));
	snprintf(text, sizeof(text), "clocksource %s", val[0] ? val : "?");
	say("tsc", !strcmp(val, "tsc") ? GOOD : BAD, text,
	    "the kernel does not trust this host's TSC, so a guest's clock could jump when a vCPU moves: see dmesg; boot with tsc=reliable if you know better");
}

static void check_qemu(void)
{
	const char *path = getenv("PATH"), *end;
	char file[512];

	while (path && *path) {
		end = strchrnul(path, ':');
		snprintf(file, sizeof(file), "%.*s/qemu-system-x86_64",
			 (int)(end - path), path);
		if (!access(file, X_OK)) {
			say("qemu", GOOD, file, NULL);
			return;
		}
		path = *end ? end + 1 : end;
	}
	say("qemu", NOTE, "no qemu-system-x86_64 in PATH",
	    "needed on the node where a guest is created: install it, or start hkd with --qemu");
}

static void check_ktls(void)
{
	char why[HK_ERR_LEN];

	if (hk_ktls_probe(why))
		say("ktls", NOTE, why,
		    "without it this host can be in clusters only that were created plain");
	else
		say("ktls", GOOD, "TLS 1.3 with AES-256-GCM", NULL);
}

int do_doctor(int argc, char **argv)
{
	if (argc) {
		fputs("Usage: hkctl doctor\n", strcmp(argv[0], "help") ?
		      stderr : stdout);
		return strcmp(argv[0], "help") ? USAGE : DONE;
	}
	pr_array(NULL);
	check_kvm();
	check_kernel();
	check_functions();
	check_module();
	check_clock();
	check_qemu();
	check_ktls();
	pr_array_end();
	if (bad)
		return refused("%u of the checks failed", bad);
	return DONE;
}
