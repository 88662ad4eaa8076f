/*
 * assertion.h - signed JSON Web Tokens that say who a client is (RFC 7515,
 * RFC 7523, Microsoft's certificate credentials), by OpenSSL.  No I/O but
 * reading the certificate, and what the key's provider does.
 */
#ifndef CORE_ASSERTION_H
#define CORE_ASSERTION_H

#include <stddef.h>
#include <stdint.h>

#include "assertion_key.h"
#include "diag.h"
#include "secret.h"

#define ASSERTION_LIFE_S	300

/* RFC 7518 section 3.1; PS256 with a salt of 32 bytes. */
enum assertion_alg { ASSERTION_PS256, ASSERTION_RS256 };

struct assertion_cert;

/*
 * The first certificate of a PEM file, which may hold the key as well; one
 * that has ended is fine here.  NULL with *reterr (CONFIG, NOMEM).
 */
struct assertion_cert *assertion_cert_load(const char *path,
	struct diag *reterr);
/* The same from memory; path is for the texts. */
struct assertion_cert *assertion_cert_parse(const char *pem, size_t len,
	const char *path, struct diag *reterr);
void assertion_cert_free(struct assertion_cert **c);
/* When it ends, in Unix time. */
int64_t assertion_cert_expires_at(const struct assertion_cert *c);
/*
 * The SHA-1 of its DER form in hex, as the portal shows it, for people.
 * ret has 41 bytes.
 */
void assertion_cert_thumbprint(const struct assertion_cert *c, char *ret);
/* -1 with *reterr (CONFIG) if the key is not the certificate's. */
int assertion_cert_matches(const struct assertion_cert *c,
	const struct assertion_key *k, struct diag *reterr);

/*
 * The compact form of header and payload as given (RFC 7515 section 7.1).
 * All that sign: -1 with *reterr (CONFIG: the key's provider refuses; NOMEM),
 * and *ret is untouched.
 */
int assertion_sign(const struct assertion_key *k, enum assertion_alg alg,
	const char *header, const char *payload, struct secret *ret,
	struct diag *reterr);

/*
 * private_key_jwt for client_id at the token endpoint `audience`: typ JWT,
 * x5t#S256 with PS256 (x5t, which is SHA-1, with RS256 besides), iss, sub,
 * aud, jti (random), nbf and iat now_s, exp ASSERTION_LIFE_S later.
 */
int assertion_client(const struct assertion_key *k,
	const struct assertion_cert *c, enum assertion_alg alg,
	const char *client_id, const char *audience, int64_t now_s,
	struct secret *ret, struct diag *reterr);

/*
 * Google's jwt-bearer grant: RS256, kid (may be NULL), iss, sub (the mailbox),
 * scope, aud, iat, exp ASSERTION_LIFE_S later.
 */
int assertion_service_account(const struct assertion_key *k, const char *kid,
	const char *issuer, const char *subject, const char *scope,
	const char *audience, int64_t now_s, struct secret *ret,
	struct diag *reterr);

#endif
