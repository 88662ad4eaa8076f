/* One renewal, with a server of one-time refresh tokens and a real store. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "cleanup.h"
#include "renew_lab.h"

static void
rotates(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;

	start_with(lab, &g);
	renew(&lab->env, lab->account, &g, false);
	assert_true(result.have && !result.have_unsaved);
	expect(&result.g, 6, "at-0", "rt-1", "rt-0");
	assert_int_equal(result.g.obtained_at, NOW);
	assert_int_equal(result.g.expires_at, NOW + 3600);
	assert_int_equal(result.g.refresh_at, NOW + 1800);
	assert_int_equal(result.g.login_at, NOW - 86400);
	expect_disk(lab, 6, "at-0", "rt-1", "rt-0");
	/* And again; without a known grant the disk's token is good enough, */
	renew(&lab->env, lab->account, NULL, false);
	expect(&result.g, 6, "at-0", "rt-1", "rt-0");
	assert_int_equal(lab->server.requests, 1);
	/* unless somebody insists. */
	renew(&lab->env, lab->account, NULL, true);
	expect(&result.g, 7, "at-1", "rt-2", "rt-1");
	assert_int_equal(lab->server.requests, 2);
	expect_rest(lab);
}

static void
keeps_the_refresh_token(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;

	start_with(lab, &g);
	lab->keep = true;
	renew(&lab->env, lab->account, &g, false);
	expect_disk(lab, 6, "at-0", "rt-0", "");
	assert_int_equal(result.g.refresh_at, 0);
}

static void
takes_what_others_renewed(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant known = GRANT_INIT, g = GRANT_INIT;

	start_with(lab, &known);
	assert_true(grant_copy(&g, &known));
	g.generation = 6;
	g.expires_at = NOW + 900;
	set(&g.access_token, "at-theirs");
	put(lab, &g);
	for (int force = 0; force < 2; force++) {
		renew(&lab->env, lab->account, &known, force != 0);
		expect(&result.g, 6, "at-theirs", "rt-0", "");
	}
	assert_int_equal(lab->server.requests, 0);
	/* One that lives too short is not good enough, */
	g.expires_at = NOW + 899;
	put(lab, &g);
	renew(&lab->env, lab->account, &known, false);
	expect(&result.g, 7, "at-0", "rt-1", "rt-0");
	assert_int_equal(lab->server.requests, 1);
	/* nor is one for another scope, say, */
	g.expires_at = NOW + 3600;
	g.binding++;
	set(&g.refresh_token, "rt-1");
	put(lab, &g);
	renew(&lab->env, lab->account, &known, false);
	assert_int_equal(lab->server.requests, 2);
	/* nor one from the future: somebody's clock is wrong. */
	g.binding--;
	g.obtained_at = NOW + 1;
	set(&g.refresh_token, "rt-2");
	put(lab, &g);
	renew(&lab->env, lab->account, &known, false);
	expect(&result.g, 7, "at-2", "rt-3", "rt-2");
	assert_int_equal(lab->server.requests, 3);
}

static void
leaves_the_file_after_a_refusal(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;

	start_with(lab, &g);
	lab->refuse = true;
	renew(&lab->env, lab->account, &g, true);
	assert_false(result.have);
	assert_int_equal(result.why.kind, DIAG_REAUTH);
	assert_non_null(strstr(result.why.text, "invalid_grant (AADSTS70000)"));
	expect_disk(lab, 5, "at-old", "rt-0", "");
	expect_rest(lab);
	/* Nobody there at all. */
	evconnlistener_free(lab->server.listener);
	renew(&lab->env, lab->account, &g, true);
	assert_int_equal(result.why.kind, DIAG_RETRY);
	expect_disk(lab, 5, "at-old", "rt-0", "");
	assert_int_equal(fake_server_start(&lab->server, lab->base), 0);
}

static void
says_what_is_missing(void **state)
{
	struct lab *lab = *state;
	auto_close int fd = -1;

	renew(&lab->env, lab->account, NULL, false);
	assert_int_equal(result.why.kind, DIAG_REAUTH);
	assert_string_equal(result.why.text,
	    "no refresh token yet: run mailtoken login " ACCOUNT);
	fd = openat(
	    lab->store.dirfd, ACCOUNT ".grant", O_CREAT | O_WRONLY, 0600);
	renew(&lab->env, lab->account, NULL, false);
	assert_int_equal(result.why.kind, DIAG_CONFIG);
	assert_non_null(strstr(result.why.text, "is empty"));
	assert_int_equal(lab->server.requests, 0);
}

/*
 * The clock is set while the provider thinks: the token's life begins when it
 * was asked for, and what is stored is by the new time.
 */
static void
counts_on_a_steady_clock(void **state)
{
	static const int64_t steps[] = { 0, 3600, -3600, 56 * 31557600,
		-20 * 31557600 };
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int64_t asked = now_ms;

		start_with(lab, &g);
		lab->takes_ms = 7000;
		lab->steps_s = steps[i];
		renew(&lab->env, lab->account, &g, true);
		assert_true(result.have);
		assert_int_equal(result.g.asked_ms, asked);
		assert_int_equal(result.g.obtained_at, wall_s(asked));
		assert_int_equal(result.g.expires_at, wall_s(asked) + 3600);
		lab->current = 0;
		grant_wipe(&g);
		ahead_s = NOW - 5 - now_ms / 1000;
	}
}

/* Obtained after now, by this clock: nobody knows when. */
static void
distrusts_the_future(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;

	start_with(lab, &g);
	g.obtained_at = NOW - 1;
	g.expires_at = NOW + 3599;
	put(lab, &g);
	renew(&lab->env, lab->account, NULL, false);
	assert_int_equal(lab->server.requests, 0);
	assert_int_equal(result.g.asked_ms, 0);
	ahead_s -= 2;
	renew(&lab->env, lab->account, NULL, false);
	assert_int_equal(lab->server.requests, 1);
	expect(&result.g, 6, "at-0", "rt-1", "rt-0");
}

/* No socket to ask with is nobody else's trouble. */
static void
blames_no_provider_for_what_this_host_lacks(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	struct rlimit before, l;
	bool found = false;

	start_with(lab, &g);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	/* The first few are for the store. */
	for (rlim_t more = 0; more < 12 && !found; more++) {
		int fd = dup(0);

		assert_true(fd >= 0);
		assert_int_equal(close(fd), 0);
		l = before;
		l.rlim_cur = (rlim_t)fd + more;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
		renew(&lab->env, lab->account, &g, true);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_false(result.have || result.why.provider);
		found = strstr(result.why.text, "was not asked") != NULL;
	}
	assert_true(found);
	assert_int_equal(result.why.kind, DIAG_NOMEM);
	assert_int_equal(lab->server.requests, 0);
	expect_disk(lab, 5, "at-old", "rt-0", "");
	expect_rest(lab);
}

static void
cancels(void **state)
{
	static const struct timeval a_while = { 0, 100000 };
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;
	struct renewal *r;

	start_with(lab, &g);
	result.calls = 0;
	for (int i = 0; i < 2; i++) {
		/* Before it began, and with the request under way. */
		r = renew_start(
		    &lab->env, lab->account, &g, 900, false, ended, NULL, &d);
		assert_non_null(r);
		if (i == 1) {
			(void)event_base_loopexit(lab->base, &a_while);
			(void)event_base_loop(lab->base, EVLOOP_ONCE);
		}
		renew_cancel(&r);
		assert_null(r);
		expect_rest(lab);
	}
	assert_int_equal(result.calls, 0);
	expect_disk(lab, 5, "at-old", "rt-0", "");
}

/* It was still printing its secret. */
static void
cancels_a_command(void **state)
{
	static const struct timeval a_while = { 0, 100000 };
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	struct renewal *r;
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = client_credentials\n"
	    "client_secret = command:/bin/sleep 100\n"
	    "token_endpoint = http://127.0.0.1:%u/token\n",
	    lab->server.port);
	configure(lab, keys);
	result.calls = 0;
	r = renew_start(
	    &lab->env, lab->account, NULL, 900, false, ended, NULL, &d);
	assert_non_null(r);
	(void)event_base_loopexit(lab->base, &a_while);
	(void)event_base_dispatch(lab->base);
	renew_cancel(&r);
	assert_int_equal(result.calls, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child left */
	expect_rest(lab);
}

/* The agent leaves, before it has asked anybody, or while it is asking. */
static void
stop(struct lab *lab, const struct grant *known, bool at_request)
{
	static const struct timeval limit = { 5, 0 }, a_while = { 0, 100000 };
	struct diag d = DIAG_INIT;
	struct renewal *r;

	grant_wipe(&result.g);
	result.calls = 0;
	result.base = lab->base;
	r = renew_start(
	    &lab->env, lab->account, known, 900, true, ended, NULL, &d);
	assert_non_null(r);
	assert_false(renew_has_asked(r));
	lab->stop = at_request ? r : NULL;
	if (!at_request) {
		(void)event_base_loopexit(lab->base, &a_while);
		(void)event_base_dispatch(lab->base);
		assert_int_equal(result.calls, 0);
		assert_false(renew_has_asked(r));
		renew_stop(r);
		assert_int_equal(result.calls, 0); /* from the loop */
	}
	(void)event_base_loopexit(lab->base, &limit);
	(void)event_base_dispatch(lab->base);
	assert_int_equal(result.calls, 1);
	lab->stop = NULL;
}

static void
expect_stopped(struct lab *lab)
{
	assert_false(result.have);
	assert_int_equal(result.why.kind, DIAG_RETRY);
	assert_non_null(strstr(result.why.text, "stopping"));
	assert_false(result.why.provider);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child left */
	expect_rest(lab);
}

static void
stops_before_it_asks(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;
	char keys[256];

	start_with(lab, &g);
	assert_int_equal(store_lock(&lab->store, ACCOUNT, &l, &d), 0);
	stop(lab, &g, false);
	store_unlock(&l);
	expect_stopped(lab);
	assert_int_equal(lab->server.requests, 0);
	/* While its issuer says where. */
	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = refresh_token\n"
	    "issuer = http://127.0.0.1:%u/issuer\n",
	    lab->server.port);
	configure(lab, keys);
	stop(lab, &g, true);
	expect_stopped(lab);
	assert_int_equal(lab->server.requests, 1);
	expect_disk(lab, 5, "at-old", "rt-0", "");
	/* While a command prints its secret. */
	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = client_credentials\n"
	    "client_secret = command:/bin/sleep 100\n"
	    "token_endpoint = http://127.0.0.1:%u/token\n",
	    lab->server.port);
	configure(lab, keys);
	stop(lab, NULL, false);
	expect_stopped(lab);
	assert_int_equal(lab->server.requests, 1);
}

/* What has been spent must come back. */
static void
stops_with_the_answer(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;

	start_with(lab, &g);
	stop(lab, &g, true);
	assert_true(result.have);
	expect(&result.g, 6, "at-0", "rt-1", "rt-0");
	expect_disk(lab, 6, "at-0", "rt-1", "rt-0");
	expect_rest(lab);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(rotates),
		T(keeps_the_refresh_token),
		T(takes_what_others_renewed),
		T(leaves_the_file_after_a_refusal),
		T(says_what_is_missing),
		T(counts_on_a_steady_clock),
		T(distrusts_the_future),
		T(blames_no_provider_for_what_this_host_lacks),
		T(cancels),
		T(cancels_a_command),
		T(stops_before_it_asks),
		T(stops_with_the_answer),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
	return cmocka_run_group_tests_name("renew", tests, NULL, NULL);
}
