// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/token.c - invitations: good once, for a while
 *
 * Text of a token: base32 (RFC 4648, lower case) of
 *
 *	1	kind: 1 TLS, 2 plain
 *	8	id
 *	16	secret
 *	16	cluster id: the first bytes of SHA-256 of the CA's certificate
 *	4	SHA-256 of all that, so that a slip of the pen is told from a token
 *		that is not good any more
 *
 * What node 1 keeps of it: id, SHA-256 of the secret, the time of its end.
 */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>
#include <time.h>
#include "log.h"
#include "state.h"
#include "stream.h"
#include "token.h"
#include "trust.h"

#define KIND_TLS	1
#define KIND_PLAIN	2
#define SUM_LEN		4
#define RAW_LEN		(1 + TOKEN_ID_LEN + TOKEN_SECRET_LEN + \
			 HK_CLUSTER_ID_LEN + SUM_LEN)
#define TEXT_CHARS	(RAW_LEN * 8 / 5)
#define TOKENS_MAX	64	/* at a time */

_Static_assert(RAW_LEN % 5 == 0, "base32 without padding");
_Static_assert(TEXT_CHARS < TOKEN_TEXT_LEN, "room for the text");

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static void encode(char *text, const uint8_t *raw)
{
	uint64_t v;
	int i, j;

	for (i = 0; i < RAW_LEN; i += 5) {
		v = 0;
		for (j = 0; j < 5; j++)
			v = v << 8 | raw[i + j];
		for (j = 0; j < 8; j++)
			*text++ = alphabet[v >> (35 - 5 * j) & 31];
	}
	*text = 0;
}

static int decode(uint8_t *raw, const char *text)
{
	const char *c;
	uint64_t v;
	int i, j;

	if (strlen(text) != TEXT_CHARS)
		return -1;
	for (i = 0; i < RAW_LEN; i += 5) {
		v = 0;
		for (j = 0; j < 8; j++) {
			c = strchr(alphabet, *text++);
			if (!c)
				return -1;
			v = v << 5 | (uint64_t)(c - alphabet);
		}
		for (j = 0; j < 5; j++)
			raw[i + j] = (uint8_t)(v >> (32 - 8 * j));
	}
	return 0;
}

int token_parse(struct token *token, const char *text, char *err)
{
	uint8_t raw[RAW_LEN], sum[SHA256_DIGEST_LENGTH], *p = raw;

	if (decode(raw, text))
		return fail(err, "this is not a token: %d letters and digits, as hkctl cluster invite prints them",
			    TEXT_CHARS);
	SHA256(raw, RAW_LEN - SUM_LEN, sum);
	if (memcmp(sum, raw + RAW_LEN - SUM_LEN, SUM_LEN))
		return fail(err, "there is a mistake in the token: copy it again");
	if (*p != KIND_TLS && *p != KIND_PLAIN)
		return fail(err, "this token is of a later release");
	token->plain = *p++ == KIND_PLAIN;
	memcpy(token->id, p, TOKEN_ID_LEN);
	p += TOKEN_ID_LEN;
	memcpy(token->secret, p, TOKEN_SECRET_LEN);
	p += TOKEN_SECRET_LEN;
	memcpy(token->cluster, p, HK_CLUSTER_ID_LEN);
	OPENSSL_cleanse(raw, sizeof(raw));
	return 0;
}

/* those that are still good */
static struct json_object *load(char *err)
{
	struct json_object *list = state_read_list("tokens.json", err);
	int64_t now = (int64_t)time(NULL);
	size_t i = 0;

	while (list && i < json_object_array_length(list)) {
		if (js_int(json_object_array_get_idx(list, i), "expires", 0) > now)
			i++;
		else
			json_object_array_del_idx(list, i, 1);
	}
	return list;
}

static void hash_secret(char hex[2 * SHA256_DIGEST_LENGTH + 1],
			const uint8_t *secret)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256(secret, TOKEN_SECRET_LEN, hash);
	hk_hex(hex, hash, sizeof(hash));
}

int token_make(char text[TOKEN_TEXT_LEN], const char *name, uint32_t seconds,
	       char *err)
{
	char id[2 * TOKEN_ID_LEN + 1], hash[2 * SHA256_DIGEST_LENGTH + 1];
	uint8_t raw[RAW_LEN], sum[SHA256_DIGEST_LENGTH];
	struct json_object *list, *obj;
	int r;

	list = load(err);
	if (!list)
		return -1;
	if (json_object_array_length(list) >= TOKENS_MAX) {
		json_object_put(list);
		return fail(err, "%u tokens are out: wait until one has expired",
			    TOKENS_MAX);
	}
	raw[0] = trust.plain ? KIND_PLAIN : KIND_TLS;
	if (RAND_bytes(raw + 1, TOKEN_ID_LEN + TOKEN_SECRET_LEN) != 1) {
		json_object_put(list);
		return fail(err, "no random numbers to make a token of");
	}
	memcpy(raw + 1 + TOKEN_ID_LEN + TOKEN_SECRET_LEN, trust.cluster,
	       HK_CLUSTER_ID_LEN);
	SHA256(raw, RAW_LEN - SUM_LEN, sum);
	memcpy(raw + RAW_LEN - SUM_LEN, sum, SUM_LEN);
	encode(text, raw);
	hk_hex(id, raw + 1, TOKEN_ID_LEN);
	hash_secret(hash, raw + 1 + TOKEN_ID_LEN);
	OPENSSL_cleanse(raw, sizeof(raw));

	obj = json_object_new_object();
	js_add_str(obj, "id", id);
	js_add_str(obj, "hash", hash);
	js_add_int(obj, "expires", (int64_t)time(NULL) + seconds);
	if (name)
		js_add_str(obj, "for", name);
	json_object_array_add(list, obj);
	r = state_write_json("tokens.json", list, err);
	json_object_put(list);
	return r;
}

static ssize_t find(struct json_object *list, const uint8_t *id)
{
	size_t i, n = json_object_array_length(list);
	char hex[2 * TOKEN_ID_LEN + 1];
	const char *have;

	hk_hex(hex, id, TOKEN_ID_LEN);
	for (i = 0; i < n; i++) {
		have = js_str(json_object_array_get_idx(list, i), "id");
		if (have && !strcmp(have, hex))
			return (ssize_t)i;
	}
	return -1;
}

int token_check(const uint8_t *id, const uint8_t *secret,
		char bound[HK_NAME_MAX], char *err)
{
	char hash[2 * SHA256_DIGEST_LENGTH + 1];
	struct json_object *list = load(err), *obj;
	const char *have, *name;
	ssize_t i;
	int r;

	if (!list)
		return -1;
	hash_secret(hash, secret);
	i = find(list, id);
	obj = i < 0 ? NULL : json_object_array_get_idx(list, (size_t)i);
	have = obj ? js_str(obj, "hash") : NULL;
	if (!have || strlen(have) != strlen(hash) ||
	    CRYPTO_memcmp(have, hash, strlen(hash))) {
		r = fail(err, "this token is not good: used already, expired, or never made here");
	} else {
		name = js_str(obj, "for");
		snprintf(bound, HK_NAME_MAX, "%s", name ? name : "");
		r = 0;
	}
	json_object_put(list);
	return r;
}

int token_spend(const uint8_t *id, char *err)
{
	struct json_object *list = load(err);
	ssize_t i;
	int r;

	if (!list)
		return -1;
	i = find(list, id);
	if (i < 0) {
		json_object_put(list);
		return fail(err, "this token has just been used");
	}
	json_object_array_del_idx(list, (size_t)i, 1);
	r = state_write_json("tokens.json", list, err);
	json_object_put(list);
	return r;
}
