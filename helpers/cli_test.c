/* cli_test.c - mailtoken test: real logins with an account's token. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "advice_name.h"
#include "cli.h"
#include "cli_json.h"
#include "cli_mailbox.h"
#include "clock.h"

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define HOST_MAX      255
#define USER_MAX      254
#define SMTP_LINE_MAX 12288
#define YOUNG_LIFE_S  600 /* below, High Volume Email refuses a token */

static const struct {
	const char *option;
	enum service service;
} services[] = {
	{ "--smtp", SERVICE_SMTP },
	{ "--imap", SERVICE_IMAP },
	{ "--pop", SERVICE_POP },
};

struct test {
	const char *name;	 /* of the account */
	const struct account *a; /* NULL: only the agent knows it */
	unsigned services;	 /* asked for; 0: the account's */
	const char *user, *place, *ca_file;
	char host[HOST_MAX + 1]; /* of --host; empty: the provider's */
	unsigned port;
	bool json, renew;
	enum diag_kind worst;
	struct cli_json *rows;
};

/* Letters, digits, and what addresses of hosts have: nothing of a URL's. */
static bool
parse_host(struct test *t, const char *place)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t n =
	    *place == '[' ? strcspn(place, "]") + 1 : strspn(place, name);
	unsigned long port = 0;
	char *end;

	if (n == 0 || n > HOST_MAX || n > strlen(place) ||
	    (*place == '[' &&
		strspn(place + 1, "0123456789abcdefABCDEF:.") != n - 2))
		return false;
	memcpy(t->host, place, n);
	t->host[n] = '\0';
	place += n;
	if (*place == ':') {
		if (place[1] < '0' || place[1] > '9')
			return false;
		port = strtoul(place + 1, &end, 10);
		if (port == 0 || port > 65535 || *end != '\0')
			return false;
		t->port = (unsigned)port;
		return true;
	}
	return *place == '\0';
}

/* It becomes part of a command to the server. */
static bool
user_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > USER_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || strchr("<>\"\\", *s) != NULL)
			return false;
	return true;
}

static bool
parse_service(struct test *t, const char *option)
{
	for (size_t i = 0; i < COUNT(services); i++)
		if (strcmp(services[i].option, option) == 0) {
			t->services |= services[i].service;
			return true;
		}
	return false;
}

/* False: not as the usage has it. */
static bool
parse(struct test *t, int argc, char *argv[])
{
	for (int i = 1; i < argc; i++) {
		const char **value =
		    strcmp(argv[i], "--user") == 0 ? &t->user :
		    strcmp(argv[i], "--host") == 0 ? &t->place :
		    strcmp(argv[i], "--ca") == 0   ? &t->ca_file :
						     NULL;

		if (value != NULL) {
			if (++i == argc)
				return false;
			*value = argv[i];
		} else if (strcmp(argv[i], "--json") == 0) {
			t->json = true;
		} else if (strcmp(argv[i], "--refresh") == 0) {
			t->renew = true;
		} else if (argv[i][0] == '-' && !parse_service(t, argv[i])) {
			return false;
		} else if (argv[i][0] != '-' && t->name != NULL) {
			return false;
		} else if (argv[i][0] != '-') {
			t->name = argv[i];
		}
	}
	return t->name != NULL;
}

/* What must be right before anything is asked; an exit code. */
static int
check_options(struct test *t, unsigned wanted)
{
	if (t->place != NULL && !parse_host(t, t->place)) {
		cli_say("--host wants HOST or HOST:PORT, an IPv6 address in "
			"brackets");
		return EX_USAGE;
	}
	if (t->port != 0 && (wanted == 0 || (wanted & (wanted - 1)) != 0)) {
		cli_say("--host with a port wants one of --smtp, --imap and "
			"--pop, since the account has not just one");
		return EX_USAGE;
	}
	if (t->ca_file != NULL && access(t->ca_file, R_OK) != 0) {
		cli_say("%s: cannot be read: name a file with certificates of "
			"authorities",
		    t->ca_file);
		return EX_USAGE;
	}
	if (!user_ok(t->user)) {
		cli_say("that is no mailbox: 1 to %d printable characters "
			"without blanks, quotes, \\, < and >",
		    USER_MAX);
		return EX_USAGE;
	}
	if (strchr(t->user, '@') == NULL) {
		cli_say(
		    "%s is no mailbox: name one with --user MAILBOX", t->user);
		return EX_USAGE;
	}
	return EX_OK;
}

/* Renewed first, so that whatever is said is about a fresh one. */
static int
renew(struct cli *c, struct test *t, struct diag *reterr)
{
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	auto_grant struct grant grant = GRANT_INIT;
	struct token_agent agent;
	struct wire_msg msg;

	if (cli_agent(c, &agent))
		return cli_ask(
		    &agent, "refresh", t->name, &answer, &msg, reterr);
	if ((t->a = cli_account(c, t->name)) == NULL)
		return diag_set(reterr, DIAG_CONFIG, "%s", "");
	return cli_renew(c, t->a, true, &grant, reterr);
}

/* What a fresh token would change, in words; NULL: nothing to be said. */
static const char *
about_age(const struct test *t, const struct mailbox_result *r, int64_t left_s)
{
	if (!r->stale || r->verdict == MAILBOX_OK)
		return NULL;
	if (t->renew)
		return "the token was renewed for this test: another one will "
		       "not cure it";
	if (left_s < YOUNG_LIFE_S)
		return "the token is about to expire: test again with "
		       "--refresh";
	return "the token is not about to expire; if it may have been "
	       "revoked, test again with --refresh";
}

/* What to do, for this account. */
static const char *
todo_of(const struct test *t, const struct mailbox_result *r,
    char named[static ADVICE_NAMED_MAX])
{
	const char *name = t->a != NULL ? t->a->name : t->name;

	return r->todo == NULL ?
		   NULL :
		   advice_named(r->todo, name, named, ADVICE_NAMED_MAX);
}

static void
print_result(const struct test *t, enum service s, const char *place,
    const struct mailbox_result *r, int64_t left_s)
{
	const char *age = about_age(t, r, left_s);
	char named[ADVICE_NAMED_MAX];

	printf("%-4s  %-32s  %s\n", service_name(s), place,
	    mailbox_verdict_words(r->verdict));
	if (*r->said != '\0')
		printf("      the server says: %s\n", r->said);
	if (*r->failure != '\0')
		printf("      reason: %s\n", r->failure);
	if (r->cause != NULL)
		printf("      cause: %s\n", r->cause);
	if (r->todo != NULL)
		printf("      to do: %s\n", todo_of(t, r, named));
	if (age != NULL)
		printf("      note: %s\n", age);
	(void)fflush(stdout);
}

static void
add_result(const struct test *t, enum service s, const char *host,
    unsigned port, const struct mailbox_result *r, int64_t left_s)
{
	struct cli_json *row = cli_json_object();
	bool bad = r->verdict != MAILBOX_OK;
	char named[ADVICE_NAMED_MAX];

	cli_json_str(row, "service", service_name(s));
	cli_json_str(row, "host", host);
	cli_json_int(row, "port", port);
	cli_json_str(row, "verdict", mailbox_verdict_key(r->verdict));
	cli_json_str(row, "kind", diag_kind_name(r->kind));
	cli_json_str(row, "stage", bad ? mailbox_stage_name(r->stage) : NULL);
	cli_json_str(row, "said", *r->said != '\0' ? r->said : NULL);
	cli_json_str(row, "reason", *r->failure != '\0' ? r->failure : NULL);
	cli_json_str(row, "advice", r->advice != NULL ? r->advice->key : NULL);
	if (bad)
		cli_json_bool(row, "stale", r->stale);
	cli_json_str(row, "cause", r->cause);
	cli_json_str(row, "todo", todo_of(t, r, named));
	cli_json_str(row, "note", about_age(t, r, left_s));
	cli_json_add(t->rows, row);
}

/*
 * RFC 4954 section 4: what AUTH's lines may have.  Servers and programs have
 * failed at long tokens.
 */
static void
note_length(const struct test *t, const struct token *token)
{
	size_t n =
	    strlen("user=^auth=Bearer ^^") + strlen(t->user) + token->value.len;
	size_t line = (n + 2) / 3 * 4;

	if (line > SMTP_LINE_MAX)
		cli_say("note: the login's line has %zu bytes; SMTP servers "
			"need not take more than %d",
		    line, SMTP_LINE_MAX);
}

/* A way to a server is missing: nothing was tried. */
static void
no_host(struct test *t, enum service s)
{
	struct mailbox_result r = { .verdict = MAILBOX_FAILED,
		.kind = DIAG_CONFIG,
		.cause = "no server is known for this account and service",
		.todo = "name it: --host HOST" };

	if (t->json)
		add_result(t, s, NULL, mailbox_port(s), &r, 0);
	else
		print_result(t, s, "-", &r, 0);
	if (r.kind > t->worst)
		t->worst = r.kind;
}

static void
test_service(struct test *t, enum service s, const struct token *token)
{
	int64_t left_s = token->expires_at - clock_now_s();
	unsigned port = t->port != 0 ? t->port : mailbox_port(s);
	const char *host =
	    *t->host != '\0' ? t->host :
	    t->a == NULL     ? NULL :
			       provider_mail_host(t->a->provider, t->a->cloud, s);
	struct mailbox_result r;
	char place[HOST_MAX + 16];

	if (host == NULL) {
		no_host(t, s);
		return;
	}
	(void)snprintf(place, sizeof(place), "%s:%u", host, port);
	if (s == SERVICE_SMTP)
		note_length(t, token);
	mailbox_try(&(struct mailbox_login){ .service = s,
			.host = host,
			.port = port,
			.user = t->user,
			.ca_file = t->ca_file,
			.token = &token->value },
	    &r);
	if (t->json)
		add_result(t, s, host, port, &r, left_s);
	else
		print_result(t, s, place, &r, left_s);
	if (r.kind > t->worst)
		t->worst = r.kind;
}

static int
finish(struct test *t, const struct token *token)
{
	struct cli_json *all;
	int rc;

	if (!t->json)
		return cli_exit_code(t->worst);
	all = cli_json_object();
	cli_json_str(all, "account", t->name);
	cli_json_str(all, "mailbox", t->user);
	cli_json_int(all, "expires_at", token->expires_at);
	cli_json_put(all, "services", t->rows);
	rc = cli_json_print(all);
	cli_json_free(&all);
	return rc != EX_OK ? rc : cli_exit_code(t->worst);
}

static int
get_token(struct cli *c, struct test *t, struct token *ret)
{
	struct token_query q = { .account = t->name, .user = t->user };
	struct diag d = DIAG_INIT;

	if (t->renew && renew(c, t, &d) < 0)
		return cli_fail(&d);
	if (cli_token(c, &q, ret, &d) < 0)
		return cli_fail(&d);
	return EX_OK;
}

int
cmd_test(struct cli *c, int argc, char *argv[])
{
	auto_token struct token token = TOKEN_INIT;
	struct test t = { .worst = DIAG_OK };
	unsigned wanted;
	char span[32];
	int rc;

	if (!parse(&t, argc, argv))
		return cli_usage(argv[0]);
	t.a = cli_find_account(c, t.name);
	if (t.user == NULL)
		t.user =
		    t.a != NULL && t.a->subject != NULL ? t.a->subject : t.name;
	wanted = t.services != 0 ? t.services : t.a != NULL ? t.a->services : 0;
	if ((rc = check_options(&t, wanted)) != EX_OK ||
	    (rc = get_token(c, &t, &token)) != EX_OK)
		return rc;
	if (t.json)
		t.rows = cli_json_array();
	else if (token.expires_at != 0)
		printf("%s: the token lives %s\n", t.user,
		    cli_span(
			token.expires_at - clock_now_s(), span, sizeof(span)));
	for (size_t i = 0; i < COUNT(services); i++)
		if (wanted == 0 || (wanted & services[i].service) != 0)
			test_service(&t, services[i].service, &token);
	return finish(&t, &token);
}
