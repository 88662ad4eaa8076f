/* Who is told of what, when, and how often. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "log.h"
#include "notify.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define MIN	 (60 * 1000)
#define HOUR	 (60 * MIN)
#define NOW	 (1790000000 * (int64_t)1000)

static char dir[] = "/tmp/test_notify.XXXXXX";
static char program[64], lines[64];

static int
set_up(void **unused)
{
	FILE *f;

	(void)unused;
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(program, sizeof(program), "/bin/sh %s/program", dir);
	(void)snprintf(lines, sizeof(lines), "%s/lines", dir);
	if ((f = fopen(program + strlen("/bin/sh "), "w")) == NULL)
		return -1;
	/* One write, with a mark at its end: two at once would be seen. */
	fprintf(f,
	    "echo \"$MAILTOKEN_EVENT|$MAILTOKEN_ACCOUNT|$MAILTOKEN_RESULT|"
	    "$MAILTOKEN_COUNT|$MAILTOKEN_TEXT\" >>%s\n"
	    "[ \"$MAILTOKEN_ACCOUNT\" != bad ]\n",
	    lines);
	return fclose(f);
}

static int
tear_down(void **unused)
{
	(void)unused;
	(void)unlink(lines);
	(void)unlink(program + strlen("/bin/sh "));
	return rmdir(dir);
}

/* What the program has heard since the last call, as lines. */
static char *
heard(void)
{
	static char text[65536];
	FILE *f = fopen(lines, "r");
	size_t n = 0;

	if (f != NULL) {
		n = fread(text, 1, sizeof(text) - 1, f);
		(void)fclose(f);
	}
	(void)unlink(lines);
	text[n] = '\0';
	return text;
}

/*
 * Lets the loop turn until so many programs have ended.  What it logs is not
 * for the terminal.
 */
static void
let(struct event_base *base, const struct notify *n, unsigned ended)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int saved = dup(STDERR_FILENO);
	uint32_t good = 0, bad = 0;

	(void)dup2(null, STDERR_FILENO);
	(void)close(null);
	for (unsigned i = 0; i < 2000; i++) {
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
		notify_counts(n, &good, &bad);
		if (good + bad >= ended)
			break;
		(void)usleep(5000);
	}
	/* And nothing more. */
	for (unsigned i = 0; i < 20; i++) {
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
		(void)usleep(5000);
	}
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	notify_counts(n, &good, &bad);
	assert_int_equal(good + bad, ended);
}

static void
state(struct notify *n, struct notified *was, enum diag_kind kind, int64_t now)
{
	struct diag d = DIAG_INIT;

	if (kind != DIAG_OK)
		(void)diag_set(&d, kind, "log in\n\033[31m now");
	notify_state(n, was, "relay", &d, now);
}

/* What an account's renewals come to. */
static void
tells_once(void **unused)
{
	static const struct {
		int64_t at;
		enum diag_kind kind;
		const char *event; /* NULL: nothing */
	} rows[] = {
		{ 0, DIAG_OK, NULL },
		{ 1 * MIN, DIAG_RETRY, NULL },
		{ 2 * MIN, DIAG_REAUTH, "login-needed" },
		{ 17 * MIN, DIAG_REAUTH, NULL },
		{ 23 * HOUR, DIAG_REAUTH, NULL },
		/* Each day that it goes on. */
		{ 24 * HOUR + 3 * MIN, DIAG_REAUTH, "login-needed" },
		/* The provider's trouble changes nothing. */
		{ 25 * HOUR, DIAG_RETRY, NULL },
		{ 26 * HOUR, DIAG_REAUTH, NULL },
		{ 27 * HOUR, DIAG_OK, "recovered" },
		{ 28 * HOUR, DIAG_OK, NULL },
		{ 29 * HOUR, DIAG_CONFIG, "change-needed" },
		/* One that comes and goes. */
		{ 29 * HOUR + 5 * MIN, DIAG_OK, "recovered" },
		{ 29 * HOUR + 10 * MIN, DIAG_CONFIG, NULL },
		{ 29 * HOUR + 15 * MIN, DIAG_OK, NULL },
		{ 29 * HOUR + 20 * MIN, DIAG_REAUTH, NULL },
		{ 30 * HOUR + 20 * MIN, DIAG_REAUTH, "login-needed" },
		{ 31 * HOUR, DIAG_CONFIG, NULL },
		{ 31 * HOUR + 30 * MIN, DIAG_CONFIG, "change-needed" },
	};
	struct event_base *base = event_base_new();
	struct notify *n = notify_new(base);
	struct notified was = { DIAG_OK, 0 };
	unsigned told = 0;

	(void)unused;
	assert_non_null(n);
	/* Nobody to tell; afterwards it is news. */
	state(n, &was, DIAG_REAUTH, NOW - HOUR);
	notify_program(n, program);
	for (size_t i = 0; i < N(rows); i++) {
		const char *text;

		state(n, &was, rows[i].kind, NOW + rows[i].at);
		if (rows[i].event != NULL)
			told++;
		let(base, n, told);
		text = heard();
		if ((rows[i].event == NULL) != (*text == '\0') ||
		    (rows[i].event != NULL && strncmp(text, rows[i].event,
						  strlen(rows[i].event)) != 0))
			fail_msg("row %zu: %s", i, text);
		if (rows[i].kind == DIAG_REAUTH && rows[i].event != NULL)
			assert_string_equal(text,
			    "login-needed|relay|reauth|1|log in??[31m now\n");
	}
	notify_free(&n);
	assert_null(n);
	notify_free(&n);
	event_base_free(base);
}

static void
sums_up_many(void **unused)
{
	struct event_base *base = event_base_new();
	struct notify *n = notify_new(base);
	struct diag d = DIAG_INIT;
	const char *text;
	uint32_t good, bad;

	(void)unused;
	(void)diag_set(&d, DIAG_CONFIG, "it ends");
	notify_program(n, program);
	for (unsigned i = 0; i < 100; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "account%u", i);
		notify_expires(n, i == 3 ? "bad" : name, &d);
	}
	let(base, n, NOTIFY_BURST + 1);
	text = heard();
	assert_non_null(strstr(text, "expires|account0|config|1|it ends\n"));
	assert_non_null(strstr(text, "expires|account9|config|1|it ends\n"));
	assert_non_null(
	    strstr(text, "\nmany|||90|90 more events: run mailtoken status\n"));
	assert_null(strstr(text, "account10"));
	notify_counts(n, &good, &bad);
	assert_int_equal(bad, 1);
	/* The window has not ended: counted. */
	notify_expires(n, "late", &d);
	let(base, n, NOTIFY_BURST + 1);
	/* No program any more: forgotten. */
	notify_program(n, NULL);
	notify_program(n, program);
	let(base, n, NOTIFY_BURST + 1);
	notify_free(&n);
	event_base_free(base);
}

static void
bears_no_program(void **unused)
{
	struct event_base *base = event_base_new();
	struct notify *n = notify_new(base);
	struct diag d = DIAG_INIT;

	(void)unused;
	(void)diag_set(&d, DIAG_CONFIG, "it ends");
	notify_program(n, "/nonexistent/program");
	for (unsigned i = 0; i < 20; i++)
		notify_expires(n, "relay", &d);
	let(base, n, NOTIFY_BURST + 1);
	/* One that hangs goes with us. */
	notify_free(&n);
	n = notify_new(base);
	notify_program(n, "/bin/sleep 60");
	notify_expires(n, "relay", &d);
	let(base, n, 0);
	notify_free(&n);
	event_base_free(base);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_once),
		cmocka_unit_test(sums_up_many),
		cmocka_unit_test(bears_no_program),
	};

	log_open("test", true);
	return cmocka_run_group_tests_name("notify", tests, set_up, tear_down);
}
