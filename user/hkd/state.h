/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user/hkd/state.h - files that outlive the daemon, in one directory (--state-dir)
 *
 * Files are 0600, replaced whole: a crash leaves the old one or the new one.
 */
#ifndef HKD_STATE_H
#define HKD_STATE_H

#include <json-c/json.h>

#define STATE_DEFAULT_DIR	"/var/lib/hyperkernel"

/* made at the first write; a name longer than fits fails there */
void state_use(const char *dir);
const char *state_dir(void);

/*
 * The text of a file, for free(), NULL when there is none. Failures are the other
 * NULL, with @err filled in, empty otherwise.
 */
char *state_read(const char *name, char *err);
int state_write(const char *name, const char *text, char *err);
int state_remove(const char *name, char *err);
/* a file of the administrator's, anywhere; NULL with @err */
char *file_read(const char *path, char *err);

/* an array; an empty one when there is no file; NULL with @err */
struct json_object *state_read_list(const char *name, char *err);
int state_write_json(const char *name, struct json_object *obj, char *err);

#endif /* HKD_STATE_H */
