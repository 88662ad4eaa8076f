/*
 * token_request.h - asking for an account's token by whatever grant it has:
 * the request, sending it, and what came of it.  Blocking: only for local
 * files (certificates, keys, assertions).
 */
#ifndef CORE_TOKEN_REQUEST_H
#define CORE_TOKEN_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "diag.h"
#include "http.h"
#include "managed_identity.h"
#include "oauth2.h"
#include "secret.h"

struct token_request {
	const struct account *account;	/* borrowed */
	char *url;			/* of the token endpoint */
	struct oauth2_request form;
	struct managed_identity_request identity; /* of that grant, without form */
	bool challenged;		/* once is enough */
};
#define TOKEN_REQUEST_INIT { NULL, NULL, OAUTH2_REQUEST_INIT, \
	MANAGED_IDENTITY_REQUEST_INIT, false }
void token_request_wipe(struct token_request *r);

/* Asks the issuer for its endpoints first; see http_start(). */
struct http_call *token_request_discover(const struct account *a,
	struct http *h, http_done *done, void *arg, struct diag *reterr);
/* What done() was told then.  -1 with *reterr, and *ret is untouched. */
int token_request_discovered(const struct account *a,
	const struct http_answer *said, const struct diag *why,
	struct oauth2_endpoints *ret, struct diag *reterr);

/*
 * endpoint is where; NULL for a managed identity.  s is what
 * credential_secret() led to, or NULL; refresh_token is the account's.
 * Returns -1 with *reterr (CONFIG, RETRY, NOMEM), and *ret is
 * TOKEN_REQUEST_INIT.
 */
int token_request_init(struct token_request *ret, const struct account *a,
	const char *endpoint, const struct secret *s,
	const struct secret *refresh_token, int64_t now_s,
	struct diag *reterr);

/* See http_start(); the request must live until done(). */
struct http_call *token_request_send(struct token_request *r, struct http *h,
	http_done *done, void *arg, struct diag *reterr);

/*
 * What done() was told.  Returns 0 and *ret; 1 if the request must be sent
 * once more, since the answer was a challenge that r now meets; or -1 with
 * *reterr.
 */
int token_request_answer(struct token_request *r, const struct http_answer *a,
	const struct diag *why, int64_t now_s, struct oauth2_tokens *ret,
	struct diag *reterr);

#endif
