#include "account_check.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cloud.h"
#include "wire.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Sets of grants. */
#define RT  (1U << GRANT_REFRESH_TOKEN)
#define CC  (1U << GRANT_CLIENT_CREDENTIALS)
#define WI  (1U << GRANT_WORKLOAD_IDENTITY)
#define MI  (1U << GRANT_MANAGED_IDENTITY)
#define JWT (1U << GRANT_JWT_BEARER)

/* What account_finish() is busy with. */
struct finish {
	struct account_draft *d;
	const unsigned *given;
	account_complain *complain;
	void *arg;
	const struct provider_info *info; /* NULL: no such provider */
	uint32_t blamed; /* rows of the table; one complaint each */
};
_Static_assert(SETTING_MAX <= 32, "a bit for each row");

/* The row of the table that has the key, which exists. */
static size_t
row_of(const char *key)
{
	size_t i = 0;

	while (i < account_n_settings - 1 &&
	       strcmp(account_settings[i].key, key) != 0)
		i++;
	return i;
}

static unsigned
line_of(const struct finish *f, const char *key)
{
	return f->given[row_of(key)];
}

/* A key that is missing is complained about at the section. */
static void
blame(struct finish *f, const char *key, struct diag *d)
{
	unsigned line = line_of(f, key);
	uint32_t bit = UINT32_C(1) << row_of(key);

	if ((f->blamed & bit) != 0)
		return;
	f->blamed |= bit;
	if (d->kind != DIAG_NOMEM)
		(void)diag_wrap(d, "account %s: '%s'", f->d->a.name, key);
	f->complain(f->arg, line != 0 ? line : f->d->a.line, d);
}

static void
blame_text(struct finish *f, const char *key, const char *text)
{
	struct diag d = DIAG_INIT;

	(void)diag_set(&d, DIAG_CONFIG, "%s", text);
	blame(f, key, &d);
}

static void
blame_nomem(struct finish *f)
{
	struct diag d = DIAG_INIT;

	(void)diag_nomem(&d);
	blame(f, "provider", &d);
}

/* Is the account's grant one of the set?  Not if none is known. */
static bool
grant_in(const struct finish *f, unsigned set)
{
	enum grant_type g = f->d->query.grant;

	return g < GRANT__COUNT && (set & 1U << g) != 0;
}

static bool
at_microsoft(const struct finish *f)
{
	const char *provider = f->d->query.provider;

	return provider != NULL && strcmp(provider, "microsoft") == 0;
}

static void
check_grant(struct finish *f)
{
	struct provider_query *q = &f->d->query;
	char list[GRANT_LIST_SIZE];
	struct diag d = DIAG_INIT;

	if (line_of(f, "grant") != 0)
		return;
	/* Of an unknown provider, that is all there is to complain about. */
	if (f->info == NULL || (f->info->grants & CC) == 0) {
		q->grant = GRANT_REFRESH_TOKEN;
		return;
	}
	(void)diag_set(&d, DIAG_CONFIG,
	    "missing: write refresh_token (somebody logs in once) or, for the "
	    "application itself, %s",
	    grant_list(f->info->grants & ~RT, list));
	blame(f, "grant", &d);
}

/* The keys that only some grants have. */
static const struct use {
	const char *key;
	unsigned grants;
	const char *note;
} uses[] = {
	{ "tenant", RT | CC | WI, "" },
	{ "client_id", RT | CC | WI,
	    "; a managed identity is chosen by identity = client_id:ID, a "
	    "service account's ID is in its key" },
	{ "client_secret", RT | CC, "" },
	{ "client_secret_expires", RT | CC, "" },
	{ "client_auth", RT | CC, "" },
	{ "client_certificate", RT | CC, "" },
	{ "client_key", RT | CC, "" },
	{ "client_key_passphrase", RT | CC, "" },
	{ "assertion_algorithm", RT | CC, "" },
	{ "client_assertion_file", WI, "" },
	{ "identity", MI, "" },
	{ "service_account_key", JWT, "" },
	{ "subject", JWT, "" },
	{ "token_endpoint", RT | CC | WI | JWT, "" },
	{ "issuer", RT | CC | WI | JWT, "" },
	{ "authorization_endpoint", RT, "" },
	{ "device_authorization_endpoint", RT, "" },
	{ "revocation_endpoint", RT | CC | WI | JWT, "" },
};

static void
check_uses(struct finish *f)
{
	char list[GRANT_LIST_SIZE];

	for (size_t i = 0; i < COUNT(uses); i++) {
		struct diag d = DIAG_INIT;

		if (line_of(f, uses[i].key) == 0 || grant_in(f, uses[i].grants))
			continue;
		(void)diag_set(&d, DIAG_CONFIG,
		    "does not go with grant = %s, only with %s: take it out%s",
		    grant_name(f->d->query.grant),
		    grant_list(uses[i].grants, list), uses[i].note);
		blame(f, uses[i].key, &d);
	}
}

/* Copies the variable's value to *slot, unless there is none. */
static void
take_variable(
    struct finish *f, const char *key, const char *variable, char **slot)
{
	const char *value = secure_getenv(variable);
	bool path = strcmp(key, "client_assertion_file") == 0;
	struct diag d = DIAG_INIT;

	if (value == NULL || *value == '\0') {
		(void)diag_set(&d, DIAG_CONFIG,
		    "missing: write it, or set %s in the environment",
		    variable);
		blame(f, key, &d);
	} else if (path && *value != '/') {
		(void)diag_set(&d, DIAG_CONFIG,
		    "%s in the environment must be an absolute path", variable);
		blame(f, key, &d);
	} else if (!path && setting_check_name(value, false, &d) < 0) {
		(void)diag_wrap(&d, "%s in the environment", variable);
		blame(f, key, &d);
	} else if ((*slot = strdup(value)) == NULL) {
		blame_nomem(f);
	}
}

/* AZURE_AUTHORITY_HOST may be missing: that is the global cloud. */
static void
take_cloud(struct finish *f)
{
	const char *host = secure_getenv("AZURE_AUTHORITY_HOST");
	const struct cloud *c;

	if (line_of(f, "cloud") != 0 || host == NULL || *host == '\0')
		return;
	c = cloud_at(host);
	if (c != NULL)
		f->d->query.cloud = c->name;
	else
		blame_text(f, "cloud",
		    "AZURE_AUTHORITY_HOST in the environment is no login host "
		    "that is known here: correct it, or write cloud = global, "
		    "gcc-high, dod or china");
}

static void
check_workload(struct finish *f)
{
	struct account *a = &f->d->a;

	if (!at_microsoft(f)) {
		if (line_of(f, "client_assertion_file") == 0)
			blame_text(f, "client_assertion_file",
			    "missing: write the path of the file that holds "
			    "the other party's token");
		return;
	}
	if (line_of(f, "client_id") == 0)
		take_variable(f, "client_id", "AZURE_CLIENT_ID", &a->client_id);
	if (line_of(f, "tenant") == 0) {
		take_variable(f, "tenant", "AZURE_TENANT_ID", &a->tenant);
		f->d->query.tenant = a->tenant;
	}
	if (line_of(f, "client_assertion_file") == 0)
		take_variable(f, "client_assertion_file",
		    "AZURE_FEDERATED_TOKEN_FILE", &a->client_assertion_file);
	take_cloud(f);
}

static void
check_client_id(struct finish *f)
{
	bool unknown =
	    line_of(f, "grant") != 0 && f->d->query.grant == GRANT__COUNT;

	if (line_of(f, "client_id") != 0 || unknown || grant_in(f, MI | JWT) ||
	    (grant_in(f, WI) && at_microsoft(f)))
		return;
	blame_text(f, "client_id",
	    "missing: write the application's ID as registered with the "
	    "provider");
}

/* What a key needs besides itself. */
static void
check_companion(struct finish *f, const char *key, const char *other)
{
	struct diag d = DIAG_INIT;

	if (line_of(f, key) == 0 || line_of(f, other) != 0)
		return;
	(void)diag_set(&d, DIAG_CONFIG,
	    "goes with %s only: add that or take this out", other);
	blame(f, key, &d);
}

/* How the application shows who it is. */
static void
check_credential(struct finish *f)
{
	bool secret = line_of(f, "client_secret") != 0;
	bool cert = line_of(f, "client_certificate") != 0;

	if (!grant_in(f, RT | CC))
		return;
	if (secret && cert)
		blame_text(f, "client_certificate",
		    "given besides client_secret: take one of them out");
	else if (!secret && !cert && grant_in(f, CC))
		blame_text(f, "client_secret",
		    "missing: grant = client_credentials needs it or a "
		    "client_certificate; write client_secret = file:/PATH");
	else if (!secret && f->info != NULL && f->info->needs_secret)
		blame_text(f, "client_secret",
		    "missing: this provider asks even desktop applications "
		    "for it; write client_secret = file:/PATH");
	else if (!secret && f->d->a.client_auth == CLIENT_AUTH_BASIC)
		blame_text(f, "client_auth",
		    "basic needs a client_secret: add it or take this out");
	check_companion(f, "client_secret_expires", "client_secret");
	check_companion(f, "client_key", "client_certificate");
	check_companion(f, "client_key_passphrase", "client_certificate");
	check_companion(f, "assertion_algorithm", "client_certificate");
}

static void
check_service_account(struct finish *f)
{
	if (line_of(f, "service_account_key") == 0)
		blame_text(f, "service_account_key",
		    "missing: write service_account_key = file:/PATH, the JSON "
		    "file of the service account's key");
	if (line_of(f, "subject") == 0)
		blame_text(f, "subject",
		    "missing: write the mailbox that the token is for");
}

static void
check_url(struct finish *f, const char *key, const char *url)
{
	struct diag d = DIAG_INIT;

	if (url != NULL &&
	    provider_check_url(url, f->d->a.insecure_http, &d) < 0)
		blame(f, key, &d);
}

static void
check_urls(struct finish *f)
{
	const struct provider_query *q = &f->d->query;

	check_url(f, "token_endpoint", q->token_endpoint);
	check_url(f, "issuer", q->issuer);
	check_url(f, "authorization_endpoint", q->authorization_endpoint);
	check_url(f, "device_authorization_endpoint",
	    q->device_authorization_endpoint);
	check_url(f, "revocation_endpoint", q->revocation_endpoint);
}

/* False: no memory. */
static bool
copy(char **to, const char *from)
{
	return from == NULL || *to != NULL || (*to = strdup(from)) != NULL;
}

/* Moves what the provider's preset says into the account. */
static void
resolve(struct finish *f)
{
	struct provider_query *q = &f->d->query;
	struct account *a = &f->d->a;
	struct provider_preset p = PROVIDER_PRESET_INIT;
	const char *key = NULL;
	struct diag d = DIAG_INIT;

	if (provider_resolve(q, &p, &key, &d) < 0) {
		blame(f, key != NULL ? key : "provider", &d);
		return;
	}
	a->token_endpoint = take_ptr(&p.token_endpoint);
	a->authorization_endpoint = take_ptr(&p.authorization_endpoint);
	a->device_authorization_endpoint =
	    take_ptr(&p.device_authorization_endpoint);
	a->revocation_endpoint = take_ptr(&p.revocation_endpoint);
	a->scope = take_ptr(&p.scope);
	a->grant = q->grant;
	a->services = q->services;
	a->client_secret.line = line_of(f, "client_secret");
	a->client_key_passphrase.line = line_of(f, "client_key_passphrase");
	a->service_account_key.line = line_of(f, "service_account_key");
	if (!copy(&a->provider, q->provider) || !copy(&a->issuer, q->issuer) ||
	    !copy(&a->cloud, q->cloud) || !copy(&a->tenant, q->tenant))
		blame_nomem(f);
}

/* One token for every mailbox of a domain. */
static void
check_pattern(struct finish *f)
{
	if (!wire_pattern_ok(f->d->a.name))
		return;
	if (grant_in(f, RT | JWT))
		blame_text(f, "grant",
		    "this grant's token is for one mailbox: an account "
		    "*@domain needs client_credentials, workload_identity or "
		    "managed_identity");
	if (line_of(f, "relayhost") != 0)
		blame_text(f, "relayhost",
		    "does not go with an account *@domain: a next hop names "
		    "no mailbox; give it to an account with a name of its "
		    "own");
	if (line_of(f, "mailbox") != 0)
		blame_text(f, "mailbox",
		    "does not go with an account *@domain, whose mailbox is "
		    "the one that is asked for: take it out");
}

static void
check_section(struct finish *f)
{
	struct provider_query *q = &f->d->query;

	if (line_of(f, "provider") == 0) {
		blame_text(f, "provider",
		    "missing: write provider = microsoft, outlook.com, google "
		    "or custom");
		return;
	}
	f->info = provider_info(q->provider);
	check_client_id(f);
	check_grant(f);
	/* Of a grant that the provider lacks, resolve() complains. */
	if (f->info != NULL && grant_in(f, f->info->grants)) {
		check_uses(f);
		check_credential(f);
		check_pattern(f);
		if (grant_in(f, WI))
			check_workload(f);
		if (grant_in(f, JWT))
			check_service_account(f);
	}
}

struct account *
account_finish(struct account_draft *d, const unsigned *given,
    account_complain *complain, void *arg)
{
	struct finish f = { d, given, complain, arg, NULL, 0 };
	struct account *a;

	check_section(&f);
	check_urls(&f);
	/* What a refused value would only make worse is not looked at. */
	if (d->query.provider != NULL && d->query.grant < GRANT__COUNT &&
	    (d->query.services != 0 || line_of(&f, "services") == 0))
		resolve(&f);
	if (f.blamed != 0 || d->spoilt)
		return NULL;

	a = malloc(sizeof(*a));
	if (a == NULL) {
		blame_nomem(&f);
		return NULL;
	}
	*a = d->a;
	d->a = (struct account){ .line = a->line };
	return a;
}
