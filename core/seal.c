#include "seal.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define NONCE_BYTES 12
#define TAG_BYTES   16
_Static_assert(SEAL_OVERHEAD == NONCE_BYTES + TAG_BYTES, "as the header says");

/* What scrypt costs: changing it makes what was sealed unreadable. */
#define SCRYPT_N      (UINT64_C(1) << 17)
#define SCRYPT_R      8
#define SCRYPT_P      1
#define SCRYPT_MEMORY (UINT64_C(192) << 20) /* 128 r N, and some */

static void
cipher_drop(EVP_CIPHER_CTX **c)
{
	EVP_CIPHER_CTX_free(*c);
}
#define auto_cipher __attribute__((cleanup(cipher_drop)))

int
seal_key_from_passphrase(const struct secret *passphrase,
    const unsigned char salt[SEAL_SALT_BYTES], struct secret *ret,
    struct diag *reterr)
{
	char key[SEAL_KEY_BYTES];
	bool ok;

	if (secret_empty(passphrase))
		return diag_set(
		    reterr, DIAG_CONFIG, "the passphrase is empty; give one");
	ok = EVP_PBE_scrypt(passphrase->ptr, passphrase->len, salt,
		 SEAL_SALT_BYTES, SCRYPT_N, SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY,
		 (unsigned char *)key, sizeof(key)) == 1 &&
	     secret_set(ret, key, sizeof(key));
	secret_erase(key, sizeof(key));
	ERR_clear_error();
	return ok ? 0 : diag_nomem(reterr);
}

int
seal_random(void *bytes, size_t n, struct diag *reterr)
{
	if (n <= INT_MAX && RAND_bytes(bytes, (int)n) == 1)
		return 0;
	ERR_clear_error();
	return diag_set(reterr, DIAG_RETRY,
	    "OpenSSL has no random numbers; look at the system's log");
}

/* Keys are ours to make: another length is a mistake of the caller. */
static int
check(const struct secret *key, size_t context_len, size_t len,
    struct diag *reterr)
{
	if (key->len != SEAL_KEY_BYTES)
		return diag_set(reterr, DIAG_CONFIG,
		    "the key has %zu bytes; it must have %d", key->len,
		    SEAL_KEY_BYTES);
	if (context_len > INT_MAX || len > INT_MAX - SEAL_OVERHEAD)
		return diag_set(reterr, DIAG_CONFIG,
		    "too much to be sealed at once; make it smaller");
	return 0;
}

int
seal_key_id(
    const struct secret *key, char ret[SEAL_ID_LEN + 1], struct diag *reterr)
{
	static const char label[] = "mailtoken seal key id",
			  hex[] = "0123456789abcdef";
	unsigned char text[sizeof(label) + SEAL_KEY_BYTES];
	unsigned char digest[EVP_MAX_MD_SIZE];
	bool ok;

	if (check(key, 0, 0, reterr) < 0)
		return -1;
	memcpy(text, label, sizeof(label));
	memcpy(text + sizeof(label), key->ptr, SEAL_KEY_BYTES);
	ok = EVP_Digest(text, sizeof(text), digest, NULL, EVP_sha256(), NULL) ==
	     1;
	secret_erase(text, sizeof(text));
	if (!ok) {
		ERR_clear_error();
		return diag_nomem(reterr);
	}
	for (size_t i = 0; i < SEAL_ID_LEN; i++)
		ret[i] = hex[digest[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
	ret[SEAL_ID_LEN] = '\0';
	return 0;
}

/*
 * One pass in either direction: n bytes from in to out, which have the same
 * length in GCM, and the context.
 */
static bool
pass(EVP_CIPHER_CTX *c, const void *context, size_t context_len,
    const unsigned char *in, unsigned char *out, size_t n)
{
	int done = 0, rest = 0;

	if (context_len > 0 &&
	    EVP_CipherUpdate(c, NULL, &done, context, (int)context_len) != 1)
		return false;
	done = 0;
	if (n > 0 && EVP_CipherUpdate(c, out, &done, in, (int)n) != 1)
		return false;
	/* Opening: here the tag is looked at. */
	return EVP_CipherFinal_ex(c, out + done, &rest) == 1 &&
	       (size_t)done + (size_t)rest == n;
}

int
seal_close(const struct secret *key, const void *context, size_t context_len,
    const void *text, size_t len, struct buf *ret, struct diag *reterr)
{
	auto_cipher EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	unsigned char *nonce, *sealed, *tag;
	bool ok;

	if (check(key, context_len, len, reterr) < 0)
		return -1;
	nonce = (unsigned char *)buf_room(ret, len + SEAL_OVERHEAD);
	if (c == NULL || nonce == NULL)
		return diag_nomem(reterr);
	sealed = nonce + NONCE_BYTES;
	tag = sealed + len;
	if (seal_random(nonce, NONCE_BYTES, reterr) < 0)
		return -1;
	ok = EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL,
		 (const unsigned char *)key->ptr, nonce, 1) == 1 &&
	     pass(c, context, context_len, text, sealed, len) &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
	if (!ok) {
		ERR_clear_error();
		return diag_nomem(reterr);
	}
	ret->len += len + SEAL_OVERHEAD;
	return 0;
}

int
seal_open(const struct secret *key, const void *context, size_t context_len,
    const void *sealed, size_t len, struct buf *ret, struct diag *reterr)
{
	auto_cipher EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	const unsigned char *nonce = sealed, *in;
	unsigned char tag[TAG_BYTES], *text;
	size_t n;

	if (len < SEAL_OVERHEAD)
		return diag_set(reterr, DIAG_CONFIG,
		    "cut off: too short to be sealed; restore it");
	in = nonce + NONCE_BYTES;
	n = len - SEAL_OVERHEAD;
	if (check(key, context_len, n, reterr) < 0)
		return -1;
	text = (unsigned char *)buf_room(ret, n);
	if (c == NULL || text == NULL)
		return diag_nomem(reterr);
	memcpy(tag, in + n, sizeof(tag)); /* OpenSSL wants it writable */
	if (EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL,
		(const unsigned char *)key->ptr, nonce, 0) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) !=
		1 ||
	    !pass(c, context, context_len, in, text, n)) {
		/* What was deciphered so far may be right: it counts not. */
		secret_erase(text, n);
		ERR_clear_error();
		return diag_set(reterr, DIAG_CONFIG,
		    "does not open: sealed with another key or passphrase or "
		    "for something else, or damaged; use the right one or "
		    "restore it");
	}
	ret->len += n;
	return 0;
}
