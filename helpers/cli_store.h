/*
 * cli_store.h - how a command changes an account's state: under the store's
 * lock, with the agent's ownership, and so that a running agent hears of it.
 */
#ifndef HELPERS_CLI_STORE_H
#define HELPERS_CLI_STORE_H

#include "cli.h"
#include "secret.h"
#include "store.h"

/*
 * The state directory, made for the agent's user if it is missing and we are
 * root.  cli_config() must have read the configuration.  Returns -1 with
 * *reterr (CONFIG, RETRY).
 */
int cli_store_open(struct cli *c, struct store *ret, struct diag *reterr);

/* The same, if the directory must be there already. */
int cli_store_there(struct cli *c, struct store *ret, struct diag *reterr);

/* The same to read only: nothing is made, not even a key. */
int cli_store_look(struct cli *c, struct store *ret, struct diag *reterr);

/* Stores what a login brought: see renew_login().  -1 with *reterr. */
int cli_store_login(struct cli *c, const struct account *a,
    const struct secret *refresh_token, struct diag *reterr);

/*
 * The agent, if there is one, tries the new login at once.  Says what has
 * come of it, and returns an exit code.
 */
int cli_tell_agent(struct cli *c, const struct account *a);

/*
 * Says so, if another process renews the account's token: whoever wants its
 * lock next may have to wait.
 */
void cli_store_say_busy(const struct store *s, const char *account);

#endif
