/* Where a user's own agent keeps its things, whatever the environment says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"
#include "config_user.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* NULL: not set. */
struct environment {
	const char *home, *config, *state, *runtime;
};

static void
set(const char *name, const char *value)
{
	if (value != NULL)
		assert_int_equal(setenv(name, value, 1), 0);
	else
		assert_int_equal(unsetenv(name), 0);
}

static void
set_all(struct environment e)
{
	set("HOME", e.home);
	set("XDG_CONFIG_HOME", e.config);
	set("XDG_STATE_HOME", e.state);
	set("XDG_RUNTIME_DIR", e.runtime);
}

static void
ignore(void *arg, const struct diag *d)
{
	(void)arg;
	fail_msg("%s", d->text);
}

static struct config *
parse(const char *text)
{
	return config_parse(text, strlen(text), "m.conf", ignore, NULL);
}

static void
finds_the_configuration(void **unused)
{
	static const struct {
		struct environment e;
		const char *path; /* NULL: nowhere */
	} rows[] = {
		{ { "/home/a", NULL, NULL, NULL },
		    "/home/a/.config/mailtoken/mailtoken.conf" },
		{ { "/home/a", "/etc/a", NULL, NULL },
		    "/etc/a/mailtoken/mailtoken.conf" },
		{ { NULL, "/etc/a", NULL, NULL },
		    "/etc/a/mailtoken/mailtoken.conf" },
		/* What is no absolute path is as good as nothing. */
		{ { "/home/a", "etc/a", NULL, NULL },
		    "/home/a/.config/mailtoken/mailtoken.conf" },
		{ { "/home/a", "", NULL, NULL },
		    "/home/a/.config/mailtoken/mailtoken.conf" },
		{ { NULL, NULL, NULL, NULL }, NULL },
		{ { "", "", NULL, NULL }, NULL },
		{ { "home", "~", NULL, NULL }, NULL },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		auto_free char *path = NULL;

		set_all(rows[i].e);
		path = config_user_path();
		if ((path == NULL) != (rows[i].path == NULL) ||
		    (path != NULL && strcmp(path, rows[i].path) != 0))
			fail_msg("%zu: %s", i, path != NULL ? path : "none");
	}
}

#define LISTEN "[agent]\nlisten = /l/a.sock /l/b.sock\n"

static void
gives_places(void **unused)
{
	static const struct {
		const char *text;
		struct environment e;
		const char *listen, *state;
		int64_t idle_s;
	} rows[] = {
		{ "", { "/home/a", NULL, NULL, "/run/user/1" },
		    "/run/user/1/mailtoken/agent.sock",
		    "/home/a/.local/state/mailtoken", CONFIG_USER_IDLE_S },
		{ "", { NULL, NULL, "/state", "/run/user/1" },
		    "/run/user/1/mailtoken/agent.sock", "/state/mailtoken",
		    CONFIG_USER_IDLE_S },
		{ "", { "/home/a", NULL, "state", "/run/user/1" },
		    "/run/user/1/mailtoken/agent.sock",
		    "/home/a/.local/state/mailtoken", CONFIG_USER_IDLE_S },
		/* What the file says wins, and needs no environment. */
		{ LISTEN, { "/home/a", NULL, NULL, NULL }, "/l/a.sock",
		    "/home/a/.local/state/mailtoken", CONFIG_USER_IDLE_S },
		{ LISTEN "state_dir = /s\nidle_exit = 7\nuser = daemon\n",
		    { NULL, NULL, NULL, NULL }, "/l/a.sock", "/s", 7 },
		/* Though it be the default's own text. */
		{ "[agent]\nstate_dir = /var/lib/mailtoken\n",
		    { NULL, NULL, NULL, "/r" }, "/r/mailtoken/agent.sock",
		    "/var/lib/mailtoken", CONFIG_USER_IDLE_S },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config *c = parse(rows[i].text);
		struct diag d = DIAG_INIT;

		assert_non_null(c);
		set_all(rows[i].e);
		if (config_user_defaults(c, &d) < 0)
			fail_msg("%zu: %s", i, d.text);
		assert_string_equal(c->listen[0], rows[i].listen);
		assert_string_equal(c->state_dir, rows[i].state);
		assert_int_equal(c->idle_exit_s, rows[i].idle_s);
		/* The agent is whoever starts it. */
		assert_string_not_equal(c->user, "mailtoken");
		assert_string_not_equal(c->user, "daemon");
		config_unref(&c);
	}
}

static void
says_what_is_missing(void **unused)
{
	char longest[300] = "/";
	const struct {
		const char *text;
		struct environment e;
		const char *says;
	} rows[] = {
		{ "", { "/home/a", NULL, NULL, NULL },
		    "XDG_RUNTIME_DIR is not set, as it is in a login session: "
		    "log in properly, or write listen = /PATH into m.conf" },
		{ "", { "/home/a", NULL, NULL, "run" },
		    "XDG_RUNTIME_DIR is not set" },
		{ "", { "/home/a", NULL, NULL, "" },
		    "XDG_RUNTIME_DIR is not set" },
		{ "", { NULL, NULL, NULL, "/r" },
		    "HOME is not set: write state_dir = /PATH into m.conf" },
		{ LISTEN, { "", NULL, "", NULL }, "HOME is not set" },
		/* A socket's path is shorter than other paths. */
		{ "", { "/home/a", NULL, NULL, longest },
		    "XDG_RUNTIME_DIR is too long" },
		{ "", { "/home/a", NULL, NULL, longest + 180 }, "longer than" },
	};

	(void)unused;
	memset(longest + 1, 'r', sizeof(longest) - 2);
	longest[180] = '/';
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config *c = parse(rows[i].text);
		struct diag d = DIAG_INIT;

		assert_non_null(c);
		set_all(rows[i].e);
		if (config_user_defaults(c, &d) == 0 || d.kind != DIAG_CONFIG ||
		    strstr(d.text, rows[i].says) == NULL)
			fail_msg("%zu: %s", i, d.text);
		config_unref(&c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_configuration),
		cmocka_unit_test(gives_places),
		cmocka_unit_test(says_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
