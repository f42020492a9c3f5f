// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/link.c - hkctl link
 */
#include <stdlib.h>
#include <string.h>
#include "hkctl.h"

#define ECHO_MAX	4096

static int usage(FILE *f, int status)
{
	fputs("Usage: hkctl link show [ -s[tatistics] ]\n"
	      "       hkctl link echo PEER [ count N ] [ len BYTES ] [ page ]\n"
	      "       hkctl link renew PEER\n"
	      "where  PEER := name or id of a node\n"
	      "       page: the answer carries a page of 4 KiB\n", f);
	return status;
}

static void print_detail(const struct hk_link_info *link)
{
	unsigned int i;

	for (i = 1; i <= HK_LINK_STAT_MAX; i++)
		if (link->has[i] && hk_link_stat_name(i))
			pr_u64(hk_link_stat_name(i), link->value[i]);
	if (!link->types)
		return;
	pr_array("messages");
	for (i = 0; i < link->types; i++) {
		pr_object(NULL);
		pr_str("type", link->type[i].name);
		pr_u64("tx", link->type[i].tx);
		pr_u64("rx", link->type[i].rx);
		pr_object_end();
	}
	pr_array_end();
}

static void print_link(const struct hk_link_info *link, void *arg)
{
	pr_object(NULL);
	pr_u64("peer-id", link->peer);
	pr_str("peer-name", link->name);
	pr_str("link-state", hk_link_state_name(link->state));
	if (link->transport[0])
		pr_str("transport", link->transport);
	if (link->encryption[0])
		pr_str("encryption", link->encryption);
	if (link->reason[0])
		pr_str("reason", link->reason);
	pr_u64("rtt-ns", link->rtt_ns);
	pr_u64("tx-msgs", link->tx_msgs);
	pr_u64("tx-bytes", link->tx_bytes);
	pr_u64("rx-msgs", link->rx_msgs);
	pr_u64("rx-bytes", link->rx_bytes);
	pr_u64("rx-stale", link->rx_stale);
	pr_u64("renewals", link->renewals);
	if (link->has_tsc) {
		pr_s64("tsc-offset", link->tsc_offset);
		pr_u64("tsc-error", link->tsc_error);
	}
	if (*(bool *)arg)
		print_detail(link);
	pr_object_end();
}

static int show(bool detail)
{
	struct hk_nl *nl = kernel();
	int r;

	if (!nl)
		return REFUSED;
	pr_array(NULL);
	r = hk_link_dump(nl, print_link, &detail);
	pr_array_end();
	return r ? refused("%s", hk_nl_error(nl)) : DONE;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(uint16_t peer, uint64_t *raw, uint32_t n, uint64_t len,
			bool page)
{
	uint64_t *sorted = malloc(n * sizeof(*sorted));
	uint32_t i;

	if (!sorted)
		return;
	memcpy(sorted, raw, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	pr_object(NULL);
	pr_u64("peer-id", peer);
	pr_u64("count", n);
	pr_u64("len", len);
	pr_bool("reply-page", page);
	pr_u64("min-ns", sorted[0]);
	pr_u64("median-ns", sorted[n / 2]);
	pr_u64("max-ns", sorted[n - 1]);
	if (json_output) {
		pr_array("times-ns");
		for (i = 0; i < n; i++)
			pr_u64(NULL, raw[i]);
		pr_array_end();
	}
	pr_object_end();
	free(sorted);
}

static int echo(int argc, char **argv)
{
	uint64_t count = 100, len = 64, times[ECHO_MAX];
	struct hk_nl *nl;
	bool page = false;
	uint16_t peer;
	uint32_t n;
	int i;

	if (!argc)
		return usage(stderr, USAGE);
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "page")) {
			page = true;
		} else if (!strcmp(argv[i], "count") && i + 1 < argc) {
			if (hk_parse_u64(argv[++i], 1, ECHO_MAX, &count))
				return misused("count must be 1 to %u", ECHO_MAX);
		} else if (!strcmp(argv[i], "len") && i + 1 < argc) {
			if (hk_parse_u64(argv[++i], 16, 32768, &len))
				return misused("len must be 16 to 32768 bytes");
		} else {
			return usage(stderr, USAGE);
		}
	}
	nl = kernel();
	if (!nl)
		return REFUSED;
	if (hk_node_find(nl, argv[0], &peer))
		return refused("%s", hk_nl_error(nl));
	n = (uint32_t)count;
	if (hk_link_echo(nl, peer, &n, (uint32_t)len, page, times))
		return refused("%s", hk_nl_error(nl));
	print_times(peer, times, n, len, page);
	return DONE;
}

static int renew(const char *peer)
{
	struct json_object *req = request("link-renew"), *reply;

	add_str(req, "peer", peer);
	reply = daemon_call(req);
	if (!reply)
		return REFUSED;
	print_reply(reply);
	json_object_put(reply);
	return DONE;
}

int do_link(int argc, char **argv)
{
	if (!argc || (!strcmp(argv[0], "show") && argc == 1))
		return show(false);
	/* as ip(8) has it: any beginning of the word */
	if (!strcmp(argv[0], "show"))
		return argc == 2 && strlen(argv[1]) > 1 &&
		       !strncmp(argv[1], "-statistics", strlen(argv[1])) ?
			show(true) : usage(stderr, USAGE);
	if (!strcmp(argv[0], "echo"))
		return echo(argc - 1, argv + 1);
	if (!strcmp(argv[0], "renew"))
		return argc != 2 ? usage(stderr, USAGE) : renew(argv[1]);
	if (!strcmp(argv[0], "help"))
		return usage(stdout, DONE);
	return misused("link: command \"%s\" is unknown, try \"hkctl link help\"",
		       argv[0]);
}
