#include "live.h"

#include <stdlib.h>

#include <event2/event.h>

#include "announce.h"
#include "clock.h"
#include "log.h"
#include "pace.h"

#define SAVE_AGAIN_MS 30000	    /* after a grant could not be written */
#define TIMER_MAX_MS  (3600 * 1000) /* libevent's clock may drift */
#define DAY_S	      (24 * 3600)

void
live_free(struct live *l)
{
	struct diag dropped = DIAG_INIT;

	if (l->timer != NULL)
		event_free(l->timer);
	renew_cancel(&l->renewal);
	pace_ended(l, 0, &dropped);
	pace_leave(l);
	refresh_wipe(&l->refresh);
	grant_wipe(&l->grant);
	config_unref(&l->config);
	free(l->doubts);
	free(l);
}

static void arm(struct live *l);
static void begin(struct live *l, bool force);

static bool
token_of(const struct grant *g, struct refresh_token *ret)
{
	if (secret_empty(&g->access_token) ||
	    !secret_copy(&ret->value, &g->access_token))
		return false;
	ret->generation = g->generation;
	ret->obtained_ms = g->obtained_at * 1000;
	ret->expires_ms = g->expires_at * 1000;
	ret->refresh_ms = g->refresh_at * 1000;
	return true;
}

static void
ended(struct live *l, const struct grant *g, const struct diag *why)
{
	struct refresh_token tok = REFRESH_TOKEN_INIT;
	struct diag nomem = DIAG_INIT;

	if (g != NULL && grant_copy(&l->grant, g) && token_of(g, &tok)) {
		refresh_ended(&l->refresh, clock_now_ms(), &tok, NULL);
		return;
	}
	if (g != NULL) {
		(void)diag_nomem(&nomem);
		why = &nomem;
	}
	refresh_ended(&l->refresh, clock_now_ms(), NULL, why);
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

/* A certificate may have been replaced, or a secret's date corrected. */
static void
look_at_expiry(struct live *l)
{
	expiry_look(&l->expiry, l->account);
	announce_expiry(l);
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

	l->renewal = NULL;
	l->pool->in_flight--;
	pace_ended(l, clock_now_ms(), g != NULL ? NULL : why);
	count_renewal(l, g != NULL ? DIAG_OK : why->kind);
	announce_renewal(l, g, unsaved, why);
	if (g != NULL)
		l->unsaved = unsaved != NULL;
	ended(l, g, why);
	/* Asked for before a reload that wants something else. */
	if (g != NULL && l->grant.binding != account_binding(l->account))
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
	/* Known even if it is nothing: what another process got will do. */
	l->renewal = renew_start(l->pool->env, l->account, &l->grant,
	    l->account->min_life_s, force, renewed, l, &d);
	if (l->renewal != NULL) {
		l->pool->in_flight++;
		pace_started(l);
		return;
	}
	refresh_ended(&l->refresh, clock_now_ms(), NULL, &d);
}

/*
 * A grant that could not be written is tried again on its own, without a
 * request to the provider.
 */
static void
save_again(struct live *l)
{
	const struct store *s = l->pool->env->store;
	struct store_lock lock = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;
	auto_grant struct grant disk = GRANT_INIT;

	if (store_lock(s, l->account->name, &lock, &d) < 0)
		return;
	if (store_read(s, l->account->name, &disk, &d) >= 0 &&
	    (!grant_is_newer(&l->grant, &disk) ||
		store_write(s, &lock, l->account->name, &l->grant, &d) == 0)) {
		struct log_line line = log_event(LOG_NOTICE, "state-saved");

		l->unsaved = false;
		log_str(&line, "account", l->account->name);
		log_int(&line, "generation", l->grant.generation);
		log_send(&line);
	}
	store_unlock(&lock);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct live *l = arg;
	int64_t now = clock_now_ms();

	(void)fd;
	(void)what;
	if (l->pool->quiet)
		return;
	announce_expiry(l);
	if (l->unsaved && l->renewal == NULL)
		save_again(l);
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

	if (l->unsaved && due > now + SAVE_AGAIN_MS)
		due = now + SAVE_AGAIN_MS;
	if (due < l->not_before_ms)
		due = l->not_before_ms;
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
		/*
		 * Not one that was asked for otherwise, or by a clock that
		 * was wrong: then or now.
		 */
		if (l->grant.binding == account_binding(l->account) &&
		    l->grant.obtained_at <= clock_now_s() &&
		    token_of(&l->grant, &tok))
			refresh_load(&l->refresh, &tok);
		return;
	}
	announce_unreadable(l, &d);
	if (refresh_force(&l->refresh, clock_now_ms()))
		refresh_ended(&l->refresh, clock_now_ms(), NULL, &d);
}

/* FNV-1a. */
static uint64_t
hash_of(const char *s)
{
	uint64_t h = 14695981039346656037u;

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h;
}

/* Only to give accounts different jitter. */
static uint64_t
seed_of(const char *name)
{
	return hash_of(name) ^ (uint64_t)clock_now_ms();
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
	/* The change may be the cure: verdicts are forgotten. */
	if (l->refresh.why.kind != DIAG_OK && !l->refresh.in_flight) {
		l->refresh.why = (struct diag)DIAG_INIT;
		l->refresh.failures = 0;
		l->refresh.retry_ms = 0;
	}
	look_at_expiry(l);
	arm(l);
}

void
live_want(struct live *l, struct waiter *w)
{
	int64_t now = clock_now_ms();

	pace_look(l, now);
	pace_asker(l, now);
	if (!refresh_want(&l->refresh, now, w))
		return;
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

/*
 * Has this mailbox refused an older token not long ago?  Then no new one
 * helps it, and it must not have the others' token renewed every minute.
 */
static bool
refuses_any(struct live *l, const char *user, int64_t generation)
{
	uint64_t h = hash_of(user) | 1;
	int64_t now = clock_now_ms();
	struct doubt *d;
	bool again;

	if (l->doubts == NULL)
		l->doubts = calloc(LIVE_DOUBTS, sizeof(*l->doubts));
	if (l->doubts == NULL)
		return false;
	d = &l->doubts[h / 2 % LIVE_DOUBTS];
	again = d->user == h && d->generation < generation &&
		now - d->at_ms < REFRESH_STUCK_MS;
	if (!again)
		*d = (struct doubt){ h, generation, now };
	return again;
}

void
live_reject(struct live *l, const char *user, int64_t generation)
{
	int64_t now = clock_now_ms();
	bool go;

	if (user == NULL)
		go = refresh_reject(&l->refresh, now, generation);
	else
		go = !refuses_any(l, user, generation) &&
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

/* A refresh token that nobody uses dies at some providers; 0: not known. */
static int64_t
login_idle_at(const struct live *l)
{
	const struct provider_info *info = provider_info(l->account->provider);
	int64_t used = l->grant.obtained_at;

	if (l->account->grant != GRANT_REFRESH_TOKEN || info == NULL ||
	    info->idle_days == 0 || secret_empty(&l->grant.refresh_token))
		return 0;
	if (used < l->grant.login_at)
		used = l->grant.login_at;
	return used != 0 ? used + (int64_t)info->idle_days * DAY_S : 0;
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
	    l->account->name);
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

void
live_status(struct live *l, struct live_status *ret)
{
	const struct refresh *r = &l->refresh;
	int64_t due = refresh_due_ms(&l->refresh, clock_now_ms());

	*ret = (struct live_status){
		.account = l->account,
		.generation = l->grant.generation,
		.expires_at = l->grant.expires_at,
		.renewed_at = r->ok_ms / 1000,
		.next_at = due == INT64_MAX ? 0 : due / 1000,
		.login_at = l->grant.login_at,
		.credential_expires_at = l->expiry.at,
		.login_idle_at = login_idle_at(l),
		.failures = r->failures,
		.text = r->why.text,
	};
	for (const struct waiter *w = r->waiters.next; w != &r->waiters;
	     w = w->next)
		ret->waiting++;
	if (r->why.kind != DIAG_OK)
		ret->state = diag_kind_name(r->why.kind);
	else
		ret->state = secret_empty(&r->token.value) ? "new" : "ok";
}
