#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire.h"

#define WHOLE -2 /* takes the whole message */

static const struct {
	const char *name, *message;
	ssize_t rc;
	size_t max, pairs;
} cases[] = {
	{ "one line", "a=b\n\n", WHOLE, 100, 1 },
	{ "no bytes yet", "", 0, 100, 0 },
	{ "no line end yet", "version=1", 0, 100, 0 },
	{ "no empty line yet", "version=1\nop=get\n", 0, 100, 0 },
	{ "more behind it", "a=b\n\nc=d\n\n", 5, 100, 1 },
	{ "empty value", "a=\n\n", WHOLE, 100, 1 },
	{ "value with =", "a==b=\n\n", WHOLE, 100, 1 },
	{ "UTF-8 value", "user=\xc3\xa4@example.com\n\n", WHOLE, 100, 1 },
	{ "all letters of keys", "az_09=1\n\n", WHOLE, 100, 1 },
	{ "exactly the ceiling", "a=b\n\n", WHOLE, 5, 1 },
	{ "over the ceiling", "a=bc\n\n", -1, 5, 0 },
	{ "ceiling reached while waiting", "a=bcd", -1, 5, 0 },
	{ "empty", "\n", -1, 100, 0 },
	{ "empty, and more", "\na=b\n\n", -1, 100, 0 },
	{ "no =", "ab\n\n", -1, 100, 0 },
	{ "no key", "=b\n\n", -1, 100, 0 },
	{ "capital in the key", "Ab=c\n\n", -1, 100, 0 },
	{ "blank in the key", "a b=c\n\n", -1, 100, 0 },
	{ "carriage return", "a=b\r\n\r\n\n", -1, 100, 0 },
	{ "tab in the value", "a=b\tc\n\n", -1, 100, 0 },
	{ "DEL in the value", "a=b\x7f\n\n", -1, 100, 0 },
	{ "a key twice", "a=b\nc=d\na=b\n\n", -1, 100, 0 },
};

static void
parse(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].message);
		char *copy = malloc(len + 1); /* sanitizers see its end */
		ssize_t want =
		    cases[i].rc == WHOLE ? (ssize_t)len : cases[i].rc;
		struct diag d = DIAG_INIT;
		struct wire_msg m;
		ssize_t rc;

		assert_non_null(copy);
		memcpy(copy, cases[i].message, len);
		rc = wire_parse(copy, len, cases[i].max, &m, &d);
		if (rc != want)
			fail_msg("%s: %zd, not %zd", cases[i].name, rc, want);
		if (rc > 0)
			assert_int_equal(m.n, cases[i].pairs);
		if (rc == 0)
			assert_memory_equal(copy, cases[i].message, len);
		assert_int_equal(d.kind, rc < 0 ? DIAG_PROTO : DIAG_OK);
		free(copy);
	}
}

static void
nul_bytes(void **unused)
{
	char value[] = "a=b\0c\n\n", key[] = "a\0b=c\n\n";
	struct diag d = DIAG_INIT;
	struct wire_msg m;

	(void)unused;
	assert_int_equal(wire_parse(value, sizeof(value) - 1, 99, &m, &d), -1);
	assert_int_equal(wire_parse(key, sizeof(key) - 1, 99, &m, &d), -1);
}

static void
errors_do_not_quote(void **unused)
{
	char text[] = "token=sesame\001\n\n", twice[] = "open=1\nopen=2\n\n";
	struct diag d = DIAG_INIT;
	struct wire_msg m;

	(void)unused;
	assert_int_equal(wire_parse(text, sizeof(text) - 1, 99, &m, &d), -1);
	assert_null(strstr(d.text, "sesame"));
	assert_int_equal(wire_parse(twice, sizeof(twice) - 1, 99, &m, &d), -1);
	assert_non_null(strstr(d.text, "line 2"));
}

static void
as_many_lines_as_allowed(void **unused)
{
	(void)unused;
	for (int extra = 0; extra < 2; extra++) {
		char text[1000] = "", *at = text;
		struct diag d = DIAG_INIT;
		struct wire_msg m;
		ssize_t rc;

		for (int i = 0; i < WIRE_MAX_PAIRS + extra; i++)
			at += sprintf(at, "k%d=%d\n", i, i);
		at += sprintf(at, "\n");
		rc = wire_parse(text, (size_t)(at - text), 1000, &m, &d);
		assert_int_equal(rc, extra ? -1 : at - text);
	}
}

static void
get(void **unused)
{
	char text[] = "version=1\nv=2\nempty=\n\n";
	struct diag d = DIAG_INIT;
	struct wire_msg m;

	(void)unused;
	assert_true(wire_parse(text, sizeof(text) - 1, 99, &m, &d) > 0);
	assert_string_equal(wire_get(&m, "version"), "1");
	assert_string_equal(wire_get(&m, "v"), "2");
	assert_string_equal(wire_get(&m, "empty"), "");
	assert_null(wire_get(&m, "versio"));
	assert_null(wire_get(&m, ""));
}

static void
get_int(void **unused)
{
	static const struct {
		const char *value;
		bool ok;
		int64_t n;
	} ints[] = {
		{ "0", true, 0 },
		{ "42", true, 42 },
		{ "-7", true, -7 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "99999999999999999999", false, 0 },
		{ "", false, 0 },
		{ "-", false, 0 },
		{ "--1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "0x1", false, 0 },
		{ "1.0", false, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
		struct wire_msg m = { .n = 1 };
		int64_t n = 99;

		m.pair[0].key = "n";
		m.pair[0].value = ints[i].value;
		if (wire_get_int(&m, "n", &n) != ints[i].ok)
			fail_msg("\"%s\"", ints[i].value);
		assert_int_equal(n, ints[i].ok ? ints[i].n : 99);
		assert_false(wire_get_int(&m, "other", &n));
	}
}

static void
put(void **unused)
{
	auto_buf struct buf b = BUF_INIT(WIRE_MAX_BYTES);

	(void)unused;
	wire_put(&b, "version", WIRE_VERSION);
	wire_put(&b, "host", NULL);
	wire_put_bytes(&b, "none", NULL, 0);
	wire_put(&b, "empty", "");
	wire_put_bytes(&b, "part", "abcdef", 3);
	wire_put_int(&b, "n", -5);
	wire_end(&b);
	assert_false(b.failed);
	buf_add(&b, "", 1);
	assert_string_equal(b.ptr, "version=1\nempty=\npart=abc\nn=-5\n\n");
}

static void
put_refuses(void **unused)
{
	static const char *const bad[] = { "a\nb", "\001", "a\x7f", "\r",
		"0123456789abcdef0123456789abcdef0123456789abcdef\n" };
	auto_buf struct buf b = BUF_INIT(20);

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_wipe(&b);
		wire_put(&b, "k", bad[i]);
		assert_true(b.failed);
		assert_int_equal(b.len, 0);
	}
	buf_wipe(&b);
	wire_put_bytes(&b, "k", "a\0b", 3);
	assert_true(b.failed);
	buf_wipe(&b);
	wire_put(&b, "key", "longer than the ceiling");
	assert_true(b.failed);
	buf_wipe(&b);
	wire_put(&b, "k", "0123456789abcdef-");
	assert_false(b.failed);
	assert_int_equal(b.len, 20);
}

/* Every byte at every place of strings of every length that matters. */
static void
text(void **unused)
{
	char s[140];

	(void)unused;
	assert_int_equal(wire_text(NULL, 0), WIRE_TEXT_ASCII);
	for (size_t n = 1; n < sizeof(s); n += n < 70 ? 1 : 23)
		for (size_t at = 0; at < n; at++)
			for (int c = 0; c < 256; c++) {
				enum wire_text want = WIRE_TEXT_ASCII;

				if (c < 0x20 || c == 0x7f)
					want = WIRE_TEXT_CONTROL;
				else if (c > 0x7f)
					want = WIRE_TEXT_HIGH;
				memset(s, 'x', sizeof(s));
				s[at] = (char)c;
				if (wire_text(s, n) != want)
					fail_msg(
					    "%02x at %zu of %zu", c, at, n);
			}
	assert_int_equal(wire_text("\xff\xfe\001", 3), WIRE_TEXT_CONTROL);
}

static void
account(void **unused)
{
	static const char *const good[] = { "a", "relay@contoso.example",
		"a.b-c_d+e", "!#$%&'()", "~" };
	static const char *const bad[] = { "", ".a", "-a", "a/b", "a\\b",
		"a\"b", "[a]", "a]", "a:b", "a;b", "*", "a b", "a\tb", "a\n",
		"\xc3\xa4", "a\x7f", ".." };
	char longest[WIRE_ACCOUNT_MAX + 2];

	(void)unused;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!wire_account_ok(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (wire_account_ok(bad[i]))
			fail_msg("taken: %s", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[WIRE_ACCOUNT_MAX + 1] = '\0';
	assert_false(wire_account_ok(longest));
	longest[WIRE_ACCOUNT_MAX] = '\0';
	assert_true(wire_account_ok(longest));
}

static void
pattern(void **unused)
{
	static const char *const good[] = { "*@contoso.example", "*@a",
		"*@B.example", "*@a_b-c.example" };
	static const char *const bad[] = { "", "*", "*@", "@a", "a@b", "**@a",
		"a*@b", "*@a@b", "*@*", "*@a b", "*@a/b", "*@a:b", "*@a;b",
		"*a@b", "*@\xc3\xa4", " *@a", "*@a\n" };
	char longest[WIRE_ACCOUNT_MAX + 2] = "*@";

	(void)unused;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!wire_pattern_ok(good[i]) || wire_account_ok(good[i]))
			fail_msg("not taken as a pattern: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (wire_pattern_ok(bad[i]))
			fail_msg("taken: %s", bad[i]);
	memset(longest + 2, 'a', sizeof(longest) - 2);
	longest[WIRE_ACCOUNT_MAX + 1] = '\0';
	assert_false(wire_pattern_ok(longest));
	longest[WIRE_ACCOUNT_MAX] = '\0';
	assert_true(wire_pattern_ok(longest));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(errors_do_not_quote),
		cmocka_unit_test(as_many_lines_as_allowed),
		cmocka_unit_test(get),
		cmocka_unit_test(get_int),
		cmocka_unit_test(put),
		cmocka_unit_test(put_refuses),
		cmocka_unit_test(text),
		cmocka_unit_test(account),
		cmocka_unit_test(pattern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
