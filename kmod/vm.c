// SPDX-License-Identifier: GPL-2.0
/*
 * One guest, as one node sees it: creation, death, dispatch of its messages
 *
 * Death and deletion are two things. hk_vm_kill() ends the guest: state and reason
 * change at once, in any context; dead_work does what may sleep. The object stays,
 * so that its reason can be read, until hk_vm_destroy():
 *
 *	make dead	users becomes negative: nobody opens the device any more;
 *			unlinked from the node, the device goes
 *	grace period	RCU readers that found it in the list have a reference now,
 *			or none; flush dead_work
 *	remove		references are dropped; the last one queues release_work
 *
 * Who may still hold a reference then: a message in hk_vm_recv(), a VCPU_MOVE that
 * waits, work of mem and vcpu. All of these see hk_vm_dead() and end soon.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "vm.h"

#include <linux/ctype.h>
#include <linux/math64.h>
#include <linux/printk.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>

/* How long VM_DEL waits for the memory of a VM to be free */
#define RELEASE_WAIT	(5 * HZ)
#define RAM_PAGES_MAX	BIT_ULL(36)

/* References */

static void vm_release_work(struct work_struct *work)
{
	struct hk_vm *vm = container_of(work, struct hk_vm, release_work);
	struct hk_node *node = vm->node;

	hk_vcpus_destroy(vm);
	hk_mem_destroy(vm);
	kfree_rcu(vm, rcu);
	/* The node outlives this function: its wq is drained before it goes */
	atomic_dec(&node->nr_vms);
	wake_up_all(&node->idle_wait);
}

static void vm_release(struct kref *ref)
{
	struct hk_vm *vm = container_of(ref, struct hk_vm, ref);

	queue_work(vm->node->wq, &vm->release_work);
}

void hk_vm_put(struct hk_vm *vm)
{
	if (vm)
		kref_put(&vm->ref, vm_release);
}

struct hk_vm *hk_vm_get_by_id(struct hk_node *node, u32 id)
{
	struct hk_vm *vm;

	rcu_read_lock();
	list_for_each_entry_rcu(vm, &node->vms, list) {
		if (vm->id == id && kref_get_unless_zero(&vm->ref)) {
			rcu_read_unlock();
			return vm;
		}
	}
	rcu_read_unlock();
	return NULL;
}

struct hk_vm *hk_vm_get_next(struct hk_node *node, u32 id)
{
	struct hk_vm *vm, *best = NULL;

	rcu_read_lock();
	list_for_each_entry_rcu(vm, &node->vms, list)
		if (vm->id >= id && (!best || vm->id < best->id))
			best = vm;
	/* In the list, thus with the list's reference until a grace period on */
	if (best)
		kref_get(&best->ref);
	rcu_read_unlock();
	return best;
}

/* State */

static void vm_tell_dead(struct hk_vm *vm)
{
	struct hk_node *node = vm->node;
	struct hk_wire_text *text;
	struct hk_msg *msg;
	u16 id;

	for (id = 1; id < HK_MAX_NODES; id++) {
		if (id == node->id || !(vm->members & hk_node_bit(id)))
			continue;
		msg = hk_msg_alloc(HK_MSG_VM_DEAD, vm->id, sizeof(*text),
				   GFP_KERNEL);
		if (!msg)
			continue;
		text = (struct hk_wire_text *)msg->body;
		text->node = cpu_to_le16(node->id);
		/* Final since the state is DEAD */
		strscpy_pad(text->text, vm->reason, sizeof(text->text));
		hk_node_send(node, id, msg);
	}
}

static void vm_dead_work(struct work_struct *work)
{
	struct hk_vm *vm = container_of(work, struct hk_vm, dead_work);

	/* The peers first: their vCPUs run on */
	if (vm->tell_peers)
		vm_tell_dead(vm);
	hk_mem_wake_all(vm);
	hk_vcpus_kill(vm);
	pr_info("VM %u (%s) on node %u is dead: %s\n", vm->id, vm->name,
		vm->node->id, vm->reason);
	hk_node_changed(vm->node);
	hk_netlink_vm_event(vm);
	hk_vm_put(vm);
}

/* A reason may come from a peer or from the user and goes into logs */
static void text_sanitise(char *text)
{
	for (; *text; text++)
		if (!isascii(*text) || !isprint(*text))
			*text = '?';
}

void hk_vm_kill(struct hk_vm *vm, bool tell, const char *fmt, ...)
{
	unsigned long irq;
	bool first;
	va_list args;

	raw_spin_lock_irqsave(&vm->state_lock, irq);
	first = vm->state != HK_VM_DEAD;
	if (first) {
		va_start(args, fmt);
		vscnprintf(vm->reason, sizeof(vm->reason), fmt, args);
		va_end(args);
		text_sanitise(vm->reason);
		vm->tell_peers = tell;
		WRITE_ONCE(vm->state, HK_VM_DEAD);
	}
	raw_spin_unlock_irqrestore(&vm->state_lock, irq);

	if (first) {
		kref_get(&vm->ref);
		queue_work(vm->node->wq, &vm->dead_work);
	}
}

static void vm_run_work(struct work_struct *work)
{
	struct hk_vm *vm = container_of(work, struct hk_vm, run_work);

	hk_node_changed(vm->node);
	/* Dead since: that has an event of its own, which stays the last one */
	if (!hk_vm_dead(vm))
		hk_netlink_vm_event(vm);
	hk_vm_put(vm);
}

void hk_vm_set_running(struct hk_vm *vm)
{
	unsigned long irq;
	bool first;

	/* Called on each entry into the guest */
	if (READ_ONCE(vm->state) != HK_VM_CREATED)
		return;

	raw_spin_lock_irqsave(&vm->state_lock, irq);
	first = vm->state == HK_VM_CREATED;
	if (first)
		WRITE_ONCE(vm->state, HK_VM_RUNNING);
	raw_spin_unlock_irqrestore(&vm->state_lock, irq);

	if (first) {
		kref_get(&vm->ref);
		queue_work(vm->node->wq, &vm->run_work);
	}
}

void hk_vm_link_down(struct hk_node *node, u16 peer, const char *why)
{
	char name[HK_NAME_MAX];
	struct hk_vm *vm;

	hk_node_peer_name(node, peer, name);
	rcu_read_lock();
	list_for_each_entry_rcu(vm, &node->vms, list)
		if (vm->members & hk_node_bit(peer))
			hk_vm_kill(vm, true, "node %u (%s): %s", peer, name,
				   why);
	rcu_read_unlock();
}

/* Messages */

static int vm_recv_dead(struct hk_vm *vm, struct hk_msg *msg, char *why)
{
	struct hk_wire_text *text = (struct hk_wire_text *)msg->body;
	char reason[HK_REASON_MAX];
	int err = 0;

	if (le32_to_cpu(msg->hdr.len) != sizeof(*text)) {
		snprintf(why, HK_REASON_MAX, "VM_DEAD of wrong length");
		err = -EPROTO;
	} else {
		hk_wire_text_get(text, reason);
		hk_vm_kill(vm, false, "%s", reason);
	}
	hk_msg_free(msg);
	return err;
}

static int vm_dispatch(struct hk_vm *vm, u16 peer, struct hk_msg *msg,
		       char *why)
{
	u8 type = msg->hdr.type;

	if (type == HK_MSG_VM_DEAD)
		return vm_recv_dead(vm, msg, why);
	if (hk_vm_dead(vm)) {
		hk_msg_free(msg);
		return 0;
	}
	if (type == HK_MSG_PAGE || type == HK_MSG_PAGE_GROUP ||
	    type == HK_MSG_SPILL)
		return hk_mem_recv(vm, peer, msg, why);
	if (type > HK_MSG_VM_DEAD && type < HK_MSG_NR)
		return hk_vcpus_recv(vm, peer, msg, why);

	snprintf(why, HK_REASON_MAX, "message %s is not for a VM",
		 hk_msg_name(type));
	hk_msg_free(msg);
	return -EPROTO;
}

int hk_vm_recv(struct hk_node *node, u16 peer, struct hk_msg *msg, char *why)
{
	struct hk_vm *vm = hk_vm_get_by_id(node, le32_to_cpu(msg->hdr.vm));
	int err;

	if (!vm) {
		/* No error: it may just have been deleted here */
		atomic64_inc(&node->peers[peer].unknown_vm);
		hk_msg_free(msg);
		return 0;
	}
	if (vm->members & hk_node_bit(peer)) {
		/* first: what the message lets the guest know may be newer than its clock */
		hk_clock_heard(vm, peer, msg->lead, msg->rtt_min);
		err = vm_dispatch(vm, peer, msg, why);
	} else {
		snprintf(why, HK_REASON_MAX,
			 "node %u is not a member of VM %u, but sends %s", peer,
			 vm->id, hk_msg_name(msg->hdr.type));
		hk_msg_free(msg);
		err = -EPROTO;
	}
	hk_vm_put(vm);
	return err;
}

/* The directory's homes */

/*
 * Contiguous ranges by weight, members in the order of their ids. All nodes must
 * come to the same result: integers only, rounded down. A member whose range is
 * empty rules no page.
 */
static void vm_set_homes(struct hk_vm *vm)
{
	u64 total = 0, sum = 0, first, next;
	u16 id;

	for (id = 1; id < HK_MAX_NODES; id++)
		total += vm->weight[id];

	first = 0;
	for (id = 1; id < HK_MAX_NODES; id++) {
		if (!vm->weight[id])
			continue;
		sum += vm->weight[id];
		next = mul_u64_u64_div_u64(vm->ram_pages, sum, total);
		if (next == first)
			continue;
		vm->homes.range[vm->homes.nr].first = first;
		vm->homes.range[vm->homes.nr++].node = id;
		first = next;
	}
}

/* Creation */

static int vm_check_members(struct hk_node *node, const struct hk_vm_cfg *cfg,
			    u64 *members, char *why)
{
	u64 set = 0;
	u32 i;

	for (i = 0; i < cfg->nr_members; i++) {
		const struct hk_member *m = &cfg->member[i];

		if (!m->node || m->node >= HK_MAX_NODES) {
			snprintf(why, HK_REASON_LEN,
				 "%u is not a node id (1 to %u)", m->node,
				 HK_MAX_NODES - 1);
			return -EINVAL;
		}
		if (m->reserved) {
			snprintf(why, HK_REASON_LEN,
				 "reserved field of member %u is not zero",
				 m->node);
			return -EINVAL;
		}
		if (!m->weight) {
			snprintf(why, HK_REASON_LEN, "weight of node %u is 0",
				 m->node);
			return -EINVAL;
		}
		if (set & hk_node_bit(m->node)) {
			snprintf(why, HK_REASON_LEN,
				 "node %u is a member twice", m->node);
			return -EINVAL;
		}
		set |= hk_node_bit(m->node);
	}
	if (!(set & hk_node_bit(node->id))) {
		snprintf(why, HK_REASON_LEN,
			 "this node (%u) is not a member of VM %u", node->id,
			 cfg->id);
		return -EINVAL;
	}
	for (i = 0; i < cfg->nr_members; i++) {
		u16 id = cfg->member[i].node;

		if (id != node->id && !hk_node_link_up(node, id)) {
			snprintf(why, HK_REASON_LEN, "no link to node %u", id);
			return -ENOTCONN;
		}
	}
	*members = set;
	return 0;
}

static int vm_check_places(const struct hk_vm_cfg *cfg, u64 members, char *why)
{
	u32 i;

	if (cfg->origin >= HK_MAX_NODES ||
	    !(members & hk_node_bit(cfg->origin))) {
		snprintf(why, HK_REASON_LEN,
			 "origin, node %u, is not a member of VM %u",
			 cfg->origin, cfg->id);
		return -EINVAL;
	}
	for (i = 0; i < cfg->nr_vcpus; i++) {
		u16 id = cfg->place[i];

		if (id < HK_MAX_NODES && members & hk_node_bit(id))
			continue;
		snprintf(why, HK_REASON_LEN,
			 "vCPU %u: node %u is not a member of VM %u", i, id,
			 cfg->id);
		return -EINVAL;
	}
	return 0;
}

static int vm_check(struct hk_node *node, const struct hk_vm_cfg *cfg,
		    u64 *members, char *why)
{
	struct hk_vm *vm;
	int err;

	if (node->id == HK_NODE_NONE) {
		snprintf(why, HK_REASON_LEN, "this node has no identity yet");
		return -EINVAL;
	}
	if (!cfg->id) {
		snprintf(why, HK_REASON_LEN, "VM ids start at 1");
		return -EINVAL;
	}
	if (!hk_name_ok(cfg->name)) {
		snprintf(why, HK_REASON_LEN,
			 "a name has letters, digits, '-', '_', '.'");
		return -EINVAL;
	}
	if (!cfg->ram_pages || cfg->ram_pages > RAM_PAGES_MAX) {
		snprintf(why, HK_REASON_LEN,
			 "%llu pages of RAM: must be 1 to 2^36",
			 cfg->ram_pages);
		return -EINVAL;
	}
	if (!cfg->nr_vcpus || cfg->nr_vcpus > HK_VCPUS_MAX) {
		snprintf(why, HK_REASON_LEN, "%u vCPUs: must be 1 to %u",
			 cfg->nr_vcpus, HK_VCPUS_MAX);
		return -EINVAL;
	}
	/* Stays true: only we, with node->lock held, add */
	list_for_each_entry(vm, &node->vms, list) {
		if (vm->id == cfg->id) {
			snprintf(why, HK_REASON_LEN, "VM %u exists", cfg->id);
			return -EEXIST;
		}
		if (!strcmp(vm->name, cfg->name)) {
			snprintf(why, HK_REASON_LEN, "VM %u has the name %s",
				 vm->id, cfg->name);
			return -EEXIST;
		}
	}
	err = vm_check_members(node, cfg, members, why);
	if (err)
		return err;
	return vm_check_places(cfg, *members, why);
}

static struct hk_vm *vm_alloc(struct hk_node *node,
			      const struct hk_vm_cfg *cfg, u64 members)
{
	struct hk_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL);
	u32 i;

	if (!vm)
		return NULL;
	kref_init(&vm->ref);
	INIT_LIST_HEAD(&vm->list);
	vm->node = node;
	vm->id = cfg->id;
	strscpy(vm->name, cfg->name, sizeof(vm->name));
	vm->origin = cfg->origin;
	vm->nr_vcpus = cfg->nr_vcpus;
	vm->ram_pages = cfg->ram_pages;
	vm->members = members;
	for (i = 0; i < cfg->nr_members; i++)
		vm->weight[cfg->member[i].node] = cfg->member[i].weight;
	memcpy(vm->place, cfg->place, sizeof(vm->place));
	vm_set_homes(vm);
	vm->state = HK_VM_CREATED;
	raw_spin_lock_init(&vm->state_lock);
	INIT_WORK(&vm->dead_work, vm_dead_work);
	INIT_WORK(&vm->run_work, vm_run_work);
	INIT_WORK(&vm->release_work, vm_release_work);
	/* The device may be seen before all is ready */
	atomic_set(&vm->users, -1);
	return vm;
}

/*
 * Into the list, unless a link went down meanwhile. link_down() unpublishes under
 * peers_lock and looks at the list after that: either it finds the VM there, or
 * the missing link is found here.
 */
static int vm_publish(struct hk_vm *vm, char *why)
{
	struct hk_node *node = vm->node;
	u16 id;

	spin_lock(&node->peers_lock);
	for (id = 1; id < HK_MAX_NODES; id++) {
		if (id == node->id || !(vm->members & hk_node_bit(id)) ||
		    rcu_access_pointer(node->peers[id].link))
			continue;
		spin_unlock(&node->peers_lock);
		snprintf(why, HK_REASON_LEN, "no link to node %u", id);
		return -ENOTCONN;
	}
	spin_lock(&node->vms_lock);
	list_add_tail_rcu(&vm->list, &node->vms);
	spin_unlock(&node->vms_lock);
	spin_unlock(&node->peers_lock);
	return 0;
}

int hk_vm_create(struct hk_node *node, const struct hk_vm_cfg *cfg, char *why)
{
	struct hk_vm *vm;
	u64 members;
	int err;

	lockdep_assert_held(&node->lock);
	err = vm_check(node, cfg, &members, why);
	if (err)
		return err;

	vm = vm_alloc(node, cfg, members);
	if (!vm) {
		snprintf(why, HK_REASON_LEN, "out of memory");
		return -ENOMEM;
	}
	err = hk_mem_create(vm);
	if (err) {
		snprintf(why, HK_REASON_LEN, "no guest RAM: error %d", err);
		goto err_free;
	}
	err = hk_vcpus_create(vm);
	if (err) {
		snprintf(why, HK_REASON_LEN, "no vCPUs: error %d", err);
		goto err_mem;
	}
	err = hk_dev_add(vm);
	if (err) {
		snprintf(why, HK_REASON_LEN, "no RAM device: error %d%s", err,
			 err == -EEXIST ? ", its name is taken" : "");
		goto err_vcpus;
	}
	atomic_inc(&node->nr_vms);
	err = vm_publish(vm, why);
	if (err)
		goto err_dev;

	atomic_set(&vm->users, 0);
	hk_node_changed(node);
	pr_info("VM %u (%s) on node %u: %llu pages, %u vCPUs, origin node %u\n",
		vm->id, vm->name, node->id, vm->ram_pages, vm->nr_vcpus,
		vm->origin);
	hk_netlink_vm_event(vm);
	hk_clock_start(vm);
	return 0;

err_dev:
	atomic_dec(&node->nr_vms);
	hk_dev_del(vm);
err_vcpus:
	hk_vcpus_destroy(vm);
err_mem:
	hk_mem_destroy(vm);
err_free:
	/* An open() that was refused may still look at it */
	kfree_rcu(vm, rcu);
	return err;
}

int hk_vm_destroy(struct hk_vm *vm, char *why)
{
	struct hk_node *node = vm->node;
	int nr;

	lockdep_assert_held(&node->lock);
	if (atomic_cmpxchg(&vm->users, 0, -1)) {
		snprintf(why, HK_REASON_LEN, "VM %u is in use", vm->id);
		return -EBUSY;
	}
	hk_vm_kill(vm, true, "deleted on node %u (%s)", node->id, node->name);

	spin_lock(&node->vms_lock);
	list_del_rcu(&vm->list);
	spin_unlock(&node->vms_lock);
	hk_node_changed(node);
	hk_dev_del(vm);
	synchronize_rcu();
	flush_work(&vm->run_work);
	flush_work(&vm->dead_work);

	nr = atomic_read(&node->nr_vms);
	hk_vm_put(vm);	/* the caller's */
	hk_vm_put(vm);	/* the list's */
	/*
	 * So that memory is free and counters are down when VM_DEL answers. It is
	 * no condition: who holds on to it longer, frees it later.
	 */
	if (!wait_event_timeout(node->idle_wait,
				atomic_read(&node->nr_vms) < nr, RELEASE_WAIT))
		pr_warn("node %u: a deleted VM is still in use\n", node->id);
	return 0;
}
