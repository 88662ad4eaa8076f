#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "cleanup.h"
#include "http_failure.h"
#include "http_url.h"

#define CONNECT_MAX_MS	  10000
#define HOST_CONNECTIONS  8
#define TOTAL_CONNECTIONS 64
#define KEPT_MAX_MS	  120000 /* libcurl keeps nothing idle for longer */
#define RETRY_AFTER_MAX_S 3600
#define GRACE_MS	  250 /* for libcurl to end a call by its own clock */

struct http {
	struct event_base *base;
	CURLM *multi;
	struct event *timer; /* libcurl's */
	struct http_call *calls;
	int64_t fresh_until_ms; /* by now_ms(): connections are not reused */
};

struct http_call {
	struct http *http;
	struct http_call *prev, *next;
	CURL *easy;
	struct curl_slist *headers;
	struct event *deadline; /* ours: also while libcurl lets it queue */
	struct buf body;
	bool too_large;
	int socket_error; /* errno of the last socket(); 0: there is one */
	int64_t timeout_ms;
	char *host; /* for the texts */
	char *ca_file;
	char error[CURL_ERROR_SIZE];
	http_done *done;
	void *arg;
};

static void
call_free(struct http_call *c)
{
	struct http *h = c->http;

	if (c->easy != NULL) {
		(void)curl_multi_remove_handle(h->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	if (c->prev != NULL)
		c->prev->next = c->next;
	else if (h->calls == c)
		h->calls = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	for (struct curl_slist *l = c->headers; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(c->headers);
	if (c->deadline != NULL)
		event_free(c->deadline);
	buf_wipe(&c->body);
	free(c->host);
	free(c->ca_file);
	free(c);
}

static int
call_failure(const struct http_call *c, CURLcode rc, struct diag *ret)
{
	struct http_failure f = { .easy = c->easy,
		.rc = rc,
		.error = c->error,
		.host = c->host,
		.ca_file = c->ca_file,
		.timeout_ms = c->timeout_ms,
		.answer_max = c->body.max,
		.too_large = c->too_large,
		.socket_error = c->socket_error };

	return http_failure_text(&f, ret);
}

/* What libcurl knows about an answer besides its body. */
static void
read_head(const struct http_call *c, struct http_answer *a)
{
	struct curl_header *challenge;
	curl_off_t retry_after = 0;

	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &a->status);
	(void)curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry_after);
	if (retry_after > 0)
		a->retry_after_s = retry_after < RETRY_AFTER_MAX_S ?
				       retry_after :
				       RETRY_AFTER_MAX_S;
	if (curl_easy_header(c->easy, "WWW-Authenticate", 0, CURLH_HEADER, -1,
		&challenge) == CURLHE_OK)
		a->www_authenticate = challenge->value;
}

/* The end of a call: tells its owner, with nothing of it left behind. */
static void
call_end(struct http_call *c, CURLcode rc)
{
	struct http_answer a = { .body = c->body.ptr, .len = c->body.len };
	struct diag why = DIAG_INIT;

	if (rc != CURLE_OK) {
		(void)call_failure(c, rc, &why);
	} else {
		read_head(c, &a);
		if (a.status >= 300 && a.status < 400)
			(void)diag_set(&why, DIAG_CONFIG,
			    "%s: answered with a "
			    "redirect (%ld), which is not followed: check the "
			    "URL",
			    c->host, a.status);
	}
	c->done(c->arg, why.kind == DIAG_OK ? &a : NULL, &why);
	call_free(c);
}

/*
 * Ends what libcurl has ended.  Only called from the loop.  A done() may
 * start and cancel other calls: each round asks libcurl anew.
 */
static void
reap(struct http *h)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left)) != NULL) {
		CURLcode rc = msg->data.result; /* msg dies next */
		char *c = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &c);
		call_end((struct http_call *)(void *)c, rc);
	}
}

static void
act(struct http *h, curl_socket_t fd, int flags)
{
	int running;

	(void)curl_multi_socket_action(h->multi, fd, flags, &running);
	reap(h);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	act(arg, fd,
	    ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
		((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	call_end(arg, CURLE_OPERATION_TIMEDOUT);
}

/* libcurl says what it waits for on a socket; ev is what we keep there. */
static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *ev)
{
	struct http *h = arg;
	struct event *e = ev;
	short flags = EV_PERSIST;

	(void)easy;
	if (e != NULL)
		event_free(e);
	if (what == CURL_POLL_REMOVE) {
		(void)curl_multi_assign(h->multi, fd, NULL);
		return 0;
	}
	if ((what & CURL_POLL_IN) != 0)
		flags |= EV_READ;
	if ((what & CURL_POLL_OUT) != 0)
		flags |= EV_WRITE;
	e = event_new(h->base, fd, flags, on_socket, h);
	(void)curl_multi_assign(h->multi, fd, e);
	return e != NULL && event_add(e, NULL) == 0 ? 0 : -1;
}

static int
watch_time(CURLM *multi, long timeout_ms, void *arg)
{
	struct http *h = arg;
	struct timeval tv = { .tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000 };

	(void)multi;
	return timeout_ms < 0 ? evtimer_del(h->timer) :
				evtimer_add(h->timer, &tv);
}

/* As libcurl's. */
static int64_t
now_ms(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
http_woke(struct http *h)
{
	h->fresh_until_ms = now_ms() + KEPT_MAX_MS;
}

struct http *
http_new(struct event_base *base, struct diag *reterr)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h != NULL) {
		h->base = base;
		h->multi = curl_multi_init();
		h->timer = evtimer_new(base, on_timer, h);
	}
	if (h == NULL || h->multi == NULL || h->timer == NULL) {
		http_free(&h);
		(void)diag_nomem(reterr);
		return NULL;
	}
	(void)curl_multi_setopt(
	    h->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, watch_time);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	(void)curl_multi_setopt(
	    h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HOST_CONNECTIONS);
	(void)curl_multi_setopt(
	    h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)TOTAL_CONNECTIONS);
	return h;
}

void
http_free(struct http **h)
{
	struct http *p = *h;
	struct http_call *c, *next;

	if (p == NULL)
		return;
	for (c = p->calls; c != NULL; c = next) {
		next = c->next;
		call_free(c);
	}
	/* Gives up its sockets by watch_socket(), so before the timer. */
	if (p->multi != NULL)
		(void)curl_multi_cleanup(p->multi);
	if (p->timer != NULL)
		event_free(p->timer);
	free(p);
	*h = NULL;
}

static size_t
take_body(char *bytes, size_t one, size_t n, void *arg)
{
	struct http_call *c = arg;

	(void)one;
	c->too_large = n > c->body.max - c->body.len;
	buf_add(&c->body, bytes, n);
	return c->body.failed ? 0 : n;
}

/* As libcurl's own, but it tells us why there is none. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct http_call *c = arg;
	int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);

	(void)purpose;
	c->socket_error = fd < 0 ? errno : 0;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static bool
add_header(struct http_call *c, const char *line)
{
	struct curl_slist *l = curl_slist_append(c->headers, line);

	if (l == NULL)
		return false;
	c->headers = l;
	return true;
}

/* Nothing, if value is; name is what the line begins with. */
static bool
add_secret_header(
    struct http_call *c, const char *name, const struct secret *value)
{
	auto_buf struct buf line = BUF_INIT(1 << 20);

	if (value == NULL || secret_empty(value))
		return true;
	buf_adds(&line, name);
	buf_add(&line, value->ptr, value->len);
	buf_add(&line, "", 1);
	return !line.failed && add_header(c, line.ptr);
}

static bool
make_headers(struct http_call *c, const struct http_request *req)
{
	/* No "100 Continue": it costs a round trip, or a second. */
	return add_header(c, "Accept: application/json") &&
	       add_header(c, "Expect:") &&
	       add_secret_header(c, "Authorization: ", req->authorization) &&
	       add_secret_header(c, "", req->header);
}

int
http_check_url(const char *url, bool insecure_http, struct diag *reterr)
{
	auto_free char *host = NULL;

	return http_url_host(url, insecure_http, false, &host, reterr);
}

#define SET(c, option, value) \
	(curl_easy_setopt((c)->easy, (option), (value)) == CURLE_OK)

/* These return false for want of memory. */
static bool
set_security(struct http_call *c, const struct http_request *req)
{
	const char *protocols =
	    req->insecure_http || req->metadata ? "https,http" : "https";

	return SET(c, CURLOPT_PROTOCOLS_STR, protocols) &&
	       SET(c, CURLOPT_FOLLOWLOCATION, 0L) &&
	       SET(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) &&
	       SET(c, CURLOPT_SSL_VERIFYPEER, 1L) &&
	       SET(c, CURLOPT_SSL_VERIFYHOST, 2L) &&
	       SET(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       (req->ca_file == NULL || /* this CA and no other */
		   (SET(c, CURLOPT_CAINFO, req->ca_file) &&
		       SET(c, CURLOPT_CAPATH, NULL)));
}

static bool
set_connection(struct http_call *c, const struct http_request *req)
{
	long connect_ms = req->timeout_ms < CONNECT_MAX_MS ?
			      (long)req->timeout_ms :
			      CONNECT_MAX_MS;
	bool direct = http_host_is_loopback(c->host) || req->metadata;
	bool fresh = req->once || now_ms() < c->http->fresh_until_ms;

	/* On a connection of its own a request is never sent again. */
	return SET(c, CURLOPT_NOSIGNAL, 1L) &&
	       SET(c, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) &&
	       SET(c, CURLOPT_TIMEOUT_MS, (long)req->timeout_ms) &&
	       SET(c, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L) &&
	       SET(c, CURLOPT_FORBID_REUSE, req->once ? 1L : 0L) &&
	       SET(c, CURLOPT_OPENSOCKETFUNCTION, open_socket) &&
	       SET(c, CURLOPT_OPENSOCKETDATA, c) &&
	       (!direct ||
		   (SET(c, CURLOPT_PROXY, "") && SET(c, CURLOPT_NOPROXY, "*")));
}

static bool
set_form(struct http_call *c, const struct buf *form)
{
	return SET(c, CURLOPT_POST, 1L) &&
	       SET(c, CURLOPT_POSTFIELDS, form->ptr ? form->ptr : "") &&
	       SET(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)form->len);
}

static bool
set_options(struct http_call *c, const struct http_request *req)
{
	/* Not to have it is fine: a libcurl without HTTP/2. */
	(void)SET(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	return SET(c, CURLOPT_URL, req->url) &&
	       SET(c, CURLOPT_USERAGENT, "mailtoken/" MAILTOKEN_VERSION) &&
	       SET(c, CURLOPT_HTTPHEADER, c->headers) && set_security(c, req) &&
	       set_connection(c, req) &&
	       (req->form == NULL || set_form(c, req->form)) &&
	       SET(c, CURLOPT_WRITEFUNCTION, take_body) &&
	       SET(c, CURLOPT_WRITEDATA, c) &&
	       SET(c, CURLOPT_ERRORBUFFER, c->error) &&
	       SET(c, CURLOPT_PRIVATE, c);
}
#undef SET

/* Everything that can fail without libcurl having begun. */
static bool
call_prepare(struct http_call *c, const struct http_request *req)
{
	if (req->ca_file != NULL && (c->ca_file = strdup(req->ca_file)) == NULL)
		return false;
	c->deadline = evtimer_new(c->http->base, on_deadline, c);
	c->easy = curl_easy_init();
	return c->deadline != NULL && c->easy != NULL && make_headers(c, req) &&
	       set_options(c, req);
}

struct http_call *
http_start(struct http *h, const struct http_request *req, http_done *done,
    void *arg, struct diag *reterr)
{
	int64_t ms = req->timeout_ms + GRACE_MS;
	struct timeval deadline = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };
	auto_free char *host = NULL;
	struct http_call *c;

	if (http_url_host(
		req->url, req->insecure_http, req->metadata, &host, reterr) < 0)
		return NULL;
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		(void)diag_nomem(reterr);
		return NULL;
	}
	c->host = take_ptr(&host);
	c->http = h;
	c->timeout_ms = req->timeout_ms;
	c->done = done;
	c->arg = arg;
	buf_init(&c->body, req->answer_max);
	if (!call_prepare(c, req) || evtimer_add(c->deadline, &deadline) < 0 ||
	    curl_multi_add_handle(h->multi, c->easy) != CURLM_OK) {
		call_free(c);
		(void)diag_nomem(reterr);
		return NULL;
	}
	c->next = h->calls;
	if (c->next != NULL)
		c->next->prev = c;
	h->calls = c;
	return c;
}

void
http_cancel(struct http_call **c)
{
	if (*c != NULL)
		call_free(*c);
	*c = NULL;
}
