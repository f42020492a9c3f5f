// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/node.c - hkctl node
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include "hkctl.h"

static int usage(FILE *f, int status)
{
	fputs("Usage: hkctl node show [ NODE ]\n"
	      "       hkctl node join ADDRESS[:PORT] ram SIZE\n"
	      "       hkctl node leave\n"
	      "       hkctl node ban NODE\n"
	      "where  NODE := name or id\n"
	      "       SIZE := bytes, or a number with K, M, G or T\n", f);
	return status;
}

static const char *wanted;
static bool found;

static void print_node(const struct hk_node_info *node, void *arg)
{
	char hex[2 * HK_CLUSTER_ID_LEN + 1];
	uint64_t id = 0;

	(void)arg;
	if (wanted && strcmp(wanted, node->name) &&
	    (hk_parse_u64(wanted, 1, HK_NODES_MAX, &id) || id != node->id))
		return;
	found = true;
	pr_object(NULL);
	pr_u64("node-id", node->id);
	pr_str("node-name", node->name);
	pr_bool("self", node->self);
	if (!node->self)
		pr_str("link-state", hk_link_state_name(node->link_state));
	pr_u64("budget-pages", node->budget_pages);
	pr_u64("used-pages", node->used_pages);
	if (node->self) {
		pr_u64("epoch", node->epoch);
		pr_u64("heartbeat-ms", node->heartbeat_ms);
		pr_u64("dead-ms", node->dead_ms);
	}
	if (node->has_cluster && node->self) {
		hk_hex(hex, node->cluster, HK_CLUSTER_ID_LEN);
		pr_str("cluster-id", hex);
	}
	if (node->reason[0])
		pr_str("reason", node->reason);
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
	r = hk_node_dump(nl, print_node, NULL);
	pr_array_end();
	if (r)
		return refused("%s", hk_nl_error(nl));
	if (wanted && !found)
		return refused("this node knows no node \"%s\"", wanted);
	return DONE;
}

/* Host names are looked up here: the daemon must not wait for a name server. */
static int numeric_address(const char *text, char *buf, size_t len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai;
	char host[256], out[INET6_ADDRSTRLEN], *colon, *port = NULL;
	int r;

	snprintf(host, sizeof(host), "%s", text);
	if (host[0] == '[')
		return snprintf(buf, len, "%s", text) < (int)len ? 0 : -1;
	colon = strchr(host, ':');
	if (colon && !strchr(colon + 1, ':')) {
		*colon = 0;
		port = colon + 1;
	}
	r = getaddrinfo(host, NULL, &hints, &ai);
	if (r) {
		refused("%s: %s", host, gai_strerror(r));
		return -1;
	}
	getnameinfo(ai->ai_addr, ai->ai_addrlen, out, sizeof(out), NULL, 0,
		    NI_NUMERICHOST);
	snprintf(buf, len, ai->ai_family == AF_INET6 ? "[%s]%s%s" : "%s%s%s",
		 out, port ? ":" : "", port ? port : "");
	freeaddrinfo(ai);
	return 0;
}

int node_join(int argc, char **argv, const char *token)
{
	struct json_object *req, *reply;
	char address[320];
	uint64_t ram;

	if (argc != 3 || strcmp(argv[1], "ram"))
		return usage(stderr, USAGE);
	if (hk_parse_size(argv[2], &ram))
		return misused("\"%s\" is not a size", argv[2]);
	if (numeric_address(argv[0], address, sizeof(address)))
		return REFUSED;
	req = request("node-join");
	add_str(req, "address", address);
	add_int(req, "ram", ram);
	if (token)
		add_str(req, "token", token);
	reply = daemon_call(req);
	if (!reply)
		return REFUSED;
	print_reply(reply);
	json_object_put(reply);
	return DONE;
}

static int ban(const char *node)
{
	struct json_object *req = request("node-ban"), *reply;

	add_str(req, "node", node);
	reply = daemon_call(req);
	if (!reply)
		return REFUSED;
	print_reply(reply);
	json_object_put(reply);
	return DONE;
}

static int leave(void)
{
	struct json_object *reply = daemon_call(request("node-leave"));

	if (!reply)
		return REFUSED;
	print_reply(reply);
	json_object_put(reply);
	return DONE;
}

int do_node(int argc, char **argv)
{
	if (!argc)
		return show(0, NULL);
	if (!strcmp(argv[0], "show"))
		return argc > 2 ? usage(stderr, USAGE) :
				  show(argc - 1, argv + 1);
	if (!strcmp(argv[0], "join"))
		return node_join(argc - 1, argv + 1, NULL);
	if (!strcmp(argv[0], "ban"))
		return argc != 2 ? usage(stderr, USAGE) : ban(argv[1]);
	if (!strcmp(argv[0], "leave"))
		return argc > 1 ? usage(stderr, USAGE) : leave();
	if (!strcmp(argv[0], "help"))
		return usage(stdout, DONE);
	return misused("node: command \"%s\" is unknown, try \"hkctl node help\"",
		       argv[0]);
}
