/* What an agent's accounts know together of an endpoint, each by its timer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gate.h"
#include "pace.h"

#define S   1000 /* milliseconds */
#define MIN (60 * S)
#define NOW (1000000 * (int64_t)S)
#define N   4 /* accounts */

static char endpoint[] = "https://id.example/token";
static const struct account account = { .token_endpoint = endpoint };

static struct live_pool pool;
static struct live live[N];

static int
set_up(void **unused)
{
	(void)unused;
	pool = (struct live_pool){ .quiet = false };
	for (size_t i = 0; i < N; i++) {
		live[i] = (struct live){ .pool = &pool, .account = &account };
		refresh_init(&live[i].refresh, REFRESH_MIN_LIFE_MS, true, i);
		pace_join(&live[i]);
		assert_non_null(live[i].gate);
	}
	return 0;
}

static int
tear_down(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N; i++) {
		pace_leave(&live[i]);
		refresh_wipe(&live[i].refresh);
	}
	assert_null(pool.gates);
	return 0;
}

static void
fails(struct live *l, int64_t retry_after_s)
{
	struct diag why = DIAG_INIT;

	(void)diag_set(&why, DIAG_RETRY, "503");
	why.provider = true;
	why.retry_after_s = retry_after_s;
	pace_started(l);
	pace_ended(l, NOW, &why);
}

/* However long it has said that it would be away. */
static void
who_is_put_off_notices_that_it_is_back(void **unused)
{
	struct live *due = &live[N - 1];

	(void)unused;
	for (size_t i = 0; i < N - 1; i++)
		fails(&live[i], 3600);
	assert_false(pace_ahead(due, NOW));
	assert_in_range(due->not_before_ms, NOW + S, NOW + MIN);
	assert_false(pace_ahead(due, NOW + MIN));

	/* Somebody has had one renewed by force. */
	pace_started(&live[0]);
	pace_ended(&live[0], NOW + MIN, NULL);
	/* It is spread, among four, and then has its turn. */
	assert_false(pace_ahead(due, NOW + 2 * MIN));
	assert_true(pace_ahead(due, due->not_before_ms));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    who_is_put_off_notices_that_it_is_back, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
