#include "clock_watch.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "clock.h"
#include "log.h"

#define STEP_MS	  1000
#define NEVER_S	  9000000000 /* in 2255; the kernel's time ends soon after */
#define LOOK_AT_S 60	     /* where the kernel does not tell */

struct clock_watch {
	clock_seen *seen;
	void *arg;
	int64_t ahead_ms, slept_ms; /* as last seen */
	int fd;
	struct event *event;
};

/*
 * A timer that never ends, but is cancelled when CLOCK_REALTIME makes a leap,
 * which it does at the end of a suspension as well.
 */
static bool
set_timer(int fd)
{
	static const struct itimerspec never = { .it_value.tv_sec = NEVER_S };
	int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;

	/* ECANCELED: set it is, and a leap was not heard of before. */
	return timerfd_settime(fd, flags, &never, NULL) == 0 ||
	       errno == ECANCELED;
}

/* A second or more since *was. */
static bool
look(int64_t *was, int64_t is, const char *event)
{
	int64_t by = is - *was;
	struct log_line l;

	if (by > -STEP_MS && by < STEP_MS)
		return false;
	*was = is;
	l = log_event(LOG_NOTICE, event);
	log_int(&l, "seconds", by / 1000);
	log_send(&l);
	return true;
}

static void
on_leap(evutil_socket_t fd, short what, void *arg)
{
	struct clock_watch *w = arg;
	uint64_t ticks;
	bool stepped, woke;

	(void)what;
	if (fd >= 0 && read(fd, &ticks, sizeof(ticks)) < 0 &&
	    (errno != ECANCELED || !set_timer(fd)))
		return;
	stepped = look(&w->ahead_ms, clock_ahead_ms(), "clock-stepped");
	woke = look(&w->slept_ms, clock_slept_ms(), "woke-up");
	w->seen(w->arg, stepped, woke);
}

/* Not told by the kernel: look from time to time. */
static bool
look_often(struct clock_watch *w, struct event_base *base)
{
	static const struct timeval often = { LOOK_AT_S, 0 };

	w->event = event_new(base, -1, EV_PERSIST, on_leap, w);
	return w->event != NULL && event_add(w->event, &often) == 0;
}

static bool
listen_to(struct clock_watch *w, struct event_base *base)
{
	w->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->fd < 0 || !set_timer(w->fd))
		return look_often(w, base);
	w->event = event_new(base, w->fd, EV_READ | EV_PERSIST, on_leap, w);
	return w->event != NULL && event_add(w->event, NULL) == 0;
}

struct clock_watch *
clock_watch_new(struct event_base *base, clock_seen *seen, void *arg)
{
	struct clock_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	*w = (struct clock_watch){ .seen = seen,
		.arg = arg,
		.ahead_ms = clock_ahead_ms(),
		.slept_ms = clock_slept_ms(),
		.fd = -1 };
	if (!listen_to(w, base))
		clock_watch_free(&w);
	return w;
}

void
clock_watch_free(struct clock_watch **wp)
{
	struct clock_watch *w = *wp;

	if (w == NULL)
		return;
	if (w->event != NULL)
		event_free(w->event);
	if (w->fd >= 0)
		(void)close(w->fd);
	free(w);
	*wp = NULL;
}
