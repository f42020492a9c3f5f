// SPDX-License-Identifier: GPL-2.0
/*
 * What hkd reads of others: the line by which a member says who it is, the request of
 * a host for a certificate, lines of JSON, tokens, addresses
 *
 * TLS is OpenSSL's and not tried here: what comes out of it is the input, and a
 * certificate that is fixed, good and of node 2. All bytes are in the socket and its
 * other end is closed for writing before anything is read, so nothing ever waits and
 * no event loop is needed.
 */
#include <openssl/sha.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../user/hkd/enrol.h"
#include "../../user/hkd/hkd.h"
#include "../../user/hkd/state.h"
#include "../../user/hkd/token.h"
#include "input.h"

#define WAIT	(now_ms() + 600000)
#define CLUSTER	"00112233445566778899aabbccddeeff"
#define TOKEN	"0102030405060708"
#define SECRET	"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"

struct hkd hkd = { .self = COORDINATOR, .name = "self" };
struct trust trust = {
	.self = { .name = "self", .id = 1, .cluster = CLUSTER, .serial = "01" },
};

static const struct identity cert = {
	.name = "peer", .id = 2, .cluster = CLUSTER, .serial = "02",
};

/* The other end of TLS */
struct tls {
	const char *data;
	size_t len;
	bool kernel;
};

static bool banned;
/* what a host that asks for a certificate could change */
static unsigned int spent, issued, written;

struct tls *tls_connect(struct stream *s, enum tls_role role,
			const uint8_t *cluster, uint64_t deadline, char *err)
{
	struct tls *t = calloc(1, sizeof(*t));

	must(t && role == TLS_MEMBER && !cluster && deadline && err, "TLS");
	t->data = (const char *)s->buf;
	t->len = s->len;
	return t;
}

void tls_free(struct tls *t)
{
	free(t);
}

X509 *tls_peer_ca(const struct tls *t)
{
	must(!t, "asked for a CA");
	return NULL;
}

int tls_peer(const struct tls *t, struct identity *peer, char *err)
{
	must(t && err, "TLS");
	*peer = cert;
	return 0;
}

int tls_write_line(struct tls *t, const char *line, uint64_t deadline, char *err)
{
	must(t && !t->kernel && deadline && err, "TLS");
	must(strlen(line) < TLS_LINE_MAX - 1 && !strchr(line, '\n'),
	     "said more than a line");
	return 0;
}

int tls_read_line(struct tls *t, char *buf, uint64_t deadline, char *err)
{
	must(t && !t->kernel && deadline, "TLS");
	if (t->len >= TLS_LINE_MAX || memchr(t->data, 0, t->len))
		return fail(err, "malformed line");
	memcpy(buf, t->data, t->len);
	buf[t->len] = 0;
	return 0;
}

int tls_to_kernel(struct tls *t, char *err)
{
	must(t && err, "TLS");
	t->kernel = true;
	return 0;
}

bool trust_banned(const char *serial)
{
	return banned && !strcmp(serial, cert.serial);
}

int trust_ban(const char *serial, char *err)
{
	must(serial && err, "ban");
	written++;
	return 0;
}

int trust_ban_all(struct json_object *list, char *err)
{
	must(list && err, "bans");
	return 0;
}

struct json_object *trust_bans(void)
{
	return json_object_new_array();
}

int trust_adopt(EVP_PKEY *key, X509 *crt, X509 *ca, const char *name,
		bool plain, char *err)
{
	must(!key && !crt && !ca && !name && !plain && !err, "not here");
	return -1;
}

const char *trust_name(void)
{
	return "fuzz";
}

const char *state_dir(void)
{
	return "/nowhere";
}

/* One token, for anybody, until it is spent; node 2 is enrolled */
struct json_object *state_read_list(const char *name, char *err)
{
	char text[256], hash[2 * SHA256_DIGEST_LENGTH + 1];
	uint8_t secret[TOKEN_SECRET_LEN], sum[SHA256_DIGEST_LENGTH];

	must(err, "state");
	if (!strcmp(name, "nodes.json"))
		return json_tokener_parse("[{\"id\":1,\"name\":\"self\",\"serial\":\"01\"},"
					  "{\"id\":2,\"name\":\"peer\",\"serial\":\"02\"}]");
	must(!strcmp(name, "tokens.json"), "state");
	if (spent)
		return json_object_new_array();
	must(!hk_unhex(secret, sizeof(secret), SECRET), "secret");
	SHA256(secret, sizeof(secret), sum);
	hk_hex(hash, sum, sizeof(sum));
	snprintf(text, sizeof(text), "[{\"id\":\"%s\",\"hash\":\"%s\",\"expires\":%llu}]",
		 TOKEN, hash, 1ULL << 60);
	return json_tokener_parse(text);
}

int state_write_json(const char *name, struct json_object *obj, char *err)
{
	must(obj && err, "state");
	if (!strcmp(name, "tokens.json"))
		spent++;
	else
		written++;
	return 0;
}

/* a key of any kind: how OpenSSL reads requests is its own affair */
EVP_PKEY *x509_csr_key(const char *pem, char *err)
{
	must(strlen(pem) < TLS_LINE_MAX, "request");
	if (pem[0] == '-')
		return EVP_PKEY_new();
	fail(err, "no request");
	return NULL;
}

X509 *x509_issue(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *node_key,
		 const struct identity *who, char *err)
{
	must(!ca && !ca_key && node_key && err, "issue");
	must(hk_name_ok(who->name) && who->id > 2 && who->id < HK_NODES_MAX &&
	     !strcmp(who->cluster, CLUSTER), "a certificate for whom?");
	must(strcmp(who->name, "self") && strcmp(who->name, "peer"),
	     "a name that is taken");
	issued++;
	return X509_new();
}

int x509_identity(X509 *crt, struct identity *who)
{
	must(crt, "certificate");
	snprintf(who->serial, sizeof(who->serial), "03");
	return 0;
}

char *x509_to_pem(X509 *crt)
{
	must(crt, "certificate");
	return strdup("PEM");
}

X509 *x509_from_pem(const char *pem)
{
	must(!pem, "not here");
	return NULL;
}

EVP_PKEY *x509_make_key(void)
{
	return NULL;
}

char *x509_make_csr(EVP_PKEY *key, const char *name)
{
	must(!key && !name, "not here");
	return NULL;
}

void member_down(uint16_t id, const char *why)
{
	must(id && why, "member");
}

int peer_call(uint16_t id, struct json_object *req,
	      struct json_object **reply, uint64_t timeout_ms, char *err)
{
	must(id && req && !reply && timeout_ms && err, "not here");
	return -1;
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

/* What @line says, word for word, as a member may say it */
static bool is_hello(struct json_object *line)
{
	const char *name = js_str(line, "name"), *cluster = js_str(line, "cluster");

	return js_int(line, "hello", 0) == 2 && name && cluster &&
	       !strcmp(name, cert.name) && js_int(line, "id", 0) == cert.id &&
	       !strcmp(cluster, cert.cluster) && !banned &&
	       js_int(line, "wire", -1) == release.wire &&
	       js_int(line, "features", -1) == release.features;
}

static void accept_or_connect(const void *data, size_t len, bool accept)
{
	struct stream s = { .fd = -1, .what = "member", .buf = (char *)data, .len = len };
	struct tls t = { .data = data, .len = len };
	enum purpose purpose = PURPOSE_JOIN;
	char err[HK_ERR_LEN] = "", no[HK_ERR_LEN] = "";
	struct identity peer = { .name = "x" }, self = trust.self;
	char line[TLS_LINE_MAX];
	struct json_object *obj;
	const char *use;
	int r;

	release.wire = 1;
	if (accept)
		r = auth_accept(&t, &s, &self, &purpose, &peer, WAIT, err);
	else
		r = auth_connect(&s, PURPOSE_LINK, &self, &peer, WAIT, err);
	if (r) {
		check_err(err);
		must(!t.kernel, "keys for the kernel without an identity");
		return;
	}
	must(!memcmp(&peer, &cert, sizeof(peer)), "somebody else");
	must(!tls_read_line(&(struct tls){ data, len, false }, line, WAIT, no),
	     "no line");
	obj = js_parse(line, strlen(line), no);
	must(obj && is_hello(obj), "a member that does not say who it is");
	use = js_str(obj, "purpose");
	must(use && (!strcmp(use, "join") || !strcmp(use, "control") ||
		     !strcmp(use, "link") || !strcmp(use, "renew")), "purpose");
	must(accept || !strcmp(use, "link"), "answered for another purpose");
	must(!accept || t.kernel, "goes on in the clear");
	json_object_put(obj);
}

/* Whoever has no token changes nothing, and learns nothing */
static void enrol(const void *data, size_t len)
{
	struct tls t = { .data = data, .len = len };
	char line[TLS_LINE_MAX], err[HK_ERR_LEN];
	struct json_object *obj;
	const char *secret;

	spent = 0;
	issued = 0;
	written = 0;
	enrol_answer(&t, "stranger", WAIT);
	must(spent <= 1 && issued == spent && written == spent,
	     "half of an enrolment");
	if (!spent)
		return;
	must(!tls_read_line(&t, line, WAIT, err), "no line");
	obj = js_parse(line, strlen(line), err);
	secret = obj ? js_str(obj, "secret") : NULL;
	must(secret && !strcasecmp(secret, SECRET), "enrolled without a token");
	json_object_put(obj);
}

/* A slip of the pen in a token is told from a token */
static void token(const void *data, size_t len)
{
	char *text = malloc(len + 1), err[HK_ERR_LEN] = "";
	struct token token;

	must(text, "no memory");
	memcpy(text, data, len);
	text[len] = 0;
	/* its last 32 bits are a sum of the rest */
	if (token_parse(&token, text, err))
		check_err(err);
	free(text);
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

	uint8_t how = input_u8(&in);
	static bool quiet;

	if (!quiet)
		quiet = !log_open("/dev/null");
	banned = how & 0x80;
	switch (how % 7) {
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
	case 5:
		enrol(in.at, in.left);
		break;
	case 6:
		token(in.at, in.left);
		break;
	}
	return 0;
}
