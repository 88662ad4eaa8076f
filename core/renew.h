/*
 * renew.h - one renewal of one account's token, from lock to disk:
 *
 *   lock -> read the store -> (somebody else renewed it? take that) ->
 *   (ask the issuer where) -> ask the token endpoint -> write -> unlock
 *
 * on an event loop, so that the agent can run thousands and the CLI one.
 * Blocking: only for local files (read, write, fsync).
 */
#ifndef CORE_RENEW_H
#define CORE_RENEW_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "diag.h"
#include "http.h"
#include "store.h"

struct event_base;
struct renewal;

/* Borrowed; must outlive every renewal. */
struct renew_env {
	struct event_base *base;
	struct http *http;
	struct store *store;
	int64_t (*now_ms)(void);	/* of a clock that never steps */
	int64_t (*wall_s)(int64_t ms);	/* its Unix time, as the wall clock is
					 * set at the moment of the call */
};

#define RENEW_LOCK_WAIT_MS	60000	/* for another process's renewal */
/* A login is had once only: more than the slowest renewal takes. */
#define RENEW_LOGIN_WAIT_MS	300000

/*
 * why is NULL, and g is the account's grant as it now is, borrowed for the
 * call; or *why says why there is no new access token (all kinds but DENIED;
 * why->provider if it was asked), and g is NULL.
 * unsaved is NULL, or says why the new grant could not be written: then g is
 * newer than the disk, the caller must keep it, go on serving it and hand it
 * to renew_start() next time.  So it is where *why has come with a new refresh
 * token: with both, g is there, and its access token is the one of before.
 */
typedef void renew_done(void *arg, const struct grant *g,
	const struct diag *unsaved, const struct diag *why);

/*
 * The account's config is referenced until the end.
 * known:   the grant the caller has; if it is newer than the disk (an earlier
 *          write failed) it is used, and written.  NULL: the caller keeps
 *          nothing, so where a refresh token may be good for one use the
 *          provider is asked only if the next one can be saved.
 * min_life_s: another token that the store holds in a generation after the known
 *          one is taken as it is if it was asked for as the account says now
 *          and lives that long (refresh_fit_life()).
 * force:   ask the provider even if the known token is good.
 * done() is called once, from the loop.  NULL with *reterr (NOMEM): it is
 * not called.
 */
struct renewal *renew_start(const struct renew_env *env,
	const struct account *account, const struct grant *known,
	int64_t min_life_s, bool force, renew_done *done, void *arg,
	struct diag *reterr);
/*
 * The process is to end: a renewal that has not asked the token endpoint does
 * not ask it any more, and done() is called with RETRY, from the loop.  Of one
 * that has, the answer is waited for.
 */
void renew_stop(struct renewal *r);
/* The token endpoint was asked: its answer may have a new refresh token. */
bool renew_has_asked(const struct renewal *r);
/*
 * Gives up without done().  Sets *r to NULL; NULL is fine.  Dangerous after
 * the request is out, since a rotated refresh token is lost with the answer:
 * for the end of the process only, after its grace time.
 */
void renew_cancel(struct renewal **r);

#endif
