// SPDX-License-Identifier: GPL-2.0
/*
 * Guest RAM on one node: creation, mappings, messages from peers
 *
 * The engine in dsm/ decides what becomes of a page, visit.c carries it out. Events
 * come from
 *
 *	fault.c: a fault	-> HK_EV_READ, HK_EV_WRITE
 *	recall.c: page is away	-> HK_EV_TAKEN, HK_EV_DOWNGRADED
 *	evict.c: no room	-> HK_EV_DROP
 *	spill.c: offers of peers -> HK_EV_WRITE
 *	hk_mem_recv()		-> all others
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>
#include "compat/mm.h"
#include "mem.h"

/*
 * Inodes for the mappings, as drm_fs_inode_new() makes them. No owner: the
 * mount goes with the last VM, and VMs go before the module does.
 */
static int mem_fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x484b4d45) ? 0 : -ENOMEM;
}

static struct file_system_type mem_fs_type = {
	.name		 = "hyperkernel",
	.init_fs_context = mem_fs_init_context,
	.kill_sb	 = kill_anon_super,
};

static struct vfsmount *mem_fs_mnt;
static int mem_fs_count;

/*
 * Pages are dirty or not for the sake of direct I/O alone, which hands pages
 * that it finds clean to a work of its own (bio_check_pages_dirty()).
 */
static const struct address_space_operations mem_aops = {
	.dirty_folio = noop_dirty_folio,
};

/*
 * Messages from peers, which are not trusted: everything is checked by dsm/wire.c
 * or, as far as it depends on the state, by the engine
 */

/*
 * Get ready, while sleeping is allowed, for what the message will need. @msg: with the
 * content; only looked at where the type has one
 */
static int page_msg_prepare(struct hk_visit *v, struct hk_msg *msg,
			    const struct hk_dmsg *m)
{
	const struct hk_wire_page_msg *body;
	struct hk_mem *mem = v->mem;
	int err;

	err = hk_visit_prepare(v, false);
	if (err)
		return err;

	switch ((enum hk_dmsg_type)m->type) {
	case HK_DMSG_DATA_S:
	case HK_DMSG_DATA_X:
		body = (const void *)msg->body;
		v->content = body->content;
		if (body->content == HK_CONTENT_PAGE) {
			v->data = msg->page;
			msg->page = NULL;
		} else if (body->content == HK_CONTENT_FILL) {
			v->data = alloc_page(GFP_KERNEL);
			if (!v->data)
				return -ENOMEM;
			memset64(page_address(v->data), le64_to_cpu(body->fill),
				 PAGE_SIZE / sizeof(u64));
		}
		return xa_reserve(&mem->pages, m->gfn, GFP_KERNEL);
	case HK_DMSG_GRANT_X:
		if (m->flags & HK_DMSG_F_HAVE)
			return 0;
		v->spare = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!v->spare)
			return -ENOMEM;
		v->spare_zero = true;
		return xa_reserve(&mem->pages, m->gfn, GFP_KERNEL);
	case HK_DMSG_GET_S:
	case HK_DMSG_FWD_S:
	case HK_DMSG_PASS_S:
		return hk_visit_prepare_copy(v);
	case HK_DMSG_GET_X:
	case HK_DMSG_FWD_X:
	case HK_DMSG_INV:
	case HK_DMSG_ACK:
	case HK_DMSG_DONE:
	case HK_DMSG_LOST:
	case HK_DMSG_LEND:
	case HK_DMSG_UNLEND:
	case HK_DMSG_BACK:
	case HK_DMSG_MOVED:
	case HK_DMSG_NONE:
	case HK_DMSG_NR:
		break;
	}
	return 0;
}

/*
 * One message that has been found sound. @msg: what carries its content, NULL: it has none
 * and came in a group
 */
static int recv_dmsg(struct hk_mem *mem, const struct hk_dmsg *m,
		     struct hk_msg *msg, struct hk_page_group *group, char *why)
{
	struct hk_visit v;
	int err;

	hk_visit_init(&v, mem, m->gfn);
	v.group = group;
	err = page_msg_prepare(&v, msg, m);
	if (err) {
		hk_visit_no_memory(&v, "a message");
		err = 0;
		goto out;
	}
	hk_visit_lock(&v);
	err = hk_visit_msg(&v, m);
	if (!err)
		err = hk_visit_drain(&v);
	hk_visit_unlock(&v);
	if (err == -EPROTO)
		scnprintf(why, HK_REASON_MAX, "page message %s of page %#llx is impossible now",
			  hk_dmsg_name(m->type), m->gfn);
	else
		err = 0;
out:
	hk_visit_end(&v, true);
	return err;
}

static int refuse_page(const struct hk_dmsg *m, const char *wrong, char *why)
{
	scnprintf(why, HK_REASON_MAX, "page message %s of page %#llx: %s",
		  hk_dmsg_name(m->type), m->gfn, wrong);
	return -EPROTO;
}

static int recv_page(struct hk_mem *mem, u16 peer, struct hk_msg *msg,
		     char *why)
{
	struct hk_page_facts facts = hk_vm_page_facts(mem->vm);
	const char *wrong;
	struct hk_dmsg m;
	int err;

	facts.lend = hk_lend_known(mem->vm, peer);
	wrong = hk_page_msg_check(&facts, peer, (const void *)msg->body,
				  le32_to_cpu(msg->hdr.len), msg->page, &m);
	if (wrong)
		err = refuse_page(&m, wrong, why);
	else
		err = recv_dmsg(mem, &m, msg, NULL, why);
	hk_msg_free(msg);
	return err;
}

/*
 * As if each page's message had come by itself; what home has to send on to owners, most
 * often one for all, goes on as a group, too
 */
static int recv_group(struct hk_mem *mem, u16 peer, struct hk_msg *msg,
		      char *why)
{
	const struct hk_wire_page_group *body = (const void *)msg->body;
	struct hk_page_facts facts = hk_vm_page_facts(mem->vm);
	struct hk_page_group group = { 0 };
	const char *wrong;
	struct hk_dmsg m;
	u32 at = 0;
	int err = 0;

	facts.lend = hk_lend_known(mem->vm, peer);
	wrong = hk_page_group_check(&facts, peer, body,
				    le32_to_cpu(msg->hdr.len), &m);
	if (wrong) {
		err = refuse_page(&m, wrong, why);
		goto out;
	}
	while (!err && !hk_vm_dead(mem->vm) &&
	       hk_page_group_next(&facts, peer, body, &at, &m))
		err = recv_dmsg(mem, &m, NULL, &group, why);
	hk_group_flush(mem, &group);
out:
	hk_msg_free(msg);
	return err;
}

int hk_mem_recv(struct hk_vm *vm, u16 peer, struct hk_msg *msg, char *why)
{
	if (!vm->mem || hk_vm_dead(vm)) {
		hk_msg_free(msg);
		return 0;
	}
	switch (msg->hdr.type) {
	case HK_MSG_PAGE:
		if (le32_to_cpu(msg->hdr.len) < sizeof(struct hk_wire_page_msg))
			break;
		return recv_page(vm->mem, peer, msg, why);
	case HK_MSG_PAGE_GROUP:
		if (le32_to_cpu(msg->hdr.len) < sizeof(struct hk_wire_page_group))
			break;
		return recv_group(vm->mem, peer, msg, why);
	case HK_MSG_SPILL:
		return hk_spill_recv(vm->mem, msg, why);
	}
	scnprintf(why, HK_REASON_MAX, "%s message that is not for guest RAM",
		  hk_msg_name(msg->hdr.type));
	hk_msg_free(msg);
	return -EPROTO;
}

void hk_mem_wake_all(struct hk_vm *vm)
{
	struct hk_mem *mem = vm->mem;
	struct hk_busy *busy;
	unsigned int i;

	if (!mem)
		return;
	for (i = 0; i < HK_MEM_BUCKETS; i++) {
		struct hk_bucket *b = &mem->bucket[i];

		spin_lock(&b->lock);
		hlist_for_each_entry(busy, &b->busy, node)
			hk_busy_wake(busy);
		spin_unlock(&b->lock);
	}
	wake_up_all(&mem->room);
}

/*
 * Mappings
 */
void hk_mem_mm_add(struct hk_mem *mem, struct mm_struct *mm)
{
	struct hk_mem_mm *entry, *fresh;

	fresh = kmalloc(sizeof(*fresh), GFP_KERNEL);
	spin_lock(&mem->mms_lock);
	list_for_each_entry(entry, &mem->mms, list) {
		if (entry->mm == mm) {
			entry->vmas++;
			goto out;
		}
	}
	if (fresh) {
		fresh->mm = mm;
		fresh->vmas = 1;
		list_add_rcu(&fresh->list, &mem->mms);
		fresh = NULL;
	} else {
		atomic_inc(&mem->mms_unknown);
	}
out:
	spin_unlock(&mem->mms_lock);
	kfree(fresh);
}

/* Return: true when that was the last mapping of @mm */
bool hk_mem_mm_del(struct hk_mem *mem, struct mm_struct *mm)
{
	struct hk_mem_mm *entry;
	bool last = false;

	spin_lock(&mem->mms_lock);
	list_for_each_entry(entry, &mem->mms, list) {
		if (entry->mm != mm)
			continue;
		if (!--entry->vmas) {
			list_del_rcu(&entry->list);
			kfree_rcu(entry, rcu);
			last = true;
		}
		goto out;
	}
	atomic_dec(&mem->mms_unknown);
out:
	spin_unlock(&mem->mms_lock);
	return last;
}

bool hk_mem_maps(struct hk_vm *vm, const struct mm_struct *mm)
{
	struct hk_mem *mem = vm->mem;
	struct hk_mem_mm *entry;
	bool found;

	if (!mem)
		return false;
	/* rather look twice than miss a mapping */
	found = atomic_read(&mem->mms_unknown) != 0;
	rcu_read_lock();
	list_for_each_entry_rcu(entry, &mem->mms, list) {
		if (entry->mm == mm) {
			found = true;
			break;
		}
	}
	rcu_read_unlock();
	return found;
}

s64 hk_mem_offset_of(struct hk_vm *vm, struct mm_struct *mm,
		     unsigned long uaddr)
{
	struct vm_area_struct *vma;
	s64 offset = -ENXIO;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, uaddr);
	if (vma && vma->vm_ops == &hk_mem_vm_ops && vma->vm_private_data == vm)
		offset = ((s64)vma->vm_pgoff << PAGE_SHIFT) +
			 (uaddr - vma->vm_start);
	mmap_read_unlock(mm);
	return offset;
}

/*
 * VM_DONTEXPAND makes the VMA a special one, which mlock(), khugepaged and KSM
 * leave alone: an mlocked page would sit in a pagevec with a reference.
 */
int hk_mem_mmap(struct hk_vm *vm, struct file *file,
		struct vm_area_struct *vma)
{
	struct hk_mem *mem = vm->mem;

	if (!mem || WARN_ON_ONCE(file->f_mapping != mem->inode->i_mapping))
		return -ENODEV;
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_pgoff >= vm->ram_pages ||
	    vma_pages(vma) > vm->ram_pages - vma->vm_pgoff)
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = vm;
	vma->vm_ops = &hk_mem_vm_ops;
	hk_mem_mm_add(mem, vma->vm_mm);
	return 0;
}

struct address_space *hk_mem_mapping(struct hk_vm *vm)
{
	return vm->mem ? vm->mem->inode->i_mapping : NULL;
}

/*
 * Life
 */
static int mem_inode_create(struct hk_mem *mem)
{
	struct inode *inode;
	int err;

	err = simple_pin_fs(&mem_fs_type, &mem_fs_mnt, &mem_fs_count);
	if (err)
		return err;
	inode = alloc_anon_inode(mem_fs_mnt->mnt_sb);
	if (IS_ERR(inode)) {
		simple_release_fs(&mem_fs_mnt, &mem_fs_count);
		return PTR_ERR(inode);
	}
	inode->i_mapping->a_ops = &mem_aops;
	i_size_write(inode, mem->vm->ram_pages << PAGE_SHIFT);
	mem->inode = inode;
	return 0;
}

int hk_mem_create(struct hk_vm *vm)
{
	struct hk_mem *mem;
	unsigned int i;
	int err = -ENOMEM;

	mem = kzalloc(sizeof(*mem), GFP_KERNEL);
	if (!mem)
		return -ENOMEM;
	mem->vm = vm;
	xa_init(&mem->pages);
	xa_init(&mem->stale);
	xa_init(&mem->dirs);
	spin_lock_init(&mem->msgs_lock);
	INIT_LIST_HEAD(&mem->msgs);
	spin_lock_init(&mem->mms_lock);
	INIT_LIST_HEAD(&mem->mms);
	hk_spill_init(mem);

	mem->bucket = kvcalloc(HK_MEM_BUCKETS, sizeof(*mem->bucket),
			       GFP_KERNEL);
	if (!mem->bucket)
		goto err_mem;
	for (i = 0; i < HK_MEM_BUCKETS; i++)
		spin_lock_init(&mem->bucket[i].lock);

	mem->busy_pool = mempool_create_kmalloc_pool(HK_MEM_SPARE_OBJS,
						     sizeof(struct hk_busy));
	if (!mem->busy_pool)
		goto err_bucket;
	mem->wait_pool =
		mempool_create_kmalloc_pool(HK_MEM_SPARE_OBJS,
					    sizeof(struct hk_dir_waiters));
	if (!mem->wait_pool)
		goto err_busy_pool;
	mem->rule_pool = mempool_create_kmalloc_pool(HK_MEM_SPARE_OBJS,
						     sizeof(struct hk_rule));
	if (!mem->rule_pool)
		goto err_wait_pool;
	err = mem_inode_create(mem);
	if (err)
		goto err_rule_pool;
	hk_msgs_refill(mem);
	vm->mem = mem;
	return 0;

err_rule_pool:
	mempool_destroy(mem->rule_pool);
err_wait_pool:
	mempool_destroy(mem->wait_pool);
err_busy_pool:
	mempool_destroy(mem->busy_pool);
err_bucket:
	kvfree(mem->bucket);
err_mem:
	kfree(mem);
	return err;
}

/* Timers and works of what is not stable; the lists are empty afterwards */
static void mem_busy_stop(struct hk_mem *mem)
{
	struct hk_dir_waiters *waiters;
	struct hlist_node *next;
	struct hk_busy *busy;
	unsigned int i;

	for (i = 0; i < HK_MEM_BUCKETS; i++) {
		struct hk_bucket *b = &mem->bucket[i];

		for (;;) {
			spin_lock(&b->lock);
			busy = hlist_entry_safe(b->busy.first, struct hk_busy,
						node);
			if (busy) {
				hlist_del_init(&busy->node);
				busy->listed = false;
			}
			spin_unlock(&b->lock);
			if (!busy)
				break;
			hk_recall_stop(busy);
			atomic64_dec(&mem->nr_busy);
			if (busy->charged)
				hk_room_put(mem);
			hk_stale_over(busy);
			hk_busy_put(busy);
		}
		hlist_for_each_entry_safe(waiters, next, &b->waits, node) {
			hlist_del(&waiters->node);
			mempool_free(waiters, mem->wait_pool);
		}
		hk_lend_destroy(mem, b);
	}
}

static void mem_pages_free(struct hk_mem *mem)
{
	unsigned long index;
	struct page *page;

	xa_for_each(&mem->pages, index, page) {
		/* direct I/O that outlived the mapping may still mark it dirty */
		lock_page(page);
		ClearPageDirty(page);
		page->mapping = NULL;
		page->index = 0;
		set_page_private(page, 0);
		unlock_page(page);
		put_page(page);
		hk_room_put(mem);
		cond_resched();
	}
	xa_destroy(&mem->pages);
}

/*
 * The device is closed: no VMA and no fault is left. Messages may not come any
 * more either; what may still run are the works and timers of this file's own.
 */
void hk_mem_destroy(struct hk_vm *vm)
{
	struct hk_mem *mem = vm->mem;
	struct hk_msg *msg, *next;
	unsigned long index;
	void *chunk;

	if (!mem)
		return;
	WRITE_ONCE(mem->dying, true);
	hk_spill_stop(mem);
	mem_busy_stop(mem);
	/* a recall that was just ending may have queued it again */
	hk_spill_stop(mem);
	hk_stale_destroy(mem);
	mem_pages_free(mem);
	xa_for_each(&mem->dirs, index, chunk)
		free_page((unsigned long)chunk);
	xa_destroy(&mem->dirs);
	list_for_each_entry_safe(msg, next, &mem->msgs, list)
		hk_msg_free(msg);
	iput(mem->inode);
	simple_release_fs(&mem_fs_mnt, &mem_fs_count);
	mempool_destroy(mem->rule_pool);
	mempool_destroy(mem->wait_pool);
	mempool_destroy(mem->busy_pool);
	kvfree(mem->bucket);
	WARN_ON_ONCE(!list_empty(&mem->mms));
	vm->mem = NULL;
	kfree(mem);
}

void hk_mem_stats(struct hk_vm *vm, u64 *stat)
{
	struct hk_mem *mem = vm->mem;
	u64 present, chunks;

	if (!mem)
		return;
	present = atomic64_read(&mem->present);
	chunks = atomic64_read(&mem->nr_chunks);
	stat[HK_STAT_PRESENT] += present;
	stat[HK_STAT_STALE] += atomic64_read(&mem->nr_stale);
	stat[HK_STAT_DIRECTORY] += atomic64_read(&mem->nr_dirs);
	/* 9 bytes an entry: a slot of an xarray node of 64, with its header */
	stat[HK_STAT_METADATA] += sizeof(*mem) +
		HK_MEM_BUCKETS * sizeof(*mem->bucket) +
		present * 9 + chunks * (PAGE_SIZE + 9) +
		(HK_MEM_SPARE_OBJS + atomic64_read(&mem->nr_busy)) *
		sizeof(struct hk_busy) +
		(HK_MEM_SPARE_OBJS + atomic64_read(&mem->nr_rules)) *
		sizeof(struct hk_rule) +
		HK_MEM_SPARE_OBJS * sizeof(struct hk_dir_waiters);
}
