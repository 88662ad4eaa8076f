/*
 * jwt.h - what an access token says about itself, where it is a JWT (RFC
 * 7519).  For people to look at: nothing is verified, and nothing may depend
 * on it, since a token is opaque to a client.
 */
#ifndef CORE_JWT_H
#define CORE_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"
#include "json.h"

#define JWT_MAX	32768	/* bytes of a token */

/*
 * The claims, for json_str() and the like; NULL if it is no JWT or there is
 * no memory.  To be wiped by json_wipe().
 */
struct json *jwt_claims(const char *token, size_t len);
/* The JOSE header; the same. */
struct json *jwt_header(const char *token, size_t len);

#endif
