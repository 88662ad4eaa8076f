/*
 * clock.h - two clocks, and the way from one to the other.
 *
 * What is waited for and how long a token lives is counted on a clock that
 * never steps and that counts suspended time too: CLOCK_BOOTTIME, in
 * milliseconds.  What is shown, stored, signed or told to somebody else is
 * Unix time by the wall clock as it is set at that moment.
 */
#ifndef HELPERS_CLOCK_H
#define HELPERS_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void);	/* never steps */
int64_t clock_wall_ms(void);	/* Unix time */
int64_t clock_now_s(void);	/* the same in seconds */
/* How far the wall clock is ahead of the other. */
int64_t clock_ahead_ms(void);
/* How long the host has been suspended since it started. */
int64_t clock_slept_ms(void);

/*
 * The Unix time of an instant of clock_now_ms(); never below 0.  The same
 * answer each time, as long as the wall clock is not set.
 */
int64_t clock_wall_s(int64_t ms);

#endif
