// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/vm.c - hkctl vm
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hkctl.h"

static int usage(FILE *f, int status)
{
	fputs("Usage: hkctl vm show [ VM ]\n"
	      "       hkctl vm create NAME ram SIZE vcpus N [ nodes { all | LIST } ]\n"
	      "               [ weights LIST ] [ place LIST ] [ kernel FILE ] [ initrd FILE ]\n"
	      "               [ append TEXT ] [ disk FILE ]\n"
	      "               [ serial FILE | serial-socket PATH ]\n"
	      "               [ async-pf { on | off } ]\n"
	      "               [ qemu-arg ARG ]... [ -- ARG... ]\n"
	      "       hkctl vm { start | stop | pause | resume | delete } VM\n"
	      "       hkctl vm kill VM [ REASON ]\n"
	      "       hkctl vm wait VM [ SECONDS ]\n"
	      "where  VM := name or id\n"
	      "       LIST := values with commas between them: nodes; a weight a node;\n"
	      "               for place a node for each vCPU\n", f);
	return status;
}

static const char *wanted;
static bool found;

static void print_vm(const struct hk_vm_info *vm, void *arg)
{
	uint64_t id = 0;
	uint32_t i;

	(void)arg;
	if (wanted && strcmp(wanted, vm->name) &&
	    (hk_parse_u64(wanted, 1, UINT32_MAX, &id) || id != vm->id))
		return;
	found = true;
	pr_object(NULL);
	pr_u64("vm-id", vm->id);
	pr_str("vm-name", vm->name);
	pr_str("vm-state", hk_vm_state_name(vm->state));
	if (vm->reason[0])
		pr_str("reason", vm->reason);
	pr_u64("ram-pages", vm->ram_pages);
	pr_u64("vcpus", vm->nr_vcpus);
	pr_u64("origin", vm->origin);
	pr_array("members");
	for (i = 0; i < vm->nr_members; i++) {
		pr_object(NULL);
		pr_u64("node", vm->member[i].node);
		pr_u64("weight", vm->member[i].weight);
		pr_object_end();
	}
	pr_array_end();
	pr_array("vcpu-place");
	for (i = 0; i < vm->nr_vcpus; i++)
		pr_u64(NULL, vm->place[i]);
	pr_array_end();
	pr_str("device", vm->device);
	pr_object_end();
}

static int show(int argc, char **argv)
{
	struct hk_nl *nl = kernel();
	int r;

	if (!nl)
		return REFUSED;
	wanted = argc ? argv[0] : NULL;
	pr_array(NULL);
	r = hk_vm_dump(nl, print_vm, NULL);
	pr_array_end();
	if (r)
		return refused("%s", hk_nl_error(nl));
	if (wanted && !found)
		return refused("there is no VM \"%s\" on this node", wanted);
	return DONE;
}

/* The daemon has another working directory. */
static int add_path(struct json_object *req, const char *key, const char *file,
		    bool must_exist)
{
	char *path = realpath(file, NULL), dir[PATH_MAX];

	if (path) {
		add_str(req, key, path);
		free(path);
		return 0;
	}
	if (must_exist) {
		refused("%s %s: %m", key, file);
		return -1;
	}
	if (file[0] == '/') {
		add_str(req, key, file);
	} else {
		char full[PATH_MAX + 512];

		if (!getcwd(dir, sizeof(dir)))
			return -1;
		snprintf(full, sizeof(full), "%s/%.500s", dir, file);
		add_str(req, key, full);
	}
	return 0;
}

/* DONE, or what to exit with */
static int create_option(struct json_object *req, struct json_object *args,
			 const char *key, const char *val)
{
	uint64_t num;

	if (!strcmp(key, "ram")) {
		if (hk_parse_size(val, &num))
			return misused("\"%s\" is not a size", val);
		add_int(req, "ram", num);
	} else if (!strcmp(key, "vcpus")) {
		if (hk_parse_u64(val, 1, HK_VCPUS_MAX, &num))
			return misused("vcpus must be 1 to %u", HK_VCPUS_MAX);
		add_int(req, "vcpus", num);
	} else if (!strcmp(key, "nodes")) {
		if (strcmp(val, "all"))
			add_list(req, key, val);
	} else if (!strcmp(key, "weights") || !strcmp(key, "place")) {
		add_list(req, key, val);
	} else if (!strcmp(key, "async-pf")) {
		if (strcmp(val, "on") && strcmp(val, "off"))
			return misused("async-pf is \"on\" or \"off\", not \"%s\"",
				       val);
		add_str(req, key, val);
	} else if (!strcmp(key, "append")) {
		add_str(req, key, val);
	} else if (!strcmp(key, "kernel") || !strcmp(key, "initrd") ||
		   !strcmp(key, "disk")) {
		return add_path(req, key, val, true) ? REFUSED : DONE;
	} else if (!strcmp(key, "serial")) {
		return add_path(req, key, val, false) ? REFUSED : DONE;
	} else if (!strcmp(key, "serial-socket") ||
		   !strcmp(key, "stdio-socket")) {
		return add_path(req, "serial-socket", val, false) ? REFUSED :
								    DONE;
	} else if (!strcmp(key, "qemu-arg")) {
		json_object_array_add(args, json_object_new_string(val));
	} else {
		return misused("vm create: \"%s\" is unknown, try \"hkctl vm help\"",
			       key);
	}
	return DONE;
}

static int create(int argc, char **argv)
{
	struct json_object *req, *reply, *args;
	int i, r;

	if (!argc)
		return usage(stderr, USAGE);
	if (!hk_name_ok(argv[0]))
		return misused("\"%s\" cannot be a name: 1 to %u letters, digits, '-', '_', '.', and not a number",
			       argv[0], HK_NAME_MAX - 1);
	req = request("vm-create");
	args = json_object_new_array();
	add_str(req, "name", argv[0]);
	for (i = 1; i < argc && strcmp(argv[i], "--"); i += 2) {
		if (i + 1 == argc) {
			r = misused("vm create: \"%s\" wants a value", argv[i]);
			goto out;
		}
		r = create_option(req, args, argv[i], argv[i + 1]);
		if (r)
			goto out;
	}
	for (i++; i < argc; i++)
		json_object_array_add(args, json_object_new_string(argv[i]));
	json_object_object_add(req, "args", args);
	args = NULL;
	if (!get_int(req, "ram") || !get_int(req, "vcpus")) {
		r = misused("vm create: ram and vcpus must be given");
		goto out;
	}
	reply = daemon_call(json_object_get(req));
	r = reply ? DONE : REFUSED;
	if (reply)
		print_reply(reply);
	json_object_put(reply);
out:
	json_object_put(args);
	json_object_put(req);
	return r;
}

static int command(const char *cmd, const char *name)
{
	struct json_object *req = request(cmd), *reply;

	add_str(req, "name", name);
	reply = daemon_call(req);
	if (!reply)
		return REFUSED;
	print_reply(reply);
	json_object_put(reply);
	return DONE;
}

/* Needs no daemon: it is for when things hang. */
static int kill_vm(int argc, char **argv)
{
	struct hk_nl *nl = kernel();
	struct hk_vm_info vm;

	if (!nl)
		return REFUSED;
	if (hk_vm_find(nl, argv[0], &vm) ||
	    hk_vm_kill(nl, vm.id, argc > 1 ? argv[1] : "killed by hkctl"))
		return refused("%s", hk_nl_error(nl));
	return DONE;
}

int do_vm(int argc, char **argv)
{
	if (!argc)
		return show(0, NULL);
	if (!strcmp(argv[0], "show"))
		return argc > 2 ? usage(stderr, USAGE) :
				  show(argc - 1, argv + 1);
	if (!strcmp(argv[0], "create"))
		return create(argc - 1, argv + 1);
	if (!strcmp(argv[0], "start"))
		return argc == 2 ? command("vm-start", argv[1]) :
				   usage(stderr, USAGE);
	if (!strcmp(argv[0], "stop"))
		return argc == 2 ? command("vm-stop", argv[1]) :
				   usage(stderr, USAGE);
	if (!strcmp(argv[0], "pause"))
		return argc == 2 ? command("vm-pause", argv[1]) :
				   usage(stderr, USAGE);
	if (!strcmp(argv[0], "resume"))
		return argc == 2 ? command("vm-resume", argv[1]) :
				   usage(stderr, USAGE);
	if (!strcmp(argv[0], "delete"))
		return argc == 2 ? command("vm-delete", argv[1]) :
				   usage(stderr, USAGE);
	if (!strcmp(argv[0], "kill"))
		return argc == 2 || argc == 3 ? kill_vm(argc - 1, argv + 1) :
						usage(stderr, USAGE);
	if (!strcmp(argv[0], "wait"))
		return argc == 2 || argc == 3 ?
			vm_wait(argv[1], argc == 3 ? argv[2] : NULL) :
			usage(stderr, USAGE);
	if (!strcmp(argv[0], "help"))
		return usage(stdout, DONE);
	return misused("vm: command \"%s\" is unknown, try \"hkctl vm help\"",
		       argv[0]);
}
