/* What others say in JSON, whatever they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"

#define MAX 4096

static struct json *
read_text(const char *text)
{
	return json_read(text, strlen(text), MAX);
}

static const struct {
	const char *name, *text;
	bool good;
} read_cases[] = {
	{ "an object", "{\"a\":1}", true },
	{ "an empty one", "{}", true },
	{ "space around", " \r\n\t{ } \r\n\t", true },
	{ "nothing", "", false },
	{ "space", " \n", false },
	{ "an array", "[1]", false },
	{ "a string", "\"a\"", false },
	{ "null", "null", false },
	{ "two objects", "{}{}", false },
	{ "something behind it", "{} x", false },
	{ "cut off", "{\"a\":", false },
	{ "cut off in a string", "{\"a\":\"b", false },
	{ "a comment", "{/* */}", false },
	{ "a comma too many", "{\"a\":1,}", false },
	{ "a page", "<html></html>", false },
	{ "a byte order mark", "\xef\xbb\xbf{}", false },
	{ "words in another language", "{\"a\":\"Schl\xc3\xbcssel\"}", true },
	{ "the same, and something behind", "{\"a\":\"\xc3\xbc\"} x", false },
	{ "no UTF-8", "{\"a\":\"\xfc\"}", false },
	{ "14 deep", "{\"a\":[[[[[[[[[[[[[1]]]]]]]]]]]]]}", true },
	{ "20 deep", "{\"a\":[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]}", false },
};

static void
one_object_and_nothing_else_is_read(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(read_cases) / sizeof(read_cases[0]);
	     i++) {
		struct json *j = read_text(read_cases[i].text);

		print_message("json: %s\n", read_cases[i].name);
		assert_int_equal(j != NULL, read_cases[i].good);
		json_wipe(&j);
		assert_null(j);
		json_wipe(&j);
	}
}

static void
no_nul_and_no_more_than_the_limit(void **unused)
{
	struct json *j;

	(void)unused;
	assert_null(json_read("{}\0", 3, MAX));
	assert_null(json_read("{\"a\0b\":1}", 9, MAX));
	assert_null(json_read("{\"a\":1}", 7, 6));
	j = json_read("{\"a\":1}xxx", 7, 7);
	assert_non_null(j);
	json_wipe(&j);
}

static void
strings_are_strings(void **unused)
{
	struct json *j = read_text("{\"s\":\"a\\u0041\\n\",\"e\":\"\",\"n\":1,"
				   "\"nul\":\"a\\u0000b\",\"z\":null,"
				   "\"twice\":\"1\",\"twice\":\"2\"}");

	(void)unused;
	assert_non_null(j);
	assert_string_equal(json_str(j, "s"), "aA\n");
	assert_string_equal(json_str(j, "e"), "");
	assert_null(json_str(j, "n"));
	assert_null(json_str(j, "nul"));
	assert_null(json_str(j, "z"));
	assert_null(json_str(j, "absent"));
	assert_string_equal(json_str(j, "twice"), "2");
	json_wipe(&j);
}

static const struct {
	const char *name, *value;
	bool good;
	int64_t n;
} int_cases[] = {
	{ "a number", "3599", true, 3599 },
	{ "a negative one", "-1", true, -1 },
	{ "a fraction", "1.9", true, 1 },
	{ "an exponent", "1e3", true, 1000 },
	{ "a string of one", "\"3599\"", true, 3599 },
	{ "with blanks", "\" 3599 \"", true, 3599 },
	{ "too large", "9223372036854775808", true, INT64_MAX },
	{ "far too large", "1e300", true, INT64_MAX },
	{ "far too small", "-1e300", true, INT64_MIN },
	{ "too large a string", "\"99999999999999999999\"", true, INT64_MAX },
	{ "an empty string", "\"\"", false, 0 },
	{ "blanks", "\" \"", false, 0 },
	{ "words", "\"1 hour\"", false, 0 },
	{ "a list", "[1]", false, 0 },
	{ "an object", "{}", false, 0 },
	{ "a truth", "true", false, 0 },
	{ "null", "null", false, 0 },
};

static void
numbers_are_numbers_or_strings_of_one(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(int_cases) / sizeof(int_cases[0]); i++) {
		char text[128] = "{\"n\":";
		struct json *j;
		int64_t n = 4711;

		print_message("number: %s\n", int_cases[i].name);
		strcat(text, int_cases[i].value);
		j = read_text(strcat(text, "}"));
		assert_non_null(j);
		assert_int_equal(json_int(j, "n", &n), int_cases[i].good);
		assert_int_equal(n, int_cases[i].good ? int_cases[i].n : 4711);
		assert_false(json_int(j, "absent", &n));
		json_wipe(&j);
	}
}

/* Which is no JSON, but libraries take it. */
static void
what_is_not_a_number_is_none(void **unused)
{
	static const char *const texts[] = { "{\"n\":NaN}", "{\"n\":nan}" };
	int64_t n = 4711;

	(void)unused;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct json *j = read_text(texts[i]);

		assert_false(json_int(j, "n", &n));
		assert_int_equal(n, 4711);
		json_wipe(&j);
	}
}

static void
parts_and_elements(void **unused)
{
	struct json *j = read_text(
	    "{\"o\":{\"a\":\"x\"},\"l\":[\"p\",7,\"9\",null],\"s\":\"t\"}");
	int64_t n = 4711;

	(void)unused;
	assert_non_null(j);
	assert_string_equal(json_str(json_part(j, "o"), "a"), "x");
	assert_null(json_part(j, "l"));
	assert_null(json_part(j, "s"));
	assert_null(json_part(j, "absent"));
	assert_null(json_str(json_part(j, "absent"), "a"));

	assert_string_equal(json_str_at(j, "l", 0), "p");
	assert_null(json_str_at(j, "l", 1));
	assert_null(json_str_at(j, "l", 3));
	assert_null(json_str_at(j, "l", 4));
	assert_null(json_str_at(j, "l", SIZE_MAX));
	assert_null(json_str_at(j, "s", 0));
	assert_false(json_int_at(j, "l", 0, &n));
	assert_true(json_int_at(j, "l", 1, &n));
	assert_int_equal(n, 7);
	assert_true(json_int_at(j, "l", 2, &n));
	assert_int_equal(n, 9);
	assert_false(json_int_at(j, "l", 4, &n));
	json_wipe(&j);
}

static void
of_nothing_there_is_nothing(void **unused)
{
	int64_t n = 4711;

	(void)unused;
	assert_null(json_str(NULL, "a"));
	assert_null(json_part(NULL, "a"));
	assert_null(json_str_at(NULL, "a", 0));
	assert_false(json_int(NULL, "a", &n));
	assert_false(json_int_at(NULL, "a", 0, &n));
	assert_int_equal(n, 4711);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_object_and_nothing_else_is_read),
		cmocka_unit_test(no_nul_and_no_more_than_the_limit),
		cmocka_unit_test(strings_are_strings),
		cmocka_unit_test(numbers_are_numbers_or_strings_of_one),
		cmocka_unit_test(what_is_not_a_number_is_none),
		cmocka_unit_test(parts_and_elements),
		cmocka_unit_test(of_nothing_there_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
