/*
 * seal.h - authenticated encryption of what is put away: AES-256-GCM by
 * OpenSSL, the key drawn from a passphrase by scrypt (RFC 7914) or given.
 */
#ifndef CORE_SEAL_H
#define CORE_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "diag.h"
#include "secret.h"

#define SEAL_KEY_BYTES	32
#define SEAL_SALT_BYTES	16
#define SEAL_OVERHEAD	28	/* nonce and tag */
#define SEAL_ID_LEN	16	/* hexadecimal digits */

/*
 * N = 2^17, r = 8, p = 1: 128 MiB for a moment.  ret becomes SEAL_KEY_BYTES.
 * Returns -1 with *reterr (NOMEM, CONFIG: empty passphrase).
 */
int seal_key_from_passphrase(const struct secret *passphrase,
	const unsigned char salt[SEAL_SALT_BYTES], struct secret *ret,
	struct diag *reterr);
/* Bytes that nobody can guess.  -1 with *reterr. */
int seal_random(void *bytes, size_t n, struct diag *reterr);

/*
 * A name for a key, from which nobody gets the key: what is sealed can say
 * with which.  -1 with *reterr (CONFIG, NOMEM).
 */
int seal_key_id(const struct secret *key, char ret[SEAL_ID_LEN + 1],
	struct diag *reterr);

/*
 * Appends nonce, ciphertext and tag of text to *ret.  context is bound to it
 * without being stored: open needs the same.  The nonce is random, so a key
 * may seal 2^32 texts.
 */
int seal_close(const struct secret *key, const void *context,
	size_t context_len, const void *text, size_t len, struct buf *ret,
	struct diag *reterr);
/*
 * Appends what was sealed to *ret; or -1 with *reterr (CONFIG: another key,
 * another context, or damaged; NOMEM), and *ret holds nothing of it.
 */
int seal_open(const struct secret *key, const void *context,
	size_t context_len, const void *sealed, size_t len, struct buf *ret,
	struct diag *reterr);

#endif
