#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_agent.h"
#include "token_source.h"

#define ACCOUNT "relay@example.com"
#define ERROR_	"version=1\nstatus=error\n"
#define PREFIX	"account " ACCOUNT ": "

static const struct token_query query = {
	.account = ACCOUNT,
	.service = "smtp",
	.host = "smtp.example.com",
	.user = "shared@example.com",
};

static const struct {
	const char *name;
	enum fake_manner manner;
	const char *answer;
	enum diag_kind kind; /* DIAG_OK: got "ya29.x" */
	int64_t retry_after_s;
	const char *text; /* part of the diag's */
} cases[] = {
	{ "a token", FAKE_AT_ONCE, FAKE_GET "ya29.x\n\n", DIAG_OK, 0, "" },
	{ "keys we do not know", FAKE_AT_ONCE,
	    FAKE_GET "ya29.x\nnew=1\nnewer=\n\n", DIAG_OK, 0, "" },
	{ "byte by byte", FAKE_BYTE_BY_BYTE, FAKE_GET "ya29.x\n\n", DIAG_OK, 0,
	    "" },
	{ "retry", FAKE_AT_ONCE,
	    ERROR_ "kind=retry\ntext=" ACCOUNT ": wait\nretry_after=30\n\n",
	    DIAG_RETRY, 30, ACCOUNT ": wait" },
	{ "reauth", FAKE_AT_ONCE, ERROR_ "kind=reauth\ntext=log in\n\n",
	    DIAG_REAUTH, 0, PREFIX "log in" },
	{ "config", FAKE_AT_ONCE, ERROR_ "kind=config\ntext=x\n\n", DIAG_CONFIG,
	    0, PREFIX "x" },
	{ "denied", FAKE_AT_ONCE, ERROR_ "kind=denied\ntext=x\n\n", DIAG_DENIED,
	    0, PREFIX "x" },
	{ "proto", FAKE_AT_ONCE, ERROR_ "kind=proto\ntext=x\n\n", DIAG_PROTO, 0,
	    PREFIX "x" },
	{ "answers, then hangs up unasked", FAKE_UNASKED,
	    ERROR_ "kind=retry\ntext=too many connections\n\n", DIAG_RETRY, 0,
	    "too many connections" },
	{ "unknown kind", FAKE_AT_ONCE, ERROR_ "kind=new\ntext=x\n\n",
	    DIAG_RETRY, 0, PREFIX "x" },
	{ "kind ok", FAKE_AT_ONCE, ERROR_ "kind=ok\ntext=x\n\n", DIAG_RETRY, 0,
	    PREFIX "x" },
	{ "no kind, no text", FAKE_AT_ONCE, ERROR_ "\n", DIAG_RETRY, 0,
	    "no reason" },
	{ "senseless retry_after", FAKE_AT_ONCE,
	    ERROR_ "kind=retry\ntext=x\nretry_after=-5\n\n", DIAG_RETRY, 0,
	    "x" },
	{ "another version", FAKE_AT_ONCE, "version=2\nstatus=ok\n\n",
	    DIAG_PROTO, 0, "version 1" },
	{ "no version", FAKE_AT_ONCE, "status=ok\n\n", DIAG_PROTO, 0,
	    "version 1" },
	{ "no status", FAKE_AT_ONCE, "version=1\n\n", DIAG_PROTO, 0,
	    "without a status" },
	{ "no token", FAKE_AT_ONCE,
	    "version=1\nstatus=ok\naccount=" ACCOUNT
	    "\ngeneration=1\nexpires_at=2\n\n",
	    DIAG_PROTO, 0, "lacks" },
	{ "empty token", FAKE_AT_ONCE, FAKE_GET "\n\n", DIAG_PROTO, 0,
	    "lacks" },
	{ "no generation", FAKE_AT_ONCE,
	    "version=1\nstatus=ok\naccount=" ACCOUNT
	    "\nexpires_at=2\ntoken=x\n\n",
	    DIAG_PROTO, 0, "lacks" },
	{ "another account's", FAKE_AT_ONCE,
	    "version=1\nstatus=ok\naccount=other\ngeneration=1\n"
	    "expires_at=2\ntoken=sesame\n\n",
	    DIAG_PROTO, 0, "lacks" },
	{ "two answers", FAKE_AT_ONCE,
	    FAKE_GET "ya29.x\n\n" FAKE_GET "ya29.x\n\n", DIAG_PROTO, 0,
	    "more than one" },
	{ "garbage", FAKE_AT_ONCE, "HTTP/1.0 400 Bad Request\r\n\r\n\n\n",
	    DIAG_PROTO, 0, "malformed" },
	{ "nothing at all", FAKE_AT_ONCE, "", DIAG_RETRY, 0,
	    "broke off twice without" },
	{ "half an answer", FAKE_AT_ONCE, FAKE_GET "ya29", DIAG_RETRY, 0,
	    "broke off without" },
	{ "silence", FAKE_SILENT, "", DIAG_RETRY, 0, "within 0.3 s" },
};

static void
answers(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_token struct token t = TOKEN_INIT;
		struct diag d = DIAG_INIT;
		struct token_agent a;
		struct fake_agent fake;
		int rc, fds = fake_count_fds();

		fake_agent_start(&fake, cases[i].manner, cases[i].answer,
		    strlen(cases[i].answer));
		token_agent_init(&a, fake.path, 300);
		rc = a.source.ops->get(&a.source, &query, &t, &d);
		fake_agent_stop(&fake);
		if (d.kind != cases[i].kind ||
		    rc != (d.kind == DIAG_OK ? 0 : -1))
			fail_msg("%s: rc %d, kind %d: %s", cases[i].name, rc,
			    d.kind, d.text);
		if (strstr(d.text, cases[i].text) == NULL)
			fail_msg("%s: %s", cases[i].name, d.text);
		if (rc < 0) {
			assert_non_null(strstr(d.text, ACCOUNT));
			assert_null(strstr(d.text, "sesame"));
			assert_null(t.value.ptr);
		} else {
			assert_string_equal(t.value.ptr, "ya29.x");
			assert_int_equal(t.generation, 7);
			assert_int_equal(t.expires_at, 1790000000);
		}
		assert_int_equal(d.retry_after_s, cases[i].retry_after_s);
		assert_int_equal(fake_count_fds(), fds);
	}
}

static void
requests(void **unused)
{
	static const char ok[] = FAKE_GET "ya29.x\n\n";
	auto_token struct token t = TOKEN_INIT;
	struct token_query plain = { .account = ACCOUNT };
	struct diag d = DIAG_INIT;
	struct token_agent a;
	struct fake_agent fake;
	char reason[300];

	(void)unused;
	fake_agent_start(&fake, FAKE_AT_ONCE, ok, strlen(ok));
	token_agent_init(&a, fake.path, 2000);
	assert_int_equal(a.source.ops->get(&a.source, &query, &t, &d), 0);
	assert_string_equal(fake_agent_heard(&fake),
	    "version=1\nop=get\naccount=" ACCOUNT "\nservice=smtp\n"
	    "host=smtp.example.com\nuser=shared@example.com\n\n");
	assert_int_equal(a.source.ops->get(&a.source, &plain, &t, &d), 0);
	assert_string_equal(fake_agent_heard(&fake),
	    "version=1\nop=get\naccount=" ACCOUNT "\n\n");
	assert_int_equal(
	    a.source.ops->reject(&a.source, &plain, &t, NULL, &d), 0);
	assert_string_equal(fake_agent_heard(&fake),
	    "version=1\nop=reject\naccount=" ACCOUNT "\ngeneration=7\n\n");

	assert_int_equal(
	    a.source.ops->reject(&a.source, &plain, &t, "no\r\n\xc3\xa4", &d),
	    0);
	assert_non_null(strstr(fake_agent_heard(&fake), "\nreason=no????\n\n"));
	memset(reason, 'r', sizeof(reason));
	reason[299] = '\0';
	assert_int_equal(
	    a.source.ops->reject(&a.source, &plain, &t, reason, &d), 0);
	reason[200] = '\0';
	assert_string_equal(
	    strstr(fake_agent_heard(&fake), "rrr") + 200, "\n\n");
	fake_agent_stop(&fake);
}

static void
queries_that_cannot_be_sent(void **unused)
{
	static char big[40000];
	const struct token_query bad[] = {
		{ .account = "" },
		{ .account = "../x" },
		{ .account = "a", .user = "u\nop=reload" },
		{ .account = "a", .host = "\x7f" },
		{ .account = "a", .user = big },
	};
	struct diag d = DIAG_INIT;
	struct token_agent a;

	(void)unused;
	memset(big, 'x', sizeof(big) - 1);
	token_agent_init(&a, "/nonexistent", 100);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_token struct token t = TOKEN_INIT;

		d.kind = DIAG_OK;
		assert_int_equal(
		    a.source.ops->get(&a.source, &bad[i], &t, &d), -1);
		assert_int_equal(d.kind, DIAG_CONFIG);
		d.kind = DIAG_OK;
		assert_int_equal(
		    a.source.ops->reject(&a.source, &bad[i], &t, "x", &d), -1);
		assert_int_equal(d.kind, DIAG_CONFIG);
	}
}

static void
large_tokens(void **unused)
{
	static const size_t sizes[] = { 16384, 24576, 32768 - 200, 32768 };

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		auto_token struct token t = TOKEN_INIT;
		struct diag d = DIAG_INIT;
		struct token_agent a;
		struct fake_agent fake;
		char *answer = malloc(40000);
		size_t n = strlen(FAKE_GET);
		int rc;

		assert_non_null(answer);
		memcpy(answer, FAKE_GET, n);
		memset(answer + n, 't', sizes[i]);
		memcpy(answer + n + sizes[i], "\n\n", 2);
		fake_agent_start(&fake, FAKE_AT_ONCE, answer, n + sizes[i] + 2);
		token_agent_init(&a, fake.path, 2000);
		rc = a.source.ops->get(&a.source, &query, &t, &d);
		fake_agent_stop(&fake);
		free(answer);
		if (sizes[i] < WIRE_MAX_BYTES) {
			assert_int_equal(rc, 0);
			assert_int_equal(t.value.len, sizes[i]);
		} else {
			assert_int_equal(d.kind, DIAG_PROTO);
			assert_non_null(strstr(d.text, "longer than"));
		}
	}
}

static int
count_messages(void *arg, const struct wire_msg *msg, struct diag *reterr)
{
	int *n = arg;

	if (wire_get(msg, "stop") != NULL)
		return diag_set(reterr, DIAG_CONFIG, "stopped");
	++*n;
	return 0;
}

static void
many_answers(void **unused)
{
	static const char one[] = "version=1\nstatus=ok\nmore=1\naccount=a\n\n";
	static const struct {
		const char *end;
		int rc;
		enum diag_kind kind;
	} ends[] = {
		{ "version=1\nstatus=ok\naccounts=900\n\n", 0, DIAG_OK },
		{ "version=1\nstatus=ok\nmore=1\nstop=1\n\n", -1, DIAG_CONFIG },
		{ "version=1\nstatus=error\nkind=denied\ntext=x\n\n", -1,
		    DIAG_DENIED },
		{ "", -1, DIAG_RETRY },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		auto_buf struct buf request = BUF_INIT(100),
				    all = BUF_INIT(99999);
		struct diag d = DIAG_INIT;
		struct fake_agent fake;
		struct token_agent a;
		int n = 0, rc;

		wire_put(&request, "op", "status");
		wire_end(&request);
		for (int j = 0; j < 900; j++)
			buf_adds(&all, one);
		buf_adds(&all, ends[i].end);
		fake_agent_start(&fake, FAKE_AT_ONCE, all.ptr, all.len);
		token_agent_init(&a, fake.path, 2000);
		rc = token_agent_ask_many(&a, &request, count_messages, &n, &d);
		fake_agent_stop(&fake);
		assert_int_equal(rc, ends[i].rc);
		assert_int_equal(d.kind, ends[i].kind);
		assert_int_equal(n, rc == 0 ? 901 : 900);
	}
}

/* How often it was asked, while it died. */
static int
count_requests(struct fake_agent *fake)
{
	int n = 0;

	for (const char *s = fake_agent_heard(fake);
	     (s = strstr(s, "\n\n")) != NULL; s += 2)
		n++;
	return n;
}

/* Whoever asks for what, twice is enough. */
static void
an_agent_that_dies(void **unused)
{
	static const char ok[] = FAKE_GET "ya29.x\n\n";
	static const char more[] = "version=1\nstatus=ok\nmore=1\n\n";
	auto_buf struct buf request = BUF_INIT(100);
	const struct token refused = { .generation = 7 };

	(void)unused;
	wire_put(&request, "op", "status");
	wire_end(&request);
	for (unsigned deaths = 0; deaths < 3; deaths++) {
		int rc = deaths < 2 ? 0 : -1, asked = deaths == 0 ? 1 : 2;
		int n = 0;
		struct diag d = DIAG_INIT;
		struct fake_agent fake;
		struct token_agent a;

		fake_agent_start_mortal(&fake, deaths, FAKE_DIES_READ,
		    FAKE_AT_ONCE, ok, strlen(ok));
		token_agent_init(&a, fake.path, 5000);
		assert_int_equal(
		    a.source.ops->reject(&a.source, &query, &refused, "no", &d),
		    rc);
		assert_int_equal(d.kind, rc < 0 ? DIAG_RETRY : DIAG_OK);
		assert_int_equal(count_requests(&fake), asked);
		fake_agent_stop(&fake);

		d = (struct diag)DIAG_INIT;
		fake_agent_start_mortal(&fake, deaths, FAKE_DIES_READ,
		    FAKE_AT_ONCE, ok, strlen(ok));
		token_agent_init(&a, fake.path, 5000);
		assert_int_equal(
		    token_agent_ask_many(&a, &request, count_messages, &n, &d),
		    rc);
		assert_int_equal(n, rc + 1);
		assert_int_equal(count_requests(&fake), asked);
		fake_agent_stop(&fake);

		/* Not for the rest: what has come has been told. */
		n = 0;
		d = (struct diag)DIAG_INIT;
		fake_agent_start(&fake, FAKE_AT_ONCE, more, strlen(more));
		token_agent_init(&a, fake.path, 5000);
		assert_int_equal(
		    token_agent_ask_many(&a, &request, count_messages, &n, &d),
		    -1);
		assert_int_equal(n, 1);
		assert_int_equal(count_requests(&fake), 1);
		fake_agent_stop(&fake);
	}
}

static void
passwords(void **unused)
{
	static const struct {
		const char *name, *password, *user, *account;
		bool literal;
		int rc;
	} forms[] = {
		{ "none", NULL, "a@example.com", "a@example.com", false, 0 },
		{ "empty", "", "a@example.com", "a@example.com", false, 0 },
		{ "bare", "mailtoken:", "a", "a", false, 0 },
		{ "named", "mailtoken:b", "a", "b", false, 0 },
		{ "named, odd user", "mailtoken:b", "a user", "b", false, 0 },
		{ "literal", "ya29.x", "a user", "", true, 0 },
		{ "almost", "mailtoken", "a", "", true, 0 },
		{ "capital", "Mailtoken:b", "a", "", true, 0 },
		{ "bad name", "mailtoken:../b", "a", "", false, -1 },
		{ "bad user", "", "a user", "", false, -1 },
		{ "bad user, bare", "mailtoken:", "a/b", "", false, -1 },
		{ "a domain's account", "mailtoken:*@contoso.example", "a",
		    "*@contoso.example", false, 0 },
		{ "a star alone", "mailtoken:*", "a", "", false, -1 },
		{ "a star before a name", "mailtoken:*a@b", "a", "", false,
		    -1 },
		{ "two domains", "mailtoken:*@a@b", "a", "", false, -1 },
	};
	char longest[300] = "mailtoken:";
	struct diag d = DIAG_INIT;
	struct token_ref ref;

	(void)unused;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const char *p = forms[i].password;
		int rc;

		d.kind = DIAG_OK;
		rc = token_ref_parse(
		    p, p != NULL ? strlen(p) : 0, forms[i].user, &ref, &d);
		if (rc != forms[i].rc || ref.literal != forms[i].literal ||
		    strcmp(ref.account, forms[i].account) != 0)
			fail_msg("%s: rc %d, account %s", forms[i].name, rc,
			    ref.account);
		assert_int_equal(d.kind, rc < 0 ? DIAG_CONFIG : DIAG_OK);
		if (rc < 0)
			assert_null(strstr(d.text, "../b"));
	}
	memset(longest + 10, 'n', 289);
	assert_int_equal(token_ref_parse(longest, 299, "a", &ref, &d), -1);
	assert_int_equal(token_ref_parse(longest, 210, "a", &ref, &d), 0);
	assert_int_equal(strlen(ref.account), 200);
	assert_int_equal(
	    token_ref_parse("mailtoken:a\0b", 13, "a", &ref, &d), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(requests),
		cmocka_unit_test(queries_that_cannot_be_sent),
		cmocka_unit_test(large_tokens),
		cmocka_unit_test(many_answers),
		cmocka_unit_test(an_agent_that_dies),
		cmocka_unit_test(passwords),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
