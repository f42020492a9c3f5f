/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/auth.h - proof that both ends of a connection know the cluster secret
 *
 * The one place to change when connections are to carry TLS: auth_connect() and
 * auth_accept() take a fresh stream and give back who is at the other end.
 */
#ifndef HKD_AUTH_H
#define HKD_AUTH_H

#include <stdint.h>
#include "stream.h"
#include "../lib/hk.h"

#define SECRET_MIN	16
#define SECRET_MAX	4096

/**
 * struct secret - what the members of a cluster share
 * @len: bytes, 0: none yet
 * @key: bytes
 */
struct secret {
	size_t len;
	uint8_t key[SECRET_MAX];
};

enum purpose {
	PURPOSE_JOIN,		/* a new node asks the coordinator */
	PURPOSE_CONTROL,	/* messages between two daemons */
	PURPOSE_LINK,		/* to be handed to the module */
	PURPOSE_MAX,
};

/**
 * struct identity - who is at an end of a connection
 * @name: of the node
 * @id: 0 before the coordinator gave it one
 * @cluster: as hex, empty before the node is in one
 */
struct identity {
	char name[HK_NAME_MAX];
	uint16_t id;
	char cluster[2 * HK_CLUSTER_ID_LEN + 1];
};

/* trailing newlines do not count */
int secret_read(struct secret *secret, const char *path, char *err);
/* random, 0600; refuses to replace a file */
int secret_create(struct secret *secret, const char *path, char *err);

int auth_connect(struct stream *s, const struct secret *secret,
		 enum purpose purpose, const struct identity *self,
		 struct identity *peer, uint64_t deadline, char *err);
int auth_accept(struct stream *s, const struct secret *secret,
		const struct identity *self, enum purpose *purpose,
		struct identity *peer, uint64_t deadline, char *err);

#endif /* HKD_AUTH_H */
