/* cli_rekey.c - mailtoken rekey: a new key for what is on disk. */
#include <string.h>
#include <sysexits.h>

#include "cli.h"
#include "cli_store.h"
#include "sealing.h"

static int
say_result(const struct cli *c, const struct sealing_result *r)
{
	const char *path = c->config->seal_key.name;

	cli_say("%s: %zu state file%s sealed anew", path, r->resealed,
	    r->resealed == 1 ? "" : "s");
	if (r->bad == 0) {
		if (r->given)
			cli_say("with the first key that was given; those "
				"behind it can be taken away now");
		return EX_OK;
	}
	cli_say("%zu state file%s cannot be read, the first being:", r->bad,
	    r->bad == 1 ? "" : "s");
	cli_say("%s", r->first.text);
	if (r->kept)
		cli_say("%s: the older key stays in it, as one of these may be "
			"sealed with it; mend or move them, and run this again",
		    path);
	return EX_CONFIG;
}

/* With --first only what sealing_open() does: a key where there is none. */
int
cmd_rekey(struct cli *c, int argc, char *argv[])
{
	bool first = argc == 2 && strcmp(argv[1], "--first") == 0;
	struct store store = STORE_INIT;
	struct sealing_result r = { .first = DIAG_INIT };
	struct diag d = DIAG_INIT;
	int rc;

	if (argc != 1 + first)
		return cli_usage(argv[0]);
	if (cli_config(c) == NULL)
		return EX_CONFIG;
	rc = cli_store_open(c, &store, &d);
	if (rc == 0 && !first)
		rc = sealing_rekey(&store, &r, &d);
	store_close(&store);
	if (rc < 0)
		return cli_fail(&d);
	return first ? EX_OK : say_result(c, &r);
}
