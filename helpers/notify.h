/*
 * notify.h - `notify` of the configuration: a program that is run when
 * somebody has to do something about an account, and when that is no more so.
 *
 * It is told by its environment, which holds nothing secret:
 *
 *     MAILTOKEN_EVENT    login-needed, change-needed, recovered, expires, many
 *     MAILTOKEN_ACCOUNT  the account's name; not for many
 *     MAILTOKEN_RESULT   reauth, config, ok; not for many
 *     MAILTOKEN_TEXT     a sentence, with what to do
 *     MAILTOKEN_COUNT    how many: for many, else 1
 *
 * One runs at a time, for NOTIFY_TIMEOUT_MS at most, and NOTIFY_BURST at most
 * in NOTIFY_WINDOW_MS.  What is more than that is counted, and told as one
 * event, many.  How it ended is logged.  What is still to be told when the
 * agent ends is not: the next one finds out for itself.
 */
#ifndef HELPERS_NOTIFY_H
#define HELPERS_NOTIFY_H

#include <stdint.h>

#include "diag.h"

#define NOTIFY_TIMEOUT_MS 30000
#define NOTIFY_WINDOW_MS  (10 * 60 * 1000)
#define NOTIFY_BURST	  10 /* and one for the rest */

struct event_base;
struct notify;

/* What has been told of an account.  All zero: nothing. */
struct notified {
	enum diag_kind standing; /* REAUTH or CONFIG; OK: none */
	int64_t at_ms;		 /* when trouble was told last; 0: never */
};

/* NULL: no memory. */
struct notify *notify_new(struct event_base *base);
/* Kills what runs.  Sets *n to NULL; NULL is fine. */
void notify_free(struct notify **n);
/* From now on, this; borrowed.  NULL: nothing, and what waits is forgotten. */
void notify_program(struct notify *n, const char *program);

/*
 * A renewal of the account has ended so.  Trouble is told once, and again each
 * day that it goes on; trouble of another kind, or after a recovery, not
 * within an hour.  RETRY changes nothing.
 */
void notify_state(struct notify *n, struct notified *was, const char *account,
    const struct diag *state, int64_t now_ms);
/* What the account's application shows to the provider ends. */
void notify_expires(
    struct notify *n, const char *account, const struct diag *what);

/* How many have been run: well, and otherwise. */
void notify_counts(const struct notify *n, uint32_t *good, uint32_t *bad);

#endif
