/* cli_questions.c - what a new account's section needs. */
#include "cli_questions.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cli.h"
#include "cli_prompt.h"
#include "provider.h"

#define TRIES	 10
#define TEXT_MAX 256

#define N(table) (sizeof(table) / sizeof((table)[0]))

/* A question comes up if it is wanted and its key is not set. */
struct question {
	const char *key;
	bool (*wanted)(const struct section *s);
	const char *option; /* for the list of what is missing; NULL: may be */
	bool required;	    /* at the terminal, too */
	void (*explain)(const struct section *s);
	const char *prompt;
	/* Appends what Enter alone would mean to text[TEXT_MAX]. */
	void (*suggest)(const struct section *s, char *text);
};

static bool
grant_is(const struct section *s, enum grant_type g)
{
	return section_grant(s) == g;
}

static bool
is_delegated(const struct section *s)
{
	return grant_is(s, GRANT_REFRESH_TOKEN);
}

static bool
is_custom(const struct section *s)
{
	return section_is(s, "provider", "custom");
}

static bool
wants_always(const struct section *s)
{
	(void)s;
	return true;
}

static bool
wants_tenant(const struct section *s)
{
	return section_is(s, "provider", "microsoft") &&
	       !grant_is(s, GRANT_MANAGED_IDENTITY);
}

static bool
wants_client_id(const struct section *s)
{
	return !grant_is(s, GRANT_MANAGED_IDENTITY) &&
	       !grant_is(s, GRANT_JWT_BEARER) &&
	       !grant_is(s, GRANT_WORKLOAD_IDENTITY);
}

static bool
wants_issuer(const struct section *s)
{
	return is_custom(s) && section_get(s, "token_endpoint") == NULL &&
	       !grant_is(s, GRANT_MANAGED_IDENTITY);
}

static bool
wants_endpoint(const struct section *s)
{
	return is_custom(s) && section_get(s, "issuer") == NULL &&
	       !grant_is(s, GRANT_MANAGED_IDENTITY);
}

static bool
wants_services(const struct section *s)
{
	return is_delegated(s) && !is_custom(s) &&
	       !section_is(s, "provider", "google") &&
	       section_get(s, "scope") == NULL;
}

/*
 * An application's token is the same for all; but `mailtoken test`, which is
 * advised next, would try those that it was not given.
 */
static bool
wants_limit(const struct section *s)
{
	return !is_delegated(s) && section_is(s, "provider", "microsoft") &&
	       section_get(s, "scope") == NULL;
}

static bool
wants_scope(const struct section *s)
{
	return is_custom(s);
}

static bool
wants_proof(const struct section *s)
{
	const char *provider = section_get(s, "provider");
	const struct provider_info *info =
	    provider != NULL ? provider_info(provider) : NULL;

	if (section_get(s, "client_certificate") != NULL)
		return false;
	return grant_is(s, GRANT_CLIENT_CREDENTIALS) ||
	       (is_delegated(s) && info != NULL && info->needs_secret);
}

static bool
wants_certificate(const struct section *s)
{
	return grant_is(s, GRANT_CLIENT_CREDENTIALS) &&
	       section_get(s, "client_secret") == NULL;
}

static bool
wants_service_account(const struct section *s)
{
	return grant_is(s, GRANT_JWT_BEARER);
}

static void
explain_provider(const struct section *s)
{
	(void)s;
	fputs("\nWho is the mail with?\n"
	      "  microsoft    Microsoft 365, of an organization\n"
	      "  outlook.com  Microsoft, of a person\n"
	      "  google       Gmail and Google Workspace\n"
	      "  custom       anybody else who speaks OAuth 2.0\n",
	    stderr);
}

static void
explain_grant(const struct section *s)
{
	static const char *const texts[] = {
		[GRANT_REFRESH_TOKEN] = "a login of one mailbox's owner",
		[GRANT_CLIENT_CREDENTIALS] =
		    "the application itself, with a secret or a certificate",
		[GRANT_WORKLOAD_IDENTITY] =
		    "the same with a token that Kubernetes keeps in a file",
		[GRANT_MANAGED_IDENTITY] =
		    "the same on a machine in Azure, without any secret",
		[GRANT_JWT_BEARER] =
		    "a service account of Google's that acts for a mailbox",
	};
	const struct provider_info *info =
	    provider_info(section_get(s, "provider"));

	_Static_assert(N(texts) == GRANT__COUNT, "one text per grant");
	fputs("\nWhere do tokens come from?\n", stderr);
	for (size_t i = 0; info != NULL && i < N(texts); i++)
		if ((info->grants & 1U << i) != 0)
			fprintf(stderr, "  %-18s  %s\n",
			    grant_name((enum grant_type)i), texts[i]);
	fputs("A login is made quickest, but a new password or policy ends it: "
	      "for a server that\nnobody watches, or for many mailboxes, take "
	      "another.\n",
	    stderr);
}

static void
explain_issuer(const struct section *s)
{
	(void)s;
	fputs("\nThe provider's address, without /.well-known/...: that page "
	      "names its endpoints.\nJust Enter if it has no such page.\n",
	    stderr);
}

static void
explain_client_id(const struct section *s)
{
	(void)s;
	fputs("\nThe application as it is registered with the provider: at "
	      "Microsoft its\nApplication (client) ID.\n",
	    stderr);
}

static void
explain_secret(const struct section *s)
{
	fprintf(stderr,
	    "\nThe client secret is read from a file of its own, mode 0600 "
	    "and the agent's.%s\n",
	    is_delegated(s) ?
		"" :
		"\nJust Enter if the application has a certificate instead.");
}

static void
explain_services(const struct section *s)
{
	(void)s;
	fputs("\nWhat is the mailbox used for: smtp to send, imap or pop to "
	      "read.\n",
	    stderr);
}

static void
explain_allow(const struct section *s)
{
	(void)s;
	fputs("\nWhich local users may have its tokens?  Groups are written "
	      "group:NAME.\nWithout any, only root and the agent may.\n",
	    stderr);
}

static void
suggest_provider(const struct section *s, char *text)
{
	(void)s;
	(void)snprintf(text, TEXT_MAX, "microsoft");
}

static void
suggest_grant(const struct section *s, char *text)
{
	(void)s;
	(void)snprintf(text, TEXT_MAX, "%s", grant_name(GRANT_REFRESH_TOKEN));
}

static void
suggest_tenant(const struct section *s, char *text)
{
	const char *at = strchr(s->account, '@');

	if (at != NULL)
		(void)snprintf(text, TEXT_MAX, "%s", at + 1);
}

static void
suggest_services(const struct section *s, char *text)
{
	(void)s;
	(void)snprintf(text, TEXT_MAX, "smtp");
}

static void
suggest_subject(const struct section *s, char *text)
{
	if (strchr(s->account, '@') != NULL)
		(void)snprintf(text, TEXT_MAX, "%s", s->account);
}

/* The mail servers of this host. */
static void
suggest_allow(const struct section *s, char *text)
{
	static const char *const users[] = { "postfix", "dovecot", "vmail" };

	(void)s;
	for (size_t i = 0; i < N(users); i++)
		if (getpwnam(users[i]) != NULL)
			(void)snprintf(text + strlen(text),
			    TEXT_MAX - strlen(text), "%s%s",
			    *text != '\0' ? " " : "", users[i]);
}

static const struct question questions[] = {
	{ "provider", wants_always, "--provider", true, explain_provider,
	    "Provider", suggest_provider },
	{ "grant", wants_always, "--grant", true, explain_grant, "Grant",
	    suggest_grant },
	{ "tenant", wants_tenant, "--tenant", true, NULL,
	    "Tenant (a domain or GUID of the organization)", suggest_tenant },
	{ "issuer", wants_issuer, NULL, false, explain_issuer,
	    "URL of the issuer", NULL },
	{ "token_endpoint", wants_endpoint, "--token-endpoint or --issuer",
	    true, NULL, "URL of the token endpoint", NULL },
	{ "client_id", wants_client_id, "--client-id", true, explain_client_id,
	    "Client ID", NULL },
	{ "client_secret", wants_proof,
	    "--client-secret file:PATH (or --client-certificate PATH)", false,
	    explain_secret, "File of the client secret", NULL },
	{ "client_certificate", wants_certificate, NULL, true, NULL,
	    "PEM file of the certificate and its key", NULL },
	{ "service_account_key", wants_service_account,
	    "--service-account-key file:PATH", true, NULL,
	    "Google's JSON file of the service account", NULL },
	{ "subject", wants_service_account, "--subject", true, NULL,
	    "Mailbox that it acts for", suggest_subject },
	{ "services", wants_services, "--services", true, explain_services,
	    "Services", suggest_services },
	{ "services", wants_limit, NULL, true, explain_services, "Services",
	    suggest_services },
	{ "scope", wants_scope, NULL, false, NULL, "Scope (just Enter: none)",
	    NULL },
	{ "allow", wants_always, NULL, false, explain_allow, "Users",
	    suggest_allow },
};

/* Secrets are asked for as files: a path alone is one. */
static const char *
as_value(const struct question *q, const char *answer, char *text)
{
	if (*answer != '/' || (strcmp(q->key, "client_secret") != 0 &&
				  strcmp(q->key, "service_account_key") != 0))
		return answer;
	(void)snprintf(text, TEXT_MAX, "file:%s", answer);
	return text;
}

static bool
provider_bad(const struct question *q, const char *value)
{
	return strcmp(q->key, "provider") == 0 && provider_info(value) == NULL;
}

static int
ask(const struct question *q, struct section *s, struct diag *reterr)
{
	char suggested[TEXT_MAX] = "", prompt[2 * TEXT_MAX], text[TEXT_MAX];

	if (q->explain != NULL)
		q->explain(s);
	if (q->suggest != NULL)
		q->suggest(s, suggested);
	(void)snprintf(prompt, sizeof(prompt), "%s%s%s%s: ", q->prompt,
	    *suggested != '\0' ? " [" : "", suggested,
	    *suggested != '\0' ? "]" : "");
	for (int tries = 0; tries < TRIES; tries++) {
		auto_free char *answer = cli_prompt_line(prompt);
		const char *value;
		struct diag d = DIAG_INIT;

		if (answer == NULL)
			break;
		value = *answer != '\0' ? as_value(q, answer, text) : suggested;
		if (*value == '\0' && !q->required)
			return 0;
		if (*value == '\0')
			cli_say("this cannot be left out");
		else if (provider_bad(q, value))
			cli_say("write microsoft, outlook.com, google or "
				"custom");
		else if (section_set(s, q->key, value, &d) == 0)
			return 0;
		else
			cli_say("%s", d.text);
	}
	return diag_set(reterr, DIAG_CONFIG, "given up: nothing was written");
}

int
questions_ask(struct section *s, struct diag *reterr)
{
	for (size_t i = 0; i < N(questions); i++)
		if (section_get(s, questions[i].key) == NULL &&
		    questions[i].wanted(s) && ask(&questions[i], s, reterr) < 0)
			return -1;
	return 0;
}

/* A provider with a single way in need not be told it. */
static bool
follows(const struct section *s, const struct question *q)
{
	return strcmp(q->key, "grant") == 0 && section_grant(s) != GRANT__COUNT;
}

int
questions_missing(const struct section *s, struct diag *reterr)
{
	char list[TEXT_MAX] = "";

	for (size_t i = 0; i < N(questions); i++) {
		const struct question *q = &questions[i];
		size_t len = strlen(list);

		if (section_get(s, q->key) == NULL && q->option != NULL &&
		    q->wanted(s) && !follows(s, q))
			(void)snprintf(list + len, sizeof(list) - len, "%s%s",
			    len > 0 ? ", " : "", q->option);
	}
	if (*list == '\0')
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "account %s: missing: %s; at a terminal, mailtoken add asks for it",
	    s->account, list);
}
