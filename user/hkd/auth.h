/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/auth.h - who is at the other end of a connection, and what for
 */
#ifndef HKD_AUTH_H
#define HKD_AUTH_H

#include <stdint.h>
#include "stream.h"
#include "tls.h"
#include "x509.h"

enum purpose {
	PURPOSE_JOIN,		/* an enrolled node asks the coordinator */
	PURPOSE_CONTROL,	/* messages between two daemons */
	PURPOSE_LINK,		/* to be handed to the module */
	PURPOSE_RENEW,		/* likewise, for a link that there is */
	PURPOSE_PATH0,		/* one connection of it more, by number */
	PURPOSE_PATH1,
	PURPOSE_PATH2,
	PURPOSE_PATH3,
	PURPOSE_RDMA0,		/* likewise, to be carried by RDMA */
	PURPOSE_RDMA1,
	PURPOSE_RDMA2,
	PURPOSE_RDMA3,
	PURPOSE_MAX,
};

/**
 * struct release - what both ends must have in common
 * @program: version of hkd, for humans
 * @module: version of the module, for humans
 * @wire: version of the messages between modules
 * @features: bits that modules agree on
 */
struct release {
	char program[32];
	char module[32];
	uint32_t wire;
	uint32_t features;
};

extern struct release release;

/*
 * On a fresh stream, which carries text afterwards, by the kernel's TLS unless the
 * cluster is plain. @self: this node, id 0 when it is in no cluster now.
 */
int auth_connect(struct stream *s, enum purpose purpose,
		 const struct identity *self, struct identity *peer,
		 uint64_t deadline, char *err);
/* behind tls_accept() */
int auth_accept(struct tls *t, struct stream *s, const struct identity *self,
		enum purpose *purpose, struct identity *peer,
		uint64_t deadline, char *err);

#endif /* HKD_AUTH_H */
