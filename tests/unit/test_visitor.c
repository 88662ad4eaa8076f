/* Whose lines in the log keep back whose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "visitor.h"

void
server_session_ended(struct server *s)
{
	(void)s;
	fail();
}

/* How many of so many lines are not kept back. */
static unsigned
lines_of(uid_t uid, bool known, unsigned times)
{
	const struct peer p = { .uid = uid, .known = known };
	unsigned sent = 0;

	while (times-- > 0)
		sent += !visitor_line(&p, LOG_INFO, "token").nothing;
	return sent;
}

static void
nobody_hides_anothers(void **unused)
{
	(void)unused;
	/* However their numbers are related. */
	assert_in_range(lines_of(1000, true, 100000), 2000, 99999);
	for (uid_t other = 1001; other < 1300; other++)
		assert_int_equal(lines_of(other, true, 1), 1);
	assert_int_equal(lines_of(1000 + 65536, true, 1), 1);
	/* Among strangers it is one for all, and none of that is the known's. */
	assert_in_range(lines_of(70001, false, 1000), 20, 999);
	assert_in_range(lines_of(70002, false, 1000), 0, 2);
	assert_int_equal(lines_of(1400, true, 1), 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_hides_anothers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
