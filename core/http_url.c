#include "http_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "provider.h"

bool
http_host_is_loopback(const char *host)
{
	return strcmp(host, "127.0.0.1") == 0 || strcmp(host, "[::1]") == 0 ||
	       strcmp(host, "localhost") == 0;
}

/* RFC 3927: never routed, so what answers is this machine's own host. */
static bool
is_link_local(const char *host)
{
	struct in_addr a;

	return inet_pton(AF_INET, host, &a) == 1 &&
	       ntohl(a.s_addr) >> 16 == (169 << 8 | 254);
}

static int
parse_host(const char *url, char **ret, struct diag *reterr)
{
	CURLU *u = curl_url();
	CURLUcode rc;
	char *host = NULL;

	if (u == NULL)
		return diag_nomem(reterr);
	rc = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER);
	if (rc == CURLUE_OK)
		rc = curl_url_get(u, CURLUPART_HOST, &host, 0);
	curl_url_cleanup(u);
	if (rc != CURLUE_OK)
		return diag_set(reterr, DIAG_CONFIG,
		    "this is no URL that can "
		    "be asked: %s",
		    curl_url_strerror(rc));
	*ret = strdup(host);
	curl_free(host);
	return *ret != NULL ? 0 : diag_nomem(reterr);
}

/* The form is checked as if it were https; what makes up for TLS is where. */
static int
metadata_host(const char *url, char **ret, struct diag *reterr)
{
	auto_free char *secure = NULL;
	auto_free char *host = NULL;

	if (asprintf(&secure, "https%s", url + strlen("http")) < 0) {
		secure = NULL;
		return diag_nomem(reterr);
	}
	if (provider_check_url(secure, false, reterr) < 0 ||
	    parse_host(url, &host, reterr) < 0 || host == NULL)
		return -1;
	if (!http_host_is_loopback(host) && !is_link_local(host))
		return diag_set(reterr, DIAG_CONFIG,
		    "a machine's identity is given out by itself only: the "
		    "URL's host must be 127.0.0.1, localhost or one of "
		    "169.254.0.0/16");
	*ret = take_ptr(&host);
	return 0;
}

int
http_url_host(const char *url, bool insecure_http, bool metadata, char **host,
    struct diag *reterr)
{
	if (metadata && strncasecmp(url, "http://", 7) == 0)
		return metadata_host(url, host, reterr);
	if (provider_check_url(url, insecure_http, reterr) < 0)
		return -1;
	return parse_host(url, host, reterr);
}
