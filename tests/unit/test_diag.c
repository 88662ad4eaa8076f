#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "diag.h"

static void
set_replaces_everything(void **unused)
{
	struct diag d = { DIAG_RETRY, 30, "old", true, true };

	(void)unused;
	assert_int_equal(diag_set(&d, DIAG_CONFIG, "%s:%d", "a.conf", 7), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_false(d.once || d.provider);
	assert_int_equal(d.retry_after_s, 0);
	assert_string_equal(d.text, "a.conf:7");
}

static void
set_may_quote_itself(void **unused)
{
	struct diag d = DIAG_INIT;

	(void)unused;
	(void)diag_set(&d, DIAG_RETRY, "inner");
	(void)diag_set(&d, DIAG_RETRY, "%s, again %s", d.text, d.text);
	assert_string_equal(d.text, "inner, again inner");
}

static void
wrap_keeps_kind_and_time(void **unused)
{
	struct diag d = { DIAG_RETRY, 30, "no route", false, true };

	(void)unused;
	assert_int_equal(diag_wrap(&d, "account %s", "a@example.com"), -1);
	assert_int_equal(d.kind, DIAG_RETRY);
	assert_int_equal(d.retry_after_s, 30);
	assert_true(d.provider);
	assert_string_equal(d.text, "account a@example.com: no route");
}

static void
one_printable_line(void **unused)
{
	struct diag d = DIAG_INIT;

	(void)unused;
	(void)diag_set(&d, DIAG_PROTO, "%s", "a\r\nb\001\x7f\xc3\xa4\tc");
	assert_string_equal(d.text, "a??b?????c");
	(void)diag_wrap(&d, "%s", "x\ny");
	assert_string_equal(d.text, "x?y: a??b?????c");
}

static void
too_long_is_cut_and_shows_it(void **unused)
{
	char big[2000];
	struct diag d = DIAG_INIT;

	(void)unused;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	(void)diag_set(&d, DIAG_PROTO, "%s", big);
	assert_int_equal(strlen(d.text), sizeof(d.text) - 1);
	assert_string_equal(d.text + sizeof(d.text) - 5, "x...");

	(void)diag_set(&d, DIAG_PROTO, "%.500s", big);
	assert_null(strstr(d.text, "..."));
	(void)diag_wrap(&d, "%s", "a rather long outer text");
	assert_int_equal(strlen(d.text), sizeof(d.text) - 1);
	assert_string_equal(d.text + sizeof(d.text) - 5, "x...");
	(void)diag_wrap(&d, "%s", big);
	assert_int_equal(strlen(d.text), sizeof(d.text) - 1);
	assert_string_equal(d.text + sizeof(d.text) - 5, "x...");
}

static void
kinds_have_words(void **unused)
{
	enum diag_kind k;

	(void)unused;
	for (unsigned i = 0; i < DIAG__COUNT; i++) {
		const char *word = diag_kind_name((enum diag_kind)i);

		assert_non_null(word);
		k = DIAG__COUNT;
		assert_true(diag_kind_parse(word, &k));
		assert_int_equal(k, i == DIAG_NOMEM ? DIAG_RETRY : i);
	}
	k = DIAG_PROTO;
	assert_false(diag_kind_parse("nomem", &k));
	assert_false(diag_kind_parse("", &k));
	assert_false(diag_kind_parse("Retry", &k));
	assert_int_equal(k, DIAG_PROTO);
}

static void
out_of_memory_needs_none(void **unused)
{
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(diag_nomem(&d), -1);
	assert_int_equal(d.kind, DIAG_NOMEM);
	assert_true(strlen(d.text) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_replaces_everything),
		cmocka_unit_test(set_may_quote_itself),
		cmocka_unit_test(wrap_keeps_kind_and_time),
		cmocka_unit_test(one_printable_line),
		cmocka_unit_test(too_long_is_cut_and_shows_it),
		cmocka_unit_test(kinds_have_words),
		cmocka_unit_test(out_of_memory_needs_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
