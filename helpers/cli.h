/*
 * cli.h - what mailtoken's commands share.  stdout is data, stderr is words;
 * the exit code is one of sysexits(3) by the kind of the failure.
 */
#ifndef HELPERS_CLI_H
#define HELPERS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "diag.h"
#include "exchange.h"
#include "store.h"
#include "token_source.h"

struct cli {
	const char *conf_path;
	bool user; /* a user's own agent and configuration */
	const char *socket;    /* -s; NULL: not given */
	struct config *config; /* once cli_config() has read it */
};

/* A row without a name is the heading of those that follow. */
struct cli_command {
	const char *name;
	const char *args; /* as the usage shows them; completions read it */
	const char *does;
	int (*run)(struct cli *c, int argc, char *argv[]);
};
extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

/* Commands: argv[0] is the command's own name.  They return an exit code. */
int cmd_add(struct cli *c, int argc, char *argv[]);
int cmd_check(struct cli *c, int argc, char *argv[]);
int cmd_completion(struct cli *c, int argc, char *argv[]);
int cmd_explain(struct cli *c, int argc, char *argv[]);
int cmd_export(struct cli *c, int argc, char *argv[]);
int cmd_import(struct cli *c, int argc, char *argv[]);
int cmd_list(struct cli *c, int argc, char *argv[]);
int cmd_restore(struct cli *c, int argc, char *argv[]);
int cmd_login(struct cli *c, int argc, char *argv[]);
int cmd_logout(struct cli *c, int argc, char *argv[]);
int cmd_revoke(struct cli *c, int argc, char *argv[]);
int cmd_test(struct cli *c, int argc, char *argv[]);
int cmd_token(struct cli *c, int argc, char *argv[]);
int cmd_inspect(struct cli *c, int argc, char *argv[]);
int cmd_metrics(struct cli *c, int argc, char *argv[]);
int cmd_status(struct cli *c, int argc, char *argv[]);
int cmd_refresh(struct cli *c, int argc, char *argv[]);
int cmd_rekey(struct cli *c, int argc, char *argv[]);
int cmd_reload(struct cli *c, int argc, char *argv[]);

int cli_exit_code(enum diag_kind kind);
/* Says it on stderr, if it has a text, and returns the exit code. */
int cli_fail(const struct diag *d);
/* "mailtoken: ..." on stderr. */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The command was not given what its line in the usage says: EX_USAGE. */
int cli_usage(const char *command);

/* Reads the configuration, once; NULL after it has said what is wrong. */
struct config *cli_config(struct cli *c);
/* NULL after it has said that there is no such account. */
const struct account *cli_account(struct cli *c, const char *name);
/* The same for who wants a mailbox's token: see config_mailbox(). */
const struct account *cli_mailbox_account(struct cli *c, const char *name);
/*
 * NULL, and nothing said, if the configuration cannot be read or lacks it:
 * who may have an account's token need not be able to read that.
 */
const struct account *cli_find_account(struct cli *c, const char *name);

/*
 * The agent to talk to: -s, $MAILTOKEN_SOCKET, the configuration's first
 * path, the default paths.  False: nobody answers there.
 */
bool cli_agent(struct cli *c, struct token_agent *ret);

/*
 * For who must tell a running agent.  One that does not run has nothing to
 * hear (ABSENT); one that hangs, or lets nobody in, goes on with what it knows
 * (DEAF, and *reterr is set: RETRY, CONFIG).
 */
enum cli_agent_state { CLI_AGENT_THERE, CLI_AGENT_ABSENT, CLI_AGENT_DEAF };
enum cli_agent_state cli_agent_look(struct cli *c, struct token_agent *ret,
	struct diag *reterr);
/* Says that nobody answers, and what to do: EX_TEMPFAIL. */
int cli_no_agent(struct cli *c);

/* op=OP [account=ACCOUNT] to the agent; see token_agent_ask(). */
int cli_ask(const struct token_agent *a, const char *op, const char *account,
    struct buf *answer, struct wire_msg *ret, struct diag *reterr);

/*
 * Without an agent, by the same core and under the same locks: the
 * account's grant, renewed if it has to be or if force.
 */
int cli_renew(struct cli *c, const struct account *a, bool force,
    struct grant *ret, struct diag *reterr);

/*
 * A token to use: the agent's, or without an agent by cli_renew().  The
 * account need not be in a configuration that we can read if there is an
 * agent.  q->account is required.  The text is empty if what is wrong has
 * been said already.
 */
int cli_token(struct cli *c, const struct token_query *q, struct token *ret,
    struct diag *reterr);

/* "59 min", "2 days": for people. */
const char *cli_span(int64_t seconds, char *text, size_t size);

#endif
