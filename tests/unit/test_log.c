/* A log line is one line, whatever somebody puts into a name. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

static const struct {
	const char *name, *value, *line;
} cases[] = {
	{ "plain", "relay@contoso.example", "event=x k=relay@contoso.example" },
	{ "left out", "", "event=x" },
	{ "absent", NULL, "event=x" },
	{ "a blank is quoted", "a b", "event=x k=\"a b\"" },
	{ "a forged field is quoted", "a result=ok",
	    "event=x k=\"a result=ok\"" },
	{ "a quote cannot end it", "a\" result=ok",
	    "event=x k=\"a' result=ok\"" },
	{ "a forged line", "a\nevent=y", "event=x k=\"a?event=y\"" },
	{ "escape sequences", "\033[2J", "event=x k=?[2J" },
	{ "not ASCII", "\303\244", "event=x k=??" },
};

static void
values(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct log_line l = log_event(LOG_INFO, "x");

		log_str(&l, "k", cases[i].value);
		if (strcmp(l.text, cases[i].line) != 0)
			fail_msg("%s: %s", cases[i].name, l.text);
	}
}

static void
numbers(void **unused)
{
	struct log_line l = log_event(LOG_INFO, "x");

	(void)unused;
	log_int(&l, "a", INT64_MIN);
	log_int(&l, "b", 0);
	assert_string_equal(l.text, "event=x a=-9223372036854775808 b=0");
}

static void
too_long_is_cut(void **unused)
{
	struct log_line l = log_event(LOG_INFO, "x");
	char big[2000];

	(void)unused;
	memset(big, 'v', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (unsigned i = 0; i < 10; i++)
		log_str(&l, "k", big);
	assert_int_equal(l.len, sizeof(l.text) - 2);
	assert_int_equal(strlen(l.text), l.len);
}

/* Fills a pipe in place of standard error, and gives that back. */
static void
a_full_pipe_stops_nobody(void **unused)
{
	int was = dup(STDERR_FILENO), end[2];
	char rubbish[4096] = { 0 };

	(void)unused;
	assert_int_equal(pipe(end), 0);
	assert_int_equal(fcntl(end[1], F_SETFL, O_NONBLOCK), 0);
	while (write(end[1], rubbish, sizeof(rubbish)) > 0)
		;
	assert_int_equal(fcntl(end[1], F_SETFL, 0), 0);
	assert_int_equal(dup2(end[1], STDERR_FILENO), STDERR_FILENO);
	(void)alarm(10);
	for (unsigned i = 0; i < 100; i++) {
		struct log_line l = log_event(LOG_INFO, "x");

		log_send(&l);
	}
	(void)alarm(0);
	assert_int_equal(dup2(was, STDERR_FILENO), STDERR_FILENO);
	(void)close(was);
	(void)close(end[0]);
	(void)close(end[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(numbers),
		cmocka_unit_test(too_long_is_cut),
		cmocka_unit_test(a_full_pipe_stops_nobody),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
