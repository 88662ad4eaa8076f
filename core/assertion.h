/*
 * assertion.h - signed JSON Web Tokens that say who a client is (RFC 7515,
 * RFC 7523, Microsoft's certificate credentials), by OpenSSL.  No I/O but
 * reading the certificate and the key.
 */
#ifndef CORE_ASSERTION_H
#define CORE_ASSERTION_H

#include <stddef.h>
#include <stdint.h>

#include "diag.h"
#include "secret.h"

#define ASSERTION_LIFE_S	300
#define ASSERTION_PEM_MAX	65536	/* bytes of a certificate's or key's file */

/* RFC 7518 section 3.1; PS256 with a salt of 32 bytes. */
enum assertion_alg { ASSERTION_PS256, ASSERTION_RS256 };

struct assertion_key;
struct assertion_cert;

/*
 * where is the absolute path of a PEM file (PKCS#8 or traditional, perhaps
 * encrypted) or an OpenSSL store URI ("pkcs11:...", "handle:0x81000001"),
 * which needs the provider to be configured in openssl.cnf.  passphrase may
 * be NULL or empty; nothing ever asks at a terminal.  A file that group or
 * others can use is refused.  NULL with *reterr (CONFIG, NOMEM), which names
 * where, the cause, and what to do; owner is the user that the remedy names.
 */
struct assertion_key *assertion_key_load(const char *where,
	const struct secret *passphrase, const char *owner,
	struct diag *reterr);
/* From memory: the private_key of a Google service account's file. */
struct assertion_key *assertion_key_parse(const struct secret *pem,
	struct diag *reterr);
void assertion_key_free(struct assertion_key **k);

/* The first certificate of a PEM file, which may hold the key as well. */
struct assertion_cert *assertion_cert_load(const char *path,
	struct diag *reterr);
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

/* The compact form of header and payload as given (RFC 7515 section 7.1). */
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
