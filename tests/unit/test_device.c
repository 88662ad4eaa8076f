/* RFC 8628 as tables: the first answer, then what polling hears, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

#define T0 INT64_C(1000000)

/* Section 3.2's example. */
static const char rfc[] =
    "{\"device_code\":\"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS\","
    "\"user_code\":\"WDJB-MJHT\","
    "\"verification_uri\":\"https://example.com/device\","
    "\"verification_uri_complete\":"
    "\"https://example.com/device?user_code=WDJB-MJHT\","
    "\"expires_in\":1800,\"interval\":5}";
#define TOKENS                                               \
	"{\"access_token\":\"at\",\"refresh_token\":\"rt\"," \
	"\"token_type\":\"Bearer\",\"expires_in\":3600}"
#define ERROR(word) "{\"error\":\"" word "\"}"
/* The members that must be there, and one more. */
#define ANSWER(more)                                      \
	"{\"device_code\":\"dc\",\"user_code\":\"UC-1\"," \
	"\"verification_uri\":\"https://example.com/d\"" more "}"

static int
start(struct device *d, long status, const char *body, bool http,
    struct diag *why)
{
	return device_start(d, status, 0, body, strlen(body), http, T0, why);
}

static void
shows_what_the_rfc_shows(void **unused)
{
	struct device d = { .state = DEVICE_FAILED };
	struct diag why = DIAG_INIT;

	(void)unused;
	assert_int_equal(start(&d, 200, rfc, false, &why), 0);
	assert_int_equal(d.state, DEVICE_WAITING);
	assert_string_equal(d.user_code, "WDJB-MJHT");
	assert_string_equal(d.uri, "https://example.com/device");
	assert_string_equal(
	    d.uri_complete, "https://example.com/device?user_code=WDJB-MJHT");
	assert_string_equal(
	    d.code.ptr, "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS");
	assert_int_equal(device_due_ms(&d), T0 + 5000);
	assert_int_equal(d.end_ms, T0 + 1800 * 1000);
	device_wipe(&d);
	assert_null(d.code.ptr);
}

static const struct {
	const char *name, *body;
	bool http;
	int64_t interval_ms, life_ms;
	const char *complete;
} good[] = {
	{ "no interval, no life", ANSWER(""), false, 5000, 900000, "" },
	{ "numbers as strings",
	    ANSWER(",\"interval\":\"7\",\"expires_in\":\"60\""), false, 7000,
	    60000, "" },
	{ "an interval of nothing", ANSWER(",\"interval\":0"), false, 1000,
	    900000, "" },
	{ "a negative interval", ANSWER(",\"interval\":-5"), false, 1000,
	    900000, "" },
	{ "an interval of days", ANSWER(",\"interval\":99999"), false, 60000,
	    900000, "" },
	{ "a life of years", ANSWER(",\"expires_in\":99999999999"), false, 5000,
	    3600000, "" },
	{ "a dead code", ANSWER(",\"expires_in\":0"), false, 5000, 1000, "" },
	{ "a complete URI that is none",
	    ANSWER(",\"verification_uri_complete\":\"javascript:alert(1)\""),
	    false, 5000, 900000, "" },
	{ "loopback, in tests",
	    "{\"device_code\":\"dc\",\"user_code\":\"UC-1\","
	    "\"verification_uri\":\"http://127.0.0.1:80/d\"}",
	    true, 5000, 900000, "" },
	{ "Google's name for it",
	    "{\"device_code\":\"dc\",\"user_code\":\"UC-1\","
	    "\"verification_url\":\"https://example.com/d\"}",
	    false, 5000, 900000, "" },
};

static void
takes_what_can_be_shown(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N(good); i++) {
		struct device d = { .state = DEVICE_FAILED };
		struct diag why = DIAG_INIT;

		if (start(&d, 200, good[i].body, good[i].http, &why) < 0)
			fail_msg("%s: %s", good[i].name, why.text);
		if (d.interval_ms != good[i].interval_ms ||
		    d.end_ms - T0 != good[i].life_ms ||
		    strcmp(d.uri_complete, good[i].complete) != 0)
			fail_msg("%s: %lld %lld %s", good[i].name,
			    (long long)d.interval_ms,
			    (long long)(d.end_ms - T0), d.uri_complete);
		device_wipe(&d);
	}
}

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *name;
	long status;
	const char *body;
	bool http;
	enum diag_kind kind;
	const char *words;
} bad[] = {
	{ "nothing", 200, "", false, DIAG_RETRY, "nothing" },
	{ "a page", 200, "<html>", false, DIAG_RETRY, "not JSON" },
	{ "a server in trouble", 503, "", false, DIAG_RETRY, "503" },
	{ "no code", 200, "{}", false, DIAG_CONFIG, "no code" },
	{ "tokens", 200, TOKENS, false, DIAG_CONFIG, "no code" },
	{ "a client that is unknown", 401, ERROR("invalid_client"), false,
	    DIAG_CONFIG, "invalid_client" },
	{ "an error with 200", 200, ERROR("invalid_scope"), false, DIAG_CONFIG,
	    "invalid_scope" },
	{ "a URI that is not https", 200,
	    "{\"device_code\":\"d\",\"user_code\":\"u\","
	    "\"verification_uri\":\"http://example.com/\"}",
	    true, DIAG_CONFIG, "no page" },
	{ "loopback, not in tests", 200,
	    "{\"device_code\":\"d\",\"user_code\":\"u\","
	    "\"verification_uri\":\"http://127.0.0.1/\"}",
	    false, DIAG_CONFIG, "no page" },
	{ "a URI with an escape sequence", 200,
	    "{\"device_code\":\"d\",\"user_code\":\"u\","
	    "\"verification_uri\":\"https://example.com/\\u001b[2J\"}",
	    false, DIAG_CONFIG, "no page" },
	{ "a code with an escape sequence", 200,
	    "{\"device_code\":\"d\",\"user_code\":\"u\\u001b[2J\","
	    "\"verification_uri\":\"https://example.com/\"}",
	    false, DIAG_CONFIG, "no code" },
	{ "a code of two words", 200,
	    "{\"device_code\":\"d\",\"user_code\":\"u v\","
	    "\"verification_uri\":\"https://example.com/\"}",
	    false, DIAG_CONFIG, "no code" },
	{ "a code that nobody types", 200,
	    "{\"device_code\":\"d\",\"user_code\":\"" X64 "x\","
	    "\"verification_uri\":\"https://example.com/\"}",
	    false, DIAG_CONFIG, "no code" },
	{ "a URI that is too long", 200,
	    "{\"device_code\":\"d\",\"user_code\":\"u\","
	    "\"verification_uri\":\"https://example.com/" X64 X64 X64 X64 X64
		X64 X64 X64 "\"}",
	    false, DIAG_CONFIG, "no page" },
	{ "no device code", 200,
	    "{\"user_code\":\"u\",\"device_code\":\"\","
	    "\"verification_uri\":\"https://example.com/\"}",
	    false, DIAG_CONFIG, "no code" },
};

static void
refuses_what_cannot_be_shown(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N(bad); i++) {
		struct device d = { .state = DEVICE_FAILED };
		struct diag why = DIAG_INIT;

		if (start(&d, bad[i].status, bad[i].body, bad[i].http, &why) ==
		    0)
			fail_msg("%s: taken", bad[i].name);
		if (why.kind != bad[i].kind ||
		    strstr(why.text, bad[i].words) == NULL)
			fail_msg("%s: %s: %s", bad[i].name,
			    diag_kind_name(why.kind), why.text);
		assert_int_equal(d.state, DEVICE_FAILED);
		assert_null(d.code.ptr);
	}
}

/* One poll: what comes, and how long to wait then; 0: it has ended. */
struct poll {
	const char *body; /* NULL: no answer */
	long status;
	int64_t wait_ms;
};

#define PENDING                                           \
	{                                                 \
		ERROR("authorization_pending"), 400, 5000 \
	}

static const struct {
	const char *name;
	struct poll polls[6];
	enum device_state state;
	enum diag_kind kind;
	const char *words;
} stories[] = {
	{ "logged in at once", { { TOKENS, 200, 0 } }, DEVICE_DONE, DIAG_OK,
	    "" },
	{ "logged in later", { PENDING, PENDING, { TOKENS, 200, 0 } },
	    DEVICE_DONE, DIAG_OK, "" },
	{ "slower for good",
	    { { ERROR("slow_down"), 400, 10000 },
		{ ERROR("authorization_pending"), 400, 10000 },
		{ ERROR("slow_down"), 400, 15000 }, { TOKENS, 200, 0 } },
	    DEVICE_DONE, DIAG_OK, "" },
	{ "no answer: half as often",
	    { { NULL, 0, 10000 }, { NULL, 0, 20000 },
		{ ERROR("authorization_pending"), 400, 20000 },
		{ NULL, 0, 40000 }, { NULL, 0, 60000 }, { NULL, 0, 60000 } },
	    DEVICE_WAITING, DIAG_OK, "" },
	{ "a server in trouble",
	    { { "", 503, 10000 }, { "busy", 429, 20000 },
		{ ERROR("temporarily_unavailable"), 400, 40000 },
		{ TOKENS, 200, 0 } },
	    DEVICE_DONE, DIAG_OK, "" },
	{ "declined", { PENDING, { ERROR("access_denied"), 400, 0 } },
	    DEVICE_FAILED, DIAG_REAUTH, "declined" },
	{ "declined at Microsoft",
	    { { ERROR("authorization_declined"), 400, 0 } }, DEVICE_FAILED,
	    DIAG_REAUTH, "declined" },
	{ "expired there", { { ERROR("expired_token"), 400, 0 } },
	    DEVICE_FAILED, DIAG_REAUTH, "ran out" },
	{ "a code that is unknown",
	    { { ERROR("bad_verification_code"), 400, 0 } }, DEVICE_FAILED,
	    DIAG_REAUTH, "does not know" },
	{ "redeemed already", { { ERROR("invalid_grant"), 400, 0 } },
	    DEVICE_FAILED, DIAG_REAUTH, "invalid_grant" },
	{ "the application may not",
	    { { ERROR("unauthorized_client"), 400, 0 } }, DEVICE_FAILED,
	    DIAG_CONFIG, "unauthorized_client" },
	{ "an answer without a token", { { "{}", 200, 0 } }, DEVICE_FAILED,
	    DIAG_CONFIG, "without an access token" },
};

static void
poll_once(struct device *d, const struct poll *p, int64_t now,
    struct oauth2_tokens *t)
{
	struct diag why = DIAG_INIT;

	if (p->body != NULL) {
		device_answered(
		    d, now, p->status, 0, p->body, strlen(p->body), t);
		return;
	}
	(void)diag_set(&why, DIAG_RETRY, "time is up");
	device_unanswered(d, now, &why);
}

static void
tell(size_t i)
{
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	struct device d = { .state = DEVICE_FAILED };
	struct diag why = DIAG_INIT;
	int64_t now;

	assert_int_equal(start(&d, 200, rfc, false, &why), 0);
	for (const struct poll *p = stories[i].polls;
	     p < stories[i].polls + 6 && p->wait_ms + p->status != 0; p++) {
		now = device_due_ms(&d);
		assert_false(device_poll(&d, now - 1));
		assert_true(device_poll(&d, now));
		assert_false(device_poll(&d, now)); /* one at a time */
		poll_once(&d, p, now, &t);
		if (p->wait_ms != 0 && device_due_ms(&d) - now != p->wait_ms)
			fail_msg("%s: waits %lld ms", stories[i].name,
			    (long long)(device_due_ms(&d) - now));
	}
	if (d.state != stories[i].state || d.why.kind != stories[i].kind ||
	    strstr(d.why.text, stories[i].words) == NULL)
		fail_msg(
		    "%s: %d, %s", stories[i].name, (int)d.state, d.why.text);
	assert_int_equal(
	    d.state == DEVICE_DONE, !secret_empty(&t.refresh_token));
	/* One redemption: neither the code nor another poll is left. */
	assert_int_equal(d.state == DEVICE_WAITING, d.code.ptr != NULL);
	if (d.state != DEVICE_WAITING)
		assert_false(device_poll(&d, d.end_ms - 1));
	oauth2_tokens_wipe(&t);
	device_wipe(&d);
}

static void
polls_as_the_rfc_says(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N(stories); i++)
		tell(i);
}

static void
a_code_ends_by_our_clock(void **unused)
{
	struct device d = { .state = DEVICE_FAILED };
	struct diag why = DIAG_INIT;

	(void)unused;
	assert_int_equal(
	    start(&d, 200, ANSWER(",\"expires_in\":3"), false, &why), 0);
	assert_int_equal(device_due_ms(&d), T0 + 3000); /* not 5 seconds */
	assert_false(device_poll(&d, T0 + 3000));
	assert_int_equal(d.state, DEVICE_FAILED);
	assert_int_equal(d.why.kind, DIAG_REAUTH);
	assert_null(d.code.ptr);
}

static void
later_if_told_so(void **unused)
{
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	struct device d = { .state = DEVICE_FAILED };
	struct diag why = DIAG_INIT;

	(void)unused;
	assert_int_equal(start(&d, 200, rfc, false, &why), 0);
	assert_true(device_poll(&d, T0 + 5000));
	device_answered(&d, T0 + 5000, 429, 60, "", 0, &t);
	assert_int_equal(device_due_ms(&d), T0 + 65000);
	device_wipe(&d);
}

static void
a_certificate_that_is_not_trusted_ends_it(void **unused)
{
	struct device d = { .state = DEVICE_FAILED };
	struct diag why = DIAG_INIT;

	(void)unused;
	assert_int_equal(start(&d, 200, rfc, false, &why), 0);
	assert_true(device_poll(&d, T0 + 5000));
	(void)diag_set(&why, DIAG_CONFIG, "certificate");
	device_unanswered(&d, T0 + 5000, &why);
	assert_int_equal(d.state, DEVICE_FAILED);
	assert_string_equal(d.why.text, "certificate");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_what_the_rfc_shows),
		cmocka_unit_test(takes_what_can_be_shown),
		cmocka_unit_test(refuses_what_cannot_be_shown),
		cmocka_unit_test(polls_as_the_rfc_says),
		cmocka_unit_test(a_code_ends_by_our_clock),
		cmocka_unit_test(later_if_told_so),
		cmocka_unit_test(a_certificate_that_is_not_trusted_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
