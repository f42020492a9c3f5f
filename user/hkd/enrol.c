// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/enrol.c - how a host gets its certificate, and how it loses it
 *
 *	new host				node 1
 *	TLS, only node 1 has a certificate	<->
 *	token, name, certificate request	->
 *					<-	certificate, bans
 *
 * The new host knows from the token which CA to expect; node 1 knows by the token's
 * secret that an administrator wants the host. The key is made on the new host and
 * stays there. nodes.json says which certificate is the one of which node: an id and
 * a name belong to it until the node is banned, or a token for that name replaces it.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include "enrol.h"
#include "hkd.h"
#include "state.h"
#include "token.h"
#include "trust.h"

#define VALID_DEFAULT_S	3600
#define VALID_MAX_S	604800

static ssize_t find_name(struct json_object *list, const char *name)
{
	size_t i, n = json_object_array_length(list);
	const char *have;

	for (i = 0; i < n; i++) {
		have = js_str(json_object_array_get_idx(list, i), "name");
		if (have && !strcmp(have, name))
			return (ssize_t)i;
	}
	return -1;
}

static ssize_t find_id(struct json_object *list, int64_t id)
{
	size_t i, n = json_object_array_length(list);

	for (i = 0; i < n; i++)
		if (js_int(json_object_array_get_idx(list, i), "id", 0) == id)
			return (ssize_t)i;
	return -1;
}

static int enter(struct json_object *list, ssize_t at, const struct identity *who,
		 char *err)
{
	struct json_object *obj = json_object_new_object();

	js_add_int(obj, "id", who->id);
	js_add_str(obj, "name", who->name);
	js_add_str(obj, "serial", who->serial);
	if (at < 0)
		json_object_array_add(list, obj);
	else
		json_object_array_put_idx(list, (size_t)at, obj);
	return state_write_json("nodes.json", list, err);
}

int enrol_self(char *err)
{
	struct json_object *list = state_read_list("nodes.json", err);
	int r;

	if (!list)
		return -1;
	r = enter(list, find_id(list, trust.self.id), &trust.self, err);
	json_object_put(list);
	return r;
}

int enrol_current(const struct identity *peer, char *err)
{
	struct json_object *list = state_read_list("nodes.json", err), *obj;
	const char *serial = NULL;
	ssize_t i;
	int r = 0;

	if (!list)
		return -1;
	i = find_id(list, peer->id);
	if (i >= 0) {
		obj = json_object_array_get_idx(list, (size_t)i);
		serial = js_str(obj, "serial");
	}
	if (!serial || strcmp(serial, peer->serial))
		r = fail(err, "the certificate of node %u (%s) is not the one it was given last: enrol it with a new token",
			 peer->id, peer->name);
	json_object_put(list);
	return r;
}

/* Everybody's daemon, and this one's connections. */
static unsigned int spread_bans(char *err)
{
	struct json_object *req;
	unsigned int told = 0;
	char text[HK_ERR_LEN];
	uint16_t id;

	for (id = 1; id < HK_NODES_MAX; id++) {
		if (id == hkd.self || hkd.member[id].state != MEMBER_UP)
			continue;
		req = json_object_new_object();
		js_add_str(req, "cmd", "bans");
		json_object_object_add(req, "banned", trust_bans());
		if (!peer_call(id, req, NULL, RPC_MS, text)) {
			told++;
			continue;
		}
		log_error("bans: %s", text);
		fail(err, "banned, and cut off here; but %s", text);
	}
	return told;
}

static void cut_banned(void)
{
	uint16_t id;

	for (id = 1; id < HK_NODES_MAX; id++)
		if (id != hkd.self && hkd.member[id].serial[0] &&
		    trust_banned(hkd.member[id].serial))
			member_down(id, "banned by the administrator");
}

int bans_received(struct json_object *list, char *err)
{
	int r = trust_ban_all(list, err);

	/* What could not be kept holds all the same. */
	cut_banned();
	return r;
}

static void spread_later(void *arg)
{
	char err[HK_ERR_LEN];

	(void)arg;
	spread_bans(err);
}

static uint16_t free_id(struct json_object *list)
{
	uint16_t id;

	for (id = 1; id < HK_NODES_MAX; id++)
		if (find_id(list, id) < 0 && hkd.member[id].state != MEMBER_UP &&
		    hkd.member[id].state != MEMBER_JOINING)
			return id;
	return 0;
}

/* an id for the name, or why not; *@old: the certificate that is replaced */
static int choose(struct json_object *list, const char *name, const char *bound,
		  uint16_t *id, char old[SERIAL_LEN], char *err)
{
	ssize_t at = find_name(list, name);
	struct json_object *obj;
	const char *serial;

	old[0] = 0;
	if (bound[0] && strcmp(bound, name))
		return fail(err, "this token is for a node named %s, not %s",
			    bound, name);
	if (at < 0) {
		*id = free_id(list);
		return *id ? 0 : fail(err, "the cluster is full: %u nodes are enrolled; ban one that is gone",
				      HK_NODES_MAX - 1);
	}
	obj = json_object_array_get_idx(list, (size_t)at);
	*id = (uint16_t)js_int(obj, "id", 0);
	if (!bound[0] || *id == hkd.self)
		return fail(err, "there is a node named %s already; give the new one another --name, or replace it: hkctl cluster invite for %s",
			    name, name);
	serial = js_str(obj, "serial");
	if (serial)
		snprintf(old, SERIAL_LEN, "%s", serial);
	return 0;
}

static X509 *admit(struct json_object *req, struct identity *who, char *err)
{
	const char *name = js_str(req, "name"), *csr = js_str(req, "csr");
	uint8_t id[TOKEN_ID_LEN], secret[TOKEN_SECRET_LEN];
	char bound[HK_NAME_MAX], old[SERIAL_LEN];
	struct json_object *list;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;

	if (js_int(req, "enrol", 0) != 1 || !hk_name_ok(name) || !csr ||
	    hk_unhex(id, sizeof(id), js_str(req, "token")) ||
	    hk_unhex(secret, sizeof(secret), js_str(req, "secret"))) {
		fail(err, "malformed request");
		return NULL;
	}
	if (hkd.self != COORDINATOR) {
		fail(err, "this node is in no cluster now");
		return NULL;
	}
	/* First the token: who has none is told nothing. */
	if (token_check(id, secret, bound, err))
		return NULL;
	list = state_read_list("nodes.json", err);
	if (!list)
		return NULL;
	memset(who, 0, sizeof(*who));
	snprintf(who->name, sizeof(who->name), "%s", name);
	strcpy(who->cluster, trust.self.cluster);
	key = x509_csr_key(csr, err);
	if (!key || choose(list, name, bound, &who->id, old, err))
		goto out;
	cert = x509_issue(trust.ca, trust.ca_key, key, who, err);
	if (!cert || x509_identity(cert, who) || token_spend(id, err))
		goto err_cert;
	if (old[0] && trust_ban(old, err))
		goto err_cert;
	if (enter(list, find_name(list, name), who, err))
		goto err_cert;
	if (old[0]) {
		cut_banned();
		task_spawn(spread_later, NULL);
	}
	goto out;

err_cert:
	X509_free(cert);
	cert = NULL;
out:
	EVP_PKEY_free(key);
	json_object_put(list);
	return cert;
}

void enrol_answer(struct tls *t, const char *what, uint64_t deadline)
{
	struct json_object *req = NULL, *reply = json_object_new_object();
	char line[TLS_LINE_MAX], err[HK_ERR_LEN] = "", *pem;
	struct identity who;
	X509 *cert = NULL;

	if (!tls_read_line(t, line, deadline, err)) {
		req = js_parse(line, strlen(line), err);
		cert = req ? admit(req, &who, err) : NULL;
	}
	OPENSSL_cleanse(line, sizeof(line));
	if (cert) {
		log_info("enrolled node %u (%s) at %s, certificate %s", who.id,
			 who.name, what, who.serial);
		pem = x509_to_pem(cert);
		js_add_str(reply, "cert", pem ? pem : "");
		free(pem);
		js_add_str(reply, "cluster-name", trust.cluster_name);
	} else {
		log_error("refused to enrol a host at %s: %s", what, err);
		js_add_str(reply, "error", err);
	}
	if (tls_write_line(t, json_object_to_json_string_ext(reply,
				JSON_C_TO_STRING_PLAIN), deadline, err) && cert)
		log_error("node %u (%s) did not get its certificate: %s", who.id,
			  who.name, err);
	X509_free(cert);
	json_object_put(reply);
	json_object_put(req);
}

static int ask(struct tls *t, const struct token *token, EVP_PKEY *key,
	       char *line, uint64_t deadline, char *err)
{
	char id[2 * TOKEN_ID_LEN + 1], secret[2 * TOKEN_SECRET_LEN + 1];
	char *csr = x509_make_csr(key, hkd.name);
	struct json_object *req;
	int r;

	if (!csr)
		return fail(err, "cannot make a certificate request");
	hk_hex(id, token->id, sizeof(token->id));
	hk_hex(secret, token->secret, sizeof(token->secret));
	req = json_object_new_object();
	js_add_int(req, "enrol", 1);
	js_add_str(req, "token", id);
	js_add_str(req, "secret", secret);
	js_add_str(req, "name", hkd.name);
	js_add_str(req, "csr", csr);
	free(csr);
	r = tls_write_line(t, json_object_to_json_string_ext(req,
				JSON_C_TO_STRING_PLAIN), deadline, err);
	json_object_put(req);
	return r ? r : tls_read_line(t, line, deadline, err);
}

static int adopt(const char *line, const struct token *token, EVP_PKEY *key,
		 X509 *ca, const char *what, char *err)
{
	struct json_object *reply = js_parse(line, strlen(line), err);
	const char *why = reply ? js_str(reply, "error") : NULL;
	const char *pem = reply ? js_str(reply, "cert") : NULL;
	const char *name = reply ? js_str(reply, "cluster-name") : NULL;
	struct identity who;
	X509 *cert = NULL;
	int r = -1;

	if (why) {
		fail(err, "refused by %s: %.400s", what, why);
		goto out;
	}
	cert = pem ? x509_from_pem(pem) : NULL;
	if (!cert || !ca || x509_identity(cert, &who) ||
	    strcmp(who.name, hkd.name) || (name && name[0] && !hk_name_ok(name))) {
		fail(err, "%s: malformed answer", what);
		goto out;
	}
	EVP_PKEY_up_ref(key);
	X509_up_ref(ca);
	r = trust_adopt(key, cert, ca, name, token->plain, err);
	if (!r) {
		log_info("enrolled as node %u (%s), certificate %s", who.id,
			 who.name, who.serial);
		cert = NULL;
	} else {
		EVP_PKEY_free(key);
		X509_free(ca);
	}
out:
	X509_free(cert);
	json_object_put(reply);
	return r;
}

int enrol_request(const char *address, const char *text, uint64_t deadline,
		  char *err)
{
	char line[TLS_LINE_MAX];
	struct token token;
	struct stream *s;
	struct tls *t = NULL;
	EVP_PKEY *key = NULL;
	X509 *ca = NULL;
	int r = -1;

	if (token_parse(&token, text, err))
		return -1;
	if (trust.ca_key)
		return fail(err, "this host holds the CA of cluster %s: give hkd another --state-dir to join another one",
			    trust_name());
	s = stream_connect(address, deadline, err);
	if (!s)
		return -1;
	t = tls_connect(s, TLS_ENROL, token.cluster, deadline, err);
	if (!t)
		goto out;
	key = x509_make_key();
	ca = tls_peer_ca(t);
	if (!key)
		fail(err, "no random numbers to make a key of");
	else if (!ask(t, &token, key, line, deadline, err))
		r = adopt(line, &token, key, ca, s->what, err);
out:
	OPENSSL_cleanse(&token, sizeof(token));
	X509_free(ca);
	EVP_PKEY_free(key);
	tls_free(t);
	stream_free(s);
	return r;
}

static int at_coordinator(const char *what, char *err)
{
	if (hkd.self == COORDINATOR && trust.ca_key)
		return 0;
	if (!hkd.self)
		return fail(err, "this node is in no cluster");
	return fail(err, "%s at node %u (%s): it holds the CA", what, COORDINATOR,
		    hkd.member[COORDINATOR].name);
}

struct json_object *enrol_invite(struct json_object *req, char *err)
{
	const char *name = js_str(req, "for");
	int64_t valid = js_int(req, "valid", VALID_DEFAULT_S);
	char text[TOKEN_TEXT_LEN];
	struct json_object *reply;

	if (at_coordinator("invite", err))
		return NULL;
	if (name && !hk_name_ok(name)) {
		fail(err, "\"%.64s\" cannot be a node's name", name);
		return NULL;
	}
	if (valid < 1 || valid > VALID_MAX_S) {
		fail(err, "a token is valid for 1 to %d seconds", VALID_MAX_S);
		return NULL;
	}
	if (token_make(text, name, (uint32_t)valid, err))
		return NULL;
	log_info("made a token, good for %lld s%s%s", (long long)valid,
		 name ? ", for node " : "", name ? name : "");
	reply = json_object_new_object();
	js_add_str(reply, "token", text);
	js_add_int(reply, "valid-s", valid);
	if (name)
		js_add_str(reply, "for", name);
	js_add_str(reply, "address", hkd.address);
	return reply;
}

struct json_object *enrol_ban(struct json_object *req, char *err)
{
	const char *text = js_str(req, "node"), *serial, *name;
	struct json_object *list, *obj, *reply = NULL;
	char who[HK_NAME_MAX] = "", number[SERIAL_LEN] = "";
	uint64_t num = 0;
	unsigned int told;
	uint16_t id;
	ssize_t at;
	int r;

	if (at_coordinator("ban", err))
		return NULL;
	list = state_read_list("nodes.json", err);
	if (!list)
		return NULL;
	at = text && hk_parse_u64(text, 1, HK_NODES_MAX - 1, &num) ?
	     find_name(list, text) : find_id(list, (int64_t)num);
	if (at < 0) {
		fail(err, "no node \"%.64s\" is enrolled", text ? text : "");
		goto out;
	}
	obj = json_object_array_get_idx(list, (size_t)at);
	id = (uint16_t)js_int(obj, "id", 0);
	serial = js_str(obj, "serial");
	name = js_str(obj, "name");
	if (id == hkd.self) {
		fail(err, "node %u holds the CA and cannot be banned", id);
		goto out;
	}
	snprintf(who, sizeof(who), "%s", name ? name : "");
	snprintf(number, sizeof(number), "%s", serial ? serial : "");
	r = trust_ban(number, err);
	/* What could not be kept holds all the same, until the daemon ends. */
	cut_banned();
	json_object_array_del_idx(list, (size_t)at, 1);
	if (r || state_write_json("nodes.json", list, err))
		goto out;
	log_info("banned node %u (%s), certificate %s", id, who, number);
	err[0] = 0;
	told = spread_bans(err);
	if (err[0])
		goto out;
	reply = json_object_new_object();
	js_add_int(reply, "node-id", id);
	js_add_str(reply, "node-name", who);
	js_add_str(reply, "serial", number);
	js_add_int(reply, "members-told", told);
out:
	json_object_put(list);
	return reply;
}
