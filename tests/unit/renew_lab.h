/* renew_lab.h - a server of one-time refresh tokens, and a store. */
#ifndef TESTS_RENEW_LAB_H
#define TESTS_RENEW_LAB_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_server.h"
#include "renew.h"

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

/* A test sets the wall clock. */
static int64_t now_ms = 5000, ahead_s = NOW - 5;

static inline int64_t
get_now_ms(void)
{
	return now_ms;
}

static inline int64_t
wall_s(int64_t ms)
{
	return ms / 1000 + ahead_s;
}

static inline const char *
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
static inline const char *
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

static inline const char *
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

static inline void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	print_error("%s\n", d->text);
}

/* The account's section, after the keys that all of them have. */
static inline void
configure(struct lab *lab, const char *keys)
{
	char text[1280];

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

static inline void
configure_refresh(struct lab *lab)
{
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
	    "client_id = id\ngrant = refresh_token\n"
	    "token_endpoint = http://127.0.0.1:%u/token\n",
	    lab->server.port);
	configure(lab, keys);
}

static inline int
setup(void **state)
{
	static struct lab lab;
	struct diag d = DIAG_INIT;

	memset(&lab, 0, sizeof(lab));
	now_ms = 5000;
	ahead_s = NOW - 5;
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

static inline int
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

static inline void
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
static inline void
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

static inline void
set(struct secret *s, const char *text)
{
	assert_true(secret_set(s, text, strlen(text)));
}

static inline void
put(struct lab *lab, const struct grant *g)
{
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(store_lock(&lab->store, ACCOUNT, &l, &d), 0);
	assert_int_equal(store_write(&lab->store, &l, ACCOUNT, g, &d), 0);
	store_unlock(&l);
}

/* Generation 5, an access token that has 60 seconds left, and rt-0. */
static inline void
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

static inline void
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

static inline void
expect_disk(struct lab *lab, int64_t generation, const char *access,
    const char *refresh, const char *previous)
{
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(store_read(&lab->store, ACCOUNT, &g, &d), 1);
	expect(&g, generation, access, refresh, previous);
}

/* The lock is free and nothing was left half done. */
static inline void
expect_rest(struct lab *lab)
{
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(store_lock(&lab->store, ACCOUNT, &l, &d), 0);
	store_unlock(&l);
}

#endif
