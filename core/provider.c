#include "provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define MICROSOFT_REVOKE                                             \
	"the user's page at the Entra admin center: Users > NAME > " \
	"Revoke sessions (PowerShell: Revoke-MgUserSignInSession)"
#define OUTLOOK_REVOKE                                    \
	"https://account.live.com/consent/Manage, where " \
	"the owner of the mailbox removes the application"

static const struct {
	const char *word;
	enum service service;
} services[] = {
	{ "smtp", SERVICE_SMTP }, /* the first word is a service's name */
	{ "submission", SERVICE_SMTP },
	{ "imap", SERVICE_IMAP },
	{ "pop", SERVICE_POP },
	{ "pop3", SERVICE_POP },
};

typedef int resolver(const struct provider_query *q,
    struct provider_preset *ret, const char **badkey, struct diag *reterr);
static resolver resolve_microsoft, resolve_outlook, resolve_google,
    resolve_custom;

static const struct preset {
	const char *name;
	struct provider_info info;
	bool has_tenant;   /* takes `tenant` and `cloud` */
	bool has_endpoint; /* takes `token_endpoint` and `issuer` */
	resolver *resolve;
} presets[] = {
	{ "microsoft",
	    { 1U << GRANT_REFRESH_TOKEN | 1U << GRANT_CLIENT_CREDENTIALS |
		    1U << GRANT_WORKLOAD_IDENTITY |
		    1U << GRANT_MANAGED_IDENTITY,
		false, 90, true, MICROSOFT_REVOKE },
	    true, false, resolve_microsoft },
	{ "outlook.com",
	    { 1U << GRANT_REFRESH_TOKEN, false, 90, true, OUTLOOK_REVOKE },
	    false, false, resolve_outlook },
	{ "google",
	    { 1U << GRANT_REFRESH_TOKEN | 1U << GRANT_JWT_BEARER, true, 180,
		true, NULL },
	    false, false, resolve_google },
	{ "custom", { (1U << GRANT__COUNT) - 1, false, 0, false, NULL }, false,
	    true, resolve_custom },
};

unsigned
service_parse(const char *word)
{
	for (size_t i = 0; i < COUNT(services); i++)
		if (strcmp(services[i].word, word) == 0)
			return services[i].service;
	return 0;
}

const char *
service_name(enum service s)
{
	for (size_t i = 0; i < COUNT(services); i++)
		if (services[i].service == s)
			return services[i].word;
	return "?";
}

static const struct preset *
preset_find(const char *name)
{
	for (size_t i = 0; name != NULL && i < COUNT(presets); i++)
		if (strcmp(presets[i].name, name) == 0)
			return &presets[i];
	return NULL;
}

const struct provider_info *
provider_info(const char *provider)
{
	const struct preset *p = preset_find(provider);

	return p != NULL ? &p->info : NULL;
}

const char *
provider_mail_host(const char *provider, const char *cloud, enum service s)
{
	const struct preset *p = preset_find(provider);
	const struct cloud *c = cloud_find(cloud);

	if (p == NULL || c == NULL)
		return NULL;
	if (p->resolve == resolve_microsoft)
		return s == SERVICE_SMTP ? c->smtp : c->mailbox;
	if (p->resolve == resolve_outlook)
		return s == SERVICE_SMTP ? "smtp-mail.outlook.com" :
					   cloud_find(NULL)->mailbox;
	if (p->resolve == resolve_google)
		return s == SERVICE_SMTP ? "smtp.gmail.com" :
		       s == SERVICE_IMAP ? "imap.gmail.com" :
					   "pop.gmail.com";
	return NULL;
}

void
provider_preset_free(struct provider_preset *p)
{
	free(p->token_endpoint);
	free(p->authorization_endpoint);
	free(p->device_authorization_endpoint);
	free(p->revocation_endpoint);
	free(p->scope);
	*p = (struct provider_preset)PROVIDER_PRESET_INIT;
}

static int
bad(const char **badkey, const char *key, struct diag *reterr, const char *text)
{
	*badkey = key;
	return diag_set(reterr, DIAG_CONFIG, "%s", text);
}

/* RFC 6749 section 3.3: printable without " and \, separated by blanks. */
static bool
scope_ok(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\')
			return false;
	return true;
}

/* What a mailbox's owner is asked for, and no more. */
static char *
delegated_scope(const struct cloud *c, unsigned wanted)
{
	const char *b = c->delegated;
	char *s;

	if (asprintf(&s, "%s%s%s%s%s%soffline_access",
		(wanted & SERVICE_SMTP) != 0 ? b : "",
		(wanted & SERVICE_SMTP) != 0 ? "/SMTP.Send " : "",
		(wanted & SERVICE_IMAP) != 0 ? b : "",
		(wanted & SERVICE_IMAP) != 0 ? "/IMAP.AccessAsUser.All " : "",
		(wanted & SERVICE_POP) != 0 ? b : "",
		(wanted & SERVICE_POP) != 0 ? "/POP.AccessAsUser.All " : "") <
	    0)
		return NULL;
	return s;
}

/* The scope of the query, if it gives one, else the cloud's. */
static int
fill_scope(const struct provider_query *q, const struct cloud *c,
    struct provider_preset *ret, const char **badkey, struct diag *reterr)
{
	if (q->scope == NULL && q->grant == GRANT_REFRESH_TOKEN &&
	    q->services == 0)
		return bad(badkey, "services", reterr,
		    "missing: write what the token is for, as in "
		    "services = smtp (of smtp, imap and pop)");
	if (q->scope != NULL)
		ret->scope = strdup(q->scope);
	else if (q->grant == GRANT_REFRESH_TOKEN)
		ret->scope = delegated_scope(c, q->services);
	else if (asprintf(&ret->scope, "%s/.default", c->resource) < 0)
		ret->scope = NULL;
	return ret->scope != NULL ? 0 : diag_nomem(reterr);
}

static int
fill_endpoints(const struct cloud *c, const char *tenant,
    struct provider_preset *ret, struct diag *reterr)
{
	ret->token_endpoint = cloud_endpoint(c, tenant, "token");
	ret->authorization_endpoint = cloud_endpoint(c, tenant, "authorize");
	ret->device_authorization_endpoint =
	    cloud_endpoint(c, tenant, "devicecode");
	if (ret->token_endpoint == NULL ||
	    ret->authorization_endpoint == NULL ||
	    ret->device_authorization_endpoint == NULL)
		return diag_nomem(reterr);
	return 0;
}

/* Of a grant that asks the login host: a managed identity does not. */
static int
check_tenant(
    const struct provider_query *q, const char **badkey, struct diag *reterr)
{
	if (q->tenant == NULL)
		return bad(badkey, "tenant", reterr,
		    "missing: write the directory's GUID or a domain of it, as "
		    "shown under Entra ID > Overview");
	if (!tenant_ok(q->tenant))
		return bad(badkey, "tenant", reterr,
		    "is neither a GUID nor a domain: write what Entra ID > "
		    "Overview shows");
	if (q->grant == GRANT_REFRESH_TOKEN || !tenant_is_shared(q->tenant))
		return 0;
	*badkey = "tenant";
	return diag_set(reterr, DIAG_CONFIG,
	    "%s needs one directory: write its GUID or a domain of it, as "
	    "shown under Entra ID > Overview, instead of common, "
	    "organizations or consumers",
	    grant_name(q->grant));
}

static int
resolve_microsoft(const struct provider_query *q, struct provider_preset *ret,
    const char **badkey, struct diag *reterr)
{
	const struct cloud *c = cloud_find(q->cloud);

	if (c == NULL)
		return bad(badkey, "cloud", reterr,
		    "unknown: write global, gcc-high, dod or china");
	if (q->grant == GRANT_MANAGED_IDENTITY)
		return fill_scope(q, c, ret, badkey, reterr);
	if (check_tenant(q, badkey, reterr) < 0 ||
	    fill_scope(q, c, ret, badkey, reterr) < 0)
		return -1;
	return fill_endpoints(c, q->tenant, ret, reterr);
}

static int
resolve_outlook(const struct provider_query *q, struct provider_preset *ret,
    const char **badkey, struct diag *reterr)
{
	const struct cloud *c = cloud_find(NULL);

	if (fill_scope(q, c, ret, badkey, reterr) < 0)
		return -1;
	return fill_endpoints(c, "consumers", ret, reterr);
}

static int
resolve_google(const struct provider_query *q, struct provider_preset *ret,
    const char **badkey, struct diag *reterr)
{
	(void)badkey;
	ret->token_endpoint = strdup("https://oauth2.googleapis.com/token");
	ret->authorization_endpoint =
	    strdup("https://accounts.google.com/o/oauth2/v2/auth");
	/* No device flow: its scopes do not include mail. */
	ret->revocation_endpoint =
	    strdup("https://oauth2.googleapis.com/revoke");
	/* One scope for all three services: there is no narrower one. */
	ret->scope =
	    strdup(q->scope != NULL ? q->scope : "https://mail.google.com/");
	if (ret->token_endpoint == NULL ||
	    ret->authorization_endpoint == NULL ||
	    ret->revocation_endpoint == NULL || ret->scope == NULL)
		return diag_nomem(reterr);
	return 0;
}

/* False: no memory. */
static bool
copy(char **to, const char *from)
{
	return from == NULL || (*to = strdup(from)) != NULL;
}

static int
resolve_custom(const struct provider_query *q, struct provider_preset *ret,
    const char **badkey, struct diag *reterr)
{
	if (q->grant == GRANT_MANAGED_IDENTITY && q->scope == NULL)
		return bad(badkey, "scope", reterr,
		    "missing: write the resource that the token is for, as in "
		    "scope = https://HOST/.default");
	if (q->grant != GRANT_MANAGED_IDENTITY && q->token_endpoint == NULL &&
	    q->issuer == NULL)
		return bad(badkey, "token_endpoint", reterr,
		    "missing: a custom provider needs token_endpoint, or "
		    "issuer to find it by discovery");
	if (q->token_endpoint != NULL && q->issuer != NULL)
		return bad(badkey, "issuer", reterr,
		    "given besides token_endpoint: take one of them out");
	if (!copy(&ret->token_endpoint, q->token_endpoint) ||
	    !copy(&ret->authorization_endpoint, q->authorization_endpoint) ||
	    !copy(&ret->device_authorization_endpoint,
		q->device_authorization_endpoint) ||
	    !copy(&ret->revocation_endpoint, q->revocation_endpoint) ||
	    !copy(&ret->scope, q->scope))
		return diag_nomem(reterr);
	return 0;
}

/* Its keys that only a custom provider may have; NULL: none is given. */
static const char *
endpoint_key(const struct provider_query *q)
{
	return q->token_endpoint != NULL ? "token_endpoint" :
	       q->issuer != NULL	 ? "issuer" :
	       q->authorization_endpoint != NULL ?
				   "authorization_endpoint" :
	       q->device_authorization_endpoint != NULL ?
				   "device_authorization_endpoint" :
	       q->revocation_endpoint != NULL ? "revocation_endpoint" :
						NULL;
}

static int
check_grant(const struct preset *p, const struct provider_query *q,
    const char **badkey, struct diag *reterr)
{
	char list[GRANT_LIST_SIZE];

	if ((p->info.grants & 1U << q->grant) != 0)
		return 0;
	*badkey = "grant";
	return diag_set(reterr, DIAG_CONFIG, "this provider takes grant = %s",
	    grant_list(p->info.grants, list));
}

static int
check_scope(
    const struct provider_query *q, const char **badkey, struct diag *reterr)
{
	if (q->scope != NULL && !scope_ok(q->scope))
		return bad(badkey, "scope", reterr,
		    "has a character that RFC 6749 does not allow: write "
		    "words separated by blanks, without quotes");
	if (q->scope != NULL && q->grant == GRANT_MANAGED_IDENTITY &&
	    strchr(q->scope, ' ') != NULL)
		return bad(badkey, "scope", reterr,
		    "a managed identity takes one resource: write one word, as "
		    "in scope = https://HOST/.default");
	return 0;
}

/* What is the same for all providers. */
static int
check_query(const struct preset *p, const struct provider_query *q,
    const char **badkey, struct diag *reterr)
{
	if (!p->has_tenant && q->tenant != NULL)
		return bad(badkey, "tenant", reterr,
		    "only provider = microsoft has one: take it out");
	if (!p->has_tenant && q->cloud != NULL)
		return bad(badkey, "cloud", reterr,
		    "only provider = microsoft has one: take it out");
	if (!p->has_endpoint && endpoint_key(q) != NULL)
		return bad(badkey, endpoint_key(q), reterr,
		    "this provider's is known: take it out, or write "
		    "provider = custom");
	if (check_grant(p, q, badkey, reterr) < 0)
		return -1;
	return check_scope(q, badkey, reterr);
}

int
provider_resolve(const struct provider_query *q, struct provider_preset *ret,
    const char **badkey, struct diag *reterr)
{
	const struct preset *p = preset_find(q->provider);
	struct provider_preset r = PROVIDER_PRESET_INIT;

	*badkey = NULL;
	if (p == NULL)
		return bad(badkey, "provider", reterr,
		    "unknown: write microsoft, outlook.com, google or custom");
	if (check_query(p, q, badkey, reterr) < 0)
		return -1;
	if (p->resolve(q, &r, badkey, reterr) < 0) {
		provider_preset_free(&r);
		return -1;
	}
	*ret = r;
	return 0;
}

/* An authority's port, from behind the colon; at most five digits. */
static bool
port_ok(const char *s, size_t n)
{
	unsigned long port = 0;

	if (n == 0 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (unsigned long)(s[i] - '0');
	}
	return port > 0 && port <= 65535;
}

static bool
host_is(const char *host, size_t n, const char *name)
{
	return strlen(name) == n && strncasecmp(host, name, n) == 0;
}

/* Splits "host", "host:port", "[v6]" or "[v6]:port"; 0 is no host. */
static size_t
authority_host(const char *s, size_t n)
{
	const char *allowed = "0123456789abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._";
	size_t host;

	if (n > 0 && s[0] == '[') {
		host = 1 + strspn(s + 1, "0123456789abcdefABCDEF:.");
		if (host < 3 || host >= n || s[host] != ']')
			return 0;
		host++;
	} else {
		host = strspn(s, allowed);
	}
	if (host < n &&
	    (s[host] != ':' || !port_ok(s + host + 1, n - host - 1)))
		return 0;
	return host;
}

int
provider_check_url(const char *url, bool insecure_http, struct diag *reterr)
{
	bool tls = strncasecmp(url, "https://", 8) == 0;
	const char *auth = url + (tls ? 8 : 7);
	size_t host;

	if (!tls && strncasecmp(url, "http://", 7) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "not a URL to use: it must start with https://");
	for (const char *s = url; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"\\<>^`{|}#", *s) != NULL)
			return diag_set(reterr, DIAG_CONFIG,
			    "the URL has a blank, a fragment or a character "
			    "that must be percent-encoded");
	host = authority_host(auth, strcspn(auth, "/?"));
	if (host == 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "the URL needs a host, perhaps with a port, and no user "
		    "name: https://HOST/PATH");
	if (tls)
		return 0;
	if (!host_is(auth, host, "127.0.0.1") &&
	    !host_is(auth, host, "[::1]") && !host_is(auth, host, "localhost"))
		return diag_set(reterr, DIAG_CONFIG,
		    "http:// would send secrets in clear: write https://");
	if (!insecure_http)
		return diag_set(reterr, DIAG_CONFIG,
		    "http:// to this host needs insecure_http = yes, which is "
		    "for tests: write https://");
	return 0;
}
