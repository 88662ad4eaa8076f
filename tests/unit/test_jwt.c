/* What a token says about itself, if it says anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "form.h"
#include "jwt.h"

/* RFC 7515 appendix A.2, and A.5 (alg none). */
#define HEADER "eyJhbGciOiJSUzI1NiJ9"
#define PAYLOAD                                                            \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt" \
	"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define NONE "eyJhbGciOiJub25lIn0"

static void
a_jwt_shows_its_claims_and_header(void **unused)
{
	static const char *const tokens[] = { HEADER "." PAYLOAD ".c2ln",
		NONE "." PAYLOAD "." };
	static const char *const algs[] = { "RS256", "none" };

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		struct json *claims = jwt_claims(tokens[i], strlen(tokens[i]));
		struct json *header = jwt_header(tokens[i], strlen(tokens[i]));
		int64_t n = 0;

		assert_non_null(claims);
		assert_non_null(header);
		assert_string_equal(json_str(claims, "iss"), "joe");
		assert_true(json_int(claims, "exp", &n));
		assert_int_equal(n, 1300819380);
		assert_string_equal(json_str(header, "alg"), algs[i]);
		json_wipe(&claims);
		json_wipe(&header);
	}
}

/* Microsoft: aud is a string, scp has blanks, roles is a list. */
static void
claims_of_every_form_are_there(void **unused)
{
	static const char text[] =
	    "{\"aud\":\"https://outlook.office365.com\",\"scp\":\"a b\","
	    "\"roles\":[\"SMTP.SendAsApp\",\"IMAP.AccessAsApp\"]}";
	auto_buf struct buf b = BUF_INIT(1024);
	struct json *j;

	(void)unused;
	buf_adds(&b, HEADER ".");
	base64url_add(&b, text, strlen(text));
	buf_adds(&b, ".c2ln");
	j = jwt_claims(b.ptr, b.len);
	assert_string_equal(
	    json_str(j, "aud"), "https://outlook.office365.com");
	assert_string_equal(json_str(j, "scp"), "a b");
	assert_string_equal(json_str_at(j, "roles", 1), "IMAP.AccessAsApp");
	json_wipe(&j);
}

static void
other_tokens_say_nothing(void **unused)
{
	static const char *const tokens[] = { "", ".", "..", "...",
		"EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA",
		"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
		"eyJhbGciOiJSUzI1NiJ9", HEADER "." PAYLOAD,
		"e30.e30.e30.e30.e30", /* encrypted */
		"!.!.c2ln", "W10.W10.c2ln", "bnVsbA.bnVsbA.c2ln",
		"eyJh.eyJh.c2ln" };

	(void)unused;
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		print_message("opaque: %zu\n", i);
		assert_null(jwt_claims(tokens[i], strlen(tokens[i])));
		assert_null(jwt_header(tokens[i], strlen(tokens[i])));
	}
}

static void
one_part_may_be_good_and_the_other_not(void **unused)
{
	struct json *j = jwt_header("e30.!.c2ln", 10);

	(void)unused;
	assert_non_null(j);
	json_wipe(&j);
	assert_null(jwt_claims("e30.!.c2ln", 10));
	j = jwt_claims("!.e30.c2ln", 10);
	assert_non_null(j);
	json_wipe(&j);
	assert_null(jwt_header("!.e30.c2ln", 10));
}

static void
a_token_has_a_limit(void **unused)
{
	static char big[JWT_MAX + 1];
	struct json *j;

	(void)unused;
	memset(big, 'a', sizeof(big));
	memcpy(big, "e30.e30.", 8);
	j = jwt_claims(big, JWT_MAX);
	assert_non_null(j);
	json_wipe(&j);
	assert_null(jwt_claims(big, JWT_MAX + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_jwt_shows_its_claims_and_header),
		cmocka_unit_test(claims_of_every_form_are_there),
		cmocka_unit_test(other_tokens_say_nothing),
		cmocka_unit_test(one_part_may_be_good_and_the_other_not),
		cmocka_unit_test(a_token_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
