// SPDX-License-Identifier: GPL-2.0
/*
 * user/hkd/auth.c - proof that both ends of a connection know the cluster secret
 *
 *	connecting side				accepting side
 *	{"hello":…,"nonce":Nc}		->
 *					<-	{"challenge":…,"nonce":Na}
 *	{"proof":P("connect")}		->
 *					<-	{"proof":P("accept")}
 *						or {"error":…}
 *
 * P(role) = HMAC-SHA256(secret, role | len | hello line | len | challenge line).
 * Both lines are covered to the byte, with both nonces, names, ids, cluster and
 * purpose, so a proof is good for one connection, one direction and one purpose:
 * it can neither be played again nor sent back to who made it. The secret never
 * travels. What follows on the connection is not protected by this: for a
 * network that is not trusted, put the connections into a tunnel.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "auth.h"
#include "log.h"

#define AUTH_VERSION	1
#define NONCE_LEN	32
#define PROOF_LEN	32
/* Nobody has proved anything yet: keep what strangers may send small. */
#define AUTH_LINE_MAX	1024

static const char *const purpose_name[PURPOSE_MAX] = {
	[PURPOSE_JOIN]		= "join",
	[PURPOSE_CONTROL]	= "control",
	[PURPOSE_LINK]		= "link",
};

int secret_read(struct secret *secret, const char *path, char *err)
{
	uint8_t buf[SECRET_MAX + 1];
	struct stat st;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(err, "secret file %s: %s", path, strerror(errno));
	if (!fstat(fd, &st) && (st.st_mode & 077))
		log_info("warning: secret file %s is open to others (mode %04o): chmod 600 it",
			 path, st.st_mode & 07777);
	n = read(fd, buf, sizeof(buf));
	close(fd);
	if (n < 0)
		return fail(err, "secret file %s: %s", path, strerror(errno));
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	if (n < SECRET_MIN || n > SECRET_MAX)
		return fail(err, "secret file %s: must hold %d to %d bytes",
			    path, SECRET_MIN, SECRET_MAX);
	memcpy(secret->key, buf, (size_t)n);
	secret->len = (size_t)n;
	OPENSSL_cleanse(buf, sizeof(buf));
	return 0;
}

int secret_create(struct secret *secret, const char *path, char *err)
{
	uint8_t raw[32];
	char text[2 * sizeof(raw) + 2];
	int fd;

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return fail(err, "no random numbers to make a secret of");
	hk_hex(text, raw, sizeof(raw));
	OPENSSL_cleanse(raw, sizeof(raw));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(err, "secret file %s: %s", path, strerror(errno));
	secret->len = strlen(text);
	memcpy(secret->key, text, secret->len);
	text[secret->len] = '\n';
	if (write(fd, text, secret->len + 1) != (ssize_t)secret->len + 1 ||
	    fsync(fd)) {
		fail(err, "secret file %s: %s", path, strerror(errno));
		close(fd);
		unlink(path);
		return -1;
	}
	close(fd);
	return 0;
}

static size_t add_field(uint8_t *buf, size_t at, const char *text)
{
	size_t len = strlen(text);

	buf[at++] = (uint8_t)(len >> 8);
	buf[at++] = (uint8_t)len;
	memcpy(buf + at, text, len);
	return at + len;
}

static int make_proof(uint8_t proof[PROOF_LEN], const struct secret *secret,
		      const char *role, const char *hello,
		      const char *challenge)
{
	uint8_t buf[2 * AUTH_LINE_MAX + 128];
	unsigned int len = 0;
	size_t n = 0;

	n = add_field(buf, n, "hyperkernel-auth-1");
	n = add_field(buf, n, role);
	n = add_field(buf, n, hello);
	n = add_field(buf, n, challenge);
	if (!HMAC(EVP_sha256(), secret->key, (int)secret->len, buf, n, proof,
		  &len))
		return -1;
	return len == PROOF_LEN ? 0 : -1;
}

static char *introduce(const char *what, enum purpose purpose,
		       const struct identity *self)
{
	char nonce[2 * NONCE_LEN + 1];
	struct json_object *obj;
	uint8_t raw[NONCE_LEN];
	char *line;

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return NULL;
	hk_hex(nonce, raw, sizeof(raw));
	obj = json_object_new_object();
	js_add_int(obj, what, AUTH_VERSION);
	js_add_str(obj, "purpose", purpose_name[purpose]);
	js_add_str(obj, "name", self->name);
	js_add_int(obj, "id", self->id);
	js_add_str(obj, "cluster", self->cluster);
	js_add_str(obj, "nonce", nonce);
	line = strdup(json_object_to_json_string_ext(obj,
						     JSON_C_TO_STRING_PLAIN));
	json_object_put(obj);
	return line;
}

static int send_text(struct stream *s, const char *text, uint64_t deadline,
		     char *err)
{
	char line[AUTH_LINE_MAX + 2];
	int n = snprintf(line, sizeof(line), "%s\n", text);

	if (n >= (int)sizeof(line))
		return fail(err, "authentication message too long");
	return stream_write_line(s, line, (size_t)n, deadline, err);
}

/* tell the other side why, as well as it goes */
static void send_refusal(struct stream *s, const char *why, uint64_t deadline)
{
	struct json_object *obj = json_object_new_object();
	char err[HK_ERR_LEN];

	js_add_str(obj, "error", why);
	stream_write(s, obj, deadline, err);
}

/* A line of the other side, kept: the proofs cover it to the byte. */
static int receive(struct stream *s, char **copy, struct json_object **obj,
		   uint64_t deadline, char *err)
{
	const char *line, *why;

	*copy = NULL;
	if (stream_read_line(s, &line, deadline, err))
		return -1;
	if (!line)
		return fail(err, "%s closed the connection before it proved to know the secret",
			    s->what);
	if (strlen(line) > AUTH_LINE_MAX)
		return fail(err, "%s sent an authentication message that is too long",
			    s->what);
	*obj = js_parse(line, strlen(line), err);
	if (!*obj)
		return fail(err, "%s: %s", s->what, err);
	why = js_str(*obj, "error");
	if (why) {
		fail(err, "refused by %s: %.300s", s->what, why);
		json_object_put(*obj);
		return -1;
	}
	*copy = strdup(line);
	if (!*copy) {
		json_object_put(*obj);
		return fail(err, "out of memory");
	}
	return 0;
}

static int parse_identity(struct json_object *obj, const char *what,
			  enum purpose *purpose, struct identity *peer,
			  const char *where, char *err)
{
	const char *name = js_str(obj, "name"), *use = js_str(obj, "purpose");
	const char *cluster = js_str(obj, "cluster");
	const char *nonce = js_str(obj, "nonce");
	int64_t id = js_int(obj, "id", -1);
	uint8_t raw[NONCE_LEN];
	unsigned int i;

	if (js_int(obj, what, 0) != AUTH_VERSION)
		return fail(err, "%s does not speak version %d of this protocol",
			    where, AUTH_VERSION);
	for (i = 0; i < PURPOSE_MAX; i++)
		if (use && !strcmp(use, purpose_name[i]))
			break;
	if (i == PURPOSE_MAX || !hk_name_ok(name) || !cluster ||
	    strlen(cluster) >= sizeof(peer->cluster) || id < 0 ||
	    id >= HK_NODES_MAX || hk_unhex(raw, sizeof(raw), nonce))
		return fail(err, "%s sent a malformed \"%s\"", where, what);
	*purpose = (enum purpose)i;
	memset(peer, 0, sizeof(*peer));
	strcpy(peer->name, name);
	strcpy(peer->cluster, cluster);
	peer->id = (uint16_t)id;
	return 0;
}

static int send_proof(struct stream *s, const struct secret *secret,
		      const char *role, const char *hello,
		      const char *challenge, uint64_t deadline, char *err)
{
	char line[2 * PROOF_LEN + 16], hex[2 * PROOF_LEN + 1];
	uint8_t proof[PROOF_LEN];

	if (make_proof(proof, secret, role, hello, challenge))
		return fail(err, "HMAC-SHA256 is not available");
	hk_hex(hex, proof, PROOF_LEN);
	snprintf(line, sizeof(line), "{\"proof\":\"%s\"}", hex);
	return send_text(s, line, deadline, err);
}

static int check_proof(struct stream *s, const struct secret *secret,
		       const char *role, const char *hello,
		       const char *challenge, uint64_t deadline, char *err)
{
	uint8_t want[PROOF_LEN], got[PROOF_LEN];
	struct json_object *obj;
	char *line;
	int r;

	if (receive(s, &line, &obj, deadline, err))
		return -1;
	free(line);
	r = hk_unhex(got, sizeof(got), js_str(obj, "proof"));
	json_object_put(obj);
	if (r)
		return fail(err, "%s sent a malformed proof", s->what);
	if (make_proof(want, secret, role, hello, challenge))
		return fail(err, "HMAC-SHA256 is not available");
	if (CRYPTO_memcmp(want, got, sizeof(want)))
		return fail(err, "authentication failed: %s has another cluster secret",
			    s->what);
	return 0;
}

int auth_connect(struct stream *s, const struct secret *secret,
		 enum purpose purpose, const struct identity *self,
		 struct identity *peer, uint64_t deadline, char *err)
{
	char *hello = introduce("hello", purpose, self), *challenge = NULL;
	struct json_object *obj;
	enum purpose use;
	int r = -1;

	if (!hello) {
		fail(err, "no random numbers for authentication");
		goto out;
	}
	if (send_text(s, hello, deadline, err) ||
	    receive(s, &challenge, &obj, deadline, err))
		goto out;
	r = parse_identity(obj, "challenge", &use, peer, s->what, err);
	json_object_put(obj);
	if (!r && use != purpose)
		r = fail(err, "%s answered for another purpose", s->what);
	if (!r)
		r = send_proof(s, secret, "connect", hello, challenge,
			       deadline, err);
	if (!r)
		r = check_proof(s, secret, "accept", hello, challenge,
				deadline, err);
out:
	free(hello);
	free(challenge);
	return r;
}

int auth_accept(struct stream *s, const struct secret *secret,
		const struct identity *self, enum purpose *purpose,
		struct identity *peer, uint64_t deadline, char *err)
{
	char *hello = NULL, *challenge = NULL;
	struct json_object *obj;
	int r;

	if (receive(s, &hello, &obj, deadline, err))
		return -1;
	r = parse_identity(obj, "hello", purpose, peer, s->what, err);
	json_object_put(obj);
	if (r) {
		send_refusal(s, "malformed hello", deadline);
		goto out;
	}
	if (!secret->len) {
		r = fail(err, "refused %s at %s: this node is in no cluster",
			 peer->name, s->what);
		send_refusal(s, "this node is in no cluster", deadline);
		goto out;
	}
	challenge = introduce("challenge", *purpose, self);
	if (!challenge) {
		r = fail(err, "no random numbers for authentication");
		goto out;
	}
	r = send_text(s, challenge, deadline, err);
	if (r)
		goto out;
	r = check_proof(s, secret, "connect", hello, challenge, deadline, err);
	if (r) {
		send_refusal(s, "authentication failed: the cluster secrets differ",
			     deadline);
		goto out;
	}
	r = send_proof(s, secret, "accept", hello, challenge, deadline, err);
out:
	free(hello);
	free(challenge);
	return r;
}
