// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/cluster.c - hkctl cluster
 */
#include <string.h>
#include "hkctl.h"

static int usage(FILE *f, int status)
{
	fputs("Usage: hkctl cluster create [ NAME ] ram SIZE [ rdma ]\n"
	      "       hkctl cluster join ADDRESS[:PORT] ram SIZE [ secret FILE ]\n"
	      "       hkctl cluster show\n"
	      "where  SIZE := bytes, or a number with K, M, G or T\n"
	      "       rdma: links may be carried by RDMA, which is not encrypted\n", f);
	return status;
}

static int create(int argc, char **argv)
{
	struct json_object *req, *reply;
	const char *name = NULL;
	uint64_t ram = 0;
	bool rdma;

	if (argc && strcmp(argv[0], "ram")) {
		name = argv[0];
		if (!hk_name_ok(name))
			return misused("\"%s\" cannot be a name: 1 to %u letters, digits, '-', '_', '.', and not a number",
				       name, HK_NAME_MAX - 1);
		argc--;
		argv++;
	}
	rdma = argc == 3 && !strcmp(argv[2], "rdma");
	if (argc != 2 + rdma || strcmp(argv[0], "ram"))
		return usage(stderr, USAGE);
	if (hk_parse_size(argv[1], &ram))
		return misused("\"%s\" is not a size", argv[1]);
	req = request("cluster-create");
	if (name)
		add_str(req, "name", name);
	add_int(req, "ram", ram);
	if (rdma)
		json_object_object_add(req, "rdma",
				       json_object_new_boolean(true));
	reply = daemon_call(req);
	if (!reply)
		return REFUSED;
	if (rdma)
		fputs("links between nodes that offer RDMA will not be encrypted\n",
		      stderr);
	print_reply(reply);
	json_object_put(reply);
	return DONE;
}

static int show(void)
{
	struct json_object *reply = daemon_call(request("cluster-show")), *list;
	size_t i;

	if (!reply)
		return REFUSED;
	if (!get_int(reply, "self")) {
		json_object_put(reply);
		return refused("this node is in no cluster");
	}
	if (json_output) {
		print_reply(reply);
		json_object_put(reply);
		return DONE;
	}
	/* The cluster's line, then one line a node. */
	json_object_object_get_ex(reply, "members", &list);
	json_object_get(list);
	json_object_object_del(reply, "members");
	print_reply(reply);
	for (i = 0; i < json_object_array_length(list); i++)
		print_reply(json_object_array_get_idx(list, i));
	json_object_put(list);
	json_object_put(reply);
	return DONE;
}

int do_cluster(int argc, char **argv)
{
	if (!argc || !strcmp(argv[0], "show"))
		return argc > 1 ? usage(stderr, USAGE) : show();
	if (!strcmp(argv[0], "create"))
		return create(argc - 1, argv + 1);
	if (!strcmp(argv[0], "join"))
		return node_join(argc - 1, argv + 1);
	if (!strcmp(argv[0], "help"))
		return usage(stdout, DONE);
	return misused("cluster: command \"%s\" is unknown, try \"hkctl cluster help\"",
		       argv[0]);
}
