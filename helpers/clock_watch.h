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
 * seen() hears whether the wall clock is another one now, and whether the host
 * was suspended, by a second or more, which is logged; or neither.  NULL: no
 * memory.
 */
typedef void clock_seen(void *arg, bool stepped, bool woke);
struct clock_watch *clock_watch_new(
    struct event_base *base, clock_seen *seen, void *arg);
/* Sets *w to NULL; NULL is fine. */
void clock_watch_free(struct clock_watch **w);

#endif
