// SPDX-License-Identifier: GPL-2.0
/*
 * What protects the bytes of a socket that user space hands over
 *
 * The module neither makes nor sees keys; hkd gives them to kernel TLS before
 * LINK_ADD. This only reads what is there, so that "hkctl link show" says what is and
 * not what was meant.
 */
#include "node.h"

#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tls.h>

static const char *cipher_name(u16 cipher)
{
	switch (cipher) {
	case TLS_CIPHER_AES_GCM_128:
		return "aes-128-gcm";
	case TLS_CIPHER_AES_GCM_256:
		return "aes-256-gcm";
	case TLS_CIPHER_CHACHA20_POLY1305:
		return "chacha20-poly1305";
	default:
		return "another cipher";
	}
}

/* Both directions, with the same version and cipher: anything less is not TLS */
static bool tls_both_ways(const struct tls_context *ctx)
{
	const struct tls_crypto_info *tx = &ctx->crypto_send.info;
	const struct tls_crypto_info *rx = &ctx->crypto_recv.info;

	return ctx->tx_conf != TLS_BASE && ctx->rx_conf != TLS_BASE &&
	       tx->version == rx->version && tx->cipher_type == rx->cipher_type;
}

void hk_sock_encryption(struct sock *sk, char *buf)
{
	const struct tls_context *ctx;

	strscpy(buf, "plain", HK_ENCRYPTION_LEN);
	/* Against setsockopt() by whoever still has the descriptor */
	lock_sock(sk);
	if (inet_csk_has_ulp(sk) &&
	    !strcmp(inet_csk(sk)->icsk_ulp_ops->name, "tls")) {
		ctx = rcu_dereference_protected(inet_csk(sk)->icsk_ulp_data,
						lockdep_sock_is_held(sk));
		if (ctx && tls_both_ways(ctx))
			snprintf(buf, HK_ENCRYPTION_LEN, "tls 1.%u %s",
				 (ctx->crypto_send.info.version & 0xff) - 1,
				 cipher_name(ctx->crypto_send.info.cipher_type));
	}
	release_sock(sk);
}
