/*
 * oauth2.h - OAuth 2.0 messages: a grant -> the request's body, an answer ->
 * tokens or a diag.  No I/O.
 * Sources: RFC 6749 sections 2.3.1 (client authentication), 4.1.3, 4.4, 5.1,
 * 5.2, 6 and appendix B (form encoding); RFC 7009 section 2.1 (revocation);
 * RFC 7523 sections 2.1 and 2.2 (assertions); RFC 7636 section 4.5 (PKCE);
 * RFC 8414 section 2 (metadata); RFC 8628 sections 3.1 and 3.4 (device).
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
	const struct secret *secret;	/* NULL or empty: none */
	enum client_auth auth;		/* how the secret is sent */
	/* RFC 7523 section 2.2; NULL or empty: none.  Not with a secret. */
	const struct secret *assertion;
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
/* CONFIG, too, for a client that has neither a secret nor an assertion. */
int oauth2_credentials_request(const struct oauth2_client *client,
	const char *scope, struct oauth2_request *ret, struct diag *reterr);
/* The assertion is the grant (RFC 7523 section 2.1): no client. */
int oauth2_assertion_request(const struct secret *assertion,
	const char *scope, struct oauth2_request *ret, struct diag *reterr);
int oauth2_code_request(const struct oauth2_client *client,
	const struct secret *code, const char *redirect_uri,
	const struct secret *verifier, struct oauth2_request *ret,
	struct diag *reterr);
/* For the device authorization endpoint, and for the token endpoint. */
int oauth2_device_request(const struct oauth2_client *client,
	const char *scope, struct oauth2_request *ret, struct diag *reterr);
int oauth2_device_code_request(const struct oauth2_client *client,
	const struct secret *device_code, struct oauth2_request *ret,
	struct diag *reterr);
/* hint is "refresh_token" or "access_token". */
int oauth2_revocation_request(const struct oauth2_client *client,
	const struct secret *token, const char *hint,
	struct oauth2_request *ret, struct diag *reterr);

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
 * HTTP status where the body says nothing.  After -1 ret->refresh_token may be
 * a new one all the same, beside an access token that nobody can use: it must
 * be kept, since it may have been the death of the one before; nothing else
 * of *ret has changed then.  The text holds the provider's
 * code and words (one line, cut), with anything that looks like a credential
 * taken out, and what to do.
 */
int oauth2_parse_tokens(long http_status, int64_t retry_after_s,
	const char *body, size_t len, struct oauth2_tokens *ret,
	struct diag *reterr);

/* Where an issuer's configuration is; the caller frees.  NULL: no memory. */
char *oauth2_discovery_url(const char *issuer);
/* What an issuer's document names; NULL: it does not.  Strings are owned. */
struct oauth2_endpoints {
	char *token;
	char *authorization;
	char *device_authorization;
	char *revocation;
};
#define OAUTH2_ENDPOINTS_INIT { NULL, NULL, NULL, NULL }
void oauth2_endpoints_free(struct oauth2_endpoints *e);
/*
 * Reads it.  The document's issuer must be the one asked (OIDC Discovery
 * section 4.3), and it must name a token endpoint.  Returns 0 and *ret.
 */
int oauth2_parse_discovery(const char *issuer, long http_status,
	const char *body, size_t len, struct oauth2_endpoints *ret,
	struct diag *reterr);

#endif
