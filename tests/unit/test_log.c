/* A log line is one line, whatever somebody puts into a name. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
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
who_reads_again_hears_how_many(void **unused)
{
	static const char expected[] = "event=log-lost lines=100\nevent=x\n";
	char rubbish[4096] = { 0 }, got[64] = "";
	int was = dup(STDERR_FILENO), end[2];
	struct log_line l = log_event(LOG_INFO, "x");

	(void)unused;
	assert_int_equal(pipe2(end, O_NONBLOCK), 0);
	while (write(end[1], rubbish, sizeof(rubbish)) > 0)
		;
	send_to(end[1], 100);
	while (read(end[0], rubbish, sizeof(rubbish)) > 0)
		;
	assert_int_equal(dup2(end[1], STDERR_FILENO), STDERR_FILENO);
	log_send(&l);
	assert_int_equal(dup2(was, STDERR_FILENO), STDERR_FILENO);
	(void)close(was);
	assert_int_equal(read(end[0], got, sizeof(got)), sizeof(expected) - 1);
	assert_memory_equal(got, expected, sizeof(expected) - 1);
	(void)close(end[0]);
	(void)close(end[1]);
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

/* What /dev/log is here. */
static struct sockaddr_un here = { .sun_family = AF_UNIX };

int __real_connect(int fd, const struct sockaddr *to, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n);

int
__wrap_connect(int fd, const struct sockaddr *to, socklen_t n)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)to;

	assert_int_equal(n, sizeof(*un));
	assert_string_equal(un->sun_path, "/dev/log");
	return __real_connect(fd, (const struct sockaddr *)&here, sizeof(here));
}

/* -1: nobody listens there. */
static int
listen_here(int type)
{
	int fd = -1;

	(void)unlink(here.sun_path);
	if (type == 0)
		return fd;
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
	assert_int_equal(
	    bind(fd, (const struct sockaddr *)&here, sizeof(here)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void
send_lines(unsigned lines)
{
	/* Who waits is killed. */
	(void)alarm(10);
	for (unsigned i = 0; i < lines; i++) {
		struct log_line l = log_event(LOG_INFO, "x");

		log_send(&l);
	}
	(void)alarm(0);
}

/* Whether there is one, with a NUL behind. */
static bool
has_line(int fd, char *ret, size_t size)
{
	ssize_t n = recv(fd, ret, size - 1, 0);

	if (n < 0)
		return false;
	ret[n] = '\0';
	return true;
}

static void
expect_line(int fd, const char *text)
{
	char line[2048];

	if (!has_line(fd, line, sizeof(line)))
		fail_msg("no line; wanted: %s", text);
	if (strstr(line, "]: ") == NULL ||
	    strcmp(strstr(line, "]: ") + 3, text) != 0)
		fail_msg("%s; wanted: %s", line, text);
}

static void
syslog_has_the_usual_form(void **unused)
{
	int fd = listen_here(SOCK_DGRAM);
	char got[2048], tail[64];
	struct tm tm = { 0 };
	const char *end;

	(void)unused;
	log_open("test", false);
	send_lines(1);
	assert_true(has_line(fd, got, sizeof(got)));
	assert_memory_equal(got, "<22>", 4);
	end = strptime(got + 4, "%b %e %H:%M:%S", &tm);
	assert_ptr_equal(end, got + 4 + strlen("Nov  2 13:00:00"));
	(void)snprintf(tail, sizeof(tail), " test[%d]: event=x", (int)getpid());
	assert_string_equal(end, tail);
	(void)close(fd);
}

static void
a_syslog_that_nobody_reads(void **unused)
{
	int fd = listen_here(SOCK_DGRAM);
	char got[2048], lost[64];
	int64_t taken = 0;

	(void)unused;
	log_open("test", false);
	send_lines(1000);
	for (; has_line(fd, got, sizeof(got)); taken++)
		assert_non_null(strstr(got, "]: event=x"));
	assert_in_range(taken, 1, 999);
	send_lines(2);
	(void)snprintf(lost, sizeof(lost), "event=log-lost lines=%lld",
	    1000 - (long long)taken);
	expect_line(fd, lost);
	expect_line(fd, "event=x");
	expect_line(fd, "event=x");
	assert_false(has_line(fd, got, sizeof(got)));
	(void)close(fd);
}

static void
a_syslog_that_comes_and_goes(void **unused)
{
	int fd = listen_here(0);

	(void)unused;
	log_open("test", false);
	send_lines(3);
	fd = listen_here(SOCK_DGRAM);
	send_lines(1);
	expect_line(fd, "event=log-lost lines=3");
	expect_line(fd, "event=x");
	/* A restart between two lines loses none. */
	(void)close(fd);
	fd = listen_here(SOCK_DGRAM);
	send_lines(1);
	expect_line(fd, "event=x");
	(void)close(fd);
	send_lines(1);
	fd = listen_here(SOCK_DGRAM);
	send_lines(1);
	expect_line(fd, "event=log-lost lines=1");
	expect_line(fd, "event=x");
	(void)close(fd);
	(void)listen_here(0);
}

static void
a_syslog_of_streams(void **unused)
{
	static const char expected[] = "]: event=x";
	int fd = listen_here(SOCK_STREAM), one;
	char got[2048];

	(void)unused;
	log_open("test", false);
	send_lines(1);
	one = accept(fd, NULL, NULL);
	assert_true(has_line(one, got, sizeof(got)));
	assert_memory_equal(got + strlen(got) + 1 - sizeof(expected), expected,
	    sizeof(expected));
	/* Full, and nobody takes other connections. */
	send_lines(20000);
	(void)close(one);
	(void)close(fd);
	send_lines(1);
	(void)listen_here(0);
}

int
main(void)
{
	char directory[] = "/tmp/test_log.XXXXXX";
	int failed;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(numbers),
		cmocka_unit_test(too_long_is_cut),
		cmocka_unit_test(who_does_not_read_stops_nobody),
		cmocka_unit_test(who_reads_again_hears_how_many),
		cmocka_unit_test(lines_arrive),
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(syslog_has_the_usual_form),
		cmocka_unit_test(a_syslog_that_nobody_reads),
		cmocka_unit_test(a_syslog_that_comes_and_goes),
		cmocka_unit_test(a_syslog_of_streams),
	};

	if (mkdtemp(directory) == NULL)
		return 1;
	(void)snprintf(
	    here.sun_path, sizeof(here.sun_path), "%s/log", directory);
	failed = cmocka_run_group_tests_name("log", tests, NULL, NULL);
	(void)unlink(here.sun_path);
	(void)rmdir(directory);
	return failed;
}
