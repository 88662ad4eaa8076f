/* cli_store.c - storing a login, and telling the agent. */
#include "cli_store.h"

#include <sysexits.h>

#include "advice_name.h"
#include "clock.h"
#include "privileges.h"
#include "renew.h"
#include "renew_login.h"
#include "sealing.h"

int
cli_store_there(struct cli *c, struct store *ret, struct diag *reterr)
{
	return sealing_open(
	    ret, c->config->state_dir, &c->config->seal_key, true, reterr);
}

int
cli_store_look(struct cli *c, struct store *ret, struct diag *reterr)
{
	return sealing_open(
	    ret, c->config->state_dir, &c->config->seal_key, false, reterr);
}

int
cli_store_open(struct cli *c, struct store *ret, struct diag *reterr)
{
	int rc = c->user ? privileges_own_dir(c->config->state_dir, reterr) :
			   privileges_state_dir(
			       c->config->state_dir, c->config->user, reterr);

	if (rc < 0)
		return -1;
	return cli_store_there(c, ret, reterr);
}

void
cli_store_say_busy(const struct store *s, const char *account)
{
	struct store_lock lock = STORE_LOCK_INIT;
	struct diag ignored = DIAG_INIT;

	if (store_lock(s, account, &lock, &ignored) < 0 && lock.busy)
		cli_say("account %s: waiting for a renewal of its token that "
			"is under way, up to %d s",
		    account, RENEW_LOGIN_WAIT_MS / 1000);
	store_unlock(&lock);
}

int
cli_store_login(struct cli *c, const struct account *a,
    const struct secret *refresh_token, struct diag *reterr)
{
	struct store store = STORE_INIT;
	int rc;

	if (cli_store_open(c, &store, reterr) < 0)
		return -1;
	cli_store_say_busy(&store, a->name);
	rc = renew_login(&store, a, refresh_token, clock_now_s(), reterr);
	store_close(&store);
	return rc;
}

int
cli_tell_agent(struct cli *c, const struct account *a)
{
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	struct token_agent agent;
	struct wire_msg msg;
	struct diag d = DIAG_INIT;

	switch (cli_agent_look(c, &agent, &d)) {
	case CLI_AGENT_ABSENT:
		cli_say("account %s: the refresh token is stored; the agent "
			"does not run yet",
		    a->name);
		return EX_OK;
	case CLI_AGENT_DEAF:
		cli_say(
		    "account %s: the refresh token is stored, but the agent "
		    "could not be told: run mailtoken refresh %s when this "
		    "is mended:",
		    a->name, ADVICE_WORD(a->name));
		return cli_fail(&d);
	case CLI_AGENT_THERE:
		break;
	}
	if (cli_ask(&agent, "refresh", a->name, &answer, &msg, &d) < 0) {
		cli_say(
		    "account %s: the refresh token is stored, but:", a->name);
		return cli_fail(&d);
	}
	cli_say(
	    "account %s: the refresh token is stored, and it works", a->name);
	return EX_OK;
}
