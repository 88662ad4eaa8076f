/* One request against a server that does everything wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "http_lab.h"

static const struct {
	const char *path;
	long status; /* 0: no answer, and */
	enum diag_kind kind;
	const char *says;
	int64_t retry_after;
} cases[] = {
	{ "/ok?q=sesame", 200, DIAG_OK, NULL, 0 },
	{ "/500", 500, DIAG_OK, NULL, 0 },
	{ "/404", 404, DIAG_OK, NULL, 0 },
	{ "/empty", 204, DIAG_OK, NULL, 0 },
	{ "/429", 429, DIAG_OK, NULL, 7 },
	{ "/429-long", 429, DIAG_OK, NULL, 3600 },
	{ "/429-date", 429, DIAG_OK, NULL, 99 },
	{ "/302?q=sesame", 0, DIAG_CONFIG, "redirect (302)", 0 },
	{ "/hang?q=sesame", 0, DIAG_RETRY, "no answer within 1 s", 0 },
	{ "/close?q=sesame", 0, DIAG_RETRY, "the connection broke: ", 0 },
	{ "/cut", 0, DIAG_RETRY, "the connection broke: ", 0 },
	{ "/noise", 0, DIAG_CONFIG, "HTTP/0.9", 0 },
	{ "/large?q=sesame", 0, DIAG_RETRY, "more than 15 bytes", 0 },
};

static void
takes_what_comes(void **state)
{
	struct lab *lab = *state;
	struct result r;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 1000,
		.answer_max = 15 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s",
		    lab->server.port, cases[i].path);
		run(lab, &q, &r);
		if (r.status != cases[i].status ||
		    r.why.kind != cases[i].kind ||
		    r.retry_after_s < cases[i].retry_after - 1 ||
		    r.retry_after_s > cases[i].retry_after + 1 ||
		    (cases[i].says != NULL &&
			strstr(r.why.text, cases[i].says) == NULL) ||
		    strstr(r.why.text, "sesame") != NULL)
			fail_msg("%s: %ld, %lld s, %s", cases[i].path, r.status,
			    (long long)r.retry_after_s, r.why.text);
		if (r.status == 200)
			assert_string_equal(r.body, "body");
	}
}

static void
sends_what_it_should(void **state)
{
	struct lab *lab = *state;
	auto_buf struct buf form = BUF_INIT(64);
	auto_secret struct secret auth = SECRET_INIT;
	auto_secret struct secret header = SECRET_INIT;
	struct result r;
	char url[128];
	struct http_request q = { .url = url,
		.form = &form,
		.authorization = &auth,
		.header = &header,
		.insecure_http = true,
		.timeout_ms = 2000,
		.answer_max = 64 };

	(void)snprintf(
	    url, sizeof(url), "http://localhost:%u/ok", lab->server.port);
	buf_adds(&form, "grant_type=x&a=%41");
	assert_true(secret_set(&auth, "Basic eDp5", 10));
	assert_true(secret_set(&header, "Metadata: true", 14));
	/* A proxy of the environment is not for loopback. */
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1/", 1), 0);
	run(lab, &q, &r);
	assert_int_equal(unsetenv("http_proxy"), 0);
	assert_int_equal(r.status, 200);
	assert_memory_equal(lab->seen, "POST /ok HTTP/1.1\r\n", 19);
	assert_non_null(strstr(lab->seen, "\r\n\r\ngrant_type=x&a=%41"));
	assert_non_null(strstr(lab->seen, "\r\nAuthorization: Basic eDp5\r\n"));
	assert_non_null(strstr(lab->seen, "\r\nMetadata: true\r\n"));
	assert_non_null(strstr(lab->seen, "\r\nAccept: application/json\r\n"));
	assert_non_null(strstr(lab->seen,
	    "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
	assert_non_null(strstr(lab->seen, "\r\nUser-Agent: mailtoken/"));
	assert_null(strstr(lab->seen, "\r\nExpect"));
	assert_null(strstr(lab->seen, "\r\nCookie"));
}

/* libcurl's words would have the password in them. */
static void
quotes_no_proxy(void **state)
{
	static const char *const wrong[] = {
		"ftp://relay:pass-4711@127.0.0.1:1",
		"odd://relay:pass-4711@127.0.0.1:1",
		"http://relay:pass-4711@127.0.0.1:99999",
		"http://relay:pass-4711@no host:1"
	};
	struct lab *lab = *state;
	struct http_request q = { .url = "https://login.contoso.example/",
		.timeout_ms = 2000,
		.answer_max = 64 };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct result r;

		assert_int_equal(setenv("https_proxy", wrong[i], 1), 0);
		run(lab, &q, &r);
		assert_int_equal(unsetenv("https_proxy"), 0);
		if (r.why.kind != DIAG_CONFIG ||
		    strstr(r.why.text, "https_proxy") == NULL ||
		    strstr(r.why.text, "4711") != NULL)
			fail_msg("%s: %s", wrong[i], r.why.text);
	}
}

static void
refuses_urls(void **state)
{
	static const struct {
		const char *url;
		bool insecure;
	} bad[] = {
		{ "http://127.0.0.1/", false },
		{ "http://id.example.com/", true },
		{ "http://127.0.0.1.example.com/", true },
		{ "http://localhost@id.example.com/", true },
		{ "https://user:pw@id.example.com/", false },
		{ "https://id.example.com/#part", false },
		{ "ftp://127.0.0.1/", true },
		{ "file:///etc/passwd", true },
		{ "id.example.com/token", false },
		{ "https://", false },
		{ "https:///token", false },
		{ "https://id.example.com:99999/", false },
		{ "https://id.example.com/a b", false },
		{ "", true },
	};
	struct lab *lab = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct http_request q = { .url = bad[i].url,
			.insecure_http = bad[i].insecure,
			.timeout_ms = 100 };
		struct diag d = DIAG_INIT;

		if (http_check_url(bad[i].url, bad[i].insecure, &d) != -1 ||
		    d.kind != DIAG_CONFIG || strstr(d.text, "pw") != NULL)
			fail_msg("%s: %s", bad[i].url, d.text);
		d = (struct diag)DIAG_INIT;
		assert_null(http_start(lab->http, &q, ended, NULL, &d));
		assert_int_equal(d.kind, DIAG_CONFIG);
	}
	for (int i = 0; i < 3; i++) {
		static const char *const good[] = { "http://[::1]:8080/t",
			"https://id.example.com/t?x=1", "http://localhost/" };
		struct diag d = DIAG_INIT;

		assert_int_equal(http_check_url(good[i], true, &d), 0);
	}
}

/* A machine's own identity: plain http, but only where it cannot leave. */
static void
asks_the_machine_itself(void **state)
{
	static const char *const bad[] = { "http://id.example.com/",
		"http://169.253.169.254/", "http://169.255.0.1/",
		"http://[fe80::1]/", "http://169.254.169.254@id.example.com/",
		"http://169.254.169.254.example.com/", "http://2130706433/x y",
		"http://10.0.0.1/", "ftp://169.254.169.254/", "" };
	static const char *const good[] = { "http://169.254.169.254/metadata",
		"HTTP://169.254.129.4:8081/msi/token", "http://127.0.0.1:1/",
		"http://localhost:42356/msi/token", "https://id.example.com/" };
	struct lab *lab = *state;
	struct result r;
	char url[128];
	struct http_request q = { .url = url,
		.metadata = true,
		.timeout_ms = 2000,
		.answer_max = 15 };
	struct diag d = DIAG_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		q.url = bad[i];
		d = (struct diag)DIAG_INIT;
		if (http_start(lab->http, &q, ended, NULL, &d) != NULL ||
		    d.kind != DIAG_CONFIG)
			fail_msg("%s: %s", bad[i], d.text);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct http_call *c;

		q.url = good[i];
		c = http_start(lab->http, &q, ended, NULL, &d);
		if (c == NULL)
			fail_msg("%s: %s", good[i], d.text);
		http_cancel(&c);
	}
	q.url = url;
	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/401", lab->server.port);
	/* No proxy, whoever named one. */
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1/", 1), 0);
	assert_int_equal(setenv("no_proxy", "example.com", 1), 0);
	run(lab, &q, &r);
	assert_int_equal(unsetenv("http_proxy"), 0);
	assert_int_equal(unsetenv("no_proxy"), 0);
	assert_int_equal(r.status, 401);
	assert_string_equal(r.challenge, "Basic realm=/a");
	/* Nor does it take insecure_http to ask, or metadata to be refused. */
	q.metadata = false;
	assert_null(http_start(lab->http, &q, ended, NULL, &d));
}

/*
 * libcurl sends a request again if the connection that it kept turns out to
 * be dead: a one-time refresh token must not go out twice.  Nor does it use
 * one from before a suspension.
 */
static void
sends_once(void **state)
{
	struct lab *lab = *state;
	char kept[64], closes[64];
	struct http_request q = { .url = kept,
		.insecure_http = true,
		.timeout_ms = 1000,
		.answer_max = 15 };
	struct result r;

	(void)snprintf(
	    kept, sizeof(kept), "http://127.0.0.1:%u/kept", lab->server.port);
	(void)snprintf(closes, sizeof(closes), "http://127.0.0.1:%u/close",
	    lab->server.port);
	lab->server.keep = 1;
	for (int i = 0; i < 3; i++) {
		q.url = kept;
		q.once = false;
		run(lab, &q, &r);
		assert_int_equal(r.status, 200);
		lab->server.requests = 0;
		q.url = closes;
		q.once = i == 1;
		if (i == 2)
			http_woke(lab->http);
		run(lab, &q, &r);
		assert_int_equal(r.why.kind, DIAG_RETRY);
		assert_int_equal(lab->server.requests, i == 0 ? 2 : 1);
	}
}

static void
cancels(void **state)
{
	static const struct timeval a_while = { 0, 300000 };
	struct lab *lab = *state;
	struct http_call *call[3];
	struct result r[3] = { { .calls = 0 } };
	struct diag d = DIAG_INIT;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 5000,
		.answer_max = 15 };

	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/hang", lab->server.port);
	for (int i = 0; i < 3; i++) {
		call[i] = http_start(lab->http, &q, ended, &r[i], &d);
		assert_non_null(call[i]);
	}
	http_cancel(&call[1]); /* before it began */
	assert_null(call[1]);
	http_cancel(&call[1]);
	(void)event_base_loopexit(lab->base, &a_while);
	(void)event_base_dispatch(lab->base);
	assert_int_equal(lab->server.requests, 2);
	http_cancel(&call[0]); /* under way */
	/* The last is left to http_free(). */
	for (int i = 0; i < 3; i++)
		assert_int_equal(r[i].calls, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(takes_what_comes),
		T(sends_what_it_should),
		T(quotes_no_proxy),
		T(refuses_urls),
		T(asks_the_machine_itself),
		T(sends_once),
		T(cancels),
	};

	return cmocka_run_group_tests_name("http", tests, start_curl, NULL);
}
