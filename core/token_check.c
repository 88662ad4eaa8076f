#include "token_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "advice_name.h"

#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define CLOCK_SKEW_S 300
#define SHOWN_MAX    80 /* of a claim in a sentence */

static const char graph_guid[] = "00000003-0000-0000-c000-000000000000";

/* Whom Exchange Online believes to be, by cloud; the GUID is in all. */
static const char *const exchange_audiences[] = { "https://outlook.office.com",
	"https://outlook.office365.com", "https://outlook.office365.us",
	"https://outlook-dod.office365.us", "https://partner.outlook.cn",
	"00000002-0000-0ff1-ce00-000000000000" };

/* Hosts of Microsoft Graph, in their clouds. */
static const char *const graph_audiences[] = { graph_guid,
	"https://graph.microsoft.com", "https://graph.microsoft.us",
	"https://dod-graph.microsoft.us",
	"https://microsoftgraph.chinacloudapi.cn" };

static const struct permission {
	enum service service;
	const char *delegated, *application;
} permissions[] = {
	{ SERVICE_SMTP, "SMTP.Send", "SMTP.SendAsApp" },
	{ SERVICE_IMAP, "IMAP.AccessAsUser.All", "IMAP.AccessAsApp" },
	{ SERVICE_POP, "POP.AccessAsUser.All", "POP.AccessAsApp" },
};

/* The findings while they are collected. */
struct findings {
	struct token_finding *at;
	size_t n;
};

/* One of the words, in any case, perhaps behind the resource's URL. */
static bool
has_scope(const char *scopes, const char *wanted)
{
	size_t len = strlen(wanted);

	for (const char *s = scopes; s != NULL && *s != '\0';) {
		size_t n = strcspn(s, " ");

		if (n >= len && strncasecmp(s + n - len, wanted, len) == 0 &&
		    (n == len || s[n - len - 1] == '/'))
			return true;
		s += n;
		s += strspn(s, " ");
	}
	return false;
}

static bool
has_role(const struct token_facts *f, const char *wanted)
{
	const char *role;

	for (size_t i = 0; (role = token_facts_role(f, i)) != NULL; i++)
		if (strcasecmp(role, wanted) == 0)
			return true;
	return false;
}

/* The name, or the name and a slash with whatever behind it. */
static bool
audience_is(const char *audience, const char *const names[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		if (strncasecmp(audience, names[i], len) == 0 &&
		    (audience[len] == '\0' || audience[len] == '/'))
			return true;
	}
	return false;
}

static struct token_finding *
find(struct findings *all, const char *key, enum diag_kind kind)
{
	struct token_finding *f = &all->at[all->n];

	if (all->n + 1 < TOKEN_FINDINGS_MAX)
		all->n++;
	*f = (struct token_finding){ .key = key, .kind = kind };
	return f;
}

__attribute__((format(printf, 2, 3))) static void
cause(struct token_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(f->cause, sizeof(f->cause), fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3))) static void
todo(struct token_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(f->todo, sizeof(f->todo), fmt, ap);
	va_end(ap);
}

/* As a word of a command; a may be NULL. */
#define NAME_OF(a) ADVICE_WORD((a) != NULL ? (a)->name : NULL)

static void
check_times(struct findings *all, const struct token_facts *f,
    const struct account *a, int64_t now_s)
{
	struct token_finding *found;

	if (f->expires_at != 0 && f->expires_at <= now_s) {
		found = find(all, "expired", DIAG_RETRY);
		cause(found, "the token has expired");
		todo(found,
		    "run: mailtoken refresh %s; if that says it is "
		    "fresh, look at this host's clock",
		    NAME_OF(a));
	}
	if (f->not_before > now_s + CLOCK_SKEW_S) {
		found = find(all, "not_yet_valid", DIAG_CONFIG);
		cause(found, "the token is not valid yet");
		todo(found, "this host's clock is behind: let it follow a "
			    "time server (timedatectl)");
	}
}

static void
check_audience(
    struct findings *all, const struct token_facts *f, const struct account *a)
{
	const char *audience = f->audience != NULL ? f->audience : "";
	char shown[SHOWN_MAX];
	struct token_finding *found;

	if (audience_is(
		audience, exchange_audiences, COUNT(exchange_audiences)))
		return;
	if (audience_is(audience, graph_audiences, COUNT(graph_audiences))) {
		found = find(all, "audience_graph", DIAG_CONFIG);
		cause(found, "the token is for Microsoft Graph, and mail "
			     "servers refuse it");
	} else {
		found = find(all, "audience", DIAG_CONFIG);
		cause(found, "the token is for %s, not for Exchange Online",
		    *audience != '\0' ?
			token_show(audience, shown, sizeof(shown)) :
			"nobody");
	}
	if (f->app_only)
		todo(found,
		    "take scope out of the account, or write scope = "
		    "https://outlook.office365.com/.default, then run: "
		    "mailtoken refresh %s",
		    NAME_OF(a));
	else
		todo(found,
		    "take scope out of the account and write services "
		    "= smtp imap as needed, then run: mailtoken login "
		    "%s",
		    NAME_OF(a));
}

static void
miss(struct findings *all, const struct token_facts *f, const struct account *a,
    const struct permission *p)
{
	struct token_finding *found;

	found = find(all, "missing_permission", DIAG_CONFIG);
	cause(found, "%s is missing: no login for %s",
	    f->app_only ? p->application : p->delegated,
	    service_name(p->service));
	if (!f->app_only)
		todo(found,
		    "add it to the app registration (API permissions, "
		    "delegated) and to services, then run: mailtoken "
		    "login %s",
		    NAME_OF(a));
	else if (p->service == SERVICE_SMTP && has_role(f, "Mail.Send"))
		todo(found, "Mail.Send is good for High Volume Email alone: "
			    "for smtp.office365.com add the application "
			    "permission SMTP.SendAsApp of Office 365 Exchange "
			    "Online, and grant admin consent");
	else
		todo(found,
		    "add the application permission %s of Office 365 "
		    "Exchange Online, grant admin consent, wait, then "
		    "run: mailtoken refresh %s; or give the role in "
		    "Exchange (RBAC for applications)",
		    p->application, NAME_OF(a));
}

static void
check_permissions(
    struct findings *all, const struct token_facts *f, const struct account *a)
{
	unsigned has = 0, wanted = a != NULL ? a->services : 0;
	struct token_finding *found;

	for (size_t i = 0; i < COUNT(permissions); i++) {
		const struct permission *p = &permissions[i];

		if (f->app_only ? has_role(f, p->application) :
				  has_scope(f->scopes, p->delegated))
			has |= p->service;
		else if ((wanted & p->service) != 0)
			miss(all, f, a, p);
	}
	if (wanted != 0 || has != 0 ||
	    (f->app_only && has_role(f, "Mail.Send")))
		return;
	found = find(all, "missing_permission", DIAG_CONFIG);
	cause(found, "the token has no permission for mail");
	todo(found,
	    "add %s to the app registration, of smtp, imap and pop "
	    "what is needed, grant consent, then run: mailtoken %s %s",
	    f->app_only ?
		"SMTP.SendAsApp, IMAP.AccessAsApp or POP.AccessAsApp" :
		"SMTP.Send, IMAP.AccessAsUser.All or "
		"POP.AccessAsUser.All",
	    f->app_only ? "refresh" : "login", NAME_OF(a));
}

/* Only what is unmistakable: a tenant may also be written as a domain. */
static void
check_ids(
    struct findings *all, const struct token_facts *f, const struct account *a)
{
	const char *client_id =
	    a->identity == IDENTITY_CLIENT_ID ? a->identity_id : a->client_id;
	char shown[SHOWN_MAX];
	struct token_finding *found;

	if (token_is_guid(a->tenant) && f->tenant != NULL &&
	    strcasecmp(a->tenant, f->tenant) != 0) {
		found = find(all, "tenant", DIAG_CONFIG);
		cause(found, "the token is of tenant %s, the account is for %s",
		    token_show(f->tenant, shown, sizeof(shown)), a->tenant);
		todo(found, "write the tenant of the mailboxes, or log in "
			    "with somebody of that tenant");
	}
	if (client_id != NULL && f->app_id != NULL &&
	    strcasecmp(client_id, f->app_id) != 0) {
		found = find(all, "client_id", DIAG_CONFIG);
		cause(found, "the token is of application %s, not of client_id",
		    token_show(f->app_id, shown, sizeof(shown)));
		todo(found, "run: mailtoken %s %s",
		    f->app_only ? "refresh" : "login", NAME_OF(a));
	}
}

static void
check_user(
    struct findings *all, const struct token_facts *f, const char *mailbox)
{
	char shown[SHOWN_MAX];
	struct token_finding *found;

	if (f->app_only || f->user == NULL || mailbox == NULL ||
	    strcasecmp(f->user, mailbox) == 0)
		return;
	found = find(all, "other_user", DIAG_OK);
	cause(found, "%s logged in, and the mailbox is %.100s",
	    token_show(f->user, shown, sizeof(shown)), mailbox);
	todo(found, "right for a shared mailbox that the user has FullAccess "
		    "to, and SendAs if it sends; else log in as the "
		    "mailbox's owner");
}

size_t
token_check(const struct token_facts *f, const struct account *a,
    const char *mailbox, int64_t now_s,
    struct token_finding ret[TOKEN_FINDINGS_MAX])
{
	struct findings all = { .at = ret };

	if (f->microsoft) {
		check_audience(&all, f, a);
		/* Another resource's permissions say nothing here. */
		if (all.n == 0)
			check_permissions(&all, f, a);
		if (a != NULL)
			check_ids(&all, f, a);
	}
	check_times(&all, f, a, now_s);
	check_user(&all, f, mailbox);
	return all.n;
}
