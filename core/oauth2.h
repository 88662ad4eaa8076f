/*
 * oauth2.h - OAuth 2.0 messages: a grant -> the request's body, an answer ->
 * tokens or a diag.  No I/O.  The only file that knows JSON.
 * Sources: RFC 6749 sections 2.3.1 (client authentication), 4.4, 5.1, 5.2, 6
 * and appendix B (form encoding); OpenID Connect Discovery 1.0 section 4.
 */
#ifndef CORE_OAUTH2_H
#define CORE_OAUTH2_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"
#include "diag.h"
#include "secret.h"

#define OAUTH2_REQUEST_MAX	65536	/* bytes of a request's body */
#define OAUTH2_ANSWER_MAX	262144	/* bytes of an answer's body */
#define OAUTH2_TOKEN_MAX	24576	/* bytes of one token */
#define OAUTH2_DEFAULT_LIFE_S	600	/* if the provider does not say */

/* The client's identity at the provider; borrowed. */
struct oauth2_client {
	const char *id;
	const struct secret *secret;	/* empty: a public client */
	enum client_auth auth;
};

/* application/x-www-form-urlencoded. */
struct oauth2_request {
	struct buf body;
	struct secret authorization;	/* of the header, "Basic ..."; or empty */
};
#define OAUTH2_REQUEST_INIT { BUF_INIT(OAUTH2_REQUEST_MAX), SECRET_INIT }
void oauth2_request_wipe(struct oauth2_request *r);

/* scope may be NULL.  Return -1 with *reterr (NOMEM, CONFIG: too large). */
int oauth2_refresh_request(const struct oauth2_client *client,
	const char *scope, const struct secret *refresh_token,
	struct oauth2_request *ret, struct diag *reterr);
int oauth2_credentials_request(const struct oauth2_client *client,
	const char *scope, struct oauth2_request *ret, struct diag *reterr);

struct oauth2_tokens {
	struct secret access_token;
	struct secret refresh_token;	/* empty: keep the one you have */
	int64_t life_s;			/* always set and > 0 */
	int64_t refresh_in_s;		/* 0: the provider did not say */
};
#define OAUTH2_TOKENS_INIT { SECRET_INIT, SECRET_INIT, 0, 0 }
void oauth2_tokens_wipe(struct oauth2_tokens *t);

/*
 * Reads the token endpoint's answer.  http_status and retry_after_s (0: none
 * given) are HTTP's.  Returns 0 with *ret, or -1 with *reterr:
 *
 *   RETRY   time cures it (408, 429, 5xx, temporarily_unavailable, AADSTS50196,
 *           a body that is no JSON with 200, ...); retry_after_s is set
 *   REAUTH  somebody must log in (invalid_grant, interaction_required, ...)
 *   CONFIG  the administrator must change something (invalid_client, ...)
 *
 * decided by `error` and `suberror`, AADSTS numbers only refine, and by the
 * HTTP status where the body says nothing.  The text holds the provider's
 * code and words (one line, cut), with anything that looks like a credential
 * taken out, and what to do.
 */
int oauth2_parse_tokens(long http_status, int64_t retry_after_s,
	const char *body, size_t len, struct oauth2_tokens *ret,
	struct diag *reterr);

/* Where an issuer's configuration is; the caller frees.  NULL: no memory. */
char *oauth2_discovery_url(const char *issuer);
/*
 * Reads it.  The document's issuer must be the one asked (OIDC Discovery
 * section 4.3).  Returns 0, and *token_endpoint is the caller's to free.
 */
int oauth2_parse_discovery(const char *issuer, long http_status,
	const char *body, size_t len, char **token_endpoint,
	struct diag *reterr);

#endif
