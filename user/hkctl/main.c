// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/main.c - options, then an object, then what to do with it
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "hkctl.h"

const char *daemon_socket;
static struct hk_nl *nl;

static void usage(FILE *f)
{
	fputs("Usage: hkctl [ OPTIONS ] OBJECT { COMMAND | help }\n"
	      "       hkctl [ OPTIONS ] { monitor | doctor | help }\n"
	      "where  OBJECT := { cluster | node | link | path | vm | vcpu | stats }\n"
	      "       OPTIONS := { -j[son] | -p[retty] | -s[ocket] PATH | -V[ersion] }\n",
	      f);
}

static int message(int status, const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs("hkctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	return status;
}

int refused(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(REFUSED, fmt, ap);
	va_end(ap);
	return REFUSED;
}

int misused(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(USAGE, fmt, ap);
	va_end(ap);
	return USAGE;
}

struct hk_nl *kernel(void)
{
	if (nl)
		return nl;
	if (hk_nl_open(&nl)) {
		refused("%s", hk_nl_error(NULL));
		return NULL;
	}
	if (hk_nl_version(nl) != HK_GENL_VERSION)
		fprintf(stderr,
			"hkctl: warning: the module has netlink version %d, this program is for %d\n",
			hk_nl_version(nl), HK_GENL_VERSION);
	return nl;
}

static int do_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	usage(stdout);
	return DONE;
}

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
} objects[] = {
	{ "cluster",	do_cluster },
	{ "node",	do_node },
	{ "link",	do_link },
	{ "path",	do_path },
	{ "vm",		do_vm },
	{ "vcpu",	do_vcpu },
	{ "stats",	do_stats },
	{ "monitor",	do_monitor },
	{ "doctor",	do_doctor },
	{ "help",	do_help },
};

static const struct option options[] = {
	{ "json",	no_argument, NULL, 'j' },
	{ "pretty",	no_argument, NULL, 'p' },
	{ "socket",	required_argument, NULL, 's' },
	{ "version",	no_argument, NULL, 'V' },
	{ "Version",	no_argument, NULL, 'V' },
	{ "help",	no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

int main(int argc, char **argv)
{
	unsigned int i;
	int c, r;

	daemon_socket = getenv("HKD_SOCKET");
	if (!daemon_socket || !daemon_socket[0])
		daemon_socket = HK_DEFAULT_SOCKET;
	/* '+': what follows the object is its own */
	while ((c = getopt_long_only(argc, argv, "+jps:Vh", options,
				     NULL)) != -1) {
		switch (c) {
		case 'j':
			json_output = true;
			break;
		case 'p':
			json_pretty = true;
			break;
		case 's':
			daemon_socket = optarg;
			break;
		case 'V':
			puts("hkctl " HK_VERSION);
			return DONE;
		case 'h':
			usage(stdout);
			return DONE;
		default:
			usage(stderr);
			return USAGE;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return USAGE;
	}
	for (i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		if (strcmp(objects[i].name, argv[optind]))
			continue;
		r = objects[i].fn(argc - optind - 1, argv + optind + 1);
		hk_nl_close(nl);
		if (fflush(stdout) || ferror(stdout))
			return REFUSED;
		return r;
	}
	return misused("object \"%s\" is unknown, try \"hkctl help\"",
		       argv[optind]);
}
