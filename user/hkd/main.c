// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/main.c - the daemon: options, sockets, events of the module
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <unistd.h>
#include "hkd.h"
#include "state.h"
#include "vm.h"

static struct hk_events *events;

static void usage(FILE *f)
{
	fputs("usage: hkd [ OPTIONS ]\n"
	      "  --listen ADDR[:PORT]  where other nodes connect (any address, port 7117); again,\n"
	      "                        up to 4 in all: another network, for another path\n"
	      "  --socket PATH         where hkctl connects (" HK_DEFAULT_SOCKET ")\n"
	      "  --name NAME           of this node (the host's name)\n"
	      "  --state-dir DIR       keys, certificates, bans (" STATE_DEFAULT_DIR ")\n"
	      "  --renew-mib N         new keys for a link after so much, 1 to 262144 (65536)\n"
	      "  --qemu PATH           VMM to run (qemu-system-x86_64)\n"
	      "  --heartbeat-ms N      of the links, 10 to 10000; set by the first node\n"
	      "  --dead-ms N           silence that means death, 100 to 60000; likewise\n"
	      "  --rdma                offer RDMA for links, by the device at the address of --listen\n"
	      "  --rdma-paths          and for further paths, by the devices at the further ones\n"
	      "  --log FILE            instead of standard error\n"
	      "  --background          return when ready to serve, run on in the background\n"
	      "  --help, --version\n", f);
}

enum { OPT_LISTEN = 256, OPT_SOCKET, OPT_NAME, OPT_STATE, OPT_RENEW, OPT_QEMU,
	OPT_BACKGROUND, OPT_HEARTBEAT, OPT_DEAD, OPT_LOG, OPT_REPLICA, OPT_RDMA,
	OPT_RDMA_PATHS, OPT_HELP, OPT_VERSION };

static const struct option options[] = {
	{ "listen",		required_argument, NULL, OPT_LISTEN },
	{ "socket",		required_argument, NULL, OPT_SOCKET },
	{ "name",		required_argument, NULL, OPT_NAME },
	{ "state-dir",		required_argument, NULL, OPT_STATE },
	{ "renew-mib",		required_argument, NULL, OPT_RENEW },
	{ "qemu",		required_argument, NULL, OPT_QEMU },
	{ "heartbeat-ms",	required_argument, NULL, OPT_HEARTBEAT },
	{ "dead-ms",		required_argument, NULL, OPT_DEAD },
	{ "rdma",		no_argument, NULL, OPT_RDMA },
	{ "rdma-paths",		no_argument, NULL, OPT_RDMA_PATHS },
	{ "log",		required_argument, NULL, OPT_LOG },
	{ "background",		no_argument, NULL, OPT_BACKGROUND },
	{ "replica",		required_argument, NULL, OPT_REPLICA },
	{ "help",		no_argument, NULL, OPT_HELP },
	{ "version",		no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 }
};

static void __attribute__((format(printf, 1, 2), noreturn))
bad_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("hkd: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static uint32_t number(const char *opt, const char *text, uint64_t min,
		       uint64_t max)
{
	uint64_t val;

	if (hk_parse_u64(text, min, max, &val))
		bad_usage("--%s: \"%s\" is not a number from %llu to %llu", opt,
			  text, (unsigned long long)min,
			  (unsigned long long)max);
	return (uint32_t)val;
}

static void default_name(void)
{
	char host[256] = "";
	char *dot;

	gethostname(host, sizeof(host) - 1);
	dot = strchr(host, '.');
	if (dot)
		*dot = 0;
	if (!hk_name_ok(host))
		bad_usage("the host's name \"%s\" does not serve as a node's name: give --name",
			  host);
	snprintf(hkd.name, sizeof(hkd.name), "%.31s", host);
}

static bool background;
/* what the parent waits for; -1 in the foreground */
static int ready_fd = -1;

/*
 * The parent ends when the child says that it serves, with 0, or when it is gone,
 * with 1: so a script needs no polling.
 */
static int go_background(char *err)
{
	int pipe_fd[2];
	char byte;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return fail(err, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return fail(err, "fork: %s", strerror(errno));
	if (pid) {
		close(pipe_fd[1]);
		_exit(read(pipe_fd[0], &byte, 1) == 1 ? 0 : 1);
	}
	close(pipe_fd[0]);
	ready_fd = pipe_fd[1];
	setsid();
	return 0;
}

static void say_ready(void)
{
	int null;

	if (ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		/* standard error is the log, unless there is a better one */
		if (log_has_file())
			dup2(null, 2);
		close(null);
	}
	if (write(ready_fd, "", 1) != 1)
		log_error("whoever started hkd is gone");
	close(ready_fd);
	ready_fd = -1;
}

static void parse_options(int argc, char **argv)
{
	const char *slash;
	int c;

	hkd.socket_path = HK_DEFAULT_SOCKET;
	hkd.qemu = "qemu-system-x86_64";
	hkd.port = HK_DEFAULT_PORT;
	hkd.renew_bytes = 65536ULL << 20;
	while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (c) {
		case OPT_LISTEN:
			if (hkd.nr_listen == HK_PATHS_MAX)
				bad_usage("--listen: %u addresses at most",
					  HK_PATHS_MAX);
			hkd.listen[hkd.nr_listen++] = optarg;
			break;
		case OPT_SOCKET:
			hkd.socket_path = optarg;
			break;
		case OPT_NAME:
			if (!hk_name_ok(optarg))
				bad_usage("--name: 1 to %u letters, digits, '-', '_', '.', and not a number",
					  HK_NAME_MAX - 1);
			snprintf(hkd.name, sizeof(hkd.name), "%.31s", optarg);
			break;
		case OPT_STATE:
			state_use(optarg);
			break;
		case OPT_RENEW:
			hkd.renew_bytes = (uint64_t)number("renew-mib", optarg,
						1, 262144) << 20;
			break;
		case OPT_QEMU:
			hkd.qemu = optarg;
			break;
		case OPT_HEARTBEAT:
			hkd.heartbeat_ms = number("heartbeat-ms", optarg, 10,
						  10000);
			break;
		case OPT_DEAD:
			hkd.dead_ms = number("dead-ms", optarg, 100, 60000);
			break;
		case OPT_LOG:
			c = log_open(optarg);
			if (c)
				bad_usage("--log %s: %s", optarg, strerror(-c));
			break;
		case OPT_RDMA:
			hkd.rdma = true;
			break;
		case OPT_RDMA_PATHS:
			hkd.rdma = true;
			hkd.rdma_paths = true;
			break;
		case OPT_BACKGROUND:
			background = true;
			break;
		case OPT_REPLICA:
			exit(replica_main(optarg));
		case OPT_HELP:
		case 'h':
			usage(stdout);
			exit(0);
		case OPT_VERSION:
		case 'V':
			puts("hkd " HK_VERSION);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc)
		bad_usage("\"%s\" is not an option", argv[optind]);
	if (!hkd.name[0])
		default_name();
	slash = strrchr(hkd.socket_path, '/');
	if (!slash)
		snprintf(hkd.run_dir, sizeof(hkd.run_dir), ".");
	else
		snprintf(hkd.run_dir, sizeof(hkd.run_dir), "%.*s",
			 slash == hkd.socket_path ? 1 :
			 (int)(slash - hkd.socket_path), hkd.socket_path);
}

static bool is_any(const struct sockaddr_storage *sa)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;

	if (sa->ss_family == AF_INET)
		return in->sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

/* at the @nr-th --listen; the first one without any is for all addresses */
static int tcp_listen(unsigned int nr, char *err)
{
	const char *where = hkd.nr_listen ? hkd.listen[nr] : "[::]";
	struct sockaddr_storage sa;
	int fd, on = 1, off = 0;
	socklen_t len;

	if (address_parse(where, &sa, err))
		return -1;
	if (hkd.nr_listen > 1 && is_any(&sa))
		return fail(err, "--listen %s: with several, each must be an address of this host",
			    where);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 && !hkd.nr_listen && errno == EAFNOSUPPORT) {
		if (address_parse("0.0.0.0", &sa, err))
			return -1;
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			    0);
	}
	if (fd < 0)
		return fail(err, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	len = sa.ss_family == AF_INET ? sizeof(struct sockaddr_in) :
					sizeof(struct sockaddr_in6);
	if (bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 64)) {
		fail(err, "--listen %s: %s", where, strerror(errno));
		close(fd);
		return -1;
	}
	if (nr) {
		address_print(&sa, hkd.also[nr], sizeof(hkd.also[nr]));
		return fd;
	}
	hkd.port = ntohs(sa.ss_family == AF_INET ?
			 ((struct sockaddr_in *)&sa)->sin_port :
			 ((struct sockaddr_in6 *)&sa)->sin6_port);
	if (!is_any(&sa))
		address_print(&sa, hkd.address, sizeof(hkd.address));
	return fd;
}

struct listener {
	int fd;
	void (*fn)(void *arg);
};

static void accept_all(void *arg)
{
	struct listener *l = arg;
	int fd;

	for (;;) {
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			if (task_spawn(l->fn, (void *)(intptr_t)fd))
				close(fd);
			continue;
		}
		if (errno == EAGAIN)
			task_poll(l->fd, EPOLLIN, FOREVER);
		else if (errno != EINTR && errno != ECONNABORTED)
			task_sleep(100);	/* out of files, say */
	}
}

static void on_event(const struct hk_event *event, void *arg)
{
	char why[HK_REASON_LEN + 16];

	(void)arg;
	if (event->kind == HK_CMD_VM_NTF) {
		vm_event(&event->vm);
	} else if (event->kind == HK_CMD_LINK_NTF &&
		   event->link.state == HK_LINK_DOWN && event->link.peer &&
		   event->link.peer < HK_NODES_MAX &&
		   hkd.member[event->link.peer].link) {
		snprintf(why, sizeof(why), "link: %s",
			 event->link.reason[0] ? event->link.reason : "down");
		member_down(event->link.peer, why);
	}
	task_changed();
}

static void resync_link(const struct hk_link_info *link, void *arg)
{
	struct hk_event event = { .kind = HK_CMD_LINK_NTF, .link = *link };

	on_event(&event, arg);
}

static void read_events(void *arg)
{
	int r;

	(void)arg;
	for (;;) {
		r = task_poll(hk_events_fd(events), EPOLLIN, FOREVER);
		if (r < 0) {
			task_sleep(100);
			continue;
		}
		r = hk_events_read(events);
		if (r == -ENOBUFS) {
			log_info("events of the module were lost: looking anew");
			vm_resync();
			hk_link_dump(hkd.nl, resync_link, NULL);
		} else if (r) {
			task_sleep(100);
		}
	}
}

static void wait_signal(void *arg)
{
	struct signalfd_siginfo si;
	int fd = (int)(intptr_t)arg;
	char err[HK_ERR_LEN];

	while (task_poll(fd, EPOLLIN, FOREVER) < 0 ||
	       read(fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		;
	log_info("signal %u (%s): ending", si.ssi_signo,
		 strsignal((int)si.ssi_signo));
	vm_shutdown();
	if (hkd.self && cluster_forget(err))
		log_error("%s", err);
	unlink(hkd.socket_path);
	loop_stop();
}

static int start_signals(char *err)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0 || task_spawn(wait_signal, (void *)(intptr_t)fd))
		return fail(err, "signalfd: %s", strerror(errno));
	return 0;
}

static int start_module(char *err)
{
	struct hk_node_info node;

	if (hk_nl_open(&hkd.nl) || hk_events_open(&events, on_event, NULL))
		return fail(err, "%s", hk_nl_error(NULL));
	if (hk_nl_version(hkd.nl) != HK_GENL_VERSION)
		return fail(err, "the loaded module has netlink version %d, this program needs %d",
			    hk_nl_version(hkd.nl), HK_GENL_VERSION);
	hk_events_nonblock(events);
	snprintf(release.program, sizeof(release.program), "%s", HK_VERSION);
	if (hk_node_self(hkd.nl, &node))
		return fail(err, "%s", hk_nl_error(hkd.nl));
	snprintf(release.module, sizeof(release.module), "%s", node.module);
	release.wire = node.wire;
	release.features = node.features;
	if (node.id) {
		log_info("the module still is node %u (%s), of an earlier daemon: resetting it",
			 node.id, node.name);
		if (hk_node_reset(hkd.nl))
			return fail(err, "the module still is node %u (%s), of an earlier daemon, and cannot be reset: %s",
				    node.id, node.name, hk_nl_error(hkd.nl));
	}
	return 0;
}

static int start_listeners(char *err)
{
	static struct listener tcp[HK_PATHS_MAX];
	unsigned int i = 0;

	do {
		tcp[i].fd = tcp_listen(i, err);
		tcp[i].fn = peer_incoming;
		if (tcp[i].fd < 0)
			return -1;
		if (task_spawn(accept_all, &tcp[i]))
			return fail(err, "out of memory");
	} while (++i < hkd.nr_listen);
	return 0;
}

int main(int argc, char **argv)
{
	static struct listener ctl;
	char err[HK_ERR_LEN] = "";

	parse_options(argc, argv);
	if (background && go_background(err)) {
		log_error("%s", err);
		return 1;
	}
	if (loop_init() || start_signals(err)) {
		log_error("%s", err);
		return 1;
	}
	if (mkdir(hkd.run_dir, 0755) && errno != EEXIST) {
		log_error("%s: %s", hkd.run_dir, strerror(errno));
		return 1;
	}
	/* First the socket: it tells a second daemon from the first. */
	ctl.fd = control_listen(hkd.socket_path, err);
	ctl.fn = control_accept;
	if (ctl.fd < 0)
		goto err_out;
	if (start_listeners(err) || start_module(err) ||
	    net_open(err) || trust_load(err))
		goto err_socket;
	if (task_spawn(accept_all, &ctl) ||
	    task_spawn(read_events, NULL) || task_spawn(renew_watch, NULL) ||
	    task_spawn(path_watch, NULL) || task_spawn(net_watch, NULL)) {
		fail(err, "out of memory");
		goto err_socket;
	}
	log_info("node %s listens on %s port %u, hkctl on %s", hkd.name,
		 hkd.nr_listen ? hkd.listen[0] : "any address", hkd.port,
		 hkd.socket_path);
	say_ready();
	loop_run();
	return 0;

err_socket:
	unlink(hkd.socket_path);
err_out:
	log_error("%s", err);
	return 1;
}
