// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/state.c - files that outlive the daemon, in one directory
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log.h"
#include "state.h"
#include "stream.h"

#define FILE_MAX	(1024 * 1024)

static const char *dir = STATE_DEFAULT_DIR;

void state_use(const char *path)
{
	dir = path;
}

const char *state_dir(void)
{
	return dir;
}

static char *slurp(const char *path, int fd, char *err)
{
	struct stat st;
	size_t done = 0;
	char *text;
	ssize_t n;

	if (fstat(fd, &st)) {
		fail(err, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		fail(err, "%s: not a file of at most %d bytes", path, FILE_MAX);
		return NULL;
	}
	text = malloc((size_t)st.st_size + 1);
	while (text && done < (size_t)st.st_size) {
		n = read(fd, text + done, (size_t)st.st_size - done);
		if (n < 0) {
			fail(err, "%s: %s", path, strerror(errno));
			free(text);
			return NULL;
		}
		if (!n)
			break;
		done += (size_t)n;
	}
	if (text)
		text[done] = 0;
	else
		fail(err, "out of memory");
	return text;
}

char *file_read(const char *path, char *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text;

	if (fd < 0) {
		fail(err, "%s: %s", path, strerror(errno));
		return NULL;
	}
	text = slurp(path, fd, err);
	close(fd);
	return text;
}

char *state_read(const char *name, char *err)
{
	char path[512], *text;
	struct stat st;

	err[0] = 0;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (stat(path, &st)) {
		if (errno != ENOENT)
			fail(err, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (st.st_mode & 077) {
		fail(err, "%s is open to others (mode %04o): chmod 600 it, and think about who has read it",
		     path, st.st_mode & 07777);
		return NULL;
	}
	text = file_read(path, err);
	return text;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd);
}

static void sync_dir(void)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

int state_write(const char *name, const char *text, char *err)
{
	char path[512], tmp[520];
	int fd, n;

	n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (n >= (int)sizeof(path))
		return fail(err, "--state-dir %s: too long", dir);
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	if (mkdir(dir, 0700) && errno != EEXIST)
		return fail(err, "%s: %s", dir, strerror(errno));
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(err, "%s: %s", tmp, strerror(errno));
	if (write_all(fd, text, strlen(text))) {
		fail(err, "%s: %s", tmp, strerror(errno));
		close(fd);
		unlink(tmp);
		return -1;
	}
	close(fd);
	if (rename(tmp, path)) {
		fail(err, "%s: %s", path, strerror(errno));
		unlink(tmp);
		return -1;
	}
	sync_dir();
	return 0;
}

int state_remove(const char *name, char *err)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (unlink(path) && errno != ENOENT)
		return fail(err, "%s: %s", path, strerror(errno));
	sync_dir();
	return 0;
}

struct json_object *state_read_list(const char *name, char *err)
{
	char *text = state_read(name, err);
	struct json_object *list;

	if (!text)
		return err[0] ? NULL : json_object_new_array();
	list = json_tokener_parse(text);
	free(text);
	if (json_object_is_type(list, json_type_array))
		return list;
	json_object_put(list);
	fail(err, "%s/%s is damaged: it is not a list", dir, name);
	return NULL;
}

int state_write_json(const char *name, struct json_object *obj, char *err)
{
	return state_write(name, json_object_to_json_string_ext(obj,
				JSON_C_TO_STRING_PRETTY), err);
}
