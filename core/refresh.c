#include "refresh.h"

#include <stddef.h>

#define JITTER_PART 10 /* of the time until a renewal, at most one tenth */

void
refresh_init(
    struct refresh *r, int64_t min_life_ms, bool delegated, uint64_t seed)
{
	*r = (struct refresh){
		.min_life_ms = min_life_ms,
		.delegated = delegated,
		.jitter = seed | 1, /* the generator must not start at 0 */
	};
	r->waiters.prev = r->waiters.next = &r->waiters;
}

void
refresh_wipe(struct refresh *r)
{
	secret_wipe(&r->token.value);
	refresh_init(r, r->min_life_ms, r->delegated, r->jitter);
}

/* xorshift64: it only has to spread accounts and hosts apart. */
int64_t
refresh_jitter(struct refresh *r, int64_t below)
{
	r->jitter ^= r->jitter << 13;
	r->jitter ^= r->jitter >> 7;
	r->jitter ^= r->jitter << 17;
	return below > 0 ? (int64_t)(r->jitter % (uint64_t)below) : 0;
}

/*
 * A provider whose tokens live hardly longer than min_life would be asked for
 * every message: then half of the life must do.
 */
int64_t
refresh_fit_life(int64_t min_life, int64_t life)
{
	return life <= min_life + min_life / 8 ? life / 2 : min_life;
}

int64_t
refresh_min_life_ms(const struct refresh *r)
{
	int64_t life = r->token.expires_ms - r->token.obtained_ms;

	return r->token.value.ptr != NULL ?
		   refresh_fit_life(r->min_life_ms, life) :
		   r->min_life_ms;
}

/* Has a token that no server refused and that lives at least margin more. */
static bool
usable(const struct refresh *r, int64_t now, int64_t margin)
{
	return r->token.value.ptr != NULL &&
	       r->token.generation != r->rejected_generation &&
	       r->token.expires_ms - now >= margin;
}

static bool
is_rejected(const struct refresh *r)
{
	return r->token.value.ptr != NULL &&
	       r->token.generation == r->rejected_generation;
}

static bool
waiting_to_retry(const struct refresh *r, int64_t now)
{
	return r->why.kind != DIAG_OK && now < r->retry_ms;
}

static bool
may_force(const struct refresh *r, int64_t now)
{
	return r->forced_ms == 0 ||
	       now - r->forced_ms >= REFRESH_FORCE_EVERY_MS;
}

static bool
start(struct refresh *r)
{
	r->in_flight = true;
	return true;
}

/* The time cures these; REAUTH, CONFIG and DENIED need a person. */
static bool
is_transient(enum diag_kind kind)
{
	return kind == DIAG_RETRY || kind == DIAG_PROTO || kind == DIAG_NOMEM;
}

bool
refresh_is_failing(const struct refresh *r)
{
	return is_transient(r->why.kind);
}

bool
refresh_has_token(const struct refresh *r, int64_t now)
{
	return usable(r, now, 1);
}

/* From a token to the next: no provider is to be hammered. */
static int64_t
shortest_ms(const struct refresh_token *t)
{
	int64_t quarter = (t->expires_ms - t->obtained_ms) / 4;

	if (quarter < REFRESH_EVERY_MIN_MS)
		return REFRESH_EVERY_MIN_MS;
	return quarter < REFRESH_EVERY_MAX_MS ? quarter : REFRESH_EVERY_MAX_MS;
}

static void
plan_ahead(struct refresh *r)
{
	const struct refresh_token *t = &r->token;
	int64_t latest = t->expires_ms - refresh_min_life_ms(r);
	int64_t at = t->refresh_ms != 0 ?
			 t->refresh_ms :
			 t->obtained_ms + (t->expires_ms - t->obtained_ms) / 2;

	if (at > latest)
		at = latest;
	if (r->delegated && at > t->obtained_ms + REFRESH_DAILY_MS)
		at = t->obtained_ms + REFRESH_DAILY_MS;
	if (at < t->obtained_ms + shortest_ms(t))
		at = t->obtained_ms + shortest_ms(t);
	r->ahead_ms =
	    at - refresh_jitter(r, (at - t->obtained_ms) / JITTER_PART);
}

void
refresh_redate(struct refresh *r, const struct refresh_token *tok)
{
	r->token.obtained_ms = tok->obtained_ms;
	r->token.expires_ms = tok->expires_ms;
	r->token.refresh_ms = tok->refresh_ms;
	r->token.unsure = tok->unsure;
	plan_ahead(r);
}

void
refresh_load(struct refresh *r, struct refresh_token *tok)
{
	secret_move(&r->token.value, &tok->value);
	r->token.generation = tok->generation;
	refresh_redate(r, tok);
}

void
refresh_enqueue(struct refresh *r, struct waiter *w)
{
	w->prev = r->waiters.prev;
	w->next = &r->waiters;
	w->prev->next = w;
	r->waiters.prev = w;
}

static void
dequeue(struct waiter *w)
{
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->prev = w->next = NULL;
}

/* A failure stands; what it means for who asks now. */
static void
answer_failed(const struct refresh *r, int64_t now, struct waiter *w)
{
	struct diag why = r->why;

	/* A wrong clock looks like a certificate that must be replaced. */
	if ((is_transient(why.kind) ||
		(why.kind == DIAG_CONFIG && r->token.unsure)) &&
	    usable(r, now, 1)) {
		w->answer(w, &r->token, &why);
		return;
	}
	if (now < r->retry_ms && r->retry_ms != INT64_MAX)
		why.retry_after_s = (r->retry_ms - now + 999) / 1000;
	w->answer(w, NULL, &why);
}

static void
answer_refused(const struct refresh *r, int64_t now, struct waiter *w)
{
	struct diag why = DIAG_INIT;
	int64_t wait = r->forced_ms + REFRESH_FORCE_EVERY_MS - now;

	(void)diag_set(&why, DIAG_RETRY,
	    "a mail server refused the account's newest token too; its "
	    "reason is in the log of mailtokend and of the mail program");
	why.retry_after_s = wait > 0 ? (wait + 999) / 1000 : 1;
	w->answer(w, NULL, &why);
}

bool
refresh_want(struct refresh *r, int64_t now, struct waiter *w)
{
	if (!r->token.unsure && usable(r, now, refresh_min_life_ms(r))) {
		w->answer(w, &r->token, NULL);
		return false;
	}
	/* The one that is under way may take as long as the one before. */
	if (r->in_flight && refresh_is_failing(r) && usable(r, now, 1)) {
		w->answer(w, &r->token, NULL);
		return false;
	}
	if (r->in_flight) {
		refresh_enqueue(r, w);
		return false;
	}
	if (waiting_to_retry(r, now)) {
		answer_failed(r, now, w);
		return false;
	}
	if (is_rejected(r)) {
		if (!may_force(r, now)) {
			answer_refused(r, now, w);
			return false;
		}
		r->forced_ms = now;
	}
	refresh_enqueue(r, w);
	return start(r);
}

bool
refresh_would_start(const struct refresh *r, int64_t now)
{
	return !r->in_flight &&
	       (r->token.unsure || !usable(r, now, refresh_min_life_ms(r))) &&
	       !waiting_to_retry(r, now) &&
	       (!is_rejected(r) || may_force(r, now));
}

void
refresh_away(struct refresh *r, int64_t until_ms, const struct diag *why)
{
	/* Who must do something is not to be told to wait instead. */
	if (r->why.kind == DIAG_OK || is_transient(r->why.kind))
		r->why = *why;
	r->retry_ms = until_ms;
}

void
refresh_forgive(struct refresh *r, int64_t now)
{
	if (refresh_is_failing(r) && r->why.retry_after_s <= 0 &&
	    r->retry_ms > now && r->retry_ms != INT64_MAX)
		r->retry_ms = now;
}

void
refresh_late(struct refresh *r, struct waiter *w)
{
	refresh_cancel(r, w);
	w->answer(w, &r->token, NULL);
}

void
refresh_cancel(struct refresh *r, struct waiter *w)
{
	(void)r;
	if (w->next != NULL)
		dequeue(w);
}

bool
refresh_reject(struct refresh *r, int64_t now, int64_t generation)
{
	if (r->token.value.ptr == NULL || generation != r->token.generation)
		return false;
	r->rejected_generation = generation;
	if (r->in_flight || waiting_to_retry(r, now) || !may_force(r, now))
		return false;
	r->forced_ms = now;
	return start(r);
}

bool
refresh_doubt(struct refresh *r, int64_t now, int64_t generation)
{
	if (r->token.value.ptr == NULL || generation != r->token.generation ||
	    r->in_flight || waiting_to_retry(r, now) || !may_force(r, now))
		return false;
	r->forced_ms = now;
	return start(r);
}

void
refresh_forget_failure(struct refresh *r)
{
	if (r->in_flight || r->why.kind == DIAG_OK || r->why.once)
		return;
	r->failures = 0;
	r->retry_ms = 0;
}

bool
refresh_force(struct refresh *r, int64_t now)
{
	(void)now;
	r->why = (struct diag)DIAG_INIT;
	r->failures = 0;
	r->retry_ms = 0;
	return r->in_flight ? false : start(r);
}

int64_t
refresh_due_ms(struct refresh *r, int64_t now)
{
	if (r->in_flight)
		return INT64_MAX;
	if (r->why.kind != DIAG_OK)
		return r->retry_ms;
	if (r->token.value.ptr == NULL)
		return now;
	if (is_rejected(r))
		return r->forced_ms + REFRESH_FORCE_EVERY_MS;
	return r->token.unsure ? now : r->ahead_ms;
}

bool
refresh_tick(struct refresh *r, int64_t now)
{
	if (now < refresh_due_ms(r, now))
		return false;
	if (is_rejected(r))
		r->forced_ms = now;
	return start(r);
}

static int64_t
back_off(struct refresh *r, const struct diag *why)
{
	unsigned shift = r->failures < 8 ? r->failures : 8;
	int64_t wait = (int64_t)REFRESH_BACKOFF_MS << shift;
	int64_t told = why->retry_after_s;

	if (!is_transient(why->kind))
		wait = REFRESH_STUCK_MS;
	else if (wait > REFRESH_BACKOFF_MAX_MS)
		wait = REFRESH_BACKOFF_MAX_MS;
	/* Only ever later than told: many accounts share one provider. */
	if (told > REFRESH_RETRY_AFTER_MAX_S)
		told = REFRESH_RETRY_AFTER_MAX_S;
	if (wait < told * 1000)
		wait = told * 1000;
	return wait + refresh_jitter(r, wait / 5);
}

static void
failed(struct refresh *r, int64_t now, const struct diag *why)
{
	/* Until somebody orders it; a wrong PIN may be counted. */
	r->retry_ms = why->once ? INT64_MAX : now + back_off(r, why);
	r->why = *why;
	r->failed_ms = now;
	r->failures++;
}

static void
succeeded(struct refresh *r, int64_t now, struct refresh_token *tok)
{
	refresh_load(r, tok);
	r->why = (struct diag)DIAG_INIT;
	r->failures = 0;
	r->retry_ms = 0;
	r->ok_ms = now;
}

void
refresh_ended(struct refresh *r, int64_t now, struct refresh_token *tok,
    const struct diag *why)
{
	struct diag dead = DIAG_INIT;
	struct waiter todo = { .prev = &todo, .next = &todo };

	r->in_flight = false;
	if (tok != NULL && tok->expires_ms <= now) {
		(void)diag_set(&dead, DIAG_RETRY,
		    "the provider's token had expired when it came");
		secret_wipe(&tok->value);
		tok = NULL;
		why = &dead;
	}
	if (tok != NULL)
		succeeded(r, now, tok);
	else
		failed(r, now, why);

	/* answer() may ask again: only those who wait now are answered. */
	if (r->waiters.next != &r->waiters) {
		todo = r->waiters;
		todo.next->prev = todo.prev->next = &todo;
		r->waiters.prev = r->waiters.next = &r->waiters;
	}
	while (todo.next != &todo) {
		struct waiter *w = todo.next;

		dequeue(w);
		if (tok != NULL)
			w->answer(w, &r->token, NULL);
		else
			answer_failed(r, now, w);
	}
}
