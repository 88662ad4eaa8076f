/* cli_inspect.c - mailtoken inspect: what an account's token is for. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "advice_name.h"
#include "cli.h"
#include "cli_json.h"
#include "clock.h"
#include "exchange_online.h"
#include "jwt.h"
#include "token_check.h"

#define CLAIM_MAX  256	/* of one claim, as shown */
#define SCRIPT_MAX 8192 /* of the PowerShell */
#define ROLES_MAX  64

struct report {
	const char *name;
	const struct account *a; /* NULL: only the agent knows it */
	const char *mailbox;	 /* NULL: not known */
	int64_t expires_at, now_s;
	struct token_facts facts;
	struct token_finding found[TOKEN_FINDINGS_MAX];
	size_t n_found;
	struct buf script; /* NUL-terminated; empty: none */
};

/* The claims that are shown as they are, cleaned. */
static const struct {
	const char *label, *key;
	size_t offset; /* in struct token_facts */
} claims[] = {
	{ "for (audience)", "audience",
	    offsetof(struct token_facts, audience) },
	{ "application", "app_id", offsetof(struct token_facts, app_id) },
	{ "its name", "app_name", offsetof(struct token_facts, app_name) },
	{ "tenant", "tenant", offsetof(struct token_facts, tenant) },
	{ "user", "user", offsetof(struct token_facts, user) },
	{ "object id", "object_id", offsetof(struct token_facts, object_id) },
	{ "issuer", "issuer", offsetof(struct token_facts, issuer) },
	{ "scopes", "scope", offsetof(struct token_facts, scopes) },
};
#define N_CLAIMS (sizeof(claims) / sizeof(claims[0]))

static const char *
claim(const struct token_facts *f, size_t i)
{
	const char *const *s =
	    (const void *)((const char *)f + claims[i].offset);

	return *s;
}

/* "2026-11-22 14:05:00 UTC (in 59 min)" */
static const char *
when(int64_t at, int64_t now_s, char *text, size_t size)
{
	char span[32], date[32] = "?";
	time_t t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(
		    date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &tm);
	(void)cli_span(at - now_s, span, sizeof(span));
	(void)snprintf(
	    text, size, at > now_s ? "%s (in %s)" : "%s (%s ago)", date, span);
	return text;
}

static void
print_findings(const struct report *r)
{
	for (size_t i = 0; i < r->n_found; i++)
		printf("%s: %s\n    to do: %s\n",
		    r->found[i].kind == DIAG_OK ? "note" : "WARNING",
		    r->found[i].cause, r->found[i].todo);
	if (r->n_found > 0)
		putchar('\n');
}

static void
print_roles(const struct token_facts *f)
{
	char shown[CLAIM_MAX];
	const char *role;

	for (size_t i = 0;
	     i < ROLES_MAX && (role = token_facts_role(f, i)) != NULL; i++)
		printf("%-16s%s\n", i == 0 ? "roles" : "",
		    token_show(role, shown, sizeof(shown)));
}

static void
print_script(const struct report *r)
{
	if (r->script.len == 0)
		return;
	printf("\nFor a mailbox to be opened by this application, in "
	       "PowerShell with the module ExchangeOnlineManagement:\n\n");
	for (const char *s = r->script.ptr; *s != '\0';) {
		size_t n = strcspn(s, "\n");

		printf("    %.*s\n", (int)n, s);
		s += n + (s[n] == '\n');
	}
}

static int
print_report(const struct report *r)
{
	const struct token_facts *f = &r->facts;
	char shown[CLAIM_MAX];

	print_findings(r);
	printf("%-16s%s\n", "account", r->name);
	printf("%-16s%s\n", "acts as",
	    f->app_only ? "an application, without a person" :
			  "a person who logged in");
	for (size_t i = 0; i < N_CLAIMS; i++)
		if (claim(f, i) != NULL)
			printf("%-16s%s\n", claims[i].label,
			    token_show(claim(f, i), shown, sizeof(shown)));
	print_roles(f);
	if (f->issued_at != 0)
		printf("%-16s%s\n", "issued",
		    when(f->issued_at, r->now_s, shown, sizeof(shown)));
	if (f->expires_at != 0)
		printf("%-16s%s\n", "expires",
		    when(f->expires_at, r->now_s, shown, sizeof(shown)));
	print_script(r);
	return EX_OK;
}

static struct cli_json *
findings_json(const struct report *r)
{
	struct cli_json *all = cli_json_array(), *one;

	for (size_t i = 0; i < r->n_found; i++) {
		one = cli_json_object();
		cli_json_str(one, "key", r->found[i].key);
		cli_json_str(one, "kind", diag_kind_name(r->found[i].kind));
		cli_json_str(one, "cause", r->found[i].cause);
		cli_json_str(one, "todo", r->found[i].todo);
		cli_json_add(all, one);
	}
	return all;
}

static struct cli_json *
roles_json(const struct token_facts *f)
{
	struct cli_json *all = cli_json_array();
	char shown[CLAIM_MAX];
	const char *role;

	for (size_t i = 0;
	     i < ROLES_MAX && (role = token_facts_role(f, i)) != NULL; i++)
		cli_json_add_str(all, token_show(role, shown, sizeof(shown)));
	return all;
}

/* The words of the scope, one by one. */
static struct cli_json *
scopes_json(const char *scopes)
{
	struct cli_json *all = cli_json_array();
	char shown[CLAIM_MAX], word[CLAIM_MAX];

	for (const char *s = scopes; s != NULL && *s != '\0';) {
		size_t n = strcspn(s, " ");

		(void)snprintf(word, sizeof(word), "%.*s",
		    (int)(n < sizeof(word) ? n : sizeof(word) - 1), s);
		cli_json_add_str(all, token_show(word, shown, sizeof(shown)));
		s += n + strspn(s + n, " ");
	}
	return all;
}

static struct cli_json *
script_json(const struct report *r)
{
	struct cli_json *all = cli_json_array();
	char line[1024];

	for (const char *s = r->script.ptr; s != NULL && *s != '\0';) {
		size_t n = strcspn(s, "\n");

		(void)snprintf(line, sizeof(line), "%.*s", (int)n, s);
		cli_json_add_str(all, line);
		s += n + (s[n] == '\n');
	}
	return all;
}

static int
print_json(const struct report *r)
{
	const struct token_facts *f = &r->facts;
	struct cli_json *all = cli_json_object();
	char shown[CLAIM_MAX];
	int rc;

	cli_json_str(all, "account", r->name);
	cli_json_str(all, "mailbox", r->mailbox);
	cli_json_bool(all, "opaque", f->claims == NULL);
	cli_json_int(all, "expires_at",
	    f->expires_at != 0 ? f->expires_at : r->expires_at);
	if (f->claims != NULL) {
		cli_json_int(all, "issued_at", f->issued_at);
		cli_json_bool(all, "app_only", f->app_only);
		for (size_t i = 0; i < N_CLAIMS; i++)
			if (claim(f, i) != NULL && claim(f, i) != f->scopes)
				cli_json_str(all, claims[i].key,
				    token_show(
					claim(f, i), shown, sizeof(shown)));
		cli_json_put(all, "scopes", scopes_json(f->scopes));
		cli_json_put(all, "roles", roles_json(f));
		cli_json_put(all, "findings", findings_json(r));
		cli_json_put(all, "powershell", script_json(r));
	}
	rc = cli_json_print(all);
	cli_json_free(&all);
	return rc;
}

/* Nothing to be read in it: what is known from elsewhere. */
static int
print_opaque(const struct report *r)
{
	const struct account *a = r->a;
	char shown[CLAIM_MAX];

	printf("%-16s%s\n", "account", r->name);
	printf("%-16s%s\n", "token",
	    "opaque: only the provider can read it, as is usual with Google "
	    "and personal Outlook.com");
	if (a != NULL) {
		printf("%-16s%s\n", "provider", a->provider);
		printf("%-16s%s\n", "grant", grant_name(a->grant));
		if (a->client_id != NULL)
			printf("%-16s%s\n", "application", a->client_id);
		if (a->scope != NULL)
			printf("%-16s%s\n", "asked for", a->scope);
	}
	if (r->expires_at != 0)
		printf("%-16s%s\n", "expires",
		    when(r->expires_at, r->now_s, shown, sizeof(shown)));
	printf("%-16smailtoken test %s\n", "to try it", ADVICE_WORD(r->name));
	return EX_OK;
}

static int
report(struct report *r, const struct token *token, bool json)
{
	auto_json struct json *claims_read =
	    jwt_claims(token->value.ptr, token->value.len);
	enum diag_kind worst = DIAG_OK;
	int rc;

	if (claims_read != NULL) {
		token_facts_read(claims_read, &r->facts);
		r->n_found = token_check(
		    &r->facts, r->a, r->mailbox, r->now_s, r->found);
		if (r->facts.microsoft && r->facts.app_only) {
			exchange_online_setup(
			    &r->script, &r->facts, r->a, r->mailbox);
			buf_add(&r->script, "", 1);
		}
		if (r->script.failed)
			return EX_OSERR;
	}
	for (size_t i = 0; i < r->n_found; i++)
		if (r->found[i].kind > worst)
			worst = r->found[i].kind;
	if (json)
		rc = print_json(r);
	else
		rc = claims_read != NULL ? print_report(r) : print_opaque(r);
	return rc != EX_OK ? rc : cli_exit_code(worst);
}

/* False: not as the usage has it. */
static bool
parse(struct report *r, bool *json, int argc, char *argv[])
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--json") == 0)
			*json = true;
		else if (strcmp(argv[i], "--mailbox") == 0 && i + 1 < argc)
			r->mailbox = argv[++i];
		else if (r->name == NULL && argv[i][0] != '-')
			r->name = argv[i];
		else
			return false;
	return r->name != NULL;
}

int
cmd_inspect(struct cli *c, int argc, char *argv[])
{
	struct report r = { .script = BUF_INIT(SCRIPT_MAX) };
	auto_token struct token token = TOKEN_INIT;
	struct token_query q = { 0 };
	struct diag d = DIAG_INIT;
	bool json = false;
	int rc;

	if (!parse(&r, &json, argc, argv))
		return cli_usage(argv[0]);
	if (r.mailbox != NULL && !exchange_online_address(r.mailbox)) {
		cli_say("--mailbox wants an address, as anna@contoso.example");
		return EX_USAGE;
	}
	r.a = cli_find_account(c, r.name);
	if (r.mailbox == NULL && exchange_online_address(r.name))
		r.mailbox = r.name;
	q.account = r.name;
	if (cli_token(c, &q, &token, &d) < 0)
		return cli_fail(&d);
	r.expires_at = token.expires_at;
	r.now_s = clock_now_s();
	rc = report(&r, &token, json);
	buf_wipe(&r.script);
	return rc;
}
