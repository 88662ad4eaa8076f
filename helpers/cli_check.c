/* cli_check.c - mailtoken check: everything that can be told beforehand. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "advice_name.h"
#include "cli.h"
#include "config_check.h"
#include "login_place.h"
#include "privileges.h"
#include "sealing.h"

static void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	cli_say("%s", d->text);
}

/* Notes were said already, when root looked. */
static void
complain_again(void *arg, const struct diag *d)
{
	if (d->kind != DIAG_OK)
		complain(arg, d);
}

/* Nothing is made: not even a seal key. */
static int
open_as_is(struct store *s, const struct config *config, struct diag *reterr)
{
	return sealing_open(
	    s, config->state_dir, &config->seal_key, false, reterr);
}

/* The state directory, and whatever is in it about the accounts. */
static size_t
check_state(const struct config *config)
{
	struct store store = STORE_INIT;
	struct diag d = DIAG_INIT;
	struct stat st;
	size_t bad = 0;

	if (stat(config->state_dir, &st) < 0)
		return 0; /* made by the first import or start */
	if (open_as_is(&store, config, &d) < 0) {
		cli_say("%s", d.text);
		return 1;
	}
	for (size_t i = 0; i < config->n_accounts; i++) {
		const struct account *a = config->accounts[i];
		auto_grant struct grant g = GRANT_INIT;
		int rc = store_read(&store, a->name, &g, &d);

		if (rc < 0) {
			cli_say("account %s: %s", a->name, d.text);
			bad++;
		} else if (a->grant == GRANT_REFRESH_TOKEN &&
			   secret_empty(&g.refresh_token)) {
			cli_say("account %s: note: no refresh token yet: "
				"mailtoken login %s",
			    a->name, ADVICE_WORD(a->name));
		} else if (a->grant == GRANT_REFRESH_TOKEN &&
			   login_place_check(a, g.place, &d) < 0) {
			cli_say("account %s: note: %s", a->name, d.text);
		}
	}
	store_close(&store);
	return bad;
}

/* In a process of its own: what the agent would meet. */
static size_t
try_as_agent(const struct config *config)
{
	struct store store = STORE_INIT;
	struct diag d = DIAG_INIT;
	struct stat st;
	size_t bad;

	if (privileges_drop(config->user, &d) < 0) {
		cli_say("%s", d.text);
		return 1;
	}
	if (access(config->path, R_OK) < 0) {
		cli_say("%s: the agent's user cannot read it: %s; run: chgrp "
			"%s %s, and let its directories be open to that user",
		    config->path, strerror(errno), config->user, config->path);
		return 1;
	}
	bad = config_check_files(config, complain_again, NULL);
	if (stat(config->state_dir, &st) < 0)
		return bad; /* made by the first import or start */
	if (st.st_uid != geteuid()) {
		cli_say("%s: belongs to uid %u, not to the agent's user; run: "
			"chown -R %s: %s",
		    config->state_dir, (unsigned)st.st_uid, config->user,
		    config->state_dir);
		return bad + 1;
	}
	if (open_as_is(&store, config, &d) < 0) {
		cli_say("%s", d.text);
		bad++;
	}
	store_close(&store);
	return bad;
}

/* Root can read everything, the agent cannot. */
static size_t
check_as_agent(const struct config *config)
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		return 0;
	if ((child = fork()) == 0)
		_exit(try_as_agent(config) > 0);
	if (child < 0 || waitpid(child, &status, 0) != child) {
		cli_say(
		    "cannot try as user %s: %s", config->user, strerror(errno));
		return 1;
	}
	return status != 0;
}

int
cmd_check(struct cli *c, int argc, char *argv[])
{
	size_t bad;

	if (argc > 2)
		return cli_usage(argv[0]);
	if (argc == 2)
		c->conf_path = argv[1];
	if (cli_config(c) == NULL)
		return EX_CONFIG;
	bad = config_check_files(c->config, complain, NULL);
	if (bad == 0)
		bad = c->user ? 0 : check_as_agent(c->config);
	/* Whose files those should be is clear only now. */
	if (bad == 0 || geteuid() != 0)
		bad += check_state(c->config);
	if (bad > 0)
		return EX_CONFIG;
	cli_say("%s: %zu account%s, nothing wrong", c->conf_path,
	    c->config->n_accounts, c->config->n_accounts == 1 ? "" : "s");
	return EX_OK;
}
