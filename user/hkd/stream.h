/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/stream.h - a socket that carries JSON objects, one a line
 *
 * Reading never takes more from the socket than the line asked for: what comes
 * behind it may be for somebody else (a socket handed to the kernel).
 */
#ifndef HKD_STREAM_H
#define HKD_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

struct sockaddr_storage;

/**
 * struct stream - a socket that carries lines
 * @fd: non-blocking; read side
 * @wfd: the same socket, so that another task can wait to write
 * @what: for logs: "10.0.0.2:7117"
 * @writing: a line is on its way out
 * @users: tasks inside of stream_write(); free it only when there are none
 * @len: bytes of an unfinished line in @buf
 * @buf: room for one line
 */
struct stream {
	int fd;
	int wfd;
	char what[96];
	bool writing;
	unsigned int users;
	size_t len;
	char *buf;
};

/* takes @fd over, also when it fails (NULL) */
struct stream *stream_new(int fd, const char *what);
void stream_free(struct stream *s);
/* @address: "10.0.0.2", "10.0.0.2:7117", "[fd00::1]:7117" */
struct stream *stream_connect(const char *address, uint64_t deadline, char *err);
/* give the socket away, blocking as it was; frees the stream */
int stream_release(struct stream *s);

/*
 * A line without its newline; valid until the next read. 0, or -1 with @err;
 * *@line NULL: the other side closed between two lines.
 */
int stream_read_line(struct stream *s, const char **line, uint64_t deadline,
		     char *err);
/* the same, parsed: an object to be put, or NULL at the end */
int stream_read(struct stream *s, struct json_object **obj, uint64_t deadline,
		char *err);
int stream_write_line(struct stream *s, const char *line, size_t len,
		      uint64_t deadline, char *err);
/* consumes @obj */
int stream_write(struct stream *s, struct json_object *obj, uint64_t deadline,
		 char *err);

int address_parse(const char *text, struct sockaddr_storage *sa, char *err);
void address_print(const struct sockaddr_storage *sa, char *buf, size_t len);

/*
 * JSON objects
 */
struct json_object *js_parse(const char *line, size_t len, char *err);
/* NULL when it is missing or of another type */
const char *js_str(struct json_object *obj, const char *key);
struct json_object *js_array(struct json_object *obj, const char *key);
struct json_object *js_object(struct json_object *obj, const char *key);
int64_t js_int(struct json_object *obj, const char *key, int64_t missing);
bool js_bool(struct json_object *obj, const char *key);
void js_add_str(struct json_object *obj, const char *key, const char *val);
void js_add_int(struct json_object *obj, const char *key, int64_t val);

#endif /* HKD_STREAM_H */
