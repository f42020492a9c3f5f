// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/json.c - JSON objects from lines that nobody vouches for
 */
#include <string.h>
#include "log.h"
#include "stream.h"

#define DEPTH_MAX	8

struct json_object *js_parse(const char *line, size_t len, char *err)
{
	struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *obj;
	enum json_tokener_error e;

	if (!tok) {
		fail(err, "out of memory");
		return NULL;
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	if (memchr(line, 0, len)) {
		json_tokener_free(tok);
		fail(err, "malformed JSON: a zero byte");
		return NULL;
	}
	obj = json_tokener_parse_ex(tok, line, (int)len);
	e = json_tokener_get_error(tok);
	if (e == json_tokener_success &&
	    json_tokener_get_parse_end(tok) < len)
		e = json_tokener_error_parse_unexpected;
	json_tokener_free(tok);
	if (e != json_tokener_success) {
		json_object_put(obj);
		fail(err, "malformed JSON: %s", e == json_tokener_continue ?
		     "it ends too early" : json_tokener_error_desc(e));
		return NULL;
	}
	if (!json_object_is_type(obj, json_type_object)) {
		json_object_put(obj);
		fail(err, "malformed message: not a JSON object");
		return NULL;
	}
	return obj;
}

static struct json_object *get(struct json_object *obj, const char *key,
			       enum json_type type)
{
	struct json_object *val;

	if (!json_object_object_get_ex(obj, key, &val) ||
	    !json_object_is_type(val, type))
		return NULL;
	return val;
}

const char *js_str(struct json_object *obj, const char *key)
{
	struct json_object *val = get(obj, key, json_type_string);

	/* "\u0000" would end the string early and hide what follows */
	if (!val || strlen(json_object_get_string(val)) !=
		    (size_t)json_object_get_string_len(val))
		return NULL;
	return json_object_get_string(val);
}

struct json_object *js_array(struct json_object *obj, const char *key)
{
	return get(obj, key, json_type_array);
}

struct json_object *js_object(struct json_object *obj, const char *key)
{
	return get(obj, key, json_type_object);
}

int64_t js_int(struct json_object *obj, const char *key, int64_t missing)
{
	struct json_object *val = get(obj, key, json_type_int);

	return val ? json_object_get_int64(val) : missing;
}

bool js_bool(struct json_object *obj, const char *key)
{
	struct json_object *val = get(obj, key, json_type_boolean);

	return val && json_object_get_boolean(val);
}

void js_add_str(struct json_object *obj, const char *key, const char *val)
{
	json_object_object_add(obj, key, json_object_new_string(val));
}

void js_add_int(struct json_object *obj, const char *key, int64_t val)
{
	json_object_object_add(obj, key, json_object_new_int64(val));
}
