/* cli_login.c - mailtoken login: a person lets us in. */
#include "cli_login.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "advice_name.h"
#include "cli_redirect.h"
#include "cli_store.h"
#include "echo.h"
#include "jwt.h"

typedef int
login_way(struct login *l, struct oauth2_tokens *ret, struct diag *reterr);

struct options {
	const char *account;
	login_way *way; /* NULL: what suits this host and the provider */
	unsigned port;
};

static const struct {
	const char *option;
	login_way *way;
} ways[] = {
	{ "--device", login_by_device },
	{ "--browser", login_by_browser },
	{ "--paste", login_by_paste },
};

int
login_url(struct login *l, const char *redirect_uri, struct diag *reterr)
{
	const char *endpoint = l->provider.authorization;

	if (endpoint == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "no authorization_endpoint is known for this provider: "
		    "set it, or issuer instead of the endpoints");
	if (provider_check_url(endpoint, l->account->insecure_http, reterr) < 0)
		return diag_wrap(reterr, "authorization_endpoint");
	return authorization_url(&l->authorization, l->account, endpoint,
	    redirect_uri, &l->url, reterr);
}

int
login_redeem(struct login *l, const struct secret *code,
    const char *redirect_uri, struct oauth2_tokens *ret, struct diag *reterr)
{
	struct cli_provider *p = &l->provider;
	auto_answer struct cli_answer answer = CLI_ANSWER_INIT;
	auto_request struct oauth2_request request = OAUTH2_REQUEST_INIT;
	auto_credential struct credential c = { .client = { 0 } };

	if (cli_provider_credential(p, &c, reterr) < 0 ||
	    oauth2_code_request(&c.client, code, redirect_uri,
		&l->authorization.verifier, &request, reterr) < 0 ||
	    cli_provider_ask(p, p->token, &request, &answer, reterr) < 0)
		return -1;
	return oauth2_parse_tokens(answer.status, answer.retry_after_s,
		   answer.body.ptr, answer.body.len, ret, reterr) == 0 ?
		   0 :
		   echo_hide_request(&request, reterr);
}

/*
 * A shared mailbox is logged in to by somebody else, so this is no error; but
 * a browser that was logged in as another person is the commonest mistake.
 */
static void
warn_of_others(const struct account *a, const struct secret *access_token)
{
	static const char *const claims[] = { "upn", "preferred_username",
		"unique_name", "email" };
	auto_json struct json *j =
	    jwt_claims(access_token->ptr, access_token->len);
	const char *who = NULL;

	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		if (who == NULL)
			who = json_str(j, claims[i]);
	if (who == NULL || strchr(a->name, '@') == NULL ||
	    strcasecmp(who, a->name) == 0 ||
	    wire_text(who, strlen(who)) != WIRE_TEXT_ASCII)
		return;
	cli_say("account %s: mind that %.200s has logged in; that is right for "
		"a shared mailbox, else log in again as %s",
	    a->name, who, a->name);
}

static int
keep(struct login *l, const struct oauth2_tokens *t, struct diag *reterr)
{
	if (secret_empty(&t->refresh_token))
		return diag_set(reterr, DIAG_CONFIG,
		    "the provider gave no refresh token: add offline_access "
		    "to scope, and let the application have refresh tokens");
	if (cli_store_login(l->cli, l->account, &t->refresh_token, reterr) < 0)
		return -1;
	warn_of_others(l->account, &t->access_token);
	return 0;
}

static login_way *
best_way(const struct login *l)
{
	if (l->provider.authorization != NULL && login_browser_found())
		return login_by_browser;
	return l->provider.device_authorization != NULL ? login_by_device :
							  login_by_browser;
}

static int
log_in(struct login *l, login_way *way, struct diag *reterr)
{
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	int rc;

	if (cli_wait_open(&l->wait, reterr) < 0 ||
	    cli_provider_open(&l->provider, &l->wait, l->account, reterr) < 0)
		return -1;
	rc = (way != NULL ? way : best_way(l))(l, &t, reterr);
	/* From here on the old refresh token may be a dead one: go on. */
	if (rc == 0)
		rc = keep(l, &t, reterr);
	if (rc < 0)
		advice_name(reterr, l->account->name);
	oauth2_tokens_wipe(&t);
	if (l->redirect != NULL && l->wait.signal == 0)
		redirect_finish(l->redirect, rc == 0 ? NULL : reterr);
	return rc;
}

static int
run(struct login *l, login_way *way)
{
	struct diag d = DIAG_INIT;
	int rc = log_in(l, way, &d);

	redirect_close(&l->redirect);
	cli_provider_close(&l->provider);
	cli_wait_close(&l->wait);
	authorization_wipe(&l->authorization);
	secret_wipe(&l->url);
	if (rc == 0)
		return cli_tell_agent(l->cli, l->account);
	if (l->wait.signal != 0)
		return cli_wait_interrupted(&l->wait);
	(void)diag_wrap(&d, "account %s", l->account->name);
	return cli_fail(&d);
}

/* Could the login be written now?  One that somebody renews: it can. */
static int
try_room(const struct store *s, const char *account, struct diag *reterr)
{
	struct store_lock lock = STORE_LOCK_INIT;
	int rc = store_lock(s, account, &lock, reterr);

	if (rc < 0)
		return lock.busy ? 0 : -1;
	rc = store_reserve(s, &lock, account, reterr);
	store_unreserve(s, &lock, account);
	store_unlock(&lock);
	return rc;
}

/* Without a place to keep it, nobody need log in. */
static int
check(struct cli *c, const struct account *a, struct diag *reterr)
{
	struct store store = STORE_INIT;
	int rc;

	if (a->grant != GRANT_REFRESH_TOKEN)
		return diag_set(reterr, DIAG_CONFIG,
		    "its grant is %s, for which nobody logs in: run mailtoken "
		    "refresh %s",
		    grant_name(a->grant), ADVICE_WORD(a->name));
	if (cli_store_open(c, &store, reterr) < 0)
		return -1;
	rc = try_room(&store, a->name, reterr);
	store_close(&store);
	return rc;
}

static bool
read_port(const char *word, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(word, &end, 10);

	if (*word < '0' || *word > '9' || *end != '\0' || n == 0 || n > 65535)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* One word of the command line; 0: bad, else how many words it took. */
static int
read_option(struct options *o, int left, char *argv[])
{
	if (strcmp(argv[0], "--port") == 0)
		return left > 1 && read_port(argv[1], &o->port) ? 2 : 0;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[0], ways[i].option) == 0) {
			if (o->way != NULL)
				return 0;
			o->way = ways[i].way;
			return 1;
		}
	if (argv[0][0] == '-' || o->account != NULL)
		return 0;
	o->account = argv[0];
	return 1;
}

static bool
read_options(struct options *o, int argc, char *argv[])
{
	for (int i = 1, n; i < argc; i += n)
		if ((n = read_option(o, argc - i, argv + i)) == 0)
			return false;
	return o->account != NULL &&
	       (o->port == 0 || o->way != login_by_device);
}

int
cmd_login(struct cli *c, int argc, char *argv[])
{
	struct options o = { .way = NULL };
	struct login l = { .cli = c };
	struct diag d = DIAG_INIT;

	if (!read_options(&o, argc, argv))
		return cli_usage(argv[0]);
	/* Who names a port wants the listener. */
	if (o.port != 0 && o.way == NULL)
		o.way = login_by_browser;
	l.port = o.port;
	if ((l.account = cli_account(c, o.account)) == NULL)
		return EX_CONFIG;
	if (check(c, l.account, &d) < 0) {
		(void)diag_wrap(&d, "account %s", l.account->name);
		return cli_fail(&d);
	}
	return run(&l, o.way);
}
