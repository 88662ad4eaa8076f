#include "http_failure.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOKUP_FDS 3 /* open at a time, to look a name up */

/* X509_V_ERR_*, as libcurl reports them; numbers so as not to need OpenSSL. */
#define CERT_UNSPECIFIED   1
#define CERT_NOT_YET_VALID 9
#define CERT_HAS_EXPIRED   10

static int
no_address_text(const struct http_failure *f, struct diag *ret)
{
	return diag_set(ret, DIAG_RETRY,
	    "%s: cannot find the address%s: check the network and the "
	    "resolver",
	    f->host,
	    f->rc == CURLE_COULDNT_RESOLVE_PROXY ? " of the proxy" : "");
}

static long long
seconds(int64_t ms)
{
	return (long long)(ms + 999) / 1000;
}

/* How far did it get? */
static int
timeout_text(const struct http_failure *f, struct diag *ret)
{
	curl_off_t found = 0;

	switch (f->phase) {
	case HTTP_QUEUED:
		return diag_set(ret, DIAG_NOMEM,
		    "%s: was not asked: no connection was free for %lld s",
		    f->host, seconds(f->timeout_ms));
	case HTTP_CONNECTING:
		(void)curl_easy_getinfo(
		    f->easy, CURLINFO_NAMELOOKUP_TIME_T, &found);
		if (found == 0)
			return no_address_text(f, ret);
		return diag_set(ret, DIAG_RETRY,
		    "%s: cannot connect within %lld s", f->host,
		    seconds(f->connect_ms));
	case HTTP_ASKED:
		break;
	}
	return diag_set(ret, DIAG_RETRY, "%s: no answer within %lld s", f->host,
	    seconds(f->timeout_ms));
}

static int
certificate_text(
    const struct http_failure *f, const char *words, struct diag *ret)
{
	long verdict = 0;

	(void)curl_easy_getinfo(f->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	if (verdict == CERT_HAS_EXPIRED || verdict == CERT_NOT_YET_VALID)
		return diag_set(ret, DIAG_CONFIG,
		    "%s: %s: check this host's "
		    "clock, or have the server's certificate renewed",
		    f->host, words);
	if (verdict <= CERT_UNSPECIFIED) /* the chain was not to blame */
		return diag_set(ret, DIAG_CONFIG,
		    "%s: %s: the certificate is "
		    "for another host, check the URL and any proxy",
		    f->host, words);
	return diag_set(ret, DIAG_CONFIG,
	    "%s: %s: the certificate is not "
	    "trusted%s; name the CA that signed it in ca_file",
	    f->host, words, f->ca_file != NULL ? " by ca_file" : "");
}

/* A proxy that does not let us through says so by a status of its own. */
static int
proxy_text(const struct http_failure *f, long status, struct diag *ret)
{
	if (status == 407)
		return diag_set(ret, DIAG_CONFIG,
		    "%s: the proxy wants a login (status 407): have it let "
		    "this through, or put user and password into https_proxy",
		    f->host);
	if (status == 403 || status == 405)
		return diag_set(ret, DIAG_CONFIG,
		    "%s: the proxy forbids it (status %ld): have it let this "
		    "through",
		    f->host, status);
	return diag_set(ret, DIAG_RETRY,
	    "%s: the proxy cannot reach it (status %ld)", f->host, status);
}

/* What libcurl says of https_proxy quotes it, with the password in it. */
static int
proxy_url_text(const struct http_failure *f, struct diag *ret)
{
	return diag_set(ret, DIAG_CONFIG,
	    "%s: https_proxy is no URL of a proxy: write "
	    "http://USER:PASSWORD@HOST:PORT, other signs than letters and "
	    "digits in USER and PASSWORD as %%XX",
	    f->host);
}

static int
shortage_of(int error)
{
	return error == EMFILE || error == ENFILE ? error : 0;
}

/* Could a name be looked up, or a file be opened? */
static int
shortage_now(void)
{
	int fd[LOOKUP_FDS], n = 0, error = 0;

	while (n < LOOKUP_FDS &&
	       (fd[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0)
		n++;
	if (n < LOOKUP_FDS)
		error = errno;
	while (n > 0)
		(void)close(fd[--n]);
	return shortage_of(error);
}

/*
 * Was it for want of descriptors that nobody was asked?  Where a lookup or a
 * file has failed libcurl does not say why: then whether they are short now.
 */
static int
shortage(const struct http_failure *f)
{
	switch ((int)f->rc) {
	case CURLE_COULDNT_CONNECT:
		return shortage_of(f->socket_error);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_SSL_CACERT_BADFILE:
		return shortage_now();
	}
	return 0;
}

/* The server has no part in it, nor have its other clients. */
static int
shortage_text(const struct http_failure *f, int error, struct diag *ret)
{
	return diag_set(ret, DIAG_NOMEM,
	    "%s: was not asked: too many open files %s", f->host,
	    error == ENFILE ?
		"on this host: raise fs.file-max" :
		"in this process: raise LimitNOFILE, or ulimit -n");
}

/* Either side may be the first to say that the other is too old. */
static bool
is_old_tls(const struct http_failure *f, const char *words)
{
	return f->rc == CURLE_SSL_CONNECT_ERROR &&
	       (strstr(words, "protocol version") != NULL ||
		   strstr(words, "unsupported protocol") != NULL);
}

/* Why libcurl gave up, and who can do something about it. */
int
http_failure_text(const struct http_failure *f, struct diag *ret)
{
	const char *words =
	    *f->error != '\0' ? f->error : curl_easy_strerror(f->rc);
	long err = 0, status = 0;
	int error = shortage(f);

	if (error != 0)
		return shortage_text(f, error, ret);
	(void)curl_easy_getinfo(f->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	if (status >= 300)
		return proxy_text(f, status, ret);
	if (strstr(words, "nsupported proxy") != NULL)
		return proxy_url_text(f, ret);
	if (is_old_tls(f, words))
		return diag_set(ret, DIAG_CONFIG,
		    "%s: it speaks no TLS 1.2 or newer, and older TLS is not "
		    "safe: have the server, or the proxy before it, renewed: "
		    "%s",
		    f->host, words);
	switch ((int)f->rc) {
	case CURLE_OUT_OF_MEMORY:
		return diag_nomem(ret);
	case CURLE_WRITE_ERROR:
		if (!f->too_large)
			return diag_nomem(ret);
		return diag_set(ret, DIAG_RETRY,
		    "%s: the answer has more than %zu bytes", f->host,
		    f->answer_max);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return no_address_text(f, ret);
	case CURLE_COULDNT_CONNECT:
		(void)curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &err);
		return diag_set(ret, DIAG_RETRY, "%s: cannot connect: %s",
		    f->host, err > 0 ? strerror((int)err) : words);
	case CURLE_OPERATION_TIMEDOUT:
		return timeout_text(f, ret);
	case CURLE_PEER_FAILED_VERIFICATION:
		return certificate_text(f, words, ret);
	case CURLE_SSL_CACERT_BADFILE:
		return diag_set(ret, DIAG_CONFIG,
		    "%s: cannot use ca_file "
		    "'%s': it must be a readable file of PEM certificates",
		    f->host, f->ca_file != NULL ? f->ca_file : "(system)");
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_NOT_BUILT_IN:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ENGINE_NOTFOUND:
		return diag_set(ret, DIAG_CONFIG, "%s: %s", f->host, words);
	}
	return diag_set(
	    ret, DIAG_RETRY, "%s: the connection broke: %s", f->host, words);
}
