/* A log line is one line, whatever somebody puts into a name. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
	log_int(&l, "c", INT64_MAX);
	assert_string_equal(
	    l.text, "event=x a=-9223372036854775808 b=0 c=9223372036854775807");
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

/* Sends lines with fd in place of standard error, and gives that back. */
static void
send_to(int fd, unsigned lines)
{
	int was = dup(STDERR_FILENO);

	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	log_open("test", true);
	(void)alarm(10);
	for (unsigned i = 0; i < lines; i++) {
		struct log_line l = log_event(LOG_INFO, "x");

		log_send(&l);
	}
	(void)alarm(0);
	assert_int_equal(dup2(was, STDERR_FILENO), STDERR_FILENO);
	(void)close(was);
}

static void
make_ends(bool sockets, int end[2])
{
	if (sockets)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
	else
		assert_int_equal(pipe(end), 0);
}

static void
who_does_not_read_stops_nobody(void **unused)
{
	char rubbish[4096] = { 0 };
	int end[2];

	(void)unused;
	for (int sockets = 0; sockets < 2; sockets++) {
		make_ends(sockets, end);
		assert_int_equal(fcntl(end[1], F_SETFL, O_NONBLOCK), 0);
		while (write(end[1], rubbish, sizeof(rubbish)) > 0)
			;
		assert_int_equal(fcntl(end[1], F_SETFL, 0), 0);
		send_to(end[1], 100);
		(void)close(end[0]);
		/* Nor who is gone; the agent ignores SIGPIPE. */
		(void)signal(SIGPIPE, SIG_IGN);
		send_to(end[1], 1);
		(void)close(end[1]);
	}
}

static void
lines_arrive(void **unused)
{
	static const char expected[] = "event=x\nevent=x\n";
	char name[] = "/tmp/test_log.XXXXXX", got[64] = "";
	int end[2], file = mkstemp(name);

	(void)unused;
	for (int sockets = 0; sockets < 2; sockets++) {
		make_ends(sockets, end);
		send_to(end[1], 2);
		assert_int_equal(
		    read(end[0], got, sizeof(got)), sizeof(expected) - 1);
		assert_memory_equal(got, expected, sizeof(expected) - 1);
		(void)close(end[0]);
		(void)close(end[1]);
	}
	assert_true(file >= 0);
	(void)unlink(name);
	send_to(file, 2);
	assert_int_equal(
	    pread(file, got, sizeof(got), 0), sizeof(expected) - 1);
	assert_memory_equal(got, expected, sizeof(expected) - 1);
	(void)close(file);
}

static void
nothing_is_nothing(void **unused)
{
	int was = dup(STDERR_FILENO), end[2];
	struct log_line l = log_nothing();
	char got;

	(void)unused;
	log_str(&l, "k", "value");
	log_int(&l, "n", 7);
	assert_string_equal(l.text, "");
	assert_int_equal(pipe2(end, O_NONBLOCK), 0);
	assert_int_equal(dup2(end[1], STDERR_FILENO), STDERR_FILENO);
	log_send(&l);
	assert_int_equal(dup2(was, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(read(end[0], &got, 1), -1);
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
		cmocka_unit_test(who_does_not_read_stops_nobody),
		cmocka_unit_test(lines_arrive),
		cmocka_unit_test(nothing_is_nothing),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
