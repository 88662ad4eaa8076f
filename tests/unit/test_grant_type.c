/* The words for grants, one by one and in lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "grant_type.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
names_grants(void **unused)
{
	static const struct {
		unsigned set;
		const char *words;
	} lists[] = {
		{ 0, "" },
		{ 1, "refresh_token" },
		{ 16, "jwt_bearer" },
		{ 17, "refresh_token or jwt_bearer" },
		{ 11, "refresh_token, client_credentials or managed_identity" },
		{ 31, "refresh_token, client_credentials, workload_identity, "
		      "managed_identity or jwt_bearer" },
	};
	char list[GRANT_LIST_SIZE];
	enum grant_type g = GRANT__COUNT;

	(void)unused;
	for (size_t i = 0; i < COUNT(lists); i++)
		assert_string_equal(
		    grant_list(lists[i].set, list), lists[i].words);
	for (enum grant_type i = 0; i < GRANT__COUNT; i++) {
		assert_true(grant_name_parse(grant_name(i), &g));
		assert_int_equal(g, i);
	}
	assert_false(grant_name_parse("password", &g));
	assert_false(grant_name_parse("", &g));
	assert_string_equal(grant_name(GRANT__COUNT), "?");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_grants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
