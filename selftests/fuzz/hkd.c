// SPDX-License-Identifier: GPL-2.0
/*
 * What anybody who can reach hkd's port may send, before any proof: the handshake at
 * both ends, lines of JSON, addresses
 *
 * All bytes are in the socket and its other end is closed for writing before anything
 * is read, so nothing ever waits and no event loop is needed.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../user/hkd/auth.h"
#include "../../user/hkd/log.h"
#include "../../user/hkd/task.h"
#include "input.h"

#define WAIT	(now_ms() + 600000)

static const struct identity self = {
	.name = "self", .id = 1, .cluster = "00112233445566778899aabbccddeeff",
};
static const struct secret secret = { .len = 16, .key = "0123456789abcdef" };

/* The same run gives the same bytes: takes the place of libcrypto's */
int RAND_bytes(unsigned char *buf, int num)
{
	memset(buf, 0x5a, num);
	return 1;
}

/* Return: a stream in which @data waits; NULL: the kernel has no room for it */
static struct stream *fed(const void *data, size_t len, int *peer)
{
	int fd[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			 fd), "no sockets");
	*peer = fd[0];
	if (len && send(fd[0], data, len, MSG_NOSIGNAL) != (ssize_t)len) {
		close(fd[0]);
		close(fd[1]);
		return NULL;
	}
	shutdown(fd[0], SHUT_WR);
	return stream_new(fd[1], "stranger");
}

static void check_err(const char *err)
{
	size_t len = strnlen(err, HK_ERR_LEN);

	must(len && len < HK_ERR_LEN, "refused without a reason");
}

static void check_peer(const struct identity *peer)
{
	must(hk_name_ok(peer->name), "name of a peer");
	must(peer->id < HK_NODES_MAX, "id of a peer");
	must(strnlen(peer->cluster, sizeof(peer->cluster)) <
	     sizeof(peer->cluster), "cluster of a peer");
}

static void accept_or_connect(const void *data, size_t len, bool accept)
{
	char err[HK_ERR_LEN] = "";
	struct identity peer = { .name = "x" };
	enum purpose purpose = PURPOSE_JOIN;
	struct stream *s;
	int other, r;

	s = fed(data, len, &other);
	if (!s)
		return;
	if (accept)
		r = auth_accept(s, &secret, &self, &purpose, &peer, WAIT, err);
	else
		r = auth_connect(s, &secret, PURPOSE_JOIN, &self, &peer, WAIT,
				 err);
	/* not by luck: 256 bits stand against it */
	must(r, "a stranger has proved to know the secret");
	check_err(err);
	check_peer(&peer);
	must(purpose < PURPOSE_MAX, "purpose");
	stream_free(s);
	close(other);
}

/* Whatever type a value has, asking for it by any other is no error */
static void ask(struct json_object *obj)
{
	struct json_object *array, *sub;
	const char *str;
	size_t i;

	json_object_object_foreach(obj, key, val) {
		str = js_str(obj, key);
		must(!str || json_object_is_type(val, json_type_string), "string");
		must(!str || strlen(str) ==
		     (size_t)json_object_get_string_len(val), "hidden zero");
		js_int(obj, key, -1);
		js_bool(obj, key);
		sub = js_object(obj, key);
		if (sub)
			ask(sub);
		array = js_array(obj, key);
		for (i = 0; array && i < json_object_array_length(array); i++)
			must(i < HK_LINE_MAX, "array longer than its line");
	}
}

static void lines(const void *data, size_t len, bool parse)
{
	char err[HK_ERR_LEN] = "";
	const char *line;
	struct json_object *obj;
	struct stream *s;
	int other, left;
	size_t read = 0;

	s = fed(data, len, &other);
	if (!s)
		return;
	for (;;) {
		err[0] = 0;
		if (parse) {
			if (stream_read(s, &obj, WAIT, err)) {
				check_err(err);
				break;
			}
			if (!obj)
				break;
			ask(obj);
			json_object_put(obj);
			continue;
		}
		if (stream_read_line(s, &line, WAIT, err)) {
			check_err(err);
			break;
		}
		if (!line)
			break;
		/* what comes behind the line is still in the socket */
		read += memchr((const char *)data + read, '\n', len - read) -
			((const void *)((const char *)data + read)) + 1;
		must(!ioctl(s->fd, FIONREAD, &left) && read + left == len,
		     "more was read than the line");
		must(strlen(line) < HK_LINE_MAX, "line too long");
	}
	stream_free(s);
	close(other);
}

static void address(const void *data, size_t len)
{
	char *text = malloc(len + 1), err[HK_ERR_LEN] = "", out[96];
	struct sockaddr_storage sa, again;

	must(text, "no memory");
	memcpy(text, data, len);
	text[len] = 0;
	if (address_parse(text, &sa, err)) {
		check_err(err);
	} else {
		address_print(&sa, out, sizeof(out));
		must(!address_parse(out, &again, err), "an address lost in print");
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	switch (input_u8(&in) % 5) {
	case 0:
		accept_or_connect(in.at, in.left, true);
		break;
	case 1:
		accept_or_connect(in.at, in.left, false);
		break;
	case 2:
		lines(in.at, in.left, true);
		break;
	case 3:
		lines(in.at, in.left, false);
		break;
	case 4:
		address(in.at, in.left);
		break;
	}
	return 0;
}
