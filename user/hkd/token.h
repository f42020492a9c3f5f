/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/token.h - invitations: good once, for a while
 */
#ifndef HKD_TOKEN_H
#define HKD_TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include "../lib/hk.h"

#define TOKEN_ID_LEN		8
#define TOKEN_SECRET_LEN	16
#define TOKEN_TEXT_LEN		80	/* with NUL */

/**
 * struct token - what the text of a token says
 * @plain: the cluster is one without encryption
 * @id: which token
 * @secret: proves the right to enrol
 * @cluster: id of the cluster, by which the new node knows the right CA
 */
struct token {
	bool plain;
	uint8_t id[TOKEN_ID_LEN];
	uint8_t secret[TOKEN_SECRET_LEN];
	uint8_t cluster[HK_CLUSTER_ID_LEN];
};

int token_parse(struct token *token, const char *text, char *err);

/*
 * At node 1. @name: who may enrol with it, NULL: anybody whose name is not taken.
 * The text is told once; what is kept is a hash.
 */
int token_make(char text[TOKEN_TEXT_LEN], const char *name, uint32_t seconds,
	       char *err);
/*
 * Does this secret belong to a token that is still good? @bound: out, the name it
 * was made for, empty for none
 */
int token_check(const uint8_t *id, const uint8_t *secret,
		char bound[HK_NAME_MAX], char *err);
/* spent, on disk, when this returns 0 */
int token_spend(const uint8_t *id, char *err);

#endif /* HKD_TOKEN_H */
