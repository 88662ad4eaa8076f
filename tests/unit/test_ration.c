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

static unsigned
take_of(struct rations *all, uint32_t id, int64_t now_ms, unsigned times)
{
	return take(rations_find(all, id, now_ms, PER_S), now_ms, times);
}

static void
each_has_its_own(void **unused)
{
	struct rations all = { 0 };

	(void)unused;
	assert_int_equal(take_of(&all, 1000, 1, 1000), MOST);
	for (uint32_t id = 1001; id < 1000 + RATIONS_MAX; id++)
		assert_int_equal(take_of(&all, id, 1, 1000), MOST);
	assert_int_equal(take_of(&all, 1000, 501, 1000), 1);
	assert_int_equal(refused, 1000 - MOST);
	rations_wipe(&all);
	rations_wipe(&all);
}

/* The others share one, as long as nobody's is full again. */
static void
of_so_many_at_most(void **unused)
{
	const int64_t full_ms = 1 + MOST * 1000 / PER_S;
	struct rations all = { 0 };

	(void)unused;
	for (uint32_t id = 0; id < RATIONS_MAX; id++)
		assert_int_equal(take_of(&all, id, 1, MOST), MOST);
	assert_int_equal(take_of(&all, 70001, 1, 1000), MOST);
	assert_int_equal(take_of(&all, 70002, 1, 1000), 0);
	/* One that has been used since then is not forgotten. */
	assert_int_equal(take_of(&all, 7, full_ms - 1, MOST), MOST - 1);
	assert_int_equal(take_of(&all, 70003, full_ms, 1000), MOST);
	assert_int_equal(take_of(&all, 70004, full_ms, 1000), MOST);
	assert_int_equal(take_of(&all, 7, full_ms, 1000), 1);
	rations_wipe(&all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_at_once),
		cmocka_unit_test(then_at_the_rate),
		cmocka_unit_test(the_clock_may_be_set),
		cmocka_unit_test(the_first_tells_of_none),
		cmocka_unit_test(each_has_its_own),
		cmocka_unit_test(of_so_many_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
