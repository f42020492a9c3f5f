// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/path.c - hkctl path
 */
#include <string.h>
#include "hkctl.h"

static int usage(FILE *f, int status)
{
	fputs("Usage: hkctl path show [ PEER ]\n"
	      "       hkctl path add PEER ID ADDRESS[:PORT] [ transport { tcp | rdma } ]\n"
	      "       hkctl path del PEER ID\n"
	      "where  PEER := name or id of a node\n"
	      "       ID   := number of a connection of the link to it, 0 to 3\n"
	      "       ADDRESS: another one where its hkd listens\n", f);
	return status;
}

static void print_path(const struct hk_path_info *path, void *arg)
{
	uint16_t only = *(const uint16_t *)arg;

	if (only && only != path->peer)
		return;
	pr_object(NULL);
	pr_u64("peer-id", path->peer);
	pr_str("peer-name", path->name);
	pr_u64("path-id", path->path);
	pr_str("path-state", hk_path_state_name(path->state));
	if (path->reason[0])
		pr_str("reason", path->reason);
	if (path->transport[0])
		pr_str("transport", path->transport);
	if (path->local[0])
		pr_str("local-address", path->local);
	if (path->remote[0])
		pr_str("peer-address", path->remote);
	if (path->rtt_ns)
		pr_u64("rtt-ns", path->rtt_ns);
	pr_u64("tx-bytes", path->tx_bytes);
	pr_u64("rx-bytes", path->rx_bytes);
	pr_u64("retransmits", path->retransmits);
	pr_u64("duplicates", path->duplicates);
	pr_u64("failovers", path->failovers);
	pr_object_end();
}

static int show(const char *peer)
{
	struct hk_nl *nl = kernel();
	uint16_t only = 0;
	int r;

	if (!nl)
		return REFUSED;
	if (peer && hk_node_find(nl, peer, &only))
		return refused("%s", hk_nl_error(nl));
	pr_array(NULL);
	r = hk_path_dump(nl, print_path, &only);
	pr_array_end();
	return r ? refused("%s", hk_nl_error(nl)) : DONE;
}

/* hkd does it, which makes the path again when it went down by itself */
static int ask(const char *cmd, const char *peer, const char *text, const char *address,
	       const char *transport)
{
	struct json_object *req, *reply;
	uint64_t path;

	if (hk_parse_u64(text, 0, HK_PATHS_MAX - 1, &path))
		return misused("the number of a path is 0 to %u", HK_PATHS_MAX - 1);
	req = request(cmd);
	add_str(req, "peer", peer);
	add_int(req, "path", path);
	if (address)
		add_str(req, "address", address);
	if (transport)
		add_str(req, "transport", transport);
	reply = daemon_call(req);
	if (!reply)
		return REFUSED;
	json_object_put(reply);
	return DONE;
}

int do_path(int argc, char **argv)
{
	if (!argc)
		return show(NULL);
	if (!strcmp(argv[0], "show"))
		return argc > 2 ? usage(stderr, USAGE) : show(argv[1]);
	if (!strcmp(argv[0], "del"))
		return argc != 3 ? usage(stderr, USAGE) :
			ask("path-del", argv[1], argv[2], NULL, NULL);
	if (!strcmp(argv[0], "add")) {
		if (argc != 4 && (argc != 6 || strcmp(argv[4], "transport")))
			return usage(stderr, USAGE);
		return ask("path-add", argv[1], argv[2], argv[3],
			   argc == 6 ? argv[5] : NULL);
	}
	if (!strcmp(argv[0], "help"))
		return usage(stdout, DONE);
	return misused("path: command \"%s\" is unknown, try \"hkctl path help\"",
		       argv[0]);
}
