/*
 * http_request.h - what http.c is asked to do, and how to say so to libcurl:
 * what is sent, and what makes its way safe.
 */
#ifndef CORE_HTTP_REQUEST_H
#define CORE_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "secret.h"

struct curl_slist;

struct http_request {
	const char *url;
	const struct buf *form;		/* POST body, form-encoded; NULL: GET.
					 * Borrowed until done() */
	const struct secret *authorization;	/* header value or NULL; copied */
	const struct secret *header;	/* one more, "Name: value"; or NULL; copied */
	const char *ca_file;		/* NULL: the system's */
	bool insecure_http;
	bool metadata;			/* a machine's own identity endpoint: http
					 * to loopback and to 169.254.0.0/16 is
					 * fine, and no proxy is ever asked */
	bool once;			/* must not reach the server twice, as
					 * libcurl may do when a kept connection
					 * turns out to be dead */
	int64_t timeout_ms;		/* for the answer */
	size_t answer_max;		/* bytes of the answer's body */
};

/*
 * These return false for want of memory.  *headers hold secrets then, also if
 * it is false; they and form are borrowed for as long as easy, libcurl's
 * handle, lives.
 */
bool http_request_headers(
	const struct http_request *req, struct curl_slist **headers);
bool http_request_options(const struct http_request *req,
	struct curl_slist *headers, void *easy);

#endif
