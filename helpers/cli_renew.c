/* cli_renew.c - a token without an agent, and the commands about renewing. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "advice_name.h"
#include "cli.h"
#include "cli_store.h"
#include "clock.h"
#include "http.h"
#include "renew.h"

struct outcome {
	struct grant *grant;
	struct diag *why;
	int rc;
};

static void
renewed(void *arg, const struct grant *g, const struct diag *unsaved,
    const struct diag *why)
{
	struct outcome *o = arg;

	if (unsaved != NULL)
		cli_say("the new token could not be saved, and a new refresh "
			"token is lost with it (if the next renewal is "
			"refused: mailtoken login): %s",
		    unsaved->text);
	if (why != NULL) {
		*o->why = *why;
		return;
	}
	if (grant_copy(o->grant, g))
		o->rc = 0;
	else
		(void)diag_nomem(o->why);
}

int
cli_renew(struct cli *c, const struct account *a, bool force, struct grant *ret,
    struct diag *reterr)
{
	struct outcome o = { .grant = ret, .why = reterr, .rc = -1 };
	struct store store = STORE_INIT;
	struct event_base *base = event_base_new();
	struct http *http = NULL;
	struct renew_env env;

	if (base == NULL)
		return diag_nomem(reterr);
	if (cli_store_there(c, &store, reterr) == 0 &&
	    (http = http_new(base, reterr)) != NULL) {
		env = (struct renew_env){ .base = base,
			.http = http,
			.store = &store,
			.now_ms = clock_now_ms,
			.wall_s = clock_wall_s };
		if (renew_start(&env, a, NULL, a->min_life_s, force, renewed,
			&o, reterr) != NULL)
			(void)event_base_dispatch(base);
	}
	http_free(&http);
	store_close(&store);
	event_base_free(base);
	return o.rc;
}

/* Names the account, unless the text does. */
static int
name_account(const struct account *a, struct diag *d)
{
	advice_name_wrap(d, a->name);
	return -1;
}

/* One line, or nothing: a reader takes whatever comes for the token. */
static int
print_token(const char *token, size_t n)
{
	if (fwrite(token, 1, n, stdout) != n || putchar('\n') == EOF ||
	    fflush(stdout) != 0)
		return EX_IOERR;
	return EX_OK;
}

int
cli_token(struct cli *c, const struct token_query *q, struct token *ret,
    struct diag *reterr)
{
	auto_grant struct grant grant = GRANT_INIT;
	struct token_agent agent;
	const struct account *a;

	if (cli_agent(c, &agent))
		return agent.source.ops->get(&agent.source, q, ret, reterr);
	if ((a = cli_mailbox_account(c, q->account)) == NULL) {
		(void)diag_set(reterr, DIAG_CONFIG, "%s", "");
		return -1;
	}
	if (cli_renew(c, a, false, &grant, reterr) < 0)
		return name_account(a, reterr);
	secret_move(&ret->value, &grant.access_token);
	ret->expires_at = grant.expires_at;
	ret->generation = grant.generation;
	return 0;
}

int
cmd_token(struct cli *c, int argc, char *argv[])
{
	auto_token struct token token = TOKEN_INIT;
	struct token_query q = { 0 };
	struct diag d = DIAG_INIT;

	if (argc != 2)
		return cli_usage(argv[0]);
	q.account = argv[1];
	if (cli_token(c, &q, &token, &d) < 0)
		return cli_fail(&d);
	return print_token(token.value.ptr, token.value.len);
}

static void
say_renewed(const char *account, int64_t expires_at)
{
	char span[32];

	cli_say("account %s: renewed, the new token lives %s", account,
	    cli_span(expires_at - clock_now_s(), span, sizeof(span)));
}

int
cmd_refresh(struct cli *c, int argc, char *argv[])
{
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	auto_grant struct grant grant = GRANT_INIT;
	struct token_agent agent;
	const struct account *a;
	struct wire_msg msg;
	struct diag d = DIAG_INIT;
	int64_t expires_at = 0;

	if (argc != 2)
		return cli_usage(argv[0]);
	if (cli_agent(c, &agent)) {
		if (cli_ask(&agent, "refresh", argv[1], &answer, &msg, &d) < 0)
			return cli_fail(&d);
		(void)wire_get_int(&msg, "expires_at", &expires_at);
		say_renewed(argv[1], expires_at);
		return EX_OK;
	}
	if ((a = cli_account(c, argv[1])) == NULL)
		return EX_CONFIG;
	if (cli_renew(c, a, true, &grant, &d) < 0) {
		(void)name_account(a, &d);
		return cli_fail(&d);
	}
	say_renewed(a->name, grant.expires_at);
	return EX_OK;
}

int
cmd_reload(struct cli *c, int argc, char *argv[])
{
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	struct token_agent agent;
	struct wire_msg msg;
	struct diag d = DIAG_INIT;
	int64_t n = 0;

	if (argc != 1)
		return cli_usage(argv[0]);
	if (!cli_agent(c, &agent))
		return cli_no_agent(c);
	if (cli_ask(&agent, "reload", NULL, &answer, &msg, &d) < 0)
		return cli_fail(&d);
	(void)wire_get_int(&msg, "accounts", &n);
	cli_say("reloaded: %lld account%s", (long long)n, n == 1 ? "" : "s");
	if (wire_get(&msg, "warning") != NULL)
		cli_say("warning: %s", wire_get(&msg, "warning"));
	return EX_OK;
}
