// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/trust.c - what this host holds
 *
 *	node.key	private key of this node, never leaves the host
 *	node.crt	its certificate
 *	ca.crt		certificate of the cluster's CA: what this host trusts
 *	cluster.json	name; "tls" or "plain". Written last: without it the three
 *			above do not count
 *	banned.json	serial numbers that are not let in any more
 *
 * and at node 1
 *
 *	ca.key		private key of the CA
 *	nodes.json	which certificate is that of which node (enrol.c)
 *	tokens.json	invitations, secrets hashed (token.c)
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "state.h"
#include "stream.h"
#include "tls.h"
#include "trust.h"

#define BANS_MAX	500	/* the list travels in one line */

struct trust trust;
static struct json_object *bans;

static void drop(struct trust *t)
{
	EVP_PKEY_free(t->key);
	X509_free(t->cert);
	X509_free(t->ca);
	EVP_PKEY_free(t->ca_key);
	memset(t, 0, sizeof(*t));
}

static void use(struct trust *t)
{
	drop(&trust);
	trust = *t;
	tls_reset();
}

static X509 *read_cert(const char *name, char *err)
{
	char *text = state_read(name, err);
	X509 *cert = text ? x509_from_pem(text) : NULL;

	if (!cert && !err[0])
		fail(err, "%s/%s: %s", state_dir(), name,
		     text ? "no certificate in PEM format" : "missing");
	free(text);
	return cert;
}

static EVP_PKEY *read_key(const char *name, char *err)
{
	char *text = state_read(name, err);
	EVP_PKEY *key = text ? x509_key_from_pem(text) : NULL;

	if (!key && !err[0])
		fail(err, "%s/%s: %s", state_dir(), name,
		     text ? "no private key in PEM format without a passphrase" :
		     "missing");
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
	return key;
}

static int write_cert(const char *name, X509 *cert, char *err)
{
	char *text = x509_to_pem(cert);
	int r = text ? state_write(name, text, err) : fail(err, "out of memory");

	free(text);
	return r;
}

static int write_key(const char *name, EVP_PKEY *key, char *err)
{
	char *text = x509_key_to_pem(key);
	int r = text ? state_write(name, text, err) : fail(err, "out of memory");

	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
	return r;
}

/* the fields that follow from certificates */
static int fill(struct trust *t, char *err)
{
	char hex[2 * HK_CLUSTER_ID_LEN + 1];

	if (x509_cluster_id(t->ca, t->cluster))
		return fail(err, "out of memory");
	hk_hex(hex, t->cluster, sizeof(t->cluster));
	if (x509_identity(t->cert, &t->self) || strcmp(t->self.cluster, hex))
		return fail(err, "the certificate is none for a node of this cluster");
	if (X509_check_private_key(t->cert, t->key) != 1)
		return fail(err, "key and certificate do not belong together");
	return 0;
}

static int load_cluster(struct trust *t, struct json_object *obj, char *err)
{
	const char *name = js_str(obj, "name"), *enc = js_str(obj, "encryption");

	if (!enc || (strcmp(enc, "tls") && strcmp(enc, "plain")))
		return fail(err, "%s/cluster.json is damaged", state_dir());
	t->plain = !strcmp(enc, "plain");
	if (hk_name_ok(name))
		strcpy(t->cluster_name, name);
	t->key = read_key("node.key", err);
	if (!t->key)
		return -1;
	t->cert = read_cert("node.crt", err);
	if (!t->cert)
		return -1;
	t->ca = read_cert("ca.crt", err);
	if (!t->ca)
		return -1;
	if (fill(t, err))
		return fail(err, "%s: %s; remove its files and join anew",
			    state_dir(), err);
	t->ca_key = read_key("ca.key", err);
	if (!t->ca_key && t->self.id == 1)
		return -1;
	err[0] = 0;
	return 0;
}

int trust_load(char *err)
{
	struct trust t = { 0 };
	struct json_object *obj;
	char *text;
	int r;

	bans = state_read_list("banned.json", err);
	if (!bans)
		return -1;
	text = state_read("cluster.json", err);
	if (!text)
		return err[0] ? -1 : 0;
	obj = json_tokener_parse(text);
	free(text);
	r = load_cluster(&t, obj, err);
	json_object_put(obj);
	if (r)
		drop(&t);
	else
		use(&t);
	return r;
}

static int store_cluster(const struct trust *t, char *err)
{
	struct json_object *obj = json_object_new_object();
	int r;

	js_add_str(obj, "name", t->cluster_name);
	js_add_str(obj, "encryption", t->plain ? "plain" : "tls");
	r = state_write_json("cluster.json", obj, err);
	json_object_put(obj);
	return r;
}

static int store(const struct trust *t, char *err)
{
	if (state_remove("cluster.json", err) ||
	    (t->ca_key ? write_key("ca.key", t->ca_key, err) :
			 state_remove("ca.key", err)) ||
	    write_cert("ca.crt", t->ca, err) ||
	    write_key("node.key", t->key, err) ||
	    write_cert("node.crt", t->cert, err))
		return -1;
	return store_cluster(t, err);
}

/* Another cluster's bans say nothing about this one. */
static int forget_bans(char *err)
{
	json_object_put(bans);
	bans = json_object_new_array();
	return state_write_json("banned.json", bans, err);
}

static int bring_ca(struct trust *t, const struct trust_new *how, char *err)
{
	char *text;

	if (!how->ca_cert) {
		t->ca_key = x509_make_key();
		if (t->ca_key)
			t->ca = x509_make_ca(t->ca_key, how->name ? how->name :
					     "cluster");
		return t->ca ? 0 : fail(err, "no random numbers to make a CA of");
	}
	text = file_read(how->ca_cert, err);
	if (!text)
		return -1;
	t->ca = x509_from_pem(text);
	free(text);
	if (!t->ca)
		return fail(err, "%s: no certificate in PEM format",
			    how->ca_cert);
	text = file_read(how->ca_key, err);
	if (!text)
		return -1;
	t->ca_key = x509_key_from_pem(text);
	OPENSSL_cleanse(text, strlen(text));
	free(text);
	if (!t->ca_key)
		return fail(err, "%s: no private key in PEM format without a passphrase",
			    how->ca_key);
	return x509_check_ca(t->ca, t->ca_key, err);
}

const char *trust_name(void)
{
	return trust.cluster_name[0] ? trust.cluster_name : "without a name";
}

/* The identity that is there already: does the request fit it? */
static int take_up(const struct trust_new *how, char *err)
{
	if (!trust.ca_key)
		return fail(err, "this host is enrolled as node %u (%s) of a cluster; to make another one give hkd another --state-dir, or empty %s",
			    trust.self.id, trust.self.name, state_dir());
	if (how->ca_cert)
		return fail(err, "%s holds a CA already, of cluster %s",
			    state_dir(), trust_name());
	if (how->name && strcmp(how->name, trust.cluster_name))
		return fail(err, "%s holds the CA of cluster %s; to make another one give hkd another --state-dir, or empty it",
			    state_dir(), trust_name());
	if (how->plain != trust.plain)
		return fail(err, "cluster %s was created %s",
			    trust_name(), trust.plain ?
			    "plain: say plain again" : "with encryption, which it keeps");
	if (strcmp(how->node, trust.self.name))
		return fail(err, "the certificate in %s is that of node %s: start hkd with --name %s",
			    state_dir(), trust.self.name, trust.self.name);
	return x509_check_ca(trust.ca, trust.ca_key, err);
}

int trust_create(const struct trust_new *how, bool *made, char *err)
{
	struct identity who = { .id = 1 };
	struct trust t = { .plain = how->plain };

	*made = false;
	if (trust.cert)
		return take_up(how, err);
	snprintf(t.cluster_name, sizeof(t.cluster_name), "%s",
		 how->name ? how->name : "");
	snprintf(who.name, sizeof(who.name), "%s", how->node);
	if (bring_ca(&t, how, err))
		goto err_drop;
	if (x509_cluster_id(t.ca, t.cluster)) {
		fail(err, "out of memory");
		goto err_drop;
	}
	hk_hex(who.cluster, t.cluster, sizeof(t.cluster));
	t.key = x509_make_key();
	if (!t.key) {
		fail(err, "no random numbers to make a key of");
		goto err_drop;
	}
	t.cert = x509_issue(t.ca, t.ca_key, t.key, &who, err);
	if (!t.cert || fill(&t, err) || x509_check(t.cert, t.ca, err))
		goto err_drop;
	if (state_remove("nodes.json", err) || state_remove("tokens.json", err) ||
	    forget_bans(err) || store(&t, err))
		goto err_drop;
	use(&t);
	*made = true;
	return 0;

err_drop:
	drop(&t);
	return -1;
}

int trust_adopt(EVP_PKEY *key, X509 *cert, X509 *ca, const char *name,
		bool plain, char *err)
{
	struct trust t = { .plain = plain, .key = key, .cert = cert, .ca = ca };

	snprintf(t.cluster_name, sizeof(t.cluster_name), "%s", name ? name : "");
	if (trust.ca_key)
		return fail(err, "this host holds the CA of cluster %s: give hkd another --state-dir to join another one",
			    trust_name());
	if (fill(&t, err) || x509_check(cert, ca, err) || forget_bans(err) ||
	    store(&t, err))
		return -1;
	use(&t);
	return 0;
}

bool trust_banned(const char *serial)
{
	size_t i, n = bans ? json_object_array_length(bans) : 0;
	struct json_object *obj;

	for (i = 0; i < n; i++) {
		obj = json_object_array_get_idx(bans, i);
		if (json_object_is_type(obj, json_type_string) &&
		    !strcmp(json_object_get_string(obj), serial))
			return true;
	}
	return false;
}

struct json_object *trust_bans(void)
{
	struct json_object *copy = NULL;

	json_object_deep_copy(bans, &copy, NULL);
	return copy;
}

static int add(const char *serial, char *err)
{
	if (trust_banned(serial))
		return 0;
	if (strlen(serial) >= SERIAL_LEN)
		return fail(err, "malformed serial number");
	if (json_object_array_length(bans) >= BANS_MAX)
		return fail(err, "%u certificates are banned, there is no room for more: make the cluster anew with a new CA",
			    BANS_MAX);
	json_object_array_add(bans, json_object_new_string(serial));
	return 0;
}

int trust_ban(const char *serial, char *err)
{
	/* In force even when it cannot be kept. */
	if (add(serial, err))
		return -1;
	return state_write_json("banned.json", bans, err);
}

int trust_ban_all(struct json_object *list, char *err)
{
	size_t i, n = list ? json_object_array_length(list) : 0;
	size_t before = json_object_array_length(bans);
	struct json_object *obj;

	for (i = 0; i < n; i++) {
		obj = json_object_array_get_idx(list, i);
		if (!json_object_is_type(obj, json_type_string))
			return fail(err, "malformed list of bans");
		if (add(json_object_get_string(obj), err))
			return -1;
	}
	if (json_object_array_length(bans) == before)
		return 0;
	return state_write_json("banned.json", bans, err);
}
