// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/coordinator.c - how a node becomes a member
 *
 *	new node		node 1				other members
 *	join			->
 *				no VM alive? member-add		->
 *				<-	id, members
 *	NODE_SET; to every member: control connection, link	->
 *	joined			->	member is up
 *				<-	ok
 *
 * When the new node gives up or goes away before "joined", node 1 tells the
 * others to forget it (member-remove). Node 1 handles one join at a time. Name and id
 * are those of its certificate, which enrol.c gave it.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "enrol.h"
#include "hkd.h"
#include "vm.h"

static struct json_object *member_json(uint16_t id)
{
	struct json_object *obj = json_object_new_object();
	struct member *m = &hkd.member[id];

	js_add_int(obj, "id", id);
	js_add_str(obj, "name", m->name);
	js_add_str(obj, "address", m->address);
	json_object_object_add(obj, "up",
			       json_object_new_boolean(m->state == MEMBER_UP));
	member_ways_write(obj, m);
	return obj;
}

/* ask all members that are up, but one; the first refusal counts */
static int ask_members(struct json_object *req, uint16_t but, char *err)
{
	struct json_object *copy;
	int r = 0;
	uint16_t id;

	for (id = 1; id < HK_NODES_MAX && !r; id++) {
		if (id == hkd.self || id == but ||
		    hkd.member[id].state != MEMBER_UP)
			continue;
		copy = NULL;
		json_object_deep_copy(req, &copy, NULL);
		r = peer_call(id, copy, NULL, RPC_MS, err);
	}
	json_object_put(req);
	return r;
}

static void forget_everywhere(uint16_t id)
{
	struct json_object *req = json_object_new_object();
	char err[HK_ERR_LEN];

	member_forget(id, "could not join");
	js_add_str(req, "cmd", "member-remove");
	js_add_int(req, "id", id);
	if (ask_members(req, id, err))
		log_error("node %u did not join, but: %s", id, err);
}

static int take(uint16_t id, const char *name, const char *address,
		struct json_object *req, char *err)
{
	struct member *m = &hkd.member[id];
	char why[HK_ERR_LEN];

	if (m->state == MEMBER_UP || m->state == MEMBER_JOINING)
		member_down(id, "joins again");
	member_forget(id, "joins again");
	vm_forget_of(id, why);
	if (member_ways_read(m, req, err))
		return -1;
	m->state = MEMBER_JOINING;
	snprintf(m->name, sizeof(m->name), "%s", name);
	snprintf(m->address, sizeof(m->address), "%s", address);
	return 0;
}

static int admit(struct stream *s, struct json_object *req,
		 const struct identity *peer, uint16_t *id, char *err)
{
	const char *address = js_str(req, "address");
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct json_object *ask, *list, *reply;
	uint16_t i;

	if (!address || strlen(address) >= ADDRESS_LEN ||
	    address_parse(address, &sa, err))
		return fail(err, "malformed join request");
	if (hkd.self != COORDINATOR)
		return fail(err, "this is node %u (%s); join at node %u (%s), %s",
			    hkd.self, hkd.name, COORDINATOR,
			    hkd.member[COORDINATOR].name,
			    hkd.member[COORDINATOR].address);
	if (enrol_current(peer, err))
		return -1;
	ask = json_object_new_object();
	js_add_str(ask, "cmd", "no-vm");
	if (vm_any_alive(err) || ask_members(ask, 0, err))
		return -1;
	/* It may have been banned while others were asked. */
	if (trust_banned(peer->serial))
		return fail(err, "node %u (%s) is banned", peer->id, peer->name);
	*id = peer->id;
	/* A node that listens everywhere learns from others where it is. */
	if (!hkd.address[0] &&
	    !getsockname(s->fd, (struct sockaddr *)&sa, &len)) {
		address_print(&sa, hkd.address, sizeof(hkd.address));
		memcpy(hkd.member[hkd.self].address, hkd.address, ADDRESS_LEN);
	}
	/* If it is up, its daemon was restarted before anybody noticed its end. */
	if (take(*id, peer->name, address, req, err))
		return -1;
	ask = member_json(*id);
	js_add_str(ask, "cmd", "member-add");
	if (ask_members(ask, *id, err))
		return -1;

	reply = json_object_new_object();
	json_object_object_add(reply, "ok", json_object_new_boolean(true));
	js_add_int(reply, "id", *id);
	js_add_int(reply, "epoch", hkd.epoch);
	js_add_str(reply, "cluster-name", hkd.cluster_name);
	js_add_int(reply, "heartbeat-ms", hkd.heartbeat_ms);
	js_add_int(reply, "dead-ms", hkd.dead_ms);
	json_object_object_add(reply, "rdma",
			       json_object_new_boolean(hkd.rdma_allowed));
	list = json_object_new_array();
	for (i = 1; i < HK_NODES_MAX; i++)
		if (hkd.member[i].state == MEMBER_UP ||
		    hkd.member[i].state == MEMBER_DOWN)
			json_object_array_add(list, member_json(i));
	json_object_object_add(reply, "members", list);
	json_object_object_add(reply, "banned", trust_bans());
	return stream_write(s, reply, now_ms() + CONNECT_MS, err);
}

/* the new node makes its connections, which other tasks accept */
static int conclude(struct stream *s, uint16_t id, char *err)
{
	struct json_object *obj;
	const char *cmd, *why;
	int r;

	if (stream_read(s, &obj, now_ms() + 60000, err))
		return -1;
	if (!obj)
		return fail(err, "it closed the connection");
	cmd = js_str(obj, "cmd");
	why = js_str(obj, "error");
	if (!cmd || strcmp(cmd, "joined"))
		r = fail(err, "it gave up: %.300s", why ? why : "no reason");
	else if (hkd.member[id].state != MEMBER_UP)
		r = fail(err, "its connections are not all there");
	else
		r = 0;
	json_object_put(obj);
	return r;
}

void coordinator_join(struct stream *s, const struct identity *peer)
{
	struct json_object *req = NULL, *reply = json_object_new_object();
	char err[HK_ERR_LEN] = "";
	uint16_t id = 0;
	int r;

	r = membership_lock("another node joins", now_ms() + CONNECT_MS, err);
	if (!r) {
		r = stream_read(s, &req, now_ms() + CONNECT_MS, err);
		if (!r && !req)
			r = fail(err, "it closed the connection");
		if (!r)
			r = admit(s, req, peer, &id, err);
		if (!r)
			r = conclude(s, id, err);
		json_object_put(req);
		if (r && id)
			forget_everywhere(id);
		membership_unlock();
	}
	if (r) {
		log_error("%s at %s could not join: %s", peer->name, s->what,
			  err);
		js_add_str(reply, "error", err);
	} else {
		log_info("node %u (%s) at %s joined", id, hkd.member[id].name,
			 hkd.member[id].address);
		json_object_object_add(reply, "ok",
				       json_object_new_boolean(true));
	}
	stream_write(s, reply, now_ms() + CONNECT_MS, err);
}

int coordinator_request(uint16_t from, const char *cmd,
			struct json_object *req, char *err)
{
	const char *name = js_str(req, "name"), *address = js_str(req, "address");
	int64_t id = js_int(req, "id", 0);

	if (from != COORDINATOR)
		return fail(err, "only node %u changes the membership",
			    COORDINATOR);
	if (!strcmp(cmd, "bans"))
		return bans_received(js_array(req, "banned"), err);
	if (id < 1 || id >= HK_NODES_MAX || id == hkd.self)
		return fail(err, "no node id: %lld", (long long)id);
	if (!strcmp(cmd, "member-add")) {
		if (!hk_name_ok(name) || !address ||
		    strlen(address) >= ADDRESS_LEN)
			return fail(err, "malformed member");
		return take((uint16_t)id, name, address, req, err);
	}
	if (!strcmp(cmd, "member-remove")) {
		member_forget((uint16_t)id, "no member any more");
		return 0;
	}
	return fail(err, "unknown request \"%.32s\"", cmd);
}
