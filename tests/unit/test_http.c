/* One request against a server that does everything wrong, and TLS. */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "cleanup.h"
#include "fake_server.h"
#include "http.h"

#define HEAD_(status) "HTTP/1.1 " status "\r\nConnection: close\r\n"
#define BODY_	      "Content-Length: 4\r\n\r\nbody"

struct lab {
	struct event_base *base;
	struct http *http;
	struct fake_server server;
	char seen[8192]; /* the last request */
};

/* What came of a call. */
struct result {
	int calls;
	struct lab *lab; /* stop its loop; NULL: do not */
	long status;
	int64_t retry_after_s;
	char body[64];
	char challenge[64]; /* WWW-Authenticate */
	struct diag why;
};

static const char *
in_an_hour(void)
{
	static char text[256];
	char date[64];
	time_t t = time(NULL) + 100;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	(void)snprintf(text, sizeof(text),
	    HEAD_("429 Too Many") "Retry-After: %s\r\n" BODY_, date);
	return text;
}

static const char *
answer(void *arg, const char *request)
{
	static const struct {
		const char *path, *answer;
	} table[] = {
		{ "/ok", HEAD_("200 OK") BODY_ },
		{ "/500", HEAD_("500 Oops") BODY_ },
		{ "/429", HEAD_("429 No") "Retry-After: 7\r\n" BODY_ },
		{ "/429-long",
		    HEAD_("429 No") "Retry-After: 999999\r\n" BODY_ },
		{ "/302", HEAD_("302 Go") "Location: /ok\r\n" BODY_ },
		{ "/hang", NULL },
		{ "/close", "" },
		{ "/cut", HEAD_("200 OK") "Content-Length: 9\r\n\r\nbody" },
		{ "/large", HEAD_("200 OK") "\r\n0123456789abcdef" },
		{ "/kept", "HTTP/1.1 200 OK\r\n" BODY_ },
		{ "/empty", HEAD_("204 No Content") "\r\n" },
		{ "/noise", "220 mail.example.com ESMTP\r\n" },
		{ "/401",
		    HEAD_("401 No") "WWW-Authenticate: Basic realm=/a\r\n"
				    "WWW-Authenticate: Negotiate\r\n" BODY_ },
	};
	struct lab *lab = arg;
	const char *path = strchr(request, ' ') + 1;
	size_t n = strcspn(path, " ?");

	(void)snprintf(lab->seen, sizeof(lab->seen), "%s", request);
	if (n == 9 && memcmp(path, "/429-date", n) == 0)
		return in_an_hour();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strlen(table[i].path) == n &&
		    memcmp(path, table[i].path, n) == 0)
			return table[i].answer;
	return HEAD_("404 Not Found") BODY_;
}

static int
setup(void **state)
{
	static struct lab lab;
	struct diag d = DIAG_INIT;

	memset(&lab, 0, sizeof(lab));
	lab.base = event_base_new();
	lab.http = http_new(lab.base, &d);
	lab.server.answer = answer;
	lab.server.arg = &lab;
	*state = &lab;
	return lab.http == NULL || fake_server_start(&lab.server, lab.base);
}

static int
teardown(void **state)
{
	struct lab *lab = *state;

	http_free(&lab->http);
	fake_server_stop(&lab->server);
	event_base_free(lab->base);
	return 0;
}

static void
ended(void *arg, const struct http_answer *a, const struct diag *why)
{
	struct result *r = arg;

	r->calls++;
	r->why = *why;
	if (a != NULL) {
		assert_int_equal(why->kind, DIAG_OK);
		assert_in_range(a->len, 0, sizeof(r->body) - 1);
		r->status = a->status;
		r->retry_after_s = a->retry_after_s;
		if (a->len > 0)
			memcpy(r->body, a->body, a->len);
		if (a->www_authenticate != NULL)
			(void)snprintf(r->challenge, sizeof(r->challenge), "%s",
			    a->www_authenticate);
	}
	if (r->lab != NULL)
		(void)event_base_loopbreak(r->lab->base);
}

/* Runs one request to its end, at most ten seconds. */
static void
run(struct lab *lab, const struct http_request *q, struct result *r)
{
	static const struct timeval limit = { 10, 0 };
	struct diag d = DIAG_INIT;

	*r = (struct result){ .lab = lab };
	assert_non_null(http_start(lab->http, q, ended, r, &d));
	assert_int_equal(r->calls, 0);
	(void)event_base_loopexit(lab->base, &limit);
	(void)event_base_dispatch(lab->base);
	assert_int_equal(r->calls, 1);
}

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

/* The port is nobody's: bound, not listening. */
static void
says_who_refused(void **state)
{
	struct lab *lab = *state;
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct result r;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 2000,
		.answer_max = 15 };

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/", ntohs(sin.sin_port));
	run(lab, &q, &r);
	assert_int_equal(r.why.kind, DIAG_RETRY);
	assert_string_equal(
	    r.why.text, "127.0.0.1: cannot connect: Connection refused");
	q.url = "https://nowhere.invalid/token";
	run(lab, &q, &r);
	assert_int_equal(r.why.kind, DIAG_RETRY);
	assert_memory_equal(r.why.text, "nowhere.invalid: ", 17);
}

/* So few more than are open that neither a lookup nor a socket is left. */
static void
limit_descriptors(rlim_t more)
{
	struct rlimit l;
	int fd = dup(0);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	l.rlim_cur = (rlim_t)fd + more;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
}

/* It is not the server's fault, nor any other account's. */
static void
says_what_this_host_lacks(void **state)
{
	static const struct {
		const char *url; /* %u is the port */
		const char *ca_file;
		rlim_t more;
		enum diag_kind kind;
		const char *says;
	} table[] = {
		{ "http://127.0.0.1:%u/close", NULL, 0, DIAG_NOMEM,
		    "127.0.0.1: was not asked: too many open files in this" },
		{ "https://nowhere.invalid/%u", NULL, 0, DIAG_NOMEM,
		    "nowhere.invalid: was not asked: too many open files" },
		{ "https://nowhere.invalid/%u", NULL, 1, DIAG_NOMEM,
		    "raise LimitNOFILE" },
		{ "https://nowhere.invalid/%u", NULL, 2, DIAG_NOMEM,
		    "raise LimitNOFILE" },
		{ "https://127.0.0.1:%u/", "/etc/hosts", 1, DIAG_NOMEM,
		    "raise LimitNOFILE" },
		/* Enough of them. */
		{ "https://nowhere.invalid/%u", NULL, 64, DIAG_RETRY,
		    "cannot find the address" },
		{ "https://127.0.0.1:%u/", "/etc/hosts", 64, DIAG_CONFIG,
		    "cannot use ca_file" },
	};
	struct lab *lab = *state;
	struct rlimit before;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *port = strstr(table[i].url, "%u");
		struct result r;
		char url[128];
		struct http_request q = { .url = url,
			.ca_file = table[i].ca_file,
			.insecure_http = true,
			.timeout_ms = 5000,
			.answer_max = 15 };

		(void)snprintf(url, sizeof(url), "%.*s%u%s",
		    (int)(port - table[i].url), table[i].url, lab->server.port,
		    port + 2);
		limit_descriptors(table[i].more);
		run(lab, &q, &r);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		if (r.why.kind != table[i].kind ||
		    strstr(r.why.text, table[i].says) == NULL)
			fail_msg("%zu: %s", i, r.why.text);
	}
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

static void
runs_many_at_once(void **state)
{
	static const struct timeval limit = { 20, 0 };
	static struct result r[200];
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 15000,
		.answer_max = 15 };

	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/ok", lab->server.port);
	memset(r, 0, sizeof(r));
	for (int i = 0; i < 200; i++)
		assert_non_null(http_start(lab->http, &q, ended, &r[i], &d));
	(void)event_base_loopexit(lab->base, &limit);
	for (int done = 0; done < 200 && !event_base_got_exit(lab->base);) {
		(void)event_base_loop(lab->base, EVLOOP_ONCE);
		done = 0;
		for (int i = 0; i < 200; i++)
			done += r[i].calls;
	}
	for (int i = 0; i < 200; i++) {
		assert_int_equal(r[i].calls, 1);
		assert_int_equal(r[i].status, 200);
	}
	assert_int_equal(lab->server.requests, 200);
}

/* Runs until all calls have ended, at most 20 seconds. */
static void
run_all(struct lab *lab, const struct result *r, int n)
{
	static const struct timeval limit = { 20, 0 };
	int done = 0;

	(void)event_base_loopexit(lab->base, &limit);
	while (done < n && !event_base_got_exit(lab->base)) {
		(void)event_base_loop(lab->base, EVLOOP_ONCE);
		done = 0;
		for (int i = 0; i < n; i++)
			done += r[i].calls;
	}
	for (int i = 0; i < n; i++)
		assert_int_equal(r[i].calls, 1);
}

static void
start_some(struct lab *lab, unsigned port, const char *path, int64_t timeout_ms,
    struct result *r, int n)
{
	struct diag d = DIAG_INIT;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.once = true,
		.timeout_ms = timeout_ms,
		.answer_max = 15 };

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	memset(r, 0, (size_t)n * sizeof(*r));
	for (int i = 0; i < n; i++)
		assert_non_null(http_start(lab->http, &q, ended, &r[i], &d));
}

static bool
was_not_asked(const struct result *r)
{
	return r->why.kind == DIAG_NOMEM &&
	       strstr(r->why.text, ": was not asked: no connection was free") !=
		   NULL;
}

/* Calls that wait for a free connection have a deadline, too. */
static void
queues_no_longer_than_the_timeout(void **state)
{
	static struct result r[40];
	struct lab *lab = *state;
	int not_asked = 0;

	start_some(lab, lab->server.port, "/hang", 500, r, 40);
	run_all(lab, r, 40);
	for (int i = 0; i < 40; i++)
		if (was_not_asked(&r[i]))
			not_asked++;
		else
			assert_string_equal(
			    r[i].why.text, "127.0.0.1: no answer within 1 s");
	assert_int_equal(lab->server.requests, 40 - not_asked);
	assert_in_range(not_asked, 1, 32);
}

/*
 * What was sent has its whole time for the answer, however long it queued: a
 * refresh token that is good for one use would be lost with it.
 */
static void
waits_for_all_that_it_asked(void **state)
{
	static struct result r[80];
	struct lab *lab = *state;
	unsigned answered = 0;

	lab->server.late = HEAD_("200 OK") BODY_;
	lab->server.late_by.tv_usec = 600000;
	start_some(lab, lab->server.port, "/hang", 2000, r, 80);
	run_all(lab, r, 80);
	for (int i = 0; i < 80; i++)
		if (r[i].status == 200)
			answered++;
		else if (!was_not_asked(&r[i]))
			fail_msg("%d: %s", i, r[i].why.text);
	assert_int_equal(lab->server.requests, answered);
	assert_in_range(answered, 16, 79);
}

/* HTTP/2 can put these on one connection. */
static void
lets_more_through_that_share_connections(void **state)
{
	static struct result r[32];
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 1500,
		.answer_max = 15 };

	lab->server.late = HEAD_("200 OK") BODY_;
	lab->server.late_by.tv_usec = 600000;
	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/hang", lab->server.port);
	memset(r, 0, sizeof(r));
	for (int i = 0; i < 32; i++)
		assert_non_null(http_start(lab->http, &q, ended, &r[i], &d));
	run_all(lab, r, 32);
	for (int i = 0; i < 32; i++)
		assert_int_equal(r[i].status, 200);
}

static void
holds_up_no_other_server(void **state)
{
	static struct result hang[10], given_up, r[10];
	struct lab *lab = *state;
	struct fake_server other = { .answer = answer, .arg = lab };
	struct http_call *call[8];
	struct diag d = DIAG_INIT;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.once = true,
		.timeout_ms = 15000,
		.answer_max = 15 };

	assert_int_equal(fake_server_start(&other, lab->base), 0);
	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/hang", lab->server.port);
	for (int i = 0; i < 8; i++) {
		call[i] = http_start(lab->http, &q, ended, &given_up, &d);
		assert_non_null(call[i]);
	}
	start_some(lab, lab->server.port, "/ok", 15000, hang, 10);
	start_some(lab, other.port, "/ok", 15000, r, 10);
	run_all(lab, r, 10);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(r[i].status, 200);
		assert_int_equal(hang[i].calls, 0);
	}
	/* One of the connections is enough. */
	http_cancel(&call[3]);
	run_all(lab, hang, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(hang[i].status, 200);
	for (int i = 0; i < 8; i++)
		http_cancel(&call[i]);
	assert_int_equal(given_up.calls, 0);
	fake_server_stop(&other);
}

/* Is called by libcurl, in threads of its own. */
static atomic_int lookups;
static atomic_bool lookups_hang;

__attribute__((visibility("default"))) int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
    struct addrinfo **ret)
{
	static __typeof__(getaddrinfo) *real;

	if (name == NULL || strcmp(name, "hangs.contoso.example") != 0) {
		if (real == NULL)
			*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
		return real(name, service, hints, ret);
	}
	atomic_fetch_add(&lookups, 1);
	for (int i = 0; i < 1500 && atomic_load(&lookups_hang); i++)
		(void)usleep(10000);
	atomic_fetch_sub(&lookups, 1);
	return EAI_AGAIN;
}

/* Nobody waits for a resolver that does not answer but who wants the name. */
static void
waits_for_no_resolver(void **state)
{
	static const struct timeval a_while = { 0, 300000 };
	struct lab *lab = *state;
	time_t began = time(NULL);
	struct diag d = DIAG_INIT;
	struct http_call *call;
	struct result r;
	struct http_request q = { .url = "https://hangs.contoso.example/token",
		.timeout_ms = 500,
		.answer_max = 15 };

	atomic_store(&lookups_hang, true);
	run(lab, &q, &r);
	assert_int_equal(r.why.kind, DIAG_RETRY);
	assert_string_equal(r.why.text,
	    "hangs.contoso.example: cannot find the address: check the "
	    "network and the resolver");
	q.timeout_ms = 5000;
	assert_non_null(call = http_start(lab->http, &q, ended, &r, &d));
	(void)event_base_loopexit(lab->base, &a_while);
	(void)event_base_dispatch(lab->base);
	http_cancel(&call);
	assert_int_equal(atomic_load(&lookups), 2); /* still */
	assert_in_range(time(NULL) - began, 0, 8);
	atomic_store(&lookups_hang, false);
	for (int i = 0; i < 500 && atomic_load(&lookups) > 0; i++)
		(void)usleep(10000);
	assert_int_equal(atomic_load(&lookups), 0);
}

/* A listener takes no more: who comes now is not even refused. */
static int
fill(int fd, int in[2], unsigned *port)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	if (listen(fd, 0) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
		return -1;
	*port = ntohs(sin.sin_port);
	for (int i = 0; i < 2; i++) {
		in[i] = socket(
		    AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (in[i] < 0 ||
		    (connect(in[i], (struct sockaddr *)&sin, len) < 0 &&
			errno != EINPROGRESS))
			return -1;
	}
	return 0;
}

static void
accept_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)evconnlistener_enable(((struct lab *)arg)->server.listener);
}

/* Nor does the time for the answer begin before somebody is there. */
static void
counts_no_connecting(void **state)
{
	static const struct timeval a_while = { 1, 500000 };
	struct lab *lab = *state;
	struct fake_server *s = &lab->server;
	struct result r;
	unsigned port = 0;
	int in[2];
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 4000,
		.answer_max = 15 };

	s->late = HEAD_("200 OK") BODY_;
	s->late_by = (struct timeval){ 2, 500000 };
	(void)evconnlistener_disable(s->listener);
	assert_int_equal(
	    fill(evconnlistener_get_fd(s->listener), in, &port), 0);
	assert_int_equal(event_base_once(lab->base, -1, EV_TIMEOUT,
			     accept_again, lab, &a_while),
	    0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/hang", port);
	/* TCP tries again after 1 s and 3 s. */
	run(lab, &q, &r);
	(void)close(in[0]);
	(void)close(in[1]);
	assert_string_equal(r.why.text, "");
	assert_int_equal(r.status, 200);
}

static void
says_how_far_it_got(void **state)
{
	struct lab *lab = *state;
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct result r;
	unsigned port = 0;
	int in[2];
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 500,
		.answer_max = 15 };

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(fill(fd, in, &port), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
	run(lab, &q, &r);
	assert_int_equal(r.why.kind, DIAG_RETRY);
	assert_string_equal(r.why.text, "127.0.0.1: cannot connect within 1 s");
	(void)close(in[0]);
	(void)close(in[1]);
	/* Connected, but it does not speak TLS, nor anything else. */
	(void)snprintf(
	    url, sizeof(url), "https://127.0.0.1:%u/", lab->server.port);
	run(lab, &q, &r);
	assert_string_equal(r.why.text, "127.0.0.1: cannot connect within 1 s");
	assert_int_equal(lab->server.requests, 0);
}

/*
 * A TLS server in another process: three ports, with a good certificate, one
 * for another name and an expired one, all by the test's CA.
 */
static const char tls_server[] =
    "import http.server, signal, ssl, sys, threading\n"
    "signal.alarm(60)\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200)\n"
    "        self.send_header('Content-Length', '4')\n"
    "        self.end_headers()\n"
    "        self.wfile.write(b'body')\n"
    "    def log_message(self, *args): pass\n"
    "class S(http.server.ThreadingHTTPServer):\n"
    "    def handle_error(self, *args): pass\n"
    "d = sys.argv[1]\n"
    "for name in ('good', 'name', 'old'):\n"
    "    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
    "    c.load_cert_chain(d + '/' + name + '.pem', d + '/key')\n"
    "    s = S(('127.0.0.1', 0), H)\n"
    "    s.socket = c.wrap_socket(s.socket, server_side=True,\n"
    "        do_handshake_on_connect=False)\n"
    "    threading.Thread(target=s.serve_forever, daemon=True).start()\n"
    "    print(s.server_port, flush=True)\n"
    "sys.stdin.read()\n";

static const char make_certificates[] =
    "cd \"$1\" || exit 1\n"
    "exec 2>/dev/null\n"
    "ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n"
    "for ca in ca other; do\n"
    "    openssl req -x509 $ec -keyout $ca.key -out $ca.crt \\\n"
    "        -subj \"/CN=$ca\" -days 2 || exit 1\n"
    "done\n"
    "openssl req $ec -keyout key -out req -subj /CN=x || exit 1\n"
    "sign() {\n"
    "    echo \"subjectAltName=$2\" >ext\n"
    "    openssl x509 -req -in req -CA ca.crt -CAkey ca.key -set_serial 7 \\\n"
    "        -days \"$3\" -extfile ext -out \"$1.pem\"\n"
    "}\n"
    "sign good IP:127.0.0.1 2 && sign name DNS:mail.example.com 2 &&\n"
    "    sign old IP:127.0.0.1 0\n";

static void
child_becomes(const char *const argv[], int in, int out)
{
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(126);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static bool
certificates(const char *dir)
{
	const char *const argv[] = { "sh", "-c", make_certificates, "sh", dir,
		NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0)
		child_becomes(argv, 0, 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void
verifies_servers(void **state)
{
	static const struct {
		const char *name, *ca;
		int port;
		enum diag_kind kind;
		const char *says;
	} tls[] = {
		{ "good", "ca.crt", 0, DIAG_OK, "" },
		{ "unknown CA", "other.crt", 0, DIAG_CONFIG, "not trusted by" },
		{ "system's CAs", NULL, 0, DIAG_CONFIG, "in ca_file" },
		{ "wrong name", "ca.crt", 1, DIAG_CONFIG, "another host" },
		{ "expired", "ca.crt", 2, DIAG_CONFIG, "clock" },
		{ "no file", "none.crt", 0, DIAG_CONFIG, "readable file" },
		{ "no CA", "key", 0, DIAG_CONFIG, "ca_file" },
	};
	struct lab *lab = *state;
	char dir[] = "/tmp/test_http.XXXXXX", url[64], ca[128], rm[64];
	const char *const argv[] = { "python3", "-c", tls_server, dir, NULL };
	int in[2], out[2];
	unsigned port[3] = { 0 };
	pid_t pid;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	assert_true(certificates(dir));
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		(void)close(in[1]);
		child_becomes(argv, in[0], out[1]);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	assert_non_null(f = fdopen(out[0], "r"));
	for (int i = 0; i < 3; i++)
		assert_int_equal(fscanf(f, "%u", &port[i]), 1);
	for (size_t i = 0; i < sizeof(tls) / sizeof(tls[0]); i++) {
		struct http_request q = { .url = url,
			.timeout_ms = 5000,
			.answer_max = 15,
			.ca_file = tls[i].ca ? ca : NULL };
		struct result r;

		(void)snprintf(
		    ca, sizeof(ca), "%s/%s", dir, tls[i].ca ? tls[i].ca : "");
		(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/",
		    port[tls[i].port]);
		run(lab, &q, &r);
		if (r.why.kind != tls[i].kind ||
		    strstr(r.why.text, tls[i].says) == NULL)
			fail_msg("%s: %s", tls[i].name, r.why.text);
		if (r.why.kind == DIAG_OK)
			assert_string_equal(r.body, "body");
	}
	(void)fclose(f);
	(void)close(in[1]); /* and it goes */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)snprintf(rm, sizeof(rm), "rm -r %s", dir);
	assert_int_equal(system(rm), 0);
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
		T(says_who_refused),
		T(says_what_this_host_lacks),
		T(sends_once),
		T(cancels),
		T(runs_many_at_once),
		T(queues_no_longer_than_the_timeout),
		T(waits_for_all_that_it_asked),
		T(lets_more_through_that_share_connections),
		T(holds_up_no_other_server),
		T(waits_for_no_resolver),
		T(says_how_far_it_got),
		T(counts_no_connecting),
		T(verifies_servers),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
