#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"

static void
appends_in_order(void **unused)
{
	auto_buf struct buf b = BUF_INIT(100);

	(void)unused;
	assert_null(b.ptr);
	buf_adds(&b, "a=");
	buf_add(&b, "\0x", 2);
	buf_addi(&b, 42);
	buf_add(&b, NULL, 0);
	assert_false(b.failed);
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.ptr, "a=\0x42", 6);
}

static void
numbers(void **unused)
{
	static const struct {
		int64_t n;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 7, "7" },
		{ -1, "-1" },
		{ 1790000000, "1790000000" },
		{ INT64_MAX, "9223372036854775807" },
		{ INT64_MIN, "-9223372036854775808" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_buf struct buf b = BUF_INIT(100);

		buf_addi(&b, cases[i].n);
		assert_int_equal(b.len, strlen(cases[i].text));
		assert_memory_equal(b.ptr, cases[i].text, b.len);
	}
}

static void
grows_up_to_its_ceiling(void **unused)
{
	auto_buf struct buf b = BUF_INIT(5000);

	(void)unused;
	for (int i = 0; i < 5000; i++)
		buf_add(&b, "x", 1);
	assert_false(b.failed);
	assert_int_equal(b.len, 5000);
	assert_true(b.cap <= 5000);
	buf_add(&b, "x", 1);
	assert_true(b.failed);
	assert_int_equal(b.len, 5000);
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(b.ptr[i], 'x');
}

static void
a_failure_sticks(void **unused)
{
	auto_buf struct buf b = BUF_INIT(4);

	(void)unused;
	buf_adds(&b, "abcde");
	assert_true(b.failed);
	buf_adds(&b, "a");
	assert_null(buf_room(&b, 1));
	assert_int_equal(b.len, 0);
	buf_wipe(&b);
	assert_false(b.failed);
	assert_int_equal(b.max, 4);
	buf_adds(&b, "abcd");
	assert_false(b.failed);
	assert_null(buf_room(&b, SIZE_MAX));
	assert_true(b.failed);
}

static void
room_is_behind_what_is_there(void **unused)
{
	auto_buf struct buf b = BUF_INIT(1000);
	char *room;

	(void)unused;
	buf_adds(&b, "head");
	room = buf_room(&b, 996);
	assert_non_null(room);
	assert_ptr_equal(room, b.ptr + 4);
	memset(room, 'y', 996);
	b.len += 996;
	assert_memory_equal(b.ptr, "heady", 5);
	assert_null(buf_room(&b, 1));
}

static void
drop_moves_and_overwrites(void **unused)
{
	auto_buf struct buf b = BUF_INIT(100);

	(void)unused;
	buf_drop(&b, 0);
	buf_adds(&b, "secretrest");
	buf_drop(&b, 6);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.ptr, "rest\0\0\0\0\0\0", 10);
	buf_drop(&b, 4);
	assert_int_equal(b.len, 0);
	assert_memory_equal(b.ptr, "\0\0\0\0", 4);
	buf_wipe(&b);
	buf_wipe(&b);
	assert_null(b.ptr);
}

static void
becomes_a_secret(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;
	struct buf b = BUF_INIT(100);

	(void)unused;
	assert_true(secret_set(&s, "old", 3));
	buf_adds(&b, "token=sesame; and more");
	buf_to_secret(&b, 6, 6, &s);
	assert_null(b.ptr);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 100);
	assert_int_equal(s.len, 6);
	assert_memory_equal(
	    s.ptr, "sesame\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_in_order),
		cmocka_unit_test(numbers),
		cmocka_unit_test(grows_up_to_its_ceiling),
		cmocka_unit_test(a_failure_sticks),
		cmocka_unit_test(room_is_behind_what_is_there),
		cmocka_unit_test(drop_moves_and_overwrites),
		cmocka_unit_test(becomes_a_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
