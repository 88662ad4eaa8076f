/* cli_wait.c - the commands' event loop, its end by ^C, and its patience. */
#include "cli_wait.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <event2/event.h>

#include "cli.h"
#include "clock.h"

#define SAY_EVERY_MS 60000 /* where nobody watches a line change */

static const int taken[] = { SIGINT, SIGTERM, SIGHUP };
_Static_assert(sizeof(taken) / sizeof(taken[0]) == CLI_WAIT_SIGNALS,
    "one event per signal");

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct cli_wait *w = arg;

	(void)what;
	w->signal = (int)number;
}

static void
say_waiting(struct cli_wait *w)
{
	int64_t now = clock_now_ms();
	int64_t left = w->end_ms > now ? (w->end_ms - now + 999) / 1000 : 0;

	if (w->terminal) {
		fprintf(stderr, "\rmailtoken: %s, %lld:%02d left \033[K",
		    w->what, (long long)left / 60, (int)(left % 60));
		(void)fflush(stderr);
		w->shown = true;
	} else if (now - w->said_ms >= SAY_EVERY_MS) {
		cli_say(
		    "%s, %lld min left", w->what, (long long)(left + 59) / 60);
		w->said_ms = now;
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct cli_wait *w = arg;

	(void)fd;
	(void)what;
	if (w->what != NULL)
		say_waiting(w);
}

int
cli_wait_open(struct cli_wait *w, struct diag *reterr)
{
	static const struct timeval second = { 1, 0 };
	bool good;

	*w = (struct cli_wait){ .base = event_base_new(),
		.terminal = isatty(STDERR_FILENO) == 1 };
	if (w->base == NULL)
		return diag_nomem(reterr);
	w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	good = w->tick != NULL && event_add(w->tick, &second) == 0;
	for (size_t i = 0; good && i < CLI_WAIT_SIGNALS; i++) {
		w->signals[i] = evsignal_new(w->base, taken[i], on_signal, w);
		good = w->signals[i] != NULL &&
		       event_add(w->signals[i], NULL) == 0;
	}
	if (good)
		return 0;
	cli_wait_close(w);
	return diag_nomem(reterr);
}

void
cli_wait_close(struct cli_wait *w)
{
	cli_wait_hide(w);
	for (size_t i = 0; i < CLI_WAIT_SIGNALS; i++)
		if (w->signals[i] != NULL)
			event_free(w->signals[i]);
	if (w->tick != NULL)
		event_free(w->tick);
	if (w->base != NULL)
		event_base_free(w->base);
	*w = (struct cli_wait){ .signal = w->signal };
}

void
cli_wait_show(struct cli_wait *w, const char *what, int64_t end_ms)
{
	w->what = what;
	w->end_ms = end_ms;
	/* Elsewhere what was said before the wait will do for a minute. */
	w->said_ms = clock_now_ms();
	if (w->terminal)
		say_waiting(w);
}

void
cli_wait_hide(struct cli_wait *w)
{
	if (w->shown)
		fputs("\r\033[K", stderr);
	w->shown = false;
	w->what = NULL;
}

int
cli_wait_run(struct cli_wait *w, int64_t until_ms, const bool *done)
{
	/* The tick sees to it that the time is looked at. */
	while (w->signal == 0 && (done == NULL || !*done) &&
	       clock_now_ms() < until_ms) {
		int64_t left = until_ms - clock_now_ms();
		struct timeval tv = { .tv_usec = 0 };

		if (left < 1000) {
			tv.tv_usec = (suseconds_t)(left > 0 ? left * 1000 : 0);
			(void)event_base_loopexit(w->base, &tv);
		}
		(void)event_base_loop(w->base, EVLOOP_ONCE);
	}
	return w->signal == 0 ? 0 : -1;
}

int
cli_wait_step(struct cli_wait *w)
{
	(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
	return w->signal == 0 ? 0 : -1;
}

int
cli_wait_interrupted(struct cli_wait *w)
{
	cli_wait_hide(w);
	cli_say("interrupted: nothing has changed");
	return 128 + w->signal;
}
