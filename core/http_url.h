/*
 * http_url.h - may this URL be asked?  By libcurl's parser, which will also
 * connect to it.  No I/O; for http.c.
 */
#ifndef CORE_HTTP_URL_H
#define CORE_HTTP_URL_H

#include <stdbool.h>

#include "diag.h"

/*
 * The rules are those of provider_check_url(); if metadata, http may also go
 * to loopback without insecure_http, and to an address of 169.254.0.0/16.
 * Returns 0, and *host (for free()) is the URL's; or -1 with *reterr (CONFIG,
 * NOMEM).
 */
int http_url_host(const char *url, bool insecure_http, bool metadata,
	char **host, struct diag *reterr);

/* A host of http_url_host(): this machine itself. */
bool http_host_is_loopback(const char *host);

#endif
