/* Logins by the plugin: what it says to agents, servers and people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../sasl-plugin/ask.c"
#include "../../sasl-plugin/plugin.c"
#include "fake_agent.h"
#include "fake_host.h"

static const struct {
	const char *name;
	unsigned offers;
	const char *user, *authname, *pass;
	int rc;
	const char *response_user; /* rc is SASL_CONTINUE */
	const char *token;
	const char *request; /* part of what the agent heard; NULL: nothing */
	const char *error;
} logins[] = {
	{ "as Postfix", POSTFIX_, NULL, RELAY, "mailtoken:", SASL_CONTINUE,
	    RELAY, "ya29.x",
	    "op=get\naccount=" RELAY "\nservice=smtp\n"
	    "host=smtp.example.com\n\n",
	    NULL },
	{ "no password", NAME, NULL, RELAY, NULL, SASL_CONTINUE, RELAY,
	    "ya29.x", "account=" RELAY "\n", NULL },
	{ "password that is not there", ALL, NULL, RELAY, NULL, SASL_CONTINUE,
	    RELAY, "ya29.x", "account=" RELAY "\n", NULL },
	{ "empty password", ALL, "", RELAY, "", SASL_CONTINUE, RELAY, "ya29.x",
	    "account=" RELAY "\n", NULL },
	{ "shared mailbox by USER", ALL, BOX, RELAY, "", SASL_CONTINUE, BOX,
	    "ya29.x",
	    "account=" RELAY "\nservice=smtp\nhost=smtp.example.com\n"
	    "user=" BOX "\n",
	    NULL },
	{ "shared mailbox by password", POSTFIX_, NULL, BOX, "mailtoken:" RELAY,
	    SASL_CONTINUE, BOX, "ya29.x",
	    "account=" RELAY "\nservice=smtp\nhost=smtp.example.com\n"
	    "user=" BOX "\n",
	    NULL },
	{ "literal", ALL, NULL, RELAY, "ya29.lit", SASL_CONTINUE, RELAY,
	    "ya29.lit", NULL, NULL },
	{ "literal, odd user", ALL, NULL, "a b", "ya29.lit", SASL_CONTINUE,
	    "a b", "ya29.lit", NULL, NULL },
	{ "blanks around", POSTFIX_, NULL, "  " RELAY, "", SASL_CONTINUE, RELAY,
	    "ya29.x", "account=" RELAY "\n", NULL },
	{ "no AUTHNAME at all", OFFERED(ASK_PASS), NULL, NULL, "x", SASL_FAIL,
	    NULL, NULL, NULL, "SASL_CB_AUTHNAME" },
	{ "AUTHNAME without answer", ALL, BOX, NULL, "x", SASL_FAIL, NULL, NULL,
	    NULL, "SASL_CB_AUTHNAME" },
	{ "empty AUTHNAME", ALL, BOX, "", "x", SASL_FAIL, NULL, NULL, NULL,
	    "SASL_CB_AUTHNAME" },
	{ "user that is no account", POSTFIX_, NULL, "a b", "", SASL_FAIL, NULL,
	    NULL, NULL, "mailtoken:NAME" },
	{ "control character in the user", POSTFIX_, NULL, "a\001b", "lit",
	    SASL_FAIL, NULL, NULL, NULL, "control character" },
	{ "control character in the token", POSTFIX_, NULL, RELAY,
	    "sesame\001x", SASL_FAIL, NULL, NULL, NULL, "user " RELAY },
	{ "bad name in the password", POSTFIX_, NULL, RELAY,
	    "mailtoken:/sesame", SASL_FAIL, NULL, NULL, NULL, RELAY },
};

static void
check_login(size_t i, bool prompts, struct fake_agent *agent)
{
	char want[300];
	const char *out = NULL, *heard;
	unsigned len = 99;
	void *c;
	int rc;

	host_init(prompts ? 0 : logins[i].offers,
	    prompts ? logins[i].offers : 0, agent->path);
	host.text[ASK_USER] = logins[i].user;
	host.text[ASK_AUTHNAME] = logins[i].authname;
	host.text[ASK_PASS] = logins[i].pass;
	rc = start(&c, &out, &len);
	if (rc != logins[i].rc)
		fail_msg("%s: %d: %s", logins[i].name, rc, host.error);
	if (rc == SASL_CONTINUE) {
		(void)snprintf(want, sizeof(want),
		    "user=%s\001auth=Bearer %s\001\001",
		    logins[i].response_user, logins[i].token);
		assert_int_equal(len, strlen(want));
		assert_memory_equal(out, want, len);
		assert_string_equal(host.error, "");
	} else {
		assert_int_equal(len, 0);
		assert_non_null(strstr(host.error, logins[i].error));
		assert_memory_equal(host.error, "mailtoken: ", 11);
		assert_null(strstr(host.error, "sesame"));
	}
	if (logins[i].request != NULL) {
		heard = fake_agent_heard(agent);
		if (strstr(heard, logins[i].request) == NULL)
			fail_msg("%s: %s", logins[i].name, heard);
	}
	for (unsigned j = 0; j < ASK__COUNT; j++)
		assert_true(host.asked[j] <= 1);
	dispose(c);
}

static void
all_logins(void **unused)
{
	static const char answer[] = FAKE_GET "ya29.x\n\n";
	struct pollfd quiet = { .events = POLLIN };
	struct fake_agent agent;

	(void)unused;
	fake_agent_start(&agent, FAKE_AT_ONCE, answer, strlen(answer));
	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++) {
		check_login(i, false, &agent);
		check_login(i, true, &agent);
	}
	quiet.fd = agent.heard;
	assert_int_equal(poll(&quiet, 1, 0), 0); /* nothing but the above */
	fake_agent_stop(&agent);
}

static void
kinds_become_codes(void **unused)
{
	static const struct {
		const char *kind;
		int rc;
	} kinds[] = {
		{ "retry", SASL_UNAVAIL },
		{ "reauth", SASL_BADAUTH },
		{ "config", SASL_FAIL },
		{ "denied", SASL_FAIL },
		{ "proto", SASL_FAIL },
		{ "later", SASL_UNAVAIL },
	};
	const char *out;
	unsigned len;
	void *c;

	(void)unused;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct fake_agent agent;
		char answer[200];

		(void)snprintf(answer, sizeof(answer),
		    "version=1\nstatus=error\nkind=%s\ntext=" RELAY
		    ": what to do\n\n",
		    kinds[i].kind);
		fake_agent_start(&agent, FAKE_AT_ONCE, answer, strlen(answer));
		host_init(NAME, 0, agent.path);
		host.text[ASK_AUTHNAME] = RELAY;
		assert_int_equal(start(&c, &out, &len), kinds[i].rc);
		assert_string_equal(
		    host.error, "mailtoken: " RELAY ": what to do");
		fake_agent_stop(&agent);
		dispose(c);
	}
	host_init(NAME, 0, "/nonexistent");
	host.text[ASK_AUTHNAME] = RELAY;
	assert_int_equal(start(&c, &out, &len), SASL_UNAVAIL);
	assert_string_equal(host.error,
	    "mailtoken: account " RELAY
	    ": the agent does not answer at /nonexistent: "
	    "No such file or directory: start mailtokend");
	dispose(c);
}

static void
the_second_step(void **unused)
{
	static const char answer[] = FAKE_GET "ya29.x\n\n";
	static const struct {
		const char *pass, *challenge;
		unsigned len;
		bool rejects;
		const char *error;
	} steps[] = {
		{ "", NULL, 0, false, "" },
		{ "", "", 0, false, "" },
		{ "", NULL, 7, false, "" }, /* a host's mistake */
		{ "", "{\"status\":\"401\"}\n", 17, true,
		    "mailtoken: server refused the token for " RELAY
		    ": {\"status\":\"401\"}" },
		{ "lit", "{}", 2, false,
		    "mailtoken: server refused the token for " BOX ": {}: a "
		    "password may have been taken for a token, write "
		    "mailtoken: to have the agent's" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		sasl_interact_t *need = NULL;
		struct fake_agent agent;
		const char *out;
		unsigned len;
		void *c;

		fake_agent_start(&agent, FAKE_AT_ONCE, answer, strlen(answer));
		host_init(ALL, 0, agent.path);
		host.text[ASK_USER] = BOX;
		host.text[ASK_AUTHNAME] = RELAY;
		host.text[ASK_PASS] = steps[i].pass;
		assert_int_equal(start(&c, &out, &len), SASL_CONTINUE);
		assert_int_equal(oparams.doneflag, 0);
		if (*steps[i].pass == '\0')
			(void)fake_agent_heard(&agent);
		len = 99;
		assert_int_equal(plug->mech_step(c, &params, steps[i].challenge,
				     steps[i].len, &need, &out, &len, &oparams),
		    SASL_OK);
		assert_int_equal(len, 0);
		assert_string_equal(out, "");
		assert_int_equal(oparams.doneflag, 1);
		assert_int_equal(oparams.mech_ssf, 0);
		assert_string_equal(host.error, steps[i].error);
		if (steps[i].rejects)
			assert_string_equal(fake_agent_heard(&agent),
			    "version=1\nop=reject\naccount=" RELAY
			    "\nservice=smtp\nhost=smtp.example.com\nuser=" BOX
			    "\ngeneration=7\nreason={\"status\":\"401\"}\n\n");
		/* And a third one is nobody's. */
		assert_int_equal(plug->mech_step(c, &params, "x", 1, &need,
				     &out, &len, &oparams),
		    SASL_FAIL);
		assert_int_equal(len, 0);
		fake_agent_stop(&agent);
		dispose(c);
	}
}

/* RFC 7628: where the client thinks it is, and ^A to the server's error. */
static void
the_other_mechanism(void **unused)
{
	static const struct {
		const char *remote, *port;
	} places[] = {
		{ "192.0.2.1;587", "\001port=587" },
		{ "2001:db8::1;143", "\001port=143" },
		{ NULL, "" },
		{ "192.0.2.1", "" },
		{ "192.0.2.1;", "" },
		{ "192.0.2.1;65536", "" },
	};
	static const char challenge[] = "{\"status\":\"invalid_token\"}";

	(void)unused;
	plug = &plugs[1];
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char want[200];
		const char *out;
		unsigned len;
		void *c;

		host_init(ALL, 0, "/nonexistent");
		params.ipremoteport = places[i].remote;
		host.text[ASK_AUTHNAME] = "a=b,c@example.com";
		host.text[ASK_PASS] = "lit";
		assert_int_equal(start(&c, &out, &len), SASL_CONTINUE);
		(void)snprintf(want, sizeof(want),
		    "n,a=a=3Db=2Cc@example.com,\001host=smtp.example.com%s"
		    "\001auth=Bearer lit\001\001",
		    places[i].port);
		assert_int_equal(len, strlen(want));
		assert_memory_equal(out, want, len);
		assert_int_equal(
		    plug->mech_step(c, &params, challenge,
			sizeof(challenge) - 1, NULL, &out, &len, &oparams),
		    SASL_OK);
		assert_int_equal(len, 1);
		assert_memory_equal(out, "\001", 1);
		assert_true(oparams.doneflag);
		assert_non_null(strstr(host.error, "invalid_token"));
		dispose(c);
	}
	plug = &plugs[0];
}

static void
services(void **unused)
{
	(void)unused;
	assert_string_equal(service_name("smtp"), "smtp");
	assert_string_equal(service_name("imap"), "imap");
	assert_string_equal(service_name("pop"), "pop");
	assert_string_equal(service_name("pop3"), "pop");
	assert_null(service_name("ldap"));
	assert_null(service_name(""));
	assert_null(service_name(NULL));
}

#if !defined(__SANITIZE_ADDRESS__)
/* How often the text stands in the heap. */
static int
count_in_heap(const char *text, size_t n)
{
	char line[512];
	unsigned long from = 0, to = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	int count = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, "[heap]") != NULL)
			(void)sscanf(line, "%lx-%lx", &from, &to);
	(void)fclose(f);
	for (const char *at = (const char *)from;
	     (at = memmem(at, to - (unsigned long)at, text, n)) != NULL; at++)
		count++;
	return count;
}

static void
nothing_stays_in_memory(void **unused)
{
	static const char answer[] = FAKE_GET "Uaq4cOk9Ahm1iePh.tok\n\n";
	static const char *const passwords[] = { "", "Uaq4cOk9Ahm1iePh.tok" };

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		const char *token = "Uaq4cOk9Ahm1iePh.tok", *out;
		struct fake_agent agent;
		unsigned len;
		void *c;

		fake_agent_start(&agent, FAKE_AT_ONCE, answer, strlen(answer));
		host_init(POSTFIX_, 0, agent.path);
		host.text[ASK_AUTHNAME] = RELAY;
		host.text[ASK_PASS] = passwords[i];
		assert_int_equal(start(&c, &out, &len), SASL_CONTINUE);
		/* The host's copy is not our business. */
		if (host_secret != NULL)
			explicit_bzero(host_secret->data, host_secret->len);
		assert_true(count_in_heap(token + 2, 10) >= 1);
		dispose(c);
		assert_int_equal(count_in_heap(token + 2, 10), 0);
		fake_agent_stop(&agent);
	}
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_logins),
		cmocka_unit_test(kinds_become_codes),
		cmocka_unit_test(the_second_step),
		cmocka_unit_test(the_other_mechanism),
		cmocka_unit_test(services),
#if !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(nothing_stays_in_memory),
#endif
	};

	plug = plugs;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
