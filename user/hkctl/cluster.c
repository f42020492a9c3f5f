// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/cluster.c - hkctl cluster
 */
#include <stdlib.h>
#include <string.h>
#include "hkctl.h"

static int usage(FILE *f, int status)
{
	fputs("Usage: hkctl cluster create [ NAME ] ram SIZE [ plain [ rdma ] ]\n"
	      "                            [ ca-cert FILE ca-key FILE ]\n"
	      "       hkctl cluster invite [ for NODE ] [ valid SECONDS ]\n"
	      "       hkctl cluster join ADDRESS[:PORT] TOKEN ram SIZE\n"
	      "       hkctl cluster show\n"
	      "where  SIZE := bytes, or a number with K, M, G or T\n"
	      "       plain: connections are authenticated, but not encrypted\n"
	      "       rdma: links may be carried by RDMA, which is not encrypted\n", f);
	return status;
}

/* the daemon has another working directory */
static void add_path(struct json_object *req, const char *key, const char *file)
{
	char *path = file ? realpath(file, NULL) : NULL;

	if (file)
		add_str(req, key, path ? path : file);
	free(path);
}

static int finish(struct json_object *req)
{
	struct json_object *reply = daemon_call(req);

	if (!reply)
		return REFUSED;
	print_reply(reply);
	json_object_put(reply);
	return DONE;
}

static int create(int argc, char **argv)
{
	const char *name = NULL, *size = NULL, *cert = NULL, *key = NULL;
	struct json_object *req;
	bool plain = false, rdma = false;
	int status;
	uint64_t ram = 0;
	int i;

	if (argc && strcmp(argv[0], "ram") && strcmp(argv[0], "plain") &&
	    strcmp(argv[0], "rdma")) {
		name = argv[0];
		if (!hk_name_ok(name))
			return misused("\"%s\" cannot be a name: 1 to %u letters, digits, '-', '_', '.', and not a number",
				       name, HK_NAME_MAX - 1);
		argc--;
		argv++;
	}
	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "plain"))
			plain = true;
		else if (!strcmp(argv[i], "rdma"))
			rdma = true;
		else if (!strcmp(argv[i], "ram") && i + 1 < argc)
			size = argv[++i];
		else if (!strcmp(argv[i], "ca-cert") && i + 1 < argc)
			cert = argv[++i];
		else if (!strcmp(argv[i], "ca-key") && i + 1 < argc)
			key = argv[++i];
		else
			return usage(stderr, USAGE);
	}
	if (!size || !cert != !key)
		return usage(stderr, USAGE);
	if (hk_parse_size(size, &ram))
		return misused("\"%s\" is not a size", size);
	req = request("cluster-create");
	if (name)
		add_str(req, "name", name);
	add_int(req, "ram", ram);
	if (plain)
		json_object_object_add(req, "plain",
				       json_object_new_boolean(true));
	if (rdma)
		json_object_object_add(req, "rdma",
				       json_object_new_boolean(true));
	add_path(req, "ca-cert", cert);
	add_path(req, "ca-key", key);
	status = finish(req);
	if (rdma && status == DONE)
		fputs("links between nodes that offer RDMA will not be encrypted\n",
		      stderr);
	return status;
}

static int invite(int argc, char **argv)
{
	struct json_object *req, *reply;
	const char *name = NULL;
	uint64_t valid = 3600;
	int i;

	for (i = 0; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "for"))
			name = argv[i + 1];
		else if (strcmp(argv[i], "valid"))
			break;
		else if (hk_parse_u64(argv[i + 1], 1, 604800, &valid))
			return misused("valid must be 1 to 604800 seconds");
	}
	if (i != argc)
		return usage(stderr, USAGE);
	if (name && !hk_name_ok(name))
		return misused("\"%s\" cannot be a name", name);
	req = request("cluster-invite");
	if (name)
		add_str(req, "for", name);
	add_int(req, "valid", valid);
	if (json_output)
		return finish(req);
	reply = daemon_call(req);
	if (!reply)
		return REFUSED;
	/* The token alone, for $(hkctl cluster invite). */
	puts(get_str(reply, "token"));
	json_object_put(reply);
	return DONE;
}

static int join(int argc, char **argv)
{
	char *rest[3];

	/* ADDRESS TOKEN ram SIZE */
	if (argc != 4 || !strcmp(argv[1], "ram"))
		return usage(stderr, USAGE);
	rest[0] = argv[0];
	rest[1] = argv[2];
	rest[2] = argv[3];
	return node_join(3, rest, argv[1]);
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
		return join(argc - 1, argv + 1);
	if (!strcmp(argv[0], "invite"))
		return invite(argc - 1, argv + 1);
	if (!strcmp(argv[0], "help"))
		return usage(stdout, DONE);
	return misused("cluster: command \"%s\" is unknown, try \"hkctl cluster help\"",
		       argv[0]);
}
