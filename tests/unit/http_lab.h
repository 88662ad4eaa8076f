/* http_lab.h - a client of HTTP, and a server that does everything wrong. */
#ifndef TESTS_HTTP_LAB_H
#define TESTS_HTTP_LAB_H

#include <curl/curl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

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

static inline const char *
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

static inline const char *
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

/* For a program, once. */
static inline int
start_curl(void **unused)
{
	(void)unused;
	(void)signal(SIGPIPE, SIG_IGN);
	return curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK;
}

static inline int
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

static inline int
teardown(void **state)
{
	struct lab *lab = *state;

	http_free(&lab->http);
	fake_server_stop(&lab->server);
	event_base_free(lab->base);
	return 0;
}

static inline void
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
static inline void
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

#endif
