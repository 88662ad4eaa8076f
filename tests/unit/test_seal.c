/* What is sealed opens with the same key and context, or not at all. */
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "seal.h"

#define TEXT	  "the quick brown fox"
#define TEXT_N	  (sizeof(TEXT) - 1)
#define CONTEXT	  "relay@contoso.example"
#define CONTEXT_N (sizeof(CONTEXT) - 1)

static char key_bytes[SEAL_KEY_BYTES] = "0123456789abcdef0123456789abcde";
static const struct secret key = { key_bytes, sizeof(key_bytes) };

static void
close_text(struct buf *b)
{
	struct diag d = DIAG_INIT;

	assert_int_equal(
	    seal_close(&key, CONTEXT, CONTEXT_N, TEXT, TEXT_N, b, &d), 0);
}

/* Nothing comes out, and the reason is one for the administrator. */
static void
check_shut(const struct secret *k, const char *context, size_t context_len,
    const char *sealed, size_t len)
{
	auto_buf struct buf out = BUF_INIT(1024);
	struct diag d = DIAG_INIT;

	/* So that what is there afterwards can be compared. */
	memset(buf_room(&out, 256), '-', 256);
	buf_adds(&out, "kept");
	assert_int_equal(
	    seal_open(k, context, context_len, sealed, len, &out, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_int_equal(out.len, 4);
	/* Not even behind the end. */
	assert_true(out.cap >= 4 + TEXT_N);
	assert_memory_not_equal(out.ptr + 4, TEXT, TEXT_N);
	assert_int_equal(ERR_peek_error(), 0);
}

static void
what_is_sealed_opens_again(void **unused)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 4096 };
	static char text[4096];

	(void)unused;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i / 2], context_len = i % 2 * CONTEXT_N;
		auto_buf struct buf b = BUF_INIT(8192), out = BUF_INIT(8192);
		struct diag d = DIAG_INIT;

		buf_adds(&b, "head");
		assert_int_equal(
		    seal_close(&key, CONTEXT, context_len, text, n, &b, &d), 0);
		assert_int_equal(b.len, 4 + n + SEAL_OVERHEAD);
		buf_adds(&out, "kept");
		assert_int_equal(seal_open(&key, CONTEXT, context_len,
				     b.ptr + 4, b.len - 4, &out, &d),
		    0);
		assert_int_equal(out.len, 4 + n);
		assert_memory_equal(out.ptr, "kept", 4);
		if (n > 0)
			assert_memory_equal(out.ptr + 4, text, n);
	}
}

static void
the_same_text_is_never_sealed_alike(void **unused)
{
	auto_buf struct buf a = BUF_INIT(256), b = BUF_INIT(256);

	(void)unused;
	close_text(&a);
	close_text(&b);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.ptr, b.ptr, 12);
	assert_memory_not_equal(a.ptr + 12, b.ptr + 12, TEXT_N);
}

static void
every_changed_bit_is_noticed(void **unused)
{
	auto_buf struct buf b = BUF_INIT(256);

	(void)unused;
	close_text(&b);
	for (size_t i = 0; i < b.len * 8; i++) {
		b.ptr[i / 8] = (char)(b.ptr[i / 8] ^ 1 << i % 8);
		check_shut(&key, CONTEXT, CONTEXT_N, b.ptr, b.len);
		b.ptr[i / 8] = (char)(b.ptr[i / 8] ^ 1 << i % 8);
	}
}

static void
no_byte_may_be_missing_or_too_many(void **unused)
{
	auto_buf struct buf b = BUF_INIT(256);

	(void)unused;
	close_text(&b);
	for (size_t n = 0; n < b.len; n++) {
		check_shut(&key, CONTEXT, CONTEXT_N, b.ptr, n);
		check_shut(&key, CONTEXT, CONTEXT_N, b.ptr + b.len - n, n);
	}
	buf_add(&b, "", 1);
	check_shut(&key, CONTEXT, CONTEXT_N, b.ptr, b.len);
}

static void
another_key_or_context_does_not_open(void **unused)
{
	auto_buf struct buf b = BUF_INIT(256);
	char bytes[SEAL_KEY_BYTES];
	struct secret other = { bytes, sizeof(bytes) };

	(void)unused;
	close_text(&b);
	for (size_t i = 0; i < sizeof(bytes) * 8; i++) {
		memcpy(bytes, key_bytes, sizeof(bytes));
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
		check_shut(&other, CONTEXT, CONTEXT_N, b.ptr, b.len);
	}
	check_shut(&key, CONTEXT, CONTEXT_N - 1, b.ptr, b.len);
	check_shut(&key, CONTEXT "x", CONTEXT_N + 1, b.ptr, b.len);
	check_shut(&key, "Relay@contoso.example", CONTEXT_N, b.ptr, b.len);
	check_shut(&key, NULL, 0, b.ptr, b.len);
}

static void
a_key_has_one_length(void **unused)
{
	struct secret s = { key_bytes, SEAL_KEY_BYTES - 1 }, none = SECRET_INIT;
	auto_buf struct buf b = BUF_INIT(256), out = BUF_INIT(256);
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(seal_close(&s, NULL, 0, TEXT, TEXT_N, &b, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_int_equal(seal_close(&none, NULL, 0, TEXT, TEXT_N, &b, &d), -1);
	assert_int_equal(b.len, 0);
	close_text(&out);
	check_shut(&s, CONTEXT, CONTEXT_N, out.ptr, out.len);
	check_shut(&none, CONTEXT, CONTEXT_N, out.ptr, out.len);
}

static void
a_full_buffer_is_no_memory(void **unused)
{
	auto_buf struct buf small = BUF_INIT(SEAL_OVERHEAD + TEXT_N - 1);
	auto_buf struct buf b = BUF_INIT(256), out = BUF_INIT(TEXT_N - 1);
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(
	    seal_close(&key, NULL, 0, TEXT, TEXT_N, &small, &d), -1);
	assert_int_equal(d.kind, DIAG_NOMEM);
	assert_int_equal(small.len, 0);
	close_text(&b);
	assert_int_equal(
	    seal_open(&key, CONTEXT, CONTEXT_N, b.ptr, b.len, &out, &d), -1);
	assert_int_equal(d.kind, DIAG_NOMEM);
}

/*
 * GCM specification, test case 14, plus a zero nonce in front: the layout is
 * nonce, ciphertext, tag, as in any other implementation.
 */
static void
the_layout_is_nonce_ciphertext_tag(void **unused)
{
	static const unsigned char sealed[44] = { [12] = 0xce,
		0xa7,
		0x40,
		0x3d,
		0x4d,
		0x60,
		0x6b,
		0x6e,
		0x07,
		0x4e,
		0xc5,
		0xd3,
		0xba,
		0xf3,
		0x9d,
		0x18,
		0xd0,
		0xd1,
		0xc8,
		0xa7,
		0x99,
		0x99,
		0x6b,
		0xf0,
		0x26,
		0x5b,
		0x98,
		0xb5,
		0xd4,
		0x8a,
		0xb9,
		0x19 };
	static char zeros[SEAL_KEY_BYTES];
	const struct secret zero = { zeros, sizeof(zeros) };
	auto_buf struct buf out = BUF_INIT(64);
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(
	    seal_open(&zero, NULL, 0, sealed, sizeof(sealed), &out, &d), 0);
	assert_int_equal(out.len, 16);
	assert_memory_equal(out.ptr, zeros, 16);
}

/*
 * What an implementation of RFC 7914 without OpenSSL says for these
 * parameters: whoever changes them cannot open what was sealed before.
 */
static void
a_passphrase_gives_the_same_key_for_ever(void **unused)
{
	static const unsigned char wanted[] = { 0x4c, 0x6b, 0xc9, 0x51, 0x45,
		0x35, 0x0a, 0x07, 0xe4, 0x00, 0x0e, 0x6b, 0x47, 0x51, 0x95,
		0xa0, 0xb9, 0xc7, 0x27, 0xc2, 0x5a, 0x05, 0x17, 0xbb, 0xc2,
		0xac, 0x76, 0xed, 0xc1, 0x0e, 0x42, 0x6c };
	unsigned char salt[SEAL_SALT_BYTES];
	char text[] = "correct horse";
	struct secret pass = { text, strlen(text) };
	auto_secret struct secret k = SECRET_INIT, other = SECRET_INIT;
	struct diag d = DIAG_INIT;

	(void)unused;
	for (size_t i = 0; i < sizeof(salt); i++)
		salt[i] = (unsigned char)i;
	assert_int_equal(seal_key_from_passphrase(&pass, salt, &k, &d), 0);
	assert_int_equal(k.len, SEAL_KEY_BYTES);
	assert_memory_equal(k.ptr, wanted, SEAL_KEY_BYTES);
	salt[15] ^= 1;
	assert_int_equal(seal_key_from_passphrase(&pass, salt, &other, &d), 0);
	assert_memory_not_equal(k.ptr, other.ptr, SEAL_KEY_BYTES);
}

static void
an_empty_passphrase_is_none(void **unused)
{
	unsigned char salt[SEAL_SALT_BYTES] = { 0 };
	struct secret none = SECRET_INIT;
	auto_secret struct secret k = SECRET_INIT;
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(seal_key_from_passphrase(&none, salt, &k, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_true(secret_empty(&k));
}

static void
random_bytes_differ(void **unused)
{
	unsigned char a[16] = { 0 }, b[16] = { 0 };
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(seal_random(a, sizeof(a), &d), 0);
	assert_int_equal(seal_random(b, sizeof(b), &d), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(seal_random(a, 0, &d), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_opens_again),
		cmocka_unit_test(the_same_text_is_never_sealed_alike),
		cmocka_unit_test(every_changed_bit_is_noticed),
		cmocka_unit_test(no_byte_may_be_missing_or_too_many),
		cmocka_unit_test(another_key_or_context_does_not_open),
		cmocka_unit_test(a_key_has_one_length),
		cmocka_unit_test(a_full_buffer_is_no_memory),
		cmocka_unit_test(the_layout_is_nonce_ciphertext_tag),
		cmocka_unit_test(a_passphrase_gives_the_same_key_for_ever),
		cmocka_unit_test(an_empty_passphrase_is_none),
		cmocka_unit_test(random_bytes_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
