/* key_files.h - keys and certificates in a directory, as people leave them. */
#ifndef TESTS_KEY_FILES_H
#define TESTS_KEY_FILES_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA "tests/unit/data/keys/"

static char dir[] = "/tmp/test_assertion.XXXXXX";

/* "NAME" in the test's directory; valid until the next but one call. */
static inline const char *
in_dir(const char *name)
{
	static char path[2][128];
	static unsigned turn;

	turn = !turn;
	(void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static inline FILE *
create(const char *name)
{
	FILE *f = fopen(in_dir(name), "we");

	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	return f;
}

static inline void
write_text(const char *name, const char *text, size_t n)
{
	FILE *f = create(name);

	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static inline void
write_string(const char *name, const char *text)
{
	write_text(name, text, strlen(text));
}

static inline size_t
slurp(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	assert_int_equal(fclose(f), 0);
	return n;
}

static inline void
copy(const char *from, const char *name)
{
	char text[8192];

	write_text(name, text, slurp(from, text, sizeof(text)));
}

static inline void
write_key(const char *name, EVP_PKEY *pkey, const char *passphrase)
{
	FILE *f = create(name);

	assert_int_equal(
	    PEM_write_PKCS8PrivateKey(f, pkey,
		passphrase != NULL ? EVP_aes_256_cbc() : NULL, passphrase,
		passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL),
	    1);
	assert_int_equal(fclose(f), 0);
}

static inline void
write_traditional(const char *name, EVP_PKEY *pkey, const char *passphrase)
{
	BIO *bio = BIO_new_fp(create(name), BIO_CLOSE);

	assert_non_null(bio);
	assert_int_equal(
	    PEM_write_bio_PrivateKey_traditional(bio, pkey, EVP_aes_128_cbc(),
		(const unsigned char *)passphrase, (int)strlen(passphrase),
		NULL, NULL),
	    1);
	(void)BIO_free(bio);
}

static inline void
write_cert(const char *name, EVP_PKEY *pkey)
{
	X509 *x = X509_new();
	FILE *f = create(name);

	assert_non_null(x);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -20));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), -10));
	assert_int_equal(X509_set_pubkey(x, pkey), 1);
	assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, x), 1);
	assert_int_equal(fclose(f), 0);
	X509_free(x);
}

static inline int
setup(void **unused)
{
	char text[8192];
	EVP_PKEY *rsa, *small = EVP_RSA_gen(1024), *ec = EVP_EC_gen("P-256");
	FILE *f;

	(void)unused;
	assert_non_null(mkdtemp(dir));
	copy(DATA "rfc7515-a2.key.pem", "plain.pem");
	copy(DATA "rfc7515-a2.cert.pem", "cert.pem");
	copy(DATA "rfc7515-a2.key.pem", "open.pem");
	assert_int_equal(chmod(in_dir("open.pem"), 0640), 0);

	f = fopen(in_dir("plain.pem"), "re");
	assert_non_null(f);
	rsa = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	assert_non_null(rsa);
	write_key("pkcs8.pem", rsa, "correct horse");
	write_traditional("traditional.pem", rsa, "correct horse");
	write_key("small.pem", small, NULL);
	write_key("ec.pem", ec, NULL);
	write_key("ec-encrypted.pem", ec, "correct horse");
	write_cert("ec-cert.pem", ec);
	write_cert("expired.pem", rsa);

	/* Both in one file, as MSAL and others have it. */
	f = create("both.pem");
	(void)slurp(DATA "rfc7515-a2.cert.pem", text, sizeof(text));
	assert_true(fputs(text, f) >= 0);
	(void)slurp(DATA "rfc7515-a2.key.pem", text, sizeof(text));
	assert_true(fputs(text, f) >= 0);
	(void)fclose(f);
	/* The same key with one byte changed, and cut. */
	text[200] = text[200] == 'A' ? 'B' : 'A';
	text[400] = '*';
	write_string("damaged.pem", text);
	write_string("empty.pem", "");
	write_string("words.pem", "hello\n");
	write_text("binary.pem", "\x30\x82\x01\x00", 4);
	write_string("openssh.pem",
	    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
	    "b3BlbnNzaC1rZXktdjE=\n-----END OPENSSH PRIVATE KEY-----\n");
	write_string("cut-cert.pem", "-----BEGIN CERTIFICATE-----\nMIID\n"
				     "-----END CERTIFICATE-----\n");
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(small);
	EVP_PKEY_free(ec);
	return 0;
}

static inline int
teardown(void **unused)
{
	static const char *const names[] = { "plain.pem", "cert.pem",
		"open.pem", "pkcs8.pem", "traditional.pem", "small.pem",
		"ec.pem", "ec-encrypted.pem", "ec-cert.pem", "expired.pem",
		"both.pem", "damaged.pem", "empty.pem", "words.pem",
		"binary.pem", "openssh.pem", "cut-cert.pem", "other.pem" };

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_dir(names[i]));
	return rmdir(dir);
}

#endif
