// SPDX-License-Identifier: GPL-2.0
/*
 * selftests/user/fakehk.c - stands in for libhk's netlink half, so that the
 * daemons' talk with each other can be tried without the module
 *
 * Holds the node, links and VMs in memory. A link is up while its socket is. The reason
 * of its end is what is said on it, $FAKEHK_BYE_MS later than the daemon is told. A VM
 * named "refused-on-N" is refused by node N. The RAM device of all is the file
 * $FAKEHK_DEVICE. $FAKEHK_WIRE and $FAKEHK_FEATURES are those of the module.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../user/hkd/log.h"
#include "hk.h"

struct hk_nl {
	char err[HK_ERR_LEN];
};

struct hk_events {
	int fd;
	hk_event_fn fn;
	void *arg;
};

static struct hk_nl the_nl;
static struct hk_events the_events;
static struct hk_node_cfg self;
static char self_name[HK_NAME_MAX];
static int link_fd[HK_NODES_MAX];
static uint32_t link_renewals[HK_NODES_MAX];
/* 0: there is none; that of the link itself is not here */
static int path_fd[HK_NODES_MAX][HK_PATHS_MAX];
/* in the place of addresses */
static unsigned int path_serial[HK_NODES_MAX][HK_PATHS_MAX];
static char link_name[HK_NODES_MAX][HK_NAME_MAX];
static struct hk_vm_info vms[16];

static int refuse(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(the_nl.err, sizeof(the_nl.err), fmt, ap);
	va_end(ap);
	return err;
}

int hk_nl_open(struct hk_nl **nl)
{
	*nl = &the_nl;
	return 0;
}

const char *hk_nl_error(const struct hk_nl *nl)
{
	(void)nl;
	return the_nl.err;
}

int hk_nl_version(const struct hk_nl *nl)
{
	(void)nl;
	return HK_GENL_VERSION;
}

int hk_node_self(struct hk_nl *nl, struct hk_node_info *node)
{
	(void)nl;
	memset(node, 0, sizeof(*node));
	node->id = self.id;
	node->self = true;
	strcpy(node->name, self_name);
	node->budget_pages = self.budget_pages;
	strcpy(node->module, "test");
	node->wire = getenv("FAKEHK_WIRE") ?
		(uint32_t)atoi(getenv("FAKEHK_WIRE")) : 1;
	node->features = getenv("FAKEHK_FEATURES") ?
		(uint32_t)atoi(getenv("FAKEHK_FEATURES")) : 0;
	return 0;
}

int hk_node_set(struct hk_nl *nl, const struct hk_node_cfg *cfg)
{
	(void)nl;
	if (self.id)
		return refuse(-EBUSY, "the node has an identity");
	self = *cfg;
	snprintf(self_name, sizeof(self_name), "%s", cfg->name);
	return 0;
}

/* What is heard on it is an event */
static void link_listen(uint16_t peer)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = peer };

	epoll_ctl(the_events.fd, EPOLL_CTL_ADD, link_fd[peer], &ev);
}

struct bye {
	int fd;
	unsigned int ms;
	char reason[HK_REASON_LEN];
};

static void *say_bye(void *arg)
{
	struct bye *bye = arg;

	usleep(bye->ms * 1000);
	send(bye->fd, bye->reason, strlen(bye->reason), MSG_NOSIGNAL);
	close(bye->fd);
	free(bye);
	return NULL;
}

static void link_bye(int fd, const char *reason)
{
	const char *ms = getenv("FAKEHK_BYE_MS");
	struct bye *bye = calloc(1, sizeof(*bye));
	pthread_t thread;

	if (!bye)
		abort();
	bye->fd = fd;
	snprintf(bye->reason, sizeof(bye->reason), "%s", reason);
	if (!ms) {
		say_bye(bye);
		return;
	}
	bye->ms = (unsigned int)atoi(ms);
	if (pthread_create(&thread, NULL, say_bye, bye))
		abort();
	pthread_detach(thread);
}

int hk_link_del(struct hk_nl *nl, uint16_t peer, const char *reason)
{
	(void)nl;
	if (!link_fd[peer])
		return refuse(-ENOENT, "no link to node %u", peer);
	epoll_ctl(the_events.fd, EPOLL_CTL_DEL, link_fd[peer], NULL);
	link_bye(link_fd[peer], reason);
	link_fd[peer] = 0;
	for (unsigned int i = 0; i < HK_PATHS_MAX; i++) {
		if (path_fd[peer][i])
			close(path_fd[peer][i]);
		path_fd[peer][i] = 0;
	}
	return 0;
}

int hk_node_reset(struct hk_nl *nl)
{
	uint16_t i;

	for (i = 0; i < 16; i++)
		if (vms[i].id)
			return refuse(-EBUSY, "VM %s is there", vms[i].name);
	for (i = 1; i < HK_NODES_MAX; i++)
		if (link_fd[i])
			hk_link_del(nl, i, "reset");
	memset(&self, 0, sizeof(self));
	return 0;
}

int hk_link_dump(struct hk_nl *nl, hk_link_fn fn, void *arg)
{
	struct hk_link_info link;
	uint16_t i;
	char c;

	(void)nl;
	for (i = 1; i < HK_NODES_MAX; i++) {
		if (!link_fd[i])
			continue;
		memset(&link, 0, sizeof(link));
		link.peer = i;
		link.renewals = link_renewals[i];
		link.state = recv(link_fd[i], &c, 1, MSG_PEEK | MSG_DONTWAIT) ?
			HK_LINK_UP : HK_LINK_DOWN;
		fn(&link, arg);
	}
	return 0;
}

int hk_link_add(struct hk_nl *nl, uint16_t peer, const char *name, int fd,
		const char *transport)
{
	(void)nl;
	if (link_fd[peer])
		return refuse(-EEXIST, "there is a link to node %u", peer);
	/* for cluster.sh */
	log_info("link to %s over %s", name, transport);
	link_fd[peer] = dup(fd);
	link_listen(peer);
	snprintf(link_name[peer], HK_NAME_MAX, "%s", name);
	return 0;
}

int hk_link_renew(struct hk_nl *nl, uint16_t peer, int fd)
{
	(void)nl;
	if (!link_fd[peer])
		return refuse(-ENOENT, "no link to node %u", peer);
	close(link_fd[peer]);
	link_fd[peer] = dup(fd);
	link_listen(peer);
	link_renewals[peer]++;
	return 0;
}

/* A path, too, is up while its socket is */
static uint8_t path_state(uint16_t peer, uint8_t path)
{
	int fd = path ? path_fd[peer][path] : link_fd[peer];
	char c;

	if (!fd)
		return HK_PATH_NONE;
	if (!recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT))
		return HK_PATH_DOWN;
	return path ? HK_PATH_STANDBY : HK_PATH_ACTIVE;
}

int hk_path_dump(struct hk_nl *nl, hk_path_fn fn, void *arg)
{
	struct hk_path_info path;
	uint16_t i;

	(void)nl;
	for (i = 1; i < HK_NODES_MAX; i++) {
		memset(&path, 0, sizeof(path));
		path.peer = i;
		for (path.path = 0; path.path < HK_PATHS_MAX; path.path++) {
			path.state = path_state(i, path.path);
			snprintf(path.local, sizeof(path.local), "connection %u",
				 path_serial[i][path.path]);
			if (path.state != HK_PATH_NONE)
				fn(&path, arg);
		}
	}
	return 0;
}

int hk_path_add(struct hk_nl *nl, uint16_t peer, uint8_t path, int fd,
		const char *transport)
{
	int *where = path ? &path_fd[peer][path] : &link_fd[peer];

	(void)nl;
	if (!link_fd[peer])
		return refuse(-ENOENT, "no link to node %u", peer);
	if (*where)
		close(*where);
	*where = dup(fd);
	if (!path)
		link_listen(peer);
	path_serial[peer][path]++;
	/* for cluster.sh */
	log_info("path %u to %s over %s", path, link_name[peer], transport);
	return 0;
}

int hk_path_del(struct hk_nl *nl, uint16_t peer, uint8_t path)
{
	(void)nl;
	if (!path || !path_fd[peer][path])
		return refuse(-ENOENT, "the link to node %u has no path %u", peer, path);
	close(path_fd[peer][path]);
	path_fd[peer][path] = 0;
	return 0;
}

int hk_vm_dump(struct hk_nl *nl, hk_vm_fn fn, void *arg)
{
	unsigned int i;

	(void)nl;
	for (i = 0; i < 16; i++)
		if (vms[i].id)
			fn(&vms[i], arg);
	return 0;
}

static struct hk_vm_info *find(uint32_t id)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		if (vms[i].id == id)
			return &vms[i];
	return NULL;
}

int hk_vm_get(struct hk_nl *nl, uint32_t id, struct hk_vm_info *vm)
{
	struct hk_vm_info *have = id ? find(id) : NULL;

	(void)nl;
	if (!have)
		return refuse(-ENOENT, "no VM %u", id);
	*vm = *have;
	return 0;
}

int hk_vm_add(struct hk_nl *nl, const struct hk_vm_info *vm)
{
	struct hk_vm_info *room = find(0);
	char bad[32];

	(void)nl;
	snprintf(bad, sizeof(bad), "refused-on-%u", self.id);
	if (!strcmp(vm->name, bad) || !room)
		return refuse(-EINVAL, "no room for this VM");
	*room = *vm;
	snprintf(room->device, sizeof(room->device),
		 getenv("FAKEHK_DEVICE") ? getenv("FAKEHK_DEVICE") :
		 "/nonexistent/device");
	return 0;
}

int hk_vm_del(struct hk_nl *nl, uint32_t id)
{
	struct hk_vm_info *have = find(id);

	(void)nl;
	if (!have)
		return refuse(-ENOENT, "no VM %u", id);
	memset(have, 0, sizeof(*have));
	return 0;
}

int hk_vm_kill(struct hk_nl *nl, uint32_t id, const char *reason)
{
	struct hk_vm_info *have = find(id);

	(void)nl;
	if (!have)
		return refuse(-ENOENT, "no VM %u", id);
	if (have->state == HK_VM_DEAD)
		return 0;
	have->state = HK_VM_DEAD;
	snprintf(have->reason, sizeof(have->reason), "%s", reason);
	return 0;
}

const char *hk_vm_state_name(uint8_t state)
{
	return state == HK_VM_DEAD ? "dead" : state ? "running" : "created";
}

int hk_events_open(struct hk_events **ev, hk_event_fn fn, void *arg)
{
	the_events.fd = epoll_create1(EPOLL_CLOEXEC);
	the_events.fn = fn;
	the_events.arg = arg;
	*ev = &the_events;
	return 0;
}

int hk_events_fd(const struct hk_events *ev)
{
	return ev->fd;
}

/* A link whose other end says why it goes; one that just breaks is seen by the dumps alone */
int hk_events_read(struct hk_events *ev)
{
	struct hk_event event = { .kind = HK_CMD_LINK_NTF };
	char text[HK_REASON_LEN - 32];
	struct epoll_event got;
	ssize_t n;

	while (epoll_wait(ev->fd, &got, 1, 0) == 1) {
		event.link.peer = (uint16_t)got.data.u32;
		event.link.state = HK_LINK_DOWN;
		n = recv(link_fd[event.link.peer], text, sizeof(text) - 1, MSG_DONTWAIT);
		epoll_ctl(ev->fd, EPOLL_CTL_DEL, link_fd[event.link.peer], NULL);
		if (n <= 0)
			continue;
		text[n] = 0;
		snprintf(event.link.reason, sizeof(event.link.reason), "node %u left: %s",
			 event.link.peer, text);
		ev->fn(&event, ev->arg);
	}
	return 0;
}

int hk_events_nonblock(struct hk_events *ev)
{
	(void)ev;
	return 0;
}
