/* cli.c - mailtoken: the command table, and what the commands share. */
#include "cli.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <curl/curl.h>

#include "advice_name.h"
#include "cleanup.h"
#include "cli_usage.h"
#include "clock.h"
#include "config_user.h"
#include "privileges.h"

#define CONF_PATH MAILTOKEN_SYSCONFDIR "/mailtoken/mailtoken.conf"

/* clang-format off */
/* Rows without a name begin a group of the usage. */
const struct cli_command cli_commands[] = {
	{ NULL, NULL, "Setting up", NULL },
	{ "add", "ACCOUNT [--KEY VALUE]... [--dry-run]", "write an account into the configuration, asking for what it needs", cmd_add },
	{ "check", "[FILE]", "check the configuration, its files and the state", cmd_check },
	{ "import", "ACCOUNT [--from FILE|-] [--format NAME] [--mailbox ADDRESS] [--password-file FILE]", "store a login of another program, or a refresh token", cmd_import },
	{ "list", "[--json] [--names]", "show the accounts of the configuration", cmd_list },
	{ "login", "ACCOUNT [--device|--browser|--paste] [--port N]", "let the mailbox's owner log in, once", cmd_login },
	{ "logout", "ACCOUNT", "forget the account's tokens here", cmd_logout },
	{ "revoke", "ACCOUNT [--local]", "end the login at the provider, and forget it here", cmd_revoke },
	{ NULL, NULL, "Tokens", NULL },
	{ "refresh", "ACCOUNT", "renew the account's token now", cmd_refresh },
	{ "reload", "", "let the agent read its configuration again", cmd_reload },
	{ "token", "ACCOUNT", "print an access token, on one line", cmd_token },
	{ NULL, NULL, "Trouble", NULL },
	{ "explain", "TEXT...|-|--list [--json]", "say what a line of a log means, and what to do", cmd_explain },
	{ "inspect", "ACCOUNT [--mailbox ADDRESS] [--json]", "show what the account's token is for, and what is wrong with it", cmd_inspect },
	{ "metrics", "[--no-accounts] [--output FILE]", "print what the agent counts, for monitoring", cmd_metrics },
	{ "status", "[ACCOUNT] [--json|--nagios]", "show every account and what is wrong with it", cmd_status },
	{ "test", "ACCOUNT [--smtp|--imap|--pop] [--user MAILBOX] [--host HOST[:PORT]] [--ca FILE] [--refresh] [--json]", "log in at the mail servers with the account's token", cmd_test },
	{ NULL, NULL, "Backup, and the rest", NULL },
	{ "export", "FILE|- [ACCOUNT...] [--passphrase-file FILE]", "put configuration, secrets and logins into one encrypted file", cmd_export },
	{ "rekey", "[--first]", "seal the state with a new key", cmd_rekey },
	{ "restore", "FILE|- [--passphrase-file FILE] [--force] [--everywhere] [--dry-run]", "bring back what export has put away", cmd_restore },
	{ "completion", "bash|zsh|fish", "print a script that completes this command in a shell", cmd_completion },
};

static const int exit_codes[] = {
	[DIAG_OK] = EX_OK,
	[DIAG_RETRY] = EX_TEMPFAIL,
	[DIAG_REAUTH] = EX_NOPERM,
	[DIAG_CONFIG] = EX_CONFIG,
	[DIAG_DENIED] = EX_NOPERM,
	[DIAG_PROTO] = EX_PROTOCOL,
	[DIAG_NOMEM] = EX_OSERR,
};
/* clang-format on */
_Static_assert(sizeof(exit_codes) / sizeof(exit_codes[0]) == DIAG__COUNT,
    "one exit code per kind");

const size_t cli_n_commands = sizeof(cli_commands) / sizeof(cli_commands[0]);

int
cli_exit_code(enum diag_kind kind)
{
	return exit_codes[kind];
}

void
cli_say(const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		fputs("mailtoken: out of memory\n", stderr);
		return;
	}
	/* File names and arguments may have what terminals obey. */
	for (char *p = text; *p != '\0'; p++)
		if (((unsigned char)*p < ' ' && *p != '\n' && *p != '\t') ||
		    *p == 0x7f)
			*p = '?';
	fprintf(stderr, "mailtoken: %s\n", text);
}

int
cli_fail(const struct diag *d)
{
	if (*d->text != '\0')
		cli_say("%s", d->text);
	return cli_exit_code(d->kind);
}

static void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	cli_say("%s", d->text);
}

static struct config *
load(const struct cli *c, config_complain *hear)
{
	struct config *config = config_load(c->conf_path, hear, NULL);
	struct diag d = DIAG_INIT;

	if (config != NULL && c->user && config_user_defaults(config, &d) < 0) {
		hear(NULL, &d);
		config_unref(&config);
	}
	return config;
}

struct config *
cli_config(struct cli *c)
{
	if (c->config == NULL)
		c->config = load(c, complain);
	return c->config;
}

typedef const struct account *finder(const struct config *c, const char *name);

static const struct account *
find(struct cli *c, const char *name, finder *by)
{
	const struct account *a = NULL;

	if (!wire_account_ok(name) && !wire_pattern_ok(name))
		cli_say("that is no account's name: 1 to %d printable "
			"characters without blanks and without "
			"/ \\ \" [ ] : ; *",
		    WIRE_ACCOUNT_MAX);
	else if (cli_config(c) != NULL && (a = by(c->config, name)) == NULL)
		cli_say("there is no account %s in %s: mailtoken add %s, or "
			"correct the name",
		    name, c->conf_path, ADVICE_WORD(name));
	return a;
}

const struct account *
cli_account(struct cli *c, const char *name)
{
	return find(c, name, config_account);
}

const struct account *
cli_mailbox_account(struct cli *c, const char *name)
{
	return find(c, name, config_mailbox);
}

static void
ignore(void *arg, const struct diag *d)
{
	(void)arg;
	(void)d;
}

/*
 * The configuration may be unreadable for whoever asks for a token, and need
 * not be right for that: then the default paths must do.
 */
static const struct config *
quiet_config(struct cli *c)
{
	if (c->config == NULL)
		c->config = load(c, ignore);
	return c->config;
}

const struct account *
cli_find_account(struct cli *c, const char *name)
{
	return quiet_config(c) != NULL ? config_mailbox(c->config, name) : NULL;
}

static const char *
socket_path(struct cli *c)
{
	const char *env = getenv("MAILTOKEN_SOCKET");

	if (c->socket != NULL)
		return c->socket;
	if (env != NULL && *env != '\0')
		return env;
	if (quiet_config(c) != NULL && !c->config->listen_default)
		return c->config->listen[0];
	return NULL;
}

enum cli_agent_state
cli_agent_look(struct cli *c, struct token_agent *ret, struct diag *reterr)
{
	auto_exchange struct exchange x = EXCHANGE_INIT;

	token_agent_init(ret, socket_path(c), TOKEN_TIMEOUT_MS);
	if (exchange_open(&x, ret->path, ret->timeout_ms, reterr) == 0)
		return CLI_AGENT_THERE;
	return x.absent ? CLI_AGENT_ABSENT : CLI_AGENT_DEAF;
}

bool
cli_agent(struct cli *c, struct token_agent *ret)
{
	struct diag d = DIAG_INIT;

	return cli_agent_look(c, ret, &d) == CLI_AGENT_THERE;
}

int
cli_no_agent(struct cli *c)
{
	auto_exchange struct exchange x = EXCHANGE_INIT;
	struct diag d = DIAG_INIT;

	if (exchange_open(&x, socket_path(c), TOKEN_TIMEOUT_MS, &d) == 0)
		(void)diag_set(&d, DIAG_RETRY,
		    "the agent has just come: "
		    "try again");
	return cli_fail(&d);
}

int
cli_ask(const struct token_agent *a, const char *op, const char *account,
    struct buf *answer, struct wire_msg *ret, struct diag *reterr)
{
	auto_buf struct buf request = BUF_INIT(WIRE_MAX_BYTES);

	wire_put(&request, "version", WIRE_VERSION);
	wire_put(&request, "op", op);
	wire_put(&request, "account", account);
	wire_end(&request);
	if (request.failed)
		return diag_nomem(reterr);
	return token_agent_ask(a, &request, answer, ret, reterr);
}

const char *
cli_span(int64_t seconds, char *text, size_t size)
{
	int64_t n = seconds < 0 ? -seconds : seconds;

	if (n < 120)
		(void)snprintf(text, size, "%lld s", (long long)n);
	else if (n < 2 * 3600)
		(void)snprintf(text, size, "%lld min", (long long)n / 60);
	else if (n < 48 * 3600)
		(void)snprintf(text, size, "%lld h", (long long)n / 3600);
	else
		(void)snprintf(text, size, "%lld days", (long long)n / 86400);
	return text;
}

/*
 * Tokens pass through here: no core, no ptrace, no swap if that can be had,
 * nothing world-readable.
 */
static void
harden(void)
{
	struct rlimit none = { 0, 0 };
	struct diag unlocked = DIAG_INIT;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)privileges_lock_memory(&unlocked);
	(void)umask(077);
}

static int
run(struct cli *c, int argc, char *argv[])
{
	const struct cli_command *cmd = usage_find(argv[0]);

	if (cmd == NULL) {
		cli_say("there is no command '%s'", argv[0]);
		return usage_print(stderr);
	}
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage_command(cmd, stdout);
	return cmd->run(c, argc, argv);
}

/*
 * With --user, or if the caller is not root and has a configuration of its
 * own, that; else the system's.  The caller frees.
 */
static char *
choose_path(struct cli *c)
{
	char *own = config_user_path();

	if (!c->user && geteuid() != 0 && own != NULL && access(own, F_OK) == 0)
		c->user = true;
	if (!c->user) {
		free(own);
		own = strdup(CONF_PATH);
	}
	c->conf_path = own;
	return own;
}

/* -1: go on; else that was all, with this exit code. */
static int
read_options(int argc, char *argv[], struct cli *c)
{
	static const struct option words[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "user", no_argument, NULL, 'u' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "+c:s:", words, NULL)) != -1)
		switch (opt) {
		case 'c':
			c->conf_path = optarg;
			break;
		case 's':
			c->socket = optarg;
			break;
		case 'u':
			c->user = true;
			break;
		case 'h':
			return usage_print(stdout);
		case 'v':
			puts("mailtoken " MAILTOKEN_VERSION);
			return EX_OK;
		default:
			return usage_print(stderr);
		}
	return optind < argc ? -1 : usage_print(stderr);
}

int
main(int argc, char *argv[])
{
	struct cli c = { .conf_path = NULL };
	auto_free char *own = NULL;
	int rc = read_options(argc, argv, &c);

	if (rc >= 0)
		return rc;
	if (c.conf_path == NULL && (own = choose_path(&c)) == NULL) {
		cli_say("HOME is not set: use -c FILE");
		return EX_CONFIG;
	}
	harden();
	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EX_SOFTWARE;
	rc = run(&c, argc - optind, argv + optind);
	config_unref(&c.config);
	curl_global_cleanup();
	/* Data that did not reach its reader is no success. */
	if (fflush(stdout) != 0 && rc == EX_OK)
		rc = EX_IOERR;
	return rc;
}
