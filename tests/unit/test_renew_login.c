/* Logins that renewals live on: which is newer, and where it is good. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "full_disk.h"
#include "login_place.h"
#include "renew_lab.h"
#include "renew_login.h"

static void
knows_which_grant_is_newer(void **state)
{
	static const struct {
		int64_t generation, login_at, disk_generation, disk_login_at;
		bool newer;
	} cases[] = {
		{ 7, 100, 6, 100, true },
		{ 6, 100, 6, 100, false },
		{ 5, 100, 6, 100, false },
		/* A login, or a logout, counts more than many renewals. */
		{ 9, 100, 6, 101, false },
		{ 6, 101, 9, 100, false },
		/* Also one whose clock was behind the other's. */
		{ 9, 101, 6, 100, false },
		{ 9, 1 << 30, 6, 1, false },
		{ 9, 1, 6, 0, false },
		/* An application logs in never. */
		{ 9, 0, 6, 0, true },
		{ 6, 0, 9, 0, false },
		/* The file has gone. */
		{ 1, 0, 0, 0, true },
		{ 9, 100, 0, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct grant a = GRANT_INIT, b = GRANT_INIT;

		a.generation = cases[i].generation;
		a.login_at = cases[i].login_at;
		b.generation = cases[i].disk_generation;
		b.login_at = cases[i].disk_login_at;
		assert_int_equal(grant_is_newer(&a, &b), cases[i].newer);
	}
}

/* Whatever the clock was, and is. */
static void
a_login_differs_from_the_one_before(void **state)
{
	static const struct {
		int64_t generation, disk_generation, disk_login_at, login_at;
		int64_t becomes, becomes_at;
	} cases[] = {
		{ 0, 0, 0, NOW, 1, NOW },
		{ 5, 5, NOW - 9, NOW, 6, NOW },
		/* Two within a second, and a third; the clock a bit behind. */
		{ 5, 5, NOW, NOW, 6, NOW + 1 },
		{ 6, 6, NOW + 1, NOW, 7, NOW + 2 },
		{ 6, 6, NOW + 59, NOW, 7, NOW + 60 },
		{ 5, 5, NOW + 86400, NOW, 6, NOW },
		{ 0, 0, 0, 0, 1, 1 },
		/* Another one's, restored. */
		{ 9, 5, NOW, NOW - 86400, 10, NOW - 86400 },
		{ 2, 5, NOW, NOW, 6, NOW + 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct grant g = GRANT_INIT, disk = GRANT_INIT;

		g.generation = cases[i].generation;
		disk.generation = cases[i].disk_generation;
		disk.login_at = cases[i].disk_login_at;
		grant_succeed(&g, &disk, cases[i].login_at);
		assert_int_equal(g.generation, cases[i].becomes);
		assert_int_equal(g.login_at, cases[i].becomes_at);
		assert_int_not_equal(g.login_at, disk.login_at);
		disk.generation += 7; /* in memory, of the login before */
		assert_false(grant_is_newer(&disk, &g));
	}
}

/*
 * A login made while the newest grant was not saved counts for more, also
 * where a clock that was ahead has been set back between, or ahead.
 */
static void
login_beats_an_unsaved_grant(void **state)
{
	static const int64_t steps[] = { 0, -86400, -86400 - 3600, 86400,
		-20 * 31557600 };
	struct lab *lab = *state;
	auto_grant struct grant known = GRANT_INIT;
	auto_secret struct secret rt = SECRET_INIT;
	struct diag d = DIAG_INIT;

	set(&rt, "rt-70");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		grant_wipe(&known);
		start_with(lab, &known);
		known.generation = 9;
		set(&known.refresh_token, "rt-lost");
		lab->current = 70;
		assert_int_equal(renew_login(&lab->store, lab->account, &rt,
				     NOW + steps[i], &d),
		    0);
		expect_disk(lab, 6, "", "rt-70", "rt-0");
		renew(&lab->env, lab->account, &known, false);
		expect_disk(lab, 10, "at-70", "rt-71", "rt-70");
	}
}

static void
logs_in(void **state)
{
	struct lab *lab = *state;
	auto_secret struct secret rt = SECRET_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(
	    renew_login(&lab->store, lab->account, &rt, NOW, &d), -1);
	set(&rt, "rt-a");
	assert_int_equal(
	    renew_login(&lab->store, lab->account, &rt, NOW, &d), 0);
	expect_disk(lab, 1, "", "rt-a", "");
	assert_int_equal(
	    renew_login(&lab->store, lab->account, &rt, NOW, &d), 0);
	expect_disk(lab, 2, "", "rt-a", "");
	set(&rt, "rt-b");
	assert_int_equal(
	    renew_login(&lab->store, lab->account, &rt, NOW, &d), 0);
	expect_disk(lab, 3, "", "rt-b", "rt-a");
	disk_full = true;
	set(&rt, "rt-c");
	assert_int_equal(
	    renew_login(&lab->store, lab->account, &rt, NOW, &d), -1);
	assert_int_equal(d.kind, DIAG_RETRY);
	expect_disk(lab, 3, "", "rt-b", "rt-a");
	expect_rest(lab);
}

/* Of the state: where the refresh token is at home, and the previous one. */
static void
expect_places(struct lab *lab, int64_t place, int64_t previous)
{
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(store_read(&lab->store, ACCOUNT, &g, &d), 1);
	assert_int_equal(g.place, place);
	assert_int_equal(g.previous_place, previous);
}

/* The same server by another name, which makes it another provider. */
static void
configure_stranger(struct lab *lab, const char *key, const char *path)
{
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = refresh_token\n"
	    "%s = http://localhost:%u/%s\n",
	    key, lab->server.port, path);
	configure(lab, keys);
}

static void
log_in(struct lab *lab, const char *token)
{
	auto_secret struct secret rt = SECRET_INIT;
	struct diag d = DIAG_INIT;

	set(&rt, token);
	assert_int_equal(
	    renew_login(&lab->store, lab->account, &rt, NOW, &d), 0);
}

static void
sends_a_login_to_no_stranger(void **state)
{
	static const char *const at[][2] = { { "token_endpoint", "token" },
		{ "issuer", "issuer" } };
	struct lab *lab = *state;
	auto_grant struct grant known = GRANT_INIT;
	int64_t home = login_place(lab->account);
	struct diag d = DIAG_INIT;

	log_in(lab, "rt-0");
	expect_places(lab, home, 0);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		for (int newer = 0; newer < 2; newer++) {
			configure_stranger(lab, at[i][0], at[i][1]);
			/* What could not be written is not theirs, either. */
			grant_wipe(&known);
			known.generation = newer != 0 ? 9 : 1;
			known.login_at = NOW;
			known.place = home;
			set(&known.refresh_token, "rt-0");
			renew(&lab->env, lab->account, &known, true);
			assert_int_equal(result.why.kind, DIAG_REAUTH);
			assert_false(result.why.provider);
			assert_non_null(
			    strstr(result.why.text, "another provider"));
			assert_int_equal(lab->server.requests, 0);
			expect_places(lab, home, 0);
			expect_rest(lab);
		}
	/* Nothing is lost with that. */
	configure_refresh(lab);
	renew(&lab->env, lab->account, NULL, false);
	expect_disk(lab, 10, "at-0", "rt-1", "rt-0");
	expect_places(lab, home, home);
	/* Who logs in is asked for there, */
	configure_stranger(lab, at[0][0], at[0][1]);
	lab->current = 7;
	log_in(lab, "rt-7");
	expect_places(lab, login_place(lab->account), home);
	renew(&lab->env, lab->account, NULL, false);
	assert_true(result.have);
	expect_places(
	    lab, login_place(lab->account), login_place(lab->account));
	/* and what is out is nobody's. */
	assert_int_equal(renew_logout(&lab->store, ACCOUNT, NOW, &d), 0);
	expect_places(lab, 0, 0);
}

/* State of 0.1.0: it is to be used where it always was. */
static void
learns_where_a_login_is_good(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	int64_t home = login_place(lab->account);

	start_with(lab, &g);
	lab->refuse = true;
	renew(&lab->env, lab->account, &g, true);
	assert_false(result.have);
	expect_places(lab, 0, 0);
	lab->refuse = false;
	lab->keep = true;
	renew(&lab->env, lab->account, &g, true);
	assert_true(result.have);
	expect_places(lab, home, 0);
	/* Also from an answer with a token that is dead. */
	grant_wipe(&g);
	start_with(lab, &g);
	lab->keep = false;
	lab->dead = true;
	renew(&lab->env, lab->account, &g, true);
	assert_false(result.have);
	expect_places(lab, home, home);
}

/* An application's token says nothing of a login that lies there still. */
static void
an_application_moves_no_login(void **state)
{
	struct lab *lab = *state;
	int64_t home = login_place(lab->account);
	char keys[512];

	log_in(lab, "rt-0");
	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = client_credentials\n"
	    "client_secret = command:/bin/echo secret\n"
	    "token_endpoint = http://localhost:%u/token\n",
	    lab->server.port);
	configure(lab, keys);
	renew(&lab->env, lab->account, NULL, false);
	assert_true(result.have);
	expect_places(lab, home, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up_disk, teardown)
		T(knows_which_grant_is_newer),
		T(a_login_differs_from_the_one_before),
		T(login_beats_an_unsaved_grant),
		T(logs_in),
		T(sends_a_login_to_no_stranger),
		T(learns_where_a_login_is_good),
		T(an_application_moves_no_login),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
	return cmocka_run_group_tests_name("renew_login", tests, NULL, NULL);
}
