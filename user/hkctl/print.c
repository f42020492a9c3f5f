// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/print.c - one print layer for text and JSON
 *
 * Text: an object is a line of "key value" pairs; an array inside of it is
 * "key a,b,c", an object in such an array is "{key value …}".
 */
#include <inttypes.h>
#include <string.h>
#include "hkctl.h"

#define DEPTH_MAX	8

/**
 * struct level - an array or object that is open
 * @json: itself
 * @array: it is an array
 * @items: printed in it
 */
struct level {
	struct json_object *json;
	bool array;
	unsigned int items;
};

bool json_output;
bool json_pretty;
static struct level levels[DEPTH_MAX];
static unsigned int depth;

static void attach(const char *key, struct json_object *val)
{
	struct level *up = &levels[depth - 1];

	if (up->array)
		json_object_array_add(up->json, val);
	else
		json_object_object_add(up->json, key, val);
}

/* what stands between this value and the one before */
static void separate(const char *key)
{
	struct level *up = depth ? &levels[depth - 1] : NULL;

	if (!up)
		return;
	if (up->array && depth > 1 && up->items)
		fputc(',', stdout);
	if (!up->array) {
		if (up->items)
			fputc(' ', stdout);
		if (key)
			printf("%s ", key);
	}
	up->items++;
}

static void open_level(const char *key, bool array)
{
	struct level *new;

	if (!json_output)
		separate(key);
	new = &levels[depth++];
	memset(new, 0, sizeof(*new));
	new->array = array;
	if (json_output)
		new->json = array ? json_object_new_array() :
				    json_object_new_object();
	else if (!array && depth > 2)
		fputc('{', stdout);
}

static void close_level(const char *key)
{
	struct level *old = &levels[--depth];

	if (json_output) {
		if (depth) {
			attach(key, old->json);
			return;
		}
		puts(json_object_to_json_string_ext(old->json, json_pretty ?
			JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			JSON_C_TO_STRING_NOSLASHESCAPE :
			JSON_C_TO_STRING_PLAIN |
			JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(old->json);
		return;
	}
	if (old->array && depth && !old->items)
		fputc('-', stdout);
	if (!old->array)
		fputs(depth > 1 ? "}" : "\n", stdout);
}

/* Names of open levels, for the JSON object around them. */
static const char *keys[DEPTH_MAX];

void pr_array(const char *key)
{
	keys[depth] = key;
	open_level(key, true);
}

void pr_array_end(void)
{
	close_level(keys[depth - 1]);
}

void pr_object(const char *key)
{
	keys[depth] = key;
	open_level(key, false);
}

void pr_object_end(void)
{
	close_level(keys[depth - 1]);
}

void pr_str(const char *key, const char *val)
{
	if (json_output) {
		attach(key, json_object_new_string(val));
		return;
	}
	separate(key);
	/* A text of several words stays one value to the eye. */
	if (!val[0] || strchr(val, ' '))
		printf("\"%s\"", val);
	else
		fputs(val, stdout);
}

void pr_u64(const char *key, uint64_t val)
{
	if (json_output) {
		attach(key, json_object_new_uint64(val));
		return;
	}
	separate(key);
	printf("%" PRIu64, val);
}

void pr_s64(const char *key, int64_t val)
{
	if (json_output) {
		attach(key, json_object_new_int64(val));
		return;
	}
	separate(key);
	printf("%" PRId64, val);
}

void pr_bool(const char *key, bool val)
{
	if (json_output) {
		attach(key, json_object_new_boolean(val));
		return;
	}
	separate(key);
	fputs(val ? "yes" : "no", stdout);
}

void pr_flush(void)
{
	fflush(stdout);
}
