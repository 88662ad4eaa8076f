#include "acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "clock.h"
#include "log.h"
#include "lookup.h"
#include "ration.h"
#include "session.h"

#define ACCEPT_MAX	64  /* at a time, then the loop turns */
#define ACCEPT_AGAIN_MS 100 /* when descriptors have run out */
#define DRAIN_MAX	64  /* such turns, at the end */

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
cannot_accept(int error)
{
	static struct ration lines;
	struct log_line l = log_event(LOG_ERR, "cannot-accept");
	uint64_t kept_back = 0;

	log_str(&l, "text", strerror(error));
	if (ration_take(&lines, clock_now_ms(), 1, 1, &kept_back))
		log_send(&l);
}

/* False: nobody is waiting there any more. */
static bool
accept_some(struct acceptor *a, int fd)
{
	enum listener_kind kind = kind_of(a, fd);

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
			cannot_accept(errno);
			enable(a, false);
			return false;
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return false;
	}
	return true;
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)accept_some(arg, fd);
}

/* How many connections are too many, whatever the configuration says. */
static unsigned
descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur > 1U << 20)
		return 0;
	return (unsigned)files.rlim_cur;
}

bool
acceptor_start(struct acceptor *a, struct server *s)
{
	a->server = s;
	s->descriptors = descriptors();
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

/* Nobody new comes to a socket without a name; who has come is answered. */
static void
drain(struct acceptor *a, size_t i)
{
	/* From now on that name may be another agent's. */
	(void)unlink(a->listeners.item[i].path);
	free(a->listeners.item[i].path);
	a->listeners.item[i].path = NULL;
	for (unsigned turn = 0; turn < DRAIN_MAX; turn++)
		if (!accept_some(a, a->listeners.item[i].fd))
			return;
}

void
acceptor_stop(struct acceptor *a)
{
	for (size_t i = 0; i < a->listeners.n; i++)
		if (a->event[i] != NULL)
			(void)event_del(a->event[i]);
	(void)event_del(a->again);
	/* Systemd's sockets keep who waits there for the next agent. */
	for (size_t i = 0; i < a->listeners.n; i++)
		if (a->listeners.item[i].path != NULL)
			drain(a, i);
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
