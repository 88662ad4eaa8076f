#include "assertion.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "cleanup.h"
#include "form.h"
#include "regfile.h"

#define SALT_BYTES 32
#define TEXT_MAX   (1 << 20) /* bytes of an assertion: far more than any has */

struct assertion_cert {
	X509 *x509;
	char path[]; /* for the texts */
};

static void
bio_drop(BIO **p)
{
	(void)BIO_free(*p);
}
static void
x509_drop(X509 **p)
{
	X509_free(*p);
}
static void
md_drop(EVP_MD_CTX **p)
{
	EVP_MD_CTX_free(*p);
}
/* OpenSSL's list of errors is the thread's: TLS must not find ours in it. */
static void
errors_drop(const int *unused)
{
	(void)unused;
	ERR_clear_error();
}

#define auto_bio    __attribute__((cleanup(bio_drop)))
#define auto_x509   __attribute__((cleanup(x509_drop)))
#define auto_md	    __attribute__((cleanup(md_drop)))
#define auto_errors __attribute__((cleanup(errors_drop), unused))

/* Where OpenSSL would ask at a terminal: nobody is there. */
static int
no_passphrase(char *to, int size, int writing, void *unused)
{
	(void)to;
	(void)size;
	(void)writing;
	(void)unused;
	return -1;
}

static int
explain_no_cert(
    const char *pem, size_t len, const char *path, struct diag *reterr)
{
	if (len > 0 && pem[0] == '\x30')
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: binary, not PEM; convert it: openssl x509 -in %s -out "
		    "NEW.pem",
		    path, path);
	if (len > 0 && memmem(pem, len, "CERTIFICATE-----", 16) != NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: the certificate is damaged; restore the file", path);
	return diag_set(reterr, DIAG_CONFIG,
	    "%s: has no certificate (-----BEGIN CERTIFICATE-----); name the "
	    "file that has it in client_certificate",
	    path);
}

struct assertion_cert *
assertion_cert_parse(
    const char *pem, size_t len, const char *path, struct diag *reterr)
{
	auto_errors int errors;
	auto_bio BIO *bio = NULL;
	auto_x509 X509 *x509 = NULL;
	struct assertion_cert *c;
	size_t path_size = strlen(path) + 1;

	if (len > 0 && len <= ASSERTION_PEM_MAX)
		bio = BIO_new_mem_buf(pem, (int)len);
	if (bio != NULL)
		x509 = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	if (x509 == NULL) {
		(void)explain_no_cert(pem, len, path, reterr);
		return NULL;
	}
	if ((c = malloc(sizeof(*c) + path_size)) == NULL) {
		(void)diag_nomem(reterr);
		return NULL;
	}
	c->x509 = take_ptr(&x509);
	memcpy(c->path, path, path_size);
	return c;
}

struct assertion_cert *
assertion_cert_load(const char *path, struct diag *reterr)
{
	auto_buf struct buf pem = BUF_INIT(ASSERTION_PEM_MAX + 1);
	struct stat st;
	auto_close int fd = regfile_open(
	    path, "let the agent's user read it (chgrp, chmod)", &st, reterr);

	if (fd < 0 ||
	    regfile_slurp(fd, path, ASSERTION_PEM_MAX, &pem, reterr) < 0)
		return NULL;
	return assertion_cert_parse(pem.ptr, pem.len, path, reterr);
}

void
assertion_cert_free(struct assertion_cert **c)
{
	if (*c != NULL)
		X509_free((*c)->x509);
	free(*c);
	*c = NULL;
}

int64_t
assertion_cert_expires_at(const struct assertion_cert *c)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(c->x509), &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

void
assertion_cert_thumbprint(const struct assertion_cert *c, char *ret)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (X509_digest(c->x509, EVP_sha1(), sum, &n) != 1)
		n = 0;
	for (unsigned i = 0; i < n && i < 20; i++) {
		*ret++ = hex[sum[i] >> 4];
		*ret++ = hex[sum[i] & 15];
	}
	*ret = '\0';
}

/* What signing and verifying have in common. */
static bool
set_padding(EVP_PKEY_CTX *ctx, enum assertion_alg alg)
{
	switch (alg) {
	case ASSERTION_RS256:
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0;
	case ASSERTION_PS256:
		return EVP_PKEY_CTX_set_rsa_padding(
			   ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, SALT_BYTES) > 0;
	}
	return false;
}

/* Appends the signature of text to *ret. */
static bool
sign_bytes(EVP_PKEY *pkey, enum assertion_alg alg, const struct buf *text,
    struct buf *ret)
{
	auto_md EVP_MD_CTX *md = EVP_MD_CTX_new();
	const unsigned char *in = (const unsigned char *)text->ptr;
	EVP_PKEY_CTX *ctx = NULL; /* md's */
	unsigned char *out;
	size_t n = 0;

	if (md == NULL ||
	    EVP_DigestSignInit_ex(md, &ctx, "SHA256", NULL, NULL, pkey, NULL) <=
		0 ||
	    !set_padding(ctx, alg) ||
	    EVP_DigestSign(md, NULL, &n, in, text->len) <= 0)
		return false;
	out = (unsigned char *)buf_room(ret, n);
	if (out == NULL || EVP_DigestSign(md, out, &n, in, text->len) <= 0)
		return false;
	ret->len += n;
	return true;
}

/*
 * For a key that a provider keeps to itself, so that it cannot be compared:
 * does the certificate verify what it signs?
 */
static bool
probe(EVP_PKEY *public, EVP_PKEY *private)
{
	auto_buf struct buf text = BUF_INIT(16), sig = BUF_INIT(TEXT_MAX);
	auto_md EVP_MD_CTX *md = EVP_MD_CTX_new();

	buf_adds(&text, "mailtoken");
	return !text.failed && md != NULL &&
	       sign_bytes(private, ASSERTION_RS256, &text, &sig) &&
	       EVP_DigestVerifyInit_ex(
		   md, NULL, "SHA256", NULL, NULL, public, NULL) > 0 &&
	       EVP_DigestVerify(md, (const unsigned char *)sig.ptr, sig.len,
		   (const unsigned char *)text.ptr, text.len) == 1;
}

int
assertion_cert_matches(const struct assertion_cert *c,
    const struct assertion_key *k, struct diag *reterr)
{
	EVP_PKEY *public = X509_get0_pubkey(c->x509);
	auto_errors int errors;

	if (public != NULL &&
	    (EVP_PKEY_eq(public, k->pkey) == 1 || probe(public, k->pkey)))
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "%s: the private key is of another certificate; name the two that "
	    "belong together in client_certificate and client_key",
	    c->path);
}

static const char *
alg_name(enum assertion_alg alg)
{
	switch (alg) {
	case ASSERTION_PS256:
		return "PS256";
	case ASSERTION_RS256:
		return "RS256";
	}
	return "?";
}

int
assertion_sign(const struct assertion_key *k, enum assertion_alg alg,
    const char *header, const char *payload, struct secret *ret,
    struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(TEXT_MAX), sig = BUF_INIT(TEXT_MAX);
	const char *reason;
	auto_errors int errors;

	base64url_add(&b, header, strlen(header));
	buf_adds(&b, ".");
	base64url_add(&b, payload, strlen(payload));
	if (b.failed)
		return diag_nomem(reterr);
	if (!sign_bytes(k->pkey, alg, &b, &sig)) {
		reason = ERR_reason_error_string(ERR_peek_last_error());
		(void)diag_set(reterr, DIAG_CONFIG,
		    "the private key does not sign with %s (%s); check the "
		    "provider of client_key, or choose another "
		    "assertion_algorithm",
		    alg_name(alg), reason != NULL ? reason : "no reason given");
		reterr->once = k->asked;
		return -1;
	}
	buf_adds(&b, ".");
	base64url_add(&b, sig.ptr, sig.len);
	buf_add(&b, "", 1);
	if (b.failed)
		return diag_nomem(reterr);
	buf_to_secret(&b, 0, b.len - 1, ret);
	return 0;
}

static void
add_key(struct buf *b, const char *key)
{
	buf_adds(b, b->len == 0 ? "{" : ",");
	json_string_add(b, key);
	buf_adds(b, ":");
}

/* Members of an object; NULL adds nothing. */
static void
add_str(struct buf *b, const char *key, const char *value)
{
	if (value == NULL)
		return;
	add_key(b, key);
	json_string_add(b, value);
}

static void
add_int(struct buf *b, const char *key, int64_t value)
{
	add_key(b, key);
	buf_addi(b, value);
}

/* The hash of a certificate's DER form (RFC 7515 sections 4.1.7, 4.1.8). */
static void
add_thumbprint(struct buf *b, const char *key, const struct assertion_cert *c,
    const EVP_MD *md)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (X509_digest(c->x509, md, sum, &n) != 1) {
		b->failed = true;
		return;
	}
	add_key(b, key);
	buf_adds(b, "\"");
	base64url_add(b, (const char *)sum, n);
	buf_adds(b, "\"");
}

/* A version 4 UUID (RFC 9562): Microsoft wants jti to be one. */
static void
add_jti(struct buf *b)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char r[16];
	char text[37], *to = text;

	if (RAND_bytes(r, sizeof(r)) != 1) {
		b->failed = true;
		return;
	}
	r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
	r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(r); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = hex[r[i] >> 4];
		*to++ = hex[r[i] & 15];
	}
	*to = '\0';
	add_str(b, "jti", text);
}

/* Ends both objects, as the strings that they are, and signs. */
static int
sign_objects(const struct assertion_key *k, enum assertion_alg alg,
    struct buf *header, struct buf *payload, struct secret *ret,
    struct diag *reterr)
{
	buf_add(header, "}", 2);
	buf_add(payload, "}", 2);
	if (header->failed || payload->failed)
		return diag_nomem(reterr);
	return assertion_sign(k, alg, header->ptr, payload->ptr, ret, reterr);
}

int
assertion_client(const struct assertion_key *k, const struct assertion_cert *c,
    enum assertion_alg alg, const char *client_id, const char *audience,
    int64_t now_s, struct secret *ret, struct diag *reterr)
{
	auto_buf struct buf header = BUF_INIT(TEXT_MAX);
	auto_buf struct buf payload = BUF_INIT(TEXT_MAX);
	auto_errors int errors;

	add_str(&header, "alg", alg_name(alg));
	add_str(&header, "typ", "JWT");
	if (alg == ASSERTION_RS256)
		add_thumbprint(&header, "x5t", c, EVP_sha1());
	add_thumbprint(&header, "x5t#S256", c, EVP_sha256());

	add_str(&payload, "iss", client_id);
	add_str(&payload, "sub", client_id);
	add_str(&payload, "aud", audience);
	add_jti(&payload);
	add_int(&payload, "nbf", now_s);
	add_int(&payload, "iat", now_s);
	add_int(&payload, "exp", now_s + ASSERTION_LIFE_S);
	return sign_objects(k, alg, &header, &payload, ret, reterr);
}

int
assertion_service_account(const struct assertion_key *k, const char *kid,
    const char *issuer, const char *subject, const char *scope,
    const char *audience, int64_t now_s, struct secret *ret,
    struct diag *reterr)
{
	auto_buf struct buf header = BUF_INIT(TEXT_MAX);
	auto_buf struct buf payload = BUF_INIT(TEXT_MAX);

	add_str(&header, "alg", alg_name(ASSERTION_RS256));
	add_str(&header, "typ", "JWT");
	add_str(&header, "kid", kid);

	add_str(&payload, "iss", issuer);
	add_str(&payload, "sub", subject);
	add_str(&payload, "scope", scope);
	add_str(&payload, "aud", audience);
	add_int(&payload, "iat", now_s);
	add_int(&payload, "exp", now_s + ASSERTION_LIFE_S);
	return sign_objects(k, ASSERTION_RS256, &header, &payload, ret, reterr);
}
