/*
 * gate.h - who may ask a token endpoint, and how soon, as it is well or not:
 * what the accounts that share it know of it together.
 *
 *   NEW ----it answers----> UP ----three accounts fail in a row----> DOWN
 *                            ^                                         |
 *                            +--it answers one: the rest, spread ------+
 *
 * refresh.h is the policy of one account; a thousand of them would still ask
 * a provider that is away a thousand times, and all come back in one moment.
 * Pure: no I/O, no clock, and times in milliseconds as in refresh.h.
 */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_NEW_MAX	  4  /* renewals at once that nobody waits for: before */
#define GATE_UP_MAX	  32 /* the first answer, and after it */
#define GATE_FAILURES	  3
#define GATE_PROBE_MS	  (5 * 1000)  /* DOWN: one asks, and the next then, */
#define GATE_PROBE_MAX_MS (30 * 1000) /* or later, the longer it lasts */
/*
 * Or when it says, but it may have meant the one account that asked: that one
 * keeps to it (refresh.h), and another asks.
 */
#define GATE_TOLD_MAX_MS  (5 * 60 * 1000)
#define GATE_SPREAD_MS	  (10 * 60 * 1000) /* after DOWN, for who has a token */
#define GATE_HURRY_MS	  (5 * 60 * 1000)  /* for all who have none */
#define GATE_SLOT_MAX_MS  300		   /* between two, if there are few */
#define GATE_WAIT_MS	  (6 * 1000)	   /* for one's turn, who asks */

struct gate {
	size_t accounts; /* that share it: the owner counts */
	size_t in_flight;
	bool proven;	     /* it has answered */
	unsigned failures;   /* in a row, each another account's than before */
	const void *failed;  /* who was the last */
	int64_t probe_ms;    /* DOWN: nobody before */
	int64_t up_ms;	     /* when DOWN ended last; 0: never */
	int64_t slot_ms;     /* after that: when the next may ask */
};

enum gate_end {
	GATE_ANSWERED, /* a token, or that there is none for this account */
	GATE_FAILED,   /* the provider's trouble */
	GATE_NEVER_ASKED /* or not clear whose trouble it is */
};

bool gate_is_down(const struct gate *g);
/* Has DOWN ended since then? */
bool gate_is_back(const struct gate *g, int64_t since);
/* DOWN has ended lately, so that many want to ask. */
bool gate_is_busy(const struct gate *g, int64_t now);

/*
 * May a renewal that nobody waits for start now?  If not, *ret is when it
 * makes sense to come again; come a little later still, each at random.
 */
bool gate_admits(struct gate *g, int64_t now, int64_t *ret);
/*
 * The same where somebody waits: only DOWN and its end hold it up.  If true,
 * *ret is when, now or a little later: that turn is taken.
 */
bool gate_admits_asker(struct gate *g, int64_t now, int64_t *ret);

void gate_started(struct gate *g);
/* who: tells accounts apart, is never followed.  retry_after_s: or 0. */
void gate_ended(struct gate *g, int64_t now, enum gate_end end,
    const void *who, int64_t retry_after_s);

#endif
