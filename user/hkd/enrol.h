/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/enrol.h - how a host gets its certificate, and how it loses it
 */
#ifndef HKD_ENROL_H
#define HKD_ENROL_H

#include <json-c/json.h>
#include "tls.h"

/*
 * Both ends of an enrolment: one request, one answer, inside of TLS
 */
int enrol_request(const char *address, const char *token, uint64_t deadline,
		  char *err);
void enrol_answer(struct tls *t, const char *what, uint64_t deadline);

/* node 1: enter its own certificate; on a new cluster the first line of the list */
int enrol_self(char *err);
/* node 1: is this the certificate that the node of that id was given last? */
int enrol_current(const struct identity *peer, char *err);

/* commands of hkctl, at node 1 */
struct json_object *enrol_invite(struct json_object *req, char *err);
struct json_object *enrol_ban(struct json_object *req, char *err);

/* the coordinator's list of bans has come */
int bans_received(struct json_object *list, char *err);

#endif /* HKD_ENROL_H */
