// SPDX-License-Identifier: GPL-2.0
/*
 * The one place where KVM's functions are intercepted
 *
 * By ftrace with IPMODIFY: the callback runs at the function's entry and, for a
 * guest of ours, continues in a function here instead. Everything is looked up in
 * one hash table by pointers that are compared and never followed; a VM that is
 * not ours is let through by the callback itself, so none of its threads is ever
 * inside this module's code, which makes unloading safe: what is left of our
 * functions runs on behalf of VMs whose RAM device is open, and that pins the
 * module.
 *
 *   kvm_vcpu_ioctl           the vCPU-run path, before vcpu->mutex is taken
 *   kvm_vm_ioctl             memslots and interrupt routes
 *   __apic_accept_irq        every interrupt of every kind, for one vCPU
 *   kvm_recalculate_apic_map a LAPIC's identity changed
 *   kvm_mmu_page_fault       nested page faults: a walk's, or an access's?
 *   kvm_scan_ioapic_routes   which vectors' EOI the VMM is to be told of
 *
 * The originals are called behind their ftrace call site. A kernel with indirect
 * branch tracking would trap on that, so such a kernel is refused at load.
 */
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include "compat/hk_ftrace.h"
#include "compat/hk_kvm.h"
#include "kvm_hooks.h"
#include "vm.h"

#define HK_HOOK_BITS	8

/**
 * struct hk_hook_key - one pointer of KVM's that means something to us
 * @node: in hk_hook_table
 * @rcu: for freeing
 * @kind: enum hk_hook_kind
 * @key: compared, never followed
 * @obj: struct hk_vm or struct hk_vcpu
 */
struct hk_hook_key {
	struct hlist_node node;
	struct rcu_head rcu;
	enum hk_hook_kind kind;
	const void *key;
	void *obj;
};

static DEFINE_HASHTABLE(hk_hook_table, HK_HOOK_BITS);
static DEFINE_MUTEX(hk_hook_mutex);

static void *hook_find(enum hk_hook_kind kind, const void *key)
{
	struct hk_hook_key *k;

	hash_for_each_possible_rcu(hk_hook_table, k, node, (unsigned long)key)
		if (k->key == key && k->kind == kind)
			return k->obj;
	return NULL;
}

int hk_hooks_add(enum hk_hook_kind kind, const void *key, void *obj)
{
	struct hk_hook_key *k;
	void *old;
	int err = 0;

	k = kzalloc(sizeof(*k), GFP_KERNEL);
	if (!k)
		return -ENOMEM;
	k->kind = kind;
	k->key = key;
	k->obj = obj;
	mutex_lock(&hk_hook_mutex);
	rcu_read_lock();
	old = hook_find(kind, key);
	rcu_read_unlock();
	if (!old)
		hash_add_rcu(hk_hook_table, &k->node, (unsigned long)key);
	else if (old != obj)
		err = -EEXIST;
	mutex_unlock(&hk_hook_mutex);
	if (old)
		kfree(k);
	return err;
}

void hk_hooks_del_obj(const void *obj)
{
	struct hk_hook_key *k;
	struct hlist_node *tmp;
	bool any = false;
	int bkt;

	mutex_lock(&hk_hook_mutex);
	hash_for_each_safe(hk_hook_table, bkt, tmp, k, node) {
		if (k->obj != obj)
			continue;
		hash_del_rcu(&k->node);
		kfree_rcu(k, rcu);
		any = true;
	}
	mutex_unlock(&hk_hook_mutex);
	if (any)
		synchronize_rcu();
}

/* VM of a KVM VM: attached already, or its process maps the RAM of one */
static struct hk_vm *vm_of_kvm(const struct kvm *kvm)
{
	struct hk_vm *vm = hook_find(HK_HOOK_KVM, kvm);

	return vm ?: hook_find(HK_HOOK_MM, kvm->mm);
}

static struct hk_vm *vm_get_of_kvm(const struct kvm *kvm)
{
	struct hk_vm *vm;

	rcu_read_lock();
	vm = vm_of_kvm(kvm);
	if (vm && !kref_get_unless_zero(&vm->ref))
		vm = NULL;
	rcu_read_unlock();
	return vm;
}

/**
 * struct hk_hook - one intercepted function
 * @name: its name
 * @fn: runs in its place for a guest of ours
 * @ours: is the call, by its first argument, about a guest of ours? RCU read
 *	side, preemption off
 * @orig: address behind the ftrace call site
 * @ops: ftrace's
 */
struct hk_hook {
	const char *name;
	void *fn;
	bool (*ours)(unsigned long arg0);
	unsigned long orig;
	struct ftrace_ops ops;
};

static void notrace hook_callback(unsigned long ip, unsigned long parent_ip,
				  struct ftrace_ops *ops,
				  struct ftrace_regs *fregs);

#define HK_HOOK(_name, _fn, _ours) {					\
	.name = (_name), .fn = (_fn), .ours = (_ours),			\
	.ops = { .func = hook_callback,					\
		 .flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_DYNAMIC }, \
}

static bool notrace ours_vcpu_file(unsigned long arg0)
{
	const struct file *file = (const struct file *)arg0;
	const struct kvm_vcpu *vcpu = file->private_data;

	return vm_of_kvm(vcpu->kvm);
}

static bool notrace ours_vm_file(unsigned long arg0)
{
	const struct file *file = (const struct file *)arg0;

	return vm_of_kvm(file->private_data);
}

static bool notrace ours_apic(unsigned long arg0)
{
	return hook_find(HK_HOOK_APIC, (const void *)arg0);
}

static bool notrace ours_kvm(unsigned long arg0)
{
	return hook_find(HK_HOOK_KVM, (const void *)arg0);
}

static bool notrace ours_vcpu(unsigned long arg0)
{
	const struct kvm_vcpu *vcpu = (const struct kvm_vcpu *)arg0;

	return hook_find(HK_HOOK_KVM, vcpu->kvm);
}

static long hook_vcpu_ioctl(struct file *file, unsigned int cmd,
			    unsigned long arg);
static long hook_vm_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg);
static int hook_accept_irq(void *apic, int mode, int vector, int level,
			   int trig, void *dest_map);
static void hook_apic_map(struct kvm *kvm);
static int hook_page_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code,
			   void *insn, int insn_len);
static void hook_scan_routes(struct kvm_vcpu *vcpu, unsigned long *handled);

enum { VCPU_IOCTL, VM_IOCTL, ACCEPT_IRQ, APIC_MAP, PAGE_FAULT, SCAN_ROUTES };

static struct hk_hook hooks[] = {
	[VCPU_IOCTL] = HK_HOOK("kvm_vcpu_ioctl", hook_vcpu_ioctl, ours_vcpu_file),
	[VM_IOCTL] = HK_HOOK("kvm_vm_ioctl", hook_vm_ioctl, ours_vm_file),
	[ACCEPT_IRQ] = HK_HOOK("__apic_accept_irq", hook_accept_irq, ours_apic),
	[APIC_MAP] = HK_HOOK("kvm_recalculate_apic_map", hook_apic_map, ours_kvm),
	[PAGE_FAULT] = HK_HOOK("kvm_mmu_page_fault", hook_page_fault, ours_vcpu),
	[SCAN_ROUTES] = HK_HOOK("kvm_scan_ioapic_routes", hook_scan_routes, ours_vcpu),
};

static void notrace hook_callback(unsigned long ip, unsigned long parent_ip,
				  struct ftrace_ops *ops,
				  struct ftrace_regs *fregs)
{
	struct hk_hook *hook = container_of(ops, struct hk_hook, ops);
	bool ours;

	rcu_read_lock();
	ours = hook->ours(hk_fregs_arg0(fregs));
	rcu_read_unlock();
	if (ours)
		hk_fregs_set_ip(fregs, (unsigned long)hook->fn);
}

typedef long (*ioctl_fn)(struct file *, unsigned int, unsigned long);
typedef int (*accept_fn)(void *, int, int, int, int, void *);
typedef void (*apic_map_fn)(struct kvm *);
typedef int (*page_fault_fn)(struct kvm_vcpu *, gpa_t, u64, void *, int);
typedef void (*scan_routes_fn)(struct kvm_vcpu *, unsigned long *);

long hk_kvm_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return ((ioctl_fn)hooks[VCPU_IOCTL].orig)(file, cmd, arg);
}

long hk_kvm_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return ((ioctl_fn)hooks[VM_IOCTL].orig)(file, cmd, arg);
}

static int accept_irq(void *apic, int mode, int vector, int level, int trig,
		      void *dest_map)
{
	return ((accept_fn)hooks[ACCEPT_IRQ].orig)(apic, mode, vector, level, trig,
						   dest_map);
}

int hk_kvm_accept_irq(struct kvm_vcpu *vcpu, const struct hk_irq *irq)
{
	return accept_irq(vcpu->arch.apic, irq->mode, irq->vector, irq->level,
			  irq->trig, NULL);
}

static bool is_kvm_file(const struct file *file, int hook)
{
	unsigned long fn = (unsigned long)file->f_op->unlocked_ioctl;

	/* orig lies 5 bytes behind the function, 9 with an ENDBR before it */
	return fn && fn < hooks[hook].orig && hooks[hook].orig - fn <= 16;
}

bool hk_kvm_is_vm_file(struct file *file)
{
	return is_kvm_file(file, VM_IOCTL);
}

bool hk_kvm_is_vcpu_file(struct file *file)
{
	return is_kvm_file(file, VCPU_IOCTL);
}

static long hook_vcpu_ioctl(struct file *file, unsigned int cmd,
			    unsigned long arg)
{
	struct kvm_vcpu *vcpu = file->private_data;
	struct hk_vm *vm = vm_get_of_kvm(vcpu->kvm);
	long ret;

	/* the VM may have gone between callback and here */
	if (!vm)
		return hk_kvm_vcpu_ioctl(file, cmd, arg);
	ret = hk_vcpu_on_ioctl(vm, file, cmd, arg);
	hk_vm_put(vm);
	return ret;
}

static long hook_vm_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct hk_vm *vm = vm_get_of_kvm(file->private_data);
	long ret;

	if (!vm)
		return hk_kvm_vm_ioctl(file, cmd, arg);
	ret = hk_vm_on_ioctl(vm, file, cmd, arg);
	hk_vm_put(vm);
	return ret;
}

/* the arguments of a call to __apic_accept_irq(), kept for the original */
struct accept_args {
	void *apic;
	int mode;
	int vector;
	int level;
	int trig;
	void *dest_map;
};

static int deliver_args(void *data)
{
	struct accept_args *a = data;

	return accept_irq(a->apic, a->mode, a->vector, a->level, a->trig,
			  a->dest_map);
}

static int hook_accept_irq(void *apic, int mode, int vector, int level,
			   int trig, void *dest_map)
{
	struct accept_args args = {
		.apic = apic, .mode = mode, .vector = vector,
		.level = level, .trig = trig, .dest_map = dest_map,
	};
	struct hk_irq irq = {
		.mode = mode, .vector = vector, .level = !!level, .trig = !!trig,
	};
	struct hk_vcpu *hv;
	int ret;

	rcu_read_lock();
	hv = hook_find(HK_HOOK_APIC, apic);
	if (hv)
		ret = hk_vcpu_on_irq(hv, &irq, deliver_args, &args);
	else
		ret = deliver_args(&args);
	rcu_read_unlock();
	return ret;
}

/*
 * Called on every write to a LAPIC register; only when the map was dirty has an
 * identity changed. The flag must be read before the original clears it.
 */
static void hook_apic_map(struct kvm *kvm)
{
	bool dirty = atomic_read(&kvm->arch.apic_map_dirty);
	struct hk_vm *vm;

	((apic_map_fn)hooks[APIC_MAP].orig)(kvm);
	if (!dirty)
		return;
	vm = vm_get_of_kvm(kvm);
	if (!vm)
		return;
	hk_vm_on_apic_map(vm, kvm);
	hk_vm_put(vm);
}

static int hook_page_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code,
			   void *insn, int insn_len)
{
	page_fault_fn orig = (page_fault_fn)hooks[PAGE_FAULT].orig;
	struct hk_vm *vm;
	int ret;

	vm = error_code & PFERR_GUEST_PAGE_MASK ? vm_get_of_kvm(vcpu->kvm) : NULL;
	if (!vm)
		return orig(vcpu, gpa, error_code, insn, insn_len);
	hk_vcpu_on_fault(vm, vcpu, true);
	ret = orig(vcpu, gpa, error_code, insn, insn_len);
	hk_vcpu_on_fault(vm, vcpu, false);
	hk_vm_put(vm);
	return ret;
}

static void hook_scan_routes(struct kvm_vcpu *vcpu, unsigned long *handled)
{
	struct hk_vm *vm = vm_get_of_kvm(vcpu->kvm);

	((scan_routes_fn)hooks[SCAN_ROUTES].orig)(vcpu, handled);
	if (!vm)
		return;
	hk_vcpu_on_scan(vm, vcpu, handled);
	hk_vm_put(vm);
}

/*
 * The address of a function that is not exported: a kprobe is resolved by the
 * kernel and, as the kernel is traced by fentry, sits on the very call site.
 */
static int hook_resolve(const char *name, unsigned long *site)
{
	struct kprobe kp = { .symbol_name = name };
	int err = register_kprobe(&kp);

	if (err) {
		pr_err("hyperkernel: %s() not found (%d): is kvm.ko loaded, are kprobes on?\n",
		       name, err);
		return err;
	}
	*site = (unsigned long)kp.addr;
	unregister_kprobe(&kp);
	return 0;
}

/*
 * A guest that does not take part in asynchronous page faults is halted by KVM for
 * as long as one lasts, while a kworker fetches the page: two more changes of
 * thread per fault, a page that is mapped before the vCPU has it, and a second
 * fault. KVM leaves it for guests that may halt on their own. Set when all vCPUs
 * exist, the flag changes nothing else: HLT is intercepted or not from a vCPU's
 * creation on. A guest that takes part (hkctl vm create ... async-pf on) has them all
 * the same, in user mode, where its kernel can run another thread meanwhile.
 */
void hk_kvm_no_async_halt(struct kvm *kvm)
{
	WRITE_ONCE(kvm->arch.hlt_in_guest, true);
}

/* not hooked, only called */
static unsigned long zap_table_fn;

void hk_kvm_zap_table(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	if (READ_ONCE(vcpu->kvm->arch.indirect_shadow_pages))
		hk_kvm_call_zap_table(zap_table_fn, vcpu, gfn);
}

static int hook_install(struct hk_hook *hook)
{
	unsigned long site;
	int err = hook_resolve(hook->name, &site);

	if (err)
		return err;
	hook->orig = site + MCOUNT_INSN_SIZE;
	err = ftrace_set_filter(&hook->ops, (unsigned char *)hook->name,
				strlen(hook->name), 1);
	if (!err)
		err = register_ftrace_function(&hook->ops);
	if (err)
		pr_err("hyperkernel: %s() cannot be traced (%d): needs ftrace, and nobody else may redirect it\n",
		       hook->name, err);
	return err;
}

int hk_hooks_init(void)
{
	int i, err;

	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT) && boot_cpu_has(X86_FEATURE_IBT)) {
		pr_err("hyperkernel: this kernel tracks indirect branches; boot with ibt=off\n");
		return -EOPNOTSUPP;
	}
	err = hook_resolve(HK_KVM_ZAP_TABLE, &zap_table_fn);
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		err = hook_install(&hooks[i]);
		if (err)
			goto err_remove;
	}
	return 0;

err_remove:
	while (i--)
		unregister_ftrace_function(&hooks[i].ops);
	return err;
}

void hk_hooks_exit(void)
{
	int i;

	for (i = ARRAY_SIZE(hooks); i--; )
		unregister_ftrace_function(&hooks[i].ops);
}
