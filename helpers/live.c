#include "live.h"

#include <stdlib.h>

#include <event2/event.h>

#include "advice_name.h"
#include "announce.h"
#include "clock.h"
#include "lease.h"
#include "log.h"
#include "pace.h"
#include "unsaved.h"

#define SAVE_AGAIN_MS 30000	    /* after a grant could not be written */
#define LOOK_EVERY_MS 20	    /* at certificates, if there are many */
#define TIMER_MAX_MS  (3600 * 1000) /* libevent's clock may drift */

static void arm(struct live *l);
static void begin(struct live *l, bool force);

void
live_free(struct live *l)
{
	struct diag dropped = DIAG_INIT;

	if (l->timer != NULL)
		event_free(l->timer);
	if (l->renewal != NULL && renew_has_asked(l->renewal))
		announce_cut_off(l);
	renew_cancel(&l->renewal);
	if (l->unsaved)
		unsaved_end(l);
	pace_ended(l, 0, &dropped);
	pace_leave(l);
	refresh_wipe(&l->refresh);
	grant_wipe(&l->grant);
	config_unref(&l->config);
	free(l->doubts);
	free(l);
}

static struct lease_now
now_both(void)
{
	return (struct lease_now){ clock_wall_ms(), clock_now_ms() };
}

static bool
token_of(const struct grant *g, struct refresh_token *ret)
{
	struct lease_now now = now_both();

	return lease_token(g, &now, ret);
}

/* Before the grant's times are shown or written. */
static void
date_grant(struct live *l)
{
	lease_date(&l->grant, clock_wall_s(l->grant.asked_ms));
}

static void
ended(struct live *l, const struct diag *why)
{
	struct refresh_token tok = REFRESH_TOKEN_INIT;
	struct diag nomem = DIAG_INIT;

	if (why == NULL && !token_of(&l->grant, &tok)) {
		(void)diag_nomem(&nomem);
		why = &nomem;
	}
	refresh_ended(
	    &l->refresh, clock_now_ms(), why == NULL ? &tok : NULL, why);
}

static void
forget_gone(struct live *l)
{
	struct live **p = &l->pool->gone;

	while (*p != l)
		p = &(*p)->next_gone;
	*p = l->next_gone;
	live_free(l);
}

/*
 * A certificate may have been replaced, or a secret's date corrected.  Clients
 * wait while files are read: of many, most are read one by one later.
 */
static void
look_at_expiry(struct live *l)
{
	struct live_pool *p = l->pool;
	int64_t now = clock_now_ms();

	if (expiry_look(&l->expiry, l->account, p->files)) {
		l->look_ms = 0;
		announce_expiry(l);
		return;
	}
	/* No reload puts off what one before it has planned. */
	if (l->look_ms != 0)
		return;
	if (p->look_ms < now)
		p->look_ms = now;
	l->look_ms = p->look_ms += LOOK_EVERY_MS;
}

static void
count_renewal(struct live *l, enum diag_kind kind)
{
	struct metrics *m = &l->pool->metrics;

	tally_add(&l->metrics.renewals, kind);
	tally_add(&m->all.renewals, kind);
	metrics_time(m, clock_now_ms() - l->began_ms);
}

static void
renewed(void *arg, const struct grant *g, const struct diag *unsaved,
    const struct diag *why)
{
	struct live *l = arg;
	struct diag nomem = DIAG_INIT;

	l->renewal = NULL;
	l->pool->in_flight--;
	pace_ended(l, clock_now_ms(), why);
	/* Also with *why: g has a refresh token that the disk has not. */
	if (g != NULL && grant_copy(&l->grant, g)) {
		l->unsaved = unsaved != NULL;
		l->save_ms = clock_now_ms() + SAVE_AGAIN_MS;
	} else if (g != NULL) {
		(void)diag_nomem(&nomem);
		why = &nomem;
	}
	count_renewal(l, why == NULL ? DIAG_OK : why->kind);
	announce_renewal(l, why == NULL ? g : NULL, unsaved, why);
	ended(l, why);
	/* Asked for before a reload that wants something else. */
	if (why == NULL && l->grant.binding != account_binding(l->account))
		secret_wipe(&l->refresh.token.value);
	if (l->gone) {
		forget_gone(l);
		return;
	}
	look_at_expiry(l);
	arm(l);
}

/* The machine has said: start. */
static void
begin(struct live *l, bool force)
{
	struct diag d = DIAG_INIT;

	l->began_ms = clock_now_ms();
	date_grant(l);
	/* Known even if it is nothing: what another process got will do. */
	if (!l->pool->stopping)
		l->renewal = renew_start(l->pool->env, l->account, &l->grant,
		    l->account->min_life_s, force, renewed, l, &d);
	else
		(void)diag_set(&d, DIAG_RETRY, "mailtokend is stopping");
	if (l->renewal != NULL) {
		l->pool->in_flight++;
		pace_started(l);
		return;
	}
	refresh_ended(&l->refresh, clock_now_ms(), NULL, &d);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct live *l = arg;
	int64_t now = clock_now_ms();
	struct diag ignored = DIAG_INIT;

	(void)fd;
	(void)what;
	if (l->turn_ms != 0 && now >= l->turn_ms) {
		l->turn_ms = 0;
		begin(l, true);
	}
	if (l->pool->quiet)
		return;
	if (l->look_ms != 0 && now >= l->look_ms)
		look_at_expiry(l);
	else
		announce_expiry(l);
	if (l->unsaved && now >= l->save_ms) {
		l->save_ms = now + SAVE_AGAIN_MS;
		if (l->renewal == NULL)
			(void)unsaved_try(l, &ignored);
	}
	pace_look(l, now);
	if (now >= refresh_due_ms(&l->refresh, now) &&
	    now >= l->not_before_ms && pace_ahead(l, now) &&
	    refresh_tick(&l->refresh, now))
		begin(l, true);
	arm(l);
}

static void
arm(struct live *l)
{
	int64_t now = clock_now_ms();
	int64_t due = pace_due(l, now, refresh_due_ms(&l->refresh, now));
	struct timeval tv;

	if (due < l->not_before_ms)
		due = l->not_before_ms;
	if (l->unsaved && due > l->save_ms)
		due = l->save_ms;
	if (l->look_ms != 0 && due > l->look_ms)
		due = l->look_ms;
	if (l->turn_ms != 0)
		due = l->turn_ms;
	if (due > now + TIMER_MAX_MS)
		due = now + TIMER_MAX_MS;
	due = due > now ? due - now : 0;
	tv.tv_sec = (time_t)(due / 1000);
	tv.tv_usec = (suseconds_t)(due % 1000 * 1000);
	(void)event_add(l->timer, &tv);
}

/* What an earlier run left; a damaged file is this account's trouble only. */
static void
load(struct live *l)
{
	struct refresh_token tok = REFRESH_TOKEN_INIT;
	struct diag d = DIAG_INIT;

	if (store_read(l->pool->env->store, l->account->name, &l->grant, &d) >=
	    0) {
		/* Not one that was asked for otherwise. */
		if (l->grant.binding == account_binding(l->account) &&
		    token_of(&l->grant, &tok))
			refresh_load(&l->refresh, &tok);
		return;
	}
	announce_unreadable(l, &d);
	if (refresh_force(&l->refresh, clock_now_ms()))
		refresh_ended(&l->refresh, clock_now_ms(), NULL, &d);
}

/* Only to give accounts different jitter. */
static uint64_t
seed_of(const char *name)
{
	return doubts_hash(name) ^ (uint64_t)clock_wall_ms() ^
	       (uint64_t)clock_now_ms() << 20;
}

struct live *
live_new(
    struct live_pool *pool, struct config *c, const struct account *account)
{
	struct live *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	refresh_init(&l->refresh, account->min_life_s * 1000,
	    account->grant == GRANT_REFRESH_TOKEN, seed_of(account->name));
	l->pool = pool;
	l->config = config_ref(c);
	l->account = account;
	pace_join(l);
	l->timer = evtimer_new(pool->env->base, on_timer, l);
	if (l->timer == NULL) {
		live_free(l);
		return NULL;
	}
	return l;
}

void
live_begin(struct live *l, int64_t delay_ms)
{
	int64_t now = clock_now_ms();

	load(l);
	look_at_expiry(l);
	if (refresh_due_ms(&l->refresh, now) <= now)
		l->not_before_ms = now + delay_ms;
	arm(l);
}

void
live_stop(struct live *l, bool all)
{
	bool waited_for = l->refresh.waiters.next != &l->refresh.waiters;

	if (l->renewal != NULL && (all || !waited_for))
		renew_stop(l->renewal);
}

void
live_retire(struct live *l)
{
	struct diag d = DIAG_INIT;

	l->gone = true;
	(void)event_del(l->timer);
	if (l->renewal != NULL) {
		/* Its answer may carry a rotated refresh token: wait. */
		l->next_gone = l->pool->gone;
		l->pool->gone = l;
		return;
	}
	(void)diag_set(&d, DIAG_CONFIG, "account %s is no longer configured",
	    l->account->name);
	if (l->refresh.in_flight)
		refresh_ended(&l->refresh, clock_now_ms(), NULL, &d);
	live_free(l);
}

/* What is asked for has changed: the old token may not be what is wanted. */
void
live_adopt(struct live *l, struct config *c, const struct account *account)
{
	bool same = account_binding(account) == account_binding(l->account);
	struct config *old = l->config;

	l->config = config_ref(c);
	pace_leave(l);
	l->account = account;
	pace_join(l);
	config_unref(&old);
	l->refresh.min_life_ms = account->min_life_s * 1000;
	l->refresh.delegated = account->grant == GRANT_REFRESH_TOKEN;
	if (!same)
		secret_wipe(&l->refresh.token.value);
	/* The change may be the cure, also for what is tried once only. */
	l->refresh.why.once = false;
	refresh_forget_failure(&l->refresh);
	look_at_expiry(l);
	arm(l);
}

void
live_want(struct live *l, struct waiter *w)
{
	int64_t now = clock_now_ms(), turn_ms;

	pace_look(l, now);
	turn_ms = pace_asker(l, now);
	if (!refresh_want(&l->refresh, now, w))
		return;
	if (turn_ms > now)
		l->turn_ms = turn_ms;
	else
		begin(l, true);
	arm(l);
}

void
live_late(struct live *l, struct waiter *w, bool any, const struct diag *why)
{
	int64_t now = clock_now_ms();

	if (any && refresh_has_token(&l->refresh, now)) {
		refresh_late(&l->refresh, w);
		return;
	}
	refresh_cancel(&l->refresh, w);
	w->answer(w, NULL, why);
}

void
live_cancel(struct live *l, struct waiter *w)
{
	refresh_cancel(&l->refresh, w);
}

void
live_reject(struct live *l, const char *user, int64_t generation)
{
	int64_t now = clock_now_ms();
	bool go;

	if (user == NULL)
		go = refresh_reject(&l->refresh, now, generation);
	else
		go = !doubts_again(
			 &l->doubts, user, generation, now, REFRESH_STUCK_MS) &&
		     refresh_doubt(&l->refresh, now, generation);
	if (go)
		begin(l, true);
	arm(l);
}

void
live_refresh(struct live *l, struct waiter *w)
{
	bool first = refresh_force(&l->refresh, clock_now_ms());

	refresh_enqueue(&l->refresh, w);
	if (first)
		begin(l, true);
	arm(l);
}

/* Nobody renews what has no login: as the renewal itself would find out. */
static void
forgotten(struct live *l)
{
	struct diag d = DIAG_INIT;

	if (l->account->grant != GRANT_REFRESH_TOKEN ||
	    !secret_empty(&l->grant.refresh_token) ||
	    !refresh_force(&l->refresh, clock_now_ms()))
		return;
	(void)diag_set(&d, DIAG_REAUTH,
	    "logged out, no refresh token yet: run mailtoken login %s",
	    ADVICE_WORD(l->account->name));
	refresh_ended(&l->refresh, clock_now_ms(), NULL, &d);
	announce_nothing(l, d.kind);
}

/*
 * A renewal that is under way has read the state after the logout, since
 * both need its lock: it ends by itself, without a token.
 */
void
live_forget(struct live *l)
{
	struct diag d = DIAG_INIT;

	secret_wipe(&l->refresh.token.value);
	grant_wipe(&l->grant);
	l->unsaved = false;
	if (store_read(l->pool->env->store, l->account->name, &l->grant, &d) >=
	    0)
		forgotten(l);
	arm(l);
}

/*
 * Timers stop while the host sleeps; and a wall clock that was wrong is a
 * reason for about everything to fail, certificates first.
 */
void
live_clock_set(struct live *l, bool stepped)
{
	struct lease_now now = now_both();
	struct refresh_token t = l->refresh.token; /* its value stays there */

	if (stepped) {
		/* Not by the generation: its refresh token may be newer. */
		if (!secret_empty(&t.value) &&
		    secret_same(&t.value, &l->grant.access_token)) {
			lease_judge_again(&l->grant, &now, &t);
			refresh_redate(&l->refresh, &t);
		}
		refresh_forget_failure(&l->refresh);
	}
	arm(l);
}
