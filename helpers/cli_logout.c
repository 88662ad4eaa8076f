/* cli_logout.c - mailtoken logout and revoke: the end of a login. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "advice_name.h"
#include "cli.h"
#include "cli_provider.h"
#include "cli_store.h"
#include "cli_wait.h"
#include "clock.h"
#include "echo.h"
#include "json.h"
#include "login_place.h"
#include "renew.h"
#include "renew_login.h"

#define LOCK_POLL_MS 50

static int
forget(struct cli *c, const struct account *a, struct diag *reterr)
{
	struct store store = STORE_INIT;
	int rc;

	if (cli_store_open(c, &store, reterr) < 0)
		return -1;
	cli_store_say_busy(&store, a->name);
	rc = renew_logout(&store, a->name, clock_now_s(), reterr);
	store_close(&store);
	return rc;
}

/* The agent's copies must go, too: a token of theirs works for an hour. */
static int
tell_agent(struct cli *c, const struct account *a, const char *what)
{
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	struct token_agent agent;
	struct wire_msg msg;
	struct diag d = DIAG_INIT;
	enum cli_agent_state state = cli_agent_look(c, &agent, &d);

	cli_say("account %s: %s", a->name, what);
	if (state == CLI_AGENT_ABSENT ||
	    (state == CLI_AGENT_THERE &&
		cli_ask(&agent, "forget", a->name, &answer, &msg, &d) == 0))
		return EX_OK;
	cli_say("account %s: but the agent could not be told, and may go on "
		"with the tokens that it has: run mailtoken logout %s again "
		"when this is mended:",
	    a->name, ADVICE_WORD(a->name));
	return cli_fail(&d);
}

static int
log_out(struct cli *c, const struct account *a, const char *what)
{
	struct diag d = DIAG_INIT;

	if (forget(c, a, &d) < 0) {
		(void)diag_wrap(&d, "account %s", a->name);
		return cli_fail(&d);
	}
	return tell_agent(c, a, what);
}

/* NULL after it has said why not. */
static const struct account *
delegated_account(struct cli *c, const char *name)
{
	const struct account *a = cli_account(c, name);

	if (a == NULL || a->grant == GRANT_REFRESH_TOKEN)
		return a;
	cli_say("account %s: its grant is %s, for which nobody logs in or out: "
		"take it out of %s, or what its application may do at the "
		"provider",
	    a->name, grant_name(a->grant), c->conf_path);
	return NULL;
}

/* Who can be told only by a person is not told by mailtoken revoke. */
static int
log_out_here(struct cli *c, const struct account *a)
{
	const struct provider_info *info = provider_info(a->provider);
	char what[256];

	if (a->revocation_endpoint != NULL || info == NULL ||
	    info->revoke_at == NULL)
		return log_out(c, a,
		    "logged out here; the provider does not know (mailtoken "
		    "revoke tells it)");
	(void)snprintf(what, sizeof(what),
	    "logged out here; the provider does not know: revoke it at %s",
	    info->revoke_at);
	return log_out(c, a, what);
}

int
cmd_logout(struct cli *c, int argc, char *argv[])
{
	const struct account *a;

	if (argc != 2)
		return cli_usage(argv[0]);
	if ((a = delegated_account(c, argv[1])) == NULL)
		return EX_CONFIG;
	return log_out_here(c, a);
}

/* RFC 7009 section 2.2.1, and Google's word for a token that is dead. */
static int
check_answer(const struct cli_answer *a, struct diag *reterr)
{
	struct oauth2_tokens none = OAUTH2_TOKENS_INIT;
	auto_json struct json *o =
	    json_read(a->body.ptr, a->body.len, OAUTH2_ANSWER_MAX);
	const char *error = json_str(o, "error");

	if (a->status >= 200 && a->status < 300)
		return 0;
	if (error != NULL && (strcmp(error, "invalid_token") == 0 ||
				 strcmp(error, "unsupported_token_type") == 0))
		return 0;
	(void)oauth2_parse_tokens(a->status, a->retry_after_s, a->body.ptr,
	    a->body.len, &none, reterr);
	oauth2_tokens_wipe(&none);
	return -1;
}

/* What a revocation has come to. */
struct revocation {
	struct cli_provider provider;
	struct grant grant; /* without what is revoked */
	bool asked;	/* a token was sent, and nobody said that it stays */
	bool begun;	/* one is revoked */
	bool forgotten; /* that one, here */
	bool ended;	/* all are, but not forgotten here */
};

static int
revoke_token(struct revocation *r, struct secret *token, const char *hint,
    struct diag *reterr)
{
	struct cli_provider *p = &r->provider;
	auto_answer struct cli_answer answer = CLI_ANSWER_INIT;
	auto_request struct oauth2_request request = OAUTH2_REQUEST_INIT;
	auto_credential struct credential c = { .client = { 0 } };

	if (secret_empty(token))
		return 0;
	if (cli_provider_credential(p, &c, reterr) < 0 ||
	    oauth2_revocation_request(
		&c.client, token, hint, &request, reterr) < 0)
		return -1;
	r->asked = true;
	if (cli_provider_ask(p, p->revocation, &request, &answer, reterr) < 0)
		return -1;
	r->asked = false;
	if (check_answer(&answer, reterr) < 0)
		return echo_hide_request(&request, reterr);
	secret_wipe(token);
	r->begun = true;
	return 0;
}

/*
 * The access token first: a provider may end all with the other.  Nothing for
 * a provider that it is not of.
 */
static int
revoke_grant(struct revocation *r, struct diag *reterr)
{
	const struct account *a = r->provider.account;
	struct grant *g = &r->grant;

	if (!secret_empty(&g->refresh_token) && !login_place_same(a, g->place))
		return diag_set(reterr, DIAG_CONFIG,
		    "the login is of another provider than the section "
		    "names: change that back and try again, or run "
		    "mailtoken logout %s",
		    ADVICE_WORD(a->name));
	if (revoke_token(r, &g->access_token, "access_token", reterr) < 0 ||
	    (login_place_same(a, g->previous_place) &&
		revoke_token(r, &g->previous_refresh_token, "refresh_token",
		    reterr) < 0))
		return -1;
	return revoke_token(r, &g->refresh_token, "refresh_token", reterr);
}

/* Nobody renews meanwhile: what is revoked must be the newest, and gone. */
static int
lock(const struct store *s, const struct account *a, struct cli_wait *w,
    struct store_lock *ret, struct diag *reterr)
{
	int64_t end_ms = clock_now_ms() + RENEW_LOGIN_WAIT_MS;

	cli_store_say_busy(s, a->name);
	while (store_lock(s, a->name, ret, reterr) < 0)
		if (!ret->busy || clock_now_ms() >= end_ms ||
		    cli_wait_run(w, clock_now_ms() + LOCK_POLL_MS, NULL) < 0)
			return -1;
	return 0;
}

/*
 * A half of it is no login to go on with: nobody uses a token that is revoked,
 * and whoever has an older copy takes this one.
 */
static int
keep_rest(struct revocation *r, const struct store *s, struct store_lock *held,
    const char *account, struct diag *reterr)
{
	struct grant *g = &r->grant;

	g->obtained_at = g->expires_at = g->refresh_at = g->binding = 0;
	grant_succeed(g, g, clock_now_s());
	return store_write(s, held, account, g, reterr);
}

/* The lock is held: 0, or -1 with *reterr. */
static int
revoke_locked(struct revocation *r, const struct store *s,
    struct store_lock *held, const char *account, struct diag *reterr)
{
	struct diag unsaved = DIAG_INIT;

	if (store_read(s, account, &r->grant, reterr) < 0)
		return -1;
	if (revoke_grant(r, reterr) == 0) {
		r->ended = r->begun;
		return renew_logout_locked(
		    s, held, account, clock_now_s(), reterr);
	}
	if (!r->begun)
		return -1;
	r->forgotten = keep_rest(r, s, held, account, &unsaved) == 0;
	if (!r->forgotten)
		cli_say("account %s: %s", account, unsaved.text);
	return -1;
}

/* 1: revoked; 0: the provider has no endpoint for that; -1 with *reterr. */
static int
revoke(struct cli *c, const struct account *a, struct cli_wait *w,
    struct revocation *r, struct diag *reterr)
{
	struct store store = STORE_INIT;
	struct store_lock held = STORE_LOCK_INIT;
	int rc = cli_provider_open(&r->provider, w, a, reterr);

	if (rc == 0 && r->provider.revocation != NULL) {
		rc = -1;
		if (cli_store_open(c, &store, reterr) == 0 &&
		    lock(&store, a, w, &held, reterr) == 0 &&
		    revoke_locked(r, &store, &held, a->name, reterr) == 0)
			rc = 1;
		store_unlock(&held);
		store_close(&store);
	}
	cli_provider_close(&r->provider);
	grant_wipe(&r->grant);
	return rc;
}

/* How far it came. */
static const char *
say_progress(struct cli *c, const struct account *a, const struct revocation *r)
{
	if (r->ended) {
		cli_say("account %s: revoked at the provider, but not "
			"forgotten here: run mailtoken logout %s when this is "
			"mended:",
		    a->name, ADVICE_WORD(a->name));
		return "";
	}
	if (r->begun) {
		(void)tell_agent(c, a,
		    r->forgotten ? "revoked in part: the access token is "
				   "forgotten, the login is kept" :
				   "revoked in part, and not forgotten here");
		return ": not all is revoked: revoke it again";
	}
	return r->asked ? ": it may be revoked, and is kept" :
			  ": not revoked, and kept";
}

static int
say_failed(struct cli *c, const struct account *a, const struct revocation *r,
    struct cli_wait *w, struct diag *d)
{
	int rc;

	if (w->signal != 0 && !r->asked)
		return cli_wait_interrupted(w);
	if (w->signal != 0)
		(void)diag_set(d, DIAG_RETRY, "interrupted");
	advice_name(d, a->name);
	(void)diag_wrap(d, "account %s%s", a->name, say_progress(c, a, r));
	rc = cli_fail(d);
	return w->signal != 0 ? 128 + w->signal : rc;
}

static int
no_endpoint(struct cli *c, const struct account *a, bool local)
{
	const struct provider_info *info = provider_info(a->provider);
	const char *where = info != NULL && info->revoke_at != NULL ?
				info->revoke_at :
				"the provider's page of the mailbox's owner";

	cli_say("account %s: this provider revokes nothing by request; do it "
		"at %s",
	    a->name, where);
	if (local)
		return log_out(c, a, "logged out here");
	cli_say("account %s: nothing has changed; with --local it is logged "
		"out here",
	    a->name);
	return EX_UNAVAILABLE;
}

int
cmd_revoke(struct cli *c, int argc, char *argv[])
{
	bool local = argc > 2 && strcmp(argv[2], "--local") == 0;
	const struct account *a;
	struct cli_wait w = { .base = NULL };
	struct revocation r = { .grant = GRANT_INIT };
	struct diag d = DIAG_INIT;
	int rc;

	if (argc != 2 + local)
		return cli_usage(argv[0]);
	if ((a = delegated_account(c, argv[1])) == NULL)
		return EX_CONFIG;
	rc = cli_wait_open(&w, &d) < 0 ? -1 : revoke(c, a, &w, &r, &d);
	cli_wait_close(&w);
	if (rc > 0)
		return tell_agent(
		    c, a, "revoked at the provider, and logged out");
	if (rc == 0 && w.signal == 0)
		return no_endpoint(c, a, local);
	return say_failed(c, a, &r, &w, &d);
}
