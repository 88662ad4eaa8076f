/* The encodings of requests and tokens, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "form.h"
#include "json.h"

static void
check_text(const struct buf *b, const char *wanted)
{
	assert_false(b->failed);
	assert_int_equal(b->len, strlen(wanted));
	if (b->len > 0)
		assert_memory_equal(b->ptr, wanted, b->len);
}

static void
a_form_is_encoded(void **unused)
{
	auto_buf struct buf b = BUF_INIT(256);

	(void)unused;
	/* RFC 6749 appendix B's bytes, and a NUL. */
	form_add(&b, "client_id", " %&+\xc2\xa3\xe2\x82\xac", 9);
	form_add(&b, "empty", "", 0);
	form_add(&b, "nul", "a\0b", 3);
	form_add(&b, "plain", "Az09-._~*", 9);
	check_text(&b, "client_id=+%25%26%2B%C2%A3%E2%82%AC&empty=&nul=a%00b"
		       "&plain=Az09-._%7E%2A");
}

static const struct {
	const char *name, *form;
	int rc;
	const char *value; /* of "code" */
} get_cases[] = {
	{ "alone", "code=abc", 1, "abc" },
	{ "first", "code=abc&state=x", 1, "abc" },
	{ "last", "state=x&code=abc", 1, "abc" },
	{ "empty", "code=", 1, "" },
	{ "empty, followed", "code=&state=x", 1, "" },
	{ "escapes in both cases", "code=%2f%2Fa+b%3D", 1, "//a b=" },
	{ "an equals sign inside", "code=a=b", 1, "a=b" },
	{ "not there", "state=x", 0, NULL },
	{ "no value", "code", 0, NULL },
	{ "nothing at all", "", 0, NULL },
	{ "another key's end", "xcode=1", 0, NULL },
	{ "another key's beginning", "code2=1", 0, NULL },
	{ "another case", "Code=1", 0, NULL },
	{ "inside a value", "state=code=1", 0, NULL },
	{ "empty pairs", "&&code=1&&", 1, "1" },
	{ "twice", "code=1&code=2", -1, NULL },
	{ "twice the same", "code=1&code=1", -1, NULL },
	{ "half an escape", "code=a%2", -1, NULL },
	{ "an escape that is cut", "code=a%", -1, NULL },
	{ "an escape into the next pair", "code=%2&a=b", -1, NULL },
	{ "no hexadecimal", "code=%2g", -1, NULL },
	{ "control characters are no digits", "code=%\x12\x13", -1, NULL },
	{ "a NUL", "code=a%00b", -1, NULL },
};

static void
a_value_is_got_from_a_form(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(get_cases) / sizeof(get_cases[0]); i++) {
		auto_secret struct secret s = SECRET_INIT;
		const char *f = get_cases[i].form;

		print_message("form_get: %s\n", get_cases[i].name);
		assert_true(secret_set(&s, "before", 6));
		assert_int_equal(
		    form_get(f, strlen(f), "code", &s), get_cases[i].rc);
		assert_string_equal(s.ptr,
		    get_cases[i].rc == 1 ? get_cases[i].value : "before");
	}
}

static void
what_was_encoded_is_got_back(void **unused)
{
	auto_buf struct buf b = BUF_INIT(4096);
	auto_secret struct secret s = SECRET_INIT;
	char all[255];

	(void)unused;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)(i + 1);
	form_add(&b, "state", "x", 1);
	form_add(&b, "code", all, sizeof(all));
	assert_false(b.failed);
	assert_int_equal(form_get(b.ptr, b.len, "code", &s), 1);
	assert_int_equal(s.len, sizeof(all));
	assert_memory_equal(s.ptr, all, sizeof(all));
}

static const struct {
	const char *text, *base64, *base64url;
} rfc4648[] = {
	{ "", "", "" },
	{ "f", "Zg==", "Zg" },
	{ "fo", "Zm8=", "Zm8" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg==", "Zm9vYg" },
	{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xfe", "+//+", "-__-" },
};

static void
base64_is_as_rfc_4648_has_it(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(rfc4648) / sizeof(rfc4648[0]); i++) {
		const char *text = rfc4648[i].text;
		auto_buf struct buf b = BUF_INIT(64), u = BUF_INIT(64);
		auto_buf struct buf from_b = BUF_INIT(64),
				    from_u = BUF_INIT(64);

		base64_add(&b, text, strlen(text));
		check_text(&b, rfc4648[i].base64);
		base64url_add(&u, text, strlen(text));
		check_text(&u, rfc4648[i].base64url);
		assert_true(base64_decode(&from_b, b.ptr, b.len));
		check_text(&from_b, text);
		assert_true(base64_decode(&from_u, u.ptr, u.len));
		check_text(&from_u, text);
	}
}

/* Microsoft's documentation of certificate credentials. */
static void
x5t_is_the_thumbprint(void **unused)
{
	static const char sha1[] = "\x84\xe0\x5c\x1d\x98\xbc\xe3\xa5\x42\x1d"
				   "\x22\x5b\x14\x0b\x36\xe8\x6a\x3d\x55\x34";
	auto_buf struct buf b = BUF_INIT(64);

	(void)unused;
	base64url_add(&b, sha1, sizeof(sha1) - 1);
	check_text(&b, "hOBcHZi846VCHSJbFAs26Go9VTQ");
}

static void
what_is_no_base64_is_refused(void **unused)
{
	static const char *const cases[] = { "Z", "Zm9vY", "Zm9v!", "Zm 9",
		"Zm9v\n", "Zg===", "=",
		"==", "Zg=", "Zm9v=", "Z=g=", "Zm\xc3\xa9" };

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_buf struct buf b = BUF_INIT(64);

		print_message("no base64: %zu\n", i);
		buf_adds(&b, "kept");
		assert_false(base64_decode(&b, cases[i], strlen(cases[i])));
		check_text(&b, "kept");
	}
}

static void
the_ceiling_holds(void **unused)
{
	auto_buf struct buf b = BUF_INIT(5);

	(void)unused;
	assert_false(base64_decode(&b, "Zm9vYmFy", 8));
	assert_true(b.failed);
	buf_wipe(&b);
	form_encode(&b, "\xff\xff", 2);
	assert_true(b.failed);
}

static void
a_json_string_is_what_it_says(void **unused)
{
	static const char text[] = "\"\\/\b\f\n\r\t\x01\x1f\x7f \xc3\xa9</x>";
	auto_buf struct buf b = BUF_INIT(256);
	struct json *j;

	(void)unused;
	buf_adds(&b, "{\"a\":");
	json_string_add(&b, text);
	buf_adds(&b, ",\"b\":");
	json_string_add(&b, "");
	buf_adds(&b, "}");
	j = json_read(b.ptr, b.len, 256);
	assert_non_null(j);
	assert_string_equal(json_str(j, "a"), text);
	assert_string_equal(json_str(j, "b"), "");
	json_wipe(&j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_form_is_encoded),
		cmocka_unit_test(a_value_is_got_from_a_form),
		cmocka_unit_test(what_was_encoded_is_got_back),
		cmocka_unit_test(base64_is_as_rfc_4648_has_it),
		cmocka_unit_test(x5t_is_the_thumbprint),
		cmocka_unit_test(what_is_no_base64_is_refused),
		cmocka_unit_test(the_ceiling_holds),
		cmocka_unit_test(a_json_string_is_what_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
