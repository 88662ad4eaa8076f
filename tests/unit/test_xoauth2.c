#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xoauth2.h"

static const struct {
	const char *name, *user, *token;
	const char *replies[3]; /* what the server says, NULL-ended */
	int rc;			/* of the last step */
	enum xoauth2_state state;
	enum diag_kind kind;
} cases[] = {
	{ "taken", "relay@example.com", "ya29.x", { "" }, 0, XOAUTH2_DONE,
	    DIAG_OK },
	{ "refused", "u", "t", { "{\"status\":\"401\"}" }, 0, XOAUTH2_REFUSED,
	    DIAG_OK },
	{ "refused, with blank words", "u", "t", { "\r\n" }, 0, XOAUTH2_REFUSED,
	    DIAG_OK },
	{ "more after the refusal", "u", "t", { "{}", "x" }, -1,
	    XOAUTH2_REFUSED, DIAG_PROTO },
	{ "more after the end", "u", "t", { "", "" }, -1, XOAUTH2_DONE,
	    DIAG_PROTO },
	{ "UTF-8 user", "j\xc3\xb6rg@example.com", "t", { "" }, 0, XOAUTH2_DONE,
	    DIAG_OK },
	{ "blank in the user", "a b", "t", { NULL }, 0, XOAUTH2_SENT, DIAG_OK },
	{ "no user", "", "t", { NULL }, -1, XOAUTH2_START, DIAG_CONFIG },
	{ "field in the user", "u\001auth=Bearer z", "t", { NULL }, -1,
	    XOAUTH2_START, DIAG_CONFIG },
	{ "line in the user", "u\r\nQUIT", "t", { NULL }, -1, XOAUTH2_START,
	    DIAG_CONFIG },
	{ "DEL in the user", "u\x7f", "t", { NULL }, -1, XOAUTH2_START,
	    DIAG_CONFIG },
	{ "no token", "u", "", { NULL }, -1, XOAUTH2_START, DIAG_PROTO },
	{ "field in the token", "u", "t\001x=y", { NULL }, -1, XOAUTH2_START,
	    DIAG_PROTO },
	{ "tab in the token", "u", "t\t", { NULL }, -1, XOAUTH2_START,
	    DIAG_PROTO },
	{ "UTF-8 token", "u", "t\xc3\xb6", { NULL }, -1, XOAUTH2_START,
	    DIAG_PROTO },
};

static void
exchanges(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_secret struct secret token = SECRET_INIT;
		struct diag d = DIAG_INIT;
		struct xoauth2 m;
		int rc;

		assert_true(
		    secret_set(&token, cases[i].token, strlen(cases[i].token)));
		xoauth2_init(&m);
		rc = xoauth2_step(&m, cases[i].user, &token, NULL, 0, &d);
		for (const char *const *r = cases[i].replies; *r != NULL; r++) {
			assert_int_equal(rc, 0);
			rc = xoauth2_step(&m, NULL, NULL, *r, strlen(*r), &d);
			assert_int_equal(m.out.len, 0);
		}
		if (rc != cases[i].rc || m.state != cases[i].state ||
		    d.kind != cases[i].kind)
			fail_msg("%s: rc %d, state %d, kind %d: %s",
			    cases[i].name, rc, m.state, d.kind, d.text);
		if (*cases[i].token != '\0' && rc < 0)
			assert_true(cases[i].token[1] == '\0' ||
				    strstr(d.text, cases[i].token) == NULL);
		xoauth2_wipe(&m);
		assert_int_equal(m.state, XOAUTH2_START);
		assert_null(m.out.ptr);
	}
}

static size_t
base64(const char *in, size_t n, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				     "pqrstuvwxyz0123456789+/";
	char *at = out;

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = 0;

		for (size_t j = 0; j < 3; j++)
			v = v << 8 | (i + j < n ? (unsigned char)in[i + j] : 0);
		*at++ = digits[v >> 18];
		*at++ = digits[v >> 12 & 63];
		*at++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*at++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*at = '\0';
	return (size_t)(at - out);
}

/* The examples on Google's and Microsoft's pages. */
static void
published_examples(void **unused)
{
	static const struct {
		const char *user, *token, *base64;
	} examples[] = {
		{ "someuser@example.com",
		    "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
		    "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5"
		    "LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cB"
		    "AQ==" },
		{ "test@contoso.onmicrosoft.com",
		    "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA",
		    "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVh"
		    "cmVyIEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0Vv"
		    "QUEBAQ==" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		auto_secret struct secret token = SECRET_INIT;
		struct diag d = DIAG_INIT;
		char text[1000];
		struct xoauth2 m;

		assert_true(secret_set(
		    &token, examples[i].token, strlen(examples[i].token)));
		xoauth2_init(&m);
		/* Some hosts hand over an empty greeting first. */
		assert_int_equal(
		    xoauth2_step(&m, examples[i].user, &token, "", 0, &d), 0);
		assert_int_equal(m.state, XOAUTH2_SENT);
		(void)base64(m.out.ptr, m.out.len, text);
		assert_string_equal(text, examples[i].base64);
		xoauth2_wipe(&m);
	}
}

static void
the_servers_words(void **unused)
{
	static const char google[] =
	    "{\"status\":\"401\",\"schemes\":\"bearer mac\","
	    "\"scope\":\"https://mail.google.com/\"}\n";
	auto_secret struct secret token = SECRET_INIT;
	struct diag d = DIAG_INIT;
	static char big[5000];
	struct xoauth2 m;

	(void)unused;
	assert_true(secret_set(&token, "t", 1));
	xoauth2_init(&m);
	assert_int_equal(xoauth2_step(&m, "u", &token, NULL, 0, &d), 0);
	assert_int_equal(
	    xoauth2_step(&m, NULL, NULL, google, sizeof(google) - 1, &d), 0);
	assert_int_equal(m.verdict.kind, DIAG_REAUTH);
	assert_int_equal(strlen(m.verdict.text), strlen(google) - 1);
	assert_memory_equal(m.verdict.text, google, strlen(google) - 1);
	xoauth2_wipe(&m);
	assert_int_equal(m.verdict.kind, DIAG_OK);

	memset(big, 'x', sizeof(big)); /* and no NUL behind it */
	assert_int_equal(xoauth2_step(&m, "u", &token, NULL, 0, &d), 0);
	assert_int_equal(xoauth2_step(&m, NULL, NULL, big, sizeof(big), &d), 0);
	assert_true(strlen(m.verdict.text) < 400);
	assert_non_null(strstr(m.verdict.text, "xxx..."));
	xoauth2_wipe(&m);
}

static void
large_tokens(void **unused)
{
	static const struct {
		size_t size;
		int rc;
	} sizes[] = { { 16384, 0 }, { 24576, 0 }, { 60000, 0 }, { 65536, -1 },
		{ 1 << 20, -1 } };
	static char big[1 << 20];

	(void)unused;
	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		auto_secret struct secret token = SECRET_INIT;
		struct diag d = DIAG_INIT;
		struct xoauth2 m;

		assert_true(secret_set(&token, big, sizes[i].size));
		xoauth2_init(&m);
		assert_int_equal(
		    xoauth2_step(&m, "u", &token, NULL, 0, &d), sizes[i].rc);
		if (sizes[i].rc == 0)
			assert_int_equal(m.out.len, sizes[i].size + 21);
		else
			assert_int_equal(d.kind, DIAG_PROTO);
		xoauth2_wipe(&m);
	}
}

static void
long_users(void **unused)
{
	auto_secret struct secret token = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct xoauth2 m;
	char user[1026];

	(void)unused;
	assert_true(secret_set(&token, "t", 1));
	memset(user, 'u', sizeof(user));
	user[1025] = '\0';
	xoauth2_init(&m);
	assert_int_equal(xoauth2_step(&m, user, &token, NULL, 0, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	user[1024] = '\0';
	assert_int_equal(xoauth2_step(&m, user, &token, NULL, 0, &d), 0);
	xoauth2_wipe(&m);
}

/* RFC 7628, sections 4.1 and 4.3; escapes as RFC 5801 has them. */
static void
oauthbearer_responses(void **unused)
{
	static const char token[] =
	    "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
	static const struct {
		const char *user, *host;
		unsigned port;
		const char *base64; /* or, if there is none, */
		const char *text;   /* before the token */
	} examples[] = {
		{ "user@example.com", "server.example.com", 143,
		    "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGU"
		    "uY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52Yj"
		    "NSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB",
		    NULL },
		{ "user@example.com", "server.example.com", 587,
		    "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGU"
		    "uY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52Yj"
		    "NSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB",
		    NULL },
		{ "user@example.com", NULL, 0, NULL, "n,a=user@example.com," },
		{ "a,b=c", NULL, 4294967295u, NULL,
		    "n,a=a=2Cb=3Dc,\001port=4294967295" },
		{ "=,=,", "h", 0, NULL, "n,a==3D=2C=3D=2C,\001host=h" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		auto_secret struct secret t = SECRET_INIT;
		struct diag d = DIAG_INIT;
		char text[1000];
		struct xoauth2 m;

		assert_true(secret_set(&t, token, strlen(token)));
		oauthbearer_init(&m, examples[i].host, examples[i].port);
		assert_int_equal(
		    xoauth2_step(&m, examples[i].user, &t, NULL, 0, &d), 0);
		(void)base64(m.out.ptr, m.out.len, text);
		if (examples[i].base64 != NULL) {
			assert_string_equal(text, examples[i].base64);
		} else {
			(void)snprintf(text, sizeof(text),
			    "%s\001auth=Bearer %s\001\001", examples[i].text,
			    token);
			assert_int_equal(m.out.len, strlen(text));
			assert_memory_equal(m.out.ptr, text, m.out.len);
		}
		xoauth2_wipe(&m);
		assert_true(m.bearer);
	}
}

static void
oauthbearer_refused(void **unused)
{
	static const char words[] = "{\"status\":\"invalid_token\"}";
	auto_secret struct secret token = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct xoauth2 m;

	(void)unused;
	assert_true(secret_set(&token, "t", 1));
	oauthbearer_init(&m, "imap.example.com", 993);
	assert_int_equal(xoauth2_step(&m, "u", &token, NULL, 0, &d), 0);
	assert_int_equal(
	    xoauth2_step(&m, NULL, NULL, words, strlen(words), &d), 0);
	assert_int_equal(m.state, XOAUTH2_REFUSED);
	assert_string_equal(m.verdict.text, words);
	assert_int_equal(m.out.len, 1);
	assert_int_equal(m.out.ptr[0], 1);
	assert_int_equal(xoauth2_step(&m, NULL, NULL, "", 0, &d), -1);
	assert_int_equal(d.kind, DIAG_PROTO);
	xoauth2_wipe(&m);

	assert_int_equal(xoauth2_step(&m, "u", &token, NULL, 0, &d), 0);
	assert_int_equal(xoauth2_step(&m, NULL, NULL, "", 0, &d), 0);
	assert_int_equal(m.state, XOAUTH2_DONE);
	assert_int_equal(m.out.len, 0);
	xoauth2_wipe(&m);
}

static void
oauthbearer_limits(void **unused)
{
	static char big[XOAUTH2_MAX_BYTES];
	auto_secret struct secret token = SECRET_INIT;
	struct diag d = DIAG_INIT;
	char user[1025], host[257];
	struct xoauth2 m;

	(void)unused;
	memset(big, 'x', sizeof(big));
	memset(user, ',', sizeof(user));
	user[1024] = '\0';
	memset(host, 'h', sizeof(host));
	host[256] = '\0';
	assert_true(secret_set(&token, big, 60000));
	oauthbearer_init(&m, host + 1, 993);
	assert_int_equal(xoauth2_step(&m, user, &token, NULL, 0, &d), 0);
	assert_int_equal(
	    m.out.len, 60000 + 3 * 1024 + 255 + 5 + 6 + 9 + 13 + 2);
	xoauth2_wipe(&m);
	oauthbearer_init(&m, host, 993);
	assert_int_equal(xoauth2_step(&m, "u", &token, NULL, 0, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	oauthbearer_init(&m, "h\001auth=Bearer z", 993);
	assert_int_equal(xoauth2_step(&m, "u", &token, NULL, 0, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	xoauth2_wipe(&m);
}

static void
a_token_that_is_quoted(void **unused)
{
	static const char words[] = "{\"token\":\"ya29.short-1\",\"of\":\"u\"}";
	auto_secret struct secret token = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct xoauth2 m;

	(void)unused;
	assert_true(secret_set(&token, "ya29.short-1", 12));
	for (int bearer = 0; bearer < 2; bearer++) {
		if (bearer)
			oauthbearer_init(&m, "h", 587);
		else
			xoauth2_init(&m);
		assert_int_equal(xoauth2_step(&m, "u", &token, NULL, 0, &d), 0);
		assert_int_equal(
		    xoauth2_step(&m, NULL, NULL, words, strlen(words), &d), 0);
		assert_string_equal(
		    m.verdict.text, "{\"token\":\"***\",\"of\":\"u\"}");
		assert_int_equal(m.out.len, bearer);
		xoauth2_wipe(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exchanges),
		cmocka_unit_test(published_examples),
		cmocka_unit_test(the_servers_words),
		cmocka_unit_test(large_tokens),
		cmocka_unit_test(long_users),
		cmocka_unit_test(oauthbearer_responses),
		cmocka_unit_test(oauthbearer_refused),
		cmocka_unit_test(oauthbearer_limits),
		cmocka_unit_test(a_token_that_is_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
