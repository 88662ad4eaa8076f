/* Renewals and the disk: full, locked by others, or kept back by its key. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "cleanup.h"
#include "full_disk.h"
#include "renew_lab.h"
#include "renew_login.h"
#include "sealing.h"

/* Another process, which has the lock for 0.3 s. */
static pid_t
hold_lock(struct lab *lab)
{
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		if (store_lock(&lab->store, ACCOUNT, &l, &d) == 0 &&
		    write(ready[1], "x", 1) == 1)
			(void)usleep(300000);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

static void
waits_for_the_lock(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	auto_secret struct secret rt = SECRET_INIT;
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;
	pid_t pid;

	start_with(lab, &g);
	pid = hold_lock(lab);
	renew(&lab->env, lab->account, &g, false);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	expect_disk(lab, 6, "at-0", "rt-1", "rt-0");
	/* A login waits, too, but nobody waits for ever. */
	pid = hold_lock(lab);
	assert_int_equal(store_lock_wait(&lab->store, ACCOUNT, 60, &l, &d), -1);
	assert_int_equal(d.kind, DIAG_RETRY);
	set(&rt, "rt-new");
	assert_int_equal(
	    renew_login(&lab->store, lab->account, &rt, NOW, &d), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	expect_disk(lab, 7, "", "rt-new", "rt-1");
}

/* Whoever holds the lock: a token on disk that will do needs none. */
static void
does_not_wait_for_what_is_there(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant known = GRANT_INIT, g = GRANT_INIT;
	pid_t pid;

	start_with(lab, &known);
	assert_true(grant_copy(&g, &known));
	g.generation = 6;
	g.expires_at = NOW + 900;
	set(&g.access_token, "at-theirs");
	put(lab, &g);
	pid = hold_lock(lab);
	for (int i = 0; i < 2; i++) {
		renew(&lab->env, lab->account, i > 0 ? &known : NULL, i > 0);
		expect(&result.g, 6, "at-theirs", "rt-0", "");
	}
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(lab->server.requests, 0);
	/* Else it does wait: here, since somebody wants a newer one. */
	renew(&lab->env, lab->account, NULL, true);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	expect(&result.g, 7, "at-0", "rt-1", "rt-0");
	expect_rest(lab);
}

/* What could not be saved is served, kept, and saved the next time. */
static void
survives_a_full_disk(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant known = GRANT_INIT;

	start_with(lab, &known);
	disk_full = true;
	renew(&lab->env, lab->account, &known, false);
	assert_true(result.have && result.have_unsaved);
	expect(&result.g, 6, "at-0", "rt-1", "rt-0");
	expect_disk(lab, 5, "at-old", "rt-0", "");
	assert_true(grant_copy(&known, &result.g));
	/* The provider is away, too: what we hold is saved all the same. */
	disk_full = false;
	lab->refuse = true;
	renew(&lab->env, lab->account, &known, true);
	assert_false(result.have);
	expect_disk(lab, 6, "at-0", "rt-1", "rt-0");
	lab->refuse = false;
	disk_full = true;
	renew(&lab->env, lab->account, &known, true);
	assert_true(grant_copy(&known, &result.g));
	disk_full = false;
	renew(&lab->env, lab->account, &known, true);
	expect_disk(lab, 8, "at-2", "rt-3", "rt-2");
}

/* Nothing is spent that could not be replaced, unless it can be kept. */
static void
looks_for_room_before_it_asks(void **state)
{
	static const struct {
		int error;
		bool keeps; /* the caller */
		int requests;
		enum diag_kind kind;
	} table[] = {
		{ ENOSPC, false, 0, DIAG_RETRY },
		{ EDQUOT, false, 0, DIAG_RETRY },
		{ EROFS, false, 0, DIAG_CONFIG },
		{ EROFS, true, 0, DIAG_CONFIG },
		{ ENOSPC, true, 1, DIAG_OK },
		{ EOPNOTSUPP, false, 1, DIAG_OK },
	};
	struct lab *lab = *state;
	auto_grant struct grant known = GRANT_INIT;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		grant_wipe(&known);
		lab->current = 0;
		lab->server.requests = 0;
		start_with(lab, &known);
		no_room = table[i].error;
		renew(&lab->env, lab->account, table[i].keeps ? &known : NULL,
		    true);
		if (result.why.kind != table[i].kind ||
		    (int)lab->server.requests != table[i].requests)
			fail_msg("%zu: %s", i, result.why.text);
		if (!result.have) {
			assert_non_null(
			    strstr(result.why.text, "no token was asked for"));
			expect_disk(lab, 5, "at-old", "rt-0", "");
		}
		expect_rest(lab);
	}
}

/* Nor while the key's file is one that nothing may be sealed with. */
static void
looks_at_the_key_before_it_asks(void **state)
{
	struct lab *lab = *state;
	char path[80], line[] = "# open to all\n";
	const struct secret_ref key = { SECRET_REF_FILE, path, 0 };
	auto_grant struct grant known = GRANT_INIT;
	auto_close int fd = -1;
	struct diag d = DIAG_INIT;

	(void)snprintf(path, sizeof(path), "%s/seal.key", lab->dir);
	assert_int_equal(sealing_reload(&lab->store, &key, &d), 0);
	start_with(lab, &known);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, line, sizeof(line) - 1), sizeof(line) - 1);
	assert_int_equal(fchmod(fd, 0644), 0);
	for (int keeps = 0; keeps < 2; keeps++) {
		renew(&lab->env, lab->account, keeps ? &known : NULL, true);
		assert_false(result.have);
		assert_int_equal(result.why.kind, DIAG_CONFIG);
		assert_non_null(
		    strstr(result.why.text, "no token was asked for"));
		assert_non_null(strstr(result.why.text, "chmod 640"));
		assert_int_equal(lab->server.requests, 0);
		expect_disk(lab, 5, "at-old", "rt-0", "");
		expect_rest(lab);
	}
	assert_int_equal(fchmod(fd, 0600), 0);
	renew(&lab->env, lab->account, &known, true);
	assert_true(result.have);
	assert_int_equal(lab->server.requests, 1);
}

/* An access token that nobody can use comes with the next refresh token. */
static void
keeps_what_a_bad_answer_rotates(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;

	start_with(lab, &g);
	g.expires_at = NOW + 3600;
	put(lab, &g);
	lab->dead = true;
	renew(&lab->env, lab->account, &g, true);
	assert_int_equal(result.why.kind, DIAG_RETRY);
	assert_true(result.why.provider);
	expect_disk(lab, 6, "at-old", "rt-1", "rt-0");
	/* The access token is no other one for that: it is asked for. */
	lab->dead = false;
	renew(&lab->env, lab->account, &g, true);
	assert_true(result.have);
	expect_disk(lab, 7, "at-1", "rt-2", "rt-1");
	/* Nothing new has come with it: nothing is written. */
	lab->dead = lab->keep = disk_full = true;
	assert_true(grant_copy(&g, &result.g));
	renew(&lab->env, lab->account, &g, true);
	assert_false(result.have || result.have_unsaved);
	expect_disk(lab, 7, "at-1", "rt-2", "rt-1");
}

/* The disk is full in the same moment: it is the caller's to keep. */
static void
keeps_what_a_bad_answer_rotates_in_memory(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant known = GRANT_INIT;

	start_with(lab, &known);
	known.asked_ms = 4000;
	known.obtained_at -= 86400; /* the clock has been set since */
	known.expires_at -= 86400;
	lab->dead = disk_full = true;
	for (int i = 1; i < 4; i++) {
		renew(&lab->env, lab->account, &known, true);
		assert_false(result.have);
		assert_true(result.have_unsaved);
		assert_int_equal(result.why.kind, DIAG_RETRY);
		assert_true(result.why.provider);
		assert_non_null(strstr(result.why.text, "already expired"));
		assert_int_equal(result.g.generation, 5 + i);
		assert_string_equal(result.g.access_token.ptr, "at-old");
		assert_int_equal(result.g.asked_ms, 4000);
		assert_int_equal(result.g.expires_at, NOW + 60 - 86400);
		assert_true(grant_copy(&known, &result.g));
		expect_disk(lab, 5, "at-old", "rt-0", "");
	}
	/* Saved before the next request, whatever comes of that. */
	disk_full = false;
	lab->refuse = true;
	renew(&lab->env, lab->account, &known, true);
	assert_false(result.have || result.have_unsaved);
	expect_disk(lab, 8, "at-old", "rt-3", "rt-2");
	lab->refuse = lab->dead = false;
	renew(&lab->env, lab->account, &known, true);
	assert_true(result.have);
	expect_disk(lab, 9, "at-3", "rt-4", "rt-3");
	expect_rest(lab);
}

/* Another process: a loop of its own, the same store and server. */
static int
child_renews(struct lab *lab, const struct grant *known)
{
	struct diag d = DIAG_INIT;
	struct renew_env env = lab->env;

	(void)alarm(30);
	env.base = event_base_new();
	env.http = http_new(env.base, &d);
	renew(&env, lab->account, known, true);
	return result.have && result.g.generation == 6 &&
		       strcmp(result.g.access_token.ptr, "at-0") == 0 ?
		   0 :
		   1;
}

static void
renews_once_for_all_processes(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	pid_t pid[5];
	int left = 5, status;

	start_with(lab, &g);
	lab->slow = true;
	for (int i = 0; i < 5; i++) {
		assert_true((pid[i] = fork()) >= 0);
		if (pid[i] == 0)
			_exit(child_renews(lab, &g));
	}
	for (int ms = 0; left > 0 && ms < 20000; ms += 5) {
		(void)event_base_loop(lab->base, EVLOOP_NONBLOCK);
		(void)usleep(5000);
		for (int i = 0; i < 5; i++)
			if (pid[i] > 0 &&
			    waitpid(pid[i], &status, WNOHANG) > 0) {
				assert_int_equal(status, 0);
				pid[i] = 0;
				left--;
			}
	}
	assert_int_equal(left, 0);
	assert_int_equal(lab->server.requests, 1);
	expect_disk(lab, 6, "at-0", "rt-1", "rt-0");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up_disk, teardown)
		T(waits_for_the_lock),
		T(does_not_wait_for_what_is_there),
		T(survives_a_full_disk),
		T(looks_for_room_before_it_asks),
		T(looks_at_the_key_before_it_asks),
		T(keeps_what_a_bad_answer_rotates),
		T(keeps_what_a_bad_answer_rotates_in_memory),
		T(renews_once_for_all_processes),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
	return cmocka_run_group_tests_name("renew_store", tests, NULL, NULL);
}
