/*
 * live.h - one account that the agent serves: the policy of refresh.h driven
 * by the event loop, renewed by renew.h, and logged.
 */
#ifndef HELPERS_LIVE_H
#define HELPERS_LIVE_H

#include <stdbool.h>
#include <stdint.h>

/* Not to exit where memory runs out, nor to trip over a fall-through. */
#define HASH_NONFATAL_OOM	     1
#define HASH_FUNCTION(s, len, hashv) HASH_OAT(s, len, hashv)
#include <uthash.h>

#include "config.h"
#include "doubts.h"
#include "expiry.h"
#include "metrics.h"
#include "notify.h"
#include "refresh.h"
#include "renew.h"

struct event;

/* What all accounts of an agent share. */
struct live_pool {
	const struct renew_env *env;
	struct notify *notify;
	struct metrics metrics;
	struct live *gone; /* retired, waiting for their renewal's end */
	struct shared_gate *gates;
	struct expiry_files *files; /* while all are looked at; else NULL */
	int64_t look_ms; /* the last time that is planned for such a look */
	size_t in_flight;  /* renewals whose answer is still to come */
	bool quiet;	   /* no renewals ahead of time any more */
	bool stopping;	   /* nor any others */
};

struct live {
	UT_hash_handle hh; /* by name, for accounts.c */
	struct live_pool *pool;
	struct config *config; /* keeps account alive */
	const struct account *account;
	struct refresh refresh;
	struct grant grant; /* as renewed or read; may be newer than disk */
	bool unsaved;
	int64_t save_ms;       /* if it is: when to try again */
	bool gone;	       /* not configured any more */
	int64_t not_before_ms; /* spreads renewals */
	struct shared_gate *gate;  /* of its token endpoint; NULL: none */
	struct shared_gate *asked; /* where the renewal is under way */
	int64_t spread_ms;	   /* the outage after which it was spread */
	int64_t turn_ms; /* when the renewal that is due may begin; 0: none is */
	enum diag_kind logged; /* the last verdict that was logged */
	struct notified notified;
	struct account_metrics metrics;
	int64_t began_ms; /* the renewal */
	struct expiry expiry;  /* of what the application shows */
	int64_t look_ms;       /* when to look at that again; 0: no more */
	struct renewal *renewal;
	struct doubt *doubts; /* NULL: none yet */
	struct event *timer;
	struct live *next_gone;
};

/* NULL: no memory.  References c, which account belongs to. */
struct live *live_new(
    struct live_pool *pool, struct config *c, const struct account *account);
/*
 * A grant that could not be written yet is tried a last time; what is lost
 * nevertheless is logged.
 */
void live_free(struct live *l);
/*
 * Reads what an earlier run left, and begins to renew ahead of time; if
 * that is due at once, delay_ms from now.
 */
void live_begin(struct live *l, int64_t delay_ms);
/*
 * The account as a new configuration has it: waiters and, if it would be
 * asked for in the same way, the token stay.
 */
void
live_adopt(struct live *l, struct config *c, const struct account *account);
/*
 * The agent leaves: a renewal that has not asked its provider ends, unless
 * somebody waits for it; with all, also then.
 */
void live_stop(struct live *l, bool all);
/* Answers waiters, and frees it: now, or when its renewal has ended. */
void live_retire(struct live *l);

/* Answers w before it returns, or queues it: see refresh_want(). */
void live_want(struct live *l, struct waiter *w);
/*
 * w waits no longer, and is answered *why; or, if any token will do, with the
 * one that still works.
 */
void live_late(
    struct live *l, struct waiter *w, bool any, const struct diag *why);
void live_cancel(struct live *l, struct waiter *w);
/*
 * A server refused this generation.  user is the mailbox, where it is not the
 * account's own: then the token stays good for others, and a mailbox that
 * refuses a fresh one as well is not heard for a while.
 */
void live_reject(struct live *l, const char *user, int64_t generation);
/*
 * Somebody has logged out: no token that is in memory is handed out any more,
 * and who asks hears that a login is needed, unless the state has one.
 */
void live_forget(struct live *l);
/* Reads the state again and renews; w is answered when that has ended. */
void live_refresh(struct live *l, struct waiter *w);

/*
 * The host has slept, or its wall clock has been set: stepped says which.
 * What the old time said about tokens is thought over, and timers are due
 * anew.
 */
void live_clock_set(struct live *l, bool stepped);

/* For `status`.  Times are Unix seconds, 0: never. */
struct live_status {
	const struct account *account;
	const char *state; /* "ok", "new" or diag_kind_name() */
	int64_t generation, expires_at, renewed_at, next_at, login_at;
	int64_t credential_expires_at; /* the certificate, or the secret */
	int64_t login_idle_at; /* when the login dies if nobody uses it */
	unsigned waiting, failures;
	const char *text; /* of the last error, or "" */
};
void live_status(struct live *l, struct live_status *ret);

#endif
