/* Whom the configuration names, in any account's allow or in admin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "known.h"
#include "parse_config.h"

#define NOBODYS_GID 70099

static struct config *
config_of(const char *text)
{
	struct heard h;
	struct config *c = parse(text, &h);

	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	return c;
}

static bool
is_known(const struct known *k, uid_t uid, gid_t gid)
{
	const struct peer p = { .uid = uid, .gid = gid };
	int pair[2];
	bool known;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	known = known_peer(k, pair[0], &p);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return known;
}

static void
users_and_groups(void **unused)
{
	static const struct {
		uid_t uid;
		gid_t gid;
		bool known;
	} rows[] = {
		{ 70001, NOBODYS_GID, true },
		{ 70002, NOBODYS_GID, true },
		{ 70003, NOBODYS_GID, true },
		{ 70004, NOBODYS_GID, true },
		{ 70005, NOBODYS_GID, false },
		{ 70005, 70050, true },
		{ 70005, 70051, true },
		/* A group's number is no user's. */
		{ 70050, NOBODYS_GID, false },
		{ 70005, 70001, false },
		{ 0, NOBODYS_GID, true },
	};
	struct config *c =
	    config_of("[agent]\nadmin = 70004 group:70051\n" NAMED(
		"a", "allow = 70002 70001 group:70050 70001")
		    NAMED("b", "allow = 70001 70003") NAMED("c", ""));
	struct known *k = NULL;

	(void)unused;
	assert_true(known_set(&k, c));
	for (size_t i = 0; i < COUNT(rows); i++)
		if (is_known(k, rows[i].uid, rows[i].gid) != rows[i].known)
			fail_msg("row %zu", i);
	known_free(&k);
	config_unref(&c);
}

static void
nobody_is_named(void **unused)
{
	struct config *c = config_of(NAMED("a", ""));
	struct known *k = NULL;

	(void)unused;
	assert_true(known_set(&k, c));
	assert_false(is_known(k, 70001, NOBODYS_GID));
	assert_true(is_known(k, 0, NOBODYS_GID));
	known_free(&k);
	known_free(&k);
	config_unref(&c);
}

static void
another_configuration(void **unused)
{
	struct config *one = config_of(NAMED("a", "allow = 70001"));
	struct config *two = config_of(NAMED("a", "allow = 70002"));
	struct known *k = NULL, *same;

	(void)unused;
	assert_true(known_set(&k, one));
	same = k;
	assert_true(known_set(&k, one));
	assert_ptr_equal(k, same);
	/* It goes on without the one who made it. */
	config_unref(&one);
	assert_true(is_known(k, 70001, NOBODYS_GID));
	assert_true(known_set(&k, two));
	assert_false(is_known(k, 70001, NOBODYS_GID));
	assert_true(is_known(k, 70002, NOBODYS_GID));
	known_free(&k);
	config_unref(&two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_and_groups),
		cmocka_unit_test(nobody_is_named),
		cmocka_unit_test(another_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
