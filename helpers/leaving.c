#include "leaving.h"

#include <event2/event.h>
#include <systemd/sd-daemon.h>

#include "clock.h"
#include "log.h"
#include "lookup.h"
#include "session.h"

#define ASK_S	   10  /* for renewals that somebody waits for, to ask */
#define PATIENCE_S 140 /* in all: ASK_S, the longest http_timeout, and more */
#define TURN_MS	   50

/*
 * A provider that was asked must answer, since that may bring a new login, and
 * it may take longer than clients wait who have come to systemd's socket: till
 * then they are served.
 */
static void
close_if_idle(struct leaving *l)
{
	if (!l->server->leaving || l->closed ||
	    accounts_in_flight(l->server->accounts) > 0)
		return;
	acceptor_stop(l->acceptor);
	lookup_leave(l->server);
	session_leave(l->server);
	l->closed = true;
}

static void
go_if_done(struct leaving *l)
{
	if (l->closed && l->server->sessions == 0 &&
	    accounts_in_flight(l->server->accounts) == 0)
		(void)event_base_loopexit(l->server->base, NULL);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = { .tv_usec = TURN_MS * 1000 };
	struct leaving *l = arg;

	(void)fd;
	(void)what;
	l->turns++;
	if (l->turns == ASK_S * 1000 / TURN_MS)
		accounts_stop(l->server->accounts);
	if (l->turns > PATIENCE_S * 1000 / TURN_MS)
		(void)event_base_loopexit(l->server->base, NULL);
	close_if_idle(l);
	go_if_done(l);
	(void)event_add(l->timer, &again);
}

/* Systemd keeps the sockets, and starts us when somebody comes. */
static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct leaving *l = arg;
	const struct server *s = l->server;
	int64_t idle_ms = clock_now_ms() - s->busy_ms;

	(void)fd;
	(void)what;
	if (!s->leaving && s->sessions == 0 &&
	    accounts_in_flight(s->accounts) == 0 &&
	    !accounts_unsaved(s->accounts) && idle_ms >= l->idle_exit_s * 1000)
		leaving_begin(l);
}

bool
leaving_init(
    struct leaving *l, struct server *server, struct acceptor *acceptor)
{
	l->server = server;
	l->acceptor = acceptor;
	l->timer = evtimer_new(server->base, on_timer, l);
	l->idle = event_new(server->base, -1, EV_PERSIST, on_idle, l);
	return l->timer != NULL && l->idle != NULL;
}

void
leaving_free(struct leaving *l)
{
	if (l->timer != NULL)
		event_free(l->timer);
	if (l->idle != NULL)
		event_free(l->idle);
	l->timer = l->idle = NULL;
}

void
leaving_when_idle(struct leaving *l, int64_t idle_exit_s)
{
	int64_t s = idle_exit_s / 4;
	struct timeval every = { .tv_sec = s > 0 ? s : 1 };

	l->idle_exit_s = idle_exit_s;
	if (idle_exit_s > 0)
		(void)event_add(l->idle, &every);
}

void
leaving_begin(struct leaving *l)
{
	struct server *s = l->server;
	struct log_line line;

	if (s->leaving)
		return;
	line = log_event(LOG_NOTICE, "stopping");
	log_int(&line, "connections", s->sessions);
	log_int(&line, "renewals", (int64_t)accounts_in_flight(s->accounts));
	log_send(&line);
	(void)sd_notify(0, "STOPPING=1");
	s->leaving = true;
	accounts_quiesce(s->accounts);
	on_timer(-1, 0, l);
}

void
leaving_session_ended(struct leaving *l)
{
	l->server->busy_ms = clock_now_ms();
	if (l->server->single)
		leaving_begin(l);
	go_if_done(l);
}
