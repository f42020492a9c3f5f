// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/vm.c - which VMs there are, on all their members
 */
#include <stdlib.h>
#include <string.h>
#include "vm.h"

static struct vm *vms;
static uint16_t last_vm;

struct vm *vm_by_id(uint32_t id)
{
	struct vm *vm;

	for (vm = vms; vm; vm = vm->next)
		if (vm->info.id == id)
			return vm;
	return NULL;
}

struct vm *vm_find(const char *text, char *err)
{
	uint64_t num = 0;
	struct vm *vm;

	if (!text) {
		fail(err, "which VM?");
		return NULL;
	}
	if (hk_parse_u64(text, 1, UINT32_MAX, &num))
		num = 0;
	for (vm = vms; vm; vm = vm->next)
		if (vm->info.id == num || !strcmp(vm->info.name, text))
			return vm;
	fail(err, "there is no VM \"%.64s\" on this node", text);
	return NULL;
}

/* VM_ADD, and a struct vm for it */
static struct vm *add_local(const struct hk_vm_info *info, char *err)
{
	struct vm *vm;

	for (vm = vms; vm; vm = vm->next) {
		if (strcmp(vm->info.name, info->name))
			continue;
		fail(err, "there is a VM named %s already (%s)", info->name,
		     hk_vm_state_name(vm->info.state));
		return NULL;
	}
	vm = calloc(1, sizeof(*vm));
	if (!vm) {
		fail(err, "out of memory");
		return NULL;
	}
	if (hk_vm_add(hkd.nl, info)) {
		fail(err, "%s", hk_nl_error(hkd.nl));
		free(vm);
		return NULL;
	}
	if (hk_vm_get(hkd.nl, info->id, &vm->info) || !vm->info.device[0]) {
		fail(err, "the module does not say which device VM %s has: %s",
		     info->name, hk_nl_error(hkd.nl));
		hk_vm_del(hkd.nl, info->id);
		free(vm);
		return NULL;
	}
	vm->pidfd = -1;
	vm->dev_fd = -1;
	vm->next = vms;
	vms = vm;
	log_info("VM %s (%u): %llu pages, %u vCPUs, origin node %u, %s",
		 vm->info.name, vm->info.id,
		 (unsigned long long)vm->info.ram_pages, vm->info.nr_vcpus,
		 vm->info.origin, vm->info.device);
	return vm;
}

static int del_local(struct vm *vm, char *err)
{
	struct hk_vm_info info;
	struct vm **p;

	if (vm->pid)
		return fail(err, "VM %s: its process %d still runs",
			    vm->info.name, (int)vm->pid);
	/* Somebody else may have deleted it. */
	if (hk_vm_del(hkd.nl, vm->info.id)) {
		fail(err, "VM %s: %s", vm->info.name, hk_nl_error(hkd.nl));
		if (!hk_vm_get(hkd.nl, vm->info.id, &info))
			return -1;
	}
	log_info("VM %s (%u) deleted", vm->info.name, vm->info.id);
	for (p = &vms; *p != vm; p = &(*p)->next)
		;
	*p = vm->next;
	json_object_put(vm->config);
	free(vm);
	return 0;
}

int vm_any_alive(char *err)
{
	struct hk_vm_info info;
	struct vm *vm;

	for (vm = vms; vm; vm = vm->next) {
		if (!hk_vm_get(hkd.nl, vm->info.id, &info))
			vm->info.state = info.state;
		if (vm->info.state != HK_VM_DEAD || vm->pid)
			return fail(err, "VM %s exists (%s): membership does not change while there are VMs; hkctl vm delete it first",
				    vm->info.name,
				    hk_vm_state_name(vm->info.state));
	}
	return 0;
}

void vm_forget_of(uint16_t origin, char *err)
{
	struct vm *vm, *next;

	for (vm = vms; vm; vm = next) {
		next = vm->next;
		if (vm->info.origin == origin && del_local(vm, err))
			log_error("%s", err);
	}
}

/* the other members read the reason, too: it has to say which node */
static int kill_from_here(uint32_t id, const char *what)
{
	char why[HK_ERR_LEN];

	snprintf(why, sizeof(why), "node %u (%s): %s", hkd.self, hkd.name, what);
	return hk_vm_kill(hkd.nl, id, why);
}

int vm_forget_all(char *err)
{
	uint32_t id;

	while (vms) {
		id = vms->info.id;
		if (vms->info.state != HK_VM_DEAD)
			kill_from_here(id, "left the cluster");
		vm_end_process(id, 0);
		if (vms && vms->info.id == id && del_local(vms, err))
			return -1;
	}
	return 0;
}

void vm_shutdown(void)
{
	char err[HK_ERR_LEN];
	struct vm *vm;

	for (vm = vms; vm; vm = vm->next) {
		vm->halting = true;
		if (vm->info.state != HK_VM_DEAD &&
		    kill_from_here(vm->info.id, "its daemon was stopped"))
			log_error("VM %s: %s", vm->info.name,
				  hk_nl_error(hkd.nl));
	}
	if (vm_forget_all(err))
		log_error("%s", err);
}

static struct json_object *info_json(const struct hk_vm_info *info)
{
	struct json_object *obj = json_object_new_object(), *list, *m;
	uint32_t i;

	js_add_int(obj, "id", info->id);
	js_add_str(obj, "name", info->name);
	js_add_int(obj, "ram-pages", (int64_t)info->ram_pages);
	js_add_int(obj, "origin", info->origin);
	list = json_object_new_array();
	for (i = 0; i < info->nr_members; i++) {
		m = json_object_new_object();
		js_add_int(m, "node", info->member[i].node);
		js_add_int(m, "weight", info->member[i].weight);
		json_object_array_add(list, m);
	}
	json_object_object_add(obj, "members", list);
	list = json_object_new_array();
	for (i = 0; i < info->nr_vcpus; i++)
		json_object_array_add(list,
				      json_object_new_int(info->place[i]));
	json_object_object_add(obj, "place", list);
	return obj;
}

/* from a peer; the module checks the values */
static int info_parse(struct json_object *obj, struct hk_vm_info *info,
		      char *err)
{
	struct json_object *members = js_array(obj, "members"), *m;
	struct json_object *place = js_array(obj, "place");
	const char *name = js_str(obj, "name");
	int64_t id = js_int(obj, "id", 0), ram = js_int(obj, "ram-pages", 0);
	int64_t node, weight;
	size_t i;

	memset(info, 0, sizeof(*info));
	if (!hk_name_ok(name) || id < 1 || id > UINT32_MAX || ram < 1 ||
	    !members || !place ||
	    json_object_array_length(members) >= HK_NODES_MAX ||
	    json_object_array_length(place) > HK_VCPUS_MAX)
		return fail(err, "malformed VM");
	info->id = (uint32_t)id;
	strcpy(info->name, name);
	info->ram_pages = (uint64_t)ram;
	info->origin = (uint16_t)js_int(obj, "origin", 0);
	info->nr_members = (uint32_t)json_object_array_length(members);
	for (i = 0; i < info->nr_members; i++) {
		m = json_object_array_get_idx(members, i);
		node = js_int(m, "node", 0);
		weight = js_int(m, "weight", 0);
		if (node < 1 || node >= HK_NODES_MAX || weight < 1 ||
		    weight > UINT32_MAX)
			return fail(err, "malformed member of a VM");
		info->member[i].node = (uint16_t)node;
		info->member[i].weight = (uint32_t)weight;
	}
	info->nr_vcpus = (uint32_t)json_object_array_length(place);
	for (i = 0; i < info->nr_vcpus; i++)
		info->place[i] = (uint16_t)json_object_get_int(
					json_object_array_get_idx(place, i));
	return 0;
}

static struct json_object *node_figures(char *err)
{
	struct json_object *reply;
	struct hk_node_info node;

	if (hk_node_self(hkd.nl, &node)) {
		fail(err, "%s", hk_nl_error(hkd.nl));
		return NULL;
	}
	reply = json_object_new_object();
	js_add_int(reply, "budget-pages", (int64_t)node.budget_pages);
	js_add_int(reply, "used-pages", (int64_t)node.used_pages);
	return reply;
}

struct json_object *vm_peer_request(uint16_t from, const char *cmd,
				    struct json_object *req, char *err)
{
	struct hk_vm_info info;
	struct vm *vm;
	int64_t id;
	int r;

	if (!strcmp(cmd, "node-figures"))
		return node_figures(err);
	if (!strcmp(cmd, "vm-add")) {
		if (info_parse(req, &info, err))
			return NULL;
		if (info.origin != from) {
			fail(err, "VM %s is of node %u", info.name, info.origin);
			return NULL;
		}
		return add_local(&info, err) ? json_object_new_object() : NULL;
	}

	id = js_int(req, "id", 0);
	vm = id > 0 && id <= UINT32_MAX ? vm_by_id((uint32_t)id) : NULL;
	if (!vm) {
		/* What is not there need not be deleted. */
		if (!strcmp(cmd, "vm-del"))
			return json_object_new_object();
		fail(err, "no VM %lld here", (long long)id);
		return NULL;
	}
	/* Commands of the user, sent on by the node where they were given. */
	if (vm->info.origin == hkd.self && !strcmp(cmd, "vm-start"))
		return vm_start(req, NULL, err);
	if (vm->info.origin == hkd.self && !strcmp(cmd, "vm-stop"))
		return vm_stop(req, NULL, err);
	if (vm->info.origin == hkd.self &&
	    (!strcmp(cmd, "vm-pause") || !strcmp(cmd, "vm-resume")))
		return vm_pause(cmd, req, err);
	if (vm->info.origin == hkd.self && !strcmp(cmd, "vm-delete"))
		return vm_delete(req, err);
	if (vm->info.origin != from) {
		fail(err, "VM %s is of node %u", vm->info.name,
		     vm->info.origin);
		return NULL;
	}
	if (!strcmp(cmd, "vm-replica")) {
		r = vm_start_replica(vm, err);
	} else if (!strcmp(cmd, "vm-halt")) {
		vm->halting = true;
		vm_end_process((uint32_t)id, 0);
		r = 0;
	} else if (!strcmp(cmd, "vm-del")) {
		vm_end_process((uint32_t)id, 2000);
		vm = vm_by_id((uint32_t)id);
		r = vm ? del_local(vm, err) : 0;
	} else {
		r = fail(err, "unknown request \"%.32s\"", cmd);
	}
	return r ? NULL : json_object_new_object();
}

int vm_ask_members(const struct vm *vm, const char *cmd, bool only_up,
		   char *err)
{
	struct hk_vm_info info = vm->info;
	struct json_object *req;
	uint16_t node;
	uint32_t i;

	for (i = 0; i < info.nr_members; i++) {
		node = info.member[i].node;
		if (node == hkd.self)
			continue;
		if (only_up && hkd.member[node].state != MEMBER_UP)
			continue;
		req = json_object_new_object();
		js_add_str(req, "cmd", cmd);
		js_add_int(req, "id", info.id);
		if (peer_call(node, req, NULL, 2 * RPC_MS, err))
			return -1;
	}
	return 0;
}

static int choose_members(struct json_object *req, struct hk_vm_info *info,
			  char *err)
{
	struct json_object *nodes = js_array(req, "nodes");
	struct json_object *weights = js_array(req, "weights");
	uint64_t seen = 0, w;
	uint16_t id;
	size_t i, n;

	if (nodes) {
		n = json_object_array_length(nodes);
		for (i = 0; i < n; i++) {
			id = member_find(json_object_get_string(
				json_object_array_get_idx(nodes, i)), err);
			if (!id)
				return -1;
			if (seen & (1ULL << id))
				return fail(err, "node %u is named twice", id);
			if (hkd.member[id].state != MEMBER_UP)
				return fail(err, "node %u (%s) is down: %s", id,
					    hkd.member[id].name,
					    hkd.member[id].reason);
			seen |= 1ULL << id;
			info->member[info->nr_members++].node = id;
		}
		if (!(seen & (1ULL << hkd.self)))
			return fail(err, "the VMM runs on this node, %u (%s): it must be one of the nodes",
				    hkd.self, hkd.name);
	} else {
		for (id = 1; id < HK_NODES_MAX; id++)
			if (hkd.member[id].state == MEMBER_UP)
				info->member[info->nr_members++].node = id;
	}
	if (weights && json_object_array_length(weights) != info->nr_members)
		return fail(err, "%zu weights for %u nodes",
			    json_object_array_length(weights),
			    info->nr_members);
	for (i = 0; i < info->nr_members; i++) {
		w = 1;
		if (weights &&
		    hk_parse_u64(json_object_get_string(
				json_object_array_get_idx(weights, i)),
				1, 1000000, &w))
			return fail(err, "a weight must be 1 to 1000000");
		info->member[i].weight = (uint32_t)w;
	}
	return 0;
}

static bool is_member(const struct hk_vm_info *info, uint16_t node)
{
	uint32_t i;

	for (i = 0; i < info->nr_members; i++)
		if (info->member[i].node == node)
			return true;
	return false;
}

static int choose_place(struct json_object *req, struct hk_vm_info *info,
			char *err)
{
	struct json_object *place = js_array(req, "place");
	uint16_t id;
	uint32_t i;

	if (place && json_object_array_length(place) != info->nr_vcpus)
		return fail(err, "place names %zu nodes for %u vCPUs",
			    json_object_array_length(place), info->nr_vcpus);
	for (i = 0; i < info->nr_vcpus; i++) {
		if (!place) {
			/* contiguous blocks, as equal as can be */
			info->place[i] = info->member[i * info->nr_members /
						      info->nr_vcpus].node;
			continue;
		}
		id = member_find(json_object_get_string(
			json_object_array_get_idx(place, i)), err);
		if (!id)
			return -1;
		if (!is_member(info, id))
			return fail(err, "vCPU %u is to start on node %u, which does not take part in the VM",
				    i, id);
		info->place[i] = id;
	}
	return 0;
}

static int check_budgets(const struct hk_vm_info *info, char *err)
{
	uint64_t sum = 0, pages;
	struct json_object *reply;
	char text[256] = "", need[32], have[32];
	size_t len = 0;
	uint16_t node;
	uint32_t i;

	for (i = 0; i < info->nr_members; i++) {
		node = info->member[i].node;
		if (node == hkd.self) {
			reply = node_figures(err);
		} else {
			struct json_object *req = json_object_new_object();

			js_add_str(req, "cmd", "node-figures");
			if (peer_call(node, req, &reply, RPC_MS, err))
				return -1;
		}
		if (!reply)
			return -1;
		pages = (uint64_t)js_int(reply, "budget-pages", 0);
		json_object_put(reply);
		sum += pages;
		if (len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%snode %u: %s", i ? ", " : "",
						node,
						hk_human_size(pages * HK_PAGE_SIZE,
							      have, sizeof(have)));
	}
	if (info->ram_pages > sum)
		return fail(err, "the guest wants %s of RAM, the nodes contribute %s (%s)",
			    hk_human_size(info->ram_pages * HK_PAGE_SIZE, need,
					  sizeof(need)),
			    hk_human_size(sum * HK_PAGE_SIZE, have,
					  sizeof(have)), text);
	return 0;
}

static int check_request(struct json_object *req, struct hk_vm_info *info,
			 char *err)
{
	int64_t ram = js_int(req, "ram", 0), vcpus = js_int(req, "vcpus", 0);
	const char *name = js_str(req, "name");
	const char *async_pf = js_str(req, "async-pf");

	if (!hk_name_ok(name))
		return fail(err, "a VM's name is 1 to %u letters, digits, '-', '_', '.', and not a number",
			    HK_NAME_MAX - 1);
	if (ram < (1 << 20) || ram % (1 << 20))
		return fail(err, "the RAM of a VM is a multiple of 1 MiB");
	if (vcpus < 1 || vcpus > HK_VCPUS_MAX)
		return fail(err, "a VM has 1 to %u vCPUs", HK_VCPUS_MAX);
	if (async_pf && strcmp(async_pf, "on") && strcmp(async_pf, "off"))
		return fail(err, "async-pf is \"on\" or \"off\"");
	strcpy(info->name, name);
	info->ram_pages = (uint64_t)ram / HK_PAGE_SIZE;
	info->nr_vcpus = (uint32_t)vcpus;
	info->origin = hkd.self;
	if (choose_members(req, info, err) || choose_place(req, info, err) ||
	    check_budgets(info, err))
		return -1;
	do {
		if (!++last_vm)
			++last_vm;
		info->id = (uint32_t)hkd.self << 16 | last_vm;
	} while (vm_by_id(info->id));
	return 0;
}

/* add it everywhere or nowhere */
static int add_everywhere(const struct hk_vm_info *info, struct stream *out,
			  char *err)
{
	struct json_object *req;
	char text[HK_ERR_LEN];
	uint16_t node;
	struct vm *vm;
	uint32_t i;

	if (!add_local(info, err))
		return -1;
	for (i = 0; i < info->nr_members; i++) {
		node = info->member[i].node;
		if (node == hkd.self)
			continue;
		progress(out, "VM %s: adding it on node %u (%s)", info->name,
			 node, hkd.member[node].name);
		req = info_json(info);
		js_add_str(req, "cmd", "vm-add");
		if (peer_call(node, req, NULL, RPC_MS, err))
			goto err_back;
	}
	return 0;

err_back:
	/* The one that failed may have added it and answered too late. */
	for (;; i--) {
		node = info->member[i].node;
		if (node != hkd.self) {
			req = json_object_new_object();
			js_add_str(req, "cmd", "vm-del");
			js_add_int(req, "id", info->id);
			if (peer_call(node, req, NULL, RPC_MS, text))
				log_error("rolling back VM %s: %s", info->name,
					  text);
		}
		if (!i)
			break;
	}
	vm = vm_by_id(info->id);
	if (vm && del_local(vm, text))
		log_error("rolling back VM %s: %s", info->name, text);
	return -1;
}

struct json_object *vm_create(struct json_object *req, struct stream *out,
			      char *err)
{
	struct hk_vm_info info = { 0 };
	struct json_object *reply = NULL;
	struct vm *vm;

	if (!hkd.self) {
		fail(err, "this node is in no cluster: hkctl cluster create, or hkctl node join");
		return NULL;
	}
	if (membership_lock("a VM is being created", now_ms() + CONNECT_MS, err))
		return NULL;
	if (check_request(req, &info, err) || add_everywhere(&info, out, err))
		goto out;
	vm = vm_by_id(info.id);
	if (!vm) {
		fail(err, "VM %s was deleted meanwhile", info.name);
		goto out;
	}
	vm->config = json_object_get(req);
	reply = info_json(&vm->info);
	js_add_str(reply, "device", vm->info.device);
out:
	membership_unlock();
	return reply;
}

struct json_object *vm_delete(struct json_object *req, char *err)
{
	const char *name = js_str(req, "name");
	struct hk_vm_info info;
	struct vm *vm = vm_find(name, err);
	uint32_t id;

	if (!vm)
		return NULL;
	id = vm->info.id;
	if (vm->info.origin != hkd.self &&
	    hkd.member[vm->info.origin].state == MEMBER_UP) {
		struct json_object *fwd = json_object_new_object();

		js_add_str(fwd, "cmd", "vm-delete");
		js_add_int(fwd, "id", id);
		js_add_str(fwd, "name", vm->info.name);
		return peer_call(vm->info.origin, fwd, NULL, 4 * RPC_MS, err) ?
			NULL : json_object_new_object();
	}
	if (!hk_vm_get(hkd.nl, id, &info))
		vm->info.state = info.state;
	if (vm->starting || (vm->info.state == HK_VM_RUNNING) ||
	    (vm->pid && vm->info.state != HK_VM_DEAD)) {
		fail(err, "VM %s runs: hkctl vm stop it first", vm->info.name);
		return NULL;
	}
	if (vm->pid)
		vm_end_process(id, 0);
	vm = vm_by_id(id);
	if (!vm)
		return json_object_new_object();
	/* An orphan is deleted here only: the others have their own users. */
	if (vm->info.origin == hkd.self &&
	    vm_ask_members(vm, "vm-del", true, err))
		return NULL;
	vm = vm_by_id(id);
	if (vm && del_local(vm, err))
		return NULL;
	return json_object_new_object();
}

static void seen(const struct hk_vm_info *info, void *arg)
{
	(void)arg;
	vm_event(info);
}

void vm_resync(void)
{
	hk_vm_dump(hkd.nl, seen, NULL);
}

void vm_event(const struct hk_vm_info *info)
{
	struct vm *vm = vm_by_id(info->id);

	if (!vm || vm->info.state == info->state)
		return;
	vm->info.state = info->state;
	if (info->state != HK_VM_DEAD) {
		log_info("VM %s is %s", vm->info.name,
			 hk_vm_state_name(info->state));
		return;
	}
	memcpy(vm->info.reason, info->reason, sizeof(vm->info.reason));
	log_info("VM %s is dead: %s", vm->info.name, info->reason);
	/* A replica host notices by itself, a VMM may not. */
	if (vm->pid)
		vm_end_process_later(vm, vm->info.origin == hkd.self ? 500 :
								       3000);
}
