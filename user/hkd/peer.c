// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/peer.c - connections between daemons
 *
 * Two TCP connections a pair of nodes, both made by the node that joins:
 * control, for messages between the daemons (a line {"seq":…,"cmd":…}, answered
 * by {"re":…,"ok":true} or {"re":…,"error":…}), and the link, which both ends
 * hand to their modules when its two ends have proved who they are.
 *
 * One task a control connection reads; only that task frees the stream. Others
 * write to member.ctl and end the connection by shutting it down.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "enrol.h"
#include "gate.h"
#include "hkd.h"
#include "vm.h"

#define PART_MS	500	/* for who is refused to hang up */

/**
 * struct call - a task that waits for a member's answer
 */
struct call {
	struct call *next;
	struct task *task;
	struct json_object *reply;
	uint32_t seq;
	uint16_t peer;
	bool lost;
};

struct reader {
	uint16_t id;
	struct stream *s;
};

struct request {
	uint16_t from;
	struct json_object *obj;
};

static struct call *calls;
static uint32_t last_seq;

static void calls_lost(uint16_t id)
{
	struct call *call;

	for (call = calls; call; call = call->next) {
		if (call->peer != id || call->reply)
			continue;
		call->lost = true;
		task_wake(call->task);
	}
}

int peer_call(uint16_t id, struct json_object *req,
	      struct json_object **reply, uint64_t timeout_ms, char *err)
{
	struct call call = { .task = task_self(), .peer = id, .seq = ++last_seq };
	struct member *m = &hkd.member[id];
	uint64_t deadline = now_ms() + timeout_ms;
	struct call **p;
	const char *why;
	int r;

	if (reply)
		*reply = NULL;
	if (!m->ctl) {
		json_object_put(req);
		return fail(err, "node %u (%s) is not connected", id, m->name);
	}
	js_add_int(req, "seq", call.seq);
	call.next = calls;
	calls = &call;
	r = stream_write(m->ctl, req, deadline, err);
	while (!r && !call.reply && !call.lost)
		if (task_wait(deadline))
			break;
	for (p = &calls; *p != &call; p = &(*p)->next)
		;
	*p = call.next;
	if (r)
		return -1;
	if (!call.reply)
		return fail(err, call.lost ? "node %u (%s) went away before it answered" :
			    "node %u (%s) does not answer", id, m->name);
	why = js_str(call.reply, "error");
	if (why || !js_bool(call.reply, "ok")) {
		fail(err, "node %u (%s): %.400s", id, m->name,
		     why ? why : "malformed answer");
		json_object_put(call.reply);
		return -1;
	}
	if (reply)
		*reply = call.reply;
	else
		json_object_put(call.reply);
	return 0;
}

void peer_tell(uint16_t id, struct json_object *req)
{
	char err[HK_ERR_LEN];

	if (!hkd.member[id].ctl)
		json_object_put(req);
	else
		stream_write(hkd.member[id].ctl, req, now_ms() + RPC_MS, err);
}

void peer_hang_up(uint16_t id)
{
	struct stream *s = hkd.member[id].ctl;

	hkd.member[id].ctl = NULL;
	if (s)
		shutdown(s->fd, SHUT_RDWR);
	calls_lost(id);
}

static struct json_object *serve(uint16_t from, struct json_object *req,
				 char *err)
{
	const char *cmd = js_str(req, "cmd");
	int r;

	if (!cmd) {
		fail(err, "a request without \"cmd\"");
		return NULL;
	}
	if (!strncmp(cmd, "member-", 7) || !strcmp(cmd, "bans")) {
		r = coordinator_request(from, cmd, req, err);
		return r ? NULL : json_object_new_object();
	}
	if (!strcmp(cmd, "no-vm"))
		return vm_any_alive(err) ? NULL : json_object_new_object();
	if (!strcmp(cmd, "link-renew"))
		return renew_link(from, true, err) ? NULL : json_object_new_object();
	if (!strcmp(cmd, "network-back"))
		return path_network_request(from);
	if (!strcmp(cmd, "left")) {
		log_info("node %u (%s) left", from, hkd.member[from].name);
		member_forget(from, "left");
		return json_object_new_object();
	}
	return vm_peer_request(from, cmd, req, err);
}

static void handle(void *arg)
{
	struct request *rq = arg;
	int64_t seq = js_int(rq->obj, "seq", 0);
	const char *cmd = js_str(rq->obj, "cmd");
	struct stream *s = hkd.member[rq->from].ctl;
	char err[HK_ERR_LEN] = "";
	struct json_object *reply;

	reply = serve(rq->from, rq->obj, err);
	if (reply) {
		json_object_object_add(reply, "ok",
				       json_object_new_boolean(true));
	} else {
		log_error("refused \"%.32s\" of node %u: %s", cmd ? cmd : "",
			  rq->from, err);
		reply = json_object_new_object();
		js_add_str(reply, "error", err);
	}
	js_add_int(reply, "re", seq);
	/* It may have gone, or come back, meanwhile. */
	if (seq && s && hkd.member[rq->from].ctl == s)
		stream_write(s, reply, now_ms() + RPC_MS, err);
	else
		json_object_put(reply);
	json_object_put(rq->obj);
	free(rq);
}

static void on_message(uint16_t from, struct json_object *obj)
{
	int64_t re = js_int(obj, "re", 0);
	struct request *rq;
	struct call *call;

	if (re) {
		for (call = calls; call; call = call->next)
			if (call->seq == re && call->peer == from &&
			    !call->reply)
				break;
		if (call) {
			call->reply = obj;
			task_wake(call->task);
		} else {
			json_object_put(obj);	/* came too late */
		}
		return;
	}
	rq = malloc(sizeof(*rq));
	if (rq) {
		rq->from = from;
		rq->obj = obj;
		if (!task_spawn(handle, rq))
			return;
	}
	free(rq);
	json_object_put(obj);
}

/*
 * The other daemon has closed its connection. When it did so for a reason, its module has
 * been told before, and says it on the link; that is on its way, or read by our module and
 * about to be told to us by an event, which then takes the member down and hangs up. Only a
 * daemon that just ended leaves its link alone, and that is given up a little later for it.
 *
 * Who waits for an answer learns at once that none will come. Who asks in this time, too:
 * the stream takes nothing any more, or the call is lost when the member goes down. A
 * member that joins again, or connects anew, has another stream: that is not @s.
 */
static void control_closed(uint16_t id, const struct stream *s)
{
	uint64_t deadline = now_ms() + REASON_MS;

	calls_lost(id);
	while (hkd.member[id].ctl == s && hkd.member[id].link && now_ms() < deadline)
		task_wait_change(deadline);
	if (hkd.member[id].ctl == s)
		member_down(id, "its daemon closed the control connection");
}

static void read_control(void *arg)
{
	struct reader *rd = arg;
	struct stream *s = rd->s;
	uint16_t id = rd->id;
	char err[HK_ERR_LEN] = "";
	struct json_object *obj;

	free(rd);
	while (!stream_read(s, &obj, FOREVER, err) && obj &&
	       hkd.member[id].ctl == s)
		on_message(id, obj);
	if (hkd.member[id].ctl == s) {
		if (!err[0])
			control_closed(id, s);
		else if (path_several(id))
			path_control_lost(id, err);
		else
			member_down(id, err);
	}
	shutdown(s->fd, SHUT_RDWR);
	while (s->users)
		task_wait_change(FOREVER);
	stream_free(s);
}

static int attach_control(uint16_t id, struct stream *s, char *err)
{
	struct reader *rd = malloc(sizeof(*rd));
	int on = 1, idle = 5, intvl = 2, cnt = 3, user = 10000;

	if (hkd.member[id].ctl)
		peer_hang_up(id);
	/* A host that vanished is noticed by its link; this is the net below. */
	setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPINTVL, &intvl, sizeof(intvl));
	setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPCNT, &cnt, sizeof(cnt));
	setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user, sizeof(user));
	if (rd) {
		rd->id = id;
		rd->s = s;
		hkd.member[id].ctl = s;
		hkd.member[id].lost_at = 0;
		if (!task_spawn(read_control, rd))
			return 0;
		hkd.member[id].ctl = NULL;
	}
	free(rd);
	stream_free(s);
	return fail(err, "out of memory");
}

/* The socket goes to the module; no byte may be read or written here any more. */
static int attach_link(uint16_t id, struct stream *s, char *err)
{
	struct member *m = &hkd.member[id];
	int on = 1, fd, r;
	bool rdma = path_rdma(id, 0);

	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fd = stream_release(s);
	r = hk_link_add(hkd.nl, id, m->name, fd, rdma ? "rdma" : "tcp");
	close(fd);
	if (r)
		return fail(err, "link to node %u (%s): %s", id, m->name,
			    hk_nl_error(hkd.nl));
	m->link = true;
	m->renewed_at = 0;
	memset(m->path, 0, sizeof(m->path));
	memset(m->path_rdma, 0, sizeof(m->path_rdma));
	m->path_rdma[0] = rdma;
	memset(m->path_base, 0, sizeof(m->path_base));
	if (rdma)
		log_info("link to node %u (%s) by RDMA: not encrypted", id,
			 m->name);
	return 0;
}

struct stream *peer_open_at(uint16_t id, const char *address, enum purpose purpose,
			    char *err)
{
	struct member *m = &hkd.member[id];
	uint64_t deadline = now_ms() + CONNECT_MS;
	struct identity self, peer;
	struct stream *s;

	s = stream_connect(address, deadline, err);
	if (!s)
		return NULL;
	self_identity(&self);
	if (auth_connect(s, purpose, &self, &peer, deadline, err))
		goto err_free;
	if (peer.id != id || strcmp(peer.name, m->name)) {
		fail(err, "at %s is node %u (%s), not node %u (%s) of this cluster",
		     address, peer.id, peer.name, id, m->name);
		goto err_free;
	}
	memcpy(m->serial, peer.serial, sizeof(m->serial));
	return s;

err_free:
	stream_free(s);
	return NULL;
}

struct stream *peer_open(uint16_t id, enum purpose purpose, char *err)
{
	return peer_open_at(id, hkd.member[id].address, purpose, err);
}

int peer_control(uint16_t id, const char *address, char *err)
{
	struct stream *s = peer_open_at(id, address, PURPOSE_CONTROL, err);

	return s ? attach_control(id, s, err) : -1;
}

int peer_connect(uint16_t id, char *err)
{
	struct stream *s;

	s = peer_open(id, PURPOSE_CONTROL, err);
	if (!s || attach_control(id, s, err))
		return -1;
	s = peer_open(id, PURPOSE_LINK, err);
	if (!s || attach_link(id, s, err))
		return -1;
	return 0;
}

static void accepted(struct stream *s, enum purpose purpose,
		     const struct identity *peer, char *err)
{
	struct member *m = &hkd.member[peer->id];
	enum purpose first;
	bool rdma;
	int r;

	if (purpose == PURPOSE_JOIN) {
		coordinator_join(s, peer);
		stream_free(s);
		return;
	}
	if (peer->id == hkd.self || m->state == MEMBER_NONE ||
	    m->state == MEMBER_DOWN || strcmp(m->name, peer->name)) {
		log_error("%s: node %u (%s) is not expected here", s->what,
			  peer->id, peer->name);
		stream_free(s);
		return;
	}
	/* A ban may have come since its certificate was looked at. */
	if (trust_banned(peer->serial)) {
		log_error("node %u (%s) at %s is banned", peer->id, peer->name,
			  s->what);
		stream_free(s);
		return;
	}
	memcpy(m->serial, peer->serial, sizeof(m->serial));
	if (purpose == PURPOSE_RENEW) {
		if (renew_accepted(peer->id, s, err))
			log_error("%s", err);
		return;
	}
	if (purpose >= PURPOSE_PATH0) {
		rdma = purpose >= PURPOSE_RDMA0;
		first = rdma ? PURPOSE_RDMA0 : PURPOSE_PATH0;
		if (path_accepted(peer->id, (uint8_t)(purpose - first), rdma, s, err))
			log_error("%s", err);
		return;
	}
	if (purpose == PURPOSE_CONTROL)
		r = attach_control(peer->id, s, err);
	else
		r = attach_link(peer->id, s, err);
	if (r) {
		log_error("%s", err);
		member_down(peer->id, err);
	} else if (m->ctl && m->link) {
		member_up(peer->id);
	}
}

/* Return: 1: there is more to come on @s; 0: that was all; -1 with @err */
static int find_out(struct stream *s, enum purpose *purpose,
		    struct identity *peer, char *err)
{
	uint64_t deadline = now_ms() + CONNECT_MS;
	struct identity self;
	struct tls *t;
	int r = 0;

	t = tls_accept(s, deadline, err);
	if (!t)
		return -1;
	self_identity(&self);
	if (tls_role(t) == TLS_ENROL)
		enrol_answer(t, s->what, deadline);
	else
		r = auth_accept(t, s, &self, purpose, peer, deadline, err) ?
		    -1 : 1;
	tls_free(t);
	return r;
}

/*
 * Let the other side read why: a socket that is closed with data unread in it takes
 * back what was sent.
 */
static void part(struct stream *s)
{
	uint64_t deadline = now_ms() + PART_MS;
	char buf[1024];
	ssize_t n;

	shutdown(s->fd, SHUT_WR);
	while (now_ms() < deadline) {
		n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (!n || (n < 0 && errno != EAGAIN))
			return;
		if (n < 0 && task_poll(s->fd, EPOLLIN | EPOLLRDHUP, deadline) < 0)
			return;
	}
}

void peer_incoming(void *arg)
{
	int fd = (int)(intptr_t)arg, on = 1, r;
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	struct stranger stranger;
	char err[HK_ERR_LEN] = "";
	struct identity peer;
	enum purpose purpose;
	char what[96] = "?";
	struct stream *s;

	if (!getpeername(fd, (struct sockaddr *)&sa, &len))
		address_print(&sa, what, sizeof(what));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s = stream_new(fd, what);
	if (!s)
		return;
	gate_enter(&stranger, s->fd, &sa);
	r = find_out(s, &purpose, &peer, err);
	if (r < 0) {
		log_error("%s", err);
		part(s);
	}
	gate_leave(&stranger);
	if (r <= 0) {
		stream_free(s);
		return;
	}
	accepted(s, purpose, &peer, err);
}
