/* Who renews: secrets, keys and machines, and where they ask. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "cleanup.h"
#include "renew_lab.h"

static void
gets_credentials(void **state)
{
	struct lab *lab = *state;
	auto_close int fd =
	    openat(lab->store.dirfd, "secret", O_CREAT | O_WRONLY, 0600);
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = client_credentials\n"
	    "client_secret = file:%s/secret\nscope = mail\n"
	    "token_endpoint = http://127.0.0.1:%u/token\n",
	    lab->dir, lab->server.port);
	configure(lab, keys);
	renew(&lab->env, lab->account, NULL, false);
	assert_int_equal(result.why.kind, DIAG_CONFIG); /* it is empty */
	assert_int_equal(write(fd, "s3 cret\n", 8), 8);
	renew(&lab->env, lab->account, NULL, false);
	assert_true(result.have);
	assert_non_null(strstr(lab->seen, "client_secret=s3+cret&"));
	/* A refresh token is none of this grant's. */
	expect_disk(lab, 1, "at-0", "", "");
}

/* It is run without anybody waiting for it, and again each time. */
static void
gets_the_secret_from_a_command(void **state)
{
	static const struct {
		const char *command;
		enum diag_kind kind;
		const char *says; /* in the request or the text */
	} table[] = {
		{ "/bin/echo s3cret", DIAG_OK, "&client_secret=s3cret&" },
		{ "/bin/false sesame", DIAG_CONFIG, "test.conf:8: account " },
		{ "/bin/nothing", DIAG_CONFIG, "/bin/nothing" },
		{ "/bin/true", DIAG_CONFIG, "/bin/true" },
	};
	struct lab *lab = *state;
	char keys[512];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)snprintf(keys, sizeof(keys),
		    "client_id = id\ngrant = client_credentials\n"
		    "client_secret = command:%s\nscope = mail\n"
		    "token_endpoint = http://127.0.0.1:%u/token\n",
		    table[i].command, lab->server.port);
		configure(lab, keys);
		renew(&lab->env, lab->account, NULL, true);
		if (result.why.kind != table[i].kind ||
		    strstr(result.have ? lab->seen : result.why.text,
			table[i].says) == NULL ||
		    strstr(result.why.text, "sesame") != NULL)
			fail_msg("%s: %s", table[i].command, result.why.text);
		expect_rest(lab);
	}
}

/* A key and a certificate, and what the request says with them. */
static void
signs_its_requests(void **state)
{
	static const char *const grants[] = {
		"client_id = id\ngrant = client_credentials\n"
		"client_certificate = %s/cert.pem\nclient_key = %s/key.pem\n",
		"client_id = id\ngrant = workload_identity\n"
		"client_assertion_file = %s/secret\n#%s\n",
	};
	struct lab *lab = *state;
	auto_close int fd =
	    openat(lab->store.dirfd, "secret", O_CREAT | O_WRONLY, 0600);
	char keys[1024], line[512];

	(void)snprintf(line, sizeof(line),
	    "cd %s && umask 077 && openssl req -x509 -newkey rsa:2048 -nodes "
	    "-subj /CN=x -keyout key.pem -out cert.pem 2>/dev/null",
	    lab->dir);
	assert_int_equal(system(line), 0);
	assert_int_equal(write(fd, "eyJ.b.c", 7), 7);
	for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		int n =
		    snprintf(keys, sizeof(keys), grants[i], lab->dir, lab->dir);
#pragma GCC diagnostic pop
		(void)snprintf(keys + n, sizeof(keys) - (size_t)n,
		    "scope = mail\ntoken_endpoint = http://127.0.0.1:%u/token\n",
		    lab->server.port);
		configure(lab, keys);
		renew(&lab->env, lab->account, NULL, true);
		if (!result.have)
			fail_msg("%zu: %s", i, result.why.text);
		assert_non_null(strstr(lab->seen, "client_id=id&"));
		assert_non_null(strstr(lab->seen,
		    "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
		    "client-assertion-type%3Ajwt-bearer&client_assertion=eyJ"));
		assert_null(strstr(lab->seen, "client_secret"));
	}
}

static void
asks_the_machine(void **state)
{
	static const struct {
		const char *set[4]; /* variables and values; %u is the port */
		const char *key_path;
		enum diag_kind kind;
		const char *says; /* in the request or the text */
	} table[] = {
		{ { "AZURE_POD_IDENTITY_AUTHORITY_HOST",
		      "http://127.0.0.1:%u" },
		    NULL, DIAG_OK, "\r\nMetadata: true\r\n" },
		{ { "IDENTITY_ENDPOINT", "http://localhost:%u/msi",
		      "IDENTITY_HEADER", "h3ader" },
		    NULL, DIAG_OK, "\r\nX-IDENTITY-HEADER: h3ader\r\n" },
		{ { "IDENTITY_ENDPOINT", "http://127.0.0.1:%u/t",
		      "IMDS_ENDPOINT", "http://127.0.0.1" },
		    "/etc/shadow", DIAG_CONFIG, "outside of its directory" },
		{ { "IDENTITY_ENDPOINT", "http://127.0.0.1:%u/t",
		      "IMDS_ENDPOINT", "http://127.0.0.1" },
		    "/var/opt/azcmagent/tokens/no-such.key", DIAG_CONFIG,
		    "no-such.key: " },
		{ { "IDENTITY_ENDPOINT", "http://id.example.com/%u",
		      "IDENTITY_HEADER", "h3ader" },
		    NULL, DIAG_CONFIG, "given out by itself only" },
		{ { "IDENTITY_ENDPOINT", "http://127.0.0.1:1/%u",
		      "IDENTITY_HEADER", "h3ader" },
		    NULL, DIAG_RETRY, "managed identity by App Service" },
	};
	struct lab *lab = *state;
	char value[128];

	configure(lab, "grant = managed_identity\nscope = mail/.default\n");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (int v = 0; v < 4 && table[i].set[v] != NULL; v += 2) {
			const char *port = strstr(table[i].set[v + 1], "%u");

			(void)snprintf(value, sizeof(value), "%.*s",
			    (int)strcspn(table[i].set[v + 1], "%"),
			    table[i].set[v + 1]);
			if (port != NULL)
				(void)snprintf(value + strlen(value), 32,
				    "%u%s", lab->server.port, port + 2);
			assert_int_equal(setenv(table[i].set[v], value, 1), 0);
		}
		lab->key_path = table[i].key_path;
		renew(&lab->env, lab->account, NULL, true);
		if (result.why.kind != table[i].kind ||
		    strstr(result.have ? lab->seen : result.why.text,
			table[i].says) == NULL ||
		    strstr(result.why.text, "h3ader") != NULL)
			fail_msg("%zu: %s", i, result.why.text);
		if (result.have) {
			assert_int_equal(result.g.expires_at, NOW + 86400);
			assert_int_equal(result.g.refresh_at, NOW + 43200);
			assert_non_null(strstr(lab->seen, "&resource=mail"));
		}
		for (int v = 0; v < 4 && table[i].set[v] != NULL; v += 2)
			assert_int_equal(unsetenv(table[i].set[v]), 0);
	}
}

static void
asks_the_issuer(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = refresh_token\n"
	    "issuer = http://127.0.0.1:%u/issuer\n",
	    lab->server.port);
	configure(lab, keys);
	start_with(lab, &g);
	renew(&lab->env, lab->account, &g, false);
	expect(&result.g, 6, "at-0", "rt-1", "rt-0");
	assert_int_equal(lab->server.requests, 2);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(gets_credentials),
		T(gets_the_secret_from_a_command),
		T(signs_its_requests),
		T(asks_the_machine),
		T(asks_the_issuer),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
	return cmocka_run_group_tests_name(
	    "renew_application", tests, NULL, NULL);
}
