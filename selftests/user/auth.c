// SPDX-License-Identifier: GPL-2.0
/*
 * selftests/user/auth.c - proof of the cluster secret: what must work, and what
 * must not
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../user/hkd/auth.h"
#include "../../user/hkd/log.h"
#include "../../user/hkd/task.h"
#include "tap.h"

#define WAIT	(now_ms() + 1000)

static struct secret good, other, none;
static const struct identity client = { .name = "client", .id = 2,
	.cluster = "00112233445566778899aabbccddeeff" };
static const struct identity server = { .name = "server", .id = 1,
	.cluster = "00112233445566778899aabbccddeeff" };

struct side {
	struct stream *s;
	const struct secret *secret;
	struct identity peer;
	enum purpose purpose;
	char err[HK_ERR_LEN];
	int result;
	bool done;
};

static struct side acc;

static void accept_task(void *arg)
{
	(void)arg;
	acc.err[0] = 0;
	acc.result = auth_accept(acc.s, acc.secret, &server, &acc.purpose,
				 &acc.peer, WAIT, acc.err);
	acc.done = true;
}

/* the accepting side runs as a task; the other end is returned */
static struct stream *serve(const struct secret *secret)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		abort();
	memset(&acc, 0, sizeof(acc));
	acc.s = stream_new(fd[1], "client");
	acc.secret = secret;
	task_spawn(accept_task, NULL);
	return stream_new(fd[0], "server");
}

static void end(struct stream *s)
{
	while (!acc.done)
		task_sleep(1);
	stream_free(s);
	stream_free(acc.s);
}

static void test_pair(void)
{
	char err[HK_ERR_LEN] = "", rest[8];
	struct identity peer;
	struct stream *s;
	int r;

	s = serve(&good);
	r = auth_connect(s, &good, PURPOSE_LINK, &client, &peer, WAIT, err);
	/* as the module would, at once */
	while (!acc.done)
		task_sleep(1);
	ok(!r && !acc.result, "same secret: %s%s", err, acc.err);
	ok(peer.id == 1 && !strcmp(peer.name, "server") &&
	   !strcmp(peer.cluster, server.cluster), "client knows server");
	ok(acc.peer.id == 2 && !strcmp(acc.peer.name, "client") &&
	   acc.purpose == PURPOSE_LINK, "server knows client and purpose");
	ok(send(acc.s->fd, "HELLO", 5, 0) == 5 &&
	   recv(s->fd, rest, sizeof(rest), 0) == 5, "nothing else was read");
	end(s);

	s = serve(&good);
	r = auth_connect(s, &other, PURPOSE_JOIN, &client, &peer, WAIT, err);
	end(s);
	ok(r && strstr(err, "secrets differ"), "client told: %s", err);
	ok(acc.result && strstr(acc.err, "another cluster secret"),
	   "server told: %s", acc.err);

	s = serve(&none);
	r = auth_connect(s, &good, PURPOSE_JOIN, &client, &peer, WAIT, err);
	end(s);
	ok(r && strstr(err, "in no cluster"), "no cluster there: %s", err);
	ok(acc.result, "server refused: %s", acc.err);
}

static void say(struct stream *s, const char *text)
{
	char err[HK_ERR_LEN];

	stream_write_line(s, text, strlen(text), WAIT, err);
}

static char *hear(struct stream *s)
{
	char err[HK_ERR_LEN];
	const char *line;

	if (stream_read_line(s, &line, WAIT, err) || !line)
		return strdup("");
	return strdup(line);
}

#define NONCE	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_hostile_client(void)
{
	static const char *const lines[] = {
		"junk\n",
		"[]\n",
		"{}\n",
		"{\"hello\":1}\n",
		"{\"hello\":2,\"purpose\":\"join\",\"name\":\"x\",\"id\":0,\"cluster\":\"\",\"nonce\":\"" NONCE "\"}\n",
		"{\"hello\":1,\"purpose\":\"root\",\"name\":\"x\",\"id\":0,\"cluster\":\"\",\"nonce\":\"" NONCE "\"}\n",
		"{\"hello\":1,\"purpose\":\"join\",\"name\":\"../x\",\"id\":0,\"cluster\":\"\",\"nonce\":\"" NONCE "\"}\n",
		"{\"hello\":1,\"purpose\":\"join\",\"name\":\"x\",\"id\":64,\"cluster\":\"\",\"nonce\":\"" NONCE "\"}\n",
		"{\"hello\":1,\"purpose\":\"join\",\"name\":\"x\",\"id\":-1,\"cluster\":\"\",\"nonce\":\"" NONCE "\"}\n",
		"{\"hello\":1,\"purpose\":\"join\",\"name\":\"x\",\"id\":0,\"cluster\":\"" NONCE "\",\"nonce\":\"" NONCE "\"}\n",
		"{\"hello\":1,\"purpose\":\"join\",\"name\":\"x\",\"id\":0,\"cluster\":\"\",\"nonce\":\"12\"}\n",
	};
	char big[4096];
	struct stream *s;
	unsigned int i;
	char *text;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		s = serve(&good);
		say(s, lines[i]);
		end(s);
		ok(acc.result, "hello %u refused: %s", i, acc.err);
	}
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = 0;
	big[sizeof(big) - 2] = '\n';
	s = serve(&good);
	say(s, big);
	end(s);
	ok(acc.result && strstr(acc.err, "too long"), "long hello: %s",
	   acc.err);

	/* the server must not prove anything to who proved nothing */
	s = serve(&good);
	say(s, "{\"hello\":1,\"purpose\":\"join\",\"name\":\"x\",\"id\":0,\"cluster\":\"\",\"nonce\":\"" NONCE "\"}\n");
	text = hear(s);
	ok(strstr(text, "challenge") && !strstr(text, "proof"), "challenged");
	free(text);
	say(s, "{\"proof\":\"" NONCE "\"}\n");
	text = hear(s);
	ok(strstr(text, "error") && !strstr(text, "proof"), "wrong proof: %s",
	   text);
	free(text);
	end(s);
	ok(acc.result, "server refused it: %s", acc.err);

	s = serve(&good);
	say(s, "{\"hello\":1,");
	end(s);
	ok(acc.result && strstr(acc.err, "in time"), "silence: %s", acc.err);
}

/* the connecting side against one who does not know the secret */
static struct stream *fake;
static bool fake_done;

static void reflect(void *arg)
{
	char line[2048];
	char *text;

	(void)arg;
	/* send the client's own words and its own proof back to it */
	text = hear(fake);
	snprintf(line, sizeof(line), "{\"challenge\"%s\n", strchr(text, ':'));
	free(text);
	say(fake, line);
	text = hear(fake);
	snprintf(line, sizeof(line), "%s\n", text);
	free(text);
	say(fake, line);
	fake_done = true;
}

static void test_reflection(void)
{
	char err[HK_ERR_LEN] = "";
	struct identity peer;
	struct stream *s;
	int fd[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		abort();
	s = stream_new(fd[0], "impostor");
	fake = stream_new(fd[1], "victim");
	task_spawn(reflect, NULL);
	r = auth_connect(s, &good, PURPOSE_JOIN, &client, &peer, WAIT, err);
	ok(r && strstr(err, "another cluster secret"),
	   "a proof sent back is none: %s", err);
	while (!fake_done)
		task_sleep(1);
	stream_free(s);
	stream_free(fake);
}

static void test_secrets(void)
{
	char dir[] = "/tmp/hk-auth-XXXXXX", path[64], err[HK_ERR_LEN];
	struct secret s1, s2;
	struct stat st;
	FILE *f;

	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/secret", dir);
	ok(!secret_create(&s1, path, err), "made");
	ok(!stat(path, &st) && (st.st_mode & 0777) == 0600, "for nobody else");
	ok(!secret_read(&s2, path, err) && s1.len == s2.len &&
	   !memcmp(s1.key, s2.key, s1.len), "read again");
	ok(secret_create(&s1, path, err), "not overwritten: %s", err);
	f = fopen(path, "w");
	if (!f)
		abort();
	fputs("short\n", f);
	fclose(f);
	ok(secret_read(&s2, path, err), "too short: %s", err);
	unlink(path);
	ok(secret_read(&s2, path, err), "missing: %s", err);
	rmdir(dir);
}

static void all(void *arg)
{
	(void)arg;
	good.len = other.len = 64;
	memset(good.key, 'g', 64);
	memset(other.key, 'g', 64);
	other.key[63] = 'x';
	test_pair();
	test_hostile_client();
	test_reflection();
	test_secrets();
	loop_stop();
}

int main(void)
{
	if (!freopen("/dev/null", "w", stderr))
		return 1;
	loop_init();
	task_spawn(all, NULL);
	loop_run();
	return tap_end();
}
