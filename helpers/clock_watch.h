/*
 * clock_watch.h - tells when the wall clock is set, and when the host wakes
 * up: libevent's timers stop while it sleeps.
 */
#ifndef HELPERS_CLOCK_WATCH_H
#define HELPERS_CLOCK_WATCH_H

#include <stdbool.h>

struct clock_watch;
struct event_base;

/*
 * seen() hears whether the wall clock is another one now, by a second or
 * more, which is logged; else only the host may have slept.  NULL: no memory.
 */
struct clock_watch *clock_watch_new(struct event_base *base,
    void (*seen)(void *arg, bool stepped), void *arg);
/* Sets *w to NULL; NULL is fine. */
void clock_watch_free(struct clock_watch **w);

#endif
