/* One renewal, with a server of one-time refresh tokens and a real store. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "cleanup.h"
#include "fake_server.h"
#include "login_place.h"
#include "renew.h"
#include "renew_login.h"
#include "sealing.h"

#define ACCOUNT "relay@contoso.example"
#define NOW	1790000000
#define HEAD_	"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

struct lab {
	char dir[64];
	struct event_base *base;
	struct fake_server server;
	struct store store;
	struct renew_env env;
	struct config *config;
	const struct account *account;
	/* The provider. */
	int current;		   /* the refresh token that it takes: rt-N */
	bool keep;		   /* sends no new one */
	bool refuse;		   /* invalid_grant, whatever comes */
	bool dead;		   /* the tokens are, that it gives out */
	int64_t takes_ms, steps_s; /* an answer; the clock meanwhile */
	bool slow;
	struct renewal *stop; /* it is told to while a request is there */
	const char *key_path; /* of Arc's challenge */
	char seen[4096];      /* the last request */
};

static struct {
	int calls;
	struct event_base *base;
	bool have, have_unsaved; /* a token; a grant that is not on disk */
	struct grant g;
	struct diag why;
} result;

/* Saving fails while this is set; no_room: it can be known before. */
static bool disk_full;
static int no_room;
int __wrap_posix_fallocate(int fd, off_t at, off_t n);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);

int
__wrap_renameat(int from, const char *a, int to, const char *b)
{
	if (disk_full) {
		errno = ENOSPC;
		return -1;
	}
	return __real_renameat(from, a, to, b);
}

/* A test sets the wall clock. */
static int64_t now_ms = 5000, ahead_s = NOW - 5;
int
__wrap_posix_fallocate(int fd, off_t at, off_t n)
{
	(void)fd;
	(void)at;
	(void)n;
	return no_room;
}

static int64_t
get_now_ms(void)
{
	return now_ms;
}

static int64_t
wall_s(int64_t ms)
{
	return ms / 1000 + ahead_s;
}

static const char *
tokens(struct lab *lab)
{
	static char text[512];
	int n = lab->current;

	if (lab->dead) {
		(void)snprintf(text, sizeof(text),
		    HEAD_ "{\"access_token\":\"at\",\"expires_in\":0,"
			  "\"refresh_token\":\"rt-%d\"}",
		    lab->keep ? n : ++lab->current);
		return text;
	}
	if (lab->keep)
		(void)snprintf(text, sizeof(text),
		    HEAD_ "{\"access_token\":\"at-%d\",\"expires_in\":3600}",
		    n);
	else
		(void)snprintf(text, sizeof(text),
		    HEAD_ "{\"access_token\":\"at-%d\",\"expires_in\":3600,"
			  "\"refresh_in\":1800,\"refresh_token\":\"rt-%d\"}",
		    n, ++lab->current);
	return text;
}

/* IMDS, App Service or Azure Arc, by the version that is asked for. */
static const char *
identity_answer(struct lab *lab, const char *request)
{
	static char text[512];

	if (strstr(request, "api-version=2020-06-01") != NULL) {
		(void)snprintf(text, sizeof(text),
		    "HTTP/1.1 401 No\r\nConnection: close\r\n"
		    "WWW-Authenticate: Basic realm=%s\r\n\r\n",
		    lab->key_path);
		return text;
	}
	return HEAD_ "{\"access_token\":\"at-m\",\"token_type\":\"Bearer\","
		     "\"expires_on\":\"1790086400\"}";
}

static const char *
answer(void *arg, const char *request)
{
	static char text[512];
	struct lab *lab = arg;
	char want[64];

	(void)snprintf(lab->seen, sizeof(lab->seen), "%s", request);
	if (lab->slow)
		(void)usleep(200000);
	if (lab->stop != NULL)
		renew_stop(lab->stop);
	now_ms += lab->takes_ms;
	ahead_s += lab->steps_s;
	if (strncmp(request, "GET /", 5) == 0 &&
	    strstr(request, "api-version=") != NULL)
		return identity_answer(lab, request);
	if (strncmp(request, "GET /issuer/.well-known/openid-c", 32) == 0) {
		(void)snprintf(text, sizeof(text),
		    HEAD_ "{\"issuer\":\"http://127.0.0.1:%u/issuer\","
			  "\"token_endpoint\":\"http://127.0.0.1:%u/token\"}",
		    lab->server.port, lab->server.port);
		return text;
	}
	(void)snprintf(
	    want, sizeof(want), "&refresh_token=rt-%d", lab->current);
	if (!lab->refuse && strncmp(request, "POST /token ", 12) == 0 &&
	    (strstr(request, want) != NULL ||
		strstr(request, "grant_type=client_credentials") != NULL))
		return tokens(lab);
	return "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
	       "{\"error\":\"invalid_grant\",\"error_description\":"
	       "\"AADSTS70000: No.\"}";
}

static void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	print_error("%s\n", d->text);
}

/* The account's section, after the keys that all of them have. */
static void
configure(struct lab *lab, const char *keys)
{
	char text[1024];

	config_unref(&lab->config);
	(void)snprintf(text, sizeof(text),
	    "[agent]\nhttp_timeout = 5\n"
	    "[account " ACCOUNT "]\nprovider = custom\n"
	    "insecure_http = yes\n%s",
	    keys);
	lab->config =
	    config_parse(text, strlen(text), "test.conf", complain, NULL);
	assert_non_null(lab->config);
	lab->account = config_account(lab->config, ACCOUNT);
	assert_non_null(lab->account);
}

static void
configure_refresh(struct lab *lab)
{
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = refresh_token\n"
	    "token_endpoint = http://127.0.0.1:%u/token\n",
	    lab->server.port);
	configure(lab, keys);
}

static int
setup(void **state)
{
	static struct lab lab;
	struct diag d = DIAG_INIT;

	memset(&lab, 0, sizeof(lab));
	disk_full = false;
	now_ms = 5000;
	ahead_s = NOW - 5;
	no_room = 0;
	strcpy(lab.dir, "/tmp/test_renew.XXXXXX");
	if (mkdtemp(lab.dir) == NULL || store_open(&lab.store, lab.dir, &d) < 0)
		return -1;
	lab.base = event_base_new();
	lab.server.answer = answer;
	lab.server.arg = &lab;
	lab.env = (struct renew_env){ .base = lab.base,
		.store = &lab.store,
		.http = http_new(lab.base, &d),
		.now_ms = get_now_ms,
		.wall_s = wall_s };
	if (lab.env.http == NULL || fake_server_start(&lab.server, lab.base))
		return -1;
	configure_refresh(&lab);
	*state = &lab;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { ACCOUNT ".grant", ACCOUNT ".lock",
		"secret", "key.pem", "cert.pem", "seal.key" };
	struct lab *lab = *state;

	grant_wipe(&result.g);
	http_free(&lab->env.http);
	fake_server_stop(&lab->server);
	event_base_free(lab->base);
	config_unref(&lab->config);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlinkat(lab->store.dirfd, names[i], 0);
	store_close(&lab->store);
	return rmdir(lab->dir);
}

static void
ended(void *arg, const struct grant *g, const struct diag *unsaved,
    const struct diag *why)
{
	(void)arg;
	result.calls++;
	result.have = why == NULL;
	result.have_unsaved = unsaved != NULL;
	result.why = why != NULL ? *why : (struct diag)DIAG_INIT;
	assert_int_equal(g != NULL, why == NULL || unsaved != NULL);
	if (g != NULL)
		assert_true(grant_copy(&result.g, g));
	(void)event_base_loopbreak(result.base);
}

/* One renewal to its end; the answer is in `result`. */
static void
renew(const struct renew_env *env, const struct account *a,
    const struct grant *known, bool force)
{
	static const struct timeval limit = { 20, 0 };
	struct diag d = DIAG_INIT;

	grant_wipe(&result.g);
	result.calls = 0;
	result.base = env->base;
	assert_non_null(
	    renew_start(env, a, known, 900, force, ended, NULL, &d));
	assert_int_equal(result.calls, 0);
	(void)event_base_loopexit(env->base, &limit);
	(void)event_base_dispatch(env->base);
	assert_int_equal(result.calls, 1);
}

static void
set(struct secret *s, const char *text)
{
	assert_true(secret_set(s, text, strlen(text)));
}

static void
put(struct lab *lab, const struct grant *g)
{
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(store_lock(&lab->store, ACCOUNT, &l, &d), 0);
	assert_int_equal(store_write(&lab->store, &l, ACCOUNT, g, &d), 0);
	store_unlock(&l);
}

/* Generation 5, an access token that has 60 seconds left, and rt-0. */
static void
start_with(struct lab *lab, struct grant *g)
{
	*g = (struct grant)GRANT_INIT;
	g->generation = 5;
	set(&g->refresh_token, "rt-0");
	set(&g->access_token, "at-old");
	g->obtained_at = NOW - 3540;
	g->expires_at = NOW + 60;
	g->login_at = NOW - 86400;
	g->binding = account_binding(lab->account);
	put(lab, g);
}

static void
expect(const struct grant *g, int64_t generation, const char *access,
    const char *refresh, const char *previous)
{
	assert_int_equal(g->generation, generation);
	assert_string_equal(
	    g->access_token.ptr ? g->access_token.ptr : "", access);
	assert_string_equal(
	    g->refresh_token.ptr ? g->refresh_token.ptr : "", refresh);
	assert_string_equal(
	    g->previous_refresh_token.ptr ? g->previous_refresh_token.ptr : "",
	    previous);
}

static void
expect_disk(struct lab *lab, int64_t generation, const char *access,
    const char *refresh, const char *previous)
{
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(store_read(&lab->store, ACCOUNT, &g, &d), 1);
	expect(&g, generation, access, refresh, previous);
}

/* The lock is free and nothing was left half done. */
static void
expect_rest(struct lab *lab)
{
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(store_lock(&lab->store, ACCOUNT, &l, &d), 0);
	store_unlock(&l);
}

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
gets_credentials(void **state)
{
	struct lab *lab = *state;
	auto_close int fd =
	    openat(lab->store.dirfd, "secret", O_CREAT | O_WRONLY, 0600);
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = client_credentials\n"
	    "client_secret = file:%s/secret\nscope = mail\n"
	    "token_endpoint = http://127.0.0.1:%u/token\n",
	    lab->dir, lab->server.port);
	configure(lab, keys);
	renew(&lab->env, lab->account, NULL, false);
	assert_int_equal(result.why.kind, DIAG_CONFIG); /* it is empty */
	assert_int_equal(write(fd, "s3 cret\n", 8), 8);
	renew(&lab->env, lab->account, NULL, false);
	assert_true(result.have);
	assert_non_null(strstr(lab->seen, "client_secret=s3+cret&"));
	/* A refresh token is none of this grant's. */
	expect_disk(lab, 1, "at-0", "", "");
}

/* It is run without anybody waiting for it, and again each time. */
static void
gets_the_secret_from_a_command(void **state)
{
	static const struct {
		const char *command;
		enum diag_kind kind;
		const char *says; /* in the request or the text */
	} table[] = {
		{ "/bin/echo s3cret", DIAG_OK, "&client_secret=s3cret&" },
		{ "/bin/false sesame", DIAG_CONFIG, "test.conf:8: account " },
		{ "/bin/nothing", DIAG_CONFIG, "/bin/nothing" },
		{ "/bin/true", DIAG_CONFIG, "/bin/true" },
	};
	struct lab *lab = *state;
	char keys[512];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)snprintf(keys, sizeof(keys),
		    "client_id = id\ngrant = client_credentials\n"
		    "client_secret = command:%s\nscope = mail\n"
		    "token_endpoint = http://127.0.0.1:%u/token\n",
		    table[i].command, lab->server.port);
		configure(lab, keys);
		renew(&lab->env, lab->account, NULL, true);
		if (result.why.kind != table[i].kind ||
		    strstr(result.have ? lab->seen : result.why.text,
			table[i].says) == NULL ||
		    strstr(result.why.text, "sesame") != NULL)
			fail_msg("%s: %s", table[i].command, result.why.text);
		expect_rest(lab);
	}
}

/* A key and a certificate, and what the request says with them. */
static void
signs_its_requests(void **state)
{
	static const char *const grants[] = {
		"client_id = id\ngrant = client_credentials\n"
		"client_certificate = %s/cert.pem\nclient_key = %s/key.pem\n",
		"client_id = id\ngrant = workload_identity\n"
		"client_assertion_file = %s/secret\n#%s\n",
	};
	struct lab *lab = *state;
	auto_close int fd =
	    openat(lab->store.dirfd, "secret", O_CREAT | O_WRONLY, 0600);
	char keys[1024], line[512];

	(void)snprintf(line, sizeof(line),
	    "cd %s && umask 077 && openssl req -x509 -newkey rsa:2048 -nodes "
	    "-subj /CN=x -keyout key.pem -out cert.pem 2>/dev/null",
	    lab->dir);
	assert_int_equal(system(line), 0);
	assert_int_equal(write(fd, "eyJ.b.c", 7), 7);
	for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		int n =
		    snprintf(keys, sizeof(keys), grants[i], lab->dir, lab->dir);
#pragma GCC diagnostic pop
		(void)snprintf(keys + n, sizeof(keys) - (size_t)n,
		    "scope = mail\ntoken_endpoint = http://127.0.0.1:%u/token\n",
		    lab->server.port);
		configure(lab, keys);
		renew(&lab->env, lab->account, NULL, true);
		if (!result.have)
			fail_msg("%zu: %s", i, result.why.text);
		assert_non_null(strstr(lab->seen, "client_id=id&"));
		assert_non_null(strstr(lab->seen,
		    "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
		    "client-assertion-type%3Ajwt-bearer&client_assertion=eyJ"));
		assert_null(strstr(lab->seen, "client_secret"));
	}
}

static void
asks_the_machine(void **state)
{
	static const struct {
		const char *set[4]; /* variables and values; %u is the port */
		const char *key_path;
		enum diag_kind kind;
		const char *says; /* in the request or the text */
	} table[] = {
		{ { "AZURE_POD_IDENTITY_AUTHORITY_HOST",
		      "http://127.0.0.1:%u" },
		    NULL, DIAG_OK, "\r\nMetadata: true\r\n" },
		{ { "IDENTITY_ENDPOINT", "http://localhost:%u/msi",
		      "IDENTITY_HEADER", "h3ader" },
		    NULL, DIAG_OK, "\r\nX-IDENTITY-HEADER: h3ader\r\n" },
		{ { "IDENTITY_ENDPOINT", "http://127.0.0.1:%u/t",
		      "IMDS_ENDPOINT", "http://127.0.0.1" },
		    "/etc/shadow", DIAG_CONFIG, "outside of its directory" },
		{ { "IDENTITY_ENDPOINT", "http://127.0.0.1:%u/t",
		      "IMDS_ENDPOINT", "http://127.0.0.1" },
		    "/var/opt/azcmagent/tokens/no-such.key", DIAG_CONFIG,
		    "no-such.key: " },
		{ { "IDENTITY_ENDPOINT", "http://id.example.com/%u",
		      "IDENTITY_HEADER", "h3ader" },
		    NULL, DIAG_CONFIG, "given out by itself only" },
		{ { "IDENTITY_ENDPOINT", "http://127.0.0.1:1/%u",
		      "IDENTITY_HEADER", "h3ader" },
		    NULL, DIAG_RETRY, "managed identity by App Service" },
	};
	struct lab *lab = *state;
	char value[128];

	configure(lab, "grant = managed_identity\nscope = mail/.default\n");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (int v = 0; v < 4 && table[i].set[v] != NULL; v += 2) {
			const char *port = strstr(table[i].set[v + 1], "%u");

			(void)snprintf(value, sizeof(value), "%.*s",
			    (int)strcspn(table[i].set[v + 1], "%"),
			    table[i].set[v + 1]);
			if (port != NULL)
				(void)snprintf(value + strlen(value), 32,
				    "%u%s", lab->server.port, port + 2);
			assert_int_equal(setenv(table[i].set[v], value, 1), 0);
		}
		lab->key_path = table[i].key_path;
		renew(&lab->env, lab->account, NULL, true);
		if (result.why.kind != table[i].kind ||
		    strstr(result.have ? lab->seen : result.why.text,
			table[i].says) == NULL ||
		    strstr(result.why.text, "h3ader") != NULL)
			fail_msg("%zu: %s", i, result.why.text);
		if (result.have) {
			assert_int_equal(result.g.expires_at, NOW + 86400);
			assert_int_equal(result.g.refresh_at, NOW + 43200);
			assert_non_null(strstr(lab->seen, "&resource=mail"));
		}
		for (int v = 0; v < 4 && table[i].set[v] != NULL; v += 2)
			assert_int_equal(unsetenv(table[i].set[v]), 0);
	}
}

static void
asks_the_issuer(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = refresh_token\n"
	    "issuer = http://127.0.0.1:%u/issuer\n",
	    lab->server.port);
	configure(lab, keys);
	start_with(lab, &g);
	renew(&lab->env, lab->account, &g, false);
	expect(&result.g, 6, "at-0", "rt-1", "rt-0");
	assert_int_equal(lab->server.requests, 2);
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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(rotates),
		T(keeps_the_refresh_token),
		T(takes_what_others_renewed),
		T(waits_for_the_lock),
		T(does_not_wait_for_what_is_there),
		T(knows_which_grant_is_newer),
		T(a_login_differs_from_the_one_before),
		T(survives_a_full_disk),
		T(looks_for_room_before_it_asks),
		T(looks_at_the_key_before_it_asks),
		T(login_beats_an_unsaved_grant),
		T(leaves_the_file_after_a_refusal),
		T(says_what_is_missing),
		T(counts_on_a_steady_clock),
		T(distrusts_the_future),
		T(keeps_what_a_bad_answer_rotates),
		T(keeps_what_a_bad_answer_rotates_in_memory),
		T(blames_no_provider_for_what_this_host_lacks),
		T(gets_credentials),
		T(gets_the_secret_from_a_command),
		T(signs_its_requests),
		T(asks_the_machine),
		T(asks_the_issuer),
		T(renews_once_for_all_processes),
		T(cancels),
		T(cancels_a_command),
		T(stops_before_it_asks),
		T(stops_with_the_answer),
		T(logs_in),
		T(sends_a_login_to_no_stranger),
		T(learns_where_a_login_is_good),
		T(an_application_moves_no_login),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
	return cmocka_run_group_tests_name("renew", tests, NULL, NULL);
}
