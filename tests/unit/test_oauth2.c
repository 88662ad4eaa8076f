/* Requests byte for byte; answers, real ones too, to kinds and sentences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "advice.h"
#include "cleanup.h"
#include "oauth2.h"

static void
check_body(const char *name, const struct oauth2_request *r, const char *want)
{
	if (r->body.len != strlen(want) ||
	    memcmp(r->body.ptr, want, r->body.len) != 0)
		fail_msg("%s: %.*s", name, (int)r->body.len, r->body.ptr);
}

/* RFC 6749: appendix B, section 2.3.1, section 6 and section 4.4. */
static const struct {
	const char *name, *id, *secret, *scope, *refresh_token;
	enum client_auth auth;
	const char *body, *authorization;
} requests[] = {
	{ "public client", "id-1", NULL, "a b", "rt", CLIENT_AUTH_POST,
	    "grant_type=refresh_token&client_id=id-1&scope=a+b"
	    "&refresh_token=rt",
	    NULL },
	{ "public client, told to use Basic", "id-1", NULL, NULL, "rt",
	    CLIENT_AUTH_BASIC,
	    "grant_type=refresh_token&client_id=id-1"
	    "&refresh_token=rt",
	    NULL },
	{ "appendix B", "id", " %&+\xc2\xa3\xe2\x82\xac", NULL, "r",
	    CLIENT_AUTH_POST,
	    "grant_type=refresh_token&client_id=id"
	    "&client_secret=+%25%26%2B%C2%A3%E2%82%AC&refresh_token=r",
	    NULL },
	{ "section 2.3.1", "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", NULL, "r",
	    CLIENT_AUTH_BASIC, "grant_type=refresh_token&refresh_token=r",
	    "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3" },
	{ "section 4.1.3", "s6BhdRkqt3", "gX1fBat3bV", "x", NULL,
	    CLIENT_AUTH_BASIC, "grant_type=client_credentials&scope=x",
	    "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW" },
	{ "Basic encodes its parts", "a:b", "c d", NULL, NULL,
	    CLIENT_AUTH_BASIC, "grant_type=client_credentials",
	    "Basic YSUzQWI6Yytk" },
	{ "credentials", "i", "s", "https://outlook.office365.com/.default",
	    NULL, CLIENT_AUTH_POST,
	    "grant_type=client_credentials&client_id=i"
	    "&client_secret=s&scope=https%3A%2F%2Foutlook.office365.com"
	    "%2F.default",
	    NULL },
};

static void
builds_requests(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		auto_secret struct secret cs = SECRET_INIT, rt = SECRET_INIT;
		struct oauth2_client c = { .id = requests[i].id,
			.secret = &cs,
			.auth = requests[i].auth };
		struct oauth2_request r = OAUTH2_REQUEST_INIT;
		const char *cs_text = requests[i].secret;
		const char *rt_text = requests[i].refresh_token;
		struct diag d = DIAG_INIT;

		if (cs_text != NULL)
			assert_true(secret_set(&cs, cs_text, strlen(cs_text)));
		if (rt_text != NULL) {
			assert_true(secret_set(&rt, rt_text, strlen(rt_text)));
			assert_int_equal(oauth2_refresh_request(&c,
					     requests[i].scope, &rt, &r, &d),
			    0);
		} else {
			assert_int_equal(oauth2_credentials_request(
					     &c, requests[i].scope, &r, &d),
			    0);
		}
		check_body(requests[i].name, &r, requests[i].body);
		if (requests[i].authorization != NULL)
			assert_string_equal(
			    r.authorization.ptr, requests[i].authorization);
		else
			assert_true(secret_empty(&r.authorization));
		oauth2_request_wipe(&r);
	}
}

static void
refuses_requests(void **unused)
{
	auto_secret struct secret none = SECRET_INIT, big = SECRET_INIT;
	struct oauth2_client c = { .id = "i", .secret = &none };
	struct oauth2_request r = OAUTH2_REQUEST_INIT;
	struct diag d = DIAG_INIT;
	char *fill = malloc(30000);

	(void)unused;
	assert_non_null(fill);
	assert_int_equal(oauth2_credentials_request(&c, NULL, &r, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_int_equal(oauth2_refresh_request(&c, NULL, &none, &r, &d), -1);
	memset(fill, '%', 30000);
	assert_true(secret_set(&big, fill, 30000));
	assert_int_equal(oauth2_refresh_request(&c, NULL, &big, &r, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_null(r.body.ptr);
	/* The longest token that an answer may bring goes back. */
	memset(fill, 'a', OAUTH2_TOKEN_MAX);
	assert_true(secret_set(&big, fill, OAUTH2_TOKEN_MAX));
	assert_int_equal(oauth2_refresh_request(&c, NULL, &big, &r, &d), 0);
	oauth2_request_wipe(&r);
	free(fill);
}

#define T "\"access_token\":\"at\""
static const struct {
	const char *name, *body;
	int64_t life, refresh_in;
	const char *refresh_token;
	enum diag_kind kind; /* OK: tokens */
	const char *says;
} answers[] = {
	{ "least", "{" T "}", OAUTH2_DEFAULT_LIFE_S, 0, NULL, DIAG_OK, NULL },
	{ "number", "{" T ",\"expires_in\":3599}\r\n", 3599, 0, NULL, DIAG_OK,
	    NULL },
	{ "string", "{" T ",\"expires_in\":\"3599\"}", 3599, 0, NULL, DIAG_OK,
	    NULL },
	{ "fraction", "{" T ",\"expires_in\":3599.9}", 3599, 0, NULL, DIAG_OK,
	    NULL },
	{ "null", "{" T ",\"expires_in\":null,\"refresh_token\":null}",
	    OAUTH2_DEFAULT_LIFE_S, 0, NULL, DIAG_OK, NULL },
	{ "words", "{" T ",\"expires_in\":\"12 parsecs\"}",
	    OAUTH2_DEFAULT_LIFE_S, 0, NULL, DIAG_OK, NULL },
	{ "absurd", "{" T ",\"expires_in\":9999999999999999999}", 7776000, 0,
	    NULL, DIAG_OK, NULL },
	{ "absurd string", "{" T ",\"expires_in\":\"99999999999999999999\"}",
	    7776000, 0, NULL, DIAG_OK, NULL },
	{ "zero", "{" T ",\"expires_in\":0}", 0, 0, NULL, DIAG_RETRY,
	    "already expired" },
	{ "negative", "{" T ",\"expires_in\":\"-5\"}", 0, 0, NULL, DIAG_RETRY,
	    "already expired" },
	{ "zero, but the old refresh token is used up",
	    "{" T ",\"expires_in\":0,\"refresh_token\":\"rt-new\"}", 0, 0,
	    "rt-new", DIAG_RETRY, "already expired" },
	{ "refresh_in", "{" T ",\"expires_in\":86400,\"refresh_in\":43200}",
	    86400, 43200, NULL, DIAG_OK, NULL },
	{ "refresh_in too late", "{" T ",\"expires_in\":60,\"refresh_in\":60}",
	    60, 0, NULL, DIAG_OK, NULL },
	{ "rotated", "{" T ",\"refresh_token\":\"0.A\",\"more\":[{}]}",
	    OAUTH2_DEFAULT_LIFE_S, 0, "0.A", DIAG_OK, NULL },
	{ "empty refresh token", "{" T ",\"refresh_token\":\"\"}",
	    OAUTH2_DEFAULT_LIFE_S, 0, NULL, DIAG_OK, NULL },
	{ "bearer in small letters", "{" T ",\"token_type\":\"bearer\"}",
	    OAUTH2_DEFAULT_LIFE_S, 0, NULL, DIAG_OK, NULL },
	{ "another type", "{" T ",\"token_type\":\"DPoP\"}", 0, 0, NULL,
	    DIAG_CONFIG, "not of type Bearer" },
	{ "no token", "{\"expires_in\":1}", 0, 0, NULL, DIAG_CONFIG,
	    "without an access token" },
	{ "a number for a token", "{\"access_token\":7}", 0, 0, NULL,
	    DIAG_CONFIG, "without an access token" },
	{ "a blank in it", "{\"access_token\":\"a b\"}", 0, 0, NULL,
	    DIAG_CONFIG, "not printable" },
	{ "control A in it", "{\"access_token\":\"a\\u0001b\"}", 0, 0, NULL,
	    DIAG_CONFIG, "not printable" },
	{ "NUL in it", "{\"access_token\":\"a\\u0000b\"}", 0, 0, NULL,
	    DIAG_CONFIG, "without an access token" },
	{ "line feed in refresh token", "{" T ",\"refresh_token\":\"a\\nb\"}",
	    0, 0, NULL, DIAG_CONFIG, "not printable" },
	{ "error in spite of 200", "{\"error\":\"invalid_grant\"}", 0, 0, NULL,
	    DIAG_REAUTH,
	    "provider says invalid_grant: the login is no longer good: "
	    "mailtoken login ACCOUNT" },
	{ "Google's error_subtype",
	    "{\"error\":\"invalid_grant\",\"error_subtype\":"
	    "\"invalid_rapt\"}",
	    0, 0, NULL, DIAG_REAUTH, "session control" },
	{ "page", "<html>Welcome to our hotel</html>", 0, 0, NULL, DIAG_RETRY,
	    "something that is not JSON (a captive portal or proxy?)" },
	{ "empty", "", 0, 0, NULL, DIAG_RETRY, "answered with nothing" },
	{ "blank", " \n", 0, 0, NULL, DIAG_RETRY, "not JSON" },
	{ "cut", "{" T ",\"expires_in\":35", 0, 0, NULL, DIAG_RETRY,
	    "not JSON" },
	{ "trailing", "{" T "} {}", 0, 0, NULL, DIAG_RETRY, "not JSON" },
	{ "array", "[{" T "}]", 0, 0, NULL, DIAG_RETRY, "not JSON" },
	{ "string only", "\"at\"", 0, 0, NULL, DIAG_RETRY, "not JSON" },
	{ "deep", "{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]," T "}", 0, 0,
	    NULL, DIAG_RETRY, "not JSON" },
};

static void
reads_answers(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
		struct diag d = DIAG_INIT;
		const char *rt = answers[i].refresh_token;

		(void)oauth2_parse_tokens(
		    200, 0, answers[i].body, strlen(answers[i].body), &t, &d);
		if (d.kind != answers[i].kind || t.life_s != answers[i].life ||
		    t.refresh_in_s != answers[i].refresh_in ||
		    (rt != NULL) != !secret_empty(&t.refresh_token) ||
		    (answers[i].says != NULL &&
			strstr(d.text, answers[i].says) == NULL))
			fail_msg("%s: %s %lld %s", answers[i].name,
			    diag_kind_name(d.kind), (long long)t.life_s,
			    d.text);
		if (d.kind == DIAG_OK)
			assert_string_equal(t.access_token.ptr, "at");
		if (rt != NULL)
			assert_string_equal(t.refresh_token.ptr, rt);
		oauth2_tokens_wipe(&t);
	}
}

static const struct {
	long status;
	int64_t retry_after;
	const char *body;
	enum diag_kind kind;
	int64_t wait;
	const char *says;
} refusals[] = {
	{ 500, 0, "", DIAG_RETRY, 0, "status 500" },
	{ 503, 7, "<html>", DIAG_RETRY, 7, "status 503" },
	{ 429, 99999, "slow", DIAG_RETRY, 3600, "status 429" },
	{ 429, 5, "{\"error\":\"invalid_grant\"}", DIAG_RETRY, 5, "asked" },
	{ 408, 0, "", DIAG_RETRY, 0, "status 408" },
	{ 301, 0, "", DIAG_CONFIG, 0, "redirects are not followed" },
	{ 400, 0, "", DIAG_CONFIG, 0, "status 400" },
	{ 400, 0, "{\"error\":{\"code\":400}}", DIAG_CONFIG, 0, "no OAuth2" },
	{ 401, 0, "no", DIAG_CONFIG, 0, "client_secret" },
	{ 403, 0, "no", DIAG_CONFIG, 0, "status 403" },
	{ 404, 0, "no", DIAG_CONFIG, 0, "check token_endpoint" },
	{ 503, 0, "{\"error\":\"temporarily_unavailable\"}", DIAG_RETRY, 0,
	    "temporarily_unavailable" },
	{ 400, 9, "{\"error\":\"temporarily_unavailable\"}", DIAG_RETRY, 9,
	    "asked again" },
	{ 400, 0, "{\"error\":\"interaction_required\"}", DIAG_REAUTH, 0,
	    "mailtoken login ACCOUNT" },
	{ 400, 0,
	    "{\"error\":\"invalid_grant\",\"suberror\":"
	    "\"protection_policy_required\"}",
	    DIAG_CONFIG, 0, "no login" },
	{ 400, 0, "{\"error\":\"invalid_grant\",\"suberror\":\"bad_token\"}",
	    DIAG_REAUTH, 0, "mailtoken login ACCOUNT" },
	{ 400, 0,
	    "{\"error\":\"invalid_scope\",\"error_description\":"
	    "\"AADSTS70011: bad scope.\"}",
	    DIAG_CONFIG, 0,
	    "invalid_scope (AADSTS70011): bad scope: the scope is not valid: "
	    "check scope" },
	{ 400, 0, "{\"error\":\"invalid_grant\",\"error_codes\":[90033]}",
	    DIAG_RETRY, 0, "asked again" },
	{ 400, 0, "{\"error\":\"teapot\"}", DIAG_CONFIG, 0, "says teapot: " },
	/* Anything like a credential stays out, whole or cut. */
	{ 400, 0,
	    "{\"error\":\"invalid_grant\",\"error_description\":\"Token "
	    "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsIng1dCI6 is bad. More\"}",
	    DIAG_REAUTH, 0, "Token *** is bad: the login is" },
	{ 400, 0,
	    "{\"error\":\"eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsIng1dCI6"
	    "IjdkRC1nZWNOZ1gxWmY3R0xrT3ZwT0IyZGNWQSIsImtpZCI6\"}",
	    DIAG_CONFIG, 0, "provider says ***: " },
	{ 400, 0,
	    "{\"error\":\"invalid_grant\",\"error_description\":\"a\\tb"
	    "\\u001b[2J\\r\\nTrace ID: x\",\"trace_id\":"
	    "\"01234567-89ab-cdef-0123-456789abcdef\"}",
	    DIAG_REAUTH, 0,
	    "invalid_grant (trace 01234567-89ab-cdef-0123-456789abcdef): "
	    "a?b?[2J: the login is no longer good: mailtoken login ACCOUNT" },
};

static void
reads_refusals(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
		struct diag d = DIAG_INIT;
		int rc = oauth2_parse_tokens(refusals[i].status,
		    refusals[i].retry_after, refusals[i].body,
		    strlen(refusals[i].body), &t, &d);

		if (rc != -1 || d.kind != refusals[i].kind ||
		    d.retry_after_s != refusals[i].wait ||
		    strstr(d.text, refusals[i].says) == NULL ||
		    strstr(d.text, "eyJ0") != NULL)
			fail_msg("row %zu: %s %lld %s", i,
			    diag_kind_name(d.kind), (long long)d.retry_after_s,
			    d.text);
		assert_null(t.access_token.ptr);
	}
}

/* Every row of data/entra-answers.jsonl, and what must come of it. */
static const struct {
	const char *name;
	enum diag_kind kind;
	int64_t wait;
	const char *says;
} entra[] = {
	{ "50076-v2", DIAG_REAUTH, 0,
	    "provider says invalid_grant (AADSTS50076, trace 00000000-0000-"
	    "0000-0000-000000000000): Due to a " },
	{ "53003-claims", DIAG_REAUTH, 0, "exempt this account or host" },
	{ "700082", DIAG_REAUTH, 0,
	    "(AADSTS700082): The refresh token has "
	    "expired due to inactivity: the refresh token was not used" },
	{ "50196", DIAG_RETRY, 120, "(AADSTS50196)" },
	{ "700016", DIAG_CONFIG, 0, "client_id, tenant and cloud" },
	{ "90002-2025", DIAG_CONFIG, 0, "check tenant and cloud" },
	{ "7000215", DIAG_CONFIG, 0, "the secret's value, not its ID" },
	{ "70016-pending", DIAG_RETRY, 0, "authorization_pending" },
	{ "429-plain", DIAG_RETRY, 60, "status 429" },
	{ "70000-msa", DIAG_REAUTH, 0, "mailtoken login ACCOUNT" },
	{ "msal-success", DIAG_OK, 0, "" },
	{ "imds-success", DIAG_OK, 0, "" },
};

static void
entra_row(const char *line, size_t i)
{
	struct json_object *row = json_tokener_parse(line), *v, *h;
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	struct diag d = DIAG_INIT;
	const char *name, *body;
	int64_t wait = 0;

	assert_non_null(row);
	name = json_object_get_string(json_object_object_get(row, "name"));
	assert_true(i < sizeof(entra) / sizeof(entra[0]));
	assert_string_equal(name, entra[i].name);
	if (json_object_object_get_ex(row, "headers", &h))
		wait = json_object_get_int64(
		    json_object_object_get(h, "Retry-After"));
	if (!json_object_object_get_ex(row, "body", &v))
		v = json_object_object_get(row, "raw");
	body = json_object_get_string(v);
	(void)oauth2_parse_tokens(
	    json_object_get_int(json_object_object_get(row, "http")), wait,
	    body, strlen(body), &t, &d);
	if (d.kind != entra[i].kind || d.retry_after_s != entra[i].wait ||
	    strstr(d.text, entra[i].says) == NULL)
		fail_msg("%s: %s: %s", name, diag_kind_name(d.kind), d.text);
	if (d.kind == DIAG_OK)
		assert_int_equal(t.life_s, 3599);
	oauth2_tokens_wipe(&t);
	(void)json_object_put(row);
}

static void
reads_entra_answers(void **unused)
{
	char path[512], line[8192];
	const char *slash = strrchr(__FILE__, '/');
	size_t n = 0;
	FILE *f;

	(void)unused;
	(void)snprintf(path, sizeof(path), "%.*sdata/entra-answers.jsonl",
	    slash == NULL ? 0 : (int)(slash - __FILE__ + 1), __FILE__);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		entra_row(line, n++);
	assert_int_equal(n, sizeof(entra) / sizeof(entra[0]));
	(void)fclose(f);
}

static void
discovers(void **unused)
{
	static const char is[] = "https://id.example.com/t";
	static const char good[] =
	    "{\"issuer\":\"https://id.example.com/t\","
	    "\"token_endpoint\":\"https://id.example.com/t/token\"}";
	static const char other[] =
	    "{\"issuer\":\"https://evil.example.com\","
	    "\"token_endpoint\":\"https://evil.example.com/token\"}";
	static const char none[] = "{\"issuer\":\"https://id.example.com/t\"}";
	auto_free char *url = oauth2_discovery_url("https://id.example.com/t/");
	struct oauth2_endpoints e = OAUTH2_ENDPOINTS_INIT;
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_string_equal(url, "https://id.example.com/t/.well-known/"
				 "openid-configuration");
	assert_int_equal(
	    oauth2_parse_discovery(is, 200, other, sizeof(other) - 1, &e, &d),
	    -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_int_equal(
	    oauth2_parse_discovery(is, 200, none, sizeof(none) - 1, &e, &d),
	    -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_int_equal(oauth2_parse_discovery(is, 404, "", 0, &e, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_int_equal(oauth2_parse_discovery(is, 503, "x", 1, &e, &d), -1);
	assert_int_equal(d.kind, DIAG_RETRY);
	assert_null(e.token);
	assert_int_equal(
	    oauth2_parse_discovery(is, 200, good, sizeof(good) - 1, &e, &d), 0);
	assert_string_equal(e.token, "https://id.example.com/t/token");
	oauth2_endpoints_free(&e);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_requests),
		cmocka_unit_test(refuses_requests),
		cmocka_unit_test(reads_answers),
		cmocka_unit_test(reads_refusals),
		cmocka_unit_test(reads_entra_answers),
		cmocka_unit_test(discovers),
	};

	return cmocka_run_group_tests_name("oauth2", tests, NULL, NULL);
}
