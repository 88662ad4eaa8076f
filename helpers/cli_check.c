/* cli_check.c - mailtoken check: everything that can be told beforehand. */
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "cli.h"

static void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	cli_say("%s", d->text);
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
	if (store_open(&store, config->state_dir, &d) < 0) {
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
				"mailtoken import %s",
			    a->name, a->name);
		}
	}
	store_close(&store);
	return bad;
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
	bad += check_state(c->config);
	if (bad > 0)
		return EX_CONFIG;
	cli_say("%s: %zu account%s, nothing wrong", c->conf_path,
	    c->config->n_accounts, c->config->n_accounts == 1 ? "" : "s");
	return EX_OK;
}
