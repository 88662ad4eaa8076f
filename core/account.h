/*
 * account.h - one account of the configuration: its keys, and what they fill
 * in.  Whether they make sense together is account_check.h's business.
 */
#ifndef CORE_ACCOUNT_H
#define CORE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "assertion.h"
#include "diag.h"
#include "provider.h"
#include "rules.h"
#include "secret_ref.h"
#include "setting.h"

/* RFC 6749 section 2.3.1. */
enum client_auth { CLIENT_AUTH_POST, CLIENT_AUTH_BASIC };

/* Which of a machine's managed identities; the first is the machine's own. */
enum identity_kind {
	IDENTITY_SYSTEM,
	IDENTITY_CLIENT_ID,
	IDENTITY_OBJECT_ID,
	IDENTITY_RESOURCE_ID
};

struct config;

struct account {
	const struct config *config;	/* it belongs to */
	char *name;
	unsigned line;		/* of its section */
	char *provider;		/* the word in the file */
	enum grant_type grant;
	unsigned services;	/* of enum service; 0: any */
	char *client_id;	/* NULL: managed identity, jwt_bearer */
	struct secret_ref client_secret;
	int64_t client_secret_expires_at; /* when the day begins, UTC; 0: not
					 * said */
	enum client_auth client_auth;
	char *client_certificate;	/* a path; NULL: none */
	char *client_key;	/* a path or a store's URI; NULL: in the file of
				 * the certificate */
	struct secret_ref client_key_passphrase;
	enum assertion_alg assertion_alg;
	char *client_assertion_file;	/* workload identity */
	enum identity_kind identity;	/* managed identity */
	char *identity_id;	/* NULL for IDENTITY_SYSTEM */
	struct secret_ref service_account_key;	/* jwt_bearer: Google's JSON */
	char *subject;		/* jwt_bearer: the mailbox */
	char *cloud;		/* as written; NULL: not given */
	char *tenant;		/* the same */
	char *token_endpoint;	/* resolved; NULL: ask the issuer; both NULL:
				 * managed identity */
	char *authorization_endpoint;	/* these three: NULL: none known */
	char *device_authorization_endpoint;
	char *revocation_endpoint;
	char *issuer;		/* custom with discovery; else NULL */
	char *scope;		/* resolved; NULL: send none */
	char *ca_file;		/* NULL: the system's */
	char *mailbox;		/* of the lookup table; NULL: as the key */
	char **relayhost;	/* its further keys; NULL-ended, or NULL */
	int64_t min_life_s;	/* default 900 */
	bool insecure_http;	/* http to loopback allowed: tests */
	struct rules allow;	/* nobody but root and the agent if empty */
};

/*
 * An account while its section is read: the struct to be, and what it is
 * made from.  Strings of the query borrow the text.
 */
struct account_draft {
	struct account a;
	struct provider_query query;
	bool spoilt;		/* a value was refused already */
};

/* The keys of a section; offsets are of struct account_draft. */
extern const struct setting account_settings[];
extern const size_t account_n_settings;

void account_draft_init(struct account_draft *d, const struct config *c,
	unsigned line);
/* Also after account_finish() of account_check.h. */
void account_draft_wipe(struct account_draft *d);

/*
 * A number that differs, in all likelihood, when a token would be asked for
 * differently: by another endpoint, issuer, client, scope or grant, for another
 * mailbox or by another of a machine's identities.  Not when the credential is
 * another one: what it gets is the same.  Never 0.
 */
int64_t account_binding(const struct account *a);

/* Sets *a to NULL; NULL is fine. */
void account_free(struct account **a);

#endif
