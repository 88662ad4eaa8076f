/*
 * http.h - HTTPS requests on an event loop (libcurl's multi interface on
 * libevent).  Only core/http*.c know libcurl; main() calls
 * curl_global_init() and ignores SIGPIPE.
 *
 * TLS is always verified, redirects are never followed, plain http goes to
 * loopback only and only if the request says insecure_http.  Everything has
 * a limit: time, bytes, and connections per host.  Bodies are wiped.
 *
 * A call waits up to timeout_ms for a free connection, then as long, but 10 s
 * at most, for that to be made, and then again timeout_ms for the answer.
 * Nothing waits for a resolver that does not answer but who asked it; its
 * thread ends by itself.
 */
#ifndef CORE_HTTP_H
#define CORE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"
#include "http_request.h"

struct event_base;
struct http;
struct http_call;

struct http_answer {
	long status;
	int64_t retry_after_s;	/* 0: none; RFC 9110 section 10.2.3, both forms */
	const char *body;	/* may be NULL if len is 0 */
	size_t len;
	const char *www_authenticate;	/* the first; NULL if there is none */
};

/*
 * Called once, from the loop, never from http_start(); afterwards the call
 * is gone.  a is NULL if there is no answer, and *why says so: RETRY (name,
 * connection, time, TLS handshake broken off, too large), CONFIG (certificate
 * not trusted, bad URL, http not allowed, redirect), NOMEM (memory,
 * descriptors or a free connection: nobody was asked).  Borrowed for the call.
 */
typedef void http_done(void *arg, const struct http_answer *a,
	const struct diag *why);

/* NULL with *reterr (NOMEM).  One per event base. */
struct http *http_new(struct event_base *base, struct diag *reterr);
/*
 * Calls still under way are dropped without done().  Sets *h to NULL.  Not
 * from done().
 */
void http_free(struct http **h);

/* NULL with *reterr (CONFIG, NOMEM): then done() is not called. */
struct http_call *http_start(struct http *h, const struct http_request *req,
	http_done *done, void *arg, struct diag *reterr);
/*
 * The host was suspended, which nobody told to those who kept a connection
 * with us, and libcurl's clock stood still: none of these is used again.
 */
void http_woke(struct http *h);
/* The request may have reached the server: it does not wait any more. */
bool http_has_asked(const struct http_call *c);
/* Drops a call: done() will not be called.  Sets *c to NULL; NULL is fine. */
void http_cancel(struct http_call **c);

/*
 * Checks a URL as http_start() would, for `mailtoken check`: https, or http
 * to 127.0.0.1, ::1 or localhost if insecure_http.  No user info, no
 * fragment.
 */
int http_check_url(const char *url, bool insecure_http, struct diag *reterr);

#endif
