// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/x509.c - keys and certificates: made, signed, read
 *
 * A node's certificate carries its identity as one URI in subjectAltName,
 *
 *	hyperkernel://CLUSTER/ID/NAME
 *
 * with the cluster's id as hex. Nothing else in it is looked at but the signature,
 * the dates, the serial number and what it may be used for.
 */
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "log.h"
#include "x509.h"

#define CA_DAYS		3650
#define NODE_DAYS	1825
/* clocks of hosts differ */
#define SKEW_S		3600L
#define URI_SCHEME	"hyperkernel://"
#define URI_MAX		160

EVP_PKEY *x509_make_key(void)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

/* the digest goes with the kind of key: Ed25519 has its own */
static const EVP_MD *digest_of(EVP_PKEY *key)
{
	char name[32];

	if (EVP_PKEY_get_default_digest_name(key, name, sizeof(name)) <= 0 ||
	    !strcmp(name, "UNDEF"))
		return NULL;
	return EVP_sha256();
}

static int set_serial(X509 *cert)
{
	unsigned char raw[16];
	BIGNUM *n = NULL;
	int r = -1;

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return -1;
	raw[0] = (unsigned char)((raw[0] & 0x7f) | 0x40);
	n = BN_bin2bn(raw, sizeof(raw), NULL);
	if (n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)))
		r = 0;
	BN_free(n);
	return r;
}

static int set_name(X509_NAME *name, const char *text)
{
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					  (const unsigned char *)text, -1, -1,
					  0) == 1 ? 0 : -1;
}

static int add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	int r;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!ext)
		return -1;
	r = X509_add_ext(cert, ext, -1) == 1 ? 0 : -1;
	X509_EXTENSION_free(ext);
	return r;
}

static X509 *new_cert(EVP_PKEY *key, int days)
{
	X509 *cert = X509_new();

	if (!cert)
		return NULL;
	if (X509_set_version(cert, X509_VERSION_3) != 1 || set_serial(cert) ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -SKEW_S) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400L) ||
	    X509_set_pubkey(cert, key) != 1) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

X509 *x509_make_ca(EVP_PKEY *key, const char *name)
{
	X509 *ca = new_cert(key, CA_DAYS);
	char text[64];

	snprintf(text, sizeof(text), "hyperkernel %.31s", name);
	if (ca && (set_name(X509_get_subject_name(ca), text) ||
		   set_name(X509_get_issuer_name(ca), text) ||
		   add_ext(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
		   add_ext(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") ||
		   add_ext(ca, ca, NID_subject_key_identifier, "hash") ||
		   !X509_sign(ca, key, digest_of(key)))) {
		X509_free(ca);
		ca = NULL;
	}
	return ca;
}

static char *bio_text(BIO *bio)
{
	char *data, *text = NULL;
	long len = BIO_get_mem_data(bio, &data);

	if (len > 0)
		text = strndup(data, (size_t)len);
	BIO_free(bio);
	return text;
}

char *x509_make_csr(EVP_PKEY *key, const char *name)
{
	X509_REQ *req = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;

	if (req && bio && X509_REQ_set_pubkey(req, key) == 1 &&
	    !set_name(X509_REQ_get_subject_name(req), name) &&
	    X509_REQ_sign(req, key, digest_of(key)) &&
	    PEM_write_bio_X509_REQ(bio, req) == 1) {
		text = bio_text(bio);
		bio = NULL;
	}
	BIO_free(bio);
	X509_REQ_free(req);
	return text;
}

EVP_PKEY *x509_csr_key(const char *pem, char *err)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509_REQ *req = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key = req ? X509_REQ_get_pubkey(req) : NULL;

	if (!key || X509_REQ_verify(req, key) != 1) {
		fail(err, "the certificate request is malformed");
		EVP_PKEY_free(key);
		key = NULL;
	}
	ERR_clear_error();
	X509_REQ_free(req);
	BIO_free(bio);
	return key;
}

X509 *x509_issue(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *node_key,
		 const struct identity *who, char *err)
{
	X509 *cert = new_cert(node_key, NODE_DAYS);
	char uri[URI_MAX];

	snprintf(uri, sizeof(uri), "URI:" URI_SCHEME "%s/%u/%s", who->cluster,
		 who->id, who->name);
	if (cert && !set_name(X509_get_subject_name(cert), who->name) &&
	    X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1 &&
	    !add_ext(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    !add_ext(cert, ca, NID_key_usage, "critical,digitalSignature") &&
	    !add_ext(cert, ca, NID_ext_key_usage, "serverAuth,clientAuth") &&
	    !add_ext(cert, ca, NID_subject_alt_name, uri) &&
	    X509_sign(cert, ca_key, digest_of(ca_key)))
		return cert;
	fail(err, "cannot make a certificate: %s",
	     ERR_reason_error_string(ERR_peek_error()) ?: "out of memory");
	ERR_clear_error();
	X509_free(cert);
	return NULL;
}

static int parse_uri(const char *uri, struct identity *who)
{
	const size_t hex = 2 * HK_CLUSTER_ID_LEN, start = strlen(URI_SCHEME);
	uint8_t raw[HK_CLUSTER_ID_LEN];
	char number[8];
	const char *slash;
	uint64_t id;

	if (strncmp(uri, URI_SCHEME, start) || strlen(uri) < start + hex + 4 ||
	    uri[start + hex] != '/')
		return -1;
	memcpy(who->cluster, uri + start, hex);
	who->cluster[hex] = 0;
	if (hk_unhex(raw, sizeof(raw), who->cluster))
		return -1;
	uri += start + hex + 1;
	slash = strchr(uri, '/');
	if (!slash || slash - uri >= (long)sizeof(number))
		return -1;
	memcpy(number, uri, (size_t)(slash - uri));
	number[slash - uri] = 0;
	if (hk_parse_u64(number, 1, HK_NODES_MAX - 1, &id) ||
	    !hk_name_ok(slash + 1))
		return -1;
	who->id = (uint16_t)id;
	strcpy(who->name, slash + 1);
	return 0;
}

static int get_serial(X509 *cert, char *text)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = n ? BN_bn2hex(n) : NULL;
	int r = -1;

	if (hex && strlen(hex) < SERIAL_LEN) {
		strcpy(text, hex);
		r = 0;
	}
	OPENSSL_free(hex);
	BN_free(n);
	return r;
}

int x509_identity(X509 *cert, struct identity *who)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL,
						NULL);
	GENERAL_NAME *name = sk_GENERAL_NAME_num(names) == 1 ?
			     sk_GENERAL_NAME_value(names, 0) : NULL;
	char uri[URI_MAX];
	int len, r = -1;

	memset(who, 0, sizeof(*who));
	if (name && name->type == GEN_URI) {
		len = ASN1_STRING_length(name->d.uniformResourceIdentifier);
		snprintf(uri, sizeof(uri), "%.*s", len,
			 (const char *)ASN1_STRING_get0_data(
				name->d.uniformResourceIdentifier));
		/* strlen: no NUL inside, and not cut off */
		if (len > 0 && strlen(uri) == (size_t)len &&
		    !parse_uri(uri, who) && !get_serial(cert, who->serial))
			r = 0;
	}
	GENERAL_NAMES_free(names);
	return r;
}

int x509_cluster_id(X509 *ca, uint8_t id[HK_CLUSTER_ID_LEN])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (X509_digest(ca, EVP_sha256(), hash, &len) != 1 ||
	    len < HK_CLUSTER_ID_LEN)
		return -1;
	memcpy(id, hash, HK_CLUSTER_ID_LEN);
	return 0;
}

X509_STORE *x509_store(X509 *ca)
{
	X509_STORE *store = X509_STORE_new();

	if (store && (X509_STORE_add_cert(store, ca) != 1 ||
		      X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1)) {
		X509_STORE_free(store);
		store = NULL;
	}
	return store;
}

int x509_check_ca(X509 *ca, EVP_PKEY *key, char *err)
{
	if (X509_check_ca(ca) < 1)
		return fail(err, "this certificate may not sign others (CA:TRUE is missing)");
	if (!(X509_get_key_usage(ca) & KU_KEY_CERT_SIGN))
		return fail(err, "this certificate may not sign others (keyCertSign is missing)");
	if (X509_cmp_current_time(X509_get0_notAfter(ca)) <= 0)
		return fail(err, "the CA's certificate has expired");
	if (X509_cmp_current_time(X509_get0_notBefore(ca)) >= 0)
		return fail(err, "the CA's certificate is not valid yet: is the clock right?");
	if (key && X509_check_private_key(ca, key) != 1) {
		ERR_clear_error();
		return fail(err, "the CA's key and certificate do not belong together");
	}
	return 0;
}

int x509_check(X509 *cert, X509 *ca, char *err)
{
	X509_STORE *store = x509_store(ca);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int r = -1;

	if (!store || !ctx || X509_STORE_CTX_init(ctx, store, cert, NULL) != 1)
		fail(err, "out of memory");
	else if (X509_verify_cert(ctx) != 1)
		fail(err, "%s", X509_verify_cert_error_string(
			X509_STORE_CTX_get_error(ctx)));
	else
		r = 0;
	ERR_clear_error();
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return r;
}

X509 *x509_from_pem(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return cert;
}

char *x509_to_pem(X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio && PEM_write_bio_X509(bio, cert) == 1)
		return bio_text(bio);
	BIO_free(bio);
	return NULL;
}

/* no daemon can type a passphrase */
static int no_passphrase(char *buf, int size, int rw, void *arg)
{
	(void)buf;
	(void)size;
	(void)rw;
	(void)arg;
	return -1;
}

EVP_PKEY *x509_key_from_pem(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase,
						      NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

char *x509_key_to_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL,
						 NULL) == 1)
		return bio_text(bio);
	BIO_free(bio);
	return NULL;
}
