/* Who a client is, signed: keys and certificates as people leave them. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "assertion.h"
#include "buf.h"
#include "cleanup.h"
#include "form.h"
#include "json.h"

#define DATA "tests/unit/data/keys/"
#define NOW  1790000000

static char dir[] = "/tmp/test_assertion.XXXXXX";

/* "NAME" in the test's directory; valid until the next but one call. */
static const char *
in_dir(const char *name)
{
	static char path[2][128];
	static unsigned turn;

	turn = !turn;
	(void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static FILE *
create(const char *name)
{
	FILE *f = fopen(in_dir(name), "we");

	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	return f;
}

static void
write_text(const char *name, const char *text, size_t n)
{
	FILE *f = create(name);

	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void
write_string(const char *name, const char *text)
{
	write_text(name, text, strlen(text));
}

static size_t
slurp(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	assert_int_equal(fclose(f), 0);
	return n;
}

static void
copy(const char *from, const char *name)
{
	char text[8192];

	write_text(name, text, slurp(from, text, sizeof(text)));
}

static void
write_key(const char *name, EVP_PKEY *pkey, const char *passphrase)
{
	FILE *f = create(name);

	assert_int_equal(
	    PEM_write_PKCS8PrivateKey(f, pkey,
		passphrase != NULL ? EVP_aes_256_cbc() : NULL, passphrase,
		passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL),
	    1);
	assert_int_equal(fclose(f), 0);
}

static void
write_traditional(const char *name, EVP_PKEY *pkey, const char *passphrase)
{
	BIO *bio = BIO_new_fp(create(name), BIO_CLOSE);

	assert_non_null(bio);
	assert_int_equal(
	    PEM_write_bio_PrivateKey_traditional(bio, pkey, EVP_aes_128_cbc(),
		(const unsigned char *)passphrase, (int)strlen(passphrase),
		NULL, NULL),
	    1);
	(void)BIO_free(bio);
}

static void
write_cert(const char *name, EVP_PKEY *pkey)
{
	X509 *x = X509_new();
	FILE *f = create(name);

	assert_non_null(x);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -20));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), -10));
	assert_int_equal(X509_set_pubkey(x, pkey), 1);
	assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, x), 1);
	assert_int_equal(fclose(f), 0);
	X509_free(x);
}

static int
setup(void **unused)
{
	char text[8192];
	EVP_PKEY *rsa, *small = EVP_RSA_gen(1024), *ec = EVP_EC_gen("P-256");
	FILE *f;

	(void)unused;
	assert_non_null(mkdtemp(dir));
	copy(DATA "rfc7515-a2.key.pem", "plain.pem");
	copy(DATA "rfc7515-a2.cert.pem", "cert.pem");
	copy(DATA "rfc7515-a2.key.pem", "open.pem");
	assert_int_equal(chmod(in_dir("open.pem"), 0640), 0);

	f = fopen(in_dir("plain.pem"), "re");
	assert_non_null(f);
	rsa = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	assert_non_null(rsa);
	write_key("pkcs8.pem", rsa, "correct horse");
	write_traditional("traditional.pem", rsa, "correct horse");
	write_key("small.pem", small, NULL);
	write_key("ec.pem", ec, NULL);
	write_key("ec-encrypted.pem", ec, "correct horse");
	write_cert("ec-cert.pem", ec);
	write_cert("expired.pem", rsa);

	/* Both in one file, as MSAL and others have it. */
	f = create("both.pem");
	(void)slurp(DATA "rfc7515-a2.cert.pem", text, sizeof(text));
	assert_true(fputs(text, f) >= 0);
	(void)slurp(DATA "rfc7515-a2.key.pem", text, sizeof(text));
	assert_true(fputs(text, f) >= 0);
	(void)fclose(f);
	/* The same key with one byte changed, and cut. */
	text[200] = text[200] == 'A' ? 'B' : 'A';
	text[400] = '*';
	write_string("damaged.pem", text);
	write_string("empty.pem", "");
	write_string("words.pem", "hello\n");
	write_text("binary.pem", "\x30\x82\x01\x00", 4);
	write_string("openssh.pem",
	    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
	    "b3BlbnNzaC1rZXktdjE=\n-----END OPENSSH PRIVATE KEY-----\n");
	write_string("cut-cert.pem", "-----BEGIN CERTIFICATE-----\nMIID\n"
				     "-----END CERTIFICATE-----\n");
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(small);
	EVP_PKEY_free(ec);
	return 0;
}

static int
teardown(void **unused)
{
	static const char *const names[] = { "plain.pem", "cert.pem",
		"open.pem", "pkcs8.pem", "traditional.pem", "small.pem",
		"ec.pem", "ec-encrypted.pem", "ec-cert.pem", "expired.pem",
		"both.pem", "damaged.pem", "empty.pem", "words.pem",
		"binary.pem", "openssh.pem", "cut-cert.pem", "other.pem" };

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_dir(names[i]));
	return rmdir(dir);
}

static const struct {
	const char *name, *where, *passphrase, *says; /* NULL: loads */
} key_cases[] = {
	{ "PKCS#8", "plain.pem", NULL, NULL },
	{ "a passphrase that is not needed", "plain.pem", "x", NULL },
	{ "behind a certificate", "both.pem", NULL, NULL },
	{ "encrypted", "pkcs8.pem", "correct horse", NULL },
	{ "encrypted, traditional", "traditional.pem", "correct horse", NULL },
	{ "no passphrase", "pkcs8.pem", NULL, "is encrypted; say where" },
	{ "an empty one", "pkcs8.pem", "", "is encrypted; say where" },
	{ "no passphrase, traditional", "traditional.pem", NULL,
	    "is encrypted; say where" },
	{ "a wrong one", "pkcs8.pem", "wrong",
	    "client_key_passphrase does not open" },
	{ "a wrong one, traditional", "traditional.pem", "wrong",
	    "client_key_passphrase does not open" },
	{ "no file", "absent.pem", NULL, "there is no such file" },
	{ "a directory", "", NULL, "not a regular file" },
	{ "others can read it", "open.pem", NULL, "run: chmod 600 " },
	{ "empty", "empty.pem", NULL, "has no private key" },
	{ "text", "words.pem", NULL, "has no private key" },
	{ "a certificate", "cert.pem", NULL,
	    "has a certificate, but no private key" },
	{ "PKCS#12 or DER", "binary.pem", NULL, "openssl pkcs12 -in " },
	{ "OpenSSH's form", "openssh.pem", NULL, "ssh-keygen -p -m PKCS8" },
	{ "damaged", "damaged.pem", NULL, "the private key is damaged" },
	{ "too small", "small.pem", NULL, "of 1024 bits is too short" },
	{ "elliptic", "ec.pem", NULL, "an RSA key is needed" },
	{ "elliptic, encrypted", "ec-encrypted.pem", "correct horse",
	    "an RSA key is needed" },
};

/* where is a name in the directory behind prefix. */
static void
check_key(const char *prefix, const char *where, const char *passphrase,
    const char *says)
{
	struct secret s = { (char *)(uintptr_t)passphrase,
		passphrase != NULL ? strlen(passphrase) : 0 };
	struct diag d = DIAG_INIT;
	char uri[160];
	struct assertion_key *k;

	(void)snprintf(uri, sizeof(uri), "%s%s", prefix, in_dir(where));
	k = assertion_key_load(uri, &s, "mailtoken", &d);
	assert_int_equal(ERR_peek_error(), 0); /* nothing is left behind */
	if (says == NULL) {
		assert_string_equal(d.text, "");
		assert_non_null(k);
	} else {
		assert_null(k);
		assert_int_equal(d.kind, DIAG_CONFIG);
		assert_non_null(strstr(d.text, says));
		assert_non_null(strstr(d.text, in_dir(where)));
		assert_null(strstr(d.text, "horse"));
	}
	assertion_key_free(&k);
	assert_null(k);
	assertion_key_free(&k);
}

static void
a_key_loads_or_the_file_and_the_remedy_are_named(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(key_cases) / sizeof(key_cases[0]); i++) {
		print_message("key: %s\n", key_cases[i].name);
		check_key("", key_cases[i].where, key_cases[i].passphrase,
		    key_cases[i].says);
	}
}

static const struct {
	const char *name, *prefix, *where, *passphrase, *says;
} uri_cases[] = {
	{ "a file", "file:", "plain.pem", NULL, NULL },
	{ "an empty host", "file://", "plain.pem", NULL, NULL },
	{ "localhost", "FILE://localhost", "both.pem", NULL, NULL },
	{ "encrypted", "file:", "pkcs8.pem", "correct horse", NULL },
	{ "encrypted, traditional", "file:", "traditional.pem", "correct horse",
	    NULL },
	{ "no passphrase", "file:", "pkcs8.pem", NULL, "it asks for a PIN" },
	{ "a wrong one", "file:", "pkcs8.pem", "wrong",
	    "check the URI, and client_key" },
	{ "others can read it", "file:", "open.pem", NULL, "chmod 600 " },
	{ "no key", "file:", "cert.pem", NULL, "gives no private key" },
	{ "empty", "file:", "empty.pem", NULL, "gives no private key" },
	{ "no file", "file:", "absent.pem", NULL, "no such file" },
	{ "elliptic", "file:", "ec.pem", NULL, "an RSA key is needed" },
	{ "unknown scheme", "nosuch:", "x", NULL,
	    "no provider of OpenSSL knows 'nosuch:'" },
	{ "no scheme", "relative", "x", NULL, "neither an absolute path" },
};

static void
a_store_gives_a_key_or_says_why_not(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(uri_cases) / sizeof(uri_cases[0]); i++) {
		print_message("uri: %s\n", uri_cases[i].name);
		check_key(uri_cases[i].prefix, uri_cases[i].where,
		    uri_cases[i].passphrase, uri_cases[i].says);
	}
}

/* As systemd shows a credential that an ACL lets the agent's user read. */
static void
the_mode_of_credentials_is_systemds(void **unused)
{
	static const struct {
		const char *below, *says;
	} dirs[] = {
		{ "", NULL },
		{ "/", NULL },
		{ "/open.pem", "chmod 600" },
		{ "/..", "chmod 600" },
	};
	char cred[160];

	(void)unused;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(cred, sizeof(cred), "%s%s", dir, dirs[i].below);
		assert_int_equal(setenv("CREDENTIALS_DIRECTORY", cred, 1), 0);
		check_key("", "open.pem", NULL, dirs[i].says);
		check_key("file:", "open.pem", NULL, dirs[i].says);
	}
	(void)snprintf(cred, sizeof(cred), "..%s/open.pem", strrchr(dir, '/'));
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	check_key("", cred, NULL, "chmod 600");
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void
a_pin_is_tried_once(void **unused)
{
	static const struct {
		const char *where, *passphrase;
		bool once;
	} tries[] = {
		{ "pkcs8.pem", "wrong", true },
		{ "pkcs8.pem", "", false },	  /* none was given */
		{ "absent.pem", "wrong", false }, /* no token to ask for it */
		{ "cert.pem", "wrong", false },
	};
	struct secret right = { (char *)(uintptr_t) "correct horse", 13 };
	struct assertion_key *k;
	struct diag d = DIAG_INIT;
	char uri[160];

	(void)unused;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct secret s = { (char *)(uintptr_t)tries[i].passphrase,
			strlen(tries[i].passphrase) };

		(void)snprintf(
		    uri, sizeof(uri), "file:%s", in_dir(tries[i].where));
		assert_null(assertion_key_load(uri, &s, "x", &d));
		assert_int_equal(d.once, tries[i].once);
	}
	(void)snprintf(uri, sizeof(uri), "file:%s", in_dir("pkcs8.pem"));
	k = assertion_key_load(uri, &right, "x", &d);
	assert_non_null(k);
	assert_true(k->asked); /* and may be refused when it signs */
	assertion_key_free(&k);
}

static void
a_pin_in_a_uri_is_never_shown(void **unused)
{
	static const char *const uris[] = {
		"nosuch:object=mail?pin-value=PIN4711",
		"nosuch:object=mail;pin-value=PIN4711",
		"nosuch:object=mail?module-name=x&PIN-VALUE=PIN4711",
	};
	char long_uri[900];

	(void)unused;
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		struct diag d = DIAG_INIT;

		assert_null(assertion_key_load(uris[i], NULL, "x", &d));
		assert_non_null(strstr(d.text, "nosuch:object=mail"));
		assert_null(strstr(d.text, "4711"));
	}
	memset(long_uri, 'a', sizeof(long_uri));
	memcpy(long_uri, "nosuch:", 7);
	long_uri[sizeof(long_uri) - 1] = '\0';

	struct diag d = DIAG_INIT;

	assert_null(assertion_key_load(long_uri, NULL, "x", &d));
	assert_non_null(strstr(d.text, "aaa...: no provider"));
}

/* As providers do that do not care what we said. */
static void
nobody_is_asked_at_a_terminal(void **unused)
{
	char answer[16] = "";
	UI *ui;

	(void)unused;
	check_key("file:", "pkcs8.pem", NULL, "it asks for a PIN");
	ui = UI_new();
	assert_non_null(ui);
	assert_true(UI_add_input_string(ui, "PIN: ", 0, answer, 1, 15) > 0);
	assert_int_equal(UI_process(ui), -1);
	UI_free(ui);
	ERR_clear_error();
}

static struct assertion_key *
key(void)
{
	struct diag d = DIAG_INIT;
	struct assertion_key *k =
	    assertion_key_load(in_dir("plain.pem"), NULL, "x", &d);

	assert_non_null(k);
	return k;
}

static void
a_key_in_memory_is_like_one_in_a_file(void **unused)
{
	char text[4096];
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct assertion_key *k;

	(void)unused;
	assert_true(
	    secret_set(&s, text, slurp(in_dir("plain.pem"), text, 4096)));
	k = assertion_key_parse(&s, &d);
	assert_non_null(k);
	assertion_key_free(&k);
	assert_true(
	    secret_set(&s, text, slurp(in_dir("pkcs8.pem"), text, 4096)));
	assert_null(assertion_key_parse(&s, &d));
	assert_non_null(strstr(d.text, "not an unencrypted private key"));
	secret_wipe(&s);
	assert_null(assertion_key_parse(&s, &d));
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_int_equal(ERR_peek_error(), 0);
}

static const struct {
	const char *name, *file, *says, *of_key; /* NULL: of_key matches */
} cert_cases[] = {
	{ "alone", "cert.pem", NULL, "plain.pem" },
	{ "with its key", "both.pem", NULL, "both.pem" },
	{ "expired", "expired.pem", NULL, "pkcs8.pem" },
	{ "no file", "absent.pem", "there is no such file", NULL },
	{ "a key", "plain.pem", "has no certificate", NULL },
	{ "empty", "empty.pem", "has no certificate", NULL },
	{ "binary", "binary.pem", "openssl x509 -in", NULL },
	{ "cut", "cut-cert.pem", "the certificate is damaged", NULL },
};

static void
a_certificate_loads_or_the_file_and_the_remedy_are_named(void **unused)
{
	auto_secret struct secret pass = SECRET_INIT;

	(void)unused;
	assert_true(secret_set(&pass, "correct horse", 13));
	for (size_t i = 0; i < sizeof(cert_cases) / sizeof(cert_cases[0]);
	     i++) {
		struct diag d = DIAG_INIT;
		struct assertion_cert *c =
		    assertion_cert_load(in_dir(cert_cases[i].file), &d);
		struct assertion_key *k;

		print_message("certificate: %s\n", cert_cases[i].name);
		assert_int_equal(ERR_peek_error(), 0);
		if (cert_cases[i].says != NULL) {
			assert_null(c);
			assert_int_equal(d.kind, DIAG_CONFIG);
			assert_non_null(strstr(d.text, cert_cases[i].says));
			assert_non_null(strstr(d.text, cert_cases[i].file));
			continue;
		}
		assert_non_null(c);
		k = assertion_key_load(
		    in_dir(cert_cases[i].of_key), &pass, "x", &d);
		assert_non_null(k);
		assert_int_equal(assertion_cert_matches(c, k, &d), 0);
		assertion_key_free(&k);
		assertion_cert_free(&c);
		assert_null(c);
		assertion_cert_free(&c);
	}
}

static void
the_key_of_another_certificate_is_refused(void **unused)
{
	static const char *const certs[] = { "cert.pem", "ec-cert.pem" };
	EVP_PKEY *other = EVP_RSA_gen(2048);
	struct assertion_key *k;
	struct diag d = DIAG_INIT;

	(void)unused;
	write_key("other.pem", other, NULL);
	EVP_PKEY_free(other);
	k = assertion_key_load(in_dir("other.pem"), NULL, "x", &d);
	assert_non_null(k);
	for (size_t i = 0; i < 2; i++) {
		struct assertion_cert *c =
		    assertion_cert_load(in_dir(certs[i]), &d);

		assert_non_null(c);
		assert_int_equal(assertion_cert_matches(c, k, &d), -1);
		assert_int_equal(d.kind, DIAG_CONFIG);
		assert_non_null(strstr(d.text, certs[i]));
		assert_non_null(strstr(d.text, "of another certificate"));
		assert_int_equal(ERR_peek_error(), 0);
		assertion_cert_free(&c);
	}
	assertion_key_free(&k);
}

static void
a_certificate_tells_its_end_and_thumbprint(void **unused)
{
	struct diag d = DIAG_INIT;
	struct assertion_cert *c =
	    assertion_cert_load(DATA "rfc7515-a2.cert.pem", &d);
	char hex[41];

	(void)unused;
	assert_non_null(c);
	/* As openssl x509 -enddate -fingerprint -sha1 shows them. */
	assert_int_equal(assertion_cert_expires_at(c), 4948930482);
	assertion_cert_thumbprint(c, hex);
	assert_string_equal(hex, "390FFB9709DECC181DB65484F1DC69B01E4A59F1");
	assertion_cert_free(&c);
}

/* RFC 7515 appendix A.2. */
static void
the_rfc_s_example_is_reproduced_bit_for_bit(void **unused)
{
	struct assertion_key *k = key();
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(
	    assertion_sign(k, ASSERTION_RS256, "{\"alg\":\"RS256\"}",
		"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
		"\"http://example.com/is_root\":true}",
		&s, &d),
	    0);
	assert_int_equal(strlen(s.ptr), s.len);
	assert_string_equal(s.ptr,
	    "eyJhbGciOiJSUzI1NiJ9"
	    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
	    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
	    "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
	    "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
	    "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
	    "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
	    "p0igcN_IoypGlUPQGe77Rw");
	assertion_key_free(&k);
}

/* A part of a compact token, decoded and parsed. */
static struct json *
part(const struct secret *s, unsigned n)
{
	const char *from = s->ptr;
	auto_buf struct buf b = BUF_INIT(65536);
	struct json *j;

	for (unsigned i = 0; i < n; i++)
		from = strchr(from, '.') + 1;
	assert_true(base64_decode(&b, from, strcspn(from, ".")));
	j = json_read(b.ptr, b.len, 65536);
	assert_non_null(j);
	return j;
}

/* By OpenSSL's own verification, with the one length of salt. */
static void
check_signature(const struct secret *s, enum assertion_alg alg)
{
	FILE *f = fopen(in_dir("cert.pem"), "re");
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	const char *dot = strrchr(s->ptr, '.');
	auto_buf struct buf sig = BUF_INIT(65536);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;

	assert_non_null(x);
	(void)fclose(f);
	assert_true(base64_decode(&sig, dot + 1, strlen(dot + 1)));
	assert_int_equal(EVP_DigestVerifyInit(
			     md, &ctx, EVP_sha256(), NULL, X509_get0_pubkey(x)),
	    1);
	if (alg == ASSERTION_PS256) {
		assert_true(EVP_PKEY_CTX_set_rsa_padding(
				ctx, RSA_PKCS1_PSS_PADDING) > 0);
		assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32) > 0);
	}
	assert_int_equal(
	    EVP_DigestVerify(md, (const unsigned char *)sig.ptr, sig.len,
		(const unsigned char *)s->ptr, (size_t)(dot - s->ptr)),
	    1);
	EVP_MD_CTX_free(md);
	X509_free(x);
}

static void
check_client(enum assertion_alg alg, const char *alg_name)
{
	struct assertion_key *k = key();
	auto_secret struct secret s = SECRET_INIT, again = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct assertion_cert *c = assertion_cert_load(in_dir("cert.pem"), &d);
	struct json *header, *claims, *other;
	int64_t n;

	assert_non_null(c);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(assertion_client(k, c, alg, "app\"\\\n\x01",
				     "https://login.contoso.example/token", NOW,
				     i == 0 ? &s : &again, &d),
		    0);
	check_signature(&s, alg);

	header = part(&s, 0);
	assert_string_equal(json_str(header, "alg"), alg_name);
	assert_string_equal(json_str(header, "typ"), "JWT");
	/* openssl x509 -outform DER | openssl dgst -sha256 -binary | base64 */
	assert_string_equal(json_str(header, "x5t#S256"),
	    "hw5j6ZyyN7MpoX1bqdbJx8b_HqokrDFTb-r7qatY5Kk");
	if (alg == ASSERTION_RS256)
		assert_string_equal(
		    json_str(header, "x5t"), "OQ_7lwnezBgdtlSE8dxpsB5KWfE");
	else
		assert_null(json_str(header, "x5t"));

	claims = part(&s, 1);
	other = part(&again, 1);
	assert_string_equal(json_str(claims, "iss"), "app\"\\\n\x01");
	assert_string_equal(json_str(claims, "sub"), "app\"\\\n\x01");
	assert_string_equal(
	    json_str(claims, "aud"), "https://login.contoso.example/token");
	assert_true(json_int(claims, "nbf", &n) && n == NOW);
	assert_true(json_int(claims, "iat", &n) && n == NOW);
	assert_true(json_int(claims, "exp", &n) && n == NOW + 300);
	assert_int_equal(strlen(json_str(claims, "jti")), 36);
	assert_int_equal(json_str(claims, "jti")[14], '4');
	assert_string_not_equal(
	    json_str(claims, "jti"), json_str(other, "jti"));
	json_wipe(&header);
	json_wipe(&claims);
	json_wipe(&other);
	assertion_cert_free(&c);
	assertion_key_free(&k);
}

static void
a_client_says_who_it_is_and_signs_it(void **unused)
{
	(void)unused;
	check_client(ASSERTION_PS256, "PS256");
	check_client(ASSERTION_RS256, "RS256");
}

static void
a_service_account_speaks_for_a_mailbox(void **unused)
{
	struct assertion_key *k = key();
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct json *header, *claims;
	int64_t n;

	(void)unused;
	for (unsigned i = 0; i < 2; i++) {
		const char *kid = i == 0 ? "0123abcd" : NULL;

		assert_int_equal(
		    assertion_service_account(k, kid, "relay@project.example",
			"mail@example.com", "https://mail.google.com/",
			"https://oauth2.example/token", NOW, &s, &d),
		    0);
		check_signature(&s, ASSERTION_RS256);
		header = part(&s, 0);
		assert_string_equal(json_str(header, "alg"), "RS256");
		if (kid != NULL)
			assert_string_equal(json_str(header, "kid"), kid);
		else
			assert_null(json_str(header, "kid"));
		claims = part(&s, 1);
		assert_string_equal(
		    json_str(claims, "iss"), "relay@project.example");
		assert_string_equal(
		    json_str(claims, "sub"), "mail@example.com");
		assert_string_equal(
		    json_str(claims, "scope"), "https://mail.google.com/");
		assert_string_equal(
		    json_str(claims, "aud"), "https://oauth2.example/token");
		assert_true(json_int(claims, "iat", &n) && n == NOW);
		assert_true(json_int(claims, "exp", &n) && n == NOW + 300);
		json_wipe(&header);
		json_wipe(&claims);
	}
	assertion_key_free(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_key_loads_or_the_file_and_the_remedy_are_named),
		cmocka_unit_test(a_store_gives_a_key_or_says_why_not),
		cmocka_unit_test(the_mode_of_credentials_is_systemds),
		cmocka_unit_test(a_pin_is_tried_once),
		cmocka_unit_test(a_pin_in_a_uri_is_never_shown),
		cmocka_unit_test(nobody_is_asked_at_a_terminal),
		cmocka_unit_test(a_key_in_memory_is_like_one_in_a_file),
		cmocka_unit_test(
		    a_certificate_loads_or_the_file_and_the_remedy_are_named),
		cmocka_unit_test(the_key_of_another_certificate_is_refused),
		cmocka_unit_test(a_certificate_tells_its_end_and_thumbprint),
		cmocka_unit_test(the_rfc_s_example_is_reproduced_bit_for_bit),
		cmocka_unit_test(a_client_says_who_it_is_and_signs_it),
		cmocka_unit_test(a_service_account_speaks_for_a_mailbox),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
