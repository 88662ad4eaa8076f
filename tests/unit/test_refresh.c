/* The refresh policy, with time as a parameter: no sleep, no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "refresh.h"

#define S  1000 /* the machine counts milliseconds */
#define T0 (1000000 * (int64_t)S)

struct asker {
	struct waiter waiter; /* first: answer() casts back */
	unsigned answers;
	int64_t generation; /* of the token; 0: an error came */
	struct diag why;
};

static void
hear(struct waiter *w, const struct refresh_token *tok, const struct diag *why)
{
	struct asker *a = (struct asker *)w;

	a->answers++;
	a->generation = tok != NULL ? tok->generation : 0;
	a->why = tok != NULL ? (struct diag)DIAG_INIT : *why;
}

/* Asks; whoever must wait has 0 answers. */
static bool
ask(struct refresh *r, int64_t now, struct asker *a)
{
	*a = (struct asker){ .waiter.answer = hear };
	return refresh_want(r, now, &a->waiter);
}

static struct refresh_token
token(int64_t generation, int64_t obtained, int64_t life_s)
{
	struct refresh_token t = REFRESH_TOKEN_INIT;

	assert_true(secret_set(&t.value, "tok", 3));
	t.generation = generation;
	t.obtained_ms = obtained;
	t.expires_ms = obtained + life_s * S;
	return t;
}

static void
end_ok(struct refresh *r, int64_t now, int64_t generation, int64_t life_s)
{
	struct refresh_token t = token(generation, now, life_s);

	refresh_ended(r, now, &t, NULL);
}

static void
end_failed(
    struct refresh *r, int64_t now, enum diag_kind kind, int64_t retry_after_s)
{
	struct diag why = DIAG_INIT;

	(void)diag_set(&why, kind, "no luck");
	why.retry_after_s = retry_after_s;
	refresh_ended(r, now, NULL, &why);
}

static struct refresh
machine(int64_t life_s)
{
	struct refresh r;
	struct refresh_token t = token(1, T0, life_s);

	refresh_init(&r, 900 * S, true, 42);
	refresh_load(&r, &t);
	/* The list head points at itself: no copies by value from here. */
	return r;
}

#define MACHINE(name, life_s)                  \
	struct refresh name = machine(life_s); \
	name.waiters.prev = name.waiters.next = &name.waiters

static void
one_request_for_all(void **unused)
{
	struct refresh r;
	struct asker a[50];
	unsigned starts = 0;

	(void)unused;
	refresh_init(&r, 900 * S, true, 1);
	for (size_t i = 0; i < 50; i++)
		starts += ask(&r, T0, &a[i]);
	assert_int_equal(starts, 1);
	end_ok(&r, T0 + S, 7, 3600);
	for (size_t i = 0; i < 50; i++) {
		assert_int_equal(a[i].answers, 1);
		assert_int_equal(a[i].generation, 7);
	}
	assert_false(ask(&r, T0 + 2 * S, &a[0]));
	assert_int_equal(a[0].generation, 7);
	refresh_wipe(&r);
}

/* min_life decides what is fit to be handed out. */
static const struct {
	const char *name;
	int64_t life_s, age_s;
	bool served;
} lives[] = {
	{ "an hour, fresh", 3600, 0, true },
	{ "an hour, 15 min left", 3600, 2700, true },
	{ "an hour, 14 min 59 s left", 3600, 2701, false },
	{ "an hour, expired", 3600, 3600, false },
	{ "shorter than min_life: half of it is enough", 600, 300, true },
	{ "shorter than min_life: less than half", 600, 301, false },
	{ "hardly longer than min_life counts as shorter", 910, 400, true },
	{ "six seconds", 6, 3, true },
	{ "six seconds, older", 6, 4, false },
	{ "no life at all", 0, 0, false },
};

static void
min_life(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		struct asker a;
		int64_t now = T0 + lives[i].age_s * S;
		bool started;
		MACHINE(r, lives[i].life_s);

		/* Life 0 makes any margin 0, but expired is expired. */
		if (lives[i].life_s == 0)
			now++;
		started = ask(&r, now, &a);
		if (started == lives[i].served ||
		    (a.answers == 1) != lives[i].served)
			fail_msg("%s", lives[i].name);
		if (started)
			end_ok(&r, now, 2, 3600);
		refresh_wipe(&r);
	}
}

static void
ahead_of_time(void **unused)
{
	int64_t first, due;
	unsigned distinct = 0;

	(void)unused;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct refresh r;
		struct refresh_token t = token(1, T0, 3600);

		refresh_init(&r, 900 * S, true, seed * 7919);
		refresh_load(&r, &t);
		due = refresh_due_ms(&r, T0);
		/* Half of the life, and up to a tenth of that earlier. */
		assert_in_range(due, T0 + 1620 * S, T0 + 1800 * S);
		assert_int_equal(refresh_due_ms(&r, T0 + S), due);
		assert_false(refresh_tick(&r, due - 1));
		assert_true(refresh_tick(&r, due));
		assert_false(refresh_tick(&r, due)); /* in flight */
		assert_int_equal(refresh_due_ms(&r, due), INT64_MAX);
		if (seed == 1)
			first = due;
		distinct += due != first;
		end_ok(&r, due, 2, 3600);
		refresh_wipe(&r);
	}
	assert_in_range(distinct, 90, 99);
}

static void
providers_wish_and_daily(void **unused)
{
	struct refresh_token t = token(1, T0, 86400);
	struct refresh r;
	int64_t due;

	(void)unused;
	refresh_init(&r, 900 * S, true, 3);
	t.refresh_ms = T0 + 1000 * S;
	refresh_load(&r, &t);
	due = refresh_due_ms(&r, T0);
	assert_in_range(due, T0 + 900 * S, T0 + 1000 * S);

	t = token(2, T0, 90 * 86400);
	refresh_load(&r, &t);
	due = refresh_due_ms(&r, T0);
	assert_in_range(due, T0 + 77760 * S, T0 + REFRESH_DAILY_MS);

	/* App-only: nothing idles out, half of the life is soon enough. */
	r.delegated = false;
	t = token(3, T0, 90 * 86400);
	refresh_load(&r, &t);
	due = refresh_due_ms(&r, T0);
	assert_true(due > T0 + 40 * (int64_t)REFRESH_DAILY_MS);

	/* Never later than the last moment at which it may be handed out. */
	t = token(4, T0, 1200);
	refresh_load(&r, &t);
	assert_true(refresh_due_ms(&r, T0) <= T0 + 300 * S);
	refresh_wipe(&r);
}

static void
valid_token_outlives_an_outage(void **unused)
{
	struct asker a;
	int64_t now = T0 + 2701 * S;
	MACHINE(r, 3600);

	(void)unused;
	assert_true(ask(&r, now, &a)); /* below min_life: renew */
	end_failed(&r, now + S, DIAG_RETRY, 0);
	assert_int_equal(a.generation, 1); /* but it still works */
	assert_false(ask(&r, now + 2 * S, &a));
	assert_int_equal(a.generation, 1);
	/* Expired: now it is an error, with the time to wait. */
	r.retry_ms = T0 + 3700 * S;
	assert_false(ask(&r, T0 + 3600 * S, &a));
	assert_int_equal(a.why.kind, DIAG_RETRY);
	assert_int_equal(a.why.retry_after_s, 100);
	refresh_wipe(&r);
}

/* However long an attempt takes: the one before has failed. */
static void
nobody_waits_for_the_next_failure(void **unused)
{
	struct asker a;
	int64_t now = T0 + 2701 * S;
	MACHINE(r, 3600);

	(void)unused;
	assert_true(ask(&r, now, &a));
	assert_int_equal(a.answers, 0);
	refresh_late(&r, &a.waiter);
	assert_int_equal(a.generation, 1);
	end_failed(&r, now, DIAG_RETRY, 0);
	assert_int_equal(a.answers, 1);
	assert_true(refresh_tick(&r, r.retry_ms));
	assert_false(ask(&r, r.retry_ms, &a));
	assert_int_equal(a.generation, 1);
	/* Unless it has nothing to hand out. */
	assert_true(refresh_has_token(&r, T0 + 3600 * S - 1));
	assert_false(refresh_has_token(&r, T0 + 3600 * S));
	assert_false(ask(&r, T0 + 3600 * S, &a));
	assert_int_equal(a.answers, 0);
	refresh_cancel(&r, &a.waiter);
	refresh_wipe(&r);
}

/* Another account has found out. */
static void
provider_is_known_to_be_away(void **unused)
{
	struct asker a;
	struct diag why = DIAG_INIT;
	int64_t now = T0 + 2701 * S;
	MACHINE(r, 3600);

	(void)unused;
	assert_false(refresh_would_start(&r, T0));
	assert_true(refresh_would_start(&r, now));
	(void)diag_set(&why, DIAG_RETRY, "it is away");
	refresh_away(&r, now + 5 * S, &why);
	assert_false(refresh_would_start(&r, now));
	assert_false(ask(&r, now, &a));
	assert_int_equal(a.generation, 1);
	refresh_away(&r, T0 + 3605 * S, &why);
	assert_false(ask(&r, T0 + 3600 * S, &a));
	assert_string_equal(a.why.text, "it is away");
	assert_int_equal(a.why.retry_after_s, 5);
	assert_true(ask(&r, T0 + 3605 * S, &a));
	end_ok(&r, T0 + 3605 * S, 2, 3600);
	refresh_wipe(&r);
}

/* What a person must do stands, and time alone does not cure it. */
static void
verdict_while_provider_is_away(void **unused)
{
	static const struct {
		enum diag_kind kind;
		bool stands;
	} cases[] = {
		{ DIAG_RETRY, false },
		{ DIAG_PROTO, false },
		{ DIAG_NOMEM, false },
		{ DIAG_REAUTH, true },
		{ DIAG_CONFIG, true },
		{ DIAG_DENIED, true },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diag why = DIAG_INIT;
		struct refresh r;
		struct asker a;
		int64_t now = T0 + 3600 * S;

		refresh_init(&r, 900 * S, true, i);
		assert_true(ask(&r, T0, &a));
		end_failed(&r, T0, cases[i].kind, 0);
		(void)diag_set(&why, DIAG_RETRY, "it is away");
		assert_true(refresh_would_start(&r, now));
		refresh_away(&r, now + 5 * S, &why);
		assert_false(ask(&r, now, &a));
		assert_int_equal(
		    a.why.kind, cases[i].stands ? cases[i].kind : DIAG_RETRY);
		assert_string_equal(
		    a.why.text, cases[i].stands ? "no luck" : "it is away");
		assert_int_equal(a.why.retry_after_s, 5);
		assert_int_equal(refresh_is_failing(&r), !cases[i].stands);
		/* It is held back as the others are, and tried then. */
		assert_int_equal(refresh_due_ms(&r, now), now + 5 * S);
		assert_true(ask(&r, now + 5 * S, &a));
		end_ok(&r, now + 5 * S, 2, 3600);
		assert_int_equal(r.why.kind, DIAG_OK);
		refresh_wipe(&r);
	}
}

static const struct {
	const char *name;
	enum diag_kind kind;
	int64_t retry_after_s;
	bool forgiven;
} pardons[] = {
	{ "what it did", DIAG_RETRY, 0, true },
	{ "not what it told us", DIAG_RETRY, 60, false },
	{ "nor that a person is needed", DIAG_REAUTH, 0, false },
};

static void
provider_is_back(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(pardons) / sizeof(pardons[0]); i++) {
		struct refresh r;

		refresh_init(&r, 900 * S, true, 3);
		assert_true(refresh_tick(&r, T0));
		end_failed(&r, T0, pardons[i].kind, pardons[i].retry_after_s);
		assert_int_equal(r.failed_ms, T0);
		refresh_forgive(&r, T0 + S);
		if (refresh_tick(&r, T0 + S) != pardons[i].forgiven)
			fail_msg("%s", pardons[i].name);
		refresh_wipe(&r);
	}
}

static void
backs_off(void **unused)
{
	struct refresh r;
	int64_t now = T0, wait, expect = REFRESH_BACKOFF_MS;
	struct asker a;

	(void)unused;
	refresh_init(&r, 900 * S, true, 9);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(refresh_tick(&r, now));
		end_failed(&r, now, DIAG_RETRY, 0);
		wait = refresh_due_ms(&r, now) - now;
		assert_in_range(wait, expect, expect + expect / 5);
		assert_false(ask(&r, now + wait - 1, &a));
		assert_int_equal(a.answers, 1);
		assert_int_equal(a.why.kind, DIAG_RETRY);
		now += wait;
		expect = expect * 2 < REFRESH_BACKOFF_MAX_MS ?
			     expect * 2 :
			     REFRESH_BACKOFF_MAX_MS;
	}
	assert_true(ask(&r, now, &a));
	end_ok(&r, now, 1, 3600);
	assert_int_equal(r.failures, 0);
	refresh_wipe(&r);
}

static const struct {
	const char *name;
	enum diag_kind kind;
	int64_t retry_after_s, from_s, to_s; /* the wait */
} waits[] = {
	{ "retry", DIAG_RETRY, 0, 5, 6 },
	{ "Retry-After", DIAG_RETRY, 60, 60, 72 },
	{ "Retry-After shorter than ours", DIAG_RETRY, 1, 5, 6 },
	{ "Retry-After, absurd", DIAG_RETRY, 864000, 3600, 4320 },
	{ "reauth", DIAG_REAUTH, 0, 900, 1080 },
	{ "config", DIAG_CONFIG, 0, 900, 1080 },
	{ "proto", DIAG_PROTO, 0, 5, 6 },
	{ "no memory", DIAG_NOMEM, 0, 5, 6 },
};

static void
waits_by_kind(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct refresh r;
		struct asker a;
		int64_t wait;

		refresh_init(&r, 900 * S, true, 77);
		assert_true(ask(&r, T0, &a));
		end_failed(&r, T0, waits[i].kind, waits[i].retry_after_s);
		assert_int_equal(a.why.kind, waits[i].kind);
		assert_string_equal(a.why.text, "no luck");
		wait = refresh_due_ms(&r, T0) - T0;
		if (wait < waits[i].from_s * S || wait > waits[i].to_s * S)
			fail_msg("%s: %lld ms", waits[i].name, (long long)wait);
		refresh_wipe(&r);
	}
}

/* As a PIN of which the third wrong one is the last. */
static void
what_does_harm_is_tried_once(void **unused)
{
	struct diag d = DIAG_INIT;
	struct refresh r;
	struct asker a;

	(void)unused;
	refresh_init(&r, 900 * S, false, 77);
	assert_true(ask(&r, T0, &a));
	(void)diag_set(&d, DIAG_CONFIG, "wrong");
	d.once = true;
	refresh_ended(&r, T0, NULL, &d);
	for (int64_t day = 0; day < 400; day++) {
		int64_t now = T0 + day * 86400 * S;

		assert_false(refresh_tick(&r, now));
		assert_false(ask(&r, now, &a));
		assert_int_equal(a.answers, 1);
		assert_int_equal(a.why.kind, DIAG_CONFIG);
		assert_int_equal(a.why.retry_after_s, 0);
	}
	assert_true(refresh_force(&r, T0));
	end_ok(&r, T0, 1, 3600);
	refresh_wipe(&r);
}

static void
a_person_is_needed(void **unused)
{
	struct asker a;
	int64_t now = T0 + 1800 * S;
	MACHINE(r, 3600);

	(void)unused;
	assert_true(refresh_tick(&r, now));
	end_failed(&r, now, DIAG_REAUTH, 0);
	/* The token in hand is good: mail goes on ... */
	assert_false(ask(&r, now + S, &a));
	assert_int_equal(a.generation, 1);
	/* ... but a token at its end is no reason to keep quiet. */
	r.retry_ms = T0 + 2800 * S;
	assert_false(ask(&r, T0 + 2701 * S, &a));
	assert_int_equal(a.generation, 0);
	assert_int_equal(a.why.kind, DIAG_REAUTH);
	/* The person logged in: forced, at once. */
	assert_true(refresh_force(&r, T0 + 2702 * S));
	end_ok(&r, T0 + 2703 * S, 2, 3600);
	assert_false(ask(&r, T0 + 2704 * S, &a));
	assert_int_equal(a.generation, 2);
	refresh_wipe(&r);
}

static void
rejected_token(void **unused)
{
	struct asker a, b;
	MACHINE(r, 3600);

	(void)unused;
	assert_false(refresh_reject(&r, T0 + S, 99)); /* not ours */
	assert_true(refresh_reject(&r, T0 + S, 1));
	assert_false(refresh_reject(&r, T0 + S, 1)); /* in flight */
	assert_false(ask(&r, T0 + S, &a)); /* waits: 1 is not served */
	assert_int_equal(a.answers, 0);
	end_ok(&r, T0 + 2 * S, 2, 3600);
	assert_int_equal(a.generation, 2);

	/* The fresh one is refused too: no second request this minute. */
	assert_false(refresh_reject(&r, T0 + 3 * S, 2));
	for (int64_t t = 4; t < 61; t++) {
		assert_false(ask(&r, T0 + t * S, &b));
		assert_int_equal(b.answers, 1);
		assert_int_equal(b.why.kind, DIAG_RETRY);
		assert_true(b.why.retry_after_s > 0);
	}
	assert_int_equal(refresh_due_ms(&r, T0 + 60 * S), T0 + 61 * S);
	assert_true(ask(&r, T0 + 61 * S, &b));
	end_ok(&r, T0 + 62 * S, 3, 3600);
	assert_int_equal(b.generation, 3);
	/* An old generation is old news. */
	assert_false(refresh_reject(&r, T0 + 200 * S, 2));
	assert_false(ask(&r, T0 + 200 * S, &b));
	assert_int_equal(b.generation, 3);
	refresh_wipe(&r);
}

/* One mailbox of many refuses: the others go on. */
static void
doubted_token(void **unused)
{
	struct asker a;
	MACHINE(r, 3600);

	(void)unused;
	assert_false(refresh_doubt(&r, T0 + S, 99)); /* not ours */
	assert_true(refresh_doubt(&r, T0 + S, 1));
	assert_false(refresh_doubt(&r, T0 + S, 1)); /* in flight */
	assert_false(ask(&r, T0 + S, &a));
	assert_int_equal(a.generation, 1); /* served meanwhile */
	end_ok(&r, T0 + 2 * S, 2, 3600);
	assert_false(refresh_doubt(&r, T0 + 3 * S, 2)); /* once a minute */
	assert_false(ask(&r, T0 + 3 * S, &a));
	assert_int_equal(a.generation, 2);
	assert_true(refresh_doubt(&r, T0 + 62 * S, 2));
	end_failed(&r, T0 + 63 * S, DIAG_RETRY, 0);
	assert_false(ask(&r, T0 + 63 * S, &a));
	assert_int_equal(a.generation, 2);
	refresh_wipe(&r);
}

static void
rejected_and_provider_away(void **unused)
{
	struct asker a;
	MACHINE(r, 3600);

	(void)unused;
	assert_true(refresh_reject(&r, T0 + S, 1));
	end_failed(&r, T0 + S, DIAG_RETRY, 0);
	/* Valid by the clock, but a server said no: not served again. */
	assert_false(ask(&r, T0 + 2 * S, &a));
	assert_int_equal(a.why.kind, DIAG_RETRY);
	assert_string_equal(a.why.text, "no luck");
	refresh_wipe(&r);
}

static void
cancelled_waiter(void **unused)
{
	struct refresh r;
	struct asker a, b, c;

	(void)unused;
	refresh_init(&r, 900 * S, true, 1);
	assert_true(ask(&r, T0, &a));
	assert_false(ask(&r, T0, &b));
	assert_false(ask(&r, T0, &c));
	refresh_cancel(&r, &b.waiter);
	refresh_cancel(&r, &b.waiter); /* harmless */
	end_ok(&r, T0, 1, 3600);
	assert_int_equal(a.answers, 1);
	assert_int_equal(b.answers, 0);
	assert_int_equal(c.answers, 1);
	refresh_cancel(&r, &a.waiter); /* answered: nothing to do */
	refresh_wipe(&r);
}

static struct refresh *again_machine;
static struct asker again_second;

static void
ask_again(
    struct waiter *w, const struct refresh_token *tok, const struct diag *why)
{
	hear(w, tok, why);
	(void)ask(again_machine, T0, &again_second);
}

static void
answer_asks_again(void **unused)
{
	struct refresh r;
	struct asker a = { .waiter.answer = ask_again };

	(void)unused;
	refresh_init(&r, 900 * S, true, 1);
	again_machine = &r;
	assert_true(refresh_want(&r, T0, &a.waiter));
	end_ok(&r, T0, 5, 3600);
	assert_int_equal(a.generation, 5);
	assert_int_equal(again_second.generation, 5);
	refresh_wipe(&r);
}

static void
token_that_came_dead(void **unused)
{
	struct refresh r;
	struct refresh_token t = token(1, T0 - 10 * S, 5);
	struct asker a;

	(void)unused;
	refresh_init(&r, 900 * S, true, 1);
	assert_true(ask(&r, T0, &a));
	refresh_ended(&r, T0, &t, NULL);
	assert_int_equal(a.why.kind, DIAG_RETRY);
	assert_int_equal(r.failures, 1);
	refresh_wipe(&r);
}

/* No provider is asked more often than that ahead of time. */
static void
not_hammered(void **unused)
{
	static const struct {
		int64_t life_s, refresh_in_s, from_s, to_s;
	} table[] = {
		{ 1, 0, 4, 5 },
		{ 8, 0, 4, 5 },
		{ 60, 0, 27, 30 },
		{ 3600, 1, 54, 60 },
		{ 3600, 1800, 1620, 1800 },
		{ 100, 1, 22, 25 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct refresh_token t = token(1, T0, table[i].life_s);
		struct refresh r;

		refresh_init(&r, 900 * S, true, i + 1);
		if (table[i].refresh_in_s != 0)
			t.refresh_ms = T0 + table[i].refresh_in_s * S;
		refresh_load(&r, &t);
		assert_in_range(refresh_due_ms(&r, T0),
		    T0 + table[i].from_s * S, T0 + table[i].to_s * S);
		refresh_wipe(&r);
	}
}

/* Of unknown age: the last resort. */
static void
unsure_token(void **unused)
{
	struct refresh_token t = token(1, T0, 3600);
	struct refresh r;
	struct asker a;

	(void)unused;
	refresh_init(&r, 900 * S, true, 1);
	t.unsure = true;
	refresh_load(&r, &t);
	assert_int_equal(refresh_due_ms(&r, T0), T0);
	/* Nobody gets it before the provider was asked, */
	assert_true(ask(&r, T0, &a));
	assert_int_equal(a.answers, 0);
	/* who is away: better than nothing, */
	end_failed(&r, T0 + S, DIAG_RETRY, 0);
	assert_int_equal(a.generation, 1);
	assert_false(ask(&r, T0 + 2 * S, &a));
	assert_int_equal(a.generation, 1);
	/* or whose certificate has expired, by the wrong clock, */
	assert_true(refresh_tick(&r, T0 + 10 * S));
	end_failed(&r, T0 + 11 * S, DIAG_CONFIG, 0);
	assert_false(ask(&r, T0 + 12 * S, &a));
	assert_int_equal(a.generation, 1);
	refresh_forget_failure(&r);
	/* but not if a person is needed, */
	assert_true(refresh_tick(&r, T0 + 10 * S));
	end_failed(&r, T0 + 11 * S, DIAG_REAUTH, 0);
	assert_false(ask(&r, T0 + 12 * S, &a));
	assert_int_equal(a.why.kind, DIAG_REAUTH);
	/* nor once a server has refused it. */
	refresh_forget_failure(&r);
	(void)refresh_reject(&r, T0 + 13 * S, 1);
	end_failed(&r, T0 + 14 * S, DIAG_RETRY, 0);
	assert_false(ask(&r, T0 + 15 * S, &a));
	assert_int_equal(a.why.kind, DIAG_RETRY);
	/* A new one is known again. */
	assert_true(refresh_force(&r, T0 + 16 * S));
	end_ok(&r, T0 + 17 * S, 2, 3600);
	assert_false(ask(&r, T0 + 18 * S, &a));
	assert_int_equal(a.generation, 2);
	refresh_wipe(&r);
}

/* What a wrong clock may have caused is tried again when that is set. */
static void
forgives(void **unused)
{
	struct diag pin = DIAG_INIT;
	struct asker a;
	MACHINE(r, 0);

	(void)unused;
	assert_true(ask(&r, T0 + S, &a));
	end_failed(&r, T0 + S, DIAG_CONFIG, 0);
	assert_in_range(refresh_due_ms(&r, T0), T0 + 900 * S, INT64_MAX);
	refresh_forget_failure(&r);
	assert_in_range(refresh_due_ms(&r, T0 + 2 * S), 0, T0 + 10 * S);
	assert_true(ask(&r, T0 + 20 * S, &a));
	refresh_forget_failure(&r); /* in flight: nothing to forgive */
	(void)diag_set(&pin, DIAG_CONFIG, "wrong PIN");
	pin.once = true;
	refresh_ended(&r, T0 + 21 * S, NULL, &pin);
	refresh_forget_failure(&r);
	assert_int_equal(refresh_due_ms(&r, T0 + 22 * S), INT64_MAX);
	refresh_wipe(&r);
}

/* Nor is it said to be well before it is, with a token that still works. */
static void
forgives_but_does_not_forget(void **unused)
{
	MACHINE(r, 0);

	(void)unused;
	assert_true(refresh_force(&r, T0));
	end_ok(&r, T0, 1, 3600);
	assert_true(refresh_tick(&r, T0 + 2000 * S));
	end_failed(&r, T0 + 2001 * S, DIAG_REAUTH, 0);
	refresh_forget_failure(&r);
	assert_int_equal(r.why.kind, DIAG_REAUTH);
	assert_true(refresh_due_ms(&r, T0 + 2002 * S) <= T0 + 2002 * S);
	assert_true(refresh_tick(&r, T0 + 2002 * S));
	end_ok(&r, T0 + 2003 * S, 2, 3600);
	assert_int_equal(r.why.kind, DIAG_OK);
	refresh_wipe(&r);
}

/* A day with a lively server and a minute's tokens: requests are bounded. */
static void
no_storm(void **unused)
{
	struct refresh r;
	unsigned requests = 0;
	int64_t generation = 0;

	(void)unused;
	refresh_init(&r, 900 * S, true, 5);
	for (int64_t t = T0; t < T0 + 3600 * S; t += S) {
		struct asker a;
		bool started = refresh_tick(&r, t);

		if (!started)
			started = ask(&r, t, &a);
		if (started) {
			requests++;
			end_ok(&r, t, ++generation, 60);
		}
	}
	/* Half of 60 s, at most a tenth of that earlier: 120 to 134. */
	assert_in_range(requests, 120, 140);
	refresh_wipe(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_request_for_all),
		cmocka_unit_test(min_life),
		cmocka_unit_test(ahead_of_time),
		cmocka_unit_test(providers_wish_and_daily),
		cmocka_unit_test(valid_token_outlives_an_outage),
		cmocka_unit_test(nobody_waits_for_the_next_failure),
		cmocka_unit_test(provider_is_known_to_be_away),
		cmocka_unit_test(verdict_while_provider_is_away),
		cmocka_unit_test(provider_is_back),
		cmocka_unit_test(backs_off),
		cmocka_unit_test(waits_by_kind),
		cmocka_unit_test(what_does_harm_is_tried_once),
		cmocka_unit_test(a_person_is_needed),
		cmocka_unit_test(rejected_token),
		cmocka_unit_test(doubted_token),
		cmocka_unit_test(rejected_and_provider_away),
		cmocka_unit_test(cancelled_waiter),
		cmocka_unit_test(answer_asks_again),
		cmocka_unit_test(token_that_came_dead),
		cmocka_unit_test(not_hammered),
		cmocka_unit_test(unsure_token),
		cmocka_unit_test(forgives),
		cmocka_unit_test(forgives_but_does_not_forget),
		cmocka_unit_test(no_storm),
	};

	return cmocka_run_group_tests_name("refresh", tests, NULL, NULL);
}
