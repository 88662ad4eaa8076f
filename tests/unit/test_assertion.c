/* Who a client is, signed; and certificates, as people leave them. */
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "assertion.h"
#include "buf.h"
#include "cleanup.h"
#include "form.h"
#include "json.h"
#include "key_files.h"

#define NOW 1790000000

static struct assertion_key *
key(void)
{
	struct diag d = DIAG_INIT;
	struct assertion_key *k =
	    assertion_key_load(in_dir("plain.pem"), NULL, "x", &d);

	assert_non_null(k);
	return k;
}

static const struct {
	const char *name, *file, *says, *of_key; /* NULL: of_key matches */
} cert_cases[] = {
	{ "alone", "cert.pem", NULL, "plain.pem" },
	{ "with its key", "both.pem", NULL, "both.pem" },
	{ "expired", "expired.pem", NULL, "pkcs8.pem" },
	{ "no file", "absent.pem", "there is no such file", NULL },
	{ "a key", "plain.pem", "has no certificate", NULL },
	{ "empty", "empty.pem", "has no certificate", NULL },
	{ "binary", "binary.pem", "openssl x509 -in", NULL },
	{ "cut", "cut-cert.pem", "the certificate is damaged", NULL },
};

static void
a_certificate_loads_or_the_file_and_the_remedy_are_named(void **unused)
{
	auto_secret struct secret pass = SECRET_INIT;

	(void)unused;
	assert_true(secret_set(&pass, "correct horse", 13));
	for (size_t i = 0; i < sizeof(cert_cases) / sizeof(cert_cases[0]);
	     i++) {
		struct diag d = DIAG_INIT;
		struct assertion_cert *c =
		    assertion_cert_load(in_dir(cert_cases[i].file), &d);
		struct assertion_key *k;

		print_message("certificate: %s\n", cert_cases[i].name);
		assert_int_equal(ERR_peek_error(), 0);
		if (cert_cases[i].says != NULL) {
			assert_null(c);
			assert_int_equal(d.kind, DIAG_CONFIG);
			assert_non_null(strstr(d.text, cert_cases[i].says));
			assert_non_null(strstr(d.text, cert_cases[i].file));
			continue;
		}
		assert_non_null(c);
		k = assertion_key_load(
		    in_dir(cert_cases[i].of_key), &pass, "x", &d);
		assert_non_null(k);
		assert_int_equal(assertion_cert_matches(c, k, &d), 0);
		assertion_key_free(&k);
		assertion_cert_free(&c);
		assert_null(c);
		assertion_cert_free(&c);
	}
}

static void
the_key_of_another_certificate_is_refused(void **unused)
{
	static const char *const certs[] = { "cert.pem", "ec-cert.pem" };
	EVP_PKEY *other = EVP_RSA_gen(2048);
	struct assertion_key *k;
	struct diag d = DIAG_INIT;

	(void)unused;
	write_key("other.pem", other, NULL);
	EVP_PKEY_free(other);
	k = assertion_key_load(in_dir("other.pem"), NULL, "x", &d);
	assert_non_null(k);
	for (size_t i = 0; i < 2; i++) {
		struct assertion_cert *c =
		    assertion_cert_load(in_dir(certs[i]), &d);

		assert_non_null(c);
		assert_int_equal(assertion_cert_matches(c, k, &d), -1);
		assert_int_equal(d.kind, DIAG_CONFIG);
		assert_non_null(strstr(d.text, certs[i]));
		assert_non_null(strstr(d.text, "of another certificate"));
		assert_int_equal(ERR_peek_error(), 0);
		assertion_cert_free(&c);
	}
	assertion_key_free(&k);
}

static void
a_certificate_tells_its_end_and_thumbprint(void **unused)
{
	struct diag d = DIAG_INIT;
	struct assertion_cert *c =
	    assertion_cert_load(DATA "rfc7515-a2.cert.pem", &d);
	char hex[41];

	(void)unused;
	assert_non_null(c);
	/* As openssl x509 -enddate -fingerprint -sha1 shows them. */
	assert_int_equal(assertion_cert_expires_at(c), 4948930482);
	assertion_cert_thumbprint(c, hex);
	assert_string_equal(hex, "390FFB9709DECC181DB65484F1DC69B01E4A59F1");
	assertion_cert_free(&c);
}

/* RFC 7515 appendix A.2. */
static void
the_rfc_s_example_is_reproduced_bit_for_bit(void **unused)
{
	struct assertion_key *k = key();
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(
	    assertion_sign(k, ASSERTION_RS256, "{\"alg\":\"RS256\"}",
		"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
		"\"http://example.com/is_root\":true}",
		&s, &d),
	    0);
	assert_int_equal(strlen(s.ptr), s.len);
	assert_string_equal(s.ptr,
	    "eyJhbGciOiJSUzI1NiJ9"
	    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
	    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
	    "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
	    "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
	    "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
	    "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
	    "p0igcN_IoypGlUPQGe77Rw");
	assertion_key_free(&k);
}

/* A part of a compact token, decoded and parsed. */
static struct json *
part(const struct secret *s, unsigned n)
{
	const char *from = s->ptr;
	auto_buf struct buf b = BUF_INIT(65536);
	struct json *j;

	for (unsigned i = 0; i < n; i++)
		from = strchr(from, '.') + 1;
	assert_true(base64_decode(&b, from, strcspn(from, ".")));
	j = json_read(b.ptr, b.len, 65536);
	assert_non_null(j);
	return j;
}

/* By OpenSSL's own verification, with the one length of salt. */
static void
check_signature(const struct secret *s, enum assertion_alg alg)
{
	FILE *f = fopen(in_dir("cert.pem"), "re");
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	const char *dot = strrchr(s->ptr, '.');
	auto_buf struct buf sig = BUF_INIT(65536);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;

	assert_non_null(x);
	(void)fclose(f);
	assert_true(base64_decode(&sig, dot + 1, strlen(dot + 1)));
	assert_int_equal(EVP_DigestVerifyInit(
			     md, &ctx, EVP_sha256(), NULL, X509_get0_pubkey(x)),
	    1);
	if (alg == ASSERTION_PS256) {
		assert_true(EVP_PKEY_CTX_set_rsa_padding(
				ctx, RSA_PKCS1_PSS_PADDING) > 0);
		assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32) > 0);
	}
	assert_int_equal(
	    EVP_DigestVerify(md, (const unsigned char *)sig.ptr, sig.len,
		(const unsigned char *)s->ptr, (size_t)(dot - s->ptr)),
	    1);
	EVP_MD_CTX_free(md);
	X509_free(x);
}

static void
check_client(enum assertion_alg alg, const char *alg_name)
{
	struct assertion_key *k = key();
	auto_secret struct secret s = SECRET_INIT, again = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct assertion_cert *c = assertion_cert_load(in_dir("cert.pem"), &d);
	struct json *header, *claims, *other;
	int64_t n;

	assert_non_null(c);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(assertion_client(k, c, alg, "app\"\\\n\x01",
				     "https://login.contoso.example/token", NOW,
				     i == 0 ? &s : &again, &d),
		    0);
	check_signature(&s, alg);

	header = part(&s, 0);
	assert_string_equal(json_str(header, "alg"), alg_name);
	assert_string_equal(json_str(header, "typ"), "JWT");
	/* openssl x509 -outform DER | openssl dgst -sha256 -binary | base64 */
	assert_string_equal(json_str(header, "x5t#S256"),
	    "hw5j6ZyyN7MpoX1bqdbJx8b_HqokrDFTb-r7qatY5Kk");
	if (alg == ASSERTION_RS256)
		assert_string_equal(
		    json_str(header, "x5t"), "OQ_7lwnezBgdtlSE8dxpsB5KWfE");
	else
		assert_null(json_str(header, "x5t"));

	claims = part(&s, 1);
	other = part(&again, 1);
	assert_string_equal(json_str(claims, "iss"), "app\"\\\n\x01");
	assert_string_equal(json_str(claims, "sub"), "app\"\\\n\x01");
	assert_string_equal(
	    json_str(claims, "aud"), "https://login.contoso.example/token");
	assert_true(json_int(claims, "nbf", &n) && n == NOW);
	assert_true(json_int(claims, "iat", &n) && n == NOW);
	assert_true(json_int(claims, "exp", &n) && n == NOW + 300);
	assert_int_equal(strlen(json_str(claims, "jti")), 36);
	assert_int_equal(json_str(claims, "jti")[14], '4');
	assert_string_not_equal(
	    json_str(claims, "jti"), json_str(other, "jti"));
	json_wipe(&header);
	json_wipe(&claims);
	json_wipe(&other);
	assertion_cert_free(&c);
	assertion_key_free(&k);
}

static void
a_client_says_who_it_is_and_signs_it(void **unused)
{
	(void)unused;
	check_client(ASSERTION_PS256, "PS256");
	check_client(ASSERTION_RS256, "RS256");
}

static void
a_service_account_speaks_for_a_mailbox(void **unused)
{
	struct assertion_key *k = key();
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct json *header, *claims;
	int64_t n;

	(void)unused;
	for (unsigned i = 0; i < 2; i++) {
		const char *kid = i == 0 ? "0123abcd" : NULL;

		assert_int_equal(
		    assertion_service_account(k, kid, "relay@project.example",
			"mail@example.com", "https://mail.google.com/",
			"https://oauth2.example/token", NOW, &s, &d),
		    0);
		check_signature(&s, ASSERTION_RS256);
		header = part(&s, 0);
		assert_string_equal(json_str(header, "alg"), "RS256");
		if (kid != NULL)
			assert_string_equal(json_str(header, "kid"), kid);
		else
			assert_null(json_str(header, "kid"));
		claims = part(&s, 1);
		assert_string_equal(
		    json_str(claims, "iss"), "relay@project.example");
		assert_string_equal(
		    json_str(claims, "sub"), "mail@example.com");
		assert_string_equal(
		    json_str(claims, "scope"), "https://mail.google.com/");
		assert_string_equal(
		    json_str(claims, "aud"), "https://oauth2.example/token");
		assert_true(json_int(claims, "iat", &n) && n == NOW);
		assert_true(json_int(claims, "exp", &n) && n == NOW + 300);
		json_wipe(&header);
		json_wipe(&claims);
	}
	assertion_key_free(&k);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_certificate_loads_or_the_file_and_the_remedy_are_named),
		cmocka_unit_test(the_key_of_another_certificate_is_refused),
		cmocka_unit_test(a_certificate_tells_its_end_and_thumbprint),
		cmocka_unit_test(the_rfc_s_example_is_reproduced_bit_for_bit),
		cmocka_unit_test(a_client_says_who_it_is_and_signs_it),
		cmocka_unit_test(a_service_account_speaks_for_a_mailbox),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
