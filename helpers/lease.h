/*
 * lease.h - how long a grant's token lives, on the clock that never steps.
 *
 * A token that this process has asked for lives as long as the provider said
 * from then on, whatever happens to the wall clock.  Of one that was read
 * from the store only the wall clock tells the age, and it may have been
 * wrong then or be wrong now:
 *
 *   obtained in the future       its age is not known: renewed before it is
 *                                handed out (struct refresh_token, unsure)
 *   expired                      never handed out
 *   else                         lives what it has left
 *
 * When the wall clock is set, it is judged again; where it has no life by the
 * new time but had by the old one, its age is not known either.
 */
#ifndef HELPERS_LEASE_H
#define HELPERS_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "grant.h"
#include "refresh.h"

/* The same instant on both clocks. */
struct lease_now {
	int64_t wall_ms, ms;
};

/* False: it has no token, or there is no memory. */
bool lease_token(const struct grant *g, const struct lease_now *now,
    struct refresh_token *ret);
/* The wall clock was set: judges t, which was made from g, again. */
void lease_judge_again(const struct grant *g, const struct lease_now *now,
    struct refresh_token *t);
/*
 * Dates a grant that this process has asked for by the wall clock as it is
 * set now: it was asked for at asked_s.
 */
void lease_date(struct grant *g, int64_t asked_s);

#endif
