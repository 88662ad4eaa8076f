#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "secret.h"

static void
set_copies_and_ends_in_nul(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;
	char bytes[] = { 'a', '\0', 'b' };

	(void)unused;
	assert_true(secret_empty(&s));
	assert_true(secret_set(&s, bytes, sizeof(bytes)));
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.ptr, "a\0b", 4);
	assert_false(secret_empty(&s));
}

static void
set_takes_a_part_of_itself(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;

	(void)unused;
	assert_true(secret_set(&s, "abcdef", 6));
	assert_true(secret_set(&s, s.ptr + 2, 3));
	assert_int_equal(s.len, 3);
	assert_string_equal(s.ptr, "cde");
}

static void
no_bytes_is_a_secret_too(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;

	(void)unused;
	assert_true(secret_set(&s, NULL, 0));
	assert_true(secret_empty(&s));
	assert_string_equal(s.ptr, "");
}

static void
same_bytes(void **unused)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ NULL, NULL, true },
		{ NULL, "", true },
		{ "", "", true },
		{ "abc", "abc", true },
		{ "abc", "abd", false },
		{ "abc", "ab", false },
		{ "ab", "abc", false },
		{ NULL, "a", false },
		{ "a", NULL, false },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_secret struct secret a = SECRET_INIT, b = SECRET_INIT;

		if (cases[i].a != NULL)
			assert_true(
			    secret_set(&a, cases[i].a, strlen(cases[i].a)));
		if (cases[i].b != NULL)
			assert_true(
			    secret_set(&b, cases[i].b, strlen(cases[i].b)));
		assert_int_equal(secret_same(&a, &b), cases[i].same);
	}
}

static void
no_memory_leaves_it_as_it_was(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;

	(void)unused;
	assert_true(secret_set(&s, "keep", 4));
	assert_false(secret_set(&s, "x", SIZE_MAX));
	assert_string_equal(s.ptr, "keep");
}

static void
copy_and_move(void **unused)
{
	auto_secret struct secret a = SECRET_INIT, b = SECRET_INIT;

	(void)unused;
	assert_true(secret_set(&a, "one", 3));
	assert_true(secret_copy(&b, &a));
	assert_true(b.ptr != a.ptr);
	assert_string_equal(b.ptr, "one");
	assert_true(secret_copy(&b, &b));
	assert_string_equal(b.ptr, "one");

	assert_true(secret_set(&a, "two", 3));
	secret_move(&b, &a);
	assert_string_equal(b.ptr, "two");
	assert_null(a.ptr);
	assert_true(secret_empty(&a));

	assert_true(secret_copy(&b, &a));
	assert_true(secret_empty(&b));
	secret_move(&b, &b);
	assert_true(secret_empty(&b));
	assert_true(secret_set(&b, "three", 5));
	secret_move(&b, &b);
	assert_true(secret_empty(&b) || strcmp(b.ptr, "three") == 0);
}

static void
wipe_twice(void **unused)
{
	struct secret s = SECRET_INIT;

	(void)unused;
	secret_wipe(&s);
	assert_true(secret_set(&s, "x", 1));
	secret_wipe(&s);
	secret_wipe(&s);
	assert_null(s.ptr);
}

static void
erase_takes_any_size(void **unused)
{
	static const size_t sizes[] = { 0, 1, 1023, 1024, 1025, 2048, 5000 };
	unsigned char m[5002];

	(void)unused;
	secret_erase(NULL, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(m, 0xa5, sizeof(m));
		secret_erase(m + 1, sizes[i]);
		assert_int_equal(m[0], 0xa5);
		assert_int_equal(m[sizes[i] + 1], 0xa5);
		for (size_t j = 1; j <= sizes[i]; j++)
			assert_int_equal(m[j], 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_copies_and_ends_in_nul),
		cmocka_unit_test(set_takes_a_part_of_itself),
		cmocka_unit_test(no_bytes_is_a_secret_too),
		cmocka_unit_test(same_bytes),
		cmocka_unit_test(no_memory_leaves_it_as_it_was),
		cmocka_unit_test(copy_and_move),
		cmocka_unit_test(wipe_twice),
		cmocka_unit_test(erase_takes_any_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
