/*
 * login_place.h - whose secret a refresh token is.  A section may be changed
 * to another provider while the login of the one before is still stored: that
 * one's token is nothing for a stranger.  Pure.
 */
#ifndef CORE_LOGIN_PLACE_H
#define CORE_LOGIN_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "diag.h"

/*
 * A number for the server that the account's section names: scheme, host and
 * port of its token endpoint, or of its issuer; another one, in all
 * likelihood, for another server.  Not path, client or scope: a login at
 * "common" goes on with the tenant's name, and the wrong client is the same
 * provider's to refuse.  0: none is named (managed identity).
 */
int64_t login_place(const struct account *a);
/* May what belongs to that place be sent there?  0 is not known: yes. */
bool login_place_same(const struct account *a, int64_t place);
/* REAUTH, with what to do, unless it may. */
int login_place_check(const struct account *a, int64_t place,
	struct diag *reterr);

#endif
