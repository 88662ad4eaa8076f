/*
 * provider.h - what is known about identity providers: endpoints, scopes and
 * mail hosts, by provider, cloud, tenant, grant and service.  A table, no I/O.
 *
 * There is no default endpoint on purpose: a request that goes to the wrong
 * provider carries the refresh token there.
 */
#ifndef CORE_PROVIDER_H
#define CORE_PROVIDER_H

#include <stdbool.h>

#include "diag.h"
#include "grant_type.h"

/* What a token is for.  A set of these, ored. */
enum service {
	SERVICE_SMTP = 1,
	SERVICE_IMAP = 2,
	SERVICE_POP = 4
};

/* "smtp", "imap", "pop" (and "pop3", "submission"); 0 for any other word. */
unsigned service_parse(const char *word);
/* The word for one service. */
const char *service_name(enum service s);

/* What a provider asks of an account besides its endpoints. */
struct provider_info {
	unsigned grants;	/* that it has: 1 << enum grant_type, ored */
	bool needs_secret;	/* even for programs that cannot keep one */
	int idle_days;		/* after which a refresh token that nobody uses
				 * is dead; 0: not known */
	bool keeps_used;	/* a refresh token is good after its use, too, and
				 * after a newer one was given out */
	const char *revoke_at;	/* where a person revokes a login, if there is no
				 * revocation endpoint; NULL: not known */
};
/* NULL for a word that is no provider. */
const struct provider_info *provider_info(const char *provider);

/*
 * The server that mail programs use; cloud may be NULL.  NULL if there is
 * none, or none that its operator documents.
 */
const char *provider_mail_host(const char *provider, const char *cloud,
	enum service s);

/* As written in the configuration; NULL: not given. */
struct provider_query {
	const char *provider;	/* "microsoft", "outlook.com", "google" or
				 * "custom" */
	const char *cloud;	/* microsoft: "global" (default), "gcc-high",
				 * "dod", "china" */
	const char *tenant;	/* microsoft: GUID or domain; required but for
				 * a managed identity */
	enum grant_type grant;
	unsigned services;	/* of enum service */
	const char *scope;	/* overrides the preset */
	const char *token_endpoint;	/* custom only */
	const char *issuer;		/* custom only: discovery */
	/* custom only: for mailtoken login and revoke */
	const char *authorization_endpoint;
	const char *device_authorization_endpoint;
	const char *revocation_endpoint;
};

struct provider_preset {
	char *token_endpoint;	/* NULL if the issuer must be asked first, and
				 * of a managed identity, as the next three */
	char *authorization_endpoint;		/* these three: NULL if there */
	char *device_authorization_endpoint;	/* is none, or the issuer */
	char *revocation_endpoint;		/* must be asked */
	char *scope;		/* NULL: send none */
};
#define PROVIDER_PRESET_INIT { NULL, NULL, NULL, NULL, NULL }

/*
 * Checks that q makes sense and fills *ret (strings are the caller's, give
 * them to provider_preset_free()); or returns -1 with *reterr (CONFIG, NOMEM)
 * saying what is missing or wrong and what to write, and *badkey (a literal;
 * NULL for NOMEM) naming the key to blame.
 */
int provider_resolve(const struct provider_query *q,
	struct provider_preset *ret, const char **badkey, struct diag *reterr);
void provider_preset_free(struct provider_preset *p);

/*
 * https://, or http:// to 127.0.0.1, [::1] or localhost if insecure_http.
 * A host, perhaps a port, no user info, no fragment, nothing that a URL must
 * not hold as it is.  Returns -1 with *reterr (CONFIG), which does not quote
 * the URL.
 */
int provider_check_url(const char *url, bool insecure_http,
	struct diag *reterr);

#endif
