/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkctl/hkctl.h - one file an object; what they share
 */
#ifndef HKCTL_HKCTL_H
#define HKCTL_HKCTL_H

#include <json-c/json.h>
#include "../lib/hk.h"

/* exit status */
#define DONE	0
#define REFUSED	1
#define USAGE	2

extern const char *daemon_socket;

/* "hkctl: …" to stderr; returns REFUSED */
int refused(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* the same; returns USAGE */
int misused(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* connects at first use; NULL after an error was printed */
struct hk_nl *kernel(void);

/*
 * daemon.c: sends a request, prints progress to stderr. Consumes @req. The
 * reply, or NULL after the error was printed.
 */
struct json_object *daemon_call(struct json_object *req);
/* no error printed when there is no daemon */
struct json_object *daemon_try(struct json_object *req);
struct json_object *request(const char *cmd);
void add_str(struct json_object *obj, const char *key, const char *val);
void add_int(struct json_object *obj, const char *key, uint64_t val);
/* "1,2,3" as an array of strings */
void add_list(struct json_object *obj, const char *key, const char *text);
const char *get_str(struct json_object *obj, const char *key);
int64_t get_int(struct json_object *obj, const char *key);
/* of a reply */
void print_reply(struct json_object *reply);

/*
 * print.c: the same calls make a line of text or a JSON object. Keys are those
 * of the netlink spec.
 */
extern bool json_output;
extern bool json_pretty;
void pr_array(const char *key);
void pr_array_end(void);
void pr_object(const char *key);
void pr_object_end(void);
void pr_str(const char *key, const char *val);
void pr_u64(const char *key, uint64_t val);
void pr_s64(const char *key, int64_t val);
void pr_bool(const char *key, bool val);
/* events: each is printed as it comes */
void pr_flush(void);

/*
 * Objects: arguments behind the object's name
 */
int do_cluster(int argc, char **argv);
int do_node(int argc, char **argv);
int do_link(int argc, char **argv);
int do_path(int argc, char **argv);
int do_vm(int argc, char **argv);
int vm_wait(const char *name, const char *seconds);
int do_vcpu(int argc, char **argv);
int do_stats(int argc, char **argv);
int do_monitor(int argc, char **argv);
int do_doctor(int argc, char **argv);
/* node join; with a token: cluster join */
int node_join(int argc, char **argv, const char *token);

#endif /* HKCTL_HKCTL_H */
