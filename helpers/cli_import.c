/* cli_import.c - mailtoken import: a login that another program has made. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

#include "advice_name.h"
#include "cleanup.h"
#include "cli.h"
#include "cli_file.h"
#include "cli_prompt.h"
#include "cli_store.h"
#include "import_file.h"
#include "oauth2.h"

#define SASL_XOAUTH2 MAILTOKEN_SYSCONFDIR "/sasl-xoauth2.conf"
#define INPUT_MAX    (OAUTH2_TOKEN_MAX + 64) /* with blanks around it */

struct request {
	const char *account, *from, *mailbox, *password_file;
	enum import_format format;
};

/* Standard input, or a terminal's line that is not shown. */
static int
read_bare(struct buf *b, struct diag *reterr)
{
	auto_secret struct secret typed = SECRET_INIT;

	if (!isatty(STDIN_FILENO))
		return cli_file_read("-", INPUT_MAX, b, reterr);
	if (cli_prompt_secret("Refresh token (it is not shown): ", INPUT_MAX,
		&typed, reterr) < 0)
		return -1;
	buf_add(b, typed.ptr, typed.len);
	return 0;
}

/* Without --from, as ever: the refresh token and nothing else. */
static int
import_bare(struct import_file *f, struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(INPUT_MAX + 8192);

	if (read_bare(&b, reterr) < 0 || buf_room(&b, 1) == NULL)
		return reterr->kind != DIAG_OK ? -1 : diag_nomem(reterr);
	if (import_file_parse(b.ptr, b.len, IMPORT_TOKEN, NULL, f, reterr) == 0)
		return 0;
	if (reterr->kind == DIAG_CONFIG)
		(void)diag_set(reterr, DIAG_CONFIG,
		    "standard input is empty, or no refresh token: that is "
		    "one word; for the file of another program there is "
		    "--from");
	return -1;
}

/* The file of another program; *rc is the exit code of a failure. */
static int
import_file(const struct request *r, struct import_file *f, int *rc,
    struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(IMPORT_FILE_MAX + 65536);

	*rc = 0;
	if (cli_file_read(r->from, IMPORT_FILE_MAX, &b, reterr) < 0)
		return -1;
	if (buf_room(&b, 1) == NULL)
		return diag_nomem(reterr);
	if (import_file_parse(b.ptr, b.len, r->format, r->mailbox, f, reterr) ==
	    0)
		return 0;
	if (reterr->kind == DIAG_CONFIG)
		*rc = EX_DATAERR;
	return diag_wrap(reterr, "%s",
	    strcmp(r->from, "-") == 0 ? "standard input" : r->from);
}

static int
unseal(const struct request *r, struct import_file *f, struct diag *reterr)
{
	auto_secret struct secret password = SECRET_INIT;
	char prompt[160];

	if (!f->sealed)
		return 0;
	(void)snprintf(prompt, sizeof(prompt),
	    "Password that mail programs give to the proxy for %.80s (it is "
	    "not shown): ",
	    f->mailbox);
	if (cli_prompt_or_file(r->password_file, prompt, &password, reterr) < 0)
		return diag_wrap(reterr, "the password (--password-file)");
	return import_file_unseal(f, &password, reterr);
}

/*
 * The token file of sasl-xoauth2 need not tell of the application: its
 * configuration does, if it is on this host and can be read.
 */
static int
add_application(struct import_file *f, struct diag *reterr)
{
	auto_import_file struct import_file conf = IMPORT_FILE_INIT;
	auto_buf struct buf b = BUF_INIT(IMPORT_FILE_MAX + 65536);
	struct diag ignored = DIAG_INIT;

	if (f->format != IMPORT_SASL_XOAUTH2 || f->client_id != NULL ||
	    cli_file_read(SASL_XOAUTH2, IMPORT_FILE_MAX, &b, &ignored) < 0)
		return 0;
	if (buf_room(&b, 1) == NULL)
		return diag_nomem(reterr);
	if (import_file_parse(
		b.ptr, b.len, IMPORT_SASL_XOAUTH2, NULL, &conf, &ignored) < 0)
		return 0;
	f->client_id = take_ptr(&conf.client_id);
	if (f->tenant == NULL)
		f->tenant = take_ptr(&conf.tenant);
	return 0;
}

/* A refresh token is good for the client that it was given to, only. */
static void
compare(const struct import_file *f, const struct account *a)
{
	if (f->client_id != NULL && a->client_id != NULL &&
	    strcasecmp(f->client_id, a->client_id) != 0)
		cli_say("account %s: the other program logged in with another "
			"application, and its login works with that one only; "
			"if it is refused, write in [account %s] of %s: "
			"client_id = %.128s",
		    a->name, a->name, a->config->path, f->client_id);
	if (f->tenant != NULL && a->tenant != NULL &&
	    strcasecmp(f->tenant, a->tenant) != 0)
		cli_say("account %s: the other program logged in at another "
			"directory; if the login is refused, write in "
			"[account %s] of %s: tenant = %.128s",
		    a->name, a->name, a->config->path, f->tenant);
	if (f->mailbox != NULL && strchr(a->name, '@') != NULL &&
	    strcasecmp(f->mailbox, a->name) != 0)
		cli_say("account %s: note that this is the login of %.128s",
		    a->name, f->mailbox);
}

/* sasl-xoauth2.conf and the like: of use, but not for this. */
static int
no_token(const struct request *r, const struct import_file *f)
{
	cli_say("%s: tells of an application, but has no refresh token: give "
		"the file that has one (the one of the mailbox)",
	    r->from);
	cli_say("its application is, as the configuration has it:");
	fprintf(stderr, "    client_id = %.128s\n", f->client_id);
	if (f->tenant != NULL)
		fprintf(stderr, "    tenant = %.128s\n", f->tenant);
	return EX_DATAERR;
}

/* Where the word behind an option goes; NULL: no such option. */
static const char **
option(struct request *r, const char *word)
{
	return strcmp(word, "--from") == 0	    ? &r->from :
	       strcmp(word, "--mailbox") == 0	    ? &r->mailbox :
	       strcmp(word, "--password-file") == 0 ? &r->password_file :
						      NULL;
}

static int
no_format(const char *command)
{
	fputs("mailtoken: --format is one of:", stderr);
	for (unsigned i = 0; i < IMPORT__COUNT; i++)
		fprintf(
		    stderr, " %s", import_format_name((enum import_format)i));
	fputc('\n', stderr);
	return cli_usage(command);
}

static int
parse_arguments(int argc, char *argv[], struct request *r)
{
	for (int i = 1; i < argc; i++) {
		const char **slot = option(r, argv[i]);

		if (slot != NULL && i + 1 < argc)
			*slot = argv[++i];
		else if (strcmp(argv[i], "--format") == 0 && i + 1 < argc &&
			 import_format_parse(argv[i + 1], &r->format))
			i++;
		else if (strcmp(argv[i], "--format") == 0)
			return no_format(argv[0]);
		else if (r->account == NULL && argv[i][0] != '-')
			r->account = argv[i];
		else
			return cli_usage(argv[0]);
	}
	if (r->account == NULL ||
	    (r->from == NULL &&
		(r->mailbox != NULL || r->password_file != NULL ||
		    r->format != IMPORT_ANY)))
		return cli_usage(argv[0]);
	return EX_OK;
}

static int
fail(const struct account *a, struct diag *d, int rc)
{
	int code = cli_exit_code(d->kind);

	advice_name(d, a->name);
	(void)diag_wrap(d, "account %s", a->name);
	(void)cli_fail(d);
	return rc != 0 ? rc : code;
}

int
cmd_import(struct cli *c, int argc, char *argv[])
{
	auto_import_file struct import_file f = IMPORT_FILE_INIT;
	struct request r = { .format = IMPORT_ANY };
	const struct account *a;
	struct diag d = DIAG_INIT;
	int rc = parse_arguments(argc, argv, &r);

	if (rc != EX_OK)
		return rc;
	if ((a = cli_account(c, r.account)) == NULL)
		return EX_CONFIG;
	if (a->grant != GRANT_REFRESH_TOKEN) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "its grant is %s, which has no refresh token: there is "
		    "nothing to import",
		    grant_name(a->grant));
		return fail(a, &d, 0);
	}
	if ((r.from == NULL ? import_bare(&f, &d) :
			      import_file(&r, &f, &rc, &d)) < 0)
		return fail(a, &d, rc);
	if (secret_empty(&f.refresh_token))
		return no_token(&r, &f);
	if (add_application(&f, &d) < 0)
		return fail(a, &d, 0);
	if (unseal(&r, &f, &d) < 0)
		return fail(a, &d, d.kind == DIAG_CONFIG ? EX_DATAERR : 0);
	if (cli_store_login(c, a, &f.refresh_token, &d) < 0)
		return fail(a, &d, 0);
	compare(&f, a);
	rc = cli_tell_agent(c, a);
	if (r.from != NULL && strcmp(r.from, "-") != 0)
		cli_say("%s still has that login, too: stop the program that "
			"uses it, and remove it",
		    r.from);
	return rc;
}
