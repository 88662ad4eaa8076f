#include "fernet.h"

#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "buf.h"
#include "form.h"

#define VERSION	   0x80
#define IV_AT	   9  /* behind the version and the time */
#define TEXT_AT	   25 /* behind the IV */
#define BLOCK	   16
#define MAC_BYTES  32
#define HALF_BYTES 16 /* of the key: one signs, one encrypts */

static int
refuse(struct diag *reterr)
{
	return diag_set(reterr, DIAG_CONFIG,
	    "the password does not open the refresh token: it is another "
	    "password, or the file is damaged");
}

static bool
form_ok(const struct buf *b)
{
	return b->len >= TEXT_AT + BLOCK + MAC_BYTES &&
	       (unsigned char)b->ptr[0] == VERSION &&
	       (b->len - TEXT_AT - MAC_BYTES) % BLOCK == 0;
}

static bool
mac_ok(const unsigned char *key, const struct buf *b)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	return HMAC(EVP_sha256(), key, HALF_BYTES,
		   (const unsigned char *)b->ptr, b->len - MAC_BYTES, mac,
		   &n) != NULL &&
	       n == MAC_BYTES &&
	       CRYPTO_memcmp(mac, b->ptr + b->len - MAC_BYTES, MAC_BYTES) == 0;
}

static int
decrypt(const unsigned char *key, const struct buf *b, struct buf *ret)
{
	const unsigned char *sealed = (const unsigned char *)b->ptr;
	int len = (int)(b->len - TEXT_AT - MAC_BYTES);
	char *room = buf_room(ret, (size_t)len + BLOCK);
	EVP_CIPHER_CTX *c = room != NULL ? EVP_CIPHER_CTX_new() : NULL;
	int n = 0, rest = 0, rc = -1;

	if (c == NULL)
		return -1;
	if (EVP_DecryptInit_ex(
		c, EVP_aes_128_cbc(), NULL, key, sealed + IV_AT) == 1 &&
	    EVP_DecryptUpdate(
		c, (unsigned char *)room, &n, sealed + TEXT_AT, len) == 1)
		rc = 0;
	/* Written, whether or not it is of any use: so it will be wiped. */
	ret->len += (size_t)n;
	if (rc == 0 &&
	    EVP_DecryptFinal_ex(c, (unsigned char *)room + n, &rest) != 1)
		rc = -1;
	ret->len += (size_t)rest;
	EVP_CIPHER_CTX_free(c);
	return rc;
}

static int
open_with(const unsigned char *key, const struct buf *b, struct secret *ret,
    struct diag *reterr)
{
	auto_buf struct buf text = BUF_INIT(FERNET_MAX_BYTES + BLOCK);

	if (!mac_ok(key, b) || decrypt(key + HALF_BYTES, b, &text) < 0)
		return refuse(reterr);
	return secret_set(ret, text.ptr, text.len) ? 0 : diag_nomem(reterr);
}

int
fernet_open(const char *token, size_t len, const struct secret *password,
    const void *salt, size_t salt_len, int64_t iterations, struct secret *ret,
    struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(FERNET_MAX_BYTES);
	unsigned char key[2 * HALF_BYTES];
	int rc = -1;

	if (iterations < 1 || iterations > FERNET_ITERATIONS_MAX)
		return diag_set(reterr, DIAG_CONFIG,
		    "its count of iterations is not between 1 and %d",
		    FERNET_ITERATIONS_MAX);
	if (password->len > INT_MAX || salt_len > INT_MAX ||
	    len > FERNET_MAX_BYTES || !base64_decode(&b, token, len) ||
	    !form_ok(&b))
		return diag_set(reterr, DIAG_CONFIG,
		    "its refresh token is not in the form that its program "
		    "writes: the file is damaged");
	if (PKCS5_PBKDF2_HMAC(password->ptr != NULL ? password->ptr : "",
		(int)password->len, salt, (int)salt_len, (int)iterations,
		EVP_sha256(), sizeof(key), key) == 1)
		rc = open_with(key, &b, ret, reterr);
	else
		(void)diag_nomem(reterr);
	OPENSSL_cleanse(key, sizeof(key));
	return rc;
}
