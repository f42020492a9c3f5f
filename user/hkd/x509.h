/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/x509.h - keys and certificates: made, signed, read; nothing is kept here
 */
#ifndef HKD_X509_H
#define HKD_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>
#include "../lib/hk.h"

#define SERIAL_LEN	48	/* a serial number as hex, with NUL */
#define PEM_MAX		8192	/* one certificate or request as text, with NUL */

/**
 * struct identity - who is at an end of a connection
 * @name: of the node
 * @id: 0 before the coordinator gave it one
 * @cluster: as hex, empty before the node is in one
 * @serial: of the certificate that says so
 */
struct identity {
	char name[HK_NAME_MAX];
	uint16_t id;
	char cluster[2 * HK_CLUSTER_ID_LEN + 1];
	char serial[SERIAL_LEN];
};

/* Ed25519; NULL when there are no random numbers */
EVP_PKEY *x509_make_key(void);
X509 *x509_make_ca(EVP_PKEY *key, const char *name);
/* a request for a certificate, as text for free() */
char *x509_make_csr(EVP_PKEY *key, const char *name);
/* the public key of a request that is signed with it, or NULL with @err */
EVP_PKEY *x509_csr_key(const char *pem, char *err);
/* a certificate for who->name, who->id, who->cluster; NULL with @err */
X509 *x509_issue(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *node_key,
		 const struct identity *who, char *err);

/* -1 when it is no certificate of a node */
int x509_identity(X509 *cert, struct identity *who);
/* what the cluster is called in the module and in tokens: from the CA's bytes */
int x509_cluster_id(X509 *ca, uint8_t id[HK_CLUSTER_ID_LEN]);
/* may sign, and is valid now */
int x509_check_ca(X509 *ca, EVP_PKEY *key, char *err);
/* signed by @ca, valid now, for a node */
int x509_check(X509 *cert, X509 *ca, char *err);
/* the trust anchor alone, also when it is not a root */
X509_STORE *x509_store(X509 *ca);

X509 *x509_from_pem(const char *pem);
char *x509_to_pem(X509 *cert);
EVP_PKEY *x509_key_from_pem(const char *pem);
char *x509_key_to_pem(EVP_PKEY *key);

#endif /* HKD_X509_H */
