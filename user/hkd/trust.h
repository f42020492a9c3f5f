/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/trust.h - what this host holds: its key and certificate, the cluster's
 * CA, who is banned
 */
#ifndef HKD_TRUST_H
#define HKD_TRUST_H

#include <stdbool.h>
#include <json-c/json.h>
#include "x509.h"

/**
 * struct trust - what proves who this host is, and who others are
 * @plain: the cluster was created so: connections are authenticated, not encrypted
 * @cluster_name: for humans, may be empty
 * @cluster: id, from the CA's certificate
 * @self: as the certificate says
 * @key: private, made here
 * @cert: of this node; NULL: this host is enrolled nowhere
 * @ca: what signed it
 * @ca_key: at node 1 alone, NULL elsewhere
 */
struct trust {
	bool plain;
	char cluster_name[HK_NAME_MAX];
	uint8_t cluster[HK_CLUSTER_ID_LEN];
	struct identity self;
	EVP_PKEY *key;
	X509 *cert;
	X509 *ca;
	EVP_PKEY *ca_key;
};

extern struct trust trust;

/* what there is in the state directory; nothing is no failure */
int trust_load(char *err);

/**
 * struct trust_new - how to make a cluster's identity
 * @node: name of this node
 * @name: of the cluster, or NULL
 * @plain: without encryption
 * @ca_cert: path of a CA that the administrator brings, or NULL
 * @ca_key: path of its key
 */
struct trust_new {
	const char *node;
	const char *name;
	bool plain;
	const char *ca_cert;
	const char *ca_key;
};

/* or take up the one that is there, when it fits; @made: which of both */
int trust_create(const struct trust_new *how, bool *made, char *err);
/* of the cluster, for messages: "without a name" where it has none */
const char *trust_name(void);
/*
 * The certificate that this host was given, with @ca to trust from now on.
 * Consumes @key, @cert and @ca when it succeeds.
 */
int trust_adopt(EVP_PKEY *key, X509 *cert, X509 *ca, const char *name,
		bool plain, char *err);

bool trust_banned(const char *serial);
/* all banned serial numbers, an array to be put */
struct json_object *trust_bans(void);
int trust_ban(const char *serial, char *err);
/* what the coordinator says is added to what is known */
int trust_ban_all(struct json_object *list, char *err);

#endif /* HKD_TRUST_H */
