/*
 * authorization.h - the authorization code grant with PKCE (RFC 6749 section
 * 4.1, RFC 7636, RFC 8252): where to send a browser, and what the redirect
 * that comes back means.  No I/O.
 */
#ifndef CORE_AUTHORIZATION_H
#define CORE_AUTHORIZATION_H

#include <stdbool.h>
#include <stddef.h>

#include "account.h"
#include "diag.h"
#include "secret.h"

#define AUTHORIZATION_QUERY_MAX	16384	/* bytes of a redirect's query */

/* One login.  Both secrets are 32 random bytes as base64url. */
struct authorization {
	struct secret verifier;	/* for the token request */
	struct secret state;	/* that the redirect must bring back */
	bool answered;		/* the one redirect that counts has come */
};
#define AUTHORIZATION_INIT { SECRET_INIT, SECRET_INIT, false }
/* -1 with *reterr (NOMEM). */
int authorization_init(struct authorization *a, struct diag *reterr);
void authorization_wipe(struct authorization *a);
#define auto_authorization __attribute__((cleanup(authorization_wipe)))

/* RFC 7636 section 4.2, S256.  False: no memory. */
bool authorization_challenge(const struct secret *verifier,
	struct secret *ret);

/*
 * The URL for the browser.  It asks for a refresh token in the provider's own
 * way, lets the person choose the login, and suggests the account's name if
 * that is an address.  It holds the state: let nobody but the person see it.
 */
int authorization_url(const struct authorization *a,
	const struct account *account, const char *endpoint,
	const char *redirect_uri, struct secret *ret, struct diag *reterr);

enum authorization_answer {
	AUTHORIZATION_STRANGER,	/* another login's, or nobody's: wait on */
	AUTHORIZATION_CODE,	/* *ret is for the token request */
	AUTHORIZATION_REFUSED,	/* *reterr says why (all kinds) */
	AUTHORIZATION_AGAIN	/* this login's, but it has been answered */
};
/*
 * Reads a redirect's query.  The state is looked at first: nothing else of a
 * stranger is.  A parameter that comes twice is refused, and so is an `iss`
 * (RFC 9207) that is not the issuer, if the account has one.
 */
enum authorization_answer authorization_read(struct authorization *a,
	const struct account *account, const char *query, size_t len,
	struct secret *ret, struct diag *reterr);

#endif
