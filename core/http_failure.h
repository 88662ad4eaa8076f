/*
 * http_failure.h - what libcurl says when a request had no answer -> who must
 * act, and what to do.  For http.c, which asks when it happens.
 */
#ifndef CORE_HTTP_FAILURE_H
#define CORE_HTTP_FAILURE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"

enum http_phase {
	HTTP_QUEUED,	 /* for a connection: libcurl knows nothing of it */
	HTTP_CONNECTING, /* from looking up the name to TLS */
	HTTP_ASKED	 /* the request may have reached the server */
};

struct http_failure {
	CURL *easy;		/* that failed */
	CURLcode rc;
	const char *error;	/* CURLOPT_ERRORBUFFER's; may be empty */
	const char *host;
	const char *ca_file;	/* NULL: the system's */
	enum http_phase phase;
	int64_t connect_ms;	/* CONNECTING may take so long, */
	int64_t timeout_ms;	/* and each other phase this */
	size_t answer_max;
	bool too_large;		/* the answer had more than that */
	int socket_error;	/* errno of the last socket(); 0: there was one */
};

/* Sets *ret (RETRY, CONFIG; NOMEM: nobody was asked) and returns -1. */
int http_failure_text(const struct http_failure *f, struct diag *ret);

#endif
