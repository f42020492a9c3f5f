// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/replica.c - replica host: a process that lends its memory map, a KVM
 * VM and one thread a vCPU to the module, on a node other than the origin
 *
 * It does what the module says the VMM did at the origin, in the same order, and
 * runs no device: what leaves KVM goes to the origin. It has a memory map of its
 * own, as KVM binds a VM to one, and ends with the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "hyperkernel.h"
#include "vm.h"

#ifndef KVM_CAP_X86_TRIPLE_FAULT_EVENT
#define KVM_CAP_X86_TRIPLE_FAULT_EVENT 218
#endif

#define SLOTS_MAX	512
#define SCRATCH_LEN	HK_SCRATCH_MIN

/**
 * struct vcpu - one vCPU and its thread
 * @cpuid: as set before the thread was started, NULL: not yet
 */
struct vcpu {
	unsigned int index;
	int fd;
	void *scratch;
	struct kvm_cpuid2 *cpuid;
	size_t cpuid_len;
};

static int dev_fd, kvm_fd, vm_fd = -1;
static char *ram;
static struct hk_info info;
static struct hk_config_base base;
static struct hk_config_slot slots[SLOTS_MAX];
static unsigned int nr_slots;
static struct vcpu vcpus[HK_VCPUS_MAX];

static void __attribute__((format(printf, 1, 2), noreturn))
die(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	/* One write: threads may die at once. */
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

static int must(int fd, unsigned long cmd, void *arg, const char *what)
{
	int r;

	do {
		r = ioctl(fd, cmd, arg);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		die("%s: %s (errno %d)", what, strerror(errno), errno);
	return r;
}

/*
 * All that needs privilege is open. Threads inherit what is left here.
 */
static void drop_privileges(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
	if (syscall(SYS_capset, &hdr, data))
		die("capset: %s", strerror(errno));
}

static void enable_cap(uint32_t cap, uint64_t arg, const char *name)
{
	struct kvm_enable_cap ec = { .cap = cap, .args[0] = arg };
	char what[96];

	snprintf(what, sizeof(what), "KVM_ENABLE_CAP %s %llu", name,
		 (unsigned long long)arg);
	must(vm_fd, KVM_ENABLE_CAP, &ec, what);
}

static void apply_base(const void *buf, size_t len)
{
	/* where the VMM puts them; without effect where KVM needs none */
	uint64_t identity = 0xfeffc000;
	struct hk_replica_vm rv = { .size = sizeof(rv) };
	char what[64];
	unsigned int i;

	if (len < sizeof(base))
		die("HK_IOC_CONFIG_NEXT: base section of %zu bytes", len);
	memcpy(&base, buf, sizeof(base));
	if (!base.nr_vcpus || base.nr_vcpus > HK_VCPUS_MAX)
		die("HK_IOC_CONFIG_NEXT: %u vCPUs", base.nr_vcpus);

	vm_fd = must(kvm_fd, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	must(vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity,
	     "KVM_SET_IDENTITY_MAP_ADDR");
	must(vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)(identity + 0x1000),
	     "KVM_SET_TSS_ADDR");
	if (base.irqchip_pins)
		enable_cap(KVM_CAP_SPLIT_IRQCHIP, base.irqchip_pins,
			   "KVM_CAP_SPLIT_IRQCHIP");
	if (base.x2apic_flags)
		enable_cap(KVM_CAP_X2APIC_API, base.x2apic_flags,
			   "KVM_CAP_X2APIC_API");
	if (base.exception_payload)
		enable_cap(KVM_CAP_EXCEPTION_PAYLOAD, 1,
			   "KVM_CAP_EXCEPTION_PAYLOAD");
	if (base.triple_fault_event)
		enable_cap(KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1,
			   "KVM_CAP_X86_TRIPLE_FAULT_EVENT");
	for (i = 0; i < base.nr_vcpus; i++) {
		snprintf(what, sizeof(what), "KVM_CREATE_VCPU %u", i);
		vcpus[i].index = i;
		vcpus[i].fd = must(vm_fd, KVM_CREATE_VCPU,
				   (void *)(uintptr_t)i, what);
	}
	rv.vm_fd = vm_fd;
	must(dev_fd, HK_IOC_REPLICA_VM, &rv, "HK_IOC_REPLICA_VM");
}

static void set_region(const struct hk_config_slot *slot, uint64_t size)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot->slot,
		/* nobody here would collect the log */
		.flags = size ? slot->flags & ~KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = slot->gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)ram + slot->offset,
	};
	char what[128];

	snprintf(what, sizeof(what),
		 "KVM_SET_USER_MEMORY_REGION slot %u gpa %#llx size %#llx",
		 slot->slot, (unsigned long long)slot->gpa,
		 (unsigned long long)size);
	must(vm_fd, KVM_SET_USER_MEMORY_REGION, &r, what);
}

static bool same(const struct hk_config_slot *a, const struct hk_config_slot *b)
{
	return a->slot == b->slot && a->gpa == b->gpa && a->size == b->size &&
	       a->offset == b->offset &&
	       !((a->flags ^ b->flags) & ~KVM_MEM_LOG_DIRTY_PAGES);
}

static bool listed(const struct hk_config_slot *slot,
		   const struct hk_config_slot *list, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (same(slot, &list[i]))
			return true;
	return false;
}

/* What changed goes first, then what is new: slots must never overlap. */
static void apply_slots(const void *buf, size_t len)
{
	const struct hk_config_slot *list = buf;
	unsigned int n = (unsigned int)(len / sizeof(*list)), i;

	if (vm_fd < 0 || len % sizeof(*list) || n > SLOTS_MAX)
		die("HK_IOC_CONFIG_NEXT: malformed list of memslots");
	for (i = 0; i < n; i++)
		if (list[i].offset > info.ram_bytes ||
		    list[i].size > info.ram_bytes - list[i].offset)
			die("HK_IOC_CONFIG_NEXT: memslot %u is not in guest RAM",
			    list[i].slot);
	for (i = 0; i < nr_slots; i++)
		if (!listed(&slots[i], list, n))
			set_region(&slots[i], 0);
	for (i = 0; i < n; i++)
		if (!listed(&list[i], slots, nr_slots))
			set_region(&list[i], list[i].size);
	memcpy(slots, list, n * sizeof(*list));
	nr_slots = n;
}

static void apply_routes(void *buf, size_t len)
{
	struct kvm_irq_routing *routes = buf;

	if (vm_fd < 0 || len < sizeof(*routes) ||
	    (len - sizeof(*routes)) / sizeof(routes->entries[0]) < routes->nr)
		die("HK_IOC_CONFIG_NEXT: malformed GSI routes");
	must(vm_fd, KVM_SET_GSI_ROUTING, routes, "KVM_SET_GSI_ROUTING");
}

static void *run_vcpu(void *arg)
{
	struct vcpu *vcpu = arg;
	struct hk_replica_vcpu rv = {
		.size = sizeof(rv),
		.index = vcpu->index,
		.vcpu_fd = vcpu->fd,
		.scratch = (uintptr_t)vcpu->scratch,
		.scratch_len = SCRATCH_LEN,
	};
	int r;

	do {
		r = ioctl(dev_fd, HK_IOC_REPLICA_RUN, &rv);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && errno != ESHUTDOWN)
		die("HK_IOC_REPLICA_RUN vCPU %u: %s (errno %d)", vcpu->index,
		    strerror(errno), errno);
	return NULL;
}

static void start_thread(struct vcpu *vcpu)
{
	pthread_attr_t attr;
	pthread_t thread;
	char name[16];
	int r;

	vcpu->scratch = mmap(NULL, SCRATCH_LEN, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (vcpu->scratch == MAP_FAILED)
		die("mmap of scratch memory: %s", strerror(errno));
	/* Signals are blocked in all threads, see replica_main(). */
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, run_vcpu, vcpu);
	if (r)
		die("pthread_create for vCPU %u: %s", vcpu->index, strerror(r));
	snprintf(name, sizeof(name), "hk-vcpu-%u", vcpu->index);
	pthread_setname_np(thread, name);
	pthread_attr_destroy(&attr);
}

static void apply_cpuid(unsigned int index, void *buf, size_t len)
{
	struct kvm_cpuid2 *cpuid = buf;
	struct vcpu *vcpu = &vcpus[index];
	uint64_t mcg_cap = base.mcg_cap;
	char what[64];
	int khz;

	if (vm_fd < 0 || index >= base.nr_vcpus || len < sizeof(*cpuid) ||
	    (len - sizeof(*cpuid)) / sizeof(cpuid->entries[0]) < cpuid->nent)
		die("HK_IOC_CONFIG_NEXT: malformed CPUID of vCPU %u", index);
	if (vcpu->cpuid) {
		/* The thread has it; KVM takes no other CPUID after a run. */
		if (len != vcpu->cpuid_len || memcmp(cpuid, vcpu->cpuid, len))
			fprintf(stderr, "CPUID of vCPU %u changed after it was started: ignored\n",
				index);
		return;
	}
	vcpu->cpuid = malloc(len);
	if (!vcpu->cpuid)
		die("out of memory");
	memcpy(vcpu->cpuid, cpuid, len);
	vcpu->cpuid_len = len;

	snprintf(what, sizeof(what), "KVM_SET_CPUID2 vCPU %u", index);
	must(vcpu->fd, KVM_SET_CPUID2, cpuid, what);
	if (mcg_cap) {
		snprintf(what, sizeof(what), "KVM_X86_SETUP_MCE vCPU %u", index);
		must(vcpu->fd, KVM_X86_SETUP_MCE, &mcg_cap, what);
	}
	khz = ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0);
	if (base.tsc_khz && khz != (int)base.tsc_khz) {
		snprintf(what, sizeof(what),
			 "KVM_SET_TSC_KHZ %u (this host: %d) vCPU %u",
			 base.tsc_khz, khz, index);
		must(vcpu->fd, KVM_SET_TSC_KHZ,
		     (void *)(uintptr_t)base.tsc_khz, what);
	}
	start_thread(vcpu);
}

/* Return: false when the guest has ended. */
static bool next_section(struct hk_config_next *next, void **buf, size_t *room)
{
	for (;;) {
		next->size = sizeof(*next);
		next->buf = (uintptr_t)*buf;
		next->len = (uint32_t)*room;
		if (!ioctl(dev_fd, HK_IOC_CONFIG_NEXT, next))
			return true;
		if (errno == ESHUTDOWN)
			return false;
		if (errno == ENOSPC && next->len > *room &&
		    next->len <= (1U << 24)) {
			*room = next->len;
			*buf = realloc(*buf, *room);
			if (!*buf)
				die("out of memory");
			continue;
		}
		/* EAGAIN: a newer section took the place of the one waited for */
		if (errno != EINTR && errno != EAGAIN)
			die("HK_IOC_CONFIG_NEXT: %s (errno %d)",
			    strerror(errno), errno);
	}
}

static void open_all(const char *device)
{
	int flags = O_RDWR | O_CLOEXEC;

	dev_fd = open(device, flags);
	if (dev_fd < 0)
		die("%s: %s", device, strerror(errno));
	kvm_fd = open("/dev/kvm", flags);
	if (kvm_fd < 0)
		die("/dev/kvm: %s", strerror(errno));
	info.size = sizeof(info);
	must(dev_fd, HK_IOC_INFO, &info, "HK_IOC_INFO");
	if (info.abi != HK_ABI_VERSION)
		die("%s speaks ABI version %u, this program %u", device,
		    info.abi, HK_ABI_VERSION);
	ram = mmap(NULL, info.ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		   dev_fd, 0);
	if (ram == MAP_FAILED)
		die("mmap of %llu bytes of guest RAM: %s",
		    (unsigned long long)info.ram_bytes, strerror(errno));
}

int replica_main(const char *device)
{
	struct hk_config_next next = { 0 };
	size_t room = 65536;
	void *buf = malloc(room);
	sigset_t all, old;

	if (!buf)
		die("out of memory");
	/*
	 * Only the main thread takes signals, and for it they are fatal or
	 * nothing: vCPU threads must not leave their ioctl for one.
	 */
	open_all(device);
	drop_privileges();
	while (next_section(&next, &buf, &room)) {
		/* Threads started below inherit the mask. */
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &old);
		switch (next.kind) {
		case HK_CONFIG_BASE:
			apply_base(buf, next.len);
			break;
		case HK_CONFIG_SLOTS:
			apply_slots(buf, next.len);
			break;
		case HK_CONFIG_ROUTES:
			apply_routes(buf, next.len);
			break;
		case HK_CONFIG_CPUID:
			apply_cpuid(next.index, buf, next.len);
			break;
		default:
			die("HK_IOC_CONFIG_NEXT: section of unknown kind %u",
			    next.kind);
		}
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	fprintf(stderr, "the guest has ended\n");
	fflush(stderr);
	/* Threads that are still on their way out end with the process. */
	_exit(0);
}
