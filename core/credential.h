/*
 * credential.h - how an account's application proves who it is: nothing
 * (public client), a secret, an assertion signed with its certificate's key,
 * or one from a file (workload identity federation), read anew each time.  Of
 * jwt_bearer the assertion is the grant itself (oauth2_assertion_request()).
 */
#ifndef CORE_CREDENTIAL_H
#define CORE_CREDENTIAL_H

#include <stdint.h>

#include "account.h"
#include "diag.h"
#include "oauth2.h"
#include "secret.h"

struct credential {
	struct oauth2_client client;	/* points to the two below */
	struct secret secret;
	struct secret assertion;
};
#define CREDENTIAL_INIT { { NULL, NULL, CLIENT_AUTH_POST, NULL }, \
	SECRET_INIT, SECRET_INIT }
void credential_wipe(struct credential *c);
#define auto_credential __attribute__((cleanup(credential_wipe)))

/*
 * The secret that must be there first: the client secret, the passphrase of
 * its key, or the service account's key file; NULL if the account has none.
 */
const struct secret_ref *credential_secret(const struct account *a);

/*
 * s is what credential_secret() led to, or NULL.  audience is the token
 * endpoint.  *ret must not be moved: it points into itself; what it held is
 * not wiped.  Returns -1 with *reterr (CONFIG, NOMEM; RETRY: a file that is
 * just being replaced), and *ret is CREDENTIAL_INIT.
 */
int credential_init(struct credential *ret, const struct account *a,
	const struct secret *s, const char *audience, int64_t now_s,
	struct diag *reterr);

/*
 * When what the application shows ends: the certificate's notAfter, or
 * client_secret_expires of the configuration; 0: not known.  Reads the
 * certificate's file.
 */
int64_t credential_expires_at(const struct account *a);

#endif
