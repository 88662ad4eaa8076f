/* A provider that quotes the request in its error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "echo.h"

static const struct {
	const char *secret, *text, *shown;
} rows[] = {
	{ "", "nothing to hide", "nothing to hide" },
	{ "abc", "abc is no secret", "abc is no secret" },
	{ "pass", "your pass is wrong", "your *** is wrong" },
	{ "p4ssw0rd!", "p4ssw0rd!", "***" },
	{ "p4ssw0rd!", "a 'p4ssw0rd' is no p4sswor", "a '***' is no p4sswor" },
	{ "0123456789abcdef", "0123456789abcdef0123456789abcdef", "******" },
	{ "0123456789abcdef", "cut: 0123456789a", "cut: ***" },
	{ "0123456789abcdef", "x89abcdefy, 6789abcd", "x***y, ***" },
	{ "0123456789abcdef", "01234567", "***" },
	{ "0123456789abcdef", "0123456", "0123456" },
};

static void
parts_are_hidden(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_secret struct secret s = SECRET_INIT;
		struct diag d = DIAG_INIT;

		assert_true(
		    secret_set(&s, rows[i].secret, strlen(rows[i].secret)));
		(void)diag_set(&d, DIAG_CONFIG, "%s", rows[i].text);
		diag_hide(&d, s.ptr, s.len);
		assert_string_equal(d.text, rows[i].shown);
		assert_int_equal(d.kind, DIAG_CONFIG);
	}
}

static void
nothing_behind_the_end_is_left(void **state)
{
	struct diag d = DIAG_INIT;
	char secret[] = "0123456789abcdef";
	const struct secret s = { secret, strlen(secret) };

	(void)state;
	(void)diag_set(&d, DIAG_CONFIG, "%s", secret);
	diag_hide(&d, s.ptr, s.len);
	for (size_t i = strlen(d.text); i < sizeof(d.text); i++)
		assert_int_equal(d.text[i], '\0');
}

static void
echo(const struct oauth2_request *r, const char *text, const char *shown)
{
	struct diag d = DIAG_INIT;

	(void)diag_set(&d, DIAG_REAUTH, "%s", text);
	assert_int_equal(echo_hide_request(r, &d), -1);
	assert_string_equal(d.text, shown);
	assert_int_equal(d.kind, DIAG_REAUTH);
}

static void
a_form_is_known(void **state)
{
	struct oauth2_request r = OAUTH2_REQUEST_INIT;
	char secret[] = "s3cr3t+/ &=~", token[] = "rt-opaque-1";
	const struct secret s = { secret, strlen(secret) };
	const struct secret t = { token, strlen(token) };
	const struct oauth2_client c = { .id = "native-application",
		.secret = &s,
		.auth = CLIENT_AUTH_POST };
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(
	    oauth2_refresh_request(&c, "mail.send", &t, &r, &d), 0);
	echo(&r, "client_secret s3cr3t+/ &=~ is wrong",
	    "client_secret *** is wrong");
	echo(&r, "client_secret=s3cr3t%2B%2F+%26%3D%7E&scope=mail.send",
	    "client_secret=***&scope=mail.send");
	echo(&r, "rt-opaque-1 of native-application",
	    "*** of "
	    "native-application");
	oauth2_request_wipe(&r);
}

static void
basic_is_known(void **state)
{
	struct oauth2_request r = OAUTH2_REQUEST_INIT;
	char secret[] = "s3cr3t+/ &=~";
	const struct secret s = { secret, strlen(secret) };
	const struct oauth2_client c = {
		.id = "app", .secret = &s, .auth = CLIENT_AUTH_BASIC
	};
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(oauth2_credentials_request(&c, "mail", &r, &d), 0);
	echo(&r, "s3cr3t+/ &=~", "***");
	echo(&r, "s3cr3t%2B%2F+%26%3D%7E", "***");
	echo(&r, r.authorization.ptr, "Basic ***");
	echo(&r, "invalid_client: app", "invalid_client: app");
	oauth2_request_wipe(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_hidden),
		cmocka_unit_test(nothing_behind_the_end_is_left),
		cmocka_unit_test(a_form_is_known),
		cmocka_unit_test(basic_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
