/* cli_browser.c - a login in a browser that reaches this host's loopback. */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_login.h"
#include "cli_redirect.h"
#include "clock.h"

#define OPENER "xdg-open"

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

/*
 * Whose browser it would be: never root's, which browsers refuse and nobody
 * should want, but that of whoever called sudo.
 */
static bool
browser_user(uid_t *ret)
{
	const char *caller = getenv("SUDO_UID");
	unsigned long uid = 0;
	char *end;

	*ret = geteuid();
	if (*ret != 0)
		return true;
	if (caller != NULL && *caller >= '0' && *caller <= '9') {
		uid = strtoul(caller, &end, 10);
		if (*end != '\0' || uid >= UINT32_MAX)
			uid = 0;
	}
	*ret = (uid_t)uid;
	return uid != 0;
}

bool
login_browser_found(void)
{
	uid_t uid;

	return (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")) &&
	       in_path(OPENER) && browser_user(&uid);
}

/* With the user's directories: sudo's are root's, or none. */
static bool
become(uid_t uid)
{
	const struct passwd *pw = getpwuid(uid);
	char runtime[64];

	(void)snprintf(
	    runtime, sizeof(runtime), "/run/user/%lu", (unsigned long)uid);
	return pw != NULL && initgroups(pw->pw_name, pw->pw_gid) == 0 &&
	       setgid(pw->pw_gid) == 0 && setuid(uid) == 0 &&
	       setenv("HOME", pw->pw_dir, 1) == 0 &&
	       setenv("XDG_RUNTIME_DIR", runtime, 1) == 0;
}

/* In the child; with a session of its own, which ^C here does not end. */
static void
exec_browser(uid_t uid, const char *url)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	(void)signal(SIGPIPE, SIG_DFL);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup2(null, fd) < 0)
			_exit(127);
	if (uid == geteuid() || become(uid))
		(void)execlp(OPENER, OPENER, url, (char *)NULL);
	_exit(127);
}

/* Nobody waits for it: whether a browser comes, the person sees. */
static bool
browser_open(const char *url)
{
	uid_t uid;
	pid_t pid;

	if (!browser_user(&uid))
		return false;
	pid = fork();
	if (pid == 0)
		exec_browser(uid, url);
	return pid > 0;
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
	uid_t uid;

	if (authorization_init(&l->authorization, reterr) < 0)
		return -1;
	l->redirect = redirect_open(
	    &l->wait, l->account, &l->authorization, l->port, reterr);
	if (l->redirect == NULL ||
	    login_url(l, redirect_uri(l->redirect), reterr) < 0)
		return -1;
	if (login_browser_found() && browser_user(&uid))
		start = redirect_start(l->redirect, &l->url, uid);
	show_url(l, start != NULL && browser_open(start));
	if (wait_for_redirect(l, reterr) < 0 ||
	    redirect_code(l->redirect, &code, reterr) < 0)
		return -1;
	return login_redeem(l, &code, redirect_uri(l->redirect), ret, reterr);
}
