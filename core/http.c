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
#include "http_turns.h"
#include "http_url.h"

#define CONNECT_MAX_MS	  10000
#define KEPT_MAX_MS	  120000 /* libcurl keeps nothing idle for longer */
#define RETRY_AFTER_MAX_S 3600
#define GRACE_MS	  250 /* for libcurl to end a call by its own clock */

#define SET(option, value) \
	(curl_easy_setopt(c->easy, (option), (value)) == CURLE_OK)

struct http {
	struct event_base *base;
	CURLM *multi;
	struct event *timer; /* libcurl's */
	struct http_turns turns;
	int64_t fresh_until_ms; /* by now_ms(): connections are not reused */
};

struct http_call {
	struct http_turn turn; /* first, for call_of() */
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	struct event *deadline; /* of the phase that it is in */
	enum http_phase phase;
	bool once;
	bool no_memory; /* to begin with */
	struct buf body;
	bool too_large;
	int socket_error; /* errno of the last socket(); 0: there is one */
	int64_t connect_ms, timeout_ms;
	char *host;   /* for the texts */
	char *origin; /* its turn's */
	char *ca_file;
	char error[CURL_ERROR_SIZE];
	http_done *done;
	void *arg;
};

static struct http_call *
call_of(struct http_turn *t)
{
	return (struct http_call *)(void *)t;
}

/* Of a call that has no turn. */
static void
call_free(struct http_call *c)
{
	if (c->easy != NULL) {
		(void)curl_multi_remove_handle(c->http->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	for (struct curl_slist *l = c->headers; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(c->headers);
	if (c->deadline != NULL)
		event_free(c->deadline);
	buf_wipe(&c->body);
	free(c->host);
	free(c->origin);
	free(c->ca_file);
	free(c);
}

/* As libcurl's. */
static int64_t
now_ms(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
set_deadline(struct http_call *c, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	return evtimer_add(c->deadline, &tv);
}

static int
call_begin(struct http_call *c)
{
	struct http *h = c->http;
	/* On a connection of its own a request is never sent again. */
	bool fresh = c->once || now_ms() < h->fresh_until_ms;

	if (!SET(CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L) ||
	    set_deadline(c, c->connect_ms + GRACE_MS) < 0 ||
	    curl_multi_add_handle(h->multi, c->easy) != CURLM_OK)
		return -1;
	c->phase = HTTP_CONNECTING;
	return 0;
}

/* Another may begin instead. */
static void
call_drop(struct http_call *c)
{
	struct http_turn *next = http_turns_leave(&c->http->turns, &c->turn);
	struct http_call *n = next != NULL ? call_of(next) : NULL;

	call_free(c);
	if (n == NULL || call_begin(n) == 0)
		return;
	/* We may be in http_cancel(): its owner hears of it from the loop. */
	n->no_memory = true;
	event_active(n->deadline, EV_TIMEOUT, 0);
}

static int
call_failure(const struct http_call *c, CURLcode rc, struct diag *ret)
{
	struct http_failure f = { .easy = c->easy,
		.rc = rc,
		.error = c->error,
		.host = c->host,
		.ca_file = c->ca_file,
		.phase = c->phase,
		.connect_ms = c->connect_ms,
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
	call_drop(c);
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
	struct http_call *c = arg;

	(void)fd;
	(void)what;
	call_end(
	    c, c->no_memory ? CURLE_OUT_OF_MEMORY : CURLE_OPERATION_TIMEDOUT);
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
	(void)curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)(HTTP_TURNS_HOST + HTTP_TURNS_SHARED));
	(void)curl_multi_setopt(
	    h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)HTTP_TURNS_TOTAL);
	return h;
}

static void
free_all(struct http_turn_list *l)
{
	struct http_turn *t, *next;

	for (t = l->first; t != NULL; t = next) {
		next = t->next;
		call_free(call_of(t));
	}
}

void
http_free(struct http **h)
{
	struct http *p = *h;

	if (p == NULL)
		return;
	free_all(&p->turns.queue);
	free_all(&p->turns.begun);
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

int
http_check_url(const char *url, bool insecure_http, struct diag *reterr)
{
	auto_free char *host = NULL;

	return http_url_host(url, insecure_http, false, &host, reterr);
}

/* There is a connection: what comes now is the server's time. */
static int
on_connection(void *arg, char *peer, char *own, int peer_port, int own_port)
{
	struct http_call *c = arg;

	(void)peer;
	(void)own;
	(void)peer_port;
	(void)own_port;
	if (c->phase == HTTP_CONNECTING) /* and not a repetition */
		(void)set_deadline(c, c->timeout_ms);
	c->phase = HTTP_ASKED;
	return CURL_PREREQFUNC_OK;
}

static bool
set_connection(struct http_call *c, const struct http_request *req)
{
	bool direct = http_host_is_loopback(c->host) || req->metadata;

	/*
	 * Our deadlines are exact.  QUICK_EXIT: a thread that looks up a name
	 * is left to itself when the call ends; else all would wait for it.
	 */
	return SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_QUICK_EXIT, 1L) &&
	       SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms) &&
	       SET(CURLOPT_FORBID_REUSE, req->once ? 1L : 0L) &&
	       SET(CURLOPT_OPENSOCKETFUNCTION, open_socket) &&
	       SET(CURLOPT_OPENSOCKETDATA, c) &&
	       SET(CURLOPT_PREREQFUNCTION, on_connection) &&
	       SET(CURLOPT_PREREQDATA, c) &&
	       (!direct ||
		   (SET(CURLOPT_PROXY, "") && SET(CURLOPT_NOPROXY, "*")));
}

static bool
set_receiver(struct http_call *c)
{
	return SET(CURLOPT_WRITEFUNCTION, take_body) &&
	       SET(CURLOPT_WRITEDATA, c) &&
	       SET(CURLOPT_ERRORBUFFER, c->error) && SET(CURLOPT_PRIVATE, c);
}

/* Everything that can fail without libcurl having begun. */
static bool
call_prepare(struct http_call *c, const struct http_request *req)
{
	const char *authority = strstr(req->url, "://") + 3;

	c->origin = strndup(req->url,
	    (size_t)(authority - req->url) + strcspn(authority, "/?#"));
	if (c->origin == NULL ||
	    (req->ca_file != NULL &&
		(c->ca_file = strdup(req->ca_file)) == NULL))
		return false;
	c->turn.origin = c->origin;
	c->turn.once = req->once;
	c->deadline = evtimer_new(c->http->base, on_deadline, c);
	c->easy = curl_easy_init();
	return c->deadline != NULL && c->easy != NULL &&
	       http_request_headers(req, &c->headers) &&
	       http_request_options(req, c->headers, c->easy) &&
	       set_connection(c, req) && set_receiver(c);
}

/* Now, or when it is its turn. */
static int
call_enter(struct http_call *c)
{
	int rc;

	rc = http_turns_enter(&c->http->turns, &c->turn) ?
		 call_begin(c) :
		 set_deadline(c, c->timeout_ms);
	if (rc < 0) /* nobody waits for this turn: it came last */
		(void)http_turns_leave(&c->http->turns, &c->turn);
	return rc;
}

struct http_call *
http_start(struct http *h, const struct http_request *req, http_done *done,
    void *arg, struct diag *reterr)
{
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
	c->once = req->once;
	c->timeout_ms = req->timeout_ms;
	c->connect_ms =
	    req->timeout_ms < CONNECT_MAX_MS ? req->timeout_ms : CONNECT_MAX_MS;
	c->done = done;
	c->arg = arg;
	buf_init(&c->body, req->answer_max);
	if (!call_prepare(c, req) || call_enter(c) < 0) {
		call_free(c);
		(void)diag_nomem(reterr);
		return NULL;
	}
	return c;
}

bool
http_has_asked(const struct http_call *c)
{
	return c->phase == HTTP_ASKED;
}

void
http_cancel(struct http_call **c)
{
	if (*c != NULL)
		call_drop(*c);
	*c = NULL;
}
