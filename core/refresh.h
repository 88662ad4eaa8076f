/*
 * refresh.h - the refresh policy of one account as a machine without I/O.
 *
 *   IDLE --start--> IN_FLIGHT --ok--------> IDLE, token fresh
 *                     +--RETRY------------> IDLE, try again after back-off
 *                     +--REAUTH, CONFIG---> IDLE, try again after 15 minutes
 *
 * Whoever asks (want, reject, force, tick) and hears true must start one
 * renewal and report its end with refresh_ended(); meanwhile everybody else
 * queues as a waiter.  No clock: `now` and all times are milliseconds of one
 * clock that the caller keeps, and never run backwards nor jump; times of
 * tokens may lie before its beginning.
 *
 * Policy, DESIGN section 6: a token is handed out while it lives min_life
 * more; renewed ahead of time, with jitter, whether or not anyone asks; still
 * valid tokens go on being served while the provider is away; a person or an
 * administrator being needed is said at once.
 */
#ifndef CORE_REFRESH_H
#define CORE_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "diag.h"
#include "secret.h"

#define REFRESH_MIN_LIFE_MS	  (900 * 1000) /* default of min_life */
#define REFRESH_BACKOFF_MS	  (5 * 1000)   /* after the first failure */
#define REFRESH_BACKOFF_MAX_MS	  (15 * 60 * 1000)
#define REFRESH_STUCK_MS	  (15 * 60 * 1000) /* after REAUTH and CONFIG */
#define REFRESH_RETRY_AFTER_MAX_S 3600
#define REFRESH_FORCE_EVERY_MS	  (60 * 1000) /* rejects: once a minute */
#define REFRESH_DAILY_MS	  (24 * 3600 * 1000) /* delegated: at least */
/*
 * Ahead of time: not before a quarter of the life, within these bounds, even
 * if the provider wants it or its tokens live no longer.
 */
#define REFRESH_EVERY_MIN_MS (5 * 1000)
#define REFRESH_EVERY_MAX_MS (60 * 1000)

/* What is handed out; times in the machine's clock. */
struct refresh_token {
	struct secret value;
	int64_t generation;
	int64_t obtained_ms, expires_ms;
	int64_t refresh_ms; /* when the provider wants it; 0: not said */
	bool unsure;	    /* its age is not known: the times are the best
			     * that can be hoped for */
};
#define REFRESH_TOKEN_INIT                     \
	{                                      \
		SECRET_INIT, 0, 0, 0, 0, false \
	}

/*
 * Embedded in whatever waits.  answer() is called exactly once; it may free
 * its own waiter and ask again, but must not free other waiters.
 */
struct waiter {
	struct waiter *prev, *next;
	/*
	 * Borrowed for the call only.  tok is NULL on failure, and why says
	 * why; with both, the renewal has failed, and tok is the token of
	 * before, which is still good.
	 */
	void (*answer)(struct waiter *w, const struct refresh_token *tok,
	    const struct diag *why);
};

struct refresh {
	int64_t min_life_ms;
	bool delegated;	 /* has a refresh token that idles out */
	uint64_t jitter; /* state of the jitter's generator */
	bool in_flight;
	struct refresh_token token;
	struct diag why;	     /* of the last failure; kind OK: none */
	unsigned failures;	     /* in a row */
	int64_t retry_ms;	     /* no renewal before this, if why is set;
				      * INT64_MAX: not until refresh_force() */
	int64_t forced_ms;	     /* of the last forced renewal; 0: never */
	int64_t rejected_generation; /* 0: none */
	int64_t ahead_ms;	     /* when to renew the token ahead of time */
	int64_t ok_ms;	       /* end of the last good renewal; 0: never */
	int64_t failed_ms;     /* end of the last other one; 0: never */
	struct waiter waiters; /* list head */
};

/* seed: anything that differs between accounts and hosts. */
void refresh_init(
    struct refresh *r, int64_t min_life_ms, bool delegated, uint64_t seed);
/* No waiter may be left. */
void refresh_wipe(struct refresh *r);

/*
 * A token known from before (the store); *tok is taken over.  One of unknown
 * age is renewed before it is handed out; if that fails it is handed out as it
 * is, until a server refuses it, unless somebody must log in.
 */
void refresh_load(struct refresh *r, struct refresh_token *tok);
/* The same token, but its age has been judged again; tok->value is not read. */
void refresh_redate(struct refresh *r, const struct refresh_token *tok);
/*
 * What made renewals fail may be gone: the next is due at once, unless only a
 * person may order it.  Until it has ended, the failure is what is known.
 */
void refresh_forget_failure(struct refresh *r);

/* Either answers w before it returns, or queues it. */
bool refresh_want(struct refresh *r, int64_t now, struct waiter *w);
/* Queues w for the end of the renewal that is in flight. */
void refresh_enqueue(struct refresh *r, struct waiter *w);
/* w waits no longer: it has the token that refresh_has_token(). */
void refresh_late(struct refresh *r, struct waiter *w);
/* The session goes away: w, if queued, is forgotten and not answered. */
void refresh_cancel(struct refresh *r, struct waiter *w);

/* Would refresh_want() start a renewal now? */
bool refresh_would_start(const struct refresh *r, int64_t now);
/*
 * The provider is known to be away (*why, RETRY) until then: as if a renewal
 * had failed, without one; but a verdict that needs a person stands.  Only
 * after refresh_would_start().
 */
void refresh_away(struct refresh *r, int64_t until_ms, const struct diag *why);
/* The provider is back: no need to wait out a back-off that we chose. */
void refresh_forgive(struct refresh *r, int64_t now);
/* At random, from 0 to below. */
int64_t refresh_jitter(struct refresh *r, int64_t below);
/* The last renewal failed with what time cures. */
bool refresh_is_failing(const struct refresh *r);
/* A token that still works, if only for a moment. */
bool refresh_has_token(const struct refresh *r, int64_t now);

/*
 * A server refused the token of this generation.  An old or unknown
 * generation changes nothing.
 */
bool refresh_reject(struct refresh *r, int64_t now, int64_t generation);
/*
 * The same for a token that opens many mailboxes, where one of them refused
 * it: it is renewed, but goes on being handed out for the others.
 */
bool refresh_doubt(struct refresh *r, int64_t now, int64_t generation);
/* A person orders it: forgets back-off and verdicts. */
bool refresh_force(struct refresh *r, int64_t now);
/*
 * When refresh_tick() wants to be called next; INT64_MAX while in flight, or
 * if only a person can have it tried again.
 * Ask again after every other call.
 */
int64_t refresh_due_ms(struct refresh *r, int64_t now);
/* Ahead of time: true if a renewal is due now. */
bool refresh_tick(struct refresh *r, int64_t now);

/*
 * The renewal ended: tok (taken over) or, if NULL, *why.  Answers all
 * waiters.
 */
void refresh_ended(struct refresh *r, int64_t now, struct refresh_token *tok,
    const struct diag *why);

/* Milliseconds of life that make the machine's token fit to be handed out. */
int64_t refresh_min_life_ms(const struct refresh *r);
/*
 * The rule behind it, in any unit: min_life, or half of the token's whole
 * life if that is hardly longer.
 */
int64_t refresh_fit_life(int64_t min_life, int64_t life);

#endif
