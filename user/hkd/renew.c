// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/renew.c - new keys for links
 *
 * The kernel's TLS keeps the keys of a connection, and AES-GCM should not encrypt
 * more than 2^24.5 records of 16 KiB with one of them (RFC 8446, 5.5), 362 GiB. So
 * the link goes over to a new connection before. Of two nodes the one with the lower
 * id makes it, so that never two are on their way at once:
 *
 *	lower id				higher id
 *	connects, "renew"			->
 *	LINK_RENEW				LINK_RENEW
 *
 * The modules agree on the rest by themselves (fabric/link_renew.c).
 */
#include "hkd.h"

#define WATCH_MS	1000

struct look {
	uint16_t id;
	uint32_t renewals;
	bool up;
	uint64_t bytes[HK_NODES_MAX];
};

static void look_at(const struct hk_link_info *link, void *arg)
{
	struct look *look = arg;

	if (link->state != HK_LINK_UP || link->peer >= HK_NODES_MAX)
		return;
	look->bytes[link->peer] = link->tx_bytes > link->rx_bytes ?
				  link->tx_bytes : link->rx_bytes;
	if (link->peer != look->id)
		return;
	look->up = true;
	look->renewals = link->renewals;
}

static int look(struct look *l, uint16_t id, char *err)
{
	*l = (struct look){ .id = id };
	if (hk_link_dump(hkd.nl, look_at, l))
		return fail(err, "%s", hk_nl_error(hkd.nl));
	if (id && !l->up)
		return fail(err, "the link to node %u (%s) is not up", id,
			    hkd.member[id].name);
	return 0;
}

int renew_accepted(uint16_t id, struct stream *s, char *err)
{
	struct look l;
	int r;

	if (id > hkd.self || !hkd.member[id].link) {
		stream_free(s);
		return fail(err, "node %u (%s) renews a link that is not its to renew",
			    id, hkd.member[id].name);
	}
	r = hand_over(id, -1, false, s, err);
	if (!r && !look(&l, id, err))
		hkd.member[id].renewed_at = l.bytes[id];
	return r;
}

static int renew(uint16_t id, char *err)
{
	uint64_t deadline;
	struct look before, now;
	struct stream *s;

	if (look(&before, id, err))
		return -1;
	s = peer_open(id, PURPOSE_RENEW, err);
	if (!s || hand_over(id, -1, false, s, err))
		return -1;
	deadline = now_ms() + RPC_MS;
	for (;;) {
		if (look(&now, id, err))
			return -1;
		if (now.renewals != before.renewals)
			break;
		if (now_ms() >= deadline)
			return fail(err, "the link to node %u (%s) does not go over to its new connection",
				    id, hkd.member[id].name);
		/* an event of the module */
		task_wait_change(deadline);
	}
	hkd.member[id].renewed_at = now.bytes[id];
	log_info("link to node %u (%s) has new keys", id, hkd.member[id].name);
	return 0;
}

/* The other node is to do it, as it makes the connections of this link. */
static int ask_to_renew(uint16_t id, char *err)
{
	struct json_object *req = json_object_new_object();

	js_add_str(req, "cmd", "link-renew");
	return peer_call(id, req, NULL, 2 * RPC_MS, err);
}

int renew_link(uint16_t id, bool asked, char *err)
{
	struct member *m = &hkd.member[id];
	int r;

	if (trust.plain)
		return fail(err, "the cluster is plain: its links have no keys");
	if (m->state != MEMBER_UP || !m->link)
		return fail(err, "the link to node %u (%s) is not up", id, m->name);
	if (path_several(id)) {
		r = path_renew(id, err);
		if (r == 1)
			r = asked ? fail(err, "node %u does not make the paths of this link",
					 hkd.self) :
				    ask_to_renew(id, err);
		return r;
	}
	if (id < hkd.self)
		return asked ? fail(err, "node %u is to renew this link", id) :
			       ask_to_renew(id, err);
	if (m->renewing)
		return fail(err, "the link to node %u (%s) is being renewed", id,
			    m->name);
	m->renewing = true;
	r = renew(id, err);
	m->renewing = false;
	return r;
}

void renew_watch(void *unused)
{
	char err[HK_ERR_LEN];
	struct look l;
	uint16_t id;

	(void)unused;
	for (;;) {
		task_sleep(WATCH_MS);
		if (!hkd.self || trust.plain || look(&l, 0, err))
			continue;
		for (id = hkd.self + 1; id < HK_NODES_MAX; id++) {
			/* path.c sees to those with several */
			if (hkd.member[id].state != MEMBER_UP || path_several(id) ||
			    l.bytes[id] < hkd.member[id].renewed_at ||
			    l.bytes[id] - hkd.member[id].renewed_at <
			    hkd.renew_bytes)
				continue;
			if (renew_link(id, false, err))
				log_error("new keys: %s", err);
		}
	}
}

struct json_object *renew_command(struct json_object *req, char *err)
{
	uint16_t id = member_find(js_str(req, "peer"), err);
	struct json_object *reply;

	if (!id)
		return NULL;
	if (id == hkd.self) {
		fail(err, "node %u is this node", id);
		return NULL;
	}
	if (renew_link(id, false, err))
		return NULL;
	reply = json_object_new_object();
	js_add_int(reply, "peer-id", id);
	return reply;
}
