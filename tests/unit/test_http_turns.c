/* Many requests at once: who waits for whom, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http_lab.h"

static void
runs_many_at_once(void **state)
{
	static const struct timeval limit = { 20, 0 };
	static struct result r[200];
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 15000,
		.answer_max = 15 };

	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/ok", lab->server.port);
	memset(r, 0, sizeof(r));
	for (int i = 0; i < 200; i++)
		assert_non_null(http_start(lab->http, &q, ended, &r[i], &d));
	(void)event_base_loopexit(lab->base, &limit);
	for (int done = 0; done < 200 && !event_base_got_exit(lab->base);) {
		(void)event_base_loop(lab->base, EVLOOP_ONCE);
		done = 0;
		for (int i = 0; i < 200; i++)
			done += r[i].calls;
	}
	for (int i = 0; i < 200; i++) {
		assert_int_equal(r[i].calls, 1);
		assert_int_equal(r[i].status, 200);
	}
	assert_int_equal(lab->server.requests, 200);
}

/* Runs until all calls have ended, at most 20 seconds. */
static void
run_all(struct lab *lab, const struct result *r, int n)
{
	static const struct timeval limit = { 20, 0 };
	int done = 0;

	(void)event_base_loopexit(lab->base, &limit);
	while (done < n && !event_base_got_exit(lab->base)) {
		(void)event_base_loop(lab->base, EVLOOP_ONCE);
		done = 0;
		for (int i = 0; i < n; i++)
			done += r[i].calls;
	}
	for (int i = 0; i < n; i++)
		assert_int_equal(r[i].calls, 1);
}

static void
start_some(struct lab *lab, unsigned port, const char *path, int64_t timeout_ms,
    struct result *r, int n)
{
	struct diag d = DIAG_INIT;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.once = true,
		.timeout_ms = timeout_ms,
		.answer_max = 15 };

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	memset(r, 0, (size_t)n * sizeof(*r));
	for (int i = 0; i < n; i++)
		assert_non_null(http_start(lab->http, &q, ended, &r[i], &d));
}

static bool
was_not_asked(const struct result *r)
{
	return r->why.kind == DIAG_NOMEM &&
	       strstr(r->why.text, ": was not asked: no connection was free") !=
		   NULL;
}

/* Calls that wait for a free connection have a deadline, too. */
static void
queues_no_longer_than_the_timeout(void **state)
{
	static struct result r[40];
	struct lab *lab = *state;
	int not_asked = 0;

	start_some(lab, lab->server.port, "/hang", 500, r, 40);
	run_all(lab, r, 40);
	for (int i = 0; i < 40; i++)
		if (was_not_asked(&r[i]))
			not_asked++;
		else
			assert_string_equal(
			    r[i].why.text, "127.0.0.1: no answer within 1 s");
	assert_int_equal(lab->server.requests, 40 - not_asked);
	assert_in_range(not_asked, 1, 32);
}

/*
 * What was sent has its whole time for the answer, however long it queued: a
 * refresh token that is good for one use would be lost with it.
 */
static void
waits_for_all_that_it_asked(void **state)
{
	static struct result r[80];
	struct lab *lab = *state;
	unsigned answered = 0;

	lab->server.late = HEAD_("200 OK") BODY_;
	lab->server.late_by.tv_usec = 600000;
	start_some(lab, lab->server.port, "/hang", 2000, r, 80);
	run_all(lab, r, 80);
	for (int i = 0; i < 80; i++)
		if (r[i].status == 200)
			answered++;
		else if (!was_not_asked(&r[i]))
			fail_msg("%d: %s", i, r[i].why.text);
	assert_int_equal(lab->server.requests, answered);
	assert_in_range(answered, 16, 79);
}

/* HTTP/2 can put these on one connection. */
static void
lets_more_through_that_share_connections(void **state)
{
	static struct result r[32];
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 1500,
		.answer_max = 15 };

	lab->server.late = HEAD_("200 OK") BODY_;
	lab->server.late_by.tv_usec = 600000;
	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/hang", lab->server.port);
	memset(r, 0, sizeof(r));
	for (int i = 0; i < 32; i++)
		assert_non_null(http_start(lab->http, &q, ended, &r[i], &d));
	run_all(lab, r, 32);
	for (int i = 0; i < 32; i++)
		assert_int_equal(r[i].status, 200);
}

static void
holds_up_no_other_server(void **state)
{
	static struct result hang[10], given_up, r[10];
	struct lab *lab = *state;
	struct fake_server other = { .answer = answer, .arg = lab };
	struct http_call *call[8];
	struct diag d = DIAG_INIT;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.once = true,
		.timeout_ms = 15000,
		.answer_max = 15 };

	assert_int_equal(fake_server_start(&other, lab->base), 0);
	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/hang", lab->server.port);
	for (int i = 0; i < 8; i++) {
		call[i] = http_start(lab->http, &q, ended, &given_up, &d);
		assert_non_null(call[i]);
	}
	start_some(lab, lab->server.port, "/ok", 15000, hang, 10);
	start_some(lab, other.port, "/ok", 15000, r, 10);
	run_all(lab, r, 10);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(r[i].status, 200);
		assert_int_equal(hang[i].calls, 0);
	}
	/* One of the connections is enough. */
	http_cancel(&call[3]);
	run_all(lab, hang, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(hang[i].status, 200);
	for (int i = 0; i < 8; i++)
		http_cancel(&call[i]);
	assert_int_equal(given_up.calls, 0);
	fake_server_stop(&other);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(runs_many_at_once),
		T(queues_no_longer_than_the_timeout),
		T(waits_for_all_that_it_asked),
		T(lets_more_through_that_share_connections),
		T(holds_up_no_other_server),
	};

	return cmocka_run_group_tests_name(
	    "http turns", tests, start_curl, NULL);
}
