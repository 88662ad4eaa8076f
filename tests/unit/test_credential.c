/* Who the application is, by each way that the configuration offers. */
#include <fcntl.h>
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

#include "buf.h"
#include "config.h"
#include "credential.h"
#include "form.h"
#include "json.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define NOW	 1790000000
#define ENDPOINT "https://id.example.com/token"
#define NAME	 "relay@contoso.example"

struct lab {
	char dir[40];
	struct config *config;
	const struct account *account;
};

static void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	print_error("%s\n", d->text);
}

/* DIR in the account's keys becomes the test's directory. */
static void
configure(struct lab *lab, const char *keys)
{
	auto_buf struct buf b = BUF_INIT(4096);
	const char *at;

	buf_adds(&b, "[account " NAME "]\nprovider = custom\n"
		     "token_endpoint = " ENDPOINT "\nscope = mail\n");
	for (; (at = strstr(keys, "DIR")) != NULL; keys = at + 3) {
		buf_add(&b, keys, (size_t)(at - keys));
		buf_adds(&b, lab->dir);
	}
	buf_adds(&b, keys);
	assert_false(b.failed);
	config_unref(&lab->config);
	lab->config = config_parse(b.ptr, b.len, "test.conf", complain, NULL);
	assert_non_null(lab->config);
	lab->account = config_account(lab->config, NAME);
	assert_non_null(lab->account);
}

static void
shell(struct lab *lab, const char *command)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "cd %s && { %s; } 2>/dev/null",
	    lab->dir, command);
	assert_int_equal(system(text), 0);
}

static void
put(struct lab *lab, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", lab->dir, name);
	assert_non_null(f = fopen(path, "w"));
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static int
setup(void **state)
{
	static struct lab lab;

	lab = (struct lab){ .dir = "/tmp/test_credential.XXXXXX" };
	if (mkdtemp(lab.dir) == NULL)
		return -1;
	shell(&lab,
	    "umask 077; openssl req -x509 -newkey rsa:2048 -nodes -days 20 "
	    "-subj /CN=relay -keyout key.pem -out cert.pem && "
	    "openssl rsa -aes128 -passout pass:open -in key.pem "
	    "-out locked.pem && openssl genrsa -out other.pem 2048");
	*state = &lab;
	return 0;
}

static int
teardown(void **state)
{
	struct lab *lab = *state;

	config_unref(&lab->config);
	shell(lab, "rm -f *");
	return rmdir(lab->dir);
}

static const char base_cc[] = "client_id = app\ngrant = client_credentials\n";

/* A member of the i-th part of a JWT, as text; what is no string is "". */
static void
claim(
    const struct secret *jwt, int part, const char *key, char *ret, size_t size)
{
	const char *s = jwt->ptr;
	auto_buf struct buf b = BUF_INIT(65536);
	auto_json struct json *o = NULL;
	int64_t n;

	for (int i = 0; i < part; i++)
		s = strchr(s, '.') + 1;
	assert_true(base64_decode(&b, s, strcspn(s, ".")));
	o = json_read(b.ptr, b.len, 65536);
	assert_non_null(o);
	if (json_str(o, key) != NULL)
		(void)snprintf(ret, size, "%s", json_str(o, key));
	else if (json_int(o, key, &n))
		(void)snprintf(ret, size, "%lld", (long long)n);
	else
		*ret = '\0';
}

static void
expect_claims(const struct secret *jwt, const char *const want[][2], size_t n)
{
	char value[256];

	for (size_t i = 0; i < n; i++) {
		bool header = *want[i][0] == '.';

		claim(jwt, header ? 0 : 1, want[i][0] + header, value,
		    sizeof(value));
		assert_string_equal(value, want[i][1]);
	}
}

static void
shows_a_secret(void **state)
{
	struct lab *lab = *state;
	auto_credential struct credential c = CREDENTIAL_INIT;
	auto_secret struct secret s = SECRET_INIT;
	char keys[256];
	struct diag d = DIAG_INIT;

	(void)snprintf(keys, sizeof(keys),
	    "%sclient_auth = basic\nclient_secret = file:/a\n"
	    "client_secret_expires = 2026-12-01\n",
	    base_cc);
	configure(lab, keys);
	assert_ptr_equal(
	    credential_secret(lab->account), &lab->account->client_secret);
	assert_int_equal(credential_expires_at(lab->account), 1796083200);
	assert_true(secret_set(&s, "open sesame", 11));
	assert_int_equal(
	    credential_init(&c, lab->account, &s, ENDPOINT, NOW, &d), 0);
	assert_string_equal(c.client.id, "app");
	assert_string_equal(c.client.secret->ptr, "open sesame");
	assert_int_equal(c.client.auth, CLIENT_AUTH_BASIC);
	assert_true(secret_empty(c.client.assertion));
}

static void
shows_nothing(void **state)
{
	struct lab *lab = *state;
	auto_credential struct credential c = CREDENTIAL_INIT;
	struct diag d = DIAG_INIT;

	configure(lab, "client_id = app\n"
		       "grant = refresh_token\n");
	assert_null(credential_secret(lab->account));
	assert_int_equal(credential_expires_at(lab->account), 0);
	assert_int_equal(
	    credential_init(&c, lab->account, NULL, ENDPOINT, NOW, &d), 0);
	assert_true(secret_empty(c.client.secret));
	assert_true(secret_empty(c.client.assertion));
}

static void
signs_with_a_certificate(void **state)
{
	static const char *const want[][2] = { { ".alg", "PS256" },
		{ ".typ", "JWT" }, { "iss", "app" }, { "sub", "app" },
		{ "aud", ENDPOINT }, { "exp", "1790000300" } };
	struct lab *lab = *state;
	char keys[512];
	int64_t now = (int64_t)time(NULL), left;

	for (int refresh = 0; refresh < 2; refresh++) {
		auto_credential struct credential c = CREDENTIAL_INIT;
		struct diag d = DIAG_INIT;

		(void)snprintf(keys, sizeof(keys),
		    "client_id = app\ngrant = %s\n"
		    "client_certificate = DIR/cert.pem\n"
		    "client_key = DIR/key.pem\n",
		    refresh ? "refresh_token" : "client_credentials");
		configure(lab, keys);
		assert_null(credential_secret(lab->account));
		assert_int_equal(
		    credential_init(&c, lab->account, NULL, ENDPOINT, NOW, &d),
		    0);
		assert_true(secret_empty(c.client.secret));
		expect_claims(c.client.assertion, want, N(want));
	}
	left = credential_expires_at(lab->account) - now;
	assert_in_range(left, 19 * 86400, 20 * 86400);
	/* RS256 on request, and a key and certificate in one file. */
	shell(lab, "cat cert.pem key.pem >both.pem; chmod 600 both.pem");
	(void)snprintf(keys, sizeof(keys),
	    "%sclient_certificate = DIR/both.pem\n"
	    "assertion_algorithm = RS256\n",
	    base_cc);
	configure(lab, keys);
	auto_credential struct credential c = CREDENTIAL_INIT;
	struct diag d = DIAG_INIT;
	static const char *const rs[][2] = { { ".alg", "RS256" } };
	assert_int_equal(
	    credential_init(&c, lab->account, NULL, ENDPOINT, NOW, &d), 0);
	expect_claims(c.client.assertion, rs, 1);
}

static void
unlocks_the_key(void **state)
{
	struct lab *lab = *state;
	auto_credential struct credential c = CREDENTIAL_INIT;
	auto_secret struct secret s = SECRET_INIT;
	char keys[512];
	struct diag d = DIAG_INIT;

	(void)snprintf(keys, sizeof(keys),
	    "%sclient_certificate = DIR/cert.pem\nclient_key = DIR/locked.pem\n"
	    "client_key_passphrase = file:/pass\n",
	    base_cc);
	configure(lab, keys);
	assert_ptr_equal(credential_secret(lab->account),
	    &lab->account->client_key_passphrase);
	assert_true(secret_set(&s, "shut", 4));
	assert_int_equal(
	    credential_init(&c, lab->account, &s, ENDPOINT, NOW, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_non_null(strstr(d.text, "locked.pem"));
	assert_true(secret_set(&s, "open", 4));
	assert_int_equal(
	    credential_init(&c, lab->account, &s, ENDPOINT, NOW, &d), 0);
	assert_false(secret_empty(c.client.assertion));
}

static void
says_what_is_wrong_with_the_certificate(void **state)
{
	static const struct {
		const char *cert, *key, *says;
	} bad[] = {
		{ "none.pem", "key.pem", "none.pem" },
		{ "cert.pem", "none.pem", "none.pem" },
		{ "cert.pem", "other.pem", "cert.pem: " },
		{ "cert.pem", "cert.pem", "cert.pem" },
	};
	struct lab *lab = *state;
	char keys[512];

	for (size_t i = 0; i < N(bad); i++) {
		struct credential c;
		struct diag d = DIAG_INIT;

		(void)snprintf(keys, sizeof(keys),
		    "%sclient_certificate = DIR/%s\nclient_key = DIR/%s\n",
		    base_cc, bad[i].cert, bad[i].key);
		configure(lab, keys);
		if (credential_init(
			&c, lab->account, NULL, ENDPOINT, NOW, &d) != -1 ||
		    d.kind != DIAG_CONFIG ||
		    strstr(d.text, bad[i].says) == NULL ||
		    c.assertion.ptr != NULL)
			fail_msg("%zu: %s", i, d.text);
	}
	configure(lab, "client_id = app\ngrant = client_credentials\n"
		       "client_certificate = DIR/none.pem\n");
	assert_int_equal(credential_expires_at(lab->account), 0);
}

static void
reads_the_federated_token_each_time(void **state)
{
	static const struct {
		const char *text; /* NULL: no file */
		enum diag_kind kind;
		const char *says;
	} table[] = {
		{ "eyJ.a.b\n", DIAG_OK, "eyJ.a.b" },
		{ "eyJ.c.d", DIAG_OK, "eyJ.c.d" },
		{ NULL, DIAG_RETRY, "no such file" },
		{ "", DIAG_RETRY, "empty" },
		{ "\n\n", DIAG_RETRY, "empty" },
		{ "not a token", DIAG_CONFIG, "not a token" },
	};
	struct lab *lab = *state;

	configure(lab, "client_id = app\ngrant = workload_identity\n"
		       "client_assertion_file = DIR/token\n");
	assert_null(credential_secret(lab->account));
	for (size_t i = 0; i < N(table); i++) {
		auto_credential struct credential c = CREDENTIAL_INIT;
		struct diag d = DIAG_INIT;

		if (table[i].text != NULL)
			put(lab, "token", table[i].text);
		else
			shell(lab, "rm token");
		(void)credential_init(
		    &c, lab->account, NULL, ENDPOINT, NOW, &d);
		if (d.kind != table[i].kind)
			fail_msg("%zu: %s", i, d.text);
		if (d.kind == DIAG_OK)
			assert_string_equal(
			    c.client.assertion->ptr, table[i].says);
		else
			assert_non_null(strstr(d.text, table[i].says));
	}
	shell(lab, "rm token; mkdir token");
	struct credential c;
	struct diag d = DIAG_INIT;
	assert_int_equal(
	    credential_init(&c, lab->account, NULL, ENDPOINT, NOW, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	shell(lab, "rmdir token");
}

/* The file of a service account's key, with some members left out. */
static void
service_account(struct lab *lab, const char *email, const char *uri,
    bool with_key, struct secret *ret)
{
	auto_buf struct buf b = BUF_INIT(16384);
	char path[128], line[128];
	FILE *f;

	buf_adds(&b, "{\"type\":\"service_account\",\"private_key_id\":\"k1\"");
	if (email != NULL) {
		buf_adds(&b, ",\"client_email\":\"");
		buf_adds(&b, email);
		buf_adds(&b, "\"");
	}
	if (uri != NULL) {
		buf_adds(&b, ",\"token_uri\":\"");
		buf_adds(&b, uri);
		buf_adds(&b, "\"");
	}
	if (with_key) {
		buf_adds(&b, ",\"private_key\":\"");
		(void)snprintf(path, sizeof(path), "%s/key.pem", lab->dir);
		assert_non_null(f = fopen(path, "r"));
		while (fgets(line, sizeof(line), f) != NULL) {
			buf_add(&b, line, strcspn(line, "\n"));
			buf_adds(&b, "\\n");
		}
		(void)fclose(f);
		buf_adds(&b, "\"");
	}
	buf_adds(&b, "}");
	assert_true(!b.failed && secret_set(ret, b.ptr, b.len));
}

static void
signs_for_a_service_account(void **state)
{
	static const char *const want[][2] = { { ".alg", "RS256" },
		{ ".kid", "k1" }, { "iss", "robot@contoso.example" },
		{ "sub", "anna@contoso.example" }, { "scope", "mail" },
		{ "aud", ENDPOINT } };
	struct lab *lab = *state;
	auto_credential struct credential c = CREDENTIAL_INIT;
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;

	configure(lab, "grant = jwt_bearer\nsubject = anna@contoso.example\n"
		       "service_account_key = file:/key.json\n");
	assert_ptr_equal(credential_secret(lab->account),
	    &lab->account->service_account_key);
	service_account(lab, "robot@contoso.example", ENDPOINT, true, &s);
	assert_int_equal(
	    credential_init(&c, lab->account, &s, ENDPOINT, NOW, &d), 0);
	expect_claims(&c.assertion, want, N(want));
	credential_wipe(&c);
	service_account(lab, "robot@contoso.example", NULL, true, &s);
	assert_int_equal(
	    credential_init(&c, lab->account, &s, ENDPOINT, NOW, &d), 0);
}

static void
says_what_is_wrong_with_the_service_account(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ NULL, "is no JSON" },
		{ "-----BEGIN PRIVATE KEY-----", "is no JSON" },
		{ "{}", "lacks client_email or private_key" },
		{ "{\"client_email\":\"a@b\"}", "lacks client_email" },
		{ "{\"client_email\":\"a@b\",\"private_key\":\"k\","
		  "\"token_uri\":\"https://evil.example.com/\"}",
		    "token_uri" },
		{ "{\"client_email\":\"a@b\",\"private_key\":\"k\"}",
		    "private_key of service_account_key" },
	};
	struct lab *lab = *state;

	configure(lab, "grant = jwt_bearer\nsubject = anna@contoso.example\n"
		       "service_account_key = file:/key.json\n");
	for (size_t i = 0; i < N(bad); i++) {
		auto_secret struct secret s = SECRET_INIT;
		struct credential c;
		struct diag d = DIAG_INIT;

		if (bad[i].text != NULL)
			assert_true(
			    secret_set(&s, bad[i].text, strlen(bad[i].text)));
		if (credential_init(&c, lab->account, &s, ENDPOINT, NOW, &d) !=
			-1 ||
		    d.kind != DIAG_CONFIG ||
		    strstr(d.text, bad[i].says) == NULL)
			fail_msg("%zu: %s", i, d.text);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_a_secret),
		cmocka_unit_test(shows_nothing),
		cmocka_unit_test(signs_with_a_certificate),
		cmocka_unit_test(unlocks_the_key),
		cmocka_unit_test(says_what_is_wrong_with_the_certificate),
		cmocka_unit_test(reads_the_federated_token_each_time),
		cmocka_unit_test(signs_for_a_service_account),
		cmocka_unit_test(says_what_is_wrong_with_the_service_account),
	};

	return cmocka_run_group_tests_name(
	    "credential", tests, setup, teardown);
}
