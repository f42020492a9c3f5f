// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/cluster.c - membership, as this node drives it: create, join, leave,
 * and what happens when a member goes away
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include "enrol.h"
#include "hkd.h"
#include "state.h"
#include "../lib/ktls.h"
#include "vm.h"

#define EPOCH	1	/* links of one cluster must agree on it */

struct hkd hkd;

void self_identity(struct identity *id)
{
	*id = trust.self;
	id->id = hkd.self;
}

void progress(struct stream *out, const char *fmt, ...)
{
	struct json_object *obj;
	char text[256], err[HK_ERR_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_info("%s", text);
	if (!out)
		return;
	obj = json_object_new_object();
	js_add_str(obj, "progress", text);
	stream_write(out, obj, now_ms() + 1000, err);
}

int membership_lock(const char *what, uint64_t deadline, char *err)
{
	while (hkd.busy) {
		if (now_ms() >= deadline)
			return fail(err, "try again later: %s", hkd.busy);
		task_wait_change(deadline);
	}
	hkd.busy = what;
	return 0;
}

void membership_unlock(void)
{
	hkd.busy = NULL;
	task_changed();
}

uint16_t member_find(const char *text, char *err)
{
	uint64_t num = 0;
	uint16_t id;

	if (text && !hk_parse_u64(text, 1, HK_NODES_MAX - 1, &num) &&
	    hkd.member[num].state != MEMBER_NONE)
		return (uint16_t)num;
	for (id = 1; text && id < HK_NODES_MAX; id++)
		if (hkd.member[id].state != MEMBER_NONE &&
		    !strcmp(hkd.member[id].name, text))
			return id;
	fail(err, "the cluster has no node \"%.64s\"", text ? text : "");
	return 0;
}

void member_up(uint16_t id)
{
	struct member *m = &hkd.member[id];

	if (m->state == MEMBER_UP)
		return;
	m->state = MEMBER_UP;
	m->reason[0] = 0;
	log_info("node %u (%s) is up", id, m->name);
}

static void drop_link(uint16_t id, const char *why)
{
	char reason[HK_REASON_LEN];
	int r;

	if (!hkd.member[id].link)
		return;
	hkd.member[id].link = false;
	snprintf(reason, sizeof(reason), "node %u (%s): %.96s", id,
		 hkd.member[id].name, why);
	r = hk_link_del(hkd.nl, id, reason);
	/* It may have ended by itself, for the same cause. */
	if (r && r != -ENOENT)
		log_error("link to node %u: %s", id, hk_nl_error(hkd.nl));
}

void member_down(uint16_t id, const char *why)
{
	struct member *m = &hkd.member[id];

	if (m->state != MEMBER_UP && m->state != MEMBER_JOINING)
		return;
	m->state = MEMBER_DOWN;
	snprintf(m->reason, sizeof(m->reason), "%.*s",
		 (int)sizeof(m->reason) - 1, why);
	log_error("node %u (%s) is down: %s", id, m->name, m->reason);
	/*
	 * The module ends its VMs with the link. Before the daemons' connection is closed:
	 * the module says why to the peer, whose daemon otherwise ends the link, too, as
	 * soon as it sees that connection closed, and knows no better reason than that.
	 */
	drop_link(id, m->reason);
	peer_hang_up(id);
}

void member_forget(uint16_t id, const char *why)
{
	struct member *m = &hkd.member[id];

	if (m->state == MEMBER_NONE)
		return;
	/* In this order: see above */
	drop_link(id, why);
	peer_hang_up(id);
	memset(m, 0, sizeof(*m));
}

int cluster_forget(char *err)
{
	uint16_t id;

	for (id = 1; id < HK_NODES_MAX; id++)
		if (id != hkd.self)
			member_forget(id, "the cluster is left");
	if (vm_forget_all(err))
		return -1;
	if (hk_node_reset(hkd.nl))
		return fail(err, "%s", hk_nl_error(hkd.nl));
	memset(hkd.member, 0, sizeof(hkd.member));
	hkd.self = 0;
	hkd.epoch = 0;
	hkd.cluster_name[0] = 0;
	hkd.rdma_allowed = false;
	return 0;
}

static int set_identity(uint16_t id, uint64_t ram, char *err)
{
	struct hk_node_cfg cfg = {
		.id = id,
		.name = hkd.name,
		.epoch = hkd.epoch,
		.budget_pages = ram / HK_PAGE_SIZE,
		.heartbeat_ms = hkd.heartbeat_ms,
		.dead_ms = hkd.dead_ms,
	};
	struct member *m = &hkd.member[id];

	memcpy(cfg.cluster, hkd.cluster, sizeof(cfg.cluster));
	if (hk_node_set(hkd.nl, &cfg))
		return fail(err, "the module refused: %s", hk_nl_error(hkd.nl));
	hkd.self = id;
	hkd.ram_pages = cfg.budget_pages;
	m->state = MEMBER_UP;
	m->rdma = hkd.rdma;
	m->rdma_paths = hkd.rdma_paths;
	memcpy(m->name, hkd.name, sizeof(m->name));
	memcpy(m->address, hkd.address, sizeof(m->address));
	memcpy(m->also, hkd.also, sizeof(m->also));
	return 0;
}

static int check_ram(struct json_object *req, uint64_t *ram, char *err)
{
	*ram = (uint64_t)js_int(req, "ram", 0);
	if (*ram < HK_PAGE_SIZE || *ram % HK_PAGE_SIZE || *ram >> 52)
		return fail(err, "ram must be a multiple of 4 KiB, at least 4 KiB");
	return 0;
}

/* whoever is still a member in words only may start anew */
static int check_free(char *err)
{
	unsigned int up = 0;
	uint16_t id;

	if (!hkd.self)
		return 0;
	for (id = 1; id < HK_NODES_MAX; id++)
		if (id != hkd.self && hkd.member[id].state == MEMBER_UP)
			up++;
	if (up || hkd.self == COORDINATOR)
		return fail(err, "this node is node %u of a cluster already (%u other node%s up): hkctl node leave",
			    hkd.self, up, up == 1 ? "" : "s");
	return cluster_forget(err);
}

/* What the cluster's connections need of this host's kernel. */
static int check_ktls(bool plain, char *err)
{
	char why[HK_ERR_LEN];

	if (plain || !hk_ktls_probe(why))
		return 0;
	return fail(err, "%.400s", why);
}

const char *cluster_encryption(void)
{
	return trust.plain ? "plain" : "tls 1.3 aes-256-gcm";
}

struct json_object *cluster_create(struct json_object *req, char *err)
{
	struct trust_new how = {
		.node = hkd.name,
		.name = js_str(req, "name"),
		.plain = js_bool(req, "plain"),
		.ca_cert = js_str(req, "ca-cert"),
		.ca_key = js_str(req, "ca-key"),
	};
	struct json_object *reply = NULL;
	char hex[2 * HK_CLUSTER_ID_LEN + 1];
	bool made = false;
	uint64_t ram;

	if (membership_lock("the cluster is being created",
			    now_ms() + CONNECT_MS, err))
		return NULL;
	if (check_ram(req, &ram, err) || check_free(err))
		goto out;
	if (!how.ca_cert != !how.ca_key) {
		fail(err, "ca-cert and ca-key go together");
		goto out;
	}
	if (js_bool(req, "rdma") && !how.plain) {
		fail(err, "nothing encrypts RDMA: it goes with \"plain\" only");
		goto out;
	}
	if (check_ktls(how.plain, err) || trust_create(&how, &made, err) ||
	    enrol_self(err))
		goto out;
	memcpy(hkd.cluster, trust.cluster, sizeof(hkd.cluster));
	hkd.epoch = EPOCH;
	snprintf(hkd.cluster_name, sizeof(hkd.cluster_name), "%s",
		 trust.cluster_name);
	if (set_identity(COORDINATOR, ram, err))
		goto out;
	hkd.rdma_allowed = js_bool(req, "rdma");
	if (hkd.rdma && !hkd.rdma_allowed)
		log_error("this cluster is created without \"rdma\": --rdma has no effect");
	hk_hex(hex, hkd.cluster, sizeof(hkd.cluster));
	log_info("%s cluster %s %s, %s", made ? "created" : "took up",
		 hkd.cluster_name, hex, cluster_encryption());
	reply = json_object_new_object();
	js_add_int(reply, "node-id", hkd.self);
	js_add_str(reply, "node-name", hkd.name);
	js_add_str(reply, "cluster-id", hex);
	js_add_int(reply, "epoch", hkd.epoch);
	js_add_str(reply, "encryption", cluster_encryption());
	json_object_object_add(reply, "ca-made",
			       json_object_new_boolean(made));
	json_object_object_add(reply, "rdma",
			       json_object_new_boolean(hkd.rdma_allowed));
out:
	membership_unlock();
	return reply;
}

void member_ways_write(struct json_object *obj, const struct member *m)
{
	struct json_object *list = json_object_new_array();
	unsigned int i;

	for (i = 1; i < HK_PATHS_MAX && m->also[i][0]; i++)
		json_object_array_add(list, json_object_new_string(m->also[i]));
	json_object_object_add(obj, "also", list);
	json_object_object_add(obj, "rdma", json_object_new_boolean(m->rdma));
	json_object_object_add(obj, "rdma-paths",
			       json_object_new_boolean(m->rdma_paths));
}

int member_ways_read(struct member *m, struct json_object *obj, char *err)
{
	struct json_object *list = js_array(obj, "also");
	size_t i, n = list ? json_object_array_length(list) : 0;
	struct sockaddr_storage sa;
	const char *text;

	memset(m->also, 0, sizeof(m->also));
	if (n >= HK_PATHS_MAX)
		return fail(err, "a node with more than %u addresses", HK_PATHS_MAX);
	for (i = 0; i < n; i++) {
		text = json_object_get_string(json_object_array_get_idx(list, i));
		if (!text || strlen(text) >= ADDRESS_LEN)
			return fail(err, "a malformed address of a node");
		if (address_parse(text, &sa, err))
			return -1;
		strcpy(m->also[i + 1], text);
	}
	m->rdma = js_bool(obj, "rdma");
	m->rdma_paths = js_bool(obj, "rdma-paths");
	return 0;
}

static int learn_members(struct json_object *reply, char *err)
{
	struct json_object *list = js_array(reply, "members"), *obj;
	const char *name, *address;
	struct sockaddr_storage sa;
	size_t i, n = list ? json_object_array_length(list) : 0;
	int64_t id;

	for (i = 0; i < n; i++) {
		obj = json_object_array_get_idx(list, i);
		id = js_int(obj, "id", 0);
		name = js_str(obj, "name");
		address = js_str(obj, "address");
		if (id < 1 || id >= HK_NODES_MAX || id == hkd.self ||
		    !hk_name_ok(name) || !address ||
		    strlen(address) >= ADDRESS_LEN ||
		    address_parse(address, &sa, err) ||
		    member_ways_read(&hkd.member[id], obj, err))
			return fail(err, "the coordinator sent a malformed list of members");
		snprintf(hkd.member[id].name, HK_NAME_MAX, "%s", name);
		snprintf(hkd.member[id].address, ADDRESS_LEN, "%s", address);
		hkd.member[id].state = js_bool(obj, "up") ? MEMBER_JOINING :
							    MEMBER_DOWN;
	}
	return 0;
}

struct links {
	uint64_t up;
	char why[HK_REASON_LEN];
};

static void count_up(const struct hk_link_info *link, void *arg)
{
	struct links *links = arg;

	if (link->peer >= HK_NODES_MAX)
		return;
	if (link->state == HK_LINK_UP)
		links->up |= 1ULL << link->peer;
	else if (link->reason[0])
		memcpy(links->why, link->reason, sizeof(links->why));
}

static int wait_links(uint64_t want, char *err)
{
	uint64_t deadline = now_ms() + LINK_UP_MS;
	struct links links;

	for (;;) {
		memset(&links, 0, sizeof(links));
		if (hk_link_dump(hkd.nl, count_up, &links))
			return fail(err, "%s", hk_nl_error(hkd.nl));
		if ((links.up & want) == want)
			return 0;
		if (now_ms() >= deadline)
			return fail(err, "the link to node %u does not come up%s%s",
				    (unsigned int)__builtin_ctzll(want & ~links.up),
				    links.why[0] ? ": " : "", links.why);
		/* an event of the module */
		task_wait_change(deadline);
	}
}

static int connect_all(struct stream *out, char *err)
{
	uint64_t want = 0;
	struct member *m;
	uint16_t id;

	for (id = 1; id < HK_NODES_MAX; id++) {
		m = &hkd.member[id];
		if (id == hkd.self || m->state != MEMBER_JOINING)
			continue;
		progress(out, "connecting to node %u (%s) at %s", id, m->name,
			 m->address);
		if (peer_connect(id, err))
			return -1;
		want |= 1ULL << id;
	}
	if (wait_links(want, err))
		return -1;
	for (id = 1; id < HK_NODES_MAX; id++) {
		m = &hkd.member[id];
		if (id == hkd.self || m->state != MEMBER_JOINING)
			continue;
		if (!m->ctl)
			return fail(err, "node %u (%s) hung up", id, m->name);
		member_up(id);
		path_expect(id);
	}
	return 0;
}

/* a line to the coordinator, its answer */
static struct json_object *ask(struct stream *s, struct json_object *req,
			       uint64_t timeout_ms, char *err)
{
	uint64_t deadline = now_ms() + timeout_ms;
	struct json_object *reply;
	const char *why;

	if (stream_write(s, req, deadline, err) ||
	    stream_read(s, &reply, deadline, err))
		return NULL;
	if (!reply) {
		fail(err, "%s closed the connection", s->what);
		return NULL;
	}
	why = js_str(reply, "error");
	if (!why && js_bool(reply, "ok"))
		return reply;
	fail(err, "refused by %s: %.400s", s->what,
	     why ? why : "malformed answer");
	json_object_put(reply);
	return NULL;
}

static void tell_own_address(struct stream *s)
{
	char text[ADDRESS_LEN];
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char *colon;

	if (hkd.address[0] ||
	    getsockname(s->fd, (struct sockaddr *)&sa, &len))
		return;
	address_print(&sa, text, sizeof(text));
	colon = strrchr(text, ':');
	if (colon)
		snprintf(hkd.address, sizeof(hkd.address), "%.*s:%u",
			 (int)(colon - text), text, hkd.port);
}

static int join(struct stream *s, uint64_t ram, struct stream *out, char *err)
{
	struct member self = {};
	struct json_object *req = json_object_new_object(), *reply;
	int64_t id, epoch;
	int r = -1;

	js_add_str(req, "cmd", "join");
	js_add_str(req, "name", hkd.name);
	js_add_str(req, "address", hkd.address);
	memcpy(self.also, hkd.also, sizeof(self.also));
	self.rdma = hkd.rdma;
	self.rdma_paths = hkd.rdma_paths;
	member_ways_write(req, &self);
	/* It asks all its members first. */
	reply = ask(s, req, 3 * RPC_MS, err);
	if (!reply)
		return -1;
	id = js_int(reply, "id", 0);
	epoch = js_int(reply, "epoch", 0);
	if (id != trust.self.id || epoch < 1 || epoch > UINT32_MAX) {
		fail(err, "%s: malformed answer", s->what);
		goto out;
	}
	hkd.epoch = (uint32_t)epoch;
	if (hk_name_ok(js_str(reply, "cluster-name")))
		strcpy(hkd.cluster_name, js_str(reply, "cluster-name"));
	hkd.heartbeat_ms = (uint32_t)js_int(reply, "heartbeat-ms", 0);
	hkd.dead_ms = (uint32_t)js_int(reply, "dead-ms", 0);
	/* RDMA passes by the kernel's TLS, whatever node 1 says */
	hkd.rdma_allowed = trust.plain && js_bool(reply, "rdma");
	if (hkd.rdma && !hkd.rdma_allowed)
		progress(out, "the cluster was created without \"rdma\": --rdma has no effect");
	if (trust_ban_all(js_array(reply, "banned"), err) ||
	    set_identity((uint16_t)id, ram, err) ||
	    learn_members(reply, err) || connect_all(out, err))
		goto out;
	req = json_object_new_object();
	js_add_str(req, "cmd", "joined");
	json_object_put(reply);
	reply = ask(s, req, RPC_MS, err);
	if (reply)
		r = 0;
out:
	json_object_put(reply);
	if (r) {
		char text[HK_ERR_LEN];

		req = json_object_new_object();
		js_add_str(req, "cmd", "failed");
		js_add_str(req, "error", err);
		stream_write(s, req, now_ms() + 1000, text);
		if (cluster_forget(text))
			log_error("after the failed join: %s", text);
	}
	return r;
}

/* a certificate, by a token if there is one, that fits this daemon */
static int get_ready(const char *address, const char *token, uint64_t deadline,
		     struct stream *out, char *err)
{
	if (token) {
		if (enrol_request(address, token, deadline, err))
			return -1;
		progress(out, "enrolled as node %u (%s)", trust.self.id,
			 trust.self.name);
	}
	if (!trust.cert)
		return fail(err, "this host has no certificate of a cluster: on node 1, hkctl cluster invite; here, hkctl cluster join %s TOKEN ram SIZE",
			    address);
	if (strcmp(trust.self.name, hkd.name))
		return fail(err, "the certificate in %s is that of node %s: start hkd with --name %s",
			    state_dir(), trust.self.name, trust.self.name);
	if (trust.self.id == COORDINATOR)
		return fail(err, "this is node %u, which others join: hkctl cluster create takes its cluster up again",
			    COORDINATOR);
	return check_ktls(trust.plain, err);
}

struct json_object *cluster_join(struct json_object *req, struct stream *out,
				 char *err)
{
	const char *address = js_str(req, "address");
	const char *token = js_str(req, "token");
	uint64_t ram, deadline = now_ms() + CONNECT_MS;
	struct json_object *reply = NULL;
	struct identity self, peer;
	struct stream *s = NULL;

	if (membership_lock("this node joins a cluster", deadline, err))
		return NULL;
	if (check_ram(req, &ram, err) || check_free(err))
		goto out;
	if (!address) {
		fail(err, "no address to join at");
		goto out;
	}
	if (get_ready(address, token, deadline, out, err)) {
		log_error("cannot join: %s", err);
		goto out;
	}
	s = stream_connect(address, now_ms() + CONNECT_MS, err);
	if (!s)
		goto out;
	self_identity(&self);
	tell_own_address(s);
	if (auth_connect(s, PURPOSE_JOIN, &self, &peer, now_ms() + CONNECT_MS,
			 err)) {
		log_error("cannot join: %s", err);
		goto out;
	}
	memcpy(hkd.cluster, trust.cluster, sizeof(hkd.cluster));
	/* What an earlier daemon may have left in the module. */
	if (hk_node_reset(hkd.nl)) {
		fail(err, "the module refused: %s", hk_nl_error(hkd.nl));
		goto out;
	}
	if (join(s, ram, out, err)) {
		log_error("cannot join: %s", err);
		goto out;
	}
	log_info("joined as node %u (%s)", hkd.self, hkd.name);
	reply = json_object_new_object();
	js_add_int(reply, "node-id", hkd.self);
	js_add_str(reply, "node-name", hkd.name);
	js_add_str(reply, "cluster-id", peer.cluster);
	js_add_int(reply, "epoch", hkd.epoch);
out:
	stream_free(s);
	membership_unlock();
	return reply;
}

struct json_object *cluster_leave(char *err)
{
	struct json_object *reply = NULL, *req;
	uint16_t id, others = 0;

	if (!hkd.self) {
		fail(err, "this node is in no cluster");
		return NULL;
	}
	if (membership_lock("this node leaves the cluster",
			    now_ms() + CONNECT_MS, err))
		return NULL;
	for (id = 1; id < HK_NODES_MAX; id++)
		if (id != hkd.self && hkd.member[id].state == MEMBER_UP)
			others++;
	if (hkd.self == COORDINATOR && others) {
		fail(err, "node %u lets others join and leaves last: %u other node%s up",
		     COORDINATOR, others, others == 1 ? " is" : "s are");
		goto out;
	}
	if (vm_any_alive(err))
		goto out;
	for (id = 1; id < HK_NODES_MAX; id++) {
		if (id == hkd.self || hkd.member[id].state != MEMBER_UP)
			continue;
		req = json_object_new_object();
		js_add_str(req, "cmd", "left");
		peer_tell(id, req);
	}
	id = hkd.self;
	if (cluster_forget(err))
		goto out;
	log_info("left the cluster");
	reply = json_object_new_object();
	js_add_int(reply, "node-id", id);
out:
	membership_unlock();
	return reply;
}

struct json_object *cluster_show(void)
{
	static const char *const state[] = {
		[MEMBER_NONE] = "none",
		[MEMBER_JOINING] = "joining",
		[MEMBER_UP] = "up",
		[MEMBER_DOWN] = "down",
	};
	struct json_object *reply = json_object_new_object();
	struct json_object *list = json_object_new_array(), *obj;
	char hex[2 * HK_CLUSTER_ID_LEN + 1] = "";
	struct member *m;
	uint16_t id;

	if (hkd.self)
		hk_hex(hex, hkd.cluster, sizeof(hkd.cluster));
	if (hkd.cluster_name[0])
		js_add_str(reply, "cluster-name", hkd.cluster_name);
	js_add_str(reply, "cluster-id", hex);
	js_add_str(reply, "encryption", cluster_encryption());
	js_add_int(reply, "epoch", hkd.epoch);
	js_add_int(reply, "self", hkd.self);
	json_object_object_add(reply, "rdma",
			       json_object_new_boolean(hkd.rdma_allowed));
	for (id = 1; id < HK_NODES_MAX; id++) {
		m = &hkd.member[id];
		if (m->state == MEMBER_NONE)
			continue;
		obj = json_object_new_object();
		js_add_int(obj, "node-id", id);
		js_add_str(obj, "node-name", m->name);
		js_add_str(obj, "address", m->address);
		js_add_str(obj, "state", state[m->state]);
		if (m->reason[0])
			js_add_str(obj, "reason", m->reason);
		json_object_object_add(obj, "rdma",
				       json_object_new_boolean(m->rdma));
		json_object_array_add(list, obj);
	}
	json_object_object_add(reply, "members", list);
	return reply;
}
