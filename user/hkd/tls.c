// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/tls.c - mutual TLS 1.3 on a stream, then the kernel's
 *
 * The handover to the kernel is right because nothing can be under way when it
 * happens. OpenSSL reads no byte behind the record it needs (no read-ahead). There
 * are no session tickets and no key updates, so the first record under the
 * application keys is the connecting side's line, the second the accepting side's
 * answer, and each side takes over behind the last record of its own that the other
 * one waits for. A record more than that, from a peer that breaks the rules, does
 * not fit the record numbers that the kernel was told, and ends the connection.
 *
 * Key and IV of a direction are derived from its traffic secret (RFC 8446, 7.3),
 * which OpenSSL tells its key log.
 */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "gate.h"
#include "log.h"
#include "task.h"
#include "tls.h"
#include "trust.h"
#include "../lib/ktls.h"

#define SUITE		"TLS_AES_256_GCM_SHA384"
#define SECRET_LEN	48
/* What strangers may make this process keep. */
#define CERTS_MAX	16384

enum { CLIENT, SERVER };

struct tls {
	SSL *ssl;
	struct stream *s;
	enum tls_role role;
	bool server;
	uint8_t want[HK_CLUSTER_ID_LEN];
	X509 *ca;
	bool have[2];
	uint8_t secret[2][SECRET_LEN];
	uint64_t sent;
	uint64_t received;
};

static SSL_CTX *server_ctx, *client_ctx;

/* The protocol's name (ALPN) is covered by the handshake: nobody can turn
 * encryption off on the way. */
static const char *protocol(enum tls_role role)
{
	if (role == TLS_ENROL)
		return "hyperkernel-enrol/1";
	return trust.plain ? "hyperkernel-plain/1" : "hyperkernel-tls/1";
}

void tls_reset(void)
{
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	server_ctx = NULL;
	client_ctx = NULL;
}

static void key_log(const SSL *ssl, const char *line)
{
	struct tls *t = SSL_get_app_data(ssl);
	const char *hex = strrchr(line, ' ');
	int side;

	if (!strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24))
		side = CLIENT;
	else if (!strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24))
		side = SERVER;
	else
		return;
	if (t && hex && !hk_unhex(t->secret[side], SECRET_LEN, hex + 1))
		t->have[side] = true;
}

/* who asks for what: no certificate is needed to ask for one */
static int choose(SSL *ssl, const unsigned char **out, unsigned char *outlen,
		  const unsigned char *in, unsigned int inlen, void *arg)
{
	static const enum tls_role roles[] = { TLS_MEMBER, TLS_ENROL };
	struct tls *t = SSL_get_app_data(ssl);
	unsigned int i, r, len;
	const char *name;

	(void)arg;
	for (r = 0; r < 2; r++) {
		name = protocol(roles[r]);
		for (i = 0; i < inlen; i += len + 1) {
			len = in[i];
			if (len != strlen(name) || i + 1 + len > inlen ||
			    memcmp(in + i + 1, name, len))
				continue;
			if (roles[r] == TLS_ENROL) {
				if (!trust.ca_key)
					break;
				SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
			}
			t->role = roles[r];
			gate_spoke(t->s->fd);
			*out = in + i + 1;
			*outlen = (unsigned char)len;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A new node knows of the CA what the token says: the hash of its certificate. */
static int find_ca(X509_STORE_CTX *sc, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(sc,
				SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(sc);
	uint8_t id[HK_CLUSTER_ID_LEN];
	char err[HK_ERR_LEN], hex[2 * HK_CLUSTER_ID_LEN + 1];
	struct identity who;
	X509 *cert;
	int i;

	(void)arg;
	hk_hex(hex, t->want, sizeof(t->want));
	for (i = 0; i < sk_X509_num(chain); i++) {
		cert = sk_X509_value(chain, i);
		if (x509_cluster_id(cert, id) || memcmp(id, t->want, sizeof(id)))
			continue;
		if (x509_check_ca(cert, NULL, err) ||
		    x509_check(X509_STORE_CTX_get0_cert(sc), cert, err) ||
		    x509_identity(X509_STORE_CTX_get0_cert(sc), &who) ||
		    who.id != 1 || strcmp(who.cluster, hex))
			break;
		X509_up_ref(cert);
		t->ca = cert;
		X509_STORE_CTX_set_error(sc, X509_V_OK);
		return 1;
	}
	X509_STORE_CTX_set_error(sc, X509_V_ERR_CERT_UNTRUSTED);
	return 0;
}

static SSL_CTX *new_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		return NULL;
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, SUITE) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 0);
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_max_cert_list(ctx, CERTS_MAX);
	SSL_CTX_set_keylog_callback(ctx, key_log);
	return ctx;
}

/* for a node that has a certificate */
static SSL_CTX *member_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx = new_ctx(method);
	X509_STORE *store;

	if (!ctx)
		return NULL;
	store = x509_store(trust.ca);
	if (!store)
		goto err_free;
	SSL_CTX_set_cert_store(ctx, store);
	/* The CA goes along for those who enrol and have its hash only. */
	if (SSL_CTX_use_certificate(ctx, trust.cert) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, trust.key) != 1 ||
	    SSL_CTX_add1_chain_cert(ctx, trust.ca) != 1)
		goto err_free;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   NULL);
	SSL_CTX_set_verify_depth(ctx, 3);
	SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
	return ctx;

err_free:
	SSL_CTX_free(ctx);
	return NULL;
}

static int why(const struct tls *t, int error, const char *what, char *err)
{
	unsigned long e = ERR_peek_last_error();
	long verify = SSL_get_verify_result(t->ssl);
	const char *text = e ? ERR_reason_error_string(e) : NULL;
	int sys = errno;

	ERR_clear_error();
	if (e && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return fail(err, "the certificate of %s is refused: %s",
			    t->s->what, t->role == TLS_ENROL && !t->server ?
			    "this is not the cluster that the token is of" :
			    X509_verify_cert_error_string(verify));
	if (e && ERR_GET_REASON(e) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		return fail(err, "%s has no certificate", t->s->what);
	if (e && ERR_GET_REASON(e) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
		return fail(err, "refused by %s: %s", t->s->what,
			    t->role == TLS_ENROL ? "only node 1 takes tokens" :
			    "it is of another release, or one cluster is plain and the other is not");
	if (error == SSL_ERROR_SYSCALL && sys && sys != EAGAIN)
		return fail(err, "%s: %s", t->s->what, strerror(sys));
	if (!text || ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return fail(err, "%s closed the connection %s%s", t->s->what,
			    what, t->server ? "" :
			    " (is it in a cluster, and is hkd there of this release?)");
	return fail(err, "%s: %s: %s", t->s->what, what, text);
}

/* Return: 1: try again; -1 with @err */
static int again(struct tls *t, int ret, const char *what, uint64_t deadline,
		 char *err)
{
	int error = SSL_get_error(t->ssl, ret), r;

	switch (error) {
	case SSL_ERROR_WANT_READ:
		r = task_poll(t->s->fd, EPOLLIN | EPOLLRDHUP, deadline);
		break;
	case SSL_ERROR_WANT_WRITE:
		r = task_poll(t->s->fd, EPOLLOUT, deadline);
		break;
	default:
		return why(t, error, what, err);
	}
	if (r < 0)
		return fail(err, "%s: no answer in time (%s)", t->s->what, what);
	return 1;
}

static struct tls *tls_new(struct stream *s, SSL_CTX *ctx, char *err)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (t) {
		t->s = s;
		t->ssl = SSL_new(ctx);
		if (t->ssl && SSL_set_fd(t->ssl, s->fd) == 1) {
			SSL_set_app_data(t->ssl, t);
			return t;
		}
	}
	tls_free(t);
	fail(err, "out of memory");
	return NULL;
}

static int handshake(struct tls *t, uint64_t deadline, char *err)
{
	int r;

	do {
		ERR_clear_error();
		errno = 0;
		r = SSL_do_handshake(t->ssl);
		if (r == 1)
			return 0;
	} while (again(t, r, "in the TLS handshake", deadline, err) == 1);
	return -1;
}

static int offer(struct tls *t)
{
	const char *name = protocol(t->role);
	unsigned char list[64];
	size_t len = strlen(name);

	list[0] = (unsigned char)len;
	memcpy(list + 1, name, len);
	/* 0 is success here */
	return SSL_set_alpn_protos(t->ssl, list, (unsigned int)len + 1);
}

static bool agreed(const struct tls *t)
{
	const char *name = protocol(t->role);
	const unsigned char *got;
	unsigned int len;

	SSL_get0_alpn_selected(t->ssl, &got, &len);
	return len == strlen(name) && !memcmp(got, name, len);
}

struct tls *tls_connect(struct stream *s, enum tls_role role,
			const uint8_t *cluster, uint64_t deadline, char *err)
{
	SSL_CTX *ctx;
	struct tls *t;

	if (role == TLS_ENROL) {
		ctx = new_ctx(TLS_client_method());
		if (ctx)
			SSL_CTX_set_cert_verify_callback(ctx, find_ca, NULL);
	} else {
		if (!client_ctx)
			client_ctx = member_ctx(TLS_client_method());
		ctx = client_ctx;
		if (ctx)
			SSL_CTX_up_ref(ctx);
	}
	if (!ctx) {
		fail(err, "TLS cannot be set up: %s",
		     ERR_reason_error_string(ERR_peek_error()) ?: "out of memory");
		ERR_clear_error();
		return NULL;
	}
	t = tls_new(s, ctx, err);
	SSL_CTX_free(ctx);
	if (!t)
		return NULL;
	t->role = role;
	if (role == TLS_ENROL) {
		memcpy(t->want, cluster, sizeof(t->want));
		SSL_set_verify(t->ssl, SSL_VERIFY_PEER, NULL);
	}
	SSL_set_connect_state(t->ssl);
	if (offer(t)) {
		fail(err, "out of memory");
		goto err_free;
	}
	if (handshake(t, deadline, err))
		goto err_free;
	if (!agreed(t)) {
		fail(err, "%s does not speak this protocol", s->what);
		goto err_free;
	}
	return t;

err_free:
	tls_free(t);
	return NULL;
}

struct tls *tls_accept(struct stream *s, uint64_t deadline, char *err)
{
	struct tls *t;

	if (!trust.cert) {
		fail(err, "refused %s: this node is in no cluster", s->what);
		return NULL;
	}
	if (!server_ctx)
		server_ctx = member_ctx(TLS_server_method());
	if (!server_ctx) {
		fail(err, "TLS cannot be set up: %s",
		     ERR_reason_error_string(ERR_peek_error()) ?: "out of memory");
		ERR_clear_error();
		return NULL;
	}
	t = tls_new(s, server_ctx, err);
	if (!t)
		return NULL;
	t->server = true;
	SSL_set_accept_state(t->ssl);
	if (handshake(t, deadline, err))
		goto err_free;
	/* Without ALPN nobody was asked by choose(). */
	if (t->role == TLS_NONE) {
		fail(err, "%s does not speak this protocol", s->what);
		goto err_free;
	}
	return t;

err_free:
	tls_free(t);
	return NULL;
}

enum tls_role tls_role(const struct tls *t)
{
	return t->role;
}

int tls_peer(const struct tls *t, struct identity *peer, char *err)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);

	if (!cert || t->role != TLS_MEMBER ||
	    SSL_get_verify_result(t->ssl) != X509_V_OK)
		return fail(err, "%s has no certificate", t->s->what);
	if (x509_identity(cert, peer) ||
	    strcmp(peer->cluster, trust.self.cluster))
		return fail(err, "the certificate of %s is none for a node of this cluster",
			    t->s->what);
	return 0;
}

X509 *tls_peer_ca(const struct tls *t)
{
	if (t->ca)
		X509_up_ref(t->ca);
	return t->ca;
}

int tls_write_line(struct tls *t, const char *line, uint64_t deadline, char *err)
{
	char buf[TLS_LINE_MAX];
	int len = snprintf(buf, sizeof(buf), "%s\n", line), r;

	if (len >= (int)sizeof(buf))
		return fail(err, "%s: message of %d bytes is too long to send",
			    t->s->what, len);
	do {
		ERR_clear_error();
		errno = 0;
		r = SSL_write(t->ssl, buf, len);
		if (r == len) {
			t->sent++;
			return 0;
		}
	} while (again(t, r, "while it was told who is here", deadline,
		       err) == 1);
	return -1;
}

int tls_read_line(struct tls *t, char *buf, uint64_t deadline, char *err)
{
	int r;

	do {
		ERR_clear_error();
		errno = 0;
		r = SSL_read(t->ssl, buf, TLS_LINE_MAX);
		if (r > 0)
			break;
	} while (again(t, r, "before it said who it is", deadline, err) == 1);
	if (r <= 0)
		return -1;
	t->received++;
	/* One line is one record: the kernel is told how many there were. */
	if (SSL_has_pending(t->ssl) || buf[r - 1] != '\n' ||
	    memchr(buf, 0, (size_t)r))
		return fail(err, "%s sent a malformed line", t->s->what);
	buf[r - 1] = 0;
	return 0;
}

/* HKDF-Expand-Label(secret, label, "", len) of RFC 8446 */
static int expand(uint8_t *out, size_t len, const uint8_t *secret,
		  const char *label)
{
	char mode[] = "EXPAND_ONLY", digest[] = "SHA384", prefix[] = "tls13 ";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
						  (void *)secret, SECRET_LEN),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix,
						  strlen(prefix)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL,
						  (void *)label, strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int r = ctx && EVP_KDF_derive(ctx, out, len, params) == 1 ? 0 : -1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	ERR_clear_error();
	return r;
}

int tls_to_kernel(struct tls *t, char *err)
{
	int out = t->server ? SERVER : CLIENT, in = t->server ? CLIENT : SERVER;
	struct hk_ktls_key tx = { .seq = t->sent }, rx = { .seq = t->received };
	int r;

	if (!t->have[out] || !t->have[in] || SSL_has_pending(t->ssl) ||
	    strcmp(SSL_get_cipher_name(t->ssl), SUITE) ||
	    expand(tx.key, sizeof(tx.key), t->secret[out], "key") ||
	    expand(tx.iv, sizeof(tx.iv), t->secret[out], "iv") ||
	    expand(rx.key, sizeof(rx.key), t->secret[in], "key") ||
	    expand(rx.iv, sizeof(rx.iv), t->secret[in], "iv"))
		r = fail(err, "%s: OpenSSL does not tell the keys of the connection",
			 t->s->what);
	else
		r = hk_ktls_start(t->s->fd, &tx, &rx, err);
	OPENSSL_cleanse(&tx, sizeof(tx));
	OPENSSL_cleanse(&rx, sizeof(rx));
	return r;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	/* It was never told to close the descriptor. */
	SSL_free(t->ssl);
	X509_free(t->ca);
	OPENSSL_cleanse(t->secret, sizeof(t->secret));
	free(t);
}
