#include "account.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define MIN_LIFE_S 900

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
set_secret(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	return secret_ref_parse(value, setting_field(into, s), reterr);
}

static int
set_algorithm(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	enum assertion_alg *slot = setting_field(into, s);

	if (strcmp(value, "PS256") != 0 && strcmp(value, "RS256") != 0)
		return diag_set(reterr, DIAG_CONFIG, "must be PS256 or RS256");
	*slot = strcmp(value, "PS256") == 0 ? ASSERTION_PS256 : ASSERTION_RS256;
	return 0;
}

/* A file's path as it is, or what OpenSSL's store knows by a URI. */
static int
set_client_key(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	const char *letters = "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
	size_t scheme = strspn(value, letters);

	if (strncmp(value, "file:/", 6) == 0)
		return setting_path(into, s, value + 5, reterr);
	if (value[0] == '/')
		return setting_path(into, s, value, reterr);
	if (scheme < 2 || value[scheme] != ':')
		return diag_set(reterr, DIAG_CONFIG,
		    "must be an absolute path, or a URI that OpenSSL can open, "
		    "as pkcs11:object=NAME");
	if (strcasestr(value, "pin-value") != NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "a PIN does not stand in this file: take pin-value out and "
		    "write client_key_passphrase = file:/PATH");
	return setting_word(into, s, value, reterr);
}

/* A word of its own, or what the machine's identities are told apart by. */
static int
set_identity(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	static const char *const words[] = {
		[IDENTITY_CLIENT_ID] = "client_id:",
		[IDENTITY_OBJECT_ID] = "object_id:",
		[IDENTITY_RESOURCE_ID] = "resource_id:",
	};
	struct account *a = setting_field(into, s);
	struct setting id = { .where = offsetof(struct account, identity_id) };

	if (strcmp(value, "system") == 0)
		return 0;
	for (size_t i = IDENTITY_CLIENT_ID; i < COUNT(words); i++) {
		size_t n = strlen(words[i]);

		if (strncmp(value, words[i], n) != 0 || value[n] == '\0')
			continue;
		a->identity = (enum identity_kind)i;
		return setting_name(
		    &(struct setting_into){ a, NULL }, &id, value + n, reterr);
	}
	return diag_set(reterr, DIAG_CONFIG,
	    "must be system, client_id:ID, object_id:ID or resource_id:ID");
}

/* A mail address. */
static int
set_subject(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	if (setting_check_name(value, true, reterr) < 0)
		return -1;
	return setting_word(into, s, value, reterr);
}

/* It becomes what stands before the colon of a password file's value. */
static int
set_mailbox(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	if (strchr(value, ':') != NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "has a colon, which Postfix would take for the name's end");
	return set_subject(into, s, value, reterr);
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
	{ "client_id", setting_name, IN(a.client_id), 0, 0 },
	{ "client_secret", set_secret, IN(a.client_secret), 0, 0 },
	{ "client_secret_expires", setting_date, IN(a.client_secret_expires_at),
	    0, 0 },
	{ "client_auth", set_client_auth, IN(a.client_auth), 0, 0 },
	{ "client_certificate", setting_path, IN(a.client_certificate), 0, 0 },
	{ "client_key", set_client_key, IN(a.client_key), 0, 0 },
	{ "client_key_passphrase", set_secret, IN(a.client_key_passphrase), 0,
	    0 },
	{ "assertion_algorithm", set_algorithm, IN(a.assertion_alg), 0, 0 },
	{ "client_assertion_file", setting_path, IN(a.client_assertion_file), 0,
	    0 },
	{ "identity", set_identity, IN(a), 0, 0 },
	{ "service_account_key", set_secret, IN(a.service_account_key), 0, 0 },
	{ "subject", set_subject, IN(a.subject), 0, 0 },
	{ "services", set_services, IN(query.services), 0, 0 },
	{ "scope", setting_borrowed, IN(query.scope), 0, 0 },
	{ "token_endpoint", setting_borrowed, IN(query.token_endpoint), 0, 0 },
	{ "issuer", setting_borrowed, IN(query.issuer), 0, 0 },
	{ "authorization_endpoint", setting_borrowed,
	    IN(query.authorization_endpoint), 0, 0 },
	{ "device_authorization_endpoint", setting_borrowed,
	    IN(query.device_authorization_endpoint), 0, 0 },
	{ "revocation_endpoint", setting_borrowed,
	    IN(query.revocation_endpoint), 0, 0 },
	{ "ca_file", setting_path, IN(a.ca_file), 0, 0 },
	{ "mailbox", set_mailbox, IN(a.mailbox), 0, 0 },
	{ "relayhost", setting_words, IN(a.relayhost), 0, 0 },
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
	free(a->mailbox);
	words_free(&a->relayhost);
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
	d->query.grant = GRANT__COUNT; /* not known */
}

void
account_draft_wipe(struct account_draft *d)
{
	account_clear(&d->a);
	*d = (struct account_draft){ .spoilt = true };
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
	if (a->grant == GRANT_JWT_BEARER)
		h = hash_string(h, a->subject);
	if (a->grant == GRANT_MANAGED_IDENTITY)
		h = hash_string(h + a->identity, a->identity_id);
	return (int64_t)(h >> 1) | 1;
}
