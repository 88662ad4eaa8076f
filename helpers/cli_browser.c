/* cli_browser.c - a login in a browser that reaches this host's loopback. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_login.h"
#include "cli_redirect.h"
#include "clock.h"

#define OPENER "xdg-open"

extern char **environ;

static bool
is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value != NULL && *value != '\0';
}

static bool
in_path(const char *program)
{
	const char *path = getenv("PATH");
	char file[512];

	while (path != NULL && *path != '\0') {
		size_t n = strcspn(path, ":");
		int len = snprintf(
		    file, sizeof(file), "%.*s/%s", (int)n, path, program);

		if (n > 0 && len > 0 && (size_t)len < sizeof(file) &&
		    access(file, X_OK) == 0)
			return true;
		path += n;
		path += *path == ':';
	}
	return false;
}

bool
login_browser_found(void)
{
	return (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")) &&
	       in_path(OPENER);
}

/* With a session of its own: ^C here does not end it. */
static bool
browser_open(const char *url)
{
	char program[] = OPENER;
	char *argv[] = { program, strdup(url), NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t pipe;
	pid_t pid;
	int rc;

	if (argv[1] == NULL)
		return false;
	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setflags(
	    &attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	(void)posix_spawnattr_setsigdefault(&attr, &pipe);
	(void)posix_spawn_file_actions_init(&files);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		(void)posix_spawn_file_actions_addopen(
		    &files, fd, "/dev/null", O_RDWR, 0);
	rc = posix_spawnp(&pid, program, &files, &attr, argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attr);
	free(argv[1]);
	return rc == 0;
}

static void
show_url(const struct login *l, bool opened)
{
	char host[256] = "HOST";

	if (opened)
		cli_say("account %s: a browser opens for the login; if none "
			"does, open this there:",
		    l->account->name);
	else
		cli_say("account %s: open this in a browser and log in as the "
			"mailbox's owner:",
		    l->account->name);
	fprintf(stderr, "\n%s\n\n", l->url.ptr);
	if (opened)
		return;
	(void)gethostname(host, sizeof(host) - 1);
	cli_say("a browser on another computer must reach this one first; run "
		"there:");
	fprintf(stderr, "\n    ssh -L %u:127.0.0.1:%u %s\n\n",
	    redirect_port(l->redirect), redirect_port(l->redirect), host);
}

static int
wait_for_redirect(struct login *l, struct diag *reterr)
{
	int64_t end_ms = clock_now_ms() + LOGIN_WAIT_MS;
	const bool *done = redirect_done(l->redirect);
	int rc;

	cli_wait_show(&l->wait, "waiting for the login in the browser", end_ms);
	rc = cli_wait_run(&l->wait, end_ms, done);
	cli_wait_hide(&l->wait);
	if (rc < 0)
		return diag_set(reterr, DIAG_RETRY, "%s", "");
	if (!*done)
		return diag_set(reterr, DIAG_REAUTH,
		    "nobody logged in within %d minutes: run mailtoken login "
		    "again",
		    LOGIN_WAIT_MS / 60000);
	return 0;
}

int
login_by_browser(
    struct login *l, struct oauth2_tokens *ret, struct diag *reterr)
{
	auto_secret struct secret code = SECRET_INIT;
	const char *start = NULL;

	if (authorization_init(&l->authorization, reterr) < 0)
		return -1;
	l->redirect = redirect_open(
	    &l->wait, l->account, &l->authorization, l->port, reterr);
	if (l->redirect == NULL ||
	    login_url(l, redirect_uri(l->redirect), reterr) < 0)
		return -1;
	if (login_browser_found())
		start = redirect_start(l->redirect, &l->url);
	show_url(l, start != NULL && browser_open(start));
	if (wait_for_redirect(l, reterr) < 0 ||
	    redirect_code(l->redirect, &code, reterr) < 0)
		return -1;
	return login_redeem(l, &code, redirect_uri(l->redirect), ret, reterr);
}
