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
	void (*seen)(void *arg, bool stepped);
	void *arg;
	int64_t ahead_ms; /* of the wall clock, as last seen */
	int fd;
	struct event *event;
};

static int64_t
ahead_ms(void)
{
	return clock_wall_ms() - clock_now_ms();
}

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

static bool
look(struct clock_watch *w)
{
	int64_t is = ahead_ms(), by = is - w->ahead_ms;
	struct log_line l;

	if (by > -STEP_MS && by < STEP_MS)
		return false;
	w->ahead_ms = is;
	l = log_event(LOG_NOTICE, "clock-stepped");
	log_int(&l, "seconds", by / 1000);
	log_send(&l);
	return true;
}

static void
on_leap(evutil_socket_t fd, short what, void *arg)
{
	struct clock_watch *w = arg;
	uint64_t ticks;

	(void)what;
	if (fd >= 0 && read(fd, &ticks, sizeof(ticks)) < 0 &&
	    (errno != ECANCELED || !set_timer(fd)))
		return;
	w->seen(w->arg, look(w));
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
clock_watch_new(
    struct event_base *base, void (*seen)(void *arg, bool stepped), void *arg)
{
	struct clock_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	*w = (struct clock_watch){
		.seen = seen, .arg = arg, .ahead_ms = ahead_ms(), .fd = -1
	};
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
