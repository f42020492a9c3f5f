// SPDX-License-Identifier: GPL-2.0
/*
 * selftests/user/json.c - messages that nobody vouches for
 */
#include <string.h>
#include "../../user/hkd/log.h"
#include "../../user/hkd/stream.h"
#include "tap.h"

static const char *const malformed[] = {
	"", " ", "{", "}", "[]", "[1,2]", "1", "\"a\"", "null", "true",
	"{\"a\":}", "{\"a\":1", "{\"a\":1}}", "{\"a\":1}{\"b\":2}",
	"{\"a\":1} x", "{a:1}", "{\"a\":01x}", "{\"a\":\"",
	"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}",
};

int main(void)
{
	struct json_object *obj;
	char err[HK_ERR_LEN], big[70000];
	unsigned int i;
	const char *t;

	for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		err[0] = 0;
		obj = js_parse(malformed[i], strlen(malformed[i]), err);
		ok(!obj && err[0], "refused: %.40s", malformed[i]);
		json_object_put(obj);
	}
	obj = js_parse("{\"a\":1}\0 ", 9, err);
	ok(!obj, "refused: a zero byte");

	t = "{\"s\":\"text\",\"i\":42,\"b\":true,\"a\":[1],\"o\":{\"x\":\"y\"},\"z\":\"a\\u0000b\",\"n\":null}";
	obj = js_parse(t, strlen(t), err);
	ok(obj != NULL, "an object");
	ok(js_str(obj, "s") && !strcmp(js_str(obj, "s"), "text"), "a string");
	ok(!js_str(obj, "i"), "a number is no string");
	ok(!js_str(obj, "n"), "null is no string");
	ok(!js_str(obj, "z"), "a string with a zero inside is none");
	ok(!js_str(obj, "missing"), "a string that is missing");
	ok(js_int(obj, "i", -1) == 42, "a number");
	ok(js_int(obj, "s", -1) == -1, "a string is no number");
	ok(js_int(obj, "missing", -1) == -1, "a number that is missing");
	ok(js_bool(obj, "b"), "a boolean");
	ok(!js_bool(obj, "i"), "a number is no boolean");
	ok(js_array(obj, "a") && !js_array(obj, "o"), "an array");
	ok(js_object(obj, "o") && !js_object(obj, "a"), "an inner object");
	ok(js_int(NULL, "x", 7) == 7 && !js_str(NULL, "x"), "no object at all");
	json_object_put(obj);

	memset(big, ' ', sizeof(big));
	big[0] = '{';
	big[sizeof(big) - 1] = '}';
	obj = js_parse(big, sizeof(big), err);
	ok(obj != NULL, "long blanks");
	json_object_put(obj);
	return tap_end();
}
