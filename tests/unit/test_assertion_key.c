/* Private keys, as people leave them: which load, and what is said else. */
#include <openssl/err.h>
#include <openssl/ui.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "assertion.h"
#include "cleanup.h"
#include "key_files.h"

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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_key_loads_or_the_file_and_the_remedy_are_named),
		cmocka_unit_test(a_store_gives_a_key_or_says_why_not),
		cmocka_unit_test(the_mode_of_credentials_is_systemds),
		cmocka_unit_test(a_pin_is_tried_once),
		cmocka_unit_test(a_pin_in_a_uri_is_never_shown),
		cmocka_unit_test(nobody_is_asked_at_a_terminal),
		cmocka_unit_test(a_key_in_memory_is_like_one_in_a_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
