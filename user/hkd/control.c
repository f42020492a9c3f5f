// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/control.c - commands of hkctl, over a unix socket
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "enrol.h"
#include "hkd.h"
#include "vm.h"

int control_listen(const char *path, char *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof(sa.sun_path))
		return fail(err, "--socket %s: too long for a socket", path);
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(err, "socket: %s", strerror(errno));
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		close(fd);
		return fail(err, "another hkd listens on %s", path);
	}
	close(fd);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	r = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(mask);
	if (r || listen(fd, 16)) {
		fail(err, "--socket %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static struct json_object *serve(struct json_object *req, struct stream *out,
				 char *err)
{
	const char *cmd = js_str(req, "cmd");

	if (!cmd)
		fail(err, "a request without \"cmd\"");
	else if (!strcmp(cmd, "cluster-create"))
		return cluster_create(req, err);
	else if (!strcmp(cmd, "cluster-invite"))
		return enrol_invite(req, err);
	else if (!strcmp(cmd, "link-renew"))
		return renew_command(req, err);
	else if (!strcmp(cmd, "path-add"))
		return path_add_command(req, err);
	else if (!strcmp(cmd, "path-del"))
		return path_del_command(req, err);
	else if (!strcmp(cmd, "node-ban"))
		return enrol_ban(req, err);
	else if (!strcmp(cmd, "node-join"))
		return cluster_join(req, out, err);
	else if (!strcmp(cmd, "node-leave"))
		return cluster_leave(err);
	else if (!strcmp(cmd, "cluster-show"))
		return cluster_show();
	else if (!strcmp(cmd, "vm-create"))
		return vm_create(req, out, err);
	else if (!strcmp(cmd, "vm-start"))
		return vm_start(req, out, err);
	else if (!strcmp(cmd, "vm-stop"))
		return vm_stop(req, out, err);
	else if (!strcmp(cmd, "vm-pause") || !strcmp(cmd, "vm-resume"))
		return vm_pause(cmd, req, err);
	else if (!strcmp(cmd, "vm-delete"))
		return vm_delete(req, err);
	else
		fail(err, "unknown command \"%.32s\"", cmd);
	return NULL;
}

void control_accept(void *arg)
{
	struct stream *s = stream_new((int)(intptr_t)arg, "hkctl");
	struct json_object *req, *reply;
	char err[HK_ERR_LEN];

	if (!s)
		return;
	for (;;) {
		err[0] = 0;
		if (stream_read(s, &req, FOREVER, err)) {
			log_error("%s", err);
			break;
		}
		if (!req)
			break;
		reply = serve(req, s, err);
		json_object_put(req);
		if (reply) {
			json_object_object_add(reply, "ok",
					       json_object_new_boolean(true));
		} else {
			reply = json_object_new_object();
			js_add_str(reply, "error", err);
		}
		if (stream_write(s, reply, now_ms() + 1000, err))
			break;
	}
	stream_free(s);
}
