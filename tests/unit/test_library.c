/* libmailtoken, asked as a program would, and an agent that answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAILTOKEN_VERSION "1.2.3"
#include "../../library/mailtoken.c"
#include "fake_agent.h"

#define BOX "relay@example.com"

static void
a_token_and_what_is_made_of_it(void **unused)
{
	static const char answer[] = FAKE_GET "ya29.x\n\n";
	static const char xoauth2[] =
	    "user=" BOX "\001auth=Bearer ya29.x\001\001";
	static const char bearer[] = "n,a=" BOX ",\001host=h.example.com"
				     "\001port=993\001auth=Bearer ya29.x"
				     "\001\001";
	struct fake_agent agent;
	struct mailtoken *m;
	const char *out;
	size_t n = 0;

	(void)unused;
	fake_agent_start(&agent, FAKE_AT_ONCE, answer, sizeof(answer) - 1);
	m = mailtoken_new(agent.path, 1000);
	assert_non_null(m);
	assert_null(mailtoken_token(m));
	assert_int_equal(
	    mailtoken_get(m, BOX, "imap", "h.example.com", "a@example.com"),
	    MAILTOKEN_OK);
	assert_string_equal(fake_agent_heard(&agent),
	    "version=1\nop=get\naccount=" BOX "\nservice=imap\n"
	    "host=h.example.com\nuser=a@example.com\n\n");
	assert_string_equal(mailtoken_token(m), "ya29.x");
	assert_int_equal(mailtoken_expires_at(m), 1790000000);
	assert_string_equal(mailtoken_text(m), "");

	out = mailtoken_response(m, "XOAUTH2", BOX, NULL, 0, &n);
	assert_int_equal(n, sizeof(xoauth2) - 1);
	assert_memory_equal(out, xoauth2, n);
	out =
	    mailtoken_response(m, "OAUTHBEARER", BOX, "h.example.com", 993, &n);
	assert_int_equal(n, sizeof(bearer) - 1);
	assert_memory_equal(out, bearer, n);
	assert_null(mailtoken_response(m, "PLAIN", BOX, NULL, 0, &n));
	assert_non_null(strstr(mailtoken_text(m), "OAUTHBEARER"));
	assert_null(mailtoken_response(m, "XOAUTH2", "", NULL, 0, &n));
	assert_string_equal(mailtoken_text(m), "the user name is empty");

	assert_int_equal(mailtoken_reject(m, "NO, that"), MAILTOKEN_OK);
	assert_string_equal(fake_agent_heard(&agent),
	    "version=1\nop=reject\naccount=" BOX "\nservice=imap\n"
	    "host=h.example.com\nuser=a@example.com\ngeneration=7\n"
	    "reason=NO, that\n\n");
	mailtoken_free(m);
	fake_agent_stop(&agent);
}

static void
failures(void **unused)
{
	static const struct {
		const char *kind;
		enum mailtoken_result result;
	} kinds[] = {
		{ "retry", MAILTOKEN_RETRY },
		{ "reauth", MAILTOKEN_REAUTH },
		{ "config", MAILTOKEN_CONFIG },
		{ "denied", MAILTOKEN_DENIED },
		{ "proto", MAILTOKEN_PROTO },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char answer[120];
		struct fake_agent agent;
		struct mailtoken *m;

		(void)snprintf(answer, sizeof(answer),
		    "version=1\nstatus=error\nkind=%s\ntext=" BOX
		    ": what to do\n\n",
		    kinds[i].kind);
		fake_agent_start(&agent, FAKE_AT_ONCE, answer, strlen(answer));
		m = mailtoken_new(agent.path, 1000);
		assert_int_equal(
		    mailtoken_get(m, BOX, NULL, NULL, NULL), kinds[i].result);
		assert_string_equal(mailtoken_text(m), BOX ": what to do");
		assert_null(mailtoken_token(m));
		assert_int_equal(mailtoken_expires_at(m), 0);
		assert_int_equal(mailtoken_reject(m, NULL), MAILTOKEN_CONFIG);
		mailtoken_free(m);
		fake_agent_stop(&agent);
	}
}

static void
misuse(void **unused)
{
	struct mailtoken *m = mailtoken_new("/nonexistent/agent.sock", 0);
	char name[300];
	size_t n = 0;

	(void)unused;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(
	    mailtoken_get(m, BOX, NULL, NULL, NULL), MAILTOKEN_RETRY);
	assert_int_equal(
	    mailtoken_get(m, NULL, NULL, NULL, NULL), MAILTOKEN_CONFIG);
	assert_int_equal(
	    mailtoken_get(m, name, NULL, NULL, NULL), MAILTOKEN_CONFIG);
	assert_int_equal(
	    mailtoken_get(m, "a b", NULL, NULL, NULL), MAILTOKEN_CONFIG);
	assert_null(mailtoken_response(m, "XOAUTH2", BOX, NULL, 0, &n));
	assert_string_equal(mailtoken_text(m), "the access token is empty");
	assert_string_equal(mailtoken_text(NULL), "out of memory");
	assert_string_equal(mailtoken_version(), "1.2.3");
	mailtoken_free(m);
	mailtoken_free(NULL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_and_what_is_made_of_it),
		cmocka_unit_test(failures),
		cmocka_unit_test(misuse),
	};

	return cmocka_run_group_tests_name("library", tests, NULL, NULL);
}
