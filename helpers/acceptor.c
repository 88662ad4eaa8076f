#include "acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>

#include "clock.h"
#include "log.h"
#include "lookup.h"
#include "session.h"

#define ACCEPT_MAX	64  /* at a time, then the loop turns */
#define ACCEPT_AGAIN_MS 100 /* when descriptors have run out */

static void
enable(struct acceptor *a, bool on)
{
	static const struct timeval later = { .tv_usec =
						  ACCEPT_AGAIN_MS * 1000 };

	for (size_t i = 0; i < a->listeners.n; i++)
		(void)(on ? event_add(a->event[i], NULL) :
			    event_del(a->event[i]));
	if (!on)
		(void)event_add(a->again, &later);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	(void)fd;
	(void)what;
	if (!a->server->leaving)
		enable(a, true);
}

static enum listener_kind
kind_of(const struct acceptor *a, int fd)
{
	for (size_t i = 0; i < a->listeners.n; i++)
		if (a->listeners.item[i].fd == fd)
			return a->listeners.item[i].kind;
	return LISTENER_AGENT;
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;
	enum listener_kind kind = kind_of(a, fd);

	(void)what;
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		int client =
		    accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client >= 0) {
			a->server->busy_ms = clock_now_ms();
			if (kind == LISTENER_SOCKETMAP)
				lookup_start(a->server, client);
			else
				session_start(a->server, client);
			continue;
		}
		/* No descriptors or memory: a pause, not a busy loop. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			struct log_line l = log_event(LOG_ERR, "cannot-accept");

			log_str(&l, "text", strerror(errno));
			log_send(&l);
			enable(a, false);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

bool
acceptor_start(struct acceptor *a, struct server *s)
{
	a->server = s;
	a->again = evtimer_new(s->base, on_again, a);
	if (a->again == NULL)
		return false;
	for (size_t i = 0; i < a->listeners.n; i++) {
		int fd = a->listeners.item[i].fd;

		(void)evutil_make_socket_nonblocking(fd);
		a->event[i] =
		    event_new(s->base, fd, EV_READ | EV_PERSIST, on_accept, a);
		if (a->event[i] == NULL || event_add(a->event[i], NULL) < 0)
			return false;
	}
	return true;
}

void
acceptor_stop(struct acceptor *a)
{
	for (size_t i = 0; i < a->listeners.n; i++)
		if (a->event[i] != NULL)
			(void)event_del(a->event[i]);
	listeners_close(&a->listeners);
}

void
acceptor_free(struct acceptor *a)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		if (a->event[i] != NULL)
			event_free(a->event[i]);
	if (a->again != NULL)
		event_free(a->again);
	listeners_close(&a->listeners);
}
