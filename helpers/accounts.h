/*
 * accounts.h - the accounts that the agent serves: the policy of refresh.h
 * driven by the event loop, renewed by renew.h, and logged.
 */
#ifndef HELPERS_ACCOUNTS_H
#define HELPERS_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "refresh.h"
#include "renew.h"

struct accounts;
struct live; /* one account; valid until the next return to the loop */

/* env is borrowed and must outlive the accounts.  NULL: no memory. */
struct accounts *accounts_new(const struct renew_env *env);
/* No waiter may be left.  Sets *a to NULL. */
void accounts_free(struct accounts **a);

/*
 * Serves what c says from now on (referenced): new accounts are read from
 * the store, known ones keep their tokens and waiters, those that are gone
 * answer their waiters and end.  False: no memory; what was, stays.
 */
bool accounts_apply(struct accounts *a, struct config *c);

/* No renewal is started ahead of time any more (the agent is leaving). */
void accounts_quiesce(struct accounts *a);
/* Renewals whose answer is still to come. */
size_t accounts_in_flight(const struct accounts *a);

/* NULL if the configuration has none of that name. */
struct live *accounts_find(struct accounts *a, const char *name);
const struct account *live_config(const struct live *l);

/* Answers w before it returns, or queues it: see refresh_want(). */
void live_want(struct live *l, struct waiter *w);
void live_cancel(struct live *l, struct waiter *w);
/* A server refused this generation. */
void live_reject(struct live *l, int64_t generation);
/* Reads the state again and renews; w is answered when that has ended. */
void live_refresh(struct live *l, struct waiter *w);

/* For `status`.  Times are Unix seconds, 0: never. */
struct live_status {
	const struct account *account;
	const char *state; /* "ok", "new" or diag_kind_name() */
	int64_t generation, expires_at, renewed_at, next_at, login_at;
	unsigned waiting, failures;
	const char *text; /* of the last error, or "" */
};
void live_status(struct live *l, struct live_status *ret);
/* Every account, in the configuration's order, until each() says false. */
void accounts_each(
    struct accounts *a, bool (*each)(void *arg, struct live *l), void *arg);
size_t accounts_count(const struct accounts *a);

#endif
