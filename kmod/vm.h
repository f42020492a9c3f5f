/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One guest, as one node sees it
 */
#ifndef HK_KMOD_VM_H
#define HK_KMOD_VM_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "../dsm/wire.h"
#include "node.h"

struct hk_mem;
struct hk_vcpus;
struct mm_struct;

/**
 * struct hk_vm - one guest on this node
 */
struct hk_vm {
	/** @ref: holders: the node's list, open devices, messages in work */
	struct kref ref;
	/** @rcu: for freeing */
	struct rcu_head rcu;
	/** @list: in hk_node.vms */
	struct list_head list;
	/** @node: owner; outlives the VM */
	struct hk_node *node;
	/** @id: same on all members */
	u32 id;
	/** @name: for humans and for the device's name */
	char name[HK_NAME_MAX];
	/** @origin: node whose VMM created the guest */
	u16 origin;
	/** @nr_vcpus: 1 to HK_VCPUS_MAX */
	u32 nr_vcpus;
	/** @ram_pages: size of guest RAM */
	u64 ram_pages;
	/** @members: set of node ids, with the own one */
	u64 members;
	/** @weight: of each member, by node id */
	u32 weight[HK_MAX_NODES];
	/** @homes: home of each page */
	struct hk_homes homes;
	/** @place: node where each vCPU starts */
	u16 place[HK_VCPUS_MAX];
	/** @state: enum hk_vm_state; DEAD is final. Under @state_lock */
	u8 state;
	/** @reason: why it is DEAD. Under @state_lock */
	char reason[HK_REASON_LEN];
	/** @state_lock: leaf lock, irq-safe, taken in any context */
	raw_spinlock_t state_lock;
	/** @dead_work: tells the peers, wakes and kicks everybody */
	struct work_struct dead_work;
	/** @run_work: says that the guest runs */
	struct work_struct run_work;
	/** @release_work: frees what the last reference let go */
	struct work_struct release_work;
	/** @tell_peers: the death was noticed here, the others must hear of it */
	bool tell_peers;
	/** @users: open files of the RAM device; negative: may not be opened */
	atomic_t users;
	/** @minor: of the RAM device */
	int minor;
	/** @mem: guest RAM, kmod/mem.c */
	struct hk_mem *mem;
	/** @vcpus: vCPUs, kmod/vcpu.c */
	struct hk_vcpus *vcpus;
	/** @stat: by enum hk_stat, those that are plain sums */
	atomic64_t stat[HK_STAT_MAX + 1];
};

#define hk_vm_count(vm, what)	atomic64_inc(&(vm)->stat[HK_STAT_##what])
#define hk_vm_count_add(vm, what, n)	atomic64_add(n, &(vm)->stat[HK_STAT_##what])

/**
 * struct hk_vm_cfg - what VM_ADD says; see struct hk_vm
 * @id: same on all members
 * @name: for humans
 * @ram_pages: size of guest RAM
 * @origin: node whose VMM creates the guest
 * @nr_vcpus: entries in @place
 * @place: node where each vCPU starts
 * @nr_members: entries in @member
 * @member: nodes that take part, in any order
 */
struct hk_vm_cfg {
	u32 id;
	const char *name;
	u64 ram_pages;
	u16 origin;
	u32 nr_vcpus;
	u16 place[HK_VCPUS_MAX];
	u32 nr_members;
	struct hk_member member[HK_MAX_NODES];
};

/**
 * hk_vm_create() - make a VM known to this node and create its RAM device
 * @node: node, its lock held
 * @cfg: checked in here
 * @why: out, HK_REASON_LEN bytes: text for the user when it fails
 * Return: 0 or errno.
 */
int hk_vm_create(struct hk_node *node, const struct hk_vm_cfg *cfg, char *why);

/**
 * hk_vm_destroy() - forget a VM; refused with -EBUSY while its device is open
 * @vm: with one reference of the caller's, which is consumed on success only
 * @why: out, HK_REASON_LEN bytes: text for the user when it fails
 *
 * Kills the guest when it is not dead. Memory and vCPUs go with the last reference,
 * from a work item: hk_vcpus_destroy(), then hk_mem_destroy(). So neither may keep a
 * reference of its own that only these would drop.
 * Context: node lock held; sleeps.
 */
int hk_vm_destroy(struct hk_vm *vm, char *why);

/**
 * hk_vm_get_by_id() - find a VM
 * @node: node
 * @id: VM id
 * Return: with a reference, or NULL. Context: any.
 */
struct hk_vm *hk_vm_get_by_id(struct hk_node *node, u32 id);

/**
 * hk_vm_get_next() - walk the VMs in the order of their ids
 * @node: node
 * @id: lowest id wanted
 * Return: with a reference, or NULL. Context: any.
 */
struct hk_vm *hk_vm_get_next(struct hk_node *node, u32 id);

/* one more reference, by somebody who has one */
static inline void hk_vm_get(struct hk_vm *vm)
{
	kref_get(&vm->ref);
}

/* any context; NULL is allowed */
void hk_vm_put(struct hk_vm *vm);

/**
 * hk_vm_set_running() - the guest runs for the first time
 * @vm: VM; nothing happens unless it is CREATED
 * Context: any, also with interrupts off.
 */
void hk_vm_set_running(struct hk_vm *vm);

/**
 * hk_vm_kill() - stop the guest for good, with a reason
 * @vm: VM
 * @tell: let the other members know
 * @fmt: reason, one line for humans; the first one given stays
 *
 * All waits on behalf of the guest end, its vCPUs leave guest mode, the VMM gets
 * errors. Context: any, also with interrupts off.
 */
__printf(3, 4)
void hk_vm_kill(struct hk_vm *vm, bool tell, const char *fmt, ...);

static inline bool hk_vm_dead(const struct hk_vm *vm)
{
	return READ_ONCE(vm->state) == HK_VM_DEAD;
}

/**
 * hk_vm_home() - node whose directory entry rules a gfn
 * @vm: VM
 * @gfn: below vm->ram_pages
 */
static inline u16 hk_vm_home(const struct hk_vm *vm, u64 gfn)
{
	return hk_home_of(&vm->homes, gfn);
}

/* what messages of peers about the guest's pages are measured by */
static inline struct hk_page_facts hk_vm_page_facts(const struct hk_vm *vm)
{
	return (struct hk_page_facts){
		.ram_pages = vm->ram_pages,
		.members = vm->members,
		.homes = &vm->homes,
		.self = vm->node->id,
	};
}

void hk_vm_link_down(struct hk_node *node, u16 peer, const char *why);

/**
 * hk_vm_recv() - message for a VM from a peer
 * @node: node
 * @peer: sender
 * @msg: consumed
 * @why: out, HK_REASON_MAX bytes: what is wrong with it
 * Return: 0; negative: the link must end.
 */
int hk_vm_recv(struct hk_node *node, u16 peer, struct hk_msg *msg, char *why);

/*
 * Guest RAM, kmod/mem.c
 */
int hk_mem_create(struct hk_vm *vm);
void hk_mem_destroy(struct hk_vm *vm);
/* the guest died: let every waiting fault look again (it sees hk_vm_dead()) */
void hk_mem_wake_all(struct hk_vm *vm);
/* HK_MSG_PAGE, HK_MSG_PAGE_GROUP and HK_MSG_SPILL; consumes @msg */
int hk_mem_recv(struct hk_vm *vm, u16 peer, struct hk_msg *msg, char *why);
/* add PRESENT, DIRECTORY, METADATA and the like to the sums */
void hk_mem_stats(struct hk_vm *vm, u64 *stat);
struct vm_area_struct;
int hk_mem_mmap(struct hk_vm *vm, struct file *file, struct vm_area_struct *vma);
/* address_space under all mappings of this VM's RAM on this node */
struct address_space *hk_mem_mapping(struct hk_vm *vm);
/* offset in guest RAM of a user address of @mm, or -ENXIO when it is not ours */
s64 hk_mem_offset_of(struct hk_vm *vm, struct mm_struct *mm, unsigned long uaddr);
/* true when @mm maps this VM's RAM; lockless */
bool hk_mem_maps(struct hk_vm *vm, const struct mm_struct *mm);

/*
 * The RAM device, kmod/dev.c
 */
int hk_dev_init(void);
void hk_dev_exit(void);
int hk_dev_add(struct hk_vm *vm);
void hk_dev_del(struct hk_vm *vm);
/* "/dev/hyperkernel/…" */
void hk_dev_path(struct hk_vm *vm, char *buf, size_t len);

/*
 * vCPUs, kmod/vcpu.c
 */
int hk_vcpus_create(struct hk_vm *vm);
/* a page has been unmapped on this node and is leaving it */
void hk_vcpus_page_gone(struct hk_vm *vm, u64 gfn);
/* does KVM fault in a page for a walk of the guest's page tables, in this thread? */
bool hk_vcpus_walking(struct hk_vm *vm);
void hk_vcpus_destroy(struct hk_vm *vm);
/* a process unmaps guest RAM: forget KVM's objects if they are its; sleeps */
void hk_vcpus_detach(struct hk_vm *vm, const struct mm_struct *mm);
/* last user of the RAM device gone; sleeps */
void hk_vcpus_closed(struct hk_vm *vm);
/* the guest died: wake parked threads and kick running ones */
void hk_vcpus_kill(struct hk_vm *vm);
/* HK_MSG_VM_CONFIG … HK_MSG_VCPU_*; consumes @msg */
int hk_vcpus_recv(struct hk_vm *vm, u16 peer, struct hk_msg *msg, char *why);
/* the guest's clock, kmod/clock.c */
void hk_clock_start(struct hk_vm *vm);
void hk_clock_heard(struct hk_vm *vm, u16 peer, s64 lead, u64 rtt_min);
/* hkctl vcpu move; waits, killable; @why: HK_REASON_LEN bytes */
int hk_vcpu_move(struct hk_vm *vm, u32 vcpu, u16 to, char *why);
/* for dumps */
struct hk_vcpu_info {
	u8 state;	/* enum hk_vcpu_state */
	u16 node;	/* where it is resident */
	u64 moves;
};

void hk_vcpu_info_get(struct hk_vm *vm, u32 vcpu, struct hk_vcpu_info *info);
long hk_vcpus_ioctl(struct hk_vm *vm, unsigned int cmd, unsigned long arg);

#endif /* HK_KMOD_VM_H */
