/* How old a token is, by clocks that may be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lease.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define UP	 50000			      /* ms since the host started */
#define WALL	 (1790000000 * (int64_t)1000) /* at that time */
#define YEAR	 31557600

static struct grant
grant(int64_t age_s, int64_t life_s, int64_t refresh_in_s)
{
	struct grant g = GRANT_INIT;

	assert_true(secret_set(&g.access_token, "tok", 3));
	g.generation = 7;
	g.obtained_at = WALL / 1000 - age_s;
	g.expires_at = g.obtained_at + life_s;
	g.refresh_at = refresh_in_s != 0 ? g.obtained_at + refresh_in_s : 0;
	return g;
}

static const struct {
	const char *name;
	int64_t age_s, life_s; /* as stored */
	bool unsure;
	int64_t left_s;
} stored[] = {
	{ "just now", 0, 3600, false, 3600 },
	{ "half an hour ago", 1800, 3600, false, 1800 },
	{ "before the host started", 86400, 90000, false, 3600 },
	{ "expired", 3700, 3600, false, -100 },
	{ "expired ten years ago", 10 * YEAR, 3600, false,
	    3600 - 10 * (int64_t)YEAR },
	{ "in a second", -1, 3600, true, 3600 },
	{ "in ten years", -10 * YEAR, 3600, true, 3600 },
	{ "ends before it begins", 100, -50, false, -150 },
};

static void
judges_by_the_wall_clock(void **unused)
{
	const struct lease_now now = { WALL, UP };

	(void)unused;
	for (size_t i = 0; i < N(stored); i++) {
		struct grant g = grant(stored[i].age_s, stored[i].life_s, 60);
		struct refresh_token t = REFRESH_TOKEN_INIT;

		assert_true(lease_token(&g, &now, &t));
		if (t.unsure != stored[i].unsure ||
		    t.expires_ms != UP + stored[i].left_s * 1000 ||
		    t.refresh_ms != t.obtained_ms + 60000)
			fail_msg("%s: %lld ms left", stored[i].name,
			    (long long)(t.expires_ms - UP));
		assert_int_equal(t.generation, 7);
		secret_wipe(&t.value);
		grant_wipe(&g);
	}
}

/* Its own request was seen by a clock that cannot be set. */
static void
own_tokens_know_no_wall_clock(void **unused)
{
	(void)unused;
	for (int64_t off = -60; off <= 60; off += 15) {
		const struct lease_now now = { WALL + off * YEAR * 1000, UP };
		struct refresh_token t = REFRESH_TOKEN_INIT;
		struct grant g = grant(0, 3600, 0);

		g.asked_ms = UP - 10000;
		assert_true(lease_token(&g, &now, &t));
		lease_judge_again(&g, &now, &t);
		assert_false(t.unsure);
		assert_int_equal(t.obtained_ms, UP - 10000);
		assert_int_equal(t.expires_ms, UP + 3590000);
		assert_int_equal(t.refresh_ms, 0);
		secret_wipe(&t.value);
		grant_wipe(&g);
	}
}

static const struct {
	const char *name;
	int64_t age_s;	/* by the clock at the start */
	int64_t step_s; /* then it is set by that */
	bool unsure;
	int64_t left_s;
} again[] = {
	{ "right all the time", 1800, 0, false, 1800 },
	{ "it was half an hour slow", 1200, 1800, false, 600 },
	{ "it was slow, and the token has expired", 1200, 3000, true, 2400 },
	{ "a year ahead: who is right?", 1200, YEAR, true, 2400 },
	{ "it was fast, and the token had expired", 4000, -1000, false, 600 },
	{ "back before the token", 1200, -1300, true, 2400 },
	{ "booted in 1970", -56 * (int64_t)YEAR, 56 * (int64_t)YEAR + 600,
	    false, 3000 },
	{ "booted in 1970, and it has expired", -56 * (int64_t)YEAR,
	    56 * (int64_t)YEAR + 7200, false, -3600 },
	{ "expired by both", 4000, 60, false, -460 },
	{ "expired, or from the future", 4000, -5000, true, 3600 },
};

static void
judges_again_when_it_is_set(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N(again); i++) {
		const struct lease_now was = { WALL, UP };
		const struct lease_now is = { WALL + again[i].step_s * 1000,
			UP };
		struct grant g = grant(again[i].age_s, 3600, 0);
		struct refresh_token t = REFRESH_TOKEN_INIT;

		assert_true(lease_token(&g, &was, &t));
		lease_judge_again(&g, &is, &t);
		if (t.unsure != again[i].unsure ||
		    t.expires_ms != UP + again[i].left_s * 1000)
			fail_msg("%s: %d, %lld ms left", again[i].name,
			    t.unsure, (long long)(t.expires_ms - UP));
		assert_memory_equal(t.value.ptr, "tok", 3);
		secret_wipe(&t.value);
		grant_wipe(&g);
	}
}

/* Whatever a file says, nothing overflows; UBSan watches. */
static void
survives_any_number(void **unused)
{
	static const int64_t odd[] = { 0, 1, INT32_MAX, 4102444800, INT64_MAX };

	(void)unused;
	for (size_t i = 0; i < N(odd) * N(odd) * N(odd); i++) {
		const struct lease_now now = { WALL, UP };
		struct refresh_token t = REFRESH_TOKEN_INIT;
		struct grant g = grant(0, 0, 0);

		g.obtained_at = odd[i % N(odd)];
		g.expires_at = odd[i / N(odd) % N(odd)];
		g.refresh_at = odd[i / N(odd) / N(odd)];
		assert_true(lease_token(&g, &now, &t));
		lease_judge_again(&g, &now, &t);
		secret_wipe(&t.value);
		grant_wipe(&g);
	}
}

static void
dates_what_was_asked_for(void **unused)
{
	struct grant g = grant(0, 3600, 1800);

	(void)unused;
	lease_date(&g, 5); /* read from the store: as it is */
	assert_int_equal(g.obtained_at, WALL / 1000);
	g.asked_ms = UP;
	lease_date(&g, 2000000000);
	assert_int_equal(g.obtained_at, 2000000000);
	assert_int_equal(g.expires_at, 2000003600);
	assert_int_equal(g.refresh_at, 2000001800);
	g.refresh_at = 0;
	lease_date(&g, 1000);
	assert_int_equal(g.expires_at, 4600);
	assert_int_equal(g.refresh_at, 0);
	grant_wipe(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_by_the_wall_clock),
		cmocka_unit_test(own_tokens_know_no_wall_clock),
		cmocka_unit_test(judges_again_when_it_is_set),
		cmocka_unit_test(survives_any_number),
		cmocka_unit_test(dates_what_was_asked_for),
	};

	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
