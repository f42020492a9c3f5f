// SPDX-License-Identifier: GPL-2.0
/*
 * user/lib/ktls.c - give the keys of a TLS 1.3 connection to the kernel
 *
 * By hand, as OpenSSL 3.0 does it for what is sent only, not for what is received
 * in TLS 1.3.
 */
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hk.h"
#include "ktls.h"

#ifndef SOL_TLS
#define SOL_TLS	282
#endif
#ifndef TCP_ULP
#define TCP_ULP	31
#endif

static int set_key(int fd, int dir, const struct hk_ktls_key *key)
{
	struct tls12_crypto_info_aes_gcm_256 info;
	int i, r;

	memset(&info, 0, sizeof(info));
	info.info.version = TLS_1_3_VERSION;
	info.info.cipher_type = TLS_CIPHER_AES_GCM_256;
	memcpy(info.key, key->key, sizeof(info.key));
	memcpy(info.salt, key->iv, sizeof(info.salt));
	memcpy(info.iv, key->iv + sizeof(info.salt), sizeof(info.iv));
	for (i = 0; i < 8; i++)
		info.rec_seq[i] = (unsigned char)(key->seq >> (56 - 8 * i));
	r = setsockopt(fd, SOL_TLS, dir, &info, sizeof(info)) ? -errno : 0;
	explicit_bzero(&info, sizeof(info));
	return r;
}

static int no_cipher(int r, char *err)
{
	snprintf(err, HK_ERR_LEN,
		 "kernel TLS does not do AES-256-GCM for TLS 1.3 here (%s): modules gcm, ctr, ghash and aes are needed",
		 strerror(-r));
	return -1;
}

int hk_ktls_start(int fd, const struct hk_ktls_key *tx,
		  const struct hk_ktls_key *rx, char *err)
{
	int r;

	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"))) {
		snprintf(err, HK_ERR_LEN, errno == ENOENT ?
			 "this kernel has no kernel TLS (%s): modprobe tls; without CONFIG_TLS only a cluster that was created plain will do" :
			 "kernel TLS: %s", strerror(errno));
		return -1;
	}
	r = set_key(fd, TLS_TX, tx);
	if (!r)
		r = set_key(fd, TLS_RX, rx);
	return r ? no_cipher(r, err) : 0;
}

/* a connection of this process with itself; -1 where there is no loopback device */
static int loop(int fd[2])
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = -1;

	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l >= 0 && fd[0] >= 0 && !bind(l, (struct sockaddr *)&sa, len) &&
	    !listen(l, 1) && !getsockname(l, (struct sockaddr *)&sa, &len) &&
	    !connect(fd[0], (struct sockaddr *)&sa, len)) {
		fd[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
		r = fd[1] < 0 ? -1 : 0;
	}
	if (l >= 0)
		close(l);
	return r;
}

int hk_ktls_probe(char *err)
{
	struct hk_ktls_key key;
	int fd[2] = { -1, -1 }, r;

	memset(&key, 0, sizeof(key));
	if (!loop(fd)) {
		r = hk_ktls_start(fd[0], &key, &key, err);
		close(fd[1]);
	} else {
		/* The protocol is looked up before the state of the socket. */
		r = 0;
		if (fd[0] >= 0 && setsockopt(fd[0], IPPROTO_TCP, TCP_ULP, "tls",
					     sizeof("tls")) && errno == ENOENT)
			r = hk_ktls_start(fd[0], &key, &key, err);
	}
	if (fd[0] >= 0)
		close(fd[0]);
	return r;
}
