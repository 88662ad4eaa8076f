/*
 * accounts.h - all accounts that the agent serves, as the configuration
 * that is in force says.
 */
#ifndef HELPERS_ACCOUNTS_H
#define HELPERS_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "live.h"
#include "renew.h"

struct accounts;

/* env is borrowed and must outlive the accounts.  NULL: no memory. */
struct accounts *accounts_new(const struct renew_env *env);
/* No waiter may be left.  Sets *a to NULL. */
void accounts_free(struct accounts **a);

/*
 * Serves what c says from now on (referenced): new accounts are read from
 * the store, known ones are adopted, those that are gone retire.  False: no
 * memory; what was, stays.
 */
bool accounts_apply(struct accounts *a, struct config *c);

/*
 * The agent is leaving.  No renewal is started ahead of time any more, those
 * that nobody waits for end unless their provider has been asked, and nobody
 * is told of anything.
 */
void accounts_quiesce(struct accounts *a);
/* And from now on no provider is asked at all. */
void accounts_stop(struct accounts *a);
/* Renewals whose answer is still to come. */
size_t accounts_in_flight(const struct accounts *a);
/* Some account's state could not be written yet: it is in memory only. */
bool accounts_unsaved(const struct accounts *a);

/*
 * The account of that name, else the one for every mailbox of its domain
 * (config_mailbox()).  NULL if there is none; else valid until the next loop.
 */
struct live *accounts_find(struct accounts *a, const char *name);

/* What a key of the lookup table leads to. */
struct accounts_key {
	struct live *live;
	const char *user; /* who logs in; of the key or the account */
};
/* A sender, or a relayhost of an account.  False: it is nobody's. */
bool accounts_by_key(
    struct accounts *a, const char *key, struct accounts_key *ret);
/* The account of exactly that name, or NULL. */
struct live *accounts_named(struct accounts *a, const char *name);
size_t accounts_count(const struct accounts *a);

/* What all of them count, and who is told of them. */
struct metrics *accounts_metrics(struct accounts *a);
const struct notify *accounts_notify(const struct accounts *a);

#endif
