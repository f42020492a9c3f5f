/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/lib/ktls.h - give the keys of a TLS 1.3 connection to the kernel
 */
#ifndef HK_LIB_KTLS_H
#define HK_LIB_KTLS_H

#include <stdint.h>

#define HK_KTLS_KEY_LEN	32
#define HK_KTLS_IV_LEN	12

/**
 * struct hk_ktls_key - one direction of a connection, AES-256-GCM
 * @key: write key
 * @iv: write IV
 * @seq: number of the next record
 */
struct hk_ktls_key {
	uint8_t key[HK_KTLS_KEY_LEN];
	uint8_t iv[HK_KTLS_IV_LEN];
	uint64_t seq;
};

/*
 * From here on read() and write() on the TCP socket are of the text. 0, or -1 with
 * @err (HK_ERR_LEN): what the kernel lacks. The connection is of no use then.
 */
int hk_ktls_start(int fd, const struct hk_ktls_key *tx,
		  const struct hk_ktls_key *rx, char *err);
/* can this kernel do it? Tries it on a connection to itself. */
int hk_ktls_probe(char *err);

#endif /* HK_LIB_KTLS_H */
