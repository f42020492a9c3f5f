// SPDX-License-Identifier: GPL-2.0
/*
 * selftests/user/token.c - invitations and certificates: what is good, what is not
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "../../user/hkd/log.h"
#include "../../user/hkd/state.h"
#include "../../user/hkd/stream.h"
#include "../../user/hkd/token.h"
#include "../../user/hkd/trust.h"
#include "../../user/hkd/x509.h"
#include "tap.h"

/* of trust.c: what token.c asks for */
struct trust trust = { .cluster = "0123456789abcdef" };

static char dir[] = "/tmp/hk-token.XXXXXX";

static char *in_dir(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void test_text(void)
{
	char text[TOKEN_TEXT_LEN], bad[TOKEN_TEXT_LEN], err[HK_ERR_LEN] = "";
	unsigned int i, slips = 0, shorts = 0;
	struct token token;

	ok(!token_make(text, NULL, 60, err), "a token is made: %s", err);
	ok(!token_parse(&token, text, err) && !token.plain &&
	   !memcmp(token.cluster, trust.cluster, sizeof(token.cluster)),
	   "its text says which cluster it is of: %s", err);
	for (i = 0; text[i]; i++) {
		strcpy(bad, text);
		bad[i] = bad[i] == 'a' ? 'b' : 'a';
		slips += token_parse(&token, bad, err) != 0;
		bad[i] = 0;
		shorts += token_parse(&token, bad, err) != 0;
	}
	ok(slips == strlen(text), "each wrong letter is noticed (%u of %zu)",
	   slips, strlen(text));
	ok(shorts == strlen(text), "each cut is noticed");
	strcpy(bad, text);
	bad[5] = '1';
	ok(token_parse(&token, bad, err), "a digit that is none of base32");
	trust.plain = true;
	ok(!token_make(text, NULL, 60, err) && !token_parse(&token, text, err) &&
	   token.plain, "a token of a plain cluster says so");
	trust.plain = false;
}

static void test_use(void)
{
	char text[TOKEN_TEXT_LEN], bound[HK_NAME_MAX], err[HK_ERR_LEN] = "";
	struct token token, other;
	char *kept, hex[2 * TOKEN_SECRET_LEN + 1];
	struct stat st;

	token_make(text, "b", 60, err);
	token_parse(&token, text, err);
	token_make(text, NULL, 60, err);
	token_parse(&other, text, err);
	ok(!stat(in_dir("tokens.json"), &st) && (st.st_mode & 0777) == 0600,
	   "the file is nobody else's");
	kept = state_read("tokens.json", err);
	hk_hex(hex, token.secret, sizeof(token.secret));
	ok(kept && !strstr(kept, hex), "the secret is not in it");
	free(kept);
	ok(!token_check(token.id, token.secret, bound, err) &&
	   !strcmp(bound, "b"), "good, and for the node it was made for");
	ok(!token_check(other.id, other.secret, bound, err) && !bound[0],
	   "good for anybody");
	ok(token_check(token.id, other.secret, bound, err),
	   "one token's id, another one's secret: %s", err);
	ok(!token_spend(token.id, err) &&
	   token_check(token.id, token.secret, bound, err),
	   "spent is spent: %s", err);
	ok(token_spend(token.id, err), "and cannot be spent twice");
	ok(!token_check(other.id, other.secret, bound, err),
	   "the other one is still good");

	token_make(text, NULL, 1, err);
	token_parse(&token, text, err);
	/* its end is a whole second; wait until the clock is past it */
	for (time_t end = time(NULL) + 1; time(NULL) <= end;)
		usleep(20000);
	ok(token_check(token.id, token.secret, bound, err), "expired: %s", err);

	chmod(in_dir("tokens.json"), 0644);
	ok(token_check(other.id, other.secret, bound, err) &&
	   strstr(err, "open to others"), "a file that others can read: %s", err);
	unlink(in_dir("tokens.json"));
	state_write("tokens.json", "{}", err);
	ok(token_check(other.id, other.secret, bound, err) &&
	   strstr(err, "damaged"), "a damaged file: %s", err);
	unlink(in_dir("tokens.json"));
}

static X509 *resign(X509 *cert, EVP_PKEY *key)
{
	X509_sign(cert, key, NULL);
	return cert;
}

static void test_certificates(void)
{
	struct identity who = { .name = "b", .id = 2 }, got;
	EVP_PKEY *ca_key = x509_make_key(), *key = x509_make_key(), *pub;
	EVP_PKEY *other_key = x509_make_key();
	X509 *ca = x509_make_ca(ca_key, "c"), *other = x509_make_ca(other_key, "c");
	uint8_t id[HK_CLUSTER_ID_LEN];
	char err[HK_ERR_LEN] = "", *csr;
	X509 *cert;

	x509_cluster_id(ca, id);
	hk_hex(who.cluster, id, sizeof(id));
	ok(!x509_check_ca(ca, ca_key, err), "a CA: %s", err);
	ok(x509_check_ca(ca, key, err), "not with another key: %s", err);
	csr = x509_make_csr(key, "b");
	pub = x509_csr_key(csr, err);
	ok(pub && EVP_PKEY_eq(pub, key) == 1, "a request names the key");
	csr[strlen(csr) / 2] ^= 1;
	ok(!x509_csr_key(csr, err), "a changed request does not");
	free(csr);
	cert = x509_issue(ca, ca_key, pub, &who, err);
	ok(cert && !x509_check(cert, ca, err), "a certificate: %s", err);
	ok(!x509_identity(cert, &got) && got.id == 2 && !strcmp(got.name, "b") &&
	   !strcmp(got.cluster, who.cluster) && got.serial[0],
	   "it says who it is");
	ok(x509_check(cert, other, err), "not of another CA of that name: %s", err);
	ok(x509_check_ca(cert, key, err), "it cannot sign others: %s", err);
	ok(x509_identity(ca, &got), "a CA's certificate is no node's");
	X509_gmtime_adj(X509_getm_notAfter(resign(cert, ca_key)), -60);
	ok(x509_check(resign(cert, ca_key), ca, err) && strstr(err, "expired"),
	   "expired: %s", err);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_gmtime_adj(X509_getm_notBefore(cert), 60);
	ok(x509_check(resign(cert, ca_key), ca, err) && strstr(err, "not yet valid"),
	   "not yet valid: %s", err);
	X509_free(cert);
	X509_free(ca);
	X509_free(other);
	EVP_PKEY_free(pub);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(other_key);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	state_use(dir);
	test_text();
	test_use();
	test_certificates();
	rmdir(dir);
	return tap_end();
}
