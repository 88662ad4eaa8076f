/* cli_redirect.c - the web server that a login in a browser ends on. */
#include "cli_redirect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/http.h>

#include "cli_loopback.h"
#include "cli_page.h"
#include "clock.h"

#define HEADERS_MAX    (AUTHORIZATION_QUERY_MAX + 16384)
#define BODY_MAX       1024
#define IDLE_S	       10
#define FLUSH_MS       2000 /* for the browser to take the last page */
#define LINGER_MS      1000 /* for other tabs */
#define START_PATH     "/start/"
#define METHOD_REFUSED 405
#define HTTP_FORBIDDEN 403

struct redirect {
	struct cli_wait *wait;
	struct evhttp *http;
	const struct account *account;
	struct authorization *authorization;
	struct loopback loopback;
	char uri[64];
	char start[128];	    /* a URL with a path that nobody guesses */
	const char *start_path;	    /* in it; NULL: not, or not any more */
	uid_t browser;		    /* whose it is; root may always */
	const struct secret *login; /* where that leads; borrowed */
	struct evhttp_request *waiting; /* for how it ends */
	bool done, flushed;
	struct secret code;
	struct diag why; /* no code */
};

static const struct cli_page stranger = {
	.status = HTTP_BADREQUEST,
	.title = "Not the login that is awaited",
	.what = "This address belongs to another login, perhaps one that was "
		"begun in an older tab. It has been ignored.",
	.next = "Close this tab. mailtoken goes on waiting for the login whose "
		"address the terminal shows.",
};
static const struct cli_page again = {
	.status = HTTP_BADREQUEST,
	.title = "This login has ended already",
	.what = "mailtoken has taken its answer from another tab, and takes "
		"only one.",
	.next = "Close this tab and go back to the terminal: it says how the "
		"login ended.",
};
static const struct cli_page started = {
	.status = HTTP_BADREQUEST,
	.title = "This address has been used",
	.what = "It leads to the login only once. If you have not seen the "
		"login's page, somebody else on this computer may have.",
	.next = "Close this tab, stop mailtoken in the terminal and start it "
		"again.",
};
static const struct cli_page not_yours = {
	.status = HTTP_FORBIDDEN,
	.title = "Not your login",
	.what = "Somebody else on this computer is logging in, whose browser "
		"this address is for.",
	.next = "Close this tab.",
};
static const struct cli_page nobodys = {
	.status = HTTP_FORBIDDEN,
	.title = "Whose browser is this?",
	.what = "This computer does not tell mailtoken whose program is asking "
		"(/proc/net/tcp), so that it could be somebody else's.",
	.next = "Close this tab and open the address that the terminal shows: "
		"it leads to the login, too.",
};
static const struct cli_page not_found = {
	.status = HTTP_NOTFOUND,
	.title = "There is nothing here",
	.what = "mailtoken waits here for a login to end, and has no other "
		"page.",
	.next = "Close this tab.",
};
static const struct cli_page bad_method = {
	.status = METHOD_REFUSED,
	.title = "This is not how a login ends",
	.what = "Only GET is taken here: the provider must answer with "
		"response_mode=query.",
	.next = "Close this tab.",
	.allow = "GET",
};

/*
 * Everybody can read a program's arguments, and be faster than a browser.
 * NULL: it is the browser's user who asks, or root.
 */
static const struct cli_page *
check_user(const struct redirect *r, struct evhttp_request *req)
{
	uid_t uid;

	if (!loopback_peer(
		&r->loopback, evhttp_request_get_connection(req), &uid))
		return &nobodys;
	return uid == r->browser || uid == 0 ? NULL : &not_yours;
}

static void
send_to_login(struct redirect *r, struct evhttp_request *req)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(req);

	r->start_path = NULL;
	(void)evhttp_add_header(out, "Location", r->login->ptr);
	(void)evhttp_add_header(out, "Referrer-Policy", "no-referrer");
	(void)evhttp_add_header(out, "Cache-Control", "no-store");
	(void)evhttp_add_header(out, "Connection", "close");
	evhttp_send_reply(req, HTTP_MOVETEMP, NULL, NULL);
}

static void
take_start(struct redirect *r, struct evhttp_request *req, const char *path)
{
	const struct cli_page *no = check_user(r, req);

	if (no == NULL && r->start_path != NULL &&
	    strcmp(path, r->start_path) == 0)
		send_to_login(r, req);
	else
		cli_page_send(req, no != NULL ? no : &started);
}

static void
take_redirect(struct redirect *r, struct evhttp_request *req, const char *query)
{
	switch (authorization_read(r->authorization, r->account, query,
	    query != NULL ? strlen(query) : 0, &r->code, &r->why)) {
	case AUTHORIZATION_STRANGER:
		cli_page_send(req, &stranger);
		break;
	case AUTHORIZATION_AGAIN:
		cli_page_send(req, &again);
		break;
	case AUTHORIZATION_CODE:
	case AUTHORIZATION_REFUSED:
		r->waiting = req;
		r->done = true;
		break;
	}
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	struct redirect *r = arg;

	if (evhttp_request_get_command(req) != EVHTTP_REQ_GET)
		cli_page_send(req, &bad_method);
	else if (path == NULL)
		cli_page_send(req, &not_found);
	else if (strcmp(path, "/") == 0)
		take_redirect(r, req, evhttp_uri_get_query(uri));
	else if (strcmp(path, "/favicon.ico") == 0)
		evhttp_send_reply(req, HTTP_NOCONTENT, NULL, NULL);
	else if (strncmp(path, START_PATH, strlen(START_PATH)) == 0)
		take_start(r, req, path);
	else
		cli_page_send(req, &not_found);
}

struct redirect *
redirect_open(struct cli_wait *w, const struct account *account,
    struct authorization *a, unsigned port, struct diag *reterr)
{
	struct redirect *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->http = evhttp_new(w->base);
	if (r == NULL || r->http == NULL) {
		free(r);
		(void)diag_nomem(reterr);
		return NULL;
	}
	r->wait = w;
	r->account = account;
	r->authorization = a;
	evhttp_set_max_headers_size(r->http, HEADERS_MAX);
	evhttp_set_max_body_size(r->http, BODY_MAX);
	evhttp_set_timeout(r->http, IDLE_S);
	evhttp_set_gencb(r->http, on_request, r);
	if (loopback_open(&r->loopback, w->base, r->http, port, reterr) < 0) {
		redirect_close(&r);
		return NULL;
	}
	(void)snprintf(
	    r->uri, sizeof(r->uri), "http://localhost:%u/", r->loopback.port);
	return r;
}

unsigned
redirect_port(const struct redirect *r)
{
	return r->loopback.port;
}

const char *
redirect_uri(const struct redirect *r)
{
	return r->uri;
}

const char *
redirect_start(struct redirect *r, const struct secret *url, uid_t browser)
{
	auto_authorization struct authorization word = AUTHORIZATION_INIT;
	struct diag ignored = DIAG_INIT;

	if (authorization_init(&word, &ignored) < 0)
		return NULL;
	(void)snprintf(r->start, sizeof(r->start),
	    "http://localhost:%u" START_PATH "%s", r->loopback.port,
	    word.state.ptr);
	r->start_path = strstr(r->start, START_PATH);
	r->login = url;
	r->browser = browser;
	return r->start;
}

const bool *
redirect_done(const struct redirect *r)
{
	return &r->done;
}

int
redirect_code(struct redirect *r, struct secret *ret, struct diag *reterr)
{
	if (secret_empty(&r->code)) {
		*reterr = r->why;
		return -1;
	}
	secret_move(ret, &r->code);
	return 0;
}

static void
on_flushed(struct evhttp_request *req, void *arg)
{
	struct redirect *r = arg;

	(void)req;
	r->flushed = true;
}

static void
answer(struct redirect *r, const struct diag *why)
{
	struct evhttp_request *req = r->waiting;
	char what[640]; /* a text of struct diag, and a few words */
	struct cli_page p;

	if (why != NULL) {
		(void)snprintf(what, sizeof(what), "Why: %s.", why->text);
		p = (struct cli_page){ .status = HTTP_BADREQUEST,
			.title = "The login did not work",
			.what = what,
			.next = "Close this tab and go back to the terminal: "
				"nothing has been stored." };
	} else {
		(void)snprintf(what, sizeof(what),
		    "The login for %s is stored.", r->account->name);
		p = (struct cli_page){ .status = HTTP_OK,
			.title = "Logged in",
			.what = what,
			.next = "You can close this tab and go back to the "
				"terminal." };
	}
	r->waiting = NULL;
	/* Without a connection, sending only frees the request. */
	r->flushed = evhttp_request_get_connection(req) == NULL;
	evhttp_request_set_on_complete_cb(req, on_flushed, r);
	cli_page_send(req, &p);
}

void
redirect_finish(struct redirect *r, const struct diag *why)
{
	if (r->waiting == NULL)
		return;
	answer(r, why);
	if (cli_wait_run(r->wait, clock_now_ms() + FLUSH_MS, &r->flushed) == 0)
		(void)cli_wait_run(r->wait, clock_now_ms() + LINGER_MS, NULL);
}

void
redirect_close(struct redirect **r)
{
	struct diag d = DIAG_INIT;

	if (*r == NULL)
		return;
	if ((*r)->waiting != NULL) {
		(void)diag_set(
		    &d, DIAG_RETRY, "mailtoken was stopped at the terminal");
		answer(*r, &d);
	}
	loopback_close(&(*r)->loopback);
	evhttp_free((*r)->http);
	secret_wipe(&(*r)->code);
	free(*r);
	*r = NULL;
}
