/* renew_login.h - the login that renewals live on: made, and forgotten. */
#ifndef CORE_RENEW_LOGIN_H
#define CORE_RENEW_LOGIN_H

#include <stdint.h>

#include "account.h"
#include "diag.h"
#include "secret.h"
#include "store.h"

/*
 * Stores a new refresh token (import, login), of the provider that the
 * account has now, under the lock: a new generation without an access token;
 * the old refresh token is kept as the previous one.  Waits for the lock up to RENEW_LOGIN_WAIT_MS.
 */
int renew_login(const struct store *s, const struct account *account,
	const struct secret *refresh_token, int64_t now_s,
	struct diag *reterr);
/*
 * Forgets every token of the account, under the lock as renew_login(): what
 * stays is a grant without tokens and of a new generation, so that nobody's
 * older copy is taken for newer.
 */
int renew_logout(const struct store *s, const char *account, int64_t now_s,
	struct diag *reterr);
/* The same for who holds the lock. */
int renew_logout_locked(const struct store *s, struct store_lock *l,
	const char *account, int64_t now_s, struct diag *reterr);

#endif
