// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkctl/daemon.c - requests to hkd
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "hkctl.h"

struct json_object *request(const char *cmd)
{
	struct json_object *req = json_object_new_object();

	add_str(req, "cmd", cmd);
	return req;
}

void add_str(struct json_object *obj, const char *key, const char *val)
{
	json_object_object_add(obj, key, json_object_new_string(val));
}

void add_int(struct json_object *obj, const char *key, uint64_t val)
{
	json_object_object_add(obj, key, json_object_new_int64((int64_t)val));
}

void add_list(struct json_object *obj, const char *key, const char *text)
{
	struct json_object *list = json_object_new_array();
	const char *end;

	for (;;) {
		end = strchrnul(text, ',');
		json_object_array_add(list,
			json_object_new_string_len(text, (int)(end - text)));
		if (!*end)
			break;
		text = end + 1;
	}
	json_object_object_add(obj, key, list);
}

const char *get_str(struct json_object *obj, const char *key)
{
	struct json_object *val;

	if (!json_object_object_get_ex(obj, key, &val) ||
	    !json_object_is_type(val, json_type_string))
		return NULL;
	return json_object_get_string(val);
}

int64_t get_int(struct json_object *obj, const char *key)
{
	struct json_object *val;

	return json_object_object_get_ex(obj, key, &val) ?
		json_object_get_int64(val) : 0;
}

static FILE *connect_daemon(bool quiet)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	FILE *f;
	int fd;

	if (strlen(daemon_socket) >= sizeof(sa.sun_path)) {
		refused("%s: too long for a socket", daemon_socket);
		return NULL;
	}
	strcpy(sa.sun_path, daemon_socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		if (!quiet)
			refused("cannot reach hkd at %s: %s%s", daemon_socket,
				strerror(errno),
				errno == ENOENT || errno == ECONNREFUSED ?
				" (is it running?)" : "");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	f = fdopen(fd, "r+");
	if (!f)
		close(fd);
	return f;
}

static struct json_object *talk(FILE *f, struct json_object *req, bool quiet)
{
	struct json_object *reply;
	const char *text;
	char *line = NULL;
	size_t room = 0;

	fprintf(f, "%s\n", json_object_to_json_string_ext(req,
						JSON_C_TO_STRING_PLAIN));
	if (fflush(f)) {
		refused("hkd: %s", strerror(errno));
		return NULL;
	}
	for (;;) {
		if (getline(&line, &room, f) < 0) {
			refused("hkd closed the connection without an answer; see its log");
			reply = NULL;
			break;
		}
		reply = json_tokener_parse(line);
		text = reply ? get_str(reply, "progress") : NULL;
		if (text) {
			if (!quiet)
				fprintf(stderr, "%s\n", text);
			json_object_put(reply);
			continue;
		}
		text = reply ? get_str(reply, "error") : "malformed answer of hkd";
		if (text) {
			refused("%s", text);
			json_object_put(reply);
			reply = NULL;
		}
		break;
	}
	free(line);
	return reply;
}

struct json_object *daemon_call(struct json_object *req)
{
	FILE *f = connect_daemon(false);
	struct json_object *reply = NULL;

	if (f) {
		reply = talk(f, req, json_output);
		fclose(f);
	}
	json_object_put(req);
	return reply;
}

struct json_object *daemon_try(struct json_object *req)
{
	FILE *f = connect_daemon(true);
	struct json_object *reply = NULL;

	if (f) {
		reply = talk(f, req, true);
		fclose(f);
	}
	json_object_put(req);
	return reply;
}

static void print_value(const char *key, struct json_object *val)
{
	size_t i;

	switch (json_object_get_type(val)) {
	case json_type_string:
		pr_str(key, json_object_get_string(val));
		break;
	case json_type_boolean:
		pr_bool(key, json_object_get_boolean(val));
		break;
	case json_type_int:
		pr_s64(key, json_object_get_int64(val));
		break;
	case json_type_array:
		pr_array(key);
		for (i = 0; i < json_object_array_length(val); i++)
			print_value(NULL, json_object_array_get_idx(val, i));
		pr_array_end();
		break;
	case json_type_object:
		pr_object(key);
		json_object_object_foreach(val, k, v)
			print_value(k, v);
		pr_object_end();
		break;
	default:
		break;
	}
}

void print_reply(struct json_object *reply)
{
	json_object_object_del(reply, "ok");
	if (json_object_object_length(reply) || json_output)
		print_value(NULL, reply);
}
