// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/auth.c - who is at the other end of a connection, and what for
 *
 *	connecting side				accepting side
 *	TLS handshake, both certificates	<->
 *	{"hello":2,"purpose":…,…}		->
 *					<-	{"hello":2,…} or {"error":…}
 *	keys to the kernel			keys to the kernel
 *
 * Both lines travel inside of TLS, in plain clusters too. Who somebody is comes from
 * the certificate alone; that the line says it as well catches a certificate in the
 * wrong place.
 */
#include <string.h>
#include "auth.h"
#include "log.h"
#include "trust.h"

#define AUTH_VERSION	2

struct release release;

static const char *const purpose_name[PURPOSE_MAX] = {
	[PURPOSE_JOIN]		= "join",
	[PURPOSE_CONTROL]	= "control",
	[PURPOSE_LINK]		= "link",
	[PURPOSE_RENEW]		= "renew",
	[PURPOSE_PATH0]		= "path-0",
	[PURPOSE_PATH1]		= "path-1",
	[PURPOSE_PATH2]		= "path-2",
	[PURPOSE_PATH3]		= "path-3",
	[PURPOSE_RDMA0]		= "rdma-path-0",
	[PURPOSE_RDMA1]		= "rdma-path-1",
	[PURPOSE_RDMA2]		= "rdma-path-2",
	[PURPOSE_RDMA3]		= "rdma-path-3",
};

static int send_obj(struct tls *t, struct json_object *obj, uint64_t deadline,
		    char *err)
{
	int r = tls_write_line(t, json_object_to_json_string_ext(obj,
				JSON_C_TO_STRING_PLAIN), deadline, err);

	json_object_put(obj);
	return r;
}

static int send_hello(struct tls *t, enum purpose purpose,
		      const struct identity *self, uint64_t deadline, char *err)
{
	struct json_object *obj = json_object_new_object();

	js_add_int(obj, "hello", AUTH_VERSION);
	js_add_str(obj, "purpose", purpose_name[purpose]);
	js_add_str(obj, "name", trust.self.name);
	js_add_int(obj, "id", trust.self.id);
	js_add_str(obj, "cluster", trust.self.cluster);
	json_object_object_add(obj, "member",
			       json_object_new_boolean(self->id != 0));
	js_add_str(obj, "program", release.program);
	js_add_str(obj, "module", release.module);
	js_add_int(obj, "wire", release.wire);
	js_add_int(obj, "features", release.features);
	return send_obj(t, obj, deadline, err);
}

/* tell the other side why, as well as it goes */
static void send_refusal(struct tls *t, const char *why, uint64_t deadline)
{
	struct json_object *obj = json_object_new_object();
	char err[HK_ERR_LEN];

	js_add_str(obj, "error", why);
	send_obj(t, obj, deadline, err);
}

static struct json_object *receive(struct tls *t, const char *what,
				   uint64_t deadline, char *err)
{
	char line[TLS_LINE_MAX];
	struct json_object *obj;
	const char *why;

	if (tls_read_line(t, line, deadline, err))
		return NULL;
	obj = js_parse(line, strlen(line), err);
	why = obj ? js_str(obj, "error") : NULL;
	if (obj && !why)
		return obj;
	if (why)
		fail(err, "refused by %s: %.300s", what, why);
	else
		fail(err, "%s: %.300s", what, err);
	json_object_put(obj);
	return NULL;
}

/* the same release on both ends: their modules will say so, too, but later */
static int check_release(struct json_object *obj, const struct identity *peer,
			 char *err)
{
	const char *module = js_str(obj, "module");
	int64_t wire = js_int(obj, "wire", -1);
	int64_t features = js_int(obj, "features", -1);

	if (wire != release.wire)
		return fail(err, "node %u (%s) has module %.31s with messages of version %lld, node %u (%s) has %s with %u: load the same release on both",
			    peer->id, peer->name, module ? module : "?",
			    (long long)wire, trust.self.id, trust.self.name,
			    release.module, release.wire);
	if (features != release.features)
		return fail(err, "node %u (%s) has module %.31s with features 0x%llx, node %u (%s) has %s with 0x%x: load the same release on both",
			    peer->id, peer->name, module ? module : "?",
			    (unsigned long long)features, trust.self.id,
			    trust.self.name, release.module, release.features);
	return 0;
}

static int check_hello(struct json_object *obj, const char *what,
		       const struct identity *peer, enum purpose *purpose,
		       char *err)
{
	const char *name = js_str(obj, "name"), *use = js_str(obj, "purpose");
	const char *cluster = js_str(obj, "cluster");
	unsigned int i;

	if (js_int(obj, "hello", 0) != AUTH_VERSION)
		return fail(err, "%s does not speak version %d of this protocol",
			    what, AUTH_VERSION);
	for (i = 0; i < PURPOSE_MAX; i++)
		if (use && !strcmp(use, purpose_name[i]))
			break;
	if (i == PURPOSE_MAX || !name || !cluster)
		return fail(err, "%s sent a malformed hello", what);
	*purpose = (enum purpose)i;
	if (strcmp(name, peer->name) || js_int(obj, "id", 0) != peer->id ||
	    strcmp(cluster, peer->cluster))
		return fail(err, "%s says it is node %lld (%.31s), but its certificate is that of node %u (%s)",
			    what, (long long)js_int(obj, "id", 0), name,
			    peer->id, peer->name);
	return check_release(obj, peer, err);
}

static int check_peer(struct tls *t, const char *what, struct identity *peer,
		      char *err)
{
	if (tls_peer(t, peer, err))
		return -1;
	if (trust_banned(peer->serial))
		return fail(err, "node %u (%s) at %s is banned", peer->id,
			    peer->name, what);
	if (peer->id == trust.self.id)
		return fail(err, "%s uses the certificate of this very node",
			    what);
	return 0;
}

int auth_connect(struct stream *s, enum purpose purpose,
		 const struct identity *self, struct identity *peer,
		 uint64_t deadline, char *err)
{
	struct tls *t = tls_connect(s, TLS_MEMBER, NULL, deadline, err);
	struct json_object *obj;
	enum purpose use;
	int r = -1;

	if (!t)
		return -1;
	if (check_peer(t, s->what, peer, err) ||
	    send_hello(t, purpose, self, deadline, err))
		goto out;
	obj = receive(t, s->what, deadline, err);
	if (!obj)
		goto out;
	r = check_hello(obj, s->what, peer, &use, err);
	json_object_put(obj);
	if (!r && use != purpose)
		r = fail(err, "%s answered for another purpose", s->what);
	if (!r && !trust.plain)
		r = tls_to_kernel(t, err);
out:
	tls_free(t);
	return r;
}

int auth_accept(struct tls *t, struct stream *s, const struct identity *self,
		enum purpose *purpose, struct identity *peer,
		uint64_t deadline, char *err)
{
	struct json_object *obj;
	int r = check_peer(t, s->what, peer, err);

	obj = receive(t, s->what, deadline, r ? (char[HK_ERR_LEN]){ 0 } : err);
	if (!r)
		r = obj ? check_hello(obj, s->what, peer, purpose, err) : -1;
	if (!r && !self->id)
		r = fail(err, "node %u (%s) is in no cluster now",
			 trust.self.id, trust.self.name);
	json_object_put(obj);
	if (r) {
		send_refusal(t, err, deadline);
		return -1;
	}
	if (send_hello(t, *purpose, self, deadline, err))
		return -1;
	return trust.plain ? 0 : tls_to_kernel(t, err);
}
