// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/path.c - further connections of links
 *
 * Nodes that listen at several addresses get a path between each two of the same number,
 * made by the one that joins. Or the administrator says by which other address a member
 * can be reached. The node that is told so makes the connection, "path-N", and both ends
 * give it to their modules (fabric/link_path.c). From then on that node sees to all paths
 * of the link: one that goes down is made again, at first each second, then less often, and at
 * once when a network of either host has come back.
 *
 * The daemons' own connection has no second path. When it breaks, and the link has
 * several, the node is not down for that: the same daemon connects anew by any of the
 * addresses, the other one waits for it, for CONTROL_MS. A daemon that ended has closed
 * its connection, which is another matter.
 *
 * New keys for a link with several paths: each path gets a new connection, one after the
 * other. The former one carries until both modules would use the new one, so it does not
 * matter whether another path is any good; one that was cut a moment ago looks well. The
 * node that makes the paths does it, when one has carried as much as renew.c says, or when
 * it is asked to.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hkd.h"
#include "trust.h"

#define WATCH_MS	1000
#define AGAIN_MAX_MS	32000
#define CONTROL_MS	30000

struct look {
	uint16_t peer;
	unsigned int nr;
	uint8_t state[HK_PATHS_MAX];
	uint64_t bytes[HK_PATHS_MAX];
	/* which connection: others have other ports */
	char local[HK_PATHS_MAX][HK_ENDPOINT_LEN];
	char remote[HK_PATHS_MAX][HK_ENDPOINT_LEN];
};

static void look_at(const struct hk_path_info *path, void *arg)
{
	struct look *look = arg;

	if (path->peer != look->peer || path->path >= HK_PATHS_MAX)
		return;
	look->nr++;
	look->state[path->path] = path->state;
	look->bytes[path->path] = path->tx_bytes > path->rx_bytes ? path->tx_bytes :
								    path->rx_bytes;
	snprintf(look->local[path->path], HK_ENDPOINT_LEN, "%s", path->local);
	snprintf(look->remote[path->path], HK_ENDPOINT_LEN, "%s", path->remote);
}

static int look(struct look *l, uint16_t id, char *err)
{
	*l = (struct look){ .peer = id };
	if (hk_path_dump(hkd.nl, look_at, l))
		return fail(err, "%s", hk_nl_error(hkd.nl));
	return 0;
}

/* One path is made at a time. Return: 0, and path_end() is to follow */
static int path_begin(uint16_t id, char *err)
{
	uint64_t deadline = now_ms() + LINK_UP_MS + CONNECT_MS;
	struct member *m = &hkd.member[id];

	while (m->pathing && m->link && now_ms() < deadline)
		task_wait_change(deadline);
	if (m->pathing || !m->link)
		return fail(err, m->link ? "a path to node %u (%s) is just being made" :
			    "the link to node %u (%s) has ended", id, m->name);
	m->pathing = true;
	return 0;
}

static void path_end(uint16_t id)
{
	hkd.member[id].pathing = false;
	task_changed();
}

static bool usable(uint8_t state)
{
	return state == HK_PATH_STANDBY || state == HK_PATH_ACTIVE;
}

bool path_rdma(uint16_t id, uint8_t path)
{
	struct member *m = &hkd.member[id];

	return hkd.rdma_allowed && hkd.rdma && m->rdma &&
	       (!path || (hkd.rdma_paths && m->rdma_paths));
}

int hand_over(uint16_t id, int path, bool rdma, struct stream *s, char *err)
{
	uint64_t deadline = now_ms() + LINK_UP_MS;
	int on = 1, fd, r;

	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fd = stream_release(s);
	for (;;) {
		r = path < 0 ? hk_link_renew(hkd.nl, id, fd) :
			       hk_path_add(hkd.nl, id, (uint8_t)path, fd,
					   rdma ? "rdma" : "tcp");
		if (r != -EBUSY || now_ms() >= deadline)
			break;
		/* the module's event says that the former one has gone */
		task_wait_change(deadline);
	}
	close(fd);
	if (r && path < 0)
		return fail(err, "link to node %u (%s): %s", id,
			    hkd.member[id].name, hk_nl_error(hkd.nl));
	if (r)
		return fail(err, "path %d to node %u (%s): %s", path, id,
			    hkd.member[id].name, hk_nl_error(hkd.nl));
	return 0;
}

/* What the other node asks for is not enough for RDMA: it passes by TLS */
static int path_rdma_check(uint16_t id, char *err)
{
	const char *name = hkd.member[id].name;

	if (!hkd.rdma_allowed)
		return fail(err,
			    "a path to node %u (%s) by RDMA: the cluster was created without \"rdma\"",
			    id, name);
	if (!hkd.rdma)
		return fail(err,
			    "a path to node %u (%s) by RDMA: hkd of this node runs without --rdma",
			    id, name);
	return 0;
}

int path_accepted(uint16_t id, uint8_t path, bool rdma, struct stream *s, char *err)
{
	if (!hkd.member[id].link)
		fail(err, "node %u (%s) makes a path of a link that there is not",
		     id, hkd.member[id].name);
	else if (!rdma || !path_rdma_check(id, err))
		return hand_over(id, path, rdma, s, err);
	stream_free(s);
	return -1;
}

static bool same_connection(const struct look *a, const struct look *b, uint8_t path)
{
	return !strcmp(a->local[path], b->local[path]) &&
	       !strcmp(a->remote[path], b->remote[path]);
}

/*
 * Connect, hand over, wait until the other end has done so, too, and the former
 * connection of this path, if there is one, has gone
 */
static int path_make(uint16_t id, uint8_t path, const char *address, bool rdma,
		     char *err)
{
	int purpose = (rdma ? PURPOSE_RDMA0 : PURPOSE_PATH0) + path;
	struct look before, l;
	uint64_t deadline;
	struct stream *s;

	s = peer_open_at(id, address, (enum purpose)purpose, err);
	if (!s)
		return -1;
	if (look(&before, id, err)) {
		stream_free(s);
		return -1;
	}
	if (hand_over(id, path, rdma, s, err))
		return -1;
	deadline = now_ms() + LINK_UP_MS;
	for (;;) {
		if (look(&l, id, err))
			return -1;
		if (usable(l.state[path]) && !same_connection(&before, &l, path)) {
			hkd.member[id].path_base[path] = l.bytes[path];
			return 0;
		}
		if (!usable(l.state[path]) && l.state[path] != HK_PATH_JOINING)
			break;
		if (now_ms() >= deadline)
			break;
		/* an event of the module */
		task_wait_change(deadline);
	}
	return fail(err, "path %u to node %u (%s): the other end has not taken it up",
		    path, id, hkd.member[id].name);
}

/* Path 0 is the connection to where the member listens. */
static const char *path_address(uint16_t id, uint8_t path)
{
	return path ? hkd.member[id].path[path] : hkd.member[id].address;
}

static int path_remake(uint16_t id, uint8_t path, char *err)
{
	return path_make(id, path, path_address(id, path),
			 hkd.member[id].path_rdma[path], err);
}

void path_expect(uint16_t id)
{
	struct member *m = &hkd.member[id];
	unsigned int i;

	for (i = 1; i < HK_PATHS_MAX; i++) {
		if (!hkd.also[i][0] || !m->also[i][0])
			continue;
		memcpy(m->path[i], m->also[i], sizeof(m->path[i]));
		m->path_rdma[i] = path_rdma(id, (uint8_t)i);
	}
}

/*
 * It could not be made: the next attempt is to wait for longer, unless a network has come
 * back since this one began, when @hurries was the member's
 */
static void path_later(struct member *m, uint8_t path, uint32_t hurries)
{
	m->path_wait[path] = m->path_wait[path] ? m->path_wait[path] * 2 : WATCH_MS;
	if (m->path_wait[path] > AGAIN_MAX_MS)
		m->path_wait[path] = AGAIN_MAX_MS;
	m->path_next[path] = m->hurries == hurries ? now_ms() + m->path_wait[path] : 0;
}

static void path_again(uint16_t id, uint8_t path, bool first)
{
	struct member *m = &hkd.member[id];
	uint32_t hurries = m->hurries;
	char err[HK_ERR_LEN];

	if (!path_remake(id, path, err)) {
		log_info("path %u to node %u (%s) is there%s", path, id, m->name,
			 first ? "" : " again");
		m->path_wait[path] = 0;
		return;
	}
	/* The first attempt fails as a rule: the network is away still */
	if (m->path_wait[path])
		log_info("%s", err);
	path_later(m, path, hurries);
}

/* The caller has set m->pathing. Where it fails the path stays as it is. */
static int path_fresh(uint16_t id, uint8_t path, char *err)
{
	struct member *m = &hkd.member[id];

	if (path_remake(id, path, err))
		return -1;
	log_info("path %u to node %u (%s) has new keys", path, id, m->name);
	return 0;
}

static bool path_makes(uint16_t id)
{
	struct member *m = &hkd.member[id];
	unsigned int i;

	if (m->state != MEMBER_UP || !m->link)
		return false;
	for (i = 1; i < HK_PATHS_MAX; i++)
		if (m->path[i][0])
			return true;
	return false;
}

static bool path_watched(uint16_t id)
{
	return !hkd.member[id].pathing && path_makes(id);
}

int path_renew(uint16_t id, char *err)
{
	struct member *m = &hkd.member[id];
	unsigned int tried = 0;
	char why[HK_ERR_LEN];
	struct look l;
	uint8_t i;
	int r = 0;

	if (!path_makes(id))
		return 1;
	if (path_begin(id, err))
		return -1;
	if (look(&l, id, err)) {
		path_end(id);
		return -1;
	}
	/* One whose network is away does not keep the others from it; it is what is told */
	for (i = 0; i < HK_PATHS_MAX && m->link; i++) {
		if (!usable(l.state[i]) || !path_address(id, i)[0])
			continue;
		tried++;
		if (path_fresh(id, i, r ? why : err))
			r = -1;
	}
	path_end(id);
	if (!tried)
		return fail(err, "the link to node %u (%s) has no path that could be renewed",
			    id, m->name);
	return r;
}

bool path_several(uint16_t id)
{
	char err[HK_ERR_LEN];
	struct look l;

	return hkd.member[id].state == MEMBER_UP && hkd.member[id].link &&
	       !look(&l, id, err) && l.nr > 1;
}

void path_control_lost(uint16_t id, const char *why)
{
	struct member *m = &hkd.member[id];

	peer_hang_up(id);
	m->lost_at = now_ms();
	snprintf(m->reason, sizeof(m->reason), "%.*s", (int)sizeof(m->reason) - 1, why);
	log_info("the control connection of node %u (%s) broke, its link is up: %s", id,
		 m->name, why);
}

/* Connect anew where this node knows the ways, or wait for the other one to do so */
static void watch_control(uint16_t id)
{
	struct member *m = &hkd.member[id];
	char err[HK_ERR_LEN], why[HK_REASON_LEN];
	int i;

	if (path_watched(id)) {
		m->pathing = true;
		for (i = HK_PATHS_MAX - 1; i >= 0 && m->lost_at; i--) {
			if (!path_address(id, (uint8_t)i)[0] ||
			    peer_control(id, path_address(id, (uint8_t)i), err))
				continue;
			log_info("the control connection of node %u (%s) is there again",
				 id, m->name);
		}
		path_end(id);
	}
	if (m->state != MEMBER_UP || !m->lost_at ||
	    now_ms() - m->lost_at < CONTROL_MS)
		return;
	m->lost_at = 0;
	snprintf(why, sizeof(why), "%s", m->reason);
	member_down(id, why);
}

static void watch_member(uint16_t id)
{
	struct member *m = &hkd.member[id];
	char err[HK_ERR_LEN];
	uint32_t hurries;
	struct look l;
	uint8_t i;

	if (look(&l, id, err))
		return;
	m->pathing = true;
	for (i = 0; i < HK_PATHS_MAX && m->link; i++)
		if ((l.state[i] == HK_PATH_DOWN || l.state[i] == HK_PATH_NONE) &&
		    path_address(id, i)[0] && now_ms() >= m->path_next[i])
			path_again(id, i, l.state[i] == HK_PATH_NONE);
	for (i = 0; i < HK_PATHS_MAX && m->link && !trust.plain; i++) {
		/* counted from 0 where the link is another one */
		if (l.bytes[i] < m->path_base[i])
			m->path_base[i] = 0;
		if (!usable(l.state[i]) || !path_address(id, i)[0] ||
		    l.bytes[i] - m->path_base[i] < hkd.renew_bytes ||
		    now_ms() < m->path_next[i])
			continue;
		hurries = m->hurries;
		if (path_fresh(id, i, err)) {
			log_info("new keys: %s", err);
			path_later(m, i, hurries);
		} else {
			m->path_wait[i] = 0;
		}
		break;
	}
	path_end(id);
}

void path_watch(void *unused)
{
	uint16_t id;

	(void)unused;
	for (;;) {
		task_sleep(WATCH_MS);
		for (id = 1; hkd.self && id < HK_NODES_MAX; id++) {
			if (hkd.member[id].state == MEMBER_UP && hkd.member[id].lost_at)
				watch_control(id);
			if (path_watched(id))
				watch_member(id);
		}
	}
}

/*
 * A network is back at node @where: paths that are down need not wait any longer for their
 * next attempt
 */
static void path_hurry(uint16_t id, uint16_t where)
{
	struct member *m = &hkd.member[id];
	bool any = false;
	unsigned int i;

	m->hurries++;
	for (i = 0; i < HK_PATHS_MAX; i++) {
		any |= m->path_wait[i];
		m->path_next[i] = 0;
	}
	if (any)
		log_info("a network of node %u (%s) is back: trying paths to node %u (%s) again",
			 where, hkd.member[where].name, id, m->name);
}

struct json_object *path_network_request(uint16_t from)
{
	if (path_makes(from))
		path_hurry(from, from);
	return json_object_new_object();
}

void path_network(void)
{
	struct json_object *req;
	uint16_t id;

	for (id = 1; id < HK_NODES_MAX; id++) {
		if (path_makes(id)) {
			path_hurry(id, hkd.self);
		} else if (path_several(id)) {
			req = json_object_new_object();
			js_add_str(req, "cmd", "network-back");
			peer_tell(id, req);
		}
	}
}

/* The member and the number that a command is about; 0 with @err */
static uint16_t command_path(struct json_object *req, uint8_t *path, char *err)
{
	int64_t n = js_int(req, "path", -1);
	uint16_t id = member_find(js_str(req, "peer"), err);
	struct member *m = &hkd.member[id];

	if (!id)
		return 0;
	if (n < 0 || n >= HK_PATHS_MAX) {
		fail(err, "the number of a path is 0 to %u", HK_PATHS_MAX - 1);
		return 0;
	}
	if (id == hkd.self || m->state != MEMBER_UP || !m->link) {
		fail(err, "there is no link to node %u (%s) that is up", id, m->name);
		return 0;
	}
	*path = (uint8_t)n;
	return id;
}

struct json_object *path_add_command(struct json_object *req, char *err)
{
	const char *address = js_str(req, "address");
	const char *transport = js_str(req, "transport");
	struct sockaddr_storage sa;
	struct member *m;
	struct look l;
	uint8_t path;
	uint16_t id = command_path(req, &path, err);
	bool rdma;
	int r;

	if (!id)
		return NULL;
	m = &hkd.member[id];
	rdma = transport ? !strcmp(transport, "rdma") : path_rdma(id, path);
	if (transport && !rdma && strcmp(transport, "tcp")) {
		fail(err, "transport \"%s\": there are tcp and rdma", transport);
		return NULL;
	}
	if (rdma && path_rdma_check(id, err))
		return NULL;
	if (!address || strlen(address) >= ADDRESS_LEN || address_parse(address, &sa, err)) {
		if (!address)
			fail(err, "an address is missing");
		return NULL;
	}
	if (!path) {
		fail(err, "path 0 is the one that the link was made with");
		return NULL;
	}
	if (path_begin(id, err))
		return NULL;
	r = look(&l, id, err);
	if (!r && (usable(l.state[path]) || l.state[path] == HK_PATH_JOINING))
		r = fail(err, "the link to node %u (%s) has a path %u", id, m->name, path);
	if (!r)
		r = path_make(id, path, address, rdma, err);
	path_end(id);
	if (r)
		return NULL;
	snprintf(m->path[path], sizeof(m->path[path]), "%s", address);
	m->path_rdma[path] = rdma;
	m->path_wait[path] = 0;
	m->path_next[path] = 0;
	log_info("path %u to node %u (%s) by %s", path, id, m->name, address);
	return json_object_new_object();
}

struct json_object *path_del_command(struct json_object *req, char *err)
{
	uint8_t path;
	uint16_t id = command_path(req, &path, err);

	if (!id)
		return NULL;
	if (hk_path_del(hkd.nl, id, path)) {
		fail(err, "%s", hk_nl_error(hkd.nl));
		return NULL;
	}
	hkd.member[id].path[path][0] = 0;
	return json_object_new_object();
}
