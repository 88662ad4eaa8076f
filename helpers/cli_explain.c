/*
 * cli_explain.c - mailtoken explain: what a text of a log means and what to
 * do.  Prints rows of the table and nothing of the text, which may hold
 * anything.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "advice.h"
#include "buf.h"
#include "cli.h"
#include "cli_json.h"

#define TEXT_MAX  65536
#define FOUND_MAX 32 /* different things wrong in one text */

struct found {
	size_t n;
	struct {
		const struct advice *a;
		enum diag_kind kind;
	} row[FOUND_MAX];
};

static const char *const who_acts[] = {
	[DIAG_OK] = "",
	[DIAG_RETRY] = "nobody, time cures it",
	[DIAG_REAUTH] = "somebody must log in",
	[DIAG_CONFIG] = "the administrator must change something",
	[DIAG_DENIED] = "the administrator must allow it",
	[DIAG_PROTO] = "the software must be updated",
	[DIAG_NOMEM] = "this host needs memory",
};
_Static_assert(sizeof(who_acts) / sizeof(who_acts[0]) == DIAG__COUNT,
    "somebody for every kind");

static void
found_add(struct found *f, const char *text)
{
	const struct advice *a = advice_explain(text);

	if (a == NULL || f->n == FOUND_MAX)
		return;
	for (size_t i = 0; i < f->n; i++)
		if (f->row[i].a == a)
			return;
	f->row[f->n].a = a;
	f->row[f->n++].kind = advice_kind(a, text);
}

/* Line by line, unless it is an answer in JSON or no line says it alone. */
static void
explain(struct found *f, char *text)
{
	bool json = text[strspn(text, " \t\r\n")] == '{';
	char *rest = text, *line;
	size_t len = strlen(text);

	while (!json && (line = strsep(&rest, "\n")) != NULL)
		found_add(f, line);
	if (f->n > 0)
		return;
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0')
			text[i] = '\n';
	found_add(f, text);
}

static void
print_text(const struct found *f)
{
	for (size_t i = 0; i < f->n; i++)
		printf("%skind:   %s (%s)%s\ncause:  %s\ndo:     %s\n",
		    i > 0 ? "\n" : "", diag_kind_name(f->row[i].kind),
		    who_acts[f->row[i].kind],
		    f->row[i].a->stale ? "; a new token may cure it" : "",
		    f->row[i].a->cause, f->row[i].a->todo);
}

static int
print_json(const struct found *f)
{
	struct cli_json *rows = cli_json_array(), *row;
	int rc;

	for (size_t i = 0; i < f->n; i++) {
		row = cli_json_object();
		cli_json_str(row, "key", f->row[i].a->key);
		cli_json_str(row, "kind", diag_kind_name(f->row[i].kind));
		cli_json_bool(row, "stale", f->row[i].a->stale);
		cli_json_str(row, "cause", f->row[i].a->cause);
		cli_json_str(row, "todo", f->row[i].a->todo);
		cli_json_add(rows, row);
	}
	rc = cli_json_print(rows);
	cli_json_free(&rows);
	return rc;
}

/* One more than fits tells that there was more. */
static int
read_stdin(struct buf *text)
{
	ssize_t n = 1;
	char *to;

	while (n > 0 && text->len <= TEXT_MAX) {
		to = buf_room(text, TEXT_MAX + 1 - text->len);
		if (to == NULL)
			return -1;
		n = read(STDIN_FILENO, to, TEXT_MAX + 1 - text->len);
		if (n > 0)
			text->len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	return n < 0 ? -1 : 0;
}

/* The arguments as one text, or standard input; ends in NUL. */
static int
collect(struct buf *text, int argc, char *argv[])
{
	if (argc == 1 && strcmp(argv[0], "-") == 0) {
		if (read_stdin(text) < 0) {
			cli_say("standard input: %s", strerror(errno));
			return EX_IOERR;
		}
	} else {
		for (int i = 0; i < argc; i++) {
			buf_adds(text, i > 0 ? " " : "");
			buf_adds(text, argv[i]);
		}
	}
	if (text->failed) {
		cli_say("the text is longer than %d bytes: give the lines that "
			"matter",
		    TEXT_MAX);
		return EX_USAGE;
	}
	if (text->len > TEXT_MAX) {
		cli_say("only the first %d bytes are looked at", TEXT_MAX);
		text->len = TEXT_MAX;
	}
	for (size_t i = 0; i < text->len; i++)
		if (text->ptr[i] == '\0')
			text->ptr[i] = '\n';
	buf_add(text, "", 1);
	return text->failed ? EX_OSERR : EX_OK;
}

/* What Markdown would take for its own. */
static void
put_markdown(const char *s)
{
	for (; *s != '\0'; s++)
		printf(strchr("|<*", *s) != NULL ? "\\%c" : "%c", *s);
}

static void
list_group(const struct advice_rows *g)
{
	printf("\n## %s\n\n| key | kind | cause | what to do |\n"
	       "|---|---|---|---|\n",
	    g->title);
	for (size_t i = 0; i < g->n; i++) {
		printf("| `%s` | %s%s | ", g->row[i].key,
		    diag_kind_name(g->row[i].kind),
		    g->row[i].stale ? ", renew once" : "");
		put_markdown(g->row[i].cause);
		printf(" | ");
		put_markdown(g->row[i].todo);
		printf(" |\n");
	}
}

/* docs/errors.md is this. */
static int
list(void)
{
	const struct advice_rows *g;

	fputs(
	    "# What errors mean, and what to do\n"
	    "\n"
	    "`mailtoken explain` looks a text up here: a line of a log, what "
	    "a server said, a number alone. The same words are\nin the "
	    "agent's log, in `mailtoken status`, in mail.log and in "
	    "`mailtoken test`. This page is made by `mailtoken explain\n"
	    "--list`; to change it, change core/advice_table.c or "
	    "core/advice_texts.c and run `make docs/errors.md`.\n"
	    "\n"
	    "The kind says who must act: `retry` nobody, time cures it; "
	    "`reauth` somebody must log in; `config` the administrator\nmust "
	    "change something; `denied` the administrator must allow it. "
	    "*Renew once*: the token may just have been too old. In an\nanswer "
	    "of a provider its `error` decides the kind, whatever the number "
	    "in it; only numbers of kind `retry` go before it.\nA key with "
	    "\"...\" in it means that all its parts must be there.\n"
	    "\n"
	    "ACCOUNT is the name in mailtoken.conf, MAILBOX and SENDER are "
	    "addresses. `Set-...`, `New-...` and `Add-...` are commands of\n"
	    "Exchange Online PowerShell.\n",
	    stdout);
	for (size_t i = 0; (g = advice_group(i)) != NULL; i++)
		list_group(g);
	return EX_OK;
}

int
cmd_explain(struct cli *c, int argc, char *argv[])
{
	auto_buf struct buf text = BUF_INIT(TEXT_MAX + 2);
	struct found f = { 0 };
	bool json = false;
	int rc;

	(void)c;
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	/* "-ERR ..." is a text. */
	if (argc > 1 && strcmp(argv[argc - 1], "--json") == 0) {
		json = true;
		argc--;
	} else if (argc > 1 && strcmp(argv[1], "--json") == 0) {
		json = true;
		argc--;
		argv++;
	}
	if (argc < 2 || strcmp(argv[1], "--list") == 0)
		return cli_usage("explain");
	rc = collect(&text, argc - 1, argv + 1);
	if (rc != EX_OK)
		return rc;
	explain(&f, text.ptr);
	if (json && (rc = print_json(&f)) != EX_OK)
		return rc;
	if (!json)
		print_text(&f);
	if (f.n > 0)
		return EX_OK;
	cli_say("nothing is known about that text: look at mailtoken status, "
		"at the lines before it in the logs of mailtokend and the mail "
		"server, and at docs/errors.md");
	return EX_UNAVAILABLE;
}
