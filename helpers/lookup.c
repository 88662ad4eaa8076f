#include "lookup.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <utlist.h>

#include "advice_name.h"
#include "buf.h"
#include "clock.h"
#include "log.h"
#include "peer.h"
#include "socketmap.h"
#include "visitor.h"
#include "wire.h"

#define READ_STEP 1024
#define IN_MAX	  (2 * SOCKETMAP_REQUEST_MAX)
#define ANSWER_MS 8000 /* for the provider, then we say "later" */

struct lookup {
	struct waiter waiter; /* first: its answer() casts back */
	struct server *server;
	struct lookup *prev, *next; /* of server->lookups */
	int fd;
	struct peer peer;
	struct event *event;
	struct buf in, out;
	size_t sent;
	int64_t deadline_ms;
	struct live *waits_for; /* a token is still to come */
	bool at_once;		/* the answer must not free us */
	char user[256];		/* of the key that is being answered */
	char account[WIRE_ACCOUNT_MAX + 1];
};

static void turn(struct lookup *l);
static void on_event(evutil_socket_t fd, short what, void *arg);

static void
lookup_free(struct lookup *l)
{
	struct server *server = l->server;
	struct peer peer = l->peer;

	if (l->waits_for != NULL)
		live_cancel(l->waits_for, &l->waiter);
	if (l->event != NULL)
		event_free(l->event);
	(void)close(l->fd);
	buf_wipe(&l->in);
	buf_wipe(&l->out);
	DL_DELETE(server->lookups, l);
	free(l);
	visitor_leave(server, &peer);
}

/* Waits for the descriptor (what may be 0) or for the deadline. */
static void
watch(struct lookup *l, short what)
{
	if (!visitor_watch(
		&l->event, l->server, l->fd, what, l->deadline_ms, on_event, l))
		lookup_free(l);
}

static void
log_lookup(const struct lookup *l, enum diag_kind result, const char *text)
{
	struct log_line line = visitor_line(
	    &l->peer, text != NULL ? LOG_WARNING : LOG_INFO, "lookup");

	log_str(&line, "account", l->account);
	log_str(&line, "user", l->user);
	log_int(&line, "uid", l->peer.uid);
	log_int(&line, "pid", l->peer.pid);
	log_str(&line, "result", diag_kind_name(result));
	log_str(&line, "text", text);
	log_send(&line);
}

static void
count_lookup(const struct lookup *l, enum diag_kind result)
{
	tally_add(&accounts_metrics(l->server->accounts)->lookups, result);
}

static void
answer_failure(struct lookup *l, const struct diag *d)
{
	bool later = d->kind == DIAG_RETRY || d->kind == DIAG_NOMEM;

	count_lookup(l, d->kind);
	log_lookup(l, d->kind, d->text);
	socketmap_answer(&l->out, later ? SOCKETMAP_TEMP : SOCKETMAP_PERM,
	    d->text, strlen(d->text));
}

/* USER:WHAT, of which the second part may be a token. */
static void
answer_value(struct lookup *l, const char *what, size_t len)
{
	auto_buf struct buf value = BUF_INIT(SOCKETMAP_ANSWER_MAX);

	count_lookup(l, DIAG_OK);
	log_lookup(l, DIAG_OK, NULL);
	buf_adds(&value, l->user);
	buf_adds(&value, ":");
	buf_add(&value, what, len);
	if (value.failed)
		l->out.failed = true;
	else
		socketmap_answer(&l->out, SOCKETMAP_OK, value.ptr, value.len);
}

static void
on_token(
    struct waiter *w, const struct refresh_token *tok, const struct diag *why)
{
	struct lookup *l = (struct lookup *)w;
	struct diag d = why != NULL ? *why : (struct diag)DIAG_INIT;

	l->waits_for = NULL;
	if (tok != NULL) {
		answer_value(l, tok->value.ptr, tok->value.len);
	} else {
		advice_name_wrap(&d, l->account);
		answer_failure(l, &d);
	}
	if (l->at_once)
		return;
	l->deadline_ms = clock_now_ms() + LOOKUP_IDLE_MS;
	turn(l);
}

static void
answer_reference(struct lookup *l)
{
	char text[sizeof("mailtoken:") + WIRE_ACCOUNT_MAX];
	int n = snprintf(text, sizeof(text), "mailtoken:%s", l->account);

	answer_value(l, text, n > 0 ? (size_t)n : 0);
}

/* The key is somebody's. */
static void
answer_account(struct lookup *l, struct live *live)
{
	const struct account *a = live->account;
	struct diag d = DIAG_INIT;

	if (!peer_is_ours(&l->peer) &&
	    !peer_allowed(l->fd, &l->peer, &a->allow)) {
		(void)diag_set(&d, DIAG_DENIED,
		    "uid %u may not use account %s: add its user to 'allow' "
		    "in %s, line %u",
		    (unsigned)l->peer.uid, a->name, a->config->path, a->line);
		answer_failure(l, &d);
	} else if (a->services != 0 && (a->services & SERVICE_SMTP) == 0) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "account %s is not for smtp: add it to 'services' in %s, "
		    "line %u",
		    a->name, a->config->path, a->line);
		answer_failure(l, &d);
	} else if (!l->server->config->socketmap_tokens) {
		answer_reference(l);
	} else {
		l->waiter.answer = on_token;
		l->waits_for = live;
		l->at_once = true;
		live_want(live, &l->waiter);
		l->at_once = false;
	}
}

static void
answer_key(struct lookup *l, const struct socketmap_request *r)
{
	struct accounts_key found = { NULL, NULL };
	struct diag d = DIAG_INIT;
	int n;

	if (strcmp(r->map, LOOKUP_MAP) != 0) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "there is one table here: write "
		    "socketmap:unix:PATH:" LOOKUP_MAP);
		answer_failure(l, &d);
		return;
	}
	if (!accounts_by_key(l->server->accounts, r->key, &found)) {
		socketmap_answer(&l->out, SOCKETMAP_NOTFOUND, NULL, 0);
		return;
	}
	n = snprintf(l->user, sizeof(l->user), "%s", found.user);
	(void)snprintf(
	    l->account, sizeof(l->account), "%s", found.live->account->name);
	if (n < 0 || (size_t)n >= sizeof(l->user)) {
		socketmap_answer(&l->out, SOCKETMAP_NOTFOUND, NULL, 0);
		return;
	}
	answer_account(l, found.live);
}

/* What is there of an answer goes out; false: not all of it could. */
static bool
send_some(struct lookup *l, bool *dead)
{
	while (l->sent < l->out.len) {
		ssize_t n = send(l->fd, l->out.ptr + l->sent,
		    l->out.len - l->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*dead = n == 0 || errno != EAGAIN;
			return false;
		}
		l->sent += (size_t)n;
	}
	buf_wipe(&l->out);
	l->sent = 0;
	return true;
}

/* One more request from the buffer: 1; 0: there is no whole one; -1: none. */
static int
next_request(struct lookup *l)
{
	struct socketmap_request r;
	struct diag d = DIAG_INIT;
	ssize_t took = 0;

	l->user[0] = l->account[0] = '\0';
	if (l->in.len > 0)
		took = socketmap_parse(l->in.ptr, l->in.len, &r, &d);
	if (took < 0) {
		log_lookup(l, d.kind, d.text);
		return -1;
	}
	if (took == 0)
		return 0;
	answer_key(l, &r);
	buf_drop(&l->in, (size_t)took);
	return l->out.failed ? -1 : 1;
}

/* Answers what has come, until there is something to wait for. */
static void
turn(struct lookup *l)
{
	bool dead = false;
	int rc = 1;

	while (rc > 0 && l->waits_for == NULL) {
		if (!send_some(l, &dead)) {
			if (dead)
				lookup_free(l);
			else
				watch(l, EV_WRITE);
			return;
		}
		/* A request that comes in pieces gains no time by that. */
		if ((rc = next_request(l)) > 0)
			l->deadline_ms = clock_now_ms() + LOOKUP_IDLE_MS;
	}
	if (rc < 0 || (rc == 0 && l->server->leaving)) {
		lookup_free(l);
		return;
	}
	if (l->waits_for != NULL)
		l->deadline_ms = clock_now_ms() + ANSWER_MS;
	watch(l, EV_READ);
}

static void
read_some(struct lookup *l)
{
	char *room = buf_room(&l->in, READ_STEP);
	ssize_t n;

	if (room == NULL) {
		lookup_free(l);
		return;
	}
	n = recv(l->fd, room, READ_STEP, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		watch(l, EV_READ);
		return;
	}
	if (n <= 0) {
		lookup_free(l);
		return;
	}
	l->in.len += (size_t)n;
	turn(l);
}

/* While it waits for its answer, a client can only hang up or be late. */
static void
still_there(struct lookup *l, short what)
{
	struct pollfd p = { .fd = l->fd };
	struct diag d = DIAG_INIT;

	if ((what & EV_TIMEOUT) != 0) {
		(void)diag_set(&d, DIAG_RETRY,
		    "the provider has not answered yet; the agent keeps "
		    "waiting for it");
		live_late(l->waits_for, &l->waiter, true, &d);
		return;
	}
	/* POLLHUP: gone.  Without it, it asks on, or has asked its last. */
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0)
		lookup_free(l);
	else
		watch(l, 0);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *l = arg;

	(void)fd;
	if (l->waits_for != NULL)
		still_there(l, what);
	else if ((what & EV_TIMEOUT) != 0)
		lookup_free(l);
	else if ((what & EV_WRITE) != 0)
		turn(l);
	else
		read_some(l);
}

/* It has asked half a question, or does not take an answer. */
static void
hurry(struct lookup *l)
{
	l->deadline_ms = clock_now_ms() + LOOKUP_LEAVE_MS;
	watch(l, l->out.len > 0 ? EV_WRITE : EV_READ);
}

void
lookup_leave(struct server *s)
{
	struct lookup *next;
	char c;

	for (struct lookup *l = s->lookups; l != NULL; l = next) {
		bool idle =
		    l->waits_for == NULL && l->in.len == 0 && l->out.len == 0;

		next = l->next;
		/* What is on its way already is still answered. */
		if (idle && recv(l->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			lookup_free(l);
		else if (l->waits_for == NULL)
			hurry(l);
	}
}

void
lookup_start(struct server *server, int fd)
{
	struct metrics *m = accounts_metrics(server->accounts);
	struct lookup *l;
	struct peer peer;

	/* Postfix tries again, and logs that the table does not answer. */
	if (!visitor_admit(server, fd, &peer)) {
		m->refused[LISTENER_SOCKETMAP]++;
		(void)close(fd);
		return;
	}
	m->accepted[LISTENER_SOCKETMAP]++;
	if ((l = calloc(1, sizeof(*l))) == NULL) {
		(void)close(fd);
		visitor_leave(server, &peer);
		return;
	}
	l->server = server;
	l->fd = fd;
	l->peer = peer;
	l->deadline_ms = clock_now_ms() + LOOKUP_IDLE_MS;
	buf_init(&l->in, IN_MAX + READ_STEP);
	buf_init(&l->out, SOCKETMAP_ANSWER_MAX + 64);
	DL_APPEND(server->lookups, l);
	read_some(l);
}
