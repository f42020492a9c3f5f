/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/gate.h - connections of those who have not proved anything yet
 */
#ifndef HKD_GATE_H
#define HKD_GATE_H

#include <stdbool.h>

struct sockaddr_storage;

/**
 * struct stranger - one such connection, on the stack of its task
 * @next: younger one
 * @fd: socket; shut down when another one needs the place
 * @spoke: it has sent a whole ClientHello
 * @host: address without port
 */
struct stranger {
	struct stranger *next;
	int fd;
	bool spoke;
	unsigned char host[16];
};

/* makes room; never refuses */
void gate_enter(struct stranger *g, int fd, const struct sockaddr_storage *sa);
void gate_leave(struct stranger *g);
/* of @fd, if it is one of them */
void gate_spoke(int fd);

#endif /* HKD_GATE_H */
