/* What accounts that share a token endpoint do to it, well or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gate.h"

#define S  1000 /* the machine counts milliseconds */
#define T0 (1000000 * (int64_t)S)
#define N  1000 /* accounts */

static const char who[N];

static bool
admits(struct gate *g, int64_t now)
{
	int64_t again;

	return gate_admits(g, now, &again);
}

static void
ends(struct gate *g, int64_t now, enum gate_end end, size_t account)
{
	gate_started(g);
	gate_ended(g, now, end, &who[account], 0);
}

/* Three accounts have failed at now. */
static struct gate
down(int64_t now)
{
	struct gate g = { .accounts = N };

	for (size_t i = 0; i < GATE_FAILURES; i++)
		ends(&g, now, GATE_FAILED, i);
	assert_true(gate_is_down(&g));
	return g;
}

static size_t
admitted_at_once(struct gate *g)
{
	size_t n = 0;

	for (; n < N && admits(g, T0); n++)
		gate_started(g);
	return n;
}

static void
few_until_it_has_answered(void **unused)
{
	struct gate g = { .accounts = N };

	(void)unused;
	assert_int_equal(admitted_at_once(&g), GATE_NEW_MAX);
	gate_ended(&g, T0, GATE_NEVER_ASKED, &who[0], 0);
	assert_int_equal(admitted_at_once(&g), 1);
	gate_ended(&g, T0, GATE_ANSWERED, &who[0], 0);
	assert_int_equal(admitted_at_once(&g), GATE_UP_MAX - GATE_NEW_MAX + 1);
}

static void
who_waits_is_let_in(void **unused)
{
	struct gate g = { .accounts = N };
	int64_t again;

	(void)unused;
	for (size_t i = 0; i < N; i++) {
		assert_true(gate_admits_asker(&g, T0, &again));
		gate_started(&g);
	}
}

/* Nor is it down for what nobody asked of it, or what it answered. */
static void
one_accounts_trouble_is_its_own(void **unused)
{
	struct gate g = { .accounts = N };

	(void)unused;
	for (size_t i = 0; i < 20; i++)
		ends(&g, T0, GATE_FAILED, 7);
	assert_false(gate_is_down(&g));
	ends(&g, T0, GATE_FAILED, 8);
	ends(&g, T0, GATE_NEVER_ASKED, 9);
	assert_false(gate_is_down(&g));
	ends(&g, T0, GATE_ANSWERED, 9);
	ends(&g, T0, GATE_FAILED, 7);
	ends(&g, T0, GATE_FAILED, 8);
	assert_false(gate_is_down(&g));
	ends(&g, T0, GATE_FAILED, 7);
	assert_true(gate_is_down(&g));
}

/* One account is asked to wait for an hour, then others see a short outage. */
static void
what_one_account_was_told_is_its_own(void **unused)
{
	struct gate g = { .accounts = N };

	(void)unused;
	gate_started(&g);
	gate_ended(&g, T0, GATE_FAILED, &who[7], 3600);
	ends(&g, T0, GATE_FAILED, 8);
	ends(&g, T0, GATE_FAILED, 9);
	assert_true(gate_is_down(&g));
	assert_false(admits(&g, T0 + GATE_PROBE_MS - 1));
	assert_true(admits(&g, T0 + GATE_PROBE_MS));
}

static void
one_at_a_time_while_it_is_down(void **unused)
{
	struct gate g = down(T0);
	unsigned requests = 0;
	int64_t again;

	(void)unused;
	assert_false(gate_admits_asker(&g, T0, &again));
	assert_int_equal(again, T0 + GATE_PROBE_MS);
	/* An hour, and 1,000 accounts each second. */
	for (int64_t now = T0; now < T0 + 3600 * S; now += S)
		for (size_t i = 0; i < N; i++) {
			if (!admits(&g, now))
				continue;
			requests++;
			gate_started(&g);
			assert_false(admits(&g, now + 3600 * S));
			gate_ended(&g, now, GATE_FAILED, &who[i], 0);
		}
	assert_in_range(requests, 115, 125);
}

static void
asks_when_it_was_told_to(void **unused)
{
	struct gate g = down(T0);

	(void)unused;
	gate_started(&g);
	gate_ended(&g, T0, GATE_FAILED, &who[5], 200);
	assert_false(admits(&g, T0 + 199 * S));
	assert_true(admits(&g, T0 + 200 * S));
}

/* It is back, but the first to ask is throttled. */
static void
one_accounts_hour_is_not_all_others(void **unused)
{
	struct gate g = down(T0);

	(void)unused;
	gate_started(&g);
	gate_ended(&g, T0, GATE_FAILED, &who[5], 3600);
	assert_false(admits(&g, T0 + GATE_TOLD_MAX_MS - 1));
	assert_true(admits(&g, T0 + GATE_TOLD_MAX_MS));
}

static void
all_come_back_at_a_pace(void **unused)
{
	struct gate g = down(T0);
	int64_t back = T0 + 3600 * S, again;
	unsigned in_minute[11] = { 0 };

	(void)unused;
	assert_false(gate_is_back(&g, T0));
	ends(&g, back, GATE_ANSWERED, 5);
	assert_true(gate_is_back(&g, T0));
	assert_false(gate_is_back(&g, back));
	for (int64_t now = back; now < back + 10 * 60 * S; now += S / 10)
		for (size_t i = 0; i < N; i++) {
			if (i % 2 == 0 ? !admits(&g, now) :
					 !gate_admits_asker(&g, now, &again))
				continue;
			/* Whoever asks is told to wait for a turn. */
			if (i % 2 == 0)
				again = now;
			assert_in_range(again - now, 0, GATE_WAIT_MS);
			in_minute[(again - back) / (60 * S)]++;
			ends(&g, now, GATE_ANSWERED, i);
		}
	for (size_t i = 0; i < 10; i++)
		assert_in_range(in_minute[i], 198, 203);
	/* Then it is as it was before. */
	for (size_t i = 0; i < N; i++)
		assert_true(
		    gate_admits_asker(&g, back + GATE_SPREAD_MS, &again));
}

/* A few accounts do not wait long for each other. */
static void
few_come_back_at_once(void **unused)
{
	struct gate g = down(T0);
	unsigned n = 0;
	int64_t again;

	(void)unused;
	g.accounts = 5;
	ends(&g, T0 + S, GATE_ANSWERED, 4);
	for (; n < 5; n++) {
		assert_true(gate_admits_asker(&g, T0 + S, &again));
		assert_true(again <= T0 + S + n * GATE_SLOT_MAX_MS);
		ends(&g, again, GATE_ANSWERED, n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_until_it_has_answered),
		cmocka_unit_test(who_waits_is_let_in),
		cmocka_unit_test(one_accounts_trouble_is_its_own),
		cmocka_unit_test(what_one_account_was_told_is_its_own),
		cmocka_unit_test(one_at_a_time_while_it_is_down),
		cmocka_unit_test(asks_when_it_was_told_to),
		cmocka_unit_test(one_accounts_hour_is_not_all_others),
		cmocka_unit_test(all_come_back_at_a_pace),
		cmocka_unit_test(few_come_back_at_once),
	};

	return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
