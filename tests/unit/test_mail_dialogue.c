/* What is made of what mail servers say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mail_dialogue.h"

/* Lines in order; those that we send begin with '>'. */
static const struct {
	enum service service;
	const char *lines[10];
	enum mailbox_stage stage;
	const char *heard;
} cases[] = {
	{ SERVICE_SMTP, { "220 mail.example\r\n" }, MAILBOX_CONNECT,
	    "220 mail.example" },
	{ SERVICE_SMTP,
	    { "220 x\r\n", ">EHLO x\r\n", "250-x\r\n250 AUTH XOAUTH2\r\n",
		">AUTH XOAUTH2\r\n", "334 \r\n", ">dXNlcj0=\r\n",
		"535 5.7.3 Authentication unsuccessful [X]\r\n", ">QUIT\r\n",
		"221 bye\r\n" },
	    MAILBOX_LOGIN, "535 5.7.3 Authentication unsuccessful [X]" },
	{ SERVICE_SMTP,
	    { ">AUTH XOAUTH2\r\n", "334 \r\n", ">dXNlcj0=\r\n",
		"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n" },
	    MAILBOX_LOGIN, "{\"status\":\"401\"}" },
	{ SERVICE_SMTP,
	    { ">AUTH XOAUTH2\r\n", "535-5.7.8 not\r\n535 5.7.8 accepted\r\n" },
	    MAILBOX_LOGIN, "535-5.7.8 not 535 5.7.8 accepted" },
	{ SERVICE_SMTP,
	    { ">AUTH XOAUTH2\r\n", "235 ok\r\n", ">MAIL FROM:<a@b>\r\n",
		"530 5.7.57 no\r\n" },
	    MAILBOX_OPEN, "530 5.7.57 no" },
	{ SERVICE_IMAP,
	    { "* OK ready\r\n", ">A001 CAPABILITY\r\n",
		"* CAPABILITY IMAP4rev1\r\n", "A001 OK done\r\n",
		">A002 AUTHENTICATE XOAUTH2 dXNlcj0=\r\n",
		"A002 NO AUTHENTICATE failed.\r\n" },
	    MAILBOX_LOGIN, "NO AUTHENTICATE failed." },
	{ SERVICE_IMAP,
	    { ">A002 AUTHENTICATE XOAUTH2 dXNlcj0=\r\n", "A002 OK done\r\n",
		">A003 EXAMINE INBOX\r\n", "* 3 EXISTS\r\n",
		"* FLAGS (\\Seen)\r\n",
		"A003 BAD User is authenticated but not connected.\r\n",
		">A004 LOGOUT\r\n", "* BYE\r\n" },
	    MAILBOX_OPEN, "BAD User is authenticated but not connected." },
	{ SERVICE_IMAP,
	    { ">A002 AUTHENTICATE XOAUTH2\r\n", "+ \r\n", ">dXNlcj0=\r\n",
		"* BYE Connection closed. 14\r\n" },
	    MAILBOX_LOGIN, "* BYE Connection closed. 14" },
	{ SERVICE_POP,
	    { "+OK\r\n", ">CAPA\r\n", "+OK\r\nSASL XOAUTH2\r\n.\r\n",
		">AUTH XOAUTH2\r\n", "+ \r\n", ">dXNlcj0=\r\n",
		"-ERR Authentication failure\r\n" },
	    MAILBOX_LOGIN, "-ERR Authentication failure" },
	{ SERVICE_POP,
	    { ">AUTH XOAUTH2\r\n", "+OK\r\n", ">STAT\r\n", "+OK 0 0" },
	    MAILBOX_OPEN, "+OK 0 0" },
	/* Bytes that a terminal would obey. */
	{ SERVICE_SMTP, { "220 \033[2J\tx\x9b\r\n" }, MAILBOX_CONNECT,
	    "220 ?[2J?x?" },
	{ SERVICE_IMAP, { "\r\n", "*", "* BYE" }, MAILBOX_CONNECT, "* * BYE" },
};

static void
words_are_kept_and_stages_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dialogue d = { .speech = speech_of(cases[i].service) };

		for (size_t k = 0; k < 10 && cases[i].lines[k] != NULL; k++) {
			const char *line = cases[i].lines[k];

			if (*line == '>')
				dialogue_sent(&d, line + 1, strlen(line + 1));
			else
				dialogue_heard(&d, line, strlen(line));
		}
		if (strcmp(d.heard, cases[i].heard) != 0)
			fail_msg("case %zu: %s", i, d.heard);
		assert_int_equal(d.stage, cases[i].stage);
		assert_int_equal(d.login_sent, d.stage != MAILBOX_CONNECT);
	}
}

static void
more_than_fits_is_cut(void **state)
{
	struct dialogue d = { .speech = speech_of(SERVICE_SMTP) };
	char line[300];

	(void)state;
	memset(line, 'x', sizeof(line));
	for (int i = 0; i < 20; i++)
		dialogue_heard(&d, line, sizeof(line));
	assert_int_equal(d.len, DIALOGUE_HEARD_MAX - 1);
	assert_int_equal(strlen(d.heard), DIALOGUE_HEARD_MAX - 1);
}

static void
credentials_are_not_shown(void **state)
{
	static const char secret[] =
	    "535 no: eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0 !";
	char shown[64], little[16];

	(void)state;
	dialogue_show(secret, shown, sizeof(shown));
	assert_string_equal(shown, "535 no: *** !");
	dialogue_show("535 5.7.3 Authentication unsuccessful", little, 16);
	assert_string_equal(little, "535 5.7.3 Au...");
	dialogue_show("", shown, sizeof(shown));
	assert_string_equal(shown, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_kept_and_stages_known),
		cmocka_unit_test(more_than_fits_is_cut),
		cmocka_unit_test(credentials_are_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
