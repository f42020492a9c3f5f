// SPDX-License-Identifier: GPL-2.0
/*
 * selftests/user/fakektls.c - stands in for the kernel's TLS, which not every
 * machine has: two threads a connection encrypt and decrypt records, and every
 * descriptor of the socket becomes one end of a socket pair
 *
 * $FAKEHK_NO_KTLS: there is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hk.h"
#include "ktls.h"

#define HEAD	5
#define TAG	16
#define DATA	23
#define RECORD	(16384 + 256)

struct conn {
	int net;
	int text;
	struct hk_ktls_key tx;
	struct hk_ktls_key rx;
	atomic_int users;
};

static pthread_mutex_t crypting = PTHREAD_MUTEX_INITIALIZER;

/* The threads must not need libcrypto any more when exit() has it clean up, which is later */
static void no_more(void)
{
	pthread_mutex_lock(&crypting);
}

static void put(struct conn *c)
{
	shutdown(c->net, SHUT_RDWR);
	shutdown(c->text, SHUT_RDWR);
	if (atomic_fetch_sub(&c->users, 1) > 1)
		return;
	close(c->net);
	close(c->text);
	free(c);
}

static int write_all(int fd, const uint8_t *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(fd, buf, len, MSG_NOSIGNAL);
		if (n <= 0)
			return -1;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_all(int fd, uint8_t *buf, size_t len)
{
	return recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len ? 0 : -1;
}

/* one record in place; @len: of the text with its type, without the tag */
static int crypt_record(struct hk_ktls_key *key, int enc, const uint8_t *head,
			uint8_t *body, int len)
{
	uint8_t nonce[HK_KTLS_IV_LEN];
	EVP_CIPHER_CTX *ctx;
	int i, n, r;

	pthread_mutex_lock(&crypting);
	ctx = EVP_CIPHER_CTX_new();
	memcpy(nonce, key->iv, sizeof(nonce));
	for (i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(key->seq >> (56 - 8 * i));
	key->seq++;
	r = EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->key, nonce, enc);
	if (r == 1 && !enc)
		r = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG,
					body + len);
	if (r == 1)
		r = EVP_CipherUpdate(ctx, NULL, &n, head, HEAD);
	if (r == 1)
		r = EVP_CipherUpdate(ctx, body, &n, body, len);
	if (r == 1)
		r = EVP_CipherFinal_ex(ctx, body + n, &n);
	if (r == 1 && enc)
		r = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG,
					body + len);
	EVP_CIPHER_CTX_free(ctx);
	pthread_mutex_unlock(&crypting);
	return r == 1 ? 0 : -1;
}

static void *send_records(void *arg)
{
	struct conn *c = arg;
	uint8_t buf[HEAD + RECORD];
	ssize_t n;

	for (;;) {
		n = recv(c->text, buf + HEAD, 16384, 0);
		if (n <= 0)
			break;
		buf[HEAD + n] = DATA;
		n++;
		buf[0] = DATA;
		buf[1] = 3;
		buf[2] = 3;
		buf[3] = (uint8_t)((n + TAG) >> 8);
		buf[4] = (uint8_t)(n + TAG);
		if (crypt_record(&c->tx, 1, buf, buf + HEAD, (int)n) ||
		    write_all(c->net, buf, (size_t)(HEAD + n + TAG)))
			break;
	}
	put(c);
	return NULL;
}

static void *receive_records(void *arg)
{
	struct conn *c = arg;
	uint8_t buf[HEAD + RECORD];
	int len;

	for (;;) {
		if (read_all(c->net, buf, HEAD))
			break;
		len = buf[3] << 8 | buf[4];
		if (len > RECORD || len <= TAG ||
		    read_all(c->net, buf + HEAD, (size_t)len))
			break;
		len -= TAG;
		if (crypt_record(&c->rx, 0, buf, buf + HEAD, len) ||
		    buf[HEAD + len - 1] != DATA ||
		    write_all(c->text, buf + HEAD, (size_t)len - 1))
			break;
	}
	put(c);
	return NULL;
}

int hk_ktls_probe(char *err)
{
	if (!getenv("FAKEHK_NO_KTLS"))
		return 0;
	snprintf(err, HK_ERR_LEN, "this kernel has no kernel TLS");
	return -1;
}

int hk_ktls_start(int fd, const struct hk_ktls_key *tx,
		  const struct hk_ktls_key *rx, char *err)
{
	struct conn *c = calloc(1, sizeof(*c));
	static bool registered;
	struct stat want, have;
	pthread_t thread;
	int pair[2], i;

	if (hk_ktls_probe(err)) {
		free(c);
		return -1;
	}
	if (!registered && atexit(no_more))
		abort();
	registered = true;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	c->tx = *tx;
	c->rx = *rx;
	c->text = pair[1];
	atomic_init(&c->users, 2);
	fstat(fd, &want);
	c->net = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	fcntl(c->net, F_SETFL, fcntl(c->net, F_GETFL) & ~O_NONBLOCK);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	for (i = 3; i < 1024; i++)
		if (i != c->net && !fstat(i, &have) && S_ISSOCK(have.st_mode) &&
		    have.st_ino == want.st_ino)
			dup3(pair[0], i, O_CLOEXEC);
	close(pair[0]);
	if (pthread_create(&thread, NULL, send_records, c))
		abort();
	pthread_detach(thread);
	if (pthread_create(&thread, NULL, receive_records, c))
		abort();
	pthread_detach(thread);
	return 0;
}
