/*
 * fernet.h - opening what another program has sealed as a Fernet token: 0x80,
 * time, IV, AES-128-CBC, HMAC-SHA256, all of it in base64url.  Its key comes
 * from a password by PBKDF2-HMAC-SHA256 (RFC 8018).  No I/O.
 */
#ifndef CORE_FERNET_H
#define CORE_FERNET_H

#include <stddef.h>
#include <stdint.h>

#include "diag.h"
#include "secret.h"

#define FERNET_MAX_BYTES	65536
#define FERNET_ITERATIONS_MAX	20000000	/* some ten seconds */

/*
 * How long ago it was made does not matter.  Returns 0 and *ret; or -1 with
 * *reterr (CONFIG: another password, or damaged: it cannot be told which;
 * NOMEM).
 */
int fernet_open(const char *token, size_t len, const struct secret *password,
	const void *salt, size_t salt_len, int64_t iterations,
	struct secret *ret, struct diag *reterr);

#endif
