#include "http_request.h"

#include <curl/curl.h>
#include <string.h>

#include "cleanup.h"

static bool
add_header(struct curl_slist **headers, const char *line)
{
	struct curl_slist *l = curl_slist_append(*headers, line);

	if (l == NULL)
		return false;
	*headers = l;
	return true;
}

/* Nothing, if value is; name is what the line begins with. */
static bool
add_secret_header(
    struct curl_slist **headers, const char *name, const struct secret *value)
{
	auto_buf struct buf line = BUF_INIT(1 << 20);

	if (value == NULL || secret_empty(value))
		return true;
	buf_adds(&line, name);
	buf_add(&line, value->ptr, value->len);
	buf_add(&line, "", 1);
	return !line.failed && add_header(headers, line.ptr);
}

bool
http_request_headers(
    const struct http_request *req, struct curl_slist **headers)
{
	/* No "100 Continue": it costs a round trip, or a second. */
	return add_header(headers, "Accept: application/json") &&
	       add_header(headers, "Expect:") &&
	       add_secret_header(
		   headers, "Authorization: ", req->authorization) &&
	       add_secret_header(headers, "", req->header);
}

#define SET(option, value) \
	(curl_easy_setopt(easy, (option), (value)) == CURLE_OK)

static bool
set_security(CURL *easy, const struct http_request *req)
{
	const char *protocols =
	    req->insecure_http || req->metadata ? "https,http" : "https";

	return SET(CURLOPT_PROTOCOLS_STR, protocols) &&
	       SET(CURLOPT_FOLLOWLOCATION, 0L) &&
	       SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) &&
	       SET(CURLOPT_SSL_VERIFYPEER, 1L) &&
	       SET(CURLOPT_SSL_VERIFYHOST, 2L) &&
	       SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       (req->ca_file == NULL || /* this CA and no other */
		   (SET(CURLOPT_CAINFO, req->ca_file) &&
		       SET(CURLOPT_CAPATH, NULL)));
}

static bool
set_form(CURL *easy, const struct buf *form)
{
	return SET(CURLOPT_POST, 1L) &&
	       SET(CURLOPT_POSTFIELDS, form->ptr ? form->ptr : "") &&
	       SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)form->len);
}

bool
http_request_options(
    const struct http_request *req, struct curl_slist *headers, void *easy)
{
	/* Not to have it is fine: a libcurl without HTTP/2. */
	(void)SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	return SET(CURLOPT_URL, req->url) &&
	       SET(CURLOPT_USERAGENT, "mailtoken/" MAILTOKEN_VERSION) &&
	       SET(CURLOPT_HTTPHEADER, headers) && set_security(easy, req) &&
	       (req->form == NULL || set_form(easy, req->form));
}
