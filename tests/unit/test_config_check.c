/* What mailtoken check finds wrong with files, programs and their ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "config_check.h"
#include "config_dir.h"

static void
checks_files(void **unused)
{
	char ref[160];
	struct heard h;
	struct config *c;

	(void)unused;
	(void)snprintf(ref, sizeof(ref), "file:%s", path_of("s"));
	put("s", 0600, "x", 1);
	c = load_with(ref, "[agent]\nuser = root", &h);
	assert_non_null(c);
	assert_int_equal(config_check_files(c, hear, &h), 0);

	assert_int_equal(chmod(path_of("c"), 0644), 0);
	assert_int_equal(chmod(path_of("s"), 0644), 0);
	assert_int_equal(config_check_files(c, hear, &h), 2);
	assert_int_equal(h.n, 2);
	assert_non_null(strstr(h.d[0].text, "run: chmod 640 /tmp/"));
	assert_non_null(strstr(h.d[1].text, "/c:6: account a: /tmp/"));
	assert_non_null(strstr(h.d[1].text, "run: chmod 600 /tmp/"));
	config_unref(&c);

	if (geteuid() != 0)
		return;
	/* Root can read it; the agent will not be root. */
	put("s", 0600, "x", 1);
	c = load_with(ref, "[agent]\nuser = daemon", &h);
	assert_non_null(c);
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "run: chown daemon /tmp/"));
	assert_int_equal(chown(path_of("c"), 12345, (gid_t)-1), 0);
	assert_int_equal(config_check_files(c, hear, &h), 2);
	assert_non_null(strstr(h.d[1].text, "belongs to uid 12345"));
	config_unref(&c);
}

static void
checks_ca_files(void **unused)
{
	struct heard h;
	struct config *c =
	    load_with("credential:x\nca_file = /nonexistent/ca", "", &h);

	(void)unused;
	assert_non_null(c);
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(
	    strstr(h.d[0].text, "ca_file /nonexistent/ca: No such"));
	config_unref(&c);
}

/* An account of some other kind, with the agent running as root. */
static struct config *
load_account(const char *keys, struct heard *h)
{
	char text[1024];
	int n = snprintf(text, sizeof(text),
	    "[agent]\nuser = root\n[account a]\n%s\n", keys);
	struct config *c;

	put("c", 0640, text, (size_t)n);
	*h = (struct heard){ .n = 0 };
	c = config_load(path_of("c"), hear, h);
	if (c == NULL)
		fail_msg("%s", h->d[0].text);
	return c;
}

static void
checks_programs(void **unused)
{
	static const struct {
		const char *program;
		mode_t mode; /* of the file "program" */
		const char *says;
	} cases[] = {
		{ "/bin/false s3cret", 0700, NULL }, /* is not run */
		{ "/nonexistent/s s3cret", 0700,
		    "/nonexistent/s: No such file or directory; correct the "
		    "path" },
		{ "/etc s3cret", 0700, "/etc: not a program that uid " },
		{ "", 0700, NULL },
		{ "", 0600, "/program: not a program that uid " },
		{ "", 0770, "/program: mode 0770 lets others change the" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct heard h;
		struct config *c;
		char ref[160];

		put("program", cases[i].mode, "#!/bin/sh\n", 10);
		(void)snprintf(ref, sizeof(ref), "command:%s",
		    *cases[i].program != '\0' ? cases[i].program :
						path_of("program"));
		c = load_with(ref, "", &h);
		assert_non_null(c);
		assert_int_equal(config_check_files(c, hear, &h),
		    cases[i].says != NULL ? 1 : 0);
		if (cases[i].says != NULL &&
		    (strstr(h.d[0].text, cases[i].says) == NULL ||
			strstr(h.d[0].text, "/c:5: account a: ") == NULL ||
			strstr(h.d[0].text, "s3cret") != NULL))
			fail_msg("%s", h.d[0].text);
		config_unref(&c);
	}
}

static void
checks_the_program_to_notify(void **unused)
{
	static const struct {
		const char *notify, *says;
	} cases[] = {
		{ "/bin/false root", NULL }, /* is not run */
		{ "/nonexistent/s root",
		    "/c: notify: /nonexistent/s: No such file or directory; "
		    "correct the path of the program" },
		{ "/etc", "/c: notify: /etc: not a program that uid " },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct heard h = { .n = 0 };
		struct config *c;
		char text[160];
		int n = snprintf(text, sizeof(text), "[agent]\nnotify = %s\n",
		    cases[i].notify);

		put("c", 0640, text, (size_t)n);
		c = config_load(path_of("c"), hear, &h);
		assert_non_null(c);
		assert_int_equal(config_check_files(c, hear, &h),
		    cases[i].says != NULL ? 1 : 0);
		if (cases[i].says != NULL &&
		    strstr(h.d[0].text, cases[i].says) == NULL)
			fail_msg("%s", h.d[0].text);
		config_unref(&c);
	}
}

#define KEYS "tests/unit/data/keys/rfc7515-a2.key.pem"

static EVP_PKEY *
load_key(void)
{
	FILE *f = fopen(KEYS, "r");
	EVP_PKEY *key;

	assert_non_null(f);
	key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	assert_non_null(key);
	return key;
}

/* A certificate that ends in so many seconds, and its key. */
static void
put_certificate(long seconds)
{
	EVP_PKEY *key = load_key();
	X509 *cert = X509_new();
	FILE *f = fopen(path_of("cert"), "w");

	assert_non_null(cert);
	assert_non_null(f);
	assert_int_equal(X509_set_version(cert, 2), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -90000000));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), seconds));
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	assert_int_equal(fclose(f), 0);
	f = fopen(path_of("key"), "w");
	assert_non_null(f);
	assert_int_equal(
	    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path_of("key"), 0600), 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static struct config *
load_certificate(const char *more, struct heard *h)
{
	char keys[512];

	(void)snprintf(keys, sizeof(keys),
	    "provider = microsoft\ntenant = contoso.example\n"
	    "grant = client_credentials\n"
	    "client_id = 11111111-2222-3333-4444-555555555555\n"
	    "client_certificate = %s/cert\nclient_key = %s/key\n%s",
	    dir, dir, more);
	return load_account(keys, h);
}

static void
checks_certificates(void **unused)
{
	static const struct {
		long seconds;
		size_t n;
		enum diag_kind kind;
		const char *says;
	} cases[] = {
		{ 31 * 86400, 0, DIAG_OK, NULL },
		{ 29 * 86400 + 60, 0, DIAG_OK, "note: " },
		{ 29 * 86400 + 60, 0, DIAG_OK, ", in 29 days; make a new" },
		{ 60, 0, DIAG_OK, ", in 0 days" },
		{ -60, 1, DIAG_CONFIG, "/cert: ended on 20" },
	};
	struct heard h;
	struct config *c = load_certificate("", &h);

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		h = (struct heard){ .n = 0 };
		put_certificate(cases[i].seconds);
		assert_int_equal(config_check_files(c, hear, &h), cases[i].n);
		assert_int_equal(h.n, cases[i].says != NULL);
		if (h.n > 0 &&
		    (h.d[0].kind != cases[i].kind ||
			strstr(h.d[0].text, cases[i].says) == NULL ||
			strstr(h.d[0].text, "/c:3: account a: ") == NULL))
			fail_msg("%zu: %s", i, h.d[0].text);
	}

	put_certificate(31 * 86400);
	assert_int_equal(chmod(path_of("key"), 0640), 0);
	h.n = 0;
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "/key: mode 0640 lets others"));
	put("key", 0600, "x", 1);
	h.n = 0;
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "/c:3: account a: /tmp/"));
	assert_int_equal(unlink(path_of("cert")), 0);
	h.n = 0;
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "/cert: there is no such file"));
	config_unref(&c);

	/* Its end is told even where the key cannot be tried. */
	put_certificate(86400 + 60);
	c = load_certificate("client_key_passphrase = command:/bin/false", &h);
	assert_int_equal(config_check_files(c, hear, &h), 0);
	assert_int_equal(h.n, 1);
	assert_non_null(strstr(h.d[0].text, "in 1 day;"));
	config_unref(&c);
	c = load_certificate("client_key_passphrase = credential:x", &h);
	assert_int_equal(config_check_files(c, hear, &h), 0);
	config_unref(&c);
}

static void
checks_the_end_of_secrets(void **unused)
{
	static const struct {
		int days;
		size_t n;
		const char *says;
	} cases[] = {
		{ 40, 0, NULL },
		{ 20, 0, "note: client_secret: ends on " },
		{ -2, 1, "account a: client_secret: ended on " },
	};

	(void)unused;
	put("s", 0600, "x", 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		time_t when = time(NULL) + cases[i].days * 86400;
		char day[16], keys[512];
		struct heard h;
		struct config *c;

		assert_true(
		    strftime(day, sizeof(day), "%Y-%m-%d", gmtime(&when)) > 0);
		(void)snprintf(keys, sizeof(keys),
		    "provider = google\nclient_id = 1\n"
		    "client_secret = file:%s\nclient_secret_expires = %s",
		    path_of("s"), day);
		c = load_account(keys, &h);
		assert_int_equal(config_check_files(c, hear, &h), cases[i].n);
		assert_int_equal(h.n, cases[i].says != NULL);
		if (h.n > 0 && (strstr(h.d[0].text, cases[i].says) == NULL ||
				   strstr(h.d[0].text, day) == NULL))
			fail_msg("%s", h.d[0].text);
		config_unref(&c);
	}
}

static void
checks_federated_tokens(void **unused)
{
	char keys[512];
	struct heard h;
	struct config *c;

	(void)unused;
	(void)snprintf(keys, sizeof(keys),
	    "provider = microsoft\ntenant = contoso.example\n"
	    "grant = workload_identity\n"
	    "client_id = 11111111-2222-3333-4444-555555555555\n"
	    "client_assertion_file = %s",
	    path_of("s"));
	put("s", 0644, "a.b.c", 5);
	c = load_account(keys, &h);
	assert_int_equal(config_check_files(c, hear, &h), 0);
	put("s", 0644, "", 0);
	assert_int_equal(config_check_files(c, hear, &h), 1);
	(void)unlink(path_of("s"));
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_int_equal(h.n, 2);
	assert_non_null(strstr(h.d[1].text, "there is no such file"));
	config_unref(&c);
}

static void
checks_service_accounts(void **unused)
{
	char keys[512], json[4096], *p = json;
	EVP_PKEY *key = load_key();
	BIO *bio = BIO_new(BIO_s_mem());
	const char *pem;
	long n;
	struct heard h;
	struct config *c;

	(void)unused;
	assert_int_equal(
	    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL),
	    1);
	n = BIO_get_mem_data(bio, &pem);
	p += sprintf(p, "{\"type\":\"service_account\",\"client_email\":"
			"\"sa@x.example\",\"private_key_id\":\"k\","
			"\"private_key\":\"");
	for (long i = 0; i < n; i++) {
		if (pem[i] == '\n') {
			*p++ = '\\';
			*p++ = 'n';
		} else {
			*p++ = pem[i];
		}
	}
	p += sprintf(p, "\"}");
	BIO_free(bio);
	EVP_PKEY_free(key);

	(void)snprintf(keys, sizeof(keys),
	    "provider = google\ngrant = jwt_bearer\n"
	    "service_account_key = file:%s\nsubject = b@example.com",
	    path_of("s"));
	put("s", 0600, json, (size_t)(p - json));
	c = load_account(keys, &h);
	if (config_check_files(c, hear, &h) != 0)
		fail_msg("%s", h.d[0].text);
	put("s", 0644, json, (size_t)(p - json));
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "/c:6: account a: "));
	assert_non_null(strstr(h.d[0].text, "mode 0644 lets others use it"));
	put("s", 0600, "{}", 2);
	assert_int_equal(config_check_files(c, hear, &h), 1);
	config_unref(&c);
}

/* Nothing of it is in files. */
static void
checks_no_identities(void **unused)
{
	struct heard h;
	struct config *c =
	    load_account("provider = microsoft\ngrant = managed_identity", &h);

	(void)unused;
	assert_int_equal(config_check_files(c, hear, &h), 0);
	config_unref(&c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(checks_files),
		cmocka_unit_test(checks_ca_files),
		cmocka_unit_test(checks_programs),
		cmocka_unit_test(checks_the_program_to_notify),
		cmocka_unit_test(checks_certificates),
		cmocka_unit_test(checks_the_end_of_secrets),
		cmocka_unit_test(checks_federated_tokens),
		cmocka_unit_test(checks_service_accounts),
		cmocka_unit_test(checks_no_identities),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
