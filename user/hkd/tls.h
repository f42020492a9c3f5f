/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/tls.h - mutual TLS 1.3 on a stream, then the kernel's
 *
 * OpenSSL does the handshake and carries one line each way. Then its keys go to the
 * kernel (or, in a plain cluster, nowhere), and the stream's socket carries text.
 */
#ifndef HKD_TLS_H
#define HKD_TLS_H

#include <stdint.h>
#include "stream.h"
#include "x509.h"

#define TLS_LINE_MAX	8192	/* one line is one record */

enum tls_role {
	TLS_NONE,
	TLS_MEMBER,	/* both ends have certificates of the cluster */
	TLS_ENROL,	/* the connecting one wants to get one */
};

struct tls;

/* contexts are made anew at the next use: certificates have changed */
void tls_reset(void);

/* NULL with @err. @cluster: for TLS_ENROL, whose CA to look for */
struct tls *tls_connect(struct stream *s, enum tls_role role,
			const uint8_t *cluster, uint64_t deadline, char *err);
struct tls *tls_accept(struct stream *s, uint64_t deadline, char *err);
enum tls_role tls_role(const struct tls *t);
/* by its certificate */
int tls_peer(const struct tls *t, struct identity *peer, char *err);
/* TLS_ENROL, connecting side: the CA that was looked for, with a reference */
X509 *tls_peer_ca(const struct tls *t);
/* @line without newline; a TLS_LINE_MAX buffer for what comes in */
int tls_write_line(struct tls *t, const char *line, uint64_t deadline, char *err);
int tls_read_line(struct tls *t, char *buf, uint64_t deadline, char *err);
/* the socket goes on in the kernel; still free @t */
int tls_to_kernel(struct tls *t, char *err);
void tls_free(struct tls *t);

#endif /* HKD_TLS_H */
