#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <utlist.h>

#include "clock.h"
#include "log.h"
#include "ops.h"
#include "visitor.h"

#define READ_FIRST 1000 /* hardly a request is longer */
#define READ_STEP  4096
#define DRAIN_MAX  (256 << 10)
#define LIST_STEP  WIRE_MAX_BYTES /* of a listing at a time */

/*
 * Closing a socket with unread bytes would cost the client the answer: it
 * would see a reset instead.
 */
static void
close_politely(int fd)
{
	char sink[READ_STEP];

	for (unsigned i = 0; i < DRAIN_MAX / READ_STEP; i++)
		if (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) <= 0)
			break;
	explicit_bzero(sink, sizeof(sink));
	(void)close(fd);
}

/*
 * Taking bytes from a UNIX socket wakes who has sent them and now waits for
 * the answer, in vain, which takes longer than all that we do.  So a request
 * is looked at first, and taken when it is answered, or when there is
 * something to wait for: then nothing of it may be there any more.
 */
static void
take_request(struct session *s)
{
	char sink[READ_STEP];
	ssize_t n = 0;

	while (s->looked_at > 0 &&
	       (n = recv(s->fd, sink, s->looked_at, MSG_DONTWAIT)) > 0) {
		explicit_bzero(sink, (size_t)n);
		s->looked_at -= (size_t)n;
	}
	s->looked_at = 0;
}

static void
session_free(struct session *s)
{
	struct server *server = s->server;
	struct peer peer = s->peer;

	if (s->waits_for != NULL)
		live_cancel(s->waits_for, &s->waiter);
	if (s->event != NULL)
		event_free(s->event);
	take_request(s);
	if (s->talks_on)
		close_politely(s->fd);
	else
		(void)close(s->fd);
	buf_wipe(&s->in);
	buf_wipe(&s->out);
	config_unref(&s->listing.config);
	DL_DELETE(server->asking, s);
	free(s);
	visitor_leave(server, &peer);
}

static void on_event(evutil_socket_t fd, short what, void *arg);

/* Waits for the descriptor (what may be 0) or for the deadline. */
static void
session_watch(struct session *s, short what)
{
	take_request(s);
	if (!visitor_watch(
		&s->event, s->server, s->fd, what, s->deadline_ms, on_event, s))
		session_free(s);
}

/* The next bit of a listing; false: that was all. */
static bool
list_some(struct session *s)
{
	struct listing *list = &s->listing;

	if (list->config == NULL)
		return false;
	buf_wipe(&s->out);
	s->sent = 0;
	if (!s->server->leaving)
		s->deadline_ms = clock_now_ms() + SESSION_WRITE_MS;
	while (
	    list->next < list->config->n_accounts && s->out.len < LIST_STEP) {
		struct live *l = accounts_named(s->server->accounts,
		    list->config->accounts[list->next++]->name);

		if (l != NULL)
			list->each(s, l);
	}
	if (list->next == list->config->n_accounts) {
		list->end(s);
		config_unref(&list->config);
	}
	return !s->out.failed;
}

static void
send_some(struct session *s)
{
	while (s->sent < s->out.len) {
		ssize_t n = send(s->fd, s->out.ptr + s->sent,
		    s->out.len - s->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			s->sent += (size_t)n;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && errno == EAGAIN) {
			session_watch(s, EV_WRITE);
			return;
		} else {
			session_free(s);
			return;
		}
	}
	/* Others first: one who reads as fast as we write is not alone. */
	if (list_some(s))
		session_watch(s, EV_WRITE);
	else
		session_free(s);
}

void
session_list(struct session *s, void (*each)(struct session *s, struct live *l),
    void (*end)(struct session *s))
{
	buf_wipe(&s->in);
	s->listing =
	    (struct listing){ config_ref(s->server->config), 0, each, end };
	send_some(s);
}

void
session_begin(struct session *s, const char *status)
{
	buf_wipe(&s->in);
	wire_put(&s->out, "version", WIRE_VERSION);
	wire_put(&s->out, "status", status);
}

void
session_finish(struct session *s)
{
	struct diag d = DIAG_INIT;

	s->deadline_ms = clock_now_ms() + SESSION_WRITE_MS;
	wire_end(&s->out);
	if (s->out.failed) {
		buf_wipe(&s->out);
		(void)diag_nomem(&d);
		wire_put(&s->out, "version", WIRE_VERSION);
		wire_put(&s->out, "status", "error");
		wire_put(&s->out, "kind", diag_kind_name(d.kind));
		wire_put(&s->out, "text", d.text);
		wire_end(&s->out);
	}
	send_some(s);
}

void
session_error(struct session *s, const struct diag *d)
{
	session_begin(s, "error");
	wire_put(&s->out, "kind", diag_kind_name(d->kind));
	wire_put(&s->out, "text", d->text);
	if (d->retry_after_s > 0)
		wire_put_int(&s->out, "retry_after", d->retry_after_s);
	session_finish(s);
}

void
session_ask(struct session *s, struct live *l,
    void (*ask)(struct live *l, struct waiter *w))
{
	bool answered = false;

	s->waits_for = l;
	/* cppcheck-suppress autoVariables ; taken back below */
	s->answered = &answered;
	ask(l, &s->waiter);
	if (answered)
		return;
	s->answered = NULL;
	s->deadline_ms = clock_now_ms() + SESSION_ANSWER_MS;
	session_watch(s, EV_READ);
}

void
session_answered(struct session *s)
{
	if (s->answered != NULL)
		*s->answered = true;
	s->answered = NULL;
	s->waits_for = NULL;
}

/* Reads what is there; the request is handled as soon as it is whole. */
static void
read_some(struct session *s)
{
	struct diag d = DIAG_INIT;
	struct wire_msg msg;
	const size_t step = s->in.len == 0 ? READ_FIRST : READ_STEP;
	char *room = buf_room(&s->in, step);
	bool full; /* there may be more than was looked at */
	ssize_t n;

	if (room == NULL) { /* too long is what wire_parse() says */
		s->talks_on = true;
		(void)diag_nomem(&d);
		session_error(s, &d);
		return;
	}
	n = recv(s->fd, room, step, MSG_DONTWAIT | MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		session_watch(s, EV_READ);
		return;
	}
	if (n <= 0) {
		session_free(s);
		return;
	}
	s->in.len += (size_t)n;
	s->looked_at = (size_t)n;
	full = (size_t)n == step;
	n = wire_parse(s->in.ptr, s->in.len, WIRE_MAX_BYTES, &msg, &d);
	if (n < 0) {
		struct log_line l =
		    visitor_line(&s->peer, LOG_WARNING, "bad-request");

		log_int(&l, "uid", s->peer.uid);
		log_str(&l, "text", d.text);
		log_send(&l);
		s->talks_on = true;
		session_error(s, &d);
	} else if (n == 0) {
		session_watch(s, EV_READ);
	} else {
		s->talks_on = full || (size_t)n < s->in.len;
		ops_run(s, &msg);
	}
}

/* While it waits for its answer, a client can only hang up or be late. */
static void
still_there(struct session *s, short what)
{
	struct diag d = DIAG_INIT;
	struct pollfd p = { .fd = s->fd };

	if ((what & EV_TIMEOUT) != 0) {
		(void)diag_set(&d, DIAG_RETRY,
		    "the provider has not answered yet; the agent keeps "
		    "waiting for it");
		d.retry_after_s = 5;
		live_late(s->waits_for, &s->waiter,
		    strcmp(s->what.op, "get") == 0, &d);
		return;
	}
	/* POLLHUP: gone.  Without it, it has only said all it will say. */
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0) {
		session_free(s);
		return;
	}
	/* It talks on: deaf to that, but the deadline stays. */
	s->talks_on = true;
	session_watch(s, 0);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd;
	if (s->waits_for != NULL)
		still_there(s, what);
	else if ((what & EV_TIMEOUT) != 0)
		session_free(s);
	else if ((what & EV_WRITE) != 0)
		send_some(s);
	else
		read_some(s);
}

void
session_leave(struct server *server)
{
	int64_t end = clock_now_ms() + SESSION_LEAVE_MS;
	struct session *next;

	for (struct session *s = server->asking; s != NULL; s = next) {
		next = s->next;
		if (s->waits_for != NULL || s->deadline_ms <= end)
			continue;
		s->deadline_ms = end;
		session_watch(s, s->out.len > 0 ? EV_WRITE : EV_READ);
	}
}

static void
turn_away(int fd)
{
	static const char busy[] =
	    "version=1\nstatus=error\nkind=retry\n"
	    "text=the agent has too many connections, or this uid has\n\n";

	(void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close_politely(fd);
}

void
session_start(struct server *server, int fd)
{
	struct metrics *m = accounts_metrics(server->accounts);
	struct session *s;
	struct peer peer;

	if (!visitor_admit(server, fd, &peer)) {
		m->refused[LISTENER_AGENT]++;
		turn_away(fd);
		return;
	}
	m->accepted[LISTENER_AGENT]++;
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		(void)close(fd);
		visitor_leave(server, &peer);
		return;
	}
	s->server = server;
	s->fd = fd;
	s->peer = peer;
	s->deadline_ms = clock_now_ms() + SESSION_READ_MS;
	buf_init(&s->in, WIRE_MAX_BYTES + READ_STEP);
	buf_init(&s->out, SESSION_OUT_MAX);
	DL_APPEND(server->asking, s);
	/* Nearly always the request is there already. */
	read_some(s);
}
