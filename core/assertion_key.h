/*
 * assertion_key.h - the private RSA key that assertion.h signs with: from a
 * PEM file, from memory, or from where a provider of OpenSSL keeps it (a
 * PKCS#11 token, a TPM).
 */
#ifndef CORE_ASSERTION_KEY_H
#define CORE_ASSERTION_KEY_H

#include <stdbool.h>

#include "diag.h"
#include "secret.h"

#define ASSERTION_PEM_MAX	65536	/* bytes of a certificate's or key's file */

struct evp_pkey_st;

/* pkey is OpenSSL's EVP_PKEY, for assertion.c alone. */
struct assertion_key {
	struct evp_pkey_st *pkey;
	bool asked;		/* for its PIN, which may be counted */
};

/*
 * where is the absolute path of a PEM file (PKCS#8 or traditional, perhaps
 * encrypted) or an OpenSSL store URI ("pkcs11:...", "handle:0x81000001"),
 * which needs the provider to be configured in openssl.cnf.  passphrase may
 * be NULL or empty; nothing ever asks at a terminal.  A file that group or
 * others can use is refused.  NULL with *reterr (CONFIG, NOMEM), which names
 * where, the cause, and what to do; owner is the user that the remedy names.
 * After the first URI no code of this process can have OpenSSL ask at a
 * terminal.
 * A token counts wrong PINs: where a URI's key may have been given one, *reterr
 * is to be tried once.
 */
struct assertion_key *assertion_key_load(const char *where,
	const struct secret *passphrase, const char *owner,
	struct diag *reterr);
/* From memory: the private_key of a Google service account's file. */
struct assertion_key *assertion_key_parse(const struct secret *pem,
	struct diag *reterr);
void assertion_key_free(struct assertion_key **k);

#endif
