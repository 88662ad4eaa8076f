#include "account.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define MIN_LIFE_S    900
#define GRANT_UNKNOWN ((enum grant_type) - 1)

static int
set_grant(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	enum grant_type *slot = setting_field(into, s);

	if (grant_name_parse(value, slot))
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "must be refresh_token, client_credentials, workload_identity, "
	    "managed_identity or jwt_bearer");
}

static int
set_client_auth(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	enum client_auth *slot = setting_field(into, s);

	if (strcmp(value, "post") != 0 && strcmp(value, "basic") != 0)
		return diag_set(reterr, DIAG_CONFIG, "must be post or basic");
	*slot =
	    strcmp(value, "post") == 0 ? CLIENT_AUTH_POST : CLIENT_AUTH_BASIC;
	return 0;
}

static int
set_client_secret(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	return secret_ref_parse(value, setting_field(into, s), reterr);
}

static int
set_services(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	unsigned *slot = setting_field(into, s);
	unsigned all = 0;

	while (*(value += strspn(value, " \t")) != '\0') {
		size_t len = strcspn(value, " \t");
		char word[16] = "";
		unsigned one;

		if (len < sizeof(word))
			memcpy(word, value, len);
		one = service_parse(word);
		if (one == 0)
			return diag_set(reterr, DIAG_CONFIG,
			    "must be one or more of smtp, imap and pop, "
			    "separated by blanks");
		all |= one;
		value += len;
	}
	*slot = all;
	return 0;
}

#define IN(field) offsetof(struct account_draft, field)

const struct setting account_settings[] = {
	{ "provider", setting_borrowed, IN(query.provider), 0, 0 },
	{ "cloud", setting_borrowed, IN(query.cloud), 0, 0 },
	{ "tenant", setting_borrowed, IN(query.tenant), 0, 0 },
	{ "grant", set_grant, IN(query.grant), 0, 0 },
	{ "client_id", setting_word, IN(a.client_id), 0, 0 },
	{ "client_secret", set_client_secret, IN(a.client_secret), 0, 0 },
	{ "client_auth", set_client_auth, IN(a.client_auth), 0, 0 },
	{ "services", set_services, IN(query.services), 0, 0 },
	{ "scope", setting_borrowed, IN(query.scope), 0, 0 },
	{ "token_endpoint", setting_borrowed, IN(query.token_endpoint), 0, 0 },
	{ "issuer", setting_borrowed, IN(query.issuer), 0, 0 },
	{ "ca_file", setting_path, IN(a.ca_file), 0, 0 },
	{ "min_life", setting_seconds, IN(a.min_life_s), 60, 86400 },
	{ "insecure_http", setting_yesno, IN(a.insecure_http), 0, 0 },
	{ "allow", setting_rules, IN(a.allow), 0, 0 },
};
const size_t account_n_settings = COUNT(account_settings);
_Static_assert(COUNT(account_settings) <= SETTING_MAX, "room for each line");

static void
account_clear(struct account *a)
{
	free(a->name);
	free(a->provider);
	free(a->client_id);
	secret_ref_free(&a->client_secret);
	free(a->client_certificate);
	free(a->client_key);
	secret_ref_free(&a->client_key_passphrase);
	free(a->client_assertion_file);
	free(a->identity_id);
	secret_ref_free(&a->service_account_key);
	free(a->subject);
	free(a->cloud);
	free(a->tenant);
	free(a->token_endpoint);
	free(a->authorization_endpoint);
	free(a->device_authorization_endpoint);
	free(a->revocation_endpoint);
	free(a->issuer);
	free(a->scope);
	free(a->ca_file);
	rules_free(&a->allow);
}

void
account_free(struct account **a)
{
	if (*a == NULL)
		return;
	account_clear(*a);
	free(*a);
	*a = NULL;
}

void
account_draft_init(
    struct account_draft *d, const struct config *c, unsigned line)
{
	*d = (struct account_draft){
		.a = { .config = c, .line = line, .min_life_s = MIN_LIFE_S }
	};
	d->query.grant = GRANT_UNKNOWN;
}

void
account_draft_wipe(struct account_draft *d)
{
	account_clear(&d->a);
	*d = (struct account_draft){ .spoilt = true };
}

/* What account_finish() is busy with. */
struct finish {
	struct account_draft *d;
	const unsigned *given;
	account_complain *complain;
	void *arg;
	bool bad;
};

static unsigned
line_of(const struct finish *f, const char *key)
{
	for (size_t i = 0; i < account_n_settings; i++)
		if (strcmp(account_settings[i].key, key) == 0)
			return f->given[i];
	return 0;
}

/* A key that is missing is complained about at the section. */
static void
blame(struct finish *f, const char *key, struct diag *d)
{
	unsigned line = line_of(f, key);

	if (d->kind != DIAG_NOMEM)
		(void)diag_wrap(d, "account %s: '%s'", f->d->a.name, key);
	f->complain(f->arg, line != 0 ? line : f->d->a.line, d);
	f->bad = true;
}

static void
blame_text(struct finish *f, const char *key, const char *text)
{
	struct diag d = DIAG_INIT;

	(void)diag_set(&d, DIAG_CONFIG, "%s", text);
	blame(f, key, &d);
}

static void
check_required(struct finish *f)
{
	struct provider_query *q = &f->d->query;
	const struct provider_info *info;

	if (line_of(f, "provider") == 0) {
		blame_text(f, "provider",
		    "missing: write provider = microsoft, outlook.com, google "
		    "or custom");
		return;
	}
	info = provider_info(q->provider);
	if (line_of(f, "client_id") == 0)
		blame_text(f, "client_id",
		    "missing: write the application's ID as registered with "
		    "the provider");
	/* Of an unknown provider, that is all there is to complain about. */
	if (info == NULL ||
	    (line_of(f, "grant") == 0 &&
		(info->grants & 1U << GRANT_CLIENT_CREDENTIALS) == 0))
		q->grant = GRANT_REFRESH_TOKEN;
	else if (line_of(f, "grant") == 0)
		blame_text(f, "grant",
		    "missing: write refresh_token (somebody logs in once) or "
		    "client_credentials (the application itself)");
}

static void
check_secret(struct finish *f)
{
	const struct provider_query *q = &f->d->query;
	const struct provider_info *info = provider_info(q->provider);

	f->d->a.client_secret.line = line_of(f, "client_secret");
	if (f->d->a.client_secret.line != 0)
		return;
	if (q->grant == GRANT_CLIENT_CREDENTIALS)
		blame_text(f, "client_secret",
		    "missing: grant = client_credentials needs it; write "
		    "client_secret = file:/PATH");
	else if (info != NULL && info->needs_secret)
		blame_text(f, "client_secret",
		    "missing: this provider asks even desktop applications "
		    "for it; write client_secret = file:/PATH");
	else if (f->d->a.client_auth == CLIENT_AUTH_BASIC)
		blame_text(f, "client_auth",
		    "basic needs a client_secret: add it or take this out");
}

static void
check_url(struct finish *f, const char *key, const char *url)
{
	struct diag d = DIAG_INIT;

	if (url != NULL &&
	    provider_check_url(url, f->d->a.insecure_http, &d) < 0)
		blame(f, key, &d);
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
	a->provider = strdup(q->provider);
	if (q->issuer != NULL)
		a->issuer = strdup(q->issuer);
	a->grant = q->grant;
	a->services = q->services;
	if (a->provider == NULL || (a->issuer == NULL) != (q->issuer == NULL)) {
		(void)diag_nomem(&d);
		blame(f, "provider", &d);
	}
}

struct account *
account_finish(struct account_draft *d, const unsigned *given,
    account_complain *complain, void *arg)
{
	struct finish f = { d, given, complain, arg, false };
	struct account *a;

	check_required(&f);
	if (d->query.provider != NULL)
		check_secret(&f);
	check_url(&f, "token_endpoint", d->query.token_endpoint);
	check_url(&f, "issuer", d->query.issuer);
	/* What a refused value would only make worse is not looked at. */
	if (d->query.provider != NULL && d->query.grant != GRANT_UNKNOWN &&
	    (d->query.services != 0 || line_of(&f, "services") == 0))
		resolve(&f);
	if (f.bad || d->spoilt)
		return NULL;

	a = malloc(sizeof(*a));
	if (a == NULL) {
		struct diag nomem = DIAG_INIT;

		(void)diag_nomem(&nomem);
		complain(arg, d->a.line, &nomem);
		return NULL;
	}
	*a = d->a;
	d->a = (struct account){ .line = a->line };
	return a;
}

/* FNV-1a; the end of a string counts too, so that "a","b" is not "ab","". */
static uint64_t
hash_string(uint64_t h, const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211U;
	return (h ^ 0xff) * 1099511628211U;
}

int64_t
account_binding(const struct account *a)
{
	uint64_t h = 14695981039346656037U + a->grant;

	h = hash_string(h, a->token_endpoint);
	h = hash_string(h, a->issuer);
	h = hash_string(h, a->client_id);
	h = hash_string(h, a->scope);
	return (int64_t)(h >> 1) | 1;
}
