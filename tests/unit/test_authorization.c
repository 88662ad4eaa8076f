/* URLs for the browser, and redirects that come back: ours and others'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authorization.h"
#include "cleanup.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

static bool
set(struct secret *s, const char *text)
{
	return secret_set(s, text, strlen(text));
}

/* RFC 7636 appendix B. */
#define VERIFIER  "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

static void
challenges_as_appendix_b(void **unused)
{
	auto_secret struct secret v = SECRET_INIT, c = SECRET_INIT;

	(void)unused;
	assert_true(set(&v, VERIFIER));
	assert_true(authorization_challenge(&v, &c));
	assert_string_equal(c.ptr, CHALLENGE);
}

/* RFC 7636 section 4.1: 43 to 128 unreserved characters. */
static void
check_word(const struct secret *s)
{
	assert_int_equal(s->len, 43);
	assert_int_equal(
	    strspn(s->ptr, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			   "abcdefghijklmnopqrstuvwxyz0123456789-_"),
	    43);
}

static void
every_login_is_another(void **unused)
{
	auto_authorization struct authorization a = AUTHORIZATION_INIT;
	auto_authorization struct authorization b = AUTHORIZATION_INIT;
	struct diag why = DIAG_INIT;

	(void)unused;
	assert_int_equal(authorization_init(&a, &why), 0);
	assert_int_equal(authorization_init(&b, &why), 0);
	check_word(&a.verifier);
	check_word(&a.state);
	assert_string_not_equal(a.verifier.ptr, a.state.ptr);
	assert_string_not_equal(a.verifier.ptr, b.verifier.ptr);
	assert_string_not_equal(a.state.ptr, b.state.ptr);
}

#define COMMON(id, scope)                                             \
	"client_id=" id "&response_type=code&response_mode=query"     \
	"&redirect_uri=http%3A%2F%2Flocalhost%3A8400%2F&scope=" scope \
	"&state=the-state&code_challenge=" CHALLENGE                  \
	"&code_challenge_method=S256"

static const struct {
	const char *name, *provider, *account, *scope, *endpoint, *url;
} urls[] = {
	{ "Microsoft", "microsoft", "relay@contoso.example",
	    "https://outlook.office.com/SMTP.Send offline_access",
	    "https://login.example.com/t/authorize",
	    "https://login.example.com/t/authorize?" COMMON("id-1",
		"https%3A%2F%2Foutlook.office.com%2FSMTP.Send+offline_access") "&prompt=select_account&login_hint=relay%40contoso.example" },
	{ "a name that is no mailbox", "outlook.com", "relay", "s",
	    "https://login.example.com/authorize",
	    "https://login.example.com/authorize?" COMMON(
		"id-1", "s") "&prompt=select_account" },
	{ "Google", "google", "a@example.com", "s", "https://g.example.com/a",
	    "https://g.example.com/a?" COMMON(
		"id-1", "s") "&access_type=offline&prompt=consent"
			     "&login_hint=a%40example.com" },
	{ "others, offline", "custom", "x", "openid offline_access",
	    "https://i.example.com/a",
	    "https://i.example.com/a?" COMMON(
		"id-1", "openid+offline_access") "&prompt=consent" },
	{ "others, not offline", "custom", "@x", "my_offline_access openid",
	    "https://i.example.com/a",
	    "https://i.example.com/a?" COMMON(
		"id-1", "my_offline_access+openid") },
	{ "an endpoint with a query", "custom", "x@", "s",
	    "https://i.example.com/a?p=policy",
	    "https://i.example.com/a?p=policy&" COMMON("id-1", "s") },
};

static void
asks_each_provider_in_its_way(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N(urls); i++) {
		auto_authorization struct authorization a = AUTHORIZATION_INIT;
		auto_secret struct secret url = SECRET_INIT;
		char id[] = "id-1";
		struct diag why = DIAG_INIT;
		struct account account = { .client_id = id,
			.name = (char *)(uintptr_t)urls[i].account,
			.provider = (char *)(uintptr_t)urls[i].provider,
			.scope = (char *)(uintptr_t)urls[i].scope };

		assert_true(set(&a.verifier, VERIFIER));
		assert_true(set(&a.state, "the-state"));
		assert_int_equal(
		    authorization_url(&a, &account, urls[i].endpoint,
			"http://localhost:8400/", &url, &why),
		    0);
		if (strcmp(url.ptr, urls[i].url) != 0)
			fail_msg(
			    "%s:\n%s\n%s", urls[i].name, url.ptr, urls[i].url);
	}
}

#define ISSUER "https://id.example.com"

static const struct {
	const char *name, *query;
	enum authorization_answer answer;
	enum diag_kind kind;
	const char *words; /* of the refusal; or the code */
} redirects[] = {
	{ "the code", "code=abc&state=the-state", AUTHORIZATION_CODE, DIAG_OK,
	    "abc" },
	{ "in any order, with more",
	    "session_state=x&state=the-state&code=a%2Bb+c&foo",
	    AUTHORIZATION_CODE, DIAG_OK, "a+b c" },
	{ "from the issuer",
	    "state=the-state&code=abc&iss=https%3A%2F%2Fid.example.com",
	    AUTHORIZATION_CODE, DIAG_OK, "abc" },
	{ "from another issuer",
	    "state=the-state&code=abc&iss=https%3A%2F%2Fevil.example.com",
	    AUTHORIZATION_REFUSED, DIAG_PROTO, "another issuer" },
	{ "nothing", "", AUTHORIZATION_STRANGER, DIAG_OK, "" },
	{ "no state", "code=abc", AUTHORIZATION_STRANGER, DIAG_OK, "" },
	{ "an empty state", "code=abc&state=", AUTHORIZATION_STRANGER, DIAG_OK,
	    "" },
	{ "half of the state", "code=abc&state=the-stat",
	    AUTHORIZATION_STRANGER, DIAG_OK, "" },
	{ "more than the state", "code=abc&state=the-statee",
	    AUTHORIZATION_STRANGER, DIAG_OK, "" },
	{ "another state", "code=abc&state=the-Ztate", AUTHORIZATION_STRANGER,
	    DIAG_OK, "" },
	{ "a stranger's error", "error=access_denied&state=the-Ztate",
	    AUTHORIZATION_STRANGER, DIAG_OK, "" },
	{ "the state twice", "state=the-state&code=abc&state=the-state",
	    AUTHORIZATION_STRANGER, DIAG_OK, "" },
	{ "the code twice", "state=the-state&code=abc&code=abd",
	    AUTHORIZATION_REFUSED, DIAG_PROTO, "twice" },
	{ "the issuer twice",
	    "state=the-state&code=abc&iss=" ISSUER "&iss=" ISSUER,
	    AUTHORIZATION_REFUSED, DIAG_PROTO, "twice" },
	{ "a code and an error", "state=the-state&code=abc&error=x",
	    AUTHORIZATION_REFUSED, DIAG_PROTO, "twice" },
	{ "neither", "state=the-state", AUTHORIZATION_REFUSED, DIAG_PROTO,
	    "none that helps" },
	{ "an empty code", "state=the-state&code=", AUTHORIZATION_REFUSED,
	    DIAG_PROTO, "none that helps" },
	{ "a code with a control character", "state=the-state&code=a%0Ab",
	    AUTHORIZATION_REFUSED, DIAG_PROTO, "none that helps" },
	{ "a NUL in the code", "state=the-state&code=a%00b",
	    AUTHORIZATION_REFUSED, DIAG_PROTO, "" },
	{ "a broken escape", "state=the-state&code=a%4", AUTHORIZATION_REFUSED,
	    DIAG_PROTO, "" },
	{ "declined", "state=the-state&error=access_denied",
	    AUTHORIZATION_REFUSED, DIAG_REAUTH, "access_denied" },
	{ "Microsoft's no, with words",
	    "error=access_denied&error_subcode=cancel&state=the-state"
	    "&error_description=AADSTS65004%3a+User+declined+to+consent",
	    AUTHORIZATION_REFUSED, DIAG_REAUTH, "65004" },
	{ "a scope that does not exist",
	    "state=the-state&error=invalid_scope&error_description=nope",
	    AUTHORIZATION_REFUSED, DIAG_CONFIG, "invalid_scope" },
	{ "a provider in trouble",
	    "state=the-state&error=temporarily_unavailable",
	    AUTHORIZATION_REFUSED, DIAG_RETRY, "temporarily_unavailable" },
	{ "two descriptions",
	    "state=the-state&error=x&error_description=a&error_description=b",
	    AUTHORIZATION_REFUSED, DIAG_PROTO, "twice" },
};

static void
check_redirect(size_t i)
{
	auto_authorization struct authorization a = AUTHORIZATION_INIT;
	auto_secret struct secret code = SECRET_INIT;
	char issuer[] = ISSUER;
	const struct account account = { .issuer = issuer };
	const char *name = redirects[i].name, *query = redirects[i].query;
	struct diag why = DIAG_INIT;
	enum authorization_answer got;

	assert_true(set(&a.state, "the-state"));
	got =
	    authorization_read(&a, &account, query, strlen(query), &code, &why);
	if (got != redirects[i].answer || why.kind != redirects[i].kind)
		fail_msg("%s: %d, %s", name, (int)got, why.text);
	if (got == AUTHORIZATION_CODE)
		assert_string_equal(code.ptr, redirects[i].words);
	else if (code.ptr != NULL ||
		 strstr(why.text, redirects[i].words) == NULL)
		fail_msg("%s: %s", name, why.text);
	/* Only the first that counts, counts; strangers do not. */
	assert_int_equal(a.answered, got != AUTHORIZATION_STRANGER);
	assert_int_equal(
	    authorization_read(&a, &account, query, strlen(query), &code, &why),
	    got == AUTHORIZATION_STRANGER ? AUTHORIZATION_STRANGER :
					    AUTHORIZATION_AGAIN);
}

static void
tells_ours_from_others(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N(redirects); i++)
		check_redirect(i);
}

static void
has_a_limit(void **unused)
{
	auto_authorization struct authorization a = AUTHORIZATION_INIT;
	auto_secret struct secret code = SECRET_INIT;
	const struct account account = { .issuer = NULL };
	static char query[AUTHORIZATION_QUERY_MAX + 2] =
	    "state=the-state&code=";
	struct diag why = DIAG_INIT;
	size_t n = strlen(query);

	(void)unused;
	memset(query + n, 'x', sizeof(query) - n);
	assert_true(set(&a.state, "the-state"));
	assert_int_equal(authorization_read(&a, &account, query,
			     AUTHORIZATION_QUERY_MAX + 1, &code, &why),
	    AUTHORIZATION_STRANGER);
	assert_int_equal(authorization_read(&a, &account, query,
			     AUTHORIZATION_QUERY_MAX, &code, &why),
	    AUTHORIZATION_CODE);
	assert_int_equal(authorization_read(&a, &account, NULL, 0, &code, &why),
	    AUTHORIZATION_STRANGER);
}

/* A login that was not begun has no state that anybody could know. */
static void
an_empty_state_matches_nothing(void **unused)
{
	auto_authorization struct authorization a = AUTHORIZATION_INIT;
	auto_secret struct secret code = SECRET_INIT;
	const struct account account = { .issuer = NULL };
	struct diag why = DIAG_INIT;

	(void)unused;
	assert_int_equal(
	    authorization_read(&a, &account, "state=&code=x", 13, &code, &why),
	    AUTHORIZATION_STRANGER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenges_as_appendix_b),
		cmocka_unit_test(every_login_is_another),
		cmocka_unit_test(asks_each_provider_in_its_way),
		cmocka_unit_test(tells_ours_from_others),
		cmocka_unit_test(has_a_limit),
		cmocka_unit_test(an_empty_state_matches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
