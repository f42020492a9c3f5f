// SPDX-License-Identifier: GPL-2.0
/*
 * Faults of the mappings of guest RAM
 *
 * All that touches guest RAM comes this way: the VMM and its devices, KVM on
 * behalf of the guest, KVM's own reads and writes, vhost, direct I/O.
 *
 * ->fault and ->page_mkwrite return a page that is locked; the core maps it, with
 * the right that was asked for, and unlocks it then. The state is looked at with
 * the page locked, and recall.c locks the page before it unmaps or
 * write-protects: so a mapping is made while the state allows it, or not at all.
 *
 * Where the network must be asked:
 *  - FAULT_FLAG_RETRY_NOWAIT: the request is sent, and VM_FAULT_RETRY returned
 *    at once, mmap_lock still held. KVM makes an asynchronous page fault of it,
 *    where the guest takes part in them, or asks again with other flags.
 *  - FAULT_FLAG_ALLOW_RETRY: mmap_lock is dropped for the wait and
 *    VM_FAULT_RETRY returned, every time, not the first time only: as with
 *    userfaultfd, a page may be gone again before the fault is retried.
 *  - neither (some callers of get_user_pages()): waits with mmap_lock held, the
 *    one exception to the rule that nothing is held over a wait for the network;
 *    for a second at most, then the caller faults again.
 * All waits end by a fatal signal, too, and when the guest is stopped; those for a
 * page by any signal, where the core allows for that.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include "compat/mm.h"
#include "mem.h"
#include "trace.h"

/* Longest wait with mmap_lock held */
#define HK_LOCKED_WAIT	HZ
/* Shortest wait of the kernel's own accesses with a signal pending */
#define HK_SIGNAL_WAIT	(HZ / 250 ?: 1)

static bool migratory = true;
module_param(migratory, bool, 0644);
MODULE_PARM_DESC(migratory, "Let a read take a page away that others have read and then written in turn (default Y)");

enum fault_want {
	WANT_READ,
	WANT_WRITE,
	WANT_UPGRADE,	/* write, and the page is about to be unmapped here */
	WANT_WHATEVER,	/* see fault_by_async_pf() */
};

/**
 * struct fault_wait - what a fault has to wait for
 * @busy: with a reference, or NULL: for room
 * @seq: hk_busy.seq when looked at
 */
struct fault_wait {
	struct hk_busy *busy;
	u32 seq;
};

/*
 * KVM's worker for asynchronous page faults asks for a write, whatever the
 * guest did, and does not look at the result: the guest's access is tried again
 * anyway. Taken at its word it would make every read of a page that others read
 * as well into a fight for ownership. So it waits for what the vCPU's own fault
 * has asked for, and gets an error where that was a read.
 */
static bool fault_by_async_pf(const struct vm_fault *vmf)
{
	return (vmf->flags & FAULT_FLAG_REMOTE) &&
	       (vmf->flags & FAULT_FLAG_WRITE) &&
	       (current->flags & PF_WQ_WORKER);
}

/* A recall that is put off has not begun: the page is still what it was */
static u8 visit_effective(const struct hk_visit *v)
{
	if (!v->busy || !v->busy->held)
		return v->state;
	switch ((enum hk_page_state)v->state) {
	case HK_PG_SHARED_TAKE:
	case HK_PG_SHARED_WR_TAKE:
		return HK_PG_SHARED;
	case HK_PG_OWNED_TAKE:
	case HK_PG_OWNED_WR_TAKE:
		return HK_PG_OWNED;
	case HK_PG_EXCLUSIVE_TAKE:
	case HK_PG_EXCLUSIVE_DOWN:
		return HK_PG_EXCLUSIVE;
	case HK_PG_INVALID:
	case HK_PG_SHARED:
	case HK_PG_OWNED:
	case HK_PG_EXCLUSIVE:
	case HK_PG_INVALID_RD:
	case HK_PG_INVALID_WR:
	case HK_PG_SHARED_WR:
	case HK_PG_OWNED_WR:
	case HK_PG_NR:
		break;
	}
	return v->state;
}

static bool visit_allows(const struct hk_visit *v, bool write)
{
	u8 state = visit_effective(v);

	if (!v->page)
		return false;
	if (write)
		return hk_page_may_write(state);
	return hk_page_may_read(state) && !(v->busy && v->busy->upgrading);
}

/* The page itself, with a reference, or NULL: nothing to be had at once */
static struct page *fault_try(struct hk_mem *mem, u64 gfn, bool write)
{
	struct page *page = NULL;
	struct hk_visit v;

	hk_visit_init(&v, mem, gfn);
	hk_visit_lock(&v);
	if (visit_allows(&v, write)) {
		page = v.page;
		get_page(page);
	}
	hk_visit_unlock(&v);
	return page;
}

/*
 * A read that may get the right to write as well: not one that is a guess, of a
 * prefetch, as it takes the page away from who has it; and home must know of it
 */
static bool fault_read_x(struct hk_mem *mem, u16 home)
{
	struct hk_node *node = mem->vm->node;

	if (!READ_ONCE(migratory))
		return false;
	return home == node->id || (hk_node_link_features(node, home) &
				    HK_WIRE_FEATURE_READ_X);
}

/*
 * Ask for the page, unless that has been done.
 * Return: the page, where it could be had at once; NULL: see @wait; ERR_PTR
 */
static struct page *fault_request(struct hk_mem *mem, u64 gfn,
				  enum fault_want want, struct fault_wait *wait)
{
	bool write = want == WANT_WRITE || want == WANT_UPGRADE;
	struct page *page = NULL;
	struct hk_visit v;
	int err;

	wait->busy = NULL;
	hk_visit_init(&v, mem, gfn);
	err = hk_visit_prepare(&v, true);
	if (err)
		goto out;
	v.w.read_x = want == WANT_READ && fault_read_x(mem, v.w.home);
	hk_stale_prepare(&v);
again:
	hk_visit_lock(&v);
	if (v.state == HK_PG_INVALID && !v.charged) {
		/* a page is going to come: there must be room for it first */
		hk_visit_unlock(&v);
		v.charged = hk_room_get(mem);
		if (v.charged)
			goto again;
		goto out;
	}
	/* WANT_WHATEVER: first see what becomes of what the vCPU asked for */
	if (!(want == WANT_WHATEVER && v.busy) && !visit_allows(&v, write))
		err = hk_visit_event(&v, write ? HK_EV_WRITE : HK_EV_READ,
				     NULL);
	if (!err && v.busy &&
	    !visit_allows(&v, write || want == WANT_WHATEVER)) {
		v.busy->wanted = true;
		if (want == WANT_UPGRADE)
			v.busy->upgrading = true;
		refcount_inc(&v.busy->ref);
		wait->busy = v.busy;
		wait->seq = v.busy->seq;
	} else if (!err && v.page) {
		page = v.page;
		get_page(page);
	}
	hk_visit_unlock(&v);
out:
	hk_visit_end(&v, false);
	return err ? ERR_PTR(err) : page;
}

static bool wait_over(struct hk_vm *vm, const struct fault_wait *wait)
{
	return READ_ONCE(wait->busy->seq) != wait->seq || hk_vm_dead(vm);
}

static void fetch_check(struct hk_vm *vm, struct hk_busy *busy)
{
	u64 ms = div_u64(ktime_get_ns() - busy->started_ns, NSEC_PER_MSEC);

	if (busy->listed && ms > HK_FETCH_MAX_MS)
		hk_vm_kill(vm, true,
			   "node %u: page %#llx has not come within %u s (home %u, state %s)",
			   vm->node->id, busy->gfn, HK_FETCH_MAX_MS / 1000,
			   hk_vm_home(vm, busy->gfn),
			   hk_page_state_name(busy->state));
}

/*
 * A signal that does not kill ends the wait where the core says that it may: a
 * faulting instruction of user space is run again after the handler, KVM leaves
 * the vCPU. But an access by the kernel (copy_to_user()) just faults again,
 * at once, the signal still pending: so not without any wait.
 */
static long fault_wait_for(struct hk_vm *vm, const struct fault_wait *wait,
			   unsigned int flags)
{
	long left;

	if (!(flags & FAULT_FLAG_INTERRUPTIBLE))
		return wait_event_killable_timeout(wait->busy->wq,
						   wait_over(vm, wait),
						   HK_LOCKED_WAIT);
	left = wait_event_interruptible_timeout(wait->busy->wq,
						wait_over(vm, wait),
						HK_LOCKED_WAIT);
	if (left < 0 && !(flags & FAULT_FLAG_USER))
		wait_event_killable_timeout(wait->busy->wq,
					    wait_over(vm, wait),
					    HK_SIGNAL_WAIT);
	return left;
}

/* Return: 0: look again; negative: a signal */
static int fault_wait(struct hk_mem *mem, struct fault_wait *wait,
		      unsigned int flags, bool once)
{
	struct hk_vm *vm = mem->vm;
	long left;

	if (!wait->busy)
		return hk_room_wait(mem);
	do {
		left = fault_wait_for(vm, wait, flags);
		if (!left)
			fetch_check(vm, wait->busy);
	} while (!left && !once);
	hk_busy_put(wait->busy);
	return left < 0 ? left : 0;
}

/* The file pins the VM while the VMA may go. NULL: the lock must be kept */
static struct file *fault_unlock(struct vm_fault *vmf)
{
	struct file *file;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return NULL;
	file = get_file(vmf->vma->vm_file);
	release_fault_lock(vmf);
	return file;
}

/* Return: true: locked and still allowed; the reference stays the caller's */
static bool fault_lock_page(struct hk_mem *mem, u64 gfn, struct page *page,
			    bool write, bool *writable)
{
	struct hk_visit v;
	bool ok;

	lock_page(page);
	hk_visit_init(&v, mem, gfn);
	hk_visit_lock(&v);
	ok = v.page == page && visit_allows(&v, write);
	if (ok) {
		*writable = visit_allows(&v, true);
		hk_evict_used(&v);
		hk_recall_mapped(&v);
	}
	hk_visit_unlock(&v);
	if (!ok)
		unlock_page(page);
	return ok;
}

static vm_fault_t mem_fault(struct vm_fault *vmf)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	struct vm_area_struct *vma = vmf->vma;
	struct hk_vm *vm = vma->vm_private_data;
	enum fault_want want = write ? WANT_WRITE : WANT_READ;
	struct hk_mem *mem = vm->mem;
	u64 gfn = vmf->pgoff;
	struct fault_wait wait;
	unsigned int flags;
	struct page *page;
	struct file *file;
	bool worker = fault_by_async_pf(vmf);
	bool writable, walk;
	int err;

	if (gfn >= vm->ram_pages)
		return VM_FAULT_SIGBUS;
	if (worker)
		want = WANT_WHATEVER;
	if (!(vmf->flags & FAULT_FLAG_TRIED)) {
		trace_hk_fault(vm->node->id, vm->id, gfn, write);
		if (worker)
			hk_vm_count(vm, ASYNC_FAULTS);
		else if (write)
			hk_vm_count(vm, FAULT_WR);
		else
			hk_vm_count(vm, FAULT_RD);
	}
	walk = write && hk_vcpus_walking(vm);
	if (walk)
		hk_walk_note(mem, gfn);

	for (;;) {
		if (hk_vm_dead(vm))
			return VM_FAULT_SIGBUS;
		page = fault_try(mem, gfn, write);
		/* a worker's is no fault of its own, and of a run of reads it would make writes */
		if (page && !worker && !(vmf->flags & FAULT_FLAG_TRIED) &&
		    !hk_evict_refault(page))
			hk_prefetch_fault(mem, gfn, write, false);
		if (!page)
			page = fault_request(mem, gfn, want, &wait);
		if (IS_ERR(page))
			return PTR_ERR(page) == -ENOMEM ? VM_FAULT_OOM :
							  VM_FAULT_SIGBUS;
		if (!page && walk)
			hk_walk_gather(mem, gfn);
		else if (!page && wait.busy && !worker)
			hk_prefetch_fault(mem, gfn, write, true);
		if (!page)
			break;
		if (fault_lock_page(mem, gfn, page, write, &writable)) {
			/*
			 * A read fault of a page that may be written: map it
			 * writable at once, sparing it ->page_mkwrite.
			 */
			if (writable && (vma->vm_flags & VM_WRITE) &&
			    (vma->vm_flags & VM_SHARED))
				vmf->flags |= FAULT_FLAG_WRITE;
			vmf->page = page;
			return VM_FAULT_LOCKED;
		}
		put_page(page);
		/* readable, and that is all that was asked for */
		if (want == WANT_WHATEVER)
			return VM_FAULT_SIGBUS;
	}

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT) {
		hk_busy_put(wait.busy);
		return VM_FAULT_RETRY;
	}
	flags = vmf->flags;
	file = fault_unlock(vmf);
	if (!file)
		flags &= ~FAULT_FLAG_INTERRUPTIBLE;
	err = fault_wait(mem, &wait, flags, !file);
	if (file) {
		fput(file);
		return VM_FAULT_RETRY;
	}
	return err || hk_vm_dead(vm) ? VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
}

/*
 * A page that is mapped is to be written. The core asks without saying whether
 * a retry is allowed, so nothing can be waited for in here: where the right to
 * write cannot be had at once, the page is unmapped on this host, and the
 * access faults again, through ->fault, with all flags. Those who read it here
 * wait likewise: could they map it again, an instruction that reads and then
 * writes (a locked one under an emulator that does so in two steps) would go
 * round between the read fault and this function until the answer comes.
 */
static vm_fault_t mem_page_mkwrite(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct hk_vm *vm = vma->vm_private_data;
	struct hk_mem *mem = vm->mem;
	struct page *mapped = vmf->page;
	u64 gfn = vmf->pgoff;
	struct fault_wait wait;
	struct page *page;
	bool writable;

	if (hk_vm_dead(vm))
		return VM_FAULT_SIGBUS;
	if (fault_lock_page(mem, gfn, mapped, true, &writable))
		return VM_FAULT_LOCKED;

	/* KVM's worker, see above, and the page is readable already */
	if ((current->flags & PF_WQ_WORKER) && current->mm != vma->vm_mm)
		return VM_FAULT_SIGBUS;

	trace_hk_fault(vm->node->id, vm->id, gfn, true);
	hk_vm_count(vm, FAULT_WR);
	page = fault_request(mem, gfn, WANT_UPGRADE, &wait);
	if (IS_ERR(page))
		return PTR_ERR(page) == -ENOMEM ? VM_FAULT_OOM :
						  VM_FAULT_SIGBUS;
	if (page) {
		put_page(page);
		if (page == mapped &&
		    fault_lock_page(mem, gfn, mapped, true, &writable))
			return VM_FAULT_LOCKED;
	} else {
		hk_busy_put(wait.busy);
	}
	unmap_mapping_pages(vma->vm_file->f_mapping, gfn, 1, false);
	return VM_FAULT_NOPAGE;
}

static void mem_vma_open(struct vm_area_struct *vma)
{
	struct hk_vm *vm = vma->vm_private_data;

	hk_mem_mm_add(vm->mem, vma->vm_mm);
}

static void mem_vma_close(struct vm_area_struct *vma)
{
	struct hk_vm *vm = vma->vm_private_data;

	if (hk_mem_mm_del(vm->mem, vma->vm_mm))
		hk_vcpus_detach(vm, vma->vm_mm);
}

const struct vm_operations_struct hk_mem_vm_ops = {
	.open		= mem_vma_open,
	.close		= mem_vma_close,
	.fault		= mem_fault,
	.page_mkwrite	= mem_page_mkwrite,
};
