/* What may be done at once, and what in a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ration.h"

#define MOST  20
#define PER_S 2

static uint64_t refused;

static unsigned
take(struct ration *r, int64_t now_ms, unsigned times)
{
	unsigned got = 0;

	while (times-- > 0)
		got += ration_take(r, now_ms, MOST, PER_S, &refused);
	return got;
}

static void
so_many_at_once(void **unused)
{
	struct ration r = { 0 };

	(void)unused;
	assert_int_equal(take(&r, 1000000, 1000), MOST);
	assert_int_equal(take(&r, 1000499, 1), 0);
	assert_int_equal(take(&r, 1000500, 1000), 1);
	/* What was refused before is told once. */
	assert_int_equal(refused, 1000 - MOST + 1);
	assert_int_equal(take(&r, 1003500, 1000), 3 * PER_S);
	assert_int_equal(take(&r, 1003500 + 3600000, 1000), MOST);
}

static void
then_at_the_rate(void **unused)
{
	struct ration r = { 0 };
	unsigned got = 0;

	(void)unused;
	for (int64_t ms = 0; ms < 60000; ms++)
		got += take(&r, 5000000 + ms, 3);
	assert_in_range(got, MOST + 60 * PER_S - 1, MOST + 60 * PER_S);
}

static void
the_clock_may_be_set(void **unused)
{
	struct ration r = { 0 };

	(void)unused;
	assert_int_equal(take(&r, 9000000, 1000), MOST);
	assert_int_equal(take(&r, 10, 1000), MOST);
	assert_int_equal(take(&r, INT64_MAX / 2, 1000), MOST);
	assert_int_equal(take(&r, -5, 1000), MOST);
}

static void
the_first_tells_of_none(void **unused)
{
	struct ration r = { 0 };

	(void)unused;
	refused = 77;
	assert_int_equal(take(&r, 1, 1), 1);
	assert_int_equal(refused, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_at_once),
		cmocka_unit_test(then_at_the_rate),
		cmocka_unit_test(the_clock_may_be_set),
		cmocka_unit_test(the_first_tells_of_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
